"""``tinygrad-edu lecture``: train the lecture's networks and judge them."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

from tinygrad_edu.cli.arguments import (
    FINE,
    Commands,
    Parser,
    add_data,
    load_data,
    systems,
)
from tinygrad_edu.course import lecture
from tinygrad_edu.files import written_atomically

_DESCRIPTION = """\
Train the lecture's networks on handwritten digits, and count what they get
right: it takes seconds with the built-in digits, minutes with MNIST. With
--data mnist the first three give the lecture's published numbers, printed as it
prints them with --as-the-lecture.

{systems}"""
_EXAMPLES = """\
examples:
  tinygrad-edu lecture neuron             one network, numbers only
  tinygrad-edu lecture --out pictures     all four, with pictures and graphs
  tinygrad-edu lecture digits --data mnist --data-dir mnist
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "lecture",
        help="train the lecture's networks and judge them",
        description=_DESCRIPTION.format(systems=systems()),
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "system",
        nargs="?",
        default="all",
        choices=[*lecture.SYSTEMS, "all"],
        help="one of the networks above (default: all)",
        metavar="SYSTEM",
    )
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write pictures and graphs here, too"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the numbers to this file, too; in a "
        "confusion matrix rows are predicted classes, columns actual ones",
    )
    parser.add_argument(
        "--as-the-lecture",
        action="store_true",
        help="print confusion matrices and reports as the lecture does, which hands "
        "scikit-learn the predictions for targets: rows and columns, precision and "
        "recall are exchanged",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: Parser, options: argparse.Namespace) -> int:
    _expect_writable(parser, options)

    def say(line: str) -> None:
        if not options.quiet:
            print(line, flush=True)

    names = list(lecture.SYSTEMS) if options.system == "all" else [options.system]
    split = load_data(parser, options)
    say(
        f"{options.data}: {len(split[0]):,} examples to train on, "
        f"{len(split[2]):,} to test"
    )
    results = lecture.run(
        names,
        split,
        say=say,
        progress=not options.quiet,
        as_the_lecture=options.as_the_lecture,
    )
    if options.out is not None:
        written = lecture.save_pictures(results, split, options.out)
        say(f"\nWritten to {options.out}: {', '.join(path.name for path in written)}")
    if options.json is not None:
        _write_numbers(results, options)
    return FINE


def _expect_writable(parser: Parser, options: argparse.Namespace) -> None:
    """Refuse a place that nothing can be written to: now, not after the training."""
    for folder in (options.out, options.json and options.json.parent):
        if folder is None:
            continue
        ground = next(path for path in (folder, *folder.parents) if path.exists())
        if not ground.is_dir():
            parser.error(f"{ground} is not a folder")
        if not os.access(ground, os.W_OK):
            parser.error(f"{ground} cannot be written to")
    if options.json is not None and options.json.is_dir():
        parser.error(f"--json {options.json} is a folder")


def _write_numbers(
    results: Iterable[lecture.Result], options: argparse.Namespace
) -> None:
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
