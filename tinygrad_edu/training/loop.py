"""fit: a model, data, a loss and an optimiser, epoch by epoch."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu import nn, optim
from tinygrad_edu.core import Tensor
from tinygrad_edu.optim import schedules
from tinygrad_edu.randomness import (
    Random,
    RandomSource,
    generator,
    set_state,
    state_of,
)
from tinygrad_edu.training.advice import advise
from tinygrad_edu.training.checkpoints import Checkpoints, Found, differences, encode
from tinygrad_edu.training.diagnosis import explain_nonfinite
from tinygrad_edu.training.feed import (
    ArrayFeed,
    BatchFeed,
    Selected,
    facts_of,
    feed_of,
    label_without_class,
    not_finite,
    place,
    rows_of,
    skipped,
    split_off,
)
from tinygrad_edu.training.history import History
from tinygrad_edu.training.inference import Meter, evaluate
from tinygrad_edu.training.progress import Progress, warn

__all__ = ["BeforeStep", "EveryBatch", "NonFiniteError", "Training", "fit"]

SECONDS_BETWEEN = 60.0  # from one checkpoint to the next inside an epoch


class NonFiniteError(FloatingPointError):
    """Training came to a nan or an infinity.

    Attributes
    ----------
    history : History
        Of the epochs before.
    """

    history: History


class EveryBatch:
    """Runs a callback after every batch, not after every epoch.

    Parameters
    ----------
    callback : callable or Schedule
        As in ``te.fit(..., callbacks=[...])``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Linear(2, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    >>> schedules = te.optim.schedules
    >>> warm = schedules.Schedule(optimizer, schedules.LinearWarmup(4))
    >>> history = te.fit(
    ...     model, np.ones((10, 2)), np.ones((10, 1)), loss=te.nn.mse_loss,
    ...     optimizer=optimizer, epochs=2, batch_size=5, progress=False,
    ...     callbacks=[te.training.EveryBatch(warm)],
    ... )
    >>> history["learning_rate"]  # of the second step, and of the fourth
    [0.05, 0.1]
    """

    def __init__(self, callback: Any) -> None:
        self.callback = callback

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.callback!r})"


class BeforeStep(EveryBatch):
    """Runs a callback after every backward, before the optimiser's step.

    Parameters
    ----------
    callback : callable
        ``lambda training: te.optim.clip_grad_norm(training.model.parameters(), 1.0)``

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Linear(2, 1, bias=False, rng=0)
    >>> before = model.weight.data.copy()
    >>> def clip(training):
    ...     te.optim.clip_grad_norm(training.model.parameters(), 0.5)
    >>> _ = te.fit(
    ...     model, np.array([[100.0, 0.0]]), np.array([[1e6]]), loss=te.nn.mse_loss,
    ...     optimizer=te.optim.SGD(model.parameters(), lr=1.0), epochs=1,
    ...     progress=False, callbacks=[te.training.BeforeStep(clip)],
    ... )
    >>> model.weight.data - before
    array([[0.5, 0. ]])
    """


def fit(
    model: nn.Layer,
    X: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any],
    optimizer: optim.Optimizer,
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool = True,
    validation: Any = None,
    metrics: Any = (),
    callbacks: Iterable[Any] = (),
    progress: bool | str = True,
    checkpoint: str | os.PathLike[str] | None = None,
    rng: RandomSource = None,
) -> History:
    """Train a model.

    Parameters
    ----------
    model : Layer
        Is in training mode while it learns, in evaluation mode for the validation, and
        afterwards in the mode in which it was.
    X : ndarray, shape (n, ...), tuple of ndarray, iterable or callable
        One example in each row; a memory map, of which only the rows of a batch are
        read, or anything with a length that an integer array can index, will do. A
        tuple holds the inputs of a model that takes several.

        Or, without ``y``, the batches of an epoch as pairs (X_batch, y_batch): a list,
        another iterable that can be gone through again, or a function that is given a
        generator and returns them: ``lambda rng: te.data.batches(X, y, 64, rng=rng,
        augment=shifted)``.
    y : ndarray, shape (n, ...), optional
        The labels or targets.
    loss : callable
        ``loss(output, y_batch)`` returns a Tensor of a single number, such as
        ``te.nn.mse_loss``.
    optimizer : Optimizer
        Made with the model's parameters.
    epochs : int
        How often to go through the data, in total: also over several calls with one
        ``checkpoint``.
    batch_size : int, optional
        Rows in a mini-batch, each of which is a step. Without it, all rows are one
        step: gradient descent on the full batch. If the model's rows are independent
        and the loss is a mean over rows (see Notes), it is computed from 1,000 rows at
        a time: the same step to rounding, in the memory of a small one.
    shuffle : bool, default True
        Whether mini-batches are drawn in a new order in each epoch.
    validation : pair (X, y) or float, optional
        Data to measure on after each epoch, or the share of the rows, between 0 and 1,
        that is drawn for it before training begins.
    metrics : str, callable, or a list or dict of them
        As for :func:`tinygrad_edu.evaluate`; ``"accuracy"``.
    callbacks : iterable
        Each is called as ``callback(training)`` after each epoch, in their order; see
        :class:`Training` for what it is given. A ``te.optim.schedules.Schedule``, or
        anything else with a ``step``, is stepped instead. :class:`EveryBatch` and
        :class:`BeforeStep` call one more often.
    progress : bool or "bar", default True
        Whether to show a bar, in a terminal or notebook, and a line for each epoch
        where the output is piped; "bar" shows no lines.
    checkpoint : path, optional
        A folder in which the state of the run is kept: at the end of each epoch, and
        inside a long one each minute. If it holds a run already, that one goes on.
    rng : int, Generator, RandomState or None
        Where orders and the rows for validation are drawn from.

    Returns
    -------
    History
        "loss" and the metrics are means over the batches as they were learned from,
        before each step; those of "validation_..." are measured at the epoch's end. A
        metric that is no mean over rows is computed from all outputs of the epoch.
        "learning_rate" is that of the epoch's last step, of the first group.

    Raises
    ------
    NonFiniteError
        If the loss, a gradient or a parameter becomes nan or infinite. It says where
        from, and what usually helps; ``error.history`` has the epochs before. The model
        is as after the last step, and no checkpoint is written of it.
    TypeError, ValueError
        If the data do not fit together or the checkpoint belongs to another run: then
        training has not begun.
    OSError
        If nothing can be written into ``checkpoint``: then training has not begun.

    Warns
    -----
    UserWarning
        Of common mistakes, once; of a damaged checkpoint, which is passed over.
    RuntimeWarning
        If a checkpoint cannot be written, since the disk is full. Training goes on, and
        tries again with the next one: its result is in the model in any case.

    Notes
    -----
    Ctrl-C ends training after the current step, with the history of the epochs so far
    and, if there is a folder, a checkpoint; ``history.stopped`` is then "interrupted".
    A second Ctrl-C raises ``KeyboardInterrupt`` at once.

    **Full batches.** A layer says by ``independent_rows`` that no row of its output
    depends on another row, and a loss by ``loss.mean_over_rows = True`` that it is a
    plain mean: those of ``te.nn`` do. A lambda does not, and runs as one graph.

    **Checkpoints** hold all that the rest of the run depends on, so that a run that was
    killed at any moment ends, on the same machine, with the same bits: weights and
    buffers, the optimiser, callbacks that have ``state_dict`` and ``load_state_dict``,
    the history, the position in the epoch, and random generators: that of ``rng`` and
    those in attributes of layers, of the optimiser and of the loss. What draws from
    elsewhere, such as NumPy's global generator, is not covered. The last three are
    kept. If the newest is damaged, a warning names it, and the one before is used. A
    folder whose run has had all its epochs, or was stopped by a callback, gives the
    final weights back at once; with more ``epochs`` it goes on.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> X, y, X_test, y_test = te.data.load_digits()
    >>> model = te.nn.Sequential(
    ...     te.nn.Linear(64, 32, rng=0), te.nn.ReLU(), te.nn.Linear(32, 10, rng=1)
    ... )
    >>> history = te.fit(
    ...     model, X, y, loss=te.nn.softmax_cross_entropy, metrics="accuracy",
    ...     optimizer=te.optim.Adam(model.parameters(), lr=0.01), epochs=10,
    ...     batch_size=50, validation=0.1, progress=False, rng=0,
    ... )
    >>> history["validation_accuracy"][-1] > 0.95
    True
    """
    given: Any = model
    if not isinstance(given, nn.Layer):
        raise TypeError(f"fit: model must be a Layer, got {type(given).__name__}")
    given = optimizer
    if not isinstance(given, optim.Optimizer):
        kind = type(optimizer).__name__
        hint = "; write te.optim.SGD(model.parameters(), lr=...)"
        raise TypeError(f"fit: optimizer must be an Optimizer, got {kind}{hint}")
    given = epochs
    if not isinstance(given, int | np.integer) or isinstance(given, bool):
        raise TypeError(f"fit: epochs must be an int, got {given!r}")
    if epochs < 1:
        raise ValueError(f"fit: epochs must be at least 1, got {epochs}")
    if not isinstance(progress, bool) and progress != "bar":
        raise ValueError(
            f'fit: progress must be True, False or "bar", got {progress!r}'
        )
    training = Training(
        model,
        optimizer,
        loss,
        int(epochs),
        meter=Meter(metrics, loss, who="fit"),
        callbacks=callbacks,
        rng=generator(rng),
        progress=progress,
    )
    return training.run(
        (X, y, batch_size, shuffle),
        validation,
        None if checkpoint is None else Checkpoints(checkpoint),
    )


class Training:
    """A run of :func:`fit`, as callbacks see it.

    Attributes
    ----------
    model : Layer
    optimizer : Optimizer
    history : History
        Of the epochs that have ended.
    epoch : int
        The one that is under way or has just ended, from 1.
    epochs : int
        How many there shall be.
    batch : int
        How many batches of this epoch have been learned from.
    """

    def __init__(
        self,
        model: nn.Layer,
        optimizer: optim.Optimizer,
        loss: Callable[[Any, Any], Any],
        epochs: int,
        *,
        meter: Meter,
        callbacks: Iterable[Any],
        rng: Random,
        progress: bool | str,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.epochs = epochs
        self.history = History()
        self.epoch = 1
        self.batch = 0
        self._done = 0  # epochs
        self._meter = meter
        self._metrics = [name for name in meter.functions if name != "loss"]
        self._callbacks = [_checked(callback, optimizer) for callback in callbacks]
        self._before_step, self._every_batch, self._every_epoch = _sorted(
            self._callbacks
        )
        self._rng = rng
        self._reason = ""  # to stop
        self._interrupted = False
        self._total = 0.0  # the losses of the epoch's batches, times their rows
        self._rows = 0  # in these batches
        self._lr = math.nan  # of the last step
        self._seconds = 0.0  # of the epoch, before the last resumption
        self._begun = 0.0
        self._epoch_state: dict[str, Any] = {}  # of the generator, as it began
        self._feed: ArrayFeed | BatchFeed
        self._feed_now: Iterator[tuple[Any, Any]] = iter(())
        self._progress = Progress(progress, epochs)
        self._checkpoints: Checkpoints | None = None
        self._written_at = 0.0
        self._failed: OSError | None = None  # why the last checkpoint was not written
        self._validation: tuple[Any, Any] | None = None
        self._first = True  # whether no batch has been learned from yet
        self._watched = _watched(optimizer)

    def stop(self, reason: str) -> None:
        """End the training, after this batch or epoch.

        Parameters
        ----------
        reason : str
            For ``history.stopped``.
        """
        self._reason = self.history.stopped = str(reason) or "stopped"

    # -- from the first batch to the last
    def run(
        self, data: tuple[Any, ...], validation: Any, checkpoints: Checkpoints | None
    ) -> History:
        """Train, or go on training, and return the history."""
        with _in_training_mode(self.model):
            found = self._prepare(data, validation, checkpoints)
            if found is not None:
                self._restore(found)
                if self._done >= self.epochs or self._reason:
                    return self.history
            with self._ending(), _interruptible(self._interrupt):
                while self._done < self.epochs and not self._ends():
                    self._one_epoch()
        return self.history

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Close the bar, whatever happens, and say why training ended."""
        self._progress.begin(self._done, self.batch, self._feed.steps, self._feed.share)
        try:
            yield
        except KeyboardInterrupt:
            if self._interrupted:  # Ctrl-C for the second time
                raise
            self._interrupted = True  # raised by a callback or the like
            self.history.stopped = "interrupted"
        finally:
            self._progress.end()
        if self._failed is not None:
            warn(
                f"fit: the end of the training is in no checkpoint ({self._failed}). "
                "The result is in the model: te.save(model, path) keeps it elsewhere",
                RuntimeWarning,
            )

    def _interrupt(self) -> None:
        self._interrupted = True

    def _ends(self) -> bool:
        return self._interrupted or bool(self._reason)

    def _one_epoch(self) -> None:
        """Go through the data once, from where a checkpoint has left them."""
        self.epoch = self._done + 1
        if not self.batch:
            self._meter.clear()
            self._total, self._rows, self._seconds = 0.0, 0, 0.0
            self._epoch_state = state_of(self._rng)
            self._feed_now = self._feed.epoch(self._rng)
        self._begun = time.perf_counter()
        for X, y in self._feed_now:
            self._learn(X, y)
            self.batch += 1
            for callback in self._every_batch:
                callback(self)
            if self._progress.has_bar and not self._feed.share:
                self._progress.batch(self.epoch, self._mean())
            if self._interrupted or self._reason:
                break
            if (
                self._checkpoints is not None
                and time.perf_counter() - self._written_at >= SECONDS_BETWEEN
            ):
                self._write()
        else:
            return self._end_epoch()
        # stopped on the way, maybe at the last batch: only the next would tell
        if self.batch == self._feed.steps:
            return self._end_epoch()
        if self._interrupted:
            self.history.stopped = "interrupted"
        self._write()

    def _end_epoch(self) -> None:
        """Measure, tell the callbacks, and write a checkpoint."""
        if not self.batch:
            raise ValueError("fit: there is no batch in the epoch")
        self._check_parameters()
        of_batches = self._meter.result()
        figures = {"loss": self._mean()}
        figures |= {name: of_batches[name] for name in self._metrics}
        self._meter.clear()
        if self._validation is not None:
            metrics = {name: self._meter.functions[name] for name in self._metrics}
            measured = evaluate(
                self.model, *self._validation, loss=self.loss, metrics=metrics
            )
            figures |= {f"validation_{name}": x for name, x in measured.items()}
        figures["learning_rate"] = float(self._lr)
        figures["seconds"] = self._spent()
        self.history.append(self.epoch, figures)
        self._done, steps = self.epoch, self.batch
        self.batch = 0
        self._progress.epoch(self.epoch, figures, steps)
        for callback in self._every_epoch:
            callback(self)
        if not self._reason and self._done == self.epochs:
            self.history.stopped = "epochs"
        elif not self._reason and self._interrupted:
            self.history.stopped = "interrupted"
        self._write()

    # -- one batch
    def _learn(self, X: Any, y: Any) -> None:
        """Make a step; or, of some of all rows, add up the gradient for the last."""
        is_share = self._feed.share
        try:
            output = self.model(*X) if type(X) is tuple else self.model(X)
            if self._first:
                self._look(output, X, y)
            loss = self.loss(output, y)
            rows = len(y[0] if type(y) is tuple else y)
            if is_share:
                loss = loss * (rows / self._feed.rows)
            value = self._value(loss)
            if not math.isfinite(value):
                raise self._not_finite(f"the loss is {value}", X, y)
            if not is_share or not self.batch:
                self.optimizer.zero_grad()
            loss.backward()
            self._total += value if is_share else value * rows
            self._rows += rows
            if not is_share or self._rows == self._feed.rows:
                self._step(X, y)
            if self._metrics:
                self._meter.add(output, y, value)
        except Exception as error:
            self._say_where(error)
            raise

    def _step(self, X: Any, y: Any) -> None:
        """Move the parameters, unless a gradient is not finite."""
        squares = 0.0
        for p in self._watched:
            g = p._grad  # of a leaf; the attribute asks first if it is one
            if g is not None:
                squares += np.vdot(g, g)
        if not squares < math.inf:
            self._check_gradients(X, y)
        for callback in self._before_step:
            callback(self)
        self._lr = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()

    def _value(self, loss: Any) -> float:
        """Return the loss as a number."""
        if type(loss) is Tensor and loss.size == 1:
            return float(loss.item())
        got = type(loss).__name__
        if type(loss) is Tensor:
            got = f"one of shape {loss.shape}"
        raise TypeError(
            "fit: the loss must return a Tensor of a single number, computed from the "
            f"output by te's or NumPy's functions, got {got}"
        )

    # -- what is wrong
    def _look(self, output: Any, X: Any, y: Any) -> None:
        """Look at the first batch for common mistakes."""
        self._first = False
        self.optimizer.zero_grad()
        if isinstance(self._feed, ArrayFeed):
            labels = self._feed.y
            if isinstance(labels, Selected):
                labels = labels.whole
            wrong = label_without_class(self.loss, output, labels)
            if wrong:
                raise ValueError(f"fit: {wrong}")
        for text in advise(self.model, self.loss, self.optimizer, X, y, output):
            warn(f"fit: {text}", UserWarning)

    def _rows_now(self) -> Any:
        """Return which rows of the data the batch consists of; None if unknown."""
        rows = getattr(self._feed_now, "rows", None)
        return self._feed.numbers(rows) if isinstance(self._feed, ArrayFeed) else rows

    def _say_where(self, error: Exception) -> None:
        """Note in an error in which batch it came."""
        if str(error).startswith("fit: "):  # it says so itself
            return
        rows, which = self._rows_now(), ""
        if isinstance(rows, slice | np.ndarray):
            which = f"; its first row is {place(rows, 0)} of X"
        error.add_note(f"in {self._place()} of te.fit{which}")

    def _place(self) -> str:
        return f"epoch {self.epoch}, batch {self.batch + 1}"

    def _not_finite(self, what: str, X: Any, y: Any) -> NonFiniteError:
        """Return the error for a batch after which training cannot go on."""
        held = not_finite(X, y, self._rows_now())
        if held:
            told = f"{held}. Leave such rows out, or fill in what is missing"
        else:
            told = explain_nonfinite(self.model, self.loss, X, y)
        return self._end_with(f"{what} in {self._place()}", told)

    def _end_with(self, what: str, told: str) -> NonFiniteError:
        self.history.stopped = what
        error = NonFiniteError(f"fit: {what}, after {self._steps()}\n{told}")
        error.history = self.history
        return error

    def _steps(self) -> str:
        if self._feed.share:
            count = self._done
        elif self._feed.steps is not None:
            count = self._done * self._feed.steps + self.batch
        else:
            return f"{self.batch} steps in this epoch"
        return f"{count} step{'s' * (count != 1)}"

    def _check_gradients(self, X: Any, y: Any) -> None:
        """Refuse a step by gradients of which one is not finite."""
        for name, p in self._trained():
            g = p._grad
            if g is not None and not np.isfinite(g).all():
                value = g[~np.isfinite(g)].flat[0]
                raise self._not_finite(f"the gradient of {name} is {value}", X, y)

    def _check_parameters(self) -> None:
        """Refuse to go on with parameters that are not finite."""
        for name, p in self._trained():
            if p._tracked and not np.isfinite(p._data).all():
                value = p._data[~np.isfinite(p._data)].flat[0]
                g = p._grad
                told = "Its gradient is finite: the step was too large"
                if g is not None and not np.isfinite(g).all():
                    told = "Its gradient in the last step is not finite"
                raise self._end_with(
                    f"the parameter {name} is {value} in epoch {self.epoch}",
                    f"{told}.\nWhat usually helps: a smaller learning rate, or "
                    "te.optim.clip_grad_norm in te.training.BeforeStep.",
                )

    def _trained(self) -> Iterator[tuple[str, Tensor]]:
        """Yield what the optimiser moves, with names."""
        names = {id(p): name for name, p in self.model.named_parameters()}
        for number, p in enumerate(_parameters(self.optimizer)):
            yield names.get(id(p), p.name or f"number {number}"), p

    # -- figures of the epoch
    def _mean(self) -> float:
        """Return the mean loss of the batches so far; of shares, when all are there."""
        return self._total if self._feed.share else self._total / self._rows

    def _spent(self) -> float:
        return self._seconds + time.perf_counter() - self._begun

    # -- before the first batch
    def _prepare(
        self, data: tuple[Any, ...], validation: Any, checkpoints: Checkpoints | None
    ) -> Found | None:
        """Make the feed; return the checkpoint to go on from, if there is one."""
        X, y, batch_size, shuffle = data
        X, y = rows_of(X) if y is not None else X, rows_of(y)
        chunks = self.model.independent_rows and getattr(
            self.loss, "mean_over_rows", False
        )
        self._feed = feed_of(X, y, batch_size, shuffle=shuffle, chunks=bool(chunks))
        share = _validation_share(validation, y)
        if share is None and validation is not None:
            self._validation = _validation_pair(validation)
        known = self._generators = _generators(
            ("fit", self._rng), self.model, self.optimizer, self.loss
        )
        self._facts = {
            "model": _model_facts(self.model),
            "optimizer": _optimizer_facts(self.optimizer, self._callbacks),
            "loss": _name_of(self.loss),
            "data": self._feed.facts(),
            "batch_size": batch_size,
            "shuffle": bool(shuffle),
            "rows at a time": self._feed.share,
            "metrics": ", ".join(self._metrics),
            "validation": _validation_facts(share, self._validation),
            "generators": {name: _kind_of(rng) for name, rng in known},
        }
        self._checkpoints = checkpoints
        found = None if checkpoints is None else checkpoints.newest()
        if found is not None:
            self._check_run(found)
            set_state(self._rng, found.state["begun"])
        self._split_state = state_of(self._rng)
        if share is not None:
            X, y, *others = split_off(X, y, share, self._rng)
            self._validation = others[0], others[1]
            self._feed = feed_of(X, y, batch_size, shuffle=shuffle, chunks=bool(chunks))
        if checkpoints is not None and found is None:
            encode(self._state())  # says now what could not be kept
        self._written_at = time.perf_counter()
        return found

    def _check_run(self, found: Found) -> None:
        """Refuse a checkpoint of another run."""
        run, own = found.state["run"], self._facts["optimizer"]
        if own == found.state["optimizer_now"]:  # it has been trained with
            run = run | {"optimizer": own}
        wrong = differences(run, self._facts)
        kinds = [type(callback).__name__ for callback in _stateful(self._callbacks)]
        for kept in found.state["callbacks"]:
            kind = kept["class"]
            if kind in kinds:
                kinds.remove(kind)
            else:
                wrong.append(f"callbacks: {kind} in the checkpoint, not here")
        if wrong:
            lines = "\n  ".join(wrong)
            raise ValueError(
                f"fit: the checkpoint {found.path} belongs to another run:\n  {lines}\n"
                "Pass another folder as checkpoint=, or what that run was made with"
            )

    # -- checkpoints
    def _write(self) -> None:
        """Write a checkpoint, if there is a folder."""
        if self._checkpoints is None:
            return
        self._check_parameters()
        try:
            self._checkpoints.write(self._done, self.batch, self._state())
            self._failed = None
        except OSError as error:
            self._failed = error
            warn(
                f"fit: no checkpoint could be written into {self._checkpoints.folder} "
                f"({error}). Those written before are whole. Training goes on, and "
                "tries again with the next one",
                RuntimeWarning,
            )
        self._written_at = time.perf_counter()

    def _state(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        inside = bool(self.batch)  # an epoch
        state: dict[str, Any] = {
            "run": self._facts,
            "epochs": self.epochs,
            "done": self._done,
            "batch": self.batch,
            "reason": self._reason,
            "history": self.history.state_dict(),
            "model": self.model.state_dict(),
            "requires_grad": [p.requires_grad for p in self.model.parameters()],
            "others": [p.data for p in self._others()],
            "optimizer": self.optimizer.state_dict(),
            "optimizer_now": _optimizer_facts(self.optimizer, self._callbacks),
            "callbacks": [
                {"class": type(callback).__name__, "state": callback.state_dict()}
                for callback in _stateful(self._callbacks)
            ],
            "generators": {name: state_of(rng) for name, rng in self._generators},
            "begun": self._split_state,
        }
        if inside:
            state |= {
                "epoch": {
                    "generator": self._epoch_state,
                    "total": self._total,
                    "rows": self._rows,
                    "lr": self._lr,
                    "seconds": self._spent(),
                    "meter": self._meter.state_dict(),
                }
            }
        if inside and self._feed.share:
            state["gradients"] = [p.grad for p in _parameters(self.optimizer)]
        return state

    def _others(self) -> list[Tensor]:
        """Return what the optimiser moves, but the model does not hold."""
        own = {id(p) for p in self.model.parameters()}
        return [p for p in _parameters(self.optimizer) if id(p) not in own]

    def _restore(self, found: Found) -> None:
        """Go on from a checkpoint."""
        state = found.state
        self.model.load_state_dict(state["model"])
        for p, value in zip(
            self.model.parameters(), state["requires_grad"], strict=True
        ):
            p.requires_grad = value
        for p, data in zip(self._others(), state["others"], strict=True):
            p.data = data
        self.optimizer.load_state_dict(state["optimizer"])
        waiting = _stateful(self._callbacks)
        for kept in state["callbacks"]:
            callback = next(c for c in waiting if type(c).__name__ == kept["class"])
            waiting.remove(callback)
            callback.load_state_dict(kept["state"])
        self.history.load_state_dict(state["history"])
        self._done, self.batch = state["done"], state["batch"]
        self.epoch = min(self._done + 1, self.epochs)
        self.history.resumed_from = self._done
        if self.batch:
            epoch = state["epoch"]
            set_state(self._rng, epoch["generator"])
            self._epoch_state = epoch["generator"]
            self._feed_now = skipped(self._feed.epoch(self._rng), self.batch)
            self._total, self._rows = epoch["total"], epoch["rows"]
            self._lr, self._seconds = epoch["lr"], epoch["seconds"]
            self._meter.load_state_dict(epoch["meter"])
            gradients = state.get("gradients", [])
            for p, gradient in zip(
                _parameters(self.optimizer), gradients, strict=bool(gradients)
            ):
                p.grad = gradient
        for name, rng in self._generators:
            set_state(rng, state["generators"][name])
        self._first = False
        self._end_or_go_on(found)

    def _end_or_go_on(self, found: Found) -> None:
        """Decide whether the run of a checkpoint has ended."""
        if self._done > self.epochs:
            warn(
                f"fit: {found.path} is of a run of {self._done} epochs, more than "
                f"epochs={self.epochs}: the model and the history are those after "
                f"{self._done}",
                UserWarning,
            )
        if self._done >= self.epochs:
            self.history.stopped = self.history.stopped or "epochs"
        elif found.state["reason"] and found.state["epochs"] >= self.epochs:
            self._reason = found.state["reason"]
        else:
            self.history.stopped = ""


# ---------------------------------------------------------------------- the callbacks


def _checked(callback: Any, optimizer: optim.Optimizer) -> Any:
    """Return a callback, or say why it is none."""
    inner = callback.callback if isinstance(callback, EveryBatch) else callback
    kind = type(inner).__name__
    if isinstance(inner, type):
        raise TypeError(f"fit: the callback {inner.__name__} is a class; write ...()")
    if isinstance(inner, schedules.Schedule):
        if inner.optimizer is not optimizer:
            raise ValueError(
                "fit: a Schedule in callbacks belongs to another optimizer"
            )
    elif type(inner).__module__ == schedules.__name__:
        raise TypeError(
            f"fit: write te.optim.schedules.Schedule(optimizer, {kind}(...)) for a "
            f"{kind} in callbacks"
        )
    elif isinstance(inner, optim.Optimizer) or not (
        callable(inner) or callable(getattr(inner, "step", None))
    ):
        raise TypeError(
            f"fit: a callback must be a function of the training, got {kind}"
        )
    return callback


def _as_function(callback: Any) -> Callable[[Training], Any]:
    if callable(getattr(callback, "step", None)) and not isinstance(callback, nn.Layer):
        return lambda training: callback.step()
    return callback  # type: ignore[no-any-return]


def _sorted(callbacks: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Return functions to call before each step, after each batch, each epoch."""
    before, batch, epoch = [], [], []
    for callback in callbacks:
        if isinstance(callback, BeforeStep):
            before.append(_as_function(callback.callback))
        elif isinstance(callback, EveryBatch):
            batch.append(_as_function(callback.callback))
        else:
            epoch.append(_as_function(callback))
    return before, batch, epoch


def _stateful(callbacks: list[Any]) -> list[Any]:
    """Return the callbacks that are kept in checkpoints."""
    inner = [c.callback if isinstance(c, EveryBatch) else c for c in callbacks]
    return [
        c for c in inner if hasattr(c, "state_dict") and hasattr(c, "load_state_dict")
    ]


# ------------------------------------------------------- what a run is made of, as text


def _model_facts(model: nn.Layer) -> dict[str, Any]:
    layers = {name: type(layer).__name__ for name, layer in model.named_layers()}
    arrays: dict[str, Any] = dict(model.named_parameters())
    arrays |= dict(model.named_buffers())
    return {
        "class": type(model).__name__,
        "layers": layers,
        **{name: f"{x.dtype} of shape {x.shape}" for name, x in arrays.items()},
    }


def _optimizer_facts(
    optimizer: optim.Optimizer, callbacks: list[Any]
) -> dict[str, Any]:
    """Return the class and the options; not the learning rate if schedules set it."""
    set_by_schedules = {
        "lr"
        for c in callbacks
        if hasattr(c.callback if isinstance(c, EveryBatch) else c, "step")
    }
    groups = {
        str(number): {
            name: repr(value)
            for name, value in group.items()
            if name not in {"params", *set_by_schedules}
        }
        | {"parameters": len(group["params"])}
        for number, group in enumerate(optimizer.param_groups)
    }
    return {"class": type(optimizer).__name__, "group": groups}


def _parameters(optimizer: optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _watched(optimizer: optim.Optimizer) -> list[Tensor]:
    """Return the parameters whose gradients are looked at in each step.

    A nan on the way back reaches every bias that it passes. To look at the weights,
    too, took 7 us of a step of 170 (784-64-10, float32, batch 64), at biases 1 us.
    """
    usable = [p for p in _parameters(optimizer) if p.dtype in (np.float32, np.float64)]
    return [p for p in usable if p.ndim == 1] or usable


def _name_of(function: Any) -> str:
    inner = getattr(function, "func", None)  # of functools.partial
    if inner is not None:
        return f"partial of {_name_of(inner)}"
    return str(getattr(function, "__qualname__", type(function).__name__))


def _kind_of(rng: Random) -> str:
    bits = getattr(rng, "bit_generator", None) or rng._bit_generator  # type: ignore[union-attr]
    return f"{type(rng).__name__}({type(bits).__name__})"


def _generators(first: tuple[str, Random], *wholes: Any) -> list[tuple[str, Random]]:
    """Return every random generator in attributes of these, each once, by name."""
    found = {id(first[1]): first}
    for whole in wholes:
        prefix = "model" if isinstance(whole, nn.Layer) else type(whole).__name__
        layers = whole.named_layers() if isinstance(whole, nn.Layer) else []
        todo: list[tuple[str, Any]] = [
            (f"{path}.{name}", value)
            for path, holder in [(prefix, whole), *layers]
            for name, value in getattr(holder, "__dict__", {}).items()
        ][::-1]
        seen: set[int] = set()
        while todo:
            path, value = todo.pop()
            if isinstance(value, np.random.Generator | np.random.RandomState):
                found.setdefault(id(value), (path, value))
            elif isinstance(value, list | tuple | dict) and id(value) not in seen:
                seen.add(id(value))
                parts = value.items() if isinstance(value, dict) else enumerate(value)
                todo += [(f"{path}.{name}", part) for name, part in parts][::-1]
    return list(found.values())


# ------------------------------------------------------------------- the validation


def _validation_share(validation: Any, y: Any) -> float | None:
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


def _validation_pair(validation: Any) -> tuple[Any, Any]:
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


def _validation_facts(share: float | None, pair: tuple[Any, Any] | None) -> Any:
    if pair is None:
        return None if share is None else f"a share of {share}"
    X, y = map(rows_of, pair)
    return f"{len(X)} rows, {facts_of(X[:1])}, {facts_of(y[:1])}"


# ----------------------------------------------------------------- around the training


@contextmanager
def _in_training_mode(model: nn.Layer) -> Iterator[None]:
    """Put all layers into training mode, and each back afterwards."""
    layers = [model, *(layer for _, layer in model.named_layers())]
    before = [layer.training for layer in layers]
    model.train()
    try:
        yield
    finally:
        for layer, mode in zip(layers, before, strict=True):
            layer.training = mode


@contextmanager
def _interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Have the first Ctrl-C call ``interrupt``, so that no step is left half made."""
    usual = signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not usual
    ):
        yield
        return

    def first(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, usual)
        interrupt()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
