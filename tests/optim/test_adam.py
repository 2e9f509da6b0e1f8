"""Adam and AdamW: their steps against the papers' algorithms."""

from __future__ import annotations

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu.optim import Adam, AdamW


def leaf(data):
    return te.tensor(data, requires_grad=True)


def algorithm_1(p, gradients, lr, betas, eps, l2=0.0, decoupled=0.0):
    """Kingma and Ba, algorithm 1; with Loshchilov and Hutter's two ways to decay."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients, start=1):
        g = g + l2 * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        corrected_m = m / (1 - betas[0] ** t)
        corrected_v = v / (1 - betas[1] ** t)
        step = corrected_m / (np.sqrt(corrected_v) + eps) + decoupled * p
        p = p - lr * step
    return p


OPTIONS = [
    {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    {"lr": 0.3, "betas": (0.5, 0.7), "eps": 0.1},
    {"lr": 0.3, "betas": (0.0, 0.0), "eps": 1e-8},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_ten_steps_are_those_of_the_paper(kind, decay, shape, options, rng):
    start, gradients = rng.standard_normal(shape), rng.standard_normal((10, *shape))
    p = leaf(start)
    optimizer = kind([p], weight_decay=decay, **options)

    for gradient in gradients:
        p.grad = gradient
        optimizer.step()

    way = {"l2": decay} if kind is Adam else {"decoupled": decay}
    expected = algorithm_1(start, gradients, **options, **way)
    assert_near(p.data, expected, 1e-12, "after ten steps")


@pytest.mark.parametrize("gradient", [1e-3, 1.0, 1e100])
def test_the_first_step_is_of_size_lr_however_large_the_gradient(gradient):
    p = leaf(0.0)
    p.grad = gradient

    Adam([p], lr=0.25).step()

    assert_near(p.data, np.float64(-0.25), 1e-4, "p")


@pytest.mark.parametrize(("kind", "decay"), [(Adam, 0.0), (AdamW, 0.01)])
def test_defaults_are_those_of_the_papers_and_pytorch(kind, decay):
    group = kind([leaf(1.0)]).param_groups[0]

    del group["params"]
    assert group == {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": decay,
    }


def test_adamw_decays_where_the_gradient_is_zero_and_adam_by_its_moments():
    p, q = leaf(8.0), leaf(8.0)
    p.grad = q.grad = 0.0

    AdamW([p], lr=0.5, weight_decay=0.5).step()
    Adam([q], lr=0.5, weight_decay=0.5).step()

    assert p.item() == 6.0
    assert_near(q.data, np.float64(7.5), 1e-7, "q")


def test_the_moments_are_kept_under_their_names():
    p = leaf([0.0, 0.0])
    optimizer = Adam([p], betas=(0.5, 0.75))
    p.grad = [2.0, -4.0]

    optimizer.step()

    state = optimizer.state_dict()["state"]
    assert list(state) == ["0.first_moment", "0.second_moment"]
    np.testing.assert_array_equal(state["0.first_moment"], [1.0, -2.0])
    np.testing.assert_array_equal(state["0.second_moment"], [1.0, 4.0])


@pytest.mark.parametrize("betas", [0.9, (0.9,), (0.9, 0.99, 0.999), "ab c", None])
def test_betas_must_be_a_pair(betas):
    with pytest.raises(TypeError, match=r"^Adam: betas must be a pair, got"):
        Adam([leaf(1.0)], betas=betas)
