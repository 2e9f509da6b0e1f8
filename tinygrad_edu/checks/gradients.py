"""check_gradient: a gradient written as a NumPy function, against differences."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.checks.causes import NO_RELATION, Cause, likely_cause
from tinygrad_edu.checks.comparison import InputReport, compare, resolved_by
from tinygrad_edu.checks.culprits import kink_of, sizes_of
from tinygrad_edu.checks.derivations import (
    ClaimReport,
    DerivationReport,
    check_derivation,
    partly,
)
from tinygrad_edu.checks.differences import steps_of
from tinygrad_edu.checks.problems import Problem
from tinygrad_edu.engine.core import tensor
from tinygrad_edu.engine.names import argument_names
from tinygrad_edu.engine.operands import real
from tinygrad_edu.randomness import RandomSource, generator

__all__ = ["check_gradient"]

_SHOWN = 5


def check_gradient(
    f: Callable[[Any], Any],
    grad: Callable[[Any], Any],
    x: Any,
    *,
    rtol: float = 1e-6,
    rng: RandomSource = 0,
) -> DerivationReport:
    """Check a gradient written as a function of arrays, and say where it is wrong.

    Parameters
    ----------
    f : callable
        Takes an array like ``x``, returns a number, or an array of them. Plain NumPy or
        whatever else computes; no Tensor needs to be in sight.
    grad : callable
        Takes such an array, too, and returns the derivatives by each entry, of the
        shape of ``x``; of an ``f`` that returns an array the Jacobian, of the shape of
        that followed by the shape of ``x``.
    x : array_like, of any shape
        Where to check.
    rtol : float, default 1e-6
        Relative error that is allowed beyond what the differences leave in doubt,
        dimensionless.
    rng : int, Generator, RandomState or None, default 0
        Draws directions and projections.

    Returns
    -------
    DerivationReport
        ``.correct``, ``.causes`` and a text that names the entries, the row if all of
        them stand in one, and the likely cause, as of
        :func:`tinygrad_edu.check_derivation`. With the cause ``resolution`` differences
        cannot tell.

    Raises
    ------
    TypeError
        If ``x`` or what the functions return is no array of real numbers, or is masked.
    ValueError
        If ``x`` or ``f(x)`` is nan or infinite, or if ``f`` gives different numbers for
        the same ``x``.

    Notes
    -----
    f'(x) ≈ (f(x + h) - f(x - h)) / 2h judges, as in :func:`tinygrad_edu.gradcheck`:
    each entry of up to 1,000, for four calls of ``f``, else random directions. Only for
    the cause, ``f`` is tried on a Tensor, too: where that differentiates it as the
    differences do, slips on the way are found as well.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> X, y = np.arange(6.0).reshape(3, 2), np.ones(3)
    >>> def loss(w):
    ...     return np.mean((X @ w - y) ** 2)
    >>> def slope(w):
    ...     return 2 * X.T @ (X @ w - y)
    >>> report = te.check_gradient(loss, slope, np.ones(2))
    >>> report.correct, report.causes
    (False, ('missing-mean',))
    """
    x = np.array(real(x, "check_gradient: x"), np.float64)
    name = argument_names(f, 1)[0]
    if not np.all(np.isfinite(x)):
        raise ValueError(f"check_gradient: {name} holds nan or infinity")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        problem = _Written(f, x, name)
        claim = real(grad(x.copy()), "check_gradient: the gradient").astype(np.float64)
        shape = problem.shape + x.shape
        if claim.shape == shape and np.all(np.isfinite(claim)):
            problem.claim = claim.reshape(-1, *x.shape)
            (report,) = compare(problem, generator(rng), rtol)
        else:
            report = None
        verdict = _verdict(f, name, x, claim, problem, report, rtol)
    return DerivationReport((verdict,))


class _Written(Problem):
    """A function of one array, and a gradient of it that is claimed."""

    def __init__(self, f: Callable[[Any], Any], x: np.ndarray, name: str) -> None:
        leaf = tensor(x, requires_grad=True)
        at = leaf.data

        def evaluate() -> list[np.ndarray]:
            y = real(f(at.copy()), "check_gradient: what f returns")
            return [y.astype(np.float64)]

        super().__init__(evaluate, [leaf], [name], evaluate)
        (first,), (again,) = evaluate(), evaluate()
        if not np.array_equal(first, again, equal_nan=True):
            raise ValueError(
                "check_gradient: f is random: two calls with the same array differ, so "
                "differences mean nothing. Seed a generator inside f"
            )
        if not np.all(np.isfinite(first)):
            raise ValueError("check_gradient: f gives nan or infinity at this array")
        self.shape: tuple[int, ...] = () if first.size == 1 else first.shape
        self.first = np.abs(first.ravel())
        self.claim: Any = None
        self.noise = self._noise(at)

    def gradients(self, outputs: Any, weights: np.ndarray) -> list[Any]:
        """Return what the claim makes of it."""
        return [np.tensordot(weights, self.claim, 1)]

    def rounding(self, outputs: Any, weights: np.ndarray) -> tuple[float, float]:
        """Return by how much Σ weights · outputs may be off."""
        size = np.abs(weights)
        least = float(np.finfo(np.float64).eps) * float(np.sum(size * self.first))
        return float(np.sum(size * self.noise)), least

    def _noise(self, at: np.ndarray) -> np.ndarray:
        """Return the rounding of each output, as seen from steps of a few units.

        A smooth function is straight there, and its third differences are 0.
        """
        start, steps = at.copy(), steps_of(at) * 2.0**-44
        values = []
        try:
            for k in range(8):
                at[...] = start + k * steps
                values.append(self.values())
        finally:
            at[...] = start
        bend = np.max(np.abs(np.diff(values, 3, axis=0)), axis=0)
        found: np.ndarray = np.where(np.isfinite(bend), bend, 0.0)
        return found


def _verdict(
    f: Callable[[Any], Any],
    name: str,
    x: np.ndarray,
    claim: np.ndarray,
    problem: _Written,
    report: InputReport | None,
    rtol: float,
) -> ClaimReport:
    shape = problem.shape + x.shape
    if report is None:
        return _unfit(name, claim, problem, shape, rtol)
    title = f"{name} {x.shape}"
    if not report.wrong:
        if not report.resolved:
            text = f"{title}: cannot be checked: {resolved_by(report)}"
            return ClaimReport(name, False, "resolution", text, claim, None)
        text = f"{title}: right ({report.method})"
        return ClaimReport(name, True, "", text, claim, None)
    lines = [f"{title}: wrong {_where(report, problem.shape, shape)}"]
    lines.append(f"{'index':>14} {'claimed':>16} {'differences':>16}")
    for e in report.wrong[:_SHOWN]:
        index = str(list(_place(e, problem.shape)))
        lines.append(f"{index:>14} {e.analytic:16.9g} {e.numeric:16.9g}")
    if len(report.wrong) > _SHOWN:
        lines.append(f"{'...':>14} and {len(report.wrong) - _SHOWN:,} more")
    cause = _cause(f, name, x, claim, problem, report, rtol)
    lines.append(f"likely cause: {cause.text}")
    right = report.numeric if not problem.shape else None
    return ClaimReport(name, False, cause.name, "\n".join(lines), claim, right)


def _place(entry: Any, outputs: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of an entry in the gradient or Jacobian."""
    if entry.output is None or not outputs:
        return tuple(entry.index)
    return (*map(int, np.unravel_index(entry.output, outputs)), *entry.index)


def _where(
    report: InputReport, outputs: tuple[int, ...], shape: tuple[int, ...]
) -> str:
    """Say how many entries are wrong, and in which row or column all of them are."""
    count = len(report.wrong)
    if count > report.compared or report.compared < math.prod(shape):
        return f"({report.method})"  # along directions, or a projection
    text = f"in {count:,} of {report.compared:,} entries"
    places = np.array([_place(e, outputs) for e in report.wrong])
    for axis, what in enumerate(("row", "column")):
        if len(shape) == 2 and shape[1 - axis] > 1 and count > 1:
            lines = np.unique(places[:, axis])
            if len(lines) == 1:
                text += f", all in {what} {int(lines[0])}"
    return text


def _unfit(
    name: str,
    claim: np.ndarray,
    problem: _Written,
    shape: tuple[int, ...],
    rtol: float,
) -> ClaimReport:
    """Report a claim of another shape, or one that holds nan."""
    if claim.shape == shape:
        count = int(np.sum(~np.isfinite(claim)))
        where = list(map(int, np.argwhere(~np.isfinite(claim))[0]))
        text = f"{count:,} of {claim.size:,} entries are nan or infinite, as at {where}"
        return ClaimReport(name, False, "nan", f"{name}: wrong: {text}", claim, None)
    problem.claim = np.zeros((math.prod(problem.shape), *problem.leaves[0].shape))
    cause = NO_RELATION
    if not problem.shape and problem.leaves[0].size <= 1000:
        (report,) = compare(problem, np.random.default_rng(0), rtol)
        cause = likely_cause(
            claim, report.numeric, said=("the claim", "the gradient by differences")
        )
    if cause == NO_RELATION or cause.name == "detached":
        cause = Cause("shape", f"the claim has shape {claim.shape}, not {shape}")
    text = (
        f"{name} {problem.leaves[0].shape}: wrong: the claim has shape {claim.shape}, "
        f"a gradient here has shape {shape}\nlikely cause: {cause.text}"
    )
    return ClaimReport(name, False, cause.name, text, claim, None)


def _cause(
    f: Callable[[Any], Any],
    name: str,
    x: np.ndarray,
    claim: np.ndarray,
    problem: _Written,
    report: InputReport,
    rtol: float,
) -> Cause:
    kink = kink_of(problem, problem.leaves[0], report.wrong)
    if kink is not None:
        return kink
    if report.analytic is None:
        return NO_RELATION
    said = ("the claim", "the gradient")
    sizes, lengths = sizes_of([(name, x.shape)], [], [x.shape])
    mine, right = report.analytic, report.numeric
    if report.compared == claim.size:  # all entries, each by itself
        mine, right = claim, claim.copy()
        for e in report.wrong:
            right[_place(e, problem.shape)] = e.numeric
    found = likely_cause(mine, right, sizes=sizes, lengths=lengths, said=said)
    if found == NO_RELATION:
        found = partly(mine, right, mine == right) or found
    if problem.shape:
        return found
    return _by_the_graph(f, name, x, claim, report, rtol) or found


def _by_the_graph(
    f: Callable[[Any], Any],
    name: str,
    x: np.ndarray,
    claim: np.ndarray,
    report: InputReport,
    rtol: float,
) -> Cause | None:
    """Return the cause that the graph of ``f`` tells, if it has one and is right."""
    by_graph = check_derivation(f, [x], [claim], rtol=rtol).claims[0]
    known = ~np.isnan(report.numeric)
    if by_graph.cause in ("error", "nan", "unknown", "") or by_graph.autodiff is None:
        return None
    scale = np.max(np.abs(report.numeric), initial=0.0, where=known)
    off = np.abs(by_graph.autodiff - report.numeric)
    if not np.all(off[known] <= 1e-5 * scale):
        return None
    line = next(s for s in by_graph.text.splitlines() if s.startswith("likely cause"))
    return Cause(by_graph.cause, line.removeprefix("likely cause: "))
