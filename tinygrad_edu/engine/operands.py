"""What may enter the graph: real numbers, plain or in arrays."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.memory import empty_like

__all__ = ["PLAIN", "REAL", "is_masked", "is_plain", "like", "real", "unmasked"]

REAL = "fiub"  #: kinds of dtype
PLAIN = frozenset({float, int, bool, np.float64, np.float32})


def is_plain(x: Any) -> bool:
    """Whether a forward takes it as it is: a real array or number."""
    return x.dtype.kind in REAL if type(x) is ndarray else type(x) in PLAIN


def is_masked(data: Any) -> bool:
    """Whether it is a masked array, or a sequence that holds one."""
    if isinstance(data, ndarray):
        ma = sys.modules.get("numpy.ma")  # if not there, nobody has made one
        return ma is not None and isinstance(data, ma.MaskedArray)
    if type(data) in (list, tuple):
        for x in data:  # a plain loop: metadata are often short tuples of numbers
            if type(x) not in PLAIN and is_masked(x):
                return True
    return False


def unmasked(data: Any, who: str) -> ndarray:
    """Return ``data`` as an array; refuse masked ones, whose mask would be lost."""
    if is_masked(data):
        raise errors.masked(who)
    return np.asarray(data)


def real(data: Any, who: str) -> ndarray:
    """Return ``data`` as an array of real numbers, or say what it is instead."""
    array = unmasked(data, who)
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
    copy = empty_like(x._numbers)
    np.copyto(copy, array, casting="same_kind")
    return copy
