"""The house rules that a parser can check: which room may import from which."""

from __future__ import annotations

import ast
import io
import os
import pkgutil
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from inspect import ismodule
from pathlib import Path

import pytest

import tinygrad_edu

ROOT = Path(tinygrad_edu.__file__).parent
NAME = tinygrad_edu.__name__

#: A room may import from the lines above its own, and from nothing else: at the top of
#: a file, in the middle of a function, and for types.
FLOORS = [
    {"files", "randomness"},
    {"engine"},
    {"ops"},
    {"transforms", "data", "plots"},  # data and plots use nothing of the engine above
    {"checks"},
    {"nn"},
    {"metrics"},
    {"optim", "profiling", "diagnosis", "saving"},
    {"drawing"},
    {"compiling"},
    {"training"},
    {"estimators", "distributed"},
    {"course"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(p for p in ROOT.rglob("*.py*") if p.suffix in (".py", ".pyi"))
MODULES = [p for p in FILES if p != ROOT / "__init__.py"]


def name_of(path: Path) -> str:
    """Return "tinygrad_edu.engine.core"."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([NAME, *parts]).removesuffix(".__init__")


def package_of(path: Path) -> str:
    return ".".join([NAME, *path.relative_to(ROOT).parts[:-1]])


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, module and name of every import from the package, wherever it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found = [(base, alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            if module.split(".")[0] == NAME:
                yield node.lineno, module, name


# ---------------------------------------------------------------------------- floors


def imported_rooms(source: str, package: str) -> Iterator[tuple[int, str]]:
    for line, module, name in imports(ast.parse(source), package):
        _, *rest = [*module.split("."), name]
        yield line, rest[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    room = room_of(path)
    assert room in FLOOR, f"give the room {room!r} a place in FLOORS"

    wrong = [
        f"{path.name}:{line} imports {NAME}.{target}"
        for line, target in imported_rooms(path.read_text("utf-8"), package_of(path))
        if target != room and not FLOOR.get(target, len(FLOORS)) < FLOOR[room]
    ]

    assert wrong == []


def test_the_parser_sees_every_way_to_import():
    source = f"""
import numpy, {NAME}.engine
from {NAME} import nn, ops as o
from {NAME}.optim.schedules import Step
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from {NAME} import cli
else:
    from {NAME} import errors
def later():
    from . import data
    from .linalg import inv
    from .. import plots
    from ..drawing import dot
    import {NAME}
"""

    found = [room for _, room in imported_rooms(source, f"{NAME}.ops")]

    at_the_top = ["engine", "nn", "ops", "optim"]
    later = ["cli", "errors", "ops", "ops", "plots", "drawing", ""]
    assert sorted(found) == sorted([*at_the_top, *later])


def test_one_place_alone_chooses_a_room_above_by_its_name():
    """What the parser cannot see: training on a cluster, without which fit can do."""
    seen = [
        str(path.relative_to(ROOT))
        for path in FILES
        if {"import_module", "__import__"} & set(re.findall(r"\w+", path.read_text()))
        if room_of(path) != "cli"  # stands above all, and imports what users name
    ]

    assert seen == ["training/steps.py"]


# --------------------------------------------------------------------------- circles


def only_hands_on(tree: ast.Module) -> bool:
    """Whether a package's __init__ does nothing but import names for others."""
    return all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or ("__all__" in ast.unparse(node).split("=")[0])
        for node in tree.body
    )


def needs(sources: dict[str, tuple[str, str]]) -> dict[str, set[str]]:
    """Return for each module which others it imports from, by name.

    ``sources`` has package and text of each. What an ``__init__`` only hands on is
    needed by who asks for it, not by the ``__init__``.
    """
    trees = {name: ast.parse(text) for name, (_, text) in sources.items()}
    asked = {
        name: [(m, n) for _, m, n in imports(tree, sources[name][0])]
        for name, tree in trees.items()
    }
    handing = {
        name
        for name, tree in trees.items()
        if any(other.startswith(f"{name}.") for other in trees) and only_hands_on(tree)
    }

    def homes(module: str, name: str) -> set[str]:
        if f"{module}.{name}" in trees:
            module, name = f"{module}.{name}", ""
        if module not in handing:
            return {module} & trees.keys()
        found = [(m, n) for m, n in asked[module] if name in ("", "*", n)]
        return {home for m, n in found for home in homes(m, n)}

    return {
        name: set() if name in handing else {h for m, n in pairs for h in homes(m, n)}
        for name, pairs in asked.items()
    }


def in_circles(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what is left when those who need nobody any more have gone."""
    waiting = dict(graph)
    while ready := {m for m, others in waiting.items() if not others & waiting.keys()}:
        waiting = {m: others for m, others in waiting.items() if m not in ready}
    return {m: others & waiting.keys() for m, others in waiting.items()}


def test_modules_import_each_other_in_no_circle():
    """Of any length, within a room, late and for types, too."""
    sources = {
        name_of(p): (package_of(p), p.read_text("utf-8"))
        for p in FILES
        if p != ROOT / "__init__.py"
    }

    assert in_circles(needs(sources)) == {}


CLOSING = [
    "from tinygrad_edu.r import a",
    "from tinygrad_edu.r.a import f",
    "def f():\n    from tinygrad_edu.r import f",
    "if TYPE_CHECKING:\n    from tinygrad_edu import r",
]


@pytest.mark.parametrize("last", ["import os", *CLOSING])
def test_a_circle_is_seen_however_it_is_closed(last):
    room = f"{NAME}.r"
    sources = {
        room: (room, f"from {room}.a import f\n__all__ = ['f']"),
        f"{room}.a": (room, f"from {room}.b import g"),
        f"{room}.b": (room, f"from {room} import c"),
        f"{room}.c": (room, last),
        f"{room}.d": (room, f"from {room} import f"),
    }

    found = in_circles(needs(sources)).keys() - {f"{room}.d"}

    circle = {f"{room}.a", f"{room}.b", f"{room}.c"}
    assert found == (set() if last == "import os" else circle)


# -------------------------------------------------------------------------- the engine


def code_lines(source: str) -> int:
    """Count the lines that are neither docstring nor comment nor blank."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match getattr(node, "body", None):
            case [ast.Expr(value=ast.Constant(value=str())) as text, *_]:
                docstrings |= {*range(text.lineno, (text.end_lineno or 0) + 1)}
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT)
    silent += (tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {
        line
        for token in tokens
        if token.type not in silent
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - docstrings)


def test_lines_of_code_are_counted_without_what_is_said_about_them():
    source = '"""One."""\n\nx = [  # two\n    1,\n]\n\n\ndef f():\n    """Three."""\n'

    assert code_lines(source) == 4


def test_the_core_is_read_in_one_sitting():
    assert code_lines((ROOT / "engine" / "core.py").read_text("utf-8")) <= 400


def test_no_module_is_named_like_a_function_that_the_package_exports():
    """Importing the one would hide the other."""
    modules = {module.name for module in pkgutil.iter_modules([str(ROOT)])}

    public = {name for name, value in vars(tinygrad_edu).items() if not ismodule(value)}

    assert modules & public == set()


def test_importing_the_package_pulls_in_nothing_heavy():
    code = f"import sys, {NAME}; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    heavy = {
        "dask",
        "distributed",
        "sklearn",
        "matplotlib",
        "scipy.special",
        "graphviz",
        "tqdm",
        "safetensors",
        "onnx",
        "PIL",
    }
    assert f"{NAME}.engine.core" in loaded
    assert loaded & heavy == set()
    assert {name for name in loaded if "onnx" in name} == set()  # seldom asked for


def test_on_one_machine_nobody_asks_for_the_engines_of_many(tmp_path):
    """Installed or not: not even by an import that may fail."""
    code = """
import sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        engines = "dask", "distributed", "cloudpickle", "onnx", "onnxruntime"
        if name.partition(".")[0] in engines:
            print("asked for", name)

sys.meta_path.insert(0, Watch())
import numpy as np
import tinygrad_edu as te

model = te.nn.Sequential(te.nn.Linear(2, 1, rng=0))
options = {"loss": te.nn.mse_loss, "epochs": 1, "batch_size": 2, "checkpoint": "runs"}
options["optimizer"] = te.optim.SGD(model.parameters(), lr=0.1)
te.fit(model, np.ones((4, 2)), np.ones((4, 1)), **options)
te.evaluate(model, np.ones((4, 2)), np.ones((4, 1)), loss=te.nn.mse_loss)
te.load(model, te.save(model, "model.safetensors"))
print(*[name for name in sys.modules if name.startswith("tinygrad_edu.distributed")])
"""

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT.parent)},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("epoch 1/1: loss")
    assert "asked for" not in done.stdout
    assert "tinygrad_edu.distributed" not in done.stdout


def test_every_exported_name_exists():
    for package in (tinygrad_edu, tinygrad_edu.ops):
        names = getattr(package, "__all__", [])
        assert [name for name in names if not hasattr(package, name)] == []
        assert len(names) == len(set(names))
