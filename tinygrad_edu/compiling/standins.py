"""What stands for an array or number while a function is traced.

A stand-in holds the array itself, so that whatever asks for a shape, a dtype or strides
is told the truth. What computes with it goes to the tape, which computes, and writes
the call down. What would take its number out of the trace does not get it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.compiling.program import Ref
from tinygrad_edu.engine.behaviour import ArrayBehaviour

__all__ = [
    "ArrayStandIn",
    "NumberStandIn",
    "PythonNumber",
    "StandIn",
    "raw",
]


class StandIn:
    """The base of all three: what was recorded, and where."""

    __slots__ = ("array", "ref", "tape")

    def __init__(self, array: Any, ref: Ref, tape: Any) -> None:
        self.array = array
        self.ref = ref
        self.tape = tape

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type:  # for isinstance
            return type(self.array)

    def __hash__(self) -> int:
        self.tape.check_not_asked(self, "is a key, or is looked for in a set,")
        return object.__hash__(self)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self.tape.leaves(self, "becomes a plain array")

    def __bool__(self) -> bool:
        return bool(self.tape.guarded(self, bool))

    def __int__(self) -> int:
        return int(self.tape.guarded(self, int))

    def __index__(self) -> int:
        return int(self.tape.guarded(self, operator.index))

    def __float__(self) -> float:
        return float(self.tape.guarded(self, float))

    def __complex__(self) -> complex:
        raise self.tape.leaves(self, "becomes a complex number")

    def __reduce__(self) -> Any:
        raise self.tape.leaves(self, "is copied or pickled")

    def __reduce_ex__(self, _: Any) -> Any:
        raise self.tape.leaves(self, "is copied or pickled")

    def __copy__(self) -> Any:
        return self.copy() if hasattr(self, "copy") else self

    def __deepcopy__(self, _: Any) -> Any:
        return self.__copy__()

    def __repr__(self) -> str:
        what = type(self.array).__name__
        return f"<{what} of shape {np.shape(self.array)} in a trace>"

    def __format__(self, spec: str) -> str:
        if spec:
            raise self.tape.leaves(self, "is written as text")
        return repr(self)

    # -- NumPy's functions
    def __array_ufunc__(
        self, ufunc: Any, method: str, *args: Any, **kwargs: Any
    ) -> Any:
        if any(isinstance(x, ArrayBehaviour) for x in args):  # it answers itself
            return NotImplemented
        out = kwargs.pop("out", None)
        if out is not None:
            if len(out) != 1:
                raise self.tape.leaves(self, f"goes into {ufunc.__name__} with two out")
            kwargs["out"] = out[0]
        if method == "__call__":
            return self.tape.call(ufunc, ufunc.__name__, args, kwargs)
        name = f"{ufunc.__name__}.{method}"
        return self.tape.call(getattr(ufunc, method), name, args, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: Any, kwargs: Any
    ) -> Any:
        if any(issubclass(kind, ArrayBehaviour) for kind in types):
            return NotImplemented
        return self.tape.function(function, args, kwargs)


class _Flags:
    """The flags of an array that its shape and strides decide."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin

    def __getattr__(self, name: str) -> Any:
        standin = self._standin
        if "contig" not in name and name not in ("fnc", "forc", "farray", "carray"):
            standin.tape.check_not_asked(standin, f"is asked for its .flags.{name}")
        return getattr(standin.array.flags, name)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name.lower())


class _Numeric(StandIn):
    """What arrays and NumPy's numbers have in common."""

    __slots__ = ()

    shape = property(operator.attrgetter("array.shape"))
    dtype = property(operator.attrgetter("array.dtype"))
    ndim = property(operator.attrgetter("array.ndim"))
    size = property(operator.attrgetter("array.size"))
    strides = property(operator.attrgetter("array.strides"))
    itemsize = property(operator.attrgetter("array.itemsize"))
    nbytes = property(operator.attrgetter("array.nbytes"))

    @property
    def flags(self) -> Any:
        return _Flags(self)

    @property
    def base(self) -> Any:
        self.tape.check_not_asked(self, "is asked for its .base")
        return None

    @property
    def T(self) -> Any:
        return self if self.ndim < 2 else self.tape.function(np.transpose, (self,), {})

    @property
    def mT(self) -> Any:
        return self.tape.function(np.swapaxes, (self, -1, -2), {})

    @property
    def real(self) -> Any:
        return self.tape.function(np.real, (self,), {})

    def item(self, *index: Any) -> Any:
        return self.tape.number_of(self, index)

    def tolist(self) -> Any:
        return self.tape.listed(self)

    def tobytes(self, *_: Any) -> Any:
        raise self.tape.leaves(self, "is asked for its .tobytes()")

    def __getitem__(self, index: Any) -> Any:
        return self.tape.item(self, index)


class ArrayStandIn(_Numeric):
    """Stands for an array."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, x: Any) -> bool:
        raise self.tape.leaves(self, "is searched by in")

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tape.store(self, index, value)

    @property
    def flat(self) -> Any:
        raise self.tape.leaves(self, "is asked for its .flat")


class NumberStandIn(_Numeric):
    """Stands for one of NumPy's numbers: what reductions to one number return."""

    __slots__ = ()


class PythonNumber(StandIn):
    """Stands for a Python number that is read anew with each call, such as a rate."""

    __slots__ = ()
    dtype = property(lambda self: np.dtype(type(self.array)))
    shape = property(lambda self: ())
    ndim = property(lambda self: 0)
    size = property(lambda self: 1)


def raw(x: Any) -> Any:
    """Return arguments with the arrays in the place of their stand-ins."""
    kind = type(x)
    if issubclass(kind, StandIn):
        return x.array
    if kind is tuple or kind is list:
        return kind(raw(y) for y in x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(raw, x))
    if kind is dict:
        return {name: raw(y) for name, y in x.items()}
    if kind is slice:
        return slice(raw(x.start), raw(x.stop), raw(x.step))
    return x


# ---------------------------------------------------------------- operators, methods

_UFUNCS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
_COMPARED = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
_UNARY = {
    "neg": np.negative,
    "pos": np.positive,
    "abs": np.absolute,
    "invert": np.invert,
}


def _arithmetic(name: str, ufunc: Any) -> None:
    function = getattr(operator, f"{name}_" if name in ("and", "or") else name)

    def forward(self: Any, other: Any) -> Any:
        return self.tape.operator(function, ufunc, self, other)

    def reflected(self: Any, other: Any) -> Any:
        return self.tape.operator(function, ufunc, other, self)

    def in_place(self: Any, other: Any) -> Any:
        return self.tape.operator(function, ufunc, self, other, in_place=True)

    for kind in (_Numeric, PythonNumber):
        setattr(kind, f"__{name}__", forward)
        if name not in _COMPARED:
            setattr(kind, f"__r{name}__", reflected)
    if name not in _COMPARED:
        setattr(ArrayStandIn, f"__i{name}__", in_place)


def _unary(name: str, ufunc: Any) -> None:
    function = getattr(operator, name)

    def apply(self: Any) -> Any:
        return self.tape.operator(function, ufunc, self)

    for kind in (_Numeric, PythonNumber):
        setattr(kind, f"__{name}__", apply)


def _method(name: str, function: Callable[..., Any]) -> None:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.tape.function(function, (self, *args), kwargs)

    setattr(_Numeric, name, method)


for _name, _ufunc in {**_UFUNCS, **_COMPARED}.items():
    _arithmetic(_name, _ufunc)
for _name, _ufunc in _UNARY.items():
    _unary(_name, _ufunc)


def _divmod(self: Any, other: Any) -> Any:
    return self.tape.call(np.divmod, "divmod", (self, other), {})


def _rdivmod(self: Any, other: Any) -> Any:
    return self.tape.call(np.divmod, "divmod", (other, self), {})


setattr(_Numeric, "__divmod__", _divmod)  # noqa: B010 (a type knows of none)
setattr(_Numeric, "__rdivmod__", _rdivmod)  # noqa: B010

#: Methods that are one of NumPy's functions, argument by argument.
for _name in (
    "all any argmax argmin argpartition argsort clip compress cumprod cumsum diagonal "
    "dot max mean min nonzero prod ptp put ravel repeat round searchsorted squeeze std "
    "sum swapaxes take trace var"
).split():
    if hasattr(np.ndarray, _name):
        _method(_name, getattr(np, _name))


def _reshape(self: Any, *shape: Any, **kwargs: Any) -> Any:
    """``x.reshape(2, 3)`` is ``np.reshape(x, (2, 3))``."""
    (shape,) = shape if len(shape) == 1 else (shape,)
    return self.tape.function(np.reshape, (self, shape), kwargs)


def _transpose(self: Any, *axes: Any) -> Any:
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
        (axes,) = axes
    return self.tape.function(np.transpose, (self, axes) if axes else (self,), {})


def _of_arrays(name: str) -> Callable[..., Any]:
    """Return a method that NumPy has as a method alone."""
    function = getattr(np.ndarray, name)
    of_numbers = getattr(np.generic, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        own = function if isinstance(self, ArrayStandIn) else of_numbers
        return self.tape.call(own, name, (self, *args), kwargs)

    return method


_Numeric.reshape = _reshape  # type: ignore[attr-defined]
_Numeric.transpose = _transpose  # type: ignore[attr-defined]
for _name in ("astype", "copy", "fill", "flatten", "view", "conj", "conjugate"):
    setattr(_Numeric, _name, _of_arrays(_name))


def _sort(self: Any, *args: Any, **kwargs: Any) -> None:
    raise self.tape.leaves(self, "is sorted in place, where np.sort(x) is known")


ArrayStandIn.sort = _sort  # type: ignore[attr-defined]
