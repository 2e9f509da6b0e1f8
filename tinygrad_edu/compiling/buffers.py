"""Buffers: which results lie in memory that is kept, and when it is used again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.compiling.program import Call, Program, Ref, Value

__all__ = ["Plan", "plan", "takes_out"]

_LINE = 64  # bytes: buffers begin with a cache line
_COPYING = {np.array, np.ascontiguousarray, np.asfortranarray, np.copy}
_COPYING |= {np.ndarray.copy, np.ndarray.astype}
_FILLED = {np.empty, np.zeros, np.ones, np.empty_like, np.zeros_like, np.ones_like}
_JOINING = {np.concatenate, np.stack}


@dataclass
class Plan:
    """Where results lie.

    Attributes
    ----------
    sizes : list of int
        Of the blocks of memory, in bytes.
    block : dict
        The block of each memory that lies in one.
    made : dict
        The value as which each of those memories is made.
    ended : dict
        Which of them nobody reads any more, after a call, by its number.
    """

    sizes: list[int] = field(default_factory=list)
    block: dict[int, int] = field(default_factory=dict)
    made: dict[int, Value] = field(default_factory=dict)
    ended: dict[int, list[int]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """How much memory all take together."""
        return sum(self.sizes)

    def arrays(self) -> dict[int, np.ndarray]:
        """Make the memory, and return the array of each."""
        blocks = []
        for size in self.sizes:
            raw = np.zeros(size + _LINE, np.uint8)
            start = -raw.__array_interface__["data"][0] % _LINE
            blocks.append(raw[start : start + size])
        return {
            memory: np.ndarray(
                v.shape, v.dtype, blocks[self.block[memory]], 0, v.strides
            )
            for memory, v in self.made.items()
        }


def plan(program: Program) -> Plan:
    """Decide which results lie in buffers, and which of them share one."""
    result, lasting = Plan(), program.lasting()
    for call in program.calls:
        if call.result is None or call.is_view:
            continue
        value = program.values[call.result]
        if value.memory not in lasting and _fits(value) and takes_out(call, program):
            result.made[value.memory] = value
    last: dict[int, int] = {}
    for i, call in enumerate(program.calls):
        for ref in [*call.reads(), *([call.result] if call.result is not None else [])]:
            last[program.memory_of(ref)] = i
    dying: dict[int, list[int]] = defaultdict(list)
    for memory, i in last.items():
        if memory in result.made:
            dying[i].append(memory)
    free: list[int] = []
    for i, call in enumerate(program.calls):
        memory = program.memory_of(call.result) if call.result is not None else -1
        is_made = memory in result.made and memory not in result.block
        ended = [m for m in dying[i] if m != memory]
        if is_made:
            in_place = [m for m in ended if _may_be_overwritten(call, m, program)]
            free += [result.block[m] for m in in_place]
            ended = [m for m in ended if m not in in_place]
            result.block[memory] = _taken(free, result.sizes, result.made[memory])
        result.ended[i] = [m for m in ended if m in result.block]
        free += [result.block[m] for m in result.ended[i]]
        if memory in dying[i] and memory in result.block:  # nobody reads it
            free.append(result.block[memory])
    return result


def _taken(free: list[int], sizes: list[int], value: Value) -> int:
    """Take the smallest free block that is large enough, or make one."""
    size = max(value.nbytes, 1)
    fitting = [b for b in free if size <= sizes[b] <= max(4 * size, 4096)]
    if fitting:
        best = min(fitting, key=sizes.__getitem__)
        free.remove(best)
        return best
    sizes.append(size)
    return len(sizes) - 1


def _fits(value: Value) -> bool:
    """Whether it is an array without gaps, of one axis or more, of plain numbers."""
    if not value.is_array or not value.shape or value.dtype is None:
        return False
    if value.dtype.hasobject or value.strides is None or not value.size:
        return False
    step = value.dtype.itemsize
    for stride, n in sorted(zip(value.strides, value.shape, strict=True)):
        if n == 1:
            continue
        if stride != step:
            return False
        step *= n
    return all(s >= 0 for s in value.strides)


def _may_be_overwritten(call: Call, memory: int, program: Program) -> bool:
    """Whether a result may lie where an argument lies that is not read again."""
    function = call.function
    if not isinstance(function, np.ufunc) or function.signature or call.kwargs:
        return False
    if call.result is None:
        return False
    out = program.values[call.result]
    return all(
        (v.shape, v.strides, v.dtype) == (out.shape, out.strides, out.dtype)
        for v in (program.values[ref] for ref in call.reads())
        if v.memory == memory
    )


def takes_out(call: Call, program: Program) -> bool:
    """Whether NumPy writes the result of a call into an array that it is given."""
    function: Any = call.function
    if isinstance(function, np.ufunc):
        return function.nout == 1
    if call.name.endswith(".reduce"):
        return True
    if function is np.dot:
        values = [program.values[x] for x in call.args if type(x) is Ref]
        c_order = call.result is not None and _is_c(program.values[call.result])
        return c_order and len(values) == 2 and all(v.shape for v in values)
    of = _hashed(function)
    if of in _COPYING:
        return type(call.args[0]) is Ref
    return of in _FILLED or of in _JOINING


def _hashed(function: Callable[..., Any]) -> Any:
    try:
        hash(function)
    except TypeError:
        return None
    return function


def _is_c(value: Value) -> bool:
    step = value.dtype.itemsize if value.dtype is not None else 0
    for stride, n in zip(
        reversed(value.strides or ()), reversed(value.shape), strict=True
    ):
        if n != 1 and stride != step:
            return False
        step *= n
    return True
