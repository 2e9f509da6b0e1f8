"""Where the textbook formulas overflow, the operations give finite, right numbers.

Warnings are errors in this suite: an overflow on the way would fail these tests, too.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tinygrad_edu as te

EXTREMES = np.array(
    [-1e4, -700.0, -50.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 50.0, 700.0, 1e4]
)
ROWS = np.array(
    [
        [1e4, 1e4, 0.0],
        [-1e4, -1e4, -1e4],
        [1e4, -1e4, 0.0],
        [-1e4, -1e4 + 1, -1e4 - 2],
        [0.0, 0.0, 0.0],
    ]
)
#: Relative tolerances: a few units in the last place.
precisions = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, 1e-15), (np.float32, 5e-7)]
)


def gradient_of(f, x, upstream=1.0):
    leaf = te.tensor(x, requires_grad=True)
    (g,) = te.gradients(te.sum(f(leaf) * upstream), [leaf])
    return g


@precisions
def test_sigmoid_is_right_at_any_input(dtype, tolerance):
    x = EXTREMES.astype(dtype)
    x = x[(x > -80) | (x == -1e4)]  # between, float32 has no normal number for it

    actual = te.sigmoid(x)

    assert actual.dtype == dtype
    expected = special.expit(x.astype(np.float64))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=0)


@precisions
def test_sigmoids_gradient_is_finite_and_right_at_any_input(dtype, tolerance):
    x = EXTREMES.astype(dtype)

    actual = gradient_of(te.sigmoid, x)

    wide = x.astype(np.float64)
    expected = special.expit(wide) * special.expit(-wide)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_a_number_as_well_as_an_array_gives_a_finite_sigmoid():
    assert te.sigmoid(1e4) == 1.0
    assert te.sigmoid(-1e4) == 0.0
    assert te.sigmoid(te.tensor(-1e4)).item() == 0.0


@precisions
def test_softplus_is_right_at_any_input(dtype, tolerance):
    x = EXTREMES.astype(dtype)

    actual, gradient = te.softplus(x), gradient_of(te.softplus, x)

    assert actual.dtype == gradient.dtype == dtype
    wide = x.astype(np.float64)
    if dtype == np.float32:
        wide = np.where(wide == -700, -1e4, wide)  # both are 0 in float32
    expected = -special.log_expit(-wide)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=1e-45)
    expected = special.expit(wide)
    np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=1e-20)


@precisions
def test_softmax_is_right_at_any_input(dtype, tolerance):
    x = ROWS.astype(dtype)

    actual = te.softmax(x)

    assert actual.dtype == dtype
    expected = special.softmax(x.astype(np.float64), axis=-1)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=0)


@precisions
def test_log_softmax_is_right_at_any_input(dtype, tolerance):
    x = ROWS.astype(dtype)

    actual = te.log_softmax(x)

    assert actual.dtype == dtype
    expected = special.log_softmax(x.astype(np.float64), axis=-1)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=0)


@precisions
def test_logsumexp_is_right_at_any_input(dtype, tolerance):
    x = ROWS.astype(dtype)

    actual = te.logsumexp(x, axis=-1)

    assert actual.dtype == dtype
    expected = special.logsumexp(x.astype(np.float64), axis=-1)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=0)


@precisions
@pytest.mark.parametrize("f", [te.softmax, te.log_softmax, te.logsumexp], ids=str)
def test_gradients_of_the_softmaxes_are_finite_and_right(f, dtype, tolerance):
    x = ROWS.astype(dtype)
    upstream = np.array([1.0, -2.0, 0.5]).astype(dtype)

    if f is te.logsumexp:
        actual = gradient_of(lambda t: te.logsumexp(t, axis=-1), x)
    else:
        actual = gradient_of(f, x, upstream)

    s = special.softmax(x.astype(np.float64), axis=-1)
    expected = {
        te.softmax: s * (upstream - np.sum(upstream * s, axis=-1, keepdims=True)),
        te.log_softmax: upstream - s * np.sum(upstream),
        te.logsumexp: s,
    }[f]
    assert actual.dtype == dtype
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_logsumexp_of_infinities_is_their_limit(axis):
    nothing = np.full((2, 2), -np.inf)

    assert np.all(te.logsumexp(nothing, axis=axis) == -np.inf)
    assert np.all(te.logsumexp([[np.inf, 0.0], [1.0, np.inf]], axis=axis) == np.inf)


@precisions
def test_cross_entropy_of_a_certain_wrong_answer_is_the_distance(dtype, tolerance):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4], [0.0, 1e4, 0.0]]).astype(
        dtype
    )
    labels = np.array([1, 0, 1])  # the last answer is right

    each = te.softmax_cross_entropy(logits, labels, reduction="none")
    mean = te.softmax_cross_entropy(logits, labels)
    gradient = gradient_of(lambda z: te.softmax_cross_entropy(z, labels), logits)

    np.testing.assert_allclose(each, [2e4, 2e4, 0.0], rtol=tolerance, atol=0)
    np.testing.assert_allclose(mean, 4e4 / 3, rtol=tolerance)
    expected = np.array([[1, -1, 0], [-1, 0, 1], [0, 0, 0]]) / 3
    np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=0)
    assert each.dtype == gradient.dtype == dtype


@precisions
def test_cross_entropy_takes_one_hot_labels_as_well(dtype, tolerance):
    logits = np.array([[1e4, -1e4, 0.0], [0.0, 1e4, 0.0]]).astype(dtype)
    one_hot = np.eye(3, dtype=dtype)[[1, 1]]

    actual = te.softmax_cross_entropy(logits, one_hot)

    np.testing.assert_allclose(actual, 1e4, rtol=tolerance)


@pytest.mark.parametrize(
    "f",
    [
        te.sigmoid,
        te.softplus,
        te.tanh,
        te.relu,
        te.softmax,
        te.log_softmax,
        te.logsumexp,
        lambda z: te.softmax_cross_entropy(z, 1),
    ],
    ids=lambda f: getattr(f, "name", "softmax_cross_entropy"),
)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_second_derivatives_are_finite(f, row):
    x = te.tensor(row, requires_grad=True)

    (first,) = te.gradients(te.sum(f(x)), [x], create_graph=True)
    assert np.isfinite(first.data).all()
    if first.requires_grad:
        (second,) = te.gradients(te.sum(first * np.arange(3.0)), [x])
        assert np.isfinite(second).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int64])
def test_integers_do_not_wrap_around(dtype):
    x = np.array([0, 1, 1]).astype(dtype)
    wide = x.astype(np.float64)

    np.testing.assert_allclose(te.sigmoid(x), special.expit(wide), rtol=1e-15)
    np.testing.assert_allclose(te.softmax(x), special.softmax(wide), rtol=1e-15)
    np.testing.assert_allclose(te.log_softmax(x), special.log_softmax(wide), rtol=1e-15)
    np.testing.assert_allclose(te.logsumexp(x), special.logsumexp(wide), rtol=1e-15)
    loss = te.softmax_cross_entropy(x, 0)
    np.testing.assert_allclose(loss, -special.log_softmax(wide)[0], rtol=1e-15)
