"""The tape: what stand-ins compute is computed, and written down as a program."""

from __future__ import annotations

import inspect
import operator
import os
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_edu.compiling.program import Call, Origin, Program, Ref, Value, replaced
from tinygrad_edu.compiling.standins import (
    ArrayStandIn,
    NumberStandIn,
    PythonNumber,
    StandIn,
    raw,
)

__all__ = ["Tape", "Untraceable", "check_guard"]

_PACKAGE = __name__.split(".")[0]

#: Of the trace that is under way in this thread.
TAPE: ContextVar[Tape | None] = ContextVar("tape", default=None)


class Untraceable(RuntimeError):
    """A function does what no program can hold: what, where, and what to do instead.

    Parameters
    ----------
    *args
        The message.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> f = te.compile(lambda x: x * float(x.sum()))
    >>> f(np.ones(3))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tinygrad_edu.compiling.tape.Untraceable: te.compile: a number becomes a ...
    """


class GuardFailed(Exception):
    """A value of this call leads another way than the traced one did."""


def check_guard(
    expected: Any, question: Callable[..., Any], value: Any, *more: Any
) -> None:
    """Raise an error if the answer to a question is not what it was in the trace."""
    if question(value, *more) != expected:
        raise GuardFailed


#: Answer without being recorded: all they look at is the same in each call.
_OF_SHAPES: frozenset[Any] = frozenset(
    {np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type}
    | {np.shares_memory, np.may_share_memory, np.iscomplexobj, np.isrealobj}
    | {np.common_type}
)
#: The shape of their result depends on values.
_SHAPED_BY_VALUES: frozenset[Any] = frozenset(
    {np.nonzero, np.flatnonzero, np.argwhere, np.compress, np.extract, np.unique}
    | {np.union1d, np.setdiff1d, np.intersect1d, np.setxor1d, np.trim_zeros}
    | {np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values}
    | {np.linalg.eig, np.linalg.eigvals, np.roots, np.histogram, np.delete}
    | {np.bincount, np.repeat, np.linalg.lstsq}
)
#: Write into their first argument.
_WRITES: frozenset[Any] = frozenset(
    {np.copyto, np.put, np.putmask, np.place, np.fill_diagonal, np.put_along_axis}
    | {np.ndarray.fill}
)
_REDUCTIONS = {
    np.sum: np.add,
    np.prod: np.multiply,
    np.max: np.maximum,
    np.min: np.minimum,
}
_RESULTS = (StandIn, np.ndarray, np.generic, int, float, complex, str, type(None))
#: What arithmetic knows; a Tensor, say, answers itself.
_OPERANDS = (StandIn, np.ndarray, np.generic, int, float, complex, list, tuple)


class Tape:
    """Writes a program down.

    Attributes
    ----------
    program : Program
    """

    def __init__(self) -> None:
        self.program = Program()
        self._views: dict[int, int] = {}  # by memory: how many stand-ins there were
        self._memories = 0
        self._constants: dict[int, tuple[Any, Ref, bytes]] = {}  # by id of the array
        #: ``(array, ..., entries)`` of what is written to: calls that put it back.
        self.before: list[tuple[np.ndarray, Any, np.ndarray]] = []
        #: By the id of the array that owns the memory: constants that share it.
        self._owned: dict[int, list[tuple[np.ndarray, Ref]]] = {}
        self._saved: set[int] = set()
        self._thread = threading.get_ident()

    # -- what there is before
    def begin(self, x: Any, kind: str, name: str, memory: int | None = None) -> Any:
        """Return the stand-in of an array or number that is there before the calls.

        Parameters
        ----------
        x : ndarray, np.generic or a Python number
        kind : str
            As of a :class:`Value`: "input", "captured" or "number".
        name : str
            For errors.
        memory : int, optional
            If it shares one with an earlier array.
        """
        value = self._value_of(x, kind, memory)
        value.name = name
        value.given = x if kind == "captured" else None
        ref = self.program.add(value)
        {
            "input": self.program.inputs,
            "captured": self.program.captured,
            "number": self.program.numbers,
        }[kind].append(ref)
        return self._standing_for(x, ref)

    def constant(self, x: Any) -> Any:
        """Return the stand-in of an array that is the same each time; others as is."""
        is_array = type(x) is np.ndarray
        return self._standing_for(x, self._constant(x)) if is_array else x

    def memory_of(self, standin: Any) -> int:
        """Return the memory that a stand-in's array lies in."""
        return self.program.memory_of(standin.ref)

    def finish(self, outputs: Any) -> Program:
        """Return the program that computes ``outputs``, a list."""
        for array, ref, before in self._constants.values():
            if _bytes(array) != before:
                raise Untraceable(
                    f"te.compile: {self.program.values[ref].name} was made while the "
                    "function was traced, used, and then written to. Compute with "
                    "new arrays, or hand it over as an argument"
                )
        for x in outputs:
            if not isinstance(x, _RESULTS):
                raise Untraceable(
                    f"te.compile: the function returns a {type(x).__name__}, and not "
                    "arrays, numbers or trees of them"
                )
        self.program.outputs = [self.lift(x) for x in outputs]
        return self.program

    def _save(self, ref: Ref) -> None:
        """Keep the entries of a captured array that is about to be written into."""
        memory = self.program.memory_of(ref)
        if memory in self._saved:
            return
        self._saved.add(memory)
        for value in self.program.values:
            if value.memory == memory and value.kind == "input":
                raise Untraceable(
                    f"te.compile: the function writes into its argument {value.name}"
                    f"{_at_line()}; write x = x + 1 for x += 1"
                )
            if value.memory == memory and value.kind == "captured":
                self.before.append((value.given, ..., value.given.copy(order="K")))

    # -- recording
    def call(
        self,
        function: Callable[..., Any],
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_effect: bool = False,
    ) -> Any:
        """Compute, and write the call down."""
        self._check_thread()
        if kwargs:
            kwargs = {k: x for k, x in kwargs.items() if x is not np._NoValue}
        out = kwargs.pop("out", None)
        if name.endswith(".at"):
            return self.write(function, name, args, kwargs, args[0])
        operands: list[tuple[Any, Ref]] = []
        lifted = replaced(args, lambda x: self.lift(x, operands))
        named = replaced(kwargs, lambda x: self.lift(x, operands))
        made = Call(function, name, lifted, named, is_effect=is_effect)
        made.origin, made.quiet = self._origin(), self._quiet()
        if out is not None:
            return self._into(out, made, raw(args), raw(kwargs))
        result = _computed(function, raw(args), raw(kwargs))
        return self._result(result, made, operands)

    def function(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record one of NumPy's functions that are written in Python."""
        if function in (np.shares_memory, np.may_share_memory):
            one = next(x for x in args if isinstance(x, StandIn))
            self.check_not_asked(one, "is asked for whose memory it shares")
        if function in _OF_SHAPES:
            return function(*raw(args), **raw(kwargs))
        if function in _SHAPED_BY_VALUES:
            self._check_shape_is_known(function, args, kwargs)
        name = function.__name__
        if function in _WRITES:
            return self.write(function, name, args, kwargs, args[0])
        place = _place_of_out(function)
        if place is not None and len(args) > place:
            kwargs = {**kwargs, "out": args[place]}
            if len(args) > place + 1:
                names = [*inspect.signature(function).parameters]
                kwargs |= dict(zip(names[place + 1 :], args[place + 1 :], strict=False))
            args = args[:place]
        ufunc = _REDUCTIONS.get(function)
        if ufunc is not None and len(args) <= 2 and _ALONG.issuperset(kwargs):
            kwargs = {"axis": args[1] if len(args) > 1 else None, **kwargs}
            return self.call(ufunc.reduce, f"{ufunc.__name__}.reduce", args[:1], kwargs)
        return self.call(function, name, args, kwargs)

    def operator(
        self, function: Any, ufunc: Any, *operands: Any, in_place: bool = False
    ) -> Any:
        """Record what an operator computes, as NumPy would."""
        if not all(isinstance(x, _OPERANDS) for x in operands):
            return NotImplemented
        if not any(isinstance(x, np.ndarray | list | tuple) for x in operands):
            return self.call(function, function.__name__, operands, {})
        if ufunc is np.power:
            ufunc, operands = _power(*operands)
        out = {"out": operands[0]} if in_place else {}
        return self.call(ufunc, ufunc.__name__, tuple(operands), out)

    def item(self, x: Any, index: Any) -> Any:
        """Record ``x[index]``."""
        if type(x) is NumberStandIn and (index == () or index is ...):
            return x if index == () else self.call(np.asarray, "asarray", (x,), {})
        for part in index if type(index) is tuple else (index,):
            if isinstance(part, ArrayStandIn) and part.dtype == np.bool_:
                raise self.refused("x[mask]", "the mask")
        return self.call(operator.getitem, "getitem", (x, index), {})

    def store(self, x: Any, index: Any, value: Any) -> None:
        """Record ``x[index] = value``."""
        if isinstance(value, ArrayStandIn):  # of x[index] += ... only the second half
            where: Any = x.array[raw(index)]
            if isinstance(where, np.ndarray) and _same_place(where, value.array):
                return
        self.write(operator.setitem, "setitem", (x, index, value), {}, x)

    # -- values that decide something
    def guarded(self, x: Any, kind: Callable[[Any], Any]) -> Any:
        """Return what the engine asks of a value, and have the program check it.

        A function of the user's does not get it: what it would do for another value is
        not known.
        """
        frame = _asking()
        if frame is None or not _is_ours(frame) or kind is float:
            raise self.leaves(x, _ASKED[kind])
        return self.guard(kind, x)

    def check_not_asked(self, x: Any, how: str) -> None:
        """Refuse what the engine may ask, but a function of the user's may not."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and _module_of(frame).startswith(_NOT_ASKING):
            frame = frame.f_back
        if frame is None or not _is_ours(frame):
            raise self.leaves(x, how)

    def guard(self, question: Callable[..., Any], x: Any, *more: Any) -> Any:
        """Return the answer to a question about values; the program checks it."""
        self._check_thread()
        answer = _computed(question, (x.array, *raw(more)), {})
        args = (answer, question, x.ref, *map(self.lift, more))
        check = Call(check_guard, "guard", args, {}, is_effect=True)
        check.origin = self._origin()
        self.program.calls.append(check)
        return answer

    def number_of(self, x: Any, index: tuple[Any, ...]) -> Any:
        """Return what stands for ``x.item(*index)``, where the engine asks for it."""
        frame = _asking()
        if frame is None or not _is_ours(frame):
            raise self.leaves(x, "is asked for its .item()")
        item = type(x.array).item
        return self.call(item, "item", (x, *index), {})

    def listed(self, x: Any) -> Any:
        """Return ``x.tolist()`` of sizes, axes and the like, for the engine."""
        frame = _asking()
        if frame is None or not _is_ours(frame) or x.dtype.kind not in "iub":
            raise self.leaves(x, "is asked for its .tolist()")
        return self.guard(type(x.array).tolist, x)

    def leaves(self, x: Any, how: str) -> Untraceable:
        """Return the error for a value that would leave the trace."""
        what = "a number" if not isinstance(x, ArrayStandIn) else f"an array {x.shape}"
        if name := self.program.values[x.ref].name:
            what = f"{what}, {name},"
        return Untraceable(
            f"te.compile: {what} {how}{_at_line()}: what happens then depends on "
            "numbers, and a program does the same for all. Compute with NumPy's "
            "functions (np.where for a choice), or do this outside of the function"
        )

    def refused(self, what: str, whose: str) -> Untraceable:
        """Return the error for a result whose shape depends on values."""
        return Untraceable(
            f"te.compile: the shape of {what} depends on the numbers in {whose}"
            f"{_at_line()}, and a program knows the shapes beforehand. np.where(mask, "
            "x, 0) keeps the shape; or do this outside of the function"
        )

    # -- how it is done
    def lift(self, x: Any, operands: list[tuple[Any, Ref]] | None = None) -> Any:
        """Return what stands in the program for an argument."""
        if isinstance(x, StandIn):
            if x.tape is not self:
                raise Untraceable(
                    "te.compile: a value of an earlier trace came back; a compiled "
                    "function must not keep what it computes"
                )
            ref = x.ref
        elif isinstance(x, np.ndarray):
            ref = self._constant(x)
        else:
            return x
        if operands is not None:
            operands.append((x.array if isinstance(x, StandIn) else x, ref))
        return ref

    def _constant(self, x: np.ndarray) -> Ref:
        known = self._constants.get(id(x))
        if known is not None:
            return known[1]
        value = self._value_of(x, "constant")
        value.given, value.name = x, f"the constant {x.dtype} of shape {x.shape}"
        owner: Any = x
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        for array, ref in self._owned.setdefault(id(owner), []):
            if np.may_share_memory(array, x):
                value.memory = self.program.memory_of(ref)
        ref = self.program.add(value)
        self._owned[id(owner)].append((x, ref))
        self._constants[id(x)] = x, ref, _bytes(x)
        return ref

    def _value_of(self, x: Any, kind: str, memory: int | None = None) -> Value:
        if isinstance(x, np.ndarray):
            if memory is None:
                memory = self._memories
                self._memories += 1
            self._views[memory] = self._views.get(memory, 0) + 1
            return Value(kind, x.shape, x.dtype, x.strides, memory)
        return Value(kind, dtype=x.dtype if isinstance(x, np.generic) else None)

    def _standing_for(self, x: Any, ref: Ref) -> StandIn:
        kind: type[StandIn] = PythonNumber
        if isinstance(x, np.ndarray):
            kind = ArrayStandIn
        elif isinstance(x, np.generic):
            kind = NumberStandIn
        return kind(x, ref, self)

    def _result(self, result: Any, made: Call, operands: list[tuple[Any, Ref]]) -> Any:
        """Write down a call, and return what stands for its result."""
        self.program.calls.append(made)
        if isinstance(result, tuple | list):
            made.result = self.program.add(Value("computed"))
            parts = []
            for i, part in enumerate(result):
                item = Call(operator.getitem, "getitem", (made.result, i), {})
                item.origin = made.origin
                parts.append(self._result(part, item, operands))
            if isinstance(result, list):
                return parts
            return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
        if result is None or isinstance(result, str | np.dtype | type):
            raise Untraceable(f"te.compile: {made.name} is not supported{_at_line()}")
        memory = None
        if isinstance(result, np.ndarray):
            for array, ref in operands:
                if isinstance(array, np.ndarray) and np.may_share_memory(result, array):
                    memory, made.is_view = self.program.memory_of(ref), True
        made.result = self.program.add(self._value_of(result, "computed", memory))
        return self._standing_for(result, made.result)

    def _into(self, out: Any, made: Call, args: Any, kwargs: Any) -> Any:
        """Record a call that was given ``out=``.

        If nobody else looks at the memory, its array is a new one from here on.
        """
        if not isinstance(out, StandIn):
            raise self._unknown_target(made.name)
        self._save(out.ref)
        _computed(made.function, args, {**kwargs, "out": out.array})
        value = self.program.values[out.ref]
        whole = kwargs.get("where", True) is True
        if whole and value.kind == "computed" and self._views[value.memory] == 1:
            made.given_out = True
            after = self._value_of(out.array, "computed")
            made.result = out.ref = self.program.add(after)
        else:
            made.target = out.ref
        self.program.calls.append(made)
        return out

    def write(
        self, function: Any, name: str, args: Any, kwargs: Any, target: Any
    ) -> None:
        """Compute what writes into an argument, and write the call down."""
        self._check_thread()
        if not isinstance(target, StandIn):
            raise self._unknown_target(name)
        lifted, named = replaced(args, self.lift), replaced(kwargs, self.lift)
        self._save(target.ref)
        _computed(function, raw(args), raw(kwargs))
        made = Call(function, name, lifted, named, target=target.ref)
        made.origin, made.quiet = self._origin(), self._quiet()
        self.program.calls.append(made)

    def _unknown_target(self, name: str) -> Untraceable:
        return Untraceable(
            f"te.compile: {name} writes into an array that the function made by itself"
            f"{_at_line()}. Write x = x + y for x += y, or hand the array over"
        )

    def _check_shape_is_known(self, function: Any, args: Any, kwargs: Any) -> None:
        if function is np.repeat and not isinstance(args[1:2] and args[1], StandIn):
            return
        if function is np.delete and not any(isinstance(x, StandIn) for x in args[1:2]):
            return
        raise self.refused(f"{function.__name__}(...)", "its arguments")

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise RuntimeError(
                "a model or array is in use here while another thread compiles a "
                "function of it for the first time; call it once before threads start"
            )

    def _quiet(self) -> Any:
        now = np.geterr()
        return None if now == self.program.around else now

    def _origin(self) -> Origin:
        """Return the outermost operation that is computed now, and the user's line."""
        frame: FrameType | None = sys._getframe(2)
        operation, is_rule, line = "", False, ""
        while frame is not None:
            module = _module_of(frame)
            if module in _CALLERS:
                name = frame.f_code.co_name
                if name == "call":
                    op = frame.f_locals.get("op")
                    operation, is_rule = getattr(op, "name", operation), False
                elif "pull" in name and "node" in frame.f_locals:
                    operation, is_rule = frame.f_locals["node"].op.name, True
            elif module == f"{_PACKAGE}.compiling.tracing":
                break
            elif not line and not module.startswith((_PACKAGE, "numpy")):
                line = _line_of(frame)
            frame = frame.f_back
        return Origin(operation, is_rule, line)


_NOT_ASKING = (f"{_PACKAGE}.compiling.", f"{_PACKAGE}.engine.behaviour")
_CALLERS = frozenset({f"{_PACKAGE}.engine.core", f"{_PACKAGE}.engine.fast"})
_ALONG = frozenset({"axis", "keepdims", "out"})
_ASKED = {
    bool: "decides a branch, as in if or while,",
    int: "becomes a Python int",
    float: "becomes a Python float",
    operator.index: "is used as an index or size",
}


def _computed(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return what a function returns for arrays; what it does inside is its own."""
    token = TAPE.set(None)
    try:
        return function(*args, **kwargs)
    finally:
        TAPE.reset(token)


def _power(x: Any, exponent: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what NumPy computes for ``x ** exponent``: it knows some shorter ways."""
    if isinstance(x, np.ndarray) and type(exponent) in (int, float):
        kind = x.dtype.kind
        if exponent == 2 and kind in ("fciub" if type(exponent) is int else "fc"):
            return np.square, (x,)
        is_general = kind == "c" and exponent == -1 and type(exponent) is float
        if kind in "fc" and exponent in _SHORTER and not is_general:
            return _SHORTER[exponent], (x,)
    return np.power, (x, exponent)


_SHORTER = {-1.0: np.reciprocal, 0.5: np.sqrt, 1.0: np.positive}


def _same_place(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same entries of the same memory."""
    here, there = a.__array_interface__, b.__array_interface__
    return (here["data"], a.strides, a.shape) == (there["data"], b.strides, b.shape)


def _bytes(x: np.ndarray) -> bytes:
    return x.tobytes() if x.dtype.kind != "O" else b""


@cache
def _place_of_out(function: Any) -> int | None:
    """Return at which position a function of NumPy takes ``out``."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    found = parameters.get("out")
    if found is None or found.kind is not found.POSITIONAL_OR_KEYWORD:
        return None
    return [*parameters].index("out")


# --------------------------------------------------------------------- who is asking


def _asking() -> FrameType | None:
    """Return the frame that asks for a value, not the engine's ``__bool__``."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None:
        if _module_of(frame) != f"{_PACKAGE}.engine.behaviour":
            return frame
        frame = frame.f_back
    return None


def _is_ours(frame: FrameType) -> bool:
    name = _module_of(frame)
    return name == _PACKAGE or name.startswith(f"{_PACKAGE}.")


def _module_of(frame: FrameType) -> str:
    """Return the name of a frame's module, also of functions that fast wrote out."""
    if frame.f_code.co_filename.startswith(f"<{_PACKAGE}/"):
        return f"{_PACKAGE}.engine.fast"
    return str(frame.f_globals.get("__name__", ""))


def _line_of(frame: FrameType) -> str:
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _at_line() -> str:
    """Return the user's line that is running, for an error."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if not _is_ours(frame) and not _module_of(frame).startswith("numpy"):
            return f" ({frame.f_code.co_filename}, line {frame.f_lineno})"
        frame = frame.f_back
    return ""
