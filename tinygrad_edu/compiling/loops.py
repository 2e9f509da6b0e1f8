"""Loops: elementwise calls, and sums of short rows, as one compiled loop each.

``fused`` takes a program and returns one in which such calls stand together, each group
as one call of a kernel, which ``kernels`` compiles. A *nest* is a loop over all entries
of one shape. Its calls read what lies in memory, and each other's results; only what
others read is stored. Where it sums rows, the loop over a row runs once for each sum
that waits for another, and what is needed again lies in a row of its own.

What a call computes is what NumPy computes, operand by operand, but for the order of
sums, and for exp, log and tanh of a few numbers. Products, long reductions and all else
stay calls; they are made before the open nests that they do not depend on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isinf, isnan, prod
from typing import Any

import numpy as np

from tinygrad_edu.compiling.passes import copies
from tinygrad_edu.compiling.program import Call, Program, Ref, Value, refs, replaced

__all__ = ["COPYING", "Loop", "fused"]

_FORMS: dict[Any, str] = {
    np.add: "({} + {})",
    np.subtract: "({} - {})",
    np.multiply: "({} * {})",
    np.divide: "({} / {})",
    np.negative: "(-{})",
    np.square: "({0} * {0})",
    np.absolute: "abs({})",
    np.sqrt: "sqrt({})",
    np.maximum: "most({}, {})",
    np.minimum: "least({}, {})",
    np.greater: "({} > {})",
    np.greater_equal: "({} >= {})",
    np.less: "({} < {})",
    np.less_equal: "({} <= {})",
    np.equal: "({} == {})",
    np.not_equal: "({} != {})",
    np.where: "({1} if {0} else {2})",
    np.exp: "exp({})",
    np.log: "log({})",
    np.tanh: "tanh({})",
    np.dot: "({} * {})",  # of a column and a row, which has one term
}
COPYING: frozenset[Any] = frozenset(
    {np.array, np.ascontiguousarray, np.copy, np.asfortranarray, np.copyto}
    | {np.ndarray.copy, np.ndarray.astype}
)
_HEAVY = {np.exp, np.log, np.tanh}  #: NumPy's compute several numbers at once.
_FEW = 512  #: So few that it does not matter.
_SHORT = 2048  #: The longest rows that are summed in a loop.
_FLOATS = {np.dtype(np.float32): "f4", np.dtype(np.float64): "f8"}
_TYPES = {"f4": "float32", "f8": "float64", "b1": "boolean"}
_HELD = -2  #: Stands for all that is handed over: it may overlap what is written into.
_STATEMENTS = 80  #: So many a kernel may have, about: the compiler's time grows.


@dataclass(slots=True, eq=False)
class Loop(Call):
    """A call of a kernel, which writes into some of its arguments.

    Attributes
    ----------
    body : list of Call
        What it stands for.
    stored : dict
        By value of the body that it stores, or writes into: the argument.
    text : str
        Of the kernel.
    types : list of str
        Of its arguments.
    """

    body: list[Call] = field(default_factory=list)
    stored: dict[Ref, Ref] = field(default_factory=dict)
    text: str = ""
    types: list[str] = field(default_factory=list)

    def writes(self) -> list[Ref]:
        """Return all arguments whose memory it writes into."""
        return [*self.stored.values()]


def fused(program: Program, compiled: Callable[[list[Loop]], None]) -> Program:
    """Return the program with loops in it.

    Parameters
    ----------
    program : Program
        After the passes.
    compiled : callable
        Gives each loop its function.
    """
    _same(program)
    made = Program(**{k: getattr(program, k) for k in Program.__slots__})
    made.values, made.calls = list(program.values), []
    fuser = _Fuser(program, made)
    for call in program.calls:
        fuser.take(call)
    fuser.flush(fuser.nests)
    assert not fuser.nests and not fuser.views
    compiled([call for call in made.calls if type(call) is Loop])
    return made


def _same(program: Program) -> None:
    """Use an array for a view that is the whole of it, as it lies."""
    instead: dict[int, Ref] = {}
    kept: list[Call] = []
    first: dict[int, Call] = {}  # by value: what makes it, while nobody looked at it
    handed_out = set(refs(program.outputs))

    def followed(x: Any) -> Any:
        return instead.get(x, x) if type(x) is Ref else x

    for call in program.calls:
        call.args = replaced(call.args, followed)
        call.kwargs = replaced(call.kwargs, followed)
        call.target = followed(call.target)
        source = call.args[0] if call.args else None
        if call.is_view and type(source) is Ref and call.result not in handed_out:
            a, b = program.values[source], program.values[call.result or 0]
            here = call.name == "reshape" or call.args[1:] in (((),), (...,))
            if here and (a.shape, a.strides) == (b.shape, b.strides):
                assert call.result is not None
                instead[call.result] = source
                continue
        if call.function is np.copyto and source in first and not call.kwargs:
            x = call.args[1]
            a = program.values[source]
            other = program.values[x] if type(x) is Ref else Value("")
            if (a.strides, a.dtype, a.shape) == (
                other.strides,
                other.dtype,
                other.shape,
            ):
                kept.remove(first.pop(source))  # empty, and then filled: a copy
                call = Call(np.array, "array", (x,), {}, source, origin=call.origin)
        for ref in call.reads():
            first.pop(ref, None)
        if call.function is np.empty_like and call.result is not None:
            first[call.result] = call
        kept.append(call)
    program.calls = kept
    copies(program)


# ---------------------------------------------------------------------- what goes where


class _Nest:
    """Calls in a loop over the entries of one shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.axes: tuple[int, ...] | None = None  # the inner ones, of a row
        self.calls: list[Call] = []
        self.kinds: dict[Ref, str] = {}  # of its results: full, of each row, or summed
        self.read: dict[int, set[Ref]] = defaultdict(set)  # by memory
        self.written: dict[int, set[Ref]] = defaultdict(set)
        self.in_place = False
        self.flat: set[Ref] = set()  # of each row one, without an axis for them
        self.alias: dict[Ref, Ref] = {}  # views that give them one, and of what
        self.body: list[Call] = []  # with these views

    def conflicts(self, reads: set[int], writes: set[int]) -> bool:
        """Whether what touches these memories must not change places with it."""
        return not (
            reads.isdisjoint(self.written)
            and writes.isdisjoint(self.written)
            and writes.isdisjoint(self.read)
        )


class _Fuser:
    """Goes through a program's calls, and puts those that it can into nests."""

    def __init__(self, program: Program, made: Program) -> None:
        self.program, self.made, self.values = program, made, program.values
        self.nests: list[_Nest] = []  # open ones, in order
        self.views: list[Call] = []  # of their results
        self.readers: dict[Ref, set[int]] = defaultdict(set)
        for call in program.calls:
            for ref in call.reads():
                self.readers[ref].add(id(call))
        self.outputs = set(refs(program.outputs))
        self.windows: dict[Ref, Ref] = {}  # by array: its memory, as kernels take it
        self.changed = program.written()
        held = (v for v in program.values if v.kind in ("captured", "input"))
        self.held = {v.memory for v in held}
        self.inputs = {self.values[r].memory for r in program.inputs}

    def take(self, call: Call) -> None:
        """Put a call into a nest, or before the nests, or after some."""
        values = self.values
        reads = {values[r].memory for r in call.reads()} - {-1}
        own = [r for r in (call.result, call.target) if r is not None]
        writes = {values[r].memory for r in own} - {-1}
        if call.is_view:
            self._find_alias(call)
            opened = any(not reads.isdisjoint(n.written) for n in self.nests)
            (self.views if opened else self.made.calls).append(call)
            return
        reads |= set() if reads.isdisjoint(self.inputs) else {_HELD}
        writes |= set() if writes.isdisjoint(self.held) else {_HELD}
        after = [n for n in self.nests if n.conflicts(reads, writes)]
        shape, axes, kind = self._fusable(call)
        if shape is None:
            self.flush(after)
            self.made.calls.append(call)
            return
        first = self.nests.index(after[-1]) if after else 0
        for nest in self.nests[first:]:
            if len(nest.calls) >= _STATEMENTS or not (
                writes.isdisjoint({_HELD} & nest.read.keys())
                and reads.isdisjoint({_HELD} & nest.written.keys())
            ):
                continue
            if self._joins(call, nest, shape, axes, kind):
                break
        else:
            nest = _Nest(shape)
            self.nests.append(nest)
        nest.calls.append(call)
        nest.body.append(call)
        nest.axes = nest.axes if axes is None else axes
        nest.in_place |= call.target is not None
        for r in call.reads():
            nest.read[values[r].memory].add(r)
        nest.read.update({_HELD: set()} if _HELD in reads else {})
        nest.written.update({_HELD: set()} if _HELD in writes else {})
        for r in own:
            nest.written[values[r].memory].add(r)
            if kind != "out" and len(values[r].shape) < len(nest.shape):
                nest.flat.add(r)
            nest.kinds[r] = "each" if kind == "full" and shape != nest.shape else kind

    def _joins(self, call: Call, nest: _Nest, shape: Any, axes: Any, kind: str) -> bool:
        values = self.values
        if shape != nest.shape:  # numbers of a row, one for each
            inner = nest.axes or ()
            row = tuple(1 if i in inner else n for i, n in enumerate(nest.shape))
            if kind != "full" or not inner or call.target is not None:
                return False
            arrays = [r for r in refs(call.args) if values[r].shape]
            if any(nest.kinds.get(r) == "full" for r in arrays):
                return False
            short = tuple(n for i, n in enumerate(nest.shape) if i not in inner)
            flat = nest.flat.intersection(arrays)
            if (shape != row or flat) and (shape != short or flat != set(arrays)):
                return False
        elif not nest.flat.isdisjoint(refs(call.args)):
            return False
        elif axes is not None:
            if nest.axes not in (None, axes) or nest.in_place:
                return False
        elif nest.axes is not None and call.target is not None:
            return False
        for r in call.reads():
            if nest.kinds.get(r) == "out":
                return False
            others = nest.written.get(values[r].memory, set()) - {r}
            if others and r not in nest.alias:  # it looks at that memory in another way
                return False
        target = call.target
        if target is None:
            return True
        memory = values[target].memory
        return nest.read.get(memory, set()) <= {target}

    def _find_alias(self, call: Call) -> None:
        """Keep a view that gives the numbers of rows an axis for the rows."""
        if call.name != "getitem" or call.args[1:] != ((..., None),):
            return
        for nest in self.nests:
            source, result = call.args[0], call.result
            if source in nest.flat and nest.axes == (len(nest.shape) - 1,):
                assert result is not None
                nest.alias[result], nest.kinds[result] = source, "each"
                nest.body.append(call)

    # -- which calls
    def _fusable(self, call: Call) -> tuple[Any, Any, str]:
        """Return the shape of the loop that a call can be in, or None; and its rows."""
        no = (None, None, "")
        result = call.result if call.target is None else call.target
        if call.is_effect or result is None or (call.target and call.result):
            return no
        value = self.values[result]
        if not self._is_plain(value) or not value.size:
            return no
        if call.target is None and not _is_whole(value):
            return no
        try:
            is_known = call.function in _FORMS or call.function in COPYING
        except TypeError:
            return no
        if is_known and (call.function is not np.dot or self._is_outer(call)):
            return (value.shape, None, "full") if self._is_elementwise(call) else no
        return self._reduction(call, value)

    def _is_plain(self, value: Value) -> bool:
        strides = value.strides
        if strides is None or value.dtype is None or not value.shape:
            return False
        size = value.dtype.itemsize
        fits = all(s >= 0 and s % size == 0 for s in strides)
        return fits and (value.dtype in _FLOATS or value.dtype == np.bool_)

    def _is_elementwise(self, call: Call) -> bool:
        args, result = call.args, self._result(call)
        if call.function in COPYING:
            if call.target is not None:
                args = args[1:]
            args = args[:1]
            if call.kwargs and call.function is np.copyto:
                return False
            if type(args[0]) is not Ref or self.values[args[0]].dtype != result.dtype:
                return False
        elif call.kwargs or (call.function in _HEAVY and result.size > _FEW):
            return False
        loop = self._loop_of(call, args)
        if loop is None or result.dtype not in (loop, np.bool_):
            return False
        if call.target is not None and result.dtype != loop:
            return False
        for i, x in enumerate(args):
            if type(x) is not Ref:
                if type(x) not in (int, float) and getattr(x, "dtype", 0) != loop:
                    return False
                continue
            value = self.values[x]
            is_mask = call.function is np.where and i == 0
            if value.dtype == np.bool_ or is_mask:
                both = is_mask or loop == np.bool_ or call.function is np.multiply
                if not both or value.dtype != np.bool_:
                    return False
            elif value.dtype not in (loop, None):
                return False
            if value.shape and not self._is_plain(value):
                return False
        return True

    def _is_outer(self, call: Call) -> bool:
        """Whether a product of matrices is one of a column and a row."""
        shapes = [self.values[x].shape for x in call.args if type(x) is Ref]
        return len(shapes) == 2 and shapes[0][1:] == (1,) == shapes[1][:-1]

    def _result(self, call: Call) -> Value:
        return self.values[_ref(call)]

    def _loop_of(self, call: Call, args: Sequence[Any]) -> Any:
        """Return the dtype in which NumPy computes it."""
        dtypes = {
            getattr(self.values[x] if type(x) is Ref else x, "dtype", None)
            for x in args
        }
        floats = dtypes & {*_FLOATS}
        if len(floats) == 1:
            return floats.pop()
        return np.dtype(bool) if call.function in COPYING and not floats else None

    def _reduction(self, call: Call, value: Value) -> tuple[Any, Any, str]:
        no = (None, None, "")
        args, named = call.args, dict(call.kwargs)
        if call.target is not None or value.dtype not in _FLOATS:
            return no
        if call.name == "dot" and len(args) == 2 and type(args[1]) is Ref:
            x = self.values[args[1]]  # of ones: a sum of rows
            if (
                len(x.shape) != 2
                or not self._is_ones(args[0], x)
                or not self._lies(x, 1)
            ):
                return no
            return x.shape, (1,), "out"
        if call.name == "vecdot" and not named and all(type(r) is Ref for r in args):
            a, b = (self.values[r] for r in args)
            n = len(a.shape)
            fits = a.shape == b.shape and a.dtype == b.dtype == value.dtype and n > 1
            fits = fits and self._lies(a, n - 1) and self._lies(b, n - 1)
            short = fits and a.shape[-1] <= _SHORT
            return (a.shape, (n - 1,), "row") if short else no
        if call.name not in ("mean", "add.reduce", "maximum.reduce") or len(args) != 1:
            return no
        axis = named.pop("axis", 0)
        named.pop("keepdims", False)
        if (
            type(args[0]) is not Ref
            or named
            or not self._is_plain(self.values[args[0]])
        ):
            return no
        x = self.values[args[0]]
        n = len(x.shape)
        if axis is None or x.dtype != value.dtype:
            return no
        axes = tuple(sorted(a % n for a in (axis if type(axis) is tuple else (axis,))))
        inner = axes == tuple(range(n - len(axes), n)) and len(axes) < n
        length = prod(x.shape[a] for a in axes)
        if not inner or length > _SHORT or not self._lies(x, n - 1):
            return no
        if call.name == "maximum.reduce" and length > 64:
            return no  # one number after another: NumPy takes several at once
        return x.shape, axes, "row"

    def _lies(self, x: Value, axis: int) -> bool:
        """Whether the entries along an axis lie one after another."""
        assert x.strides is not None and x.dtype is not None
        return self._is_plain(x) and x.strides[axis] == x.dtype.itemsize

    def _is_ones(self, ref: Any, x: Value) -> bool:
        if type(ref) is not Ref:
            return False
        value = self.values[ref]
        ones = value.kind == "constant" and value.dtype == x.dtype and value.size > 1
        return bool(ones and len(value.shape) == 1 and (value.given == 1).all())

    # -- out into the program
    def flush(self, needed: Sequence[_Nest]) -> None:
        """Write these nests down, and the earlier ones that they depend on."""
        chosen = list(needed)
        for nest in reversed(self.nests):
            if nest not in chosen and any(
                n.conflicts(set(nest.read), set(nest.written)) for n in chosen
            ):
                chosen.append(nest)
        chosen = [n for n in self.nests if n in chosen]
        self.nests = [n for n in self.nests if n not in chosen]
        while chosen:
            count = 0
            some: list[_Nest] = []
            while chosen and (not some or count + len(chosen[0].calls) <= _STATEMENTS):
                count += len(chosen[0].calls)
                some.append(chosen.pop(0))
            self._write(some)

    def _write(self, nests: Sequence[_Nest]) -> None:
        calls = self.made.calls
        alone = nests[0].calls
        if len(nests) == 1 and len(alone) == 1:  # no loop is quicker than NumPy's
            calls += alone
            memories = {self.values[_ref(alone[0])].memory}
            self._write_views(memories)
            return
        writer = _Writer(self)
        for nest in nests:
            writer.add(nest)
            dropped = self.dropped(nest)
            self.views = [view for view in self.views if id(view) not in dropped]
        for ref in writer.new:
            value = self.values[ref]
            order = [] if _is_c(value) else ["F"]
            calls.append(
                Call(np.empty, "empty", (value.shape, value.dtype, *order), {}, ref)
            )
        self._write_views({memory for nest in nests for memory in nest.written})
        calls.append(writer.loop(calls))

    def _write_views(self, memories: set[int]) -> None:
        self.made.calls += [
            v for v in self.views if self.values[v.result or 0].memory in memories
        ]
        self.views = [
            v for v in self.views if self.values[v.result or 0].memory not in memories
        ]

    def dropped(self, nest: _Nest) -> set[int]:
        """Return the views of a nest's numbers that nobody else looks at."""
        own = {id(call) for call in nest.calls}
        return {
            id(call)
            for call in nest.body
            if call.is_view
            and call.result is not None
            and call.result not in self.outputs
            and self.readers[call.result] <= own
        }

    def is_stored(self, ref: Ref, nest: _Nest) -> bool:
        """Whether somebody else than a nest reads a value."""
        own = {id(call) for call in nest.calls} | self.dropped(nest)
        return ref in self.outputs or not self.readers[ref] <= own


# ---------------------------------------------------------------------- a kernel's text


class _Writer:
    """Writes the text of a kernel: numbered names, assignments, loops, arithmetic."""

    def __init__(self, fuser: _Fuser) -> None:
        self.fuser, self.values = fuser, fuser.values
        self.parameters: dict[Ref, str] = {}
        self.new: list[Ref] = []  # results that must be made before
        self.stored: set[Ref] = set()
        self.body: list[Call] = []
        self.lines: list[str] = []
        self._names = 0

    def loop(self, calls: list[Call]) -> Loop:
        """Return the call, after those of the views that it takes."""
        args, types = [], []
        windows = self.fuser.windows
        for ref in self.parameters:
            value = self.values[ref]
            types.append(self._type(ref))
            if not value.is_array:
                args.append(ref)
                continue
            if ref in windows:
                args.append(windows[ref])
                continue
            seen = Value(
                "computed", (_extent(value),), value.dtype, memory=value.memory
            )
            seen.strides = (value.dtype.itemsize,) if value.dtype is not None else None
            windows[ref] = self.fuser.made.add(seen)
            calls.append(
                Call(_window, "window", (ref,), {}, windows[ref], is_view=True)
            )
            args.append(windows[ref])
        stored = {ref: windows[ref] for ref in self.parameters if ref in self.stored}
        text = f"def loop({', '.join(self.parameters.values())}):\n"
        text += "".join(f"    {line}\n" for line in self.lines)
        made = Loop(_window, "loop", tuple(args), {}, body=self.body, stored=stored)
        held, memory_of = self.fuser.held, self.fuser.made.memory_of
        first = [w for w in stored.values() if memory_of(w) in held]
        made.target = [*first, *stored.values()][0]
        made.text, made.types, made.origin = text, types, self.body[0].origin
        return made

    def _type(self, ref: Ref) -> str:
        """Return what numba calls an argument's type."""
        name = _TYPES[_code(self.values[ref])]
        if not self.values[ref].is_array:
            return name
        if ref in self.stored:
            return f"{name}[::1]"
        return f"Array({name}, 1, 'C', readonly=True)"

    def add(self, nest: _Nest) -> None:
        """Write a nest down."""
        self.body += nest.body
        _NestText(self, nest).write()

    def name(self, letter: str) -> str:
        """Return a new name."""
        self._names += 1
        return f"{letter}{self._names}"

    def parameter(self, ref: Ref) -> str:
        """Return the name of an array or number that is handed over."""
        letter = "a" if self.values[ref].is_array else "n"
        return self.parameters.setdefault(ref, f"{letter}{len(self.parameters)}")


class _NestText:
    """The loops of one nest."""

    def __init__(self, writer: _Writer, nest: _Nest) -> None:
        self.writer, self.nest, self.values = writer, nest, writer.values
        self.fuser = writer.fuser
        self.phase: dict[Ref, int] = {}  # in which a value is known
        self.local: dict[Ref, str] = {}  # the names of values, of this phase or row
        self.kept: dict[Ref, str] = {}  # where values of earlier phases lie
        self.columns: list[str] = []  # of a loop over a row, after all others
        self.row: list[str] | None = None  # the lines before this phase's inner loop
        inner = nest.axes
        n = len(nest.shape)
        touched = {r for c in nest.calls for r in [*self._reads(c), _ref(c)]}
        every = [self._steps(r) for r in touched if self.values[r].is_array]
        lead = max(every, key=lambda s: sum(x > 0 for x in s))
        if inner is None:
            self.outer, self.inner = [], _merged(range(n), nest.shape, every, lead)
        else:
            rest = [i for i in range(n) if i not in inner]
            self.outer = _merged(rest, nest.shape, every, lead)
            self.inner = _merged(inner, nest.shape, every, lead)
        self.all = [*self.outer, *self.inner]
        self.length = prod(size for _, _, size in self.inner)
        self.scratch: dict[str, tuple[str, int]] = {}  # by dtype: its name, its rows

    def _steps(self, ref: Ref) -> tuple[int, ...]:
        """Return by how many entries an array moves on along each axis."""
        value, shape = self.values[ref], self.nest.shape
        assert value.strides is not None and value.dtype is not None
        steps = [s // value.dtype.itemsize for s in value.strides]
        sizes = value.shape
        call = next((c for c in self.nest.calls if c.result == ref), None)
        is_flat = self.nest.kinds.get(ref) == "out" or ref in self.nest.flat
        if call is not None and is_flat:
            inner = self.nest.axes or ()
            left = iter(steps)
            is_column = call.name == "dot"
            return tuple(
                next(left) if (i in inner) == is_column else 0
                for i in range(len(shape))
            )
        steps = [0 if n == 1 else s for n, s in zip(sizes, steps, strict=True)]
        return (0,) * (len(shape) - len(steps)) + tuple(steps)

    def _at(self, ref: Ref) -> str:
        """Return an entry of an array in memory."""
        steps = self._steps(ref)
        parts = [
            f"{name} * {steps[axis]}" if steps[axis] != 1 else name
            for name, axis, _ in self.all
            if steps[axis]
        ]
        return f"{self.writer.parameter(ref)}[{' + '.join(parts) or 0}]"

    def _scratch(self, ref: Ref) -> str:
        """Return a new place for each entry of a row.

        All lie in one array, of which the compiler knows that no two overlap.
        """
        code = _code(self.values[ref])
        name, rows = self.scratch.get(code) or (self.writer.name("h"), 0)
        self.scratch[code] = name, rows + 1
        parts, step = [], 1
        for index, _, size in reversed(self.inner):
            parts.append(f"{index} * {step}" if step != 1 else index)
            step *= size
        return f"{name}[{' + '.join([str(rows * self.length), *reversed(parts)])}]"

    def _reads(self, call: Call) -> list[Ref]:
        return [self.nest.alias.get(r, r) for r in refs(call.args)]

    def write(self) -> None:
        """Write all phases into the writer's lines."""
        nest = self.nest
        level: list[tuple[int, bool, Call]] = []
        for call in nest.calls:
            phase = max((self.phase.get(r, 0) for r in self._reads(call)), default=0)
            ref = _ref(call)
            is_reduction = nest.kinds[ref] in ("row", "out")
            in_row = nest.kinds[ref] == "each"
            level.append((phase, in_row, call))
            self.phase[ref] = phase + (is_reduction and call.name != "dot")
        last = max(phase for phase, _, _ in level)
        used: dict[Ref, int] = {}
        for phase, _, call in level:
            for r in self._reads(call):
                used[r] = max(used.get(r, 0), phase)
        before: list[str] = []
        body: list[str] = []
        deep = "    " * len(self.outer)
        into = "    " * len(self.inner)
        for p in range(last + 1):
            row: list[str] = []
            self.row = row if nest.axes is not None else None
            inside: list[str] = []
            after: list[str] = []
            self.local = {r: x for r, x in self.local.items() if x[0] in "rs"}
            for phase, in_row, call in level:
                if phase != p:
                    continue
                ref, kind = _ref(call), nest.kinds[_ref(call)]
                if in_row:
                    self._assign(call, "s", row, row)
                elif kind == "full":
                    self._assign(call, "v", inside, inside)
                    if used.get(ref, 0) > p and ref not in self.kept:
                        self.kept[ref] = self._scratch(ref)
                        inside.append(f"{self.kept[ref]} = {self.local[ref]}")
                else:
                    self._reduce(call, before, row, inside, after)
            loops = _indented(self.inner) if inside else []
            body += [deep + x for x in [*row, *loops, *(into + x for x in inside)]]
            body += [deep + x for x in after]
        made = [
            f"{name} = empty({rows * self.length}, {code})"
            for code, (name, rows) in self.scratch.items()
        ]
        columns = [*_indented(self.inner), *(into + x for x in self.columns)]
        lines = [*made, *before, *_indented(self.outer), *body]
        self.writer.lines += lines + columns * bool(self.columns)

    def _assign(
        self, call: Call, letter: str, lines: list[str], loads: list[str]
    ) -> None:
        ref, writer = _ref(call), self.writer
        expression = self._expression(call, loads)
        name = writer.name(letter)
        lines.append(f"{name} = {expression}")
        self.local[ref] = name
        if call.target is not None or self.fuser.is_stored(ref, self.nest):
            self._store(ref, call)
            lines.append(f"{self._at(ref)} = {name}")
            if letter == "v":
                self.kept[ref] = self._at(ref)

    def _store(self, ref: Ref, call: Call) -> None:
        writer = self.writer
        writer.parameter(ref)
        writer.stored.add(ref)
        if call.target is None and ref not in writer.new:
            writer.new.append(ref)

    def _reduce(
        self, call: Call, before: Any, row: Any, inside: Any, after: Any
    ) -> None:
        ref, writer = _ref(call), self.writer
        source = call.args[-1]
        x, type_ = self._operand(source, "", inside), self._type(ref)
        if call.name == "vecdot":
            x = f"({self._operand(call.args[0], '', inside)} * {x})"
        if call.name == "dot":
            self._store(ref, call)
            h = self._scratch(ref)
            before += _indented(self.inner)
            before.append(f"{'    ' * len(self.inner)}{h} = {type_}(0.0)")
            inside.append(f"{h} = {h} + {x}")
            self.columns.append(f"{self._at(ref)} = {h}")
            return
        name = writer.name("r")
        start = "-inf" if call.name == "maximum.reduce" else "0.0"
        row.append(f"{name} = {type_}({start})")
        f = "most" if call.name == "maximum.reduce" else "plus"
        inside.append(f"{name} = {f}({name}, {x})")
        if call.name == "mean":
            after.append(f"{name} = {name} / {type_}({float(self.length)})")
        self.local[ref] = name
        if self.fuser.is_stored(ref, self.nest):
            self._store(ref, call)
            after.append(f"{self._at(ref)} = {name}")

    def _is_of_rows(self, ref: Ref) -> bool:
        steps = self._steps(ref)
        return not any(steps[a] for a in self.nest.axes or ())

    def _type(self, ref: Ref) -> str:
        return _code(self.values[ref])

    def _expression(self, call: Call, loads: list[str]) -> str:
        args = call.args
        if call.function in COPYING:
            source = args[1] if call.target is not None else args[0]
            return self._operand(source, "", loads)
        loop = _code_of(self.fuser._loop_of(call, args))
        parts = []
        for i, x in enumerate(args):
            is_mask = call.function is np.where and i == 0
            parts.append(self._operand(x, "" if is_mask else loop, loads))
        return _FORMS[call.function].format(*parts)

    def _operand(self, x: Any, loop: str, loads: list[str]) -> str:
        """Return the text of an operand, of dtype ``loop``."""
        if type(x) is not Ref:
            return f"{loop}({_number(x)})"
        x = self.nest.alias.get(x, x)
        value = self.values[x]
        is_fixed = value.kind == "constant" and value.memory not in self.fuser.changed
        if is_fixed and value.size == 1 and value.is_array:
            code = _code(value)
            text = (
                repr(bool(value.given)) if code == "b1" else _number(value.given.item())
            )
            return f"{code}({text})" if code != "b1" else text
        if not value.is_array:
            name = self.writer.parameter(x)
            return name if value.dtype is not None else f"{loop}({name})"
        if x not in self.local:
            place = self.kept.get(x) or self._at(x)
            self.local[x] = self.writer.name("v")
            if self.row is not None and x not in self.kept and self._is_of_rows(x):
                loads = self.row
            loads.append(f"{self.local[x]} = {place}")
        name = self.local[x]
        return f"{loop}({name})" if value.dtype == np.bool_ and loop else name


def _merged(axes: Any, shape: Any, every: Any, lead: Any) -> list[tuple[str, int, int]]:
    """Return loops, ``(name, axis, size)``: of axes that lie as one the last alone."""
    order = sorted((i for i in axes if shape[i] != 1), key=lambda i: (-lead[i], i))
    loops: list[tuple[str, int, int]] = []
    for i in order:
        if loops:
            _, j, size = loops[-1]
            if all(steps[j] == steps[i] * shape[i] for steps in every):
                loops[-1] = (f"i{i}", i, size * shape[i])
                continue
        loops.append((f"i{i}", i, shape[i]))
    return loops


def _indented(loops: Sequence[tuple[str, int, int]]) -> list[str]:
    return [
        f"{'    ' * i}for {name} in range({size}):"
        for i, (name, _, size) in enumerate(loops)
    ]


def _ref(call: Call) -> Ref:
    ref = call.result if call.target is None else call.target
    assert ref is not None
    return ref


def _code(value: Value) -> str:
    return "f8" if value.dtype is None else _code_of(value.dtype)


def _code_of(dtype: Any) -> str:
    return _FLOATS.get(dtype, "b1")


def _number(x: Any) -> str:
    x = float(x)
    if isnan(x):
        return "nan"
    if isinf(x):
        return "inf" if x > 0 else "-inf"
    return repr(x)


def _is_c(value: Value) -> bool:
    return value.strides == _c_strides(value.shape, value)


def _is_whole(value: Value) -> bool:
    """Whether it lies as ``np.empty`` makes it, in C or Fortran order."""
    turned = _c_strides(value.shape[::-1], value)
    return _is_c(value) or value.strides == turned[::-1]


def _c_strides(shape: tuple[int, ...], value: Value) -> tuple[int, ...]:
    assert value.dtype is not None
    steps, step = [], value.dtype.itemsize
    for n in reversed(shape):
        steps.append(step)
        step *= n
    return tuple(reversed(steps))


def _extent(value: Value) -> int:
    """Return how many entries there are from the first to the last in memory."""
    assert value.strides is not None and value.dtype is not None
    pairs = zip(value.shape, value.strides, strict=True)
    return 1 + sum((n - 1) * s for n, s in pairs) // value.dtype.itemsize


def _window(x: np.ndarray) -> np.ndarray:
    """Return the memory of an array from its first to its last entry."""
    if not x.flags.aligned:  # and so none that is written into
        x = x.copy(order="K")
    if x.flags.c_contiguous:
        return x.ravel()
    if x.flags.f_contiguous:
        return x.ravel("F")
    extent = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)) // (
        x.itemsize
    )
    return np.lib.stride_tricks.as_strided(x, (extent,), (x.itemsize,))
