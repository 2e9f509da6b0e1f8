"""The lecture's chapters run as they stand there, and their hidden cells agree.

What a chapter says about a number stands in a hidden cell beside it, as an assertion.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from types import CodeType

import matplotlib.pyplot as plt
import pytest

import tinygrad_edu as te

FOLDER = Path(te.__file__).parents[1] / "docs/lecture"
CHAPTERS = sorted(FOLDER.glob("[0-9]*.md"))
# Those that train networks for five to fifteen seconds; `make docs` runs them, too.
LONG = {"09_from_83_to_97", "10_convolution"}
CELL = re.compile(r"(?ms)^```{code-cell}\n((?::[^\n]*\n)*)(.*?)^```")
MNIST = os.environ.get("TINYGRAD_EDU_DATA")


def parts(cell: str, name: str) -> tuple[CodeType, CodeType | None]:
    """What a notebook runs of a cell, and the last expression, which it shows."""
    tree = ast.parse(cell)
    shown = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        expression = ast.Expression(tree.body.pop().value)
        shown = compile(expression, name, "eval", dont_inherit=True)
    return compile(tree, name, "exec", dont_inherit=True), shown


def show(value: object) -> None:
    """Ask a value for its picture, as a notebook does."""
    for form in ("_repr_mimebundle_", "_repr_html_"):
        if hasattr(value, form):
            assert getattr(value, form)()


def read(chapter: Path) -> None:
    names: dict[str, object] = {"__name__": chapter.stem, "display": show}
    for number, (_, cell) in enumerate(CELL.findall(chapter.read_text("utf-8")), 1):
        run, shown = parts(cell, f"<{chapter.stem}, cell {number}>")
        exec(run, names)
        if shown is not None:
            show(eval(shown, names))
        plt.close("all")


@pytest.fixture(autouse=True)
def without_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(path, marks=[pytest.mark.slow] * (path.stem in LONG), id=path.stem)
        for path in CHAPTERS
    ],
)
def test_a_chapter_runs_and_says_what_is_so(chapter, monkeypatch):
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)

    read(chapter)


@pytest.mark.slow
@pytest.mark.skipif(not MNIST, reason="MNIST is in no folder")
@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(path, id=path.stem)
        for path in CHAPTERS
        if "TINYGRAD_EDU_DATA" in path.read_text("utf-8")
    ],
)
def test_a_chapter_runs_with_mnist_too(chapter):
    read(chapter)


def test_there_are_chapters_and_no_cell_is_overlooked():
    for chapter in CHAPTERS:
        text = chapter.read_text("utf-8")

        assert len(CELL.findall(text)) == text.count("```{code-cell}") > 0
    assert CHAPTERS


def test_a_hidden_cell_that_is_not_so_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```{code-cell}\n:tags: [remove-cell]\n\nassert 1 > 2\n```\n")

    with pytest.raises(AssertionError):
        read(page)


def test_the_last_expression_of_a_cell_is_shown(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```{code-cell}\nclass Broken:\n    def _repr_html_(self):\n"
        "        raise ZeroDivisionError\n\n\nBroken()\n```\n"
    )

    with pytest.raises(ZeroDivisionError):
        read(page)
