"""Whether gradients shrink or grow too much on the way, and where."""

from __future__ import annotations

import math

from tinygrad_edu.diagnosis.answers import FEW, Answer, listed, number
from tinygrad_edu.diagnosis.entries import norm
from tinygrad_edu.diagnosis.graph import Flow, Graph
from tinygrad_edu.diagnosis.health import REMEDIES, findings_of
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.traversal import leading_to

__all__ = ["blocked", "extreme"]

_EXTREME = 1e6  # between the gradients of two parameters
_DAMPED = 0.01  # of a gradient, by an operation


def blocked(graph: Graph, targets: list[Tensor]) -> Answer | None:
    """Say which saturated or dead operations let almost nothing through."""
    blocks: dict[Tensor, tuple[Flow, str]] = {}
    for flow in graph.flows:
        if flow.size < _DAMPED * flow.incoming:
            for finding in findings_of(flow.node):
                if finding.what in ("saturated", "dead"):
                    blocks[flow.node] = flow, str(finding)
    if not blocks:
        return None
    free, todo = {graph.loss}, [graph.loss]
    for node in todo:  # grows while it is read
        for x in node.inputs if node not in blocks else ():
            if type(x) is Tensor and x not in free:
                free.add(x)
                todo.append(x)
    lost = [x for x in targets if x not in free]
    if not lost:
        return None
    wanted = leading_to(lost, graph.nodes)
    found = [entry for node, entry in blocks.items() if node in wanted]
    told = [
        f"Almost nothing passes {graph.told(flow.node)}: it is {finding}, and the "
        f"largest entry of the gradient goes from {number(flow.incoming)} to "
        f"{number(flow.size)}."
        for flow, finding in found[:FEW]
    ]
    names = listed([graph.full_name(x) for x in lost])
    first, words = found[0]
    cause = words.split()[0]
    return Answer(cause, [*told, f"Behind it: {names}.", REMEDIES[cause]], first.node)


def extreme(graph: Graph, targets: list[Tensor]) -> Answer | None:
    """Compare the gradients with that of the parameter next to the loss."""
    targets = [x for x in targets if x.size]
    leaves = [x for x in graph.leaves if x in graph.gradients]
    last = max(leaves, key=lambda x: graph.used_by[x]._index, default=None)
    if not targets or last is None or not _rms(graph, last):
        return None
    usual = _rms(graph, last)
    ratios = {x: _rms(graph, x) / usual for x in targets}
    least = min(ratios, key=ratios.__getitem__)
    most = max(ratios, key=ratios.__getitem__)
    if ratios[least] < 1 / _EXTREME:
        cause, x, which = "vanishing", least, min
    elif ratios[most] > _EXTREME:
        cause, x, which = "exploding", most, max
    else:
        return None
    wanted = leading_to([x], graph.nodes)
    flow = which(
        (f for f in graph.flows if f.x in wanted and f.incoming),
        key=lambda f: f.size / f.incoming,
    )
    told = [
        f"On the way the gradient is {cause}: an entry is typically "
        f"{number(usual)} for {graph.full_name(last)}, next to the loss, "
        f"and {number(_rms(graph, x))} for {graph.full_name(x)}.",
        f"The largest single step is at {graph.told(flow.node)}: from "
        f"{number(flow.incoming)} to {number(flow.size)}.",
    ]
    return Answer(cause, told, flow.node)


def _rms(graph: Graph, x: Tensor) -> float:
    return norm(graph.gradients[x]) / math.sqrt(max(x.size, 1))
