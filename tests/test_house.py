"""The house rules that a parser can check: which room may import from which."""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from inspect import ismodule
from pathlib import Path

import pytest

import tinygrad_edu

ROOT = Path(tinygrad_edu.__file__).parent
NAME = tinygrad_edu.__name__

#: A room may import from the lines above its own, and from nothing else.
FLOORS = [
    {"randomness", "files"},
    {"engine"},
    {"ops"},
    {"transforms", "data", "plots"},
    {"checks"},
    {"nn"},
    {"metrics"},
    {"optim", "profiling", "diagnosis", "saving"},
    {"drawing"},
    {"training"},
    {"estimators", "distributed"},
    {"course"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Yield line and room of every import from the package, but for types alone."""
    for node in outside_type_checking(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == NAME:
                yield node.lineno, rest[0] if rest else ""


def outside_type_checking(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from (other, *outside_type_checking(other))
            continue
        yield child
        yield from outside_type_checking(child)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    room = room_of(path)
    assert room in FLOOR, f"give the room {room!r} a place in FLOORS"
    package = ".".join([NAME, *path.relative_to(ROOT).parts[:-1]])

    wrong = [
        f"{path.name}:{line} imports {NAME}.{target}"
        for line, target in imported_rooms(path.read_text("utf-8"), package)
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
    from {NAME} import engine
def later():
    from . import data
    from .linalg import inv
    from .. import plots
    from ..drawing import dot
    import {NAME}
"""

    found = [room for _, room in imported_rooms(source, f"{NAME}.ops")]

    above = ["engine", "nn", "ops", "optim", "engine"]
    assert found == [*above, "ops", "ops", "plots", "drawing", ""]


def test_modules_import_each_other_in_no_circle():
    """Within a room, too."""
    graph = {}
    for path in MODULES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join([NAME, *parts]).removesuffix(".__init__")
        graph[name] = [
            (node.module, f"{node.module}.{alias.name}")
            for node in outside_type_checking(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        ]
    waiting = {
        name: {inner if inner in graph else outer for outer, inner in imports}
        for name, imports in graph.items()
    }

    while ready := {m for m, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {m: needs for m, needs in waiting.items() if m not in ready}

    assert waiting == {}


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


def test_every_exported_name_exists():
    for package in (tinygrad_edu, tinygrad_edu.ops):
        names = getattr(package, "__all__", [])
        assert [name for name in names if not hasattr(package, name)] == []
        assert len(names) == len(set(names))
