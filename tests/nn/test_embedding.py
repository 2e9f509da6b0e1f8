"""Embedding: rows of a table, and gradients that add up where a row came twice."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (2, 1, 4), (0,)], ids=str)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_each_index_becomes_its_row(shape, dtype, rng):
    layer = nn.Embedding(5, 3, rng=0)
    indices = rng.integers(0, 5, shape).astype(dtype)

    output = layer(indices)

    expected = np.empty((*shape, 3))
    for place in np.ndindex(shape):
        expected[place] = layer.weight.data[indices[place]]
    np.testing.assert_array_equal(output.data, expected)


def test_lists_and_tensors_of_integers_are_taken_as_arrays_are():
    layer, indices = nn.Embedding(5, 3, rng=0), [[4, 0], [1, 1]]

    outputs = [layer(made(indices)) for made in (list, np.array, te.tensor)]

    for output in outputs:
        np.testing.assert_array_equal(output.data, layer.weight.data[indices])


def test_gradients_of_a_row_looked_up_several_times_add_up(rng):
    layer, indices = nn.Embedding(4, 3, rng=0), np.array([[1, 1, 3], [3, 1, 0]])
    upstream = rng.standard_normal((2, 3, 3))

    te.sum(layer(indices) * upstream).backward()

    expected = np.zeros((4, 3))
    for place in np.ndindex(indices.shape):
        expected[indices[place]] += upstream[place]
    assert_near(layer.weight.grad, expected, 1e-15, "weight")
    assert not layer.weight.grad[2].any()


@pytest.mark.parametrize("order", [1, 2])
def test_gradcheck_by_the_table(order):
    layer = nn.Sequential(nn.Embedding(4, 3, rng=0), nn.Tanh(), nn.Linear(3, 2, rng=1))

    te.gradcheck(layer, np.array([[0, 2, 2], [3, 0, 2]]), order=order)


def test_float32_stays_float32_through_gradients_of_both_orders():
    weight = (layer := nn.Embedding(4, 3, rng=0, dtype=np.float32)).weight
    output = layer([0, 2, 2])

    (first,) = te.gradients(te.sum(output**3), [weight], create_graph=True)
    (second,) = te.gradients(te.sum(first * first), [weight])

    assert output.dtype == first.dtype == second.dtype == np.float32


def test_the_table_starts_standard_normal():
    layer = nn.Embedding(3, 2, rng=7)

    np.testing.assert_array_equal(
        layer.weight.data, np.random.default_rng(7).standard_normal((3, 2))
    )
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert repr(layer) == "Embedding(3 x 2)"
    assert layer.independent_rows


def test_an_initialiser_of_ones_own_is_told_the_shape():
    layer = nn.Embedding(3, 2, init=lambda shape, rng: np.ones(shape))

    np.testing.assert_array_equal(layer.weight.data, np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"Embedding: init returned shape \(2, 3\)"):
        nn.Embedding(3, 2, init=lambda shape, rng: np.ones(shape).T)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([[0, 1], [5, 2]], r"got \(2, 2\): indices must lie in 0..4, not 5"),
        ([-1], r"got \(1,\): indices must lie in 0..4, not -1"),
        (5, r"got \(\): indices must lie in 0..4, not 5"),
        ([0.0, 1.0], "indices must be integers, not float64"),
        ([True, False], "indices must be integers, not bool"),
        ([], "indices must be integers, not float64"),
    ],
)
def test_indices_that_do_not_fit_are_refused_by_name(indices, message):
    model = nn.Sequential(nn.Embedding(5, 3))

    with pytest.raises(ValueError, match=rf"^Embedding '0' \(5 x 3\) .*{message}"):
        model(indices)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (2.0, 1), ("3", 2)])
def test_sizes_must_be_positive_integers(sizes):
    with pytest.raises(
        ValueError, match=f"Embedding: .*positive integers, got {sizes[0]!r}"
    ):
        nn.Embedding(*sizes)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_a_copy_after_a_call_computes_the_same_and_shares_nothing(copied):
    layer = nn.Embedding(5, 3, rng=0)
    layer([1, 2]).sum().backward()

    twin = copied(layer)

    np.testing.assert_array_equal(twin([4, 2]).data, layer([4, 2]).data)
    assert not np.shares_memory(twin.weight.data, layer.weight.data)


def test_a_state_dict_carries_it_over():
    layer, other = nn.Embedding(5, 3, rng=0), nn.Embedding(5, 3, rng=1)

    other.load_state_dict(layer.state_dict())

    np.testing.assert_array_equal(other([4]).data, layer([4]).data)


def test_evaluation_and_freezing_change_no_number():
    layer = nn.Embedding(5, 3, rng=0)
    before = layer([1, 2]).data
    layer.weight.requires_grad = False

    output = layer.eval()([1, 2])

    np.testing.assert_array_equal(output.data, before)
    assert not output.requires_grad
