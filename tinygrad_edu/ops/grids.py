"""Where windows lie that slide over the last axes: sizes, and what they see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import product
from operator import mul
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.ops.plans import remembered

__all__ = ["Grid", "Sizes", "axes_of", "grid_of", "sizes_of", "times"]

Sizes = int | tuple[int, ...]

#: Entries that windows see up to which all are picked at once.
_FEW = 2**13


def sizes_of(who: str, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """Return one size for each axis, from a number or a tuple."""
    sizes = value if isinstance(value, tuple) else (value,) * axes
    if len(sizes) != axes or not all(isinstance(n, int | np.integer) for n in sizes):
        expected = "an int" if axes == 1 else f"an int or a tuple of {axes}"
        raise TypeError(f"{who}: {name} must be {expected}, got {value!r}")
    if min(sizes) < least:
        raise ValueError(f"{who}: {name} must be at least {least}, got {value!r}")
    return tuple(map(int, sizes))


def axes_of(kernel_size: Sizes) -> int:
    """Return along how many axes a kernel of this size slides."""
    return len(kernel_size) if isinstance(kernel_size, tuple) else 1


class Grid:
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
        self.kernel = sizes_of(who, "kernel_size", kernel_size, axes, 1)
        self.stride = sizes_of(who, "stride", stride, axes, 1)
        self.padding = sizes_of(who, "padding", padding, axes, 0)
        self.dilation = sizes_of(who, "dilation", dilation, axes, 1)
        if len(shape) < axes:
            raise ValueError(f"{who}: x is {tuple(shape)}; it needs {axes} axes")
        self.axes = axes
        self.lead = tuple(shape[: len(shape) - axes])
        self.shape = tuple(shape[len(shape) - axes :])
        self.padded = tuple(
            n + 2 * p for n, p in zip(self.shape, self.padding, strict=True)
        )
        spans = [
            d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)
        ]
        if any(span > n for span, n in zip(spans, self.padded, strict=True)):
            raise ValueError(
                f"{who}: the kernel spans {times(spans)}, more than the input, which "
                f"is {times(self.padded)} with padding"
            )
        #: Whether no entry lies in two windows.
        self.apart = all(s >= n for s, n in zip(self.stride, spans, strict=True))
        self.out = tuple(
            (n - span) // s + 1
            for n, span, s in zip(self.padded, spans, self.stride, strict=True)
        )
        self.result = self.lead + self.out
        #: Whether every entry lies in exactly one window.
        self.tiles = self.stride == tuple(spans) == self.kernel and not any(
            n % s for n, s in zip(self.padded, self.stride, strict=True)
        )
        #: How many entries all windows see.
        self.seen = math.prod(self.kernel) * math.prod(self.out)
        self.largest = max(self.seen, math.prod(self.padded))
        self.axis_of_places = -1 - axes
        #: The index that gives (..., *out) an axis for the places of the kernel.
        self.for_each_place = (..., None, *(slice(None),) * axes)
        #: What of an input with its border is its own.
        self.inner: tuple[Any, ...] = (
            ...,
            *(slice(p, p + n) for p, n in zip(self.padding, self.shape, strict=True)),
        )

    def padded_with(self, x: Any, fill: float) -> Any:
        """Return x with a border of ``fill``."""
        if self.padded == self.shape:
            return x
        shape = x.shape[: x.ndim - self.axes] + self.padded
        result = np.empty_like(x, shape=shape)  # laid out in memory like x
        result[...] = fill
        result[self.inner] = x
        return result

    def inside(self, x: Any) -> Any:
        """Return x without what lies around its own entries."""
        return x if x.shape[x.ndim - self.axes :] == self.shape else x[self.inner]

    def seen_along(self, axis: int, k: int) -> slice:
        """Return what the kernel's place ``k`` along an axis sees of that axis."""
        start, step = self.dilation[axis] * k, self.stride[axis]
        return slice(start, start + step * (self.out[axis] - 1) + 1, step)

    @cached_property
    def offsets(self) -> list[tuple[Any, ...]]:
        """The indices of a window's entries: (..., 0, 0), (..., 0, 1), ..."""
        return [(..., *offset) for offset in product(*map(range, self.kernel))]

    @cached_property
    def places(self) -> list[tuple[Any, ...]]:
        """The index of what each place of the kernel sees, shape (..., *out)."""
        seen = (
            map(self.seen_along, range(self.axes), offset)
            for _, *offset in self.offsets
        )
        return [(..., *slices) for slices in seen]

    @cached_property
    def along(self) -> list[list[tuple[Any, ...]]]:
        """For each axis, the indices of what each place of the kernel sees along it."""
        after = [(slice(None),) * (self.axes - 1 - axis) for axis in range(self.axes)]
        return [
            [(..., self.seen_along(axis, k), *after[axis]) for k in range(n)]
            for axis, n in enumerate(self.kernel)
        ]

    def view(self, padded: Any) -> Any:
        """Return a view of shape (..., *out, *kernel), for reading only."""
        lead = padded.ndim - self.axes
        steps = padded.strides[lead:]
        out = map(mul, steps, self.stride)
        kernel = map(mul, steps, self.dilation)
        return _strided(
            padded,
            padded.shape[:lead] + self.out + self.kernel,
            (*padded.strides[:lead], *out, *kernel),
        )

    def add_up(self, parts: Sequence[Any]) -> Any:
        """Return what each place of the kernel has, added up where it sees it."""
        first = parts[0]
        lead = first.shape[: first.ndim - self.axes]
        result = np.zeros(lead + self.padded, first.dtype)
        for place, part in zip(self.places, parts, strict=True):
            result[place] += part
        return self.inside(result)

    # A small input is not gone through place by place of the kernel: what all of them
    # see is picked by its numbers, at once, and so is what is added up.

    def is_small(self, lead: Sequence[int], weight: int = 1) -> bool:
        """Whether what the windows see of (*lead, *shape) is picked at once."""
        return 0 < math.prod(lead) * self.largest * weight <= _FEW

    @cached_property
    def numbers(self) -> Any:
        """The numbers, in a flat input with its border, of what is seen: (k, *out)."""
        flat = np.arange(math.prod(self.padded)).reshape(self.padded)
        return np.stack([flat[place] for place in self.places])

    @cached_property
    def seen_at(self) -> Any:
        """For each entry, the numbers of where it is seen: (most, *shape).

        Entries that are not seen that often have the number behind the last. Without
        the first axis where no window overlaps.
        """
        entry = self.numbers.ravel()
        places = np.argsort(entry, kind="stable")
        entry = entry[places]
        rank = np.arange(entry.size) - np.searchsorted(entry, entry)
        seen_at = np.full((rank.max() + 1, *self.padded), entry.size)
        seen_at.reshape(len(seen_at), -1)[rank, entry] = places
        seen_at = np.ascontiguousarray(self.inside(seen_at))
        return seen_at[0] if self.apart else seen_at

    @cached_property
    def sees_all_alike(self) -> bool:
        """Whether every entry is seen equally often."""
        return bool(self.seen_at.max() < self.seen)

    def picked(self, padded: Any) -> Any:
        """Return what each place of the kernel sees, (..., k, *out)."""
        lead = padded.shape[: padded.ndim - self.axes]
        return padded.reshape(*lead, -1).take(self.numbers, axis=-1)

    def added_up(self, parts: Any) -> Any:
        """Return what each place of the kernel has, (..., k, *out), added up."""
        lead = parts.shape[: self.axis_of_places]
        flat = parts.reshape(*lead, -1)
        if not self.sees_all_alike:
            flat = np.zeros((*lead, self.seen + 1), parts.dtype)
            flat[..., :-1] = parts.reshape(*lead, -1)
        found = flat.take(self.seen_at, axis=-1)
        if self.apart:
            return found
        return np.add.reduce(found, axis=self.axis_of_places, dtype=found.dtype)


@remembered
def grid_of(*sizes: Any) -> Grid:
    """Return the grid of these sizes; the same object for the same ones."""
    return Grid(*sizes)


def _strided(x: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Return a view of x, for reading only."""
    if type(x) is not np.ndarray or not x.flags.c_contiguous or not x.size:
        return as_strided(x, shape, strides, writeable=False)
    view = np.ndarray(shape, x.dtype, x, 0, strides)  # a tenth of as_strided's time
    view.flags.writeable = False
    return view


def times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
