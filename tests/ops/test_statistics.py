"""Means, covariances and quantiles, with and without nan: ends, ties, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te

NAN, INF = np.nan, np.inf


def slope(f, x):
    return te.grad(lambda x: te.sum(f(x)))(np.array(x))


def leaf(data):
    return te.tensor(data, requires_grad=True)


# ------------------------------------------------------------------------ closed forms


def test_a_weighted_mean_pulls_at_its_weights_as_far_as_numbers_are_off():
    x, w = np.array([1.0, 4.0, 7.0]), np.array([2.0, 1.0, 1.0])

    by_weights = te.grad(lambda w: np.average(x, weights=w))(w)

    np.testing.assert_allclose(by_weights, (x - 3.25) / 4)


def test_the_correlation_of_a_line_is_one_and_stays_so():
    x = np.array([0.1, 0.7, -0.4, 1.3])

    r, d = te.value_and_grad(lambda x: np.corrcoef(x, 3.0 * x - 2.0)[0, 1])(x)

    assert r == pytest.approx(1.0, abs=1e-15)
    assert abs(r) <= 1
    np.testing.assert_allclose(d, 0.0, atol=1e-14)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_the_median_and_the_quantile_of_one_half_have_the_same_slope(axis, rng):
    x = rng.standard_normal((4, 5))

    left, right = (
        slope(lambda x, f=f: f(x, axis=axis), x)
        for f in (np.median, lambda x, axis: np.quantile(x, 0.5, axis))
    )

    np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("method", ["inverted_cdf", "averaged_inverted_cdf", "weibull"])
@pytest.mark.parametrize("method_two", ["median_unbiased", "lower", "midpoint"])
def test_every_method_of_choosing_has_weights_with_the_sum_one(method, method_two, rng):
    x = rng.standard_normal(7)

    for how in (method, method_two):
        d = slope(lambda x, how=how: np.percentile(x, [13, 77], method=how), x)

        assert d.sum() == pytest.approx(2.0)


# ---------------------------------------------------------------------------- with nan

GAPS = [1.0, NAN, 4.0]


@pytest.mark.parametrize(
    ("f", "x", "right"),
    [
        (np.nansum, GAPS, [1, 0, 1]),
        (np.nanprod, GAPS, [4, 0, 1]),
        (np.nancumsum, GAPS, [3, 0, 1]),
        (np.nanmean, GAPS, [0.5, 0, 0.5]),
        (np.nanvar, GAPS, [-1.5, 0, 1.5]),
        (np.nanstd, GAPS, [-0.5, 0, 0.5]),
        (np.nanmedian, GAPS, [0.5, 0, 0.5]),
        (np.nanmax, GAPS, [0, 0, 1]),
        (np.nanmin, GAPS, [1, 0, 0]),
        (np.nanmax, [4.0, NAN, 4.0], [0.5, 0, 0.5]),
        (np.nanmax, [-INF, NAN, NAN, -INF], [0.5, 0, 0, 0.5]),
        (np.nanmin, [INF, NAN], [1, 0]),
        (np.nanstd, [2.0, NAN, 2.0], [0, 0, 0]),
        (lambda x: np.nanpercentile(x, 25), GAPS, [0.75, 0, 0.25]),
        (lambda x: np.quantile(x, 0.25), GAPS, [NAN, NAN, NAN]),
    ],
)
def test_nan_gets_no_gradient_and_the_others_share_it(f, x, right):
    np.testing.assert_allclose(slope(f, x), right)


@pytest.mark.parametrize(
    ("f", "told", "right"),
    [
        (np.nanmean, "Mean of empty slice", 0),
        (np.nanvar, "Degrees of freedom", 0),
        (np.nanstd, "Degrees of freedom", 0),
        (np.nanmax, "All-NaN slice", NAN),
        (np.nanmedian, "All-NaN slice", NAN),
    ],
)
def test_nan_alone_gives_nan_with_numpys_warning(f, told, right):
    x = leaf([NAN, NAN])
    with pytest.warns(RuntimeWarning, match=told):
        y = f(x)

    assert np.isnan(y.data)
    np.testing.assert_array_equal(te.gradients(y, [x])[0], right)


def test_a_single_number_among_nan_has_no_deviation_nor_kink():
    H = te.hessian(lambda x: np.nanstd(x, axis=1).sum())(np.array([[2.0, NAN, NAN]]))

    assert np.all(H == 0)


def test_a_mean_in_float16_does_not_overflow_on_the_way():
    x = te.tensor(np.full(4, 40_000, np.float16), requires_grad=True)

    y = np.nanmean(x)

    assert y.dtype == np.float16
    assert y.data == 40_000


# ----------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.average(x, weights=[1.0, 2.0]), ValueError, "average: weights"),
        (lambda x: np.average(x, 0, [1.0, -1.0]), ZeroDivisionError, "average: the"),
        (lambda x: np.cov(x, aweights=[1.0]), ValueError, r"cov: .*shape \(3,\)"),
        (lambda x: np.cov(x, fweights=[1, 2, 0.5]), TypeError, "cov: .*integers"),
        (lambda x: np.cov(x, aweights=[1, -2, 1]), ValueError, "cov: .*negative"),
        (lambda x: np.quantile(x, 1.5), ValueError, r"quantile: .*\[0, 1\]"),
        (lambda x: np.percentile(x, 5, method="no"), ValueError, "percentile: 'no'"),
        (lambda x: np.quantile(x, leaf(0.5)), TypeError, "q has no derivative"),
        (lambda x: np.nanmax(x, where=np.ones((2, 3), bool)), ValueError, "nanmax: "),
        (lambda x: te.nansum(x, out=np.ones(3)), TypeError, "nansum: argument 'out'"),
        (lambda x: np.nanvar(x, ddof=1, correction=1), ValueError, "nanvar: "),
        (lambda x: np.ptp(x, axis=2), ValueError, "ptp: axis 2 is out of bounds"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_function(f, error, told):
    with pytest.raises(error, match=told):
        f(leaf(np.ones((2, 3))))
