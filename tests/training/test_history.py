"""The figures of a training run: kept, saved, drawn and shown."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import History

NAN, INF = math.nan, math.inf


def history_of(**columns):
    history = History()
    for epoch, row in enumerate(zip(*columns.values(), strict=True), 1):
        history.append(epoch, dict(zip(columns, row, strict=True)))
    return history


# -------------------------------------------------------------------------- appending


def test_figures_are_lists_of_floats_by_name():
    history = History()

    history.append(1, {"loss": np.float32(0.5), "accuracy": te.tensor(0.25)})
    history.append(2, {"loss": np.array([0.25]).sum(), "accuracy": 1})

    assert history.epochs == [1, 2]
    assert history.values == {"loss": [0.5, 0.25], "accuracy": [0.25, 1.0]}
    assert all(type(x) is float for column in history.values.values() for x in column)
    assert history["loss"] == [0.5, 0.25]
    assert (history.stopped, history.resumed_from) == ("", None)


def test_what_was_not_measured_is_nan():
    history = History()

    history.append(1, {"loss": 0.5})
    history.append(3, {"accuracy": 0.25})

    np.testing.assert_array_equal(history["loss"], [0.5, NAN])
    np.testing.assert_array_equal(history["accuracy"], [NAN, 0.25])


@pytest.mark.parametrize("epoch", [2, 1, 0])
def test_an_epoch_comes_after_the_last(epoch):
    history = history_of(loss=[0.5, 0.25])

    with pytest.raises(ValueError, match=rf"epoch {epoch} does not come after epoch 2"):
        history.append(epoch, {"loss": 0.1})

    assert history == history_of(loss=[0.5, 0.25])


def test_a_figure_is_one_number_else_nothing_is_added():
    history = history_of(loss=[0.5])

    with pytest.raises(TypeError, match=r"loss must be a number, got ndarray of sh.*2"):
        history.append(2, {"accuracy": 1.0, "loss": np.ones(2)})

    assert history == history_of(loss=[0.5])


def test_an_unknown_name_is_told_with_those_there_are():
    history = history_of(loss=[0.5], accuracy=[1.0])

    with pytest.raises(KeyError, match=r"no 'validation_loss'; it has loss, accuracy"):
        history["validation_loss"]
    assert "validation_loss" not in history
    assert "loss" in history
    with pytest.raises(TypeError, match="not iterable"):
        list(history)


# --------------------------------------------------------------------------- equality


def test_equality_is_that_of_figures_but_for_the_seconds():
    history = history_of(loss=[0.5, NAN], seconds=[1.0, 1.0])

    assert history == history_of(loss=[0.5, NAN], seconds=[2.0, 3.0])
    assert history == history_of(loss=[0.5, NAN])
    assert history != history_of(loss=[0.5, 0.25], seconds=[1.0, 1.0])
    assert history != history_of(loss=[0.5], seconds=[1.0])
    assert history != history_of(loss=[0.5, NAN], accuracy=[1.0, 1.0])
    assert history != [0.5, NAN]


def test_equality_looks_at_the_numbers_of_epochs():
    one, other = History(), History()

    one.append(1, {"loss": 0.5})
    other.append(2, {"loss": 0.5})

    assert one != other


# -------------------------------------------------------------------- saving, loading


def test_a_state_survives_strict_json_bit_by_bit():
    history = history_of(loss=[1 / 3, NAN, INF], accuracy=[5e-324, -INF, 0.1])
    history.stopped, history.resumed_from = "loss is nan", 2

    text = json.dumps(history.state_dict(), allow_nan=False)
    other = History()
    other.load_state_dict(json.loads(text))

    assert other == history
    assert other["loss"][0] == 1 / 3
    assert (other.stopped, other.resumed_from) == ("loss is nan", 2)


def test_a_state_is_a_copy():
    history = history_of(loss=[0.5])
    state = history.state_dict()
    other = History()
    other.load_state_dict(state)

    history.append(2, {"loss": 0.25})
    other.append(2, {"loss": 0.75})

    assert state["epochs"] == [1]
    assert state["values"] == {"loss": [0.5]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": {"loss": [1.0]}}, "2 epochs but 1 values of loss"),
        ({"values": {"loss": ["x", 1.0]}}, "could not convert"),
    ],
)
def test_a_wrong_state_is_refused_and_changes_nothing(change, message):
    history = history_of(loss=[0.5])
    state = history_of(loss=[0.5, 0.25]).state_dict() | change

    with pytest.raises(ValueError, match=message):
        history.load_state_dict(state)

    assert history == history_of(loss=[0.5])


def test_a_state_names_all_that_is_missing():
    with pytest.raises(ValueError, match="missing values, resumed_from, stopped"):
        History().load_state_dict({"epochs": []})


def test_a_csv_file_keeps_every_digit(tmp_path):
    history = history_of(loss=[1 / 3, NAN], accuracy=[0.1, INF])

    path = history.to_csv(tmp_path / "new" / "history.csv")

    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["epoch", "loss", "accuracy"]
    assert [row[0] for row in rows] == ["1", "2"]
    numbers = [[*map(float, row[1:])] for row in rows]
    np.testing.assert_array_equal(numbers, [[1 / 3, 0.1], [NAN, INF]])


def test_a_csv_file_quotes_names_that_need_it(tmp_path):
    history = history_of(**{"precision, recall": [0.5]})

    path = history.to_csv(tmp_path / "history.csv")

    assert path.read_bytes() == b'epoch,"precision, recall"\n1,0.5\n'


# --------------------------------------------------------------------- looking at it


def test_the_plot_has_the_losses_above_and_the_metrics_below():
    history = history_of(
        loss=[0.5, 0.25],
        validation_loss=[0.5, 0.75],
        accuracy=[0.5, 1.0],
        validation_accuracy=[0.5, 0.75],
        learning_rate=[0.1, 0.1],
        seconds=[1.0, 1.0],
    )

    above, below = history.plot().get_figure().axes

    assert [text.get_text() for text in above.get_legend().get_texts()] == [
        "training, last 0.25",
        "validation, last 0.75",
        "best validation: 0.5 at epoch 1",
    ]
    assert len(below.lines) == 2
    np.testing.assert_array_equal(below.lines[1].get_ydata(), [0.5, 0.75])


def test_the_plot_has_the_epochs_that_were_appended_and_the_given_axes():
    history = History()
    for epoch in (3, 7):
        history.append(epoch, {"loss": 1 / epoch})
    ax = te.plots.loss_curve([1], [1.0]).get_figure().subplots()

    returned = history.plot(ax=ax, log=True)

    assert returned is ax
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [3, 7])


def test_without_a_loss_there_is_no_plot():
    with pytest.raises(ValueError, match="no losses"):
        History().plot()


def test_the_repr_is_a_short_table():
    history = history_of(loss=[1 / n for n in range(1, 101)])
    history.stopped, history.resumed_from = "interrupted", 40

    assert repr(history).splitlines() == [
        "History of 100 epochs, resumed from epoch 40, stopped: interrupted",
        "epoch    loss",
        "    1       1",
        "    2     0.5",
        "    3  0.3333",
        "  ...",
        "   98  0.0102",
        "   99  0.0101",
        "  100    0.01",
    ]


@pytest.mark.parametrize(("count", "lines"), [(7, 9), (8, 9), (1, 3)])
def test_the_repr_leaves_out_no_single_line(count, lines):
    text = repr(history_of(loss=[0.5] * count))

    assert len(text.splitlines()) == lines
    assert ("..." in text) == (count == 8)


def test_the_repr_of_an_empty_history_is_a_line():
    assert repr(History()) == "History of 0 epochs"
