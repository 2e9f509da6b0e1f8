"""What gets a box: at which level, folded where it repeats, cut where it is too much.

Everything here is about tensors and the order in which they were made; ``capture``
turns it into text. Nothing recurses as deep as the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.names import is_inline, is_operation
from tinygrad_edu.engine.recording import Failed, Scope

__all__ = ["Fold", "Plan", "Unit", "plan"]

_MANY = 40  # operations: above, layers are drawn, and what repeats is folded
_LONGEST_PERIOD = 256  # units: a longer block that repeats is not found
_REPEATS = 3  # fewer are not folded


class Unit(NamedTuple):
    """What one box stands for."""

    nodes: list[Any]  # operations, oldest first
    scopes: tuple[Scope, ...]  # the frames around it, the outermost first
    layer: Scope | None = None  # the layer that it stands for, if it does


class Fold(NamedTuple):
    """Equal blocks of units, one after the other; the last is shown for all."""

    start: int  # in the sequence of units
    period: int
    times: int


@dataclass
class Plan:
    """Which units are shown, and what stands for the others."""

    level: str
    units: list[Unit]  # operations and layers in the order they were made
    shown: list[int]  # the numbers of those with a box
    stands_for: dict[int, int]  # unit -> shown unit, or -1 for "the rest"
    folds: list[Fold] = field(default_factory=list)
    cut: int = 0  # operations gathered in the box for the rest

    def are_repetitions(self, a: int, b: int) -> bool:
        """Whether two units stand in different ones of the same equal blocks."""
        for start, period, times in self.folds:
            if start <= min(a, b) and max(a, b) < start + period * times:
                return (a - start) // period != (b - start) // period
        return False


def plan(
    things: Sequence[Any], level: str, fold: bool, max_nodes: int, text: Any
) -> Plan:
    """Return which of ``things`` are drawn, and how.

    Parameters
    ----------
    things : sequence
        As :func:`~tinygrad_edu.engine.names.behind` returns them.
    level : {"auto", "model", "layer", "op"}
    fold : bool
        Whether blocks that repeat are drawn once, if there are more than 40 boxes.
    max_nodes : int
        Of more boxes than these the oldest are gathered in one.
    text : callable
        Returns what tells one operation from another, such as its name and shape.
    """
    nodes = [x for x in things if is_operation(x)]
    if level == "auto":
        has_layers = any(node.scope is not None for node in nodes)
        level = "layer" if len(nodes) > _MANY and has_layers else "op"
    units = _units(nodes, level)
    numbers = range(len(units))
    found = Plan(level, units, list(numbers), {i: i for i in numbers})
    if fold and len(units) > _MANY:
        _fold(found, text)
    _cut(found, max_nodes)
    return found


def _around(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent


def _paths(nodes: Sequence[Any]) -> list[tuple[Scope, ...]]:
    """Return the scopes around each node, the outermost first: one for each call.

    The outermost layer has the same scope in every call. What runs in between tells its
    calls apart, and that none enters the same scope inside twice. That scope becomes
    the parent of the outermost one of each call.
    """
    found: list[tuple[Scope, ...]] = []
    recorded: list[Scope] = []  # of the node before
    of_call: dict[int, Scope] = {}  # by id of what was recorded
    left: set[int] = set()  # ids of what the call has left
    for node in nodes:
        path = [*_around(node.scope)][::-1]
        here = {id(scope) for scope in path}
        if [id(x) for x in path[:1]] != [id(x) for x in recorded[:1]] or here & left:
            of_call, left = {}, set()
        else:
            left |= {id(scope) for scope in recorded} - here
        recorded = path
        outer = path[0] if path else None
        for x in path:
            outer = of_call.setdefault(id(x), Scope(x.path, x.kind, outer))
        found.append(tuple(of_call[id(x)] for x in path))
    return found


def _units(nodes: Sequence[Any], level: str) -> list[Unit]:
    paths = _paths(nodes)
    outermost = {id(path[0]) for path in paths if path}
    holds_layers = {id(scope) for path in paths for scope in path[:-1]}
    around_all = outermost & holds_layers
    # A single operation needs no frame of its own, a single model none around all.
    sizes = Counter(id(scope) for path in paths for scope in path)
    skip = 1 if len(outermost) == 1 == len(around_all) else 0

    layers: list[Scope | None] = []
    for node, path in zip(nodes, paths, strict=True):
        layer = path[-1] if path else None
        if level == "model" and path:
            layer = path[min(1, len(path) - 1)]
        between = id(layer) in (holds_layers if level == "layer" else around_all)
        if level == "op" or between or isinstance(node, Failed):
            layer = None
        layers.append(layer)

    units: list[Unit] = []
    of_layer: dict[Any, Unit] = {}
    parts = _parts(nodes, layers)
    for node, path, layer, part in zip(nodes, paths, layers, parts, strict=True):
        if layer is None:
            alone = bool(path) and sizes[id(path[-1])] == 1 and not _parameters(node)
            units.append(Unit([node], path[skip : len(path) - alone]))
            continue
        if part not in of_layer:
            around = path[: [id(scope) for scope in path].index(id(layer))]
            of_layer[part] = Unit([], around[skip:], layer)
            units.append(of_layer[part])
        of_layer[part].nodes.append(node)
    return units


def _parts(nodes: Sequence[Any], layers: Sequence[Scope | None]) -> list[int]:
    """Return a number for each node; the same for those that a layer connects.

    What one layer computed without any connection may have been two calls.
    """
    number = {id(node): i for i, node in enumerate(nodes)}
    first = list(range(len(nodes)))  # of the part, or another node nearer to it

    def part(i: int) -> int:
        while first[i] != i:
            first[i] = first[first[i]]
            i = first[i]
        return i

    for i, node in enumerate(nodes):
        for x in node.inputs if layers[i] is not None else ():
            j = number.get(id(x))
            if j is not None and layers[j] is layers[i]:
                a, b = sorted((part(i), part(j)))
                first[b] = a
    return [part(i) for i in range(len(nodes))]


def _parameters(node: Any) -> list[Any]:
    return [x for x in node.inputs if isinstance(x, Tensor) and x._tracked and not x.op]


# ---------------------------------------------------------------------------- folding


def _fold(found: Plan, text: Any) -> None:
    """Let the last of equal blocks stand for all of them."""
    signs = _signatures(found.units, text)
    todo = [(0, len(signs))]
    while todo:
        start, stop = todo.pop()
        best = _longest_repeat(signs, start, stop)
        if best is None:
            continue
        best = _aligned(best, found.units, stop, signs)
        end = best.start + best.period * best.times
        last = end - best.period
        for i in range(best.start, last):
            found.stands_for[i] = last + (i - best.start) % best.period
        found.folds.append(best)
        todo += [(start, best.start), (end, stop)]
    found.folds.sort()
    found.shown = [i for i in found.shown if found.stands_for[i] == i]


def _signatures(units: Sequence[Unit], text: Any) -> np.ndarray:
    """Return a number for each unit; equal for equal operations wired alike."""
    number: dict[Hashable, int] = {}
    nodes = (node for unit in units for node in unit.nodes)
    made = {id(node): i for i, node in enumerate(nodes)}
    users = Counter(
        leaf
        for unit in units
        for leaf in {id(x) for node in unit.nodes for x in _leaves(node, made)}
    )
    signs = np.empty(len(units), int)
    for i, unit in enumerate(units):
        parts: list[Hashable] = [tuple(scope.kind for scope in unit.scopes)]
        for node in unit.nodes:
            parts.append(text(node))
            for x in node.inputs:
                if id(x) in made:
                    parts.append(made[id(node)] - made[id(x)])  # how far back
                elif is_inline(x):
                    parts.append(text(x))
                else:
                    shared = id(x) if users[id(x)] > 1 else 0
                    parts.append((*text(x), shared))
        signs[i] = number.setdefault(tuple(parts), len(number))
    return signs


def _leaves(node: Any, made: Container[int]) -> list[Any]:
    return [x for x in node.inputs if id(x) not in made and not is_inline(x)]


def _longest_repeat(signs: np.ndarray, start: int, stop: int) -> Fold | None:
    """Return the repetition that saves most boxes, of the shortest block."""
    best, saved = None, 0
    for period in range(1, min(_LONGEST_PERIOD, (stop - start) // _REPEATS) + 1):
        same = signs[start + period : stop] == signs[start : stop - period]
        differ = np.concatenate([[-1], np.flatnonzero(~same), [len(same)]])
        runs = differ[1:] - differ[:-1] - 1  # of equal ones, in between
        longest = int(runs.argmax())
        times = int(runs[longest]) // period + 1
        if times >= _REPEATS and (times - 1) * period > saved:
            first = int(differ[longest]) + 1
            best, saved = Fold(start + first, period, times), (times - 1) * period
    return best


def _aligned(fold: Fold, units: Sequence[Unit], stop: int, signs: np.ndarray) -> Fold:
    """Shift the blocks, if there is room, so that they begin where layers begin."""
    end = fold.start + fold.period * fold.times
    slack = 0
    while (
        slack + 1 < fold.period
        and end + slack < stop
        and signs[end + slack] == signs[end + slack - fold.period]
    ):
        slack += 1

    def common(i: int) -> int:
        """How many frames the units before and at ``i`` share."""
        if i == 0:
            return 0
        pairs = zip(units[i - 1].scopes, units[i].scopes, strict=False)
        return sum(a is b for a, b in pairs)

    shift = min(range(slack + 1), key=lambda k: (common(fold.start + k), k))
    return fold._replace(start=fold.start + shift)


# ---------------------------------------------------------------------------- cutting


def _cut(found: Plan, max_nodes: int) -> None:
    """Gather the oldest units in one, if there are more boxes than ``max_nodes``."""
    made = {id(node) for unit in found.units for node in unit.nodes}
    leaves: set[int] = set()
    boxes: list[int] = []  # how many there are from a unit on, the newest first
    for number, i in enumerate(reversed(found.shown), 1):
        unit = found.units[i]
        if unit.layer is None:
            leaves.update(id(x) for node in unit.nodes for x in _leaves(node, made))
        boxes.append(number + len(leaves))
    if not boxes or boxes[-1] <= max_nodes:
        return
    fitting = sum(number < max_nodes for number in boxes)  # and one for the rest
    kept = found.shown[len(boxes) - max(fitting, 1) :]
    gone = set(found.shown) - set(kept)
    found.shown = kept
    for i, to in found.stands_for.items():
        if to in gone:
            found.stands_for[i] = -1
            found.cut += len(found.units[i].nodes)
    found.folds = [f for f in found.folds if f.start + f.period * f.times > kept[0]]
