"""check_derivation: formulas taken for others, each named; and nothing by chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tinygrad_edu as te
from tinygrad_edu import nn

RNG = np.random.default_rng(0)
S = RNG.standard_normal((3, 3))
x, v = RNG.standard_normal((2, 3))
Z, M = RNG.standard_normal((2, 4, 3))
CLASSES = np.array([0, 2, 1, 1])
Y = np.eye(3)[CLASSES]
P = special.softmax(Z, axis=1)
A = special.expit(Z)


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


s = special.expit(x)
p = special.softmax(x)
T = np.tanh(x)

SLIPS = {
    # a product of functions of x
    "x sin x": (lambda x: np.sum(x * np.sin(x)), x, np.sin(x), "missing-term"),
    "x sin x, the other": (
        lambda x: np.sum(x * np.sin(x)),
        x,
        x * np.cos(x),
        "missing-term",
    ),
    "x sin x, a number": (lambda x: x * np.sin(x), 1.3, np.sin(1.3), "missing-term"),
    "exp x / x": (lambda x: np.sum(np.exp(x) / x), x, np.exp(x) / x, "missing-term"),
    "x^T S x": (lambda x: x @ S @ x, x, S @ x, "missing-cross-terms"),
    "x^T S x, the other": (lambda x: x @ S @ x, x, S.T @ x, "missing-cross-terms"),
    "x^T (S x)": (lambda x: x @ (S @ x), x, S @ x, "missing-cross-terms"),
    "sum of x (S x)": (
        lambda x: np.sum(x * (S @ x)),
        x,
        S @ x,
        "missing-cross-terms",
    ),
    # a softmax of which only the diagonal is there
    "softmax": (
        lambda x: np.sum(v * te.softmax(x)),
        x,
        v * p * (1 - p),
        "missing-cross-terms",
    ),
    "softmax by hand": (
        lambda x: np.sum(v * softmax(x)),
        x,
        v * p * (1 - p),
        "missing-cross-terms",
    ),
    "softmax in rows": (
        lambda Z: np.sum(M * softmax(Z)),
        Z,
        M * P * (1 - P),
        "missing-cross-terms",
    ),
    # labels
    "classes": (
        lambda Z: nn.softmax_cross_entropy(Z, CLASSES),
        Z,
        P / 4,
        "missing-labels",
    ),
    "one-hot": (lambda Z: nn.softmax_cross_entropy(Z, Y), Z, P / 4, "missing-labels"),
    "one-hot, by hand": (
        lambda Z: -np.sum(Y * np.log(softmax(Z))),
        Z,
        P,
        "missing-labels",
    ),
    "of the sigmoid": (
        lambda Z: -np.sum(Y * np.log(sigmoid(Z)) + (1 - Y) * np.log(1 - sigmoid(Z))),
        Z,
        A,
        "missing-labels",
    ),
    # derivatives of others
    "1 - A for tanh'": (lambda x: np.sum(np.tanh(x)), x, 1 - T, "wrong-derivative"),
    "σ' for tanh'": (lambda x: np.sum(np.tanh(x)), x, s * (1 - s), "wrong-derivative"),
    "A (1 - A) for tanh'": (
        lambda x: np.sum(v * np.tanh(x)),
        x,
        v * T * (1 - T),
        "wrong-derivative",
    ),
    "tanh' for σ'": (
        lambda x: np.sum(v * sigmoid(x)),
        x,
        v * (1 - s * s),
        "wrong-derivative",
    ),
}


@pytest.mark.parametrize(("f", "at", "claim", "cause"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_named(f, at, claim, cause):
    report = te.check_derivation(f, [np.asarray(at)], [np.asarray(claim)])

    assert report.causes == (cause,), report.text


def test_a_slip_is_named_through_a_layer():
    X = RNG.standard_normal((4, 2))
    W = RNG.standard_normal((2, 3))

    def f(W):
        return nn.softmax_cross_entropy(X @ W, CLASSES)

    claim = X.T @ special.softmax(X @ W, axis=1) / 4

    assert te.check_derivation(f, [W], [claim]).causes == ("missing-labels",)


NUMBERS = {
    "exp(-x²/2)": (lambda x: np.exp(-(x**2) / 2), 1.3, np.exp(-(1.3**2) / 2)),
    "exp(-x²/2), minus": (lambda x: np.exp(-(x**2) / 2), 1.3, -np.exp(-(1.3**2) / 2)),
    "exp(-x x/2)": (lambda x: np.exp(-x * x / 2), 1.3, np.exp(-(1.3**2) / 2)),
    "exp(-x²/2) at 2": (lambda x: np.exp(-(x**2) / 2), 4.0, np.exp(-8.0)),
    "sin(x²)": (lambda x: np.sin(x**2), 0.7, np.cos(0.49)),
    "log(x²)": (lambda x: np.log(x**2), 0.7, 1 / 0.49),
    "tanh(3 x / 1.7)": (lambda x: np.tanh(x / 1.7), 0.4, 1 / np.cosh(0.4 / 1.7) ** 2),
    "x^1.6": (lambda x: x**1.6, 2.5, 2.5**0.6),
}


@pytest.mark.parametrize(("f", "at", "claim"), NUMBERS.values(), ids=NUMBERS)
def test_of_a_number_no_fraction_is_given_by_chance(f, at, claim):
    report = te.check_derivation(f, {"x": at}, {"x": claim})

    assert set(report.causes) <= {"missing-derivative", "unknown"}, report.text
    assert "/" not in report.text.splitlines()[-1].replace("divide", "")


@pytest.mark.parametrize("name", SLIPS)
def test_nothing_is_said_by_chance(name):
    f, at, _, _ = SLIPS[name]
    rng = np.random.default_rng(len(name))
    at = rng.standard_normal(np.shape(at)).round(1) + 0.05

    for _ in range(3):
        claim = rng.standard_normal(np.shape(at)).round(1)
        report = te.check_derivation(f, [at], [claim])

        assert report.causes == ("unknown",), report.text


@pytest.mark.parametrize(
    ("inputs", "claimed"),
    [
        ({"x": np.ma.array([1.0, 2.0])}, {"x": [2.0, 4.0]}),
        ({"x": np.array([1.0, 2.0])}, {"x": np.ma.array([2.0, 4.0])}),
        ([np.ma.array([1.0, 2.0])], [[2.0, 4.0]]),
        (np.array([1.0, 2.0]), np.ma.array([2.0, 4.0], mask=[0, 1])),
    ],
)
def test_masked_arrays_are_refused(inputs, claimed):
    with pytest.raises(TypeError, match="masked array"):
        te.check_derivation(lambda x: np.sum(x * x), inputs, claimed)


def test_a_function_that_claims_a_masked_array_is_reported():
    report = te.check_derivation(
        lambda x: np.sum(x * x), [np.ones(2)], lambda x: [np.ma.array(2 * x)]
    )

    assert report.causes == ("error",)
    assert "masked array" in report.text
