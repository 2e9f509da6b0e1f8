"""What is being recorded at this moment, and in which layer."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import partial, update_wrapper
from itertools import chain
from types import FrameType
from typing import Any, NamedTuple
from weakref import ref

from tinygrad_edu.engine.interrupts import Leaving, in_c, undone

__all__ = [
    "NESTING",
    "RECORDING",
    "RUN",
    "Cut",
    "Failed",
    "Run",
    "Scope",
    "current_scope",
    "cut_by",
    "no_grad",
    "recording",
]


class Scope(NamedTuple):
    """The layer in which a node was recorded: its path, not the layer itself."""

    path: str  # "encoder.0"; "" for the outermost layer
    kind: str  # "Linear"
    parent: Scope | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.path!r}" if self.path else self.kind


class Failed(NamedTuple):
    """An operation or layer that raised: an exception keeps it as ``.failed``."""

    name: str  # "matmul"
    inputs: tuple[Any, ...]
    scope: Scope | None
    message: str


class Cut(NamedTuple):
    """Why a leaf that was computed passes on no gradient; it keeps nothing alive."""

    how: str  # "detached" or "under-no-grad"
    op: Any  # whose result it is, if it was not a leaf before,
    name: str | None  # and its name
    scope: Scope | None
    behind: tuple[ref[Any], ...]  # tensors that would have been given a gradient


#: Whether operations record; anything with a truth value.
RECORDING: ContextVar[Any] = ContextVar("recording", default=True)


#: How many transforms (``te.grad`` and its like) are running around this code.
NESTING: ContextVar[int] = ContextVar("nesting", default=0)


class Run:
    """A call of an outermost layer: which layer is running at the moment, and where."""

    __slots__ = ("layer", "names", "scope", "trail")

    def __init__(self, scope: Scope | None = None) -> None:
        self.layer: Any = None
        self.scope = scope
        self.names: dict[int, dict[int, str]] = {}  # of layers in a layer, by their ids
        # what ran, by the id of the scope: layer, scope, shape of the output
        self.trail: dict[int, tuple[Any, Scope, Any]] = {}


#: The call that is under way, if any.
RUN: ContextVar[Run | None] = ContextVar("run", default=None)


def current_scope() -> Scope | None:
    """Return the scope of the layer that is running, or None."""
    run = RUN.get()
    return None if run is None else run.scope


def cut_by(op: Any, inputs: Iterable[Any]) -> Cut | None:
    """Return why the result of ``op``, unrecorded, passes on no gradient, if it would.

    That is: to which inputs; or to none, but one of them was cut off itself.
    """
    behind: list[ref[Any]] = []
    first: Cut | None = None  # on the way here
    for x in inputs:
        if getattr(x, "_tracked", False):
            behind.append(ref(x))
        elif first is None:
            first = getattr(x, "_cut", None)
    if not behind:
        return first
    behind += () if first is None else first.behind
    some = tuple(behind[:8])  # enough to tell, and no more in a long loop
    return Cut("under-no-grad", op, None, current_scope(), some)


def recording(on: bool) -> undone[Any]:
    """Record, or do not, whatever holds around it."""
    return undone(partial(RECORDING.set, on), map(RECORDING.set, (RECORDING.get(),)))


class _OffInside:
    """False while a generator's frame is running, else what held before.

    A generator that pauses inside ``with no_grad():`` hands control to its consumer,
    in whose code recording must go on.
    """

    def __init__(self, frame: FrameType, before: Any) -> None:
        self.frame: FrameType | None = frame
        self.before = before

    def __bool__(self) -> bool:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame is self.frame:
                return False
            frame = frame.f_back
        return bool(self.before)


def _pauses(frame: FrameType) -> bool:
    """Whether a frame's code can hand control back in the middle of a block."""
    generators = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
    if not frame.f_code.co_flags & generators:
        return False
    # The generator of a @contextmanager pauses for the block its user opens with it.
    user = frame.f_back
    return user is None or user.f_globals.get("__name__") != "contextlib"


def _alive(state: Any) -> Any:
    """Return what ``state`` says, not through generators that have ended."""
    while isinstance(state, _OffInside) and state.frame is None:
        state = state.before
    return state


class no_grad(ContextDecorator):
    """Switch recording off: as a context manager, or as a decorator.

    Results computed inside have ``requires_grad=False`` and keep nothing alive. Other
    threads, and the consumer of a generator that pauses inside, go on recording.

    Parameters
    ----------
    *function
        Nothing: as a decorator it is written with brackets, ``@te.no_grad()``.

    Raises
    ------
    TypeError
        If the brackets are missing, or a coroutine is decorated.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor(3.0, requires_grad=True)
    >>> with te.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """

    def __init__(self, *function: Any) -> None:
        if function:
            raise TypeError("write @te.no_grad() with brackets, or with te.no_grad():")
        self._entered: list[tuple[Any, Any]] = []  # (what held before, what was set)

    def __enter__(self) -> no_grad:
        before, caller = RECORDING.get(), sys._getframe(1)
        off = _OffInside(caller, before) if _pauses(caller) else False
        self._entered.append((before, off))
        try:
            RECORDING.set(off)  # in here: an interrupt may come as soon as it is set
        except BaseException:
            RECORDING.set(before)
            raise
        return self

    __exit__ = Leaving()

    @property
    def _end(self) -> Callable[..., None]:
        """Go back to what holds now, which nothing prevents, and see to the rest."""
        now: list[Any] = []
        return in_c(
            chain(
                map(now.append, map(ContextVar.get, (RECORDING,))),
                map(RECORDING.set, (RECORDING.get(),)),
                map(self._leave, (now,)),
            )
        )

    def _leave(self, last: list[Any]) -> None:
        """Put back what held before; generators that have not ended go on inside."""
        before, off = self._entered.pop()
        (now,) = last  # at the end of the block
        if isinstance(off, _OffInside):
            off.frame = None  # from here on it says what held before
            off.before = _alive(off.before)
            # else the consumer has set something since
            RECORDING.set(off.before if now is off else now)
        elif isinstance(now, _OffInside):  # a generator begun in this block goes on
            RECORDING.set(now)
            while isinstance(now.before, _OffInside):
                now = now.before
            now.before = before
        else:
            RECORDING.set(_alive(before))

    def __call__(self, function: Any) -> Any:
        later = inspect.iscoroutinefunction(function)
        if later or inspect.isasyncgenfunction(function):  # ended before they begin
            raise TypeError(
                "no_grad decorates functions and generators; in a coroutine, write "
                "with te.no_grad(): inside"
            )
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        def pausing(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return (yield from function(*args, **kwargs))

        return update_wrapper(pausing, function)

    def _recreate_cm(self) -> no_grad:  # a decorated function may call itself
        return no_grad()
