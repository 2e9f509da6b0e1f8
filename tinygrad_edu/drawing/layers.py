"""What a layer computes of its inputs, to be drawn."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.nn.borrowing import left_as_it_is
from tinygrad_edu.nn.layer import Layer

__all__ = ["output_of"]


def output_of(
    layer: Layer, inputs: Sequence[Any], names: Mapping[str, Any] | None
) -> tuple[Tensor, dict[str, Any]]:
    """Run a layer; return its output, and the names, with those of its inputs."""
    kind = type(layer).__name__
    if not inputs:
        raise TypeError(
            f"draw: {kind} is drawn as it runs, so it needs an input: "
            f"te.draw(layer, x), with an x that {kind} takes"
        )
    arrays = [x if isinstance(x, Tensor) else np.asarray(x) for x in inputs]
    takes = inspect.signature(layer.forward).parameters
    named = dict(zip(takes, arrays, strict=False))
    named |= names or {}
    with left_as_it_is(layer):
        output = layer(*arrays)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"draw: {kind} returned {type(output).__name__}, and a drawing is that "
            "of one Tensor: call the layer, and draw what you choose of its output"
        )
    return output, named
