"""The graph behind a loss: its names, and what flows on the way back through it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.diagnosis.answers import FEW, in_layer, speak_of
from tinygrad_edu.diagnosis.entries import largest
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.names import Names, behind, line
from tinygrad_edu.engine.observation import observe
from tinygrad_edu.engine.traversal import leading_to, nodes_of

__all__ = ["Flow", "Graph", "path"]


class Flow(NamedTuple):
    """What an operation hands to one of its inputs: the largest absolute value."""

    node: Tensor
    x: Tensor
    incoming: float
    size: float
    evidence: Any = None  # both in full, where only the first is finite


class Graph:
    """The graph behind a loss; after :meth:`walk`, with what flows in it.

    Parameters
    ----------
    loss : Tensor

    Attributes
    ----------
    nodes : list of Tensor
        The operations, oldest first.
    leaves : list of Tensor
        What was not computed, also what requires no gradient.
    used_by : dict of Tensor to Tensor
        The oldest operation that uses it.
    called : Names
    title : str
        "the loss t9".
    gradients : dict of Tensor to ndarray
        Of the leaves.
    flows : list of Flow
        In the order of the walk.
    """

    def __init__(self, loss: Tensor) -> None:
        self.loss = loss
        self.nodes = nodes_of([loss])
        self.called = Names(behind(loss), None)
        name = self.called(loss)
        self.title = "the loss" if name == "loss" else f"the loss {name}"
        self.used_by: dict[Tensor, Tensor] = {}
        for node in self.nodes:
            for x in node.inputs:
                if type(x) is Tensor:
                    self.used_by.setdefault(x, node)
        self.leaves = [x for x in self.used_by if x.op is None]
        self.gradients: dict[Tensor, Any] = {}
        self.flows: list[Flow] = []

    def walk(self, kept: Tensor | None = None) -> None:
        """Find the gradients of the leaves and of ``kept``, and what flows."""

        def note(node: Tensor, g: Any, shares: list[tuple[int, Tensor, Any]]) -> None:
            if node is kept:
                self.gradients[node] = g
            incoming = largest(g)
            for _, x, d in shares:
                size = largest(d)
                begins = math.isfinite(incoming) and not math.isfinite(size)
                evidence = (np.asarray(g), np.asarray(d)) if begins else None
                self.flows.append(Flow(node, x, incoming, size, evidence))

        self.gradients |= observe(self.loss, note)

    @property
    def reached(self) -> list[Tensor]:
        """The parameters that gradients came to."""
        return [x for x in self.leaves if x.requires_grad and x in self.gradients]

    @property
    def summed(self) -> list[str]:
        """What is to be said of a loss of several numbers; nothing of a single one."""
        if self.loss.size == 1:
            return []
        return [f"It has shape {self.loss.shape}: these are the gradients of its sum."]

    def full_name(self, x: Tensor) -> str:
        """Return the name with the path of the layer that uses it: "0.weight"."""
        if x not in self.used_by and x is not self.loss:
            return speak_of(x)
        user = self.used_by.get(x)
        scope = user.scope if user is not None and x.op is None and x.name else None
        prefix = f"{scope.path}." if scope is not None and scope.path else ""
        return line(f"{prefix}{x.name}") if prefix else self.called(x)

    def told(self, node: Tensor) -> str:
        """Return "t9 (sigmoid in layer Sigmoid '1')"."""
        return f"{self.called(node)} ({node.op.name}{in_layer(node.scope)})"


def path(graph: Graph, x: Tensor) -> str:
    """Return the shortest way back from the loss to ``x``: "loss, t2, …, w"."""
    wanted = leading_to([x], graph.nodes)
    after: dict[Tensor, Tensor] = {}
    todo = [graph.loss]
    for node in todo:  # grows while it is read
        for y in node.inputs:
            if type(y) is Tensor and y in wanted and y not in after:
                after[y] = node
                todo.append(y)
        if x in after:
            break
    steps = [x]
    while steps[-1] is not graph.loss:
        steps.append(after[steps[-1]])
    names = [*map(graph.called, steps[:0:-1]), graph.full_name(x)]
    if len(names) > 2 * FEW:
        names = [*names[:FEW], "…", *names[-FEW:]]
    return " → ".join(names)
