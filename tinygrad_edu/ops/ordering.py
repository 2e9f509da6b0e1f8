"""Sorting, and places of the largest and smallest."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import plain
from tinygrad_edu.engine.keywords import refused
from tinygrad_edu.ops.arithmetic import or_nan
from tinygrad_edu.ops.kinks import numbers
from tinygrad_edu.ops.reductions import rows_of, shares

__all__ = ["argmax", "argmin", "argsort", "median", "sort"]

Axis = int | tuple[int, ...] | None

# NumPy's stubs know no keepdims that is either True or False.
_argmax: Any = np.argmax
_argmin: Any = np.argmin


def argsort(
    x: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
) -> Any:
    """Places of the numbers in ascending order, along an axis.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or None, default -1
        With None ``x`` is flattened.
    kind, order, stable
        As in ``numpy.argsort``.

    Returns
    -------
    ndarray of int, of the shape of ``x``
        A plain array: places have no derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.argsort([3.0, 1.0, 2.0])
    array([1, 2, 0])
    """
    return np.argsort(x, axis, kind, order, stable=stable)


def argmax(
    x: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False
) -> Any:
    """Place of the largest number along an axis, of the first one where some tie.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int, optional
        The axis to search; the flattened ``x`` unless given.
    out : None
        As in NumPy; nothing is written into an array here.
    keepdims : bool, default False
        Keep the searched axis, with length 1.

    Returns
    -------
    int or ndarray of int
        Of the shape of ``x`` without the searched axis. A plain array: places have no
        derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.argmax([[1.0, 3.0], [2.0, 0.0]], axis=1)
    array([1, 0])
    """
    if out is not None:
        raise refused("argmax", "out", "x, axis, keepdims")
    return _argmax(x, axis, keepdims=keepdims)


def argmin(
    x: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False
) -> Any:
    """Place of the smallest number along an axis, of the first one where some tie.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int, optional
        The axis to search; the flattened ``x`` unless given.
    out : None
        As in NumPy; nothing is written into an array here.
    keepdims : bool, default False
        Keep the searched axis, with length 1.

    Returns
    -------
    int or ndarray of int
        Of the shape of ``x`` without the searched axis. A plain array: places have no
        derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.argmin([[1.0, 3.0], [2.0, 0.0]], axis=1)
    array([0, 1])
    """
    if out is not None:
        raise refused("argmin", "out", "x, axis, keepdims")
    return _argmin(x, axis, keepdims=keepdims)


plain(np.argsort, np.argmax, np.argmin, np.searchsorted, np.digitize)
for _place in (argsort, argmax, argmin):
    setattr(Tensor, _place.__name__, _place)


def _sort_with(
    x: Any,
    *,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    stable: Any = None,
) -> Any:
    if order is not None:
        raise refused("sort", "order", "order=None alone: a Tensor has no fields")
    np.sort(np.zeros(0), kind=kind, stable=stable)  # its errors
    return sort.call(x, axis=axis)


@op(
    numpy=np.sort,
    keywords=_sort_with,
    symbol="sort",
    texts={"x": "{g} put back in the order of {x}"},
    cases=[
        Case((2, 5)),
        Case((3, 2), axis=0),
        Case((2, 3, 2), axis=-2),
        Case((2, 3), axis=None),
        Case((2, 1)),
    ],
)
def sort(x: Any, *, axis: int | None = -1) -> Any:
    """The numbers in ascending order, along an axis.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or None, default -1
        With None ``x`` is flattened.
    kind, stable, order
        As in NumPy; they make no difference to numbers. ``order`` must be None.

    Returns
    -------
    Tensor or ndarray
        A sorted copy, also as a method: ``x`` stays as it is.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    y = x[p] with the order p; dL/dx = g put back by p. Equal numbers keep their order.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([3.0, 1.0, 2.0], requires_grad=True)
    >>> te.gradients(x.sort(), [x], gradient=[10.0, 20.0, 30.0])
    [array([30., 10., 20.])]
    """
    return np.sort(x, axis)


def _sort_rule(g: Any, out: Any, x: Any, *, axis: int | None) -> Any:
    if x.size == 0:
        return np.zeros_like(x)
    if axis is None:
        return _put_back(g, x.reshape(-1)).reshape(x.shape)
    return _put_back(g.swapaxes(axis, -1), x.swapaxes(axis, -1)).swapaxes(axis, -1)


def _put_back(g: Any, x: Any) -> Any:
    """Return what stands in sorted order along the last axis in that of x again."""
    order = numbers(x).argsort(stable=True)
    n, every = x.shape[-1], np.arange(x.size)
    order += (every - every % n).reshape(x.shape)  # where its row begins
    back = np.empty_like(every)
    back[order.reshape(-1)] = every
    return g.reshape(-1)[back].reshape(x.shape)


sort.vjp(x=_sort_rule)


def _median_with(
    x: Any, *, axis: Axis = None, keepdims: bool = False, overwrite_input: Any = False
) -> Any:
    return median.call(x, axis=axis, keepdims=keepdims)


@op(
    numpy=np.median,
    keywords=_median_with,
    symbol="median",
    texts={"x": "{g} at the middle, or half at each of two"},
    cases=[
        Case((5,)),
        Case((4,)),
        Case((2, 3)),
        Case((2, 4), axis=-1),
        Case((3, 2, 3), axis=(0, -1), keepdims=True),
    ],
)
def median(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The number in the middle of the sorted ones, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or tuple of int, optional
        The axes to search; all unless given.
    keepdims : bool, default False
        Keep the searched axes, with length 1.
    overwrite_input : bool, default False
        As in NumPy; nothing is written into ``x`` here.

    Returns
    -------
    Tensor or ndarray
        The mean of the two in the middle, where the count is even.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    median x; dL/dx = g at the middle number, g / 2 at each of two. Where n numbers tie
    for a middle place they share equally. nan where the result is nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.median([3.0, 1.0, 2.0]))
    2.0
    """
    return np.median(x, axis=axis, keepdims=keepdims)


def _median_rule(g: Any, out: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    if x.size == 0:
        return np.zeros_like(x)
    given = (axis,) if isinstance(axis, int | np.integer) else axis
    axes = tuple(range(x.ndim) if given is None else (a % x.ndim for a in given))
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    rows = np.sort(rows_of(x, axes), -1)
    n = rows.shape[-1]
    share: Any = 0.0
    for place in ((n - 1) // 2, n // 2):
        tied = x == np.reshape(rows[..., place], kept)  # a plain array
        share = share + 0.5 * shares(tied, axes)
    return np.reshape(g, kept) * or_nan(share, np.reshape(out, kept))


median.vjp(x=_median_rule)
