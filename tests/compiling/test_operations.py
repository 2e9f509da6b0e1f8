"""Every operation and every rule, as a program: the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.compiling.printer import Printed

#: Whose result has a shape that depends on numbers, or that SciPy computes alone.
REFUSED = {"expm", "getitem", "put", "repeat", "set_at"}
FAST = ["add", "matmul", "softmax", "logsumexp", "conv2d", "max", "take"]
OPS = sorted(te.OPS)


def derived(op, case, dtype):
    """Return a function of a case's arrays, with its gradients where it has some."""
    inputs = [
        x.astype(dtype) if x is not None and x.dtype.kind == "f" else x
        for x in case.sample(0)
    ]
    arrays = [x for x in inputs if x is not None]

    def value(*arrays):
        given = iter(arrays)
        full = [None if x is None else next(given) for x in inputs]
        results = op.call(*full, **case.kwargs)
        results = results if isinstance(results, tuple) else (results,)
        return sum(te.sum(y * y * 0.75 + y) for y in results)

    names = list(op.arguments) * len(arrays) if op.variadic else op.arguments
    smooth = [
        i
        for i, x in enumerate(arrays)
        if x.dtype.kind == "f" and names[i] not in op.constant
    ]
    return te.value_and_grad(value, argnums=tuple(smooth)) if smooth else value, arrays


def cases_of(name, dtypes=("f8", "f4")):
    for case in te.OPS[name].cases:
        for dtype in dtypes:
            f, arrays = derived(te.OPS[name], case, dtype)
            try:
                with np.errstate(all="ignore"):
                    f(*arrays)
            except (TypeError, ValueError, RuntimeError):
                continue  # no case of a sum of squares, such as labels
            yield f, arrays


def check(name, dtypes=("f8", "f4")):
    """Call each twice: the first call compares with the engine, bit by bit."""
    refused = 0
    for f, arrays in cases_of(name, dtypes):
        compiled = te.compile(f)
        with np.errstate(all="ignore"):
            try:
                compiled(*arrays)
            except te.compiling.Untraceable:
                refused += 1
                continue
            again = compiled(*arrays)
            wanted = f(*arrays)
        assert len(compiled.traces) == 1
        np.testing.assert_array_equal(
            np.ravel(flat(again)), np.ravel(flat(wanted)), strict=True
        )
        check_poisoned(compiled, arrays)
    assert not refused or name in REFUSED


def check_poisoned(compiled, arrays):
    """Run the program again, with nan in every buffer that nobody reads any more."""
    (trace,) = compiled.traces
    step = Printed(trace.program, poisoned=True).bind(trace.captured)
    with np.errstate(all="ignore"):
        inputs = [x for x in arrays if isinstance(x, np.ndarray | np.generic)]
        plain, dead = trace._run(*inputs), step(*inputs)
    for a, b in zip(plain, dead, strict=True):
        np.testing.assert_array_equal(a, b)


def flat(result):
    """Return all numbers of a value and its gradients, one after another."""
    if not isinstance(result, tuple):
        return np.asarray(getattr(result, "data", result))
    value, gradients = result
    return np.concatenate([np.ravel(value), *map(np.ravel, gradients)])


@pytest.mark.parametrize("name", FAST)
def test_forward_and_rules_have_the_same_bits(name):
    check(name, ("f8",))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPS)
def test_every_operation_has_the_same_bits(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["add", "tanh", "softmax", "matmul", "sum", "max"])
@pytest.mark.parametrize("layout", ["F", "strided", "reversed"])
def test_memory_order_makes_no_difference(name, layout):
    for f, arrays in cases_of(name, ("f8",)):
        if layout == "F":
            arrays = [np.asfortranarray(x) for x in arrays]
        elif layout == "strided":
            arrays = [
                np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x for x in arrays
            ]
        else:
            arrays = [x[::-1] if x.ndim else x for x in arrays]
        compiled = te.compile(f)
        with np.errstate(all="ignore"):
            first, second = compiled(*arrays), compiled(*arrays)

        np.testing.assert_array_equal(flat(first), flat(second))
