"""A program as plain data: values, and the calls of NumPy that compute them, in order.

Nothing here computes. A trace writes a program down, the passes rewrite it, the
printers read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Call", "Origin", "Program", "Ref", "Value", "refs", "replaced"]


class Ref(int):
    """The number of a value, where it stands among arguments."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"v{int(self)}"


@dataclass(slots=True, eq=False)
class Value:
    """What is known of a value before the program runs.

    Attributes
    ----------
    kind : str
        "input", handed over with each call; "captured", an array that the function
        sees, read by reference; "constant", made while it was traced; "number", a
        Python number that is read anew with each call; or "computed".
    shape, dtype, strides
        Of an array or one of NumPy's numbers, which has no strides. A Python number
        has no dtype either.
    memory : int
        Values of one memory are views of each other; -1 for numbers.
    given : object
        The array of a constant or captured value.
    name : str
        How errors call it.
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] | None = None
    strides: tuple[int, ...] | None = None
    memory: int = -1
    given: Any = None
    name: str = ""

    @property
    def is_array(self) -> bool:
        """Whether it is an array, and no number."""
        return self.strides is not None

    @property
    def size(self) -> int:
        """How many entries it has."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def nbytes(self) -> int:
        """How much memory its entries take, in bytes."""
        return self.size * (self.dtype.itemsize if self.dtype is not None else 0)


@dataclass(slots=True, frozen=True)
class Origin:
    """Where a call comes from: an operation's forward or rule, and the user's line."""

    operation: str = ""  # "matmul"; "" outside of any
    is_rule: bool = False
    line: str = ""  # "train.py:12"

    def __str__(self) -> str:
        what = f"{'the rule' if self.is_rule else 'the forward'} of {self.operation}"
        parts = [what] * bool(self.operation) + [self.line] * bool(self.line)
        return ", ".join(parts) or "the function itself"


@dataclass(slots=True, eq=False)
class Call:
    """One call of a function, as a rule one of NumPy's.

    Attributes
    ----------
    function : callable
    name : str
        The function's, for people and for passes.
    args, kwargs
        Arguments; values stand in them as :class:`Ref`.
    result : Ref or None
        The value it computes. None if it only writes, or checks.
    target : Ref or None
        The array into whose memory it writes, besides or instead.
    is_view : bool
        Whether the result looks at the memory of an argument.
    is_effect : bool
        Whether it must happen, once and in this order, though nobody reads a result:
        a draw of random numbers, a guard.
    given_out : bool
        Whether the result was written into an array that was there: its memory order is
        that array's, and not what NumPy would choose.
    quiet : mapping or None
        What ``numpy.errstate`` held around it, if that differs from the caller's.
    origin : Origin
    """

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Ref | None = None
    target: Ref | None = None
    is_view: bool = False
    is_effect: bool = False
    given_out: bool = False
    quiet: Mapping[str, Any] | None = None
    origin: Origin = field(default_factory=Origin)

    def reads(self) -> list[Ref]:
        """Return the values among the arguments, and the target."""
        found = [*refs(self.args), *refs(self.kwargs)]
        return found if self.target is None else [*found, self.target]

    def writes(self) -> list[Ref]:
        """Return the values into whose memory it writes."""
        return [] if self.target is None else [self.target]

    def __str__(self) -> str:
        parts = [*map(repr, self.args)]
        parts += [f"{name}={x!r}" for name, x in self.kwargs.items()]
        if self.target is not None and self.result is None and self.name != "setitem":
            parts += [f"out={self.target!r}"]
        left = f"{self.result!r} = " if self.result is not None else ""
        return f"{left}{self.name}({', '.join(parts)})"


@dataclass(slots=True, eq=False)
class Program:
    """The calls of a trace, in order, and what they work on.

    Attributes
    ----------
    values : list of Value
        By number.
    calls : list of Call
    inputs : list of Ref
        What is handed over, in order.
    captured : list of Ref
        Arrays that are read, or written, by reference.
    numbers : list of Ref
        Python numbers that are read anew.
    outputs : list
        Refs, and objects that are the same each time.
    around : dict
        What ``numpy.geterr`` said around it.
    """

    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    inputs: list[Ref] = field(default_factory=list)
    captured: list[Ref] = field(default_factory=list)
    numbers: list[Ref] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    around: Any = field(default_factory=np.geterr)

    def add(self, value: Value) -> Ref:
        """Give a value a number."""
        self.values.append(value)
        return Ref(len(self.values) - 1)

    def memory_of(self, ref: Ref) -> int:
        """Return the memory that a value lies in; -1 for a number."""
        return self.values[ref].memory

    def written(self) -> set[int]:
        """Return the memories that calls write into."""
        return {self.memory_of(ref) for call in self.calls for ref in call.writes()}

    def held(self) -> set[int]:
        """Return the memories of arrays that others hold."""
        return {v.memory for v in self.values if v.kind in ("input", "captured")} - {-1}

    def lasting(self) -> set[int]:
        """Return the memories that others hold, or that are handed out."""
        held = {v.memory for v in self.values if v.kind not in ("computed", "number")}
        handed_out = {self.memory_of(ref) for ref in refs(self.outputs)}
        return (held | handed_out) - {-1}

    def __str__(self) -> str:
        lines = [
            f"{c}{f'  # {c.origin}' if c.origin.operation else ''}" for c in self.calls
        ]
        return "\n".join([*lines, f"return {self.outputs}"])


def refs(x: Any) -> Iterator[Ref]:
    """Yield the values in arguments: tuples, lists, dicts and slices, also nested."""
    todo = [x]
    while todo:
        x = todo.pop()
        kind = type(x)
        if kind is Ref:
            yield x
        elif kind is tuple or kind is list:
            todo += reversed(x)
        elif kind is dict:
            todo += reversed(x.values())
        elif kind is slice:
            todo += (x.step, x.stop, x.start)


def replaced(x: Any, change: Callable[[Any], Any]) -> Any:
    """Return arguments with ``change`` applied to all that is in them.

    They are nested as deep as the user writes brackets, so this may call itself.
    """
    kind = type(x)
    if kind is tuple or kind is list:
        return kind(replaced(y, change) for y in x)
    if kind is dict:
        return {name: replaced(y, change) for name, y in x.items()}
    if kind is slice:
        return slice(*(replaced(y, change) for y in (x.start, x.stop, x.step)))
    return change(x)
