"""``tinygrad-edu derive``: the backward pass as code, printed and as a file."""

from __future__ import annotations

import pytest
from command_line import SYSTEMS

from tinygrad_edu.cli import main
from tinygrad_edu.course import lecture


@pytest.mark.parametrize("system", SYSTEMS)
def test_derive_prints_the_code(system, capsys):
    assert main(["derive", system, "--rows", "8"]) == 0

    assert capsys.readouterr().out == lecture.derived(system, rows=8)


def test_derive_writes_a_file(tmp_path, capsys):
    path = tmp_path / "step.py"

    assert main(["derive", "neuron", "--out", str(path)]) == 0

    assert capsys.readouterr().out == f"Written: {path}\n"
    assert path.read_text() == lecture.derived("neuron")


def test_derive_needs_rows(capsys):
    with pytest.raises(SystemExit) as end:
        main(["derive", "--rows", "1"])

    assert end.value.code == 2
    assert "--rows must be 2 or more, got 1" in capsys.readouterr().err
