"""check_derivation: gradients derived by hand against the graph and differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import plots
from tinygrad_edu.checks.causes import Cause, likely_cause
from tinygrad_edu.checks.comparison import compare
from tinygrad_edu.checks.culprits import nodes_of, sizes_of
from tinygrad_edu.checks.differences import derivative_along, steps_of
from tinygrad_edu.checks.functions import argument_names, outputs_of
from tinygrad_edu.checks.problems import Problem
from tinygrad_edu.core import Tensor, gradients, tensor
from tinygrad_edu.randomness import Random, RandomSource, generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClaimReport", "DerivationReport", "check_derivation"]

_SHOWN = 5
_VARIANTS = 300  # pairs of tensors between which a derivative may have been forgotten
_RIGHT = Cause("", "")


@dataclass(frozen=True)
class ClaimReport:
    """The verdict on one claimed gradient.

    Attributes
    ----------
    name : str
    correct : bool
    cause : str
        Short name of the likely cause; empty if correct.
    text : str
        The verdict, with the worst entries as claimed, by the graph, by differences.
    claimed, autodiff : ndarray or None
    """

    name: str
    correct: bool
    cause: str
    text: str
    claimed: Any = field(default=None, repr=False)
    autodiff: Any = field(default=None, repr=False)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw where the claim is off: claimed minus right, entry by entry."""
        return plots.gradient_error(
            self.claimed,
            self.autodiff,
            ax=ax,
            title=f"error of the claimed {self.name}",
        )


@dataclass(frozen=True)
class DerivationReport:
    """What :func:`check_derivation` found.

    Attributes
    ----------
    claims : tuple of ClaimReport
    axes : tuple of Axes
        The heat maps, with ``plot=True``.
    """

    claims: tuple[ClaimReport, ...]
    axes: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def correct(self) -> bool:
        """Whether every claim is right."""
        return all(claim.correct for claim in self.claims)

    @property
    def causes(self) -> tuple[str, ...]:
        """Short names of the likely causes, each once."""
        return tuple(dict.fromkeys(c.cause for c in self.claims if not c.correct))

    @property
    def text(self) -> str:
        """The verdicts, one after the other."""
        return "\n".join(claim.text for claim in self.claims)

    def __str__(self) -> str:
        return self.text


def check_derivation(
    f: Callable[..., Any],
    inputs: Any,
    claimed: Any,
    *,
    rtol: float = 1e-6,
    plot: bool = False,
    rng: RandomSource = 0,
) -> DerivationReport:
    """Check gradients that were derived by hand, and say what is wrong with them.

    Parameters
    ----------
    f : callable
        The function as code: takes Tensors, returns a single number as a Tensor.
    inputs : mapping of str to array_like, sequence of array_like, or array_like
        Where to check; handed to ``f`` in this order.
    claimed : mapping, sequence, array_like or callable
        The gradients by the inputs, in the same form; those of a mapping may be some
        of the inputs', None stands for an input without claim. A function is called
        with the inputs as arrays and returns all this.
    rtol : float, default 1e-6
        Relative error that a claim may have, dimensionless; 1e-4 for claims in float32.
    plot : bool, default False
        Draw a heat map of the error of each wrong claim.
    rng : int, Generator, RandomState or None, default 0
        Draws directions.

    Returns
    -------
    DerivationReport
        ``.correct``, ``.causes`` and a readable text. It never raises: what goes wrong
        is in the report, with the cause "error".

    Notes
    -----
    Causes: ``factor``, ``sign``, ``transpose``, ``shape``, ``missing-sum``,
    ``missing-mean``, ``wrong-axis``, ``missing-derivative``, ``extra-factor``,
    ``detached``, ``kink``, ``nan``, ``error`` and ``unknown``. A claim is judged by the
    gradient from the graph, after this has been compared with finite differences.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> x, y = np.arange(6.0).reshape(3, 2), np.ones(3)
    >>> loss = lambda w: te.mean((x @ w - y) ** 2)
    >>> report = te.check_derivation(
    ...     loss, {"w": np.ones(2)}, lambda w: {"w": 2 * x.T @ (x @ w - y)}
    ... )
    >>> report.correct, report.causes
    (False, ('missing-mean',))
    """
    try:
        return _checked(f, inputs, claimed, rtol, plot, generator(rng))
    except Exception as error:  # a report, whatever a claim does
        text = f"the check could not be done: {type(error).__name__}: {error}"
        return DerivationReport((ClaimReport("", False, "error", text),))


def _checked(
    f: Callable[..., Any],
    inputs: Any,
    claimed: Any,
    rtol: float,
    plot: bool,
    rng: Random,
) -> DerivationReport:
    given = _by_name(inputs, lambda n: argument_names(f, n), "inputs")
    if callable(claimed):
        claimed = claimed(*(_array(x) for x in given.values()))
    claims = _by_name(claimed, lambda n: list(given)[:n], "claimed")
    unknown = [name for name in claims if name not in given]
    if unknown or len(claims) > len(given):
        raise ValueError(
            f"claimed holds {', '.join(unknown) or 'more arrays than inputs'}; the "
            f"inputs are {', '.join(given)}"
        )
    claims = {name: x for name, x in claims.items() if x is not None}
    if not claims:
        raise ValueError("claimed holds no gradient")
    args = {
        name: tensor(_array(x), requires_grad=True, dtype=np.float64, name=name)
        if np.asarray(_array(x)).dtype.kind == "f"
        else x
        for name, x in given.items()
    }
    leaves = {name: args[name] for name in claims}
    for name, x in leaves.items():
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name} holds integers: it has no gradient. Write 3.0 for 3"
            )

    def record() -> list[Tensor]:
        return outputs_of(f(*args.values()), "check_derivation")

    problem = Problem(record, list(leaves.values()), list(leaves))
    outputs = record()
    if len(outputs) > 1 or outputs[0].size != 1:
        raise ValueError(
            f"f must return a single number, got shape {outputs[0].shape}; sum it, or "
            "take the mean"
        )
    with np.errstate(all="ignore"):
        checked = compare(problem, rng, rtol)
        right = problem.gradients(outputs, np.ones(1))
        reports = []
        for i, (name, claim) in enumerate(claims.items()):
            doubtful = bool(checked[i].wrong)
            reports.append(
                _verdict(name, claim, right[i], problem, i, outputs[0], doubtful, rtol)
            )
    axes = (
        tuple(r.plot() for r in reports if not r.correct and _can_plot(r))
        if plot
        else ()
    )
    return DerivationReport(tuple(reports), axes)


def _can_plot(report: ClaimReport) -> bool:
    return bool(np.shape(report.claimed) == np.shape(report.autodiff))


def _by_name(
    what: Any, names: Callable[[int], Sequence[str]], who: str
) -> dict[str, Any]:
    """Return arrays by name, from whatever form they were given in."""
    if isinstance(what, Mapping):
        return dict(what)
    if isinstance(what, Tensor | np.ndarray) or not isinstance(what, Sequence):
        what = [what]
    elif what and all(isinstance(x, int | float) for x in what):
        what = [np.array(what, float)]  # one gradient, written as a list of numbers
    found = list(names(len(what)))
    if len(found) < len(what):
        raise ValueError(f"{who} holds {len(what)} arrays, more than there are inputs")
    return dict(zip(found, what, strict=True))


def _array(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else np.asarray(x)


def _verdict(
    name: str,
    claim: Any,
    right: np.ndarray,
    problem: Problem,
    position: int,
    output: Tensor,
    doubtful: bool,
    rtol: float,
) -> ClaimReport:
    try:
        claim = _array(claim)
        rtol = max(rtol, 1e-4) if claim.dtype == np.float32 else rtol
        claim = np.asarray(claim, np.float64)
    except (TypeError, ValueError):
        text = f"{name}: wrong. The claim is no array of numbers"
        return ClaimReport(name, False, "error", text)
    if claim.shape == right.shape:
        scale = float(np.max(np.abs(right), initial=0.0))
        close = np.abs(claim - right) <= rtol * np.abs(right) + 1e-3 * rtol * scale
    else:
        close = np.zeros(right.shape, bool)
    numeric = _some_differences(problem, position, claim, right, close)
    if close.all():
        text = f"{name} {right.shape}: right ({right.size:,} entries)"
        if doubtful:
            text += (
                "; but the gradient from the graph and finite differences disagree "
                "(see te.gradcheck), as they do where there is no derivative"
            )
        return ClaimReport(name, True, "", text, claim, right)
    cause = _cause(claim, right, problem, position, output)
    lines = [f"{name} {right.shape}: wrong{_where(claim, right, close)}"]
    if numeric:
        lines.append(
            f"{'index':>14} {'claimed':>16} {'autodiff':>16} {'differences':>16}"
        )
    for index, n in numeric.items():
        mine = f"{claim[index]:16.9g}" if claim.shape == right.shape else f"{'':>16}"
        lines.append(f"{list(index)!s:>14} {mine} {right[index]:16.9g} {n:16.9g}")
    lines.append(f"likely cause: {cause.text}")
    if doubtful:
        lines.append(
            "Careful: the gradient from the graph disagrees with finite differences, "
            "too (see te.gradcheck)"
        )
    return ClaimReport(name, False, cause.name, "\n".join(lines), claim, right)


def _where(claim: np.ndarray, right: np.ndarray, close: np.ndarray) -> str:
    """Say where the wrong entries are."""
    if claim.shape != right.shape:
        return f": the claim has shape {claim.shape}"
    count = int(np.sum(~close))
    text = f" in {count:,} of {close.size:,} entries"
    places = np.argwhere(~close)
    for axis, n in enumerate(close.shape):
        lines = np.unique(places[:, axis])
        if n > 1 and len(lines) == 1 and count > 1:
            text += f", all at index {int(lines[0])} of axis {axis}"
    return text


def _some_differences(
    problem: Problem, position: int, claim: np.ndarray, right: np.ndarray, close: Any
) -> dict[tuple[int, ...], float]:
    """Differentiate by differences at the worst entries."""
    x = problem.leaves[position]
    if claim.shape == right.shape:
        error = np.where(close, -1.0, np.nan_to_num(np.abs(claim - right), nan=np.inf))
    else:
        error = np.abs(right)
    steps, found = steps_of(x.data), {}
    for flat in np.argsort(-error, axis=None, kind="stable")[:_SHOWN]:
        index = tuple(map(int, np.unravel_index(int(flat), right.shape)))
        if error[index] < 0:
            break
        direction = np.zeros(x.shape)
        direction[index] = steps[index]
        estimate = derivative_along(problem.values, x.data, direction)
        found[index] = float(estimate.value[0] / steps[index])
    return found


def _cause(
    claim: np.ndarray,
    right: np.ndarray,
    problem: Problem,
    position: int,
    output: Tensor,
) -> Cause:
    if not np.all(np.isfinite(claim)):
        count = int(np.sum(~np.isfinite(claim)))
        return Cause("nan", f"{count:,} entries of the claim are nan or infinite")
    x = problem.leaves[position]
    nodes = [
        node
        for node in nodes_of([output])
        if not isinstance(node.data, tuple) and node.requires_grad
    ]
    flowing = dict(zip(nodes, gradients(output, nodes), strict=True))
    sums_of = {f"dL/d({_called(t)})": g for t, g in flowing.items()}
    factors = {_called(t): t.data for t in (*nodes, *_constants(nodes))}
    sizes = sizes_of({_called(t): t.data for t in (*problem.leaves, *nodes)})
    return likely_cause(
        claim,
        right,
        factors=factors,
        sums_of=sums_of,
        variants=_forgotten(right, x, nodes, flowing),
        sizes=sizes,
        said=("the claim", "the gradient"),
    )


def _called(t: Tensor) -> str:
    if t.name:
        return t.name
    if t.op is None:
        return f"a constant {t.shape}"
    return f"{t.op.name} {t.shape}"


def _constants(nodes: Sequence[Tensor]) -> list[Tensor]:
    return [x for n in nodes for x in n.inputs if isinstance(x, Tensor) and not x.op]


def _forgotten(
    right: np.ndarray,
    x: Tensor,
    nodes: Sequence[Tensor],
    flowing: Mapping[Tensor, np.ndarray],
) -> list[tuple[Cause, np.ndarray]]:
    """Return the gradients that follow from forgetting a derivative on the way.

    Between an earlier tensor z and a later one a of the same shape, computed from it by
    elementwise operations alone, dL/da is handed on to z as it is.
    """
    found: list[tuple[Cause, np.ndarray]] = []
    for a in reversed(nodes):
        for z in _elementwise_behind(a):
            if len(found) >= _VARIANTS:
                return found
            true = gradients(a, [x], gradient=flowing[a])[0]
            if z is x:
                slip = flowing[a]
            elif z.requires_grad:
                slip = gradients(z, [x], gradient=flowing[a])[0]
            else:
                continue
            text = f"the derivative of {_called(a)} by {_called(z)} is missing"
            found.append((Cause("missing-derivative", text), right - true + slip))
    return found


def _elementwise_behind(a: Tensor) -> list[Tensor]:
    """Return the tensors of the same shape that ``a`` is elementwise computed from."""
    found: dict[Tensor, None] = {}
    todo = [a]
    while todo:
        node = todo.pop()
        if node.op is None or not node.op.elementwise:
            continue
        for z in node.inputs:
            if isinstance(z, Tensor) and z.requires_grad and z.shape == a.shape:
                if z not in found:
                    found[z] = None
                    todo.append(z)
    return list(found)
