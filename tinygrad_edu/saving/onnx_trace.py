"""A model recorded at two sizes of the batch: what differs follows the batch.

A recording holds sizes, not names of axes. Of two recordings, of 2 rows and of 3, what
is equal belongs to the model, and what grows with the rows belongs to the batch. What
differs in any other way was computed outside the operations, and is in no graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.recording import Scope
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.nn import Layer
from tinygrad_edu.nn.borrowing import (
    evaluating,
    frozen_among,
    left_as_it_is,
    recorded,
)

__all__ = ["TWO", "Pair", "Trace", "is_same", "sizes", "trace", "where"]

TWO, THREE = 2, 3  # rows of the two recordings

Shape = tuple[int, ...]


class Pair(NamedTuple):
    """The same thing in both recordings: a Tensor, an array or a number."""

    two: Any
    three: Any


class Trace(NamedTuple):
    """What a model computed from an input."""

    input: Pair
    output: Pair
    nodes: list[Pair]  # the operations between them, oldest first
    parameters: dict[int, str]  # names, by the id of the Tensor


def trace(model: Layer, shape: Shape, *, integers: bool) -> Trace:
    """Record a model in evaluation mode, and leave it as it is.

    Parameters
    ----------
    model : Layer
    shape : tuple of int
        Of one row of the input.
    integers : bool
        Whether the input holds the numbers of words and the like.

    Returns
    -------
    Trace

    Raises
    ------
    TypeError
        If the model does not return one Tensor.
    ValueError
        If its output does not depend on the input by recorded operations, or it does
        not compute the same for any number of rows.
    """
    parameters = model.parameters()
    dtype = next((p.dtype for p in parameters if p.dtype.kind == "f"), np.float64)
    frozen = frozen_among(parameters)
    runs = []
    quiet = np.errstate(all="ignore")
    with evaluating(model), left_as_it_is(model, frozen), recorded(), quiet:
        for rows in (TWO, THREE):
            x = _example((rows, *shape), dtype, integers)
            try:
                output = model(x)
            except Exception as error:
                error.add_note(
                    "in te.export_onnx, which called the model with one array of shape "
                    f"{np.shape(x)}; input_shape= is what comes after the rows"
                )
                raise
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"export_onnx: {type(model).__name__} must return one Tensor "
                    f"computed from its input, got {type(output).__name__}"
                )
            runs.append((x, output, _between(x, output)))
    for x, output, between in runs:
        if output is not x and not between:
            raise ValueError(
                f"export_onnx: the output of {type(model).__name__} does not depend on "
                "its input: between them, compute with operations on Tensors, not with "
                ".data or .numpy()"
            )
    inputs, outputs, nodes = (Pair(*both) for both in zip(*runs, strict=True))
    return Trace(
        inputs,
        outputs,
        list(_together(model, nodes.two, nodes.three)),
        {id(p): name for name, p in model.named_parameters()},
    )


def _example(shape: Shape, dtype: Any, integers: bool) -> Any:
    """Return an input no two rows of which are alike.

    If a model asks for the numbers, other than by operations, the recordings shall have
    different answers: in the one they are positive, in the other negative and larger.
    """
    if integers:  # 0 and 1 are in every table
        return (np.indices(shape).sum(axis=0) + (shape[0] == THREE)) % 2
    numbers = np.random.default_rng(0).uniform(size=shape)
    numbers *= 1.0 if shape[0] == TWO else -4.0
    return tensor(numbers, requires_grad=True, name="input", dtype=dtype)


def _between(x: Any, output: Tensor) -> list[Tensor]:
    """Return the operations from x to the output; others made constants."""
    depend = {id(x)}
    found = []
    for node in nodes_of([output]):
        if any(id(y) in depend for y in node.inputs):
            depend.add(id(node))
            found.append(node)
    return found


def _together(
    model: Layer, two: Sequence[Tensor], three: Sequence[Tensor]
) -> Iterator[Pair]:
    numbers = [{id(x): i for i, x in enumerate(nodes)} for nodes in (two, three)]

    def links(which: int, node: Tensor) -> list[Any]:
        return [numbers[which].get(id(x)) for x in node.inputs]

    for a, b in zip(two, three, strict=False):
        if a.op is not b.op or links(0, a) != links(1, b) or a.scope != b.scope:
            raise _depends(where(a), "which operations it computes")
        yield Pair(a, b)
    if len(two) != len(three):
        raise _depends(type(model).__name__, "how many operations it computes")


def _depends(who: str, what: str) -> ValueError:
    return ValueError(
        f"export_onnx: in {who}, the number of rows or the numbers in them decide "
        f"{what}; a file holds one graph for all of them"
    )


def where(node: Tensor) -> str:
    """Return the layer that recorded a node, for an error."""
    return str(node.scope) if isinstance(node.scope, Scope) else "the model"


def sizes(who: str, two: Shape, three: Shape) -> list[int | None]:
    """Return the sizes of an array; None for one that grows with the rows.

    Raises
    ------
    ValueError
        If a size grows otherwise than in proportion to the rows.
    """
    found: list[int | None] = []
    if len(two) != len(three):
        raise _depends(who, "how many axes there are")
    for a, b in zip(two, three, strict=True):
        if a != b and a * THREE != b * TWO:
            raise ValueError(
                f"export_onnx: in {who}, an axis has {a} places for {TWO} rows and {b} "
                f"for {THREE}; it must have the same number for each row, or for any"
            )
        found.append(a if a == b else None)
    return found


def is_same(a: Any, b: Any) -> bool:
    """Whether two recorded values are equal: numbers, arrays, slices, tuples."""
    if isinstance(a, tuple | list):
        return (
            isinstance(b, tuple | list) and len(a) == len(b) and all(map(is_same, a, b))
        )
    if isinstance(a, np.ndarray | np.generic):
        same = np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        return same and bool(np.all((a == b) | ((a != a) & (b != b))))
    return bool(a == b)
