"""The graph and the walk backward through it: Tensor, Op, ``@op``, ``gradients``.

Read this file first. It has three parts, each built on the one before:

1. ``Tensor``: an array that remembers which operation made it, and from what;
2. ``Op``: one declaration per operation, and how calling it records a node;
3. the walk backward: newest node first, each rule once, gradients added up.

A node of the graph *is* a Tensor. Its links point only to older tensors, so the
creation counter is a topological order and reference counting alone frees a graph.
"""

from __future__ import annotations

import inspect
import itertools
import operator as operators
import re
import warnings
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial, update_wrapper
from heapq import heappop, heappush
from sys import getrefcount
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, final, overload
from weakref import ref

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.behaviour import ArrayLike
from tinygrad_edu.engine.dispatch import FROM_NUMPY, Adapter, as_written, numpy_order
from tinygrad_edu.engine.memory import empty_like
from tinygrad_edu.engine.recording import RECORDING, RUN, Scope
from tinygrad_edu.randomness import RandomSource, generator

__all__ = ["OPS", "Case", "Op", "Tensor", "gradients", "op", "tensor"]

_next_index = itertools.count().__next__
_NOTHING: Mapping[str, Any] = MappingProxyType({})  # shared, so nobody may write to it
_EMPTY = inspect.Parameter.empty

# ------------------------------------------------------------------------ 1. Tensor


@final
class Tensor(ArrayLike):
    """An array that remembers which operation made it, and from what.

    Make one with :func:`tensor`; operations make the others. Every operation in
    ``te.OPS`` is a method too, and NumPy's own functions record when handed one.

    Attributes
    ----------
    data : ndarray
        The numbers, of any shape. Assigning (also ``t.data -= ...``) marks the tensor
        as newer than every graph that used it: a backward through such a graph raises.
    grad : ndarray or None
        Of a leaf: the sum of the gradients of every ``backward`` since ``zero_grad``,
        of the tensor's shape and dtype.
    op : Op or None
        The operation that made it; None for a leaf.
    inputs : tuple
        What the operation was called with; empty for a leaf, and once freed.
    kwargs : Mapping
        The operation's metadata, defaults filled in.
    name : str or None
        For drawings and error messages.
    scope : Scope or None
        The layer in which it was recorded.

    Raises
    ------
    TypeError
        If it is called: ``te.tensor`` makes a leaf, operations make the rest.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    >>> w.shape, w.ndim, w.size, w.dtype, w.T.shape
    ((1, 3), 2, 3, dtype('float64'), (3, 1))
    >>> loss = (w * w).sum()
    >>> w.is_leaf, loss.is_leaf, loss.requires_grad
    (True, False, True)
    >>> loss.backward()
    >>> w.grad
    array([[2., 4., 6.]])
    >>> w.data -= 0.5 * w.grad  # a step of gradient descent
    >>> w.data
    array([[0., 0., 0.]])
    >>> w.zero_grad()
    >>> print(w.grad)
    None

    Out of the graph, as a tensor, an array and a number:

    >>> loss.detach(), loss.detach().numpy(), loss.item()
    (tensor(14.), array(14.), 14.0)

    Assignment to a part makes a new tensor:

    >>> w.at[0, 1].set(5.0).data
    array([[0., 5., 0.]])
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_grad",
        "_index",  # from the creation counter: inputs have smaller ones
        "_saved",  # what the rules read, where it takes more than the inputs to find
        "_tracked",  # requires_grad
        "inputs",
        "kwargs",
        "name",
        "op",
        "scope",
    )
    _data: Any
    _grad: np.ndarray | None
    _index: int
    _saved: Any  # (raw inputs, metadata and residuals), or None; of a leaf, its Cut
    _tracked: bool
    inputs: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    name: str | None
    op: Any  # Op, or None for a leaf
    scope: Scope | None

    def __init__(self, *_: object, **__: object) -> None:
        raise TypeError("use te.tensor(data, requires_grad=..., name=...)")

    def _assign(self, value: Any) -> None:
        if self.op is not None:
            raise errors.not_a_leaf(self, "data")
        if value is not self._data:  # after t.data -= ... it is
            self._data, self._saved = _like(self, value, "data"), None
        self._index = _next_index()

    data: Any = property(operators.attrgetter("_data"), _assign, doc="The numbers.")

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient ``backward`` left here: an array of this shape and dtype."""
        if self.op is not None:
            warnings.warn(errors.grad_of_no_leaf(self), stacklevel=2)
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and value is not self._grad:
            value = _like(self, value, "grad")
        self._grad = value

    def zero_grad(self) -> None:
        """Forget the gradient: ``grad`` is None again."""
        self._grad = None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; may be switched on a leaf."""
        return self._tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.op is not None:
            raise errors.not_a_leaf(self, "requires_grad")
        if value and self.dtype.kind != "f":
            raise errors.not_floating(self.dtype)
        self._tracked = bool(value)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.op is None

    def detach(self) -> Tensor:
        """Return a tensor of the same data, for reading, that passes on no gradient.

        Of a leaf it is a copy: ``t.data -= ...`` writes into the leaf's own memory.
        """
        data = self._data
        if type(data) is ndarray:  # writing to it would change the graph unnoticed
            data = data.view() if self.op is not None else data.copy(order="K")
            data.flags.writeable = False
        cut = Cut("detached", self.op, self.name, self.scope, (ref(self),))
        return _node(data, saved=cut if self._tracked else self._saved)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise errors.item_assignment()

    __hash__ = object.__hash__  # by identity

    def __reduce__(self) -> tuple[Any, ...]:  # a copy is a leaf: never the graph
        return _rebuilt, (np.array(self._data), self._tracked, self.name)

    def backward(self, gradient: Any = None, *, retain_graph: bool = False) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf behind it.

        Parameters
        ----------
        gradient : array_like, optional
            dL/d(self), of this tensor's shape; 1 for a single number.
        retain_graph : bool, default False
            Keep the graph, so that backward can walk through it again.

        Raises
        ------
        RuntimeError
            If the tensor is no single number and ``gradient`` is missing; if nothing
            was recorded; if the graph was freed by an earlier backward; if the data of
            a tensor in the graph was assigned after it had been used.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> w = te.tensor([1.0, 2.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> w.grad
        array([2., 4.])
        """
        seed = _seed(self, gradient, "backward")
        found = _walk(self, seed, free=not retain_graph)
        for leaf, g in found.items():
            if leaf._grad is not None:
                leaf._grad += g
            elif (
                getrefcount(g) == _ALONE
                and type(g) is ndarray
                and (g.base is None or _references_to_base(g) == _ALONE_AS_BASE)
            ):
                leaf._grad = g  # nobody else holds it
            else:
                leaf._grad = np.array(g)


def tensor(
    data: Any,
    *,
    requires_grad: bool = False,
    name: str | None = None,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Make a leaf of the graph from a copy of ``data``.

    Parameters
    ----------
    data : array_like
        Real numbers, of any shape.
    requires_grad : bool, default False
        Whether ``backward`` shall leave a gradient in ``.grad``.
    name : str, optional
        For drawings and error messages.
    dtype : dtype, optional
        As in ``numpy.array``.

    Returns
    -------
    Tensor
        Of the shape of ``data``.

    Raises
    ------
    TypeError
        If data are not real numbers, or integers or booleans shall require gradients.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.tensor([1.0, 2.0], name="w", requires_grad=True)
    tensor([1., 2.], name='w', requires_grad=True)
    """
    array = np.asarray(_real(data, "te.tensor: data"), dtype=dtype)
    copy = empty_like(_real(array, "te.tensor: data"))
    np.copyto(copy, array)
    leaf = _node(copy)
    leaf.name = name
    leaf.requires_grad = requires_grad
    return leaf


def _rebuilt(data: np.ndarray, tracked: bool, name: str | None) -> Tensor:
    return tensor(data, requires_grad=tracked, name=name)


def _node(
    data: Any,
    op: Op | None = None,
    inputs: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] = _NOTHING,
    saved: tuple[Any, ...] | None = None,
) -> Tensor:
    """Make a Tensor; with an ``op``, a recorded one."""
    node: Tensor = object.__new__(Tensor)
    node._data = data
    node._grad = None
    node._index = _next_index()
    node._saved = saved
    node._tracked = op is not None
    node.inputs = inputs
    node.kwargs = kwargs
    node.name = None
    node.op = op
    run = RUN.get()
    node.scope = None if op is None or run is None else run.scope
    return node


class Cut(NamedTuple):
    """Why a leaf that was computed passes on no gradient; it keeps nothing alive."""

    how: str  # "detached" or "under-no-grad"
    op: Op | None  # whose result it is,
    name: str | None  # and its name
    scope: Scope | None
    behind: tuple[ref[Tensor], ...]  # what would have been given a gradient


def _unrecorded(data: Any, op: Op, inputs: Iterable[Any]) -> Tensor:
    """Make a leaf of what an operation computed, and note whose gradient ends here."""
    node = _node(data)
    behind: list[ref[Tensor]] = []
    for x in inputs:
        if type(x) is Tensor:
            if x._tracked:
                behind.append(ref(x))
            elif node._saved is None:
                node._saved = x._saved  # the first cut on the way
    if behind:
        run = RUN.get()
        scope = None if run is None else run.scope
        behind += () if node._saved is None else node._saved.behind
        some = tuple(behind[:8])  # enough to tell, and no more in a long loop
        node._saved = Cut("under-no-grad", op, None, scope, some)
    return node


def _raw(x: Any) -> Any:
    return x._data if type(x) is Tensor else x


def _real(data: Any, who: str) -> np.ndarray:
    """Return ``data`` as an array of real numbers, or say what it is instead."""
    array = np.asarray(data)
    if array.dtype.kind not in _REAL:
        raise errors.not_real(data, who)
    return array


def _like(x: Tensor, value: Any, attribute: str) -> np.ndarray:
    """Return a copy of ``value`` in the dtype of ``x``, if it has its shape."""
    array = _real(value, attribute)
    if array.shape != x.shape:
        raise errors.misfit(x, attribute, array.shape)
    copy = empty_like(x._data)
    np.copyto(copy, array, casting="same_kind")
    return copy


# ---------------------------------------------------------------------------- 2. Op

OPS: dict[str, Op] = {}  #: the registry: name -> Op


class Case:
    """Sample inputs of an operation, for its gradient tests.

    Parameters
    ----------
    *inputs : tuple of int, array_like or callable
        One for each argument: a shape (filled with standard normal numbers), an
        array, or a function that is given a generator and returns an array. None for
        an argument left out.
    tolerance : float, default 1e-6
        Relative tolerance of the comparison with finite differences, dimensionless.
    **kwargs
        The operation's metadata.

    Examples
    --------
    >>> case = Case((2, 3), lambda rng: rng.uniform(1, 2, 3), axis=1)
    >>> [x.shape for x in case.sample(0)]
    [(2, 3), (3,)]
    """

    def __init__(self, *inputs: Any, tolerance: float = 1e-6, **kwargs: Any) -> None:
        self.inputs = inputs
        self.tolerance = tolerance
        self.kwargs = kwargs

    def sample(self, rng: RandomSource = None) -> list[Any]:
        """Return the inputs as arrays.

        Parameters
        ----------
        rng : int, Generator, RandomState or None
            What they are drawn from.

        Returns
        -------
        list of ndarray or None
            One for each argument.
        """
        rng = generator(rng)
        drawn = [
            rng.standard_normal(x) if isinstance(x, tuple) else x for x in self.inputs
        ]
        drawn = [x(rng) if callable(x) else x for x in drawn]
        return [None if x is None else np.array(x) for x in drawn]

    def __repr__(self) -> str:
        parts = ["f(rng)" if callable(x) else repr(x) for x in self.inputs]
        parts += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"Case({', '.join(parts)})"


class Op:
    """An operation: what it computes, and how its gradient flows back.

    Made by :func:`op`. Arguments that can stand in front are arrays, keyword-only ones
    are metadata; a starred argument makes the operation variadic.

    Parameters
    ----------
    forward : callable
        The function that computes it.
    numpy, symbol, operator, elementwise, adapter, residuals, results, texts, cases
        As for :func:`tinygrad_edu.op`.

    Attributes
    ----------
    name : str
        The function's.
    arguments : tuple of str
        The names of the arrays.
    metadata : dict
        The names of the other arguments, and their defaults.
    constant : frozenset of str
        The arguments that have no derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.OPS["matmul"].arguments, te.OPS["matmul"].argument(1)
    (('a', 'b'), 'b')
    >>> te.OPS["sum"].metadata
    {'axis': None, 'keepdims': False}
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
        residuals: Mapping[str, Callable[..., Any]] = _NOTHING,
        results: Sequence[str] = (),
        texts: Mapping[str, str | Callable[..., str | None]] = _NOTHING,
        cases: Sequence[Case] = (),
    ) -> None:
        update_wrapper(self, forward)
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
        defaults = {p.name: p.default for p in arrays}
        self.adapter = adapter or (
            as_written(self.name, self.arguments, self.metadata)
            if self.variadic
            else numpy_order(self.name, defaults, self.metadata, numpy)
        )
        self.rules: Any = _NoRules(self.name)  # one for each position
        self.constant: frozenset[str] = frozenset()  # arguments without a derivative
        # Most operations are of one or two arrays, without metadata. Paths of their own
        # for these, forward and back, take a third off the cost of a small operation.
        more = self.metadata or self.residuals or self.results or self.variadic
        self.bare = not more and all(p.default is _EMPTY for p in arrays)
        paths: dict[int, Any] = {1: (_call_one, _pull_one), 2: (_call_two, _pull_two)}
        arity = len(self.arguments) if self.bare else 0
        call, self.pull = paths.get(arity, (_call_any, _pull_any))
        self.call: Callable[..., Any] = update_wrapper(call(self), forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return self.call(*args)
        if self.bare:  # arrays by name
            arrays, kwargs = self.adapter(*args, **kwargs)
            return self.call(*arrays, **kwargs)
        return self.call(*args, **kwargs)

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


def _op_named(name: str) -> Op:
    return OPS[name]


class _NoRules:
    """The rules of an operation before ``vjp``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __iter__(self) -> NoReturn:
        raise errors.no_rules(self.name)


class _EveryPosition:
    """The one rule of a variadic operation, told which argument is meant."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return (partial(self.rule, position=i) for i in itertools.count())


def _no_derivative(op: Op, name: str, *_: Any, **__: Any) -> NoReturn:
    raise errors.no_derivative(op, name)


@overload
def op(function: Callable[..., Any]) -> Op: ...
@overload
def op(**declaration: Any) -> Callable[[Callable[..., Any]], Op]: ...
def op(function: Callable[..., Any] | None = None, **declaration: Any) -> Any:
    """Declare an operation from the NumPy function that computes it.

    Parameters
    ----------
    function : callable
        Takes arrays, returns an array. Its keyword-only arguments are metadata.
    **declaration
        Any of these:
    numpy : callable, optional
        The NumPy function that records this operation when handed a Tensor.
    symbol : str, optional
        How drawings write it; the name unless given. With arguments or metadata in
        braces it is a formula, ``"{x} · {weight}ᵀ + {bias}"``, else a function,
        ``"exp"``. A summand whose argument is None is left out.
    operator : str, optional
        The special method that it stands for, without underscores: ``"mul"``.
    elementwise : bool, default False
        The engine undoes broadcasting; the rules need not.
    adapter : callable, optional
        Where NumPy's order of arguments is not (arrays, metadata): takes what the user
        wrote, returns ``(arrays, metadata)``.
    residuals : dict of str to callable, optional
        By-products of forward that the rules read. Forward then returns the result
        and the residuals; the callable computes the same from the inputs, and is used
        instead where derivatives of the rule are wanted.
    results : sequence of str, optional
        Names of several results; forward returns them as a tuple.
    texts : dict of str to str or callable, optional
        How drawings write the rule of an argument, where what is read off the rule
        itself does not read well: ``{"x": "{g} ⊙ [{x} > 0]"}``. Braces may hold ``g``,
        ``out``, an argument or metadata. A callable is given inputs and metadata and
        returns such a text, or None to have it read off the rule.
    cases : sequence of Case
        Sample inputs, for the gradient tests.

    Returns
    -------
    Op
        Callable; also a Tensor method. Declare its rules with :meth:`Op.vjp`.

    Raises
    ------
    ValueError
        If another module has declared an operation of this name.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> @te.op(symbol="x³", elementwise=True, cases=[te.Case((2, 3))])
    ... def cubed(x):
    ...     return x**3
    >>> cubed.vjp(x=lambda g, out, x: g * 3 * x**2)
    >>> x = te.tensor(2.0, requires_grad=True)
    >>> te.gradients(cubed(x), [x])
    [array(12.)]
    """
    if function is None:
        return partial(op, **declaration)
    declared = Op(function, **declaration)
    name, call = declared.name, declared.call
    before = OPS.get(name)
    if before is not None and before.forward.__module__ != function.__module__:
        raise errors.declared_twice(name, before.forward.__module__)
    OPS[name] = declared
    if declared.numpy is not None:
        by_name = declared.bare and not isinstance(declared.numpy, np.ufunc)
        FROM_NUMPY[declared.numpy] = declared if by_name else call
    replaces = before is not None and vars(Tensor).get(name) is before.call
    if replaces or not hasattr(Tensor, name):  # never what a Tensor has of its own
        setattr(Tensor, name, call)
    if declared.operator is not None:
        setattr(Tensor, f"__{declared.operator}__", call)
        if len(declared.arguments) == 2:
            setattr(Tensor, f"__r{declared.operator}__", lambda self, a: call(a, self))
    return declared


_PLAIN = frozenset({float, int, bool, np.float64, np.float32})
_REAL = "fiub"  # kinds of dtype


def _is_plain(x: Any) -> bool:
    """Whether a forward takes it as it is: a real array or number."""
    return x.dtype.kind in _REAL if type(x) is ndarray else type(x) in _PLAIN


def _call_one(op: Op) -> Callable[..., Any]:
    """Return the function that computes and records an operation of one array."""
    forward, (name,) = op.forward, op.arguments

    def call(x: Any) -> Any:
        if type(x) is not Tensor:
            return forward(x if _is_plain(x) else _real(x, f"{op.name}: {name}"))
        try:
            data = forward(x._data)
        except (ValueError, TypeError) as error:
            raise errors.forward_failed(op, error, [x]) from error
        if x._tracked and RECORDING.get():
            return _node(data, op, (x,))
        return _unrecorded(data, op, (x,))

    return call


def _call_two(op: Op) -> Callable[..., Any]:
    """The same for an operation of two arrays."""
    forward, (first, second) = op.forward, op.arguments

    def call(a: Any, b: Any) -> Any:
        if type(a) is ndarray and type(b) is ndarray:  # in a rule: nothing to record
            return forward(a, b)
        x, y, tracked, tensors = a, b, False, False
        if type(a) is Tensor:
            x, tracked, tensors = a._data, a._tracked, True
        elif not _is_plain(a):
            a = x = _real(a, f"{op.name}: {first}")
        if type(b) is Tensor:
            y, tracked, tensors = b._data, tracked or b._tracked, True
        elif not _is_plain(b):
            b = y = _real(b, f"{op.name}: {second}")
        try:
            data = forward(x, y)
        except (ValueError, TypeError) as error:
            raise errors.forward_failed(op, error, [a, b]) from error
        if tracked and RECORDING.get():
            return _node(data, op, (a, b))
        return _unrecorded(data, op, (a, b)) if tensors else data

    return call


def _call_any(op: Op) -> Callable[..., Any]:
    """The same for any operation."""
    forward, names = op.forward, frozenset(op.metadata)
    arity, reads_as_written = len(op.arguments), op.reads_as_written
    by_products = tuple(op.residuals)

    def call(*args: Any, **kwargs: Any) -> Any:
        if (
            not reads_as_written
            or len(args) != arity
            or (kwargs and not names.issuperset(kwargs))
        ):
            arrays, kwargs = op.adapter(*args, **kwargs)
            args = tuple(arrays)
        if names:
            kwargs = _filled_in(op, kwargs)
        values: list[Any] = []
        tracked = False
        for x in args:
            if type(x) is Tensor:
                tracked = tracked or x._tracked
                x = x._data
            elif x is not None and not _is_plain(x):
                i = len(values)
                x = _real(x, f"{op.name}: {op.argument(i)}")
                args = (*args[:i], x, *args[i + 1 :])
            values.append(x)
        try:
            data = forward(*values, **kwargs)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise errors.forward_failed(op, error, args) from error
        named = kwargs
        if by_products:
            data, *rest = data
            named = kwargs.copy()
            named.update(zip(by_products, rest, strict=True))
        if op.results:
            data = op.results(*data)
        if tracked and RECORDING.get():
            node = _node(data, op, args, kwargs, (values, named))
            return _items(node) if op.results else node
        if Tensor not in map(type, args):
            return data
        if op.results:
            return op.results(*(_unrecorded(part, op, args) for part in data))
        return _unrecorded(data, op, args)

    return call


_CHANGEABLE = frozenset({ndarray, list, dict})  # by the user, before backward


def _filled_in(op: Op, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata with defaults; refuse what is missing or a Tensor."""
    for name, value in kwargs.items():
        if type(value) is Tensor:
            raise errors.tensor_as_metadata(op, name)
        if type(value) in _CHANGEABLE and op.reads_as_written:  # or its adapter copied
            kwargs = {**kwargs, name: deepcopy(value)}
    if op.needed and not op.needed <= kwargs.keys():
        raise TypeError(f"{op.name}: missing {', '.join(op.needed - kwargs.keys())}")
    return {**op.metadata, **kwargs}


def _items(node: Tensor) -> Any:
    """Return the results of a node of several, each as a Tensor."""
    results = node._data
    return type(results)(*(item.call(node, index=i) for i in range(len(results))))


# ------------------------------------------------------------- 3. the walk backward


def gradients(
    output: Tensor,
    inputs: Iterable[Tensor],
    *,
    gradient: Any = None,
    create_graph: bool = False,
) -> list[Any]:
    """Return the gradient of ``output`` with respect to each of ``inputs``.

    Touches no ``.grad`` and frees nothing.

    Parameters
    ----------
    output : Tensor
        A single number, unless ``gradient`` is given; then of any shape.
    inputs : iterable of Tensor
        Leaves, or tensors computed on the way; all must require gradients.
    gradient : array_like or Tensor, optional
        dL/d(output), of the output's shape.
    create_graph : bool, default False
        Record the gradients themselves, so that they can be differentiated again.

    Returns
    -------
    list
        One for each input, of its shape and dtype: Tensors with ``create_graph``, else
        arrays. Zeros for an input that the output does not depend on.

    Raises
    ------
    RuntimeError
        As :meth:`Tensor.backward`; also for an input that does not require gradients.
    TypeError
        If ``inputs`` is a single Tensor: write ``[x]``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor(3.0, requires_grad=True)
    >>> (first,) = te.gradients(x * x * x, [x], create_graph=True)
    >>> (second,) = te.gradients(first, [x])
    >>> float(first), float(second)
    (27.0, 18.0)
    """
    if type(inputs) is Tensor:  # would be taken apart into rows
        raise TypeError("gradients: inputs must be a list of Tensors; write [x] for x")
    targets = list(inputs)
    for position, x in enumerate(targets):
        if type(x) is not Tensor or not x._tracked:
            raise errors.input_without_grad(x, position)
    before = RECORDING.get()
    RECORDING.set(create_graph)
    try:
        seed = _seed(output, gradient, "gradients")
        if create_graph and type(gradient) is Tensor:
            same = gradient.dtype == output.dtype
            seed = gradient if same else astype.call(gradient, dtype=output.dtype)
        elif create_graph:
            seed = _node(seed)
        pull = _pull_recording if create_graph else None
        found = _walk(output, seed, pull=pull, targets=targets)
    finally:
        RECORDING.set(before)
    results = [found.get(x, np.zeros_like(x._data)) for x in targets]
    if create_graph:
        return [g if type(g) is Tensor else _node(np.asarray(g)) for g in results]
    return [np.array(g) for g in results]  # copies, that nobody else holds


def _seed(output: Tensor, gradient: Any, who: str) -> Any:
    """Return dL/d(output) to start from."""
    if type(output) is not Tensor:
        raise TypeError(f"{who}: expected a Tensor, got {type(output).__name__}")
    if not output._tracked:
        raise errors.no_input_requires_grad(output, who)
    if gradient is None:
        data = output._data
        if data.size != 1:
            raise errors.not_a_scalar(output, who)
        one = data.dtype.type(1)
        return one if data.ndim == 0 else np.full(data.shape, one)
    gradient = _real(_raw(gradient), f"{who}: gradient")
    if gradient.shape != output.shape:
        raise errors.wrong_gradient(output, who, gradient.shape)
    return gradient.astype(output.dtype)[()]


def _walk(
    output: Tensor,
    seed: Any,
    *,
    pull: Callable[..., None] | None = None,
    free: bool = False,
    targets: Sequence[Tensor] = (),
) -> dict[Tensor, Any]:
    """Walk from ``output`` to the leaves, newest node first, applying the rules.

    All that used a node is newer, so its gradient is complete when its turn comes.
    ``pull`` hands it on to the node's inputs; each operation has its own way.
    Returns the gradients of the leaves and ``targets``. With ``targets``, only the ways
    that lead to one are walked.
    """
    wanted = None
    if targets:
        nodes = nodes_of([output])
        if not all(node.inputs for node in nodes):
            raise errors.freed()
        wanted = leading_to(targets, nodes)
    kept = set(targets) if targets else ()
    found: dict[Tensor, Any] = {output: seed}
    own: set[int] = set()  # by _index: those whose array in found was made here
    todo = [(-output._index, output)] if output.op is not None else []

    def deliver(x: Tensor, d: Any) -> None:
        """Add ``d`` to what was found for ``x``, an input of ``node``."""
        data = x._data
        if type(d) is ndarray:
            if d.shape != data.shape or d.dtype is not data.dtype:
                d = _fitted(d, x, node)
        elif type(d) is not type(data):
            d = _fitted(d, x, node)
        if x not in found:
            found[x] = d
            if x.op is not None:
                heappush(todo, (-x._index, x))
            return
        old = found[x]
        if x._index in own and type(old) is type(d) is ndarray:
            np.add(old, d, out=old)
        else:
            found[x] = plus(old, d)
            own.add(x._index)

    while todo:
        _, node = heappop(todo)
        if not node.inputs:
            raise errors.freed()
        g = found[node] if node in kept else found.pop(node)
        try:
            (pull or node.op.pull)(node, g, wanted, deliver)
        except Exception as error:
            errors.rule_failed(node, error)
            raise
        if free:
            node.inputs, node._saved = (), None
    return found


def nodes_of(outputs: Iterable[Any]) -> list[Tensor]:
    """Return all recorded nodes behind ``outputs``, oldest first."""
    found = {y for y in outputs if type(y) is Tensor and y.op is not None}
    order = list(found)
    for node in order:  # grows while it is read
        for x in node.inputs:
            if type(x) is Tensor and x.op is not None and x not in found:
                found.add(x)
                order.append(x)
    return sorted(order, key=operators.attrgetter("_index"))


def pull(node: Tensor, gradient: Any) -> list[tuple[Tensor, Any]]:
    """Return what a node hands on of its gradient: pairs of an input and its share.

    One for each input that requires gradients, in their order.
    """
    if not node.inputs:
        raise errors.freed()
    shares: list[tuple[Tensor, Any]] = []
    node.op.pull(
        node, gradient, None, lambda x, d: shares.append((x, _fitted(d, x, node)))
    )
    return shares


def leading_to(targets: Iterable[Tensor], nodes: Iterable[Tensor]) -> set[Tensor]:
    """Return ``targets`` and those of ``nodes``, oldest first, that come from them."""
    wanted = set(targets)
    for node in nodes:
        if any(type(x) is Tensor and x in wanted for x in node.inputs):
            wanted.add(node)
    return wanted


def _pull_any(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """Hand the rules arrays: they compute."""
    out, (values, named), index = node._data, node._saved, node._index
    for x, rule in zip(node.inputs, node.op.rules):  # noqa: B905 (a variadic has no end)
        if type(x) is Tensor:
            if x._index > index:
                raise errors.assigned_since(x, node.op)
            if x._tracked and (wanted is None or x in wanted):
                d = rule(g, out, *values, **named) if named else rule(g, out, *values)
                deliver(x, d)


def _pull_one(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """The same for one array and no metadata."""
    (x,), (rule,) = node.inputs, node.op.rules
    if x._index > node._index:
        raise errors.assigned_since(x, node.op)
    if x._tracked and (wanted is None or x in wanted):
        deliver(x, rule(g, node._data, x._data))


def _pull_two(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """The same for two arrays and no metadata."""
    (a, b), (rule_a, rule_b), index = node.inputs, node.op.rules, node._index
    x, y, ask_a, ask_b = a, b, False, False
    if type(a) is Tensor:
        if a._index > index:
            raise errors.assigned_since(a, node.op)
        x, ask_a = a._data, a._tracked and (wanted is None or a in wanted)
    if type(b) is Tensor:
        if b._index > index:
            raise errors.assigned_since(b, node.op)
        y, ask_b = b._data, b._tracked and (wanted is None or b in wanted)
    if ask_a:
        deliver(a, rule_a(g, node._data, x, y))
    if ask_b:
        deliver(b, rule_b(g, node._data, x, y))


def _pull_recording(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """Hand the rules Tensors: what they compute is recorded."""
    op, named = node.op, node.kwargs
    for x in node.inputs:
        if type(x) is Tensor and x._index > node._index:
            raise errors.assigned_since(x, op)
    again = {name: f(*node.inputs, **named) for name, f in op.residuals.items()}
    out = _items(node) if op.results else node
    for x, rule in zip(node.inputs, op.rules):  # noqa: B905 (a variadic has no end)
        if type(x) is Tensor and x._tracked and (wanted is None or x in wanted):
            deliver(x, rule(g, out, *node.inputs, **named, **again))


def _fitted(d: Any, x: Tensor, node: Tensor) -> Any:
    """Undo broadcasting, and give the gradient its input's dtype."""
    if isinstance(d, tuple):  # the gradient of a node of several results
        return d
    array = d._data if type(d) is Tensor else np.asarray(d)
    if array.dtype.kind not in _REAL:
        raise errors.wrong_rule_result(node.op, x, _raw(d))
    if type(d) is not Tensor:
        d = array[()]
    if d.shape != x.shape:
        if not node.op.elementwise:
            raise errors.wrong_rule_shape(node, x, d.shape)
        try:
            d = sum_to.call(d, shape=x.shape)
        except ValueError:
            raise errors.wrong_rule_shape(node, x, d.shape) from None
    return d if d.dtype == x.dtype else astype.call(d, dtype=x.dtype)


def _references(found: dict[Any, Any]) -> int:
    """Count who holds the first array in ``found``, from within a loop over it."""
    for _, g in found.items():
        return getrefcount(g)
    return 0


def _references_to_base(g: ndarray) -> int:
    """Count who holds the array that ``g`` is the transpose of; 0 for other views."""
    base = g.base
    whole = type(base) is ndarray and base.base is None and base.size == g.size
    return getrefcount(base) if whole else 0


#: The counts of an array that only ``found`` holds, and of one that only its transpose
#: does. (They differ between Pythons.)
_ALONE = _references({None: np.empty(0)})
_ALONE_AS_BASE = _references_to_base(np.empty((2, 3)).T)


def plus(a: Any, b: Any) -> Any:
    """Return the sum of two gradients, also of a node with several results."""
    return tuple(map(plus, a, b)) if isinstance(a, tuple) else a + b


# ------------------------------------------- the operations that the walk itself needs


@op(symbol="Σ", cases=[Case((2, 3), shape=(3,)), Case((2, 3), shape=(2, 1))])
def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum over the axes along which ``shape`` broadcasts to ``x``'s shape.

    Parameters
    ----------
    x : Tensor or ndarray
    shape : tuple of int
        A shape that broadcasts to ``x.shape``.

    Returns
    -------
    Tensor or ndarray, of ``shape``

    Raises
    ------
    ValueError
        If ``shape`` does not broadcast to ``x.shape``.

    Notes
    -----
    The adjoint of :func:`broadcast_to`, which is its derivative.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.sum_to(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    before, lead = x.shape, x.ndim - len(shape)
    if lead > 0:
        x = np.add.reduce(x, axis=tuple(range(lead)))
    if x.shape == shape:
        return x
    if lead >= 0:
        axes = tuple(i for i, n in enumerate(shape) if n == 1)
        x = np.add.reduce(x, axis=axes, keepdims=True)
    if x.shape != tuple(shape):
        raise ValueError(f"shape {shape} does not broadcast to {before}")
    return x


@op(numpy=np.broadcast_to, cases=[Case((3,), shape=(2, 3)), Case((2, 1), shape=(2, 3))])
def broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Repeat ``x`` along new axes and axes of length 1 until it has ``shape``.

    Parameters
    ----------
    x : Tensor or array_like
    shape : tuple of int

    Returns
    -------
    Tensor or ndarray, of ``shape``

    Raises
    ------
    ValueError
        If ``x.shape`` does not broadcast to ``shape``.

    Notes
    -----
    The adjoint of :func:`sum_to`, which is its derivative.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.broadcast_to([1.0, 2.0], (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    return np.broadcast_to(x, shape)


sum_to.vjp(x=lambda g, out, x, *, shape: broadcast_to(g, shape=x.shape))
broadcast_to.vjp(x=lambda g, out, x, *, shape: sum_to(g, shape=x.shape))


@op(cases=[Case((2, 3), dtype=np.float64)])
def astype(x: Any, *, dtype: DTypeLike) -> Any:
    """Convert to another floating-point type.

    Parameters
    ----------
    x : Tensor or array_like
    dtype : dtype
        One of real floating-point numbers.

    Returns
    -------
    Tensor or ndarray, of ``x``'s shape

    Raises
    ------
    TypeError
        If ``dtype`` is none of real floating-point numbers.

    Notes
    -----
    The derivative is 1; the engine gives each gradient its input's dtype.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.astype([1.0], "float32")
    array([1.], dtype=float32)
    """
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype must be floating-point, got {np.dtype(dtype)}")
    return np.asarray(x).astype(dtype)[()]


astype.vjp(x=lambda g, out, x, *, dtype: g)


@op(texts={"results": "{g}"})
def item(results: Any, *, index: int) -> Any:
    """Pick one result of an operation that has several: the graph's own node for it."""
    return results[index]


item.vjp(
    results=lambda g, out, results, *, index: tuple(
        g if i == index else np.zeros_like(r) for i, r in enumerate(_raw(results))
    )
)
