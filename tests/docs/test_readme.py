"""README and CONTRIBUTING are true: code, output, picture, files and commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tinygrad_edu as te

ROOT = Path(te.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_neuron_gives_0_999_and_is_what_the_picture_shows(capsys):
    names: dict[str, object] = {}

    exec(BLOCKS[0], names)

    assert capsys.readouterr().out == "0.999\n"
    shown = (ROOT / "docs/pictures/neuron.svg").read_text(encoding="utf-8")
    assert names["picture"].svg() == shown


def test_the_ten_lines_draw_and_train_a_network(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    exec(BLOCKS[1], {})

    assert 0.88 <= float(capsys.readouterr().out.strip("%\n")) / 100 <= 0.96
    drawn = (tmp_path / "network.svg").read_text(encoding="utf-8")
    assert "weight, parameter, (32, 64)" in drawn


def test_the_backward_pass_of_its_network_is_what_it_shows(capsys):
    X, y, *_ = te.data.load_digits()
    model = te.nn.Sequential(
        te.nn.Linear(64, 32), te.nn.Sigmoid(), te.nn.Linear(32, 10)
    )
    optimizer = te.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    names = {"te": te, "model": model, "optimizer": optimizer}

    exec(BLOCKS[2], names | {"X_batch": X[:32], "y_batch": y[:32]})

    (shown,) = re.findall(r"```text\n(    dZ2.*?)```", README, flags=re.DOTALL)
    assert capsys.readouterr().out.strip("\n") == shown.strip("\n")


def test_the_slip_in_a_derivation_is_named(capsys):
    exec(BLOCKS[3], {})

    assert capsys.readouterr().out == "('missing-mean',)\n"


def test_it_fits_on_a_screen():
    assert README.count("\n") <= 135


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_a_page_names_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r'\.save\(".*"\)', "", text)  # into a file of the reader's
    named = re.findall(r"([\w/-]+\.(?:py|md|cfg|svg))\b", text)

    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_make_target_is_told_of_to_contributors():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.* ## ", makefile, flags=re.MULTILINE)

    told = re.findall(r"^\| `make ([a-z-]+)`", CONTRIBUTING, flags=re.MULTILINE)

    assert sorted(told) == sorted({*targets} - {"help"})


def rooms_of_the_table():
    _, _, table = CONTRIBUTING.partition("| room | what is in it |\n")
    first = [row.split("|")[1] for row in table.partition("\n\n")[0].splitlines()]
    return [name for cell in first for name in re.findall(r"`(\w+)/?`", cell)]


def test_the_table_of_rooms_has_every_room_once():
    package = ROOT / "tinygrad_edu"
    rooms = {path.stem for path in package.iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}

    assert sorted(rooms_of_the_table()) == sorted(rooms | modules)


def test_the_table_of_rooms_goes_up_the_floors():
    house = ast.parse((ROOT / "tests/test_house.py").read_text(encoding="utf-8"))
    (floors,) = (
        ast.literal_eval(node.value)
        for node in house.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS"
    )

    levels = [
        next(level for level, rooms in enumerate(floors) if room in rooms)
        for room in rooms_of_the_table()
    ]

    assert levels == sorted(levels)
