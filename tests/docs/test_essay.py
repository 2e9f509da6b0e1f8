"""The essay's cells run as they stand there, and what it shows of the core is there."""

from __future__ import annotations

import inspect
import re
from operator import attrgetter
from pathlib import Path

import pytest

import tinygrad_edu as te
from tinygrad_edu.engine import core

FOLDER = Path(te.__file__).parents[1] / "docs/essay"
ESSAY = (FOLDER / "backpropagation.md").read_text(encoding="utf-8")
CELLS = re.findall(r"(?ms)^```{code-cell}\n((?::[^\n]*\n)*)(.*?)^```", ESSAY)
SHOWN = re.findall(r"(?ms)^```{literalinclude} (\S+)\n(.*?)^```", ESSAY)


def test_the_cells_run(capsys):
    names: dict[str, object] = {"__name__": "essay"}

    for number, (_, cell) in enumerate(CELLS, 1):
        exec(compile(cell, f"<cell {number}>", "exec", dont_inherit=True), names)

    assert "as derived by hand: True\n" in capsys.readouterr().out


def test_no_cell_is_overlooked():
    assert len(CELLS) == ESSAY.count("```{code-cell}")
    assert len(SHOWN) == ESSAY.count("```{literalinclude}")
    assert ESSAY.count("```") == 2 * len(CELLS) + 2 * len(SHOWN)


@pytest.mark.parametrize(("file", "options"), SHOWN)
def test_what_it_shows_of_the_source_is_there(file, options):
    source = (FOLDER / file).read_text(encoding="utf-8")
    wanted = dict(re.findall(r"(?m)^:([\w-]+): (.*)$", options))

    if "pyobject" in wanted:
        shown = inspect.getsource(attrgetter(wanted["pyobject"])(core))
        assert shown in source
        source = shown
    for edge in {"start-at", "end-at", "end-before"} & wanted.keys():
        assert wanted[edge] in source
