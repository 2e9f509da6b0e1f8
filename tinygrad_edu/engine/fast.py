"""What ``core`` does, written out for each operation: less is asked at a call.

``core`` goes through the arrays of an operation in loops, and looks up each time
whether it has metadata, by-products, arrays that may be left out. Here both of its
functions are put together as text, once, with lines for each array, and compiled, as a
dataclass does with its ``__init__``. No word of a declaration gets into the text: it
counts the arrays, and chooses lines. ``print(text_of_call(te.OPS["add"]))`` shows it.

Nothing is computed otherwise: without this file all is right, and a small operation
takes half as long again.
"""

from __future__ import annotations

import itertools
import linecache
from functools import cache
from textwrap import indent
from typing import Any

from numpy import ndarray

from tinygrad_edu.engine import errors, lending
from tinygrad_edu.engine.core import WAYS, Op, Tensor, items_of, node_of, unrecorded
from tinygrad_edu.engine.declaration import NOTHING, OPS
from tinygrad_edu.engine.operands import PLAIN, REAL, real
from tinygrad_edu.engine.recording import RECORDING

__all__ = ["text_of_call", "text_of_pull"]

_ARGUMENTS = """
def call(*args, **kwargs):
    if len(args) != COUNT or (kwargs and not known(kwargs)):
        args, kwargs = adapter(*args, **kwargs)
        if kwargs and not further.keys().isdisjoint(kwargs):
            return op.keywords(*args, **kwargs)
    ARRAYS, = args"""

_ADAPTED = """
def call(*args, **kwargs):
    args, kwargs = adapter(*args, **kwargs)
    if kwargs and not further.keys().isdisjoint(kwargs):
        return op.keywords(*args, **kwargs)
    ARRAYS, = args"""

_FIRST = """
    if type(a0) is Tensor:
        x0, tracked, tensors = a0._numbers, a0._tracked, True
        lent = () if a0._prints is None else (a0,)
    elif type(a0) is ndarray and a0.dtype.kind in REAL:
        x0, tracked, tensors, lent = a0, False, False, (a0,)
    else:
        if type(a0) not in PLAIN:
            a0 = array(a0, 0)
        x0, tracked, tensors, lent = a0, False, False, ()"""

_FURTHER = """
    if type(a#) is Tensor:
        x#, tracked, tensors = a#._numbers, tracked or a#._tracked, True
        if a#._prints is not None:
            lent += (a#,)
    elif type(a#) is ndarray and a#.dtype.kind in REAL:
        x#, lent = a#, (*lent, a#)
    else:
        if type(a#) not in PLAIN:
            a# = array(a#, #)
        x# = a#"""

_COMPUTED = """
    try:
        COMPUTE
    except FAILURES as error:
        raise forward_failed(op, error, [ARRAYS]) from error"""

_RECORDED = """
    if tracked and RECORDING.get():
        prints = prints_of(lent) if lent else None
        return node_of(data, op, (ARRAYS,), METADATA, RESIDUALS, prints)
    return unrecorded(data, op, (ARRAYS,)) if tensors else data"""

_RECORDED_SEVERAL = """
    if tracked and RECORDING.get():
        prints = prints_of(lent) if lent else None
        return items(node_of(data, op, (ARRAYS,), METADATA, RESIDUALS, prints))
    if not tensors:
        return data
    return results(*(unrecorded(part, op, (ARRAYS,)) for part in data))"""

_PULL = """
def pull(node, g, wanted, deliver):
    ARRAYS, = node.inputs
    RULES, = node.op.rules
    index, out = node._index, node._numbers"""

_ASKED = """
    if type(a#) is Tensor:
        if a#._changed > index:
            check_since(a#, node)
        x#, ask# = a#._numbers, a#._tracked and (wanted is None or a# in wanted)
    else:
        x#, ask# = a#, False"""

_DELIVERED = """
    if ask#:
        deliver(a#, rule#(g, out, VALUESKEYWORDS))"""


def text_of_call(op: Op) -> str:
    """Return the function that computes an operation and, where wanted, records it."""
    named = "kwargs" if op.metadata else "NOTHING"
    forward = "forward(VALUES, **kwargs)" if op.metadata else "forward(VALUES)"
    residuals = "residuals" if op.residuals or op.results else "NOTHING"
    compute = f"data = {forward}"
    if op.results:
        compute = "data, residuals = compute((VALUES,), METADATA)"
    elif op.residuals:
        compute = f"data, *rest = {forward}"
        compute += "\n        residuals = dict(zip(names, rest, strict=True))"
    arguments = _ARGUMENTS if op.reads_as_written else _ADAPTED
    parts = [
        "\ndef call(ARRAYS):" if op.bare else arguments,
        "\n    kwargs = filled_in(kwargs)" if op.metadata else "",
        _FIRST,
        *(_FURTHER.replace("#", str(i)) for i in range(1, len(op.arguments))),
        _COMPUTED.replace("COMPUTE", compute),
        _RECORDED_SEVERAL if op.results else _RECORDED,
    ]
    text = _counted("".join(parts), len(op.arguments))
    return text.replace("METADATA", named).replace("RESIDUALS", residuals)


def text_of_pull(op: Op) -> str:
    """Return the function that hands the gradient on by the rules of an operation."""
    numbers, named = range(len(op.arguments)), ""
    if op.metadata:
        named = "\n    kwargs = node.kwargs"
    if op.residuals:
        named = "\n    kwargs = {**node.kwargs, **node._residuals}"
    parts = [
        _PULL,
        *(_ASKED.replace("#", str(i)) for i in numbers),
        named,
        *(_DELIVERED.replace("#", str(i)) for i in numbers),
    ]
    text = "".join(parts).replace("KEYWORDS", ", **kwargs" if named else "")
    return _counted(text, len(numbers))


def _counted(text: str, count: int) -> str:
    """Return the text with the names of so many arrays."""
    for word, letter in (("ARRAYS", "a"), ("VALUES", "x"), ("RULES", "rule")):
        text = text.replace(word, ", ".join(f"{letter}{i}" for i in range(count)))
    return text.replace("COUNT", str(count)).strip()


@cache  # two forms may have the same text
def _compiled(name: str, text: str) -> Any:
    """Return the function that a text defines; tracebacks show its lines."""
    file = f"<tinygrad_edu/engine/fast.py, text {next(_numbers)}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    defined = dict(_GLOBALS)
    exec(compile(text, file, "exec"), defined)
    return defined[name]


_numbers = itertools.count()
#: By form, of which there are sixteen: what makes a call, and the pull.
_OF_FORM: dict[tuple[Any, ...], tuple[Any, Any]] = {}


def _written_out(op: Op) -> tuple[Any, Any]:
    """Return both functions, if it is known how many arrays there are."""
    if op.variadic:
        return WAYS[0](op)

    def array(x: Any, i: int) -> Any:
        name = op.arguments[i]
        if x is None and name in op.optional:
            return None
        return real(x, f"{op.name}: {name}")

    own = {
        "op": op,
        "array": array,
        "forward": op.forward,
        "compute": op.compute,
        "results": op.results,
        "names": tuple(op.residuals),
        "adapter": op.adapter,
        "known": set(op.metadata).issuperset,
        "further": op.further,
        "filled_in": op._filled_in,
    }
    count = len(op.arguments)
    has = map(bool, (op.metadata, op.residuals, op.results))
    form = (count, op.bare, op.reads_as_written, *has)
    if form not in _OF_FORM:
        body = indent(text_of_call(op), "    ")
        make = f"def make({', '.join(own)}):\n{body}\n    return call"
        _OF_FORM[form] = _compiled("make", make), _compiled("pull", text_of_pull(op))
    make, pull = _OF_FORM[form]
    call = make(**own)
    if op.bare:  # its arguments have their own names: in errors, and to be given by
        names = (*op.arguments, *call.__code__.co_varnames[count:])
        call.__code__ = call.__code__.replace(co_varnames=names)
    return call, pull


_GLOBALS = {
    "FAILURES": (ValueError, TypeError, IndexError, AttributeError),
    "NOTHING": NOTHING,
    "PLAIN": PLAIN,
    "REAL": REAL,
    "RECORDING": RECORDING,
    "Tensor": Tensor,
    "check_since": lending.check_since,
    "forward_failed": errors.forward_failed,
    "items": items_of,
    "ndarray": ndarray,
    "node_of": node_of,
    "prints_of": lending.prints_of,
    "unrecorded": unrecorded,
}

WAYS.append(_written_out)
for _op in OPS.values():  # those that core itself declares
    _op.call, _op.pull = _written_out(_op)
