"""Differences, slopes and areas: against closed forms, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


def leaf(data):
    return te.tensor(data, requires_grad=True)


def test_slopes_of_a_parabola_are_exact_at_uneven_points_too():
    x = np.array([0.0, 1.0, 3.0, 4.5])

    slopes = np.gradient(leaf(x**2 - x), x, edge_order=2)

    np.testing.assert_allclose(slopes.data, 2 * x - 1, rtol=1e-14)


def test_the_area_under_a_line_changes_with_where_it_ends():
    def area(end):
        x = end * np.linspace(0.0, 1.0, 5)
        return np.trapezoid(2.0 * x, x)

    assert te.grad(area)(3.0) == pytest.approx(6.0)


def test_unwrapped_angles_hand_their_gradient_back_unchanged():
    p = leaf([3.0, -3.0, 3.0])

    (d,) = te.gradients(np.unwrap(p), [p], gradient=[1.0, 2.0, 3.0])

    assert d.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: np.diff(x, n=-1), "diff: n must be 0, 1, 2"),
        (lambda x: np.diff(x, axis=2), r"diff: axis 2 .*\(x is \(2, 3\)\)"),
        (lambda x: np.diff(x[0, 0]), "diff: axis -1 is out of bounds"),
        (
            lambda x: np.diff(x, prepend=np.ones((3, 1))),
            "diff: all the input array dim",
        ),
        (lambda x: np.gradient(x, edge_order=3), "gradient: edge_order must be 1 or 2"),
        (lambda x: np.gradient(x, edge_order=2), "gradient: f is .* length of 3 or"),
        (lambda x: np.gradient(x, 1.0, 2.0, 3.0), "gradient: got 3 distances"),
        (lambda x: np.gradient(x, [1.0], 2.0), r"gradient: .* the shape \(2,\)"),
        (lambda x: np.trapezoid(x, np.ones(6)), "trapezoid: .*broadcast"),
        (lambda x: np.trapezoid(x, axis=5), "trapezoid: axis 5 is out of bounds"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_function(f, told):
    with pytest.raises(ValueError, match=told):
        f(leaf(np.ones((2, 3))))


def test_an_argument_without_derivative_takes_no_tensor_that_requires_gradients():
    with pytest.raises(TypeError, match=r"^unwrap: period has no derivative.*detach"):
        np.unwrap(leaf([1.0, 2.0]), period=leaf(3.0))
    y = np.unwrap(leaf([0.0, 3.0]), period=te.tensor(3.0))

    assert y.data.tolist() == [0.0, 0.0]
