"""Layers that slide a window: convolution and pooling; and what flattens their output.

Channels come first: ``(N, C, L)`` for sequences, ``(N, C, H, W)`` for images.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Op, Tensor, tensor
from tinygrad_edu.nn.initializers import Initializer
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.nn.parameters import drawn, positive
from tinygrad_edu.randomness import RandomSource

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "Flatten",
    "MaxPool1d",
    "MaxPool2d",
]

Sizes = int | tuple[int, ...]


class _Window(Layer):
    """What layers with a sliding window share: their checks, and how they read."""

    independent_rows = True
    operation: Op
    axes: str  # along which the window slides: "L" or "HW"
    kernel_size: Sizes

    def _each(self, name: str, value: Any, least: int) -> tuple[int, ...]:
        """Return one size for each axis, from a number or a tuple."""
        axes = len(self.axes)
        sizes = value if isinstance(value, tuple) else (value,) * axes
        whole = all(isinstance(n, int | np.integer) for n in sizes)
        if len(sizes) != axes or not whole or min(sizes) < least:
            kind = "an int" if axes == 1 else f"an int or a tuple of {axes}"
            raise ValueError(
                f"{type(self).__name__}: {name} must be {kind}, at least {least}, "
                f"got {value!r}"
            )
        return tuple(map(int, sizes))

    def _refuse(self, x: Any, channels: str) -> None:
        """Refuse what does not have the axes, or is smaller than the window."""
        shape = np.shape(x)
        wanted = f"({', '.join(['N', channels, *self.axes])})"
        fits = len(shape) == 2 + len(self.axes)
        if not fits or (channels != "C" and shape[1] != int(channels)):
            self.refuse(x, f"it must be {wanted}")
        kernel = self._each("kernel_size", self.kernel_size, 1)
        dilation = self._each("dilation", getattr(self, "dilation", 1), 1)
        spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        padding = self._each("padding", getattr(self, "padding", 0), 0)
        least = [s - 2 * p for s, p in zip(spans, padding, strict=True)]
        if any(n < m for n, m in zip(shape[2:], least, strict=True)):
            size = " x ".join(str(max(m, 1)) for m in least)
            self.refuse(x, f"{' x '.join(self.axes)} must be at least {size}")


class _Convolution(_Window):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        *,
        bias: bool = True,
        init: str | Initializer = "glorot_uniform",
        rng: RandomSource = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        who = type(self).__name__
        channels = positive(self, in_channels=in_channels, out_channels=out_channels)
        kernel = self._each("kernel_size", kernel_size, 1)
        self.kernel_size = kernel
        self.stride = self._each("stride", stride, 1)
        self.dilation = self._each("dilation", dilation, 1)
        #: How many zeros more at the end of each axis than at its start.
        self.more: tuple[int, ...] = (0,) * len(kernel)
        if padding == "same":
            if max(self.stride) > 1:
                raise ValueError(
                    f"{who}: padding='same' needs stride 1, got stride={stride!r}"
                )
            both = [d * (k - 1) for d, k in zip(self.dilation, kernel, strict=True)]
            self.padding = tuple(n // 2 for n in both)
            self.more = tuple(n % 2 for n in both)
        elif isinstance(padding, str) and padding != "valid":
            raise ValueError(
                f"{who}: padding must be a size, 'same' or 'valid', got {padding!r}"
            )
        else:
            self.padding = self._each(
                "padding", 0 if padding == "valid" else padding, 0
            )
        shape = (*channels[::-1], *kernel)
        weights = drawn(self, init, shape, rng)
        self.weight = tensor(weights, requires_grad=True, name="weight", dtype=dtype)
        self.bias: Tensor | None = None
        if bias:
            zeros = np.zeros(shape[0])
            self.bias = tensor(zeros, requires_grad=True, name="bias", dtype=dtype)

    def forward(self, x: Any) -> Any:
        """Return what the kernels see in ``x`` at each place, plus the bias."""
        try:
            return self.operation.call(
                self._with_more(x) if any(self.more) else x,
                self.weight,
                self.bias,
                stride=self.stride,
                padding=self.padding,
                dilation=self.dilation,
            )
        except (ValueError, TypeError):
            self._refuse(x, str(self.weight.shape[1]))
            raise

    def _with_more(self, x: Any) -> Any:
        """Return x with a zero more at the end of some axes."""
        if np.ndim(x) != 2 + len(self.more):
            return x  # the operation refuses it
        return ops.pad(x, ((0, 0), (0, 0), *((0, n) for n in self.more)))

    def extra_repr(self) -> str:
        """Return sizes and what is not the default: ``3 -> 8, 5 x 5, stride=2 x 2``."""
        out_channels, in_channels, *kernel = self.weight.shape
        parts = [f"{in_channels} -> {out_channels}", _times(kernel)]
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1)):
            sizes = getattr(self, name)
            if name == "padding" and any(self.more):
                parts.append("padding=same")
            elif any(n != default for n in sizes):
                parts.append(f"{name}={_times(sizes)}")
        return ", ".join(parts + ([] if self.bias is not None else ["bias=False"]))


def _times(sizes: Any) -> str:
    return " x ".join(map(str, sizes))


class Conv1d(_Convolution):
    """Convolution along one axis: kernels slide over it, and sum up what they see.

    Parameters
    ----------
    in_channels, out_channels : int
        How many numbers stand at each place, before and after: there is a kernel for
        each that comes out, over all that come in.
    kernel_size : int
        How many places a kernel sees at a time.
    stride : int, default 1
        From one place of the kernel to the next.
    padding : int, "same" or "valid", default 0
        How many zeros to add at both ends. "same" adds as many as keep the length, an
        odd one at the end (for stride 1 only), "valid" none.
    dilation : int, default 1
        From one place that the kernel sees to the next.
    bias : bool, default True
        Whether to add a bias to each channel; it starts at 0.
    init : str or callable, default "glorot_uniform"
        A name from :mod:`tinygrad_edu.nn.initializers`, or a function of a shape and a
        random generator that returns an array.
    rng : int, Generator, RandomState or None
        Where the weights are drawn from.
    dtype : dtype, default float64

    Attributes
    ----------
    weight : Tensor, shape (out_channels, in_channels, kernel_size)
    bias : Tensor, shape (out_channels,), or None

    Raises
    ------
    ValueError
        If a size is not positive; when called, if the input is not (N, in_channels, L),
        or shorter than the kernel.

    Notes
    -----
    W ⋆ x + b, of shape (N, out_channels, L'), where L' is
    (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1; the derivatives are
    those of :func:`tinygrad_edu.conv1d`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.Conv1d(2, 8, 3, padding="same", rng=0)
    >>> layer(np.ones((4, 2, 10))).shape
    (4, 8, 10)
    """

    operation = ops.conv1d
    axes = "L"


class Conv2d(_Convolution):
    """Convolution of images: kernels slide over them, and sum up what they see.

    Parameters
    ----------
    in_channels, out_channels : int
        How many numbers stand at each place, before and after: there is a kernel for
        each that comes out, over all that come in.
    kernel_size : int or pair of int
        How many places a kernel sees at a time, down and across.
    stride : int or pair of int, default 1
        From one place of the kernel to the next.
    padding : int or pair of int, "same" or "valid", default 0
        How many zeros to add at both ends of each axis. "same" adds as many as keep
        height and width, an odd one at the end (for stride 1 only), "valid" none.
    dilation : int or pair of int, default 1
        From one place that the kernel sees to the next.
    bias : bool, default True
        Whether to add a bias to each channel; it starts at 0.
    init : str or callable, default "glorot_uniform"
        A name from :mod:`tinygrad_edu.nn.initializers`, or a function of a shape and a
        random generator that returns an array.
    rng : int, Generator, RandomState or None
        Where the weights are drawn from.
    dtype : dtype, default float64

    Attributes
    ----------
    weight : Tensor, shape ``(out_channels, in_channels, *kernel_size)``
    bias : Tensor, shape (out_channels,), or None

    Raises
    ------
    ValueError
        If a size is not positive; when called, if the input is not
        (N, in_channels, H, W), or smaller than the kernel.

    Notes
    -----
    W ⋆ x + b, of shape (N, out_channels, H', W'), where H' is
    (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, and W' likewise; the
    derivatives are those of :func:`tinygrad_edu.conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.Conv2d(1, 8, 3, stride=2, rng=0)
    >>> layer
    Conv2d(1 -> 8, 3 x 3, stride=2 x 2)
    >>> layer(np.ones((4, 1, 28, 28))).shape
    (4, 8, 13, 13)
    """

    operation = ops.conv2d
    axes = "HW"


class _Pool(_Window):
    """The base of pooling layers, whose operation takes attributes of these names."""

    def forward(self, x: Any) -> Any:
        """Return one number for each window of each channel."""
        names = self.operation.metadata
        if np.ndim(x) != 2 + len(self.axes):
            self._refuse(x, "C")
        try:
            return self.operation.call(
                x, **{name: getattr(self, name) for name in names}
            )
        except ValueError:
            self._refuse(x, "C")
            raise

    def extra_repr(self) -> str:
        """Return sizes and what is not the default: ``3 x 3, stride=2``."""
        defaults = {"stride": self.kernel_size, "padding": 0, "dilation": 1}
        others = [
            f"{name}={getattr(self, name)}"
            for name in self.operation.metadata
            if name in defaults and getattr(self, name) != defaults[name]
        ]
        return ", ".join([_times(self._each("", self.kernel_size, 1)), *others])

    def _take(self, kernel_size: Any, stride: Any, padding: Any) -> None:
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        kernel = self._each("kernel_size", kernel_size, 1)
        self._each("stride", self.stride, 1)
        sizes = self._each("padding", padding, 0)
        if any(2 * p > k for p, k in zip(sizes, kernel, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: padding must be at most half of kernel_size, "
                f"got padding={padding!r}, kernel_size={kernel_size!r}"
            )


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
    ) -> None:
        self._take(kernel_size, stride, padding)
        self.dilation = dilation
        self._each("dilation", dilation, 1)


class _AvgPool(_Pool):
    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0
    ) -> None:
        self._take(kernel_size, stride, padding)


class MaxPool1d(_MaxPool):
    """The largest number in each window along the last axis, channel by channel.

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int, default 0
        How many entries of minus infinity to add at both ends; at most half of
        ``kernel_size``.
    dilation : int, default 1
        From one entry of a window to the next.

    Raises
    ------
    ValueError
        If a size is out of range; when called, if the input is not (N, C, L), or
        shorter than the window.

    Notes
    -----
    Formula, shape and derivative are those of :func:`tinygrad_edu.max_pool1d`: where
    numbers tie they share the gradient.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.MaxPool1d(2)([[[1.0, 3.0, 2.0, 0.0]]])
    array([[[3., 2.]]])
    """

    operation = ops.max_pool1d
    axes = "L"


class MaxPool2d(_MaxPool):
    """The largest number in each window of images, channel by channel.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int or pair of int, default 0
        How many entries of minus infinity to add at both ends of each axis; at most
        half of ``kernel_size``.
    dilation : int or pair of int, default 1
        From one entry of a window to the next.

    Raises
    ------
    ValueError
        If a size is out of range; when called, if the input is not (N, C, H, W), or
        smaller than the window.

    Notes
    -----
    Formula, shape and derivative are those of :func:`tinygrad_edu.max_pool2d`: where
    numbers tie they share the gradient.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.MaxPool2d(2)([[[[1.0, 3.0], [2.0, 0.0]]]])
    array([[[[3.]]]])
    """

    operation = ops.max_pool2d
    axes = "HW"


class AvgPool1d(_AvgPool):
    """The mean of each window along the last axis, channel by channel.

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int, default 0
        How many zeros to add at both ends, which count in the mean; at most half of
        ``kernel_size``.

    Raises
    ------
    ValueError
        If a size is out of range; when called, if the input is not (N, C, L), or
        shorter than the window.

    Notes
    -----
    Formula, shape and derivative are those of :func:`tinygrad_edu.avg_pool1d`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.AvgPool1d(2)([[[1.0, 3.0, 2.0, 0.0]]])
    array([[[2., 1.]]])
    """

    operation = ops.avg_pool1d
    axes = "L"


class AvgPool2d(_AvgPool):
    """The mean of each window of images, channel by channel.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int or pair of int, default 0
        How many zeros to add at both ends of each axis, which count in the mean; at
        most half of ``kernel_size``.

    Raises
    ------
    ValueError
        If a size is out of range; when called, if the input is not (N, C, H, W), or
        smaller than the window.

    Notes
    -----
    Formula, shape and derivative are those of :func:`tinygrad_edu.avg_pool2d`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.AvgPool2d(2)([[[[1.0, 3.0], [2.0, 0.0]]]])
    array([[[[1.5]]]])
    """

    operation = ops.avg_pool2d
    axes = "HW"


class Flatten(Layer):
    """All axes but the first as one: from images to the rows of a dense layer.

    Raises
    ------
    ValueError
        When called, if the input has no axis but the first.

    Notes
    -----
    (N, C, H, W) becomes (N, C H W); the gradient gets its shape back.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.nn.Flatten()(np.ones((4, 8, 3, 3))).shape
    (4, 72)
    """

    independent_rows = True

    def forward(self, x: Any) -> Any:
        """Return ``x`` of shape (N, ...) as (N, all others multiplied)."""
        shape = np.shape(x)
        if len(shape) < 2:
            self.refuse(x, "it must be (N, ...), with at least two axes")
        return ops.reshape(x, (shape[0], math.prod(shape[1:])))
