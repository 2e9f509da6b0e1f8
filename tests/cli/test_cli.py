"""The command line: what it prints and writes, and how it says what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

import tinygrad_edu as te
from tinygrad_edu import cli
from tinygrad_edu.cli import main
from tinygrad_edu.course import lecture

SYSTEMS = ["neuron", "hidden", "digits", "digits-trained-well"]
PICTURES = {"sigmoid.png", "loss-curves.png"}
PER_SYSTEM = (
    *("samples.png", "confusion-matrix.png"),
    *("graph.dot", "graph.svg", "graph.html"),
)
#: For processes of their own, whether or not the package is installed.
IMPORTABLE = {"PYTHONPATH": str(Path(te.__file__).parents[1])}


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
    "arguments",
    [["--help"], ["lecture", "--help"], ["lecture", "-h"], ["gradcheck", "-h"]],
)
def test_help_names_what_there_is(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert err == ""
    known = ["lecture", "gradcheck"] if len(arguments) == 1 else []
    if "gradcheck" in arguments:
        known += ["MODULE:FUNCTION", "--shapes", "--order", "--seed"]
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


COMMANDS = [
    [],
    *[["lecture"], ["draw"], ["gradcheck"], ["exercises"]],
    *[["exercises", "list"], ["exercises", "start"], ["exercises", "check"]],
]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """An empty folder, one epoch for each network, no pictures and no MNIST."""
    run, load = lecture.run, lecture.load
    monkeypatch.setattr(lecture, "save_pictures", lambda *_: [])
    monkeypatch.setattr(lecture, "run", partial(run, epochs=1))
    monkeypatch.setattr(lecture, "load", lambda name, folder: load("digits"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "-")
def test_every_help_gives_examples_that_run(words, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    said = capsys.readouterr().out
    lines = re.findall(r"^  tinygrad-edu (.*?)(?:  .*)?$", said, flags=re.MULTILINE)
    if words == ["exercises", "check"]:
        main(["exercises", "start", "sigmoid"])  # what there is to check

    codes = [main(shlex.split(line)) for line in lines]

    assert lines
    assert all(line.startswith(" ".join(words)) for line in lines)
    unwritten = "exercises check sigmoid.py"
    assert codes == [int(line == unwritten) for line in lines]


def test_the_help_of_a_command_with_networks_tells_what_each_is(capsys):
    for command_ in ("lecture", "draw"):
        with pytest.raises(SystemExit):
            main([command_, "--help"])
        said = capsys.readouterr().out

        assert all(s.title in said for s in lecture.SYSTEMS.values())


def test_the_version_is_that_of_the_installed_package(monkeypatch, capsys):
    monkeypatch.setattr(metadata, "version", {"tinygrad_edu": "9.8"}.__getitem__)

    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert (ended.value.code, te.__version__) == (0, "9.8")
    assert capsys.readouterr().out == "tinygrad-edu 9.8\n"


def test_a_checkout_that_was_not_installed_has_no_version(monkeypatch, capsys):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)

    with pytest.raises(SystemExit):
        main(["--version"])

    assert "not installed" in capsys.readouterr().out
    assert not hasattr(te, "__version__")


def test_other_commands_do_not_look_the_version_up(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(metadata, "version", asked.append)

    main(["exercises", "list"])

    assert capsys.readouterr().out
    assert asked == []


def test_the_version_costs_nothing_until_it_is_asked_for():
    code = "import sys, tinygrad_edu; sys.exit('importlib.metadata' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | IMPORTABLE,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0


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


# ---------------------------------------------------------------------- drawing


@pytest.mark.parametrize("system", SYSTEMS)
def test_draw_prints_the_graph_as_text(system, capsys):
    assert main(["draw", system]) == 0

    out = capsys.readouterr().out
    assert out == lecture.drawing(system, lecture.load("digits")).text() + "\n"
    assert "Z1 = X · W1ᵀ + b1" in out


def test_draw_is_of_the_ten_digits_unless_told_otherwise(capsys):
    main(["draw"])
    default = capsys.readouterr().out
    main(["draw", "digits"])

    assert capsys.readouterr().out == default


@pytest.mark.usefixtures("no_dot")
@pytest.mark.parametrize("form", ["html", "svg", "dot"])
def test_draw_writes_a_file_without_graphviz(form, tmp_path, capsys):
    path = tmp_path / f"g.{form}"

    assert main(["draw", "hidden", "--level", "layer", "--out", str(path)]) == 0

    assert capsys.readouterr().out == f"Written: {path}\n"
    assert "1: Sigmoid" in path.read_text(encoding="utf-8")


@pytest.mark.usefixtures("no_dot")
@pytest.mark.parametrize(
    ("name", "message"),
    [("g.png", "apt install graphviz"), ("g.gif", "the ending must be one of .dot")],
)
def test_draw_that_cannot_write_says_why_with_exit_code_1(
    name, message, tmp_path, capsys
):
    with pytest.raises(SystemExit) as end:
        main(["draw", "neuron", "--out", str(tmp_path / name)])

    assert end.value.code == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


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
    "no command": ([], "required: command"),
    "an unknown command": (["lesson"], "invalid choice: 'lesson'"),
    "an unknown system": (["lecture", "perceptron"], "invalid choice: 'perceptron'"),
    "an unknown drawing": (["draw", "all"], "invalid choice: 'all'"),
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
    program = r"tinygrad-edu( lecture| draw)?"
    assert re.fullmatch(rf"{program}: .*; see {program} --help\n", said)


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


# ---------------------------------------------------------------------- gradcheck

FUNCTIONS = """
import sys
import numpy as np
import tinygrad_edu as te

def layer(x, w):
    return te.tanh(x @ w)

def product(x, y):
    return x * y

@te.op
def doubled(x):
    return 2.0 * x

doubled.vjp(x=lambda g, out, x: 3.0 * g)

def wrong(x):
    return te.sum(te.tanh(doubled(x)))

@te.op
def squared(x):
    return x * x

squared.vjp(x=lambda g, out, x: 2.0 * g * getattr(x, "data", x))

def wrong_at_order_2(x):
    return te.sum(squared(x))

def not_a_tensor(x):
    return 0.0

def random(x):
    return x * np.random.default_rng().random()

def raises(x):
    raise AttributeError("several\\nlines")

def exits(x):
    sys.exit(0)

class Model:
    scale = te.tensor(2.0)
    def loss(x):
        return te.sum(x * Model.scale)

class Half(te.nn.Layer):
    def forward(self, x):
        return x / 2

half = Half()

def summed(*arrays):
    return sum(te.sum(x) for x in arrays)

def shifted(x, by=1.0):
    return x + by

number = 3
"""
MODULES = {
    "functions": FUNCTIONS,
    "package/__init__": "",
    "package/module": FUNCTIONS,
    "no_syntax": "def f(:",
    "needs_more": "import a_module_that_is_nowhere",
    "breaks": "raise RuntimeError('no\\nGPU')",
    "exits": "raise SystemExit",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A current directory with modules, as the installed command finds it."""
    for name, text in MODULES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if Path(p) != Path.cwd()])
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name.replace("/", "."), None)
    sys.modules.pop("package", None)


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("function", "shapes", "inputs"),
    [
        ("functions:layer", "(3,4),(4,)", ["x (3, 4): ", "w (4,): "]),
        ("package.module:layer", "(3, 4), (4, 2),", ["x (3, 4): ", "w (4, 2): "]),
        ("functions:product", "(),3", ["x (): ", "y (3,): "]),
        ("functions:Model.loss", "(2,)", ["x (2,): "]),
        ("functions:half", "(2,)", ["x (2,): "]),
        ("functions:summed", "2,3", ["input 0 (2,): ", "input 1 (3,): "]),
        ("functions:shifted", "2", ["x (2,): "]),
        ("functions:shifted", "2,2", ["x (2,): ", "by (2,): "]),
        ("tinygrad_edu:softmax", "(2,3)", ["x (2, 3): "]),
    ],
)
def test_gradcheck_prints_the_report_of_a_right_function(
    function, shapes, inputs, capsys
):
    assert main(["gradcheck", function, "--shapes", shapes]) == 0

    out, err = capsys.readouterr()
    assert err == ""
    first, *others = out.splitlines()
    assert first.startswith("gradcheck: right, order 1; ")
    assert [re.match(r"  (.*?\): )", line)[1] for line in others] == inputs


@pytest.mark.usefixtures("modules")
def test_gradcheck_takes_a_number_unless_told_the_shapes(capsys):
    assert main(["gradcheck", "tinygrad_edu:tanh"]) == 0

    said = capsys.readouterr().out
    assert "order 1; 1 number compared in 4 calls" in said
    assert "  x (): the 1 entry, worst" in said


@pytest.mark.usefixtures("modules")
def test_gradcheck_prints_all_that_is_wrong_and_returns_1(capsys):
    code = main(["gradcheck", "functions:wrong", "--shapes", "(2,3)"])

    out, err = capsys.readouterr()
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "gradcheck failed"
    assert lines[1].startswith("the gradient by x (2, 3) is wrong in 6 of 6 numbers")
    assert "culprit: doubled, argument x: analytic is 3/2 x numeric" in lines


@pytest.mark.usefixtures("modules")
def test_gradcheck_goes_up_to_the_order(capsys):
    function = ["gradcheck", "functions:wrong_at_order_2", "--shapes", "3"]

    codes = [main([*function, *order]) for order in ([], ["--order=1"], ["--order=2"])]

    assert codes == [0, 0, 1]
    lines = capsys.readouterr().out.splitlines()
    assert "gradcheck failed at order 2" in lines


@pytest.mark.usefixtures("modules")
def test_gradcheck_draws_the_inputs_from_the_seed(capsys):
    function = ["gradcheck", "functions:wrong", "--shapes", "3"]

    said = []
    for seed in ([], ["--seed=0"], ["--seed=1"], ["--seed=1"]):
        main([*function, *seed])
        said.append(capsys.readouterr().out)

    assert said[0] == said[1] != said[2] == said[3]


def test_the_module_finds_functions_in_the_current_directory(modules):
    done = command("gradcheck", "functions:layer", "--shapes=(3,4),(4,)", cwd=modules)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("gradcheck: right")


def test_the_module_returns_1_for_a_wrong_function(modules):
    done = command("gradcheck", "functions:wrong", cwd=modules)

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("gradcheck failed\n")


TANH = "tinygrad_edu:tanh"
WRONG_CHECKS = {
    "no function": ([], "required: MODULE:FUNCTION"),
    "no colon": (
        ["functions.layer"],
        "expected MODULE:FUNCTION, got 'functions.layer'",
    ),
    "no module": ([":layer"], "expected MODULE:FUNCTION, got ':layer'"),
    "no name": (["functions:"], "expected MODULE:FUNCTION, got 'functions:'"),
    "an empty part": ([".functions:f"], "expected MODULE:FUNCTION, got '.functions:f'"),
    "an empty name": (["functions:Model."], "expected MODULE:FUNCTION, got "),
    "an unknown module": (
        ["nowhere:f"],
        "cannot import nowhere: ModuleNotFoundError: No module named 'nowhere'",
    ),
    "an unknown function": (["functions:f"], "functions has no 'f'"),
    "an unknown method": (["functions:Model.f"], "functions has no 'Model.f'"),
    "no callable": (["functions:number"], "functions:number is no function"),
    "a syntax error": (
        ["no_syntax:f"],
        r"cannot import no_syntax: SyntaxError: .*no_syntax.py, line 1",
    ),
    "an import that fails": (
        ["needs_more:f"],
        "cannot import needs_more: ModuleNotFoundError: No module named 'a_module_",
    ),
    "an error on import": (
        ["breaks:f"],
        "cannot import breaks: RuntimeError: no GPU; see",
    ),
    "an exit on import": (["exits:f"], "cannot import exits: SystemExit"),
    "too few shapes": (
        ["functions:layer", "--shapes=(3,4)"],
        r"--shapes must have one shape for each of x, w, got '\(3,4\)'",
    ),
    "too many shapes": (
        ["functions:layer", "--shapes=3,4,5"],
        "--shapes must have one shape for each of x, w, got '3,4,5'",
    ),
    "a shape more than a loss takes": (
        ["tinygrad_edu.nn:mse_loss", "--shapes=3,3,3"],
        "--shapes must have one shape for each of predictions, targets, got '3,3,3'",
    ),
    "too many shapes for a layer": (
        ["functions:half", "--shapes=3,4"],
        "--shapes must have one shape for each of x, got '3,4'",
    ),
    "order 0": ([TANH, "--order=0"], r"--order must be 1, 2, \.\.\., got 0"),
    "no order": ([TANH, "--order=x"], "argument --order: invalid int value: 'x'"),
    "a negative seed": ([TANH, "--seed=-1"], "--seed must not be negative, got -1"),
}


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("arguments", "message"), WRONG_CHECKS.values(), ids=WRONG_CHECKS
)
def test_bad_arguments_of_gradcheck_are_one_line_and_exit_code_2(
    arguments, message, capsys
):
    code, said = failed(capsys, "gradcheck", *arguments)

    assert code == 2
    assert is_one_line(said)
    assert said.startswith("tinygrad-edu gradcheck: ")
    assert said.endswith("; see tinygrad-edu gradcheck --help\n")
    assert re.search(message, said), said


@pytest.mark.parametrize(
    "shapes",
    [
        *["", "(3,4", "3,4)", "(3 4)", "3x4", "x", "(-3,4)", "-3", "(0,)", "(3.0,)"],
        *["(True,)", "None", "[3,4]", "('3',)", "((3,4),)", "3] + [4", "3 # 4"],
        *["{}", "(1,)*2", "__import__('os')", "(" * 500, "9" * 5000],
        *["(9**9,)", "(999999999999999999999,)", "(1,)" + ",2" * 3 + ",((),)"],
        "(" + "1," * 100 + ")",
    ],
)
def test_malformed_shapes_are_one_line_and_exit_code_2(shapes, capsys):
    code, said = failed(capsys, "gradcheck", TANH, f"--shapes={shapes}")

    assert code == 2
    assert is_one_line(said)
    assert said.startswith("tinygrad-edu gradcheck: --shapes ")


def test_shapes_are_never_run_as_code(tmp_path, capsys):
    path = tmp_path / "written"

    failed(
        capsys, "gradcheck", TANH, f"--shapes=(open({str(path)!r}, 'w').write('3'),)"
    )

    assert not path.exists()


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("function", "shapes", "message"),
    [
        ("functions:layer", "(3,4),(5,)", "ValueError: matmul: inner sizes differ"),
        ("functions:not_a_tensor", "3", "TypeError: gradcheck: f must return a Tensor"),
        ("functions:raises", "3", "AttributeError: several lines\n"),
        ("functions:exits", "3", "SystemExit: 0\n"),
        ("functions:random", "3", "ValueError: gradcheck: f is random"),
        ("math:sin", "()", "TypeError: gradcheck: f must return a Tensor"),
    ],
)
def test_a_function_that_cannot_be_checked_is_one_line_and_exit_code_1(
    function, shapes, message, capsys
):
    code, said = failed(capsys, "gradcheck", function, "--shapes", shapes)

    assert code == 1
    assert is_one_line(said)
    assert said.startswith(f"tinygrad-edu gradcheck: {message}")


def test_interrupting_a_check_is_no_traceback(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "gradcheck", interrupted)

    code, said = failed(capsys, "gradcheck", TANH)

    assert (code, said) == (130, "\n")


# ---------------------------------------------------------- saved models elsewhere


@pytest.fixture
def reader(tmp_path):
    """A network for digits of 8x8 that has learned a little, and its file."""
    X, y, _, _ = te.data.load_digits()
    model = te.nn.Sequential(te.nn.Linear(64, 10, rng=0))
    te.fit(
        model,
        X,
        y,
        loss=te.nn.softmax_cross_entropy,
        optimizer=te.optim.Adam(model.parameters(), lr=0.01),
        epochs=5,
        batch_size=32,
        progress=False,
        rng=0,
    )
    return te.save(model, tmp_path / "reader.safetensors")


@pytest.fixture
def zero(tmp_path):
    """A picture of a zero of the test set, dark on light, twenty times as large."""
    _, _, X, y = te.data.load_digits()
    digit = np.kron(X[np.argmax(y == 0)].reshape(8, 8), np.ones((20, 20)))
    image.imsave(tmp_path / "zero.png", 1 - np.pad(digit, 30), cmap="gray")
    return tmp_path / "zero.png"


def test_predict_shows_the_picture_the_probabilities_and_the_digit(
    reader, zero, capsys
):
    assert main(["predict", str(reader), str(zero)]) == 0

    *picture, blank, last = capsys.readouterr().out.splitlines()
    picture, bars = picture[:8], [*picture[8:], blank]
    assert last == "It is a 0."
    assert {*"".join(picture)} <= {*" ░▒▓█"}
    assert max(map(len, picture)) <= 16
    assert [line.split()[0] for line in bars] == [*"0123456789"]
    shares = [float(line.split()[1].strip("%")) for line in bars]
    assert sum(shares) == pytest.approx(100, abs=0.1)
    assert max(shares) == shares[0]
    assert bars[0].count("█") == round(0.4 * shares[0])


@pytest.mark.parametrize("end", [te.nn.Softmax(), te.nn.LogSoftmax()])
def test_predict_takes_logits_and_probabilities(reader, zero, tmp_path, capsys, end):
    model = te.load(te.nn.Sequential(te.nn.Linear(64, 10)), reader)
    path = te.save(model.append(end), tmp_path / "ends.safetensors")

    main(["predict", str(reader), str(zero)])
    expected = capsys.readouterr().out
    main(["predict", str(path), str(zero)])

    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("layers", "side"),
    [
        ([te.nn.Linear(784, 10, rng=0)], 28),
        ([te.nn.Conv2d(1, 10, 28, rng=0), te.nn.Flatten()], 28),
        ([te.nn.Flatten(), te.nn.Linear(64, 10, rng=0)], 8),
    ],
)
def test_predict_makes_the_picture_as_the_model_takes_it(
    zero, tmp_path, capsys, layers, side
):
    path = te.save(te.nn.Sequential(*layers), tmp_path / "m.safetensors")

    assert main(["predict", str(path), str(zero)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11 + {28: 14, 8: 8}[side]


def test_predict_asks_for_the_model_where_the_file_does_not_tell_it(
    zero, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("my_network.py").write_text(
        "import tinygrad_edu as te\n"
        "class Mine(te.nn.Linear): pass\n"
        "def build(): return Mine(64, 10, rng=0)\n"
        "def wrong(): return 3\n"
        "def fails(): return te.nn.Linear(0, 3)\n"
    )
    path = te.save(type("Mine", (te.nn.Linear,), {})(64, 10), "mine.safetensors")
    arguments = ["predict", str(path), str(zero)]

    def complaint(*more):
        with pytest.raises(SystemExit) as caught:
            main([*arguments, *more])
        return caught.value.code, capsys.readouterr().err

    code, said = complaint()
    assert (code, said.count("\n")) == (1, 1)
    assert "mine.safetensors holds weights, and not what layers" in said
    assert "--model names what builds the model" in said
    assert main([*arguments, "--model", "my_network:build"]) == 0
    code, said = complaint("--model", "my_network:wrong")
    assert (code, "returned int, not a Layer" in said) == (2, True)
    code, said = complaint("--model", "my_network:fails")
    assert (code, "must be positive integers" in said) == (1, True)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([te.nn.Linear(3, 10)], "the model takes no digit: it must take rows"),
        ([te.nn.Linear(64, 1)], "must return ten numbers for a picture"),
    ],
)
def test_predict_refuses_a_model_that_reads_no_digits(
    zero, tmp_path, capsys, layers, told
):
    path = te.save(te.nn.Sequential(*layers), tmp_path / "m.safetensors")

    with pytest.raises(SystemExit) as caught:
        main(["predict", str(path), str(zero)])

    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["nowhere.png", "reader.safetensors"])
def test_predict_refuses_what_is_no_picture(reader, capsys, name):
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(reader), str(reader.parent / name)])

    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_export_without_onnx_says_how_to_get_it(reader, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(SystemExit) as caught:
        main(["export", str(reader), str(tmp_path / "m.onnx")])

    assert caught.value.code == 1
    assert "pip install 'tinygrad_edu[onnx]'" in capsys.readouterr().err


@pytest.mark.slow  # as all that needs onnx
@pytest.mark.parametrize(
    ("layer", "arguments", "told"),
    [
        (te.nn.Linear(64, 10), [], "(64,)"),
        (te.nn.Conv2d(1, 4, 5), [], "(1, 28, 28)"),
        (te.nn.Linear(3, 2), ["--shape", "(5, 3)"], "(5, 3)"),
        (te.nn.Embedding(7, 2), ["--shape", "(4,)", "--integers"], "(4,)"),
    ],
)
def test_export_writes_a_model_for_rows_of_a_shape(
    tmp_path, capsys, layer, arguments, told
):
    onnx = pytest.importorskip("onnx")
    path = te.save(te.nn.Sequential(layer), tmp_path / "m.safetensors")
    out = tmp_path / "m.onnx"

    assert main(["export", str(path), str(out), *arguments]) == 0

    assert capsys.readouterr().out == f"Written: {out}, for rows of shape {told}\n"
    node, *_ = onnx.load(out).graph.node
    assert node.name.startswith(f"0/{type(layer).__name__}/")


def test_export_asks_for_a_shape_that_it_cannot_know(tmp_path, capsys):
    path = te.save(te.nn.Linear(3, 2), tmp_path / "m.safetensors")

    with pytest.raises(SystemExit) as caught:
        main(["export", str(path), str(tmp_path / "m.onnx")])

    assert caught.value.code == 2
    assert "the model takes no digit: give --shape" in capsys.readouterr().err


@pytest.mark.slow
def test_export_refuses_a_model_of_two_inputs(tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    Path("two_inputs.py").write_text(
        "import tinygrad_edu as te\n"
        "class Sum(te.nn.Linear):\n"
        "    def forward(self, a, b): return super().forward(a) + b\n"
        "def build(): return Sum(3, 2, rng=0)\n"
    )
    te.save(te.nn.Linear(3, 2, rng=0), "sum.safetensors")
    names = ["--model", "two_inputs:build", "--shape", "(3,)"]

    with pytest.raises(SystemExit) as caught:
        main(["export", "sum.safetensors", "sum.onnx", *names])

    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert "sum.safetensors: " in said
    assert "missing 1 required positional argument" in said
    assert said.count("\n") == 1
