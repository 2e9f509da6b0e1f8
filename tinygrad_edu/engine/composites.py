"""Functions that are made of operations, and answer for NumPy's of the same name.

They have no rule: their derivatives are those of what they are made of. Without a
Tensor among the arguments it is NumPy's own function that computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, wraps
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.exceptions import AxisError

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.cases import Case
from tinygrad_edu.engine.core import Tensor, unrecorded
from tinygrad_edu.engine.dispatch import (
    FROM_NUMPY,
    Adapter,
    as_written,
    numpy_order,
)
from tinygrad_edu.engine.operands import is_masked, real

__all__ = ["COMPOSITES", "Composite", "composite", "tensors_in"]

COMPOSITES: dict[str, Composite] = {}  #: the registry: name -> Composite
_EMPTY = inspect.Parameter.empty
_NUMBERS = (float, int, bool)
_FAILURES = (ValueError, TypeError, IndexError, AttributeError, ZeroDivisionError)


def composite(
    *numpy: Callable[..., Any],
    arrays: Sequence[str] | None = None,
    cases: Sequence[Case] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function that is made of operations.

    Parameters
    ----------
    *numpy : callable
        The NumPy functions that it answers for when they are handed a Tensor. It takes
        their arguments, by position and by name, but for those that it does not list:
        these are refused, unless they have their default.
    arrays : sequence of str, optional
        Which arguments have a derivative; those that must be given, unless told. A
        Tensor as any other is taken for its plain numbers, and refused if it requires
        gradients.
    cases : sequence of Case
        Sample inputs, for the tests: arrays in order, and the others by name.

    Returns
    -------
    callable
        Takes a function of Tensors and arrays, returns the one to be called.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        declared = Composite(function, numpy, arrays, cases)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return declared(*args, **kwargs)

        COMPOSITES[declared.name] = declared
        for each in numpy:
            FROM_NUMPY[each] = call
        return call

    return declare


class Composite:
    """A function made of operations, as it is declared; see :func:`composite`.

    What it takes is read at the first call: reading all of them takes long to import.
    """

    elementwise = variadic = False  # what messages ask of an operation

    def __init__(
        self,
        function: Callable[..., Any],
        numpy: Sequence[Callable[..., Any]],
        arrays: Sequence[str] | None,
        cases: Sequence[Case],
    ) -> None:
        self.name: str = function.__name__
        self.function = function
        self.numpy = numpy[0] if numpy else None
        self.cases = cases
        self._arrays = arrays

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The arguments and their defaults, but for a starred one."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is not p.VAR_POSITIONAL}

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The names of those that must be given, then that of a starred one."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.default is _EMPTY)

    @cached_property
    def arrays(self) -> frozenset[str]:
        """The names of those that have a derivative."""
        return frozenset(self.arguments if self._arrays is None else self._arrays)

    @cached_property
    def adapter(self) -> Adapter:
        """What sorts a call into those that must be given, and others by name."""
        others = {n: d for n, d in self.defaults.items() if d is not _EMPTY}
        if self.arguments[-1] not in self.defaults:  # a starred one
            return as_written(self.name, self.arguments, others)
        must = dict.fromkeys(self.arguments, _EMPTY)
        return numpy_order(self.name, must, others, self.numpy)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given, others = self.adapter(*args, **kwargs)
        last = len(self.arguments) - 1
        args = tuple(
            self._checked(self.arguments[min(i, last)], x) for i, x in enumerate(given)
        )
        kwargs = {
            name: self._checked(name, x)
            for name, x in others.items()
            if x is not self.defaults[name]
        }
        tensors = [*tensors_in([*args, *kwargs.values()])]
        if not any(x.requires_grad for x in tensors):
            out = self._plainly(args, kwargs)
            return self._as_tensors(out, tensors) if tensors else out
        try:
            return self.function(*args, **kwargs)
        except _FAILURES as error:
            if str(error).startswith(f"{self.name}: "):
                raise
            raise self._told(error, args, kwargs) from error

    def _checked(self, name: str, x: Any) -> Any:
        """Return what an argument may be: of an array, Tensor, array or number."""
        who = f"{self.name}: {name}"
        if is_masked(x):
            raise errors.masked(who)
        if name not in self.arrays:
            return _constant(x, who)
        if type(x) is Tensor or type(x) in _NUMBERS or _holds_arrays(x):
            return x
        return real(x, who)

    def _plainly(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what NumPy's own function gives for the plain numbers."""
        numbers = {name: _numbers_of(x) for name, x in kwargs.items()}
        return (self.numpy or self.function)(*map(_numbers_of, args), **numbers)

    def _as_tensors(self, out: Any, inputs: Sequence[Tensor]) -> Any:
        if isinstance(out, list | tuple):
            parts = [self._as_tensors(part, inputs) for part in out]
            return type(out)(*parts) if hasattr(out, "_fields") else type(out)(parts)
        return unrecorded(out, self, inputs)  # type: ignore[arg-type]

    def _told(self, error: Exception, args: Any, kwargs: Any) -> Exception:
        """Return the error that NumPy has for such arguments, with their shapes."""
        try:
            with np.errstate(all="ignore"):
                self._plainly(args, kwargs)
        except _FAILURES as theirs:
            of_axis = isinstance(error, AxisError)  # which not all of NumPy's tell
            error = theirs if isinstance(theirs, AxisError) or not of_axis else error
        return errors.forward_failed(self, error, args)


def tensors_in(x: Any) -> Iterator[Tensor]:
    """Yield the Tensors in nested sequences."""
    if type(x) is Tensor:
        yield x
    elif isinstance(x, list | tuple):
        for part in x:
            yield from tensors_in(part)


def _holds_arrays(x: Any) -> bool:
    """Whether it is a sequence of arrays and Tensors, not one of numbers."""
    if not isinstance(x, list | tuple):
        return False
    return any(isinstance(y, ndarray | Tensor) or _holds_arrays(y) for y in x)


def _numbers_of(x: Any) -> Any:
    """Return the plain numbers, also of Tensors in nested sequences."""
    if isinstance(x, list | tuple) and next(tensors_in(x), None) is not None:
        return [_numbers_of(part) for part in x]
    return x._numbers if type(x) is Tensor else x


def _constant(x: Any, who: str) -> Any:
    """Return the plain numbers of an argument that has no derivative."""
    if any(t.requires_grad for t in tensors_in(x)):
        raise TypeError(
            f"{who} has no derivative, and a Tensor that requires gradients was "
            "given; hand over its numbers, t.detach().numpy()"
        )
    return _numbers_of(x)
