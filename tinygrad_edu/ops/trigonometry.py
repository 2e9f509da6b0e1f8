"""Trigonometric and hyperbolic functions, elementwise; angles are in radians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.ops.arithmetic import fraction_of
from tinygrad_edu.ops.conversion import of_value
from tinygrad_edu.ops.exponentials import as_derived, restored
from tinygrad_edu.ops.kinks import lies_between

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cos",
    "cosh",
    "deg2rad",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
]


def _below_one(rng: Any) -> Any:
    return rng.uniform(-0.9, 0.9, (2, 3))


def _above_one(rng: Any) -> Any:
    return rng.uniform(1.5, 3.0, (2, 3))


@op(numpy=np.sin, elementwise=True, cases=[Case((2, 3)), Case(())])
def sin(x: Any) -> Any:
    """The sine, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    sin x; dL/dx = g cos x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sin([0.0, 1.0])
    array([0.        , 0.84147098])
    """
    return np.sin(x)


sin.vjp(x=lambda g, out, x: g * np.cos(x))


@op(numpy=np.cos, elementwise=True, cases=[Case((2, 3)), Case(())])
def cos(x: Any) -> Any:
    """The cosine, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    cos x; dL/dx = -g sin x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cos([0.0, 1.0])
    array([1.        , 0.54030231])
    """
    return np.cos(x)


cos.vjp(x=lambda g, out, x: -g * np.sin(x))


@op(numpy=np.tan, elementwise=True, cases=[Case(_below_one), Case(2.5)])
def tan(x: Any) -> Any:
    """The tangent, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    tan x; dL/dx = g (1 + tan² x).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.tan([0.0, 1.0])
    array([0.        , 1.55740772])
    """
    return np.tan(x)


tan.vjp(x=lambda g, out, x: g * (1 + out * out))


@op(
    numpy=np.arcsin,
    elementwise=True,
    texts={"x": "{g} / √((1 − {x}) ⊙ (1 + {x}))"},
    cases=[Case(_below_one), Case(0.5)],
)
def arcsin(x: Any) -> Any:
    """The inverse of the sine, elementwise: angles from -π/2 to π/2.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers from -1 to 1; as in NumPy, others give nan and a warning.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    arcsin x; dL/dx = g / √(1 - x²), infinite at ±1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arcsin([0.0, 1.0])
    array([0.        , 1.57079633])
    """
    return np.arcsin(x)


def _one_less_square(x: Any) -> Any:
    """Return 1 - x² to the last digits, with a derivative that is -2 x at ±1, too.

    Of (1 - x)(1 + x) it would be 0 times infinity where that is under a root.
    """
    if type(x) is not Tensor:
        return (1 - x) * (1 + x)
    return of_value(1 - x * x, (1 - x._numbers) * (1 + x._numbers))


arcsin.vjp(x=lambda g, out, x: g / np.sqrt(_one_less_square(x)))


@op(
    numpy=np.arccos,
    elementwise=True,
    texts={"x": "−{g} / √((1 − {x}) ⊙ (1 + {x}))"},
    cases=[Case(_below_one), Case(0.5)],
)
def arccos(x: Any) -> Any:
    """The inverse of the cosine, elementwise: angles from 0 to π.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers from -1 to 1; as in NumPy, others give nan and a warning.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    arccos x; dL/dx = -g / √(1 - x²), infinite at ±1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arccos([0.0, 1.0])
    array([1.57079633, 0.        ])
    """
    return np.arccos(x)


arccos.vjp(x=lambda g, out, x: -g / np.sqrt(_one_less_square(x)))


@op(numpy=np.arctan, elementwise=True, cases=[Case((2, 3)), Case(())])
def arctan(x: Any) -> Any:
    """The inverse of the tangent, elementwise: angles from -π/2 to π/2.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    arctan x; dL/dx = g / (1 + x²).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arctan([0.0, 1.0])
    array([0.        , 0.78539816])
    """
    return np.arctan(x)


@np.errstate(over="ignore")  # x² of a finite x: the derivative is 0 there
def _arctan_rule(g: Any, out: Any, x: Any) -> Any:
    if type(x) is not Tensor:
        return g / (1 + x * x)
    length = np.hypot(1.0, x)  # the square's derivative at ±inf were 0 times infinity
    return g / length / length


arctan.vjp(x=_arctan_rule)


@op(
    numpy=np.arctan2,
    elementwise=True,
    texts={
        "y": "{g} ⊙ {x} / ({x}² + {y}²)",
        "x": "−{g} ⊙ {y} / ({x}² + {y}²)",
    },
    cases=[
        Case((2, 3), (2, 3)),
        Case((2, 3), (3,)),
        Case((2, 1), (1, 3)),
        Case((), [-2.0, 1.0]),
        Case([1.0, -1.0], 0.0),
    ],
)
def arctan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y), elementwise with broadcasting: from -π to π.

    Parameters
    ----------
    y, x : Tensor or array_like
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
    arctan(y / x) in the right quadrant; dL/dy = g x / (x² + y²), dL/dx = -g y / (x² +
    y²), both 0 where x and y are 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arctan2([1.0, -1.0], -1.0)
    array([ 2.35619449, -2.35619449])
    """
    return np.arctan2(y, x)


def _over_square(a: Any, x: Any, y: Any) -> Any:
    """Return a / (x² + y²), whose squares cannot overflow; 0 where x and y are.

    Also 0 far away, where one of them is infinite.
    """
    length = np.hypot(x, y)
    if lies_between(length, 0, np.inf):
        return a / length / length
    far = np.isinf(length)  # a plain array
    if np.any(far):
        a, length = np.where(far, 0.0, a), np.where(far, 1.0, length)
    return fraction_of(length, fraction_of(length, a))


arctan2.vjp(
    y=lambda g, out, y, x: g * _over_square(x, x, y),
    x=lambda g, out, y, x: -g * _over_square(y, x, y),
)


@op(
    numpy=np.sinc,
    elementwise=True,
    texts={"x": "{g} ⊙ (cos(π · {x}) − {out}) / {x}"},
    cases=[
        Case((2, 3)),
        Case([0.0, 1e-9, -1e-4, 0.01]),
        Case([-0.5, 0.5, 0.499, 3.0]),
    ],
)
def sinc(x: Any) -> Any:
    """The sine divided by its angle, elementwise; as in NumPy, of π x.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    sin(π x) / (π x); dL/dx = g (cos(π x) - out) / x, which is 0 at 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sinc([0.0, 0.5])
    array([1.        , 0.63661977])
    """
    return np.sinc(x)


#: Of x, x³, ... in the derivative: 12 terms are exact to 1e-18 for |x| < 1/2.
_SINC_SERIES = [
    (-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1)
    for k in range(1, 13)
]


def _sinc_rule(g: Any, out: Any, x: Any) -> Any:
    # The formula takes the difference of numbers near 1 and divides it by a small x. So
    # near 0 a series takes its place; derivatives of both are right, too.
    near = (x < 0.5) & (x > -0.5)
    small = x * near
    large = x * ~near + near
    series = 0.0
    for coefficient in reversed(_SINC_SERIES):
        series = series * (small * small) + coefficient
    return g * (small * series + (np.cos(math.pi * x) - out) / large * ~near)


sinc.vjp(x=_sinc_rule)


@op(numpy=np.sinh, elementwise=True, cases=[Case((2, 3)), Case(())])
def sinh(x: Any) -> Any:
    """The hyperbolic sine, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    sinh x; dL/dx = g cosh x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sinh([0.0, 1.0])
    array([0.        , 1.17520119])
    """
    return np.sinh(x)


sinh.vjp(x=lambda g, out, x: g * np.cosh(x))


@op(numpy=np.cosh, elementwise=True, cases=[Case((2, 3)), Case(())])
def cosh(x: Any) -> Any:
    """The hyperbolic cosine, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    cosh x; dL/dx = g sinh x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cosh([0.0, 1.0])
    array([1.        , 1.54308063])
    """
    return np.cosh(x)


cosh.vjp(x=lambda g, out, x: g * np.sinh(x))


@op(
    numpy=np.tanh,
    symbol="tanh",
    elementwise=True,
    texts={"x": as_derived("{g} ⊙ (1 − {out}²)")},
    cases=[Case((2, 3)), Case(()), Case([5.5, -5.5, 2.5]), Case(-6.0), Case(15.0)],
)
def tanh(x: Any) -> Any:
    """The hyperbolic tangent, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, between -1 and 1.

    Notes
    -----
    tanh x; dL/dx = g (1 - tanh² x).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.tanh([0.0, 1.0])
    array([0.        , 0.76159416])
    """
    return np.tanh(x)


def _sech_squared(x: Any) -> Any:
    """Return 1 - tanh² x, to the last digits."""
    e = np.exp(-np.abs(x))
    return (2 * e / (1 + e * e)) ** 2


tanh.vjp(x=lambda g, out, x: g * restored(1 - out * out, x, _sech_squared))


@op(numpy=np.arcsinh, elementwise=True, cases=[Case((2, 3)), Case(())])
def arcsinh(x: Any) -> Any:
    """The inverse of the hyperbolic sine, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    arcsinh x; dL/dx = g / √(1 + x²).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arcsinh([0.0, 1.0])
    array([0.        , 0.88137359])
    """
    return np.arcsinh(x)


arcsinh.vjp(x=lambda g, out, x: g / np.hypot(1.0, x))


@op(
    numpy=np.arccosh,
    elementwise=True,
    texts={"x": "{g} / (√({x} − 1) ⊙ √({x} + 1))"},
    cases=[Case(_above_one), Case(2.0)],
)
def arccosh(x: Any) -> Any:
    """The inverse of the hyperbolic cosine, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers from 1 on; as in NumPy, others give nan and a warning.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, not negative.

    Notes
    -----
    arccosh x; dL/dx = g / √(x² - 1), infinite at 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arccosh([1.0, 2.0])
    array([0.        , 1.3169579])
    """
    return np.arccosh(x)


def _hyperbolic_sine(out: Any, x: Any) -> Any:
    """Return sinh(out) = √(x² - 1): to the last digits, by x, and without overflow."""
    if type(x) is not Tensor:
        return np.sqrt(x - 1) * np.sqrt(x + 1)
    value = np.sqrt(x._numbers - 1) * np.sqrt(x._numbers + 1)
    if np.any(far := value == np.inf):  # where derivatives were 0 times infinity
        out, value = np.where(far, 1.0, out), np.where(far, math.sinh(1.0), value)
        return np.where(far, np.inf, of_value(np.sinh(out), value))
    return of_value(np.sinh(out), value)


arccosh.vjp(x=lambda g, out, x: g / _hyperbolic_sine(out, x))


@op(
    numpy=np.arctanh,
    elementwise=True,
    texts={"x": "{g} / ((1 − {x}) ⊙ (1 + {x}))"},
    cases=[Case(_below_one), Case(0.5)],
)
def arctanh(x: Any) -> Any:
    """The inverse of the hyperbolic tangent, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers between -1 and 1; as in NumPy, ±1 give ±inf and a warning.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    arctanh x; dL/dx = g / (1 - x²).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.arctanh([0.0, 0.5])
    array([0.        , 0.54930614])
    """
    return np.arctanh(x)


# A sum, as each has a derivative at ±1, too; that of the product were nan.
arctanh.vjp(x=lambda g, out, x: 0.5 * g / (1 - x) + 0.5 * g / (1 + x))


@op(numpy=np.deg2rad, elementwise=True, cases=[Case((2, 3)), Case(())])
def deg2rad(x: Any) -> Any:
    """Degrees to radians, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    π x / 180; dL/dx = π g / 180.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.deg2rad([0.0, 180.0])
    array([0.        , 3.14159265])
    """
    return np.deg2rad(x)


FROM_NUMPY[np.radians] = deg2rad.call
deg2rad.vjp(x=lambda g, out, x: np.deg2rad(g))


@op(numpy=np.rad2deg, elementwise=True, cases=[Case((2, 3)), Case(())])
def rad2deg(x: Any) -> Any:
    """Radians to degrees, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    180 x / π; dL/dx = 180 g / π.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.rad2deg([0.0, 1.0])
    array([ 0.        , 57.29577951])
    """
    return np.rad2deg(x)


FROM_NUMPY[np.degrees] = rad2deg.call
rad2deg.vjp(x=lambda g, out, x: np.rad2deg(g))
