"""Images: samples, the worst mistakes, and what the units of a first layer look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.plots.axes import (
    WRONG_COLOUR,
    array_of,
    checked_axes,
    figure_of,
    literal,
    new_axes,
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import ArrayLike, NDArray

__all__ = ["digit_samples", "first_layer_weights", "worst_mistakes"]


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
    squares = _square_images("digit_samples", images)
    count = len(squares)
    _check_columns("digit_samples", columns)
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

    ax = _draw_sheet("digit_samples", squares, captions, columns, ax, wrong=wrong)
    ax.set_title(readable(title))
    return ax


def worst_mistakes(
    images: ArrayLike,
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    count: int = 16,
    columns: int = 8,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the images that a network misread, those that it was surest of first.

    Below an image stand its label, the prediction and the prediction's probability.

    Parameters
    ----------
    images : array_like, shape (n, side * side) or (n, side, side)
        Images in grey values, as :func:`digit_samples` takes them.
    labels : array_like of int, shape (n,)
        What the images show: 0, ..., k - 1.
    probabilities : array_like, shape (n, k)
        The probability of each class, such as the softmax of a network's output.
    count : int
        How many mistakes to draw at most.
    columns : int
        How many images stand in a row.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str, optional
        The title of the sheet. By default it explains the captions and counts
        the mistakes.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the whole sheet, empty if nothing is wrong; its ``images`` and
        ``texts`` are in the order of the mistakes.

    Raises
    ------
    ValueError
        If the images are not square or not finite, if labels or probabilities do not
        fit, if probabilities are not of 0 or more with sum 1, or if count or columns
        are not 1 or more.

    Examples
    --------
    >>> images = np.eye(8)[None].repeat(3, axis=0)
    >>> probabilities = [[0.9, 0.1], [0.3, 0.7], [0.8, 0.2]]
    >>> ax = worst_mistakes(images, [1, 0, 0], probabilities)
    >>> [text.get_text() for text in ax.texts]
    ['1 → 0, 90.0%', '0 → 1, 70.0%']
    """
    who = "worst_mistakes"
    _check_columns(who, columns)
    if count < 1:
        raise ValueError(f"{who}: count must be 1 or more, got {count}")
    chances, actual = _chances(probabilities, labels)
    pictures = array_of(images)
    if len(pictures) != len(actual):
        raise ValueError(f"{who}: {len(pictures)} images for {len(actual)} labels")
    predicted = chances.argmax(axis=1)
    everyone = np.arange(len(actual))
    sure, right = chances[everyone, predicted], chances[everyone, actual]
    # The surest first; of equals, the one whose label had the smallest chance.
    order = np.lexsort((right, -sure))
    mistakes = order[predicted[order] != actual[order]]
    shown = mistakes[:count]
    if title is None:
        title = f"label → prediction, its probability\n{len(mistakes)} of {len(actual)}"
        title += " wrong"
        if len(shown) < len(mistakes):
            title += f", the {len(shown)} surest shown"
    if not len(shown):
        ax = new_axes((4.2, 1.2)) if ax is None else checked_axes(who, ax)
        ax.set_axis_off()
    else:
        captions = [f"{actual[i]} → {predicted[i]}, {sure[i]:.1%}" for i in shown]
        squares = _square_images(who, pictures[shown])
        ax = _draw_sheet(who, squares, captions, columns, ax)
    ax.set_title(readable(title))
    return ax


def first_layer_weights(
    weight: ArrayLike,
    image_shape: tuple[int, int] | None = None,
    *,
    count: int = 32,
    columns: int = 8,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the weights of each unit of a first layer as an image: what it looks for.

    A positive weight is orange, a negative one blue with a dash across, and 0 white, on
    one scale for all units.

    Parameters
    ----------
    weight : array_like or Tensor, shape (units, pixels)
        ``layer.weight`` of a :class:`~tinygrad_edu.nn.Linear` that takes images.
    image_shape : (int, int), optional
        Rows and columns of an image; a square by default.
    count : int
        How many units to draw at most, from the first on.
    columns : int
        How many images stand in a row.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str, optional
        The title of the sheet. By default it says how many units are not shown.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the whole sheet; its ``images`` and ``texts`` are in the order of
        the units. The key to the colours stands in Axes inset beside it. Weights that
        are nan or infinite are black.

    Raises
    ------
    ValueError
        If weight has not two axes, if the pixels do not make up an image, or if count
        or columns are not 1 or more.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> layer = te.nn.Linear(64, 40, rng=0)
    >>> ax = first_layer_weights(layer.weight)
    >>> ax.get_title()
    'First-layer weights: 32 of 40 units, 8 not shown'
    """
    who = "first_layer_weights"
    _check_columns(who, columns)
    if not 0 < count <= 500:
        raise ValueError(f"{who}: count must be 1 to 500, got {count}")
    weights = array_of(weight).astype(np.float64)
    if weights.ndim != 2 or weights.size == 0:
        raise ValueError(
            f"{who}: weight must have shape (units, pixels), got {weights.shape}"
        )
    units, pixels = weights.shape
    if image_shape is None:
        image_shape = (round(np.sqrt(pixels)),) * 2
    high, wide = image_shape
    if high * wide != pixels:
        raise ValueError(
            f"{who}: {pixels} weights of a unit do not make up {high} x {wide} pixels."
            " Pass image_shape=(rows, columns)"
        )
    shown = weights[:count].reshape(-1, high, wide)
    shown = np.where(np.isfinite(shown), shown, np.nan)
    lost = np.count_nonzero(np.isnan(shown))
    if title is None:
        title = f"First-layer weights: {len(shown)} of {units} units"
        title += f", {units - len(shown)} not shown" * (len(shown) < units)
        if lost:
            title += f"\n{lost} of {shown.size} weights nan or infinite, black"

    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    colours = LinearSegmentedColormap.from_list(
        "weights", ["#00507d", "#6fb3dc", "white", "#f0a04b", "#8c3800"], N=257
    ).with_extremes(bad="black")
    limit = float(np.nanmax(np.abs(shown), initial=0.0)) or 1.0
    captions = [str(unit) for unit in range(len(shown))]
    ax = _draw_sheet(
        who, shown, captions, columns, ax, cmap=colours, limits=(-limit, limit)
    )
    _dash_negative(ax, shown, limit)
    ax.set_title(readable(title))
    # Inset: as high as the sheet, and no room taken from other Axes.
    key = figure_of(ax).colorbar(
        ax.images[0], cax=ax.inset_axes((1.03, 0, 0.03, 1)), extend="neither"
    )
    key.set_label("weight (negative: dashed)")
    key.ax.yaxis.set_major_locator(MaxNLocator(nbins=5, symmetric=True))
    return ax


def _draw_sheet(
    caller: str,
    images: NDArray[np.float64],
    captions: Sequence[str],
    columns: int,
    ax: Axes | None,
    *,
    wrong: Sequence[bool] | None = None,
    cmap: str | Colormap = "gray_r",
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw images in rows, a caption below each, on one scale of colours."""
    count, high, wide = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    caption_inches = 0.2 if any(captions) else 0.0
    gap = 0.12 * wide  # in pixels of the images, as all lengths without a unit
    if ax is None:
        inches = min(max(7.2 / columns, 0.9), 2.2)  # from one image to the next
        size = [
            max(4.2, columns * inches),
            rows * (inches * (high + gap) / (wide + gap) + caption_inches) + 0.4,
        ]
        if limits is not None:  # room for the key
            size = [size[0] + 1.0, max(size[1], 2.6)]
        ax = new_axes((size[0], size[1]))
    else:
        ax = checked_axes(caller, ax)
        inches = ax.get_window_extent().width / figure_of(ax).dpi / columns
    longest = max(len(caption) for caption in captions)
    fontsize = min(max(72 * inches / (0.65 * max(longest, 1)), 4), 10)
    pitch_x = wide + gap
    pitch_y = high + gap + caption_inches / inches * pitch_x

    low, top = limits or (float(images.min()), float(images.max()))
    wrong = wrong or [False] * count
    for i, image in enumerate(images):
        corner = i % columns * pitch_x, i // columns * pitch_y
        _draw_image(ax, image, corner, low, top, cmap=cmap, wrong=wrong[i])
        ax.text(
            corner[0] + wide / 2,
            corner[1] + high + gap / 2,
            literal(captions[i]),
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
    return ax


def _draw_image(
    ax: Axes,
    image: NDArray[np.float64],
    corner: tuple[float, float],
    low: float,
    high: float,
    *,
    cmap: str | Colormap,
    wrong: bool,
) -> None:
    """Draw an image in a frame."""
    from matplotlib.patches import Rectangle

    (left, top), (rows, columns) = corner, image.shape
    ax.imshow(
        image,
        cmap=cmap,
        vmin=low,
        vmax=high,
        extent=(left, left + columns, top + rows, top),
    )
    frame = Rectangle(corner, columns, rows, fill=False)
    frame.set(
        edgecolor=WRONG_COLOUR if wrong else "0.8", linewidth=3.0 if wrong else 0.5
    )
    ax.add_patch(frame)


def _dash_negative(ax: Axes, images: NDArray[np.float64], limit: float) -> None:
    """Put a dash on each pixel that is clearly negative: in grey one needs it."""
    from matplotlib.collections import PolyCollection

    corners = np.array([[-0.28, -0.06], [0.28, -0.06], [0.28, 0.06], [-0.28, 0.06]])
    dashes: list[NDArray[np.float64]] = []
    colours: list[str] = []
    for image, drawn in zip(images, ax.images, strict=True):
        left, _, _, top = drawn.get_extent()
        row, column = np.nonzero(image < -0.1 * limit)
        middle = np.stack([left + column + 0.5, top + row + 0.5], axis=-1)
        dashes.extend(middle[:, None] + corners)
        dark = image[row, column] < -0.7 * limit
        colours.extend("white" if d else "black" for d in dark)
    # Not snapped to pixels: the thin ones of many would vanish.
    ax.add_collection(
        PolyCollection(dashes, facecolors=colours, linewidths=0, snap=False)
    )


def _check_columns(caller: str, columns: int) -> None:
    if columns < 1:
        raise ValueError(f"{caller}: columns must be 1 or more, got {columns}")


def _chances(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    chances, actual = array_of(probabilities).astype(np.float64), array_of(labels)
    if chances.ndim != 2 or chances.shape[1] < 2:
        raise ValueError(
            "worst_mistakes: probabilities must have shape (n, k), a column for each"
            f" class, got {chances.shape}. Of two classes: np.stack([1 - p, p], axis=1)"
        )
    if not np.isfinite(chances).all():
        raise ValueError("worst_mistakes: the probabilities hold nan or infinity")
    sums = chances.sum(axis=1)
    if (chances < 0).any() or not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            "worst_mistakes: probabilities must be 0 or more, and 1 in sum over a row."
            " Pass the softmax of a network's output"
        )
    n, k = chances.shape
    if actual.shape != (n,):
        hint = ". One-hot rows: pass .argmax(axis=1)" if actual.ndim == 2 else ""
        raise ValueError(
            f"worst_mistakes: labels must have shape ({n},), one per row of"
            f" probabilities, got {actual.shape}{hint}"
        )
    if actual.dtype.kind not in "iu" or not ((actual >= 0) & (actual < k)).all():
        raise ValueError(
            f"worst_mistakes: labels must be whole numbers from 0 to {k - 1}, one for"
            " each column of probabilities"
        )
    return chances, actual


def _square_images(caller: str, images: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(images, dtype=np.float64)
    flat_side = round(np.sqrt(array.shape[-1])) if array.ndim == 2 else 0
    if array.ndim == 2 and flat_side**2 == array.shape[1]:
        array = array.reshape(-1, flat_side, flat_side)
    if array.ndim != 3 or array.shape[1] != array.shape[2]:
        raise ValueError(
            f"{caller}: images must have shape (n, side * side) or (n, side, side),"
            f" got {array.shape}. A single image: images[None]."
        )
    if array.size == 0 or len(array) > 500:
        raise ValueError(
            f"{caller}: a sheet holds 1 to 500 images, got {len(array)} of"
            f" {array.shape[1]} x {array.shape[2]} pixels. Pass some: images[:40]."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{caller}: the images hold nan or infinity")
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
