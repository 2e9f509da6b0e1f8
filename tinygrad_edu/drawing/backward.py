"""The walk backward once more, for those who want to see every step of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor, plus, shares_of

__all__ = ["walk_backward"]


def walk_backward(
    nodes: Sequence[Tensor], output: Tensor
) -> Iterator[tuple[Tensor, Any, list[tuple[int, Tensor, Any]]]]:
    """Walk from ``output`` back through all operations behind it; leave no trace.

    Parameters
    ----------
    nodes : sequence of Tensor
        The operations, oldest first.
    output : Tensor

    Yields
    ------
    x : Tensor
        An operation; after all of these, the leaves.
    gradient : ndarray
        Of the output by ``x``.
    shares : list of (int, Tensor, ndarray)
        Position, input, and what of the gradient is handed on to it.
    """
    leaves: dict[int, Tensor] = {id(output): output}
    pending: dict[int, Any] = {id(output): np.ones(output.shape, output.dtype)[()]}
    with np.errstate(all="ignore"):  # what is not finite is said in words
        for node in reversed(nodes):
            g = pending.pop(id(node), None)
            if g is None:
                continue
            tracked = [
                i
                for i, x in enumerate(node.inputs)
                if isinstance(x, Tensor) and x.requires_grad
            ]
            shares = [
                (i, x, d) for i, (x, d) in zip(tracked, shares_of(node, g), strict=True)
            ]
            for _, x, share in shares:
                before = pending.get(id(x))
                pending[id(x)] = share if before is None else plus(before, share)
                leaves[id(x)] = x
            yield node, g, shares
        for key, g in pending.items():
            yield leaves[key], g, []
