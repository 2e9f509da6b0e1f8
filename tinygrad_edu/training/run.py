"""A run of fit: the parts that it has, and the loop over epochs and batches.

The loop is that of the README: loss, zero_grad, backward, step. What stands around it
are the figures, the callbacks, and the checkpoints.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tinygrad_edu.metrics import Meter
from tinygrad_edu.randomness import RandomSource, generator
from tinygrad_edu.training.callbacks import check_monitored
from tinygrad_edu.training.checkpoints import Found
from tinygrad_edu.training.faults import Faults, trained
from tinygrad_edu.training.feed import (
    ArrayFeed,
    Pass,
    split_off,
    validation_facts,
    validation_pair,
    validation_share,
)
from tinygrad_edu.training.history import Figures, History
from tinygrad_edu.training.inference import evaluate
from tinygrad_edu.training.moments import (
    Training,
    begin_schedules,
    by_moment,
    checked,
    inner,
)
from tinygrad_edu.training.progress import Progress, warn
from tinygrad_edu.training.recorder import Parts, Recorder
from tinygrad_edu.training.steps import Loss, Step

__all__ = ["Interrupt", "Run", "interruptible"]


class Run:
    """A run of :func:`tinygrad_edu.fit`.

    Parameters
    ----------
    training : Training
        Where it is; callbacks are given no more.
    step : Step
        Where losses come from.
    interrupt : Interrupt
        That ends it after a step.
    metrics, callbacks, progress, checkpoint, rng
        As for ``fit``.
    """

    def __init__(
        self,
        training: Training,
        step: Step,
        interrupt: Interrupt,
        *,
        metrics: Any,
        callbacks: Iterable[Any],
        progress: bool | str,
        checkpoint: str | os.PathLike[str] | None,
        rng: RandomSource,
    ) -> None:
        self.training, self._step, self._interrupt = training, step, interrupt
        self._figures = Figures(Meter(metrics, training.loss, who="fit"))
        self._callbacks = checked(callbacks, training.optimizer)
        self._calls = by_moment(self._callbacks)
        self._rng = generator(rng)
        self._progress = Progress(progress, training.epochs)
        self._recorder: Recorder | None = None
        if checkpoint is not None:
            parts = Parts(training, self._callbacks, self._rng, rng is not None)
            self._recorder = Recorder(checkpoint, parts)
        self._has_moved = False
        self._validation: tuple[Any, Any] | None = None
        self._data: Pass
        self._faults: Faults

    # -- from the first batch to the last
    def train(
        self, X: Any, y: Any, batch_size: int | None, shuffle: bool, validation: Any
    ) -> History:
        """Train, or go on training, and return the history."""
        with self._recorder.alone() if self._recorder is not None else nullcontext():
            return self._train(X, y, batch_size, shuffle, validation)

    def _train(
        self, X: Any, y: Any, batch_size: int | None, shuffle: bool, validation: Any
    ) -> History:
        found = self._prepare(X, y, batch_size, shuffle, validation)
        if found is not None:
            self._resume(found)
            if found.has_ended(self.training.epochs):
                return self.training.history
        with self._ending():
            self._go_through_epochs()
        return self.training.history

    @property
    def _done(self) -> int:
        """How many epochs have ended."""
        return len(self.training.history.epochs)

    def _go_through_epochs(self) -> None:
        """Learn until all epochs are done, or somebody stops it."""
        while self._done < self.training.epochs and not self._stops():
            self._begin_epoch()
            if self._go_through_batches():
                self._end_epoch()
            self._say_if_interrupted()
            self._record()
        self._say_if_interrupted()  # before the first, maybe

    def _go_through_batches(self) -> bool:
        """Learn from the batches of an epoch; return whether that were all."""
        training, recorder, interrupt = self.training, self._recorder, self._interrupt
        callbacks, shows = self._calls.every_batch, self._progress.shows_batches
        for X, y in self._data:
            self._learn(X, y)
            training.batch += 1
            for callback in callbacks:
                callback(training)
            if shows:
                self._progress.batch(training.epoch, self._figures.loss)
            if interrupt.came or training._reason:
                # at the last one, maybe; if nobody knows, the next would have told
                return training.batch == self._data.feed.steps
            if recorder is not None and recorder.is_due:
                self._record()
        return True

    def _learn(self, X: Any, y: Any) -> None:
        """Make a step; or, of a part of a full batch, add up the gradient for one."""
        training, feed = self.training, self._data.feed
        try:
            loss = self._step.loss(X, y)
            if not feed.in_parts or feed.begins_step(training.batch):
                training.optimizer.zero_grad()
            loss.backward()
            if not feed.in_parts or feed.ends_step(training.batch):
                self._move(loss)
            loss.add_to(self._figures)
        except Exception as error:
            self._faults.say_where(error)
            raise
        if self._faults.remembers:
            self._faults.remember(self._figures)

    def _move(self, loss: Loss) -> None:
        """Move the parameters, unless a gradient is not finite."""
        training, optimizer = self.training, self.training.optimizer
        self._faults.check_step(*loss.batch)
        for callback in self._calls.before_step:
            callback(training)
        self._figures.learning_rate = optimizer.param_groups[0]["lr"]
        if not self._has_moved:  # without gradients, the first look has told
            self._has_moved = optimizer.has_gradients()
        if self._has_moved:
            optimizer.step()

    def _begin_epoch(self) -> None:
        """Go through the data anew, or from where a checkpoint has left them."""
        self.training.epoch = self._done + 1
        if not self.training.batch:
            self._data.begin()
        self._figures.start_clock()

    def _end_epoch(self) -> None:
        """Measure, say what came of it, and call back."""
        training, history = self.training, self.training.history
        if not training.batch:
            raise ValueError("fit: there is no batch in the epoch")
        seconds = self._figures.seconds()
        self._faults.check_parameters()
        figures = self._figures.result()
        self._figures.clear()
        figures |= self._validated()
        figures["learning_rate"] = float(self._figures.learning_rate)
        figures["seconds"] = seconds
        history.append(training.epoch, figures)
        steps, training.batch = training.batch, 0
        self._progress.epoch(training.epoch, figures, steps, self._step.speed())
        self._faults.look_at_growth(figures["loss"])
        for callback in self._calls.every_epoch:
            callback(training)
        if not training._reason and self._done == training.epochs:
            history.stopped = "epochs"

    def _validated(self) -> dict[str, float]:
        """Return the figures of the validation."""
        if self._validation is None:
            return {}
        training, functions = self.training, self._figures.meter.functions
        metrics = {name: functions[name] for name in self._figures.metrics}
        try:
            measured = evaluate(
                training.model, *self._validation, loss=training.loss, metrics=metrics
            )
        except Exception as error:
            error.add_note("in validation= of te.fit")
            raise
        return {f"validation_{name}": x for name, x in measured.items()}

    # -- how it ends
    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Close the bar, whatever happens, and say why training ended."""
        training, feed = self.training, self._data.feed
        self._progress.begin(self._done, training.batch, feed.steps, feed.in_parts)
        try:
            yield
        except KeyboardInterrupt:
            if self._interrupt.came:  # Ctrl-C for the second time
                raise
            self._interrupt.came = True  # raised by a callback or the like
            training.history.stopped = "interrupted"
        finally:
            self._progress.end()
            if self._recorder is not None:
                self._recorder.leave()
        if self._recorder is not None:
            self._recorder.say_what_is_missing()

    def _say_if_interrupted(self) -> None:
        if self._interrupt.came and not self.training.history.stopped:
            self.training.history.stopped = "interrupted"

    def _stops(self) -> bool:
        return self._interrupt.came or bool(self.training._reason)

    # -- before the first batch
    def _prepare(
        self, X: Any, y: Any, batch_size: int | None, shuffle: bool, validation: Any
    ) -> Found | None:
        """Cut the data; return the checkpoint to go on from, if there is one."""
        training, recorder = self.training, self._recorder
        feed = self._step.feed(X, y, batch_size, shuffle=shuffle)
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
        if self._step.rounding:
            facts["compiled by"] = self._step.rounding
        found = None if recorder is None else recorder.newest(facts, training.epochs)
        check_monitored(map(inner, self._callbacks), validation)
        if recorder is not None:
            recorder.begin(found)
        if share is not None:
            assert isinstance(feed, ArrayFeed)  # of batches, no share is drawn
            X, y, *pair = split_off(feed.X, feed.y, share, self._rng)
            self._validation = pair[0], pair[1]
            feed = self._step.feed(X, y, batch_size, shuffle=shuffle)
        is_new = found is None
        begin_schedules(
            self._callbacks, training.epochs, feed.steps, resumed=not is_new
        )
        self._data = Pass(feed, self._rng)
        self._faults = Faults(training, self._data)
        self._step.begin(feed, self._faults, self._figures.meter)
        if recorder is not None and is_new:
            recorder.check(self._state())
        return found

    # -- in checkpoints
    def _record(self) -> None:
        """Write a checkpoint, if there is a folder."""
        if self._recorder is not None:
            self._faults.check_parameters()
            self._figures.leave_out(self._recorder.write(self._state))

    def _state(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on, besides its parts."""
        training = self.training
        state = {
            "epochs": training.epochs,
            "done": self._done,
            "batch": training.batch,
            "reason": training._reason,
            "history": training.history.state_dict(),
        }
        if training.batch:  # inside an epoch
            figures = self._figures.state_dict()
            state["epoch"] = {"generator": self._data.begun, **figures}
            if self._data.feed.in_parts:
                own = trained(training.model, training.optimizer)
                state["gradients"] = [p.grad for _, p in own]
        return state

    def _resume(self, found: Found) -> None:
        """Go on from a checkpoint, or find that its run has ended."""
        training, state, recorder = self.training, found.state, self._recorder
        assert recorder is not None
        recorder.load(found)
        training.history.load_state_dict(state["history"])
        training.history.resumed_from = self._done
        training.batch = state["batch"]
        training.epoch = min(self._done + 1, training.epochs)
        if training.batch:
            epoch, gradients = state["epoch"], state.get("gradients", [])
            self._data.resume(epoch["generator"], training.batch)
            self._figures.load_state_dict(epoch)
            own = trained(training.model, training.optimizer)
            for (_, p), gradient in zip(own, gradients, strict=bool(gradients)):
                p.grad = gradient
        recorder.load_generators(found)
        self._faults.has_looked = True
        self._end_or_go_on(found)
        self._progress.resumed(
            self._done,
            training.batch,
            training.history.stopped,
            found.path.parent,
        )

    def _end_or_go_on(self, found: Found) -> None:
        """Decide whether the run of a checkpoint has ended."""
        training, history = self.training, self.training.history
        if self._done > training.epochs:
            warn(
                f"fit: {found.path} is of a run of {self._done} epochs, more than "
                f"epochs={training.epochs}: the model and the history are those after "
                f"{self._done}",
                UserWarning,
            )
        if found.has_ended(training.epochs):
            training._reason = found.state["reason"]
            history.stopped = history.stopped or "epochs"
        else:
            history.stopped = ""


class Interrupt:
    """Whether Ctrl-C was pressed in a block of :func:`interruptible`."""

    came = False


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Have the first Ctrl-C only noted, so that no step is left half made.

    The second raises ``KeyboardInterrupt``, as both do where others handle signals.
    """
    usual, interrupt = signal.default_int_handler, Interrupt()
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not usual
    ):
        yield interrupt
        return

    def first(number: int, frame: Any) -> None:
        interrupt.came = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, first)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, usual)
