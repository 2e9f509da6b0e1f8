"""The table of a model: what each layer gives, holds, computes and keeps.

The model runs with two rows and with three. What is counted for a row is the
difference: weights, and whatever else does not grow with the batch, drop out of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Op, Tensor, nodes_of
from tinygrad_edu.engine.recording import RECORDING, RUN, Run, Scope
from tinygrad_edu.ops.products import _letters
from tinygrad_edu.randomness import set_state, state_of

if TYPE_CHECKING:
    from tinygrad_edu.nn.layer import Layer

__all__ = [
    "all_layers",
    "kept_memory",
    "left_as_it_is",
    "parts_of",
    "recorded",
    "summary",
]


Shape = tuple[int, ...]


class _Call(NamedTuple):
    """One call of a layer, without those that it made itself."""

    layer: Layer
    name: str
    shapes: Any  # of the output; a list, if there are several; None, if it has none
    innermost: bool  # whether no other layer ran in it
    products: int  # multiply-adds
    kept: int  # bytes


def summary(model: Layer, input_shapes: Sequence[Any], dtype: Any) -> str:
    """Return the table of :meth:`Layer.summary`."""
    shapes = _checked(input_shapes)
    parameters = model.parameters()
    if dtype is None:
        dtype = parameters[0].dtype if parameters else np.float64
    frozen = [p for p in parameters if not p.requires_grad and p.dtype.kind == "f"]
    with left_as_it_is(model, frozen):
        of_two = _calls(model, shapes, dtype, 2, frozen)
        of_three = _calls(model, shapes, dtype, 3, frozen)
    rows: list[tuple[str, str, Sequence[int]]] = []
    counted: set[int] = set()
    for key, call in of_three.items():
        own = call.layer.parameters() if call.innermost else _own(call.layer)
        new = [p for p in own if id(p) not in counted]
        if not (call.innermost or new or call.products or call.kept):
            continue  # it has nothing but what the layers in it have
        counted.update(map(id, new))
        # A layer that is called once for each row has a call more among the three.
        less = of_two.get(key) or call._replace(products=0, kept=0)
        size = sum(p.size for p in new)
        counts = (size, call.products - less.products, call.kept - less.kept)
        rows.append((call.name, _grown(less.shapes, call.shapes), counts))
    others = sum(p.size for p in parameters if id(p) not in counted)
    if others:
        rows.append(("others", "", (others, 0, 0)))
    totals = [sum(column) for column in zip(*(n for *_, n in rows), strict=True)]
    rows.append(("total", "", totals))
    lines = [["layer", "output shape", "parameters", "multiply-adds", "bytes kept"]]
    lines += [[a, b, *(f"{n:,}" for n in counts)] for a, b, counts in rows]
    constant = sum(p.size for p in parameters if not p.requires_grad)
    if constant:
        lines.append(["not trained", "", f"{constant:,}", "", ""])
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = (
        f"{a:{wide[0]}}  {b:{wide[1]}}  {c:>{wide[2]}}  {d:>{wide[3]}}  {e:>{wide[4]}}"
        for a, b, c, d, e in lines
    )
    return "\n".join(map(str.rstrip, text))


def _checked(given: Sequence[Any]) -> list[Shape]:
    """Return the shapes of the inputs; an int stands for the shape of one."""
    if len(given) == 1 and isinstance(given[0], int | np.integer):
        given = [(given[0],)]
    if not given or not all(
        isinstance(shape, tuple | list)
        and all(isinstance(n, int | np.integer) and n >= 0 for n in shape)
        for shape in given
    ):
        told = ", ".join(map(repr, given))
        raise TypeError(
            "summary: write the shape of one example, without the batch axis, for each "
            f"input, such as summary((784,)) or summary((1, 28, 28)); got ({told})"
        )
    return [tuple(map(int, shape)) for shape in given]


def all_layers(model: Layer) -> list[Layer]:
    """Return a model and the layers inside it."""
    return [model, *(layer for _, layer in model.named_layers())]


@contextmanager
def left_as_it_is(model: Layer, frozen: Sequence[Tensor] = ()) -> Iterator[None]:
    """Unfreeze what is frozen; put that, buffers and random generators back."""
    buffers = [(x, x.copy()) for _, x in model.named_buffers() if x.flags.writeable]
    random = (np.random.Generator, np.random.RandomState)
    layers = all_layers(model)
    held = [x for layer in layers for x in vars(layer).values()]
    states = [(x, state_of(x)) for x in held if isinstance(x, random)]
    for p in frozen:  # so that what is computed with it is recorded, too
        p.requires_grad = True
    try:
        yield
    finally:
        for p in frozen:
            p.requires_grad = False
        for buffer, before in buffers:
            buffer[...] = before
        for x, state in states:
            set_state(x, state)


@contextmanager
def recorded(run: Run | None = None) -> Iterator[None]:
    """Record a model on an example that it is not made for, whatever surrounds it.

    Parameters
    ----------
    run : Run, optional
        What notes the layers; without it, each outermost layer makes one.
    """
    running, recording = RUN.get(), RECORDING.get()
    RUN.set(run)
    RECORDING.set(True)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        RUN.set(running)
        RECORDING.set(recording)


def _calls(
    model: Layer,
    shapes: Sequence[Shape],
    dtype: Any,
    rows: int,
    frozen: Sequence[Tensor],
) -> dict[tuple[str, int], _Call]:
    """Run the model; return the calls of layers by name, and which of that name."""
    inputs = [np.zeros((rows, *shape), dtype) for shape in shapes]
    run = Run()
    with recorded(run):
        outputs = list(parts_of(model(*inputs)))
    known = {id(scope) for _, scope, _ in run.trail}
    products: Counter[int] = Counter()
    kept: Counter[int] = Counter()
    nodes = nodes_of(outputs)
    for node in nodes:
        products[_layer_of(node, known)] += _multiply_adds(node)
    for node, size in kept_memory(nodes, inputs, frozen):
        kept[_layer_of(node, known)] += size
    calls: dict[tuple[str, int], _Call] = {}
    times: Counter[str] = Counter()
    before: Scope | None = None
    for layer, scope, output in run.trail:
        name = f"{scope.path} {scope.kind}".strip()
        innermost = before is None or before.parent is not scope
        here = id(scope)
        calls[name, times[name]] = _Call(
            layer, name, output, innermost, products[here], kept[here]
        )
        times[name] += 1
        before = scope
    return calls


def parts_of(output: Any) -> Iterator[Any]:
    """Yield what is in tuples, lists and dicts."""
    if isinstance(output, dict):
        output = tuple(output.values())
    if not isinstance(output, tuple | list):
        yield output
        return
    for part in output:
        yield from parts_of(part)


def _layer_of(node: Tensor, known: set[int]) -> int:
    """Return the id of the scope of the innermost call that went well."""
    scope = node.scope
    while scope is not None and id(scope) not in known:
        scope = scope.parent
    return id(scope)


def _own(layer: Layer) -> list[Tensor]:
    """Return the parameters that no layer inside it holds."""
    inside = {id(p) for _, part in layer.named_layers() for p in part.parameters()}
    return [p for p in layer.parameters() if id(p) not in inside]


def _grown(two: Any, three: Any) -> str:
    """Write a shape, or several, with n for the number of rows."""
    if isinstance(three, list):
        if not isinstance(two, list) or len(two) != len(three):
            return "?"
        return ", ".join(map(_grown, two, three))
    if three is None or two is None or len(two) != len(three):
        return "(?)"
    sizes = [_size(a, b) for a, b in zip(two, three, strict=True)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _size(two: int, three: int) -> str:
    if two == three:
        return str(two)
    each = three - two
    if two != 2 * each:
        return "?"
    return "n" if each == 1 else f"{each}n"


# ------------------------------------------------------------------- multiply-adds


def _multiply_adds(node: Tensor) -> int:
    """Return how many products of two numbers a node adds up, by its shapes."""
    if node.op is ops.einsum:
        return _of_letters(node.inputs, node.kwargs["subscripts"])
    count = _COUNTS.get(node.op)
    return 0 if count is None else count(node.data.shape, *node.inputs)


def _of_matrices(out: Shape, a: Any, *_: Any) -> int:
    return math.prod(out) * int(np.shape(a)[-1])


def _of_tensors(out: Shape, a: Any, b: Any) -> int:
    """Each axis belongs to two of the three."""
    return math.isqrt(math.prod(out) * np.size(a) * np.size(b))


def _of_letters(arrays: Sequence[Any], subscripts: str) -> int:
    """One for each value of all letters, and for each array after the first."""
    shapes = [np.shape(x) for x in arrays]
    terms, _ = _letters(subscripts, list(map(len, shapes)))
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, n in zip(term, shape, strict=True):
            sizes[letter] = max(n, sizes.get(letter, 1)) if n else 0
    return math.prod(sizes.values()) * (len(arrays) - 1)


def _of_kernels(out: Shape, x: Any, weight: Any, *_: Any) -> int:
    return math.prod((*out, *np.shape(weight)[1:]))


_COUNTS: dict[Op, Callable[..., int]] = {
    ops.linear: _of_matrices,
    ops.matmul: _of_matrices,
    ops.dot: _of_tensors,
    ops.inner: _of_tensors,
    ops.outer: _of_tensors,
    ops.vdot: _of_tensors,
    ops.tensordot: _of_tensors,
    ops.conv1d: _of_kernels,
    ops.conv2d: _of_kernels,
    ops.conv_input: lambda out, y, weight: _of_kernels(np.shape(y), None, weight),
    ops.conv_weight: lambda out, y, x: np.size(y) * math.prod(out[1:]),
}


# --------------------------------------------------------------------------- memory


def kept_memory(
    nodes: Sequence[Tensor], inputs: Sequence[np.ndarray], frozen: Sequence[Tensor]
) -> Iterator[tuple[Tensor, int]]:
    """Yield nodes and the bytes that each adds to what is kept for backward.

    Nodes that are recorded only because nothing is frozen now keep nothing.
    """
    seen = {id(_owner(x)) for x in inputs}
    trained: set[Tensor] = set()
    stays = set(frozen)
    for node in nodes:
        tensors = [x for x in node.inputs if type(x) is Tensor]
        if not any(
            x in trained or (x.is_leaf and x.requires_grad and x not in stays)
            for x in tensors
        ):
            continue
        trained.add(node)
        saved = [*node.kwargs.values(), *node._residuals.values()]
        data = [x.data if type(x) is Tensor else x for x in (node, *node.inputs)]
        for part in parts_of([*data, *saved]):
            if type(part) is np.ndarray and id(owner := _owner(part)) not in seen:
                seen.add(id(owner))
                yield node, owner.nbytes


def _owner(array: Any) -> Any:
    """Return the array that a view looks at."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array
