"""Functions of one array, elementwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core import Case, op

__all__ = ["exp", "log", "relu", "sigmoid", "softplus", "sqrt", "tanh"]


def _positive(rng: Any) -> Any:
    return rng.uniform(0.5, 2.0, (2, 3))


@op(numpy=np.exp, symbol="exp", elementwise=True, cases=[Case((2, 3)), Case(())])
def exp(x: Any) -> Any:
    """The exponential function, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    eˣ; dL/dx = g eˣ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.exp([0.0, 1.0])
    array([1.        , 2.71828183])
    """
    return np.exp(x)


exp.vjp(x=lambda g, out, x: g * out)


@op(numpy=np.log, symbol="log", elementwise=True, cases=[Case(_positive)])
def log(x: Any) -> Any:
    """The natural logarithm, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
        Positive numbers; as in NumPy, 0 gives -inf and a warning.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    log x; dL/dx = g / x.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.log([1.0, 10.0])
    array([0.        , 2.30258509])
    """
    return np.log(x)


log.vjp(x=lambda g, out, x: g / x)


@op(numpy=np.sqrt, symbol="√", elementwise=True, cases=[Case(_positive)])
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


@op(numpy=np.tanh, symbol="tanh", elementwise=True, cases=[Case((2, 3)), Case(())])
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


tanh.vjp(x=lambda g, out, x: g * (1 - out * out))


@np.errstate(over="ignore")
def _exp_to_infinity(x: Any, out: Any) -> Any:
    return np.exp(x, out=out)


@op(symbol="σ", elementwise=True, cases=[Case((2, 3)), Case(())])
def sigmoid(x: Any) -> Any:
    """The logistic function, elementwise: any number to one between 0 and 1.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, between 0 and 1. Right to the last digits at any input: for
        large negative ones, where e⁻ˣ overflows, its reciprocal is the 0 that it
        should be.

    Notes
    -----
    σ(x) = 1 / (1 + e⁻ˣ); dL/dx = g σ(x) (1 - σ(x)).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.sigmoid([-1e4, 0.0, 7.0])
    array([0.        , 0.5       , 0.99908895])
    """
    y = x * -1.0  # not -x, which wraps for unsigned integers
    out = y if isinstance(y, np.ndarray) else None
    y = _exp_to_infinity(y, out)
    y += 1
    return np.reciprocal(y, out=out)


sigmoid.vjp(x=lambda g, out, x: g * out * (1 - out))


@op(symbol="softplus", elementwise=True, cases=[Case((2, 3)), Case([-30.0, 0.0, 30.0])])
def softplus(x: Any) -> Any:
    """A smooth ramp, elementwise: near 0 for negative x, near x for positive.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape; finite at any finite input.

    Notes
    -----
    log(1 + eˣ); dL/dx = g σ(x).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.softplus([-1e4, 0.0, 1e4])
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+04])
    """
    return np.logaddexp(x, x * 0.0)  # 0 of x's own dtype


softplus.vjp(x=lambda g, out, x: g * sigmoid(x))


@op(symbol="relu", elementwise=True, cases=[Case((2, 3)), Case([-1.0, 2.0])])
def relu(x: Any) -> Any:
    """The rectified linear unit, elementwise: x where it is positive, else 0.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    max(x, 0); dL/dx = g where x > 0, else 0 (also at the kink, x = 0).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.relu([-1.0, 0.0, 2.0])
    array([0., 0., 2.])
    """
    return np.maximum(x, 0)


relu.vjp(x=lambda g, out, x: g * (x > 0))
