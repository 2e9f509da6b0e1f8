"""Arithmetic: two arrays in, one out, elementwise with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core import Case, Tensor, op
from tinygrad_edu.dispatch import FROM_NUMPY, plain

__all__ = ["add", "divide", "maximum", "multiply", "negative", "power", "subtract"]


def _away_from_zero(rng: Any) -> Any:
    return rng.uniform(0.5, 2.0, (2, 3))


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


@op(
    numpy=np.power,
    symbol="^",
    operator="pow",
    elementwise=True,
    cases=[
        Case(_away_from_zero, (2, 3)),
        Case(_away_from_zero, [1.0, 0.0, -2.0]),
        Case([-1.5, 0.5, 2.0], 3),
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
    aᵇ; dL/da = g b aᵇ⁻¹ (0 where b is 0), dL/db = g aᵇ log a (0 where a is 0).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.power([1.0, 2.0, 3.0], 2)
    array([1., 4., 9.])
    """
    return a**b


def _one_less(a: Any, b: Any) -> Any:
    """b - 1, but 0 where a and b are both 0: there b · a⁰ is 0, and b · a⁻¹ is nan."""
    if isinstance(b, int | float):  # stays a number, and the power of an array quick
        return b - (b != 0)
    return b - 1 + ((a == 0) & (b == 0))


power.vjp(
    a=lambda g, out, a, b: g * b * a ** _one_less(a, b),
    b=lambda g, out, a, b: g * out * np.log(a + (a == 0)),
)


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


@op(numpy=np.maximum, symbol="max", elementwise=True, cases=_BROADCAST)
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
    gets half of it.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.maximum([1.0, -2.0], 0.0)
    array([1., 0.])
    """
    return np.maximum(a, b)


maximum.vjp(
    a=lambda g, out, a, b: g * ((a > b) + 0.5 * (a == b)),
    b=lambda g, out, a, b: g * ((b > a) + 0.5 * (a == b)),
)

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
    *(np.isnan, np.isinf, np.isfinite, np.sign, np.signbit, np.floor_divide),
    *(np.floor, np.ceil, np.trunc, np.rint, np.round),
    *(np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.isclose),
    *(np.allclose, np.array_equal, np.argmax, np.argmin, np.any, np.all),
    *(np.shape, np.ndim, np.size, np.result_type),
    *(np.zeros_like, np.ones_like, np.full_like, np.empty_like),
)
