"""A compiled training step: the same bits as the loop it stands for."""

from __future__ import annotations

import ast
import copy

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.compiling import Untraceable


class SignDescent(te.optim.Optimizer):
    def update(self, x, gradient, state, group):
        return group["lr"] * np.sign(gradient)


class Heavy(te.optim.Optimizer):
    def keeps(self, group):
        return ("velocity",)

    def update(self, x, gradient, state, group):
        state["velocity"] *= group["mass"]
        state["velocity"] += gradient
        return group["lr"] * state["velocity"]


#: Of what is made at the end, all or nothing.
ENDS = ("at_once", "chain", "starmap", "call")
OPTIMIZERS = {
    "sgd": lambda p: te.optim.SGD(p, lr=0.1),
    "momentum": lambda p: te.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: te.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: te.optim.Adam(p, lr=0.01),
    "adamw": lambda p: te.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: te.optim.RMSProp(p, lr=0.01, momentum=0.5),
    "own": lambda p: SignDescent(p, lr=0.01),
    "own, with state": lambda p: Heavy(p, lr=0.01, mass=0.9),
}
LAYERS = {
    "relu": (lambda: te.nn.ReLU(), (6,)),
    "gelu": (lambda: te.nn.GELU(), (6,)),
    "layer norm": (lambda: te.nn.LayerNorm(6), (6,)),
    "batch norm": (lambda: te.nn.BatchNorm1d(6), (6,)),
    "dropout": (lambda: te.nn.Dropout(0.3, rng=np.random.default_rng(1)), (6,)),
    "residual": (lambda: te.nn.Residual(te.nn.Linear(6, 6, rng=2)), (6,)),
    "conv2d": (
        lambda: te.nn.Sequential(
            te.nn.Conv2d(1, 2, 3, rng=0), te.nn.MaxPool2d(2), te.nn.Flatten()
        ),
        (1, 6, 6),
    ),
    "embedding": (
        lambda: te.nn.Sequential(te.nn.Embedding(5, 3, rng=0), te.nn.Flatten()),
        "words",
    ),
}


def network(middle=None, dtype=np.float64):
    first = [te.nn.Linear(4, 6, dtype=dtype, rng=0), te.nn.Sigmoid()]
    return te.nn.Sequential(
        *first, *middle or (), te.nn.Linear(6, 3, dtype=dtype, rng=1)
    )


def eager(model, loss, optimizer):
    def step(X, y):
        value = loss(model(X), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def batches(n, rows=5, dtype=np.float64):
    rng = np.random.default_rng(7)
    for _ in range(n):
        yield rng.standard_normal((rows, 4)).astype(dtype), rng.integers(0, 3, rows)


def assert_same(one, other):
    for (name, a), (_, b) in zip(
        one.state_dict().items(), other.state_dict().items(), strict=True
    ):
        np.testing.assert_array_equal(a, b, err_msg=name, strict=True)


def both(model, make, loss=te.nn.softmax_cross_entropy):
    """Return a compiled step and the loop, of equal models, with these."""
    found = []
    for own in (model, copy.deepcopy(model)):
        optimizer = make(own.parameters())
        found.append((own, optimizer))
    (m1, o1), (m2, o2) = found
    return te.compile(m1, loss, o1), eager(m2, loss, o2), (m1, m2), (o1, o2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_makes_the_same_steps(name):
    compiled, loop, models, optimizers = both(network(), OPTIMIZERS[name])

    for X, y in batches(20):
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)
    one, other = (o.state_dict() for o in optimizers)
    assert one["steps"] == other["steps"]
    assert one["param_groups"] == other["param_groups"]
    for key, x in other["state"].items():
        np.testing.assert_array_equal(one["state"][key], x)
    assert len(compiled.traces) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rates_change_without_a_new_trace(name):
    compiled, loop, models, optimizers = both(network(), OPTIMIZERS[name])

    for k, (X, y) in enumerate(batches(8)):
        for optimizer in optimizers:
            optimizer.lr = 0.1 / (k + 1)
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)
    assert len(compiled.traces) == 1


def test_momentum_that_is_switched_on_is_traced_anew():
    compiled, loop, models, optimizers = both(network(), OPTIMIZERS["momentum"])

    for k, (X, y) in enumerate(batches(6)):
        for optimizer in optimizers:
            optimizer.param_groups[0]["weight_decay"] = 0.0 if k % 2 else 0.1
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_makes_the_same_steps(name):
    make, shape = LAYERS[name]
    features = {"conv2d": 8, "embedding": 12}.get(name, 6)
    model = te.nn.Sequential(make(), te.nn.Linear(features, 3, rng=1))
    compiled, loop, models, _ = both(model, OPTIMIZERS["adam"])
    rng = np.random.default_rng(0)

    for _ in range(5):
        X = rng.integers(0, 5, (4, 4)) if shape == "words" else rng.random((4, *shape))
        y = rng.integers(0, 3, 4)
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        (te.nn.mse_loss, np.random.default_rng(1).random((5, 3))),
        (te.nn.binary_cross_entropy_with_logits, np.eye(3)[[0, 1, 2, 1, 0]]),
        (te.nn.softmax_cross_entropy, np.eye(3)[[0, 1, 2, 1, 0]]),
        (lambda z, y: te.nn.mse_loss(z, y) + 0.1 * te.sum(z * z), np.ones((5, 3))),
    ],
)
def test_every_loss_makes_the_same_steps(loss, labels):
    compiled, loop, models, _ = both(network(), OPTIMIZERS["sgd"], loss)

    for X, _ in batches(4):
        assert compiled(X, labels) == loop(X, labels)

    assert_same(*models)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_other_dtypes(dtype):
    compiled, loop, models, _ = both(network(dtype=dtype), OPTIMIZERS["adam"])

    for X, y in batches(4, dtype=dtype):
        value = compiled(X, y)
        assert value == loop(X, y)
        assert value.dtype == dtype

    assert_same(*models)


def test_a_recurrent_network():
    class Last(te.nn.Layer):
        def __init__(self):
            self.lstm, self.linear = te.nn.LSTM(4, 6, rng=0), te.nn.Linear(6, 3, rng=1)

        def forward(self, x):
            return self.linear(self.lstm(x)[:, -1])

    compiled, loop, models, _ = both(Last(), OPTIMIZERS["sgd"])
    rng = np.random.default_rng(0)

    for _ in range(3):
        X, y = rng.random((5, 4, 4)), rng.integers(0, 3, 5)
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)


def test_attention():
    model = te.nn.Sequential(
        te.nn.MultiHeadAttention(4, 2, rng=0),
        te.nn.Flatten(),
        te.nn.Linear(20, 3, rng=1),
    )
    compiled, loop, models, _ = both(model, OPTIMIZERS["adam"])
    rng = np.random.default_rng(0)

    for _ in range(3):
        X, y = rng.random((2, 5, 4)), rng.integers(0, 3, 2)
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)


def test_a_last_small_batch_has_a_trace_of_its_own():
    compiled, loop, models, _ = both(network(), OPTIMIZERS["sgd"])

    for rows in (5, 5, 2, 5, 2):
        for X, y in batches(1, rows):
            assert compiled(X, y) == loop(X, y)

    assert_same(*models)
    assert len(compiled.traces) == 2


def test_a_frozen_parameter_stays():
    compiled, loop, models, optimizers = both(network(), OPTIMIZERS["adam"])
    for k, (X, y) in enumerate(batches(6)):
        for model in models:
            model.parameters()[0].requires_grad = k % 2 == 0
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)
    assert optimizers[0].state_dict()["steps"] == optimizers[1].state_dict()["steps"]


def test_loading_weights_and_training_elsewhere_in_between():
    compiled, loop, models, optimizers = both(network(), OPTIMIZERS["adam"])
    for k, (X, y) in enumerate(batches(6)):
        if k == 3:
            for model in models:
                model.load_state_dict({n: x + 1 for n, x in model.state_dict().items()})
        if k == 4:  # one step of both by the loop
            eager(models[0], te.nn.softmax_cross_entropy, optimizers[0])(X, y)
            loop(X, y)
        assert compiled(X, y) == loop(X, y)

    assert_same(*models)


def test_a_failing_step_changes_nothing():
    compiled, _, (model, _), (optimizer, _) = both(network(), OPTIMIZERS["adam"])
    for X, y in batches(2):
        compiled(X, y)
    weights, moments = model.state_dict(), optimizer.state_dict()

    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2, got 9 in row 0"):
        compiled(X, np.full(5, 9))

    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x, weights[name])
    assert optimizer.state_dict()["steps"] == moments["steps"]


def test_the_first_call_fails_as_the_engine_does():
    model = network()
    compiled = te.compile(
        model, te.nn.softmax_cross_entropy, te.optim.SGD(model.parameters(), lr=0.1)
    )
    with pytest.raises(ValueError, match="labels must lie in"):
        compiled(np.ones((5, 4)), np.full(5, 9))


def test_a_read_only_parameter_is_refused_before_anything_moves():
    model = network()
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    compiled = te.compile(model, te.nn.softmax_cross_entropy, optimizer)
    for X, y in batches(2):
        compiled(X, y)
    before = model.state_dict()
    model.parameters()[-1].data.flags.writeable = False

    with pytest.raises(ValueError, match="written"):
        compiled(X, y)
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[name])


def test_an_overflow_in_the_update_is_raised_when_all_is_done():
    compiled, loop, models, optimizers = both(network(), OPTIMIZERS["adam"])
    X, y = next(batches(1))
    with np.errstate(over="raise"):
        for step in (compiled, loop):
            step(X, y)
        for optimizer in optimizers:
            optimizer.lr = 1e300
            for state in optimizer.state.values():
                state["first_moment"][...] = 1e300
        for step in (compiled, loop):
            with pytest.raises(FloatingPointError):
                step(X, y)

    assert_same(*models)
    assert optimizers[0].state_dict()["steps"] == optimizers[1].state_dict()["steps"]


def test_a_wrong_rate_is_refused():
    compiled, _, _, (optimizer, _) = both(network(), OPTIMIZERS["sgd"])
    for X, y in batches(1):
        compiled(X, y)
    optimizer.param_groups[0]["lr"] = -1.0

    with pytest.raises(ValueError, match="lr must lie in"):
        compiled(X, y)


def test_a_graph_from_before_the_step_is_out_of_date():
    model = network()
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    compiled = te.compile(model, te.nn.softmax_cross_entropy, optimizer)
    for X, y in batches(2):
        compiled(X, y)
    loss = te.nn.softmax_cross_entropy(model(X), y)
    compiled(X, y)

    with pytest.raises(RuntimeError, match="assigned"):
        loss.backward()


def test_gradients_are_not_kept():
    model = network()
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    compiled = te.compile(model, te.nn.softmax_cross_entropy, optimizer)
    for X, y in batches(2):
        eager(model, te.nn.softmax_cross_entropy, optimizer)(X, y)
        compiled(X, y)

    assert [p.grad for p in model.parameters()] == [None] * 4


def test_tracing_alone_changes_nothing():
    model = network([te.nn.BatchNorm1d(6), te.nn.Dropout(rng=0)])
    optimizer = te.optim.Adam(model.parameters())
    compiled = te.compile(model, te.nn.softmax_cross_entropy, optimizer)
    before = model.state_dict()
    for X, y in batches(1):
        compiled.trace(X, y)

    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[name])
    assert set(optimizer.state_dict()["steps"]) == {0}


def test_a_model_that_counts_its_calls_is_refused_by_name():
    class Counting(te.nn.Layer):
        def __init__(self):
            self.linear, self.calls = te.nn.Linear(4, 3), 0

        def forward(self, x):
            self.calls += 1
            return self.linear(x)

    model = Counting()
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    compiled = te.compile(model, te.nn.softmax_cross_entropy, optimizer)

    for X, y in batches(1):
        with pytest.raises(Untraceable, match=r"assigns model\.calls"):
            compiled(X, y)
    assert model.calls == 0


def test_a_step_takes_inputs_and_labels():
    model = network()
    compiled = te.compile(
        model, te.nn.softmax_cross_entropy, te.optim.SGD(model.parameters(), lr=0.1)
    )
    with pytest.raises(TypeError, match=r"step\(X, y\)"):
        compiled(np.ones((5, 4)))


def test_what_runs_is_made_of_numbered_names_assignments_and_calls():
    model = network([te.nn.BatchNorm1d(6), te.nn.Dropout(rng=0)])
    compiled = te.compile(
        model, te.nn.softmax_cross_entropy, te.optim.Adam(model.parameters())
    )
    for X, y in batches(1):
        text = compiled.trace(X, y).text
    allowed = ast.FunctionDef | ast.arguments | ast.arg | ast.Return | ast.Assign
    allowed |= ast.Expr | ast.Call | ast.Name | ast.Constant | ast.Tuple | ast.List
    allowed |= ast.Module | ast.Load | ast.Store | ast.keyword | ast.UnaryOp | ast.USub

    for node in ast.walk(ast.parse(text)):
        assert isinstance(node, allowed), ast.dump(node)
        if isinstance(node, ast.Name) and node.id not in ENDS:
            assert node.id[0] in "xnsfmqkv" and node.id[1:].isdigit(), node.id
