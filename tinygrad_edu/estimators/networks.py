"""The network of an estimator: one with hidden layers, or the user's own."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu import nn

__all__ = ["ACTIVATIONS", "network"]

ACTIVATIONS: dict[str, type[nn.Layer] | None] = {
    "identity": None,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


def network(
    sizes: list[int], activation: str, random: np.random.RandomState, dtype: Any
) -> nn.Layer:
    """Return a network with weights drawn in the order of ``MLPClassifier``.

    Parameters
    ----------
    sizes : list of int
        Features, units of each hidden layer, outputs.
    activation : str
        A key of ``ACTIVATIONS``.
    random : RandomState
    dtype : dtype-like
        Of the parameters.

    Returns
    -------
    Layer

    Examples
    --------
    >>> network([4, 8, 3], "relu", np.random.RandomState(0), np.float64)
    Sequential(
      0: Linear(4 -> 8)
      1: ReLU()
      2: Linear(8 -> 3)
    )
    """
    model = nn.Sequential()
    hidden = ACTIVATIONS[activation]
    factor = 2 if activation == "logistic" else 6
    for n_in, n_out in pairwise(sizes):
        if len(model) and hidden is not None:
            model.append(hidden())
        bound = math.sqrt(factor / (n_in + n_out))
        weights = random.uniform(-bound, bound, (n_in, n_out)).T
        bias = random.uniform(-bound, bound, n_out)
        layer = nn.Linear(
            int(n_in), int(n_out), init=lambda *_, w=weights: w, dtype=dtype
        )
        assert layer.bias is not None
        layer.bias.data = bias.astype(dtype)
        model.append(layer)
    return model
