"""Weighted means, covariances and correlations; the range of numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import DTypeLike

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.conversion import cast, of_value
from tinygrad_edu.ops.kinks import numbers

__all__ = ["average", "corrcoef", "cov", "fitted_weights", "ptp"]

Axis = int | tuple[int, ...] | None

_WEIGHTS = np.array([0.5, 2.0, 1.0, 0.25])


@composite(
    np.average,
    arrays=("x", "weights"),
    cases=[
        Case((2, 4)),
        Case((4,), weights=_WEIGHTS),
        Case((2, 4), axis=1, weights=_WEIGHTS, keepdims=True),
        Case((4, 2), axis=0, weights=_WEIGHTS.reshape(4, 1) * [1.0, 3.0]),
        Case((2, 3, 4), axis=(2, 0), weights=np.outer(_WEIGHTS, [1.0, 2.0])),
        Case((2, 4), axis=-1, weights=_WEIGHTS, returned=True),
        Case((2, 4), axis=0, returned=True),
    ],
)
def average(
    x: Any,
    axis: Axis = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Any:
    """Weighted mean along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or tuple of int, optional
        The axes to average over; all unless given.
    weights : Tensor or array_like, optional
        Of ``x``'s shape, or of that of its axes ``axis``; all equal unless given.
    returned : bool, default False
        Return the sums of the weights, too.
    keepdims : bool, default False
        Keep the averaged axes, with length 1.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without the averaged axes
        With ``returned`` a tuple of two.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or the weights do not fit.
    ZeroDivisionError
        If weights have the sum 0.

    Notes
    -----
    Σ w x / Σ w; dL/dxᵢ = g wᵢ / Σ w, dL/dwᵢ = g (xᵢ - mean) / Σ w.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.average([1.0, 4.0], weights=[2.0, 1.0]))
    2.0
    """
    if axis is not None:  # unlike a mean's, also of a number
        normalize_axis_tuple(axis, np.ndim(x))
    if weights is None:
        mean = np.mean(x, axis=axis, keepdims=keepdims)
        total = np.full(mean.shape, x.size / mean.size, mean.dtype)
        return (mean, total) if returned else mean
    weights = fitted_weights(weights, np.shape(x), axis, "average")
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    if np.any(total == 0):
        raise ZeroDivisionError("average: the weights have the sum 0")
    mean = np.sum(x * weights, axis=axis, keepdims=keepdims) / total
    if not returned:
        return mean
    return mean, broadcast_to(total, shape=mean.shape)


def fitted_weights(weights: Any, shape: tuple[int, ...], axis: Axis, who: str) -> Any:
    """Return the weights in a shape that broadcasts to that of the numbers.

    Raises
    ------
    ValueError
        If they have neither this shape nor that of the axes ``axis``.
    """
    if np.shape(weights) == shape:
        return weights
    axes = () if axis is None else normalize_axis_tuple(axis, len(shape))
    if axis is None or np.shape(weights) != tuple(shape[a] for a in axes):
        along = "" if axis is None else f", or that of its axes {axes}"
        raise ValueError(
            f"{who}: weights must have the shape of x, {shape}{along}; got "
            f"{np.shape(weights)}"
        )
    turned = np.transpose(weights, np.argsort(axes).tolist())
    kept = tuple(n if a in axes else 1 for a, n in enumerate(shape))
    return np.reshape(turned, kept)


@composite(
    np.cov,
    arrays=("x", "y", "aweights"),
    cases=[
        Case((2, 5)),
        Case((5,)),
        Case((5,), y=_WEIGHTS[[0, 1, 2, 3, 1]]),
        Case((4, 2), rowvar=False, ddof=0),
        Case((4, 1), y=_WEIGHTS.reshape(4, 1), rowvar=False, bias=True),
        Case((2, 4), fweights=np.array([1, 3, 1, 2])),
        Case((2, 4), aweights=_WEIGHTS, fweights=np.array([1, 3, 1, 2])),
        Case((2, 4), aweights=_WEIGHTS, bias=True, dtype=np.longdouble),
    ],
)
def cov(
    x: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: DTypeLike | None = None,
) -> Any:
    """Covariances of several variables.

    Parameters
    ----------
    x : Tensor or array_like, shape (k,) or (variables, k)
        Observations, a row for each variable.
    y : Tensor or array_like, of a shape like ``x``'s, optional
        Further variables.
    rowvar : bool, default True
        Whether variables are rows; else they are columns.
    bias : bool, default False
        Divide by k instead of k - 1.
    ddof : int, optional
        What to take off k, in place of 1 or 0.
    fweights : array_like of int, shape (k,), optional
        How often each observation was made. They have no derivative.
    aweights : Tensor or array_like, shape (k,), optional
        How much each observation weighs.
    dtype : dtype, optional
        Of the result, at least float64 unless given.

    Returns
    -------
    Tensor or ndarray, shape (variables, variables), or () for one

    Raises
    ------
    ValueError
        If ``x`` has more than two axes, the weights do not fit, or are negative.
    TypeError
        If ``fweights`` are no integers.

    Notes
    -----
    C = Σₖ (xₖ - mean)(xₖ - mean)ᵀ / (k - 1); dL/dX = (g + gᵀ)(X - mean) / (k - 1).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cov([[1.0, 2.0, 3.0], [2.0, 4.0, 9.0]])
    array([[ 1. ,  3.5],
           [ 3.5, 13. ]])
    """
    given = [v for v in (x, y) if v is not None]
    if dtype is None:
        dtype = np.result_type(*given, np.float64)
    rows = [_rows(v, rowvar) for v in given]
    if not len(rows[0]):  # no variables, among which NumPy counts no y either
        return np.matmul(rows[0], rows[0].T)
    x = cast(rows[0] if y is None else np.concatenate(rows), np.dtype(dtype))
    ddof = (0 if bias else 1) if ddof is None else ddof
    w = _observation_weights(fweights, aweights, x.shape[1])
    mean, total = (
        (np.mean(x, axis=1, keepdims=True), x.shape[1])
        if w is None
        else (np.sum(x * w, axis=1, keepdims=True) / np.sum(w), np.sum(w))
    )
    if ddof and aweights is not None:
        total = total - ddof * np.sum(w * aweights) / total
    else:
        total = total - ddof
    if total <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=4)
        total = 0.0
    off = x - mean
    products = np.matmul(off, (off if w is None else off * w).T)
    return np.squeeze(products * (1.0 / total if total else np.inf))


def _rows(x: Any, rowvar: bool) -> Any:
    if np.ndim(x) > 2:
        raise ValueError(f"cov: x and y have at most two axes, got {np.shape(x)}")
    if np.ndim(x) < 2:
        return np.reshape(x, (1, -1))
    return x if rowvar else x.T


def _observation_weights(fweights: Any, aweights: Any, k: int) -> Any:
    """Return the weight of each observation, None where all weigh the same."""
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is not None and np.shape(w) != (k,):
            raise ValueError(
                f"cov: {name} must have the shape ({k},), got {np.shape(w)}"
            )
        if w is not None and np.any(np.less(w, 0)):
            raise ValueError(f"cov: {name} must not be negative")
    if fweights is None:
        return aweights
    fweights = np.asarray(fweights, float)
    if not np.array_equal(fweights, np.rint(fweights)):
        raise TypeError("cov: fweights must be integers: how often one was observed")
    return fweights if aweights is None else fweights * aweights


@composite(
    np.corrcoef,
    arrays=("x", "y"),
    cases=[
        Case((2, 5)),
        Case((3,), y=_WEIGHTS[:3]),
        Case((5, 3), rowvar=False, dtype=np.longdouble),
        Case((4,)),
    ],
)
def corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, *, dtype: DTypeLike | None = None
) -> Any:
    """Correlation coefficients of several variables.

    Parameters
    ----------
    x : Tensor or array_like, shape (k,) or (variables, k)
        Observations, a row for each variable.
    y : Tensor or array_like, of a shape like ``x``'s, optional
        Further variables.
    rowvar : bool, default True
        Whether variables are rows; else they are columns.
    dtype : dtype, optional
        Of the result, at least float64 unless given.

    Returns
    -------
    Tensor or ndarray, shape (variables, variables), or () for one
        Between -1 and 1; nan for a variable that does not vary.

    Raises
    ------
    ValueError
        If ``x`` has more than two axes.

    Notes
    -----
    rᵢⱼ = cᵢⱼ / √(cᵢᵢ cⱼⱼ), with the covariances c of :func:`cov`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviations = np.sqrt(np.diagonal(c))
    r = c / deviations[:, None] / deviations[None, :]
    return of_value(r, np.clip(numbers(r), -1.0, 1.0))


@composite(
    np.ptp,
    cases=[
        Case((2, 4)),
        Case((2, 4), axis=1, keepdims=True),
        Case((2, 3, 2), axis=(0, -1)),
    ],
)
def ptp(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The range along an axis, several, or all: the largest number less the smallest.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or tuple of int, optional
        The axes to search; all unless given.
    keepdims : bool, default False
        Keep the searched axes, with length 1.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without these axes

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or an axis of no length.

    Notes
    -----
    max x - min x; dL/dx = g at the largest, -g at the smallest. Those that tie share.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.ptp([3.0, 1.0, 8.0]))
    7.0
    """
    largest = np.max(x, axis=axis, keepdims=keepdims)
    return largest - np.min(x, axis=axis, keepdims=keepdims)
