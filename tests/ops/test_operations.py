"""Every operation: right in its declared cases, reachable, documented."""

from __future__ import annotations

import doctest
import inspect
import math
import operator
import statistics
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from matrix_oracles import ORACLES as OF_MATRICES
from numeric import assert_near
from scipy import special

import tinygrad_edu as te
from tinygrad_edu import ops
from tinygrad_edu.checks.problems import as_called

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


def _gelu(x: np.ndarray, *, approximate: str) -> np.ndarray:
    if approximate == "none":
        return x * special.ndtr(x)
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _lstm_memory(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    i, f, g, _ = np.split(z, 4, axis=-1)
    return special.expit(f) * c + special.expit(i) * np.tanh(g)


def _in_rows(x: np.ndarray, axis: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """The axes to reduce made one, the last; and which they are."""
    axes = range(x.ndim) if axis is None else (np.atleast_1d(axis) % x.ndim).tolist()
    rest = [i for i in range(x.ndim) if i not in axes]
    shape = [x.shape[i] for i in rest]
    return x.transpose(*rest, *axes).reshape(*shape, -1), tuple(axes)


def _row_by_row(f: Callable[..., float]) -> Callable[..., Any]:
    """A reduction, of ``f`` on each row as a list."""

    def oracle(x: np.ndarray, *, axis: Any, keepdims: bool, **named: Any) -> Any:
        rows, axes = _in_rows(x, axis)
        result = np.empty(rows.shape[:-1])
        for i in np.ndindex(result.shape):
            result[i] = f(rows[i].tolist(), **named)
        return np.expand_dims(result, axes) if keepdims else result

    return oracle


def _along(f: Callable[[list[float]], Any]) -> Callable[..., Any]:
    """What keeps the shape, or with axis=None makes a single row."""

    def oracle(x: np.ndarray, *, axis: int | None) -> Any:
        rows, _ = _in_rows(x, axis)
        result = np.array([list(f(r)) for r in rows.reshape(-1, rows.shape[-1])])
        if axis is None:
            return result[0]
        return np.moveaxis(result.reshape(rows.shape), -1, axis)

    return oracle


def _variance(row: list[float], *, ddof: float) -> float:
    m = math.fsum(row) / len(row)
    return math.fsum((v - m) ** 2 for v in row) / (len(row) - ddof)


def _diagonal(x: np.ndarray, *, offset: int, axis1: int, axis2: int) -> np.ndarray:
    m = np.moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = m.shape[-2:]
    places = [(i, i + offset) for i in range(rows) if 0 <= i + offset < columns]
    result = np.empty((*m.shape[:-2], len(places)))
    for k, (i, j) in enumerate(places):
        result[..., k] = m[..., i, j]
    return result


def _triangle(sign: int) -> Callable[..., Any]:
    def oracle(x: np.ndarray, *, k: int) -> np.ndarray:
        m = np.array([x] * len(x)) if x.ndim == 1 else x.copy()
        for place in np.ndindex(m.shape):
            if sign * (place[-1] - place[-2] - k) > 0:
                m[place] = 0
        return m

    return oracle


#: Where each place of the margin is copied from: ... -2 -1 | 0 1 2 | 3 4 ...
_MARGINS: dict[str, Callable[[int, int], int]] = {
    "edge": lambda i, n: min(max(i, 0), n - 1),
    "reflect": lambda i, n: (n - 1) - abs((n - 1) - i % (2 * n - 2)),
    "symmetric": lambda i, n: min(i % (2 * n), 2 * n - 1 - i % (2 * n)),
    "wrap": lambda i, n: i % n,
}


def _padded(
    x: np.ndarray, *, pad_width: Any, mode: str, constant_values: Any
) -> np.ndarray:
    if mode == "constant":
        return np.pad(x, pad_width, constant_values=constant_values)
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(i - x.ndim, (0, 0)) for i in range(x.ndim)]
    for axis, (a, b) in enumerate(np.broadcast_to(pad_width, (x.ndim, 2)).tolist()):
        n = x.shape[axis]
        origins = [_MARGINS[mode](i, n) for i in range(-a, n + b)]
        x = np.stack([x.take(i, axis) for i in origins], axis)
    return x


def _taken_along(x: np.ndarray, indices: np.ndarray, *, axis: int | None) -> Any:
    if axis is None:
        return np.array([x.flat[i] for i in indices])
    shape = list(np.broadcast_shapes(np.take(x, [0], axis).shape, indices.shape))
    shape[axis] = indices.shape[axis]
    result = np.empty(shape)
    picks = np.broadcast_to(indices, shape)
    for place in np.ndindex(result.shape):
        source = [min(i, n - 1) for i, n in zip(place, x.shape, strict=True)]
        source[axis] = picks[place]
        result[place] = x[tuple(source)]
    return result


def _taken(x: np.ndarray, indices: np.ndarray, *, axis: int | None) -> np.ndarray:
    return (
        x.ravel()[indices]
        if axis is None
        else x[(slice(None),) * (axis % x.ndim) + (indices,)]
    )


def _repeated(x: np.ndarray, *, repeats: Any, axis: int | None) -> np.ndarray:
    if axis is None:
        x, axis = x.reshape(-1), 0
    times = np.broadcast_to(repeats, x.shape[axis]).tolist()
    return np.stack(
        [x.take(i, axis) for i, n in enumerate(times) for _ in range(n)], axis
    )


def _tiled(x: np.ndarray, *, reps: Any) -> np.ndarray:
    reps = np.atleast_1d(reps)
    x = x.reshape((1,) * (len(reps) - x.ndim) + x.shape)
    reps = [1] * (x.ndim - len(reps)) + reps.tolist()
    places = np.ndindex(*(n * r for n, r in zip(x.shape, reps, strict=True)))
    values = [x[tuple(i % n for i, n in zip(p, x.shape, strict=True))] for p in places]
    return np.reshape(values, [n * r for n, r in zip(x.shape, reps, strict=True)])


#: What an operation without NumPy function, or that merely calls it, is compared with.
ORACLES: dict[str, Callable[..., Any]] = {
    **OF_MATRICES,
    "astype": lambda x, dtype: x.astype(dtype),
    "bessel_i": lambda x, order: special.iv(order, x),
    "copy": lambda x: np.array(x.tolist()),
    "csch": lambda x: 1 / np.sinh(x),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    "erf": np.vectorize(math.erf),
    "erfc": np.vectorize(math.erfc),
    "gelu": _gelu,
    "getitem": lambda x, index: x[index],
    "hard_tanh": lambda x, min_val, max_val: np.maximum(
        np.minimum(x, max_val), min_val
    ),
    "leaky_relu": lambda x, negative_slope: np.where(x > 0, x, negative_slope * x),
    "linear": _linear,
    "log_softmax": special.log_softmax,
    "lstm_memory": _lstm_memory,
    "lstm_output": lambda z, c: special.expit(np.split(z, 4, -1)[3]) * np.tanh(c),
    "logit": lambda x: np.log(x) - np.log1p(-x),
    "logsumexp": special.logsumexp,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "put": _added_at,
    "relu": lambda x: np.where(x > 0, x, 0),
    "sech": lambda x: 1 / np.cosh(x),
    "selu": lambda x: (
        1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))
    ),
    "set_at": _replaced_at,
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "softmax": special.softmax,
    "softmax_cross_entropy": _cross_entropy,
    "softplus": lambda x: -special.log_expit(-x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "standardize": lambda x, axis, eps: (
        (x - np.mean(x, axis, keepdims=True))
        / np.sqrt(np.var(x, axis, keepdims=True) + eps)
    ),
    "sum_to": _summed_to,
    "cumprod": _along(lambda row: accumulate(row, operator.mul)),
    "cumsum": _along(accumulate),
    "diagonal": _diagonal,
    "flatten": lambda x: np.array(list(x.flat)),
    "max": _row_by_row(max),
    "mean": _row_by_row(statistics.fmean),
    "median": _row_by_row(statistics.median),
    "min": _row_by_row(min),
    "pad": _padded,
    "prod": _row_by_row(math.prod),
    "ravel": lambda x: np.array(list(x.flat)),
    "repeat": _repeated,
    "sort": _along(sorted),
    "std": _row_by_row(lambda row, ddof: math.sqrt(_variance(row, ddof=ddof))),
    "sum": _row_by_row(math.fsum),
    "take": _taken,
    "take_along_axis": _taken_along,
    "tile": _tiled,
    "trace": lambda x, **named: _diagonal(x, **named).sum(axis=-1),
    "tril": _triangle(1),
    "triu": _triangle(-1),
    "var": _row_by_row(_variance),
    "where": lambda c, x, y: np.vectorize(lambda c, x, y: x if c else y)(c, x, y),
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
    return [
        i
        for i, x in enumerate(arrays)
        if x is not None and x.dtype.kind == "f" and op.argument(i) not in op.constant
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


def gradients_of(
    op: te.Op, case: te.Case, arrays: list[Any], weights: list[Any], **how: Any
) -> list[Any]:
    """Gradients of Σ out · weights by all inputs that have one."""
    leaves = tracked(op, arrays)
    inputs = [leaves[i] for i in differentiable(op, arrays)]
    return te.gradients(weighted_sum(call(op, leaves, case), weights), inputs, **how)


# -------------------------------------------------------------------------- the numbers


@every_op
def test_is_right(op):
    if op.name in INTERNAL:
        return
    oracle = ORACLES.get(op.name, op.numpy)
    assert oracle, f"give {op.name} an oracle in ORACLES"

    te.check_op(op, reference=oracle)


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
def test_create_graph_takes_the_other_inputs_as_plain_arrays_too(op, case, rng):
    arrays = case.sample(rng)
    weights = weights_for(call(op, arrays, case), rng)
    plain = gradients_of(op, case, arrays, weights)

    for i, right in zip(differentiable(op, arrays), plain, strict=True):
        inputs = [*arrays]
        inputs[i] = leaf = te.tensor(arrays[i], requires_grad=True)
        out = weighted_sum(call(op, inputs, case), weights)
        (g,) = te.gradients(out, [leaf], create_graph=True)

        assert_near(g.data, right, 1e-14, f"{op.name} {case}, input {i}")


def laid_out(x: Any, how: str) -> Any:
    """The same numbers, otherwise in memory."""
    if x is None or x.ndim == 0 or x.dtype.kind != "f":
        return x
    if how == "Fortran":
        return np.asfortranarray(x)
    if how == "every other one":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    return np.ascontiguousarray(x[::-1])[::-1]


@pytest.mark.parametrize("how", ["Fortran", "every other one", "backwards"])
@every_op
def test_the_layout_in_memory_makes_no_difference(op, how, rng):
    for case in op.cases if op.name not in INTERNAL else ():
        arrays = case.sample(rng)
        weights = weights_for(call(op, arrays, case), rng)
        others = [laid_out(x, how) for x in arrays]
        upstream = [laid_out(w, how) for w in weights]

        values = numbers_of(call(op, others, case))
        gradients = gradients_of(op, case, others, upstream)

        for y, right in zip(values, numbers_of(call(op, arrays, case)), strict=True):
            assert_near(y, right, 1e-14, f"{op.name} {case}")
        for g, right in zip(
            gradients, gradients_of(op, case, arrays, weights), strict=True
        ):
            assert_near(g, right, 1e-12, f"gradient of {op.name} {case}")


@every_case
def test_numpys_function_records_the_operation(op, case, rng):
    if op.numpy in (None, np.einsum):  # that takes no keyword for the subscripts
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
    for name in [*op.arguments, *inspect.signature(op).parameters]:
        assert name in text.partition("Parameters")[2].partition("Returns")[0], name
    examples = doctest.DocTestParser().get_doctest(text, {}, op.name, None, None)

    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    outcome = doctest.DocTestRunner(optionflags=flags).run(examples)

    assert outcome.attempted > 0
    assert outcome.failed == 0


# ------------------------------------------------------------------- None for an array


def left_out():
    """Every operation with each of its arguments that must be given."""
    for op in (op for op in OPS if op.name not in INTERNAL):
        for i, name in enumerate(op.cases[0].inputs if op.variadic else op.arguments):
            if op.variadic or name not in op.optional:
                yield pytest.param(op, i, id=f"{op.name}-{i}")


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize(("op", "position"), [*left_out()])
def test_none_for_an_array_is_refused(op, position, tracked):
    case = op.cases[0]
    args = case.sample(0)
    if tracked:
        args = [x if x is None else as_tensor(op, i, x) for i, x in enumerate(args)]
    args[position] = None

    with pytest.raises(TypeError, match=f"^{op.name}: .*(NoneType|missing)"):
        op.call(*as_called(op, args, case.kwargs), **case.kwargs)


def as_tensor(op, position, x):
    is_float = x.dtype.kind == "f" and op.argument(position) not in op.constant
    return te.tensor(x, requires_grad=is_float)


def test_what_may_be_left_out_may_be_none():
    names = {op.name for op in OPS if op.optional}
    assert names == {"clip", "conv1d", "conv2d", "linear"}
    x = te.tensor([1.0, 5.0], requires_grad=True)

    assert te.clip(x, None, 2.0).data.tolist() == [1.0, 2.0]
    assert te.linear(x, [[1.0, 1.0]], None).data.tolist() == [6.0]
