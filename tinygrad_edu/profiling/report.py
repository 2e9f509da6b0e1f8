"""What a profile says: rows by layer and by operation, as text, pages and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import plots
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.names import line
from tinygrad_edu.files import csv_text, written_atomically
from tinygrad_edu.profiling.costs import layer_name
from tinygrad_edu.profiling.step import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VIEWS", "Cost", "Profile"]

#: How a profile is looked at, by its methods' names: drawing fills it in.
VIEWS: dict[str, Callable[..., Any]] = {}

_TOP = 10  # rows of a table
_BARS = 20  # of a picture
_LEVELS = ("auto", "model", "layer", "op")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer, an operation or the whole step costs.

    Attributes
    ----------
    name : str
        "0 Linear", as in ``model.summary``, or "matmul".
    calls : int
        How often it is called in a step.
    forward, backward : float
        Seconds, of all calls together.
    kept : int
        Bytes that it adds to what is kept until backward, counted as in
        ``model.summary``: memory that several share counts once, where it comes first.
    temporary : int
        Bytes that the largest of its calls needs for the moment, beside its results.
    share : float
        Of the whole step's time, dimensionless.

    Examples
    --------
    >>> from tinygrad_edu.profiling import Cost
    >>> cost = Cost("matmul", 2, 0.25, 0.5, 1024, 0, 0.75)
    >>> cost.time, cost.kept
    (0.75, 1024)
    """

    name: str
    calls: int
    forward: float
    backward: float
    kept: int
    temporary: int
    share: float

    @property
    def time(self) -> float:
        """Seconds, forward and backward."""
        return self.forward + self.backward


class Profile:
    """What :func:`tinygrad_edu.profile` measured: a table when printed.

    It keeps the graph of the step, with all its results, for :meth:`draw`.

    Parameters
    ----------
    title : str
        What ran on what.
    measured : Measured

    Attributes
    ----------
    layers, operations : list of Cost
        The longest first. A layer has what is recorded in it but in no layer inside
        it; "loss" is what is recorded outside of the model.
    outside : Cost
        "outside operations": what the step takes beside them.
    step : Cost
        "whole step": what it takes in all; the rows and ``outside`` add up to it.
    peak : int
        Bytes: the most that the step allocates at a time, the gradients of the
        parameters included; parameters and the batch itself were there before.
    rounds : int
        Of how many measurements each time is the shortest.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(64, 32), te.nn.Sigmoid())
    >>> X = te.data.load_digits()[0][:32]
    >>> measured = te.profile(model, X, seconds=0.01)
    >>> sorted(cost.name for cost in measured.layers)
    ['0 Linear', '1 Sigmoid', 'loss']
    >>> print(measured.table(top=3))  # doctest: +SKIP
    >>> path = measured.to_csv(getfixture("tmp_path") / "costs.csv")
    >>> measured.draw().graph.title
    'loss: 3 operations'
    >>> ax = measured.plot()
    """

    def __init__(self, title: str, measured: Measured) -> None:
        self.title = title
        self.peak = measured.peak
        self.rounds = len(measured.steps)
        self._measured = measured
        self._quartiles = np.percentile(measured.steps.sum(axis=1), (25, 75))
        self._place = {id(node): i for i, node in enumerate(measured.nodes)}
        forward, backward = map(float, measured.steps.min(axis=0))
        self._seconds = forward + backward
        parts = self._cost("all operations", range(len(measured.nodes)), 1)
        self.step = replace(
            parts, name="whole step", forward=forward, backward=backward, share=1.0
        )
        self.outside = replace(
            self.step,
            name="outside operations",
            forward=forward - parts.forward,
            backward=backward - parts.backward,
            kept=0,
            temporary=0,
            share=1 - parts.share,
        )
        self.layers = self._grouped(_layer, lambda node: id(node.scope))
        self.operations = self._grouped(lambda node: node.op.name, id)

    def _grouped(
        self, name: Callable[[Tensor], str], call: Callable[[Tensor], int]
    ) -> list[Cost]:
        """Add up the operations of one name; those of one call are called once."""
        places: dict[str, list[int]] = {}
        calls: dict[str, set[int]] = {}
        for i, node in enumerate(self._measured.nodes):
            places.setdefault(name(node), []).append(i)
            calls.setdefault(name(node), set()).add(call(node))
        costs = [self._cost(n, where, len(calls[n])) for n, where in places.items()]
        return sorted(costs, key=lambda cost: -cost.time)

    def _cost(self, name: str, places: Sequence[int], calls: int) -> Cost:
        forward, backward = self._measured.times[places].sum(axis=0)
        return Cost(
            name,
            calls,
            float(forward),
            float(backward),
            int(self._measured.kept[places].sum()),
            int(self._measured.temporary[places].max()),
            float((forward + backward) / self._seconds),
        )

    # -- as text
    def table(self, top: int = _TOP) -> str:
        """Return the tables by layer and by operation.

        Parameters
        ----------
        top : int, default 10
            How many rows each has; the others stand together in one.

        Returns
        -------
        str
            Times are milliseconds, or microseconds (µs) in a step below 10 ms.
        """
        texts = [f"{self.title}:", *self._sentences()]
        for kind, costs in self._tables(top):
            lines = [self._heading(kind), *map(self._cells, costs)]
            wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
            texts.append("")
            for first, *others in lines:
                cells = [x.rjust(n) for x, n in zip(others, wide[1:], strict=True)]
                texts.append("  ".join([first.ljust(wide[0]), *cells]).rstrip())
        return "\n".join(texts)

    def _sentences(self) -> list[str]:
        low, high = self._quartiles
        return [
            f"{_time(self.step.time)} a step (shortest of {self.rounds}; half of them "
            f"took {_time(low)} to {_time(high)}):",
            f"forward {_time(self.step.forward)}, backward {_time(self.step.backward)};"
            f" peak memory {self.peak:,} bytes",
        ]

    def _tables(self, top: int) -> list[tuple[str, list[Cost]]]:
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise ValueError(f"table: top must be 1 or more, got {top!r}")
        ends = [self.outside, self.step]
        kinds = {"layer": self.layers, "operation": self.operations}
        return [(kind, [*_longest(costs, top), *ends]) for kind, costs in kinds.items()]

    @property
    def _unit(self) -> tuple[str, float, int]:
        return ("ms", 1e3, 2) if self.step.time >= 0.01 else ("µs", 1e6, 1)

    def _heading(self, kind: str) -> list[str]:
        unit = self._unit[0]
        times = [f"forward {unit}", f"backward {unit}"]
        return [kind, "calls", *times, "share", "bytes kept", "temporary"]

    def _cells(self, cost: Cost) -> list[str]:
        _, scale, digits = self._unit
        times = [f"{t * scale:,.{digits}f}" for t in (cost.forward, cost.backward)]
        memory = [f"{cost.kept:,}", f"{cost.temporary:,}"]
        calls = f"{cost.calls:,}"
        if cost is self.outside:
            calls, memory = "", ["", ""]
        return [line(cost.name), calls, *times, f"{cost.share:.1%}", *memory]

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Profile of {self.title}; print it, or .draw() or .plot() it>"

    def _repr_html_(self) -> str:
        from html import escape  # here: importing the package must stay cheap

        said = escape(" ".join(self._sentences()))
        texts = [f"<p><b>{escape(self.title)}</b><br>{said}</p>"]
        for kind, costs in self._tables(_TOP):
            heading = _row("th", self._heading(kind))
            rows = "\n".join(_row("td", self._cells(cost)) for cost in costs)
            texts.append(f"<table>\n{heading}\n{rows}\n</table>")
        return "\n".join(texts)

    # -- as files and pictures
    def to_csv(self, path: str | Path) -> Path:
        """Write all rows to a file of comma-separated values.

        Parameters
        ----------
        path : str or path
            Its columns are kind ("layer", "operation" or "step"), name, calls,
            forward_seconds, backward_seconds, share, bytes_kept and bytes_temporary.

        Returns
        -------
        Path
        """
        path = Path(path)
        seconds = ["forward_seconds", "backward_seconds"]
        memory = ["bytes_kept", "bytes_temporary"]
        rows: list[list[object]] = [
            ["kind", "name", "calls", *seconds, "share", *memory]
        ]
        kinds = {
            "layer": self.layers,
            "operation": self.operations,
            "step": [self.outside, self.step],
        }
        for kind, costs in kinds.items():
            for c in costs:
                times = [c.forward, c.backward, c.share]
                rows.append([kind, c.name, c.calls, *times, c.kept, c.temporary])
        with written_atomically(path) as file:
            file.write(csv_text(rows).encode())
        return path

    def draw(self, *, level: str = "layer", direction: str = "TB") -> Any:
        """Return a drawing of the step; the darker a box, the more of the time it is.

        Parameters
        ----------
        level : {"layer", "model", "op", "auto"}
            What has a box, as for :func:`tinygrad_edu.draw`.
        direction : {"TB", "LR"}
            Where the edges lead: from top to bottom, or from left to right.

        Returns
        -------
        Drawing
            Each box says how long it takes. A key to the shades stands below.

        Raises
        ------
        ValueError
            If an option is none of those above.
        """
        for name, given, allowed in (
            ("level", level, _LEVELS),
            ("direction", direction, ("TB", "LR")),
        ):
            if given not in allowed:
                raise ValueError(
                    f"draw: {name} must be one of {', '.join(allowed)}, got {given!r}"
                )
        note = (
            f"a step takes {_time(self.step.time)}: forward "
            f"{_time(self.step.forward)}, backward {_time(self.step.backward)}; "
            f"{_percent(self.outside.share)} of it outside operations"
        )
        options = {"level": level, "direction": direction}
        loss = self._measured.output
        return VIEWS["draw"](loss, costs=self._told, note=note, **options)

    def _told(self, nodes: Sequence[Tensor]) -> tuple[str, float]:
        """Return what a box says that stands for ``nodes``, and their share."""
        cost = self._cost("", [self._place[id(node)] for node in nodes], 1)
        text = (
            f"{_time(cost.time)} ({_percent(cost.share)}): forward "
            f"{_time(cost.forward)}, backward {_time(cost.backward)}"
        )
        return text, cost.share

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the times of the layers as bars, forward and backward.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
            Of more than 20 layers, the others stand together in one row.
        """
        costs = [*_longest(self.layers, _BARS), self.outside]
        times = {c.name: (max(c.forward, 0), max(c.backward, 0)) for c in costs}
        title = f"Time of a step: {_time(self.step.time)}"
        return plots.step_times(times, ax=ax, title=title)


def _layer(node: Tensor) -> str:
    scope = node.scope
    return "loss" if scope is None else layer_name(scope)


def _longest(costs: Sequence[Cost], top: int) -> list[Cost]:
    """Return the first ones, and one for all others."""
    rest = costs[top:]
    if len(rest) < 2:
        return list(costs)
    others = Cost(
        f"{len(rest):,} others",
        sum(cost.calls for cost in rest),
        sum(cost.forward for cost in rest),
        sum(cost.backward for cost in rest),
        sum(cost.kept for cost in rest),
        max(cost.temporary for cost in rest),
        sum(cost.share for cost in rest),
    )
    return [*costs[:top], others]


def _time(seconds: float) -> str:
    """Write a time with three digits: "1.23 ms"."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            number = seconds * scale
            digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2
            return f"{number:,.{digits}f} {unit}"
    raise AssertionError("the last unit suits all")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or share < 0 else "under 1 %"


def _row(tag: str, cells: Sequence[str]) -> str:
    from html import escape

    left, right = 'style="text-align:left"', 'style="text-align:right"'
    row = "".join(
        f"<{tag} {right if i else left}>{escape(cell)}</{tag}>"
        for i, cell in enumerate(cells)
    )
    return f"<tr>{row}</tr>"
