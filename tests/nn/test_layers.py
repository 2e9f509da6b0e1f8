"""Every layer: values against plain NumPy, derivatives against differences, copies."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from numeric import assert_near
from scipy import special, stats

import tinygrad_edu as te
from tinygrad_edu import nn

# ------------------------------------------------------------------ references


def windows(x, size, stride, padding, dilation, fill):
    """Every window of (N, C, H, W), with its place: a loop over the places."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = size, stride, padding, dilation
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    down = range(0, x.shape[2] - dh * (kh - 1), sh)
    across = range(0, x.shape[3] - dw * (kw - 1), sw)
    for (i, top), (j, left) in product(enumerate(down), enumerate(across)):
        rows = slice(top, top + dh * (kh - 1) + 1, dh)
        columns = slice(left, left + dw * (kw - 1) + 1, dw)
        yield (slice(None), slice(None), i, j), x[:, :, rows, columns]


def collected(pairs):
    """An array of what stands at each place, from pairs of a place and numbers."""
    pairs = list(pairs)
    size = [max(place[axis] for place, _ in pairs) + 1 for axis in (2, 3)]
    out = np.empty((*pairs[0][1].shape, *size))
    for place, numbers in pairs:
        out[place] = numbers
    return out


def convolved(stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
    def by_hand(x, w, b=None):
        flat = x.ndim == 3
        x, w = (x[:, :, None], w[:, :, None]) if flat else (x, w)
        seen = windows(x, w.shape[2:], stride, padding, dilation, 0.0)
        out = collected(
            (place, np.tensordot(part, w, ((1, 2, 3), (1, 2, 3))))
            for place, part in seen
        )
        out = out if b is None else out + b[:, None, None]
        return out[:, :, 0] if flat else out

    return by_hand


def pooled(reduce, fill, size, stride, padding=(0, 0), dilation=(1, 1)):
    def by_hand(x):
        flat = x.ndim == 3
        x = x[:, :, None] if flat else x
        seen = windows(x, size, stride, padding, dilation, fill)
        out = collected((place, reduce(part, axis=(2, 3))) for place, part in seen)
        return out[:, :, 0] if flat else out

    return by_hand


def batch_normalised(eps=1e-5):
    def by_hand(x, weight=(1.0,) * 3, bias=(0.0,) * 3):
        out = np.empty_like(x)
        for c in range(3):
            numbers = x[:, c].ravel().tolist()
            mean = math.fsum(numbers) / len(numbers)
            variance = math.fsum((v - mean) ** 2 for v in numbers) / len(numbers)
            scale = weight[c] / math.sqrt(variance + eps)
            out[:, c] = (x[:, c] - mean) * scale + bias[c]
        return out

    return by_hand


def layer_normalised(count, eps=1e-5):
    def by_hand(x, weight=1.0, bias=0.0):
        rows = x.reshape(-1, math.prod(x.shape[x.ndim - count :]))
        out = [
            [(v - row.mean()) / math.sqrt(row.var() + eps) for v in row] for row in rows
        ]
        return np.reshape(out, x.shape) * weight + bias

    return by_hand


# ------------------------------------------------------------------------ samples


class Shifted(nn.Layer):
    """A layer of one's own: three lines and a forward."""

    def __init__(self, dtype=np.float64):
        zeros = np.zeros(3)
        self.by = te.tensor(zeros, requires_grad=True, dtype=dtype)

    def forward(self, x):
        return te.sin(x + self.by)


class Sample(NamedTuple):
    """A layer, and the same in plain NumPy, of x and the parameters."""

    layer: Callable[..., nn.Layer]  # of a dtype
    by_hand: Callable[..., np.ndarray]
    shapes: tuple[tuple[int, ...], ...] = ((3,), (2, 3), (2, 2, 3))  # of inputs


def activation(make, by_hand):
    return Sample(lambda dtype: make(), by_hand, ((3,), (2, 3)))


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(x))


def dense(x, w, b=0.0):
    return np.einsum("...i,oi->...o", x, w) + b


def chain(dtype):
    return nn.Sequential(
        nn.Linear(3, 4, rng=3, dtype=dtype),
        nn.Tanh(),
        nn.Linear(4, 2, rng=4, dtype=dtype),
    )


SEQUENCE, IMAGES = (2, 3, 5), (1, 3, 4, 5)
ROWS = ((4, 3), (4, 3, 5))
SAMPLES = {
    "linear": Sample(lambda dtype: nn.Linear(3, 4, rng=1, dtype=dtype), dense),
    "linear without bias": Sample(
        lambda dtype: nn.Linear(3, 4, bias=False, rng=2, dtype=dtype), dense
    ),
    "sigmoid": activation(nn.Sigmoid, special.expit),
    "tanh": activation(nn.Tanh, np.tanh),
    "relu": activation(nn.ReLU, lambda x: np.where(x > 0, x, 0)),
    "leaky relu": activation(
        lambda: nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)
    ),
    "elu": activation(lambda: nn.ELU(0.7), lambda x: elu(x, 0.7)),
    "selu": activation(
        nn.SELU,
        lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    ),
    "gelu": activation(nn.GELU, lambda x: x * stats.norm.cdf(x)),
    "gelu by tanh": activation(
        lambda: nn.GELU("tanh"),
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": activation(nn.SiLU, lambda x: x / (1 + np.exp(-x))),
    "mish": activation(nn.Mish, lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
    "hard tanh": activation(
        lambda: nn.Hardtanh(-0.4, 0.6), lambda x: np.minimum(np.maximum(x, -0.4), 0.6)
    ),
    "softplus": activation(nn.Softplus, lambda x: np.log(1 + np.exp(x))),
    "softsign": activation(nn.Softsign, lambda x: x / (1 + abs(x))),
    "softmax": activation(nn.Softmax, lambda x: special.softmax(x, axis=-1)),
    "softmax of columns": activation(
        lambda: nn.Softmax(axis=0), lambda x: special.softmax(x, axis=0)
    ),
    "log softmax": activation(nn.LogSoftmax, lambda x: special.log_softmax(x, axis=-1)),
    "conv1d": Sample(
        lambda dtype: nn.Conv1d(3, 4, 2, rng=5, dtype=dtype), convolved(), (SEQUENCE,)
    ),
    "conv1d, all options": Sample(
        lambda dtype: nn.Conv1d(3, 2, 3, 2, 1, 2, bias=False, rng=5, dtype=dtype),
        convolved((1, 2), (0, 1), (1, 2)),
        (SEQUENCE, (1, 3, 4)),
    ),
    "conv2d": Sample(
        lambda dtype: nn.Conv2d(3, 4, 2, rng=5, dtype=dtype), convolved(), (IMAGES,)
    ),
    "conv2d, all options": Sample(
        lambda dtype: nn.Conv2d(
            3, 2, (2, 3), (2, 1), (1, 0), (1, 2), rng=5, dtype=dtype
        ),
        convolved((2, 1), (1, 0), (1, 2)),
        (IMAGES,),
    ),
    "conv2d, same": Sample(
        lambda dtype: nn.Conv2d(3, 2, 3, padding="same", rng=5, dtype=dtype),
        convolved(padding=(1, 1)),
        ((2, 3, 4, 3),),
    ),
    "conv1d, same, of an even size": Sample(
        lambda dtype: nn.Conv1d(3, 2, 4, padding="same", rng=5, dtype=dtype),
        lambda x, w, b: convolved()(np.pad(x, ((0, 0), (0, 0), (1, 2))), w, b),
        ((2, 3, 5),),
    ),
    "max pool 1d": Sample(
        lambda dtype: nn.MaxPool1d(3, 2, 1),
        pooled(np.max, -np.inf, (1, 3), (1, 2), (0, 1)),
        (SEQUENCE,),
    ),
    "max pool 2d": Sample(
        lambda dtype: nn.MaxPool2d(2),
        pooled(np.max, -np.inf, (2, 2), (2, 2)),
        (IMAGES,),
    ),
    "max pool 2d, all options": Sample(
        lambda dtype: nn.MaxPool2d((2, 3), (1, 2), (1, 0), (2, 1)),
        pooled(np.max, -np.inf, (2, 3), (1, 2), (1, 0), (2, 1)),
        (IMAGES,),
    ),
    "avg pool 1d": Sample(
        lambda dtype: nn.AvgPool1d(2),
        pooled(np.mean, 0.0, (1, 2), (1, 2)),
        (SEQUENCE,),
    ),
    "avg pool 2d": Sample(
        lambda dtype: nn.AvgPool2d((2, 3), 1, 1),
        pooled(np.mean, 0.0, (2, 3), (1, 1), (1, 1)),
        (IMAGES,),
    ),
    "flatten": Sample(
        lambda dtype: nn.Flatten(), lambda x: x.reshape(len(x), -1), (IMAGES, (2, 3))
    ),
    "batch norm 1d": Sample(
        lambda dtype: nn.BatchNorm1d(3, dtype=dtype), batch_normalised(), ROWS
    ),
    "batch norm 1d without weights": Sample(
        lambda dtype: nn.BatchNorm1d(3, 0.1, affine=False, dtype=dtype),
        batch_normalised(0.1),
        ROWS,
    ),
    "batch norm 1d in evaluation": Sample(
        lambda dtype: nn.BatchNorm1d(3, dtype=dtype).eval(),
        lambda x, weight, bias: (
            np.einsum("nc...,c->nc...", x / math.sqrt(1 + 1e-5), weight)
            + bias.reshape(3, *(1,) * (x.ndim - 2))
        ),
        ROWS,
    ),
    "batch norm 2d": Sample(
        lambda dtype: nn.BatchNorm2d(3, dtype=dtype),
        batch_normalised(),
        ((2, 3, 2, 2),),
    ),
    "layer norm": Sample(
        lambda dtype: nn.LayerNorm(3, dtype=dtype), layer_normalised(1)
    ),
    "layer norm over two axes": Sample(
        lambda dtype: nn.LayerNorm((2, 3), 0.1, dtype=dtype),
        layer_normalised(2, 0.1),
        ((2, 3), (2, 2, 3)),
    ),
    "layer norm without weights": Sample(
        lambda dtype: nn.LayerNorm(3, elementwise_affine=False), layer_normalised(1)
    ),
    "dropout in evaluation": Sample(lambda dtype: nn.Dropout(0.5).eval(), lambda x: x),
    "residual": Sample(
        lambda dtype: nn.Residual(nn.Linear(3, 3, rng=6, dtype=dtype)),
        lambda x, w, b: x + dense(x, w, b),
    ),
    "sequential": Sample(
        chain, lambda x, w1, b1, w2, b2: dense(np.tanh(dense(x, w1, b1)), w2, b2)
    ),
    "empty sequential": Sample(lambda dtype: nn.Sequential(), lambda x: x),
    "one's own": Sample(lambda dtype: Shifted(dtype), lambda x, by: np.sin(x + by)),
}


every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
every_shape = pytest.mark.parametrize(
    ("sample", "shape"),
    [(sample, shape) for sample in SAMPLES.values() for shape in sample.shapes],
    ids=[f"{name} {shape}" for name, s in SAMPLES.items() for shape in s.shapes],
)


def randomised(sample, rng, dtype=np.float64):
    """The layer with parameters none of which is zero, and these as arrays."""
    layer = sample.layer(dtype)
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    return layer, [np.array(p.data) for p in layer.parameters()]


def numbers(output):
    return np.asarray(output.data if isinstance(output, te.Tensor) else output)


def copies():
    return pytest.mark.parametrize(
        "copied",
        [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
        ids=["deepcopy", "pickle"],
    )


def test_every_layer_of_the_library_is_tested_here():
    elsewhere = {  # in files of their own
        "Activation",
        "Layer",
        "Embedding",
        "LSTM",
        "MultiHeadAttention",
        "RNN",
    }
    layers = {
        name for name in nn.__all__ if isinstance(vars(nn)[name], type)
    } - elsewhere

    sampled = {type(sample.layer(np.float64)).__name__ for sample in SAMPLES.values()}

    assert sampled - {"Shifted"} == layers


# --------------------------------------------------------------- values, derivatives


@every_shape
def test_values_are_those_of_numpy(sample, shape, rng):
    layer, parameters = randomised(sample, rng)
    x = rng.standard_normal(shape)

    out = numbers(layer(te.tensor(x)))

    assert_near(out, sample.by_hand(x, *parameters), 1e-14, "value")


@every_sample
def test_arrays_and_lists_are_taken_as_tensors_are(sample, rng):
    layer, parameters = randomised(sample, rng)
    x = rng.standard_normal(sample.shapes[-1])
    before = x.copy()

    out = [numbers(y) for y in (layer(x), layer(x.tolist()))]

    expected = sample.by_hand(x, *parameters)
    assert_near(out[0], expected, 1e-14, "of an array")
    assert_near(out[1], expected, 1e-14, "of a list")
    np.testing.assert_array_equal(x, before)


@every_shape
def test_derivatives_of_first_and_second_order_are_the_differences(sample, shape, rng):
    layer, parameters = randomised(sample, rng)

    report = te.gradcheck(layer, rng.standard_normal(shape), order=2)

    checked = {r.name for r in report.inputs}
    assert {"x", *(name for name, _ in layer.named_parameters())} <= checked
    assert len(layer.parameters()) == len(parameters)


# ------------------------------------------------------------------------- float32


@every_sample
def test_float32_stays_float32_through_gradients_and_training(sample, rng):
    layer, _ = randomised(sample, rng, np.float32)
    x = rng.standard_normal(sample.shapes[-1])
    x = te.tensor(x, requires_grad=True, dtype=np.float32)
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
    assert all(buffer.dtype == np.float32 for _, buffer in layer.named_buffers())


@every_sample
def test_float32_second_derivatives_are_float32(sample, rng):
    layer, _ = randomised(sample, rng, np.float32)
    x = rng.standard_normal(sample.shapes[-1])
    x = te.tensor(x, requires_grad=True, dtype=np.float32)
    leaves = [x, *layer.parameters()]
    out = layer(x)

    first = te.gradients(te.sum(out * out), leaves, create_graph=True)
    second = te.gradients(sum(te.sum(g * g) for g in first), leaves)

    assert (
        {g.dtype for g in first} == {g.dtype for g in second} == {np.dtype("float32")}
    )


@every_sample
def test_float32_gives_the_numbers_of_float64(sample, rng):
    single, parameters = randomised(sample, rng, np.float32)
    x = rng.standard_normal(sample.shapes[-1]).astype(np.float32)

    out = numbers(single(x))

    expected = sample.by_hand(*(a.astype(np.float64) for a in (x, *parameters)))
    assert_near(out, expected, 1e-6, "value")


# --------------------------------------------------------------- copies and freezing


@every_sample
@copies()
def test_a_copy_of_a_called_layer_computes_the_same_and_shares_nothing(
    sample, copied, rng
):
    layer, _ = randomised(sample, rng)
    x = rng.standard_normal(sample.shapes[-1])
    layer(te.tensor(x, requires_grad=True))

    twin = copied(layer)

    np.testing.assert_array_equal(numbers(twin(x)), numbers(layer(x)))
    assert repr(twin) == repr(layer)
    for ours, theirs in zip(layer._named(), twin._named(), strict=True):
        assert ours[0] == theirs[0]
        assert ours[1] is not theirs[1]
        if not isinstance(ours[1], nn.Layer):
            assert not np.shares_memory(numbers(ours[1]), numbers(theirs[1]))


@every_sample
def test_a_state_makes_a_fresh_layer_the_same(sample, rng):
    layer, _ = randomised(sample, rng)
    fresh, _ = randomised(sample, rng)
    x = rng.standard_normal(sample.shapes[-1])
    layer(x)  # moves the running statistics

    fresh.load_state_dict(layer.state_dict())

    np.testing.assert_array_equal(numbers(fresh.eval()(x)), numbers(layer.eval()(x)))


@every_sample
def test_a_frozen_layer_hands_the_gradient_on_and_gets_none(sample, rng):
    layer, _ = randomised(sample, rng)
    x = te.tensor(rng.standard_normal(sample.shapes[-1]), requires_grad=True)
    te.sum(layer(x) * 2.0).backward()
    expected, x.grad = x.grad, None
    layer.zero_grad()

    for p in layer.parameters():
        p.requires_grad = False
    te.sum(layer(x) * 2.0).backward()

    np.testing.assert_array_equal(x.grad, expected)
    assert all(p.grad is None for p in layer.parameters())


# ----------------------------------------------------------------- independent rows

MIXED = {
    "softmax of columns",
    "batch norm 1d",
    "batch norm 1d without weights",
    "batch norm 2d",
    "one's own",  # whose author did not say
}


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_are_independent_where_a_layer_says_so(name, rng):
    layer, _ = randomised(SAMPLES[name], rng)
    x = rng.standard_normal((3, *SAMPLES[name].shapes[-1][1:]))

    together = numbers(layer(x))

    assert layer.independent_rows == (name not in MIXED)
    if layer.independent_rows:
        alone = np.concatenate([numbers(layer(x[i : i + 1])) for i in range(3)])
        assert_near(together, alone, 1e-14, "row by row")


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Flatten()), True),
        (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), False),
        (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval(), True),
        (nn.Sequential(nn.Linear(3, 2), Shifted()).eval(), False),
        (nn.Residual(nn.Sequential(nn.BatchNorm1d(2))), False),
        (nn.Residual(nn.Sequential(nn.BatchNorm1d(2))).eval(), True),
        (nn.Residual(nn.Tanh()), True),
        (nn.Sequential(nn.Dropout(0.5)), False),
        (nn.Sequential(nn.Dropout(0.0)), True),
        (nn.Sequential(nn.Dropout(0.5)).eval(), True),
        (nn.Softmax(axis=1), True),
        (nn.LogSoftmax(axis=-2), False),
        (nn.Layer(), False),
    ],
)
def test_containers_and_modes_decide_about_rows(layer, expected):
    assert layer.independent_rows is expected


# ---------------------------------------------------------------- all of it together


def everything(dtype=np.float64):
    rng = np.random.default_rng(0)

    def conv(n, m):
        return nn.Conv2d(n, m, 3, padding="same", rng=rng, dtype=dtype)

    return nn.Sequential(
        conv(1, 3),
        nn.BatchNorm2d(3, dtype=dtype),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Residual(nn.Sequential(conv(3, 3), nn.SiLU(), nn.Dropout(0.1, rng=rng))),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 3, rng=rng, dtype=dtype),
        nn.LayerNorm(3, dtype=dtype),
        Shifted(dtype),
        nn.Linear(3, 2, rng=rng, dtype=dtype),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sequence_of_everything_learns(dtype, rng):
    model = everything(dtype)
    labels = np.arange(32) % 2
    x = rng.standard_normal((32, 1, 8, 8)).astype(dtype)
    x[labels == 1, 0, :4] += 2.0
    optimizer = te.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    for _ in range(40):
        optimizer.zero_grad()
        nn.softmax_cross_entropy(model(x), labels).backward()
        optimizer.step()
    out = model.eval()(x)

    assert out.dtype == dtype
    assert np.mean(np.argmax(out.data, axis=1) == labels) > 0.9
    assert all(p.grad.dtype == dtype for p in model.parameters())


def test_a_sequence_of_everything_has_the_derivatives_of_the_differences(rng):
    model = everything().eval()

    te.gradcheck(model, rng.standard_normal((1, 1, 8, 8)), rtol=1e-5)


@copies()
def test_a_copy_of_everything_goes_on_as_the_original_would(copied, rng):
    model = everything()
    x = rng.standard_normal((4, 1, 8, 8))
    model(x)

    twin = copied(model)

    # in training: the same masks, from generators of their own
    np.testing.assert_array_equal(twin(x).data, model(x).data)
    np.testing.assert_array_equal(twin(x).data, model(x).data)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], array, err_msg=name)


def test_a_state_of_everything_holds_its_buffers():
    state = everything().state_dict()

    assert [name for name in state if "running" in name] == [
        "1.running_mean",
        "1.running_var",
    ]
    assert len(state) == len(everything().parameters()) + 2
