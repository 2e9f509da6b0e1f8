"""Numbers from one end to another, and grids of them, as functions of the ends.

They record as NumPy's functions; ``te.linspace`` makes a Tensor of numbers, too.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.conversion import arrays, cast
from tinygrad_edu.ops.kinks import numbers

__all__ = ["geomspace", "linspace", "logspace", "meshgrid"]


def _above(*shape: int) -> Any:
    return lambda rng: rng.uniform(0.5, 2.0, shape)


@composite(
    np.linspace,
    arrays=("start", "stop"),
    cases=[
        Case((), (), num=5),
        Case((), 3.0, num=4, endpoint=False),
        Case((2, 1), (3,), num=3, axis=-1),
        Case((2,), (), num=3, retstep=True),
        Case((), (), num=1),
        Case((), (), num=2, dtype=np.longdouble),
    ],
)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Any:
    """Numbers from one end to another, at equal distances.

    Parameters
    ----------
    start, stop : float, Tensor or array_like
        The ends, of any unit and of shapes that broadcast together.
    num : int, default 50
        How many numbers.
    endpoint : bool, default True
        Whether ``stop`` is the last of them; else it would come next.
    retstep : bool, default False
        Return the distance of neighbours, too.
    dtype : dtype, optional
        One of floating-point numbers; the ends' unless given.
    axis : int, default 0
        Where the new axis stands.

    Returns
    -------
    Tensor or ndarray, shape (num, ...)
        With ``retstep`` a tuple of two.

    Raises
    ------
    ValueError
        If ``num`` is negative.
    TypeError
        If ``dtype`` is none of floating-point numbers.

    Notes
    -----
    yₖ = start + k (stop - start) / (num - 1); dL/dstart = Σ gₖ (1 - k / (num - 1)),
    dL/dstop = Σ gₖ k / (num - 1).

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> print(te.grad(lambda stop: np.linspace(0.0, stop, 3).sum())(1.0))
    1.5
    """
    num = _count(num, "linspace")
    gaps = num - 1 if endpoint else num
    dt = np.result_type(start, stop, float(num))
    start, stop = (cast(x, dt) for x in arrays(start, stop))
    distance = stop - start
    step = distance / gaps if gaps else distance * np.nan
    whole = np.arange(num, dtype=dt).reshape(-1, *(1,) * np.ndim(distance))
    y = start + whole * (step if gaps else distance)
    if endpoint and num > 1:  # to the last digit
        end = broadcast_to(stop, shape=np.shape(distance))
        y = np.concatenate([y[:-1], end[None]])
    if axis != 0:
        y = np.moveaxis(y, 0, axis)
    y = _of_dtype(y, dtype, "linspace")
    return (y, step) if retstep else y


def _count(num: Any, who: str) -> int:
    count = operator.index(num)
    if count < 0:
        raise ValueError(f"{who}: num must be 0, 1, 2, ..., got {count}")
    return count


def _of_dtype(y: Any, dtype: DTypeLike | None, who: str) -> Any:
    if dtype is None:
        return y
    if np.dtype(dtype).kind != "f":
        raise TypeError(
            f"{who}: dtype must be one of floating-point numbers, got "
            f"{np.dtype(dtype)}; for whole numbers write np.floor of the result"
        )
    return cast(y, np.dtype(dtype))


@composite(
    np.logspace,
    arrays=("start", "stop", "base"),
    cases=[
        Case((), (), num=4),
        Case((2,), 1.0, num=3, endpoint=False, base=2.5, axis=1),
        Case((), (), num=3, base=np.array([2.0, 3.0]), dtype=np.longdouble),
    ],
)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Any:
    """Powers of a base, whose exponents go from one end to another in equal steps.

    Parameters
    ----------
    start, stop : float, Tensor or array_like
        The exponents of the ends, dimensionless, of shapes that broadcast together.
    num : int, default 50
        How many numbers.
    endpoint : bool, default True
        Whether the last exponent is ``stop``; else it would come next.
    base : float, Tensor or array_like, default 10.0
        Dimensionless, of a shape that broadcasts with those of the ends.
    dtype : dtype, optional
        One of floating-point numbers; the ends' unless given.
    axis : int, default 0
        Where the new axis stands.

    Returns
    -------
    Tensor or ndarray, shape (num, ...)

    Raises
    ------
    ValueError
        If ``num`` is negative.
    TypeError
        If ``dtype`` is none of floating-point numbers.

    Notes
    -----
    yₖ = base ** eₖ with the exponents eₖ of :func:`linspace`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.logspace(0.0, 2.0, 3)
    array([  1.,  10., 100.])
    """
    num = _count(num, "logspace")
    if np.ndim(base):
        shape = np.broadcast_shapes(*map(np.shape, (start, stop, base)))
        start, stop, base = (broadcast_to(x, shape=shape) for x in (start, stop, base))
        base = np.expand_dims(base, axis)
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    return _of_dtype(np.power(base, exponents), dtype, "logspace")


@composite(
    np.geomspace,
    arrays=("start", "stop"),
    cases=[
        Case(_above(), _above(), num=4),
        Case(_above(2), 100.0, num=3, endpoint=False, axis=1),
        Case(-2.0, -8.0, num=3),
        Case(np.array([-1.0, -2.0]), np.array([-4.0, -0.5]), num=4),
        Case(3.0, 7.0, num=1, dtype=np.longdouble),
    ],
)
def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Any:
    """Numbers from one end to another, each the same multiple of the one before.

    Parameters
    ----------
    start, stop : float, Tensor or array_like
        The ends, of any unit and of shapes that broadcast together; none is 0, and both
        have the same sign.
    num : int, default 50
        How many numbers.
    endpoint : bool, default True
        Whether ``stop`` is the last of them; else it would come next.
    dtype : dtype, optional
        One of floating-point numbers; at least float64 unless given.
    axis : int, default 0
        Where the new axis stands.

    Returns
    -------
    Tensor or ndarray, shape (num, ...)

    Raises
    ------
    ValueError
        If ``num`` is negative, an end is 0, or their signs differ.
    TypeError
        If ``dtype`` is none of floating-point numbers.

    Notes
    -----
    yₖ = start (stop / start)ᵗ with t = k / (num - 1).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.geomspace(1.0, 4.0, 3)
    array([1., 2., 4.])
    """
    num = _count(num, "geomspace")
    signs = np.sign(start) * np.ones_like(np.sign(stop))
    if np.any(signs == 0) or np.any(np.sign(stop) == 0):
        raise ValueError("geomspace: start and stop must not be 0")
    if np.any(np.not_equal(signs, np.sign(stop))):
        raise ValueError(
            "geomspace: start and stop must have the same sign: complex numbers are "
            "not supported"
        )
    dt = np.result_type(start, stop, float(num), np.zeros((), dtype))
    start, stop = (cast(x, dt) for x in arrays(start, stop))
    sign = np.sign(numbers(start))
    logs = linspace(np.log10(start * sign), np.log10(stop * sign), num, endpoint)
    y = np.power(np.asarray(10.0, dt), logs) * sign
    if num:  # to the last digit
        shape = y.shape[1:]
        first, last = (broadcast_to(x, shape=shape)[None] for x in (start, stop))
        parts = [first, y[1:-1], last] if endpoint and num > 1 else [first, y[1:]]
        y = np.concatenate(parts)
    if axis != 0:
        y = np.moveaxis(y, 0, axis)
    return _of_dtype(y, dtype, "geomspace")


@composite(
    np.meshgrid,
    cases=[
        Case((3,), (2,)),
        Case((3,), (2,), indexing="ij"),
        Case((3,), (2,), (4,), sparse=True),
        Case((2,), (), (3,)),
        Case((3,)),
    ],
)
def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> Any:
    """The coordinates of all points of a grid, from those along each axis.

    Parameters
    ----------
    *xi : Tensor or array_like, shape (k,)
        The coordinates along each axis.
    copy : bool, default True
        Has no effect on tensors.
    sparse : bool, default False
        Return arrays that only broadcast to the grid.
    indexing : {"xy", "ij"}, default "xy"
        Whether the first is the second axis of the result, as in a picture.

    Returns
    -------
    tuple of Tensor or ndarray, one for each

    Raises
    ------
    ValueError
        If ``indexing`` is another.

    Notes
    -----
    The derivative adds up the gradients of the copies.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.meshgrid([1.0, 2.0], [5.0])
    (array([[1., 2.]]), array([[5., 5.]]))
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    n = len(xi)
    places = list(range(n))
    if indexing == "xy" and n > 1:
        places[:2] = [1, 0]
    grid = [
        np.reshape(x, (*(1,) * p, -1, *(1,) * (n - p - 1)))
        for x, p in zip(xi, places, strict=True)
    ]
    if sparse:
        return tuple(grid)
    shape = np.broadcast_shapes(*map(np.shape, grid))
    return tuple(broadcast_to(x, shape=shape) for x in grid)
