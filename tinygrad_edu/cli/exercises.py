"""``tinygrad-edu exercises``: what there is, starters, points and hints."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinygrad_edu.cli.arguments import FAILED, FINE, Commands, Parser
from tinygrad_edu.course import exercises

_DESCRIPTION = """\
Exercises along the lecture. start writes a file with functions to be written;
check runs it, gives points for each part, and says of the first part that is
wrong what came, what was expected and why that may be. Nothing is sent anywhere.
"""
_EXAMPLES = """\
a round:
  tinygrad-edu exercises start sigmoid
  (write the function in sigmoid.py)
  tinygrad-edu exercises check sigmoid.py
"""


def add(commands: Commands) -> None:
    """Add the command, with its three actions."""
    parser = commands.add_parser(
        "exercises",
        help="exercises along the lecture, with a checker that gives points and hints",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(
        title="actions", dest="action", required=True, parser_class=Parser
    )
    _add_list(actions)
    _add_start(actions)
    _add_check(actions)


def _add_list(actions: Commands) -> None:
    parser = actions.add_parser(
        "list",
        help="what there is",
        description="List the exercises by chapter, with their points, and which of\n"
        "the files in the present folder are answers.",
        epilog="example:\n  tinygrad-edu exercises list",
    )
    parser.set_defaults(run=_list)


def _list(options: argparse.Namespace) -> int:
    print(exercises.catalogue())
    return FINE


def _add_start(actions: Commands) -> None:
    parser = actions.add_parser(
        "start",
        help="begin with an exercise",
        description="Write NAME.py into the present folder: what to do, and the\n"
        "functions to be written. A file that is there already stays as it is.",
        epilog="example:\n  tinygrad-edu exercises start sigmoid",
    )
    parser.add_argument(
        "name", metavar="NAME", help="one of tinygrad-edu exercises list"
    )
    parser.set_defaults(run=lambda options: _start(parser, options))


def _start(parser: Parser, options: argparse.Namespace) -> int:
    if options.name not in exercises.EXERCISES:
        parser.error(
            f"there is no exercise {options.name!r}; tinygrad-edu exercises list "
            "shows them"
        )
    path = exercises.start(options.name)
    print(f"Written: {path}. Then: tinygrad-edu exercises check {path}")
    return FINE


def _add_check(actions: Commands) -> None:
    parser = actions.add_parser(
        "check",
        help="get points and a hint",
        description="Run a file, give points for each part, and a hint for the first\n"
        "part that is wrong. The file may be called anything, as long as it\n"
        "keeps the starter's first line. Exit code 0 if it gets all points, 1 if not,\n"
        "2 if there is no such file or it lacks that line.",
        epilog="example:\n  tinygrad-edu exercises check sigmoid.py",
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="begun with tinygrad-edu exercises start",
    )
    parser.set_defaults(run=lambda options: _check(parser, options))


def _check(parser: Parser, options: argparse.Namespace) -> int:
    try:
        result = exercises.check(options.file)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(result)
    return FINE if result.passed else FAILED
