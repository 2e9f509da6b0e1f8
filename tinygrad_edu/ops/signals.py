"""Sequences: convolution, correlation, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.ops.conversion import arrays, cast, of_value
from tinygrad_edu.ops.convolution import conv1d
from tinygrad_edu.ops.kinks import numbers

_interp: Any = np.interp  # NumPy's stubs know of no arguments in a sequence

__all__ = ["convolve", "correlate", "interp"]

_LENGTHS = [
    Case((5,), (3,), mode="full"),
    Case((5,), (3,), mode="same"),
    Case((5,), (2,), mode="same"),
    Case((5,), (3,), mode="valid"),
    Case((2,), (5,), mode="same"),
    Case((3,), (4,), mode="valid"),
    Case((1,), (4,), mode="full"),
]


@composite(np.convolve, cases=[*_LENGTHS, Case((4,), (2,))])
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Convolution of two sequences.

    Parameters
    ----------
    a, v : Tensor or array_like, shape (n,) and (m,)
    mode : {"full", "same", "valid"}, default "full"
        Every overlap, n + m - 1; as many as the longer has, the middle ones; or only
        where both overlap wholly, the longer less the shorter + 1.

    Returns
    -------
    Tensor or ndarray, shape (k,)

    Raises
    ------
    ValueError
        If one is empty, has more than one axis, or the mode is another.

    Notes
    -----
    yₖ = Σ aᵢ vₖ₋ᵢ; dL/da = Σ gₖ vₖ₋ᵢ, and likewise by v. Made of :func:`conv1d`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.convolve([1.0, 2.0, 3.0], [0.0, 1.0])
    array([0., 1., 2., 3.])
    """
    a, v = _sequences(np.atleast_1d(a), np.atleast_1d(v), "convolve")
    if len(v) > len(a):
        a, v = v, a
    return _overlaps(a, np.flip(v), mode, "convolve")


@composite(np.correlate, cases=[*_LENGTHS, Case((4,), (2,))])
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Correlation of two sequences.

    Parameters
    ----------
    a, v : Tensor or array_like, shape (n,) and (m,)
    mode : {"valid", "same", "full"}, default "valid"
        As for :func:`convolve`.

    Returns
    -------
    Tensor or ndarray, shape (k,)

    Raises
    ------
    ValueError
        If one is empty, has more than one axis, or the mode is another.

    Notes
    -----
    yₖ = Σ aᵢ₊ₖ vᵢ; dL/dv = Σ gₖ aᵢ₊ₖ, and likewise by a. Made of :func:`conv1d`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.correlate([1.0, 2.0, 3.0], [0.0, 1.0])
    array([2., 3.])
    """
    a, v = _sequences(a, v, "correlate")
    if len(v) > len(a):
        return np.flip(_overlaps(v, a, mode, "correlate"))
    return _overlaps(a, v, mode, "correlate")


def _sequences(a: Any, v: Any, who: str) -> tuple[Any, Any]:
    for name, x in (("a", a), ("v", v)):
        if np.ndim(x) != 1 or np.size(x) == 0:
            raise ValueError(
                f"{who}: {name} must be a sequence of numbers, (n,), got {np.shape(x)}"
            )
    return a, v


def _overlaps(a: Any, v: Any, mode: str, who: str) -> Any:
    """Return the sums of products of ``v`` and what of ``a``, the longer, is beside."""
    n, m = len(a), len(v)
    margins = {"full": m - 1, "same": m - 1, "valid": 0}
    if mode not in margins:
        raise ValueError(f"{who}: mode must be full, same or valid, got {mode!r}")
    y = conv1d(a[None, None], v[None, None], padding=margins[mode])[0, 0]
    if mode != "same":
        return y
    return y[(m - 1) // 2 : (m - 1) // 2 + n]


_PLACES = np.array([0.0, 1.0, 1.5, 4.0])
_VALUES = np.array([2.0, -1.0, 0.5, 3.0])
_BETWEEN = np.array([[-1.0, 0.3, 1.2], [2.0, 3.7, 5.0]])


@composite(
    np.interp,
    arrays=("x", "xp", "fp", "left", "right"),
    cases=[
        Case(_BETWEEN, _PLACES, _VALUES),
        Case(_BETWEEN, _PLACES, _VALUES, left=-7.0, right=np.array(9.0)),
        Case(_BETWEEN, _PLACES[[2, 0, 3, 1]], _VALUES, period=4.5),
        Case(0.7, _PLACES, _VALUES),
    ],
)
def interp(
    x: Any,
    xp: Any,
    fp: Any,
    left: Any = None,
    right: Any = None,
    period: float | None = None,
) -> Any:
    """Values between given points, on the lines that join them.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        Where to look.
    xp : Tensor or array_like, shape (k,)
        Where the points are: in ascending order, but for a ``period``.
    fp : Tensor or array_like, shape (k,)
        Their values.
    left, right : float or Tensor, shape (), optional
        The values before the first point and behind the last, in ``fp``'s unit; those
        of these points unless given.
    period : float, optional
        Points come again after that distance, in ``xp``'s unit.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Raises
    ------
    ValueError
        If there are no points, ``xp`` and ``fp`` differ in shape, ``xp`` is not in
        ascending order (of plain numbers alone NumPy does not see to that), or the
        period is 0.

    Notes
    -----
    f₀ + (x - x₀)(f₁ - f₀) / (x₁ - x₀); dL/dx = g (f₁ - f₀) / (x₁ - x₀). At a point it
    is the slope behind it, and at the last one that before it; outside of all it is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.interp(1.5, [0.0, 1.0, 2.0], [0.0, 10.0, 30.0]))
    20.0
    """
    if period is None and np.any(np.diff(numbers(xp)) < 0):
        raise ValueError(
            "interp: xp must be in ascending order, else values are those of no line; "
            "write i = np.argsort(xp), and xp[i], fp[i]"
        )
    value = _interp(*map(numbers, (x, xp, fp, left, right)), period=period)
    x, xp, fp = (cast(y, np.dtype(float)) for y in arrays(x, xp, fp))
    if period is not None:
        left = right = None
        x, xp, fp = _once_around(x, xp, fp, abs(period))
    at, points = numbers(x), numbers(xp)
    left, right = (
        (fp[0] if left is None else left),
        (fp[-1] if right is None else right),
    )
    below, above = at < points[0], at > points[-1]
    if len(points) == 1:
        y = fp[0] + np.zeros(np.shape(at))
    else:
        last = np.searchsorted(points, points[-1]) - 1
        i = np.searchsorted(points, at, side="right") - 1
        i = np.clip(np.where(at < points[-1], i, last), 0, len(points) - 2)
        inside = np.where(below | above, points[0], x)  # an infinity has no slope
        slopes = (fp[1:] - fp[:-1]) / (xp[1:] - xp[:-1])
        y = fp[i] + (inside - xp[i]) * slopes[i]
    return of_value(np.where(below, left, np.where(above, right, y)), value)


def _once_around(x: Any, xp: Any, fp: Any, period: float) -> tuple[Any, Any, Any]:
    """Return what lies within one period, and the points next to it on both sides."""
    x, xp = np.remainder(x, period), np.remainder(xp, period)
    order = np.argsort(xp)
    xp, fp = xp[order], fp[order]
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])
