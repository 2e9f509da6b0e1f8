"""Normalisation: numbers shifted and scaled to mean 0 and variance 1.

The variance is that of the centred numbers, so that a large mean costs no digits; the
weight is divided by the standard deviation before it meets the array, not after.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.operands import unmasked
from tinygrad_edu.nn.layer import Layer

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm"]


class _Normalization(Layer):
    """The weight, the bias and the formula, which all have in common."""

    eps: float
    weight: Tensor | None
    bias: Tensor | None

    def _begin(
        self, shape: tuple[int, ...], eps: float, learnt: bool, dtype: DTypeLike
    ) -> None:
        who = type(self).__name__
        if not shape or not all(
            isinstance(n, int | np.integer) and n > 0 for n in shape
        ):
            raise ValueError(f"{who}: sizes must be positive integers, got {shape}")
        if not eps >= 0:
            raise ValueError(f"{who}: eps must not be negative, got {eps!r}")
        self.eps, self.weight, self.bias = eps, None, None
        if learnt:
            ones, zeros = np.ones(shape), np.zeros(shape)
            self.weight = tensor(ones, requires_grad=True, name="weight", dtype=dtype)
            self.bias = tensor(zeros, requires_grad=True, name="bias", dtype=dtype)


def _centred(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Return mean and variance along axes, which are kept, and x minus the mean."""
    mean = ops.mean(x, axis=axes, keepdims=True)
    centred = x - mean
    return mean, ops.mean(ops.square(centred), axis=axes, keepdims=True), centred


_ONE_ROW = (
    "in training it needs more than one number for each feature, to take a variance "
    "of; pass more rows (te.data.batches leaves out an incomplete batch with "
    "drop_last=True), or call eval()"
)


class _BatchNorm(_Normalization):
    axes: str  # the shapes it takes, for errors
    allowed: tuple[int, ...]  # numbers of axes

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self._begin((num_features,), eps, affine, dtype)
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"{type(self).__name__}: momentum must lie in 0..1, got {momentum!r}"
            )
        self.momentum = momentum
        wide = np.result_type(dtype, np.float32)  # a variance of float16 is none of it
        self.running_mean = np.zeros(num_features, wide)
        self.running_var = np.ones(num_features, wide)

    @property
    def independent_rows(self) -> bool:  # type: ignore[override]
        """In evaluation: in training the rows share their mean and variance."""
        return not self.training

    def forward(self, x: Any) -> Any:
        """Return ``x`` normalised, channel by channel, of its shape."""
        x = x if isinstance(x, Tensor) else unmasked(x, type(self).__name__)
        features = len(self.running_mean)
        if x.ndim not in self.allowed or x.shape[1] != features:
            self.refuse(x, f"it must be {self.axes.format(features)}")
        along = (1, features) + (1,) * (x.ndim - 2)
        if x.dtype == np.float16:  # in which 300² is infinite
            narrow = np.float16 if self.weight is None else self.weight.dtype
            y = self._normalised(ops.astype(x, dtype=np.float32), along)
            return ops.astype(y, dtype=narrow)
        return self._normalised(x, along)

    def _normalised(self, x: Any, along: tuple[int, ...]) -> Any:
        if self.training:
            count = x.size // x.shape[1]
            if count < 2:
                self.refuse(x, _ONE_ROW)
            mean, variance, centred = _centred(x, (0, *range(2, x.ndim)))
            self._follow(self.running_mean, mean)
            self._follow(self.running_var, variance, count / (count - 1))
        else:  # a copy of the mean: the graph must not see how it changes later
            centred = x - np.array(self.running_mean.reshape(along))
            variance = self.running_var.reshape(along)
        deviation = ops.sqrt(variance + self.eps)
        if self.weight is None or self.bias is None:
            return centred / deviation
        scale = ops.reshape(self.weight, along) / deviation
        return centred * scale + ops.reshape(self.bias, along)

    def _follow(self, running: Any, new: Any, factor: float = 1.0) -> None:
        """Move a running mean or variance towards a batch's, outside the graph."""
        new = new.data if isinstance(new, Tensor) else new
        running += self.momentum * (factor * new.reshape(-1) - running)

    def extra_repr(self) -> str:
        """Return the number of features, and what is not the default."""
        parts = [str(len(self.running_mean))]
        parts += [f"eps={self.eps}"] if self.eps != 1e-5 else []
        parts += [f"momentum={self.momentum}"] if self.momentum != 0.1 else []
        parts += ["affine=False"] if self.weight is None else []
        return ", ".join(parts)


class BatchNorm1d(_BatchNorm):
    """Every feature shifted and scaled to mean 0 and variance 1 over the batch.

    In evaluation, mean and variance are not those of the batch but running ones,
    collected in training; then each row is treated by itself.

    Parameters
    ----------
    num_features : int
        C, the size of the second axis.
    eps : float, default 1e-5
        Added to the variance; in the square of the input's unit.
    momentum : float, default 0.1
        The share of each batch in the running mean and variance, dimensionless.
    affine : bool, default True
        Whether a weight and a bias follow, which start at 1 and 0.
    dtype : dtype, default float64

    Attributes
    ----------
    weight, bias : Tensor, shape (num_features,), or None
    running_mean, running_var : ndarray, shape (num_features,)
        Buffers: they are saved, but not trained.

    Raises
    ------
    ValueError
        If a number is out of range; when called, if the input is not (N, C) or
        (N, C, L), or holds only one number for each feature in training.

    Notes
    -----
    weight (x - mean) / √(var + eps) + bias. In training the gradient also flows through
    mean and variance; the derivatives are those of the operations. After a batch of n
    numbers for each feature, running_mean becomes (1 - momentum) running_mean +
    momentum mean, and running_var likewise, with var n / (n - 1), the unbiased
    estimate. Source: S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep
    Network Training by Reducing Internal Covariate Shift", ICML 2015; the convention
    for momentum is PyTorch's.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.BatchNorm1d(2)
    >>> layer(np.array([[1.0, 10.0], [3.0, 30.0]])).data.round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean
    array([0.2, 2. ])
    """

    axes = "(N, {0}) or (N, {0}, L)"
    allowed = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Every channel shifted and scaled to mean 0 and variance 1 over all images.

    The same as :class:`BatchNorm1d`, where the parameters and the formulas stand, for
    images: mean and variance are taken over the batch and all places.

    Parameters
    ----------
    num_features : int
        C, the number of channels.
    eps : float, default 1e-5
        Added to the variance; in the square of the input's unit.
    momentum : float, default 0.1
        The share of each batch in the running mean and variance, dimensionless.
    affine : bool, default True
    dtype : dtype, default float64

    Attributes
    ----------
    weight, bias : Tensor, shape (num_features,), or None
    running_mean, running_var : ndarray, shape (num_features,)

    Raises
    ------
    ValueError
        If a number is out of range; when called, if the input is not (N, C, H, W), or
        holds only one number for each channel in training.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.BatchNorm2d(3)
    >>> layer(np.random.default_rng(0).normal(5, 2, (8, 3, 4, 4))).mean().item() < 1e-12
    True
    """

    axes = "(N, {0}, H, W)"
    allowed = (4,)


class LayerNorm(_Normalization):
    """Every row shifted and scaled to mean 0 and variance 1 over its last axes.

    Unlike :class:`BatchNorm1d` it does the same in training and evaluation, and for any
    number of rows.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The last axes, over which mean and variance are taken.
    eps : float, default 1e-5
        Added to the variance; in the square of the input's unit.
    elementwise_affine : bool, default True
        Whether a weight and a bias follow, which start at 1 and 0.
    dtype : dtype, default float64

    Attributes
    ----------
    weight, bias : Tensor, shape normalized_shape, or None

    Raises
    ------
    ValueError
        If a number is out of range; when called, if the last axes do not fit.

    Notes
    -----
    weight (x - mean) / √(var + eps) + bias, where mean and variance (divided by the
    count) are those of the row; the derivatives are those of the operations. Source:
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", arXiv:1607.06450,
    2016.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.nn.LayerNorm(3)(np.array([[1.0, 2.0, 3.0]])).data.round(3)
    array([[-1.225,  0.   ,  1.225]])
    """

    independent_rows = True

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        given = normalized_shape
        shape = tuple(given) if isinstance(given, tuple | list) else (given,)
        self._begin(shape, eps, elementwise_affine, dtype)
        self.normalized_shape = shape

    def forward(self, x: Any) -> Any:
        """Return ``x`` normalised, row by row, of its shape."""
        x = x if isinstance(x, Tensor) else unmasked(x, type(self).__name__)
        count = len(self.normalized_shape)
        if x.shape[-count:] != self.normalized_shape:
            last = ", ".join(map(str, self.normalized_shape))
            ends = f"its last axis must be {last}"
            self.refuse(x, ends if count == 1 else f"its last axes must be ({last})")
        axes = tuple(range(-count, 0)) if count > 1 else -1
        normalised = ops.standardize(x, axis=axes, eps=self.eps)
        if self.weight is None or self.bias is None:
            return normalised
        return normalised * self.weight + self.bias

    def extra_repr(self) -> str:
        """Return the sizes, and what is not the default."""
        parts = [" x ".join(map(str, self.normalized_shape))]
        parts += [f"eps={self.eps}"] if self.eps != 1e-5 else []
        parts += ["elementwise_affine=False"] if self.weight is None else []
        return ", ".join(parts)
