"""Gradients that hardly pass, vanish or explode; a remark where that does no harm."""

from __future__ import annotations

import pytest
from explained import leaf, said

import tinygrad_edu as te


@pytest.mark.parametrize(
    ("f", "cause", "word"),
    [
        (lambda x: te.sigmoid(x * 9), "saturated", "saturated 100 %"),
        (lambda x: te.tanh(x * 9) * leaf(1.0), "saturated", "saturated 100 %"),
        (lambda x: te.softmax(x * 99) * [1.0, 2.0], "saturated", "t2 (softmax)"),
    ],
)
def test_what_lets_almost_nothing_through(f, cause, word):
    x = leaf([[1.0, 2.0], [3.0, -4.0]], "x")
    loss = te.sum(f(x))

    found = te.explain(x, loss)

    assert (found.cause, found.where) == (cause, "t2")
    assert word in said(found)
    assert "Behind it: x." in said(found)
    assert te.explain(loss).cause == cause


def test_a_way_around_what_is_saturated_keeps_a_gradient_fine():
    x = leaf([9.0, -9.0], "x")

    found = te.explain(te.sum(x + te.sigmoid(x)))

    assert found.cause == "fine"
    assert "t1 (sigmoid): saturated 100 %" in str(found)


def test_gradients_that_vanish_or_explode_from_layer_to_layer():
    def chain(factor):
        y = x = leaf(1.0, "x")
        for _ in range(12):
            y = te.tanh(y * factor) if factor < 1 else y * factor
        return x, y + leaf(1.0, "last")

    for factor, cause in ((0.1, "vanishing"), (10.0, "exploding")):
        x, loss = chain(factor)

        found = te.explain(x, loss)

        assert (found.cause, te.explain(loss).cause) == (cause, cause)
        assert f"On the way the gradient is {cause}" in said(found)
        assert "for last, next to the loss" in said(found)


def test_a_parameter_without_entries_has_nothing_to_compare():
    x, y = leaf([[]], "x"), leaf(1.0, "y")

    found = te.explain(x, te.sum(x) + y)

    assert found.cause == "backward-not-called"
    assert "of shape (1, 0), has norm 0. But .grad is None" in said(found)


def test_some_dead_units_are_a_remark_and_their_share_of_the_gradient_is_told(rng):
    model = te.nn.Sequential(te.nn.Linear(4, 5, rng=0), te.nn.ReLU())
    model[0].bias.data = [0.0, 0.0, -50.0, -50.0, 0.0]
    loss = te.sum(model(rng.standard_normal((20, 4))))

    found = te.explain(model[0].bias, loss)

    assert found.cause == "backward-not-called"
    assert "2 of 5 entries are 0" in said(found)
    assert "t2 (relu in layer ReLU '1'): dead 40 %" in str(found)
