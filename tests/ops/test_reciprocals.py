"""Secant to inverse hyperbolic cotangent, remainders and Bessel functions: to the ends.

What is right is a closed form in long double.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tinygrad_edu as te

WIDE = np.longdouble
ONE = WIDE(1)


def leg(x):
    return np.sqrt(x - 1) * np.sqrt(x + 1)


NEAR_ONE = [1 + 1e-12, 1 + 1e-6, 1.5, 30.0, 1e9, 1e200]
ANY = [1e-200, 1e-9, 0.3, 1.0, 2.0, 30.0, 1e9]
SMALL = [1e-9, 0.3, 1.0, 1.5, 3.0]
BELOW_ONE = [1e-300, 1e-9, 0.3, 0.999999, 1 - 1e-12]

#: Function, where, its value there, its slope there. Odd ones also at -x.
RIGHT = {
    "sec": (
        te.sec,
        SMALL,
        lambda x: 1 / np.cos(x),
        lambda x: np.sin(x) / np.cos(x) ** 2,
    ),
    "csc": (
        te.csc,
        SMALL,
        lambda x: 1 / np.sin(x),
        lambda x: -np.cos(x) / np.sin(x) ** 2,
    ),
    "cot": (te.cot, SMALL, lambda x: 1 / np.tan(x), lambda x: -1 / np.sin(x) ** 2),
    "coth": (te.coth, ANY, lambda x: 1 / np.tanh(x), lambda x: -1 / np.sinh(x) ** 2),
    "arcsec": (
        te.arcsec,
        NEAR_ONE,
        lambda x: np.arctan(leg(x)),
        lambda x: 1 / (x * leg(x)),
    ),
    "arccsc": (
        te.arccsc,
        NEAR_ONE,
        lambda x: np.arctan2(ONE, leg(x)),
        lambda x: -1 / (x * leg(x)),
    ),
    "arccot": (
        te.arccot,
        ANY,
        lambda x: np.arctan2(ONE, x),
        lambda x: -1 / (1 + x * x),
    ),
    "arcsech": (
        te.arcsech,
        BELOW_ONE,
        lambda x: np.arcsinh(np.sqrt((1 - x) * (1 + x)) / x),
        lambda x: -1 / (x * np.sqrt((1 - x) * (1 + x))),
    ),
    "arccsch": (
        te.arccsch,
        ANY,
        lambda x: np.arcsinh(1 / x),
        lambda x: -1 / (x * np.hypot(ONE, x)),
    ),
    "arccoth": (
        te.arccoth,
        NEAR_ONE[:-1],
        lambda x: np.log1p(2 / (x - 1)) / 2,
        lambda x: -1 / ((x - 1) * (x + 1)),
    ),
}
ODD = ["csc", "cot", "coth", "arccsc", "arccot", "arccsch", "arccoth"]


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_value_and_slope_have_their_digits_up_to_the_ends(name):
    f, where, value, slope = RIGHT[name]
    x = np.array(where)
    if name == "coth":
        x = x[x > 1e-150]  # its slope is beyond the largest number

    d = te.grad(lambda x: te.sum(f(x)))(x)

    values = value(x.astype(WIDE)).astype(float)
    np.testing.assert_allclose(f(x), values, rtol=2e-15 if "ar" in name else 1e-14)
    np.testing.assert_allclose(
        d, slope(x.astype(WIDE)).astype(float), rtol=1e-14, atol=1e-300
    )
    if name in ODD:
        np.testing.assert_array_equal(f(-x), -f(x))


def test_the_inverse_secant_of_negative_numbers_is_beyond_a_right_angle():
    x = np.array([-1.0, -2.0, -1e9])

    np.testing.assert_allclose(te.arcsec(x), np.pi - te.arcsec(-x), rtol=1e-15)
    with np.errstate(divide="ignore"):
        slope = te.grad(lambda x: te.sum(te.arcsec(x)))(x)
    np.testing.assert_allclose(slope, [np.inf, 1 / (2 * 3**0.5), 1e-18], rtol=1e-14)


def test_the_inverse_cotangent_is_smooth_at_zero_from_above():
    d = te.grad(te.arccot)(0.0)
    bend = te.grad(te.grad(te.arccot))(0.0)

    assert (d, bend) == (-1.0, 0.0)


# ----------------------------------------------------------------------------- Bessel


@pytest.mark.parametrize("order", [0, 1, 2, 7])
def test_bessel_functions_are_scipys_over_all_sizes(order):
    x = np.array([-700.0, -31.0, -3.0, 1e-8, 0.5, 29.9, 30.1, 300.0, 712.0])

    y = te.bessel_i(x, order=order)
    d = te.grad(lambda x: te.sum(te.bessel_i(x, order=order)))(x)

    np.testing.assert_allclose(y, special.iv(order, x), rtol=3e-13)
    np.testing.assert_allclose(d, special.ivp(order, x), rtol=3e-13)


@pytest.mark.parametrize(
    ("order", "slopes"),
    [
        (0, [0.0, 5e-201, 5e-31, np.inf]),
        (1, [0.5, 0.5, 0.5, np.inf]),
        (2, [0.0, 2.5e-201, 2.5e-31, np.inf]),
    ],
)
def test_derivatives_of_bessel_functions_hold_where_the_function_is_no_number(
    order, slopes
):
    d = [te.grad(te.bessel_i)(x, order=order) for x in (0.0, 1e-200, 1e-30, np.inf)]

    np.testing.assert_allclose(d, slopes, rtol=1e-15)


def test_the_functions_of_scipy_record_and_so_do_their_derivatives():
    assert special.i1(te.tensor(0.5, requires_grad=True)).op is te.bessel_i
    x = np.array([0.2, -3.0])

    second = te.grad(lambda x: te.sum(te.grad(lambda x: te.sum(special.i0(x)))(x)))(x)

    np.testing.assert_allclose(second, (special.i0(x) + special.iv(2, x)) / 2)


def test_bessel_functions_of_other_orders_are_refused():
    with pytest.raises(
        TypeError, match=r"bessel_i: order must be a whole number, got 0"
    ):
        te.bessel_i(1.0, order=0.5)


# ------------------------------------------------------------------------ taken apart


def test_the_rest_of_a_division_falls_by_the_whole_part_of_the_quotient():
    b = te.tensor([3.0, -3.0, 0.1, np.inf], requires_grad=True)

    y = np.fmod([-7.0, 7.0, 1e9, 5.0], b)
    (d,) = te.gradients(y, [b], gradient=np.ones(4))

    np.testing.assert_array_equal(y.data, np.fmod([-7.0, 7.0, 1e9, 5.0], b.data))
    np.testing.assert_array_equal(d, [2.0, 2.0, -(1e10 - 1), 0.0])


def test_parts_put_together_give_the_number_and_its_slope_back():
    x = te.tensor([6.0, -0.3, 1e-300, 2.5e300], requires_grad=True)
    mantissa, exponent = np.frexp(x)
    fraction, whole = np.modf(x)

    for y in (np.ldexp(mantissa, exponent), fraction + whole):
        (d,) = te.gradients(y, [x], gradient=np.ones(4))
        np.testing.assert_array_equal(y.data, x.data)
        np.testing.assert_array_equal(d, np.ones(4))


def test_a_power_of_two_beyond_all_numbers_may_still_end_in_one():
    y = np.ldexp(te.tensor(1e-300, requires_grad=True), 1500)

    assert y.data == 1e-300 * 2.0**750 * 2.0**750


def test_the_step_has_the_slope_of_its_value_at_zero():
    x, h = (
        te.tensor([-1.0, 0.0], requires_grad=True),
        te.tensor(0.5, requires_grad=True),
    )

    of_x, of_h = te.gradients(np.heaviside(x, h).sum(), [x, h])

    assert (of_x.tolist(), of_h) == ([0.0, 0.0], 1.0)
