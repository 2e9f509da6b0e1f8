"""What training is fed with: arrays cut into batches, or batches made by the user."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.data import batches
from tinygrad_edu.data.batching import Batches
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.randomness import Random, set_state, state_of

__all__ = ["ArrayFeed", "BatchFeed", "Feed", "Pass", "Selected", "feed_of", "split_off"]

CHUNK = 1000  # rows at a time: the same sum, but what is between stays in the cache


class Selected:
    """Some rows of what can be large, read only when they are asked for."""

    def __init__(self, whole: Any, rows: np.ndarray) -> None:
        self.whole, self.rows = whole, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> Any:
        return self.whole[self.rows[rows]]


class Together:
    """Several inputs of one model, cut into rows at the same places."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts
        lengths = [len(part) for part in parts]
        if len(set(lengths)) != 1:
            raise ValueError(
                "fit: the arrays of a tuple must have one row for each example, got "
                f"{' and '.join(map(str, lengths)) or 'no'} rows"
            )

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: Any) -> tuple[Any, ...]:
        return tuple(part[rows] for part in self.parts)


class Feed:
    """What the batches of each epoch come from.

    Attributes
    ----------
    in_parts : bool
        Whether the batches are the parts of a full batch, of which all make one step.
    steps : int or None
        Batches in an epoch, if that is known.
    rows : int
        In an epoch; 0 if that is unknown.
    """

    in_parts = False
    steps: int | None = None
    rows = 0

    def epoch(self, rng: Random) -> Iterator[tuple[Any, Any]]:
        """Return the batches of the next epoch, in an order drawn from ``rng``."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Return what can be said of the data without looking at them all."""
        raise NotImplementedError

    def begins_step(self, batch: int) -> bool:
        """Whether a part of a full batch, counted from 0, is the first."""
        return batch == 0

    def ends_step(self, batch: int) -> bool:
        """Whether a part of a full batch, counted from 0, is the last."""
        return batch + 1 == self.steps

    def numbers(self, rows: Any) -> Any:
        """Return which rows of what the user gave these rows are."""
        return rows

    def labels(self) -> Any:
        """Return all that the user gave as y; None if it comes batch by batch."""
        return None


class ArrayFeed(Feed):
    """Arrays, or whatever else has rows, cut into batches."""

    def __init__(
        self, X: Any, y: Any, batch_size: int | None, *, shuffle: bool, chunks: bool
    ) -> None:
        self.X, self.y = X, y
        self.in_parts = batch_size is None and chunks
        self._shuffle = shuffle and batch_size is not None
        # says at once what is wrong
        batches(X, y, 1 if batch_size is None else batch_size, shuffle=False)
        self.rows = len(X)
        self._size: Any = batch_size
        if batch_size is None:
            self._size = CHUNK if self.in_parts else self.rows
        self.steps = -(-self.rows // int(self._size))

    def epoch(self, rng: Random) -> Iterator[tuple[Any, Any]]:
        """Return the batches of the next epoch, in an order drawn from ``rng``."""
        return batches(self.X, self.y, self._size, self._shuffle, rng)

    def numbers(self, rows: Any) -> Any:
        """Return which rows of what the user gave these rows are."""
        return self.X.rows[rows] if isinstance(self.X, Selected) else rows

    def labels(self) -> Any:
        """Return all that the user gave as y."""
        return self.y.whole if isinstance(self.y, Selected) else self.y

    def facts(self) -> dict[str, Any]:
        """Return what can be said of the data without looking at them all."""
        return {
            "rows": self.rows,
            "X": facts_of(self.X[:1]),
            "y": facts_of(self.y[:1]),
        }


class BatchFeed(Feed):
    """Batches that the user makes: an iterable, or a function of a generator."""

    def __init__(self, source: Any) -> None:
        self._source = source
        if callable(source):
            return
        if iter(source) is source:
            raise TypeError(
                f"fit: X is a {type(source).__name__}, which is used up after an epoch;"
                " pass a list of batches, or a function that makes those of an epoch: "
                "lambda rng: te.data.batches(X, y, 64, rng=rng)"
            )
        try:
            self.steps = len(source)
        except TypeError:
            pass

    def epoch(self, rng: Random) -> Iterator[tuple[Any, Any]]:
        """Return the batches of the next epoch."""
        source: Any = self._source(rng) if callable(self._source) else self._source
        return source if isinstance(source, Batches) else _pairs(source)

    def facts(self) -> dict[str, Any]:
        """Return what can be said of the batches without making one."""
        return {"batches": "a function" if callable(self._source) else "an iterable"}


def _pairs(source: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the batches, checked."""
    for number, batch in enumerate(source, 1):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise TypeError(
                f"fit: batch {number} must be a pair (X_batch, y_batch), got "
                f"{type(batch).__name__}"
            )
        X, y = batch
        counts = [len(x[0] if isinstance(x, tuple) else x) for x in (X, y)]
        if counts[0] != counts[1]:
            raise ValueError(
                f"fit: batch {number} has {counts[0]} rows of X and {counts[1]} of y"
            )
        yield X, y


def feed_of(
    X: Any, y: Any, batch_size: int | None, *, shuffle: bool, chunks: bool
) -> Feed:
    """Return the feed for the data that ``fit`` was given.

    Raises
    ------
    TypeError, ValueError
        If they are of a wrong kind, or do not fit together.
    """
    if y is not None:
        return ArrayFeed(X, y, batch_size, shuffle=shuffle, chunks=chunks)
    if isinstance(X, np.ndarray | Selected | Together) or hasattr(X, "iloc"):
        raise TypeError("fit: y is missing; without it, X must give pairs of batches")
    if batch_size is not None:
        raise TypeError(
            f"fit: batch_size={batch_size} goes with arrays X and y; batches of your "
            "own have their size already"
        )
    if not callable(X) and not isinstance(X, Iterable):
        raise TypeError(
            "fit: X must be an array, an iterable of batches or a function of a "
            f"generator that returns one, got {type(X).__name__}"
        )
    return BatchFeed(X)


def rows_of(x: Any) -> Any:
    """Return something that can be cut into rows: of a tuple, all parts at once."""
    if isinstance(x, tuple):
        return Together(tuple(map(rows_of, x)))
    if isinstance(x, Tensor):
        return x.data
    return x.to_numpy() if hasattr(x, "iloc") else x


def split_off(X: Any, y: Any, share: float, rng: Random) -> tuple[Any, Any, Any, Any]:
    """Draw the rows to validate with; return X and y of the others, and of these.

    Nothing is copied. Both parts keep the order of the rows.
    """
    n = len(X)
    count = round(share * n)
    if not 0 < count < n:
        raise ValueError(
            f"fit: validation={share} of {n} rows leaves none for "
            f"{'validation' if count == 0 else 'training'}"
        )
    order = rng.permutation(n)
    ours, theirs = np.sort(order[count:]), np.sort(order[:count])
    return (
        Selected(X, ours),
        Selected(y, ours),
        _apart(X, theirs),
        _apart(y, theirs),
    )


def _apart(whole: Any, rows: np.ndarray) -> Any:
    """Return some rows, of several inputs as a tuple: what ``evaluate`` takes."""
    if isinstance(whole, Together):
        return tuple(Selected(part, rows) for part in whole.parts)
    return Selected(whole, rows)


def facts_of(first: Any) -> str:
    """Return shape and dtype of the first row, as text."""
    if isinstance(first, tuple):
        return " and ".join(map(facts_of, first))
    array = np.asarray(first)
    return f"{array.dtype} of shape (n{''.join(f', {k}' for k in array.shape[1:])})"


# ------------------------------------------------------------------- epoch by epoch


class Pass:
    """The batches of the epoch under way; a checkpoint keeps how far it has come.

    Parameters
    ----------
    feed : Feed
    rng : Generator or RandomState
        Where orders are drawn from.

    Attributes
    ----------
    feed : Feed
    begun : dict
        The state of the generator as the epoch began.
    """

    def __init__(self, feed: Feed, rng: Random) -> None:
        self.feed = feed
        self.begun: dict[str, Any] = {}
        self._rng = rng
        self._batches: Iterator[tuple[Any, Any]] = iter(())

    def begin(self) -> None:
        """Go through the data anew."""
        self.begun = state_of(self._rng)
        self._batches = self.feed.epoch(self._rng)

    def resume(self, begun: dict[str, Any], count: int) -> None:
        """Go on after so many batches of an epoch that began with that state."""
        set_state(self._rng, begun)
        self.begin()
        _skip(self._batches, count)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._batches

    def rows(self) -> Any:
        """Return which rows of the data the last batch consists of; None if unknown."""
        return self.feed.numbers(getattr(self._batches, "rows", None))


def _skip(batches: Iterator[Any], count: int) -> None:
    """Leave out the first batches of an epoch, unread where that is possible.

    At once: what makes them may draw, before generators are set to what comes later.
    """
    if isinstance(batches, Batches):
        batches.skip(count)
        return
    for _ in itertools.islice(batches, count):
        pass


# ------------------------------------------------------------------- the validation


def validation_share(validation: Any, y: Any) -> float | None:
    """Return the share of the rows to validate with; None if it is no share."""
    if not isinstance(validation, int | float | np.number):
        return None
    share = float(validation)
    if not 0 < share < 1:
        raise ValueError(
            f"fit: validation must be a pair (X, y), or a share between 0 and 1, got "
            f"{validation}"
        )
    if y is None:
        raise TypeError(
            "fit: of batches of your own, no share can be drawn; pass validation=(X, y)"
        )
    return share


def validation_pair(validation: Any) -> tuple[Any, Any]:
    """Return X and y to validate with, checked."""
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise TypeError(
            "fit: validation must be a pair (X, y), or a share between 0 and 1, got "
            f"{type(validation).__name__}"
        )
    X, y = validation
    try:
        ArrayFeed(rows_of(X), rows_of(y), None, shuffle=False, chunks=False)
    except (TypeError, ValueError) as error:
        error.add_note("in validation= of te.fit")
        raise
    return X, y


def validation_facts(share: float | None, pair: tuple[Any, Any] | None) -> Any:
    """Return what can be said of the validation without looking at all of it."""
    if pair is None:
        return None if share is None else f"a share of {share}"
    X, y = map(rows_of, pair)
    return f"{len(X)} rows, {facts_of(X[:1])}, {facts_of(y[:1])}"
