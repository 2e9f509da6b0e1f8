"""Programs that nobody thought of: the engine's bits, whatever is combined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as te
from tinygrad_edu.compiling.printer import Printed

#: Of one array (3, 3), and of two.
ONE = [
    te.tanh,
    te.sigmoid,
    te.exp,
    te.relu,
    te.softmax,
    lambda x: x.T,
    lambda x: x * 0.5 - 1,
    lambda x: x**2,
    lambda x: x[::-1],
    lambda x: te.sum(x, axis=0, keepdims=True) + x,
    lambda x: te.reshape(te.reshape(x, (9,)), (3, 3)),
    lambda x: x - te.max(x, axis=1, keepdims=True),
    lambda x: te.concatenate([x[:1], x[1:] * 2]),
    lambda x: te.stack([x[0], x[2], x[0]]),
    lambda x: te.cumsum(x, axis=0),
    lambda x: x[np.array([0, 0, 2])],
    lambda x: x.at[1].set(0.5) if hasattr(x, "at") else x,
    lambda x: x.detach() if hasattr(x, "detach") else x,
]
TWO = [
    te.add,
    te.multiply,
    te.subtract,
    te.matmul,
    te.maximum,
    lambda x, y: te.where(np.eye(3, dtype=bool), x, y),
    lambda x, y: te.linear(x, y, y[0]),
    lambda x, y: x + y[0],
    lambda x, y: te.mean(x) * y,
]

STEP = st.tuples(
    st.integers(0, len(ONE) + len(TWO) - 1), st.integers(0, 20), st.integers(0, 20)
)


def built(steps):
    """Return the function that makes these steps, each from earlier values."""

    def f(x, w):
        values = [x, w]
        for which, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            g = (ONE + TWO)[which]
            values.append(g(a) if which < len(ONE) else g(a, b))
        return te.sum(te.tanh(values[-1])) + te.sum(values[-1] * 0.1)

    return f


def same(a, b):
    """Whether all bits are the same, but for the sign of nan."""
    a, b = (np.where(np.isnan(x), np.nan, x).tobytes() for x in (a, b))
    return a == b


def check(steps, seed):
    f = te.value_and_grad(built(steps), argnums=(0, 1))
    compiled = te.compile(f)
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        for _ in range(2):
            x, w = rng.standard_normal((2, 3, 3))
            value, gradients = compiled(x, w)
            wanted, others = f(x, w)

            assert same(value, wanted)
            assert all(map(same, gradients, others))
        trace = compiled.traces[0]
        poisoned = Printed(trace.program, poisoned=True).bind(trace.captured)
        assert all(map(same, poisoned(x, w), [wanted, *others]))


PROGRAMS = given(st.lists(STEP, min_size=1, max_size=10), st.integers(0, 3))


@pytest.mark.filterwarnings("ignore")
@settings(derandomize=True, max_examples=15, deadline=None)
@PROGRAMS
def test_random_programs_have_the_same_bits(steps, seed):
    check(steps, seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@settings(derandomize=True, max_examples=500, deadline=None)
@PROGRAMS
def test_many_random_programs_have_the_same_bits(steps, seed):
    check(steps, seed)


@pytest.fixture(scope="module")
def _folder_of_kernels(tmp_path_factory):
    pytest.importorskip("numba", reason="pip install 'tinygrad_edu[fast]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_folder_of_kernels")
@settings(derandomize=True, max_examples=50, deadline=None)
@PROGRAMS
def test_random_programs_with_loops_differ_by_rounding(steps, seed):
    f = te.value_and_grad(built(steps), argnums=(0, 1))
    compiled = te.compile(f, backend="numba")  # and each loop is compared with NumPy
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        for _ in range(2):
            x, w = rng.standard_normal((2, 3, 3))
            value, gradients = compiled(x, w)
            wanted, others = f(x, w)
            for a, b in zip([value, *gradients], [wanted, *others], strict=True):
                known = np.isfinite(b)
                largest = np.abs(b[known]).max(initial=0)
                close = {"rtol": 1e-7, "atol": 1e-12 + 1e-7 * largest}
                np.testing.assert_allclose(a[known], b[known], **close)
        trace = compiled.traces[0]
        poisoned = Printed(trace.program, poisoned=True).bind(trace.captured)
        assert all(map(same, poisoned(x, w), [value, *gradients]))
