"""The README's code runs as it stands there, and its picture shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import tinygrad_edu as te

ROOT = Path(te.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_neuron_gives_0_999_and_is_what_the_picture_shows(capsys):
    names: dict[str, object] = {}

    exec(BLOCKS[0], names)

    assert capsys.readouterr().out == "0.999\n"
    shown = (ROOT / "docs/pictures/neuron.svg").read_text(encoding="utf-8")
    assert names["picture"].svg() == shown


def test_the_ten_lines_train_a_network(capsys):
    exec(BLOCKS[1], names := {})

    assert 0.88 <= float(capsys.readouterr().out.strip("%\n")) / 100 <= 0.96
    assert "0: Linear" in names["picture"].source


def test_the_slip_in_a_derivation_is_named(capsys):
    exec(BLOCKS[2], {})

    assert capsys.readouterr().out == "('missing-mean',)\n"


def test_every_file_that_it_names_is_there():
    named = re.findall(r"`([\w/]+\.(?:py|md))`|\]\((docs/.*?)\)", README)

    paths = [ROOT / (a or b) for a, b in named]
    assert len(paths) > 5
    assert [path for path in paths if not path.exists()] == []
