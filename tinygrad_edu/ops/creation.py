"""Arrays to begin with: constants, and arrays made of Tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.dispatch import FROM_NUMPY, plain
from tinygrad_edu.engine.operands import is_plain, real
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.conversion import astype
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.keywords import in_dtype
from tinygrad_edu.ops.shape import reshape

__all__ = ["arange", "array", "eye", "full", "linspace", "ones", "zeros"]

Shape = int | Sequence[int]
_DEPTH = 64  #: axes that an array of NumPy may have


def array(data: Any, dtype: DTypeLike | None = None) -> Tensor:
    """Make one Tensor of numbers, arrays and Tensors in nested lists, as NumPy would.

    Parameters
    ----------
    data : array_like or Tensor, or nested sequences of them
        What is in the innermost sequences has one shape.
    dtype : dtype, optional
        As in ``numpy.array``; where something requires gradients, a floating-point one.

    Returns
    -------
    Tensor
        Recorded, if something in ``data`` requires gradients; else a constant. Its
        shape is the lengths of the sequences, followed by the shape of what is in them.

    Raises
    ------
    TypeError
        If something is no array of real numbers, such as None or text; says where.
    ValueError
        If two sequences at one depth have different lengths, or two arrays different
        shapes; says which.

    Notes
    -----
    All of it is one ``te.stack`` and a ``te.reshape``, in time proportional to the
    number of entries; the derivative takes the gradient apart again. ``np.array`` of
    Tensors cannot do this: NumPy asks each for plain numbers.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.grad(lambda x: te.sum(te.array([[x[1], 2.0], [-x[0], x[1]]])))([3.0, 4.0])
    array([-1.,  2.])
    >>> te.array([[1, 2], [3, 4]], dtype=float)
    tensor([[1., 2.],
            [3., 4.]])
    """
    entries, lengths = _entries_of(data)
    if not any(isinstance(x, Tensor) for x in entries):
        shape = (*lengths, *(np.shape(entries[0]) if entries else ()))
        return tensor(np.array(entries, dtype).reshape(shape), dtype=dtype)
    made = stack.call(entries)
    if len(lengths) != 1:
        made = reshape.call(made, (*lengths, *np.shape(entries[0])))
    if dtype is None or made.dtype == np.dtype(dtype):
        return cast("Tensor", made)
    if not made.requires_grad:
        return tensor(made, dtype=dtype)
    return cast("Tensor", astype.call(made, dtype=np.dtype(dtype)))


def _entries_of(data: Any) -> tuple[list[Any], list[int]]:
    """Return what is in nested sequences, in order, and the lengths of these."""
    first, depth = data, 0
    while isinstance(first, list | tuple) and first:
        first, depth = first[0], depth + 1
        if depth > _DEPTH:
            raise ValueError(f"te.array: data are nested more than {_DEPTH} deep")
    entries, lengths = [data], list[int]()
    while any(isinstance(x, list | tuple) for x in entries):
        sizes = [len(x) if np.ndim(x) else None for x in map(_row, entries)]
        for i, size in enumerate(sizes):
            if size != sizes[0]:
                raise _unequal(i, lengths, *map(_told_length, (size, sizes[0])))
        lengths.append(sizes[0] or 0)
        entries = [part for x in entries for part in x]
    for i, x in enumerate(entries):
        if not isinstance(x, Tensor) and not is_plain(x):
            entries[i] = x = real(x, f"te.array: {_place(i, lengths)}")
        shape, expected = np.shape(x), np.shape(entries[0])
        if shape != expected:
            told = (f"has shape {s}" for s in (shape, expected))
            raise _unequal(i, lengths, *told)
    return entries, lengths


def _row(x: Any) -> Any:
    """Return what has the length of ``x``, if it has one."""
    return range(len(x)) if isinstance(x, list | tuple) else x


def _told_length(length: int | None) -> str:
    return "is no sequence" if length is None else f"has length {length}"


def _unequal(i: int, lengths: Sequence[int], this: str, first: str) -> ValueError:
    return ValueError(
        f"te.array: {_place(i, lengths)} {this}, but {_place(0, lengths)} {first}; "
        "what stands at one depth must be equal in shape"
    )


def _place(i: int, lengths: Sequence[int]) -> str:
    """Return how one writes the way to entry ``i`` of sequences of such lengths."""
    steps = []
    for length in reversed(lengths):
        i, step = divmod(i, length)
        steps.append(f"[{step}]")
    return "".join(["data", *reversed(steps)])


def zeros(shape: Shape, dtype: DTypeLike = float) -> Tensor:
    """Make a constant Tensor of zeros.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype, optional
        Of 64-bit real numbers unless given.

    Returns
    -------
    Tensor, of ``shape``

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.zeros((2, 3)).at[0].set(1.0)
    tensor([[1., 1., 1.],
            [0., 0., 0.]])
    """
    return tensor(np.zeros(shape, dtype))


def ones(shape: Shape, dtype: DTypeLike = float) -> Tensor:
    """Make a constant Tensor of ones.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype, optional
        Of 64-bit real numbers unless given.

    Returns
    -------
    Tensor, of ``shape``

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ones(3)
    tensor([1., 1., 1.])
    """
    return tensor(np.ones(shape, dtype))


def full(shape: Shape, fill_value: Any, dtype: DTypeLike | None = None) -> Tensor:
    """Make a Tensor that is the same everywhere.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : number, array_like or Tensor
        Of a shape that broadcasts to ``shape``. The result is recorded if it is.
    dtype : dtype, optional
        That of ``fill_value`` unless given.

    Returns
    -------
    Tensor, of ``shape``

    Raises
    ------
    ValueError
        If ``fill_value`` does not broadcast to ``shape``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.full(3, 7.0)
    tensor([7., 7., 7.])
    >>> te.grad(lambda x: te.sum(te.full((2, 3), x)))(1.0).item()
    6.0
    """
    shape = (int(shape),) if isinstance(shape, int | np.integer) else tuple(shape)
    return cast("Tensor", broadcast_to.call(array(fill_value, dtype), shape=shape))


def eye(N: int, M: int | None = None, k: int = 0, dtype: DTypeLike = float) -> Tensor:
    """Make a constant matrix with ones on a diagonal.

    Parameters
    ----------
    N : int
        Rows.
    M : int, optional
        Columns; as many unless given.
    k : int, default 0
        Which diagonal: how far to the right of the main one.
    dtype : dtype, optional
        Of 64-bit real numbers unless given.

    Returns
    -------
    Tensor, of shape (N, M)

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return tensor(np.eye(N, M, k, dtype))


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Make a constant Tensor of evenly spaced numbers, as ``numpy.arange`` does.

    Parameters
    ----------
    start, stop : number
        From ``start`` to before ``stop``; with one of them, from 0 to before it.
    step : number, default 1
    dtype : dtype, optional
        Integers for integers unless given, which cannot require gradients.

    Returns
    -------
    Tensor, of shape (n,)

    Raises
    ------
    TypeError
        If one of them is a Tensor that requires gradients: their number does not
        change smoothly.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arange(3.0)
    tensor([0., 1., 2.])
    """
    if stop is None:
        start, stop = 0, start
    given: Any = start, stop, step  # NumPy's stubs tell integers and floats apart
    return tensor(np.arange(*given, dtype=dtype))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Make a Tensor of evenly spaced numbers between two.

    Parameters
    ----------
    start, stop : number, Tensor or array_like, of any shapes that broadcast
        The first number, and the last.
    num : int, default 50
        How many.
    endpoint : bool, default True
        Whether the last one is ``stop``, or would be if there were one more.
    dtype : dtype, optional
        Floating-point unless given.

    Returns
    -------
    Tensor
        Of shape (num,), followed by the shape of ``start`` and ``stop``; a constant,
        unless one of these is a Tensor that requires gradients.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    made: Any = np.linspace(start, stop, num, endpoint, dtype=dtype)
    return made if isinstance(made, Tensor) else tensor(made)


plain(np.full_like)
_numpys_full_like = FROM_NUMPY[np.full_like]


def _full_like(a: Any, fill_value: Any, *args: Any, **kwargs: Any) -> Any:
    """Answer for NumPy's function: recorded, if what it is filled with is."""
    like = _numpys_full_like(a, fill_value, *args, **kwargs)
    if not (isinstance(fill_value, Tensor) and fill_value.requires_grad):
        return like
    return broadcast_to(in_dtype(fill_value, like.dtype, "full_like"), shape=like.shape)


FROM_NUMPY[np.full_like] = _full_like
