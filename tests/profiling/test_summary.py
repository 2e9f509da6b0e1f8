"""The summary of a model: shapes, parameters, multiply-adds, memory until backward."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.engine.recording import current_scope


class Computes(nn.Layer):
    """A layer of one's own around a function of x and a parameter."""

    def __init__(self, function, *shape):
        self.function = function
        self.w = te.tensor(np.ones(shape), requires_grad=True)

    def forward(self, *inputs):
        return self.function(*inputs, self.w)


def table(text):
    """The rows of a summary, split at two or more spaces."""
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()]
        for line in text.splitlines()
    ]


def counts(text):
    """Parameters, multiply-adds and bytes of each row, by what it is called."""
    return {
        row[0]: tuple(int(n.replace(",", "")) for n in row[-3:])
        for row in table(text)[1:]
        if row[0] != "not trained"
    }


# ------------------------------------------------------------------------- the table


def test_a_summary_is_a_table():
    model = nn.Sequential(
        nn.Linear(784, 64), nn.Sequential(nn.Sigmoid(), nn.Linear(64, 10, bias=False))
    )

    assert model.summary((784,)) == (
        "layer        output shape  parameters  multiply-adds  bytes kept\n"
        "0 Linear     (n, 64)           50,240         50,176         512\n"
        "1.0 Sigmoid  (n, 64)                0              0         512\n"
        "1.1 Linear   (n, 10)              640            640          80\n"
        "total                          50,880         50,816       1,104"
    )


def test_a_layer_called_twice_computes_twice_with_the_same_parameters():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.Tanh(), shared)

    assert table(model.summary((3,)))[1:] == [
        ["0 Linear", "(n, 3)", "12", "9", "24"],
        ["1 Tanh", "(n, 3)", "0", "0", "24"],
        ["0 Linear", "(n, 3)", "0", "9", "24"],
        ["total", "12", "18", "72"],
    ]


def test_what_is_computed_between_layers_is_the_row_of_the_layer_around():
    class Around(nn.Layer):
        def __init__(self):
            self.inner = nn.Linear(3, 3)
            self.unused = nn.Linear(3, 4)
            self.factor = te.tensor(2.0, requires_grad=True)

        def forward(self, x):
            return self.factor * self.inner(x)

    model = nn.Sequential(nn.Residual(Around()), nn.Tanh())

    assert table(model.summary((3,)))[1:] == [
        ["0.inner.inner Linear", "(n, 3)", "12", "9", "24"],
        ["0.inner Around", "(n, 3)", "1", "0", "24"],
        ["0 Residual", "(n, 3)", "0", "0", "24"],
        ["1 Tanh", "(n, 3)", "0", "0", "24"],
        ["others", "16", "0", "0"],
        ["total", "29", "9", "96"],
    ]


def test_parameters_that_are_not_trained_are_counted_again():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    before = model.summary((3,))
    model[0].weight.requires_grad = False

    assert model.summary((3,)).splitlines()[-1].split() == ["not", "trained", "12"]
    assert "not trained" not in before


def test_a_model_without_layers_and_parameters_has_a_total_of_nothing():
    assert table(nn.Sequential().summary((3,)))[1:] == [
        ["Sequential", "(n, 3)", "0", "0", "0"],
        ["total", "0", "0", "0"],
    ]


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x, w: x * w, "(n, 5, 3)"),
        (lambda x, w: te.transpose(x * w), "(3, 5, n)"),
        (lambda x, w: te.reshape(x * w, (-1, 3)), "(5n, 3)"),
        (lambda x, w: te.reshape(x * w, (-1,)), "(15n,)"),
        (lambda x, w: te.sum(x * w), "()"),
        (lambda x, w: w, "(3,)"),
        (lambda x, w: x[:, 0] @ te.transpose(x[:, 0]), "(n, n)"),
        (lambda x, w: te.concatenate([x * w, w[None, None] * np.ones((1, 5, 1))]), "?"),
        (lambda x, w: (x * w, {"a": [x[0] * w]}), "(n, 5, 3), (5, 3)"),
        (lambda x, w: "words", "(?)"),
    ],
)
def test_the_output_shape_says_where_the_rows_are(function, shape):
    first = table(Computes(function, 3).summary((5, 3)))[1]

    told = first[1] if shape != "?" else first[1][1:2]
    assert told == shape


def test_a_misfit_names_the_layer():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(4, 1))

    with pytest.raises(
        ValueError, match=r"^Linear '2' \(4 -> 1\) got \(2, 2\): its last"
    ):
        model.summary((3,))

    assert current_scope() is None


# ------------------------------------------------------------------------ the inputs


def test_an_int_stands_for_one_axis():
    model = nn.Linear(3, 2)

    assert model.summary(3) == model.summary((3,)) == model.summary([np.int64(3)])


@pytest.mark.parametrize(
    "shapes", [(28, 28), (), ((3.0,),), ("784",), (None,), ((-1, 3),), ((3,), 3)]
)
def test_what_is_no_shape_is_refused_with_what_to_write(shapes):
    with pytest.raises(TypeError, match=r"such as summary\(\(784,\)\).*; got \("):
        nn.Linear(3, 2).summary(*shapes)


def test_several_inputs_have_a_shape_each():
    model = Computes(lambda x, y, w: x @ w + y, 3, 4)

    assert counts(model.summary((3,), (4,)))["total"] == (12, 12, 2 * 4 * 8)


def test_numbers_of_words_are_integers():
    model = nn.Sequential(nn.Embedding(50, 4, rng=0), nn.Linear(4, 2))

    text = model.summary((6,), dtype=int)

    assert table(text)[1][:2] == ["0 Embedding", "(n, 6, 4)"]
    assert counts(text)["1 Linear"] == (10, 48, 96)


def test_the_inputs_are_of_the_parameters_dtype_unless_told():
    seen = []
    model = Computes(lambda x, w: seen.append(x.dtype) or x * w, 3)
    model.w = te.tensor(np.ones(3), requires_grad=True, dtype=np.float32)

    model.summary((3,))
    model.summary((3,), dtype=np.float64)

    assert seen == [np.float32] * 2 + [np.float64] * 2


# --------------------------------------------------------------------- multiply-adds


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, w: te.matmul(x, te.transpose(w)), 4 * 5 * 3),
        (lambda x, w: te.matmul(x, w[0]), 4 * 3),
        (lambda x, w: te.matmul(te.transpose(x, (0, 2, 1)), x * w[0]), 3 * 4 * 3),
        (lambda x, w: te.linear(x, w), 4 * 5 * 3),
        (lambda x, w: te.dot(x, te.transpose(w)), 4 * 5 * 3),
        (lambda x, w: te.inner(x, w), 4 * 5 * 3),
        (lambda x, w: te.outer(x, w), 12 * 15),
        (lambda x, w: te.vdot(x * w[0], x), 12),
        (lambda x, w: te.tensordot(x, w, axes=([2], [1])), 4 * 5 * 3),
        (lambda x, w: te.einsum("ntc,oc->nto", x, w), 4 * 5 * 3),
        (lambda x, w: te.einsum("...c,oc", x, w), 4 * 5 * 3),
        (lambda x, w: te.einsum("ntc,oc,oc->n", x, w, w), 2 * 4 * 5 * 3),
        (lambda x, w: te.einsum("ntc->nct", x * w[0]), 0),
        (lambda x, w: te.conv1d(te.transpose(x, (0, 2, 1)), w[:, :, None]), 4 * 5 * 3),
        (
            lambda x, w: te.conv2d(
                x[:, None], te.reshape(w, (1, 1, 5, 3)), padding=(1, 0)
            ),
            2 * 1 * 15,
        ),
        (lambda x, w: te.conv_input(x, w[:4, :1, None], shape=3), 4 * 3),
        (lambda x, w: te.conv_weight(x[..., :2] * w[0, 0], x, kernel_size=2), 8 * 8),
        (lambda x, w: te.exp(x) * te.sum(w) + 1.0, 0),
    ],
)
def test_multiply_adds_are_those_of_the_recorded_products(function, expected):
    model = Computes(function, 5, 3)

    assert counts(model.summary((4, 3)))["total"][1] == expected


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(3, 8, 5, 2, 1), (3, 9, 11), 8 * 4 * 5 * 3 * 25),
        (nn.Conv1d(3, 8, 5, padding="same"), (3, 9), 8 * 9 * 3 * 5),
        (nn.Linear(3, 8), (6, 3), 6 * 3 * 8),
    ],
)
def test_multiply_adds_of_layers_are_outputs_times_what_each_sums_up(
    layer, shape, expected
):
    assert counts(layer.summary(shape))["total"][1] == expected


def test_multiply_adds_count_also_what_is_frozen():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    model[0].weight.requires_grad = model[0].bias.requires_grad = False

    assert counts(model.summary((3,)))["0 Linear"] == (16, 12, 0)
    assert not model[0].weight.requires_grad


def test_a_layer_called_once_for_each_row_adds_up():
    class ByRow(nn.Layer):
        def __init__(self):
            self.part = nn.Linear(3, 4)

        def forward(self, x):
            return te.stack([self.part(row) for row in x])

    assert counts(ByRow().summary((3,)))["total"] == (16, 12, 2 * 4 * 8)


# ------------------------------------------------------------------------- the memory


@pytest.mark.parametrize(
    ("layers", "shape", "kept"),
    [
        ([nn.Linear(3, 5)], (3,), 5 * 8),
        ([nn.Linear(3, 5, dtype=np.float32)], (3,), 5 * 4),
        ([nn.Linear(3, 4), nn.Flatten()], (3,), 4 * 8),  # a view
        ([nn.Linear(3, 4), nn.Dropout(0.5, rng=0)], (3,), (4 + 2 * 4) * 8),  # the mask
        ([nn.Linear(3, 4), nn.Dropout(0.5, rng=0).eval()], (3,), 4 * 8),
        ([nn.Tanh(), nn.Linear(3, 4)], (3,), (3 + 4) * 8),  # what goes in, made here
        ([nn.Tanh()], (3,), 0),  # nothing to walk back to
        ([nn.Residual(nn.Linear(3, 3))], (3,), (3 + 3) * 8),
    ],
    ids=str,
)
def test_memory_is_what_the_graph_keeps_for_a_row(layers, shape, kept):
    assert counts(nn.Sequential(*layers).summary(shape))["total"][2] == kept


def test_a_view_keeps_all_of_what_it_looks_at():
    model = Computes(lambda x, w: np.concatenate([x, x], axis=1)[:, :3] * w, 3)

    assert counts(model.summary((3,)))["total"][2] == (6 + 3) * 8


def test_what_an_operation_keeps_aside_counts():
    labels = {2: np.zeros(2, int), 3: np.zeros(3, int)}
    model = Computes(lambda x, w: te.softmax_cross_entropy(x * w, labels[len(x)]), 4)

    # x w, the error, which has its shape, and the label
    assert counts(model.summary((4,)))["total"][2] == (4 + 4 + 1) * 8


MODELS = {
    "dense": (
        lambda: nn.Sequential(nn.Linear(20, 30), nn.GELU(), nn.Linear(30, 5)),
        (20,),
    ),
    "normalised": (
        lambda: nn.Sequential(
            nn.Linear(20, 30), nn.BatchNorm1d(30), nn.Dropout(0.3), nn.LayerNorm(30)
        ),
        (20,),
    ),
    "convolution": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        ),
        (1, 8, 8),
    ),
    "attention": (
        lambda: nn.Residual(nn.MultiHeadAttention(16, 2)),
        (5, 16),
    ),
    # so many times that the prints of its first state, 144 bytes a row, are few
    "recurrent": (lambda: nn.LSTM(8, 6), (12, 8)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_memory_is_what_the_interpreter_measures(name):
    make, shape = MODELS[name]
    model = make()
    inputs = {n: np.ones((n, *shape)) for n in (500, 1000)}
    model(inputs[500])  # what is allocated only once

    def measured(n):
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        output = model(inputs[n])
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        assert output is not None
        return after - before

    tracemalloc.start()
    try:
        per_row = (measured(1000) - measured(500)) / 500
    finally:
        tracemalloc.stop()

    assert counts(model.summary(shape))["total"][2] == pytest.approx(per_row, rel=0.02)


# ------------------------------------------------------------------- what it leaves


class Counts(nn.Layer):
    """Counts its calls in a buffer."""

    def __init__(self):
        self.calls = np.zeros(1, np.int64)

    def forward(self, x):
        self.calls += 1
        return x


def test_a_summary_leaves_everything_as_it_was():
    def make():
        return nn.Sequential(
            nn.Linear(3, 4, rng=0),
            nn.BatchNorm1d(4),
            nn.Dropout(0.5, rng=1),
            nn.Dropout(0.5, rng=np.random.RandomState(2)),
            Counts(),
            nn.Tanh().eval(),
        )

    model, other = make(), make()
    model[0].bias.requires_grad = other[0].bias.requires_grad = False
    x = np.arange(12.0).reshape(4, 3)

    with te.no_grad():
        text = model.summary((3,))

    assert counts(text)["0 Linear"][1] == 12  # recorded all the same
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array, err_msg=name)
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True]
    assert [layer.training for layer in model] == [True] * 5 + [False]
    np.testing.assert_array_equal(model(x).data, other(x).data)  # the same masks


def test_a_failed_summary_leaves_everything_as_it_was():
    model = nn.Sequential(Counts(), nn.Linear(3, 2), nn.Linear(3, 1))
    model[1].weight.requires_grad = False

    with pytest.raises(ValueError, match="got"):
        model.summary((3,))

    assert model[0].calls[0] == 0
    assert not model[1].weight.requires_grad
    assert current_scope() is None
    assert model[1](np.ones(3)).scope.path == ""


def test_a_summary_is_of_the_mode_in_which_the_model_is():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))

    training = counts(model.summary((3,)))["total"][2]
    evaluation = counts(model.eval().summary((3,)))["total"][2]

    assert training == evaluation + 4 * 8  # the squares
