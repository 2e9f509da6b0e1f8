"""Where a nan came from: data, parameters, operations; and what is left untouched."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.diagnosis.nonfinite import explain_nonfinite

ONES = np.ones((4, 3))


class Applied(nn.Layer):
    """A layer that applies a function."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


def network(last=lambda x: x):
    return nn.Sequential(nn.Linear(3, 3, rng=0), nn.Tanh(), Applied(last))


def words(text):
    """The text without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("function", "operation", "help_"),
    [
        (lambda x: te.log(x - 5), "log", "the logarithm of 0"),
        (lambda x: te.exp(x + 1e4), "exp", "the exponential of a large number"),
        (lambda x: x / (x - x), "divide", "divides by 0"),
        (lambda x: te.sqrt(x - 5), "sqrt", "the slope is infinite"),
        (lambda x: (x + 2) * 1e308, "multiply", "a tenth of the learning rate"),
    ],
)
def test_the_first_operation_and_its_layer_are_named(function, operation, help_):
    text = words(explain_nonfinite(network(function), nn.mse_loss, ONES, ONES))

    assert f"({operation} in layer Applied '2')" in text
    assert "It begins at" in text
    assert "though all that goes in is" in text
    assert f"What usually helps: {help_}" in text.replace("this is ", "").replace(
        "this ", ""
    ).replace("at 0 ", "").replace("smaller steps, as with ", "")


def test_a_loss_that_nobody_named_is_called_the_loss():
    def loss(output, y):
        return te.mean(te.log(output - 5) - y)

    def named(output, y):
        result = loss(output, y)
        result.name = "penalty"
        return result

    assert explain_nonfinite(network(), loss, ONES, ONES).startswith("The loss is nan.")
    assert explain_nonfinite(network(), named, ONES, ONES).startswith(
        "The loss penalty is nan."
    )


def test_the_operation_is_the_first_not_the_last():
    def function(x):
        return te.exp(te.log(x - 5) * 2) + 1

    text = words(explain_nonfinite(network(function), nn.mse_loss, ONES, ONES))

    assert "(log in layer Applied '2')" in text
    assert "(exp" not in text


def test_a_gradient_that_is_not_finite_is_followed_to_its_operation():
    model = network(lambda x: te.sqrt(te.absolute(x)))
    model[0].weight.data = np.zeros((3, 3))

    text = words(explain_nonfinite(model, nn.mse_loss, ONES, ONES))

    assert "The loss is finite, but its gradient becomes infinite" in text
    assert "(sqrt in layer Applied '2')" in text
    assert "te.sqrt(x + 1e-12)" in text


def test_a_branch_not_taken_has_its_own_advice():
    model = network(lambda x: te.where(x > 0, te.sqrt(x), x))
    model[0].weight.data = np.zeros((3, 3))

    text = words(explain_nonfinite(model, nn.mse_loss, ONES, ONES))

    assert "te.piecewise" in text
    assert "What usually helps" not in text


@pytest.mark.parametrize("kind", ["X", "y"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_data_that_are_not_finite_are_named_with_the_place(kind, value):
    data = {"X": ONES.copy(), "y": ONES.copy()}
    data[kind][2, 1] = value
    data[kind][3, 0] = value

    text = words(
        explain_nonfinite(nn.Linear(3, 3, rng=0), nn.mse_loss, data["X"], data["y"])
    )

    assert f"{kind}, the data of the batch, holds {value} at [2, 1]" in text
    assert "in 2 of 12 entries" in text
    assert "What usually helps: leave such rows out" in text
    assert text.count("the data of the batch") == 1


def test_of_several_inputs_the_one_is_named():
    class Sum(nn.Layer):
        def __init__(self):
            self.inner = nn.Linear(3, 3, rng=0)

        def forward(self, a, b):
            return self.inner(a + b)

    text = explain_nonfinite(Sum(), nn.mse_loss, (ONES, ONES * np.nan), ONES)

    assert "X[1], the data of the batch, holds nan at [0, 0]" in words(text)


def test_parameters_that_are_not_finite_are_named():
    model = network()
    model[0].bias.data = [1.0, np.inf, 2.0]

    text = words(explain_nonfinite(model, nn.mse_loss, ONES, ONES))

    assert "Parameters hold nan or infinity already, from an earlier step: 0.bias" in (
        text
    )
    assert "a tenth of the learning rate" in text


def test_a_step_that_is_finite_when_run_again_is_told_so():
    text = words(explain_nonfinite(network(), nn.mse_loss, ONES, ONES))

    assert "the loss and all gradients are finite" in text
    assert "a tenth of the learning rate" in text


def test_a_loss_without_parameters_is_told():
    text = words(explain_nonfinite(nn.ReLU(), nn.mse_loss, ONES * np.inf, ONES))

    assert "The loss, inf, does not depend on any parameter" in text
    assert "X, the data of the batch, holds inf at [0, 0]" in text


def test_an_error_on_the_way_is_told_instead():
    text = words(explain_nonfinite(network(), nn.nll_loss, ONES, ONES))

    assert "The step could not be run again: ValueError: nll_loss: labels must" in text


def test_lines_are_short_enough_for_a_terminal():
    text = explain_nonfinite(network(te.log), nn.mse_loss, ONES * np.nan, ONES)

    assert max(map(len, text.splitlines())) <= 80


def test_nothing_is_changed(rng):
    model = nn.Sequential(
        nn.Linear(3, 3, rng=0),
        nn.BatchNorm1d(3),
        nn.Dropout(0.5, rng=1),
        Applied(lambda x: te.log(x - 50)),
    )
    for p in model.parameters():
        p.grad = np.full(p.shape, 7.0)
    state, draws = model.state_dict(), model[2].rng.bit_generator.state

    text = explain_nonfinite(model, nn.mse_loss, rng.standard_normal((4, 3)), ONES)

    assert "(log in layer Applied '3')" in words(text)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)
    assert model[2].rng.bit_generator.state == draws
    assert all((p.grad == 7.0).all() for p in model.parameters())
    assert model.training
