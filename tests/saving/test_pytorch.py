"""Weights to PyTorch and back: its names, its arrangement, the same outputs."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_edu as te
from tinygrad_edu import nn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def drawn(rng, **shapes):
    """Return arrays of these shapes, by name; two underscores stand for a point."""
    return {
        name.replace("__", "."): rng.standard_normal(shape)
        for name, shape in shapes.items()
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ---------------------------------------------------------- files made without PyTorch


def test_a_network_takes_the_weights_as_pytorch_names_and_turns_them(path, rng):
    state = drawn(rng, **{"0__weight": (4, 3), "0__bias": 4})
    state |= drawn(rng, **{"1__weight": 4, "1__bias": 4, "1__running_mean": 4})
    state |= {
        "1.running_var": rng.uniform(1, 2, 4),
        "1.num_batches_tracked": np.array(7),
    }
    safetensors.numpy.save_file(state, path, metadata={"format": "pt"})
    x = rng.standard_normal((5, 3))

    model = te.load(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), path)

    y = x @ state["0.weight"].T + state["0.bias"] - state["1.running_mean"]
    y = y / np.sqrt(state["1.running_var"] + 1e-5) * state["1.weight"] + state["1.bias"]
    np.testing.assert_allclose(te.predict(model, x), y, rtol=1e-12)


def test_an_lstm_takes_two_biases(path, rng):
    state = drawn(rng, weight_ih_l0=(16, 3), weight_hh_l0=(16, 4))
    state |= drawn(rng, bias_ih_l0=16, bias_hh_l0=16)
    safetensors.numpy.save_file(state, path)
    x = rng.standard_normal((5, 2, 3))

    model = te.load(nn.LSTM(3, 4), path)

    h = c = np.zeros((5, 4))
    for t in range(2):
        z = x[:, t] @ state["weight_ih_l0"].T + state["bias_ih_l0"]
        z += h @ state["weight_hh_l0"].T + state["bias_hh_l0"]
        i, f, g, o = np.split(z, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    np.testing.assert_allclose(te.predict(model, x)[:, -1], h, rtol=1e-12)


def test_attention_takes_one_matrix_for_query_key_and_value(path, rng):
    state = drawn(rng, in_proj_weight=(12, 4), in_proj_bias=12)
    state |= drawn(rng, out_proj__weight=(4, 4), out_proj__bias=4)
    safetensors.numpy.save_file(state, path)
    x = rng.standard_normal((5, 3, 4))

    model = te.load(nn.MultiHeadAttention(4, 1), path)

    q, k, v = np.split(x @ state["in_proj_weight"].T + state["in_proj_bias"], 3, axis=2)
    weights = np.exp(q @ k.transpose(0, 2, 1) / 2)
    weights /= weights.sum(axis=2, keepdims=True)
    y = weights @ v @ state["out_proj.weight"].T + state["out_proj.bias"]
    np.testing.assert_allclose(te.predict(model, x), y, rtol=1e-12)


def test_our_own_names_are_read_too(path):
    model = nn.Sequential(nn.LSTM(3, 4, rng=0), nn.MultiHeadAttention(4, 2, rng=0))
    safetensors.numpy.save_file(model.state_dict(), path)

    again = te.load(nn.Sequential(nn.LSTM(3, 4), nn.MultiHeadAttention(4, 2)), path)

    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array)


def test_a_layer_that_shares_a_weight_keeps_its_names(path):
    model = nn.MultiHeadAttention(4, 2, rng=0)
    model.key = model.query

    te.save(model, path)

    again = nn.MultiHeadAttention(4, 2)
    again.key = again.query
    te.load(again, path)
    assert safetensors.numpy.load_file(path).keys() == model.state_dict().keys()
    np.testing.assert_array_equal(again.query.weight.data, model.query.weight.data)


def test_a_second_layer_of_an_lstm_is_unexpected(path, rng):
    state = drawn(rng, weight_ih_l0=(16, 3), weight_hh_l0=(16, 4))
    state |= drawn(rng, bias_ih_l0=16, bias_hh_l0=16, weight_ih_l1=(16, 4))
    safetensors.numpy.save_file(state, path)

    with pytest.raises(ValueError, match="unexpected weight_ih_l1"):
        te.load(nn.LSTM(3, 4), path)


# ------------------------------------------------------------------------ with PyTorch


def pairs():
    """Return our layer, the name and arguments of PyTorch's, and a shape of inputs."""
    first = {"batch_first": True}
    return [
        (nn.Linear(3, 4, rng=0), "Linear", (3, 4), {}, (5, 3)),
        (nn.Conv1d(3, 4, 2, rng=0), "Conv1d", (3, 4, 2), {}, (5, 3, 6)),
        (nn.Conv2d(3, 4, (2, 3), rng=0), "Conv2d", (3, 4, (2, 3)), {}, (5, 3, 6, 7)),
        (nn.LayerNorm((2, 3)), "LayerNorm", ((2, 3),), {}, (5, 2, 3)),
        (nn.BatchNorm1d(3), "BatchNorm1d", (3,), {}, (5, 3)),
        (nn.BatchNorm2d(3), "BatchNorm2d", (3,), {}, (5, 3, 2, 2)),
        (nn.Embedding(7, 3, rng=0), "Embedding", (7, 3), {}, None),
        (nn.RNN(3, 4, rng=0), "RNN", (3, 4), first, (5, 6, 3)),
        (nn.LSTM(3, 4, rng=0), "LSTM", (3, 4), first, (5, 6, 3)),
        (
            *(nn.MultiHeadAttention(8, 2, rng=0), "MultiheadAttention"),
            *((8, 2), first, (5, 6, 8)),
        ),
    ]


@pytest.mark.slow  # importing PyTorch is
@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair[1])
def test_pytorchs_layers_give_the_same_with_the_same_file(path, rng, pair, direction):
    torch = pytest.importorskip("torch")
    from safetensors import torch as files

    layer, kind, arguments, options, shape = pair
    ours = nn.Sequential(layer).eval()
    theirs = torch.nn.Sequential(getattr(torch.nn, kind)(*arguments, **options))
    theirs = theirs.double().eval()
    model = ours if direction == "out" else theirs
    for parameter in model.parameters():
        numbers = rng.standard_normal(tuple(parameter.shape))
        parameter.data = numbers if model is ours else torch.from_numpy(numbers)

    if direction == "in":
        files.save_file(theirs.state_dict(), path)
        te.load(ours, path)
    else:
        te.save(ours, path)
        theirs.load_state_dict(files.load_file(path))

    x = rng.standard_normal(shape) if shape else rng.integers(0, 7, (5, 2))
    given = [torch.from_numpy(x)] * (3 if kind == "MultiheadAttention" else 1)
    with torch.no_grad():
        y = theirs[0](*given)
    y = y[0] if isinstance(y, tuple) else y
    np.testing.assert_allclose(te.predict(ours, x), y.numpy(), rtol=1e-10, atol=1e-12)
