"""What may grow without bound is paid for once: four times as much costs four times."""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.diagnosis.explanations import explain

#: Of the cost of 4 n over that of n: 4 where it is linear, 16 where it is quadratic.
MOST = 9

pytestmark = pytest.mark.slow

SMALL = 3  #: numbers in each of many arrays
JOINING = ["column_stack", "concatenate", "dstack", "hstack", "stack", "vstack"]
#: They take as many arrays as NumPy's axes or letters allow, or multiply them all.
FEW = {"einsum", "multi_dot"}


def seconds(run, *given):
    """Processor time, the least of three: what else runs can only add to it."""
    taken = []
    for _ in range(3):
        ready = [make() for make in given]
        gc.collect()
        gc.disable()
        begun = time.process_time()
        run(*ready)
        taken.append(time.process_time() - begun)
        gc.enable()
        del ready
    return min(taken)


def growth(n, run, prepare):
    """Return the cost of 4 n over that of n, each prepared anew outside the clock."""
    run(prepare(8))  # what is imported and cached once is no growth
    few, many = (seconds(run, lambda k=k: prepare(k)) for k in (n, 4 * n))
    return many / max(few, 0.002)


def leaves(n):
    return [te.tensor(np.ones(SMALL), requires_grad=True) for _ in range(n)]


def test_every_operation_of_any_number_of_arrays_is_measured():
    variadic = {name for name, op in te.OPS.items() if op.variadic}

    assert variadic == {*JOINING, *FEW}


@pytest.mark.parametrize("name", JOINING)
def test_joining_and_its_gradient_grow_with_the_number_of_arrays(name):
    joined = growth(1000, lambda xs: te.OPS[name](xs).sum().backward(), leaves)

    assert joined < MOST


@pytest.mark.parametrize("name", JOINING)
def test_the_recorded_gradient_of_joining_grows_with_the_number_of_arrays(name):
    def run(xs):
        te.gradients(te.OPS[name](xs).sum(), xs[:1], create_graph=True)

    assert growth(1000, run, leaves) < MOST


@pytest.mark.parametrize("name", JOINING)
def test_joining_lists_grows_with_their_number(name):
    rows = growth(1000, lambda rows: te.OPS[name](rows), lambda n: [[1.0, 2.0]] * n)

    assert rows < MOST


@pytest.mark.parametrize("cut", [te.split, te.array_split])
def test_cutting_up_and_its_gradient_grow_with_the_number_of_pieces(cut):
    def run(x):
        pieces = cut(x, len(x))
        te.concatenate(pieces[::-1]).sum().backward()

    grown = growth(1000, run, lambda n: te.tensor(np.ones((n, 8)), requires_grad=True))

    assert grown < MOST


@pytest.mark.parametrize("take", [list, lambda x: te.stack([row * 2.0 for row in x])])
def test_the_rows_of_a_tensor_and_their_gradient_grow_with_their_number(take):
    def run(x):
        te.concatenate(list(take(x))[::-1]).sum().backward()

    grown = growth(
        1000, run, lambda n: te.tensor(np.ones((n, 256)), requires_grad=True)
    )

    assert grown < MOST


def test_the_recorded_gradient_of_rows_grows_with_their_number():
    def run(x):
        te.gradients(sum(te.sum(row) for row in x), [x], create_graph=True)

    grown = growth(500, run, lambda n: te.tensor(np.ones((n, 256)), requires_grad=True))

    assert grown < MOST


# ------------------------------------------------------------------- models of layers

LAYERS = {
    "BatchNorm1d": lambda: nn.BatchNorm1d(2),
    "Dropout": lambda: nn.Dropout(0.1, rng=0),
    "LayerNorm": lambda: nn.LayerNorm(2),
    "Linear": lambda: nn.Linear(2, 2, rng=0),
    "Residual": lambda: nn.Residual(nn.Linear(2, 2, rng=0)),
    "Sequential": lambda: nn.Sequential(nn.Linear(2, 2, rng=0), nn.ReLU()),
    "Tanh": lambda: nn.Tanh(),
}


def chain(kind):
    return lambda n: nn.Sequential(*(LAYERS[kind]() for _ in range(n)))


class Listed(nn.Layer):
    """Layers in a list, and parameters in another."""

    def __init__(self, n):
        self.layers = [nn.Linear(2, 2, rng=0) for _ in range(n)]
        self.factors = [te.tensor(1.0, requires_grad=True) for _ in range(n)]

    def forward(self, x):
        for layer, factor in zip(self.layers, self.factors, strict=True):
            x = layer(x) * factor
        return x


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_the_first_call_of_a_deep_model_grows_with_its_depth(kind):
    x = np.ones((2, 2))

    assert growth(100, lambda model: model(x), chain(kind)) < MOST


def test_the_first_call_of_layers_in_a_list_grows_with_their_number():
    x = np.ones((2, 2))

    assert growth(100, lambda model: model(x), Listed) < MOST


def test_all_that_walks_through_a_model_grows_with_its_depth():
    def run(model):
        model.train().eval()
        model.zero_grad()
        model.load_state_dict(model.state_dict())
        repr(model)

    assert growth(250, run, chain("Linear")) < MOST


# ------------------------------------------------------------- pictures, explanations


def fan(n):
    """One leaf that n operations use, whose results are added up in pairs."""
    x = te.tensor(1.0, requires_grad=True, name="x")
    parts = [x * float(i) for i in range(n)]
    while len(parts) > 1:
        odd = parts[-1:] if len(parts) % 2 else []
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)] + odd
    return parts[0]


def test_drawing_a_wide_fan_grows_with_its_width():
    assert growth(50, lambda y: te.draw(y).svg(), fan) < MOST


def test_explaining_a_wide_fan_grows_with_its_width():
    assert growth(200, explain, fan) < MOST


@pytest.mark.parametrize("name", ["concatenate", "stack"])
def test_drawing_what_joins_many_grows_with_their_number(name):
    def run(y):
        te.draw(y, max_nodes=10**6).svg()

    assert growth(250, run, lambda n: te.OPS[name](leaves(n)).sum()) < MOST


def test_explaining_what_joins_many_grows_with_their_number():
    assert growth(1000, explain, lambda n: te.stack(leaves(n)).sum()) < MOST
