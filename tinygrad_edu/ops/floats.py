"""Numbers taken apart: remainders, powers of two, whole parts; and steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.arithmetic import or_nan
from tinygrad_edu.ops.conversion import arrays, cast
from tinygrad_edu.ops.indexing import constant
from tinygrad_edu.ops.kinks import numbers

__all__ = ["float_power", "fmod", "frexp", "heaviside", "ldexp", "modf"]


@op(
    numpy=np.fmod,
    symbol="mod",
    elementwise=True,
    texts={"b": "−{g} ⊙ trunc({a} / {b})"},
    cases=[
        Case([[1.3, -2.4, 5.2], [-0.3, 7.7, -8.1]], [[0.9], [-1.7]]),
        Case([1.3, -2.4], 0.7),
        Case(7.3, [-2.1, 0.9]),
    ],
)
def fmod(a: Any, b: Any) -> Any:
    """What is left of ``a`` after taking away whole ``b``, with the sign of ``a``.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape. :func:`remainder` has the sign of ``b``.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    a - b trunc(a/b); dL/da = g, dL/db = -g trunc(a/b), also at the jumps, where b
    divides a.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.fmod([5.0, -5.0], 3.0)
    array([ 2., -2.])
    """
    return np.fmod(a, b)


fmod.vjp(
    a=lambda g, out, a, b: or_nan(g, out),
    b=lambda g, out, a, b: -g * np.rint((cast(a, out.dtype) - out) / b),
)


@op(
    numpy=np.ldexp,
    elementwise=True,
    texts={"x": "ldexp({g}, {n})"},
    cases=[
        Case((2, 3), np.array([1, -2, 0])),
        Case((), np.array([[3], [-1]])),
        Case((2, 2), 4),
    ],
)
def ldexp(x: Any, n: Any) -> Any:
    """The number times a power of two, elementwise with broadcasting.

    Parameters
    ----------
    x : Tensor or array_like
    n : array_like of int
        The exponents, of a shape that broadcasts. They have no derivative.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape; exact, but beyond the smallest and largest numbers.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.
    TypeError
        If exponents are no integers.

    Notes
    -----
    x 2ⁿ; dL/dx = g 2ⁿ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ldexp([1.0, 3.0], 2)
    array([ 4., 12.])
    """
    return np.ldexp(x, n)


ldexp.vjp(x=lambda g, out, x, n: np.ldexp(g, constant(n)), n=None)


@composite(np.frexp, cases=[Case((2, 3)), Case([0.3, -3.0, 0.02]), Case(())])
def frexp(x: Any) -> Any:
    """A number between 1/2 and 1, and the power of two that makes it ``x``.

    Parameters
    ----------
    x : Tensor or array_like, any shape

    Returns
    -------
    mantissa : Tensor or ndarray, of ``x``'s shape
        From 1/2 to below 1, or from -1/2 to above -1; 0, nan and infinities stay.
    exponent : ndarray of int, of ``x``'s shape
        Plain numbers: they have no derivative.

    Notes
    -----
    x = m 2ⁿ; dL/dx = g 2⁻ⁿ, also at the jumps.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.frexp([6.0])
    (array([0.75]), array([3], dtype=int32))
    """
    _, exponent = np.frexp(numbers(x))
    return ldexp(x, -exponent), exponent


@composite(np.modf, cases=[Case(lambda rng: 3 * rng.standard_normal((2, 3))), Case(())])
def modf(x: Any) -> Any:
    """What stands behind the point, and before it; both with the sign of ``x``.

    Parameters
    ----------
    x : Tensor or array_like, any shape

    Returns
    -------
    fraction : Tensor or ndarray, of ``x``'s shape
    whole : ndarray, of ``x``'s shape
        Plain numbers: the derivative is 0 but for the jumps.

    Notes
    -----
    x - trunc(x); dL/dx = g, also at the jumps, but 0 at an infinity.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.modf([2.5, -1.25])
    (array([ 0.5 , -0.25]), array([ 2., -1.]))
    """
    _, whole = np.modf(numbers(x))
    far = np.isinf(x)
    return np.where(far, 0.0, x) - np.where(far, 0.0, whole), whole


@composite(
    np.heaviside,
    cases=[
        Case((2, 3), 0.5),
        Case(np.array([-1, 0, 2]), ()),
        Case(np.array([[-1], [0]]), (2,)),
    ],
)
def heaviside(x: Any, h: Any) -> Any:
    """The step: 0 for negative numbers, 1 for positive ones, ``h`` at 0.

    Parameters
    ----------
    x, h : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray, of the broadcast shape

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    dL/dx = 0, also at the jump; dL/dh = g where x is 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.heaviside([-2.0, 0.0, 3.0], 0.5)
    array([0. , 0.5, 1. ])
    """
    return np.where(np.equal(x, 0), h, (np.sign(x) + 1.0) * 0.5)


@composite(
    np.float_power,
    cases=[
        Case(lambda rng: rng.uniform(0.5, 2, (2, 3)), (3,)),
        Case([-1.5, 2.0], np.array([3, -2])),
        Case(2.0, (2,)),
    ],
)
def float_power(a: Any, b: Any) -> Any:
    """``a`` to the power ``b`` in float64 at least, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray, of the broadcast shape

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    aᵇ, with the derivatives of ``te.power``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.float_power([2, 4], -1)
    array([0.5 , 0.25])
    """
    a, b = arrays(a, b)
    dtype = np.result_type(a, b, np.float64)
    return cast(a, dtype) ** (b if b.dtype.kind in "iub" else cast(b, dtype))
