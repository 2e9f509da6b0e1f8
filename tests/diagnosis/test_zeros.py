"""Why a gradient is zero: every reason is real, and stands at its operation."""

from __future__ import annotations

import numpy as np
import pytest
from explained import leaf, said

import tinygrad_edu as te

NONE = np.zeros((3, 2))
ZERO = [
    ("dead", lambda x: te.relu(-te.exp(x)), "t3", "dead: 2 of 2 units are 0 for every"),
    ("dead", lambda x: np.maximum(x - 9, 0), "t2", "t2 (maximum) is dead"),
    ("dead", lambda x: te.relu(x - 9)[0, :1], "t2", "2 of 2 units"),
    ("dead", lambda x: te.relu(x * [-1, 1])[:, 0], "t2", "0, and flat, wherever a gr"),
    ("saturated", lambda x: te.tanh(1e3 * x), "t2", "t2 (tanh) is saturated 100 %"),
    ("saturated", lambda x: te.sigmoid(1e4 * x), "t2", "saturated 100 %"),
    ("saturated", lambda x: te.hard_tanh(x + 9), "t2", "saturated 100 %"),
    ("zero-factor", lambda x: x * np.zeros(2), "t1", "its argument b, which is 0"),
    ("zero-factor", lambda x: x @ te.tensor(np.zeros((2, 3)), name="W"), "t1", "by W,"),
    ("zero-factor", lambda x: te.linear(x, NONE, NONE[:, 0]), "t1", "t weight, which"),
    ("zero-factor", lambda x: (x * [0, 1])[:, :1], "t1", "is 0 wherever"),
    ("not-taken", lambda x: te.where(x.data > 99, x, 0.0), "t1", "takes something"),
    ("not-taken", lambda x: te.clip(x, 50.0, 60.0), "t1", "t1 (clip) takes"),
    ("not-taken", lambda x: te.where([1, 0], x, 0.0) * [0, 1], "t1", "wherever a gr"),
    ("cancelled", lambda x: x - x, "x", "Several gradients arrive at x"),
    ("zero-upstream", lambda x: te.absolute(x - x.data), "t2", "its derivative"),
]


@pytest.mark.parametrize(("cause", "f", "where", "words"), ZERO)
def test_why_a_gradient_is_zero(cause, f, where, words):
    x = leaf([[1.0, 2.0], [3.0, 4.0]], "x")
    loss = te.sum(f(x))

    found = te.explain(x, loss)

    assert not np.any(te.gradients(loss, [x])[0])
    assert (found.cause, found.where) == (cause, where)
    assert "The gradient of x is 0." in said(found)
    assert words in said(found)
    assert (te.explain(loss).cause, te.explain(loss).where) == (cause, where)


def test_a_gradient_that_underflows_is_called_vanishing():
    x = leaf([0.5], "x", dtype=np.float32)
    y = x
    for _ in range(30):
        y = y * np.float32(0.01)

    found = te.explain(x, te.sum(y))

    assert found.cause == "vanishing"
    assert "shrinks from step to step" in said(found)
    assert "float32 can go no lower" in said(found)
