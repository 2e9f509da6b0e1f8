"""Numbers shifted and scaled to mean 0 and variance 1, in as few passes as it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.conversion import are_rows, wide

__all__ = ["standardize"]

Axes = int | tuple[int, ...] | None


def _mean(x: Any, axis: Axes) -> Any:
    """Return the mean along axes, which are kept.

    Along the first by itself: twice as fast for images, and ten times if their channels
    are last in memory.
    """
    if type(axis) is tuple and 0 in axis and len(axis) > 1:
        x, axis = np.mean(x, axis=0, keepdims=True), tuple(n for n in axis if n)
    return np.mean(x, axis=axis, keepdims=True)


def _mean_product(a: Any, b: Any, axis: Axes) -> Any:
    """Return the mean of a b; along rows in memory without an array of the products.

    For 2048 x 256 numbers in 0.14 ms instead of 0.33.
    """
    if axis == -1 and are_rows(a, b):
        return (np.vecdot(a, b) / a.shape[-1])[..., None]
    return _mean(a * b, axis)


def _deviation(x: Any, *, axis: Axes, eps: float) -> Any:
    """√(variance + eps), with the axes kept."""
    x = wide(x)
    centred = x - _mean(x, axis)
    return np.sqrt(_mean_product(centred, centred, axis) + eps)


@op(
    symbol="standardize",
    residuals={"deviation": _deviation},
    texts={"x": "({g} without its mean and {out} part) / std"},
    cases=[
        Case((3, 5)),
        Case((4, 3), axis=0, eps=1e-5),
        Case((2, 3, 4), axis=(0, 2), eps=0.5),
        Case((6,), axis=None),
    ],
)
def standardize(x: Any, *, axis: Axes = -1, eps: float = 0.0) -> Any:
    """Numbers shifted and scaled to mean 0 and variance 1 along axes.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int, tuple of int or None, default -1
        Along which mean and variance are taken; all if None.
    eps : float, default 0
        Added to the variance, in the square of x's unit: what is constant then becomes
        0, not nan.

    Returns
    -------
    Tensor or ndarray, of x's shape

    Notes
    -----
    y = (x - mean) / √(var + eps), with the variance divided by the count and taken of
    the centred numbers, so that a large mean costs no digits; dL/dx = (g - mean(g) -
    y mean(g y)) / √(var + eps).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.standardize([1.0, 2.0, 3.0]).round(3)
    array([-1.225,  0.   ,  1.225])
    """
    given = np.asarray(x)
    x = wide(given)
    y = x - _mean(x, axis)
    deviation = np.sqrt(_mean_product(y, y, axis) + eps)
    y /= deviation
    return y if x is given else y.astype(given.dtype), deviation


def _rule(g: Any, out: Any, x: Any, *, axis: Axes, eps: float, deviation: Any) -> Any:
    g, out = wide(g), wide(out)
    d = out * -_mean_product(g, out, axis)  # an array is written to from here on
    d += g
    d -= _mean(g, axis)
    d /= deviation
    return d


standardize.vjp(x=_rule)
