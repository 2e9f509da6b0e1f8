"""The program: helps and their examples, the version, commands that do not exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import partial
from importlib import metadata

import pytest
from command_line import IMPORTABLE, SYSTEMS, command, failed, is_one_line

import tinygrad_edu as te
from tinygrad_edu.cli import main
from tinygrad_edu.course import lecture


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
            "--as-the-lecture",
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
