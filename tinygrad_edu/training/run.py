"""A run of fit: what it knows, and how checkpoints keep it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_edu import nn, optim
from tinygrad_edu.metrics import Meter
from tinygrad_edu.randomness import RandomSource
from tinygrad_edu.training.callbacks import check_monitored
from tinygrad_edu.training.checkpoints import Found, Recorder, encode
from tinygrad_edu.training.faults import Faults
from tinygrad_edu.training.feed import (
    ArrayFeed,
    Pass,
    split_off,
    validation_facts,
    validation_pair,
    validation_share,
)
from tinygrad_edu.training.history import Figures, History
from tinygrad_edu.training.moments import begin_schedules, by_moment, checked, inner
from tinygrad_edu.training.parts import Parts, parameters_of
from tinygrad_edu.training.progress import Progress, warn
from tinygrad_edu.training.steps import Step

__all__ = ["Training"]


class Training:
    """A run of :func:`tinygrad_edu.fit`, as callbacks see it.

    Parameters
    ----------
    model, optimizer, loss, epochs, callbacks, checkpoint, rng, progress
        As for :func:`tinygrad_edu.fit`, which makes it.
    meter : Meter
        Of the loss and the metrics.
    step : Step
        Where losses come from.

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
        *,
        meter: Meter,
        checkpoint: str | os.PathLike[str] | None,
        callbacks: Iterable[Any],
        rng: RandomSource,
        progress: bool | str,
        step: Step,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.epochs = epochs
        self.history = History()
        self.epoch = 1
        self.batch = 0
        self._done = 0  # epochs
        self._figures = Figures(meter)
        self._callbacks = checked(callbacks, optimizer)
        self._before_step, self._every_batch, self._every_epoch = by_moment(
            self._callbacks
        )
        self._parts = Parts(model, optimizer, loss, self._callbacks, rng)
        self._reason = ""  # to stop
        self._interrupted = False
        self._data: Pass
        self._faults: Faults
        self._progress = Progress(progress, epochs)
        self._validation: tuple[Any, Any] | None = None
        self._step = step
        self._recorder = Recorder(checkpoint)

    def stop(self, reason: str) -> None:
        """End the training, after this batch or epoch.

        Parameters
        ----------
        reason : str
            For ``history.stopped``.
        """
        self._reason = self.history.stopped = str(reason) or "stopped"

    # -- before the first batch
    def _prepare(self, data: tuple[Any, ...], validation: Any) -> Found | None:
        """Make the feed; return the checkpoint to go on from, if there is one."""
        X, y, batch_size, shuffle = data
        feed = self._step.feed(self, X, y, batch_size, shuffle=shuffle)
        self._figures.in_parts = feed.in_parts
        share = validation_share(validation, y)
        if share is None and validation is not None:
            self._validation = validation_pair(validation)
        facts = {
            "data": feed.facts(),
            "batch_size": batch_size,
            "shuffle": bool(shuffle),
            "rows at a time": feed.in_parts,
            "metrics": ", ".join(self._figures.metrics),
            "validation": validation_facts(share, self._validation),
        }
        self._parts.describe(facts)
        found = self._recorder.newest()
        if found is not None:
            self._parts.check(found, self.epochs)
        check_monitored(map(inner, self._callbacks), validation)
        self._parts.begin(found)
        if share is not None:
            assert isinstance(feed, ArrayFeed)  # of batches, no share is drawn
            X, y, *others = split_off(feed.X, feed.y, share, self._parts.rng)
            self._validation = others[0], others[1]
            feed = self._step.feed(self, X, y, batch_size, shuffle=shuffle)
        begin_schedules(
            self._callbacks, self.epochs, feed.steps, resumed=found is not None
        )
        self._data = Pass(feed, self._parts.rng)
        self._faults = Faults(self, self._data)
        self._step.begin(self, feed, self._faults, self._figures.meter)
        if self._recorder.is_on and found is None:
            encode(self._state())  # says now what could not be kept
        return found

    # -- in checkpoints
    def _state(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        inside = bool(self.batch)  # an epoch
        state = self._parts.state_dict() | {
            "epochs": self.epochs,
            "done": self._done,
            "batch": self.batch,
            "reason": self._reason,
            "history": self.history.state_dict(),
        }
        if inside:
            figures = self._figures.state_dict()
            state["epoch"] = {"generator": self._data.begun, **figures}
        if inside and self._data.feed.in_parts:
            state["gradients"] = [p.grad for p in parameters_of(self.optimizer)]
        return state

    def _restore(self, found: Found) -> None:
        """Go on from a checkpoint."""
        state = found.state
        self._parts.load_state_dict(state)
        self.history.load_state_dict(state["history"])
        self._done, self.batch = state["done"], state["batch"]
        self.epoch = min(self._done + 1, self.epochs)
        self.history.resumed_from = self._done
        if self.batch:
            epoch = state["epoch"]
            self._data.resume(epoch["generator"], self.batch)
            self._figures.load_state_dict(epoch)
            gradients = state.get("gradients", [])
            for p, gradient in zip(
                parameters_of(self.optimizer), gradients, strict=bool(gradients)
            ):
                p.grad = gradient
        self._parts.load_generators(state)
        self._recorder.resume(found)
        self._faults.has_looked = True
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
        if found.has_ended(self.epochs):
            self._reason = found.state["reason"]
            self.history.stopped = self.history.stopped or "epochs"
        else:
            self.history.stopped = ""
