"""te.nudge: what a gradient predicts beside what the loss does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_edu as te


def leaf(data, name=None, **kwargs):
    return te.tensor(data, requires_grad=True, name=name, **kwargs)


QUARTER = "a quarter of the gap"


def test_prediction_and_measurement_of_a_parabola():
    w = leaf([[3.0, 5.0]], "w")

    found = te.nudge(lambda: te.sum(w * w), w, (0, 1), eps=0.01)

    assert (found.entry, found.gradient, found.eps) == ("w[0, 1]", 10.0, 0.01)
    assert found.predicted == pytest.approx(0.1)
    assert found.measured == pytest.approx(0.1001)
    assert found.relative_difference == pytest.approx(0.0001 / 0.1001)
    assert str(found).splitlines() == [
        "w[0, 1] moved by 0.01, gradient 10",
        "  predicted, gradient x eps      0.1",
        "  measured change of the loss    0.1001",
        "  relative difference            0.001",
        f"They differ because the loss is curved: half of eps leaves {QUARTER}.",
    ]
    assert repr(found) == str(found)


def test_half_of_eps_does_leave_a_quarter_of_the_gap():
    w = leaf(1.0)
    whole, half = (te.nudge(lambda: te.exp(w), w, eps=eps) for eps in (1e-2, 5e-3))

    ratio = (half.measured - half.predicted) / (whole.measured - whole.predicted)

    assert ratio == pytest.approx(0.25, rel=0.01)


def cut(w):
    return w * w.detach()


@pytest.mark.parametrize(
    ("f", "at", "eps", "words"),
    [
        (lambda w: 3 * w, 1.0, 1e-3, "They agree"),
        (lambda w: 0 * w, 1.0, 1e-3, "They agree"),
        (lambda w: w * w, 1.0, 1e-3, QUARTER),
        (lambda w: w * w, 1.0, -1e-3, QUARTER),
        (te.exp, 1.0, 1.0, QUARTER),
        (lambda w: w * w * w, 0.0, 1e-3, "leaves 0.12 of the gap"),
        (te.relu, 0.0, 1e-3, "kink at this very point"),
        (te.absolute, 0.0, 1e-3, "kink at this very point"),
        (te.sqrt, 1e-4, 1e-3, "between the two points"),  # -9e-4 has no root
        (te.relu, -0.0007, 1e-3, "between the two points the loss has a kink"),
        (te.relu, -0.0003, 1e-3, "between the two points the loss has a kink"),
        (te.relu, -0.0001, 1e-3, "between the two points the loss has a kink"),
        (te.relu, -0.1, 1e-3, "They agree"),
        (cut, 2.0, 1e-3, "part of the loss left the graph"),
        (lambda w: w + 1e16, 1.0, 1e-3, "lost in rounding"),
        (lambda w: 1 / w, 0.0, 1e-3, "nan or infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_why_the_two_differ(f, at, eps, words):
    w = leaf(at)

    assert words in te.nudge(lambda: f(w), w, eps=eps).reason


def test_a_coarse_dtype_takes_the_step_it_can():
    w = leaf([1000.0], dtype=np.float32)

    found = te.nudge(lambda: te.sum(w * 2), w, 0)

    assert found.eps == float(np.float32(1000.001)) - 1000
    assert found.eps != 1e-3
    assert found.predicted == 2 * found.eps == found.measured


@pytest.mark.parametrize("index", [-1, (-1,), (1,), np.int64(1)])
def test_an_index_may_be_written_in_several_ways(index):
    w = leaf([3.0, 5.0])

    assert te.nudge(lambda: te.sum(w * w), w, index).gradient == 10.0


def test_nothing_is_left_changed(rng):
    w = leaf(rng.standard_normal((3, 2)), "w")
    bits, array = w.data.tobytes(), w.data
    w.grad = np.ones((3, 2))
    older = te.sum(w * w)

    te.nudge(lambda: te.sum(te.tanh(w)), w, (1, 1))

    assert w.data is array
    assert w.data.tobytes() == bits
    np.testing.assert_array_equal(w.grad, np.ones((3, 2)))
    older.backward()  # a graph made before is right still


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
def test_the_parameter_is_put_back_when_the_loss_raises(call):
    w, calls = leaf([1.0, 2.0]), itertools.count()
    array = w.data

    def loss_fn():
        if next(calls) == call:
            raise KeyError("no")
        return te.sum(w * w)

    with pytest.raises(KeyError):
        te.nudge(loss_fn, w, 0)

    assert w.data is array
    np.testing.assert_array_equal(array, [1.0, 2.0])


def test_the_parameter_of_a_model_is_nudged_in_place(rng):
    model = te.nn.Sequential(te.nn.Linear(4, 3, rng=0), te.nn.Tanh())
    rows = rng.standard_normal((5, 4))

    found = te.nudge(lambda: te.mean(model(rows)), model[0].weight, (2, 3))

    assert found.entry == "weight[2, 3]"
    assert found.measured == pytest.approx(found.predicted, rel=1e-2)


W = leaf([1.0, 2.0], "w")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((lambda: 1.0, W, 0), TypeError, "must return a Tensor, got float"),
        ((lambda: W * 2, W, 0), ValueError, r"single number, got shape \(2,\). Sum it"),
        ((lambda: te.sum(W), W * 2, 0), ValueError, "computed by multiply"),
        (
            (lambda: te.sum(W), np.ones(2), 0),
            TypeError,
            "must be a Tensor, got ndarray",
        ),
        (
            (lambda: te.sum(W), te.tensor([1, 2]), 0),
            ValueError,
            "int64 .*integers cannot",
        ),
        (
            (lambda: te.sum(W), te.tensor([1.0]), 0),
            ValueError,
            "must require gradients$",
        ),
        ((lambda: te.sum(W), W, 2), IndexError, r"2 lies outside of shape \(2,\)"),
        ((lambda: te.sum(W), W, -3), IndexError, "lies outside"),
        ((lambda: te.sum(W), W, (0, 0)), ValueError, r"by 1 integer; got \(0, 0\)"),
        ((lambda: te.sum(W), W), ValueError, r"one entry of shape \(2,\).*got \(\)"),
        ((lambda: te.sum(W), W, 0.0), ValueError, "got 0.0"),
        ((lambda: te.sum(W), W, True), ValueError, "got True"),
        ((lambda: te.sum(W), W, slice(None)), ValueError, "one entry"),
        ((lambda: te.sum(W), W, 0, 0.0), ValueError, "eps must be a finite number"),
        ((lambda: te.sum(W), W, 0, np.nan), ValueError, "eps must be a finite number"),
        ((lambda: te.sum(W), W, 0, 1e-20), ValueError, "1e-20 is too small: 1.0 . eps"),
        ((lambda: te.sum(W.detach()), W, 0), RuntimeError, "nothing was recorded"),
    ],
)
def test_bad_input_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        te.nudge(*arguments)


def test_a_random_loss_is_refused(rng):
    with pytest.raises(ValueError, match=r"loss_fn is random: two calls give"):
        te.nudge(lambda: te.sum(W * rng.standard_normal(2)), W, 0)
