"""Dropout: noise in training, so that no unit relies on another one alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.operands import unmasked
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.randomness import RandomSource, draw, generator

__all__ = ["Dropout"]


class Dropout(Layer):
    """Sets random entries to 0 in training, and does nothing in evaluation.

    Parameters
    ----------
    p : float, default 0.5
        The probability of an entry to become 0.
    rng : int, Generator, RandomState or None
        Where the masks are drawn from, a new one with each call. Layers that are given
        one generator share it; a copy of a model draws from a copy of it.

    Raises
    ------
    ValueError
        If ``p`` does not lie in 0..1.

    Notes
    -----
    x m / (1 - p), where each entry of m is 0 with probability p, else 1: the mean is
    that of x, so that nothing need be scaled in evaluation. To the graph m is a
    constant: dL/dx = g m / (1 - p). Source: N. Srivastava, G. Hinton, A. Krizhevsky,
    I. Sutskever and R. Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks
    from Overfitting", JMLR 15, 2014, which scales in evaluation instead.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.Dropout(0.5, rng=0)
    >>> layer(np.ones(6))
    array([2., 0., 0., 0., 2., 2.])
    >>> layer.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: RandomSource = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must lie in 0..1, got {p!r}")
        self.p = p
        self.rng = generator(rng)

    @property
    def independent_rows(self) -> bool:  # type: ignore[override]
        """In evaluation: in training each call draws from the generator."""
        return not self.training or self.p == 0

    def forward(self, x: Any) -> Any:
        """Return ``x`` with some entries 0 and the others larger, of its shape."""
        x = x if type(x) is Tensor else unmasked(x, type(self).__name__)
        if not self.training or self.p == 0:
            return x
        kept = draw(self.rng, "uniform", size=x.shape) >= self.p
        scale = 1 / (1 - self.p) if self.p < 1 else 0.0
        return x * np.multiply(kept, scale, dtype=np.result_type(x.dtype, scale))

    def extra_repr(self) -> str:
        """Return the probability: ``p=0.5``."""
        return f"p={self.p}"
