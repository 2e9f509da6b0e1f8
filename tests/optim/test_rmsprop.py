"""RMSProp: its steps against the lecture's formula."""

from __future__ import annotations

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu.optim import RMSProp


def leaf(data):
    return te.tensor(data, requires_grad=True)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.01, "alpha": 0.99, "eps": 1e-8},
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-2, "momentum": 0.8},
        {"lr": 0.1, "alpha": 0.0, "eps": 1.0, "weight_decay": 0.3},
        {"lr": 0.1, "alpha": 0.5, "eps": 0.1, "weight_decay": 0.3, "momentum": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_ten_steps_are_those_computed_by_hand(options, shape, rng):
    start, gradients = rng.standard_normal(shape), rng.standard_normal((10, *shape))
    p = leaf(start)
    optimizer = RMSProp([p], **options)

    for gradient in gradients:
        p.grad = gradient
        optimizer.step()

    alpha, decay = options["alpha"], options.get("weight_decay", 0)
    expected, mean_square, velocity = start, 0.0, 0.0
    for g in gradients:
        g = g + decay * expected
        mean_square = alpha * mean_square + (1 - alpha) * g**2
        scaled = g / (np.sqrt(mean_square) + options["eps"])
        velocity = options.get("momentum", 0) * velocity + scaled
        expected = expected - options["lr"] * velocity
    assert_near(p.data, expected, 1e-12, "after ten steps")


def test_defaults_are_those_of_pytorch():
    group = RMSProp([leaf(1.0)]).param_groups[0]

    del group["params"]
    assert group == {
        "lr": 0.01,
        "alpha": 0.99,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum": 0.0,
    }


def test_steps_do_not_depend_on_the_size_of_the_gradients():
    small, large = leaf(0.0), leaf(0.0)
    optimizer = RMSProp([small, large])

    for gradient in (1.0, -3.0, 2.0):
        small.grad, large.grad = gradient, 1e6 * gradient
        optimizer.step()

    assert_near(small.data, large.data, 1e-7, "p")


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_the_averages_are_kept_under_their_names(momentum):
    p = leaf([0.0, 0.0])
    optimizer = RMSProp([p], alpha=0.75, eps=1e-30, momentum=momentum)
    p.grad = [2.0, -4.0]

    optimizer.step()

    state = optimizer.state_dict()["state"]
    np.testing.assert_array_equal(state.pop("0.mean_square"), [1.0, 4.0])
    if momentum:
        np.testing.assert_array_equal(state.pop("0.velocity"), [2.0, -2.0])
    assert state == {}
