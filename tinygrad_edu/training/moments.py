"""What callbacks are given, a Training, and when they are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tinygrad_edu import nn, optim
from tinygrad_edu.optim import schedules
from tinygrad_edu.training.history import History
from tinygrad_edu.training.progress import warn

__all__ = ["BeforeStep", "EveryBatch", "Training"]

_SMALL = 0.01  # of a learning rate, below which training all but stands still


class Training:
    """A run of :func:`tinygrad_edu.fit`, as callbacks see it.

    Parameters
    ----------
    model, optimizer, loss, epochs
        As for :func:`tinygrad_edu.fit`, which makes it.

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

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> def watch(training):
    ...     print(training.epoch, "of", training.epochs, list(training.history.values))
    ...     training.stop("seen enough")
    >>> model = te.nn.Linear(1, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    >>> history = te.fit(model, np.ones((4, 1)), np.ones((4, 1)), epochs=9,
    ...                  loss=te.nn.mse_loss, optimizer=optimizer, callbacks=[watch],
    ...                  progress=False)
    1 of 9 ['loss', 'learning_rate', 'seconds']
    >>> history.stopped
    'seen enough'
    """

    def __init__(
        self,
        model: nn.Layer,
        optimizer: optim.Optimizer,
        loss: Callable[[Any, Any], Any],
        epochs: int,
    ) -> None:
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.epochs = epochs
        self.history = History()
        self.epoch, self.batch = 1, 0
        self._reason = ""  # to stop

    def stop(self, reason: str) -> None:
        """End the training, after this batch or epoch.

        Parameters
        ----------
        reason : str
            For ``history.stopped``.
        """
        self._reason = self.history.stopped = str(reason) or "stopped"


# ----------------------------------------------------------------------------- when


class EveryBatch:
    """Runs a callback after every batch, not after every epoch.

    Parameters
    ----------
    callback : callable or Schedule
        As in ``te.fit(..., callbacks=[...])``.

    Examples
    --------
    >>> import numpy as np
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
    >>> import numpy as np
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


def inner(callback: Any) -> Any:
    """Return a callback without what says when it is called."""
    return callback.callback if isinstance(callback, EveryBatch) else callback


def checked(callbacks: Iterable[Any], optimizer: optim.Optimizer) -> list[Any]:
    """Return the callbacks, or say which of them is none.

    Raises
    ------
    TypeError
        If they are no list or the like, or one of them cannot be called.
    ValueError
        If a schedule belongs to another optimiser.
    """
    given: Any = callbacks
    if not isinstance(given, Iterable):
        kind = type(given).__name__
        hint = "" if given is None else f"; write callbacks=[{kind}(...)]"
        raise TypeError(f"fit: callbacks must be a list, got {kind}{hint}")
    callbacks = list(callbacks)
    for callback in callbacks:
        bare = inner(callback)
        _check(bare, optimizer)
        if isinstance(callback, BeforeStep) and isinstance(bare, schedules.Schedule):
            raise TypeError(
                "fit: a Schedule goes into te.training.EveryBatch: before a step, it "
                "would leave its first learning rate out"
            )
    return callbacks


def _check(callback: Any, optimizer: optim.Optimizer) -> None:
    kind = type(callback).__name__
    if isinstance(callback, type):
        raise TypeError(
            f"fit: the callback {callback.__name__} is a class; write ...()"
        )
    if isinstance(callback, schedules.Schedule):
        if callback.optimizer is not optimizer:
            raise ValueError(
                "fit: a Schedule in callbacks belongs to another optimizer"
            )
    elif type(callback).__module__ == schedules.__name__:
        raise TypeError(
            f"fit: write te.optim.schedules.Schedule(optimizer, {kind}(...)) for a "
            f"{kind} in callbacks"
        )
    elif isinstance(callback, optim.Optimizer) or not (
        callable(callback) or callable(getattr(callback, "step", None))
    ):
        raise TypeError(
            f"fit: a callback must be a function of the training, got {kind}"
        )


def _as_function(callback: Any) -> Callable[[Any], Any]:
    if callable(getattr(callback, "step", None)) and not isinstance(callback, nn.Layer):
        return lambda training: callback.step()
    return callback  # type: ignore[no-any-return]


class Moments(NamedTuple):
    """Functions of the training, by when they are called."""

    before_step: list[Callable[[Training], Any]]
    every_batch: list[Callable[[Training], Any]]
    every_epoch: list[Callable[[Training], Any]]


def by_moment(callbacks: list[Any]) -> Moments:
    """Return functions to call before each step, after each batch, each epoch."""
    moments = Moments([], [], [])
    for callback in callbacks:
        if isinstance(callback, BeforeStep):
            moments.before_step.append(_as_function(callback.callback))
        elif isinstance(callback, EveryBatch):
            moments.every_batch.append(_as_function(callback.callback))
        else:
            moments.every_epoch.append(_as_function(callback))
    return moments


# ------------------------------------------------------- how long schedules are to last


def begin_schedules(
    callbacks: list[Any], epochs: int, batches: int | None, *, resumed: bool
) -> None:
    """Give every schedule without a length that of the run; warn of one that misfits.

    Parameters
    ----------
    callbacks : list
    epochs : int
    batches : int or None
        In an epoch; None if unknown.
    resumed : bool
        Whether the schedules take up a state of this run from a checkpoint.

    Raises
    ------
    ValueError
        If the length of the run is unknown.
    """
    for callback in callbacks:
        schedule = inner(callback)
        steps: int | None = epochs
        if not isinstance(schedule, schedules.Schedule):
            continue
        if isinstance(callback, EveryBatch):
            steps = batches and batches * epochs
        if not schedule.is_open:
            _warn_of_misfit(callback, schedule, steps, resumed)
        elif steps is None:
            raise ValueError(
                f"fit: {_named(schedule)} without a number of steps lasts as long as "
                "the training, but how many batches of your own there will be is not "
                "known. Give the schedule its number of steps"
            )
        else:
            schedule.begin(steps)


def _warn_of_misfit(
    callback: Any, schedule: schedules.Schedule, steps: int | None, resumed: bool
) -> None:
    """Warn of a length that is not that of the run, by more than a step."""
    length = schedule.length
    if steps is None or length is None or length == math.inf:
        return
    before = 0 if resumed else schedule.t
    each = "batch" if isinstance(callback, EveryBatch) else "epoch"
    told = f"fit: {_named(schedule)} lasts {length:.0f} steps, but with one after each "
    told += f"{each} there are {before + steps}"
    if before + steps < length - 1:
        told += ": it does not come to its end"
        if each == "epoch":
            told += ". te.training.EveryBatch(schedule) makes one after each batch"
    elif before + steps > length + 1 and (end := schedule.factor(int(length))) < _SMALL:
        told += f": for the rest, the learning rate is {end:.2g} of the highest"
    else:
        return
    warn(f"{told}. Without a number of steps, it lasts as long as te.fit", UserWarning)


def _named(schedule: schedules.Schedule) -> str:
    return type(schedule.factor).__name__
