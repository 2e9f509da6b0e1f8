"""Schedules: every learning rate against its closed form, and how they are applied."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.optim import SGD
from tinygrad_edu.optim.schedules import (
    CosineAnnealing,
    ExponentialDecay,
    LinearWarmup,
    OneCycle,
    Schedule,
    StepDecay,
)

STEPS = 60  # longer than any of them


def optimizer_of(*rates):
    groups = [
        {"params": [te.tensor(1.0, requires_grad=True)], "lr": lr} for lr in rates
    ]
    return SGD(groups, lr=1.0)


def rates_of(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def one_cycle(t, steps, pct_start, start, end):
    """The closed form, by phases."""
    peak = pct_start * steps - 1
    if t < peak:
        return start + (1 - start) * math.sin(math.pi / 2 * t / peak) ** 2
    if t >= steps - 1:
        return end
    rest = (t - peak) / (steps - 1 - peak)
    return end + (1 - end) * math.cos(math.pi / 2 * rest) ** 2


CLOSED_FORMS = [
    (StepDecay(7), lambda t: 0.1 ** math.floor(t / 7)),
    (StepDecay(1, gamma=0.5), lambda t: 0.5**t),
    (StepDecay(10, gamma=0.0), lambda t: float(t < 10)),
    (ExponentialDecay(0.9), lambda t: math.exp(t * math.log(0.9))),
    (ExponentialDecay(1), lambda t: 1.0),
    (CosineAnnealing(50), lambda t: math.cos(math.pi / 2 * min(t / 50, 1)) ** 2),
    (
        CosineAnnealing(50, minimum=0.2),
        lambda t: 0.2 + 0.8 * math.cos(math.pi / 2 * min(t / 50, 1)) ** 2,
    ),
    (CosineAnnealing(1), lambda t: float(t == 0)),
    (LinearWarmup(10), lambda t: min((t + 1) / 10, 1)),
    (LinearWarmup(1), lambda t: 1.0),
    (
        LinearWarmup(10, then=ExponentialDecay(0.9)),
        lambda t: (t + 1) / 10 if t < 10 else 0.9 ** (t - 10),
    ),
    (
        LinearWarmup(5, then=LinearWarmup(5, then=StepDecay(20, gamma=0.5))),
        lambda t: (
            (t + 1) / 5
            if t < 5
            else (t - 4) / 5
            if t < 10
            else 0.5 ** math.floor((t - 10) / 20)
        ),
    ),
    (OneCycle(50), lambda t: one_cycle(t, 50, 0.3, 1 / 25, 1 / 25e4)),
    (
        OneCycle(47, pct_start=0.25, div_factor=10, final_div_factor=100),
        lambda t: one_cycle(t, 47, 0.25, 1 / 10, 1 / 1000),
    ),
    (OneCycle(40, pct_start=0.0), lambda t: one_cycle(t, 40, 0, 1 / 25, 1 / 25e4)),
    (OneCycle(40, pct_start=1 / 40), lambda t: one_cycle(t, 40, 1 / 40, 0, 1 / 25e4)),
    (OneCycle(1), lambda t: 1 / 25e4),
    (lambda t: 1 / math.sqrt(t + 1), lambda t: (t + 1) ** -0.5),
]


@pytest.mark.parametrize(
    ("factor", "closed_form"),
    CLOSED_FORMS,
    ids=[*(repr(factor) for factor, _ in CLOSED_FORMS[:-1]), "one's own"],
)
def test_every_learning_rate_is_that_of_the_closed_form(factor, closed_form):
    optimizer = optimizer_of(0.5, 0.01)
    schedule = Schedule(optimizer, factor)

    for t in range(STEPS):
        expected = [0.5 * closed_form(t), 0.01 * closed_form(t)]
        np.testing.assert_allclose(
            rates_of(optimizer), expected, rtol=1e-13, atol=1e-17, err_msg=f"t={t}"
        )
        schedule.step()


def test_the_landmarks_of_one_cycle():
    cycle = OneCycle(100, pct_start=0.25, div_factor=20, final_div_factor=50)

    factors = [cycle(t) for t in range(110)]

    assert factors[0] == pytest.approx(1 / 20)
    assert factors[12] == pytest.approx((1 + 1 / 20) / 2)  # half the way up
    assert max(factors) == factors[24] == 1.0
    assert factors[99:] == [1 / 1000] * 11
    assert np.all(np.diff(factors[:25]) > 0)
    assert np.all(np.diff(factors[24:100]) < 0)


def test_a_warm_up_begins_above_zero_and_joins_what_follows():
    warm = LinearWarmup(4, then=CosineAnnealing(8, minimum=0.5))

    factors = [warm(t) for t in range(13)]

    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[8] == pytest.approx(0.75)
    assert factors[12] == 0.5


def test_steps_use_the_learning_rate_that_was_set():
    p = te.tensor(0.0, requires_grad=True)
    optimizer = SGD([p], lr=1.0)
    schedule = Schedule(optimizer, LinearWarmup(4))
    p.grad = 1.0

    positions = []
    for _ in range(5):
        optimizer.step()
        schedule.step()
        positions.append(p.item())

    assert positions == [-0.25, -0.75, -1.5, -2.5, -3.5]


def test_a_schedule_may_bring_the_learning_rate_to_zero_and_back():
    p = te.tensor(0.0, requires_grad=True)
    optimizer = SGD([p], lr=1.0)
    schedule = Schedule(optimizer, [0.0, 1.0].__getitem__)
    p.grad = 1.0

    optimizer.step()
    assert p.item() == 0.0

    schedule.step()
    optimizer.step()
    assert p.item() == -1.0


def test_learning_rates_stay_floats_whatever_the_function_returns():
    optimizer = optimizer_of(0.5)

    Schedule(optimizer, lambda t: np.float32(0.5))

    assert rates_of(optimizer) == [0.25]
    assert type(rates_of(optimizer)[0]) is float


# -------------------------------------------------------------- without their length

OPEN = [
    (CosineAnnealing(), CosineAnnealing(8)),
    (CosineAnnealing(minimum=0.2), CosineAnnealing(8, minimum=0.2)),
    (OneCycle(pct_start=0.5), OneCycle(8, pct_start=0.5)),
    (
        LinearWarmup(2, then=LinearWarmup(1, then=OneCycle())),
        LinearWarmup(2, then=LinearWarmup(1, then=OneCycle(5))),
    ),
]


@pytest.mark.parametrize(("factor", "expected"), OPEN, ids=repr)
def test_a_number_of_steps_that_was_left_out_is_given_when_it_begins(factor, expected):
    optimizer = optimizer_of(0.5)
    schedule = Schedule(optimizer, factor)
    before, length = rates_of(optimizer), schedule.length

    rates = []
    for steps in (20, 8):  # what was made of the first is forgotten
        schedule.begin(steps)
        rates = []
        for _ in range(steps):
            rates += rates_of(optimizer)
            schedule.step()

    assert before == [0.5] and length is None
    assert rates == [0.5 * expected(t) for t in range(8)]
    assert schedule.factor == expected and schedule.length == 8


def test_a_number_of_steps_that_was_given_stays():
    optimizer = optimizer_of(0.5)
    schedule = Schedule(optimizer, CosineAnnealing(4))
    schedule.step()

    schedule.begin(100)

    assert (schedule.t, schedule.length, schedule.is_open) == (1, 4, False)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (
            OneCycle(),
            r"OneCycle: without total_steps .* OneCycle\(total_steps=\.\.\.\)",
        ),
        (CosineAnnealing(), r"CosineAnnealing: without steps .* write CosineAnnealing"),
        (LinearWarmup(1, then=OneCycle()), r"OneCycle: without total_steps"),
    ],
    ids=repr,
)
def test_nobody_to_say_how_long_it_lasts(factor, message):
    schedule = Schedule(optimizer_of(0.5), factor)

    with pytest.raises(ValueError, match=message):
        schedule.step()
    with pytest.raises(ValueError, match=message):
        factor(3)
    assert (schedule.t, rates_of(schedule.optimizer)) == (0, [0.5])


@pytest.mark.parametrize(("factor", "expected"), OPEN, ids=repr)
def test_the_number_of_steps_is_saved_and_loaded(factor, expected):
    schedule = Schedule(optimizer_of(0.5), factor)
    schedule.begin(8)
    schedule.step()
    state = json.loads(json.dumps(schedule.state_dict()))

    other = Schedule(optimizer_of(3.0), factor)
    other.load_state_dict(state)

    assert state == {"t": 1, "initial_lr": [0.5], "steps": 8}
    assert other.factor == expected
    assert rates_of(other.optimizer) == rates_of(schedule.optimizer)


@pytest.mark.parametrize("steps", [0, 2, 2.5, "8", None])
def test_a_saved_number_of_steps_that_cannot_be_is_refused(steps):
    schedule = Schedule(optimizer_of(0.5), LinearWarmup(2, then=OneCycle()))

    with pytest.raises(ValueError, match="expected t, a count"):
        schedule.load_state_dict({"t": 1, "initial_lr": [0.5], "steps": steps})

    assert schedule.length is None and schedule.t == 0


def test_a_state_without_the_number_of_steps_does_not_begin_it():
    schedule = Schedule(optimizer_of(0.5), OneCycle())

    with pytest.raises(ValueError, match="without total_steps"):
        schedule.load_state_dict({"t": 1, "initial_lr": [0.5]})

    assert (schedule.t, rates_of(schedule.optimizer)) == (0, [0.5])


# ------------------------------------------------------------------ saving and loading


def test_a_loaded_schedule_goes_on_where_the_saved_one_was():
    optimizer, fresh = optimizer_of(0.5, 0.1), optimizer_of(3.0, 4.0)
    schedule = Schedule(optimizer, CosineAnnealing(10))
    for _ in range(4):
        schedule.step()
    state = json.loads(json.dumps(schedule.state_dict()))

    other = Schedule(fresh, CosineAnnealing(10))
    other.load_state_dict(state)

    assert rates_of(fresh) == rates_of(optimizer)
    for _ in range(3):
        schedule.step()
        other.step()
        assert rates_of(fresh) == rates_of(optimizer)
    assert other.state_dict() == schedule.state_dict()


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"t": 3},
        {"initial_lr": [0.1, 0.2]},
        {"t": 3, "initial_lr": [0.1]},
        {"t": -1, "initial_lr": [0.1, 0.2]},
        {"t": 0.5, "initial_lr": [0.1, 0.2]},
        {"t": 3, "initial_lr": [0.1, -0.2]},
        {"t": 3, "initial_lr": [0.1, "a"]},
        {"t": 3, "initial_lr": None},
    ],
    ids=str,
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changed(state):
    optimizer = optimizer_of(0.5, 0.1)
    schedule = Schedule(optimizer, ExponentialDecay(0.5))
    schedule.step()

    with pytest.raises(ValueError, match=r"a list of 2 learning rates, got \{"):
        schedule.load_state_dict(state)

    assert rates_of(optimizer) == [0.25, 0.05]
    assert schedule.state_dict() == {"t": 1, "initial_lr": [0.5, 0.1]}


@pytest.mark.parametrize(
    "factor", [factor for factor, _ in (*CLOSED_FORMS[:-1], *OPEN)], ids=repr
)
def test_a_schedule_is_a_value_it_pickles_and_reads_as_written(factor):
    twin = pickle.loads(pickle.dumps(factor))

    assert twin == factor
    assert eval(repr(factor)) == factor


def test_it_reads_as_what_it_is():
    schedule = Schedule(optimizer_of(0.5), StepDecay(30))

    assert repr(schedule) == (
        "Schedule(StepDecay(step_size=30, gamma=0.1), t=0, initial_lr=[0.5])"
    )


# ------------------------------------------------------------------ bad arguments


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: StepDecay(0),
            ValueError,
            "StepDecay: step_size must be a positive in",
        ),
        (lambda: StepDecay(2.5), TypeError, "StepDecay: step_size must be an integer"),
        (lambda: StepDecay(True), TypeError, "StepDecay: step_size must be an integer"),
        (lambda: StepDecay(3, -0.1), ValueError, "StepDecay: gamma must lie in"),
        (
            lambda: ExponentialDecay(-0.1),
            ValueError,
            "ExponentialDecay: gamma must lie",
        ),
        (
            lambda: ExponentialDecay(math.nan),
            ValueError,
            "ExponentialDecay: gamma must",
        ),
        (
            lambda: ExponentialDecay(True),
            TypeError,
            "ExponentialDecay: gamma must be a",
        ),
        (lambda: CosineAnnealing(0), ValueError, "CosineAnnealing: steps must be a"),
        (lambda: CosineAnnealing(5, -0.1), ValueError, "CosineAnnealing: minimum must"),
        (lambda: CosineAnnealing(5, 1.0), ValueError, "CosineAnnealing: minimum must"),
        (lambda: LinearWarmup(0), ValueError, "LinearWarmup: steps must be a positive"),
        (lambda: LinearWarmup(5, 0.5), TypeError, "LinearWarmup: then must be a func"),
        (lambda: OneCycle(0), ValueError, "OneCycle: total_steps must be a positive"),
        (lambda: OneCycle(9, 1.0), ValueError, "OneCycle: pct_start must lie in"),
        (lambda: OneCycle(9, 0.3, 0), ValueError, "OneCycle: div_factor must be pos"),
        (lambda: OneCycle(9, 0.3, 9, 0), ValueError, "OneCycle: final_div_factor must"),
        (
            lambda: Schedule("adam", StepDecay(3)),
            TypeError,
            "Schedule: optimizer must be an optimiser, got str",
        ),
        (
            lambda: Schedule(optimizer_of(0.5), 0.1),
            TypeError,
            "Schedule: factor must be a function, got float",
        ),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (math.nan, ValueError),
        (math.inf, ValueError),
        (-0.1, ValueError),
        (None, TypeError),
        (True, TypeError),
    ],
)
def test_a_function_that_returns_no_share_is_refused_and_nothing_changed(value, error):
    optimizer = optimizer_of(0.5)
    schedule = Schedule(optimizer, [1.0, value].__getitem__)

    with pytest.raises(error, match=rf"^Schedule: factor\(1\) must .* got {value}"):
        schedule.step()

    assert rates_of(optimizer) == [0.5]
    assert schedule.t == 0
