"""Reductions that leave nan out: the same sums, of the numbers that are there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.engine.dispatch import plain
from tinygrad_edu.ops.conversion import cast, wide
from tinygrad_edu.ops.keywords import in_dtype, single
from tinygrad_edu.ops.matrices import vector_norm
from tinygrad_edu.ops.reductions import of_either

__all__ = [
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]

Axis = int | tuple[int, ...] | None

_GAPS = np.array([[0.3, np.nan, -1.2, 2.0], [np.nan, 0.7, 5.0, -0.4]])
_SOME = np.array([[True, True, False, True], [True, True, False, True]])
_ALONG = [
    Case((2, 3)),
    Case(_GAPS),
    Case(_GAPS, axis=0),
    Case(_GAPS, axis=-1, keepdims=True),
    Case((2, 3, 2), axis=(0, -1)),
]
_MASKED = [*_ALONG, Case(_GAPS, axis=1, where=_SOME)]
_STARTED = [*_MASKED, Case(_GAPS, axis=1, where=_SOME, initial=2.5)]
_BOUNDED = [*_ALONG, _STARTED[-1]]

plain(np.nanargmax, np.nanargmin)


def _there(x: Any, where: Any) -> Any:
    """Return where a number is one, and counts: a plain array."""
    there = ~np.isnan(x)
    return there if where is None else there & np.broadcast_to(where, np.shape(x))


@composite(np.nansum, arrays=("x", "initial"), cases=_STARTED)
def nansum(
    x: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Sum of the numbers that are not nan, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or tuple of int, optional
        The axes to sum over; all unless given.
    dtype : dtype, optional
        In which it is computed, one of floating-point numbers; that of ``x`` unless
        given.
    keepdims : bool, default False
        Keep the summed axes, with length 1.
    initial : float or Tensor, shape (), optional
        What is added, in ``x``'s unit; nothing unless given.
    where : array_like of bool, of a shape that broadcasts to ``x``'s, optional
        Which numbers count; all unless given.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without the summed axes

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    Σ x; dL/dx = g, and 0 by a nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nansum([1.0, float("nan"), 2.0]))
    3.0
    """
    x = np.where(_there(x, where), in_dtype(x, dtype, "nansum"), 0)
    y = np.sum(x, axis=axis, keepdims=keepdims)
    return y if initial is None else y + single(initial, y.dtype, "nansum")


@composite(np.nanprod, arrays=("x", "initial"), cases=_STARTED)
def nanprod(
    x: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Product of the numbers that are not nan, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis, dtype, keepdims, where
        As for :func:`nansum`.
    initial : float or Tensor, shape (), optional
        A further factor, in any unit; none unless given.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without the multiplied axes

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    Π x; dL/dxᵢ = g Π xⱼ over the others, and 0 by a nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanprod([3.0, float("nan"), 2.0]))
    6.0
    """
    x = np.where(_there(x, where), in_dtype(x, dtype, "nanprod"), 1)
    y = np.prod(x, axis=axis, keepdims=keepdims)
    return y if initial is None else y * single(initial, y.dtype, "nanprod")


@composite(np.nanmean, cases=_MASKED)
def nanmean(
    x: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    where: Any = None,
) -> Any:
    """Mean of the numbers that are not nan, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis, dtype, keepdims, where
        As for :func:`nansum`.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without the averaged axes
        nan, with a warning, where there is no number.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    Σ x / n with the count n of the numbers; dL/dx = g / n, and 0 by a nan. What ``x``
    was computed from has a derivative of 0 times nan, which is nan, if a rule before
    multiplies with a number that is nan: of ``np.nanmean((data - w) ** 2)`` by w. Leave
    nan out first: ``there = ~np.isnan(data); np.mean((data[there] - w) ** 2)``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanmean([1.0, float("nan"), 2.0]))
    1.5
    """
    x = in_dtype(x, dtype, "nanmean")
    mean, count = _mean(wide(x), _there(x, where), axis, keepdims)
    _warn_of(count == 0, "Mean of empty slice")
    return cast(mean, x.dtype)


def _mean(x: Any, there: Any, axis: Axis, keepdims: bool) -> Any:
    """Return the mean, nan of nothing, and how many numbers it is of."""
    count = np.sum(there, axis=axis, keepdims=keepdims)
    total = np.sum(np.where(there, x, 0), axis=axis, keepdims=keepdims)
    return total / _or_nan(count, x), count


def _or_nan(count: Any, x: Any) -> Any:
    """Return a divisor in the dtype of x, nan where it is not positive."""
    return np.where(np.greater(count, 0), count, np.nan).astype(x.dtype)


def _warn_of(lost: Any, text: str) -> None:
    if np.any(lost):
        warnings.warn(text, RuntimeWarning, stacklevel=5)


_SPREAD = [
    *_MASKED,
    Case(_GAPS, axis=1, ddof=1),
    Case(_GAPS, axis=1, correction=0.5),
    Case(_GAPS, axis=1, mean=np.array([[0.5], [1.5]])),
]


@composite(np.nanvar, arrays=("x", "mean"), cases=_SPREAD)
def nanvar(
    x: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """Variance of the numbers that are not nan, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis, dtype, keepdims, where
        As for :func:`nansum`.
    ddof : float, default 0
        What is taken off the count of numbers in the denominator, dimensionless; also
        called ``correction``.
    mean : Tensor or array_like, of the shape of the result with ``keepdims``, optional
        The mean, if it is known.
    correction : float, optional
        In place of ``ddof``, dimensionless.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without these axes
        nan, with a warning, where there are too few numbers.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or both ``ddof`` and ``correction`` are given.

    Notes
    -----
    Σ (x - mean)² / (n - ddof); dL/dx = 2 g (x - mean) / (n - ddof), and 0 by a nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanvar([1.0, float("nan"), 3.0]))
    1.0
    """
    x = in_dtype(x, dtype, "nanvar")
    off, there = _off_mean(x, axis, where, mean)
    count = np.sum(there, axis=axis, keepdims=keepdims)
    degrees = count - of_either(ddof, correction, "nanvar")
    _warn_of(degrees <= 0, "Degrees of freedom <= 0 for slice.")
    total = np.sum(off * off, axis=axis, keepdims=keepdims)
    return cast(total / _or_nan(degrees, off), x.dtype)


def _off_mean(x: Any, axis: Axis, where: Any, mean: Any) -> Any:
    """Return how far numbers are off the mean, 0 for nan, and where they are."""
    there = _there(x, where)
    x = wide(x)
    if mean is not None:
        return np.where(there, x - mean, 0), there
    off = np.where(there, x - _mean(x, there, axis, True)[0], 0)
    again = _mean(off, there, axis, True)[0]  # of equal numbers now 0
    return np.where(there, off - again, 0), there


@composite(np.nanstd, arrays=("x", "mean"), cases=_SPREAD)
def nanstd(
    x: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """Standard deviation of the numbers that are not nan.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis, dtype, ddof, keepdims, where, mean, correction
        As for :func:`nanvar`.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without these axes
        nan, with a warning, where there are too few numbers.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or both ``ddof`` and ``correction`` are given.

    Notes
    -----
    s = √(Σ (x - mean)² / (n - ddof)); dL/dx = g (x - mean) / ((n - ddof) s), 0 by a nan
    and where s is 0, as for :func:`std`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanstd([1.0, float("nan"), 3.0]))
    1.0
    """
    x = in_dtype(x, dtype, "nanstd")
    off, there = _off_mean(x, axis, where, mean)
    count = np.sum(there, axis=axis, keepdims=True)
    degrees = count - of_either(ddof, correction, "nanstd")
    _warn_of(degrees <= 0, "Degrees of freedom <= 0 for slice.")
    alone = (count <= 1) & (mean is None)  # 0 for any number: without a kink
    length = vector_norm(np.where(alone, 1.0, off), axis=_axes(x, axis), keepdims=True)
    s = np.where(alone, 0.0, length) / np.sqrt(_or_nan(degrees, off))
    s = cast(s, x.dtype)
    return s if keepdims else np.squeeze(s, axis=_axes(x, axis))


def _axes(x: Any, axis: Axis) -> tuple[int, ...]:
    if axis is None or x.ndim == 0:
        return tuple(range(x.ndim))
    return normalize_axis_tuple(axis, x.ndim)


@composite(np.nanmax, arrays=("x", "initial"), cases=_BOUNDED)
def nanmax(
    x: Any,
    axis: Axis = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The largest number that is not nan, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis, keepdims, where
        As for :func:`nansum`; ``where`` needs an ``initial``.
    initial : float or Tensor, shape (), optional
        The result is not smaller than that, in ``x``'s unit.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without the searched axes
        nan, with a warning, where there is no number.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or an axis of no length.

    Notes
    -----
    max x; dL/dx = g at the largest number. Where n numbers tie, each gets g / n.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanmax([1.0, float("nan"), 2.0]))
    2.0
    """
    y = _extremum(x, np.max, -np.inf, axis, keepdims, initial, where)
    return y if initial is None else np.maximum(y, single(initial, y.dtype, "nanmax"))


@composite(np.nanmin, arrays=("x", "initial"), cases=_BOUNDED)
def nanmin(
    x: Any,
    axis: Axis = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The smallest number that is not nan, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis, keepdims, where
        As for :func:`nanmax`.
    initial : float or Tensor, shape (), optional
        The result is not larger than that, in ``x``'s unit.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without the searched axes
        nan, with a warning, where there is no number.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or an axis of no length.

    Notes
    -----
    min x; dL/dx = g at the smallest number. Where n numbers tie, each gets g / n.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanmin([1.0, float("nan"), 2.0]))
    1.0
    """
    y = _extremum(x, np.min, np.inf, axis, keepdims, initial, where)
    return y if initial is None else np.minimum(y, single(initial, y.dtype, "nanmin"))


def _extremum(
    x: Any,
    best: Any,
    worst: float,
    axis: Axis,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Any:
    if where is not None and initial is None:
        raise ValueError("where needs an initial: there may be no number that counts")
    there = _there(x, where)
    none: Any = np.False_
    if initial is None:
        none = ~np.any(there, axis=axis, keepdims=True)
        _warn_of(none, "All-NaN slice encountered")
    y = best(np.where(there | none, x, worst), axis=axis, keepdims=keepdims)
    tied = (y == worst) & ~np.all(there, axis=axis, keepdims=keepdims)
    if np.any(tied):  # with what stands in the place of nan: among numbers they share
        y = np.where(tied, _mean(x, there, axis, keepdims)[0], y)
    return y
