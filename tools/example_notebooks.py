"""Make a notebook of each example: ``make notebooks``.

    python tools/example_notebooks.py [FOLDER]

In notebooks/ of the checkout, or in another folder. The docstring becomes the heading,
the imports are the first cell, each paragraph of code is one more, and below the last
the picture is shown.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import jupytext
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

#: How the picture is shown, by what its line in the example begins with.
SHOWN = {
    "picture = te.plots.save(": "from IPython.display import Image\n\nImage(picture)",
    "picture = te.draw(loss, legend=True).save(": (
        "from IPython.display import SVG\n\nSVG(picture)"
    ),
    "picture = te.draw(y)\n": "picture",
}


def notebook(name: str, source: str) -> NotebookNode:
    """Return the notebook of an example, from its file's name and its source."""
    docstring, *others = ast.parse(source).body
    assert isinstance(docstring, ast.Expr)
    imports = [x for x in others if isinstance(x, ast.Import | ast.ImportFrom)]
    lines = source.splitlines(keepends=True)
    start, end = docstring.end_lineno, imports[-1].end_lineno

    title, _, text = ast.literal_eval(docstring.value).partition("\n")
    text = text.partition(f"\npython examples/{name}")[0].strip()
    cells = [
        new_markdown_cell(f"# {title.rstrip('.')}\n\n{text}".strip()),
        new_code_cell("".join(lines[start:end]).strip()),
    ]
    if "import sys\n" in lines or "import argparse\n" in lines:
        arguments = f'import sys\n\nsys.argv = ["{name}"]  # put arguments behind it'
        cells.append(new_code_cell(arguments))
    made = jupytext.reads("".join(lines[end:]).strip(), fmt="py:light")
    cells += made.cells
    cells += [new_code_cell(shown) for line, shown in SHOWN.items() if line in source]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same whenever it is made
    made.cells, made.metadata["kernelspec"] = cells, KERNEL
    return made


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for script in sorted(EXAMPLES.glob("*.py")):
        path = folder / f"{script.stem}.ipynb"
        jupytext.write(notebook(script.name, script.read_text("utf-8")), path)
        print("written:", path)


if __name__ == "__main__":
    main()
