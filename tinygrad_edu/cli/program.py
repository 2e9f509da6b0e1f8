"""The program: the parser of all commands, and what becomes of their errors."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any, NoReturn

from tinygrad_edu.cli import (
    derive,
    draw,
    exercises,
    export,
    gradcheck,
    lecture,
    predict,
)
from tinygrad_edu.cli.arguments import FAILED, INTERRUPTED, Parser

# What --help says. Lines that begin with "  tinygrad-edu" are run by a test.
_EXAMPLES = """\
examples:
  tinygrad-edu lecture                train the lecture's networks on digits
  tinygrad-edu draw neuron            a single neuron's graph, as text
  tinygrad-edu draw --out graph.html  a page that steps through the backward pass
  tinygrad-edu derive digits          the backward pass as NumPy code
  tinygrad-edu exercises list         what there is to practise

tinygrad-edu COMMAND --help says more. In Python: import tinygrad_edu as te
"""


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
    parser = Parser(
        prog="tinygrad-edu",
        description="See backpropagation at work: a computational graph in pure NumPy.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, parser_class=Parser
    )
    for command in (lecture, draw, derive, gradcheck, exercises, export, predict):
        command.add(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        parser.exit(FAILED, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(INTERRUPTED, "\n")
