"""What an estimator learns from: rows, targets and maybe weights."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from tinygrad_edu.training.feed import Selected

__all__ = ["Examples", "checked_weights", "dense_rows"]


class Examples:
    """Rows to learn from, with targets and maybe weights.

    Parameters
    ----------
    X : ndarray or DenseRows, shape (n, ...)
        Read only batch by batch.
    y : ndarray, shape (m, ...)
        Of all rows, or of those in ``rows``.
    weights : ndarray, shape (m,), or None
    rows : ndarray of int, shape (m,), optional
        Which of the rows of X they are; by default all, in their order.
    """

    def __init__(
        self,
        X: Any,
        y: np.ndarray,
        weights: np.ndarray | None,
        rows: np.ndarray | None = None,
    ) -> None:
        self.X = X if rows is None else Selected(X, rows)
        self.y, self.weights = y, weights
        self._whole, self._rows = X, rows

    def __len__(self) -> int:
        return len(self.y)

    def for_loss(self) -> Any:
        """Return what the loss takes besides the output."""
        return self.y if self.weights is None else (self.y, self.weights)

    def part(self, which: np.ndarray) -> Examples:
        """Return some of the examples, by their numbers."""
        return Examples(
            self._whole,
            self.y[which],
            None if self.weights is None else self.weights[which],
            which if self._rows is None else self._rows[which],
        )


class DenseRows:
    """The rows of a sparse matrix, made dense when they are asked for."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    def __len__(self) -> int:
        return int(self._matrix.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self._matrix[rows].toarray())


def dense_rows(X: Any) -> Any:
    """Return something of which slices and arrays of row numbers give dense rows."""
    return DenseRows(X) if issparse(X) else X


def checked_weights(weights: Any, n: int, dtype: Any) -> np.ndarray:
    """Return a weight for each of n rows, none of them negative and not all 0."""
    if isinstance(weights, Real):
        weights = np.full(n, weights)
    weights = check_array(
        weights, ensure_2d=False, dtype=dtype, input_name="sample_weight"
    )
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must have shape ({n},), one weight for each row, got "
            f"{weights.shape}"
        )
    if (weights < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weights.min():g}")
    if not weights.any():
        raise ValueError("every sample_weight is zero: there is nothing to learn from")
    return np.asarray(weights)
