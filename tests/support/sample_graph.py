"""A graph small enough to be checked by hand, for the tests of what is drawn of it."""

from __future__ import annotations

from dataclasses import replace

from tinygrad_edu.drawing.graph import Box, Edge, Graph, Share, Step

#: q = z², loss = q + z at z = w · x, w = 3 and x = 2. The gradients of both uses of z
#: are added up: 1 + 12.
GRAPH = Graph(
    title="loss: 3 operations",
    level="op",
    boxes=(
        Box("parameter", "w", "", "parameter, () float64", value="3", gradient="26"),
        Box("input", "x", "", "input, () float64", value="2"),
        Box("operation", "z", "w · x", "multiply, ()", value="6", gradient="13"),
        Box("operation", "q", "z²", "square, ()", value="36", gradient="1"),
        Box("operation", "loss", "q + z", "add, ()", value="42", gradient="1"),
    ),
    edges=(
        Edge(0, 2, rule="z̄ x", has_gradient=True, norm=26.0),
        Edge(1, 2),
        Edge(2, 3, rule="q̄ 2 z", has_gradient=True, adds=True, norm=12.0),
        Edge(3, 4, rule="loss̄", has_gradient=True, norm=1.0),
        Edge(2, 4, rule="loss̄", has_gradient=True, adds=True, norm=1.0),
    ),
    frames=(),
    output=4,
    steps=(
        Step(
            box=4,
            incoming="loss̄: (), 1",
            shares=(
                Share(3, "q̄ = loss̄", "() → ()", "1"),
                Share(4, "z̄ = loss̄", "() → ()", "1", "1st of 2: one more to come"),
            ),
        ),
        Step(
            box=3,
            incoming="q̄: (), 1",
            shares=(Share(2, "z̄ += q̄ 2 z", "() → ()", "12", "2nd of 2: complete"),),
        ),
        Step(
            box=2,
            incoming="z̄: (), 13",
            shares=(Share(0, "w̄ = z̄ x", "(), () → ()", "26"),),
        ),
    ),
)

#: The same without a walk backward, as with ``backward="off"``.
STILL = replace(GRAPH, steps=())

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "<!--<script>",
    "javascript:window.hacked = 1",
    "\\\" '; window.hacked = 1; //",
    "a\u2028b\u2029c\nd\x00e\u202ef",
)


def labelled(text: str) -> Graph:
    """Return the graph with ``text`` in every place that a user's text can reach."""
    boxes = tuple(replace(box, name=f"{box.name}{text}") for box in GRAPH.boxes)
    edges = tuple(replace(edge, label=text, rule=text) for edge in GRAPH.edges)
    steps = tuple(
        replace(
            step,
            incoming=text,
            shares=tuple(replace(s, formula=text, note=text) for s in step.shares),
        )
        for step in GRAPH.steps
    )
    return replace(
        GRAPH, title=text, boxes=boxes, edges=edges, steps=steps, notes=(text,)
    )
