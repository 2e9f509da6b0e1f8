"""What no step resolves is neither right nor wrong: the checks cannot tell."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


def causes_of(f, x):
    try:
        te.gradcheck(f, x)
    except te.GradientCheckError as error:
        return error.causes
    return ()


WAVES = {
    "sin at 1e15": (te.sin, np.array([1e15])),
    "sin at 1e15, of another sign": (lambda x: te.sum(te.sin(x)), np.array([-1.7e15])),
    "sin(1e12 x)": (lambda x: te.sum(te.sin(1e12 * x)), np.array([0.3, 0.7])),
    "sin(1e12 x), a number": (lambda x: te.sin(1e12 * x), np.array(0.7)),
    "cos(1e13 x)": (lambda x: te.cos(1e13 * x), np.array([0.1, 0.7, 1.3])),
    "sin at 1e15, many": (lambda x: te.sum(te.sin(x)), np.full(1200, 1e15)),
    "tan at 1e14": (te.tan, np.array([1.234e14, 3.21e14])),
}


@pytest.mark.parametrize(("f", "x"), WAVES.values(), ids=WAVES)
def test_gradcheck_cannot_tell(f, x):
    with pytest.raises(te.GradientCheckError) as caught:
        te.gradcheck(f, x)

    assert caught.value.causes == ("resolution",)
    assert "cannot be checked" in str(caught.value)
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("seed", range(5))
def test_random_waves_are_never_called_wrong(seed):
    rng = np.random.default_rng(seed)
    x, scale = rng.standard_normal(6), 10.0 ** rng.uniform(11, 15)

    causes = causes_of(lambda x: te.sin(scale * x), x)

    assert set(causes) <= {"resolution"}


@pytest.mark.parametrize("factor", [1.001, 2.0, 1e-3])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_a_wrong_rule_is_called_wrong_where_steps_do_resolve(factor, scale):
    def f(x):
        y = te.sin(scale * x)
        return te.sum(y + (1 - factor) * (y.detach() - y))

    with pytest.raises(te.GradientCheckError) as caught:
        te.gradcheck(f, np.array([0.3, 0.7]))

    assert "is wrong" in str(caught.value)


def test_a_jump_is_still_a_kink():
    def f(x):
        return te.sum(np.where(x.data >= 0.3, 1.0, 0.0) + 0 * x)

    with pytest.raises(te.GradientCheckError) as caught:
        te.gradcheck(f, np.array([0.3, 0.7]))

    assert "kink" in caught.value.causes


def saturated(distance):
    """A number that keeps so far from 1 whatever x is, and from 1 to both sides."""
    return lambda x: 1 - distance * te.tanh(x) / np.cosh(x) - te.square(x / 1e9)


@pytest.mark.parametrize("distance", [1e-13, 1e-14, 1e-15])
def test_what_has_flattened_out_on_both_sides_proves_no_gradient_wrong(distance):
    f = saturated(distance)

    causes = causes_of(lambda x: te.stack([f(x), te.sin(x)]), np.array(1.1))

    assert set(causes) <= {"resolution"}


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.001, 2.0])
@pytest.mark.parametrize("distance", [1.0, 1e-3, 1e-6])
def test_a_wrong_gradient_beside_a_constant_is_wrong(distance, factor):
    def f(x):
        y = saturated(distance)(x)
        return y + (1 - factor) * (y.detach() - y)

    with pytest.raises(te.GradientCheckError, match="is wrong"):
        te.gradcheck(f, np.array(0.4))


@pytest.mark.parametrize("size", [1e6, 1.7e6])
def test_a_wave_that_rounding_hides_is_not_called_wrong(size):
    def f(x):  # moves by 1e-14 or less, in waves of 1e-6 or less
        return te.cos(te.sinc(size * te.sigmoid(x)))

    assert set(causes_of(f, np.array([0.3, -0.8]))) <= {"resolution"}


@pytest.mark.parametrize("claim", [1e-9, 1e-6, 1.0])
def test_a_smooth_claim_about_what_is_flat_is_wrong(claim):
    def f(x):
        return te.sum(te.cos(1e-9 * te.sin(x)) + claim * (x - x.detach()))

    with pytest.raises(te.GradientCheckError, match="is wrong"):
        te.gradcheck(f, np.array([0.3, 0.7]))


def test_gradients_too_small_to_have_digits_are_not_called_bent():
    def f(x):
        return te.sum(1e-310 * te.sin(x))

    assert set(causes_of(f, np.array([0.3, 0.7]))) <= {"resolution"}
