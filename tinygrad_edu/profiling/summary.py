"""The table of a model: what each layer gives, holds, computes and keeps.

The model runs with two rows and with three. What is counted for a row is the
difference: weights, and whatever else does not grow with the batch, drop out of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.recording import Run, Scope
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.nn.borrowing import frozen_among, left_as_it_is, recorded
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.profiling.costs import (
    Shape,
    kept_memory,
    layer_name,
    multiply_adds,
    parts_of,
)

__all__ = ["summary_of"]


class _Call(NamedTuple):
    """One call of a layer, without those that it made itself."""

    layer: Layer
    name: str
    shapes: Any  # of the output; a list, if there are several; None, if it has none
    innermost: bool  # whether no other layer ran in it
    products: int  # multiply-adds
    kept: int  # bytes


def summary_of(model: Layer, input_shapes: Sequence[Any], dtype: Any) -> str:
    """Return the table of :meth:`Layer.summary`."""
    shapes = _checked(input_shapes)
    parameters = model.parameters()
    if dtype is None:
        dtype = parameters[0].dtype if parameters else np.float64
    frozen = frozen_among(parameters)
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
    with recorded(run), np.errstate(all="ignore"):
        outputs = list(parts_of(model(*inputs)))
    known = run.trail.keys()
    products: Counter[int] = Counter()
    kept: Counter[int] = Counter()
    nodes = nodes_of(outputs)
    for node in nodes:
        products[_layer_of(node, known)] += multiply_adds(node)
    for node, size in kept_memory(nodes, inputs, frozen):
        kept[_layer_of(node, known)] += size
    calls: dict[tuple[str, int], _Call] = {}
    times: Counter[str] = Counter()
    before: Scope | None = None
    for layer, scope, output in run.trail.values():
        name = layer_name(scope)
        innermost = before is None or before.parent is not scope
        here = id(scope)
        calls[name, times[name]] = _Call(
            layer, name, output, innermost, products[here], kept[here]
        )
        times[name] += 1
        before = scope
    return calls


def _layer_of(node: Tensor, known: Collection[int]) -> int:
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
