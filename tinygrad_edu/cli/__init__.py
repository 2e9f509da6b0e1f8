"""The command line: ``tinygrad-edu`` and ``python -m tinygrad_edu``."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu import nn, ops, saving
from tinygrad_edu.checks import GradientCheckError, gradcheck
from tinygrad_edu.course import exercises, lecture
from tinygrad_edu.data import pictures
from tinygrad_edu.files import written_atomically
from tinygrad_edu.saving.weights import rebuilt
from tinygrad_edu.training import load, predict

__all__ = ["main"]

# What --help says. Lines that begin with "  tinygrad-edu" are run by a test.
_TOP = """\
examples:
  tinygrad-edu lecture                train the lecture's networks on digits
  tinygrad-edu draw neuron            a single neuron's graph, as text
  tinygrad-edu draw --out graph.html  a page that steps through the backward pass
  tinygrad-edu exercises list         what there is to practise

tinygrad-edu COMMAND --help says more. In Python: import tinygrad_edu as te
"""

_LECTURE = """\
Train the lecture's networks on handwritten digits, and count what they get
right: it takes seconds with the built-in digits, minutes with MNIST. With
--data mnist the first three print the lecture's published numbers.

{systems}"""
_LECTURE_EXAMPLES = """\
examples:
  tinygrad-edu lecture neuron             one network, numbers only
  tinygrad-edu lecture --out pictures     all four, with pictures and graphs
  tinygrad-edu lecture digits --data mnist --data-dir mnist
"""

_DRAW = """\
Draw the graph of one of the lecture's networks on 32 examples, before training:
what is computed, and how the gradient flows back. A page (.html) walks through
the backward pass step by step. For a graph of your own, te.draw(loss) in Python.

{systems}"""
_DRAW_EXAMPLES = """\
examples:
  tinygrad-edu draw neuron                 as text
  tinygrad-edu draw hidden --out hidden.html
  tinygrad-edu draw digits --level layer --out digits.svg
"""

_GRADCHECK = """\
Check the gradients of a function of your own against finite differences. It is
called with one Tensor for each shape, filled with standard normal numbers. If a
gradient is wrong, the operation to blame is named, and the exit code is 1.
"""
_GRADCHECK_EXAMPLES = """\
examples:
  tinygrad-edu gradcheck tinygrad_edu:tanh --shapes "(3,4)"
  tinygrad-edu gradcheck tinygrad_edu:matmul --shapes "(3,4),(4,2)" --order 2
"""

_EXERCISES = """\
Exercises along the lecture. start writes a file with functions to be written;
check runs it, gives points for each part, and says of the first part that is
wrong what came, what was expected and why that may be. Nothing is sent anywhere.
"""
_EXERCISES_EXAMPLES = """\
a round:
  tinygrad-edu exercises start sigmoid
  (write the function in sigmoid.py)
  tinygrad-edu exercises check sigmoid.py
"""


class _Parser(argparse.ArgumentParser):
    """Keeps the lines of its texts; says what is wrong in one, with exit code 2."""

    def __init__(self, **options: Any) -> None:
        as_written = argparse.RawDescriptionHelpFormatter
        super().__init__(formatter_class=as_written, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Version(argparse.Action):
    """Looks the version up, which takes some milliseconds, when asked for it alone."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        package = importlib.import_module("tinygrad_edu")
        version = getattr(package, "__version__", "of a checkout, not installed")
        print(parser.prog, version)
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process unless given.

    Returns
    -------
    int
        0, or 1 if a gradient is wrong or points are missing; other errors end the
        process with 2 (arguments) or 1.

    Examples
    --------
    >>> main(["lecture", "neuron", "--quiet"])
    0
    """
    parser = _Parser(
        prog="tinygrad-edu",
        description="See backpropagation at work: a computational graph in pure NumPy.",
        epilog=_TOP,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, parser_class=_Parser
    )
    _add_lecture(commands)
    _add_draw(commands)
    _add_gradcheck(commands)
    _add_exercises(commands)
    _add_export(commands)
    _add_predict(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "\n")


def _add_lecture(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "lecture",
        help="train the lecture's networks and judge them",
        description=_LECTURE.format(systems=_systems()),
        epilog=_LECTURE_EXAMPLES,
    )
    parser.add_argument(
        "system",
        nargs="?",
        default="all",
        choices=[*lecture.SYSTEMS, "all"],
        help="one of the networks above (default: all)",
        metavar="SYSTEM",
    )
    _add_data(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write pictures and graphs here, too"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the numbers to this file, too"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    parser.set_defaults(run=lambda options: _lecture(parser, options))


def _systems() -> str:
    """Return a line for each network of the lecture."""
    wide = max(map(len, lecture.SYSTEMS))
    lines = [f"  {s.name:{wide}}  {s.title}" for s in lecture.SYSTEMS.values()]
    return "\n".join(lines)


def _add_data(parser: _Parser) -> None:
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


def _load(parser: _Parser, options: argparse.Namespace) -> lecture.Split:
    if options.data_dir is not None and options.data != "mnist":
        parser.error("--data-dir goes with --data mnist")
    return lecture.load(options.data, options.data_dir)


def _lecture(parser: _Parser, options: argparse.Namespace) -> int:
    for folder in (options.out, options.json and options.json.parent):
        if folder is None:
            continue
        ground = next(path for path in (folder, *folder.parents) if path.exists())
        if not ground.is_dir():
            parser.error(f"{ground} is not a folder")
        if not os.access(ground, os.W_OK):  # now, not after minutes of training
            parser.error(f"{ground} cannot be written to")
    if options.json is not None and options.json.is_dir():
        parser.error(f"--json {options.json} is a folder")

    def say(line: str) -> None:
        if not options.quiet:
            print(line, flush=True)

    names = list(lecture.SYSTEMS) if options.system == "all" else [options.system]
    split = _load(parser, options)
    say(
        f"{options.data}: {len(split[0]):,} examples to train on, "
        f"{len(split[2]):,} to test"
    )
    results = lecture.run(names, split, say=say, progress=not options.quiet)
    if options.out is not None:
        written = lecture.save_pictures(results, split, options.out)
        say(f"\nWritten to {options.out}: {', '.join(path.name for path in written)}")
    if options.json is not None:
        numbers = {
            result.system.name: {
                "losses": [list(pair) for pair in result.losses],
                "confusion_matrix": result.confusion_matrix.tolist(),
                "test_accuracy": result.test_accuracy,
                "seconds": result.seconds,
            }
            for result in results
        }
        text = json.dumps({"data": options.data, "systems": numbers}, indent=2)
        with written_atomically(options.json) as file:
            file.write(f"{text}\n".encode())
    return 0


def _add_draw(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "draw",
        help="draw the graph of one of the lecture's networks",
        description=_DRAW.format(systems=_systems()),
        epilog=_DRAW_EXAMPLES,
    )
    parser.add_argument(
        "system",
        nargs="?",
        default="digits",
        choices=list(lecture.SYSTEMS),
        help="one of the networks above (default: digits)",
        metavar="SYSTEM",
    )
    _add_data(parser)
    parser.add_argument(
        "--level",
        choices=["auto", "model", "layer", "op"],
        default="auto",
        help="a box for each part of the model, each layer, or each operation "
        "(default: auto, by operation as long as that is legible)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write it here; the ending says how: .html, .svg or .dot, or .png or "
        ".pdf, which need Graphviz (default: print it as text)",
    )
    parser.set_defaults(run=lambda options: _draw(parser, options))


def _draw(parser: _Parser, options: argparse.Namespace) -> int:
    split = _load(parser, options)
    drawing = lecture.drawing(options.system, split, level=options.level)
    if options.out is None:
        print(drawing.text())
        return 0
    print(f"Written: {drawing.save(options.out)}")
    return 0


def _add_gradcheck(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "gradcheck",
        help="check a function's gradients against finite differences",
        description=_GRADCHECK,
        epilog=_GRADCHECK_EXAMPLES,
    )
    parser.add_argument(
        "function",
        metavar="MODULE:FUNCTION",
        help="where it is: mine:loss is loss in mine.py, here or where Python looks",
    )
    parser.add_argument(
        "--shapes",
        default="()",
        help='one for each input: "(3,4),(4,)"; that of a number is () (default: ())',
    )
    parser.add_argument(
        "--order",
        type=int,
        default=1,
        help="2 checks second derivatives, too, and so on (default: 1)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="other inputs for another number (default: 0)",
    )
    parser.set_defaults(run=lambda options: _gradcheck(parser, options))


def _gradcheck(parser: _Parser, options: argparse.Namespace) -> int:
    if options.order < 1:
        parser.error(f"--order must be 1, 2, ..., got {options.order}")
    if options.seed < 0:
        parser.error(f"--seed must not be negative, got {options.seed}")
    shapes = _shapes(parser, options.shapes)
    function = _function(parser, options.function)
    _expect_a_shape_for_each(parser, options.shapes, shapes, function)
    rng = np.random.default_rng(options.seed)
    try:
        inputs = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    except (ValueError, OverflowError, MemoryError) as error:
        parser.error(f"--shapes {options.shapes!r}: {error}")
    try:
        report = gradcheck(function, *inputs, order=options.order, rng=options.seed)
    except GradientCheckError as error:
        print(error)
        return 1
    except (Exception, SystemExit) as error:  # of the function, whatever it does
        parser.exit(1, f"{parser.prog}: {_in_one_line(error)}\n")
    print(report)
    return 0


def _expect_a_shape_for_each(
    parser: _Parser, text: str, shapes: Sequence[Any], function: Any
) -> None:
    """Refuse fewer or more shapes than the function takes arrays."""
    if not isinstance(function, type):
        function = getattr(function, "forward", function)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it does not say
        return
    kinds = inspect.Parameter
    parameters = signature.parameters.values()
    in_front = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    taken = [p for p in parameters if p.kind in in_front]
    if not taken or any(p.kind is kinds.VAR_POSITIONAL for p in parameters):
        return
    needed = [p for p in taken if p.default is p.empty]
    if not len(needed) <= len(shapes) <= len(taken):
        each = ", ".join(p.name for p in needed or taken)
        parser.error(f"--shapes must have one shape for each of {each}, got {text!r}")


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _function(parser: _Parser, path: str) -> Any:
    """Return the function at ``package.module:function``."""
    module_name, _, name = path.partition(":")
    if not all([*module_name.split("."), *name.split(".")]):
        parser.error(f"expected MODULE:FUNCTION, got {path!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # of the module, whatever it does
        parser.error(f"cannot import {module_name}: {_in_one_line(error)}")
    for part in name.split("."):
        if not hasattr(found, part):
            parser.error(f"{module_name} has no {name!r}")
        found = getattr(found, part)
    if not callable(found):
        parser.error(f"{path} is no function")
    return found


def _shapes(parser: _Parser, text: str) -> list[tuple[int, ...]]:
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


def _add_exercises(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "exercises",
        help="exercises along the lecture, with a checker that gives points and hints",
        description=_EXERCISES,
        epilog=_EXERCISES_EXAMPLES,
    )
    actions = parser.add_subparsers(
        title="actions", dest="action", required=True, parser_class=_Parser
    )
    listing = actions.add_parser(
        "list",
        help="what there is",
        description="List the exercises by chapter, with their points, and which of\n"
        "the files in the present folder are answers.",
        epilog="example:\n  tinygrad-edu exercises list",
    )
    listing.set_defaults(run=_list_exercises)
    starting = actions.add_parser(
        "start",
        help="begin with an exercise",
        description="Write NAME.py into the present folder: what to do, and the\n"
        "functions to be written. A file that is there already stays as it is.",
        epilog="example:\n  tinygrad-edu exercises start sigmoid",
    )
    starting.add_argument(
        "name", metavar="NAME", help="one of tinygrad-edu exercises list"
    )
    starting.set_defaults(run=lambda options: _start_exercise(starting, options))
    checking = actions.add_parser(
        "check",
        help="get points and a hint",
        description="Run a file, give points for each part, and a hint for the first\n"
        "part that is wrong. The file may be called anything, as long as it\n"
        "keeps the starter's first line. Exit code 0 if it gets all points, 1 if not,\n"
        "2 if there is no such file or it lacks that line.",
        epilog="example:\n  tinygrad-edu exercises check sigmoid.py",
    )
    checking.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="begun with tinygrad-edu exercises start",
    )
    checking.set_defaults(run=lambda options: _check_exercise(checking, options))


def _list_exercises(options: argparse.Namespace) -> int:
    print(exercises.catalogue())
    return 0


def _start_exercise(parser: _Parser, options: argparse.Namespace) -> int:
    if options.name not in exercises.EXERCISES:
        parser.error(
            f"there is no exercise {options.name!r}; tinygrad-edu exercises list "
            "shows them"
        )
    path = exercises.start(options.name)
    print(f"Written: {path}. Then: tinygrad-edu exercises check {path}")
    return 0


def _check_exercise(parser: _Parser, options: argparse.Namespace) -> int:
    try:
        result = exercises.check(options.file)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(result)
    return 0 if result.passed else 1


def _add_weights(parser: _Parser) -> None:
    parser.add_argument(
        "weights", type=Path, metavar="WEIGHTS", help="written by te.save"
    )
    parser.add_argument(
        "--model",
        metavar="MODULE:FUNCTION",
        help="what builds the model; not needed if the file describes its layers, as "
        "te.save does where all of them are the library's",
    )


def _model(parser: _Parser, options: argparse.Namespace) -> nn.Layer:
    """Return the model with its weights."""
    if options.model is None:
        try:
            return rebuilt(options.weights)
        except ValueError as error:
            raise ValueError(f"{error}; --model names what builds the model") from None
    build = _function(parser, options.model)
    try:
        model = build()
    except (Exception, SystemExit) as error:  # of the function, whatever it does
        parser.exit(1, f"{parser.prog}: {options.model}: {_in_one_line(error)}\n")
    if not isinstance(model, nn.Layer):
        parser.error(f"{options.model} returned {type(model).__name__}, not a Layer")
    return load(model, options.weights)


#: What a model may take of one picture of a digit: numbers in a row, or an image.
_PICTURES = ((784,), (64,), (1, 28, 28), (1, 8, 8))


def _picture_shape(model: nn.Layer) -> tuple[int, ...] | None:
    """Return the shape in which the model takes a digit, if it takes one."""
    for shape in _PICTURES:
        try:
            predict(model, np.zeros((1, *shape)))
        except Exception:  # of layers of the user's own, whatever they do
            continue
        return shape
    return None


def _add_export(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "export",
        help="write a saved model as a file of ONNX",
        description="Write a saved model as a file of ONNX, for any number of rows. It "
        "needs the package onnx: pip install 'tinygrad_edu[onnx]'.",
    )
    _add_weights(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="such as model.onnx")
    parser.add_argument(
        "--shape",
        metavar="SHAPE",
        help='of one example: "(3,)" (default: that of a digit, of 28x28 or 8x8)',
    )
    parser.add_argument(
        "--integers",
        action="store_true",
        help="the input holds integers, such as the numbers of words",
    )
    parser.set_defaults(run=lambda options: _export(parser, options))


def _export(parser: _Parser, options: argparse.Namespace) -> int:
    shape: tuple[int, ...] | None = None
    if options.shape is not None:
        shape, *more = _shapes(parser, options.shape)
        if more:
            parser.error(f"--shape must be a single one, got {options.shape!r}")
    model = _model(parser, options)
    if shape is None:
        shape = _picture_shape(model)
    if shape is None:
        parser.error('the model takes no digit: give --shape, such as "(3,)"')
    dtype = np.int64 if options.integers else np.float32
    try:
        written = saving.export_onnx(model, options.out, shape, dtype=dtype)
    except TypeError as error:  # of the model, or of what it returns
        raise ValueError(f"{options.weights.name}: {_in_one_line(error)}") from error
    print(f"Written: {written}, for rows of shape {shape}")
    return 0


def _add_predict(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "predict",
        help="read the digit in a picture",
        description="Show a picture of a digit as a saved model gets it, and how "
        "probable each digit is to it. The picture may be of any size, dark on light "
        "or light on dark; the digit should be the only thing in it.",
    )
    _add_weights(parser)
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="a PNG or JPEG")
    parser.set_defaults(run=lambda options: _predict(parser, options))


def _predict(parser: _Parser, options: argparse.Namespace) -> int:
    model = _model(parser, options)
    shape = _picture_shape(model)
    if shape is None:
        wanted = ", ".join(map(str, _PICTURES))
        raise ValueError(
            f"{options.weights.name}: the model takes no digit: it must take rows of a "
            f"shape among {wanted}"
        )
    side = 28 if 784 in shape or 28 in shape else 8
    digit = pictures.read_digit(options.picture, side)
    (output,) = predict(model, digit.reshape(1, *shape))
    if output.shape != (10,):
        raise ValueError(
            f"{options.weights.name}: the model must return ten numbers for a picture, "
            f"one for each digit, but returned {output.shape}"
        )
    probabilities = _probabilities(output)
    print(pictures.in_characters(digit))
    for number, probability in enumerate(probabilities):
        bar = "█" * round(40 * probability)
        print(f"{number} {probability:7.2%} {bar}".rstrip())
    print(f"It is a {probabilities.argmax()}.")
    return 0


def _probabilities(output: np.ndarray) -> np.ndarray:
    """Return probabilities from what a model ends with: them, or logits."""
    output = np.asarray(output, float)
    if output.min() >= 0 and abs(output.sum() - 1) < 1e-3:
        return output
    return np.asarray(ops.softmax(output))
