"""A captured graph in the DOT language, for Graphviz to draw."""

from __future__ import annotations

from typing import Any

import graphviz

from tinygrad_edu.drawing.graph import Graph

__all__ = ["Drawing", "to_dot"]

# Okabe and Ito's colours, which every kind of colour vision tells apart; what they say
# is said by the outline, too.
_FONT = {"fontname": "Helvetica,Arial,sans-serif", "fontsize": "11"}
_STYLES = {
    "operation": {"style": "rounded,filled", "fillcolor": "#F2F2F2"},
    "parameter": {
        "style": "filled",
        "fillcolor": "#D6E8F7",
        "color": "#0072B2",
        "penwidth": "2.5",
    },
    "input": {"style": "rounded,filled", "fillcolor": "white"},
}
_OUTPUT = {"peripheries": "2", "fillcolor": "#FBE3C6"}
_FRAME = {
    "style": "rounded,filled",
    "fillcolor": "#F7FBFF",
    "color": "#0072B2",
    "labeljust": "l",
}
# Where many arrows cross, Graphviz searches long for a layout: with 860 among 460 boxes
# it had not ended after a minute. Cut short, and with straight arrows, it takes 3 s.
_MANY_ARROWS = 300
_HURRIED = {"nslimit": "1", "mclimit": "0.2", "splines": "line"}


class Drawing(graphviz.Digraph):  # type: ignore[misc]  # graphviz carries no types
    """A Digraph that a notebook can show even where Graphviz is not installed."""

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            bundle: dict[str, Any] = super()._repr_mimebundle_(*args, **kwargs)
        except graphviz.ExecutableNotFound:
            how = (
                "To see the picture, install Graphviz (https://graphviz.org/download)."
            )
            return {"text/plain": f"{how} Its source:\n\n{self.source}"}
        return bundle


def to_dot(graph: Graph, direction: str = "TB") -> Drawing:
    """Return the drawing of a graph.

    Parameters
    ----------
    graph : Graph
    direction : {"TB", "LR"}, default "TB"
        Where the arrows lead: from top to bottom, or from left to right.

    Returns
    -------
    Drawing
        A :class:`graphviz.Digraph`.
    """
    drawing = Drawing(
        graph_attr={"rankdir": direction, "ranksep": "0.35", **_FONT},
        node_attr={"shape": "box", "margin": "0.15,0.07", **_FONT},
        edge_attr={"color": "#333333", **_FONT, "fontsize": "9"},
    )
    if len(graph.arrows) > _MANY_ARROWS:
        drawing.graph_attr.update(_HURRIED)
    frames = [
        graphviz.Digraph(
            f"cluster_{i}", graph_attr={"label": _label(f.title), **_FRAME}
        )
        for i, f in enumerate(graph.frames)
    ]
    for i, box in enumerate(graph.boxes):
        style = _STYLES[box.kind]
        if i == graph.output:
            style = {**style, **_OUTPUT}
        inside = drawing if box.frame is None else frames[box.frame]
        inside.node(f"n{i}", _label(box.title, box.detail, box.value), **style)
    # A frame comes after the one around it, so backwards each is complete when added.
    for frame, plan in zip(reversed(frames), reversed(graph.frames), strict=True):
        (drawing if plan.parent is None else frames[plan.parent]).subgraph(frame)
    for arrow in graph.arrows:
        label = _label(f" {arrow.label} ") if arrow.label else None
        drawing.edge(f"n{arrow.source}", f"n{arrow.target}", label)
    return drawing


def _label(*lines: str) -> Any:
    """Return the lines as they are to be read: nothing in them is markup."""
    shown = (graphviz.escape(line.replace("&", "&amp;")) for line in lines if line)
    return graphviz.nohtml(r"\n".join(shown))
