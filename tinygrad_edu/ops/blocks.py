"""Arrays cut up and put together again, whole or slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case, Tensor
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.joining import array_split, split
from tinygrad_edu.ops.shape import moveaxis

__all__ = [
    "apply_along_axis",
    "apply_over_axes",
    "block",
    "broadcast_arrays",
    "dsplit",
    "hsplit",
    "resize",
    "rollaxis",
    "unstack",
    "vsplit",
]


@composite(
    np.hsplit,
    arrays=("x",),
    cases=[Case((4,), 2), Case((2, 3), np.array([1])), Case((2, 4, 2), 2)],
)
def hsplit(x: Any, indices_or_sections: Any) -> Any:
    """Cut an array up along its second axis, a vector along its only one.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    indices_or_sections : int or sequence of int
        Into how many equal pieces, or where to cut.

    Returns
    -------
    list of Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has no axis, or cannot be cut into equal pieces.

    Notes
    -----
    Made of :func:`split`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.hsplit([1.0, 2.0, 3.0, 4.0], 2)
    [array([1., 2.]), array([3., 4.])]
    """
    return split(x, indices_or_sections, 1 if np.ndim(x) > 1 else 0)


@composite(np.vsplit, arrays=("x",), cases=[Case((4, 2), 2), Case((3, 2), [1])])
def vsplit(x: Any, indices_or_sections: Any) -> Any:
    """Cut an array up along its first axis.

    Parameters
    ----------
    x : Tensor or array_like, shape (n, m, ...)
    indices_or_sections : int or sequence of int
        Into how many equal pieces, or where to cut.

    Returns
    -------
    list of Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has fewer than two axes, or cannot be cut into equal pieces.

    Notes
    -----
    Made of :func:`split`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.vsplit([[1.0], [2.0]], 2)
    [array([[1.]]), array([[2.]])]
    """
    if np.ndim(x) < 2:
        raise ValueError(f"vsplit: x is {np.shape(x)}; it needs two axes or more")
    return split(x, indices_or_sections, 0)


@composite(np.dsplit, arrays=("x",), cases=[Case((2, 1, 4), 2), Case((2, 1, 3), [1])])
def dsplit(x: Any, indices_or_sections: Any) -> Any:
    """Cut an array up along its third axis.

    Parameters
    ----------
    x : Tensor or array_like, shape (n, m, k, ...)
    indices_or_sections : int or sequence of int
        Into how many equal pieces, or where to cut.

    Returns
    -------
    list of Tensor or ndarray

    Raises
    ------
    ValueError
        If ``x`` has fewer than three axes, or cannot be cut into equal pieces.

    Notes
    -----
    Made of :func:`split`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.dsplit([[[1.0, 2.0]]], 2)
    [array([[[1.]]]), array([[[2.]]])]
    """
    if np.ndim(x) < 3:
        raise ValueError(f"dsplit: x is {np.shape(x)}; it needs three axes or more")
    return split(x, indices_or_sections, 2)


@composite(
    np.unstack,
    cases=[Case((3, 2)), Case((2, 3), axis=-1), Case((17,))],
)
def unstack(x: Any, *, axis: int = 0) -> Any:
    """Take an array apart along an axis.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., k, ...)
    axis : int, default 0

    Returns
    -------
    tuple of Tensor or ndarray, of the shape of ``x`` without the axis

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    The derivative puts the gradients together again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.unstack([[1.0, 2.0], [3.0, 4.0]])
    (array([1., 2.]), array([3., 4.]))
    """
    if np.ndim(x) == 0:
        raise ValueError("unstack: x is a number; it needs an axis")
    along = normalize_axis_index(axis, x.ndim)
    n = x.shape[along]
    shape = x.shape[:along] + x.shape[along + 1 :]
    pieces = array_split(x, n, along) if n else []
    return tuple(np.reshape(piece, shape) for piece in pieces)


@composite(
    np.rollaxis,
    arrays=("x",),
    cases=[
        Case((2, 3, 4), 2),
        Case((2, 3, 4), 0, start=2),
        Case((2, 3, 4), -1, start=-2),
        Case((2, 3, 4), 1, start=3),
    ],
)
def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    """The same numbers with one axis put before another.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int
        The axis to move; :func:`moveaxis` is easier to read.
    start : int, default 0
        Before which axis it goes.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape in that order

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    The derivative puts the axes of the gradient back into ``x``'s order.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.rollaxis(np.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    n = x.ndim
    axis = normalize_axis_index(axis, n)
    if not -n <= start <= n:
        raise ValueError(f"rollaxis: start must lie in {-n}..{n}, got {start}")
    start = start + n if start < 0 else start
    order = [a for a in range(n) if a != axis]
    order.insert(start - (axis < start), axis)
    return np.transpose(x, order)


@composite(
    np.resize,
    arrays=("x",),
    cases=[
        Case((2, 3), new_shape=(4, 2)),
        Case((3,), new_shape=2),
        Case((2, 2), new_shape=(0, 3)),
    ],
)
def resize(x: Any, new_shape: int | Sequence[int]) -> Any:
    """The same numbers over and over again, until an array is full.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    new_shape : int or sequence of int

    Returns
    -------
    Tensor or ndarray, of the new shape

    Raises
    ------
    ValueError
        If the shape is negative.

    Notes
    -----
    The derivative adds up the gradients of the copies.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.resize([1.0, 2.0], 5)
    array([1., 2., 1., 2., 1.])
    """
    shape = tuple(np.atleast_1d(np.asarray(new_shape, int)).tolist())
    if any(n < 0 for n in shape):
        raise ValueError(f"resize: the new shape must not be negative, got {shape}")
    if x.size == 0:  # NumPy fills up with zeros
        return broadcast_to(np.sum(x), shape=shape)
    places = np.arange(int(np.prod(shape, dtype=int))) % x.size
    return np.reshape(np.ravel(x)[places], shape)


def broadcast_arrays(*args: Any) -> Any:
    """Several arrays, repeated along axes of length 1 until they have one shape.

    Parameters
    ----------
    *args : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    tuple of Tensor or ndarray, one for each

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    The derivative adds up the gradients of the copies.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.broadcast_arrays([1.0, 2.0], 3.0)
    (array([1., 2.]), array([3., 3.]))
    """
    try:
        shape = np.broadcast_shapes(*map(np.shape, args))
    except ValueError as error:
        raise ValueError(f"broadcast_arrays: {error}") from None
    return tuple(broadcast_to(x, shape=shape) for x in args)


FROM_NUMPY[np.broadcast_arrays] = lambda *args, subok=False: broadcast_arrays(*args)


@composite(np.block, cases=[Case((2, 3))])
def block(arrays: Any) -> Any:
    """Put an array together from blocks in nested lists.

    Parameters
    ----------
    arrays : nested lists of Tensor or array_like, of shapes that fit
        The innermost lists join along the last axis, those around them along the one
        before, and so on.

    Returns
    -------
    Tensor or ndarray, of the shape that the blocks make

    Raises
    ------
    ValueError
        If the lists are empty, not equally deep, or the shapes do not fit.
    TypeError
        If there is a tuple instead of a list.

    Notes
    -----
    The derivative cuts the gradient up again.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.ops.block([[np.eye(2), np.zeros((2, 1))], [1.0, 2.0, 3.0]])
    array([[1., 0., 0.],
           [0., 1., 0.],
           [1., 2., 3.]])
    """
    shape_only = np.block(_of_blocks(lambda x: np.empty(np.shape(x), bool), arrays))
    depth = _depth(arrays)
    ndim = shape_only.ndim

    def joined(part: Any, axis: int) -> Any:
        if isinstance(part, list):
            return np.concatenate([joined(x, axis + 1) for x in part], axis)
        part = part if type(part) is Tensor else np.asarray(part)
        return np.reshape(part, (1,) * (ndim - part.ndim) + part.shape)

    return joined(arrays, -depth) if depth else np.copy(arrays)


def _of_blocks(f: Callable[[Any], Any], part: Any) -> Any:
    if isinstance(part, list | tuple):
        return type(part)(_of_blocks(f, x) for x in part)
    return f(part)


def _depth(part: Any) -> int:
    return 1 + _depth(part[0]) if isinstance(part, list) else 0


# --------------------------------------------------------------------- slice by slice


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, x: Any, *args: Any, **kwargs: Any
) -> Any:
    """Apply a function to each vector along an axis.

    Parameters
    ----------
    func1d : callable
        ``func1d(vector, *args, **kwargs)`` returns a number or an array.
    axis : int
    x : Tensor or array_like, shape (..., k, ...)
    *args, **kwargs
        Handed to the function.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x``, with that of the results for the axis

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or there is no vector along it.

    Notes
    -----
    The vectors are cut out by indexing, and the results stacked.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> x = te.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> y = np.apply_along_axis(lambda row: row[0] * row[1], 1, x)
    >>> te.gradients(y.sum(), [x])[0].tolist()
    [[2.0, 1.0], [4.0, 3.0]]
    """
    if type(x) is not Tensor:
        return np.apply_along_axis(func1d, axis, x, *args, **kwargs)
    try:
        along = normalize_axis_index(axis, x.ndim)
    except ValueError as error:
        raise ValueError(f"apply_along_axis: {error} (x is {x.shape})") from None
    last: Any = moveaxis(x, along, -1)
    lead = last.shape[:-1]
    vectors = np.reshape(last, (int(np.prod(lead, dtype=int)), x.shape[along]))
    if not len(vectors):
        raise ValueError(f"apply_along_axis: x is {x.shape}: there is no vector in it")
    results = [func1d(vector, *args, **kwargs) for vector in unstack(vectors)]
    y = np.stack([y if type(y) is Tensor else np.asarray(y) for y in results])
    shape = y.shape[1:]
    y = np.reshape(y, lead + shape)
    own = range(len(lead), y.ndim)
    return moveaxis(y, own, range(along, along + len(shape)))


def apply_over_axes(func: Callable[[Any, int], Any], x: Any, axes: Any) -> Any:
    """Apply a function along one axis after the other.

    Parameters
    ----------
    func : callable
        ``func(x, axis)`` returns an array with as many axes, or without that one.
    x : Tensor or array_like, any shape
    axes : int or sequence of int

    Returns
    -------
    Tensor or ndarray, of a shape with as many axes as that of ``x``

    Raises
    ------
    ValueError
        If the function returns an array of another number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.apply_over_axes(np.sum, te.tensor(np.ones((2, 3))), [0, 1])
    tensor([[6.]])
    """
    ndim = np.ndim(x)
    for axis in np.atleast_1d(axes).tolist():
        along = axis % ndim
        y = func(x, along)
        if np.ndim(y) == ndim - 1:
            y = np.expand_dims(y, along)
        if np.ndim(y) != ndim:
            raise ValueError(
                f"apply_over_axes: the function returned an array of shape "
                f"{np.shape(y)} for one of {np.shape(x)}"
            )
        x = y
    return x


FROM_NUMPY[np.apply_along_axis] = lambda func1d, axis, arr, *args, **kwargs: (
    apply_along_axis(func1d, axis, arr, *args, **kwargs)
)
FROM_NUMPY[np.apply_over_axes] = lambda func, a, axes: apply_over_axes(func, a, axes)
