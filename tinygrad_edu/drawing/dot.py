"""A graph in the DOT language, and the program ``dot`` that draws it."""

from __future__ import annotations

import html
import math
import subprocess
from collections import defaultdict

import graphviz

from tinygrad_edu.drawing.graph import Box, Edge, Graph
from tinygrad_edu.drawing.svg import HEAT, shade

__all__ = ["run_dot", "to_dot"]

# Okabe and Ito's colours, which every kind of colour vision tells apart; what they say
# is said by outlines, dashes and words, too.
_FONT = {"fontname": "Helvetica,Arial,sans-serif", "fontsize": "10"}
_STYLES = {
    "input": {"style": "rounded,filled", "fillcolor": "white"},
    "parameter": {
        "style": "filled",
        "fillcolor": "#D6E8F7",
        "color": "#0072B2",
        "penwidth": "2.5",
    },
    "operation": {"style": "rounded,filled", "fillcolor": "#F2F2F2"},
    "layer": {"style": "rounded,filled", "fillcolor": "#F2F2F2", "penwidth": "1.5"},
    "failed": {"style": "filled,dashed", "fillcolor": "white", "penwidth": "3"},
    "rest": {"style": "rounded,dotted"},
}
_OUTPUT = {"peripheries": "2", "fillcolor": "#FBE3C6"}
_FRAME = {
    "style": "rounded,filled",
    "fillcolor": "#F7FBFF",
    "color": "#0072B2",
    "labeljust": "l",
}
_GRADIENT = {
    "style": "dashed",
    "arrowhead": "vee",
    "color": "#D55E00",
    "fontcolor": "#B84A00",
    "constraint": "false",
}
_LEGEND = (
    "round corners: an operation with its result, or an input",
    "sharp corners, thick border: a parameter. Double border: what is drawn",
    "solid edge: forward. Dashed edge: the gradient, and the rule that carries it",
    "a bar over a name: the gradient of the output by it. +=: added to others",
)
_KEY = (
    "the darker, the more of the time it takes: from 2 %, 5 %, 10 %, 25 %, each a "
    "shade darker"
)
_BAND = "#FDE0D2"  # behind the gradient in a box
# Where many edges cross, Graphviz searches long for a layout: with 297 among 150 boxes
# it had not ended after 100 s. Cut short, and with straight edges, it takes 3 s.
_MANY_EDGES = 150
_HURRIED = {"nslimit": "0.2", "mclimit": "0.05", "splines": "line"}
_SECONDS = 60.0  # for dot to draw; then it is stopped


def to_dot(graph: Graph, *, direction: str = "TB", legend: bool = False) -> str:
    """Return the drawing as text in the DOT language.

    Parameters
    ----------
    graph : Graph
    direction : {"TB", "LR"}, default "TB"
        Where the edges lead: from top to bottom, or from left to right.
    legend : bool, default False
        Explain the signs above the picture.

    Returns
    -------
    str
    """
    is_shaded = any(box.share is not None for box in graph.boxes)
    key = [*(_LEGEND if legend else ()), *([_KEY] if is_shaded else ())]
    drawing = graphviz.Digraph(
        graph_attr={
            "rankdir": direction,
            "ranksep": "0.4",
            "label": _html(_italic(x) for x in [*graph.notes, *key]),
            "labelloc": "t",
            "tooltip": graphviz.escape(graph.title),
            **_FONT,
        },
        node_attr={"shape": "box", "margin": "0.1,0.05", **_FONT},
        edge_attr={"color": "#333333", **_FONT, "fontsize": "9"},
    )
    if len(graph.edges) > _MANY_EDGES:
        drawing.graph_attr.update(_HURRIED)
    boxes: dict[int | None, list[int]] = defaultdict(list)
    for i, box in enumerate(graph.boxes):
        boxes[box.frame].append(i)
    frames: dict[int | None, list[int]] = defaultdict(list)
    for i, frame in enumerate(graph.frames):
        frames[frame.parent].append(i)

    def fill(cluster: graphviz.Digraph, number: int | None) -> None:
        """Put in what stands in a frame; as deep as layers are nested."""
        for i in boxes[number]:
            box = graph.boxes[i]
            style = _STYLES[box.kind] | (_OUTPUT if i == graph.output else {})
            if box.share is not None:
                filled = {"fillcolor": HEAT[shade(box.share)]}
                if box.kind == "rest":
                    filled["style"] = "rounded,dotted,filled"
                style = {**style, **filled}
            cluster.node(f"n{i}", _box(box), **style)
        for i in frames[number]:
            label = _html([_bold(graph.frames[i].title)])
            inner = graphviz.Digraph(
                f"cluster_{i}", graph_attr={"label": label, **_FRAME}
            )
            fill(inner, i)
            cluster.subgraph(inner)

    fill(drawing, None)
    for edge in graph.edges:
        ends = f"n{edge.source}", f"n{edge.target}"
        drawing.edge(*ends, _html([_escaped(edge.label)]) if edge.label else None)
        if edge.has_gradient:
            style = {**_GRADIENT, "penwidth": f"{_width(edge.norm):.2g}"}
            drawing.edge(*ends[::-1], _rule(edge), **style)
    return str(drawing.source)


def _box(box: Box) -> str:
    lines = [_bold(box.title), *map(_escaped, _details(box))]
    lines += [f"<b>! {_escaped(word)}</b>" for word in box.warnings]
    rows = "".join(f"<tr><td>{text}</td></tr>" for text in lines)
    if box.gradient:
        text = _escaped(f"gradient {box.gradient}")
        rows += f'<tr><td bgcolor="{_BAND}">{text}</td></tr>'
    return f'<<table border="0" cellborder="0" cellspacing="0">{rows}</table>>'


def _details(box: Box) -> list[str]:
    return [text for text in (box.detail, box.cost, *box.parameters, box.value) if text]


def _rule(edge: Edge) -> str | None:
    text = " ".join(["+="] * edge.adds + [_escaped(edge.rule)])
    return _html([text]) if text else None


def _width(norm: float | None) -> float:
    """Return how thick the edge of a gradient of that norm is, in points."""
    if not norm or not math.isfinite(norm):
        return 0.8
    return min(max(2 + 0.4 * math.log10(norm), 0.8), 3.0)


def _escaped(text: str) -> str:
    r"""Return text as markup; dot would read the \N in it as the name of the node."""
    return html.escape(text).replace("\\", "\\\\")


def _bold(text: str) -> str:
    return f"<b>{_escaped(text)}</b>"


def _italic(text: str) -> str:
    return f"<i>{_escaped(text)}</i>"


def _html(lines: object) -> str:
    """Return a label of several lines of markup."""
    text = "<br/>".join(f" {line} " for line in lines)  # type: ignore[attr-defined]
    return f"<{text}>" if text else ""


def run_dot(source: str, form: str) -> bytes:
    """Return the picture that the program ``dot`` makes of DOT text.

    Parameters
    ----------
    source : str
    form : {"png", "pdf"}

    Returns
    -------
    bytes

    Raises
    ------
    RuntimeError
        If Graphviz is not installed, or does not come to an end within a minute.
    """
    try:
        done = subprocess.run(
            ["dot", f"-T{form}"],
            input=source.encode(),
            capture_output=True,
            check=True,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise RuntimeError(
            f"a .{form} needs the program dot of Graphviz, which is not installed: "
            "apt install graphviz, brew install graphviz, choco install graphviz, or "
            "https://graphviz.org/download. .html, .svg and .dot work without"
        ) from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(
            f"dot did not come to an end in {_SECONDS:.0f} s; draw fewer boxes "
            '(level="layer", a smaller max_nodes), or save .svg or .html'
        ) from None
    except subprocess.CalledProcessError as error:
        told = error.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"dot failed: {told}") from None
    return done.stdout
