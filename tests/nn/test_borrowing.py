"""Borrowing a model: what is put back, and when there is nothing to put back."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.engine.recording import RECORDING
from tinygrad_edu.nn.borrowing import evaluating, left_as_it_is


def test_evaluating_leaves_a_function_alone():
    with evaluating(np.tanh):
        assert not RECORDING.get()

    assert RECORDING.get()


def test_a_function_has_nothing_to_be_put_back():
    with left_as_it_is(np.tanh):
        assert np.tanh(0.0) == 0.0
