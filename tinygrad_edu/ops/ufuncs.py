"""Methods of NumPy's ufuncs: ``np.subtract.outer``, ``np.maximum.accumulate``, ..."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.dispatch import (
    FROM_METHOD,
    FROM_NUMPY,
    FROM_REDUCE,
    with_keywords,
)
from tinygrad_edu.engine.keywords import refused
from tinygrad_edu.ops.accumulations import cumprod, cumsum
from tinygrad_edu.ops.joining import concatenate, split, stack
from tinygrad_edu.ops.keywords import in_dtype, single

__all__ = ["accumulate", "outer", "reduce"]

#: Those whose numbers may be taken together in pairs, pairs of pairs, and so on.
_ASSOCIATIVE = (
    *(np.maximum, np.minimum, np.fmax, np.fmin),
    *(np.logaddexp, np.logaddexp2, np.hypot),
)


def reduce(
    ufunc: np.ufunc,
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Answer for ``ufunc.reduce``: all numbers along an axis taken together, in order.

    Parameters
    ----------
    ufunc : numpy.ufunc
        Of two arrays, with an operation behind it.
    x : Tensor, any shape
    axis, dtype, keepdims, initial, where
        As in ``numpy.ufunc.reduce``; ``where`` only of those that have a reduction of
        their own: add, multiply, maximum, minimum, logaddexp.

    Returns
    -------
    Tensor
        Of the shape of ``x`` without the axis.
    """
    name = _checked(ufunc, "reduce")
    x = in_dtype(x, dtype, name)
    if ufunc in FROM_REDUCE:
        given = {"initial": initial, "where": where}
        further = {k: v for k, v in given.items() if v is not None and v is not True}
        return FROM_REDUCE[ufunc](x, axis=axis, keepdims=keepdims, **further)
    if where is not True:
        raise refused(name, "where", "where=True alone")
    axes = _axes(ufunc, axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    shape = shape if keepdims else [x.shape[i] for i in rest]
    rows = np.reshape(
        np.transpose(x, [*axes, *rest]), (-1, *(x.shape[i] for i in rest))
    )
    return np.reshape(_together(ufunc, rows, initial, name), shape)


def _axes(ufunc: np.ufunc, axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes that are reduced; of most ufuncs it can be only one."""
    if ndim == 0:  # NumPy takes axis=0 of a number
        return ()
    axes = normalize_axis_tuple(range(ndim) if axis is None else axis, ndim)
    if len(axes) > 1 and ufunc not in _ASSOCIATIVE:
        raise ValueError(
            f"{ufunc.__name__}.reduce: the order matters, so at most one axis may be "
            f"given, got axis={axis} of {ndim} axes"
        )
    return axes


def _together(ufunc: np.ufunc, x: Any, initial: Any, name: str) -> Any:
    """Return what all along the first axis come to, together with ``initial``."""
    call = FROM_NUMPY[ufunc]
    if initial is not None:
        initial = single(initial, x.dtype, name)
    if len(x) == 0:
        start = ufunc.identity if initial is None else initial
        if start is None:
            raise ValueError(f"{name}: x is empty along the axis; it has no identity")
        return np.sum(x, axis=0) + start
    if ufunc is np.subtract:
        if initial is not None:
            return initial - np.sum(x, axis=0)
        return np.sum(x * _signs(x), axis=0)
    if ufunc in _ASSOCIATIVE:
        y = _in_pairs(call, x)[0]
        return y if initial is None else call(initial, y)
    parts = _one_by_one(x)
    if initial is not None:
        parts = [initial, *parts]
    return functools.reduce(call, parts)


def _in_pairs(call: Callable[..., Any], x: Any) -> Any:
    """Take pairs along the first axis together until one is left."""
    while (n := len(x)) > 1:
        half, odd = n // 2, x[n - n % 2 :]
        x = call(x[:half], x[half : 2 * half])
        x = concatenate([x, odd]) if len(odd) else x
    return x


def _one_by_one(x: Any) -> list[Any]:
    return [part[0] for part in split(x, len(x))]


def _signs(x: Any) -> Any:
    """1 for the first along the first axis, -1 for all others."""
    signs = np.full((len(x), *(1,) * (x.ndim - 1)), -1, x.dtype)
    signs[:1] = 1
    return signs


def accumulate(ufunc: np.ufunc, x: Any, axis: Any = 0, dtype: Any = None) -> Any:
    """Answer for ``ufunc.accumulate``: along an axis, each with all before it.

    Parameters
    ----------
    ufunc : numpy.ufunc
        Of two arrays, with an operation behind it.
    x : Tensor, any shape
        With one axis at least.
    axis : int, default 0
    dtype : dtype, optional
        In which it is computed.

    Returns
    -------
    Tensor
        Of the shape of ``x``.
    """
    name = _checked(ufunc, "accumulate")
    if x.ndim == 0:
        raise TypeError(f"{name}: x is a single number; it needs an axis")
    if not isinstance(axis, int | np.integer):
        raise ValueError(f"{name}: axis must be an int, got {axis!r}")
    x = np.moveaxis(in_dtype(x, dtype, name), axis, 0)
    call = FROM_NUMPY[ufunc]
    if ufunc is np.add:
        y = cumsum.call(x, axis=0)
    elif ufunc is np.subtract:
        y = cumsum.call(x * _signs(x), axis=0)
    elif ufunc is np.multiply:
        y = cumprod.call(x, axis=0)
    elif ufunc in _ASSOCIATIVE:
        y = _so_far(call, x)
    elif len(x) == 0:
        y = x
    else:
        first, *others = _one_by_one(x)
        y = [first]
        for part in others:
            y.append(call(y[-1], part))
        y = stack(y)
    return np.moveaxis(y, 0, axis)


def _so_far(call: Callable[..., Any], x: Any) -> Any:
    """Take each together with 1 before it, then with 2, 4, ...: all, in few steps."""
    step = 1
    while step < len(x):
        x = concatenate([x[:step], call(x[:-step], x[step:])])
        step *= 2
    return x


def outer(ufunc: np.ufunc, a: Any, b: Any, **keywords: Any) -> Any:
    """Answer for ``ufunc.outer``: every number of ``a`` with every number of ``b``.

    Parameters
    ----------
    ufunc : numpy.ufunc
        Of two arrays, with an operation behind it.
    a, b : Tensor or array_like, any shapes
    **keywords
        Those of ufuncs, such as ``dtype``.

    Returns
    -------
    Tensor
        Of the shape of ``a``, followed by that of ``b``.
    """
    _checked(ufunc, "outer")
    a, b = (x if hasattr(x, "ndim") else np.asarray(x) for x in (a, b))
    a = np.reshape(a, (*a.shape, *(1,) * b.ndim))
    return with_keywords(ufunc, (a, b), keywords)


def _checked(ufunc: np.ufunc, method: str) -> str:
    """Return the name of a method, if the ufunc is one that has it."""
    name = f"{ufunc.__name__}.{method}"
    if ufunc.nin != 2 or ufunc.signature is not None:
        raise ValueError(f"{name}: there is none but of two numbers to one")
    if ufunc.nout != 1 and method != "outer":
        raise ValueError(f"{name}: there is none but of two numbers to one")
    return name


FROM_METHOD.update(reduce=reduce, accumulate=accumulate, outer=outer)
