"""``te.compile``: a function, or a training step, as a program of NumPy's calls."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from functools import partial, update_wrapper
from itertools import chain
from operator import getitem, is_, setitem
from types import MethodType
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.compiling.jitted import Jitted, check_jax, is_close
from tinygrad_edu.compiling.kernels import check_numba, compiled, one_by_one
from tinygrad_edu.compiling.loops import fused
from tinygrad_edu.compiling.passes import PASSES
from tinygrad_edu.compiling.printer import Printed
from tinygrad_edu.compiling.program import Program, refs
from tinygrad_edu.compiling.seen import Inlined, Seen
from tinygrad_edu.compiling.standins import StandIn
from tinygrad_edu.compiling.tape import TAPE, GuardFailed, Untraceable, check_guard
from tinygrad_edu.compiling.tracing import (
    SLOTS,
    State,
    Traced,
    captured_arrays,
    difference,
    more_than_leaves,
    traced,
)
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.interrupts import at_once, undone
from tinygrad_edu.engine.trees import Form, flatten
from tinygrad_edu.randomness import set_state, state_of

__all__ = ["BACKENDS", "KEPT", "Compiled", "Trace"]

#: Whether the engine computes what a program is compared with.
COMPARING: ContextVar[bool] = ContextVar("comparing", default=False)
KEPT = 4  #: So many traces a compiled function keeps.
BACKENDS = ("numpy", "numba", "jax")


class Trace:
    """One trace of a compiled function: for arguments of one kind.

    Made by a compiled function; nobody else needs to.

    Parameters
    ----------
    key : object
        Equal for such arguments.
    made : Traced
        The program, before the passes that come with the trace.
    seen : Seen
        What else the function sees.
    state : State
        What it changes besides.
    why : str
        Why it was made.
    printer : type
        Of what runs: ``Printed`` or ``Jitted``.

    Attributes
    ----------
    program : Program
        After the passes.
    text : str
        The Python that runs; with JAX, the calls.
    nbytes : int
        What its buffers take, in bytes.
    why : str

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> f = te.compile(lambda x: te.exp(x) * 2)
    >>> trace = f.trace(np.ones(3))
    >>> trace
    <trace of 2 calls: it was asked for>
    >>> print(trace.text)
    def step(x0):
        f0(x0, s1)
        v2 = f1(s1, s3)
        return (v2,)
    >>> trace.nbytes
    24
    """

    def __init__(
        self,
        key: Any,
        made: Traced,
        seen: Seen,
        state: State,
        why: str,
        printer: type[Printed] | type[Jitted] = Printed,
    ) -> None:
        self.key, self.why, self.seen = key, why, seen
        self.is_done = [False]  # whether the last calls of the last run were made
        self.program: Program = made.program
        self.form: Form = made.form
        used = {int(r) for call in self.program.calls for r in call.reads()}
        used |= {int(r) for r in refs(self.program.outputs)}
        #: Which of the state's numbers are read.
        first = len(self.program.numbers) - len(state.numbers)
        self.reads = [
            i for i, r in enumerate(self.program.numbers[first:]) if int(r) in used
        ]
        self.program.numbers[first:] = [
            self.program.numbers[first + i] for i in self.reads
        ]
        self._printed = printer(self.program)
        self.text = self._printed.text
        self.nbytes = self._printed.plan.nbytes
        self.is_quiet = self._printed.is_quiet
        self._around = _warnings()
        self._drawn = _drawn_before_a_guard(self.program)
        self._bind(seen, state)
        self._one = self.form.is_leaf
        inner = self.form.order[-1]
        flat = not any(self.form.order[:-1]) and inner is not None
        self._tuple = flat and inner is not None and inner.kind is tuple
        for value in self.program.values:
            if value.kind == "captured":  # another one may be put in its place
                value.given = None

    def _bind(self, seen: Seen, state: State) -> None:
        """Let it work on these arrays from now on."""
        self.seen = seen
        arrays = [x for x, _ in captured_arrays(seen, state)]
        place = {ref: i for i, ref in enumerate(self.program.captured)}
        self.captured = arrays
        self._places = [o for o, _ in state.places], [key for _, key in state.places]
        self._kept = [*map(getitem, *self._places)]
        self._run = self._printed.bind(arrays)
        written = self.program.written()
        values = self.program.values
        self.written = [i for ref, i in place.items() if values[ref].memory in written]
        early = {values[ref].memory for ref in self._printed.early}
        self._early = [
            arrays[i] for ref, i in place.items() if values[ref].memory in early
        ]

    def _is_bound(self) -> bool:
        """Whether what the state kept is still there: nobody loaded another."""
        if not self._kept:
            return True
        try:
            return all(map(is_, map(getitem, *self._places), self._kept))
        except LookupError:
            return False

    def _warns_as_before(self) -> bool:
        """Whether NumPy is told to warn of what it was told in the trace."""
        now = _warnings()
        if now is self._around or now == self._around:
            return True
        if np.geterr() != self.program.around:
            return False
        self._around = now
        return True

    def _execute(self, inputs: Sequence[Any], then: Iterable[Any] = ()) -> Any:
        """Return what the program computes; on an error all is as it was before.

        Unless it comes when all has been computed, from one of the last calls: then
        they have been made, all of them. ``then`` goes on with calls in C.
        """
        before = [(x, x.copy(order="K")) for x in self._early]
        states = [(rng, state_of(rng)) for rng in self._drawn]
        is_done = self.is_done = [False]
        self._printed.then[:] = then, map(setitem, (is_done,), (0,), (True,))
        try:
            found = self._run(*inputs)
            if not self._printed.ends_at_once:
                at_once(chain.from_iterable(self._printed.then))
        except BaseException as error:
            if not is_done[0]:
                for x, y in before:
                    np.copyto(x, y)
            if isinstance(error, GuardFailed):  # another trace draws, from the start
                for rng, past in states:
                    set_state(rng, past)
            raise
        return self._filled(found)

    def _one_by_one(self, check: bool, *inputs: Any) -> tuple[Any, ...]:
        """Run the program call by call, for checks."""
        found = one_by_one(self.program, self.captured, check, *inputs)
        if self._printed.ends_at_once:
            at_once(chain.from_iterable(self._printed.then))
        return found

    def _filled(self, found: tuple[Any, ...]) -> Any:
        if self._one:
            return found[0]
        return found if self._tuple else self.form.filled(found)

    def __repr__(self) -> str:
        return f"<trace of {len(self.program.calls)} calls: {self.why}>"


class Compiled(Inlined):
    """A function that runs as a program of NumPy's calls.

    Made by :func:`tinygrad_edu.compile`.

    Parameters
    ----------
    function : callable
    backend : {"numpy", "numba", "jax"}

    Raises
    ------
    Untraceable
        When called: if the function does what no program can hold.
    TypeError
        When called: if an argument is none of arrays, numbers and trees of them.
    ValueError
        If there is no such backend.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> @te.compile
    ... def halved(x):
    ...     return x / 2
    >>> halved(np.array([1.0, 2.0]))
    array([0.5, 1. ])
    >>> halved(np.array([3.0]))
    array([1.5])
    >>> print(halved.explain())
    1 calls, 0 bytes of buffers: arguments of another kind: float64 of shape (1,)
    1 calls, 0 bytes of buffers: the first call
    >>> [len(trace.program.calls) for trace in halved.traces]
    [1, 1]
    """

    def __init__(self, function: Callable[..., Any], backend: str = "numpy") -> None:
        if backend not in BACKENDS:
            raise ValueError(
                f"te.compile: backend must be one of {', '.join(BACKENDS)}, got "
                f"{backend!r}"
            )
        if backend == "numba":
            check_numba()
        if backend == "jax":
            check_jax()
        self._function, self.backend = function, backend
        self._traces: list[Trace] = []  # newest first
        self._lock = threading.RLock()
        self._name = ""  # in a class
        update_wrapper(self, function, updated=())
        try:
            self._parameters: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):
            self._parameters = None

    # -- what everybody calls
    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the method of an object, compiled for it: a function of its own."""
        if instance is None:
            return self
        method = Compiled(MethodType(self._function, instance), self.backend)
        if TAPE.get() is None and hasattr(instance, "__dict__"):
            vars(instance)[self._name] = method
        return method

    def __reduce__(self) -> Any:
        """Copy and pickle the function; a copy traces anew."""
        return type(self), (self._function,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        if TAPE.get() is not None or COMPARING.get():  # a part of a function around it
            return self._function(*args, **kwargs)
        with self._lock:
            return self._call(args, kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Trace:
        """Trace the function for these arguments, and change nothing.

        Parameters
        ----------
        *args, **kwargs
            As in a call.

        Returns
        -------
        Trace
        """
        with self._lock:
            args, kwargs = self._in_order(args, kwargs)
            leaves, forms, key = _apart(args, kwargs)
            return self._made(leaves, forms, key, "it was asked for")

    @property
    def traces(self) -> list[Trace]:
        """The traces that are kept, the newest first."""
        return list(self._traces)

    def explain(self) -> str:
        """Say why each trace was made.

        Returns
        -------
        str
        """
        if not self._traces:
            return "There is no trace yet: call it once, or .trace(...)."
        return "\n".join(
            f"{len(t.program.calls)} calls, {t.nbytes:,} bytes of buffers: {t.why}"
            for t in self._traces
        )

    def __repr__(self) -> str:
        return f"<compiled {getattr(self._function, '__name__', self._function)!r}>"

    # -- a call
    def _call(self, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._in_order(args, kwargs)
        leaves, forms, key = _apart(args, kwargs)
        trace = self._found(key)
        if trace is None:
            trace = self._made(leaves, forms, key, self._why(key))
        try:
            return self._run(trace, leaves)
        except GuardFailed:
            pass
        except Exception as error:  # let the engine say what is wrong
            if trace.is_done[0]:  # in the last calls
                raise
            self._engine(leaves, forms, trace)
            raise error from None
        for other in self._traces[1:]:
            if other.key == trace.key and other.seen.is_unchanged():
                if not other._is_bound():
                    other._bind(other.seen, self._state())
                try:
                    return self._run(other, leaves)
                except GuardFailed:
                    continue
        why = "a check of the numbers in it had another answer"
        return self._run(self._made(leaves, forms, key, why), leaves)

    def _run(self, trace: Trace, leaves: Sequence[Any]) -> Any:
        return trace._execute(_inputs(leaves))

    def _in_order(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return arguments as they stand in the signature."""
        if not kwargs or self._parameters is None:
            return args, kwargs
        bound = self._parameters.bind(*args, **kwargs)
        return bound.args, bound.kwargs

    def _found(self, key: Any) -> Trace | None:
        """Return the trace for such arguments and what the function sees, if any."""
        traces = self._traces
        for i, trace in enumerate(traces):
            if trace.key == key and trace.seen.is_unchanged():
                if not trace.is_quiet or trace._warns_as_before():
                    if i:
                        traces.insert(0, traces.pop(i))
                    if not trace._is_bound():
                        trace._bind(trace.seen, self._state())
                    return trace
        if not traces:
            return None
        seen = self._seen_with(key)
        for i, trace in enumerate(traces):  # the same, in other arrays
            if trace.key == key and trace.seen.signature == seen.signature:
                if not trace.is_quiet or trace._warns_as_before():
                    trace._bind(seen, self._state())
                    traces.insert(0, traces.pop(i))
                    return trace
        return None

    def _why(self, key: Any) -> str:
        """Say what is new about a call."""
        if not self._traces:
            return "the first call"
        if all(t.key != key for t in self._traces):
            return f"arguments of another kind: {_told(key)}"
        last = next(t for t in self._traces if t.key == key)
        changed = last.seen.changed_places()
        return f"something it sees changed: {', '.join(changed[:3])}"

    # -- a trace
    def _seen(self) -> Seen:
        return Seen([(getattr(self._function, "__name__", "f"), self._function)])

    def _seen_with(self, key: Any) -> Seen:
        """Return what is seen, also by the methods of trees among the arguments."""
        seen = self._seen()
        for kind in _classes_in(key):
            seen.add(kind.__name__, kind)
        return seen

    def _state(self) -> State:
        return State()

    def _made(self, leaves: Any, forms: Any, key: Any, why: str) -> Trace:
        """Trace the function, check the program against the engine, and keep it."""
        seen, state = self._seen_with(key), self._state()
        names = _names(forms)

        def fill(found: list[Any]) -> Any:
            return _together(found, forms)

        try:
            made = traced(self._function, leaves, names, fill, seen, state)
            self._try_again(made, leaves, names, fill, seen, state)
        except Untraceable:
            self._engine(leaves, forms, None)  # maybe it has an error of its own
            raise
        except Exception as error:
            self._engine(leaves, forms, None)
            raise Untraceable(
                "te.compile: run on what stands for arrays and numbers, the function "
                f"raises {type(error).__name__}: {error}. Without that it raises "
                "nothing: something in it cannot be traced"
            ) from error
        for change in PASSES:
            change(made.program)
        if self.backend == "numba":
            made.program = fused(made.program, compiled)
        printer = Jitted if self.backend == "jax" else Printed
        trace = Trace(key, made, seen, state, why, printer)
        try:
            self._check(trace, leaves, forms)
        except GuardFailed:  # of what JAX would do in another way
            raise Untraceable(
                "te.compile: an index is out of its range, or names an entry twice "
                "that is written into: backend='jax' does not have that"
            ) from None
        self._traces = [trace, *self._traces][:KEPT]
        return trace

    def _try_again(
        self, made: Traced, leaves: Any, names: Any, fill: Any, seen: Any, state: Any
    ) -> None:
        """Trace with other numbers: what is another constant then was none."""
        told = None
        states = [(rng, state_of(rng)) for rng in seen.generators]

        def other() -> None:  # of what is drawn past the layers
            for rng, _ in states:
                rng.random()

        def back() -> None:
            for rng, past in states:
                set_state(rng, past)

        try:
            for change, others in ((other, _each(leaves, _other)), (back, leaves)):
                if told in (None, "guard"):  # another draw may be what it asks about
                    change()
                try:
                    again = traced(self._function, others, names, fill, seen, state)
                except Exception:
                    if others is leaves:
                        raise
                    continue  # numbers that the function refuses
                told = difference(made.program, again.program)
                if told is None:
                    break
        finally:
            back()
        if told is not None:
            raise Untraceable(
                f"te.compile: traced twice, the function was not the same: {told}. "
                "What changes by itself (a counter, the time, random numbers of your "
                "own) must be an argument"
            )

    def _engine(self, leaves: Any, forms: Any, trace: Trace | None) -> Any:
        """Return what the engine computes; afterwards all is as it was."""
        seen, state = self._seen(), self._state()
        before = self._copies(seen, state, trace)
        draws = [(rng, state_of(rng)) for rng in seen.generators]
        undo = self._undo()
        try:
            args, kwargs = _together(_each(leaves, _copy), forms)
            with undone(lambda: COMPARING.set(True), map(COMPARING.set, (False,))):
                result = self._function(*args, **kwargs)
            found = [_plain(x) for x in flatten(result, "te.compile", rows=False)[0]]
            if trace is not None:
                found += [y for _, y in self._copies(seen, self._state(), trace)]
            found += [state_of(rng) for rng, _ in draws]
            return found + self._left()
        finally:
            undo()
            seen.restore()
            for x, y in before:
                if x.flags.writeable:
                    np.copyto(x, y)
            for rng, past in draws:
                set_state(rng, past)

    def _copies(self, seen: Seen, state: State, trace: Trace | None) -> list[Any]:
        """Return arrays that a call writes into, and their entries now.

        Before there is a trace these may be all.
        """
        arrays: list[Any] = [x for x, _ in captured_arrays(seen, state)]
        if trace is not None:
            arrays = [arrays[i] for i in trace.written]
        return [(x, x.copy(order="K")) for x in arrays if isinstance(x, ndarray)]

    def _undo(self) -> Callable[[], None]:
        """Return what puts back what the engine changes besides arrays."""
        tensors = [t for t, _ in self._seen().tensors.values()]
        before = [(t, [getattr(t, k) for k in SLOTS]) for t in tensors]

        def undo() -> None:
            for t, held in before:
                for k, x in zip(SLOTS, held, strict=True):
                    setattr(t, k, x)

        return undo

    def _left(self) -> list[Any]:
        """Return what else a call leaves behind, to be compared."""
        return []

    def _check(self, trace: Trace, leaves: Any, forms: Any) -> None:
        """Compare a program with the engine, bit by bit; put all back.

        With loops it is run call by call, too: NumPy in their place, each compared with
        it, computes what the engine does; the loops themselves what the program does.
        """
        wanted = self._engine(leaves, forms, trace)
        run = trace._run
        if self.backend == "numba":
            for check in (True, False):
                trace._run = partial(trace._one_by_one, check)
                try:
                    found = self._results(trace, leaves)
                finally:
                    trace._run = run
                if check:
                    _compare(wanted, found, trace)
                wanted = found
        found = self._results(trace, leaves)
        close: Callable[..., bool] | None = None
        if self.backend == "jax":
            scale = _largest([*leaves, *trace.captured, *wanted])
            close = partial(is_close, scale=scale)
            if not all(
                _same(a, b) or close(b, a) for a, b in zip(wanted, found, strict=True)
            ):  # maybe they are what rounding makes of nothing
                near = self._engine(_each(leaves, _nearest), forms, trace)
                by_id = {id(x): y for x, y in zip(wanted, near, strict=True)}
                close = partial(is_close, scale=scale, near=by_id)
        _compare(wanted, found, trace, close)

    def _results(self, trace: Trace, leaves: Any) -> list[Any]:
        """Return what a program computes and leaves behind; put all back."""
        before = self._copies(trace.seen, self._state(), trace)
        draws = [(rng, state_of(rng)) for rng in trace.seen.generators]
        undo = self._undo()
        try:
            copies = tuple(_each(leaves, _copy))
            result = self._run(trace, copies if type(leaves) is tuple else [*copies])
            got = [_plain(x) for x in flatten(result, "te.compile", rows=False)[0]]
            got += [x.copy(order="K") for x, _ in before]
            got += [state_of(rng) for rng, _ in draws]
            return got + self._left()
        finally:
            undo()
            for x, y in before:
                np.copyto(x, y)
            for rng, past in draws:
                set_state(rng, past)


def _drawn_before_a_guard(program: Program) -> list[Any]:
    """Return the generators that have been drawn from when a guard may fail."""
    guards = [i for i, c in enumerate(program.calls) if c.function is check_guard]
    drawn = [
        call.function.__self__  # type: ignore[attr-defined]
        for call in program.calls[: guards[-1] if guards else 0]
        if call.name.startswith("draw.")
    ]
    return [*{id(rng): rng for rng in drawn}.values()]


#: What holds of ``numpy.errstate`` at the moment; quicker where NumPy has it so.
_warnings: Callable[[], Any] = np.geterr
if hasattr(np, "_core") and hasattr(np._core.umath, "_extobj_contextvar"):
    _warnings = np._core.umath._extobj_contextvar.get

# ---------------------------------------------------------------- arguments and results


def _apart(args: Any, kwargs: Any) -> tuple[list[Any], Any, Any]:
    """Return the leaves of arguments, their forms, and the key of a trace of them."""
    if not kwargs and all([type(x) is ndarray for x in args]):  # noqa: C419 (quicker)
        key: tuple[Any, ...] = tuple([(x.shape, x.dtype, x.strides) for x in args])
        if len(key) > 1 and len({*map(id, args)}) < len(key):
            key = (("the same", *_pattern(args)), *key)
        return args, len(args), key
    leaves: list[Any] = []
    forms: list[tuple[str | None, Form]] = []
    for name, x in [*((None, x) for x in args), *kwargs.items()]:
        found, form = flatten(x, "te.compile")
        if extra := more_than_leaves(form):
            raise TypeError(f"te.compile: an argument is {extra}")
        leaves += found
        forms.append((name, form))
    shapes = tuple((name, _shape_of(form)) for name, form in forms)
    return (
        leaves,
        forms,
        (_OF_TREES, tuple(map(_kind, leaves)), shapes, _pattern(leaves)),
    )


_OF_TREES = "trees"  #: What a key of other arguments than arrays begins with.


def _pattern(leaves: Sequence[Any]) -> tuple[int, ...]:
    """Return, for each array among leaves, which is the first that it is."""
    arrays = [id(x) for x in leaves if type(x) is ndarray]
    return tuple(map(arrays.index, arrays))


def _each(leaves: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
    """Return others in the place of leaves; what is one array stays one."""
    made: dict[int, Any] = {}
    for x in leaves:
        if id(x) not in made:
            made[id(x)] = change(x)
    return [made[id(x)] for x in leaves]


def _copy(x: Any) -> Any:
    if type(x) is not ndarray:
        return x
    other = _alike(x)
    other[...] = x
    return other


def _alike(x: ndarray) -> ndarray:
    """Return an array of this kind, with these strides, in memory of its own."""
    steps = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
    first = -sum(min(s, 0) for s in steps)
    extent = sum(map(abs, steps)) if x.size else 0
    memory = np.zeros(extent + x.itemsize, np.uint8)
    return ndarray(x.shape, x.dtype, memory, first if x.size else 0, x.strides)


def _classes_in(key: Any) -> list[type]:
    """Return the classes of the trees that a key is for."""
    if key[:1] != (_OF_TREES,):
        return []
    return [inner[0] for _, form in key[2] for inner in form if inner is not None]


def _shape_of(form: Form) -> Any:
    return tuple(
        None if inner is None else (inner.kind, inner.keys, inner.count)
        for inner in form.order
    )


def _kind(x: Any) -> Any:
    """Return what of an argument a program depends on."""
    if type(x) is ndarray:
        if x.dtype.hasobject:
            raise TypeError("te.compile: an argument is an array of objects")
        return x.shape, x.dtype, x.strides
    if isinstance(x, Tensor):
        raise TypeError(
            "te.compile: an argument is a Tensor. A compiled function takes and "
            "returns arrays; gradients are taken inside: te.compile(te.grad(f)), not "
            "te.grad(te.compile(f)); else hand over x.detach().numpy()"
        )
    if isinstance(x, ndarray):
        raise TypeError(
            f"te.compile: an argument is a {type(x).__name__}; np.asarray(x) makes it "
            "a plain array"
        )
    if isinstance(x, np.generic):  # a dtype equals Python's type
        return np.generic, x.dtype
    if type(x) is float:
        return float
    if isinstance(
        x, int | str | bytes | complex | list | tuple | None | np.dtype | type
    ):
        return type(x), repr(x)
    if callable(x) or isinstance(x, StandIn):
        raise TypeError(
            f"te.compile: an argument is a {type(x).__name__}; what is computed must "
            "be known before: let the function see it, in its closure, say"
        )
    raise TypeError(
        f"te.compile: an argument is a {type(x).__name__}; it takes arrays, numbers "
        "and trees of them"
    )


_BY_VALUE = (int, str, bytes, complex, list, tuple, type(None), np.dtype, type)


def _inputs(leaves: Sequence[Any]) -> Sequence[Any]:
    """Return the leaves that change, in the program's order: arrays, then numbers."""
    if type(leaves) is tuple:  # of arrays alone
        return leaves
    arrays = [x for x in leaves if isinstance(x, ndarray | np.generic)]
    return arrays + [x for x in leaves if type(x) is float]


def _together(leaves: Any, forms: Any) -> tuple[list[Any], dict[str, Any]]:
    if type(forms) is int:
        return list(leaves), {}
    following = iter(leaves)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, form in forms:
        x = form.filled([next(following) for _ in range(form.count)])
        if name is None:
            args.append(x)
        else:
            kwargs[name] = x
    return args, kwargs


def _names(forms: Any) -> list[str]:
    if type(forms) is int:
        return [f"argument {i}" for i in range(forms)]
    found: list[str] = []
    for i, (name, form) in enumerate(forms):
        found += form.paths(name or f"argument {i}")
    return found


def _told(key: Any) -> str:
    """Say which arguments a key is for."""
    leaves = key[1] if key[:1] == (_OF_TREES,) else key
    return ", ".join(
        str(x)
        if type(x) is not tuple
        else f"{x[1]} of shape {x[0]}"
        if len(x) == 3 and type(x[0]) is tuple
        else str(x[1])
        for x in leaves
        if type(x) is not tuple or x[0] != "the same"
    )


def _other(x: Any) -> Any:
    """Return an argument of this kind with other numbers: rows in another order."""
    if type(x) is float:
        return x * _NUDGE
    if isinstance(x, np.generic):
        near: Any = x
        return x.dtype.type(near * _NUDGE) if x.dtype.kind == "f" else x
    if type(x) is not ndarray or not x.size:
        return x
    other = _alike(x)
    if x.ndim and len(x) > 1:
        other[...] = x[::-1]
    else:
        other[...] = x * x.dtype.type(_NUDGE) if x.dtype.kind == "f" else x
    return other


_NUDGE = 1 - 2.0**-10


def _nearest(x: Any) -> Any:
    """Return the next numbers, every other time above and below."""
    if type(x) is not ndarray or x.dtype.kind != "f":
        return x
    up = np.arange(x.size).reshape(x.shape) % 2 == 0
    found = x.copy(order="K")
    found[...] = np.nextafter(x, np.where(up, np.inf, -np.inf).astype(x.dtype))
    return found


def _plain(x: Any) -> Any:
    return x._numbers if isinstance(x, Tensor) else x


def _same(a: Any, b: Any) -> bool:
    """Whether two results are the same, bit by bit, and lie in memory alike.

    But for the sign of nan: of two, a processor takes now the one, now the other.
    """
    if isinstance(a, ndarray | np.generic) and isinstance(b, ndarray | np.generic):
        alike = (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)
        if not alike or type(a) is not type(b) or a.tobytes() == b.tobytes():
            return alike and type(a) is type(b)
        nan, also = (np.asarray(x != x) for x in (a, b))
        rest = (np.where(nan, 0, x).tobytes() for x in (a, b))
        return np.array_equal(nan, also) and next(rest) == next(rest)
    if isinstance(a, dict) and isinstance(b, dict):
        return repr(a) == repr(b)
    return type(a) is type(b) and (a == b or repr(a) == repr(b))


def _largest(found: Iterable[Any]) -> float:
    """Return the largest finite number in arrays, but for its sign."""
    numbers = [np.abs(x) for x in found if isinstance(x, ndarray | np.generic | float)]
    return max((float(x[np.isfinite(x)].max(initial=0)) for x in numbers), default=0.0)


def _compare(
    wanted: Sequence[Any],
    got: Sequence[Any],
    trace: Trace,
    close: Callable[..., bool] | None = None,
) -> None:
    if len(wanted) != len(got):
        raise _differs("the number of results", trace)
    for i, (a, b) in enumerate(zip(wanted, got, strict=True)):
        if not (_same(a, b) or (close is not None and close(b, a))):
            raise _differs(f"result {i}", trace)


def _differs(what: str, trace: Trace) -> AssertionError:
    return AssertionError(
        f"te.compile: {what} of the program differs from the engine's; nothing was "
        "changed. If the function asks for type(x), let it ask isinstance(x, "
        f"np.ndarray). If not, please report it, with this program:\n{trace.program}"
    )
