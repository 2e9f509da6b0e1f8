"""The table of operations in the docs says what the declarations say."""

from __future__ import annotations

import operation_table
import pytest

import tinygrad_edu as te

OPS = [
    op
    for op in te.OPS.values()
    if op.forward.__module__.startswith("tinygrad_edu.")
    and op.name not in operation_table.INTERNAL
]


def test_the_page_is_what_the_registry_gives():
    assert (
        operation_table.PATH.read_text(encoding="utf-8") == operation_table.table()
    ), "write it anew: python tools/operation_table.py"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_operation_has_a_formula_and_a_derivative(op):
    formula, derivative, _ = operation_table.notes(op)

    assert formula, "the first sentence of Notes: formula; dL/dx = ..."
    assert derivative, "the first sentence of Notes: formula; dL/dx = ..."
