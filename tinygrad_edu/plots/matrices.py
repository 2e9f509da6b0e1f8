"""Matrices as pictures: who was taken for whom, and where a gradient is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.plots.axes import (
    axes_for,
    figure_of,
    literal,
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = ["confusion_matrix", "gradient_error"]


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
    ax = axes_for("confusion_matrix", ax, figsize=(size + 1.7, size + 0.9))
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
    names = [literal(name) for name in names]
    ax.set_xticks(range(k), names, rotation=45 if long_names else 0)
    ax.set_yticks(range(k), names)
    ax.set(xlabel="actual", ylabel="predicted", title=readable(title))
    ax.tick_params(length=0)
    # White lines between the cells, at the minor ticks.
    edges = np.arange(k + 1) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)

    # Inset: as high as the matrix, and no room taken from other Axes.
    key = figure_of(ax).colorbar(
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

    ax = axes_for("gradient_error", ax, figsize=(6.4, 2.8 if rows == 1 else 4.0))
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
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), title=readable(title))
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
    key = figure_of(ax).colorbar(image, cax=ax.inset_axes((1.03, 0, 0.04, 1)))
    key.set_label("claimed minus right")
    key.ax.yaxis.set_major_locator(MaxNLocator(nbins=5, symmetric=True))
    return ax


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
