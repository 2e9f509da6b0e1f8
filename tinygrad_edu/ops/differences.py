"""Differences, and what is computed from them: slopes, areas, unwrapped angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.conversion import of_value
from tinygrad_edu.ops.kinks import numbers

__all__ = ["diff", "ediff1d", "gradient", "trapezoid", "unwrap"]

_RISING = np.array([0.0, 0.5, 2.0, 2.25, 4.0])  # unevenly spaced


@composite(
    np.diff,
    arrays=("x", "prepend", "append"),
    cases=[
        Case((5,)),
        Case((5,), n=3),
        Case((2, 4), axis=0),
        Case((2, 4), n=2, prepend=np.array([[1.0], [2.0]]), append=3.0),
        Case((3, 2), axis=0, append=np.array([[1.0, 2.0]])),
    ],
)
def diff(
    x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> Any:
    """Differences between neighbours along an axis.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., k, ...)
    n : int, default 1
        How often: differences of differences are of order 2.
    axis : int, default -1
    prepend, append : Tensor or array_like, optional
        What is put before and behind ``x`` first, a number or of ``x``'s shape but for
        the axis.

    Returns
    -------
    Tensor or ndarray, shape (..., k - n, ...)

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or ``n`` is negative.

    Notes
    -----
    yᵢ = xᵢ₊₁ - xᵢ; dL/dxᵢ = gᵢ₋₁ - gᵢ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.diff([1.0, 4.0, 9.0])
    array([3., 5.])
    """
    if n < 0:
        raise ValueError(f"diff: n must be 0, 1, 2, ..., got {n}")
    if n == 0:
        return x
    axis = normalize_axis_index(axis, np.ndim(x))
    ends = []
    for end in (prepend, append):
        if end is not None and np.ndim(end) == 0:
            shape = list(np.shape(x))
            shape[axis] = 1
            end = broadcast_to(end, shape=tuple(shape))
        ends.append([] if end is None else [end])
    if prepend is not None or append is not None:
        x = np.concatenate([*ends[0], x, *ends[1]], axis)
    before = (slice(None),) * axis
    for _ in range(n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(-1))]
    return x


@composite(
    np.ediff1d,
    arrays=("x", "to_end", "to_begin"),
    cases=[
        Case((5,)),
        Case((2, 3)),
        Case((3,), to_end=np.array([1.0, 2.0]), to_begin=5.0),
    ],
)
def ediff1d(x: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences between neighbours of the flattened array, and what goes around them.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    to_end, to_begin : Tensor or array_like, of any shape, optional
        What is put behind and before the differences.

    Returns
    -------
    Tensor or ndarray, shape (k,)

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ediff1d([1.0, 4.0, 9.0], to_begin=0.0)
    array([0., 3., 5.])
    """
    x = np.ravel(x)
    between = x[1:] - x[:-1]
    parts = [p for p in (to_begin, between, to_end) if p is not None]
    return between if len(parts) == 1 else np.concatenate(parts, None)


@composite(
    np.gradient,
    arrays=("f", "varargs"),
    cases=[
        Case((5,)),
        Case((5,), _RISING),
        Case((5,), 0.5, edge_order=2),
        Case((5,), _RISING, edge_order=2),
        Case((3, 4)),
        Case((3, 4), 2.0, (4,)),
        Case((3, 4), 2.0, axis=0, edge_order=2),
        Case((2, 3, 2), axis=(0, -1)),
    ],
)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Slopes of sampled values: central differences, and one-sided ones at the ends.

    Not the gradient of a function, which is :func:`tinygrad_edu.grad`.

    Parameters
    ----------
    f : Tensor or array_like, shape (..., k, ...)
        Values of a function at the points of a grid.
    *varargs : float, Tensor or array_like
        The distance of neighbours, in any unit: one for all axes, or one for each. In
        place of a distance their coordinates, shape (k,). 1 unless given.
    axis : int or tuple of int, optional
        The axes along which to go; all unless given.
    edge_order : {1, 2}, default 1
        The order of the differences at the ends, which take two or three points.

    Returns
    -------
    Tensor or ndarray, of ``f``'s shape, or a tuple of one for each axis

    Raises
    ------
    ValueError
        If an axis is too short, ``edge_order`` another, or a distance fits no axis.

    Notes
    -----
    yᵢ = (fᵢ₊₁ - fᵢ₋₁) / 2h, linear in f; for uneven coordinates the weights that are
    exact for parabolas.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.gradient([1.0, 4.0, 9.0])
    array([3., 4., 5.])
    """
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    axes = range(f.ndim) if axis is None else normalize_axis_tuple(axis, f.ndim)
    steps = varargs or (1.0,)
    if len(steps) == 1 and np.ndim(steps[0]) == 0:
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise ValueError(
            f"gradient: got {len(steps)} distances or coordinates for {len(axes)} "
            "axes; give one number for all, or one for each"
        )
    slopes = [_slopes(f, a, h, edge_order) for a, h in zip(axes, steps, strict=True)]
    return slopes[0] if len(axes) == 1 else tuple(slopes)


def _slopes(f: Any, axis: int, h: Any, edge_order: int) -> Any:
    """Return the slopes along an axis; ``h`` are distances or coordinates."""
    before, n = (slice(None),) * axis, f.shape[axis]
    if n <= edge_order:
        raise ValueError(
            f"gradient: f is {f.shape}; with edge_order {edge_order} axis {axis} must "
            f"have a length of {edge_order + 1} or more"
        )
    if np.ndim(h) and np.shape(h) != (n,):
        raise ValueError(
            f"gradient: f is {f.shape}, so coordinates along axis {axis} must have the "
            f"shape ({n},), got {np.shape(h)}"
        )

    def at(start: int | None, stop: int | None) -> Any:
        return f[(*before, slice(start, stop))]

    if np.ndim(h) == 0:
        inner = (at(2, None) - at(None, -2)) / (2.0 * h)
        steps = (h, h, h, h)
    else:
        d = h[1:] - h[:-1]
        column = np.reshape(d, (-1, *(1,) * (f.ndim - axis - 1)))
        left, right = column[:-1], column[1:]
        both = left + right
        inner = (
            at(None, -2) * (-right / (left * both))
            + at(1, -1) * ((right - left) / (left * right))
            + at(2, None) * (left / (right * both))
        )
        steps = (d[0], d[1] if edge_order == 2 else d[0], d[-1], d[-2 % len(d)])
    if edge_order == 1:
        first = (at(1, 2) - at(0, 1)) / steps[0]
        last = (at(n - 1, n) - at(n - 2, n - 1)) / steps[2]
    else:
        first = _of_parabola(at(0, 1), at(1, 2), at(2, 3), steps[0], steps[1])
        last = -_of_parabola(
            at(n - 1, n), at(n - 2, n - 1), at(n - 3, n - 2), steps[2], steps[3]
        )
    return np.concatenate([first, inner, last], axis)


def _of_parabola(a: Any, b: Any, c: Any, near: Any, far: Any) -> Any:
    """Return the slope at the first of three points, ``near`` and ``far`` apart."""
    both = near + far
    return (
        a * (-(2.0 * near + far) / (near * both))
        + b * (both / (near * far))
        - c * (near / (far * both))
    )


@composite(
    np.trapezoid,
    arrays=("y", "x", "dx"),
    cases=[
        Case((5,)),
        Case((2, 4), dx=0.5, axis=0),
        Case((2, 5), x=_RISING),
        Case((2, 4), x=np.arange(8.0).reshape(2, 4) ** 2),
        Case((3, 2), x=_RISING[:3], axis=0),
    ],
)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Area under sampled values, by the trapezoidal rule.

    Parameters
    ----------
    y : Tensor or array_like, shape (..., k, ...)
    x : Tensor or array_like, shape (k,) or of ``y``'s, optional
        Where the values were taken.
    dx : float or Tensor, default 1.0
        The distance of neighbours, where ``x`` is not given: a number of any unit, or
        of a shape that broadcasts.
    axis : int, default -1
        The axis along which to integrate.

    Returns
    -------
    Tensor or ndarray, of the shape of ``y`` without that axis

    Raises
    ------
    ValueError
        If ``y`` has no such axis, or ``x`` does not fit it.

    Notes
    -----
    Σ (xᵢ₊₁ - xᵢ) (yᵢ + yᵢ₊₁) / 2.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.trapezoid([0.0, 1.0, 4.0]))
    3.0
    """
    axis = normalize_axis_index(axis, np.ndim(y))
    before = (slice(None),) * axis
    upper, lower = (*before, slice(1, None)), (*before, slice(-1))
    d = dx
    if x is not None and np.ndim(x) == 1:
        d = x[1:] - x[:-1]
        d = np.reshape(d, (-1, *(1,) * (y.ndim - axis - 1)))
    elif x is not None:
        d = x[upper] - x[lower]
    return np.sum(d * (y[upper] + y[lower]) / 2.0, axis=axis)


@composite(
    np.unwrap,
    cases=[
        Case(np.array([0.1, 3.0, -3.0, 2.5, 0.0])),
        Case(np.array([[0.1, 3.0, -3.0], [-2.0, 2.0, 1.5]]), axis=0),
        Case(np.array([0.0, 1.0, 3.5, 0.2]), period=4.0, discont=1.0),
    ],
)
def unwrap(
    p: Any, discont: Any = None, axis: int = -1, *, period: float = math.tau
) -> Any:
    """Angles without jumps: whole periods are added where neighbours are far apart.

    Parameters
    ----------
    p : Tensor or array_like, shape (..., k, ...)
        In radians, or in the unit of ``period``.
    discont : float, optional
        From which distance on there is a jump, in the unit of ``period``; half of it
        unless given.
    axis : int, default -1
    period : float, default 2π
        In radians, or any other unit.

    Returns
    -------
    Tensor or ndarray, of ``p``'s shape

    Raises
    ------
    ValueError
        If ``p`` has no such axis.

    Notes
    -----
    p + m period with whole m; dL/dp = g, also at the jumps.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.unwrap([0.0, 3.0, -2.0], period=6.0)
    array([0., 3., 4.])
    """
    return of_value(p, np.unwrap(numbers(p), discont, axis, period=period))
