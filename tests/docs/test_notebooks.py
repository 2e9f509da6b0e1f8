"""Each example makes a notebook that can be opened, and that runs from top to end."""

from __future__ import annotations

import importlib.util

import nbclient
import nbformat
import pytest
from toy_examples import EXAMPLES, toy

# The kernel's own libraries warn.
pytestmark = pytest.mark.filterwarnings("default")
MAKE = EXAMPLES[0].parents[1] / "tools/example_notebooks.py"


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_notebooks", MAKE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(notebook, kind):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [out for cell in cells for out in cell.outputs if out.output_type == kind]


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_the_notebook_of_an_example_runs(make, script, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = make.notebook(script.name, toy(script))
    nbformat.validate(notebook)

    nbclient.NotebookClient(notebook, timeout=120).execute(cwd=str(tmp_path))

    assert outputs(notebook, "stream")
    kinds = [kind for out in outputs(notebook, "execute_result") for kind in out.data]
    assert any("image" in kind for kind in kinds) == ("picture = " in toy(script))


def test_all_are_written_and_can_be_opened(make, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["make.py", str(tmp_path)])

    make.main()

    written = [nbformat.read(path, 4) for path in sorted(tmp_path.glob("*.ipynb"))]
    assert [x.cells[0].source[:2] for x in written] == ["# "] * len(EXAMPLES)
    for notebook in written:
        assert "".join(cell.source for cell in notebook.cells).count("import") > 0
        assert all(cell.source.strip() for cell in notebook.cells)
