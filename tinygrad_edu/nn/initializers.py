"""Initialisers: the numbers that weights start from.

Each takes a shape ``(out, in)``, of a convolution ``(out, in, *kernel_size)``, and a
source of random numbers, and returns an array. "In" and "out" below are the numbers of
terms that a place sums up, and goes into: for a convolution, times the kernel's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinygrad_edu.randomness import RandomSource, generator

__all__ = [
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "named",
    "standard_normal",
]

Shape = tuple[int, ...]
Initializer = Callable[[Shape, RandomSource], np.ndarray]


def standard_normal(shape: Shape, rng: RandomSource = None) -> np.ndarray:
    """Draw from the normal distribution of mean 0 and standard deviation 1.

    The lecture's choice. Sums of many such weights saturate a sigmoid.

    Parameters
    ----------
    shape : tuple of int
        Any.
    rng : int, Generator, RandomState or None
        Where the numbers are drawn from.

    Returns
    -------
    ndarray, of that shape

    Examples
    --------
    >>> standard_normal((64, 784), 0).shape
    (64, 784)
    """
    return np.asarray(generator(rng).standard_normal(shape))


def glorot_normal(shape: Shape, rng: RandomSource = None) -> np.ndarray:
    """Draw from the normal distribution of variance 2 / (in + out).

    Keeps the spread of values and gradients from layer to layer while activations are
    near their linear part. Source: X. Glorot and Y. Bengio, "Understanding the
    difficulty of training deep feedforward neural networks", AISTATS 2010.

    Parameters
    ----------
    shape : tuple of int
        ``(out, in)``, of a convolution ``(out, in, *kernel_size)``.
    rng : int, Generator, RandomState or None
        Where the numbers are drawn from.

    Returns
    -------
    ndarray, of that shape

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    Examples
    --------
    >>> glorot_normal((64, 784), 0).shape
    (64, 784)
    """
    return standard_normal(shape, rng) * math.sqrt(2 / sum(_fans(shape)))


def glorot_uniform(shape: Shape, rng: RandomSource = None) -> np.ndarray:
    """Draw uniformly from ±√(6 / (in + out)): the variance of :func:`glorot_normal`.

    Parameters
    ----------
    shape : tuple of int
        ``(out, in)``, of a convolution ``(out, in, *kernel_size)``.
    rng : int, Generator, RandomState or None
        Where the numbers are drawn from.

    Returns
    -------
    ndarray, of that shape

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    Examples
    --------
    >>> glorot_uniform((64, 784), 0).shape
    (64, 784)
    """
    bound = math.sqrt(6 / sum(_fans(shape)))
    return np.asarray(generator(rng).uniform(-bound, bound, shape))


def he_normal(shape: Shape, rng: RandomSource = None) -> np.ndarray:
    """Draw from the normal distribution of variance 2 / in, for layers before a relu.

    Source: K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers:
    surpassing human-level performance on ImageNet classification", ICCV 2015.

    Parameters
    ----------
    shape : tuple of int
        ``(out, in)``, of a convolution ``(out, in, *kernel_size)``.
    rng : int, Generator, RandomState or None
        Where the numbers are drawn from.

    Returns
    -------
    ndarray, of that shape

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    Examples
    --------
    >>> he_normal((64, 784), 0).shape
    (64, 784)
    """
    return standard_normal(shape, rng) * math.sqrt(2 / _fans(shape)[0])


def he_uniform(shape: Shape, rng: RandomSource = None) -> np.ndarray:
    """Draw uniformly from ±√(6 / in): the variance of :func:`he_normal`.

    Parameters
    ----------
    shape : tuple of int
        ``(out, in)``, of a convolution ``(out, in, *kernel_size)``.
    rng : int, Generator, RandomState or None
        Where the numbers are drawn from.

    Returns
    -------
    ndarray, of that shape

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    Examples
    --------
    >>> he_uniform((64, 784), 0).shape
    (64, 784)
    """
    bound = math.sqrt(6 / _fans(shape)[0])
    return np.asarray(generator(rng).uniform(-bound, bound, shape))


def lecun_normal(shape: Shape, rng: RandomSource = None) -> np.ndarray:
    """Draw from the normal distribution of variance 1 / in, as ``selu`` wants it.

    Sums of inputs of variance 1 have variance 1. Source: Y. LeCun, L. Bottou, G. B. Orr
    and K.-R. Müller, "Efficient BackProp", in Neural Networks: Tricks of the Trade,
    1998, section 4.6.

    Parameters
    ----------
    shape : tuple of int
        ``(out, in)``, of a convolution ``(out, in, *kernel_size)``.
    rng : int, Generator, RandomState or None
        Where the numbers are drawn from.

    Returns
    -------
    ndarray, of that shape

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    Examples
    --------
    >>> lecun_normal((64, 784), 0).shape
    (64, 784)
    """
    return standard_normal(shape, rng) * math.sqrt(1 / _fans(shape)[0])


def lecun_uniform(shape: Shape, rng: RandomSource = None) -> np.ndarray:
    """Draw uniformly from ±√(3 / in): the variance of :func:`lecun_normal`.

    Parameters
    ----------
    shape : tuple of int
        ``(out, in)``, of a convolution ``(out, in, *kernel_size)``.
    rng : int, Generator, RandomState or None
        Where the numbers are drawn from.

    Returns
    -------
    ndarray, of that shape

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    Examples
    --------
    >>> lecun_uniform((64, 784), 0).shape
    (64, 784)
    """
    bound = math.sqrt(3 / _fans(shape)[0])
    return np.asarray(generator(rng).uniform(-bound, bound, shape))


def _fans(shape: Shape) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a weight (out, in, *kernel_size)."""
    if len(shape) < 2:
        raise ValueError(f"the shape must be (out, in), got {shape}")
    size = math.prod(shape[2:])
    return shape[1] * size, shape[0] * size


_NAMED: dict[str, Initializer] = {
    f.__name__: f
    for f in (
        standard_normal,
        glorot_normal,
        glorot_uniform,
        he_normal,
        he_uniform,
        lecun_normal,
        lecun_uniform,
    )
}


def named(initializer: str | Initializer) -> Initializer:
    """Return the initialiser of that name; a function is returned as it is.

    Parameters
    ----------
    initializer : str or callable
        One of the names above, or a function of a shape and a source of random numbers.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> named("he_normal") is he_normal
    True
    """
    if callable(initializer):
        return initializer
    if not isinstance(initializer, str) or initializer not in _NAMED:
        raise ValueError(
            f"init must be one of {', '.join(_NAMED)}, got {initializer!r}"
        )
    return _NAMED[initializer]
