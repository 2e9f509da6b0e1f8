"""The public names, and where they are defined."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

#: Where public names live. What has several is shown by the first.
NAMESPACES = [
    "tinygrad_edu",
    "tinygrad_edu.nn",
    "tinygrad_edu.nn.initializers",
    "tinygrad_edu.optim",
    "tinygrad_edu.optim.schedules",
    "tinygrad_edu.data",
    "tinygrad_edu.training",
    "tinygrad_edu.checks",
    "tinygrad_edu.drawing",
    "tinygrad_edu.profiling",
    "tinygrad_edu.compiling",
    "tinygrad_edu.plots",
    "tinygrad_edu.course.lecture",
    "tinygrad_edu.course.exercises",
    "tinygrad_edu.ops.differences",
    "tinygrad_edu.ops.blocks",
    "tinygrad_edu.ops.floats",
    "tinygrad_edu.ops.matrices",
    "tinygrad_edu.ops.polynomials",
    "tinygrad_edu.ops.ranges",
    "tinygrad_edu.ops.selection",
]


def public_names() -> dict[int, str]:
    """Return the name of every public object but modules, by the object's id."""
    names: dict[int, str] = {}
    for room in NAMESPACES:
        module = import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.ismodule(value):
                names.setdefault(id(value), f"{room}.{name}")
    return names


def defined_in(module: str) -> dict[str, Any]:
    """Return what a module defines and is public, by name, in the source's order."""
    public = public_names()
    return {
        public[id(value)]: value
        for value in vars(import_module(module)).values()
        if id(value) in public and getattr(value, "__module__", None) == module
    }


def ours(value: Any) -> bool:
    """Say whether an object was defined in this project, as far as it tells."""
    return (getattr(value, "__module__", None) or "tinygrad_edu").startswith(
        "tinygrad_edu"
    )
