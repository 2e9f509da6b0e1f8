"""Mini-batches: a data set cut into the pieces of one epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.randomness import RandomSource, generator

__all__ = ["batches"]


class Rows(Protocol):
    """Anything with a length whose rows an integer array selects."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


def batches(
    X: Rows,
    y: Rows,
    batch_size: int,
    shuffle: bool = True,
    rng: RandomSource = None,
    drop_last: bool = False,
) -> Iterator[tuple[Any, Any]]:
    """Cut ``X`` and ``y`` into the mini-batches of one epoch.

    Parameters
    ----------
    X : ndarray, shape (n, ...)
        The samples, one per row; a ``numpy.memmap`` or any other object with a
        length that an integer array can index will do.
    y : ndarray, shape (n, ...)
        The labels or targets, one row per sample.
    batch_size : int
        Rows per batch, at least 1. The last batch is smaller where ``n`` is not
        a multiple of it.
    shuffle : bool
        Whether to visit the rows in a random order, a new one at every call.
        Without it the rows keep their order.
    rng : int, numpy.random.Generator, numpy.random.RandomState or None
        Where the order comes from, see `tinygrad_edu.randomness.generator`. It
        is drawn at the call, not when the first batch is asked for.
    drop_last : bool
        Whether to leave out a last batch smaller than ``batch_size``. That
        leaves no batch at all where ``n < batch_size``.

    Returns
    -------
    iterator of (X_batch, y_batch)
        ``X_batch`` has shape (batch_size, ...), and row i of ``y_batch`` belongs
        to row i of ``X_batch``. Shuffled batches are copies, others are views.

    Raises
    ------
    TypeError
        If ``X`` or ``y`` has no length or is a list or tuple, if ``batch_size``
        is not an int, or if ``rng`` is none of the above.
    ValueError
        If ``X`` and ``y`` differ in length or are empty, or if ``batch_size`` is
        below 1. Every error is raised at the call.

    Notes
    -----
    One call is one epoch. An int as ``rng`` gives the same order at every call;
    pass a generator to have each epoch shuffled differently and the whole run
    still repeatable.

    Examples
    --------
    >>> X, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> for X_batch, y_batch in batches(X, y, batch_size=2, rng=0):
    ...     print(X_batch.tolist(), y_batch)
    [[4, 5], [8, 9]] [2 4]
    [[6, 7], [0, 1]] [3 0]
    [[2, 3]] [1]
    """
    n = _length("X", X)
    if _length("y", y) != n:
        raise ValueError(
            "batches: X and y must have one row per sample each, "
            f"got {n} rows of X and {len(y)} of y"
        )
    if n == 0:
        raise ValueError("batches: X and y are empty, expected at least one row")
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool):
        raise TypeError(
            "batches: batch_size must be an int, "
            f"got {batch_size!r} ({type(batch_size).__name__})"
        )
    if batch_size < 1:
        raise ValueError(f"batches: batch_size must be at least 1, got {batch_size}")

    size = int(batch_size)
    order = generator(rng).permutation(n) if shuffle else None
    stop = n - n % size if drop_last else n
    return _cut(X, y, order, range(0, stop, size))


def _cut(
    X: Rows, y: Rows, order: np.ndarray[Any, Any] | None, starts: range
) -> Iterator[tuple[Any, Any]]:
    # A function of its own: in a generator the checks of `batches` would wait for
    # the first batch, far from the call that is wrong.
    for start in starts:
        rows: Any = slice(start, start + starts.step)
        if order is not None:
            rows = order[rows]
        yield X[rows], y[rows]


def _length(name: str, rows: Rows) -> int:
    """Return the number of rows, or say why ``rows`` cannot be cut into batches."""
    expected = f"batches: {name} must be an array with one row per sample"
    if isinstance(rows, list | tuple):  # these no array of row numbers can index
        raise TypeError(
            f"{expected}, got a {type(rows).__name__}. Did you mean np.asarray({name})?"
        )
    try:
        return len(rows)
    except TypeError as error:
        raise TypeError(f"{expected}, got {type(rows).__name__}: {error}") from error
