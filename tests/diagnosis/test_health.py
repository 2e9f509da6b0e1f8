"""Words for what is wrong with a result at a glance."""

from __future__ import annotations

import numpy as np
import pytest
from explained import leaf

import tinygrad_edu as te
from tinygrad_edu.diagnosis.health import findings_of, warnings_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # nan is meant here


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: te.sigmoid(leaf([9.0, 0, 0, 0])), ("saturated 25 %",)),
        (lambda: te.sigmoid(leaf([9.0] + [0] * 9)), ("saturated 10 %",)),
        (lambda: te.sigmoid(leaf([9.0] + [0] * 10)), ()),
        (lambda: te.sigmoid(leaf([9.0] * 999 + [0])), ("saturated 99 %",)),
        (lambda: te.sigmoid(leaf([5.99])), ("saturated 100 %",)),
        (lambda: te.sigmoid(leaf([5.97])), ()),
        (lambda: te.tanh(leaf([3.0, -3.0, 1.0])), ("saturated 66 %",)),
        (lambda: te.hard_tanh(leaf([-2.0, 0.5])), ("saturated 50 %",)),
        (lambda: te.hard_tanh(leaf([2.0, 0.5]), max_val=3.0), ()),
        (lambda: te.softsign(leaf([-10.0, 1.0])), ("saturated 50 %",)),
        (
            lambda: te.softmax(leaf([[0.0] * 1000, [99.0] + [0] * 999])),
            ("saturated 50 %",),
        ),
        (lambda: te.softmax(leaf([[9.0, 0], [0, 0]]), axis=0), ("saturated 50 %",)),
        (lambda: te.relu(leaf([[1.0, -1, -1], [1, -1, 1]])), ("dead 33 %",)),
        (lambda: np.maximum(leaf([[1.0, -1], [1, -1]]), 0), ("dead 50 %",)),
        (lambda: np.maximum(leaf([[1.0, -1], [1, -1]]), -1), ()),
        (lambda: te.leaky_relu(leaf([[-1.0], [-1.0]])), ()),
        (lambda: te.relu(leaf([[1.0, -1, -1]])), ()),
        (lambda: te.relu(leaf([1.0, -1, -1])), ()),
        (lambda: te.relu(leaf([-1.0, -1])), ("dead 100 %",)),
        (lambda: te.relu(leaf(-1.0)), ("dead 100 %",)),
        (
            lambda: te.relu(leaf(np.ones((1, 2, 3, 3)) * [[[[1]], [[-1]]]])),
            ("dead 50 %",),
        ),
        (lambda: te.relu(leaf(np.ones((0, 3)))), ()),
        (lambda: te.exp(leaf([1e4, 0.0])), ("infinite",)),
        (lambda: te.log(leaf([-1.0, 0.0])), ("NaN", "infinite")),
        (lambda: te.relu(leaf([[np.nan, -1], [-1, -1]])), ("NaN", "dead 50 %")),
        (lambda: te.slogdet(leaf(np.eye(2))).sign, ()),
        (lambda: leaf([np.nan]), ("NaN",)),
        (lambda: np.array([np.inf, 1]), ("infinite",)),
        (lambda: np.array([1, 2]), ()),
        (lambda: 3.5, ()),
    ],
)
def test_words_for_health(make, words):
    assert warnings_of(make()) == words


def test_findings_have_their_numbers():
    (found,) = findings_of(te.relu(leaf([[1.0, -1, -1], [1, -1, 1]])))

    assert (found.what, found.count, found.total, found.of) == ("dead", 1, 3, "units")
