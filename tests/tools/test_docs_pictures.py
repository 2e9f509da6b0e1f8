"""The pictures of the documentation can be made again, each of them."""

from __future__ import annotations

import docs_pictures
import pytest


def test_ours_are_those_that_lie_in_the_folder(monkeypatch, tmp_path):
    elsewhere = ("training-", "compare-", "programs-")  # take longer, or other packages
    there = {path.name for path in docs_pictures.HERE.iterdir()}
    monkeypatch.setattr(docs_pictures, "HERE", tmp_path)

    docs_pictures.ours()

    made = {path.name for path in tmp_path.iterdir()}
    assert made == {name for name in there if not name.startswith(elsewhere)}


@pytest.mark.slow
def test_those_of_the_programs_are_made_from_the_guide(monkeypatch, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    guides = docs_pictures.HERE.parent / "guides"
    (tmp_path / "guides").symlink_to(guides)
    named = {path.name for path in docs_pictures.HERE.glob("programs-*")}
    monkeypatch.setattr(docs_pictures, "HERE", pictures)

    docs_pictures.programs()

    assert {path.name for path in pictures.iterdir()} == named
    text = (guides / "derivatives.md").read_text(encoding="utf-8")
    assert all(f"(../pictures/{name})" in text for name in named)
