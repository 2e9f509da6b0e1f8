"""Scikit-learn's small handwritten digits, which need no download."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinygrad_edu.data.scaling import TrainTest, float_dtype, scaled

__all__ = ["load_digits"]

_N_TRAIN = 1_500


def load_digits(*, dtype: npt.DTypeLike = np.float64) -> TrainTest:
    """Load 1,797 handwritten digits of 8 x 8 pixels.

    Parameters
    ----------
    dtype : dtype-like
        The floating type of the images.

    Returns
    -------
    X_train : ndarray, shape (1500, 64)
        Images, one flat image per row, from 0 (paper) to 1 (ink), dimensionless.
    y_train : ndarray of int64, shape (1500,)
        The digits shown, 0 to 9.
    X_test : ndarray, shape (297, 64)
        The images left for testing.
    y_test : ndarray of int64, shape (297,)
        Their digits.

    Raises
    ------
    TypeError
        If ``dtype`` is not a floating type.

    See Also
    --------
    load_mnist : the large data set, 70,000 digits of 28 x 28 pixels.

    Notes
    -----
    The images come with scikit-learn (`sklearn.datasets.load_digits`), in its
    order, the first 1,500 for training. Its pixels are integers in 0..16, so
    ``X = pixels / 16`` is exact in every floating type.

    Examples
    --------
    >>> X_train, y_train, X_test, y_test = load_digits()
    >>> X_train.shape, X_test.shape
    ((1500, 64), (297, 64))
    >>> y_train[:10]
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    # Imported here: it takes most of a second, and few programs need it.
    from sklearn import datasets

    floating = float_dtype(dtype, "load_digits")
    pixels, labels = datasets.load_digits(return_X_y=True)
    X = scaled(pixels, 16, floating)
    y = labels.astype(np.int64)
    return X[:_N_TRAIN], y[:_N_TRAIN], X[_N_TRAIN:], y[_N_TRAIN:]
