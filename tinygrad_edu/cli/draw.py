"""``tinygrad-edu draw``: the graph of one of the lecture's networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinygrad_edu.cli.arguments import (
    FINE,
    Commands,
    Parser,
    add_data,
    add_system,
    load_data,
    systems,
)
from tinygrad_edu.course import lecture

_DESCRIPTION = """\
Draw the graph of one of the lecture's networks on 32 examples, before training:
what is computed, and how the gradient flows back. A page (.html) walks through
the backward pass step by step. For a graph of your own, te.draw(loss) in Python.

{systems}"""
_EXAMPLES = """\
examples:
  tinygrad-edu draw neuron                 as text
  tinygrad-edu draw hidden --out hidden.html
  tinygrad-edu draw digits --level layer --out digits.svg
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "draw",
        help="draw the graph of one of the lecture's networks",
        description=_DESCRIPTION.format(systems=systems()),
        epilog=_EXAMPLES,
    )
    add_system(parser)
    add_data(parser)
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
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: Parser, options: argparse.Namespace) -> int:
    split = load_data(parser, options)
    drawing = lecture.drawing(options.system, split, level=options.level)
    if options.out is None:
        print(drawing.text())
    else:
        print(f"Written: {drawing.save(options.out)}")
    return FINE
