"""The creation counter: what has a larger number may come from what has a smaller."""

from __future__ import annotations

import itertools

__all__ = ["INDICES", "next_index"]

INDICES = itertools.count()  #: by which all tensors are numbered
next_index = INDICES.__next__
