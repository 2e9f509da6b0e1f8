"""At pairs of zeros, tiny and huge numbers and infinities, slopes are their limits.

What is right is the closed form in decimal numbers, whose exponents reach far beyond
those of floats: an infinity is a number that grows, a zero one that shrinks, on either
side, and at several speeds. Where all ways lead to the same number, that is the limit.
Where they do not, a derivative is nan, infinite, or what CONVENTIONS says.
"""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal

import numpy as np
import pytest

import tinygrad_edu as te

CONTEXT = decimal.Context(
    prec=50, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[]
)
INF, NAN = np.inf, np.nan
NOTHING, LOG_2 = Decimal("NaN"), CONTEXT.ln(Decimal(2))


def sign(x):
    return Decimal(1).copy_sign(x)


def above(a, b):
    return Decimal(a > b) if a != b else NOTHING


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def power_a(a, b):
    """Beyond these sizes, whether b is even, or what b log a tends to, is not seen."""
    if _is_slow(a, b):
        return NOTHING
    slope = b * (+a) ** b / a
    return NOTHING if a < 0 and abs(b) > 2**1024 and abs(slope) > 1 else slope


def power_b(a, b):
    return NOTHING if _is_slow(a, b) else (+a) ** b * (+a).ln()


def _is_slow(a, b):
    return b != 0 and abs(b) < Decimal("1e-3") and abs(a.adjusted()) > 500


#: Functions of a and b, and their derivatives by both.
SLOPES: dict[str, tuple[Callable, Callable]] = {
    "add": (lambda a, b: Decimal(1), lambda a, b: Decimal(1)),
    "arctan2": (lambda a, b: b / (a * a + b * b), lambda a, b: -a / (a * a + b * b)),
    "copysign": (lambda a, b: sign(a) * sign(b), lambda a, b: Decimal(0)),
    "divide": (lambda a, b: 1 / b, lambda a, b: -a / b / b),
    "fmax": (above, lambda a, b: above(b, a)),
    "fmin": (lambda a, b: above(b, a), above),
    "hypot": (
        lambda a, b: a / (a * a + b * b).sqrt(),
        lambda a, b: b / (a * a + b * b).sqrt(),
    ),
    "logaddexp": (lambda a, b: sigmoid(a - b), lambda a, b: sigmoid(b - a)),
    "logaddexp2": (
        lambda a, b: sigmoid((a - b) * LOG_2),
        lambda a, b: sigmoid((b - a) * LOG_2),
    ),
    "maximum": (above, lambda a, b: above(b, a)),
    "minimum": (lambda a, b: above(b, a), above),
    "multiply": (lambda a, b: b, lambda a, b: a),
    "power": (power_a, power_b),
    "fmod": (
        lambda a, b: Decimal(1),
        lambda a, b: -(a / b).to_integral_value(decimal.ROUND_DOWN),
    ),
    "remainder": (
        lambda a, b: Decimal(1),
        lambda a, b: -(a / b).to_integral_value(decimal.ROUND_FLOOR),
    ),
    "subtract": (lambda a, b: Decimal(1), lambda a, b: Decimal(-1)),
    # of three arrays
    "a clipped below": (lambda a, b: above(a, b), lambda a, b: above(b, a)),
    "a clipped above": (lambda a, b: above(b, a), lambda a, b: above(a, b)),
    "where": (lambda a, b: Decimal(a > 1), lambda a, b: Decimal(a <= 1)),
}
OTHERS = {
    "a clipped below": lambda a, b: te.clip(a, b, None),
    "a clipped above": lambda a, b: te.clip(a, None, b),
    "where": lambda a, b: te.where(a > 1, a, b),
}

TIE = (lambda a, b: 0.5 if a == b else NAN,) * 2
ORIGIN = (lambda a, b: 0.0 if a == b == 0 else NAN,) * 2
#: The derivatives, where it is a number, that are no limits.
CONVENTIONS: dict[str, tuple[Callable, Callable]] = {
    **dict.fromkeys(["maximum", "minimum", "fmax", "fmin"], TIE),
    **dict.fromkeys(["logaddexp", "logaddexp2"], TIE),
    **dict.fromkeys(["hypot", "arctan2"], ORIGIN),
    "copysign": (  # as of |a|, 0 at the kink; a zero in b has its sign
        lambda a, b: np.sign(a) * np.copysign(1, b),
        lambda a, b: 0.0,
    ),
    "power": (
        lambda a, b: 0.0 if b == 0 or (abs(a) == INF and b < 1) else NAN,
        lambda a, b: 0.0 if (a == 0 and b >= 0) or (a == INF and b < 0) else NAN,
    ),
    "fmod": (lambda a, b: 1.0, lambda a, b: -np.trunc(np.divide(a, b))),
    "remainder": (lambda a, b: 1.0, lambda a, b: -np.floor_divide(a, b)),
    "a clipped below": (lambda a, b: 1.0, lambda a, b: 0.0),
    "a clipped above": (lambda a, b: 1.0, lambda a, b: 0.0),
}


def towards(x: float, exponent: int) -> list[Decimal]:
    if np.isinf(x):
        return [sign(Decimal(x)).scaleb(exponent)]
    if x == 0:
        return [sign(Decimal(s)).scaleb(-exponent) for s in (1, -1)]
    return [Decimal(x)]


def ends(slope: Callable, a: float, b: float) -> Iterator[Decimal]:
    """Where each way to (a, b) leads; nan where there is no derivative on it."""
    if a and b and np.isfinite([a, b]).all():
        yield slope(Decimal(a), Decimal(b))
        return
    for i, j in [(10**3, 10**5), (10**5, 10**3), (10**4, 10**4)]:
        near = itertools.product(towards(a, i), towards(b, j))
        far = itertools.product(towards(a, 1000 * i), towards(b, 1000 * j))
        for p, q in zip(near, far, strict=True):
            first, last = slope(*p), slope(*q)
            if abs(last) > 100 * abs(first):
                last = last * Decimal("Infinity")
            yield Decimal(0) if abs(last) * 100 < abs(first) else last


def limit(slope: Callable, a: float, b: float) -> float | None:
    """The limit of the derivative at (a, b), or None."""
    found = {x for x in ends(slope, a, b) if not x.is_nan()}
    least, most = min(found, default=NOTHING), max(found, default=NOTHING)
    if least == most or abs(most - least) < abs(most) * Decimal("1e-30") < INF:
        return float(most)
    return None


def test_all_operations_of_two_arrays_are_here():
    several = {
        name for name, op in te.OPS.items() if op.elementwise and len(op.arguments) > 1
    }

    # ldexp's second are whole numbers
    own = {"a clipped below", "a clipped above"}
    assert several == {*SLOPES, "clip", "ldexp"} - own


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SLOPES)
def test_the_derivative_at_a_pair_is_its_limit(name, dtype):
    of = np.finfo(dtype)
    sizes = [of.smallest_subnormal, of.tiny, 0.5, 1, 2, 3, 1e20, of.max, INF]
    ends_of_one = np.array([0.0, -0.0, *sizes, *(-s for s in sizes)], dtype)
    a, b = map(np.ravel, np.meshgrid(ends_of_one, ends_of_one))
    x, y = te.tensor(a, requires_grad=True), te.tensor(b, requires_grad=True)
    with np.errstate(all="ignore"), decimal.localcontext(CONTEXT):
        f = OTHERS.get(name) or te.OPS[name].call
        value = f(x, y)
        slopes = te.gradients(te.sum(value), [x, y])
        expected = [
            [limit(s, float(a[i]), float(b[i])) for i in range(a.size)]
            for s in SLOPES[name]
        ]

    for k, (slope, right) in enumerate(zip(slopes, expected, strict=True)):
        assert slope.dtype == dtype
        for i, wanted in enumerate(right):
            got, where = slope[i], f"d{name}/d{'ab'[k]} at ({a[i]}, {b[i]})"
            with np.errstate(all="ignore"):
                if wanted is None and name in CONVENTIONS:
                    wanted = CONVENTIONS[name][k](float(a[i]), float(b[i]))
                wanted = dtype(NAN if wanted is None else wanted)
                if a[i] == 0 and np.signbit(a[i]) and np.isinf(wanted):
                    got, wanted = abs(got), abs(wanted)  # its sign is that of 1 / -0.0
            if name == "power" and 0 < abs(a[i]) < of.tiny and abs(b[i]) < of.eps:
                continue  # 1 / a overflows on the way
            if np.isnan(wanted):
                assert not np.isfinite(got), where
            elif not (np.isnan(got) and np.isnan(value.data[i])):
                np.testing.assert_allclose(
                    got, wanted, rtol=5 * of.eps, atol=4 * float(of.tiny), err_msg=where
                )


@pytest.mark.parametrize(
    ("a", "b", "hessian"),
    [
        (0.0, 1.0, [[0, NAN], [NAN, 0]]),  # by both: log a + 1
        (0.0, 0.0, [[0, NAN], [NAN, NAN]]),
        (0.0, 2.0, [[2, 0], [0, 0]]),
        (0.0, 3.0, [[0, 0], [0, 0]]),
        (
            2.0,
            3.0,
            [[12, 4 + 12 * np.log(2)], [4 + 12 * np.log(2), 8 * np.log(2) ** 2]],
        ),
    ],
)
def test_second_derivatives_of_a_power_are_right_or_nan(a, b, hessian):
    with np.errstate(all="ignore"):
        found = te.hessian(lambda z: z[0] ** z[1])(np.array([a, b]))

    known = ~np.isnan(hessian)
    np.testing.assert_allclose(found[known], np.array(hessian)[known], rtol=1e-14)
    assert not np.isfinite(found[~known]).any()


@pytest.mark.parametrize("name", SLOPES)
def test_where_a_function_of_two_is_nan_so_is_a_derivative_that_asks(name):
    x, y = (te.tensor(v, requires_grad=True) for v in ([NAN, 2.0], [2.0, NAN]))
    value = (OTHERS.get(name) or te.OPS[name].call)(x, y)

    with np.errstate(invalid="ignore"):
        slopes = te.gradients(te.sum(value), [x, y])

    asks = name not in ("add", "subtract", "multiply", "divide", "copysign", "where")
    for i in np.flatnonzero(np.isnan(value.data)):
        assert np.isnan([s[i] for s in slopes]).all() or not asks
