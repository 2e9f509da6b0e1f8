"""The fast program: a program of NumPy's calls as Python, over buffers that are kept.

What is executed is made from numbered names, assignments and calls alone. Names begin
with what they mean: x an input, n a number that is read anew, s an array that stays (a
captured one, a constant, a buffer, or a view of one), f a function, m a method, q what
makes a call warn less, k another constant, v a result. No name or text of the user's
gets into it.

Views of what stays are made once. The last calls, which write into arrays that others
hold, go through :func:`~tinygrad_edu.engine.interrupts.at_once`: no interrupt comes in.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from itertools import chain, starmap
from math import isfinite
from typing import Any

import numpy as np

from tinygrad_edu.compiling.buffers import Plan, plan, takes_out
from tinygrad_edu.compiling.program import Call, Program, Ref, Value, refs, replaced
from tinygrad_edu.engine.interrupts import at_once

__all__ = ["LIMIT", "Printed", "writes_arguments"]

#: So many calls a program may have: beyond, Python takes long to read it.
LIMIT = 50_000


class Printed:
    """A program as Python's text, to be bound to arrays.

    Parameters
    ----------
    program : Program
        After the passes; it is not changed.
    poisoned : bool, default False
        Fill a buffer with nan when nobody reads it any more: whoever did would show.

    Attributes
    ----------
    text : str
        Of a function ``step``.
    plan : Plan
    then : list
        Iterators over calls of functions in C, that are made with the last calls.
    ends_at_once : bool
        Whether there are any last calls.
    early : list of Ref
        Captured arrays that are written into before all is computed: where a step
        fails, they must be put back.
    """

    def __init__(self, program: Program, *, poisoned: bool = False) -> None:
        if len(program.calls) > LIMIT:
            raise ValueError(
                f"te.compile: {len(program.calls):,} calls are more than a program may "
                f"have, {LIMIT:,}. Compile a part of it, such as one step of a loop"
            )
        self.program = program
        self.plan: Plan = plan(program)
        self._functions: dict[Any, str] = {}
        self._constants: dict[Any, str] = {}
        self._bound: dict[str, Any] = {}  # what such names mean
        self._static: set[int] = set()  # refs that are arrays that stay
        self._views: list[Call] = []  # made once, in order
        self._lines: list[str] = []
        self._contexts: dict[Any, str] = {}  # of errstate
        self.then: list[Any] = []
        self.is_quiet = any(c.quiet is not None for c in program.calls)
        self._find_what_stays()
        begin = self._end()
        self.early = [
            ref
            for call in program.calls[:begin]
            for ref in call.writes()
            if self._is_held(ref)
        ]
        for i, call in enumerate(program.calls[:begin]):
            self._print(call)
            for memory in self.plan.ended.get(i, ()) if poisoned else ():
                self._poison(memory)
        self._print_at_once(program.calls[begin:])
        taken = [f"x{i}" for i in range(len(program.inputs))]
        taken += [f"n{i}" for i in range(len(program.numbers))]
        returned = ", ".join(self._name(x) for x in program.outputs)
        tail = f"    return ({returned}{',' * bool(program.outputs)})"
        self.text = "\n".join(
            [f"def step({', '.join(taken)}):", *(f"    {x}" for x in self._lines), tail]
        )
        self._code = compile(self.text + "\n", "<te.compile>", "exec")

    def bind(self, captured: Sequence[np.ndarray]) -> Callable[..., tuple[Any, ...]]:
        """Return the function for these arrays, with buffers of its own."""
        program, values = self.program, self.program.values
        arrays: dict[int, Any] = dict(zip(program.captured, captured, strict=True))
        buffers = self.plan.arrays()
        for i, value in enumerate(values):
            if value.kind == "constant":
                arrays[i] = value.given
        for call in program.calls:
            if call.result is not None and not call.is_view:
                memory = program.memory_of(call.result)
                if memory in buffers:
                    arrays[call.result] = buffers[memory]

        def known(x: Any) -> Any:
            return arrays[x] if type(x) is Ref else x

        for view in self._views:
            args, kwargs = replaced(view.args, known), replaced(view.kwargs, known)
            assert view.result is not None
            arrays[view.result] = view.function(*args, **kwargs)
        names = {f"s{int(i)}": x for i, x in arrays.items() if i in self._static}
        namespace = {**self._bound, **names}
        for name, (ref, method) in self._methods.items():
            namespace[name] = getattr(arrays[ref], method)
        for state, name in self._contexts.items():
            with np.errstate(**dict(state)):
                namespace[name] = copy_context().run
        exec(self._code, namespace)  # of numbers and names made here alone
        step: Callable[..., tuple[Any, ...]] = namespace["step"]
        return step

    # -- what stays, and what is done last
    def _find_what_stays(self) -> None:
        values = self.program.values
        self._methods: dict[str, tuple[Ref, str]] = {}
        for i, value in enumerate(values):
            if value.kind in ("captured", "constant"):
                self._static.add(i)
        for call in self.program.calls:
            if call.result is None:
                continue
            if call.is_view:
                if all(r in self._static for r in call.reads()):
                    self._static.add(call.result)
                    self._views.append(call)
            elif self._is_in_buffer(call):
                self._static.add(call.result)

    def _is_in_buffer(self, call: Call) -> bool:
        if call.result is None or call.is_view:
            return False
        return self.program.memory_of(call.result) in self.plan.made

    def _is_held(self, ref: Ref) -> bool:
        memory = self.program.memory_of(ref)
        return any(
            v.memory == memory and v.kind in ("captured", "input")
            for v in self.program.values
        )

    def _end(self) -> int:
        """Return where the last calls begin, of which all are made or none."""
        calls = self.program.calls
        begin = len(calls)
        for i in reversed(range(len(calls))):
            call = calls[i]
            if call.result in self._static and call.is_view:
                continue
            if call.is_effect or self._as_tuple(call) is None:
                break
            if call.target is not None and self._is_held(call.target):
                begin = i
        return begin

    # -- one call
    def _print(self, call: Call) -> None:
        if call.is_view and call.result in self._static:
            return
        if self._is_in_buffer(call):
            assert call.result is not None
            if call.function in _EMPTY:
                return
            parts = self._as_tuple(call)
            out = self._name(call.result)
            line = (
                _called(self._hushed(call, parts))
                if parts
                else self._plain(call, out=out)
            )
            self._lines.append(line)
            return
        if parts := self._as_tuple(call):
            self._lines.append(_called(self._hushed(call, parts)))
            return
        if call.target is not None and not writes_arguments(call):
            self._lines.append(self._plain(call, out=self._name(call.target)))
            return
        left = ""
        if call.result is not None:
            left = f"{self._name(call.result)} = "
            if call.given_out and self.program.values[call.result].shape:
                value = self.program.values[call.result]
                self._lines.append(f"{left}{self._maker(value)}()")
                out = self._name(call.result)
                self._lines.append(self._plain(call, out=out))
                return
        self._lines.append(f"{left}{self._plain(call)}")

    def _as_tuple(self, call: Call) -> list[str] | None:
        """Return function and arguments of a call that needs no name for a result."""
        if call.target is not None:
            if writes_arguments(call):
                if call.kwargs:
                    return None
                return [self._function(call.function), *map(self._name, call.args)]
            out = call.target
        elif self._is_in_buffer(call):
            assert call.result is not None
            out = call.result
        else:
            return None
        if out not in self._static:
            return None
        function, name = call.function, self._name(out)
        if isinstance(function, np.ufunc):
            if function.nout != 1 or function in _BY_NAME:
                return None
            f = self._function(function, call.kwargs)
            return None if f is None else [f, *map(self._name, call.args), name]
        if call.name.endswith(".reduce"):
            return self._reduction(call, name)
        if function is np.dot:
            return [self._function(function), *map(self._name, call.args), name]
        if call.target is not None:
            return None
        if function in _ZEROS:
            return [self._method(out, "fill"), "0"]
        if function in _ONES:
            return [self._method(out, "fill"), "1"]
        if takes_out(call, self.program) and function not in _EMPTY | _JOINING:
            (source, *_), values = call.args, self.program.values
            casting = ["'unsafe'"] * (values[source].dtype != values[out].dtype)
            return [self._function(np.copyto), name, self._name(source), *casting]
        return None

    def _reduction(self, call: Call, out: str) -> list[str] | None:
        named = dict(call.kwargs)
        axis, keepdims = named.pop("axis", 0), named.pop("keepdims", False)
        if len(call.args) != 1 or named or any(refs(call.kwargs)):
            return None
        parts = [self._function(call.function), self._name(call.args[0])]
        parts += [self._name(axis), "None", out]
        return parts + ["True"] * bool(keepdims)

    def _poison(self, memory: int) -> None:
        """Print the call that fills a buffer with what would show."""
        value = self.plan.made[memory]
        ref = next(Ref(i) for i, v in enumerate(self.program.values) if v is value)
        nothing = np.nan if value.dtype is not None and value.dtype.kind == "f" else 1
        self._lines.append(f"{self._method(ref, 'fill')}({self._name(nothing)})")

    def _print_at_once(self, calls: Sequence[Call]) -> None:
        """Print the last calls as one."""
        found = [c for c in calls if not (c.is_view and c.result in self._static)]
        self.ends_at_once = bool(found)
        if not found:
            return
        tuples = []
        for call in found:
            if self._is_in_buffer(call) and call.function in _EMPTY:
                continue
            parts = self._hushed(call, self._as_tuple(call) or [])
            tuples.append(f"({', '.join(parts)})")
        self._bound |= {"at_once": at_once, "starmap": starmap, "call": operator.call}
        self._bound["chain"] = chain
        then = f"{self._function(chain.from_iterable)}({self._constant(self.then)})"
        inner = ",\n        ".join(tuples)
        made = f"starmap(call, (\n        {inner},\n    ))"
        self._lines.append(f"at_once(chain({made}, {then}))")

    # -- names
    def _plain(self, call: Call, out: str | None = None) -> str:
        args = [self._name(x) for x in call.args]
        args += [f"{name}={self._name(x)}" for name, x in call.kwargs.items()]
        args += [f"out={out}"] * (out is not None)
        return _called(self._hushed(call, [self._function(call.function), *args]))

    def _function(self, function: Any, kwargs: dict[str, Any] | None = None) -> Any:
        """Return the name of a function with its keywords; None if some change."""
        key: Any = _key(function)
        if kwargs:
            if any(refs(kwargs)):
                return None
            key = key, tuple((name, repr(x)) for name, x in sorted(kwargs.items()))
            function = partial(function, **kwargs)
        if key not in self._functions:
            name = f"f{len(self._functions)}"
            self._functions[key] = name
            self._bound[name] = function
        return self._functions[key]

    def _method(self, ref: Ref, method: str) -> str:
        name = f"m{int(ref)}"
        self._methods[name] = (ref, method)
        return name

    def _maker(self, value: Value) -> str:
        """Return the name of what makes an empty array of a layout."""
        made: Any = partial(_ndarray, value.shape, value.dtype, None, 0, value.strides)
        name = f"f{len(self._functions)}"
        self._functions[name] = name
        self._bound[name] = made
        return name

    def _name(self, x: Any) -> str:
        kind = type(x)
        if kind is Ref:
            if x in self._static:
                return f"s{int(x)}"
            value = self.program.values[x]
            if value.kind == "input":
                return f"x{self.program.inputs.index(x)}"
            if value.kind == "number":
                return f"n{self.program.numbers.index(x)}"
            return f"v{int(x)}"
        if kind is tuple:
            return f"({''.join(f'{self._name(y)}, ' for y in x)})"
        if kind is list:
            return f"[{', '.join(map(self._name, x))}]"
        if kind is slice and any(refs(x)):
            parts = ", ".join(self._name(y) for y in (x.start, x.stop, x.step))
            return f"{self._function(slice)}({parts})"
        if x is None or kind in (int, bool) or (kind is float and isfinite(x)):
            return repr(x)
        return self._constant(x)

    def _constant(self, x: Any) -> str:
        key = id(x)
        if key not in self._constants:
            self._constants[key] = f"k{len(self._constants)}"
            self._bound[self._constants[key]] = x  # which keeps it, and its id
        return self._constants[key]

    def _hushed(self, call: Call, parts: list[str]) -> list[str]:
        """Return the parts of a call that warns of less than the others."""
        if call.quiet is None:
            return parts
        state = tuple(sorted(call.quiet.items()))
        return [self._contexts.setdefault(state, f"q{len(self._contexts)}"), *parts]


_ndarray: Any = np.ndarray


def _key(function: Any) -> Any:
    of = getattr(function, "__self__", None)
    if of is not None and not isinstance(function, np.ufunc):
        return id(of), function.__name__
    return id(function)


def _called(parts: Sequence[str]) -> str:
    function, *args = parts
    return f"{function}({', '.join(args)})"


def writes_arguments(call: Call) -> bool:
    """Whether what it writes into is among its arguments."""
    return call.name in _IN_ARGUMENTS or call.name.endswith(".at")


_BY_NAME = {np.maximum, np.minimum}  #: They want out= by its name.
_IN_ARGUMENTS = frozenset(
    {"setitem", "fill", "copyto", "put", "putmask", "place", "fill_diagonal"}
    | {"put_along_axis", "restored", "loop"}
)
_EMPTY = {np.empty, np.empty_like}
_ZEROS = {np.zeros, np.zeros_like}
_ONES = {np.ones, np.ones_like}
_JOINING = {np.concatenate, np.stack}
