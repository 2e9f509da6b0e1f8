"""The same numbers in other places, some of them several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.engine.keywords import refused
from tinygrad_edu.ops.conversion import wide
from tinygrad_edu.ops.indexing import put
from tinygrad_edu.ops.plans import remembered

# NumPy's stubs want a literal for the mode, and a tuple for the axes.
_pad: Any = np.pad
_rot90: Any = np.rot90

__all__ = ["flip", "pad", "repeat", "roll", "rot90", "tile"]


@op(
    numpy=np.roll,
    cases=[
        Case((2, 3), shift=2),
        Case((2, 3), shift=-1, axis=1),
        Case((2, 3), shift=(1, 2), axis=(0, -1)),
        Case((2, 3), shift=1, axis=(0, 1)),
        Case((2, 3), shift=(1, 1), axis=1),
    ],
)
def roll(x: Any, *, shift: Any, axis: Any = None) -> Any:
    """The same numbers moved along an axis; what leaves at the end enters at the front.

    Parameters
    ----------
    x : Tensor or array_like
    shift : int or tuple of int
        By how many places; negative ones move backwards.
    axis : int or tuple of int, optional
        Along which axis; as if ``x`` were flattened unless given.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    The derivative moves the gradient back.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.roll([1.0, 2.0, 3.0], 1)
    array([3., 1., 2.])
    """
    return np.roll(x, shift, axis)


def _roll_rule(g: Any, out: Any, x: Any, *, shift: Any, axis: Any) -> Any:
    return np.roll(g, tuple(-s for s in np.atleast_1d(shift).tolist()), axis)


roll.vjp(x=_roll_rule)


@op(
    numpy=np.flip,
    cases=[
        Case((2, 3)),
        Case((2, 3), axis=0),
        Case((2, 3, 4), axis=(0, -1)),
        Case(()),
    ],
)
def flip(x: Any, *, axis: int | tuple[int, ...] | None = None) -> Any:
    """The same numbers in reverse order, along an axis, several, or all.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int or tuple of int, optional
        The axes to reverse; all unless given.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    The derivative reverses the gradient.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.flip([1.0, 2.0, 3.0])
    array([3., 2., 1.])
    """
    return np.flip(x, axis)


flip.vjp(x=lambda g, out, x, *, axis: np.flip(g, axis))
FROM_NUMPY[np.flipud] = lambda m: flip.call(m, axis=0)
FROM_NUMPY[np.fliplr] = lambda m: flip.call(m, axis=1)


@op(
    numpy=np.rot90,
    cases=[
        Case((2, 3)),
        Case((2, 3), k=2),
        Case((2, 3), k=-1),
        Case((2, 3, 4), k=3, axes=(2, 0)),
    ],
)
def rot90(x: Any, *, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """A matrix, or each in a stack, turned by 90 degrees.

    Parameters
    ----------
    x : Tensor or array_like
        With at least two axes.
    k : int, default 1
        How many times: from the first of ``axes`` towards the second.
    axes : sequence of two int, default (0, 1)
        The plane to turn in.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``axes`` are not two different axes of ``x``.

    Notes
    -----
    The derivative turns the gradient back.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.rot90([[1.0, 2.0], [3.0, 4.0]])
    array([[2., 4.],
           [1., 3.]])
    """
    return _rot90(x, k, axes)


rot90.vjp(x=lambda g, out, x, *, k, axes: np.rot90(g, -k, axes))


@op(
    numpy=np.tile,
    texts={"x": "Σ over the copies in {g}"},
    cases=[
        Case((3,), reps=2),
        Case((2, 3), reps=(2, 1)),
        Case((2, 3), reps=2),
        Case((3,), reps=(2, 1, 2)),
        Case((), reps=3),
        Case((2,), reps=0),
    ],
)
def tile(x: Any, *, reps: int | Sequence[int]) -> Any:
    """The whole array several times over, along each axis.

    Parameters
    ----------
    x : Tensor or array_like
    reps : int or sequence of int
        How many times along each axis; for one int, along the last.

    Returns
    -------
    Tensor or ndarray

    Notes
    -----
    The derivative adds up the gradients of the copies.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.tile([1.0, 2.0], 2)
    array([1., 2., 1., 2.])
    """
    return np.tile(x, reps)


def _tile_rule(g: Any, out: Any, x: Any, *, reps: Any) -> Any:
    times = np.atleast_1d(reps).tolist()
    sizes = (1,) * (len(times) - x.ndim) + x.shape
    times = [1] * (len(sizes) - len(times)) + times
    split = [n for pair in zip(times, sizes, strict=True) for n in pair]
    copies = tuple(range(0, len(split), 2))
    return np.reshape(np.sum(np.reshape(wide(g), split), axis=copies), x.shape)


tile.vjp(x=_tile_rule)


@op(
    numpy=np.repeat,
    texts={"x": "Σ over the copies in {g}"},
    cases=[
        Case((3,), repeats=2),
        Case((2, 3), repeats=2),
        Case((2, 3), repeats=3, axis=-1),
        Case((2, 3), repeats=np.array([2, 0, 1]), axis=1),
        Case((2, 3, 2), repeats=(1, 2), axis=0),
        Case((3,), repeats=[1, 0, 2]),
        Case((2, 3), repeats=[2], axis=0),
        Case((), repeats=2),
    ],
)
def repeat(x: Any, *, repeats: Any, axis: int | None = None) -> Any:
    """Each entry several times in a row.

    Parameters
    ----------
    x : Tensor or array_like
    repeats : int or array of int
        How many times; an array: one number for each entry along the axis.
    axis : int, optional
        Along which axis; the flattened ``x`` unless given.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``repeats`` does not fit the axis, or is negative.

    Notes
    -----
    The derivative adds up the gradients of the copies.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.repeat([1.0, 2.0], 2)
    array([1., 1., 2., 2.])
    """
    return np.repeat(x, repeats, axis)


def _repeat_rule(g: Any, out: Any, x: Any, *, repeats: Any, axis: int | None) -> Any:
    shape, at = (x.size,), 0
    if axis is not None and x.ndim:  # NumPy takes axis=0 of a number
        shape, at = x.shape, axis % x.ndim
    times = np.asarray(repeats)
    if times.size == 1:  # equal groups, which one sum takes
        groups = (*shape[: at + 1], times.item(), *shape[at + 1 :])
        return np.reshape(np.sum(np.reshape(wide(g), groups), axis=at + 1), x.shape)
    index = (*(slice(None),) * at, np.repeat(np.arange(shape[at]), times))
    return np.reshape(put(g, index=index, shape=shape), x.shape)


repeat.vjp(x=_repeat_rule)


def _pad_with(
    x: Any,
    *,
    pad_width: Any,
    mode: str = "constant",
    constant_values: Any = 0,
    reflect_type: Any = "even",
) -> Any:
    if mode not in ("reflect", "symmetric"):
        raise ValueError(f"pad: reflect_type is given, but mode is {mode!r}")
    if reflect_type != "even":
        way = "Along an axis it is 2 * te.pad(x, n, mode='edge') - te.pad(x, n, mode)"
        raise refused("pad", "reflect_type", "reflect_type='even' alone", way)
    return pad.call(x, pad_width=pad_width, mode=mode, constant_values=constant_values)


_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _pad_text(x: Any, *, mode: str, **_: Any) -> str | None:
    return None if mode == "constant" else "{g} put back where it was copied from"


@op(
    symbol="pad",
    keywords=_pad_with,
    texts={"x": _pad_text},
    cases=[
        Case((2, 3), pad_width=1),
        Case((2, 3), pad_width=((1, 0), (0, 2)), constant_values=3.0),
        Case((3,), pad_width=(1, 2), constant_values=(4.0, 5.0)),
        Case((2, 3), pad_width=((1,), (2,)), mode="edge"),
        Case((2, 3), pad_width=((1, 0), (2, 1)), mode="reflect"),
        Case((2, 3), pad_width=4, mode="reflect"),
        Case((2, 3), pad_width=((0, 0), (2, 3)), mode="symmetric"),
        Case((2, 3), pad_width=(4, 5), mode="wrap"),
        Case((2, 3), pad_width={-1: (1, 2)}, mode="wrap"),
    ],
)
def pad(
    x: Any,
    *,
    pad_width: Any,
    mode: str = "constant",
    constant_values: Any = 0,
) -> Any:
    """The array with a margin around it.

    Parameters
    ----------
    x : Tensor or array_like
    pad_width : int, sequence or dict
        How wide: one number for all sides, ``(before, after)`` for every axis, one such
        pair for each axis, or a dict from axes to these.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}, default "constant"
        What stands in the margin: a constant; the entry at the edge; the entries
        mirrored at the edge entry, or behind it; the entries from the other side.
    constant_values : number or sequence, default 0
        The constant, or as ``pad_width`` one for each side. It has no derivative.
    reflect_type : {"even"}, default "even"
        As in NumPy, of the modes that mirror.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If the mode is another, or ``pad_width`` does not fit ``x``.

    Notes
    -----
    The derivative cuts the margin off, and adds what stands there to the entries that
    it was copied from.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.pad([1.0, 2.0, 3.0], 2, mode="reflect")
    array([3., 2., 1., 2., 3., 2., 1.])
    """
    if mode not in _MODES:
        raise ValueError(
            f"pad: mode {mode!r} is not supported; only {', '.join(_MODES)} are"
        )
    if mode == "constant" and type(constant_values) in (int, float):
        x = np.asarray(x)
        shape, inner = _margins(x.shape, pad_width)
        result = np.zeros(shape, x.dtype, "F" if x.flags.fnc else "C")
        if constant_values or type(constant_values) is float:  # -0.0
            result[...] = constant_values
        result[inner] = x
        return result
    if mode == "constant":
        return _pad(x, pad_width, mode, constant_values=constant_values)
    if not np.array_equal(constant_values, 0):
        raise ValueError(f"pad: constant_values is given, but mode is {mode!r}")
    return _pad(x, pad_width, mode)


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """Return (before, after) of each axis."""
    given = pad_width.values() if isinstance(pad_width, dict) else [pad_width]
    sizes = [np.asarray(width) for width in given]
    if any(width.dtype.kind != "i" for width in sizes):
        raise TypeError(f"pad: pad_width must be integers, got {pad_width!r}")
    if any(np.any(width < 0) for width in sizes):
        raise ValueError(f"pad: pad_width must not be negative, got {pad_width!r}")
    widths = np.zeros((ndim, 2), int)
    for axis, width in zip(
        pad_width if isinstance(pad_width, dict) else [...], sizes, strict=True
    ):
        widths[axis] = width
    return [(before, after) for before, after in widths.tolist()]


@remembered
def _margins(
    shape: tuple[int, ...], pad_width: Any
) -> tuple[tuple[int, ...], tuple[slice, ...]]:
    """Return the shape with margins of these widths, and where x lies in it."""
    widths = _widths(pad_width, len(shape))
    pairs = [*zip(widths, shape, strict=True)]
    return (
        tuple(before + n + after for (before, after), n in pairs),
        tuple(slice(before, before + n) for (before, _), n in pairs),
    )


def _pad_rule(
    g: Any, out: Any, x: Any, *, pad_width: Any, mode: str, constant_values: Any
) -> Any:
    if mode == "constant":
        _, inner = _margins(x.shape, pad_width)
        return g[inner]
    widths = _widths(pad_width, x.ndim)
    for axis, (width, n) in enumerate(zip(widths, x.shape, strict=True)):
        if any(width):  # where each entry along the axis was copied from
            origin = _pad(np.arange(n), width, mode)
            index = (*(slice(None),) * axis, origin)
            shape = (*g.shape[:axis], n, *g.shape[axis + 1 :])
            g = put(g, index=index, shape=shape)
    return g


pad.vjp(x=_pad_rule)


def _numpys_pad(
    array: Any, pad_width: Any, mode: str = "constant", **others: Any
) -> Any:
    """Answer for ``np.pad``, which takes constants only in the mode that has them."""
    return pad.call(array, pad_width=pad_width, mode=mode, **others)


FROM_NUMPY[np.pad] = _numpys_pad
