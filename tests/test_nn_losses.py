"""Losses: values, reductions, derivatives, extremes, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numeric import assert_near, finite_differences
from scipy import special
from sklearn import metrics

import tinygrad_edu as te
from tinygrad_edu import nn

PAIRED = [nn.mse_loss, nn.binary_cross_entropy, nn.binary_cross_entropy_with_logits]
every_paired = pytest.mark.parametrize("loss", PAIRED, ids=lambda f: f.__name__)
every_shape = pytest.mark.parametrize("shape", [(), (4,), (4, 1), (2, 3, 2)], ids=str)
reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])

REDUCE = {"mean": np.mean, "sum": np.sum, "none": np.asarray}


# One entry at a time, in words of the textbook.
def _squared_error(prediction, target):
    return (prediction - target) ** 2


def _binary(p, y):
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))


def _binary_with_logits(z, y):
    return _binary(1 / (1 + math.exp(-z)), y)


ONE_BY_ONE = {
    nn.mse_loss: _squared_error,
    nn.binary_cross_entropy: _binary,
    nn.binary_cross_entropy_with_logits: _binary_with_logits,
}


def sample(loss, shape, rng):
    """Predictions and targets that suit the loss."""
    if loss is nn.mse_loss:
        return rng.standard_normal(shape), rng.standard_normal(shape)
    targets = rng.uniform(0, 1, shape)
    if loss is nn.binary_cross_entropy:
        return rng.uniform(0.05, 0.95, shape), targets
    return 3 * rng.standard_normal(shape), targets


def by_loops(loss, predictions, targets, reduction):
    entries = np.empty(np.shape(predictions))
    for i in np.ndindex(entries.shape):
        entries[i] = ONE_BY_ONE[loss](predictions[i], targets[i])
    return REDUCE[reduction](entries)


# ------------------------------------------------- predictions and targets in pairs


@every_paired
@every_shape
@reductions
def test_values_are_those_of_a_plain_loop(loss, shape, reduction, rng):
    predictions, targets = map(np.asarray, sample(loss, shape, rng))

    actual = loss(predictions, targets, reduction=reduction)

    assert_near(actual, by_loops(loss, predictions, targets, reduction), 1e-13, "loss")


@every_paired
def test_the_mean_over_all_entries_is_the_default(loss, rng):
    predictions, targets = sample(loss, (4, 3), rng)

    assert loss(predictions, targets) == loss(predictions, targets, reduction="mean")


@every_paired
def test_tensors_lists_and_arrays_give_the_same(loss, rng):
    predictions, targets = sample(loss, (4, 3), rng)
    expected = loss(predictions, targets)

    from_tensors = loss(te.tensor(predictions, requires_grad=True), te.tensor(targets))
    from_lists = loss(predictions.tolist(), targets.tolist())

    assert from_tensors.item() == expected
    assert from_lists == expected


@every_paired
@reductions
def test_first_derivatives_are_the_finite_differences(loss, reduction, rng):
    inputs = sample(loss, (2, 3), rng)
    upstream = rng.standard_normal((2, 3) if reduction == "none" else ())
    leaves = [te.tensor(x, requires_grad=True) for x in inputs]

    out = loss(*leaves, reduction=reduction)
    actual = te.gradients(te.sum(out * upstream), leaves)

    def value(*arrays):
        return loss(*arrays, reduction=reduction)

    for i, gradient in enumerate(actual):
        expected = finite_differences(value, inputs, upstream, i)
        assert_near(gradient, expected, 1e-8, f"gradient {i}")


@every_paired
@reductions
def test_second_derivatives_are_the_finite_differences(loss, reduction, rng):
    inputs = sample(loss, (2, 3), rng)
    upstream = rng.standard_normal((2, 3) if reduction == "none" else ())
    weights = [rng.standard_normal((2, 3)) for _ in inputs]

    def first(*arrays, create_graph=False):
        leaves = [te.tensor(x, requires_grad=True) for x in arrays]
        out = te.sum(loss(*leaves, reduction=reduction) * upstream)
        return leaves, te.gradients(out, leaves, create_graph=create_graph)

    leaves, gradients = first(*inputs, create_graph=True)
    total = sum(te.sum(g * w) for g, w in zip(gradients, weights, strict=True))
    actual = te.gradients(total, leaves)

    for i, second in enumerate(actual):
        expected = finite_differences(lambda *x: first(*x)[1], inputs, weights, i)
        assert_near(second, expected, 1e-7, f"second derivative {i}")


def gradient_of(loss, predictions, *targets, **how):
    leaf = te.tensor(predictions, requires_grad=True)
    loss(leaf, *targets, **how).backward()
    return leaf.grad


def test_gradients_are_those_that_the_lecture_derives(rng):
    z, y = rng.standard_normal((5, 1)), rng.uniform(0, 1, (5, 1))
    p = special.expit(z)

    squares = gradient_of(nn.mse_loss, z, y)
    of_probabilities = gradient_of(nn.binary_cross_entropy, p, y)
    of_logits = gradient_of(nn.binary_cross_entropy_with_logits, z, y)
    of_both = gradient_of(lambda z, y: nn.binary_cross_entropy(te.sigmoid(z), y), z, y)

    assert_near(squares, 2 * (z - y) / 5, 1e-15, "2 (ŷ - y) / n")
    assert_near(
        of_probabilities, (p - y) / (p * (1 - p)) / 5, 1e-14, "(p - y) / p(1 - p) / n"
    )
    assert_near(of_logits, (p - y) / 5, 1e-15, "(σ(z) - y) / n")
    assert_near(of_both, (p - y) / 5, 1e-15, "(σ(z) - y) / n")


@pytest.mark.parametrize("soft", [False, True])
def test_binary_cross_entropies_are_scikit_learns_log_loss(soft, rng):
    p = rng.uniform(0.01, 0.99, 50)
    y = (rng.uniform(size=50) < 0.5).astype(int)
    if soft:  # as two rows of weight y and 1 - y each
        y = rng.uniform(size=50)
        expected = metrics.log_loss(
            np.repeat([1, 0], 50), np.tile(p, 2), sample_weight=np.r_[y, 1 - y]
        )
    else:
        expected = metrics.log_loss(y, p)

    assert_near(nn.binary_cross_entropy(p, y), expected, 1e-13, "of probabilities")
    actual = nn.binary_cross_entropy_with_logits(special.logit(p), y)
    assert_near(actual, expected, 1e-13, "of logits")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("recorded", [False, True])
def test_targets_of_0_and_1_may_be_of_any_type(dtype, recorded):
    p = (
        te.tensor([0.25, 0.75, 0.5], requires_grad=True)
        if recorded
        else [0.25, 0.75, 0.5]
    )
    y = np.array([1, 0, 1])

    for loss in PAIRED:
        actual, expected = loss(p, y.astype(dtype)), loss(p, y.astype(float))
        assert float(actual) == float(expected)


@every_paired
def test_float32_stays_float32(loss, rng):
    predictions, targets = (x.astype(np.float32) for x in sample(loss, (4, 3), rng))
    leaf = te.tensor(predictions, requires_grad=True)

    out = loss(leaf, targets)
    out.backward()

    assert (
        loss(predictions, targets).dtype == out.dtype == leaf.grad.dtype == np.float32
    )
    expected = loss(predictions.astype(float), targets.astype(float))
    assert_near(out.data, expected, 1e-5, "loss")


@every_paired
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((4,), (4, 1)),
        ((4, 1), (4,)),
        ((4, 1), (1, 4)),
        ((4,), ()),
        ((4, 3), (3,)),
        ((2,), (3,)),
    ],
    ids=str,
)
def test_shapes_that_differ_are_refused_also_where_they_would_broadcast(
    loss, first, second
):
    message = rf"^{loss.__name__}: predictions have shape \({first[0]},.*targets \("

    for predictions in (np.full(first, 0.5), te.tensor(np.full(first, 0.5))):
        with pytest.raises(ValueError, match=message):
            loss(predictions, np.full(second, 0.5))


@every_paired
def test_of_the_same_rows_the_message_says_how_to_reshape(loss):
    with pytest.raises(ValueError, match="targets") as caught:
        loss(np.full((4, 1), 0.5), np.full(4, 0.5))

    assert str(caught.value) == (
        f"{loss.__name__}: predictions have shape (4, 1), targets (4,). "
        "Write targets.reshape(4, 1) if they stand for the same rows"
    )


@every_paired
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_no_entries_are_refused(loss, shape):
    with pytest.raises(ValueError, match=rf"{loss.__name__}: no entries"):
        loss(np.ones(shape), np.ones(shape))


@every_paired
@pytest.mark.parametrize("reduction", ["average", "Mean", "", None, 1])
def test_an_unknown_reduction_is_refused(loss, reduction):
    with pytest.raises(ValueError, match=f"mean, sum or none, got {reduction!r}"):
        loss([0.5], [1.0], reduction=reduction)


@pytest.mark.parametrize("p", [-0.1, 1.1, 2, -1e-9])
def test_probabilities_outside_0_to_1_are_refused(p):
    for value in ([0.5, p], te.tensor([0.5, p], requires_grad=True)):
        with pytest.raises(ValueError, match="between 0 and 1; for logits use"):
            nn.binary_cross_entropy(value, [0.0, 1.0])


@every_paired
def test_nan_is_passed_on(loss):
    with np.errstate(invalid="ignore"):  # of which np.logaddexp complains
        assert np.isnan(loss([0.5, np.nan], [1.0, 0.0]))


# ------------------------------------------------------------------------- extremes

EXTREMES = [-1e4, -700.0, -90.0, -1.0, 0.0, 1.0, 90.0, 700.0, 1e4]


@precisions
@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
def test_of_extreme_logits_the_cross_entropy_is_right_and_silent(y, dtype):
    z = np.array(EXTREMES, dtype)
    target = np.full(z.shape, y, dtype)
    tolerance = 4 * np.finfo(dtype).eps

    value = nn.binary_cross_entropy_with_logits(z, target, reduction="none")
    slope = gradient_of(nn.binary_cross_entropy_with_logits, z, target, reduction="sum")

    wide = z.astype(float)
    exact = np.maximum(wide, 0) - wide * y + np.log1p(np.exp(-np.abs(wide)))
    np.testing.assert_allclose(value, exact, rtol=tolerance, atol=1e-37)
    # σ(z) - y = (1 - y) σ(z) - y σ(-z), without cancellation
    exact = (1 - y) * special.expit(wide) - y * special.expit(-wide)
    np.testing.assert_allclose(slope, exact, rtol=tolerance, atol=tolerance)


@precisions
def test_a_certain_wrong_answer_costs_a_finite_price(dtype):
    p = np.array([0.0, 1.0, 0.0, 1.0], dtype)
    y = np.array([1.0, 0.0, 0.0, 1.0], dtype)

    value = nn.binary_cross_entropy(p, y, reduction="none")

    # of float32, the bound is the logarithm of its smallest normal number
    price = 100.0 if dtype == np.float64 else -math.log(np.finfo(np.float32).tiny)
    np.testing.assert_allclose(value, [price, price, 0, 0], rtol=1e-6, atol=0)
    assert value.dtype == dtype


@precisions
def test_gradients_at_certain_answers_are_finite(dtype):
    p = np.array([0.0, 1.0, 0.0, 1.0], dtype)
    y = np.array([1.0, 0.0, 0.0, 1.0], dtype)

    slope = gradient_of(nn.binary_cross_entropy, p, y, reduction="sum")

    # at the bound the price is constant; a right answer has the ordinary slope
    np.testing.assert_array_equal(slope, [0, 0, 1, -1])


@precisions
def test_second_derivatives_at_certain_answers_are_finite(dtype):
    p = te.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True, dtype=dtype)
    y = np.array([1.0, 0.0, 0.0, 1.0], dtype)

    loss = nn.binary_cross_entropy(p, y, reduction="sum")
    (slope,) = te.gradients(loss, [p], create_graph=True)
    (bend,) = te.gradients(te.sum(slope), [p])

    np.testing.assert_array_equal(bend, [0, 0, 1, 1])


@precisions
def test_a_saturated_neuron_trains_silently(dtype):
    z = te.tensor([[-1e4], [1e4], [-1e4], [1e4]], requires_grad=True, dtype=dtype)
    y = np.array([[1.0], [0.0], [0.0], [1.0]], dtype)

    loss = nn.binary_cross_entropy(te.sigmoid(z), y)
    loss.backward()

    assert np.isfinite(loss.item())
    assert np.isfinite(z.grad).all()


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8, np.float16])
def test_certain_answers_of_any_type_have_their_price(dtype):
    p, y = np.array([0, 1, 0, 1], dtype), np.array([0, 1, 1, 0], dtype)

    value = nn.binary_cross_entropy(p, y, reduction="none")

    price = 100.0 if dtype != np.float16 else -math.log(np.finfo(np.float16).tiny)
    np.testing.assert_allclose(value, [0, 0, price, price], rtol=1e-3)


@precisions
def test_just_inside_the_bounds_nothing_is_lost(dtype):
    least = np.finfo(dtype).tiny if dtype == np.float32 else 1e-43
    p, y = np.array([least, 0.25], dtype), np.array([1.0, 0.0], dtype)

    value = nn.binary_cross_entropy(p, y, reduction="none")

    expected = [-math.log(float(p[0])), -math.log(0.75)]
    np.testing.assert_allclose(value, expected, rtol=1e-6)


# ------------------------------------------------------------- softmax cross-entropy


def cross_entropy_by_loops(logits, weights):
    """-Σ y log softmax(z) of every row, one class at a time."""
    rows = []
    for z, y in zip(logits, weights, strict=True):
        total = sum(math.exp(value) for value in z)
        pairs = zip(y, z, strict=True)
        rows.append(-sum(w * math.log(math.exp(v) / total) for w, v in pairs))
    return np.array(rows)


@reductions
def test_softmax_cross_entropy_is_that_of_a_plain_loop(reduction, rng):
    logits, labels = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    weights = rng.uniform(0, 1, (6, 4))

    of_labels = nn.softmax_cross_entropy(logits, labels, reduction=reduction)
    of_weights = nn.softmax_cross_entropy(logits, weights, reduction=reduction)

    expected = REDUCE[reduction](cross_entropy_by_loops(logits, np.eye(4)[labels]))
    assert_near(of_labels, expected, 1e-14, "of labels")
    expected = REDUCE[reduction](cross_entropy_by_loops(logits, weights))
    assert_near(of_weights, expected, 1e-14, "of weights")


def test_softmax_cross_entropy_is_scikit_learns_log_loss(rng):
    logits, labels = rng.standard_normal((50, 4)), rng.integers(0, 4, 50)

    actual = nn.softmax_cross_entropy(logits, labels)

    probabilities = special.softmax(logits, axis=1)
    expected = metrics.log_loss(labels, probabilities, labels=range(4))
    assert_near(actual, expected, 1e-14, "loss")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float64])
@reductions
def test_one_hot_labels_of_any_type_give_what_integers_give(dtype, reduction, rng):
    logits, labels = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    one_hot = np.eye(4)[labels].astype(dtype)
    upstream = rng.standard_normal(6) if reduction == "none" else 1.0

    results = []
    for y in (labels, one_hot):
        leaf = te.tensor(logits, requires_grad=True)
        loss = nn.softmax_cross_entropy(leaf, y, reduction=reduction)
        te.sum(loss * upstream).backward()
        results.append((loss.data, leaf.grad))

    assert_near(results[1][0], results[0][0], 1e-15, "loss")
    assert_near(results[1][1], results[0][1], 1e-15, "gradient")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64, np.int64])
def test_integer_labels_may_be_of_any_width(dtype, rng):
    logits = rng.standard_normal((3, 4))
    labels = np.array([3, 0, 1])

    actual = nn.softmax_cross_entropy(logits, labels.astype(dtype))

    assert actual == nn.softmax_cross_entropy(logits, labels)


def test_labels_may_be_lists_or_tensors(rng):
    logits = rng.standard_normal((3, 4))
    expected = nn.softmax_cross_entropy(logits, np.array([3, 0, 1]))

    assert nn.softmax_cross_entropy(logits, [3, 0, 1]) == expected
    leaf = te.tensor(logits, requires_grad=True)
    loss = nn.softmax_cross_entropy(leaf, te.tensor([3, 0, 1]))
    assert loss.item() == expected
    loss.backward()
    expected = (special.softmax(logits, axis=1) - np.eye(4)[[3, 0, 1]]) / 3
    assert_near(leaf.grad, expected, 1e-15, "gradient")


def test_gradient_of_softmax_cross_entropy_is_probabilities_minus_one_hot(rng):
    logits, labels = rng.standard_normal((5, 4)), rng.integers(0, 4, 5)

    actual = gradient_of(nn.softmax_cross_entropy, logits, labels)

    expected = (special.softmax(logits, axis=1) - np.eye(4)[labels]) / 5
    assert_near(actual, expected, 1e-15, "gradient")


@pytest.mark.parametrize("one_hot", [False, True])
def test_second_derivative_of_softmax_cross_entropy_is_its_hessian(one_hot, rng):
    z, v = rng.standard_normal(4), rng.standard_normal(4)
    labels = np.array([2]) if not one_hot else np.eye(4)[[2]]
    leaf = te.tensor(z[None], requires_grad=True)

    loss = nn.softmax_cross_entropy(leaf, labels)
    (slope,) = te.gradients(loss, [leaf], create_graph=True)
    (product,) = te.gradients(te.sum(slope * v), [leaf])

    p = special.softmax(z)
    hessian = np.diag(p) - np.outer(p, p)
    assert_near(product, (hessian @ v)[None], 1e-14, "Hessian times v")


@precisions
def test_of_extreme_logits_softmax_cross_entropy_is_right_and_silent(dtype):
    logits = np.array([[1e4, 0.0, -1e4]] * 3 + [[1e4] * 3], dtype)
    labels = np.array([0, 1, 2, 0])

    value = nn.softmax_cross_entropy(logits, labels, reduction="none")
    slope = gradient_of(nn.softmax_cross_entropy, logits, labels, reduction="sum")

    np.testing.assert_allclose(value, [0, 1e4, 2e4, math.log(3)], rtol=1e-6)
    expected = [[0, 0, 0], [1, -1, 0], [1, 0, -1], [-2 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(slope, expected, rtol=1e-6)
    assert value.dtype == slope.dtype == dtype


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 4, 1], r"must lie in 0\.\.3, got 4 in row 1"),
        ([0, 1, -1], r"must lie in 0\.\.3, got -1 in row 2"),
        (np.array([0, 255, 1], np.uint8), r"must lie in 0\.\.3, got 255 in row 1"),
        (
            [[0], [1], [2]],
            r"integers of shape \(3,\), or one-hot of shape \(3, 4\), got",
        ),
        ([0, 1], r"integers of shape \(3,\)"),
        ([0, 1, 2, 3], r"integers of shape \(3,\)"),
        ([0.0, 1.0, 2.0], "got float64"),
        ([True, False, True], "got bool"),
        (np.ones((3, 3)), r"one-hot of shape \(3, 4\), got float64 of shape \(3, 3\)"),
        (1, "labels must be integers"),
    ],
    ids=str,
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    for logits in (np.zeros((3, 4)), te.tensor(np.zeros((3, 4)), requires_grad=True)):
        with pytest.raises(ValueError, match=f"^softmax_cross_entropy: .*{message}"):
            nn.softmax_cross_entropy(logits, labels)


@pytest.mark.parametrize("reduction", ["average", None])
def test_softmax_cross_entropy_refuses_an_unknown_reduction(reduction):
    with pytest.raises(ValueError, match=f"mean, sum or none, got {reduction!r}"):
        nn.softmax_cross_entropy([[0.0, 1.0]], [1], reduction=reduction)


def test_softmax_cross_entropy_refuses_no_rows():
    with pytest.raises(ValueError, match="no rows"):
        nn.softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, int))
