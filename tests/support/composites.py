"""Calls of functions made of operations, from the cases declared beside them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as te
from tinygrad_edu.engine.composites import COMPOSITES, Composite

__all__ = [
    "COMPOSITES",
    "Composite",
    "called",
    "laid_out",
    "numbers",
    "own",
    "recorded",
    "weighted",
]


def called(
    made: Composite,
    case: te.Case,
    rng: Any,
    dtype: Any = np.float64,
    ours: bool = False,
) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """Return NumPy's function of the arrays that have a derivative, and these arrays.

    So it records, when it is handed Tensors; what has none is our own. A nan in an
    array stays where it is, whatever it is handed: there are no differences by it.
    """
    function = own(made) if ours else made.numpy or made.function
    given = case.sample(rng)
    last = len(made.arguments) - 1
    names = [made.arguments[min(i, last)] for i in range(len(given))]
    which = [
        i
        for i, x in enumerate(given)
        if names[i] in made.arrays and x.dtype.kind == "f"
    ]
    named = [
        n
        for n, x in case.kwargs.items()
        if n in made.arrays and np.asarray(x).dtype.kind == "f"
    ]

    def f(*arrays: Any, **more: Any) -> Any:
        args, kwargs = list(given), {**case.kwargs, **more}
        for i, x in zip(which, arrays, strict=False):
            gaps = np.isnan(given[i])
            fits = gaps.any() and np.shape(x) == gaps.shape
            args[i] = np.where(gaps, np.nan, x) if fits else x
        kwargs |= dict(zip(named, arrays[len(which) :], strict=True))
        return function(*args, **kwargs)

    arrays = [given[i] for i in which] + [np.asarray(case.kwargs[n]) for n in named]
    return f, [np.where(np.isnan(x), 0.5, x).astype(dtype) for x in arrays]


def own(made: Composite) -> Callable[..., Any]:
    """Return the function that users call, from the module that declares it."""
    return vars(sys.modules[made.function.__module__])[made.name]


def numbers(out: Any, raw: bool = True) -> list[Any]:
    """Return every array of a result, as numbers or as they are."""
    if isinstance(out, list | tuple):
        return [y for part in out for y in numbers(part, raw)]
    if raw:
        return [np.asarray(out.data if isinstance(out, te.Tensor) else out)]
    return [out]


def recorded(out: Any) -> tuple[te.Tensor, ...]:
    """Return every array of a result that has a gradient."""
    parts = numbers(out, raw=False)
    return tuple(y for y in parts if isinstance(y, te.Tensor) and y.requires_grad)


def weighted(out: Any) -> te.Tensor:
    """Return a weighted sum of all that is recorded in a result."""
    rng = np.random.default_rng(1)
    total: Any = 0.0
    for y in recorded(out):
        total = total + te.sum(y * rng.uniform(1, 2, y.shape).astype(y.dtype))
    return total


def laid_out(x: np.ndarray, how: str) -> np.ndarray:
    """Return the same numbers, otherwise in memory."""
    if x.ndim == 0 or how == "as usual":
        return x
    if how == "Fortran":
        return np.asfortranarray(x)
    if how == "every other one":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    return np.ascontiguousarray(x[::-1])[::-1]
