"""A step of a long short-term memory: against the same written in small operations."""

from __future__ import annotations

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te


def memory_in_steps(z, c):
    i, f, g, _ = (z[..., k * c.shape[-1] :][..., : c.shape[-1]] for k in range(4))
    return te.sigmoid(f) * c + te.sigmoid(i) * te.tanh(g)


def output_in_steps(z, c):
    return te.sigmoid(z[..., 3 * c.shape[-1] :]) * te.tanh(c)


IN_STEPS = [(te.lstm_memory, memory_in_steps), (te.lstm_output, output_in_steps)]
both = pytest.mark.parametrize(
    ("op", "in_steps"), IN_STEPS, ids=lambda f: getattr(f, "name", "")
)


def leaves(rng, shape, dtype=np.float64, scale=1.0):
    """The sums of the gates, and the memory, of ``shape``."""
    sums = rng.standard_normal((*shape[:-1], 4 * shape[-1])) * scale
    memory = rng.standard_normal(shape) * scale
    return [te.tensor(x, requires_grad=True, dtype=dtype) for x in (sums, memory)]


@both
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 1, 5), (0, 3), (2, 0)])
def test_values_are_those_of_small_operations(op, in_steps, shape, dtype, rng):
    z, c = leaves(rng, shape, dtype)

    y = op(z, c)

    np.testing.assert_array_equal(y.data, in_steps(z, c).data, strict=True)


@both
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_gradients_of_both_orders_are_those_of_small_operations(
    op, in_steps, scale, rng
):
    """At 30 most gates are shut or open to the last digit."""
    z, c = leaves(rng, (4, 3), scale=scale)
    upstream = rng.standard_normal((4, 3))

    def gradients(f):
        first = te.gradients(te.sum(f(z, c) * upstream), [z, c], create_graph=True)
        second = te.gradients(te.sum(first[0] * first[0]) + te.sum(first[1]), [z, c])
        return [*(g.data for g in first), *second]

    for got, want in zip(gradients(op), gradients(in_steps), strict=True):
        assert_near(got, want, 1e-14, op.name)


@both
@pytest.mark.parametrize("dtypes", [("f4", "f8"), ("f8", "f4"), ("i8", "f4")])
def test_of_two_dtypes_it_computes_in_that_of_the_result(op, in_steps, dtypes, rng):
    given = [x.data * 3 for x in leaves(rng, (4, 3))]
    z, c = (x.astype(dtype) for x, dtype in zip(given, dtypes, strict=True))

    y = op(z, c)

    right = in_steps(z.astype(np.float64), c.astype(np.float64))
    np.testing.assert_array_equal(y, right, strict=True)


@both
def test_arrays_that_lie_otherwise_in_memory_give_the_same(op, in_steps, rng):
    z, c = (x.data for x in leaves(rng, (4, 3)))
    apart = np.asfortranarray(z), np.repeat(c, 2, axis=1)[:, ::2]

    np.testing.assert_array_equal(op(*apart), op(z, c))


@both
@pytest.mark.parametrize(
    ("z", "c"), [((2, 8), (2, 3)), ((12,), (2, 3)), ((2, 12), (3,)), ((4,), ())]
)
def test_shapes_that_do_not_fit_are_refused(op, in_steps, z, c):
    with pytest.raises(ValueError, match=rf"{op.name}: z is \({z[0]}.* four numbers"):
        op(np.ones(z), np.ones(c))
