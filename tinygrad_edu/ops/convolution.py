"""Windows that slide over the last axes: convolution and pooling, channels first.

:func:`windows` and :func:`fold` are adjoint to each other; the three operations of a
convolution are each other's derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.core import Case, broadcast_to, op

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "conv_input",
    "conv_weight",
    "fold",
    "max_pool1d",
    "max_pool2d",
    "windows",
]

Sizes = int | tuple[int, ...]


# --------------------------------------------------------------------------- sizes


def _sizes(who: str, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """Return one size for each axis, from a number or a tuple."""
    sizes = value if isinstance(value, tuple) else (value,) * axes
    if len(sizes) != axes or not all(isinstance(n, int | np.integer) for n in sizes):
        expected = "an int" if axes == 1 else f"an int or a tuple of {axes}"
        raise TypeError(f"{who}: {name} must be {expected}, got {value!r}")
    if min(sizes) < least:
        raise ValueError(f"{who}: {name} must be at least {least}, got {value!r}")
    return tuple(map(int, sizes))


class _Grid:
    """Where the windows lie: what windows, fold, convolution and pooling share."""

    def __init__(
        self,
        who: str,
        shape: Sequence[int],
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        axes: int,
    ) -> None:
        self.kernel = _sizes(who, "kernel_size", kernel_size, axes, 1)
        self.stride = _sizes(who, "stride", stride, axes, 1)
        self.padding = _sizes(who, "padding", padding, axes, 0)
        self.dilation = _sizes(who, "dilation", dilation, axes, 1)
        if len(shape) < axes:
            raise ValueError(f"{who}: x is {tuple(shape)}; it needs {axes} axes")
        self.axes = axes
        self.shape = tuple(shape[len(shape) - axes :])
        self.padded = tuple(
            n + 2 * p for n, p in zip(self.shape, self.padding, strict=True)
        )
        spans = [
            d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)
        ]
        if any(span > n for span, n in zip(spans, self.padded, strict=True)):
            raise ValueError(
                f"{who}: the kernel spans {_times(spans)}, more than the input, which "
                f"is {_times(self.padded)} with padding"
            )
        self.out = tuple(
            (n - span) // s + 1
            for n, span, s in zip(self.padded, spans, self.stride, strict=True)
        )

    def padded_with(self, x: Any, fill: float) -> Any:
        """Return x with a border of ``fill``."""
        if not any(self.padding):
            return x
        result = np.empty(x.shape[: x.ndim - self.axes] + self.padded, x.dtype)
        result[...] = fill
        self.inside(result)[...] = x
        return result

    def inside(self, x: Any) -> Any:
        """Return x without its border."""
        if not any(self.padding):
            return x
        inner = (slice(p, p + n) for p, n in zip(self.padding, self.shape, strict=True))
        return x[(..., *inner)]

    def at(self, offset: Sequence[int]) -> tuple[Any, ...]:
        """Return the index of what one place of the kernel sees, shape (..., *out)."""
        return (
            ...,
            *(
                slice(d * k, d * k + s * (n - 1) + 1, s)
                for d, k, s, n in zip(
                    self.dilation, offset, self.stride, self.out, strict=True
                )
            ),
        )

    def offsets(self) -> Any:
        """Return the places of the kernel: (0, 0), (0, 1), ..."""
        return product(*map(range, self.kernel))

    def view(self, padded: Any, *, kernel_first: bool = False) -> Any:
        """Return a view of shape (..., *out, *kernel), or (..., *kernel, *out)."""
        lead = padded.ndim - self.axes
        steps = padded.strides[lead:]
        out = [n * s for n, s in zip(steps, self.stride, strict=True)]
        kernel = [n * d for n, d in zip(steps, self.dilation, strict=True)]
        sizes, strides = (*self.out, *self.kernel), (*out, *kernel)
        if kernel_first:
            sizes, strides = (*self.kernel, *self.out), (*kernel, *out)
        return as_strided(
            padded,
            padded.shape[:lead] + sizes,
            padded.strides[:lead] + strides,
            writeable=False,
        )


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


# --------------------------------------------------------------- the adjoint pair


@op(
    symbol="windows",
    texts={"x": "fold({g})"},
    cases=[
        Case((2, 5), kernel_size=2),
        Case((7,), kernel_size=3, stride=2, padding=1),
        Case((2, 6), kernel_size=(2,), dilation=3),
        Case((2, 4, 5), kernel_size=(2, 3)),
        Case(
            (5, 6), kernel_size=(2, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 2)
        ),
        Case((3, 3), kernel_size=(1, 3), stride=5, padding=1, fill=-1.0),
    ],
)
def windows(
    x: Any,
    *,
    kernel_size: Sizes,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    fill: float = 0.0,
) -> Any:
    """All windows of a size over the last axes: what a kernel sees as it slides.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., L) or (..., H, W), or more axes
    kernel_size : int or tuple of int
        The size of a window along each of the last axes: as many as there are numbers.
    stride : int or tuple of int, default 1
        From one window to the next.
    padding : int or tuple of int, default 0
        How many entries of ``fill`` to add at both ends of each axis.
    dilation : int or tuple of int, default 1
        From one entry of a window to the next.
    fill : float, default 0.0

    Returns
    -------
    Tensor or ndarray, shape (..., L', k) or (..., H', W', kh, kw)
        A view of x, for reading only, if there is no padding. L' is
        (L + 2 padding - dilation (k - 1) - 1) // stride + 1.

    Raises
    ------
    ValueError
        If a window is larger than x with its padding, or a size is not positive.

    Notes
    -----
    The adjoint of :func:`fold`, which is its derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.windows([1.0, 2.0, 3.0, 4.0], 3)
    array([[1., 2., 3.],
           [2., 3., 4.]])
    """
    axes = len(kernel_size) if isinstance(kernel_size, tuple) else 1
    x = np.asarray(x)
    grid = _Grid("windows", x.shape, kernel_size, stride, padding, dilation, axes)
    return grid.view(grid.padded_with(x, fill))


@op(
    symbol="fold",
    texts={"x": "windows({g})"},
    cases=[
        Case((2, 4, 2), shape=5),
        Case((4, 3), shape=(7,), stride=2, padding=1),
        Case((2, 3, 2), shape=(6,), dilation=3),
        Case((2, 3, 3, 2, 3), shape=(4, 5)),
        Case(
            (2, 6, 2, 2),
            shape=(5, 6),
            stride=(2, 1),
            padding=(0, 1),
            dilation=(1, 2),
        ),
    ],
)
def fold(
    x: Any,
    *,
    shape: Sizes,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Add windows up where they came from: entries in several windows are sums.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., L', k) or (..., H', W', kh, kw)
        As :func:`windows` returns them.
    shape : int or tuple of int
        The last axes of the result: L or (H, W).
    stride, padding, dilation : int or tuple of int
        As they were for :func:`windows`.

    Returns
    -------
    Tensor or ndarray, shape (..., L) or (..., H, W)

    Raises
    ------
    ValueError
        If so many windows of that size do not lie in ``shape``.

    Notes
    -----
    The adjoint of :func:`windows`, which is its derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.fold([[1.0, 2.0], [10.0, 20.0]], 3)
    array([ 1., 12., 20.])
    """
    shape = shape if isinstance(shape, tuple) else (shape,)
    axes = len(shape)
    x = np.asarray(x)
    if x.ndim < 2 * axes:
        raise ValueError(f"fold: x is {x.shape}; {2 * axes} axes hold the windows")
    kernel = x.shape[x.ndim - axes :]
    grid = _Grid("fold", shape, kernel, stride, padding, dilation, axes)
    if x.shape[-2 * axes : -axes] != grid.out:
        raise ValueError(
            f"fold: x is {x.shape}; {_times(grid.out)} windows of {_times(kernel)} lie "
            f"in {_times(shape)}, not {_times(x.shape[-2 * axes : -axes])}"
        )
    result = np.zeros(x.shape[: -2 * axes] + grid.padded, x.dtype)
    for offset in grid.offsets():
        result[grid.at(offset)] += x[(..., *offset)]
    return grid.inside(result)


windows.vjp(
    x=lambda g, out, x, *, kernel_size, stride, padding, dilation, fill: fold(
        g,
        shape=x.shape[2 * x.ndim - g.ndim :],
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
)
fold.vjp(
    x=lambda g, out, x, *, shape, stride, padding, dilation: windows(
        g,
        kernel_size=x.shape[g.ndim :],
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
)


# --------------------------------------------------------------------- convolution

# Three operations, each linear in both its arrays, whose derivatives are one another:
# x and W give y (conv1d, conv2d), y and W give x (conv_input), y and x give W
# (conv_weight).

#: Entries in the buffer for a block of images. It stays in the cache, where one for a
#: whole batch had to be fetched from the system each time: half of the time of a step.
_BUFFER = 2**17


class _Frame:
    """The matrix of columns of a convolution: what the kernel sees at each place.

    Its rows are copied from x. With stride 1, a row need not leave out what lies
    between the end of one line of places and the start of the next: the row then is one
    piece of x, copied as such, and those places are cut out of the product afterwards.
    """

    def __init__(self, grid: _Grid, channels: int) -> None:
        self.grid = grid
        self.rows = channels * math.prod(grid.kernel)
        steps = [math.prod(grid.padded[i + 1 :]) for i in range(grid.axes)]
        places = math.prod(grid.out)
        span = 1 + sum((n - 1) * step for n, step in zip(grid.out, steps, strict=True))
        self.in_one_piece = max(grid.stride) == 1 and span <= 2 * places
        self.length = span if self.in_one_piece else places
        self.channels = channels
        self.starts = [
            sum(k * d * s for k, d, s in zip(at, grid.dilation, steps, strict=True))
            for at in grid.offsets()
        ]
        # A line of places is as long as one of x; the last is cut off where it ends.
        self.lines = (grid.out[0], *grid.padded[1:]) if self.in_one_piece else grid.out
        self.inner = tuple(slice(n) for n in grid.out)

    def blocks(self, images: int) -> list[slice]:
        """Return which images to take at a time."""
        step = max(1, _BUFFER // max(1, self.rows * self.length))
        return [slice(i, min(i + step, images)) for i in range(0, images, step)]

    def columns(self, padded: Any, buffer: Any) -> Any:
        """Copy what the kernel sees into the buffer, shape (n, rows, length)."""
        grid, n = self.grid, len(padded)
        if self.in_one_piece:
            one = padded.itemsize
            steps = padded.strides[2:]
            seen = as_strided(
                padded,
                (n, self.channels, *grid.kernel, self.length),
                (
                    *padded.strides[:2],
                    *(s * d for s, d in zip(steps, grid.dilation, strict=True)),
                    one,
                ),
                writeable=False,
            )
        else:
            seen = grid.view(padded, kernel_first=True)
        np.copyto(buffer[:n].reshape(seen.shape), seen)
        return buffer[:n]

    def empty(self, images: int, rows: int, dtype: Any) -> Any:
        """Return zeros of shape (n, rows, *lines), for places and what lies between."""
        return np.zeros((images, rows, *self.lines), dtype)

    def flat(self, lines: Any) -> Any:
        """Return the lines as (n, rows, length)."""
        return lines.reshape(*lines.shape[:2], math.prod(self.lines))[
            ..., : self.length
        ]

    def add_up(self, columns: Any, result: Any) -> None:
        """Add columns up where they came from: the adjoint of columns."""
        grid, n = self.grid, len(columns)
        if self.in_one_piece:
            parts = columns.reshape(n, self.channels, len(self.starts), self.length)
            whole = result.reshape(n, self.channels, math.prod(grid.padded))
            for i, start in enumerate(self.starts):
                whole[..., start : start + self.length] += parts[:, :, i]
            return
        parts = columns.reshape(n, self.channels, *grid.kernel, *grid.out)
        for offset in grid.offsets():
            result[grid.at(offset)] += parts[(slice(None), slice(None), *offset)]


def _frame(
    who: str, shape: Sequence[int], kernel: Sequence[int], channels: int, **how: Any
) -> _Frame:
    grid = _Grid(
        who,
        shape,
        tuple(kernel),
        how["stride"],
        how["padding"],
        how["dilation"],
        len(kernel),
    )
    return _Frame(grid, channels)


def _check_axes(who: str, axes: int, **arrays: Any) -> None:
    kinds = {
        "x": ("(N, C, L)", "(N, C, H, W)"),
        "weight": ("(out, C, k)", "(out, C, kh, kw)"),
        "y": ("(N, out, L')", "(N, out, H', W')"),
    }
    if axes not in (1, 2):
        raise ValueError(f"{who}: along one axis or two, not {axes}")
    for name, array in arrays.items():
        if np.ndim(array) != axes + 2:
            raise ValueError(
                f"{who}: {name} must be {kinds[name][axes - 1]}, got {np.shape(array)}"
            )


def _convolved(who: str, axes: int, x: Any, weight: Any, bias: Any, **how: Any) -> Any:
    _check_axes(who, axes, x=x, weight=weight)
    if x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"{who}: x has {x.shape[1]} channels, {x.shape}, but weight is for "
            f"{weight.shape[1]}, {weight.shape}"
        )
    out, channels, *kernel = weight.shape
    if bias is not None and np.shape(bias) != (out,):
        raise ValueError(f"{who}: bias must be ({out},), got {np.shape(bias)}")
    frame = _frame(who, x.shape, kernel, channels, **how)
    padded = np.ascontiguousarray(frame.grid.padded_with(x, 0.0))
    dtype = np.result_type(x, weight)
    y = np.empty((len(x), out, *frame.grid.out), np.result_type(dtype, *_given(bias)))
    blocks = frame.blocks(len(x))
    size = blocks[0].stop if blocks else 0
    buffer = np.empty((size, frame.rows, frame.length), padded.dtype)
    lines = frame.empty(size, out, dtype)
    matrix = weight.reshape(out, frame.rows)
    shift = 0 if bias is None else bias.reshape(out, *(1,) * axes)
    for block in blocks:
        columns = frame.columns(padded[block], buffer)
        part = lines[: len(columns)]
        np.matmul(matrix, columns, out=frame.flat(part))
        np.add(part[(..., *frame.inner)], shift, out=y[block])
    return y


def _given(bias: Any) -> list[Any]:
    return [] if bias is None else [bias]


def _convolution_rules() -> dict[str, Callable[..., Any]]:
    def of_x(g: Any, out: Any, x: Any, weight: Any, bias: Any, **how: Any) -> Any:
        return conv_input(g, weight, shape=x.shape[2:], **how)

    def of_weight(g: Any, out: Any, x: Any, weight: Any, bias: Any, **how: Any) -> Any:
        return conv_weight(g, x, kernel_size=weight.shape[2:], **how)

    def of_bias(g: Any, out: Any, x: Any, weight: Any, bias: Any, **_: Any) -> Any:
        return np.add.reduce(g, axis=(0, *range(2, g.ndim)))

    return {"x": of_x, "weight": of_weight, "bias": of_bias}


def _convolution(x: Any, weight: Any, **how: Any) -> Any:
    """Return the convolution along as many axes as there are."""
    return (conv1d if weight.ndim == 3 else conv2d)(x, weight, None, **how)


@op(
    symbol="{weight} ⋆ {x} + {bias}",
    texts={
        "x": "convᵀ({g}, {weight})",
        "weight": "{g} ⋆ {x}",
        "bias": "Σ over axes 0, 2 of {g}",
    },
    cases=[
        Case((2, 3, 6), (4, 3, 2), (4,)),
        Case((2, 1, 7), (2, 1, 3), None, stride=2, padding=1),
        Case((1, 2, 7), (1, 2, 3), (1,), dilation=2, padding=2),
        Case((2, 2, 3), (2, 2, 1), (2,), stride=(3,)),
    ],
)
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Convolution along one axis: a kernel slides over it, and sums up what it sees.

    Parameters
    ----------
    x : Tensor or array_like, shape (N, C, L)
    weight : Tensor or array_like, shape (out, C, k)
        The kernel, not turned around: it is the cross-correlation, as in PyTorch.
    bias : Tensor or array_like, shape (out,), optional
    stride : int, default 1
        From one place to the next.
    padding : int, default 0
        How many zeros to add at both ends.
    dilation : int, default 1
        From one entry that the kernel sees to the next.

    Returns
    -------
    Tensor or ndarray, shape (N, out, L')
        L' is (L + 2 padding - dilation (k - 1) - 1) // stride + 1.

    Raises
    ------
    ValueError
        If the channels do not fit, the kernel is larger than x with its padding, or a
        size is not positive.

    Notes
    -----
    W ⋆ x + b; dL/dx = fold(Wᵀ g), dL/dW = g windows(x)ᵀ, dL/db = Σ g over all axes but
    the channels'.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.conv1d([[[1.0, 2.0, 4.0, 8.0]]], [[[-1.0, 1.0]]])
    array([[[1., 2., 4.]]])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _convolved("conv1d", 1, x, weight, bias, **how)


conv1d.vjp(**_convolution_rules())


@op(
    symbol="{weight} ⋆ {x} + {bias}",
    texts={
        "x": "convᵀ({g}, {weight})",
        "weight": "{g} ⋆ {x}",
        "bias": "Σ over axes 0, 2, 3 of {g}",
    },
    cases=[
        Case((2, 2, 4, 5), (3, 2, 2, 3), (3,)),
        Case((1, 1, 5, 5), (2, 1, 3, 3), None, stride=2, padding=1),
        Case((1, 2, 4, 6), (1, 2, 2, 2), (1,), stride=(1, 2), dilation=(2, 1)),
        Case((2, 2, 3, 2), (2, 2, 1, 2), (2,), padding=(0, 1)),
    ],
)
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Convolution of images: a kernel slides over them, and sums up what it sees.

    Parameters
    ----------
    x : Tensor or array_like, shape (N, C, H, W)
    weight : Tensor or array_like, shape (out, C, kh, kw)
        The kernel, not turned around: it is the cross-correlation, as in PyTorch.
    bias : Tensor or array_like, shape (out,), optional
    stride : int or pair of int, default 1
        From one place to the next.
    padding : int or pair of int, default 0
        How many zeros to add at both ends of each axis.
    dilation : int or pair of int, default 1
        From one entry that the kernel sees to the next.

    Returns
    -------
    Tensor or ndarray, shape (N, out, H', W')
        H' is (H + 2 padding - dilation (kh - 1) - 1) // stride + 1, and W' likewise.

    Raises
    ------
    ValueError
        If the channels do not fit, the kernel is larger than x with its padding, or a
        size is not positive.

    Notes
    -----
    W ⋆ x + b; dL/dx = fold(Wᵀ g), dL/dW = g windows(x)ᵀ, dL/db = Σ g over all axes but
    the channels'.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.conv2d([[[[1.0, 2.0], [3.0, 4.0]]]], [[[[1.0, 1.0]]]])
    array([[[[3.],
             [7.]]]])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _convolved("conv2d", 2, x, weight, bias, **how)


conv2d.vjp(**_convolution_rules())


_BOTH_WAYS = [
    Case((2, 4, 5), (4, 3, 2), shape=(6,)),
    Case((2, 2, 4), (2, 1, 3), shape=(7,), stride=2, padding=1),
    Case((2, 3, 3, 3), (3, 2, 2, 3), shape=(4, 5)),
    Case((1, 1, 3, 5), (1, 2, 2, 2), shape=(4, 6), stride=(1, 1), dilation=(1, 1)),
    Case((1, 1, 2, 3), (1, 2, 2, 2), shape=(4, 6), stride=(1, 2), dilation=(2, 1)),
    Case((2, 2, 3, 3), (2, 2, 1, 2), shape=(3, 2), padding=(0, 1)),
]


@op(
    symbol="convᵀ({y}, {weight})",
    texts={"y": "{weight} ⋆ {g}", "weight": "{y} ⋆ {g}"},
    cases=_BOTH_WAYS,
)
def conv_input(
    y: Any,
    weight: Any,
    *,
    shape: Sizes,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Convolution the other way, from its result to its input: the transposed one.

    Parameters
    ----------
    y : Tensor or array_like, shape (N, out, L') or (N, out, H', W')
        As :func:`conv1d` or :func:`conv2d` returns it.
    weight : Tensor or array_like, shape (out, C, k) or (out, C, kh, kw)
    shape : int or tuple of int
        The last axes of the result: L or (H, W).
    stride, padding, dilation : int or tuple of int
        As they were for the convolution.

    Returns
    -------
    Tensor or ndarray, shape (N, C, L) or (N, C, H, W)

    Raises
    ------
    ValueError
        If a convolution of such an input does not give a result like ``y``.

    Notes
    -----
    fold(Wᵀ y); dL/dy = W ⋆ g, dL/dW = y windows(g)ᵀ. The derivative of a convolution by
    its input.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.conv_input([[[1.0, 10.0]]], [[[1.0, 2.0]]], 3)
    array([[[ 1., 12., 20.]]])
    """
    shape = shape if isinstance(shape, tuple) else (shape,)
    axes = len(shape)
    _check_axes("conv_input", axes, y=y, weight=weight)
    out, channels, *kernel = weight.shape
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    frame = _frame("conv_input", shape, kernel, channels, **how)
    _check_result("conv_input", y, (len(y), out, *frame.grid.out))
    dtype = np.result_type(y, weight)
    result = np.zeros((len(y), channels, *frame.grid.padded), dtype)
    blocks = frame.blocks(len(y))
    size = blocks[0].stop if blocks else 0
    buffer = np.empty((size, frame.rows, frame.length), dtype)
    lines = frame.empty(size, out, y.dtype)
    matrix = weight.reshape(out, frame.rows).T
    for block in blocks:
        part = lines[: block.stop - block.start]
        part[(..., *frame.inner)] = y[block]
        columns = np.matmul(matrix, frame.flat(part), out=buffer[: len(part)])
        frame.add_up(columns, result[block])
    return frame.grid.inside(result)


def _check_result(who: str, y: Any, shape: tuple[int, ...]) -> None:
    if np.shape(y) != shape:
        raise ValueError(
            f"{who}: y is {np.shape(y)}, but the convolution would give {shape}"
        )


@op(
    symbol="{y} ⋆ {x}",
    texts={"y": "{g} ⋆ {x}", "x": "convᵀ({y}, {g})"},
    cases=[
        Case((2, 4, 5), (2, 3, 6), kernel_size=2),
        Case((2, 2, 4), (2, 1, 7), kernel_size=(3,), stride=2, padding=1),
        Case((2, 3, 3, 3), (2, 2, 4, 5), kernel_size=(2, 3)),
        Case(
            (1, 1, 2, 3),
            (1, 2, 4, 6),
            kernel_size=(2, 2),
            stride=(1, 2),
            dilation=(2, 1),
        ),
    ],
)
def conv_weight(
    y: Any,
    x: Any,
    *,
    kernel_size: Sizes,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """What a kernel sees, weighted by a result of the convolution, and summed up.

    Parameters
    ----------
    y : Tensor or array_like, shape (N, out, L') or (N, out, H', W')
        As :func:`conv1d` or :func:`conv2d` returns it.
    x : Tensor or array_like, shape (N, C, L) or (N, C, H, W)
    kernel_size : int or tuple of int
        The last axes of the result: k or (kh, kw).
    stride, padding, dilation : int or tuple of int
        As they were for the convolution.

    Returns
    -------
    Tensor or ndarray, shape (out, C, k) or (out, C, kh, kw)

    Raises
    ------
    ValueError
        If a convolution of ``x`` does not give a result like ``y``.

    Notes
    -----
    y windows(x)ᵀ; dL/dy = g ⋆ x, dL/dx = fold(gᵀ y). The derivative of a convolution by
    its kernel.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.conv_weight([[[1.0, 10.0]]], [[[1.0, 2.0, 3.0]]], 2)
    array([[[21., 32.]]])
    """
    kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,)
    _check_axes("conv_weight", len(kernel), y=y, x=x)
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    out, channels = y.shape[1], x.shape[1]
    frame = _frame("conv_weight", x.shape, kernel, channels, **how)
    _check_result("conv_weight", y, (len(x), out, *frame.grid.out))
    padded = np.ascontiguousarray(frame.grid.padded_with(x, 0.0))
    result = np.zeros((frame.rows, out), np.result_type(x, y))
    blocks = frame.blocks(len(x))
    size = blocks[0].stop if blocks else 0
    buffer = np.empty((size, frame.rows, frame.length), padded.dtype)
    lines = frame.empty(size, out, y.dtype)
    for block in blocks:
        columns = frame.columns(padded[block], buffer)
        part = lines[: len(columns)]
        part[(..., *frame.inner)] = y[block]
        # this way around: BLAS takes nearly twice as long for y columnsᵀ
        products = np.matmul(columns, frame.flat(part).transpose(0, 2, 1))
        result += np.add.reduce(products, axis=0)
    turned = np.ascontiguousarray(result.T)
    return turned.reshape(out, channels, *frame.grid.kernel)


conv_input.vjp(
    y=lambda g, out, y, weight, *, shape, **how: _convolution(g, weight, **how),
    weight=lambda g, out, y, weight, *, shape, **how: conv_weight(
        y, g, kernel_size=weight.shape[2:], **how
    ),
)
conv_weight.vjp(
    y=lambda g, out, y, x, *, kernel_size, **how: _convolution(x, g, **how),
    x=lambda g, out, y, x, *, kernel_size, **how: conv_input(
        y, g, shape=x.shape[2:], **how
    ),
)


# ------------------------------------------------------------------------- pooling


def _pool_grid(
    who: str,
    axes: int,
    x: Any,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes = 1,
) -> _Grid:
    stride = kernel_size if stride is None else stride
    shape = np.shape(x)
    grid = _Grid(who, shape, kernel_size, stride, padding, dilation, axes)
    if any(2 * p > k for p, k in zip(grid.padding, grid.kernel, strict=True)):
        raise ValueError(
            f"{who}: padding must be at most half of kernel_size, got padding="
            f"{padding!r}, kernel_size={kernel_size!r}"
        )
    return grid


def _largest(who: str, axes: int, x: Any, **named: Any) -> Any:
    x = np.asarray(x)
    grid = _pool_grid(who, axes, x, **named)
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded = grid.padded_with(x, least)
    first, *others = (padded[grid.at(offset)] for offset in grid.offsets())
    result = first.copy()
    for seen in others:
        np.maximum(result, seen, out=result)
    return result


def _max_pool_rule(axes: int) -> Callable[..., Any]:
    def rule(
        g: Any,
        out: Any,
        x: Any,
        *,
        kernel_size: Sizes,
        stride: Sizes | None,
        padding: Sizes,
        dilation: Sizes,
    ) -> Any:
        grid = _pool_grid("", axes, x, kernel_size, stride, padding, dilation)
        named = {
            "stride": grid.stride,
            "padding": grid.padding,
            "dilation": grid.dilation,
        }
        seen = windows(x, kernel_size=grid.kernel, fill=-np.inf, **named)
        offsets = list(grid.offsets())
        # (k, ..., L'): with the kernel's axis first, all loops run over long rows
        largest = np.empty((len(offsets), *out.shape), bool)
        for i, offset in enumerate(offsets):
            largest[i] = seen[(..., *offset)] == out  # a plain array, also of Tensors
        ties = np.maximum(np.add.reduce(largest, axis=0, dtype=x.dtype), 1)
        d = np.reshape((g / ties) * largest, (*grid.kernel, *out.shape))
        order = (*range(axes, axes + out.ndim), *range(axes))
        return fold(np.transpose(d, order), shape=grid.shape, **named)

    return rule


@op(
    symbol="max pool",
    texts={"x": "Σ over its windows of {g} ⊙ [{x} = {out}], ties share"},
    cases=[
        Case((2, 3, 6), kernel_size=2),
        Case((2, 7), kernel_size=3, stride=1, padding=1),
        Case((1, 2, 8), kernel_size=(2,), stride=3, dilation=2),
    ],
)
def max_pool1d(
    x: Any,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """The largest number in each window along the last axis.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., L)
    kernel_size : int
    stride : int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int, default 0
        How many entries of minus infinity to add at both ends; at most half of
        ``kernel_size``.
    dilation : int, default 1
        From one entry of a window to the next.

    Returns
    -------
    Tensor or ndarray, shape (..., L')
        L' is (L + 2 padding - dilation (k - 1) - 1) // stride + 1.

    Raises
    ------
    ValueError
        If a window is larger than x with its padding, or a size is not positive.

    Notes
    -----
    max x; dL/dx = g at the largest number of each window, summed over the windows.
    Where n numbers of a window tie, each gets g / n.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.max_pool1d([1.0, 3.0, 2.0, 0.0], 2)
    array([3., 2.])
    """
    return _largest(
        "max_pool1d",
        1,
        x,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )


max_pool1d.vjp(x=_max_pool_rule(1))


@op(
    symbol="max pool",
    texts={"x": "Σ over its windows of {g} ⊙ [{x} = {out}], ties share"},
    cases=[
        Case((2, 2, 4, 6), kernel_size=2),
        Case((2, 5, 5), kernel_size=3, stride=2, padding=1),
        Case((5, 6), kernel_size=(1, 2), stride=(2, 1), dilation=(1, 3)),
    ],
)
def max_pool2d(
    x: Any,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """The largest number in each window of images.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., H, W)
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int or pair of int, default 0
        How many entries of minus infinity to add at both ends of each axis; at most
        half of ``kernel_size``.
    dilation : int or pair of int, default 1
        From one entry of a window to the next.

    Returns
    -------
    Tensor or ndarray, shape (..., H', W')
        H' is (H + 2 padding - dilation (kh - 1) - 1) // stride + 1, and W' likewise.

    Raises
    ------
    ValueError
        If a window is larger than x with its padding, or a size is not positive.

    Notes
    -----
    max x; dL/dx = g at the largest number of each window, summed over the windows.
    Where n numbers of a window tie, each gets g / n.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.max_pool2d([[1.0, 3.0], [2.0, 0.0]], 2)
    array([[3.]])
    """
    return _largest(
        "max_pool2d",
        2,
        x,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )


max_pool2d.vjp(x=_max_pool_rule(2))


def _averages(who: str, axes: int, x: Any, **named: Any) -> Any:
    x = np.asarray(x)
    grid = _pool_grid(who, axes, x, **named)
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    padded = grid.padded_with(x, 0.0)
    first, *others = (padded[grid.at(offset)] for offset in grid.offsets())
    result = first.copy()
    for seen in others:
        result += seen
    result /= math.prod(grid.kernel)
    return result


def _avg_pool_rule(axes: int) -> Callable[..., Any]:
    def rule(
        g: Any,
        out: Any,
        x: Any,
        *,
        kernel_size: Sizes,
        stride: Sizes | None,
        padding: Sizes,
    ) -> Any:
        grid = _pool_grid("", axes, x, kernel_size, stride, padding)
        share = np.reshape(g / math.prod(grid.kernel), out.shape + (1,) * axes)
        return fold(
            broadcast_to(share, out.shape + grid.kernel),
            shape=grid.shape,
            stride=grid.stride,
            padding=grid.padding,
        )

    return rule


def _avg_pool_text(axes: int) -> Callable[..., str]:
    def text(x: Any, *, kernel_size: Sizes, **_: Any) -> str:
        sizes = _sizes("", "kernel_size", kernel_size, axes, 1)
        return f"Σ over its windows of {{g}} / {math.prod(sizes)}"

    return text


@op(
    symbol="avg pool",
    texts={"x": _avg_pool_text(1)},
    cases=[
        Case((2, 3, 6), kernel_size=2),
        Case((2, 7), kernel_size=3, stride=1, padding=1),
        Case((1, 2, 8), kernel_size=(2,), stride=3),
    ],
)
def avg_pool1d(
    x: Any, *, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0
) -> Any:
    """The mean of each window along the last axis.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., L)
    kernel_size : int
    stride : int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int, default 0
        How many zeros to add at both ends, which count in the mean; at most half of
        ``kernel_size``.

    Returns
    -------
    Tensor or ndarray, shape (..., L')
        L' is (L + 2 padding - k) // stride + 1.

    Raises
    ------
    ValueError
        If a window is larger than x with its padding, or a size is not positive.

    Notes
    -----
    Σ x / k; dL/dx = g / k, summed over the windows.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.avg_pool1d([1.0, 3.0, 2.0, 0.0], 2)
    array([2., 1.])
    """
    return _averages(
        "avg_pool1d", 1, x, kernel_size=kernel_size, stride=stride, padding=padding
    )


avg_pool1d.vjp(x=_avg_pool_rule(1))


@op(
    symbol="avg pool",
    texts={"x": _avg_pool_text(2)},
    cases=[
        Case((2, 2, 4, 6), kernel_size=2),
        Case((2, 5, 5), kernel_size=3, stride=2, padding=1),
        Case((5, 6), kernel_size=(1, 2), stride=(2, 1)),
    ],
)
def avg_pool2d(
    x: Any, *, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0
) -> Any:
    """The mean of each window of images.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., H, W)
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        From one window to the next; ``kernel_size`` unless given.
    padding : int or pair of int, default 0
        How many zeros to add at both ends of each axis, which count in the mean; at
        most half of ``kernel_size``.

    Returns
    -------
    Tensor or ndarray, shape (..., H', W')
        H' is (H + 2 padding - kh) // stride + 1, and W' likewise.

    Raises
    ------
    ValueError
        If a window is larger than x with its padding, or a size is not positive.

    Notes
    -----
    Σ x / (kh kw); dL/dx = g / (kh kw), summed over the windows.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.avg_pool2d([[1.0, 3.0], [2.0, 0.0]], 2)
    array([[1.5]])
    """
    return _averages(
        "avg_pool2d", 2, x, kernel_size=kernel_size, stride=stride, padding=padding
    )


avg_pool2d.vjp(x=_avg_pool_rule(2))
