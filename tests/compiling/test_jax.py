"""Programs under ``jax.jit``, on a processor: what the engine computes, but rounded."""

from __future__ import annotations

import copy
import importlib.util

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.compiling import Untraceable, jitted

HAS_JAX = importlib.util.find_spec("jax") is not None
needs_jax = pytest.mark.skipif(
    not HAS_JAX, reason="needs pip install 'tinygrad_edu[jax]'"
)

NETWORKS = {
    "dense": lambda d: [te.nn.Linear(4, 5, dtype=d, rng=1), te.nn.Tanh()],
    "norms": lambda d: [
        te.nn.LayerNorm(4, dtype=d),
        te.nn.Linear(4, 5, dtype=d, rng=1),
        te.nn.BatchNorm1d(5, dtype=d),
        te.nn.GELU(),
        te.nn.Dropout(0.2, rng=3),
    ],
    "sequence": lambda d: [Sequence(d)],
    "picture": lambda d: [
        Picture(),
        te.nn.Conv2d(1, 3, 3, padding=1, dtype=d, rng=0),
        te.nn.GELU(),
        te.nn.MaxPool2d(2),
        te.nn.Flatten(),
        te.nn.Linear(3, 5, dtype=d, rng=1),
    ],
}
OPTIMIZERS = {
    "nesterov": lambda p: te.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adamw": lambda p: te.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: te.optim.RMSProp(p, lr=0.01, momentum=0.5),
}


class Sequence(te.nn.Layer):
    """An LSTM over the four numbers of a row."""

    def __init__(self, dtype):
        super().__init__()
        self.cells = te.nn.LSTM(1, 5, dtype=dtype, rng=0)

    def forward(self, x):
        return self.cells(te.reshape(x, (-1, 4, 1)))[:, -1]


class Picture(te.nn.Layer):
    def forward(self, x):
        return te.reshape(x, (-1, 1, 2, 2))


def network(name, dtype=np.float64):
    last = te.nn.Linear(5, 3, dtype=dtype, rng=2)
    return te.nn.Sequential(*NETWORKS[name](dtype), last)


def dropout_of(model):
    """Return the state of the generator of a model's only Dropout."""
    (layer,) = [m for m in model if isinstance(m, te.nn.Dropout)]
    return layer.rng.bit_generator.state


def batches(n, dtype=np.float64):
    rng = np.random.default_rng(7)
    for _ in range(n):
        yield rng.standard_normal((6, 4)).astype(dtype), rng.integers(0, 3, 6)


def compiled(f):
    return te.compile(f, backend="jax")


def compiled_step(model, optimizer):
    return te.compile(model, te.nn.softmax_cross_entropy, optimizer, backend="jax")


def eager(model, optimizer, X, y):
    loss = te.nn.softmax_cross_entropy(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def steps_agree(name, optimizer, dtype, digits, n):
    model = network(name, dtype)
    other = copy.deepcopy(model)
    theirs = optimizer(other.parameters())
    step = compiled_step(model, optimizer(model.parameters()))

    for X, y in batches(n, dtype):
        assert step(X, y) == pytest.approx(eager(other, theirs, X, y), rel=digits)
    assert len(step.traces) == 1
    return model.state_dict(), other.state_dict()


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_fifty_steps_are_the_engines(name, optimizer):
    got, wanted = steps_agree(name, OPTIMIZERS[optimizer], np.float64, 1e-9, 50)
    for key, x in got.items():
        np.testing.assert_allclose(x, wanted[key], rtol=1e-7, atol=1e-8, strict=True)


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_steps_in_float32_stay_so(name):
    def optimizer(p):
        return te.optim.SGD(p, lr=0.1, momentum=0.9)

    got, wanted = steps_agree(name, optimizer, np.float32, 1e-5, 20)
    for key, x in got.items():
        np.testing.assert_allclose(x, wanted[key], rtol=1e-4, atol=1e-5, strict=True)


@needs_jax
@pytest.mark.slow
def test_every_layout_has_the_same_results():
    x = np.random.default_rng(0).standard_normal((6, 8))
    for made in (x, np.asfortranarray(x), x[::2, ::-1], x[:0]):
        f = te.value_and_grad(lambda x: te.sum(te.softmax(x.T) * te.tanh(x.T) + x.T))
        got, wanted = compiled(f)(made), f(made)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b.data if hasattr(b, "data") else b)


@needs_jax
def test_the_switch_for_double_precision_stays_as_it_is():
    import jax

    before = jax.config.jax_enable_x64
    assert compiled(lambda x: np.exp(x) / 3)(np.ones(2)).dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.ones(2).dtype == (np.float64 if before else np.float32)


@needs_jax
def test_rates_are_read_anew_and_draws_leave_the_generators_as_the_engine_does():
    model = network("norms")
    other = copy.deepcopy(model)
    ours, theirs = (te.optim.SGD(m.parameters(), lr=0.1) for m in (model, other))
    step = compiled_step(model, ours)
    for i, (X, y) in enumerate(batches(4)):
        ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = 0.1 / (i + 1)
        assert step(X, y) == pytest.approx(eager(other, theirs, X, y), rel=1e-12)

    assert dropout_of(model) == dropout_of(other)
    assert len(step.traces) == 1


@needs_jax
def test_an_error_of_the_engine_is_one_and_changes_nothing():
    model = network("norms")
    step = compiled_step(model, te.optim.SGD(model.parameters(), lr=0.1))
    (X, y), *_ = batches(1)
    step(X, y)
    before = copy.deepcopy(model.state_dict()), dropout_of(model)

    with pytest.raises(ValueError, match="label"):
        step(X, y + 3)
    for key, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[0][key])
    assert dropout_of(model) == before[1]


@needs_jax
def test_an_index_beyond_the_end_is_the_engines_error():
    f = compiled(lambda x, i: np.take(x, i) + x[i])
    x = np.arange(4.0)
    np.testing.assert_array_equal(f(x, np.array([0, -1])), [0.0, 6.0])
    for i in (4, -5):
        with pytest.raises(IndexError, match="out of bounds"):
            f(x, np.array([0, i]))


@needs_jax
def test_what_was_drawn_before_a_wrong_index_is_drawn_again():
    layer = te.nn.Dropout(0.5, rng=0)
    f = compiled(lambda x, i: te.take(layer(x), i))
    f(np.ones(4), np.array([0, 1]))
    before = dropout_of([layer])

    with pytest.raises(IndexError):
        f(np.ones(4), np.array([0, 4]))
    assert dropout_of([layer]) == before


@needs_jax
def test_a_second_derivative_keeps_the_digits_that_the_engine_restores():
    f = te.grad(lambda x: te.sum(te.grad(lambda z: te.sum(te.sigmoid(z)))(x) ** 2))
    run = compiled(f)
    for x in ([0.5, 0.25], [12.0, 0.3], [30.0, -4.0]):
        np.testing.assert_allclose(run(np.array(x)), f(np.array(x)), rtol=1e-12)


@needs_jax
def test_an_entry_that_is_written_twice_is_refused():
    def f(x, i, v):
        y = x * 2
        y[i] = v
        return y

    run, x, v = compiled(f), np.zeros(4), np.array([1.0, 2.0])
    np.testing.assert_array_equal(run(x, np.array([3, 1]), v), [0, 2, 0, 1])
    with pytest.raises(Untraceable, match="names an entry twice"):
        run(x, np.array([1, 1]), v)


@needs_jax
def test_writes_through_views_are_seen_and_come_last():
    kept = np.arange(6.0)

    def f(x):
        grid = kept.reshape(2, 3)
        column = grid.T[1:]
        column *= x
        before = kept * 1
        grid[0] += before[3:]
        kept[5] = x[0, 0]
        return before, grid[0] + column[0, 0]

    run, x = compiled(f), np.array([[2.0, 3.0], [4.0, 5.0]])
    for _ in range(2):
        past = kept.copy()
        wanted, after = f(x), kept.copy()
        kept[...] = past
        for a, b in zip(run(x), wanted, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(kept, after)


@needs_jax
def test_an_argument_that_shares_memory_with_what_is_written_is_refused():
    kept = np.ones(4)

    def f(x):
        kept[...] = kept + x
        return x * 2

    run = compiled(f)
    run(np.ones(4))
    with pytest.raises(ValueError, match="hand over a copy"):
        run(kept[::-1][::-1])
    np.testing.assert_array_equal(kept, 2)


@needs_jax
def test_results_are_arrays_of_their_own():
    kept = np.ones(64)
    run, x = compiled(lambda x: (x[:], kept[:])), np.zeros(64)
    for result in run(x):
        result += 1
    assert not x.any() and np.all(kept == 1)


@needs_jax
@pytest.mark.parametrize("f", [np.linalg.inv, np.partition, np.sort])
def test_what_has_no_counterpart_is_refused_by_name(f):
    def g(x):
        return f(x, 1) if f is np.partition else f(x)

    with pytest.raises(Untraceable, match=rf"does not have {f.__name__} .*numpy"):
        compiled(g)(np.eye(3))


@needs_jax
def test_whoever_asks_numpy_to_raise_is_told():
    with np.errstate(over="raise"), pytest.raises(Untraceable, match="no overflow"):
        compiled(lambda x: np.exp(x))(np.ones(2))


@needs_jax
def test_a_wrong_counterpart_is_an_error(monkeypatch):
    monkeypatch.setitem(jitted._REDUCED, "maximum", "min")
    model = network("dense")
    before = copy.deepcopy(model.state_dict())
    step = compiled_step(model, te.optim.SGD(model.parameters(), lr=0.1))
    f = compiled(lambda x: np.max(x, axis=0))

    with pytest.raises(AssertionError, match="differs from the engine's"):
        f(np.arange(6.0).reshape(3, 2))
    step(*next(batches(1)))  # a softmax is the same, whatever is subtracted
    assert before.keys() == model.state_dict().keys()
    assert not f.traces


def test_what_rounding_may_do_is_bounded():
    wanted = np.array([1.0, 1e-3, np.nan])
    assert jitted.is_close(wanted + 5e-10, wanted, 1.0)
    assert not jitted.is_close(wanted + 5e-9, wanted, 1.0)
    assert not jitted.is_close(np.ones(3), wanted, 1.0)
    assert not jitted.is_close(wanted.astype("f4"), wanted, 1.0)
    assert not jitted.is_close(np.array([2]), np.array([3]), 1e9)
    near = {id(wanted): wanted + 1e-6}
    assert jitted.is_close(wanted + 7e-6, wanted, 1.0, near)
    assert not jitted.is_close(wanted + 9e-6, wanted, 1.0, near)
    assert not jitted.is_close(wanted + 1, wanted, 1.0, {id(wanted): wanted + np.inf})


def test_where_jax_is_missing_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(jitted, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad_edu\[jax\]'"):
        te.compile(np.sin, backend="jax")
