"""In which order tensors were made; which lie behind one, and which lead to another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from tinygrad_edu.engine.behaviour import ArrayBehaviour

__all__ = ["INDICES", "leading_to", "next_index", "nodes_of"]

INDICES = itertools.count()  #: by which all tensors are numbered
next_index = INDICES.__next__


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
