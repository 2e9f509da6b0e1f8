"""Other shapes for the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.engine.keywords import refused
from tinygrad_edu.ops.keywords import is_by_column, with_order

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "expand_dims",
    "flatten",
    "moveaxis",
    "ravel",
    "reshape",
    "squeeze",
    "swapaxes",
    "transpose",
]

Axes = int | Sequence[int]


def _integers_or_tuple(op: str, name: str, *further: str) -> Any:
    """Accept ``x.reshape(2, 3)`` beside ``x.reshape((2, 3))``."""
    known, takes = {name, *further}, ", ".join(["x", name, *further])

    def adapter(*numbers: Any, **metadata: Any) -> tuple[list[Any], dict[str, Any]]:
        for first in ("x", "a"):  # NumPy calls it a
            if first in metadata and not numbers:
                numbers = (metadata.pop(first),)
        if not numbers:
            raise TypeError(f"{op}: missing x; it takes {takes}")
        x, numbers = numbers[0], numbers[1:]
        if numbers and type(numbers[-1]) is str and "order" in known:
            metadata["order"] = numbers[-1]  # np.reshape(x, shape, "F")
            numbers = numbers[:-1]
        if numbers:
            if name in metadata:
                raise TypeError(f"{op}: got two values for {name}")
            together = len(numbers) == 1 and not isinstance(
                numbers[0], int | np.integer
            )
            metadata[name] = numbers[0] if together else numbers
        if isinstance(metadata.get(name), list):  # the user's own, who may change it
            metadata[name] = tuple(metadata[name])
        if not known.issuperset(metadata):
            raise refused(op, min(metadata.keys() - known), takes)
        return [x], metadata

    return adapter


def _reshape_with(x: Any, *, shape: Any, order: Any = "C", copy: Any = None) -> Any:
    if copy is False:  # an error, as in NumPy, if it would be one
        np.reshape(getattr(x, "_numbers", x), shape, order=order, copy=False)
    if is_by_column(order, "reshape"):  # turned, all is row by row
        sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        return np.transpose(reshape.call(np.transpose(x), shape=sizes[::-1]))
    y = reshape.call(x, shape=shape)
    return y.copy() if copy else y


@op(
    numpy=np.reshape,
    adapter=_integers_or_tuple("reshape", "shape", "order", "copy"),
    keywords=_reshape_with,
    cases=[Case((2, 3), shape=(3, 2)), Case((2, 3), shape=-1), Case((), shape=(1, 1))],
)
def reshape(x: Any, *, shape: int | Sequence[int]) -> Any:
    """The same numbers, in the same order, in another shape.

    Parameters
    ----------
    x : Tensor or array_like
    shape : int or sequence of int
        One of them may be -1: it is inferred.
    order : {"C", "F"}, default "C"
        In which order the numbers are read and placed: row by row, or column by column.
    copy : bool, optional
        Whether the result must have memory of its own.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If the number of entries differs.

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.reshape([1.0, 2.0, 3.0, 4.0], (2, 2))
    array([[1., 2.],
           [3., 4.]])
    """
    return np.reshape(x, shape)


def _back(g: Any, out: Any, x: Any, **_: Any) -> Any:
    """Put the gradient back into the shape of ``x``: all that most rules do here."""
    return np.reshape(g, x.shape)


reshape.vjp(x=_back)


def _ravel_with(x: Any, *, order: Any = "C") -> Any:
    return ravel.call(np.transpose(x) if is_by_column(order, "ravel") else x)


def _flatten_with(x: Any, *, order: Any = "C") -> Any:
    return flatten.call(np.transpose(x) if is_by_column(order, "flatten") else x)


@op(
    numpy=np.ravel,
    keywords=_ravel_with,
    cases=[Case((2, 3)), Case(()), Case(lambda rng: rng.standard_normal((3, 2)).T)],
)
def ravel(x: Any) -> Any:
    """The same numbers on a single axis, row by row.

    Parameters
    ----------
    x : Tensor or array_like
    order : {"C", "F"}, default "C"
        Row by row, or column by column.

    Returns
    -------
    Tensor or ndarray
        With one axis.

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ravel([[1.0, 2.0], [3.0, 4.0]])
    array([1., 2., 3., 4.])
    """
    return np.ravel(x)


ravel.vjp(x=_back)
FROM_NUMPY[np.ravel] = with_order(ravel)


@op(
    keywords=_flatten_with,
    cases=[Case((2, 3)), Case(()), Case(lambda rng: rng.standard_normal((3, 2)).T)],
)
def flatten(x: Any) -> Any:
    """The same numbers on a single axis, row by row; always a copy.

    Parameters
    ----------
    x : Tensor or array_like
    order : {"C", "F"}, default "C"
        Row by row, or column by column.

    Returns
    -------
    Tensor or ndarray
        With one axis.

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.flatten([[1.0, 2.0], [3.0, 4.0]])
    array([1., 2., 3., 4.])
    """
    return np.array(x).reshape(-1)


flatten.vjp(x=_back)
with_order(flatten)


@op(
    numpy=np.squeeze,
    cases=[
        Case((1, 3, 1)),
        Case((1, 3, 1), axis=-1),
        Case((1, 3, 1), axis=(0, 2)),
        Case((2, 3)),
        Case((1, 1)),
    ],
)
def squeeze(x: Any, *, axis: int | tuple[int, ...] | None = None) -> Any:
    """The same numbers without axes of length 1.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to leave out; all of length 1 unless given.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If one of these axes has another length, or ``x`` has no such axis.

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.squeeze([[1.0, 2.0]])
    array([1., 2.])
    """
    return np.squeeze(x, axis)


squeeze.vjp(x=_back)


@op(
    numpy=np.expand_dims,
    cases=[Case((2, 3), axis=0), Case((2, 3), axis=(-1, 1)), Case((), axis=0)],
)
def expand_dims(x: Any, *, axis: int | tuple[int, ...]) -> Any:
    """The same numbers with further axes of length 1.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int
        Where the new axes stand in the result.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If the result has no such axis.

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.expand_dims([1.0, 2.0], 1)
    array([[1.],
           [2.]])
    """
    return np.expand_dims(x, axis)


expand_dims.vjp(x=_back)

_FEW_AXES = [Case(()), Case((3,)), Case((2, 3)), Case((2, 1, 2, 3))]


@op(numpy=np.atleast_1d, cases=_FEW_AXES)
def atleast_1d(x: Any) -> Any:
    """The same numbers with one axis at least: a number becomes a vector.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.atleast_1d(2.0)
    array([2.])
    """
    return np.atleast_1d(x)


@op(numpy=np.atleast_2d, cases=_FEW_AXES)
def atleast_2d(x: Any) -> Any:
    """The same numbers with two axes at least: a vector becomes a row.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.atleast_2d([1.0, 2.0])
    array([[1., 2.]])
    """
    return np.atleast_2d(x)


@op(numpy=np.atleast_3d, cases=_FEW_AXES)
def atleast_3d(x: Any) -> Any:
    """The same numbers with three axes at least: (n,) becomes (1, n, 1).

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        A matrix (n, m) becomes (n, m, 1).

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.atleast_3d([1.0, 2.0]).shape
    (1, 2, 1)
    """
    return np.atleast_3d(x)


def _each(operation: Any) -> Any:
    """Return what answers for a NumPy function that takes one array or several."""

    def call(*arrays: Any) -> Any:
        results = tuple(operation.call(x) for x in arrays)
        return results[0] if len(results) == 1 else results

    return call


for _function, _op in (
    (np.atleast_1d, atleast_1d),
    (np.atleast_2d, atleast_2d),
    (np.atleast_3d, atleast_3d),
):
    _op.vjp(x=_back)
    FROM_NUMPY[_function] = _each(_op)


@op(
    numpy=np.transpose,
    adapter=_integers_or_tuple("transpose", "axes"),
    cases=[
        Case((2, 3)),
        Case((2, 3, 4), axes=(1, 2, 0)),
        Case((2, 3, 4), axes=(-1, 0, 1)),
    ],
)
def transpose(x: Any, *, axes: Sequence[int] | None = None) -> Any:
    """The same numbers with the axes in another order.

    Parameters
    ----------
    x : Tensor or array_like
    axes : sequence of int, optional
        Which axis of ``x`` comes first, second, ...; all reversed unless given.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``axes`` is no permutation of ``x``'s axes.

    Notes
    -----
    The derivative puts the axes of the gradient back into ``x``'s order.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.transpose([[1.0, 2.0]])
    array([[1.],
           [2.]])
    """
    return np.transpose(x, axes)


def _transpose_rule(g: Any, out: Any, x: Any, *, axes: Sequence[int] | None) -> Any:
    back = None if axes is None else np.argsort([axis % x.ndim for axis in axes])
    return np.transpose(g, back)


transpose.vjp(x=_transpose_rule)

FROM_NUMPY[np.permute_dims] = transpose.call


@op(
    numpy=np.swapaxes,
    cases=[
        Case((2, 3), axis1=0, axis2=1),
        Case((2, 3, 4), axis1=-1, axis2=0),
        Case((2, 3), axis1=1, axis2=1),
    ],
)
def swapaxes(x: Any, *, axis1: int, axis2: int) -> Any:
    """The same numbers with two axes exchanged.

    Parameters
    ----------
    x : Tensor or array_like
    axis1, axis2 : int

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    The derivative exchanges them back.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.swapaxes([[1.0, 2.0]], 0, 1)
    array([[1.],
           [2.]])
    """
    return np.swapaxes(x, axis1, axis2)


swapaxes.vjp(x=lambda g, out, x, *, axis1, axis2: np.swapaxes(g, axis1, axis2))


def _matrix_transpose(x: Any) -> Any:
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: x is {x.shape}; it needs two axes or more")
    return swapaxes.call(x, axis1=-1, axis2=-2)


FROM_NUMPY[np.matrix_transpose] = _matrix_transpose
FROM_NUMPY[np.linalg.matrix_transpose] = _matrix_transpose


@op(
    numpy=np.moveaxis,
    cases=[
        Case((2, 3, 4), source=0, destination=-1),
        Case((2, 3, 4), source=(0, -1), destination=(1, 0)),
        Case((2, 3, 4), source=(2, 0, 1), destination=(0, 1, 2)),
    ],
)
def moveaxis(x: Any, *, source: Axes, destination: Axes) -> Any:
    """The same numbers with some axes moved to other places.

    Parameters
    ----------
    x : Tensor or array_like
    source : int or sequence of int
        The axes to move. The others keep their order.
    destination : int or sequence of int
        Where each of them goes.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or the two differ in number.

    Notes
    -----
    The derivative moves them back.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return np.moveaxis(x, source, destination)


moveaxis.vjp(
    x=lambda g, out, x, *, source, destination: np.moveaxis(g, destination, source)
)
