"""At the ends of what numbers there are, derivatives are the limits, where one exists.

The first part walks over all elementwise operations of one argument, at infinities,
nan, zeros, the smallest and the largest numbers, and where functions saturate. What is
right comes from closed forms in extended precision that cancel nowhere.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import tinygrad_edu as te
from tinygrad_edu import nn

WIDE = np.longdouble
INF, NAN = np.inf, np.nan


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def bell(x):
    return np.exp(-x * x)


def sech(x):
    e = np.exp(-np.abs(x))
    return 2 * e / (1 + e * e)


def mish_slope(x):
    s = sigmoid(x)
    t = np.tanh(np.log1p(np.exp(x)))
    return t + x * sech(np.log1p(np.exp(x))) ** 2 * s


def sinc_slope(x):
    small = np.abs(x) < 1e-3
    y = np.where(small, 1, x)
    far = (np.cos(np.pi * y) - np.sinc(y)) / y
    square = (WIDE(np.pi) * x) ** 2
    return np.where(small, -(WIDE(np.pi) ** 2) * x / 3 * (1 - square / 10), far)


def selu_slope(x):
    scale, alpha = WIDE("1.0507009873554805"), WIDE("1.6732632423543772")
    return np.where(x > 0, scale, scale * alpha * np.exp(np.minimum(x, 0)))


LOG_2, LOG_10 = np.log(WIDE(2)), np.log(WIDE(10))
ROOT_2, ROOT_PI = np.sqrt(WIDE(2)), np.sqrt(WIDE(math.pi))

#: The derivative of each operation, of numbers in extended precision.
SLOPES = {
    "absolute": np.sign,
    "arccos": lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
    "arccosh": lambda x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
    "arcsin": lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
    "arcsinh": lambda x: 1 / np.hypot(1, x),
    "arctan": lambda x: 1 / (1 + x * x),
    "arctanh": lambda x: 1 / ((1 - x) * (1 + x)),
    "cbrt": lambda x: 1 / (3 * np.cbrt(x) ** 2),
    "copy": np.ones_like,
    "cos": lambda x: -np.sin(x),
    "cosh": np.sinh,
    "csch": lambda x: (
        -2
        * np.exp(-np.abs(x))
        * (1 + np.exp(-2 * np.abs(x)))
        / np.expm1(-2 * np.abs(x)) ** 2
    ),
    "deg2rad": lambda x: np.full_like(x, math.pi / 180),
    "elu": lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
    "erf": lambda x: 2 / ROOT_PI * bell(x),
    "erfc": lambda x: -2 / ROOT_PI * bell(x),
    "exp": np.exp,
    "exp2": lambda x: np.exp2(x) * LOG_2,
    "expm1": np.exp,
    "gelu": lambda x: (
        special.ndtr(x.astype(float)) + x * bell(x / ROOT_2) / (ROOT_2 * ROOT_PI)
    ),
    "hard_tanh": lambda x: 1.0 * (np.abs(x) <= 1),
    "leaky_relu": lambda x: np.where(x > 0, 1, WIDE(0.01)),
    "log": lambda x: 1 / np.abs(x),
    "log10": lambda x: 1 / (np.abs(x) * LOG_10),
    "log1p": lambda x: 1 / (1 + x),
    "log2": lambda x: 1 / (np.abs(x) * LOG_2),
    "logit": lambda x: 1 / (np.abs(x) * (1 - x)),
    "mish": mish_slope,
    "nan_to_num": lambda x: 1.0 * np.isfinite(x),
    "negative": lambda x: -np.ones_like(x),
    "positive": np.ones_like,
    "rad2deg": lambda x: np.full_like(x, 180 / math.pi),
    "reciprocal": lambda x: -1 / x / x,
    "relu": lambda x: 1.0 * (x > 0),
    "sech": lambda x: -sech(x) * np.tanh(x),
    "selu": selu_slope,
    "sigmoid": lambda x: sigmoid(x) * sigmoid(-x),
    "sign": np.zeros_like,
    "silu": lambda x: sigmoid(x) * (1 + x * sigmoid(-x)),
    "sin": np.cos,
    "sinc": sinc_slope,
    "sinh": np.cosh,
    "softplus": sigmoid,
    "softsign": lambda x: 1 / (1 + np.abs(x)) / (1 + np.abs(x)),
    "sqrt": lambda x: 0.5 / np.sqrt(np.abs(x)),
    "square": lambda x: 2 * x,
    "tan": lambda x: 1 / np.cos(x) ** 2,
    "tanh": lambda x: sech(x) ** 2,
}

#: The limits of the derivative at -inf and inf, where the forms above say nan. Those
#: not named there or here have none: sin and its like oscillate.
LIMITS = {
    "gelu": (0, 1),
    "mish": (0, 1),
    "silu": (0, 1),
}

#: What is no limit but a convention. Where the function is nan, so is its derivative,
#: but for those whose derivative does not ask for the number; at -0.0 the derivative of
#: roots and logarithms has the sign that division by it gives.
OF_NAN = {
    **dict.fromkeys(["copy", "positive", "rad2deg", "deg2rad", "negative"], "constant"),
    "sign": "0, as everywhere",
    "nan_to_num": "0: it was replaced",
}
SIGN_OF_ZERO = {"log", "log2", "log10", "sqrt", "logit"}
#: Up to where an operation has digits at all: beyond, NumPy's own sine has no angle.
UP_TO = {"sinc": 1e3}

ENDS = [-INF, INF, -0.0, 0.0, 1.0, -1.0]
SATURATED = [2.1, 3.0, 5.0, 9.01, 12.0, 20.0, 40.0, 80.0, 300.0, 700.0, 744.0]


def unary():
    return [
        name
        for name, op in te.OPS.items()
        if op.elementwise and len(op.arguments) == 1 and not op.needed
    ]


def slopes(name, x):
    """Return values and derivatives, each by a call of its own."""
    f = te.OPS[name].call
    with np.errstate(all="ignore"):
        leaf = te.tensor(x, requires_grad=True)
        value = f(leaf)
        (slope,) = te.gradients(te.sum(value), [leaf])
    return value.data, slope


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", unary())
def test_the_derivative_of_an_elementwise_operation_is_its_limit(name, dtype):
    assert name in SLOPES, f"say in SLOPES what the derivative of {name} is"
    tiny, most = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    sizes = [tiny, np.finfo(dtype).tiny, 1e-30, 1e30, most]
    far = [float(x) for x in [*sizes, *SATURATED]]
    x = np.array([*ENDS, *far, *(-x for x in far)], dtype)

    value, slope = slopes(name, x)

    with np.errstate(all="ignore"):
        right = np.array(SLOPES[name](x.astype(WIDE)), WIDE)
        low, high = LIMITS.get(name, (right[0], right[1]))
        right[0], right[1] = low, high
        asked = ~np.isnan(value) & ~np.isnan(right)
        if name in SIGN_OF_ZERO:
            asked &= ~((x == 0) & np.signbit(x))
        asked &= (np.abs(x) <= UP_TO.get(name, INF)) | np.isinf(x)
        beyond = np.abs(right) > most
        right = np.where(beyond, np.copysign(INF, right), right)
    assert slope.dtype == dtype
    np.testing.assert_allclose(
        slope[asked].astype(WIDE),
        right[asked],
        rtol={np.float64: 4e-12, np.float32: 1e-5}[dtype],
        atol=float(np.finfo(dtype).tiny),
        err_msg=str(x[asked]),
    )


@pytest.mark.parametrize("name", unary())
def test_the_derivative_at_nan_is_nan_but_for_what_does_not_ask(name):
    _, slope = slopes(name, np.array([NAN, 0.5]))

    assert np.isnan(slope[0]) == (name not in OF_NAN)


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (te.tanh, np.float32(-9.01), 5.9713590e-08),
        (te.tanh, -9.01, 5.9713617e-08),
        (te.sigmoid, 40.0, 4.248354255291589e-18),
        (te.sigmoid, -40.0, 4.248354255291589e-18),
        (te.exp2, 1024.0000000000002, 1.246065927941998e308),
    ],
)
def test_tails_have_digits(f, x, slope):
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(te.grad(f)(x), slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("f", "point", "bend"),
    [
        *((te.arcsin, 1.0, INF), (te.arcsin, -1.0, -INF)),
        *((te.arccos, 1.0, -INF), (te.arccos, -1.0, INF)),
        *((te.arctanh, 1.0, INF), (te.arctanh, -1.0, -INF)),
        *((te.arccosh, 1.0, -INF), (te.cbrt, 0.0, -INF), (te.sqrt, 0.0, -INF)),
        *((te.logit, 0.0, -INF), (te.logit, 1.0, INF), (te.log, 0.0, -INF)),
        (te.tanh, 20.0, -3.398683404233271e-17),
        (te.sigmoid, 40.0, -4.248354255291589e-18),
        (te.arcsin, 0.6, 1.171875),
        (te.arccosh, 2.0, -2 / 27**0.5),
        (te.cbrt, 8.0, -1 / 144),
        (te.logit, 0.2, -23.4375),
        (te.arctanh, 0.5, 16 / 9),
    ],
)
def test_second_derivatives_at_ends_are_infinite_or_right(f, point, bend):
    with np.errstate(all="ignore"):
        actual = te.grad(te.grad(f))(point)

    np.testing.assert_allclose(actual, bend, rtol=1e-12)


#: The limits of second derivatives at -inf and inf that are not 0.
BENDS = {
    **dict.fromkeys(["exp", "exp2", "expm1"], (0, INF)),
    "cosh": (INF, INF),
    "sinh": (-INF, INF),
    "square": (2, 2),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", unary())
def test_the_second_derivative_at_infinity_is_its_limit(name, dtype):
    x = te.tensor(np.array([-INF, INF], dtype), requires_grad=True)
    with np.errstate(all="ignore"):
        y = te.OPS[name].call(x)
        (slope,) = te.gradients(te.sum(y), [x], create_graph=True)
        bend = (
            te.gradients(te.sum(slope), [x])[0] if slope.requires_grad else np.zeros(2)
        )

    right = np.array(BENDS.get(name, (0, 0)), dtype)
    exists = ~np.isnan(y.data)
    np.testing.assert_array_equal(bend[exists], right[exists])


# ------------------------------------------------------------ sums of exponentials


@pytest.mark.parametrize("f", [te.logsumexp, np.logaddexp.reduce])
@pytest.mark.parametrize(
    ("x", "shares"),
    [
        ([-INF, -INF], [0.5, 0.5]),
        ([INF, INF], [0.5, 0.5]),
        ([INF, 0.0], [1, 0]),
        ([INF, -INF], [1, 0]),
        ([-INF, 0.0], [0, 1]),
        ([-INF], [1]),
    ],
)
def test_a_sum_of_exponentials_shares_one_among_infinities(f, x, shares):
    np.testing.assert_array_equal(te.grad(f)(np.array(x)), shares)
    bend = te.hessian(f)(np.array(x))
    assert np.isfinite(bend).all()


@pytest.mark.parametrize(
    ("x", "p"),
    [
        ([INF, 0.0], [1, 0]),
        ([INF, INF, 0.0], [0.5, 0.5, 0]),
        ([-INF, 0.0], [0, 1]),
        ([-INF, -INF], [0.5, 0.5]),
    ],
)
def test_softmax_with_infinities_is_its_limit(x, p):
    J = te.jacobian(te.softmax)(np.array(x))

    np.testing.assert_array_equal(te.softmax(x), p)
    np.testing.assert_allclose(J, np.diag(p) - np.outer(p, p), atol=1e-16)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(te.log_softmax(x), np.log(p))
    rows = te.jacobian(te.log_softmax)(np.array(x))
    np.testing.assert_allclose(rows, np.eye(len(x)) - np.array(p), atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradients_of_a_sure_softmax_keep_their_digits(dtype):
    x = np.array([40.0, 0.0, 1.0], dtype)
    wide = np.exp(x.astype(WIDE) - 40)
    p, rest = wide / wide.sum(), (wide[1] + wide[2]) / wide.sum()

    J = te.jacobian(te.softmax)(x)
    L = te.jacobian(te.log_softmax)(x)
    cost = te.grad(lambda z: te.softmax_cross_entropy(z, 0))(x)

    right = np.diag(p) - np.outer(p, p)
    right[0, 0] = p[0] * rest
    np.testing.assert_allclose(J, right.astype(float), rtol=2e-6, atol=1e-45)
    np.testing.assert_allclose(L[0], [rest, -p[1], -p[2]], rtol=2e-6)
    np.testing.assert_allclose(cost, [-rest, p[1], p[2]], rtol=2e-6)


@pytest.mark.parametrize(
    "f", [te.softmax_cross_entropy, nn.softmax_cross_entropy], ids=["te", "nn"]
)
def test_an_impossible_class_costs_nothing_unless_it_is_the_label(f):
    z = np.array([[-INF, 0.0, 1.0]])
    one_hot = np.array([[0.0, 1.0, 0.0]])

    for labels in ([1], one_hot):
        value, slope = te.value_and_grad(lambda z, y=labels: f(z, np.array(y)))(z)
        np.testing.assert_allclose(value, np.log1p(np.e), rtol=1e-15)
        p = 1 / (1 + np.e)
        np.testing.assert_allclose(slope, [[0, p - 1, 1 - p]], atol=1e-16)
    assert f(z, np.array([0])) == INF
    assert f(z, np.array([[1.0, 0.0, 0.0]])) == INF


@pytest.mark.parametrize(
    ("z", "y", "value", "slope"),
    [(INF, 1, 0, 0), (INF, 0, INF, 1), (-INF, 0, 0, 0), (-INF, 1, INF, -1)],
)
def test_sure_logits_cost_nothing_or_everything(z, y, value, slope):
    cost = nn.binary_cross_entropy_with_logits

    actual = te.value_and_grad(lambda z: cost(z, np.array([y])))(np.array([z]))

    assert actual == (value, [slope])


def test_a_small_probability_has_its_true_slope():
    p = np.array([1e-50, 1e-300])

    slope = te.grad(lambda p: nn.binary_cross_entropy(p, [1.0, 1.0], reduction="sum"))

    np.testing.assert_allclose(slope(p), -1 / p, rtol=1e-15)


# ------------------------------------------------------------------ the max family

#: Where the result is nan, so is the derivative of all that it was chosen from.
CHOICES = {
    "max": (te.max, [1.0, NAN], [NAN, NAN]),
    "min": (te.min, [1.0, NAN], [NAN, NAN]),
    "median": (te.median, [1.0, NAN, 3.0], [NAN, NAN, NAN]),
    "maximum": (lambda x: te.maximum(x[0], x[1]), [1.0, NAN], [NAN, NAN]),
    "minimum": (lambda x: te.minimum(x[0], x[1]), [NAN, 1.0], [NAN, NAN]),
    "fmax": (lambda x: te.fmax(x[0], x[1]), [1.0, NAN], [1.0, 0.0]),
    "fmin": (lambda x: te.fmin(x[0], x[1]), [NAN, 1.0], [0.0, 1.0]),
    "fmax of nan": (lambda x: te.fmax(x[0], x[1]), [NAN, NAN], [NAN, NAN]),
    "relu": (te.relu, [NAN, 1.0], [NAN, 1.0]),
    "leaky_relu": (te.leaky_relu, [NAN, 1.0], [NAN, 1.0]),
    "hard_tanh": (te.hard_tanh, [NAN, 0.5], [NAN, 1.0]),
    "clip": (lambda x: te.clip(x, 0.0, 1.0), [NAN, 0.5], [NAN, 1.0]),
    "clip's bound": (lambda x: te.clip(0.5, x[0], x[1]), [NAN, 2.0], [NAN, NAN]),
    "hinge": (lambda x: nn.hinge_loss(x, [1, 1], reduction="sum"), [NAN, 0], [NAN, -1]),
    "max_pool1d": (lambda x: te.max_pool1d(x, 2), [1, NAN, 2, 3], [NAN, NAN, 0, 1]),
    "max_pool2d": (
        lambda x: te.max_pool2d(te.reshape(x, (2, 2)), 2),
        [1.0, NAN, 2.0, 3.0],
        [NAN, NAN, NAN, NAN],
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_where_a_choice_is_nan_so_is_its_derivative(name):
    f, x, right = CHOICES[name]

    slope = te.grad(lambda x: te.sum(f(x)))(np.array(x, float))

    np.testing.assert_array_equal(slope, right)


# ----------------------------------------------------------------- lengths, spreads

LENGTHS = {
    "norm": te.norm,
    "norms of rows": lambda x: te.norm(x.reshape(2, 2), axis=1)[0],
    **{f"{p}-norm": lambda x, p=p: te.norm(x, p) for p in (1, 1.5, 3, 4, INF)},
    "hypot": lambda x: np.hypot(x[1], x[2]),
    "std": te.std,
    "std of a column": lambda x: np.std(x.reshape(2, 2).T, axis=0)[1],
}


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("scale", [2.0**-1015, 2.0**-600, 2.0**600, 2.0**1021])
def test_lengths_of_any_size_have_the_slopes_of_usual_ones(name, scale):
    f, x = LENGTHS[name], np.array([7.0, -7.0, 3.0, -3.0])
    value, slope = te.value_and_grad(f)(x)

    with np.errstate(over="ignore"):
        scaled = scale * value
    found, at_scale = te.value_and_grad(f)(scale * x)

    np.testing.assert_allclose(found, scaled, rtol=1e-13)
    np.testing.assert_allclose(at_scale, slope, rtol=1e-13)


@pytest.mark.parametrize("p", [2, 3, 4, 1.5])
def test_a_norm_grows_with_its_only_infinity(p):
    slope = te.grad(lambda x: te.norm(x, p))

    np.testing.assert_array_equal(slope(np.array([1.0, -INF, 0.0])), [0, -1, 0])
    np.testing.assert_array_equal(slope(np.array([INF, -INF, 1.0]))[:2], [NAN, NAN])


def test_the_spread_of_equal_numbers_is_0_at_any_size():
    for x in (0.1, 1e-300, 1e300):
        value, slope = te.value_and_grad(te.std)(np.full(7, x))
        np.testing.assert_allclose(value, 0, atol=5e-16 * x)
        np.testing.assert_array_equal(slope, np.zeros(7))


# ------------------------------------------------------- numbers, and nothing, reduced

REDUCTIONS = [op for op in te.OPS.values() if {"axis", "keepdims"} <= set(op.metadata)]
ALONG = [op for op in te.OPS.values() if "axis" in op.metadata and op not in REDUCTIONS]


def test_the_reductions_are_found():
    names = {op.name for op in REDUCTIONS}

    assert names >= {"sum", "mean", "max", "min", "prod", "var", "std", "median"}


@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.name)
@pytest.mark.parametrize("axis", [None, 0, -1, ()])
def test_a_number_is_reduced_with_slope_or_refused_as_in_numpy(op, axis):
    x = te.tensor(2.0, requires_grad=True)
    refused = None
    try:
        y = op.call(x, axis=axis)
    except ValueError as error:  # NumPy's AxisError is one
        refused = str(error)
    if refused is not None:
        assert op.name in refused
        return

    y.backward()

    constant = op.name in ("var", "std")  # of one number: 0
    assert x.grad == (0.0 if constant else 1.0)
    assert x.grad.shape == ()


@pytest.mark.parametrize(
    "ufunc", ["add", "maximum", "minimum", "multiply", "logaddexp"]
)
def test_numpys_own_reductions_of_a_number_have_the_slope_one(ufunc):
    x = te.tensor(2.0, requires_grad=True)

    getattr(np, ufunc).reduce(x, axis=0).backward()

    assert x.grad == 1.0


@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.name)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((0,), 0), ((0, 3), 0), ((0, 3), 1), ((2, 0), -1), ((2, 0), 0), ((0, 3), None)],
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
def test_nothing_is_reduced_as_in_numpy_or_refused(op, shape, axis):
    x = te.tensor(np.zeros(shape), requires_grad=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        try:
            right = np.shape(op.numpy(x.data, axis=axis)) if op.numpy else None
        except ValueError:
            right = "refused"
        refused = None
        try:
            y = op.call(x, axis=axis)
        except ValueError as error:
            refused = str(error)
        if refused is not None:
            assert right in ("refused", None)
            assert f"{op.name}: " in refused
            return

        (slope,) = te.gradients(te.sum(y), [x])

    assert right in (y.shape, None)
    assert slope.shape == shape


#: What these operations take besides the array.
BESIDES = {"repeat": {"repeats": 2}, "roll": {"shift": 1}}
INDICES = {"take": [0, 0], "take_along_axis": []}
#: They refuse more than NumPy does, in words that say why.
OWN_ERRORS = {"svd", "qr", "cross"}
EMPTY = [(0,), (0, 3), (2, 0), (0, 0), (2, 0, 3), (0, 3, 3), ()]


def outcome(f, arrays, **named):
    """The shapes of the results, or the error."""
    try:
        with np.errstate(all="ignore"):
            y = f(*arrays, **named)
    except Exception as error:
        return None, str(error)
    return (list(y) if isinstance(y, tuple | list) else [y]), None


def check_nothing(op, shapes, **named):
    """Hold results of such arrays to NumPy's, and gradients to the arrays' shapes."""
    named = {**BESIDES.get(op.name, {}), **named}
    arrays = [np.zeros(shape) + 0.5 for shape in shapes]
    leaves = [te.tensor(x, requires_grad=True) for x in arrays]
    what = f"{op.name} of {shapes}, {named}"
    if op.name in INDICES:
        at = np.array(INDICES[op.name], int)
        arrays, leaves = [arrays[0], at], [leaves[0], at]
    given, numpys = ([leaves], [arrays]) if op.variadic else (leaves, arrays)

    results, refused = outcome(op.call, given, **named)
    right, numpys_error = (
        outcome(op.numpy, numpys, **named) if op.numpy else (None, None)
    )

    if refused is not None:
        assert op.name in refused, what
        assert op.name in OWN_ERRORS or not op.numpy or numpys_error, what
        return
    assert right is None or [y.shape for y in results] == [y.shape for y in right], what
    results = [te.sum(y) for y in results if getattr(y, "requires_grad", False)]
    leaves = [x for x in leaves if type(x) is te.Tensor]
    if not results:
        return
    with np.errstate(all="ignore"):
        slopes = te.gradients(sum(results[1:], results[0]), leaves)
    assert [g.shape for g in slopes] == [x.shape for x in leaves], what
    finite = all(np.isfinite(y.data) for y in results)
    assert not finite or all(np.isfinite(g).all() for g in slopes), what


@pytest.mark.parametrize("op", ALONG, ids=lambda op: op.name)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_what_goes_along_an_axis_takes_nothing_and_numbers_as_numpy_does(op):
    for shape in EMPTY:
        for axis in (None, 0, -1, 1, ()):
            check_nothing(op, [shape], axis=axis)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
def test_operations_take_nothing_as_numpy_does_or_refuse_it_by_name():
    others = {"clip", "conv1d", "conv2d"}  # its own order; no channels are an error
    for op in te.OPS.values():
        if not op.needed and not op.constant and op.name not in others:
            for shape in EMPTY:
                for other in EMPTY if len(op.arguments) > 1 else [()]:
                    two = [shape, other][: min(2, len(op.arguments))]
                    check_nothing(op, [shape] if op.variadic else two)


# ------------------------------------------------------------------------- attention


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("alone", [True, False])
def test_what_is_behind_a_mask_has_no_effect(rng, bad, alone):
    layer = nn.MultiHeadAttention(4, 2, rng=0)
    x = rng.standard_normal((2, 3, 4))
    mask = np.ones((2, 1, 3), bool)
    mask[1, 0, 2] = False

    def outcome(number):
        keys = x.copy()
        keys[1, 2, 1] = number
        keys = te.tensor(keys, requires_grad=True)
        y = layer(keys, mask=mask) if alone else layer(x, keys, mask=mask)
        loss = te.sum(te.square(y[0])) + te.sum(te.square(y[1, :2]))
        return y, te.gradients(loss, [keys, *layer.parameters()])

    (y, slopes), (usual, others) = outcome(bad), outcome(0.5)

    np.testing.assert_allclose(y.data[0], usual.data[0], rtol=1e-14)
    np.testing.assert_allclose(y.data[1, :2], usual.data[1, :2], rtol=1e-14)
    for slope, right in zip(slopes, others, strict=True):
        np.testing.assert_allclose(slope, right, rtol=1e-12, atol=1e-14)


def test_nan_reaches_only_those_that_may_look_at_it(rng):
    layer = nn.MultiHeadAttention(4, 2, causal=True, rng=0)
    x = rng.standard_normal((1, 3, 4))
    usual = layer(x).data
    x[0, 2, 1] = NAN

    y = layer(x).data

    np.testing.assert_allclose(y[0, :2], usual[0, :2], rtol=1e-14)
    assert np.isnan(y[0, 2]).all()
