"""A digit from a picture: made as the digits are that a model has learned from."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["in_characters", "read_digit"]

_FAINT = 0.1  # of the darkest ink: what is paler is paper
_MOST_PIXELS = (
    50_000_000  # a file of some kilobytes may claim more than there is memory
)
_MARGIN = {8: 0, 28: 4}  # pixels around the digit, by the side of the picture


def read_digit(path: str | os.PathLike[str], side: int) -> np.ndarray:
    """Return the digit in a picture, as scikit-learn's digits or MNIST's are.

    Parameters
    ----------
    path : str or path
        A picture (PNG, JPEG and whatever else Pillow reads) of one digit, dark on light
        or light on dark. Where it is transparent it counts as white.
    side : {8, 28}
        Of the result, in pixels.

    Returns
    -------
    ndarray, shape (side, side)
        From 0, the paper, to 1, the ink; dimensionless.

    Raises
    ------
    ValueError
        If the file is no picture, or one of more than 50 million pixels; if pixels are
        nan or infinite, or nothing stands out.
    OSError
        If the file cannot be read.

    Notes
    -----
    The paper is what most of the border is. The digit is cropped and shrunk, or grown,
    to a box of 20 pixels, whose centre of mass comes into the middle of 28 by 28, as in
    MNIST (Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten
    digits"); for 8 by 8 to the whole height or width, in the middle.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib import image
    >>> path = getfixture("tmp_path") / "one.png"
    >>> page = np.ones((60, 40, 3))
    >>> page[10:50, 18:23] = 0.0  # a stroke, dark on light
    >>> image.imsave(path, page)
    >>> print(in_characters(read_digit(path, 8)))  # doctest: +NORMALIZE_WHITESPACE
    ██
    ██
    ██
    ██
    ██
    ██
    ██
    ██
    """
    from PIL import Image  # which matplotlib has brought along

    ink = _ink(_grey(Path(path)), Path(path).name)
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    longest = side - 2 * _MARGIN[side]
    shape = [max(1, round(n * longest / max(box.shape))) for n in box.shape]
    if shape != [*box.shape]:
        resized = Image.fromarray(box.astype(np.float32))
        resized = resized.resize(
            (shape[1], shape[0]), resample=Image.Resampling.BILINEAR
        )
        box = np.asarray(resized, float)
        box /= box.max()
    centres = np.array(shape) / 2
    if _MARGIN[side]:
        # Pixels are counted from 0: MNIST's middle is the pixel (14, 14).
        centres = (np.indices(box.shape) * box).sum(axis=(1, 2)) / box.sum()
    corner = np.floor(side / 2 - centres + 0.5).astype(int)
    top, left = np.clip(corner, 0, side - np.array(shape))
    digit = np.zeros((side, side))
    digit[top : top + shape[0], left : left + shape[1]] = box
    return digit


def _grey(path: Path) -> np.ndarray:
    """Return a picture from 0, black, to 1, white."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with _opened(path) as picture:
            if picture.mode.startswith(("I", "F")):  # 16 bits and more
                deep = np.asarray(picture, float)
                if not np.isfinite(deep).all():
                    raise ValueError(f"{path.name} has pixels that are nan or infinite")
                return deep / max(float(deep.max()), 1.0)
            colours = ImageOps.exif_transpose(picture).convert("RGBA")
    except UnidentifiedImageError:
        raise ValueError(f"{path.name} is no picture, or of an unknown kind") from None
    white = Image.new("RGBA", colours.size, "white")
    return np.asarray(Image.alpha_composite(white, colours).convert("L"), float) / 255


def _opened(path: Path) -> Image.Image:
    """Open a picture, of which only the size is read; refuse one that is huge."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path.name} is too large for a picture of a digit"
        ) from error
    width, height = picture.size
    if width * height > _MOST_PIXELS:
        picture.close()
        raise ValueError(
            f"{path.name} is too large for a picture of a digit: {width:,} by "
            f"{height:,} pixels, at most {_MOST_PIXELS:,} in all. Make it smaller"
        )
    return picture


def _ink(grey: np.ndarray, name: str) -> np.ndarray:
    """Return from 0 to 1 how much a pixel stands out from the paper."""
    border = [grey[0], grey[-1], grey[:, 0], grey[:, -1]]
    paper = float(np.median(np.concatenate(border)))
    is_light = paper > (grey.min() + grey.max()) / 2
    ink: np.ndarray = paper - grey if is_light else grey - paper
    strongest = float(ink.max())
    if strongest < 0.1:
        raise ValueError(f"{name} shows no digit: nothing in it stands out")
    ink = ink / strongest
    ink[ink < _FAINT] = 0.0
    return ink


def in_characters(picture: np.ndarray) -> str:
    """Return a picture as lines of blocks, for a terminal.

    Parameters
    ----------
    picture : ndarray, shape (H, W)
        From 0, which is left blank, to 1.

    Returns
    -------
    str
        A character is about twice as high as wide: it stands for two pixels of a large
        picture, one above the other; in a small one, two stand for a pixel.

    Examples
    --------
    >>> import numpy as np
    >>> print(in_characters(np.array([[1.0, 0.3], [0.0, 0.7]])))
    ██░░
      ▓▓
    """
    if len(picture) < 20:
        cells = np.repeat(picture, 2, axis=1)
    else:
        even = picture[: len(picture) // 2 * 2]
        cells = even.reshape(-1, 2, even.shape[1]).mean(axis=1)
    levels = np.clip(np.rint(cells * 4), 0, 4).astype(int)
    return "\n".join(
        "".join(" ░▒▓█"[level] for level in row).rstrip() for row in levels
    )
