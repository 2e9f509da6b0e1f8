"""Modified Bessel functions of the first kind, of whole orders."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.engine.dispatch import FROM_SCIPY
from tinygrad_edu.ops.kinks import lies_between, smallest
from tinygrad_edu.ops.reductions import floating

__all__ = ["bessel_i", "i0"]

#: Up to there the series at 0 is summed, whose terms are all positive.
_NEAR = 30.0
#: Up to there no exponential overflows before I does.
_FAR = 700.0


def _bessel_text(x: Any, *, order: int) -> str:
    if order == 0:
        return "{g} ⊙ I({x}, order=1)"
    return f"{{g}} ⊙ (I({{x}}, order={order - 1}) + I({{x}}, order={order + 1})) / 2"


@op(
    symbol="I",
    elementwise=True,
    texts={"x": _bessel_text},
    cases=[
        Case((2, 3), order=0),
        Case([-2.5, 0.0, 12.0], order=1),
        Case((2, 3), order=4),
        Case([33.0, -40.0], order=2, tolerance=1e-5),
    ],
)
def bessel_i(x: Any, *, order: int) -> Any:
    """The modified Bessel function of the first kind, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
    order : int
        0, 1, 2, ..., or the same of a negative one.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Raises
    ------
    TypeError
        If the order is no whole number.

    Notes
    -----
    Iₙ(x); dL/dx = g (Iₙ₋₁(x) + Iₙ₊₁(x)) / 2, I₁ for the order 0. Source: M. Abramowitz
    and I. A. Stegun, "Handbook of mathematical functions", National Bureau of Standards
    1964, 9.6.10 (the series), 9.7.1 (for large x) and 9.6.26 (the derivative).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.bessel_i([0.0, 1.0], order=0)
    array([1.        , 1.26606588])
    """
    if not isinstance(order, int | np.integer):
        raise TypeError(f"order must be a whole number, got {order!r}")
    n = abs(int(order))
    x = floating(x)
    if n > 1 or x.dtype.char == "g" or not lies_between(x, -_FAR, _FAR):
        return _summed(x, n)
    from scipy.special import i0, i1

    return (i1 if n else i0)(x).astype(x.dtype, copy=False)


def _summed(x: Any, n: int) -> Any:
    """Return it as a sum: of whole orders above 1, and of large numbers."""
    size = np.abs(x).astype(np.result_type(x, np.float64))
    near = size <= max(_NEAR, n * n / 2)
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.where(near, _series(np.where(near, size, 0.0), n), 0.0)
        y = np.where(near, y, _for_large(np.where(near, np.inf, size), n))
        y = (np.sign(x) ** n * y if n % 2 else y).astype(x.dtype)
    return y[()]


def _series(x: Any, n: int) -> Any:
    """Sum (x/2)ⁿ⁺²ᵏ / (k! (n + k)!)."""
    half = x / 2
    term = half**n / math.factorial(n)
    total, k = term, 0
    while np.any(term > 1e-18 * total):
        k += 1
        term = term * (half * half) / (k * (n + k))
        total = total + term
    return total


def _for_large(x: Any, n: int) -> Any:
    """Sum eˣ / √(2πx) (1 - (4n² - 1)/(8x) + (4n² - 1)(4n² - 9)/(2! (8x)²) - ...)."""
    term = total = np.ones_like(x)
    for k in range(1, 31):
        term = term * ((2 * k - 1) ** 2 - 4 * n * n) / (8 * k * x)
        total = total + term
    root = np.exp(x / 2)  # its square would overflow too early
    return np.where(np.isinf(x), x, root * (root / np.sqrt(2 * math.pi * x)) * total)


def _bessel_rule(g: Any, out: Any, x: Any, *, order: int) -> Any:
    if order == 0:
        return g * bessel_i(x, order=1)
    before = bessel_i(x, order=order - 1)
    if type(x) is np.ndarray and lies_between(np.abs(out), smallest(x.dtype), np.inf):
        return g * (before - order * out / x)  # Iₙ₊₁ = Iₙ₋₁ - 2n/x Iₙ
    return g * 0.5 * (before + bessel_i(x, order=order + 1))


bessel_i.vjp(x=_bessel_rule)


@composite(np.i0, cases=[Case((2, 3)), Case([0.0, 6.0, -9.0]), Case(())])
def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind, of order 0, elementwise.

    Parameters
    ----------
    x : Tensor or array_like, any shape

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    I₀(x); dL/dx = g I₁(x): :func:`bessel_i`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.i0([0.0, 1.0])
    array([1.        , 1.26606588])
    """
    return bessel_i(x, order=0)


FROM_SCIPY["i0"] = lambda x: bessel_i.call(x, order=0)
FROM_SCIPY["i1"] = lambda x: bessel_i.call(x, order=1)
