"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.ops.broadcasting import sum_to
from tinygrad_edu.ops.indexing import put
from tinygrad_edu.ops.keywords import in_dtype
from tinygrad_edu.ops.plans import remembered

__all__ = ["diag", "diagflat", "diagonal", "trace", "tril", "triu"]

_DIAGONALS = [
    Case((3, 3)),
    Case((2, 3), offset=1),
    Case((4, 3), offset=-1),
    Case((2, 3), offset=-1, axis1=1, axis2=0),
    Case((2, 3, 4), axis1=1, axis2=2),
    Case((2, 3, 4), offset=-1, axis1=-1, axis2=0),
    Case((2, 2), offset=5),
]


@op(
    numpy=np.diagonal,
    symbol="diagonal",
    texts={"x": "{g} on the diagonal, 0 elsewhere"},
    cases=_DIAGONALS,
)
def diagonal(x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of a matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like
        With at least two axes.
    offset : int, default 0
        Which diagonal: above the main one if positive, below it if negative.
    axis1, axis2 : int, default 0 and 1
        The axes of the matrix: its rows and its columns.

    Returns
    -------
    Tensor or ndarray
        Without these axes; the diagonal is the last one.

    Raises
    ------
    ValueError
        If ``x`` has no two such axes.

    Notes
    -----
    yᵢ = xᵢᵢ; dL/dx = g on the diagonal, and 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.diagonal([[1.0, 2.0], [3.0, 4.0]])
    array([1., 4.])
    """
    return np.diagonal(x, offset, axis1, axis2)


@remembered
def _places(
    shape: tuple[int, ...], offset: int, axis1: int, axis2: int
) -> tuple[Any, ...]:
    """Return where a diagonal lies: its index if matrices are last, and are flat.

    Also the shape of these, that of the matrices, and the order that puts axes back.
    """
    axes = len(shape)
    axis1, axis2 = axis1 % axes, axis2 % axes
    order = (*(a for a in range(axes) if a not in (axis1, axis2)), axis1, axis2)
    *rest, n, m = (shape[a] for a in order)
    count = max(0, min(n, n + offset, m, m - offset))
    start = max(offset, 0) + max(-offset, 0) * m
    index = (..., slice(start, start + count * (m + 1), m + 1))
    back = tuple(order.index(a) for a in range(axes))
    return index, (*rest, n * m), (*rest, n, m), back


def _on_diagonal(g: Any, x: Any, offset: int, axis1: int, axis2: int) -> Any:
    """Put ``g``, shape (..., k) or (..., 1), on the diagonal of zeros shaped like x."""
    index, flat, matrices, back = _places(x.shape, offset, axis1, axis2)
    return put.of_array(g, index=index, shape=flat).reshape(matrices).transpose(back)


diagonal.vjp(
    x=lambda g, out, x, *, offset, axis1, axis2: _on_diagonal(
        g, x, offset, axis1, axis2
    )
)


def _trace_with(
    x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None
) -> Any:
    x = in_dtype(x, dtype, "trace")
    return trace.call(x, offset=offset, axis1=axis1, axis2=axis2)


@op(
    numpy=np.trace,
    symbol="tr",
    keywords=_trace_with,
    texts={"x": "{g} on the diagonal, 0 elsewhere"},
    cases=_DIAGONALS,
)
def trace(x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal of a matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like
        With at least two axes.
    offset : int, default 0
        Which diagonal: above the main one if positive, below it if negative.
    axis1, axis2 : int, default 0 and 1
        The axes of the matrix: its rows and its columns.
    dtype : dtype, optional
        In which to add; that of ``x`` unless given.

    Returns
    -------
    Tensor or ndarray
        Without these axes.

    Raises
    ------
    ValueError
        If ``x`` has no two such axes.

    Notes
    -----
    Σ xᵢᵢ; dL/dx = g on the diagonal, and 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.trace([[1.0, 2.0], [3.0, 4.0]]))
    5.0
    """
    return np.trace(x, offset, axis1, axis2)


trace.vjp(
    x=lambda g, out, x, *, offset, axis1, axis2: _on_diagonal(
        g.reshape(*g.shape, 1), x, offset, axis1, axis2
    )
)


def _diag_text(x: Any, *, k: int) -> str | None:
    return None if x.ndim == 1 else "{g} on the diagonal, 0 elsewhere"


@op(
    numpy=np.diag,
    symbol="diag",
    texts={"x": _diag_text},
    cases=[Case((3,)), Case((2,), k=-1), Case((3, 3)), Case((2, 3), k=1)],
)
def diag(x: Any, *, k: int = 0) -> Any:
    """A matrix with a vector on its diagonal; of a matrix, its diagonal.

    Parameters
    ----------
    x : Tensor or array_like, shape (n,) or (n, m)
    k : int, default 0
        Which diagonal: above the main one if positive, below it if negative.

    Returns
    -------
    Tensor or ndarray
        Of a vector a matrix, shape ``(n + |k|, n + |k|)``; of a matrix a vector.

    Raises
    ------
    ValueError
        If ``x`` is neither.

    Notes
    -----
    yᵢᵢ = xᵢ; dL/dx = the diagonal of g. Of a matrix: g on the diagonal, 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.diag([1.0, 2.0])
    array([[1., 0.],
           [0., 2.]])
    """
    return np.diag(x, k)


diag.vjp(
    x=lambda g, out, x, *, k: (
        diagonal(g, offset=k) if x.ndim == 1 else _on_diagonal(g, x, k, 0, 1)
    )
)


@composite(np.diagflat, cases=[Case((2, 2)), Case((), k=-1), Case((2,), k=1)])
def diagflat(x: Any, k: int = 0) -> Any:
    """A matrix with all numbers of an array on its diagonal.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    k : int, default 0
        Which diagonal: above the main one if positive, below it if negative.

    Returns
    -------
    Tensor or ndarray, shape (n + abs(k), n + abs(k))

    Notes
    -----
    As :func:`diag` of the flattened ``x``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.diagflat([[1.0], [2.0]])
    array([[1., 0.],
           [0., 2.]])
    """
    return diag(np.ravel(x), k=k)


_TRIANGLES = [
    Case((3, 3)),
    Case((2, 3), k=1),
    Case((2, 3, 2), k=-1),
    Case((3,)),
    Case((2, 3), k=-5),
]


@op(numpy=np.tril, symbol="tril", cases=_TRIANGLES)
def tril(x: Any, *, k: int = 0) -> Any:
    """The lower triangle of a matrix, or of each in a stack, with zeros above it.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, m)
        A vector stands for a square matrix, of which it is every row.
    k : int, default 0
        The last diagonal to keep: above the main one if positive, below it if negative.

    Returns
    -------
    Tensor or ndarray, shape (..., n, m)

    Notes
    -----
    yᵢⱼ = xᵢⱼ where j - i ≤ k; dL/dx = g there, and 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.tril([[1.0, 2.0], [3.0, 4.0]])
    array([[1., 0.],
           [3., 4.]])
    """
    return np.where(_lower(x, k), x, np.zeros(1, x.dtype))


def _lower(x: Any, k: int) -> Any:
    """Return which entries of a matrix lie on a diagonal or below it."""
    n, m = x.shape[-2:] if x.ndim > 1 else (len(x), len(x))
    return np.arange(n)[:, None] >= np.arange(-k, m - k)


def _of_triangle(d: Any, x: Any) -> Any:
    return d if d.shape == x.shape else sum_to(d, shape=x.shape)  # of a vector


tril.vjp(x=lambda g, out, x, *, k: _of_triangle(tril(g, k=k), x))


@op(numpy=np.triu, symbol="triu", cases=_TRIANGLES)
def triu(x: Any, *, k: int = 0) -> Any:
    """The upper triangle of a matrix, or of each in a stack, with zeros below it.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, m)
        A vector stands for a square matrix, of which it is every row.
    k : int, default 0
        The first diagonal to keep: above the main one if positive, below it if
        negative.

    Returns
    -------
    Tensor or ndarray, shape (..., n, m)

    Notes
    -----
    yᵢⱼ = xᵢⱼ where j - i ≥ k; dL/dx = g there, and 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.triu([[1.0, 2.0], [3.0, 4.0]])
    array([[1., 2.],
           [0., 4.]])
    """
    return np.where(_lower(x, k - 1), np.zeros(1, x.dtype), x)


triu.vjp(x=lambda g, out, x, *, k: _of_triangle(triu(g, k=k), x))

# The last two axes are the matrix here.
FROM_NUMPY[np.linalg.trace] = lambda x, *, offset=0, dtype=None: trace.call(
    x, offset=offset, axis1=-2, axis2=-1, dtype=dtype
)
FROM_NUMPY[np.linalg.diagonal] = lambda x, *, offset=0: diagonal.call(
    x, offset=offset, axis1=-2, axis2=-1
)
