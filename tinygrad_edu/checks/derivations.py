"""check_derivation: gradients derived by hand against the graph and differences."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import ops, plots
from tinygrad_edu.checks.causes import NO_RELATION, Cause, likely_cause
from tinygrad_edu.checks.comparison import Entry, compare
from tinygrad_edu.checks.culprits import kink_of, reduced_by, sizes_of
from tinygrad_edu.checks.differences import derivative_along, steps_of
from tinygrad_edu.checks.functions import outputs_of
from tinygrad_edu.checks.leaving import left_as_found
from tinygrad_edu.checks.problems import Problem
from tinygrad_edu.checks.slips import of_functions, of_labels
from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import Tensor, gradients, tensor
from tinygrad_edu.engine.names import argument_names
from tinygrad_edu.engine.observation import shares_of
from tinygrad_edu.engine.operands import is_masked, unmasked
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.engine.trees import flatten
from tinygrad_edu.randomness import Random, RandomSource, generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClaimReport", "DerivationReport", "check_derivation"]

_SHOWN = 5
_VARIANTS = 300  # slips that are tried,
_VISITS = 1_000_000  # and how many nodes may be walked for them
_NEAR = 30  # nodes that are looked at behind each
_SAID = ("the claim", "the gradient")


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
    """What :func:`tinygrad_edu.check_derivation` found.

    Attributes
    ----------
    claims : tuple of ClaimReport
    axes : tuple of Axes
        The heat maps, with ``plot=True``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> report = te.check_derivation(
    ...     lambda x: te.sum(x * x), {"x": np.ones(3)}, {"x": np.ones(3)}
    ... )
    >>> report.correct, report.causes
    (False, ('factor',))
    >>> print(report.text.splitlines()[0])
    x (3,): wrong in 3 of 3 entries
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
        Where to check; arrays of any shape. Handed to ``f`` by name, if these are the
        names of its parameters, else in this order. Each may be a tree of arrays, as
        for :func:`tinygrad_edu.grad`; for an ``f`` of one argument all may be.
    claimed : mapping, sequence, array_like or callable
        The gradients by the inputs, in the same form; those of a mapping may be some
        of the inputs', None stands for an array without claim. A function is called
        with the inputs as arrays, as ``f`` is, and returns all this.
    rtol : float, default 1e-6
        Relative error that a claim may have, dimensionless; 1e-4 for claims in float32.
    plot : bool, default False
        Draw a heat map of the error of each wrong claim of the right shape.
    rng : int, Generator, RandomState or None, default 0
        Draws directions.

    Returns
    -------
    DerivationReport
        ``.correct``, ``.causes`` and a readable text. What goes wrong is in the report,
        with the cause "error".

    Raises
    ------
    TypeError
        If an input or a claim is a masked array; nothing else is raised.

    Notes
    -----
    Causes: ``factor``, ``sign``, ``transpose``, ``shape``, ``missing-sum``,
    ``extra-sum``, ``missing-mean``, ``wrong-axis``, ``missing-derivative``,
    ``extra-factor``, ``wrong-derivative``, ``missing-term``, ``missing-cross-terms``,
    ``missing-labels``, ``detached``, ``kink``, ``nan``, ``error`` and ``unknown``.
    A claim is judged by the gradient from the graph, after this has been compared with
    finite differences. The text calls a tensor by its ``.name``, if ``f``
    gives it one.

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
    >>> report = te.check_derivation(
    ...     lambda p: te.sum(p["w"] ** 2), {"p": {"w": x}}, {"p": {"w": x}}
    ... )
    >>> print(report.text.splitlines()[0])
    p['w'] (3, 2): wrong in 5 of 6 entries
    """
    for what, x in [*_parts("inputs", inputs), *_parts("claimed", claimed)]:
        if is_masked(x):
            raise errors.masked(f"check_derivation: {what}")
    try:
        with (
            left_as_found(f, claimed),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore", RuntimeWarning)
            return _checked(f, inputs, claimed, rtol, plot, generator(rng))
    except Exception as error:  # a report, whatever a claim does
        text = f"the check could not be done: {_said(error)}"
        return DerivationReport((ClaimReport("", False, "error", text),))


def _parts(what: str, given: Any) -> list[tuple[str, Any]]:
    """Return each array of what is given, with what it is called."""
    given = dict(given) if isinstance(given, Mapping) else given
    try:
        arrays, form = flatten(given)
    except ValueError:  # it holds itself: the check says so
        return []
    return list(zip(form.paths(what), arrays, strict=True))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _checked(
    f: Callable[..., Any],
    inputs: Any,
    claimed: Any,
    rtol: float,
    plot: bool,
    rng: Random,
) -> DerivationReport:
    if not callable(f):
        raise TypeError(f"f must be a function of the inputs, got {type(f).__name__}")
    given = _inputs_of(f, inputs)
    if callable(claimed) and not isinstance(claimed, Tensor):
        arrays = {}
        for name, x in given.items():
            parts, form = flatten(x)
            arrays[name] = form.filled(_array(part).copy() for part in parts)
        claimed = _call_of(claimed, arrays, "the function of the claim")()
    claims = _by_path(_claims_of(claimed, given), given)
    args, held = dict[str, Any](), dict[str, Any]()
    for name, x in given.items():
        parts, form = flatten(x)
        paths = form.paths(str(name))
        own = [_leaf(path, part) for path, part in zip(paths, parts, strict=True)]
        args[name] = form.filled(own)
        held |= zip(paths, own, strict=True)
    leaves = {name: held[name] for name in claims}
    for name, x in leaves.items():
        kind = _array(x).dtype
        if kind.kind != "f":
            text = "pass real numbers"
            if kind.kind in "iub":
                array = isinstance(x, Tensor | np.ndarray) and x.ndim > 0
                text = f"pass {name}.astype(float)" if array else "write 3.0 for 3"
            raise TypeError(f"{name} holds {kind}, which has no gradient: {text}")

    call = _call_of(f, args, "f")

    def record() -> list[Tensor]:
        return outputs_of(call(), "check_derivation")

    outputs = record()
    if len(outputs) > 1 or outputs[0].size != 1:
        shapes = " and ".join(str(y.shape) for y in outputs)
        raise ValueError(
            f"f must return a single number, got shape {shapes}; sum it, or take the "
            "mean"
        )
    if not np.all(np.isfinite(outputs[0].data)):
        text = (
            f"the check could not be done: f gives {outputs[0].item()} at these inputs;"
            " check at others"
        )
        return DerivationReport((ClaimReport("", False, "nan", text),))
    problem = Problem(record, list(leaves.values()), list(leaves))
    checked = compare(problem, rng, rtol)
    right = problem.gradients(outputs, np.ones(1))
    reports = [
        _verdict(
            name, claim, right[i], problem, i, outputs[0], bool(checked[i].wrong), rtol
        )
        for i, (name, claim) in enumerate(claims.items())
    ]
    axes = tuple(r.plot() for r in reports if _can_plot(r)) if plot else ()
    return DerivationReport(tuple(reports), axes)


def _can_plot(report: ClaimReport) -> bool:
    if report.correct or report.claimed is None or not np.size(report.claimed):
        return False
    return bool(np.shape(report.claimed) == np.shape(report.autodiff))


# ----------------------------------------------------------- what is given and claimed


def _inputs_of(f: Callable[..., Any], inputs: Any) -> dict[str, Any]:
    """Return the inputs by name, from whatever form they were given in."""
    if _is_one_tree(f, inputs):
        return {argument_names(f, 1)[0]: inputs}
    if isinstance(inputs, Mapping):
        return dict(inputs)
    if not _is_several(inputs):
        inputs = [inputs]
    elif all(isinstance(x, int | float) for x in inputs):
        if len(_parameters(f)) != len(inputs):  # one vector, as a list of its numbers
            inputs = [np.array(inputs)]
    names = argument_names(f, len(inputs))
    return dict(zip(names, inputs, strict=True))


def _is_one_tree(f: Callable[..., Any], inputs: Any) -> bool:
    """Whether several arrays are the one argument that a function takes."""
    if not isinstance(inputs, Mapping) and not _is_several(inputs):
        return False
    if len(inputs) < 2 or set(_parameters(f)) == set(map(str, inputs)):
        return False
    arrays = inputs.values() if isinstance(inputs, Mapping) else inputs
    numbers = not isinstance(inputs, Mapping) and _shape(inputs) is not None
    if numbers and not any(isinstance(x, Tensor | np.ndarray) for x in arrays):
        return False
    return _takes(f, 1) and not _takes(f, len(inputs))


def _takes(f: Callable[..., Any], count: int) -> bool:
    """Whether a function may be called with so many arguments."""
    try:
        inspect.signature(f).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _claims_of(claimed: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims by name of the input, from whatever form they were given in."""
    if _is_whole(claimed, given):
        return dict.fromkeys(given, claimed)
    if isinstance(claimed, Mapping):
        unknown = [str(name) for name in claimed if name not in given]
        if unknown:
            raise ValueError(
                f"claimed holds {', '.join(unknown)}; the inputs are "
                f"{', '.join(map(str, given))}"
            )
        claims = dict(claimed)
    else:
        several = _is_several(claimed) and not _is_one_claim(claimed, given)
        parts = list(claimed) if several else [claimed]
        if len(parts) > len(given):
            raise ValueError(
                f"claimed holds {len(parts)} arrays; there are {len(given)} inputs: "
                f"{', '.join(map(str, given))}. Write np.array([...]) for one array"
            )
        claims = dict(zip(given, parts, strict=False))
    return {name: x for name, x in claims.items() if x is not None}


def _is_whole(claimed: Any, given: Mapping[str, Any]) -> bool:
    """Whether it is the claim for the only input there is, a tree."""
    if len(given) != 1:
        return False
    ((name, x),) = given.items()
    form = flatten(x)[1]
    if form.is_leaf:
        return False
    try:
        form.leaves_of(claimed, "", "")
    except ValueError:
        return isinstance(claimed, Mapping) and name not in claimed
    return True


def _by_path(claims: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims for each array in the inputs, by its path."""
    found: dict[str, Any] = {}
    for name, claim in claims.items():
        form = flatten(given[name])[1]
        if form.is_leaf:
            found[str(name)] = claim
            continue
        parts = form.leaves_of(claim, "claimed", str(name))
        found |= zip(form.paths(str(name)), parts, strict=True)
    found = {path: claim for path, claim in found.items() if claim is not None}
    for path, claim in found.items():
        if is_masked(claim):
            raise errors.masked(f"the claim for {path}")
    if not found:
        raise ValueError(
            "claimed holds no gradient. Pass an array for each input, or a mapping "
            f"with some of {', '.join(map(str, given))}"
        )
    return found


def _is_several(what: Any) -> bool:
    """Whether it is a sequence of arrays, not a single one."""
    return isinstance(what, Sequence) and not isinstance(what, str | bytes)


def _is_one_claim(claimed: Sequence[Any], given: Mapping[str, Any]) -> bool:
    """Whether a list is one array written out, not a list of arrays."""
    if len(given) > 1:
        return len(claimed) > len(given) and all(
            isinstance(x, int | float) for x in claimed
        )
    (x,) = given.values()
    if any(y is None or isinstance(y, Tensor | np.ndarray) for y in claimed):
        return False
    return len(claimed) != 1 or bool(_shape(claimed) == _array(x).shape)


def _shape(nested: Any) -> tuple[int, ...] | None:
    try:
        return tuple(np.shape(nested))
    except ValueError:  # ragged
        return None


def _parameters(f: Callable[..., Any]) -> list[str]:
    """Return the names that ``f`` gives to what it must be handed."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in kinds and p.default is p.empty]


def _call_of(
    f: Callable[..., Any], args: Mapping[str, Any], who: str
) -> Callable[[], Any]:
    """Return the call: by name if ``f`` has these names, else in the order given."""
    by_name = set(_parameters(f)) == set(args)

    def call() -> Any:
        try:
            return f(**args) if by_name else f(*args.values())
        except Exception as error:
            arrays = [_parts(str(name), x) for name, x in args.items()]
            handed = ", ".join(
                f"{n} {np.shape(x)}" for n, x in itertools.chain(*arrays)
            )
            raise RuntimeError(
                f"{who} stopped with {_said(error)}. It was handed {handed}"
            ) from error

    return call


def _array(x: Any) -> Any:
    return (
        x.data if isinstance(x, Tensor) else unmasked(x, "check_derivation: an array")
    )


def _leaf(name: str, x: Any) -> Any:
    """Return a leaf of our own for real numbers; else ``x`` itself."""
    array = _array(x)
    if array.dtype.kind != "f":
        return x
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} holds nan or infinity; check at finite inputs")
    return tensor(array, requires_grad=True, dtype=np.float64, name=str(name))


# ---------------------------------------------------------------------- the verdict


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
        if claim.dtype.kind not in "fiubO":
            raise TypeError(claim.dtype)
        claim = np.asarray(claim, np.float64)
    except (TypeError, ValueError):
        text = (
            f"{name} {right.shape}: wrong. The claim is no array of real numbers; pass "
            f"one of shape {right.shape}"
        )
        return ClaimReport(name, False, "error", text)
    if claim.shape == right.shape:
        close = _close(claim, right, problem.leaves[position], output, rtol)
    else:
        close = np.zeros(right.shape, bool)
    if claim.shape == right.shape and close.all():
        noun = "entry" if right.size == 1 else "entries"
        text = f"{name} {right.shape}: right ({right.size:,} {noun})"
        if doubtful:
            text += (
                "; but the gradient from the graph and finite differences disagree "
                "(see te.gradcheck), as they do where there is no derivative"
            )
        return ClaimReport(name, True, "", text, claim, right)
    places = _worst(claim, right, close)
    x = problem.leaves[position]
    numeric = [_difference(problem, x, index) for index in places]
    finite = np.all(np.isfinite(claim)) and np.all(np.isfinite(right))
    comparable = finite and claim.shape == right.shape
    cause = _kink(problem, x, places) if comparable else None
    if cause is None:
        cause = _cause(claim, right, close, problem, position, output)
    if cause == NO_RELATION and claim.shape != right.shape:
        text = f"a gradient has the shape of its input, {right.shape}"
        cause = Cause("shape", f"the claim has shape {claim.shape}; {text}")
    lines = [f"{name} {right.shape}: wrong{_where(claim, right, close)}"]
    lines.append(f"{'index':>14} {'claimed':>16} {'autodiff':>16} {'differences':>16}")
    for index, n in zip(places, numeric, strict=True):
        mine = f"{claim[index]:16.9g}" if claim.shape == right.shape else f"{'':>16}"
        lines.append(f"{list(index)!s:>14} {mine} {right[index]:16.9g} {n:16.9g}")
    lines.append(f"likely cause: {cause.text}")
    if doubtful and cause.name != "kink":
        lines.append(
            "Careful: the gradient from the graph disagrees with finite differences, "
            "too (see te.gradcheck)"
        )
    return ClaimReport(name, False, cause.name, "\n".join(lines), claim, right)


def _close(
    claim: np.ndarray, right: np.ndarray, x: Tensor, output: Tensor, rtol: float
) -> np.ndarray:
    """Return where a claim is as near as ``rtol`` and rounding ask for."""
    known = np.isfinite(claim) & np.isfinite(right)
    scale = float(np.max(np.abs(right), initial=0.0, where=known))
    size = float(np.max(np.abs(x.data), initial=0.0)) or 1.0
    # A gradient that cancels to 0 leaves the rounding of the terms behind.
    rounding = 8 * np.finfo(np.float64).eps * abs(output.item()) / size
    bound = rtol * np.abs(right) + 1e-3 * rtol * scale + rounding
    close: np.ndarray = known & (np.abs(claim - right) <= bound)
    return close


def _where(claim: np.ndarray, right: np.ndarray, close: np.ndarray) -> str:
    """Say where the wrong entries are."""
    if claim.shape != right.shape:
        return f": the claim has shape {claim.shape}"
    count = int(np.sum(~close))
    text = f" in {count:,} of {close.size:,} entries"
    if close.size == 1:
        text = ""
    places = np.argwhere(~close)
    for axis, n in enumerate(close.shape):
        lines = np.unique(places[:, axis])
        if n > 1 and len(lines) == 1 and count > 1:
            text += f", all at index {int(lines[0])} of axis {axis}"
    return text


def _worst(
    claim: np.ndarray, right: np.ndarray, close: np.ndarray
) -> list[tuple[int, ...]]:
    """Return where the claim is furthest off, or the gradient largest."""
    if claim.shape == right.shape:
        error = np.where(close, -1.0, np.nan_to_num(np.abs(claim - right), nan=np.inf))
    else:
        error = np.abs(right)
    order = np.argsort(-error, axis=None, kind="stable")[:_SHOWN]
    places = [tuple(map(int, np.unravel_index(int(i), right.shape))) for i in order]
    return [index for index in places if error[index] >= 0]


def _difference(problem: Problem, x: Tensor, index: tuple[int, ...]) -> float:
    """Differentiate by differences at one entry."""
    direction = np.zeros(x.shape)
    step = direction[index] = steps_of(x.data)[index]
    return float(derivative_along(problem.values, x.data, direction).value[0] / step)


def _kink(
    problem: Problem, x: Tensor, places: Sequence[tuple[int, ...]]
) -> Cause | None:
    """Return the cause if the claim is off only where there is no derivative."""
    found = None
    for place in places:
        here = kink_of(problem, x, [Entry(place, 0.0, 0.0, 0.0)])
        if here is None:
            return None
        found = found or here
    return found


# ------------------------------------------------------------------------- the cause


def _cause(
    claim: np.ndarray,
    right: np.ndarray,
    close: np.ndarray,
    problem: Problem,
    position: int,
    output: Tensor,
) -> Cause:
    if not np.all(np.isfinite(claim)):
        count = int(np.sum(~np.isfinite(claim)))
        some = f"{count:,} of {claim.size:,} entries of the claim are"
        text = "the claim is" if claim.size == 1 else some
        return Cause("nan", f"{text} nan or infinite")
    if not np.all(np.isfinite(right)):
        text = "the gradient itself is nan or infinite here; check at other inputs"
        return Cause("nan", text)
    nodes = [
        node
        for node in nodes_of([output])
        if not isinstance(node.data, tuple) and node.requires_grad
    ]
    sizes, lengths = sizes_of(
        [(_called(t), t.shape) for t in problem.leaves],
        [(_called(t), t.shape) for t in nodes],
        reduced_by(nodes),
    )
    simple = likely_cause(claim, right, sizes=sizes, lengths=lengths, said=_SAID)
    if simple.name == "detached" and claim.shape != right.shape:
        return NO_RELATION
    lone = simple.name == "factor" and right.size == 1
    lone = lone and not np.any(np.isclose(claim / right, [0.5, 2.0], 1e-7))
    if simple != NO_RELATION and not lone:
        return simple
    x = problem.leaves[position]
    flowing = dict(zip(nodes, gradients(output, nodes), strict=True))
    if lone:  # two numbers may have a short ratio by chance, so an exact slip is better
        for slip, array in _slips(right, x, nodes, flowing):
            if np.allclose(claim, array, 1e-9, 0.0):
                return slip
        return simple
    found = _summed_too_often(claim, right) or partly(claim, right, close)
    if found is not None:
        return found
    factors: dict[str, Any] = {}
    for t in (*nodes, *_constants(nodes)):
        factors[_called(t)] = array = _array(t)
        if array.ndim == 2:
            factors[f"{_called(t)}, transposed,"] = array.T
    found = _summed_elsewhere(claim, right, flowing)
    if found is not None:
        return found
    return likely_cause(
        claim,
        right,
        factors=factors,
        sums_of={f"dL/d({_called(t)})": g for t, g in flowing.items()},
        variants=_slips(right, x, nodes, flowing),
        said=_SAID,
    )


def _summed_too_often(claim: np.ndarray, right: np.ndarray) -> Cause | None:
    if claim.size >= right.size:
        return None
    for count in range(1, right.ndim + 1):
        for axes in itertools.combinations(range(right.ndim), count):
            total = right.sum(axis=axes)
            if total.size == claim.size and np.allclose(
                claim.ravel(), total.ravel(), 1e-6, 1e-9 * float(np.abs(right).max())
            ):
                over = ", ".join(map(str, axes))
                text = f"the claim is the sum of the gradient over axis {over}"
                return Cause("extra-sum", text)
    return None


def _summed_elsewhere(
    claim: np.ndarray, right: np.ndarray, flowing: Mapping[Tensor, np.ndarray]
) -> Cause | None:
    """Find a sum over another axis; it may well be 0, as that of a softmax's is."""

    def equal(total: np.ndarray, array: np.ndarray, scale: float) -> bool:
        if total.size != array.size:
            return False
        return np.allclose(total.ravel(), array.ravel(), 1e-6, 1e-9 * scale)

    for t, g in flowing.items():
        if not 2 <= g.ndim <= 4 or not np.any(g):
            continue
        scale = float(np.max(np.abs(g)))
        over = range(g.ndim)
        true = [axis for axis in over if equal(g.sum(axis=axis), right, scale)]
        false = [axis for axis in over if equal(g.sum(axis=axis), claim, scale)]
        if true and false and not set(true) & set(false):
            text = f"dL/d({_called(t)}) was summed over axis {false[0]} instead of"
            return Cause("wrong-axis", f"{text} {true[0]}")
    return None


def partly(claim: np.ndarray, right: np.ndarray, close: np.ndarray) -> Cause | None:
    """Find a factor that holds in the wrong entries, where others are right."""
    if claim.shape != right.shape or not np.any(close & (right != 0)):
        return None
    found = likely_cause(claim[~close], right[~close], said=_SAID)
    if found.name not in ("sign", "factor", "detached"):
        return None
    if found.name == "detached":
        return Cause("factor", "where it is wrong, the claim is 0")
    return Cause(found.name, f"where it is wrong, {found.text}")


def _called(t: Any) -> str:
    """Return what a tensor is called; of an array, what can be said."""
    if isinstance(t, Tensor) and t.name:
        return t.name
    if isinstance(t, Tensor) and t.op is not None:
        return f"{t.op.name} {t.shape}"
    return f"a constant {np.shape(t)}"


def _constants(nodes: Sequence[Tensor]) -> list[Any]:
    """Return what stands at the beginning: leaves, and arrays of real numbers."""
    return [
        x
        for node in nodes
        for x in node.inputs
        if (isinstance(x, Tensor) and x.op is None)
        or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
    ]


def _is_leaf(x: Any) -> bool:
    """Whether gradients are taken by it."""
    return isinstance(x, Tensor) and x.op is None and x.requires_grad


def _all_constants(nodes: Sequence[Tensor]) -> list[Any]:
    """Return all that is handed to operations, of any real numbers."""
    given = [x for node in nodes for x in (*node.inputs, *node.kwargs.values())]
    arrays = [
        x
        for x in given
        if (isinstance(x, Tensor) and x.op is None)
        or (isinstance(x, np.ndarray) and x.dtype.kind in "fiub")
    ]
    return list({id(x): x for x in arrays}.values())


# ------------------------------------------- what the gradient would be with a slip


def _slips(
    right: np.ndarray,
    x: Tensor,
    nodes: Sequence[Tensor],
    flowing: Mapping[Tensor, np.ndarray],
) -> list[tuple[Cause, np.ndarray]]:
    """Return the gradients by ``x`` that follow from slips on the way to it."""
    found: list[tuple[Cause, np.ndarray]] = []
    limit = min(_VARIANTS, _VISITS // max(len(nodes), 1))
    in_rules = (
        slip
        for a in reversed(nodes)
        for slip in (*_forgotten(a, flowing[a]), *_untransposed(a, flowing[a]))
    )
    in_sums = (slip for a in reversed(nodes) for slip in _of_a_term(a, flowing[a]))
    in_products = (slip for a in reversed(nodes) for slip in _of_a_part(a, flowing[a]))
    held = [_array(y) for y in _all_constants(nodes)]
    in_labels = (
        (z, g, wrong, cause)
        for z, g in ((x, right), *flowing.items())
        for wrong, cause in of_labels(_array(z), np.asarray(g), held, _called(z))
    )

    def back(z: Tensor, g: np.ndarray) -> np.ndarray:
        if z is x:
            return g
        return np.asarray(gradients(z, [x], gradient=g)[0])

    for slips in (in_sums, in_products, in_labels, in_rules):
        for z, part, wrong, cause in itertools.islice(slips, limit):
            if z is not x and not z.requires_grad:
                continue
            true, slip = back(z, part), back(z, wrong)
            if np.any(true) and (np.any(slip) or not np.any(wrong)):
                found.append((cause, right - true + slip))
    return found


_Slip = tuple[Tensor, np.ndarray, np.ndarray, Cause]


def _forgotten(a: Tensor, g: np.ndarray) -> Iterator[_Slip]:
    """Yield what is handed on to earlier tensors of the shape of ``a``.

    With the derivative forgotten dL/da is handed on as it is; or it is multiplied by
    the derivative twice.
    """
    for z in _same_shape_behind(a):
        part = gradients(a, [z], gradient=g)[0]
        what = f"the derivative of {_function(a, z)}"
        yield z, part, g, Cause("missing-derivative", f"{what} is missing")
        slope = gradients(a, [z], gradient=np.ones(a.shape))[0]
        text = f"{what} is there once too often"
        yield z, part, part * slope, Cause("extra-factor", text)
        names = _called(a), _called(z)
        for wrong, cause in of_functions(_array(a), _array(z), np.asarray(g), names):
            yield z, part, wrong, cause


def _same_shape_behind(a: Tensor) -> list[Tensor]:
    """Return the nearest tensors of the shape of ``a`` from which it is computed."""
    found: dict[Tensor, None] = {}
    todo, visits = deque([a]), 0
    while todo and visits < _NEAR:
        node, visits = todo.popleft(), visits + 1
        for z in node.inputs if node.op is not None else ():
            if isinstance(z, Tensor) and z.requires_grad and z not in found:
                if z.shape == a.shape:
                    found[z] = None
                    todo.append(z)
    return list(found)


def _function(a: Tensor, z: Tensor) -> str:
    """Say what ``a`` is as a function of ``z``."""
    known = [("sigmoid", ops.sigmoid(z.data)), ("tanh", np.tanh(z.data))]
    known += [("softmax", ops.softmax(z.data, axis=axis)) for axis in range(z.ndim)]
    for name, value in known:
        if a.op is not None and a.op.name != name and np.allclose(a.data, value):
            return f"the {name} ({_called(a)}) by {_called(z)}"
    return f"{_called(a)} by {_called(z)}"


def _of_a_term(a: Tensor, g: np.ndarray) -> Iterator[_Slip]:
    """Yield what a sum hands on to a term that is missing, or has a wrong factor."""
    if a.op is None or a.op.name not in ("add", "subtract"):
        return
    for z, part in shares_of(a, g):
        part, term = np.asarray(part), f"{_called(z)}{_of_inputs(z)}"
        for factor, name, text in _WRONG_TERM:
            cause = Cause(name, f"the term {term} {text} the sum {_called(a)}")
            yield z, part, factor * part, cause


def _of_a_part(a: Tensor, g: np.ndarray) -> Iterator[_Slip]:
    """Yield nothing for a factor of a product, where others depend on the same input.

    As in x sin x or xᵀ S x: each factor has its term in the gradient.
    """
    if a.op is None or a.op.name not in _PRODUCTS:
        return
    behind = [nodes_of([z]) for z in a.inputs if isinstance(z, Tensor)]
    leaves = [
        {id(x) for node in nodes for x in (node, *node.inputs) if _is_leaf(x)}
        | ({id(z)} if _is_leaf(z) else set())
        for z, nodes in zip(
            (z for z in a.inputs if isinstance(z, Tensor)), behind, strict=True
        )
    ]
    if len(leaves) < 2 or not leaves[0] & leaves[1]:
        return
    mixed = [n for nodes in behind for n in nodes] + [a]
    elementwise = all(n.op is None or n.op.elementwise for n in mixed)
    name = "missing-term" if elementwise else "missing-cross-terms"
    for z, part in shares_of(a, g):
        part = np.asarray(part)
        text = (
            f"the product {_called(a)} was differentiated as if {_called(z)} in it "
            "were a constant: the term of that factor is missing"
        )
        yield z, part, 0.0 * part, Cause(name, text)


_PRODUCTS = {"multiply", "divide", "matmul", "linear", "vecdot", "inner", "einsum"}


_WRONG_TERM = [
    (0.0, "missing-term", "is missing from"),
    (-1.0, "sign", "has the wrong sign in"),
    (2.0, "factor", "is taken twice in"),
    (0.5, "factor", "is taken by half in"),
]


def _of_inputs(z: Tensor) -> str:
    """Say from which inputs a tensor is computed, if it is none itself."""
    leaves = (
        x
        for node in nodes_of([z])
        for x in node.inputs
        if isinstance(x, Tensor) and x.op is None and x.requires_grad
    )
    names = dict.fromkeys(x.name for x in leaves if x.name)
    return f" of {', '.join(names)}" if names else ""


def _untransposed(a: Tensor, g: np.ndarray) -> Iterator[_Slip]:
    """Yield what a product hands on if a matrix is not transposed, where it fits."""
    if a.op is None or a.op.name not in ("matmul", "linear"):
        return
    first, second = a.inputs[:2]
    u, v = _array(first), _array(second)
    if not (1 <= u.ndim <= 2 and 1 <= v.ndim <= 2):
        return
    # A vector is a row on the left, and a column on the right; of linear, a row again.
    u = np.atleast_2d(u)
    v = v[:, None] if v.ndim == 1 and a.op.name == "matmul" else np.atleast_2d(v)
    g = g.reshape(len(u), -1)
    if a.op.name == "matmul":
        products = [(first, second, g, v.T), (second, first, u.T, g)]
    else:  # first @ second.T
        products = [(first, second, g, v), (second, first, g.T, u)]
    for z, other, left, right in products:
        part = left @ right
        if not isinstance(z, Tensor):
            continue
        text = (
            f"a transpose is missing, or too many, in the product with {_called(other)}"
        )
        for wrong in ((left, right.T), (left.T, right), (left.T, right.T)):
            if wrong[0].shape[1] == wrong[1].shape[0]:
                slip = wrong[0] @ wrong[1]
                if slip.shape == part.shape:
                    pair = part.reshape(z.shape), slip.reshape(z.shape)
                    yield z, *pair, Cause("transpose", text)
