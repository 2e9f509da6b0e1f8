"""Reductions: many numbers to fewer, along one axis, several or all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY, FROM_REDUCE
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.conversion import narrow, wide
from tinygrad_edu.ops.keywords import counted, in_dtype, selected, single
from tinygrad_edu.ops.kinks import are_finite, lies_between, smallest, with_kink

__all__ = [
    *("floating", "logsumexp", "max", "mean", "min", "of_either", "rows_of", "shares"),
    *("std", "sum", "var"),
]

Axis = int | tuple[int, ...] | None

# NumPy's stubs know no keepdims that is either True or False.
_add: Any = np.add
_maximum: Any = np.maximum
_minimum: Any = np.minimum
_mean: Any = np.mean
_var: Any = np.var

#: Types of numbers that are added and multiplied as they are.
_WIDE = "fdg"

_AXES = [
    Case((2, 3)),
    Case((2, 3), axis=0),
    Case((2, 3, 4), axis=(0, -1)),
    Case((2, 3), axis=-1, keepdims=True),
]


def _axes(x: Any, axis: Axis) -> tuple[int, ...]:
    """Return ``axis`` as a tuple of numbers that are not negative."""
    if axis is None or x.ndim == 0:  # NumPy takes axis=0 of a number
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _kept(g: Any, x: Any, axis: Axis) -> Any:
    """Return ``g``, of a reduction of ``x``, in a shape that broadcasts to that of x.

    As it is if it keeps the axes that were reduced, or is a number.
    """
    if axis is None or g.ndim == x.ndim:
        return g
    kept = list(x.shape)
    for a in axis if isinstance(axis, tuple) else (axis,):
        kept[a] = 1
    return g.reshape(kept)


def _count(x: Any, axis: Axis) -> int:
    """Return how many numbers of ``x`` go into each result."""
    if axis is None or x.ndim == 0:
        return int(x.size)
    if isinstance(axis, tuple):
        return math.prod(x.shape[a] for a in axis)
    return int(x.shape[axis])


def _spread(g: Any, x: Any, axis: Axis) -> Any:
    """Repeat ``g``, of a reduction of ``x``, over the axes that were reduced."""
    return broadcast_to.of_array(_kept(g, x, axis), shape=x.shape)


def rows_of(x: Any, axes: Sequence[int]) -> Any:
    """Return ``x`` with these axes last, as one: in rows, what is reduced together."""
    rest = [i for i in range(x.ndim) if i not in axes]
    shape = (*(x.shape[i] for i in rest), math.prod(x.shape[i] for i in axes))
    return np.reshape(np.transpose(x, [*rest, *axes]), shape)


def floating(x: Any) -> Any:
    """Return integers as float64: unsigned ones wrap where the largest is taken off."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _sum_with(
    x: Any,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    dtype: Any = None,
    initial: Any = None,
    where: Any = True,
) -> Any:
    x = selected(in_dtype(x, dtype, "sum"), where, 0, "sum")
    y = sum.call(x, axis=axis, keepdims=keepdims)
    return y if initial is None else y + single(initial, y.dtype, "sum")


@op(numpy=np.sum, symbol="Σ", keywords=_sum_with, cases=_AXES)
def sum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Sum along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to sum over; all unless given.
    keepdims : bool, default False
        Keep the summed axes, with length 1.
    dtype : dtype, optional
        In which it is computed, as in NumPy; that of ``x`` unless given.
    initial : number or Tensor, optional
        Added to each result.
    where : array_like of bool, default True
        Which numbers count; it broadcasts to ``x``'s shape.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    Σ x; dL/dx = g, repeated along the summed axes.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.])
    """
    if x.dtype.char == "e":  # which ends at 2048, one by one
        return narrow(_add.reduce(wide(x), axis=axis, keepdims=keepdims), x)
    return _add.reduce(x, axis=axis, keepdims=keepdims)


FROM_REDUCE[np.add] = lambda x, axis=0, **named: sum.call(x, axis=axis, **named)
sum.vjp(x=lambda g, out, x, *, axis, keepdims: _spread(g, x, axis))


def _mean_with(
    x: Any,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    dtype: Any = None,
    where: Any = True,
) -> Any:
    x = in_dtype(x, dtype, "mean")
    if where is True:
        return mean.call(x, axis=axis, keepdims=keepdims)
    total = _total(x, where, axis, keepdims, "mean")
    n = counted(x, where, axis, keepdims, "mean")
    return _narrow(total / n.astype(total.dtype), x)


def _total(x: Any, where: Any, axis: Axis, keepdims: bool, name: str) -> Any:
    """Return the sum of those numbers that count, of float16 in float32."""
    x = selected(wide(x if x.dtype.kind == "f" else x * 1.0), where, 0.0, name)
    return sum.call(x, axis=axis, keepdims=keepdims)


def _narrow(y: Any, x: Any) -> Any:
    """Return ``y`` in the dtype of ``x``, of which it was made, if that is float16."""
    return y.astype(x.dtype) if x.dtype.char == "e" else y


@op(numpy=np.mean, symbol="mean", keywords=_mean_with, cases=_AXES)
def mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Arithmetic mean along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to average over; all unless given.
    keepdims : bool, default False
        Keep the averaged axes, with length 1.
    dtype : dtype, optional
        In which it is computed, as in NumPy; that of ``x`` unless given.
    where : array_like of bool, default True
        Which numbers count; it broadcasts to ``x``'s shape.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    Σ x / n; dL/dx = g / n, repeated along the averaged axes.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([2., 3.])
    """
    if type(x) is not np.ndarray or x.dtype.char not in _WIDE or x.size == 0:
        return _mean(x, axis=axis, keepdims=keepdims)
    return _add.reduce(x, axis=axis, keepdims=keepdims) / _count(x, axis)


mean.vjp(
    x=lambda g, out, x, *, axis, keepdims: _spread(wide(g) / _count(x, axis), x, axis),
)

_SPREAD_CASES = [
    *_AXES,
    Case((2, 3), ddof=1),
    Case((2, 3, 4), axis=(0, -1), ddof=1.5, keepdims=True),
]


def _var_with(
    x: Any,
    *,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    dtype: Any = None,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    x, ddof = in_dtype(x, dtype, "var"), of_either(ddof, correction, "var")
    if where is True and mean is None:
        return var.call(x, axis=axis, ddof=ddof, keepdims=keepdims)
    off, n = _deviations(x, axis, ddof, where, mean, "var")
    y = sum.call(off * off, axis=axis, keepdims=keepdims)
    return _narrow(y / np.reshape(n, y.shape), x)


def of_either(ddof: float, correction: Any, name: str) -> float:
    """Return the one of two that is given: they mean the same."""
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError(f"{name}: got ddof and correction, which mean the same")
    return float(correction)


def _deviations(
    x: Any, axis: Axis, ddof: float, where: Any, mean: Any, name: str
) -> tuple[Any, Any]:
    """Return the differences from the mean, 0 where none counts, and n - ddof."""
    n = counted(x, where, axis, True, name)
    if mean is None:
        mean = _mean_with(x, axis=axis, keepdims=True, where=where)
    if not isinstance(mean, int | float):  # these take the dtype of x
        mean = wide(mean if hasattr(mean, "dtype") else np.asarray(mean))
    off = wide(x if x.dtype.kind == "f" else x * 1.0) - mean
    if off.shape != x.shape:
        raise ValueError(
            f"{name}: mean of shape {np.shape(mean)} does not broadcast to that of x, "
            f"{x.shape}; take it with keepdims=True"
        )
    return selected(off, where, 0.0, name), np.maximum(n - ddof, 0).astype(off.dtype)


def _var_text(x: Any, *, axis: Axis, ddof: float, keepdims: bool) -> str:
    return f"2 {_deviation_text(x, axis)} / {_count(x, axis) - ddof:g}"


def _deviation_text(x: Any, axis: Axis) -> str:
    axes = _axes(x, axis)
    if len(axes) == x.ndim:
        return "{g} · ({x} − mean({x}))"
    along = axes[0] if len(axes) == 1 else axes
    return f"{{g}} ⊙ ({{x}} − mean({{x}}, axis={along}))"


@op(
    numpy=np.var,
    symbol="var",
    keywords=_var_with,
    texts={"x": _var_text},
    cases=_SPREAD_CASES,
)
def var(x: Any, *, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Variance along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to take it over; all unless given.
    ddof : float, default 0
        What is taken off the count of numbers in the denominator: 1 for the unbiased
        estimate from a sample.
    keepdims : bool, default False
        Keep these axes, with length 1.
    dtype : dtype, optional
        In which it is computed, as in NumPy; that of ``x`` unless given.
    where : array_like of bool, default True
        Which numbers count; it broadcasts to ``x``'s shape.
    mean : Tensor or array_like, optional
        The mean, computed before, with the axes kept.
    correction : float, optional
        Another name of ``ddof``.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    Σ (x - mean x)² / (n - ddof); dL/dx = 2 g (x - mean x) / (n - ddof).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.var([[1.0, 3.0], [4.0, 8.0]], axis=1)
    array([1., 4.])
    """
    return narrow(_variance(wide(x), axis, ddof, keepdims), x)


def _variance(x: Any, axis: Axis, ddof: float, keepdims: bool) -> Any:
    """Return what ``np.var`` does, which asks for more on the way."""
    if x.dtype.char not in _WIDE or x.size == 0:
        return _var(x, axis=axis, ddof=ddof, keepdims=keepdims)
    total, n = _add.reduce(x, axis=axis, keepdims=True), _count(x, axis)
    if n <= ddof:  # a warning
        return _var(x, axis=axis, ddof=ddof, keepdims=keepdims)
    off = x - total / n
    off *= off
    return _add.reduce(off, axis=axis, keepdims=keepdims) / (n - ddof)


def _var_rule(
    g: Any, out: Any, x: Any, *, axis: Axis, ddof: float, keepdims: bool
) -> Any:
    g, x, n = _kept(wide(g), x, axis), wide(x), _count(x, axis)
    return g * 2.0 / (n - ddof) * (x - _add.reduce(x, axis=axis, keepdims=True) / n)


var.vjp(x=_var_rule)


def _std_text(x: Any, *, axis: Axis, ddof: float, keepdims: bool) -> str:
    return f"{_deviation_text(x, axis)} / ({_count(x, axis) - ddof:g} {{out}})"


def _std_with(
    x: Any,
    *,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    dtype: Any = None,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    x, ddof = in_dtype(x, dtype, "std"), of_either(ddof, correction, "std")
    if where is True and mean is None:
        return std.call(x, axis=axis, ddof=ddof, keepdims=keepdims)
    off, n = _deviations(x, axis, ddof, where, mean, "std")
    rows = rows_of(off, _axes(x, axis))
    # not the root of a sum of squares, whose derivative is nan where all are equal
    y = np.linalg.norm(rows, axis=-1) / np.sqrt(np.reshape(n, rows.shape[:-1]))
    return _narrow(np.reshape(y, n.shape) if keepdims else y, x)


@op(
    numpy=np.std,
    symbol="std",
    texts={"x": _std_text},
    keywords=_std_with,
    cases=_SPREAD_CASES,
)
def std(x: Any, *, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Standard deviation along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to take it over; all unless given.
    ddof : float, default 0
        What is taken off the count of numbers in the denominator: 1 for the usual
        estimate from a sample.
    keepdims : bool, default False
        Keep these axes, with length 1.
    dtype : dtype, optional
        In which it is computed, as in NumPy; that of ``x`` unless given.
    where : array_like of bool, default True
        Which numbers count; it broadcasts to ``x``'s shape.
    mean : Tensor or array_like, optional
        The mean, computed before, with the axes kept.
    correction : float, optional
        Another name of ``ddof``.

    Returns
    -------
    Tensor or ndarray
        Finite for any finite numbers, if a number can hold it.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    s = √(Σ (x - mean x)² / (n - ddof)); dL/dx = g (x - mean x) / ((n - ddof) s), and 0
    where s is 0. There, where all numbers are equal, s has a kink; 0 is the convention.
    Second derivatives there are those of functions like s², which are smooth; of others
    they are refused.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.std([[1.0, 3.0], [4.0, 8.0]], axis=1)
    array([1., 2.])
    """
    return narrow(_std_of_any_size(wide(x), axis, ddof, keepdims), x)


def _std_of_any_size(x: Any, axis: Axis, ddof: float, keepdims: bool) -> Any:
    """Return the standard deviation, also of numbers whose squares are no numbers."""
    with np.errstate(over="ignore", under="ignore"):
        y, n = np.sqrt(_variance(x, axis, ddof, keepdims)), _count(x, axis)
        edge = math.sqrt(smallest(y.dtype))
        if lies_between(y, edge, np.inf) or n <= ddof:
            return y
        off = _centred(np.asarray(x, y.dtype), axis, n)
        largest = _maximum.reduce(np.abs(off), axis=axis, keepdims=True)
        unit = np.where((largest > 0) & (largest < np.inf), largest, 1)
        squares = _add.reduce((off / unit) ** 2, axis=axis, keepdims=keepdims)
        again = np.sqrt(squares / (n - ddof)) * np.reshape(unit, np.shape(y))
        return np.where((y > edge) & (y < np.inf), y, again.astype(y.dtype))[()]


def _centred(x: Any, axis: Axis, n: int) -> Any:
    """Return ``x`` less its mean; 0 where all are equal, whatever rounding does."""
    off = x - _add.reduce(x, axis=axis, keepdims=True) / n
    return off - _add.reduce(off, axis=axis, keepdims=True) / n


def _std_rule(
    g: Any, out: Any, x: Any, *, axis: Axis, ddof: float, keepdims: bool
) -> Any:
    g, out, x, n = wide(g), wide(out), wide(x), _count(x, axis)
    off = _centred(x, axis, n)
    share, length = _kept(g, x, axis), _kept(out, x, axis)
    if not lies_between(length, 0, np.inf):
        share, length = share * (length != 0), length + (length == 0)
    d = share / (n - ddof) * (off / length)  # at most √n: no overflow
    if n == 1 or type(out) is not Tensor:  # of one number it is always 0
        return d
    return with_kink(d, off / (n - ddof), g, out, spread=lambda s: _spread(s, x, axis))


std.vjp(x=_std_rule)


def _max_with(
    x: Any,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    return _extremum_with(max, np.maximum, x, axis, keepdims, initial, where)


def _min_with(
    x: Any,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    return _extremum_with(min, np.minimum, x, axis, keepdims, initial, where)


def _extremum_with(
    op: Any, of_two: Any, x: Any, axis: Axis, keepdims: bool, initial: Any, where: Any
) -> Any:
    if where is not True:
        if initial is None:
            raise ValueError(
                f"{op.name}: with where=, initial= must be given, for where the mask "
                "holds nowhere"
            )
        x = selected(x, where, _last(x.dtype, op is max), op.name)
    if initial is None:
        return op.call(x, axis=axis, keepdims=keepdims)
    if 0 in [x.shape[a] for a in _axes(x, axis)]:  # of nothing: initial
        zeros = in_dtype(sum.call(x, axis=axis, keepdims=keepdims), x.dtype, op.name)
        return zeros + single(initial, x.dtype, op.name)
    y = op.call(x, axis=axis, keepdims=keepdims)
    return of_two(y, single(initial, y.dtype, op.name))


def _last(dtype: np.dtype[Any], lowest: bool) -> Any:
    """Return the lowest number of a dtype, or the highest: it counts for nothing."""
    if dtype.kind == "f":
        return dtype.type(-np.inf if lowest else np.inf)
    if dtype.kind == "b":
        return np.bool(not lowest)
    return dtype.type(np.iinfo(dtype).min if lowest else np.iinfo(dtype).max)


@op(
    numpy=np.max,
    symbol="max",
    texts={"x": "{g} ⊙ [{x} = {out}], ties share"},
    keywords=_max_with,
    cases=_AXES,
)
def max(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest number along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to search; all unless given.
    keepdims : bool, default False
        Keep the searched axes, with length 1.
    initial : number or Tensor, optional
        One more number for each result; it must be given with ``where``.
    where : array_like of bool, default True
        Which numbers count; it broadcasts to ``x``'s shape.

    Returns
    -------
    Tensor or ndarray

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
    >>> te.max([[1.0, 2.0], [3.0, 0.0]], axis=1)
    array([2., 3.])
    """
    return _maximum.reduce(x, axis=axis, keepdims=keepdims)


def shares(best: np.ndarray, axis: Any) -> np.ndarray:
    """1 where ``best`` holds, shared equally by those that tie along ``axis``.

    nan where it holds nowhere: for nothing equals a nan.
    """
    count = np.add.reduce(best, axis=axis, keepdims=True)
    if not lies_between(count, 0, np.inf):
        count = np.where(count > 0, count, np.nan)
    result: np.ndarray = best / count
    return result


def _extremum_rule(g: Any, out: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    best = x == _kept(out, x, axis)  # a plain array, also where x is a Tensor
    return _kept(g, x, axis) * shares(best, axis)


max.vjp(x=_extremum_rule)


@op(
    numpy=np.min,
    symbol="min",
    texts={"x": "{g} ⊙ [{x} = {out}], ties share"},
    keywords=_min_with,
    cases=_AXES,
)
def min(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest number along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to search; all unless given.
    keepdims : bool, default False
        Keep the searched axes, with length 1.
    initial : number or Tensor, optional
        One more number for each result; it must be given with ``where``.
    where : array_like of bool, default True
        Which numbers count; it broadcasts to ``x``'s shape.

    Returns
    -------
    Tensor or ndarray

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
    >>> te.min([[1.0, 2.0], [3.0, 0.0]], axis=1)
    array([1., 0.])
    """
    return _minimum.reduce(x, axis=axis, keepdims=keepdims)


min.vjp(x=_extremum_rule)

FROM_NUMPY[np.amax] = max.call
FROM_NUMPY[np.amin] = min.call
FROM_REDUCE[np.maximum] = lambda x, axis=0, **named: max.call(x, axis=axis, **named)
FROM_REDUCE[np.minimum] = lambda x, axis=0, **named: min.call(x, axis=axis, **named)


@op(symbol="logsumexp", texts={"x": "{g} ⊙ exp({x} − {out})"}, cases=_AXES)
def logsumexp(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Logarithm of the sum of exponentials along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to sum over; all unless given.
    keepdims : bool, default False
        Keep the summed axes, with length 1.

    Returns
    -------
    Tensor or ndarray
        Finite for any finite numbers: the largest is taken out before exponentiating.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or an axis of no length.

    Notes
    -----
    log Σ eˣ; dL/dx = g eˣ / Σ eˣ, which is g times the softmax. Where the result is
    ±inf, the numbers that equal it share g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.logsumexp([1e4, 1e4]))
    10000.69314718056
    """
    given = floating(x)
    x = wide(given)
    largest = _maximum.reduce(x, axis=axis, keepdims=True)
    if are_finite(largest):
        total = np.log(_add.reduce(np.exp(x - largest), axis=axis, keepdims=keepdims))
    else:
        largest = np.where(np.isfinite(largest), largest, 0)  # inf - inf would be nan
        with np.errstate(divide="ignore"):  # the logarithm of 0, of rows of -inf alone
            total = _add.reduce(np.exp(x - largest), axis=axis, keepdims=keepdims)
            total = np.log(total)
    return narrow((total + largest.reshape(total.shape))[()], given)


def _logsumexp_rule(g: Any, out: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    # Where out is large, the rounding of it shifts all exponents: by 4e-4 in float32 at
    # 1e4. Dividing by the sum, which should be 1, takes that out.
    g, x, total = wide(g), wide(x), _kept(wide(out), x, axis)
    if not are_finite(total):  # ±inf - ±inf would be nan
        total = broadcast_to(total, x.shape)
        same = (x == total) & np.isinf(total)
        x, total = np.where(same, 0.0, x), np.where(same, 0.0, total)
    p = np.exp(x - total)
    return _kept(g, x, axis) * (p / _add.reduce(p, axis=axis, keepdims=True))


logsumexp.vjp(x=_logsumexp_rule)


def _logaddexp_reduce(
    x: Any,
    axis: Axis = 0,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    if x.dtype.kind != "f":
        x = x * 1.0
    x = selected(x, where, x.dtype.type(-np.inf), "logaddexp.reduce")
    if 0 in [x.shape[a] for a in _axes(x, axis)]:
        y = sum.call(x, axis=axis, keepdims=keepdims) - np.inf
    else:
        y = logsumexp.call(x, axis=axis, keepdims=keepdims)
    if initial is None:
        return y
    return np.logaddexp(y, single(initial, y.dtype, "logaddexp.reduce"))


FROM_REDUCE[np.logaddexp] = _logaddexp_reduce
