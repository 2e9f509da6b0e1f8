"""check_gradient: a gradient as a NumPy function, without any Tensor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, special

import tinygrad_edu as te

A = np.array([[2.0, 0.3, -1.0], [0.1, 1.5, 0.4], [0.7, -0.2, 3.0]])
X = np.array([[0.3, 0.7, 1.1], [1.3, -0.4, 0.2], [0.5, 0.6, -0.9], [2.1, 0.1, 0.8]])
Y = np.array([1.0, -0.5, 2.0, 0.3])
W = np.array([0.3, 0.7, -1.1])


def loss(w):
    return np.mean((X @ w - Y) ** 2)


def slope(w):
    return 2 * X.T @ (X @ w - Y) / len(Y)


def plain(w):
    """The same by hand, of numbers that no dispatch differentiates."""
    total = 0.0
    for row, y in zip(X.tolist(), Y.tolist(), strict=True):
        total += (math.fsum(a * float(b) for a, b in zip(row, w, strict=True)) - y) ** 2
    return total / len(Y)


RIGHT = {
    "a mean of squares": (loss, slope, W),
    "in a loop of Python's numbers": (plain, slope, W),
    "Rosenbrock": (optimize.rosen, optimize.rosen_der, np.array([1.3, 0.7, 0.8, 1.9])),
    "a number": (math.sin, math.cos, 0.7),
    "of SciPy": (lambda x: np.sum(special.gammaln(x)), special.digamma, [0.4, 3.0]),
    "a Jacobian": (lambda x: A @ np.sin(x), lambda x: A * np.cos(x), W),
    "a matrix": (lambda w: np.sum(np.tanh(w) ** 2), None, X),
    "1,500 entries": (
        lambda x: np.sum(x**4),
        lambda x: 4 * x**3,
        np.linspace(-1, 2, 1500),
    ),
    "whole numbers": (lambda x: np.sum(x**2), lambda x: 2 * x, [1, 2, 3]),
    "beside a kink": (lambda x: np.sum(np.abs(x)), np.sign, [1e-5, -2.0]),
}


@pytest.mark.parametrize(("f", "grad", "x"), RIGHT.values(), ids=RIGHT)
def test_right_gradients_pass(f, grad, x):
    if grad is None:
        grad = lambda w: 2 * np.tanh(w) * (1 - np.tanh(w) ** 2)  # noqa: E731

    report = te.check_gradient(f, grad, x)

    assert report.correct, report.text
    assert report.causes == ()
    assert "right" in report.text


def with_wrong_row(w):
    d = 2 * np.tanh(w) * (1 - np.tanh(w) ** 2)
    d[2] *= 3
    return d


WRONG = {
    "factor": (loss, lambda w: slope(w) / 2, W, "factor"),
    "sign": (plain, lambda w: -slope(w), W, "sign"),
    "mean": (loss, lambda w: slope(w) * 4, W, "missing-mean"),
    "zeros": (plain, np.zeros_like, W, "detached"),
    "transpose": (
        lambda w: np.sum(A * w @ w),
        lambda w: (w.T @ A.T + A.T @ w.T).T.T + w * 0.1,
        A + 0.2,
        "unknown",
    ),
    "missing term": (
        lambda x: np.sum(x * np.sin(x)),
        np.sin,
        W,
        "missing-term",
    ),
    "cross-terms": (lambda x: x @ A @ x, lambda x: A @ x, W, "missing-cross-terms"),
    "wrong derivative": (
        lambda x: np.sum(np.tanh(x)),
        lambda x: 1 - np.tanh(x),
        W,
        "wrong-derivative",
    ),
    "kink": (lambda x: np.sum(np.abs(x)), np.ones_like, [0.0, 2.0], "kink"),
    "missing sum": (
        lambda b: np.sum((X + b) ** 2),
        lambda b: 2 * (X + b),
        W,
        "missing-sum",
    ),
    "shape": (loss, lambda w: slope(w)[:, None], W, "shape"),
    "nan": (loss, lambda w: slope(w) * np.nan, W, "nan"),
    "a Jacobian transposed": (lambda x: A @ x, lambda x: A.T, W, "transpose"),
    "cannot tell": (
        lambda x: np.sum(np.sin(1e12 * x)),
        lambda x: 1e12 * np.cos(1e12 * x),
        [0.3, 0.7],
        "resolution",
    ),
}


@pytest.mark.parametrize(("f", "grad", "x", "cause"), WRONG.values(), ids=WRONG)
def test_wrong_gradients_are_named(f, grad, x, cause):
    report = te.check_gradient(f, grad, x)

    assert not report.correct
    assert report.causes == (cause,), report.text


def test_the_row_and_the_entries_are_named():
    report = te.check_gradient(lambda w: np.sum(np.tanh(w) ** 2), with_wrong_row, X)
    first, _, worst, *_, last = report.text.splitlines()

    assert first == "w (4, 3): wrong in 3 of 12 entries, all in row 2"
    assert worst.split("]")[0].strip() in ("[2, 0", "[2, 1", "[2, 2")
    assert last == "likely cause: where it is wrong, the claim is 3 x the gradient"


def test_the_row_is_named_of_plain_functions_too():
    def f(w):
        return math.fsum(math.tanh(v) ** 2 for v in w.ravel())

    report = te.check_gradient(f, with_wrong_row, X)

    assert "all in row 2" in report.text
    assert "where it is wrong, the claim is 3 x the gradient" in report.text


def test_the_row_of_a_jacobian_is_named():
    def jacobian(x):
        d = A * np.cos(x)
        d[1] *= -1
        return d

    report = te.check_gradient(lambda x: A @ np.sin(x), jacobian, W)

    assert "wrong in 3 of 9 entries, all in row 1" in report.text


def test_one_wrong_entry_of_many_is_found():
    def grad(x):
        d = 4 * x**3
        d[1234] += 0.5
        return d

    report = te.check_gradient(lambda x: np.sum(x**4), grad, np.linspace(-1, 2, 1500))

    assert not report.correct
    assert "[1234]" in report.text


def test_neither_x_nor_a_claim_is_written_to_and_f_sees_arrays():
    x, seen = W.copy(), []

    def f(w):
        seen.append(type(w))
        w += 1  # its own copy
        return float(np.sum(w**2))

    te.check_gradient(f, lambda w: 2 * (w + 1), x)

    assert np.array_equal(x, W)
    assert set(seen) == {np.ndarray}


def drawn(x):
    return np.random.default_rng().standard_normal()


@pytest.mark.parametrize(
    ("f", "grad", "x", "error", "said"),
    [
        (drawn, slope, W, ValueError, "f is random"),
        (lambda x: np.nan, slope, W, ValueError, "f gives nan"),
        (loss, slope, W * np.inf, ValueError, "w holds nan or infinity"),
        (loss, slope, np.ma.array(W), TypeError, "masked"),
        (loss, lambda w: np.ma.array(slope(w)), W, TypeError, "masked"),
        (lambda w: np.ma.array([1.0]), slope, W, TypeError, "masked"),
        (loss, slope, "abc", TypeError, "x"),
        (lambda w: None, slope, W, TypeError, "f returns"),
        (loss, lambda w: None, W, TypeError, "the gradient"),
    ],
)
def test_what_cannot_be_checked_is_an_error(f, grad, x, error, said):
    with pytest.raises(error, match=said):
        te.check_gradient(f, grad, x)
