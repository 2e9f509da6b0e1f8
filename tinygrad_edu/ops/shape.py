"""Other shapes for the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import Case, op

__all__ = ["concatenate", "reshape", "transpose"]


def _integers_or_tuple(op: str, name: str) -> Any:
    """Accept ``x.reshape(2, 3)`` beside ``x.reshape((2, 3))``."""

    def adapter(
        x: Any, *numbers: Any, **metadata: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        if numbers:
            if name in metadata:
                raise TypeError(f"{op}: got two values for {name}")
            together = len(numbers) == 1 and not isinstance(
                numbers[0], int | np.integer
            )
            metadata[name] = numbers[0] if together else numbers
        if isinstance(metadata.get(name), list):  # the user's own, who may change it
            metadata[name] = tuple(metadata[name])
        if unknown := metadata.keys() - {name}:
            raise TypeError(
                f"{op}: argument {min(unknown)!r} is not supported; it takes x, {name}"
            )
        return [x], metadata

    return adapter


@op(
    numpy=np.reshape,
    adapter=_integers_or_tuple("reshape", "shape"),
    cases=[Case((2, 3), shape=(3, 2)), Case((2, 3), shape=-1), Case((), shape=(1, 1))],
)
def reshape(x: Any, *, shape: int | Sequence[int]) -> Any:
    """The same numbers, in the same order, in another shape.

    Parameters
    ----------
    x : Tensor or array_like
    shape : int or sequence of int
        One of them may be -1: it is inferred.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If the number of entries differs.

    Notes
    -----
    The derivative puts the gradient back into ``x``'s shape.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.reshape([1.0, 2.0, 3.0, 4.0], (2, 2))
    array([[1., 2.],
           [3., 4.]])
    """
    return np.reshape(x, shape)


reshape.vjp(x=lambda g, out, x, *, shape: np.reshape(g, x.shape))


@op(
    numpy=np.transpose,
    symbol="ᵀ",
    adapter=_integers_or_tuple("transpose", "axes"),
    cases=[
        Case((2, 3)),
        Case((2, 3, 4), axes=(1, 2, 0)),
        Case((2, 3, 4), axes=(-1, 0, 1)),
    ],
)
def transpose(x: Any, *, axes: Sequence[int] | None = None) -> Any:
    """The same numbers with the axes in another order.

    Parameters
    ----------
    x : Tensor or array_like
    axes : sequence of int, optional
        Which axis of ``x`` comes first, second, ...; all reversed unless given.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If ``axes`` is no permutation of ``x``'s axes.

    Notes
    -----
    The derivative puts the axes of the gradient back into ``x``'s order.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.transpose([[1.0, 2.0]])
    array([[1.],
           [2.]])
    """
    return np.transpose(x, axes)


def _transpose_rule(g: Any, out: Any, x: Any, *, axes: Sequence[int] | None) -> Any:
    back = None if axes is None else np.argsort([axis % x.ndim for axis in axes])
    return np.transpose(g, back)


transpose.vjp(x=_transpose_rule)


def _sequence_first(
    arrays: Any, axis: int = 0, **others: Any
) -> tuple[Any, dict[str, Any]]:
    """Accept ``concatenate([a, b], 0)``, as NumPy writes it."""
    if others:
        raise TypeError(
            f"concatenate: argument {min(others)!r} is not supported; "
            "it takes arrays, axis"
        )
    if len(arrays) == 0:
        raise ValueError("concatenate: need at least one array")
    return list(arrays), {"axis": axis}


@op(
    numpy=np.concatenate,
    adapter=_sequence_first,
    cases=[Case((2, 3), (1, 3)), Case((2, 1), (2, 3), (2, 2), axis=-1)],
)
def concatenate(*arrays: Any, axis: int = 0) -> Any:
    """Join arrays along an axis that they have.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Of equal shapes but for that axis.
    axis : int, default 0

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes do not fit.

    Notes
    -----
    The derivative cuts the gradient up again.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.concatenate([[1.0, 2.0], [3.0]])
    array([1., 2., 3.])
    """
    return np.concatenate(arrays, axis=axis)


def _concatenate_rule(g: Any, out: Any, *arrays: Any, axis: int, position: int) -> Any:
    axis %= g.ndim
    start = sum(x.shape[axis] for x in arrays[:position])
    stop = start + arrays[position].shape[axis]
    return g[(slice(None),) * axis + (slice(start, stop),)]


concatenate.vjp(arrays=_concatenate_rule)
