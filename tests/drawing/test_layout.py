"""A layout is one that reads well: nothing overlaps, and lines lead where they say."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pytest

from tinygrad_edu.drawing.graph import Box, Edge, Frame, Graph
from tinygrad_edu.drawing.layout import Layout, Rectangle, _Pool, layout


def graph_of(edges, count=None, frames=(), parents=(), parameters=()):
    """A graph of these (source, target); ``frames``: the frame of each box."""
    count = count or 1 + max(max(edge) for edge in edges)
    frames = frames or [None] * count
    made = {target for _, target in edges}
    boxes = tuple(
        Box(
            "parameter" if i in parameters else "operation" if i in made else "input",
            f"t{i}",
            frame=frame,
        )
        for i, frame in enumerate(frames)
    )
    return Graph(
        "",
        "op",
        boxes,
        tuple(Edge(*edge, has_gradient=True) for edge in edges),
        tuple(Frame(f"frame {i}", parent) for i, parent in enumerate(parents)),
        count - 1,
    )


def laid_out(graph, direction="TB", *, labels=True, seed=0):
    """The layout with boxes and texts of all sizes."""
    rng = np.random.default_rng(seed)
    boxes = [
        (int(w), int(h))
        for w, h in rng.integers((30, 20), (220, 100), (len(graph.boxes), 2))
    ]
    texts = [
        (int(w), 15) if labels and w > 40 else (0, 0)
        for w in rng.integers(0, 150, len(graph.edges))
    ]
    titles = [(int(w), 20) for w in rng.integers(30, 150, len(graph.frames))]
    return layout(graph, boxes, texts, titles, direction=direction)


def two_layers():
    """x -> [W1, b1: z1, a1] -> h -> [W2, b2: z2, a2] -> loss <- y."""
    edges = [(0, 3), (1, 3), (3, 4), (2, 4), (4, 5), (5, 8), (6, 8), (8, 9), (7, 9)]
    edges += [(9, 11), (10, 11)]
    frames = [None, 0, 0, 0, 0, None, 1, 1, 1, 1, None, None]
    return graph_of(edges, 12, frames, (None, None), parameters={1, 2, 6, 7})


def nested():
    """Frames three deep, with lines from outside, to outside, and around."""
    edges = [(0, 2), (1, 2), (0, 4), (3, 4), (2, 5), (4, 5), (0, 6), (5, 6), (6, 7)]
    edges += [(6, 8), (7, 8), (0, 9), (8, 9), (2, 9)]
    frames = [None, 2, 2, 2, 2, 2, 1, 3, 0, None]
    return graph_of(edges, 10, frames, (None, 0, 1, 0), parameters={1, 3})


def residual():
    """A line around two layers."""
    edges = [(0, 2), (1, 2), (2, 4), (3, 4), (0, 5), (4, 5), (5, 6)]
    return graph_of(edges, 7, [None, 0, 0, 1, 1, None, None], (None, None))


def scattered(seed, count=40, edges=70, frames=0):
    """Edges as chance has it, in frames as chance has it."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(1, count, edges)
    sources = [int(rng.integers(max(0, t - 12), t)) for t in targets]
    parents = [
        None if i == 0 or rng.random() < 0.4 else int(rng.integers(i))
        for i in range(frames)
    ]
    inside = [
        None
        if not frames or rng.random() < 0.3
        else min(i * frames // count, frames - 1)
        for i in range(count)
    ]
    return graph_of(
        list(zip(sources, map(int, targets), strict=True)), count, inside, parents
    )


GRAPHS = {
    "single": graph_of([], 1),
    "apart": graph_of([(0, 1)], 4),
    "pair": graph_of([(0, 1)]),
    "twice": graph_of([(0, 1), (0, 1)]),
    "neuron": graph_of([(0, 2), (1, 2), (2, 4), (3, 4), (4, 5)], parameters={0, 3}),
    "two layers": two_layers(),
    "nested": nested(),
    "residual": residual(),
    "fan-out": graph_of(
        [(0, 1), (0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (4, 5), (3, 5)]
    ),
    "diamonds": graph_of([(i, i + 1) for i in range(60) for _ in range(2)]),
    "wide": graph_of([(i, 40) for i in range(40)], parameters=set(range(40))),
    "shared": graph_of(
        [(0, i) for i in range(1, 12)] + [(i, i + 1) for i in range(1, 11)]
    ),
    "frame without boxes": graph_of([(0, 1)], 2, [None, 0], (None, None, 1)),
    **{f"scattered {seed}": scattered(seed) for seed in range(4)},
    **{f"scattered in frames {seed}": scattered(seed, frames=6) for seed in range(8)},
}


@cache
def of(name, direction):
    return laid_out(GRAPHS[name], direction)


BOTH = pytest.mark.parametrize("direction", ["TB", "LR"])
EVERY = pytest.mark.parametrize("name", GRAPHS)


def overlap(a, b):
    """Whether two rectangles share more than a border (up to rounding)."""
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    return across > 1e-6 and down > 1e-6


def within(inner, outer):
    return (
        outer.x <= inner.x + 1e-6
        and outer.y <= inner.y + 1e-6
        and inner.x + inner.width <= outer.x + outer.width + 1e-6
        and inner.y + inner.height <= outer.y + outer.height + 1e-6
    )


def overlapping(places):
    return [(a, b) for a, b in combinations(places, 2) if overlap(a, b)]


def around(graph, frame):
    """The frame and those around it."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = graph.frames[frame].parent
    return found


def texts_of(found):
    return [*found.titles, *(r.label for r in found.routes if r.label)]


def upright(found, direction):
    """The layout as from top to bottom."""

    def turn(place):
        return place and Rectangle(place.y, place.x, place.height, place.width)

    if direction == "TB":
        return found
    return Layout(
        found.height,
        found.width,
        *(tuple(map(turn, p)) for p in (found.boxes, found.frames, found.titles)),
        tuple(
            type(r)(tuple((x, y) for y, x in r.points), turn(r.label))
            for r in found.routes
        ),
    )


def steps_along(points):
    """Points along the way that a route is drawn: straight, or an S."""
    t = np.linspace(0, 1, 12)
    across = 3 * t**2 - 2 * t**3
    down = 1.5 * t * (1 - t) ** 2 + 1.5 * t**2 * (1 - t) + t**3
    steps = [
        np.stack([x + across * (to_x - x), y + down * (to_y - y)], axis=1)
        for (x, y), (to_x, to_y) in pairwise(points)
    ]
    return np.concatenate(steps)


@EVERY
@BOTH
def test_no_two_boxes_overlap(name, direction):
    found = of(name, direction)

    assert overlapping(found.boxes) == []


@EVERY
@BOTH
def test_boxes_are_in_their_frames_and_in_no_other(name, direction):
    graph = GRAPHS[name]

    found = of(name, direction)

    for box, place in zip(graph.boxes, found.boxes, strict=True):
        mine = around(graph, box.frame)
        for i, frame in enumerate(found.frames):
            assert within(place, frame) if i in mine else not overlap(place, frame)


@EVERY
@BOTH
def test_frames_are_inside_each_other_or_apart(name, direction):
    graph = GRAPHS[name]

    found = of(name, direction)

    for (i, a), (j, b) in combinations(enumerate(found.frames), 2):
        if i in around(graph, j):
            assert within(b, a)
        else:
            assert not overlap(a, b)


@EVERY
@BOTH
def test_texts_overlap_neither_boxes_nor_texts(name, direction):
    found = of(name, direction)

    texts = texts_of(found)
    assert overlapping(texts) == []
    assert [(t, b) for t in texts for b in found.boxes if overlap(t, b)] == []


@EVERY
@BOTH
def test_titles_are_in_their_frames_and_texts_in_the_drawing(name, direction):
    found = of(name, direction)

    for title, frame in zip(found.titles, found.frames, strict=True):
        assert within(title, frame)
    page = Rectangle(0, 0, found.width, found.height)
    assert all(within(x, page) for x in [*texts_of(found), *found.boxes, *found.frames])


@EVERY
@BOTH
def test_edges_lead_from_their_source_down_to_their_target(name, direction):
    graph = GRAPHS[name]

    found = upright(of(name, direction), direction)

    for edge, route in zip(graph.edges, found.routes, strict=True):
        source, target = found.boxes[edge.source], found.boxes[edge.target]
        (x, y), (to_x, to_y) = route.points[0], route.points[-1]
        assert source.x < x < source.x + source.width
        assert target.x < to_x < target.x + target.width
        heights = [y for _, y in route.points]
        if heights[0] < heights[-1]:
            assert (y, to_y) == pytest.approx((source.y + source.height, target.y))
            assert heights == sorted(heights)
        else:  # part of a circle of frames, which only chance makes
            assert "in frames" in name
            assert (y, to_y) == pytest.approx((source.y, target.y + target.height))
            assert heights == sorted(heights, reverse=True)


@EVERY
@BOTH
def test_no_line_crosses_a_box_or_a_text(name, direction):
    found = upright(of(name, direction), direction)
    obstacles = [*found.boxes, *texts_of(found)]
    corners = np.array([(o.x, o.y, o.x + o.width, o.y + o.height) for o in obstacles])

    for route in found.routes:
        x, y = np.split(steps_along(route.points), 2, axis=1)
        left, top, right, bottom = corners.T
        inside = 0.1  # a line that ends at the border does not cross it
        hit = (left + inside < x) & (x < right - inside)
        hit &= (top + inside < y) & (y < bottom - inside)
        assert not hit.any()


@EVERY
@BOTH
def test_lines_keep_their_distance_from_the_ends_of_a_box(name, direction):
    """The forward line and the gradient run side by side and need their room."""
    found = upright(of(name, direction), direction)

    for edge, route in zip(GRAPHS[name].edges, found.routes, strict=True):
        for box, (x, _) in (
            (edge.source, route.points[0]),
            (edge.target, route.points[-1]),
        ):
            place = found.boxes[box]
            room = min(16, place.width / 2) - 1e-6
            assert place.x + room <= x <= place.x + place.width - room


def test_text_stands_right_of_its_line():
    found = layout(GRAPHS["pair"], [(60, 20), (60, 20)], [(50, 15)], [])

    (x, y), (_, to_y) = found.routes[0].points
    label = found.routes[0].label
    assert x + 5 < label.x < x + 20
    assert y < label.y < label.y + label.height < to_y


@pytest.mark.parametrize(
    ("name", "chain"), [("two layers", (3, 4, 5, 8, 9, 11)), ("residual", (2, 4, 5, 6))]
)
def test_a_main_chain_is_straight(name, chain):
    found = of(name, "TB")

    middles = {found.boxes[i].x + found.boxes[i].width / 2 for i in chain}
    assert max(middles) - min(middles) < 1e-6


@pytest.mark.parametrize("name", ["neuron", "two layers", "residual"])
def test_a_line_bends_only_where_it_must(name):
    """Once to get to its target; a line around layers once more."""
    found = of(name, "TB")

    bends = [
        sum(x != to_x for (x, _), (to_x, _) in pairwise(route.points))
        for route in found.routes
    ]
    assert max(bends) <= (2 if name == "residual" else 1)


def test_a_long_chain_is_straight():
    graph = graph_of([(i, i + 1) for i in range(999)])

    found = laid_out(graph)

    lanes = {round(x, 6) for route in found.routes for x, _ in route.points}
    assert len(lanes) == 1


@pytest.mark.parametrize("edges", [[(0, 2), (1, 2)], [(3, 0), (3, 1), (0, 2), (1, 2)]])
def test_a_box_stands_between_its_two_inputs(edges):
    graph = graph_of(edges)

    found = layout(graph, [(60, 20)] * len(graph.boxes), [(0, 0)] * len(edges), [])

    left, right, below = (box.x for box in found.boxes[:3])
    assert left < below < right
    assert below == pytest.approx((left + right) / 2)


def test_inputs_stand_in_the_order_of_the_arguments():
    found = layout(graph_of([(1, 2), (0, 2)]), [(60, 20)] * 3, [(0, 0)] * 2, [])

    assert found.boxes[1].x < found.boxes[0].x


def test_a_parameter_stands_just_above_what_uses_it():
    """At the bottom of its layer, where others stand in the middle."""
    graph = graph_of([(0, 1), (0, 2), (1, 4), (2, 4), (3, 4), (4, 5)], parameters={3})
    sizes = [(60, 20), (60, 80), (60, 40), (60, 20), (60, 20), (60, 20)]

    found = layout(graph, sizes, [(0, 0)] * 6, [])

    tall, low, parameter = found.boxes[1:4]
    assert low.y == tall.y + 20
    assert parameter.y == tall.y + 60


@pytest.mark.parametrize("frames", [[None, 0, 0], [0, 0, 0]])
def test_a_title_stands_above_all_that_is_in_its_frame(frames):
    graph = graph_of([(0, 1), (1, 2)], 3, frames, (None,))

    found = layout(graph, [(60, 20)] * 3, [(0, 0)] * 2, [(90, 20)])

    inside = [p for p, frame in zip(found.boxes, frames, strict=True) if frame == 0]
    assert found.titles[0].y + 20 <= min(place.y for place in inside)


def test_two_uses_of_one_value_are_two_lines():
    found = laid_out(GRAPHS["twice"], labels=False)

    for end in (0, -1):
        first, second = (route.points[end][0] for route in found.routes)
        assert abs(first - second) >= 15


def test_long_lines_from_one_source_share_their_way():
    graph = GRAPHS["shared"]

    found = laid_out(graph, labels=False)

    starts = {route.points[0] for route in found.routes[1:11]}
    assert len(starts) == 1


def test_lines_do_not_cross_where_they_need_not():
    """In the order of the first visit they would: 1 stands between 0 and 2."""
    graph = graph_of([(0, 3), (1, 3), (0, 4), (2, 4)])

    found = layout(graph, [(60, 20)] * 5, [(0, 0)] * 4, [])

    assert found.boxes[1].x < found.boxes[0].x < found.boxes[2].x
    assert found.routes[1].points[-1] < found.routes[0].points[-1]


def test_lines_leave_a_box_in_the_order_in_which_they_arrive():
    graph = graph_of([(0, 3), (1, 2), (0, 2)])

    found = layout(graph, [(60, 20)] * 4, [(0, 0)] * 3, [])

    assert found.boxes[2].x < found.boxes[3].x
    assert found.routes[2].points[0] < found.routes[0].points[0]


@pytest.mark.parametrize(
    ("edges", "frames"),
    [
        ([(0, 1), (1, 2), (2, 0)], ()),
        ([(0, 1), (1, 2), (2, 3)], (None, 0, None, 0)),  # left, and entered again
    ],
)
def test_the_line_that_closes_a_circle_rises(edges, frames):
    graph = graph_of(edges, 4 if frames else 3, frames, (None,) if frames else ())

    found = laid_out(graph)

    rises = [route.points[0][1] > route.points[-1][1] for route in found.routes]
    assert rises == [False, False, True]
    source, target = found.boxes[2], found.boxes[edges[2][1]]
    points = found.routes[2].points
    assert points[0][1] == pytest.approx(source.y)
    assert points[-1][1] == pytest.approx(target.y + target.height)


def test_a_loop_has_no_line():
    found = laid_out(graph_of([(0, 0), (0, 1)]))

    assert found.routes[0].points == ()
    assert found.routes[1].points != ()


def test_a_line_that_goes_far_aside_gets_more_room_to_bend():
    near, far = (graph_of([(i, n) for i in range(n)]) for n in (3, 200))

    gaps = []
    for graph in (near, far):
        found = layout(
            graph, [(60, 20)] * len(graph.boxes), [(0, 0)] * len(graph.edges), []
        )
        gaps.append(found.boxes[-1].y)

    assert gaps[0] < gaps[1] < 200


def test_the_median_of_joined_wishes_is_where_half_of_their_weight_is(rng):
    for _ in range(200):
        pools = [
            _Pool(sorted(zip(rng.integers(9, size=k) / 2, weights, strict=True)))
            for k in rng.integers(1, 6, size=4)
            if (weights := [int(w) for w in rng.choice([1, 10, 40, 1000], k)])
        ]
        everything = sorted(wish for pool in pools for wish in pool.wishes)
        pool = pools[0]
        for other in pools[1:]:
            pool = pool.joined(other)

        each = [x for x, weight in everything for _ in range(weight)]
        assert pool.median == np.median(each)
        assert (pool.wishes, pool.count) == (everything, 4)


def test_a_thousand_boxes_and_two_thousand_edges_are_laid_out():
    graph = scattered(0, 1000, 2000)

    found = laid_out(graph)

    assert len(found.boxes) == 1000
    assert found.width < 1e5 and found.height < 1e5


def test_left_to_right_leads_right():
    graph = two_layers()

    found = laid_out(graph, "LR")

    for edge in graph.edges:
        source, target = found.boxes[edge.source], found.boxes[edge.target]
        assert source.x + source.width < target.x


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="'BT'; it may be 'TB' or 'LR'"):
        laid_out(GRAPHS["pair"], "BT")


def test_the_layout_is_the_same_in_every_process():
    """With every order of sets, that is."""
    code = (
        "import test_layout as t\n"
        "for name in ('two layers', 'nested', 'scattered in frames 0'):\n"
        "    print(t.laid_out(t.GRAPHS[name]))"
    )
    printed = set()
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=__file__.rpartition("/")[0],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)

    assert len(printed) == 1
    assert printed != {""}
