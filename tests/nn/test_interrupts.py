"""An interrupt at any moment leaves recording, paths, modes and numbers as before."""

from __future__ import annotations

import contextlib
import contextvars
import random
import signal
import threading
import time

import numpy as np
import pytest
from interrupting import each_moment

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.checks.leaving import left_as_found
from tinygrad_edu.engine.recording import NESTING, RECORDING, RUN
from tinygrad_edu.nn.borrowing import all_layers, left_as_it_is, recorded

X = np.linspace(-1, 1, 128).reshape(32, 4)
Y = np.arange(32) % 3

#: Of all moments, those that are tried: a few in the fast tests.
MOMENTS = [25, pytest.param(700, marks=pytest.mark.slow)]

# one that comes while a generator is closed, Python itself passes over
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def model():
    return nn.Sequential(
        nn.Linear(4, 8, rng=0), nn.Tanh(), nn.Dropout(0.1, rng=0), nn.Linear(8, 3)
    )


def gradients(model):
    loss = nn.softmax_cross_entropy(model(X), Y)
    te.gradients(loss, model.parameters())


def second_gradients(model):
    loss = nn.softmax_cross_entropy(model(X), Y)
    te.gradients(loss, model.parameters()[:2], create_graph=True)


def without_recording(model):
    with te.no_grad():
        with te.no_grad():
            model(X)
        model(X)


def pausing(model):
    @te.no_grad()
    def outputs():
        yield model(X)
        yield model(X)

    for _ in outputs():
        model(X)


def borrowed(model):
    with left_as_it_is(model, model.parameters()[:0]), recorded():
        model(X)


WORK = {
    "forward": lambda model: model(X),
    "gradients": gradients,
    "second gradients": second_gradients,
    "predict": lambda model: te.predict(model, X),
    "evaluate": lambda model: te.evaluate(model, X, Y, loss=nn.softmax_cross_entropy),
    "no_grad": without_recording,
    "a generator in no_grad": pausing,
    "te.grad": lambda model: te.grad(lambda x: model(x).sum())(X),
    "borrowed": borrowed,
}


def state_of(model):
    modes = [layer.training for layer in all_layers(model)]
    return RECORDING.get(), RUN.get(), NESTING.get(), modes


@pytest.mark.parametrize("most", MOMENTS)
@pytest.mark.parametrize("name", WORK)
def test_recording_paths_and_modes_are_as_before(name, most, model):
    came, before = 0, state_of(model)
    WORK[name](model)

    for moment, interrupt in each_moment(lambda: WORK[name](model), int, most):
        # while the error, and so every frame it came through, is still there
        assert state_of(model) == before, moment.place
        came += interrupt is not None

    assert came > 10


def test_all_layers_go_into_a_mode_or_none():
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Tanh(), nn.Dropout()))
    found = set()

    for moment, _ in each_moment(model.eval, model.train):
        modes = {layer.training for layer in all_layers(model)}
        assert len(modes) == 1, moment.place
        found |= modes

    assert found == {True, False}


def test_recording_goes_on_when_the_error_of_a_block_of_ones_own_is_dropped():
    @contextlib.contextmanager
    def block():
        with te.no_grad():
            yield

    def work():
        with block():
            pass

    for moment, interrupt in each_moment(work, int):
        del interrupt
        assert RECORDING.get(), moment.place


@pytest.mark.parametrize("most", MOMENTS)
@pytest.mark.parametrize(
    "block", [left_as_it_is, lambda model, _: left_as_found(model)]
)
def test_what_a_borrowed_model_had_is_put_back(block, most):
    model = nn.Sequential(nn.Linear(4, 8, rng=0), nn.BatchNorm1d(8), nn.Dropout(rng=0))
    frozen = model.parameters()[:1]
    frozen[0].requires_grad = False

    def work():
        with block(model, frozen):
            model(X)

    def state():
        rng = model[2].rng.bit_generator.state
        return [x.tolist() for _, x in model.named_buffers()], rng, frozen[0]._tracked

    work()
    before = state()
    for moment, _ in each_moment(work, int, most):
        assert state() == before, moment.place


def test_data_that_were_assigned_make_graphs_old_and_no_others_do():
    w = te.tensor([2.0], requires_grad=True)
    losses = []

    def begin():
        w.data, w.grad = [2.0], None
        losses.append((w * w).sum())

    for moment, _ in each_moment(lambda: setattr(w, "data", [3.0]), begin):
        if w.item() == 2.0:
            losses[-1].backward()
            assert w.grad == 4.0, moment.place
        else:
            with pytest.raises(RuntimeError, match="was assigned"):
                losses[-1].backward()


@pytest.mark.parametrize("most", MOMENTS)
def test_a_state_is_loaded_whole_or_not_at_all(most):
    model, other = (
        nn.Sequential(nn.Linear(4, 8, rng=seed), nn.BatchNorm1d(8)) for seed in (0, 1)
    )
    other[1].running_mean += 1
    before, after = model.state_dict(), other.state_dict()
    came = {"before": 0, "after": 0}

    def equal(a, b):
        return all(np.array_equal(a[name], b[name]) for name in a)

    for moment, _ in each_moment(
        lambda: model.load_state_dict(after),
        lambda: model.load_state_dict(before),
        most,
    ):
        state = model.state_dict()
        which = "before" if equal(state, before) else "after"
        assert which == "before" or equal(state, after), moment.place
        came[which] += 1

    assert came["before"] > 10


def test_a_state_with_a_buffer_that_cannot_be_written_to_is_refused():
    model = nn.Sequential(nn.Linear(4, 8, rng=0), nn.BatchNorm1d(8))
    before = model.state_dict()
    model[1].running_var.flags.writeable = False

    with pytest.raises(ValueError, match=r"1\.running_var cannot be written to"):
        model.load_state_dict({name: x + 1 for name, x in before.items()})

    np.testing.assert_equal(model.state_dict(), before)


# ------------------------------------------------------------------- a clock's signals


@pytest.fixture
def alarm_interrupts():
    """Let the alarm do what Ctrl-C does."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("no timed signals here")
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupted(work, seconds):
    """Do the work; return whether an interrupt came into it after so many seconds."""
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize(
    "block", [te.no_grad, lambda: te.nn.borrowing.evaluating(np.tanh)]
)
def test_ctrl_c_while_numpy_computes_the_last_line_of_a_block(block, alarm_interrupts):
    a, kept = np.ones((700, 700)), []

    def work():
        try:
            with block():
                signal.setitimer(signal.ITIMER_REAL, 0.001)
                a @ a  # some 10 ms, in which Python looks for no signal
        except KeyboardInterrupt as interrupt:
            kept.append(interrupt)  # and with it the frames that it came through

    contextvars.copy_context().run(work)
    assert kept

    def recording_after(work=work):
        work()
        return RECORDING.get()

    assert contextvars.copy_context().run(recording_after)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORK)
def test_so_they_are_when_a_clock_interrupts(name, model, alarm_interrupts):
    draw, before = random.Random(0), state_of(model)
    WORK[name](model)
    begun = time.perf_counter()
    WORK[name](model)
    usual = min(time.perf_counter() - begun, 0.01)

    came = 0
    for _ in range(400):
        came += interrupted(
            lambda: WORK[name](model), draw.uniform(1e-5, max(usual, 1e-4))
        )
        assert state_of(model) == before
    assert came > 0
