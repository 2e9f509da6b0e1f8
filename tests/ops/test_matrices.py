"""Least squares, conditions, products with vectors, einsum with numbers."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


def leaf(data):
    return te.tensor(data, requires_grad=True)


def test_least_squares_draw_the_line_and_say_what_each_point_pulls():
    x, y = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 5.0, 9.0])
    A = np.stack([np.ones(4), x], axis=1)

    line, residuals, rank, s = np.linalg.lstsq(A, leaf(y))

    np.testing.assert_allclose(line.data, [1.0, 2.0], rtol=1e-13)
    np.testing.assert_allclose(residuals.data, [0.0], atol=1e-25)
    assert (rank, type(s)) == (2, np.ndarray)
    slope = te.grad(lambda y: np.linalg.lstsq(A, y)[0][1])(y)
    off = x - x.mean()
    np.testing.assert_allclose(slope, off / np.sum(off**2), rtol=1e-12)


def test_of_a_rank_that_is_not_full_the_shortest_is_found_without_residuals():
    A = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]])

    x, residuals, rank, _ = np.linalg.lstsq(leaf(A), np.array([1.0, 1.0, 2.0]))

    np.testing.assert_allclose(x.data, [0.5, 0.5], rtol=1e-13)
    assert (residuals.shape, rank) == ((0,), 1)


def test_the_rank_is_a_plain_number():
    assert np.linalg.matrix_rank(leaf(np.eye(3))) == 3


@pytest.mark.parametrize(
    "call",
    [
        lambda f, a, b: f(a, [0, 1], b, [1, 2], [0, 2]),
        lambda f, a, b: f(a, [30, 3], b, [3, 0]),  # in order of the numbers
        lambda f, a, b: f(a, [..., 1], b, [1, 4], [..., 4]),
        lambda f, a, b: f(a, (0, 1), [0]),
        lambda f, a, b: f(a, [0, 1], b, [1, 2], []),
        lambda f, a, b: f(a, [0, 1], b, [1, 2], optimize=True),
    ],
)
def test_einsum_takes_numbers_for_letters(call, rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))

    np.testing.assert_allclose(
        call(np.einsum, leaf(a), b).data, call(np.einsum, a, b), rtol=1e-13
    )
    np.testing.assert_allclose(call(te.einsum, a, b), call(np.einsum, a, b))
    te.gradcheck(lambda a, b: call(np.einsum, a, b), a, b)


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.einsum(x, 3), TypeError, "einsum: .*list of numbers.*got 3"),
        (lambda x: np.einsum(x, [0, 60]), TypeError, r"einsum: .*got \[0, 60\]"),
        (lambda x: np.vecdot(x, x[:, :2]), ValueError, "vecdot: the lengths"),
        (lambda x: np.matvec(x, x[:, :2]), ValueError, "matvec: "),
        (lambda x: np.matvec(x[0], x[0]), ValueError, r"matvec: x1 is \(3,\)"),
        (lambda x: np.linalg.lstsq(x, x[0]), np.linalg.LinAlgError, "lstsq: expected"),
        (lambda x: np.linalg.cond(x, 1), np.linalg.LinAlgError, "cond: .*square"),
        (lambda x: np.linalg.cond(x[:0]), np.linalg.LinAlgError, "cond: .*entries"),
        (lambda x: np.linalg.tensorinv(x, 0), ValueError, "tensorinv: ind must be"),
        (lambda x: np.linalg.tensorsolve(x, x[0]), np.linalg.LinAlgError, "tensorsol"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_function(f, error, told):
    with pytest.raises(error, match=told):
        f(leaf(np.ones((2, 3))))
