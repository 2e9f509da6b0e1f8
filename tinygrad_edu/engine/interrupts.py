"""What no interrupt cuts in two, and what none leaves undone.

Python looks for a Ctrl-C between its own instructions, and there raises an error. While
a function in C is running it does not look, and what calls nothing but functions in C
is done when it looks again. So what must not be left half done is computed first, and
then taken over by an iterator over such functions, which one call goes through.

At the end of a ``with`` block ``__exit__`` is called. Written in Python, it may be
interrupted before its first line: of a Ctrl-C while NumPy computes the last line of the
block, that is the first that Python sees. So here it is a function in C.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import Any, Generic, TypeVar

__all__ = ["Leaving", "at_once", "in_c", "undone"]

Begun = TypeVar("Begun")


def at_once(calls: Iterable[Any]) -> None:
    """Go through an iterator over calls of functions in C, all of them.

    Parameters
    ----------
    calls : iterable
        Such as ``map(setattr, objects, repeat("name"), values)``. What they call must
        have done its work when it raises an error: NumPy looks for an overflow, and
        warns, when all entries are written. The rest follows, then the error is raised;
        of several the first, but a Ctrl-C before all.
    """
    rest = iter(calls)
    try:
        deque(rest, maxlen=0)
    except BaseException as error:
        first, is_done = error, False
        while not is_done:
            try:
                deque(rest, maxlen=0)
                is_done = True
            except BaseException as another:  # of the next parameter, say
                if not isinstance(another, Exception):
                    first = another
        try:
            raise first from None
        finally:
            del first  # which holds this frame


# ------------------------------------------------------------------- at a block's end


def in_c(calls: Iterable[Any]) -> Callable[..., None]:
    """Return a function in C that goes through an iterator, whatever it is handed.

    ``max`` asks its ``key`` of all that it is handed. This one lists what is left in
    the iterator: for the first, None, that is the longest list, so None is returned.

    Examples
    --------
    >>> end = in_c(map(print, ["undone"]))
    >>> end(None, None, None)
    undone
    """
    rest = iter(calls)
    return partial(max, None, key=partial(next, map(list, repeat(rest))))


class Leaving:
    """An ``__exit__`` that is the attribute ``_end`` of the block, a function in C.

    Python asks for it before the block is entered.
    """

    def __get__(self, block: Any, kind: type) -> Callable[..., None]:
        if block is None:  # for an ExitStack
            return lambda block, *error: block._end(*error)
        end: Callable[..., None] = block._end
        return end


class undone(Generic[Begun]):
    """A block at whose end something is undone, whatever comes into it, and when.

    Parameters
    ----------
    begin : callable
        Is called where the block is entered, and also undone if that fails.
    calls : iterable
        Over calls of functions in C that undo it, as for :func:`at_once`.

    Examples
    --------
    >>> from contextvars import ContextVar
    >>> x = ContextVar("x", default=0)
    >>> with undone(lambda: x.set(1), map(x.set, (x.get(),))):
    ...     print(x.get())
    1
    >>> x.get()
    0
    """

    __slots__ = ("_begin", "_end")
    __exit__ = Leaving()

    def __init__(self, begin: Callable[[], Begun], calls: Iterable[Any]) -> None:
        self._begin = begin
        self._end = in_c(calls)

    def __enter__(self) -> Begun:
        try:
            return self._begin()
        except BaseException:
            self._end(None, None, None)
            raise
