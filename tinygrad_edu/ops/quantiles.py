"""Quantiles and percentiles: order statistics, and what lies between two of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.ops.conversion import cast, of_value
from tinygrad_edu.ops.indexing import take_along_axis
from tinygrad_edu.ops.kinks import numbers
from tinygrad_edu.ops.reductions import rows_of
from tinygrad_edu.ops.statistics import fitted_weights

__all__ = [
    "nanmedian",
    "nanpercentile",
    "nanquantile",
    "percentile",
    "quantile",
]

Axis = int | tuple[int, ...] | None

# NumPy's stubs want a literal for the method, and know no keepdims of either kind.
_quantile: Any = np.quantile

_WEIGHTS = np.array([0.5, 2.0, 1.0, 0.25])
_GAPS = np.array([[0.3, np.nan, -1.2, 2.0], [np.nan, 0.7, 5.0, -0.4]])


def _cases(hundred: float, *further: Case) -> list[Case]:
    weights = _WEIGHTS if not further else _WEIGHTS * [[1.0], [3.0]]
    inverted: dict[str, Any] = {"method": "inverted_cdf", "weights": weights}
    return [
        Case((5,), 0.3 * hundred),
        Case((2, 4), np.array([0.0, 0.1, 0.75, 1.0]) * hundred, axis=1),
        Case((3, 2), np.array([[0.2, 0.5]]) * hundred, axis=0, keepdims=True),
        Case((2, 3, 2), 0.4 * hundred, axis=(0, -1), method="hazen"),
        Case((2, 4), 0.4 * hundred, axis=1, method="closest_observation"),
        Case((2, 4), np.array([0.3, 0.6]) * hundred, axis=-1, **inverted),
        *further,
    ]


@composite(np.quantile, arrays=("x",), cases=_cases(1.0))
def quantile(
    x: Any,
    q: Any,
    axis: Axis = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
    weights: Any = None,
) -> Any:
    """Numbers below which given shares of all lie, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    q : float or array_like, any shape
        Shares, from 0 to 1, dimensionless. They have no derivative.
    axis : int or tuple of int, optional
        The axes to search; all unless given.
    method : str, default "linear"
        How to choose between two neighbours: any of ``numpy.quantile``.
    keepdims : bool, default False
        Keep the searched axes, with length 1.
    weights : array_like, optional
        Of ``x``'s shape, or of that of its axes ``axis``; only for the method
        "inverted_cdf". They have no derivative.

    Returns
    -------
    Tensor or ndarray, of the shape of ``q``, then of ``x`` without the searched axes

    Raises
    ------
    ValueError
        If ``x`` has no such axis, ``q`` lies outside 0 to 1, or there is no such
        method.

    Notes
    -----
    (1 - t) x₍ᵢ₎ + t x₍ᵢ₊₁₎ with neighbours in ascending order; dL/dx = (1 - t) g at
    the one, t g at the other. Equal numbers keep their order, as in :func:`sort`. nan
    where the result is nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.quantile([3.0, 1.0, 2.0], [0.5, 0.75])
    array([2. , 2.5])
    """
    how = {"axis": axis, "method": method, "keepdims": keepdims, "weights": weights}
    value = _quantile(numbers(x), q, **how)
    return of_value(_between_neighbours(x, q, value, **how), value)


@composite(np.percentile, arrays=("x",), cases=_cases(100.0))
def percentile(
    x: Any,
    q: Any,
    axis: Axis = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
    weights: Any = None,
) -> Any:
    """Numbers below which given percentages of all lie.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    q : float or array_like, any shape
        From 0 to 100, dimensionless. They have no derivative.
    axis, method, keepdims, weights
        As for :func:`quantile`.

    Returns
    -------
    Tensor or ndarray, of the shape of ``q``, then of ``x`` without the searched axes

    Raises
    ------
    ValueError
        If ``x`` has no such axis, ``q`` lies outside 0 to 100, or there is no such
        method.

    Notes
    -----
    As :func:`quantile`, of q / 100.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.percentile([3.0, 1.0, 2.0], 75))
    2.5
    """
    how = {"axis": axis, "method": method, "keepdims": keepdims, "weights": weights}
    value = np.percentile(numbers(x), q, **how)
    q = np.true_divide(q, 100.0)
    return of_value(_between_neighbours(x, q, value, **how), value)


def _of_gaps(hundred: float) -> list[Case]:
    weights = _WEIGHTS * [[1.0], [3.0]]
    return [
        Case(_GAPS, 0.3 * hundred, axis=1),
        Case(_GAPS, 0.6 * hundred),
        Case(_GAPS, 0.5 * hundred, axis=0),
        Case(_GAPS, 0.5 * hundred, axis=1, method="inverted_cdf", weights=weights),
    ]


@composite(np.nanquantile, arrays=("x",), cases=_cases(1.0, *_of_gaps(1.0)))
def nanquantile(
    x: Any,
    q: Any,
    axis: Axis = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
    weights: Any = None,
) -> Any:
    """Quantiles of the numbers that are not nan.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    q : float or array_like, any shape
        Shares, from 0 to 1, dimensionless. They have no derivative.
    axis, method, keepdims, weights
        As for :func:`quantile`.

    Returns
    -------
    Tensor or ndarray, of the shape of ``q``, then of ``x`` without the searched axes
        nan, with a warning, where all are nan.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, ``q`` lies outside 0 to 1, or there is no such
        method.

    Notes
    -----
    As :func:`quantile`; the derivative by a nan is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanquantile([3.0, float("nan"), 1.0], 0.75))
    2.5
    """
    how = {"axis": axis, "method": method, "keepdims": keepdims, "weights": weights}
    value = np.nanquantile(numbers(x), q, **how)
    return of_value(_between_neighbours(x, q, value, skip=True, **how), value)


@composite(
    np.nanpercentile,
    arrays=("x",),
    cases=_cases(100.0, *_of_gaps(100.0)),
)
def nanpercentile(
    x: Any,
    q: Any,
    axis: Axis = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
    weights: Any = None,
) -> Any:
    """Percentiles of the numbers that are not nan.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    q : float or array_like, any shape
        From 0 to 100, dimensionless. They have no derivative.
    axis, method, keepdims, weights
        As for :func:`quantile`.

    Returns
    -------
    Tensor or ndarray, of the shape of ``q``, then of ``x`` without the searched axes
        nan, with a warning, where all are nan.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, ``q`` lies outside 0 to 100, or there is no such
        method.

    Notes
    -----
    As :func:`quantile`, of q / 100; the derivative by a nan is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanpercentile([3.0, float("nan"), 1.0], 75))
    2.5
    """
    how = {"axis": axis, "method": method, "keepdims": keepdims, "weights": weights}
    value = np.nanpercentile(numbers(x), q, **how)
    q = np.true_divide(q, 100.0)
    return of_value(_between_neighbours(x, q, value, skip=True, **how), value)


@composite(
    np.nanmedian,
    cases=[
        Case((5,)),
        Case(_GAPS),
        Case(_GAPS, axis=1),
        Case((3, 2, 3), axis=(0, -1), keepdims=True),
    ],
)
def nanmedian(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The number in the middle of the sorted ones that are not nan.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or tuple of int, optional
        The axes to search; all unless given.
    keepdims : bool, default False
        Keep the searched axes, with length 1.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without the searched axes
        nan, with a warning, where all are nan.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    As :func:`nanquantile`, of 0.5: among equal numbers the derivative goes to those
    that stand in the middle.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nanmedian([3.0, float("nan"), 1.0]))
    2.0
    """
    value: Any = np.nanmedian(numbers(x), axis=axis, keepdims=keepdims)
    y = _between_neighbours(x, 0.5, value, axis, keepdims=keepdims, skip=True)
    return of_value(y, value)


def _between_neighbours(
    x: Any,
    q: Any,
    value: Any,
    axis: Axis = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
    weights: Any = None,
    skip: bool = False,
) -> Any:
    """Return the quantiles, each as a mean of two neighbours, in the dtype of value."""
    if skip and x.size == 0:  # NumPy's result is the nan of a mean of nothing
        total = np.sum(x, axis=axis, keepdims=keepdims)
        return cast(total * np.nan, np.dtype(value.dtype))
    axes = tuple(range(x.ndim))
    if axis is not None and x.ndim:
        axes = normalize_axis_tuple(axis, x.ndim)
    rows = rows_of(x, axes)
    plain = numbers(rows)
    lost = np.isnan(plain)
    if lost.any():  # where the result is nan, so is the derivative
        gone = lost.all(-1) if skip else lost.any(-1)
        rows = rows * np.where(gone, np.nan, 1.0).astype(x.dtype)[..., None]
    order = np.argsort(plain, -1, stable=True)  # nan come last
    if weights is not None:
        weights = np.broadcast_to(
            fitted_weights(weights, x.shape, axis, "quantile"), x.shape
        )
        weights = np.take_along_axis(
            np.where(lost, 0.0, rows_of(weights, axes)), order, -1
        )
    places = _places(plain.shape, np.ravel(q), method, weights, lost if skip else None)
    below = np.floor(places).astype(int)
    above = np.ceil(places).astype(int)
    a, b = (
        take_along_axis(rows, np.take_along_axis(order, i, -1), axis=-1)
        for i in (below, above)
    )
    y = a + (b - a) * (places - below).astype(x.dtype)
    y = np.moveaxis(y, -1, 0)
    return np.reshape(cast(y, np.dtype(value.dtype)), np.shape(value))


def _places(
    shape: tuple[int, ...], q: Any, method: str, weights: Any, lost: Any
) -> np.ndarray:
    """Return where the quantiles stand in each sorted row: (..., q), between 0 and n-1.

    They are the quantiles of the places themselves, 0, 1, 2, ...
    """
    n = shape[-1]
    places: np.ndarray
    if weights is not None:
        everywhere = np.broadcast_to(np.arange(n), shape)
        places = _quantile(everywhere, q, axis=-1, method=method, weights=weights)
        return np.moveaxis(np.asarray(places, float), 0, -1)
    counts = np.full(shape[:-1], n) if lost is None else n - lost.sum(-1)
    places = np.zeros((*counts.shape, q.size))
    for count in np.unique(counts):
        if count:  # else the row is nan throughout
            at = _quantile(np.arange(float(count)), q, method=method)
            places[counts == count] = at
    return places
