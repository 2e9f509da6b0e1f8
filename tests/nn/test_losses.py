"""Losses: values, reductions, derivatives, extremes, and what is refused."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from numeric import assert_near, finite_differences
from scipy import special
from sklearn import metrics

import tinygrad_edu as te
from tinygrad_edu import nn

PAIRED = [
    nn.mse_loss,
    nn.l1_loss,
    nn.huber_loss,
    nn.hinge_loss,
    nn.binary_cross_entropy,
    nn.binary_cross_entropy_with_logits,
]
BINARY = [nn.binary_cross_entropy, nn.binary_cross_entropy_with_logits]
every_paired = pytest.mark.parametrize("loss", PAIRED, ids=lambda f: f.__name__)
every_shape = pytest.mark.parametrize("shape", [(), (4,), (4, 1), (2, 3, 2)], ids=str)
reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])

REDUCE = {"mean": np.mean, "sum": np.sum, "none": np.asarray}


# One entry at a time, in words of the textbook.
def _squared_error(prediction, target):
    return (prediction - target) ** 2


def _absolute_error(prediction, target):
    return abs(prediction - target)


def _huber(prediction, target, delta=1.0):
    error = abs(prediction - target)
    return error**2 / 2 if error <= delta else delta * (error - delta / 2)


def _hinge(score, target):
    return max(0.0, 1 - target * score)


def _binary(p, y):
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))


def _binary_with_logits(z, y):
    # 1 - p would lose what is small beside 1
    return y * math.log1p(math.exp(-z)) + (1 - y) * math.log1p(math.exp(z))


ONE_BY_ONE = {
    nn.mse_loss: _squared_error,
    nn.l1_loss: _absolute_error,
    nn.huber_loss: _huber,
    nn.hinge_loss: _hinge,
    nn.binary_cross_entropy: _binary,
    nn.binary_cross_entropy_with_logits: _binary_with_logits,
}


def sample(loss, shape, rng):
    """Predictions and targets that suit the loss."""
    if loss in (nn.mse_loss, nn.l1_loss, nn.huber_loss):
        return rng.standard_normal(shape), 2 * rng.standard_normal(shape)
    if loss is nn.hinge_loss:
        return rng.standard_normal(shape), rng.choice([-1.0, 1.0], shape)
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

    for loss in set(PAIRED) - {nn.hinge_loss}:
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
            loss(predictions, np.ones(second))


@every_paired
def test_of_the_same_rows_the_message_says_how_to_reshape(loss):
    with pytest.raises(ValueError, match="targets") as caught:
        loss(np.full((4, 1), 0.5), np.ones(4))

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
    message = rf"between 0 and 1 \(of logits, use .*_with_logits\), got {p:g} at \[1\]"
    for value in ([0.5, p], te.tensor([0.5, p], requires_grad=True)):
        with pytest.raises(ValueError, match=message):
            nn.binary_cross_entropy(value, [0.0, 1.0])


@pytest.mark.parametrize("loss", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("y", [-1, 2.0, np.uint8(255), 1.02])
def test_targets_outside_0_to_1_are_refused(loss, y):
    message = rf"^{loss.__name__}: targets must lie .* got {float(y):g} at \[1, 0\]"

    for targets in ([[0], [y]], te.tensor([[0], [y]])):
        with pytest.raises(ValueError, match=message):
            loss([[0.5], [0.5]], targets)


@pytest.mark.parametrize("targets", [[0.0, 1.0], [1, 0], [True, False], [1.0, -2.0]])
def test_hinge_loss_refuses_targets_other_than_minus_1_and_1(targets):
    with pytest.raises(
        ValueError, match=r"must be -1 or 1 \(of 0 and 1, write 2 \* ta"
    ):
        nn.hinge_loss([0.5, 0.5], targets)


@every_paired
def test_gradcheck_may_move_targets_at_the_ends_of_their_range(loss):
    report = te.gradcheck(loss, np.array([0.3, 0.7]), np.ones(2), order=2)

    assert report


def test_unsigned_numbers_do_not_wrap_around():
    pixels, drawn = np.array([3, 250], np.uint8), np.array([5, 0], np.uint8)

    assert nn.mse_loss(pixels, drawn) == (4 + 250**2) / 2
    assert nn.l1_loss(pixels, drawn) == (2 + 250) / 2
    assert nn.huber_loss(pixels, drawn) == (1.5 + 249.5) / 2


@every_paired
@pytest.mark.parametrize("dtype", [np.int64, np.int8])
def test_whole_numbers_as_targets_keep_float32(loss, dtype):
    leaf = te.tensor(np.array([0.25, 0.75], np.float32), requires_grad=True)

    out = loss(leaf, np.ones(2, dtype))

    assert out.dtype == np.float32


@every_paired
def test_nan_is_passed_on(loss):
    with np.errstate(invalid="ignore"):  # of which np.logaddexp complains
        assert np.isnan(loss([0.5, np.nan], [1.0, 1.0]))


# ------------------------------------------------------------- each by its own oracle


def test_absolute_errors_are_scikit_learns(rng):
    y, predictions = rng.standard_normal((2, 50))

    actual = nn.l1_loss(predictions, y)

    assert_near(actual, metrics.mean_absolute_error(y, predictions), 1e-14, "loss")


@pytest.mark.parametrize("delta", [0.1, 1, 2.5, np.float64(0.7), math.inf])
def test_huber_loss_is_scipys(delta, rng):
    predictions, y = 3 * rng.standard_normal((2, 50))

    actual = nn.huber_loss(predictions, y, delta=delta, reduction="none")
    slope = gradient_of(nn.huber_loss, predictions, y, delta=delta, reduction="sum")

    assert_near(actual, special.huber(delta, predictions - y), 1e-14, "loss")
    assert_near(slope, np.clip(predictions - y, -delta, delta), 1e-15, "slope")


@precisions
def test_huber_loss_of_a_wild_outlier_is_finite(dtype):
    far = np.array([1e30, -1e30], dtype)

    value = nn.huber_loss(
        far, np.zeros(2, dtype), delta=np.float64(2), reduction="none"
    )

    np.testing.assert_allclose(value, [2e30, 2e30], rtol=1e-6)
    assert value.dtype == dtype


@pytest.mark.parametrize("delta", [0, -1.0, math.nan])
def test_huber_loss_refuses_a_delta_that_is_not_positive(delta):
    with pytest.raises(ValueError, match=f"delta must be positive, got {delta}"):
        nn.huber_loss([0.0], [1.0], delta=delta)


def test_hinge_loss_is_scikit_learns(rng):
    scores, y = 2 * rng.standard_normal(50), rng.choice([-1, 1], 50)

    actual = nn.hinge_loss(scores, y)

    assert_near(actual, metrics.hinge_loss(y, scores), 1e-14, "loss")


def test_kinks_have_the_derivative_0():
    of_distance = gradient_of(nn.l1_loss, [2.0], [2.0])
    of_hinge = gradient_of(nn.hinge_loss, [1.0, -1.0], [1, -1])

    np.testing.assert_array_equal(of_distance, [0])
    np.testing.assert_array_equal(of_hinge, [0, 0])


@pytest.mark.parametrize("pos_weight", [3.0, 0, [0.5, 1.0, 4.0], np.float64(2)])
@precisions
def test_pos_weight_counts_every_yes_so_many_times(pos_weight, dtype, rng):
    z, y = rng.standard_normal((4, 3)).astype(dtype), rng.uniform(0, 1, (4, 3))
    y = y.astype(dtype)

    actual = nn.binary_cross_entropy_with_logits(z, y, pos_weight=pos_weight)

    p = special.expit(z.astype(float))
    yes, no = np.asarray(pos_weight) * y * np.log(p), (1 - y) * np.log(1 - p)
    expected = -np.mean(yes + no)
    assert_near(actual, expected, 8 * np.finfo(dtype).eps, "loss")
    assert actual.dtype == dtype


def test_gradients_with_pos_weight_are_the_finite_differences(rng):
    z, y = rng.standard_normal((4, 3)), rng.integers(0, 2, (4, 3))

    def loss(z):
        return nn.binary_cross_entropy_with_logits(z, y, pos_weight=[0.5, 1.0, 4.0])

    assert te.gradcheck(loss, z, order=2)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, 2.0], r"must have shape \(3,\), got \(2,\)"),
        (np.ones((4, 3)), r"must have shape \(3,\), got \(4, 3\)"),
        (-1.0, "must be finite and not negative, got -1"),
        ([1.0, math.nan, 1.0], "must be finite"),
        ([1.0, math.inf, 1.0], "must be finite"),
    ],
    ids=str,
)
def test_a_pos_weight_that_makes_no_sense_is_refused(weight, message):
    with pytest.raises(ValueError, match=f"_with_logits: pos_weight {message}"):
        nn.binary_cross_entropy_with_logits(
            np.zeros((4, 3)), np.zeros((4, 3)), pos_weight=weight
        )


def test_of_a_single_column_pos_weight_is_one_number():
    with pytest.raises(ValueError, match=r"must have shape \(\), got \(4,\)"):
        nn.binary_cross_entropy_with_logits(
            np.zeros(4), np.zeros(4), pos_weight=np.ones(4)
        )


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
    weights = rng.dirichlet(np.ones(4), 6)

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
        (2 * np.eye(4)[:3], r"row of labels must add up to 1 .*, got 2 at \[0\]"),
        (np.eye(4)[:3] * [1, 1, 0, 0], r"must add up to 1 .*, got 0 at \[2\]"),
        ([[2, -1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]], r"not be negative, got -1 at \["),
    ],
    ids=str,
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    for logits in (np.zeros((3, 4)), te.tensor(np.zeros((3, 4)), requires_grad=True)):
        with pytest.raises(ValueError, match=f"^softmax_cross_entropy: .*{message}"):
            nn.softmax_cross_entropy(logits, labels)


@pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.nll_loss, "recorded"])
@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        (np.array([0.0, 1.0, 2.0]), ". Write labels.astype(int)"),
        (np.array([True, False, True]), ". Write labels.astype(int)"),
        (np.array([[0], [1], [2]]), ". Write labels.reshape(3,)"),
        (np.array([[0.0, 1.0, 2.0]]), ". Write labels.reshape(3,).astype(int)"),
        (np.array([0, 1]), ""),
    ],
    ids=str,
)
def test_labels_of_another_form_are_told_what_to_write(loss, labels, hint):
    scores = np.zeros((3, 4))
    if loss == "recorded":
        loss, scores = nn.softmax_cross_entropy, te.tensor(scores, requires_grad=True)

    with pytest.raises(ValueError, match="labels must be integers") as caught:
        loss(scores, labels)

    told = str(caught.value).partition(f"{labels.dtype} of shape {labels.shape}")[2]
    assert told == (hint and f"{hint} if they are numbers of classes")


@pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.nll_loss])
@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        ([0.0, np.nan, 0.5], "The labels hold nan in row 1: leave such rows out"),
        ([[0.0], [1.0], [np.inf]], "The labels hold inf in row 2: leave such rows out"),
        ([0.0, 1.0, 2.5], "The labels hold 2.5 in row 2, which is no number of a"),
        ([-0.5, 1.0, 2.0], "The labels hold -0.5 in row 0, which is no number of a"),
    ],
    ids=str,
)
@pytest.mark.parametrize("made", [np.array, te.tensor])
def test_labels_that_hold_nan_or_fractions_are_not_to_be_cut_off(
    loss, labels, hint, made
):
    with pytest.raises(ValueError, match="labels must be integers") as caught:
        loss(np.zeros((3, 4)), made(labels))

    assert hint in str(caught.value)
    assert "astype" not in str(caught.value)


@pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.nll_loss])
@pytest.mark.parametrize("labels", [np.array([0, 3, 1]), np.eye(4)[:3]], ids=str)
@pytest.mark.parametrize("tracked", [True, False])
def test_swapped_arguments_are_asked_for(loss, labels, tracked):
    logits = te.tensor(np.arange(12.0).reshape(3, 4), requires_grad=tracked)
    asked = labels.ndim == 1 or (tracked and loss is nn.softmax_cross_entropy)

    with pytest.raises(ValueError, match=loss.__name__) as caught:
        loss(labels, logits)

    swapped = "re the arguments swapped? Labels come second"
    assert (swapped in str(caught.value)) == asked


@pytest.mark.parametrize("reduction", ["average", None])
def test_softmax_cross_entropy_refuses_an_unknown_reduction(reduction):
    with pytest.raises(ValueError, match=f"mean, sum or none, got {reduction!r}"):
        nn.softmax_cross_entropy([[0.0, 1.0]], [1], reduction=reduction)


def test_softmax_cross_entropy_refuses_no_rows():
    with pytest.raises(ValueError, match="no rows"):
        nn.softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, int))


# ------------------------------------------ class weights, ignored labels, smoothing

WEIGHT = [0.5, 2.0, 0.0, 1.25]
OPTIONS = [
    {},
    {"weight": WEIGHT},
    {"ignore_index": -100},
    {"ignore_index": 1},
    {"weight": WEIGHT, "ignore_index": -100},
]
SMOOTH = [{"label_smoothing": 0.3, **how} for how in OPTIONS]
CONFIGURED = [
    *((nn.softmax_cross_entropy, how) for how in OPTIONS + SMOOTH),
    *((nn.nll_loss, how) for how in OPTIONS),
]
every_option = pytest.mark.parametrize(
    ("loss", "how"), CONFIGURED, ids=lambda x: getattr(x, "__name__", str(x))
)
by_class = pytest.mark.parametrize(
    "loss", [nn.softmax_cross_entropy, nn.nll_loss], ids=lambda f: f.__name__
)


def scores_and_labels(loss, how, rng, shape=(5,)):
    """Logits or log-probabilities of four classes; some labels to ignore."""
    scores, labels = rng.standard_normal((*shape, 4)), rng.integers(0, 4, shape)
    labels.flat[:4] = [3, 0, 1, 2]
    if "ignore_index" in how:
        labels.flat[[1, -1]] = how["ignore_index"]
    if loss is nn.nll_loss:
        scores = special.log_softmax(scores, axis=-1)
    return scores, labels


def rows_by_loops(
    loss, scores, labels, *, weight=None, ignore_index=None, label_smoothing=0.0
):
    """The loss of every row, and by how much its row counts in the mean."""
    weight = [1.0] * 4 if weight is None else weight
    losses, counts = [], []
    for z, label in zip(scores, labels, strict=True):
        if label == ignore_index:
            losses.append(0.0)
            counts.append(0.0)
            continue
        total = sum(math.exp(v) for v in z) if loss is nn.softmax_cross_entropy else 1
        loss_of_row = 0.0
        for c in range(4):
            y = (1 - label_smoothing) * (c == label) + label_smoothing / 4
            loss_of_row -= weight[c] * y * (z[c] - math.log(total))
        losses.append(loss_of_row)
        counts.append(weight[label])
    return np.array(losses), np.array(counts)


@every_option
@reductions
def test_with_options_values_are_those_of_a_plain_loop(loss, how, reduction, rng):
    scores, labels = scores_and_labels(loss, how, rng)

    actual = loss(scores, labels, reduction=reduction, **how)

    losses, counts = rows_by_loops(loss, scores, labels, **how)
    expected = losses if reduction == "none" else np.sum(losses)
    if reduction == "mean":
        expected = expected / np.sum(counts)
    assert_near(actual, expected, 1e-14, "loss")


@every_option
@reductions
def test_rows_may_stand_in_several_axes(loss, how, reduction, rng):
    scores, labels = scores_and_labels(loss, how, rng, (2, 5))

    actual = loss(scores, labels, reduction=reduction, **how)

    flat = loss(scores.reshape(10, 4), labels.ravel(), reduction=reduction, **how)
    expected = flat.reshape(2, 5) if reduction == "none" else flat
    assert_near(actual, expected, 1e-15, "loss")


@every_option
@reductions
def test_with_options_gradients_are_the_finite_differences(loss, how, reduction, rng):
    scores, labels = scores_and_labels(loss, how, rng)
    if loss is nn.nll_loss:
        scores = scores - 0.01  # else gradcheck steps over 0

    report = te.gradcheck(
        lambda z: loss(z, labels, reduction=reduction, **how), scores, order=2
    )

    assert report


@every_option
@precisions
def test_with_options_precision_is_kept_and_tensors_give_the_same(
    loss, how, dtype, rng
):
    scores, labels = scores_and_labels(loss, how, rng)
    scores, how = scores.astype(dtype), dict(how)
    if "label_smoothing" in how:
        how["label_smoothing"] = np.float64(how["label_smoothing"])
    leaf = te.tensor(scores, requires_grad=True)

    out = loss(leaf, te.tensor(labels), **how)
    out.backward()

    value = loss(scores, labels.tolist(), **how)
    assert value.dtype == out.dtype == leaf.grad.dtype == dtype
    assert out.item() == value


@every_option
def test_whole_numbers_as_scores_do_not_cut_off_weights(loss, how):
    scores, labels = np.array([[-3, -1, -2, -2], [-1, 0, -4, -1]]), [0, 3]

    expected = loss(scores.astype(float), labels, **how)
    assert loss(scores, labels, **how) == expected
    assert loss(te.tensor(scores), labels, **how).item() == expected


@every_option
@precisions
def test_with_options_extreme_scores_give_right_and_silent_losses(loss, how, dtype):
    scores = np.array([[1e4, 0, -1e4, 5e3]] * 4 + [[0.0] * 4], dtype)
    if loss is nn.nll_loss:
        scores = scores - dtype(1e4)
    labels = np.array([0, 3, 1, 2, how.get("ignore_index", 3)])

    value = loss(scores, labels, reduction="none", **how)
    slope = gradient_of(loss, scores, labels, reduction="sum", **how)

    wide = scores.astype(float)
    if loss is nn.softmax_cross_entropy:
        wide = special.log_softmax(wide, axis=1)
    losses, _ = rows_by_loops(nn.nll_loss, wide, labels, **how)
    np.testing.assert_allclose(value, losses, rtol=1e-6)
    assert value.dtype == dtype
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("how", OPTIONS, ids=str)
def test_a_class_that_is_masked_by_minus_infinity_takes_no_part(how, rng):
    logits, labels = scores_and_labels(nn.softmax_cross_entropy, how, rng)
    labels[labels == 0] = 3
    logits[:, 0] = -np.inf

    value = nn.softmax_cross_entropy(logits, labels, reduction="none", **how)
    slope = gradient_of(nn.softmax_cross_entropy, logits, labels, **how)

    low = np.maximum(logits, -700)  # exp(-700) is nothing beside 1
    losses, _ = rows_by_loops(nn.softmax_cross_entropy, low, labels, **how)
    assert_near(value, losses, 1e-14, "loss")
    np.testing.assert_array_equal(slope[:, 0], 0)
    assert np.all(np.isfinite(slope))


@reductions
def test_without_options_softmax_cross_entropy_is_one_operation(reduction):
    logits = te.tensor(np.zeros((2, 3)), requires_grad=True)

    for labels in ([0, 2], np.array([0, 2]), np.eye(3)[:2]):
        loss = nn.softmax_cross_entropy(logits, labels, reduction=reduction)

        assert loss.op is te.softmax_cross_entropy
        assert loss.inputs[0] is logits


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@reductions
def test_probabilities_as_labels_take_weights_and_smoothing(
    weight, smoothing, reduction, rng
):
    logits, labels = rng.standard_normal((6, 4)), rng.dirichlet(np.ones(4), 6)
    how = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}

    actual = nn.softmax_cross_entropy(logits, labels, **how)

    y = (1 - smoothing) * labels + smoothing / 4
    y = y if weight is None else y * weight
    # PyTorch, too, divides by the number of rows here, whatever the weights
    expected = REDUCE[reduction](cross_entropy_by_loops(logits, y))
    assert_near(actual, expected, 1e-14, "loss")
    assert te.gradcheck(
        lambda z: nn.softmax_cross_entropy(z, labels, **how), logits, order=2
    )


@pytest.mark.parametrize("labels", [np.float64, np.int64, bool])
def test_one_hot_labels_of_any_type_keep_float32(labels):
    logits = te.tensor(np.zeros((3, 4), np.float32), requires_grad=True)

    out = nn.softmax_cross_entropy(logits, np.eye(4)[:3].astype(labels))

    assert out.dtype == np.float32


def test_a_weighted_mean_is_scikit_learns(rng):
    logits, labels = rng.standard_normal((50, 4)), rng.integers(0, 4, 50)
    log_probabilities = special.log_softmax(logits, axis=1)

    expected = metrics.log_loss(
        labels,
        np.exp(log_probabilities),
        labels=range(4),
        sample_weight=np.array(WEIGHT)[labels],
    )
    for actual in (
        nn.softmax_cross_entropy(logits, labels, weight=WEIGHT),
        nn.nll_loss(log_probabilities, labels, weight=WEIGHT),
    ):
        assert_near(actual, expected, 1e-14, "loss")


def test_smoothing_mixes_the_loss_with_that_of_even_labels(rng):
    logits, labels = rng.standard_normal((5, 4)), rng.integers(0, 4, 5)

    actual = nn.softmax_cross_entropy(logits, labels, label_smoothing=0.2)

    hard = nn.softmax_cross_entropy(logits, labels)
    even = np.mean(special.logsumexp(logits, axis=1)) - np.mean(logits)
    assert_near(actual, 0.8 * hard + 0.2 * even, 1e-15, "loss")


def test_nll_loss_of_log_softmax_is_softmax_cross_entropy(rng):
    logits, labels = rng.standard_normal((5, 4)), rng.integers(0, 4, 5)

    at_once = gradient_of(nn.softmax_cross_entropy, logits, labels)
    in_two = gradient_of(lambda z: nn.nll_loss(te.log_softmax(z), labels), logits)

    assert_near(in_two, at_once, 1e-15, "gradient")


@every_option
def test_rows_that_are_ignored_have_no_gradient_even_of_nan(loss, how, rng):
    if "ignore_index" not in how:
        how = {**how, "ignore_index": -1}
    scores, labels = scores_and_labels(loss, how, rng)
    ignored = labels == how["ignore_index"]
    scores[ignored] = np.nan

    value = loss(scores, labels, **how)
    slope = gradient_of(loss, scores, labels, **how)

    assert np.isfinite(value)
    np.testing.assert_array_equal(slope[ignored], 0)
    assert np.all(slope[~ignored].any(axis=1) | (labels[~ignored] == 2))


@by_class
@reductions
def test_a_batch_of_ignored_rows_alone_is_refused(loss, reduction):
    message = f"^{loss.__name__}: every label is 9, the ignore_index: there is no row"

    with pytest.raises(ValueError, match=message):
        loss(-np.ones((2, 4)), [9, 9], ignore_index=9, reduction=reduction)


@by_class
def test_rows_of_weight_0_alone_have_no_mean(loss):
    scores, labels, weight = -np.ones((2, 3)), [2, 2], [1.0, 1.0, 0.0]

    with pytest.raises(ValueError, match=f"^{loss.__name__}: every label has the weig"):
        loss(scores, labels, weight=weight)
    assert loss(scores, labels, weight=weight, reduction="sum") == 0
    np.testing.assert_array_equal(
        loss(scores, labels, weight=weight, reduction="none"), [0, 0]
    )


@by_class
@reductions
def test_a_single_row_may_come_without_its_axis(loss, reduction):
    scores = special.log_softmax(np.arange(3.0))

    plain = loss(scores, 1, reduction=reduction)
    with_options = loss(scores, 1, reduction=reduction, ignore_index=5)

    assert_near(plain, -scores[1], 1e-15, "loss")
    assert_near(with_options, -scores[1], 1e-15, "loss")


@by_class
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, 1.0], r"must have shape \(4,\), got \(2,\)"),
        (1.0, r"must have shape \(4,\), got \(\)"),
        ([1.0, -1.0, 1.0, 1.0], "must be finite and not negative"),
        ([1.0, math.nan, 1.0, 1.0], "must be finite and not negative"),
    ],
    ids=str,
)
def test_class_weights_that_make_no_sense_are_refused(loss, weight, message):
    with pytest.raises(ValueError, match=f"^{loss.__name__}: weight {message}"):
        loss(-np.ones((2, 4)), [0, 1], weight=weight)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, math.nan])
def test_a_smoothing_outside_0_to_1_is_refused(smoothing):
    with pytest.raises(ValueError, match="label_smoothing must lie between 0 and 1"):
        nn.softmax_cross_entropy(np.ones((2, 4)), [0, 1], label_smoothing=smoothing)


def test_only_integer_labels_can_be_ignored():
    with pytest.raises(ValueError, match="ignore_index needs integer labels"):
        nn.softmax_cross_entropy(np.ones((2, 4)), np.eye(4)[:2], ignore_index=0)


@by_class
def test_an_ignore_index_that_is_no_integer_is_refused(loss):
    with pytest.raises(TypeError, match="integer"):
        loss(-np.ones((2, 4)), [0, 1], ignore_index=0.5)


@by_class
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0, 4, 1],
            r"must lie in 0\.\.3, got 4 in row 1; to leave such rows out, pass",
        ),
        ([-100, -1, 2], r"must lie in 0\.\.3, got -1 in row 1"),
        (
            [[0], [1], [2]],
            r"integers of shape \(3,\) for scores of shape \(3, 4\), got",
        ),
        ([0, 1], r"integers of shape \(3,\)"),
        ([0.0, 1.0, 2.0], "got float64"),
        ([True, False, True], "got bool"),
        (1, "labels must be integers"),
    ],
    ids=str,
)
def test_with_options_labels_that_do_not_fit_are_refused(loss, labels, message):
    if loss is nn.softmax_cross_entropy and np.ndim(labels) == 2:
        message = r"integers of shape \(3,\), or one-hot of shape \(3, 4\), got"
    scores = -np.ones((3, 4))

    for x in (scores, te.tensor(scores, requires_grad=True)):
        for how in ({"ignore_index": -100}, {"weight": np.ones(4)}):
            if how == {"ignore_index": -100} and np.ndim(labels) == 2:
                continue
            if "weight" in how and labels == [-100, -1, 2]:
                continue
            with pytest.raises(ValueError, match=f"^{loss.__name__}: .*{message}"):
                loss(x, labels, **how)


@by_class
@pytest.mark.parametrize("shape", [(0, 4), (3, 0), ()])
def test_no_rows_are_refused_with_options_too(loss, shape):
    labels = np.zeros(shape[:-1], int)

    with pytest.raises(ValueError, match=f"^{loss.__name__}: "):
        loss(np.zeros(shape), labels, weight=np.ones(4))


@by_class
@pytest.mark.parametrize("how", [{}, {"weight": WEIGHT}, {"ignore_index": 3}], ids=str)
def test_an_unknown_reduction_is_refused_with_options_too(loss, how):
    with pytest.raises(ValueError, match="mean, sum or none, got 'average'"):
        loss(-np.ones((2, 4)), [0, 3], reduction="average", **how)


@pytest.mark.parametrize("how", [{}, {"weight": WEIGHT}], ids=str)
def test_nll_loss_refuses_what_is_no_logarithm_of_a_probability(how):
    probabilities = np.full((2, 4), 0.25)

    for x in (probabilities, te.tensor(probabilities, requires_grad=True)):
        with pytest.raises(ValueError, match=r"must not be positive \(of probabiliti"):
            nn.nll_loss(x, [0, 1], **how)


def test_nll_loss_refuses_one_hot_labels():
    with pytest.raises(
        ValueError, match=r"integers of shape \(2,\) for scores of shap"
    ):
        nn.nll_loss(-np.ones((2, 4)), np.eye(4, dtype=int)[:2])


# -------------------------------------------------------------- a plain mean over rows

MEANS = [*PAIRED, nn.softmax_cross_entropy, nn.nll_loss]
ROWS, CUTS = 11, [0, 1, 4, 11]


def batch_of(loss, rng):
    if loss in PAIRED:
        return sample(loss, (ROWS, 3), rng)
    return scores_and_labels(loss, {}, rng, (ROWS,))


def in_chunks(loss, predictions, targets):
    """What fit adds up for a large batch."""
    return sum(
        loss(predictions[i:j], targets[i:j]) * (j - i) / ROWS
        for i, j in itertools.pairwise(CUTS)
    )


def test_every_loss_says_that_it_is_a_mean_over_rows():
    public = {getattr(nn.losses, name) for name in nn.losses.__all__}

    assert public == {loss for loss in public if loss.mean_over_rows} == set(MEANS)


@pytest.mark.parametrize("loss", MEANS, ids=lambda f: f.__name__)
def test_a_mean_over_rows_is_the_weighted_mean_of_its_chunks(loss, rng):
    predictions, targets = batch_of(loss, rng)

    whole, parts = loss(predictions, targets), in_chunks(loss, predictions, targets)

    assert_near(parts, whole, 1e-15, "loss")
    of_whole = gradient_of(loss, predictions, targets)
    of_parts = gradient_of(lambda z: in_chunks(loss, z, targets), predictions)
    assert_near(of_parts, of_whole, 1e-15, "gradient")


NO_MEANS = [
    *(functools.partial(loss, reduction="sum") for loss in MEANS),
    functools.partial(nn.softmax_cross_entropy, weight=WEIGHT),
    functools.partial(nn.softmax_cross_entropy, ignore_index=0),
    functools.partial(nn.nll_loss, weight=WEIGHT),
    functools.partial(nn.nll_loss, ignore_index=0),
]


@pytest.mark.parametrize(
    "loss", NO_MEANS, ids=lambda f: f"{f.func.__name__}-{f.keywords}"
)
def test_with_options_that_break_it_a_loss_does_not_say_so(loss, rng):
    predictions, targets = batch_of(loss.func, rng)

    whole, parts = loss(predictions, targets), in_chunks(loss, predictions, targets)

    assert abs(whole - parts) > 1e-6
    assert not getattr(loss, "mean_over_rows", False)
    assert not getattr(lambda z, y: loss(z, y), "mean_over_rows", False)
