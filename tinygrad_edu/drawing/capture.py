"""From tensors to the plain data of a drawing, gradients and all.

The gradients are computed here, those of everything on the way too, by a walk backward
that leaves no trace: nobody needs to call backward first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinygrad_edu.diagnosis.entries import norm
from tinygrad_edu.diagnosis.health import warnings_of
from tinygrad_edu.drawing import labels
from tinygrad_edu.drawing.frames import Frames
from tinygrad_edu.drawing.graph import Box, Edge, Graph, Share, Step
from tinygrad_edu.drawing.levels import Plan, Unit, plan
from tinygrad_edu.drawing.rules import bar, broadcast_text, forward_text, rule_texts
from tinygrad_edu.engine.core import Tensor, plus
from tinygrad_edu.engine.names import (
    Names,
    behind,
    data_of,
    is_inline,
    is_operation,
    kind_of,
    line,
    literal,
    numbers,
)
from tinygrad_edu.engine.observation import observe
from tinygrad_edu.engine.recording import Failed

__all__ = ["capture", "why_no_gradients"]

_PARAMETERS = 4  # of more in a layer, only their number is written
_REST = -1  # the number of the unit that stands for all that is not shown

#: Returns what is to be said of the cost of some operations, and their share of it all.
Costs = Callable[[Sequence[Tensor]], tuple[str, float]]


def capture(
    output: Any,
    *,
    level: str = "auto",
    show: Collection[str] = ("shape", "value", "gradient"),
    names: Mapping[str, Any] | None = None,
    fold: bool = True,
    max_nodes: int = 150,
    costs: Costs | None = None,
) -> Graph:
    """Return what is to be drawn of the graph behind ``output``.

    Parameters
    ----------
    output : Tensor or Failed
        The others are as for :func:`tinygrad_edu.draw`.
    costs : callable, optional
        Is given the operations of a box; returns what it shall say of their cost, and
        their share of all. Then no gradients are shown.

    Returns
    -------
    Graph
    """
    things = behind(output)
    called = Names(things, names)
    chosen = plan(things, level, fold, max_nodes, _text)
    flows = _flows(chosen)
    if not chosen.units:  # a leaf alone
        flows = [_Flow(output, None, _REST, [])]
    held = _held(flows, chosen)
    notes = _what_is_left_out(chosen)
    is_walked = show and costs is None
    found = _walk(things, chosen, flows) if is_walked else _Found({}, Counter())
    captured = _Capture(
        things, called, chosen, flows, held, found, frozenset(show), costs
    )
    return captured.graph([*notes, *filter(None, [found.why_not])])


def _text(node: Any) -> tuple[str, ...]:
    """Return what tells one operation, number or leaf from another."""
    if isinstance(node, Failed):
        return (node.name,)
    if is_inline(node):
        return (literal(data_of(node)),)
    if not is_operation(node):
        return (kind_of(node), labels.shape_and_type(data_of(node)))
    metadata = (f"{k}={literal(v)}" for k, v in node.kwargs.items())
    return (node.op.name, labels.shape_and_type(node._numbers), *metadata)


# ------------------------------------------------------------------------ the edges


@dataclass
class _Flow:
    """One edge: ``x`` is used by the unit ``target``, at the given places."""

    x: Any
    source: int | None  # the unit that made x; None for a leaf
    target: int
    uses: list[tuple[Any, int]]  # (operation, position of x among its inputs)
    shares: int = 0  # how many of these uses hand back a gradient
    gradient: _Gradient | None = None  # of their sum


class _Gradient(NamedTuple):
    """What is kept of a gradient."""

    text: str
    norm: float


def _flows(chosen: Plan) -> list[_Flow]:
    """Return the edges between what is shown, in the order of their targets.

    First those that are there; then, where units stand for others, those of the others.
    """
    made_by = {id(node): i for i, u in enumerate(chosen.units) for node in u.nodes}
    to = chosen.stands_for
    found: dict[Any, _Flow] = {}
    drawn: dict[tuple[int | None, int], tuple[int, int]] = {}  # by which x and unit
    for own in (True, False):
        for i, node, position, x in _uses(chosen.units):
            by = made_by.get(id(x))
            source, target = (None if by is None else to[by]), to[i]
            is_own = target == i and source == by
            if is_own is not own or by == i:
                continue  # or within a layer
            if not own and (
                by is None
                or source == target
                or drawn.get((source, target), (id(x), i)) != (id(x), i)
                or chosen.are_repetitions(by, i)
            ):
                continue
            key = (id(x), i, position if chosen.units[i].layer is None else None)
            flow = found.setdefault(key, _Flow(x, source, target, []))
            flow.uses.append((node, position))
            drawn[source, target] = id(x), i
    return sorted(found.values(), key=lambda flow: flow.target)


def _uses(units: Sequence[Unit]) -> Iterator[tuple[int, Any, int, Any]]:
    for i, unit in enumerate(units):
        for node in unit.nodes:
            for position, x in enumerate(node.inputs):
                if not is_inline(x):
                    yield i, node, position, x


def _held(flows: Sequence[_Flow], chosen: Plan) -> dict[int, list[Any]]:
    """Return the parameters that stand within the box of a layer, by its unit."""
    users = Counter(id(flow.x) for flow in flows)
    found: dict[int, list[Any]] = defaultdict(list)
    for flow in flows:
        if _is_parameter_of_layer(flow) and users[id(flow.x)] == 1:
            if flow.target != _REST and chosen.units[flow.target].layer is not None:
                found[flow.target].append(flow.x)
    return found


def _is_parameter_of_layer(flow: _Flow) -> bool:
    """Whether it is not what the layer was given, such as an image: x beside others."""
    return kind_of(flow.x) == "parameter" and not any(
        isinstance(node, Failed)
        or (node.op.argument(position) == "x" and len(node.inputs) > 1)
        for node, position in flow.uses
    )


# -------------------------------------------------------------------- the gradients


class _Found(NamedTuple):
    """What the walk backward came to, by id of a tensor."""

    gradients: dict[int, _Gradient]  # of all that is shown
    shares: Counter[int]  # how many each was the sum of
    why_not: str = ""  # there are none


def _kept(g: Any) -> _Gradient:
    size = norm(g)
    return _Gradient(labels.gradient(g, size), size)


def _walk(things: Sequence[Any], chosen: Plan, flows: Sequence[_Flow]) -> _Found:
    """Return the gradients of all that is shown; leave in ``flows`` what flows there.

    Of the arrays none is kept for longer than the walk needs it.
    """
    why_not = why_no_gradients(things)
    if why_not:
        return _Found({}, Counter(), why_not)
    wanted = {(id(node), i): flow for flow in flows for node, i in flow.uses}
    results = {id(chosen.units[i].nodes[-1]) for i in chosen.shown}
    found = _Found({}, Counter())
    sums: dict[int, Any] = {}  # of flows with several uses, by id

    def note(node: Tensor, g: Any, shares: Sequence[tuple[int, Tensor, Any]]) -> None:
        if id(node) in results:
            found.gradients[id(node)] = _kept(g)
        for i, x, share in shares:
            found.shares[id(x)] += 1
            flow = wanted.get((id(node), i))
            if flow is not None:
                flow.shares += 1
                if id(flow) in sums:
                    share = plus(sums.pop(id(flow)), share)
                if flow.shares == len(flow.uses):
                    flow.gradient = _kept(share)
                else:
                    sums[id(flow)] = share

    try:
        for x, g in observe(things[-1], note).items():
            found.gradients[id(x)] = _kept(g)
    except Exception as error:  # a rule of a user's own may do anything
        for flow in flows:
            flow.gradient = None
        why_not = f"no gradients: {type(error).__name__}: {error}"
        return _Found({}, Counter(), why_not)
    for flow in flows:  # some uses have no part in the output
        if id(flow) in sums:
            flow.gradient = _kept(sums[id(flow)])
    return found


def why_no_gradients(things: Sequence[Any]) -> str:
    """Return why none can be computed, or nothing."""
    output = things[-1]
    if isinstance(output, Failed):
        return output.message
    if not output.requires_grad:
        return (
            "no gradients: nothing was recorded, because no input requires gradients, "
            "or under te.no_grad()"
        )
    freed = [x for x in things if isinstance(x, Tensor) and x.op and not x.inputs]
    if freed:
        return (
            "the graph behind was freed by an earlier backward: draw before it, or "
            "call backward(retain_graph=True)"
        )
    if output.size != 1:
        return (
            f"no gradients: {output.shape} is no single number; draw the loss to see "
            "them"
        )
    return ""


def _what_is_left_out(chosen: Plan) -> list[str]:
    """Return what to say of operations that have no box of their own."""
    total = sum(len(unit.nodes) for unit in chosen.units)
    if len(chosen.shown) == total:
        return []
    wider = {'level="op"': chosen.level != "op", "fold=False": bool(chosen.folds)}
    options = [name for name, helps in wider.items() if helps]
    if chosen.cut:
        options.append(f"max_nodes={2 * total:d}")
    what = "of" if chosen.level == "op" else "boxes for"
    text = f"showing {len(chosen.shown):,} {what} {total:,} operations"
    return [f"{text}; {', '.join(options)} shows all"]


def _cut_off(x: Any) -> Iterator[str]:
    """Say that a leaf was computed, but lets no gradient through."""
    if isinstance(x, Tensor) and not x.requires_grad and x._cut is not None:
        detached = x._cut.how == "detached"
        yield f"no gradient: {'detached' if detached else 'under no_grad'}"


# ------------------------------------------------------------ boxes, edges and steps


class _Capture:
    """Turns what was chosen and computed into text."""

    def __init__(
        self,
        things: Sequence[Any],
        called: Names,
        chosen: Plan,
        flows: Sequence[_Flow],
        held: Mapping[int, list[Any]],
        found: _Found,
        show: frozenset[str],
        costs: Costs | None,
    ) -> None:
        self.costs = costs
        self.called, self.units, self.held = called, chosen.units, held
        self.gradients, self.show, self.chosen = found.gradients, show, chosen
        self.total = found.shares
        self.unit_of = {id(node): unit for unit in self.units for node in unit.nodes}
        self.times = Counter(
            (id(node), id(x))
            for unit in self.units
            for node in unit.nodes
            for x in node.inputs
        )
        self.used_outside = {
            id(x)
            for i, _, _, x in _uses(self.units)
            if self.unit_of.get(id(x), self.units[i]) is not self.units[i]
        }
        inside = {id(x) for parameters in held.values() for x in parameters}
        self.flows = [flow for flow in flows if id(flow.x) not in inside]
        self.into = [flow for flow in flows if id(flow.x) in inside]
        self.flows_of: dict[int, list[_Flow]] = defaultdict(list)  # by id of what flows
        for flow in self.flows:
            self.flows_of[id(flow.x)].append(flow)
        self.rules = self._rules()  # by id of a flow
        self.age = {id(x): i for i, x in enumerate(things)}
        self.frames = Frames(chosen)
        self.number: dict[int, int] = {}  # of a box, by id of leaf or unit's result

    def graph(self, notes: Sequence[str]) -> Graph:
        boxes = self._boxes()
        edges = self._edges()
        last = self.units[-1].nodes[-1] if self.units else self.flows[0].x
        name = boxes[self.number[id(last)]].name
        total = sum(len(unit.nodes) for unit in self.units)
        return Graph(
            title=f"{name}: {total:,} operation{'s' * (total != 1)}",
            level=self.chosen.level,
            boxes=tuple(boxes),
            edges=tuple(edges),
            frames=tuple(self.frames.found),
            output=self.number[id(last)],
            steps=tuple(self._steps(edges)),
            notes=tuple(notes),
        )

    # -- boxes
    def _boxes(self) -> list[Box]:
        leaves = {id(flow.x): flow.x for flow in self.flows if flow.source is None}
        found: list[tuple[int, int, Any]] = [
            (self.age[id(x)], _REST, x) for x in leaves.values()
        ]
        for i in self.chosen.shown:
            found.append((self.age[id(self.units[i].nodes[-1])], i, None))
        found.sort(key=lambda entry: entry[0])
        boxes = []
        if self.chosen.cut:
            plural = "s" * (self.chosen.cut != 1)
            name = f"{self.chosen.cut:,} earlier operation{plural}"
            boxes.append(Box("rest", name, **self._cost(_REST)))
            self.number[_REST] = 0
        for _, i, x in found:
            self.number[id(x if i == _REST else self.units[i].nodes[-1])] = len(boxes)
            boxes.append(self._leaf(x) if i == _REST else self._unit(i))
        return boxes

    def _leaf(self, x: Any) -> Box:
        kind, flows = kind_of(x), self.flows_of[id(x)]
        stale = any(
            isinstance(x, Tensor) and x._index > getattr(node, "_index", x._index)
            for flow in flows
            for node, _ in flow.uses
        )
        is_inside = all(map(_is_parameter_of_layer, flows))
        return Box(
            kind,
            self.called(x),
            detail=self._detail(kind, x),
            value="assigned since" if stale else self._value(x),
            warnings=(*warnings_of(x), *_cut_off(x)),
            frame=self.frames.around([f.target for f in flows]) if is_inside else None,
            **self._gradient(x),
        )

    def _unit(self, i: int) -> Box:
        unit = self.units[i]
        result = unit.nodes[-1]
        if isinstance(result, Failed):
            return Box(
                "failed",
                f"{result.name} failed",
                detail=line(result.message),
                frame=self.frames.around([i]),
            )
        what = result.op.name
        if unit.layer is not None:
            what = labels.frame(unit.layer)
        formula = ""  # of what was freed nothing is known
        if len(unit.nodes) == 1 and result.inputs:
            formula = forward_text(result, self.called)
        elif result.inputs:
            inside = {id(x) for x in (*unit.nodes, *self.held.get(i, []))}
            given = (x for _, _, _, x in _uses([unit]) if id(x) not in inside)
            names = dict.fromkeys(map(self.called, given))
            formula = f"{what.rpartition(': ')[2]}({', '.join(names)})"
        words = [word for node in unit.nodes for word in warnings_of(node)]
        return Box(
            "operation" if unit.layer is None else "layer",
            self.called(result),
            formula,
            self._detail(what, result),
            parameters=self._parameters(i),
            value=self._value(result),
            warnings=tuple(dict.fromkeys(words)),
            frame=self.frames.around([i]),
            **self._gradient(result),
            **self._cost(i),
        )

    def _cost(self, i: int) -> dict[str, Any]:
        """Return what all cost that the box of a unit stands for."""
        if self.costs is None:
            return {}
        units = [self.units[j] for j, to in self.chosen.stands_for.items() if to == i]
        text, share = self.costs([node for unit in units for node in unit.nodes])
        times = f"all {len(units):,} together " if i != _REST and units[1:] else ""
        return {"cost": f"{times}{text}", "share": share}

    def _detail(self, what: str, x: Any) -> str:
        if "shape" not in self.show:
            return what
        return line(f"{what}, {labels.shape_and_type(data_of(x))}")

    def _value(self, x: Any) -> str:
        return labels.statistics(data_of(x)) if "value" in self.show else ""

    def _gradient(self, x: Any) -> dict[str, Any]:
        found = self.gradients.get(id(x))
        if found is None or "gradient" not in self.show:
            return {}
        return {"gradient": found.text, "norm": found.norm}

    def _parameters(self, i: int) -> tuple[str, ...]:
        """Return a line for each parameter in a layer, or one for many."""
        held = self.held.get(i, [])
        if len(held) > _PARAMETERS:
            size = sum(x.size for x in held)
            text = f"{size:,} parameters in {len(held)} arrays"
            norms = [found.norm for x in held if (found := self.gradients.get(id(x)))]
            return (self._with_gradient(text, f"norm {numbers(norm(norms))}"),)
        lines = []
        for x in held:
            found = self.gradients.get(id(x))
            text = f"{self._path(x, self.units[i])} {x.shape}"
            lines.append(self._with_gradient(text, found.text if found else ""))
        return tuple(lines)

    def _path(self, x: Any, unit: Unit) -> str:
        """Return the name of a parameter, with the path of the layer inside."""
        node = next(n for n in unit.nodes if any(y is x for y in n.inputs))
        outer = unit.layer.path if unit.layer else ""
        inner = node.scope.path.removeprefix(outer).removeprefix(".")
        name = getattr(x, "name", None) or self.called(x)
        return f"{inner}.{name}" if inner else name

    def _with_gradient(self, text: str, gradient: str) -> str:
        if gradient and self.gradients and "gradient" in self.show:
            text += f", gradient {gradient}"
        return line(text)

    # -- edges
    def _box_of(self, flow: _Flow) -> int:
        if flow.source is None:
            return self.number[id(flow.x)]
        if flow.source == _REST:
            return self.number[_REST]
        return self.number[id(self.units[flow.source].nodes[-1])]

    def _edges(self) -> list[Edge]:
        found = []
        for flow in self.flows:
            if not flow.uses:
                continue
            result = self.units[flow.target].nodes[-1] if flow.target != _REST else None
            found.append(
                Edge(
                    self._box_of(flow),
                    self.number[_REST if result is None else id(result)],
                    self._label(flow),
                    rule=self.rules.get(id(flow), ""),
                    has_gradient=flow.gradient is not None,
                    adds=flow.gradient is not None and self._adds(flow),
                    norm=flow.gradient and flow.gradient.norm,
                )
            )
        return found

    def _adds(self, flow: _Flow) -> bool:
        """Whether other shares are added, also such as are not shown."""
        return self.total[id(flow.x)] > flow.shares

    def _label(self, flow: _Flow) -> str:
        """Return what to write forward: which of two equal inputs, or broadcasting."""
        node, position = flow.uses[0]
        if len(flow.uses) > 1 or isinstance(node, Failed):
            return ""
        twice = self.times[id(node), id(flow.x)] > 1
        if twice and not node.op.variadic:
            infix = node.op.operator is not None and len(node.inputs) == 2
            role = ("left", "right")[position] if infix else node.op.argument(position)
        else:
            role = str(position) if twice else ""
        return ", ".join(filter(None, [role, broadcast_text(node, position)[0]]))

    def _rules(self) -> dict[int, str]:
        """Return what flows back, as formulas, by id of the flow."""
        found: dict[int, str] = {}
        read_off: dict[int, list[_Flow]] = defaultdict(list)  # by id of the node
        for flow in (*self.flows, *self.into):
            if flow.gradient is None or flow.target == _REST:
                continue
            node, _ = flow.uses[0]
            unit = self.unit_of[id(node)]  # it may be one that another stands for
            if len(unit.nodes) == 1 and len(flow.uses) == 1:
                read_off[id(node)].append(flow)
                continue
            y, x = self.called(unit.nodes[-1]), self.called(flow.x)
            more = " + …" * (len(self._results(unit)) > 1)
            found[id(flow)] = f"(∂{y}/∂{x})ᵀ {bar(y)}{more}"
        for flows in read_off.values():
            node, _ = flows[0].uses[0]
            seed = node is self.units[-1].nodes[-1] and node.size == 1
            positions = [flow.uses[0][1] for flow in flows]
            texts = rule_texts(node, positions, self.called, seed=seed)
            found |= zip(map(id, flows), texts, strict=True)
        return found

    def _results(self, unit: Unit) -> list[Any]:
        """Return the last of what a unit computed, and what else is used outside."""
        return [x for x in unit.nodes[:-1] if id(x) in self.used_outside] + [
            unit.nodes[-1]
        ]

    # -- the walk backward
    def _steps(self, edges: Sequence[Edge]) -> Iterator[Step]:
        by_target: dict[int, list[tuple[_Flow, int | None]]] = defaultdict(list)
        drawn = [flow for flow in self.flows if flow.uses]
        for i, flow in enumerate(drawn):
            by_target[flow.target].append((flow, i))
        for flow in self.into:
            by_target[flow.target].append((flow, None))
        shown: dict[int, list[_Flow]] = defaultdict(list)  # by id of what collects them
        for flow in (*drawn, *self.into):
            if flow.gradient is not None and flow.target != _REST:
                shown[id(flow.x)].append(flow)
        arrived: Counter[int] = Counter()
        for i in reversed(self.chosen.shown):
            result = self.units[i].nodes[-1]
            found = self.gradients.get(id(result))
            if found is None:
                continue
            shares = []
            for flow, number in by_target[i]:
                if flow.gradient is None:
                    continue
                arrived[id(flow.x)] += 1
                all_shown = shown[id(flow.x)]
                hidden = self.total[id(flow.x)] - sum(f.shares for f in all_shown)
                shares.append(
                    self._share(
                        flow, number, arrived[id(flow.x)], len(all_shown), hidden
                    )
                )
            shape = labels.shape(data_of(result))
            incoming = f"{bar(self.called(result))}: {shape}, {found.text}"
            if others := len(self._results(self.units[i])) - 1:
                incoming += f"; and those of {others} other result{'s' * (others > 1)}"
            yield Step(self.number[id(result)], incoming, tuple(shares))

    def _share(
        self, flow: _Flow, edge: int | None, nth: int, shown: int, hidden: int
    ) -> Share:
        """Return the ``nth`` of the shares shown; ``hidden`` more are not."""
        notes = []
        node, position = flow.uses[0]
        if len(flow.uses) == 1:
            forward, _ = broadcast_text(node, position)
            if forward:
                notes.append(f"{self.called(flow.x)} was {forward}, so its shares add")
        if shown + hidden > 1:
            notes.append(labels.counted(nth, shown, hidden))
        result = self.unit_of[id(node)].nodes[-1]
        given = labels.shape(data_of(result))
        for i, x in ((flow.target, result), (flow.source, flow.x)):
            if i is not None and i != _REST and x is not self.units[i].nodes[-1]:
                box = self.called(self.units[i].nodes[-1])
                notes.append(f"the box of {box} stands for {self.called(x)}, too")
        name, rule = self.called(flow.x), self.rules.get(id(flow), "")
        if edge is None:
            name = self._path(flow.x, self.units[flow.target])
        return Share(
            edge,
            f"{bar(name)} {'+=' if nth > 1 or hidden else '='} {rule}",
            f"{given} → {labels.shape(data_of(flow.x))}",
            flow.gradient.text if flow.gradient else "",
            "; ".join(notes),
        )
