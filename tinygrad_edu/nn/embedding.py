"""Embedding: a vector for each number of a list, such as the words of a language."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.operands import unmasked
from tinygrad_edu.nn.initializers import Initializer
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.nn.parameters import drawn, positive
from tinygrad_edu.randomness import RandomSource

__all__ = ["Embedding"]


class Embedding(Layer):
    """A table of vectors, looked up by number: words or characters become vectors.

    Parameters
    ----------
    num_embeddings : int
        How many vectors there are; the indices go from 0 to one less.
    embedding_dim : int
        The length of each vector.
    init : str or callable, default "standard_normal"
        A name from :mod:`tinygrad_edu.nn.initializers`, or a function of a shape and a
        random generator that returns an array.
    rng : int, Generator, RandomState or None
        Where the vectors are drawn from.
    dtype : dtype, default float64

    Attributes
    ----------
    weight : Tensor, shape (num_embeddings, embedding_dim)
        The vectors, as rows.

    Raises
    ------
    ValueError
        If a size is not positive; when called, if the indices are no integers or lie
        outside the table.

    Notes
    -----
    y = weight[indices]; dL/dweight is the sum, for each row, of g wherever the row was
    looked up, as in :func:`tinygrad_edu.take`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> layer = te.nn.Embedding(10, 3, rng=0)
    >>> layer([[1, 2, 4, 5], [4, 3, 2, 9]]).shape
    (2, 4, 3)
    """

    independent_rows = True

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        init: str | Initializer = "standard_normal",
        rng: RandomSource = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        shape = positive(
            self, num_embeddings=num_embeddings, embedding_dim=embedding_dim
        )
        vectors = drawn(self, init, shape, rng)
        self.weight = tensor(vectors, requires_grad=True, name="weight", dtype=dtype)

    def forward(self, indices: Any) -> Any:
        """Return the vectors, shape (..., embedding_dim), for ``indices`` (...)."""
        numbers = (
            indices.data
            if isinstance(indices, Tensor)
            else unmasked(indices, "Embedding: indices")
        )
        if numbers.dtype.kind not in "iu":
            self.refuse(indices, f"indices must be integers, not {numbers.dtype}")
        outside = (numbers < 0) | (numbers >= len(self.weight))
        if np.any(outside):
            last, wrong = len(self.weight) - 1, numbers[outside][0]
            self.refuse(indices, f"indices must lie in 0..{last}, not {wrong}")
        return ops.take.call(self.weight, indices, axis=0)

    def extra_repr(self) -> str:
        """Return the sizes: ``10 x 3``."""
        rows, columns = self.weight.shape
        return f"{rows} x {columns}"
