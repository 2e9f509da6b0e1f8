"""Elementwise operations: conventions, extremes, names, and what has no derivative."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import tinygrad_edu as te

MODULES = ("arithmetic", "exponentials", "trigonometry", "activations")
OPS = [op for op in te.OPS.values() if op.forward.__module__.split(".")[-1] in MODULES]
every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
precisions = pytest.mark.parametrize("dtype", [np.float64, np.float32])

INF, NAN = math.inf, math.nan


def leaf(data, dtype=np.float64):
    return te.tensor(np.array(data, dtype), requires_grad=True)


def gradients(f, *inputs, dtype=np.float64):
    """The gradients of the sum of ``f`` by each of the inputs."""
    leaves = [leaf(x, dtype) for x in inputs]
    return te.gradients(te.sum(f(*leaves)), leaves)


def derivatives(f, x, order, dtype=np.float64):
    """The derivatives of an elementwise ``f`` at ``x``, of orders 0 to ``order``."""
    x = leaf(x, dtype)
    found = [f(x)]
    for _ in range(order):
        (g,) = te.gradients(te.sum(found[-1]), [x], create_graph=True)
        if not g.requires_grad:  # it is constant
            g = g + 0.0 * x
        found.append(g)
    return [y.data for y in found]


# ---------------------------------------------------------------------- kinks and ties

KINKS = {
    "absolute": (te.absolute, [0.0], 0.0),
    "sign": (te.sign, [0.0], 0.0),
    "square": (te.square, [0.0], 0.0),
    "copysign": (lambda x: te.copysign(x, -1.0), [0.0], 0.0),
    "maximum": (lambda x: te.maximum(x, 2.0), [2.0], 0.5),
    "minimum": (lambda x: te.minimum(2.0, x), [2.0], 0.5),
    "fmax": (lambda x: te.fmax(2.0, x), [2.0], 0.5),
    "fmin": (lambda x: te.fmin(x, 2.0), [2.0], 0.5),
    "maximum of itself": (lambda x: te.maximum(x, x), [2.0], 1.0),
    "clip": (lambda x: te.clip(x, -1.0, 2.0), [-1.0, 2.0], 1.0),
    "clip, one bound": (lambda x: te.clip(x, None, 2.0), [2.0], 1.0),
    "hard_tanh": (te.hard_tanh, [-1.0, 1.0], 1.0),
    "relu": (te.relu, [0.0], 0.0),
    "leaky_relu": (te.leaky_relu, [0.0], 0.01),
    "elu": (te.elu, [0.0], 1.0),
    "elu, alpha": (lambda x: te.elu(x, alpha=0.3), [0.0], 0.3),
    "selu": (te.selu, [0.0], 1.0507009873554805 * 1.6732632423543772),
    "softsign": (te.softsign, [0.0], 1.0),
    "remainder": (lambda x: x % 2.0, [4.0, -2.0], 1.0),
}


@pytest.mark.parametrize(("f", "x", "expected"), KINKS.values(), ids=KINKS)
def test_derivative_at_a_kink_is_the_convention(f, x, expected):
    (g,) = gradients(f, x)

    np.testing.assert_allclose(g, np.full(len(x), expected), rtol=1e-15)


@pytest.mark.parametrize("f", [te.maximum, te.minimum, te.fmax, te.fmin], ids=str)
def test_a_tie_gives_each_of_the_two_half(f):
    a, b = gradients(f, [1.0, -3.0], [1.0, -3.0])

    np.testing.assert_array_equal(a, [0.5, 0.5])
    np.testing.assert_array_equal(b, [0.5, 0.5])


@pytest.mark.parametrize("f", [te.fmax, te.fmin], ids=str)
def test_the_only_number_gets_the_gradient(f):
    a, b = gradients(f, [NAN, 1.0, NAN], [2.0, NAN, NAN])

    np.testing.assert_array_equal(a, [0.0, 1.0, NAN])
    np.testing.assert_array_equal(b, [1.0, 0.0, NAN])


def test_hypot_has_no_second_derivative_at_the_origin():
    a, b = leaf([0.0, 3.0]), leaf([0.0, 4.0])

    first = te.gradients(te.sum(te.hypot(a, b)), [a, b], create_graph=True)

    assert [g.data[0] for g in first] == [0.0, 0.0]
    with pytest.raises(ValueError, match=r"no second derivative.*a \* a \+ b \* b"):
        te.gradients(te.sum(first[0] + 2.0 * first[1]), [a, b])


def test_at_the_origin_all_derivatives_of_arctan2_are_zero():
    a, b = leaf([0.0, 3.0]), leaf([0.0, 4.0])

    first = te.gradients(te.sum(te.arctan2(a, b)), [a, b], create_graph=True)
    second = te.gradients(te.sum(first[0] + 2.0 * first[1]), [a, b])

    assert [g.data[0] for g in first] == [0.0, 0.0]
    assert [g[0] for g in second] == [0.0, 0.0]
    assert all(np.isfinite(g).all() for g in second)
    assert all(g.data[1] != 0 for g in first)


@pytest.mark.parametrize("f", [te.sqrt, te.cbrt], ids=str)
def test_an_infinite_derivative_is_infinite_and_warned_of(f):
    x = leaf([0.0, 1.0])
    y = te.sum(f(x))

    with pytest.warns(RuntimeWarning, match="divide by zero"):
        y.backward()

    assert x.grad[0] == INF
    assert np.isfinite(x.grad[1])


# ------------------------------------------------------------------------------- clip

CLIPS = {
    "te.clip(x, lo, hi)": lambda x: te.clip(x, -1.0, 1.0),
    "te.clip by name": lambda x: te.clip(x, a_max=1.0, a_min=-1.0),
    "np.clip": lambda x: np.clip(x, -1.0, 1.0),
    "np.clip by name": lambda x: np.clip(a=x, a_min=-1.0, a_max=1.0),
    "np.clip, min and max": lambda x: np.clip(x, min=-1.0, max=1.0),
    "np.clip, out=None": lambda x: np.clip(x, -1.0, 1.0, out=None),
    "method": lambda x: x.clip(-1.0, 1.0),
    "method by name": lambda x: x.clip(min=-1.0, max=1.0),
    "method, mixed": lambda x: x.clip(-1.0, max=1.0),
    "bounds that are arrays": lambda x: x.clip(np.full(3, -1.0), [1.0, 1.0, 1.0]),
    "bounds that are tensors": lambda x: x.clip(te.tensor(-1.0), leaf(1.0)),
}


@pytest.mark.parametrize("f", CLIPS.values(), ids=CLIPS)
def test_clip_is_called_as_numpys_is(f):
    x = leaf([-2.0, 0.5, 3.0])

    y = f(x)

    assert y.op is te.clip
    np.testing.assert_array_equal(y.data, [-1.0, 0.5, 1.0])
    np.testing.assert_array_equal(te.gradients(te.sum(y), [x])[0], [0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("f", "value", "slope"),
    [
        (lambda x: x.clip(0.0), [0.0, 0.5, 3.0], [0, 1, 1]),
        (lambda x: x.clip(max=0.0), [-2.0, 0.0, 0.0], [1, 0, 0]),
        (lambda x: np.clip(x, None, 0.0), [-2.0, 0.0, 0.0], [1, 0, 0]),
        (lambda x: x.clip(min=0.0, max=None), [0.0, 0.5, 3.0], [0, 1, 1]),
    ],
)
def test_clip_takes_one_bound_alone(f, value, slope):
    x = leaf([-2.0, 0.5, 3.0])

    y = f(x)

    np.testing.assert_array_equal(y.data, value)
    np.testing.assert_array_equal(te.gradients(te.sum(y), [x])[0], slope)


@pytest.mark.parametrize(("lo", "hi"), [(-1.0, 1.0), (1.0, -1.0), (0.5, 0.5)])
def test_clip_hands_each_gradient_on_once(lo, hi):
    """To x, or to the bound that it lies beyond; also if they are the wrong way round.

    The sum of the derivatives is 1 everywhere: moving all three moves the result.
    """
    x = [-2.0, -1.0, 0.5, 1.0, 3.0]

    by_x, by_lo, by_hi = gradients(te.clip, x, [lo] * 5, [hi] * 5)

    np.testing.assert_array_equal(by_x + by_lo + by_hi, np.ones(5))
    out = np.clip(x, lo, hi)
    np.testing.assert_array_equal(by_x[out != x], 0.0)
    np.testing.assert_array_equal(by_lo[out != lo], 0.0)
    np.testing.assert_array_equal(by_hi[out != hi], 0.0)


def test_a_clipped_nan_stays_nan():
    np.testing.assert_array_equal(te.clip([NAN, 2.0], 0.0, 1.0), [NAN, 1.0])


# ------------------------------------------------------------------- nan and infinities


def test_nan_to_num_replaces_and_takes_no_gradient_there():
    x = leaf([NAN, 1.0, INF, -INF])

    y = te.nan_to_num(x, nan=7.0, posinf=8.0, neginf=-9.0)

    np.testing.assert_array_equal(y.data, [7.0, 1.0, 8.0, -9.0])
    np.testing.assert_array_equal(te.gradients(te.sum(y), [x])[0], [0, 1, 0, 0])


def test_nan_to_num_is_called_as_numpys_is():
    x = leaf([NAN, 1.0])

    for f in (te.nan_to_num, np.nan_to_num):
        for y in (f(x, True, 3.0), f(x, nan=3.0), f(x, copy=True, nan=3.0)):
            assert y.op is te.nan_to_num
            np.testing.assert_array_equal(y.data, [3.0, 1.0])


@pytest.mark.parametrize("f", [te.logaddexp, te.logaddexp2], ids=str)
def test_logaddexp_of_infinities_is_their_limit(f):
    a, b = [-INF, -INF, INF, INF, 1e308, NAN], [-INF, 0.0, 0.0, INF, -1e308, 0.0]
    x, y = leaf(a), leaf(b)

    out = f(x, y)
    by_a, by_b = te.gradients(out, [x, y], gradient=np.ones(6))

    np.testing.assert_array_equal(out.data, [-INF, 0.0, INF, INF, 1e308, NAN])
    np.testing.assert_array_equal(by_a, [0.5, 0.0, 1.0, 0.5, 1.0, NAN])
    np.testing.assert_array_equal(by_b, [0.5, 1.0, 0.0, 0.5, 0.0, NAN])


@pytest.mark.parametrize("f", [te.logaddexp, te.logaddexp2], ids=str)
def test_second_derivatives_of_logaddexp_are_finite_at_infinities(f):
    a, b = leaf([-INF, -INF, 0.0]), leaf([-INF, 0.0, 0.0])

    (first,) = te.gradients(te.sum(f(a, b)), [a], create_graph=True)
    by_a, by_b = te.gradients(te.sum(first), [a, b])

    assert np.isfinite(by_a).all()
    np.testing.assert_array_equal(by_a[1:], [0.0, by_a[2]])
    np.testing.assert_allclose(by_a, -by_b)


def test_softplus_of_infinities_is_their_limit():
    np.testing.assert_array_equal(te.softplus([-INF, INF]), [0.0, INF])


# --------------------------------------------------------------------------- extremes

_SMALL = 1234567 * 2.0**-50  # 1 less it, and 1 more, are exact; their squares are not
_ERF_SLOPE, _PHI = 2 / math.sqrt(math.pi), 1 / math.sqrt(2 * math.pi)
#: Operation, input, first derivative: in the tails, and where differences cancel.
SLOPES = [
    (te.absolute, -1e300, -1.0),
    (te.reciprocal, 1e100, -1e-200),
    (te.cbrt, 1e-300, 1e200 / 3),
    (te.exp2, -1000.0, 2.0**-1000 * math.log(2)),
    (te.expm1, -40.0, math.exp(-40)),
    (te.expm1, -1e4, 0.0),
    (te.log1p, 1e-300, 1.0),
    (te.log2, 1e-300, 1e300 / math.log(2)),
    (te.log10, 1e300, 1e-300 / math.log(10)),
    (te.erf, 5.0, _ERF_SLOPE * math.exp(-25)),
    (te.erf, 1e200, 0.0),
    (te.erfc, -1e200, 0.0),
    (te.erfc, 5.0, -_ERF_SLOPE * math.exp(-25)),
    (te.logit, 1e-200, 1e200),
    (te.logit, 1 - _SMALL, 1 / (_SMALL * (1 - _SMALL))),
    (te.arcsin, 1 - _SMALL, 1 / math.sqrt(_SMALL * (2 - _SMALL))),
    (te.arccos, _SMALL - 1, -1 / math.sqrt(_SMALL * (2 - _SMALL))),
    (te.arctan, 1e200, 0.0),
    (te.arctan, 1e100, 1e-200),
    (te.arcsinh, -1e200, 1e-200),
    (te.arccosh, 1e200, 1e-200),
    (te.arccosh, 1 + _SMALL, 1 / math.sqrt(_SMALL * (2 + _SMALL))),
    (te.arctanh, 1 - _SMALL, 1 / (_SMALL * (2 - _SMALL))),
    (te.tanh, 1e300, 0.0),
    (te.elu, -40.0, math.exp(-40)),
    (te.elu, 1e300, 1.0),
    (te.elu, -1e300, 0.0),
    (te.selu, -1e300, 0.0),
    (te.silu, -1e300, 0.0),
    (te.silu, 1e300, 1.0),
    (te.silu, -40.0, math.exp(-40) * (1 - 40)),
    (te.mish, -1e300, 0.0),
    (te.mish, 1e300, 1.0),
    (te.mish, -40.0, math.exp(-40) * (1 - 40)),
    (te.softsign, -1e200, 0.0),
    (te.gelu, -1e300, 0.0),
    (te.gelu, 1e300, 1.0),
    (te.gelu, -5.0, math.erfc(5 / math.sqrt(2)) / 2 - 5 * _PHI * math.exp(-12.5)),
    (lambda x: te.gelu(x, approximate="tanh"), -1e300, 0.0),
    (lambda x: te.gelu(x, approximate="tanh"), 1e300, 1.0),
    (lambda x: te.logaddexp(x, 0.0), -40.0, math.exp(-40)),
    (lambda x: te.logaddexp(x, 1.7e308), -1.7e308, 0.0),
    (lambda x: te.logaddexp2(x, 0.0), -100.0, 2.0**-100),
    (lambda x: te.hypot(x, 1e300), 1e300, math.sqrt(0.5)),
    (lambda x: te.hypot(x, 1e-300), 1e-300, math.sqrt(0.5)),
    (lambda x: te.arctan2(x, 1e200), 1e200, 0.5e-200),
    (lambda x: te.arctan2(1e-200, x), 1e-200, -0.5e200),
]


@pytest.mark.parametrize(("f", "x", "expected"), SLOPES)
def test_derivative_is_right_in_the_tails(f, x, expected):
    """Warnings are errors here: no finite input overflows on the way."""
    (g,) = gradients(f, x)

    np.testing.assert_allclose(g, expected, rtol=4e-15, atol=0)


@pytest.mark.parametrize(("f", "x"), [(f, x) for f, x, _ in SLOPES if abs(x) > 1e4])
def test_second_derivative_is_finite_in_the_tails(f, x):
    _, _, second = derivatives(f, x, 2)

    assert np.isfinite(second)


BOUNDED = [te.erf, te.erfc, te.arctan, te.arcsinh, te.elu, te.selu, te.gelu, te.silu]
BOUNDED += [te.mish, te.softsign, te.hard_tanh, te.leaky_relu, te.sinc]


@precisions
@pytest.mark.parametrize("op", BOUNDED, ids=lambda op: op.name)
def test_no_finite_input_overflows_in_either_precision(op, dtype):
    largest = 0.9 * np.finfo(dtype).max / (1 if op is not te.sinc else 4)
    x = [-largest, -1e4, -80.0, 0.0, 80.0, 1e4, largest]

    found = derivatives(op, x, 2, dtype)

    for y in found:
        assert y.dtype == dtype
        assert np.isfinite(y).all()


@pytest.mark.parametrize(
    "x", [1e-300, 1e-17, 0.3, 0.5 - 1e-12, 0.5 + 1e-12, 0.75, 0.999]
)
def test_logit_is_right_to_the_last_digits(x):
    if abs(x - 0.5) < 0.1:
        expected = 4 * (x - 0.5)  # of the series, whose next term is below 1e-35
    else:
        expected = math.log(x) - math.log1p(-x)

    np.testing.assert_allclose(te.logit(x), expected, rtol=4e-16 if x < 0.9 else 1e-15)


@pytest.mark.parametrize("x", [-6.0, -10.0, -37.0])
def test_gelu_keeps_its_digits_in_the_left_tail(x):
    expected = x * math.erfc(-x / math.sqrt(2)) / 2

    amplified = x * x * np.finfo(float).eps  # the rounding of x² in exp(-x²/2)
    np.testing.assert_allclose(te.gelu(x), expected, rtol=amplified)


# ------------------------------------------------------------------------------- sinc


def sinc_series(x, order):
    """The derivative of sin(π x) / (π x) of that order, by 40 terms of its series."""
    terms = []
    for k in range(40):
        power = 2 * k - order
        if power >= 0:
            factor = math.perm(2 * k, order) * math.pi ** (2 * k)
            terms.append((-1) ** k * factor / math.factorial(2 * k + 1) * x**power)
    return math.fsum(terms)


@pytest.mark.parametrize(
    "x", [0.0, 1e-300, -1e-12, 1e-8, 1e-5, -1e-3, 0.1, 0.4999999, 0.5, -0.5000001, 0.9]
)
def test_three_derivatives_of_sinc_are_right_near_zero(x):
    found = derivatives(te.sinc, x, 3)

    for order, y in enumerate(found):
        np.testing.assert_allclose(y, sinc_series(x, order), rtol=1e-13, atol=1e-13)


def test_derivative_of_sinc_has_its_digits_near_zero():
    x = np.array([1e-300, 1e-12, 1e-5])

    (g,) = gradients(te.sinc, x)

    np.testing.assert_allclose(g, -(math.pi**2) / 3 * x, rtol=1e-9, atol=0)
    np.testing.assert_allclose(g[:2], -(math.pi**2) / 3 * x[:2], rtol=1e-15, atol=0)


# ----------------------------------------------------------------- names and operators

RECORDED = {
    "abs": (abs, te.absolute),
    "np.abs": (np.abs, te.absolute),
    "np.fabs": (np.fabs, te.absolute),
    "+t": (lambda x: +x, te.positive),
    "%": (lambda x: x % 0.7, te.remainder),
    "number % t": (lambda x: 7.0 % x, te.remainder),
    "array % t": (lambda x: np.array([5.0, 7.0]) % x, te.remainder),
    "np.mod": (lambda x: np.mod(x, 0.7), te.remainder),
    "np.remainder": (lambda x: np.remainder(x, 0.7), te.remainder),
    "np.true_divide": (lambda x: np.true_divide(x, 2.0), te.divide),
    "np.radians": (np.radians, te.deg2rad),
    "np.deg2rad": (np.deg2rad, te.deg2rad),
    "np.degrees": (np.degrees, te.rad2deg),
    "np.rad2deg": (np.rad2deg, te.rad2deg),
    "np.acos": (np.acos, te.arccos),
    "np.asin": (np.asin, te.arcsin),
    "np.atan": (np.atan, te.arctan),
    "np.atan2": (lambda x: np.atan2(x, 2.0), te.arctan2),
    "np.acosh": (lambda x: np.acosh(x + 1.0), te.arccosh),
    "np.asinh": (np.asinh, te.arcsinh),
    "np.atanh": (np.atanh, te.arctanh),
    "np.pow": (lambda x: np.pow(x, 2.0), te.power),
    "np.sign": (np.sign, te.sign),
    "scipy.special.erf": (special.erf, te.erf),
    "scipy.special.erfc": (special.erfc, te.erfc),
    "scipy.special.expit": (special.expit, te.sigmoid),
    "scipy.special.logit": (special.logit, te.logit),
    "scipy.special.expm1": (special.expm1, te.expm1),
    "scipy.special.log1p": (special.log1p, te.log1p),
    "scipy.special.exp2": (special.exp2, te.exp2),
    "scipy.special.cbrt": (special.cbrt, te.cbrt),
}


@pytest.mark.parametrize(("f", "op"), RECORDED.values(), ids=RECORDED)
def test_every_name_of_it_records_the_operation(f, op):
    x = leaf([0.3, 0.6])

    y = f(x)

    assert y.op is op
    np.testing.assert_allclose(y.data, f(x.data), rtol=1e-15)


def test_a_function_of_scipy_without_operation_is_refused():
    with pytest.raises(TypeError, match=r"^gamma has no operation behind it"):
        special.gamma(leaf([1.0]))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (special.logsumexp, r"write te\.logsumexp, if"),
        (special.softmax, r"write te\.softmax, if"),
        (lambda x: special.multigammaln(x, 2), "write te's or NumPy's function of"),
    ],
)
def test_a_function_of_scipy_that_asks_nobody_is_refused(f, message):
    with pytest.raises(TypeError, match=message):
        te.grad(lambda x: te.sum(f(x)))(np.array([2.0, 3.0]))


PLAIN = {
    "t // number": lambda x: x // 2.0,
    "number // t": lambda x: 7.0 // x,
    "t // t": lambda x: x // x,
    "array // t": lambda x: np.array([9.0, -9.0, 4.0]) // x,
    "t // array": lambda x: x // np.array([2.0, -1.0, 0.5]),
    "te.floor_divide": lambda x: te.floor_divide(x, 2.0),
    "np.floor_divide": lambda x: np.floor_divide(5.0, x),
    "np.floor": np.floor,
    "np.ceil": np.ceil,
    "np.trunc": np.trunc,
    "np.rint": np.rint,
    "np.round": lambda x: np.round(x, decimals=1),
    "np.around": lambda x: np.around(x, 1),
    "np.signbit": np.signbit,
}


@pytest.mark.parametrize("f", PLAIN.values(), ids=PLAIN)
def test_rounding_gives_plain_arrays(f):
    x = leaf([1.26, -3.7, 5.0])

    y = f(x)

    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, f(x.data), strict=True)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: divmod(x, 2.0),
        lambda x: divmod(7.0, x),
        lambda x: np.divmod(x, 2.0),
        lambda x: divmod(np.array([5.0, 6.0, 7.0]), x),
    ],
)
def test_divmod_gives_a_plain_quotient_and_a_recorded_remainder(f):
    x = leaf([1.26, -3.7, 5.0])

    quotient, rest = f(x)

    right = f(x.data)
    assert type(quotient) is np.ndarray
    assert rest.op is te.remainder
    np.testing.assert_array_equal(quotient, right[0])
    np.testing.assert_array_equal(rest.data, right[1])


def _floor_divided(x):
    x //= 2.0
    return x


def _in_place(x):
    x += 1.0
    x -= 3.0
    x *= 2.0
    x /= 4.0
    x **= 2
    x %= 0.7
    return x


def test_an_in_place_operator_makes_a_new_tensor():
    """The old one, and all that holds it, stays as it was: its graph stays right."""
    x = leaf([1.0, 2.5])

    y = _in_place(x)
    plain = _floor_divided(x)

    np.testing.assert_array_equal(x.data, [1.0, 2.5])
    assert y.op is te.remainder
    np.testing.assert_array_equal(y.data, _in_place(np.array([1.0, 2.5])))
    np.testing.assert_allclose(te.gradients(te.sum(y), [x])[0], [-0.5, 0.25])
    assert type(plain) is np.ndarray


# ------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: np.clip(x, 0, 1, where=[True]), "clip: argument 'where'"),
        (lambda x: np.clip(x, 0, 1, out=np.ones(1)), "out="),
        (lambda x: x.clip(0.0, 1.0, 2.0), "clip: argument 'out'"),
        (lambda x: x.clip(0.0, min=1.0), "clip: got two values for a_min"),
        (lambda x: x.clip(a_max=0.0, max=1.0), "clip: got two values for a_max"),
        (lambda x: np.nan_to_num(x, copy=False), "nan_to_num: argument 'copy'"),
        (lambda x: te.nan_to_num(x, nan=te.tensor(1.0)), "nan .*Tensor"),
        (lambda x: np.fmax(x, 1.0, where=[True]), "fmax.*'where'"),
        (lambda x: np.fabs(x, where=[True]), "fabs.*'where'"),
        (lambda x: np.divmod(x, 1.0, where=[True]), "divmod.*'where'"),
        (lambda x: special.erf(x, out=np.ones(1)), "out="),
        (lambda x: te.elu(x, alpha=te.tensor(1.0)), "alpha .*Tensor"),
        (lambda x: np.nextafter(x, 2.0), "numpy.nextafter has steps"),
        (lambda x: te.sin(1j), "sin.*complex"),
    ],
)
def test_what_has_no_meaning_here_is_refused_by_name(f, told):
    with pytest.raises(TypeError, match=told):
        f(leaf([1.0]))


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: te.gelu(x, approximate="erf"), "gelu: approximate must be none or"),
        (lambda x: te.hard_tanh(x, min_val=2.0), "min_val must not exceed max_val"),
        (lambda x: te.hypot(x, np.ones(3)), "hypot: .*a is"),
        (lambda x: te.clip(x, np.ones(3), None), "clip: .*a_min is"),
    ],
)
def test_values_that_make_no_sense_are_refused(f, told):
    with pytest.raises(ValueError, match=told):
        f(leaf([1.0, 2.0]))


# ------------------------------------------------------------- any array, any number


@every_op
def test_layout_in_memory_does_not_matter(op):
    """Fortran order, and a view of every other number."""
    n = len(op.arguments)
    plain = [
        np.full((2, 4), 0.3 + 0.2 * i) + np.arange(8).reshape(2, 4) / 50
        for i in range(n)
    ]
    if op is te.arccosh:
        plain = [x + 1 for x in plain]
    right = gradients(op, *plain)
    value = op(*plain)

    for change in (np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2]):
        leaves = [te.tensor(change(x), requires_grad=True) for x in plain]
        y = op(*leaves)
        found = te.gradients(te.sum(y), leaves)
        np.testing.assert_array_equal(op(*map(change, plain)), value)
        np.testing.assert_array_equal(y.data, value)
        for g, expected in zip(found, right, strict=True):
            np.testing.assert_array_equal(g, expected)


@every_op
@pytest.mark.parametrize("shape", [(0,), (2, 0), (1,), (1, 1), ()])
def test_arrays_of_any_shape_have_gradients_of_that_shape(op, shape):
    start = 1.5 if op is te.arccosh else 0.3
    inputs = [np.full(shape, start + 0.2 * i) for i in range(len(op.arguments))]

    found = gradients(op, *inputs)

    assert op(*inputs).shape == shape
    for g in found:
        assert g.shape == shape
        assert np.isfinite(g).all()


@pytest.mark.parametrize(
    "op",
    [op for op in OPS if op.numpy is not None and len(op.arguments) == 1],
    ids=lambda op: op.name,
)
@pytest.mark.parametrize("x", [2, [1, 2, 3], np.array([0, 1], np.uint8), True])
def test_integers_give_what_numpy_gives(op, x):
    with np.errstate(all="ignore"):
        try:
            expected = op.numpy(np.asarray(x))
        except TypeError:  # of booleans
            with pytest.raises(TypeError):
                op(np.asarray(x))
            return

        actual = op(np.asarray(x))

    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    "op",
    [te.sigmoid, te.softplus, te.erf, te.erfc, *BOUNDED[4:-1]],
    ids=lambda op: op.name,
)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.bool_, np.int64])
def test_integers_are_as_good_as_floats(op, dtype):
    """None wraps around, and none is computed in half precision."""
    x = np.array([0, 1, 100]).astype(dtype)
    if dtype == np.int8:
        x = np.append(x, np.int8(-128))

    actual = op(x)

    np.testing.assert_allclose(actual, op(x.astype(np.float64)), rtol=1e-15)


@precisions
@pytest.mark.parametrize(
    "f", [lambda x: te.fmax(x, 0.5), lambda x: te.clip(x, 0.2, 0.7), te.sinc]
)
def test_numbers_of_python_leave_the_precision_as_it_is(f, dtype):
    for y in derivatives(f, [0.1, 0.6, 0.9], 2, dtype):
        assert y.dtype == dtype
