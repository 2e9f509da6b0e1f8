"""What is written on boxes, arrows and frames: plain text of one line each.

In all of these, ``x`` is what a box stands for or what an operation was called with: a
Tensor, an array or a number; ``node`` is a Tensor that an operation made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import Tensor
from tinygrad_edu.recording import Scope

_SHOWN = 6  # of larger arrays only the shape is shown
_WIDTH = 60  # characters
_SYMMETRIC = {"add", "multiply", "maximum", "minimum"}  # order does not matter


def kind(x: Any) -> str:
    """Return whether it is an operation, a parameter or an input."""
    if isinstance(x, Tensor) and x.requires_grad:
        return "parameter" if x.op is None else "operation"
    return "input"


def is_inline(x: Any) -> bool:
    """Whether ``x`` stands in the title of what uses it: a number without a name."""
    if isinstance(x, Tensor) and (x.requires_grad or x.name):
        return False
    return not isinstance(x, Tensor | np.ndarray) or x.ndim == 0


def title(x: Any) -> str:
    """Return the first line: "w", "z = w · x", "Σ axis=0", "max(…, 0)"."""
    if kind(x) != "operation":
        return _name(x) or kind(x)
    return _line(f"{_name(x)} = {_formula(x)}" if _name(x) else _formula(x))


def detail(x: Any) -> str:
    """Return the second line: "multiply: (2,) float64"."""
    what = kind(x) if _name(x) else ""
    if kind(x) == "operation":
        what = x.op.name if x.op.name not in ("item", x.op.symbol) else ""
        if x.op.results:
            fields = zip(x._data._fields, x._data, strict=True)
            results = ", ".join(f"{name} {np.shape(data)}" for name, data in fields)
            return _line(f"{x.op.name}: {results}")
    return _line(f"{what}: {x.shape} {x.dtype}".removeprefix(": "))


def value(x: Any) -> str:
    """Return the third line: up to 6 numbers with 3 significant digits, or nothing."""
    data = x._data if isinstance(x, Tensor) else x
    is_shown = not isinstance(data, tuple) and data.size <= _SHOWN
    return _line(_numbers(data.tolist())) if is_shown else ""


def roles(node: Any) -> Sequence[str]:
    """Return what to write at the arrow of each input, where it tells them apart."""
    drawn = {id(x): _operand(x) for x in node.inputs if not is_inline(x)}
    nothing = [""] * len(node.inputs)
    if len(drawn) < 2 or node.op.name in _SYMMETRIC:
        return nothing
    if _is_infix(node):
        return ["left", "right"] if len({*drawn.values()}) < 2 else nothing
    names = node.op.arguments
    if node.op.variadic:
        names = [str(i) for i in range(len(node.inputs))]
    return [n if n != _name(x) else "" for n, x in zip(names, node.inputs, strict=True)]


def frame(scope: Scope) -> str:
    """Return the title of a layer's frame: "0: Linear"."""
    outer = f"{scope.parent.path}." if scope.parent and scope.parent.path else ""
    name = scope.path.removeprefix(outer)
    return _line(f"{name}: {scope.kind}" if name else scope.kind)


def _formula(node: Any) -> str:
    op, kwargs = node.op, node.kwargs
    operands = [_operand(x) for x in node.inputs if x is not None]
    if op.name == "item":
        several = node.inputs[0].op
        return f"{several.name}.{several.results._fields[kwargs['index']]}"
    if op.name == "getitem":
        index = kwargs["index"]
        inside = _literal(index)[1:-1] if isinstance(index, tuple) else _literal(index)
        return f"{operands[0]}[{inside}]"
    text: str = op.symbol
    if _is_infix(node):
        text = f"{operands[0]} {op.symbol} {operands[1]}"
    elif any(x is not None and is_inline(x) for x in node.inputs):
        text = f"{op.symbol}({', '.join(operands)})"
    given = {key: _literal(x) for key, x in kwargs.items() if x is not None}
    for key, shown in given.items():  # a default says nothing, unless it is the axis
        if key == "axis" or shown != _literal(op.metadata[key]):
            text += f" {key}={shown}"
    return text


def _is_infix(node: Any) -> bool:
    return node.op.operator is not None and len(node.inputs) == 2


def _operand(x: Any) -> str:
    if is_inline(x):
        return _literal(x._data if isinstance(x, Tensor) else x)
    return _name(x) or ("…" if kind(x) == "operation" else kind(x))


def _name(x: Any) -> str:
    return _line(x.name or "") if isinstance(x, Tensor) else ""


def _numbers(data: Any) -> str:
    if isinstance(data, list):
        return f"[{', '.join(map(_numbers, data))}]"
    return f"{data + 0.0:.3g}" if isinstance(data, float) else str(data)  # -0 becomes 0


def _literal(x: Any) -> str:
    """Return a number or metadata as Python has it, without addresses in memory."""
    if isinstance(x, np.ndarray | np.generic) and x.ndim == 0:
        x = x.item()
    if isinstance(x, tuple | list):
        inside = ", ".join(map(_literal, x[:_SHOWN])) + ", …" * (len(x) > _SHOWN)
        if isinstance(x, list):
            return f"[{inside}]"
        return f"({inside}{',' * (len(x) == 1)})"
    if isinstance(x, slice):
        parts = ["" if i is None else _literal(i) for i in (x.start, x.stop, x.step)]
        return ":".join(parts).removesuffix(":")
    if isinstance(x, np.ndarray):
        return f"array {x.shape}"
    if isinstance(x, float | np.floating):
        return f"{x:.6g}"
    if isinstance(x, int | str | np.dtype | None):
        return str(x)
    return "…" if x is ... else getattr(x, "__name__", type(x).__name__)


def _line(text: str) -> str:
    """Return ``text`` on one line: printable characters only, and not too many."""
    text = "".join(filter(str.isprintable, " ".join(text.split())))
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
