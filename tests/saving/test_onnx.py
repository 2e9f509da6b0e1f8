"""ONNX files: another runtime computes from them what the model does."""

from __future__ import annotations

import ast
import doctest
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.course import lecture
from tinygrad_edu.saving import onnx_trace as trace
from tinygrad_edu.saving.onnx_operations import OPERATIONS
from tinygrad_edu.training import evaluating

#: What needs the packages onnx and onnxruntime is run by `make test-all`.
needs_onnx = pytest.mark.slow

EXAMPLES = Path(te.__file__).parents[1] / "examples"
MNIST = os.environ.get("TINYGRAD_EDU_DATA")
F = np.float32

_, _, DIGITS, _ = te.data.load_digits(dtype=F)  # (297, 64), real inputs
CENTRED = DIGITS - F(0.5)
SEQUENCES = DIGITS.reshape(-1, 8, 8)  # row after row of an image
IMAGES = DIGITS.reshape(-1, 1, 8, 8)
CODES = np.rint(16 * DIGITS).astype(np.int64)  # 0..16


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


@pytest.fixture
def assert_agrees(onnx, tmp_path):
    """Assert that ONNX Runtime gives what the model does, for few rows and for many."""
    import onnxruntime

    def assert_agrees(model, x):
        path = te.export_onnx(model, tmp_path / "m.onnx", x.shape[1:], dtype=x.dtype)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for rows in (1, 2, len(x)):
            (got,) = session.run(None, {"input": x[:rows]})
            with evaluating(model):
                expected = np.asarray(model(x[:rows]))
            assert got.shape == expected.shape
            assert got.dtype == np.float32
            size = max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * size)

    return assert_agrees


# ------------------------------------------------------------------ layers and networks


def trained(layer, x):
    """Return a normalisation that has seen a batch."""
    layer(5 * x + 2)
    return layer


LAYERS = [
    (nn.ELU(0.7), CENTRED),
    (nn.GELU(), CENTRED),
    (nn.GELU("tanh"), CENTRED),
    (nn.Hardtanh(-0.2, 0.3), CENTRED),
    (nn.LeakyReLU(0.2), CENTRED),
    (nn.LogSoftmax(), DIGITS),
    (nn.Mish(), CENTRED),
    (nn.ReLU(), CENTRED),
    (nn.SELU(), CENTRED),
    (nn.SiLU(), CENTRED),
    (nn.Sigmoid(), CENTRED),
    (nn.Softmax(), DIGITS),
    (nn.Softmax(1), SEQUENCES),
    (nn.Softplus(), CENTRED),
    (nn.Softsign(), CENTRED),
    (nn.Tanh(), CENTRED),
    (nn.Linear(64, 10, rng=0, dtype=F), DIGITS),
    (nn.Linear(8, 3, bias=False, rng=0, dtype=F), SEQUENCES),
    (nn.Linear(8, 3, rng=0, dtype=F), SEQUENCES),
    (nn.Conv1d(8, 3, 3, stride=2, padding=1, rng=0, dtype=F), SEQUENCES),
    (nn.Conv1d(8, 3, 2, padding="same", bias=False, rng=0, dtype=F), SEQUENCES),
    (nn.Conv2d(1, 4, (2, 3), (2, 1), 1, (1, 2), rng=0, dtype=F), IMAGES),
    (nn.MaxPool1d(3, 2, 1), SEQUENCES),
    (nn.MaxPool2d((2, 3), padding=1, dilation=2), IMAGES),
    (nn.AvgPool1d(3, 2, 1), SEQUENCES),
    (nn.AvgPool2d((2, 3), padding=1), IMAGES),
    (nn.Flatten(), IMAGES),
    (nn.Dropout(0.5, rng=0), DIGITS),
    (trained(nn.BatchNorm1d(64, dtype=F), DIGITS), DIGITS),
    (trained(nn.BatchNorm1d(8, dtype=F, affine=False), SEQUENCES), SEQUENCES),
    (trained(nn.BatchNorm2d(1, dtype=F), IMAGES), IMAGES),
    (nn.LayerNorm(8, 1e-3, dtype=F), SEQUENCES),
    (nn.LayerNorm((8, 8), 1e-3, False, dtype=F), SEQUENCES),
    (nn.Embedding(17, 5, rng=0, dtype=F), CODES),
    (nn.RNN(8, 6, rng=0, dtype=F), SEQUENCES),
    (nn.LSTM(8, 6, rng=0, dtype=F), SEQUENCES),
    (nn.MultiHeadAttention(8, 2, rng=0, dtype=F), SEQUENCES),
    (nn.MultiHeadAttention(8, 2, causal=True, rng=0, dtype=F), SEQUENCES),
    (nn.Residual(nn.Tanh()), DIGITS),
    (nn.Sequential(nn.Linear(64, 5, rng=0, dtype=F), nn.Tanh()), DIGITS),
]


@needs_onnx
@pytest.mark.parametrize(
    ("layer", "x"), LAYERS, ids=lambda value: repr(value).partition("\n")[0][:40]
)
def test_every_layer_gives_the_same(assert_agrees, layer, x):
    assert_agrees(layer, x)


def test_no_layer_is_left_out():
    exported = {type(layer) for layer, _ in LAYERS}

    classes = [getattr(nn, name) for name in nn.__all__]
    layers = {x for x in classes if isinstance(x, type) and issubclass(x, nn.Layer)}
    assert layers - exported == {nn.Layer, nn.Activation}


def in_single_precision(model):
    """Let a model compute as the file does: with float32."""
    for layer in (model, *(layer for _, layer in model.named_layers())):
        for name, value in vars(layer).items():
            if isinstance(value, te.Tensor):
                single = te.tensor(value.data, requires_grad=True, dtype=F)
                setattr(layer, name, single)
    return model


@needs_onnx
def test_the_lectures_networks_give_the_same_after_training(assert_agrees):
    split = te.data.load_digits()

    for result in lecture.run(lecture.SYSTEMS, split, epochs=5, say=lambda line: None):
        assert_agrees(in_single_precision(result.model), DIGITS)


@pytest.fixture
def example():
    """Return what an example defines, before it begins to train."""

    def example(name):
        tree = ast.parse((EXAMPLES / name).read_text(encoding="utf-8"))
        loops = [i for i, x in enumerate(tree.body) if isinstance(x, ast.For)]
        begin = tree.body[: min([*loops, len(tree.body)])]
        definitions = (ast.FunctionDef, ast.ClassDef)
        last = max(i for i, x in enumerate(begin) if isinstance(x, definitions))
        tree.body = begin[: last + 1]
        names = {"__name__": "example"}
        exec(compile(tree, name, "exec"), names)
        return names

    return example


@needs_onnx
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM])
def test_the_networks_for_sequences_of_the_examples_give_the_same(
    assert_agrees, example, kind
):
    names = example("07_sequences.py")
    symbols, hidden = names["SYMBOLS"], names["HIDDEN"]
    x, _, _ = names["sequences"](50, 30, 0.1, np.random.default_rng(0))

    model = nn.Sequential(
        kind(symbols + 1, hidden, rng=0), nn.Linear(hidden, symbols, rng=1)
    )

    assert_agrees(in_single_precision(model), x.astype(F))


@needs_onnx
def test_the_fit_of_the_examples_gives_the_same(assert_agrees, example):
    """It has parameters, but no layers inside, and takes numbers, not rows."""
    names = example("12_damped_oscillator.py")

    class Oscillator(nn.Layer):
        def __init__(self):
            for name, value in zip(names["NAMES"], names["TRUTH"], strict=True):
                setattr(self, name, te.tensor(value, requires_grad=True))

        def forward(self, t):
            return names["oscillation"](t, *self.parameters())

    model = in_single_precision(Oscillator())

    assert_agrees(model, np.linspace(0, 6, 150, dtype=F))  # s


@needs_onnx
@pytest.mark.parametrize("residual", [False, True])
def test_the_deep_network_of_the_examples_gives_the_same(
    assert_agrees, example, residual
):
    network = example("10_residual.py")["network"](3, residual)

    assert_agrees(in_single_precision(network), DIGITS)


@needs_onnx
@pytest.mark.parametrize("name", ["convolutional", "dense"])
def test_the_networks_for_images_of_the_examples_give_the_same(
    assert_agrees, example, name
):
    build = example("09_convolution.py")[name]
    sizes = (8,) if name == "convolutional" else (8, 16)

    model = build(*sizes, np.random.default_rng(0), F)

    assert_agrees(model, IMAGES)


@needs_onnx
def test_the_autoencoder_of_the_examples_gives_the_same(assert_agrees, example):
    model = example("11_autoencoder.py")["Autoencoder"](4, np.random.default_rng(0))

    assert_agrees(in_single_precision(model), DIGITS)


@needs_onnx
def test_the_language_model_of_the_examples_gives_the_same(assert_agrees, example):
    names = example("08_language_model.py")
    length = names["CONTEXT"]
    text = names["kept"][: 4 * length].reshape(-1, length)

    model = names["LanguageModel"](np.random.default_rng(0))

    assert_agrees(model, text)


@needs_onnx
@pytest.mark.skipif(not MNIST, reason="MNIST is in no folder")
@pytest.mark.parametrize("name", ["small", "mlp", "cnn"])
def test_the_mnist_networks_of_the_examples_give_the_same(assert_agrees, example, name):
    build, _ = example("14_mnist.py")["RECIPES"][name]
    model = build(28, np.random.default_rng(0))
    _, _, X, _ = te.data.load_mnist(dtype=F)

    assert_agrees(model, X[:500].reshape(-1, 1, 28, 28))


# ------------------------------------------------------------------------- operations


class Apply(nn.Layer):
    """A layer of one's own: applies a function."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
WEIGHTS = np.linspace(-1, 1, 24).reshape(3, 8)

#: Of sequences (N, 8, 8) from 0 to 1, for each operation that has a counterpart.
FUNCTIONS = {
    "absolute": [lambda x: te.absolute(x - 0.5)],
    "add": [lambda x: x + np.arange(8), lambda x: x + 2],
    "arccos": [te.arccos],
    "arccosh": [lambda x: te.arccosh(x + 2)],
    "arcsin": [lambda x: te.arcsin(x / 2)],
    "arcsinh": [te.arcsinh],
    "arctan": [te.arctan],
    "arctanh": [lambda x: te.arctanh(x / 2)],
    "astype": [lambda x: te.astype(x, np.float16 if x.dtype == float else F)],
    "avg_pool1d": [lambda x: te.avg_pool1d(x, kernel_size=2)],
    "avg_pool2d": [lambda x: te.avg_pool2d(x[:, None], kernel_size=(2, 1))],
    "broadcast_to": [
        lambda x: te.broadcast_to(x[:, None], (len(x), 2, 8, 8)),
        lambda x: te.broadcast_to(x.sum(), (3,)),
        lambda x: te.broadcast_to(x[:1], (2 * len(x), 8, 8)),
    ],
    "clip": [
        lambda x: te.clip(x, 0.2, 0.4),
        lambda x: te.clip(x, None, 0.4),
        lambda x: te.clip(x, None, None),
    ],
    "concatenate": [
        lambda x: te.concatenate([x, x + 1, np.ones((len(x), 8, 2))], axis=-1),
        lambda x: te.concatenate([x, x]),
    ],
    "conv1d": [lambda x: te.conv1d(x, WEIGHTS.reshape(3, 8, 1))],
    "conv2d": [lambda x: te.conv2d(x[:, None], WEIGHTS.reshape(3, 1, 2, 4))],
    "copy": [lambda x: x.copy()],
    "cos": [te.cos],
    "cosh": [te.cosh],
    "divide": [lambda x: x / (x + 1), lambda x: 1 / (x + 1)],
    "dot": [lambda x: te.dot(x[:, 0], WEIGHTS.T)],
    "einsum": [lambda x: te.einsum("nij,kj->nki", x, WEIGHTS)],
    "elu": [te.elu],
    "erf": [te.erf],
    "exp": [te.exp],
    "expand_dims": [lambda x: te.expand_dims(x, (1, -1))],
    "flatten": [te.flatten],
    "gelu": [te.gelu],
    "getitem": [
        lambda x: x[:, 1, 2],
        lambda x: x[:, ::-2, None, 1:-1],
        lambda x: x[..., -1],
        lambda x: x[:, 5:1:-1][:, :, None],
        lambda x: x[:],
        lambda x: x[-1],
        lambda x: x[:2, 3],
    ],
    "hard_tanh": [te.hard_tanh],
    "leaky_relu": [te.leaky_relu],
    "linear": [lambda x: te.linear(x, WEIGHTS)],
    "log": [lambda x: te.log(x + 0.1)],
    "log_softmax": [te.log_softmax],
    "logsumexp": [lambda x: te.logsumexp(x, axis=(1, 2))],
    "lstm_memory": [lambda x: te.lstm_memory(x, x[..., ::4])],
    "lstm_output": [lambda x: te.lstm_output(x[:, 0], x[:, 1, :2])],
    "matmul": [lambda x: x @ WEIGHTS.T, lambda x: WEIGHTS @ x, lambda x: x @ x],
    "max": [lambda x: x.max(axis=1)],
    "max_pool1d": [lambda x: te.max_pool1d(x, kernel_size=2)],
    "max_pool2d": [lambda x: te.max_pool2d(x[:, None], kernel_size=2)],
    "maximum": [lambda x: te.maximum(x, 0.5)],
    "mean": [lambda x: x.mean(axis=0), lambda x: x.mean(axis=(1, 2), keepdims=True)],
    "min": [lambda x: x.min(axis=-1)],
    "minimum": [lambda x: te.minimum(x, 0.5)],
    "mish": [te.mish],
    "moveaxis": [lambda x: te.moveaxis(x[:, None], (0, 1), (2, 0))],
    "multiply": [lambda x: x * np.array([True, False] * 4)],
    "negative": [lambda x: -x],
    "pad": [
        lambda x: te.pad(x, ((0, 0), (1, 2), (0, 3)), constant_values=0.5),
        lambda x: te.pad(x, ((0, 0), (1, 1), (1, 1))),
    ],
    "positive": [lambda x: +x],
    "power": [lambda x: (x + 0.1) ** 1.5, lambda x: x**2],
    "prod": [lambda x: (x + 0.5).prod(axis=2)],
    "ravel": [te.ravel],
    "reciprocal": [lambda x: te.reciprocal(x + 1)],
    "relu": [te.relu],
    "reshape": [
        lambda x: x.reshape(len(x), 2, 32),
        lambda x: x.reshape(-1, 16),
        lambda x: te.broadcast_to(x[:, None, 0], (len(x), len(x), 8)).reshape(
            len(x), 2, len(x), 4
        ),
    ],
    "selu": [te.selu],
    "sigmoid": [te.sigmoid],
    "sign": [lambda x: te.sign(x - 0.5)],
    "silu": [te.silu],
    "sin": [te.sin],
    "sinh": [te.sinh],
    "softmax": [lambda x: te.softmax(x, axis=1)],
    "softplus": [te.softplus],
    "softsign": [te.softsign],
    "sqrt": [lambda x: te.sqrt(x + 0.1)],
    "square": [te.square],
    "squeeze": [lambda x: te.squeeze(x[:, :1], 1)],
    "stack": [lambda x: te.stack([x, 2 * x], axis=1), lambda x: te.stack([x, x], -1)],
    "standardize": [lambda x: te.standardize(x, axis=(1, 2), eps=0.1)],
    "std": [lambda x: (x + np.arange(8)).std(axis=2)],
    "subtract": [lambda x: x - 1, lambda x: 1 - x],
    "sum": [lambda x: x.sum(axis=-1), lambda x: x.sum(axis=0, keepdims=True)],
    "swapaxes": [lambda x: te.swapaxes(x, 0, 1)],
    "take": [lambda x: te.take(x, np.array([[0, 2], [-1, 0]]), axis=1)],
    "tan": [te.tan],
    "tanh": [te.tanh],
    "transpose": [te.transpose, lambda x: te.transpose(x, (1, 2, 0))],
    "var": [lambda x: x.var(axis=(1, 2))],
    "where": [lambda x: te.where(np.tri(8) > 0, x, -1.0)],
}
CASES = [
    pytest.param(function, id=f"{name}-{i}")
    for name, functions in FUNCTIONS.items()
    for i, function in enumerate(functions)
]


@needs_onnx
@pytest.mark.parametrize("function", CASES)
def test_every_operation_gives_the_same_in_a_layer_of_ones_own(assert_agrees, function):
    assert_agrees(Apply(function), SEQUENCES[:5])


def test_no_operation_is_left_out():
    assert [op.name for op in OPERATIONS] == list(FUNCTIONS)


@pytest.mark.parametrize("function", CASES)
def test_the_operation_is_recorded_by_its_case(function, request):
    name = request.node.callspec.id.rpartition("-")[0]

    traced = trace.trace(Apply(function), (8, 8), integers=False)

    assert name in {pair.two.op.name for pair in traced.nodes}


# ------------------------------------------------------------------ what is in the file


def network():
    return nn.Sequential(
        nn.Linear(64, 8, rng=0),
        nn.BatchNorm1d(8),
        nn.Residual(nn.Sequential(nn.Linear(8, 8, rng=1), nn.Tanh())),
        nn.Dropout(rng=0),
    )


@needs_onnx
def test_nodes_are_called_by_their_layers_and_weights_as_in_the_state(onnx, tmp_path):
    model = network()

    graph = onnx.load(te.export_onnx(model, tmp_path / "m.onnx", 64)).graph

    assert [node.name for node in graph.node] == [
        "0/Linear/Gemm",
        "1/BatchNorm1d/Sub",
        "1/BatchNorm1d/Mul",
        "1/BatchNorm1d/Add",
        "2.inner.0/Linear/Gemm",
        "2.inner.1/Tanh/Tanh",
        "2/Residual/Add",
    ]
    arrays = {x.name: onnx.numpy_helper.to_array(x) for x in graph.initializer}
    for name in ("0.weight", "0.bias", "2.inner.0.weight", "2.inner.0.bias"):
        expected = model.state_dict()[name].astype(np.float32)
        np.testing.assert_array_equal(arrays[name], expected)


@needs_onnx
def test_the_batch_is_an_axis_with_a_name(onnx, tmp_path):
    def axes(value):
        return [
            axis.dim_param or axis.dim_value
            for axis in value.type.tensor_type.shape.dim
        ]

    graph = onnx.load(te.export_onnx(network(), tmp_path / "m.onnx", (64,))).graph

    assert {x.name: axes(x) for x in (*graph.input, *graph.output)} == {
        "input": ["batch", 64],
        "output": ["batch", 8],
    }


@needs_onnx
def test_names_that_are_taken_are_told_apart(assert_agrees):
    """Attributes called as the input and the output, and a layer that runs twice."""

    class Taken(nn.Layer):
        def __init__(self):
            self.input = te.tensor(np.ones(64), requires_grad=True)
            self.output = nn.Linear(64, 64, rng=0, dtype=F)

        def forward(self, x):
            return self.output(self.output(x * self.input.astype(F)))

    assert_agrees(Taken(), DIGITS)


@needs_onnx
@pytest.mark.parametrize("mode", [True, False])
def test_the_model_is_afterwards_what_it_was(onnx, tmp_path, mode):
    model = network().train(mode)
    model[0].training = not mode
    model[0].weight.requires_grad = False
    before = model.state_dict()
    random = model[3].rng.bit_generator.state

    te.export_onnx(model, tmp_path / "m.onnx", 64)

    assert [layer.training for layer in model] == [not mode, mode, mode, mode]
    assert not model[0].weight.requires_grad
    assert model[3].rng.bit_generator.state == random
    assert all(p.grad is None for p in model.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@needs_onnx
def test_frozen_layers_and_no_grad_make_no_difference(assert_agrees):
    model = nn.Sequential(
        nn.Embedding(17, 3, rng=0, dtype=F), nn.LSTM(3, 4, rng=0, dtype=F)
    )
    for parameter in model.parameters():
        parameter.requires_grad = False

    with te.no_grad():
        assert_agrees(model, CODES[:, 20:28])


@needs_onnx
def test_the_same_model_gives_the_same_bytes(onnx, tmp_path):
    paths = [tmp_path / "a.onnx", tmp_path / "new" / "b.onnx"]

    for path in paths:
        assert te.export_onnx(network(), path, (64,)) == path

    assert paths[0].read_bytes() == paths[1].read_bytes()


# ---------------------------------------------------------------------- what is refused


@needs_onnx
@pytest.mark.parametrize(
    ("function", "told"),
    [
        (
            lambda x: te.cumsum(x, axis=1),
            "computes cumsum, which has no counterpart in ONNX",
        ),
        (lambda x: x.var(axis=1, ddof=1), "computes var with ddof=1, which has no"),
        (lambda x: te.pad(x, 1, mode="reflect"), "pad with mode='reflect', which"),
        (lambda x: te.concatenate([x, x], axis=None), "concatenate with axis=None"),
        (lambda x: x[:, [0, 1]], "getitem with an index of list; te.take picks"),
        (lambda x: te.take(x, np.array([1])), "take with axis=None"),
        (lambda x: te.dot(x[:, :, None], np.ones((64, 1, 1))), "dot with arrays"),
        (
            lambda x: x * (x.data > 0.5),
            "multiply with an array of shape (2, 64), for 2",
        ),
        (lambda x: x * (x.data > 0), "multiply with an array of shape (2, 64), for 2"),
        (lambda x: te.where(x.data > 0, x, 0.0), "where with an array of shape (2, 64"),
        (lambda x: x * x.data.sum(), "multiply with the number "),
        (lambda x: te.exp(x) if x.data.max() > 0 else -x, "decide which operations"),
        (lambda x: -x if abs(x.data).max() > 0.9 else x * x, "decide which operations"),
        (
            lambda x: x.sum(axis=0) / len(x),
            "divide with the number 2, for 2 rows, which",
        ),
        (lambda x: x[: len(x) - 1], "getitem with index=slice(None, 1, None), for 2"),
        (lambda x: x * 2 if len(x) > 2 else x + 2, "decide which operations"),
        (lambda x: x * 2 * 2 if len(x) > 2 else x * 2, "decide how many operations"),
        (lambda x: te.concatenate([x, x[:1]]).ravel(), "192 places for 2 rows and 256"),
    ],
)
def test_what_has_no_counterpart_is_refused_with_the_name_of_its_layer(
    onnx, tmp_path, function, told
):
    model = nn.Sequential(nn.Tanh(), Apply(function))

    with pytest.raises(ValueError, match="export_onnx: ") as caught:
        te.export_onnx(model, tmp_path / "m.onnx", (64,))

    assert told in str(caught.value)
    assert "how many" in told or "Apply '1'" in str(caught.value)
    assert [*tmp_path.iterdir()] == []


@needs_onnx
@pytest.mark.parametrize(
    ("model", "arguments", "error", "told"),
    [
        (lambda x: x, ("m.onnx", 64), TypeError, "must be a Layer, got function"),
        (nn.Tanh(), ("m.pb", 64), ValueError, "must end in .onnx, got 'm.pb'"),
        (nn.Tanh(), ("m.onnx", (None, 64)), TypeError, "without the batch axis"),
        (nn.Tanh(), ("m.onnx", 0), TypeError, "without the batch axis"),
        (nn.Linear(3, 2), ("m.onnx", 64), ValueError, "its last axis must be 3"),
        (Apply(lambda x: (x, x)), ("m.onnx", 64), TypeError, "one Tensor.*got tuple"),
        (
            Apply(lambda x: x.detach().numpy()),
            ("m.onnx", 64),
            TypeError,
            "one Tensor computed from its input, got ndarray",
        ),
        (
            Apply(lambda x: te.tensor(x.data)),
            ("m.onnx", 64),
            ValueError,
            "does not depend on its input",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(
    onnx, tmp_path, model, arguments, error, told
):
    name, shape = arguments

    with pytest.raises(error, match=told):
        te.export_onnx(model, tmp_path / name, shape)


@needs_onnx
def test_a_model_of_several_inputs_is_told_what_it_was_given(onnx, tmp_path):
    class Sum(nn.Layer):
        def forward(self, a, b):
            return a + b

    with pytest.raises(TypeError, match="argument: 'b'") as caught:
        te.export_onnx(Sum(), tmp_path / "m.onnx", (64,))

    assert "with one array of shape (2, 64)" in caught.value.__notes__[-1]


@needs_onnx
def test_an_input_of_another_kind_is_refused(onnx, tmp_path):
    with pytest.raises(TypeError, match="dtype must be one of real numbers or of int"):
        te.export_onnx(nn.Tanh(), tmp_path / "m.onnx", 3, dtype=bool)


def test_without_onnx_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(ImportError, match=r"pip install 'tinygrad_edu\[onnx\]'"):
        te.export_onnx(nn.Tanh(), tmp_path / "m.onnx", (3,))


@needs_onnx
@pytest.mark.usefixtures("onnx")
def test_the_example_in_the_docstring_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = te.export_onnx.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "export_onnx", None, None)

    failed, tried = doctest.DocTestRunner().run(example)

    assert tried > 2
    assert not failed
