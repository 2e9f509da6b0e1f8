"""Real and imaginary parts of real numbers, and shifts of frequencies.

Complex numbers are refused: these are here so that code that may get some runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.composites import composite
from tinygrad_edu.engine.core import Case
from tinygrad_edu.engine.dispatch import plain
from tinygrad_edu.ops.rearranging import roll

__all__ = ["conjugate", "fftshift", "ifftshift", "real", "real_if_close"]

plain(np.imag, np.angle, np.iscomplex, np.isreal, np.iscomplexobj, np.isrealobj)
plain(np.fix, np.nonzero)


@composite(np.real, cases=[Case((2, 3))])
def real(val: Any) -> Any:
    """The real part: of real numbers, themselves.

    Parameters
    ----------
    val : Tensor or array_like

    Returns
    -------
    Tensor or ndarray, of the shape of ``val``

    Notes
    -----
    x; dL/dx = g.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> print(te.grad(lambda x: np.real(x) ** 2)(3.0))
    6.0
    """
    return val


@composite(np.conjugate, cases=[Case((2, 3))])
def conjugate(x: Any) -> Any:
    """The complex conjugate: of real numbers, themselves.

    Parameters
    ----------
    x : Tensor or array_like

    Returns
    -------
    Tensor or ndarray, of the shape of ``x``

    Notes
    -----
    x; dL/dx = g.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> print(te.grad(lambda x: x * np.conj(x))(3.0))
    6.0
    """
    return x


@composite(np.real_if_close, cases=[Case((2, 3)), Case((3,), tol=10)])
def real_if_close(a: Any, tol: float = 100) -> Any:
    """The real part, where imaginary ones are small: of real numbers, themselves.

    Parameters
    ----------
    a : Tensor or array_like
    tol : float, default 100
        What counts as small, in NumPy; here nothing is imaginary.

    Returns
    -------
    Tensor or ndarray, of the shape of ``a``

    Notes
    -----
    x; dL/dx = g.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> print(te.grad(lambda x: np.real_if_close(x) ** 2)(3.0))
    6.0
    """
    return a


def _shifted(x: Any, axes: Any, steps: Any) -> Any:
    axes = range(x.ndim) if axes is None else np.atleast_1d(axes)
    along = tuple(int(axis) for axis in axes)
    return roll(x, tuple(steps(x.shape[axis]) for axis in along), along)


@composite(np.fft.fftshift, cases=[Case((5,)), Case((4, 3)), Case((3, 4), axes=1)])
def fftshift(x: Any, axes: Any = None) -> Any:
    """The entry of frequency 0 moved from the front to the middle.

    Parameters
    ----------
    x : Tensor or array_like
    axes : int or sequence of int, optional
        The axes to shift; all unless given.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x``

    Notes
    -----
    x rolled by n // 2 along each axis of length n; dL/dx is g rolled back.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> np.fft.fftshift(te.tensor([0.0, 1.0, 2.0, -2.0, -1.0]))
    tensor([-2., -1.,  0.,  1.,  2.])
    """
    return _shifted(x, axes, lambda n: n // 2)


@composite(np.fft.ifftshift, cases=[Case((5,)), Case((4, 3)), Case((3, 4), axes=1)])
def ifftshift(x: Any, axes: Any = None) -> Any:
    """The entry of frequency 0 moved back to the front: undoes :func:`fftshift`.

    Parameters
    ----------
    x : Tensor or array_like
    axes : int or sequence of int, optional
        The axes to shift; all unless given.

    Returns
    -------
    Tensor or ndarray, of the shape of ``x``

    Notes
    -----
    x rolled by -(n // 2) along each axis of length n; dL/dx is g rolled back.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> np.fft.ifftshift(te.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    tensor([ 0.,  1.,  2., -2., -1.])
    """
    return _shifted(x, axes, lambda n: -(n // 2))
