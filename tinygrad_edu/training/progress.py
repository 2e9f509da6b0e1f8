"""What is seen of a run while it goes on: a bar, or a line for each epoch."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Progress", "in_notebook", "line", "warn"]

_BETWEEN = 0.1  # seconds between two looks of the bar

#: Rooms between the user's line and what warns.
_ROOMS = ("training", "distributed", "estimators")


class Progress:
    """A bar in a terminal or notebook; where the output is piped, lines.

    Parameters
    ----------
    wanted : bool or "bar"
        Nothing is shown without; "bar" shows no lines.
    epochs : int
    """

    def __init__(self, wanted: bool | str, epochs: int) -> None:
        self._notebook = notebook = in_notebook()
        terminal = not notebook and sys.stderr is not None and sys.stderr.isatty()
        piped = not notebook and (sys.stdout is None or not sys.stdout.isatty())
        self.epochs = epochs
        self.has_bar = bool(wanted) and (notebook or terminal)
        self.has_lines = wanted is True and (piped or not self.has_bar)
        self._bar: Any = None
        self._by_epochs = False  # whether the bar counts these, not batches
        self._waiting = 0  # of what the bar does not show yet
        self._shown_at = 0.0
        self._figures = ""

    def resumed(self, done: int, batch: int, ended: str, folder: Path) -> None:
        """Say from where a run goes on, or that it has ended; as a line, or by the bar.

        Parameters
        ----------
        done, batch : int
            Epochs that have ended, and batches of the next.
        ended : str
            Why there is nothing left to do; else empty.
        folder : Path
            Of the checkpoints.
        """
        at = f"{done}/{self.epochs}"
        if ended:
            why = "" if ended == "epochs" else f" ({ended})"
            text = f"ended after epoch {at}{why}, restored from {folder}"
        elif batch:
            batches = f"{batch:,} batch{'es' * (batch != 1)}"
            text = (
                f"resumed in epoch {done + 1}/{self.epochs}, after {batches}, from "
                f"{folder}"
            )
        else:
            text = f"resumed after epoch {at}, from {folder}"
        if self.has_lines or (self.has_bar and self._notebook):
            print(text, flush=True)
        elif self.has_bar:
            print(text, file=sys.stderr, flush=True)

    def begin(self, done: int, batch: int, steps: int | None, by_epochs: bool) -> None:
        """Show the bar, with ``done`` epochs of ``steps`` batches behind it."""
        if not self.has_bar:
            return
        # here, because importing the package must stay cheap
        from tqdm.auto import tqdm

        self._by_epochs = by_epochs
        total: int | None = self.epochs
        unit, initial = "epoch", done
        if not by_epochs:
            unit, initial = "batch", done * (steps or 0) + batch
            total = steps * self.epochs if steps else None
        self._bar = tqdm(initial=initial, total=total, unit=unit)

    @property
    def shows_batches(self) -> bool:
        """Whether batches are to be counted, from :meth:`begin` on."""
        return self._bar is not None and not self._by_epochs

    def batch(self, epoch: int, loss: Callable[[], float]) -> None:
        """Count a batch; ``loss`` returns the mean so far."""
        self._waiting += 1
        if self._is_due():
            self._show(epoch, f"loss {loss():.4g}{self._figures}")

    def epoch(
        self, epoch: int, figures: Mapping[str, float], steps: int, speed: str = ""
    ) -> None:
        """Show the figures of an epoch that has ended, of ``steps`` batches."""
        if self.has_lines:
            print(line(epoch, self.epochs, figures, speed), flush=True)
        if self._bar is not None:
            self._figures = "".join(
                f", {name} {x:.4g}"
                for name, x in figures.items()
                if name not in ("loss", "learning_rate", "seconds")
            )
            self._figures += f", {speed}" * bool(speed)
            self._waiting += self._by_epochs
            if not self._by_epochs:
                self._bar.total = steps * self.epochs
            if self._is_due() or epoch == self.epochs:
                self._show(epoch, f"loss {figures['loss']:.4g}{self._figures}")

    def _is_due(self) -> bool:
        """Whether it is time to show something again; then that is taken for done."""
        now = time.perf_counter()
        is_due = now - self._shown_at >= _BETWEEN
        if is_due:
            self._shown_at = now
        return is_due

    def _show(self, epoch: int, text: str) -> None:
        self._bar.set_description_str(f"epoch {epoch}/{self.epochs}", refresh=False)
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(self._waiting)
        self._waiting = 0

    def end(self) -> None:
        """Leave the bar as it is; what is printed next stands below it."""
        if self._bar is not None:
            self._bar.update(self._waiting)
            self._bar.refresh()
            self._bar.close()
            self._bar, self._waiting = None, 0


def line(epoch: int, epochs: int, figures: Mapping[str, float], speed: str = "") -> str:
    """Return the line of an epoch.

    Examples
    --------
    >>> line(3, 20, {"loss": 0.25, "accuracy": 0.9, "learning_rate": 0.1, "seconds": 2})
    'epoch  3/20: loss 0.25, accuracy 0.9 (2.0 s)'
    """
    told = [
        f"{name} {x:.4g}"
        for name, x in figures.items()
        if name not in ("learning_rate", "seconds")
    ]
    head = f"epoch {epoch:{len(str(epochs))}d}/{epochs}"
    times = f"{figures['seconds']:.1f} s" + f", {speed}" * bool(speed)
    return f"{head}: {', '.join(told)} ({times})"


def warn(text: str, category: type[Warning]) -> None:
    """Warn, as if the line that called ``fit``, of an estimator too, had."""
    package = Path(__file__).parent.parent
    inside = (*(str(package / room) for room in _ROOMS), contextlib.__file__)
    frame: Any = sys._getframe(0)
    level = 0
    while frame is not None and frame.f_code.co_filename.startswith(inside):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level + 1)


def in_notebook() -> bool:
    """Whether there is a kernel, of which the front end shows widgets."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
