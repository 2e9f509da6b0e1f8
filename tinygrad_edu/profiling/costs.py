"""What operations cost, by their shapes: multiply-adds, and memory until backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Op, Tensor
from tinygrad_edu.engine.recording import Scope
from tinygrad_edu.ops.contraction import einsum_letters

__all__ = ["Shape", "kept_memory", "layer_name", "multiply_adds", "parts_of"]

Shape = tuple[int, ...]


def layer_name(scope: Scope) -> str:
    """Return what a table calls a layer, such as "0 Linear"."""
    return f"{scope.path} {scope.kind}".strip()


# ------------------------------------------------------------------- multiply-adds


def multiply_adds(node: Tensor) -> int:
    """Return how many products of two numbers a node adds up, by its shapes."""
    if node.op is ops.einsum:
        return _of_letters(node.inputs, node.kwargs["subscripts"])
    count = _COUNTS.get(node.op)
    return 0 if count is None else count(node.data.shape, *node.inputs)


def _of_matrices(out: Shape, a: Any, *_: Any) -> int:
    return math.prod(out) * int(np.shape(a)[-1])


def _of_tensors(out: Shape, a: Any, b: Any) -> int:
    """Each axis belongs to two of the three."""
    return math.isqrt(math.prod(out) * np.size(a) * np.size(b))


def _of_letters(arrays: Sequence[Any], subscripts: str) -> int:
    """One for each value of all letters, and for each array after the first."""
    shapes = [np.shape(x) for x in arrays]
    terms, _ = einsum_letters(subscripts, list(map(len, shapes)))
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, n in zip(term, shape, strict=True):
            sizes[letter] = max(n, sizes.get(letter, 1)) if n else 0
    return math.prod(sizes.values()) * (len(arrays) - 1)


def _of_kernels(out: Shape, x: Any, weight: Any, *_: Any) -> int:
    return math.prod((*out, *np.shape(weight)[1:]))


_COUNTS: dict[Op, Callable[..., int]] = {
    ops.linear: _of_matrices,
    ops.matmul: _of_matrices,
    ops.dot: _of_tensors,
    ops.inner: _of_tensors,
    ops.outer: _of_tensors,
    ops.vdot: _of_tensors,
    ops.tensordot: _of_tensors,
    ops.conv1d: _of_kernels,
    ops.conv2d: _of_kernels,
    ops.conv_input: lambda out, y, weight: _of_kernels(np.shape(y), None, weight),
    ops.conv_weight: lambda out, y, x: np.size(y) * math.prod(out[1:]),
}


# --------------------------------------------------------------------------- memory


def kept_memory(
    nodes: Sequence[Tensor], inputs: Sequence[np.ndarray], frozen: Sequence[Tensor]
) -> Iterator[tuple[Tensor, int]]:
    """Yield nodes and the bytes that each adds to what is kept for backward.

    Nodes that are recorded only because nothing is frozen now keep nothing.
    """
    seen = {id(_owner(x)) for x in inputs}
    trained: set[Tensor] = set()
    stays = set(frozen)
    for node in nodes:
        tensors = [x for x in node.inputs if type(x) is Tensor]
        if not any(
            x in trained or (x.is_leaf and x.requires_grad and x not in stays)
            for x in tensors
        ):
            continue
        trained.add(node)
        saved = [*node.kwargs.values(), *node._residuals.values()]
        data = [x.data if type(x) is Tensor else x for x in (node, *node.inputs)]
        for part in parts_of([*data, *saved]):
            if type(part) is np.ndarray and id(owner := _owner(part)) not in seen:
                seen.add(id(owner))
                yield node, owner.nbytes


def _owner(array: Any) -> Any:
    """Return the array that a view looks at."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def parts_of(output: Any) -> Iterator[Any]:
    """Yield what is in tuples, lists and dicts."""
    if isinstance(output, dict):
        output = tuple(output.values())
    if not isinstance(output, tuple | list):
        yield output
        return
    for part in output:
        yield from parts_of(part)
