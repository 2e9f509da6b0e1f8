"""Options that are numbers, and what is said of those that are not."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

__all__ = ["count", "number"]


def number(
    who: str, name: str, value: Any, *, below: float = math.inf, positive: bool = False
) -> float:
    """Return an option as a float, if it lies in 0 <= value < ``below``.

    Examples
    --------
    >>> number("SGD", "momentum", 1, below=1)
    Traceback (most recent call last):
    ValueError: SGD: momentum must lie in 0 <= momentum < 1, got 1
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{who}: {name} must be a number, got {value!r}")
    real = float(value)
    if positive and not 0 < real < below:
        raise ValueError(f"{who}: {name} must be positive, got {value}")
    if not 0 <= real < below:
        raise ValueError(
            f"{who}: {name} must lie in 0 <= {name} < {below:g}, got {value}"
        )
    return real


def count(who: str, name: str, value: Any) -> int:
    """Return an option as an int, if it is a positive one.

    Examples
    --------
    >>> count("StepDecay", "step_size", 0)
    Traceback (most recent call last):
    ValueError: StepDecay: step_size must be a positive integer, got 0
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{who}: {name} must be an integer, got {value!r}")
    integer = int(value)
    if integer < 1:
        raise ValueError(f"{who}: {name} must be a positive integer, got {value}")
    return integer
