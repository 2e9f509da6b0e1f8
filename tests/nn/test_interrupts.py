"""An interrupt at any moment leaves recording, paths and modes as they were."""

from __future__ import annotations

import random
import signal
import threading
import time

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.engine.recording import NESTING, RECORDING, RUN
from tinygrad_edu.nn.borrowing import all_layers

TIMES = 400
X = np.linspace(-1, 1, 128).reshape(32, 4)
Y = np.arange(32) % 3

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer")
    or threading.current_thread() is not threading.main_thread(),
    reason="timed signals reach the main thread of a POSIX system only",
)


@pytest.fixture(autouse=True)
def alarm_interrupts():
    """Let the alarm do what Ctrl-C does."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def gradients(model):
    loss = nn.softmax_cross_entropy(model(X), Y)
    te.gradients(loss, model.parameters())


def second_gradients(model):
    loss = nn.softmax_cross_entropy(model(X), Y)
    te.gradients(loss, model.parameters()[:2], create_graph=True)


WORK = {
    "forward": lambda model: model(X),
    "gradients": gradients,
    "second gradients": second_gradients,
    "predict": lambda model: te.predict(model, X),
    "evaluate": lambda model: te.evaluate(model, X, Y, loss=nn.softmax_cross_entropy),
}


def state_of(model):
    modes = [layer.training for layer in all_layers(model)]
    return RECORDING.get(), RUN.get(), NESTING.get(), modes


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


@pytest.mark.parametrize("name", sorted(WORK))
def test_recording_paths_and_modes_are_as_before(name):
    model = nn.Sequential(
        nn.Linear(4, 8, rng=0), nn.Tanh(), nn.Dropout(0.1, rng=0), nn.Linear(8, 3)
    )
    draw, before = random.Random(0), state_of(model)
    WORK[name](model)
    begun = time.perf_counter()
    WORK[name](model)
    usual = min(time.perf_counter() - begun, 0.01)

    came = 0
    for _ in range(TIMES):
        came += interrupted(
            lambda: WORK[name](model), draw.uniform(1e-5, max(usual, 1e-4))
        )
        assert state_of(model) == before
    assert came > 0
