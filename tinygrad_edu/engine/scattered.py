"""A gradient that is 0 but for one part, which is added without the zeros.

A loop that reads a row of a table at each step would otherwise make, and add up, as
many tables as it has steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["Scattered"]


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
            np.add.at(sums, self.index, self.part)
