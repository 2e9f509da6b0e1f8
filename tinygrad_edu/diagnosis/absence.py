"""Why there is no gradient: none is wanted, no path leads there, the graph is gone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_edu.diagnosis.answers import (
    FEW,
    Answer,
    in_layer,
    number,
    share,
    speak_of,
)
from tinygrad_edu.diagnosis.entries import norm, parts
from tinygrad_edu.diagnosis.graph import Graph
from tinygrad_edu.diagnosis.taken import taken_from
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.names import line
from tinygrad_edu.engine.recording import Cut
from tinygrad_edu.engine.traversal import nodes_of

__all__ = [
    "cut_leaves",
    "leaf_alone",
    "no_path",
    "unwalkable",
    "without_gradient",
    "without_graph",
]

_ADVICE = {
    "detached": "Leave out the .detach() if gradients shall flow.",
    "under-no-grad": "Compute it outside of te.no_grad() if gradients shall flow.",
}

_LEAKS = (
    "Numbers taken out by .data, .numpy(), .item() or float() carry no gradient: use "
    "te's or NumPy's functions on the Tensors themselves."
)


# ------------------------------------------------------------------- a leaf by itself


def leaf_alone(x: Tensor) -> Answer:
    """Say what can be seen of a leaf without a loss."""
    if not x.requires_grad:
        return without_gradient(x)
    me, grad = speak_of(x), x.grad
    name = x.name or ""
    is_word = name.isascii() and name.isidentifier()
    more = f"te.explain({name if is_word else 'tensor'}, loss) says more."
    if grad is None:
        told = (
            f"{me} requires gradients, but .grad is None: no backward has reached it. "
            "Either backward was not called yet (or zero_grad was called since), or no "
            "path leads to it."
        )
        return Answer("backward-not-called", [told, more])
    bad = ~np.isfinite(grad)
    if bad.any():
        told = (
            f"{me} has a .grad with nan or infinity in {share(bad)}. Backward adds to "
            "what is there, so it stays until zero_grad()."
        )
        return Answer("nan", [told, more])
    if not grad.any():
        return Answer("zero", [f"{me} has a .grad of zeros only.", more])
    told = f"{me} has a .grad of norm {number(norm(grad))}"
    return Answer(
        "fine", [f"{told}, the sum of all backwards since the last zero_grad()."]
    )


def without_gradient(x: Tensor) -> Answer:
    """Say why a tensor requires no gradients."""
    if x.dtype.kind != "f":
        told = (
            f"{speak_of(x)} has dtype {x.dtype}, and only floating-point numbers have "
            "gradients. Write 3.0 for 3, or te.tensor(data, dtype=float, "
            "requires_grad=True)."
        )
        return Answer("integer", [told])
    if x._cut is not None:
        return without_graph(x)
    told = (
        f"{speak_of(x)} has requires_grad=False, so it gets no gradient. Make it with "
        "te.tensor(..., requires_grad=True), or set requires_grad = True before it is "
        "used. If it was computed, then from nothing that requires gradients."
    )
    return Answer("frozen", [told])


def without_graph(x: Tensor, why: str = "") -> Answer:
    """Say why nothing was recorded of what led to a result."""
    cut: Cut | None = x._cut
    who = f"The loss, {speak_of(x)}," if why else speak_of(x)
    if cut is not None:
        told = f"{why}{who} has no graph behind it: it {_how(cut)}."
        return Answer(cut.how, [told, _ADVICE[cut.how]])
    told = (
        f"{why}{who} has no graph behind it: it is a leaf, or was computed "
        "from nothing that required gradients then."
    )
    return Answer("no-path", [told, _LEAKS])


def _how(cut: Cut, origin: str = "") -> str:
    """Say what happened to a leaf: it ..."""
    if not origin:
        made = "a leaf" if cut.op is None else f"the result of {cut.op.name}"
        origin = (line(cut.name) if cut.name else made) + in_layer(cut.scope)
    if cut.how == "detached":
        return f"is {origin} after .detach(), or was computed from that"
    op = "" if cut.op is None else cut.op.name + in_layer(cut.scope)
    return f"was computed under te.no_grad(), where nothing is recorded (as {op})"


# ------------------------------------------------------- a graph that is not walked


def unwalkable(graph: Graph, x: Tensor | None = None) -> Answer | None:
    """Say why backward would raise."""
    for node in reversed(graph.nodes):
        if not node.inputs:
            return Answer("freed", _freed(graph, node, x), node)
    for node in reversed(graph.nodes):
        for position, y in enumerate(node.inputs):
            if type(y) is not Tensor:
                continue
            if y._index > node._index:
                told = (
                    f"The data of {graph.full_name(y)} were assigned (by .data = "
                    f"..., or an optimizer's step) after {graph.told(node)} had "
                    "used them, so gradients would be wrong and backward refuses. "
                    "Compute the loss again."
                )
                return Answer("assigned-since", [told], node)
            argument = node.op.argument(position)
            if y._tracked and argument in node.op.constant:
                told = (
                    f"{graph.full_name(y)} is the argument {argument} of "
                    f"{graph.told(node)}, which has no derivative by it, and "
                    "backward refuses. Pass it with .detach() if that is meant."
                )
                return Answer("no-derivative", [told], node)
    return None


def _freed(graph: Graph, node: Tensor, x: Tensor | None) -> list[str]:
    what = graph.title if node is graph.loss else graph.told(node)
    told = [
        f"The graph behind {what} was freed by an earlier backward, so what it was "
        "computed from is no longer known."
    ]
    if x is not None and x.op is None:
        grad = x.grad
        told += [
            f"{speak_of(x)} has .grad None, so that backward did not reach it (or "
            "zero_grad was called since)."
            if grad is None
            else f"{speak_of(x)} has a .grad of norm {number(norm(grad))}."
        ]
    ask = "te.explain(loss)" if x is None else "te.explain(tensor, loss)"
    return [
        *told,
        f"Compute the loss again, and call {ask} before backward; or call "
        "backward(retain_graph=True).",
    ]


# ------------------------------------------------------------------------- no path


def no_path(graph: Graph, x: Tensor) -> Answer:
    """Say where the path from ``x`` to the loss was cut."""
    me = graph.full_name(x)
    told = [f"No path leads from {me} to {graph.title}, so it gets no gradient."]
    if graph.loss in set(nodes_of([x])):
        told.append(
            "It is the other way round: it was computed from the loss. Write "
            "te.explain(parameter, loss)."
        )
        return Answer("no-path", told)
    cuts = sorted(_cuts(graph), key=lambda cut: -graph.used_by[cut[0]]._index)
    seen: set[Tensor] = set()
    unknown = []
    for leaf, cut in cuts:
        led = _leads_to(x, cut, seen)
        if led:
            told += [_entry(graph, leaf, cut), _ADVICE[cut.how]]
            return Answer(cut.how, told, graph.used_by[leaf])
        if led is None:
            unknown.append((leaf, cut))
    told += _namesake(graph, x)
    if unknown:
        leaf, how = unknown[0][0], unknown[0][1].how
        told += [_entry(graph, *entry) for entry in unknown[:FEW]]
        told.append(
            f"If {me} was used to compute that, the path ends there. {_ADVICE[how]}"
        )
        return Answer(how, told, graph.used_by[leaf], certain=False)
    arrays = _constants(graph)
    if arrays:
        told.append(
            f"If it was used at all, its numbers came in as a constant: "
            f"{', '.join(arrays)}."
        )
        told += taken_from(graph, x) or [_LEAKS]
    else:
        told.append("The loss was computed without it.")
    return Answer("no-path", told, certain=not (arrays or cuts))


def _leads_to(x: Tensor, cut: Cut, seen: set[Tensor]) -> bool | None:
    """Whether ``x`` lies behind a cut; None if that is no longer known."""
    is_known = cut.how == "detached"  # of other cuts not everything is noted
    todo = [y() for y in cut.behind]
    for y in todo:  # grows while it is read
        if y is None or (y.op is not None and not y.inputs):
            is_known = False
        elif y is x:
            return True
        elif y not in seen:
            seen.add(y)
            todo += [z for z in y.inputs if type(z) is Tensor]
            if y.op is None and y._cut is not None:
                is_known = is_known and y._cut.how == "detached"
                todo += [z() for z in y._cut.behind]
    return False if is_known else None


def _cuts(graph: Graph) -> list[tuple[Tensor, Cut]]:
    """Return the leaves that were computed, and why they pass on no gradient."""
    return [(x, x._cut) for x in graph.leaves if x._cut is not None]


def _entry(graph: Graph, leaf: Tensor, cut: Cut) -> str:
    """Say where a leaf comes in that was cut off."""
    return (
        f"At {graph.told(graph.used_by[leaf])}, {_named(leaf)} comes in without a "
        f"gradient: it {_how_in(graph, cut)}."
    )


def _how_in(graph: Graph, cut: Cut) -> str:
    """Say what happened to a leaf, in the names of this graph."""
    source = cut.behind[0]()
    if cut.how != "detached" or source is None or source not in graph.used_by:
        return _how(cut)
    return _how(cut, graph.told(source) if source.op else graph.full_name(source))


def _named(leaf: Tensor) -> str:
    return line(leaf.name) if leaf.name else f"a tensor of shape {leaf.shape}"


def _namesake(graph: Graph, x: Tensor) -> Iterator[str]:
    """Say that a leaf of the same name and shape took part instead."""
    for y in graph.leaves:
        if x.name and (y.name, y.shape) == (x.name, x.shape):
            if graph.used_by[y].scope is None:
                yield (
                    f"The loss was computed from another tensor of the name "
                    f"{graph.full_name(x)}: was it made anew since?"
                )
            return


def _constants(graph: Graph) -> list[str]:
    """Return what came into the graph as plain numbers, newest first."""
    found = []
    for node in reversed(graph.nodes):
        for position, y in enumerate(node.inputs):
            if y is None or (type(y) is Tensor and (y._tracked or y._cut)):
                continue
            if type(y) is int or parts(y)[0].dtype.kind not in "f":
                continue
            name = y.name if type(y) is Tensor else None
            what = line(name) if name else node.op.argument(position)
            shape = f" {np.shape(parts(y)[0])}" if np.ndim(y) else ""
            found.append(f"{what}{shape} of {graph.told(node)}")
    return found if len(found) <= FEW else [*found[:FEW], "…"]


def cut_leaves(graph: Graph) -> list[str]:
    """Say which leaves were cut off, and where they come in."""
    return [
        f"{graph.told(graph.used_by[y])}: {_named(y)} {_how_in(graph, cut)}"
        for y, cut in _cuts(graph)
    ]
