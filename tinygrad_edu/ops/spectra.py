"""Derivatives at equal singular and eigenvalues, where the usual formulas give 0 / 0.

A function f of the eigenvalues λ alone has the derivative V diag(g) Vᵀ, where g is
df/dλ. The derivative of that has (gⱼ - gᵢ) / (λⱼ - λᵢ) in it; at equal values its limit
is fᵢᵢ - fᵢⱼ if f does not tell them apart: second derivatives of f, which are those of
g by λ, if g was recorded. Source: A. S. Lewis and H. S. Sendov, "Twice differentiable
spectral functions", SIAM Journal on Matrix Analysis and Applications 23, 2001.

Of a function of the vectors, the first derivative at equal values has a limit, too, if
it is smooth, as the matrix exponential is. But that is made of f'(λ), and what reaches
the rule, the gradients by V and λ, is the same for functions of different f': the notes
of ``eigh`` say why. So those gradients are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Op, Tensor
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.ops.kinks import derivatives, lies_between, numbers
from tinygrad_edu.ops.products import product, transposed

__all__ = ["are_apart", "equal_pairs", "of_values_alone", "undefined", "vanishing"]

#: The operations whose result is the values, and those that have them among others.
_ALONE = {"eigvalsh": "eigh", "svdvals": "svd"}
_AMONG = {"eigh": 0, "svd": 1}


def are_apart(values: Any) -> bool:
    """Whether no two values, which are in order, are equal: then no pair need be asked.

    A quick look at the gaps between neighbours; False where it is not sure.
    """
    values = numbers(values)
    size = np.abs(values)
    if not size.size:
        return True
    rounding = 10 * values.shape[-1] * float(np.finfo(values.dtype).eps)
    gaps = np.abs(values[..., 1:] - values[..., :-1])
    return lies_between(gaps, rounding * size.item(size.argmax()), np.inf)


def equal_pairs(values: Any) -> Any:
    """Return which pairs of values are equal but for rounding, shape (..., k, k)."""
    values = numbers(values)
    gaps = np.abs(values[..., None, :] - values[..., :, None])
    return (gaps <= _rounding(values)[..., None]) & ~np.eye(
        values.shape[-1], dtype=bool
    )


def _near_pairs(values: Any) -> Any:
    """Return which pairs are so near that (gⱼ - gᵢ) / (λⱼ - λᵢ) loses digits.

    Half of them; with the trapezoidal rule instead, the error is the square of the gap.
    """
    values = numbers(values)
    gaps = np.abs(values[..., None, :] - values[..., :, None])
    largest = np.max(np.abs(values), axis=-1, initial=0.0)[..., None, None]
    limit = float(np.finfo(values.dtype).eps) ** (1 / 3) * largest
    return (gaps <= limit) & ~np.eye(values.shape[-1], dtype=bool)


def vanishing(values: Any) -> Any:
    """Return which of the values are 0 but for rounding."""
    values = numbers(values)
    return np.abs(values) <= _rounding(values)


def _rounding(values: Any) -> Any:
    """Return by how much equal values may differ, shape (..., 1)."""
    largest = np.max(np.abs(values), axis=-1, keepdims=True, initial=0.0)
    return 10 * values.shape[-1] * float(np.finfo(values.dtype).eps) * largest


# ---------------------------------------------------------- functions of the values


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """A matrix taken apart by ``what``, eigh or svd: x = u diag(values) vh."""

    what: str
    g: Any
    x: Any
    u: Any
    values: Any
    vh: Any
    triangle: str | None

    def parts(self, recorded: bool) -> tuple[Any, ...]:
        parts = self.u, self.values, self.vh, self.g
        return parts if recorded else tuple(map(numbers, parts))


def of_values_alone(
    what: str,
    g: Any,
    x: Any,
    u: Any,
    values: Any,
    vh: Any,
    *,
    whole: Any = None,
    triangle: str | None = None,
) -> Any:
    """Return u diag(g) vh: the derivative of a function of the values alone.

    Parameters
    ----------
    what : {"eigh", "svd"}
        What took the matrix apart.
    g : Tensor or array
        The gradient by the values.
    x : Tensor or array
        The matrix.
    u, values, vh : Tensor or array
        Its parts; for eigh, vh is the transpose of u.
    whole, triangle : Tensor or array, and {"L", "U"}
        For eigh: the symmetric matrix, and where x holds it.
    """
    if type(x) is Tensor and _is_degenerate(what, values, x.shape):
        of = _Spectrum(what, g, x, u, values, vh, triangle and triangle.upper())
        return _spectral.call(g, x if whole is None else whole, of=of)
    return product(u * g[..., None, :], vh)


def _is_degenerate(what: str, values: Any, shape: tuple[int, ...] = ()) -> bool:
    """Whether a second derivative divides by 0: always if a singular value is 0."""
    square = what == "eigh" or (shape and shape[-1] == shape[-2])
    return bool(
        np.any(_near_pairs(values)) or (not square and np.any(vanishing(values)))
    )


def _spectral_forward(g: Any, x: Any, *, of: Any) -> Any:
    u, _, vh, _ = of.parts(False)
    return np.matmul(u * g[..., None, :], vh)


def _by_g(h: Any, out: Any, g: Any, x: Any, *, of: Any) -> Any:
    u, _, vh, _ = of.parts(type(h) is Tensor)
    return np.sum(transposed(u) * transposed(product(h, transposed(vh))), axis=-1)


def _by_x(h: Any, out: Any, g: Any, x: Any, *, of: Any) -> Any:
    recorded = type(h) is Tensor
    u, s, vh, g = of.parts(recorded)
    equal, zero, eye = equal_pairs(s), vanishing(s), np.eye(s.shape[-1], dtype=bool)
    near = _near_pairs(s)
    slopes = _slopes(of, near, zero, recorded)
    own = np.sum(slopes * eye, axis=-1)
    between = own[..., :, None] - slopes
    between = (between + transposed(between)) / 2

    w = product(product(transposed(u), h), transposed(vh))
    even, odd = (w + transposed(w)) / 2, (w - transposed(w)) / 2
    left, right = g[..., :, None], g[..., None, :]
    gap = s[..., None, :] - s[..., :, None]
    size = np.abs(numbers(g)).max(axis=-1, keepdims=True, initial=0.0)
    bend = np.abs(numbers(between)).max(axis=(-1, -2), initial=0.0)[..., None]
    limit = 10 * (float(np.finfo(s.dtype).eps) * size + bend * _rounding(numbers(s)))
    smooth = np.abs(numbers(right - left - between * gap)) <= limit[..., None]
    closed, split = equal | (near & smooth) | eye, equal & ~smooth
    quotient = (right - left) * ~closed / (gap + closed)
    middle = even * (quotient + between * (near & smooth))
    if of.what == "eigh":
        _refuse(of.what, split, even, h)
        return product(product(u, middle), vh)

    kinked = zero & (np.abs(numbers(g)) > limit)
    both = zero[..., :, None] & zero[..., None, :]
    split = split | (both & (kinked[..., :, None] | kinked[..., None, :]))
    _refuse(of.what, split & ~eye, np.abs(even) + np.abs(odd), h)
    total = s[..., None, :] + s[..., :, None] + (both | eye)
    ratio = (right + left) * ~(both | eye) / total + own[..., None] * both
    d = product(product(u, middle + odd * ratio), vh)
    along = (g * ~zero / (s + zero) + own * zero)[..., None, :]
    beside = product(h, transposed(vh)) - product(u, w)
    below = transposed(product(transposed(u), h) - product(w, vh))
    if x.shape[-2] > s.shape[-1]:
        _refuse(of.what, kinked[..., None, :], beside, h)
        d = d + product(beside * along, vh)
    if x.shape[-1] > s.shape[-1]:
        _refuse(of.what, kinked[..., None, :], below, h)
        d = d + product(u, transposed(below * along))
    return d


_spectral_forward.__name__ = "spectral"
_spectral = Op(_spectral_forward)
_spectral.vjp(g=_by_g, x=_by_x)


def _refuse(what: str, unknown: Any, reached: Any, h: Any) -> None:
    """Raise if a second derivative is asked for that does not exist."""
    size = np.abs(numbers(reached))
    rounding = 1e2 * float(np.finfo(size.dtype).eps)
    far = size > rounding * np.max(np.abs(numbers(h)), initial=0.0)
    if np.any(unknown & (far | (type(h) is Tensor))):
        raise _no_second(what)


def _no_second(what: str) -> ValueError:
    return ValueError(
        f"{what}: two values are equal, or a singular value is 0, and it cannot be "
        "told that the function of the values is smooth there: it has no second "
        "derivative"
    )


def _slopes(of: _Spectrum, equal: Any, zero: Any, recorded: bool) -> Any:
    """Return the derivatives of g by the values: rows of those that are equal or 0."""
    k = equal.shape[-1]
    unit = np.eye(k, dtype=of.values.dtype)
    wanted = np.any(equal, axis=-1) | zero
    rows = np.flatnonzero(np.any(wanted.reshape(-1, k), axis=0))
    same, others = [], []
    for node in nodes_of([of.g]):
        what, x, triangle = _values_of(node)
        if what == of.what and x is of.x and triangle == of.triangle:
            same.append(node)
        elif what and _is_degenerate(what, node):
            others.append(node)
    seeds = [np.broadcast_to(unit[i], of.values.shape).copy() for i in rows]
    found = derivatives(of.g, seeds, [*same, *others], recorded)
    if any(np.any(numbers(d) != 0) for ds in found for d in ds[len(same) :]):
        raise _no_second(of.what)
    nothing = np.zeros(of.values.shape, of.values.dtype)
    by_row = dict(zip(rows.tolist(), found, strict=True))
    return np.stack(
        [sum(by_row.get(i, [])[: len(same)], nothing) for i in range(k)], axis=-2
    )


def _values_of(node: Any) -> tuple[str | None, Any, str | None]:
    """Return what a node has the values of: eigh or svd, the matrix, the triangle."""
    what = _ALONE.get(node.op.name)
    if node.op.name == "item":
        index, node = node.kwargs["index"], node.inputs[0]
        what = node.op.name if _AMONG.get(node.op.name) == index else None
    if what is None:
        return None, None, None
    triangle = node.kwargs.get("UPLO")
    return what, node.inputs[0], triangle and triangle.upper()


# ------------------------------------------------------------------------- vectors


def _undefined_forward(g: Any, *, where: Any) -> Any:
    return np.zeros((*g.shape[:-1], g.shape[-2]), g.dtype)


def _undefined_rule(h: Any, out: Any, g: Any, *, where: Any) -> Any:
    return np.where(where, np.nan, np.zeros_like(numbers(g)))


_undefined_forward.__name__ = "undefined"
#: Zeros (..., n, n), from gradients (..., n, k) that are 0 in the columns ``where``
#: they have no derivative: nan is what comes of asking for it.
undefined = Op(_undefined_forward)
undefined.vjp(g=_undefined_rule)
