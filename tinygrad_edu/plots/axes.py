"""What the pictures share: their Axes, lines told apart by dashes, rows of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "WRONG_COLOUR",
    "array_of",
    "axes_for",
    "checked_axes",
    "draw_line",
    "figure_of",
    "new_axes",
    "panel_next_to",
    "plain",
    "rows_for",
    "rule_rows",
    "say_beside_rows",
]

# Dark vermilion: told from black and greys with every kind of colour vision, and with
# a contrast to white of more than 4.5 : 1, as text needs.
WRONG_COLOUR = "#b84a00"


def axes_for(caller: str, ax: Axes | None, *, figsize: tuple[float, float]) -> Axes:
    return new_axes(figsize) if ax is None else checked_axes(caller, ax)


def new_axes(figsize: tuple[float, float]) -> Axes:
    """The Axes of a new figure, one that pyplot and its windows know nothing of."""
    from matplotlib.figure import Figure

    return Figure(figsize=figsize, layout="constrained").add_subplot()


def checked_axes(caller: str, ax: Axes) -> Axes:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(
            f"{caller}: ax must be one matplotlib Axes, got {type(ax).__name__}."
            " Did you mean fig.add_subplot(), or one entry of an array of Axes?"
        )
    return ax


def figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("the Axes have been removed from their figure")
    return figure


def panel_next_to(ax: Axes, *, below: bool) -> Axes:
    """Divide the place of some Axes, and put a second panel below or to the right."""
    from matplotlib.gridspec import GridSpec

    figure, place = ax.get_figure(root=False), ax.get_subplotspec()
    if figure is None:
        raise ValueError("the Axes have been removed from their figure")
    if place is None:  # placed by hand, with fig.add_axes
        box = ax.get_position()
        place = GridSpec(1, 1, left=box.x0, right=box.x1, bottom=box.y0, top=box.y1)[0]
    if below:
        halves = place.subgridspec(2, 1, height_ratios=(3, 2))
        ax.set_subplotspec(halves[0])
        return figure.add_subplot(halves[1], sharex=ax)
    halves = place.subgridspec(1, 2, width_ratios=(3, 2))
    ax.set_subplotspec(halves[0])
    return figure.add_subplot(halves[1], sharey=ax)


def draw_line(
    ax: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    label: str | None,
    *,
    markers: bool = True,
) -> None:
    """Add a curve told from those already there by its dashes."""
    ax.plot(
        x,
        y,
        linestyle=("-", "--", "-.", ":")[len(ax.lines) % 4],
        marker="o" if markers and x.size <= 30 else None,
        markersize=4,
        linewidth=2,
        label=None if label is None else readable(label),
    )
    ax.grid(True, color="0.88")
    ax.set_axisbelow(True)
    if label is not None:
        ax.legend()


def rows_for(
    caller: str, ax: Axes | None, names: Sequence[str], *, width: float
) -> tuple[Axes, float]:
    """Axes with a row for each name, the first on top, and the font size that fits.

    The width in inches is that of a figure of its own, without the names.
    """
    names = [plain(name) for name in names]
    count = len(names)
    if ax is None:
        inches = min(max(14 / count, 0.14), 0.35)  # from one row to the next
        fontsize = _fitting(inches)
        width += 0.009 * fontsize * max(len(name) for name in names)
        ax = new_axes((width, max(count * inches + 1.5, 2.6)))
    else:
        ax = checked_axes(caller, ax)
        fontsize = _fitting(ax.get_window_extent().height / figure_of(ax).dpi / count)
    ax.set_yticks(range(count), names, fontsize=fontsize)
    ax.set_ylim(count - 0.5, -0.5)
    rule_rows(ax, count)
    return ax, fontsize


def _fitting(inches: float) -> float:
    return min(max(0.8 * 72 * inches, 3), 10)


def rule_rows(ax: Axes, count: int) -> None:
    """Draw lines that lead from a name to what is in its row."""
    ax.tick_params(axis="y", length=0)
    if count > 40:  # the numbers on top too, where one sees them
        ax.tick_params(axis="x", top=True, labeltop=True)
    ax.grid(True, color="0.88")
    ax.set_axisbelow(True)


def say_beside_rows(
    ax: Axes, words: Sequence[str], wrong: Sequence[bool], fontsize: float
) -> None:
    """Write words to the right of the rows; what is wrong in bold."""
    for row, (word, bad) in enumerate(zip(words, wrong, strict=True)):
        if word:
            ax.text(
                1.02,
                row,
                word,
                transform=ax.get_yaxis_transform(),  # x in Axes units, y in data
                verticalalignment="center",
                fontsize=fontsize,
                fontweight="bold" if bad else "normal",
                color=WRONG_COLOUR if bad else "black",
            )


def plain(name: object, longest: int = 60) -> str:
    """A name as one short line that matplotlib takes for no formula."""
    line = "".join(c if c.isprintable() else " " for c in str(name))
    if len(line) > longest:
        head = longest // 3
        line = f"{line[:head]}…{line[head + 1 - longest :]}"
    # Legends leave out what begins with an underscore.
    return " " * line.startswith("_") + line.replace("$", r"\$")


def literal(text: object) -> str:
    """A text as it stands: no part of it is a formula, or half a character."""
    return _whole(str(text)).replace("$", r"\$")


def readable(text: str) -> str:
    """A text of the caller's; its formulas are such if Matplotlib can read them."""
    from matplotlib.mathtext import MathTextParser

    text = _whole(text)
    if text.count("$") < 2:
        return text
    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return literal(text)
    return text


def _whole(text: str) -> str:
    """A text without lone surrogates, for which no font has a letter."""
    return text.encode("utf-8", "replace").decode("utf-8")


def array_of(values: Any) -> NDArray[Any]:
    """The numbers of an array or a tensor, for reading."""
    if hasattr(values, "detach"):  # recorded, and else it would not give them
        values = values.detach()
    return np.asarray(values.numpy() if hasattr(values, "numpy") else values)
