"""Polynomials: long ones, fits, zeros in front, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


def leaf(data):
    return te.tensor(data, requires_grad=True)


def test_a_long_polynomial_takes_a_graph_that_grows_as_it_does():
    p = leaf(np.ones(2000))

    y = np.polyval(p, 0.999)
    (d,) = te.gradients(y, [p])

    np.testing.assert_allclose(d, 0.999 ** np.arange(1999, -1, -1), rtol=1e-10)


def test_the_powers_of_zero_have_slopes():
    x = leaf([0.0])

    (d,) = te.gradients(np.vander(x, 4), [x], gradient=np.ones((1, 4)))

    assert d.tolist() == [1.0]


def test_a_fit_goes_through_the_points_of_a_parabola_and_tells_who_pulls(rng):
    x, p = np.array([0.0, 1.0, 2.0, 5.0]), np.array([2.0, -1.0, 0.5])

    fitted = np.polyfit(x, leaf(np.polyval(p, x)), 2)

    np.testing.assert_allclose(fitted.data, p, rtol=1e-12)
    y = rng.standard_normal(4)
    pulls = te.jacobian(lambda y: np.polyfit(x, y, 1))(y)
    np.testing.assert_allclose(pulls @ y, np.polyfit(x, y, 1), rtol=1e-12)


def test_a_fit_that_is_not_determined_warns_as_numpys_does():
    with pytest.warns(np.exceptions.RankWarning, match="poorly conditioned"):
        np.polyfit([1.0, 1.0], leaf([1.0, 2.0]), 1)


def test_products_leave_zeros_in_front_out_as_numpys_do():
    a, b = [0.0, 2.0, 1.0], [0.0, 0.0]

    for left, right in ((a, [3.0]), (a, b), (b, b)):
        y = np.polymul(leaf(left), right)
        np.testing.assert_array_equal(y.data, np.polymul(left, right), strict=True)


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.vander(x[:, None]), ValueError, "vander: x must have one axis"),
        (lambda x: np.poly(x[:, None] * x), ValueError, "poly: the zeros must have"),
        (lambda x: np.polyder(x, -1), ValueError, "polyder: m must be 0, 1, 2"),
        (lambda x: np.polyint(x, 1, [1, 2, 3]), ValueError, "polyint: k must have"),
        (lambda x: np.polyfit(x, x[:1], 1), TypeError, r"polyfit: expected x \(k,\)"),
        (lambda x: np.polyfit(x, x, -1), ValueError, "polyfit: deg must be"),
        (lambda x: np.polyfit(x, x, 1, w=[1.0]), TypeError, "polyfit: w must be"),
        (lambda x: np.polyfit(x, x, 1, cov=True), ValueError, "polyfit: 2 points are"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_function(f, error, told):
    with pytest.raises(error, match=told):
        f(leaf([1.0, 2.0]))
