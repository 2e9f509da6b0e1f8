"""The layers: their values against NumPy, their derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numeric import assert_near, finite_differences
from scipy import special

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.nn import initializers


class Sample(NamedTuple):
    """A layer, and the same in plain NumPy, of x and the parameters."""

    layer: Callable[..., nn.Layer]  # of a dtype
    by_hand: Callable[..., np.ndarray]


def chain(dtype):
    return nn.Sequential(
        nn.Linear(3, 4, rng=3, dtype=dtype),
        nn.Tanh(),
        nn.Linear(4, 2, rng=4, dtype=dtype),
    )


SAMPLES = {
    "linear": Sample(
        lambda dtype: nn.Linear(3, 4, rng=1, dtype=dtype),
        lambda x, w, b: np.einsum("...i,oi->...o", x, w) + b,
    ),
    "linear without bias": Sample(
        lambda dtype: nn.Linear(3, 4, bias=False, rng=2, dtype=dtype),
        lambda x, w: np.einsum("...i,oi->...o", x, w),
    ),
    "sigmoid": Sample(lambda dtype: nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    "tanh": Sample(lambda dtype: nn.Tanh(), np.tanh),
    "relu": Sample(lambda dtype: nn.ReLU(), lambda x: np.where(x > 0, x, 0)),
    "softmax": Sample(
        lambda dtype: nn.Softmax(), lambda x: special.softmax(x, axis=-1)
    ),
    "softmax of columns": Sample(
        lambda dtype: nn.Softmax(axis=0), lambda x: special.softmax(x, axis=0)
    ),
    "sequential": Sample(
        chain,
        lambda x, w1, b1, w2, b2: (
            np.einsum(
                "...i,oi->...o", np.tanh(np.einsum("...i,oi->...o", x, w1) + b1), w2
            )
            + b2
        ),
    ),
    "empty sequential": Sample(lambda dtype: nn.Sequential(), lambda x: x),
}
every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
every_shape = pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)], ids=str)


def randomised(sample, rng, dtype=np.float64):
    """The layer with parameters none of which is zero, and these as arrays."""
    layer = sample.layer(dtype)
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    return layer, [np.array(p.data) for p in layer.parameters()]


def value_of(layer):
    """The layer as a function of x and its parameters, from arrays to an array."""

    def value(x, *parameters):
        for p, array in zip(layer.parameters(), parameters, strict=True):
            p.data = array
        with te.no_grad():
            return layer(te.tensor(x)).numpy()

    return value


def gradients_of(layer, upstream):
    """Gradients of Σ out² · upstream by x and the parameters, likewise."""

    def first(x, *parameters):
        for p, array in zip(layer.parameters(), parameters, strict=True):
            p.data = array
        x = te.tensor(x, requires_grad=True)
        out = layer(x)
        return te.gradients(te.sum(out * out * upstream), [x, *layer.parameters()])

    return first


@every_sample
@every_shape
def test_values_are_those_of_numpy(sample, shape, rng):
    layer, parameters = randomised(sample, rng)
    x = rng.standard_normal(shape)

    out = value_of(layer)(x, *parameters)

    assert_near(out, sample.by_hand(x, *parameters), 1e-14, "value")


@every_sample
def test_arrays_and_lists_are_taken_as_tensors_are(sample, rng):
    layer, parameters = randomised(sample, rng)
    x = rng.standard_normal((2, 3))
    before = x.copy()

    out = [np.asarray(getattr(y, "data", y)) for y in (layer(x), layer(x.tolist()))]

    expected = sample.by_hand(x, *parameters)
    assert_near(out[0], expected, 1e-14, "of an array")
    assert_near(out[1], expected, 1e-14, "of a list")
    np.testing.assert_array_equal(x, before)


@every_sample
@every_shape
def test_first_derivatives_are_the_finite_differences(sample, shape, rng):
    layer, parameters = randomised(sample, rng)
    inputs = [rng.standard_normal(shape), *parameters]
    upstream = rng.standard_normal(np.shape(value_of(layer)(*inputs)))

    actual = gradients_of(layer, upstream)(*inputs)

    def squares(*arrays):
        return value_of(layer)(*arrays) ** 2

    for i, gradient in enumerate(actual):
        expected = finite_differences(squares, inputs, upstream, i)
        assert_near(gradient, expected, 1e-7, f"gradient {i}")


@every_sample
@every_shape
def test_second_derivatives_are_the_finite_differences(sample, shape, rng):
    layer, parameters = randomised(sample, rng)
    inputs = [rng.standard_normal(shape), *parameters]
    upstream = rng.standard_normal(np.shape(value_of(layer)(*inputs)))
    weights = [rng.standard_normal(x.shape) for x in inputs]

    x = te.tensor(inputs[0], requires_grad=True)
    for p, array in zip(layer.parameters(), parameters, strict=True):
        p.data = array
    leaves = [x, *layer.parameters()]
    out = layer(x)
    first = te.gradients(te.sum(out * out * upstream), leaves, create_graph=True)
    total = sum(te.sum(g * w) for g, w in zip(first, weights, strict=True))
    actual = te.gradients(total, leaves)

    for i, second in enumerate(actual):
        expected = finite_differences(gradients_of(layer, upstream), inputs, weights, i)
        assert_near(second, expected, 1e-6, f"second derivative {i}")


@every_sample
def test_float32_stays_float32_through_gradients_and_training(sample, rng):
    layer, _ = randomised(sample, rng, np.float32)
    x = te.tensor(rng.standard_normal((2, 3)), requires_grad=True, dtype=np.float32)
    optimizer = te.optim.SGD([x, *layer.parameters()], lr=np.float64(0.1), momentum=0.9)

    for _ in range(2):
        optimizer.zero_grad()
        out = layer(x) * 1.0
        loss = nn.mse_loss(out, np.ones(out.shape, np.float32))
        loss.backward()
        optimizer.step()

    assert out.dtype == loss.dtype == np.float32
    for p in [x, *layer.parameters()]:
        assert p.dtype == p.grad.dtype == np.float32


@every_sample
def test_float32_second_derivatives_are_float32(sample, rng):
    layer, _ = randomised(sample, rng, np.float32)
    x = te.tensor(rng.standard_normal((2, 3)), requires_grad=True, dtype=np.float32)
    leaves = [x, *layer.parameters()]
    out = layer(x)

    first = te.gradients(te.sum(out * out), leaves, create_graph=True)
    second = te.gradients(sum(te.sum(g * g) for g in first), leaves)

    assert (
        {g.dtype for g in first} == {g.dtype for g in second} == {np.dtype("float32")}
    )


def test_float32_gives_the_numbers_of_float64(rng):
    single, double = chain(np.float32), chain(np.float64)
    x = rng.standard_normal((5, 3))

    out = single(x.astype(np.float32))

    np.testing.assert_allclose(out.data, double(x).data, rtol=1e-5, atol=1e-6)


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


# ------------------------------------------------------------------------ the kinks


def test_relu_at_its_kink_has_the_derivative_0():
    x = te.tensor([-1.0, -0.0, 0.0, 1.0], requires_grad=True)

    nn.ReLU()(x).sum().backward()

    assert x.grad.tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (nn.Sigmoid, [[0.0, 0.5, 1.0]]),
        (nn.Tanh, [[-1.0, 0.0, 1.0]]),
        (nn.ReLU, [[0.0, 0.0, 1e4]]),
        (nn.Softmax, [[0.0, 0.0, 1.0]]),
    ],
)
def test_activations_are_right_and_silent_at_extremes(kind, expected, dtype):
    x = te.tensor([[-1e4, 0.0, 1e4]], requires_grad=True, dtype=dtype)

    out = kind()(x)
    out.sum().backward()

    np.testing.assert_array_equal(out.data, np.array(expected, dtype))
    assert np.isfinite(x.grad).all()


# ------------------------------------------------------------------------ linear


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


def test_an_initialiser_of_ones_own_is_told_shape_and_source():
    told = []

    def ones(shape, rng):
        told.append((shape, rng))
        return np.ones(shape)

    layer = nn.Linear(3, 2, init=ones, rng=5)

    assert told == [((2, 3), 5)]
    np.testing.assert_array_equal(layer.weight.data, np.ones((2, 3)))


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


# --------------------------------------------------------------- softmax, sequential


def test_softmax_refuses_an_axis_that_is_not_there():
    with pytest.raises(ValueError, match=r"axis 2 .*in layer Softmax '1'"):
        nn.Sequential(nn.Tanh(), nn.Softmax(axis=2))(np.ones((2, 3)))


def test_a_sequence_reads_like_one():
    layers = [nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1)]
    model = nn.Sequential(*layers)

    assert len(model) == 3
    assert list(model) == layers
    assert model[0] is layers[0]
    assert model[-1] is layers[2]
    with pytest.raises(IndexError):
        model[3]


def test_a_layer_of_a_sequence_can_be_replaced():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())

    setattr(model, "1", nn.ReLU())

    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU]
    assert (model(np.ones((4, 3))).data >= 0).all()


def test_sequences_nest():
    flat = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Sigmoid())
    nested = nn.Sequential(
        nn.Linear(3, 2, rng=0), nn.Sequential(nn.Tanh(), nn.Sigmoid())
    )
    x = np.ones((4, 3))

    np.testing.assert_array_equal(nested(x).data, flat(x).data)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([[nn.Tanh()]], r"argument 0 .* got list; write Sequential\(\*layers\) for"),
        ([(nn.Tanh(),)], r"argument 0 .* got tuple; write Sequential\(\*layers\) for"),
        ([nn.Tanh(), nn.ReLU], r"argument 1 .* got type; write ReLU\(\)$"),
        ([np.tanh], "argument 0 must be a Layer, got ufunc$"),
        ([None], "argument 0 must be a Layer, got NoneType$"),
    ],
)
def test_what_is_no_layer_is_refused_with_what_to_write(layers, message):
    with pytest.raises(TypeError, match=message):
        nn.Sequential(*layers)
