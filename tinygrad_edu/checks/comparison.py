"""Gradients by the graph against differences: every entry, or random directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.checks.differences import derivative_along, steps_of
from tinygrad_edu.checks.problems import Problem
from tinygrad_edu.core import Tensor
from tinygrad_edu.randomness import Random

__all__ = ["Entry", "InputReport", "compare", "table", "wrong"]

#: Inputs of up to this many entries are checked entry by entry, four calls for each;
#: larger ones along random directions.
EVERY_ENTRY = 1000
DIRECTIONS = 8
_ALL_OUTPUTS = 32  # with so few outputs and entries, every output has its own row
_COARSE = 1e-3  # a relative doubt above this is reported


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
) -> list[InputReport]:
    """Compare the gradients of a problem by each of its leaves."""
    outputs = problem.record()
    values = problem.values()
    total = sum(x.size for x in problem.leaves)
    if values.size <= _ALL_OUTPUTS and total <= EVERY_ENTRY:
        rows = np.eye(values.size)  # the Jacobian, one row for each output
    else:  # one random projection of the outputs
        rows = rng.standard_normal((1, values.size))
    if values.size == 1:
        rows = np.ones((1, 1))
    by_row = [problem.gradients(outputs, row) for row in rows]
    reports = []
    for i, (x, name) in enumerate(zip(problem.leaves, problem.names, strict=True)):
        jacobian = np.array([g[i] for g in by_row])
        check = _entries if x.size <= EVERY_ENTRY else _directions
        reports.append(check(problem, x, name, rows, jacobian, rng, rtol))
        progress(reports[-1].calls)
    return reports


def _entries(
    problem: Problem,
    x: Tensor,
    name: str,
    rows: np.ndarray,
    jacobian: np.ndarray,
    rng: Random,
    rtol: float,
) -> InputReport:
    steps, direction = steps_of(x.data), np.zeros(x.shape)
    numeric, doubt, columns = np.zeros_like(jacobian), np.zeros_like(jacobian), []
    calls = 0
    for index in np.ndindex(x.shape):
        direction[index] = steps[index]
        estimate = derivative_along(problem.values, x.data, direction)
        direction[index] = 0
        numeric[(slice(None), *index)] = rows @ estimate.value / steps[index]
        doubt[(slice(None), *index)] = np.abs(rows) @ estimate.doubt / steps[index]
        columns.append(estimate.value / steps[index])
        calls += estimate.calls
    bad = wrong(jacobian, numeric, doubt, rtol)
    found = _worst(jacobian, numeric, doubt, bad)
    project = rng.standard_normal(len(rows)) if len(rows) > 1 else np.ones(1)
    kind = "entries of the Jacobian" if len(rows) > 1 else "entries"
    return InputReport(
        name,
        x.shape,
        f"all {jacobian.size:,} {kind}",
        jacobian.size,
        calls,
        *_summary(jacobian, numeric, doubt, steps),
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
    rng: Random,
    rtol: float,
) -> InputReport:
    row, gradient = rows[0], jacobian[0]
    steps = steps_of(x.data)
    steps = np.maximum(steps, np.median(steps))
    calls = 0

    def along(direction: np.ndarray) -> tuple[float, float, float]:
        nonlocal calls
        estimate = derivative_along(problem.values, x.data, direction)
        calls += estimate.calls
        return (
            float(np.sum(gradient * direction)),
            float(row @ estimate.value),
            float(np.abs(row) @ estimate.doubt),
        )

    signs = [rng.choice([-1.0, 1.0], x.shape) * steps for _ in range(DIRECTIONS)]
    analytic, numeric, doubt = np.array([along(v) for v in signs]).T
    # What one direction would be if no two entries cancelled: the scale of an error.
    scale = float(np.sqrt(np.sum((gradient * steps) ** 2)))
    bad = ~(np.abs(analytic - numeric) <= rtol * max(scale, 1e-300) + doubt)
    report = InputReport(
        name,
        x.shape,
        f"{DIRECTIONS} random directions through all {x.size:,} entries",
        DIRECTIONS,
        calls,
        *_summary(analytic, numeric, doubt, scale=scale),
    )
    if not bad.any():
        return report
    found = _searched(along, signs[int(np.argmax(bad))], steps, doubt.max())
    places = np.unravel_index(rng.choice(x.size, 200, replace=False), x.shape)
    sample = [tuple(map(int, index)) for index in zip(*places, strict=True)]
    numbers = np.full(x.shape, np.nan)
    for index in {*sample, *(e.index for e in found)}:
        v = np.zeros(x.shape)
        v[index] = steps[index]
        a, n, u = along(v)
        numbers[index] = n / steps[index]
        if abs(a - n) > rtol * max(abs(a), abs(n)) + u and all(
            index != e.index for e in found
        ):
            found.append(_entry(index, a, n, u, steps))
    found.sort(key=lambda e: -abs(e.analytic - e.numeric))
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
        numbers,
        row,
    )


def _entry(
    index: tuple[int, ...], a: float, n: float, u: float, steps: np.ndarray
) -> Entry:
    h = float(steps[index])
    return Entry(index, a / h, n / h, u / h)


def _searched(
    along: Callable[[np.ndarray], tuple[float, float, float]],
    direction: np.ndarray,
    steps: np.ndarray,
    doubt: float,
) -> list[Entry]:
    """Find a wrong entry by halving the direction, always towards the larger error."""
    places = np.flatnonzero(direction)
    while places.size > 1:
        best, errors = None, []
        for half in np.array_split(places, 2):
            v = np.zeros(direction.shape)
            v.flat[half] = direction.flat[half]
            a, n, u = along(v)
            errors.append(abs(a - n) - u)
            if best is None or errors[-1] > errors[0]:
                best = half
        if max(errors) <= 0 or best is None:
            return []
        places = best
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
    steps: Any = 1.0,
    scale: float = 0.0,
) -> tuple[float, float, int]:
    """Return the worst relative error, the resolution, and what is not resolved."""
    finite = np.isfinite(numeric) & np.isfinite(analytic) & np.isfinite(doubt)
    if not finite.any():
        return 0.0, float("inf") if doubt.size else 0.0, doubt.size
    largest = np.maximum(np.abs(analytic), np.abs(numeric))
    error = np.abs(analytic - numeric)[finite]
    size = np.maximum(np.maximum(largest, doubt)[finite], scale)
    floor = max(1e-13 * float(np.max(size)), np.finfo(float).tiny)
    worst = float(np.max(error / np.maximum(size, floor)))
    # Weighed by what a step changes: else numbers of 1e-8 would count as those of 1e8.
    change = float(np.sum((np.maximum(largest, scale) * steps)[finite]))
    noise = float(np.sum((doubt * steps)[finite]))
    vague = (doubt > 0.1 * np.maximum(largest, scale)) & (largest > 0)
    lost = int(np.count_nonzero(vague | ~finite))
    return worst, noise / change if change else 0.0, lost


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
