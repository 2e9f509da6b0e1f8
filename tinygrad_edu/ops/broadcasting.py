"""Broadcasting and its adjoint: each is the other's derivative."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.plans import kept_up_to, remembered

__all__ = ["broadcast_to", "sum_of_rows", "sum_to"]


@op(symbol="Σ", cases=[Case((2, 3), shape=(3,)), Case((2, 3), shape=(2, 1))])
def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum over the axes along which ``shape`` broadcasts to ``x``'s shape.

    Parameters
    ----------
    x : Tensor or ndarray
    shape : tuple of int
        A shape that broadcasts to ``x.shape``.

    Returns
    -------
    Tensor or ndarray, of ``shape``

    Raises
    ------
    ValueError
        If ``shape`` does not broadcast to ``x.shape``.

    Notes
    -----
    The adjoint of :func:`broadcast_to`, which is its derivative.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.sum_to(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    if x.dtype.char == "e":  # 2048 + 1 is 2048 in it
        return sum_to.forward(x.astype(np.float32), shape=shape).astype(x.dtype)
    lead, ones = _axes_to_sum(x.shape, tuple(shape))
    if lead and x.flags.c_contiguous:
        rows, columns = x.shape[:lead], x.shape[lead:]
        x = x.reshape(math.prod(rows), math.prod(columns))
        x = sum_of_rows(x).reshape(columns)
    elif lead:
        x = np.add.reduce(x, axis=tuple(range(lead)))
    return np.add.reduce(x, axis=ones, keepdims=True) if ones else x


def sum_of_rows(x: Any) -> Any:
    """Sum a matrix over its rows: as a product with ones, in a fifth of the time."""
    if type(x) is np.ndarray and x.dtype.char in "fd":
        return _ones(len(x), x.dtype).dot(x)
    return np.add.reduce(x, axis=0)


@kept_up_to(2**12)
def _ones(count: int, dtype: Any) -> Any:
    return np.ones(count, dtype)


@remembered
def _axes_to_sum(
    before: tuple[int, ...], after: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """Return how many axes ``after`` lacks in front, and of which others it has 1."""
    lead = len(before) - len(after)
    pairs = [*zip(before[lead:], after, strict=False)]
    if lead < 0 or any(m not in (1, n) for n, m in pairs):
        raise ValueError(f"shape {after} does not broadcast to {before}")
    return lead, tuple(i for i, (n, m) in enumerate(pairs) if n != m)


def _broadcast_to_with(x: Any, *, shape: Any, subok: Any = False) -> Any:
    return broadcast_to.call(x, shape=shape)


@op(
    numpy=np.broadcast_to,
    keywords=_broadcast_to_with,
    cases=[Case((3,), shape=(2, 3)), Case((2, 1), shape=(2, 3))],
)
def broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Repeat ``x`` along new axes and axes of length 1 until it has ``shape``.

    Parameters
    ----------
    x : Tensor or array_like
    shape : tuple of int
    subok : bool, default False
        As in NumPy; there are no subclasses here.

    Returns
    -------
    Tensor or ndarray, of ``shape``

    Raises
    ------
    ValueError
        If ``x.shape`` does not broadcast to ``shape``.

    Notes
    -----
    The adjoint of :func:`sum_to`, which is its derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.broadcast_to([1.0, 2.0], (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    return np.broadcast_to(x, shape)


sum_to.vjp(x=lambda g, out, x, *, shape: broadcast_to.of_array(g, shape=x.shape))
broadcast_to.vjp(x=lambda g, out, x, *, shape: sum_to.of_array(g, shape=x.shape))
