"""Exponentials, logarithms, and what is made of them, elementwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_SCIPY
from tinygrad_edu.ops.arithmetic import nan_to_num
from tinygrad_edu.ops.conversion import narrow, wide
from tinygrad_edu.ops.kinks import are_finite, numbers, within
from tinygrad_edu.ops.reductions import floating

__all__ = [
    "as_derived",
    "bell",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logit",
    "sigmoid",
    "softplus",
]

_LOG_2, _LOG_10 = math.log(2), math.log(10)
_ERF_SLOPE = 2 / math.sqrt(math.pi)  # at 0


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


@op(
    numpy=np.exp2,
    symbol="2^{x}",
    elementwise=True,
    texts={"x": "{g} ⊙ {out} · log(2)"},
    cases=[Case((2, 3)), Case(())],
)
def exp2(x: Any) -> Any:
    """2 to the power of the number, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    2ˣ; dL/dx = g 2ˣ log 2.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.exp2([0.0, 3.0])
    array([1., 8.])
    """
    return np.exp2(x)


FROM_SCIPY["exp2"] = exp2.call


@np.errstate(over="ignore")  # where out has overflowed, and been warned of
def _exp2_rule(g: Any, out: Any, x: Any) -> Any:
    return g * np.exp2(x - 1) * (2 * _LOG_2)  # finite where out already overflows


exp2.vjp(x=_exp2_rule)


@op(numpy=np.expm1, elementwise=True, cases=[Case((2, 3)), Case([-30.0, 1e-9])])
def expm1(x: Any) -> Any:
    """The exponential function less 1, elementwise: exact near 0.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    eˣ - 1; dL/dx = g eˣ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.expm1([1e-20, 1.0])
    array([1.00000000e-20, 1.71828183e+00])
    """
    return np.expm1(x)


FROM_SCIPY["expm1"] = expm1.call
expm1.vjp(x=lambda g, out, x: g * np.exp(x))


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


@op(
    numpy=np.log2,
    symbol="log₂",
    elementwise=True,
    texts={"x": "{g} / ({x} · log(2))"},
    cases=[Case(_positive)],
)
def log2(x: Any) -> Any:
    """The logarithm to base 2, elementwise.

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
    log₂ x; dL/dx = g / (x log 2).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.log2([1.0, 8.0])
    array([0., 3.])
    """
    return np.log2(x)


log2.vjp(x=lambda g, out, x: g / (x * _LOG_2))


@op(
    numpy=np.log10,
    symbol="log₁₀",
    elementwise=True,
    texts={"x": "{g} / ({x} · log(10))"},
    cases=[Case(_positive)],
)
def log10(x: Any) -> Any:
    """The logarithm to base 10, elementwise.

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
    log₁₀ x; dL/dx = g / (x log 10).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.log10([1.0, 1000.0])
    array([0., 3.])
    """
    return np.log10(x)


log10.vjp(x=lambda g, out, x: g / (x * _LOG_10))


@op(numpy=np.log1p, elementwise=True, cases=[Case(_positive), Case([-0.5, 1e-9])])
def log1p(x: Any) -> Any:
    """The natural logarithm of 1 + x, elementwise: exact near 0.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers above -1; as in NumPy, -1 gives -inf and a warning.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    log(1 + x); dL/dx = g / (1 + x).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.log1p([1e-20, 1.0])
    array([1.00000000e-20, 6.93147181e-01])
    """
    return np.log1p(x)


FROM_SCIPY["log1p"] = log1p.call
log1p.vjp(x=lambda g, out, x: g / (1 + x))


_exp_to_infinity = np.errstate(over="ignore")(np.exp)


def as_derived(text: str) -> Callable[[Any], str]:
    """Return how drawings write a rule of one array that :func:`restored` mends."""
    return lambda x: text if x.ndim else text.replace("⊙", "·")


@op(
    symbol="σ",
    elementwise=True,
    texts={"x": as_derived("{g} ⊙ {out} ⊙ (1 − {out})")},
    cases=[Case((2, 3)), Case(()), Case([10.0, -10.0, 4.0]), Case(12.0), Case(30.0)],
)
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
    is_float = type(x) is np.ndarray and x.dtype.kind == "f"
    y = np.negative(x) if is_float else x * -1.0  # which unsigned ones do not wrap in
    out = y if isinstance(y, np.ndarray) else None
    y = _exp_to_infinity(y, out)
    y += 1
    return np.divide(1, y, out)  # a fifth faster than np.reciprocal


FROM_SCIPY["expit"] = sigmoid.call


def restored(rest: Any, x: Any, exact: Any) -> Any:
    """Return ``rest``, a difference from 1, with the digits that rounding took.

    For rules. ``exact(x)`` is what the difference should be; it takes an exponential,
    and is asked only where the difference is small. An array, which a rule has just
    made, is written to; a Tensor gets what is missing added as a constant: its
    derivatives, which have lost nothing, stay.
    """
    got = numbers(rest)
    least = 1e-4 if got.dtype.itemsize > 4 else 1 / 64  # 12 digits are left; or 5
    if not got.size or got.item(got.argmin()) >= least:  # quicker than a minimum
        return rest
    x = numbers(x)
    lost = got < least
    if type(rest) is np.ndarray:
        rest[lost] = exact(x[lost])
        return rest
    right = np.array(got)
    right[lost] = exact(np.asarray(x)[lost])
    return rest + (right - got) if type(rest) is Tensor else right[()]


def _one_less(x: Any) -> Any:
    """Return 1 - σ(x), to the last digits where x is positive."""
    e = np.exp(-x)
    return e / (1 + e)


def _sigmoid_rule(g: Any, out: Any, x: Any) -> Any:
    if not type(g) is type(out) is np.ndarray:
        return g * out * restored(1 - out, x, _one_less)
    d = restored(1 - out, x, _one_less)  # and on in its memory
    d *= out
    d *= g
    return d


sigmoid.vjp(x=_sigmoid_rule)


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
    x = floating(x)
    size = np.absolute(wide(x))
    out = size if type(size) is np.ndarray else None
    y = np.exp(np.negative(size, out), out)
    y = np.log1p(y, out)  # of one of 2 or less: a third of np.logaddexp's time
    y += np.maximum(x, 0)
    return narrow(y, x)


softplus.vjp(x=lambda g, out, x: g * sigmoid(x))


def _excess(a: Any, b: Any) -> Any:
    """Return a - b, but 0 where both are the same infinity: for rules."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = a - b
    if are_finite(difference):
        return difference
    nan = np.where(a == b, 0.0, np.nan)  # that of a nan in a or b stays
    return nan_to_num(difference, nan=nan)


@op(
    numpy=np.logaddexp,
    elementwise=True,
    texts={"a": "{g} ⊙ σ({a} − {b})", "b": "{g} ⊙ σ({b} − {a})"},
    cases=[
        Case((2, 3), (3,)),
        Case((2, 1), (1, 3)),
        Case((), [-30.0, 0.5, 30.0]),
        Case([-1e3, 1e3], [-1e3, 1e3 + 2]),
    ],
)
def logaddexp(a: Any, b: Any) -> Any:
    """Logarithm of a sum of exponentials, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape, finite for finite numbers.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    log(eᵃ + eᵇ); dL/da = g σ(a - b), dL/db = g σ(b - a). Where both are the same
    infinity, each gets half of g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.logaddexp([1e4, float("-inf")], [1e4, float("-inf")])
    array([10000.69314718,          -inf])
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of a - b, on the way
        return np.logaddexp(a, b)


logaddexp.vjp(
    a=lambda g, out, a, b: g * sigmoid(_excess(a, b)),
    b=lambda g, out, a, b: g * sigmoid(_excess(b, a)),
)


@op(
    numpy=np.logaddexp2,
    elementwise=True,
    texts={
        "a": "{g} ⊙ σ(({a} − {b}) · log(2))",
        "b": "{g} ⊙ σ(({b} − {a}) · log(2))",
    },
    cases=[
        Case((2, 3), (3,)),
        Case((2, 1), (1, 3)),
        Case((), [-30.0, 0.5, 30.0]),
        Case([-1e3, 1e3], [-1e3, 1e3 + 2]),
    ],
)
def logaddexp2(a: Any, b: Any) -> Any:
    """Logarithm to base 2 of a sum of powers of 2, elementwise with broadcasting.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of shapes that broadcast together.

    Returns
    -------
    Tensor or ndarray
        Of the broadcast shape, finite for finite numbers.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Notes
    -----
    log₂(2ᵃ + 2ᵇ); dL/da = g σ((a - b) log 2), dL/db = g σ((b - a) log 2). Where
    both are the same infinity, each gets half of g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.logaddexp2([1e4, float("-inf")], [1e4, float("-inf")])
    array([10001.,   -inf])
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of a - b, on the way
        return np.logaddexp2(a, b)


logaddexp2.vjp(
    a=lambda g, out, a, b: g * sigmoid(_excess(a, b) * _LOG_2),
    b=lambda g, out, a, b: g * sigmoid(_excess(b, a) * _LOG_2),
)


@op(
    elementwise=True,
    texts={"x": "{g} / ({x} ⊙ (1 − {x}))"},
    cases=[
        Case(lambda rng: rng.uniform(0.1, 0.9, (2, 3))),
        Case(0.3),
        Case([0.01, 0.99, 0.5], tolerance=1e-5),
    ],
)
def logit(x: Any) -> Any:
    """The inverse of the logistic function, elementwise: log-odds of a probability.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers from 0, which gives -inf, to 1, which gives inf.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, nan outside of 0..1. Right to the last digits near 0, near 1/2
        and near 1.

    Notes
    -----
    log(x / (1 - x)); dL/dx = g / (x (1 - x)).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.logit([1e-300, 0.5, 1.0])
    array([-690.7755279,    0.       ,          inf])
    """
    from scipy.special import logit as function

    return function(floating(x))  # SciPy takes small integers as float32


FROM_SCIPY["logit"] = logit.call
# A sum, as each has a derivative at 0 and 1, too; that of 1 / (x (1 - x)) were nan.
logit.vjp(x=lambda g, out, x: g / x + g / (1 - x))


@np.errstate(over="ignore")  # x² of a finite x: the exponential is 0 there
def bell(x: Any) -> Any:
    """Return exp(-x²), without a warning where the square overflows: for rules."""
    if type(x) is Tensor:  # whose derivative at ±inf were 0 times infinity
        x = within(x, 120.0)  # where even the exponential of longdouble is 0
    return np.exp(-x * x)


@op(
    elementwise=True,
    texts={"x": "{g} ⊙ exp(−{x}²) · 2 / √π"},
    cases=[Case((2, 3)), Case(()), Case([-3.0, 0.0, 2.5])],
)
def erf(x: Any) -> Any:
    """The error function, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, between -1 and 1.

    Notes
    -----
    2/√π ∫₀ˣ exp(-t²) dt; dL/dx = g 2/√π exp(-x²).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.erf([0.0, 1.0])
    array([0.        , 0.84270079])
    """
    from scipy.special import erf as function

    return function(floating(x))  # SciPy takes small integers as float32


FROM_SCIPY["erf"] = erf.call
erf.vjp(x=lambda g, out, x: g * _ERF_SLOPE * bell(x))


@op(
    elementwise=True,
    texts={"x": "−{g} ⊙ exp(−{x}²) · 2 / √π"},
    cases=[Case((2, 3)), Case(()), Case([-3.0, 0.0, 2.5])],
)
def erfc(x: Any) -> Any:
    """1 less the error function, elementwise: exact where that is near 1.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, between 0 and 2.

    Notes
    -----
    1 - erf(x); dL/dx = -g 2/√π exp(-x²).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.erfc([0.0, 10.0])
    array([1.00000000e+00, 2.08848758e-45])
    """
    from scipy.special import erfc as function

    return function(floating(x))  # SciPy takes small integers as float32


FROM_SCIPY["erfc"] = erfc.call
erfc.vjp(x=lambda g, out, x: -g * _ERF_SLOPE * bell(x))
