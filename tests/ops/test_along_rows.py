"""Softmax, its logarithm and standardize: alike however the rows lie in memory."""

from __future__ import annotations

import numpy as np
import pytest
from numeric import assert_near
from scipy import special

import tinygrad_edu as te

OPERATIONS = {
    "softmax": (
        te.softmax,
        lambda x: special.softmax(x, axis=-1),
        lambda g, y, x: y * (g - (g * y).sum(-1, keepdims=True)),
    ),
    "log_softmax": (
        te.log_softmax,
        lambda x: special.log_softmax(x, axis=-1),
        lambda g, y, x: g - np.exp(y) * g.sum(-1, keepdims=True),
    ),
    "standardize": (
        te.standardize,
        lambda x: (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True),
        lambda g, y, x: (
            (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True))
            / x.std(-1, keepdims=True)
        ),
    ),
}
every = pytest.mark.parametrize("name", OPERATIONS)

LAYOUTS = {
    "rows": lambda x: x,
    "columns": np.asfortranarray,
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[..., ::-1].copy()[..., ::-1],
    "rows apart": lambda x: np.concatenate([x, x], axis=-1)[..., : x.shape[-1]],
}
TOLERANCE = {np.float16: 2e-3, np.float32: 2e-6, np.float64: 1e-14}


@every
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(7,), (3, 33), (2, 3, 5)])
def test_values_and_gradients_are_right(name, layout, dtype, shape, rng):
    f, expected, derivative = OPERATIONS[name]
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    leaf = te.tensor(x, requires_grad=True)
    laid_out = te.transpose(te.tensor(LAYOUTS[layout](x).T, requires_grad=True))

    y = f(LAYOUTS[layout](x))
    d = te.gradients(f(leaf), [leaf], gradient=LAYOUTS[layout](g))[0]
    of_view = te.gradients(f(laid_out), [laid_out], gradient=g)[0]

    x, g = x.astype(np.float64), g.astype(np.float64)
    right = expected(x)
    slope = derivative(g, right, x)
    assert (y.dtype, d.dtype) == (dtype, dtype)
    assert_near(y, right, TOLERANCE[dtype], "values")
    assert_near(d, slope, 4 * TOLERANCE[dtype], "gradient")
    assert_near(of_view, slope, 4 * TOLERANCE[dtype], "gradient of a view")


@every
def test_a_row_by_itself_is_bit_for_bit_what_it_is_among_others(name, rng):
    f = OPERATIONS[name][0]
    x, g = rng.standard_normal((2, 301, 64)).astype(np.float32)
    leaf = te.tensor(x, requires_grad=True)

    y = f(leaf)
    d = te.gradients(y, [leaf], gradient=g)[0]

    for part in (slice(0, 1), slice(100, 228), slice(228, 301)):
        some = te.tensor(x[part], requires_grad=True)
        z = f(some)
        np.testing.assert_array_equal(z.data, y.data[part])
        (slope,) = te.gradients(z, [some], gradient=g[part])
        np.testing.assert_array_equal(slope, d[part])


@every
@pytest.mark.parametrize("shape", [(0, 5), (2, 0, 3)])
def test_of_no_rows_there_is_nothing(name, shape):
    x = te.tensor(np.zeros(shape), requires_grad=True)

    y = OPERATIONS[name][0](x)
    (d,) = te.gradients(y, [x], gradient=np.zeros(shape))

    assert y.shape == d.shape == shape


@every
def test_what_it_is_handed_is_left_as_it_is(name, rng):
    x, g = rng.standard_normal((2, 4, 6))
    before = x.copy(), g.copy()
    leaf = te.tensor(x, requires_grad=True)

    y = OPERATIONS[name][0](x)
    shown = OPERATIONS[name][0](leaf)
    kept = shown.data.copy()
    te.gradients(shown, [leaf], gradient=g)

    assert y is not x
    np.testing.assert_array_equal(shown.data, kept)
    np.testing.assert_array_equal((x, g), before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("most", [29.9, 30.1, 80.0, 1000.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_softmax_is_right_on_both_sides_of_where_the_largest_is_taken_off(
    most, side, dtype
):
    x = (side * np.array([[0.0, 1.0, most], [most, most, most]])).astype(dtype)

    p = te.softmax(x)

    right = special.softmax(x.astype(np.float64), axis=-1)
    least = np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(p, right, TOLERANCE[dtype], atol=least)


def test_a_nan_or_infinity_spoils_a_softmax_in_its_own_row_alone():
    x = np.array([[0.0, np.nan], [-np.inf, 1.0], [0.0, 0.0], [np.inf, 0.0]])

    p = te.softmax(x)

    assert np.isnan(p[0]).all()
    np.testing.assert_array_equal(p[1:], [[0, 1], [0.5, 0.5], [1, 0]])
