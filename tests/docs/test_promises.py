"""The page of promises: each line names a test file, and that one is there."""

from __future__ import annotations

import re
from pathlib import Path

import tinygrad_edu as te

ROOT = Path(te.__file__).parents[1]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| what |", "| --- |"))
]


def test_every_line_has_its_test():
    for row in ROWS:
        *_, tests, _ = row.split("|")
        (named,) = re.findall(r"`(tests/[\w/]+\.py)`", tests)

        assert (ROOT / named).exists(), row


def test_no_table_is_overlooked():
    assert len(ROWS) == PAGE.count(".py` |") > 10
