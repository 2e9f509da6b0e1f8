"""What people trip over in tracing compilers: each by name, and what happens here."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.compiling import Untraceable

X = np.linspace(-1.0, 2.0, 6).reshape(2, 3)


# ---------------------------------------------------------------- values that decide


@pytest.mark.parametrize(
    "branch",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * float(x.sum()),
        lambda x: x * x.sum().item(),
        lambda x: x * x.tolist()[0][0],
        lambda x: x[int(x.sum()) % 2],
        lambda x: np.asarray(x) * 2,
        lambda x: x * (1.5 in x),
        lambda x: [x, x, x, x, x, x][x.argmax()],
    ],
    ids=["if", "float", "item", "tolist", "int", "asarray", "in", "index"],
)
def test_a_value_that_leaves_the_trace_is_refused_with_its_line(branch):
    with pytest.raises(Untraceable, match=r"test_functions\.py, line \d+"):
        te.compile(branch)(X)


@pytest.mark.parametrize("f", [lambda x: x[x > 0], np.unique, np.flatnonzero])
def test_a_shape_that_depends_on_values_is_refused(f):
    with pytest.raises(Untraceable, match="depends on the numbers in"):
        te.compile(f)(X)


def test_a_branch_of_the_engine_is_traced_anew():
    f = te.compile(te.grad(lambda x: te.sum(te.sigmoid(x))))
    moderate, large = X, np.full((2, 3), 60.0)

    for x in (moderate, large, moderate, large):
        np.testing.assert_array_equal(f(x), te.grad(lambda x: te.sum(te.sigmoid(x)))(x))


def test_what_changes_by_itself_is_named():
    calls = iter(range(100))
    now = lambda: next(calls)  # noqa: E731

    with pytest.raises(Untraceable, match="calls"):
        te.compile(lambda x: x * now())(X)


def test_random_numbers_of_ones_own_are_named():
    with pytest.raises(Untraceable, match="traced twice"):
        te.compile(lambda x: x + np.random.default_rng().random(3))(X)


# -------------------------------------------------- numbers, flags and arrays it sees


def test_a_number_as_argument_is_not_frozen():
    f = te.compile(lambda x, a, n: x * a + n)

    for a, n in [(0.5, 1), (0.25, 1), (0.25, 2), (2, 2)]:
        np.testing.assert_array_equal(f(X, a, n), X * a + n)


def test_a_global_and_a_closure_are_not_frozen():
    scale = 2.0

    def f(x):
        return x * scale * FACTOR

    compiled = te.compile(f)
    np.testing.assert_array_equal(compiled(X), X * 2.0 * 3.0)

    scale = 5.0
    np.testing.assert_array_equal(compiled(X), X * 5.0 * 3.0)
    globals()["FACTOR"] = 7.0
    try:
        np.testing.assert_array_equal(compiled(X), X * 5.0 * 7.0)
    finally:
        globals()["FACTOR"] = 3.0


FACTOR = 3.0


def test_an_attribute_is_not_frozen():
    class Scaled:
        def __init__(self):
            self.by, self.weights = 2.0, [np.ones(3)]

        def __call__(self, x):
            return x * self.by + self.weights[0]

    f = Scaled()
    compiled = te.compile(f)
    np.testing.assert_array_equal(compiled(X), f(X))
    f.by = 3.0
    np.testing.assert_array_equal(compiled(X), f(X))
    f.weights[0] = np.full(3, 4.0)
    np.testing.assert_array_equal(compiled(X), f(X))
    f.weights[0] += 1
    np.testing.assert_array_equal(compiled(X), f(X))


def test_a_method_is_not_shared_by_instances():
    class Scaled:
        def __init__(self, by):
            self.by = by

        def scale(self, x):
            return x * self.by

    one, two = te.compile(Scaled(2.0).scale), te.compile(Scaled(3.0).scale)

    np.testing.assert_array_equal(one(X), X * 2)
    np.testing.assert_array_equal(two(X), X * 3)


def test_a_captured_array_is_read_by_reference():
    weights = np.ones(3)
    f = te.compile(lambda x: x @ weights)
    first = f(X)
    weights[:] = 2.0

    np.testing.assert_array_equal(f(X), 2 * first)
    assert len(f.traces) == 1


def test_a_tuple_of_arrays_is_read_by_reference():
    both = np.ones(3), np.zeros(3)
    f = te.compile(lambda x: x * both[0] + both[1])
    f(X)
    both[1][:] = 5.0

    np.testing.assert_array_equal(f(X), X + 5)


def test_training_and_evaluation_are_told_apart():
    model = te.nn.Sequential(te.nn.BatchNorm1d(3), te.nn.Dropout(0.5, rng=0))
    f = te.compile(model)
    f(X)
    model.eval()

    np.testing.assert_array_equal(f(X), model(X).data)


def test_a_parameter_that_is_assigned_is_read():
    layer = te.nn.Linear(3, 2, rng=0)
    f = te.compile(layer)
    f(X)
    layer.weight.data = np.ones((2, 3))

    np.testing.assert_array_equal(f(X), layer(X).data)
    assert len(f.traces) == 1


def test_what_cannot_be_looked_into_is_refused_by_name():
    calls = iter([1, 2])
    with pytest.raises(Untraceable, match="cannot look into calls"):
        te.compile(lambda x: x * next(calls))(X)


def test_an_assigned_attribute_is_refused_by_name():
    class Counting:
        calls = 0

        def __init__(self):
            self.last = 0

        def __call__(self, x):
            self.last = self.last + 1
            return x * 2

    f = Counting()
    with pytest.raises(Untraceable, match=r"assigns f\.last"):
        te.compile(f)(X)
    assert f.last == 0


# ---------------------------------------------------------------- kinds of arguments


def test_each_shape_and_dtype_has_its_trace():
    f = te.compile(lambda x: x * 2)
    for x in (X, X[:1], X.astype("f4"), X.T, X):
        y = f(x)
        assert (y.dtype, y.strides) == ((x * 2).dtype, (x * 2).strides)
        np.testing.assert_array_equal(y, x * 2)
    assert len(f.traces) == 4


def test_a_few_traces_are_kept():
    f = te.compile(lambda x: x + 1)
    for n in range(1, 8):
        f(np.ones(n))

    assert len(f.traces) == 4


def test_explain_says_why():
    f = te.compile(lambda x: x + 1)
    assert "no trace yet" in f.explain()
    f(X)
    f(X[:1])

    assert "the first call" in f.explain()
    assert "arguments of another kind: float64 of shape (1, 3)" in f.explain()


def test_keywords_and_positions_are_one():
    f = te.compile(lambda x, y=2.0: x * y)

    np.testing.assert_array_equal(f(X, y=3.0), f(y=3.0, x=X))
    assert len(f.traces) == 1


def test_trees_go_in_and_out():
    def f(params, x):
        return {"y": x @ params["w"], "both": [x, params["b"] * 2]}

    params = {"w": np.ones(3), "b": np.array(4.0)}
    got = te.compile(f)(params, X)

    np.testing.assert_array_equal(got["y"], X @ params["w"])
    np.testing.assert_array_equal(got["both"][0], X)
    assert got["both"][1] == 8.0


def test_numbers_come_in_lists_and_tuples():
    value, (slope,) = te.compile(te.value_and_grad(lambda x: x * x, argnums=(0,)))(3.0)

    assert (value, slope) == (9.0, 6.0)
    assert te.compile(lambda x: [x.sum(), (x.max(), 1)])(X) == [3.0, (2.0, 1)]


def test_the_same_array_twice_and_overlapping_views():
    f = te.compile(te.grad(lambda x, y: te.sum(x * y * y), argnums=(0, 1)))
    rows = np.arange(6.0)

    for x, y in [(rows, rows), (rows[:4], rows[2:]), (rows[:4], rows[:4] + 1)]:
        wanted = te.grad(lambda x, y: te.sum(x * y * y), argnums=(0, 1))(x, y)
        for a, b in zip(f(x, y), wanted, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_result_goes_back_in():
    f = te.compile(lambda x: x * 0.5 + 1)
    x = wanted = X
    for _ in range(4):
        x, wanted = f(x), wanted * 0.5 + 1

    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize("size", [0, 1])
def test_empty_arrays_and_single_numbers(size):
    f = te.compile(lambda x: (te.sum(te.exp(x)), x * 2, x.T))
    x = np.ones((size, 2))
    total, double, turned = f(x)

    assert total == np.exp(x).sum()
    np.testing.assert_array_equal(double, x * 2)
    assert turned.shape == (2, size)
    assert type(te.compile(lambda x: x * 2)(np.array(3.0))) is np.float64


# ------------------------------------------------------------------------------ results


def test_results_are_fresh():
    f = te.compile(lambda x: (x * 2, (x + 1).T))
    first = f(X)
    kept = [y.copy() for y in first]
    second = f(X + 1)
    f(X + 2)

    for y, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(y, before)
    assert not np.shares_memory(first[0], second[0])


def test_an_operation_that_returns_its_input():
    dropout = te.nn.Dropout(0.5).eval()
    f = te.compile(lambda x: dropout(x) * 2 + dropout(x))

    np.testing.assert_array_equal(f(X), X * 2 + X)
    assert te.compile(lambda x: x)(X) is X


def test_a_constant_result_is_another_array_each_time():
    f = te.compile(lambda x: np.arange(3.0))
    f(X)[0] = 99.0

    np.testing.assert_array_equal(f(X), np.arange(3.0))


def test_shape_dtype_and_strides_are_the_engines():
    def f(x, w):
        return te.grad(lambda x, w: te.sum(te.tanh(x @ w.T)), argnums=(0, 1))(x, w)

    w = np.ones((4, 3))
    for a, b in zip(te.compile(f)(X, w), f(X, w), strict=True):
        assert (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)


# ------------------------------------------------------------------------ other effects


def test_an_array_that_it_sees_is_written_into():
    total = np.zeros(3)

    def f(x):
        nonlocal total
        total += x.sum(axis=0)
        return x * 2

    compiled = te.compile(f)
    for _ in range(3):
        compiled(X)

    np.testing.assert_array_equal(total, 3 * X.sum(axis=0))


def test_an_argument_is_not_written_into():
    def f(x):
        x += 1
        return x

    x = X.copy()
    with pytest.raises(Untraceable, match="writes into its argument"):
        te.compile(f)(x)
    np.testing.assert_array_equal(x, X)


def test_draws_go_on_in_the_same_generator():
    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    one, other = te.nn.Dropout(0.5, rng=ours), te.nn.Dropout(0.5, rng=theirs)
    compiled = te.compile(lambda x: one(one(x)))

    for _ in range(4):
        np.testing.assert_array_equal(compiled(X), other(other(X)))
    assert ours.bit_generator.state == theirs.bit_generator.state


def test_an_error_leaves_running_means_as_they_were():
    norm = te.nn.BatchNorm1d(3)

    def f(x, labels):
        return te.nn.softmax_cross_entropy(norm(x), labels)

    compiled = te.compile(f)
    compiled(X, np.array([0, 2]))
    before = norm.running_mean.copy()

    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2, got 7 in row 1"):
        compiled(X, np.array([0, 7]))
    np.testing.assert_array_equal(norm.running_mean, before)


def test_backward_inside_is_refused():
    w = te.tensor(np.ones(3), requires_grad=True)

    def f(x):
        te.sum(x @ w).backward()
        return x

    with pytest.raises(Untraceable, match=r"backward\(\) inside"):
        te.compile(f)(X)
    assert w.grad is None


def test_a_tensor_as_argument_says_what_to_write():
    f = te.compile(lambda x: te.sum(x * x))

    with pytest.raises(TypeError, match=r"te\.compile\(te\.grad\(f\)\)"):
        te.grad(f)(X)


def test_one_compiled_function_inside_another():
    inner = te.compile(lambda x: x * 2)
    outer = te.compile(lambda x: inner(x) + 1)

    np.testing.assert_array_equal(outer(X), X * 2 + 1)
    assert len(outer.traces[0].program.calls) == 2


@pytest.mark.parametrize("count", [0, 2, 4])
def test_one_function_or_a_model_with_loss_and_optimizer(count):
    with pytest.raises(TypeError, match=r"te\.compile\(model, loss, optimizer\)"):
        te.compile(*[len] * count)


def test_it_is_a_decorator():
    @te.compile
    def doubled(x):
        """Twice as much."""
        return x * 2

    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Twice as much.")
    np.testing.assert_array_equal(doubled(X), X * 2)


def test_threads_share_a_compiled_function():
    f = te.compile(lambda x: te.sum(te.tanh(x) * x))
    f(X)
    wrong = []

    def work(k):
        x = X + k
        wanted = float(te.sum(te.tanh(x) * x))
        wrong.extend(k for _ in range(50) if float(f(x)) != wanted)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    assert wrong == []


def test_other_threads_go_on_while_one_traces():
    wrong, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            if te.grad(lambda x: te.sum(x * x))(X).tolist() != (2 * X).tolist():
                wrong.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for n in range(1, 12):
            te.compile(te.grad(lambda x: te.sum(te.exp(x) + np.zeros(3))))(X[:, :3] * n)
    finally:
        stop.set()
        thread.join()

    assert wrong == []


def test_a_program_is_the_same_from_run_to_run():
    def f(x):
        return te.grad(lambda x: te.sum(te.softmax(x) ** 2))(x)

    texts = {te.compile(f).trace(X).text for _ in range(5)}

    assert len(texts) == 1


def test_no_argument_is_kept_alive():
    f = te.compile(te.value_and_grad(lambda x: te.sum(te.tanh(x) ** 2)))
    x = X.copy()
    kept = weakref.ref(x)
    f(x)
    del x
    gc.collect()

    assert kept() is None


def test_an_operation_of_ones_own():
    @te.op(elementwise=True)
    def doubled_square(x):
        return 2 * x * x

    doubled_square.vjp(x=lambda g, out, x: g * 4 * x)
    f = te.grad(lambda x: te.sum(doubled_square(x)))
    try:
        np.testing.assert_array_equal(te.compile(f)(X), f(X))
    finally:
        del te.OPS["doubled_square"]
        del te.Tensor.doubled_square


def test_second_derivatives():
    def f(x):
        return te.grad(lambda x: te.sum(te.grad(lambda y: te.sum(te.tanh(y)))(x) ** 2))(
            x
        )

    np.testing.assert_array_equal(te.compile(f)(X), f(X))
