"""What holds for every optimiser: what a step touches, groups, saving, errors."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import re
from functools import partial

import numpy as np
import pytest
import safetensors.numpy
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.optim import SGD, Adam, AdamW, Optimizer, RMSProp
from tinygrad_edu.optim.schedules import CosineAnnealing, Schedule

#: Every way through the code of every optimiser.
OPTIMISERS = {
    "SGD": partial(SGD, lr=0.1),
    "SGD, momentum": partial(SGD, lr=0.1, momentum=0.5),
    "SGD, all": partial(SGD, lr=0.1, momentum=0.5, nesterov=True, weight_decay=0.1),
    "RMSProp": partial(RMSProp, lr=0.1),
    "RMSProp, all": partial(RMSProp, lr=0.1, momentum=0.5, weight_decay=0.1),
    "Adam": partial(Adam, lr=0.1),
    "Adam, all": partial(Adam, lr=0.1, weight_decay=0.1),
    "AdamW": partial(AdamW, lr=0.1),
}


@pytest.fixture(params=OPTIMISERS.values(), ids=OPTIMISERS.keys())
def make(request):
    return request.param


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


def network(dtype=np.float64):
    return nn.Sequential(
        nn.Linear(3, 4, rng=0, dtype=dtype),
        nn.Tanh(),
        nn.Linear(4, 2, rng=1, dtype=dtype),
    )


def train(model, optimizer, steps=1, seed=0):
    """Make steps of least squares, each on numbers of its own."""
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        X = rng.standard_normal((5, 3)).astype(model.parameters()[0].dtype)
        y = np.full((5, 2), 0.5, X.dtype)
        optimizer.zero_grad()
        nn.mse_loss(model(X), y).backward()
        optimizer.step()


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


# ------------------------------------------------------------- what a step touches


def test_a_parameter_without_gradient_stays(make):
    used, unused, also_used = leaf([1.0]), leaf([2.0]), leaf([3.0])
    optimizer = make([used, unused, also_used])

    te.sum(used * also_used).backward()
    optimizer.step()

    assert used.data[0] < 1.0
    assert also_used.data[0] < 3.0
    assert unused.data[0] == 2.0
    assert unused.grad is None
    assert optimizer.state_dict()["steps"] == [1, 0, 1]


def test_a_step_leaves_the_gradients(make):
    p = leaf([1.0, 2.0])
    optimizer = make([p])
    p.grad = [3.0, 4.0]
    gradient = p.grad

    for _ in range(3):
        optimizer.step()

    assert p.grad is gradient
    np.testing.assert_array_equal(gradient, [3.0, 4.0])


def test_gradients_add_up_until_zero_grad(make):
    p, frozen = leaf(1.0), te.tensor(1.0)
    frozen.grad = 1.0
    optimizer = make([p, frozen])

    (p * 2.0).backward()
    (p * 3.0).backward()
    assert p.grad == 5.0

    optimizer.zero_grad()
    assert p.grad is None
    assert frozen.grad is None


def test_a_step_without_any_gradient_changes_nothing_and_says_so(make):
    model = network()
    before = model.state_dict()
    optimizer = make(model.parameters())

    told = f"{type(optimizer).__name__}.step: no parameter has a gradient; call loss"
    with pytest.warns(UserWarning, match=re.escape(told)) as caught:
        optimizer.step()

    assert caught[0].filename == __file__
    assert_equal(model.state_dict(), before)


def test_a_step_of_some_parameters_says_nothing(make):
    p, q = leaf(1.0), leaf(2.0)
    p.grad, q.grad = 1.0, None

    make([p, q]).step()  # warnings are errors
    p.requires_grad = False
    make([p, q]).step()  # it has a gradient, though it is frozen

    assert q.data == 2.0


def test_a_step_writes_into_the_array_that_is_there(make):
    p = leaf([1.0])
    array = p.data
    p.grad = [1.0]

    make([p]).step()

    assert p.data is array
    assert array[0] != 1.0


def test_the_array_that_a_parameter_was_made_from_is_left_alone(make):
    array = np.ones(2)
    p = leaf(array)
    p.grad = np.ones(2)

    make([p]).step()

    np.testing.assert_array_equal(array, [1.0, 1.0])


def test_data_assigned_between_steps_is_where_the_next_one_starts(make):
    moved, stayed = leaf([1.0, 2.0]), leaf([10.0, 20.0])
    optimizer = make([moved, stayed])
    for p in (moved, stayed):
        p.grad = [2.0, -3.0]
        optimizer.step()
        optimizer.state.clear()

    moved.data = stayed.data
    optimizer.step()

    np.testing.assert_array_equal(moved.data, stayed.data)


def test_a_model_may_be_loaded_after_the_optimiser_was_made(make):
    late, early = network(), network()
    state = {name: 2.0 * array for name, array in late.state_dict().items()}
    optimizer = make(late.parameters())
    late.load_state_dict(state)
    early.load_state_dict(state)

    train(late, optimizer, steps=2)
    train(early, make(early.parameters()), steps=2)

    assert_equal(late.state_dict(), early.state_dict())
    assert not np.array_equal(late[0].weight.data, state["0.weight"])


def test_a_graph_older_than_a_step_refuses_to_walk_backward(make):
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh())
    optimizer = make(model.parameters())
    older, loss = (model(np.ones((1, 3))).sum() for _ in range(2))

    loss.backward()
    optimizer.step()

    with pytest.raises(
        RuntimeError, match=r"'(weight|bias)'.* was assigned after linear"
    ):
        older.backward()


def test_a_graph_recorded_after_a_step_walks_backward(make):
    model = nn.Linear(3, 2, rng=0)
    optimizer = make(model.parameters())

    for _ in range(3):
        optimizer.zero_grad()
        model(np.ones((1, 3))).sum().backward()
        optimizer.step()

    np.testing.assert_array_equal(model.bias.grad, [1.0, 1.0])


def test_a_step_inside_no_grad_is_a_step(make):
    p, q = leaf([1.0]), leaf([1.0])
    p.grad, q.grad = [2.0], [2.0]

    make([p]).step()
    with te.no_grad():
        make([q]).step()

    assert p.data[0] == q.data[0] != 1.0


# --------------------------------------------------------- frozen, shared, and dtypes


def test_a_frozen_parameter_stays_even_with_a_gradient(make):
    p = te.tensor([1.0])
    p.grad = [1.0]
    optimizer = make([p])

    optimizer.step()

    assert p.data[0] == 1.0
    assert optimizer.state_dict()["steps"] == [0]


def test_a_parameter_that_is_thawed_later_begins_as_a_fresh_one(make):
    frozen, fresh = leaf([1.0, -2.0]), leaf([1.0, -2.0])
    other = leaf([0.5])
    optimizer = make([frozen, other])
    frozen.requires_grad = False
    for p in (frozen, other, fresh):
        p.grad = np.full(p.shape, 0.25)
    for _ in range(3):
        optimizer.step()

    frozen.requires_grad = True
    optimizer.step()
    make([fresh]).step()

    np.testing.assert_array_equal(frozen.data, fresh.data)
    assert optimizer.state_dict()["steps"] == [1, 4]


def test_what_is_kept_waits_while_a_parameter_is_frozen(make):
    paused, twin = leaf([1.0]), leaf([1.0])
    first, second = make([paused]), make([twin])
    paused.grad = twin.grad = [2.0]
    first.step()

    paused.requires_grad = False
    first.step()
    paused.requires_grad = True
    first.step()
    for _ in range(2):
        second.step()

    np.testing.assert_array_equal(paused.data, twin.data)


def test_weights_shared_between_two_layers_are_moved_once(make):
    layer = nn.Linear(3, 3, rng=0)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    optimizer = make(model.parameters())

    model(np.ones((2, 3))).sum().backward()
    optimizer.step()

    assert optimizer.state_dict()["steps"] == [1, 1]


def test_two_optimisers_of_one_parameter_keep_their_own(make):
    p, q = leaf([1.0]), leaf([1.0])
    first, second, alone = make([p]), make([p]), make([q])
    p.grad = q.grad = [2.0]

    first.step()
    second.step()
    alone.step()
    p.data = q.data = [1.0]
    first.step()
    alone.step()

    assert p.data[0] == q.data[0]
    assert second.state_dict()["steps"] == [1]


def test_float32_stays_float32(make):
    p = leaf(np.ones(3, np.float32))
    optimizer = make([p], lr=np.float64(0.1))

    for _ in range(2):
        p.grad = np.ones(3)
        optimizer.step()

    assert p.dtype == p.grad.dtype == p.data.dtype == np.float32
    kept = optimizer.state_dict()["state"].values()
    assert all(array.dtype == np.float32 for array in kept)


def test_float16_takes_the_steps_of_float64_and_keeps_float32(make):
    start, gradient = np.ones(4), np.array([0.0, 1e-4, -3e-5, 300.0], np.float16)
    half, double = leaf(start, dtype=np.float16), leaf(start)
    optimizers = [make([half]), make([double])]

    for _ in range(3):
        for p, optimizer in zip([half, double], optimizers, strict=True):
            p.grad = gradient
            optimizer.step()

    np.testing.assert_allclose(half.data.astype(float), double.data, rtol=2e-3)
    kept = optimizers[0].state_dict()["state"].values()
    assert half.dtype == np.float16
    assert all(array.dtype == np.float32 for array in kept)


@pytest.mark.parametrize("kind", [Adam, AdamW, RMSProp])
def test_a_gradient_of_0_moves_nothing_in_float16(kind):
    p = leaf(np.ones(2), dtype=np.float16)
    optimizer = kind([p], lr=0.1, weight_decay=0.0)
    p.grad = np.zeros(2)
    optimizer.step()

    assert p.data.tolist() == [1, 1]


def test_float16_goes_on_from_what_was_saved(make):
    p, q = (leaf(np.ones(2), dtype=np.float16) for _ in range(2))
    first, second = make([p]), make([q])
    p.grad = q.grad = [0.5, -1e-4]
    first.step()
    q.data = p.data
    second.load_state_dict(first.state_dict())
    first.step()
    second.step()

    np.testing.assert_array_equal(p.data, q.data)
    for key, array in second.state_dict()["state"].items():
        np.testing.assert_array_equal(array, first.state_dict()["state"][key])


def test_a_learning_rate_of_numpys_float64_is_as_good_as_a_float(make):
    p, q = leaf(np.ones(3, np.float32)), leaf(np.ones(3, np.float32))
    first, second = make([p], lr=np.float64(0.3)), make([q], lr=0.3)
    p.grad = q.grad = [1.0, 0.1, -3.0]

    for rate in (0.3, 0.7):
        first.param_groups[0]["lr"] = np.float64(rate)
        second.param_groups[0]["lr"] = rate
        first.step()
        second.step()

    np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3, 4)], ids=str)
def test_any_shape(make, shape, rng):
    start, gradient = rng.standard_normal(shape), rng.standard_normal(shape)
    whole, entries = leaf(start), [leaf(x) for x in start.flat]
    optimizer = make([whole, *entries])
    whole.grad = gradient
    for p, g in zip(entries, gradient.flat, strict=True):
        p.grad = g

    for _ in range(3):
        optimizer.step()

    assert type(whole.data) is np.ndarray
    assert whole.shape == shape
    np.testing.assert_array_equal(whole.data.ravel(), [p.item() for p in entries])


@pytest.mark.parametrize("shape", [(5, 7), (60, 70)], ids=str)
def test_the_order_in_memory_changes_no_number_and_is_kept(make, shape, rng):
    start, gradient = rng.standard_normal(shape), rng.standard_normal(shape)
    by_rows, by_columns = leaf(start), leaf(np.asfortranarray(start))
    optimizer = make([by_rows, by_columns])
    by_rows.grad = by_columns.grad = gradient

    for _ in range(3):
        optimizer.step()

    np.testing.assert_array_equal(by_rows.data, by_columns.data)
    assert by_columns.data.flags.f_contiguous
    for array in optimizer.state[by_columns].values():
        assert type(array) is int or array.flags.f_contiguous
    for array in optimizer.state_dict()["state"].values():
        assert array.flags.c_contiguous


# --------------------------------------------------------------------- copies


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_of_model_optimiser_and_schedule_goes_on_by_itself(make, copied):
    model = network()
    optimizer = make(model.parameters())
    schedule = Schedule(optimizer, CosineAnnealing(10))
    train(model, optimizer)
    schedule.step()

    twin, twins_optimizer, twins_schedule = copied((model, optimizer, schedule))
    before = model.state_dict()
    train(twin, twins_optimizer)
    twins_schedule.step()

    assert twins_schedule.optimizer is twins_optimizer
    held = twins_optimizer.param_groups[0]["params"]
    for mine, theirs in zip(twin.parameters(), held, strict=True):
        assert mine is theirs
    assert_equal(model.state_dict(), before)
    train(model, optimizer)
    schedule.step()
    assert_equal(twin.state_dict(), model.state_dict())
    assert twins_optimizer.lr == optimizer.lr


def test_a_pickle_holds_what_is_kept_and_nothing_else():
    p = leaf(np.ones(100_000))
    p.grad = np.ones(p.shape)
    optimizer = SGD([p], lr=0.1, momentum=0.5)
    optimizer.step()

    pickled = pickle.dumps(optimizer)

    assert len(pickled) < 2.01 * p.data.nbytes  # the parameter and its velocity


# ------------------------------------------------------------------- parameter groups


def test_every_group_has_its_own_options_and_the_defaults_for_the_rest():
    a, b, c = leaf(0.0), leaf(0.0), leaf(0.0)

    optimizer = SGD(
        [
            {"params": [a], "lr": 0.5, "momentum": 0.0},
            {"params": (x for x in [b, c]), "weight_decay": 0.25},
        ],
        lr=2.0,
        momentum=0.5,
    )

    assert optimizer.param_groups == [
        {
            "params": [a],
            "lr": 0.5,
            "momentum": 0.0,
            "nesterov": False,
            "weight_decay": 0.0,
        },
        {
            "params": [b, c],
            "lr": 2.0,
            "momentum": 0.5,
            "nesterov": False,
            "weight_decay": 0.25,
        },
    ]


def test_a_step_moves_every_group_with_its_own_options():
    a, b = leaf(1.0), leaf(1.0)
    groups = [{"params": [a], "lr": 0.25}, {"params": [b], "weight_decay": 0.5}]
    optimizer = SGD(groups, lr=0.5)
    a.grad = b.grad = 1.0

    optimizer.step()

    assert a.item() == 1.0 - 0.25
    assert b.item() == 1.0 - 0.5 * (1.0 + 0.5)


def test_the_dicts_given_for_groups_are_left_alone():
    given = {"params": [leaf(1.0)]}

    optimizer = SGD([given], lr=1)
    optimizer.lr = 0.5

    assert given.keys() == {"params"}


@pytest.mark.parametrize("kind", [SGD, RMSProp, Adam, AdamW, Optimizer])
def test_an_option_without_its_name_is_told_how_to_be_written(kind):
    with pytest.raises(TypeError) as caught:
        kind([leaf(1.0)], 0.1)

    assert str(caught.value) == (
        f"{kind.__name__}: only params come without a name; write lr=0.1"
    )
    assert list(inspect.signature(kind).parameters)[:2] == ["params", "lr"]


def test_an_optimiser_of_ones_own_may_take_options_by_position():
    class Halving(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, lr=lr)

    optimizer = Halving([leaf(1.0)], 0.5)

    assert optimizer.lr == 0.5
    with pytest.raises(TypeError, match="takes 3 positional arguments but 4"):
        Halving([leaf(1.0)], 0.5, 0.9)


def test_a_group_may_be_empty_but_not_all_of_them():
    p = leaf(1.0)
    p.grad = 1.0

    SGD([{"params": []}, {"params": [p]}], lr=1.0).step()

    assert p.item() == 0.0
    with pytest.raises(ValueError, match=r"^SGD: no parameters"):
        SGD([{"params": []}, {"params": []}], lr=1.0)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (
            lambda p, q: [{"params": [p], "learning_rate": 0.1}],
            TypeError,
            "a group has the unknown option 'learning_rate'; there are lr, momentum",
        ),
        (lambda p, q: [{"lr": 0.1}], TypeError, 'group 0 must be a dict with "params"'),
        (
            lambda p, q: [{"params": [p]}, q],
            TypeError,
            'group 1 must be a dict with "params"',
        ),
        (
            lambda p, q: [p, {"params": [q]}],
            TypeError,
            "parameter 1 must be a leaf Tensor, got dict",
        ),
        (
            lambda p, q: [{"params": p}],
            TypeError,
            r"params must be a list of Tensors, got one; write \[tensor\]",
        ),
        (
            lambda p, q: [{"params": [q]}, {"params": [p, q]}],
            ValueError,
            "a parameter is listed twice: 2 is 0 again",
        ),
        (
            lambda p, q: [{"params": [p]}, {"params": [q], "lr": 0.0}],
            ValueError,
            "lr must be positive, got 0.0",
        ),
        (
            lambda p, q: [{"params": [p]}, {"params": [q], "momentum": 1}],
            ValueError,
            "momentum must lie in 0 <= momentum < 1, got 1",
        ),
    ],
    ids=[
        "unknown option",
        "no params",
        "a tensor among groups",
        "a group among tensors",
        "a tensor for params",
        "a parameter in two groups",
        "lr",
        "momentum",
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, error, message):
    with pytest.raises(error, match=f"^SGD: {message}"):
        SGD(groups(leaf(1.0), leaf(2.0)), lr=0.1)


def test_lr_reads_and_sets_the_one_learning_rate_of_all_groups():
    groups = [{"params": [leaf(1.0)]}, {"params": [leaf(1.0)]}]
    optimizer = SGD(groups, lr=1)

    optimizer.lr = np.float32(0.5)

    assert optimizer.lr == 0.5
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
    assert {type(group["lr"]) for group in optimizer.param_groups} == {float}


def test_lr_says_so_where_groups_differ():
    groups = [{"params": [leaf(1.0)], "lr": 0.5}, {"params": [leaf(1.0)]}]
    optimizer = SGD(groups, lr=1.0)

    with pytest.raises(ValueError, match=r"the learning rates \[0.5, 1.0\]; read or"):
        _ = optimizer.lr
    with pytest.raises(ValueError, match=r"the learning rates \[0.5, 1.0\]; read or"):
        optimizer.lr = 0.1

    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0]


# ------------------------------------------------------------------ saving and loading


def through_files(state, folder):
    """Write a state and read it again: arrays as safetensors, the rest as JSON."""
    rest = {name: value for name, value in state.items() if name != "state"}
    safetensors.numpy.save_file(state["state"], folder / "a.safetensors")
    (folder / "a.json").write_text(json.dumps(rest), "utf-8")
    return {
        **json.loads((folder / "a.json").read_text("utf-8")),
        "state": safetensors.numpy.load_file(folder / "a.safetensors"),
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_training_goes_on_bit_by_bit_from_files(make, dtype, tmp_path):
    model = network(dtype)
    frozen, *rest = model.parameters()
    groups = [{"params": [frozen], "lr": 0.01}, {"params": rest}]
    optimizer = make(groups)
    frozen.requires_grad = False
    train(model, optimizer, steps=3)
    frozen.requires_grad = True
    train(model, optimizer, steps=2)
    weights, state = model.state_dict(), optimizer.state_dict()
    loaded = through_files(state, tmp_path)
    train(model, optimizer, steps=3, seed=1)

    twin = network(dtype)
    first, *others = twin.parameters()
    twins_optimizer = make([{"params": [first]}, {"params": others}])
    twins_optimizer.load_state_dict(loaded)
    twin.load_state_dict(weights)
    again = twins_optimizer.state_dict()
    train(twin, twins_optimizer, steps=3, seed=1)

    assert_equal(again.pop("state"), state.pop("state"))
    assert again == state
    assert state["steps"] == [2, 5, 5, 5]
    assert_equal(twin.state_dict(), model.state_dict())
    assert_equal(twins_optimizer.state_dict()["state"], optimizer.state_dict()["state"])


def test_a_state_is_plain_and_flat():
    a, b = leaf([[1.0, 2.0]]), leaf(3.0)
    optimizer = Adam([{"params": [a]}, {"params": [b], "lr": 0.5}])
    a.grad = [[1.0, 1.0]]
    optimizer.step()

    state = optimizer.state_dict()

    arrays = state.pop("state")
    assert {name: array.shape for name, array in arrays.items()} == {
        "0.first_moment": (1, 2),
        "0.second_moment": (1, 2),
    }
    options = {"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    assert state == {
        "steps": [1, 0],
        "param_groups": [
            {"params": [0], "lr": 0.001, **options},
            {"params": [1], "lr": 0.5, **options},
        ],
    }
    assert json.loads(json.dumps(state)) == state


def test_a_state_shares_no_memory_with_the_optimiser(make):
    model = network()
    optimizer = make(model.parameters())
    train(model, optimizer)
    state = optimizer.state_dict()
    expected = copy.deepcopy(state)

    optimizer.load_state_dict(state)
    train(model, optimizer)
    assert_equal(state["state"], expected["state"])

    kept = optimizer.state_dict()["state"]
    for array in state["state"].values():
        array[...] = 7.0
    assert_equal(optimizer.state_dict()["state"], kept)


def test_a_fresh_state_makes_an_optimiser_fresh_again(make):
    p = leaf([1.0])
    optimizer = make([p])
    fresh = optimizer.state_dict()
    p.grad = [1.0]
    optimizer.step()
    first = p.data.copy()

    optimizer.load_state_dict(fresh)
    p.data = [1.0]
    optimizer.step()

    np.testing.assert_array_equal(p.data, first)


def test_a_learning_rate_that_a_schedule_brought_to_zero_loads():
    p = leaf([1.0])
    optimizer = SGD([p], lr=0.5)
    optimizer.lr = 0.0

    other = SGD([p], lr=0.5)
    other.load_state_dict(optimizer.state_dict())

    assert other.lr == 0.0


def changed(path, value):
    def change(state):
        *way, last = path
        for name in way:
            state = state[name]
        if value is None:
            del state[last]
        else:
            state[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(["steps"], None), "missing steps"),
        (changed(["extra"], 1), "unexpected extra"),
        (
            changed(["param_groups", 1], None),
            r"the groups must hold \[1, 1\] parameters, got \[1\]",
        ),
        (
            changed(["param_groups", 0, "params"], [0, 1]),
            r"the groups must hold \[1, 1\] parameters, got \[2, 1\]",
        ),
        (changed(["steps"], [1]), r"steps must be 2 counts, got \[1\]"),
        (changed(["steps", 0], -1), r"steps must be 2 counts, got \[-1, 1\]"),
        (changed(["steps", 0], 0.5), r"steps must be 2 counts, got \[0.5, 1\]"),
        (changed(["param_groups", 1, "eps"], None), "missing eps in group 1"),
        (changed(["param_groups", 1, "eta"], 1), "unexpected eta in group 1"),
        (
            changed(["param_groups", 1, "eps"], -1),
            "group 1: Adam: eps must be positive",
        ),
        (changed(["param_groups", 1, "lr"], "a"), "group 1: Adam: lr must be a number"),
        (changed(["param_groups", 0, "lr"], math.nan), "group 0: Adam: lr must lie in"),
        (changed(["state", "1.second_moment"], None), "missing 1.second_moment"),
        (changed(["state", "2.velocity"], np.ones(2)), "unexpected 2.velocity"),
        (changed(["steps", 1], 0), "unexpected 1.first_moment; unexpected 1.second"),
        (
            changed(["state", "0.first_moment"], np.ones((3, 2))),
            r"0.first_moment must have shape \(2, 3\), got \(3, 2\)",
        ),
        (
            changed(["state", "0.first_moment"], np.ones((2, 3), complex)),
            "0.first_moment must fit into float64, got complex128",
        ),
    ],
    ids=lambda x: None if callable(x) else x,
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changed(change, message):
    a, b = leaf(np.ones((2, 3))), leaf([1.0])
    optimizer = Adam([{"params": [a]}, {"params": [b]}], lr=0.1)
    a.grad, b.grad = np.ones((2, 3)), [2.0]
    optimizer.step()
    before, wrong = optimizer.state_dict(), optimizer.state_dict()
    for array in wrong["state"].values():
        array += 1.0
    wrong["param_groups"][0]["lr"] = 0.7
    change(wrong)

    with pytest.raises(ValueError, match=rf"^Adam.load_state_dict: {message}"):
        optimizer.load_state_dict(wrong)

    after = optimizer.state_dict()
    assert_equal(after.pop("state"), before.pop("state"))
    assert after == before


def test_all_that_does_not_fit_is_listed_at_once():
    a, b = leaf([1.0]), leaf([1.0, 2.0])
    optimizer = SGD([a, b], lr=0.1, momentum=0.5)
    a.grad, b.grad = [1.0], [1.0, 1.0]
    optimizer.step()
    state = optimizer.state_dict()
    state["state"]["9.velocity"] = state["state"].pop("0.velocity")
    state["state"]["1.velocity"] = np.ones(3)

    with pytest.raises(ValueError, match=r"missing 0\.velocity") as caught:
        optimizer.load_state_dict(state)

    assert "unexpected 9.velocity" in str(caught.value)
    assert "1.velocity must have shape (2,), got (3,)" in str(caught.value)


def test_the_state_of_another_optimiser_is_refused():
    p = leaf([1.0])
    state = Adam([p]).state_dict()

    with pytest.raises(
        ValueError, match=r"missing momentum in group 0.* unexpected be"
    ):
        SGD([p], lr=0.1).load_state_dict(state)


# ------------------------------------------------------------------ one of one's own


class SignMomentum(Optimizer):
    """Steps of size lr, in the direction of the velocity's sign."""

    def keeps(self, group):
        return ("velocity",)

    def update(self, x, gradient, state, group):
        velocity = state["velocity"]
        velocity *= group["decay"]
        velocity += gradient
        return group["lr"] * np.sign(velocity)


def test_an_optimiser_of_ones_own_needs_only_its_update():
    p = leaf([4.0, 4.0])
    optimizer = SignMomentum([p], lr=0.5, decay=0.5)

    for gradient in ([4.0, -4.0], [-1.0, 1.0], [-3.0, 3.0]):
        p.grad = gradient
        optimizer.step()

    np.testing.assert_array_equal(p.data, [3.5, 4.5])
    np.testing.assert_array_equal(
        optimizer.state_dict()["state"]["0.velocity"], [-2.5, 2.5]
    )


def test_an_optimiser_of_ones_own_is_saved_and_loaded_like_the_others():
    p, q = leaf([4.0, 4.0]), leaf([4.0, 4.0])
    first = SignMomentum([p], lr=0.5, decay=0.5)
    second = SignMomentum([q], lr=0.1, decay=0.1)
    p.grad, q.grad = [4.0, -4.0], [-1.0, 1.0]
    first.step()

    second.load_state_dict(first.state_dict())
    q.data, p.grad = p.data, q.grad
    for optimizer in (first, second):
        optimizer.step()

    np.testing.assert_array_equal(p.data, q.data)
    np.testing.assert_array_equal(p.data, [3.0, 5.0])


def test_an_optimiser_without_update_says_what_to_define():
    class Idle(Optimizer):
        pass

    p = leaf(1.0)
    p.grad = 1.0

    with pytest.raises(
        NotImplementedError, match=r"^Idle must define update\(self, x,"
    ):
        Idle([p], lr=0.1).step()


# ------------------------------------------------------------------ does it converge


@pytest.mark.parametrize(
    ("make", "factor"),
    [
        (partial(SGD, lr=5e-4, momentum=0.95), None),
        (partial(SGD, lr=5e-4, momentum=0.95, nesterov=True), None),
        (partial(RMSProp, lr=0.01, momentum=0.9), CosineAnnealing(4000)),
        (partial(Adam, lr=0.05), None),
        (partial(AdamW, lr=0.05, weight_decay=0.0), None),
    ],
    ids=["momentum", "nesterov", "rmsprop", "adam", "adamw"],
)
def test_finds_the_bottom_of_rosenbrocks_valley(make, factor):
    w = leaf([-1.2, 1.0])
    optimizer = make([w])
    schedule = Schedule(optimizer, factor or (lambda t: 1.0))

    for _ in range(4000):
        x, y = w[0], w[1]
        optimizer.zero_grad()
        ((1 - x) ** 2 + 100 * (y - x * x) ** 2).backward()
        optimizer.step()
        schedule.step()

    assert_near(w.data, np.ones(2), 1e-6, "the minimum at (1, 1)")


@pytest.mark.parametrize(
    "make",
    [
        partial(SGD, lr=1e-3, momentum=0.95),
        partial(SGD, lr=1e-3, momentum=0.95, nesterov=True),
        partial(RMSProp, lr=0.05),
        partial(RMSProp, lr=0.02, momentum=0.9),
        partial(Adam, lr=0.1),
        partial(AdamW, lr=0.1, weight_decay=0.0),
    ],
    ids=["momentum", "nesterov", "rmsprop", "rmsprop, momentum", "adam", "adamw"],
)
def test_finds_the_minimum_of_a_badly_scaled_quadratic(make):
    scales = np.array([1.0, 10.0, 100.0, 1000.0])
    w = leaf([-1.0, 3.0, 0.0, 2.0])
    optimizer = make([w])
    schedule = Schedule(optimizer, CosineAnnealing(1500))

    for _ in range(1500):
        optimizer.zero_grad()
        te.sum(0.5 * scales * (w - 1.0) ** 2).backward()
        optimizer.step()
        schedule.step()

    assert_near(w.data, np.ones(4), 1e-6, "the minimum at (1, 1, 1, 1)")


# ------------------------------------------------------------------ bad arguments


def test_parameters_may_come_from_a_generator(make):
    p = leaf([1.0])
    p.grad = [1.0]

    make(x for x in [p]).step()

    assert p.data[0] < 1.0


def test_no_parameters_are_refused(make):
    with pytest.raises(
        ValueError,
        match=r"no parameters; pass model\.parameters\(\).*requires_grad=True",
    ):
        make(nn.Tanh().parameters())


def test_a_parameter_listed_twice_is_refused(make):
    p = leaf(1.0)

    with pytest.raises(ValueError, match="a parameter is listed twice: 2 is 0 again"):
        make([p, leaf(2.0), p])


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
        (network(), "(parameter 0 must be a leaf Tensor|params .*), got"),
        (nn.Linear(2, 2), r"params must be .*, got Linear; pass model.parameters\(\)"),
        (
            network().named_parameters(),
            r"parameter 0 .*, got a pair of name and Tensor; pass model.parameters\(\)",
        ),
        (
            dict(network().named_parameters()),
            r"params must be .*, got dict; pass model.parameters\(\)",
        ),
        (
            {"params": [leaf(1.0)]},
            r"params must be .*, got dict; pass model.parameters\(\)",
        ),
        ({leaf(1.0), leaf(2.0)}, "params must be a list of Tensors, got set"),
        (None, "params must be a list of Tensors, got NoneType"),
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
        "a sequence of layers",
        "a layer",
        "pairs of name and tensor",
        "a dict of tensors",
        "one group",
        "a set",
        "None",
        "a tensor",
        "a tensor that requires gradients",
    ],
)
def test_what_is_no_list_of_leaves_is_refused(params, message):
    with pytest.raises(TypeError, match=f"^SGD: .*{message}"):
        SGD(params, lr=0.1)


def detached(w):
    return (w * 1.0).detach()


def reshaped(w):
    with te.no_grad():
        return w.reshape(2, -1)


def summed(w):
    with te.no_grad():
        return w.sum()


@pytest.mark.parametrize("size", [4, 10_000])
@pytest.mark.parametrize("other", [te.Tensor.detach, detached, reshaped, summed])
def test_a_tensor_without_memory_of_its_own_is_refused(other, size):
    w = leaf(np.ones(size))
    p = other(w)
    made_while_frozen = SGD([p], lr=0.1)
    p.requires_grad = True
    p.grad = np.ones(p.shape)

    for refused in (lambda: SGD([p], lr=0.1), made_while_frozen.step):
        with pytest.raises(
            ValueError, match=r"has no memory of its own. Write te.tensor\("
        ):
            refused()

    own = te.tensor(p.data, requires_grad=True)
    own.grad = np.ones(p.shape)
    SGD([own], lr=0.1).step()
    np.testing.assert_array_equal(w.data, np.ones(size))


@pytest.mark.parametrize("size", [4, 10_000])
def test_a_tensor_computed_without_recording_that_has_its_own_memory_is_moved(size):
    w = leaf(np.ones(size))
    with te.no_grad():
        p = w * 2.0
    p.requires_grad = True
    p.grad = np.ones(size)

    SGD([p], lr=0.5).step()

    np.testing.assert_array_equal(p.data, np.full(size, 1.5))


BAD_NUMBERS = [
    ("lr", 0, ValueError, "lr must be positive, got 0"),
    ("lr", -1.0, ValueError, "lr must be positive, got -1.0"),
    ("lr", math.nan, ValueError, "lr must be positive, got nan"),
    ("lr", math.inf, ValueError, "lr must be positive, got inf"),
    ("lr", True, TypeError, "lr must be a number, got True"),
    ("lr", "0.1", TypeError, "lr must be a number, got '0.1'"),
    ("lr", None, TypeError, "lr must be a number, got None"),
    ("lr", np.ones(1), TypeError, "lr must be a number, got array"),
    ("weight_decay", -0.1, ValueError, "weight_decay must lie in 0 <= weight_decay"),
    ("weight_decay", math.nan, ValueError, "weight_decay must lie in 0"),
    ("weight_decay", math.inf, ValueError, "weight_decay must lie in .* < inf"),
    ("weight_decay", False, TypeError, "weight_decay must be a number, got False"),
    ("momentum", -0.1, ValueError, "momentum must lie in .* < 1, got -0.1"),
    ("momentum", 1, ValueError, "momentum must lie in .* < 1, got 1"),
    ("momentum", 1.5, ValueError, "momentum must lie in .* < 1, got 1.5"),
    ("momentum", math.nan, ValueError, "momentum must lie in .* < 1, got nan"),
    ("momentum", True, TypeError, "momentum must be a number, got True"),
    ("nesterov", 1, TypeError, "nesterov must be True or False, got 1"),
    ("alpha", 1.0, ValueError, "alpha must lie in 0 <= alpha < 1, got 1.0"),
    ("alpha", -0.5, ValueError, "alpha must lie in 0 <= alpha < 1, got -0.5"),
    ("eps", 0.0, ValueError, "eps must be positive, got 0.0"),
    ("eps", math.nan, ValueError, "eps must be positive, got nan"),
    ("betas", (1.0, 0.9), ValueError, r"betas\[0\] must lie in .* < 1, got 1.0"),
    ("betas", (0.9, -0.1), ValueError, r"betas\[1\] must lie in .* < 1, got -0.1"),
    ("betas", (0.9, math.nan), ValueError, r"betas\[1\] must lie in .* < 1, got nan"),
    ("betas", (0.9, True), TypeError, r"betas\[1\] must be a number, got True"),
]


@pytest.mark.parametrize(("option", "value", "error", "message"), BAD_NUMBERS)
@pytest.mark.parametrize("kind", [SGD, RMSProp, Adam, AdamW])
def test_options_out_of_range_are_refused(kind, option, value, error, message):
    if option not in kind([leaf(1.0)], lr=0.1).param_groups[0]:
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
            kind([leaf(1.0)], **{"lr": 0.1, option: value})
        return

    with pytest.raises(error, match=f"^{kind.__name__}: {message}"):
        kind([leaf(1.0)], **{"lr": 0.1, option: value})


@pytest.mark.parametrize("lr", [math.nan, math.inf, -0.1, True, "a"])
def test_a_learning_rate_set_wrongly_is_refused_before_anything_moves(make, lr):
    a, b = leaf([1.0]), leaf([1.0])
    optimizer = make([{"params": [a]}, {"params": [b]}])
    a.grad = b.grad = [1.0]

    with pytest.raises((TypeError, ValueError), match="lr must"):
        optimizer.lr = lr
    optimizer.param_groups[1]["lr"] = lr
    with pytest.raises((TypeError, ValueError), match="lr must"):
        optimizer.step()

    assert a.data[0] == b.data[0] == 1.0
    assert optimizer.state_dict()["steps"] == [0, 0]


def test_it_reads_as_what_it_is():
    optimizer = Adam([{"params": [leaf(1.0)], "lr": 0.5}, {"params": [leaf(1.0)] * 0}])

    assert repr(optimizer) == (
        "Adam(1 parameter, lr=0.5, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0;\n"
        "     0 parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)"
    )


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (None, "NoneType"),
        (np.ones(3), r"an array of shape \(3,\), float64"),
        (np.array(["a", "b"]), "an array of shape .*<U1"),
        (te.tensor([1.0, 1.0]), "Tensor"),
    ],
)
def test_an_update_that_does_not_fit_is_named(change, got):
    class Own(te.optim.Optimizer):
        def update(self, x, gradient, state, group):
            return change

    w = leaf([1.0, 2.0])
    w.name = "w"
    w.grad = np.ones(2)

    with pytest.raises(
        TypeError, match=rf"Own: .*of shape \(2,\), float64, for .*'w'; got {got}"
    ):
        Own([w], lr=0.1).step()


def test_a_model_in_place_of_its_parameters_says_what_to_pass():
    with pytest.raises(TypeError, match=r"got Linear; pass model\.parameters\(\)"):
        SGD(te.nn.Sequential(te.nn.Linear(2, 2)), lr=0.1)
