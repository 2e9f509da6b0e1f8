"""A network, and a loss of it, to be explained; and what was said, in one line."""

from __future__ import annotations

import numpy as np

import tinygrad_edu as te


def leaf(data, name=None, **kwargs):
    return te.tensor(data, requires_grad=True, name=name, **kwargs)


def with_grad(*grads):
    """A parameter with the gradients of so many backwards."""
    w = leaf([1.0, 2.0], "w")
    for g in grads:
        te.sum(w * np.array(g)).backward()
    return w


def said(explanation):
    """The text without line breaks."""
    return " ".join(str(explanation).split())


def network():
    return te.nn.Sequential(
        te.nn.Linear(4, 3, rng=0), te.nn.Sigmoid(), te.nn.Linear(3, 2, rng=1)
    )


def loss_of(model, rng):
    rows = rng.standard_normal((5, 4))
    return te.nn.softmax_cross_entropy(model(rows), np.array([0, 1, 0, 1, 1]))
