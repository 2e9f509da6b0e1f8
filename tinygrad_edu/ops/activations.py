"""Activation functions of networks, elementwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.arithmetic import or_nan
from tinygrad_edu.ops.exponentials import erfc, sigmoid, softplus
from tinygrad_edu.ops.indexing import constant
from tinygrad_edu.ops.kinks import within
from tinygrad_edu.ops.reductions import floating

__all__ = [
    "elu",
    "gelu",
    "hard_tanh",
    "leaky_relu",
    "mish",
    "relu",
    "selu",
    "silu",
    "softsign",
]

_BOTH_SIDES = [-2.0, -0.3, 0.4, 1.7]


@op(
    symbol="relu",
    elementwise=True,
    texts={"x": "{g} ⊙ [{x} > 0]"},
    cases=[Case((2, 3)), Case([-1.0, 2.0])],
)
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


relu.vjp(x=lambda g, out, x: g * np.sign(constant(out)))  # nan where out is nan


@op(
    symbol="leaky relu",
    elementwise=True,
    texts={"x": "{g} ⊙ ([{x} > 0] + {negative_slope} [{x} ≤ 0])"},
    cases=[
        Case((2, 3)),
        Case(_BOTH_SIDES),
        Case(_BOTH_SIDES, negative_slope=1.5),
    ],
)
def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    """The rectifier with a small slope for negative numbers, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
    negative_slope : float, default 0.01
        The slope for negative numbers.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x where x > 0, else negative_slope x; dL/dx = g where x > 0, else negative_slope g
    (also at the kink, x = 0).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.leaky_relu([-1.0, 0.0, 2.0])
    array([-0.01,  0.  ,  2.  ])
    """
    return np.maximum(x, 0) + negative_slope * np.minimum(x, 0)


leaky_relu.vjp(
    x=lambda g, out, x, *, negative_slope: (
        g * or_nan((x > 0) + negative_slope * (x <= 0), out)
    )
)


def _exponential_branch(x: Any, alpha: float) -> Any:
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0.0))


def _exponential_slope(x: Any, alpha: float) -> Any:
    """Return 1 for positive numbers, else alpha eˣ."""
    return (x > 0) + alpha * np.exp(np.clip(x, None, 0.0)) * (x <= 0)


@op(
    symbol="elu",
    elementwise=True,
    texts={"x": "{g} ⊙ ([{x} > 0] + {alpha} exp({x}) ⊙ [{x} ≤ 0])"},
    cases=[
        Case((2, 3)),
        Case(_BOTH_SIDES),
        Case(_BOTH_SIDES, alpha=0.7),
    ],
)
def elu(x: Any, *, alpha: float = 1.0) -> Any:
    """The exponential linear unit, elementwise: -alpha for very negative numbers.

    Parameters
    ----------
    x : Tensor or array_like
    alpha : float, default 1.0
        Minus the limit for very negative numbers.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x where x > 0, else alpha (eˣ - 1); dL/dx = g where x > 0, else g alpha eˣ (also at
    x = 0, a kink unless alpha is 1). Clevert, Unterthiner and Hochreiter, "Fast and
    Accurate Deep Network Learning by Exponential Linear Units", arXiv:1511.07289.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.elu([-1.0, 0.0, 2.0])
    array([-0.63212056,  0.        ,  2.        ])
    """
    return _exponential_branch(x, alpha)


elu.vjp(x=lambda g, out, x, *, alpha: g * _exponential_slope(x, alpha))


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@op(
    symbol="selu",
    elementwise=True,
    texts={"x": "λ {g} ⊙ ([{x} > 0] + α exp({x}) ⊙ [{x} ≤ 0])"},
    cases=[Case((2, 3)), Case(_BOTH_SIDES)],
)
def selu(x: Any) -> Any:
    """The self-normalizing exponential linear unit, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    λ x where x > 0, else λ α (eˣ - 1); dL/dx = g λ where x > 0, else g λ α eˣ (also at
    the kink, x = 0). λ = 1.0507..., α = 1.6732...: Klambauer and others,
    "Self-Normalizing Neural Networks", as in PyTorch's ``SELU``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.selu([-1.0, 0.0, 2.0])
    array([-1.11133074,  0.        ,  2.10140197])
    """
    return _SELU_SCALE * _exponential_branch(x, _SELU_ALPHA)


selu.vjp(x=lambda g, out, x: g * _SELU_SCALE * _exponential_slope(x, _SELU_ALPHA))


def _above_infinity(x: Any) -> Any:
    """Return ``x``, but the least number for -inf, which times 0 would be nan."""
    x = floating(x)
    return np.maximum(x, np.finfo(x.dtype).min)


#: Φ by tanh is σ(u), u = 2 √(2/π) (x + 0.044715 x³) = x (_LINEAR + _CUBIC x²).
_LINEAR = 2 * math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _LINEAR


def _gelu_gate(x: Any, *, approximate: str) -> Any:
    """Return Φ(x), of one of both kinds."""
    if approximate != "tanh":
        return 0.5 * erfc(x * -math.sqrt(0.5))
    z = within(x, 100.0)  # beyond, σ is 0 or 1, and x³ would overflow
    return sigmoid(_cubic(z, _CUBIC))


def _cubic(x: Any, factor: float) -> Any:
    u = x * x  # and on in its memory
    u *= factor
    u += _LINEAR
    u *= x
    return u


def _gelu_rule(g: Any, out: Any, x: Any, *, approximate: str, gate: Any) -> Any:
    if approximate == "tanh":
        d = 1 - gate
        d *= _cubic(within(x, 100.0), 3 * _CUBIC)  # x du/dx
        d += 1
        d *= gate
        return g * d
    x = within(x, 200.0)  # beyond, the bell is 0, which times infinity were nan
    return g * (gate + x * np.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi)))


def _gelu_text(x: Any, *, approximate: str) -> str:
    if approximate == "tanh":
        return "{g} ⊙ (Φ({x}) + {x} ⊙ Φ′({x})), Φ by tanh"
    return "{g} ⊙ (Φ({x}) + {x} ⊙ φ({x}))"


@op(
    symbol="gelu",
    elementwise=True,
    texts={"x": _gelu_text},
    residuals={"gate": _gelu_gate},
    cases=[
        Case((2, 3)),
        Case(_BOTH_SIDES, approximate="tanh"),
        Case([-5.0, 0.0, 5.0]),
        Case((), approximate="tanh"),
    ],
)
def gelu(x: Any, *, approximate: str = "none") -> Any:
    """The Gaussian error linear unit, elementwise: x times P(N(0, 1) < x).

    Parameters
    ----------
    x : Tensor or array_like
    approximate : {"none", "tanh"}, default "none"
        Whether to take the exact Φ, or a formula with the hyperbolic tangent.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, small to the last digits for negative numbers.

    Raises
    ------
    ValueError
        If ``approximate`` is neither.

    Notes
    -----
    x Φ(x), Φ(x) = erfc(-x/√2) / 2; dL/dx = g (Φ(x) + x exp(-x²/2) / √(2π)). "tanh"
    takes (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 for Φ(x), and its derivative.
    Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)"; both forms are those of
    PyTorch's ``GELU``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.gelu([-10.0, 0.0, 1.0])
    array([-7.61985302e-23,  0.00000000e+00,  8.41344746e-01])
    """
    x = _above_infinity(x)
    if approximate == "tanh":
        gate = _gelu_gate(x, approximate=approximate)
    elif approximate == "none":
        from scipy.special import ndtr

        gate = ndtr(x)
    else:
        raise ValueError(f"approximate must be none or tanh, got {approximate!r}")
    return x * gate, gate


gelu.vjp(x=_gelu_rule)


@op(
    elementwise=True,
    texts={"x": "{g} ⊙ (σ({x}) + {out} ⊙ (1 − σ({x})))"},
    cases=[Case((2, 3)), Case([-30.0, 0.0, 30.0])],
)
def silu(x: Any) -> Any:
    """The sigmoid linear unit, elementwise: x times σ(x). Also known as swish.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x σ(x); dL/dx = g (σ(x) + out (1 - σ(x))). Elfwing, Uchibe and Doya,
    "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
    Reinforcement Learning", arXiv:1702.03118.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.silu([-1.0, 0.0, 2.0])
    array([-0.26894142,  0.        ,  1.76159416])
    """
    return _above_infinity(x) * sigmoid(x)


def _silu_rule(g: Any, out: Any, x: Any) -> Any:
    z = within(x, 1e3)  # beyond, σ is 0 or 1, and infinity times 0 were nan
    s = sigmoid(z)
    return g * (s + z * s * (1 - s))


silu.vjp(x=_silu_rule)


def _mish_gate(x: Any) -> Any:
    return np.tanh(softplus(within(x, 1e3)))  # beyond, it and σ are 0 or 1


@op(
    elementwise=True,
    texts={"x": "{g} ⊙ (t + {x} ⊙ (1 − t²) ⊙ σ({x})), t = {out} / {x}"},
    residuals={"gate": _mish_gate},
    cases=[Case((2, 3)), Case([-30.0, 0.0, 30.0])],
)
def mish(x: Any) -> Any:
    """x times the hyperbolic tangent of softplus(x), elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Notes
    -----
    x t, t = tanh(log(1 + eˣ)); dL/dx = g (t + x (1 - t²) σ(x)). Misra, "Mish: A Self
    Regularized Non-Monotonic Neural Activation Function", arXiv:1908.08681.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.mish([-1.0, 0.0, 2.0])
    array([-0.30340146,  0.        ,  1.94395896])
    """
    x = _above_infinity(x)
    gate = np.tanh(softplus(x))
    return x * gate, gate


def _mish_rule(g: Any, out: Any, x: Any, *, gate: Any) -> Any:
    z = within(x, 1e3)
    d = 1 - gate * gate
    d *= z
    d *= sigmoid(z)
    return g * (gate + d)


mish.vjp(x=_mish_rule)


@op(
    symbol="hard tanh",
    elementwise=True,
    texts={"x": "{g} ⊙ [{min_val} ≤ {x} ≤ {max_val}]"},
    cases=[
        Case(_BOTH_SIDES),
        Case((), min_val=-4.0, max_val=0.01),
        Case(_BOTH_SIDES, max_val=0.5),
    ],
)
def hard_tanh(x: Any, *, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """The number, but not below ``min_val`` nor above ``max_val``, elementwise.

    Parameters
    ----------
    x : Tensor or array_like
    min_val, max_val : float, default -1.0 and 1.0
        The bounds.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Raises
    ------
    ValueError
        If ``min_val`` exceeds ``max_val``.

    Notes
    -----
    min(max(x, min_val), max_val); dL/dx = g inside and at the bounds, else 0.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.hard_tanh([-3.0, 0.5, 2.0])
    array([-1. ,  0.5,  1. ])
    """
    if min_val > max_val:
        raise ValueError(
            f"min_val must not exceed max_val, got {min_val} and {max_val}"
        )
    return np.clip(x, min_val, max_val)


hard_tanh.vjp(x=lambda g, out, x, *, min_val, max_val: g * or_nan(out == x, out))


@op(elementwise=True, cases=[Case((2, 3)), Case(_BOTH_SIDES)])
def softsign(x: Any) -> Any:
    """The number divided by 1 more than its size, elementwise.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, between -1 and 1.

    Notes
    -----
    ``x / (1 + |x|)``; dL/dx = ``g / (1 + |x|)²``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.softsign([-1.0, 0.0, 3.0])
    array([-0.5 ,  0.  ,  0.75])
    """
    x = floating(x)
    most = np.finfo(x.dtype).max  # infinity over infinity were nan
    x = within(x, most)
    return x / (1 + np.abs(x))


def _softsign_rule(g: Any, out: Any, x: Any) -> Any:
    d = 1 + np.abs(x)
    return g / d / d  # whose square could overflow


softsign.vjp(x=_softsign_rule)
