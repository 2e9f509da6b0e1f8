"""The door through which the engine reaches NumPy, and what stands in it in a trace.

NumPy's functions hand themselves on to stand-ins, but for those that make arrays of
anything: ``np.asarray``, ``np.zeros`` and their like. The engine's modules reach all of
them as attributes of ``np``. While a function is traced, ``np`` is another object in
these modules, which hands what a stand-in is among on to the tape, and all else to
NumPy; so other threads go on as before. What is not traced pays nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import _lru_cache_wrapper, cached_property, wraps
from itertools import chain, repeat, starmap
from operator import setitem
from types import FunctionType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.compiling.standins import ArrayStandIn, PythonNumber, StandIn
from tinygrad_edu.compiling.tape import TAPE, Tape
from tinygrad_edu.engine.core import OPS, Tensor
from tinygrad_edu.engine.interrupts import undone
from tinygrad_edu.engine.memory import empty_like
from tinygrad_edu.engine.scattered import Scattered
from tinygrad_edu.ops import plans
from tinygrad_edu.ops.exponentials import restored
from tinygrad_edu.ops.grids import _strided
from tinygrad_edu.ops.kinks import are_finite, lies_between, numbers
from tinygrad_edu.ops.linalg import _condition
from tinygrad_edu.randomness import draw

__all__ = ["opened"]

_PACKAGE = __name__.split(".")[0]


class _Module:
    """Stands for a module: attributes of its own, else the module's."""

    def __init__(self, module: Any, own: dict[str, Any]) -> None:
        self.__dict__.update(own)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _holds(x: Any) -> bool:
    """Whether a stand-in is among arguments, also nested."""
    todo = [x]
    while todo:
        x = todo.pop()
        if isinstance(x, StandIn):
            return True
        if type(x) in (tuple, list):
            todo += x
    return False


def _as_array(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what answers for ``np.asarray``: a stand-in is its own array."""

    def call(x: Any, dtype: Any = None, **kwargs: Any) -> Any:
        tape = TAPE.get()
        if tape is not None and isinstance(x, Scattered):
            return x.whole()
        if tape is None or not _holds(x):
            return function(x, dtype, **kwargs)
        if isinstance(x, ArrayStandIn):
            same = dtype is None or np.dtype(dtype) == x.dtype
            return x if same else tape.call(np.ndarray.astype, "astype", (x, dtype), {})
        named = {} if dtype is None else {"dtype": dtype}
        return tape.call(np.array, "array", (x,), named | kwargs)

    return call


def _made_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what answers for a function that would not ask the stand-ins itself."""

    def call(*args: Any, **kwargs: Any) -> Any:
        tape = TAPE.get()
        if tape is None or not _holds((args, [*kwargs.values()])):
            return function(*args, **kwargs)
        return tape.call(function, function.__name__, args, kwargs)

    return call


def _making(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what answers for a function that makes an array to be written into."""

    def call(*args: Any, **kwargs: Any) -> Any:
        tape = TAPE.get()
        if tape is None:
            return function(*args, **kwargs)
        return tape.call(function, function.__name__, args, kwargs)

    return call


def _of_a_seed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what answers for a function that may make an array of a plain 1.

    That is what the way back begins with. Of an array that is no stand-in a method,
    ``g.dot(weight)``, would not be recorded.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        tape, made = TAPE.get(), function(*args, **kwargs)
        if tape is None or isinstance(made, StandIn):
            return made
        return tape.constant(made) if made.dtype.kind == "f" else made

    return call


def _on_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what answers for a function of Python's ``math``."""

    def call(*args: Any) -> Any:
        for x in args:
            if type(x) is PythonNumber:
                return x.tape.call(function, function.__name__, args, {})
        return function(*args)

    return call


def _empty_like(x: Any) -> Any:
    """Answer for the engine's own ``empty_like``: where memory begins is no matter."""
    tape = TAPE.get()
    if tape is None:
        return empty_like(x)
    return tape.call(np.empty_like, "empty_like", (x,), {})


def _draw(rng: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    """Answer for :func:`tinygrad_edu.randomness.draw`: an effect, in its place."""
    tape = TAPE.get()
    if tape is None:
        return draw(rng, method, *args, **kwargs)
    drawn = getattr(rng, method)
    return tape.call(drawn, f"draw.{method}", args, kwargs, is_effect=True)


def _asked(question: Callable[..., bool]) -> Callable[..., bool]:
    """Return what answers for a question about numbers: the program asks it, too."""

    def ask(x: Any, *more: Any) -> bool:
        x = numbers(x)
        if not isinstance(x, StandIn):
            return question(x, *more)
        return bool(x.tape.guard(question, x, *more))

    return ask


def _restored(rest: Any, x: Any, exact: Any) -> Any:
    """Answer for what puts digits back where few are left: one call, or a guard."""
    got = numbers(rest)
    if not isinstance(got, StandIn):
        return restored(rest, x, exact)
    tape, x = got.tape, numbers(x)
    if type(rest) is Tensor:
        if tape.guard(_is_restored, got, x, exact):
            return rest
        return rest + tape.call(_missing, "missing_digits", (got, x, exact), {})
    if not isinstance(got, ArrayStandIn):
        return tape.call(restored, "restored", (got, x, exact), {})
    tape.write(restored, "restored", (got, x, exact), {}, got)
    return rest


def _missing(got: Any, x: Any, exact: Any) -> Any:
    """Return the digits that :func:`restored` adds."""
    return restored(np.array(got), x, exact) - got


def _is_restored(got: Any, x: Any, exact: Any) -> bool:
    """Whether :func:`restored` leaves it as it is."""
    asked: list[Any] = []

    def noted(x: Any) -> Any:
        asked.append(x)
        return exact(x)

    restored(np.array(got), x, noted)
    return not asked


_MAKING: list[Any] = [np.empty, np.zeros, np.ones, np.full]
_MAKING += [np.empty_like, np.zeros_like, np.ones_like, np.full_like]
_NUMPY = _Module(
    np,
    {
        "asarray": _as_array(np.asarray),
        "asanyarray": _as_array(np.asanyarray),
        **{
            f.__name__: _made_of(f)
            for f in (np.array, np.ascontiguousarray, np.asfortranarray, np.any, np.all)
        },
        **{f.__name__: _making(f) for f in _MAKING},
        **{
            f.__name__: _of_a_seed(f)
            for f in (np.broadcast_to, np.reshape, np.expand_dims)
        },
    },
)
_OF_MATH = ("sqrt", "pow", "exp", "log", "isfinite")
_MATH = _Module(math, {name: _on_numbers(getattr(math, name)) for name in _OF_MATH})


def _is_remembered(x: Any) -> bool:
    """Whether it is a function that keeps its results."""
    return isinstance(x, _lru_cache_wrapper) or (
        isinstance(x, FunctionType)
        and hasattr(x, "__wrapped__")
        and x.__globals__ is vars(plans)
    )


def _is_kept(x: Any) -> bool:
    return isinstance(x, cached_property)


def _once(function: Any, is_property: bool = False) -> Callable[..., Any]:
    """Return what answers for a function that keeps its results: they are constants.

    What a property keeps is its object's.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        tape = TAPE.get()
        if _holds((args, [*kwargs.values()])):
            return getattr(function, "__wrapped__", function)(*args, **kwargs)
        token = TAPE.set(None)
        try:
            kept = function(*args, **kwargs)
        finally:
            TAPE.reset(token)
        return kept if tape is None or is_property else tape.constant(kept)

    return call


class _KindOfType(type):
    """``type``, for which a stand-in is of the type of what it stands for."""

    def __call__(cls, *args: Any) -> Any:
        if len(args) == 1 and issubclass(type(args[0]), StandIn):
            return type(args[0].array)
        return type(*args)

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, type)


class _Type(metaclass=_KindOfType):
    """Stands in for ``type`` in the engine's modules."""


#: What stands in for what, by the id of what a name in a module means.
_STANDING_IN: dict[int, Any] = {
    id(np): _NUMPY,
    id(math): _MATH,
    id(as_strided): _made_of(as_strided),
    id(empty_like): _empty_like,
    id(draw): _draw,
    id(lies_between): _asked(lies_between),
    id(are_finite): _asked(are_finite),
    id(restored): _restored,
    id(_strided): _made_of(_strided),
    id(_condition): _made_of(_condition),  # it catches an error of a value's
}
_LEFT_ALONE = f"{_PACKAGE}.compiling"
#: They look at who holds an array, and where it lies: at nothing that a program has.
_ABOUT_MEMORY = frozenset({f"{_PACKAGE}.engine.memory", f"{_PACKAGE}.engine.lending"})


def opened(tape: Tape) -> undone[None]:
    """Let the engine reach NumPy through the tape. One at a time: hold a lock."""
    changed: list[tuple[dict[str, Any], str, Any]] = []
    named: list[dict[str, Any]] = []  # where type is another
    kept: list[tuple[cached_property[Any], str, Any]] = []

    def begin() -> None:
        TAPE.set(tape)
        for name, module in [*sys.modules.items()]:
            if not name.startswith(f"{_PACKAGE}.") or name.startswith(_LEFT_ALONE):
                continue
            names = vars(module)
            for key, x in [*names.items()]:
                instead = _STANDING_IN.get(id(x))
                if _is_remembered(x):
                    instead = _once(x)
                elif isinstance(x, type) and x.__module__ == name:
                    of_class = [y for y in vars(x).values() if _is_kept(y)]
                    kept.extend((y, "func", y.func) for y in of_class)
                if instead is not None:
                    changed.append((names, key, x))
                    names[key] = instead
            if name not in _ABOUT_MEMORY:
                named.append(names)
        written = [f.__globals__ for op in OPS.values() for f in (op.call, op.pull)]
        named.extend(
            {id(names): names for names in written if "type" not in names}.values()
        )
        for names in named:
            names["type"] = _Type
        for x, _, function in kept:
            x.func = _once(function, is_property=True)

    end = chain(
        starmap(setitem, changed),
        map(dict.pop, named, repeat("type"), repeat(None)),
        starmap(setattr, kept),
        map(TAPE.set, (TAPE.get(),)),
    )
    return undone(begin, end)
