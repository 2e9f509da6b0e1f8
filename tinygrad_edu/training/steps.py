"""A step: where the loss of a batch and its gradient come from, here or elsewhere."""

from __future__ import annotations

import importlib
import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.metrics import Meter
from tinygrad_edu.training.faults import Faults
from tinygrad_edu.training.feed import Feed, feed_of, rows_of
from tinygrad_edu.training.history import Figures
from tinygrad_edu.training.moments import Training

__all__ = ["CompiledLocalStep", "LocalStep", "Loss", "Step", "number_of", "step_for"]


class Loss(Protocol):
    """The loss of a batch."""

    @property
    def batch(self) -> tuple[Any, Any]:
        """X and y, as far as they are here."""

    def backward(self) -> None:
        """Put its gradient into the parameters."""

    def add_to(self, figures: Figures) -> None:
        """Add it, and what is measured besides, to the figures of the epoch."""


class Step(Protocol):
    """What differs between a run here and one on the workers of a cluster.

    Attributes
    ----------
    rounding : str
        What rounds in another way than the engine; runs with another are others.
    """

    rounding: str

    def surroundings(self) -> AbstractContextManager[Any]:
        """Return what is to hold from before the first batch to after the last."""

    def feed(self, X: Any, y: Any, batch_size: int | None, *, shuffle: bool) -> Feed:
        """Return what cuts the data into batches, or refuse them."""

    def begin(self, feed: Any, faults: Faults, meter: Meter) -> None:
        """Get ready for the batches of a feed."""

    def loss(self, X: Any, y: Any) -> Loss:
        """Return the loss of a batch."""

    def speed(self) -> str:
        """Return what is to be told of an epoch's speed; maybe empty."""


def step_for(training: Training, client: Any, compiled: bool | str = False) -> Step:
    """Return what makes steps: here, or with a client, on the workers of its cluster.

    The one place where training looks up, and late: without a client, nobody asks for
    the engines of many machines.
    """
    if client is None:
        if not compiled:
            return LocalStep(training)
        return CompiledLocalStep(training, "numpy" if compiled is True else compiled)
    if compiled:
        raise ValueError(
            f"fit: compile={compiled!r} is for training here, without client="
        )
    cluster = importlib.import_module("tinygrad_edu.distributed.steps")
    step: Step = cluster.ClusterStep(training, client)
    return step


class LocalStep:
    """Losses and gradients from the graph that the model records.

    Parameters
    ----------
    training : Training
    """

    rounding = ""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._feed: Feed
        self._faults: Faults

    def surroundings(self) -> AbstractContextManager[Any]:
        """Return nothing in particular."""
        return nullcontext()

    def feed(self, X: Any, y: Any, batch_size: int | None, *, shuffle: bool) -> Feed:
        """Return what cuts the data into batches, or into the parts of one."""
        model, loss = self._training.model, self._training.loss
        chunks = model.independent_rows and getattr(loss, "mean_over_rows", False)
        X, y = rows_of(X) if y is not None else X, rows_of(y)
        return feed_of(X, y, batch_size, shuffle=shuffle, chunks=bool(chunks))

    def begin(self, feed: Any, faults: Faults, meter: Meter) -> None:
        """Get ready for the batches of a feed."""
        self._feed, self._faults = feed, faults

    def loss(self, X: Any, y: Any) -> _Loss:
        """Return the loss of a batch; of a part of all rows, its share."""
        model, loss = self._training.model, self._training.loss
        output = model(*X) if type(X) is tuple else model(X)
        if not self._faults.has_looked:
            self._faults.look(output, X, y)
        value = loss(output, y)
        rows = len(y[0] if type(y) is tuple else y)
        if self._feed.in_parts:
            value = value * (rows / self._feed.rows)
        number = number_of(value)
        if not math.isfinite(number):
            raise self._faults.not_finite(f"the loss is {number}", X, y)
        return _Loss(value, number, rows, output, (X, y))

    def speed(self) -> str:
        """Return nothing: the seconds tell."""
        return ""


class CompiledLocalStep(LocalStep):
    """Losses and gradients from a program; with NumPy, with the bits of the graph.

    Parameters
    ----------
    training : Training
    backend : {"numpy", "numba"}
    """

    def __init__(self, training: Training, backend: str) -> None:
        super().__init__(training)
        groups = training.optimizer.param_groups
        self._parameters = [p for group in groups for p in group["params"]]
        # late: who does not compile need not wait for it
        compiling = importlib.import_module("tinygrad_edu.compiling.steps")
        self._gradients = compiling.CompiledGradients(
            training.model, training.loss, self._parameters, backend
        )
        self.rounding = ""
        if backend != "numpy":
            version = importlib.import_module("importlib.metadata").version
            self.rounding = f"{backend} {version(backend)}"

    def loss(self, X: Any, y: Any) -> Any:
        """Return the loss of a batch; of the first, that of the graph."""
        X, y = _plain(X), _plain(y)
        rows = len(y[0] if type(y) is tuple else y)
        share = rows / self._feed.rows if self._feed.in_parts else 1
        if not self._faults.has_looked:
            self._gradients.trace(X, y, share)  # so that an error comes at once
            return super().loss(X, y)
        value, output, found = self._gradients(X, y, share)
        number = float(value)
        if not math.isfinite(number):
            raise self._faults.not_finite(f"the loss is {number}", X, y)
        return _Computed(number, rows, output, (X, y), self._parameters, found)


def _plain(x: Any) -> Any:
    """Return a batch as plain arrays: rows of a memory map are of another kind."""
    return tuple(map(np.asarray, x)) if type(x) is tuple else np.asarray(x)


class _Computed(NamedTuple):
    """A loss whose gradients are there already."""

    number: float
    rows: int
    output: Any
    batch: tuple[Any, Any]
    parameters: list[Tensor]
    gradients: list[Any]

    def backward(self) -> None:
        for p, g in zip(self.parameters, self.gradients, strict=True):
            if g is not None:
                p._grad = g if p._grad is None else np.add(p._grad, g, out=p._grad)

    def add_to(self, figures: Figures) -> None:
        figures.add(self.number, self.rows)
        if figures.metrics:
            figures.meter.add(self.output, self.batch[1], self.number)


class _Loss(NamedTuple):
    """A loss with the graph behind it."""

    value: Tensor
    number: float
    rows: int
    output: Any
    batch: tuple[Any, Any]

    def backward(self) -> None:
        self.value.backward()

    def add_to(self, figures: Figures) -> None:
        figures.add(self.number, self.rows)
        if figures.metrics:
            figures.meter.add(self.output, self.batch[1], self.number)


def number_of(loss: Any) -> float:
    """Return a loss as a number.

    Raises
    ------
    TypeError
        If it is no Tensor of a single one.
    """
    if type(loss) is Tensor and loss.size == 1:
        return float(loss.item())
    got = type(loss).__name__
    if type(loss) is Tensor:
        got = f"one of shape {loss.shape}"
    raise TypeError(
        "fit: the loss must return a Tensor of a single number, computed from the "
        f"output by te's or NumPy's functions, got {got}"
    )
