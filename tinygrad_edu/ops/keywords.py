"""What keywords that several operations take come to, written with the operations."""

from __future__ import annotations

from functools import update_wrapper
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Op, Tensor

__all__ = [
    "cannot_cast",
    "check_layout",
    "counted",
    "in_dtype",
    "in_dtypes",
    "is_by_column",
    "mask_of",
    "selected",
    "single",
    "with_order",
]


def cannot_cast(name: str, dtype: Any, to: Any, casting: str) -> TypeError:
    """Return the error for a cast that was not allowed."""
    return TypeError(
        f"{name}: cannot cast {dtype} to {np.dtype(to)} with casting={casting!r}"
    )


def check_layout(order: Any, name: str) -> None:
    """Refuse what is no order in memory; which one it is says nothing of a Tensor."""
    if order not in tuple("KACF"):
        raise ValueError(f"{name}: order must be one of C, F, A, K, got {order!r}")


def is_by_column(order: Any, name: str) -> bool:
    """Whether numbers are to be read column by column, in the order "F"."""
    if order not in ("C", "F"):
        raise ValueError(
            f"{name}: order must be 'C' (row by row) or 'F' (column by column), got "
            f"{order!r}: 'A' and 'K' ask for the order in memory, of which a Tensor "
            "promises nothing"
        )
    return bool(order == "F")


def with_order(operation: Op) -> Any:
    """Return how an array's method of this name is called: ``x.ravel("F")``."""
    call, default = operation.call, operation.further["order"]

    def method(a: Any, order: Any = default) -> Any:
        return call(a) if order == default else operation.keywords(a, order=order)

    update_wrapper(method, operation.forward)
    setattr(Tensor, operation.name, method)
    return method


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
    weak = (int, float)  # Python's own numbers take the dtype of the others
    arrays = [
        x if type(x) in weak or hasattr(x, "dtype") else np.asarray(x) for x in arrays
    ]
    known = [x for x in arrays if type(x) not in weak]
    to = np.result_type(*(x.dtype for x in known)) if dtype is None else np.dtype(dtype)
    for x in known:
        if not np.can_cast(x.dtype, to, casting):  # type: ignore[arg-type]
            raise cannot_cast(name, x.dtype, to, casting)
    return [x if type(x) in weak else in_dtype(x, dtype, name) for x in arrays]


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
