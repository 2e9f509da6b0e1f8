"""Faults that are planted in what a rule returns, or in the g that it is handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygrad_edu as te
from tinygrad_edu.engine.core import Tensor

__all__ = ["BENT", "DOUBLED", "OTHERWISE", "broken", "numbers"]


class Call(NamedTuple):
    """What a rule is called with, beside g: numbers and metadata, and the argument."""

    values: Sequence[Any]
    position: int
    named: dict[str, Any]

    @property
    def x(self) -> np.ndarray:
        """The argument whose rule it is."""
        return np.asarray(self.values[self.position])

    def others(self) -> list[np.ndarray]:
        """Return the other arguments of floating-point numbers."""
        rest = [v for i, v in enumerate(self.values) if i != self.position]
        arrays = [np.asarray(v) for v in rest if v is not None]
        return [v for v in arrays if v.dtype.kind == "f"]


def numbers(x: Any) -> Any:
    """Return the plain numbers of what may be a Tensor: constants to differentiate."""
    return x.detach().numpy() if isinstance(x, Tensor) else x


def each(f: Callable[[Any], Any], g: Any) -> Any:
    """Apply a function to g, or to each of those of an operation of several results."""
    return tuple(map(f, g)) if isinstance(g, tuple) else f(g)


# ------------------------------------------------------- faults in what a rule returns


def again(call: Call) -> np.ndarray:
    """Return where a number of x stands elsewhere, in x or in another argument."""
    found, count = np.unique(call.x, return_counts=True)
    often = np.isin(call.x, found[count > 1])
    return often | np.isin(call.x, np.concatenate([[], *map(np.ravel, call.others())]))


def entry(call: Call, which: int) -> np.ndarray:
    """Return True at one entry."""
    where = np.zeros(call.x.shape, bool)
    if where.size:
        where.flat[which] = True
    return where


#: Where the rule returns twice what it should.
DOUBLED: dict[str, Callable[[Call], Any]] = {
    "everywhere": lambda call: True,
    "below -1.5": lambda call: call.x < -1.5,
    "above 1.5": lambda call: call.x > 1.5,
    "above 3": lambda call: call.x > 3,
    "below -4": lambda call: call.x < -4,
    "at the largest number": lambda call: call.x == np.max(call.x, initial=-np.inf),
    "in the first entry": lambda call: entry(call, 0),
    "in the last entry": lambda call: entry(call, -1),
    "at 0": lambda call: call.x == 0,
    "at 1": lambda call: call.x == 1,
    "at -1": lambda call: call.x == -1,
    "at repeated numbers": again,
    "where another argument is below -1.5": lambda call: any(
        np.any(v < -1.5) for v in call.others()
    ),
    "where the arguments are equal": lambda call: any(
        np.shape(v) == call.x.shape and np.any(v == call.x) for v in call.others()
    ),
    "of a single number": lambda call: call.x.ndim == 0,
    "of three axes or more": lambda call: call.x.ndim > 2,
    "in float32": lambda call: call.x.dtype == np.float32,
}

Right = Callable[[Any], Any]


def reversed_axes(d: Any) -> Any:
    """Return the transpose, where it fits."""
    return np.transpose(d) if d.shape == d.shape[::-1] else np.reshape(d.T, d.shape)


#: From the right rule as a function of g.
OTHERWISE: dict[str, Callable[[Right, Any, Call], Any]] = {
    "0.1 % too large": lambda right, g, call: right(g) * 1.001,
    "of the wrong sign": lambda right, g, call: -right(g),
    "0 everywhere": lambda right, g, call: right(g) * 0.0,
    "transposed": lambda right, g, call: reversed_axes(np.asanyarray(right(g))),
    "in another order": lambda right, g, call: te.flip(right(g)),
    "of the neighbour's g": lambda right, g, call: right(
        each(lambda part: te.roll(part, 1), g)
    ),
    "of g with some signs turned": lambda right, g, call: right(
        each(
            lambda part: (
                part * np.sign(np.cos(np.arange(part.size))).reshape(part.shape)
            ),
            g,
        )
    ),
    "a constant, to differentiate": lambda right, g, call: numbers(right(g)),
    "half a constant": lambda right, g, call: (d := right(g)) * 0.5 + numbers(d) * 0.5,
    "a constant in g": lambda right, g, call: right(each(numbers, g)),
}


BENT: dict[str, Callable[[Any], Any]] = {
    "abs(g)": np.abs,
    "relu(g)": te.relu,
    "g²": lambda g: g * g,
    "sign(g)": np.sign,
    "clip(g)": lambda g: te.clip(g, -1.0, 1.0),
    "0 where |g| > 3": lambda g: g * (np.abs(numbers(g)) <= 3),
}


def broken(rule: Any, position: int, kind: str, cases: Sequence[te.Case]) -> Any:
    """Return a rule with a fault."""

    def bad(g: Any, out: Any, *values: Any, **named: Any) -> Any:
        def right(g: Any) -> Any:
            return rule(g, out, *values, **named)

        call = Call([*map(numbers, values)], named.get("position", position), named)
        if kind in BENT:
            return right(each(BENT[kind], g))
        if kind in OTHERWISE:
            return OTHERWISE[kind](right, g, call)
        if kind.startswith("doubled in case"):
            kwargs = cases[int(kind.split()[-1])].kwargs
            same = all(_equal(named[name], v) for name, v in kwargs.items())
            return right(g) * (2.0 if same else 1.0)
        where = DOUBLED[kind.removeprefix("doubled ")](call)
        return right(g) * np.where(where, 2, 1).astype(call.x.dtype)

    return bad


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except ValueError:
        return repr(a) == repr(b)
