"""Mini-batches: a data set cut into the pieces of one epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.operands import is_masked
from tinygrad_edu.randomness import Random, RandomSource, generator

__all__ = ["Batches", "Rows", "batches"]


class Rows(Protocol):
    """Anything with a length whose rows an integer array selects."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


#: Takes the X and y of a batch and a generator, and returns the X and y to use instead.
Augment = Callable[[Any, Any, Random], tuple[Any, Any]]


def batches(
    X: Rows,
    y: Rows,
    batch_size: int,
    shuffle: bool = True,
    rng: RandomSource = None,
    drop_last: bool = False,
    *,
    augment: Augment | None = None,
) -> Batches:
    """Cut ``X`` and ``y`` into the mini-batches of one epoch.

    Parameters
    ----------
    X : ndarray, shape (n, ...)
        The samples, one per row; a ``numpy.memmap`` or any other object with a
        length that an integer array can index will do. Only the rows of a batch are
        read, when it is asked for.
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
    augment : callable, optional
        ``augment(X_batch, y_batch, rng)`` returns the pair to use instead of a batch:
        shifted images, noise, another row's label. It draws from the same generator as
        the order, after it. Without ``shuffle`` it is handed views: to be copied, not
        changed.

    Returns
    -------
    iterator of (X_batch, y_batch)
        ``X_batch`` has shape (batch_size, ...), and row i of ``y_batch`` belongs
        to row i of ``X_batch``. Shuffled batches are copies, others are views.

    Raises
    ------
    TypeError
        If ``X`` or ``y`` has no length or is a list, tuple or DataFrame, if
        ``batch_size`` is not an int, ``augment`` no function, or if ``rng`` is none of
        the above.
    ValueError
        If ``X`` and ``y`` differ in length or are empty, or if ``batch_size`` is
        below 1. All these errors are raised at the call.

        Later, both if ``augment`` returns something else than such a pair.

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

    Noise that is new in each epoch:

    >>> def noisy(X_batch, y_batch, rng):
    ...     return X_batch + 0.1 * rng.standard_normal(X_batch.shape), y_batch
    >>> X_batch, _ = next(batches(X, y, batch_size=2, rng=0, augment=noisy))
    >>> X_batch.round(1).tolist()
    [[4.0, 4.9], [8.1, 9.0]]
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
    if not (augment is None or callable(augment)):
        raise TypeError(
            "batches: augment must be a function of X_batch, y_batch, rng, got "
            f"{type(augment).__name__}"
        )

    size = int(batch_size)
    rng = generator(rng) if shuffle or augment is not None else None
    order = rng.permutation(n) if shuffle and rng is not None else None
    stop = n - n % size if drop_last else n
    return Batches(X, y, order, range(0, stop, size), augment, rng)


class Batches(Iterator[tuple[Any, Any]]):
    """The batches of one epoch, as :func:`batches` returns them.

    Attributes
    ----------
    rows : slice or ndarray of int
        Which rows of X and y the last batch consists of.
    """

    # no generator function: there the checks of `batches` would wait for the first
    # batch, far from the call that is wrong

    def __init__(
        self,
        X: Rows,
        y: Rows,
        order: np.ndarray[Any, Any] | None,
        starts: range,
        augment: Augment | None,
        rng: Random | None,
    ) -> None:
        self._X, self._y, self._order = X, y, order
        self._size, self._starts = starts.step, iter(starts)
        self._augment, self._rng = augment, rng
        self.rows: Any = slice(0, 0)

    def __next__(self) -> tuple[Any, Any]:
        rows = self._advance()
        X, y = self._X[rows], self._y[rows]
        if self._augment is None or self._rng is None:
            return X, y
        return _checked_pair(self._augment(X, y, self._rng))

    def _advance(self) -> Any:
        start = next(self._starts)
        rows: Any = slice(start, start + self._size)
        if self._order is not None:
            rows = self._order[rows]
        self.rows = rows
        return rows

    def skip(self, count: int) -> None:
        """Leave out the next batches; without augmentation, their rows are not read."""
        for _ in range(count):
            if self._augment is None:
                self._advance()
            else:  # which may draw
                next(self)


def _checked_pair(batch: Any) -> tuple[Any, Any]:
    """Return what ``augment`` has made. Two rows of X alone would unpack, too."""
    expected = "batches: augment must return the pair (X_batch, y_batch)"
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(f"{expected}, got {_described(batch)}")
    X, y = batch
    if _rows(X) != _rows(y) or not _rows(X):
        raise ValueError(
            f"{expected} with one row per sample each, got {_described(X)} and "
            f"{_described(y)}"
        )
    return X, y


def _rows(x: Any) -> tuple[int, ...]:
    """Return (n,); of a tuple, which holds several arrays, that of the first."""
    return np.shape(x[0] if isinstance(x, tuple) and x else x)[:1]


def _described(x: Any) -> str:
    kind = type(x).__name__
    if isinstance(x, tuple | list):
        return f"a {kind} of {len(x)}"
    return f"{kind} of shape {x.shape}" if hasattr(x, "shape") else kind


def _length(name: str, rows: Rows) -> int:
    """Return the number of rows, or say why ``rows`` cannot be cut into batches."""
    expected = f"batches: {name} must be an array with one row per sample"
    if isinstance(rows, list | tuple):  # these no array of row numbers can index
        raise TypeError(
            f"{expected}, got a {type(rows).__name__}. Did you mean np.asarray({name})?"
        )
    if hasattr(rows, "iloc"):  # where df[numbers] selects columns
        kind = type(rows).__name__
        raise TypeError(f"{expected}, got a {kind}. Did you mean {name}.to_numpy()?")
    if is_masked(rows):
        raise errors.masked(f"batches: {name}")
    try:
        return len(rows)
    except TypeError as error:
        raise TypeError(f"{expected}, got {type(rows).__name__}: {error}") from error
