"""Activations: extremes, kinks, what they take, and one of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn


def test_relu_at_its_kink_has_the_derivative_0():
    x = te.tensor([-1.0, -0.0, 0.0, 1.0], requires_grad=True)

    nn.ReLU()(x).sum().backward()

    assert x.grad.tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (nn.Sigmoid, [[0.0, 0.5, 1.0]]),
        (nn.Tanh, [[-1.0, 0.0, 1.0]]),
        (nn.ReLU, [[0.0, 0.0, 1e4]]),
        (nn.LeakyReLU, [[-100.0, 0.0, 1e4]]),
        (nn.ELU, [[-1.0, 0.0, 1e4]]),
        (nn.GELU, [[0.0, 0.0, 1e4]]),
        (nn.SiLU, [[0.0, 0.0, 1e4]]),
        (nn.Mish, [[0.0, 0.0, 1e4]]),
        (nn.Hardtanh, [[-1.0, 0.0, 1.0]]),
        (nn.Softplus, [[0.0, np.log(2), 1e4]]),
        (nn.Softmax, [[0.0, 0.0, 1.0]]),
        (nn.LogSoftmax, [[-2e4, -1e4, 0.0]]),
    ],
)
def test_activations_are_right_and_silent_at_extremes(kind, expected, dtype):
    x = te.tensor([[-1e4, 0.0, 1e4]], requires_grad=True, dtype=dtype)

    out = kind()(x)
    out.sum().backward()

    np.testing.assert_array_equal(out.data, np.array(expected, dtype))
    assert np.isfinite(x.grad).all()


def test_softmax_refuses_an_axis_that_is_not_there():
    with pytest.raises(ValueError, match=r"axis 2 .*in layer Softmax '1'"):
        nn.Sequential(nn.Tanh(), nn.Softmax(axis=2))(np.ones((2, 3)))


# --------------------------------------------------------------------- declarations


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.ReLU(), "ReLU()"),
        (nn.LeakyReLU(), "LeakyReLU()"),
        (nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (nn.ELU(alpha=0.5), "ELU(alpha=0.5)"),
        (nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.Hardtanh(0, 6), "Hardtanh(min_val=0, max_val=6)"),
        (nn.Softmax(axis=-1), "Softmax()"),
        (nn.LogSoftmax(1), "LogSoftmax(axis=1)"),
    ],
)
def test_an_activation_reads_with_what_is_not_the_default(layer, text):
    assert repr(layer) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.GELU("tan"), "gelu: approximate must be none or tanh, got 'tan'"),
        (lambda: nn.Hardtanh(2.0, 1.0), "hard_tanh: min_val must not exceed max_val"),
    ],
)
def test_what_an_operation_does_not_take_is_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_option_may_be_changed_later():
    layer = nn.LeakyReLU()

    layer.negative_slope = 0.5

    assert layer([-2.0]).tolist() == [-1.0]


def test_an_activation_of_ones_own_is_one_line():
    @te.op(elementwise=True)
    def cube(x):
        return x**3

    cube.vjp(x=lambda g, out, x: g * 3 * x**2)

    class Cube(nn.Activation):
        operation = cube

    model = nn.Sequential(Cube(), nn.Sigmoid())
    x = te.tensor([2.0], requires_grad=True)

    te.gradcheck(model, np.array([0.3, -0.7]), order=2)
    Cube()(x).backward()

    assert repr(model[0]) == "Cube()"
    assert model.independent_rows
    assert x.grad.tolist() == [12.0]
