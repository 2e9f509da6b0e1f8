"""The accuracies and the meter: what they count, keep, and refuse."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.training import Meter, binary_accuracy
from tinygrad_edu.training.checkpoints import decode, encode

# --------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize(
    "y",
    [
        [0, 1, 1, 0],
        np.array([0.0, 1.0, 1.0, 0.0]),
        [[1, 0], [0, 1], [0, 1], [1, 0]],
        np.array([False, True, True, False]),
    ],
    ids=["numbers", "floats", "one-hot", "booleans"],
)
def test_accuracy_is_the_share_of_rows_that_are_right(y):
    logits = np.array([[3.0, 1.0], [0.0, 1.0], [2.0, 1.0], [-1.0, -2.0]])

    assert te.training.accuracy(logits, y) == 0.75


def test_accuracy_of_sequences_is_over_all_places():
    scores = np.zeros((2, 3, 4))
    scores[..., 1] = 1.0

    assert te.training.accuracy(scores, [[1, 1, 0], [1, 1, 1]]) == 5 / 6


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (nn.binary_cross_entropy, 1.0),
        (nn.binary_cross_entropy_with_logits, 0.75),
        (partial(nn.binary_cross_entropy_with_logits, pos_weight=2.0), 0.75),
    ],
)
def test_the_loss_tells_what_an_accuracy_takes_for_a_yes(loss, expected):
    output, y = np.array([[0.1], [0.9], [0.8], [0.0]]), np.array([[0], [1], [1], [0]])

    found = te.evaluate(nn.ReLU(), output, y, loss=loss, metrics="accuracy")

    assert found["accuracy"] == expected


def test_the_hinge_loss_has_minus_one_for_a_no():
    output, y = np.array([-2.0, 3.0, 1.0]), np.array([-1, 1, -1])

    found = te.evaluate(lambda x: x, output, y, loss=nn.hinge_loss, metrics="accuracy")

    assert found["accuracy"] == pytest.approx(2 / 3)


def test_several_yeses_in_a_row_count_one_by_one():
    output = np.array([[0.9, 0.8, 0.1], [0.2, 0.6, 0.7]])
    y = np.array([[1, 1, 0], [0, 0, 1]])

    found = te.evaluate(
        nn.ReLU(), output, y, loss=nn.binary_cross_entropy, metrics="accuracy"
    )

    assert found["accuracy"] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("output", "y", "message"),
    [
        (np.ones((4, 1)), np.ones((4, 1)), r"what counts as a yes.*binary_accuracy"),
        (np.ones(4), np.ones(4), "what counts as a yes"),
        (np.ones((4, 2)), np.ones((4, 1), int), r"Write y\.reshape\(4,\)"),
        (np.ones((4, 2)), np.ones((4, 3), int), r"got \(4, 3\)$"),
        (np.ones((2, 3)), [[1, 1, 0], [0, 0, 0]], "must add up to 1"),
        (np.ones((2, 3)), ["a", "b"], "numbers of classes, got <U1"),
    ],
)
def test_accuracy_refuses_what_it_cannot_know(output, y, message):
    with pytest.raises(ValueError, match=message):
        te.training.accuracy(output, y)


@pytest.mark.parametrize(
    ("output", "y", "message"),
    [
        (np.ones((4, 1)), np.ones(4), r"outputs have shape \(4, 1\), targets \(4,\)"),
        (np.ones(2), [0.3, 1.0], "must be 0 or 1"),
    ],
)
def test_binary_accuracy_refuses_what_would_count_wrong(output, y, message):
    with pytest.raises(ValueError, match=message):
        binary_accuracy(0.5)(output, y)


# ------------------------------------------------------------------------- the meter


def test_a_meter_goes_on_from_its_state():
    def spread(output, y):
        return output.max() - output.min()

    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((n, 2)), rng.integers(0, 2, n)) for n in (3, 2, 4)]
    whole, first, second = (
        Meter(["accuracy", spread], nn.softmax_cross_entropy) for _ in range(3)
    )
    for batch in batches:
        whole.add(*batch)

    for batch in batches[:2]:
        first.add(*batch)
    second.load_state_dict(decode(encode(first.state_dict())))
    second.add(*batches[2])

    assert second.result() == whole.result()
    assert whole.result().keys() == {"loss", "accuracy", "spread"}


def test_a_meter_keeps_several_outputs_apart_in_its_state():
    def total(output, y):
        return output[0].sum() + output[1].sum() + y.sum()

    first, second = Meter(total), Meter(total)

    first.add((np.ones(2), np.ones(2)), np.ones(2))
    second.load_state_dict(decode(encode(first.state_dict())))
    second.add((np.ones(1), np.ones(1)), np.ones(1))

    assert second.result() == {"total": 9.0}


def test_a_meter_takes_a_loss_that_is_known_by_rows():
    meter = Meter((), nn.mse_loss)

    meter.add(np.zeros(3), np.zeros(3), loss=1.0)
    meter.add(np.zeros(1), np.zeros(1), loss=5.0)

    assert meter.result() == {"loss": 2.0}


def test_a_meter_keeps_no_outputs_for_means_over_rows():
    meter = Meter(["accuracy", binary_accuracy(0.5)], nn.mse_loss)

    meter.add(np.eye(2), np.eye(2))

    assert meter.state_dict()["kept"] == []


def test_a_meter_of_nothing_has_no_figures():
    meter = Meter("accuracy")
    assert meter.result() == {}

    meter.add(np.eye(2), [0, 1])
    meter.clear()

    assert meter.result() == {}
