"""gradcheck: what it passes, what it finds, whom it blames, and what it says."""

from __future__ import annotations

import functools
import itertools
import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.checks.comparison import Entry, table

orders = pytest.mark.parametrize("order", [1, 2])


def raw(x):
    """The numbers in a Tensor, out of reach of its derivatives; or an array."""
    return x.data if isinstance(x, te.Tensor) else x


def own_op(forward, rules, name="planted", elementwise=True):
    """Declare an operation with the given rules."""
    forward.__name__ = name
    op = te.op(elementwise=elementwise)(forward)
    op.vjp(**rules)
    return op


def own_square(rule):
    """Declare x², with a rule."""
    return own_op(lambda x: np.multiply(x, x), {"x": rule})


def failure_of(f, *inputs, **options):
    with pytest.raises(te.GradientCheckError) as caught:
        te.gradcheck(f, *inputs, **options)
    return caught.value


# ----------------------------------------------------------------- what is right passes


def normal(*shapes):
    return lambda rng: [rng.standard_normal(shape) for shape in shapes]


def positive(*shapes):
    return lambda rng: [rng.uniform(0.5, 2, shape) for shape in shapes]


def inner_slope(x):
    """A function that differentiates on its way."""
    (slope,) = te.gradients(te.sum(te.tanh(x) * x), [x], create_graph=True)
    return te.sum(slope * x)


ZOO = {
    "sum": (lambda a, b: a + 2 * b - a / 3, normal((2, 3), (3,))),
    "product": (lambda a, b: a * b * a, normal((2, 1), (3,))),
    "quotient": (lambda a, b: a / b, positive((2, 3), (3,))),
    "power": (lambda a, b: a**b, positive((3,), (2, 1))),
    "integer power": (lambda x: x**3 - x**2, normal((2, 3))),
    "exp log": (lambda x: te.log(1 + te.exp(x)), normal((2, 3))),
    "root": (lambda x: te.sqrt(te.sum(x * x, axis=1)), normal((2, 3))),
    "tanh": (te.tanh, normal((2, 3))),
    "sigmoid": (te.sigmoid, normal((2, 3))),
    "softplus": (te.softplus, normal((2, 3))),
    "relu": (te.relu, normal((2, 3))),
    "maximum": (te.maximum, normal((2, 3), (3,))),
    "abs": (lambda x: te.maximum(x, -x), normal((2, 3))),
    "max": (lambda x: te.max(x, axis=1), normal((4, 3))),
    "logsumexp": (lambda x: te.logsumexp(x, axis=0), normal((4, 3))),
    "softmax": (lambda x: te.softmax(3 * x), normal((4, 3))),
    "log softmax": (te.log_softmax, normal((4, 3))),
    "mean of squares": (
        lambda x: te.mean((x - te.mean(x, axis=0)) ** 2),
        normal((4, 3)),
    ),
    "standardised": (
        lambda x: (
            (x - te.mean(x, axis=0))
            / te.sqrt(te.mean((x - te.mean(x, axis=0)) ** 2, axis=0) + 1e-5)
        ),
        normal((6, 2)),
    ),
    "matmul": (lambda a, b: a @ b, normal((2, 3), (3, 4))),
    "matmul of stacks": (te.matmul, normal((2, 2, 3), (3, 2))),
    "vectors": (lambda a, b: a @ b, normal((3,), (3,))),
    "dense": (
        lambda x, w, b: te.tanh(te.linear(x, w, b)),
        normal((4, 3), (2, 3), (2,)),
    ),
    "inverse": (te.inv, lambda rng: [rng.standard_normal((3, 3)) + 3 * np.eye(3)]),
    "determinant": (lambda x: te.slogdet(x)[1], normal((3, 3))),
    "index": (lambda x: x[[0, 0, 2]] * x[1, 1:2], normal((3, 3))),
    "slices": (lambda x: x[:-1] * x[1:], normal((5,))),
    "transposed": (lambda x: (x.T * x.T.reshape(3, 2))[:2], normal((2, 3))),
    "concatenate": (lambda a, b: te.concatenate([a, b * a, a]), normal((2, 3), (2, 3))),
    "NumPy's functions": (lambda a, b: np.exp(np.matmul(a, b)), normal((2, 2), (2, 2))),
    "several": (lambda a, b: (a * b, te.sum(a), b), normal((3,), (3,))),
    "list of several": (lambda a: [a * a, a[0]], normal((3,))),
    "itself": (lambda x: x, normal((3,))),
    "twice the same": (lambda x: (x, x), normal((3,))),
    "unused input": (lambda a, b: a * a, normal((3,), (2,))),
    "constant": (lambda x: te.tensor(3.0), normal((3,))),
    "0-d": (lambda a, b: te.exp(a) * b, normal((), ())),
    "0-d with others": (lambda a, b: a * b, normal((), (2, 3))),
    "of length 1": (lambda a, b: a * b, normal((1, 1), (2, 3))),
    "no entries": (lambda a, b: te.sum(a * 2) + b, normal((0, 3), ())),
    "only no entries": (te.sum, normal((0, 3))),
    "no outputs": (lambda x: x[:0] * 2, normal((3,))),
    "no outputs of no entries": (lambda x: x * 2, normal((0, 2))),
    "many outputs": (lambda x: te.tanh(x) * x, normal((10, 10))),
    "derivative inside": (inner_slope, normal((3,))),
    "symmetric point": (lambda x: x * x, lambda rng: [np.zeros(3)]),
    "zero times": (lambda a, b: a * b, lambda rng: [np.zeros(3), np.zeros(3)]),
    "gradient of 0": (lambda x: te.sum(te.softmax(x)), normal((5,))),
    "gradient of 0, shifted": (
        lambda x, b: te.sum(((x + b) - te.mean(x + b, axis=0)) ** 2),
        normal((5, 3), (3,)),
    ),
    "large and flat": (te.sigmoid, lambda rng: [np.array([-800.0, -30, 0, 30, 800])]),
    "steep": (lambda x: te.tanh(100 * x), lambda rng: [np.array([0, 1, 0.01, -3])]),
    "cancelled constant": (lambda x: (3.3 * x + 1e10) - 1e10, normal((20,))),
    "cancelled mean": (
        lambda x: te.mean(x * x) - te.mean(x) ** 2,
        lambda rng: [1e5 + rng.standard_normal(20)],
    ),
    "beside a kink": (
        lambda x: te.relu(x - 1),
        lambda rng: [np.array([1 + 1e-4, 1 - 1e-4, 1 + 1e-8, 1 + 1e-11])],
    ),
    "nearly one-hot": (
        lambda x: te.logsumexp(x, axis=1),
        lambda rng: [np.diag([30.0, 28.0, 31.0]) + 0.1 * rng.standard_normal((3, 3))],
    ),
    "sharp bend": (te.logsumexp, lambda rng: [np.array([0.0, 1e8, 1e8 - 1])]),
}


@orders
@pytest.mark.parametrize("name", ZOO)
def test_a_right_gradient_passes(name, order, rng):
    f, draw = ZOO[name]
    inputs = draw(rng)

    report = te.gradcheck(f, *inputs, order=order)

    assert report.order == order
    assert len(report.inputs) >= len(inputs)
    assert not any(r.wrong for r in report.inputs)


@orders
@pytest.mark.parametrize("layers", [[1500], [20, 20, 20]], ids=str)
def test_networks_of_many_kinks_pass(layers, order):
    rng = np.random.default_rng(0)
    sizes = [8, *layers, 3]
    parts = []
    for n, m in itertools.pairwise(sizes):
        parts += [nn.Linear(n, m, rng=rng), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    X, y = rng.standard_normal((6, 8)), rng.integers(0, 3, 6)

    report = te.gradcheck(model, X, y, loss=nn.softmax_cross_entropy, order=order)

    assert report.worst < 1e-3


@orders
def test_a_gradient_of_0_up_to_rounding_passes_where_large_steps_are_tried(order, rng):
    def f(x):  # steps grow for the last, and the others are exactly constant then
        return te.sum(te.softmax(x)), te.sum(x - te.mean(x)), te.sum(x) * 1e-3 + 1e9

    for _ in range(5):
        report = te.gradcheck(f, rng.standard_normal(6), order=order)

        assert not any(r.wrong for r in report.inputs)


MIXED = {
    "log": te.log,
    "root": te.sqrt,
    "with both": lambda x: te.log(x) * x + 1 / x,
    "sum of logs": lambda x: te.sum(te.log(x)),
    "sum of powers": lambda x: te.sum(x**1.5),
    "cubes": lambda x: te.sum(x**3),
    "log of a sum": lambda x: te.log(te.sum(x)),
    "each by the largest": lambda x: x / te.max(x),
}


@orders
@pytest.mark.parametrize("size", [(4, 5), (1500,)], ids=str)
@pytest.mark.parametrize("name", MIXED)
def test_scales_mixed_in_one_array_pass(name, size, order, rng):
    x = 10.0 ** rng.uniform(-8, 8, size)

    report = te.gradcheck(MIXED[name], x, order=order)

    assert not any(r.wrong for r in report.inputs)
    assert report.worst < 1e-3  # of what is resolved


@orders
@pytest.mark.parametrize(
    ("small", "large"), [(1e-8, 1e8), (1e8, 1e-8), (1e-8, 1e-8), (1e8, 1e8)]
)
@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: x * y,
        lambda x, y: x + y,
        lambda x, y: x @ y.T,
        lambda x, y: te.sum(x * y * y),
        lambda x, y: te.tanh(x / te.max(te.maximum(x, -x))) * y,
    ],
    ids=["product", "sum", "matmul", "cubic", "relative"],
)
def test_arrays_of_different_scales_pass(f, small, large, order, rng):
    x = small * rng.standard_normal((3, 4))
    y = large * rng.standard_normal((3, 4))

    report = te.gradcheck(f, x, y, order=order)

    assert not any(r.wrong for r in report.inputs)


# ----------------------------------------------------------------- what may be an input


@pytest.mark.parametrize(
    "x",
    [
        2.0,
        np.float64(2.0),
        np.float32(2.0),
        np.array(2.0),
        [2.0, 3.0],
        [[2.0], [3.0]],
        np.array([2.0, 3.0], np.float32),
        np.array([2.0, 3.0], np.float16),
        te.tensor([2.0, 3.0], requires_grad=True),
        te.tensor([2.0, 3.0], requires_grad=True, dtype=np.float32),
    ],
    ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')}",
)
def test_numbers_of_every_kind_are_checked_in_float64(x):
    seen = []

    def f(x):
        seen.append(x.dtype)
        return x * x

    report = te.gradcheck(f, x)

    assert set(seen) == {np.dtype(np.float64)}
    assert report.compared >= np.size(raw(x))
    assert report.worst < 1e-9


@pytest.mark.parametrize(
    "constant",
    [
        3,
        True,
        "text",
        None,
        (0, 1),
        [0, 1],
        np.array([1, 1, 2]),
        np.array([True, False, True]),
        te.tensor([1.0, 2.0, 3.0]),
        te.tensor([1, 2]),
    ],
    ids=repr,
)
def test_the_others_are_handed_on_as_they_are(constant):
    seen = []

    def f(x, constant):
        seen.append(constant)
        return x * x

    report = te.gradcheck(f, np.ones(3), constant)

    assert all(c is constant for c in seen)
    assert [r.name for r in report.inputs] == ["x"]


def test_an_index_and_a_fixed_tensor_take_part(rng):
    fixed = te.tensor(rng.standard_normal(3))

    report = te.gradcheck(
        lambda x, i, w: te.exp(x[i]) * w, rng.standard_normal(4), [1, 1, 2], fixed
    )

    assert report.compared == 12


def test_the_users_own_tensor_is_left_alone(rng):
    x = te.tensor(rng.standard_normal(3), requires_grad=True)
    x.grad = np.ones(3)
    before = x.data.tobytes()

    te.gradcheck(lambda x: x * x, x)

    assert x.data.tobytes() == before
    np.testing.assert_array_equal(x.grad, np.ones(3))


def test_one_tensor_handed_on_twice_is_two_inputs(rng):
    x = te.tensor(rng.standard_normal(3), requires_grad=True)

    report = te.gradcheck(lambda a, b: a * b, x, x)

    assert [r.name for r in report.inputs] == ["a", "b"]


@pytest.mark.parametrize(
    ("f", "names"),
    [
        (lambda left, right: left * right, ["left", "right"]),
        (lambda *xs: xs[0] * xs[1], ["input 0", "input 1"]),
        (lambda first, *rest: first * rest[0], ["first", "input 1"]),
        (lambda *xs, scale=2.0: scale * xs[0] * xs[1], ["input 0", "input 1"]),
        (lambda first, *rest, scale=2: first * rest[0], ["first", "input 1"]),
        (lambda *xs, **more: xs[0] * xs[1], ["input 0", "input 1"]),
        (te.multiply, ["a", "b"]),
        (functools.partial(lambda s, p, q: s * p * q, 3.0), ["p", "q"]),
    ],
)
def test_inputs_are_called_as_in_the_signature(f, names, rng):
    report = te.gradcheck(f, *rng.standard_normal((2, 3)))

    assert [r.name for r in report.inputs] == names


# ------------------------------------------------------- small errors, at both orders

SLIGHT = 1.0005  # 0.05 %


@pytest.mark.parametrize("factor", [SLIGHT, 1 / SLIGHT, -1.0, 0.0])
@pytest.mark.parametrize("size", [(), (3, 4), (1500,)], ids=str)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_wrong_first_derivative_fails(factor, size, scale, rng):
    square = own_square(lambda g, out, x: g * 2 * x * factor)
    x = scale * rng.standard_normal(size)

    error = failure_of(lambda x: te.tanh(square(x) / scale**2), x)

    assert error.report.order == 1
    assert error.culprits[0].op == "planted"


def first_is_right(factor):
    """The rule of x², whose own derivative is off by a factor."""

    def rule(g, out, x):
        constant = 2 * raw(x)
        return g * (constant + factor * (2 * x - constant))

    return rule


@pytest.mark.parametrize("factor", [SLIGHT, 1 / SLIGHT, 2.0, -1.0, 0.0])
@pytest.mark.parametrize("size", [(), (3, 4), (1500,)], ids=str)
def test_a_wrong_second_derivative_fails_only_at_second_order(factor, size, rng):
    square = own_square(first_is_right(factor))
    x = rng.uniform(0.5, 2, size)

    first = te.gradcheck(lambda x: te.tanh(square(x)), x)
    error = failure_of(lambda x: te.tanh(square(x)), x, order=2)

    assert first.order == 1
    assert error.report.order == 2
    (culprit,) = error.culprits
    assert (culprit.op, culprit.order, culprit.argument) == ("planted", 2, "x")
    assert "planted, its rule differentiated again, argument x" in str(error)
    assert "gradcheck failed at order 2" in str(error)


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, out, x: g * (1 - raw(out) ** 2),
        lambda g, out, x: g * (1 - np.tanh(raw(x)) ** 2),
        lambda g, out, x: raw(g) * (1 - out * out),
    ],
    ids=["of the output", "of the input", "of the upstream gradient"],
)
@pytest.mark.parametrize(
    "size", [(3,), pytest.param((1500,), marks=pytest.mark.slow)], ids=str
)
def test_a_rule_that_reads_numbers_is_found_at_second_order(rule, size, rng):
    tanh = own_op(lambda x: np.tanh(x), {"x": rule})
    x = rng.standard_normal(size)

    te.gradcheck(lambda x: te.sum(tanh(x) * x), x)
    error = failure_of(lambda x: te.sum(tanh(x) * x), x, order=2)

    assert {c.op for c in error.culprits} == {"planted"}
    assert all(c.order == 2 for c in error.culprits)


def test_a_detached_upstream_gradient_is_the_culprits_argument(rng):
    double = own_op(lambda x: 2.0 * x, {"x": lambda g, out, x: raw(g) * 2.0})

    error = failure_of(lambda x: te.exp(double(x)), rng.standard_normal(3), order=2)

    (culprit,) = error.culprits
    assert culprit.argument == "upstream gradient 0"
    assert culprit.cause.name == "detached"


def test_third_order(rng):
    def rule(g, out, x):  # 4x³, whose second derivative is right and third is not
        constant = raw(x)
        return g * (4 * constant**3 + 12 * constant**2 * (x - constant))

    fourth = own_op(lambda x: x**4, {"x": rule})
    x = rng.uniform(0.5, 2, 3)

    te.gradcheck(lambda x: x**4, x, order=3)
    te.gradcheck(fourth, x, order=2)
    error = failure_of(fourth, x, order=3)

    assert "gradcheck failed at order 3" in str(error)
    assert "order 3, x (3,)" in str(error.report)


@pytest.mark.parametrize(
    ("where", "factor"),
    [
        (12_345, SLIGHT),
        *(
            pytest.param(where, factor, marks=pytest.mark.slow)
            for where, factor in [(0, SLIGHT), (49_999, SLIGHT), (12_345, -1.0)]
        ),
        *(
            pytest.param(12_345, factor, marks=pytest.mark.slow)
            for factor in (0.0, np.nan, np.inf)
        ),
    ],
)
def test_one_wrong_entry_among_50_000_is_found(factor, where, rng):
    index = tuple(map(int, np.unravel_index(where, (250, 200))))

    def rule(g, out, x):
        d = np.array(g * 2 * x)
        d[index] *= factor
        return d

    square = own_square(rule)
    x = rng.choice([-1.0, 1.0], (250, 200)) * rng.uniform(0.7, 1.4, (250, 200))

    error = failure_of(lambda x: te.sum(square(x)), x)

    (report,) = error.report.inputs
    assert [e.index for e in report.wrong] == [index]
    assert report.wrong[0].numeric == pytest.approx(2 * x[index], rel=1e-6)
    assert str(list(index)) in str(error)
    assert error.culprits[0].entry.index == index


def test_one_wrong_entry_among_few_is_the_only_one_listed(rng):
    def rule(g, out, x):
        d = np.array(g * 2 * x)
        d[2, 1] += 0.5 * g[2, 1]
        return d

    square = own_square(rule)

    error = failure_of(lambda x: te.sum(square(x)), rng.standard_normal((3, 4)))

    (report,) = error.report.inputs
    assert [e.index for e in report.wrong] == [(2, 1)]
    assert "is wrong in 1 of 12 numbers" in str(error)
    assert error.causes == ("unknown",)


def test_the_worst_entries_come_first(rng):
    off = np.array([0.0, 0.1, -0.3, 0.0, 0.2])
    square = own_square(lambda g, out, x: g * (2 * x + off))

    error = failure_of(lambda x: te.sum(square(x)), rng.standard_normal(5))

    wrong = error.report.inputs[0].wrong
    assert [e.index for e in wrong] == [(2,), (4,), (1,)]


def test_every_wrong_input_is_listed_and_no_right_one(rng):
    f = own_op(
        lambda a, b, c: a * b * c,
        {
            "a": lambda g, out, a, b, c: 2 * g * b * c,
            "b": lambda g, out, a, b, c: g * a * c,
            "c": lambda g, out, a, b, c: 3 * g * a * b,
        },
    )

    error = failure_of(lambda p, q, r: te.sum(f(p, q, r)), *rng.standard_normal((3, 4)))

    assert [r.name for r in error.report.inputs if r.wrong] == ["p", "r"]
    assert [c.argument for c in error.culprits] == ["a", "c"]
    assert "the gradient by q" not in str(error)


def test_of_several_outputs_the_wrong_one_is_named(rng):
    square = own_square(lambda g, out, x: 3 * g * x)

    error = failure_of(lambda x: (te.exp(x), square(x)), rng.uniform(1, 2, 2))

    outputs = {e.output for e in error.report.inputs[0].wrong}
    assert outputs == {2, 3}  # the entries of the second, in one row with the first's
    assert "of output 3" in str(error)


# ------------------------------------------------------------------- causes, by name


def cause_of(f, *inputs, **options):
    """The error, whose only cause is named in its text, too."""
    error = failure_of(f, *inputs, **options)
    assert len(error.causes) == 1, str(error)
    return error, error.causes[0]


@pytest.mark.parametrize(
    ("factor", "cause", "text"),
    [
        (2.0, "factor", "analytic is 2 x numeric"),
        (0.5, "factor", "analytic is 1/2 x numeric"),
        (1 / 7, "factor", "analytic is 1/7 x numeric"),
        (1.01, "factor", "analytic is 1.01 x numeric"),
        (SLIGHT, "factor", "analytic is 1.0005 x numeric"),
        (-1.0, "sign", "analytic is -1 x numeric: the sign is wrong"),
    ],
)
@pytest.mark.parametrize("size", [(3, 4), (1500,)], ids=str)
def test_a_constant_factor_is_named(factor, cause, text, size, rng):
    square = own_square(lambda g, out, x: factor * g * 2 * x)

    error, name = cause_of(lambda x: te.sum(square(x)), rng.standard_normal(size))

    assert name == cause
    assert f"likely cause: {text}" in str(error)
    assert f"culprit: planted, argument x: {text}" in str(error)


def own_mean(rule):
    return own_op(lambda x: np.mean(x), {"x": rule}, elementwise=False)


def test_a_forgotten_mean_is_named(rng):
    mean = own_mean(lambda g, out, x: g * np.ones(x.shape))

    error, name = cause_of(lambda x: mean(te.exp(x)), rng.standard_normal(7))

    assert name == "missing-mean"
    assert "a division by 7, the length of axis 0 of x, is missing" in str(error)
    assert "culprit: planted, argument x: analytic is 7 x numeric" in str(error)


def test_a_mean_taken_twice_is_named(rng):
    mean = own_mean(lambda g, out, x: g * np.ones(x.shape) / x.size**2)

    error, name = cause_of(lambda x: mean(te.exp(x)), rng.standard_normal((7, 3)))

    assert name == "factor"
    assert "divided by 21, the size of x, once too often" in str(error)


def test_a_transposition_is_named(rng):
    product = own_op(
        lambda a, b: a @ b,
        {
            "a": lambda g, out, a, b: b @ g.T,
            "b": lambda g, out, a, b: a.T @ g,
        },
        elementwise=False,
    )
    a, b = rng.standard_normal((2, 3, 3))

    error, name = cause_of(lambda x, y: product(x, y), a, b)

    assert name == "transpose"
    assert "likely cause: analytic is the transpose of numeric" in str(error)
    assert [c.argument for c in error.culprits] == ["a"]


def test_of_a_rectangle_the_engine_itself_refuses_a_transposition(rng):
    product = own_op(
        lambda a, b: a @ b,
        {
            "a": lambda g, out, a, b: b @ g.T,
            "b": lambda g, out, a, b: a.T @ g,
        },
        elementwise=False,
    )

    message = r"planted: a rule returned shape \(3, 2\) for a, .* of shape \(2, 3\)"
    with pytest.raises(RuntimeError, match=message):
        te.gradcheck(product, rng.standard_normal((2, 3)), rng.standard_normal((3, 2)))


def own_affine(rule):
    """X + b, where b is added to every row."""
    return own_op(
        lambda x, b: x + b, {"x": lambda g, out, x, b: g, "b": rule}, elementwise=False
    )


def test_a_sum_over_the_wrong_axis_is_named(rng):
    add = own_affine(lambda g, out, x, b: g.sum(axis=1))
    x, b = rng.standard_normal((3, 3)), rng.standard_normal(3)

    error = failure_of(lambda x, b: add(x, b) ** 2, x, b)

    assert error.causes == ("wrong-axis",)
    assert "argument b: g was summed over axis 1 instead of 0" in str(error)


def test_a_missing_sum_over_a_broadcast_axis_is_refused_by_the_engine(rng):
    add = own_affine(lambda g, out, x, b: g)

    message = r"planted: a rule returned shape \(4, 3\) for b, .* of shape \(3,\)"
    with pytest.raises(RuntimeError, match=message):
        te.gradcheck(add, rng.standard_normal((4, 3)), rng.standard_normal(3))


def test_a_mean_instead_of_the_sum_over_a_broadcast_axis_is_a_factor(rng):
    add = own_affine(lambda g, out, x, b: g.mean(axis=0))

    error, name = cause_of(
        lambda x, b: add(x, b) ** 2, rng.standard_normal((4, 3)), rng.standard_normal(3)
    )

    assert name == "factor"
    assert "analytic is 1/4 x numeric" in str(error)


@pytest.mark.parametrize("size", [(3, 4), (1500,)], ids=str)
def test_a_missing_derivative_of_the_activation_is_named(size, rng):
    sigmoid = own_op(
        lambda z: 1 / (1 + np.exp(-z)), {"z": lambda g, out, z: g}, "my_sigmoid"
    )

    error = failure_of(lambda x: te.sum(sigmoid(x) * x), rng.standard_normal(size))

    assert error.causes == ("missing-derivative",)
    (culprit,) = error.culprits
    assert str(culprit) == (
        "my_sigmoid, argument z: the rule hands g on: the derivative of the operation "
        "is missing"
    )


def test_a_missing_upstream_gradient_is_named(rng):
    tanh = own_op(lambda x: np.tanh(x), {"x": lambda g, out, x: 1 - out * out})

    error = failure_of(lambda x: te.sum(tanh(x) ** 2), rng.standard_normal(5))

    assert error.causes == ("missing-derivative",)
    text = "planted, argument x: the factor g (the upstream gradient) is missing"
    assert text in str(error)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (lambda g, out, a, b: g * a, "the factor b is missing"),
        (lambda g, out, a, b: g * a * b * b, "the factor b is there once too often"),
        (lambda g, out, a, b: g * b, "(and analytic is 1/2 x that)"),
    ],
)
def test_a_missing_or_extra_factor_is_named_as_the_argument(rule, text, rng):
    f = own_op(
        lambda a, b: a * a * b,
        {"a": lambda g, *x: 2 * rule(g, *x), "b": lambda g, out, a, b: g * a * a},
    )

    error = failure_of(lambda a, b: te.sum(f(a, b)), *rng.standard_normal((2, 5)))

    assert text in str(error) or "the factor a is missing" in str(error)
    assert error.causes[0] in ("missing-derivative", "extra-factor")


def test_a_detached_input_is_named(rng):
    error, name = cause_of(lambda x: te.sum(x.detach() * 2), rng.standard_normal(3))

    assert name == "detached"
    assert "likely cause: analytic is 0 everywhere: the graph does not lead" in str(
        error
    )
    assert error.culprits == ()


def test_an_input_read_under_no_grad_is_named(rng):
    def f(x, y):
        with te.no_grad():
            scale = te.sum(x * x)
        return scale * y

    error, name = cause_of(f, *rng.standard_normal((2, 3)))

    assert name == "detached"
    assert "the gradient by x (3,)" in str(error)
    assert "the gradient by y" not in str(error)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: te.sum(x**2) + math.exp(x[0]),
        lambda x: te.sum(x * math.exp(te.sum(x**2))),
        lambda x: te.sum(x * float(np.ones(2) @ te.tanh(x))),
        lambda x: te.sum(x**2) + math.exp(te.sum(te.cos(te.cos(te.cos(te.cos(x)))))),
    ],
)
def test_a_number_that_was_taken_out_is_the_cause(f):
    error = failure_of(f, np.array([0.3, 0.7]))

    assert error.causes == ("taken-out",) and not error.culprits
    assert f"at {__file__}:" in str(error) and "np.exp for math.exp" in str(error)
    assert str(error).count("took its number out") == 1


def test_of_a_number_taken_out_the_input_is_named():
    error = failure_of(lambda speed: speed**2 + math.exp(speed), 0.5)

    assert "likely cause: float() of speed at " in str(error)


def test_a_factor_that_is_a_number_taken_out_is_told_beside_it():
    error = failure_of(lambda x: te.sum(x) * float(te.sum(x)), np.array([0.3, 0.7]))

    assert error.causes == ("factor",)
    assert "float() of the result of sum at " in str(error)


def test_the_taken_out_is_told_of_parameters_too():
    w = te.tensor([1.0, 2.0], requires_grad=True, name="w")

    class Scaled(te.nn.Layer):
        def __init__(self):
            self.w = w

        def forward(self, x):
            return te.sum(x * self.w) * math.exp(te.sum(self.w))

    error = failure_of(Scaled(), np.array([0.3, 0.7]))

    assert "taken-out" in error.causes


def test_numbers_that_are_looked_at_alone_are_no_cause():
    log = []

    def f(x):
        y = te.sum(x * x)
        log.append(float(y))
        return te.sum(x.detach() ** 3) + y

    error = failure_of(f, np.array([0.3, 0.7]))

    assert error.causes == ("unknown",)
    assert "took its number out" not in str(error)


def test_half_detached_is_a_factor_and_no_operation_is_blamed(rng):
    error, name = cause_of(lambda x: te.sum(x * x.detach()), rng.standard_normal(3))

    assert name == "factor"
    assert "analytic is 1/2 x numeric" in str(error)
    assert "so look for numbers that leave the graph" in str(error)


def test_no_simple_relation_is_said(rng):
    square = own_square(lambda g, out, x: g * (2 * x + np.sin(7 * raw(x))))

    error, name = cause_of(lambda x: te.sum(square(x)), rng.standard_normal(6))

    assert name == "unknown"
    assert "culprit: planted, argument x: no simple relation found" in str(error)


def test_without_a_culprit_no_simple_relation_is_the_likely_cause(rng):
    def f(x):
        return te.sum(x * te.tensor(np.sin(7 * x.data)))

    error, name = cause_of(f, rng.standard_normal(6))

    assert name == "unknown"
    assert "likely cause: no simple relation found" in str(error)
    assert "Every operation's rule is right by itself" in str(error)


@pytest.mark.parametrize(
    ("f", "x", "index", "culprit"),
    [
        (te.relu, [1.0, 0.0, -2.0], [1], "relu"),
        (lambda x: te.relu(x - 1), [2.0, 0.5, 1.0], [2], "relu"),
        (lambda x: te.relu(x - 1), [2.0, np.nextafter(1, 0)], [1], None),
        (te.max, [1.0, 1.0, 1.0], [0], "max"),
        (te.sqrt, [0.0, 1.0], [0], "sqrt"),
        (lambda x: x**1.5, [0.0, 1.0], [0], "power"),
    ],
    ids=["relu", "shifted", "within the step", "tie", "root", "power"],
)
def test_a_point_without_derivative_is_named(f, x, index, culprit):
    error = failure_of(f, x)

    assert error.causes == ("kink",)
    assert f"likely cause: no derivative at {index}: " in str(error)
    assert [c.op for c in error.culprits] == ([culprit] if culprit else [])


def test_a_kink_tells_both_slopes():
    error = failure_of(lambda x: 3 * te.relu(x), [0.0])

    assert "the slope is 0 to the left and 3 to the right (relu at 0" in str(error)


def test_abs_at_0_is_found_when_differentiated_again():
    def absolute(x):
        return te.maximum(x, -x)

    te.gradcheck(absolute, [0.0, 1.0])  # 0, the mean of both slopes
    error = failure_of(absolute, [0.0, 1.0], order=2)

    assert error.causes == ("kink",)
    assert "no derivative at [0]: the value jumps from" in str(error)


def test_a_wrong_rule_is_not_excused_by_a_kink_elsewhere(rng):
    square = own_square(lambda g, out, x: 2.02 * g * x)

    error = failure_of(lambda x: te.relu(square(x) - 1), [1.5, 1 + 1e-6, 0.3])

    assert "planted" in {c.op for c in error.culprits}
    assert "analytic is 1.01 x numeric" in str(error)


def test_a_function_computed_in_float32_is_resolved_less_but_passes(rng):
    report = te.gradcheck(lambda x: te.astype(x, "float32") ** 2, rng.uniform(1, 2, 5))

    assert 1e-9 < report.worst < 1e-4


@pytest.mark.parametrize("back", [False, True])
def test_float32_beside_a_large_constant_is_too_coarse(back, rng):
    def f(x):
        y = te.astype(x, "float32") ** 2 + 1e12
        return te.astype(y, "float64") if back else y

    error, name = cause_of(f, rng.standard_normal(5))

    assert name == "float32"
    assert "cannot be checked: differences resolve only" in str(error)
    assert "likely cause: float32 is too coarse for differences; check in" in str(error)


def test_a_layer_of_float32_passes_and_one_with_a_wrong_factor_fails(rng):
    square = own_square(lambda g, out, x: 2.2 * g * x)
    layer = nn.Linear(4, 3, rng=0, dtype=np.float32)
    X = rng.standard_normal((5, 4)).astype(np.float32)

    report = te.gradcheck(lambda X: te.tanh(layer(X)), X)
    error = failure_of(nn.Sequential(layer, Named(square)), X)

    assert report.worst < 1e-6
    assert "analytic is 1.1 x numeric" in str(error)


def test_a_layer_of_float32_with_a_large_constant_is_too_coarse(rng):
    layer = nn.Linear(4, 3, rng=0, dtype=np.float32)

    error = failure_of(
        nn.Sequential(layer, Named(lambda y: te.astype(y, "float32") + 1e12)),
        rng.standard_normal((5, 4)).astype(np.float32),
    )

    assert error.causes == ("float32",)


def test_what_rounding_drowns_cannot_be_checked():
    error, name = cause_of(lambda x: te.sum(te.exp(x)) * 1e-2 + 1e12, np.zeros(3))

    assert name == "resolution"
    assert "check nearer to 1, or without large constants added" in str(error)


def test_a_wrong_small_summand_of_a_large_one_is_not_passed(rng):
    double = own_op(lambda x: 2.0 * x, {"x": lambda g, out, x: g})
    y = rng.uniform(3e6, 4e6, 4)

    te.gradcheck(lambda x: 2 * x + y, np.full(4, 1e-8))  # by steps far beyond it
    error = failure_of(lambda x: double(x) + y, np.full(4, 1e-8))

    assert error.causes == ("factor", "resolution")
    assert [c.op for c in error.culprits] == ["planted"]


def test_a_factor_2_is_told_from_a_mean_over_two(rng):
    square = own_square(lambda g, out, x: 4 * g * x)

    error, name = cause_of(lambda x: te.mean(square(x)), rng.standard_normal(2))

    assert name == "factor"
    assert "likely cause: analytic is 2 x numeric\n" in str(error)


# -------------------------------------------------------------- a rule that stops


def own_product(name="mm", **rules):
    right = {"a": lambda g, out, a, b: g @ b.T, "b": lambda g, out, a, b: a.T @ g}
    return own_op(lambda a, b: a @ b, {**right, **rules}, name, elementwise=False)


def test_a_rule_that_stops_is_named_with_its_argument(rng):
    mm = own_product(b=lambda g, out, a, b: a @ g)
    inputs = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))

    error = failure_of(lambda x, w: te.tanh(mm(te.exp(x), w)), *inputs)

    assert str(error).startswith(
        "gradcheck failed\nmm: the rule for b stopped: ValueError: matmul: Input oper"
    )
    assert error.causes == ("error",)
    assert isinstance(error.__cause__, ValueError)


def test_a_rule_that_is_not_asked_does_not_stop(rng):
    mm = own_product(b=lambda g, out, a, b: a @ g)
    w = rng.standard_normal((3, 4))

    report = te.gradcheck(lambda x: mm(x, w), rng.standard_normal((2, 3)))

    assert report.worst < 1e-6


def test_a_rule_that_stops_when_it_is_differentiated_is_named(rng):
    def rule(g, out, x):
        if isinstance(x, te.Tensor):
            raise LookupError("arrays only")
        return 2 * g * x

    square = own_square(rule)
    x = rng.standard_normal(3)

    te.gradcheck(square, x)
    error = failure_of(square, x, order=2)

    assert str(error) == (
        "gradcheck failed at order 2\n"
        "planted: the rule for x stopped: LookupError: arrays only"
    )


def test_an_error_that_is_no_rules_is_handed_on(rng):
    planted = own_square(lambda g, out, x: 2 * g * x)
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) > 2:
            raise LookupError("of the function")
        return planted(x)

    with pytest.raises(LookupError, match="of the function"):
        te.gradcheck(f, rng.standard_normal(3))


def test_an_operation_without_rules_is_told_as_the_engine_does():
    bare = te.op(lambda x: x * 2)

    with pytest.raises(TypeError, match="has no rules; declare them"):
        te.gradcheck(bare, np.ones(3))


# -------------------------------------------------------------------------- the culprit


class Named(nn.Layer):
    """A layer that applies a function."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


class Scaled(nn.Layer):
    """A layer whose ``hidden`` layer multiplies by a weight."""

    def __init__(self, times):
        self.hidden = Times(times)
        self.out = nn.Linear(3, 2, rng=0)

    def forward(self, x):
        return self.out(te.tanh(self.hidden(x)))


class Times(nn.Layer):
    def __init__(self, times):
        self.times = times
        self.weight = te.tensor([0.5, -1.0, 2.0], requires_grad=True)

    def forward(self, x):
        return self.times(x, self.weight)


def own_times(factor_a=1.0, factor_b=1.0):
    return own_op(
        lambda a, b: np.multiply(a, b),
        {
            "a": lambda g, out, a, b: factor_a * g * b,
            "b": lambda g, out, a, b: factor_b * g * a,
        },
        name="times",
    )


def test_the_culprit_is_named_with_layer_argument_and_entry(rng):
    model = Scaled(own_times(factor_b=1.01))

    error = failure_of(model, rng.standard_normal((4, 3)))

    (culprit,) = error.culprits
    assert (culprit.op, culprit.layer, culprit.argument) == ("times", "hidden", "b")
    assert str(culprit) == (
        "times, in layer 'hidden', argument b: analytic is 1.01 x numeric"
    )
    assert f"culprit: {culprit}\n" in str(error)
    assert culprit.entry.analytic == pytest.approx(1.01 * culprit.entry.numeric)
    assert [r.name for r in error.report.inputs if r.wrong] == ["hidden.weight"]


def test_outside_of_layers_the_culprit_has_no_path(rng):
    times = own_times(factor_a=1.01)

    error = failure_of(times, *rng.standard_normal((2, 3)))

    assert str(error.culprits[0]) == "times, argument a: analytic is 1.01 x numeric"


def test_in_the_outermost_layer_the_culprit_has_its_kind(rng):
    square = own_square(lambda g, out, x: g * x)

    error = failure_of(Named(square), rng.standard_normal(3))

    assert "planted, in layer 'Named', argument x" in str(error)


def test_a_wrong_rule_that_was_not_used_is_not_blamed(rng):
    times = own_times(factor_b=3.0)
    wrong = own_square(lambda g, out, x: 4 * g * x)
    constant = rng.standard_normal(3)

    te.gradcheck(lambda x: times(x, constant), rng.standard_normal(3))
    error = failure_of(lambda x: wrong(times(x, constant)), rng.standard_normal(3))

    assert [c.op for c in error.culprits] == ["planted"]


def test_the_same_wrong_operation_at_two_places_is_blamed_twice(rng):
    times = own_times(factor_a=1.01)
    y = rng.standard_normal(3)

    error = failure_of(lambda x: times(te.tanh(times(x, y)), y), rng.standard_normal(3))

    assert [(c.op, c.argument) for c in error.culprits] == [("times", "a")] * 2


UNARY = [
    "tanh",
    "sigmoid",
    "softplus",
    "negative",
    "softmax",
    "logsumexp",
    "sum",
    "mean",
]
BINARY = ["add", "subtract", "multiply", "divide", "matmul", "maximum"]
REDUCES = {"logsumexp", "sum", "mean"}


def sabotaged(name, argument, factor, second):
    """Declare a copy of an operation of ours with one wrong rule.

    ``second`` leaves the rule as it is, and only what it is differentiated to wrong.
    """
    true = te.OPS[name]

    @functools.wraps(true.forward)
    def forward(*args, **kwargs):
        return true.forward(*args, **kwargs)

    def wrong(rule, *args, **kwargs):
        d = rule(*args, **kwargs)
        if not second:
            return factor * d
        return factor * d + (1 - factor) * raw(d)

    forward.__name__ = f"sabotaged_{name}"
    copy = te.op(elementwise=true.elementwise)(forward)
    rules = dict(zip(true.arguments, true.rules, strict=True))
    rules[argument] = functools.partial(wrong, rules[argument])
    copy.vjp(**rules)
    return copy


class Step(nn.Layer):
    """One operation of a random graph; what it combines x with is a parameter."""

    def __init__(self, op, name, rng):
        self.op, self.name = op, name
        if name in BINARY:
            self.weight = te.tensor(
                rng.choice([-1, 1], (3, 3)) * rng.uniform(0.5, 1.5, (3, 3)),
                requires_grad=True,
            )

    def forward(self, x):
        if self.name in BINARY:
            return self.op(x, self.weight)
        if self.name in REDUCES:
            return x * (1 + 0.3 * self.op(x, axis=1, keepdims=True))
        return self.op(x)


class RandomGraph(nn.Layer):
    """A chain of random steps with a shortcut around each; one may be sabotaged."""

    def __init__(self, rng, second=False):
        names = [str(n) for n in rng.choice(UNARY + BINARY, rng.integers(2, 9))]
        if second:  # a linear operation has no wrong second derivative to find
            names[0] = str(rng.choice(["tanh", "sigmoid", "softplus", "multiply"]))
        self.place = 0 if second else int(rng.integers(len(names)))
        self.shortcuts = rng.uniform(size=len(names)) < 0.4
        self.steps = []
        for i, name in enumerate(names):
            op = te.OPS[name]
            if i == self.place:
                self.argument = str(rng.choice(op.arguments))
                factor = float(rng.choice([0.3, 0.9, 0.999, 1.0005, 1.1, 3, -1]))
                op = sabotaged(name, self.argument, factor, second)
                self.planted = op.name
            self.steps.append(Step(op, name, rng))

    def forward(self, x):
        for step, shortcut in zip(self.steps, self.shortcuts, strict=True):
            y = step(x)
            x = y + 0.3 * x if shortcut else y
        return x


@pytest.mark.parametrize(
    "seed",
    [*range(8), *(pytest.param(i, marks=pytest.mark.slow) for i in range(8, 50))],
)
def test_in_fifty_random_graphs_the_sabotaged_operation_is_blamed(seed):
    rng = np.random.default_rng(seed)
    model = RandomGraph(rng)

    error = failure_of(model, rng.standard_normal((3, 3)))

    blamed = {(c.op, c.layer, c.argument) for c in error.culprits}
    assert blamed == {(model.planted, f"steps.{model.place}", model.argument)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_in_random_graphs_a_wrong_second_derivative_is_blamed(seed):
    rng = np.random.default_rng(1000 + seed)
    model = RandomGraph(rng, second=True)
    x = rng.standard_normal((3, 3))

    te.gradcheck(model, x)
    error = failure_of(model, x, order=2)

    blamed = {(c.op, c.layer, c.order) for c in error.culprits}
    assert blamed == {(model.planted, f"steps.{model.place}", 2)}


# ------------------------------------------------------------------------- clear errors


def test_a_random_function_is_refused(rng):
    noise = np.random.default_rng(0)

    message = r"f is random: two calls .* give \S+, \S+, \S+ of shape \(3,\) and .*eval"
    with pytest.raises(ValueError, match=message):
        te.gradcheck(lambda x: x * noise.standard_normal(3), rng.standard_normal(3))


def test_a_function_of_another_shape_at_each_call_is_random():
    calls = []

    def f(x):
        calls.append(1)
        return te.concatenate([x] * len(calls))

    with pytest.raises(ValueError, match="f is random"):
        te.gradcheck(f, np.ones(3))


def test_a_function_of_another_number_of_outputs_at_each_call_is_random():
    calls = []

    def f(x):
        calls.append(1)
        return (x,) * len(calls)

    with pytest.raises(ValueError, match=r"f is random: .* give no output and 1, 1, 1"):
        te.gradcheck(f, np.ones(3))


@pytest.mark.parametrize(
    ("f", "first"),
    [
        (lambda x: te.exp(te.log(x - 5) * 2), "log"),
        (lambda x: 1 / (x - x), "divide"),
        (lambda x: te.exp(1000 * x) * 0.5, "exp"),
    ],
)
def test_of_nan_and_infinity_the_operation_that_gave_it_first_is_named(f, first):
    with pytest.raises(
        ValueError, match=f"gives nan or infinity; {first} gave it first"
    ):
        te.gradcheck(f, np.ones(3))


def test_of_nan_in_a_layer_its_path_is_named():
    model = nn.Sequential(nn.Tanh(), Named(lambda x: te.log(x - 5)), nn.Tanh())

    with pytest.raises(ValueError, match="log in layer '1' gave it first"):
        te.gradcheck(model, np.ones(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_input_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="right holds nan or infinity"):
        te.gradcheck(lambda left, right: left * right, np.ones(2), np.array([1, bad]))


def add_one(x):
    x.data += 1
    return x * x


def assign(x):
    x.data = np.clip(x.data, 0.0, 0.5)
    return x * x


@pytest.mark.parametrize("f", [add_one, assign])
def test_a_function_that_changes_its_input_is_refused(f):
    with pytest.raises(ValueError, match=r"f changes its input x; .*Work on a copy"):
        te.gradcheck(f, np.ones(3))


def test_a_function_that_changes_an_array_handed_on_is_refused():
    def f(x, index):
        index[0] = 2
        return x[index]

    with pytest.raises(ValueError, match="f changes its input index"):
        te.gradcheck(f, np.ones(3), np.array([0, 1]))


def test_a_loss_that_changes_the_targets_is_refused():
    def loss(y, targets):
        targets *= 2
        return te.sum(y * targets)

    with pytest.raises(ValueError, match="f changes its input the targets"):
        te.gradcheck(nn.Tanh(), np.ones(3), np.ones(3), loss=loss)


def test_a_layer_that_changes_its_parameter_is_refused():
    layer = nn.Linear(2, 2, rng=0)

    def forward(x):
        layer.bias.data[:] = 1.0
        return layer(x)

    model = Named(forward)
    model.inner = layer
    with pytest.raises(ValueError, match=r"f changes its input inner\.bias"):
        te.gradcheck(model, np.ones((1, 2)))


def test_targets_with_nan_are_not_taken_for_changed():
    targets = np.array([1.0, np.nan, 2.0])

    def loss(y, targets):
        return te.sum(y[~np.isnan(targets)])

    assert te.gradcheck(nn.Tanh(), np.ones(3), targets, loss=loss).worst < 1e-6


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (lambda x: float(te.sum(x.detach())), "float"),
        (lambda x: x.data * 2, "ndarray"),
        (lambda x: None, "NoneType"),
        (lambda x: {"y": {x}}, r"set"),
        (lambda x: (x, 2.0), "float"),
        (lambda x: (x, (x, None)), "NoneType"),
    ],
)
def test_what_is_no_tensor_is_refused(result, kind):
    message = rf"f must return a Tensor or several.*, got {kind}\. .*leave the graph"

    with pytest.raises(TypeError, match=message):
        te.gradcheck(result, np.ones(3))


@pytest.mark.parametrize("empty", [(), []])
def test_no_output_is_refused(empty):
    with pytest.raises(TypeError, match="f must return a Tensor or several, got none"):
        te.gradcheck(lambda x: empty, np.ones(3))


@pytest.mark.parametrize(
    "inputs",
    [
        (),
        (3,),
        (np.array([1, 2]),),
        ([1, 2],),
        ("text",),
        (te.tensor([1.0, 2.0]),),
        (np.array([1 + 1j]),),
    ],
    ids=repr,
)
def test_nothing_to_check_by_is_refused(inputs):
    with pytest.raises(
        ValueError, match="nothing to check by: pass at least one array"
    ):
        te.gradcheck(lambda *x: te.tensor(1.0), *inputs)


@pytest.mark.parametrize("order", [0, -1, 1.5, 2.0, "2", None, np.nan])
def test_an_order_that_is_no_positive_integer_is_refused(order):
    with pytest.raises(ValueError, match=rf"order must be 1, 2, \.\.\., got {order!r}"):
        te.gradcheck(te.exp, np.ones(3), order=order)


def test_a_loss_without_targets_is_refused():
    with pytest.raises(ValueError, match="with loss=, pass the inputs and the targets"):
        te.gradcheck(nn.Tanh(), loss=nn.mse_loss)


def test_an_error_of_the_function_is_handed_on():
    def f(x):
        raise KeyError("of the function")

    with pytest.raises(KeyError, match="of the function"):
        te.gradcheck(f, np.ones(3))


# ------------------------------------------------------------------------------- layers


def network(rng):
    return nn.Sequential(nn.Linear(4, 3, rng=rng), nn.Tanh(), nn.Linear(3, 2, rng=rng))


def test_every_parameter_is_checked_under_its_name(rng):
    X, y = rng.standard_normal((5, 4)), rng.integers(0, 2, 5)

    report = te.gradcheck(network(rng), X, y, loss=nn.softmax_cross_entropy)

    names = ["x", "0.weight", "0.bias", "2.weight", "2.bias"]
    assert [r.name for r in report.inputs] == names
    assert [r.shape for r in report.inputs] == [(5, 4), (3, 4), (3,), (2, 3), (2,)]


def test_a_frozen_parameter_is_left_out(rng):
    model = network(rng)
    model.parameters()[0].requires_grad = False

    report = te.gradcheck(model, rng.standard_normal((5, 4)))

    assert "0.weight" not in [r.name for r in report.inputs]


def test_a_model_of_integers_is_checked_by_its_parameters_alone(rng):
    class Table(nn.Layer):
        def __init__(self):
            self.rows = te.tensor(rng.standard_normal((5, 2)), requires_grad=True)

        def forward(self, index):
            return te.tanh(self.rows[index])

    report = te.gradcheck(Table(), np.array([0, 0, 3]))

    assert [r.name for r in report.inputs] == ["rows"]


def state_of(model):
    return [(p.data.tobytes(), p.grad, p.data) for p in model.parameters()]


@orders
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_and_their_gradients_are_left_as_they_were(order, dtype, rng):
    model = nn.Sequential(nn.Linear(4, 3, rng=0, dtype=dtype), nn.Sigmoid())
    model.parameters()[0].grad = held = np.ones((3, 4), dtype)
    before = state_of(model)

    te.gradcheck(model, rng.standard_normal((5, 4)).astype(dtype), order=order)

    for (numbers, grad, array), p in zip(before, model.parameters(), strict=True):
        assert p.data.tobytes() == numbers
        assert p.data is array
        assert p.grad is grad
    np.testing.assert_array_equal(held, 1)


@pytest.mark.parametrize("call", [1, 2, 3, 5, 40])
def test_parameters_are_put_back_if_the_check_raises(call, rng):
    model, calls = network(rng), []

    def fail(x):
        calls.append(1)
        if len(calls) == call:
            raise KeyError("of the function")
        return x

    before = state_of(model)
    with pytest.raises(KeyError, match="of the function"):
        te.gradcheck(nn.Sequential(model, Named(fail)), rng.standard_normal((5, 4)))

    assert [state[0] for state in state_of(model)] == [state[0] for state in before]


def test_parameters_are_put_back_if_the_check_fails(rng):
    model = Scaled(own_times(factor_b=1.01))
    before = state_of(model)

    failure_of(model, rng.standard_normal((4, 3)))

    assert [state[0] for state in state_of(model)] == [state[0] for state in before]


def test_an_older_graph_still_goes_backward_after_a_check(rng):
    model, X = network(rng), rng.standard_normal((5, 4))
    loss = te.sum(model(X))

    te.gradcheck(model, X)
    loss.backward()

    assert all(np.isfinite(p.grad).all() for p in model.parameters())


def test_a_full_check_of_the_lectures_network_takes_few_calls():
    calls = []

    def count(x):
        calls.append(1)
        return x

    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(784, 64, rng=0), nn.Sigmoid(), nn.Linear(64, 10, rng=1), Named(count)
    )
    X, y = rng.uniform(0, 1, (32, 784)), rng.integers(0, 10, 32)

    report = te.gradcheck(model, X, y, loss=nn.softmax_cross_entropy)

    # four for each of 64 + 640 + 10 entries, and for 2 x 8 directions: 2,920
    assert report.compared == 730
    assert report.calls < 1.05 * 4 * report.compared
    assert len(calls) <= report.calls + 10
    assert report.worst < 1e-6


# ------------------------------------------------------------------------- the report


def test_the_report_reads_well():
    report = te.gradcheck(lambda x, w: te.tanh(x @ w), np.ones((2, 3)), np.ones(3))

    first, *lines = str(report).splitlines()
    assert first.startswith(
        "gradcheck: right, order 1; 18 numbers compared in 36 calls, worst relative"
    )
    assert lines[0].startswith("  x (2, 3): all 12 entries of the Jacobian, worst ")
    assert "differences resolve" in lines[0]
    assert lines[1].startswith("  w (3,): all 6 entries of the Jacobian, worst ")


def test_the_report_of_second_order_names_what_was_differentiated():
    report = te.gradcheck(te.exp, np.ones(3), order=2)

    assert [r.name for r in report.inputs] == [
        "x",
        "second order, x",
        "second order, upstream gradient 0",
    ]


def test_of_large_inputs_the_report_tells_of_directions(rng):
    report = te.gradcheck(lambda x: te.sum(x * x), rng.standard_normal((40, 50)))

    assert "8 random directions through all 2,000 entries" in str(report)
    assert (report.compared, report.calls) == (8, 32)


def test_one_entry_and_one_number_are_in_the_singular():
    report = te.gradcheck(lambda x: te.sum(x**3), np.array([2.0]))

    first, line = str(report).splitlines()
    assert first.startswith("gradcheck: right, order 1; 1 number compared in 4 calls")
    assert line.startswith("  x (1,): the 1 entry, worst ")


def test_the_report_tells_what_differences_do_not_resolve():
    report = te.gradcheck(lambda x: te.sum(x**3), np.array([1e-8, 1.0, 1e8]))

    assert report.inputs[0].unresolved == 2
    assert "(2 numbers not at all)" in str(report)


def test_the_report_adds_up_its_inputs(rng):
    report = te.gradcheck(lambda a, b: a * b, *rng.standard_normal((2, 3)))

    assert report.compared == sum(r.compared for r in report.inputs) == 18
    assert report.calls == sum(r.calls for r in report.inputs) == 24
    assert report.worst == max(r.worst for r in report.inputs)


def test_every_call_is_counted(rng):
    calls = []

    def f(x):
        calls.append(1)
        return te.sum(te.exp(x))

    report = te.gradcheck(f, rng.standard_normal(5))

    assert report.calls == 20
    assert len(calls) <= 20 + 5


def test_the_error_is_an_assertion_with_its_report(rng):
    error = failure_of(own_square(lambda g, out, x: g * x), rng.standard_normal(3))

    assert isinstance(error, AssertionError)
    assert str(error.report).startswith("gradcheck: wrong, order 1; 9 numbers compared")
    assert str(error).startswith(
        "gradcheck failed\nthe gradient by x (3,) is wrong in 3"
    )


@orders
@pytest.mark.parametrize("size", [(5,), (1500,)], ids=str)
def test_the_same_seed_gives_the_same_report(order, size, rng):
    x = rng.standard_normal(size)

    def look(rng):
        return str(te.gradcheck(lambda x: te.tanh(x) * x, x, order=order, rng=rng))

    assert look(0) == look(0) == look(np.random.default_rng(0))
    assert look(np.random.RandomState(3)) == look(np.random.RandomState(3))


def test_the_same_seed_gives_the_same_error(rng):
    x = rng.standard_normal(1500)
    square = own_square(lambda g, out, x: 2.1 * g * x)

    messages = {str(failure_of(square, x, rng=7)) for _ in range(2)}

    assert len(messages) == 1


def test_numpys_own_random_state_is_left_alone(rng):
    before = np.random.get_state()[1].tobytes()

    te.gradcheck(te.exp, rng.standard_normal(1500), order=2)

    assert np.random.get_state()[1].tobytes() == before


def test_no_warning_escapes():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        te.gradcheck(lambda x: te.log(x - 1), np.array([1 + 1e-6, 2.0]))
        te.gradcheck(lambda x: x * te.tensor(np.nan_to_num(np.mean([]))), np.ones(2))
        failure_of(te.sqrt, np.zeros(2))

    assert caught == []


def test_a_tolerance_can_be_given():
    square = own_square(lambda g, out, x: 2.002 * g * x)

    assert te.gradcheck(square, np.ones(3), rtol=1e-2).worst == pytest.approx(
        1e-3, 0.01
    )
    failure_of(square, np.ones(3), rtol=1e-4)


def test_long_tables_are_cut():
    entries = [Entry((i,), 1.0, 2.0, 0.0) for i in range(9)]

    lines = table(entries).splitlines()

    assert len(lines) == 7
    assert lines[-1].endswith("and 4 more")


@pytest.mark.parametrize(
    ("analytic", "numeric", "error"),
    [(1.0, 2.0, 0.5), (0.0, 0.0, 0.0), (np.nan, 1.0, np.inf), (1.0, np.inf, np.inf)],
)
def test_the_relative_error_of_an_entry(analytic, numeric, error):
    assert Entry((), analytic, numeric, 0.0).relative_error == error


# -------------------------------------------------------------------------------- trees


def test_the_leaves_of_trees_are_checked_and_named_by_their_paths(rng):
    layers = [{"W": rng.standard_normal((2, 3)), "b": np.zeros(2), "kind": "tanh"}]

    def f(layers, x):
        (layer,) = layers
        z = layer["W"] @ x["in"] + layer["b"]
        return {"out": te.tanh(z), "half": (z / 2,)}

    report = te.gradcheck(f, layers, {"in": np.ones(3), "n": 3}, order=2)

    first = [r.name for r in report.inputs[:3]]
    assert first == ["layers[0]['W']", "layers[0]['b']", "x['in']"]
    assert type(layers[0]["W"]) is np.ndarray


def test_a_wrong_gradient_in_a_tree_is_named_by_its_path():
    def f(params):
        return te.sum(params["a"] * params["b"][0].detach())

    error = failure_of(f, {"a": np.ones(2), "b": [np.full(2, 3.0)]})

    assert "the gradient by params['b'][0] (2,) is wrong in 2 of 2 numbers" in str(
        error
    )
    assert "params['a']" not in str(error)


def test_a_change_of_a_tree_is_found():
    def f(params):
        params["w"].data[0] += 1.0
        return te.sum(params["w"])

    with pytest.raises(ValueError, match=r"changes its input params\['w'\]"):
        te.gradcheck(f, {"w": np.ones(2)})


def test_what_is_no_tensor_in_a_tree_is_named():
    with pytest.raises(TypeError, match=r"or several at \['n'\]\[1\], got float"):
        te.gradcheck(lambda x: {"y": x, "n": [x, 1.0]}, np.ones(2))
