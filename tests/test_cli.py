"""The command line: what it prints and writes, and how it says what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

import tinygrad_edu as te
from tinygrad_edu import lecture
from tinygrad_edu.cli import main

SYSTEMS = ["neuron", "hidden", "digits", "digits-trained-well"]
PICTURES = {"sigmoid.png", "loss-curves.png"}
PER_SYSTEM = ("samples.png", "confusion-matrix.png", "graph.dot")
#: For processes of their own, whether or not the package is installed.
IMPORTABLE = {"PYTHONPATH": str(Path(te.__file__).parents[1])}
needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")


def command(*arguments, **how):
    """Run ``python -m tinygrad_edu`` in a process of its own, with its output piped."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tinygrad_edu", *map(str, arguments)],
        env=os.environ | IMPORTABLE | how.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **how,
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


@pytest.fixture
def no_dot(tmp_path, monkeypatch):
    """A machine without Graphviz."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def failed(capsys, *arguments):
    """Run a command that must fail; return its exit code and what it says."""
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    assert out == ""
    return ended.value.code, err


def is_one_line(text):
    return text.endswith("\n") and text.count("\n") == 1 and len(text) > 1


# ----------------------------------------------------------------- what it prints


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
        matrix = np.array(system["confusion_matrix"])
        assert f"rows are predicted, columns are actual\n{matrix}\n" in done.stdout
        assert f"test accuracy {system['test_accuracy']:.2%}" in done.stdout
    assert done.stdout.count("precision    recall  f1-score   support") == 4


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


@pytest.mark.parametrize(
    "arguments", [["--help"], ["lecture", "--help"], ["lecture", "-h"]]
)
def test_help_names_what_there_is(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert err == ""
    known = ["lecture"]
    if "lecture" in arguments:
        known += [
            *SYSTEMS,
            "--data",
            "--data-dir",
            "--out",
            "--json",
            "--quiet",
            "mnist",
        ]
    assert all(word in out for word in known)


def test_help_costs_no_scikit_learn_and_no_matplotlib():
    code = (
        "import sys, tinygrad_edu.cli as cli\n"
        "try: cli.main(['lecture', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | IMPORTABLE,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert not {"sklearn", "matplotlib"} & set(done.stderr.split())


# ----------------------------------------------------------------- what it writes


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
    assert {name for name in found if not name.endswith(".svg")} == expected
    said = done.stdout.splitlines()[-1]
    assert said.startswith(f"Written to {out}: ")
    assert set(said.split(": ", 1)[1].split(", ")) == found


def test_pictures_are_pictures(default):
    _, _, out = default

    for path in out.glob("*.png"):
        pixels = image.imread(path)
        assert min(pixels.shape[:2]) > 200, path
        assert pixels[..., :3].std() > 0.05, path  # something is drawn on it


def test_graphs_are_dot_of_the_network_with_a_frame_for_each_layer(default):
    _, _, out = default

    for name, layers in zip(SYSTEMS, [2, 4, 3, 3], strict=True):
        source = (out / f"{name}-graph.dot").read_text(encoding="utf-8")
        assert source.startswith("digraph")
        assert source.rstrip().endswith("}")
        for word in ("loss", "weight", "bias", "Sequential", "(32, 64)"):
            assert word in source, word
        frames = re.findall(r"(\d): (?:Linear|Sigmoid)", source)
        assert sorted(frames) == [str(i) for i in range(layers)]


@needs_dot
def test_where_graphviz_is_installed_graphs_are_svg_too(default):
    _, _, out = default

    for name in SYSTEMS:
        assert "</svg>" in (out / f"{name}-graph.svg").read_text(encoding="utf-8")


@pytest.mark.usefixtures("no_dot")
def test_without_graphviz_all_but_the_svg_is_written(tmp_path, capsys):
    assert main(["lecture", "neuron", "--out", str(tmp_path / "out")]) == 0

    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == PICTURES | {f"neuron-{kind}" for kind in PER_SYSTEM}
    out, err = capsys.readouterr()
    assert "svg" not in out
    assert err == ""


def test_the_svg_is_what_dot_makes_of_the_graph(tmp_path, monkeypatch):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "dot").write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "graph = sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write(b'<svg>%d</svg>' % len(graph))\n"
    )
    (bin_ / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_))

    main(["lecture", "neuron", "--quiet", "--out", str(tmp_path / "out")])

    graph = (tmp_path / "out" / "neuron-graph.dot").read_bytes()
    svg = (tmp_path / "out" / "neuron-graph.svg").read_bytes()
    assert svg == b"<svg>%d</svg>" % len(graph)


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


# ---------------------------------------------------------------------- the data


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


# ------------------------------------------------------------------ bad arguments

WRONG = {
    "no command": ([], "required: COMMAND"),
    "an unknown command": (["lesson"], "invalid choice: 'lesson'"),
    "an unknown system": (["lecture", "perceptron"], "invalid choice: 'perceptron'"),
    "two systems": (["lecture", "neuron", "hidden"], "unrecognized arguments: hidden"),
    "an unknown option": (
        ["lecture", "--epochs=3"],
        "unrecognized arguments: --epochs=3",
    ),
    "unknown data": (["lecture", "--data", "letters"], "invalid choice: 'letters'"),
    "no value": (["lecture", "--json"], "argument --json: expected one argument"),
    "a folder without mnist": (
        ["lecture", "--data-dir", "."],
        "goes with --data mnist",
    ),
    "json into a folder": (["lecture", "--json", "."], "is a folder"),
    "out into a file": (["lecture", "--out", __file__], f"{__file__} is not a folder"),
    "out below a file": (["lecture", "--out", f"{__file__}/a/b"], "is not a folder"),
    "json below a file": (
        ["lecture", "--json", f"{__file__}/a/b.json"],
        "is not a folder",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_bad_arguments_are_one_line_and_exit_code_2(arguments, message, capsys):
    code, said = failed(capsys, *arguments)

    assert code == 2
    assert is_one_line(said)
    assert message in said
    assert re.fullmatch(
        r"tinygrad-edu( lecture)?: .*; see tinygrad-edu( lecture)? --help\n", said
    )


def test_the_module_refuses_bad_arguments_like_the_function():
    done = command("lecture", "perceptron")

    assert done.returncode == 2
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
