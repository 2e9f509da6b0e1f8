"""Entries put in, left out and chosen; called as NumPy's, or from ``te.ops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.engine.composites import composite, tensors_in
from tinygrad_edu.engine.core import Case
from tinygrad_edu.engine.dispatch import FROM_NUMPY, plain
from tinygrad_edu.ops.broadcasting import broadcast_to
from tinygrad_edu.ops.conversion import arrays, cast
from tinygrad_edu.ops.indexing import getitem, put, take_along_axis
from tinygrad_edu.ops.kinks import numbers

__all__ = [
    "bincount",
    "choose",
    "compress",
    "delete",
    "extract",
    "histogram",
    "insert",
    "partition",
    "select",
]

_CHOICE = np.array([[True, False, True], [False, False, True]])


def _flat_or_along(x: Any, axis: int | None) -> tuple[Any, int]:
    """Return the array to work on and an axis of it: of None, the flattened one."""
    if axis is None:
        return np.ravel(x), 0
    return x, normalize_axis_index(axis, np.ndim(x))


def _picked(x: Any, index: Any, axis: int) -> Any:
    return getitem(x, (*(slice(None),) * axis, index))


@composite(
    np.delete,
    arrays=("x",),
    cases=[
        Case((4,), 1),
        Case((2, 3), np.array([0, -1, 0]), axis=1),
        Case((2, 3), np.array([1, 4])),
        Case((3, 2), np.array([True, False, True]), axis=0),
    ],
)
def delete(x: Any, obj: Any, axis: int | None = None) -> Any:
    """The array without some of its entries, rows or columns.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    obj : int, slice, or array of int or bool, any shape
        Which of them to leave out.
    axis : int, optional
        Along which axis; the flattened ``x`` unless given.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape but along the axis

    Raises
    ------
    IndexError
        If there are none such.

    Notes
    -----
    dL/dx = g, and 0 at what was left out.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.delete([1.0, 2.0, 3.0], 1)
    array([1., 3.])
    """
    x, along = _flat_or_along(x, axis)
    return _picked(x, np.delete(np.arange(x.shape[along]), obj), along)


@composite(
    np.insert,
    arrays=("x", "values"),
    cases=[
        Case((4,), 1, ()),
        Case((2, 3), 1, (2,), axis=1),
        Case((2, 3), np.array([0, 2]), (2, 2), axis=1),
        Case((2, 3), np.array([3, 1, 1]), (3,)),
        Case((3, 2), -1, (2,), axis=0),
        Case((2, 3), np.array([1]), (2, 2), axis=1),
    ],
)
def insert(x: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """The array with further entries, rows or columns.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    obj : int, slice, or array of int or bool, any shape
        Before which of them to put the new ones.
    values : Tensor or array_like
        The new ones, of a shape that broadcasts to that of what is inserted; they take
        the dtype of ``x``.
    axis : int, optional
        Along which axis; the flattened ``x`` unless given.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape but along the axis

    Raises
    ------
    IndexError
        If there are none such.
    ValueError
        If the values do not fit.

    Notes
    -----
    dL/dx and dL/dvalues are g where each of them went to.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.insert([1.0, 2.0, 3.0], 1, 9.0)
    array([1., 9., 2., 3.])
    """
    x, values = arrays(x, values)
    x, along = _flat_or_along(x, axis)
    n = x.shape[along]
    values = cast(values, x.dtype)
    values = np.reshape(values, (1,) * (x.ndim - values.ndim) + values.shape)
    single = not isinstance(obj, slice) and np.size(obj) == 1
    single = single and np.asarray(obj).dtype != bool
    if single and np.ndim(obj) == 0:
        values = np.moveaxis(values, 0, along)
    places = np.arange(n)
    count = values.shape[along] if single else np.insert(places, obj, -1).size - n
    shape = (*x.shape[:along], count, *x.shape[along + 1 :])
    values = broadcast_to(values, shape=shape)
    came_from = np.insert(places, obj, n + np.arange(count))
    return _picked(np.concatenate([x, values], along), came_from, along)


@composite(
    np.select,
    arrays=("choicelist", "default"),
    cases=[
        Case(_CHOICE, (2, 3)),
        Case(_CHOICE, (2, 2, 3), default=np.array([1.0, 2.0, 3.0])),
        Case(_CHOICE[:, None, :], (2, 2, 1), default=-1.5),
    ],
)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The first of several choices whose condition holds, elementwise.

    Parameters
    ----------
    condlist : sequence of array_like of bool
        They have no derivative.
    choicelist : sequence of Tensor or array_like
        One for each condition; shapes broadcast.
    default : Tensor or array_like, of a shape that broadcasts, default 0
        Where no condition holds.

    Returns
    -------
    Tensor or ndarray, of the broadcast shape

    Raises
    ------
    ValueError
        If there are no conditions, not as many choices, or the shapes do not fit.
    TypeError
        If conditions are no booleans.

    Notes
    -----
    dL/dx = g where x was chosen, and 0 elsewhere; of nan and infinities in what was not
    chosen ``te.where`` tells.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([-1.0, 0.5, 3.0])
    >>> te.ops.select([x < 0, x < 1], [-x, x**2], default=7.0)
    tensor([1.  , 0.25, 7.  ])
    """
    conditions, choices = [*condlist], [*choicelist]
    if not conditions or len(conditions) != len(choices):
        raise ValueError(
            f"select: got {len(conditions)} conditions and {len(choices)} choices; "
            "give one choice for each of one condition or more"
        )
    y = default
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        if (dtype := np.asarray(condition).dtype).kind != "b":
            raise TypeError(f"select: conditions must be booleans, got {dtype}")
        y = np.where(condition, choice, y)
    return y


@composite(
    np.choose,
    arrays=("choices",),
    cases=[
        Case(np.array([1, 0, 1]), (2, 3)),
        Case(np.array([[2], [0]]), (3, 2, 2)),
        Case(np.array([3, -1, 0]), (2, 3), mode="wrap"),
        Case(np.array([3, -1, 0]), (2, 3), mode="clip"),
    ],
)
def choose(a: Any, choices: Any, *, mode: str = "raise") -> Any:
    """One of several arrays for each entry, by its number.

    Parameters
    ----------
    a : array_like of int, any shape
        Which of them, from 0 on. It has no derivative.
    choices : sequence of Tensor or array_like
        Shapes broadcast together, and with that of ``a``.
    mode : {"raise", "wrap", "clip"}, default "raise"
        What becomes of a number outside: an error, counted round and round, or the
        first or last.

    Returns
    -------
    Tensor or ndarray, of the broadcast shape

    Raises
    ------
    ValueError
        If a number lies outside, or the shapes do not fit.

    Notes
    -----
    dL/dx = g where x was chosen, and 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.choose([1, 0], [[1.0, 2.0], [3.0, 4.0]])
    array([3., 2.])
    """
    given = arrays(*choices)
    shape = np.broadcast_shapes(np.shape(a), *(x.shape for x in given))
    a = np.broadcast_to(a, shape)
    if mode == "raise" and np.any((a < 0) | (a >= len(given))):
        raise ValueError(f"choose: a must lie in 0..{len(given) - 1}")
    a = a % len(given) if mode == "wrap" else np.clip(a, 0, len(given) - 1)
    stacked = np.stack([broadcast_to(x, shape=shape) for x in given])
    return take_along_axis(stacked, a[None], axis=0)[0]


@composite(
    np.compress,
    arrays=("x",),
    cases=[
        Case(np.array([True, False, True]), (2, 3), axis=1),
        Case(np.array([False, True]), (2, 3), axis=0),
        Case(np.array([False, True, False, True]), (2, 3)),
    ],
)
def compress(condition: Any, x: Any, axis: int | None = None) -> Any:
    """Entries, rows or columns for which a condition holds.

    Parameters
    ----------
    condition : array_like of bool, shape (k,)
        One for each, or for the first of them.
    x : Tensor or array_like, any shape
    axis : int, optional
        Along which axis; the flattened ``x`` unless given.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape but along the axis

    Raises
    ------
    ValueError
        If the condition has not one axis.
    IndexError
        If it holds for what ``x`` has not.

    Notes
    -----
    dL/dx = g where the condition holds, and 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.compress([True, False, True], [1.0, 2.0, 3.0])
    array([1., 3.])
    """
    if np.ndim(condition) != 1:
        raise ValueError(
            f"compress: condition must have one axis, got {np.shape(condition)}"
        )
    x, along = _flat_or_along(x, axis)
    return _picked(x, np.flatnonzero(condition), along)


@composite(
    np.extract,
    arrays=("x",),
    cases=[Case(_CHOICE, (2, 3)), Case(np.array([1, 0, 2]), (3,))],
)
def extract(condition: Any, x: Any) -> Any:
    """The entries for which a condition holds, in order.

    Parameters
    ----------
    condition : array_like, of ``x``'s shape
        What is not 0 holds.
    x : Tensor or array_like, any shape

    Returns
    -------
    Tensor or ndarray, shape (k,)

    Raises
    ------
    IndexError
        If the condition holds for what ``x`` has not.

    Notes
    -----
    dL/dx = g where the condition holds, and 0 elsewhere.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.extract([True, False, True], [1.0, 2.0, 3.0])
    array([1., 3.])
    """
    return np.ravel(x)[np.flatnonzero(condition)]


@composite(
    np.partition,
    arrays=("x",),
    cases=[
        Case((7,), 3),
        Case((2, 5), kth=[1, 3]),
        Case((4, 2), 2, axis=0),
        Case((2, 3), 1, axis=None),
    ],
)
def partition(
    x: Any, kth: int | Sequence[int], axis: int | None = -1, kind: Any = "introselect"
) -> Any:
    """The numbers in an order in which some stand where they do when sorted.

    Parameters
    ----------
    x : Tensor or array_like, any shape
    kth : int or sequence of int
        Which places are right; smaller numbers stand before, larger ones behind.
    axis : int or None, default -1
        With None ``x`` is flattened.
    kind : {"introselect"}
        NumPy's only way.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Raises
    ------
    ValueError
        If ``x`` has no such axis, or the axis no such place.

    Notes
    -----
    y = x[p] with the order p; dL/dx = g put back by p.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.ops.partition([3.0, 1.0, 2.0], 1)[1])
    2.0
    """
    x, along = _flat_or_along(x, axis)
    plainly = np.partition(numbers(x), kth, along, kind)
    rank = np.argsort(np.argsort(plainly, along, stable=True), along)
    order = np.argsort(numbers(x), along, stable=True)
    return take_along_axis(x, np.take_along_axis(order, rank, along), axis=along)


@composite(
    np.bincount,
    arrays=("weights",),
    cases=[
        Case(np.array([0, 2, 2, 1]), weights=np.array([0.5, 1.5, -2.0, 1.0])),
        Case(np.array([1, 1]), weights=np.array([0.5, 1.5]), minlength=4),
    ],
)
def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Sums of the weights of equal numbers.

    Parameters
    ----------
    x : array_like of int, shape (k,)
        From 0 on. They have no derivative.
    weights : Tensor or array_like, shape (k,), optional
        1 each unless given.
    minlength : int, default 0
        How long the result is at least.

    Returns
    -------
    Tensor or ndarray, shape (n,)

    Raises
    ------
    ValueError
        If numbers are negative, or the weights do not fit.

    Notes
    -----
    yₙ = Σ wᵢ over all xᵢ = n; dL/dwᵢ = g at xᵢ.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.bincount([0, 2, 2], [1.0, 2.0, 3.0])
    array([1., 0., 5.])
    """
    counts = np.bincount(x, numbers(weights), minlength)
    return put(cast(weights, counts.dtype), index=(np.asarray(x),), shape=counts.shape)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """How many numbers lie in each of several bins, or the sum of their weights.

    Parameters
    ----------
    a : Tensor or array_like, any shape
        The derivative by them is 0 but for the jumps, so that they count as plain
        numbers.
    bins : int, str or array_like, shape (k + 1,), default 10
        How many bins, or their edges, as in ``numpy.histogram``.
    range : tuple of two float, optional
        The ends of the bins, in ``a``'s unit; those of ``a`` unless given.
    density : bool, optional
        Divide by the width of each bin and by the sum of all.
    weights : Tensor or array_like, of ``a``'s shape, optional
        1 each unless given. By them there is a derivative.

    Returns
    -------
    tuple of two: Tensor or ndarray, shape (k,), and ndarray, shape (k + 1,)
        The sums, recorded if the weights are, and the edges.

    Raises
    ------
    ValueError
        If the bins or the weights do not fit.

    Notes
    -----
    yₖ = Σ w over the numbers in bin k; dL/dw = g of its bin.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.ops.histogram([1.0, 1.5, 3.0], bins=[0.0, 2.0, 4.0])[0]
    array([2, 1])
    """
    counted = _histogram(a, bins, range, density, weights)
    if not any(w.requires_grad for w in tensors_in(weights)):
        return counted
    values, edges = np.ravel(numbers(a)), counted[1]
    weights = np.ravel(weights)
    inside = np.flatnonzero((values >= edges[0]) & (values <= edges[-1]))
    places = np.searchsorted(edges, values[inside], side="right") - 1
    places = np.minimum(places, len(edges) - 2)  # the last bin has its right edge, too
    sums = put(weights[inside], index=(places,), shape=(len(edges) - 1,))
    if density:
        sums = sums / np.diff(edges) / np.sum(sums)
    return sums, edges


plain(np.histogram, np.histogram_bin_edges)
_histogram = FROM_NUMPY[np.histogram]
FROM_NUMPY[np.histogram] = histogram
