"""A program under ``jax.jit``: on a GPU or TPU, without a kernel of our own.

Each call becomes one of ``jax.numpy``; what has no counterpart here is refused by name.
What asks NumPy for its dtypes (``ufunc.resolve_dtypes``) has them in JAX, too. A write
into an array becomes a new array; a view of what is written to is taken anew when it is
read. What is asked of numbers (a guard) is handed out with the results and answered by
the engine's own question; so is whether each index is in its range, of which JAX would
make another one. Only then is anything of the user's written.

Random draws, and what is computed of Python numbers alone, come first, in Python as in
the engine, and are handed over.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import chain, starmap
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.compiling.buffers import Plan, _fits
from tinygrad_edu.compiling.program import Call, Program, Ref, Value, refs, replaced
from tinygrad_edu.compiling.tape import GuardFailed, Untraceable, check_guard
from tinygrad_edu.engine.interrupts import at_once
from tinygrad_edu.ops.exponentials import _one_less
from tinygrad_edu.ops.grids import _strided
from tinygrad_edu.ops.trigonometry import _sech_squared
from tinygrad_edu.randomness import set_state, state_of

__all__ = ["Jitted", "check_jax", "is_close"]

_UFUNCS = frozenset(
    "absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and "
    "bitwise_or bitwise_xor cbrt ceil copysign cos cosh deg2rad divide equal exp "
    "exp2 expm1 fabs floor fmax fmin greater greater_equal hypot invert isfinite "
    "isinf isnan less less_equal log log10 log1p log2 logaddexp logaddexp2 "
    "logical_and logical_not logical_or logical_xor matmul maximum minimum multiply "
    "negative not_equal positive rad2deg reciprocal rint sign signbit sin sinh sqrt "
    "square subtract tan tanh trunc vecdot".split()
)
_OF_FLOATS = frozenset({"power", "remainder"})  #: Of whole numbers another error.
_OF_SCIPY = frozenset({"erf", "erfc", "log_ndtr", "logit", "ndtr"})
_REDUCED = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
_FUNCTIONS = frozenset(
    "all any argmax argmin array_split atleast_1d atleast_2d atleast_3d "
    "broadcast_to clip concatenate count_nonzero cumprod cumsum diag diagonal diff "
    "dot einsum expand_dims flip full full_like hstack imag inner mean moveaxis "
    "ones ones_like outer pad real repeat reshape roll rot90 split squeeze stack "
    "std swapaxes tensordot tile trace transpose tril triu var vdot vstack where "
    "zeros zeros_like".split()
)
_COPYING = frozenset({"array", "ascontiguousarray", "asarray", "copy", "positive"})
_OPERATORS: dict[Any, Any] = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.divide,
    operator.pow: np.power,
    operator.neg: np.negative,
    operator.abs: np.absolute,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
}
_COMPARING = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq)
#: By dtype: by how much of an array's largest entry a result may differ.
TOLERANCES = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-9}
TOLERANCES |= {"complex64": 1e-4, "complex128": 1e-9}


def check_jax() -> None:
    """Raise an error if JAX is not installed."""
    if find_spec("jax") is None:
        raise ImportError(
            "te.compile: backend='jax' needs JAX, which is not installed: "
            "pip install 'tinygrad_edu[jax]'"
        )


class Jitted:
    """A program for ``jax.jit``, to be bound to arrays; as ``Printed``, but for that.

    Parameters
    ----------
    program : Program
        After the passes; it is not changed.

    Raises
    ------
    Untraceable
        If a call has no counterpart, as far as that shows before it runs.
    """

    def __init__(self, program: Program) -> None:
        if any(how in ("raise", "call") for how in program.around.values()):
            raise Untraceable(
                "te.compile: JAX tells of no overflow or division by zero, and "
                "np.errstate asks to be told; leave it out, or use backend='numpy'"
            )
        self.program, self.values = program, program.values
        self.text, self.plan = str(program), Plan()
        self.then: list[Any] = []
        self.early: list[Ref] = []
        self.is_quiet = self.ends_at_once = True
        self._written = program.written()
        self._makers = {c.result: c for c in program.calls if c.result is not None}
        self._divide()
        self._stored = [
            r for r in program.captured if program.memory_of(r) in self._written
        ]
        self._check_apart()
        self._compiled: Any = None

    def _divide(self) -> None:
        """Tell what is computed in Python, what there, and what is asked of it."""
        program, values = self.program, self.values
        numbers = {int(r) for r in program.numbers}
        given = numbers | {
            int(r)
            for r in (*program.inputs, *program.captured)
            if program.memory_of(r) not in self._written
        }
        self._first: list[Call] = []
        self._calls: list[Call] = []
        self._asked: list[Call] = []  # of results
        for call in program.calls:
            reads = {int(r) for r in call.reads()}
            if call.function is check_guard:
                if not all(isinstance(r, Ref) for r in call.args[2:3]):
                    raise _refused(call, "it asks about no array")
                (self._first if reads <= given else self._asked).append(call)
                if not reads <= given:
                    self._calls.append(call)
            elif call.is_effect:
                if not reads <= given or call.target is not None:
                    raise _refused(call, "what it draws depends on results")
                self._first.append(call)
                if call.result is not None:
                    given.add(int(call.result))
            elif reads and reads <= numbers and call.target is None:
                self._first.append(call)
                if call.result is not None:
                    numbers.add(int(call.result))
                    given.add(int(call.result))
            else:
                self._calls.append(call)
        made = [c.result for c in self._first if c.result is not None]
        used = {int(r) for c in self._calls for r in c.reads()}
        used |= {int(r) for r in refs(program.outputs)}
        found = [*program.inputs, *program.captured, *program.numbers, *made]
        self._handed = [
            r
            for r in found
            if int(r) in used or (r in program.captured and self._is_written(r))
        ]
        self._given = given
        kept = {*given, *map(int, program.captured)}
        self._out = [r for r in refs(program.outputs) if int(r) not in kept]
        self._generators = [
            *{
                id(c.function.__self__): c.function.__self__  # type: ignore[attr-defined]
                for c in self._first
                if c.is_effect and c.function is not check_guard
            }.values()
        ]
        for r in self._handed:
            dtype = values[r].dtype
            if dtype is not None and dtype.name not in {*TOLERANCES, *_EXACT}:
                raise Untraceable(f"te.compile: JAX has no arrays of {dtype}")

    def _is_written(self, ref: Ref) -> bool:
        return self.program.memory_of(ref) in self._written

    def _check_apart(self) -> None:
        """Refuse writes into memory that is known under two names."""
        roots: dict[int, Ref] = {}
        used = {int(r) for c in self._calls for r in c.reads()}
        used |= {int(r) for r in (*refs(self.program.outputs), *self._stored)}
        for i, value in enumerate(self.values):
            if value.memory not in self._written or i not in used:
                continue
            maker = self._makers.get(Ref(i))
            if maker is not None and maker.is_view:
                continue
            if roots.setdefault(value.memory, Ref(i)) != i:
                raise Untraceable(
                    "te.compile: with backend='jax' an array that is written into must "
                    "share its memory with no other"
                )

    # -- a call
    def bind(self, captured: Sequence[np.ndarray]) -> Callable[..., tuple[Any, ...]]:
        """Return the function for these arrays."""
        program = self.program
        mine: dict[int, Any] = {}
        mine.update(zip(program.captured, captured, strict=True))
        stored = [mine[r] for r in self._stored]

        def step(*inputs: Any) -> tuple[Any, ...]:
            env = dict(mine)
            env |= zip([*program.inputs, *program.numbers], inputs, strict=True)
            for x in stored:
                if not x.flags.writeable:
                    raise ValueError("assignment destination is read-only")
                if any(np.may_share_memory(x, y) for y in inputs):
                    raise ValueError(
                        "te.compile: an argument shares memory with an array that is "
                        "written into; hand over a copy of it"
                    )
            states = [(rng, state_of(rng)) for rng in self._generators]
            try:
                found, finals = self._computed(env)
            except BaseException:
                for rng, past in states:
                    set_state(rng, past)
                raise
            written = starmap(np.copyto, zip(stored, finals, strict=True))
            at_once(chain(written, chain.from_iterable(self.then)))
            return tuple(found)

        return step

    def _computed(self, env: dict[int, Any]) -> tuple[list[Any], list[Any]]:
        import jax

        known = partial(_known, env)
        for call in self._first:
            args, kwargs = replaced(call.args, known), replaced(call.kwargs, known)
            found = call.function(*args, **kwargs)
            if call.result is not None:
                env[call.result] = found
        with jax.enable_x64(True), jax.default_matmul_precision("highest"):
            if self._compiled is None:
                self._compiled = jax.jit(self._traced)
            handed = [env[r] for r in self._handed]
            asked, fine, out, finals = self._compiled(handed)
            if not fine:
                raise GuardFailed
            for call, found in zip(self._asked, asked, strict=True):
                of = zip(refs(call.args), found, strict=True)
                seen = {int(r): _array(x, self.values[r]) for r, x in of}
                check_guard(*replaced(call.args, partial(_known, seen)))
            env |= {
                int(r): _array(x, self.values[r])
                for r, x in zip(self._out, out, strict=True)
            }
            return [known(x) for x in self.program.outputs], [*map(np.array, finals)]

    def _traced(self, handed: list[Any]) -> Any:
        """Compute with stand-ins of JAX's: what ``jax.jit`` looks at."""
        run = _Run(self, dict(zip(self._handed, handed, strict=True)))
        for call in self._calls:
            if call.function is check_guard:
                run.asked.append([run.read(r) for r in refs(call.args)])
            else:
                run.take(call)
        out = [run.read(r) for r in self._out]
        fine = run.jnp.all(run.jnp.stack([run.jnp.array(True), *run.fine]))
        return run.asked, fine, out, [run.read(r) for r in self._stored]


class _Run:
    """The calls of a program, one after the other, in ``jax.numpy``."""

    def __init__(self, jitted: Jitted, env: dict[int, Any]) -> None:
        import jax
        import jax.numpy as jnp

        self.jax, self.jnp, self.of = jax, jnp, jitted
        self.values, self.env = jitted.values, env
        self.asked: list[Any] = []
        self.fine: list[Any] = []  # whether indices are in range
        for i, value in enumerate(self.values):
            if value.kind == "constant":
                self.env[i] = value.given

    # -- arrays and views
    def _views(self, ref: Ref) -> tuple[Ref, list[Call]]:
        """Return of what a value is a view, if that is written into, and how."""
        views: list[Call] = []
        while self.of._is_written(ref):
            call = self.of._makers.get(ref)
            if call is None or not call.is_view:
                break
            views.append(call)
            source = call.args[0] if call.args else None
            if type(source) is not Ref or not self.of._is_written(source):
                raise _refused(call, "what it is a view of is written into")
            ref = source
        return ref, views[::-1]

    def read(self, x: Any) -> Any:
        """Return the array, or number, of a value."""
        if type(x) is not Ref:
            return x
        root, views = self._views(x)
        found = self.env[root]
        for call in views:
            found = self._result(call, found)
        return found

    def write(self, call: Call, ref: Ref, new: Any) -> None:
        """Put new entries in the place of a value's."""
        value = self.values[ref]
        new = self.jnp.broadcast_to(self.jnp.asarray(new, value.dtype), value.shape)
        root, views = self._views(ref)
        if views:  # where the entries of the view lie
            shape = self.values[root].shape
            where: Any = np.arange(self.values[root].size).reshape(shape)
            for view in views:
                if [*refs(view.args[1:]), *refs(view.kwargs)] or _is_strided(view):
                    raise _refused(call, f"it writes into {view.name} of an array")
                where = view.function(where, *view.args[1:], **view.kwargs)
            flat = self.jnp.ravel(self.env[root]).at[np.ravel(where)]
            new = flat.set(self.jnp.ravel(new)).reshape(shape)
        self.env[root] = new

    # -- calls
    def take(self, call: Call) -> None:
        """Make a call."""
        if (
            call.is_view
            and call.result is not None
            and self.of._is_written(call.result)
        ):
            return  # it is taken when it is read
        try:
            found = self._result(call)
        except (Untraceable, MemoryError):
            raise
        except Exception as error:
            raise _refused(call, f"{type(error).__name__}: {error}") from error
        if call.result is not None:
            value = self.values[call.result]
            if not isinstance(found, tuple | list):
                found = self.jnp.asarray(found)
                if value.dtype is None and not _is_asked(call):
                    raise _refused(call, "it computes with a Python number of an array")
                if call.given_out:
                    found = self.jnp.broadcast_to(found, value.shape)
                    found = found.astype(value.dtype)
                dtype = found.dtype if value.dtype is None else value.dtype
                if (found.shape, found.dtype) != (value.shape, dtype):
                    raise _refused(
                        call,
                        f"it is {found.dtype} of shape {found.shape}, and with NumPy "
                        f"{value.dtype} of shape {value.shape}",
                    )
                found = found.astype(dtype)  # no longer as weak as a literal
            self.env[call.result] = found
        elif call.target is not None:
            self.write(call, call.target, found)

    def _result(self, call: Call, first: Any = None) -> Any:
        """Return what a call computes, or the new entries of what it writes into."""
        function, jnp = call.function, self.jnp
        args = replaced(call.args, self.read) if first is None else None
        if args is None:
            args = (first, *replaced(call.args[1:], self.read))
        kwargs = replaced(call.kwargs, self.read)
        name = call.name.removeprefix("np.")
        if function in _OPERATORS:
            function = _OPERATORS[function]
            name = function.__name__
        if isinstance(function, np.ufunc):
            return self._ufunc(call, function, args, kwargs)
        if name.endswith(".reduce") and name[:-7] in _REDUCED:
            reduced = getattr(jnp, _REDUCED[name[:-7]])
            kwargs = {"axis": 0, **kwargs}
            kwargs.pop("dtype", None)
            if name[:-7] in ("add", "multiply"):
                kwargs["dtype"] = self._dtype(call)
            return reduced(*args, **kwargs)
        if name.endswith(".at") and name[:-3] in _AT:
            x, index, value = args
            x = jnp.asarray(x)
            self._check_index(x.shape, index)
            return getattr(x.at[index], _AT[name[:-3]])(jnp.asarray(value, x.dtype))
        if name == "getitem":
            x, index = args
            if isinstance(x, tuple | list):
                return x[index]
            x = jnp.asarray(x)
            self._check_index(x.shape, index)
            return x[index]
        if _is_strided(call):
            return self._as_strided(call, args[0])
        made = getattr(self, f"_{name}", None) if name in _OWN else None
        if made is not None:
            return made(call, *args, **kwargs)
        if name in _COPYING:
            return jnp.asarray(args[0], self._dtype(call))
        is_numpys = str(getattr(function, "__module__", "")).startswith("numpy")
        if name not in _FUNCTIONS or not is_numpys or "order" in kwargs:
            raise _refused(call, "it has no counterpart there")
        return getattr(jnp, name)(*args, **kwargs)

    def _dtype(self, call: Call) -> Any:
        ref = call.result if call.result is not None else call.target
        assert ref is not None
        return self.values[ref].dtype

    def _ufunc(self, call: Call, ufunc: Any, args: Any, kwargs: Any) -> Any:
        """Compute a ufunc in the dtypes that NumPy takes."""
        name, jnp = ufunc.__name__, self.jnp
        kinds = [_kind(x) for x in args]
        free = [None] * ufunc.nout
        given: dict[str, Any] = {}
        if "dtype" in kwargs:
            given["signature"] = (*[None] * ufunc.nin, np.dtype(kwargs.pop("dtype")))
        dtypes = ufunc.resolve_dtypes((*kinds, *free), **given)
        is_float = dtypes[0].kind in "fc"
        if kwargs or not (
            name in _UFUNCS or (is_float and name in _OF_FLOATS) or name in _OF_SCIPY
        ):
            raise _refused(call, "it has no counterpart there")
        module = self.jax.scipy.special if name in _OF_SCIPY else jnp
        args = [jnp.asarray(x, d) for x, d in zip(args, dtypes, strict=False)]
        return getattr(module, name)(*args).astype(dtypes[-1])

    def _check_index(self, shape: tuple[int, ...], index: Any) -> None:
        """Have it checked that indices are in their range."""
        parts = index if type(index) is tuple else (index,)
        taken = sum(_axes(x) for x in parts)
        axis = 0
        for x in parts:
            if x is Ellipsis:
                axis += len(shape) - taken
                continue
            if _axes(x) == 1 and type(x) not in (slice, int):
                n, x = shape[axis], self.jnp.asarray(x)
                if x.dtype != np.bool_:
                    self.fine.append(self.jnp.all((x >= -n) & (x < n)))
            axis += _axes(x)

    # -- those with another meaning, or none, there
    def _setitem(self, call: Call, x: Any, index: Any, value: Any) -> Any:
        jnp, x = self.jnp, self.jnp.asarray(x)
        value = jnp.asarray(value).astype(x.dtype)
        parts = index if type(index) is tuple else (index,)
        if any(_is_array(p) and p.dtype == np.bool_ for p in parts):
            if len(parts) > 1 or value.size != 1 or parts[0].shape != x.shape:
                raise _refused(call, "a mask picks what it writes into")
            return jnp.where(parts[0], value.reshape(()), x)
        self._check_index(x.shape, index)
        if value.size != 1 and any(map(_is_array, parts)):  # the last one counts
            where = jnp.sort(jnp.ravel(jnp.arange(x.size).reshape(x.shape)[index]))
            self.fine.append(jnp.all(where[1:] != where[:-1]))
        return x.at[index].set(value)

    def _copyto(self, call: Call, x: Any, new: Any, where: Any = True) -> Any:
        return self.jnp.where(where, self.jnp.asarray(new, x.dtype), x)

    def _fill(self, call: Call, x: Any, new: Any) -> Any:
        return self.jnp.full_like(x, new)

    def _empty(self, call: Call, *_: Any, **__: Any) -> Any:
        value = self.values[call.result or 0]
        nothing = np.nan if value.dtype is not None and value.dtype.kind in "fc" else 0
        return self.jnp.full(value.shape, nothing, value.dtype)

    _empty_like = _empty

    def _astype(self, call: Call, x: Any, dtype: Any, **_: Any) -> Any:
        x = self.jnp.asarray(x)
        if x.dtype.kind in "fc" and np.dtype(dtype).kind in "iu":
            raise _refused(call, "a float becomes a whole number")
        return x.astype(dtype)

    def _ravel(self, call: Call, x: Any, order: str = "C") -> Any:
        if order != "C":  # as it lies in memory, with NumPy
            value = self.values[call.args[0]]
            strides = value.strides
            if order != "K" or strides is None or not _fits(value):
                raise _refused(call, "it asks how an array lies in memory")
            x = self.jnp.transpose(
                x, sorted(range(x.ndim), key=lambda i: strides[i], reverse=True)
            )
        return self.jnp.ravel(x)

    _flatten = _ravel

    def _item(self, call: Call, x: Any, *index: Any) -> Any:
        if len(index) > 1:
            raise _refused(call, "it has several indices")
        x = self.jnp.ravel(x)
        x = x.astype({"f": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype))
        return self._take(call, x, *(index or (0,)))

    def _take(
        self, call: Call, x: Any, index: Any, axis: Any = None, mode: str = "raise"
    ) -> Any:
        x, index = self.jnp.asarray(x), self.jnp.asarray(index)
        n = x.size if axis is None else x.shape[axis]
        if mode == "raise":
            self.fine.append(self.jnp.all((index >= -n) & (index < n)))
        return self.jnp.take(x, index, axis, mode="wrap" if mode == "raise" else mode)

    def _take_along_axis(self, call: Call, x: Any, index: Any, axis: Any = -1) -> Any:
        n = np.size(x) if axis is None else x.shape[axis]
        self.fine.append(self.jnp.all((index >= -n) & (index < n)))
        return self.jnp.take_along_axis(x, index, axis)

    def _ravel_multi_index(self, call: Call, indices: Any, shape: Any) -> Any:
        found: Any = 0
        for i, n in zip(indices, shape, strict=True):
            i = self.jnp.asarray(i, np.int64)
            self.fine.append(self.jnp.all((i >= 0) & (i < n)))
            found = found * n + i
        return found

    def _restored(self, call: Call, rest: Any, x: Any, exact: Any) -> Any:
        jnp, dtype = self.jnp, rest.dtype
        if exact not in _EXACTLY:
            raise _refused(call, "it has no counterpart there")
        least = 1e-4 if dtype.itemsize > 4 else 1 / 64
        right = _EXACTLY[exact](jnp, jnp.asarray(x)).astype(dtype)
        return jnp.where(rest < least, right, rest)

    def _missing_digits(self, call: Call, got: Any, x: Any, exact: Any) -> Any:
        return self._restored(call, got, x, exact) - got

    def _as_strided(self, call: Call, x: Any) -> Any:
        """Return what lies so many entries apart, by where it is."""
        value = self.values[call.args[0]]
        strides = call.kwargs.get("strides", call.args[2] if len(call.args) > 2 else ())
        shape = call.kwargs.get("shape", call.args[1] if len(call.args) > 1 else ())
        if [*refs(strides), *refs(shape)] or not value.strides or value.dtype is None:
            raise _refused(call, "its form depends on numbers")
        size, own = value.dtype.itemsize, np.zeros(value.shape, np.int64).strides
        scaled = tuple(s * 8 // size for s in value.strides)
        if any(
            n > 1 and s != t for n, s, t in zip(value.shape, scaled, own, strict=True)
        ):
            raise _refused(call, "what it looks at does not lie in one piece")
        last = sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if min(strides, default=0) < 0 or last >= value.size * size:
            raise _refused(call, "it looks at what lies around an array")
        where = as_strided(
            np.arange(value.size), shape, [s * 8 // size for s in strides]
        )
        return self.jnp.ravel(x)[where]


_OWN = frozenset(
    "astype copyto empty empty_like fill flatten item missing_digits ravel "
    "ravel_multi_index restored setitem take take_along_axis".split()
)
_AT = {"add": "add", "multiply": "multiply", "maximum": "max", "minimum": "min"}
_EXACT = {"bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))}


def _one_less_there(jnp: Any, x: Any) -> Any:
    e = jnp.exp(-x)
    return e / (1 + e)


def _sech_squared_there(jnp: Any, x: Any) -> Any:
    e = jnp.exp(-jnp.abs(x))
    return (2 * e / (1 + e * e)) ** 2


_EXACTLY: dict[Any, Callable[..., Any]] = {
    _one_less: _one_less_there,
    _sech_squared: _sech_squared_there,
}


def _is_asked(call: Call) -> bool:
    """Whether it is a number that the engine only asks about: no array's dtype."""
    return call.name == "item" or call.function in _COMPARING


def _is_strided(call: Call) -> bool:
    return call.function is as_strided or call.function is _strided


def _is_array(x: Any) -> bool:
    return hasattr(x, "dtype") and bool(np.shape(x))


def _axes(x: Any) -> int:
    """Return along how many axes an index goes."""
    if x is None or x is Ellipsis:
        return 0
    return x.ndim if getattr(x, "dtype", None) == np.bool_ else 1


def _kind(x: Any) -> Any:
    """Return what NumPy decides by: a dtype, or Python's type."""
    if getattr(x, "weak_type", False):
        return {"b": np.dtype(bool), "i": int, "f": float, "c": complex}[x.dtype.kind]
    if isinstance(x, bool):
        return np.dtype(bool)
    return (
        type(x)
        if isinstance(x, int | float | complex) and not isinstance(x, np.generic)
        else np.dtype(x.dtype)
    )


def _array(x: Any, value: Value) -> Any:
    """Return a result as one of NumPy's, in memory of its own, which lies as there."""
    if value.strides is None:
        return np.asarray(x)[()] if value.dtype is not None else np.asarray(x).item()
    if min(value.strides, default=1) <= 0:
        return np.array(x)
    made: np.ndarray = np.ndarray(value.shape, value.dtype, None, 0, value.strides)
    np.copyto(made, x)
    return made


def _known(env: dict[int, Any], x: Any) -> Any:
    return env[x] if type(x) is Ref else x


def _refused(call: Call, why: str) -> Untraceable:
    return Untraceable(
        f"te.compile: backend='jax' does not have {call.name} ({call.origin}): {why}. "
        "Use backend='numpy'"
    )


def is_close(
    got: Any, wanted: Any, scale: float, near: dict[int, Any] | None = None
) -> bool:
    """Whether a result is what the engine has, within :data:`TOLERANCES`.

    Parameters
    ----------
    got, wanted : object
        Arrays, numbers, and what must be the same.
    scale : float
        The largest number around: what cancels is known to 64 of its last digits.
    near : dict, optional
        By the id of ``wanted``: what the engine has for arguments that differ in the
        last digit. Eight times as much is rounding, too: Adam divides the gradient of
        a bias before batch normalisation, which is nothing, by its own size.
    """
    if not isinstance(got, np.ndarray | np.generic):
        return False
    alike = type(got) is type(wanted) and got.shape == wanted.shape
    if not alike or got.dtype != wanted.dtype or got.dtype.name not in TOLERANCES:
        return False
    got, wanted, origin = np.asarray(got), np.asarray(wanted), id(wanted)
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True):
        return False
    moved = 0.0
    if near is not None and np.any(finite):
        moved = float(np.abs(np.asarray(near[origin])[finite] - wanted[finite]).max())
    got, wanted = got[finite], wanted[finite]
    if not wanted.size or not np.isfinite(moved):
        return not wanted.size
    allowed = TOLERANCES[got.dtype.name] * float(np.abs(wanted).max())
    allowed += 64 * float(np.finfo(got.dtype).eps) * scale
    return bool(np.all(np.abs(got - wanted) <= allowed + 8 * moved))
