"""The other six: secant, cosecant, cotangent, their hyperbolic kin, and inverses."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.conversion import arrays
from tinygrad_edu.ops.kinks import numbers
from tinygrad_edu.ops.reductions import floating

__all__ = [
    "arccot",
    "arccoth",
    "arccsc",
    "arccsch",
    "arcsec",
    "arcsech",
    "cot",
    "coth",
    "csc",
    "csch",
    "sec",
    "sech",
]


def _between(low: float, high: float) -> Any:
    return lambda rng: rng.uniform(low, high, (2, 3)) * rng.choice([-1.0, 1.0], (2, 3))


_NEAR = [Case(_between(0.3, 1.2)), Case(0.7)]
_BEYOND_ONE = [Case(_between(1.3, 4.0)), Case(-1.7)]


@composite(cases=_NEAR)
def sec(x: Any) -> Any:
    """The secant, elementwise: one over the cosine.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        In radians.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    1 / cos x; dL/dx = g sec x tan x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sec([0.0, 1.0])
    array([1.        , 1.85081572])
    """
    return 1.0 / np.cos(x)


@composite(cases=_NEAR)
def csc(x: Any) -> Any:
    """The cosecant, elementwise: one over the sine.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        In radians.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    1 / sin x; dL/dx = -g csc x cot x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.csc([1.0, 2.0])
    array([1.18839511, 1.09975017])
    """
    return 1.0 / np.sin(x)


@composite(cases=_NEAR)
def cot(x: Any) -> Any:
    """The cotangent, elementwise: the cosine over the sine.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        In radians.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    cos x / sin x; dL/dx = -g / sin² x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cot([1.0, 2.0])
    array([ 0.64209262, -0.45765755])
    """
    return np.cos(x) / np.sin(x)


@op(elementwise=True, cases=[Case((2, 3)), Case(())])
def sech(x: Any) -> Any:
    """The hyperbolic secant, elementwise: one over the hyperbolic cosine.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape; no overflow on the way.

    Notes
    -----
    1 / cosh x; dL/dx = -g sech x tanh x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sech([0.0, 1.0])
    array([1.        , 0.64805427])
    """
    e = np.exp(-np.abs(floating(x)))
    return (2 * e / (1 + e * e))[()]


sech.vjp(x=lambda g, out, x: -g * out * np.tanh(x))


@op(elementwise=True, cases=[Case(_between(0.3, 2.0)), Case(0.7)])
def csch(x: Any) -> Any:
    """The hyperbolic cosecant, elementwise: one over the hyperbolic sine.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape; no overflow on the way.

    Notes
    -----
    1 / sinh x; dL/dx = -g csch x coth x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.csch([1.0, 2.0])
    array([0.85091813, 0.27572056])
    """
    x = floating(x)
    size = np.abs(x)
    return np.copysign(2 * np.exp(-size) / -np.expm1(-2 * size), x)[()]


csch.vjp(x=lambda g, out, x: -g * out / np.tanh(x))


@composite(cases=_NEAR)
def coth(x: Any) -> Any:
    """The hyperbolic cotangent, elementwise: one over the hyperbolic tangent.

    Parameters
    ----------
    x : Tensor or array_like, any shape

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    1 / tanh x; dL/dx = -g / sinh² x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.coth([1.0, 2.0])
    array([1.31303529, 1.03731472])
    """
    return 1.0 / np.tanh(x)


# ------------------------------------------------------------------------- inverses
#
# By the formulas with 1/x digits would be lost near 1: 1 - 1/x is small there, and off
# by the rounding of 1/x. Signs are plain numbers, constants in every derivative.


def _size_and_sign(x: Any) -> tuple[Any, Any]:
    (x,) = arrays(x)
    sign = np.copysign(1.0, numbers(x)).astype(np.result_type(x, np.float16))
    return x * sign, sign


def _leg(size: Any) -> Any:
    """Return √(x² - 1), without overflow."""
    return np.sqrt(size - 1) * np.sqrt(size + 1)


@composite(cases=_BEYOND_ONE)
def arcsec(x: Any) -> Any:
    """The inverse of the secant, elementwise: angles from 0 to π.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        Numbers from 1 on, or up to -1; others give nan and a warning.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape
        In radians.

    Notes
    -----
    arccos(1/x); dL/dx = ``g / (|x| √(x² - 1))``, infinite at ±1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arcsec([1.0, 2.0])
    array([0.        , 1.04719755])
    """
    size, sign = _size_and_sign(x)
    return np.arctan2(_leg(size), sign)


@composite(cases=_BEYOND_ONE)
def arccsc(x: Any) -> Any:
    """The inverse of the cosecant, elementwise: angles from -π/2 to π/2.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        Numbers from 1 on, or up to -1; others give nan and a warning.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape
        In radians.

    Notes
    -----
    arcsin(1/x); dL/dx = ``-g / (|x| √(x² - 1))``, infinite at ±1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arccsc([1.0, 2.0])
    array([1.57079633, 0.52359878])
    """
    size, sign = _size_and_sign(x)
    return np.arctan2(sign, _leg(size))


@composite(cases=[Case((2, 3)), Case(0.4)])
def arccot(x: Any) -> Any:
    """The inverse of the cotangent, elementwise: angles from -π/2 to π/2.

    Parameters
    ----------
    x : Tensor or array_like, any shape

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape
        In radians; π/2 at 0, and close to -π/2 for small negative numbers.

    Notes
    -----
    arctan(1/x); dL/dx = -g / (1 + x²), also at 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arccot([0.0, 1.0])
    array([1.57079633, 0.78539816])
    """
    (x,) = arrays(x)
    sign = np.where(numbers(x) < 0, -1.0, 1.0).astype(np.result_type(x, np.float16))
    return np.arctan2(sign, x * sign)


@composite(cases=[Case(lambda rng: rng.uniform(0.2, 0.9, (2, 3))), Case(0.4)])
def arcsech(x: Any) -> Any:
    """The inverse of the hyperbolic secant, elementwise.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        Numbers from 0 to 1; negative ones and larger ones give nan and a warning.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape
        Not negative.

    Notes
    -----
    arccosh(1/x); dL/dx = -g / (x √(1 - x²)), infinite at 0 and 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arcsech([0.5, 1.0])
    array([1.3169579, 0.       ])
    """
    (x,) = arrays(x)
    return np.log1p(np.sqrt(1 - x) * np.sqrt(1 + x)) - np.log(x)


@composite(cases=[Case(_between(0.3, 2.0)), Case(-0.4)])
def arccsch(x: Any) -> Any:
    """The inverse of the hyperbolic cosecant, elementwise.

    Parameters
    ----------
    x : Tensor or array_like, any shape

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    arcsinh(1/x); dL/dx = ``-g / (|x| √(1 + x²))``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arccsch([1.0, 2.0])
    array([0.88137359, 0.48121183])
    """
    (x,) = arrays(x)
    return np.arcsinh(1.0 / x)


@composite(cases=_BEYOND_ONE)
def arccoth(x: Any) -> Any:
    """The inverse of the hyperbolic cotangent, elementwise.

    Parameters
    ----------
    x : Tensor or array_like, any shape
        Numbers above 1, or below -1; others give nan or infinity and a warning.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    arctanh(1/x); dL/dx = g / (1 - x²).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arccoth([2.0, 3.0])
    array([0.54930614, 0.34657359])
    """
    size, sign = _size_and_sign(x)
    return np.log1p(2 / (size - 1)) * (0.5 * sign)
