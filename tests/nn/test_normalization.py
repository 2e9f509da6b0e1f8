"""Normalisation: running statistics, large means, modes, shapes that misfit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn

BATCHES = [
    (nn.BatchNorm1d, (6, 3)),
    (nn.BatchNorm1d, (4, 3, 5)),
    (nn.BatchNorm2d, (2, 3, 4, 5)),
]
every_batch = pytest.mark.parametrize(("kind", "shape"), BATCHES)


def refused(model, x):
    with pytest.raises(ValueError, match="got") as caught:
        model(x)
    return str(caught.value)


# -------------------------------------------------------------- running statistics


@every_batch
def test_running_statistics_follow_the_batches(kind, shape, rng):
    layer = kind(3, momentum=0.3)
    mean, variance = [0.0] * 3, [1.0] * 3

    for _ in range(3):
        x = rng.normal(5.0, 2.0, shape)
        layer(x)
        for c in range(3):  # PyTorch's convention, by hand
            numbers = x[:, c].ravel()
            n = numbers.size
            unbiased = sum((v - numbers.mean()) ** 2 for v in numbers) / (n - 1)
            mean[c] = 0.7 * mean[c] + 0.3 * numbers.mean()
            variance[c] = 0.7 * variance[c] + 0.3 * unbiased

    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-13)
    np.testing.assert_allclose(layer.running_var, variance, rtol=1e-13)


@every_batch
def test_evaluation_uses_the_running_statistics_and_moves_nothing(kind, shape, rng):
    layer = kind(3)
    layer.load_state_dict(
        {
            "weight": [1.0, 2.0, 3.0],
            "bias": [0.5, 0.0, -1.0],
            "running_mean": [1.0, 2.0, 3.0],
            "running_var": [4.0, 9.0, 0.25],
        }
    )
    before = layer.state_dict()
    x = rng.standard_normal(shape)

    out = layer.eval()(x).data

    for c in range(3):
        mean, variance = before["running_mean"][c], before["running_var"][c]
        weight, bias = before["weight"][c], before["bias"][c]
        expected = weight * (x[:, c] - mean) / math.sqrt(variance + 1e-5) + bias
        assert_near(out[:, c], expected, 1e-14, f"channel {c}")
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_buffers_are_moved_in_place_and_are_in_the_state():
    layer = nn.BatchNorm1d(2)
    running = layer.running_mean

    layer(np.array([[1.0, 2.0], [3.0, 6.0]]))

    assert layer.running_mean is running
    assert [name for name, _ in layer.named_buffers()] == [
        "running_mean",
        "running_var",
    ]
    np.testing.assert_allclose(layer.state_dict()["running_mean"], [0.2, 0.4])


def test_training_between_forward_and_backward_changes_no_gradient(rng):
    layer = nn.BatchNorm1d(3).eval()
    x = te.tensor(rng.standard_normal((4, 3)), requires_grad=True)
    (expected,) = te.gradients((layer(x) ** 2).sum(), [x])

    loss = (layer(x) ** 2).sum()
    held = [numbers_in(node) for node in te.engine.traversal.nodes_of([loss])]
    layer.train()(rng.normal(5.0, 2.0, (4, 3)))
    kept = [numbers_in(node) for node in te.engine.traversal.nodes_of([loss])]

    assert held == kept
    np.testing.assert_array_equal(te.gradients(loss, [x])[0], expected)


def numbers_in(node):
    return [np.asarray(getattr(x, "data", x)).tolist() for x in (node, *node.inputs)]


def test_no_gradient_reaches_the_buffers_and_none_of_the_graph_stays_in_them(rng):
    layer = nn.BatchNorm1d(3)

    layer(te.tensor(rng.standard_normal((4, 3)), requires_grad=True))

    assert type(layer.running_mean) is type(layer.running_var) is np.ndarray
    assert len(layer.parameters()) == 2


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_momentum_is_the_share_of_the_batch(momentum):
    layer = nn.BatchNorm1d(1, momentum=momentum)

    layer(np.array([[1.0], [3.0]]))

    expected = [momentum * 2.0, 1 + momentum * (2.0 - 1)]
    np.testing.assert_array_equal(
        [layer.running_mean[0], layer.running_var[0]], expected
    )


# ------------------------------------------------------------------------- numbers


@every_batch
def test_a_batch_comes_out_with_mean_0_and_variance_1(kind, shape, rng):
    out = kind(3)(rng.normal(5.0, 2.0, shape)).data

    axes = (0, *range(2, len(shape)))
    np.testing.assert_allclose(out.mean(axes), 0, atol=1e-14)
    np.testing.assert_allclose(out.var(axes), 1, rtol=1e-4)  # eps takes a little


@pytest.mark.parametrize(
    ("dtype", "mean", "tolerance"),
    [(np.float64, 1e8, 1e-6), (np.float32, 1e3, 1e-3), (np.float32, -1e3, 1e-3)],
)
@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.LayerNorm])
def test_a_large_mean_costs_no_more_digits_than_it_must(
    kind, dtype, mean, tolerance, rng
):
    # E[x²] - E[x]² would lose all: 10¹⁶ + 1 and 10⁶ + 1 have no digits left for the 1
    x = (rng.standard_normal((64, 64)) + mean).astype(dtype)
    exact = x.astype(np.longdouble)
    axis = 0 if kind is nn.BatchNorm1d else 1
    centred = exact - exact.mean(axis, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis, keepdims=True) + 1e-5)

    out = kind(64, dtype=dtype)(x)

    assert out.dtype == dtype
    assert np.max(np.abs(out.data - expected)) < tolerance


def test_a_large_mean_costs_nothing_in_evaluation(rng):
    layer = nn.BatchNorm1d(3, dtype=np.float32).eval()
    layer.running_mean[...] = 10_000.0
    layer.running_var[...] = 0.01
    x = (10_000 + rng.integers(-4, 4, (5, 3)) / 8).astype(np.float32)

    out = layer(x).data

    # x · scale + (bias - mean · scale) would be off by 0.01
    assert_near(out, (x - 1e4) / math.sqrt(0.01 + 1e-5), 1e-6, "value")


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.LayerNorm(3)], ids=repr)
def test_equal_numbers_become_zeros_with_finite_gradients(layer):
    x = te.tensor(np.full((4, 3), 7.0), requires_grad=True)

    out = layer(x)
    te.sum(out * np.arange(12.0).reshape(4, 3)).backward()

    np.testing.assert_array_equal(out.data, np.zeros((4, 3)))
    assert np.isfinite(x.grad).all()


@every_batch
def test_the_gradient_of_a_shift_of_the_batch_is_0(kind, shape, rng):
    x = te.tensor(rng.standard_normal(shape), requires_grad=True)

    te.sum(kind(3)(x) * rng.standard_normal(shape)).backward()

    axes = (0, *range(2, len(shape)))
    np.testing.assert_allclose(x.grad.sum(axes), 0, atol=1e-13)


def test_layer_norm_does_the_same_in_training_and_evaluation(rng):
    layer = nn.LayerNorm((2, 3))
    x = rng.standard_normal((4, 2, 3))

    np.testing.assert_array_equal(layer.train()(x).data, layer.eval()(x).data)


# ------------------------------------------------------------- what they refuse


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (1, 3)),
        (nn.BatchNorm1d(3), (0, 3)),
        (nn.BatchNorm1d(3), (1, 3, 1)),
        (nn.BatchNorm2d(3), (1, 3, 1, 1)),
    ],
)
def test_one_number_for_a_feature_is_refused_in_training_only(layer, shape):
    before = layer.state_dict()

    message = refused(layer, np.ones(shape))

    assert f"got {shape}: in training it needs more than one number" in message
    assert "drop_last=True" in message
    assert "eval()" in message
    np.testing.assert_array_equal(layer.running_mean, before["running_mean"])
    assert layer.eval()(np.ones(shape)).shape == shape


def test_one_image_has_numbers_enough():
    assert nn.BatchNorm2d(3)(np.ones((1, 3, 2, 2))).shape == (1, 3, 2, 2)


@pytest.mark.parametrize(
    ("layer", "shape", "must"),
    [
        (nn.BatchNorm1d(3), (2, 4), "it must be (N, 3) or (N, 3, L)"),
        (nn.BatchNorm1d(3), (3,), "it must be (N, 3) or (N, 3, L)"),
        (nn.BatchNorm1d(3), (2, 3, 4, 5), "it must be (N, 3) or (N, 3, L)"),
        (nn.BatchNorm2d(3), (2, 3, 4), "it must be (N, 3, H, W)"),
        (nn.BatchNorm2d(3), (2, 4, 3, 3), "it must be (N, 3, H, W)"),
        (nn.LayerNorm(3), (3, 4), "its last axis must be 3"),
        (nn.LayerNorm(3), (), "its last axis must be 3"),
        (nn.LayerNorm((2, 3)), (4, 3, 2), "its last axes must be (2, 3)"),
        (nn.LayerNorm((2, 3)), (3,), "its last axes must be (2, 3)"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_layer_before(layer, shape, must):
    message = refused(nn.Sequential(nn.Tanh(), layer), np.ones(shape))

    kind = repr(layer).replace("(", " '1' (", 1)
    assert message == (
        f"{kind} got {shape}: {must}; the layer before it, Tanh '0', gave {shape}"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.BatchNorm1d(0), "BatchNorm1d: sizes must be positive integers"),
        (lambda: nn.BatchNorm1d(2.0), "sizes must be positive integers"),
        (lambda: nn.BatchNorm2d(2, -1e-5), "BatchNorm2d: eps must not be negative"),
        (lambda: nn.BatchNorm2d(2, momentum=1.5), "momentum must lie in 0..1, got 1.5"),
        (lambda: nn.LayerNorm(()), "LayerNorm: sizes must be positive integers"),
        (lambda: nn.LayerNorm((2, 0)), "sizes must be positive integers"),
        (lambda: nn.LayerNorm(3, float("nan")), "eps must not be negative, got nan"),
    ],
)
def test_numbers_out_of_range_are_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -------------------------------------------------------------------- how they read


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.BatchNorm1d(3), "BatchNorm1d(3)"),
        (
            nn.BatchNorm2d(3, 0.1, 0.2, False),
            "BatchNorm2d(3, eps=0.1, momentum=0.2, affine=False)",
        ),
        (nn.LayerNorm(3), "LayerNorm(3)"),
        (
            nn.LayerNorm([2, 3], 0.1, False),
            "LayerNorm(2 x 3, eps=0.1, elementwise_affine=False)",
        ),
    ],
)
def test_a_layer_reads_as_it_was_made(layer, text):
    assert repr(layer) == text
