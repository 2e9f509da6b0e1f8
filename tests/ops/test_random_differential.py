"""Every operation in random dtypes, layouts, shapes and metadata: never another number.

The truth needs no peer: the same call in float64, on contiguous copies of equal shapes.
What an operation refuses with an error is left out; it has to take a fifth, at least.
"""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.checks.problems import as_called

pytestmark = pytest.mark.slow

OPS = [
    op
    for op in te.OPS.values()
    if op.forward.__module__.startswith("tinygrad_edu.") and op.cases
    if op.name != "ldexp"  # whose second are whole numbers
]
every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
REFUSED = (ValueError, TypeError, IndexError, np.linalg.LinAlgError, ArithmeticError)
ROUNDS = 200
FLOATS = (np.float64, np.float32, np.float16)
CONSTANTS = (
    np.int8,
    np.uint8,
    np.int16,
    np.int32,
    np.uint32,
    np.int64,
    np.uint64,
    bool,
)
#: A jump is on another side where a quotient is rounded otherwise.
JUMPS = {"floor_divide", "remainder", "round", "floor", "ceil", "trunc", "rint"}


#: The gradient is a small difference of large terms: of two numbers along an axis.
CANCELS = {"standardize": 1000}


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


# ------------------------------------------------------------------------- random calls


def metadata(op, case, inputs, rng):
    """Metadata of a case, or what is near: another axis, axes kept or not."""
    named = {**op.metadata, **case.kwargs}
    if rng.random() < 0.5:
        return named
    for name, value in named.items():
        axes = np.ndim(inputs[0]) if inputs and inputs[0] is not None else 0
        if type(value) is bool:
            named[name] = bool(rng.integers(2))
        elif name == "axis" and axes:
            some = [None, *range(-axes, axes)]
            named[name] = some[rng.integers(len(some))]
        elif rng.random() < 0.3:
            others = [c.kwargs[name] for c in op.cases if name in c.kwargs]
            named[name] = others[rng.integers(len(others))] if others else value
    return named


def reshaped(op, x, rng):
    """Of an elementwise operation's argument another shape: one row, 0-d, none."""
    how = rng.integers(8) if op.elementwise and not op.variadic else 7
    if how == 0 and x.ndim:
        return x[:1]
    if how == 1 and x.size:
        return np.array(x.flat[0])
    if how == 2 and x.ndim:
        return x[..., :1]
    if how == 3:
        return np.stack([x, x])
    if how == 4 and x.ndim:
        return x[:0]
    if rng.random() < 0.1 and x.ndim and not op.constant:
        return np.repeat(x[:1], len(x), axis=0)
    return x


def converted(op, position, x, rng):
    """In another dtype: floats as they are or narrower, or whole numbers."""
    if x.dtype.kind != "f" or op.argument(position) in op.constant:
        return x
    if len(op.arguments) > 1 and rng.random() < 0.25:
        dtype = CONSTANTS[rng.integers(len(CONSTANTS))]
        whole = np.round(2 * x)
        signed = np.issubdtype(dtype, np.signedinteger)
        return (whole if signed else np.abs(whole)).astype(dtype)
    return x.astype(FLOATS[rng.integers(3)])


def laid_out(x, rng):
    """The same numbers, otherwise in memory."""
    how = rng.integers(7)
    if how == 0:
        x = np.array(x, order="F")
    elif how == 1 and x.ndim:
        x = np.repeat(x, 2, axis=-1)[..., ::2]
    elif how == 2 and x.ndim:
        x = np.ascontiguousarray(x[::-1])[::-1]
    elif how == 3 and x.ndim:
        x = np.ascontiguousarray(np.moveaxis(x, 0, -1))
        x = np.moveaxis(x, -1, 0)
    elif how == 4:
        x = x.copy()
        x.flags.writeable = False
    elif x.ndim and x.size and np.all(x == x[:1]):
        x = np.broadcast_to(x[:1], x.shape)
    elif how == 5 and x.ndim:  # on an odd address
        x = np.append(np.zeros(1, x.dtype), x.ravel())[1:].reshape(x.shape)
    return x


#: Done twice they change nothing; once they leave another layout behind.
VIEWS = (lambda x: x, lambda x: np.flip(x), lambda x: np.transpose(x))


class Called:
    """A random call of an operation: its inputs, metadata, results and leaves."""

    def __init__(self, op, rng):
        case = op.cases[rng.integers(len(op.cases))]
        inputs = case.sample(rng)
        self.op, self.named = op, metadata(op, case, inputs, rng)
        self.inputs = [
            x if x is None else converted(op, i, reshaped(op, x, rng), rng)
            for i, x in enumerate(inputs)
        ]
        self.arrays = [x if x is None else laid_out(x, rng) for x in self.inputs]
        self.by = [
            i
            for i, x in enumerate(self.inputs)
            if x is not None
            and x.dtype.kind == "f"
            and op.argument(i) not in op.constant
            and rng.random() < 0.8
        ]
        if not self.by:
            raise ValueError("nothing to differentiate by")
        shapes = [x.shape for x in self.inputs if x is not None]
        self.wide = np.broadcast_shapes(*shapes) if op.elementwise else None

    def __str__(self):
        how = [x if x is None else f"{x.dtype}{x.shape}" for x in self.inputs]
        return f"{self.op.name}({how}, {self.named}), by {self.by}"

    def run(self, arrays, view=lambda x: x):
        """Return the results, and what the derivatives are by: views of leaves."""
        args = list(arrays)
        for i in self.by:
            leaf = te.tensor(view(arrays[i]), requires_grad=True, name=f"input {i}")
            args[i] = view(leaf)
        self.args = args
        out = self.op.call(*as_called(self.op, args, self.named), **self.named)
        outs = out if isinstance(out, tuple) else (out,)
        return outs, [args[i] for i in self.by]

    def exact(self):
        """The inputs in float64, contiguous, of one shape if it is elementwise."""
        wide = self.inputs
        if self.wide is not None:
            wide = [x if x is None else np.broadcast_to(x, self.wide) for x in wide]
        return [
            x
            if x is None or (x.dtype.kind not in "fiu" and i not in self.by)
            else np.array(
                x, np.float64 if i in self.by or self.wide is not None else x.dtype
            )
            for i, x in enumerate(wide)
        ]

    def gradients(self, outs, leaves, gs):
        total = [np.zeros(x.shape) for x in leaves]
        for y, g in zip(outs, gs, strict=True):
            if isinstance(y, te.Tensor) and y.requires_grad:
                found = te.gradients(y, leaves, gradient=g)
                total = [t + d for t, d in zip(total, found, strict=True)]
        return total


def calls(op, rng, count=ROUNDS):
    """Yield random calls that an operation takes, each with what it gives."""
    taken = 0
    for _ in range(count):
        try:
            call = Called(op, rng)
            view = VIEWS[rng.integers(len(VIEWS))]
            outs, leaves = call.run(call.arrays, view)
            exact, exact_leaves = call.run(call.exact())
            gs = [rng.standard_normal(y.shape).astype(y.dtype) for y in outs]
            found = call.gradients(outs, leaves, [laid_out(g, rng) for g in gs])
            right = call.gradients(exact, exact_leaves, gs)
        except REFUSED:
            continue
        taken += 1
        yield call, outs, exact, found, right
    assert taken > count / 5, f"{op.name} takes {taken} of {count} random calls"


def summed_to(d, shape):
    """Undo broadcasting, by hand."""
    d = d.sum(axis=tuple(range(d.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and d.shape[i] != 1)
    return d.sum(axis=axes, keepdims=True)


def assert_close(found, right, eps, what):
    found, right = np.asarray(found, np.float64), np.asarray(right, np.float64)
    assert found.shape == right.shape, what
    largest = np.max(np.abs(right), initial=1.0, where=np.isfinite(right))
    known = np.isfinite(right) & (np.isfinite(found) | (np.abs(right) < 1e4))
    off = np.abs(found - right)[known]
    assert np.all(off <= 16 * eps * largest), f"{what}: {found} for {right}"


# -------------------------------------------------------------------------- what holds


@every_op
def test_no_dtype_layout_or_shape_gives_another_number(op, rng):
    for call, outs, exact, found, right in calls(op, rng):
        floats = [x.dtype for x in call.inputs if x is not None and x.dtype.kind == "f"]
        eps = max((float(np.finfo(d).eps) for d in floats), default=1e-16)
        eps *= CANCELS.get(op.name, 1)
        for y, z in zip(outs, exact, strict=True):
            if op.name not in JUMPS:
                value = y.data if isinstance(y, te.Tensor) else y
                assert_close(
                    value, z.data if isinstance(z, te.Tensor) else z, eps, call
                )
        for i, d, e in zip(call.by, found, right, strict=True):
            shape = call.inputs[i].shape
            e = summed_to(e, shape) if call.wide is not None else e
            assert_close(d, e, eps, f"gradient of {call} by {i}")


@every_op
def test_the_gradient_is_linear_in_g_and_agrees_with_forward_mode(op, rng):
    for _ in range(40):
        try:
            call = Called(op, rng)
            arrays = call.exact()
            outs, leaves = call.run(arrays)
        except REFUSED:
            continue
        g, h = ([rng.standard_normal(y.shape) for y in outs] for _ in range(2))
        try:
            by_g, by_h = (call.gradients(outs, leaves, part) for part in (g, h))
            mixed = [a - 2 * b for a, b in zip(g, h, strict=True)]
            for d, a, b in zip(
                call.gradients(outs, leaves, mixed), by_g, by_h, strict=True
            ):
                known = np.isfinite(a - 2 * b)
                size = np.max(np.abs(a) + np.abs(b), initial=1.0, where=known)
                assert np.all(np.abs(d - (a - 2 * b))[known] <= 1e-12 * size), call

            def f(*moved, call=call, arrays=arrays):
                args = list(arrays)
                for i, x in zip(call.by, moved, strict=True):
                    args[i] = x
                y = call.op.call(*as_called(call.op, args, call.named), **call.named)
                return tuple(y) if isinstance(y, tuple) else (y,)

            vs = tuple(rng.standard_normal(x.shape) for x in leaves)
            _, pushed = te.jvp(f, tuple(x.data for x in leaves), vs)
        except REFUSED:
            continue  # as at a kink: forward mode takes a second derivative
        forward = [a * b for a, b in zip(g, pushed, strict=True)]
        reverse = [a * b for a, b in zip(by_g, vs, strict=True)]
        size = max(sum(np.sum(np.abs(p)) for p in ps) for ps in (forward, reverse))
        off = sum(map(np.sum, forward)) - sum(map(np.sum, reverse))
        if np.isfinite(size):
            assert abs(off) <= 1e-11 * max(size, 1.0), call


@every_op
def test_what_is_written_to_before_backward_is_noticed_or_makes_no_difference(op, rng):
    for _ in range(60):
        try:
            call = Called(op, rng)
            arrays = [x if x is None else np.array(x) for x in call.arrays]
            outs, leaves = call.run(arrays)
            gs = [rng.standard_normal(y.shape).astype(y.dtype) for y in outs]
            right = call.gradients(outs, leaves, gs)
        except REFUSED:
            continue
        outs, leaves = call.run(arrays)
        at = [i for i, x in enumerate(arrays) if x is not None and x.size]
        if not at:
            continue
        written = call.args[at[rng.integers(len(at))]]
        array = written.data if isinstance(written, te.Tensor) else written
        if rng.random() < 0.5:
            array[...] = 1 - array if array.dtype != bool else ~array
        else:
            array.flat[-1] = not array.flat[-1]
        try:
            found = call.gradients(outs, leaves, gs)
        except RuntimeError:
            continue
        for d, e in zip(found, right, strict=True):
            np.testing.assert_array_equal(d, e, err_msg=str(call))


def test_the_calls_differ_in_all_that_they_promise():
    rng, seen = np.random.default_rng(0), Counter()
    for op in OPS * 20:
        try:
            call = Called(op, rng)
        except REFUSED:
            continue
        for x in (x for x in call.arrays if x is not None):
            seen[x.dtype.name] += 1
            seen["read-only"] += not x.flags.writeable
            seen["empty"] += not x.size
            seen["single"] += not x.ndim
            seen["not contiguous"] += not x.flags.c_contiguous
            seen["repeated"] += 0 in x.strides
            seen["negative"] += any(s < 0 for s in x.strides)

    names = {np.dtype(d).name for d in (*FLOATS, *CONSTANTS)}
    layouts = {"read-only", "empty", "single", "not contiguous", "negative", "repeated"}
    assert all(seen[what] > 5 for what in names | layouts), seen
