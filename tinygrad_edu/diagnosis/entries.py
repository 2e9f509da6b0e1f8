"""The entries of tensors and arrays: how large they are, and whether all are finite."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.engine.names import data_of

__all__ = [
    "arrays_not_finite",
    "first_not_finite",
    "is_finite",
    "largest",
    "norm",
    "parts",
]


def parts(x: Any) -> list[np.ndarray]:
    """Return the numbers of a tensor, an array or several, each as an array."""
    data = data_of(x)
    return [np.asarray(y) for y in (data if isinstance(data, tuple) else (data,))]


def largest(x: Any) -> float:
    """Return the largest absolute value; nan if there is one."""
    data = data_of(x)
    if isinstance(data, tuple):
        return float(np.max([largest(part) for part in data]))
    return float(np.abs(data).max(initial=0.0))


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
    top = float(flat.max(initial=0.0))
    if top == 0 or not np.isfinite(top):
        return top
    return top * float(np.linalg.norm(flat / top))


def is_finite(x: Any) -> bool:
    """Whether there is neither nan nor infinity; so it is in what is no number."""
    return all(y.dtype.kind != "f" or bool(np.isfinite(y).all()) for y in parts(x))


def first_not_finite(array: np.ndarray | None) -> Any:
    """Return the first entry that is nan or infinite, or None."""
    if array is None or np.isfinite(array).all():
        return None
    return array[~np.isfinite(array)].flat[0]


def arrays_not_finite(X: Any, y: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a batch that hold nan or infinity, with their names."""
    for name, given in (("X", X), ("y", y)):
        several = isinstance(given, tuple)
        for i, x in enumerate(given if several else (given,)):
            if not is_finite(x):
                yield f"{name}[{i}]" if several else name, np.asarray(data_of(x))
