"""A step on the workers of a cluster: what Dask's clients add to training."""

from __future__ import annotations

import math
import sys
from contextlib import AbstractContextManager
from typing import Any

from tinygrad_edu import nn
from tinygrad_edu.distributed.rows import RowNumbers, first, is_dask
from tinygrad_edu.distributed.workers import Answer, Workers
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.metrics import Meter
from tinygrad_edu.training.faults import Faults, trained
from tinygrad_edu.training.feed import rows_of
from tinygrad_edu.training.history import Figures
from tinygrad_edu.training.moments import Training
from tinygrad_edu.training.recorder import name_of, others
from tinygrad_edu.training.steps import number_of

__all__ = ["ClusterStep"]


class ClusterStep:
    """Losses and gradients from the workers of a cluster; see ``training.steps``.

    Parameters
    ----------
    training : Training
    client : dask.distributed.Client

    Raises
    ------
    TypeError
        If it is none, or one that cannot be waited for.
    ConnectionError
        If it is closed.
    """

    rounding = ""

    def __init__(self, training: Training, client: Any) -> None:
        _check_client(client)
        self._training, self._client = training, client
        self._feed: RowNumbers
        self._faults: Faults
        self._meter: Meter
        self._workers: Workers | None = None  # from the first batch on

    def surroundings(self) -> AbstractContextManager[Any]:
        """Have dask arrays that are read here computed by the client."""
        context: AbstractContextManager[Any] = self._client.as_current()
        return context

    def feed(
        self, X: Any, y: Any, batch_size: int | None, *, shuffle: bool
    ) -> RowNumbers:
        """Return what makes batches of the numbers of rows; refuse what has none."""
        _check_data(self._training.model, self._training.loss, X, y)
        return RowNumbers(rows_of(X), rows_of(y), batch_size, shuffle=shuffle)

    def begin(self, feed: RowNumbers, faults: Faults, meter: Meter) -> None:
        """Get ready for the batches of a feed."""
        self._feed, self._faults, self._meter = feed, faults, meter

    def loss(self, rows: Any, _: Any) -> _Loss:
        """Return the loss of the rows of these numbers, with its gradient."""
        if self._workers is None:
            self._workers = self._made_workers()
        reached = [] if self._faults.has_looked else self._reached(first(rows))
        return _Loss(self, self._workers.learn(rows), reached)

    def deliver(self, answer: Answer, reached: list[tuple[str, Tensor]]) -> None:
        """Put a gradient into the parameters; refuse one that is not finite.

        ``reached`` are parameters that have one here.
        """
        assert self._workers is not None
        self._workers.deliver(answer)
        _check_reached(reached)
        for leaf in answer.leaves:
            if math.isfinite(leaf.loss) and leaf.is_finite:
                continue
            X, y = self._feed.read(leaf.rows)
            if not math.isfinite(leaf.loss):
                what = f"the loss is {leaf.loss}"
                raise self._faults.not_finite(what, X, y, leaf.rows)
            self._faults.check_gradients(X, y, leaf.rows)

    def speed(self) -> str:
        """Return rows per second, and the share of time lost to the way."""
        return "" if self._workers is None else self._workers.speed()

    def _made_workers(self) -> Workers:
        training = self._training
        beside = others(training.model, training.optimizer)
        parameters = [*training.model.parameters(), *beside]
        model, loss = training.model, training.loss
        return Workers(self._client, self._feed, model, loss, self._meter, parameters)

    def _reached(self, rows: Any) -> list[tuple[str, Tensor]]:
        """Look at some rows here; return the parameters that have a gradient."""
        model, optimizer = self._training.model, self._training.optimizer
        X, y = self._feed.read(rows)
        output = model(*X) if type(X) is tuple else model(X)
        self._faults.look(output, X, y)
        loss = self._training.loss(output, y)
        if math.isfinite(number_of(loss)):
            loss.backward()
        return [
            (name, p) for name, p in trained(model, optimizer) if p.grad is not None
        ]


class _Loss:
    """What the workers have answered."""

    batch = None, None  # the rows of a whole one are not here

    def __init__(
        self, step: ClusterStep, answer: Answer, reached: list[tuple[str, Tensor]]
    ) -> None:
        self._step, self._answer, self._reached = step, answer, reached

    def backward(self) -> None:
        self._step.deliver(self._answer, self._reached)

    def add_to(self, figures: Figures) -> None:
        for leaf in self._answer.leaves:
            figures.add(leaf.loss, leaf.meter["rows"])
            if figures.metrics:
                figures.meter.join(leaf.meter)


# ---------------------------------------------------------------------- what is refused


def _check_data(model: nn.Layer, loss: Any, X: Any, y: Any) -> None:
    """Refuse what cannot be learned on the workers of a cluster, and say why.

    Raises
    ------
    TypeError
        If the data are no arrays.
    ValueError
        If rows of the output depend on other rows, or the loss is no mean over rows.
    """
    if y is None:
        raise TypeError(
            "fit: with client=, X and y must be arrays: batches of your own are made "
            "on this machine"
        )
    for name, given in (("X", X), ("y", y)):
        if is_dask(given) and hasattr(given, "iloc"):
            raise TypeError(
                f"fit: {name} is a {type(given).__name__}; pass "
                f"{name}.to_dask_array(lengths=True)"
            )
    if not model.independent_rows:
        raise ValueError(_dependent(model))
    if not getattr(loss, "mean_over_rows", False):
        raise ValueError(
            "fit: with client=, the loss must be a mean over rows; "
            f"{name_of(loss)} does not say so. Those of te.nn do; of your own, if it "
            "is a plain mean, write loss.mean_over_rows = True"
        )


def _check_client(client: Any) -> None:
    """Refuse what is no client of a cluster, or one that cannot be waited for.

    Raises
    ------
    TypeError
    ConnectionError
        If the client is closed.
    """
    distributed = sys.modules.get("distributed")  # where every client comes from
    if distributed is None or not isinstance(client, distributed.Client):
        raise TypeError(
            "fit: client must be a dask.distributed.Client, got "
            f"{type(client).__name__}; write client=dask.distributed.Client(cluster). "
            "It needs pip install 'tinygrad_edu[distributed]'"
        )
    if client.asynchronous:
        raise TypeError(
            "fit: the client is asynchronous, and its answers must be waited for; "
            "write client=dask.distributed.Client(cluster), without asynchronous=True"
        )
    if client.status == "closed":
        raise ConnectionError(
            "fit: the client is closed; make another, on a cluster that runs"
        )


def _check_reached(moved: list[tuple[str, Tensor]]) -> None:
    """Refuse parameters that have a gradient here, and none on the workers.

    Raises
    ------
    ValueError
    """
    for name, p in moved:
        if p.grad is None:
            raise ValueError(
                f"fit: with client=, the workers do not move the parameter {name}: the "
                "loss or a layer takes it from a module, and each worker has a module "
                "of its own. Make it an attribute of a layer"
            )


def _dependent(model: nn.Layer) -> str:
    """Say which layers let rows depend on each other, or draw."""
    wrong = [
        f"{name} ({type(layer).__name__})"
        for name, layer in [("the model", model), *model.named_layers()]
        if not layer.independent_rows
        and all(inner.independent_rows for _, inner in layer.named_layers())
    ]
    return (
        "fit: with client=, each worker learns from rows of its own, which makes the "
        "same step only if no row depends on another and a call draws nothing. Not so "
        f"in {', '.join(wrong)}: batch normalisation takes means over the whole batch, "
        "dropout draws masks call by call. Use te.nn.LayerNorm, weight decay, or no "
        "client. A layer of your own says independent_rows = True if it is true"
    )
