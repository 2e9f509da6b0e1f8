"""Where nan or infinity begins: in a result, or in a gradient on its way back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.diagnosis.answers import Answer, listed, number, share, word
from tinygrad_edu.diagnosis.entries import is_finite, largest, parts
from tinygrad_edu.diagnosis.graph import Flow, Graph
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.traversal import leading_to

__all__ = ["not_finite"]


def not_finite(graph: Graph, targets: list[Tensor]) -> Answer | None:
    """Say where nan or infinity comes from in the loss, or in gradients by ``targets``.

    None if they are finite.
    """
    if not is_finite(graph.loss):
        return _forward(graph)
    bad = [x for x in targets if not is_finite(graph.gradients[x])]
    if not bad:
        return None
    wanted = leading_to(bad, graph.nodes)
    for flow in graph.flows:
        if flow.x in wanted and flow.evidence is not None:
            return _backward(graph, flow)
    names = listed([graph.full_name(x) for x in bad])
    told = f"The gradient of {names} overflows where it is added up."
    return Answer("nan-from", [told])


def _forward(graph: Graph) -> Answer:
    """Go back from a loss that is not finite to where that began."""
    node, x = _first(graph.loss)
    told = [f"{graph.title[0].upper()}{graph.title[1:]} is {word(graph.loss)}."]
    if x is not node:
        name = "An array" if type(x) is not Tensor else graph.full_name(x)
        told.append(
            f"{name} that goes into {graph.told(node)} holds it already: "
            f"{share(~np.isfinite(parts(x)[0]))}."
        )
        return Answer("nan-from", told, node)
    y = parts(node)[0]
    mask = ~np.isfinite(y)
    example = ""
    if node.op.elementwise:
        values = [
            np.broadcast_to(parts(x)[0], y.shape)[mask].ravel()[0]
            for x in node.inputs
            if x is not None
        ]
        example = (
            f" For instance, of {' and '.join(map(number, values))} it is "
            f"{number(y[mask].ravel()[0])}."
        )
    told.append(
        f"It begins at {graph.told(node)}: {share(mask)} of its result are not "
        f"finite, though all that goes in is.{example}"
    )
    return Answer("nan-from", told, node)


def _first(loss: Tensor) -> tuple[Tensor, Any]:
    """Return the operation where it began, and its result, or what held it already."""
    x: Any = loss
    node = loss
    while type(x) is Tensor and x.op is not None:
        node = x
        sources = [y for y in node.inputs if not is_finite(y)]
        if not sources:
            break
        x = next((y for y in sources if math.isnan(largest(y))), sources[0])
    return node, x


def _backward(graph: Graph, flow: Flow) -> Answer:
    """Explain the operation whose rule first gave nan or infinity."""
    node, x = flow.node, flow.x
    arrived, d = flow.evidence
    mask = ~np.isfinite(d)
    values = np.asarray(x._numbers)[mask]
    told = [
        f"The loss is finite, but its gradient becomes {word(d)} at "
        f"{graph.told(node)}: what arrives there is finite, what it hands on to "
        f"{graph.called(x)} is not, in {share(mask)}.",
    ]
    some = f"There {graph.called(x)} is {listed(sorted({number(v) for v in values}))}"
    if not node.op.elementwise or np.shape(arrived) != d.shape:
        return Answer("nan-from", told, node)
    if np.asarray(arrived)[mask].any():
        told.append(f"{some}, and the derivative is infinite or not defined.")
        return Answer("nan-from", told, node)
    told.append(
        f"{some}, where the derivative is infinite or not defined. The gradient "
        "that arrives is 0 there, but 0 times infinity is nan."
    )
    above = leading_to([node], graph.nodes)
    where = next((y for y in graph.nodes if y in above and y.op.name == "where"), None)
    if where is None:
        return Answer("nan-from", told, node)
    told.append(
        f"These are entries that {graph.told(where)} does not take: it needs both "
        "branches everywhere. te.piecewise computes each only where it is taken."
    )
    if np.isnan(values).all():
        told.append(
            "If data hold nan, leave that out before anything is computed with them: "
            "data[~np.isnan(data)]."
        )
    return Answer("nan-branch", told, node)
