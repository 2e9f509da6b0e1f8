"""The smallest view: a box for each number, the chain rule in numbers on each edge.

What a number depends on is read off the operation's own rules: asked for the gradient
of one entry of the result, they answer with the local derivatives.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.drawing import labels
from tinygrad_edu.drawing.capture import why_no_gradients
from tinygrad_edu.drawing.frames import Frames
from tinygrad_edu.drawing.graph import Box, Edge, Graph, Share, Step
from tinygrad_edu.drawing.levels import plan
from tinygrad_edu.drawing.rules import bar, forward_text
from tinygrad_edu.engine.core import Tensor, node_of, tensor
from tinygrad_edu.engine.names import (
    Names,
    behind,
    data_of,
    is_operation,
    kind_of,
    numbers,
)
from tinygrad_edu.engine.observation import observe, shares_of

__all__ = ["capture_scalars"]

_MOST = 60


def capture_scalars(output: Any, *, names: Mapping[str, Any] | None = None) -> Graph:
    """Return the graph behind ``output`` with a box for each number.

    Parameters
    ----------
    output : Tensor
    names : mapping of str to Tensor or array, optional

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        If there are more than 60 numbers, or an operation has several results.
    """
    things = behind(output)
    total = sum(np.size(data_of(x)) for x in things if not _is_whole(x))
    if total > _MOST:
        raise ValueError(
            f'draw: level="scalar" draws at most {_MOST} numbers, and this graph has '
            f'{total:,}; use level="op", or fewer numbers'
        )
    for x in things:
        if isinstance(data_of(x), tuple) or not hasattr(data_of(x), "dtype"):
            raise ValueError(
                'draw: level="scalar" cannot draw an operation that failed or has '
                'several results; use level="op"'
            )
    return _Scalars(things, Names(things, names)).graph()


def _is_whole(x: Any) -> bool:
    """Whether it is drawn as one: labels and the like, which have no derivative."""
    return not is_operation(x) and np.asarray(data_of(x)).dtype.kind != "f"


class _Scalars:
    def __init__(self, things: Sequence[Any], called: Names) -> None:
        self.things, self.called = things, called
        self.why_not = why_no_gradients(things)
        self.nodes = [x for x in things if is_operation(x) and x.inputs]
        self.gradients: dict[int, Any] = {}
        if not self.why_not:
            leaves = observe(things[-1], self._note)
            self.gradients |= {id(x): g for x, g in leaves.items()}
        self.first: dict[int, int] = {}  # the box of a tensor's first number
        self.frames = Frames(chosen := plan(things, "op", False, _MOST * _MOST, str))
        self.unit = {id(unit.nodes[0]): i for i, unit in enumerate(chosen.units)}

    def _note(self, node: Tensor, gradient: Any, _: Any) -> None:
        self.gradients[id(node)] = gradient

    def graph(self) -> Graph:
        boxes: list[Box] = []
        for x in self.things:
            self.first[id(x)] = len(boxes)
            boxes += [self._whole(x)] if _is_whole(x) else self._numbers(x)
        edges = [edge for node in self.nodes for edge in self._edges(node)]
        received = Counter(e.source for e in edges if e.has_gradient)
        edges = [
            replace(e, adds=e.has_gradient and received[e.source] > 1) for e in edges
        ]
        return Graph(
            title=f"{self.called(self.things[-1])}: {len(boxes)} numbers",
            level="scalar",
            boxes=tuple(boxes),
            edges=tuple(edges),
            frames=tuple(self.frames.found),
            output=len(boxes) - 1,
            steps=tuple(_steps(boxes, edges)),
            notes=(self.why_not,) if self.why_not else (),
        )

    # -- boxes
    def _whole(self, x: Any) -> Box:
        data = data_of(x)
        detail = f"input, {labels.shape_and_type(data)}"
        return Box(
            "input", self.called(x), detail=detail, value=labels.statistics(data)
        )

    def _numbers(self, x: Any) -> Iterator[Box]:
        data = np.asarray(data_of(x))
        kind = kind_of(x)
        gradient = self.gradients.get(id(x))
        frame = None
        if is_operation(x) and id(x) in self.unit:
            frame = self.frames.around([self.unit[id(x)]])
        for index in np.ndindex(data.shape):
            norm = None if gradient is None else float(np.asarray(gradient)[index])
            yield Box(
                kind,
                _indexed(self.called(x), index),
                self._formula(x, index) if is_operation(x) and x.inputs else "",
                x.op.name if is_operation(x) else kind,
                value=numbers(data[index].item()),
                gradient="" if norm is None else numbers(norm),
                frame=frame,
                norm=None if norm is None else abs(norm),
            )

    def _formula(self, node: Tensor, index: tuple[int, ...]) -> str:
        """Return the formula of one number, where each comes from one of each input."""
        if not node.op.elementwise:
            return forward_text(node, self.called)

        def name(x: Any) -> str:
            if id(x) not in self.first:
                return self.called(x)
            return _indexed(self.called(x), _broadcast(index, np.shape(data_of(x))))

        return forward_text(node, name).replace("⊙", "·")

    # -- edges
    def _edges(self, node: Tensor) -> Iterator[Edge]:
        """Yield an edge from each number that a number of ``node`` depends on."""
        upstream = self.gradients.get(id(node))
        local = _local(node)
        depends = _dependence(node, local)
        for j, index in enumerate(np.ndindex(node.shape)):
            target = self.first[id(node)] + j
            for position, x in enumerate(node.inputs):
                if id(x) not in self.first:
                    continue
                if _is_whole(x):
                    yield Edge(self.first[id(x)], target)
                    continue
                tracked = isinstance(x, Tensor) and x.requires_grad
                for i, _ in enumerate(np.ndindex(np.shape(data_of(x)))):
                    if not depends[position][j, i]:
                        continue
                    source = self.first[id(x)] + i
                    if upstream is None or not tracked:
                        yield Edge(source, target)
                        continue
                    g, d = float(np.asarray(upstream)[index]), local[position][j, i]
                    rule = (
                        f"{numbers(g)} × {numbers(float(d))} = {numbers(float(g * d))}"
                    )
                    yield Edge(source, target, "", rule, True, norm=abs(float(g * d)))


def _local(node: Tensor, values: Sequence[Any] | None = None) -> dict[int, np.ndarray]:
    """Return the derivative of each number of ``node`` by each one of its inputs.

    Arrays of shape (numbers of the node, numbers of the input), by position; at the
    recorded inputs, or at ``values``.
    """
    op, kwargs = node.op, node.kwargs
    values = [data_of(x) for x in node.inputs] if values is None else values
    data, residuals = op.compute(values, kwargs)
    inputs = [
        tensor(x, requires_grad=True)
        if np.asarray(x).dtype.kind == "f" and op.argument(i) not in op.constant
        else x
        for i, x in enumerate(values)
    ]
    positions = [i for i, x in enumerate(inputs) if isinstance(x, Tensor)]
    copy = node_of(data, op, tuple(inputs), kwargs, residuals)
    found = {i: np.zeros((np.size(data), np.size(values[i]))) for i in positions}
    with np.errstate(all="ignore"):
        for j, index in enumerate(np.ndindex(np.shape(data))):
            unit = np.zeros(np.shape(data), np.asarray(data).dtype)
            unit[index] = 1.0
            for i, (_, share) in zip(positions, shares_of(copy, unit[()]), strict=True):
                found[i][j] = np.ravel(share)
    return found


def _dependence(node: Tensor, here: dict[int, np.ndarray]) -> list[np.ndarray]:
    """Return which number of ``node`` is computed from which of each input.

    Where each comes from one number, it is the one at the same place. Else from those
    with a derivative that is not 0, ``here`` or at other inputs: 0 may be chance.
    """
    values = [data_of(x) for x in node.inputs]
    shapes = [np.shape(x) for x in values]
    size = int(np.prod(node.shape))
    if node.op.elementwise:
        found = []
        for shape in shapes:
            places = np.arange(int(np.prod(shape))).reshape(shape)
            mine = np.broadcast_to(places, node.shape).reshape(size, 1)
            found.append(mine == places.reshape(1, -1))
        return found
    rng = np.random.default_rng(0)
    others = [
        x + rng.uniform(0.1, 0.3, np.shape(x)) * (1 + abs(x))
        if np.asarray(x).dtype.kind == "f"
        else x
        for x in values
    ]
    try:
        there = _local(node, others)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        there = here
    everything = [np.ones((size, int(np.prod(shape))), bool) for shape in shapes]
    return [
        (here[i] != 0) | (there[i] != 0) if i in here else all_of_them
        for i, all_of_them in enumerate(everything)
    ]


def _indexed(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _broadcast(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return where in an array of ``shape`` the number for ``index`` stands."""
    own = index[len(index) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))


def _steps(boxes: Sequence[Box], edges: Sequence[Edge]) -> Iterator[Step]:
    into: dict[int, list[int]] = defaultdict(list)
    expected: Counter[int] = Counter()
    for number, edge in enumerate(edges):
        if edge.has_gradient:
            into[edge.target].append(number)
            expected[edge.source] += 1
    arrived: Counter[int] = Counter()
    for i in sorted(into, reverse=True):
        box = boxes[i]
        shares = []
        for number in into[i]:
            edge = edges[number]
            arrived[edge.source] += 1
            nth, total = arrived[edge.source], expected[edge.source]
            product, _, value = edge.rule.partition(" = ")
            shares.append(
                Share(
                    number,
                    f"{bar(boxes[edge.source].name)} {'=' if nth == 1 else '+='} "
                    f"{product}",
                    "",
                    value,
                    labels.counted(nth, total) if total > 1 else "",
                )
            )
        yield Step(i, f"{bar(box.name)}: {box.gradient}", tuple(shares))
