"""Convolution and pooling layers: sizes, padding, initialisers, shapes that misfit."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.nn import initializers


def refused(model, x):
    with pytest.raises(ValueError, match="got") as caught:
        model(x)
    return str(caught.value)


# ------------------------------------------------------------------------- weights


def test_a_convolution_holds_kernels_and_a_bias_of_zeros():
    layer = nn.Conv2d(3, 8, (2, 5), rng=0)

    assert layer.weight.shape == (8, 3, 2, 5)
    np.testing.assert_array_equal(layer.bias.data, np.zeros(8))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert [p.name for p in layer.parameters()] == ["weight", "bias"]


def test_a_convolution_without_bias_has_one_parameter():
    layer = nn.Conv1d(3, 8, 2, bias=False)

    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer.weight.shape == (8, 3, 2)


@pytest.mark.parametrize("init", ["glorot_uniform", "glorot_normal", "he_normal"])
def test_weights_are_those_of_the_initialiser_and_its_source(init):
    layer = nn.Conv2d(3, 8, 5, init=init, rng=7)

    expected = getattr(initializers, init)((8, 3, 5, 5), 7)
    np.testing.assert_array_equal(layer.weight.data, expected)


def test_the_default_initialiser_is_glorot_uniform_over_all_that_a_place_sees():
    weights = nn.Conv2d(3, 500, 5, rng=0).weight.data

    # a place sums up 3 * 25 numbers, and goes into 500 * 25
    bound = np.sqrt(6 / (75 + 12_500))
    assert 0.999 * bound < weights.max() <= bound


def test_an_initialiser_that_returns_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"Conv1d: init returned shape \(2, 9\), not"):
        nn.Conv1d(3, 2, 3, init=lambda shape, rng: np.ones((2, 9)))


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (2.0, 1), ("3", 2)])
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
def test_channels_must_be_positive_integers(kind, sizes):
    with pytest.raises(
        ValueError, match=f"^{kind.__name__}: in_channels and out_channels must be"
    ):
        kind(*sizes, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nn.Conv2d(1, 1, 0),
            "Conv2d: kernel_size must be .* at least 1, got 0",
        ),
        (lambda: nn.Conv2d(1, 1, (3,)), "kernel_size must be an int or a tuple of 2"),
        (lambda: nn.Conv1d(1, 1, (3, 3)), "Conv1d: kernel_size must be an int, at"),
        (lambda: nn.Conv2d(1, 1, 2.0), "kernel_size must be .* got 2.0"),
        (lambda: nn.Conv2d(1, 1, 3, 0), "stride must be .* at least 1, got 0"),
        (lambda: nn.Conv2d(1, 1, 3, 1, -1), "padding must be .* at least 0, got -1"),
        (lambda: nn.Conv2d(1, 1, 3, 1, 0, 0), "dilation must be .* at least 1, got 0"),
        (lambda: nn.Conv2d(1, 1, 3, 1, "full"), "'same' or 'valid', got 'full'"),
        (lambda: nn.Conv2d(1, 1, 3, 2, "same"), "'same' needs stride 1, got stride=2"),
        (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size must be .* got 0"),
        (lambda: nn.MaxPool2d(2, 0), "stride must be .* got 0"),
        (lambda: nn.MaxPool1d(2, dilation=0), "dilation must be .* got 0"),
        (lambda: nn.AvgPool1d(2, padding=2), "padding must be at most half of kernel_"),
        (lambda: nn.AvgPool2d((2, 2, 2)), "kernel_size must be an int or a tuple of 2"),
    ],
)
def test_sizes_out_of_range_are_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ------------------------------------------------------------------------- padding


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_padding_keeps_the_length(size, dilation):
    layer = nn.Conv1d(2, 3, size, padding="same", dilation=dilation)

    assert layer(np.ones((1, 2, 7))).shape == (1, 3, 7)


def test_same_padding_keeps_height_and_width_of_uneven_kernels():
    layer = nn.Conv2d(1, 1, (2, 3), padding="same", bias=False, rng=0)
    layer.weight.data = np.ones((1, 1, 2, 3))

    out = layer(np.ones((1, 1, 2, 3)))

    # a zero at the left and right, and one more below: none above
    np.testing.assert_array_equal(out.data[0, 0], [[4.0, 6.0, 4.0], [2.0, 3.0, 2.0]])


def test_valid_padding_is_none():
    assert nn.Conv2d(1, 1, 3, padding="valid").padding == (0, 0)


# -------------------------------------------------------------------- how they read


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Conv1d(3, 8, 5), "Conv1d(3 -> 8, 5)"),
        (
            nn.Conv2d(3, 8, (5, 3), 2, 1, 3, bias=False),
            "Conv2d(3 -> 8, 5 x 3, stride=2 x 2, padding=1 x 1, dilation=3 x 3, "
            "bias=False)",
        ),
        (nn.Conv1d(3, 8, 4, padding="same"), "Conv1d(3 -> 8, 4, padding=same)"),
        (nn.MaxPool2d(2), "MaxPool2d(2 x 2)"),
        (nn.MaxPool2d((3, 2), 1, 1), "MaxPool2d(3 x 2, stride=1, padding=1)"),
        (nn.MaxPool1d(3, dilation=2), "MaxPool1d(3, dilation=2)"),
        (nn.AvgPool1d(3, 2), "AvgPool1d(3, stride=2)"),
        (nn.AvgPool2d(2), "AvgPool2d(2 x 2)"),
        (nn.Flatten(), "Flatten()"),
    ],
    ids=repr,
)
def test_a_layer_reads_as_it_was_made(layer, text):
    assert repr(layer) == text


# --------------------------------------------------------------------------- shapes


def test_channels_that_do_not_fit_name_the_layer_and_the_one_before():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3)
    )

    assert refused(model, np.ones((5, 1, 10, 10))) == (
        "Conv2d '3' (4 -> 2, 3 x 3) got (5, 8, 4, 4): it must be (N, 4, H, W); "
        "the layer before it, MaxPool2d '2', gave (5, 8, 4, 4)"
    )


@pytest.mark.parametrize(
    ("layer", "shape", "must"),
    [
        (nn.Conv1d(3, 2, 2), (3, 7), "it must be (N, 3, L)"),
        (nn.Conv1d(3, 2, 2), (1, 7, 3), "it must be (N, 3, L)"),
        (nn.Conv2d(3, 2, 2), (3, 7, 7), "it must be (N, 3, H, W)"),
        (nn.Conv2d(3, 2, 2, padding="same"), (3, 7, 7), "it must be (N, 3, H, W)"),
        (nn.Conv2d(3, 2, 5), (1, 3, 4, 6), "H x W must be at least 5 x 5"),
        (nn.Conv2d(3, 2, 5, 1, 1), (1, 3, 2, 6), "H x W must be at least 3 x 3"),
        (nn.Conv1d(3, 2, 3, 1, 0, 4), (1, 3, 8), "L must be at least 9"),
        (nn.MaxPool2d(2), (3, 7, 7), "it must be (N, C, H, W)"),
        (nn.MaxPool2d(3), (1, 3, 2, 4), "H x W must be at least 3 x 3"),
        (nn.MaxPool1d(2, dilation=3), (1, 3, 3), "L must be at least 4"),
        (nn.AvgPool1d(2), (1, 3, 2, 4), "it must be (N, C, L)"),
        (nn.AvgPool2d((2, 5)), (1, 3, 2, 4), "H x W must be at least 2 x 5"),
        (nn.Flatten(), (3,), "it must be (N, ...), with at least two axes"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_what_would(layer, shape, must):
    model = nn.Sequential(nn.Tanh(), layer)

    message = refused(model, np.ones(shape))

    kind = repr(layer).replace("(", " '1' (", 1).replace(" ()", "")
    assert message == f"{kind} got {shape}: {must}; " + (
        f"the layer before it, Tanh '0', gave {shape}"
    )


def test_no_images_give_no_output():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten())

    assert model(np.ones((0, 1, 8, 8))).shape == (0, 18)


def test_an_input_of_integers_is_taken():
    layer = nn.Conv1d(1, 1, 2, rng=0)
    x = np.arange(4).reshape(1, 1, 4)

    np.testing.assert_array_equal(layer(x).data, layer(x.astype(float)).data)
    assert nn.MaxPool1d(2)(x).tolist() == [[[1, 3]]]


def test_flatten_gives_the_gradient_its_shape_back(rng):
    x = te.tensor(rng.standard_normal((2, 3, 4)), requires_grad=True)
    g = rng.standard_normal((2, 12))

    te.sum(nn.Flatten()(x) * g).backward()

    np.testing.assert_array_equal(x.grad, g.reshape(2, 3, 4))
