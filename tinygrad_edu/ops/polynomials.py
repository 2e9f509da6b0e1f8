"""Polynomials by their coefficients, the one of the highest power first."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.ops.conversion import arrays, cast
from tinygrad_edu.ops.joining import array_split
from tinygrad_edu.ops.kinks import numbers
from tinygrad_edu.ops.linalg import inv
from tinygrad_edu.ops.matrices import lstsq
from tinygrad_edu.ops.signals import convolve

__all__ = [
    "poly",
    "polyadd",
    "polyder",
    "polyfit",
    "polyint",
    "polymul",
    "polysub",
    "polyval",
    "vander",
]


@composite(
    np.polyval,
    cases=[
        Case((3,), (2, 2)),
        Case((4,), ()),
        Case((1,), (3,)),
        Case((20,), lambda rng: rng.uniform(-1, 1, 2)),
    ],
)
def polyval(p: Any, x: Any) -> Any:
    """The value of a polynomial at each number.

    Parameters
    ----------
    p : Tensor or array_like, shape (k,)
        Its coefficients, the one of the highest power first.
    x : Tensor or array_like, any shape

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Notes
    -----
    y = Σ pᵢ xᵏ⁻¹⁻ⁱ, as (p₀ x + p₁) x + ...; dL/dpᵢ = Σ g xᵏ⁻¹⁻ⁱ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.polyval([1.0, 0.0, -2.0], [1.0, 3.0])
    array([-1.,  7.])
    """
    y = np.zeros_like(x)
    n = len(p)
    for coefficient in array_split(p, n) if n else ():
        y = y * x + np.reshape(coefficient, np.shape(p)[1:])
    return y


@composite(
    np.vander,
    cases=[Case((3,)), Case((3,), 2), Case((2,), N=4, increasing=True)],
    arrays=("x",),
)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The matrix of Vandermonde: powers of each number, a row for each.

    Parameters
    ----------
    x : Tensor or array_like, shape (k,)
    N : int, optional
        How many columns; k unless given.
    increasing : bool, default False
        The power 0 first, not last.

    Returns
    -------
    Tensor or ndarray, shape (k, N)

    Raises
    ------
    ValueError
        If ``x`` has not one axis.

    Notes
    -----
    yᵢⱼ = xᵢᴺ⁻¹⁻ʲ; dL/dxᵢ = Σ gᵢⱼ (N - 1 - j) xᵢᴺ⁻²⁻ʲ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.vander([2.0, 3.0], 3)
    array([[4., 2., 1.],
           [9., 3., 1.]])
    """
    if x.ndim != 1:
        raise ValueError(f"vander: x must have one axis, got {x.shape}")
    powers = np.arange(len(x) if N is None else N)
    wide = cast(x, np.promote_types(x.dtype, int))
    return wide[:, None] ** (powers if increasing else powers[::-1])


_OF_TWO = [Case((3,), (3,)), Case((2,), (4,)), Case((3,), ())]


@composite(np.polyadd, cases=_OF_TWO)
def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials.

    Parameters
    ----------
    a1, a2 : Tensor or array_like, shape (n,) and (m,)
        Their coefficients, the one of the highest power first.

    Returns
    -------
    Tensor or ndarray, shape (max(n, m),)

    Notes
    -----
    The coefficients of equal powers are added.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.polyadd([1.0, 2.0], [5.0, 0.0, 0.0])
    array([5., 1., 2.])
    """
    a1, a2 = _of_one_length(a1, a2)
    return a1 + a2


@composite(np.polysub, cases=_OF_TWO)
def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials.

    Parameters
    ----------
    a1, a2 : Tensor or array_like, shape (n,) and (m,)
        Their coefficients, the one of the highest power first.

    Returns
    -------
    Tensor or ndarray, shape (max(n, m),)

    Notes
    -----
    The coefficients of equal powers are subtracted.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.polysub([1.0, 2.0], [5.0, 0.0, 0.0])
    array([-5.,  1.,  2.])
    """
    a1, a2 = _of_one_length(a1, a2)
    return a1 - a2


def _of_one_length(a1: Any, a2: Any) -> list[Any]:
    both = [np.atleast_1d(a) for a in arrays(a1, a2)]
    longest = max(len(a) for a in both)
    return [np.concatenate([np.zeros(longest - len(a), a.dtype), a]) for a in both]


@composite(np.polymul, cases=_OF_TWO)
def polymul(a1: Any, a2: Any) -> Any:
    """The product of two polynomials.

    Parameters
    ----------
    a1, a2 : Tensor or array_like, shape (n,) and (m,)
        Their coefficients, the one of the highest power first.

    Returns
    -------
    Tensor or ndarray, shape (n + m - 1,), or less for zeros in front

    Raises
    ------
    ValueError
        If one has more than one axis.

    Notes
    -----
    The convolution of the coefficients, without zeros in front, as in NumPy.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.polymul([1.0, 2.0], [1.0, -2.0])
    array([ 1.,  0., -4.])
    """
    return convolve(*map(_without_zeros_in_front, arrays(a1, a2)))


def _without_zeros_in_front(a: Any) -> Any:
    a = np.atleast_1d(a)
    if a.ndim != 1:
        raise ValueError(f"a polynomial has one axis of coefficients, got {a.shape}")
    if a.size == 0:
        return np.reshape(np.sum(a), (1,))  # which is 0
    return a[np.argmax(numbers(a) != 0) if np.any(numbers(a)) else -1 :]


@composite(np.polyder, cases=[Case((4,)), Case((4,), m=2), Case((2,), m=3)])
def polyder(p: Any, m: int = 1) -> Any:
    """The coefficients of the derivative of a polynomial.

    Parameters
    ----------
    p : Tensor or array_like, shape (n,)
        Its coefficients, the one of the highest power first.
    m : int, default 1
        How often.

    Returns
    -------
    Tensor or ndarray, shape (n - m,)

    Raises
    ------
    ValueError
        If ``m`` is negative.

    Notes
    -----
    Each coefficient times its power, which is then smaller by 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.polyder([1.0, 0.0, 5.0])
    array([2., 0.])
    """
    m = operator.index(m)
    if m < 0:
        raise ValueError(f"polyder: m must be 0, 1, 2, ..., got {m}")
    for _ in range(m):
        n = len(p) - 1
        p = p[:-1] * np.arange(n, 0, -1)
    return p


@composite(
    np.polyint,
    arrays=("p", "k"),
    cases=[Case((3,)), Case((3,), m=2, k=np.array([1.0, -2.0])), Case((2,), k=3.0)],
)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The coefficients of an integral of a polynomial.

    Parameters
    ----------
    p : Tensor or array_like, shape (n,)
        Its coefficients, the one of the highest power first.
    m : int, default 1
        How often.
    k : Tensor or array_like, shape (m,) or (), optional
        The constants of integration, first of the first; 0 unless given.

    Returns
    -------
    Tensor or ndarray, shape (n + m,)

    Raises
    ------
    ValueError
        If ``m`` is negative, ``p`` is no sequence, or the constants do not fit.

    Notes
    -----
    Each coefficient over its power, which is first made larger by 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.polyint([2.0, 0.0], k=5.0)
    array([1., 0., 5.])
    """
    m = operator.index(m)
    if m < 0:
        raise ValueError(f"polyint: m must be 0, 1, 2, ..., got {m}")
    if np.ndim(p) != 1:
        raise ValueError(f"polyint: p must have one axis, got {np.shape(p)}")
    p, k = (np.atleast_1d(x) for x in arrays(p, np.zeros(m) if k is None else k))
    if len(k) not in (m, 1):
        raise ValueError(f"polyint: k must have the shape ({m},), got {k.shape}")
    dtype = np.result_type(p, k, np.float64)  # as NumPy divides by integers
    for i in range(m):
        powers = np.arange(len(p), 0, -1)
        constant = k[i % len(k)][None]
        p = np.concatenate([cast(p, dtype) / powers, cast(constant, dtype)])
    return p


@composite(np.poly, cases=[Case((3,)), Case((1,))])
def poly(seq_of_zeros: Any) -> Any:
    """The coefficients of the polynomial with given zeros.

    Parameters
    ----------
    seq_of_zeros : Tensor or array_like, shape (n,)

    Returns
    -------
    Tensor or ndarray, shape (n + 1,)

    Raises
    ------
    ValueError
        If the zeros have not one axis: the characteristic polynomial of a matrix has
        no operation behind it.

    Notes
    -----
    The product of all x - xᵢ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.poly([1.0, 2.0])
    array([ 1., -3.,  2.])
    """
    zeros = seq_of_zeros
    if zeros.ndim != 1:
        raise ValueError(f"poly: the zeros must have one axis, got {zeros.shape}")
    if zeros.size == 0:
        return np.prod(zeros)  # 1, a number
    zeros = cast(
        zeros, np.dtype(np.float64) if zeros.dtype == np.float16 else zeros.dtype
    )
    p: Any = np.ones(1, zeros.dtype)
    for zero in array_split(zeros, len(zeros)):
        p = convolve(p, np.concatenate([np.ones(1, zeros.dtype), -zero]))
    return p


_PLACES = np.array([0.0, 0.5, 1.0, 2.0, 2.5, 4.0])
_WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.0])


@composite(
    np.polyfit,
    arrays=("x", "y", "w"),
    cases=[
        Case(_PLACES, (6,), deg=1),
        Case(_PLACES, (6,), deg=2, w=_WEIGHTS),
        Case(_PLACES, (6, 2), deg=1, cov=True),
        Case(_PLACES, (6,), deg=1, w=_WEIGHTS, cov="unscaled"),
        Case(_PLACES, (6,), deg=2, full=True, rcond=1e-9),
    ],
)
def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    """The polynomial that lies nearest to given points, by least squares.

    Parameters
    ----------
    x : Tensor or array_like, shape (k,)
    y : Tensor or array_like, shape (k,) or (k, n)
    deg : int
        The highest power.
    rcond : float, optional
        As for :func:`lstsq`, dimensionless; k times the rounding unless given.
    full : bool, default False
        Return what :func:`lstsq` tells of the system, too.
    w : Tensor or array_like, shape (k,), optional
        Factors of the distances, which are squared then; 1 unless given.
    cov : bool or "unscaled", default False
        Return the covariances of the coefficients, too; "unscaled" takes 1 / w for
        the standard deviations of ``y``.

    Returns
    -------
    Tensor or ndarray, shape (deg + 1,) or (deg + 1, n)
        The coefficients, the one of the highest power first. With ``full`` a tuple of
        these, residuals, rank, singular values and rcond; with ``cov`` one of two.

    Raises
    ------
    ValueError
        If ``deg`` is negative, or there are too few points for ``cov``.
    TypeError
        If the shapes do not fit.

    Notes
    -----
    The p that makes Σ (w (polyval(p, x) - y))² smallest: :func:`lstsq` of the matrix of
    :func:`vander`, each of its columns scaled to the length 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> [round(float(c), 6) for c in te.polyfit([0.0, 1.0, 2.0], [1.0, 3.0, 5.0], 1)]
    [2.0, 1.0]
    """
    x, y = (a if a.dtype.kind == "f" else a + 0.0 for a in arrays(x, y))
    deg = operator.index(deg)
    if deg < 0:
        raise ValueError(f"polyfit: deg must be 0, 1, 2, ..., got {deg}")
    if x.ndim != 1 or len(x) == 0 or y.ndim not in (1, 2) or len(y) != len(x):
        raise TypeError(
            f"polyfit: expected x (k,) and y (k,) or (k, n), got {x.shape}, {y.shape}"
        )
    powers = vander(x, deg + 1)
    if w is not None:
        if np.shape(w) != x.shape:
            raise TypeError(f"polyfit: w must be {x.shape}, got {np.shape(w)}")
        (w,) = arrays(w)
        powers = powers * w[:, None]
        y = y * (w[:, None] if y.ndim == 2 else w)
    if rcond is None:
        rcond = len(x) * np.finfo(x.dtype).eps
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    c, residuals, rank, s = lstsq(powers / scale, y, rcond)
    c = c / (scale[:, None] if y.ndim == 2 else scale)
    if rank != deg + 1 and not full:
        warnings.warn(
            "Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=4
        )
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    unit = powers / scale  # as it stands, its square would be ill-conditioned
    base = inv(np.matmul(unit.T, unit)) / (scale[:, None] * scale)
    if isinstance(cov, str) and cov == "unscaled":
        factor: Any = 1.0
    elif len(x) <= deg + 1:
        raise ValueError(
            f"polyfit: {len(x)} points are too few for the covariances of {deg + 1} "
            "coefficients"
        )
    else:
        factor = residuals / (len(x) - (deg + 1))
    if y.ndim == 2:
        return c, base[:, :, None] * factor
    return c, base * factor
