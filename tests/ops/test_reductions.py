"""Reductions: conventions at kinks, zeros and ties, extremes, NumPy's names."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te

INF = np.inf


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


def gradient(f, x, order=1):
    """The gradient of Σ f(x), or the second derivative along a vector of ones."""
    x = leaf(x)
    y = f(x).sum()
    for _ in range(order - 1):
        (y,) = te.gradients(y, [x], create_graph=True)
        y = (y + 0 * x).sum()  # also of a constant
    return te.gradients(y, [x])[0]


# --------------------------------------------------------------- products through zeros


def _by_expansion(g, row, so_far):
    """d/dx of Σₖ gₖ Π xⱼ (over j ≤ k, or with one g over all), factor by factor."""
    n = len(row)
    tops = range(n) if so_far else [n - 1]
    result = np.zeros(n)
    for weight, k in zip(g, tops, strict=True):
        for i in range(k + 1):
            result[i] += weight * np.prod([row[j] for j in range(k + 1) if j != i])
    return result


ROWS = [
    [2.0, -3.0, 0.5, 4.0, -1.5],
    [2.0, 0.0, 0.5, 4.0, -1.5],
    [0.0, -3.0, 0.5, 0.0, -1.5],
    [0.0, 0.0, 0.0, 1.0, 2.0],
    [3.0, 2.0, 1.0, 5.0, 0.0],
    [7.0],
    [0.0],
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_products_have_right_derivatives_through_zeros(row, rng):
    g = rng.standard_normal(len(row))
    x = leaf(row)

    (of_prod,) = te.gradients(x.prod(), [x], gradient=g[0])
    (of_cumprod,) = te.gradients(x.cumprod(), [x], gradient=g)

    assert_near(of_prod, _by_expansion(g[:1], row, False), 1e-14, "prod")
    assert_near(of_cumprod, _by_expansion(g, row, True), 1e-14, "cumprod")


@pytest.mark.parametrize("row", [row for row in ROWS if len(row) > 2], ids=str)
def test_second_derivatives_of_a_product_leave_two_factors_out(row):
    x = leaf(row)
    (first,) = te.gradients(x.prod(), [x], create_graph=True)

    second = np.stack([te.gradients(d, [x])[0] for d in first])

    n = len(row)
    expected = np.zeros((n, n))
    for i, j in itertools.permutations(range(n), 2):
        expected[i, j] = np.prod([v for k, v in enumerate(row) if k not in (i, j)])
    assert_near(second, expected, 1e-14, "prod")


def test_products_of_tiny_numbers_are_not_divided_out_again():
    """out / x would be 0 / 1e-200: the product is too small for a number."""
    of_prod = gradient(lambda x: x.prod(), [1e-200, 1e-200])
    of_cumprod = gradient(lambda x: x.cumprod()[-1], [1e-200, 1e-200, 1e300])

    np.testing.assert_allclose(of_prod, [1e-200, 1e-200], rtol=1e-14)
    np.testing.assert_allclose(of_cumprod, [1e100, 1e100, 0.0], rtol=1e-12)


@pytest.mark.parametrize("op", [te.prod, te.cumprod, te.cumsum, te.sum, te.norm])
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)], ids=str)
def test_empty_arrays_have_empty_gradients(op, shape):
    x = leaf(np.ones(shape))

    y = op(x, axis=-1)

    (d,) = te.gradients(y, [x], gradient=np.ones(y.shape))
    assert d.shape == shape
    assert np.all(d == 1) or d.size == 0


# --------------------------------------------------------- variance, standard deviation


def test_the_standard_deviation_of_equal_numbers_has_derivative_zero():
    x = [[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]]

    first = gradient(lambda x: x.std(axis=1), x)

    slope = 1 / (3 * np.sqrt(2 / 3))
    np.testing.assert_allclose(first, [[0, 0, 0], [-slope, 0, slope]], atol=1e-15)


def test_the_second_derivative_of_no_spread_is_refused():
    x = leaf([2.0, 2.0])
    (d,) = te.gradients(x.std(), [x], create_graph=True)

    with pytest.raises(ValueError, match=r"no second derivative.*te.var\(x\)"):
        te.gradients(d[0], [x])


def test_rounding_of_the_mean_is_no_spread():
    """The mean of three times 0.1 is not 0.1, and std 1e-17."""
    actual = gradient(lambda x: x.std(), [0.1, 0.1, 0.1])

    np.testing.assert_allclose(actual, 0.0, atol=1e-15)


def test_a_single_number_has_no_spread():
    np.testing.assert_array_equal(gradient(lambda x: x.std(), [3.0]), [0.0])
    np.testing.assert_array_equal(gradient(lambda x: x.var(), [3.0]), [0.0])
    np.testing.assert_array_equal(gradient(lambda x: x.std(), [3.0], order=2), [0.0])


def test_the_standard_deviation_of_large_numbers_has_a_finite_derivative():
    actual = gradient(lambda x: x.std(), [1e150, -1e150])

    np.testing.assert_allclose(actual, [0.5, -0.5])


# -------------------------------------------------------------------- largest, smallest


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (te.max, [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
        (te.min, [1.0, 3.0, 1.0], [0.5, 0, 0.5]),
        (te.median, [2.0, 2.0, 2.0, 5.0, 1.0], [1 / 3, 1 / 3, 1 / 3, 0, 0]),
        (te.median, [1.0, 2.0, 2.0, 3.0], [0, 0.5, 0.5, 0]),
        (te.median, [1.0, 1.0, 2.0, 3.0], [0.25, 0.25, 0.5, 0]),
        (lambda x: te.norm(x, INF), [1.0, -3.0, 3.0], [0, -0.5, 0.5]),
        (lambda x: te.norm(x, -INF), [1.0, -3.0, -1.0], [0.5, 0, -0.5]),
    ],
)
def test_ties_share_equally(f, x, expected):
    np.testing.assert_allclose(gradient(f, x), expected)
    np.testing.assert_array_equal(gradient(f, x, order=2), 0.0)


@pytest.mark.parametrize("f", [te.max, te.min, lambda x: te.norm(x, INF)])
def test_a_nan_is_passed_on_without_a_warning(f):
    assert np.isnan(gradient(f, [1.0, np.nan])).all()


# ----------------------------------------------------------------------------- the norm


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 4, 2.5, 0.5, 0, -1, -2, INF, -INF])
def test_the_norm_at_zero_has_derivative_zero(ord):
    d = gradient(lambda x: te.norm(x, ord), [0.0, 0.0, 0.0])

    np.testing.assert_array_equal(d, 0.0)


@pytest.mark.parametrize("ord", [1, 0, INF, -INF])
def test_the_norm_of_pieces_at_zero_has_second_derivative_zero(ord):
    d = gradient(lambda x: te.norm(x, ord), [0.0, 0.0, 0.0], order=2)

    np.testing.assert_array_equal(d, 0.0)


@pytest.mark.parametrize("ord", [None, 2, 3, 4, 2.5, 0.5, -1, -2])
def test_the_norm_at_zero_has_no_second_derivative(ord):
    with pytest.raises(ValueError, match=r"no second derivative.*te.sum\(v \* v\)"):
        gradient(lambda x: te.norm(x, ord), [0.0, 0.0, 0.0], order=2)


@pytest.mark.parametrize("ord", ["fro", 1, -1, INF, -INF, 2, -2, "nuc"])
def test_the_norm_of_a_zero_matrix_has_derivative_zero_or_a_subgradient(ord):
    d = gradient(lambda x: te.norm(x, ord), np.zeros((2, 2)))

    assert np.isfinite(d).all()
    if ord not in (2, -2):  # there every unit matrix is a direction of largest growth
        np.testing.assert_array_equal(d, 0.0)


@pytest.mark.parametrize("ord", [2, 3, 4, 2.5, 0.5, -1, -2.5, INF, 1])
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e300, 1e-300])
def test_the_norm_neither_overflows_nor_underflows(ord, scale):
    x = np.array([3.0, -4.0, 2.0])

    value = te.norm(x * scale, ord)
    d = gradient(lambda x: te.norm(x, ord), x * scale)

    assert value / scale == pytest.approx(np.linalg.norm(x, ord), rel=1e-13)
    np.testing.assert_allclose(d, gradient(lambda x: te.norm(x, ord), x), rtol=1e-12)


def test_rows_of_very_different_size_have_each_their_norm():
    x = np.array([[3e200, 4e200], [3.0, 4.0], [3e-200, 4e-200], [0.0, 0.0]])

    np.testing.assert_allclose(te.norm(x, axis=1), [5e200, 5.0, 5e-200, 0.0])
    d = gradient(lambda x: x.norm(axis=1), x)
    np.testing.assert_allclose(d, [[0.6, 0.8]] * 3 + [[0.0, 0.0]])


@pytest.mark.parametrize("x", [[INF, 1.0], [np.nan, 1.0], [-INF, INF]])
def test_the_norm_of_what_is_not_finite_is_numpys(x):
    np.testing.assert_array_equal(te.norm(x), np.linalg.norm(x))


def test_the_second_derivative_of_the_norm_is_right_at_a_single_zero():
    """d²‖x‖/dx² is 1/r across the vector, also where the entry is 0."""
    x = leaf([3.0, 0.0])
    (d,) = te.gradients(x.norm(), [x], create_graph=True)

    (second,) = te.gradients(d[1], [x])

    np.testing.assert_allclose(second, [0.0, 1 / 3])


def test_a_norm_of_even_order_is_smooth_at_a_single_zero():
    """(1 + t⁴)^(1/4) = 1 + t⁴/4 - ...: the fourth derivative at 0 is 6."""
    x = leaf([0.0, 1.0])
    d = te.norm(x, 4)

    derivatives = []
    for _ in range(4):
        d = te.gradients(d, [x], create_graph=True)[0][0]
        derivatives.append(float(d.data))

    assert derivatives == [0.0, 0.0, 0.0, 6.0]


def test_float32_norms_outside_its_squares_stay_float32():
    x = leaf(np.array([3e25, 4e25], np.float32))

    y = x.norm()

    assert y.dtype == np.float32
    assert float(y) == pytest.approx(5e25, rel=1e-6)


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: te.norm(x, 3), "norm: Invalid norm order"),
        (lambda x: te.norm(x, "fro", axis=0), "norm: Invalid norm order 'fro'"),
        (lambda x: te.norm(x, axis=(0, 1, 2)), "norm: "),
        (lambda x: te.norm(x, axis=5), "norm: axis 5 is out of bounds"),
    ],
)
def test_orders_and_axes_that_numpy_refuses_are_refused(f, told):
    with pytest.raises(ValueError, match=told):
        f(leaf(np.ones((2, 3))))


# ------------------------------------------------------------------------ NumPy's names

CALLS = {
    "np.var": (lambda x: np.var(x, 0, ddof=1), te.var),
    "np.var, positions": (lambda x: np.var(x, 0, None, None, 1, True), te.var),
    "np.std": (lambda x: np.std(x, axis=(0, 1), keepdims=True), te.std),
    "np.prod": (lambda x: np.prod(a=x, axis=-1), te.prod),
    "np.amax": (lambda x: np.amax(x, axis=0), te.max),
    "np.amin": (lambda x: np.amin(a=x, axis=0, keepdims=True), te.min),
    "np.min": (np.min, te.min),
    "np.cumsum": (lambda x: np.cumsum(x, 1), te.cumsum),
    "np.cumprod": (np.cumprod, te.cumprod),
    "np.median": (lambda x: np.median(x, 0, keepdims=True), te.median),
    "np.trace": (lambda x: np.trace(x, 1), te.trace),
    "np.linalg.trace": (np.linalg.trace, te.trace),
    "np.linalg.diagonal": (lambda x: np.linalg.diagonal(x, offset=1), te.diagonal),
    "np.linalg.norm": (lambda x: np.linalg.norm(x, 1, 0, True), te.norm),
    "np.linalg.norm, names": (lambda x: np.linalg.norm(x, ord=3, axis=-1), te.norm),
    "np.linalg.matrix_norm": (lambda x: np.linalg.matrix_norm(x, ord=1), te.norm),
    "np.multiply.reduce": (np.multiply.reduce, te.prod),
    "np.multiply.reduce, all": (lambda x: np.multiply.reduce(x, axis=None), te.prod),
    "np.minimum.reduce": (lambda x: np.minimum.reduce(x, 1, keepdims=True), te.min),
    "np.maximum.reduce": (lambda x: np.maximum.reduce(x, axis=(0, 1)), te.max),
    "np.logaddexp.reduce": (np.logaddexp.reduce, te.logsumexp),
    "x.std(0, ddof=1)": (lambda x: x.std(0, ddof=1), te.std),
    "x.var()": (lambda x: x.var(), te.var),
    "x.prod(axis=(0, 1))": (lambda x: x.prod(axis=(0, 1)), te.prod),
    "x.min(0)": (lambda x: x.min(0), te.min),
    "x.trace(offset=-1)": (lambda x: x.trace(offset=-1), te.trace),
    "x.cumsum()": (lambda x: x.cumsum(), te.cumsum),
    "x.cumprod(axis=-1)": (lambda x: x.cumprod(axis=-1), te.cumprod),
}


@pytest.mark.parametrize(("f", "op"), CALLS.values(), ids=CALLS)
def test_numpys_names_and_methods_record(f, op, rng):
    x = leaf(rng.uniform(1, 2, (2, 3)))

    y = f(x)

    assert y.op is op
    np.testing.assert_allclose(y.data, f(x.data), rtol=1e-14)
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (2, 3)


@pytest.mark.parametrize("op", [te.sum, te.var, te.std, te.prod, te.max, te.min])
def test_integers_give_what_numpy_gives(op):
    x = [[3, 1, 2], [5, 4, 6]]

    actual = op(x, axis=1)

    np.testing.assert_array_equal(actual, op.numpy(x, axis=1), strict=True)


@pytest.mark.parametrize(
    "op", [te.std, te.prod, te.min, te.cumsum, te.cumprod, te.norm, te.median, te.trace]
)
def test_memory_order_does_not_matter(op, rng):
    data = rng.standard_normal((6, 8))
    for x in (data.T, np.asfortranarray(data), data[::-2, 1::3]):
        upstream = rng.standard_normal(np.shape(op(x)))
        a, b = leaf(1.0 * x), leaf(np.ascontiguousarray(x))
        a.data = x

        (actual,) = te.gradients(op(a), [a], gradient=upstream)

        (expected,) = te.gradients(op(b), [b], gradient=upstream)
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)
