"""The layers in a file: what is written of them, and the model built of that."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.saving.architecture import built, described
from tinygrad_edu.saving.weights import rebuilt

F = np.float32
MODELS = [
    nn.AvgPool1d(np.int64(2)),
    nn.AvgPool2d((2, 3), 1, padding=1),
    nn.BatchNorm1d(4),
    nn.BatchNorm2d(4, eps=0.1, momentum=0.2, affine=False, dtype=F),
    nn.Conv1d(1, 2, 3, padding="same", dtype=F),
    nn.Conv2d(2, 3, (2, 3), stride=2, padding=1, dilation=(1, 2)),
    nn.Conv2d(2, 3, 2, padding="same", bias=False),
    nn.Dropout(0.2),
    nn.ELU(0.5),
    nn.Embedding(5, 2),
    nn.Flatten(),
    nn.GELU("tanh"),
    nn.Hardtanh(0, 6),
    nn.LSTM(3, 4, dtype=F),
    nn.LayerNorm((2, 3), elementwise_affine=False),
    nn.LeakyReLU(0.3),
    nn.Linear(3, 2, bias=False, dtype=F),
    nn.LogSoftmax(1),
    nn.MaxPool1d(3, 2),
    nn.MaxPool2d((2, 3), padding=1, dilation=2),
    nn.Mish(),
    nn.MultiHeadAttention(8, 2, causal=True),
    nn.RNN(3, 4),
    nn.ReLU(),
    nn.Residual(nn.Linear(3, 3)),
    nn.SELU(),
    nn.Sequential(nn.Sequential(nn.Linear(3, 2)), nn.Tanh(), nn.Residual(nn.ReLU())),
    nn.SiLU(),
    nn.Sigmoid(),
    nn.Softmax(0),
    nn.Softplus(),
    nn.Softsign(),
    nn.Tanh(),
]


def arrays(model):
    return {n: (x.shape, x.dtype) for n, x in model.state_dict().items()}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_layer_is_built_again_as_it_was(model):
    again = built(described(model))

    assert repr(again) == repr(model)
    assert arrays(again) == arrays(model)
    assert described(again) == described(model)


def test_no_layer_is_left_out():
    classes = [getattr(nn, name) for name in nn.__all__]

    layers = {x for x in classes if isinstance(x, type) and issubclass(x, nn.Layer)}
    assert layers - {type(model) for model in MODELS} == {nn.Layer, nn.Activation}


def test_a_saved_model_comes_back_without_its_code(tmp_path, rng):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.BatchNorm1d(4), nn.Tanh())
    model(rng.standard_normal((8, 3)))
    x = rng.standard_normal((5, 3))

    again = rebuilt(te.save(model, tmp_path / "m.safetensors"))

    np.testing.assert_array_equal(te.predict(again, x), te.predict(model, x))


class Own(nn.Layer):
    def __init__(self):
        self.inner = nn.Linear(3, 2)

    def forward(self, x):
        return self.inner(x)


class OwnLinear(nn.Linear):
    pass


def twice():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, layer)


def with_a_gap():
    model = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))
    del model.__dict__["0"]
    return model


@pytest.mark.parametrize(
    "make", [Own, lambda: nn.Sequential(OwnLinear(3, 2)), twice, with_a_gap]
)
def test_what_cannot_be_told_is_not_told_but_saved(tmp_path, make):
    path = te.save(make(), tmp_path / "m.safetensors")

    te.load(make(), path)

    with pytest.raises(ValueError, match=r"m\.safetensors holds weights, and not what"):
        rebuilt(path)


def test_a_file_of_another_program_tells_no_layers(tmp_path):
    path = tmp_path / "m.safetensors"
    metadata = {"layers": described(nn.Linear(3, 2)), "format": "pt"}
    safetensors.numpy.save_file(nn.Linear(3, 2).state_dict(), path, metadata)

    with pytest.raises(ValueError, match="it is of another program"):
        rebuilt(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"layer": "Tensor"}',
        '{"layer": "Layer"}',
        '{"layer": "Linear"}',
        '{"layer": "Linear", "in_features": -3, "out_features": 2}',
        '{"layer": "Linear", "in_features": 3, "out_features": 2, "rows": 1}',
        '{"layer": "Sequential", "layers": 3}',
        '{"layer": "Residual", "inner": {"layer": "os.system"}}',
        '{"layer": "Residual", "inner": ' * 9999,
    ],
    ids=range(11),
)
def test_a_text_that_describes_no_layers_is_refused(tmp_path, text):
    path = tmp_path / "m.safetensors"
    metadata = {"layers": text, "format": "tinygrad_edu", "version": "1"}
    safetensors.numpy.save_file(nn.Linear(3, 2).state_dict(), path, metadata)

    with pytest.raises(ValueError, match=r"load: m\.safetensors: the layers are not"):
        rebuilt(path)


def test_weights_that_are_not_of_the_layers_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    layers = json.dumps({"layer": "Tanh"})
    metadata = {"layers": layers, "format": "tinygrad_edu", "version": "1"}
    safetensors.numpy.save_file(nn.Linear(3, 2).state_dict(), path, metadata)

    with pytest.raises(ValueError, match="does not fit the Tanh: unexpected bias"):
        rebuilt(path)
