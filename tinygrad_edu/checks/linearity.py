"""Is a gradient linear in what arrives from above? A rule that is not, is wrong."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checks.causes import Cause
from tinygrad_edu.checks.problems import Problem
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.traversal import nodes_of

__all__ = ["NOT_LINEAR", "Bent", "bent_by", "kept"]

NOT_LINEAR = Cause(
    "not-linear-in-g",
    "the gradient is not linear in g, which arrives from above: of c g it is not c "
    "times that of g (as with abs(g), a clip, a power of g)",
)

#: Powers of two, so that a linear rule gives the same digits.
_SCALES = (-1.0, 2.0**20, -(2.0**-20))


class Bent(NamedTuple):
    """A gradient for some g, what linearity makes of that for others, and where."""

    found: np.ndarray
    linear: np.ndarray
    bad: np.ndarray


def bent_by(problem: Problem, outputs: Sequence[Any]) -> list[Bent | None]:
    """Return for each leaf how its gradient is not linear in g, or None if it is.

    Parameters
    ----------
    problem : Problem
    outputs : sequence of Tensor
        As it recorded them.
    """
    nodes = [y for y in nodes_of(outputs) if not isinstance(y.data, tuple)]
    itemsize = min(y.dtype.itemsize for y in (*nodes, *problem.leaves))
    size = sum(y.size if isinstance(y, Tensor) else np.size(y) for y in outputs)
    rng = np.random.default_rng(0)  # others' numbers stay what they are without this
    g, part = rng.standard_normal((2, size))

    def by(weights: np.ndarray) -> list[Any]:
        return problem.gradients(outputs, weights)

    tiny = float(np.finfo(f"f{itemsize}").tiny)  # below it, few digits are left
    base, one, other = by(g), by(part), by(g - part)
    found: list[Bent | None] = [None for _ in problem.leaves]
    for c in _SCALES if itemsize > 2 else (-1.0,):  # float16 has no room for more
        for i, (b, scaled) in enumerate(zip(base, by(c * g), strict=True)):
            found[i] = found[i] or _compared(scaled, c * b, 1e-6 * np.abs(c * b) + tiny)
    # In a sum, other digits are rounded: those of its terms, and of what cancels there.
    noise = max(problem.rounding(outputs, w)[0] for w in (g, part, g - part))
    rtol = 1e-6 if itemsize > 4 else 1e-2
    for i, x in enumerate(problem.leaves):
        terms = np.abs(one[i]) + np.abs(other[i])
        reach = np.where(x.data == 0, np.max(np.abs(x.data), initial=0.0), x.data)
        bound = rtol * np.max(terms, initial=0.0) + tiny
        bound = bound + 64 * noise / np.maximum(np.abs(reach), 1e-300)
        found[i] = found[i] or _compared(base[i], one[i] + other[i], bound)
    return found


def _compared(found: Any, linear: Any, bound: Any) -> Bent | None:
    """Return the pair if it differs, where both are numbers."""
    known = np.isfinite(found) & np.isfinite(linear)
    floor = 1e-9 * np.max(np.abs(linear), initial=0.0, where=known)
    bad = known & (np.abs(found - linear) > bound + floor)
    return Bent(found, linear, bad) if bad.any() else None


def kept(call: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Whether a call keeps the array of this shape that it is handed."""
    g = np.ones(shape)
    call(g)  # what it returns may be g itself, and is forgotten here
    alive = weakref.ref(g)
    del g
    if alive() is not None:
        gc.collect()
    return alive() is not None
