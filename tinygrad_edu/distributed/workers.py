"""Learning on the workers of a Dask cluster: where rows lie, and what a step asks.

Rows stay where they are. In each step the parameters go out, every worker answers with
the gradient of its rows, and the sum moves the parameters here. What a worker is asked
depends on nothing that it did before: if it is lost, another one is asked the same.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.distributed import shards
from tinygrad_edu.distributed.rows import RowNumbers, columns, is_dask, read_there
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.training.progress import warn

__all__ = ["Answer", "Leaf", "Workers"]

PIECES = 4  # for each worker, so that those of a lost one can be shared out
LOOK = 5.0  # seconds between two looks at which workers there are
PATIENCE = 30.0  # seconds without a worker until it is said
TRIES = 20  # in a row without an answer


class _Piece:
    """Neighbouring rows that lie on one worker."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self.address = ""
        self.held: list[Any] = []  # futures; None for what is read there

    @property
    def is_lost(self) -> bool:
        """Whether it is on no worker yet, or no more."""
        gone = (f is not None and f.status in ("cancelled", "lost") for f in self.held)
        return not self.address or any(gone)


class Leaf(NamedTuple):
    """What was learned from some rows."""

    rows: Any  # which
    loss: float  # their mean
    meter: dict[str, Any]
    is_finite: bool  # the gradient


class Answer(NamedTuple):
    """What was learned from a batch."""

    leaves: list[Leaf]  # in the order of the rows
    gradient: np.ndarray  # of all parameters, flat
    used: list[bool]  # which of them have one


class Workers:
    """The workers of a cluster, with the rows that they learn from.

    Parameters
    ----------
    client : dask.distributed.Client
    rows : RowNumbers
    model : Layer
        In training mode.
    loss : callable
    meter : Meter
        What is measured besides.
    parameters : list of Tensor
        Those of the model, and what else the optimiser moves.
    """

    def __init__(
        self,
        client: Any,
        rows: RowNumbers,
        model: nn.Layer,
        loss: Any,
        meter: Any,
        parameters: list[Tensor],
    ) -> None:
        self._client, self._leaf, self._count = client, rows.leaf, rows.rows
        self._model, self._parameters = model, parameters
        self._columns = [*columns(rows.X), *columns(rows.y)]
        sources = [read_there(*column) for column in self._columns]
        self._is_read = [source is not None for source in sources]
        several = [type(x[:1]) is tuple for x in (rows.X, rows.y)]
        layout = (len(columns(rows.X)), *several)
        whole = (model, loss, meter, self._parameters, sources, layout)
        self._payload = _pickled(whole)
        self._sent: Any = None  # the future of it
        self._problem: Exception | None = None  # the last one on the way to the workers
        self._looked = -math.inf
        self._begin()

    def _begin(self) -> None:
        """Cut the rows into pieces, of as many leaves each as a power of two."""
        workers = len(self._addresses())
        leaves = -(-self._count // self._leaf)
        each = 1
        while leaves > 2 * each * PIECES * workers:
            each *= 2
        self._step = each * self._leaf  # rows
        self._pieces = [
            _Piece(start, min(start + self._step, self._count))
            for start in range(0, self._count, self._step)
        ]
        self._clear()
        if len(self._pieces) == 1 and workers > 1:
            warn(
                f"fit: one of the {workers} workers does all the work: {self._count:,} "
                f"rows are learned from {self._leaf:,} at a time, or what a batch has "
                "of them. Larger batches are divided",
                UserWarning,
            )

    def _clear(self) -> None:
        self._rows, self._seconds, self._computing = 0, 0.0, 0.0

    def speed(self) -> str:
        """Return rows per second and the share of time not spent computing, since last.

        Examples are "31,000 rows/s, 12% communicating".
        """
        if not self._seconds:
            return ""
        share = max(0.0, 1 - self._computing / self._seconds)
        told = f"{self._rows / self._seconds:,.0f} rows/s, {share:.0%} communicating"
        self._clear()
        return told

    # -- a step
    def learn(self, rows: Any) -> Answer:
        """Return the loss and the gradient of a batch.

        Parameters
        ----------
        rows : slice or ndarray of int
            Which the batch consists of.

        Returns
        -------
        Answer

        Raises
        ------
        ConnectionError
            If the scheduler is lost.
        RuntimeError
            If workers are lost again and again.
        """
        try:
            return self._learn(rows)
        except Exception as error:
            if self._client.status not in ("running", "connecting"):
                raise self._lost() from error
            raise

    def _learn(self, rows: Any) -> Answer:
        begun = time.perf_counter()
        cut = self._cut(rows)
        count = sum(_length(numbers) for _, numbers in cut)
        where = dict(cut)
        waiting = self._by_piece(cut)
        nodes: list[shards.Node] = []
        found: dict[int, Leaf] = {}
        used = np.zeros(len(self._parameters), bool)
        tries = 0
        while waiting:
            answers = self._answers(waiting, count)
            tries = 0 if answers else tries + 1
            if tries > TRIES:
                raise RuntimeError(
                    f"fit: no worker answered in {tries} attempts. See the workers' "
                    "logs; too little memory is the usual reason"
                ) from self._problem
            for answer in answers:
                nodes += answer.nodes
                used |= answer.used
                for leaf, loss, meter, is_finite in answer.leaves:
                    found[leaf] = Leaf(where[leaf], loss, meter, is_finite)
                for start in answer.parts:
                    del waiting[start]
            self._computing += max((a.seconds for a in answers), default=0.0)
        nodes.sort(key=lambda node: node.number << node.level)
        gradient = shards.total(nodes)
        self._rows += count
        self._seconds += time.perf_counter() - begun
        leaves = [found[leaf] for leaf in sorted(found)]
        return Answer(leaves, gradient, used.tolist())

    def deliver(self, answer: Answer) -> None:
        """Hand a gradient out to the parameters."""
        start = 0
        for p, has in zip(self._parameters, answer.used, strict=True):
            part = answer.gradient[start : start + p.size]
            p.grad = part.reshape(p.shape) if has else None
            start += p.size

    def _cut(self, rows: Any) -> list[tuple[int, Any]]:
        """Return leaf by leaf which rows of it are in the batch."""
        size = self._leaf
        if isinstance(rows, slice):
            stop = min(rows.stop, self._count)
            return [
                (i, slice(max(rows.start, i * size), min(stop, (i + 1) * size)))
                for i in range(rows.start // size, -(-stop // size))
            ]
        rows = np.sort(rows)
        leaves, places = np.unique(rows // size, return_index=True)
        return list(zip(leaves.tolist(), np.split(rows, places[1:]), strict=True))

    def _by_piece(self, cut: list[tuple[int, Any]]) -> dict[int, list[tuple[int, Any]]]:
        """Return the leaves of each piece, by its first row."""
        found: dict[int, list[tuple[int, Any]]] = {}
        for leaf, numbers in cut:
            start = leaf * self._leaf // self._step * self._step
            found.setdefault(start, []).append((leaf, numbers))
        return found

    def _answers(self, waiting: dict[int, Any], count: int) -> list[shards.Learned]:
        """Ask for the gradients of pieces; answers that were lost are left out.

        Raises
        ------
        Exception
            What a worker raised.
        """
        try:
            asked = self._ask(waiting, count)
            answers: list[shards.Learned] = self._client.gather(asked, errors="skip")
        except _transport() as error:
            self._problem = error
            asked, answers = [], []
        for future in asked:
            if future.status == "error":
                future.result()
        if not answers or len(answers) < len(asked):
            self._wait_for_scheduler()
            time.sleep(0.1)  # until the scheduler, too, knows who is lost
            self._looked = -math.inf
        return answers

    def _ask(self, waiting: dict[int, Any], count: int) -> list[Any]:
        """Send the parameters, and a request to every worker; return the futures."""
        self._place()
        arrays = [p.data for p in self._parameters]
        arrays += [x for _, x in self._model.named_buffers()]
        # Not scattered: with broadcast=True, a worker that dies on the way has the
        # scheduler try for ever, and without, it takes another round trip.
        state = shards.packed(arrays)
        tracked = [p.requires_grad for p in self._parameters]
        parts: dict[str, list[Any]] = {}
        for piece in self._pieces:
            if piece.start in waiting:
                part = (piece.start, piece.held, waiting[piece.start])
                parts.setdefault(piece.address, []).append(part)
        options = {"allow_other_workers": True, "pure": False}
        with _large_requests():
            return [
                self._client.submit(
                    shards.learn,
                    self._sent,
                    state,
                    tracked,
                    count,
                    *some,
                    workers=[address],
                    **options,
                )
                for address, some in parts.items()
            ]

    # -- who has which rows
    def _place(self) -> None:
        """See to it that all rows, and the model, are on workers that there are."""
        client = self._client
        lost = any(piece.is_lost for piece in self._pieces)
        if lost or time.monotonic() - self._looked > LOOK:
            self._deal(self._addresses())
            self._looked = time.monotonic()
        if self._sent is None or self._sent.status != "finished":
            self._sent = client.scatter(self._payload, hash=False)

    def _deal(self, addresses: list[str]) -> None:
        """Share the pieces out; those that are on a worker stay, if they are not many.

        Neighbours go to the same worker, which then answers with one sum.
        """
        most = -(-len(self._pieces) // len(addresses))
        load = dict.fromkeys(addresses, 0)
        moving = []
        for piece in self._pieces:
            if not piece.is_lost and load.get(piece.address, most) < most:
                load[piece.address] += 1
            else:
                moving.append(piece)
        for piece in moving:
            address = next(a for a in addresses if load[a] < most)
            load[address] += 1
            self._move(piece, address)

    def _move(self, piece: _Piece, address: str) -> None:
        """Bring the rows of a piece to a worker."""
        client, piece.address = self._client, ""
        held: list[Any] = []
        for (whole, numbers), is_read in zip(self._columns, self._is_read, strict=True):
            rows: Any = slice(piece.start, piece.stop)
            if numbers is not None:
                rows = numbers[rows]
            if is_read:
                held.append(None)
            elif is_dask(whole):
                there = {"workers": [address], "allow_other_workers": True}
                held.append(client.compute(whole[rows], **there))
            else:
                part = client.scatter([whole[rows]], workers=[address], hash=False)
                held += part
        piece.held, piece.address = held, address

    def _addresses(self) -> list[str]:
        """Return the workers that there are; wait for the first."""
        begun, told = time.monotonic(), False
        while True:
            self._wait_for_scheduler()
            addresses = sorted(self._client.nthreads())
            if addresses:
                return addresses
            if not told and time.monotonic() - begun > PATIENCE:
                told = True
                warn(
                    "fit: the cluster has no worker; waiting for one. If there were "
                    "some, their logs say why they ended",
                    UserWarning,
                )
            time.sleep(0.1)

    def _wait_for_scheduler(self) -> None:
        """Let the client connect again; raise an error if it has given up."""
        while self._client.status == "connecting":
            time.sleep(0.1)
        if self._client.status != "running":
            raise self._lost()

    def _lost(self) -> ConnectionError:
        return ConnectionError(
            "fit: the scheduler of client= does not answer any more. The model is as "
            "after the last step. Make a new cluster and a new client, and call fit "
            "again: with checkpoint=, it goes on from the last one"
        )


def _large_requests() -> AbstractContextManager[Any]:
    """Have Dask not warn of requests of more than 10 MB: parameters must go out."""
    import dask

    key = "distributed.admin.large-graph-warning-threshold"
    context: AbstractContextManager[Any] = dask.config.set({key: "1 TB"})
    return context


def _transport() -> tuple[type[Exception], ...]:
    """Return what happens here when a worker is lost, or the way to the scheduler.

    A KeyError, if the scheduler has noticed before we have.
    """
    from concurrent.futures import CancelledError  # here, so that te imports quickly

    return OSError, KeyError, CancelledError


def _length(rows: Any) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _pickled(whole: Any) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(whole))
    except Exception as error:
        error.add_note(
            "in te.fit with client=: model, loss, metrics, and rows that are no arrays "
            "must be such as pickle can send to the workers"
        )
        raise
