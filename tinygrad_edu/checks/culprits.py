"""Which operation is to blame: each rule alone, at the very inputs that it had."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checks.causes import Cause, likely_cause
from tinygrad_edu.checks.comparison import Entry, InputReport, compare
from tinygrad_edu.checks.differences import Sides, one_sided, steps_of
from tinygrad_edu.checks.linearity import NOT_LINEAR
from tinygrad_edu.checks.problems import Problem, has_rules, is_tracked, of_operation
from tinygrad_edu.engine.core import Op, Tensor
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.randomness import Random

__all__ = [
    "Culprit",
    "culprit_cause",
    "culprits_of",
    "kink_of",
    "reduced_by",
    "sizes_of",
    "stopped_behind",
    "stopped_rule",
]

_UPSTREAM = "g (the upstream gradient)"
_ENGINE = {"item", "sum_to", "broadcast_to", "astype"}  # checked by our own tests


@dataclass(frozen=True)
class Culprit:
    """An operation whose rule disagrees with differences of that operation alone.

    Attributes
    ----------
    op : str
    layer : str
        The path of the layer in which it was recorded; empty outside of layers.
    argument : str
    cause : Cause
    entry : Entry
        The worst one.
    order : int
        The order of the derivative that is wrong.
    """

    op: str
    layer: str
    argument: str
    cause: Cause
    entry: Entry
    order: int

    def __str__(self) -> str:
        where = f", in layer {self.layer!r}" if self.layer else ""
        again = ", its rule differentiated again" if self.order > 1 else ""
        return f"{self.op}{where}{again}, argument {self.argument}: {self.cause.text}"


def culprits_of(
    outputs: Sequence[Any], order: int, rng: Random, rtol: float
) -> list[Culprit]:
    """Return every operation behind ``outputs`` with a wrong rule, oldest first."""
    found: list[Culprit] = []
    for node in nodes_of(outputs):
        if node.op.name in _ENGINE:
            continue
        problem = of_operation(node.op, node.inputs, node.kwargs, _tracked(node))
        if not problem.leaves:
            continue
        first = problem
        for level in range(1, order + 1):
            if level > 1:
                problem = problem.differentiated(rng)
            reports = [r for r in compare(problem, rng, rtol) if r.wrong]
            for report in reports:
                found.append(
                    Culprit(
                        node.op.name,
                        node.scope.path or node.scope.kind if node.scope else "",
                        report.name,
                        culprit_cause(report, problem, first, level),
                        report.wrong[0],
                        level,
                    )
                )
            if reports:
                break
    return found


def _tracked(node: Tensor) -> list[int]:
    """Return the positions of the inputs that gradients flow to."""
    return [i for i, x in enumerate(node.inputs) if is_tracked(x)]


def stopped_behind(outputs: Sequence[Any], error: Exception) -> str:
    """Say which rule behind ``outputs`` stops with such an error; else nothing."""
    nodes = [node for node in nodes_of(outputs) if node.op.name not in _ENGINE]
    for recording in (False, True):
        for node in reversed(nodes):
            problem = of_operation(node.op, node.inputs, node.kwargs, _tracked(node))
            text = stopped_rule(node.op, problem, error, recording)
            if text:
                return text
    return ""


def stopped_rule(op: Op, problem: Problem, error: Exception, recording: bool) -> str:
    """Say which rule of an operation stops with such an error; else nothing.

    Each is called by itself, with arrays or, as for second derivatives, with Tensors.
    """
    if not problem.leaves or not has_rules(op):
        return ""
    outputs = problem.record()
    node = next(node for node in nodes_of(outputs) if node.op is op)
    ones = tuple(np.ones(np.shape(y))[()] for y in outputs)
    out, g = (op.results(*outputs), ones) if op.results else (outputs[0], ones[0])
    for name, leaf in zip(problem.names, problem.leaves, strict=True):
        try:
            if not recording:
                op.pull(node, g, {leaf}, _nowhere)
                continue
            named = {k: f(*node.inputs, **node.kwargs) for k, f in op.residuals.items()}
            for x, rule in zip(node.inputs, op.rules, strict=False):  # endless, or not
                if x is leaf:
                    rule(g, out, *node.inputs, **node.kwargs, **named)
        except Exception as again:
            if type(again) is type(error):
                said = f"{type(again).__name__}: {again}"
                return f"{op.name}: the rule for {name} stopped: {said}"
    return ""


def _nowhere(x: Tensor, d: Any) -> None:
    """Take what a rule hands on, whatever it is."""


def kink_of(problem: Problem, x: Tensor, entries: Sequence[Entry]) -> Cause | None:
    """Return the cause if the worst entries sit at a point without derivative."""
    steps = steps_of(x.data)
    for entry in entries[:3]:
        if len(entry.index) != x.ndim:
            continue
        direction = np.zeros(x.shape)
        direction[entry.index] = steps[entry.index]
        sides = one_sided(problem.values, x.data, direction)
        own = np.arange(sides.left.size) == entry.output
        text = _kink_in(sides, own if own.any() else ~own, float(steps[entry.index]))
        if text:
            return Cause(
                "kink",
                f"no derivative at {list(entry.index)}: {text}. Check at another point",
            )
    return None


def _kink_in(sides: Sides, own: np.ndarray, step: float) -> str:
    """Say how some of the outputs have no derivative, if so."""
    left, right = np.isnan(sides.left), np.isnan(sides.right)
    if np.any((left | right) & own):
        where = "the left" if np.any(left & own) else "the right"
        return f"the function is nan to {where} of it (a root or logarithm of 0)"
    jumps = np.flatnonzero(sides.jumps & own)
    if jumps.size:
        a, b = (float(y[jumps[0]]) for y in (sides.before, sides.after))
        return f"the value jumps from {a:.4g} to {b:.4g} (a kink, differentiated)"
    bend = np.where(own, np.abs(sides.right - sides.left) - sides.doubt, 0.0)
    i = int(np.argmax(bend))
    a, b = (float(side[i]) for side in (sides.left, sides.right))
    if not bend[i] > 1e-2 * max(abs(a), abs(b)):
        return ""
    return (
        f"the slope is {a / step:.4g} to the left and {b / step:.4g} to the right "
        "(relu at 0, a tie of a maximum)"
    )


def culprit_cause(
    report: InputReport, current: Problem, problem: Problem, level: int
) -> Cause:
    """Say how the rule of one argument is wrong."""
    if not report.linear and report.analytic is None:  # differences found nothing
        return NOT_LINEAR
    cause = _fitted_cause(report, current, problem, level)
    if report.linear or cause.text.startswith(f"the factor {_UPSTREAM} is missing"):
        return cause
    return NOT_LINEAR


def _fitted_cause(
    report: InputReport, current: Problem, problem: Problem, level: int
) -> Cause:
    """Say what the wrong numbers of one argument look like."""
    x = current.leaves[current.names.index(report.name)]
    kink = kink_of(current, x, report.wrong)
    if kink is not None:
        return kink
    if level > 1:
        return likely_cause(report.analytic, report.numeric)
    arrays = dict(zip(problem.names, (x.data for x in problem.leaves), strict=True))
    outputs = [np.asarray(y) for y in problem.evaluate()]
    factors: dict[str, Any] = {}
    variants: list[tuple[Cause, Any]] = []
    sums_of: dict[str, Any] = {}
    if len(outputs) == 1:
        out = outputs[0]
        g = np.reshape(report.upstream, out.shape)
        for name, x in {**arrays, "out": out}.items():
            factors[name] = x
        factors = {_UPSTREAM: g, **factors}
        if g.shape == report.shape:
            text = "the rule hands g on: the derivative of the operation is missing"
            variants.append((Cause("missing-derivative", text), g))
        sums_of = {"g": g, "g · out": g * out}
    shapes = [(name, x.shape) for name, x in arrays.items()]
    size = outputs[0].size if len(outputs) == 1 else math.inf
    reduced = [shape for _, shape in shapes if math.prod(shape) > size]
    sizes, lengths = sizes_of(shapes, [], reduced)
    return likely_cause(
        report.analytic,
        report.numeric,
        factors=factors,
        sums_of=sums_of,
        variants=variants,
        sizes=sizes,
        lengths=lengths if reduced else {},
    )


_Shape = tuple[int, ...]


def sizes_of(
    inputs: Sequence[tuple[str, _Shape]],
    between: Sequence[tuple[str, _Shape]],
    reduced: Iterable[_Shape],
) -> tuple[dict[int, str], dict[int, str]]:
    """Return what a mean may divide by, and the other lengths, with what each is.

    Parameters
    ----------
    inputs, between : sequence of (str, shape)
        The inputs, and what is computed from them.
    reduced : iterable of shape
        Of what is reduced to fewer entries: a mean divides by one of these lengths.

    Notes
    -----
    A 2 is lost more often than a mean over two, so the length 2 of an input is none of
    a mean.
    """
    found: dict[int, str] = {}
    for name, shape in (*inputs, *between):
        for axis, n in enumerate(shape):
            found.setdefault(n, f"the length of axis {axis} of {name}")
    for name, shape in (*inputs, *between):  # the number of examples may be one, too
        found.setdefault(math.prod(shape), f"the size of {name}")
    means = {n for shape in reduced for n in (*shape, math.prod(shape))}
    if any(2 in shape for _, shape in inputs):
        means.discard(2)
    sizes = {n: what for n, what in found.items() if n in means}
    return sizes, {n: what for n, what in found.items() if n not in means}


def reduced_by(nodes: Iterable[Tensor]) -> list[_Shape]:
    """Return the shapes of what ``nodes`` reduce to fewer entries."""
    return [
        x.shape
        for node in nodes
        for x in node.inputs
        if isinstance(x, Tensor)
        and not isinstance(x.data, tuple)
        and node.size < x.size
    ]
