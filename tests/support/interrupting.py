"""An interrupt at the k-th moment at which Python could be interrupted, for every k.

Python looks for signals when a function begins, after a call, and where a loop turns
back. At the moments of this kind in this package's code, and in ``contextlib``'s, the
handler of Ctrl-C is called, one moment a run: so that no moment is left to chance.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import itertools
import signal
import sys
from pathlib import Path

import tinygrad_edu as te

_WHERE = (str(Path(te.__file__).parent), contextlib.__file__)


class Moments:
    """Calls the handler of Ctrl-C at one of the moments of some work.

    Parameters
    ----------
    at : int, optional
        At which of them, from 0; without it, at none: they are only counted.
    handler : callable, optional
        In place of the one that there is then.

    Attributes
    ----------
    count : int
        How many came by.
    place : str
        Where the handler was called.
    """

    def __init__(self, at: int | None = None, handler=None) -> None:
        self.at, self.count, self.place = at, 0, ""
        self.handler = handler
        self._last: dict[object, int] = {}  # instruction of a frame

    def run(self, work):
        """Do the work; return the KeyboardInterrupt that came out of it, or None."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            work()
        except KeyboardInterrupt as interrupt:
            return interrupt
        finally:
            sys.settrace(before)
            self._last.clear()
        return None

    def _enter(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(_WHERE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._moment(frame)
        return self._inside

    def _inside(self, frame, event, _):
        if event == "opcode":
            turns, after = _moments_in(frame.f_code)
            now, last = frame.f_lasti, self._last.get(frame)
            self._last[frame] = now
            if now in turns or (last, now) in after:
                self._moment(frame)
        elif event == "return":
            self._last.pop(frame, None)
        return self._inside

    def _moment(self, frame):
        number, self.count = self.count, self.count + 1
        if number == self.at:
            file = Path(frame.f_code.co_filename).name
            self.place = f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
            handler = self.handler or signal.getsignal(signal.SIGINT)
            handler(signal.SIGINT, frame)


@functools.cache
def _moments_in(code):
    """Return where a loop turns back; and pairs of a call and what comes after it.

    An error that comes after a call is as one in it: of what follows, only what has the
    same handler will do.
    """
    instructions = list(dis.get_instructions(code))
    handlers = {
        offset: entry.target
        for entry in dis.Bytecode(code).exception_entries
        for offset in range(entry.start, entry.end)
    }
    turns = {x.offset for x in instructions if "JUMP_BACKWARD" in x.opname}
    after = {
        (x.offset, y.offset)
        for x, y in itertools.pairwise(instructions)
        if x.opname.startswith("CALL")
        and handlers.get(x.offset) == handlers.get(y.offset)
    }
    return turns - {x.offset for x in instructions if "NO_INTERRUPT" in x.opname}, after


def each_moment(work, begin, most=None, handler=None):
    """Yield each interrupted run of some work, as (moment, KeyboardInterrupt or None).

    Parameters
    ----------
    work : callable
        Is done once for each moment, and once before to count them.
    begin : callable
        Makes everything as it was, before each run.
    most : int, optional
        About how many moments to take, spread evenly over all.
    handler : callable, optional
        As for :class:`Moments`.
    """
    begin()
    counting = Moments()
    assert counting.run(work) is None
    assert counting.count > 0
    stride = 1 if most is None else -(-counting.count // most)
    for at in range(0, counting.count, stride):
        begin()
        moment = Moments(at, handler)
        yield moment, moment.run(work)
