"""Callbacks: what may happen after each epoch of a training.

A callback is called as ``callback(training)``. One that has ``state_dict`` and
``load_state_dict`` is kept in checkpoints: a flat dict whose values are arrays or ready
for JSON.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.files import csv_text
from tinygrad_edu.saving.weights import checked_path, save
from tinygrad_edu.training.history import History
from tinygrad_edu.training.moments import Training
from tinygrad_edu.training.progress import in_notebook

__all__ = ["CSVLog", "EarlyStopping", "LivePlot", "ModelCheckpoint"]

#: Parts of names by which one sees whether a figure should go down or up.
_DOWN = ("loss", "error", "mse", "mae")
_UP = ("accuracy", "score", "precision", "recall", "auc", "f1", "r2")

_LOSSES = ("loss", "validation_loss")


class _Best:
    """Follows a figure of the history and remembers its best value."""

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        self._who = type(self).__name__
        if mode == "auto":
            down = any(part in monitor.lower() for part in _DOWN)
            up = any(part in monitor.lower() for part in _UP)
            if down is up:
                raise ValueError(
                    f"{self._who}: should {monitor!r} go down or up? Pass mode='min' or"
                    " 'max'"
                )
            mode = "min" if down else "max"
        if mode not in ("min", "max"):
            raise ValueError(
                f"{self._who}: mode must be min, max or auto, got {mode!r}"
            )
        if not 0 <= min_delta < math.inf:
            raise ValueError(
                f"{self._who}: min_delta must not be negative, got {min_delta!r}"
            )
        self.monitor, self.mode, self.min_delta = monitor, mode, float(min_delta)
        self.best: float | None = None
        self.best_epoch = 0

    def improved(self, training: Training) -> bool:
        """Take notice of this epoch's value; return whether it is the best so far.

        Parameters
        ----------
        training : Training
            With ``history`` and ``epoch``.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If the figure is not measured.
        """
        if training.epoch == 1:  # of a new training, maybe of another model
            self.best, self.best_epoch = None, 0
        history = training.history
        if self.monitor not in history:
            hint = ""
            if self.monitor.startswith("validation_"):
                hint = "; pass validation= to te.fit"
            raise ValueError(
                f"{self._who}: {self.monitor!r} is not measured; there are "
                f"{', '.join(history.values)}{hint}"
            )
        value = history[self.monitor][-1]
        if math.isnan(value):
            return False
        gain = math.inf
        if self.best is not None:
            gain = self.best - value if self.mode == "min" else value - self.best
        if not gain > self.min_delta:
            return False
        self.best, self.best_epoch = value, training.epoch
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and its epoch."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Parameters
        ----------
        state : mapping
        """
        best = state["best"]
        self.best = None if best is None else float(best)
        self.best_epoch = int(state["best_epoch"])


def check_monitored(callbacks: Iterable[Any], validation: Any) -> None:
    """Refuse, before the first epoch, to follow what is measured on no data."""
    for callback in callbacks:
        if (
            validation is None
            and isinstance(callback, _Best)
            and callback.monitor.startswith("validation_")
        ):
            raise ValueError(
                f"{type(callback).__name__}: {callback.monitor!r} is not measured; "
                "pass validation= to te.fit"
            )


class EarlyStopping(_Best):
    """Ends training when a figure has not improved for a while.

    Parameters
    ----------
    monitor : str, default "validation_loss"
        Of the history.
    patience : int, default 10
        How many epochs without an improvement end the training.
    min_delta : float, default 0.0
        What is to be exceeded by an improvement, in the figure's unit.
    restore_best : bool, default True
        Whether the model gets back the weights and buffers of the best epoch when
        training ends: by this callback, or after the last epoch.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less is better, or more; by itself it knows it of losses, errors,
        accuracies and scores.

    Attributes
    ----------
    best : float or None
        The best value so far, in the figure's unit; None before the first that is no
        nan.
    best_epoch : int
        Its epoch; 0 before.

    Raises
    ------
    ValueError
        If a number is out of range, or "auto" does not know which is better; in
        training, if the figure is not measured.

    Notes
    -----
    nan is no improvement. Source: L. Prechelt, "Early Stopping - But When?", in "Neural
    Networks: Tricks of the Trade", Springer, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> X = np.linspace(-1, 1, 20)[:, np.newaxis]
    >>> model = te.nn.Linear(1, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    >>> callback = te.training.EarlyStopping("loss", patience=2, min_delta=0.01)
    >>> history = te.fit(model, X, 2 * X, loss=te.nn.mse_loss, optimizer=optimizer,
    ...                  epochs=500, callbacks=[callback], progress=False)
    >>> history.stopped.split(";")[0]
    'early stopping: loss has not improved for 2 epochs'
    >>> callback.best_epoch == callback.state_dict()["best_epoch"] < 500
    True

    It goes on where another one was, as from a checkpoint. ``improved`` is what a
    callback of one's own would ask:

    >>> another = te.training.EarlyStopping("loss", min_delta=0.01)
    >>> another.load_state_dict(callback.state_dict())
    >>> from types import SimpleNamespace
    >>> another.improved(SimpleNamespace(history=history, epoch=501))
    False
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best: bool = True,
        *,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not isinstance(patience, int | np.integer) or patience < 1:
            raise ValueError(
                f"EarlyStopping: patience must be at least 1 epoch, got {patience!r}"
            )
        self.patience, self.restore_best = int(patience), restore_best
        self._waited = 0
        self._weights: dict[str, np.ndarray] = {}

    def __call__(self, training: Training) -> None:
        """Look at the epoch that has ended."""
        if training.epoch == 1:
            self._waited, self._weights = 0, {}
        if self.improved(training):
            self._waited = 0
            if self.restore_best:
                self._weights = training.model.state_dict()
        else:
            self._waited += 1
        waited_enough = self._waited >= self.patience
        if waited_enough:
            since = "it was nan from the first"
            if self.best is not None:
                since = f"best {self.best:.4g} in epoch {self.best_epoch}"
            training.stop(
                f"early stopping: {self.monitor} has not improved for {self._waited} "
                f"epoch{'s' * (self._waited != 1)}; {since}"
            )
        ends = waited_enough or training.epoch >= training.epochs
        if ends and self._weights:
            training.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, its epoch and weights, and the epochs since."""
        weights = {f"weights.{name}": x for name, x in self._weights.items()}
        return {**super().state_dict(), "waited": self._waited, **weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Parameters
        ----------
        state : mapping
        """
        super().load_state_dict(state)
        self._waited = int(state["waited"])
        self._weights = {
            name.removeprefix("weights."): np.array(x)
            for name, x in state.items()
            if name.startswith("weights.")
        }


class ModelCheckpoint(_Best):
    """Saves the weights with :func:`tinygrad_edu.save` whenever a figure improves.

    Parameters
    ----------
    path : str or path
        Ends in ``.safetensors``; the file holds the best weights so far.
    monitor : str, default "validation_loss"
        Of the history.
    mode : {"auto", "min", "max"}, default "auto"
        As for :class:`EarlyStopping`.

    Attributes
    ----------
    best : float or None
        The best value so far, in the figure's unit.
    best_epoch : int

    Raises
    ------
    ValueError
        If the path has another suffix, or "auto" does not know which is better; in
        training, if the figure is not measured.
    OSError
        In training, if the file cannot be written.

    Notes
    -----
    To go on after an interruption, use ``te.fit(..., checkpoint=folder)``: it keeps the
    optimiser and all else, too.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> X = np.linspace(-1, 1, 20)[:, np.newaxis]
    >>> model = te.nn.Linear(1, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    >>> path = getfixture("tmp_path") / "best.safetensors"
    >>> callback = te.training.ModelCheckpoint(path, "loss")
    >>> history = te.fit(model, X, 2 * X, loss=te.nn.mse_loss, optimizer=optimizer,
    ...                  epochs=5, callbacks=[callback], progress=False)
    >>> callback.best == min(history["loss"]), path.exists()
    (True, True)
    >>> another = te.training.ModelCheckpoint(path, "loss")
    >>> another.load_state_dict(callback.state_dict())
    >>> from types import SimpleNamespace
    >>> another.improved(SimpleNamespace(history=history, epoch=6))
    False
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "validation_loss",
        *,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode, 0.0)
        self.path = checked_path("ModelCheckpoint", path)

    def __call__(self, training: Training) -> None:
        """Look at the epoch that has ended."""
        if self.improved(training):
            save(training.model, self.path)


class CSVLog:
    """Writes a line for each epoch into a CSV file, as soon as it has ended.

    Parameters
    ----------
    path : str or path
        Whatever stands there is replaced when a training begins; folders on the way are
        made.

    Notes
    -----
    A training that is resumed writes the lines of the earlier epochs anew, from its
    history: none is doubled and none missing.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> X = np.linspace(-1, 1, 20)[:, np.newaxis]
    >>> model = te.nn.Linear(1, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    >>> path = getfixture("tmp_path") / "log.csv"
    >>> history = te.fit(model, X, 2 * X, loss=te.nn.mse_loss, optimizer=optimizer,
    ...                  epochs=3, callbacks=[te.training.CSVLog(path)], progress=False)
    >>> len(path.read_text().splitlines())  # the names, and a line for each epoch
    4
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._begun: tuple[History, list[str]] | None = None  # and its columns

    def __call__(self, training: Training) -> None:
        """Write the line of the epoch that has ended."""
        history, columns = training.history, list(training.history.values)
        goes_on = (
            self._begun is not None
            and self._begun[0] is history
            and self._begun[1] == columns
            and len(history.epochs) > 1
            and self.path.exists()
        )
        if goes_on:
            row = [history.epochs[-1], *(x[-1] for x in history.values.values())]
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                file.write(csv_text([row]))
        else:
            history.to_csv(self.path)
            self._begun = history, columns


class LivePlot:
    """Draws the learning curves anew as training goes on, in a notebook.

    Elsewhere it does nothing.

    Parameters
    ----------
    every : float, default 1.0
        How long to wait between two pictures, in s; a picture takes about 0.2 s. The
        last epoch is always drawn.
    log : bool, default False
        Draw the losses on a logarithmic scale, as long as all are positive.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> X = np.linspace(-1, 1, 20)[:, np.newaxis]
    >>> model = te.nn.Linear(1, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    >>> callback = te.training.LivePlot(every=0.5, log=True)
    >>> history = te.fit(model, X, 2 * X, loss=te.nn.mse_loss, optimizer=optimizer,
    ...                  epochs=3, callbacks=[callback], progress=False)
    """

    def __init__(self, every: float = 1.0, *, log: bool = False) -> None:
        self.every, self.log = float(every), log
        self._history: History | None = None
        self._handle: Any = None  # of the picture in the notebook
        self._drawn = -math.inf  # when, in s

    def __call__(self, training: Training) -> None:
        """Draw the curves, if it is time."""
        if not in_notebook():
            return
        if training.history is not self._history:
            self._history, self._handle, self._drawn = training.history, None, -math.inf
        ends = training.epoch >= training.epochs or bool(training.history.stopped)
        if not ends and time.monotonic() - self._drawn < self.every:
            return
        from IPython.display import Image, display

        losses = [training.history.values.get(name, []) for name in _LOSSES]
        log = self.log and all(x > 0 for column in losses for x in column)
        figure: Any = training.history.plot(log=log).get_figure()
        file = io.BytesIO()
        figure.savefig(file, format="png")
        picture = Image(data=file.getvalue())  # a figure itself is shown by pyplot only
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)
        self._drawn = time.monotonic()
