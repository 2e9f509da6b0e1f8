"""Derivatives of an operation at other inputs than were drawn: where faults hide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.checks.comparison import InputReport, compare
from tinygrad_edu.checks.differences import (
    Sides,
    derivative_along,
    one_sided,
    steps_of,
)
from tinygrad_edu.checks.problems import Problem
from tinygrad_edu.engine.core import Case, Op
from tinygrad_edu.randomness import Random

__all__ = ["Elsewhere", "other_inputs"]

#: What rules ask for, and may miss; at 0 many are infinite, so once the others alone.
_ROUND = ((1.0, 1.0, -1.0), (0.0, 1.0, -1.0))
_NEAR = 0.25  # so far a number may be moved to become round


def other_inputs(op: Op, case: Case, rng: Random) -> Iterator[tuple[list[Any], int]]:
    """Yield other inputs of a case: anew, large, of one sign, round, equal.

    Each with the order up to which there is something new to see there: a rule that is
    right by chance at 0 may have a wrong derivative.

    A shape stands for any numbers. Of others only some are known to be allowed: those
    that were drawn, for an elementwise operation in any order and repeated, and what is
    between them; so the numbers there are moved a little at most.

    Parameters
    ----------
    op : Op
    case : Case
    rng : Generator
        Has drawn those that were checked already.
    """
    anew, far, near = (case.sample(rng) for _ in range(3))
    drawn = [isinstance(x, tuple) for x in case.inputs]
    moved = [
        x is not None and x.dtype.kind == "f" and op.argument(i) not in op.constant
        for i, x in enumerate(anew)
    ]
    if op.elementwise or any(drawn) or any(map(callable, case.inputs)):
        turned = zip(anew, moved, strict=True)
        yield [_turned(x) if m and op.elementwise else x for x, m in turned], 1
    if any(drawn):
        for scaled in (_mixed, _above, _below):
            given = zip(far, drawn, moved, strict=True)
            yield [scaled(4.0 * x) if d and m else x for x, d, m in given], 1
    for numbers in _ROUND:
        there = [
            x if not m else _rounded(x, numbers, rng) if d else _nearly(x, numbers, op)
            for x, d, m in zip(near, drawn, moved, strict=True)
        ]
        for x, d, m in zip(there, drawn, moved, strict=True):
            if op.elementwise and d and m and x.size > 1:
                _meet(x, there)
        yield there, 2


def _mixed(x: np.ndarray) -> np.ndarray:
    return x + 3.0


def _above(x: np.ndarray) -> np.ndarray:
    above: np.ndarray = 3.0 + np.abs(x)  # all, so that the least is, too
    return above


def _below(x: np.ndarray) -> np.ndarray:
    return -_above(x)


def _meet(x: np.ndarray, others: list[Any]) -> None:
    """Give the last entry the number of another argument there, if of its shape."""
    for y in others:
        if y is not None and y.shape == x.shape:
            x.flat[-1] = y.flat[-1]


def _turned(x: np.ndarray) -> np.ndarray:
    """Return an array in which another number is last, and the first is there twice."""
    if x.size < 3:
        return x
    turned = np.roll(x, 1)  # of the flattened array
    turned.flat[1] = turned.flat[0]
    return turned


def _rounded(x: np.ndarray, numbers: tuple[float, ...], rng: Random) -> np.ndarray:
    """Return an array with two of three numbers round, so that some repeat."""
    many = -(-2 * x.size // 3)
    mixed = np.append(np.resize(numbers, many), x.ravel()[many:])
    return rng.permutation(mixed).reshape(x.shape)


def _nearly(x: np.ndarray, numbers: tuple[float, ...], op: Op) -> np.ndarray:
    """Return an array with those numbers round that nearly are."""
    result = x.copy()
    for value in numbers if x.size else ():
        far = np.abs(x - value)
        between = np.min(x) < value < np.max(x)
        if between if op.elementwise else np.min(far) <= _NEAR:
            result.flat[np.argmin(far)] = value
    return result


class Elsewhere:
    """An operation at other inputs: its gradients, and what differences say of them.

    At a jump, and at an edge beyond which a function is nan, they say nothing. At a
    kink a gradient may be anything between the slopes on both sides. Where the largest
    of equal numbers is asked for, or the median, there is no derivative by one of them,
    though there may be one as all grow together.

    Parameters
    ----------
    problem : Problem
    rng : Generator
    rtol : float
        As of :func:`.compare`.

    Attributes
    ----------
    reports : list of InputReport
        One for each leaf; ``wrong`` are those entries that nothing excuses. Empty if
        there are none; a direction in which every entry moves shows that mostly.
    excused : bool
        Whether something was, or could have been.
    """

    def __init__(self, problem: Problem, rng: Random, rtol: float) -> None:
        self.problem, self.rng = problem, rng
        self._leaves = [x.data for x in problem.leaves]
        self._start = np.concatenate([x.ravel() for x in self._leaves])
        self._smooth: dict[float, bool] = {}  # by the size of numbers that tie
        self.excused = False
        self.reports: list[InputReport] = []
        if self._agrees(rtol):
            return
        outputs, size = problem.record(), problem.values().size
        self._row = rng.standard_normal(size) if size > 1 else np.ones(size)
        self._gradients = problem.gradients(outputs, self._row)
        pairs = zip(self._leaves, self._gradients, strict=True)
        suspect = [[*self._not_excused(x, g)] for x, g in pairs]
        if any(suspect):
            found = compare(problem, rng, rtol, whole=False)
            self.reports = [
                replace(r, wrong=tuple(e for e in r.wrong if e.index in at))
                for r, at in zip(found, suspect, strict=True)
            ]

    def _agrees(self, rtol: float) -> bool:
        """Whether all is right along one direction, and differences are sure of it."""
        outputs, y = self.problem.record(), self.problem.values()
        alone = y.size <= 32  # else of one random sum of them
        rows = np.eye(y.size) if alone else self.rng.standard_normal((1, y.size))
        jacobian = np.array(
            [
                np.concatenate([*map(np.ravel, self.problem.gradients(outputs, row))])
                for row in rows
            ]
        ).reshape(len(rows), -1)
        steps = np.concatenate([steps_of(x).ravel() for x in self._leaves])
        direction = steps * self.rng.uniform(0.5, 1.0, steps.size)
        direction *= self.rng.choice([-1.0, 1.0], steps.size)
        noise = np.abs(jacobian) @ np.abs(self._start) + np.abs(rows) @ np.abs(y)
        noise *= float(np.finfo(np.float64).eps)
        if not alone:
            noise /= np.sum(np.abs(rows))
        values, joint = self._jointly()
        found = derivative_along(values, joint, direction, noise)
        values()
        numeric, doubt = found.value, found.doubt
        if not alone:
            numeric = rows @ found.value
            doubt, y = np.abs(rows) @ found.doubt, np.abs(rows) @ np.abs(y)
        size = np.abs(jacobian) @ np.abs(direction)
        sure = doubt <= 1e-3 * size + 1e-9 * np.abs(y)
        off = np.abs(jacobian @ direction - numeric)
        return bool(np.all(sure & (off <= rtol * size + doubt)))

    def _not_excused(self, x: np.ndarray, gradient: Any) -> Iterator[tuple[int, ...]]:
        """Yield the entries at which a gradient is no slope, and should be one."""
        steps, direction = steps_of(x), np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            direction[index] = steps[index]
            sides = one_sided(self.problem.values, x, direction)
            direction[index] = 0
            low, high, doubt = self._slopes(sides)
            kink, g = _breaks(sides) or high - low > doubt, float(gradient[index])
            self.excused = self.excused or kink
            if _breaks(sides) or low - doubt <= g * steps[index] <= high + doubt:
                continue
            if kink and not np.isfinite(g):
                continue  # none is to be had, and the rule says so
            size = abs(float(x[index]))
            if size not in self._smooth:
                self._smooth[size] = self._is_smooth(np.abs(self._start) == size)
            self.excused = self.excused or not self._smooth[size]
            if self._smooth[size]:
                yield index

    def _slopes(self, sides: Sides) -> tuple[float, float, float]:
        """Return the least and the largest slope that may be meant, and the doubt."""
        both = self._row * np.array([sides.left, sides.right])
        # As of |x|^1.5 at 0, slopes may go on shrinking by more than the last time.
        doubt = 4 * np.sum(np.abs(self._row) * sides.doubt)
        doubt += 1e-6 * np.max(np.sum(np.abs(both), axis=1))
        return float(np.sum(both.min(0))), float(np.sum(both.max(0))), float(doubt)

    def _is_smooth(self, tied: np.ndarray) -> bool:
        """Whether the slope along a direction is the sum of those by each number."""
        direction = np.where(tied, self.rng.uniform(0.5, 1.5, tied.size), 0.0)
        each = np.diag(direction)[tied]
        sides = [self._along(v) for v in (direction, *each)]
        slopes = np.array([s.left + s.right for s in sides]) / 2 @ self._row
        doubts = np.array([s.doubt for s in sides]) @ np.abs(self._row)
        off = abs(slopes[0] - np.sum(slopes[1:]))
        return bool(off <= np.sum(doubts) + 1e-6 * np.sum(np.abs(slopes)))

    def _along(self, direction: np.ndarray) -> Sides:
        """Differentiate as all leaves move along one direction."""
        values, joint = self._jointly()
        sides = one_sided(values, joint, direction)
        values()  # puts them back
        return sides

    def _jointly(self) -> tuple[Callable[[], np.ndarray], np.ndarray]:
        """Return what computes the outputs from all leaves in one array, and that."""
        joint, cuts = self._start.copy(), np.cumsum([x.size for x in self._leaves])[:-1]

        def values() -> np.ndarray:
            for x, part in zip(self._leaves, np.split(joint, cuts), strict=True):
                x[...] = part.reshape(x.shape)
            return self.problem.values()

        return values, joint

    def unshared(self) -> Iterator[tuple[float, float, float]]:
        """Look where something was excused whether equal numbers share rightly.

        A maximum has no derivative by one of two equal numbers; but as both grow, it
        has: so what each gets has to add up.

        Yields
        ------
        number, analytic, numeric : float
            The equal numbers; the slope as all grow by the gradients, by differences.
        """
        if not self.excused:
            return
        gradient = np.concatenate([*map(np.ravel, self._gradients)])
        for number in np.unique(self._start):
            equal = self._start == number
            sides = self._along(equal.astype(float))
            low, high, doubt = self._slopes(sides)
            if _breaks(sides) or high - low > doubt:
                continue
            analytic = float(np.sum(gradient[equal]))
            doubt += 1e-6 * float(np.sum(np.abs(gradient[equal])))
            if not low - doubt <= analytic <= high + doubt:
                yield float(number), analytic, (low + high) / 2


def _breaks(sides: Sides) -> bool:
    known = np.isfinite(sides.left) & np.isfinite(sides.right)
    return not known.all() or bool(sides.jumps.any())
