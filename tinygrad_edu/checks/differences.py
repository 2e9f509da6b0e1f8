"""Central differences that say how far they can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Estimate",
    "Sides",
    "derivative_along",
    "one_sided",
    "roughness",
    "settles",
    "steps_of",
]

#: Multiples of the first step that are tried until one resolves the derivative.
_LADDER = (1, 16, 1 / 16, 256, 1 / 256, 4096, 1 / 4096, 2.0**16, 2.0**-16, 2.0**20)
_RESOLVED = 1e-6  # relative: below what any comparison here asks for
_FLAT = 1024  # times the rounding: a wave of less is nowhere seen to more than a few %


class Estimate(NamedTuple):
    """A derivative by differences, and by how much it may be off, entry by entry."""

    value: np.ndarray
    doubt: np.ndarray
    calls: int


def steps_of(x: np.ndarray) -> np.ndarray:
    """Return the scale of each entry: powers of two, so that x ± step is exact.

    Of an entry that is 0 it is that of the largest entry; 1 if all are 0.
    """
    size = np.array(np.abs(x), np.float64)
    size[size == 0] = np.max(size, initial=0.0) or 1.0
    result: np.ndarray = np.exp2(np.round(np.log2(size)))
    return result


def derivative_along(
    evaluate: Callable[[], np.ndarray],
    x: np.ndarray,
    direction: np.ndarray,
    noise: Any = 0.0,
) -> Estimate:
    """Differentiate what ``evaluate`` returns as ``x`` moves along ``direction``.

    Parameters
    ----------
    evaluate : callable
        Reads ``x`` and returns the outputs, shape (n,).
    x : ndarray
        Moved in place, and put back.
    direction : ndarray, of x's shape
        Of the size of ``x``: the first step is 2⁻¹⁰ of it, more in single precision.
    noise : float or ndarray, shape (n,), default 0
        By how much the outputs may be off through rounding on the way to them; that of
        the outputs themselves is known.

    Returns
    -------
    Estimate
        Of shape (n,): per unit of ``direction``.

    Notes
    -----
    D(h) = (f(x + h v) - f(x - h v)) / 2h, for two steps. Richardson's extrapolation
    (4 D(h/2) - D(h)) / 3 takes out the term in h². The doubt is what the extrapolation
    changed, plus the rounding of f divided by the step, and f'' times that of x. Where
    the doubt is too large, other steps are tried, and each output keeps the estimate of
    least doubt. Four calls a step.

    Far away, where a function has flattened out, differences agree on a wrong number.
    So that of a larger step counts only if it agrees with what is known, to within what
    a third step, h/4, would change; and, where it leaves the scale of all of ``x``, if
    it sees a slope at all: a tanh is as flat on both sides of what it rounds away.
    """
    start = x.copy()
    epsilon = float(np.finfo(x.dtype).eps)

    def at(t: float) -> np.ndarray:
        np.copyto(x, start + t * direction, casting="same_kind")
        return evaluate()

    first = 2.0 ** round(np.log2(epsilon) / 5)  # 2⁻¹⁰ for float64: the best for h⁴
    value = doubt = np.array(np.nan)
    reach = max(np.max(np.abs(y), initial=0.0) for y in (start, direction))
    near = reach / (np.max(np.abs(direction), initial=0.0) or 1.0)
    calls = 0
    try:
        for tried, factor in enumerate(_LADDER):
            h = first * factor
            plus, minus, plus2, minus2 = at(h), at(-h), at(h / 2), at(-h / 2)
            calls += 4
            unit = max(epsilon, _unit(plus))
            plus, minus, plus2, minus2 = (
                np.asarray(y, np.float64) for y in (plus, minus, plus2, minus2)
            )
            coarse, fine = (plus - minus) / (2 * h), (plus2 - minus2) / h
            best = (4 * fine - coarse) / 3
            largest = np.maximum(np.abs(plus), np.abs(minus))
            new = np.abs(best - fine) + (4 * unit * largest + 2 * noise) / h
            bend = np.abs((plus - plus2) + (minus - minus2)) / (0.75 * h * h)
            new += 4 * epsilon * bend  # what the rounding of x itself makes of it
            if factor > 1:
                third = (np.asarray(at(h / 4), np.float64) - at(-h / 4)) / (h / 2)
                calls += 2
                new += np.abs((4 * third - fine) / 3 - best)
            new[~np.isfinite(new)] = np.inf
            if tried == 0:
                value, doubt = best, new
            else:
                better = new < doubt
                if factor > 1:
                    better &= ~(np.abs(best - value) > doubt)
                if factor > near:
                    better &= new <= 0.1 * np.abs(best)
                value, doubt = (
                    np.where(better, best, value),
                    np.where(better, new, doubt),
                )
            known = np.isfinite(doubt)
            scale = np.max(np.abs(value[known]), initial=0.0)
            if known.all() and np.all(doubt <= _RESOLVED * scale):
                break
            if np.array_equal(plus, minus) and np.array_equal(plus2, minus2):
                break  # it does not depend on x
            if tried >= 4 and known.all() and scale <= np.max(doubt):
                break  # 0, as far as can be seen
    finally:
        x[...] = start
    return Estimate(value, doubt, calls)


def settles(
    evaluate: Callable[[], np.ndarray],
    x: np.ndarray,
    direction: np.ndarray,
    noise: Any = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether differences say the same for smaller and smaller steps.

    Those of a wave that is shorter than every step, or than the spacing of numbers, do
    not: whatever they give is chance. Those of a smooth function do for four steps in
    a row, each about a quarter of the one before. At a jump they grow as steps shrink.

    Parameters
    ----------
    evaluate, x, direction, noise
        As of :func:`derivative_along`; ``x`` is moved, and put back.

    Returns
    -------
    settled : ndarray of bool, shape (n,)
        True, too, where something is not finite: that is no matter of steps.
    flat : ndarray of bool, shape (n,)
        Whether all that they see is rounding, which may hide a wave, too.
    """
    start = x.copy()
    epsilon = float(np.finfo(x.dtype).eps)

    def at(t: float) -> np.ndarray:
        np.copyto(x, start + t * direction, casting="same_kind")
        return np.asarray(evaluate(), np.float64)

    # No whole ratio: else steps near whole periods would be followed by such.
    hs = 2.0 ** (round(np.log2(epsilon) / 5)) / 3.7 ** np.arange(13)
    try:
        pairs = np.array([(at(h), at(-h)) for h in hs])
    finally:
        x[...] = start
    changes = pairs[:, 0] - pairs[:, 1]
    slopes = changes / (2 * hs[:, None])
    largest = np.max(np.abs(pairs), axis=1)
    rounding = (epsilon * largest + noise) / hs[:, None]
    larger = np.maximum(np.abs(slopes[1:]), np.abs(slopes[:-1]))
    bound = 0.03 * larger + 4 * np.maximum(rounding[1:], rounding[:-1])
    near = np.abs(np.diff(slopes, axis=0)) <= bound
    smooth = np.any(near[2:] & near[1:-1] & near[:-2], axis=0)
    smooth &= noise <= 1e-3 * largest[0]  # else the rounding hides what it does
    jump = np.ptp(changes, axis=0) <= 0.01 * np.max(np.abs(changes), axis=0)
    settled: np.ndarray = smooth | jump | ~np.isfinite(changes).all(axis=0)
    unit = epsilon * largest[0] + noise
    flat: np.ndarray = np.ptp(pairs, axis=(0, 1)) <= _FLAT * unit
    return settled, flat


def roughness(slopes: Callable[[], Any], x: np.ndarray, direction: np.ndarray) -> Any:
    """Return how far slopes near ``x`` are from smooth ones, on the smoother side.

    Of a wave that is shorter than a step, slopes nearby are as good as drawn by chance.
    Those of a smooth function lie on a cubic, also if a rule is wrong, at ``x`` or
    everywhere; beside a kink they do on one side.

    Parameters
    ----------
    slopes : callable
        Reads ``x`` and returns derivatives along ``direction``, by a rule.
    x, direction
        As of :func:`derivative_along`; ``x`` is moved, and put back.
    """
    start = x.copy()
    ts = np.sqrt(np.arange(1, 13) / 12)  # no whole ratios, as above
    h = 2.0 ** round(np.log2(float(np.finfo(x.dtype).eps)) / 5)
    powers = np.vander(ts, 4)
    off_cubic = np.eye(ts.size) - powers @ np.linalg.pinv(powers)
    sides = []
    try:
        for side in (h, -h):
            found = []
            for t in ts:
                np.copyto(x, start + side * t * direction, casting="same_kind")
                found.append(slopes())
            sides.append(np.max(np.abs(np.tensordot(off_cubic, found, 1)), axis=0))
    finally:
        x[...] = start
    return np.minimum(*sides)


def _unit(y: np.ndarray) -> float:
    return float(np.finfo(y.dtype).eps) if y.dtype.kind == "f" else 0.0


class Sides(NamedTuple):
    """What a function does to the left and to the right of a point, entry by entry."""

    left: np.ndarray  # the derivatives
    right: np.ndarray
    doubt: np.ndarray
    before: np.ndarray  # the values
    after: np.ndarray
    jumps: np.ndarray  # whether these differ however near they are


def one_sided(
    evaluate: Callable[[], np.ndarray], x: np.ndarray, direction: np.ndarray
) -> Sides:
    """Differentiate to the left and to the right."""
    start = x.copy()
    h = 2.0 ** round(np.log2(float(np.finfo(x.dtype).eps)) / 3)

    def at(t: float) -> Any:
        np.copyto(x, start + t * direction, casting="same_kind")
        return evaluate()

    try:
        values = [at(t * h) for t in (0, -1, 1, -0.5, 0.5)]
    finally:
        x[...] = start
    unit = max(float(np.finfo(x.dtype).eps), _unit(values[0]))
    here, left, right, left2, right2 = (np.asarray(y, np.float64) for y in values)
    falling, rising = (here - left2) / h * 2, (right2 - here) / h * 2
    doubt = 8 * unit * np.max(np.abs([left, here, right]), axis=0) / h
    doubt += np.abs((here - left) / h - falling) + np.abs((right - here) / h - rising)
    size = np.maximum(np.abs(left2), np.abs(right2))
    far, near = np.abs(right - left), np.abs(right2 - left2)
    jumps = (near > 0.9 * far) & (near > 1e-3 * size)
    return Sides(falling, rising, doubt, left2, right2, jumps)
