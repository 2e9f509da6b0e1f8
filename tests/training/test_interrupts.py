"""Ctrl-C at any moment of a training: numbers, generators and files are whole."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
from interrupting import Moments, each_moment

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.engine.recording import NESTING, RECORDING, RUN
from tinygrad_edu.nn.borrowing import all_layers
from tinygrad_edu.training import EveryBatch

#: Of all moments, those that are tried: a few in the fast tests.
MOMENTS = [16, pytest.param(400, marks=pytest.mark.slow)]
X = np.linspace(-1, 1, 32).reshape(8, 4)
Y = np.arange(8) % 3

pytestmark = [
    pytest.mark.skipif(
        threading.current_thread() is not threading.main_thread(),
        reason="signals reach the main thread only",
    ),
    # one that comes while a generator is closed, Python itself passes over
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Training:
    """A training of two epochs, from the same beginning each time."""

    def __init__(self, folder=None):
        self.model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Dropout(0.2, rng=1))
        self.model.eval()
        self.optimizer = te.optim.Adam(self.model.parameters(), lr=0.1)
        self.rng, self.folder = np.random.default_rng(2), folder
        self.history = None

    def run(self, **options):
        self.history = te.fit(
            self.model,
            X,
            Y,
            loss=nn.softmax_cross_entropy,
            optimizer=self.optimizer,
            epochs=2,
            batch_size=4,
            validation=(X, Y),
            progress=False,
            checkpoint=self.folder,
            rng=self.rng,
            **options,
        )

    def numbers(self):
        """What a step changes."""
        state = self.optimizer.state_dict()
        arrays = [*self.model.state_dict().values(), *state["state"].values()]
        return repr(([x.tolist() for x in arrays], state["steps"]))

    def draws(self):
        return repr([rng.bit_generator.state for rng in (self.model[1].rng, self.rng)])

    def surroundings(self):
        modes = [layer.training for layer in all_layers(self.model)]
        handler = signal.getsignal(signal.SIGINT)
        return RECORDING.get(), RUN.get(), NESTING.get(), modes, handler


def steps():
    """Return what a training is before its first step and after each, and its draws."""
    training = Training()
    found = {training.numbers(): training.draws()}

    def note(_):
        found[training.numbers()] = training.draws()

    training.run(callbacks=[EveryBatch(note)])
    assert len(found) == 1 + 4
    return found


@pytest.mark.parametrize("most", MOMENTS)
def test_ctrl_c_leaves_a_training_after_a_whole_step(most):
    whole, trainings = steps(), [Training()]
    around, interrupted = trainings[0].surroundings(), 0

    for moment, interrupt in each_moment(
        lambda: trainings[-1].run(), lambda: trainings.append(Training()), most
    ):
        training = trainings[-1]
        assert training.surroundings() == around, moment.place
        assert whole[training.numbers()] == training.draws(), moment.place
        if interrupt is None:
            assert training.history.stopped in ("interrupted", "epochs"), moment.place
            interrupted += training.history.stopped == "interrupted"

    assert interrupted > most // 4


@pytest.mark.parametrize("most", MOMENTS)
def test_a_second_ctrl_c_does_so_too_but_for_draws(most):
    whole, trainings = steps(), [Training()]
    around, raised = trainings[0].surroundings(), 0

    def twice(number, frame):
        signal.default_int_handler(number, frame)

    for moment, interrupt in each_moment(
        lambda: trainings[-1].run(),
        lambda: trainings.append(Training()),
        most,
        handler=twice,
    ):
        training = trainings[-1]
        assert training.surroundings()[:-1] == around[:-1], moment.place
        assert training.numbers() in whole, moment.place
        raised += interrupt is not None
        signal.signal(signal.SIGINT, signal.default_int_handler)

    assert raised > 0


@pytest.mark.parametrize("most", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_a_training_that_was_interrupted_goes_on_from_its_checkpoint(most, tmp_path):
    def folder():
        return tmp_path / str(len(trainings))

    trainings = [Training(tmp_path / "whole")]
    trainings[0].run()
    end = trainings[0].numbers()

    for moment, _ in each_moment(
        lambda: trainings[-1].run(), lambda: trainings.append(Training(folder())), most
    ):
        again = Training(trainings[-1].folder)
        again.run()
        assert again.numbers() == end, moment.place
        assert again.history.stopped == "epochs"


@pytest.mark.parametrize("most", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_ctrl_c_while_a_training_goes_on_leaves_it_before_or_after(most, tmp_path):
    first = Training(tmp_path)
    first.run(callbacks=[EveryBatch(lambda t: t.batch == 1 and t.stop("enough"))])
    whole, trainings = [Training().numbers(), *steps()], []

    for moment, _ in each_moment(
        lambda: trainings[-1].run(callbacks=[lambda t: t.stop("enough")]),
        lambda: trainings.append(Training(tmp_path)),
        most,
    ):
        assert trainings[-1].numbers() in whole, moment.place


def test_an_epoch_is_in_the_history_or_is_not():
    histories = [te.History()]

    def begin():
        histories.append(te.History())
        histories[-1].append(1, {"loss": 1.0})

    for moment, _ in each_moment(
        lambda: histories[-1].append(2, {"loss": 0.5, "accuracy": 1.0}), begin
    ):
        history = histories[-1]
        lengths = {len(history.epochs), *map(len, history.values.values())}
        assert len(lengths) == 1, moment.place


@pytest.mark.slow
def test_so_it_is_when_a_clock_interrupts():
    whole, draw = steps(), np.random.default_rng(3)
    begun = time.perf_counter()
    Training().run()
    usual = time.perf_counter() - begun
    before = signal.signal(
        signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT)
    )
    came = 0
    try:
        for _ in range(500):
            training = Training()
            around = training.surroundings()
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-5, usual))
                    training.run()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                came += training.history.stopped == "interrupted"
            except KeyboardInterrupt:
                came += 1
            assert training.surroundings() == around
            assert whole[training.numbers()] == training.draws()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert came > 50


def test_the_moments_are_many():
    counting = Moments()
    counting.run(Training().run)
    assert counting.count > 1000
