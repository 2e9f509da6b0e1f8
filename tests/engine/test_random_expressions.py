"""Random expressions against finite differences: shapes, axes, broadcasting, trees."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import tinygrad_edu as te

#: Smooth; some only of numbers that a function before them has put into their domain.
UNARY = [
    *(te.tanh, te.sin, te.cos, te.arctan, te.sigmoid, te.softplus, te.silu, te.gelu),
    *(te.sinc, te.negative, te.arcsinh, te.logit, te.log1p, te.exp, te.cosh, te.cbrt),
]
BEFORE = {
    "logit": lambda x: 0.1 + 0.8 * te.sigmoid(x),
    "log1p": te.square,
    "exp": te.tanh,
    "cosh": te.tanh,
    "cbrt": lambda x: 2 + te.tanh(x),
}
BINARY = [te.add, te.subtract, te.multiply, te.divide, te.power, te.hypot, te.arctan2]
REDUCTIONS = [te.sum, te.mean, te.logsumexp, te.var, te.prod, te.norm]


def grown(rng, leaves, depth):
    """Return a random expression of the leaves; equal generators give equal ones."""
    if depth == 0:
        return leaves[rng.integers(len(leaves))]
    x = grown(rng, leaves, depth - 1)
    kind = rng.choice(["unary", "binary", "reduction", "shape", "product"])
    if kind == "binary":
        y = grown(rng, leaves, rng.integers(depth))
        return binary(rng.choice(BINARY), x, y)
    if kind == "reduction" and x.ndim:
        axes = [None, int(rng.integers(-x.ndim, x.ndim))]
        return rng.choice(REDUCTIONS)(
            2 + te.tanh(x),
            axis=axes[rng.integers(2)],
            keepdims=bool(rng.integers(2)),
        )
    if kind == "shape" and x.ndim:
        return reshaped(rng, x)
    if kind == "product" and x.ndim:
        y = np.swapaxes(x, -1, -2) if x.ndim > 1 else x
        return te.tanh(np.matmul(x, y))
    op = rng.choice(UNARY)
    return op(BEFORE.get(op.name, te.positive)(x))


def binary(op, x, y):
    """Apply it where it is smooth; to a mean, where shapes do not broadcast."""
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        y = te.mean(y)
    if op in (te.divide, te.power, te.hypot, te.arctan2):
        y = 2 + te.tanh(y)
    if op is te.power:
        x = 2 + te.tanh(x)
    return op(x, y)


def reshaped(rng, x):
    """Move the entries of x about, along one axis or another."""
    axis = int(rng.integers(-x.ndim, x.ndim))
    half = (x.shape[axis] + 1) // 2
    ways = [
        lambda: x.transpose(),
        lambda: x.reshape(-1),
        lambda: np.flip(x, axis),
        lambda: np.roll(x, 1, axis),
        lambda: np.expand_dims(x, axis),
        lambda: np.cumsum(te.tanh(x), axis),
        lambda: np.take(x, range(half), axis),
        lambda: np.concatenate([x, te.tanh(x)], axis),
        lambda: np.repeat(x, 2, axis),
        lambda: x[..., ::-1],
        lambda: x.at[0].add(te.mean(x)),
    ]
    return ways[rng.integers(len(ways))]()


arrays = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)
seeds = st.integers(0, 2**32 - 1)


def expression(shapes, seed, depth):
    """Return a function and the arrays that it is called with."""
    inputs = np.random.default_rng(seed)
    values = [inputs.uniform(-1.5, 1.5, shape) for shape in shapes.input_shapes]

    def f(*leaves):
        y = grown(np.random.default_rng(seed + 1), leaves, depth)
        return te.tanh(y)

    return f, values


def check(f, *values, **options):
    """Check it; that differences cannot tell is believed only where they drown."""
    try:
        te.gradcheck(f, *values, **options)
    except te.GradientCheckError as error:
        if set(error.causes) != {"resolution"} or not drowns(f, values):
            raise


def drowns(f, values):
    """Whether small steps, of all inputs or of one, are what differences cannot see."""
    signs = np.random.default_rng(0)
    steps = [2.0**-10 * signs.choice([-1, 1], x.shape) for x in values]
    moved = [x * (1 + step) for x, step in zip(values, steps, strict=True)]
    alone = [[*values[:i], x, *values[i + 1 :]] for i, x in enumerate(moved)]
    return any(is_unseen(f, values, there) for there in (moved, *alone))


def is_unseen(f, here, there):
    """Whether results move by next to nothing between two places, or gradients a lot.

    All is saturated, or a wave is shorter than the step.
    """
    (y, back), (y2, back2) = te.vjp(f, *here), te.vjp(f, *there)
    if np.max(np.abs(y2 - y), initial=0.0) <= 3e-5:  # of results of size 1
        return True
    g, g2 = (
        np.concatenate([*map(np.ravel, pulled(np.ones(y.shape)))])
        for pulled in (back, back2)
    )
    return np.max(np.abs(g2 - g)) > 0.1 * np.max(np.abs(g))


def of_shapes(*shapes):
    """What Hypothesis hands out, for an example that is kept."""
    return SimpleNamespace(input_shapes=shapes)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(shapes=arrays, seed=seeds, depth=st.integers(1, 8))
@example(shapes=of_shapes((), (2, 1, 3)), seed=4_294_967_294, depth=3)  # saturates
@example(shapes=of_shapes((), (2,)), seed=35_118, depth=5)  # by one input
@example(shapes=of_shapes((3, 3), (2, 3, 1)), seed=864_263_486, depth=7)  # sinc(4e6)
@example(shapes=of_shapes((1, 1), (2, 3, 1)), seed=3_325_236_652, depth=6)  # var
def test_random_trees_have_right_first_derivatives(shapes, seed, depth):
    f, values = expression(shapes, seed, depth)

    check(f, *values)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(shapes=arrays, seed=seeds, depth=st.integers(1, 4))
@example(shapes=of_shapes((1, 3, 3), ()), seed=83_186_471, depth=3)  # of 1e-13
@example(shapes=of_shapes((3, 1), ()), seed=1_166_993_272, depth=4)  # below 1e-308
@example(shapes=of_shapes((1, 3, 3), (3,)), seed=3_792_960_639, depth=3)
def test_random_trees_have_right_second_derivatives(shapes, seed, depth):
    f, values = expression(shapes, seed, depth)

    check(lambda *leaves: te.mean(f(*leaves)), *values, order=2)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(shapes=arrays, seed=seeds, depth=st.integers(1, 6))
def test_forward_mode_agrees_with_reverse_mode(shapes, seed, depth):
    f, values = expression(shapes, seed, depth)
    rng = np.random.default_rng(seed)
    directions = tuple(rng.standard_normal(x.shape) for x in values)

    y, back = te.vjp(f, *values)
    g = rng.standard_normal(np.shape(y))
    same, tangent = te.jvp(f, tuple(values), directions)

    pulled = sum(np.sum(p * v) for p, v in zip(back(g), directions, strict=True))
    np.testing.assert_array_equal(same, y)
    np.testing.assert_allclose(np.sum(g * tangent), pulled, rtol=1e-9, atol=1e-10)


def test_a_wrong_rule_somewhere_in_a_tree_is_noticed(monkeypatch):
    """What makes the tests above worth something."""
    right = te.tanh.rules[0]
    monkeypatch.setattr(te.tanh, "rules", [lambda *a: 1.0005 * right(*a)])
    f, values = expression(of_shapes((2, 3)), 3, 5)

    with pytest.raises(te.GradientCheckError, match="tanh"):
        te.gradcheck(f, *values)
