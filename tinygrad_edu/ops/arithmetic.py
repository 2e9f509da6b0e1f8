"""Arithmetic, elementwise with broadcasting: of one array, or of two."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY, FROM_SCIPY, numpy_order, plain
from tinygrad_edu.engine.keywords import OF_UFUNCS, refused
from tinygrad_edu.ops.conversion import cast
from tinygrad_edu.ops.keywords import check_layout, in_dtypes, with_order
from tinygrad_edu.ops.kinks import lies_between, numbers, with_kink, without_slope

__all__ = [
    "absolute",
    "add",
    "cbrt",
    "clip",
    "copy",
    "copysign",
    "divide",
    "floor_divide",
    "fmax",
    "fmin",
    "fraction_of",
    "hypot",
    "maximum",
    "minimum",
    "multiply",
    "nan_to_num",
    "negative",
    "or_nan",
    "positive",
    "power",
    "reciprocal",
    "remainder",
    "sign",
    "sqrt",
    "square",
    "subtract",
]


def _away_from_zero(rng: Any) -> Any:
    return rng.uniform(0.5, 2.0, (2, 3))


def _either_sign(rng: Any) -> Any:
    return rng.uniform(0.5, 2.0, (2, 3)) * rng.choice([-1.0, 1.0], (2, 3))


_BROADCAST = [
    Case((2, 3), (2, 3)),
    Case((2, 3), (3,)),
    Case((2, 1), (1, 3)),
    Case((), (4,)),
]


@op(numpy=np.add, symbol="+", operator="add", elementwise=True, cases=_BROADCAST)
def add(a: Any, b: Any) -> Any:
    """Sum, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    a + b; dL/da = g, dL/db = g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.add([1.0, 2.0], 1.0)
    array([2., 3.])
    """
    return a + b


add.vjp(a=lambda g, out, a, b: g, b=lambda g, out, a, b: g)


@op(numpy=np.subtract, symbol="−", operator="sub", elementwise=True, cases=_BROADCAST)
def subtract(a: Any, b: Any) -> Any:
    """Difference, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    a - b; dL/da = g, dL/db = -g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.subtract([1.0, 2.0], 1.0)
    array([0., 1.])
    """
    return a - b


subtract.vjp(a=lambda g, out, a, b: g, b=lambda g, out, a, b: -g)


@op(numpy=np.multiply, symbol="·", operator="mul", elementwise=True, cases=_BROADCAST)
def multiply(a: Any, b: Any) -> Any:
    """Product, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    a b; dL/da = g b, dL/db = g a.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.multiply([1.0, 2.0], 3.0)
    array([3., 6.])
    """
    return a * b


multiply.vjp(a=lambda g, out, a, b: g * b, b=lambda g, out, a, b: g * a)


@op(
    numpy=np.divide,
    symbol="/",
    operator="truediv",
    elementwise=True,
    cases=[
        Case((2, 3), _away_from_zero),
        Case((3,), _away_from_zero),
        Case((), [2.0, 3.0]),
        Case((2,), [1.0, -1.0]),
    ],
)
def divide(a: Any, b: Any) -> Any:
    """Quotient, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    a / b; dL/da = g / b, dL/db = -g a / b².

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.divide([1.0, 2.0], 4.0)
    array([0.25, 0.5 ])
    """
    return a / b


divide.vjp(a=lambda g, out, a, b: g / b, b=lambda g, out, a, b: -g * out / b)


def or_nan(share: Any, out: Any) -> Any:
    """Return ``share``, but nan where ``out`` is nan: in rules of all that choose."""
    size = numbers(out)
    if not size.size or (most := size.item(size.argmax())) == most:  # else it is a nan
        return share
    return np.where(np.isnan(size), np.nan, share)


def _power_text(a: Any, b: Any) -> str | None:
    is_number = isinstance(b, int | float)  # then the rule reads well: 3 x²
    return None if is_number else "{g} ⊙ {b} ⊙ {a}^({b} − 1)"


@op(
    numpy=np.power,
    symbol="^",
    operator="pow",
    elementwise=True,
    texts={"a": _power_text, "b": "{g} ⊙ {out} ⊙ log({a})"},
    cases=[
        Case(_away_from_zero, (2, 3)),
        Case(_away_from_zero, [1.0, 0.0, -2.0]),
        Case([-1.5, 0.5, 2.0], 3),
        Case([0.0, 0.0, 0.0, -1.5], np.array([0, 1, 2, 3], np.int8)),
        Case([0.0, 2.0], 0),
        Case(np.array([0, 2], np.int8), [2.0, 3.0]),
    ],
)
def power(a: Any, b: Any) -> Any:
    """``a`` to the power ``b``, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together. With a negative ``a``, ``b`` must be a whole
        number that requires no gradient.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast; as in NumPy, also for an integer ``a`` to a
        negative integer power.

    Notes
    -----
    aᵇ; dL/da = g b aᵇ⁻¹ (0 where b is 0), dL/db = g aᵇ log a (0 where a is 0 and b is
    not negative).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.power([1.0, 2.0, 3.0], 2)
    array([1., 4., 9.])
    """
    return a**b


def _power_rule_a(g: Any, out: Any, a: Any, b: Any) -> Any:
    """b aᵇ⁻¹; but b a⁰ where a and b are both 0: that is 0, and b a⁻¹ is nan."""
    if isinstance(b, int | float) and -1024 <= b <= 1024:  # the power of it is quick
        return g * b * a ** (b - (b != 0))
    a, b = cast(a, out.dtype), cast(b, out.dtype)
    slope = b * a ** (b - 1 + ((a == 0) & (b == 0)))
    if not lies_between(b, -1024, 1024):
        size = np.abs(numbers(b))
        large = size * np.finfo(out.dtype).eps >= 1  # where b - 1 may be b
        if np.any(large):
            some = large & (a != 0)
            by = np.where(some, np.where(np.isinf(a), np.sign(a), a), 1.0)
            slope = np.where(some, out / by * b, slope)
            slope = np.where((size == np.inf) & (out == 0), 0.0, slope)
    if type(slope) is Tensor:
        slope = without_slope(slope, b, (a == 0) & ((b == 0) | (b == 1)))
    return g * or_nan(slope, out)  # also where b - 1 is whole, which b is not


def _power_rule_b(g: Any, out: Any, a: Any, b: Any) -> Any:
    a = cast(a, out.dtype)
    if not (lies_between(out, 0, np.inf) and lies_between(a, 0, np.inf)):
        flat, given = (out == 0) | ((a == 0) & (out == 1)), a
        a = np.where(flat & (a >= 0), 1.0, a)
        slope = out * np.log(a)
        if type(slope) is Tensor:  # by a, that is aᵇ⁻¹ (1 + b log a)
            none = (given == 0) & ((b == 0) | (b == 1))
            slope = without_slope(slope, given, none)
            slope = without_slope(slope, b, none & (b == 0))
        return g * slope
    return g * out * np.log(a)


power.vjp(a=_power_rule_a, b=_power_rule_b)


@op(
    numpy=np.negative,
    symbol="−",
    operator="neg",
    elementwise=True,
    cases=[Case((2, 3))],
)
def negative(x: Any) -> Any:
    """The number with its sign changed, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    -x; dL/dx = -g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.negative([1.0, -2.0])
    array([-1.,  2.])
    """
    return -x


negative.vjp(x=lambda g, out, x: -g)


@op(
    numpy=np.positive,
    symbol="+{x}",
    operator="pos",
    elementwise=True,
    cases=[Case((2, 3))],
)
def positive(x: Any) -> Any:
    """The number itself, elementwise: a copy.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x; dL/dx = g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.positive([1.0, -2.0])
    array([ 1., -2.])
    """
    return np.positive(x)


positive.vjp(x=lambda g, out, x: g)


def _copy_with(x: Any, *, order: Any = "K", subok: Any = False) -> Any:
    check_layout(order, "copy")
    return copy.call(x)


@op(
    numpy=np.copy, elementwise=True, keywords=_copy_with, cases=[Case((2, 3)), Case(())]
)
def copy(x: Any) -> Any:
    """The same numbers in memory of their own.

    Parameters
    ----------
    x : Tensor or array_like
    order : {"K", "C", "F", "A"}, default "K"
        Of the numbers in memory, as in NumPy; it makes no difference here.
    subok : bool, default False
        As in NumPy; there are no subclasses here.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x; dL/dx = g. The copy of a Tensor is recorded; ``copy.deepcopy`` makes a leaf.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([1.0, 2.0], requires_grad=True)
    >>> x.copy().at[0].set(5.0)
    tensor([5., 2.], op=set_at)
    """
    return np.copy(x)


copy.vjp(x=lambda g, out, x: g)
_copy_method = with_order(copy)


def _numpys_copy(a: Any, order: Any = "K", subok: Any = False) -> Any:
    return _copy_method(a, order)


FROM_NUMPY[np.copy] = _numpys_copy


@op(
    numpy=np.absolute,
    symbol="|{x}|",
    operator="abs",
    elementwise=True,
    cases=[Case(_either_sign), Case(-2.0)],
)
def absolute(x: Any) -> Any:
    """The number without its sign, elementwise; written ``abs(x)``.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    ``|x|``; dL/dx = g sign(x), which is 0 at the kink, x = 0. There the second
    derivative is the one on both sides: 2 of ``|x|²``, 0 of ``|x|``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.absolute([1.0, -2.0])
    array([1., 2.])
    """
    return np.absolute(x)


def _fabs(x: Tensor) -> Any:
    """Do what NumPy's second one does: it makes floating-point numbers of integers."""
    return absolute.call(x if x.dtype.kind == "f" else x * 1.0)


FROM_NUMPY[np.fabs] = _fabs
absolute.vjp(
    x=lambda g, out, x: (
        with_kink(g * np.sign(x), x, g, out, sharp=False)
        if type(out) is Tensor
        else g * np.sign(x)
    )
)


@op(
    numpy=np.sign,
    elementwise=True,
    cases=[Case(_either_sign), Case(-2.0)],
)
def sign(x: Any) -> Any:
    """1 for positive numbers, -1 for negative ones, 0 for 0, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    sign(x); dL/dx = 0, also at the jump, x = 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sign([3.0, -2.0, 0.0])
    array([ 1., -1.,  0.])
    """
    return np.sign(x)


sign.vjp(x=lambda g, out, x: np.zeros_like(x))


@op(
    numpy=np.reciprocal,
    symbol="1 / {x}",
    elementwise=True,
    cases=[Case(_either_sign), Case(2.0)],
)
def reciprocal(x: Any) -> Any:
    """1 divided by the number, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
        Of integers, NumPy gives the reciprocal without its fraction: 0, but for ±1.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    1 / x; dL/dx = -g / x².

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.reciprocal([2.0, 4.0])
    array([0.5 , 0.25])
    """
    return np.reciprocal(x)


reciprocal.vjp(x=lambda g, out, x: -g * out * out)


@op(
    numpy=np.square,
    symbol="{x}²",
    elementwise=True,
    cases=[Case((2, 3)), Case([0.0, -1.0]), Case(())],
)
def square(x: Any) -> Any:
    """The number times itself, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x²; dL/dx = 2 g x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.square([1.0, -2.0])
    array([1., 4.])
    """
    return np.square(x)


square.vjp(x=lambda g, out, x: g * 2 * x)


@op(
    numpy=np.sqrt,
    symbol="√{x}",
    elementwise=True,
    cases=[Case(_away_from_zero)],
)
def sqrt(x: Any) -> Any:
    """The square root, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers that are not negative.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    √x; dL/dx = g / (2 √x), infinite at 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sqrt([4.0, 9.0])
    array([2., 3.])
    """
    return np.sqrt(x)


sqrt.vjp(x=lambda g, out, x: g * 0.5 / out)


@op(
    numpy=np.cbrt,
    symbol="∛{x}",
    elementwise=True,
    texts={"x": "{g} / (3 {out}²)"},
    cases=[Case(_either_sign), Case(-8.0)],
)
def cbrt(x: Any) -> Any:
    """The cube root, elementwise; of negative numbers, too.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    ∛x; dL/dx = g / (3 (∛x)²), infinite at 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cbrt([8.0, -27.0])
    array([ 2., -3.])
    """
    return np.cbrt(x)


FROM_SCIPY["cbrt"] = cbrt.call
# As a power, whose own derivative is ±inf at 0, too; that of 1 / out² were nan.
cbrt.vjp(x=lambda g, out, x: g * out**-2.0 / 3)


def fraction_of(length: Any, a: Any) -> Any:
    """Return ``a / length``, but 0 in all orders where the length is 0: for rules."""
    zero = length == 0
    return a * ~zero / (length + zero)


def _cosine(length: Any, a: Any, b: Any) -> Any:
    """Return ``a / length``, the length of (a, b), of any size; 0 where that is 0."""
    eps = np.finfo(length.dtype).eps
    small = float(np.finfo(length.dtype).tiny / eps)  # below, it lacks digits
    if lies_between(length, small, np.inf):
        return a / length
    far_a, far_b = np.isinf(a), np.isinf(b)  # plain arrays
    if np.any(far_a | far_b):  # if both are infinite, there is no limit
        limit = np.where(far_a & far_b, np.nan, np.sign(numbers(a)) * far_a)
        a, b = np.where(far_a | far_b, limit, a), np.where(far_a | far_b, 0.0, b)
    size = numbers(length)
    by = np.where(size > 1, 0.25, np.where(size < small, 1 / eps, 1))
    by = by.astype(size.dtype)
    return fraction_of(np.hypot(a * by, b * by), a * by)


@op(
    numpy=np.hypot,
    elementwise=True,
    texts={"a": "{g} ⊙ {a} / {out}", "b": "{g} ⊙ {b} / {out}"},
    cases=[*_BROADCAST, Case([0.0, 1.5], [2.0, -0.5])],
)
def hypot(a: Any, b: Any) -> Any:
    """Length of a vector of two components, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape. The squares cannot overflow on the way.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    √(a² + b²); dL/da = g a / out, dL/db = g b / out, both 0 where a and b are 0, and
    nan where both are infinite. Second derivatives at 0 are those of functions like the
    square, which are smooth; of others they are refused.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.hypot([3.0, 1e300], [4.0, 0.0])
    array([5.e+000, 1.e+300])
    """
    return np.hypot(a, b)


hypot.vjp(
    a=lambda g, out, a, b: with_kink(g * _cosine(out, a, b), a, g, out),
    b=lambda g, out, a, b: with_kink(g * _cosine(out, b, a), b, g, out),
)


@op(
    numpy=np.copysign,
    elementwise=True,
    cases=[
        Case(_either_sign, _either_sign),
        Case(_either_sign, [1.0, -1.0, 2.0]),
        Case([-2.0], _either_sign),
        Case([1.5, -2.0], [1.5, -2.0]),
    ],
)
def copysign(a: Any, b: Any) -> Any:
    """``a`` with the sign of ``b``, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    ``|a| sign(b)``; dL/da = g sign(a) sign(b), dL/db = 0. A -0.0 in b counts as
    negative; where a is 0, the derivative is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.copysign([1.0, -2.0], [-1.0, 3.0])
    array([-1.,  2.])
    """
    return np.copysign(a, b)


copysign.vjp(
    a=lambda g, out, a, b: g * (np.sign(a) * np.sign(out)),
    b=lambda g, out, a, b: np.zeros_like(b),
)


@op(
    numpy=np.remainder,
    symbol="{a} % {b}",
    operator="mod",
    elementwise=True,
    texts={"b": "−{g} ⊙ ⌊{a} / {b}⌋"},
    cases=[
        Case([[1.3, -2.4, 5.2], [-0.3, 7.7, -8.1]], [[0.9], [-1.7]]),
        Case([1.3, -2.4], 0.7),
        Case(7.3, [-2.1, 0.9]),
        Case([1.3, -2.4], [1.0, -1.0]),
    ],
)
def remainder(a: Any, b: Any) -> Any:
    """What is left of ``a`` after taking away whole ``b``; written ``a % b``.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape, with the sign of ``b``.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    a - b ⌊a/b⌋; dL/da = g, dL/db = -g ⌊a/b⌋, also at the jumps, where b divides a. nan
    where the result is nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.remainder([5.0, -5.0], 3.0)
    array([2., 1.])
    """
    return np.remainder(a, b)


remainder.vjp(
    a=lambda g, out, a, b: or_nan(g, out),
    b=lambda g, out, a, b: or_nan(-g * np.floor_divide(a, b), out),
)


@op(
    numpy=np.maximum,
    symbol="max",
    elementwise=True,
    texts={
        "a": "{g} ⊙ [{a} > {b}], ties share",
        "b": "{g} ⊙ [{b} > {a}], ties share",
    },
    cases=_BROADCAST,
)
def maximum(a: Any, b: Any) -> Any:
    """The larger of two numbers, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    max(a, b); the gradient goes to the larger one, and where the two are equal each
    gets half of it. nan where the result is nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.maximum([1.0, -2.0], 0.0)
    array([1., 0.])
    """
    return np.maximum(a, b)


maximum.vjp(
    a=lambda g, out, a, b: g * or_nan((a > b) + 0.5 * (a == b), out),
    b=lambda g, out, a, b: g * or_nan((b > a) + 0.5 * (a == b), out),
)


@op(
    numpy=np.minimum,
    symbol="min",
    elementwise=True,
    texts={
        "a": "{g} ⊙ [{a} < {b}], ties share",
        "b": "{g} ⊙ [{b} < {a}], ties share",
    },
    cases=_BROADCAST,
)
def minimum(a: Any, b: Any) -> Any:
    """The smaller of two numbers, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    min(a, b); the gradient goes to the smaller one, and where the two are equal each
    gets half of it. nan where the result is nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.minimum([1.0, -2.0], 0.0)
    array([ 0., -2.])
    """
    return np.minimum(a, b)


minimum.vjp(
    a=lambda g, out, a, b: g * or_nan((a < b) + 0.5 * (a == b), out),
    b=lambda g, out, a, b: g * or_nan((b < a) + 0.5 * (a == b), out),
)


def _only(a: Any, b: Any) -> Any:
    """Return where ``a`` is a number and ``b`` is nan."""
    return (a == a) & (b != b)


_FROM_EITHER = {
    "a": "{g} ⊙ [{a} = {out}], ties share",
    "b": "{g} ⊙ [{b} = {out}], ties share",
}


@op(
    numpy=np.fmax,
    elementwise=True,
    texts=_FROM_EITHER,
    cases=_BROADCAST,
)
def fmax(a: Any, b: Any) -> Any:
    """The larger of two numbers, or the one that is not nan, elementwise.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    max(a, b); the gradient goes to the larger one or to the only number, and where the
    two are equal each gets half of it. nan where the result is nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.fmax([1.0, float("nan")], 0.0)
    array([1., 0.])
    """
    return np.fmax(a, b)


fmax.vjp(
    a=lambda g, out, a, b: g * or_nan((a > b) + 0.5 * (a == b) + _only(a, b), out),
    b=lambda g, out, a, b: g * or_nan((b > a) + 0.5 * (a == b) + _only(b, a), out),
)


@op(
    numpy=np.fmin,
    elementwise=True,
    texts=_FROM_EITHER,
    cases=_BROADCAST,
)
def fmin(a: Any, b: Any) -> Any:
    """The smaller of two numbers, or the one that is not nan, elementwise.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    min(a, b); the gradient goes to the smaller one or to the only number, and where the
    two are equal each gets half of it. nan where the result is nan.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.fmin([1.0, float("nan")], 0.0)
    array([0., 0.])
    """
    return np.fmin(a, b)


fmin.vjp(
    a=lambda g, out, a, b: g * or_nan((a < b) + 0.5 * (a == b) + _only(a, b), out),
    b=lambda g, out, a, b: g * or_nan((b < a) + 0.5 * (a == b) + _only(b, a), out),
)


_OF_CLIP = {key: value for key, value in OF_UFUNCS.items() if key != "out"}
_clip_in_order = numpy_order(
    "clip", {"x": Parameter.empty, "a_min": None, "a_max": None}, _OF_CLIP, np.clip
)


def _min_and_max(*args: Any, **named: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """Accept ``min=`` for ``a_min=``, as NumPy's function and an array's method do."""
    named = {key: x for key, x in named.items() if x is not np._NoValue}
    for name in ("min", "max"):
        if name in named:
            if f"a_{name}" in named:
                raise TypeError(f"clip: got two values for a_{name}")
            named[f"a_{name}"] = named.pop(name)
    return _clip_in_order(*args, **named)


def _clip_with(
    x: Any,
    a_min: Any = None,
    a_max: Any = None,
    *,
    dtype: Any = None,
    casting: Any = "same_kind",
    where: Any = True,
    order: Any = "K",
    subok: Any = True,
    signature: Any = None,
) -> Any:
    if where is not True:
        raise refused("clip", "where", "where=True alone")
    if signature is not None:
        raise refused("clip", "signature", "dtype and casting")
    check_layout(order, "clip")
    given = [b for b in (a_min, a_max) if b is not None]
    x, *bounds = in_dtypes([x, *given], dtype, casting, "clip")
    low = None if a_min is None else bounds[0]
    return clip.call(x, low, None if a_max is None else bounds[-1])


def _clip_text(x: Any, a_min: Any, a_max: Any) -> str:
    above = "" if a_min is None else "{a_min} ≤ "
    below = "" if a_max is None else " ≤ {a_max}"
    return f"{{g}} ⊙ [{above}{{x}}{below}]"


@op(
    numpy=np.clip,
    symbol="clip({x}, {a_min}, {a_max})",
    elementwise=True,
    adapter=_min_and_max,
    keywords=_clip_with,
    texts={
        "x": _clip_text,
        "a_min": "{g} ⊙ [{x} < {a_min}]",
        "a_max": "{g} ⊙ [{x} > {a_max}]",
    },
    cases=[
        Case([[-1.5, 0.3, 0.7], [2.0, -0.2, 1.4]], -1.0, 1.0),
        Case([-1.5, 0.3, 2.0], None, [[1.0], [0.0]]),
        Case((2, 3), [-0.5, 0.1, 0.0], None),
        Case((3,), (3,), None),
        Case((3,), None, (3,)),
        Case([0.5, 2.0], [1.0, -1.0], None),
        Case(0.5, [-1.0, 0.7], [2.0, 3.0]),
    ],
)
def clip(x: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """The number, or the bound that it lies beyond, elementwise with broadcasting.

    Parameters
    ----------
    x : Tensor or array_like
    a_min, a_max : Tensor or array_like, optional
        Bounds, of shapes that broadcast with ``x``'s; also called ``min`` and ``max``.
        Where they are the wrong way round, the result is ``a_max``.
    dtype : dtype, optional
        In which it is computed; the common one unless given.
    casting, order, subok, where, signature
        As of NumPy's ufuncs; ``where`` and ``signature`` only as they are anyway.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    min(max(x, a_min), a_max); dL/dx = g inside and at the bounds, else 0. Beyond a
    bound, that bound gets the gradient.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.clip([-2.0, 0.5, 3.0], 0.0, 1.0)
    array([0. , 0.5, 1. ])
    """
    return np.clip(x, a_min, a_max)


def _below(x: Any, out: Any, a_min: Any) -> Any:
    """Return where the lower bound is the result, and ``x`` is not."""
    return np.False_ if a_min is None else (x < a_min) & (out == a_min)


clip.vjp(
    x=lambda g, out, x, a_min, a_max: g * or_nan(out == x, out),
    a_min=lambda g, out, x, a_min, a_max: g * or_nan(_below(x, out, a_min), out),
    a_max=lambda g, out, x, a_min, a_max: (
        g * or_nan((out != x) & (out == a_max) & ~_below(x, out, a_min), out)
    ),
)


def _nan_to_num_with(
    x: Any,
    *,
    nan: Any = 0.0,
    posinf: Any = None,
    neginf: Any = None,
    copy: Any = True,
) -> Any:
    if not copy:
        way = "A tensor is never written into: y = {0}(x)"
        raise refused("nan_to_num", "copy", "copy=True alone", way)
    return nan_to_num.call(x, nan=nan, posinf=posinf, neginf=neginf)


@op(
    numpy=np.nan_to_num,
    keywords=_nan_to_num_with,
    elementwise=True,
    texts={"x": "{g} ⊙ [{x} finite]"},
    cases=[
        Case((2, 3)),
        Case((2, 3), nan=7.0, posinf=8.0, neginf=-9.0),
    ],
)
def nan_to_num(
    x: Any, *, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """The number, with another one in place of nan and of infinities, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
    nan : float or array_like, default 0.0
        In place of nan.
    posinf, neginf : float or array_like, optional
        In place of inf and -inf; the largest and smallest number unless given.
    copy : bool, default True
        Must be so: nothing is written into ``x``.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x where it is finite; dL/dx = g there, and 0 where it was replaced.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nan_to_num([1.0, float("nan")])
    array([1., 0.])
    """
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


nan_to_num.vjp(x=lambda g, out, x, *, nan, posinf, neginf: g * np.isfinite(x))


def floor_divide(a: Any, b: Any) -> Any:
    """Quotient rounded down, as plain numbers without derivative; written ``a // b``.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.floor_divide(te.tensor([5.0, -5.0]), 3.0)
    array([ 1., -2.])
    """
    return FROM_NUMPY[np.floor_divide](a, b)


def _divmod(a: Any, b: Any) -> tuple[Any, Any]:
    return floor_divide(a, b), remainder.call(a, b)


FROM_NUMPY[np.divmod] = _divmod

_COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
plain(*_COMPARISONS.values())
for _name, _function in _COMPARISONS.items():
    setattr(Tensor, f"__{_name}__", FROM_NUMPY[_function])

plain(
    *(np.isnan, np.isinf, np.isfinite, np.signbit, np.floor_divide),
    *(np.floor, np.ceil, np.trunc, np.rint, np.round, np.around),
    *(np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.isclose),
    *(np.allclose, np.array_equal, np.argmax, np.argmin, np.any, np.all),
    *(np.shape, np.ndim, np.size, np.result_type),
    *(np.zeros_like, np.ones_like, np.empty_like),
)
