"""What the commands share: exit codes, a parser, and arguments that several take."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.course import lecture
from tinygrad_edu.course.lecture.training import Split
from tinygrad_edu.saving.weights import rebuilt
from tinygrad_edu.training import load, predict

#: Exit codes: all is well; the work failed, or what was checked is wrong; the command
#: is wrong; Ctrl-C.
FINE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """Keeps the lines of its texts; says what is wrong in one, with exit code 2."""

    def __init__(self, **options: Any) -> None:
        as_written = argparse.RawDescriptionHelpFormatter
        super().__init__(formatter_class=as_written, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


#: What each command is added to.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def in_one_line(error: BaseException) -> str:
    """Return what an error of somebody else's code says, for a single line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


# ------------------------------------------------------ the lecture's networks and data


def systems() -> str:
    """Return a line for each network of the lecture."""
    wide = max(map(len, lecture.SYSTEMS))
    lines = [f"  {s.name:{wide}}  {s.title}" for s in lecture.SYSTEMS.values()]
    return "\n".join(lines)


def add_system(parser: Parser) -> None:
    """Let a command be told one of the lecture's networks."""
    parser.add_argument(
        "system",
        nargs="?",
        default="digits",
        choices=list(lecture.SYSTEMS),
        help="one of the networks above (default: digits)",
        metavar="SYSTEM",
    )


def add_data(parser: Parser) -> None:
    """Add the options that say which digits."""
    parser.add_argument(
        "--data",
        choices=["digits", "mnist"],
        default="digits",
        help="scikit-learn's 8x8 digits, or MNIST (default: digits)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="the folder of MNIST's four IDX files, for --data mnist (default: the "
        "one in $TINYGRAD_EDU_DATA, else they are downloaded once)",
    )


def load_data(parser: Parser, options: argparse.Namespace) -> Split:
    """Return the digits that the options name."""
    if options.data_dir is not None and options.data != "mnist":
        parser.error("--data-dir goes with --data mnist")
    return lecture.load(options.data, options.data_dir)


# ------------------------------------------------------------- functions, and shapes


def find_function(parser: Parser, path: str) -> Any:
    """Return the function at ``package.module:function``."""
    module_name, _, name = path.partition(":")
    if not all([*module_name.split("."), *name.split(".")]):
        parser.error(f"expected MODULE:FUNCTION, got {path!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # of the module, whatever it does
        parser.error(f"cannot import {module_name}: {in_one_line(error)}")
    for part in name.split("."):
        if not hasattr(found, part):
            parser.error(f"{module_name} has no {name!r}")
        found = getattr(found, part)
    if not callable(found):
        parser.error(f"{path} is no function")
    return found


def read_shapes(parser: Parser, text: str) -> list[tuple[int, ...]]:
    """Read ``"(3,4),(4,)"``."""
    wrong = f'--shapes must read like "(3,4),(4,)", got {text!r}'
    try:
        read = ast.literal_eval(f"[{text}]")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        parser.error(wrong)
    shapes = [(x,) if type(x) is int else x for x in read]
    for shape in shapes:
        if type(shape) is not tuple or not all(type(n) is int and n > 0 for n in shape):
            parser.error(wrong)
    if not shapes:
        parser.error(wrong)
    return shapes


# ------------------------------------------------------------------------ saved models

#: What a model may take of one picture of a digit: numbers in a row, or an image.
PICTURES = ((784,), (64,), (1, 28, 28), (1, 8, 8))


def add_weights(parser: Parser) -> None:
    """Add the arguments that name a saved model."""
    parser.add_argument(
        "weights", type=Path, metavar="WEIGHTS", help="written by te.save"
    )
    parser.add_argument(
        "--model",
        metavar="MODULE:FUNCTION",
        help="what builds the model; not needed if the file describes its layers, as "
        "te.save does where all of them are the library's",
    )


def load_model(parser: Parser, options: argparse.Namespace) -> nn.Layer:
    """Return the model with its weights."""
    if options.model is None:
        try:
            return rebuilt(options.weights)
        except ValueError as error:
            raise ValueError(f"{error}; --model names what builds the model") from None
    build = find_function(parser, options.model)
    try:
        model = build()
    except (Exception, SystemExit) as error:  # of the function, whatever it does
        said = in_one_line(error)
        parser.exit(FAILED, f"{parser.prog}: {options.model}: {said}\n")
    if not isinstance(model, nn.Layer):
        parser.error(f"{options.model} returned {type(model).__name__}, not a Layer")
    return load(model, options.weights)


def picture_shape(model: nn.Layer) -> tuple[int, ...] | None:
    """Return the shape in which the model takes a digit, if it takes one."""
    for shape in PICTURES:
        try:
            predict(model, np.zeros((1, *shape)))
        except Exception:  # of layers of the user's own, whatever they do
            continue
        return shape
    return None
