"""The norm of vectors and matrices."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.ops.conversion import narrow, wide
from tinygrad_edu.ops.kinks import (
    lies_between,
    numbers,
    smallest,
    with_curvature,
    with_kink,
)
from tinygrad_edu.ops.linalg import svd
from tinygrad_edu.ops.products import matmul
from tinygrad_edu.ops.reductions import floating, shares

__all__ = ["norm"]

_norm: Any = np.linalg.norm  # NumPy's stubs want a literal for the order
Axis = int | tuple[int, int] | None

_LARGEST = (np.inf, -np.inf)
_WITHOUT_POWERS = (0, 1, *_LARGEST)
_FROBENIUS = (None, "fro", "f")
_SINGULAR = (2, -2, "nuc")  # orders of a matrix that are made from singular values


def _norm_text(x: Any, *, ord: Any, axis: Axis, keepdims: bool) -> str:
    axes, p = _norm_axes(x, ord, axis), _exponent(ord)
    times = "·" if len(axes) == x.ndim else "⊙"
    which = "largest" if p > 0 else "smallest"
    if p == 0:
        return "0"
    if len(axes) == 2 and ord in _SINGULAR:
        if ord == "nuc":
            return "{g} · U · Vᵀ"
        return f"{{g}} · u · vᵀ of the {which} singular value"
    if len(axes) == 2 and ord not in _FROBENIUS:
        return f"{{g}} {times} sign({{x}}) in the {which} sum"
    if p in _LARGEST:
        return f"{{g}} {times} sign({{x}}) ⊙ [|{{x}}| = {{out}}], ties share"
    if p == 2:
        return f"{{g}} {times} {{x}} / {{out}}"
    if p == 1:
        return f"{{g}} {times} sign({{x}})"
    power = f"{p - 1:g}" if p > 1 else f"(−{1 - p:g})"
    return f"{{g}} {times} sign({{x}}) ⊙ (|{{x}}| / {{out}})^{power}"


@op(
    numpy=np.linalg.norm,
    symbol="‖{x}‖",
    texts={"x": _norm_text},
    cases=[
        Case((3,)),
        Case((2, 3)),
        Case((2, 3, 2)),
        Case((2, 3), axis=0),
        Case((2, 3), ord=1, axis=-1),
        Case((2, 3), ord=2, axis=-1, keepdims=True),
        Case((2, 3), ord=np.inf, axis=0),
        Case((4,), ord=-np.inf),
        Case((4,), ord=0),
        Case((4,), ord=3),
        Case((2, 3), ord=4, axis=1),
        Case((4,), ord=2.5),
        Case([0.8, -1.3, 2.0], ord=0.5),
        Case([0.8, -1.3, 2.0], ord=-1),
        Case([0.8, -1.3, 2.0], ord=-2.5),
        Case([0.0, -1.3, 0.0], ord=2),
        Case((2, 3), ord="fro"),
        Case((2, 3, 2), ord="fro", axis=(0, -1), keepdims=True),
        Case((2, 3, 2), axis=(2, 1)),
        Case((2, 3), ord=1),
        Case((2, 3, 2), ord=-1, axis=(0, -1)),
        Case((2, 3, 2), ord=np.inf, axis=(2, 0), keepdims=True),
        Case((2, 3), ord=-np.inf),
        Case((3, 3), ord=2),
        Case((3, 2), ord=-2),
        Case((3, 4, 3), ord="nuc", axis=(0, 2)),
    ],
)
def norm(
    x: Any,
    *,
    ord: float | str | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Any:
    """Norm of a vector or a matrix, or of each along an axis or two.

    Parameters
    ----------
    x : Tensor or array_like
    ord : float or {"fro", "nuc"}, optional
        Of vectors: 2 unless given, or any number: 1, inf (the largest), -inf (the
        smallest), 0 (how many are not 0), p. Of matrices: the Frobenius norm, "fro",
        unless given; 1, -1, inf, -inf: largest or smallest sum along a column or a
        row; 2, -2, "nuc": the largest or smallest singular value, or their sum.
    axis : int or tuple of two int, optional
        An int: each vector along it; two: each matrix in them. Without it ``x`` is one
        vector or one matrix, or with the default order anything, flattened.
    keepdims : bool, default False
        Keep these axes, with length 1.

    Returns
    -------
    Tensor or ndarray
        Finite for any finite numbers, if a number can hold it.

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or the order is none for it.

    Notes
    -----
    ``‖x‖ = (Σ |x|ᵖ)^(1/p)``; dL/dx = ``g sign(x) (|x| / ‖x‖)ᵖ⁻¹``, for p = 2 just
    g x / ‖x‖, and 0 where the norm is 0. That is the convention at the kinks, also for
    single zeros in ``x`` where p is 1 or less. Numbers that tie for the largest or
    smallest share equally; order 0 has derivative 0. A singular value s, with the
    vectors u and v, has the derivative u vᵀ. Where the norm is 0, second derivatives
    are those of functions like its square, which are smooth there; of others they are
    refused.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.norm([3.0, 4.0])), float(te.norm([3.0, 4.0], 1))
    (5.0, 7.0)
    """
    x = floating(x)
    return narrow(_norm_of_any_size(wide(x), ord, axis, keepdims), x)


def _norm_of_any_size(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    axes = _norm_axes(x, ord, axis)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        out = _norm(x, ord, axis, keepdims)
        p = _exponent(ord)
        powers = ord in _FROBENIUS or (len(axes) == 1 and p not in _WITHOUT_POWERS)
        if not powers or x.size == 0 or lies_between(out, *_sound(out.dtype, p)):
            return out
        size = np.abs(x)
        if p > 0:
            unit = np.max(size, axis=axes, keepdims=True)
        else:
            unit = np.min(np.where(size == 0, np.inf, size), axis=axes, keepdims=True)
        unit = np.where((unit > 0) & np.isfinite(unit), unit, 1)
        again = _norm(x / unit, ord, axis, keepdims)
        return (again * unit.reshape(np.shape(again)))[()]


def _norm_axes(x: Any, ord: Any, axis: Any) -> tuple[int, ...]:
    """Return the axes that the norm is taken over: one or two, or with ``None`` all."""
    if axis is None:
        axis = tuple(range(x.ndim))
    elif not isinstance(axis, tuple):
        axis = (axis,)
    return tuple(a % x.ndim if x.ndim else a for a in axis)


def _exponent(ord: Any) -> Any:
    """Return p of the norm: 2 where it is the default."""
    return 2 if ord is None or isinstance(ord, str) else ord


@lru_cache
def _sound(dtype: np.dtype[Any], p: float) -> tuple[float, float]:
    """Return between which norms no power has overflowed, or lost digits near 0."""
    with np.errstate(over="ignore"):
        edge = float(np.power(np.float64(smallest(dtype)), 1 / p))
    return (edge, np.inf) if p > 0 else (0.0, edge)


def _norm_rule(g: Any, out: Any, x: Any, *, ord: Any, axis: Any, keepdims: bool) -> Any:
    axes = _norm_axes(x, ord, axis)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    whole, as_given, p = out, g, _exponent(ord)
    if p == 0 or x.size == 0:
        return np.zeros_like(x)
    if len(axes) < x.ndim:
        g, out = g.reshape(kept), out.reshape(kept)
    if len(axes) == 2 and ord in _SINGULAR:
        return g * _from_singular_values(x, axes, ord)
    if len(axes) == 2 and ord not in _FROBENIUS:
        sign = np.sign(x)
        added, searched = axes if abs(p) == 1 else axes[::-1]
        sums = np.sum(x * sign, axis=added, keepdims=True)
        return g * sign * _picked(sums, searched, p)
    if p in _LARGEST:
        sign = np.sign(x)
        return g * sign * _picked(x * sign, axes, p)
    d = _power_rule(g, *_over_largest(x, out, ord, axis, axes), p)
    if type(whole) is not Tensor:
        return d
    return with_kink(
        d,
        x,
        as_given,
        whole,
        spread=lambda slope: np.reshape(slope, kept),
        sharp=p != 1,
        quadratic=p == 2,
    )


def _over_largest(x: Any, out: Any, ord: Any, axis: Any, axes: Any) -> tuple[Any, Any]:
    """Return x and its norm, or where that is infinite or lacks digits both over the
    largest number of x, which changes no quotient of theirs. An infinity counts as 1.
    """
    small, size = smallest(out.dtype), numbers(out)
    if _exponent(ord) <= 1 or lies_between(size, small, np.inf):
        return x, out
    odd = (size == np.inf) | ((size < small) & (size > 0))
    if not np.any(odd):
        return x, out
    endless = np.isinf(numbers(x)) & odd
    if np.any(endless):  # several infinities have no limit
        several = endless & (np.sum(endless, axis=axes, keepdims=True) > 1)
        one = np.where(several, np.nan, np.sign(numbers(x)))
        row = np.any(endless, axis=axes, keepdims=True)
        x = np.where(row, np.where(endless, one, 0.0), x)
    largest = np.max(np.abs(numbers(x)), axis=axes, keepdims=True)
    x = x / np.where(odd & (largest > 0), largest, 1)
    return x, np.reshape(norm(x, ord=ord, axis=axis, keepdims=True), out.shape)


def _power_rule(g: Any, x: Any, out: Any, p: Any) -> Any:
    if p == 1:
        return g * np.sign(x)
    safe = out
    if not lies_between(out, 0, np.inf):
        g, safe = g * (out != 0), out + (out == 0)
    if p == 2:
        return g * (x / safe)
    if p > 0 and p % 2 == 0:  # smooth also where x is 0
        return g * (x / safe) ** (p - 1)
    sign = np.sign(x)
    if p > 1 and p % 2 == 1:
        return g * sign * (x / safe) ** (p - 1)
    d = g * sign * ((x * sign + (x == 0)) / safe) ** (p - 1)
    return with_curvature(d, x, g) if 1 < p < 2 else d


def _picked(size: Any, axis: Any, p: float) -> Any:
    """1 at the largest (for p < 0: smallest) along ``axis``, shared where some tie."""
    best = np.max if p > 0 else np.min
    return shares(size == best(size, axis=axis, keepdims=True), axis)


def _from_singular_values(x: Any, axes: Any, ord: Any) -> Any:
    """U diag(w) Vᵀ, with weights 1 at the singular values that the norm is made of."""
    u, s, vh = svd(np.moveaxis(x, axes, (-2, -1)), full_matrices=False)
    weights = 1.0 * (s > 0) if ord == "nuc" else _picked(s, -1, ord)
    return np.moveaxis(matmul(u * weights[..., None, :], vh), (-2, -1), axes)


norm.vjp(x=_norm_rule)
FROM_NUMPY[np.linalg.matrix_norm] = lambda x, *, keepdims=False, ord="fro": norm.call(
    x, ord=ord, axis=(-2, -1), keepdims=keepdims
)
