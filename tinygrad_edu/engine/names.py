"""What tensors are called, in drawings and in words, and how numbers are written.

In all of these, ``x`` is what a box of a drawing stands for: a Tensor, an array, or an
operation that failed. What is written is text of one line each.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Op, Tensor
from tinygrad_edu.engine.recording import Failed

__all__ = [
    "Names",
    "argument_names",
    "behind",
    "data_of",
    "is_inline",
    "is_operation",
    "kind_of",
    "line",
    "literal",
    "numbers",
]

_SHOWN = 6  # entries of a list
_WIDTH = 60  # characters


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """What the inputs are called: as in the signature of ``f``."""
    if isinstance(f, Op):
        return [f.argument(i) for i in range(count)]
    function = getattr(f, "forward", f)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    kinds = inspect.Parameter
    in_front = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    named = [p.name for p in parameters if p.kind in in_front]
    return [named[i] if i < len(named) else f"input {i}" for i in range(count)]


def is_operation(x: Any) -> bool:
    """Whether an operation made it, recorded or just failed."""
    return isinstance(x, Failed) or (isinstance(x, Tensor) and x.op is not None)


def is_inline(x: Any) -> bool:
    """Whether ``x`` stands in the formula of what uses it: a number without a name."""
    if isinstance(x, Failed) or (isinstance(x, Tensor) and (x.requires_grad or x.name)):
        return False
    return not isinstance(x, Tensor | np.ndarray) or x.ndim == 0


def kind_of(x: Any) -> str:
    """Return whether it is an operation, a parameter or an input."""
    if isinstance(x, Failed):
        return "failed"
    if is_operation(x):
        return "operation"
    return "parameter" if isinstance(x, Tensor) and x.requires_grad else "input"


def data_of(x: Any) -> Any:
    """Return the numbers."""
    return x._numbers if isinstance(x, Tensor) else x


def behind(output: Any) -> list[Any]:
    """Return what could get a box, oldest first, an array just before its first use."""
    found: list[Any] = [output]
    age: dict[int, tuple[float, float]] = {id(output): (inf, inf)}
    for node in found:  # grows while it is read
        if not is_operation(node):
            continue
        born_by = inf if isinstance(node, Failed) else node._index
        for position, x in enumerate(node.inputs):
            if is_inline(x):
                continue
            if id(x) not in age:
                found.append(x)
            born = (x._index, inf) if isinstance(x, Tensor) else (born_by, position)
            age[id(x)] = min(age.get(id(x), born), born)
    return sorted(found, key=lambda x: age[id(x)])


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
                unnamed[roles.get(id(x), kind_of(x))].append(x)
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


# ------------------------------------------------------------------------ as text


def numbers(data: Any) -> str:
    """Return numbers in nested lists, with three significant digits."""
    if isinstance(data, list):
        return f"[{', '.join(map(numbers, data))}]"
    return f"{data + 0.0:.3g}" if isinstance(data, float) else str(data)  # -0 becomes 0


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
