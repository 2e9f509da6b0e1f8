"""Conversion between floating-point types."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu.engine.core import Case, op

__all__ = ["astype"]


@op(cases=[Case((2, 3), dtype=np.float64)])
def astype(x: Any, *, dtype: DTypeLike) -> Any:
    """Convert to another floating-point type.

    Parameters
    ----------
    x : Tensor or array_like
    dtype : dtype
        One of real floating-point numbers.

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
