"""gradcheck: the gradients of a function against finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from tinygrad_edu.checks.causes import NO_RELATION, Cause, likely_cause
from tinygrad_edu.checks.comparison import (
    InputReport,
    compare,
    counted,
    resolved_by,
    table,
)
from tinygrad_edu.checks.culprits import (
    Culprit,
    culprits_of,
    kink_of,
    reduced_by,
    sizes_of,
    stopped_behind,
)
from tinygrad_edu.checks.leaving import left_as_found
from tinygrad_edu.checks.linearity import NOT_LINEAR
from tinygrad_edu.checks.problems import Problem, is_tracked
from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.creation import next_index
from tinygrad_edu.engine.names import argument_names
from tinygrad_edu.engine.taken import INSTEAD, taken
from tinygrad_edu.engine.traversal import nodes_of, sources_of
from tinygrad_edu.engine.trees import flatten
from tinygrad_edu.randomness import Random, RandomSource, generator

__all__ = ["GradcheckReport", "GradientCheckError", "gradcheck"]


class GradientCheckError(AssertionError):
    """A gradient disagrees with finite differences.

    Attributes
    ----------
    report : GradcheckReport or OperationReport
        What was compared.
    causes : tuple of str
        Short names of the likely causes.
    culprits : tuple of Culprit
        The operations whose rules are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> def half_recorded(x):
    ...     return te.sum(x * x.detach())  # x², as far as the values go
    >>> try:
    ...     te.gradcheck(half_recorded, np.array([1.0, 2.0]))
    ... except te.GradientCheckError as error:
    ...     print(error.causes)
    ('factor',)
    """

    def __init__(
        self,
        message: str,
        report: Any = None,
        causes: Sequence[str] = (),
        culprits: Sequence[Culprit] = (),
    ) -> None:
        super().__init__(message)
        self.report = report
        self.causes = tuple(causes)
        self.culprits = tuple(culprits)


@dataclass(frozen=True)
class GradcheckReport:
    """What :func:`tinygrad_edu.gradcheck` compared.

    Attributes
    ----------
    inputs : tuple of InputReport
        One for each input and order.
    order : int

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> report = te.gradcheck(te.tanh, np.array([1.0, 2.0]))
    >>> report.compared, report.calls > 0, report.worst < 1e-6
    (4, True, True)
    """

    inputs: tuple[InputReport, ...]
    order: int

    @property
    def compared(self) -> int:
        """How many numbers were compared."""
        return sum(r.compared for r in self.inputs)

    @property
    def calls(self) -> int:
        """How often the function was called."""
        return sum(r.calls for r in self.inputs)

    @property
    def worst(self) -> float:
        """The largest relative error, dimensionless."""
        return max((r.worst for r in self.inputs), default=0.0)

    def __str__(self) -> str:
        lines = [
            f"gradcheck: {'wrong' if any(r.wrong for r in self.inputs) else 'right'}, "
            f"order {self.order}; {counted(self.compared, 'number')} compared in "
            f"{self.calls:,} calls, worst relative error {self.worst:.1g}"
        ]
        for r in self.inputs:
            lines.append(
                f"  {r.name} {r.shape}: {r.method}, worst {r.worst:.1g}, "
                f"differences resolve {r.resolution:.1g}"
                + (
                    f" ({counted(r.unresolved, 'number')} not at all)"
                    if r.unresolved
                    else ""
                )
            )
        return "\n".join(lines)


def gradcheck(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    loss: Callable[..., Any] | None = None,
    rtol: float = 1e-6,
    rng: RandomSource = 0,
) -> GradcheckReport:
    """Check gradients against finite differences, and say what is wrong with them.

    Parameters
    ----------
    f : callable or Layer
        Takes Tensors, returns one or several, also in trees. Of a layer, every
        parameter is checked too, in place and put back.
    *inputs : array_like or Tensor, or trees of them
        Where to check, of any shapes. By every array of floats, and every Tensor
        that requires gradients, the derivatives are taken, in float64; the others are
        handed on. Trees are as for :func:`tinygrad_edu.grad`; what is in them is called
        by its path, ``params['W'][0]``.
    order : int, default 1
        Up to which order of derivatives.
    loss : callable, optional
        ``loss(f(*inputs[:-1]), inputs[-1])`` is checked instead; the last input, the
        targets, is a constant.
    rtol : float, default 1e-6
        Relative error that is allowed, beyond what the differences leave in doubt;
        dimensionless.
    rng : int, Generator, RandomState or None, default 0
        Draws projections and directions.

    Returns
    -------
    GradcheckReport

    Raises
    ------
    GradientCheckError
        If a derivative is wrong, the differences cannot tell, or a rule stops with an
        error. The message names the input, the worst entries, the likely cause and the
        operation to blame, or the line where ``float(x)`` took a number out.
    TypeError
        If ``f`` does not return Tensors.
    ValueError
        If ``f`` gives different numbers for the same inputs, nan or infinity, changes
        its inputs, or if there is nothing to check by.

    Notes
    -----
    It records inside ``te.no_grad()``, too, and leaves the buffers, modes and random
    generators of the layers that ``f`` holds as they were. The gradient is also asked
    to be linear in the one that arrives from above, for seeds of both signs and of
    many sizes.

    f'(x) ≈ (f(x + h) - f(x - h)) / 2h, for h and h/2, combined by Richardson's
    extrapolation; their difference tells what can be resolved, and so does the rounding
    of every recorded number; other steps are tried where that is too little, and before
    a number is called wrong. It costs four calls of ``f`` for an entry. Inputs of
    more than 1,000 entries are checked along 8 random directions, in which every entry
    moves, for 32 calls. With up to 32 outputs and 1,000 entries in all the whole
    Jacobian is compared, else a random projection of the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> report = te.gradcheck(lambda x, w: te.tanh(x @ w), np.ones((2, 3)), np.ones(3))
    >>> report.compared, report.worst < 1e-6
    (18, True)
    >>> report = te.gradcheck(lambda p: p["w"] * p["x"], {"w": 2.0, "x": np.ones(2)})
    >>> [r.name for r in report.inputs]
    ["p['w']", "p['x']"]
    """
    __tracebackhide__ = True
    if not isinstance(order, int | np.integer) or order < 1:
        raise ValueError(f"gradcheck: order must be 1, 2, ..., got {order!r}")
    rng = generator(rng)
    done: list[InputReport] = []
    with left_as_found(f, loss), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        problem, outputs, lost = _problem_of(f, inputs, loss)
        for level in range(1, order + 1):
            if level > 1:
                problem = problem.differentiated(rng)
            try:
                reports = compare(problem, rng, rtol)
            except Exception as error:
                stopped = stopped_behind(outputs, error)
                if not stopped:
                    raise
                report = GradcheckReport(tuple(done), level)
                text = f"{_title(level)}\n{stopped}"
                raise GradientCheckError(text, report, ["error"]) from error
            prefix = {1: "", 2: "second order, "}.get(level, f"order {level}, ")
            done += [_renamed(r, prefix + r.name) for r in reports]
            bad = [r for r in reports if r.wrong or not r.resolved]
            if bad:
                report = GradcheckReport(tuple(done), level)
                raise _failure(report, problem, outputs, bad, level, rng, rtol, lost)
    return GradcheckReport(tuple(done), order)


def _renamed(report: InputReport, name: str) -> InputReport:
    return InputReport(**{**vars(report), "name": name})


# ---------------------------------------------------------------- what is to be checked


def _problem_of(
    f: Callable[..., Any], inputs: Sequence[Any], loss: Callable[..., Any] | None
) -> tuple[Problem, list[Tensor], list[str]]:
    """Return the problem that a call of ``f`` is, its outputs, and what it lost."""
    if loss is not None and not inputs:
        raise ValueError("gradcheck: with loss=, pass the inputs and the targets")
    targets = inputs[-1:] if loss is not None else ()
    given = inputs[: len(inputs) - len(targets)]
    args, held = list[Any](), dict[str, Any]()
    for name, x in zip(argument_names(f, len(given)), given, strict=True):
        parts, form = flatten(x, f"gradcheck: {name}")
        own = [_leaf(part) for part in parts]
        args.append(form.filled(own))
        held |= zip(form.paths(name), own, strict=True)
    by_name = {name: x for name, x in held.items() if is_tracked(x)}
    if hasattr(f, "named_parameters"):
        for name, x in f.named_parameters():
            if x.requires_grad:
                by_name[name or "parameter"] = x
    if not by_name:
        raise ValueError(
            "gradcheck: nothing to check by: pass at least one array of floating-point "
            "numbers (or a Tensor with requires_grad=True)"
        )

    def record() -> list[Tensor]:
        result = f(*args)
        if loss is not None:
            result = loss(result, *targets)
        return outputs_of(result, "gradcheck")

    problem = Problem(record, list(by_name.values()), list(by_name))
    for name, x in by_name.items():
        if not np.all(np.isfinite(x.data)):
            raise ValueError(f"gradcheck: {name} holds nan or infinity")
    held |= by_name
    held.update({"the targets": targets[0]} if targets else {})
    before = {name: _copy(x) for name, x in held.items()}
    begun = next_index()
    outputs = record()
    lost = _lost(problem, outputs, begun)
    for name, x in held.items():
        if _copy(x) != before[name]:
            raise ValueError(
                f"gradcheck: f changes its input {name}; it must leave its inputs as "
                "they are. Work on a copy"
            )
    first = [np.array(y.data) for y in outputs]
    again = [np.asarray(y.data) for y in record()]
    for a, b in zip_longest(first, again):
        if a is None or b is None or not np.array_equal(a, b, equal_nan=True):
            raise ValueError(
                "gradcheck: f is random: two calls with the same inputs give "
                f"{_told(a)} and {_told(b)}, so differences mean nothing. "
                "Seed a generator inside f, or call model.eval()"
            )
    if not all(np.all(np.isfinite(a)) for a in first):
        raise ValueError(f"gradcheck: f gives nan or infinity{_first_bad(outputs)}")
    return problem, outputs, lost


def _lost(problem: Problem, outputs: Sequence[Tensor], begun: int) -> list[str]:
    """Say which numbers left the graph of ``outputs`` since then, and did not return.

    One that was only looked at, on the way to the outputs, is none.
    """
    if not (numbers := taken(begun)):
        return []
    nodes = set(nodes_of(outputs))
    names: dict[Any, str] = dict(zip(problem.leaves, problem.names, strict=True))
    told = []
    for number in numbers:
        x, sources = number.tensor(), sources_of(number)
        if x not in nodes and (not sources or sources & names.keys()):
            told.append(f"{number.told(names.get(x, ''))}.")
    return [*dict.fromkeys(told), f"{INSTEAD}."] if told else []


def _told(y: np.ndarray | None) -> str:
    """Return the beginning of an output, as text."""
    if y is None:
        return "no output"
    more = ", ..." if y.size > 3 else ""
    return f"{', '.join(f'{v:.6g}' for v in y.ravel()[:3])}{more} of shape {y.shape}"


def _copy(x: Any) -> Any:
    """Return what shows whether an array or the data of a Tensor were changed."""
    x = x.data if isinstance(x, Tensor) else x
    return x.tobytes() if isinstance(x, np.ndarray | np.generic) else None


def _leaf(x: Any) -> Any:
    """Return a leaf of our own for what derivatives are taken by; else ``x`` itself."""
    if isinstance(x, Tensor):
        if not x.requires_grad:
            return x
        return tensor(x.detach(), requires_grad=True, name=x.name, dtype=np.float64)
    if not isinstance(x, np.ndarray | np.floating | float | list):
        return x
    array = np.asarray(x)
    return tensor(x, requires_grad=True, dtype=float) if array.dtype.kind == "f" else x


def outputs_of(result: Any, who: str) -> list[Tensor]:
    """Return the Tensors that a function gave, or say what else it gave."""
    outputs, form = flatten(result, f"{who}: what f returns")
    if not outputs or (isinstance(result, list | tuple) and not result):
        raise TypeError(f"{who}: f must return a Tensor or several, got none")
    for y, path in zip(outputs, form.paths(""), strict=True):
        if not isinstance(y, Tensor):
            at = f" at {path}" if path else ""
            raise errors.no_tensor(who, f"a Tensor or several{at}", y)
    return outputs


def _first_bad(outputs: Sequence[Tensor]) -> str:
    """Name the operation that first gave nan or infinity."""
    for node in nodes_of(outputs):
        values = node.data if isinstance(node.data, tuple) else (node.data,)
        if not all(np.all(np.isfinite(y)) for y in values):
            where = f" in layer {node.scope.path!r}" if node.scope else ""
            return f"; {node.op.name}{where} gave it first"
    return ""


# ---------------------------------------------------------------------- what went wrong


def _failure(
    report: GradcheckReport,
    problem: Problem,
    outputs: Sequence[Tensor],
    bad: Sequence[InputReport],
    level: int,
    rng: Random,
    rtol: float,
    lost: Sequence[str],
) -> GradientCheckError:
    """Say which input, which entries, which operation and why."""
    culprits = culprits_of(outputs, level, rng, rtol)
    lines: list[str] = []
    causes = [c.cause.name for c in culprits]
    for r in bad:
        cause = _cause_of(r, problem, outputs)
        if cause == NO_RELATION and lost and not culprits:
            cause = Cause("taken-out", " ".join(lost))
        if r.wrong:
            some = f"in {len(r.wrong):,} of {counted(r.compared, 'number')} "
            lines.append(
                f"the gradient by {r.name} {r.shape} is wrong "
                f"{some if len(r.wrong) <= r.compared else ''}({r.method}):"
            )
            lines.append(table(r.wrong))
        else:
            lines.append(
                f"the gradient by {r.name} {r.shape} cannot be checked: "
                f"{resolved_by(r)}"
            )
        if not culprits or cause not in (NO_RELATION, NOT_LINEAR):
            lines.append(f"likely cause: {cause.text}")
            causes.append(cause.name)
    for culprit in culprits:
        lines.append(f"culprit: {culprit}")
        lines.append(table([culprit.entry]))
    if not culprits and set(causes) <= {"factor", "detached"} and lost:
        lines += lost
    elif not culprits and set(causes) <= {"unknown", "factor"}:
        lines.append(
            "Every operation's rule is right by itself, so look for numbers that leave "
            "the graph on the way (.data, .detach(), no_grad)."
        )
    named = tuple(dict.fromkeys(causes))
    text = "\n".join([_title(level), *lines])
    return GradientCheckError(text, report, named, culprits)


def _title(level: int) -> str:
    return "gradcheck failed" if level == 1 else f"gradcheck failed at order {level}"


def _cause_of(
    report: InputReport, problem: Problem, outputs: Sequence[Tensor]
) -> Cause:
    """Fit the whole gradient by one input."""
    if not report.linear:
        return NOT_LINEAR
    x = problem.leaves[problem.names.index(report.name)]
    if report.wrong:
        kink = kink_of(problem, x, report.wrong)
        if kink is not None:
            return kink
    used = [x, *problem.leaves, *nodes_of(outputs)]
    single = any(y.dtype.itemsize < 8 for y in used if not isinstance(y.data, tuple))
    if not report.resolved:
        return _coarse(single)
    if report.analytic is None:
        return NO_RELATION
    nodes = [node for node in nodes_of(outputs) if not isinstance(node.data, tuple)]
    sizes, _ = sizes_of(
        [(n, y.shape) for n, y in zip(problem.names, problem.leaves, strict=True)],
        [(node.op.name, node.shape) for node in nodes],
        reduced_by(nodes),
    )
    return likely_cause(report.analytic, report.numeric, sizes=sizes)


def _coarse(single: bool) -> Cause:
    if single:
        return Cause(
            "float32",
            "float32 is too coarse for differences; check in float64: build layers "
            "with dtype=np.float64, and convert nothing inside f",
        )
    return Cause(
        "resolution",
        "rounding or strong curvature drowns the differences; check nearer to 1, or "
        "without large constants added",
    )
