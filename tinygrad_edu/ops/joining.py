"""Several arrays made one, and one cut up into several."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import OPS, Case, op
from tinygrad_edu.engine.declaration import InTwoSteps
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.engine.keywords import refused
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.keywords import in_dtypes

__all__ = [
    "array_split",
    "column_stack",
    "concatenate",
    "dstack",
    "hstack",
    "split",
    "stack",
    "vstack",
]

Shape = tuple[int, ...]


def _sequence_first(numpy: Callable[..., Any]) -> Any:
    """Accept ``concatenate([a, b], 0)`` and names, as NumPy's function takes them."""
    name = numpy.__name__
    theirs = inspect.signature(numpy).parameters
    first = next(iter(theirs))
    listed = [key for key in theirs if key not in (first, "out")]
    taken, takes = frozenset(listed), ", ".join(["arrays", *listed])

    def adapter(*args: Any, **named: Any) -> tuple[list[Any], dict[str, Any]]:
        if len(args) > len(theirs):
            raise TypeError(f"{name}: got {len(args)} arguments; it takes {takes}")
        for key, value in zip(theirs, args, strict=False):
            if key in named:
                raise TypeError(f"{name}: got two values for {key}")
            named[key] = value
        given = first if "arrays" not in named else "arrays"
        if given not in named:
            raise TypeError(f"{name}: missing arrays; it takes {takes}")
        arrays = list(named.pop(given))
        if not taken.issuperset(named):
            for key in named.keys() - taken:
                if key not in theirs or named.pop(key) is not theirs[key].default:
                    raise refused(name, key, takes)
        if not arrays:
            raise ValueError(f"{name}: need at least one array")
        return arrays, named

    return adapter


def _joined_in(name: str) -> Callable[..., Any]:
    """Return what joins arrays in the dtype that is given."""

    def keywords(*arrays: Any, dtype: Any = None, casting: str = "same_kind") -> Any:
        return OPS[name].call(in_dtypes(arrays, dtype, casting, name))

    return keywords


def _joined_along_in(name: str) -> Callable[..., Any]:
    """Return the same for what has an axis."""

    def keywords(
        *arrays: Any,
        axis: int | None = 0,
        dtype: Any = None,
        casting: str = "same_kind",
    ) -> Any:
        return OPS[name].call(in_dtypes(arrays, dtype, casting, name), axis=axis)

    return keywords


def _cutter(g: Any, lengths: Iterable[int], axis: int) -> Callable[[int], Any]:
    """Return a function of the position: the part of ``g`` that came from there."""
    before = (slice(None),) * (axis % g.ndim)
    ends = list(itertools.accumulate(lengths, initial=0))
    return lambda position: g[(*before, slice(ends[position], ends[position + 1]))]


@op(
    numpy=np.concatenate,
    adapter=_sequence_first(np.concatenate),
    keywords=_joined_along_in("concatenate"),
    cases=[
        Case((2, 3), (1, 3)),
        Case((2, 1), (2, 3), (2, 2), axis=-1),
        Case((2, 2), (3,), axis=None),
    ],
)
def concatenate(*arrays: Any, axis: int | None = 0) -> Any:
    """Join arrays along an axis that they have.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Of equal shapes but for that axis.
    axis : int or None, default 0
        With None all are flattened first.
    dtype : dtype, optional
        Of the result; the common one of the arrays unless given.
    casting : str, default "same_kind"
        Which casts to it are allowed, as in NumPy.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes do not fit.

    Notes
    -----
    The derivative cuts the gradient up again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.concatenate([[1.0, 2.0], [3.0]])
    array([1., 2., 3.])
    """
    return np.concatenate(arrays, axis=axis)


def _concatenate_rule(
    g: Any, out: Any, *arrays: Any, axis: int | None
) -> Callable[[int], Any]:
    if axis is not None:
        return _cutter(g, (np.shape(x)[axis] for x in arrays), axis)
    part = _cutter(g, map(np.size, arrays), 0)
    return lambda position: np.reshape(part(position), np.shape(arrays[position]))


concatenate.vjp(arrays=InTwoSteps(_concatenate_rule))


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return concatenate.call([arr, values], axis=axis)


FROM_NUMPY[np.append] = _append


@op(
    numpy=np.stack,
    adapter=_sequence_first(np.stack),
    keywords=_joined_along_in("stack"),
    cases=[
        Case((2, 3), (2, 3)),
        Case((2, 3), (2, 3), (2, 3), axis=-1),
        Case((2, 3), (2, 3), axis=1),
        Case((), ()),
    ],
)
def stack(*arrays: Any, axis: int = 0) -> Any:
    """Join arrays along a new axis.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Of one shape.
    axis : int, default 0
        Where the new axis stands in the result.
    dtype : dtype, optional
        Of the result; the common one of the arrays unless given.
    casting : str, default "same_kind"
        Which casts to it are allowed, as in NumPy.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes differ.

    Notes
    -----
    The derivative takes the gradient apart again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([[1., 3.],
           [2., 4.]])
    """
    return np.stack(arrays, axis=axis)


def _stack_rule(g: Any, out: Any, *arrays: Any, axis: int) -> Callable[[int], Any]:
    before = (slice(None),) * (axis % g.ndim)
    return lambda position: g[(*before, position)]


stack.vjp(arrays=InTwoSteps(_stack_rule))


def _joined_along(axis: Callable[[Shape], int], lifted: Callable[..., Any]) -> Any:
    """Return the rule of joining arrays that were given further axes first."""

    @functools.lru_cache
    def shape_of(shape: Shape) -> Shape:
        return tuple(lifted(np.empty(shape, bool)).shape)

    def rule(g: Any, out: Any, *arrays: Any) -> Callable[[int], Any]:
        shapes = [shape_of(np.shape(x)) for x in arrays]
        along = axis(shapes[0])
        part = _cutter(g, (shape[along] for shape in shapes), along)
        return lambda position: np.reshape(part(position), np.shape(arrays[position]))

    return InTwoSteps(rule)


_FEW_AXES = [Case((2,), (2,)), Case((2, 3), (2, 3)), Case((2, 3, 1), (2, 3, 1))]


@op(
    numpy=np.hstack,
    adapter=_sequence_first(np.hstack),
    keywords=_joined_in("hstack"),
    cases=[*_FEW_AXES, Case((), (3,)), Case((2, 1), (2, 3))],
)
def hstack(*arrays: Any) -> Any:
    """Join arrays side by side: along the second axis, vectors along their only one.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Of equal shapes but for that axis; numbers count as vectors.
    dtype : dtype, optional
        Of the result; the common one of the arrays unless given.
    casting : str, default "same_kind"
        Which casts to it are allowed, as in NumPy.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes do not fit.

    Notes
    -----
    The derivative cuts the gradient up again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.hstack([[1.0, 2.0], [3.0]])
    array([1., 2., 3.])
    """
    return np.hstack(arrays)


hstack.vjp(
    arrays=_joined_along(lambda first: 0 if len(first) == 1 else 1, np.atleast_1d)
)


@op(
    numpy=np.vstack,
    adapter=_sequence_first(np.vstack),
    keywords=_joined_in("vstack"),
    cases=[*_FEW_AXES, Case((), ()), Case((3,), (2, 3))],
)
def vstack(*arrays: Any) -> Any:
    """Join arrays one below the other: along the first axis, vectors as rows.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Of equal shapes but for that axis.
    dtype : dtype, optional
        Of the result; the common one of the arrays unless given.
    casting : str, default "same_kind"
        Which casts to it are allowed, as in NumPy.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes do not fit.

    Notes
    -----
    The derivative cuts the gradient up again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.vstack([[1.0, 2.0], [3.0, 4.0]])
    array([[1., 2.],
           [3., 4.]])
    """
    return np.vstack(arrays)


vstack.vjp(arrays=_joined_along(lambda first: 0, np.atleast_2d))


@op(
    numpy=np.dstack,
    adapter=_sequence_first(np.dstack),
    cases=[*_FEW_AXES, Case((), ()), Case((2, 3), (2, 3, 2))],
)
def dstack(*arrays: Any) -> Any:
    """Join arrays one behind the other: along the third axis.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Of equal shapes but for that axis. Vectors (n,) count as (1, n, 1), matrices
        (n, m) as (n, m, 1).

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes do not fit.

    Notes
    -----
    The derivative cuts the gradient up again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.dstack([[1.0, 2.0], [3.0, 4.0]])
    array([[[1., 3.],
            [2., 4.]]])
    """
    return np.dstack(arrays)


dstack.vjp(arrays=_joined_along(lambda first: 2, np.atleast_3d))


def _as_columns(x: Any) -> Any:
    return x.reshape(-1, 1) if x.ndim < 2 else x


@op(
    numpy=np.column_stack,
    adapter=_sequence_first(np.column_stack),
    cases=[*_FEW_AXES, Case((), ()), Case((2,), (2, 3))],
)
def column_stack(*arrays: Any) -> Any:
    """Join arrays side by side: along the second axis, vectors as columns.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Of equal shapes but for that axis.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes do not fit.

    Notes
    -----
    The derivative cuts the gradient up again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.column_stack([[1.0, 2.0], [3.0, 4.0]])
    array([[1., 3.],
           [2., 4.]])
    """
    return np.column_stack(arrays)


column_stack.vjp(arrays=_joined_along(lambda first: 1, _as_columns))


# --------------------------------------------------------------- cut up: basic indexing


_MANY = 16  #: pieces that are cut at once: the gradient of each is as large as x


def _pieces(cut: Callable[..., Any], x: Any, sections: Any, axis: int) -> list[Any]:
    """Return the pieces that ``cut`` makes of an axis, each by indexing ``x``."""
    ndim = np.ndim(x)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{cut.__name__}: x of shape {np.shape(x)} has no axis {axis}")
    before = (slice(None),) * (axis % ndim)
    bounds = [
        (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
        for places in cut(np.arange(np.shape(x)[axis]), sections)
    ]
    return _between(x, before, bounds)


def _between(
    x: Any, before: tuple[Any, ...], bounds: list[tuple[int, int]]
) -> list[Any]:
    """Return the pieces between bounds: of many, cut from a few larger pieces."""
    if len(bounds) <= _MANY:
        return [getitem(x, (*before, slice(*ends))) for ends in bounds]
    pieces = []
    each = -(-len(bounds) // _MANY)
    for i in range(0, len(bounds), each):
        some = bounds[i : i + each]
        start = min((a for a, b in some if a < b), default=0)
        stop = max((b for a, b in some if a < b), default=0)
        larger = getitem(x, (*before, slice(start, stop)))
        inside = [(a - start, b - start) if a < b else (0, 0) for a, b in some]
        pieces += _between(larger, before, inside)
    return pieces


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut an array up along an axis.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    indices_or_sections : int or sequence of int
        Into how many equal pieces, or where to cut.
    axis : int, default 0

    Returns
    -------
    list of Tensor or ndarray
        Of the shape of ``x`` but along the axis. Each made by indexing: :func:`getitem`
        gives the derivative.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or cannot be cut into equal pieces.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.split([1.0, 2.0, 3.0, 4.0], 2)
    [array([1., 2.]), array([3., 4.])]
    """
    return _pieces(np.split, x, indices_or_sections, axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut an array up along an axis, into pieces that may differ in length.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    indices_or_sections : int or sequence of int
        Into how many pieces, the first of which are longer by 1 where they must be, or
        where to cut.
    axis : int, default 0

    Returns
    -------
    list of Tensor or ndarray
        Of the shape of ``x`` but along the axis. Each made by indexing: :func:`getitem`
        gives the derivative.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.array_split([1.0, 2.0, 3.0], 2)
    [array([1., 2.]), array([3.])]
    """
    return _pieces(np.array_split, x, indices_or_sections, axis)


FROM_NUMPY[np.split] = lambda ary, indices_or_sections, axis=0: split(
    ary, indices_or_sections, axis
)
FROM_NUMPY[np.array_split] = lambda ary, indices_or_sections, axis=0: array_split(
    ary, indices_or_sections, axis
)
