"""What no interrupt cuts in two: several changes, made in one call of a function in C.

Python looks for a Ctrl-C between its own instructions, and there raises an error. While
a function in C is running it does not look, and what calls nothing but functions in C
is done when it looks again. So what must not be left half done is computed first, and
then taken over by an iterator over such functions, which one call goes through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any

from tinygrad_edu.engine.traversal import INDICES

__all__ = ["assigned", "at_once", "newer"]


def at_once(calls: Iterable[Any]) -> None:
    """Go through an iterator over calls of functions in C, all of them.

    Parameters
    ----------
    calls : iterable
        Such as ``map(setattr, objects, repeat("name"), values)``. What they call must
        have done its work when it raises an error: NumPy looks for an overflow, and
        warns, when all entries are written. The rest follows, then the error is raised.
    """
    rest = iter(calls)
    try:
        deque(rest, maxlen=0)
    except BaseException:
        is_done = False
        while not is_done:
            try:
                deque(rest, maxlen=0)
                is_done = True
            except BaseException:  # another one: of the next parameter, say
                pass
        raise


def newer(leaves: Sequence[Any]) -> Iterator[Any]:
    """Mark leaves as newer than every graph that used them, as ``p.data -= ...`` does.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True)
    >>> loss = w * w
    >>> at_once(newer([w]))
    >>> loss.backward()
    Traceback (most recent call last):
    RuntimeError: ...
    """
    return chain(
        map(setattr, leaves, repeat("_index"), INDICES),
        map(setattr, leaves, repeat("_changed"), INDICES),
    )


def assigned(leaves: Sequence[Any], arrays: Iterable[Any]) -> Iterator[Any]:
    """Do what ``p.data = array`` does, with arrays that are as they should be."""
    return chain(
        map(setattr, leaves, repeat("_numbers"), arrays),
        map(setattr, leaves, repeat("_cut"), repeat(None)),
        map(setattr, leaves, repeat("_prints"), repeat(None)),
        newer(leaves),
    )
