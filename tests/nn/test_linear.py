"""The dense layer: its parameters, where they come from, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.nn import initializers


def test_linear_holds_weight_out_in_and_a_bias_of_zeros():
    layer = nn.Linear(3, 2, rng=0)

    assert layer.weight.shape == (2, 3)
    assert layer.weight.name == "weight"
    assert layer.bias.name == "bias"
    np.testing.assert_array_equal(layer.bias.data, [0.0, 0.0])
    assert all(p.requires_grad and p.is_leaf for p in layer.parameters())
    assert all(p.dtype == np.float64 for p in layer.parameters())


def test_linear_without_bias_has_one_parameter():
    layer = nn.Linear(3, 2, bias=False)

    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer.bias is None
    np.testing.assert_array_equal(layer(np.zeros((1, 3))).data, [[0.0, 0.0]])


def test_linear_takes_integers():
    layer = nn.Linear(3, 2, rng=0)

    out = layer(np.array([[1, 2, 3]], np.uint8))

    np.testing.assert_array_equal(out.data, layer(np.array([[1.0, 2.0, 3.0]])).data)


def test_the_lectures_neuron():
    neuron = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    neuron.load_state_dict({"0.weight": [[0.0, 1.0]], "0.bias": [4.0]})

    out = neuron([2.0, 3.0])

    assert out.item() == 1 / (1 + np.exp(-7.0))
    assert round(out.item(), 3) == 0.999


NAMES = [name for name in initializers.__all__ if name != "named"]
SOURCES = {
    "seed": lambda: 7,
    "numpy seed": lambda: np.int64(7),
    "Generator": lambda: np.random.default_rng(7),
    "RandomState": lambda: np.random.RandomState(7),
}


@pytest.mark.parametrize("init", NAMES)
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_weights_are_those_of_the_initialiser_and_its_source(init, source):
    layer = nn.Linear(5, 4, init=init, rng=source())

    expected = getattr(initializers, init)((4, 5), source())
    np.testing.assert_array_equal(layer.weight.data, expected)


def test_a_generator_is_drawn_from_on_and_on():
    rng = np.random.default_rng(0)

    first, second = (nn.Linear(3, 2, rng=rng).weight.data for _ in range(2))

    both = initializers.glorot_uniform((4, 3), 0)
    assert np.all(first != second)
    # bounds depend on the shape, the numbers drawn do not
    np.testing.assert_allclose(
        np.vstack([first, second]), both * np.sqrt(7 / 5), rtol=1e-14
    )


def test_without_a_source_no_two_layers_are_alike():
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)

    assert np.all(first.weight.data != second.weight.data)


def test_making_layers_leaves_numpys_global_generator_alone():
    before = np.random.get_state()[1].copy()

    nn.Linear(3, 2)
    nn.Linear(3, 2, rng=0)

    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_the_default_initialiser_is_glorot_uniform():
    np.testing.assert_array_equal(
        nn.Linear(3, 2, rng=0).weight.data,
        nn.Linear(3, 2, rng=0, init="glorot_uniform").weight.data,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda init, rng: nn.Linear(3, 2, init=init, rng=rng).weight,
        lambda init, rng: nn.Conv1d(3, 2, 1, init=init, rng=rng).weight,
        lambda init, rng: nn.Embedding(2, 3, init=init, rng=rng).weight,
    ],
    ids=["Linear", "Conv1d", "Embedding"],
)
def test_an_initialiser_of_ones_own_is_given_a_generator(make):
    def drawn(shape, rng):
        return rng.standard_normal(shape)

    seeded, unseeded = make(drawn, 5), make(drawn, None)

    expected = np.random.default_rng(5).standard_normal((2, 3))
    np.testing.assert_array_equal(seeded.data.reshape(2, 3), expected)
    assert np.all(unseeded.data != seeded.data)


def test_weights_are_a_copy_of_what_the_initialiser_returned():
    weights = np.ones((2, 3))
    layer = nn.Linear(3, 2, init=lambda shape, rng: weights)

    weights[...] = 7

    np.testing.assert_array_equal(layer.weight.data, np.ones((2, 3)))


@pytest.mark.parametrize(
    "sizes", [(0, 1), (1, 0), (-1, 2), (2.0, 1), ("3", 2), (None, 1)]
)
def test_sizes_must_be_positive_integers(sizes):
    first, second = map(repr, sizes)

    with pytest.raises(
        ValueError, match=f"positive integers, got {first} and {second}"
    ):
        nn.Linear(*sizes)


def test_sizes_may_be_numpys_integers():
    assert nn.Linear(np.int64(3), np.uint8(2)).weight.shape == (2, 3)


@pytest.mark.parametrize("init", ["he", None, ["he_normal"], 3])
def test_an_unknown_initialiser_is_answered_with_the_known_ones(init):
    with pytest.raises(
        ValueError, match=r"init must be one of standard_normal, .* got"
    ):
        nn.Linear(3, 2, init=init)


def test_an_initialiser_that_returns_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"init returned shape \(3, 2\), not \(2, 3\)"):
        nn.Linear(3, 2, init=lambda shape, rng: np.ones(shape).T)


@pytest.mark.parametrize("rng", ["7", 1.5, True, np.random])
def test_what_is_no_source_of_random_numbers_is_refused(rng):
    with pytest.raises(TypeError, match=r"rng must be a seed \(int\)"):
        nn.Linear(3, 2, rng=rng)


@pytest.mark.parametrize("dtype", [int, bool, complex])
def test_parameters_must_be_real_floating_point_numbers(dtype):
    with pytest.raises(TypeError, match="real"):
        nn.Linear(3, 2, dtype=dtype)


def test_gradients_of_many_leading_axes_are_those_of_the_rows(rng):
    layer = nn.Linear(3, 2, rng=rng)
    x = rng.standard_normal((4, 5, 3))
    upstream = rng.standard_normal((4, 5, 2))

    te.sum(layer(x) * upstream).backward()
    in_axes = [p.grad for p in layer.parameters()]
    layer.zero_grad()
    te.sum(layer(x.reshape(20, 3)) * upstream.reshape(20, 2)).backward()

    for p, g in zip(layer.parameters(), in_axes, strict=True):
        assert_near(g, p.grad, 1e-14, p.name)
