"""What makes a Tensor behave like an array, apart from the graph."""

from __future__ import annotations

import operator as operators
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.caller import of_scipy, stores_into_an_array
from tinygrad_edu.engine.dispatch import FROM_REDUCE, dispatch, of_method, with_keywords
from tinygrad_edu.engine.recording import RECORDING
from tinygrad_edu.engine.taken import take

if TYPE_CHECKING:
    from tinygrad_edu.engine._methods import Methods
else:
    Methods = object  # at run time every declaration adds its own method

__all__ = ["ArrayBehaviour"]

_ALONG = frozenset({"axis", "keepdims"})
_divmod: Any = np.divmod  # NumPy's stubs know of arrays alone


class ArrayBehaviour(Methods):
    """The base of Tensor: reads like an array, and answers to NumPy's functions."""

    __slots__ = ()
    _numbers: Any
    _tracked: bool
    data: Any
    name: str | None
    op: Any

    @property
    def T(self) -> Self:
        """The transpose: all axes in reverse order."""
        return self.transpose()

    # -- what it looks like, read in C because every step asks for it
    if TYPE_CHECKING:
        shape: tuple[int, ...]
        ndim: int
        size: int
        dtype: np.dtype[Any]
    else:
        shape = property(
            operators.attrgetter("_numbers.shape"), doc="Sizes of the axes."
        )
        ndim = property(operators.attrgetter("_numbers.ndim"), doc="Number of axes.")
        size = property(operators.attrgetter("_numbers.size"), doc="Number of entries.")
        dtype = property(operators.attrgetter("_numbers.dtype"), doc="Type of entries.")

    # -- plain numbers
    def numpy(self) -> np.ndarray:
        """Return a copy of the data as an array; ``detach`` first what is recorded."""
        return self.__array__(copy=True)

    def item(self) -> Any:
        """Return the one number of a one-element tensor.

        Raises
        ------
        ValueError
            If it has more than one, or none.
        """
        if self.size != 1:
            raise ValueError(
                f"item: a tensor of shape {self.shape} is no single number"
            )
        return self._numbers.item()

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> np.ndarray:
        if self._tracked:
            within = of_scipy(sys._getframe().f_back)
            if within:
                known = [n for n in within if n[0] != "_" and hasattr(self, n)]
                raise errors.scipy_asks_nobody(self, *known[:1])
            raise errors.leaves_the_graph(self)
        numbers = self._numbers if copy else self.data  # which lends them
        return np.array(numbers, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        number = float(self.item())
        if self._tracked and RECORDING.get():
            caller = sys._getframe().f_back  # a thread may begin here, without one
            if stores_into_an_array(caller):
                raise errors.stored_in_array(self)
            take(self, "float", caller)
        return number

    def __int__(self) -> int:
        number = int(self.item())
        if self._tracked and RECORDING.get():
            take(self, "int", sys._getframe().f_back)
        return number

    def __index__(self) -> int:
        return operators.index(self.item())

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __format__(self, spec: str) -> str:
        if spec and self.size != 1:
            raise errors.no_format(self, spec)
        return format(self.item() if spec else str(self), spec)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a 0-d tensor has no length and cannot be iterated over")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        len(self)  # of a number an error, at once
        return _rows_of(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if hasattr(self, name)]

    def __repr__(self) -> str:
        if isinstance(
            self._numbers, tuple
        ):  # the node of an operation of several results
            return f"tensor({self._numbers})"
        text = np.array2string(
            np.asarray(self._numbers), separator=", ", prefix="tensor("
        )
        notes = [f"dtype={self.dtype}"] * (self.dtype not in (float, int))
        notes += [f"name={self.name!r}"] * (self.name is not None)
        notes += ["requires_grad=True"] * (self._tracked and self.op is None)
        notes += [f"op={self.op.name}"] if self.op is not None else []
        return f"tensor({', '.join([text, *notes])})"

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise errors.item_assignment()

    __hash__ = object.__hash__  # by identity

    # -- operators without derivative
    def __floordiv__(self, other: Any) -> Any:
        return np.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(other, self)

    def __divmod__(self, other: Any) -> tuple[Any, Self]:
        return _divmod(self, other)  # type: ignore[no-any-return]

    def __rdivmod__(self, other: Any) -> tuple[Any, Self]:
        return _divmod(other, self)  # type: ignore[no-any-return]

    # -- NumPy's functions record
    def __array_ufunc__(
        self, ufunc: Any, method: str, *args: Any, **kwargs: Any
    ) -> Any:
        if method != "__call__":
            if (
                method == "reduce"
                and ufunc in FROM_REDUCE
                and _ALONG.issuperset(kwargs)
            ):
                return FROM_REDUCE[ufunc](*args, **kwargs)
            return of_method(ufunc, method, args, kwargs)
        if kwargs:
            return with_keywords(ufunc, args, kwargs)
        return dispatch(ufunc, args, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: Any, kwargs: Any
    ) -> Any:
        return dispatch(function, args, kwargs)


_MANY = 16  # rows that are taken at once: the gradient of each is as large as x


def _rows_of(x: Any) -> Iterator[Any]:
    """Yield the rows: of many, from a few larger parts, each taken when it is due."""
    count = len(x)
    each = -(-count // _MANY)
    if each <= 1 or not x._tracked:
        yield from (x[i] for i in range(count))
        return
    for i in range(0, count, each):
        yield from _rows_of(x[i : i + each])


class _Absent:
    """What a Tensor has not, and says what to write for; ``hasattr`` finds nothing.

    A ``__getattr__`` would make each ``x.shape`` take three times as long.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, tensor: object, owner: object) -> NoReturn:
        raise errors.no_attribute(self.name)


for _name in errors.INSTEAD:
    setattr(ArrayBehaviour, _name, _Absent(_name))
