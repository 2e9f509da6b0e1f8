"""What a drawing shows, as plain data: boxes, arrows, and the frames of layers.

All of it is copied from the tensors: what happens to them later changes no picture.
Nothing here recurses as deep as the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from tinygrad_edu.core import Tensor
from tinygrad_edu.drawing import labels
from tinygrad_edu.recording import Scope

__all__ = ["Arrow", "Box", "Frame", "Graph", "capture"]


@dataclass(frozen=True, slots=True)
class Box:
    """An operation together with its result, or an array that goes into one."""

    kind: str  # "operation", "parameter" or "input"
    title: str  # "z = w · x"
    detail: str  # "multiply: (2,) float64"
    value: str  # "[0, 3]"; empty if there are too many numbers
    frame: int | None  # the innermost around it


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a box to an operation that used it."""

    source: int
    target: int
    label: str  # the argument's name, where the formula does not tell them apart


@dataclass(frozen=True, slots=True)
class Frame:
    """A layer that ran; the layer around it comes earlier among the frames."""

    title: str  # "0: Linear"
    parent: int | None


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole drawing; boxes are in the order in which they were made."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[Frame, ...]
    output: int  # the box of the tensor that is drawn


def capture(output: Tensor) -> Graph:
    """Return what is to be drawn of the graph behind ``output``.

    Parameters
    ----------
    output : Tensor

    Returns
    -------
    Graph
        A box for each recorded operation with its result, and one for each tensor or
        array that went in; single numbers without a name stand in the titles instead.

    Raises
    ------
    RuntimeError
        If an earlier backward freed the graph.
    """
    found = _behind(output)
    number = {id(x): i for i, x in enumerate(found)}
    arrows: list[Arrow] = []
    frames: dict[int, tuple[int, Frame]] = {}  # id of a scope -> number and frame
    around: dict[int, list[int]] = {}  # id of a tensor -> frames, the outermost first
    stale: set[int] = set()  # leaves whose data was assigned after they had been used
    for target, node in enumerate(found):
        if labels.kind(node) != "operation":
            continue
        here = around[id(node)] = _frames_around(node.scope, frames)
        for x, label in zip(node.inputs, labels.roles(node), strict=True):
            if id(x) not in number:
                continue
            arrows.append(Arrow(number[id(x)], target, label))
            if labels.kind(x) == "parameter":
                # in the frames that all its uses have in common
                both = zip(around.get(id(x), here), here, strict=False)
                around[id(x)] = [i for i, j in both if i == j]
            if isinstance(x, Tensor) and x._index > node._index:
                stale.add(id(x))

    boxes = []
    for x in found:
        value = labels.value(x) if id(x) not in stale else "assigned since"
        inside = around.get(id(x))
        frame = inside[-1] if inside else None
        boxes.append(
            Box(labels.kind(x), labels.title(x), labels.detail(x), value, frame)
        )
    framed = tuple(frame for _, frame in frames.values())
    return Graph(tuple(boxes), tuple(arrows), framed, number[id(output)])


def _behind(output: Tensor) -> list[Any]:
    """Return what gets a box, oldest first, and an array just before its first use."""
    found: list[Any] = [output]
    age: dict[int, tuple[float, float]] = {id(output): (output._index, inf)}
    for node in found:  # grows while it is read
        if labels.kind(node) != "operation":
            continue
        if not node.inputs:
            raise RuntimeError(
                "draw: the graph was freed by an earlier backward. Draw before it, or "
                "call it as backward(retain_graph=True)"
            )
        for position, x in enumerate(node.inputs):
            if labels.is_inline(x):
                continue
            if id(x) not in age:
                found.append(x)
            born: tuple[float, float] = (node._index, position)
            if isinstance(x, Tensor):
                born = (x._index, inf)
            age[id(x)] = min(age.get(id(x), born), born)
    return sorted(found, key=lambda x: age[id(x)])


def _frames_around(
    scope: Scope | None, frames: dict[int, tuple[int, Frame]]
) -> list[int]:
    """Return the numbers of the frames for a scope; new ones are added to ``frames``.

    Scopes are told apart by identity: two layers of the same kind may have equal ones.
    """
    path: list[int] = []
    for layer in reversed([*_outwards(scope)]):
        new = Frame(labels.frame(layer), path[-1] if path else None)
        path.append(frames.setdefault(id(layer), (len(frames), new))[0])
    return path


def _outwards(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent
