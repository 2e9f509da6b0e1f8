"""SGD: its steps against steps computed by hand, and what it leaves alone."""

from __future__ import annotations

import copy
import pickle

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


# ------------------------------------------------------------ what it leaves alone


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_parameter_without_gradient_stays(momentum):
    used, unused = leaf([1.0]), leaf([2.0])
    also_used = leaf([3.0])
    optimizer = SGD([used, unused, also_used], lr=0.1, momentum=momentum)

    te.sum(used * also_used).backward()
    optimizer.step()

    assert used.data[0] == 1.0 - 0.1 * 3.0
    assert also_used.data[0] == 3.0 - 0.1 * 1.0
    assert unused.data[0] == 2.0
    assert unused.grad is None


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_step_leaves_the_gradients(momentum):
    p = leaf([1.0, 2.0])
    optimizer = SGD([p], lr=0.1, momentum=momentum)
    p.grad = [3.0, 4.0]
    gradient = p.grad

    for _ in range(3):
        optimizer.step()

    assert p.grad is gradient
    np.testing.assert_array_equal(gradient, [3.0, 4.0])


def test_gradients_add_up_until_zero_grad():
    p = leaf(1.0)
    optimizer = SGD([p], lr=1.0)

    (p * 2.0).backward()
    (p * 3.0).backward()
    assert p.grad == 5.0

    optimizer.zero_grad()
    assert p.grad is None


def test_a_step_without_any_gradient_changes_nothing():
    model = nn.Linear(3, 2, rng=0)
    before = model.state_dict()

    SGD(model.parameters(), lr=0.1, momentum=0.9).step()

    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_step_writes_into_the_array_that_is_there():
    p = leaf([1.0])
    array = p.data
    p.grad = [1.0]

    SGD([p], lr=0.5).step()

    assert p.data is array


def test_the_array_that_a_parameter_was_made_from_is_left_alone():
    array = np.ones(2)
    p = leaf(array)
    p.grad = np.ones(2)

    SGD([p], lr=0.5).step()

    np.testing.assert_array_equal(array, [1.0, 1.0])


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_data_assigned_between_steps_is_where_the_next_one_starts(momentum):
    p = leaf([1.0, 2.0])
    optimizer = SGD([p], lr=0.5, momentum=momentum)
    p.grad = [2.0, 2.0]
    optimizer.step()

    p.data = np.array([10.0, 20.0])
    p.grad = [4.0, 4.0]
    optimizer.step()

    velocity = 4.0 + momentum * 2.0
    np.testing.assert_array_equal(p.data, [10 - 0.5 * velocity, 20 - 0.5 * velocity])


def test_a_graph_older_than_a_step_refuses_to_walk_backward():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    optimizer = SGD(model.parameters(), lr=0.1)
    older, loss = (model(np.ones((1, 3))).sum() for _ in range(2))

    loss.backward()
    optimizer.step()

    with pytest.raises(
        RuntimeError, match=r"'(weight|bias)'.* was assigned after linear"
    ):
        older.backward()


def test_a_graph_recorded_after_a_step_walks_backward():
    model = nn.Linear(3, 2, rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)

    for _ in range(3):
        optimizer.zero_grad()
        model(np.ones((1, 3))).sum().backward()
        optimizer.step()

    np.testing.assert_array_equal(model.bias.grad, [1.0, 1.0])


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_float32_stays_float32(momentum):
    p = leaf(np.ones(3, np.float32))
    optimizer = SGD([p], lr=np.float64(0.1), momentum=momentum)

    for _ in range(2):
        p.grad = np.ones(3)
        optimizer.step()

    assert p.dtype == p.grad.dtype == p.data.dtype == np.float32


def test_two_optimisers_of_one_model_do_not_share_velocities():
    p = leaf(0.0)
    first, second = SGD([p], lr=1.0, momentum=0.5), SGD([p], lr=1.0, momentum=0.5)
    p.grad = 1.0

    first.step()
    second.step()

    assert p.item() == -2.0


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_of_model_and_optimiser_goes_on_by_itself(copied):
    model = nn.Linear(3, 2, rng=0)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.5)

    def train(model, optimizer):
        optimizer.zero_grad()
        model(np.ones((1, 3))).sum().backward()
        optimizer.step()

    train(model, optimizer)
    twin, twins_optimizer = copied((model, optimizer))
    before = model.state_dict()
    train(twin, twins_optimizer)

    np.testing.assert_array_equal(model.weight.data, before["weight"])
    train(model, optimizer)
    np.testing.assert_array_equal(twin.weight.data, model.weight.data)


# ------------------------------------------------------------------ bad arguments


def test_parameters_may_come_from_a_generator():
    p = leaf([1.0])
    p.grad = [1.0]

    SGD((x for x in [p]), lr=1.0).step()

    assert p.data[0] == 0.0


@pytest.mark.parametrize("lr", [0, -1.0, np.nan, np.inf])
def test_the_learning_rate_must_be_positive_and_finite(lr):
    with pytest.raises(ValueError, match=f"^SGD: lr must be positive, got {lr}"):
        SGD([leaf(1.0)], lr=lr)


@pytest.mark.parametrize("momentum", [-0.1, 1, 1.5, np.nan])
def test_momentum_must_lie_between_0_and_1(momentum):
    with pytest.raises(
        ValueError, match=f"^SGD: momentum must lie in .*, got {momentum}"
    ):
        SGD([leaf(1.0)], lr=0.1, momentum=momentum)


def test_no_parameters_are_refused():
    with pytest.raises(ValueError, match=r"no parameters; pass model.parameters\(\)"):
        SGD(nn.Tanh().parameters(), lr=0.1)


def test_a_parameter_listed_twice_is_refused():
    p = leaf(1.0)

    with pytest.raises(ValueError, match="listed twice"):
        SGD([p, leaf(2.0), p], lr=0.1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            [leaf(1.0), leaf(1.0) * 2.0],
            "parameter 1 must be a leaf Tensor, got a computed one",
        ),
        ([np.ones(2)], "parameter 0 must be a leaf Tensor, got ndarray"),
        ([3.0], "parameter 0 must be a leaf Tensor, got float"),
        (["weight"], "parameter 0 must be a leaf Tensor, got str"),
        (
            te.tensor([1.0, 2.0]),
            r"must be a list of Tensors, got one; write \[tensor\]",
        ),
        (leaf([1.0, 2.0]), r"must be a list of Tensors, got one; write \[tensor\]"),
    ],
    ids=[
        "computed",
        "array",
        "number",
        "name",
        "a tensor",
        "a tensor that requires gradients",
    ],
)
def test_what_is_no_list_of_leaves_is_refused(params, message):
    with pytest.raises(TypeError, match=f"^SGD: .*{message}"):
        SGD(params, lr=0.1)


def test_the_learning_rate_is_given_by_name():
    with pytest.raises(TypeError):
        SGD([leaf(1.0)], 0.1)
    with pytest.raises(TypeError):
        SGD([leaf(1.0)])
