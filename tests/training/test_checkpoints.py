"""Checkpoints: a run that is killed at any moment ends with the same bits."""

from __future__ import annotations

import contextlib
import copy
import errno
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import resumable
from resumable import digest, train, train_on_all
from safetensors import safe_open

import tinygrad_edu as te
from tinygrad_edu.training import checkpoints, feed, recorder
from tinygrad_edu.training.checkpoints import decode, encode


class Killed(BaseException):
    """What a test raises where it pretends to kill the process."""


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nobody pulls the plug here; the subprocesses do wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def every_batch(monkeypatch):
    """A checkpoint after every batch, and small parts of a full batch."""
    monkeypatch.setattr(recorder, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(feed, "CHUNK", 5)


@pytest.fixture(scope="module")
def expected():
    """The digests of both trainings when nothing interrupts them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "CHUNK", 5)
        return digest(*train()), digest(*train_on_all())


def kill_after(count):
    """Return a callback that kills the training after so many batches."""

    def callback(training):
        nonlocal count
        count -= 1
        if count == 0:
            raise Killed

    return te.training.EveryBatch(callback)


def killed(function, folder, count):
    with pytest.raises(Killed):
        function(folder, callbacks=[kill_after(count)])


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


# ------------------------------------------------------------------- killed and resumed


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 13, 29, 30])
def test_a_run_killed_after_any_batch_ends_with_the_same_bits(
    count, tmp_path, expected, every_batch
):
    killed(train, tmp_path, count)

    assert digest(*train(tmp_path)) == expected[0]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 11, 20])
def test_a_full_batch_killed_between_its_parts_ends_with_the_same_bits(
    count, tmp_path, expected, every_batch
):
    killed(train_on_all, tmp_path, count)

    assert digest(*train_on_all(tmp_path)) == expected[1]


def test_without_a_checkpoint_inside_the_epoch_it_is_begun_again(tmp_path, expected):
    killed(train, tmp_path, 15)

    *_, history = result = train(tmp_path)

    assert digest(*result) == expected[0]
    assert history.resumed_from == 2


def test_killed_again_and_again(tmp_path, expected, every_batch):
    for _ in range(8):
        killed(train, tmp_path, 3)

    *_, history = result = train(tmp_path)

    assert digest(*result) == expected[0]
    assert history.resumed_from == 2 * 8 // resumable.STEPS


@pytest.mark.parametrize(
    ("function", "count"),
    [(f, n) for f in ("fsync", "replace") for n in (1, 2, 9, 20, 35)],
)
def test_killed_while_a_checkpoint_is_written(
    function, count, tmp_path, expected, every_batch, monkeypatch
):
    calls, usual = [], getattr(os, function)

    def dying(*args):
        calls.append(args)
        if len(calls) == count:
            raise Killed
        return usual(*args)

    monkeypatch.setattr(os, function, dying)
    with pytest.raises(Killed):
        train(tmp_path)

    assert digest(*train(tmp_path)) == expected[0]
    assert len(names(tmp_path)) == 3


def start(folder, *where):
    process = subprocess.Popen(
        [sys.executable, resumable.__file__, folder, *where],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process):
    with process:
        return tuple(process.stdout.read().split())


@pytest.mark.parametrize("where", [("fsync", "12"), ("fsync", "35"), ("replace", "20")])
def test_a_process_that_dies_while_it_writes_is_resumed(where, tmp_path, expected):
    with start(tmp_path, *where) as process:
        assert process.wait() == -9

    assert ended(start(tmp_path)) == expected


def kill_at_random(folder, times, rng):
    """Start the training and kill it, so often; return how often it was running."""
    hit = 0
    for _ in range(times):
        process = start(folder)
        time.sleep(rng.uniform(0, 0.25))
        process.kill()
        with process:
            hit += process.wait() == -9
    return hit


def test_a_process_killed_at_random_moments_ends_with_the_same_bits(
    tmp_path, expected, rng
):
    hit = kill_at_random(tmp_path, 3, rng)

    assert hit > 0
    assert ended(start(tmp_path)) == expected


@pytest.mark.slow
def test_a_process_killed_thirty_times_ends_with_the_same_bits(tmp_path, expected, rng):
    hit = 0
    for number in range(5):
        folder = tmp_path / str(number)
        hit += kill_at_random(folder, 6, rng)

        assert ended(start(folder)) == expected
    assert hit > 10


def test_two_runs_in_one_folder_leave_whole_checkpoints(tmp_path, expected):
    ends = [ended(process) for process in [start(tmp_path), start(tmp_path)]]

    assert expected in ends  # the other is refused where it comes while this one runs
    assert set(ends) <= {expected, ()}
    for path in tmp_path.rglob("*.safetensors"):
        decode(path.read_bytes())


def test_a_run_stopped_by_ctrl_c_goes_on_from_that_batch(tmp_path, expected):
    def interrupt(training):
        if (training.epoch, training.batch) == (3, 4):
            import signal

            signal.raise_signal(signal.SIGINT)

    *_, history = train(tmp_path, callbacks=[te.training.EveryBatch(interrupt)])
    stopped, files = history.stopped, names(tmp_path)
    *_, history = result = train(tmp_path)

    assert stopped == "interrupted"
    assert files[-1] == "checkpoint-000002-000004.safetensors"
    assert history.resumed_from == 2
    assert digest(*result) == expected[0]


def test_without_a_seed_the_resumed_run_goes_on_with_its_own_numbers(tmp_path):
    """Order, rows for validation and all come from the checkpoint."""
    model = resumable.network()
    shown = []

    def seen(training):
        shown.append(training.model.state_dict()["0.weight"].sum())

    train(tmp_path, epochs=2, rng=None, callbacks=[seen])
    (last,) = shown[1:]
    _, _, history = train(tmp_path, epochs=2, rng=None, model=model)

    assert model.state_dict()["0.weight"].sum() == last
    assert history.epochs == [1, 2]


def test_the_rows_for_validation_stay_the_same_when_the_generator_has_moved_on(
    tmp_path,
):
    X, rng = np.arange(40.0)[:, None], np.random.default_rng(0)
    model = te.nn.Linear(1, 1, rng=0)

    def run(epochs):
        measured = []

        def kept(output, y):
            if not model.training:
                measured.append(np.array(y))
            return 0.0

        te.fit(
            *(model, X, X),
            loss=te.nn.mse_loss,
            optimizer=te.optim.SGD(model.parameters(), lr=1e-6),
            epochs=epochs,
            validation=0.25,
            metrics={"kept": kept},
            rng=rng,
            progress=False,
            checkpoint=tmp_path,
        )
        return measured[-1]

    first = run(1)
    second = run(2)

    np.testing.assert_array_equal(first, second)


# ------------------------------------------------------------------ whose seed it is


def run_of(rng, folder, epochs=3, callbacks=(), *, seed=0, **options):
    """Train a line in mini-batches, in an order drawn from ``rng``."""
    X = np.random.default_rng(1).standard_normal((12, 2))
    model = te.nn.Linear(2, 1, rng=seed)
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    history = te.fit(
        *(model, X, X[:, :1]),
        loss=te.nn.mse_loss,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=3,
        validation=0.25,
        callbacks=callbacks,
        checkpoint=folder,
        rng=rng,
        **{"progress": False, **options},
    )
    return digest(model, optimizer, history)


def moved_on(rng):
    rng.uniform(size=3)
    return rng


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (lambda: 0, lambda: 1),
        (lambda: 0, lambda: np.random.default_rng(1)),
        (lambda: 0, lambda: moved_on(np.random.default_rng(0))),
        (lambda: None, lambda: 0),
        (lambda: np.random.RandomState(0), lambda: np.random.RandomState(1)),
    ],
    ids=["int", "Generator", "moved on", "none", "RandomState"],
)
@pytest.mark.parametrize("count", [2, 99])
def test_another_seed_is_another_run(first, other, count, tmp_path, every_batch):
    with contextlib.suppress(Killed):
        run_of(first(), tmp_path, callbacks=[kill_after(count)])
    before, rng = names(tmp_path), other()
    draws = np.random.default_rng(rng) if isinstance(rng, int) else copy.deepcopy(rng)

    with pytest.raises(ValueError, match="rng: another seed, or a generator that has"):
        run_of(rng, tmp_path)

    assert names(tmp_path) == before
    if not isinstance(rng, int):
        assert rng.uniform() == draws.uniform()


@pytest.mark.parametrize(
    "make",
    [
        lambda: 0,
        lambda: np.random.default_rng(0),
        lambda: np.random.RandomState(0),
        lambda: np.random.Generator(np.random.MT19937(0)),
        lambda: np.random.Generator(np.random.Philox(0)),
    ],
    ids=["int", "Generator", "RandomState", "MT19937", "Philox"],
)
@pytest.mark.parametrize("count", [4, 6])
def test_a_script_started_again_goes_on(make, count, tmp_path, every_batch):
    """Which has drawn the weights from the same generator before."""

    def script(folder, callbacks=()):
        rng = make()
        seed = rng if isinstance(rng, int) else moved_on(rng)
        return run_of(rng, folder, callbacks=callbacks, seed=seed)

    with pytest.raises(Killed):
        script(tmp_path, [kill_after(count)])

    assert script(tmp_path) == script(None)
    assert script(tmp_path) == script(None)  # of a run that has ended


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_that_was_trained_with_goes_on_for_more_epochs(make, tmp_path):
    rng = make(0)

    results = [run_of(rng, tmp_path, epochs) for epochs in (2, 3, 3)]

    assert results[1] == results[2] == run_of(make(0), None)


def test_generators_kept_by_parameter_go_on_after_these_have_moved(tmp_path):
    class Noisy(te.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, lr=0.1)
            self.noise = {p: np.random.default_rng(0) for p in params}
            (self.rng,) = self.noise.values()

        def update(self, x, gradient, state, group):
            return group["lr"] * (gradient + self.rng.standard_normal(x.shape))

    X = np.arange(12.0).reshape(6, 2) / 12

    def run(epochs, model, optimizer, folder=None):
        te.fit(
            *(model, X, X[:, :1]),
            loss=te.nn.mse_loss,
            optimizer=optimizer,
            epochs=epochs,
            rng=0,
            progress=False,
            checkpoint=folder,
        )
        return model.weight.data.tolist()

    def made():
        model = te.nn.Linear(2, 1, bias=False, rng=0)
        return model, Noisy(model.parameters())

    begun = made()
    run(2, *begun, tmp_path)

    assert run(3, *begun, tmp_path) == run(3, *made())


@pytest.mark.parametrize("count", [4, 5, 7])
def test_after_an_error_the_same_generator_goes_on(count, tmp_path):
    """Which has drawn the order of an epoch that is in no checkpoint."""
    rng = np.random.default_rng(0)

    with pytest.raises(Killed):
        run_of(rng, tmp_path, callbacks=[kill_after(count)])

    assert run_of(rng, tmp_path) == run_of(0, None)


def test_a_generator_that_drew_between_two_calls_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    run_of(rng, tmp_path, 2)

    with pytest.raises(ValueError, match=r"without rng=, the checkpoint's is taken"):
        run_of(moved_on(rng), tmp_path)

    assert run_of(None, tmp_path) == run_of(0, None)


def test_batches_made_by_a_python_generator_are_resumed_inside_an_epoch(
    tmp_path, every_batch
):
    """It draws when it is first asked for a batch, not when it is made."""
    X = np.arange(24.0).reshape(12, 2) / 24

    def source(rng):
        order = rng.permutation(12)
        for start in range(0, 12, 3):
            part = X[order[start : start + 3]] + rng.uniform(0, 0.1)
            yield part, part[:, :1]

    def run(folder=None, callbacks=()):
        model = te.nn.Linear(2, 1, rng=0)
        optimizer = te.optim.SGD(model.parameters(), lr=0.1)
        history = te.fit(
            *(model, source),
            loss=te.nn.mse_loss,
            optimizer=optimizer,
            epochs=3,
            callbacks=callbacks,
            rng=0,
            progress=False,
            checkpoint=folder,
        )
        return digest(model, optimizer, history)

    for count in (3, 4):
        killed(run, tmp_path, count)

    assert run(tmp_path) == run()


# ------------------------------------------------------------------------- what is told


@pytest.mark.parametrize(
    ("count", "epochs", "told"),
    [
        (2, 3, "resumed in epoch 1/3, after 1 batch, from {}"),
        (6, 3, "resumed in epoch 2/3, after 2 batches, from {}"),
        (4, 3, "resumed after epoch 1/3, from {}"),
        (99, 3, "ended after epoch 3/3, restored from {}"),
        (99, 5, "resumed after epoch 3/5, from {}"),
    ],
)
def test_a_line_says_from_where_a_run_goes_on(
    count, epochs, told, tmp_path, every_batch, capsys
):
    with contextlib.suppress(Killed):
        run_of(0, tmp_path, callbacks=[kill_after(count)])

    run_of(0, tmp_path, epochs, progress=True)

    first, *others = capsys.readouterr().out.splitlines()
    assert first == told.format(tmp_path)
    assert all(line.startswith("epoch ") for line in others)


def test_a_run_that_a_callback_stopped_says_so(tmp_path, capsys):
    run_of(0, tmp_path, callbacks=[stop_in_epoch_2])

    run_of(0, tmp_path, progress=True)

    expected = f"ended after epoch 2/3 (enough), restored from {tmp_path}\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("progress", [False, "bar"])
def test_where_nothing_is_shown_no_line_says_so(progress, tmp_path, capsys):
    run_of(0, tmp_path, 2)

    run_of(0, tmp_path, progress=progress)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", [True, "bar"])
def test_beside_a_bar_the_line_stands_where_the_bar_is(progress, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    run_of(0, tmp_path, 2)
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)

    run_of(0, tmp_path, progress=progress)

    assert out.getvalue() == ""
    assert err.getvalue().startswith(f"resumed after epoch 2/3, from {tmp_path}\n")
    assert "9/9 [" in err.getvalue()


def test_a_run_that_begins_says_nothing_of_it(tmp_path, capsys):
    run_of(0, tmp_path, progress=True)

    assert "resumed" not in capsys.readouterr().out


# ------------------------------------------- schedules that last as long as the run


def with_one_cycle(folder, epochs=3, callbacks=(), *, steps=None, wrap=None):
    """Train in 3 batches an epoch; return a digest and the learning rates."""
    X = np.random.default_rng(1).standard_normal((12, 2))
    model = te.nn.Linear(2, 1, rng=0)
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    cycle = te.optim.schedules.OneCycle(steps)
    schedule = te.optim.schedules.Schedule(optimizer, cycle)
    history = te.fit(
        *(model, X, X[:, :1]),
        loss=te.nn.mse_loss,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=3,
        validation=0.25,
        callbacks=[(wrap or te.training.EveryBatch)(schedule), *callbacks],
        checkpoint=folder,
        progress=False,
        rng=0,
    )
    return digest(model, optimizer, history), history["learning_rate"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
def test_a_killed_run_keeps_the_length_of_its_schedule(count, tmp_path, every_batch):
    killed(with_one_cycle, tmp_path, count)

    result = with_one_cycle(tmp_path)

    assert result == with_one_cycle(None) == with_one_cycle(None, steps=9)


@pytest.mark.parametrize("wrap", [te.training.EveryBatch, lambda schedule: schedule])
def test_more_epochs_than_the_schedule_was_made_for_are_refused(wrap, tmp_path):
    with_one_cycle(tmp_path, 2, wrap=wrap)
    before = names(tmp_path)

    with pytest.raises(
        ValueError,
        match="epochs: 2 in the checkpoint, 3 here, but OneCycle, whose number of",
    ):
        with_one_cycle(tmp_path, 3, wrap=wrap)

    assert names(tmp_path) == before
    assert with_one_cycle(tmp_path, 2, wrap=wrap) == with_one_cycle(None, 2, wrap=wrap)


def test_a_run_that_was_interrupted_keeps_to_its_epochs_too(tmp_path):
    with pytest.raises(Killed):
        with_one_cycle(tmp_path, 4, [kill_after(8)])

    for epochs in (3, 5):
        with pytest.raises(ValueError, match=f"epochs: 4 in .*, {epochs} here"):
            with_one_cycle(tmp_path, epochs)
    assert with_one_cycle(tmp_path, 4) == with_one_cycle(None, 4)


def test_where_nothing_is_left_to_train_a_schedule_does_not_mind(tmp_path):
    first = with_one_cycle(tmp_path / "a")
    stopped = with_one_cycle(tmp_path / "b", 4, [stop_in_epoch_2])

    with pytest.warns(UserWarning, match="more than epochs=2"):
        assert with_one_cycle(tmp_path / "a", 2) == first
    assert with_one_cycle(tmp_path / "b", 3) == stopped


def test_with_its_length_given_a_schedule_stays_at_its_end_and_that_is_told(tmp_path):
    with_one_cycle(tmp_path, 2, steps=6)

    with pytest.warns(UserWarning, match="6 steps, but .* there are 9: for the rest"):
        _, rates = with_one_cycle(tmp_path, 3, steps=6)

    assert rates[1:] == pytest.approx([0.1 / 25e4] * 2)


# ------------------------------------------------------------------ finished, and more


def test_a_finished_run_gives_the_final_weights_at_once(tmp_path):
    model, _, before = train(tmp_path)
    again = resumable.network()

    def never(training):
        raise AssertionError

    _, _, history = train(
        tmp_path, model=again, callbacks=[te.training.EveryBatch(never)]
    )

    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array)
    assert history == before
    assert (history.resumed_from, history.stopped) == (5, "epochs")
    assert before.resumed_from is None


def test_more_epochs_than_before_go_on(tmp_path, expected):
    train(tmp_path, epochs=2)

    *_, history = result = train(tmp_path)

    assert digest(*result) == expected[0]
    assert history.resumed_from == 2


def halving(optimizer):
    def halve(training):
        optimizer.lr *= 0.5

    return halve


def scheduled(optimizer):
    schedules = te.optim.schedules
    return schedules.Schedule(optimizer, schedules.ExponentialDecay(0.5))


def scheduled_by_batch(optimizer):
    return te.training.EveryBatch(scheduled(optimizer))


@pytest.mark.parametrize("slower", [halving, scheduled, scheduled_by_batch])
def test_more_epochs_with_the_same_objects_go_on_too(slower, tmp_path):
    """The optimiser's learning rate and the schedule are no longer the first ones."""

    def run(folder, totals):
        model = te.nn.Linear(2, 1, rng=0)
        optimizer = te.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        callback = slower(optimizer)
        X = np.random.default_rng(0).standard_normal((8, 2))
        for epochs in totals:
            history = te.fit(
                *(model, X, X[:, :1]),
                loss=te.nn.mse_loss,
                optimizer=optimizer,
                epochs=epochs,
                batch_size=3,
                callbacks=[callback],
                rng=0,
                progress=False,
                checkpoint=folder,
            )
        return digest(model, optimizer, history)

    assert run(tmp_path / "twice", [2, 4]) == run(tmp_path / "once", [4])


def test_after_an_error_the_same_objects_go_on(tmp_path):
    """The schedule has moved on from the last checkpoint."""
    model = te.nn.Linear(2, 1, rng=0)
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    X, callback = np.ones((8, 2)), scheduled_by_batch(optimizer)

    def run(callbacks, epochs):
        return te.fit(
            *(model, X, X[:, :1]),
            loss=te.nn.mse_loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=4,
            callbacks=callbacks,
            progress=False,
            checkpoint=tmp_path,
        )

    with pytest.raises(Killed):
        run([callback, kill_after(3)], 2)
    rate = optimizer.lr
    history = run([callback], 2)

    assert rate == 0.1 * 0.5**3
    assert history["learning_rate"] == [0.1 * 0.5, 0.1 * 0.5**3]


def test_fewer_epochs_than_before_are_told(tmp_path):
    train(tmp_path, epochs=3)

    with pytest.warns(UserWarning, match="a run of 3 epochs, more than epochs=2"):
        *_, history = train(tmp_path, epochs=2)

    assert history.epochs == [1, 2, 3]


def stop_in_epoch_2(training):
    if training.epoch == 2:
        training.stop("enough")


def test_a_run_that_a_callback_stopped_is_finished(tmp_path):
    model, _, before = train(tmp_path, callbacks=[stop_in_epoch_2])
    again = resumable.network()

    _, _, history = train(tmp_path, model=again)

    assert history == before
    assert history.stopped == "enough"
    np.testing.assert_array_equal(again[0].weight.data, model[0].weight.data)


def test_a_run_that_a_callback_stopped_goes_on_with_more_epochs(tmp_path):
    train(tmp_path, callbacks=[stop_in_epoch_2])

    *_, history = result = train(tmp_path, epochs=6)

    assert digest(*result) == digest(*train(epochs=6))
    assert history.resumed_from == 2


# --------------------------------------------------------------------- what is in it


def test_history_holds_nan_and_infinity_through_a_checkpoint(tmp_path):
    figures = {"a": float("nan"), "b": float("inf"), "c": 0.1 + 0.2}
    for epochs in (1, 2):
        *_, history = train(
            tmp_path,
            epochs=epochs,
            metrics={name: lambda o, y, x=x: x for name, x in figures.items()},
        )

    assert [repr(history[name][0]) for name in "abc"] == [
        "nan",
        "inf",
        "0.30000000000000004",
    ]


def test_frozen_parameters_and_learning_rates_set_by_callbacks_are_kept(tmp_path):
    def change(training):
        if training.epoch == 2:
            training.model[0].weight.requires_grad = False
            training.optimizer.param_groups[0]["betas"] = (0.5, 0.9)

    whole = train(callbacks=[change])
    train(tmp_path, epochs=3, callbacks=[change])

    assert digest(*train(tmp_path, callbacks=[change])) == digest(*whole)


def test_what_the_optimiser_moves_outside_the_model_is_kept(tmp_path):
    X = np.random.default_rng(0).standard_normal((6, 2))

    def run(folder, epochs):
        model = te.nn.Linear(2, 1, rng=0)
        scale = te.tensor(2.0, requires_grad=True)

        def loss(output, y):
            return te.nn.mse_loss(output * scale, y)

        te.fit(
            *(model, X, X[:, :1]),
            loss=loss,
            optimizer=te.optim.SGD([*model.parameters(), scale], lr=0.1),
            epochs=epochs,
            progress=False,
            checkpoint=folder,
        )
        return scale.item()

    expected = run(tmp_path / "once", 4)
    run(tmp_path / "twice", 2)

    assert run(tmp_path / "twice", 4) == expected


@pytest.mark.parametrize("kind", ["a function", "a list"])
def test_batches_of_ones_own_are_resumed_inside_an_epoch(kind, tmp_path, every_batch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 2))

    def noisy(X_batch, y_batch, rng):
        return X_batch + rng.standard_normal(X_batch.shape), y_batch

    source = [(X[i : i + 3], X[i : i + 3, :1]) for i in range(0, 12, 3)]
    if kind == "a function":

        def source(rng):
            return te.data.batches(X, X[:, :1], 3, rng=rng, augment=noisy)

    def run(folder=None, callbacks=()):
        model = te.nn.Linear(2, 1, rng=0)
        optimizer = te.optim.SGD(model.parameters(), lr=0.1)
        history = te.fit(
            *(model, source),
            loss=te.nn.mse_loss,
            optimizer=optimizer,
            epochs=3,
            callbacks=callbacks,
            rng=np.random.RandomState(0),
            progress=False,
            checkpoint=folder,
        )
        return digest(model, optimizer, history)

    for count in (6, 3, 3):
        killed(run, tmp_path, count)

    assert run(tmp_path) == run()


def test_rows_that_a_resumed_epoch_has_seen_already_are_not_read_again(
    tmp_path, every_batch
):
    class Counted:
        def __init__(self):
            self.seen = 0

        def __len__(self):
            return 12

        def __getitem__(self, rows):
            part = np.arange(24.0).reshape(12, 2)[rows]
            self.seen += len(part)
            return part

    def run(folder, callbacks=()):
        X, model = Counted(), te.nn.Linear(2, 1, rng=0)
        te.fit(
            *(model, X, np.zeros((12, 1))),
            loss=te.nn.mse_loss,
            optimizer=te.optim.SGD(model.parameters(), lr=1e-3),
            epochs=1,
            batch_size=3,
            callbacks=callbacks,
            progress=False,
            checkpoint=folder,
        )
        return X.seen

    killed(run, tmp_path, 4)  # the checkpoint is of the third

    assert run(tmp_path) == 1 + 3  # one row is looked at for its shape and dtype


def test_other_programs_can_read_the_arrays(tmp_path):
    model, *_ = train(tmp_path, epochs=1)

    (name,) = names(tmp_path)
    with safe_open(tmp_path / name, framework="numpy") as file:
        weight = file.get_tensor("model.0.weight")

    assert name == "checkpoint-000001-000000.safetensors"
    np.testing.assert_array_equal(weight, model[0].weight.data)


def test_the_last_three_are_kept_and_the_files_of_others_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoint-best.safetensors").write_text("mine, too")
    (tmp_path / ".checkpoint-000001-000000.safetensors.abc123").write_text("half")

    train(tmp_path)

    assert names(tmp_path) == [
        "checkpoint-000003-000000.safetensors",
        "checkpoint-000004-000000.safetensors",
        "checkpoint-000005-000000.safetensors",
        "checkpoint-best.safetensors",
        "notes.txt",
    ]


def test_an_epoch_shorter_than_a_minute_has_no_checkpoint_inside(tmp_path):
    seen = []
    train(
        tmp_path,
        epochs=1,
        callbacks=[te.training.EveryBatch(lambda t: seen.extend(names(tmp_path)))],
    )

    assert set(seen) <= {".lock"}


# ------------------------------------------------------------------------- damaged ones


def truncate(data):
    return data[: len(data) // 2]


def flip(data):
    at = len(data) - 20  # in an array
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def change_a_number(data):
    at = data.index(rb"\"done\": ") + 10  # in the JSON text
    return data[:at] + b"7" + data[at + 1 :]


DAMAGES = {
    "truncated": truncate,
    "a bit flipped": flip,
    "a number changed": change_a_number,
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "not a checkpoint": lambda data: b"hello",
    "another safetensors file": lambda data: __import__("safetensors.numpy").numpy.save(
        {"a": np.ones(2)}
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_used(
    damage, tmp_path, expected
):
    train(tmp_path, epochs=4)
    newest = tmp_path / names(tmp_path)[-1]
    newest.write_bytes(damage(newest.read_bytes()))

    with pytest.warns(
        UserWarning, match="000004-000000.safetensors is damaged"
    ) as told:
        *_, history = result = train(tmp_path)

    assert told[0].filename == resumable.__file__
    assert history.resumed_from == 3
    assert digest(*result) == expected[0]
    for name in names(tmp_path):
        decode((tmp_path / name).read_bytes())


def test_a_damaged_checkpoint_inside_an_epoch_makes_way_for_the_next(
    tmp_path, expected, every_batch, monkeypatch
):
    killed(train, tmp_path, 4)
    newest = tmp_path / names(tmp_path)[-1]
    newest.write_bytes(b"")
    monkeypatch.setattr(recorder, "SECONDS_BETWEEN", 60.0)
    there = []

    def note(training):
        there.append(newest.exists())

    with pytest.warns(UserWarning, match="000000-000003.safetensors is damaged"):
        result = train(tmp_path, callbacks=[note])

    assert digest(*result) == expected[0]
    assert there == [True, False, False, False, False]


def test_if_all_are_damaged_training_begins_again(tmp_path, expected):
    train(tmp_path, epochs=2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")

    with pytest.warns(UserWarning, match="is damaged") as told:
        *_, history = result = train(tmp_path)

    assert [("begins again" in str(w.message)) for w in told] == [False, True]
    assert digest(*result) == expected[0]
    assert history.resumed_from is None


def test_no_flipped_bit_goes_unnoticed(rng):
    state = {"model": {"w": rng.standard_normal(5)}, "history": {"loss": [0.25, 0.5]}}
    data = encode(state)
    start = data.index(b"{")

    survived = []
    for at in range(start, len(data)):
        bit = 1 << int(rng.integers(8))
        try:
            decode(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        except Exception:
            continue
        survived.append(at)

    assert len(data) > 300
    assert survived == []


# ------------------------------------------------------------------------ other runs


def other_width():
    layers = list(resumable.network())
    return te.nn.Sequential(te.nn.Linear(4, 8, rng=0, bias=False), *layers[1:])


def other_layer():
    layers = list(resumable.network())
    return te.nn.Sequential(*layers[:2], te.nn.Tanh(), *layers[3:])


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"model": other_width}, ["model.0.bias: float64 of shape (8,) in the check"]),
        ({"model": other_layer}, ["model.layers.2: ReLU in the checkpoint, Tanh here"]),
        ({"batch_size": 8}, ["batch_size: 5 in the checkpoint, 8 here"]),
        ({"shuffle": False}, ["shuffle: True in the checkpoint, False here"]),
        ({"metrics": "accuracy"}, ["metrics: accuracy, spread in the checkpoint, acc"]),
        ({"validation": 0.5}, ["a share of 0.25 in the checkpoint, a share of 0.5 h"]),
        ({"validation": None}, ["a share of 0.25 in the checkpoint, None here"]),
        (
            {"rng": np.random.RandomState(0)},
            ["generators.fit: Generator(PCG64) in the checkpoint, RandomState("],
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_with_the_differences(
    changes, differences, tmp_path
):
    train(tmp_path, epochs=2)
    before = names(tmp_path)
    model = changes.pop("model", resumable.network)()
    weights = model.state_dict()

    with pytest.raises(ValueError, match="belongs to another run") as caught:
        train(tmp_path, model=model, **changes)

    for text in differences:
        assert text in str(caught.value)
    assert "Pass another folder" in str(caught.value)
    assert names(tmp_path) == before
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])


def fit_line(folder, *, optimizer=None, loss=te.nn.mse_loss, rows=6, callbacks=()):
    model = te.nn.Linear(1, 1, rng=0)
    optimizer = optimizer or (lambda p: te.optim.SGD(p, lr=0.1))
    X = np.arange(float(rows))[:, None] / rows
    te.fit(
        *(model, X, X),
        loss=loss,
        optimizer=optimizer(model.parameters()),
        epochs=2,
        callbacks=callbacks,
        progress=False,
        checkpoint=folder,
    )


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"loss": te.nn.l1_loss}, "loss: mse_loss in the checkpoint, l1_loss here"),
        ({"rows": 7}, "data.rows: 6 in the checkpoint, 7 here"),
        ({"optimizer": lambda p: te.optim.SGD(p, lr=0.2)}, "group.0.lr: 0.1 in the c"),
        ({"optimizer": lambda p: te.optim.Adam(p)}, "class: SGD in the checkpoint, A"),
    ],
)
def test_another_loss_optimiser_or_data_are_refused(changes, difference, tmp_path):
    fit_line(tmp_path)

    with pytest.raises(ValueError, match="belongs to another run") as caught:
        fit_line(tmp_path, **changes)

    assert difference in str(caught.value)


def test_a_callback_with_state_must_not_go_missing_but_one_may_come(tmp_path):
    stopping = te.training.EarlyStopping("loss")
    fit_line(tmp_path / "a")
    fit_line(tmp_path / "b", callbacks=[stopping])

    fit_line(tmp_path / "a", callbacks=[stopping])
    with pytest.raises(ValueError, match="EarlyStopping in the checkpoint, not here"):
        fit_line(tmp_path / "b")


# ----------------------------------------------------------------- where writing fails


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_is_told_and_loses_nothing(
    function, tmp_path, expected, monkeypatch
):
    def fill(training):
        if training.epoch == 3:
            monkeypatch.setattr(os, function, full)

    with pytest.warns(RuntimeWarning) as told:
        result = train(tmp_path, callbacks=[fill])

    texts = [str(w.message) for w in told]
    assert len(texts) == 4  # of epochs 3, 4 and 5, and at the end
    assert "No space left on device" in texts[0] and "tries again" in texts[0]
    assert "te.save(model, path)" in texts[-1]
    assert {w.filename for w in told} == {resumable.__file__}
    assert digest(*result) == expected[0]
    assert names(tmp_path) == [
        f"checkpoint-00000{n}-000000.safetensors" for n in (1, 2)
    ]


def test_when_there_is_space_again_checkpoints_are_written_again(
    tmp_path, expected, monkeypatch
):
    usual = os.replace

    def fill(training):
        monkeypatch.setattr(os, "replace", full if training.epoch == 3 else usual)

    with pytest.warns(RuntimeWarning) as told:
        result = train(tmp_path, callbacks=[fill])

    assert len(told) == 1
    assert digest(*result) == expected[0]
    assert names(tmp_path)[-1] == "checkpoint-000005-000000.safetensors"


def test_a_folder_that_cannot_be_written_is_refused_before_training(
    tmp_path, monkeypatch
):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)

    with pytest.raises(OSError, match=r"Read-only file system.*has not begun") as error:
        train(tmp_path / "a", model=None)

    assert error.value.errno == errno.EROFS


def test_a_file_in_place_of_the_folder_is_refused_before_training(tmp_path):
    (tmp_path / "a").write_text("mine")

    with pytest.raises(FileExistsError, match="no file can be written there"):
        train(tmp_path / "a")

    assert (tmp_path / "a").read_text() == "mine"


class Odd:
    """A callback whose state no checkpoint can hold."""

    def __call__(self, training):
        raise AssertionError

    def state_dict(self):
        return {"seen": {1, 2}}

    def load_state_dict(self, state):
        pass


def test_a_state_that_cannot_be_kept_is_refused_before_training(tmp_path):
    with pytest.raises(
        TypeError, match=r"cannot hold callbacks\.2\.state\.seen, a set"
    ):
        train(tmp_path, callbacks=[Odd()])

    assert names(tmp_path) == []


# ----------------------------------------------------------------------- one file


def test_a_state_comes_back_as_it_was(rng):
    state = {
        "numbers": [1, 2**127 + 1, -0.0, 0.1, 5e-324, float("inf"), True, None],
        "text": 'ä "quoted" \n',
        "nested": {"": {"a.b": rng.standard_normal(2)}, "a": {"b": np.zeros((0, 3))}},
        "arrays": [
            np.array(7),
            np.arange(6).reshape(2, 3).T,
            np.array([True, False]),
            np.arange(3, dtype=">f4"),
            np.arange(3, dtype=np.float16),
            rng.integers(0, 2**63, 4, dtype=np.uint64),
        ],
    }

    again = decode(encode(state))

    assert repr(again["numbers"]) == repr(state["numbers"])
    assert again["text"] == state["text"]
    for got, x in zip(again["arrays"], state["arrays"], strict=True):
        assert got.dtype == x.dtype.newbyteorder("=") and got.shape == x.shape
        np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(
        again["nested"][""]["a.b"], state["nested"][""]["a.b"]
    )
    assert again["nested"]["a"]["b"].shape == (0, 3)


def test_nan_comes_back():
    assert np.isnan(decode(encode({"x": float("nan")}))["x"])


def test_arrays_whose_paths_collide_are_kept_apart():
    state = {"a.b": np.ones(1), "a": {"b": np.zeros(1)}}

    again = decode(encode(state))

    assert (again["a.b"][0], again["a"]["b"][0]) == (1, 0)


def test_tuples_come_back_as_lists_and_numpy_numbers_as_pythons():
    state = {"pair": (0.5, np.float32(0.1)), "n": np.int64(3)}

    again = decode(encode(state))

    assert again == {"pair": [0.5, float(np.float32(0.1))], "n": 3}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "cannot hold x, a dict"),
        ([1, object()], r"cannot hold x\.1, a object"),
        (b"bytes", "cannot hold x, a bytes"),
        (np.array(["a"]), "cannot hold x, an array of dtype <U1"),
        (np.array([1j]), "cannot hold x, an array of dtype complex128"),
    ],
)
def test_what_no_file_can_hold_is_named(value, message):
    with pytest.raises(TypeError, match=message):
        encode({"x": value})


@pytest.mark.parametrize(
    "make",
    [
        np.random.default_rng,
        np.random.RandomState,
        lambda seed: np.random.Generator(np.random.MT19937(seed)),
        lambda seed: np.random.Generator(np.random.Philox(seed)),
        lambda seed: np.random.Generator(np.random.SFC64(seed)),
        lambda seed: np.random.RandomState(np.random.PCG64(seed)),
    ],
)
def test_every_generator_goes_on_from_a_file(make):
    from tinygrad_edu.randomness import set_state, state_of

    rng, other = make(1), make(2)
    rng.standard_normal(3)

    set_state(other, decode(encode(state_of(rng))))

    np.testing.assert_array_equal(other.standard_normal(5), rng.standard_normal(5))
    np.testing.assert_array_equal(other.permutation(9), rng.permutation(9))


def test_a_newer_format_is_named(monkeypatch):
    monkeypatch.setattr(checkpoints, "_FORMAT", "tinygrad_edu checkpoint 2")
    data = encode({})
    monkeypatch.undo()

    with pytest.raises(ValueError, match="got 'tinygrad_edu checkpoint 2'"):
        decode(data)


# ------------------------------------------------------------ several runs at one time


def test_the_second_run_in_a_folder_is_told_and_the_first_goes_on(tmp_path, expected):
    refused = []

    def second(training):
        if not refused:
            with pytest.raises(RuntimeError) as caught:
                train(tmp_path)
            refused.append(str(caught.value))

    result = train(tmp_path, callbacks=[te.training.EveryBatch(second)])

    assert f"another run, of process {os.getpid()}, writes" in refused[0]
    assert digest(*result) == expected[0]


def test_a_run_of_another_process_is_seen_until_it_is_killed(tmp_path):
    code = (
        "import sys, time\n"
        "from tinygrad_edu.files import held_alone\n"
        "with held_alone(sys.argv[1]):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    lock = tmp_path / ".lock"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match=f"of process {process.pid},"):
            train(tmp_path)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    assert lock.exists()
    assert train(tmp_path)[-1].stopped == "epochs"
    assert not lock.exists()


def test_a_run_that_failed_leaves_the_folder_free(tmp_path):
    with pytest.raises(ValueError, match="batch_size"):
        train(tmp_path, batch_size=0)

    assert train(tmp_path)[-1].stopped == "epochs"
