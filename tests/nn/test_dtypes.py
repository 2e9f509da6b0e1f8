"""Layers and losses of every dtype, and data of every dtype: as exact as that is.

What is right is the same in float64, of the very numbers that the dtypes hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn

#: How far off the largest number a result may be, by the less exact dtype.
PRECISION = {np.float16: 1e-2, np.float32: 5e-6, np.float64: 1e-12}
INTEGERS = [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int64, np.uint64]


def numbers(shape: tuple[int, ...], dtype: Any, size: int = 3) -> np.ndarray:
    """Whole numbers that the dtype holds, of both signs where it can."""
    kind, rng = np.dtype(dtype).kind, np.random.default_rng(1)
    least = {"b": 0, "u": 0}.get(kind, -size)
    return rng.integers(least, 2 if kind == "b" else size + 1, shape).astype(dtype)


def values_and_slopes(layer: nn.Layer, x: Any) -> list[np.ndarray]:
    """The result, and gradients of a sum of it, with weights, by all that has one."""
    leaves = [t for t in (x, *layer.parameters()) if isinstance(t, te.Tensor)]
    y = layer(x)
    y = y[0] if isinstance(y, tuple) else y
    weights = np.random.default_rng(3).integers(-2, 3, y.shape).astype(y.dtype)
    slopes = te.gradients(te.sum(y * weights), leaves)
    assert [s.dtype for s in slopes] == [leaf.dtype for leaf in leaves]
    return [y.data, *slopes]


def assert_close(got: list[Any], right: list[Any], precision: float, what: str) -> None:
    for one, other in zip(got, right, strict=True):
        largest = max(1.0, np.abs(other).max())
        off = np.abs(np.asarray(one, np.float64) - other).max()
        assert off <= precision * largest, f"{what}: off by {off}, of {largest}"


LAYERS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "Linear": (lambda **how: nn.Linear(4, 3, rng=0, **how), (5, 4)),
    "Conv1d": (lambda **how: nn.Conv1d(2, 3, 3, padding=1, rng=0, **how), (2, 2, 6)),
    "Conv2d": (lambda **how: nn.Conv2d(2, 3, 3, padding=1, rng=0, **how), (2, 2, 4, 5)),
    "BatchNorm1d": (lambda **how: nn.BatchNorm1d(4, **how), (6, 4)),
    "BatchNorm2d": (lambda **how: nn.BatchNorm2d(2, **how), (3, 2, 4, 4)),
    "LayerNorm": (lambda **how: nn.LayerNorm(4, **how), (6, 4)),
    "RNN": (lambda **how: nn.RNN(4, 3, rng=0, **how), (2, 5, 4)),
    "LSTM": (lambda **how: nn.LSTM(4, 3, rng=0, **how), (2, 5, 4)),
    "MultiHeadAttention": (
        lambda **how: nn.MultiHeadAttention(4, 2, causal=True, rng=0, **how),
        (2, 5, 4),
    ),
    "Residual": (lambda **how: nn.Residual(nn.Linear(4, 4, rng=0, **how)), (5, 4)),
    **{
        layer.__name__: (lambda layer=layer, **how: layer(), (2, 3, 4))
        for layer in vars(nn).values()
        if isinstance(layer, type)
        and issubclass(layer, nn.Activation)
        and layer is not nn.Activation
    },
    "Flatten": (lambda **how: nn.Flatten(), (2, 3, 4)),
    "Dropout": (lambda **how: nn.Dropout(0.5, rng=1), (2, 3, 4)),
    "MaxPool1d": (lambda **how: nn.MaxPool1d(3, 2, padding=1), (2, 2, 6)),
    "MaxPool2d": (lambda **how: nn.MaxPool2d(3, 2, padding=1), (2, 2, 5, 5)),
    "AvgPool1d": (lambda **how: nn.AvgPool1d(3, 2, padding=1), (2, 2, 6)),
    "AvgPool2d": (lambda **how: nn.AvgPool2d(3, 2, padding=1), (2, 2, 5, 5)),
}
#: Made of others, or of indices; their tests are in files of their own.
ELSEWHERE = {"Layer", "Activation", "Sequential", "Embedding"}


def test_all_layers_are_here():
    layers = {name for name, x in vars(nn).items() if isinstance(x, type)}

    assert layers == {*LAYERS, *ELSEWHERE}


def in_float64(make: Callable[..., Any], layer: nn.Layer) -> nn.Layer:
    """The same layer, its parameters as exact as they are."""
    twin = make(dtype=np.float64)
    for parameter, given in zip(twin.parameters(), layer.parameters(), strict=True):
        parameter.data = given.data.astype(np.float64)
    return twin


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_each_dtype_gives_what_it_gives_in_float64(name):
    make, shape = LAYERS[name]

    for of_layer in PRECISION:
        for of_data in PRECISION:
            layer, x = make(dtype=of_layer), numbers(shape, of_data)
            got = values_and_slopes(layer, te.tensor(x, requires_grad=True))

            x = te.tensor(x.astype(np.float64), requires_grad=True)
            right = values_and_slopes(in_float64(make, make(dtype=of_layer)), x)
            precision = max(PRECISION[of_layer], PRECISION[of_data])
            assert_close(got, right, precision, f"{of_layer} of {of_data}")


#: Scores of attention from numbers up to 120 are thousands, too far apart for digits.
SIZES = [
    (n, s) for n in LAYERS for s in (3, 120) if (n, s) != ("MultiHeadAttention", 120)
]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_layer_takes_integers_for_the_numbers_that_they_are(name, size):
    make, shape = LAYERS[name]
    for of_layer in PRECISION:
        for of_data in INTEGERS:
            layer, x = make(dtype=of_layer), numbers(shape, of_data, size)
            if layer.parameters():
                got = values_and_slopes(layer, x)
                twin = in_float64(make, make(dtype=of_layer))
                right = values_and_slopes(twin, x * 1.0)
                precision = PRECISION[of_layer]
            else:
                got, right = [np.asarray(layer(x))], [np.asarray(make()(x * 1.0))]
                is_float = got[0].dtype.kind == "f"  # tanh of int8 is float16 in NumPy
                precision = PRECISION[got[0].dtype.type] if is_float else 0.0
            assert_close(got, right, precision, f"{of_layer} of {of_data}")


# ----------------------------------------------------------------------------- losses

ROWS, CLASSES = 6, 4
LABELS = np.array([0, 3, 1, 2, 3, 0])
HOT = np.eye(CLASSES)[LABELS]
WEIGHT = np.array([0.5, 1.0, 2.0, 3.0])
SCORES = np.rint(np.random.default_rng(0).uniform(-3, 3, (ROWS, CLASSES)) * 8) / 8
SHARES = np.random.default_rng(0).integers(1, 16, (ROWS, CLASSES)) / 16

#: A loss, what it is given, its targets, and options.
LOSSES: dict[str, tuple[Any, np.ndarray, np.ndarray, dict[str, Any]]] = {
    "mse_loss": (nn.mse_loss, SCORES, 3 * HOT, {}),
    "l1_loss": (nn.l1_loss, SCORES, 3 * HOT, {}),
    "huber_loss": (nn.huber_loss, SCORES, 3 * HOT, {"delta": 2.0}),
    "hinge_loss": (nn.hinge_loss, SCORES, np.ones_like(HOT), {}),
    "binary_cross_entropy": (nn.binary_cross_entropy, SHARES, HOT, {}),
    "binary_cross_entropy_with_logits": (
        nn.binary_cross_entropy_with_logits,
        SCORES,
        HOT,
        {"pos_weight": WEIGHT},
    ),
    "softmax_cross_entropy": (nn.softmax_cross_entropy, SCORES, LABELS, {}),
    "of one-hot labels": (nn.softmax_cross_entropy, SCORES, HOT, {}),
    "with weights": (nn.softmax_cross_entropy, SCORES, LABELS, {"weight": WEIGHT}),
    "smoothed": (
        nn.softmax_cross_entropy,
        SCORES,
        LABELS,
        {"label_smoothing": 0.1, "weight": WEIGHT, "ignore_index": 3},
    ),
    "nll_loss": (nn.nll_loss, -2 * SHARES, LABELS, {"weight": WEIGHT}),
}


def test_all_losses_are_here():
    losses = {n for n, f in vars(nn).items() if hasattr(f, "mean_over_rows")}

    assert losses <= set(LOSSES)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_each_dtype_gives_what_it_gives_in_float64(name, reduction):
    loss, given, targets, options = LOSSES[name]

    def found(dtype: Any, y: np.ndarray) -> list[np.ndarray]:
        x = te.tensor(given, requires_grad=True, dtype=dtype)
        value = loss(x, y, reduction=reduction, **options)
        (slope,) = te.gradients(te.sum(value), [x])
        assert value.dtype == np.result_type(dtype, *[y] * (y.dtype.kind == "f"))
        return [value.data, slope]

    right = found(np.float64, targets)
    for dtype, precision in PRECISION.items():
        for of_targets in [*INTEGERS, dtype]:
            kind = np.dtype(of_targets).kind
            if targets is LABELS and kind not in "iu":
                continue  # refused: they are numbers of classes
            if kind == "b" and targets.max() > 1:
                continue
            y = targets.astype(of_targets)
            what = f"{dtype}, targets of {of_targets}"
            assert_close(found(dtype, y), right, precision, what)


# ---------------------------------------------------------- many numbers of float16

COUNT = 5_000  # 2048 + 1 is 2048 in float16
ONES = np.ones(COUNT, np.float16)
TWO = np.zeros((70_000, 2), np.float16)  # more rows than its largest number
FIRST = np.zeros(70_000, int)

#: Sums over many, by their first entry: what is made of float16, and what is right.
MANY: dict[str, tuple[Callable[[Any], Any], list[float], float]] = {
    "broadcast": (lambda b: te.sum(b + TWO[:COUNT]), [0, 0], COUNT),
    "bias": (lambda b: te.sum(te.linear(TWO[:COUNT], TWO[:2], b)), [0, 0], COUNT),
    "bias of a convolution": (
        lambda b: te.sum(te.conv1d(TWO[:COUNT, None], TWO[:2, None], b)),
        [0, 0],
        COUNT,
    ),
    "rows of a table": (lambda w: te.sum(te.take(w, [0] * COUNT)), [0, 0], COUNT),
    "tile": (lambda x: te.sum(te.tile(x, COUNT)), [0, 0], COUNT),
    "repeat": (lambda x: te.sum(te.repeat(x, COUNT)), [0, 0], COUNT),
    "einsum": (lambda x: te.sum(te.einsum("i,j->ij", x, ONES)), [0, 0], COUNT),
    "cumsum": (lambda x: te.sum(te.cumsum(te.concatenate([x, ONES]))), [0], COUNT + 1),
}


@pytest.mark.parametrize("name", MANY)
def test_gradients_of_float16_add_up_many(name):
    f, x, right = MANY[name]
    x = te.tensor(x, requires_grad=True, dtype=np.float16)

    with np.errstate(over="ignore"):
        (slope,) = te.gradients(f(x), [x])

    np.testing.assert_allclose(slope[0], right, rtol=1e-3)


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (lambda: te.sum(np.ones((COUNT, 2), np.float16), axis=0)[0], COUNT),
        (lambda: te.cumsum(ONES)[-1], COUNT),
        (lambda: te.einsum("i,i", ONES, ONES), COUNT),
        (lambda: te.norm(np.ones((COUNT, 2), np.float16), axis=0)[0], COUNT**0.5),
        (lambda: te.norm(np.full(4, 300, np.float16)), 600),
        (lambda: te.logsumexp(TWO[:COUNT], axis=0)[0], np.log(COUNT)),
        (lambda: COUNT * float(te.softmax(TWO[:COUNT], axis=0)[0, 0]), 1),
        (lambda: te.log_softmax(TWO[:COUNT], axis=0)[0, 0], -np.log(COUNT)),
        (lambda: nn.mse_loss(np.float16([300, 0, 0, 0]), [0] * 4), 22_500),
        (lambda: nn.huber_loss(np.float16([400, 0, 0, 0]), [0] * 4, delta=500), 20_000),
        (lambda: nn.softmax_cross_entropy(TWO, FIRST, weight=[1, 1]), np.log(2)),
        (lambda: nn.nll_loss(TWO - 0.5, FIRST, weight=[1, 1]), 0.5),
        (
            lambda: nn.softmax_cross_entropy(
                np.zeros((1, 60_000), np.float16), [0], label_smoothing=0.5
            ),
            np.log(60_000),
        ),
    ],
)
def test_values_of_float16_add_up_many(value, right):
    np.testing.assert_allclose(float(value()), right, rtol=2e-3)
