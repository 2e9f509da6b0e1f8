"""Numbers that were taken out of a graph, by ``float(x)`` and the like: the last few.

Inside of a transform that is an error. Elsewhere a number is mostly wanted to be read,
in a log above all, so nothing is said at once; but where a gradient is asked about, or
was found wrong, it may be why.
"""

from __future__ import annotations

import itertools
from types import CodeType, FrameType
from typing import Any, NamedTuple
from weakref import ref

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.creation import next_index
from tinygrad_edu.engine.recording import NESTING

__all__ = ["INSTEAD", "LAST", "Taken", "take", "taken"]

#: What to write for what took a number.
INSTEAD = (
    "math's functions call float(), too: write te's or NumPy's, np.exp for math.exp. "
    "For the number alone: x.item()"
)

LAST = 64  #: so many are remembered
_STEPS = range(4)  # in search of a leaf behind a tensor that may be gone soon


class Taken(NamedTuple):
    """A number that was taken out; it keeps no tensor alive."""

    when: int  # from the creation counter
    by: str  # "float" or "int"
    name: str | None  # of the tensor
    op: Any  # that made it
    tensor: ref[Any]
    leaf: ref[Any] | None  # that it was computed from, if one is near
    code: CodeType | None  # where that was asked for
    place: int

    def told(self, name: str = "") -> str:
        """Say what happened, where a graph calls the tensor ``name``."""
        made = "a leaf" if self.op is None else f"the result of {self.op.name}"
        where = "in a thread"
        if self.code is not None:
            lines = (line for a, b, line in self.code.co_lines() if a <= self.place < b)
            where = f"at {self.code.co_filename}:{next(lines, '?')}"
        return (
            f"{self.by}() of {name or self.name or made} {where} took its number out "
            "of the graph; what is computed from it has no gradient"
        )


# A ring, of which each place is written at once: threads, interrupts and whoever reads
# it meanwhile need no lock.
_ring: list[Any] = [None] * LAST
_turn = itertools.count().__next__


def take(x: Any, by: str, caller: FrameType | None) -> None:
    """Note that a caller takes the number of ``x`` out of the graph.

    Raises
    ------
    TypeError
        If a transform is looking at it.
    """
    if NESTING.get():
        raise errors.taken_out(x, by)
    kind, leaf = type(x), x
    for _ in _STEPS:
        for y in leaf.inputs:
            if type(y) is kind and y._tracked:
                leaf = y
                break
        else:  # there are none
            break
    at = (None, 0) if caller is None else (caller.f_code, caller.f_lasti)
    near = ref(leaf) if leaf.op is None else None
    _ring[_turn() % LAST] = next_index(), by, x.name, x.op, ref(x), near, *at


def taken(since: int = -1) -> list[Taken]:
    """Return what was taken out since the creation counter stood at ``since``."""
    return [Taken(*x) for x in sorted(filter(None, _ring)) if x[0] > since]
