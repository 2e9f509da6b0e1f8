"""predict and evaluate: batches, modes, metrics; and what they refuse."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.engine.recording import RECORDING


def network(dtype=np.float64):
    return nn.Sequential(
        nn.Linear(3, 4, rng=0, dtype=dtype),
        nn.BatchNorm1d(4, dtype=dtype),
        nn.Tanh(),
        nn.Dropout(0.5, rng=1),
        nn.Linear(4, 2, rng=2, dtype=dtype),
    )


class Watching(nn.Layer):
    """Notes what it is called with, and in which mode."""

    def __init__(self, result=lambda x: x):
        self.result = result
        self.calls = []

    def forward(self, *inputs):
        self.calls.append(
            (inputs, self.training, bool(RECORDING.get()), list(map(np.shape, inputs)))
        )
        return self.result(*inputs)

    @property
    def rows(self):
        return [shapes[0][0] for *_, shapes in self.calls]


class OnlyRows:
    """Rows that can be read in slices alone, as those of a file."""

    def __init__(self, array):
        self.array = array
        self.read = []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        self.read.append(rows)
        return self.array[rows]


class Table:
    """A table such as pandas': square brackets take columns."""

    iloc = None

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def __getitem__(self, column):
        raise KeyError(column)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype)


# ---------------------------------------------------------------------------- predict


@pytest.mark.parametrize("batch_size", [1, 3, 10, 11, None, np.int64(4)])
def test_batches_give_what_the_whole_gives(rng, batch_size):
    model, X = network(), rng.standard_normal((10, 3))
    expected = model.eval()(X).data
    model.train()

    output = te.predict(model, X, batch_size=batch_size)

    assert type(output) is np.ndarray
    np.testing.assert_allclose(output, expected, rtol=1e-13)


def test_a_batch_has_as_many_rows_as_asked_for_and_the_last_what_is_left():
    model = Watching()

    te.predict(model, np.ones((10, 2)), batch_size=4)

    assert model.rows == [4, 4, 2]


def test_a_thousand_and_twenty_four_rows_go_together_unless_told():
    model = Watching()

    te.predict(model, np.ones((1030, 1)))

    assert model.rows == [1024, 6]


def test_nothing_is_recorded_and_the_model_is_in_evaluation_mode():
    model = Watching()

    te.predict(model, np.ones((2, 2)))

    ((_, training, recording, _),) = model.calls
    assert (training, recording) == (False, False)
    assert RECORDING.get()
    assert model.training


@pytest.mark.parametrize("fails", [False, True])
def test_each_layer_goes_back_into_its_own_mode(fails):
    model = network()
    model[1].eval()  # frozen statistics, as when fine-tuning
    before = [model.training, *(layer.training for _, layer in model.named_layers())]
    X = np.ones((4, 7 if fails else 3))

    if fails:
        with pytest.raises(ValueError, match="last axis"):
            te.predict(model, X)
    else:
        te.predict(model, X)

    after = [model.training, *(layer.training for _, layer in model.named_layers())]
    assert before == after == [True, True, False, True, True, True]


def test_no_buffer_and_no_generator_moves(rng):
    model = network()
    state = model.state_dict()
    draws = model[3].rng.bit_generator.state

    te.predict(model, rng.standard_normal((4, 3)))

    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)
    assert model[3].rng.bit_generator.state == draws


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_output_has_the_dtype_of_the_model(rng, dtype):
    X = rng.standard_normal((5, 3)).astype(dtype)

    assert te.predict(network(dtype), X, batch_size=2).dtype == dtype


@pytest.mark.parametrize("batch_size", [2, None])
def test_the_output_is_an_array_of_its_own(batch_size):
    X = np.ones((5, 2))

    output = te.predict(nn.Dropout(0.5), X, batch_size=batch_size)

    assert not np.shares_memory(output, X)
    assert output.flags.writeable


def test_rows_may_be_numbers_or_images(rng):
    assert te.predict(nn.ReLU(), [1.0, -1.0, 2.0], batch_size=2).tolist() == [1, 0, 2]
    images = rng.standard_normal((5, 1, 4, 4))
    assert te.predict(nn.MaxPool2d(2), images, batch_size=2).shape == (5, 1, 2, 2)


def test_no_rows_give_an_output_of_no_rows():
    output = te.predict(network(), np.ones((0, 3)))

    assert output.shape == (0, 2)


def test_a_tensor_and_a_table_count_as_their_numbers():
    X = np.arange(6.0).reshape(3, 2)

    for given in (te.tensor(X), Table(X), X.tolist()):
        np.testing.assert_array_equal(te.predict(nn.ReLU(), given, 2), X)


def test_a_memory_map_is_read_batch_by_batch(tmp_path):
    X = np.arange(20.0).reshape(10, 2)
    np.save(tmp_path / "X.npy", X)
    model = Watching()

    output = te.predict(model, np.load(tmp_path / "X.npy", mmap_mode="r"), 4)

    np.testing.assert_array_equal(output, X)
    assert model.rows == [4, 4, 2]
    assert {type(inputs[0]) for inputs, *_ in model.calls} == {np.ndarray}


def test_only_slices_of_rows_are_asked_for():
    X = OnlyRows(np.arange(10.0).reshape(5, 2))

    output = te.predict(nn.ReLU(), X, batch_size=2)

    np.testing.assert_array_equal(output, X.array)
    assert X.read == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_a_tuple_holds_the_inputs_of_a_model_that_takes_several():
    model = Watching(lambda a, b: a + b)

    output = te.predict(model, (np.ones((5, 2)), np.full((5, 1), 2.0)), batch_size=3)

    np.testing.assert_array_equal(output, np.full((5, 2), 3.0))
    assert [shapes for *_, shapes in model.calls] == [
        [(3, 2), (3, 1)],
        [(2, 2), (2, 1)],
    ]


def test_a_model_of_several_outputs_gives_several():
    model = Watching(lambda x: [x, x.sum(axis=1)])

    both, sums = te.predict(model, np.ones((5, 2)), batch_size=3)

    assert (both.shape, sums.shape) == ((5, 2), (5,))


def test_a_function_is_a_model_too():
    assert te.predict(lambda x: te.exp(x), np.zeros((3, 1)), 2).tolist() == [[1]] * 3


@pytest.mark.parametrize(
    ("model", "X", "batch_size", "error", "message"),
    [
        (nn.ReLU(), np.ones((3, 1)), 0, ValueError, "at least 1, got 0"),
        (nn.ReLU(), np.ones((3, 1)), 2.0, TypeError, "int or None, got 2.0"),
        (nn.ReLU(), np.ones((3, 1)), True, TypeError, "int or None, got True"),
        (nn.ReLU(), np.float64(3), 2, TypeError, "X must be an array with one row"),
        (nn.ReLU(), (), 2, ValueError, "X is an empty tuple"),
        (
            nn.ReLU(),
            (np.ones(2), np.ones(3)),
            2,
            ValueError,
            "one row for each example, got 2 and 3 rows",
        ),
        (
            te.mean,
            np.ones((3, 1)),
            2,
            ValueError,
            r"of 2 rows it made an output of shape \(\)",
        ),
        (
            lambda x: x[:1],
            np.ones((3, 1)),
            2,
            ValueError,
            r"of 2 rows it made an output of shape \(1, 1\)",
        ),
        (
            lambda x: np.ones((len(x), len(x))),
            np.ones((3, 1)),
            2,
            ValueError,
            r"rows 2 to 2 gave an output of shape \(1, 1\).*batch_size=None",
        ),
    ],
)
def test_what_is_wrong_is_told(model, X, batch_size, error, message):
    with pytest.raises(error, match=message):
        te.predict(model, X, batch_size)


# --------------------------------------------------------------------------- evaluate


@pytest.mark.parametrize("batch_size", [1, 3, 10, None])
@pytest.mark.parametrize(
    "loss",
    [
        nn.softmax_cross_entropy,
        partial(nn.softmax_cross_entropy, weight=[1.0, 5.0]),
        lambda output, y: te.sqrt(nn.softmax_cross_entropy(output, y)),
    ],
    ids=["mean over rows", "weighted", "own"],
)
def test_the_loss_is_that_of_all_rows_however_they_are_cut(rng, loss, batch_size):
    model, X, y = network(), rng.standard_normal((10, 3)), rng.integers(0, 2, 10)
    expected = float(loss(model.eval()(X), y))
    model.train()

    found = te.evaluate(model, X, y, loss=loss, batch_size=batch_size)

    assert found.keys() == {"loss"}
    assert type(found["loss"]) is float
    assert found["loss"] == pytest.approx(expected)


def test_a_mean_over_rows_is_taken_batch_by_batch_and_others_at_once():
    shapes = {"rows": [], "whole": []}

    def loss(output, y):
        shapes["rows"].append(output.shape)
        return np.mean(output)

    loss.mean_over_rows = True

    def metric(output, y):
        shapes["whole"].append((output.shape, y.shape))
        return 1

    te.evaluate(
        nn.ReLU(), np.ones((5, 2)), np.ones(5), loss=loss, metrics=metric, batch_size=2
    )

    assert shapes["rows"] == [(2, 2), (2, 2), (1, 2)]
    assert shapes["whole"] == [((5, 2), (5,))]


def test_metrics_have_the_names_of_their_functions_or_those_given():
    def sharpness(output, y):
        return output.max()

    X, y = np.eye(3), np.arange(3)

    of_list = te.evaluate(nn.ReLU(), X, y, metrics=["accuracy", sharpness])
    of_dict = te.evaluate(nn.ReLU(), X, y, metrics={"a": "accuracy", "b": sharpness})

    assert of_list == {"accuracy": 1.0, "sharpness": 1.0}
    assert of_dict == {"a": 1.0, "b": 1.0}


def test_functions_of_scikit_learn_are_given_the_targets_first(rng):
    X, y = rng.standard_normal((20, 1)), rng.standard_normal((20, 1))
    output = np.maximum(X, 0)
    assert sklearn_metrics.r2_score(y, output) != sklearn_metrics.r2_score(output, y)
    fractional = partial(sklearn_metrics.d2_tweedie_score, power=0)

    found = te.evaluate(
        nn.ReLU(), X, y, metrics=[sklearn_metrics.r2_score, fractional], batch_size=6
    )

    assert found["r2_score"] == pytest.approx(sklearn_metrics.r2_score(y, output))
    assert found["d2_tweedie_score"] == pytest.approx(fractional(y, output))


@pytest.mark.parametrize("names", ["y_true, y_pred", "y, output", "labels, scores"])
def test_the_names_of_parameters_tell_the_order(names):
    functions: dict = {}
    exec(f"def metric({names}): return {names.split(',')[0]}[0, 0]", functions)

    found = te.evaluate(
        nn.ReLU(), np.ones((2, 1)), np.full((2, 1), 5.0), metrics=functions["metric"]
    )

    assert found == {"metric": 5.0}


@pytest.mark.parametrize("names", ["output, y", "y_pred, y_true", "a, b"])
def test_other_functions_are_given_the_output_first_as_losses_are(names):
    functions: dict = {}
    exec(f"def metric({names}): return {names.split(',')[0]}[0, 0]", functions)

    found = te.evaluate(
        nn.ReLU(), np.ones((2, 1)), np.full((2, 1), 5.0), metrics=functions["metric"]
    )

    assert found == {"metric": 1.0}


def test_a_loss_is_a_metric_too(rng):
    X, y = rng.standard_normal((5, 2)), rng.standard_normal((5, 2))

    found = te.evaluate(nn.Tanh(), X, y, metrics=nn.l1_loss, batch_size=2)

    assert found["l1_loss"] == pytest.approx(np.abs(np.tanh(X) - y).mean())


def test_a_lambda_has_a_name():
    found = te.evaluate(nn.ReLU(), np.ones(2), np.ones(2), metrics=lambda a, b: 2)

    assert found == {"lambda": 2.0}


def test_several_inputs_and_targets_are_tuples():
    model = Watching(lambda a, b: (a + b, a * b))
    X = np.full(5, 2.0), np.full(5, 3.0)

    def loss(output, y):
        return np.abs(output[0] - y[0]).sum() + np.abs(output[1] - y[1]).sum()

    y = np.full(5, 4.0), np.full(5, 6.0)

    assert te.evaluate(model, X, y, loss=loss, batch_size=2) == {"loss": 5.0}


def test_evaluate_records_nothing_and_puts_the_mode_back():
    model = Watching()

    def loss(output, y):
        assert not RECORDING.get()
        return 1.0

    te.evaluate(model, np.ones(2), np.ones(2), loss=loss)

    ((_, training, recording, _),) = model.calls
    assert (training, recording) == (False, False)
    assert model.training


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"metrics": "f1"},
            ValueError,
            "no metric 'f1'; by name",
        ),
        ({"metrics": 3}, TypeError, "metrics must be a list, got int"),
        ({"metrics": [3]}, ValueError, "no metric 3"),
        ({"loss": "mse"}, TypeError, "loss must be a function.*got 'mse'"),
        (
            {"metrics": [lambda a, b: 1, lambda a, b: 2]},
            ValueError,
            "there is a 'lambda' already",
        ),
        ({"metrics": {"loss": np.max}}, ValueError, "there is a 'loss' already"),
        ({"metrics": {"seconds": np.max}}, ValueError, "a 'seconds' already"),
        (
            {"loss": lambda a, b: a},
            TypeError,
            r"the loss must return one number, got float64 of shape \(4, 2\)",
        ),
        (
            {"metrics": {"m": lambda a, b: "much"}},
            TypeError,
            "metric m must return one number",
        ),
    ],
)
def test_evaluate_says_what_is_wrong(options, error, message):
    with pytest.raises(error, match=message):
        te.evaluate(nn.ReLU(), np.ones((4, 2)), np.ones(4, int), **options)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((4, 2)), np.ones(5, int), "got 4 and 5 rows"),
        (np.ones((0, 2)), np.ones(0, int), "X has no rows"),
    ],
)
def test_evaluate_wants_rows_and_as_many_targets(X, y, message):
    with pytest.raises(ValueError, match=message):
        te.evaluate(nn.ReLU(), X, y, loss=nn.softmax_cross_entropy)


def test_a_metric_that_fails_is_named_with_what_it_was_given(rng):
    X, y = rng.standard_normal((4, 3)), np.arange(4) % 3

    with pytest.raises(ValueError, match="continuous") as caught:
        te.evaluate(nn.ReLU(), X, y, metrics=sklearn_metrics.accuracy_score)

    (note,) = caught.value.__notes__
    assert "metric accuracy_score" in note
    assert "float64 of shape (4, 3)" in note
    assert "argmax(axis=1)" in note
