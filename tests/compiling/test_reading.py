"""The program to read: what a student would have written, and right."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as te
from tinygrad_edu.compiling import Untraceable
from tinygrad_edu.compiling.formulas import FORMULAS, HELPERS
from tinygrad_edu.compiling.reading import identifier
from tinygrad_edu.course import lecture

DIGITS = """\
    Z1 = X @ W1.T + b1                               # (64, 64)
    A1 = sigmoid(Z1)                                 # (64, 64)
    Z2 = A1 @ W2.T + b2                              # (64, 10)
    P = softmax(Z2)                                  # (64, 10)
    L = -np.mean(log_softmax(Z2)[np.arange(64), Y])
    # backward
    dZ2 = (P - onehot(Y, 10)) / 64                   # (64, 10)
    dW2 = dZ2.T @ A1                                 # (10, 64)
    db2 = dZ2.sum(axis=0)                            # (10,)
    dA1 = dZ2 @ W2                                   # (64, 64)
    dZ1 = dA1 * A1 * (1 - A1)                        # (64, 64)
    dW1 = dZ1.T @ X                                  # (64, 784)
    db1 = dZ1.sum(axis=0)                            # (64,)
    return L, dW1, db1, dW2, db2
"""


def test_the_lectures_network_reads_as_on_the_board():
    assert DIGITS in lecture.derived("digits")


@pytest.mark.parametrize(("name", "statements"), [("neuron", 6), ("hidden", 12)])
def test_it_is_as_short_as_the_lectures_loop(name, statements):
    (step,) = (
        node
        for node in ast.parse(lecture.derived(name, features=20)).body
        if isinstance(node, ast.FunctionDef) and node.name == "step"
    )
    assert sum(isinstance(line, ast.Assign) for line in step.body) == statements


@pytest.mark.parametrize("name", ["neuron", "hidden", "digits"])
def test_its_training_gives_the_engines_losses(name):
    system = lecture.SYSTEMS[name]
    rng = np.random.default_rng(0)
    X, digits = rng.random((40, 12)), rng.integers(0, 10, 40)
    model = system.model(12, np.random.RandomState(1))
    names = {"__name__": "derived"}
    exec(lecture.derived(name, rows=40, features=12), names)
    parameters = [p.data.copy() for p in model.parameters()]
    losses = names["train"](X, system.targets(digits), parameters, 1.0, 10)

    step = te.compile(model, system.loss, te.optim.SGD(model.parameters(), lr=1.0))
    engine = [step(X, system.targets(digits)) for _ in range(10)]

    np.testing.assert_allclose(losses, engine, rtol=1e-9)


#: The lecture's losses on MNIST, before the first update and after ten.
PUBLISHED = {
    "neuron": (0.7471125121616977, 0.0730826958292902),
    "hidden": (2.395166635058746, 0.2207416875926896),
    "digits": (9.359409945262723, 2.48091541075077),
}


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("TINYGRAD_EDU_DATA"), reason="TINYGRAD_EDU_DATA names no MNIST"
)
@pytest.mark.parametrize("name", PUBLISHED)
def test_its_training_gives_the_lectures_losses(name):
    X, labels, _, _ = lecture.load("mnist")
    draws, order = np.random.RandomState(1), None
    for each, system in lecture.SYSTEMS.items():
        if each != "hidden":  # the second network takes the first one's order
            order = draws.permutation(len(X))
        model = system.model(784, draws)
        if each == name:
            break
    names = {"__name__": "derived"}
    exec(lecture.derived(name, rows=len(X)), names)

    losses = names["train"](
        X[order],
        system.targets(labels[order]),
        [p.data.copy() for p in model.parameters()],
        1.0,
        11,
    )

    np.testing.assert_allclose(losses[::10], PUBLISHED[name], rtol=1e-12)


def test_the_module_checks_itself_with_numpy_alone(tmp_path):
    (tmp_path / "step.py").write_text(lecture.derived("hidden", rows=8, features=9))
    code = "import sys; sys.modules['tinygrad_edu'] = None; import runpy; "
    code += "runpy.run_path('step.py', run_name='__main__')"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.stderr == ""
    assert float(done.stdout.split(":")[1]) < 1e-5


def compiled(*layers, loss=te.nn.mse_loss):
    model = te.nn.Sequential(*layers)
    return te.compile(model, loss, te.optim.SGD(model.parameters(), lr=0.1))


def own(forward, *shapes):
    """Return a layer that computes ``forward`` of an input and its weights."""

    class Own(te.nn.Layer):
        def __init__(self):
            rng = np.random.default_rng(0)
            for i, shape in enumerate(shapes):
                weight = te.tensor(0.5 + rng.random(shape), requires_grad=True)
                setattr(self, f"w{i}", weight)

        def forward(self, x):
            return forward(x, *(getattr(self, f"w{i}") for i in range(len(shapes))))

    return Own()


MODELS = {
    "linear": lambda x, w: te.linear(x, w),
    "matmul": lambda x, w: x @ w.T,
    "add": lambda x, w: x + w,
    "subtract": lambda x, w: x - w,
    "multiply": lambda x, w: x * w,
    "divide": lambda x, w: x / w,
    "negative": lambda x, w: -(x * w),
    "power": lambda x, w: (x * w) ** 3,
    "square": lambda x, w: te.square(x * w),
    "sqrt": lambda x, w: te.sqrt(w * w + 1),
    "exp": lambda x, w: te.exp(x * w),
    "log": lambda x, w: te.log(w * w + 1),
    "sin": lambda x, w: te.sin(x * w),
    "cos": lambda x, w: te.cos(x * w),
    "tanh": lambda x, w: te.tanh(x * w),
    "sigmoid": lambda x, w: te.sigmoid(x * w),
    "relu": lambda x, w: te.relu(x * w),
    "softplus": lambda x, w: te.softplus(x * w),
    "silu": lambda x, w: te.silu(x * w),
    "absolute": lambda x, w: te.absolute(x * w),
    "softmax": lambda x, w: te.softmax(x * w),
    "log_softmax": lambda x, w: te.log_softmax(x * w),
    "sum": lambda x, w: te.sum(x * w, axis=1),
    "mean": lambda x, w: te.mean(x * w, axis=0, keepdims=True),
    "reshape": lambda x, w: te.reshape(x * w, (3, 2, 2)),
    "flatten": lambda x, w: te.flatten(te.reshape(x * w, (3, 2, 2))),
    "transpose": lambda x, w: te.transpose(x * w),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize(
    "shape",
    [
        (4,),
        *(pytest.param(s, marks=pytest.mark.slow) for s in [(3, 4), (3, 1), (1, 4)]),
    ],
)
def test_every_formula_is_the_engines(name, shape):
    if name in ("linear", "matmul"):
        shape = (4, 4)
    step = compiled(own(MODELS[name], shape))
    X = np.random.default_rng(1).standard_normal((3, 4))
    step.trace(X, np.zeros(np.shape(step.model(X))))

    assert "# backward" in step.source  # compared with the engine when it is made


def test_a_value_that_is_used_twice():
    step = compiled(own(lambda x, w: te.tanh(x * w) * (x * w) + w, (4,)))
    step.trace(np.ones((3, 4)), np.zeros((3, 4)))

    assert "dw0 = dw0 + " in step.source


@pytest.mark.parametrize(
    ("loss", "labels", "last"),
    [
        (te.nn.softmax_cross_entropy, np.eye(3)[[0, 2]], []),
        (te.nn.binary_cross_entropy_with_logits, np.eye(3)[[0, 2]], []),
        (te.nn.binary_cross_entropy, np.eye(3)[[0, 2]], [te.nn.Sigmoid()]),
        (te.nn.mse_loss, np.ones((2, 3)), [te.nn.Tanh()]),
    ],
)
def test_every_loss_has_a_readable_pair(loss, labels, last):
    step = compiled(te.nn.Linear(4, 3, rng=0), *last, loss=loss)
    step(np.ones((2, 4)), labels)

    names = {"__name__": "derived"}
    exec(step.source, names)
    assert "L = " in step.source
    assert names["check"]() < 1e-5  # with labels of the loss's own kind


def test_there_is_no_source_before_the_shapes_are_known():
    with pytest.raises(RuntimeError, match=r"step\.trace\(X, y\)"):
        _ = compiled(te.nn.Linear(4, 3)).source


def test_what_has_no_readable_form_is_named():
    step = compiled(te.nn.Linear(4, 3), te.nn.GELU())
    step.trace(np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(Untraceable, match="the operation gelu"):
        _ = step.source

    step = compiled(te.nn.Linear(4, 3), loss=te.nn.huber_loss)
    step.trace(np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(Untraceable, match="the loss huber_loss"):
        _ = step.source


def test_making_the_source_changes_nothing():
    step = compiled(te.nn.Linear(4, 3, rng=0))
    step(np.ones((2, 4)), np.ones((2, 3)))
    before = step.model.state_dict()
    _ = step.source

    for name, x in step.model.state_dict().items():
        np.testing.assert_array_equal(x, before[name])
    assert all(p.grad is None for p in step.model.parameters())


def test_save_writes_the_source(tmp_path):
    step = compiled(te.nn.Linear(4, 3))
    step(np.ones((2, 4)), np.ones((2, 3)))

    assert step.save(tmp_path / "step.py").read_text() == step.source


@pytest.mark.slow
def test_the_source_is_the_same_whatever_the_hash_seed():
    code = "from tinygrad_edu.course import lecture; print(lecture.derived('digits'))"
    texts = {
        subprocess.check_output(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        for seed in range(3)
    }
    assert len(texts) == 1


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_name_becomes_an_identifier(name):
    made = identifier(name)

    assert made.isidentifier()
    assert made.isascii()
    assert made not in HELPERS
    compile(f"{made} = 1", "x", "exec")


def test_code_that_was_derived_for_some_rows_refuses_others():
    model = te.nn.Linear(2, 1, rng=0)
    step = te.compile(model, te.nn.mse_loss, te.optim.SGD(model.parameters(), lr=0.1))
    step(np.ones((3, 2)), np.ones((3, 1)))
    names = {"__name__": "derived"}
    exec(step.source, names)

    with pytest.raises(
        ValueError, match=r"derived for X of shape \(3, 2\), got \(4, 2"
    ):
        names["step"](np.ones((4, 2)), np.ones((4, 1)), np.ones((1, 2)), np.ones(1))
