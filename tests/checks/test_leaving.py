"""Checks leave a model as they found it, and do not mind what surrounds them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn

X = np.array([[5.0, 1.0], [7.0, -2.0], [4.0, 0.5]])


def normed():
    return nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3), nn.Tanh())


def state(model):
    layers = [model, *(layer for _, layer in model.named_layers())]
    return (
        {name: x.tobytes() for name, x in model.named_buffers()},
        {name: p.data.tobytes() for name, p in model.named_parameters()},
        [layer.training for layer in layers],
        [p.requires_grad for p in model.parameters()],
    )


class Holder:
    def __init__(self, model):
        self.model = model

    def loss(self, x):
        return te.mean(self.model(x) ** 2)


WAYS = {
    "the layer itself": lambda m: m,
    "a closure": lambda m: lambda x: te.mean(m(x) ** 2),
    "a partial": lambda m: partial(lambda model, x: te.mean(model(x) ** 2), m),
    "a method": lambda m: m.forward,
    "a method of a holder": lambda m: Holder(m).loss,
    "a list in a closure": lambda m, p=None: (lambda ms: lambda x: ms[0](x))([m]),
    "a default": lambda m: lambda x, model=m: model(x),
    "two closures deep": lambda m: (lambda f: lambda x: f(x))(lambda x: m(x)),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@ways
def test_gradcheck_leaves_buffers_and_modes(way):
    model = normed()
    before = state(model)

    te.gradcheck(way(model), X)

    assert state(model) == before


@ways
def test_nudge_leaves_buffers_and_modes(way):
    model = normed()
    before, f = state(model), way(model)

    te.nudge(lambda: te.sum(f(X)), model[0].weight, (0, 1))

    assert state(model) == before


@ways
def test_check_derivation_leaves_buffers_and_modes(way):
    model = normed()
    before, f = state(model), way(model)

    te.check_derivation(lambda x: te.sum(f(x)), {"x": X}, {"x": X})

    assert state(model) == before


def test_a_model_that_is_global_is_left_too():
    before = state(GLOBAL)

    te.gradcheck(loss_of_global, X)
    te.nudge(lambda: loss_of_global(X), GLOBAL[0].weight, (0, 1))

    assert state(GLOBAL) == before


GLOBAL = normed()


def loss_of_global(x):
    return te.mean(GLOBAL(x) ** 2)


def test_it_is_left_after_an_error_too():
    model = nn.BatchNorm1d(2)
    before = state(model)

    with pytest.raises(te.GradientCheckError):
        te.gradcheck(lambda x: te.sum(model(x.detach())) + te.sum(x.detach() ** 2), X)

    assert state(model) == before


def test_a_function_that_switches_modes_is_switched_back():
    model = normed().eval()
    before = state(model)

    te.gradcheck(lambda x: model.train()(x), X)

    assert state(model) == before


@pytest.mark.parametrize("way", ["gradcheck", "nudge", "check_op", "check_derivation"])
def test_inside_no_grad_all_is_as_outside(way):
    w = te.tensor([1.0, 2.0], requires_grad=True)
    checks = {
        "gradcheck": lambda: te.gradcheck(te.tanh, [0.3, 0.7]),
        "nudge": lambda: te.nudge(lambda: te.sum(w * w), w, 0),
        "check_op": lambda: te.check_op(te.OPS["tanh"]),
        "check_derivation": lambda: te.check_derivation(
            lambda x: te.sum(x * x), [np.ones(2)], [2 * np.ones(2)]
        ),
    }
    outside = str(checks[way]())
    with te.no_grad():
        inside = str(checks[way]())
        assert not (w * w).requires_grad

    assert inside == outside
    assert (w * w).requires_grad
