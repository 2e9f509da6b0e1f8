"""Which operations lie behind a tensor, and which of them lead to another."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from tinygrad_edu.engine.behaviour import ArrayBehaviour
from tinygrad_edu.engine.taken import Taken

__all__ = ["leading_to", "nodes_of", "sources_of"]


def nodes_of(outputs: Iterable[Any]) -> list[Any]:
    """Return all recorded nodes behind ``outputs``, oldest first."""
    found: set[Any] = {
        y for y in outputs if isinstance(y, ArrayBehaviour) and y.op is not None
    }
    order: list[Any] = list(found)
    for node in order:  # grows while it is read
        for x in node.inputs:
            if isinstance(x, ArrayBehaviour) and x.op is not None and x not in found:
                found.add(x)
                order.append(x)
    return sorted(order, key=attrgetter("_index"))


def leading_to(targets: Iterable[Any], nodes: Iterable[Any]) -> set[Any]:
    """Return ``targets`` and those of ``nodes``, oldest first, that come from them."""
    wanted = set(targets)
    for node in nodes:
        if any(isinstance(x, ArrayBehaviour) and x in wanted for x in node.inputs):
            wanted.add(node)
    return wanted


def sources_of(number: Taken) -> set[Any]:
    """Return the tensors that a number was taken from, as far as they are alive.

    Behind one that is gone, or whose graph is, one leaf may be known.
    """
    kept = (x() for x in (number.tensor, number.leaf) if x is not None)
    found = {x for x in kept if x is not None}
    for node in nodes_of(found):
        found.add(node)
        found.update(x for x in node.inputs if getattr(x, "_tracked", False))
    return found
