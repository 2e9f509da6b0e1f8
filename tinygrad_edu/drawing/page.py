"""The picture as a web page, in which one walks backward through it step by step.

The picture is laid out once, with every gradient on it. A step only shows and hides by
classes (``page.css``), which a script sets (``page.js``); its caption is an entry of
the list of all steps, which stands on the page for those who read without scripts.
"""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from tinygrad_edu.drawing.graph import Graph, Share, Step
from tinygrad_edu.drawing.svg import to_svg

__all__ = ["to_fragment", "to_page"]

_CONTROLS = """\
<div class="controls">
<button type="button" class="start">Whole picture</button>
<button type="button" class="back" aria-keyshortcuts="ArrowLeft">◀ Back</button>
<button type="button" class="next" aria-keyshortcuts="ArrowRight">Next ▶</button>
<label>Step <input type="range" class="slider" min="0" max="{last}" value="0">
<span class="place">0 of {last}</span></label>
</div>
"""

_ZOOM = """\
<div class="zoom">
<button type="button" class="out" aria-label="Zoom out">−</button>
<button type="button" class="in" aria-label="Zoom in">+</button>
<button type="button" class="fit">Fit</button>
</div>
"""

_DETAILS = '<p class="details">Point at a box for its details.</p>\n'


def to_page(graph: Graph, *, direction: str = "TB") -> str:
    """Return one HTML document that needs nothing else: no network and no server.

    Parameters
    ----------
    graph : Graph
    direction : {"TB", "LR"}
        Whether the inputs are at the top or at the left.

    Returns
    -------
    str
        Without steps in the graph, the page shows the picture alone. Its address takes
        the number of a step: ``page.html#3``.

    Examples
    --------
    >>> from tinygrad_edu.drawing.graph import Box, Graph
    >>> graph = Graph("x: 0 operations", "op", (Box("input", "x"),), (), (), 0)
    >>> to_page(graph).splitlines()[0]
    '<!DOCTYPE html>'
    """
    digest = b64encode(sha256(_read("page.js").encode()).digest()).decode()
    title = _text(graph.title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        # Whatever a label says, nothing is fetched and no other script runs.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{title}</title>\n</head>\n<body class="tinygrad-edu-page">\n'
        f"{_figure(graph, direction, prefix='g0', link='', heading='h1')}"
        "</body>\n</html>\n"
    )


def to_fragment(graph: Graph, *, prefix: str, direction: str = "TB") -> str:
    """Return the same as a piece of HTML, for a notebook or a larger page.

    Parameters
    ----------
    graph : Graph
    prefix : str
        Tells the figures on a page apart; a letter, then letters, digits, "_" and "-".
        The address of a step is ``#prefix-3``.
    direction : {"TB", "LR"}

    Returns
    -------
    str

    Examples
    --------
    >>> from tinygrad_edu.drawing.graph import Box, Graph
    >>> graph = Graph("x: 0 operations", "op", (Box("input", "x"),), (), (), 0)
    >>> to_fragment(graph, prefix="first").splitlines()[0]
    '<div class="tinygrad-edu-stepper" id="first" data-link="first-">'
    """
    return _figure(graph, direction, prefix=prefix, link=f"{prefix}-", heading="p")


def _figure(
    graph: Graph, direction: str, *, prefix: str, link: str, heading: str
) -> str:
    picture = to_svg(graph, direction=direction, prefix=prefix)
    walk = [f"<li>{_step(graph, step)}</li>" for step in graph.steps]
    controls, caption, steps = "", "", ""
    if walk:
        controls = _CONTROLS.format(last=len(walk))
        caption = (
            '<div class="caption" aria-live="polite" aria-atomic="true">'
            f"<div>{_legend(graph)}</div></div>\n"
        )
        steps = (
            '<details class="all" open><summary>All steps</summary>\n'
            '<ol class="steps">\n' + "\n".join(walk) + "\n</ol></details>\n"
        )
    return (
        f'<div class="tinygrad-edu-stepper" id="{prefix}" data-link="{link}">\n'
        f"<style>\n{_read('page.css')}</style>\n"
        f'<{heading} class="heading">{_text(graph.title)}</{heading}>\n'
        f'<div class="columns">\n<div class="stage">{picture}</div>\n'
        f'<div class="panel">\n{controls}{_ZOOM}{caption}{_DETAILS}</div>\n</div>\n'
        f'{steps}<script type="application/json">{_data(graph)}</script>\n'
        f"<script>{_read('page.js')}</script>\n</div>\n"
    )


def _legend(graph: Graph) -> str:
    output = _text(graph.boxes[graph.output].name)
    return (
        f"<p>Solid arrows lead forward, to {output}. Dashed arrows lead back: each "
        "carries a gradient, by the rule that is written on it.</p>\n"
        f"<p>A bar means the gradient: x̄ stands for ∂{output}/∂x, how {output} changes "
        "with x. Where += is written, several gradients are added up.</p>"
    )


def _step(graph: Graph, step: Step) -> str:
    box = graph.boxes[step.box]
    shares = "\n".join(f"<li>{_share(graph, share)}</li>" for share in step.shares)
    start = "The walk starts here. " if step.box == graph.output else ""
    return (
        f"<p><b>{_text(box.title)}</b><br>{_text(box.detail)}</p>\n"
        f"<p>{start}It is given {_text(step.incoming)}.</p>\n"
        f"<p>By the chain rule, it hands on:</p>\n<ul>{shares}</ul>"
    )


def _share(graph: Graph, share: Share) -> str:
    value = share.value
    if share.edge is not None:
        value = f"to {graph.boxes[graph.edges[share.edge].source].name}: {value}"
    shapes = f"shapes {share.shapes}" if share.shapes else ""
    lines = [value, shapes, share.note]
    said = "".join(f"<br>{_text(line)}" for line in lines if line)
    return f"<strong>{_text(share.formula)}</strong>{said}"


def _data(graph: Graph) -> str:
    """Return what the script has to know: numbers alone, no text from a user."""
    steps: list[Any] = []
    more: list[int] = []  # boxes to which shares are added that are not shown
    begun: set[int] = set()
    for step in graph.steps:
        # A layer's own parameters have no edge.
        edges = [share.edge for share in step.shares if share.edge is not None]
        steps.append([step.box, edges])
        for share in step.shares:
            if share.edge is None:
                continue
            source = graph.edges[share.edge].source
            if source not in begun and " += " in share.formula:
                more.append(source)
            begun.add(source)
    sources = [edge.source for edge in graph.edges]
    told = {"output": graph.output, "sources": sources, "steps": steps, "more": more}
    return json.dumps(told)


def _text(text: str) -> str:
    """Return ``text`` as HTML, without control and direction characters."""
    return escape("".join(filter(str.isprintable, text)))


def _read(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
