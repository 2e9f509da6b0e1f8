"""The pictures of the documentation can be made again, each of them."""

from __future__ import annotations

import docs_pictures


def test_ours_are_those_that_lie_in_the_folder(monkeypatch, tmp_path):
    elsewhere = ("training-", "compare-")  # which take longer, or other packages
    there = {path.name for path in docs_pictures.HERE.iterdir()}
    monkeypatch.setattr(docs_pictures, "HERE", tmp_path)

    docs_pictures.ours()

    made = {path.name for path in tmp_path.iterdir()}
    assert made == {name for name in there if not name.startswith(elsewhere)}
