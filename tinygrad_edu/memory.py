"""Where large arrays begin, and that the memory of freed ones is kept for the next.

Both are about time alone: results are the same without.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["empty_like"]


def empty_like(x: ndarray[Any, Any]) -> ndarray[Any, Any]:
    """Return an empty array, in the same order; a large one from a new cache line on.

    NumPy's arrays begin anywhere. Where every other vector of the processor straddles
    two lines, the update of 64 x 784 weights takes 17 us longer, of a step of 170.
    """
    if x.nbytes < 4096 or not x.flags.forc:
        return np.empty_like(x)
    memory = np.empty(x.nbytes + 64, np.uint8)
    start = -memory.__array_interface__["data"][0] % 64
    return ndarray(x.shape, x.dtype, memory, start, order="F" if x.flags.fnc else "C")


def _keep_freed_memory() -> None:
    """Have the C library keep the memory of freed arrays of up to 32 MB.

    A training step makes and frees the same arrays again and again. The C library of
    Linux (glibc) hands each one that is larger than a threshold back to the system, and
    the next one comes back page by page, each cleared: a quarter of the time of a
    convolutional network, half of that of a layer normalisation. It raises the
    threshold itself, to the size of the largest piece so freed, up to 32 MB. So one is
    asked for and freed, and never written to. Elsewhere this changes nothing.
    """
    np.empty(2**25 - 2**16, np.uint8)


_keep_freed_memory()
