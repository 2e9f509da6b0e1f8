"""``tinygrad-edu predict``: the digit in a picture, as a saved model reads it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.cli.arguments import (
    FINE,
    PICTURES,
    Commands,
    Parser,
    add_weights,
    load_model,
    picture_shape,
)
from tinygrad_edu.data import pictures
from tinygrad_edu.training import predict


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "predict",
        help="read the digit in a picture",
        description="Show a picture of a digit as a saved model gets it, and how "
        "probable each digit is to it. The picture may be of any size, dark on light "
        "or light on dark; the digit should be the only thing in it.",
    )
    add_weights(parser)
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="a PNG or JPEG")
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: Parser, options: argparse.Namespace) -> int:
    model = load_model(parser, options)
    shape = picture_shape(model)
    if shape is None:
        wanted = ", ".join(map(str, PICTURES))
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
    return FINE


def _probabilities(output: np.ndarray) -> np.ndarray:
    """Return probabilities from what a model ends with: them, or logits."""
    output = np.asarray(output, float)
    if output.min() >= 0 and abs(output.sum() - 1) < 1e-3:
        return output
    return np.asarray(ops.softmax(output))
