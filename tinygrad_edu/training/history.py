"""What is measured: in the epoch under way, Figures; in those that ended, History."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import plots
from tinygrad_edu.engine.interrupts import at_once
from tinygrad_edu.files import csv_text, written_atomically
from tinygrad_edu.metrics import Meter

if TYPE_CHECKING:
    import os

    from matplotlib.axes import Axes

__all__ = ["Figures", "History"]

_SHOWN = 3  # epochs at either end, in the repr
_NO_METRICS = {"loss", "validation_loss", "learning_rate", "seconds"}


class History:
    """The figures of a training run, epoch by epoch.

    ``history["loss"]`` is a list with one number for each epoch.

    Attributes
    ----------
    epochs : list of int
        Their numbers, from 1.
    values : dict of str to list of float
        "loss", "validation_loss", metrics by their names, the same of the validation
        data as "validation_accuracy" and so on, "learning_rate", and "seconds", how
        long the epoch's learning took, in s: without validation, checkpoints and what
        callbacks do at its end. nan where something was not measured.
    resumed_from : int or None
        The epoch up to which the figures come from a checkpoint.
    stopped : str
        Why training ended, such as "epochs"; empty while it goes on.

    Notes
    -----
    Two histories are equal if their epochs and figures are, all but the seconds.

    Examples
    --------
    >>> history = History()
    >>> history.append(1, {"loss": 0.7, "accuracy": 0.5})
    >>> history.append(2, {"loss": 0.4, "accuracy": 0.875})
    >>> history["loss"]
    [0.7, 0.4]
    >>> history
    History of 2 epochs
    epoch  loss  accuracy
        1   0.7       0.5
        2   0.4     0.875
    >>> copy = History()
    >>> copy.load_state_dict(history.state_dict())
    >>> copy == history
    True
    """

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.values: dict[str, list[float]] = {}
        self.resumed_from: int | None = None
        self.stopped: str = ""

    def append(self, epoch: int, figures: Mapping[str, Any]) -> None:
        """Add the figures of an epoch.

        Parameters
        ----------
        epoch : int
            Its number, greater than the last one.
        figures : mapping of str to float
            By name, in their own units. What earlier epochs have and this one lacks is
            nan, and the other way round.

        Raises
        ------
        ValueError
            If the epoch does not come after the last one.
        TypeError
            If a figure is no single number.
        """
        last = self.epochs[-1] if self.epochs else 0
        if epoch <= last:
            raise ValueError(
                f"History.append: epoch {epoch} does not come after epoch {last}"
            )
        numbers = {name: _number(name, x) for name, x in figures.items()}
        for name in numbers:
            self.values.setdefault(name, [math.nan] * len(self.epochs))
        columns: tuple[list[Any], ...] = self.epochs, *self.values.values()
        last_ones = int(epoch), *(numbers.get(name, math.nan) for name in self.values)
        at_once(map(list.append, columns, last_ones))

    def __getitem__(self, name: str) -> list[float]:
        try:
            return self.values[name]
        except KeyError:
            known = ", ".join(self.values) or "nothing yet"
            raise KeyError(f"History has no {name!r}; it has {known}") from None

    def __contains__(self, name: object) -> bool:
        return name in self.values

    __iter__ = None  # else Python would try history[0], history[1], ...

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        mine, others = (
            {name: x for name, x in h.values.items() if name != "seconds"}
            for h in (self, other)
        )
        return (
            self.epochs == other.epochs
            and mine.keys() == others.keys()
            and all(
                np.array_equal(x, others[name], equal_nan=True)
                for name, x in mine.items()
            )
        )

    # -- saving and loading
    def state_dict(self) -> dict[str, Any]:
        """Return all of it as lists, numbers and strings, for a checkpoint.

        What is not finite is a string, "nan" or "inf": strict JSON has no such numbers.
        """
        return {
            "epochs": list(self.epochs),
            "values": {name: [*map(_plain, x)] for name, x in self.values.items()},
            "resumed_from": self.resumed_from,
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take on what :meth:`state_dict` returned.

        Parameters
        ----------
        state : mapping

        Raises
        ------
        ValueError
            If something is missing, or not every epoch has every figure. Then nothing
            is changed.
        """
        missing = [name for name in self.state_dict() if name not in state]
        if missing:
            raise ValueError(f"History.load_state_dict: missing {', '.join(missing)}")
        epochs = [int(epoch) for epoch in state["epochs"]]
        values = {name: [*map(float, x)] for name, x in state["values"].items()}
        for name, column in values.items():
            if len(column) != len(epochs):
                raise ValueError(
                    f"History.load_state_dict: {len(epochs)} epochs but {len(column)} "
                    f"values of {name}"
                )
        self.epochs, self.values = epochs, values
        self.resumed_from, self.stopped = state["resumed_from"], state["stopped"]

    # -- looking at it
    def plot(self, *, log: bool = False, ax: Axes | None = None) -> Axes:
        """Draw the learning curves, with the metrics in a panel below.

        Parameters
        ----------
        log : bool, default False
            Draw the losses on a logarithmic scale. They must then be positive.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
            Those with the losses.

        Raises
        ------
        ValueError
            If there is no loss yet.

        Examples
        --------
        >>> history = History()
        >>> history.append(1, {"loss": 0.7, "validation_loss": 0.8})
        >>> history.plot().get_ylabel()
        'loss'
        """
        losses = {
            "training": self.values.get("loss"),
            "validation": self.values.get("validation_loss"),
        }
        metrics = {n: x for n, x in self.values.items() if n not in _NO_METRICS}
        return plots.learning_curves(
            {name: x for name, x in losses.items() if x},
            metrics=metrics,
            epochs=self.epochs,
            ax=ax,
            log=log,
        )

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a line for each epoch, with a header; return the path.

        Parameters
        ----------
        path : str or path
            Whatever stands there is replaced; folders on the way are made.

        Returns
        -------
        Path

        Examples
        --------
        >>> history = History()
        >>> history.append(1, {"loss": 0.7})
        >>> path = history.to_csv(getfixture("tmp_path") / "history.csv")
        >>> print(path.read_text("utf-8"), end="")
        epoch,loss
        1,0.7
        """
        with written_atomically(path) as file:
            rows = [["epoch", *self.values], *self._rows()]
            file.write(csv_text(rows).encode("utf-8"))
        return Path(path)

    def _rows(self) -> list[list[Any]]:
        columns = (self.epochs, *self.values.values())
        return [list(row) for row in zip(*columns, strict=True)]

    def __repr__(self) -> str:
        count = len(self.epochs)
        facts = [f"{count} epoch{'s' * (count != 1)}"]
        if self.resumed_from is not None:
            facts.append(f"resumed from epoch {self.resumed_from}")
        if self.stopped:
            facts.append(f"stopped: {self.stopped}")
        head = f"History of {', '.join(facts)}"
        if not self.epochs:
            return head
        table = [["epoch", *self.values]]
        for i, row in enumerate(self._rows()):
            if _SHOWN <= i < count - _SHOWN and count > 2 * _SHOWN + 1:
                table += [["..."] + [""] * len(self.values)] if i == _SHOWN else []
            else:
                table.append([str(row[0]), *(f"{x:.4g}" for x in row[1:])])
        wide = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(f"{x:>{n}}" for x, n in zip(row, wide, strict=True)).rstrip()
            for row in table
        ]
        return "\n".join([head, *lines])


class Figures:
    """What is added up in the epoch under way.

    Parameters
    ----------
    meter : Meter
        Of the loss and the metrics.

    Attributes
    ----------
    meter : Meter
    metrics : list of str
        Their names, without the loss.
    rows : int
        Learned from in this epoch.
    learning_rate : float
        Of the last step, of the first group.
    in_parts : bool
        Whether losses are shares of one: those of the parts of a full batch.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.metrics = [name for name in meter.functions if name != "loss"]
        self.in_parts = False
        self.learning_rate = math.nan
        self.clear()
        self._since = 0.0

    def clear(self) -> None:
        """Forget the epoch before."""
        self.meter.clear()
        self._total, self.rows = 0.0, 0  # of the losses, times their rows
        self._seconds = 0.0  # before the last resumption

    def start_clock(self) -> None:
        """Measure from here on how long learning takes."""
        self._since = time.perf_counter()

    def leave_out(self, seconds: float) -> None:
        """Count so many seconds as no learning."""
        self._since += seconds

    def add(self, loss: float, rows: int) -> None:
        """Add the mean loss of some rows; of parts, their share of it."""
        self._total += loss if self.in_parts else loss * rows
        self.rows += rows

    def loss(self) -> float:
        """Return the mean loss of the batches so far; of parts, when all are there."""
        return self._total if self.in_parts else self._total / self.rows

    def seconds(self) -> float:
        """Return how long learning took so far, in s."""
        return self._seconds + time.perf_counter() - self._since

    def result(self) -> dict[str, float]:
        """Return the loss and the metrics."""
        measured = self.meter.result()
        return {"loss": self.loss()} | {name: measured[name] for name in self.metrics}

    # -- in checkpoints
    def state_dict(self) -> dict[str, Any]:
        """Return all of it, for a checkpoint inside the epoch."""
        return {
            "total": self._total,
            "rows": self.rows,
            "lr": self.learning_rate,
            "seconds": self.seconds(),
            "meter": self.meter.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on adding to what :meth:`state_dict` returned."""
        self._total, self.rows = state["total"], state["rows"]
        self.learning_rate, self._seconds = state["lr"], state["seconds"]
        self.meter.load_state_dict(state["meter"])


def _number(name: str, x: Any) -> float:
    try:
        return float(x)
    except (TypeError, ValueError):
        raise TypeError(
            f"History.append: {name} must be a number, got {type(x).__name__} "
            f"of shape {np.shape(x)}"
        ) from None


def _plain(x: float) -> float | str:
    return x if math.isfinite(x) else str(x)
