"""When callbacks are called, and how long the schedules among them last."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.optim.schedules import (
    CosineAnnealing,
    ExponentialDecay,
    LinearWarmup,
    OneCycle,
    Schedule,
)
from tinygrad_edu.training import BeforeStep, EarlyStopping, EveryBatch, feed

ROWS = 20


def fit(factor, wrap=EveryBatch, *, epochs=3, callbacks=(), schedule=None, **options):
    """Train with a schedule, or go on; return it, and every batch's learning rate."""
    X = np.random.default_rng(0).standard_normal((ROWS, 2))
    model = te.nn.Linear(2, 1, rng=0)
    if schedule is None:
        optimizer = te.optim.SGD(model.parameters(), lr=0.5)
        schedule = Schedule(optimizer, factor)
    else:
        model.weight, model.bias = schedule.optimizer.param_groups[0]["params"]
    rates = []
    note = EveryBatch(lambda training: rates.append(training.optimizer.lr))
    data = {"X": X, "y": X[:, :1], "batch_size": 6} | options
    te.fit(
        model,
        loss=te.nn.mse_loss,
        optimizer=schedule.optimizer,
        epochs=epochs,
        callbacks=[note, wrap(schedule), *callbacks],
        progress=False,
        **{"rng": 0, **data},
    )
    return schedule, rates


def by_epoch(schedule):
    return schedule


# --------------------------------------------------------- as long as the training


@pytest.mark.parametrize(
    ("validation", "steps"), [(None, 4), (0.1, 3), (0.35, 3)], ids=str
)
def test_a_schedule_without_a_length_lasts_for_all_batches(validation, steps):
    """Those of the rows that are left after a part was drawn for validation."""
    schedule, rates = fit(OneCycle(), validation=validation)

    whole = OneCycle(3 * steps)
    assert schedule.length == 3 * steps
    assert rates == [0.5 * whole(t) for t in range(3 * steps)]


def test_a_schedule_of_epochs_without_a_length_lasts_for_all_epochs():
    schedule, rates = fit(CosineAnnealing(minimum=0.1), by_epoch, epochs=5)

    whole = CosineAnnealing(5, minimum=0.1)
    assert schedule.length == 5
    assert rates[::4] == [0.5 * whole(t) for t in range(5)]


def test_a_warm_up_leaves_the_rest_of_the_training():
    _, rates = fit(LinearWarmup(4, then=CosineAnnealing()))

    whole = LinearWarmup(4, then=CosineAnnealing(8))
    assert rates == [0.5 * whole(t) for t in range(12)]


def test_a_list_of_batches_has_a_length():
    pairs = [(np.ones((2, 2)), np.ones((2, 1)))] * 5

    schedule, _ = fit(OneCycle(), X=pairs, y=None, batch_size=None)

    assert schedule.length == 15


def test_the_parts_of_a_full_batch_are_counted_as_they_are_stepped(monkeypatch):
    monkeypatch.setattr(feed, "CHUNK", 7)

    schedule, rates = fit(OneCycle(), batch_size=None)

    assert schedule.t == schedule.length == 9
    assert rates[-1] == 0.5 * OneCycle(9)(8)


def test_a_second_training_has_a_cycle_of_its_own():
    schedule, first = fit(OneCycle())

    _, second = fit(None, schedule=schedule, epochs=2)

    assert second == [0.5 * OneCycle(8)(t) for t in range(8)]
    assert first == [0.5 * OneCycle(12)(t) for t in range(12)]


def test_where_the_number_of_batches_is_unknown_a_length_is_asked_for():
    def source(rng):
        raise AssertionError

    with pytest.raises(ValueError, match=r"OneCycle without .* is not known\. Give"):
        fit(OneCycle(), X=source, y=None, batch_size=None)


def test_a_warm_up_longer_than_the_training_is_refused_before_it_begins():
    with pytest.raises(ValueError, match="of 12 steps, a warm-up of 12 leaves none"):
        fit(LinearWarmup(12, then=CosineAnnealing()))


def test_a_schedule_that_fit_does_not_know_of_asks_for_its_length():
    model = te.nn.Linear(2, 1, rng=0)
    optimizer = te.optim.SGD(model.parameters(), lr=0.5)
    schedule = Schedule(optimizer, OneCycle())

    with pytest.raises(ValueError, match=r"elsewhere write OneCycle\(total_steps="):
        te.fit(
            *(model, np.ones((4, 2)), np.ones((4, 1))),
            loss=te.nn.mse_loss,
            optimizer=optimizer,
            epochs=2,
            callbacks=[lambda training: schedule.step()],
            progress=False,
        )


# ------------------------------------------------------------ of a length that misfits


@pytest.mark.parametrize(
    ("factor", "wrap", "told"),
    [
        (
            OneCycle(14),
            EveryBatch,
            "OneCycle lasts 14 steps, but with one after each batch there are 12: it "
            "does not come to its end. Without",
        ),
        (
            OneCycle(12),
            by_epoch,
            "12 steps, but with one after each epoch there are 3: it does not come to "
            "its end. te.training.EveryBatch(schedule) makes one after each batch",
        ),
        (
            CosineAnnealing(10),
            EveryBatch,
            "10 steps, .* there are 12: for the rest, the learning rate is 0 of the",
        ),
        (
            LinearWarmup(4, then=OneCycle(5)),
            EveryBatch,
            "LinearWarmup lasts 9 steps, .* the learning rate is 4e-06 of the highest",
        ),
    ],
    ids=["too long", "by epochs", "too short", "too short after a warm-up"],
)
def test_a_length_that_is_not_that_of_the_training_is_told_once(factor, wrap, told):
    pattern = told if ".*" in told else told.replace("(", r"\(").replace(")", r"\)")

    with pytest.warns(UserWarning, match=pattern) as warned:
        fit(factor, wrap)

    assert len(warned) == 1
    assert warned[0].filename == __file__


@pytest.mark.parametrize(
    "factor",
    [
        OneCycle(12),
        OneCycle(11),
        OneCycle(13),
        CosineAnnealing(5, minimum=0.1),  # and stays there
        LinearWarmup(30),
        ExponentialDecay(0.9),
        lambda t: 1.0,
    ],
    ids=lambda factor: type(factor).__name__,
)
def test_of_a_length_that_may_be_meant_nothing_is_said(factor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        _, rates = fit(factor)

    assert len(rates) == 12


def test_a_second_training_after_the_end_of_a_schedule_is_told():
    schedule, _ = fit(OneCycle(12))

    with pytest.warns(UserWarning, match="12 steps, but .* there are 24: for the rest"):
        fit(None, schedule=schedule)


# ---------------------------------------------------------------------- what is refused


def test_a_schedule_before_the_step_is_refused():
    with pytest.raises(TypeError, match=r"goes into te\.training\.EveryBatch"):
        fit(OneCycle(), BeforeStep)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (EarlyStopping("loss"), r"got EarlyStopping; write callbacks=\[EarlyStopping"),
        (None, "callbacks must be a list, got NoneType$"),
    ],
)
def test_callbacks_that_are_no_list_are_refused(callbacks, message):
    model = te.nn.Linear(2, 1, rng=0)

    with pytest.raises(TypeError, match=message):
        te.fit(
            *(model, np.ones((4, 2)), np.ones((4, 1))),
            loss=te.nn.mse_loss,
            optimizer=te.optim.SGD(model.parameters(), lr=0.5),
            epochs=1,
            callbacks=callbacks,
        )


def test_to_follow_validation_data_that_are_not_there_is_refused_at_once(tmp_path):
    save_best = te.training.ModelCheckpoint(tmp_path / "best.safetensors")

    def never(training):
        raise AssertionError

    for callback in (EarlyStopping(), save_best):
        with pytest.raises(ValueError, match="'validation_loss' is not measured; pass"):
            fit(lambda t: 1.0, callbacks=[callback, EveryBatch(never)])
