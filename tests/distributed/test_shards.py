"""What a worker computes in a step, and that nobody can tell how many there were."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.distributed.shards import Mapped, Node, joined, learn, packed, total
from tinygrad_edu.training import Meter


def leaves(count, rng):
    """Leaves whose sum depends on the order, as those of floats do."""
    return [Node(0, i, rng.standard_normal(3) * 10.0**i) for i in range(count)]


def divided(nodes, workers):
    """What the workers answer, each for some neighbours, in the order of the rows."""
    parts = np.array_split(np.arange(len(nodes)), workers)
    return [
        node
        for part in parts
        for node in joined(copy.deepcopy([nodes[i] for i in part]))
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 8, 11])
@pytest.mark.parametrize("workers", [1, 2, 3, 5, 11])
def test_the_sum_has_the_same_bits_however_leaves_are_divided(count, workers, rng):
    nodes = leaves(count, rng)

    together = total(copy.deepcopy(nodes))

    np.testing.assert_array_equal(total(divided(nodes, workers)), together)
    np.testing.assert_allclose(together, sum(n.gradient for n in nodes), rtol=1e-14)


def test_leaves_without_rows_in_the_batch_may_be_missing(rng):
    nodes = [node for node in leaves(9, rng) if node.number not in (2, 5, 6)]

    together = total(copy.deepcopy(nodes))

    for workers in (2, 3, 6):
        np.testing.assert_array_equal(total(divided(nodes, workers)), together)


def test_neighbours_are_answered_with_one_sum(rng):
    assert [node[:2] for node in joined(leaves(8, rng))] == [(3, 0)]
    assert [node[:2] for node in joined(leaves(7, rng))] == [(2, 0), (1, 2), (0, 6)]
    assert [n[:2] for n in joined(leaves(8, rng)[3:])] == [(0, 3), (2, 1)]


def test_a_sum_that_came_over_the_net_is_left_as_it_is(rng):
    nodes = leaves(4, rng)
    for node in nodes:
        node.gradient.flags.writeable = False

    together = total(nodes)

    np.testing.assert_allclose(together, sum(n.gradient for n in nodes), rtol=1e-14)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x,
        lambda x: x[3:],
        lambda x: x[1:8:2],
        lambda x: x[::-1],
        lambda x: x[2:, 1],
        lambda x: x.T,
        lambda x: x[4:][2:, ::2],
    ],
)
def test_a_memory_map_travels_by_the_name_of_its_file(view, tmp_path, rng):
    np.save(tmp_path / "X.npy", rng.standard_normal((10, 6)))
    whole = np.load(tmp_path / "X.npy", mmap_mode="r")

    sent = pickle.dumps(Mapped(view(whole)))
    arrived = pickle.loads(sent)

    assert len(sent) < 500
    assert len(arrived) == len(view(whole))
    np.testing.assert_array_equal(arrived[:], view(whole))
    np.testing.assert_array_equal(arrived[np.array([0, 1])], view(whole)[[0, 1]])


def asked(X, y, parts, *, batch=None, state=None, dtype=float):
    """What a worker answers that holds some rows, and the model."""
    model = te.nn.Sequential(
        te.nn.Linear(3, 4, rng=0, dtype=dtype),
        te.nn.Tanh(),
        te.nn.Linear(4, 2, rng=1, dtype=np.float64),
    )
    loss = te.nn.softmax_cross_entropy
    parameters = model.parameters()
    payload = pickle.dumps(
        (
            model,
            loss,
            Meter("accuracy", loss),
            parameters,
            [None] * 2,
            (1, False, False),
        )
    )
    batch = np.arange(len(X)) if batch is None else batch
    given = [
        (start, [X[start:stop], y[start:stop]], [(start, batch[rows])])
        for start, stop in parts
        if (rows := (batch >= start) & (batch < stop)).any()
    ]
    state = packed([p.data for p in parameters]) if state is None else state
    tracked = [p.requires_grad for p in parameters]
    return model, learn(payload, state, tracked, len(batch), *given)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [np.arange(20), np.array([1, 2, 7, 8, 19])])
def test_a_worker_answers_with_the_gradient_of_its_rows(batch, dtype, rng):
    X = rng.standard_normal((20, 3))
    y = X.argmax(axis=1) % 2
    model, answer = asked(X, y, [(0, 8), (8, 20)], batch=batch, dtype=dtype)

    loss = te.nn.softmax_cross_entropy(model(X[batch]), y[batch])
    loss.backward()

    expected = np.concatenate([p.grad.ravel() for p in model.parameters()])
    rtol = 1e-13 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(total(answer.nodes), expected, rtol=rtol, atol=1e-7)
    values = [value * meter["rows"] for _, value, meter, _ in answer.leaves]
    assert sum(values) / len(batch) == pytest.approx(loss.item(), rel=1e-6)
    right = sum(meter["sums"]["accuracy"] for _, _, meter, _ in answer.leaves)
    assert right / len(batch) == te.training.accuracy(model(X[batch]), y[batch])
    assert answer.used == [True] * 4
    assert answer.parts == [0, 8]


def test_a_worker_learns_with_the_parameters_that_are_sent(rng):
    X, y = rng.standard_normal((6, 3)), np.arange(6) % 2
    state = packed([rng.standard_normal(x) for x in ((4, 3), (4,), (2, 4), (2,))])

    _, first = asked(X, y, [(0, 6)])
    _, other = asked(X, y, [(0, 6)], state=state)
    _, again = asked(X, y, [(0, 6)])

    assert (first.nodes[0].gradient != other.nodes[0].gradient).all()
    np.testing.assert_array_equal(first.nodes[0].gradient, again.nodes[0].gradient)


def test_a_worker_says_in_which_rows_a_gradient_is_not_finite(rng):
    X, y = rng.standard_normal((6, 3)), np.arange(6) % 2
    X[4, 1] = np.inf

    with np.errstate(invalid="ignore"):
        _, answer = asked(X, y, [(0, 3), (3, 6)])

    assert [is_finite for *_, is_finite in answer.leaves] == [True, False]
