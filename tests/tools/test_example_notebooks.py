"""Each example makes a notebook that can be opened, and that runs from top to end."""

from __future__ import annotations

import example_notebooks
import nbclient
import nbformat
import pytest
from toy_examples import EXAMPLES, toy

# The kernel's own libraries warn.
pytestmark = pytest.mark.filterwarnings("default")


def outputs(notebook, kind):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [out for cell in cells for out in cell.outputs if out.output_type == kind]


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_the_notebook_of_an_example_runs(script, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = example_notebooks.notebook(script.name, toy(script))
    nbformat.validate(notebook)

    nbclient.NotebookClient(notebook, timeout=120).execute(cwd=str(tmp_path))

    assert outputs(notebook, "stream")
    kinds = [kind for out in outputs(notebook, "execute_result") for kind in out.data]
    assert any("image" in kind for kind in kinds) == ("picture = " in toy(script))


def test_all_are_written_and_can_be_opened(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["make.py", str(tmp_path)])

    example_notebooks.main()

    written = [nbformat.read(path, 4) for path in sorted(tmp_path.glob("*.ipynb"))]
    assert [x.cells[0].source[:2] for x in written] == ["# "] * len(EXAMPLES)
    for notebook in written:
        assert "".join(cell.source for cell in notebook.cells).count("import") > 0
        assert all(cell.source.strip() for cell in notebook.cells)
