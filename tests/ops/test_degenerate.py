"""Kinks, equal values, dependent columns: right where a derivative exists, or refused.

What is right is a closed form, or differences of the gradient, which itself exists.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te

ORIGIN = np.zeros(2)
SPREAD = np.full(3, 5.0)
CENTRED = np.eye(3) - 1 / 3

#: Functions that are smooth where what they are made of is not: point, Hessian there.
SMOOTH = {
    "norm squared": (lambda v: np.linalg.norm(v) ** 2, ORIGIN, 2 * np.eye(2)),
    "norm by norm": (lambda v: te.norm(v) * te.norm(v), ORIGIN, 2 * np.eye(2)),
    "norm^4": (lambda v: te.norm(v) ** 4, ORIGIN, np.zeros((2, 2))),
    "4-norm^4": (lambda v: te.norm(v, 4) ** 4, ORIGIN, np.zeros((2, 2))),
    "cos of norm": (lambda v: np.cos(te.norm(v)), ORIGIN, -np.eye(2)),
    "sqrt(1 + norm²)": (lambda v: np.sqrt(1 + te.norm(v) ** 2), ORIGIN, np.eye(2)),
    "norms of rows": (
        lambda v: te.sum(te.norm(v.reshape(2, 2), axis=1) ** 2 * np.array([1.0, 3.0])),
        np.array([0.0, 0.0, 1.0, 2.0]),
        np.diag([2.0, 2.0, 6.0, 6.0]),
    ),
    "Frobenius": (
        lambda v: te.norm(v.reshape(2, 2), "fro") ** 2,
        np.zeros(4),
        2 * np.eye(4),
    ),
    "hypot squared": (lambda v: np.hypot(v[0], v[1]) ** 2, ORIGIN, 2 * np.eye(2)),
    "hypot broadcast": (
        lambda v: te.sum(np.hypot(v, np.zeros((3, 1))) ** 2),
        ORIGIN,
        6 * np.eye(2),
    ),
    "abs squared": (lambda v: te.sum(np.abs(v) ** 2), ORIGIN, 2 * np.eye(2)),
    "cos of abs": (lambda v: te.sum(np.cos(abs(v))), ORIGIN, -np.eye(2)),
    "softplus from abs": (
        lambda v: te.sum(np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v)))),
        ORIGIN,
        np.eye(2) / 4,
    ),
    "std squared": (lambda v: np.std(v) ** 2, SPREAD, 2 / 3 * CENTRED),
    "std squared, ddof": (lambda v: np.std(v, ddof=1) ** 2, SPREAD, CENTRED),
    "distances squared": (
        lambda v: te.sum(te.norm(v[:, None, None] - v[:, None], axis=-1) ** 2),
        np.array([1.0, 1.0, 4.0]),
        12 * CENTRED,
    ),
}

#: Those that have no second derivative there, or none that can be told.
REFUSED = {
    "norm": (te.norm, ORIGIN),
    "norm and its square": (lambda v: te.norm(v) + te.norm(v) ** 2, ORIGIN),
    "norm by another norm": (lambda v: te.norm(v) * te.norm(2 * v), ORIGIN),
    "norms multiplied": (lambda v: te.norm(v[:2]) * te.norm(v[2:]), np.zeros(4)),
    "3-norm squared": (lambda v: te.norm(v, 3) ** 2, ORIGIN),
    "hypot": (lambda v: np.hypot(v[0], v[1]), ORIGIN),
    "std": (np.std, SPREAD),
    "sum of abs, squared": (lambda v: te.sum(np.abs(v)) ** 2, ORIGIN),
    "abs by abs": (lambda v: np.abs(v[0]) * np.abs(v[1]), ORIGIN),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_at_a_kink_are_those_of_the_smooth_function(name, dtype):
    f, point, expected = SMOOTH[name]
    point, v = point.astype(dtype), np.arange(1, point.size + 1).astype(dtype)
    tolerance = {"atol": 1e-14 if dtype == np.float64 else 1e-5}

    np.testing.assert_allclose(te.hessian(f)(point), expected, **tolerance)
    np.testing.assert_allclose(te.hvp(f, point, v), expected @ v, **tolerance)
    _, forward = te.jvp(te.grad(f), point, v)
    np.testing.assert_allclose(forward, expected @ v, **tolerance)
    x = te.tensor(point, requires_grad=True)
    (first,) = te.gradients(f(x), [x], create_graph=True)
    te.sum(first * v).backward()
    np.testing.assert_allclose(x.grad, expected @ v, **tolerance)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_near_a_kink_go_over_into_those_at_it(name):
    f, point, expected = SMOOTH[name]
    near = point + 1e-6 * np.cos(np.arange(point.size))

    np.testing.assert_allclose(te.hessian(f)(near), expected, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_second_derivatives_that_cannot_be_told_are_refused(name):
    f, point = REFUSED[name]

    assert np.all(np.isfinite(te.grad(f)(point)))
    assert np.isfinite(te.jvp(f, point, np.ones_like(point))[1])
    with pytest.raises(ValueError, match="it is 0, where it has a kink and no second"):
        te.hessian(f)(point)
    with pytest.raises(ValueError, match="it is 0, where it has a kink and no second"):
        te.jvp(te.grad(f), point, np.ones_like(point))


def test_lengths_that_stay_0_do_not_count():
    x = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]])
    i, j = np.triu_indices(3, 1)

    def all_pairs(v):  # also of each with itself
        return te.sum(te.norm(v[:, None] - v[None], axis=-1))

    def pairs(v):
        return 2 * te.sum(te.norm(v[i] - v[j], axis=-1))

    np.testing.assert_allclose(
        te.hessian(all_pairs)(x), te.hessian(pairs)(x), atol=1e-14
    )


def test_curvature_of_a_norm_of_order_between_1_and_2_is_infinite_where_a_part_is_0():
    hessian = te.hessian(lambda v: te.norm(v, 1.5))(np.array([0.0, 2.0]))

    np.testing.assert_allclose(hessian, [[np.inf, 0.0], [0.0, 0.0]], atol=1e-15)


def test_third_derivatives_of_a_square_are_0():
    third = te.jacobian(te.hessian(lambda v: np.linalg.norm(v) ** 2))(ORIGIN)

    np.testing.assert_array_equal(third, np.zeros((2, 2, 2)))
