"""check_op: everything that is asked of a declared operation."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.checks.comparison import compare, counted, resolved_by, table
from tinygrad_edu.checks.culprits import culprit_cause, stopped_rule
from tinygrad_edu.checks.elsewhere import Elsewhere, other_inputs
from tinygrad_edu.checks.functions import GradientCheckError
from tinygrad_edu.checks.linearity import kept
from tinygrad_edu.checks.problems import as_called, has_rules, of_operation
from tinygrad_edu.engine.core import Case, Op, Tensor, gradients, tensor
from tinygrad_edu.engine.recording import recording
from tinygrad_edu.randomness import RandomSource, generator
from tinygrad_edu.transforms import jvp, vjp

__all__ = ["OperationReport", "check_op"]

# What two ways to compute may differ by, relative to the largest number (or to 1).
_DOUBLE = 1e-14
_SINGLE = 1e-4
#: A rule in one precision against itself in a finer one, number by number.
_DIGITS = ((np.float32, np.float64, 1e-3), (np.float64, np.longdouble, 1e-10))


@dataclass(frozen=True)
class OperationReport:
    """What :func:`tinygrad_edu.check_op` checked.

    Attributes
    ----------
    op : str
    cases : int
        Those declared, and those added to broadcast each argument.
    compared : int
        How many derivatives were compared with differences.
    worst : float
        The largest relative error among them, dimensionless.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> report = te.check_op(te.OPS["tanh"])
    >>> report.op, report.worst < 1e-6
    ('tanh', True)
    """

    op: str
    cases: int
    compared: int
    worst: float

    def __str__(self) -> str:
        return (
            f"check_op: {self.op} is right in {counted(self.cases, 'case')}; "
            f"{counted(self.compared, 'derivative')} compared, worst relative error "
            f"{self.worst:.1g}"
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
        What its values are compared with, called as the operation is, with all of
        its metadata; its own NumPy function unless given.
    order : int, default 2
        Up to which order of derivatives; at least 1.
    rng : int, Generator, RandomState or None, default 0
        Draws the inputs; the same seed gives the same report.

    Returns
    -------
    OperationReport

    Raises
    ------
    GradientCheckError
        If anything is wrong. The message lists all of it: values that differ from the
        reference, on Tensors or in float32; gradients that differ beside a Python
        number and an array of it; derivatives of first and second order, also
        in the tails, at kinks and at numbers that are round or equal; digits that a
        rule loses; forward mode that differs from reverse mode;
        shapes under broadcasting; arrays that are written to, or handed out again by
        the next call; residuals that differ from their expressions; a missing label,
        docstring, rule or case.
    TypeError
        If ``op`` is no operation.
    ValueError
        If ``order`` is not 1, 2, ...

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> report = te.check_op(te.tanh)
    >>> report.cases, report.worst < 1e-6
    (5, True)
    """
    __tracebackhide__ = True
    if not isinstance(op, Op):
        raise TypeError(
            f"check_op: expected an operation, got {type(op).__name__}. Declare it "
            "with @te.op; functions are checked by te.gradcheck"
        )
    if order < 1 or int(order) != order:
        raise ValueError(f"check_op: order must be 1, 2, ..., got {order}")
    wrong = list(_declaration(op))
    compared = _Compared()
    cases = [*op.cases, *_broadcasting(op)]
    with recording(True), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for case in cases:
            asked = [
                _values(op, case, reference, rng),
                _single_precision(op, case, rng),
                _residuals(op, case, rng),
                _memory(op, case, rng),
            ]
            if has_rules(op):
                asked.append(_python_numbers(op, case, rng))
                asked.append(_digits(op, case, rng))
                asked.append(_to_differentiate(op, case, rng))
                asked.append(_derivatives(op, case, order, rng, compared))
                asked.append(_forward_mode(op, case, rng))
                asked.append(_elsewhere(op, case, order, rng, compared))
            for findings in asked:
                wrong += _all_of(op, case, rng, findings)
    for name in op.arguments if cases and has_rules(op) else ():
        if name not in op.constant and name not in compared.arguments:
            wrong.append(
                f"the rule of {name} is used in no case: add one in which {name} is of "
                "floating-point numbers"
            )
    report = OperationReport(op.name, len(cases), compared.count, compared.worst)
    if wrong:
        title = f"check_op: {op.name} fails (inputs drawn with rng={rng!r})"
        text = "\n".join([title, *dict.fromkeys(wrong)])
        raise GradientCheckError(text, report, tuple(dict.fromkeys(compared.causes)))
    return report


@dataclass
class _Compared:
    """The derivatives that were compared with differences so far."""

    count: int = 0
    worst: float = 0.0
    arguments: set[str] = field(default_factory=set)
    causes: list[str] = field(default_factory=list)


def _declaration(op: Op) -> Iterator[str]:
    if not op.cases:
        yield "it has no cases: declare cases=[te.Case(...)] to say what to check"
    if not op.symbol.strip():
        yield "its label is empty: declare symbol="
    if not (op.__doc__ or "").strip():
        yield "it has no docstring"
    if not has_rules(op):
        yield f"it has no rules: declare them with {op.name}.vjp(...)"


def _all_of(
    op: Op, case: Case, rng: RandomSource, findings: Iterator[str]
) -> list[str]:
    """Return all findings in a case, and the error that ended the search, if any."""
    found: list[str] = []
    try:
        for text in findings:
            found.append(f"{case}: {text}")
    except Exception as error:  # the rest is checked all the same
        text = _stopped(op, case, rng, error)
        found.append(f"{case}: {text or f'raises {type(error).__name__}: {error}'}")
    return found


def _stopped(op: Op, case: Case, rng: RandomSource, error: Exception) -> str:
    """Say which rule stops with such an error; nothing if it was no rule."""
    with contextlib.suppress(Exception):
        named = {**op.metadata, **case.kwargs}
        problem = of_operation(op, case.sample(rng), named)
        arrays = stopped_rule(op, problem, error, recording=False)
        return arrays or stopped_rule(op, problem, error, recording=True)
    return ""


def _broadcasting(op: Op) -> list[Case]:
    """Return cases that broadcast the arguments which no declared case broadcasts."""
    if not op.elementwise or op.variadic or len(op.arguments) < 2:
        return []
    known = []
    for case in op.cases:
        with contextlib.suppress(Exception):  # said where the case is checked
            inputs = case.sample(0)
            known.append((case, inputs, _broadcast_shape(inputs)))
    added = []
    for i in range(len(op.arguments)):
        of_it = [k for k in known if i < len(k[1]) and k[1][i] is not None]
        if any(inputs[i].shape != wide for _, inputs, wide in of_it):
            continue
        for case, _, wide in of_it:
            inputs = [*case.inputs]
            inputs[i] = _smaller(inputs[i])
            new = Case(*inputs, tolerance=case.tolerance, **case.kwargs)
            sample = new.sample(0)
            if sample[i].shape != wide == _broadcast_shape(sample):
                added.append(new)
                break
    return added


def _smaller(x: Any) -> Any:
    """Return an input of a case with a first axis of length 1, or without it."""
    if isinstance(x, tuple):
        return (1, *x[1:]) if x[:1] > (1,) else x[1:]
    if callable(x):
        return lambda rng: _smaller(np.array(x(rng)))
    x = np.array(x)
    if x.ndim == 0:
        return x
    return x[:1] if len(x) > 1 else x[0]


def _broadcast_shape(inputs: Sequence[Any]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(x.shape for x in inputs if x is not None))


# ------------------------------------------------------------------- how it is called


def _call(op: Op, inputs: Sequence[Any], case: Case) -> Any:
    return op(*as_called(op, inputs, case.kwargs), **case.kwargs)


def _with_defaults(op: Op, inputs: Sequence[Any]) -> list[Any]:
    """Return all arguments, where a case gives the first ones only."""
    parameters = inspect.signature(op.forward).parameters
    left_out = () if op.variadic else op.arguments[len(inputs) :]
    return [*inputs, *(parameters[name].default for name in left_out)]


def _parts(out: Any) -> tuple[Any, ...]:
    return tuple(out) if isinstance(out, tuple | list) else (out,)


def _numbers(out: Any) -> list[np.ndarray]:
    return [np.asarray(y.data if isinstance(y, Tensor) else y) for y in _parts(out)]


def _differentiable(op: Op, inputs: Sequence[Any]) -> list[int]:
    """Return the positions of the inputs that have a derivative."""
    return [
        i
        for i, x in enumerate(inputs)
        if isinstance(x, np.ndarray)
        and x.dtype.kind == "f"
        and op.argument(i) not in op.constant
    ]


def _recorded(op: Op, inputs: Sequence[Any], case: Case) -> tuple[Any, list[Tensor]]:
    """Return the result on Tensors, and those of them that have a derivative."""
    args = list(inputs)
    which = _differentiable(op, inputs)
    for i in which:
        args[i] = tensor(inputs[i], requires_grad=True)
    return _call(op, args, case), [args[i] for i in which]


def _gradients(op: Op, inputs: Sequence[Any], case: Case) -> list[Any]:
    """Return the gradients of a sum of the results with fixed weights."""
    out, leaves = _recorded(op, inputs, case)
    total = [np.zeros(x.shape) for x in leaves]
    rng = np.random.default_rng(0)
    for y in _parts(out) if leaves else ():
        weights = rng.standard_normal(y.shape)
        if y.requires_grad:
            found = gradients(y, leaves, gradient=weights)
            total = [t + g for t, g in zip(total, found, strict=True)]
    return total


# ------------------------------------------------------------------ what is asked of it


def _values(
    op: Op, case: Case, reference: Callable[..., Any] | None, rng: RandomSource
) -> Iterator[str]:
    """Compare values: with the reference, and those on Tensors."""
    inputs = case.sample(rng)
    plain = _call(op, inputs, case)
    if any(isinstance(y, Tensor) for y in _parts(plain)):
        yield "on arrays it returns a Tensor; it must compute with NumPy alone"
        return
    values = _numbers(plain)
    if op.elementwise:
        wide = _broadcast_shape(inputs)
        for y in values:
            if y.shape != wide:
                yield f"shape {y.shape}, but the inputs broadcast to {wide}"
    right = reference or op.numpy
    if right is not None:
        named = {**op.metadata, **case.kwargs}
        expected = _numbers(right(*as_called(op, inputs, case.kwargs), **named))
        yield from _differences(values, expected, _DOUBLE, "the reference")
    recorded, _ = _recorded(op, inputs, case)
    again = _differences(_numbers(recorded), values, 0.0, "the value on arrays")
    yield from (f"on Tensors (is it random?): {text}" for text in again)


def _single_precision(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Compare values and gradients in float32 with those in float64."""
    inputs = case.sample(rng)
    singles: list[Any] = list(inputs)
    for i, x in enumerate(inputs):
        if x is not None and x.dtype.kind == "f":
            singles[i] = x.astype(np.float32)
        elif x is not None and x.ndim == 0:
            singles[i] = x.item()  # Python's own integer promotes nothing
    values = _numbers(_call(op, singles, case))
    expected = case.kwargs.get("dtype", np.float32)
    for y in values:
        if y.dtype.kind == "f" and y.dtype != expected:
            yield f"float32 inputs give {y.dtype}"
    right = _numbers(_call(op, inputs, case))
    yield from _differences(values, right, _SINGLE, "the value in float64")
    if has_rules(op):
        found = _differences(
            _gradients(op, singles, case),
            _gradients(op, inputs, case),
            _SINGLE,
            "that in float64",
        )
        yield from (f"gradient in float32: {text}" for text in found)


def _python_numbers(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Compare gradients where a case gives a number with those for an array of it.

    A rule may ask for numbers, which stay such: 2 in x ** 2.
    """
    arrays = case.sample(rng)
    inputs = [
        given if type(given) in (int, float) else x
        for given, x in zip(case.inputs, arrays, strict=True)
    ]
    left = [
        i
        for i, at in enumerate(_differentiable(op, arrays))
        if inputs[at] is arrays[at]
    ]
    if left and any(type(x) in (int, float) for x in inputs):
        every = _gradients(op, arrays, case)
        found = _differences(
            _gradients(op, inputs, case),
            [every[i] for i in left],
            _DOUBLE,
            "that for an array of it",
        )
        yield from (f"gradient beside a Python number: {text}" for text in found)


def _digits(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Compare each number of an elementwise rule with the same in a finer precision.

    In tails, where differences resolve none of it, it may be all rounding: 1 - tanh² x.
    """
    named = {**op.metadata, **case.kwargs}
    inputs = _with_defaults(op, case.sample(rng))
    for coarse, fine, rtol in _DIGITS if op.elementwise else ():
        rounded = [_as_float(x, coarse) for x in inputs]
        _, _, rules = _one_call(op, rounded, named)
        try:
            _, _, finer = _one_call(op, [_as_float(x, fine) for x in rounded], named)
            right = {name: np.asarray(rule()) for name, rule in finer.items()}
        except TypeError:  # as SciPy's functions of extended precision
            continue
        for name, rule in rules.items():
            y, exact = np.broadcast_arrays(rule(), right[name])
            least = np.finfo(coarse).tiny
            off = np.abs(y - exact) > rtol * np.abs(exact) + least
            if np.any(off := off & np.isfinite(y.astype(coarse))):
                at = tuple(map(int, np.argwhere(off)[0]))
                yield (
                    f"the rule of {name} loses digits: {float(y[at])!r} at {list(at)} "
                    f"in {np.dtype(coarse)}, {float(exact[at])!r} in {np.dtype(fine)}"
                )


def _to_differentiate(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Compare gradients that are recorded, to be differentiated, with plain ones."""
    out, leaves = _recorded(op, case.sample(rng), case)
    for y in _parts(out) if leaves else ():
        if not y.requires_grad:
            continue
        plain, recorded = (
            gradients(y, leaves, gradient=np.ones(y.shape), create_graph=again)
            for again in (False, True)
        )
        for a, b in zip(_numbers(recorded), plain, strict=True):
            size = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
            if size > 0 and np.any(np.abs(a - b) > 1e-10 * size):
                yield "the gradient is another one where it is recorded (create_graph)"
                return


def _as_float(x: Any, dtype: Any) -> Any:
    """Return an array of floating-point numbers in another precision."""
    return x.astype(dtype) if getattr(x, "dtype", np.dtype(bool)).kind == "f" else x


def _residuals(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Compare what forward hands out with the expressions of it."""
    inputs = _with_defaults(op, case.sample(rng))
    named = {**op.metadata, **case.kwargs}
    for name, value in op.compute(inputs, named)[1].items():
        again = op.residuals[name](*inputs, **named)
        found = _differences([value], [again], _DOUBLE, "its expression")
        yield from (f"residual {name}: {text}" for text in found)


def _differences(
    values: Sequence[Any], expected: Sequence[Any], rtol: float, what: str
) -> Iterator[str]:
    """Say which of some arrays differ, and where most."""
    if len(values) != len(expected):
        yield f"{len(values)} results, but {what} has {len(expected)}"
        return
    for y, right in zip(
        map(np.asarray, values), map(np.asarray, expected), strict=True
    ):
        if y.shape != right.shape:
            yield f"shape {y.shape}, but {what} has {right.shape}"
            continue
        scale = np.max(np.abs(right), initial=1.0, where=np.isfinite(right))
        same = (y == right) | (np.isnan(y) & np.isnan(right))
        error = np.where(same, 0.0, np.abs(np.subtract(y, right, dtype=float)))
        error[np.isnan(error)] = np.inf
        if np.any(error > rtol * scale):
            at = np.unravel_index(np.argmax(error), error.shape)
            place = list(map(int, at))
            yield f"{y[at].item()!r} at {place}, but {what} is {right[at].item()!r}"


def _memory(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Look for arrays that are written to, and for such as every call hands out."""
    named = {**op.metadata, **case.kwargs}
    inputs, *samples = (_with_defaults(op, case.sample(rng)) for _ in range(3))
    given = {f"its input {_label(op, i)}": x for i, x in enumerate(inputs)}
    for what in _written(lambda: op.forward(*inputs, **named), given):
        yield f"it writes to {what}"
    given, made, rules = _one_call(op, samples[0], named)
    _, remade, rules_again = _one_call(op, samples[1], named)
    for what, y in made.items():
        if _shared(y, remade[what]):
            yield f"every call returns {what} in the same memory"
    for name, rule in rules.items():
        for what in _written(rule, {**given, **made}):
            yield f"the rule of {name} writes to {what}"
        if _shared(rule(), rules_again[name]()):
            yield f"every call of the rule of {name} returns the same memory"
        if not op.results and kept(partial(_with_g, rule), np.shape(made["out"])):
            yield f"the rule of {name} keeps g, into which others may write later"


def _one_call(
    op: Op, inputs: Sequence[Any], named: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Callable[[], Any]]]:
    """Call an operation; return what it was given, what it made, and its rules.

    The arrays go by what they are, the rules by their argument, ready to be called.
    """
    out, residuals = op.compute(inputs, named)
    ones = [np.ones(np.shape(y))[()] for y in _parts(out)]
    g = tuple(ones) if op.results else ones[0]
    given = {f"its input {_label(op, i)}": x for i, x in enumerate(inputs)}
    names = out._fields if op.results else ("out",)
    made = dict(zip(names, _parts(out), strict=True)) | residuals
    rules: dict[str, Callable[[], Any]] = {}
    which = _differentiable(op, inputs) if has_rules(op) else []
    for i, rule in zip(range(len(inputs)), op.rules if which else (), strict=False):
        if i in which:
            rules[_label(op, i)] = partial(rule, g, out, *inputs, **named, **residuals)
    up = {f"g[{i}]" if op.results else "g": y for i, y in enumerate(ones)}
    return given | up, made, rules


def _with_g(rule: Any, g: Any) -> Any:
    """Call a rule that is ready to be called, with another g."""
    return rule.func(g, *rule.args[1:], **rule.keywords)


def _label(op: Op, position: int) -> str:
    name = op.argument(position)
    return f"{name}[{position}]" if op.variadic else name


def _written(call: Callable[[], Any], arrays: Mapping[str, Any]) -> Iterator[str]:
    """Say to which of ``arrays`` a call writes: each is made read-only in its turn."""
    for what, x in arrays.items():
        if type(x) is not np.ndarray or not x.flags.writeable:
            continue
        x.flags.writeable = False
        try:
            call()
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            yield what
        finally:
            x.flags.writeable = True


def _shared(a: Any, b: Any) -> bool:
    """Whether two arrays, or two of several, can be written to through each other."""
    return any(
        type(x) is type(y) is np.ndarray
        and x.flags.writeable
        and np.shares_memory(x, y)
        for x, y in zip(_parts(a), _parts(b), strict=True)
    )


def _derivatives(
    op: Op, case: Case, order: int, rng: RandomSource, compared: _Compared
) -> Iterator[str]:
    """Compare derivatives with differences, order by order, until one is wrong."""
    rng = generator(rng)
    named = {**op.metadata, **case.kwargs}
    problem = first = of_operation(op, case.sample(rng), named)
    compared.arguments.update(name.partition("[")[0] for name in problem.names)
    failed = not problem.leaves
    for level in range(1, order + 1):
        if failed:
            return
        if level > 1:
            problem = problem.differentiated(rng)
        for r in compare(problem, rng, case.tolerance):
            compared.count += r.compared
            compared.worst = max(compared.worst, r.worst)
            which = "derivative" if level == 1 else f"order-{level} derivative"
            if r.wrong:
                cause = culprit_cause(r, problem, first, level)
                compared.causes.append(cause.name)
                yield f"{which} by {r.name}: {cause.text}\n{table(r.wrong)}"
            elif not r.resolved:
                compared.causes.append("resolution")
                yield f"{which} by {r.name}: {resolved_by(r)}"
            failed = failed or bool(r.wrong) or not r.resolved


def _elsewhere(
    op: Op, case: Case, order: int, rng: RandomSource, compared: _Compared
) -> Iterator[str]:
    """Compare derivatives at other inputs, where a fault may hide.

    In the tails, on each side of a kink, at numbers that are round or repeat.
    """
    if compared.causes:  # what is wrong is told already
        return
    rng = generator(rng)
    named = {**op.metadata, **case.kwargs}
    case.sample(rng)  # those that were checked
    for inputs, enough in other_inputs(op, case, rng):
        problem = first = of_operation(op, inputs, named)
        for level in range(1, min(order, enough) + 1) if problem.leaves else ():
            try:
                problem = problem if level == 1 else problem.differentiated(rng)
                there = Elsewhere(problem, rng, case.tolerance)
            except Exception:  # an error is no silently wrong number, and such inputs
                break  # may not be allowed
            which = "derivative" if level == 1 else f"order-{level} derivative"
            for r in there.reports:
                if r.wrong:
                    cause = culprit_cause(r, problem, first, level)
                    compared.causes.append(cause.name)
                    text = f"{which} by {r.name}, elsewhere: {cause.text}"
                    yield f"{text}\n{table(r.wrong)}"
                    return
            for number, analytic, numeric in there.unshared() if level == 1 else ():
                compared.causes.append("ties")
                yield (
                    f"where numbers are equal, {number:.4g}, the derivatives by them "
                    f"add up to {analytic:.9g}, but as all of them grow the slope is "
                    f"{numeric:.9g}: what ties has to share"
                )
                return
            if there.excused:
                break


def _forward_mode(op: Op, case: Case, rng: RandomSource) -> Iterator[str]:
    """Compare J v in forward mode with what reverse mode says of the same: wᵀ J v."""
    rng = generator(rng)
    inputs = case.sample(rng)
    places = _differentiable(op, inputs)
    if not places:
        return
    xs = tuple(inputs[i] for i in places)
    vs = tuple(rng.standard_normal(x.shape) for x in xs)

    def f(*leaves: Any) -> tuple[Any, ...]:
        args = list(inputs)
        for i, leaf in zip(places, leaves, strict=True):
            args[i] = leaf
        return _parts(_call(op, args, case))

    ys, tangents = jvp(f, xs, vs)
    ws = tuple(rng.standard_normal(np.shape(y)) for y in ys)
    pulled = vjp(f, *xs)[1](ws)
    pairs = [*zip(ws, tangents, strict=True)], [*zip(pulled, vs, strict=True)]
    forward, reverse = (sum(float(np.sum(a * b)) for a, b in p) for p in pairs)
    size = max(sum(float(np.sum(np.abs(a * b))) for a, b in p) for p in pairs)
    if not abs(forward - reverse) <= 1e-10 * max(size, 1.0):
        yield (
            f"forward mode gives {forward:.9g}, reverse mode {reverse:.9g}: a rule "
            "must be linear in g, and use g itself, not its numbers"
        )
