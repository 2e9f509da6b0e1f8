"""Clipping: by value and by norm, of huge and tiny gradients, of nan and infinity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.optim import SGD, clip_grad_norm, clip_grad_value

CLIPS = [clip_grad_value, clip_grad_norm]


def with_grad(gradient, requires_grad=True, **kwargs):
    gradient = np.asarray(gradient)
    kwargs.setdefault("dtype", gradient.dtype)
    p = te.tensor(np.zeros(gradient.shape), requires_grad=requires_grad, **kwargs)
    p.grad = gradient
    return p


def total_norm(parameters):
    return np.linalg.norm(np.concatenate([p.grad.ravel() for p in parameters]))


# ------------------------------------------------------------------------ by value


def test_by_value_every_entry_ends_between_the_bounds(rng):
    gradients = [rng.standard_normal(shape) for shape in [(3, 4), (), (5,)]]
    parameters = [with_grad(g) for g in gradients]

    result = clip_grad_value(parameters, 0.5)

    assert result is None
    for p, g in zip(parameters, gradients, strict=True):
        np.testing.assert_array_equal(p.grad, np.minimum(np.maximum(g, -0.5), 0.5))


def test_by_value_infinity_ends_at_the_bound():
    p = with_grad([np.inf, -np.inf, 0.5])

    clip_grad_value([p], 2)

    np.testing.assert_array_equal(p.grad, [2.0, -2.0, 0.5])


# ------------------------------------------------------------------------- by norm


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 2.5])
def test_by_norm_all_gradients_shrink_by_one_factor(max_norm, rng):
    gradients = [rng.standard_normal(shape) for shape in [(3, 4), (), (5,)]]
    parameters = [with_grad(g) for g in gradients]
    before = total_norm(parameters)

    norm = clip_grad_norm(parameters, max_norm)

    assert type(norm) is float
    assert norm == pytest.approx(before, rel=1e-15)
    for p, g in zip(parameters, gradients, strict=True):
        assert_near(p.grad, g * max_norm / before, 1e-15, "gradient")
    assert total_norm(parameters) == pytest.approx(max_norm, rel=1e-14)


@pytest.mark.parametrize("max_norm", [5.0, 5, 7.5, math.inf])
def test_by_norm_small_gradients_stay_bit_by_bit(max_norm):
    p, q = with_grad([3.0]), with_grad(4.0)

    norm = clip_grad_norm([p, q], max_norm)

    assert norm == 5.0
    assert p.grad[0] == 3.0
    assert q.grad == 4.0


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (np.float64, 1e300),
        (np.float64, 4e307),
        (np.float64, 1e-300),
        (np.float64, 1e-320),
        (np.float32, 1e30),
        (np.float32, 6e37),
        (np.float32, 1e-30),
        (np.float32, 1e-42),
    ],
    ids=str,
)
@pytest.mark.parametrize("max_norm", [1.0, 1e-3])
def test_by_norm_squares_neither_overflow_nor_vanish(dtype, scale, max_norm):
    gradient = (np.array([3.0, -4.0]) * scale).astype(dtype)
    p = with_grad(gradient)

    norm = clip_grad_norm([p], max_norm)

    largest = float(abs(gradient[1]))
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    expected = math.hypot(*(gradient / gradient[1])) * largest
    assert norm == pytest.approx(expected, rel=tolerance)
    assert p.dtype == p.grad.dtype == dtype
    if norm > max_norm:
        assert_near(p.grad / max_norm, np.array([0.6, -0.8]), tolerance, "clipped")
    else:
        np.testing.assert_array_equal(p.grad, gradient)


def test_by_norm_gradients_of_just_that_norm_stay_bit_by_bit(rng):
    gradients = rng.standard_normal((100, 7))

    for gradient in gradients:
        p = with_grad(gradient)
        clip_grad_norm([p], clip_grad_norm([p], math.inf))
        np.testing.assert_array_equal(p.grad, gradient)


def test_by_norm_even_a_norm_beyond_the_largest_number_is_clipped():
    p = with_grad(np.full(10_000, 1e308))

    norm = clip_grad_norm([p], 1.0)

    assert norm == math.inf
    assert_near(p.grad, np.full(10_000, 0.01), 1e-15, "clipped")


def test_by_norm_gradients_of_float32_are_summed_in_double_precision(rng):
    gradient = rng.standard_normal((100_000, 3)).astype(np.float32)
    p = with_grad(gradient)

    norm = clip_grad_norm([p], math.inf)

    assert norm == pytest.approx(np.linalg.norm(gradient.astype(float)), rel=2e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_by_norm_no_direction_is_left_of_nan_and_infinity(value):
    good, bad = with_grad([3.0, 4.0]), with_grad([1.0, value], name="bias")

    which = "the gradient of parameter 1, 'bias',"
    with pytest.raises(
        ValueError, match=f"^clip_grad_norm: {which} holds {abs(value)}"
    ):
        clip_grad_norm([good, bad], 1.0)

    np.testing.assert_array_equal(good.grad, [3.0, 4.0])
    np.testing.assert_array_equal(bad.grad, [1.0, value])


def test_by_value_nan_is_refused_and_nothing_changed():
    good, bad = with_grad([3.0, 4.0]), with_grad([1.0, np.nan])

    with pytest.raises(
        ValueError, match=r"^clip_grad_value: the gradient of parameter 1 holds nan"
    ):
        clip_grad_value([good, bad], 1.0)

    np.testing.assert_array_equal(good.grad, [3.0, 4.0])


# ---------------------------------------------------------------------------- both


@pytest.mark.parametrize("clip", CLIPS)
def test_a_gradient_is_clipped_where_it_lies(clip):
    p = with_grad(np.asfortranarray(np.full((2, 3), 5.0)))
    gradient = p.grad

    clip([p], 1.0)

    assert p.grad is gradient
    assert gradient.max() <= 1.0


@pytest.mark.parametrize("clip", CLIPS)
def test_only_gradients_that_a_step_would_use_count(clip):
    used, without = with_grad([3.0, 4.0]), te.tensor([1.0], requires_grad=True)
    frozen = with_grad([np.nan], requires_grad=False)

    norm = clip([used, without, frozen], 10.0)

    assert norm in (None, 5.0)
    np.testing.assert_array_equal(used.grad, [3.0, 4.0])
    assert without.grad is None
    assert np.isnan(frozen.grad[0])


@pytest.mark.parametrize("clip", CLIPS)
def test_a_parameter_listed_twice_counts_once(clip):
    once, twice = with_grad([3.0, 4.0]), with_grad([3.0, 4.0])

    first, second = clip([once], 1.0), clip([twice, twice], 1.0)

    assert first == second
    np.testing.assert_array_equal(once.grad, twice.grad)


def test_no_gradients_have_the_norm_zero():
    assert clip_grad_norm([], 1.0) == 0.0
    assert clip_grad_norm([te.tensor([1.0], requires_grad=True)], 1.0) == 0.0
    assert clip_grad_norm([with_grad([0.0, 0.0])], 1.0) == 0.0
    assert clip_grad_norm([with_grad(np.zeros((0, 3)))], 1.0) == 0.0
    clip_grad_value([with_grad(np.zeros((0, 3)))], 1.0)


@pytest.mark.parametrize("clip", CLIPS)
def test_parameters_may_come_from_a_generator(clip):
    p = with_grad([3.0, 4.0])

    clip((x for x in [p]), 1.0)

    assert p.grad.max() <= 1.0


def test_a_clipped_step_is_of_the_size_of_the_bound():
    model = nn.Linear(3, 2, rng=0)
    before = [p.data.copy() for p in model.parameters()]
    (1e6 * model(np.ones((4, 3)))).sum().backward()

    clip_grad_norm(model.parameters(), 1.0)
    SGD(model.parameters(), lr=0.5).step()

    moved = [
        (p.data - x).ravel() for p, x in zip(model.parameters(), before, strict=True)
    ]
    assert np.linalg.norm(np.concatenate(moved)) == pytest.approx(0.5)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(
    ("bound", "error", "message"),
    [
        (0.0, ValueError, "must be positive, got 0.0"),
        (-1, ValueError, "must be positive, got -1"),
        (np.nan, ValueError, "must be positive, got nan"),
        (-np.inf, ValueError, "must be positive, got -inf"),
        (True, TypeError, "must be a number, got True"),
        (None, TypeError, "must be a number, got None"),
    ],
)
def test_the_bound_must_be_positive(clip, bound, error, message):
    with pytest.raises(error, match=f"^{clip.__name__}: [a-z_]+ {message}"):
        clip([with_grad([1.0])], bound)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (te.tensor([1.0]), r"expected a list of Tensors, got one; write \[tensor\]"),
        ([np.ones(3)], "parameter 0 must be a Tensor, got ndarray"),
        (["weight"], "parameter 0 must be a Tensor, got str"),
        (
            nn.Linear(2, 2).named_parameters(),
            "parameter 0 must be a Tensor, got tuple",
        ),
    ],
    ids=["a tensor", "an array", "a name", "pairs"],
)
def test_what_is_no_list_of_tensors_is_refused(clip, parameters, message):
    with pytest.raises(TypeError, match=f"^{clip.__name__}: {message}"):
        clip(parameters, 1.0)
