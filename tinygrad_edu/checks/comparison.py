"""Gradients by the graph against differences: every entry, or random directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.checks.differences import (
    Estimate,
    derivative_along,
    roughness,
    settles,
    steps_of,
)
from tinygrad_edu.checks.linearity import Bent, bent_by
from tinygrad_edu.checks.problems import Problem
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.randomness import Random

__all__ = [
    "Entry",
    "InputReport",
    "compare",
    "counted",
    "resolved_by",
    "table",
    "wrong",
]

#: Inputs of up to this many entries are checked entry by entry, four calls for each;
#: larger ones along random directions.
EVERY_ENTRY = 1000
DIRECTIONS = 8
_ALL_OUTPUTS = 32  # with so few outputs and entries, every output has its own row
_COARSE = 1e-3  # of a number with a larger relative doubt, no error is reported
_NEARER = (
    2.0**-4,
    2.0**-8,
    2.0**-12,
    2.0**-20,
)  # smaller steps, tried before a number is called wrong
_FARTHER = (2.0**12, 2.0**22)  # larger steps, tried before one is called unresolved
_ROUGH = 0.1  # of an error: a gradient that varies by more tells nothing of it
_ENOUGH = 20  # after so many entries that stay so, the others are believed to be, too


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient, by the graph and by differences."""

    index: tuple[int, ...]
    analytic: float
    numeric: float
    doubt: float
    output: int | None = None  # whose derivative, if there are several

    @property
    def relative_error(self) -> float:
        """The difference, relative to the larger of both; dimensionless."""
        largest = max(abs(self.analytic), abs(self.numeric))
        if not np.isfinite(largest):
            return float("inf")
        return abs(self.analytic - self.numeric) / largest if largest else 0.0


@dataclass(frozen=True)
class InputReport:
    """What was compared for one input, and how it came out.

    Attributes
    ----------
    name : str
    shape : tuple of int
    method : str
        How it was checked: every entry, or random directions.
    compared : int
        How many numbers were compared.
    calls : int
        How often the function was called for it.
    worst : float
        The largest relative error that the differences can vouch for, dimensionless.
    resolution : float
        How finely the differences resolve the gradient, relative; dimensionless.
    unresolved : int
        Of how many numbers they resolve less than a tenth: too small beside others.
    wrong : tuple of Entry
        The wrong entries, worst first; of a large input those that a search found.
    linear : bool
        Whether the gradient is linear in the one that arrives from above. If not, and
        differences show nothing wrong, ``wrong`` are the entries that show this: the
        gradient for some g (analytic), and c times that for g / c.
    """

    name: str
    shape: tuple[int, ...]
    method: str
    compared: int
    calls: int
    worst: float
    resolution: float
    unresolved: int
    wrong: tuple[Entry, ...] = ()
    analytic: Any = field(default=None, repr=False)
    numeric: Any = field(default=None, repr=False)
    upstream: Any = field(default=None, repr=False)
    linear: bool = True

    @property
    def resolved(self) -> bool:
        """Whether the differences were fine enough to tell anything."""
        return self.resolution < 0.1


def wrong(
    analytic: np.ndarray, numeric: np.ndarray, doubt: np.ndarray, rtol: float
) -> np.ndarray:
    """Return where the two differ by more than ``rtol`` and what is in doubt."""
    largest = np.maximum(np.abs(analytic), np.abs(numeric))
    floor = 1e-13 * np.max(largest, initial=0.0, where=np.isfinite(largest))
    close: np.ndarray = np.abs(analytic - numeric) <= rtol * largest + doubt + floor
    return ~close  # nan is wrong


def compare(
    problem: Problem,
    rng: Random,
    rtol: float,
    progress: Callable[[int], Any] = lambda calls: None,
    *,
    whole: bool = True,
) -> list[InputReport]:
    """Compare the gradients of a problem by each of its leaves.

    Not ``whole``: of one random projection of the outputs, and not for every g.
    """
    outputs = problem.record()
    values = problem.values()
    total = sum(x.size for x in problem.leaves)
    if whole and values.size <= _ALL_OUTPUTS and total <= EVERY_ENTRY:
        rows = np.eye(values.size)  # the Jacobian, one row for each output
    else:  # one random projection of the outputs
        rows = rng.standard_normal((1, values.size))
    if values.size <= 1:
        rows = np.ones((1, values.size))
    by_row = [problem.gradients(outputs, row) for row in rows]
    rounding = np.array([problem.rounding(outputs, row) for row in rows])
    reports = []
    bent = bent_by(problem, outputs) if whole else [None for _ in problem.leaves]
    for i, (x, name) in enumerate(zip(problem.leaves, problem.names, strict=True)):
        jacobian = np.array([g[i] for g in by_row])
        check = _entries if x.size <= EVERY_ENTRY else _directions
        report = check(problem, x, name, rows, jacobian, rounding, rng, rtol)
        reports.append(_unless_bent(report, bent[i]))
        progress(reports[-1].calls)
    return reports


def _unless_bent(report: InputReport, bent: Bent | None) -> InputReport:
    """Say so in a report if the gradient is not linear in g."""
    if bent is None:
        return report
    showing = _worst(
        bent.found[None],
        bent.linear[None],
        np.zeros((1, *bent.bad.shape)),
        bent.bad[None],
    )
    return replace(report, linear=False, wrong=report.wrong or showing)


def _entries(
    problem: Problem,
    x: Tensor,
    name: str,
    rows: np.ndarray,
    jacobian: np.ndarray,
    rounding: np.ndarray,
    rng: Random,
    rtol: float,
) -> InputReport:
    steps, direction = steps_of(x.data), np.zeros(x.shape)
    numeric, doubt = np.zeros_like(jacobian), np.zeros_like(jacobian)
    noise, calls = _noise_of(rows, rounding), 0

    def moved(index: tuple[int, ...], scale: float = 1.0) -> tuple[Any, Any]:
        """Differentiate by one entry."""
        nonlocal calls
        direction[index] = h = steps[index] * scale
        estimate = derivative_along(problem.values, x.data, direction, noise)
        direction[index] = 0
        calls += estimate.calls
        value, doubt = _projected(rows, estimate)
        return value / h, doubt / h

    for index in np.ndindex(x.shape):
        at = (slice(None), *index)
        numeric[at], doubt[at] = moved(index)
    least = rounding[:, 1].reshape(-1, *[1] * x.ndim)
    # A gradient is a sum of many terms, and has their rounding too.
    own = 4 * least / steps
    bad = wrong(jacobian, numeric, doubt + own, rtol)
    vague = ~bad & (np.abs(jacobian) > own) & (doubt > 0.1 * np.abs(jacobian))
    for places, scales, judge in (
        (bad, _NEARER, _acquitted),
        (vague, _FARTHER, _made_sure),
    ):
        hopeless = 0
        for place in np.argwhere(places.any(axis=0)):
            at = (slice(None), *map(int, place))
            for scale in scales:
                near = moved(at[1:], scale)
                better = judge(jacobian[at], numeric[at], *near, rtol) & places[at]
                for held, found in zip((numeric, doubt), near, strict=True):
                    held[at] = np.where(better, found, held[at])
                places[at] &= ~better
                if not places[at].any():
                    break
            hopeless += places[at].any()
            if hopeless == _ENOUGH:
                break

    def believed(at: tuple[Any, ...]) -> Any:
        """Whether differences by one entry can be believed, output by output."""
        nonlocal calls
        direction[at[1:]] = steps[at[1:]]
        gap = np.abs(jacobian[at] - numeric[at]) * steps[at[1:]]
        found = _believed(problem, x, name, direction, rows, rounding, gap)
        direction[at[1:]] = 0
        calls += 26
        return found

    vain = 0  # where no step tells anything
    for k, place in enumerate(np.argwhere(bad.any(axis=0))):
        at = (slice(None), *map(int, place))
        if k < _ENOUGH:
            chance = bad[at] & ~believed(at)
            vain += chance.any()
        elif vain < _ENOUGH:
            break
        else:
            chance = bad[at]
        doubt[at] = np.where(chance, np.inf, doubt[at])
        bad[at] &= ~chance
    found = _worst(jacobian, numeric, doubt, bad)
    project = rng.standard_normal(len(rows)) if len(rows) > 1 else np.ones(1)
    kind = " of the Jacobian" if len(rows) > 1 else ""
    every = "the" if jacobian.size == 1 else "all"
    return InputReport(
        name,
        x.shape,
        f"{every} {counted(jacobian.size, 'entry', 'entries')}{kind}",
        jacobian.size,
        calls,
        *_summary(jacobian, numeric, doubt, rounding[:, 1], steps),
        found,
        np.tensordot(project, jacobian, 1),
        np.tensordot(project, numeric, 1),
        project @ rows,
    )


def _directions(
    problem: Problem,
    x: Tensor,
    name: str,
    rows: np.ndarray,
    jacobian: np.ndarray,
    rounding: np.ndarray,
    rng: Random,
    rtol: float,
) -> InputReport:
    row, gradient = rows[0], jacobian[0]
    finite = np.where(np.isfinite(gradient), gradient, 0.0)
    noise, calls = _noise_of(rows, rounding), 0

    def along(direction: np.ndarray, scale: float = 1.0) -> tuple[float, float, float]:
        nonlocal calls
        part = direction * scale
        estimate = derivative_along(problem.values, x.data, part, noise)
        calls += estimate.calls
        (value,), (doubt,) = _projected(rows, estimate)
        analytic = float(np.sum(gradient * direction, where=direction != 0))
        return analytic, float(value) / scale, float(doubt) / scale

    def size_of(steps: np.ndarray) -> float:
        """What one direction would be if no two entries cancelled."""
        return max(float(np.sqrt(np.sum((finite * steps) ** 2))), 1e-300)

    signs = rng.choice([-1.0, 1.0], (DIRECTIONS, *x.shape))
    own = steps_of(x.data)
    steps = np.maximum(own, np.median(own))  # so that small entries are seen, too;
    first = along(signs[0] * steps)
    vague = first[2] / size_of(steps)
    if not vague <= rtol:
        other = along(signs[0] * own)
        if not other[2] / size_of(own) >= vague:
            first, steps = other, own  # unless they cannot be moved as far, as in log
    signs *= steps
    numbers = [first, *(along(v) for v in signs[1:])]
    analytic, numeric, doubt = np.array(numbers).T
    scale = size_of(steps)
    # An error of one entry among n is as 1 to √n beside a direction.
    floor = rtol * scale / np.sqrt(x.size) + 1e-13 * np.sum(np.abs(finite * steps))
    bad = ~(np.abs(analytic - numeric) <= floor + doubt)
    for i in np.flatnonzero(bad):
        for nearer in _NEARER:
            _, n, u = along(signs[i], nearer)
            gap, left = abs(analytic[i] - numeric[i]), abs(analytic[i] - n)
            if left <= floor + u and not left > 0.1 * gap and not u > 3 * gap:
                numeric[i], doubt[i], bad[i] = n, u, False
                break
        gap = np.abs(analytic[i : i + 1] - numeric[i])
        asked = (problem, x, name, signs[i], rows, rounding, gap)
        if bad[i] and not _believed(*asked).all():
            doubt[i], bad[i] = np.inf, False
    report = InputReport(
        name,
        x.shape,
        f"{DIRECTIONS} random directions through all {x.size:,} entries",
        DIRECTIONS,
        calls,
        *_summary(analytic[None], numeric[None], doubt[None], rounding[:, 1], 1, scale),
    )
    if not bad.any():
        return report
    found = _searched(along, signs[int(np.argmax(bad))], steps)
    places = np.unravel_index(rng.choice(x.size, 200, replace=False), x.shape)
    sample = [tuple(map(int, index)) for index in zip(*places, strict=True)]
    known = np.full(x.shape, np.nan)
    for index in dict.fromkeys([*sample, *(e.index for e in found)]):
        v = np.zeros(x.shape)
        v[index] = steps[index]
        a, n, u = along(v)
        known[index] = n / steps[index]
        if not abs(a - n) <= rtol * max(abs(a), abs(n)) + u and all(
            index != e.index for e in found
        ):
            found.append(_entry(index, a, n, u, steps))
    found.sort(key=lambda e: -_error(e.analytic, e.numeric))
    return InputReport(
        name,
        x.shape,
        report.method,
        report.compared,
        calls,
        report.worst,
        report.resolution,
        report.unresolved,
        tuple(found) or (Entry((), analytic[bad][0], numeric[bad][0], doubt[bad][0]),),
        gradient,
        known,
        row,
    )


def _noise_of(rows: np.ndarray, rounding: np.ndarray) -> Any:
    """Return by how much each output is off through rounding on the way to it."""
    if len(rows) > 1:  # each row is one output
        return rounding[:, 0]
    return rounding[0, 0] / (np.sum(np.abs(rows)) or 1.0)


def _believed(
    problem: Problem,
    x: Tensor,
    name: str,
    direction: np.ndarray,
    rows: np.ndarray,
    rounding: np.ndarray,
    gap: np.ndarray,
) -> np.ndarray:
    """Return of each row whether differences along a direction can be believed.

    They settle, and if on nothing but rounding, the gradient by the graph is no wave
    that rounding hides: near ``x`` it does not vary by a good part of the ``gap``.
    """
    which, moved = problem.names.index(name), direction != 0

    def values() -> np.ndarray:
        y = problem.values()
        projected: np.ndarray = np.sum(np.where(rows == 0, 0.0, rows * y), axis=1)
        return projected

    def slopes() -> list[Any]:
        outputs = problem.record()
        found = [problem.gradients(outputs, row)[which] for row in rows[hidden]]
        return [np.sum(g[moved] * direction[moved]) for g in found]

    settled, flat = settles(values, x.data, direction, rounding[:, 0])
    hidden = settled & flat
    if hidden.any():
        rough = roughness(slopes, x.data, direction)
        settled[hidden] = ~(rough > _ROUGH * gap[hidden])
    return settled


def _projected(rows: np.ndarray, estimate: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """Return what the rows make of it; nan counts only where a row is not 0."""
    value, doubt = (
        np.sum(np.where(rows == 0, 0.0, r * part), axis=1)
        for r, part in ((rows, estimate.value), (np.abs(rows), estimate.doubt))
    )
    return value, doubt


def _acquitted(
    analytic: Any, numeric: Any, nearer: Any, doubt: Any, rtol: float
) -> np.ndarray:
    """Return where steps much smaller contradict the first ones, and agree.

    Beside a kink or a sharp bend the first steps agree on a wrong number. A gradient
    that is wrong by a little keeps its distance.
    """
    gap = np.abs(analytic - numeric)
    telling = np.where(
        np.isnan(gap), doubt <= 1e-3 * np.abs(analytic), doubt <= 3 * gap
    )
    closer = ~(np.abs(analytic - nearer) > 0.1 * gap)
    result: np.ndarray = telling & closer & ~wrong(analytic, nearer, doubt, rtol)
    return result


def _made_sure(
    analytic: Any, numeric: Any, farther: Any, doubt: Any, rtol: float
) -> np.ndarray:
    """Return where steps much larger, that rounding does not drown, agree.

    They may be too large, so they do not prove anything wrong.
    """
    sharp = doubt <= _COARSE * np.abs(analytic)
    result: np.ndarray = sharp & ~wrong(analytic, farther, doubt, rtol)
    return result


def _error(analytic: float, numeric: float) -> float:
    """Return the difference, infinite where one of both is nan."""
    return float(np.nan_to_num(abs(analytic - numeric), nan=np.inf))


def _entry(
    index: tuple[int, ...], a: float, n: float, u: float, steps: np.ndarray
) -> Entry:
    h = float(steps[index])
    return Entry(index, a / h, n / h, u / h)


def _searched(
    along: Callable[[np.ndarray], tuple[float, float, float]],
    direction: np.ndarray,
    steps: np.ndarray,
) -> list[Entry]:
    """Find a wrong entry by halving the direction, always towards the larger error."""
    places = np.flatnonzero(direction)
    while places.size > 1:
        halves, errors = np.array_split(places, 2), []
        for half in halves:
            v = np.zeros(direction.shape)
            v.flat[half] = direction.flat[half]
            a, n, u = along(v)
            errors.append(float(np.nan_to_num(_error(a, n) - u, nan=np.inf)))
        if max(errors) <= 0:
            return []
        places = halves[int(np.argmax(errors))]
    index = tuple(map(int, np.unravel_index(int(places[0]), direction.shape)))
    v = np.zeros(direction.shape)
    v[index] = steps[index]
    return [_entry(index, *along(v), steps)]


def _worst(
    analytic: np.ndarray, numeric: np.ndarray, doubt: np.ndarray, bad: np.ndarray
) -> tuple[Entry, ...]:
    error = np.where(bad, np.nan_to_num(np.abs(analytic - numeric), nan=np.inf), -1.0)
    order = np.argsort(-error, axis=None, kind="stable")[: int(bad.sum())]
    found = []
    for flat in order:
        output, *index = map(int, np.unravel_index(flat, analytic.shape))
        at = (output, *index)
        found.append(
            Entry(
                tuple(index),
                float(analytic[at]),
                float(numeric[at]),
                float(doubt[at]),
                output if len(analytic) > 1 else None,
            )
        )
    return tuple(found)


def _summary(
    analytic: np.ndarray,
    numeric: np.ndarray,
    doubt: np.ndarray,
    least: np.ndarray,
    steps: Any = 1.0,
    scale: float = 0.0,
) -> tuple[float, float, int]:
    """Return the worst relative error, the resolution, and what is not resolved.

    The first axis is that of the rows. ``least`` is the rounding of each in float64: an
    entry that moves it by less is 0 as far as can be told, and needs no resolving.
    """
    finite = np.isfinite(numeric) & np.isfinite(analytic) & np.isfinite(doubt)
    if not finite.any():
        return 0.0, float("inf") if doubt.size else 0.0, doubt.size
    largest = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), scale)
    error = np.abs(analytic - numeric)
    vouched = np.where(doubt <= _COARSE * largest, error, error - doubt)[finite]
    size = np.maximum(largest, doubt)[finite]
    floor = max(1e-13 * float(np.max(size)), np.finfo(float).tiny)
    worst = max(float(np.max(vouched / np.maximum(size, floor))), 0.0)
    # Weighed by what a step changes: else numbers of 1e-8 would count as those of 1e8.
    resolutions = []
    for row in range(len(doubt)):
        change, noise, claimed = (
            np.ravel((part * steps)[row])
            for part in (largest, doubt, np.maximum(np.abs(analytic), scale))
        )
        matters = np.ravel(finite[row]) & (claimed > 4 * least[row])
        if matters.any():
            resolutions.append(np.sum(noise[matters]) / np.sum(change[matters]))
        elif np.any(claimed > 4 * least[row]):
            resolutions.append(np.inf)
    resolution = float(np.median(resolutions)) if resolutions else 0.0
    vague = (doubt > 0.1 * largest) & (largest > 0)
    return worst, resolution, int(np.count_nonzero(vague | ~finite))


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with what it counts: 1 entry, 2 entries."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def resolved_by(report: InputReport) -> str:
    """Say how little of a gradient the differences resolve."""
    if np.isfinite(report.resolution):
        return f"differences resolve only {report.resolution:.1g} of it"
    return "no step resolves it, so whether it is right, differences cannot tell"


def table(entries: Sequence[Entry], limit: int = 5) -> str:
    """Return the worst entries as lines of text, in columns."""
    lines = [f"{'index':>14} {'analytic':>16} {'numeric':>16} {'relative error':>15}"]
    for e in entries[:limit]:
        index = str(list(e.index))
        where = f"{index} of output {e.output}" if e.output is not None else index
        lines.append(
            f"{where:>14} {e.analytic:16.9g} {e.numeric:16.9g} {e.relative_error:15.2g}"
        )
    if len(entries) > limit:
        lines.append(f"{'...':>14} and {len(entries) - limit:,} more")
    return "\n".join(lines)
