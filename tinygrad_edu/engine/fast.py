"""What ``core`` does, unrolled: for up to three arrays, and for one with metadata.

Most operations are such. Nothing is computed otherwise: without this file all is right,
and a small operation takes half as long again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy import ndarray

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import SHORTER, Op, Tensor, node_of, unrecorded
from tinygrad_edu.engine.declaration import NOTHING
from tinygrad_edu.engine.lending import check_since, prints_of
from tinygrad_edu.engine.operands import is_plain, real
from tinygrad_edu.engine.recording import RECORDING

__all__: list[str] = []

NONE: Sequence[Any] = ()


def _call_of_one(op: Op) -> Callable[..., Any]:
    """Return the function that computes and records an operation of one array."""
    forward, (name,) = op.forward, op.arguments

    def call(x: Any) -> Any:
        if type(x) is not Tensor:
            return forward(x if is_plain(x) else real(x, f"{op.name}: {name}"))
        try:
            data = forward(x._numbers)
        except (ValueError, TypeError) as error:
            raise errors.forward_failed(op, error, [x]) from error
        if x._tracked and RECORDING.get():
            if x._prints is None:
                return node_of(data, op, (x,))
            return node_of(data, op, (x,), NOTHING, NOTHING, prints_of([x]))
        return unrecorded(data, op, (x,))

    return call


def _call_of_two(op: Op) -> Callable[..., Any]:
    """The same for an operation of two arrays."""
    forward, (first, second) = op.forward, op.arguments

    def call(a: Any, b: Any) -> Any:
        if type(a) is ndarray and type(b) is ndarray:  # in a rule: nothing to record
            return forward(a, b)
        x, y, tracked, tensors, lent = a, b, False, False, NONE
        if type(a) is Tensor:
            x, tracked, tensors = a._numbers, a._tracked, True
            if a._prints is not None:
                lent = [a]
        elif is_plain(a):
            if type(a) is ndarray:
                lent = [a]
        else:
            a = x = real(a, f"{op.name}: {first}")
        if type(b) is Tensor:
            y, tracked, tensors = b._numbers, tracked or b._tracked, True
            if b._prints is not None:
                lent = [*lent, b]
        elif is_plain(b):
            if type(b) is ndarray:
                lent = [*lent, b]
        else:
            b = y = real(b, f"{op.name}: {second}")
        try:
            data = forward(x, y)
        except (ValueError, TypeError) as error:
            raise errors.forward_failed(op, error, [a, b]) from error
        if tracked and RECORDING.get():
            if not lent:
                return node_of(data, op, (a, b))
            return node_of(data, op, (a, b), NOTHING, NOTHING, prints_of(lent))
        return unrecorded(data, op, (a, b)) if tensors else data

    return call


def _call_of_three(op: Op) -> Callable[..., Any]:
    """The same for an operation of three arrays, some of which may be None."""
    forward, names, adapter = op.forward, op.arguments, op.adapter
    as_written, optional = op.reads_as_written, op.optional

    def array(x: Any, name: str) -> Any:
        if x is None and name in optional:
            return None
        return real(x, f"{op.name}: {name}")

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != 3 or not as_written:
            arrays, kwargs = adapter(*args, **kwargs)
            if kwargs:  # further ones
                return op.keywords(*arrays, **kwargs)
            args = tuple(arrays)
        a, b, c = x, y, z = args
        tracked, tensors, lent = False, False, NONE
        if type(a) is Tensor:
            x, tracked, tensors = a._numbers, a._tracked, True
            if a._prints is not None:
                lent = [a]
        elif is_plain(a):
            if type(a) is ndarray:
                lent = [a]
        else:
            a = x = array(a, names[0])
        if type(b) is Tensor:
            y, tracked, tensors = b._numbers, tracked or b._tracked, True
            if b._prints is not None:
                lent = [*lent, b]
        elif is_plain(b):
            if type(b) is ndarray:
                lent = [*lent, b]
        else:
            b = y = array(b, names[1])
        if type(c) is Tensor:
            z, tracked, tensors = c._numbers, tracked or c._tracked, True
            if c._prints is not None:
                lent = [*lent, c]
        elif is_plain(c):
            if type(c) is ndarray:
                lent = [*lent, c]
        else:
            c = z = array(c, names[2])
        try:
            data = forward(x, y, z)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise errors.forward_failed(op, error, [a, b, c]) from error
        if tracked and RECORDING.get():
            if not lent:
                return node_of(data, op, (a, b, c))
            return node_of(data, op, (a, b, c), NOTHING, NOTHING, prints_of(lent))
        return unrecorded(data, op, (a, b, c)) if tensors else data

    return call


def _call_of_one_and_metadata(op: Op) -> Callable[..., Any]:
    """The same for an operation of one array and metadata."""
    forward, (name,), known = op.forward, op.arguments, set(op.metadata).issuperset
    as_written, adapter, further = op.reads_as_written, op.adapter, op.further
    filled_in = op._filled_in

    def call(*args: Any, **kwargs: Any) -> Any:
        if not (as_written and len(args) == 1 and (not kwargs or known(kwargs))):
            arrays, kwargs = adapter(*args, **kwargs)
            if kwargs and not further.keys().isdisjoint(kwargs):
                return op.keywords(*arrays, **kwargs)
            args = tuple(arrays)
        (x,), kwargs = args, filled_in(kwargs)
        if type(x) is Tensor:
            data = x._numbers
        else:
            data = x = x if is_plain(x) else real(x, f"{op.name}: {name}")
        try:
            data = forward(data, **kwargs)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise errors.forward_failed(op, error, [x]) from error
        if type(x) is not Tensor:
            return data
        if x._tracked and RECORDING.get():
            prints = None if x._prints is None else prints_of(args)
            return node_of(data, op, args, kwargs, NOTHING, prints)
        return unrecorded(data, op, args)

    return call


def _pull_of_one(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """Hand the gradient of an operation of one array on to it."""
    (x,), (rule,) = node.inputs, node.op.rules
    if x._changed > node._index:
        check_since(x, node)
    if x._tracked and (wanted is None or x in wanted):
        deliver(x, rule(g, node._numbers, x._numbers))


def _pull_of_two(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """The same for an operation of two arrays."""
    (a, b), (rule_a, rule_b), index = node.inputs, node.op.rules, node._index
    x, y, ask_a, ask_b = a, b, False, False
    if type(a) is Tensor:
        if a._changed > index:
            check_since(a, node)
        x, ask_a = a._numbers, a._tracked and (wanted is None or a in wanted)
    if type(b) is Tensor:
        if b._changed > index:
            check_since(b, node)
        y, ask_b = b._numbers, b._tracked and (wanted is None or b in wanted)
    if ask_a:
        deliver(a, rule_a(g, node._numbers, x, y))
    if ask_b:
        deliver(b, rule_b(g, node._numbers, x, y))


def _pull_of_three(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """The same for an operation of three arrays."""
    (a, b, c), (rule_a, rule_b, rule_c) = node.inputs, node.op.rules
    index, out = node._index, node._numbers
    x, y, z, ask_a, ask_b, ask_c = a, b, c, False, False, False
    if type(a) is Tensor:
        if a._changed > index:
            check_since(a, node)
        x, ask_a = a._numbers, a._tracked and (wanted is None or a in wanted)
    if type(b) is Tensor:
        if b._changed > index:
            check_since(b, node)
        y, ask_b = b._numbers, b._tracked and (wanted is None or b in wanted)
    if type(c) is Tensor:
        if c._changed > index:
            check_since(c, node)
        z, ask_c = c._numbers, c._tracked and (wanted is None or c in wanted)
    if ask_a:
        deliver(a, rule_a(g, out, x, y, z))
    if ask_b:
        deliver(b, rule_b(g, out, x, y, z))
    if ask_c:
        deliver(c, rule_c(g, out, x, y, z))


def _pull_of_one_and_metadata(node: Tensor, g: Any, wanted: Any, deliver: Any) -> None:
    """The same for an operation of one array and metadata."""
    (x,), (rule,) = node.inputs, node.op.rules
    if x._changed > node._index:
        check_since(x, node)
    if x._tracked and (wanted is None or x in wanted):
        deliver(x, rule(g, node._numbers, x._numbers, **node.kwargs))


SHORTER[1, False, False] = _call_of_one, _pull_of_one
SHORTER[2, False, False] = _call_of_two, _pull_of_two
SHORTER[3, False, False] = SHORTER[3, False, True] = _call_of_three, _pull_of_three
SHORTER[1, True, False] = _call_of_one_and_metadata, _pull_of_one_and_metadata
