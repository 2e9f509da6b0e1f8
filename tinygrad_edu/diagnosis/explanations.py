"""explain: why a gradient is None, zero or nan, in words.

First it is asked what is known without walking: of a leaf, of a graph that is no longer
there, of a path that leads nowhere. Then the gradients are computed anew, on a walk
that touches no ``.grad``, and the operation is looked for at which they go wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinygrad_edu.diagnosis.absence import (
    cut_leaves,
    leaf_alone,
    no_path,
    unwalkable,
    without_gradient,
    without_graph,
)
from tinygrad_edu.diagnosis.answers import Answer, number, share, speak_of, text
from tinygrad_edu.diagnosis.entries import is_finite, largest, norm
from tinygrad_edu.diagnosis.graph import Graph, path
from tinygrad_edu.diagnosis.health import findings_of
from tinygrad_edu.diagnosis.origins import not_finite
from tinygrad_edu.diagnosis.scale import blocked, extreme
from tinygrad_edu.diagnosis.taken import taken_unseen
from tinygrad_edu.diagnosis.zeros import zero
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.traversal import leading_to

__all__ = ["Explanation", "Reached", "explain"]

_LISTED = 20  # parameters, remarks


class Reached(NamedTuple):
    """A parameter that the loss reaches, and the norm of its gradient.

    Attributes
    ----------
    name : str
    shape : tuple of int
    norm : float
        The Euclidean norm, in the loss's unit by the parameter's.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([3.0, 4.0], requires_grad=True, name="w")
    >>> te.explain(te.sum(w * w)).parameters
    (Reached(name='w', shape=(2,), norm=10.0),)
    """

    name: str
    shape: tuple[int, ...]
    norm: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What :func:`explain` found: its text for people, its fields for programs.

    Attributes
    ----------
    cause : str
        One word; :func:`explain` lists them.
    text : str
    where : str
        The operation to blame, called as in drawings: ``"t9"``. Empty if there is none.
    certain : bool
        False where the graph cannot tell; then ``cause`` is the likely one.
    parameters : tuple of Reached
        The parameters that the loss reaches.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> found = te.explain(w, te.sum(w.detach() * 3))
    >>> found.cause, found.certain
    ('detached', True)
    """

    cause: str
    text: str
    where: str = ""
    certain: bool = True
    parameters: tuple[Reached, ...] = ()

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def explain(tensor: Tensor, loss: Tensor | None = None) -> Explanation:
    """Say in words why a gradient is None, zero or nan.

    Parameters
    ----------
    tensor : Tensor
        A parameter, or what was computed on the way, of any shape. Or the loss itself:
        then it is said which parameters it reaches, and what goes wrong on the way.
    loss : Tensor, optional
        Whose gradient by ``tensor`` is asked for, of any shape. Without it, a parameter
        is looked at alone. Ask before ``backward``, which frees the graph.

    Returns
    -------
    Explanation
        To be printed. Its ``cause`` is one of

        - "fine"; "backward-not-called": it is, but ``.grad`` is None;
        - "frozen", "integer": the tensor requires no gradient, or cannot;
        - "detached", "under-no-grad", "no-path", "no-derivative": no path leads to it;
        - "freed", "assigned-since": the graph cannot be walked any more;
        - "dead", "saturated", "zero-factor", "not-taken", "cancelled",
          "zero-upstream": why it is zero, or close to it;
        - "vanishing", "exploding": by a factor of a million from the last parameter;
        - "nan-from", "nan-branch": nan or infinity, from an operation on; from a branch
          that ``where`` does not take;
        - "zero", "nan": ``.grad`` is, and more cannot be seen without a loss.

        Its text also tells of numbers that ``float(x)`` or ``math.exp(x)`` took out of
        the graph, where their part of a gradient may be missing.

    Raises
    ------
    TypeError
        If one of them is no Tensor.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> h = w * 3.0
    >>> loss = te.sum(h.detach() * te.tensor(0.5, requires_grad=True))
    >>> te.explain(w, loss)
    No path leads from w to the loss t2, so it gets no gradient.
    At t1 (multiply), a tensor of shape (2,) comes in without a gradient: it is the
    result of multiply after .detach(), or was computed from that.
    Leave out the .detach() if gradients shall flow.
    """
    for x, what in ((tensor, "tensor"), (loss, "loss")):
        if not isinstance(x, Tensor) and not (x is None and what == "loss"):
            raise TypeError(
                f"explain: {what} must be a Tensor, got {type(x).__name__}. Write "
                "te.explain(parameter, loss), or te.explain(loss)"
            )
    with np.errstate(all="ignore"):
        if loss is None or loss is tensor:
            return _said(leaf_alone(tensor)) if tensor.is_leaf else _of_loss(tensor)
        if not tensor.requires_grad:
            return _said(without_gradient(tensor))
        if loss.is_leaf:
            why = f"No gradient flows to {speak_of(tensor)}. "
            return _said(without_graph(loss, why))
        return _of_tensor(tensor, loss)


def _said(
    answer: Answer,
    graph: Graph | None = None,
    *,
    before: Sequence[str] = (),
    reached: tuple[Reached, ...] = (),
) -> Explanation:
    """Put an answer into words, after what is told before it."""
    where = ""
    if graph is not None and answer.at is not None:
        where = graph.called(answer.at)
    told = text(*before, *answer.told)
    return Explanation(answer.cause, told, where, answer.certain, reached)


# -------------------------------------------------------------------- of a whole loss


def _of_loss(loss: Tensor) -> Explanation:
    """Say which parameters the loss reaches, and what goes wrong on the way."""
    graph = Graph(loss)
    wrong = unwalkable(graph)
    if wrong:
        return _said(wrong, graph)
    graph.walk()
    targets = graph.reached
    reached = tuple(_reached(graph, x) for x in targets)
    count = f"{len(graph.nodes):,} operation{'s' * (len(graph.nodes) != 1)}"
    some = f"{len(targets):,} parameter{'s' * (len(targets) != 1)}"
    title = f"{graph.title} ({count}) reaches {some}:"
    told = [title, *_table(reached), *graph.summed]
    answer = _wrong_on_the_way(graph, targets)
    if answer is None:
        remarks = _remarks(graph, graph.nodes, cut_leaves(graph))
        unseen = taken_unseen(graph, targets)
        found = [*remarks, *unseen] or [_FINE]
        found += _left_over(graph, targets)
        answer = Answer("fine", found, certain=not unseen)
    return _said(answer, graph, before=told, reached=reached)


def _reached(graph: Graph, x: Tensor) -> Reached:
    return Reached(graph.full_name(x), x.shape, norm(graph.gradients[x]))


def _table(reached: Sequence[Reached]) -> list[str]:
    rows = [(r.name, str(r.shape), number(r.norm)) for r in reached[:_LISTED]]
    names = max((len(name) for name, _, _ in rows), default=0)
    shapes = max((len(shape) for _, shape, _ in rows), default=0)
    lines = [f"  {n:{names}}  {s:{shapes}}  gradient norm {g}" for n, s, g in rows]
    return lines + _more(reached)


def _more(entries: Sequence[object]) -> list[str]:
    """Say how many are not listed."""
    hidden = len(entries) - _LISTED
    return [f"  ... and {hidden:,} more"] if hidden > 0 else []


# ---------------------------------------------------------------------- of one tensor


def _of_tensor(x: Tensor, loss: Tensor) -> Explanation:
    """Say why the gradient of the loss by ``x`` is what it is."""
    graph = Graph(loss)
    wrong = unwalkable(graph, x)
    is_known = wrong is None or wrong.cause != "freed"
    if is_known and loss not in leading_to([x], graph.nodes):
        return _said(no_path(graph, x), graph)
    if wrong:
        return _said(wrong, graph)
    graph.walk(x)
    g, reached = graph.gradients[x], _reached(graph, x)
    told = [f"{graph.title} reaches {reached.name}: {path(graph, x)}."]
    found = f"Its gradient, of shape {x.shape}, has norm {number(reached.norm)}"
    zeros = np.asarray(g) == 0
    if zeros.any():
        found += f"; {share(zeros)} are 0"
    answer = _wrong_on_the_way(graph, [x])
    if answer:
        told += [f"{found}."] * bool(largest(g))
    else:
        answer = _as_it_should_be(graph, x, found)
    return _said(answer, graph, before=told, reached=(reached,))


def _as_it_should_be(graph: Graph, x: Tensor, found: str) -> Answer:
    """Say whether ``.grad`` holds the gradient that was found."""
    cause = "fine"
    if x.op is not None:
        found += ". Only leaves keep a .grad; te.gradients(loss, [tensor]) returns it"
    elif x.grad is None:
        cause = "backward-not-called"
        found += (
            ". But .grad is None: backward was not called on this loss yet, or "
            "zero_grad was called since"
        )
    elif not is_finite(x.grad):
        cause = "nan"
        found += (
            ". But .grad holds nan or infinity from an earlier backward, and "
            "backward adds to it: call zero_grad() first"
        )
    wanted = leading_to([x], graph.nodes)
    remarks = _remarks(graph, [node for node in graph.nodes if node in wanted])
    unseen = taken_unseen(graph, [x])
    left = _left_over(graph, [x]) if cause == "fine" else []
    return Answer(cause, [f"{found}.", *remarks, *unseen, *left], certain=not unseen)


# ------------------------------------------------------------------------ of both


def _wrong_on_the_way(graph: Graph, targets: list[Tensor]) -> Answer | None:
    """Say what goes wrong on the way to ``targets``; the worst of it."""
    wrong = not_finite(graph, targets)
    if wrong:
        return wrong
    none = [x for x in targets if not largest(graph.gradients[x]) and x.size]
    if none:
        return zero(graph, none, of=len(targets))
    return blocked(graph, targets) or extreme(graph, targets)


_FINE = "Nothing goes wrong on the way."


def _remarks(
    graph: Graph, nodes: Sequence[Tensor], others: Sequence[str] = ()
) -> list[str]:
    """Return what is not right on the way, though the gradients are."""
    found = [
        f"  {graph.told(node)}: {', '.join(map(str, findings))}"
        for node in nodes
        if (findings := findings_of(node))
    ]
    found += [f"  {other}" for other in others]
    return ["On the way:", *found[:_LISTED], *_more(found)] if found else []


def _left_over(graph: Graph, leaves: list[Tensor]) -> list[str]:
    """Say which leaves have a ``.grad`` already, if any has."""
    norms = {x: norm(x.grad) for x in leaves if x.op is None and x.grad is not None}
    if not norms:
        return []
    most = max(norms, key=norms.__getitem__)
    count = len(norms) - 1
    others = f", as {'do' if count > 1 else 'does'} {count:,} more" * (count > 0)
    return [
        f"{graph.full_name(most)}.grad holds what earlier backwards have left (norm "
        f"{number(norms[most])}){others}: the next one adds to it, unless "
        "optimizer.zero_grad() comes first."
    ]
