"""What ``core`` does, unrolled for operations of one or two arrays without metadata.

Most operations are such. Nothing is computed otherwise: without this file all is right,
and a small operation takes half as long again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import ndarray

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import SHORTER, Op, Tensor, node_of, unrecorded
from tinygrad_edu.engine.declaration import NOTHING
from tinygrad_edu.engine.lending import check_since, prints_of
from tinygrad_edu.engine.operands import is_plain, real
from tinygrad_edu.engine.recording import RECORDING

__all__: list[str] = []


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
            return node_of(data, op, (x,), NOTHING, NOTHING, prints_of((x,)))
        return unrecorded(data, op, (x,))

    return call


def _call_of_two(op: Op) -> Callable[..., Any]:
    """The same for an operation of two arrays."""
    forward, (first, second) = op.forward, op.arguments

    def call(a: Any, b: Any) -> Any:
        if type(a) is ndarray and type(b) is ndarray:  # in a rule: nothing to record
            return forward(a, b)
        x, y, tracked, tensors, lent = a, b, False, False, False
        if type(a) is Tensor:
            x, tracked, tensors = a._numbers, a._tracked, True
            lent = a._prints is not None
        elif is_plain(a):
            lent = type(a) is ndarray
        else:
            a = x = real(a, f"{op.name}: {first}")
        if type(b) is Tensor:
            y, tracked, tensors = b._numbers, tracked or b._tracked, True
            lent = lent or b._prints is not None
        elif is_plain(b):
            lent = lent or type(b) is ndarray
        else:
            b = y = real(b, f"{op.name}: {second}")
        try:
            data = forward(x, y)
        except (ValueError, TypeError) as error:
            raise errors.forward_failed(op, error, [a, b]) from error
        if tracked and RECORDING.get():
            if not lent:
                return node_of(data, op, (a, b))
            return node_of(data, op, (a, b), NOTHING, NOTHING, prints_of((a, b)))
        return unrecorded(data, op, (a, b)) if tensors else data

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


SHORTER[1] = _call_of_one, _pull_of_one
SHORTER[2] = _call_of_two, _pull_of_two
