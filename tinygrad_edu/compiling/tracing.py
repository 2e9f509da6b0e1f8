"""A trace: a function is run on stand-ins, and all it touched is put back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat, starmap
from operator import call, setitem
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygrad_edu.compiling.door import opened
from tinygrad_edu.compiling.passes import described
from tinygrad_edu.compiling.program import Program, Ref
from tinygrad_edu.compiling.seen import Seen, putting
from tinygrad_edu.compiling.tape import Tape, Untraceable
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.interrupts import undone
from tinygrad_edu.engine.trees import Form, flatten
from tinygrad_edu.randomness import setter, state_of

__all__ = [
    "SLOTS",
    "TRACING",
    "Number",
    "State",
    "Traced",
    "captured_arrays",
    "difference",
    "more_than_leaves",
    "traced",
]

#: Held while a function is traced: the engine's modules are changed for that long.
TRACING = threading.RLock()


@dataclass(slots=True)
class Number:
    """A Python number that changes by itself: ``owner[key]``, or an entry of it."""

    owner: Any
    key: Any
    index: int | None
    name: str

    def read(self) -> Any:
        """Return what it is now."""
        x = self.owner[self.key]
        return x if self.index is None else x[self.index]


@dataclass
class State:
    """What a function changes that is no array in a place that it sees.

    Attributes
    ----------
    arrays : list
        ``(owner, key, name)`` of arrays that are kept in dicts, such as moments.
    scratch : list
        ``(owner, key)`` of arrays whose entries nobody reads between two calls.
    numbers : list of Number
    silenced : list
        ``(object, name, function)``: attributes to be set meanwhile.
    places : list
        ``(dict, key)``: a program is bound to what is there.
    """

    arrays: list[tuple[Any, Any, str]] = field(default_factory=list)
    scratch: list[tuple[Any, Any]] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    silenced: list[tuple[Any, str, Any]] = field(default_factory=list)
    places: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass
class Traced:
    """A program, and what its outputs are put into."""

    program: Program
    form: Form
    generators: list[Any]


def traced(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    names: Sequence[str],
    fill: Callable[[list[Any]], Any],
    seen: Seen,
    state: State,
) -> Traced:
    """Run a function on stand-ins, once, and return the program of it.

    Parameters
    ----------
    function : callable
    arguments : sequence
        The leaves of its arguments: arrays and numbers that change, and others.
    names : sequence of str
        Of those, for errors.
    fill : callable
        Makes ``(args, kwargs)`` of leaves.
    seen : Seen
    state : State

    Raises
    ------
    Untraceable
        If it does what no program can hold.
    """
    with TRACING:
        tape, tensors = Tape(), []
        standing_for: dict[int, Any] = {}
        captured = captured_arrays(seen, state)
        first = _memories(x for x, _ in captured)
        for x, name in captured:
            shared = standing_for.get(first.get(id(x), 0))
            memory = None if shared is None else tape.memory_of(shared)
            standing_for[id(x)] = tape.begin(x, "captured", name, memory)
        leaves: list[Any] = []
        handed: dict[int, Any] = {}
        for x, name in zip(arguments, names, strict=True):
            if changes(x):
                is_of_numpy = isinstance(x, np.ndarray | np.generic)
                standin = tape.begin(x, "input" if is_of_numpy else "number", name)
                if isinstance(x, np.ndarray):  # x is y, maybe
                    standin = handed.setdefault(id(x), standin)
                x = standin
            leaves.append(x)
        kept_in = {(id(owner), key): owner[key] for owner, key, _ in state.arrays}
        before: list[Any] = [(setter(rng), state_of(rng)) for rng in seen.generators]
        undo = [None, *before]  # calls of functions in C, to be made from the last on
        back = chain(starmap(call, iter(undo.pop, None)), starmap(setitem, tape.before))
        with undone(lambda: None, back):
            for tensor, _ in seen.tensors.values():
                held = [getattr(tensor, k) for k in SLOTS]
                tensors.append((tensor, held))
                undo += zip(repeat(setattr), repeat(tensor), SLOTS, held)
                tensor._numbers = standing_for[id(tensor._numbers)]
                tensor._grad = tensor._prints = None
            replaced = seen.replaced_by(standing_for, undo)
            _stand_in(tape, state, standing_for, undo)
            try:
                args, kwargs = fill(leaves)
                with opened(tape):
                    result = function(*args, **kwargs)
                    for owner, key, _ in state.arrays:  # by a new array, maybe
                        kept = standing_for[id(kept_in[id(owner), key])]
                        if owner[key] is not kept:
                            tape.function(np.copyto, (kept, owner[key]), {})
                    outputs, form = flatten(result, "te.compile", rows=False)
                    if extra := more_than_leaves(form):
                        raise Untraceable(f"te.compile: the function returns {extra}")
                    program = _finished(tape, outputs)
            finally:
                left = [t for t, _ in tensors if t._grad is not None]
                assigned = _assigned(seen, tensors, standing_for)
                assigned += seen.assigned(replaced)
        changed = seen.restore()
        if left and not state.numbers:
            raise Untraceable(
                "te.compile: backward() inside a compiled function leaves gradients in "
                "tensors outside; return te.grad(...) of it, or compile a model with "
                "its loss and optimizer"
            )
        _refuse_changes([*changed, *assigned])
        return Traced(program, form, seen.generators)


#: What of a tensor a trace changes, and puts back.
SLOTS = ("_numbers", "_grad", "_prints", "_changed", "_index", "_cut", "_tracked")


def _assigned(seen: Seen, tensors: Sequence[Any], standing_for: Any) -> list[str]:
    """Return what of the tensors was assigned in a trace."""
    found = []
    for tensor, (numbers, *_, tracked) in tensors:
        name = seen.tensors[id(tensor)][1]
        if tensor._numbers is not standing_for.get(id(numbers), numbers):
            found.append(f"{name}.data")
        if tensor._tracked != tracked:
            found.append(f"{name}.requires_grad")
    return found


def more_than_leaves(form: Form) -> str | None:
    """Say what a tree holds besides its leaves: it would be as in the trace."""
    for inner in form.order:
        if inner is None or inner.keys is None or inner.example is None:
            continue
        fields = () if issubclass(inner.kind, dict) else inner.keys
        for name in getattr(inner.example, "__dict__", {}).keys() - {*fields}:
            return (
                f"a {inner.kind.__name__} with the attribute {name}, which is none of "
                "its entries; make it one"
            )
    return None


def changes(x: Any) -> bool:
    """Whether an argument may be another with each call of one program."""
    return isinstance(x, np.ndarray | np.generic) or type(x) is float


def captured_arrays(seen: Seen, state: State) -> list[tuple[Any, str]]:
    """Return the arrays that are read by reference, in the order of the program's."""
    found = [(t._numbers, name) for t, name in seen.tensors.values()]
    known = {id(x) for x, _ in found}
    found += [(x, name) for x, name in seen.arrays.values() if id(x) not in known]
    known = {id(x) for x, _ in found}
    for owner, key, name in state.arrays:
        if id(owner[key]) not in known:
            found.append((owner[key], name))
    return found


def _stand_in(
    tape: Tape, state: State, standing_for: dict[int, Any], undo: list[Any]
) -> None:
    """Put stand-ins for a state; list first what undoes it."""
    for owner, key, _ in state.arrays:
        undo.append(putting(owner, key, owner[key]))
        owner[key] = standing_for[id(owner[key])]
    for owner, key in state.scratch:
        undo.append(putting(owner, key, owner[key]))
        owner[key] = tape.call(np.empty_like, "empty_like", (owner[key],), {})
    for number in state.numbers:
        owner, key, index = number.owner, number.key, number.index
        undo.append(putting(owner, key, owner[key]))
        standin = tape.begin(number.read(), "number", number.name)
        if index is None:
            owner[key] = standin
        else:
            parts = list(owner[key])
            parts[index] = standin
            owner[key] = tuple(parts)
    for owner, name, function in state.silenced:
        undo.append((dict.pop, vars(owner), name, None))
        vars(owner)[name] = function


def _finished(tape: Tape, outputs: list[Any]) -> Program:
    """Return the program of these outputs; constants among them are copied."""
    found = []
    for x in outputs:
        x = x._numbers if isinstance(x, Tensor) else x
        if type(x) is np.ndarray:
            x = tape.call(np.array, "array", (x,), {})
        found.append(x)
    return tape.finish(found)


def _memories(arrays: Iterable[Any]) -> dict[int, int]:
    """Return, by the id of an array, the first one's that it may share memory with.

    That they may means that their bounds overlap: so they are sorted by them.
    """
    bounds = []
    for i, x in enumerate(arrays):
        if isinstance(x, np.ndarray):
            low, high = byte_bounds(x)
            bounds.append((low, max(high, low + 1), i, id(x)))
    found: dict[int, int] = {}
    group: list[tuple[int, int]] = []
    end = 0
    for low, high, i, key in sorted(bounds):
        if low >= end:
            _put_together(group, found)
            group = []
        group.append((i, key))
        end = max(end, high)
    _put_together(group, found)
    return found


def _put_together(group: list[tuple[int, int]], found: dict[int, int]) -> None:
    for _, key in group:
        found[key] = min(group)[1]


def _refuse_changes(changed: Sequence[str]) -> None:
    """Refuse a function that left something else than numbers in arrays behind."""
    if changed:
        raise Untraceable(
            f"te.compile: the function assigns {', '.join(changed[:3])}: a program "
            "does not. Return what is to be kept, or write into an array: x[...] = y"
        )


def difference(one: Program, other: Program) -> str | None:
    """Say in which call two traces of a function differ; None if they do not."""
    for a, b in zip(one.calls, other.calls, strict=False):
        here, there = described(a), described(b)
        if here != there:
            if a.name == b.name == "guard":
                return "guard"
            return f"{a.name} ({a.origin})"
    if len(one.calls) != len(other.calls):
        return "how many calls there are"
    for i, (v, w) in enumerate(zip(one.values, other.values, strict=False)):
        if (v.kind, v.shape, v.dtype) != (w.kind, w.shape, w.dtype):
            return f"the shape or dtype of value {i}"
        if v.kind == "constant" and v.given.tobytes() != w.given.tobytes():
            where = next((c.origin for c in one.calls if i in c.reads()), "an output")
            return f"{v.name}, used by {where}"
    if [_output(x) for x in one.outputs] != [_output(x) for x in other.outputs]:
        return "a result that is no array"
    return None


def _output(x: Any) -> Any:
    """Return what is equal for equal outputs."""
    return int(x) if type(x) is Ref else (type(x).__name__, repr(x))
