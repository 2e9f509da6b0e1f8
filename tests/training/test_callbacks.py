"""Callbacks: when training ends, what is saved, logged and drawn."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import History, nn
from tinygrad_edu.training import CSVLog, EarlyStopping, LivePlot, ModelCheckpoint
from tinygrad_edu.training.checkpoints import decode, encode

NAN, INF = math.nan, math.inf


class Training:
    """A training that learns nothing: in epoch n, the weight is n."""

    def __init__(self, epochs=100):
        self.model = nn.Linear(1, 1, bias=False)
        self.history = History()
        self.epoch, self.epochs = 0, epochs

    def stop(self, reason):
        self.history.stopped = reason

    def after_epoch(self, callback, **figures):
        self.epoch += 1
        self.model.weight.data = [[float(self.epoch)]]
        self.history.append(self.epoch, figures)
        callback(self)

    def run(self, callback, name, values):
        for value in values:
            self.after_epoch(callback, **{name: value})
            if self.history.stopped:
                break

    @property
    def weight(self):
        return self.model.weight.item()


# --------------------------------------------------------------------- early stopping


@pytest.mark.parametrize(
    ("options", "name", "values", "ends", "best"),
    [
        ({"patience": 2}, "validation_loss", [3, 2, 4, 1, 5, 6, 0], 6, 4),
        ({"patience": 3}, "validation_loss", [3, 2, 4, 1, 5, 6, 0], 0, 7),
        ({"patience": 1}, "validation_loss", [3, 2, 2], 3, 2),
        ({"patience": 2, "min_delta": 1}, "validation_loss", [3, 2.5, 2], 3, 1),
        ({"patience": 2, "min_delta": 1}, "validation_loss", [3, 2.5, 1.9], 0, 3),
        ({"patience": 2}, "validation_loss", [NAN, 3, NAN, NAN], 4, 2),
        ({"patience": 2}, "validation_loss", [INF, 3, 4], 0, 2),
        ({"patience": 2, "monitor": "accuracy"}, "accuracy", [1, 3, 2, 2], 4, 2),
        ({"patience": 2, "monitor": "f", "mode": "max"}, "f", [1, 3, 2, 2], 4, 2),
        ({"patience": 2, "monitor": "f", "mode": "min"}, "f", [1, 3, 2, 0], 3, 1),
    ],
)
def test_training_ends_when_nothing_has_improved_for_a_while(
    options, name, values, ends, best
):
    training, stopping = Training(), EarlyStopping(**options)

    training.run(stopping, name, values)

    assert training.epoch == (ends or len(values))
    assert bool(training.history.stopped) == bool(ends)
    assert stopping.best_epoch == best
    assert stopping.best == values[best - 1]
    assert training.weight == (best if ends else len(values))


def test_the_reason_says_what_was_watched_and_how_long():
    training = Training()

    training.run(EarlyStopping(patience=2), "validation_loss", [0.5, 0.25, 0.75, 0.5])

    assert training.history.stopped == (
        "early stopping: validation_loss has not improved for 2 epochs; "
        "best 0.25 in epoch 2"
    )


def test_a_figure_that_was_always_nan_ends_the_training_too():
    training = Training()

    training.run(EarlyStopping(patience=1), "validation_loss", [NAN])

    assert training.history.stopped.endswith("for 1 epoch; it was nan from the first")
    assert training.weight == 1


def test_the_last_weights_stay_if_the_best_are_not_wanted():
    training = Training()

    training.run(
        EarlyStopping(patience=2, restore_best=False), "validation_loss", [1, 2, 3]
    )

    assert training.history.stopped
    assert training.weight == 3


def test_the_best_weights_come_back_after_the_last_epoch_too():
    training = Training(epochs=3)

    training.run(EarlyStopping(), "validation_loss", [2, 1, 3])

    assert training.history.stopped == ""
    assert training.weight == 2


def test_buffers_come_back_with_the_weights():
    training, stopping = Training(), EarlyStopping(patience=1)
    training.model.mean = np.zeros(1)

    training.run(stopping, "validation_loss", [1])
    training.model.mean[:] = 5.0
    training.run(stopping, "validation_loss", [2])

    assert training.model.mean.tolist() == [0.0]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_resumed_training_ends_as_one_that_was_not_cut(cut):
    values = [3, 1, 2, 4, 5, 6]
    whole, first, second = Training(), Training(), Training()
    whole.run(EarlyStopping(patience=3), "validation_loss", values)
    stopping = EarlyStopping(patience=3)
    first.run(stopping, "validation_loss", values[:cut])

    again = EarlyStopping(patience=3)
    again.load_state_dict(decode(encode(stopping.state_dict())))
    second.history, second.epoch = first.history, first.epoch
    second.run(again, "validation_loss", values[cut:])

    assert second.epoch == whole.epoch == 5
    assert second.weight == whole.weight == 2
    assert second.history.stopped == whole.history.stopped


def test_a_state_before_the_first_epoch_is_loaded():
    stopping = EarlyStopping()
    stopping.load_state_dict(decode(encode(EarlyStopping().state_dict())))

    training = Training(epochs=1)
    training.run(stopping, "validation_loss", [1])

    assert stopping.best == 1


def test_a_second_training_begins_anew():
    stopping = EarlyStopping(patience=2)
    Training().run(stopping, "validation_loss", [1, 2])

    training = Training()
    training.run(stopping, "validation_loss", [9, 8, 10, 11])

    assert training.epoch == 4
    assert (stopping.best, training.weight) == (8, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience must be at least 1 epoch, got 0"),
        ({"patience": 1.5}, "patience must be at least 1 epoch, got 1.5"),
        ({"min_delta": -1.0}, "min_delta must not be negative"),
        ({"min_delta": NAN}, "min_delta must not be negative"),
        ({"mode": "least"}, "mode must be min, max or auto, got 'least'"),
        ({"monitor": "spread"}, "should 'spread' go down or up"),
        ({"monitor": "accuracy_loss"}, "should 'accuracy_loss' go down or up"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=f"EarlyStopping: {message}"):
        EarlyStopping(**options)


@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint"])
def test_a_figure_that_is_not_measured_is_named_with_those_that_are(name, tmp_path):
    callback = {
        "EarlyStopping": EarlyStopping(),
        "ModelCheckpoint": ModelCheckpoint(tmp_path / "a.safetensors"),
    }[name]

    with pytest.raises(
        ValueError,
        match=f"{name}: 'validation_loss' is not measured; there are loss; pass valid",
    ):
        Training().run(callback, "loss", [1])


# ------------------------------------------------------------------- model checkpoints


def test_the_file_holds_the_best_weights_so_far(tmp_path):
    path = tmp_path / "best.safetensors"
    training, checkpoint = Training(), ModelCheckpoint(path)
    saved = []

    for value in (3, 1, 2, NAN, 0.5):
        training.after_epoch(checkpoint, validation_loss=value)
        saved.append(te.load(nn.Linear(1, 1, bias=False), path).weight.item())

    assert saved == [1, 2, 2, 2, 5]
    assert (checkpoint.best, checkpoint.best_epoch) == (0.5, 5)


def test_a_resumed_training_saves_only_what_is_better(tmp_path):
    path = tmp_path / "best.safetensors"
    training, checkpoint = Training(), ModelCheckpoint(path, "accuracy")
    training.run(checkpoint, "accuracy", [0.5, 0.75])

    again = ModelCheckpoint(path, "accuracy")
    again.load_state_dict(decode(encode(checkpoint.state_dict())))
    training.run(again, "accuracy", [0.6])

    assert te.load(nn.Linear(1, 1, bias=False), path).weight.item() == 2


def test_a_second_training_saves_its_own_best(tmp_path):
    path = tmp_path / "best.safetensors"
    checkpoint = ModelCheckpoint(path)
    Training().run(checkpoint, "validation_loss", [1])

    Training().run(checkpoint, "validation_loss", [3, 2])

    assert te.load(nn.Linear(1, 1, bias=False), path).weight.item() == 2


def test_the_name_of_the_file_is_checked_before_training(tmp_path):
    with pytest.raises(
        ValueError, match=r"ModelCheckpoint: .* must end in .safetensors"
    ):
        ModelCheckpoint(tmp_path / "best.pt")
    with pytest.raises(IsADirectoryError, match=r"ModelCheckpoint: .* is a folder"):
        ModelCheckpoint(tmp_path)


# ------------------------------------------------------------------------------- logs


def test_each_epoch_is_a_line_as_soon_as_it_has_ended(tmp_path):
    path = tmp_path / "logs" / "run.csv"
    training, log = Training(), CSVLog(path)
    lengths = []

    for loss in (0.5, 0.25, 1 / 3):
        training.after_epoch(log, loss=loss, accuracy=1)
        lengths.append(len(path.read_text("utf-8").splitlines()))

    assert lengths == [2, 3, 4]
    assert path.read_text("utf-8") == (
        "epoch,loss,accuracy\n1,0.5,1.0\n2,0.25,1.0\n3,0.3333333333333333,1.0\n"
    )


def test_later_lines_are_appended(tmp_path):
    path = tmp_path / "run.csv"
    training, log = Training(), CSVLog(path)
    training.run(log, "loss", [0.5, 0.25])
    path.write_text("# mine\n", "utf-8")

    training.run(log, "loss", [0.125])

    assert path.read_text("utf-8") == "# mine\n3,0.125\n"


@pytest.mark.parametrize("left", ["whole", "half a line", "a line too many", "nothing"])
def test_a_resumed_training_doubles_no_line(tmp_path, left):
    path = tmp_path / "run.csv"
    whole = "epoch,loss\n1,0.5\n2,0.25\n3,0.125\n"
    training = Training()
    training.run(CSVLog(path), "loss", [0.5, 0.25])
    text = {
        "whole": "epoch,loss\n1,0.5\n2,0.25\n",
        "half a line": "epoch,loss\n1,0.5\n2,0.",
        "a line too many": whole,
        "nothing": "",
    }[left]
    path.write_text(text, "utf-8")

    training.run(CSVLog(path), "loss", [0.125])

    assert path.read_text("utf-8") == whole


def test_a_new_training_begins_a_new_file(tmp_path):
    path = tmp_path / "run.csv"
    log = CSVLog(path)
    Training().run(log, "loss", [0.5, 0.25])

    Training().run(log, "loss", [4.0, 3.0])

    assert path.read_text("utf-8") == "epoch,loss\n1,4.0\n2,3.0\n"


def test_a_log_of_another_training_is_written_anew_by_a_resumed_one(tmp_path):
    path = tmp_path / "run.csv"
    log, training = CSVLog(path), Training()
    training.run(lambda _: None, "loss", [0.5, 0.25])
    Training().run(log, "loss", [7.0, 6.0])

    training.run(log, "loss", [0.125])

    assert path.read_text("utf-8") == "epoch,loss\n1,0.5\n2,0.25\n3,0.125\n"


def test_a_figure_that_comes_later_has_a_column(tmp_path):
    path = tmp_path / "run.csv"
    training, log = Training(), CSVLog(path)

    training.after_epoch(log, loss=0.5)
    training.after_epoch(log, loss=0.25, accuracy=1)
    training.after_epoch(log, loss=0.125, accuracy=1)

    assert path.read_text("utf-8") == (
        "epoch,loss,accuracy\n1,0.5,nan\n2,0.25,1.0\n3,0.125,1.0\n"
    )


def test_a_file_that_was_removed_is_written_anew(tmp_path):
    path = tmp_path / "run.csv"
    training, log = Training(), CSVLog(path)
    training.run(log, "loss", [0.5, 0.25])
    path.unlink()

    training.run(log, "loss", [0.125])

    assert path.read_text("utf-8") == "epoch,loss\n1,0.5\n2,0.25\n3,0.125\n"


# -------------------------------------------------------------------------- live plots


@pytest.fixture
def notebook(monkeypatch):
    """An IPython in a kernel; the list of what it shows: new or not, and the losses."""
    shown, plotted = [], []
    plot = History.plot

    def display(picture, display_id):
        assert display_id is True
        assert picture.startswith(b"\x89PNG")
        shown.append(("new", plotted[-1]))
        return SimpleNamespace(update=update)

    def update(picture):
        assert picture.startswith(b"\x89PNG")
        shown.append(("update", plotted[-1]))

    def noted(history, **options):
        plotted.append(list(history["loss"]))
        return plot(history, **options)

    ipython = SimpleNamespace(
        get_ipython=lambda: SimpleNamespace(kernel=object()),
        version_info=(9, 0),  # which matplotlib reads
    )
    parts = SimpleNamespace(display=display, Image=lambda data: data)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", parts)
    monkeypatch.setattr(History, "plot", noted)
    return shown


def test_in_a_notebook_one_picture_is_drawn_again_and_again(notebook):
    Training().run(LivePlot(every=0.0), "loss", [3, 2, 1])

    assert notebook == [("new", [3]), ("update", [3, 2]), ("update", [3, 2, 1])]


def test_pictures_come_no_faster_than_wanted_but_for_the_last(notebook):
    Training(epochs=5).run(LivePlot(every=1e6), "loss", [5, 4, 3, 2, 1])

    assert notebook == [("new", [5]), ("update", [5, 4, 3, 2, 1])]


def test_a_training_that_is_stopped_is_drawn_to_its_end(notebook):
    training, plot = Training(), LivePlot(every=1e6)
    training.run(plot, "loss", [5, 4, 3])

    training.stop("enough")
    training.after_epoch(plot, loss=2)

    assert notebook == [("new", [5]), ("update", [5, 4, 3, 2])]


def test_a_second_training_has_a_picture_of_its_own(notebook):
    plot = LivePlot(every=1e6)

    Training().run(plot, "loss", [1])
    Training().run(plot, "loss", [2])

    assert notebook == [("new", [1]), ("new", [2])]


def test_a_loss_of_zero_ends_the_logarithmic_scale_not_the_training(notebook):
    Training().run(LivePlot(every=0.0, log=True), "loss", [1, 0, NAN])

    assert len(notebook) == 3


@pytest.mark.parametrize(
    "ipython",
    [
        None,
        SimpleNamespace(get_ipython=lambda: None),
        SimpleNamespace(get_ipython=lambda: SimpleNamespace()),  # in a terminal
    ],
    ids=["not loaded", "not running", "in a terminal"],
)
def test_elsewhere_nothing_is_drawn(monkeypatch, ipython, capsys):
    if ipython is None:
        monkeypatch.delitem(sys.modules, "IPython", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(History, "plot", lambda *_, **__: pytest.fail("drawn"))

    Training().run(LivePlot(every=0.0), "loss", [1, 2])

    assert capsys.readouterr() == ("", "")
