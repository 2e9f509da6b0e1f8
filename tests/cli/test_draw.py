"""``tinygrad-edu draw``: a network's graph as text, and as a file."""

from __future__ import annotations

import pytest
from command_line import SYSTEMS

from tinygrad_edu.cli import main
from tinygrad_edu.course import lecture


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
