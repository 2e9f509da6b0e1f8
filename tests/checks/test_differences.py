"""Central differences: the numbers, and that the doubt about them is honest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from tinygrad_edu.checks.differences import derivative_along, one_sided, steps_of

SCALES = [1e-8, 1e-4, 1.0, 1e4, 1e8]
every_scale = pytest.mark.parametrize("scale", SCALES)


def differentiated(f, x, **options):
    """The derivative of f by a single number, the doubt, and the calls."""
    array = np.array([float(x)])
    step = steps_of(array)
    with np.errstate(all="ignore"):  # of steps that are too large
        found = derivative_along(
            lambda: np.array([f(array[0])]), array, step, **options
        )
    assert array[0] == x
    return found.value[0] / step[0], found.doubt[0] / step[0], found.calls


# ------------------------------------------------------------------------ closed forms


@every_scale
@pytest.mark.parametrize("degree", range(6))
def test_polynomials_at_every_scale(degree, scale, rng):
    p = Polynomial(rng.uniform(0.5, 1.5, degree + 1))

    value, doubt, _ = differentiated(lambda x: p(x / scale), 1.3 * scale)

    exact = p.deriv()(1.3) / scale
    assert value == pytest.approx(exact, rel=1e-9, abs=1e-20)
    assert abs(value - exact) <= doubt


@every_scale
def test_exp_at_every_scale(scale):
    value, doubt, calls = differentiated(lambda x: np.exp(x / scale), 0.7 * scale)

    exact = np.exp(0.7) / scale
    assert value == pytest.approx(exact, rel=1e-10)
    assert abs(value - exact) <= doubt <= 1e-6 * exact
    assert calls == 4


@pytest.mark.parametrize("at", [-600.0, -20.0, 0.0, 20.0, 600.0])
def test_exp_far_from_0(at):
    value, _, _ = differentiated(np.exp, at)

    assert value == pytest.approx(np.exp(at), rel=1e-7)


@pytest.mark.parametrize("constant", [0.0, 1.0, 1e6, 1e9])
def test_beside_a_large_constant_the_doubt_grows_and_covers_the_error(constant):
    value, doubt, _ = differentiated(lambda x: np.sin(x) + constant, 1.1)

    assert abs(value - np.cos(1.1)) <= doubt <= 1e-15 * (1 + constant) * 1e4 + 1e-6


def test_what_does_not_depend_on_x_takes_four_calls_and_is_0():
    value, _, calls = differentiated(lambda x: 3.0, 1.1)

    assert (value, calls) == (0.0, 4)


def test_every_output_has_its_own_estimate():
    x = np.array([1.5])

    found = derivative_along(
        lambda: np.array([x[0] ** 3, np.sin(300 * x[0]), 7.0]), x, np.ones(1)
    )

    exact = [3 * 1.5**2, 300 * np.cos(450.0), 0.0]
    np.testing.assert_allclose(found.value, exact, rtol=1e-6, atol=1e-12)
    assert np.all(np.abs(found.value - exact) <= found.doubt)


def test_a_direction_moves_all_entries_at_once(rng):
    x, direction = rng.standard_normal((2, 3, 4))

    found = derivative_along(lambda: np.array([np.sum(x**3)]), x, direction)

    assert found.value[0] == pytest.approx(np.sum(3 * x**2 * direction), rel=1e-9)


# --------------------------------------------------------------------- honest doubts

CURVES = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "bell": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "root": (lambda x: np.sqrt(1 + x * x), lambda x: x / np.sqrt(1 + x * x)),
    "quotient": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "fifth power": (lambda x: x**5, lambda x: 5 * x**4),
}


@pytest.mark.parametrize("curve", CURVES)
def test_the_doubt_covers_the_true_error(curve, rng):
    f, slope = CURVES[curve]

    for _ in range(150):
        inner, outer = 10.0 ** rng.uniform(-3, 2), 10.0 ** rng.uniform(-8, 8)
        x = rng.standard_normal() * 3 / max(inner, 1.0)
        value, doubt, _ = differentiated(lambda x: outer * f(inner * x), x)  # noqa: B023
        exact = outer * inner * slope(inner * x)

        # the closed form itself rounds inner · x
        rounding = 1e-13 * abs(exact) * (1 + abs(inner * x))
        assert abs(value - exact) <= doubt + rounding, (inner, outer, x)


@pytest.mark.parametrize("lost", [1e4, 1e8, 1e12])
def test_the_doubt_covers_rounding_on_the_way_if_told_of_it(lost, rng):
    noise = lost * np.finfo(float).eps

    for x in rng.uniform(0.5, 2, 100):
        value, doubt, _ = differentiated(
            lambda x: (3.3 * x + lost) - lost, x, noise=noise
        )

        assert abs(value - 3.3) <= doubt, x


def test_beside_a_minimum_the_doubt_covers_the_rounding_of_x():
    eps = float(np.finfo(float).eps)

    value, doubt, _ = differentiated(lambda x: (x - 1) ** 2, 1 + 60 * eps)

    assert value == pytest.approx(2 * 60 * eps, rel=0.1)
    assert 2 * eps <= doubt <= 16 * eps


# ------------------------------------------------------------- steps that are too large


@pytest.mark.parametrize("steepness", [1.0, 100.0, 1e4, 1e6])
def test_a_function_that_saturates_does_not_fool_large_steps(steepness):
    value, doubt, _ = differentiated(lambda x: np.tanh(steepness * x), 0.0)

    assert value == pytest.approx(steepness, rel=1e-5)
    assert doubt <= 1e-3 * steepness


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e3])
def test_a_saturated_softmax_keeps_its_small_derivatives(offset):
    z = np.array([30.0, 0.0, -30.0]) + offset

    def softmax():
        e = np.exp(z - np.max(z))
        return e / np.sum(e)

    p = softmax()
    for i in range(3):
        direction = np.zeros(3)
        direction[i] = steps_of(z)[i]
        found = derivative_along(softmax, z, direction)

        exact = p * ((np.arange(3) == i) - p[i])
        error = np.abs(found.value / direction[i] - exact)
        assert np.all(error <= found.doubt / direction[i] + 1e-13 * np.abs(exact))
        if i < 2:  # p[1], of about 1e-13
            assert error[1] <= 1e-3 * abs(exact[1])


# ------------------------------------------------------------------ kinks and the edge


def test_at_a_kink_the_two_sides_differ():
    x = np.array([0.0, 1.0])

    sides = one_sided(lambda: np.maximum(x, 0), x, np.array([1.0, 0.0]))

    np.testing.assert_allclose(sides.left, [0, 0], atol=1e-12)
    np.testing.assert_allclose(sides.right, [1, 0], atol=1e-12)
    assert sides.doubt[0] < 1e-6
    assert not sides.jumps.any()


def test_of_a_smooth_function_the_sides_agree_within_their_doubt(rng):
    for x in rng.uniform(-2, 2, (20, 1)):
        sides = one_sided(lambda: np.exp(3 * x), x, np.ones(1))  # noqa: B023

        assert np.abs(sides.right - sides.left) <= sides.doubt
        assert not sides.jumps.any()


def test_a_jump_is_seen_with_its_values():
    x = np.array([0.0])

    sides = one_sided(lambda: np.sign(x) + 2, x, np.ones(1))

    assert sides.jumps.all()
    assert (sides.before[0], sides.after[0]) == (1.0, 3.0)


def test_at_the_edge_of_the_domain_the_estimate_is_nan():
    value, doubt, _ = differentiated(np.sqrt, 0.0)

    assert np.isnan(value)
    assert doubt == np.inf


def test_steps_shrink_until_they_fit_into_the_domain():
    value, _, _ = differentiated(lambda x: np.sqrt(x - 1), 1 + 1e-6)

    assert value == pytest.approx(500, rel=1e-3)


# ------------------------------------------------------------------------ what is moved


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("look", [derivative_along, one_sided])
def test_x_is_put_back_bit_for_bit(look, dtype, rng):
    x = rng.standard_normal((3, 4)).astype(dtype)
    x[0, 0] = -0.0
    before = x.tobytes()

    look(lambda: np.array([np.sum(x**2)]), x, np.full((3, 4), 0.3))

    assert x.tobytes() == before


@pytest.mark.parametrize("look", [derivative_along, one_sided])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_x_is_put_back_even_if_the_function_raises(look, call, rng):
    x = rng.standard_normal((3, 4))
    before, calls = x.tobytes(), []

    def evaluate():
        calls.append(x.copy())
        if len(calls) == call:
            raise KeyError("of the function")
        return np.array([np.sum(x)])

    with pytest.raises(KeyError, match="of the function"):
        look(evaluate, x, np.ones((3, 4)))

    assert x.tobytes() == before


def test_float32_is_resolved_as_far_as_it_goes():
    x = np.array([1.5], np.float32)

    with np.errstate(all="ignore"):
        found = derivative_along(lambda: np.exp(x), x, np.ones(1))

    assert found.value.dtype == np.float64
    assert abs(found.value[0] - np.exp(1.5)) <= found.doubt[0] <= 1e-2


def test_steps_are_powers_of_two_near_the_entries():
    x = np.array([[0.0, 1e-8, -3.0], [1e8, -1.0, 0.6]])

    steps = steps_of(x)

    np.testing.assert_array_equal(np.log2(steps) % 1, 0)
    ratio = steps / np.where(x == 0, 1e8, np.abs(x))
    assert np.all((ratio > 0.7) & (ratio < 1.42))


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_of_zeros_the_steps_are_1(shape):
    np.testing.assert_array_equal(steps_of(np.zeros(shape)), np.ones(shape))


def test_of_no_entries_there_are_no_steps():
    assert steps_of(np.zeros((0, 3))).shape == (0, 3)
