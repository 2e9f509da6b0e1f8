"""Reading and writing parts of an array."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from types import EllipsisType, NoneType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import DTypeLike

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY, plain
from tinygrad_edu.engine.scattered import Scattered, add_at
from tinygrad_edu.ops.broadcasting import sum_to
from tinygrad_edu.ops.conversion import astype, narrow, wide
from tinygrad_edu.ops.plans import remembered

__all__ = [
    "getitem",
    "one_hot",
    "piecewise",
    "put",
    "set_at",
    "take",
    "take_along_axis",
    "where",
]

_INDICES: list[Any] = [
    1,
    (slice(None), slice(0, 2)),
    (..., None, -1),
    (np.array([0, 1, 1]), np.array([2, 0, 0])),  # entry (1, 0) twice
    ([0, 0], slice(None, None, -1)),
    ((1, 1), None, [[0], [-1]]),
    np.array([[True, False, True], [False, True, True]]),
]


#: Parts of an index that nobody can change; and that pick no entry twice.
_FIXED = frozenset({int, bool, slice, EllipsisType, NoneType})


def _plain_index(index: Any) -> Any:
    """Index with the numbers of tensors: an index has no derivative."""
    if isinstance(index, tuple):
        if _FIXED.issuperset(map(type, index)):
            return index
        return tuple(_plain_index(i) for i in index)
    if type(index) is Tensor:
        return index.numpy()
    # A copy of what the user may still change
    return deepcopy(index) if isinstance(index, np.ndarray | list) else index


def _index_last(*arrays: Any, **metadata: Any) -> tuple[Any, dict[str, Any]]:
    """Accept ``getitem(x, index)`` and ``set_at(x, value, index)``."""
    if "index" in metadata:
        metadata["index"] = _plain_index(metadata["index"])
    else:
        *arrays, index = arrays  # type: ignore[assignment]
        metadata["index"] = index if type(index) in _FIXED else _plain_index(index)
    return arrays, metadata


@op(
    symbol="{x}[{index}]",
    operator="getitem",
    adapter=_index_last,
    texts={"x": "{g} put back at [{index}]"},
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
    symbol="{x} put at [{index}]",
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
    if _picks_once(index):
        result[index] = x
    else:
        sums = wide(result)
        add_at(sums, index, x)  # an entry may be picked twice
        result = sums if sums is result else narrow(sums, result)
    return result


def _picks_once(index: Any) -> bool:
    """Whether an index surely picks no entry twice, as arrays of numbers may."""
    parts = index if isinstance(index, tuple) else (index,)
    return _FIXED.issuperset(map(type, parts)) or all(map(_is_single, parts))


def _is_single(part: Any) -> bool:
    if isinstance(part, np.ndarray):
        return bool(part.dtype.kind == "b")
    return isinstance(part, np.integer) or type(part) in _FIXED


def _unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum ``g`` to ``shape``, which may have axes of length 1 in front, as in NumPy."""
    return np.reshape(sum_to(g, shape[max(len(shape) - g.ndim, 0) :]), shape)


def _only_adds_axes(index: Any) -> bool:
    """Whether an index picks everything, as in ``x[:, None]``."""
    parts = index if isinstance(index, tuple) else (index,)
    if not _WHOLE_AXES.issuperset(map(type, parts)):
        return False
    return all(type(part) is not slice or part == slice(None) for part in parts)


_WHOLE_AXES = frozenset({NoneType, EllipsisType, slice})


def _put_back(g: Any, index: Any, x: Any) -> Any:
    """Return ``g`` at the index of ``x``, for a rule; of arrays without the zeros."""
    if _only_adds_axes(index):
        return g.reshape(x.shape)
    if type(g) is Tensor:
        return put.call(g, index=index, shape=x.shape)
    whole = partial(put.forward, g, index=index, shape=x.shape)
    return Scattered(g, index, _picks_once(index), whole)


getitem.vjp(x=lambda g, out, x, *, index: _put_back(g, index, x))
put.vjp(x=lambda g, out, x, *, index, shape: _unbroadcast(g[index], x.shape))


def _set_text(x: Any, value: Any, *, index: Any) -> str:
    text = "{g}[{index}]"
    if x[index].shape != np.shape(value):
        text = f"Σ over copies in {text}"
    return text if _counted(x, index).all() else f"{text}, the last counts"


@op(
    symbol="{x} with {value} at [{index}]",
    adapter=_index_last,
    texts={"x": "{g}, but 0 at [{index}]", "value": _set_text},
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


def _take_with(
    x: Any, indices: Any, *, axis: int | None = None, mode: Any = "raise"
) -> Any:
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"take: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    if mode != "raise" and (n := x.size if axis is None else x.shape[axis]):
        indices = constant(indices)
        indices = indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)
    return take.call(x, indices, axis=axis)


@op(
    numpy=np.take,
    keywords=_take_with,
    symbol="take",
    texts={"x": "{g} put back at {indices}"},
    cases=[
        Case((2, 3), np.array([5, 0, 0])),
        Case((2, 3), np.array([[2, 0], [1, 2]]), axis=1),
        Case((2, 3, 2), np.array([-1, 0, -1]), axis=-2),
        Case((2, 3), 1, axis=0),
    ],
)
def take(x: Any, indices: Any, *, axis: int | None = None) -> Any:
    """Entries, or whole rows, picked by their numbers.

    Parameters
    ----------
    x : Tensor or array_like
    indices : array_like of int
        Of any shape, counted from the end where negative. They have no derivative.
    axis : int, optional
        The axis along which to pick; the flattened ``x`` unless given.
    mode : {"raise", "wrap", "clip"}, default "raise"
        What becomes of indices outside of ``x``: an error; they go on from the other
        end; the nearest one inside.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, with that of ``indices`` in place of the axis.

    Raises
    ------
    IndexError
        If an index lies outside ``x``.

    Notes
    -----
    y = x[indices]; dL/dx is zero but for g at the indices, added up where an entry was
    picked several times.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.take([[1.0, 2.0], [3.0, 4.0]], [1, 0, 1], axis=1)
    array([[2., 1., 2.],
           [4., 3., 4.]])
    """
    return np.take(x, indices, axis)


def constant(x: Any) -> Any:
    """Return the plain numbers of an input that has no derivative."""
    return x.data if type(x) is Tensor else np.asarray(x)


def _take_rule(g: Any, out: Any, x: Any, indices: Any, *, axis: int | None) -> Any:
    indices = constant(indices)
    if axis is None or x.ndim == 0:  # NumPy takes axis=0 of a number
        return np.reshape(put(g, index=(indices,), shape=(x.size,)), x.shape)
    if not g.size:  # where NumPy looks at no index
        return np.zeros(x.shape, x.dtype)
    return _put_back(g, (*(slice(None),) * (axis % x.ndim), indices), x)


take.vjp(x=_take_rule, indices=None)


@op(
    numpy=np.take_along_axis,
    symbol="take",
    texts={"x": "{g} put back at {indices}"},
    cases=[
        Case((2, 3), np.array([[2, 0, 0, 1], [1, 1, -1, 0]])),
        Case((2, 3), np.array([[1, 0, 0]]), axis=0),
        Case((2, 1, 3), np.array([[[0], [2]]]), axis=2),
        Case((2, 3), np.array([5, 0, 5]), axis=None),
    ],
)
def take_along_axis(x: Any, indices: Any, *, axis: int | None = -1) -> Any:
    """Entries picked along an axis, in each row by numbers of its own.

    Parameters
    ----------
    x : Tensor or array_like
    indices : array_like of int
        Of as many axes as ``x``, broadcasting against it but for the axis. They have no
        derivative.
    axis : int or None, default -1
        The axis along which to pick; with None ``x`` is flattened.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``indices`` has another number of axes.
    IndexError
        If an index lies outside ``x``, or the shapes do not broadcast.

    Notes
    -----
    yₖ = x[iₖ] in each row; dL/dx is zero but for g at the indices, added up where an
    entry was picked several times.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1)
    array([[2.],
           [3.]])
    """
    x, indices = np.asarray(x), np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise IndexError(f"indices must be integers, got {indices.dtype}")
    if axis is None:
        return x.reshape(-1)[indices]
    if indices.ndim != x.ndim:
        raise ValueError(
            f"indices must have as many axes as x, {x.ndim}, got {indices.shape}"
        )
    return x[_with_rows(x.shape, indices, axis)]


def _with_rows(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """Return the index of what is picked along an axis, in each row by its numbers."""
    before, after = _rows_beside(shape, axis)
    return (*before, indices, *after)


@remembered
def _rows_beside(
    shape: tuple[int, ...], axis: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Return the numbers of the rows, for the axes before an axis and those behind."""
    axis = normalize_axis_index(axis, len(shape))
    rows = np.ogrid[tuple(map(slice, shape))]
    return rows[:axis], rows[axis + 1 :]


def _take_along_axis_rule(
    g: Any, out: Any, x: Any, indices: Any, *, axis: int | None
) -> Any:
    indices = constant(indices)
    if axis is None:
        return np.reshape(put(g, index=(indices,), shape=(x.size,)), x.shape)
    return _put_back(g, _with_rows(x.shape, indices, axis), x)


take_along_axis.vjp(x=_take_along_axis_rule, indices=None)

_CHOICE = np.array([[True, False, True], [False, False, True]])


@op(
    numpy=np.where,
    symbol="where",
    elementwise=True,
    texts={"x": "{g} ⊙ [{condition}]", "y": "{g} ⊙ [not {condition}]"},
    cases=[
        Case(_CHOICE, (2, 3), (2, 3)),
        Case(_CHOICE, (3,), (2, 1)),
        Case(_CHOICE[0], (2, 3), ()),
        Case(True, (2,), (2,)),
    ],
)
def where(condition: Any, x: Any, y: Any) -> Any:
    """One of two numbers, elementwise with broadcasting, as a condition says.

    Parameters
    ----------
    condition : array_like of bool
        It has no derivative.
    x, y : Tensor or array_like
        What is taken where the condition holds, and where it does not.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    x if the condition holds, else y; dL/dx = g where it holds and 0 elsewhere, dL/dy =
    g where it does not. Both were computed everywhere: a nan or an infinity in the
    derivative of the one that was not taken, times 0, is nan. :func:`piecewise`
    computes each only where it is taken.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.where([True, False], [1.0, 2.0], 0.0)
    array([1., 0.])
    """
    return np.where(condition, x, y)[()]


where.vjp(
    condition=None,
    x=lambda g, out, condition, x, y: where(constant(condition), g, 0.0),
    y=lambda g, out, condition, x, y: where(constant(condition), 0.0, g),
)


def _where(condition: Any, *branches: Any) -> Any:
    """Answer for NumPy's, which finds places when there are no branches."""
    if len(branches) not in (0, 2):
        raise TypeError("where: either both or neither of x and y should be given")
    return where(condition, *branches) if branches else np.nonzero(condition)


FROM_NUMPY[np.where] = _where
plain(np.nonzero, np.flatnonzero, np.argwhere, np.count_nonzero)


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


# --------------------------------------------------------------- made of the operations


def piecewise(
    x: Any, conditions: Any, functions: Sequence[Any], *args: Any, **named: Any
) -> Any:
    """Different functions in different places, each computed only where it counts.

    So a function may be one that is not defined elsewhere: where :func:`where` gives a
    nan derivative, because it needs both branches everywhere, this gives the right one.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    conditions : array_like of bool, or a sequence of them
        Of ``x``'s shape. Where several hold, the last one counts, as in NumPy.
    functions : sequence of callable or number
        One for each condition. Each is given, as a vector, those entries of ``x`` where
        its condition counts, and returns as many numbers, or one. One further function
        is for where no condition holds; without it the result is 0 there.
    *args, **named
        Handed to the functions.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape and dtype; integers become floating-point numbers where a
        function returns such, and are not cut off as in NumPy.

    Raises
    ------
    ValueError
        If a condition has another shape, or there are too many or too few functions.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([-1.0, 4.0], requires_grad=True)
    >>> y = te.piecewise(x, [x < 0, x >= 0], [lambda x: x, te.sqrt])
    >>> te.gradients(y.sum(), [x])
    [array([1.  , 0.25])]
    """
    if type(x) is not Tensor:
        x = np.asarray(x)
    counts = _where_each_counts(conditions, x.shape, len(functions))
    y = np.zeros_like(x)  # plain zeros, also where x is a Tensor
    for mask, function in zip(counts, functions, strict=True):
        if not mask.any():
            continue
        value = function(x[mask], *args, **named) if callable(function) else function
        y = set_at(y, value, index=mask)
    if (
        x.dtype.kind == "f" and y.dtype != x.dtype
    ):  # as NumPy, which fills in zeros of x
        y = astype(y, dtype=x.dtype)
    return y


def _where_each_counts(
    conditions: Any, shape: tuple[int, ...], functions: int
) -> list[np.ndarray]:
    """Return for each function where it is the one that counts."""
    if isinstance(conditions, Tensor) or not isinstance(conditions, list | tuple):
        conditions = (
            list(conditions) if np.ndim(conditions) > len(shape) else [conditions]
        )
    elif shape and np.ndim(conditions[0]) == 0:  # one condition, written as a list
        conditions = [conditions]
    masks = [np.array(constant(c), bool) for c in conditions]
    for mask in masks:
        if mask.shape not in (shape, ()):
            raise ValueError(
                f"piecewise: a condition has shape {mask.shape}, but x {shape}"
            )
    masks = [np.broadcast_to(mask, shape) for mask in masks]
    if functions not in (len(masks), len(masks) + 1):
        raise ValueError(
            f"piecewise: {len(masks)} conditions take {len(masks)} functions, or "
            f"{len(masks) + 1} with a default; got {functions}"
        )
    free = np.ones(shape, bool)
    counts = []
    for mask in reversed(masks):
        counts.append(mask & free)
        free = free & ~mask
    counts.reverse()
    return [*counts, free][:functions]


def _numpys_piecewise(
    x: Any, condlist: Any, funclist: Any, *args: Any, **named: Any
) -> Any:
    return piecewise(x, condlist, funclist, *args, **named)


FROM_NUMPY[np.piecewise] = _numpys_piecewise


def one_hot(labels: Any, classes: int, *, dtype: DTypeLike = np.float64) -> np.ndarray:
    """Rows of zeros with a single 1, at the place that a label names.

    Parameters
    ----------
    labels : array_like of int
        From 0 to ``classes`` - 1, of any shape.
    classes : int
    dtype : dtype, default float64

    Returns
    -------
    ndarray, shape ``(*labels.shape, classes)``
        A plain array: labels have no derivative.

    Raises
    ------
    ValueError
        If labels are no integers, or lie outside the classes.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    labels = constant(labels)
    if labels.dtype.kind not in "iu" and labels.size:
        raise ValueError(f"one_hot: labels must be integers, got {labels.dtype}")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        raise ValueError(
            f"one_hot: labels must lie in 0..{classes - 1}, got {labels[outside][0]}"
        )
    hot: np.ndarray = np.equal(labels[..., None], np.arange(classes)).astype(dtype)
    return hot
