"""Pictures of a training run, drawn with matplotlib from plain arrays.

Every function draws on the Axes that it is given, or on those of a figure of its own,
and returns them. A figure of its own is never shown and belongs to no window, so all
of this works without a display; :func:`save` writes it to a file. In a notebook, where
pyplot is at work, ``fig, ax = plt.subplots()`` and ``ax=ax`` show it.

Differences are marked by dashes, frames and words besides their colours.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.files import written_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "activation",
    "confusion_matrix",
    "digit_samples",
    "gradient_error",
    "loss_curve",
    "save",
]

# Dark vermilion: told from black and greys with every kind of colour vision, and with
# a contrast to white of more than 4.5 : 1, as text needs.
WRONG_COLOUR = "#b84a00"

# The formats of `save`, each with the metadata that keeps the date out of the file.
UNDATED: dict[str, dict[str, None]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def loss_curve(
    epochs: ArrayLike,
    losses: ArrayLike,
    *,
    ax: Axes | None = None,
    label: str | None = None,
    title: str = "Loss during training",
    log: bool = False,
) -> Axes:
    """Draw the loss against the epoch, with the last loss in the legend.

    Parameters
    ----------
    epochs : array_like, shape (n,)
        The epochs at which the loss was measured.
    losses : array_like, shape (n,)
        The losses, dimensionless. One that is not finite leaves a gap; the first
        such epoch is marked.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. A second curve on the same Axes
        gets other dashes.
    label : str, optional
        The curve's name in the legend, such as "training"; the last loss follows.
    title : str
        The title of the picture.
    log : bool
        Draw the losses on a logarithmic scale. They must then be positive.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the curve.

    Raises
    ------
    ValueError
        If the two are not of the same shape (n,) with n > 0, or if a loss
        is not positive on a logarithmic scale.

    Examples
    --------
    >>> ax = loss_curve([0, 10, 20], [0.747, 0.073, 0.061], label="training")
    >>> ax = loss_curve([0, 10, 20], [0.752, 0.08, 0.07], label="validation", ax=ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['training, last 0.061', 'validation, last 0.07']
    """
    x = _vector("loss_curve", "epochs", epochs)
    y = _vector("loss_curve", "losses", losses)
    if x.shape != y.shape:
        raise ValueError(
            f"loss_curve: {x.size} epochs but {y.size} losses; pass one loss per epoch"
        )
    finite = np.isfinite(y)
    if log and np.any(y[finite] <= 0):
        worst = np.flatnonzero(finite & (y <= 0))[0]
        raise ValueError(
            f"loss_curve: the loss at epoch {x[worst]:g} is {y[worst]:g}; a logarithmic"
            " scale needs positive losses. Leave out log=True."
        )

    from matplotlib.ticker import MaxNLocator

    ax = _axes("loss_curve", ax, figsize=(6.4, 4.0))
    last = f"last {y[finite][-1]:.4g}" if finite.any() else "no finite loss"
    _draw_line(ax, x, y, last if label is None else f"{label}, {last}")
    # The view shows epochs without a finite loss too, and begins at loss 0.
    ax.update_datalim([(x.min(), 0), (x.max(), 0)], updatey=not log)
    if log:
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(
        MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    ax.set(xlabel="epoch", ylabel="loss (log scale)" if log else "loss", title=title)
    if not finite.all():
        _rule_off(ax, x[np.flatnonzero(~finite)[0]])
    return ax


def activation(
    function: Callable[[NDArray[np.float64]], ArrayLike],
    *,
    low: float = -5.0,
    high: float = 5.0,
    points: int = 501,
    ax: Axes | None = None,
    label: str | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a function of one number, such as the sigmoid, over an interval.

    Parameters
    ----------
    function : callable
        Takes an array of shape (points,) and returns one of the same shape; what
        it returns may also be a tensor with a method ``numpy()``.
    low, high : float
        The ends of the interval, both included.
    points : int
        How many inputs the function is evaluated at, evenly spaced.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. A second curve on the same Axes
        gets other dashes.
    label : str, optional
        The curve's name in the legend.
    title : str, optional
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the curve.

    Raises
    ------
    ValueError
        If low is not below high, if there are fewer than two points, or if the
        function does not return one output per input.

    Examples
    --------
    >>> ax = activation(np.tanh, label="tanh")
    >>> ax = activation(lambda x: 1 - np.tanh(x) ** 2, label="its derivative", ax=ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['tanh', 'its derivative']
    """
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"activation: low must be below high, got {low} and {high}")
    if points < 2:
        raise ValueError(f"activation: a curve needs 2 points or more, got {points}")
    x = np.linspace(low, high, points)
    result: Any = function(x)
    y = np.asarray(result.numpy() if hasattr(result, "numpy") else result)
    if y.shape != x.shape:
        raise ValueError(
            f"activation: the function got an input of shape {x.shape} and returned"
            f" one of shape {y.shape}; it must return one output per input"
        )

    ax = _axes("activation", ax, figsize=(5.0, 3.4))
    _draw_line(ax, x, y, label, markers=False)
    ax.set(xlabel="input", ylabel="output")
    if title is not None:
        ax.set_title(title)
    return ax


def digit_samples(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    predictions: ArrayLike | None = None,
    *,
    columns: int = 8,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a sheet of images, each with its label and what a network read in it.

    Below an image stands its label, the prediction, or ``label → prediction``; a wrong
    prediction is framed, set in bold and crossed.

    Parameters
    ----------
    images : array_like, shape (n, side * side) or (n, side, side)
        Images in grey values, flat or square; the smallest value is drawn white,
        the largest black.
    labels : array_like, shape (n,), optional
        What the images show.
    predictions : array_like, shape (n,), optional
        What a network took them for.
    columns : int
        How many images stand in a row.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str, optional
        The title of the sheet. By default it explains the captions and counts
        the wrong ones.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the whole sheet; its ``images`` and ``texts`` are in the
        order of the images given.

    Raises
    ------
    ValueError
        If the images are not square or not finite, if there are none or more than
        500, if labels or predictions are not one per image, or if columns < 1.

    Examples
    --------
    >>> images = np.eye(8)[None].repeat(3, axis=0)
    >>> ax = digit_samples(images, labels=[1, 1, 7], predictions=[1, 7, 7])
    >>> [text.get_text() for text in ax.texts]
    ['1 → 1', '1 → 7 ×', '7 → 7']
    """
    squares = _square_images(images)
    count, side = squares.shape[:2]
    if columns < 1:
        raise ValueError(f"digit_samples: columns must be 1 or more, got {columns}")
    known = {
        name: _words(name + "s", values, count)
        for name, values in (("label", labels), ("prediction", predictions))
        if values is not None
    }
    # For each image its label, its prediction, both or neither.
    answers = list(zip(*known.values(), strict=True)) or [()] * count
    wrong = [len(set(answer)) > 1 for answer in answers]
    captions = [
        " → ".join(answer) + " ×" * bad
        for answer, bad in zip(answers, wrong, strict=True)
    ]
    if title is None:
        title = " → ".join(known)
        title += f" ({sum(wrong)} of {count} wrong, framed)" * (len(known) == 2)

    columns = min(columns, count)
    rows = -(-count // columns)
    caption_inches = 0.2 if known else 0.0
    if ax is None:
        inches = min(max(7.2 / columns, 0.9), 2.2)  # from one image to the next
        height = rows * (inches + caption_inches) + 0.4
        ax = _new_axes((max(4.2, columns * inches), height))
    else:
        ax = _checked_axes("digit_samples", ax)
        inches = ax.get_window_extent().width / _figure(ax).dpi / columns
    longest = max(len(caption) for caption in captions)
    fontsize = min(max(72 * inches / (0.65 * max(longest, 1)), 4), 10)
    # From here on lengths are counted in pixels of the images.
    gap = 0.12 * side
    pitch_x = side + gap
    pitch_y = pitch_x + caption_inches / inches * pitch_x

    low, high = float(squares.min()), float(squares.max())
    for i, square in enumerate(squares):
        corner = i % columns * pitch_x, i // columns * pitch_y
        _draw_image(ax, square, corner, low, high, wrong=wrong[i])
        ax.text(
            corner[0] + side / 2,
            corner[1] + side + gap / 2,
            captions[i],
            horizontalalignment="center",
            verticalalignment="top",
            fontsize=fontsize,
            fontweight="bold" if wrong[i] else "normal",
            color=WRONG_COLOUR if wrong[i] else None,
        )
    # One common view: imshow has set it to the last image alone.
    ax.set_xlim(-gap / 2, columns * pitch_x - gap / 2)
    ax.set_ylim(rows * pitch_y - gap / 2, -gap / 2)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def confusion_matrix(
    matrix: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str = "Confusion matrix",
) -> Axes:
    """Draw how often each class was taken for each other: counts in shaded cells.

    A row is a predicted class, a column an actual one. The shade is the count's share
    of its column, on a square-root scale: 1 % is visibly not nothing, and neither a
    big diagonal nor a frequent class hides the errors.

    Parameters
    ----------
    matrix : array_like of integers, shape (k, k)
        ``matrix[i, j]`` examples of class j were predicted to be of class i. That
        is ``sklearn.metrics.confusion_matrix(predicted, actual)``; with the actual
        classes first, scikit-learn returns the transpose.
    class_names : sequence of str, length k, optional
        Names of the classes; 0, 1, ... by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the matrix; its ``texts`` are the counts, row by row. The
        key to the shades stands in Axes inset beside it.

    Raises
    ------
    ValueError
        If the matrix is not square, if its entries are no counts, or if there is not
        one name per class.

    Examples
    --------
    >>> names = ["not zero", "zero"]
    >>> ax = confusion_matrix([[8973, 42], [47, 938]], class_names=names)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('actual', 'predicted')
    >>> [text.get_text().split()[0] for text in ax.texts]
    ['8973', '42', '47', '938']
    """
    counts = _counts(matrix)
    k = len(counts)
    names = [str(i) for i in range(k)] if class_names is None else list(class_names)
    if len(names) != k:
        raise ValueError(
            f"confusion_matrix: {len(names)} class names for {k} classes"
            f" (the matrix is {counts.shape})"
        )
    per_class = counts.sum(axis=0)  # (k,) examples of each actual class
    shares = counts / np.maximum(per_class, 1)

    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    few = k <= 5  # then a cell has room for the share below the count
    size = (0.85 if few else 0.6) * max(k, 4)
    ax = _axes("confusion_matrix", ax, figsize=(size + 1.7, size + 0.9))
    shade, scale = colormaps["Blues"], PowerNorm(0.5, vmin=0, vmax=1)
    image = ax.imshow(shares, cmap=shade, norm=scale, aspect="auto")
    for i, j in np.ndindex(k, k):
        ax.text(
            j,
            i,
            f"{counts[i, j]}\n{shares[i, j]:.1%}" if few else f"{counts[i, j]}",
            horizontalalignment="center",
            verticalalignment="center",
            fontsize="large" if k == 2 else "medium",
            color=_legible_on(shade(float(scale(shares[i, j])))),
        )

    long_names = k > 3 and max(map(len, names)) > 4
    ax.set_xticks(range(k), names, rotation=45 if long_names else 0)
    ax.set_yticks(range(k), names)
    ax.set(xlabel="actual", ylabel="predicted", title=title)
    ax.tick_params(length=0)
    # White lines between the cells, at the minor ticks.
    edges = np.arange(k + 1) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)

    # Inset: as high as the matrix, and no room taken from other Axes.
    key = _figure(ax).colorbar(
        image,
        cax=ax.inset_axes((1.04, 0, 0.05, 1)),
        ticks=[0, 0.01, 0.05, 0.2, 0.5, 1],
    )
    key.set_label("share of the actual class")
    key.ax.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    return ax


def gradient_error(
    claimed: ArrayLike,
    right: ArrayLike,
    *,
    ax: Axes | None = None,
    title: str = "error of the gradient",
) -> Axes:
    """Draw where a gradient is off, as a heat map of claimed minus right.

    Parameters
    ----------
    claimed, right : array_like, of one shape
        A vector is drawn as one row; of more than two axes the last stay columns. Of
        more entries than can be seen, each cell shows the worst of a block.
    ax : matplotlib.axes.Axes, optional
        A figure of its own unless given.
    title : str

    Returns
    -------
    matplotlib.axes.Axes
        The largest error is framed, and stands with its index below the picture;
        entries that are nan or infinite are black.

    Raises
    ------
    ValueError
        If the shapes differ, or there are no entries.

    Examples
    --------
    >>> ax = gradient_error([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 5.0]])
    >>> print(ax.get_xlabel())
    axis 1
    largest error: -1 at [1, 1], framed
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator

    claimed = np.asarray(claimed, dtype=np.float64)
    right = np.asarray(right, dtype=np.float64)
    if claimed.shape != right.shape or not claimed.size:
        raise ValueError(
            "gradient_error: claimed and right must have one shape and some entries, "
            f"got {claimed.shape} and {right.shape}"
        )
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        error = np.asarray(claimed - right)
    error = np.where(np.isfinite(error), error, np.nan)
    flat = error.reshape(-1, claimed.shape[-1] if claimed.ndim else 1)
    shown, (high, wide) = _worst_of_blocks(flat)
    rows, columns = flat.shape

    ax = _axes("gradient_error", ax, figsize=(6.4, 2.8 if rows == 1 else 4.0))
    largest = float(np.nanmax(np.abs(error), initial=0.0))
    image = ax.imshow(
        shown,
        cmap=colormaps["PuOr_r"].with_extremes(bad="black"),
        vmin=-(largest or 1.0),
        vmax=largest or 1.0,
        extent=(-0.5, shown.shape[1] * wide - 0.5, shown.shape[0] * high - 0.5, -0.5),
        aspect="auto",
        interpolation="none",
    )
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), title=title)
    lost = int(np.isnan(error).sum())
    words = [f"{lost:,} of {error.size:,} nan or infinite, black"] if lost else []
    if largest and error.size == 1:
        words = [f"error: {error.item():.3g}"]
    elif largest:
        place = int(np.nanargmax(np.abs(error)))
        index = list(map(int, np.unravel_index(place, error.shape)))
        words.insert(0, f"largest error: {error[tuple(index)]:.3g} at {index}, framed")
        i, j = place // columns // high * high, place % columns // wide * wide
        # Around the cell, but not so small that its colour would not be seen.
        width, height = max(wide, columns / 40), max(high, rows / 25)
        corner = (j + (wide - width - 1) / 2, i + (high - height - 1) / 2)
        frame = Rectangle(corner, width, height, fill=False, linewidth=2, clip_on=False)
        ax.add_patch(frame)
    names = [f"axis {axis}" for axis in range(error.ndim)] or [""]
    ax.set_xlabel("\n".join([names[-1], "; ".join(words) or "no error"]).strip())
    ax.set_ylabel(", ".join(names[:-1]))
    for axis, count in ((ax.xaxis, columns), (ax.yaxis, rows)):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=9, min_n_ticks=1))
        if count == 1:
            axis.set_ticks([0] if error.ndim > 1 else [])
    # Inset: as high as the map, and no room taken from other Axes.
    key = _figure(ax).colorbar(image, cax=ax.inset_axes((1.03, 0, 0.04, 1)))
    key.set_label("claimed minus right")
    key.ax.yaxis.set_major_locator(MaxNLocator(nbins=5, symmetric=True))
    return ax


def save(ax: Axes, path: str | os.PathLike[str], *, dpi: float = 150) -> Path:
    """Write the figure of some Axes to a file, whole or not at all.

    The same picture gives the same bytes: no date is written into the file.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Any Axes of the figure.
    path : path-like
        The file; its suffix, .png, .svg or .pdf, chooses the format. What is there
        is replaced only when the new picture is complete.
    dpi : float
        Pixels per inch of a .png.

    Returns
    -------
    pathlib.Path
        The path written to.

    Raises
    ------
    ValueError
        If the suffix is none of these.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(activation(np.tanh), f"{folder}/tanh.svg").name
    'tanh.svg'
    """
    import matplotlib as mpl

    figure = _figure(ax)
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in UNDATED:
        raise ValueError(
            f"save: the path {str(path)!r} must end in one of {', '.join(UNDATED)}"
        )
    # A fixed salt: without it the names inside an SVG are random.
    with (
        mpl.rc_context({"svg.hashsalt": "tinygrad_edu"}),
        written_atomically(path) as file,
    ):
        figure.savefig(file, format=suffix[1:], dpi=dpi, metadata=UNDATED[suffix])
    return path


def _axes(caller: str, ax: Axes | None, *, figsize: tuple[float, float]) -> Axes:
    return _new_axes(figsize) if ax is None else _checked_axes(caller, ax)


def _new_axes(figsize: tuple[float, float]) -> Axes:
    """The Axes of a new figure, one that pyplot and its windows know nothing of."""
    from matplotlib.figure import Figure

    return Figure(figsize=figsize, layout="constrained").add_subplot()


def _checked_axes(caller: str, ax: Axes) -> Axes:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(
            f"{caller}: ax must be one matplotlib Axes, got {type(ax).__name__}."
            " Did you mean fig.add_subplot(), or one entry of an array of Axes?"
        )
    return ax


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("the Axes have been removed from their figure")
    return figure


def _draw_line(
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
        label=label,
    )
    ax.grid(True, color="0.88")
    ax.set_axisbelow(True)
    if label is not None:
        ax.legend()


def _draw_image(
    ax: Axes,
    square: NDArray[np.float64],
    corner: tuple[float, float],
    low: float,
    high: float,
    *,
    wrong: bool,
) -> None:
    """Draw a square image, low as white and high as black, in a frame."""
    from matplotlib.patches import Rectangle

    (left, top), side = corner, len(square)
    ax.imshow(
        square,
        cmap="gray_r",
        vmin=low,
        vmax=high,
        extent=(left, left + side, top + side, top),
    )
    frame = Rectangle(corner, side, side, fill=False)
    frame.set(
        edgecolor=WRONG_COLOUR if wrong else "0.8", linewidth=3.0 if wrong else 0.5
    )
    ax.add_patch(frame)


def _rule_off(ax: Axes, epoch: float) -> None:
    """Mark, over the whole height, the epoch at which a loss blew up."""
    ax.vlines(
        epoch,
        0,
        1,
        transform=ax.get_xaxis_transform(),  # x in data, y in Axes units
        colors=WRONG_COLOUR,
        linestyles=":",
        label=f"not finite at epoch {epoch:g}",
    )
    ax.legend()


def _vector(caller: str, name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{caller}: {name} must have shape (n,) with n > 0, got {array.shape}"
        )
    return array


def _square_images(images: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(images, dtype=np.float64)
    flat_side = round(np.sqrt(array.shape[-1])) if array.ndim == 2 else 0
    if array.ndim == 2 and flat_side**2 == array.shape[1]:
        array = array.reshape(-1, flat_side, flat_side)
    if array.ndim != 3 or array.shape[1] != array.shape[2]:
        raise ValueError(
            "digit_samples: images must have shape (n, side * side) or (n, side, side),"
            f" got {array.shape}. A single image: images[None]."
        )
    if array.size == 0 or len(array) > 500:
        raise ValueError(
            f"digit_samples: a sheet holds 1 to 500 images, got {len(array)} of"
            f" {array.shape[1]} x {array.shape[2]} pixels. Pass some: images[:40]."
        )
    if not np.isfinite(array).all():
        raise ValueError("digit_samples: the images hold nan or infinity")
    return array


def _words(name: str, values: ArrayLike, count: int) -> list[str]:
    """Labels as text, in which 7, 7.0 and "7" are the same."""
    array = np.asarray(values)
    if array.shape != (count,):
        hint = " One-hot rows: pass .argmax(axis=1)." if array.ndim == 2 else ""
        raise ValueError(
            f"digit_samples: {name} must have shape ({count},), one per image,"
            f" got {array.shape}.{hint}"
        )
    return [f"{v:g}" if array.dtype.kind == "f" else str(v) for v in array]


def _counts(matrix: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise ValueError(
            f"confusion_matrix: the matrix must have shape (k, k), got {array.shape}"
        )
    whole = np.isfinite(array) & (array == np.floor(array)) & (array >= 0)
    if not whole.all():
        raise ValueError(
            "confusion_matrix: the entries must be counts (whole numbers, 0 or more),"
            f" got {array[~whole][0]}. Pass the matrix before it is normalised."
        )
    return array.astype(np.int64)


def _legible_on(rgba: tuple[float, float, float, float]) -> str:
    """Black or white, whichever contrasts more with a background colour.

    By the relative luminance of WCAG 2, on which both contrast equally at 0.179.
    """
    rgb = np.asarray(rgba[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def _worst_of_blocks(
    error: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the worst entry of each block, and a block's height and width.

    The blocks are so large that each can be seen in a picture of usual size; else one
    wrong entry among many would be lost. Worst is nan, then what is furthest from 0.
    """
    high, wide = (-(-n // most) for n, most in zip(error.shape, (80, 120), strict=True))
    if high == wide == 1:
        return error, (1, 1)
    rows, columns = (-(-n // k) for n, k in zip(error.shape, (high, wide), strict=True))
    whole = np.zeros((rows * high, columns * wide))
    whole[: error.shape[0], : error.shape[1]] = error
    cells = whole.reshape(rows, high, columns, wide).swapaxes(1, 2)
    blocks = cells.reshape(rows, columns, high * wide)
    size = np.nan_to_num(np.abs(blocks), nan=np.inf)
    worst = np.argmax(size, axis=-1)[..., None]
    return np.take_along_axis(blocks, worst, axis=-1)[..., 0], (high, wide)
