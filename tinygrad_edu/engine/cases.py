"""Sample inputs of an operation, declared beside it, for its gradient tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.randomness import RandomSource, generator

__all__ = ["Case"]


class Case:
    """Sample inputs of an operation, for its gradient tests.

    Parameters
    ----------
    *inputs : tuple of int, array_like or callable
        One for each argument: a shape (filled with standard normal numbers), an
        array, or a function that is given a generator and returns an array. None for
        an argument left out.
    tolerance : float, default 1e-6
        Relative tolerance of the comparison with finite differences, dimensionless.
    **kwargs
        The operation's metadata.

    Examples
    --------
    >>> case = Case((2, 3), lambda rng: rng.uniform(1, 2, 3), axis=1)
    >>> [x.shape for x in case.sample(0)]
    [(2, 3), (3,)]
    """

    def __init__(self, *inputs: Any, tolerance: float = 1e-6, **kwargs: Any) -> None:
        self.inputs = inputs
        self.tolerance = tolerance
        self.kwargs = kwargs

    def sample(self, rng: RandomSource = None) -> list[Any]:
        """Return the inputs as arrays.

        Parameters
        ----------
        rng : int, Generator, RandomState or None
            What they are drawn from.

        Returns
        -------
        list of ndarray or None
            One for each argument.
        """
        rng = generator(rng)
        drawn = [
            rng.standard_normal(x) if isinstance(x, tuple) else x for x in self.inputs
        ]
        drawn = [x(rng) if callable(x) else x for x in drawn]
        return [None if x is None else np.array(x) for x in drawn]

    def __repr__(self) -> str:
        parts = ["f(rng)" if callable(x) else repr(x) for x in self.inputs]
        parts += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"Case({', '.join(parts)})"
