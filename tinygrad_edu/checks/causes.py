"""Why a gradient is wrong: the usual slips, found by fitting the two arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

__all__ = ["NO_RELATION", "Cause", "likely_cause"]


class Cause(NamedTuple):
    """A likely cause: a short name, and what to tell the user."""

    name: str
    text: str


NO_RELATION = Cause("unknown", "no simple relation found")
_CLOSE = 1e-5  # relative, of arrays that are said to be equal


def _same(a: Any, b: Any) -> bool:
    """Whether two arrays of one shape are equal, up to the error of differences.

    Entries that are not known (nan in ``b``) are left out, if some are known.
    """
    known = ~np.isnan(b)
    a, b = np.asarray(a)[known], np.asarray(b)[known]
    if not a.size or not np.all(np.isfinite(a)):
        return False
    scale = max(np.max(np.abs(a)), np.max(np.abs(b)))
    return bool(np.all(np.abs(a - b) <= _CLOSE * np.abs(b) + 1e-9 * scale))


def _ratio(a: Any, b: Any, sizes: Collection[int] = ()) -> float | None:
    """Return c with a = c b, if there is one, and it is not 0.

    Two numbers always have a ratio, at 1.3 or 0.7 even a short one. So of a single one
    only a whole number is believed, or 1 over it, or one of ``sizes``.
    """
    if np.shape(a) != np.shape(b):
        return None
    known = ~np.isnan(b)
    a, b = np.asarray(a)[known], np.asarray(b)[known]
    with np.errstate(all="ignore"):
        c = float(np.vdot(a, b) / np.vdot(b, b)) if b.size else np.nan
    if not 1e-99 < abs(c) < 1e99 or not _same(a, c * b):  # nor nan
        return None
    nice = _short(c)
    if b.size == 1 and (
        nice is None or 1 not in (abs(nice.numerator), nice.denominator)
    ):
        whole = round(max(abs(c), 1 / abs(c)))
        if whole not in (1, *sizes) or not _is(abs(c), whole):
            return None
    return c


def _short(c: float) -> Fraction | None:
    """Return the fraction that one would write for a number: 2, 1/32, 2/3."""
    nice = Fraction(c).limit_denominator(1000)
    short = nice.denominator == 1 or abs(nice.numerator) <= 10
    return nice if short and abs(c - nice) <= 1e-7 * abs(c) else None


def _is(c: float, whole: int) -> bool:
    """Whether a number is a whole one, or 1 over it."""
    return c > 0 and abs(max(c, 1 / c) - whole) <= _CLOSE * whole


def _spelled(c: float) -> str:
    """Return a number as one would write it: 2, 1/32, 1.01."""
    return f"{c:.6g}" if _short(c) is None else str(_short(c))


def _of_factor(
    c: float,
    sizes: Mapping[int, str],
    lengths: Mapping[int, str],
    wrong: str,
    right: str,
) -> Cause | None:
    """Name a constant factor."""
    if abs(c - 1) <= _CLOSE:
        return None
    whole = round(max(abs(c), 1 / abs(c)))
    says = f"{wrong} is {_spelled(c)} x {right}"
    if abs(c + 1) <= _CLOSE:
        return Cause("sign", f"{says}: the sign is wrong")
    if whole == 1 or not _is(abs(c), whole):
        return Cause("factor", says)
    if whole in sizes and abs(c) > 1:
        minus = ", and the sign is wrong" if c < 0 else ""
        return Cause(
            "missing-mean",
            f"{says}: a division by {whole}, {sizes[whole]}, is missing{minus}",
        )
    if whole in sizes:
        often = f"divided by {whole}, {sizes[whole]}, once too often"
        return Cause("factor", f"{says}: {often}")
    if whole in lengths:
        hint = ": a constant factor (is a 1/2 or a 2 lost?)" if whole == 2 else ""
        says += f"{hint}; {whole} is also {lengths[whole]}"
    return Cause("factor", says)


def likely_cause(
    claimed: Any,
    right: Any,
    *,
    factors: Mapping[str, Any] | None = None,
    sums_of: Mapping[str, Any] | None = None,
    variants: Sequence[tuple[Cause, Any]] = (),
    sizes: Mapping[int, str] | None = None,
    lengths: Mapping[int, str] | None = None,
    said: tuple[str, str] = ("analytic", "numeric"),
) -> Cause:
    """Return the slip that makes ``claimed`` of ``right``, or ``NO_RELATION``.

    Parameters
    ----------
    claimed : ndarray
        The wrong gradient.
    right : ndarray
        The right one; nan where it is not known.
    factors : mapping of str to ndarray
        Arrays that could be missing as a factor, by what they are called.
    sums_of : mapping of str to ndarray
        Arrays of which the gradient could be a sum over some axes.
    variants : sequence of (Cause, ndarray)
        The gradients that certain slips would give.
    sizes : mapping of int to str
        Numbers that may be divided by, as in a mean, with what each is.
    lengths : mapping of int to str
        Other lengths of axes, which are told beside a factor.
    said : pair of str
        What the two arrays are called.

    Returns
    -------
    Cause
    """
    claimed, right = np.asarray(claimed, float), np.asarray(right, float)
    factors, sums_of = factors or {}, sums_of or {}
    sizes, lengths = sizes or {}, lengths or {}
    wrong, true = said
    single = np.count_nonzero(~np.isnan(right)) == 1
    if not np.any(claimed) and np.any(np.nan_to_num(right)):
        return Cause(
            "detached",
            f"{wrong} is 0 everywhere: the graph does not lead to this input (was "
            "something taken out by .data, .detach() or no_grad?)",
        )
    c = _ratio(claimed, right, sizes)
    if c is not None:
        found = _of_factor(c, sizes, lengths, wrong, true)
        if found is not None:
            return found
    slips: list[tuple[float, Cause]] = []
    for slip, array in variants:
        array = np.asarray(array, float)
        if array.shape == right.shape and _same(array, right):
            continue  # no slip: it makes no difference here
        c = _ratio(claimed, array)
        if c is not None and (_is(c, 1) or (_short(c) is not None and not single)):
            text = slip.text + _and_factor(c, wrong)
            slips.append((abs(c - 1), Cause(slip.name, text)))
    if slips:  # the one that needs no factor beside it, if there is one
        return min(slips, key=lambda pair: round(pair[0], 4))[1]
    found = _of_shape(claimed, right, said)
    if found is not None:
        return found
    for what, array in sums_of.items():
        found = _of_axis(claimed, right, what, np.asarray(array, float), wrong)
        if found is not None:
            return found
    for what, array in factors.items():
        array = np.asarray(array, float)
        try:
            with np.errstate(all="ignore"):
                more, less = claimed * array, right * array
        except ValueError:
            continue
        if more.shape != right.shape or (_is_constant(array) and not single):
            continue
        c = _ratio(more, right)
        if c is not None and (_is(c, 1) or not single):
            text = f"the factor {what} is missing"
            return Cause("missing-derivative", text + _and_factor(c, wrong))
        c = _ratio(claimed, less)
        if c is not None and (_is(c, 1) or not single):
            text = f"the factor {what} is there once too often"
            return Cause("extra-factor", text + _and_factor(c, wrong))
    return NO_RELATION


def _is_constant(array: Any) -> bool:
    return array.size > 0 and _same(array, np.full(array.shape, array.flat[0]))


def _and_factor(c: float, wrong: str) -> str:
    """Tell of a factor beside the slip, unless it may be chance."""
    if _is(c, 1) or _short(c) is None:
        return ""
    return f" (and {wrong} is {_short(c)} x that)"


def _of_shape(claimed: Any, right: Any, said: tuple[str, str]) -> Cause | None:
    """Find a transposition, a missing sum, or axes of length 1."""
    wrong, true = said
    if claimed.ndim >= 2:
        c = _ratio(claimed.T, right)
        if c is not None:
            text = f"{wrong} is the transpose of {true}"
            return Cause("transpose", text + _and_factor(c, wrong))
    if claimed.shape == right.shape:
        return None
    if claimed.size == right.size and claimed.ndim != right.ndim:
        c = _ratio(claimed.reshape(right.shape), right)
        if c is not None:
            text = f"{wrong} has shape {claimed.shape}, {true} has {right.shape}"
            return Cause("shape", text + _and_factor(c, wrong))
    try:
        wide = np.broadcast_shapes(claimed.shape, right.shape) == claimed.shape
    except ValueError:
        return None
    if not wide:
        return None
    lead = claimed.ndim - right.ndim
    axes = tuple(range(lead)) + tuple(
        lead + i for i, n in enumerate(right.shape) if n == 1 < claimed.shape[lead + i]
    )
    c = _ratio(claimed.sum(axis=axes).reshape(right.shape), right)
    if c is None:
        return None
    text = f"a sum over axis {', '.join(map(str, axes))} of {claimed.shape} is missing"
    return Cause("missing-sum", text + _and_factor(c, wrong))


def _of_axis(
    claimed: Any,
    right: Any,
    what: str,
    array: Any,
    wrong: str,
) -> Cause | None:
    """Find a sum that was taken over another axis."""
    if array.ndim < 2 or array.ndim > 4:
        return None
    over = []
    for axis in range(array.ndim):
        total = array.sum(axis=axis)
        over.append(
            total.size == right.size and _same(total.reshape(right.shape), right)
        )
    if not any(over):
        return None
    for axis in range(array.ndim):
        total = array.sum(axis=axis)
        if over[axis] or total.size != claimed.size:
            continue
        c = _ratio(claimed, total.reshape(claimed.shape))
        if c is not None:
            text = f"{what} was summed over axis {axis} instead of {over.index(True)}"
            return Cause("wrong-axis", text + _and_factor(c, wrong))
    return None
