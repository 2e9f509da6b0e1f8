"""Conversion between floating-point types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.ops.keywords import cannot_cast, check_layout

__all__ = [
    "are_rows",
    "arrays",
    "astype",
    "cast",
    "narrow",
    "of_value",
    "promoted",
    "wide",
]


def _astype_with(
    x: Any,
    *,
    dtype: DTypeLike,
    order: Any = "K",
    casting: Any = "unsafe",
    subok: Any = True,
    copy: Any = True,
) -> Any:
    check_layout(order, "astype")
    if not np.can_cast(x.dtype, dtype, casting):
        raise cannot_cast("astype", x.dtype, dtype, casting)
    return astype.call(x, dtype=dtype)


@op(keywords=_astype_with, cases=[Case((2, 3), dtype=np.float64)])
def astype(x: Any, *, dtype: DTypeLike) -> Any:
    """Convert to another floating-point type.

    Parameters
    ----------
    x : Tensor or array_like
    dtype : dtype
        One of real floating-point numbers.
    casting : str, default "unsafe"
        Which casts are allowed, as in NumPy.
    order, subok, copy
        As in NumPy; they make no difference here.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Raises
    ------
    TypeError
        If ``dtype`` is none of real floating-point numbers.

    Notes
    -----
    The derivative is 1; the engine gives each gradient its input's dtype.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.astype([1.0], "float32")
    array([1.], dtype=float32)
    """
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype must be floating-point, got {np.dtype(dtype)}")
    return np.asarray(x).astype(dtype)[()]


astype.vjp(x=lambda g, out, x, *, dtype: g)


def cast(x: Any, dtype: np.dtype[Any]) -> Any:
    """Return ``x`` in a floating-point dtype, itself if it has it: for rules.

    For integers wrap around where a rule takes 1 off or multiplies, and their logarithm
    is of an even smaller dtype, which NumPy chooses.
    """
    if getattr(x, "dtype", None) is dtype:
        return x
    return astype.call(x, dtype=dtype)


def promoted(arrays: Sequence[Any]) -> list[np.ndarray]:
    """Return arrays in the dtype of their common result: for products of several."""
    dtype = np.result_type(*arrays)
    return [np.asarray(x, dtype) for x in arrays]


def wide(x: Any) -> Any:
    """Return float16 as float32, else ``x`` itself: for counts, sums and squares.

    float16 ends at 65,504: a count of 70,000 is infinite in it, and so is 300². And it
    has 11 bits: 2048 + 1 is 2048, so that a sum of ones, one by one, stops there.
    """
    return astype.call(x, dtype=np.float32) if x.dtype.char == "e" else x


def arrays(*given: Any) -> list[Any]:
    """Return Tensors as they are, and numbers and sequences as arrays."""
    return [x if type(x) is Tensor else np.asarray(x) for x in given]


def are_rows(a: Any, b: Any) -> bool:
    """Whether both are arrays whose rows lie together in memory, not Tensors."""
    both = type(a) is type(b) is np.ndarray
    return both and a.flags.c_contiguous and b.flags.c_contiguous


def of_value(x: Tensor, value: Any) -> Any:
    """Return ``x``, off by rounding, with its true value and the derivatives of x."""
    with np.errstate(invalid="ignore"):
        off = value - x._numbers
    return x + np.where(np.isfinite(off), off, 0.0).astype(x.dtype)


def narrow(y: Any, x: Any) -> Any:
    """Return ``y``, computed of the :func:`wide` ``x``, as float16 if ``x`` is."""
    return astype.call(y, dtype=x.dtype) if x.dtype.char == "e" else y
