"""``tinygrad-edu derive``: the backward pass of a lecture's network as a program."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinygrad_edu.cli.arguments import FINE, Commands, Parser, add_system, systems
from tinygrad_edu.course import lecture
from tinygrad_edu.files import written_atomically

_DESCRIPTION = """\
Write the forward and backward pass of one of the lecture's networks out as NumPy
code: what one would put on the board. The module needs NumPy alone, and checks its own
gradients when it is run. For a model of your own, te.compile(...).source in Python.

{systems}"""
_EXAMPLES = """\
examples:
  tinygrad-edu derive neuron               as text
  tinygrad-edu derive hidden --out step.py
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "derive",
        help="write the backward pass of a lecture's network as NumPy code",
        description=_DESCRIPTION.format(systems=systems()),
        epilog=_EXAMPLES,
    )
    add_system(parser)
    parser.add_argument(
        "--rows",
        type=int,
        default=64,
        metavar="N",
        help="how many examples (default: 64)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write it here (default: print it)"
    )
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: Parser, options: argparse.Namespace) -> int:
    if options.rows < 2:
        parser.error(f"--rows must be 2 or more, got {options.rows}")
    source = lecture.derived(options.system, rows=options.rows)
    if options.out is None:
        print(source, end="")
        return FINE
    with written_atomically(options.out) as file:
        file.write(source.encode())
    print(f"Written: {options.out}")
    return FINE
