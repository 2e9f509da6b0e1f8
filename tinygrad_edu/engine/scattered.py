"""A gradient that is 0 but for one part, which is added without the zeros.

A loop that reads a row of a table at each step would otherwise make, and add up, as
many tables as it has steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["Scattered", "add_at"]


class Scattered:
    """What the rule of an index hands on, of arrays: ``part`` at ``index``, else 0.

    Attributes
    ----------
    whole : callable
        Returns it with its zeros; so does ``numpy.asarray``.
    """

    __slots__ = ("index", "is_once", "part", "whole")

    def __init__(
        self, part: Any, index: Any, is_once: bool, whole: Callable[[], ndarray]
    ) -> None:
        self.part = part
        self.index = index
        self.is_once = is_once  # whether the index picks no entry twice
        self.whole = whole

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        return np.asarray(self.whole(), dtype=dtype)

    def add_to(self, sums: ndarray) -> None:
        """Add it to an array of the shape of the whole."""
        if self.is_once:
            sums[self.index] += self.part
        elif sums.dtype.char == "e":  # the whole adds up in float32
            sums += self.whole()
        else:
            add_at(sums, self.index, self.part)


_FEW = 2**9  # numbers up to which NumPy's way is as fast


def add_at(sums: ndarray, index: Any, x: Any) -> None:
    """Do what ``np.add.at`` does: an entry that is picked twice gets both numbers.

    Of many numbers an eighth of the time: NumPy is fast along one axis alone, so they
    are added to the flat array, by their places in it.
    """
    flat = sums.reshape(-1) if sums.flags.c_contiguous and x.size > _FEW else sums
    places = None if flat is sums else _places(sums.shape, index, x.size)
    if places is None:
        np.add.at(sums, index, x)
    else:
        x = x if x.shape == places.shape else np.broadcast_to(x, places.shape)
        np.add.at(flat, places.reshape(-1), x.reshape(-1))


def _places(shape: tuple[int, ...], index: Any, size: int) -> ndarray | None:
    """Return the places in the flat array of what an index picks, if they are cheap."""
    rows = index[0] if type(index) is tuple and len(index) == 1 else index
    if type(rows) is ndarray and rows.dtype.kind == "i" and len(shape) > 1:
        if rows.min() < -shape[0] or rows.max() >= shape[0]:
            return None  # NumPy says so
        each = math.prod(shape[1:])
        within = np.arange(each).reshape(shape[1:])
        first: ndarray = rows * each  # from the end, too, where negative
        return first.reshape(*first.shape, *(1,) * (len(shape) - 1)) + within
    if math.prod(shape) > 4 * size:
        return None
    picked: ndarray = np.arange(math.prod(shape)).reshape(shape)[index]
    return picked
