"""Every operation in every declared case: values, derivatives, dtypes, documents."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numeric import assert_near, finite_differences
from scipy import special

import tinygrad_edu as te
from tinygrad_edu import core, ops

INTERNAL = {
    "item"
}  # the graph's own; users meet it through operations of several results


# ------------------------------------------------------------------------ the oracles


def _added_at(x: np.ndarray, *, index: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Add entry by entry, by the numbers that the entries of an array have in it."""
    places = np.arange(np.prod(shape)).reshape(shape)[index]
    result = np.zeros(shape)
    for place, value in np.broadcast(places, x):
        result.flat[place] += value
    return result


def _replaced_at(x: np.ndarray, value: np.ndarray, *, index: Any) -> np.ndarray:
    places = np.arange(x.size).reshape(x.shape)[index]
    result = x.copy()
    for place, number in np.broadcast(places, value):
        result.flat[place] = number
    return result


def _summed_to(x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    result = np.zeros(shape)
    for value, place in np.nditer([x, np.broadcast_to(_numbered(shape), x.shape)]):
        result.flat[place] += value
    return result


def _numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def _linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return np.einsum("...i,oi->...o", x, weight) + (0 if bias is None else bias)


def _cross_entropy(logits: np.ndarray, labels: np.ndarray, *, reduction: str) -> Any:
    weights = labels if labels.dtype.kind == "f" else np.eye(logits.shape[-1])[labels]
    rows = -np.sum(weights * special.log_softmax(logits, axis=-1), axis=-1)
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](rows)


#: What an operation without NumPy function, or that merely calls it, is compared with.
ORACLES: dict[str, Callable[..., Any]] = {
    "astype": lambda x, dtype: x.astype(dtype),
    "getitem": lambda x, index: x[index],
    "linear": _linear,
    "log_softmax": special.log_softmax,
    "logsumexp": special.logsumexp,
    "put": _added_at,
    "relu": lambda x: np.where(x > 0, x, 0),
    "set_at": _replaced_at,
    "sigmoid": special.expit,
    "softmax": special.softmax,
    "softmax_cross_entropy": _cross_entropy,
    "softplus": lambda x: -special.log_expit(-x),
    "sum_to": _summed_to,
}


# -------------------------------------------------------------------- the declarations

OPS = [o for o in te.OPS.values() if o.forward.__module__.startswith("tinygrad_edu.")]
CASES = [(o, case) for o in OPS for case in o.cases]
every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
every_case = pytest.mark.parametrize(
    ("op", "case"), [pytest.param(o, c, id=f"{o.name}-{c!r}") for o, c in CASES]
)


def results_of(out: Any) -> tuple[Any, ...]:
    return out if isinstance(out, tuple) else (out,)


def numbers_of(out: Any) -> list[np.ndarray]:
    return [np.asarray(getattr(r, "data", r)) for r in results_of(out)]


def differentiable(op: te.Op, arrays: list[Any]) -> list[int]:
    """The positions of the inputs that have a derivative."""
    rules = [rule for rule, _ in zip(op.rules, arrays, strict=False)]
    return [
        i
        for i, (x, rule) in enumerate(zip(arrays, rules, strict=True))
        if x is not None
        and getattr(x, "dtype", np.dtype(int)).kind == "f"
        and getattr(rule, "func", None) is not core._no_derivative
    ]


def as_numpy(op: te.Op, arrays: list[Any]) -> list[Any]:
    """The positional arguments: of a variadic operation one sequence, as in NumPy."""
    return [list(arrays)] if op.variadic else arrays


def call(op: te.Op, arrays: list[Any], case: te.Case) -> Any:
    return op(*as_numpy(op, arrays), **case.kwargs)


def tracked(op: te.Op, arrays: list[Any]) -> list[Any]:
    """Make Tensors of the inputs that have a derivative."""
    leaves = list(arrays)
    for i in differentiable(op, arrays):
        leaves[i] = te.tensor(arrays[i], requires_grad=True, name=f"input {i}")
    return leaves


def weights_for(out: Any, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.standard_normal(np.shape(r)) for r in numbers_of(out)]


def weighted_sum(out: Any, weights: list[Any]) -> te.Tensor:
    parts = [te.sum(r * w) for r, w in zip(results_of(out), weights, strict=True)]
    return sum(parts[1:], parts[0])


def single(x: np.ndarray | None) -> Any:
    """In single precision; a lone integer as Python's, which promotes nothing."""
    if x is None or x.dtype.kind != "f":
        return x.item() if x is not None and x.ndim == 0 else x
    return x.astype(np.float32)


def gradients_of(
    op: te.Op, case: te.Case, arrays: list[Any], weights: list[Any], **how: Any
) -> list[Any]:
    """Gradients of Σ out · weights by all inputs that have one."""
    leaves = tracked(op, arrays)
    inputs = [leaves[i] for i in differentiable(op, arrays)]
    return te.gradients(weighted_sum(call(op, leaves, case), weights), inputs, **how)


# ----------------------------------------------------------------- numbers of each case


@every_case
def test_value_is_that_of_the_oracle(op, case, rng):
    arrays = case.sample(rng)
    oracle = ORACLES.get(op.name, op.numpy)
    assert oracle, f"give {op.name} an oracle in ORACLES"

    actual = numbers_of(call(op, arrays, case))
    expected = oracle(*as_numpy(op, arrays), **{**op.metadata, **case.kwargs})

    for value, right in zip(actual, numbers_of(expected), strict=True):
        assert_near(value, right, 1e-14, f"{op.name} {case}")


@every_case
def test_tensors_give_what_arrays_give(op, case, rng):
    arrays = case.sample(rng)

    plain = call(op, arrays, case)
    recorded = call(op, tracked(op, arrays), case)

    for x, t in zip(results_of(plain), results_of(recorded), strict=True):
        assert not isinstance(x, te.Tensor)
        assert isinstance(t, te.Tensor)
        assert t.requires_grad
        np.testing.assert_array_equal(t.data, x, strict=True)


@every_case
def test_first_derivatives_are_the_finite_differences(op, case, rng):
    arrays = case.sample(rng)
    weights = weights_for(call(op, arrays, case), rng)

    actual = gradients_of(op, case, arrays, weights)

    for g, i in zip(actual, differentiable(op, arrays), strict=True):
        expected = finite_differences(
            lambda *x: numbers_of(call(op, list(x), case)), arrays, weights, i
        )
        assert_near(g, expected, case.tolerance, f"{op.name} {case}, input {i}")


@every_case
def test_second_derivatives_are_the_finite_differences(op, case, rng):
    """Of a random projection of the gradients, by inputs and upstream gradient."""
    arrays = case.sample(rng)
    upstream = weights_for(call(op, arrays, case), rng)
    which, n = differentiable(op, arrays), len(arrays)
    projection = [rng.standard_normal(arrays[i].shape) for i in which]

    leaves = tracked(op, arrays)
    inputs = [leaves[i] for i in which]
    g = [te.tensor(w, requires_grad=True) for w in upstream]
    first = te.gradients(
        weighted_sum(call(op, leaves, case), g), inputs, create_graph=True
    )
    second = te.gradients(weighted_sum(tuple(first), projection), [*inputs, *g])

    def first_again(*x: Any) -> list[Any]:
        return gradients_of(op, case, list(x[:n]), list(x[n:]))

    for actual, i in zip(second, [*which, *range(n, n + len(g))], strict=True):
        expected = finite_differences(first_again, [*arrays, *upstream], projection, i)
        assert_near(actual, expected, case.tolerance, f"{op.name} {case}, by {i}")


@every_case
def test_create_graph_gives_the_same_gradients(op, case, rng):
    arrays = case.sample(rng)
    weights = weights_for(call(op, arrays, case), rng)

    plain = gradients_of(op, case, arrays, weights)
    recorded = gradients_of(op, case, arrays, weights, create_graph=True)

    for x, t in zip(plain, recorded, strict=True):
        assert type(x) is np.ndarray
        assert type(t) is te.Tensor
        assert_near(t.data, x, 1e-14, f"{op.name} {case}")


@every_case
def test_float32_stays_float32(op, case, rng):
    arrays = case.sample(rng)
    singles = [single(x) for x in arrays]
    weights = weights_for(call(op, arrays, case), rng)
    halves = [w.astype(np.float32) for w in weights]

    out = call(op, tracked(op, singles), case)
    gradients = gradients_of(op, case, singles, halves)

    doubles = numbers_of(call(op, arrays, case))
    for value, expected in zip(results_of(out), doubles, strict=True):
        assert value.dtype == case.kwargs.get("dtype", np.float32)
        assert_near(value.data, expected, 1e-4, f"{op.name} {case}")
    doubles = gradients_of(op, case, arrays, weights)
    for g, expected in zip(gradients, doubles, strict=True):
        assert g.dtype == np.float32
        assert_near(g, expected, 1e-4, f"gradient of {op.name} {case}")


@every_case
def test_inputs_are_not_written(op, case, rng):
    arrays = case.sample(rng)
    leaves = tracked(op, arrays)
    weights = weights_for(call(op, arrays, case), rng)
    for x in [*arrays, *weights, *(t.data for t in leaves if isinstance(t, te.Tensor))]:
        if x is not None:
            x.flags.writeable = False  # writing raises

    call(op, arrays, case)
    weighted_sum(call(op, leaves, case), weights).backward()

    for x, t in zip(arrays, leaves, strict=True):
        if isinstance(t, te.Tensor):
            np.testing.assert_array_equal(t.data, x)
            assert not np.shares_memory(t.grad, t.data)


@every_case
def test_residuals_are_what_their_expressions_say(op, case, rng):
    arrays = case.sample(rng)
    named = {**op.metadata, **case.kwargs}
    if not op.residuals:
        return

    _, *handed_out = op.forward(*arrays, **named)

    for (name, expression), value in zip(op.residuals.items(), handed_out, strict=True):
        expected = expression(*arrays, **named)
        assert_near(value, expected, 1e-14, f"{op.name} {case}: {name}")


@every_case
def test_numpys_function_records_the_operation(op, case, rng):
    if op.numpy is None:
        return
    leaves = tracked(op, case.sample(rng))

    theirs = op.numpy(*as_numpy(op, leaves), **case.kwargs)
    ours = call(op, leaves, case)

    for a, b in zip(results_of(theirs), results_of(ours), strict=True):
        node = a.inputs[0] if a.op.name == "item" else a
        assert node.op is op
        np.testing.assert_array_equal(a.data, b.data, strict=True)


# ------------------------------------------------------------- what every operation has


@every_op
def test_has_a_case(op):
    assert op.cases or op.name in INTERNAL


@every_op
def test_has_a_label_and_its_own_name(op):
    assert te.OPS[op.name] is op
    assert op.name == op.forward.__name__
    assert op.symbol.strip() == op.symbol != ""


@every_op
def test_has_a_rule_for_every_argument(op):
    assert list(zip(op.arguments, op.rules, strict=False))


@every_op
def test_is_in_the_functional_namespace_and_a_method(op):
    if op.name in INTERNAL:
        return

    assert getattr(te, op.name) is op
    assert op.name in ops.__all__
    assert getattr(te.Tensor, op.name).__wrapped__ is op.forward


@every_op
def test_docstring_is_complete_and_its_examples_run(op):
    if op.name in INTERNAL:
        return
    text = inspect.cleandoc(op.__doc__)  # Python 3.13 takes out the indentation itself
    for section in ("Parameters", "Returns", "Notes", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in text, section
    for name in [*op.arguments, *op.metadata]:
        assert name in text.partition("Parameters")[2].partition("Returns")[0], name
    examples = doctest.DocTestParser().get_doctest(text, {}, op.name, None, None)

    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    outcome = doctest.DocTestRunner(optionflags=flags).run(examples)

    assert outcome.attempted > 0
    assert outcome.failed == 0
