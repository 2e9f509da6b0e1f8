"""explain: why a gradient is None, zero or nan, in words.

First it is asked what is known without walking: of a leaf, of a graph that is no longer
there, of a path that leads nowhere. Then the gradients are computed anew, on a walk
that touches no ``.grad``, and the operation is looked for at which they go wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.diagnosis.health import SATURATING, findings_of, is_rectifier
from tinygrad_edu.drawing.labels import norm
from tinygrad_edu.engine.core import Tensor, leading_to, nodes_of
from tinygrad_edu.engine.names import Names, behind, line, numbers
from tinygrad_edu.engine.observation import observe
from tinygrad_edu.engine.recording import Cut, Scope

__all__ = ["Explanation", "Reached", "explain"]

_WIDTH = 80  # characters of a line
_LISTED = 20  # parameters
_FEW = 4  # of anything else
_EXTREME = 1e6  # between the gradients of two parameters
_DAMPED = 0.01  # of a gradient, by an operation

#: Operations of which a result may have nothing to do with an input.
_CHOOSING = {"where", "clip", "maximum", "minimum", "set_at", "fmax", "fmin"}
_PRODUCTS = {"multiply", "matmul", "dot", "linear", "inner", "outer", "vdot"}

_ADVICE = {
    "detached": "Leave out the .detach() if gradients shall flow.",
    "under-no-grad": "Compute it outside of te.no_grad() if gradients shall flow.",
    "dead": "A relu that is 0 has the slope 0 and learns nothing. Smaller steps, "
    "another initialization or te.leaky_relu keep units alive.",
    "saturated": "Smaller inputs (scaled features, smaller initial weights) keep it "
    "where it is steep. At the output of a classifier it may just be certain.",
}

_LEAKS = (
    "Numbers taken out by .data, .numpy(), .item() or float() carry no gradient: use "
    "te's or NumPy's functions on the Tensors themselves."
)


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
            return _leaf_alone(tensor) if tensor.is_leaf else _Graph(tensor).explained()
        if not tensor.requires_grad:
            return _without_gradient(tensor)
        if loss.is_leaf:
            return _without_graph(loss, f"No gradient flows to {_speak_of(tensor)}. ")
        return _Graph(loss).explained_by(tensor)


def _text(*paragraphs: str) -> str:
    """Fill all paragraphs, but for what stands in columns."""
    sentences = (f"T{p[1:]}" if p.startswith("the ") else p for p in paragraphs if p)
    return "\n".join(
        p if p.startswith("  ") else fill(p, _WIDTH, break_on_hyphens=False)
        for p in sentences
    )


# ------------------------------------------------------------------- a leaf by itself


def _leaf_alone(x: Tensor) -> Explanation:
    """Explain what can be seen of a leaf without a loss."""
    if not x.requires_grad:
        return _without_gradient(x)
    me, grad = _speak_of(x), x.grad
    more = f"te.explain({x.name if _is_word(x.name) else 'tensor'}, loss) says more."
    if grad is None:
        told = (
            f"{me} requires gradients, but .grad is None: no backward has reached it. "
            "Either backward was not called yet (or zero_grad was called since), or no "
            "path leads to it."
        )
        return Explanation("backward-not-called", _text(told, more))
    bad = ~np.isfinite(grad)
    if bad.any():
        told = (
            f"{me} has a .grad with nan or infinity in {_share(bad)}. Backward adds to "
            "what is there, so it stays until zero_grad()."
        )
        return Explanation("nan", _text(told, more))
    if not grad.any():
        return Explanation("zero", _text(f"{me} has a .grad of zeros only.", more))
    told = f"{me} has a .grad of norm {_number(norm(grad))}"
    return Explanation(
        "fine", _text(f"{told}, the sum of all backwards since the last zero_grad().")
    )


def _without_gradient(x: Tensor) -> Explanation:
    """Explain a leaf that requires no gradients."""
    if x.dtype.kind != "f":
        told = (
            f"{_speak_of(x)} has dtype {x.dtype}, and only floating-point numbers have "
            "gradients. Write 3.0 for 3, or te.tensor(data, dtype=float, "
            "requires_grad=True)."
        )
        return Explanation("integer", _text(told))
    if x._cut is not None:
        return _without_graph(x)
    told = (
        f"{_speak_of(x)} has requires_grad=False, so it gets no gradient. Make it with "
        "te.tensor(..., requires_grad=True), or set requires_grad = True before it is "
        "used. If it was computed, then from nothing that requires gradients."
    )
    return Explanation("frozen", _text(told))


def _without_graph(x: Tensor, why: str = "") -> Explanation:
    """Explain a result of which nothing was recorded."""
    cut: Cut | None = x._cut
    who = f"The loss, {_speak_of(x)}," if why else _speak_of(x)
    if cut is not None:
        told = f"{why}{who} has no graph behind it: it {_how(cut)}."
        return Explanation(cut.how, _text(told, _ADVICE[cut.how]))
    told = (
        f"{why}{who} has no graph behind it: it is a leaf, or was computed "
        "from nothing that required gradients then."
    )
    return Explanation("no-path", _text(told, _LEAKS))


def _how(cut: Cut, origin: str = "") -> str:
    """Say what happened to a leaf: it ..."""
    if not origin:
        made = "a leaf" if cut.op is None else f"the result of {cut.op.name}"
        origin = (line(cut.name) if cut.name else made) + _in(cut.scope)
    if cut.how == "detached":
        return f"is {origin} after .detach(), or was computed from that"
    op = "" if cut.op is None else cut.op.name + _in(cut.scope)
    return f"was computed under te.no_grad(), where nothing is recorded (as {op})"


def _speak_of(x: Tensor) -> str:
    """Name a tensor outside of any graph."""
    if x.name:
        return line(x.name)
    if x.op is not None:
        return f"the result of {x.op.name} {x.shape}{_in(x.scope)}"
    return f"the tensor of shape {x.shape}"


def _in(scope: Scope | None) -> str:
    return "" if scope is None else f" in layer {line(str(scope))}"


def _is_word(name: str | None) -> bool:
    return name is not None and name.isascii() and name.isidentifier()


def _share(mask: Any) -> str:
    """Return "3 of 10 entries"."""
    return f"{np.count_nonzero(mask):,} of {np.size(mask):,} entries"


def _number(x: float) -> str:
    return numbers(float(x))


def _parts(x: Any) -> tuple[Any, ...]:
    """Return the numbers of a tensor, an array or several, each as an array."""
    data = x._data if isinstance(x, Tensor) else x
    return tuple(map(np.asarray, data if isinstance(data, tuple) else (data,)))


def _size(x: Any) -> float:
    """Return the largest absolute value; nan if there is one."""
    data = x._data if isinstance(x, Tensor) else x
    if isinstance(data, tuple):
        return float(np.max([_size(part) for part in data]))
    return float(np.abs(data).max(initial=0.0))


def _is_finite(x: Any) -> bool:
    return x is None or math.isfinite(_size(x))


# ------------------------------------------------------------------------- a graph


class _Flow(NamedTuple):
    """What an operation hands to one of its inputs: the largest absolute value."""

    node: Tensor
    x: Tensor
    incoming: float
    size: float
    evidence: Any = None  # both in full, where only the first is finite


class _Wrong(NamedTuple):
    """What goes wrong on the way."""

    cause: str
    where: str
    told: list[str]


class _Graph:
    """The graph behind a loss, and what happens on the walk backward through it."""

    def __init__(self, loss: Tensor) -> None:
        self.loss = loss
        self.nodes = nodes_of([loss])  # oldest first
        self.called = Names(behind(loss), None)
        name = self.called(loss)
        self.title = "the loss" if name == "loss" else f"the loss {name}"
        self.used_by: dict[Tensor, Tensor] = {}  # by the oldest
        for node in self.nodes:
            for x in node.inputs:
                if type(x) is Tensor:
                    self.used_by.setdefault(x, node)
        self.leaves = [x for x in self.used_by if x.op is None]
        self.gradients: dict[Tensor, Any] = {}
        self.flows: list[_Flow] = []

    # -- the two questions
    def explained(self) -> Explanation:
        """Say which parameters the loss reaches, and what goes wrong on the way."""
        wrong = self.unwalkable()
        if wrong:
            return Explanation(wrong.cause, _text(*wrong.told), wrong.where)
        self.walk()
        tracked = [x for x in self.leaves if x.requires_grad and x in self.gradients]
        reached = tuple(
            Reached(self.full_name(x), x.shape, norm(self.gradients[x]))
            for x in tracked
        )
        wrong = self.wrong_for(tracked)
        count = f"{len(self.nodes):,} operation{'s' * (len(self.nodes) != 1)}"
        some = f"{len(tracked):,} parameter{'s' * (len(tracked) != 1)}"
        told = [f"{self.title} ({count}) reaches {some}:", *_table(reached)]
        if self.loss.size != 1:
            told.append(
                f"It has shape {self.loss.shape}: these are the gradients of its sum."
            )
        told += wrong.told if wrong else [*self.remarks(), self.left_over(tracked)]
        cause, where = (wrong.cause, wrong.where) if wrong else ("fine", "")
        return Explanation(cause, _text(*told), where, True, reached)

    def explained_by(self, x: Tensor) -> Explanation:
        """Say why the gradient of the loss by ``x`` is what it is."""
        me = self.full_name(x)
        wrong = self.unwalkable(x)
        is_known = wrong is None or wrong.cause != "freed"
        if is_known and self.loss not in leading_to([x], self.nodes):
            return self.no_path(x)
        if wrong:
            return Explanation(wrong.cause, _text(*wrong.told), wrong.where)
        self.walk(x)
        g = self.gradients[x]
        reached = (Reached(me, x.shape, norm(g)),)
        told = [f"{self.title} reaches {me}: {self.path(x)}."]
        found = f"Its gradient, of shape {x.shape}, has norm {_number(norm(g))}"
        zeros = np.asarray(g) == 0
        if zeros.any():
            found += f"; {_share(zeros)} are 0"
        wrong = self.wrong_for([x])
        if wrong:
            told += [f"{found}."] * bool(_size(g)) + wrong.told
            return Explanation(wrong.cause, _text(*told), wrong.where, True, reached)
        cause = "fine"
        if x.op is not None:
            found += (
                ". Only leaves keep a .grad; te.gradients(loss, [tensor]) returns it"
            )
        elif x.grad is None:
            cause = "backward-not-called"
            found += (
                ". But .grad is None: backward was not called on this loss yet, or "
                "zero_grad was called since"
            )
        elif not _is_finite(x.grad):
            cause = "nan"
            found += (
                ". But .grad holds nan or infinity from an earlier backward, and "
                "backward adds to it: call zero_grad() first"
            )
        told += [f"{found}.", *self.remarks(x)]
        if cause == "fine":
            told.append(self.left_over([x]))
        return Explanation(cause, _text(*told), "", True, reached)

    # -- names
    def full_name(self, x: Tensor) -> str:
        """Return the name with the path of the layer that uses it: "0.weight"."""
        if x not in self.used_by and x is not self.loss:
            return _speak_of(x)
        user = self.used_by.get(x)
        scope = user.scope if user is not None and x.op is None and x.name else None
        prefix = f"{scope.path}." if scope is not None and scope.path else ""
        return line(f"{prefix}{x.name}") if prefix else self.called(x)

    def told(self, node: Tensor) -> str:
        """Return "t9 (sigmoid in layer Sigmoid '1')"."""
        return f"{self.called(node)} ({node.op.name}{_in(node.scope)})"

    def path(self, x: Tensor) -> str:
        """Return the shortest way back from the loss to ``x``: "loss, t2, …, w"."""
        wanted = leading_to([x], self.nodes)
        after: dict[Tensor, Tensor] = {}
        todo = [self.loss]
        for node in todo:  # grows while it is read
            for y in node.inputs:
                if type(y) is Tensor and y in wanted and y not in after:
                    after[y] = node
                    todo.append(y)
            if x in after:
                break
        steps = [x]
        while steps[-1] is not self.loss:
            steps.append(after[steps[-1]])
        names = [*map(self.called, steps[:0:-1]), self.full_name(x)]
        if len(names) > 2 * _FEW:
            names = [*names[:_FEW], "…", *names[-_FEW:]]
        return " → ".join(names)

    # -- can it be walked?
    def unwalkable(self, x: Tensor | None = None) -> _Wrong | None:
        """Say why backward would raise."""
        for node in reversed(self.nodes):
            if not node.inputs:
                return _Wrong("freed", self.called(node), self._freed(node, x))
        for node in reversed(self.nodes):
            for position, y in enumerate(node.inputs):
                if type(y) is not Tensor:
                    continue
                if y._index > node._index:
                    told = (
                        f"The data of {self.full_name(y)} were assigned (by .data = "
                        f"..., or an optimizer's step) after {self.told(node)} had "
                        "used them, so gradients would be wrong and backward refuses. "
                        "Compute the loss again."
                    )
                    return _Wrong("assigned-since", self.called(node), [told])
                argument = node.op.argument(position)
                if y._tracked and argument in node.op.constant:
                    told = (
                        f"{self.full_name(y)} is the argument {argument} of "
                        f"{self.told(node)}, which has no derivative by it, and "
                        "backward refuses. Pass it with .detach() if that is meant."
                    )
                    return _Wrong("no-derivative", self.called(node), [told])
        return None

    def _freed(self, node: Tensor, x: Tensor | None) -> list[str]:
        what = self.title if node is self.loss else self.told(node)
        told = [
            f"The graph behind {what} was freed by an earlier backward, so what it was "
            "computed from is no longer known."
        ]
        if x is not None and x.op is None:
            grad = x.grad
            told += [
                f"{_speak_of(x)} has .grad None, so that backward did not reach it (or "
                "zero_grad was called since)."
                if grad is None
                else f"{_speak_of(x)} has a .grad of norm {_number(norm(grad))}."
            ]
        ask = "te.explain(loss)" if x is None else "te.explain(tensor, loss)"
        return [
            *told,
            f"Compute the loss again, and call {ask} before backward; or call "
            "backward(retain_graph=True).",
        ]

    # -- no path
    def no_path(self, x: Tensor) -> Explanation:
        """Say where the path from ``x`` to the loss was cut."""
        me = self.full_name(x)
        told = [f"No path leads from {me} to {self.title}, so it gets no gradient."]
        if self.loss in set(nodes_of([x])):
            told.append(
                "It is the other way round: it was computed from the loss. Write "
                "te.explain(parameter, loss)."
            )
            return Explanation("no-path", _text(*told))
        entered = [
            (leaf, self.used_by[leaf], leaf._cut)
            for leaf in sorted(self.leaves, key=lambda y: -self.used_by[y]._index)
            if leaf._cut is not None
        ]
        seen: set[Tensor] = set()
        unknown = []
        for leaf, node, cut in entered:
            led = _leads_to(x, cut, seen)
            if led:
                told += [self._entry(leaf, node, cut), _ADVICE[cut.how]]
                return Explanation(cut.how, _text(*told), self.called(node))
            if led is None:
                unknown.append((leaf, node, cut))
        twins = [
            y for y in self.leaves if x.name and (y.name, y.shape) == (x.name, x.shape)
        ]
        if twins and self.used_by[twins[0]].scope is None:
            told.append(
                f"The loss was computed from another tensor of the name {me}: was it "
                "made anew since?"
            )
        if unknown:
            told += [self._entry(*entry) for entry in unknown[:_FEW]]
            told.append(
                f"If {me} was used to compute that, the path ends there. "
                f"{_ADVICE[unknown[0][2].how]}"
            )
            where = self.called(unknown[0][1])
            return Explanation(unknown[0][2].how, _text(*told), where, False)
        arrays = self._arrays()
        if arrays:
            told.append(
                f"If it was used at all, its numbers came in as a constant: "
                f"{', '.join(arrays)}."
            )
            told.append(_LEAKS)
        else:
            told.append("The loss was computed without it.")
        return Explanation("no-path", _text(*told), "", not (arrays or entered))

    def _entry(self, leaf: Tensor, node: Tensor, cut: Cut) -> str:
        return (
            f"At {self.told(node)}, {_named(leaf)} comes in without a gradient: it "
            f"{self.how(cut)}."
        )

    def how(self, cut: Cut) -> str:
        """Say what happened to a leaf, in the names of this graph."""
        source = cut.behind[0]()
        if cut.how != "detached" or source is None or source not in self.used_by:
            return _how(cut)
        return _how(cut, self.told(source) if source.op else self.full_name(source))

    def _arrays(self) -> list[str]:
        """Return what came into the graph as plain numbers, newest first."""
        found = []
        for node in reversed(self.nodes):
            for position, y in enumerate(node.inputs):
                if y is None or (type(y) is Tensor and (y._tracked or y._cut)):
                    continue
                if type(y) is int or np.asarray(_parts(y)[0]).dtype.kind not in "f":
                    continue
                name = y.name if type(y) is Tensor else None
                what = line(name) if name else node.op.argument(position)
                shape = f" {np.shape(_parts(y)[0])}" if np.ndim(y) else ""
                found.append(f"{what}{shape} of {self.told(node)}")
        return found if len(found) <= _FEW else [*found[:_FEW], "…"]

    # -- the walk backward
    def walk(self, kept: Tensor | None = None) -> None:
        """Compute the gradients of the leaves and of ``kept``, and what flowed."""

        def note(node: Tensor, g: Any, shares: list[tuple[int, Tensor, Any]]) -> None:
            if node is kept:
                self.gradients[node] = g
            incoming = _size(g)
            for _, x, d in shares:
                size = _size(d)
                begins = math.isfinite(incoming) and not math.isfinite(size)
                evidence = (np.asarray(g), np.asarray(d)) if begins else None
                self.flows.append(_Flow(node, x, incoming, size, evidence))

        self.gradients |= observe(self.loss, note)

    def wrong_for(self, targets: list[Tensor]) -> _Wrong | None:
        """Say what goes wrong on the way to ``targets``; the worst of it."""
        bad = [x for x in targets if not _is_finite(self.gradients[x])]
        if bad or not _is_finite(self.loss):
            return self.not_finite(bad)
        zero = [x for x in targets if not _size(self.gradients[x]) and x.size]
        if zero:
            return self.zero(zero, of=len(targets))
        return self.blocked(targets) or self.extreme(targets)

    # -- nan
    def not_finite(self, bad: list[Tensor]) -> _Wrong:
        if not _is_finite(self.loss):
            return self._not_finite_forward()
        wanted = leading_to(bad, self.nodes)
        for flow in self.flows:
            if flow.x in wanted and flow.evidence is not None:
                return self._not_finite_from(flow)
        names = _listed([self.full_name(x) for x in bad])
        told = f"The gradient of {names} overflows where it is added up."
        return _Wrong("nan-from", "", [told])

    def _not_finite_forward(self) -> _Wrong:
        """Go back from a loss that is not finite to where that began."""
        x: Any = self.loss
        node = x
        while type(x) is Tensor and x.op is not None:
            node = x
            sources = [y for y in node.inputs if not _is_finite(y)]
            if not sources:
                break
            x = next((y for y in sources if math.isnan(_size(y))), sources[0])
        told = [f"{self.title[0].upper()}{self.title[1:]} is {_word(self.loss)}."]
        if x is not node:
            name = "An array" if type(x) is not Tensor else self.full_name(x)
            told.append(
                f"{name} that goes into {self.told(node)} holds it already: "
                f"{_share(~np.isfinite(_parts(x)[0]))}."
            )
            return _Wrong("nan-from", self.called(node), told)
        y = _parts(node)[0]
        mask = ~np.isfinite(y)
        example = ""
        if node.op.elementwise:
            values = [
                np.broadcast_to(_parts(x)[0], y.shape)[mask].ravel()[0]
                for x in node.inputs
                if x is not None
            ]
            example = (
                f" For instance, of {' and '.join(map(_number, values))} it is "
                f"{_number(y[mask].ravel()[0])}."
            )
        told.append(
            f"It begins at {self.told(node)}: {_share(mask)} of its result are not "
            f"finite, though all that goes in is.{example}"
        )
        return _Wrong("nan-from", self.called(node), told)

    def _not_finite_from(self, flow: _Flow) -> _Wrong:
        """Explain the operation whose rule first gave nan or infinity."""
        node, x = flow.node, flow.x
        arrived, d = flow.evidence
        mask = ~np.isfinite(d)
        values = np.asarray(x._data)[mask]
        told = [
            f"The loss is finite, but its gradient becomes {_word(d)} at "
            f"{self.told(node)}: what arrives there is finite, what it hands on to "
            f"{self.called(x)} is not, in {_share(mask)}.",
        ]
        some = (
            f"There {self.called(x)} is {_listed(sorted({_number(v) for v in values}))}"
        )
        if not node.op.elementwise or np.shape(arrived) != d.shape:
            return _Wrong("nan-from", self.called(node), told)
        if np.asarray(arrived)[mask].any():
            told.append(f"{some}, and the derivative is infinite or not defined.")
            return _Wrong("nan-from", self.called(node), told)
        told.append(
            f"{some}, where the derivative is infinite or not defined. The gradient "
            "that arrives is 0 there, but 0 times infinity is nan."
        )
        above = leading_to([node], self.nodes)
        where = next(
            (y for y in self.nodes if y in above and y.op.name == "where"), None
        )
        if where is None:
            return _Wrong("nan-from", self.called(node), told)
        told.append(
            f"These are entries that {self.told(where)} does not take: it needs both "
            "branches everywhere. te.piecewise computes each only where it is taken."
        )
        return _Wrong("nan-branch", self.called(node), told)

    # -- zero, or close to it
    def zero(self, targets: list[Tensor], of: int) -> _Wrong:
        wanted = leading_to(targets, self.nodes)
        some = f", that of {len(targets):,} of {of:,} parameters" if of > 1 else ""
        names = _listed([self.full_name(x) for x in targets])
        told = [f"The gradient of {names} is 0{some}."]
        walls = {
            f.node: f
            for f in reversed(self.flows)
            if f.x in wanted and f.incoming > f.size == 0
        }
        if not walls:
            arrived = {f.x for f in self.flows if f.size and f.x in wanted}
            lost = {f.node for f in self.flows if not f.incoming} | set(targets)
            x = max(arrived & lost, key=lambda y: y._index)
            name = self.told(x) if x.op is not None else self.full_name(x)
            told.append(f"Several gradients arrive at {name} and add up to exactly 0.")
            return _Wrong("cancelled", self.called(x), told)
        reasons = [self._why_zero(walls[node]) for node in reversed(walls)]
        told += [sentence for _, sentence in reasons[:_FEW]]
        if len(reasons) > _FEW:
            told.append(f"So do {len(reasons) - _FEW:,} more operations.")
        cause, first = reasons[0][0], next(reversed(walls))
        told.append(_ADVICE.get(cause, ""))
        return _Wrong(cause, self.called(first), told)

    def _why_zero(self, flow: _Flow) -> tuple[str, str]:
        """Return the cause and a sentence for what comes out of an operation as 0."""
        node, x, told = flow.node, flow.x, self.told(flow.node)
        name, limits = node.op.name, np.finfo(x.dtype)
        found = {f.what: f for f in findings_of(node)}
        if flow.incoming < limits.tiny / limits.eps:
            return "vanishing", (
                f"The gradient shrinks from step to step: at {told} it is "
                f"{_number(flow.incoming)}, and {x.dtype} can go no lower."
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
                f"{told} takes something else than {self.called(x)} wherever a "
                "gradient arrives."
            )
        others = [
            y
            for i, y in enumerate(node.inputs)
            if y is not x and not (name == "linear" and i == 2)
        ] or [x]
        if name in _PRODUCTS and (name == "multiply" or not any(map(_size, others))):
            factor = _listed([self._operand(node, y) for y in others])
            where = (
                "" if not any(map(_size, others)) else " wherever a gradient arrives"
            )
            return "zero-factor", f"{told} multiplies by {factor}, which is 0{where}."
        return "zero-upstream", (
            f"A gradient arrives at {told}, but what it hands on to {self.called(x)} "
            "is 0: so is its derivative there."
        )

    def _operand(self, node: Tensor, y: Any) -> str:
        named = type(y) is Tensor and (y._tracked or y.name)
        position = next(i for i, other in enumerate(node.inputs) if other is y)
        return self.called(y) if named else f"its argument {node.op.argument(position)}"

    def blocked(self, targets: list[Tensor]) -> _Wrong | None:
        """Say which saturated or dead operations let almost nothing through."""
        blocks: dict[Tensor, tuple[_Flow, str]] = {}
        for flow in self.flows:
            if flow.size < _DAMPED * flow.incoming:
                for finding in findings_of(flow.node):
                    if finding.what in ("saturated", "dead"):
                        blocks[flow.node] = flow, str(finding)
        if not blocks:
            return None
        free, todo = {self.loss}, [self.loss]
        for node in todo:  # grows while it is read
            for x in node.inputs if node not in blocks else ():
                if type(x) is Tensor and x not in free:
                    free.add(x)
                    todo.append(x)
        lost = [x for x in targets if x not in free]
        if not lost:
            return None
        wanted = leading_to(lost, self.nodes)
        found = [entry for node, entry in blocks.items() if node in wanted]
        told = [
            f"Almost nothing passes {self.told(flow.node)}: it is {finding}, and the "
            f"largest entry of the gradient goes from {_number(flow.incoming)} to "
            f"{_number(flow.size)}."
            for flow, finding in found[:_FEW]
        ]
        names = _listed([self.full_name(x) for x in lost])
        cause = found[0][1].split()[0]
        return _Wrong(
            cause,
            self.called(found[0][0].node),
            [*told, f"Behind it: {names}.", _ADVICE[cause]],
        )

    def extreme(self, targets: list[Tensor]) -> _Wrong | None:
        """Compare the gradients with that of the parameter next to the loss."""
        leaves = [x for x in self.leaves if x in self.gradients]
        last = max(leaves, key=lambda x: self.used_by[x]._index, default=None)
        if last is None or not self._rms(last):
            return None
        ratios = {x: self._rms(x) / self._rms(last) for x in targets if x.size}
        least, most = (
            min(ratios, key=ratios.__getitem__),
            max(ratios, key=ratios.__getitem__),
        )
        if ratios[least] < 1 / _EXTREME:
            cause, x, which = "vanishing", least, min
        elif ratios[most] > _EXTREME:
            cause, x, which = "exploding", most, max
        else:
            return None
        wanted = leading_to([x], self.nodes)
        flow = which(
            (f for f in self.flows if f.x in wanted and f.incoming),
            key=lambda f: f.size / f.incoming,
        )
        told = [
            f"On the way the gradient is {cause}: an entry is typically "
            f"{_number(self._rms(last))} for {self.full_name(last)}, next to the loss, "
            f"and {_number(self._rms(x))} for {self.full_name(x)}.",
            f"The largest single step is at {self.told(flow.node)}: from "
            f"{_number(flow.incoming)} to {_number(flow.size)}.",
        ]
        return _Wrong(cause, self.called(flow.node), told)

    def _rms(self, x: Tensor) -> float:
        return norm(self.gradients[x]) / math.sqrt(max(x.size, 1))

    # -- what else is worth a look
    def left_over(self, leaves: list[Tensor]) -> str:
        """Say which leaves have a ``.grad`` already; empty if none has."""
        norms = {x: norm(x.grad) for x in leaves if x.op is None and x.grad is not None}
        if not norms:
            return ""
        most = max(norms, key=norms.__getitem__)
        count = len(norms) - 1
        others = f", as {'do' if count > 1 else 'does'} {count:,} more" * (count > 0)
        return (
            f"{self.full_name(most)}.grad holds what earlier backwards have left (norm "
            f"{_number(norms[most])}){others}: the next one adds to it, unless "
            "optimizer.zero_grad() comes first."
        )

    def remarks(self, x: Tensor | None = None) -> list[str]:
        """Return what is not right on the way, though the gradients are."""
        wanted = set(self.nodes) if x is None else leading_to([x], self.nodes)
        found = [
            f"  {self.told(node)}: {', '.join(map(str, findings))}"
            for node in self.nodes
            if node in wanted and (findings := findings_of(node))
        ]
        if x is None:
            found += [
                f"  {self.told(self.used_by[y])}: {_named(y)} {self.how(y._cut)}"
                for y in self.leaves
                if y._cut is not None
            ]
        if not found:
            return ["Nothing goes wrong on the way."] if x is None else []
        more = [f"  ... and {len(found) - _LISTED:,} more"] * (len(found) > _LISTED)
        return ["On the way:", *found[:_LISTED], *more]


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


def _named(leaf: Tensor) -> str:
    return line(leaf.name) if leaf.name else f"a tensor of shape {leaf.shape}"


def _table(reached: Sequence[Reached]) -> list[str]:
    rows = [(r.name, str(r.shape), _number(r.norm)) for r in reached[:_LISTED]]
    names = max((len(name) for name, _, _ in rows), default=0)
    shapes = max((len(shape) for _, shape, _ in rows), default=0)
    lines = [f"  {n:{names}}  {s:{shapes}}  gradient norm {g}" for n, s, g in rows]
    more = [f"  ... and {len(reached) - _LISTED:,} more"] * (len(reached) > _LISTED)
    return lines + more


def _listed(names: Sequence[str]) -> str:
    """Return "a, b and c", or "a, b, c and 7 more"."""
    if len(names) > _FEW + 1:
        names = [*names[:_FEW], f"{len(names) - _FEW:,} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _word(x: Any) -> str:
    return "nan" if math.isnan(_size(x)) else "infinite"
