"""What is wrong with a result at a glance: nan, saturated and dead, in numbers.

Drawings and explanations say it in the same words, so it is defined here, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.diagnosis.entries import parts
from tinygrad_edu.engine.core import Tensor

__all__ = [
    "REMEDIES",
    "SATURATING",
    "Finding",
    "findings_of",
    "is_rectifier",
    "warnings_of",
]

#: What helps against it.
REMEDIES = {
    "dead": "A relu that is 0 has the slope 0 and learns nothing. Smaller steps, "
    "another initialization or te.leaky_relu keep units alive.",
    "saturated": "Smaller inputs (scaled features, smaller initial weights) keep it "
    "where it is steep. At the output of a classifier it may just be certain.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in how many of how many."""

    what: str  # "NaN", "infinite", "saturated" or "dead"
    count: int
    total: int
    of: str  # "entries", "rows" or "units"

    def __str__(self) -> str:
        if self.what in ("NaN", "infinite"):
            return self.what
        return f"{self.what} {100 * self.count // self.total} %"


def warnings_of(x: Any) -> tuple[str, ...]:
    """Return words for what is wrong with a Tensor, an array or a number.

    "NaN" and "infinite", if any entry is; "saturated 93 %", the share of entries where
    the derivative is below 1 % of its largest; "dead 40 %", the share of units that are
    0 for every row of the batch. The last two from 10 % on.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([[1.0, -2.0], [3.0, -4.0]], requires_grad=True)
    >>> warnings_of(te.relu(x))
    ('dead 50 %',)
    """
    return tuple(map(str, findings_of(x)))


def findings_of(x: Any) -> tuple[Finding, ...]:
    """Return what is wrong, with the numbers."""
    results = [y for y in parts(x) if y.dtype.kind == "f"]
    size = sum(y.size for y in results)
    found: list[Finding] = []
    if not all(np.isfinite(y).all() for y in results):
        for what, test in (("NaN", np.isnan), ("infinite", np.isinf)):
            count = sum(int(np.count_nonzero(test(y))) for y in results)
            found += [Finding(what, count, size, "entries")] if count else []
    if isinstance(x, Tensor) and x.op is not None and results and size:
        found += [f for f in (_saturated(x), _dead(x)) if f and 10 * f.count >= f.total]
    return tuple(found)


#: The derivative by the largest that it can be, from the result and the metadata.
_STEEPNESS: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "softsign": lambda y: (1 - np.abs(y)) ** 2,
    "hard_tanh": lambda y, *, min_val, max_val: (y > min_val) & (y < max_val),
    "softmax": lambda y, *, axis: _steepness_of_rows(np.max(y, axis, keepdims=True)),
}

SATURATING = frozenset(_STEEPNESS)


def _steepness_of_rows(p: Any) -> Any:
    """Where the largest of the probabilities is nearly 1, all derivatives are small."""
    return np.where(p > 0.5, 4 * p * (1 - p), 1.0)


def _saturated(node: Any) -> Finding | None:
    steepness = _STEEPNESS.get(node.op.name)
    if steepness is None:
        return None
    with np.errstate(all="ignore"):  # nan and infinity have been told
        flat = np.asarray(steepness(node.data, **node.kwargs) < 0.01)
    of = "rows" if node.op.name == "softmax" else "entries"
    return Finding("saturated", int(np.count_nonzero(flat)), flat.size, of)


def _dead(node: Any) -> Finding | None:
    """Count the units of a rectifier that are 0 for every row.

    A unit is a position along the last axis, of (N, C, H, W) along axis 1. One row
    alone cannot tell which units are dead, unless all are 0.
    """
    if not is_rectifier(node):
        return None
    off = np.asarray(node.data == 0)
    if off.ndim < 2 or off.size == off.shape[axis := 1 if off.ndim == 4 else -1]:
        return Finding("dead", off.size, off.size, "entries") if off.all() else None
    units = np.moveaxis(off, axis, 0).reshape(off.shape[axis], -1).all(axis=1)
    return Finding("dead", int(np.count_nonzero(units)), units.size, "units")


def is_rectifier(node: Any) -> bool:
    """Whether it is relu, or np.maximum(x, 0)."""
    return node.op.name == "relu" or (
        node.op.name == "maximum"
        and any(not isinstance(x, Tensor) and not np.any(x) for x in node.inputs)
    )
