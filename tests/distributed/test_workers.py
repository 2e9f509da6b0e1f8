"""te.fit with client=: the same numbers on the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from functools import partial

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.course import lecture
from tinygrad_edu.course.lecture import systems
from tinygrad_edu.distributed import rows, steps, workers
from tinygrad_edu.training import BeforeStep, NonFiniteError, feed

pytest.importorskip("distributed", reason="pip install 'tinygrad_edu[distributed]'")

import dask.array as da
import joblib
from distributed import Client, LocalCluster
from scipy import sparse
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from small_estimators import blobs, quick
from toy_examples import EXAMPLES, toy

pytestmark = pytest.mark.slow  # `make test-all` installs what this needs


@contextlib.contextmanager
def cluster(count, *, processes=False):
    """A client of a cluster with so many workers, each of one thread."""
    with (
        warnings.catch_warnings(),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=processes,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as local,
        Client(local) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def clients():
    """Clients of clusters of 1, 2 and 3 workers, which are threads."""
    with cluster(1) as one, cluster(2) as two, cluster(3) as three:
        yield {1: one, 2: two, 3: three}


@pytest.fixture
def client(clients):
    return clients[2]


@pytest.fixture(autouse=True)
def small_leaves(monkeypatch):
    """Cut few rows into many leaves."""
    monkeypatch.setattr(feed, "CHUNK", 10)
    monkeypatch.setattr(rows, "LEAST", 5)


@pytest.fixture
def data(rng):
    """A hundred and three rows, whose label says which feature is the largest."""
    X = rng.standard_normal((103, 3))
    return X, X.argmax(axis=1)


def classifier(*others, dtype=float):
    return te.nn.Sequential(
        te.nn.Linear(3, 5, rng=0, dtype=dtype),
        *others,
        te.nn.Tanh(),
        te.nn.Linear(5, 3, rng=1, dtype=dtype),
    )


def fit(client, X, y=None, *, model=None, **options):
    """Train; return history and weights."""
    model = model or classifier()
    optimizer = te.optim.Adam(model.parameters(), lr=0.01)
    options = {
        "loss": te.nn.softmax_cross_entropy,
        "epochs": 4,
        "rng": 0,
        "progress": False,
        "metrics": "accuracy",
    } | options
    history = te.fit(model, X, y, optimizer=optimizer, client=client, **options)
    return history, [p.data for p in model.parameters()]


def assert_same(one, other, rtol=0.0):
    """Compare two histories with weights."""
    for name, values in one[0].values.items():
        if name != "seconds":
            np.testing.assert_allclose(values, other[0][name], rtol=rtol, err_msg=name)
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol)


# ---------------------------------------------------------------- the same as here

BATCHES = [{}, {"batch_size": 40}, {"batch_size": 30, "shuffle": False}]


@pytest.mark.parametrize("options", BATCHES)
def test_the_run_is_that_of_one_machine_whatever_the_number_of_workers(
    options, clients, data
):
    here = fit(None, *data, **options)

    runs = [fit(client, *data, **options) for client in clients.values()]

    assert_same(runs[0], here, rtol=1e-11)
    for run in runs[1:]:
        assert_same(run, runs[0])


def system(name, client, split, epochs):
    """The losses of one of the lecture's systems."""
    X, digits, *_ = split
    model, order = systems.drawn(*X.shape)[name]
    chosen = lecture.SYSTEMS[name]
    history = te.fit(
        model,
        X[order],
        chosen.targets(digits[order]),
        loss=chosen.loss,
        optimizer=te.optim.SGD(model.parameters(), lr=chosen.learning_rate),
        epochs=min(epochs, chosen.epochs),
        progress=False,
        client=client,
    )
    return history["loss"]


@pytest.mark.parametrize("name", ["neuron", "hidden", "digits"])
def test_the_lectures_systems_have_the_same_losses(name, clients, monkeypatch):
    monkeypatch.setattr(feed, "CHUNK", 200)
    split = lecture.load("digits")
    here = system(name, None, split, 8)

    losses = [system(name, client, split, 8) for client in clients.values()]

    np.testing.assert_allclose(losses[0], here, rtol=1e-12)
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_lectures_systems_have_the_same_losses_to_the_end(count, monkeypatch):
    monkeypatch.setattr(feed, "CHUNK", 100)
    split = lecture.load("digits")

    with cluster(count, processes=True) as client:
        for name in ("neuron", "hidden", "digits"):
            here = system(name, None, split, 1000)
            there = system(name, client, split, 1000)

            np.testing.assert_allclose(there, here, rtol=1e-12, err_msg=name)


def mapped(x, client, tmp_path):
    path = tmp_path / f"{x.dtype}.npy"
    np.save(path, x)
    return np.load(path, mmap_mode="r")


class OnDemand:
    """Rows that are computed when they are asked for, wherever that is."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        return self.x[rows]


KINDS = {
    "memory maps": mapped,
    "dask arrays": lambda x, *_: da.from_array(x, chunks=(17, *x.shape[1:])),
    "kept dask arrays": lambda x, client, _: client.persist(da.from_array(x, 20)),
    "other objects": lambda x, *_: OnDemand(x),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"batch_size": 40, "validation": 0.2}])
def test_rows_may_lie_anywhere(kind, options, client, data, tmp_path):
    X, y = (KINDS[kind](x, client, tmp_path) for x in data)

    run = fit(client, X, y, **options)

    assert_same(run, fit(client, *data, **options))


def test_several_inputs_and_a_share_for_validation(clients, rng):
    class Both(te.nn.Layer):
        independent_rows = True

        def __init__(self):
            self.left = te.nn.Linear(2, 1, rng=0)
            self.right = te.nn.Linear(3, 1, rng=1, dtype=np.float32)

        def forward(self, a, b):
            return self.left(a) + self.right(b)

    a, b = rng.standard_normal((50, 2)), rng.standard_normal((50, 3))
    target = a[:, :1] - b[:, 2:]
    options = {"loss": te.nn.mse_loss, "validation": 0.2, "metrics": ()}

    here = fit(None, (a, b), target, model=Both(), **options)
    there = fit(clients[3], (a, b), target, model=Both(), **options)

    assert_same(there, here, rtol=1e-5)


def test_frozen_and_unused_parameters_stay_as_they_are(client, data):
    def model():
        made = classifier()
        made[0].weight.requires_grad = False
        made.spare = te.tensor([1.0, 2.0], requires_grad=True)
        return made

    without = []

    def thaw(training):
        named = training.model.named_parameters()
        without.append([name for name, p in named if p.grad is None])
        training.model[0].weight.requires_grad = True

    there, here = (
        fit(who, *data, model=model(), callbacks=[thaw]) for who in (client, None)
    )

    assert_same(there, here, rtol=1e-11)
    assert [len(names) for names in without] == 2 * [2, 1, 1, 1]


def test_callbacks_and_metrics_of_ones_own_run_as_ever(client, data):
    def spread(output, y):  # no mean over rows
        return float(np.std(output))

    def clip(training):
        te.optim.clip_grad_norm(training.model.parameters(), 0.05)

    options = {"callbacks": [BeforeStep(clip)], "metrics": [spread, "accuracy"]}

    there, here = (fit(who, *data, **options) for who in (client, None))

    assert_same(there, here, rtol=1e-11)


# ------------------------------------------------------------- where it happens


def log_begins(client):
    """Have the scheduler keep a log, if it does not yet; return the time."""
    client.get_task_stream(count=0)
    return time.time()


def learned_since(client, begun):
    """The tasks that computed gradients, from the scheduler's log."""
    stream = client.get_task_stream(start=begun)
    return [task for task in stream if str(task["key"]).startswith("learn-")]


def test_the_work_happens_on_the_workers(clients, data):
    client = clients[3]
    addresses = set(client.nthreads())
    begun = log_begins(client)

    fit(client, *data, epochs=6)

    learned = learned_since(client, begun)
    assert {task["worker"] for task in learned} == addresses
    assert len(learned) == 6 * 3
    assert all(task["status"] == "OK" for task in learned)


def test_rows_are_sent_once_and_parameters_as_one_buffer_for_each_step(
    client, data, monkeypatch
):
    sent, asked = [], []
    scatter, submit = client.scatter, client.submit

    def scattering(x, **options):
        sent.append(x)
        return scatter(x, **options)

    def submitting(function, *given, **options):
        asked.append(given)
        return submit(function, *given, **options)

    monkeypatch.setattr(client, "scatter", scattering)
    monkeypatch.setattr(client, "submit", submitting)

    fit(client, *data, epochs=5)

    rows = [len(x[0]) for x in sent if isinstance(x, list)]
    assert sum(rows) == 2 * len(data[0])
    assert len([x for x in sent if isinstance(x, bytes)]) == 1  # the model
    parameters = 5 * 3 + 5 + 3 * 5 + 3
    assert [given[1].shape for given in asked] == 5 * 2 * [(8 * parameters,)]


def test_a_worker_that_joins_is_given_a_share(data, monkeypatch):
    monkeypatch.setattr(workers, "LOOK", 0.0)
    seen = []

    with cluster(1) as client:

        def join(training):
            if training.epoch == 2:
                client.cluster.scale(2)
                client.wait_for_workers(2, timeout=20)
            seen.append(log_begins(client))

        run = fit(client, *data, epochs=5, callbacks=[join])
        learned = learned_since(client, seen[2])

    assert len({task["worker"] for task in learned}) == 2
    assert_same(run, fit(None, *data, epochs=5), rtol=1e-11)


def test_the_speed_is_that_since_it_was_last_told():
    told = object.__new__(workers.Workers)
    told._rows, told._seconds, told._computing = 5000, 2.0, 0.5

    assert told.speed() == "2,500 rows/s, 75% communicating"
    assert told.speed() == ""


def test_a_line_tells_rows_per_second_and_what_is_lost_to_the_way(client, data, capsys):
    fit(client, *data, epochs=1, progress=True)

    told = capsys.readouterr().out
    assert re.search(r"\(\d+\.\d s, [\d,]+ rows/s, \d+% communicating\)$", told.strip())


# ---------------------------------------------------------------- what is refused


def odd_loss(output, y):
    return te.nn.softmax_cross_entropy(output, y)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"model": classifier(te.nn.BatchNorm1d(5))},
            ValueError,
            r"Not so in 1 \(BatchNorm1d\): batch normalisation takes means over",
        ),
        (
            {"model": classifier(te.nn.Dropout(0.5), te.nn.Dropout(0.0))},
            ValueError,
            r"Not so in 1 \(Dropout\): batch norm",
        ),
        ({"loss": odd_loss}, ValueError, "mean over rows; odd_loss does not say so"),
        ({"y": None}, TypeError, "X and y must be arrays: batches of your own"),
        ({"X": [1, 2]}, TypeError, r"must be an array .* np.asarray\(X\)"),
        (
            {"X": sparse.eye(103, 3, format="csr")},
            TypeError,
            "X must be an array .*csr",
        ),
        ({"loss": partial(odd_loss)}, ValueError, "; partial of odd_loss does not say"),
        ({"client": "tcp://here:8786"}, TypeError, "Client, got str; write client="),
    ],
)
def test_what_cannot_be_divided_is_refused_with_a_reason(
    changes, error, message, client, data
):
    given = {"client": client, "X": data[0], "y": data[1]} | changes

    with pytest.raises(error, match=message):
        fit(**given)


def test_layers_that_are_exact_by_then_are_taken(client, data):
    model = classifier(te.nn.LayerNorm(5), te.nn.Dropout(0.0))

    history, _ = fit(client, *data, model=model)

    assert len(history["loss"]) == 4


def test_a_table_of_dask_is_refused_and_rows_of_unknown_number(client, data):
    class Table:
        iloc = __dask_graph__ = None

    unknown = da.from_array(data[0], 20)
    unknown = unknown[unknown[:, 0] > 0]

    with pytest.raises(TypeError, match=r"pass X.to_dask_array\(lengths=True\)"):
        fit(client, Table(), data[1])
    with pytest.raises((TypeError, ValueError), match="unknown chunk size"):
        fit(client, unknown, data[1])


def test_a_client_for_coroutines_is_refused(client, data, monkeypatch):
    monkeypatch.setattr(Client, "asynchronous", True)

    with pytest.raises(TypeError, match="client is asynchronous, and its answers must"):
        fit(client, *data)


def test_a_closed_client_is_refused(client, data):
    with Client(client.cluster, set_as_default=False) as other:
        pass

    with pytest.raises(ConnectionError, match="the client is closed; make another"):
        fit(other, *data)


def test_small_batches_on_many_workers_are_remarked_upon(client, data):
    with pytest.warns(UserWarning, match="one of the 2 workers does all") as told:
        run = fit(client, *data, batch_size=3, epochs=1)

    assert "does all the work: 103" in str(told[0].message)
    assert told[0].filename == __file__
    assert_same(run, fit(None, *data, batch_size=3, epochs=1), rtol=1e-11)


# ---------------------------------------------------------------- what goes wrong


def test_a_row_that_is_not_finite_is_named(client, data):
    X, y = data
    X[57, 1] = np.nan

    with pytest.raises(NonFiniteError, match=r"loss is nan in epoch 1.*\n.*row 57"):
        fit(client, X, y)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_gradient_that_is_not_finite_is_explained(client, data):
    class Root(te.nn.Layer):
        independent_rows = True

        def forward(self, x):
            return te.sqrt(te.absolute(x))

    X, y = data
    X[33] = 0.0
    model = classifier(te.nn.Linear(5, 5, rng=2, bias=False), Root())
    model[0].bias.data = np.zeros(5)

    with pytest.raises(NonFiniteError, match=r"gradient .* in epoch 1(.|\n)*sqrt"):
        fit(client, X, y, model=model)


def test_a_module_that_the_workers_have_not_is_named(client, data):
    class Absent(te.nn.Tanh):
        def __reduce__(self):
            return importlib.import_module, ("my_layers",)

    model = classifier(Absent())

    with pytest.raises(ModuleNotFoundError, match="my_layers") as caught:
        fit(client, *data, model=model)

    assert any("upload_file" in note for note in caught.value.__notes__)


def test_a_parameter_in_a_module_is_refused(client, data, monkeypatch):
    """Pickled by name, the loss has another one on each worker."""
    module = types.ModuleType("module_with_a_parameter")
    module.te = te
    source = (
        "scale = te.tensor(1.0, requires_grad=True)\n"
        "def loss(output, y): return te.nn.softmax_cross_entropy(scale * output, y)\n"
        "loss.mean_over_rows = True"
    )
    exec(source, vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    model = classifier()
    optimizer = te.optim.SGD([*model.parameters(), module.scale], lr=0.1)

    with pytest.raises(ValueError, match="workers do not move the parameter number 4"):
        te.fit(
            model, *data, loss=module.loss, optimizer=optimizer, epochs=1, client=client
        )


def test_what_a_worker_raises_comes_here(client, data):
    def loss(output, y):
        if len(y) == 3:  # the last leaf, which is not looked at here before
            raise ArithmeticError("no loss for three")
        return te.nn.softmax_cross_entropy(output, y)

    loss.mean_over_rows = True

    with pytest.raises(ArithmeticError, match="no loss for three") as caught:
        fit(client, *data, loss=loss)

    assert "in epoch 1, batch 1 of te.fit" in caught.value.__notes__[-1]


def test_what_cannot_be_sent_is_told(client, data):
    lock = threading.Lock()

    def loss(output, y):
        with lock:
            return te.nn.softmax_cross_entropy(output, y)

    loss.mean_over_rows = True

    with pytest.raises(TypeError, match="pickle") as caught:
        fit(client, *data, loss=loss)

    assert any("pickle can send" in note for note in caught.value.__notes__)


def test_rows_that_are_lost_are_sent_again(client, data, monkeypatch):
    made = []

    def workers_of(*given):
        made.append(workers.Workers(*given))
        return made[-1]

    def lose(training):
        held = made[0]._pieces[0].held
        client.cancel(held, force=True)

    monkeypatch.setattr(steps, "Workers", workers_of)

    run = fit(client, *data, callbacks=[lose])

    assert_same(run, fit(None, *data), rtol=1e-11)


def test_workers_that_never_answer_are_given_up(client, data, monkeypatch):
    monkeypatch.setattr(workers, "TRIES", 1)

    def lost(*_, **__):
        raise TimeoutError("No valid workers found")

    monkeypatch.setattr(client, "scatter", lost)

    with pytest.raises(RuntimeError, match="no worker answered in 2 attempts") as told:
        fit(client, *data)

    assert isinstance(told.value.__cause__, TimeoutError)


@pytest.mark.parametrize("end", ["cluster", "client"])
def test_the_end_of_the_scheduler_is_told_and_the_run_goes_on_with_another(
    end, data, clients, tmp_path
):
    options = {"epochs": 6, "batch_size": 50, "checkpoint": tmp_path}

    with cluster(2) as client:

        def close(training):
            if training.epoch == 3:
                (client if end == "client" else client.cluster).close()

        with pytest.raises(ConnectionError, match="scheduler of client= does not ans"):
            fit(client, *data, callbacks=[close], **options)
    run = fit(clients[3], *data, **options)

    assert run[0].resumed_from == 3 or run[0].resumed_from == 2
    assert_same(run, fit(clients[1], *data, epochs=6, batch_size=50))


def test_whatever_dask_raises_when_its_client_is_closed_it_is_told(data, monkeypatch):
    with cluster(1) as client:

        def closed(*_, **__):
            client.close()
            raise RuntimeError("ConnectionPool is closed")

        monkeypatch.setattr(client, "gather", closed)

        with pytest.raises(ConnectionError, match="scheduler of client= does not ans"):
            fit(client, *data)


def test_a_checkpoint_belongs_to_a_run_with_a_client_or_one_without(
    client, data, tmp_path
):
    fit(client, *data, checkpoint=tmp_path)

    with pytest.raises(ValueError, match="rows of a leaf, by client=: 10 in the check"):
        fit(None, *data, epochs=5, checkpoint=tmp_path)


# -------------------------------------------------------- processes, and their death


def test_a_worker_that_is_killed_costs_time_and_nothing_else(rng):
    X = rng.standard_normal((2000, 3))
    y = X.argmax(axis=1)
    options = {"epochs": 12, "batch_size": 1000}
    here = fit(None, X, y, **options)

    with cluster(2, processes=True) as client:
        undisturbed = fit(client, X, y, **options)
        pids = client.run(os.getpid)
        killed = []

        def kill(training):
            if training.epoch == 3:  # between two steps
                killed.append(min(pids.values()))
                os.kill(killed[0], signal.SIGKILL)
            if training.epoch == 8:  # while a step is under way

                def later():
                    time.sleep(0.02)
                    pid = next(iter(client.run(os.getpid).values()))
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)

                threads.append(threading.Thread(target=later))
                threads[0].start()

        threads = []
        run = fit(client, X, y, callbacks=[kill], **options)
        in_time = len(killed) == 2
        threads[0].join()

    assert in_time
    assert_same(run, undisturbed)
    assert_same(run, here, rtol=1e-10)


SCHEDULER = """
from distributed import LocalCluster
import time
with LocalCluster(n_workers=2, processes=False, dashboard_address=":0",
                  protocol="tcp://") as local:
    print(local.scheduler_address, flush=True)
    time.sleep(100)
"""


def test_a_scheduler_that_is_killed_is_told_and_the_checkpoint_is_whole(data, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SCHEDULER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    address = process.stdout.readline().strip()
    options = {"epochs": 8, "batch_size": 50, "checkpoint": tmp_path}

    def kill(training):
        if training.epoch == 4:
            process.kill()

    with (
        Client(address, timeout=3) as client,
        pytest.raises(ConnectionError, match="scheduler of client= does not answer"),
    ):
        fit(client, *data, callbacks=[kill], **options)
    process.communicate()
    with cluster(1) as client:
        run = fit(client, *data, **options)
        whole = fit(client, *data, epochs=8, batch_size=50)

    assert run[0].resumed_from in (3, 4)
    assert_same(run, whole)


# ------------------------------------------------------------------------- searches

SEARCHES = {
    "grid": partial(GridSearchCV, cv=2),
    "random": partial(RandomizedSearchCV, n_iter=3, cv=2, random_state=0),
    "halving": partial(
        HalvingGridSearchCV,
        cv=2,
        resource="max_iter",
        min_resources=150,
        max_resources=300,
        factor=2,
        random_state=0,
    ),
}


def searched(name, n_jobs):
    grid = {"hidden_layer_sizes": [(4,), (8,)], "learning_rate_init": [0.05, 0.1]}
    data = blobs(np.random.default_rng(0))
    return SEARCHES[name](quick(), grid, n_jobs=n_jobs).fit(*data)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_on_the_workers_finds_what_it_finds_here(name, client):
    begun = log_begins(client)

    with client.as_current(), joblib.parallel_config(backend="dask"):
        there = searched(name, -1)

    here = searched(name, 1)
    for key in ("params", "mean_test_score"):
        np.testing.assert_array_equal(there.cv_results_[key], here.cv_results_[key])
    assert there.best_params_ == here.best_params_
    stream = client.get_task_stream(start=begun)
    fits = [task for task in stream if "fit_and_score" in str(task["key"])]
    assert len(fits) >= 2
    assert {task["worker"] for task in fits} <= set(client.nthreads())


def test_the_search_of_the_examples_finds_the_same_on_the_workers(
    client, capsys, monkeypatch, tmp_path
):
    script = next(path for path in EXAMPLES if path.stem == "17_search")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def told(*arguments):
        monkeypatch.setattr("sys.argv", [str(script), *arguments])
        exec(compile(toy(script), script, "exec"), {"__name__": "__main__"})
        return capsys.readouterr().out

    begun = log_begins(client)
    there = told(client.scheduler.address)
    stream = client.get_task_stream(start=begun)

    assert there == told()
    assert "27 candidates,  1 epochs\n 9 candidates,  2 epochs\nbest: " in there
    tasks = [task for task in stream if "learned" in str(task["key"])]
    assert {task["worker"] for task in tasks} == set(client.nthreads())


def test_a_search_runs_in_processes_of_a_cluster():
    with cluster(2, processes=True) as client:
        begun = log_begins(client)
        with client.as_current(), joblib.parallel_config(backend="dask"):
            there = searched("grid", -1)
        used = {task["worker"] for task in client.get_task_stream(start=begun)}

    here = searched("grid", 1)
    np.testing.assert_array_equal(
        there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
    )
    assert len(used) == 2
