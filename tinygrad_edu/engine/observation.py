"""The walk backward, watched: what each operation is given, and what it hands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import Tensor, fitted, walk

__all__ = ["observe", "shares_of"]

#: Pairs of an input and what is handed on to it; the same with positions before.
_Shares = list[tuple[Tensor, Any]]
_Placed = list[tuple[int, Tensor, Any]]

#: Is given an operation, its gradient, and what it hands on.
_Observer = Callable[[Tensor, Any, _Placed], None]


def shares_of(node: Tensor, gradient: Any, wanted: Any = None) -> _Shares:
    """Return what a node hands on of its gradient: pairs of an input and its share.

    One for each input that requires gradients, in their order; of those in ``wanted``,
    if that is given. Broadcasting is undone.
    """
    if not node.inputs:
        raise errors.freed()
    shares: _Shares = []

    def take(x: Tensor, d: Any) -> None:
        data = x._numbers
        if type(d) is not type(data) or d.shape != data.shape or d.dtype != data.dtype:
            d = fitted(d, x, node)
        shares.append((x, d))

    node.op.pull(node, gradient, wanted, take)
    return shares


def observe(
    output: Tensor,
    observer: _Observer,
    shares: Callable[[Tensor, Any], _Shares] = shares_of,
) -> dict[Tensor, Any]:
    """Walk from ``output`` back through all operations behind it; leave no trace.

    It is the walk of ``backward``, but touches no ``.grad`` and frees nothing.

    Parameters
    ----------
    output : Tensor
        Of any shape; of several numbers it is their sum whose gradients these are.
    observer : callable
        Called at each operation, the newest first, with the node, its gradient and a
        list of what it hands on: position, input, share. The arrays are for reading:
        one may stand in several places.
    shares : callable, optional
        What is asked for the shares of a node, as :func:`shares_of`: a clock may stand
        around that.

    Returns
    -------
    dict of Tensor to ndarray
        What arrived at the leaves.
    """

    def pull(node: Tensor, g: Any, _: Any, deliver: Callable[..., None]) -> None:
        handed_on = shares(node, g)
        observer(node, g, _placed(node, handed_on))
        for x, d in handed_on:
            deliver(x, d)

    with np.errstate(all="ignore"):  # what is not finite is said in words
        return walk(output, np.ones(output.shape, output.dtype)[()], pull=pull)


def _placed(node: Tensor, shares: _Shares) -> _Placed:
    """Put the position of each input before it; one may stand in several."""
    placed, place = [], -1
    for x, d in shares:
        place += 1
        while node.inputs[place] is not x:  # it requires no gradient
            place += 1
        placed.append((place, x, d))
    return placed
