"""``tinygrad-edu lecture``: what it prints and writes, and says when it cannot."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from command_line import IMPORTABLE, SYSTEMS, command, failed, is_one_line
from matplotlib import image

import tinygrad_edu as te
from tinygrad_edu.cli import main
from tinygrad_edu.course import lecture

PICTURES = {"sigmoid.png", "loss-curves.png"}


PER_SYSTEM = (
    *("samples.png", "confusion-matrix.png"),
    *("graph.dot", "graph.svg", "graph.html"),
)


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    """The default run, with all that it can write: process, numbers, folder."""
    folder = tmp_path_factory.mktemp("default")
    done = command(
        "lecture", "--out", folder / "new" / "out", "--json", folder / "n.json"
    )
    assert done.returncode == 0, done.stderr
    return done, json.loads((folder / "n.json").read_text()), folder / "new" / "out"


def test_the_default_trains_all_four_on_the_digits(default):
    done, _, _ = default

    assert done.stdout.startswith("digits: 1,500 examples to train on, 297 to test\n")
    titles = re.findall(r"^([a-z-]+): .* \((64-[\d-]+)\)$", done.stdout, re.MULTILINE)
    assert titles == [
        ("neuron", "64-1"),
        ("hidden", "64-64-1"),
        ("digits", "64-64-10"),
        ("digits-trained-well", "64-64-10"),
    ]


def test_losses_are_printed_every_ten_epochs_and_at_the_end(default):
    done, numbers, _ = default

    printed = re.findall(r"^(Epoch +\d+|Final) loss: (\S+)$", done.stdout, re.MULTILINE)
    expected = []
    for system in numbers["systems"].values():
        *tenth, (_, final) = system["losses"]
        expected += [(f"Epoch {epoch:3d}", str(loss)) for epoch, loss in tenth]
        expected.append(("Final", str(final)))
    assert printed == expected


def test_confusion_matrix_and_report_are_scikit_learns(default):
    done, numbers, _ = default

    for system in numbers["systems"].values():
        assert f"test accuracy {system['test_accuracy']:.2%}" in done.stdout
    assert done.stdout.count("precision    recall  f1-score   support") == 4
    heading = "rows are what it is, columns what the network says\n"
    said = [part.split("\n\n")[0] for part in done.stdout.split(heading)[1:]]
    for table, system in zip(said, numbers["systems"].values(), strict=True):
        rows = [line.split()[2:] for line in table.splitlines()[1:]]
        columns = np.array(system["confusion_matrix"]).T
        np.testing.assert_array_equal(np.array(rows, int), columns)


def test_rows_and_columns_of_the_confusion_matrix_have_names(default):
    lines = default[0].stdout.splitlines()

    assert lines.count("         says other  says zero") == 2
    assert lines.count("     " + " ".join(f"says {digit}" for digit in range(10))) == 2
    for name in ("other", "zero", *range(10)):
        assert sum(line.startswith(f"is {name} ") for line in lines) == 2
    assert max(len(line) for line in lines if line.startswith("is ")) <= 80


def test_as_the_lecture_prints_what_the_lecture_prints(tmp_path, capsys):
    path = tmp_path / "numbers.json"

    main(["lecture", "neuron", "--as-the-lecture", "--json", str(path)])

    out = capsys.readouterr().out
    (system,) = json.loads(path.read_text())["systems"].values()
    matrix = np.array(system["confusion_matrix"])
    assert f"rows are predicted, columns are actual\n{matrix}\n" in out
    expected = """
[[270   3]
 [  0  24]]

              precision    recall  f1-score   support

       False       1.00      0.99      0.99       273
        True       0.89      1.00      0.94        24

    accuracy                           0.99       297
   macro avg       0.94      0.99      0.97       297
weighted avg       0.99      0.99      0.99       297

Trained in """
    assert expected in out
    assert "says" not in out


def test_piped_output_holds_no_progress_bar(default):
    done, _, _ = default

    assert done.stderr == ""
    assert "\r" not in done.stdout
    assert "\x1b" not in done.stdout
    assert "epoch/s" not in done.stdout


def test_a_terminal_shows_a_progress_bar_that_leaves_the_output_alone():
    terminal, its_end = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_edu", "lecture", "neuron"],
        env=os.environ | IMPORTABLE,
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
    )
    os.close(its_end)

    bar = b""
    with process, open(terminal, "rb", buffering=0) as screen:
        with contextlib.suppress(OSError):  # how a terminal ends
            while part := screen.read(4096):
                bar += part
        out = process.stdout.read()

    assert process.returncode == 0
    assert b"/100 [" in bar
    assert "\r" not in out
    assert len(re.findall(r"^Epoch +\d+ loss: \S+$", out, re.MULTILINE)) == 10


def test_one_system_can_be_chosen(capsys):
    assert main(["lecture", "neuron"]) == 0

    out = capsys.readouterr().out
    assert "neuron: a single neuron that knows a zero (64-1)" in out
    assert "hidden:" not in out
    assert out.count("Final loss") == 1


def test_all_is_what_no_choice_means(capsys, monkeypatch):
    monkeypatch.setattr(lecture, "run", lambda names, *_, **__: print(*names) or [])

    main(["lecture"])
    main(["lecture", "all"])

    out = capsys.readouterr().out.splitlines()
    assert out[1::2] == [" ".join(SYSTEMS)] * 2


def test_quiet_prints_nothing_at_all(tmp_path, capfd):
    code = main(
        [
            "lecture",
            "hidden",
            "--quiet",
            "--out",
            str(tmp_path),
            "--json",
            str(tmp_path / "j"),
        ]
    )

    assert code == 0
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "hidden-samples.png").exists()
    assert json.loads((tmp_path / "j").read_text())["systems"].keys() == {"hidden"}


def test_the_module_is_quiet_on_both_streams():
    done = command("lecture", "neuron", "--quiet")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_json_has_the_promised_form(default):
    _, numbers, _ = default

    assert numbers.keys() == {"data", "systems"}
    assert numbers["data"] == "digits"
    assert list(numbers["systems"]) == SYSTEMS
    for name, system in numbers["systems"].items():
        assert system.keys() == {
            "losses",
            "confusion_matrix",
            "test_accuracy",
            "seconds",
        }
        last = lecture.SYSTEMS[name].epochs - 1
        epochs = [epoch for epoch, _ in system["losses"]]
        assert epochs == [*range(0, last, 10), last]
        assert all(
            type(epoch) is int and type(loss) is float
            for epoch, loss in system["losses"]
        )
        assert type(system["test_accuracy"]) is type(system["seconds"]) is float
        assert system["seconds"] > 0


def test_json_judges_the_test_set(default):
    _, numbers, _ = default
    y = te.data.load_digits()[3]

    for name, system in numbers["systems"].items():
        matrix = np.array(system["confusion_matrix"])
        actual = np.bincount(y if name.startswith("digits") else y == 0)
        np.testing.assert_array_equal(matrix.sum(axis=0), actual)  # columns are actual
        assert system["test_accuracy"] == np.trace(matrix) / len(y)


def test_json_is_what_the_lecture_gives(default):
    _, numbers, _ = default
    split = te.data.load_digits()

    (result,) = lecture.run(["neuron"], split, say=lambda line: None, progress=False)

    expected = [[epoch, loss] for epoch, loss in result.losses]
    assert numbers["systems"]["neuron"]["losses"] == expected


def test_json_goes_into_a_new_folder_and_replaces_a_file(tmp_path):
    path = tmp_path / "new" / "numbers.json"

    for _ in range(2):
        main(["lecture", "neuron", "--quiet", "--json", str(path)])

    assert json.loads(path.read_text())["data"] == "digits"
    assert [p.name for p in path.parent.iterdir()] == ["numbers.json"]


def test_out_receives_every_picture_and_graph(default):
    done, _, out = default

    expected = PICTURES | {f"{name}-{kind}" for name in SYSTEMS for kind in PER_SYSTEM}
    found = {path.name for path in out.iterdir()}
    assert found == expected
    said = done.stdout.splitlines()[-1]
    assert said.startswith(f"Written to {out}: ")
    assert set(said.split(": ", 1)[1].split(", ")) == found


def test_pictures_are_pictures(default):
    _, _, out = default

    for path in out.glob("*.png"):
        pixels = image.imread(path)
        assert min(pixels.shape[:2]) > 200, path
        assert pixels[..., :3].std() > 0.05, path  # something is drawn on it


def test_graphs_show_the_network_with_a_frame_for_each_dense_layer(default):
    _, _, out = default

    for name, layers in zip(SYSTEMS, ["0", "02", "02", "02"], strict=True):
        for form in ("dot", "svg", "html"):
            source = (out / f"{name}-graph.{form}").read_text(encoding="utf-8")
            for word in ("W1", "b1", "σ(Z1)", "(32, 64)", "Z\u03041ᵀ · X"):
                assert word in source, (form, word)
        source = (out / f"{name}-graph.dot").read_text(encoding="utf-8")
        assert re.findall(r"<b>(\d): Linear</b>", source) == list(layers)


@pytest.mark.usefixtures("no_dot")
def test_writing_again_gives_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        main(["lecture", "neuron", "--quiet", "--out", str(tmp_path / folder)])

    for path in (tmp_path / "first").iterdir():
        again = tmp_path / "second" / path.name
        assert path.read_bytes() == again.read_bytes(), path.name


def test_nothing_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    main(["lecture", "neuron", "--quiet"])

    assert list(tmp_path.iterdir()) == []


def test_data_dir_is_where_mnist_is_looked_for(tmp_path, capsys, monkeypatch):
    asked = []

    def load_mnist(folder):
        asked.append(folder)
        return te.data.load_digits()

    monkeypatch.setattr(te.data, "load_mnist", load_mnist)
    main(["lecture", "neuron", "--data", "mnist", "--data-dir", str(tmp_path)])
    main(["lecture", "neuron", "--data", "mnist", "--json", str(tmp_path / "j")])

    assert asked == [tmp_path, None]
    assert capsys.readouterr().out.count("mnist: 1,500 examples to train on") == 2
    assert json.loads((tmp_path / "j").read_text())["data"] == "mnist"


def test_missing_mnist_is_one_line_and_exit_code_1(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "nowhere"))

    for arguments, named in [
        (["--data-dir", tmp_path], str(tmp_path)),
        (["--data-dir", tmp_path / "nothing"], "nothing"),
        ([], "TINYGRAD_EDU_DATA"),
    ]:
        code, said = failed(capsys, "lecture", "neuron", "--data", "mnist", *arguments)

        assert code == 1
        assert is_one_line(said)
        assert said.startswith("tinygrad-edu: load_mnist: ")
        assert named in said


def test_a_damaged_file_is_one_line_and_exit_code_1(tmp_path, capsys):
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(b"no IDX file")

    code, said = failed(capsys, "lecture", "--data", "mnist", "--data-dir", tmp_path)

    assert code == 1
    assert is_one_line(said)
    assert "train-images-idx3-ubyte is not an IDX file" in said


def test_the_module_fails_like_the_function(tmp_path):
    done = command(
        "lecture", "--data", "mnist", env={"TINYGRAD_EDU_DATA": str(tmp_path)}
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert is_one_line(done.stderr)


@pytest.mark.parametrize("option", ["--out", "--json"])
def test_a_folder_that_cannot_be_written_to_is_refused_before_training(
    option, tmp_path, capsys, monkeypatch
):
    # not by its permissions: those do not bind the root user
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    monkeypatch.setattr(lecture, "run", lambda *_, **__: pytest.fail("it trained"))

    code, said = failed(capsys, "lecture", option, tmp_path / "new" / "a")

    assert code == 2
    assert is_one_line(said)
    assert f"{tmp_path} cannot be written to" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--out", "--json"])
def test_a_disk_that_fails_in_the_end_is_one_line_and_exit_code_1(
    option, tmp_path, capsys, monkeypatch
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)

    code, said = failed(
        capsys, "lecture", "neuron", "--quiet", option, tmp_path / "new"
    )

    assert code == 1
    assert said == "tinygrad-edu: [Errno 28] No space left on device\n"


def test_interrupting_is_no_traceback(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(lecture, "run", interrupted)

    with pytest.raises(SystemExit) as ended:
        main(["lecture", "--quiet"])

    assert ended.value.code == 130
    assert capsys.readouterr().err == "\n"
