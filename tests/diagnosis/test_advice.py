"""Advice about common mistakes: where it is due, and that it is nowhere else."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.diagnosis.advice import advise, growth

X = np.random.default_rng(0).standard_normal((8, 3))
LABELS = np.arange(8) % 2
YES = (np.arange(8) % 2)[:, None]
PIXELS = np.random.default_rng(1).integers(0, 256, (8, 64))
PIXELS[0, :2] = 0, 255
WORDS = np.arange(48).reshape(8, 6) % 7


def dense(*last, out=2, size=3):
    return nn.Sequential(
        nn.Linear(size, 5, rng=0), nn.Tanh(), nn.Linear(5, out, rng=1), *last
    )


def advice_on(model, loss, x=X, y=LABELS, optimizer=None):
    optimizer = optimizer or te.optim.SGD(model.parameters(), lr=0.1)
    inputs = x if isinstance(x, tuple) else (x,)
    return advise(model, loss, optimizer, x, y, model(*inputs))


class Applied(nn.Layer):
    """A model, and a function of its output."""

    def __init__(self, model, before=lambda x: x, after=lambda x: x):
        self.model, self.before, self.after = model, before, after

    def forward(self, x):
        return self.after(self.model(self.before(x)))


# ----------------------------------------------------------- squashed before the loss


@pytest.mark.parametrize(
    "loss",
    [
        nn.softmax_cross_entropy,
        te.softmax_cross_entropy,
        partial(nn.softmax_cross_entropy, label_smoothing=0.1),
        lambda output, y: nn.softmax_cross_entropy(output, y),
        lambda output, y: 2 * nn.softmax_cross_entropy(te.reshape(output, (8, 2)), y),
    ],
    ids=["loss", "operation", "partial", "lambda", "reshaped in lambda"],
)
@pytest.mark.parametrize("last", [nn.Softmax, nn.Sigmoid])
def test_softmax_or_sigmoid_before_softmax_cross_entropy(loss, last):
    (told,) = advice_on(dense(last()), loss)

    name = last.__name__.lower()
    assert told.startswith(f"the model ends in {name}, but softmax_cross_entropy takes")


def test_softmax_is_seen_through_what_only_arranges():
    model = Applied(dense(nn.Softmax()), after=lambda x: x.reshape(4, 2, 2)[:, 0])

    (told,) = advice_on(model, nn.softmax_cross_entropy, y=LABELS[::2])

    assert "ends in softmax" in told


@pytest.mark.parametrize(
    "loss",
    [
        nn.binary_cross_entropy_with_logits,
        partial(nn.binary_cross_entropy_with_logits, pos_weight=2.0),
    ],
)
def test_sigmoid_before_a_loss_of_logits(loss):
    (told,) = advice_on(dense(nn.Sigmoid(), out=1), loss, y=YES)

    assert "ends in sigmoid, but binary_cross_entropy_with_logits takes" in told


def trained(model, optimizer, rows, labels, steps):
    """Return the loss before the last of so many steps with all rows."""
    for _ in range(steps):
        loss = nn.softmax_cross_entropy(model(rows), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_the_mistake_can_be_seen_in_the_training():
    """A softmax twice keeps every class within a factor e of the others."""
    figures = {}
    for last in ((), (nn.Softmax(),)):
        model = dense(*last)
        optimizer = te.optim.Adam(model.parameters(), lr=0.05)
        figures[len(last)] = trained(model, optimizer, X, LABELS, steps=300)

    assert figures[0] < 0.02
    assert figures[1] > np.log(1 + np.exp(-1)) > 0.3


# -------------------------------------------------------------------- columns and rows


@pytest.mark.parametrize(
    ("output", "y"), [((8, 1), (8,)), ((8,), (8, 1))], ids=["y (N,)", "y (N, 1)"]
)
@pytest.mark.parametrize(
    "loss",
    [
        lambda output, y: te.mean((output - y) ** 2),
        lambda output, y: te.mean(te.absolute(y - output)),
        lambda output, y: te.mean(te.where(output > y, output - y, 0.0)),
    ],
)
def test_a_column_against_a_row_in_a_loss_of_ones_own(output, y, loss):
    model = Applied(dense(out=1), after=lambda x: te.reshape(x, output))

    (told,) = advice_on(model, loss, y=np.linspace(0, 1, 8).reshape(y))

    index = "[:, None]" if len(output) == 2 else "[:, 0]"
    assert f"output has shape {output}, y {y}: pass y{index}" in told
    assert "the loss computes with (8, 8) numbers" in told


@pytest.mark.parametrize(
    "loss",
    [
        lambda output, y: nn.mse_loss(output[:, 0], y),
        lambda output, y: nn.mse_loss(output, y[:, None]),
        lambda output, y: nn.mse_loss(te.ravel(output), y),
        lambda output, y: te.mean((output - y.reshape(-1, 1)) ** 2),
        lambda output, y: -te.sum(te.dot(y, output)),
    ],
)
def test_a_loss_that_brings_the_shapes_together_is_right(loss):
    assert advice_on(dense(out=1), loss, y=np.linspace(0, 1, 8)) == []


def test_one_row_cannot_go_wrong():
    def loss(output, y):
        return te.mean((output - y) ** 2)

    assert advice_on(dense(out=1), loss, X[:1], np.ones(1)) == []


def test_a_loss_that_fails_is_left_to_the_training():
    def loss(output, y):
        raise RuntimeError("mine")

    assert advice_on(dense(out=1), loss, y=np.ones(8)) == []


def test_a_loss_is_called_again_only_where_it_is_suspicious():
    calls = []

    def loss(output, y):
        calls.append(output)
        return te.mean((output - y) ** 2)

    advice_on(dense(out=1), loss, y=YES)
    assert calls == []

    advice_on(dense(out=1), loss, y=YES[:, 0])
    assert len(calls) == 1


# ------------------------------------------------------------------------------ pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_pixels_that_were_not_scaled(dtype):
    model = dense(size=64)

    (told,) = advice_on(model, nn.softmax_cross_entropy, PIXELS.astype(dtype))

    assert "whole numbers from 0 to 255" in told
    assert "X / 255" in told


@pytest.mark.parametrize("wrapped", [False, True])
def test_images_that_were_not_scaled(wrapped):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.Flatten(), nn.Linear(72, 2))
    images = PIXELS.reshape(8, 1, 8, 8).astype(float)

    told = advice_on(
        model, nn.softmax_cross_entropy, te.tensor(images) if wrapped else images
    )

    assert len(told) == 1


@pytest.mark.parametrize(
    "model",
    [
        Applied(dense(size=64), before=lambda x: x / 255),
        nn.Sequential(nn.BatchNorm1d(64), dense(size=64)),
        nn.Sequential(nn.LayerNorm(64), dense(size=64)),
        Applied(dense(size=256), before=lambda x: te.one_hot(x[:, 0], 256)),
        nn.Sequential(nn.Embedding(256, 3, rng=0), Applied(dense(), lambda x: x[:, 0])),
    ],
    ids=["divided", "batch norm", "layer norm", "one-hot", "embedding"],
)
def test_pixels_that_the_model_scales_or_looks_up_are_right(model):
    assert advice_on(model, nn.softmax_cross_entropy, PIXELS) == []


@pytest.mark.parametrize(
    "x",
    [
        PIXELS / 255,
        PIXELS / 255 * 2 - 1,
        (PIXELS > 127).astype(float),
        np.where(PIXELS == 0, -1, PIXELS),
        PIXELS * 0.75,
        PIXELS * 100,
        PIXELS // 16,
    ],
    ids=["0..1", "-1..1", "binary", "signed", "broken", "large", "0..15"],
)
def test_other_numbers_are_no_pixels(x):
    told = advice_on(dense(size=64), nn.softmax_cross_entropy, x)

    assert "pixels" not in " ".join(told)


def test_a_few_columns_are_no_picture():
    ages = np.random.default_rng(0).integers(0, 200, (8, 3))

    assert "pixels" not in " ".join(advice_on(dense(), nn.softmax_cross_entropy, ages))


# ----------------------------------------------------------------------------- columns


def table(*sizes, rows=8):
    """A column for each pair of mean and deviation."""
    x = np.random.default_rng(2).standard_normal((rows, len(sizes)))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    means, deviations = np.transpose(sizes)
    return means + deviations * x


WEIGHT = table((0, 1), (5, 1), (1286, 290))


@pytest.mark.parametrize("wrap", [np.asarray, np.float32, np.int64, te.tensor])
def test_a_column_of_large_numbers(wrap):
    (told,) = advice_on(dense(), nn.softmax_cross_entropy, wrap(WEIGHT))

    means = np.asarray(WEIGHT).astype(getattr(wrap(WEIGHT), "dtype", float)).mean(0)
    assert told == (
        f"in the first batch, column 2 of X has mean {means[2]:.4g} and deviation 290. "
        "Networks learn better from small numbers: train on "
        "(X - X.mean(axis=0)) / X.std(axis=0)"
    )


@pytest.mark.parametrize(
    ("sizes", "column", "more"),
    [
        (((40, 12), (0, 1), (0, 1)), 0, ""),
        (((0, 1), (-40, 12), (0, 1)), 1, ""),
        (((0, 1), (0, 1), (1, 40)), 2, ""),
        (((2000, 10), (0, 1), (0, 40)), 0, ", and 1 more is large"),
        (((2000, 10), (30, 5), (5000, 40)), 2, ", and 2 more are large"),
    ],
)
def test_the_largest_column_is_named_and_others_are_counted(sizes, column, more):
    (told,) = advice_on(dense(), nn.softmax_cross_entropy, table(*sizes))

    mean, deviation = sizes[column]
    assert f"column {column} of X has mean {mean} and deviation {deviation}" in told
    assert f"{more}. Networks" in told


@pytest.mark.parametrize(
    "x",
    [
        table(*[(0, 1)] * 3, rows=100),
        np.linspace(0, 1, 24).reshape(8, 3),
        np.linspace(0, 16, 24).reshape(8, 3),
        table((20, 10), (-20, 10), (0, 25)),
        np.full((8, 3), 1e3),
        WEIGHT[:1],
        WEIGHT * 1e160,
        WEIGHT * [1, 1, np.nan],
    ],
    ids=["standardised", "0..1", "0..16", "toy", "constant", "a row", "huge", "nan"],
)
def test_columns_that_are_small_or_have_no_deviation_are_left_alone(x):
    assert advice_on(dense(), nn.softmax_cross_entropy, x) == []


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.BatchNorm1d(3), dense()),
        nn.Sequential(nn.LayerNorm(3), dense()),
        Applied(dense(), before=lambda x: x / 1000),
    ],
    ids=["batch norm", "layer norm", "divided"],
)
def test_columns_that_the_model_scales_are_right(model):
    assert advice_on(model, nn.softmax_cross_entropy, WEIGHT) == []


def test_scaled_as_the_advice_says_the_column_is_learned_from():
    figures = {}
    y = np.arange(200) % 2
    x = table((0, 1), (0, 1), (1286, 290), rows=200)
    x[:, 2] += 580 * y
    for scaled in (False, True):
        rows = (x - x.mean(axis=0)) / x.std(axis=0) if scaled else x
        model = dense()
        optimizer = te.optim.SGD(model.parameters(), lr=0.1)
        figures[scaled] = trained(model, optimizer, rows, y, steps=100)

    assert figures[False] > 0.6
    assert figures[True] < 0.45


# ---------------------------------------------------------------------- the loss grows


@pytest.mark.parametrize(
    ("first", "mean"), [(2.3, 8993.0), (2.3, np.inf), (0.0, 101.0), (-3.0, 301.0)]
)
def test_a_loss_that_has_grown(first, mean):
    told = growth(first, mean)

    assert told.startswith(f"the loss grew from {first:.4g} to {mean:.4g}: try a tenth")


@pytest.mark.parametrize(
    ("first", "mean"), [(2.3, 229.0), (1e-9, 1.0), (-50.0, 200.0), (np.inf, np.inf)]
)
def test_a_loss_that_was_small_or_has_not_grown_much(first, mean):
    assert growth(first, mean) == ""


# --------------------------------------------------------------------------- precision


def narrow(dtype=np.float32, cast=lambda x: x):
    return Applied(nn.Linear(3, 2, dtype=dtype, rng=0), before=cast)


@pytest.mark.parametrize("wrapped", [False, True])
def test_float64_data_for_a_model_of_float32(wrapped):
    (told,) = advice_on(
        narrow(), nn.softmax_cross_entropy, te.tensor(X) if wrapped else X
    )

    assert told.startswith("the parameters are float32 and X is float64, so that all")
    assert "X.astype(np.float32)" in told


def test_float64_among_several_inputs():
    class Both(nn.Layer):
        def __init__(self):
            self.inner = nn.Linear(3, 2, dtype=np.float32, rng=0)

        def forward(self, a, b):
            return self.inner(a) + self.inner(b)

    (told,) = advice_on(Both(), nn.softmax_cross_entropy, (X.astype(np.float32), X))

    assert "X is float64" in told


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (narrow(), X.astype(np.float32)),
        (narrow(np.float64), X),
        (narrow(np.float64), X.astype(np.float32)),
        (narrow(cast=lambda x: x.astype(np.float32)), X),
        (narrow(cast=lambda x: x * np.float64(2)), X.astype(np.float32)),
        (nn.Sequential(narrow(), nn.Linear(2, 2, rng=0)), X),
        (nn.Sequential(nn.Embedding(7, 2, dtype=np.float32), nn.Flatten()), WORDS),
    ],
    ids=[
        "float32",
        "float64",
        "wider model",
        "cast inside",
        "widened inside",
        "mixed model",
        "words",
    ],
)
def test_types_that_agree_or_are_meant_are_right(model, x):
    assert advice_on(model, nn.softmax_cross_entropy, x) == []


# ----------------------------------------------------------------------- the optimiser


def test_parameters_that_the_optimizer_does_not_hold():
    model = dense()
    optimizer = te.optim.SGD(model[2].parameters(), lr=0.1)

    (told,) = advice_on(model, nn.softmax_cross_entropy, optimizer=optimizer)

    assert "the optimizer does not hold 0.weight, 0.bias of the model" in told


def test_of_many_parameters_a_few_are_named():
    model = nn.Sequential(*(nn.Linear(3, 3, rng=i) for i in range(5)))
    optimizer = te.optim.SGD([model[0].bias], lr=0.1)

    (told,) = advice_on(model, nn.mse_loss, y=X, optimizer=optimizer)

    assert "0.weight, 1.weight, 1.bias, 2.weight and 5 more of the model" in told


def test_an_optimizer_of_another_model():
    optimizer = te.optim.SGD(dense().parameters(), lr=0.1)

    (told,) = advice_on(dense(), nn.softmax_cross_entropy, optimizer=optimizer)

    assert "holds none of the model's parameters" in told


def test_frozen_parameters_need_no_optimizer():
    model = dense()
    optimizer = te.optim.SGD(model[2].parameters(), lr=0.1)
    for p in model[0].parameters():
        p.requires_grad = False

    assert advice_on(model, nn.softmax_cross_entropy, optimizer=optimizer) == []


class Scaled(nn.Layer):
    """A layer of one's own, with tensors that may have been forgotten."""

    def __init__(self, *tensors):
        self.inner, self.tensors = nn.Linear(3, 2, rng=0), list(tensors)

    def forward(self, x):
        return sum([self.inner(x), *self.tensors])


def test_a_tensor_that_was_to_be_trained_but_requires_no_gradient():
    model = nn.Sequential(
        Scaled(te.tensor([0.0, 0.0]), te.tensor(1.0, requires_grad=True))
    )

    (told,) = advice_on(model, nn.softmax_cross_entropy)

    assert told.startswith("the optimizer holds 0.tensors.0 of the model, but what req")
    assert "te.tensor(..., requires_grad=True)" in told


def test_of_many_such_tensors_a_few_are_named():
    (told,) = advice_on(
        Scaled(*(te.tensor(0.0) for _ in range(6))), nn.softmax_cross_entropy
    )

    assert "tensors.0, tensors.1, tensors.2, tensors.3 and 2 more of the model" in told


@pytest.mark.parametrize(
    "constant",
    [np.zeros(2), te.tensor([0, 0]), te.tensor(0.0, requires_grad=True)],
    ids=["array", "integers", "trained"],
)
def test_what_need_not_or_can_be_trained_is_left_alone(constant):
    assert advice_on(Scaled(constant), nn.softmax_cross_entropy) == []


def test_a_constant_tensor_that_the_optimizer_does_not_hold_is_meant():
    model = Scaled(te.tensor(0.0))
    optimizer = te.optim.SGD(model.inner.parameters(), lr=0.1)

    assert advice_on(model, nn.softmax_cross_entropy, optimizer=optimizer) == []


def test_a_frozen_layer_of_te_nn_may_be_held_by_the_optimizer():
    model = dense()
    for p in model[0].parameters():
        p.requires_grad = False

    assert advice_on(model, nn.softmax_cross_entropy) == []


def test_groups_count_together_and_others_are_allowed():
    model, temperature = dense(), te.tensor(1.0, requires_grad=True)
    groups = [
        {"params": model[0].parameters(), "lr": 0.1},
        {"params": [*model[2].parameters(), temperature]},
    ]

    told = advice_on(
        model, nn.softmax_cross_entropy, optimizer=te.optim.SGD(groups, lr=0.2)
    )

    assert told == []


def test_gradients_that_are_still_there():
    model = dense()
    nn.softmax_cross_entropy(model(X), LABELS).backward()

    (told,) = advice_on(model, nn.softmax_cross_entropy)
    model.zero_grad()
    after = advice_on(model, nn.softmax_cross_entropy)

    assert "zero_grad() was not called before it, or leaves them" in told
    assert after == []


def test_several_mistakes_are_told_one_by_one():
    model = dense(nn.Softmax(), size=64)
    optimizer = te.optim.SGD(model[0].parameters(), lr=0.1)

    told = advice_on(
        model, nn.softmax_cross_entropy, PIXELS, LABELS, optimizer=optimizer
    )

    assert len(told) == len(set(told)) == 3


# ---------------------------------------------------------------------- sound set-ups

IMAGES = X[:, :1, None, None] * np.ones((8, 1, 6, 6))
SERIES = X[:, :, None] * np.ones((8, 3, 6))
HOT = np.eye(2)[LABELS]
HALF = np.linspace(0, 1, 16).reshape(8, 2)


def sequence(layer):
    return Applied(nn.Sequential(layer), after=lambda x: x[:, -1])


SOUND = {
    **{
        f"{name} inside": (
            nn.Sequential(nn.Linear(3, 4, rng=0), getattr(nn, name)(), dense(size=4)),
            nn.softmax_cross_entropy,
            X,
            LABELS,
        )
        for name in nn.__all__
        if isinstance(getattr(nn, name), type)
        and issubclass(getattr(nn, name), nn.Activation)
        and name != "Activation"
    },
    "softmax, its own logarithm": (
        Applied(dense(nn.Softmax()), after=te.log),
        nn.nll_loss,
        X,
        LABELS,
    ),
    "softmax, its logarithm in a loss of one's own": (
        dense(nn.Softmax()),
        lambda p, y: nn.softmax_cross_entropy(te.log(p), y),
        X,
        LABELS,
    ),
    "LogSoftmax": (dense(nn.LogSoftmax()), nn.nll_loss, X, LABELS),
    "Sigmoid": (dense(nn.Sigmoid(), out=1), nn.binary_cross_entropy, X, YES),
    "Softmax of probabilities": (
        dense(nn.Softmax()),
        nn.binary_cross_entropy,
        X,
        HOT,
    ),
    "Brier": (dense(nn.Softmax()), nn.mse_loss, X, HOT),
    "logits": (dense(out=1), nn.binary_cross_entropy_with_logits, X, YES),
    "several logits": (dense(), nn.binary_cross_entropy_with_logits, X, HOT),
    "one-hot": (dense(), nn.softmax_cross_entropy, X, HOT),
    "class weights": (
        dense(),
        partial(nn.softmax_cross_entropy, weight=[1.0, 2.0]),
        X,
        LABELS,
    ),
    "hinge": (dense(out=1), nn.hinge_loss, X, 2 * YES - 1),
    "mse": (dense(), nn.mse_loss, X, HALF),
    "l1": (dense(), nn.l1_loss, X, HALF),
    "huber": (dense(), partial(nn.huber_loss, delta=0.5), X, HALF),
    "own loss": (dense(), lambda p, y: te.mean((p - y) ** 4), X, HALF),
    "rows": (
        Applied(dense(out=1), after=te.ravel),
        lambda p, y: te.mean((p - y) ** 2),
        X,
        HALF[:, 0],
    ),
    "autoencoder": (dense(nn.Sigmoid(), out=3), nn.mse_loss, X, X),
    "Dropout, BatchNorm1d, LayerNorm": (
        nn.Sequential(
            nn.BatchNorm1d(3), nn.LayerNorm(3), nn.Dropout(0.5, rng=0), dense()
        ),
        nn.softmax_cross_entropy,
        X,
        LABELS,
    ),
    "Residual": (
        nn.Sequential(nn.Residual(nn.Linear(3, 3, rng=0)), dense()),
        nn.softmax_cross_entropy,
        X,
        LABELS,
    ),
    "Conv2d": (
        nn.Sequential(
            nn.Conv2d(1, 2, 3, rng=0),
            nn.BatchNorm2d(2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(2, 2, rng=0),
        ),
        nn.softmax_cross_entropy,
        IMAGES,
        LABELS,
    ),
    "Conv1d": (
        nn.Sequential(
            nn.Conv1d(3, 2, 3, rng=0),
            nn.MaxPool1d(2),
            nn.AvgPool1d(2),
            nn.Flatten(),
            nn.Linear(2, 2, rng=0),
        ),
        nn.softmax_cross_entropy,
        SERIES,
        LABELS,
    ),
    "RNN": (
        sequence(nn.RNN(6, 2, rng=0)),
        nn.softmax_cross_entropy,
        SERIES,
        LABELS,
    ),
    "LSTM": (
        sequence(nn.LSTM(6, 2, rng=0)),
        nn.softmax_cross_entropy,
        SERIES,
        LABELS,
    ),
    "Embedding, MultiHeadAttention": (
        nn.Sequential(
            nn.Embedding(7, 4, rng=0),
            nn.MultiHeadAttention(4, 2, rng=0),
            nn.Linear(4, 7),
        ),
        nn.softmax_cross_entropy,
        WORDS,
        WORDS,
    ),
    "words in one byte": (
        nn.Sequential(nn.Embedding(256, 4, rng=0), nn.Linear(4, 256, rng=0)),
        nn.softmax_cross_entropy,
        PIXELS.astype(np.uint8),
        PIXELS,
    ),
}


@pytest.mark.parametrize(("model", "loss", "x", "y"), SOUND.values(), ids=SOUND.keys())
@pytest.mark.parametrize("optimizer", [te.optim.SGD, te.optim.Adam])
def test_nothing_is_said_of_what_is_sound(model, loss, x, y, optimizer):
    optimizer = optimizer(model.parameters(), lr=0.1)
    assert np.isfinite(float(loss(model(x), y)))  # it does work

    assert advice_on(model, loss, x, y, optimizer) == []


def test_the_sound_set_ups_have_every_layer_and_every_loss():
    layers = {
        type(layer).__name__
        for model, *_ in SOUND.values()
        for layer in (model, *(layer for _, layer in model.named_layers()))
    }
    losses = {getattr(loss, "func", loss).__name__ for _, loss, *_ in SOUND.values()}

    public = set(nn.__all__) - {"Layer", "Activation", "initializers"}
    assert public - layers - losses == set()
    assert len(SOUND) > 20


def test_a_model_without_parameters_or_a_plain_output_is_left_alone():
    optimizer = te.optim.SGD([te.tensor(1.0, requires_grad=True)], lr=0.1)

    assert advise(nn.ReLU(), nn.mse_loss, optimizer, X, X, X) == []
