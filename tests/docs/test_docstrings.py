"""Every public name is documented in full; operations have a test of their own."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.core import Op

#: What a user imports from. The other modules are what these are made of.
MODULES = [
    *["", ".checks", ".cli", ".compiling", ".engine.core", ".data", ".drawing"],
    *[
        ".estimators",
        ".course.exercises",
        ".diagnosis.explanations",
        ".course.lecture",
        ".nn",
    ],
    *[".nn.initializers", ".optim"],
    *[".optim.schedules", ".plots", ".profiling", ".training", ".transforms"],
    *[".ops.blocks", ".ops.differences", ".ops.ranges", ".ops.selection"],
    *[".ops.floats", ".ops.matrices", ".ops.polynomials"],
]
HEADING = re.compile(r"^(\w[\w ]*)\n-+$", flags=re.MULTILINE)
ARRAY = re.compile(r"\b(array_like|ndarray|array|Tensor)\b")
SHAPE = re.compile(r"\b(any )?shapes?\b")
COLLECTION = re.compile(r"\b(callable|iterable|sequence|list|tuple|mapping|dict)\b")
UNIT = re.compile(
    r"\b(dimensionless|seconds|in s|in nats|units?|probability|share|pixels per)\b",
    re.I,
)


def public_names() -> dict[str, Any]:
    """Functions and classes, but operations, by the path where a user finds them."""
    found: dict[int, tuple[str, Any]] = {}
    for module in MODULES:
        room = importlib.import_module(te.__name__ + module)
        for name in room.__all__:
            value = getattr(room, name)
            if (inspect.isclass(value) or callable(value)) and not isinstance(
                value, Op
            ):
                path = ".".join(["te", *module.split(".")[1:], name])
                found.setdefault(id(value), (path, value))
    return dict(found.values())


NAMES = public_names()
CLASSES = {path: value for path, value in NAMES.items() if inspect.isclass(value)}
FUNCTIONS = {path: value for path, value in NAMES.items() if path not in CLASSES}


def members() -> Iterator[tuple[str, type, Any]]:
    """Public methods and properties, each where a public class first has it."""
    for path, owner in CLASSES.items():
        above = {
            name for c in owner.__mro__[1:] if c in NAMES.values() for name in dir(c)
        }
        for name in dir(owner):
            if name.startswith("_") or name in above or name in te.ops.__all__:
                continue
            home = next(base for base in owner.__mro__ if name in vars(base))
            value = vars(home)[name]
            if isinstance(value, (classmethod, staticmethod)):
                value = value.__func__
            ours = home.__module__.startswith(te.__name__)
            known = (property, cached_property)
            if ours and (inspect.isfunction(value) or isinstance(value, known)):
                yield f"{path}.{name}", owner, value


MEMBERS = {path: (owner, value) for path, owner, value in members()}


def documentation(value: Any) -> str:
    return inspect.cleandoc(value.__doc__ or "")


def sections(text: str) -> dict[str, str]:
    """The text under each numpydoc heading; what is above them under ''."""
    parts = HEADING.split(text)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(text: str, *names: str) -> list[str]:
    """Each entry of these sections: its unindented line and what belongs to it."""
    found = sections(text)
    return [
        entry
        for name in names
        for entry in re.split(r"\n(?=\S)", found.get(name, "").strip())
        if entry
    ]


def documented(text: str) -> set[str]:
    """``a, b : array`` and ``**options`` document a, b and options."""
    listed = entries(text, "Parameters", "Attributes")
    heads = [entry.partition("\n")[0].partition(" : ")[0] for entry in listed]
    return {name.strip().lstrip("*") for head in heads for name in head.split(",")}


def arguments(function: Callable[..., Any]) -> set[str]:
    names = inspect.signature(function).parameters
    return {n for n in names if n != "self" and not n.startswith("_")}


def errors_raised(function: Any) -> set[str]:
    """The errors that a function's own lines raise by name; of a class, to make one."""
    if inspect.isclass(function):
        function = vars(function).get("__init__")
        if not inspect.isfunction(function) or "__init__" not in function.__qualname__:
            return set()
    try:
        source = inspect.getsource(function)
    except OSError:  # a dataclass's __init__ has none
        return set()
    tree = ast.parse(textwrap.dedent(source))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    names = [ast.unparse(e.func) for e in raised if isinstance(e, ast.Call)]
    return {name for name in names if name[0].isupper()}


def unsaid(text: str, function: Callable[..., Any]) -> list[str]:
    """What a docstring owes the reader about a call, and does not say."""
    raises = sections(text).get("Raises", "")
    return [
        *sorted(f"parameter {name}" for name in arguments(function) - documented(text)),
        *sorted(f"error {e}" for e in errors_raised(function) if e not in raises),
        *sorted(without_shape_or_unit(text)),
    ]


def without_shape_or_unit(text: str) -> list[str]:
    problems = []
    for entry in entries(text, "Parameters", "Attributes", "Returns", "Yields"):
        head = entry.partition("\n")[0]
        if COLLECTION.search(head):
            continue
        if ARRAY.search(head) and not SHAPE.search(entry):
            problems.append(f"shape: {head}")
        elif re.search(r"\bfloat\b", head) and not UNIT.search(entry):
            problems.append(f"unit: {head}")
    return problems


def examples(text: str) -> str:
    """The code of a docstring's examples."""
    found = doctest.DocTestParser().get_examples(text)
    return "".join(example.source for example in found)


def says_what_it_gives(text: str, function: Callable[..., Any]) -> bool:
    returned = inspect.signature(function).return_annotation
    nothing = returned in (None, "None", "NoReturn", inspect.Signature.empty)
    return nothing or bool({"Returns", "Yields"} & {*sections(text)})


# ----------------------------------------------------------------------- what they owe


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_function_has_every_section_that_fits(path):
    function = FUNCTIONS[path]
    text = documentation(function)

    assert unsaid(text, function) == []
    assert says_what_it_gives(text, function)
    assert examples(text)


@pytest.mark.parametrize("path", CLASSES)
def test_a_class_tells_its_parameters_errors_and_use(path):
    owner = CLASSES[path]
    text = documentation(owner)

    if not issubclass(owner, Exception):  # those are raised, not made
        assert unsaid(text, owner) == []
    assert examples(text)


@pytest.mark.parametrize("path", MEMBERS)
def test_a_method_says_what_it_takes_gives_and_raises(path):
    owner, value = MEMBERS[path]
    text = documentation(value)
    name = path.rpartition(".")[2]

    assert sections(text)[""]
    if inspect.isfunction(value):
        assert unsaid(text, value) == []
        # of a method without arguments, the first line is enough
        assert not arguments(value) or says_what_it_gives(text, value)
    shown = rf"[.]{name}\b|def {name}\("  # in the class's examples, or in its own
    assert examples(text) or re.search(shown, examples(documentation(owner)))


# ------------------------------------------------------------------ the tests' own eyes


def test_the_walk_finds_what_is_public():
    assert {"te.fit", "te.nn.initializers.he_normal", "te.cli.main"} <= {*FUNCTIONS}
    assert {"te.Tensor", "te.nn.Linear", "te.drawing.Drawing"} <= {*CLASSES}
    assert {"te.Tensor.grad", "te.nn.Layer.refuse", "te.History.plot"} <= {*MEMBERS}
    assert "te.nn.Linear.parameters" not in MEMBERS  # it is Layer's
    assert "te.exp" not in FUNCTIONS  # an operation


def test_what_is_missing_is_found():
    def area(width, height, *, unit=1.0):
        """Multiply.

        Parameters
        ----------
        width : ndarray
        height : float
            How high.

        Raises
        ------
        TypeError
            Never.
        """
        raise ValueError("no")

    assert unsaid(documentation(area), area) == [
        "parameter unit",
        "error ValueError",
        "shape: width : ndarray",
        "unit: height : float",
    ]
    assert examples(documentation(area)) == ""


def test_a_complete_docstring_lacks_nothing():
    def area(width, *heights, **options) -> float:
        """Multiply.

        Parameters
        ----------
        width : ndarray, shape (n,)
        *heights, **options
            Anything.

        Returns
        -------
        float
            Dimensionless.
        """

    assert unsaid(documentation(area), area) == []
    assert says_what_it_gives(documentation(area), area)
