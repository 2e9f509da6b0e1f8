"""What may enter the graph: real numbers, plain or in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.memory import empty_like

__all__ = ["REAL", "is_plain", "like", "real"]

REAL = "fiub"  #: kinds of dtype
_PLAIN = frozenset({float, int, bool, np.float64, np.float32})


def is_plain(x: Any) -> bool:
    """Whether a forward takes it as it is: a real array or number."""
    return x.dtype.kind in REAL if type(x) is ndarray else type(x) in _PLAIN


def real(data: Any, who: str) -> ndarray:
    """Return ``data`` as an array of real numbers, or say what it is instead."""
    array = np.asarray(data)
    if array.dtype.kind not in REAL:
        raise errors.not_real(data, who)
    return array


def like(x: Any, value: Any, attribute: str) -> ndarray:
    """Return a copy of ``value`` in the dtype of the Tensor ``x``, if it has its shape.

    The ``attribute`` is what it shall be of ``x``: "data" or "grad".
    """
    array = real(value, attribute)
    if array.shape != x.shape:
        raise errors.misfit(x, attribute, array.shape)
    copy = empty_like(x._data)
    np.copyto(copy, array, casting="same_kind")
    return copy
