"""Where random numbers come from: one door for every function that draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

__all__ = [
    "Random",
    "RandomSource",
    "draw",
    "generator",
    "set_state",
    "setter",
    "state_of",
]

if TYPE_CHECKING:
    Random = np.random.Generator | np.random.RandomState
    #: What every ``rng=`` argument takes.
    RandomSource = int | Random | None
else:  # NumPy loads numpy.random when it is first asked for, which takes 20 ms
    Random = RandomSource = Any


def generator(rng: RandomSource) -> Random:
    """Return the random generator that ``rng`` stands for.

    Parameters
    ----------
    rng : int, numpy.random.Generator, numpy.random.RandomState or None
        A seed for a new Generator, a generator to go on drawing from, or None
        for a Generator seeded by the operating system.

    Returns
    -------
    numpy.random.Generator or numpy.random.RandomState
        The two share the methods that this project draws with:
        ``standard_normal``, ``uniform``, ``choice`` and ``permutation``.

    Raises
    ------
    TypeError
        If ``rng`` is neither of these.

    Examples
    --------
    >>> generator(0).permutation(4)
    array([2, 0, 1, 3])
    """
    if isinstance(rng, np.random.Generator | np.random.RandomState):
        return rng
    if rng is None or (isinstance(rng, int | np.integer) and not isinstance(rng, bool)):
        return np.random.default_rng(rng)
    raise TypeError(
        "rng must be a seed (int), a numpy Generator, a RandomState or None, "
        f"got {type(rng).__name__}"
    )


def state_of(rng: Random) -> dict[str, Any]:
    """Return all that the next draws of a generator depend on.

    Parameters
    ----------
    rng : numpy.random.Generator or numpy.random.RandomState

    Returns
    -------
    dict
        Numbers, strings and arrays, by name, for :func:`set_state`.

    Examples
    --------
    >>> rng = generator(0)
    >>> state = state_of(rng)
    >>> first = rng.permutation(4)
    >>> set_state(rng, state)
    >>> rng.permutation(4) == first
    array([ True,  True,  True,  True])
    """
    if isinstance(rng, np.random.Generator):
        return dict(rng.bit_generator.state)
    return dict(rng.get_state(legacy=False))


def set_state(rng: Random, state: dict[str, Any]) -> None:
    """Let a generator draw on from where :func:`state_of` was called.

    Parameters
    ----------
    rng : numpy.random.Generator or numpy.random.RandomState
        Of the kind that the state comes from.
    state : dict

    Raises
    ------
    ValueError
        If the state comes from a generator of another kind.
    """
    setter(rng)(state)


def setter(rng: Random) -> Callable[[dict[str, Any]], None]:
    """Return what :func:`set_state` calls: a function in C, for a generator."""
    if isinstance(rng, np.random.Generator):
        return partial(setattr, rng.bit_generator, "state")
    return rng.set_state


def draw(rng: Random, method: str, *args: Any, **kwargs: Any) -> Any:
    """Return what a method of a generator draws: how a layer draws when it is called.

    A compiled step finds the draws here, and makes them in the same order.

    Parameters
    ----------
    rng : numpy.random.Generator or numpy.random.RandomState
    method : str
        Such as ``"uniform"``.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> draw(generator(0), "permutation", 4)
    array([2, 0, 1, 3])
    """
    return getattr(rng, method)(*args, **kwargs)
