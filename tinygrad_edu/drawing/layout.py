"""Where the boxes, frames and lines of a drawing go: a layered layout.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical
system structures" (1981), in six steps:

1. every box gets a layer, below everything that it is made from;
2. a line that passes a layer takes room there like a box, and so does its text;
3. each layer is put in an order in which few lines cross;
4. each layer is pushed together so that lines are short and straight;
5. lines are tied to the borders of the boxes, side by side;
6. the layers are stacked.

A frame is laid out first, as a diagram of its own, and is then one large box in the
diagram around it. A line that crosses its border has a port there: a place in the
frame's first or last layer, and a place on the border of that large box.

Layers are counted downwards here. A drawing from left to right is the same, turned.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tinygrad_edu.drawing.graph import Graph

__all__ = ["Layout", "Rectangle", "Route", "layout"]

Size = tuple[float, float]  # width, height
Point = tuple[float, float]
_Wish = tuple[float, int]  # a place and its weight, in tenths: so half of it is exact

_PAD = 14.0  # between a frame and what is in it
_SPACE = 18.0  # between two neighbours in a layer
_LANE = 8.0  # what a line takes on either side
_TEXT = 13.0  # from a line to its text
_GAP = (22.0, 110.0)  # between layers: at least, at most
_NARROW = 8.0  # the same at the borders of a frame
_SLOPE = 0.3  # the further a line goes sideways, the more gap: this much of it
_WORK = 40_000  # about how many items all sweeps may move


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A place in the drawing, in pixels; y is counted downwards."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """The way of an edge, and where its text stands.

    Between two points the line goes straight along the direction of the drawing, or
    bends from one lane into another.
    """

    points: tuple[Point, ...]  # from the border of the source to that of the target
    label: Rectangle | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything in a drawing goes, in the order of the graph."""

    width: float
    height: float
    boxes: tuple[Rectangle, ...]
    frames: tuple[Rectangle, ...]
    titles: tuple[Rectangle, ...]  # of the frames
    routes: tuple[Route, ...]  # of the edges


def layout(
    graph: Graph,
    boxes: Sequence[Size],
    labels: Sequence[Size],
    titles: Sequence[Size],
    *,
    direction: str = "TB",
) -> Layout:
    """Return where the boxes, frames, lines and texts of a drawing go.

    No two boxes and no two texts overlap, and no line crosses a box or a text. Lines
    from the same source may share the first part of their way. An edge goes along the
    direction of the drawing unless edges run in a circle.

    Parameters
    ----------
    graph : Graph
        What to lay out.
    boxes, labels, titles : sequence of (width, height)
        The sizes of the boxes, of the text at each edge (zeros for none), and of the
        titles of the frames, in pixels.
    direction : {"TB", "LR"}
        From top to bottom, or from left to right.

    Returns
    -------
    Layout

    Examples
    --------
    >>> from tinygrad_edu.drawing.graph import Box, Edge, Graph
    >>> pair = (Box("input", "x"), Box("operation", "y", "exp(x)"))
    >>> graph = Graph("y", "op", pair, (Edge(0, 1),), (), 1)
    >>> found = layout(graph, [(60, 20), (80, 20)], [(0, 0)], [])
    >>> found.boxes[0], found.boxes[1].y
    (Rectangle(x=10.0, y=0.0, width=60, height=20), 42.0)
    >>> found.routes[0].points
    ((40.0, 20.0), (40.0, 42.0))
    """
    if direction == "LR":
        turned = [[(h, w) for w, h in sizes] for sizes in (boxes, labels, titles)]
        return _turn(_Drawing(graph, *turned, turned=True).layout())
    if direction != "TB":
        raise ValueError(f"direction is {direction!r}; it may be 'TB' or 'LR'")
    return _Drawing(graph, boxes, labels, titles, turned=False).layout()


class _Item:
    """What takes room in a layer: box, frame, text, port, or a line passing through."""

    __slots__ = (
        *("after", "before", "depth", "down", "is_box", "layer", "place", "up"),
        *("x", "y"),
    )

    def __init__(self, before: float, after: float, depth: float, layer: int) -> None:
        self.before, self.after = before, after  # from x to its left and right end
        self.depth = depth  # its height
        self.layer = layer
        self.place = 0  # within the layer
        self.is_box = False  # if so, lines may be tied to it anywhere
        self.x = self.y = 0.0  # y: its top
        self.up: list[_Tie] = []
        self.down: list[_Tie] = []


class _Tie:
    """A piece of line, from an item to one in the next layer."""

    __slots__ = ("end", "lower", "lower_port", "start", "upper", "upper_port", "weight")

    def __init__(
        self, upper: _Item, upper_port: float, lower: _Item, lower_port: float
    ) -> None:
        self.upper, self.lower = upper, lower
        self.upper_port, self.lower_port = upper_port, lower_port  # from the item's x
        self.weight = 10  # how much it wants to be straight
        self.start = self.end = 0.0  # x
        upper.down.append(self)
        lower.up.append(self)


_Key = int | tuple[str | int, ...]  # of a node: its number; of a port: ("in", ...)


@dataclass(frozen=True, slots=True)
class _Wire:
    """The part of an edge in one diagram, between two nodes or ports."""

    edge: int
    upper: _Key
    lower: _Key
    trunk: tuple[int, ...]  # wires with the same one share the first part of their way
    has_label: bool = False

    @property
    def enters(self) -> bool:
        return not isinstance(self.upper, int)

    @property
    def leaves(self) -> bool:
        return not isinstance(self.lower, int)


class _Drawing:
    """Nodes are numbered: the boxes, then the frames, then the whole drawing."""

    def __init__(
        self,
        graph: Graph,
        boxes: Sequence[Size],
        labels: Sequence[Size],
        titles: Sequence[Size],
        *,
        turned: bool,
    ) -> None:
        self.edges, self.labels, self.titles = graph.edges, labels, titles
        self.turned = turned
        self.boxes, self.whole = len(boxes), len(boxes) + len(titles)
        around = [box.frame for box in graph.boxes]
        around += [frame.parent for frame in graph.frames]
        self.parent = [self.whole if f is None else self.boxes + f for f in around]
        self.children = defaultdict[int, list[int]](list)
        for node, parent in enumerate(self.parent):
            self.children[parent].append(node)
        # What follows is found diagram by diagram, the inner ones first.
        self.size = [*boxes, *titles, (0.0, 0.0)]
        self.corner = [(0.0, 0.0)] * (self.whole + 1)  # within the parent
        self.ports: dict[tuple[int, _Key], float] = {}  # frame, key: x within it
        self.texts: dict[int, tuple[int, Point]] = {}  # edge: diagram, corner in it
        self.pieces: list[list[tuple[int, list[Point]]]] = [[] for _ in graph.edges]
        self.rising: set[int] = set()  # edges that close a circle are drawn upwards

    def layout(self) -> Layout:
        wires = self._wires()
        frames = range(self.boxes, self.whole)
        for diagram in [*reversed(frames), self.whole]:
            self._lay_out(diagram, wires[diagram])
        for node in [*frames, *range(self.boxes)]:
            self.corner[node] = self._from(self.parent[node], self.corner[node])
        places = [
            Rectangle(*corner, *size)
            for corner, size in zip(self.corner, self.size, strict=True)
        ]
        return Layout(
            *self.size[self.whole],
            boxes=tuple(places[: self.boxes]),
            frames=tuple(places[self.boxes : -1]),
            titles=tuple(
                Rectangle(frame.x + _PAD, frame.y + _PAD, *size)
                for frame, size in zip(
                    places[self.boxes : -1], self.titles, strict=True
                )
            ),
            routes=tuple(map(self._route, range(len(self.edges)))),
        )

    def _from(self, diagram: int, point: Point) -> Point:
        return point[0] + self.corner[diagram][0], point[1] + self.corner[diagram][1]

    def _around(self, node: int) -> list[int]:
        found = [node]
        while node != self.whole:
            node = self.parent[node]
            found.append(node)
        return found

    def _wires(self) -> dict[int, list[_Wire]]:
        """Cut the edges into wires, one for every diagram that they pass."""
        ways = {}  # from both ends outwards, to just below the diagram that has both
        links = defaultdict[int, list[tuple[int, int]]](list)
        age = dict.fromkeys(range(self.whole + 1), self.whole)  # oldest operation in it
        for e, edge in enumerate(self.edges):
            up, down = self._around(edge.source), self._around(edge.target)
            for node in down:
                age[node] = min(age[node], edge.target)
            while up and down and up[-1] == down[-1]:
                meeting = up.pop()
                down.pop()
            if up and down:  # no loop
                ways[e] = (up, down, meeting)
                links[meeting].append((up[-1], down[-1]))
        turn: dict[int, int] = {}
        for diagram, pairs in links.items():
            turn |= _in_turn(self.children[diagram], pairs, age)

        wires = defaultdict[int, list[_Wire]](list)
        for e, (up, down, meeting) in ways.items():
            trunk: tuple[int, ...] = (self.edges[e].source, self.edges[e].has_gradient)
            if turn[up[-1]] > turn[down[-1]]:
                self.rising.add(e)
                up, down, trunk = down, up, (-1 - e,)
            has_label = self.labels[e] != (0, 0)
            wires[meeting].append(_Wire(e, up[-1], down[-1], trunk, has_label))
            for inner, frame in pairwise(up):
                wires[frame].append(_Wire(e, inner, ("out", *trunk), trunk))
            for inner, frame in pairwise(down):
                wires[frame].append(_Wire(e, ("in", e), inner, (-1 - e,)))
        return wires

    def _lay_out(self, diagram: int, wires: list[_Wire]) -> None:
        """Lay out the inside of a frame, or the whole drawing."""
        is_frame = diagram != self.whole
        title = self.titles[diagram - self.boxes] if is_frame else (0.0, 0.0)
        every, items = self._items(diagram, wires)
        lines, texts = self._lines(every, items, wires)
        self._weigh(wires, lines)
        layers = _ordered(every)
        _straighten(layers)
        _tie(every)
        if is_frame and not self.turned:  # no line crosses the title
            item = _Item(title[0], 0.0, title[1], 0)
            ends = [port.x - port.before - _SPACE for port in layers[0]]
            start = min((other.x - other.before for other in every), default=0.0)
            item.x = min(ends, default=start + title[0])
            layers[0].append(item)
            every.append(item)
        bands, depth = _stack(layers)

        left = min((item.x - item.before for item in every), default=0.0)
        right = max((item.x + item.after for item in every), default=0.0)
        pad = _PAD if is_frame else 0.0
        dx = pad - left
        depth += 2 * pad
        if is_frame and self.turned:  # the title is a strip along the side
            dx += title[0] + _PAD / 2
            depth = max(depth, title[1] + 2 * pad)
        self.size[diagram] = (right + dx + pad, depth)
        for key, item in items.items():
            if isinstance(key, int):
                self.corner[key] = (item.x - item.before + dx, item.y + pad)
            else:
                self.ports[diagram, key] = item.x + dx
        for e, item in texts.items():
            self.texts[e] = (diagram, (item.x + _TEXT + dx, item.y + pad))
        for wire, ties in zip(wires, lines, strict=True):
            first, last = ties[0], ties[-1]
            points = [(first.start, first.upper.y + first.upper.depth)]
            for tie in ties:
                points.append((tie.start, bands[tie.upper.layer][1]))
                points.append((tie.end, bands[tie.lower.layer][0]))
            points.append((last.end, last.lower.y))
            if wire.enters:
                points.insert(0, (first.start, -pad))
            if wire.leaves:
                points.append((last.end, depth - pad))
            points = [(x + dx, y + pad) for x, y in points]
            self.pieces[wire.edge].append((diagram, points))

    def _items(
        self, diagram: int, wires: list[_Wire]
    ) -> tuple[list[_Item], dict[_Key, _Item]]:
        """Return all items in a diagram, and those of its nodes and ports by key."""
        children = self.children[diagram]
        between = [
            (wire.upper, wire.lower)
            for wire in wires
            if isinstance(wire.upper, int) and isinstance(wire.lower, int)
        ]
        rank = _ranks(children, between)
        last = 2 * max(rank.values(), default=0) + 2
        items: dict[_Key, _Item] = {}
        for node in children:
            width, depth = self.size[node]
            items[node] = _Item(width / 2, width / 2, depth, 2 * rank[node])
            items[node].is_box = node < self.boxes
        for wire in wires:
            if not isinstance(wire.upper, int):
                items[wire.upper] = _Item(_LANE, _LANE, 0.0, -2)
            if not isinstance(wire.lower, int) and wire.lower not in items:
                items[wire.lower] = _Item(_LANE, _LANE, 0.0, last)
        every = list(items.values())

        # Texts stand in layers of their own, where there are any.
        used = {item.layer for item in every}
        if diagram != self.whole and not self.turned:
            used.add(-2)  # for the title
        used |= {items[wire.lower].layer - 1 for wire in wires if wire.has_label}
        number = {layer: i for i, layer in enumerate(sorted(used))}
        for item in every:
            item.layer = number[item.layer]
        return every, items

    def _lines(
        self, every: list[_Item], items: dict[_Key, _Item], wires: list[_Wire]
    ) -> tuple[list[list[_Tie]], dict[int, _Item]]:
        """Make each wire a row of ties from layer to layer; return also the texts."""
        lines, texts = [], {}
        passing: dict[tuple[object, ...], _Item] = {}
        for wire in wires:
            upper, lower = items[wire.upper], items[wire.lower]
            port = self._port(wire.upper, ("out", *wire.trunk), upper)
            ties: list[_Tie] = []
            for layer in range(upper.layer + 1, lower.layer):
                is_text = wire.has_label and layer == lower.layer - 1
                key = (layer, "text", wire.edge) if is_text else (layer, *wire.trunk)
                if key not in passing:
                    item = _Item(_LANE, _LANE, 0.0, layer)
                    if is_text:
                        width, item.depth = self.labels[wire.edge]
                        item.after = _TEXT + width
                        texts[wire.edge] = item
                    _Tie(ties[-1].lower if ties else upper, port, item, 0.0)
                    passing[key] = item
                    every.append(item)
                ties += passing[key].up
                port = 0.0
            if isinstance(wire.lower, int) or not lower.up:
                end = self._port(wire.lower, ("in", wire.edge), lower)
                _Tie(ties[-1].lower if ties else upper, port, lower, end)
            ties.append(lower.up[-1])
            lines.append(ties)
        return lines, texts

    def _weigh(self, wires: list[_Wire], lines: list[list[_Tie]]) -> None:
        """Give weight to the line of each node that shall be straight, if any."""
        nearest: dict[_Key, list[list[_Tie]]] = {}  # by node: its shortest lines
        for wire, ties in zip(wires, lines, strict=True):
            if ties[0].upper.up or wire.enters:  # neither a parameter nor an input
                others = nearest.setdefault(wire.lower, [])
                if others and len(ties) < len(others[0]):
                    others.clear()
                if not others or len(ties) == len(others[0]):
                    others.append(ties)
        for others in nearest.values():
            if len(others) == 1:  # it stands straight below that one
                for tie in others[0]:
                    tie.weight = max(tie.weight, 40)

    def _port(self, node: _Key, key: _Key, item: _Item) -> float:
        if not isinstance(node, int) or node < self.boxes:
            return 0.0
        return self.ports[node, key] - item.before

    def _route(self, e: int) -> Route:
        pieces = [
            [self._from(diagram, point) for point in points]
            for diagram, points in self.pieces[e]
        ]
        pieces.sort(key=lambda points: points[0][1])  # from top to bottom
        points = _corners(point for piece in pieces for point in piece)
        if e in self.rising:
            points.reverse()
        if e not in self.texts:
            return Route(tuple(points), None)
        corner = self._from(*self.texts[e])
        return Route(tuple(points), Rectangle(*corner, *self.labels[e]))


def _in_turn(
    nodes: list[int], links: list[tuple[int, int]], age: dict[int, int]
) -> dict[int, int]:
    """Number the nodes so that links lead forward; of a circle, the oldest is first."""
    waiting = dict.fromkeys(nodes, 0)
    after = defaultdict[int, list[int]](list)
    for upper, lower in links:
        waiting[lower] += 1
        after[upper].append(lower)
    ready = [node for node in nodes if not waiting[node]]
    by_age = iter(sorted(nodes, key=lambda node: age[node]))
    turn: dict[int, int] = {}
    while len(turn) < len(nodes):
        node = ready.pop() if ready else next(by_age)
        if node in turn:
            continue
        turn[node] = len(turn)
        for follower in after[node]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    return turn


def _ranks(nodes: list[int], links: list[tuple[int, int]]) -> dict[int, int]:
    """Return how deep each node is: below what it needs, near to what needs it."""
    above = defaultdict[int, list[int]](list)
    below = defaultdict[int, list[int]](list)
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    waiting = {node: len(above[node]) for node in nodes}
    rank: dict[int, int] = {}
    ready = [node for node in nodes if not waiting[node]]
    for node in ready:  # grows
        rank[node] = max((rank[upper] + 1 for upper in above[node]), default=0)
        for lower in below[node]:
            waiting[lower] -= 1
            if not waiting[lower]:
                ready.append(lower)
    for node in reversed(ready):
        if len(above[node]) < len(below[node]):  # most of its lines get shorter
            rank[node] = min(rank[lower] for lower in below[node]) - 1
    return rank


def _ordered(every: list[_Item]) -> list[list[_Item]]:
    """Return the items layer by layer, in an order in which few lines cross."""
    layers: list[list[_Item]] = [
        [] for _ in range(1 + max((i.layer for i in every), default=0))
    ]
    seen = set[_Item]()
    waiting = [item for item in reversed(every) if not item.down]
    while waiting:  # at first: what an item is made from, from left to right
        item = waiting.pop()
        if item not in seen:
            seen.add(item)
            item.place = len(layers[item.layer])
            layers[item.layer].append(item)
            waiting += [tie.upper for tie in reversed(item.up)]

    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(max(1, min(16, _WORK // max(len(every), 1)))):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        for layer in layers[1:] if downwards else layers[-2::-1]:
            _sort(layer, downwards)
        found = _crossings(layers)
        if found < fewest:
            best, fewest = [list(layer) for layer in layers], found
    for layer in best:
        for place, item in enumerate(layer):
            item.place = place
    return best


def _upper_place(tie: _Tie) -> float:
    width = tie.upper.before + tie.upper.after + 1
    return tie.upper.place + tie.upper_port / width


def _lower_place(tie: _Tie) -> float:
    width = tie.lower.before + tie.lower.after + 1
    return tie.lower.place + tie.lower_port / width


def _sort(layer: list[_Item], downwards: bool) -> None:
    """Sort by the mean place of the neighbours; what has none stays where it is."""
    wanted = {}
    for item in layer:
        near = [_upper_place(tie) for tie in item.up] if downwards else []
        near = near if downwards else [_lower_place(tie) for tie in item.down]
        if near:
            wanted[item] = sum(near) / len(near)
    in_order = iter(sorted(wanted, key=wanted.__getitem__))
    layer[:] = [next(in_order) if item in wanted else item for item in layer]
    for place, item in enumerate(layer):
        item.place = place


def _crossings(layers: list[list[_Item]]) -> int:
    count = 0
    for layer in layers[1:]:
        ties = [
            (_upper_place(tie), _lower_place(tie)) for item in layer for tie in item.up
        ]
        ends: list[float] = []  # of the lines that start further left
        for _, end in sorted(ties):
            count += len(ends) - bisect_right(ends, end)
            insort(ends, end)
    return count


def _straighten(layers: list[list[_Item]]) -> None:
    """Give every item an x at which its lines are short."""
    for layer in layers:
        x = 0.0
        for item in layer:
            item.x = x + item.before
            x += item.before + item.after + _SPACE
    count = sum(map(len, layers))
    sweeps = 2 * max(1, min(12, _WORK // max(count, 1)))
    for sweep in range(sweeps):
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            wishes = []
            for item in layer:
                if downwards:
                    wish = [
                        (tie.upper.x + tie.upper_port - tie.lower_port, tie.weight)
                        for tie in item.up
                    ]
                elif sweep < sweeps - 1 or not item.up:
                    wish = [
                        (tie.lower.x + tie.lower_port - tie.upper_port, tie.weight)
                        for tie in item.down
                    ]
                else:  # at last, only what nothing leads to is moved
                    wish = [(item.x, 1000)]
                wishes.append(wish or [(item.x, 1)])
            room = [a.after + _SPACE + b.before for a, b in pairwise(layer)]
            for item, x in zip(layer, _placed(wishes, room), strict=True):
                item.x = x


def _placed(wishes: list[list[_Wish]], room: Sequence[float]) -> list[float]:
    """Return places near to the wishes, each at least ``room`` right of the one before.

    Neighbours that would come too near are put side by side and share their wishes; the
    median of all of them is where the sum of weight times distance is smallest (the
    pool-adjacent-violators algorithm, with medians: de Leeuw, Hornik and Mair, Journal
    of Statistical Software, 2009).
    """
    if not wishes:
        return []
    shifts = list(accumulate(room, initial=0.0))
    blocks: list[_Pool] = []
    for wish, shift in zip(wishes, shifts, strict=True):
        pool = _Pool(sorted((x - shift, weight) for x, weight in wish))
        while blocks and blocks[-1].median > pool.median:
            pool = pool.joined(blocks.pop())
        blocks.append(pool)
    found = [pool.median for pool in blocks for _ in range(pool.count)]
    return [x + shift for x, shift in zip(found, shifts, strict=True)]


class _Pool:
    """The wishes of ``count`` neighbours, in order, and their median."""

    __slots__ = ("before", "count", "median", "place", "total", "wishes")

    def __init__(self, wishes: list[_Wish]) -> None:
        self.wishes, self.count = wishes, 1
        self.total = sum(weight for _, weight in wishes)
        self.place = self.before = 0  # of the median, and the weight before it
        self._find()

    def joined(self, other: _Pool) -> _Pool:
        """Return both together; the smaller one is put into the larger."""
        if len(self.wishes) < len(other.wishes):
            return other.joined(self)
        for wish in other.wishes:
            place = bisect_right(self.wishes, wish)
            self.wishes.insert(place, wish)
            if place <= self.place:
                self.place += 1
                self.before += wish[1]
        self.total += other.total
        self.count += other.count
        self._find()
        return self

    def _find(self) -> None:
        """Go from where the median was to where half of the weight is reached."""
        wishes, total = self.wishes, self.total
        while 2 * (self.before + wishes[self.place][1]) < total:
            self.before += wishes[self.place][1]
            self.place += 1
        while self.place and 2 * self.before >= total:
            self.place -= 1
            self.before -= wishes[self.place][1]
        self.median, weight = wishes[self.place]
        if 2 * (self.before + weight) == total and self.place + 1 < len(wishes):
            self.median = (self.median + wishes[self.place + 1][0]) / 2


def _tie(every: list[_Item]) -> None:
    """Tie the lines to the borders, straight below or above where they come from."""
    for item in every:
        item.down.sort(key=_lower_place)
        item.up.sort(key=_upper_place)
        wishes = []
        for tie in item.down:
            tie.start = item.x + tie.upper_port
            wishes.append(tie.lower.x + tie.lower_port)
            if tie.lower.is_box and len(item.down) == 1:
                reach = max(tie.lower.before - 2 * _LANE, 0.0)
                wishes = [min(max(item.x, tie.lower.x - reach), tie.lower.x + reach)]
        if item.is_box:
            for tie, x in zip(item.down, _along(item, wishes), strict=True):
                tie.start = x
    for item in every:
        for tie in item.up:
            tie.end = item.x + tie.lower_port
        if item.is_box:
            starts = [tie.start for tie in item.up]
            for tie, x in zip(item.up, _along(item, starts), strict=True):
                tie.end = x


def _along(item: _Item, wishes: list[float]) -> list[float]:
    """Return places on the border of a box, near to the wishes and apart."""
    if not wishes:
        return []
    width = max(item.before + item.after - 4 * _LANE, 0.0)
    apart = min(2.5 * _LANE, width / max(len(wishes) - 1, 1))
    low, high = item.x - width / 2, item.x + width / 2 - apart * (len(wishes) - 1)
    found = _placed([[(x, 1)] for x in wishes], [apart] * (len(wishes) - 1))
    return [min(max(x - i * apart, low), high) + i * apart for i, x in enumerate(found)]


def _stack(layers: list[list[_Item]]) -> tuple[list[tuple[float, float]], float]:
    """Give every item its y; return top and bottom of each layer, and of the last."""
    bands: list[tuple[float, float]] = []
    y = 0.0
    for layer in layers:
        ties = [tie for item in layer for tie in item.up]
        if bands:
            aside = max((abs(tie.end - tie.start) for tie in ties), default=0.0)
            least = _GAP[0] if any(tie.lower.depth for tie in ties) else _NARROW
            y += min(max(least, _SLOPE * aside), _GAP[1])
        depth = max((item.depth for item in layer), default=0.0)
        for item in layer:
            free = depth - item.depth
            if not item.up:  # near to what uses it
                item.y = y + free
            else:
                item.y = y + free / 2 if item.down else y
        bands.append((y, y + depth))
        y += depth
    return bands, y


def _corners(points: Iterable[Point]) -> list[Point]:
    """Leave out what lies between the ends of a straight piece."""
    found: list[Point] = []
    for point in points:
        while len(found) > 1 and found[-2][0] == found[-1][0] == point[0]:
            found.pop()
        if not found or point != found[-1]:
            found.append(point)
    return found


def _turn(found: Layout) -> Layout:
    """Swap x and y everywhere."""

    def turn(place: Rectangle) -> Rectangle:
        return Rectangle(place.y, place.x, place.height, place.width)

    return Layout(
        found.height,
        found.width,
        boxes=tuple(map(turn, found.boxes)),
        frames=tuple(map(turn, found.frames)),
        titles=tuple(map(turn, found.titles)),
        routes=tuple(
            Route(
                tuple((x, y) for y, x in route.points),
                route.label and turn(route.label),
            )
            for route in found.routes
        ),
    )
