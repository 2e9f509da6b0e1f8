"""What is wrong in a run: common mistakes, what is not finite, and in which batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu import nn, optim
from tinygrad_edu.diagnosis.advice import advise, as_the_output, growth
from tinygrad_edu.diagnosis.entries import arrays_not_finite
from tinygrad_edu.diagnosis.nonfinite import (
    NonFiniteError,
    explain_nonfinite,
    gradient_not_finite,
    parameter_not_finite,
    watched,
)
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.training.feed import Pass
from tinygrad_edu.training.history import Figures
from tinygrad_edu.training.moments import Training
from tinygrad_edu.training.progress import warn

__all__ = ["Faults", "trained"]

_READ = 65_536  # labels
_FEW = 8  # rows of which the loss is too much a matter of chance


class Faults:
    """Looks at what a run does, and tells what is wrong with it, and where.

    Parameters
    ----------
    training : Training
        Where the run is.
    data : Pass

    Attributes
    ----------
    has_looked : bool
        Whether the first batch has been looked at for common mistakes.
    remembers : bool
        Whether the loss that training began with is still to be remembered.
    """

    def __init__(self, training: Training, data: Pass) -> None:
        self._training, self._data = training, data
        self._watched = watched([p for _, p in self._trained()])
        self.has_looked = False
        self.remembers = True
        self._hint = ""  # how y would have the shape of the output
        self._first_loss: float | None = None  # that training began with

    # -- common mistakes
    def look(self, output: Any, X: Any, y: Any) -> None:
        """Look at the first batch for common mistakes."""
        self.has_looked = True
        run = self._training
        self._hint = as_the_output(output, y)
        run.optimizer.zero_grad()
        wrong = _label_without_class(run.loss, output, self._data.feed.labels())
        if wrong:
            raise ValueError(f"fit: {wrong}")
        for text in advise(run.model, run.loss, run.optimizer, X, y, output):
            warn(f"fit: {text}", UserWarning)

    def remember(self, figures: Figures) -> None:
        """Remember the loss that training began with; of few rows it is chance."""
        known = self._first_loss is not None
        enough = figures.rows > _FEW or self._training.history.epochs
        # of parts, the first of all rows is that of an epoch
        self.remembers = not (figures.in_parts or (known and enough))
        if self.remembers:
            self._first_loss = figures.loss()

    def look_at_growth(self, loss: float) -> None:
        """Warn, once, if the loss of an epoch is far above that of the beginning."""
        if self._first_loss is None:
            self._first_loss = loss
        told = growth(self._first_loss, loss)
        if told:
            self._first_loss = math.inf
            warn(f"fit: {told}", UserWarning)

    # -- where
    def say_where(self, error: Exception) -> None:
        """Note in an error in which batch it came."""
        if str(error).startswith("fit: "):  # it says so itself
            return
        rows, which = self._data.rows(), ""
        if isinstance(rows, slice | np.ndarray):
            which = f"; its first row is {_place(rows, 0)} of X"
        error.add_note(f"in {self._batch()} of te.fit{which}")
        is_first = not self._training.history.epochs and not self._training.batch
        if self._hint and is_first:
            error.add_note(self._hint)

    def _batch(self) -> str:
        return f"epoch {self._training.epoch}, batch {self._training.batch + 1}"

    def _steps(self) -> str:
        """Say how many steps have been made."""
        feed, done = self._data.feed, len(self._training.history.epochs)
        if feed.in_parts:
            count = done
        elif feed.steps is not None:
            count = done * feed.steps + self._training.batch
        else:
            return f"{self._training.batch} steps in this epoch"
        return f"{count} step{'s' * (count != 1)}"

    # -- nan and infinity
    def not_finite(self, what: str, X: Any, y: Any, rows: Any = None) -> NonFiniteError:
        """Return the error for a batch after which training cannot go on.

        ``rows`` are the numbers of a part of it, if X and y are no more than that.
        """
        told = _in_data(X, y, self._data.rows() if rows is None else rows)
        if not told:
            told = explain_nonfinite(self._training.model, self._training.loss, X, y)
        return self._end_with(f"{what} in {self._batch()}", told)

    def _end_with(self, what: str, told: str) -> NonFiniteError:
        history = self._training.history
        history.stopped = what
        error = NonFiniteError(f"fit: {what}, after {self._steps()}\n{told}")
        error.history = history
        return error

    def check_step(self, X: Any, y: Any) -> None:
        """Refuse, by as few looks as will do, a step that is not finite."""
        squares = 0.0
        for p in self._watched:
            g = p._grad  # of a leaf; the attribute asks first if it is one
            if g is not None:
                squares += np.vdot(g, g)
        if not squares < math.inf:
            self.check_gradients(X, y)

    def check_gradients(self, X: Any, y: Any, rows: Any = None) -> None:
        """Refuse a step by gradients of which one is not finite."""
        what = gradient_not_finite(self._trained())
        if what:
            raise self.not_finite(what, X, y, rows)

    def check_parameters(self) -> None:
        """Refuse to go on with parameters that are not finite."""
        what, why = parameter_not_finite(self._trained())
        if what:
            raise self._end_with(f"{what} in epoch {self._training.epoch}", why)

    def _trained(self) -> Iterator[tuple[str, Tensor]]:
        return trained(self._training.model, self._training.optimizer)


def trained(
    model: nn.Layer, optimizer: optim.Optimizer
) -> Iterator[tuple[str, Tensor]]:
    """Yield what an optimiser moves, with the names that the model has for it."""
    names = {id(p): name for name, p in model.named_parameters()}
    moved = (p for group in optimizer.param_groups for p in group["params"])
    for number, p in enumerate(moved):
        yield names.get(id(p), p.name or f"number {number}"), p


# ----------------------------------------------------------------------- in the data


def _place(rows: Any, row: int) -> str:
    """Say which row of the data row ``row`` of a batch is, if that is known."""
    if isinstance(rows, slice):
        return f"row {rows.start + row}"
    if isinstance(rows, np.ndarray):
        return f"row {rows[row]}"
    return f"row {row} of the batch"


def _in_data(X: Any, y: Any, rows: Any) -> str:
    """Say where a batch holds nan or infinity, and what to do; empty if it does not."""
    for which, array in arrays_not_finite(X, y):
        wrong = ~np.isfinite(array)
        row, *inner = np.argwhere(wrong)[0].tolist()
        where = f", entry {inner if len(inner) > 1 else inner[0]}" if inner else ""
        told = f"{which} holds {array[(row, *inner)]} in {_place(rows, row)}{where}"
        count, total = int(wrong.reshape(len(wrong), -1).any(axis=1).sum()), len(wrong)
        if 2 * count > total > 1:
            return (
                f"{told} ({count:,} of {total:,} rows: was a mean taken over nan, or "
                "divided by a deviation of 0?). np.nanmean and np.nanstd leave nan out"
            )
        return f"{told}. Leave such rows out, or fill in what is missing"
    return ""


#: Losses of which a label without a class is surely a mistake.
_OF_CLASSES: tuple[Callable[..., Any], ...] = (nn.softmax_cross_entropy, nn.nll_loss)


def _label_without_class(loss: Any, output: Any, labels: Any) -> str:
    """Say where a label lies outside the classes; empty if none does."""
    *inner, classes = np.shape(output) or (0,)
    if (
        loss not in _OF_CLASSES
        or not isinstance(labels, np.ndarray)
        or labels.dtype.kind not in "iu"
        or labels.ndim != len(inner)
    ):
        return ""
    for start in range(0, len(labels), _READ):  # it may be a memory map
        part = labels[start : start + _READ]
        if 0 <= part.min() and part.max() < classes:
            continue
        index = np.argwhere((part < 0) | (part >= classes))[0]
        return (
            f"y holds the label {part[tuple(index)]} in row {start + index[0]}, but the"
            f" model has {classes} outputs, for the labels 0..{classes - 1}"
        )
    return ""
