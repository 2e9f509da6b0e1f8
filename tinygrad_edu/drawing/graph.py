"""What a drawing shows, as plain data: boxes, edges, frames, and the walk backward.

All of it is text and numbers copied from the tensors, so what happens to them later
changes no picture. A renderer knows this module and nothing of the engine.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["Box", "Edge", "Frame", "Graph", "Share", "Step"]


@dataclass(frozen=True, slots=True)
class Box:
    """An operation together with its result, a layer, or what goes into them."""

    kind: str
    """"input", "parameter", "operation", "layer", "failed" (the operation that raised)
    or "rest" (stands for all that is not shown)."""
    name: str  # "z1", or "t7" if it has none; unique if the user's names are
    formula: str = ""  # "x · W1ᵀ"; empty for an input and a parameter
    detail: str = ""  # "matmul, (32, 64) float32"
    parameters: tuple[str, ...] = ()  # of a layer: "weight (64, 784), gradient 0.36"
    value: str = ""  # "mean 0.043, spread 1.4", or all numbers: "[0, 3]"
    gradient: str = ""  # "norm 0.013", or all numbers
    warnings: tuple[str, ...] = ()  # "NaN", "saturated 93 %", "dead 40 %"
    frame: int | None = None  # the innermost around it
    norm: float | None = None  # of the gradient
    cost: str = ""  # where times were measured: "1.2 ms (34 %): forward 0.4 ms, ..."
    share: float | None = None  # of the whole time, 0 to 1

    @property
    def title(self) -> str:
        """The first line: "z1 = x · W1ᵀ"."""
        return f"{self.name} = {self.formula}" if self.formula else self.name


@dataclass(frozen=True, slots=True)
class Edge:
    """From a box to one that used it; and, if gradients flow, the way back."""

    source: int
    target: int
    label: str = ""  # forward, where it says something: "left", "repeated to (32, 64)"
    rule: str = (
        ""  # backward, what flows to the source: "xᵀ · z̄1", "Σ over axis 0 of ā1"
    )
    has_gradient: bool = False
    adds: bool = False  # the source collects several such gradients: "+="
    norm: float | None = None  # of what flows


@dataclass(frozen=True, slots=True)
class Frame:
    """A layer that ran, around its boxes; the one around it comes earlier."""

    title: str  # "0: Linear", "blocks.0 to blocks.11: Block ×12"
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What one operation hands to one of its inputs on the walk backward."""

    edge: int | None  # None for a parameter inside the box of its layer
    formula: str  # "h̄ = z̄2 · W2ᵀ", or "h̄ += …" for all but the first
    shapes: str  # "(32, 10), (10, 64) → (32, 64)"
    value: str  # "norm 0.066", or all numbers
    note: str = ""  # "2 of 2: complete"; "b1 was repeated to (32, 64), so ..."


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of the walk backward: it is given a gradient and hands it on."""

    box: int
    incoming: str  # "z̄2: (32, 10), norm 0.17"
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole drawing; boxes are in the order in which they were made."""

    title: str  # "loss: 9 operations"
    level: str  # "model", "layer", "op" or "scalar"
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...]
    output: int  # the box that is drawn: the loss
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()  # "showing 24 of 1,310 operations; …"

    def showing(self, backward: str) -> Graph:
        """Return the graph with as much of the gradients as is asked for.

        Parameters
        ----------
        backward : {"rules", "edges", "off"}

        Returns
        -------
        Graph
        """
        if backward == "rules":
            return self
        if backward == "edges":
            return replace(self, edges=tuple(replace(e, rule="") for e in self.edges))
        return replace(
            self,
            boxes=tuple(
                replace(
                    box,
                    gradient="",
                    norm=None,
                    warnings=_without_reasons(box.warnings),
                )
                for box in self.boxes
            ),
            edges=tuple(Edge(e.source, e.target, e.label) for e in self.edges),
            steps=(),
            notes=_without_reasons(self.notes),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as dicts, lists, texts and numbers that JSON can hold."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def _without_reasons(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out why there is no gradient, or there are none."""
    reasons = ("no gradient: ", "no gradients: ")
    return tuple(text for text in texts if not text.startswith(reasons))


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _plain(value) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return [_plain(value) for value in x]
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x
