"""What the data sets share: their form, and pixels as numbers in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["TrainTest", "float_dtype", "scaled"]

#: X_train, y_train, X_test, y_test
TrainTest = tuple[
    npt.NDArray[np.floating[Any]],
    npt.NDArray[np.int64],
    npt.NDArray[np.floating[Any]],
    npt.NDArray[np.int64],
]


def float_dtype(dtype: npt.DTypeLike, caller: str) -> np.dtype[Any]:
    """Return ``dtype`` as a floating NumPy dtype.

    Parameters
    ----------
    dtype : dtype-like
        What the user asked for.
    caller : str
        The public function that the error message names.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    TypeError
        If ``dtype`` is not a floating type: fractions do not fit in integers.

    Examples
    --------
    >>> float_dtype("float32", "load_digits")
    dtype('float32')
    """
    found = np.dtype(dtype)
    if not np.issubdtype(found, np.floating):
        raise TypeError(
            f"{caller}: dtype must be a floating type such as np.float32, got {found}"
        )
    return found


def scaled(
    pixels: npt.NDArray[Any], largest: int, dtype: np.dtype[Any]
) -> npt.NDArray[np.floating[Any]]:
    """Return ``pixels / largest``, flat, one row per image.

    Parameters
    ----------
    pixels : ndarray, shape (n, ...)
        Integers in 0..largest, dimensionless.
    largest : int
        The value of a fully inked pixel.
    dtype : numpy.dtype
        The floating type of the quotient; the division itself is done in it.

    Returns
    -------
    ndarray, shape (n, m)
        In [0, 1]; ``m`` is the number of pixels per image.

    Examples
    --------
    >>> scaled(np.array([[[0, 51], [102, 255]]], np.uint8), 255, np.dtype(float))
    array([[0. , 0.2, 0.4, 1. ]])
    """
    # ufunc dtype=: NumPy converts in small buffers, so no float copy of the pixels
    # is made beside the result (439 MB for all of MNIST in float64).
    flat = pixels.reshape(len(pixels), -1)  # (n, H, W) -> (n, H*W)
    fractions: npt.NDArray[np.floating[Any]] = np.divide(flat, largest, dtype=dtype)
    return fractions
