"""Linear algebra that is made of other linear algebra."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.engine.dispatch import plain
from tinygrad_edu.ops.kinks import numbers
from tinygrad_edu.ops.linalg import inv, pinv, solve, svdvals
from tinygrad_edu.ops.norms import norm
from tinygrad_edu.ops.products import einsum, matmul
from tinygrad_edu.ops.reductions import rows_of

__all__ = [
    "cond",
    "lstsq",
    "matvec",
    "tensorinv",
    "tensorsolve",
    "vecdot",
    "vecmat",
    "vector_norm",
]

plain(np.linalg.matrix_rank)


@composite(
    np.vecdot,
    np.linalg.vecdot,
    cases=[
        Case((3,), (3,)),
        Case((2, 3), (3,)),
        Case((4, 1, 3), (2, 3)),
        Case((3, 2), (3, 1), axis=0),
    ],
)
def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Sums of the products of two vectors, or of those along an axis.

    Parameters
    ----------
    x1, x2 : Tensor or array_like, shape (..., n, ...)
        Their other axes broadcast.
    axis : int, default -1
        Along which axis of each of them the vectors lie.

    Returns
    -------
    Tensor or ndarray, of the broadcast shape without the axis

    Raises
    ------
    ValueError
        If the lengths differ, or the other axes do not broadcast.

    Notes
    -----
    Σ aᵢ bᵢ; dL/da = g b, dL/db = g a.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.vecdot([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    array([21., 43.])
    """
    if np.shape(x1)[axis] != np.shape(x2)[axis]:
        raise ValueError(
            f"vecdot: the lengths along axis {axis} differ: x1 is {np.shape(x1)}, "
            f"x2 is {np.shape(x2)}"
        )
    if axis != -1:
        x1, x2 = (np.moveaxis(x, axis, -1) for x in (x1, x2))
    return einsum("...i,...i->...", x1, x2)


@composite(
    np.matvec,
    cases=[Case((2, 3), (3,)), Case((4, 2, 3), (3,)), Case((2, 3), (4, 3))],
)
def matvec(x1: Any, x2: Any) -> Any:
    """The product of a matrix and a vector, or of each in two stacks.

    Parameters
    ----------
    x1 : Tensor or array_like, shape (..., m, n)
    x2 : Tensor or array_like, shape (..., n)

    Returns
    -------
    Tensor or ndarray, shape (..., m)

    Raises
    ------
    ValueError
        If the lengths differ, or the other axes do not broadcast.

    Notes
    -----
    A x; dL/dA = g xᵀ, dL/dx = Aᵀ g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.matvec([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    array([21., 43.])
    """
    _has_axes("matvec", x1=(x1, 2), x2=(x2, 1))
    return matmul(x1, np.expand_dims(x2, -1))[..., 0]


@composite(
    np.vecmat,
    cases=[Case((2,), (2, 3)), Case((4, 2), (2, 3)), Case((2,), (4, 2, 3))],
)
def vecmat(x1: Any, x2: Any) -> Any:
    """The product of a vector and a matrix, or of each in two stacks.

    Parameters
    ----------
    x1 : Tensor or array_like, shape (..., n)
    x2 : Tensor or array_like, shape (..., n, m)

    Returns
    -------
    Tensor or ndarray, shape (..., m)

    Raises
    ------
    ValueError
        If the lengths differ, or the other axes do not broadcast.

    Notes
    -----
    xᵀ A; dL/dx = A g, dL/dA = x gᵀ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.vecmat([1.0, 10.0], [[1.0, 2.0], [3.0, 4.0]])
    array([31., 42.])
    """
    _has_axes("vecmat", x1=(x1, 1), x2=(x2, 2))
    return matmul(np.expand_dims(x1, -2), x2)[..., 0, :]


def _has_axes(who: str, **given: tuple[Any, int]) -> None:
    for name, (x, least) in given.items():
        if np.ndim(x) < least:
            raise ValueError(
                f"{who}: {name} is {np.shape(x)}; it needs {least} axes or more"
            )


def _diagonal(rng: Any) -> Any:
    return rng.standard_normal((4, 4)) + 4.0 * np.eye(4)


def _four_axes(rng: Any) -> Any:
    return _diagonal(rng).reshape(2, 2, 4)


@composite(
    np.linalg.tensorinv,
    arrays=("a",),
    cases=[Case(_four_axes), Case(lambda rng: _diagonal(rng).reshape(4, 2, 2), ind=1)],
)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of an array as a map between arrays: that of :func:`tensordot`.

    Parameters
    ----------
    a : Tensor or array_like
        With a shape whose first ``ind`` lengths have the product of the others.
    ind : int, default 2
        How many axes the result of the map has.

    Returns
    -------
    Tensor or ndarray, of the shape of ``a`` with its last axes first

    Raises
    ------
    ValueError
        If ``ind`` is not positive, or ``a`` is a number.
    numpy.linalg.LinAlgError
        If the lengths do not fit, or it is singular.

    Notes
    -----
    Made of :func:`inv` and :func:`reshape`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.tensorinv(2 * np.eye(4).reshape(2, 2, 4)).shape
    (4, 2, 2)
    """
    if ind <= 0 or a.ndim == 0:
        raise ValueError(
            f"tensorinv: ind must be positive, and a have axes; got {ind}, {a.shape}"
        )
    shape = a.shape[ind:] + a.shape[:ind]
    matrix = np.reshape(a, (math.prod(a.shape[:ind]), math.prod(a.shape[ind:])))
    return np.reshape(inv(matrix), shape)


@composite(
    np.linalg.tensorsolve,
    arrays=("a", "b"),
    cases=[
        Case(_four_axes, (2, 2)),
        Case(lambda rng: _diagonal(rng).reshape(2, 4, 2), (2, 2), axes=(1,)),
    ],
)
def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Any:
    """The array x for which ``tensordot(a, x, x.ndim)`` is b.

    Parameters
    ----------
    a : Tensor or array_like
        Of the shape of ``b``, followed by that of x.
    b : Tensor or array_like, any shape
    axes : sequence of int, optional
        Axes of ``a`` that are moved to its end first.

    Returns
    -------
    Tensor or ndarray, of the shape of the last axes of ``a``

    Raises
    ------
    numpy.linalg.LinAlgError
        If the lengths do not fit, or it is singular.

    Notes
    -----
    Made of :func:`solve` and :func:`reshape`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.tensorsolve(2 * np.eye(4).reshape(2, 2, 4), np.ones((2, 2)))
    array([0.5, 0.5, 0.5, 0.5])
    """
    if axes is not None:
        moved = [a_ for a_ in range(np.ndim(a)) if a_ not in axes]
        a = np.transpose(a, [*moved, *axes])
    shape = np.shape(a)[np.ndim(b) :]
    size = math.prod(shape)
    if np.size(a) != size**2:
        raise np.linalg.LinAlgError(
            f"tensorsolve: a is {np.shape(a)}; it must be of the shape of b, "
            f"{np.shape(b)}, and as many lengths with the same product"
        )
    return np.reshape(solve(np.reshape(a, (size, size)), np.ravel(b)), shape)


@composite(
    np.linalg.lstsq,
    arrays=("a", "b"),
    cases=[
        Case((5, 2), (5,)),
        Case((4, 2), (4, 3)),
        Case((2, 3), (2,), rcond=-1),
        Case((3, 3), (3, 1), rcond=1e-12),
    ],
)
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """The x that makes ``‖a x - b‖`` smallest, and what belongs to it.

    Parameters
    ----------
    a : Tensor or array_like, shape (m, n)
    b : Tensor or array_like, shape (m,) or (m, k)
    rcond : float, optional
        Singular values below that many times the largest count as 0, dimensionless; the
        rounding of the dtype, times the larger of m and n unless given (-1: times 1).

    Returns
    -------
    x : Tensor or ndarray, shape (n,) or (n, k)
        The shortest of them, if there are several.
    residuals : Tensor or ndarray, shape (k,), (1,) or (0,)
        ``‖a x - b‖²`` of each column; none unless a has the rank n, and m > n.
    rank : int
        How many singular values do not count as 0.
    s : Tensor or ndarray, shape (min(m, n),)
        The singular values of ``a``.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the shapes do not fit.

    Notes
    -----
    x = A⁺ b, with the derivatives of :func:`pinv`, which hold while the rank stays.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x, *_ = te.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 3.0, 5.0])
    >>> [round(float(y), 6) for y in x]
    [1.0, 2.0]
    """
    if np.ndim(a) != 2 or np.ndim(b) not in (1, 2) or len(b) != len(a):
        raise np.linalg.LinAlgError(
            f"lstsq: expected a (m, n) and b (m,) or (m, k), got {np.shape(a)} and "
            f"{np.shape(b)}"
        )
    m, n = np.shape(a)
    rounding = float(np.finfo(np.result_type(a, b)).eps)
    if rcond is None or rcond == -1:
        rcond = rounding * (1 if rcond == -1 else max(m, n))
    s = svdvals(a)
    values = numbers(s)
    rank = np.intc(np.sum(values > rcond * np.max(values, initial=0.0)))
    x = matmul(pinv(a, rcond=rcond), b)
    residuals = np.zeros(0, x.dtype)
    if rank == n and m > n:
        residuals = np.atleast_1d(np.sum((matmul(a, x) - b) ** 2, axis=0))
    return x, residuals, rank, s


@composite(
    np.linalg.cond,
    arrays=("x",),
    cases=[
        Case((3, 3)),
        Case((2, 4, 3), p=2),
        Case((3, 2), p=-2),
        Case(_diagonal, p=1),
        Case(lambda rng: _diagonal(rng)[None], p="fro"),
        Case(_diagonal, p=-np.inf),
    ],
)
def cond(x: Any, p: Any = None) -> Any:
    """The condition of a matrix, or of each in a stack: how errors may grow by it.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., m, n)
    p : {1, -1, 2, -2, inf, -inf, "fro"}, optional
        Of which norm; the 2-norm unless given. For all others matrices must be square.

    Returns
    -------
    Tensor or ndarray, shape (...)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix has no entries, or is not square and must be.

    Notes
    -----
    ``‖X‖ ‖X⁻¹‖``; of the 2-norm the largest singular value over the smallest.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.ops.cond([[4.0, 0.0], [0.0, 2.0]]))
    2.0
    """
    if x.size == 0 and 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond: a matrix without entries has no condition")
    with np.errstate(all="ignore"):
        if p is None or p in (2, -2):
            s = svdvals(x)
            return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        return norm(x, p, axis=(-2, -1)) * norm(inv(x), p, axis=(-2, -1))


@composite(
    np.linalg.vector_norm,
    arrays=("x",),
    cases=[
        Case((2, 3)),
        Case((2, 3), axis=0, ord=1),
        Case((2, 3, 2), axis=(0, -1), keepdims=True),
        Case((2, 3), keepdims=True, ord=3),
    ],
)
def vector_norm(
    x: Any, *, axis: Any = None, keepdims: bool = False, ord: float = 2
) -> Any:
    """Norm of an array as one vector, or of those along one axis or several.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    axis : int or tuple of int, optional
        The axes of the vectors; all unless given.
    keepdims : bool, default False
        Keep these axes, with length 1.
    ord : float, default 2
        Any number, dimensionless, as for :func:`norm`.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x`` without these axes

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    ``(Σ |x|ᵖ)^(1/p)``, as :func:`norm` of a vector.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.vector_norm([[3.0, 0.0], [0.0, 4.0]]))
    5.0
    """
    n = x.ndim
    axes = tuple(range(n)) if axis is None else normalize_axis_tuple(axis, n)
    y = norm(rows_of(x, axes), ord, axis=-1)
    kept = tuple(1 if a in axes else k for a, k in enumerate(x.shape))
    return np.reshape(y, kept) if keepdims else y
