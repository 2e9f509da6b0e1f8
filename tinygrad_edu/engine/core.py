"""The graph and the walk backward through it: Tensor, Op, ``@op``, ``gradients``.

Read this file first. It has three parts, each built on the one before:

1. ``Tensor``: an array that remembers which operation made it, and from what;
2. ``Op``: one declaration per operation, and how calling it records a node;
3. the walk backward: newest node first, each rule once, gradients added up.

A node of the graph *is* a Tensor. Its links point only to older tensors, so the
creation counter is a topological order and reference counting alone frees a graph.
"""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, update_wrapper
from heapq import heappop, heappush
from typing import Any, final, overload
from weakref import ref

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from tinygrad_edu.engine import errors, lending
from tinygrad_edu.engine.behaviour import ArrayBehaviour
from tinygrad_edu.engine.cases import Case
from tinygrad_edu.engine.creation import next_index
from tinygrad_edu.engine.declaration import NOTHING, OPS, Declaration
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.engine.memory import empty_like, is_held_once
from tinygrad_edu.engine.operands import REAL, is_plain, like, real
from tinygrad_edu.engine.recording import RECORDING, RUN, Cut, Scope, cut_by, recording
from tinygrad_edu.engine.scattered import Scattered
from tinygrad_edu.engine.traversal import leading_to, nodes_of

__all__ = ["OPS", "Case", "Op", "Tensor", "gradients", "op", "tensor"]

_adding = threading.RLock()  # held while gradients are added to those of leaves

# ------------------------------------------------------------------------ 1. Tensor


@final
class Tensor(ArrayBehaviour):
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
        "_changed",  # of a leaf: _index when it was assigned, or first lent
        "_cut",  # of a leaf that was computed: why it passes on no gradient
        "_grad",
        "_index",  # from the creation counter: inputs have smaller ones
        "_numbers",
        "_prints",  # of what was lent: of a leaf, or of a node's inputs
        "_residuals",  # by-products of forward, for the rules
        "_tracked",  # requires_grad
        "inputs",
        "kwargs",
        "name",
        "op",
        "scope",
    )
    _changed: int
    _cut: Cut | None
    _grad: np.ndarray | None
    _index: int
    _numbers: Any
    _prints: Any
    _residuals: Mapping[str, Any]
    _tracked: bool
    inputs: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    name: str | None
    op: Any  # Op, or None for a leaf
    scope: Scope | None

    def __init__(self, *_: object, **__: object) -> None:
        raise TypeError("use te.tensor(data, requires_grad=..., name=...)")

    @property
    def data(self) -> Any:
        """The numbers: of a leaf to be written to, else for reading."""
        if not lending.is_own(self):
            return lending.for_reading(self._numbers)
        if self._prints is None:  # it is lent from now on
            self._prints, self._changed = lending.print_of(self._numbers), next_index()
        return self._numbers

    @data.setter
    def data(self, value: Any) -> None:
        if self.op is not None:
            raise errors.not_a_leaf(self, "data")
        # after t.data -= ... it is that
        value = value if value is self._numbers else like(self, value, "data")
        index = next_index()  # here: from now on no call, and so no interrupt
        if value is not self._numbers:
            self._numbers, self._cut, self._prints = value, None, None
        self._index = self._changed = index

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient ``backward`` left here: an array of this shape and dtype."""
        if self.op is not None:
            warnings.warn(errors.grad_of_no_leaf(self), stacklevel=2)
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and value is not self._grad:
            value = like(self, value, "grad")
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
        data = self._numbers
        if type(data) is ndarray:  # writing to it would change the graph unnoticed
            data = data.view() if self.op is not None else data.copy(order="K")
            data.flags.writeable = False
        leaf, cut = node_of(data), self._cut
        if self._tracked:
            cut = Cut("detached", self.op, self.name, self.scope, (ref(self),))
        leaf._cut = cut
        return leaf

    def __reduce__(self) -> tuple[Any, ...]:  # a copy is a leaf: never the graph
        return _rebuilt, (np.array(self._numbers), self._tracked, self.name)

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
        found = walk(self, _seed(self, gradient, "backward"), free=not retain_graph)
        with _adding:
            for leaf, g in found.items():
                if leaf._grad is not None:
                    leaf._grad += g
                else:  # in a buffer that nobody else holds
                    leaf._grad = g if is_held_once(g) else np.array(g)


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
    array = np.asarray(real(data, "te.tensor: data"), dtype=dtype)
    copy = empty_like(real(array, "te.tensor: data"))
    np.copyto(copy, array)
    leaf = node_of(copy)
    leaf.name = name
    leaf.requires_grad = requires_grad
    return leaf


def _rebuilt(data: np.ndarray, tracked: bool, name: str | None) -> Tensor:
    return tensor(data, requires_grad=tracked, name=name)


def node_of(
    data: Any,
    op: Op | None = None,
    inputs: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] = NOTHING,
    residuals: Mapping[str, Any] = NOTHING,
    prints: Any = None,
) -> Tensor:
    """Make a Tensor; with an ``op``, a recorded one."""
    node: Tensor = object.__new__(Tensor)
    node._changed = 0
    node._cut = None
    node._grad = None
    node._index = next_index()
    node._numbers = data
    node._prints = prints
    node._residuals = residuals
    node._tracked = op is not None
    node.inputs = inputs
    node.kwargs = kwargs
    node.name = None
    node.op = op
    run = RUN.get()
    node.scope = None if op is None or run is None else run.scope
    return node


def unrecorded(data: Any, op: Op, inputs: Iterable[Any]) -> Tensor:
    """Make a leaf of what an operation computed, and note whose gradient ends here."""
    leaf = node_of(data, prints=lending.lent_by_others(data))
    leaf._cut = cut_by(op, inputs)
    return leaf


def _raw(x: Any) -> Any:
    return x._numbers if type(x) is Tensor else x


# ---------------------------------------------------------------------------- 2. Op


class Op(Declaration):
    """An operation: what it computes, and how its gradient flows back.

    Made by :func:`op`. Arguments that can stand in front are arrays, keyword-only ones
    are metadata; a starred argument makes the operation variadic.

    Parameters
    ----------
    forward : callable
        The function that computes it.
    **declaration
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
    >>> result, residuals = te.OPS["exp"].compute([0.0], {})
    >>> float(result), dict(residuals)
    (1.0, {})
    """

    def __init__(self, forward: Callable[..., Any], **declaration: Any) -> None:
        super().__init__(forward, **declaration)
        update_wrapper(self, forward)
        call, self.pull = WAYS[-1](self)
        if not str(forward.__module__).startswith("tinygrad_edu."):  # a user's own
            self.pull = lending.guarded(self.pull)
        self.call: Callable[..., Any] = update_wrapper(call, forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs and self.bare:  # arrays by name, or further keywords
            arrays, kwargs = self.adapter(*args, **kwargs)
            return (self.keywords if kwargs else self.call)(*arrays, **kwargs)
        return self.call(*args, **kwargs)

    def compute(self, values: Sequence[Any], kwargs: Any) -> tuple[Any, Any]:
        """Return the result for arrays, and the by-products of it for the rules.

        Parameters
        ----------
        values : sequence of ndarray
            The arrays, of the shapes that the operation takes.
        kwargs : mapping
            The metadata, complete.

        Returns
        -------
        result : ndarray or tuple of ndarray
            A named tuple for an operation of several results.
        residuals : mapping of str to ndarray
            Empty for an operation that declares none.
        """
        data, residuals = self.forward(*values, **kwargs), NOTHING
        if self.residuals:
            data, *rest = data
            residuals = dict(zip(self.residuals, rest, strict=True))
        return (self.results(*data) if self.results else data), residuals


#: The last of these gives an operation its call and its pull; ``fast`` appends its own.
WAYS: list[Callable[[Op], tuple[Any, Any]]] = [lambda op: (_call_of(op), pull)]


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
    keywords : callable, optional
        A function of the same arguments and further keywords, such as ``dtype``: what
        is called where one of those is given. It is written with the operations.
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


def _call_of(op: Op) -> Callable[..., Any]:
    """Return the function that computes an operation and, where wanted, records it."""
    known, forward, arity = set(op.metadata).issuperset, op.forward, len(op.arguments)
    as_written, is_whole = op.reads_as_written, not (op.residuals or op.results)

    def call(*args: Any, **kwargs: Any) -> Any:
        if not (as_written and len(args) == arity and (not kwargs or known(kwargs))):
            arrays, kwargs = op.adapter(*args, **kwargs)
            if kwargs and not op.further.keys().isdisjoint(kwargs):
                return op.keywords(*arrays, **kwargs)
            args = tuple(arrays)
        if op.metadata:
            kwargs = op._filled_in(kwargs)
        values: list[Any] = []
        given: Any = args  # of which what is no array becomes one
        tracked = lent = False
        for x in args:
            if type(x) is Tensor:
                tracked = tracked or x._tracked
                lent = lent or x._prints is not None
                x = x._numbers
            elif not is_plain(x):
                name = op.argument(i := len(values))
                if x is not None or name not in op.optional:
                    x = real(x, f"{op.name}: {name}")
                    if type(given) is tuple:
                        given = list(args)
                    given[i] = x
            else:
                lent = lent or type(x) is ndarray
            values.append(x)
        try:
            if is_whole:
                data, residuals = forward(*values, **kwargs), NOTHING
            else:
                data, residuals = op.compute(values, kwargs)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise errors.forward_failed(op, error, given) from error
        if tracked and RECORDING.get():
            inputs = tuple(given)
            prints = lending.prints_of(inputs) if lent else None
            node = node_of(data, op, inputs, kwargs or NOTHING, residuals, prints)
            return items_of(node) if op.results else node
        if Tensor not in map(type, args):
            return data
        if op.results:
            return op.results(*(unrecorded(part, op, args) for part in data))
        return unrecorded(data, op, args)

    return call


def items_of(node: Tensor) -> Any:
    """Return the results of a node of several, each as a Tensor."""
    parts = enumerate(node._numbers)
    made = (node_of(part, item, (node,), {"index": i}) for i, part in parts)
    return type(node._numbers)(*made)


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
    with recording(create_graph):
        seed = _seed(output, gradient, "gradients")
        if not create_graph:
            found = walk(output, seed, targets=targets)
        else:
            seed = gradient if type(gradient) is Tensor else node_of(seed)
            seed = seed if seed.dtype == output.dtype else seed.astype(output.dtype)
            on_tensors = partial(pull, recorded=True)
            found = walk(output, seed, pull=on_tensors, targets=targets)
    results = [found.get(x, np.zeros_like(x._numbers)) for x in targets]
    if create_graph:
        return [g if type(g) is Tensor else node_of(np.asarray(g)) for g in results]
    return [np.array(g) for g in results]  # copies, that nobody else holds


def _seed(output: Tensor, gradient: Any, who: str) -> Any:
    """Return dL/d(output) to start from."""
    if type(output) is not Tensor:
        raise TypeError(f"{who}: expected a Tensor, got {type(output).__name__}")
    if not output._tracked:
        raise errors.no_input_requires_grad(output, who)
    if gradient is None:
        data = output._numbers
        if data.size != 1:
            raise errors.not_a_scalar(output, who)
        return np.ones(data.shape, data.dtype) if data.ndim else data.dtype.type(1)
    gradient = real(_raw(gradient), f"{who}: gradient")
    if gradient.shape != output.shape:
        raise errors.wrong_gradient(output, who, gradient.shape)
    return gradient.astype(output.dtype)[()]


def walk(
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
        for node in nodes:  # also those on other ways
            lending.check(node)
        wanted = leading_to(targets, nodes)
    kept = set(targets) if targets else ()
    found: dict[Tensor, Any] = {output: seed}
    own: set[int] = set()  # _index of those whose array in found is a sum made here
    todo = [(-output._index, output)] if output.op is not None else []

    def deliver(x: Tensor, d: Any) -> None:
        """Add ``d`` to what was found for ``x``, an input of ``node``."""
        data = x._numbers
        if type(d) is ndarray:
            if d.shape != data.shape or d.dtype is not data.dtype:
                d = fitted(d, x, node)
        elif type(d) is Scattered and x._index in own:
            return d.add_to(found[x])  # else fitted writes out the zeros
        elif type(d) is not type(data):
            d = fitted(d, x, node)
        if x not in found:
            found[x] = d
            if x.op is not None:
                heappush(todo, (-x._index, x))
            return
        if x._index in own and type(d) is ndarray:
            np.add(found[x], d, out=found[x])
        else:
            found[x] = total = plus(found[x], d)
            (own.add if type(total) is ndarray else own.discard)(x._index)

    while todo:
        _, node = heappop(todo)
        if not node.inputs:
            raise errors.freed()
        if node._prints is not None:
            lending.check_prints(node, free)
        g = found[node] if node in kept else found.pop(node)
        try:
            (pull or node.op.pull)(node, g, wanted, deliver)
        except Exception as error:
            errors.rule_failed(node, error)
            raise
        if free:
            node.inputs, node._residuals = (), NOTHING
    return found


def pull(
    node: Tensor, g: Any, wanted: Any, deliver: Any, *, recorded: bool = False
) -> None:
    """Hand the gradient of a node on to its inputs, by the rule of each.

    The same rules are handed arrays, and compute; or Tensors, and are recorded.
    """
    op, index, inputs, named = node.op, node._index, node.inputs, node.kwargs
    if recorded:
        out, values = items_of(node) if op.results else node, list(inputs)
        named = {k: f(*inputs, **named) for k, f in op.residuals.items()} | dict(named)
    else:
        out = node._numbers
        values = [x._numbers if type(x) is Tensor else x for x in inputs]
        named = {**named, **node._residuals} if named or node._residuals else {}
    rules, whole = op.rules, not op.variadic
    if not whole:  # one rule, handed its thousands of arrays once
        rule_at, rules = rules.given(g, out, *values, **named), itertools.count()
    for x, rule in zip(inputs, rules):  # noqa: B905 (count has no end)
        if type(x) is Tensor:
            if x._changed > index:
                lending.check_since(x, node)
            if x._tracked and (wanted is None or x in wanted):
                d = rule(g, out, *values, **named) if whole else rule_at(rule)
                deliver(x, d)


def fitted(d: Any, x: Tensor, node: Tensor) -> Any:
    """Undo broadcasting, and give the gradient its input's dtype."""
    if isinstance(d, tuple):  # the gradient of a node of several results
        return d
    array = d._numbers if type(d) is Tensor else np.asarray(d)
    if array.dtype.kind not in REAL:
        raise errors.wrong_rule_result(node.op, x, _raw(d))
    if type(d) is not Tensor:
        d = array[()]
    if d.shape != x.shape:
        if not node.op.elementwise:
            raise errors.wrong_rule_shape(node, x, d.shape)
        try:
            d = OPS["sum_to"].of_array(d, shape=x.shape)
        except ValueError:
            raise errors.wrong_rule_shape(node, x, d.shape) from None
    return d if d.dtype == x.dtype else d.astype(x.dtype)


def plus(a: Any, b: Any) -> Any:
    """Return the sum of two gradients, also of a node with several results."""
    return tuple(map(plus, a, b)) if isinstance(a, tuple) else a + b


# --------------------------------------------------- the operation that nodes need


@op(texts={"results": "{g}"})
def item(results: Any, *, index: int) -> Any:
    """Pick one result of an operation that has several: the graph's own node for it."""
    return results[index]


item.vjp(
    results=lambda g, out, r, *, index: tuple(
        g if i == index else np.zeros(x.shape, x.dtype) for i, x in enumerate(_raw(r))
    )
)
