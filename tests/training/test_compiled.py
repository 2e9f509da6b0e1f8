"""``te.fit(compile=True)``: the bits of a run through the graph."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.compiling import Untraceable

X = np.random.default_rng(0).standard_normal((50, 4))
Y = np.random.default_rng(1).integers(0, 3, 50)


def network():
    return te.nn.Sequential(
        te.nn.Linear(4, 6, rng=0),
        te.nn.BatchNorm1d(6),
        te.nn.ReLU(),
        te.nn.Dropout(0.2, rng=2),
        te.nn.Linear(6, 3, rng=1),
    )


def dense():
    return te.nn.Sequential(
        te.nn.Linear(4, 6, rng=0), te.nn.Tanh(), te.nn.Linear(6, 3, rng=1)
    )


def trained(compiled, make=network, epochs=3, **options):
    model = make()
    optimizer = te.optim.Adam(model.parameters(), lr=0.01)
    if "schedule" in options:
        options["callbacks"] = [options.pop("schedule")(optimizer)]
    history = te.fit(
        model,
        options.pop("X", X),
        Y,
        loss=options.pop("loss", te.nn.softmax_cross_entropy),
        optimizer=optimizer,
        epochs=epochs,
        progress=False,
        rng=0,
        compile=compiled,
        **options,
    )
    return model.state_dict(), history["loss"]


def halving(optimizer):
    schedules = te.optim.schedules
    return schedules.Schedule(optimizer, schedules.StepDecay(1, 0.5))


def clip(training):
    te.optim.clip_grad_norm(training.model.parameters(), 0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 20},  # and a last batch of 10
        {"batch_size": 25, "metrics": "accuracy", "validation": 0.2},
        {"batch_size": 25, "callbacks": [te.training.BeforeStep(clip)]},
        {"make": dense},  # the full batch
        {"batch_size": 25, "schedule": lambda o: halving(o)},
    ],
    ids=["batches", "metrics", "clipping", "full batch", "schedule"],
)
def test_a_run_has_the_same_bits(options):
    plainly, losses = trained(False, **options)
    compiled, others = trained(True, **options)

    assert losses == others
    for name, x in plainly.items():
        np.testing.assert_array_equal(compiled[name], x)


def test_a_full_batch_in_parts_has_the_same_bits():
    rows = np.tile(X, (50, 1))
    found = []
    for compiled in (False, True):
        model = dense()
        te.fit(
            model,
            rows,
            np.tile(Y, 50),
            loss=te.nn.softmax_cross_entropy,
            optimizer=te.optim.SGD(model.parameters(), lr=0.1),
            epochs=2,
            progress=False,
            compile=compiled,
        )
        found.append(model.state_dict())

    for name, x in found[0].items():
        np.testing.assert_array_equal(found[1][name], x)


def test_a_run_goes_on_from_a_checkpoint_with_the_same_bits(tmp_path):
    whole, _ = trained(False, batch_size=20, epochs=4)
    trained(True, batch_size=20, epochs=2, checkpoint=tmp_path)
    resumed, _ = trained(True, batch_size=20, epochs=4, checkpoint=tmp_path)

    for name, x in whole.items():
        np.testing.assert_array_equal(resumed[name], x)


def test_what_cannot_be_traced_is_an_error_before_the_first_step():
    class Counting(te.nn.Layer):
        def __init__(self):
            self.linear, self.calls = te.nn.Linear(4, 3, rng=0), 0

        def forward(self, x):
            self.calls += 1
            return self.linear(x)

    before = Counting().state_dict()
    model = Counting()
    with pytest.raises(Untraceable, match=r"assigns model\.calls"):
        trained(True, make=lambda: model, batch_size=10)

    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[name])


def test_a_loss_that_is_not_finite_is_diagnosed_as_ever():
    data = X.copy()
    data[45] = np.nan
    told = []
    for compiled in (False, True):
        with pytest.raises(te.training.NonFiniteError) as caught:
            trained(compiled, make=dense, X=data, batch_size=10, shuffle=False)
        told.append(str(caught.value))

    assert told[0] == told[1]


def test_a_memory_map_is_read_as_an_array(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    _, losses = trained(True, make=dense, X=mapped, batch_size=10)

    assert losses == trained(False, make=dense, batch_size=10)[1]


def test_compile_is_a_flag_and_not_for_a_cluster():
    with pytest.raises(TypeError, match="compile must be True or False"):
        trained("fortran", make=dense)
    with pytest.raises(ValueError, match="without client="):
        trained(True, make=dense, client=object())


@pytest.mark.slow
def test_with_numba_a_run_is_the_same_but_for_rounding(tmp_path):
    pytest.importorskip("numba", reason="pip install 'tinygrad_edu[fast]'")
    weights, losses = trained("numba")
    others, wanted = trained(False)

    np.testing.assert_allclose(losses, wanted, rtol=1e-12)
    for name, x in others.items():
        np.testing.assert_allclose(weights[name], x, rtol=1e-9, atol=1e-9)
    trained("numba", epochs=1, checkpoint=tmp_path)
    assert trained("numba", checkpoint=tmp_path)[1] == losses
    with pytest.raises(ValueError, match="compiled by"):
        trained(True, checkpoint=tmp_path)
