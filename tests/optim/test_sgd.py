"""SGD: its steps against steps computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.optim import SGD


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


def set_grad(p, gradient):
    p.grad = np.full(p.shape, gradient) if np.isscalar(gradient) else gradient


# --------------------------------------------------------------------- the steps


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_ten_steps_are_those_computed_by_hand(momentum, shape, rng):
    start, gradients = rng.standard_normal(shape), rng.standard_normal((10, *shape))
    p = leaf(start)
    optimizer = SGD([p], lr=0.3, momentum=momentum)

    for gradient in gradients:
        set_grad(p, gradient)
        optimizer.step()

    # p - η Σ v, where v at step t is Σ μ^(t - s) g at all steps s <= t
    velocities = [
        sum(momentum ** (t - s) * gradients[s] for s in range(t + 1)) for t in range(10)
    ]
    assert_near(p.data, start - 0.3 * sum(velocities), 1e-14, "after ten steps")


def test_the_first_steps_with_momentum_in_numbers():
    p = leaf(10.0)
    optimizer = SGD([p], lr=0.5, momentum=0.5)

    seen = []
    for _ in range(4):
        p.grad = 4.0
        optimizer.step()
        seen.append(p.item())

    # v = 4, 6, 7, 7.5
    assert seen == [8.0, 5.0, 1.5, -2.25]


def test_without_momentum_a_step_is_the_gradient_times_the_learning_rate():
    p = leaf([1.0, 2.0])
    p.grad = [4.0, -8.0]

    SGD([p], lr=0.25).step()

    np.testing.assert_array_equal(p.data, [0.0, 4.0])


def test_every_parameter_has_a_velocity_of_its_own():
    a, b = leaf(0.0), leaf(0.0)
    optimizer = SGD([a, b], lr=1.0, momentum=0.5)

    for gradients in [(1.0, 10.0), (1.0, 10.0)]:
        a.grad, b.grad = gradients
        optimizer.step()

    assert a.item() == -2.5
    assert b.item() == -25.0


def test_momentum_goes_on_where_the_gradient_is_zero():
    p = leaf(0.0)
    optimizer = SGD([p], lr=1.0, momentum=0.5)

    for gradient in (8.0, 0.0, 0.0):
        p.grad = gradient
        optimizer.step()

    assert p.item() == -14.0


def test_the_learning_rate_may_be_changed_between_steps():
    p = leaf(0.0)
    optimizer = SGD([p], lr=1.0, momentum=0.5)
    p.grad = 8.0
    optimizer.step()

    optimizer.lr = 0.25
    optimizer.step()

    assert p.item() == -8.0 - 0.25 * 12.0


def test_gradients_come_from_backward():
    w, x = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    optimizer = SGD([w], lr=0.1)

    te.sum(w * x).backward()
    optimizer.step()

    assert_near(w.data, np.array([0.7, 1.6]), 1e-15, "w")


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_converges_on_a_quadratic(momentum, rng):
    A = rng.standard_normal((4, 4))
    A = A @ A.T + np.eye(4)
    b = rng.standard_normal(4)
    x = leaf(np.zeros(4))
    optimizer = SGD([x], lr=0.9 / np.linalg.norm(A, 2), momentum=momentum)

    for _ in range(1000):
        optimizer.zero_grad()
        (0.5 * (x @ A @ x) - b @ x).backward()
        optimizer.step()

    assert_near(x.data, np.linalg.solve(A, b), 1e-9, "minimum of x A x / 2 - b x")


def test_trains_a_network_to_tell_xor():
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1))
    optimizer = SGD(model.parameters(), lr=0.5, momentum=0.9)

    for _ in range(200):
        optimizer.zero_grad()
        nn.binary_cross_entropy_with_logits(model(X), y).backward()
        optimizer.step()

    assert ((model(X).data > 0) == y).all()


# ---------------------------------------------------------- Nesterov, weight decay


@pytest.mark.parametrize("momentum", [0.5, 0.95])
def test_nesterov_looks_ahead_as_in_the_paper(momentum, rng):
    """θ and v of Sutskever et al., eqs. 3 and 4; the parameter is θ + μ v."""
    A = np.diag([1.0, 4.0, 9.0])
    theta, v, lr = rng.standard_normal(3), np.zeros(3), 0.05
    p = leaf(theta)
    optimizer = SGD([p], lr=lr, momentum=momentum, nesterov=True)

    for step in range(10):
        p.grad = A @ p.data
        optimizer.step()
        v = momentum * v - lr * A @ (theta + momentum * v)
        theta = theta + v

        assert_near(p.data, theta + momentum * v, 1e-14, f"θ + μ v after {step + 1}")


@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)]
)
def test_weight_decay_is_the_gradient_of_a_further_term(momentum, nesterov, rng):
    start, gradients = rng.standard_normal((2, 3)), rng.standard_normal((10, 2, 3))
    decayed, penalised = leaf(start), leaf(start)
    options = {"lr": 0.1, "momentum": momentum, "nesterov": nesterov}
    first = SGD([decayed], weight_decay=0.3, **options)
    second = SGD([penalised], **options)

    for gradient in gradients:
        decayed.grad = gradient
        second.zero_grad()
        te.sum(gradient * penalised + 0.5 * 0.3 * penalised * penalised).backward()
        first.step()
        second.step()

    assert_near(decayed.data, penalised.data, 1e-14, "with a penalty of λ/2 p²")
    assert not np.allclose(decayed.data, start - 0.1 * gradients.sum(0))


def test_momentum_may_be_switched_on_and_off_between_steps():
    p = leaf(0.0)
    optimizer = SGD([p], lr=1.0)
    p.grad = 8.0

    for momentum in (0.0, 0.5, 0.5, 0.0):
        optimizer.param_groups[0]["momentum"] = momentum
        optimizer.step()

    assert p.item() == -8.0 - 8.0 - 12.0 - 8.0


def test_momentum_switched_on_just_before_saving_loads():
    p, q = leaf(0.0), leaf(0.0)
    first, second = SGD([p], lr=1.0), SGD([q], lr=1.0)
    p.grad = q.grad = 8.0
    first.step()
    first.param_groups[0]["momentum"] = 0.5

    second.load_state_dict(first.state_dict())
    second.step()

    assert q.item() == -8.0
    assert second.state_dict()["state"]["0.velocity"] == 8.0


def test_without_momentum_nothing_is_kept():
    p = leaf([1.0])
    optimizer = SGD([p], lr=1.0)
    p.grad = [1.0]

    optimizer.step()

    assert optimizer.state_dict()["state"] == {}


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match=r"^SGD: nesterov needs a momentum above 0"):
        SGD([leaf(1.0)], lr=0.1, nesterov=True)


def test_the_learning_rate_is_given_by_name():
    with pytest.raises(TypeError):
        SGD([leaf(1.0)], 0.1)
    with pytest.raises(TypeError):
        SGD([leaf(1.0)])
