"""What layers share in making their parameters: sizes, and numbers to start from."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.nn.initializers import Initializer, named
from tinygrad_edu.randomness import RandomSource, generator

__all__ = ["drawn", "positive"]


def positive(layer: object, **sizes: Any) -> tuple[int, ...]:
    """Return the sizes as ints, or raise the error that names layer and arguments."""
    given = sizes.values()
    if not all(isinstance(size, int | np.integer) and size > 0 for size in given):
        raise ValueError(
            f"{type(layer).__name__}: {' and '.join(sizes)} must be positive integers, "
            f"got {' and '.join(map(repr, given))}"
        )
    return tuple(map(int, given))


def drawn(
    layer: object, init: str | Initializer, shape: tuple[int, ...], rng: RandomSource
) -> np.ndarray:
    """Return what an initialiser draws, if it has the shape asked for."""
    weights = named(init)(shape, generator(rng))
    if np.shape(weights) != shape:
        raise ValueError(
            f"{type(layer).__name__}: init returned shape {np.shape(weights)}, "
            f"not {shape}"
        )
    return weights
