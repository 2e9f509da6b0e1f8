"""What is declared of an operation: arguments, metadata, rules; nothing is run."""

from __future__ import annotations

import inspect
import itertools
import re
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import EllipsisType, MappingProxyType, NoneType
from typing import Any, NoReturn

from numpy import _NoValue, ndarray, ufunc

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.behaviour import ArrayBehaviour
from tinygrad_edu.engine.cases import Case
from tinygrad_edu.engine.dispatch import Adapter, as_written, numpy_order
from tinygrad_edu.engine.keywords import OF_UFUNCS, of_ufunc
from tinygrad_edu.engine.operands import is_masked, real

__all__ = ["NOTHING", "OPS", "Declaration", "InTwoSteps"]

OPS: dict[str, Any] = {}  #: the registry: name -> Op
NOTHING: Mapping[str, Any] = MappingProxyType({})  #: shared, so nobody may write to it
_EMPTY = inspect.Parameter.empty
_UNCHANGING = frozenset({int, float, bool, str, NoneType, slice, EllipsisType})
_ARRAYS = frozenset({ndarray})
_CHANGEABLE = frozenset({ndarray, list, dict})  # by the user, before backward


class Declaration:
    """An operation as it is declared; :class:`.Op` says what of.

    Arguments that can stand in front are arrays, keyword-only ones are metadata; a
    starred argument makes the operation variadic.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        numpy: Callable[..., Any] | None = None,
        symbol: str | None = None,
        operator: str | None = None,
        elementwise: bool = False,
        adapter: Adapter | None = None,
        keywords: Callable[..., Any] | None = None,
        residuals: Mapping[str, Callable[..., Any]] = NOTHING,
        results: Sequence[str] = (),
        texts: Mapping[str, str | Callable[..., str | None]] = NOTHING,
        cases: Sequence[Case] = (),
    ) -> None:
        self.name: str = forward.__name__
        self.forward = forward
        self.numpy = numpy
        self.formula = symbol if symbol and "{" in symbol else None
        self.symbol = (symbol or self.name).replace("{", "").replace("}", "")
        self.operator = operator
        self.elementwise = elementwise
        self.residuals = residuals
        self.results = namedtuple(f"{self.name}_result", results) if results else None
        self.texts = texts
        self.cases = list(cases)
        parameters = inspect.signature(forward).parameters.values()
        arrays = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.arguments = tuple(p.name for p in arrays)
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in arrays)
        self.metadata = {p.name: p.default for p in parameters if p not in arrays}
        if self.variadic and len(arrays) > 1:
            raise errors.mixed_variadic(self)
        if unknown := set(texts) - set(self.arguments):
            raise errors.text_of_no_argument(self, min(unknown))
        given = [symbol or "", *(x for x in texts.values() if isinstance(x, str))]
        braces = set(re.findall(r"{(\w+)", " ".join(given)))
        if unknown := braces - {"g", "out", *self.arguments, *self.metadata}:
            raise errors.unknown_braces(self, min(unknown))
        self.needed = {name for name, v in self.metadata.items() if v is _EMPTY}
        self.reads_as_written = adapter is None and not self.variadic
        self.keywords: Any = keywords and self._on_arrays(keywords)
        self.further = self._further(keywords)
        if keywords is None and isinstance(numpy, ufunc):
            call: Any = self  # an Op
            self.keywords, self.further = of_ufunc(numpy, call), OF_UFUNCS
            if numpy.signature:  # matmul: of more than numbers
                self.further = {**OF_UFUNCS, "axes": None}
        defaults = {p.name: p.default for p in arrays}
        named = {**self.metadata, **self.further}
        self.adapter = adapter or (
            as_written(self.name, self.arguments, named)
            if self.variadic
            else numpy_order(self.name, defaults, named, numpy)
        )
        self.rules: Any = _NoRules(self.name)  # one for each position
        self.constant: frozenset[str] = frozenset()  # arguments without a derivative
        self.optional = frozenset(p.name for p in arrays if p.default is not _EMPTY)
        whole = not (self.residuals or self.results or self.variadic)
        adapted = adapter is not None or bool(self.metadata or self.optional)
        self.bare = whole and not adapted

    def argument(self, position: int) -> str:
        """Return the name of the argument at a position.

        Parameters
        ----------
        position : int
            From 0 on. All of a variadic operation have the one name.

        Returns
        -------
        str
        """
        return self.arguments[min(position, len(self.arguments) - 1)]

    def of_array(self, *arrays: Any, **metadata: Any) -> Any:
        """Compute from arrays, without checks, or record from Tensors: for rules.

        Parameters
        ----------
        *arrays : Tensor or ndarray, any shape
            What the operation takes, which has no by-products.
        **metadata
            Complete, as a node's are.

        Returns
        -------
        Tensor or ndarray, any shape

        Examples
        --------
        >>> import numpy as np
        >>> import tinygrad_edu as te
        >>> te.OPS["sum_to"].of_array(np.ones((2, 3)), shape=(3,))
        array([2., 2., 2.])
        """
        call: Any = self  # an Op
        call = self.forward if _ARRAYS.issuperset(map(type, arrays)) else call.call
        return call(*arrays, **metadata)

    def _further(self, keywords: Callable[..., Any] | None) -> Mapping[str, Any]:
        """Return what ``keywords`` takes beside the metadata, with its defaults."""
        if keywords is None:
            return NOTHING
        parameters = inspect.signature(keywords).parameters.values()
        named = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if lost := self.metadata.keys() - named.keys():
            raise errors.keywords_without(self, min(lost))
        own = inspect.signature(self.forward)
        listed = [*own.parameters.values()]
        listed += [p for p in parameters if p.name in named.keys() - self.metadata]
        self.__signature__ = own.replace(parameters=listed)
        return {k: v for k, v in named.items() if k not in self.metadata}

    def _on_arrays(self, keywords: Callable[..., Any]) -> Callable[..., Any]:
        """Return what calls ``keywords`` with Tensors or arrays of real numbers.

        Of several arguments, Python's own numbers stay what they are.
        """
        as_given: tuple[type, ...] = (ArrayBehaviour,)
        if len(self.arguments) > 1:
            as_given += (int, float)

        def answer(*arrays: Any, **named: Any) -> Any:
            given = [
                x
                if isinstance(x, as_given) or (x is None and self.optional)
                else real(x, f"{self.name}: {self.argument(i)}")
                for i, x in enumerate(arrays)
            ]
            return keywords(*given, **named)

        return answer

    def __repr__(self) -> str:
        return f"<op {self.name}{inspect.signature(self.forward)}>"

    def __reduce__(self) -> tuple[Any, ...]:  # pickled by name
        return _op_named, (self.name,)

    def vjp(self, **rules: Callable[..., Any] | None) -> None:
        """Declare the rule of each argument: how its gradient follows from ``g``.

        Parameters
        ----------
        **rules : callable or None
            For every argument ``rule(g, out, *arguments, **metadata, **residuals)``
            returns dL/d(argument), given ``g`` = dL/d(out). It is plain arithmetic:
            handed arrays it computes, handed Tensors it records, which makes second
            derivatives. None for an argument that has no derivative. The one rule of
            a variadic operation is also told ``position``, the argument's index.

        Raises
        ------
        TypeError
            If an argument is left out, or a rule does not fit the signature.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> @te.op(elementwise=True, cases=[te.Case((2, 3), (3,))])
        ... def product_of_squares(a, b):
        ...     return a**2 * b**2
        >>> product_of_squares.vjp(
        ...     a=lambda g, out, a, b: g * 2 * a * b**2,
        ...     b=lambda g, out, a, b: g * 2 * a**2 * b,
        ... )
        >>> print(te.grad(product_of_squares)(3.0, 2.0))
        24.0
        """
        if set(rules) != set(self.arguments):
            raise errors.wrong_rules(self, rules)
        told = [
            *self.metadata,
            *self.residuals,
            *(["position"] if self.variadic else []),
        ]
        self.constant = frozenset(name for name, rule in rules.items() if rule is None)
        for name, rule in rules.items():
            if rule is None:
                rules[name] = partial(_no_derivative, self, name)
                continue
            try:
                named = dict.fromkeys(told)
                inspect.signature(rule).bind("g", "out", *self.arguments, **named)
            except TypeError as error:
                raise errors.wrong_rule(self, name, told, error) from None
        in_order = [rules[name] for name in self.arguments]
        self.rules = _EveryPosition(in_order[0]) if self.variadic else in_order

    def _filled_in(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata with defaults; refuse what is missing or a Tensor."""
        if not _UNCHANGING.issuperset(map(type, kwargs.values())):
            kwargs = {name: self._checked(name, x) for name, x in kwargs.items()}
        if self.needed and not self.needed <= kwargs.keys():
            raise TypeError(
                f"{self.name}: missing {', '.join(self.needed - kwargs.keys())}"
            )
        return {**self.metadata, **kwargs}

    def _checked(self, name: str, value: Any) -> Any:
        """Return the value of a metadatum that nobody will change."""
        kind = type(value)
        if kind in _UNCHANGING:
            return value
        if kind is tuple and _UNCHANGING.issuperset(map(type, value)):
            return value
        if isinstance(value, ArrayBehaviour):
            raise errors.tensor_as_metadata(self, name)
        if value is _NoValue:  # NumPy's default, written out
            return self.metadata[name]
        if is_masked(value):
            raise errors.masked(f"{self.name}: {name}")
        copies = kind in _CHANGEABLE and self.reads_as_written  # adapters do so, too
        return deepcopy(value) if copies else value


def _op_named(name: str) -> Any:
    return OPS[name]


class _NoRules:
    """The rules of an operation before ``vjp``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __iter__(self) -> NoReturn:
        raise errors.no_rules(self.name)


class InTwoSteps:
    """A rule of a variadic operation: first what its arguments share, then each's own.

    Parameters
    ----------
    rule : callable
        ``rule(g, out, *arguments, **metadata)`` returns a function of the position. So
        it is asked once for thousands of arguments.
    """

    def __init__(self, rule: Callable[..., Callable[[int], Any]]) -> None:
        self.rule = rule

    def __call__(self, *args: Any, position: int, **named: Any) -> Any:
        return self.rule(*args, **named)(position)


class _EveryPosition:
    """The one rule of a variadic operation, told which argument is meant."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return (partial(self.rule, position=i) for i in itertools.count())

    def given(self, *args: Any, **named: Any) -> Callable[[int], Any]:
        """Return the rule as a function of the position, on which alone it depends."""
        if isinstance(self.rule, InTwoSteps):
            return self.rule.rule(*args, **named)
        return lambda position: self.rule(*args, position=position, **named)


def _no_derivative(op: Declaration, name: str, *_: Any, **__: Any) -> NoReturn:
    raise errors.no_derivative(op, name)
