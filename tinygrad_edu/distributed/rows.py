"""Rows by their numbers: they lie elsewhere, and batches are cut as ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.data import batches
from tinygrad_edu.distributed import shards
from tinygrad_edu.randomness import Random
from tinygrad_edu.training import feed
from tinygrad_edu.training.feed import ArrayFeed, Selected, Together

__all__ = ["RowNumbers", "columns", "first", "is_dask", "read_there"]

LEAST = 128  # rows of a mini-batch in a leaf: fewer make products that are all overhead


class RowNumbers(ArrayFeed):
    """A feed whose batches are the numbers of their rows: the rows stay elsewhere.

    Attributes
    ----------
    leaf : int
        Rows that are learned from together: all of them, or what a mini-batch holds of
        them. It depends on the number of rows and the batch size alone.
    """

    def __init__(
        self, X: Any, y: Any, batch_size: int | None, *, shuffle: bool
    ) -> None:
        super().__init__(X, y, batch_size, shuffle=shuffle, chunks=False)
        self.leaf = feed.CHUNK
        least = min(LEAST, int(self._size))
        while self.leaf < self.rows and self.leaf * int(self._size) < least * self.rows:
            self.leaf *= 2

    def facts(self) -> dict[str, Any]:
        """Return what can be said of the data, and how they are cut."""
        return super().facts() | {"rows of a leaf, by client=": self.leaf}

    def epoch(self, rng: Random) -> Iterator[tuple[Any, Any]]:
        """Return the numbers of the rows of each batch of the next epoch."""
        numbers = _Numbers(self.rows)
        return batches(numbers, numbers, self._size, self._shuffle, rng)

    def read(self, rows: Any) -> tuple[Any, Any]:
        """Return X and y of some rows, as arrays here."""
        X, y = self.X[rows], self.y[rows]
        return _as_arrays(X), _as_arrays(y)


def first(rows: Any) -> Any:
    """Return the numbers of the first rows of a batch, few enough to be read here."""
    if isinstance(rows, slice):
        return slice(rows.start, min(rows.start + feed.CHUNK, rows.stop))
    return rows[: feed.CHUNK]


def _as_arrays(x: Any) -> Any:
    return tuple(map(np.asarray, x)) if type(x) is tuple else np.asarray(x)


class _Numbers:
    """Rows that consist of their own number."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: Any) -> Any:
        return rows


# --------------------------------------------------------------------- where rows lie


def columns(x: Any) -> list[tuple[Any, Any]]:
    """Return the arrays that X or y consists of, each with which of its rows count."""
    if isinstance(x, Selected):
        return [
            (whole, x.rows if rows is None else rows[x.rows])
            for whole, rows in columns(x.whole)
        ]
    if isinstance(x, Together):
        return [column for part in x.parts for column in columns(part)]
    return [(x, None)]


def is_dask(x: Any) -> bool:
    return hasattr(x, "__dask_graph__")


def read_there(whole: Any, rows: Any) -> Any:
    """Return what a worker reads itself, of a file; None for arrays that it holds."""
    if isinstance(whole, np.memmap) and _is_in_file(whole):
        whole.flush()
        whole = shards.Mapped(whole)
    elif isinstance(whole, np.ndarray) or is_dask(whole):
        return None
    return whole if rows is None else Selected(whole, rows)


def _is_in_file(array: Any) -> bool:
    """Whether a memory map shows what its file holds: a copy of rows does not."""
    return array.filename is not None and array.mode != "c"
