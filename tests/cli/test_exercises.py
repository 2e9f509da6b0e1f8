"""``tinygrad-edu exercises``: a round, its exit codes, and commands that are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from answers import solution
from command_line import command

from tinygrad_edu.cli import main
from tinygrad_edu.course.exercises import EXERCISES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty present folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


UNDONE = "# tinygrad-edu exercise: neuron\n"


def exercises(*arguments):
    """Run the command in this process; return its exit code."""
    try:
        return main(["exercises", *map(str, arguments)])
    except SystemExit as end:
        return end.code


def test_a_round_on_the_command_line(folder, capsys):
    assert exercises("start", "sum_to") == 0
    assert "Written: sum_to.py. Then: tinygrad-edu exercises check sum_to.py" in (
        capsys.readouterr().out
    )
    assert exercises("check", "sum_to.py") == 1
    assert "sum_to: 0 of 3 points" in capsys.readouterr().out

    os.rename("sum_to.py", "renamed.py")
    Path("renamed.py").write_text(solution("sum_to"), "utf-8")

    assert exercises("check", "renamed.py") == 0
    assert capsys.readouterr().out.startswith("sum_to: 3 of 3 points\n  1 of 1  axes")


@pytest.mark.parametrize(
    ("text", "code"), [(solution("neuron"), 0), (UNDONE, 1), ("a = 1", 2), (None, 2)]
)
def test_the_help_tells_the_exit_codes_that_there_are(folder, capsys, text, code):
    if text is not None:
        (folder / "a.py").write_text(text, "utf-8")

    ended = exercises("check", "a.py")
    exercises("check", "--help")

    assert ended == code
    told = " ".join(capsys.readouterr().out.split())
    assert "Exit code 0 if it gets all points, 1 if not, 2 if there is no such" in told
    assert str(code) in told.partition("Exit code")[2]


def test_the_module_runs_it_too(folder):
    (folder / "a.py").write_text(solution("confusion_matrix"))

    done = command("exercises", "check", "a.py")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("confusion_matrix: 4 of 4 points\n")


def test_start_never_writes_over_a_file(folder, capsys):
    (folder / "sigmoid.py").write_text("mine")

    assert exercises("start", "sigmoid") == 1

    assert "sigmoid.py is there already, and stays as it is" in capsys.readouterr().err
    assert (folder / "sigmoid.py").read_text() == "mine"


def test_list_shows_names_points_and_what_lies_in_the_folder(folder, capsys):
    (folder / "mine.py").write_text(solution("softmax"))
    (folder / "other.py").write_text("print('not run')")

    assert exercises("list") == 0

    out = capsys.readouterr().out
    for name, exercise in EXERCISES.items():
        assert f"  {name} " in out
        assert exercise.chapter in out
        assert f"{exercise.points} points  {exercise.title}" in out
    assert out.count("(here: mine.py)") == out.count("here:") == 1
    assert "not run" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: action"),
        (["start"], "the following arguments are required: NAME"),
        (["start", "nothing"], "there is no exercise 'nothing'"),
        (["check", "nowhere.py"], "No such file or directory: 'nowhere.py'"),
        (["check", "plain.py"], "plain.py does not say which exercise it is"),
        (["check", "unknown.py"], "unknown.py names exercise 'unknown'; there are neu"),
    ],
)
def test_a_wrong_command_ends_with_2_and_a_line(folder, capsys, arguments, words):
    (folder / "plain.py").write_text("x = 1")
    (folder / "unknown.py").write_text("# tinygrad-edu exercise: unknown\n")

    assert exercises(*arguments) == 2

    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
