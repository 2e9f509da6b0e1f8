"""Arrays that a graph and somebody else hold: are they still what they were?

A graph keeps arrays by reference, and its rules read them on the way back. Who holds
one, too, may have written into it by then, and a gradient would be wrong without a
word. Three kinds of memory are told apart:

- results: handed out to be read only;
- leaves: their own, until somebody asks for ``.data``, which lends it;
- arrays of the user's, given to an operation as they are.

Of the last two a print is taken, and compared when the walk comes by. Of a large array
it is the print of some thousands of its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.creation import INDICES
from tinygrad_edu.engine.memory import LARGE, keep_freed_memory

__all__ = [
    "assigned",
    "check",
    "check_prints",
    "check_since",
    "for_reading",
    "guarded",
    "is_own",
    "lent_by_others",
    "print_of",
    "prints_of",
]

WHOLE = 2**16  # bytes: of arrays up to this size all count
_PLACES = 64  # so many places of a larger one count in either half,
_LINE = np.dtype("V64")  # and so many bytes at each: what one look into memory brings


def print_of(x: Any) -> bytes:
    """Return what is the same for equal arrays, and another one for nearly all others.

    Up to 64 KB these are all the bytes, else 8 KB: the first and the last 64, and 126
    times 64 between them.
    """
    return _look_at(x)()


def _look_at(x: Any) -> Callable[[], bytes]:
    """Return the function that takes the print of ``x``, as it then is."""
    if type(x) is not ndarray:
        return bytes  # b"": NumPy's numbers cannot be written to
    if x.nbytes <= WHOLE:
        return x.tobytes
    if x.nbytes >= LARGE:  # such an array has entered a graph
        keep_freed_memory()
    if x.flags.forc:
        end = x.nbytes - _LINE.itemsize
        step = end // (2 * _PLACES - 1)
        steps = end - (_PLACES - 1) * step, step
        memory: Any = x if x.flags.c_contiguous else x.T
        return ndarray((2, _PLACES), _LINE, memory, 0, steps).tobytes
    step = int((x.size / (32 * _PLACES)) ** (1 / x.ndim)) or 1
    some: ndarray = x[(slice(None, None, step),) * x.ndim]
    last: ndarray = x[(slice(-1, None),) * x.ndim]
    return lambda: some.tobytes() + last.tobytes()


def for_reading(x: Any) -> Any:
    """Return a view of an array that nobody can write to."""
    if type(x) is ndarray:
        x = x.view()
        x.flags.writeable = False
    return x


def guarded(pull: Callable[..., None]) -> Callable[..., None]:
    """Return a way to pull whose rules cannot write into the gradient they are handed.

    It may stand in several places: a rule that changed it would make another one's
    gradient wrong. Ours are known not to; a user's own is stopped, and named.
    """

    def pull_for_reading(node: Any, g: Any, wanted: Any, deliver: Any) -> None:
        g = tuple(map(for_reading, g)) if type(g) is tuple else for_reading(g)
        pull(node, g, wanted, deliver)

    return pull_for_reading


def is_own(x: Any) -> bool:
    """Whether a Tensor is a leaf with memory of its own, which may be written to.

    What ``te.tensor`` and ``x.data = ...`` make is a copy, of which the base is
    nothing, or the bytes in which it begins with a cache line.
    """
    array = x._numbers
    return (
        x.op is None
        and type(array) is ndarray
        and array.flags.writeable  # which a detached one is not
        and (array.base is None or (x._cut is None and array.base.dtype == np.uint8))
    )


def lent_by_others(data: Any) -> bytes | None:
    """Return b"" for a result that lies in another array's memory, else None.

    Which array that is, and who writes into it, nobody knows: it is looked at whenever
    it is used.
    """
    return b"" if type(data) is ndarray and data.base is not None else None


def prints_of(inputs: Any) -> Any:
    """Return the prints of those of a node's inputs that others hold, too, or None."""
    found = []
    for x in inputs:
        if type(x) is ndarray:
            look = _look_at(x)
        elif getattr(x, "_prints", None) is not None and x.op is None:
            look = _look_at(x._numbers)
        else:
            continue
        found.append((look, look(), x))  # the look stays with the memory of now
    return found or None


def check_prints(node: Any, free: bool = False) -> None:
    """Raise an error if an input of a node is not what it was at the call.

    With ``free`` the prints are let go of, as the node's inputs are.
    """
    for look, before, x in node._prints or ():
        if look() != before:
            raise errors.written_since(x, node)
    if free:
        node._prints = None


def check(node: Any) -> None:
    """Do for a node what the walk does where it comes by: is it as it was?"""
    if not node.inputs:
        raise errors.freed()
    check_prints(node)
    for x in node.inputs:
        if getattr(x, "_changed", 0) > node._index:
            check_since(x, node)


def check_since(x: Any, node: Any) -> None:
    """Raise an error if a leaf was assigned or written to since a node used it."""
    if x._index > node._index:
        raise errors.assigned_since(x, node.op)
    if print_of(x._numbers) != x._prints:
        raise errors.written_since(x, node)


# -------------------------------------------- assignment, in calls of functions in C


def assigned(leaves: Sequence[Any], arrays: Iterable[Any]) -> Iterator[Any]:
    """Do what ``p.data = array`` does, with arrays that are as they should be."""
    return chain(
        map(setattr, leaves, repeat("_numbers"), arrays),
        map(setattr, leaves, repeat("_cut"), repeat(None)),
        map(setattr, leaves, repeat("_prints"), repeat(None)),
        map(setattr, leaves, repeat("_index"), INDICES),
        map(setattr, leaves, repeat("_changed"), INDICES),
    )
