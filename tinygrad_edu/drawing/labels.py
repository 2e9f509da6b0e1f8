"""What is written of tensors: their names, numbers, statistics. Text of one line each.

In all of these, ``x`` is what a box stands for: a Tensor, an array, or an operation
that failed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.drawing.levels import is_inline, is_operation
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.recording import Failed, Scope

__all__ = [
    "Names",
    "data_of",
    "kind",
    "line",
    "literal",
    "norm",
    "numbers",
    "statistics",
]

_SHOWN = 6  # of more numbers only mean and spread are written
_WIDTH = 60  # characters
_BLOCK = 100_000  # numbers that are looked at together


def kind(x: Any) -> str:
    """Return whether it is an operation, a parameter or an input."""
    if isinstance(x, Failed):
        return "failed"
    if is_operation(x):
        return "operation"
    return "parameter" if isinstance(x, Tensor) and x.requires_grad else "input"


class Names:
    """The names of tensors: their own, those given, or t1, t2, ... in order.

    Parameters
    ----------
    things : sequence
        All that could have a box, oldest first.
    given : mapping of str to Tensor or array, optional
        Such as ``locals()``; only what is in ``things`` counts.
    """

    def __init__(self, things: Sequence[Any], given: Mapping[str, Any] | None) -> None:
        self._of: dict[int, str] = {}
        self._things = things  # so that no id is given away again
        others = {
            id(x): str(name)
            for name, x in (given or {}).items()
            if not str(name).startswith("_")  # as of a notebook's results
        }
        roles = _roles(things)
        unnamed: dict[str, list[Any]] = defaultdict(list)
        operations = 0
        for x in things:
            operations += is_operation(x)
            own = x.name if isinstance(x, Tensor | Failed) else None
            name = line(own or others.get(id(x), ""))
            if not name and is_operation(x):
                name = f"t{operations}"
            if name:
                self._of[id(x)] = name
            else:
                unnamed[roles.get(id(x), kind(x))].append(x)
        self._told_apart(things)
        taken = {*self._of.values()}
        for role, those in unnamed.items():
            single = len(those) == 1 and role not in taken
            for i, x in enumerate(those, 1):
                self._of[id(x)] = role if single else f"{role} {i}"

    def _told_apart(self, things: Sequence[Any]) -> None:
        """Put the path of its layer before a leaf's name that another leaf has, too."""
        paths: dict[int, str] = {}
        for node in things:
            if is_operation(node) and node.scope is not None:
                for x in node.inputs:
                    paths.setdefault(id(x), node.scope.path)
        leaves = [x for x in things if id(x) in self._of and not is_operation(x)]
        count = Counter(self._of[id(x)] for x in leaves)
        for x in leaves:
            name, path = self._of[id(x)], paths.get(id(x), "")
            if count[name] > 1 and path:
                self._of[id(x)] = line(f"{path}.{name}")

    def __call__(self, x: Any) -> str:
        """Return the name of a box, or the number that stands in a formula."""
        if id(x) in self._of:
            return self._of[id(x)]
        return literal(data_of(x)) if is_inline(x) else line(type(x).__name__)


def _roles(things: Sequence[Any]) -> dict[int, str]:
    """Return what the first operation that uses a leaf calls it: "x", "labels"."""
    found: dict[int, str] = {}
    for node in things:
        if is_operation(node) and not isinstance(node, Failed) and not node.op.variadic:
            for x, name in zip(node.inputs, node.op.arguments, strict=False):
                if len(node.op.arguments) == 1 or name not in ("a", "b"):
                    found.setdefault(id(x), name)
    return found


def data_of(x: Any) -> Any:
    """Return the numbers."""
    return x._data if isinstance(x, Tensor) else x


def frame(scope: Scope) -> str:
    """Return the title of a layer's frame: "0: Linear"."""
    outer = f"{scope.parent.path}." if scope.parent and scope.parent.path else ""
    name = scope.path.removeprefix(outer)
    return line(f"{name}: {scope.kind}" if name else scope.kind)


def shape(data: Any) -> str:
    """Return "(32, 64)", or "sign (), logabsdet ()" of several results."""
    if isinstance(data, tuple):
        fields = zip(getattr(data, "_fields", ()), data, strict=False)
        return ", ".join(f"{name} {np.shape(part)}" for name, part in fields)
    return str(np.shape(data))


def shape_and_type(data: Any) -> str:
    """Return "(32, 64) float32"."""
    text = shape(data)
    return text if isinstance(data, tuple) else f"{text} {np.asarray(data).dtype}"


def statistics(data: Any) -> str:
    """Return up to six numbers, or mean and spread of more: the standard deviation."""
    if isinstance(data, tuple) or np.size(data) == 0:
        return ""
    data = np.asarray(data)
    if data.size <= _SHOWN:
        return line(numbers(data.tolist()))
    if data.dtype.kind != "f":
        return f"{data.min()} to {data.max()}"
    with np.errstate(all="ignore"):  # the words for what is not finite come apart
        mean = float(data.mean(dtype=float))
        flat, squares = data.reshape(-1), 0.0
        for i in range(0, flat.size, _BLOCK):  # np.std takes as much memory again
            part = np.subtract(flat[i : i + _BLOCK], mean, dtype=float)
            squares += float(np.square(part, out=part).sum())
    spread = math.sqrt(squares / flat.size)
    return f"mean {numbers(mean)}, spread {numbers(spread)}"


def norm(g: Any) -> float:
    """Return ‖g‖, the root of the sum of squares; without overflow."""
    if isinstance(g, tuple):  # of an operation with several results
        g = [norm(part) for part in g]
    flat = np.asarray(g, float).ravel()
    with np.errstate(all="ignore"):
        square = float(flat @ flat)
    if 1e-200 < square < 1e200:
        return math.sqrt(square)
    flat = np.abs(flat)
    largest = float(flat.max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(flat / largest))


def gradient(g: Any, size: float) -> str:
    """Return up to six numbers, or "norm 0.013": the ``size`` of ``g``."""
    if isinstance(g, tuple) or np.size(g) > _SHOWN:
        return f"norm {numbers(size)}"
    return statistics(g)


def numbers(data: Any) -> str:
    """Return numbers in nested lists, with three significant digits."""
    if isinstance(data, list):
        return f"[{', '.join(map(numbers, data))}]"
    return f"{data + 0.0:.3g}" if isinstance(data, float) else str(data)  # -0 becomes 0


def counted(nth: int, shown: int, hidden: int = 0) -> str:
    """Return which of several summands it is: "1 of 2: more to come"."""
    if hidden:
        number = "1 is" if hidden == 1 else f"{hidden:,} are"
        return f"{nth} of {shown + hidden:,}, of which {number} not shown"
    return f"{nth} of {shown}: {'complete' if nth == shown else 'more to come'}"


def literal(x: Any) -> str:
    """Return a number or metadata as Python has it, without addresses in memory."""
    if isinstance(x, np.ndarray | np.generic) and x.ndim == 0:
        x = x.item()
    if isinstance(x, tuple | list):
        inside = ", ".join(map(literal, x[:_SHOWN])) + ", …" * (len(x) > _SHOWN)
        if isinstance(x, list):
            return f"[{inside}]"
        return f"({inside}{',' * (len(x) == 1)})"
    if isinstance(x, slice):
        parts = ["" if i is None else literal(i) for i in (x.start, x.stop, x.step)]
        return ":".join(parts).removesuffix(":")
    if isinstance(x, np.ndarray):
        return f"array {x.shape}"
    if isinstance(x, float | np.floating):
        return f"{x:.6g}"
    if isinstance(x, int | str | np.dtype | None):
        return str(x)
    return "…" if x is ... else getattr(x, "__name__", type(x).__name__)


def line(text: str) -> str:
    """Return ``text`` on one line: printable characters only, and not too many."""
    text = text[: 4 * _WIDTH]  # of a very long one the rest need not be read
    text = "".join(filter(str.isprintable, " ".join(text.split())))
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
