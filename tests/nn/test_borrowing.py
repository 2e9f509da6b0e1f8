"""Borrowing a model: what is put back, and when there is nothing to put back."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu import nn
from tinygrad_edu.engine.recording import RECORDING
from tinygrad_edu.nn.borrowing import evaluating, left_as_it_is


def test_evaluating_leaves_a_function_alone():
    with evaluating(np.tanh):
        assert not RECORDING.get()

    assert RECORDING.get()


def test_a_function_has_nothing_to_be_put_back():
    with left_as_it_is(np.tanh):
        assert np.tanh(0.0) == 0.0


@pytest.mark.parametrize(
    "wrapped", [lambda r: r, lambda r: [r], lambda r: {"a": (1, [r])}]
)
def test_random_generators_are_put_back_wherever_a_layer_holds_them(wrapped):
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    layer = nn.Layer()
    layer.held = wrapped(rng)

    with left_as_it_is(nn.Sequential(layer)):
        rng.random(3)

    assert rng.random() == other.random()
