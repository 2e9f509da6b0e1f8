"""What is promised where a function has no derivative, and that no nan comes of it."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te

#: function of a vector, a point without derivative, the gradient that we promise there.
CONVENTIONS = {
    "relu at 0": (te.relu, [0.0], [0.0]),
    "absolute at 0": (te.absolute, [0.0], [0.0]),
    "sign": (te.sign, [0.0, 2.0], [0.0, 0.0]),
    "maximum of equals": (lambda x: te.maximum(x[0], x[1]), [1.0, 1.0], [0.5, 0.5]),
    "minimum of equals": (lambda x: te.minimum(x[0], x[1]), [1.0, 1.0], [0.5, 0.5]),
    "max with a tie": (te.max, [3.0, 1.0, 3.0], [0.5, 0.0, 0.5]),
    "max with three": (te.max, [3.0, 3.0, 3.0], [1 / 3, 1 / 3, 1 / 3]),
    "min with a tie": (te.min, [1.0, 1.0, 3.0], [0.5, 0.5, 0.0]),
    "clip at and in the bounds": (
        lambda x: te.clip(x, -1.0, 1.0),
        [-2.0, -1.0, 0.0, 1.0, 2.0],
        [0.0, 1.0, 1.0, 1.0, 0.0],
    ),
    "hard_tanh at and in the bounds": (
        te.hard_tanh,
        [-2.0, -1.0, 0.0, 1.0, 2.0],
        [0.0, 1.0, 1.0, 1.0, 0.0],
    ),
    "norm at 0": (te.norm, [0.0, 0.0], [0.0, 0.0]),
    "norm of order 1": (lambda x: te.norm(x, 1), [0.0, -2.0], [0.0, -1.0]),
    "largest norm with a tie": (lambda x: te.norm(x, np.inf), [2.0, -2.0], [0.5, -0.5]),
    "hypot at 0": (lambda x: te.hypot(x[0], x[1]), [0.0, 0.0], [0.0, 0.0]),
    "std where all are equal": (te.std, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    "leaky_relu at 0": (te.leaky_relu, [0.0], [0.01]),
    "median of an even number": (te.median, [4.0, 1.0, 2.0, 9.0], [0.5, 0.0, 0.5, 0.0]),
    "sqrt at 0": (te.sqrt, [0.0], [np.inf]),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_gradient_at_a_kink_is_the_promised_one(name):
    f, point, promised = CONVENTIONS[name]

    with np.errstate(divide="ignore"):
        gradient = te.grad(lambda x: te.sum(f(x)))(np.array(point))

    np.testing.assert_allclose(gradient, promised, rtol=1e-15)


#: Whose slope jumps in every direction, so that there is no second derivative at all:
#: tests/ops/test_degenerate.py.
REFUSED = {"norm at 0", "hypot at 0", "std where all are equal", "sqrt at 0"}


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name not in REFUSED])
def test_the_second_derivatives_at_a_kink_are_numbers(name):
    f, point, _ = CONVENTIONS[name]

    H = te.hessian(lambda x: te.sum(f(x)))(np.array(point))

    np.testing.assert_array_equal(H, np.zeros_like(H))


def test_where_hands_on_what_the_other_branch_has_and_piecewise_does_not():
    def with_where(x):
        return np.where(x < 0, x, np.sqrt(x))

    def with_piecewise(x):
        return te.piecewise(x, [x < 0], [lambda x: x, np.sqrt])

    with np.errstate(invalid="ignore"):
        lost = te.grad(with_where)(-1.0)

    assert np.isnan(lost)
    assert te.grad(with_piecewise)(-1.0) == 1.0
    assert te.grad(with_piecewise)(4.0) == 0.25


def test_what_a_mean_leaves_out_spoils_what_was_computed_with_it_before():
    data = np.array([1.0, np.nan, 4.0])
    there = ~np.isnan(data)

    assert np.isnan(te.grad(lambda w: np.nanmean((data - w) ** 2))(2.0))
    assert te.grad(lambda w: np.nanmean(data - w))(2.0) == -1.0
    assert te.grad(lambda w: np.mean((data[there] - w) ** 2))(2.0) == -1.0


@pytest.mark.parametrize(
    "function", [np.floor, np.ceil, np.round, np.trunc, np.rint, np.isnan, np.signbit]
)
def test_what_has_no_derivative_gives_plain_arrays(function):
    x = te.tensor([1.5, -2.5], requires_grad=True)

    assert type(function(x)) is np.ndarray
    np.testing.assert_array_equal(function(x), function(x.data))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
@pytest.mark.parametrize(
    "f",
    [
        *(te.sum, te.exp, te.tanh, te.relu, te.softplus, te.square, te.absolute),
        *(te.ravel, te.transpose, te.cumsum, te.prod, te.negative, te.flip, te.gelu),
        *(lambda x: x + x, lambda x: te.concatenate([x, x]), lambda x: te.norm(x)),
    ],
)
def test_empty_arrays_have_empty_gradients(f, shape):
    gradient = te.grad(lambda x: te.sum(f(x)))(np.zeros(shape))

    assert gradient.shape == shape
