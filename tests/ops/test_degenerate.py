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


# -------------------------------------------------------------------- equal values


def turned(values, seed=3, shape=None):
    """A matrix of these values: symmetric, or of a shape with these singular values."""
    rng = np.random.default_rng(seed)
    k = len(values)
    u, _ = np.linalg.qr(rng.standard_normal((shape[0] if shape else k, k)))
    v, _ = np.linalg.qr(rng.standard_normal((shape[1], k))) if shape else (u, None)
    return (u * np.array(values)) @ v.T


def difference(f, x, v, h=1e-5):
    """The derivative of f along v, by the fourth-order formula."""
    y = [f(x + n * h * v) for n in (-2, -1, 1, 2)]
    return (y[0] - 8 * y[1] + 8 * y[2] - y[3]) / (12 * h)


def check_second_order(f, x):
    direction = np.random.default_rng(5).standard_normal(x.shape)
    expected = difference(te.grad(f), x, direction)
    scale = 1e-7 * (1 + np.abs(expected).max())

    np.testing.assert_allclose(te.hvp(f, x, direction), expected, atol=scale)
    _, forward = te.jvp(te.grad(f), x, direction)
    np.testing.assert_allclose(forward, expected, atol=scale)


OF_VALUES = {
    "trace": np.sum,
    "sum of squares": lambda s: np.sum(s**2),
    "sum of fourth powers": lambda s: np.sum(s**4),
    "square of the sum": lambda s: np.sum(s) ** 2,
    "sum of cosines": lambda s: np.sum(np.cos(s)),
    "pairs": lambda s: np.sum(s) ** 2 - np.sum(s**2),
    "determinant": te.prod,
    "partition": te.logsumexp,
}
EVEN = ["sum of squares", "sum of fourth powers", "sum of cosines"]


@pytest.mark.parametrize("name", OF_VALUES)
@pytest.mark.parametrize("values", [[1, 1, 1], [1, 1, 4], [-2, 3, 3], [0, 0, 0]])
@pytest.mark.parametrize("op", [te.eigvalsh, lambda a: te.eigh(a)[0]])
def test_smooth_functions_of_equal_eigenvalues(op, values, name):
    check_second_order(lambda a: OF_VALUES[name](op(a)), turned(values))


@pytest.mark.parametrize("name", OF_VALUES)
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5)])
@pytest.mark.parametrize(
    "op", [te.svdvals, lambda a: te.svd(a, full_matrices=False)[1]]
)
def test_smooth_functions_of_equal_singular_values(op, shape, name):
    for values in ([1, 1, 1], [3, 1, 1]):
        x = turned(values, shape=shape)
        check_second_order(lambda a: OF_VALUES[name](op(a)), x)


@pytest.mark.parametrize("name", EVEN)
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5)])
def test_even_functions_of_singular_values_that_are_0(shape, name):
    for values in ([2, 1, 0], [2, 0, 0], [0, 0, 0], [1, 1, 0]):
        x = turned(values, shape=shape)
        check_second_order(lambda a: OF_VALUES[name](te.svdvals(a)), x)


def test_smooth_functions_of_a_stack_of_which_one_has_equal_values():
    x = np.stack([turned([1, 1, 4]), turned([1, 2, 3]), np.eye(3)])

    check_second_order(lambda a: te.sum(te.eigvalsh(a) ** 3), x)
    check_second_order(lambda a: te.sum(te.eigvalsh(a) ** 2) ** 2, x)
    check_second_order(lambda a: te.sum(te.svdvals(a) ** 3), x)


def of_either_triangle(a):
    """Eigenvalues whose derivative is symmetric, too."""
    return te.eigvalsh((a + a.T) / 2)


@pytest.mark.parametrize("gap", [1e-15, 1e-13, 1e-10, 1e-8, 1e-6, 1e-5, 1e-3])
@pytest.mark.parametrize("op", [of_either_triangle, te.svdvals])
def test_digits_are_kept_near_equal_values(op, gap):
    v = np.random.default_rng(0).standard_normal((3, 3))
    v, x = v + v.T, turned([1, 1 + gap, 4])
    exact = v @ x @ x + x @ v @ x + x @ x @ v

    def f(a):  # the trace of X⁴, over 4
        return te.sum(op(a) ** 4) / 4

    np.testing.assert_allclose(te.hvp(f, x, v), exact, atol=1e-9)
    np.testing.assert_allclose(te.jvp(te.grad(f), x, v)[1], exact, atol=1e-9)


def test_a_largest_value_near_another_has_a_large_second_derivative():
    x, v = np.diag([1.0, 1.0 + 1e-7]), np.array([[0.0, 1.0], [1.0, 0.0]])

    found = te.hvp(lambda a: of_either_triangle(a)[-1], x, v)

    np.testing.assert_allclose(found, v / 1e-7, rtol=1e-7)


def test_a_gradient_that_is_0_but_moves_is_not_taken_for_none():
    x = np.diag([4.0, 1.0, 1.0])
    vectors = np.linalg.eigh(x)[1]

    with pytest.raises(ValueError, match="two values are equal, so their vectors have"):
        te.hessian(lambda a: te.sum((te.eigh(a)[1] - vectors) ** 2))(x)


def test_hessian_of_the_sum_of_squared_eigenvalues_at_the_identity():
    v = np.random.default_rng(0).standard_normal((3, 3))

    found = te.hvp(lambda a: te.sum(of_either_triangle(a) ** 2), np.eye(3), v)

    np.testing.assert_allclose(found, v + v.T, atol=1e-14)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda a: te.eigvalsh(a)[-1], np.eye(3)),
        (lambda a: te.eigvalsh(a)[-1] ** 2, np.eye(3)),
        (lambda a: te.svdvals(a)[0], np.eye(3)),
        (lambda a: te.sum(te.svdvals(a)), np.diag([1.0, 0.0, 0.0])),
        (lambda a: te.sum(te.svdvals(a)), np.eye(3, 2) * [1.0, 0.0]),
        (lambda a: te.sum(te.eigvalsh(a) * te.eigvalsh(2 * a)), np.eye(2)),
    ],
)
def test_functions_that_tell_equal_values_apart_have_no_second_derivative(f, x):
    with pytest.raises(ValueError, match="two values are equal, or a singular value"):
        te.hessian(f)(x)
    with pytest.raises(ValueError, match="two values are equal, or a singular value"):
        te.jvp(te.grad(f), x, np.ones_like(x))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda a: te.eigh(a)[1][:, 2], turned([1, 1, 4])),
        (lambda a: te.eigh(a)[1][:, 0], turned([-2, 3, 3])),
        (lambda a: te.eigh(a)[1][:, 2], np.diag([4.0, 1.0, 1.0])),
        (lambda a: te.svd(a)[0][:, 0], turned([4, 1, 1], shape=(3, 3))),
        (lambda a: te.svd(a)[2][2], turned([3, 3, 1], shape=(3, 3))),
        (
            lambda a: te.svd(a, full_matrices=False)[0][:, 0],
            turned([4, 1, 1], shape=(5, 3)),
        ),
        (
            lambda a: te.svd(a, full_matrices=False)[2][0],
            turned([4, 1, 1], shape=(3, 4)),
        ),
        (
            lambda a: te.svd(a, full_matrices=False)[0][:, 0],
            turned([4, 0, 0], shape=(4, 3)),
        ),
    ],
)
def test_vector_of_a_single_value_beside_equal_ones(f, x):
    direction = np.random.default_rng(2).standard_normal(x.shape)
    weights = np.array([1.0, -2.0, 0.5, 3.0, 1.5])[: f(x).size]

    value, tangent = te.jvp(f, x, direction)
    sign = np.sign(value[0])
    expected = difference(lambda a: f(a) * np.sign(f(a)[0]) * sign, x, direction)
    np.testing.assert_allclose(tangent, expected, atol=1e-8)
    gradient = te.grad(lambda a: te.sum(f(a) * weights))(x)
    np.testing.assert_allclose(np.sum(gradient * direction), expected @ weights)
    check_second_order(lambda a: te.sum(f(a) ** 2 * weights), x)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda a: te.eigh(a)[1][:, 0], np.diag([4.0, 1.0, 1.0])),
        (lambda a: te.svd(a)[0][:, 1], np.diag([4.0, 1.0, 1.0])),
        (lambda a: te.svd(a)[2][2], np.diag([4.0, 1.0, 1.0])),
    ],
)
def test_vectors_of_equal_values_are_refused_in_both_directions(f, x):
    with pytest.raises(ValueError, match="two values are equal, so their vectors have"):
        te.jvp(f, x, np.ones((3, 3)))
    with pytest.raises(ValueError, match="two values are equal, so their vectors have"):
        te.grad(lambda a: te.sum(f(a)))(x)


def exponential(a):
    values, vectors = te.eigh(a)
    return (vectors * np.exp(values)) @ vectors.T


def test_a_function_of_the_matrix_is_refused_rather_than_wrong_at_equal_values():
    # Its rule sees a numerator of 0, whose limit depends on the function: not 0.
    x, weights = turned([1, 1, 3]), np.arange(9.0).reshape(3, 3)

    def f(a):
        return te.sum(exponential(a) * weights)

    with pytest.raises(ValueError, match=r"without its vectors, as te\.expm is"):
        te.grad(f)(x)
    apart = turned([1, 1.001, 3])
    direction = np.ones((3, 3))
    np.testing.assert_allclose(
        np.sum(te.grad(f)(apart) * direction), difference(f, apart, direction)
    )


@pytest.mark.parametrize("values", [[1, 1, 3], [2, 2, 2], [0, 0, 0], [-1, 0.5, 4]])
def test_the_exponential_of_a_matrix_has_derivatives_at_equal_values(values):
    x, weights = turned(values), np.arange(9.0).reshape(3, 3)

    def f(a):
        return te.sum(te.expm(a) * weights)

    with np.errstate(all="raise"):
        np.testing.assert_allclose(te.expm(x), exponential(te.tensor(x)), atol=1e-13)
        check_second_order(f, x)
    direction = np.ones((3, 3))
    np.testing.assert_allclose(
        np.sum(te.grad(f)(x) * direction), difference(f, x, direction), atol=1e-9
    )


@pytest.mark.parametrize("size", [0.0, 1e-200, 1e200])
def test_the_gradient_of_an_exponential_is_linear_in_gradients_of_any_size(size):
    x, g = turned([1, 1, 3]), np.arange(9.0).reshape(3, 3)
    a = te.tensor(x, requires_grad=True)
    (one,) = te.gradients(te.expm(a), [a], gradient=g)

    (scaled,) = te.gradients(te.expm(a), [a], gradient=size * g)

    np.testing.assert_allclose(scaled, size * one, rtol=1e-14)


def test_what_reaches_eigenvectors_does_not_tell_two_functions_apart():
    # The identity, and the exponential of X - 1: the derivatives at X = 1 are 0 and w.
    w = np.array([[0.0, 1.0], [1.0, 0.0]])
    rules = []
    for f in (np.ones_like, lambda values: np.exp(values - 1)):
        values, v = (
            te.tensor(y, requires_grad=True) for y in np.linalg.eigh(np.eye(2))
        )
        loss = te.sum((v * f(values)) @ v.T * w)
        rules.append(te.gradients(loss, [values, v]))

    for one, other in zip(*rules, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(te.grad(lambda a: te.sum(te.expm(a) * w))(0 * w), w)


# -------------------------------------------------------------------- qr and slogdet


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "x", [np.ones((2, 2)), np.arange(9.0).reshape(3, 3), np.ones((4, 2)), [[0.0]]]
)
@pytest.mark.parametrize("part", [0, 1])
def test_qr_of_dependent_columns_is_refused(x, dtype, part):
    x = np.array(x, dtype)

    def f(a):
        return te.sum(np.linalg.qr(a)[part])

    with pytest.raises(np.linalg.LinAlgError, match="qr: the columns are linearly"):
        te.grad(f)(x)
    with pytest.raises(np.linalg.LinAlgError, match="qr: the columns are linearly"):
        te.jvp(f, x, np.ones_like(x))


def test_qr_of_columns_of_very_different_lengths_is_not():
    x = np.array([[1.0, 1e-12], [2.0, 3e-12]])

    gradient = te.grad(lambda a: te.sum(np.linalg.qr(a)[0]))(x)

    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("x", [np.ones((2, 2)), np.zeros((3, 3)), np.eye(2)])
def test_sign_of_a_determinant_has_derivative_0_also_where_that_is_0(x):
    def sign(a):
        return np.linalg.slogdet(a)[0]

    np.testing.assert_array_equal(te.grad(sign)(x), np.zeros_like(x))
    assert te.jvp(sign, x, np.ones_like(x))[1] == 0
    np.testing.assert_allclose(
        te.hessian(lambda a: sign(a) * te.sum(a * a))(x).reshape(x.size, x.size),
        2 * sign(x) * np.eye(x.size),
    )


def test_logarithm_of_a_determinant_that_is_not_used_does_not_count():
    x = np.stack([np.ones((2, 2)), 2 * np.eye(2)])

    gradient = te.grad(
        lambda a: np.sum(np.where(np.array([False, True]), te.slogdet(a)[1], 0.0))
    )(x)

    np.testing.assert_array_equal(gradient, [np.zeros((2, 2)), np.eye(2) / 2])
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        te.grad(lambda a: te.sum(te.slogdet(a)[1]))(x)
