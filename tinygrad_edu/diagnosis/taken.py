"""Numbers that were taken out of the graph, and may have come back as constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_edu.diagnosis.answers import FEW
from tinygrad_edu.diagnosis.entries import parts
from tinygrad_edu.diagnosis.graph import Graph
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.names import line
from tinygrad_edu.engine.taken import INSTEAD, LAST, Taken, taken
from tinygrad_edu.engine.traversal import sources_of

__all__ = ["taken_from", "taken_unseen"]


def taken_from(graph: Graph, x: Tensor) -> list[str]:
    """Say which numbers of ``x``, or computed from it, may have come into a graph."""
    return _told(graph, [n for n in _candidates(graph) if _is_of(n, [x])])


def taken_unseen(graph: Graph, targets: Sequence[Tensor]) -> list[str]:
    """Say which numbers may be missing from the gradients by ``targets``.

    A number of a tensor that is gone, or freed, counts if it was taken while this graph
    was made: others were mostly of an earlier loss, for a log.
    """
    start = graph.nodes[0]._index
    found = []
    for number in _candidates(graph):
        x = number.tensor()
        is_whole = x is not None and (x.op is None or x.inputs)
        if (is_whole or number.when > start) and _is_of(number, targets):
            found.append(number)
    return _told(graph, found)


def _is_of(number: Taken, sources: Sequence[Tensor]) -> bool:
    """Whether it was computed from one of these, which was not assigned since."""
    behind = sources_of(number)
    return any(x in behind and x._index < number.when for x in sources)


def _candidates(graph: Graph) -> list[Taken]:
    """Return what was taken from no tensor on the way, and before a constant came in.

    What nothing was computed from is no loss.
    """
    nodes = set(graph.nodes)
    last = {by: _newest_constant(graph, kinds) for by, kinds in _KINDS.items()}
    return [n for n in taken() if n.when < last[n.by] and n.tensor() not in nodes]


_KINDS = {"float": "f", "int": "fiu"}


def _newest_constant(graph: Graph, kinds: str) -> int:
    """Return when a constant came in last: a number, or an array of a few numbers."""
    found = -1
    for node in graph.nodes:
        for y in node.inputs:
            if y is None or (type(y) is Tensor and (y._tracked or y._cut)):
                continue
            array = np.asarray(parts(y)[0])
            if array.dtype.kind in kinds and array.size <= LAST:
                found = max(found, y._index if type(y) is Tensor else node._index)
    return found


def _told(graph: Graph, found: list[Taken]) -> list[str]:
    told = []
    for number in found:
        x = number.tensor()
        name = line(number.name or "") if x is None else graph.full_name(x)
        told.append(f"{number.told(name)}.")
    told = list(dict.fromkeys(told))  # a loop takes many at one place
    more = [f"The same holds at {len(told) - FEW:,} other places."] * (len(told) > FEW)
    return [*told[:FEW], *more, f"{INSTEAD}."] if told else []
