"""What boxes and edges say beside names: shapes, statistics. Text of one line each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.names import line, numbers
from tinygrad_edu.engine.recording import Scope

__all__ = [
    "counted",
    "frame",
    "gradient",
    "shape",
    "shape_and_type",
    "statistics",
]

_SHOWN = 6  # of more numbers only mean and spread are written
_BLOCK = 100_000  # numbers that are looked at together


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


def gradient(g: Any, size: float) -> str:
    """Return up to six numbers, or "norm 0.013": the ``size`` of ``g``."""
    if isinstance(g, tuple) or np.size(g) > _SHOWN:
        return f"norm {numbers(size)}"
    return statistics(g)


def counted(nth: int, shown: int, hidden: int = 0) -> str:
    """Return which of several summands it is: "1 of 2: more to come"."""
    if hidden:
        number = "1 is" if hidden == 1 else f"{hidden:,} are"
        return f"{nth} of {shown + hidden:,}, of which {number} not shown"
    return f"{nth} of {shown}: {'complete' if nth == shown else 'more to come'}"
