"""Second derivatives where a length is 0: what a rule alone cannot see.

The slope of ``n = ‖x‖`` has no limit at 0, but that of ``f(n)`` has one if ``f'(0)`` is
0: then f is smooth there, and its second derivative is ``f''(0)`` times the identity.
The rule of n is handed ``g = f'(n)``. If g was recorded, its derivative by n is f''.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Op, Tensor, gradients
from tinygrad_edu.engine.traversal import nodes_of

__all__ = [
    "are_finite",
    "derivatives",
    "lies_between",
    "numbers",
    "smallest",
    "with_curvature",
    "with_kink",
    "within",
    "without_slope",
]

#: What to write instead, by the operation that has a kink where it is 0.
_SMOOTH = {
    "absolute": "x * x for |x|²",
    "hypot": "a * a + b * b for its square",
    "norm": "te.sum(v * v) for its square",
    "std": "te.var(x) for its square",
}


def numbers(x: Any) -> Any:
    """Return the plain numbers, to decide by: constants in every derivative."""
    return x._numbers if type(x) is Tensor else x


def lies_between(x: Any, least: float, most: float) -> bool:
    """Whether all numbers lie between these two, which are out; nan does nowhere.

    In a third of the time that comparisons of the arrays take, if they are small.
    """
    x = numbers(x)
    if type(x) is not np.ndarray:
        return bool(least < x < most)
    x = x.ravel(order="K")  # of another order, each of both would make a copy
    return not x.size or bool(least < x.item(x.argmin()) and x.item(x.argmax()) < most)


def are_finite(x: Any) -> bool:
    """Whether none is nan or infinite; if the sum of squares is finite, none can be."""
    x = numbers(x).ravel(order="K")
    return math.isfinite(x.dot(x)) or bool(np.isfinite(x).all())


@cache
def smallest(dtype: np.dtype[Any]) -> float:
    """Return the smallest number of which all digits are left, also in a quotient."""
    limits = np.finfo(dtype)
    return float(limits.tiny / limits.eps)


def within(x: Any, most: float) -> Any:
    """Return ``x``, but at most this size: where a rule is constant beyond."""
    return x if lies_between(x, -most, most) else np.clip(x, -most, most)


def derivatives(
    g: Any, seeds: Sequence[Any], targets: Sequence[Tensor], recorded: bool
) -> list[list[Any]]:
    """Return, for each seed, the derivatives of ``g`` by each of ``targets``."""
    if type(g) is not Tensor or not g.requires_grad:
        return [[np.zeros(t.shape, t.dtype) for t in targets] for _ in seeds]
    return [
        gradients(g, targets, gradient=seed, create_graph=recorded) for seed in seeds
    ]


def with_kink(
    d: Any,
    y: Any,
    g: Any,
    out: Any,
    *,
    spread: Callable[[Any], Any] = lambda slope: slope,
    sharp: bool = True,
    quadratic: bool = True,
) -> Any:
    """Return what a rule found, ``d``, with its derivatives where ``out`` is 0.

    Parameters
    ----------
    d : Tensor or array
        ``g y / out``, and 0 with all its derivatives where ``out`` is 0.
    y : Tensor or array
        Half the derivative of out² by x.
    g, out : Tensor or array
        As the rule is handed them.
    spread : callable, optional
        Gives a number for each of ``out`` to all entries of ``y`` it is made of.
    sharp : bool, default True
        Unless g is 0, too, there is no second derivative. Else, as of ``|x|``, whose
        second derivative is the same on both sides, the kink is left out.
    quadratic : bool, default True
        The square of ``out`` has a second derivative.
    """
    if type(out) is not Tensor or not np.any(at := numbers(out) == 0):
        return d

    def follow(h: Any) -> Any:
        recorded = type(h) is Tensor
        slope, unknown = _slope(g, out, at, recorded)
        if sharp:
            unknown = unknown | (at & (numbers(g) != 0))
        if not quadratic:
            unknown = unknown | (numbers(slope) != 0)
        if np.any((spread(unknown * 1.0) != 0) & (recorded | (h != 0))):
            raise _no_second(out.op.name)
        return h * spread(slope)

    if y.shape != d.shape:
        y = y * np.ones_like(numbers(d))
    return d + _at_kink.call(y, follow=follow)


def with_curvature(d: Any, x: Any, g: Any) -> Any:
    """Return what a rule found, ``d``, whose own slope where ``x`` is 0 is infinite."""
    if type(x) is not Tensor or not np.any(at := (numbers(x) == 0) & (g != 0)):
        return d

    def follow(h: Any) -> Any:
        with np.errstate(invalid="ignore"):
            steep = numbers(h) * numbers(g) * np.inf
        return np.where(at & (h != 0), steep, np.zeros_like(x))

    return d + _at_kink.call(x, follow=follow)


def without_slope(d: Any, x: Any, at: Any) -> Any:
    """Return what a rule found, ``d``, whose own slope by ``x`` is nan at ``at``."""
    if type(x) is not Tensor or not x.requires_grad or not np.any(at):
        return d

    def follow(h: Any) -> Any:
        return np.where(at & (numbers(h) != 0), np.nan, np.zeros_like(numbers(h)))

    return d + _at_kink.call(x * np.ones_like(numbers(d)), follow=follow)


def _at_kink_forward(y: Any, *, follow: Any) -> Any:
    return np.zeros_like(y)


_at_kink_forward.__name__ = "at_kink"
_at_kink = Op(_at_kink_forward)
_at_kink.vjp(y=lambda h, out, y, *, follow: follow(h))


def _no_second(name: str) -> ValueError:
    return ValueError(
        f"{name}: it is 0, where it has a kink and no second derivative; that the "
        f"function is smooth there cannot be told. Write {_SMOOTH[name]}"
    )


def _slope(g: Any, out: Tensor, at: Any, recorded: bool) -> tuple[Any, Any]:
    """Return the derivative of g by ``out`` where that is 0, and where it is unknown.

    Of each entry alone: f may also be a function of ``|x| |y|``, which is not smooth.
    """
    nodes = nodes_of([g])
    same = [n for n in nodes if _is_same(n, out)]
    others = [
        n
        for n in nodes
        if n.op.name in _SMOOTH and n not in same and np.any(numbers(n) == 0)
    ]
    ones = at.astype(out.dtype)
    uneven = ones * (1.5 + np.cos(np.arange(at.size))).reshape(at.shape)
    uneven = uneven.astype(out.dtype)
    found, again = derivatives(g, [ones, uneven], [*same, *others], recorded)
    slope = sum(found[: len(same)], np.zeros(at.shape, out.dtype)) * ones
    mixed = sum(map(numbers, again[: len(same)])) * ones
    rounding = 1e3 * float(np.finfo(out.dtype).eps)
    off = np.abs(mixed - uneven * numbers(slope))
    unknown = off > rounding * np.max(np.abs(mixed))
    if any(
        np.any(numbers(d)[numbers(n) == 0] != 0)
        for n, d in zip(others, found[len(same) :], strict=True)
    ):
        unknown = at
    return slope, unknown


def _is_same(node: Any, out: Tensor) -> bool:
    """Whether a node computes again what ``out`` is."""
    return node is out or (
        node.op is out.op
        and all(a is b for a, b in zip(node.inputs, out.inputs, strict=True))
        and dict(node.kwargs) == dict(out.kwargs)
    )
