"""Sequences, interpolation, ranges: ends, closed forms, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


def leaf(data):
    return te.tensor(data, requires_grad=True)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("m", range(1, 6))
def test_overlaps_of_any_lengths_are_numpys(n, m, mode, rng):
    a, v = rng.standard_normal(n), rng.standard_normal(m)

    for f in (np.convolve, np.correlate):
        np.testing.assert_allclose(f(leaf(a), v, mode).data, f(a, v, mode), rtol=1e-13)


def test_a_convolution_hands_back_the_other_sequence():
    a = leaf([1.0, 2.0, 3.0])

    (d,) = te.gradients(np.convolve(a, [5.0, 7.0])[1], [a])

    assert d.tolist() == [7.0, 5.0, 0.0]


PLACES, VALUES = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 8.0])


@pytest.mark.parametrize(
    ("x", "slope"),
    [(-1, 0), (0, 2), (0.5, 2), (1, 3), (3, 3), (4, 0), (np.inf, 0), (-np.inf, 0)],
)
def test_between_points_the_slope_is_the_lines_and_outside_it_is_none(x, slope):
    by_x = te.grad(lambda x: np.interp(x, PLACES, VALUES))(float(x))
    by_values = te.grad(lambda fp: np.interp(x, PLACES, fp))(VALUES)

    assert by_x == slope
    assert by_values.sum() == 1.0
    assert np.isfinite(by_values).all()


def test_what_is_outside_has_the_slope_of_the_given_ends():
    left = te.grad(lambda a: te.interp([-1.0, 0.5], PLACES, VALUES, left=a).sum())

    assert left(5.0) == 1.0


def test_a_range_ends_where_it_shall_to_the_last_digit():
    start, stop = leaf(0.1), leaf(0.7)
    for f in (np.linspace, np.geomspace):
        y = f(start, stop, 7)

        assert (y.data[0], y.data[-1]) == (0.1, 0.7)
        np.testing.assert_array_equal(
            np.concatenate([te.gradients(y[-1], [start, stop])]), [0, 1]
        )


def test_a_range_may_have_ends_of_either_sign():
    a, b = np.array([1.0, -2.0]), np.array([4.0, -0.5])

    np.testing.assert_allclose(
        np.geomspace(leaf(a), b, 5).data, np.geomspace(a, b, 5), rtol=1e-14
    )


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.convolve(x, np.ones((2, 2))), ValueError, r"convolve: v.*\(2, 2"),
        (lambda x: np.convolve(x, []), ValueError, "convolve: v must be a sequence"),
        (lambda x: np.convolve(x, x, "some"), ValueError, "convolve: mode must be"),
        (
            lambda x: np.interp(x, [1.0], [1.0, 2.0]),
            ValueError,
            "interp: .*same length",
        ),
        (lambda x: np.interp(0.5, x[::-1], x), ValueError, "interp: xp must be in asc"),
        (lambda x: np.interp(x, [], []), ValueError, "interp: array of sample"),
        (lambda x: np.interp(x, x, x, period=0), ValueError, "interp: period"),
        (lambda x: np.linspace(x, 1, -1), ValueError, "linspace: num must be 0, 1"),
        (lambda x: np.linspace(x, 9, 3, dtype=int), TypeError, "linspace: .*np.floor"),
        (lambda x: np.geomspace(x, -1), ValueError, "geomspace: .*the same sign"),
        (lambda x: np.geomspace(x, 0), ValueError, "geomspace: .*not be 0"),
        (
            lambda x: np.meshgrid(x, indexing="no"),
            ValueError,
            "meshgrid: indexing must",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_function(f, error, told):
    with pytest.raises(error, match=told):
        f(leaf([1.0, 2.0]))
