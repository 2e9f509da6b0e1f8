"""Pictures as files, the same bytes for the same picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_edu.files import written_atomically
from tinygrad_edu.plots.axes import figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["save"]

# The formats of `save`, each with the metadata that keeps the date out of the file.
UNDATED: dict[str, dict[str, None]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


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
    >>> import numpy as np
    >>> from tinygrad_edu import plots
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plots.save(plots.activation(np.tanh), f"{folder}/tanh.svg").name
    'tanh.svg'
    """
    import matplotlib as mpl

    figure = figure_of(ax)
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
