"""Reading and writing parts of an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core import Case, Tensor, op, sum_to

__all__ = ["getitem", "put", "set_at"]

_INDICES: list[Any] = [
    1,
    (slice(None), slice(0, 2)),
    (..., None, -1),
    (np.array([0, 1, 1]), np.array([2, 0, 0])),  # entry (1, 0) twice
    np.array([[True, False, True], [False, True, True]]),
]


def _plain_index(index: Any) -> Any:
    """Index with the numbers of tensors: an index has no derivative."""
    if isinstance(index, tuple):
        return tuple(_plain_index(i) for i in index)
    if type(index) is Tensor:
        return index.numpy()
    return index.copy() if isinstance(index, np.ndarray | list) else index


def _index_last(*arrays: Any, **metadata: Any) -> tuple[Any, dict[str, Any]]:
    """Accept ``getitem(x, index)`` and ``set_at(x, value, index)``."""
    if "index" not in metadata:
        *arrays, metadata["index"] = arrays  # type: ignore[assignment]
    metadata["index"] = _plain_index(metadata["index"])
    return arrays, metadata


@op(
    symbol="[ ]",
    operator="getitem",
    adapter=_index_last,
    cases=[Case((2, 3), index=index) for index in _INDICES],
)
def getitem(x: Any, *, index: Any) -> Any:
    """A part of ``x``: basic, integer-array and boolean indexing as in NumPy.

    Parameters
    ----------
    x : Tensor or array_like
    index : int, slice, ellipsis, None, array of int or bool, or a tuple of these

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    IndexError
        If the index lies outside ``x``.

    Notes
    -----
    x[index]; dL/dx is zero but for g at the index, added up where an entry was picked
    several times: the adjoint is :func:`put`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].sum().backward()
    >>> x.grad
    array([2., 0., 1.])
    """
    return np.asarray(x)[index]


@op(
    adapter=_index_last,
    cases=[
        Case(np.zeros((2, 3))[index].shape, index=index, shape=(2, 3))
        for index in _INDICES
    ],
)
def put(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape``, with ``x`` added at ``index``.

    Parameters
    ----------
    x : Tensor or array_like
        Of the shape that indexing with ``index`` gives, or one that broadcasts to it.
    index : int, slice, ellipsis, None, array of int or bool, or a tuple of these
    shape : tuple of int

    Returns
    -------
    Tensor or ndarray, of ``shape``

    Raises
    ------
    IndexError
        If the index lies outside ``shape``.

    Notes
    -----
    The adjoint of :func:`getitem`: dL/dx = g[index].

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.put([1.0, 2.0], index=[0, 0], shape=(3,))
    array([3., 0., 0.])
    """
    result = np.zeros(shape, np.result_type(x))
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, np.ndarray | list) for part in parts):
        np.add.at(result, index, x)  # an entry may be picked twice
    else:
        result[index] = x
    return result


def _unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum ``g`` to ``shape``, which may have axes of length 1 in front, as in NumPy."""
    return np.reshape(sum_to(g, shape[max(len(shape) - g.ndim, 0) :]), shape)


getitem.vjp(x=lambda g, out, x, *, index: put(g, index=index, shape=x.shape))
put.vjp(x=lambda g, out, x, *, index, shape: _unbroadcast(g[index], x.shape))


@op(
    adapter=_index_last,
    cases=[
        Case((2, 3), (3,), index=0),
        Case((2, 3), (), index=(slice(None), 1)),
        Case((2, 3), (1, 1, 2), index=(slice(None), slice(0, 2))),
        Case((2, 3), (2, 3), index=np.array([1, 1])),
        Case((2, 3), (2, 1), index=np.array([1, 1])),
        Case((2, 3), (4,), index=_INDICES[-1]),
    ],
)
def set_at(x: Any, value: Any, *, index: Any) -> Any:
    """A copy with ``value`` at ``index``; written ``x.at[index].set(value)``.

    Parameters
    ----------
    x : Tensor or array_like
    value : Tensor or array_like
        Broadcasts to the shape that indexing with ``index`` gives.
    index : int, slice, ellipsis, None, array of int or bool, or a tuple of these
        Where an entry is picked several times, the last value counts.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Raises
    ------
    IndexError
        If the index lies outside ``x``.

    Notes
    -----
    dL/dx = g, but 0 at the index; dL/dvalue = g[index] where the value counted.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.tensor([1.0, 2.0]).at[0].set(5.0)
    tensor([5., 2.])
    """
    result = np.array(x, dtype=np.result_type(x, value))
    result[index] = value
    return result


def _outside(x: Any, index: Any) -> np.ndarray:
    """1 where ``x`` keeps its own value, 0 at ``index``."""
    outside = np.ones(x.shape, x.dtype)
    outside[index] = 0
    return outside


def _counted(x: Any, index: Any) -> Any:
    """1 for each value that stays, 0 for one that a later value overwrites."""
    order = np.zeros(x.shape, np.int64)
    places = np.arange(order[index].size).reshape(order[index].shape)
    order[index] = places
    return (order[index] == places).astype(x.dtype)


set_at.vjp(
    x=lambda g, out, x, value, *, index: g * _outside(x, index),
    value=lambda g, out, x, value, *, index: _unbroadcast(
        g[index] * _counted(out, index), value.shape
    ),
)


class At:
    """``t.at[index]``: the place where ``set`` and ``add`` put their value."""

    def __init__(self, x: Tensor, index: Any = None) -> None:
        self._x = x
        self._index = index

    def __getitem__(self, index: Any) -> At:
        return At(self._x, index)

    def set(self, value: Any) -> Tensor:
        """Return a copy with ``value`` at the index, the last one where it repeats."""
        return set_at.call(self._x, value, index=self._index)  # type: ignore[no-any-return]

    def add(self, value: Any) -> Tensor:
        """Return a copy with ``value`` added at the index, as often as it is listed."""
        if type(value) in (
            int,
            float,
        ):  # Python's numbers are weak: x decides the dtype
            value = np.asarray(value, np.result_type(self._x.dtype, value))
        placed: Tensor = put.call(value, index=self._index, shape=self._x.shape)
        return self._x + placed


setattr(Tensor, "at", property(At))  # noqa: B010 (the stub file types it)
