"""``tinygrad-edu gradcheck``: a function's gradients against finite differences."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.checks import GradientCheckError, gradcheck
from tinygrad_edu.cli.arguments import (
    FAILED,
    FINE,
    Commands,
    Parser,
    find_function,
    in_one_line,
    read_shapes,
)

_DESCRIPTION = """\
Check the gradients of a function of your own against finite differences. It is
called with one Tensor for each shape, filled with standard normal numbers. If a
gradient is wrong, the operation to blame is named, and the exit code is 1.
"""
_EXAMPLES = """\
examples:
  tinygrad-edu gradcheck tinygrad_edu:tanh --shapes "(3,4)"
  tinygrad-edu gradcheck tinygrad_edu:matmul --shapes "(3,4),(4,2)" --order 2
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "gradcheck",
        help="check a function's gradients against finite differences",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
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
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: Parser, options: argparse.Namespace) -> int:
    if options.order < 1:
        parser.error(f"--order must be 1, 2, ..., got {options.order}")
    if options.seed < 0:
        parser.error(f"--seed must not be negative, got {options.seed}")
    shapes = read_shapes(parser, options.shapes)
    function = find_function(parser, options.function)
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
        return FAILED
    except (Exception, SystemExit) as error:  # of the function, whatever it does
        parser.exit(FAILED, f"{parser.prog}: {in_one_line(error)}\n")
    print(report)
    return FINE


def _expect_a_shape_for_each(
    parser: Parser, text: str, shapes: Sequence[Any], function: Any
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
