"""``tinygrad-edu export``: a saved model as a file of ONNX."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tinygrad_edu.cli.arguments import (
    FINE,
    Commands,
    Parser,
    add_weights,
    in_one_line,
    load_model,
    picture_shape,
    read_shapes,
)
from tinygrad_edu.saving import onnx_file


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write a saved model as a file of ONNX",
        description="Write a saved model as a file of ONNX, for any number of rows. It "
        "needs the package onnx: pip install 'tinygrad_edu[onnx]'.",
    )
    add_weights(parser)
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
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: Parser, options: argparse.Namespace) -> int:
    shape: tuple[int, ...] | None = None
    if options.shape is not None:
        shape, *more = read_shapes(parser, options.shape)
        if more:
            parser.error(f"--shape must be a single one, got {options.shape!r}")
    model = load_model(parser, options)
    if shape is None:
        shape = picture_shape(model)
    if shape is None:
        parser.error('the model takes no digit: give --shape, such as "(3,)"')
    dtype = np.int64 if options.integers else np.float32
    try:
        written = onnx_file.export_onnx(model, options.out, shape, dtype=dtype)
    except TypeError as error:  # of the model, or of what it returns
        raise ValueError(f"{options.weights.name}: {in_one_line(error)}") from error
    print(f"Written: {written}, for rows of shape {shape}")
    return FINE
