"""Windows that slide over the last axes: convolution and pooling, channels first.

:func:`windows` and :func:`fold` are adjoint to each other; the three operations of a
convolution are each other's derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.conversion import wide
from tinygrad_edu.ops.grids import Grid, Sizes, axes_of, grid_of, sizes_of, times
from tinygrad_edu.ops.indexing import constant
from tinygrad_edu.ops.kinks import are_finite
from tinygrad_edu.ops.plans import remembered

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "conv_input",
    "conv_weight",
    "fold",
    "max_gather",
    "max_pool1d",
    "max_pool2d",
    "max_unpool",
    "windows",
]

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
    axes = axes_of(kernel_size)
    x = np.asarray(x)
    grid = grid_of("windows", x.shape, kernel_size, stride, padding, dilation, axes)
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
    grid = grid_of("fold", shape, kernel, stride, padding, dilation, axes)
    if x.shape[-2 * axes : -axes] != grid.out:
        raise ValueError(
            f"fold: x is {x.shape}; {times(grid.out)} windows of {times(kernel)} lie "
            f"in {times(shape)}, not {times(x.shape[-2 * axes : -axes])}"
        )
    lead = x.shape[: -2 * axes]
    if grid.is_small(lead):
        parts = x.reshape(*lead, -1, math.prod(kernel)).swapaxes(-1, -2)
        return grid.added_up(parts.reshape(*lead, -1, *grid.out))
    return grid.add_up([x[offset] for offset in grid.offsets])


windows.vjp(
    x=lambda g, out, x, *, kernel_size, stride, padding, dilation, fill: fold.of_array(
        g,
        shape=x.shape[2 * x.ndim - g.ndim :],
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
)
fold.vjp(
    x=lambda g, out, x, *, shape, stride, padding, dilation: windows.of_array(
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
#
# Inside, the channels are last: what a kernel sees of one line is then one piece of
# memory. Results have them first again. To leave them last in memory saved 5 % of a
# small network, but NumPy then takes four times as long for a batch normalisation.

#: Entries in the buffer for a block of images. It stays in the cache, where one for a
#: whole batch had to be fetched from the system each time: half of the time of a step.
_BUFFER = 2**19

# What takes as long as so many multiplications, roughly, of the matrix product:
_ENTRY = 20  # to copy an entry into the buffer, and more if the matrix is narrow
_RUN = 400  # to begin with copying a run of entries
_SUM = 1800  # to add up a run of entries


class _Strips:
    """A convolution as a matrix product: rows of what the kernel sees, times weights.

    A row is what gives a strip of ``length`` neighbouring places along the last axis.
    With a length of 1 it is what the kernel sees at one place. Longer strips share what
    they see, so that less is copied, but the matrix of weights then is a band with
    zeros beside it, which are multiplied, too. This pays with few channels.
    """

    def __init__(self, grid: Grid, channels: int, out: int, *, adds: bool) -> None:
        *lines, places = grid.out
        *heights, kernel = grid.kernel
        stride, dilation = grid.stride[-1], grid.dilation[-1]
        span = dilation * (kernel - 1) + 1

        def cost(length: int) -> int:
            seen = (length - 1) * stride + span
            run = _SUM * -(-seen // (length * stride)) if adds else _RUN
            entries = seen * channels * (_ENTRY + out * length)
            return -(-places // length) * (run + entries)

        self.grid, self.channels, self.out = grid, channels, out
        self.length = min(range(1, places + 1), key=cost)
        self.strips = -(-places // self.length)
        self.seen = (self.length - 1) * stride + span  # of a line, by a strip
        self.step = self.length * stride  # from strip to strip
        self.pieces = -(-self.seen // self.step)  # of a step each, seen by a strip
        # of an image with its border, in whole pieces
        width = self.step * max(
            self.strips + self.pieces - 1, -(-grid.padded[-1] // self.step)
        )
        self.image = (*grid.padded[:-1], width, channels)
        self.rows = (*lines, self.strips)
        self.row = (*heights, self.seen * channels)
        self.matrix = math.prod(self.row), self.length * out
        self.bands_shape = (*heights, self.seen, channels, self.length, out)
        #: The index of the kernel's entries in it, for each place of a strip.
        self.bands: list[tuple[Any, ...]] = [
            (
                *(slice(None),) * len(heights),
                slice(t * stride, t * stride + span, dilation),
                slice(None),
                t,
            )
            for t in range(self.length)
        ]
        self.offsets = list(product(*map(range, heights)))

    def blocks(self, images: int, dtype: Any) -> Iterator[tuple[slice, slice, Any]]:
        """Yield which images to take at a time, their rows, and a buffer for these."""
        rows = math.prod(self.rows)  # of an image
        step = min(max(1, _BUFFER // max(1, rows * self.matrix[0])), images)
        buffer = np.empty((step * rows, self.matrix[0]), dtype)
        for start in range(0, images, step or 1):
            stop = min(start + step, images)
            yield (
                slice(start, stop),
                slice(start * rows, stop * rows),
                buffer[: (stop - start) * rows],
            )

    def convolved(self, x: Any, weight: Any) -> Any:
        """Return the convolution, (N, out, ...)."""
        matrix, out = self.banded(weight), self.out
        lines = (*self.grid.out[:-1], self.strips * self.length)
        products = np.empty((len(x), *lines, out), np.result_type(x, weight))
        flat = products.reshape(-1, self.length * out)
        for rows, seen in self.copied(x):
            np.matmul(seen, matrix, out=flat[rows])
        return np.moveaxis(products[..., : self.grid.out[-1], :], -1, 1)

    def input(self, y: Any, weight: Any) -> Any:
        """Return what a result of it gives for its input, (N, C, ...)."""
        dtype = np.result_type(y, weight)
        matrix = self.banded(weight).T
        flat = self.places(y).reshape(-1, self.length * self.out)
        result = np.zeros((len(y), *self.image), dtype)
        for images, rows, parts in self.blocks(len(y), dtype):
            np.matmul(flat[rows], matrix, out=parts)
            part = result[images]
            self.add_up(parts.reshape(len(part), *self.rows, *self.row), part)
        return self.without_border(result)

    def weight(self, y: Any, x: Any) -> Any:
        """Return what a result of it gives for its weights, (out, C, ...)."""
        flat = self.places(y).reshape(-1, self.length * self.out)
        result = np.zeros(self.matrix, np.result_type(x, y))
        for rows, seen in self.copied(x):
            result += seen.T @ flat[rows]
        return self.unbanded(result)

    def copied(self, x: Any) -> Iterator[tuple[slice, Any]]:
        """Yield which rows they are, and what the strips see of x, block by block."""
        views = self.views(self.bordered(x))
        for images, rows, buffer in self.blocks(len(x), x.dtype):
            seen = views[images]
            buffer.reshape(seen.shape)[...] = seen
            yield rows, buffer

    def bordered(self, x: Any) -> Any:
        """Return x, (N, C, ...), with its border of zeros and the channels last."""
        if self.image[:-1] == x.shape[2:]:
            return np.ascontiguousarray(np.moveaxis(x, 1, -1))
        result = np.zeros((len(x), *self.image), x.dtype)
        self.grid.inside(np.moveaxis(result, -1, 1))[...] = x
        return result

    def without_border(self, x: Any) -> Any:
        """Return what :meth:`bordered` put into zeros, as (N, C, ...)."""
        return np.ascontiguousarray(self.grid.inside(np.moveaxis(x, -1, 1)))

    def views(self, bordered: Any) -> Any:
        """Return what the strips see, (N, *rows, *row): a view, for reading only."""
        grid = self.grid
        # not bordered.strides: along an axis of length 1 those can be anything
        sizes = (*bordered.shape[1:], bordered.itemsize)
        each, *steps, column, one = (math.prod(sizes[i:]) for i in range(len(sizes)))
        down = [n * s for n, s in zip(steps, grid.stride, strict=False)]
        within = [n * d for n, d in zip(steps, grid.dilation, strict=False)]
        return as_strided(
            bordered,
            (len(bordered), *self.rows, *self.row),
            (each, *down, self.step * column, *within, one),
            writeable=False,
        )

    def add_up(self, parts: Any, bordered: Any) -> None:
        """Add rows, (N, *rows, *row), up where they came from."""
        size = self.step * self.channels
        lines = bordered.reshape(*bordered.shape[:-2], -1, size)
        for offset in self.offsets:
            at = (self.grid.seen_along(axis, k) for axis, k in enumerate(offset))
            index = (slice(None), *at)
            for j in range(self.pieces):
                piece = parts[(..., *offset, slice(j * size, (j + 1) * size))]
                into = lines[(*index, slice(j, j + self.strips))]
                into[..., : piece.shape[-1]] += piece

    def banded(self, weight: Any) -> Any:
        """Return the matrix of weights, for a strip's places one after the other."""
        result = np.zeros(self.bands_shape, weight.dtype)
        turned = np.transpose(weight, (*range(2, weight.ndim), 1, 0))
        for band in self.bands:
            result[band] = turned
        return result.reshape(self.matrix)

    def unbanded(self, matrix: Any) -> Any:
        """Add a matrix up to weights, (out, C, ...): the adjoint of :meth:`banded`."""
        whole = matrix.reshape(self.bands_shape)
        result = whole[self.bands[0]].copy()
        for band in self.bands[1:]:
            result += whole[band]
        axes = result.ndim
        return np.ascontiguousarray(
            np.transpose(result, (axes - 1, axes - 2, *range(axes - 2)))
        )

    def places(self, y: Any) -> Any:
        """Return y, (N, out, ...), with the channels last and zeros after each line."""
        y = np.moveaxis(y, 1, -1)
        missing = self.strips * self.length - y.shape[-2]
        if not missing:
            return np.ascontiguousarray(y)
        result = np.empty((*y.shape[:-2], y.shape[-2] + missing, self.out), y.dtype)
        result[..., :-missing, :] = y
        result[..., -missing:, :] = 0
        return result


class _Picked:
    """A small convolution: what the kernel sees is picked, and multiplied at once.

    Strips take fewer steps for each entry, but dozens for the whole.
    """

    def __init__(self, grid: Grid, channels: int, out: int) -> None:
        self.grid, self.channels, self.out = grid, channels, out
        self.rows = channels * math.prod(grid.kernel), math.prod(grid.out)

    def picked(self, x: Any) -> Any:
        """Return what is seen of x, (N, C k, places)."""
        seen = self.grid.picked(self.grid.padded_with(x, 0))
        return seen.reshape(len(x), *self.rows)

    def convolved(self, x: Any, weight: Any) -> Any:
        """Return the convolution, (N, out, ...)."""
        y = np.matmul(weight.reshape(self.out, -1), self.picked(x))
        return y.reshape(len(x), self.out, *self.grid.out)

    def input(self, y: Any, weight: Any) -> Any:
        """Return what a result of it gives for its input, (N, C, ...)."""
        y = y.reshape(len(y), self.out, -1)
        parts = np.matmul(weight.reshape(self.out, -1).T, y)
        return self.grid.added_up(
            parts.reshape(len(y), self.channels, -1, *self.grid.out)
        )

    def weight(self, y: Any, x: Any) -> Any:
        """Return what a result of it gives for its weights, (out, C, ...)."""
        seen = self.picked(x).transpose(0, 2, 1)
        each = np.matmul(y.reshape(len(y), self.out, -1), seen)
        total = np.add.reduce(each, dtype=each.dtype) if len(y) > 1 else each
        return total.reshape(self.out, self.channels, *self.grid.kernel)


Shape = tuple[int, ...]
Layout = _Picked | _Strips


def _layout(who: str, images: Shape, weight: Shape, *how: Any) -> Layout:
    """Return how a convolution of arrays of these shapes is computed."""
    out, channels, *kernel = weight
    stride, padding, dilation = how
    sizes = tuple(kernel), stride, padding, dilation
    grid = Grid(who, images[2:], *sizes, len(kernel))
    if grid.is_small(images[:2]) and out:
        return _Picked(grid, channels, out)
    return _Strips(grid, channels, out, adds=who == "conv_input")


@remembered
def _layout_of_result(
    who: str, axes: int, x: Shape, weight: Shape, *how: Any
) -> Layout:
    _check_axes(who, axes, x=x, weight=weight)
    if x[1] != weight[1]:
        raise ValueError(
            f"{who}: x has {x[1]} channels, {x}, but weight is for {weight[1]}, "
            f"{weight}"
        )
    return _layout(who, x, weight, *how)


@remembered
def _layout_of_input(y: Shape, weight: Shape, shape: Sizes, *how: Any) -> Layout:
    shape = shape if isinstance(shape, tuple) else (shape,)
    _check_axes("conv_input", len(shape), y=y, weight=weight)
    layout = _layout("conv_input", (y[0], weight[1], *shape), weight, *how)
    _check_result("conv_input", y, y[0], weight[0], layout.grid)
    return layout


@remembered
def _layout_of_weight(y: Shape, x: Shape, kernel_size: Sizes, *how: Any) -> Layout:
    kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,)
    _check_axes("conv_weight", len(kernel), y=y, x=x)
    layout = _layout("conv_weight", x, (y[1], x[1], *kernel), *how)
    _check_result("conv_weight", y, x[0], y[1], layout.grid)
    return layout


def _check_axes(who: str, axes: int, **shapes: Shape) -> None:
    kinds = {
        "x": ("(N, C, L)", "(N, C, H, W)"),
        "weight": ("(out, C, k)", "(out, C, kh, kw)"),
        "y": ("(N, out, L')", "(N, out, H', W')"),
    }
    if axes not in (1, 2):
        raise ValueError(f"{who}: along one axis or two, not {axes}")
    for name, shape in shapes.items():
        if len(shape) != axes + 2:
            raise ValueError(
                f"{who}: {name} must be {kinds[name][axes - 1]}, got {shape}"
            )


def _check_result(who: str, y: Shape, images: int, out: int, grid: Grid) -> None:
    if y != (images, out, *grid.out):
        raise ValueError(
            f"{who}: y is {y}, but the convolution would give "
            f"{(images, out, *grid.out)}"
        )


def _convolved(who: str, axes: int, x: Any, weight: Any, bias: Any, *how: Any) -> Any:
    layout = _layout_of_result(who, axes, np.shape(x), np.shape(weight), *how)
    if bias is None:
        return np.ascontiguousarray(layout.convolved(x, weight))
    if np.shape(bias) != (layout.out,):
        raise ValueError(f"{who}: bias must be ({layout.out},), got {np.shape(bias)}")
    dtype = np.result_type(x, weight, bias)
    y = layout.convolved(x, weight.astype(dtype, copy=False))
    return np.add(y, bias.reshape(-1, *(1,) * axes), out=np.empty(y.shape, dtype))


def _convolution_rules() -> dict[str, Callable[..., Any]]:
    def of_x(g: Any, out: Any, x: Any, weight: Any, bias: Any, **how: Any) -> Any:
        return conv_input.of_array(g, weight, shape=x.shape[2:], **how)

    def of_weight(g: Any, out: Any, x: Any, weight: Any, bias: Any, **how: Any) -> Any:
        return conv_weight.of_array(g, x, kernel_size=weight.shape[2:], **how)

    def of_bias(g: Any, out: Any, x: Any, weight: Any, bias: Any, **_: Any) -> Any:
        # image by image first: twice as fast
        g = np.add.reduce(wide(g), axis=0)
        return np.add.reduce(g, axis=tuple(range(1, g.ndim)))

    return {"x": of_x, "weight": of_weight, "bias": of_bias}


def _convolution(x: Any, weight: Any, **how: Any) -> Any:
    """Return the convolution along as many axes as there are."""
    return (conv1d if weight.ndim == 3 else conv2d).of_array(x, weight, **how)


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
    return _convolved("conv1d", 1, x, weight, bias, stride, padding, dilation)


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
    return _convolved("conv2d", 2, x, weight, bias, stride, padding, dilation)


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
    shapes = np.shape(y), np.shape(weight), shape
    return _layout_of_input(*shapes, stride, padding, dilation).input(y, weight)


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
    shapes = np.shape(y), np.shape(x), kernel_size
    return _layout_of_weight(*shapes, stride, padding, dilation).weight(y, x)


conv_input.vjp(
    y=lambda g, out, y, weight, *, shape, **how: _convolution(g, weight, **how),
    weight=lambda g, out, y, weight, *, shape, **how: conv_weight.of_array(
        y, g, kernel_size=weight.shape[2:], **how
    ),
)
conv_weight.vjp(
    y=lambda g, out, y, x, *, kernel_size, **how: _convolution(x, g, **how),
    x=lambda g, out, y, x, *, kernel_size, **how: conv_input.of_array(
        y, g, shape=x.shape[2:], **how
    ),
)


# ------------------------------------------------------------------------- pooling


@remembered
def _pool_grid(
    who: str,
    axes: int,
    shape: tuple[int, ...],
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes = 1,
) -> Grid:
    stride = kernel_size if stride is None else stride
    grid = Grid(who, shape, kernel_size, stride, padding, dilation, axes)
    if any(2 * p > k for p, k in zip(grid.padding, grid.kernel, strict=True)):
        raise ValueError(
            f"{who}: padding must be at most half of kernel_size, got padding="
            f"{padding!r}, kernel_size={kernel_size!r}"
        )
    return grid


def _largest(who: str, axes: int, x: Any, *how: Any) -> Any:
    x = np.asarray(x)
    grid = _pool_grid(who, axes, x.shape, *how)
    return _over_windows(np.maximum, grid, _with_least(grid, x))


def _over_windows(ufunc: np.ufunc, grid: Grid, padded: Any) -> Any:
    """Return what a function of two makes of all that each window sees."""
    if grid.is_small(grid.lead, weight=8):
        picked = grid.picked(padded)
        return ufunc.reduce(picked, axis=grid.axis_of_places, dtype=picked.dtype)
    result = padded
    for places in grid.along:  # axis after axis: 2 k - 1 steps, not k²
        first, *others = [result[place] for place in places]
        result = ufunc(first, others[0]) if others else first.copy("K")
        for seen in others[1:]:
            ufunc(result, seen, out=result)
    return result


def _with_least(grid: Grid, x: Any) -> Any:
    """Return x with a border that is never the largest."""
    return grid.padded_with(x, -np.inf if x.dtype.kind == "f" else _least(x.dtype))


def _least(dtype: Any) -> Any:
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def _ties(
    who: str, axes: int, x: Any, largest: Any, *how: Any
) -> tuple[Grid, Any, Any]:
    """Return the grid, where each place of a window is largest, and how many are.

    Where is told by an array, (..., k, *out), of a small input, else by a list of k. It
    is None how many are if there is one in every window. Of a nan there are nan.
    """
    grid = _pool_grid(who, axes, x.shape, *how)
    if np.shape(largest) != grid.result:
        raise ValueError(
            f"{who}: largest must be {grid.result}, got {np.shape(largest)}"
        )
    padded = _with_least(grid, x)
    masks: Any
    if grid.is_small(grid.lead):
        masks = grid.picked(padded) == largest[grid.for_each_place]
        found = int(np.count_nonzero(masks))
    else:
        masks = [padded[at] == largest for at in grid.places]
        found = sum(map(int, map(np.count_nonzero, masks)))
    if found == largest.size and are_finite(largest):
        return grid, masks, None
    count = _count(grid, masks)
    if not are_finite(largest) and (nan := np.isnan(largest)).any():
        count = np.where(nan, np.nan, count)  # and then 0 / nan is nan, too
    return grid, masks, count


def _count(grid: Grid, masks: Any) -> Any:
    """Return how many numbers of each window are the largest."""
    dtype = np.uint8 if math.prod(grid.kernel) < 256 else np.intp
    if type(masks) is not list:
        return np.add.reduce(masks, axis=grid.axis_of_places, dtype=dtype)
    count = masks[0].astype(dtype)
    for mask in masks[1:]:
        np.add(count, mask, out=count)
    return count


def _largest_case(first: bool, shape: tuple[int, ...], **how: Any) -> Case:
    """Return a case of max_unpool, or of max_gather, for an x of this shape."""
    how = {"kernel_size": 0, "stride": None, "padding": 0, "dilation": 1} | how

    @cache  # not at the import: that would take 5 ms
    def made() -> tuple[Any, Any]:
        x = np.random.default_rng(0).standard_normal(shape)
        return x, _largest("", axes_of(how["kernel_size"]), x, *how.values())

    def drawn(rng: np.random.Generator) -> Any:
        return rng.standard_normal(made()[1].shape if first else shape)

    return Case(drawn, lambda _: made()[0], lambda _: made()[1], **how)


_LARGEST: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 6), {"kernel_size": 2}),
    ((2, 7), {"kernel_size": (3,), "stride": 1, "padding": 1}),
    ((2, 2, 4, 6), {"kernel_size": (2, 2)}),
    ((5, 6), {"kernel_size": (1, 2), "stride": (3, 1), "dilation": (1, 2)}),
]


@op(
    symbol="put at largest",
    texts={"y": "mean of {g} where {x} is largest"},
    cases=[_largest_case(True, shape, **how) for shape, how in _LARGEST],
)
def max_unpool(
    y: Any,
    x: Any,
    largest: Any,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Put numbers where ``x`` is the largest in its window: the way back of a max pool.

    Parameters
    ----------
    y : Tensor or array_like, shape (..., L') or (..., H', W')
        A number for each window.
    x : array_like, shape (..., L) or (..., H, W)
        It has no derivative.
    largest : array_like, shape (..., L') or (..., H', W')
        The largest of each window, as the pool returns them. It has no derivative.
    kernel_size, stride, padding, dilation : int or tuple of int
        As for the pool, along as many axes as ``kernel_size`` has numbers.

    Returns
    -------
    Tensor or ndarray, of x's shape

    Raises
    ------
    ValueError
        If there are not as many windows as numbers in ``y`` or in ``largest``.

    Notes
    -----
    Where n numbers of a window tie, each gets y / n. Where windows overlap, what they
    put is added up. The adjoint of :func:`max_gather`, which is its derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = [1.0, 3.0, 2.0, 0.0]
    >>> te.max_unpool([10.0, 20.0], x, te.max_pool1d(x, 2), kernel_size=2)
    array([ 0., 10., 20.,  0.])
    """
    how = kernel_size, stride, padding, dilation
    return _unpooled(axes_of(kernel_size), np.asarray(y), np.asarray(x), largest, *how)


def _unpooled(axes: int, y: Any, x: Any, largest: Any, *how: Any) -> Any:
    """Return numbers put where x is the largest in its window."""
    grid, masks, count = _ties("max_unpool", axes, x, largest, *how)
    if y.shape != largest.shape:
        raise ValueError(f"max_unpool: y must be {largest.shape}, got {y.shape}")
    share = y if y.dtype.kind == "f" else y * 1.0
    if count is not None:  # laid out like x
        share = np.divide(share, count, out=np.empty_like(count, share.dtype))
    if type(masks) is not list:
        return grid.added_up(share[grid.for_each_place] * masks)
    make = np.empty_like if grid.tiles else np.zeros_like
    result = make(x, share.dtype, shape=grid.lead + grid.padded)
    for at, mask in zip(grid.places, masks, strict=True):
        if grid.apart:
            np.multiply(share, mask, out=result[at])
        else:
            result[at] += share * mask
    return grid.inside(result)


@op(
    symbol="pick at largest",
    texts={"z": "{g} put where {x} is largest"},
    cases=[_largest_case(False, shape, **how) for shape, how in _LARGEST],
)
def max_gather(
    z: Any,
    x: Any,
    largest: Any,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Any:
    """Pick the number of ``z`` that lies where ``x`` is the largest in its window.

    Parameters
    ----------
    z : Tensor or array_like, of x's shape
    x : array_like, shape (..., L) or (..., H, W)
        It has no derivative.
    largest : array_like, shape (..., L') or (..., H', W')
        The largest of each window, as the pool returns them. It has no derivative.
    kernel_size, stride, padding, dilation : int or tuple of int
        As for the pool, along as many axes as ``kernel_size`` has numbers.

    Returns
    -------
    Tensor or ndarray, shape (..., L') or (..., H', W')

    Raises
    ------
    ValueError
        If ``z`` and ``x`` have not the same shape, or ``largest`` not a number for each
        window.

    Notes
    -----
    Where numbers of a window tie, the mean of what is picked. Picking from x itself
    gives its max pool. The adjoint of :func:`max_unpool`, which is its derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = [1.0, 3.0, 2.0, 0.0]
    >>> te.max_gather([5.0, 6.0, 7.0, 8.0], x, te.max_pool1d(x, 2), kernel_size=2)
    array([6., 7.])
    """
    x, z = np.asarray(x), np.asarray(z)
    if z.shape != x.shape:
        raise ValueError(f"max_gather: z must be {x.shape}, as x is, got {z.shape}")
    how = kernel_size, stride, padding, dilation
    grid, masks, count = _ties("max_gather", axes_of(kernel_size), x, largest, *how)
    padded = grid.padded_with(z, 0)
    if type(masks) is not list:
        chosen = grid.picked(padded) * masks
        result = np.add.reduce(chosen, axis=grid.axis_of_places, dtype=chosen.dtype)
    else:
        first, *others = grid.places
        result = padded[first] * masks[0]
        for at, mask in zip(others, masks[1:], strict=True):
            result = result + padded[at] * mask
    return result if count is None else result / count


max_unpool.vjp(
    y=lambda g, out, y, x, largest, **how: max_gather(
        g, constant(x), constant(largest), **how
    ),
    x=None,
    largest=None,
)
max_gather.vjp(
    z=lambda g, out, z, x, largest, **how: max_unpool(
        g, constant(x), constant(largest), **how
    ),
    x=None,
    largest=None,
)


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
        x, out = constant(x), constant(out)
        if type(g) is np.ndarray:
            return _unpooled(axes, g, x, out, kernel_size, stride, padding, dilation)
        kernel = (
            kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * axes
        )
        how = {"stride": stride, "padding": padding, "dilation": dilation}
        return max_unpool(g, x, out, kernel_size=kernel, **how)

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
    return _largest("max_pool1d", 1, x, kernel_size, stride, padding, dilation)


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
    return _largest("max_pool2d", 2, x, kernel_size, stride, padding, dilation)


max_pool2d.vjp(x=_max_pool_rule(2))


def _averages(who: str, axes: int, x: Any, *how: Any) -> Any:
    x = np.asarray(x)
    grid = _pool_grid(who, axes, x.shape, *how)
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    padded = grid.padded_with(wide(x), 0.0)
    result = _over_windows(np.add, grid, padded)
    result /= math.prod(grid.kernel)
    return result.astype(x.dtype, copy=False)


def _given_back(grid: Grid, share: Any) -> Any:
    """Return what each entry gets of the windows that see it, all in equal shares."""
    if grid.is_small(grid.lead):
        parts = np.empty((*grid.lead, math.prod(grid.kernel), *grid.out), share.dtype)
        parts[...] = share[grid.for_each_place]
        return grid.added_up(parts)
    return grid.add_up([share] * math.prod(grid.kernel))


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
        grid = _pool_grid("", axes, x.shape, kernel_size, stride, padding)
        share = wide(g) / math.prod(grid.kernel)
        if type(share) is np.ndarray:
            return _given_back(grid, share)
        return fold(
            broadcast_to(
                np.reshape(share, out.shape + (1,) * axes), out.shape + grid.kernel
            ),
            shape=grid.shape,
            stride=grid.stride,
            padding=grid.padding,
        )

    return rule


def _avg_pool_text(axes: int) -> Callable[..., str]:
    def text(x: Any, *, kernel_size: Sizes, **_: Any) -> str:
        sizes = sizes_of("", "kernel_size", kernel_size, axes, 1)
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
    return _averages("avg_pool1d", 1, x, kernel_size, stride, padding)


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
    return _averages("avg_pool2d", 2, x, kernel_size, stride, padding)


avg_pool2d.vjp(x=_avg_pool_rule(2))
