"""A graph as text: what was computed, from the output down to what went in."""

from __future__ import annotations

from collections import defaultdict

from tinygrad_edu.drawing.graph import Box, Edge, Graph, Step

__all__ = ["steps_text", "to_text"]


def to_text(graph: Graph) -> str:
    """Return the drawing as a tree of text.

    The output stands on top, and below each box what it was computed from. A box that
    is used several times is written out once; afterwards its name stands for it. What
    flows back stands below each box.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    str
    """
    inputs: dict[int, list[Edge]] = defaultdict(list)
    for used in graph.edges:
        inputs[used.target].append(used)
    lines = [graph.title, *(f"({note})" for note in graph.notes)]
    written: set[int] = set()
    # One level of indentation for each time that more than one input branches off:
    # a chain of thousands stays in one column.
    todo: list[tuple[int, int, Edge | None]] = [(graph.output, 0, None)]
    while todo:
        i, depth, edge = todo.pop()
        lines += _lines(graph, i, depth, edge, i in written)
        if i in written:
            continue
        written.add(i)
        below = inputs[i]
        depth += len(below) > 1
        todo += [(e.source, depth, e) for e in reversed(below)]
    return "\n".join(lines)


def _lines(
    graph: Graph, i: int, depth: int, edge: Edge | None, again: bool
) -> list[str]:
    box = graph.boxes[i]
    pad = "  " * depth
    text = pad + (f"{box.name} (above)" if again else _describe(box, graph))
    found = [text]
    if edge is not None and edge.label:
        found[0] += f" [{edge.label}]"
    if edge is not None and edge.rule:
        sign = "+=" if edge.adds else "="
        found.append(f"{pad}    gradient {sign} {edge.rule}")
    return found


def _describe(box: Box, graph: Graph) -> str:
    parts = [box.detail, box.cost, *box.parameters, box.value]
    parts += [f"gradient {box.gradient}"] if box.gradient else []
    parts += [f"! {word}" for word in box.warnings]
    parts += [] if box.frame is None else [f"in {graph.frames[box.frame].title}"]
    about = "; ".join(part for part in parts if part)
    return f"{box.title}: {about}" if about else box.title


def steps_text(graph: Graph) -> str:
    """Return the walk backward, one operation after the other.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    str
    """
    total = len(graph.steps)
    lines: list[str] = []
    for number, step in enumerate(graph.steps, 1):
        lines.append(f"Step {number} of {total}: {graph.boxes[step.box].title}")
        lines += _step(step)
    return "\n".join(lines)


def _step(step: Step) -> list[str]:
    lines = [f"  is given  {step.incoming}"]
    for share in step.shares:
        more = "; ".join(x for x in (share.shapes, share.value, share.note) if x)
        lines.append(f"  hands on  {share.formula}    {more}")
    return lines
