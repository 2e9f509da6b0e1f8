"""Why a gradient is zero: who lets nothing through, or which gradients cancel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.diagnosis.answers import FEW, Answer, listed, number
from tinygrad_edu.diagnosis.entries import largest
from tinygrad_edu.diagnosis.graph import Flow, Graph
from tinygrad_edu.diagnosis.health import (
    REMEDIES,
    SATURATING,
    findings_of,
    is_rectifier,
)
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.traversal import leading_to

__all__ = ["zero"]

#: Operations of which a result may have nothing to do with an input.
_CHOOSING = {"where", "clip", "maximum", "minimum", "set_at", "fmax", "fmin"}
_PRODUCTS = {"multiply", "matmul", "dot", "linear", "inner", "outer", "vdot"}


def zero(graph: Graph, targets: list[Tensor], of: int) -> Answer:
    """Say why the gradients of ``targets`` are 0, of so many that were asked for."""
    wanted = leading_to(targets, graph.nodes)
    some = f", that of {len(targets):,} of {of:,} parameters" if of > 1 else ""
    names = listed([graph.full_name(x) for x in targets])
    told = [f"The gradient of {names} is 0{some}."]
    walls = {
        f.node: f
        for f in reversed(graph.flows)
        if f.x in wanted and f.incoming > f.size == 0
    }
    if not walls:
        x = _where_cancelled(graph, targets, wanted)
        name = graph.told(x) if x.op is not None else graph.full_name(x)
        told.append(f"Several gradients arrive at {name} and add up to exactly 0.")
        return Answer("cancelled", told, x)
    newest_first = list(reversed(walls))
    reasons = [_why_zero(graph, walls[node]) for node in newest_first]
    told += [sentence for _, sentence in reasons[:FEW]]
    if len(reasons) > FEW:
        told.append(f"So do {len(reasons) - FEW:,} more operations.")
    cause = reasons[0][0]
    told.append(REMEDIES.get(cause, ""))
    return Answer(cause, told, newest_first[0])


def _where_cancelled(
    graph: Graph, targets: list[Tensor], wanted: set[Tensor]
) -> Tensor:
    """Return the newest to which something flows, and from which nothing does."""
    arrived = {f.x for f in graph.flows if f.size and f.x in wanted}
    lost = {f.node for f in graph.flows if not f.incoming} | set(targets)
    return max(arrived & lost, key=lambda x: x._index)


def _why_zero(graph: Graph, flow: Flow) -> tuple[str, str]:
    """Return the cause and a sentence for what comes out of an operation as 0."""
    node, x, told = flow.node, flow.x, graph.told(flow.node)
    name, limits = node.op.name, np.finfo(x.dtype)
    found = {f.what: f for f in findings_of(node)}
    if flow.incoming < limits.tiny / limits.eps:
        return "vanishing", (
            f"The gradient shrinks from step to step: at {told} it is "
            f"{number(flow.incoming)}, and {x.dtype} can go no lower."
        )
    if is_rectifier(node):
        flat = "it is 0, and flat, wherever a gradient arrives"
        f = found.get("dead")
        if f is not None and f.count == f.total:
            every = " for every row" * (f.of == "units")
            flat = f"{f.count:,} of {f.total:,} {f.of} are 0{every}, and flat there"
        return "dead", f"{told} is dead: {flat}."
    if "saturated" in found or (node.op.elementwise and name in SATURATING):
        how = str(found.get("saturated", "saturated"))
        return "saturated", f"{told} is {how}, and flat there."
    if name in _CHOOSING:
        return "not-taken", (
            f"{told} takes something else than {graph.called(x)} wherever a "
            "gradient arrives."
        )
    factor = _zero_factor(graph, node, x)
    if factor:
        return "zero-factor", f"{told} multiplies by {factor}."
    return "zero-upstream", (
        f"A gradient arrives at {told}, but what it hands on to {graph.called(x)} "
        "is 0: so is its derivative there."
    )


def _zero_factor(graph: Graph, node: Tensor, x: Tensor) -> str:
    """Return by what ``x`` is multiplied that is 0: "W, which is 0"; or nothing."""
    name = node.op.name
    if name not in _PRODUCTS:
        return ""
    factors = node.inputs[:2]  # without the bias
    others = [y for y in factors if y is not x] or [x]
    is_zero = not any(map(largest, others))
    if name != "multiply" and not is_zero:
        return ""
    factor = listed([_operand(graph, node, y) for y in others])
    where = "" if is_zero else " wherever a gradient arrives"
    return f"{factor}, which is 0{where}"


def _operand(graph: Graph, node: Tensor, y: Any) -> str:
    named = type(y) is Tensor and (y._tracked or y.name)
    position = next(i for i, other in enumerate(node.inputs) if other is y)
    return graph.called(y) if named else f"its argument {node.op.argument(position)}"
