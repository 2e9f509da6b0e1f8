"""check_op: everything that is asked of a declared operation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checks.causes import Cause
from tinygrad_edu.checks.comparison import InputReport, compare, table
from tinygrad_edu.checks.culprits import culprit_cause
from tinygrad_edu.checks.functions import GradientCheckError
from tinygrad_edu.checks.problems import of_operation
from tinygrad_edu.core import Case, Op, Tensor, tensor
from tinygrad_edu.randomness import Random, RandomSource, generator

__all__ = ["OperationReport", "check_op"]


@dataclass(frozen=True)
class OperationReport:
    """What :func:`check_op` checked.

    Attributes
    ----------
    op : str
    cases : int
    compared : int
        How many derivatives were compared with differences.
    worst : float
        The largest relative error among them, dimensionless.
    """

    op: str
    cases: int
    compared: int
    worst: float

    def __str__(self) -> str:
        return (
            f"check_op: {self.op} is right in {self.cases} cases; {self.compared:,} "
            f"derivatives compared, worst relative error {self.worst:.1g}"
        )


def check_op(
    op: Op,
    *,
    reference: Callable[..., Any] | None = None,
    order: int = 2,
    rng: RandomSource = 0,
) -> OperationReport:
    """Check a declared operation in all its cases: one line for a test-suite.

    Parameters
    ----------
    op : Op
        With cases, which say at which inputs to check.
    reference : callable, optional
        What its values are compared with, called like NumPy's functions are; its own
        NumPy function unless given.
    order : int, default 2
        Up to which order of derivatives.
    rng : int, Generator, RandomState or None, default 0
        Draws the inputs.

    Returns
    -------
    OperationReport

    Raises
    ------
    GradientCheckError
        If anything is wrong. The message lists all of it: values that differ from the
        reference, from those on Tensors or in float32; derivatives of first and second
        order; shapes under broadcasting; inputs that are written to; gradients that
        share memory; residuals that differ from their expressions; a missing label,
        docstring or case.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> report = te.check_op(te.tanh)
    >>> report.cases, report.worst < 1e-6
    (2, True)
    """
    __tracebackhide__ = True
    if not isinstance(op, Op):
        raise TypeError(
            f"check_op: expected an operation, got {type(op).__name__}. Declare it "
            "with @te.op; functions are checked by te.gradcheck"
        )
    wrong = list(_declaration(op))
    causes: list[str] = []
    compared, worst = 0, 0.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for case in [*op.cases, *_broadcasting(op)]:
            try:
                wrong += [
                    f"{case}: {text}" for text in _values(op, case, reference, rng)
                ]
                wrong += [f"{case}: {text}" for text in _memory(op, case, rng)]
                for level, r, cause in _derivatives(op, case, order, generator(rng)):
                    compared, worst = compared + r.compared, max(worst, r.worst)
                    if cause is not None:
                        causes.append(cause.name)
                        which = (
                            "derivative" if level == 1 else f"order-{level} derivative"
                        )
                        text = f"{which} by {r.name}: {cause.text}"
                        wrong.append(f"{case}: {text}\n{table(r.wrong)}")
            except Exception as error:  # the other cases are checked all the same
                wrong.append(f"{case}: raises {type(error).__name__}: {error}")
    report = OperationReport(op.name, len(op.cases), compared, worst)
    if wrong:
        text = "\n".join([f"check_op: {op.name} fails", *wrong])
        raise GradientCheckError(text, report, tuple(dict.fromkeys(causes)))
    return report


def _declaration(op: Op) -> Iterator[str]:
    if not op.cases:
        yield "it has no cases: declare cases=[te.Case(...)] to say what to check"
    if not op.symbol.strip():
        yield "its label is empty: declare symbol="
    if not (op.__doc__ or "").strip():
        yield "it has no docstring"


def _broadcasting(op: Op) -> list[Case]:
    """Return a case with broadcasting, for an elementwise operation without one."""
    arrays = len(op.arguments)
    if not op.elementwise or arrays < 2 or op.metadata or not op.cases:
        return []
    for case in op.cases:
        if len({x.shape for x in case.sample(0) if x is not None}) > 1:
            return []
    first = op.cases[0].sample(0)
    if any(x is None or x.ndim == 0 for x in first):
        return []
    return [Case(*first[:-1], first[-1][:1], tolerance=op.cases[0].tolerance)]


def _as_called(op: Op, inputs: Sequence[Any]) -> list[Any]:
    return [list(inputs)] if op.variadic else list(inputs)


def _arrays(out: Any) -> list[np.ndarray]:
    parts = out if isinstance(out, tuple | list) else (out,)
    return [np.asarray(y.data if isinstance(y, Tensor) else y) for y in parts]


def _tracked(op: Op, inputs: Sequence[Any]) -> list[Any]:
    """Make Tensors of the inputs that have a derivative."""
    return [
        tensor(x, requires_grad=True)
        if x is not None and x.dtype.kind == "f" and op.argument(i) not in op.constant
        else x
        for i, x in enumerate(inputs)
    ]


def _values(
    op: Op, case: Case, reference: Callable[..., Any] | None, rng: RandomSource
) -> Iterator[str]:
    """Compare values: with the reference, on Tensors, in single precision."""
    inputs = case.sample(rng)
    plain = op(*_as_called(op, inputs), **case.kwargs)
    if any(
        isinstance(y, Tensor) for y in (plain if isinstance(plain, tuple) else [plain])
    ):
        yield "on arrays it returns a Tensor; it must compute with NumPy alone"
        return
    values = _arrays(plain)
    right = reference or op.numpy
    if right is not None:
        named = {**op.metadata, **case.kwargs}
        for y, r in zip(
            values, _arrays(right(*_as_called(op, inputs), **named)), strict=True
        ):
            yield from _differ(y, r, 1e-13, "the reference")
    recorded = op(*_as_called(op, _tracked(op, inputs)), **case.kwargs)
    for y, r in zip(_arrays(recorded), values, strict=True):
        yield from _differ(r, y, 0.0, "the value on Tensors")
    singles = [
        x.astype(np.float32) if x is not None and x.dtype.kind == "f" else x
        for x in inputs
    ]
    singles = [  # Python's own integer promotes nothing
        x.item() if x is not None and x.ndim == 0 and x.dtype.kind != "f" else x
        for x in singles
    ]
    single = case.kwargs.get("dtype", np.float32)
    for y, r in zip(
        _arrays(op(*_as_called(op, singles), **case.kwargs)), values, strict=True
    ):
        if r.dtype.kind == "f" and y.dtype != single:
            yield f"float32 inputs give {y.dtype}"
        yield from _differ(y, r, 1e-3, "the value in float64")
    if op.residuals:
        named = {**op.metadata, **case.kwargs}
        _, *handed = op.forward(*inputs, **named)
        for (name, expression), value in zip(op.residuals.items(), handed, strict=True):
            again = expression(*inputs, **named)
            yield from _differ(
                value, again, 1e-13, f"the expression of residual {name}"
            )


def _differ(y: Any, right: Any, rtol: float, what: str) -> Iterator[str]:
    y, right = np.asarray(y), np.asarray(right)
    if y.shape != right.shape:
        yield f"shape {y.shape}, but {what} has {right.shape}"
        return
    scale = float(np.max(np.abs(right), initial=1.0, where=np.isfinite(right)))
    if np.allclose(y, right, rtol=rtol, atol=rtol * scale, equal_nan=True):
        return
    error = np.nan_to_num(np.abs(y.astype(float) - right), nan=np.inf)
    at = tuple(map(int, np.unravel_index(int(np.argmax(error)), error.shape)))
    yield f"value {y[at]!r} at {list(at)}, but {what} is {right[at]!r}"


def _memory(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Look for inputs that are written to, and gradients that share memory."""
    inputs = case.sample(rng)
    before = [None if x is None else x.copy() for x in inputs]
    op(*_as_called(op, inputs), **case.kwargs)
    leaves = _tracked(op, inputs)
    out = op(*_as_called(op, leaves), **case.kwargs)
    outputs = out if isinstance(out, tuple) else (out,)
    for y in outputs:
        if isinstance(y, Tensor) and y.requires_grad:
            y.backward(np.ones(y.shape), retain_graph=True)
    tracked = [(i, x) for i, x in enumerate(leaves) if isinstance(x, Tensor)]
    held = [(op.argument(i), x.grad) for i, x in tracked if x.grad is not None]
    for i, (x, old) in enumerate(zip(inputs, before, strict=True)):
        now = [x, leaves[i].data] if isinstance(leaves[i], Tensor) else [x]
        if old is not None and not all(np.array_equal(a, old) for a in now):
            yield f"it writes to its input {op.argument(i)}"
    for k, (name, g) in enumerate(held):
        if any(np.shares_memory(g, x.data) for _, x in tracked):
            yield f"the gradient by {name} shares memory with an input"
        if any(np.shares_memory(g, other) for _, other in held[:k]):
            yield f"the gradient by {name} shares memory with another gradient"


def _derivatives(
    op: Op, case: Case, order: int, rng: Random
) -> Iterator[tuple[int, InputReport, Cause | None]]:
    """Compare derivatives with differences, order by order."""
    named = {**op.metadata, **case.kwargs}
    problem = first = of_operation(op, case.sample(rng), named)
    if not problem.leaves:
        return
    for level in range(1, order + 1):
        if level > 1:
            problem = problem.differentiated(rng)
        failed = False
        for r in compare(problem, rng, case.tolerance):
            if r.wrong:
                yield level, r, culprit_cause(r, problem, first, level)
                failed = True
            elif not r.resolved:
                text = f"differences resolve only {r.resolution:.1g} of it"
                yield level, r, Cause("resolution", text)
                failed = True
            else:
                yield level, r, None
        if failed:
            return
