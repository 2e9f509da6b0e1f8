"""Numbers to compare with: finite differences, and a comparison that tells all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def finite_differences(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    weights: Any,
    position: int,
    step: float = 2e-4,
) -> np.ndarray:
    """Return the derivative of Σ f(*inputs) · weights by ``inputs[position]``.

    ``f`` returns an array, or several in a sequence, and then so are the weights. Two
    central differences, of which Richardson's extrapolation takes out the h² term.
    """
    x = np.array(inputs[position], np.float64)

    def at(index: tuple[int, ...], h: float) -> float:
        moved = x.copy()
        moved[index] += h
        value = f(*inputs[:position], moved, *inputs[position + 1 :])
        if not isinstance(value, tuple | list):
            return float(np.sum(value * weights))
        return sum(float(np.sum(v * w)) for v, w in zip(value, weights, strict=True))

    result = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        coarse, fine = (
            (at(index, h) - at(index, -h)) / (2 * h) for h in (step, step / 2)
        )
        result[index] = (4 * fine - coarse) / 3
    return result


def assert_near(actual: Any, expected: Any, tolerance: float, what: str) -> None:
    """Assert shapes, and numbers to ``tolerance`` times the largest (or 1)."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: {actual.shape} {expected.shape}"
    if expected.size == 0:
        return
    error = np.abs(actual - expected) / np.max(np.abs(expected), initial=1.0)
    worst = tuple(map(int, np.unravel_index(np.argmax(error), error.shape)))
    assert np.all(error <= tolerance), (
        f"{what}: off by {error[worst]:.3g} (tolerance {tolerance:g}) at {worst}: "
        f"{actual[worst]!r}, expected {expected[worst]!r}\n{actual}\n{expected}"
    )
