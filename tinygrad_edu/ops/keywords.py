"""What keywords that several operations take come to, written with the operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor

__all__ = ["counted", "in_dtype", "in_dtypes", "mask_of", "selected", "single"]


def in_dtype(x: Any, dtype: Any, name: str) -> Any:
    """Return ``x`` in the floating-point ``dtype`` that was asked for, if any."""
    if dtype is None or x.dtype == dtype:
        return x
    if (wanted := np.dtype(dtype)).kind != "f":
        raise TypeError(
            f"{name}: dtype must be one of real floating-point numbers, got {wanted}. "
            f"For others: np.{name}(t.detach().numpy(), dtype=...)"
        )
    return x.astype(wanted)


def in_dtypes(
    arrays: Any, dtype: Any, casting: str, name: str, default: str = "same_kind"
) -> list[Any]:
    """Return the arrays in the ``dtype`` of the result, if ``casting`` allows it."""
    if dtype is None and casting == default:
        return list(arrays)
    arrays = [x if hasattr(x, "dtype") else np.asarray(x) for x in arrays]
    to = (
        np.result_type(*(x.dtype for x in arrays)) if dtype is None else np.dtype(dtype)
    )
    for x in arrays:
        if not np.can_cast(x.dtype, to, casting):  # type: ignore[arg-type]
            raise TypeError(
                f"{name}: cannot cast {x.dtype} to {to} with casting={casting!r}"
            )
    return [in_dtype(x, dtype, name) for x in arrays]


def mask_of(where: Any, x: Any, name: str) -> Any:
    """Return the mask as a plain array that broadcasts to the shape of ``x``."""
    mask = where.detach().numpy() if type(where) is Tensor else np.asarray(where)
    if mask.dtype.kind != "b":
        raise TypeError(f"{name}: where must be an array of bool, got {mask.dtype}")
    try:
        np.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(
            f"{name}: where of shape {mask.shape} does not broadcast to that of x, "
            f"{x.shape}"
        ) from None
    return mask


def selected(x: Any, where: Any, other: Any, name: str) -> Any:
    """Return ``x`` where the mask holds, else ``other``, which counts for nothing."""
    return x if where is True else np.where(mask_of(where, x, name), x, other)


def counted(x: Any, where: Any, axis: Any, keepdims: bool, name: str) -> Any:
    """Return how many numbers count for each result: a plain array."""
    mask = np.broadcast_to(mask_of(where, x, name), x.shape)
    return np.sum(mask, axis=axis, keepdims=keepdims)


def single(initial: Any, dtype: Any, name: str) -> Any:
    """Return ``initial``, a number or a Tensor, in the dtype of the result."""
    if np.ndim(initial) != 0:
        raise ValueError(
            f"{name}: initial must be a single number, got shape {np.shape(initial)}"
        )
    if type(initial) is Tensor:
        return in_dtype(initial, dtype, name)
    return np.asarray(initial).astype(dtype)[()]
