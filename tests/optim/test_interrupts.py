"""A step and the loading of a state are made or not made, whatever comes in between."""

from __future__ import annotations

import sys
import threading
import warnings

import numpy as np
import pytest
from interrupting import each_moment

import tinygrad_edu as te
from tinygrad_edu.optim import SGD, Adam, AdamW, Optimizer, RMSProp


class Heavy(Optimizer):
    """One of one's own, with Python between what it writes."""

    def keeps(self, group):
        return ("velocity", "sum")

    def update(self, x, gradient, state, group):
        state["velocity"] *= 0.5
        state["velocity"] += gradient
        state["sum"] += gradient
        state["count"] = state.get("count", 0) + 1
        x *= 0.75  # a copy
        return group["lr"] * state["velocity"]


KINDS = {
    "SGD": lambda params: SGD(params, lr=0.1),
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.5, weight_decay=0.1),
    "Nesterov": lambda params: SGD(params, lr=0.1, momentum=0.5, nesterov=True),
    "RMSProp": lambda params: RMSProp(params, lr=0.1, momentum=0.5),
    "Adam": lambda params: Adam(params, lr=0.1, weight_decay=0.1),
    "AdamW": lambda params: AdamW(params, lr=0.1),
    "own": lambda params: Heavy(params, lr=0.1),
}


@pytest.fixture(params=KINDS)
def run(request, rng):
    """An optimiser that has made a step, and stands before the next."""
    return Run(KINDS[request.param], rng)


class Run:
    """Parameters in two groups, their optimiser, and what both were."""

    def __init__(self, make, rng):
        arrays = [np.full(3, 0.5), np.full((2, 2), 2.0), np.full(2, 1.0, np.float16)]
        self.params = [te.tensor(x, requires_grad=True) for x in arrays]
        self.memory = [p.data for p in self.params]
        groups = [{"params": self.params[:2]}, {"params": self.params[2:]}]
        self.optimizer = make(groups)
        for p in self.params:
            p.grad = rng.standard_normal(p.shape)
        self.optimizer.step()
        self.before, self.loaded = self.state(), self.optimizer.state_dict()

    def begin(self):
        """Go back to before the step, in the memory that there is."""
        for p, x in zip(self.params, self.before[0], strict=True):
            p.data[...] = x
        self.optimizer.load_state_dict(self.loaded)

    def state(self):
        state = self.optimizer.state_dict()
        kept = {**state["state"], "steps": state["steps"]}
        return [p.data.copy() for p in self.params], kept

    def after(self):
        self.begin()
        self.optimizer.step()
        return self.state()


def equal(a, b):
    (xs, kept), (ys, other) = a, b
    assert kept.keys() == other.keys()
    pairs = [*zip(xs, ys, strict=True), *((kept[name], other[name]) for name in kept)]
    return all(np.array_equal(x, y) for x, y in pairs)


def test_a_step_that_is_interrupted_is_made_or_not_made(run):
    after, came = run.after(), {"before": 0, "after": 0}
    assert not equal(run.before, after)

    for moment, interrupt in each_moment(run.optimizer.step, run.begin):
        state = run.state()
        which = "before" if equal(state, run.before) else "after"
        assert which == "before" or equal(state, after), moment.place
        assert interrupt is not None, moment.place
        came[which] += 1

    assert came["before"] > 10
    assert came["after"] >= 1
    assert all(p.data is x for p, x in zip(run.params, run.memory, strict=True))


def test_a_step_after_one_that_was_interrupted_is_like_any_other(run):
    after = run.after()

    for moment, _ in each_moment(run.optimizer.step, run.begin, 8):
        if equal(run.state(), run.before):
            run.optimizer.step()
        assert equal(run.state(), after), moment.place


def test_no_graph_takes_the_numbers_of_a_step_that_was_made_for_its_own():
    w = te.tensor(2.0, requires_grad=True)
    optimizer, losses = SGD([w], lr=0.5), []

    def begin():
        w.data = 2.0
        losses.append(w * w)
        w.grad = 1.0

    for moment, _ in each_moment(optimizer.step, begin):
        try:
            losses[-1].backward()
        except RuntimeError:  # maybe without need, where no step was made
            continue
        assert (w.item(), w.grad) == (2.0, 1.0 + 4.0), moment.place
    with pytest.raises(RuntimeError, match="assigned"):
        losses[-1].backward()


def test_a_state_that_is_loaded_is_taken_over_whole_or_not_at_all(run):
    run.optimizer.step()
    other, optimizer = run.optimizer.state_dict(), run.optimizer
    other["param_groups"][1]["lr"] = other["param_groups"][0]["lr"] = 0.7

    def rates():
        return [group["lr"] for group in optimizer.param_groups]

    for moment, interrupt in each_moment(
        lambda: optimizer.load_state_dict(other), run.begin, 60
    ):
        steps = optimizer.state_dict()["steps"]
        assert (steps, rates()) in (([1] * 3, [0.1] * 2), ([2] * 3, [0.7] * 2)), (
            moment.place
        )
        assert interrupt is not None


def test_a_schedule_and_its_learning_rates_make_a_step_together():
    params = [te.tensor(1.0, requires_grad=True) for _ in range(2)]
    optimizer = SGD([{"params": [p]} for p in params], lr=0.5)
    schedule = te.optim.schedules.Schedule(optimizer, lambda t: 0.5**t)

    def begin():
        schedule.load_state_dict({"t": 0, "initial_lr": [0.5, 0.5]})

    for moment, _ in each_moment(schedule.step, begin):
        assert (schedule.t, optimizer.lr) in ((0, 0.5), (1, 0.25)), moment.place


# ---------------------------------------------------------------------- errors half-way


class Failing(Optimizer):
    """Fails at its third parameter."""

    def keeps(self, group):
        return ("seen",)

    def update(self, x, gradient, state, group):
        state["seen"] += 1
        x += 1
        if x.dtype == np.float32:
            raise ZeroDivisionError
        return gradient


def test_an_error_in_an_update_of_ones_own_leaves_all_as_it_was():
    arrays = [np.ones(2), np.ones(3), np.ones(2, np.float16)]
    params = [te.tensor(x, requires_grad=True) for x in arrays]
    optimizer = Failing(params, lr=0.1)
    for p in params:
        p.grad = np.ones(p.shape)
    params[2].requires_grad = False
    optimizer.step()
    params[2].requires_grad = True
    before, kept = [p.data.copy() for p in params], optimizer.state_dict()

    with pytest.raises(ZeroDivisionError):
        optimizer.step()

    np.testing.assert_equal([p.data for p in params], before)
    np.testing.assert_equal(optimizer.state_dict(), kept)


def test_an_update_of_ones_own_may_build_on_that_of_another_optimiser():
    class Half(Adam):
        def update(self, x, gradient, state, group):
            return super().update(x, gradient, state, group) / 2

    v, w = (te.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    whole, half = Adam([v], lr=0.1), Half([w], lr=0.2)
    for _ in range(2):
        v.grad = w.grad = [3.0, 4.0]
        whole.step()
        half.step()

    np.testing.assert_allclose(w.data, v.data, rtol=1e-15)
    np.testing.assert_equal(half.state_dict()["state"], whole.state_dict()["state"])


def test_an_array_for_the_changes_of_all_parameters_may_be_used_again():
    class Constant(Optimizer):
        buffer = np.zeros(2)

        def update(self, x, gradient, state, group):
            self.buffer[...] = gradient
            return self.buffer

    v, w = (te.tensor([1.0, 1.0], requires_grad=True) for _ in range(2))
    v.grad, w.grad = [1.0, 0.0], [0.0, 5.0]
    Constant([v, w], lr=0.1).step()

    np.testing.assert_array_equal([v.data, w.data], [[0.0, 1.0], [1.0, -4.0]])


def test_a_parameter_that_cannot_be_written_to_is_named_and_none_is_moved():
    v = te.tensor([1.0], requires_grad=True)
    w = te.tensor([1.0], requires_grad=True, name="w")
    optimizer = Adam([v, w], lr=0.1)
    v.grad, w.grad = [1.0], [1.0]
    optimizer.step()
    before, kept = v.data.copy(), optimizer.state_dict()
    w.data.flags.writeable = False

    with pytest.raises(ValueError, match=r"Adam\.step: the parameter 'w' .* cannot be"):
        optimizer.step()

    np.testing.assert_array_equal(v.data, before)
    np.testing.assert_equal(optimizer.state_dict(), kept)


@pytest.mark.parametrize("kind", [SGD, Adam, RMSProp])
@pytest.mark.parametrize("how", ["raise", "warn"])
def test_an_overflow_that_is_an_error_is_raised_when_the_step_is_made(kind, how):
    def steps(error):
        params = [te.tensor([x, 1.0], requires_grad=True) for x in (-1.7e308, 1.0, 1.0)]
        optimizer = kind(params, lr=0.5)
        for p, g in zip(params, (1.7e308, 1.7e308, 1.0), strict=True):
            p.grad = [g, 1.0]
        with np.errstate(all=how if error else "ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")
            if error:
                with pytest.raises((FloatingPointError, RuntimeWarning)):
                    optimizer.step()
            else:
                optimizer.step()
        return [p.data for p in params], optimizer.state_dict()

    np.testing.assert_equal(steps(error=True), steps(error=False))


# ------------------------------------------------------------------------------ threads


@pytest.mark.parametrize("size", [4, 20_000])  # NumPy lets others in at large arrays
def test_steps_of_several_threads_are_all_made(size, switching_often):
    w = te.tensor(np.zeros(size), requires_grad=True)
    w.grad = np.full(size, 1.0)
    optimizer = SGD([w], lr=0.5, momentum=1e-300)
    each, threads = 4000 // min(size, 80), []
    for _ in range(4):
        threads.append(
            threading.Thread(target=lambda: [optimizer.step() for _ in range(each)])
        )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    np.testing.assert_array_equal(w.data, np.full(size, -0.5 * 4 * each))
    assert optimizer.state_dict()["steps"] == [4 * each]


@pytest.fixture
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
