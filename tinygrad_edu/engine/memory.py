"""The memory of arrays: where large ones begin, who holds them, what becomes of it.

All of it is about time alone: results are the same without.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from sys import getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["LARGE", "empty_like", "is_held_once", "keep_freed_memory"]

#: Bytes from which on glibc asks the system for memory of its own, and hands it back.
LARGE = 2**17

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # M_... in glibc's malloc.h


def empty_like(x: ndarray[Any, Any]) -> ndarray[Any, Any]:
    """Return an empty array, in the same order; a large one from a new cache line on.

    NumPy's arrays begin anywhere. Where every other vector of the processor straddles
    two lines, the update of 64 x 784 weights takes 17 us longer, of a step of 170.
    """
    if x.nbytes < 4096 or not x.flags.forc:
        return np.empty_like(x)
    if x.nbytes >= LARGE:
        keep_freed_memory()
    memory = np.empty(x.nbytes + 64, np.uint8)
    start = -memory.__array_interface__["data"][0] % 64
    return ndarray(x.shape, x.dtype, memory, start, order="F" if x.flags.fnc else "C")


# ------------------------------------------------------------ who holds an array


def is_held_once(g: Any) -> bool:
    """Whether ``g`` is an array that a dict holds, and nobody else.

    To be asked from a loop over that dict's items: the loop, this call and the count
    itself each add a reference. Of a transpose the same must hold of what it looks at.
    """
    return (
        getrefcount(g) == _ONCE
        and type(g) is ndarray
        and g.flags.writeable
        and (g.base is None or _references_to_base(g) == _ONCE_AS_BASE)
    )


def _references_to_base(g: Any) -> int:
    """Count who holds the array of which ``g`` is a view, of all entries; or 0."""
    base = g.base
    whole = type(base) is ndarray and base.base is None and base.size == g.size
    return getrefcount(base) if whole else 0


def _references_in_a_dict(found: dict[Any, Any]) -> int:
    """Count as :func:`is_held_once` does, of an array of which it is true."""

    def counted(g: Any) -> int:
        return getrefcount(g)

    for _, g in found.items():
        return counted(g)
    return 0


#: What is counted then. (It differs between Pythons.)
_ONCE = _references_in_a_dict({None: np.empty(0)})
_ONCE_AS_BASE = _references_to_base(np.empty((2, 3)).T)


# ------------------------------------------------- what becomes of its memory

#: Where a user says how the C library shall deal with memory.
_SETTINGS = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_OF_DASK = "65536"  # what Dask starts its workers with, whoever the user is


@cache  # once a process
def keep_freed_memory() -> None:
    """Have the C library keep the memory of freed arrays of up to 32 MB.

    A training step makes and frees the same arrays again and again. The C library of
    Linux (glibc) hands each one that is larger than a threshold back to the system, and
    the next one comes back page by page, each cleared: a quarter of the time of a
    convolutional network, half of that of a layer normalisation. Left alone it raises
    the threshold when it meets larger arrays, up to 32 MB, but not in a process with
    ``MALLOC_TRIM_THRESHOLD_`` in its environment, as Dask starts its workers: a step
    takes twice as long there. Up to 64 MB are kept. Elsewhere this changes nothing.

    Training begins with it, and so do a profile of it and the first large array that
    enters a graph. What the user has set stays.
    """
    if any(os.environ.get(name, _OF_DASK) != _OF_DASK for name in _SETTINGS):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library
    mallopt(_MMAP_THRESHOLD, 2**25)
    mallopt(_TRIM_THRESHOLD, 2**26)
