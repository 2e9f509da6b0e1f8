"""Write ``docs/operations.md``: the table of all operations, from the registry.

python tools/operation_table.py
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np

import tinygrad_edu as te
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.files import written_atomically

PATH = Path(te.__file__).parents[1] / "docs" / "operations.md"

HEAD = """\
# Operations

Every operation, as it is declared. `g` is the gradient of the loss by the output. Each
one's value is compared with NumPy's, SciPy's or a closed form, and its derivatives of
first and second order with finite differences, in forward and in reverse mode, by
`te.check_op`; `order` is how far.

This page is written by `python tools/operation_table.py`.
"""

INTERNAL = {"item"}  # the graph's own


def table() -> str:
    """Return the text of the page."""
    groups: dict[str, list[te.Op]] = {}
    for op in te.OPS.values():
        module = op.forward.__module__
        if module.startswith("tinygrad_edu.") and op.name not in INTERNAL:
            groups.setdefault(module.rpartition(".")[2], []).append(op)
    parts = [HEAD]
    for group, ops in sorted(groups.items()):
        title = "the engine's own" if group == "core" else group
        parts.append(f"## {title.capitalize()}\n")
        parts.append(
            "| operation | NumPy | formula | derivative | order | conventions |"
        )
        parts.append("| --- | --- | --- | --- | --- | --- |")
        parts += [row(op) for op in sorted(ops, key=lambda op: op.name)]
        parts.append("")
    return "\n".join(parts)


def row(op: te.Op) -> str:
    """Return the line of an operation."""
    formula, derivative, convention = notes(op)
    order = "2" if set(op.arguments) - op.constant else "none"
    cells = [f"`{op.name}`", numpy_name(op), formula, derivative, order, convention]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def numpy_name(op: te.Op) -> str:
    """Return how NumPy calls it."""
    names = [f for f, call in FROM_NUMPY.items() if call in (op, op.call)]
    function = op.numpy or (names[0] if names else None)
    if function is None:
        return ""
    name = function.__name__
    for prefix, room in (("np", np), ("np.linalg", np.linalg)):
        if getattr(room, name, None) is function:
            return f"`{prefix}.{name}`"
    return f"`{function.__module__}.{name}`"


def notes(op: te.Op) -> tuple[str, str, str]:
    """Return formula, derivative and conventions: the Notes of the docstring.

    Where nothing is computed but moved, the first line stands for the formula.
    """
    summary, _, text = inspect.cleandoc(op.__doc__ or "").partition("\n")
    text = text.partition("Notes\n-----\n")[2]
    text = text.partition("\n\nExamples\n")[0].partition("Source:")[0]
    text = re.sub(r":func:`(\w+)`", r"`\1`", " ".join(text.replace("``", "`").split()))
    first, *rest = text.split(". ")
    formula, _, derivative = first.partition("; ")
    if not derivative:
        formula, derivative = summary.replace("``", "`"), first
    convention = ". ".join(rest).strip()
    return formula.rstrip("."), derivative.rstrip("."), convention


if __name__ == "__main__":
    with written_atomically(PATH) as file:
        file.write(table().encode())
