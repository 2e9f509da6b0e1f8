"""Passes: each takes a program and makes it shorter, with every bit as it was.

A pass may leave calls out, and let one result serve for two. It never changes the
operands of a call that stays, their order or their layout in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from tinygrad_edu.compiling.program import Call, Program, Ref, Value, refs, replaced
from tinygrad_edu.compiling.tape import check_guard

__all__ = ["PASSES", "common", "copies", "dead", "described", "literals"]


def dead(program: Program) -> None:
    """Leave out the calls that nobody reads from, and that have no effect.

    What writes into an array is read from if the array is, later or elsewhere.
    """
    read: set[int] = {*refs(program.outputs)}
    held = {v.memory for v in program.values if v.kind not in ("computed", "number")}
    memories = {program.memory_of(ref) for ref in refs(program.outputs)} | held
    kept: list[Call] = []
    for call in reversed(program.calls):
        writes = call.target is not None and program.memory_of(call.target) in memories
        if not (call.is_effect or writes or call.result in read):
            continue
        kept.append(call)
        for ref in call.reads():
            read.add(ref)
            memories.add(program.memory_of(ref))
    program.calls = kept[::-1]


def common(program: Program) -> None:
    """Compute once what is computed twice from the same numbers."""
    fixed = program.written() | program.lasting()
    held = program.held()
    versions: dict[int, int] = {}  # by memory: how often it was written into
    known: dict[Hashable, Ref] = {}
    moved: dict[int, int] = {}  # memories of results that are left out
    instead: dict[int, Ref] = {}
    kept: list[Call] = []

    def as_read(x: Any) -> Hashable:
        if type(x) is Ref:
            memory = program.memory_of(x)
            return int(x), versions.get(-1 if memory in held else memory, 0)
        return _frozen(x)

    def where(memory: int) -> int:
        while memory in moved:
            memory = moved[memory]
        return memory

    for call in program.calls:
        _replace(call, instead)
        if call.target is not None:
            memory = program.memory_of(call.target)
            memory = -1 if memory in held else memory  # one may be a view of another
            versions[memory] = versions.get(memory, 0) + 1
        elif call.function is check_guard:
            key = _nested(call.args, as_read)
            if key in known:  # asked and answered
                continue
            known[key] = Ref(-1)
        elif call.result is not None and not call.is_effect and not _is_new(call):
            memory = program.memory_of(call.result)
            if call.is_view or memory not in fixed:
                quiet = None if call.quiet is None else (*call.quiet.items(),)
                args = _nested(call.args, as_read), _nested(call.kwargs, as_read)
                key = (_identity(call.function), *args, quiet, call.given_out)
                if key in known:
                    instead[call.result] = known[key]
                    own, other = where(memory), where(program.memory_of(known[key]))
                    if own != other:
                        moved[own] = other
                    continue
                known[key] = call.result
        kept.append(call)
    program.calls = kept
    program.outputs = replaced(program.outputs, lambda x: _followed(x, instead))
    for value in program.values:  # views of one are views of the other now
        value.memory = where(value.memory)


def copies(program: Program) -> None:
    """Use an array itself in place of its copy, if neither is written into.

    A copy that is handed out stays, unless the array is one that nobody else holds.
    """
    written = program.written()
    if written & program.held():  # of which one may be a view of another
        written |= program.held()
    handed_out = [program.memory_of(ref) for ref in refs(program.outputs)]
    held = {v.memory for v in program.values if v.kind not in ("computed", "number")}
    instead: dict[int, Ref] = {}
    kept: list[Call] = []
    for call in program.calls:
        _replace(call, instead)
        source = _source(call, program)
        if source is not None and call.result is not None:
            memory, own = program.memory_of(source), program.memory_of(call.result)
            is_free = own not in handed_out or (
                memory not in held and memory not in handed_out
            )
            if is_free and memory not in written and own not in written:
                instead[call.result] = source
                handed_out = [memory if m == own else m for m in handed_out]
                for value in program.values:  # views of the copy are its views now
                    if value.memory == own:
                        value.memory = memory
                continue
        kept.append(call)
    program.calls = kept
    program.outputs = replaced(program.outputs, lambda x: _followed(x, instead))


def literals(program: Program) -> None:
    """Turn Python numbers next to arrays into arrays of their dtype, once.

    Beside float32 a Python number is one of float32: NumPy finds that out at each call,
    in 0.2 us. Only of arithmetic, whose result has that dtype, too.
    """
    made: dict[Any, Ref] = {}
    for call in program.calls:
        if (
            _hashable(call.function) not in _ARITHMETIC
            or call.kwargs
            or len(call.args) != 2
        ):
            continue
        arrays = [x for x in call.args if type(x) is Ref]
        if len(arrays) != 1 or not program.values[arrays[0]].shape:
            continue
        dtype = program.values[arrays[0]].dtype
        if dtype not in (np.float32, np.float64):
            continue
        args = list(call.args)
        for i, x in enumerate(args):
            if type(x) in (int, float) and abs(x) < 2**24:
                key = dtype, repr(float(x))
                if key not in made:
                    array = np.array(x, dtype)
                    value = Value("constant", (), dtype, (), given=array)
                    value.memory = 1 + max(
                        (v.memory for v in program.values), default=0
                    )
                    made[key] = program.add(value)
                args[i] = made[key]
        call.args = tuple(args)


_ARITHMETIC = frozenset(
    {np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum}
)

#: In the order in which they are applied.
PASSES: tuple[Callable[[Program], None], ...] = (dead, common, copies, dead, literals)


# ------------------------------------------------------------------------- their parts

_COPYING: frozenset[Any] = frozenset(
    {np.array, np.ascontiguousarray, np.copy, np.asfortranarray}
)
_COPYING |= {np.ndarray.copy, np.ndarray.astype}
_MAKING: frozenset[Any] = frozenset(
    {np.empty, np.zeros, np.ones, np.full, np.empty_like}
)
_MAKING |= {np.zeros_like, np.ones_like, np.full_like}


def _is_new(call: Call) -> bool:
    """Whether a call makes an array to be written into."""
    return _hashable(call.function) in _MAKING


def _source(call: Call, program: Program) -> Ref | None:
    """Return the array of which a call makes a copy, entry for entry as it lies."""
    if _hashable(call.function) not in _COPYING or call.is_view:
        return None
    source, result = call.args[0], call.result
    if type(source) is not Ref or result is None:
        return None
    a, b = program.values[source], program.values[result]
    same = (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)
    return source if same and a.is_array else None


def _followed(x: Any, instead: dict[int, Ref]) -> Any:
    if type(x) is Ref:
        while x in instead:
            x = instead[x]
    return x


def _replace(call: Call, instead: dict[int, Ref]) -> None:
    if not instead:
        return
    call.args = replaced(call.args, lambda x: _followed(x, instead))
    call.kwargs = replaced(call.kwargs, lambda x: _followed(x, instead))
    call.target = _followed(call.target, instead)


def described(call: Call) -> Hashable:
    """Return what is equal for two calls, of two programs, that do the same."""

    def leaf(x: Any) -> Hashable:
        if type(x) is Ref:
            return int(x)
        frozen = _frozen(x)
        return type(x).__name__ if frozen == ("object", id(x)) else frozen

    of = _identity(call.function)
    return of, _nested(call.args, leaf), _nested(call.kwargs, leaf), call.target


def _hashable(function: Any) -> Any:
    """Return a function; None for one whose object says that it has no hash."""
    try:
        hash(function)
    except TypeError:
        return None
    return function


def _identity(function: Any) -> Hashable:
    """Return what is equal for equal functions: bound methods are made anew."""
    of = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    return (id(of), name) if of is not None else id(function)


def _nested(x: Any, leaf: Callable[[Any], Hashable]) -> Hashable:
    kind = type(x)
    if kind is tuple or kind is list:
        return kind.__name__, *(_nested(y, leaf) for y in x)
    if kind is dict:
        return "dict", *((name, _nested(y, leaf)) for name, y in sorted(x.items()))
    if kind is slice:
        return "slice", *(_nested(y, leaf) for y in (x.start, x.stop, x.step))
    return leaf(x)


def _frozen(x: Any) -> Hashable:
    """Return what is equal for equal constants: 1 is not 1.0, nor is 0.0 -0.0."""
    if isinstance(x, np.generic):
        return x.dtype.str, x.tobytes()
    if isinstance(x, int | float | str | type(None) | type(Ellipsis)):
        return type(x).__name__, repr(x)
    return "object", id(x)
