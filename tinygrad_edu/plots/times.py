"""Pictures of what takes how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.plots.axes import (
    readable,
    rows_for,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["step_times"]

# More than these are too much for one picture.
MOST_ROWS = 500


def step_times(
    times: Mapping[str, tuple[float, float]],
    *,
    ax: Axes | None = None,
    title: str = "Time of a step",
) -> Axes:
    """Draw how long each part of a step of training takes, as bars.

    Parameters
    ----------
    times : mapping of str to (float, float)
        Seconds forward and backward, by the name of a layer or an operation; the first
        is drawn on top.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with a row for each name. The unit is the one that suits the longest.

    Raises
    ------
    ValueError
        If there are none or more than 500, or a time is negative or not finite.

    Examples
    --------
    >>> ax = step_times({"0 Linear": (0.002, 0.003), "1 Tanh": (0.001, 0.0005)})
    >>> ax.get_xlabel()
    'ms'
    """
    who = "step_times"
    if not 0 < len(times) <= MOST_ROWS:
        raise ValueError(
            f"{who}: times must have 1 to {MOST_ROWS} rows, got {len(times)}"
        )
    both = np.array([*times.values()], dtype=np.float64)
    if both.shape != (len(times), 2) or not (np.isfinite(both) & (both >= 0)).all():
        raise ValueError(
            f"{who}: times must be pairs of seconds, forward and backward, that are "
            "finite and not negative"
        )
    ax, _ = rows_for(who, ax, list(times), width=6.5)
    longest = both.sum(axis=1).max()
    unit, scale = ("s", 1.0) if longest >= 1 else ("ms", 1e3)
    if longest < 1e-3:
        unit, scale = "µs", 1e6
    forward, backward = scale * both.T
    rows = range(len(times))
    for name, start, width, colour, hatch in (
        ("forward", 0 * forward, forward, "0.35", None),
        ("backward", forward, backward, "0.9", "//"),
    ):
        ax.barh(
            rows,
            width,
            left=start,
            height=0.7,
            color=colour,
            edgecolor="black",
            linewidth=0.7,
            hatch=hatch,
            label=name,
        )
    ax.set(xlabel=unit, title=readable(title))
    ax.legend(loc="best")
    return ax
