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

    Of many numbers in an eighth of the time: NumPy is fast along one axis alone, so
    they are added to the flat array, by their places in it.
    """
    if x.size <= _FEW or not sums.flags.c_contiguous:
        np.add.at(sums, index, x)
        return
    rows = index[0] if type(index) is tuple and len(index) == 1 else index
    if type(rows) is ndarray and rows.dtype.kind == "i":
        if _differ(rows, min(len(sums), x.size)):
            sums[rows] += x
            return
        places = _places_of_rows(rows, sums.shape)
    elif sums.size <= 4 * x.size:
        places = np.arange(sums.size).reshape(sums.shape)[index]
    else:  # few of many
        np.add.at(sums, index, x)
        return
    x = x if x.shape == places.shape else np.broadcast_to(x, places.shape)
    np.add.at(sums.reshape(-1), places.reshape(-1), x.reshape(-1))


def _differ(rows: ndarray, most: int) -> bool:
    """Whether these are different numbers from 0 to below ``most``; else, who knows."""
    if not rows.size or rows.min() < 0 or rows.max() >= most:
        return False
    return bool(np.bincount(rows.reshape(-1)).max() == 1)


def _places_of_rows(rows: ndarray, shape: tuple[int, ...]) -> ndarray:
    """Return the places in a flat array of the entries of its rows.

    Those of -1 count from the end, too; those of a row outside lie outside.
    """
    _, *others = shape
    each = math.prod(others)
    first = (rows * each).reshape(*rows.shape, *(1,) * len(others))
    places: ndarray = first + np.arange(each).reshape(others)
    return places
