"""te.fit: the steps of a loop written by hand, watched, stopped and told about."""

from __future__ import annotations

import gc
import io
import math
import os
import re
import signal
import sys
import threading
import time
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.training import (
    BeforeStep,
    EveryBatch,
    NonFiniteError,
    faults,
    feed,
    progress,
    recorder,
)
from tinygrad_edu.training.feed import Selected


@pytest.fixture
def data(rng):
    """Twenty rows, whose label says which feature is the largest."""
    X = rng.standard_normal((20, 3))
    return X, X.argmax(axis=1)


def classifier(dtype=float):
    return te.nn.Sequential(
        te.nn.Linear(3, 5, rng=0, dtype=dtype),
        te.nn.Tanh(),
        te.nn.Linear(5, 3, rng=1, dtype=dtype),
    )


def fit(model, X, y=None, *, lr=0.1, optimizer=None, **options):
    """Call te.fit, with the options that most tests share."""
    options = {"loss": te.nn.softmax_cross_entropy, "epochs": 2, "rng": 0} | options
    optimizer = optimizer or te.optim.SGD(model.parameters(), lr=lr)
    return te.fit(model, X, y, optimizer=optimizer, progress=False, **options)


def weights(model):
    return [p.data.copy() for p in model.parameters()]


def assert_same(actual, expected, rtol=0.0):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=0)


class Watched:
    """Rows that note which of them were asked for."""

    def __init__(self, rows):
        self.whole, self.asked = rows, []

    def __len__(self):
        return len(self.whole)

    def __getitem__(self, rows):
        self.asked.append(np.arange(len(self))[rows])
        return self.whole[rows]


# ---------------------------------------------------------------- the steps themselves


def test_mini_batches_make_the_steps_of_a_loop_written_by_hand(data):
    by_hand, model = classifier(), classifier()
    optimizer = te.optim.Adam(by_hand.parameters(), lr=0.1)
    rng, losses = np.random.default_rng(7), []
    for _ in range(3):
        total = 0.0
        for X, y in te.data.batches(*data, 6, rng=rng):
            loss = te.nn.softmax_cross_entropy(by_hand(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(X)
        losses.append(total / 20)

    history = fit(
        model,
        *data,
        optimizer=te.optim.Adam(model.parameters(), lr=0.1),
        epochs=3,
        batch_size=6,
        rng=7,
    )

    assert history["loss"] == losses
    assert_same(weights(model), weights(by_hand))
    assert history.epochs == [1, 2, 3]
    assert history.stopped == "epochs" and history.resumed_from is None


def on_full_batch(model, X, y, loss, epochs):
    optimizer = te.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(epochs):
        value = loss(model(X), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.parametrize("rows", [999, 1000, 2500])
def test_a_full_batch_in_parts_is_the_same_step_to_rounding(rows, rng):
    X = rng.standard_normal((rows, 3))
    y, by_hand, model = X.argmax(axis=1), classifier(), classifier()
    expected = on_full_batch(by_hand, X, y, te.nn.softmax_cross_entropy, 4)
    watched = Watched(X)

    history = fit(
        model,
        watched,
        y,
        optimizer=te.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        epochs=4,
        metrics="accuracy",
    )

    np.testing.assert_allclose(history["loss"], expected, rtol=1e-13)
    assert_same(weights(model), weights(by_hand), rtol=1e-11)
    _, *batches = watched.asked  # the first row, for its shape and dtype
    parts = np.array([len(rows) for rows in batches])
    assert parts.max() <= feed.CHUNK and parts.sum() == 4 * rows
    np.testing.assert_array_equal(np.concatenate(batches), np.tile(np.arange(rows), 4))


def with_normalization():
    return te.nn.Sequential(te.nn.Linear(3, 5, rng=0), te.nn.BatchNorm1d(5))


@pytest.mark.parametrize(
    ("make", "loss"),
    [
        (with_normalization, te.nn.softmax_cross_entropy),
        (classifier, lambda z, y: te.nn.softmax_cross_entropy(z, y)),
    ],
)
def test_a_full_batch_is_one_graph_where_its_rows_may_depend_on_each_other(
    make, loss, rng
):
    X = rng.standard_normal((1500, 3))
    y, by_hand, model = X.argmax(axis=1), make(), make()
    expected = on_full_batch(by_hand, X, y, loss, 2)

    history = fit(
        model,
        X,
        y,
        optimizer=te.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        loss=loss,
    )

    assert history["loss"] == expected
    assert_same(weights(model), weights(by_hand))


def test_a_loss_of_ones_own_may_declare_itself_a_mean_over_rows(data):
    seen = []

    def loss(output, y):
        seen.append(len(y))
        return te.nn.softmax_cross_entropy(output, y)

    loss.mean_over_rows = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "CHUNK", 8)
        fit(classifier(), *data, loss=loss, epochs=1)

    assert seen == [8, 8, 4]


def test_the_epochs_loss_is_the_mean_over_rows_also_with_a_smaller_last_batch(data):
    rows = []

    def loss(output, y):
        each = te.softmax_cross_entropy(output, y, reduction="none")
        rows.extend(each.data)
        return each.mean()

    history = fit(classifier(), *data, loss=loss, batch_size=6, epochs=1)

    assert history["loss"][0] == pytest.approx(np.mean(rows), rel=1e-14)


def test_the_same_rng_gives_the_same_weights_and_another_one_others(data):
    def run(rng):
        model = classifier()
        fit(model, *data, batch_size=4, rng=rng)
        return weights(model)

    assert_same(run(3), run(3))
    assert_same(run(3), run(np.random.default_rng(3)))
    assert (run(3)[0] != run(4)[0]).any()


def test_without_shuffle_rows_come_in_order(data):
    X, y = data
    X = Watched(X)

    fit(classifier(), X, y, batch_size=8, shuffle=False, epochs=1)

    np.testing.assert_array_equal(np.concatenate(X.asked[1:]), np.arange(20))


def test_a_memory_map_is_read_batch_by_batch(tmp_path, data):
    np.save(tmp_path / "X.npy", data[0])
    mapped = Watched(np.load(tmp_path / "X.npy", mmap_mode="r"))
    model, expected = classifier(), classifier()

    fit(model, mapped, data[1], batch_size=6, validation=0.25)
    fit(expected, *data, batch_size=6, validation=0.25)

    assert_same(weights(model), weights(expected))
    assert max(map(len, mapped.asked)) == 6


def test_a_tuple_holds_the_inputs_of_a_model_that_takes_several(rng):
    class Both(te.nn.Layer):
        independent_rows = True

        def __init__(self):
            self.left = te.nn.Linear(2, 1, rng=0)
            self.right = te.nn.Linear(3, 1, rng=1)

        def forward(self, a, b):
            return self.left(a) + self.right(b)

    a, b = rng.standard_normal((40, 2)), rng.standard_normal((40, 3))
    target = a[:, :1] - b[:, 2:]

    for options in ({}, {"batch_size": 16}):
        history = fit(
            Both(),
            (a, b),
            target,
            loss=te.nn.mse_loss,
            validation=0.2,
            epochs=600,
            **options,
        )

        assert history["validation_loss"][-1] < 1e-3


# ----------------------------------------------------------------- batches of one's own


def test_a_list_of_batches_is_gone_through_in_each_epoch(data):
    X, y = data
    pairs = [(X[:12], y[:12]), (X[12:], y[12:])]
    model, expected = classifier(), classifier()

    history = fit(model, pairs, epochs=3)
    fit(expected, X, y, batch_size=12, shuffle=False, epochs=3)

    assert_same(weights(model), weights(expected))
    assert len(history["loss"]) == 3


def test_a_function_makes_the_batches_from_the_generator(data):
    model, expected = classifier(), classifier()

    fit(model, lambda rng: te.data.batches(*data, 6, rng=rng))
    fit(expected, *data, batch_size=6)

    assert_same(weights(model), weights(expected))


def test_augmentation_is_new_in_each_epoch_and_repeats_with_the_seed(data):
    seen = []

    def noisy(X, y, rng):
        seen.append(rng.standard_normal())
        return X + seen[-1], y

    for _ in range(2):
        fit(
            classifier(),
            lambda rng: te.data.batches(*data, 10, rng=rng, augment=noisy),
        )

    assert len(set(seen)) == 4
    assert seen[:4] == seen[4:]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"X": iter([])}, TypeError, "used up after an epoch; pass a list of batches"),
        ({"X": np.ones((4, 3))}, TypeError, "y is missing"),
        ({"X": [], "batch_size": 5}, TypeError, "batch_size=5 goes with arrays"),
        ({"X": 3}, TypeError, "X must be an array, an iterable of batches or a func"),
        ({"X": []}, ValueError, "no batch in the epoch"),
        ({"X": [], "validation": 0.5}, TypeError, "no share can be drawn"),
        ({"X": [np.ones((4, 3))]}, TypeError, "batch 1 must be a pair .* got ndarray"),
        (
            {"X": [(np.ones((4, 3)), np.ones(3, int))]},
            ValueError,
            "batch 1 has 4 rows of X and 3 of y",
        ),
    ],
)
def test_batches_that_cannot_be_used_are_refused(changes, error, message):
    X = changes.pop("X")

    with pytest.raises(error, match=message):
        fit(classifier(), X, **changes)


@pytest.mark.parametrize("in_chunks", [True, False])
def test_what_has_no_rows_is_named_whether_the_loss_takes_chunks_or_not(in_chunks):
    mean = te.nn.softmax_cross_entropy
    loss = mean if in_chunks else lambda output, y: mean(output, y)

    with pytest.raises(TypeError, match=r"X must be an array .* got float64"):
        fit(classifier(), np.float64(3), np.ones(4, int), loss=loss)


# --------------------------------------------------------------- modes and validation


class Modes(te.nn.Layer):
    """Notes the mode in which it was called."""

    def __init__(self):
        self.weight = te.tensor(1.0, requires_grad=True)
        self.seen = []

    def forward(self, x):
        self.seen.append("training" if self.training else "evaluation")
        return x * self.weight


def test_steps_are_made_in_training_mode_and_validation_in_evaluation_mode():
    X, model = np.ones((4, 1)), Modes()

    fit(model, X, X, loss=te.nn.mse_loss, batch_size=2, validation=(X, X))

    assert model.seen == 2 * ["training", "training", "evaluation"]


@pytest.mark.parametrize("broken", [False, True])
def test_each_layer_is_given_back_in_the_mode_in_which_it_was(broken):
    model = te.nn.Sequential(Modes(), Modes())
    model[0].eval()
    X = np.ones((4, 1))

    def stumble(training):
        if broken:
            raise RuntimeError("on purpose")

    try:
        fit(model, X, X, loss=te.nn.mse_loss, callbacks=[stumble])
    except RuntimeError:
        assert broken

    assert [x.training for x in (model, *model)] == [True, False, True]


def test_a_share_is_drawn_for_validation_and_never_learned_from(data):
    X = np.arange(20.0)[:, None]
    learned, measured = [], []

    class Reading(te.nn.Layer):
        def __init__(self):
            self.weight = te.tensor(0.0, requires_grad=True)

        def forward(self, x):
            (learned if self.training else measured).extend(x[:, 0].tolist())
            return x * self.weight

    fit(
        Reading(),
        *(X, X),
        loss=te.nn.mse_loss,
        validation=0.25,
        epochs=1,
        batch_size=4,
        lr=1e-6,
    )

    assert len(measured) == 5 and measured == sorted(measured)
    assert sorted(learned + measured) == list(range(20))
    assert measured != list(range(5)) and measured != list(range(15, 20))


def test_validation_figures_are_those_of_evaluate(data, rng):
    other = rng.standard_normal((9, 3))
    pair = other, other.argmax(axis=1)
    model = classifier()

    history = fit(model, *data, validation=pair, metrics="accuracy", batch_size=6)

    measured = te.evaluate(
        model, *pair, loss=te.nn.softmax_cross_entropy, metrics="accuracy"
    )
    assert history["validation_loss"][-1] == measured["loss"]
    assert history["validation_accuracy"][-1] == measured["accuracy"]
    assert list(history.values) == [
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
        "seconds",
    ]


def test_metrics_of_the_training_are_those_of_the_outputs_before_each_step(data):
    model = classifier()
    expected = te.evaluate(
        model,
        *data,
        loss=te.nn.softmax_cross_entropy,
        metrics={"accuracy": "accuracy", "spread": lambda output, y: output.std()},
    )

    history = fit(
        model,
        *data,
        metrics={"accuracy": "accuracy", "spread": lambda output, y: output.std()},
        epochs=1,
    )

    assert history["accuracy"] == [expected["accuracy"]]
    assert history["spread"] == pytest.approx([expected["spread"]])


@pytest.mark.parametrize(
    ("validation", "error", "message"),
    [
        (1.5, ValueError, "share between 0 and 1, got 1.5"),
        (0, ValueError, "share between 0 and 1, got 0"),
        (0.01, ValueError, "0.01 of 20 rows leaves none for validation"),
        (0.99, ValueError, "0.99 of 20 rows leaves none for training"),
        ("0.1", TypeError, "must be a pair"),
        ((np.ones((3, 3)), np.ones(2)), ValueError, "3 rows of X and 2 of y"),
    ],
)
def test_validation_that_makes_no_sense_is_refused(validation, error, message, data):
    with pytest.raises(error, match=message):
        fit(classifier(), *data, validation=validation)


def test_seconds_are_those_of_learning(data, tmp_path, monkeypatch):
    """Of 4 batches of 1 s, with a checkpoint after each; all else takes longer."""
    now = [0.0]

    class Slow(te.nn.Linear):
        def forward(self, x):
            now[0] += 1.0 if self.training else 100.0
            return super().forward(x)

    def wait(*_):
        now[0] += 1000.0

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(os, "fsync", wait)
    monkeypatch.setattr(recorder, "SECONDS_BETWEEN", 0.0)
    history = fit(
        Slow(3, 3, rng=0),
        *data,
        batch_size=5,
        validation=data,
        callbacks=[wait],
        checkpoint=tmp_path,
    )

    assert history["seconds"] == [4.0, 4.0]
    assert now[0] > 8000


# ----------------------------------------------------------------------- callbacks


def test_callbacks_are_called_after_each_epoch_in_their_order(data):
    told = []

    def first(training):
        loss = training.history["loss"][-1]
        told.append((1, training.epoch, training.epochs, training.batch, loss))

    def second(training):
        told.append((2, training.model is model, training.optimizer is optimizer))

    model = classifier()
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, *data, optimizer=optimizer, callbacks=[first, second])

    assert told == [
        (1, 1, 2, 0, history["loss"][0]),
        (2, True, True),
        (1, 2, 2, 0, history["loss"][1]),
        (2, True, True),
    ]


def test_callbacks_of_every_batch_see_the_position(data):
    told = []

    fit(
        classifier(),
        *data,
        batch_size=8,
        callbacks=[EveryBatch(lambda t: told.append((t.epoch, t.batch)))],
    )

    assert told == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]


def test_a_schedule_is_stepped_after_each_epoch_or_after_every_batch(data):
    schedules = te.optim.schedules

    def rates(wrap):
        model = classifier()
        optimizer = te.optim.SGD(model.parameters(), lr=1.0)
        schedule = schedules.Schedule(optimizer, schedules.ExponentialDecay(0.5))
        options = {"optimizer": optimizer, "callbacks": [wrap(schedule)]}
        return fit(model, *data, batch_size=10, epochs=3, **options)["learning_rate"]

    assert rates(lambda schedule: schedule) == [1.0, 0.5, 0.25]
    assert rates(EveryBatch) == [0.5, 0.125, 0.03125]  # of each epoch's last step


def test_gradients_can_be_clipped_before_the_step(data):
    norms = []

    def clip(training):
        te.optim.clip_grad_norm(training.model.parameters(), 1e-3)
        squares = sum((p.grad**2).sum() for p in training.model.parameters())
        norms.append(math.sqrt(squares))

    model = classifier()
    before = weights(model)
    fit(model, *data, lr=1.0, epochs=1, callbacks=[BeforeStep(clip)])

    moved = math.sqrt(
        sum(((a - b) ** 2).sum() for a, b in zip(weights(model), before, strict=True))
    )
    assert norms == [pytest.approx(1e-3)]
    assert moved == pytest.approx(1e-3)


def test_a_callback_stops_training_after_its_epoch(data):
    called = []

    def stop(training):
        training.stop("enough")

    history = fit(
        classifier(), *data, epochs=9, callbacks=[stop, lambda t: called.append(t)]
    )

    assert history.epochs == [1]
    assert history.stopped == "enough"
    assert len(called) == 1  # those after it are called, too


def test_a_callback_stops_training_inside_an_epoch(data):
    def stop(training):
        if (training.epoch, training.batch) == (2, 2):
            training.stop("enough")

    batches = []
    history = fit(
        classifier(),
        *data,
        batch_size=5,
        callbacks=[EveryBatch(stop), EveryBatch(lambda t: batches.append(t.batch))],
    )

    assert (history.epochs, history.stopped) == ([1], "enough")
    assert batches == [1, 2, 3, 4, 1, 2]


def other_schedule():
    other = te.optim.SGD([te.tensor(1.0, requires_grad=True)], lr=1.0)
    return te.optim.schedules.Schedule(other, lambda t: 1.0)


@pytest.mark.parametrize(
    ("callback", "error", "message"),
    [
        (
            te.training.EarlyStopping,
            TypeError,
            r"EarlyStopping is a class; write ...\(",
        ),
        (other_schedule(), ValueError, "belongs to another optimizer"),
        (te.optim.schedules.StepDecay(2), TypeError, r"Schedule\(optimizer, StepDecay"),
        (3, TypeError, "must be a function of the training, got int"),
        (EveryBatch(3), TypeError, "must be a function of the training, got int"),
    ],
)
def test_what_is_no_callback_is_refused(callback, error, message, data):
    with pytest.raises(error, match=message):
        fit(classifier(), *data, callbacks=[callback])


def test_each_batch_asks_only_what_a_batch_may_change(data, monkeypatch):
    asked = Counter()
    for kind, name in (
        (te.optim.Optimizer, "has_gradients"),
        (faults.Faults, "look"),
        (faults.Faults, "remember"),
        (progress.Progress, "batch"),
        (feed.Feed, "begins_step"),
        (feed.Feed, "ends_step"),
    ):
        asks = getattr(kind, name)

        def count(*args, name=name, asks=asks):
            asked[name] += 1
            return asks(*args)

        monkeypatch.setattr(kind, name, count)

    fit(classifier(), *data, batch_size=1, epochs=2)

    assert asked["remember"] <= 10  # rows, of which the mean loss is taken
    del asked["remember"]
    assert asked == {"look": 1, "has_gradients": 1}


# --------------------------------------------------------------------------- Ctrl-C


def interrupt(training):
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_after_the_step_with_the_history_so_far(data):
    model, expected = classifier(), classifier()

    def third(training):
        if (training.epoch, training.batch) == (2, 2):
            interrupt(training)

    def in_the_step(output, y):
        """The gradient is not even computed yet."""
        if steps and steps[-1] == (2, 2):
            interrupt(None)
        return te.nn.softmax_cross_entropy(output, y)

    steps = []
    history = fit(
        model,
        *data,
        loss=in_the_step,
        batch_size=5,
        callbacks=[EveryBatch(lambda t: steps.append((t.epoch, t.batch)))],
    )
    fit(expected, *data, batch_size=5, callbacks=[EveryBatch(stop_at(2, 3))])

    assert (history.epochs, history.stopped) == ([1], "interrupted")
    assert steps[-1] == (2, 3)
    assert_same(weights(model), weights(expected))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def stop_at(epoch, batch):
    def stop(training):
        if (training.epoch, training.batch) == (epoch, batch):
            training.stop("there")

    return stop


def test_ctrl_c_in_a_callback_of_the_epoch_keeps_the_epoch(data):
    history = fit(classifier(), *data, epochs=5, callbacks=[interrupt])

    assert (history.epochs, history.stopped) == ([1], "interrupted")


def test_ctrl_c_between_the_parts_of_a_full_batch_leaves_the_model_as_it_was(
    data, monkeypatch
):
    monkeypatch.setattr(feed, "CHUNK", 5)
    model = classifier()
    before = weights(model)

    history = fit(model, *data, callbacks=[EveryBatch(interrupt)])

    assert history.epochs == []
    assert_same(weights(model), before)


def test_a_second_ctrl_c_ends_at_once(data):
    def twice(output, y):
        interrupt(None)
        interrupt(None)

    with pytest.raises(KeyboardInterrupt):
        fit(classifier(), *data, loss=twice)

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_keyboard_interrupt_that_is_raised_ends_cleanly_too(data):
    def raising(training):
        raise KeyboardInterrupt

    history = fit(classifier(), *data, callbacks=[raising])

    assert (history.epochs, history.stopped) == ([1], "interrupted")


def test_a_handler_of_somebody_else_is_left_alone(data):
    caught = []
    before = signal.signal(signal.SIGINT, lambda *_: caught.append(1))
    try:
        history = fit(classifier(), *data, callbacks=[interrupt])
    finally:
        signal.signal(signal.SIGINT, before)

    assert caught == [1, 1]
    assert history.epochs == [1, 2]


def test_fit_runs_in_a_thread(data):
    histories = []
    thread = threading.Thread(target=lambda: histories.append(fit(classifier(), *data)))

    thread.start()
    thread.join()

    assert histories[0].epochs == [1, 2]


# ---------------------------------------------------------------- nan and infinity


def test_a_loss_that_is_nan_names_operation_layer_and_step(data):
    model = te.nn.Sequential(te.nn.Linear(3, 3, rng=0), Wrong())
    before = None

    def remember(training):
        nonlocal before
        before = weights(training.model)

    with pytest.raises(NonFiniteError) as caught:
        fit(
            model,
            *data,
            batch_size=5,
            epochs=9,
            callbacks=[EveryBatch(remember)],
        )

    text = str(caught.value)
    assert text.startswith("fit: the loss is nan in epoch 2, batch 3, after 6 steps\n")
    assert "log" in text and "Wrong '1'" in text and "What usually helps" in text
    assert caught.value.history.epochs == [1]
    assert caught.value.history.stopped == "the loss is nan in epoch 2, batch 3"
    assert_same(weights(model), before)


class Wrong(te.nn.Layer):
    """Takes the logarithm of negative numbers in its seventh call."""

    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        with np.errstate(invalid="ignore"):
            return te.log(x * x - 1e9) if self.calls >= 7 else x


def test_a_gradient_that_is_not_finite_makes_no_step():
    model = te.nn.Linear(1, 1, rng=0)
    model.weight.data = [[0.0]]
    before = weights(model)

    def loss(output, y):
        with np.errstate(divide="ignore"):
            return te.sqrt(output * output).mean()

    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        fit(model, np.ones((2, 1)), np.ones((2, 1)), loss=loss)

    assert "the gradient of " in str(caught.value)
    assert "sqrt" in str(caught.value)
    assert_same(weights(model), before)


def test_a_parameter_that_overflows_in_the_last_step_is_told(tmp_path):
    model = te.nn.Linear(1, 1, rng=0, bias=False)
    X = np.full((2, 1), 1e200)

    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        fit(
            model,
            *(X, np.ones((2, 1))),
            loss=lambda output, y: te.mean(output),
            lr=1e200,
            epochs=1,
            checkpoint=tmp_path,
        )

    assert "the parameter weight is -inf in epoch 1" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_large_gradients_that_are_finite_are_no_fault():
    """Their squares overflow in float32."""
    model = te.nn.Linear(1, 1, rng=0, dtype=np.float32)
    X = np.full((2, 1), 1e25, np.float32)

    history = fit(
        model,
        *(X, np.ones((2, 1), np.float32)),
        loss=lambda output, y: te.mean(output),
        lr=1e-30,
    )

    assert history.epochs == [1, 2]


@pytest.mark.parametrize("validation", [None, 0.25])
@pytest.mark.parametrize("batch_size", [None, 6])
@pytest.mark.parametrize(("name", "value"), [("X", np.nan), ("y", np.inf)])
def test_what_is_not_finite_in_the_data_is_told_with_its_row(
    name, value, batch_size, validation, rng
):
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    rows = {"X": X, "y": y}
    rows[name][13, 1] = value

    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        fit(
            te.nn.Linear(3, 2, rng=0),
            *(X, y),
            loss=te.nn.mse_loss,
            batch_size=batch_size,
            validation=validation,
            rng=2,
        )

    told = f"{name} holds {value} in row 13, entry 1. Leave such rows out"
    assert told in str(caught.value)


@pytest.mark.parametrize("batch_size", [None, 6])
@pytest.mark.parametrize("name", ["X", "y"])
def test_where_most_rows_are_not_finite_the_cause_lies_before(name, batch_size, rng):
    rows = {"X": rng.standard_normal((18, 3)), "y": rng.standard_normal((18, 2))}
    rows[name][13, 1] = np.nan
    rows[name] = (rows[name] - rows[name].mean(axis=0)) / rows[name].std(axis=0)

    with pytest.raises(NonFiniteError) as caught:
        fit(
            te.nn.Linear(3, 2, rng=0),
            *rows.values(),
            loss=te.nn.mse_loss,
            batch_size=batch_size,
            shuffle=False,
        )

    count = batch_size or 18
    assert str(caught.value).endswith(
        f"\n{name} holds nan in row 0, entry 1 ({count} of {count} rows: was a mean "
        "taken over nan, or divided by a deviation of 0?). np.nanmean and np.nanstd "
        "leave nan out"
    )


def test_no_checkpoint_is_written_of_what_is_broken(tmp_path, data):
    def spoil(training):
        if training.epoch == 2:
            training.model[0].weight.data = np.full((5, 3), np.nan)

    with pytest.raises(NonFiniteError, match=r"parameter 0\.weight is nan in epoch 2"):
        fit(classifier(), *data, epochs=4, callbacks=[spoil], checkpoint=tmp_path)

    assert [p.name for p in tmp_path.iterdir()] == [
        "checkpoint-000001-000000.safetensors"
    ]


# ----------------------------------------------------------------- errors and warnings


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("validation", [None, 0.5])
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_told_with_its_row_before_any_step(
    label, validation, mapped, data, tmp_path
):
    X, y = data
    y[11] = label
    if mapped:
        np.save(tmp_path / "y.npy", y)
        y = np.load(tmp_path / "y.npy", mmap_mode="r")
    model = classifier()
    before = weights(model)

    with pytest.raises(ValueError, match=rf"label {label} in row 11.*labels 0\.\.2"):
        fit(model, X, y, batch_size=4, validation=validation, rng=1)

    assert_same(weights(model), before)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"y": np.ones(19, int)}, ValueError, "20 rows of X and 19 of y"),
        ({"X": [[1.0, 2.0, 3.0]] * 20}, TypeError, r"Did you mean np\.asarray\(X\)"),
        ({"batch_size": 0}, ValueError, "at least 1, got 0"),
        ({"batch_size": 2.5}, TypeError, "must be an int"),
        ({"epochs": 0}, ValueError, "at least 1, got 0"),
        ({"epochs": 1.0}, TypeError, "must be an int, got 1.0"),
        ({"loss": "mse"}, TypeError, "loss must be a function"),
        ({"loss": lambda o, y: 1.0}, TypeError, "single number.*got float"),
        ({"loss": lambda o, y: o}, TypeError, r"got one of shape \(20, 3\)"),
        ({"optimizer": "adam"}, TypeError, "must be an Optimizer, got str"),
        ({"model": lambda x: x}, TypeError, "must be a Layer, got function"),
        ({"metrics": "precision"}, ValueError, "no metric 'precision'"),
        ({"rng": "seed"}, TypeError, "rng must be a seed"),
        ({"checkpoint": True}, TypeError, "must be the path of a folder, got bool"),
        (
            {"client": "here:8786"},
            TypeError,
            "must be a dask.distributed.Client, got s",
        ),
    ],
)
def test_a_wrong_argument_is_refused(changes, error, message, data):
    model = classifier()
    options = {
        "model": model,
        "X": data[0],
        "y": data[1],
        "loss": te.nn.softmax_cross_entropy,
        "optimizer": te.optim.SGD(model.parameters(), lr=0.1),
        "epochs": 1,
        "progress": False,
    } | changes

    with pytest.raises(error, match=message):
        te.fit(**options)


def test_progress_of_another_kind_is_refused(data):
    model = classifier()
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)

    with pytest.raises(ValueError, match='True, False or "bar"'):
        te.fit(
            *(model, *data),
            loss=te.nn.mse_loss,
            optimizer=optimizer,
            epochs=1,
            progress="line",
        )


def test_an_error_in_a_step_says_in_which_batch_it_came(data):
    calls = []

    def loss(output, y):
        calls.append(y)
        if len(calls) == 6:
            raise ValueError("on purpose")
        return te.nn.softmax_cross_entropy(output, y)

    with pytest.raises(ValueError, match="on purpose") as caught:
        fit(classifier(), *data, loss=loss, batch_size=5, shuffle=False)

    assert caught.value.__notes__ == [
        "in epoch 2, batch 2 of te.fit; its first row is row 5 of X"
    ]


@pytest.mark.parametrize(
    ("model", "loss", "y", "told"),
    [
        (
            te.nn.Linear(3, 1, rng=0),
            te.nn.mse_loss,
            np.ones(20),
            "the model's output has shape (6, 1), y (6,): pass y[:, None]",
        ),
        (
            te.nn.Linear(3, 1, rng=0),
            te.nn.binary_cross_entropy_with_logits,
            np.ones(20, int),
            "the model's output has shape (6, 1), y (6,): pass y[:, None]",
        ),
        (
            te.nn.Linear(3, 2, rng=0),
            te.nn.softmax_cross_entropy,
            np.ones((20, 1), int),
            "the model's output has shape (6, 2), y (6, 1): pass y[:, 0]",
        ),
    ],
    ids=["regression", "yes and no", "classes"],
)
def test_a_loss_that_refuses_the_shape_of_y_is_told_how_to_get_it(
    model, loss, y, told, data
):
    with pytest.raises(ValueError, match="shape") as caught:
        fit(model, data[0], y, loss=loss, batch_size=6)

    assert caught.value.__notes__[-1] == told


def test_an_error_in_a_loss_that_takes_the_shapes_as_they_are_has_no_such_note(data):
    calls = []

    def loss(output, y):
        calls.append(y)
        if len(calls) == 4:  # the second is the look for common mistakes
            raise ValueError("on purpose")
        return te.nn.mse_loss(output[:, 0], y)

    with pytest.raises(ValueError, match="on purpose") as caught:
        fit(te.nn.Linear(3, 1, rng=0), data[0], np.ones(20), loss=loss, batch_size=5)

    (note,) = caught.value.__notes__
    assert note.startswith("in epoch 1, batch 3 of te.fit")


def test_an_error_in_the_validation_says_so(data):
    y = np.ones((20, 1))

    with pytest.raises(ValueError, match="mse_loss") as caught:
        fit(
            te.nn.Linear(3, 1, rng=0),
            *(data[0], y),
            loss=te.nn.mse_loss,
            validation=(data[0], y[:, 0]),
        )

    assert caught.value.__notes__[-1] == "in validation= of te.fit"


class Hoarding(te.optim.SGD):
    """Forgets to forget gradients."""

    def zero_grad(self):
        pass


@pytest.mark.parametrize("make", [te.optim.SGD, Hoarding])
def test_gradients_of_an_earlier_backward_are_told_where_they_would_stay(make, data):
    model = classifier()
    te.nn.softmax_cross_entropy(model(data[0]), data[1]).backward()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(model, *data, optimizer=make(model.parameters(), lr=0.1))

    texts = [str(w.message) for w in told]
    assert len(texts) == (make is Hoarding)
    assert all("zero_grad() was not called before it, or" in text for text in texts)


def test_an_optimiser_of_another_model_is_told_once_not_at_each_step(data):
    model, other = classifier(), classifier()
    optimizer = te.optim.SGD(other.parameters(), lr=0.1)

    with pytest.warns(UserWarning, match="holds none of the model's") as told:
        fit(model, *data, optimizer=optimizer, epochs=2)

    assert len(told) == 1


def test_a_common_mistake_is_told_once_and_where_fit_was_called(data):
    model = te.nn.Sequential(te.nn.Linear(3, 3, rng=0), te.nn.Softmax())
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)

    with pytest.warns(UserWarning, match="fit: the model ends in softmax") as told:
        te.fit(
            *(model, *data),
            loss=te.nn.softmax_cross_entropy,
            optimizer=optimizer,
            epochs=3,
            batch_size=5,
            progress=False,
        )

    assert len(told) == 1
    assert told[0].filename == __file__


# a step that is too large: each makes the loss grow, and all numbers stay finite
GROWING = {
    "mini-batches": {"batch_size": 10},
    "single rows": {"batch_size": 1},
    "full batch in parts": {"batch_size": None},
    "full batch": {"batch_size": None, "loss": lambda p, y: te.nn.mse_loss(p, y)},
}


@pytest.mark.parametrize("how", GROWING)
def test_a_loss_that_grows_is_told_once(how, rng):
    X = rng.standard_normal((20, 2))

    with pytest.warns(UserWarning, match="fit: the loss grew from") as told:
        fit(
            te.nn.Linear(2, 1, rng=0),
            *(X, X[:, :1]),
            epochs=12,
            lr=1.5,
            **{"loss": te.nn.mse_loss} | GROWING[how],
        )

    assert len(told) == 1
    assert re.search(r"from \S+ to \S+: try a tenth of the", str(told[0].message))


def test_a_loss_that_grows_in_the_first_epoch_is_told(rng):
    X = rng.standard_normal((200, 2))

    with pytest.warns(UserWarning, match="fit: the loss grew from"):
        fit(
            te.nn.Linear(2, 1, rng=0),
            *(X, X[:, :1]),
            loss=te.nn.mse_loss,
            batch_size=10,
            epochs=1,
            lr=1.5,
        )


def test_a_chance_first_row_does_not_make_the_loss_look_grown(rng):
    """By batches of one row: the first is fitted, of the others 100 is the size."""
    X = rng.standard_normal((20, 2))
    y = np.full((20, 1), 20.0)
    model = te.nn.Linear(2, 1, bias=False, rng=0)
    y[0] = te.predict(model, X[:1])[0]

    history = fit(
        *(model, X, y),
        loss=te.nn.mse_loss,
        batch_size=1,
        shuffle=False,
        lr=1e-9,
    )

    assert history["loss"][0] > 100


def test_after_a_resumption_the_loss_is_compared_with_what_it_was_there(tmp_path, rng):
    X = rng.standard_normal((20, 2))

    def run(epochs):
        return fit(
            te.nn.Linear(2, 1, rng=0),
            *(X, X[:, :1]),
            loss=te.nn.mse_loss,
            epochs=epochs,
            lr=1.5,
            batch_size=20,
            checkpoint=tmp_path,
        )

    with pytest.warns(UserWarning, match="the loss grew from"):
        run(12)
    run(13)
    with pytest.warns(UserWarning, match="the loss grew from"):
        run(30)


@pytest.mark.parametrize(
    "train",
    [
        lambda X, y: fit(classifier(), X, y, lr=1e-6),
        lambda X, y: te.NeuralNetClassifier((3,), max_iter=2).fit(X, y),
    ],
    ids=["fit", "estimator"],
)
@pytest.mark.filterwarnings("ignore:adam has not converged")
def test_a_large_column_is_told_by_fit_and_by_the_estimators(train, data):
    X, y = data

    with pytest.warns(UserWarning, match="column 1 of X has mean") as told:
        train(X + 1000 * np.eye(3)[1], y)

    assert [w.category for w in told].count(UserWarning) == 1
    assert {w.filename for w in told} == {__file__}


# ------------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, data, out, err, **options):
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    model = classifier()
    te.fit(
        *(model, *data),
        **{
            "loss": te.nn.softmax_cross_entropy,
            "optimizer": te.optim.SGD(model.parameters(), lr=0.1),
            "epochs": 12,
            "metrics": "accuracy",
            "validation": 0.25,
            "rng": 0,
        }
        | options,
    )
    return out.getvalue(), err.getvalue()


def test_where_output_is_piped_there_is_a_line_for_each_epoch(monkeypatch, data):
    out, err = shown(monkeypatch, data, io.StringIO(), io.StringIO())

    lines = out.splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("epoch  1/12: loss ")
    for name in ("accuracy", "validation_loss", "validation_accuracy", " s)"):
        assert name in lines[11]
    assert err == ""


@pytest.mark.parametrize("batch_size", [None, 5])
def test_a_terminal_has_a_bar_with_loss_rate_and_time_left(
    monkeypatch, data, batch_size
):
    out, err = shown(monkeypatch, data, Terminal(), Terminal(), batch_size=batch_size)

    assert out == ""
    total, unit = (12, "epoch") if batch_size is None else (36, "batch")
    assert f"{total}/{total} [" in err
    assert "epoch 12/12" in err and "loss 0." in err and "validation_accuracy" in err
    assert unit in err.rsplit("[", 1)[1]
    assert err.endswith("\n")


def test_a_bar_in_the_terminal_and_lines_in_the_pipe(monkeypatch, data):
    out, err = shown(monkeypatch, data, io.StringIO(), Terminal())

    assert len(out.splitlines()) == 12
    assert "12/12 [" in err


def test_batches_of_unknown_number_have_a_bar_too(monkeypatch, data):
    def source(rng):
        return te.data.batches(*data, 5, rng=rng)

    _, err = shown(monkeypatch, (source, None), Terminal(), Terminal(), validation=None)

    assert "48/48 [" in err


@pytest.mark.parametrize("streams", [io.StringIO, Terminal])
def test_nothing_is_shown_where_nothing_is_wanted(monkeypatch, data, streams):
    assert shown(monkeypatch, data, streams(), streams(), progress=False) == ("", "")


def test_the_bar_alone_where_only_it_is_wanted(monkeypatch, data):
    out, err = shown(monkeypatch, data, io.StringIO(), Terminal(), progress="bar")
    piped = shown(monkeypatch, data, io.StringIO(), io.StringIO(), progress="bar")

    assert out == "" and "12/12 [" in err
    assert piped == ("", "")


def test_the_bar_is_closed_also_after_an_error(monkeypatch, data):
    def stumble(training):
        raise RuntimeError("on purpose")

    err = Terminal()
    with pytest.raises(RuntimeError):
        shown(monkeypatch, data, Terminal(), err, callbacks=[stumble])

    assert err.getvalue().endswith("\n")


# --------------------------------------------------------------------------- memory


def growth(weigh, steps):
    """Bytes by which memory grows from the 1,000th step to the last."""
    held = []

    def at_both_ends(training):
        if training.batch in (1_000, steps):
            gc.collect()
            held.append(weigh())

    X = np.zeros((steps, 2), np.float32)
    model = te.nn.Sequential(te.nn.Linear(2, 4, rng=0), te.nn.ReLU(), te.nn.Dropout())
    fit(
        *(model, X, np.zeros((steps, 4), np.float32)),
        loss=te.nn.mse_loss,
        optimizer=te.optim.Adam(model.parameters()),
        epochs=1,
        batch_size=1,
        metrics={"error": te.nn.l1_loss},
        callbacks=[EveryBatch(at_both_ends)],
    )
    before, after = held
    return after - before


@pytest.mark.slow
def test_memory_stays_where_it_was():
    tracemalloc.start()
    try:
        grown = growth(lambda: tracemalloc.get_traced_memory()[0], 4_000)
    finally:
        tracemalloc.stop()

    assert grown < 60_000  # an object for each step would take more


def resident():
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_after_100_000_steps_memory_is_where_it_was_after_1_000():
    assert growth(resident, 100_000) < 2e6


def test_what_was_learned_from_is_not_kept_alive(data):
    """No graph, batch or output outlives the call."""
    model = classifier()
    fit(model, *data)
    gc.collect()
    before = len(gc.get_objects())

    for _ in range(3):
        fit(model, *data)
    gc.collect()

    assert len(gc.get_objects()) - before < 50


# --------------------------------------------------------------- what it is fed with


def test_selected_rows_are_read_only_when_asked_for():
    whole = Watched(np.arange(10) * 10)

    part = Selected(whole, np.array([1, 3, 5, 7]))

    assert len(part) == 4
    assert part[1:3].tolist() == [30, 50]
    assert part[np.array([3, 0])].tolist() == [70, 10]
    assert sum(map(len, whole.asked)) == 4


def test_inputs_of_several_lengths_are_refused():
    with pytest.raises(ValueError, match="got 4 and 3 rows"):
        fit(classifier(), (np.ones((4, 2)), np.ones((3, 2))), np.ones(4))
