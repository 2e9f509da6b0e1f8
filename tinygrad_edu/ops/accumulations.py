"""Products, and sums and products so far: rules that are right with zeros, too."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.engine.dispatch import FROM_REDUCE
from tinygrad_edu.ops.conversion import narrow, wide
from tinygrad_edu.ops.keywords import in_dtype, selected, single

__all__ = [
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "nancumprod",
    "nancumsum",
    "prod",
]

Axis = int | tuple[int, ...] | None

_ZEROS = [[0.0, 2.0, -1.5], [0.0, 3.0, 0.0]]  # one zero in a row, two in another
_ALONG = [
    Case((2, 3)),
    Case((2, 3), axis=0),
    Case((2, 5, 2), axis=-2),
    Case((3,), axis=0),
    Case((1, 1), axis=1),
    Case(()),
]

# NumPy's stubs know no keepdims that is either True or False.
_multiply: Any = np.multiply


def _cumsum_with(x: Any, *, axis: int | None = None, dtype: Any = None) -> Any:
    return cumsum.call(in_dtype(x, dtype, "cumsum"), axis=axis)


@op(
    numpy=np.cumsum,
    symbol="cumsum",
    keywords=_cumsum_with,
    texts={"x": "cumsum of {g} from the end"},
    cases=_ALONG,
)
def cumsum(x: Any, *, axis: int | None = None) -> Any:
    """Sums so far: of each number and all before it.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int, optional
        The axis along which to add; the flattened ``x`` unless given.
    dtype : dtype, optional
        In which it is computed, as in NumPy; that of ``x`` unless given.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, or with one axis where none was given.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    yₖ = Σ xᵢ over i ≤ k; dL/dxᵢ = Σ gₖ over k ≥ i, the sums so far from the other end.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cumsum([1.0, 2.0, 3.0])
    array([1., 3., 6.])
    """
    x = np.asarray(x)
    return narrow(wide(x).cumsum(axis), x)


def _cumsum_rule(g: Any, out: Any, x: Any, *, axis: int | None) -> Any:
    g, along = wide(g), 0 if axis is None else axis
    return np.flip(np.flip(g, along).cumsum(along), along).reshape(x.shape)


cumsum.vjp(x=_cumsum_rule)


def _cumprod_with(x: Any, *, axis: int | None = None, dtype: Any = None) -> Any:
    return cumprod.call(in_dtype(x, dtype, "cumprod"), axis=axis)


@op(
    numpy=np.cumprod,
    symbol="cumprod",
    keywords=_cumprod_with,
    texts={"x": "(cumsum from the end of {g} ⊙ {out}) / {x}"},
    cases=[*_ALONG, Case(_ZEROS, axis=1), Case(_ZEROS), Case(_ZEROS, axis=0)],
)
def cumprod(x: Any, *, axis: int | None = None) -> Any:
    """Products so far: of each number and all before it.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int, optional
        The axis along which to multiply; the flattened ``x`` unless given.
    dtype : dtype, optional
        In which it is computed, as in NumPy; that of ``x`` unless given.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, or with one axis where none was given.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    yₖ = Π xᵢ over i ≤ k; dL/dxᵢ = Σ gₖ Π xⱼ over k ≥ i and j ≤ k other than i. Nothing
    is divided by ``x``: the derivatives of all orders are right where it is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cumprod([1.0, 2.0, 3.0])
    array([1., 2., 6.])
    """
    return np.asarray(x).cumprod(axis)


def _cumprod_rule(g: Any, out: Any, x: Any, *, axis: int | None) -> Any:
    if x.size == 0:
        return np.zeros_like(x)
    if axis is None or x.ndim == 0:
        rows = x.reshape(-1)
        return (_before(rows) * _after(g, rows)).reshape(x.shape)
    g, rows = g.swapaxes(axis, -1), x.swapaxes(axis, -1)
    return (_before(rows) * _after(g, rows)).swapaxes(axis, -1)


def _before(x: Any) -> Any:
    """Return the product of all before each number along the last axis."""
    one = np.ones((*x.shape[:-1], 1), x.dtype)
    return np.concatenate([one, x[..., :-1].cumprod(-1)], axis=-1)


def _after(g: Any, x: Any) -> Any:
    """Return sᵢ = gᵢ + xᵢ₊₁ sᵢ₊₁ along the last axis.

    One step back takes s to g + f s, with f = xᵢ₊₁; two such steps are one of the same
    kind, and so are four, eight, ... The last f is 0: nothing comes after.
    """
    s, f = g, _shifted(x, 1)
    step, n = 1, x.shape[-1]
    while step < n:
        s = s + f * _shifted(s, step)
        f = f * _shifted(f, step)
        step *= 2
    return s


def _shifted(x: Any, step: int) -> Any:
    """Return what stands ``step`` places later, and zeros beyond the end."""
    zeros = np.zeros((*x.shape[:-1], step), x.dtype)
    return np.concatenate([x[..., step:], zeros], axis=-1)


cumprod.vjp(x=_cumprod_rule)


def _prod_with(
    x: Any,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    dtype: Any = None,
    initial: Any = None,
    where: Any = True,
) -> Any:
    x = selected(in_dtype(x, dtype, "prod"), where, 1, "prod")
    y = prod.call(x, axis=axis, keepdims=keepdims)
    return y if initial is None else y * single(initial, y.dtype, "prod")


@op(
    numpy=np.prod,
    symbol="Π",
    keywords=_prod_with,
    texts={"x": "{g} ⊙ Π of all others"},
    cases=[
        Case((2, 3)),
        Case((2, 3), axis=0),
        Case((2, 3, 4), axis=(0, -1)),
        Case((2, 3), axis=-1, keepdims=True),
        Case(_ZEROS, axis=1),
        Case([[0.0, 2.0, -1.5], [0.7, 3.0, 1.2]], axis=(1, 0)),
        Case(()),
    ],
)
def prod(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Product along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to multiply over; all unless given.
    keepdims : bool, default False
        Keep the multiplied axes, with length 1.
    dtype : dtype, optional
        In which it is computed, as in NumPy; that of ``x`` unless given.
    initial : number or Tensor, optional
        Multiplied with each result.
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
    Π x; dL/dxᵢ = g Π xⱼ over all j other than i. Nothing is divided by ``x``: the
    derivatives of all orders are right where it is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> te.gradients(x.prod(), [x])
    [array([0., 6., 0.])]
    """
    return _multiply.reduce(x, axis=axis, keepdims=keepdims)


def _prod_rule(g: Any, out: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    if x.size == 0:
        return np.zeros_like(x)
    if axis is None or x.ndim == 0:  # NumPy takes axis=0 of a number
        return (g.reshape(1) * _others(x.reshape(-1))).reshape(x.shape)
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = [a % x.ndim for a in given]
    rest = [i for i in range(x.ndim) if i not in axes]
    order = [*rest, *axes]  # the multiplied ones last, and there made one
    kept = [x.shape[i] for i in rest]
    turned = x.transpose(order)
    d = g.reshape(*kept, 1) * _others(turned.reshape(*kept, -1))
    back = [order.index(i) for i in range(x.ndim)]
    return d.reshape(turned.shape).transpose(back)


def _others(x: Any) -> Any:
    """Return the product of all others of each number along the last axis."""
    return _before(x) * _before(x[..., ::-1])[..., ::-1]


prod.vjp(x=_prod_rule)
FROM_REDUCE[np.multiply] = lambda x, axis=0, **named: prod.call(x, axis=axis, **named)


# --------------------------------------------------------------- made of the operations

_GAPS = np.array([[0.3, np.nan, -1.2, 2.0], [np.nan, 0.7, 5.0, -0.4]])
_SO_FAR = [Case((2, 3), axis=-1), Case(_GAPS), Case(_GAPS, axis=0)]


@composite(np.nancumsum, cases=_SO_FAR)
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Sums so far, in which nan counts as 0.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int, optional
        The axis along which to add; the flattened ``x`` unless given.
    dtype : dtype, optional
        In which it is computed, one of floating-point numbers; that of ``x`` unless
        given.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape, or with one axis where none was given

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    As :func:`cumsum`; the derivative by a nan is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nancumsum([1.0, float("nan"), 2.0])
    array([1., 1., 3.])
    """
    x = in_dtype(x, dtype, "nancumsum")
    return np.cumsum(np.where(np.isnan(x), 0, x), axis=axis)


@composite(np.nancumprod, cases=_SO_FAR)
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Products so far, in which nan counts as 1.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int, optional
        The axis along which to multiply; the flattened ``x`` unless given.
    dtype : dtype, optional
        In which it is computed, one of floating-point numbers; that of ``x`` unless
        given.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape, or with one axis where none was given

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    As :func:`cumprod`; the derivative by a nan is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nancumprod([2.0, float("nan"), 3.0])
    array([2., 2., 6.])
    """
    x = in_dtype(x, dtype, "nancumprod")
    return np.cumprod(np.where(np.isnan(x), 1, x), axis=axis)


_FROM_THE_START = [
    Case((4,)),
    Case((2, 3), axis=-1, include_initial=True),
    Case((2, 3), axis=0),
]


@composite(np.cumulative_sum, cases=_FROM_THE_START)
def cumulative_sum(
    x: Any,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Any:
    """Sums so far along an axis, on request from 0 on.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int, optional
        The axis along which to add; it must be given unless there is only one.
    dtype : dtype, optional
        In which it is computed, one of floating-point numbers; that of ``x`` unless
        given.
    include_initial : bool, default False
        Put the sum of nothing in front, 0: the axis is longer by 1.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape, or longer by 1

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or several and none was given.

    Notes
    -----
    As :func:`cumsum`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cumulative_sum([1.0, 2.0, 3.0], include_initial=True)
    array([0., 1., 3., 6.])
    """
    x = in_dtype(x, dtype, "cumulative_sum")
    return _so_far(np.cumsum, 0.0, x, axis, include_initial)


@composite(np.cumulative_prod, cases=_FROM_THE_START)
def cumulative_prod(
    x: Any,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Any:
    """Products so far along an axis, on request from 1 on.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int, optional
        The axis along which to multiply; it must be given unless there is only one.
    dtype : dtype, optional
        In which it is computed, one of floating-point numbers; that of ``x`` unless
        given.
    include_initial : bool, default False
        Put the product of nothing in front, 1: the axis is longer by 1.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape, or longer by 1

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or several and none was given.

    Notes
    -----
    As :func:`cumprod`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cumulative_prod([2.0, 3.0], include_initial=True)
    array([1., 2., 6.])
    """
    x = in_dtype(x, dtype, "cumulative_prod")
    return _so_far(np.cumprod, 1.0, x, axis, include_initial)


def _so_far(
    function: Any, start: float, x: Any, axis: int | None, include_initial: bool
) -> Any:
    x = np.atleast_1d(x)
    if axis is None and x.ndim != 1:
        raise ValueError("axis must be given, as x has not one alone")
    axis = 0 if axis is None else axis
    y = function(x, axis=axis)
    if not include_initial:
        return y
    first = list(x.shape)
    first[axis] = 1
    return np.concatenate([np.full(first, start, x.dtype), y], axis)
