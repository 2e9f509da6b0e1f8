"""The graph as an SVG picture: text in boxes, and lines between them."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from string import Template

from tinygrad_edu.drawing.graph import Box, Edge, Graph
from tinygrad_edu.drawing.layout import Point, Rectangle, Size, layout

__all__ = ["HEAT", "STYLE", "shade", "to_svg"]

_SHOWN = 60  # characters of a line
_LINE = 15.0  # from one line of text to the next
_MARGIN = 16.0  # around the drawing
_SIDE = 12.0  # between the text and the sides of its box
_SHIFT = 5.0  # of the forward line to one side, and of the gradient to the other

#: Width of characters for a font size of 1, by the widest of the common fonts (DejaVu
#: Sans, Verdana); those that are not here have the width of their sort.
_WIDTHS = {
    character: width
    for width, characters in {
        0.35: " ',./:;\\|fijlIJ·",
        0.42: "!()[]-rtᵀ",
        0.54: '"*_`‖∂?szLF',
        0.84: "#$&+<=>^{}~×⊙−→≥≤w",
        1.0: "mMW",
    }.items()
    for character in characters
}
_BOLD = 1.16  # bold letters are wider

_LIGHT = {
    "paper": "#FFFFFF",
    "ink": "#000000",
    "line": "#333333",
    "input": "#FFFFFF",
    "parameter": "#D6E8F7",
    "border": "#0072B2",
    "operation": "#F2F2F2",
    "head": "#DADADA",
    "output": "#FBE3C6",
    "failed": "#FFFFFF",
    "frame": "#F7FBFF",
    "back": "#D55E00",
    "backtext": "#B84A00",
    "band": "#FDE0D2",
    "bandtext": "#8F3900",
}
_DARK = {
    "paper": "#16191D",
    "ink": "#F4F4F4",
    "line": "#C8C8C8",
    "input": "#16191D",
    "parameter": "#143C5A",
    "border": "#56B4E9",
    "operation": "#32363C",
    "head": "#4A5058",
    "output": "#573A14",
    "failed": "#16191D",
    "frame": "#1D2530",
    "back": "#F08A3C",
    "backtext": "#FFB27A",
    "band": "#54290F",
    "bandtext": "#FFD2B3",
}
_GREY = {
    "paper": "#FFFFFF",
    "ink": "#000000",
    "line": "#000000",
    "input": "#FFFFFF",
    "parameter": "#E2E2E2",
    "border": "#000000",
    "operation": "#F4F4F4",
    "head": "#D4D4D4",
    "output": "#FFFFFF",
    "failed": "#FFFFFF",
    "frame": "#FCFCFC",
    "back": "#555555",
    "backtext": "#333333",
    "band": "#E8E8E8",
    "bandtext": "#000000",
}
#: Shares of the time from which on a box is a shade darker; and the shades, on a light
#: page, on a dark one, and in grey print. One hue, and text is legible on all of them.
_SHADES_FROM = (0.02, 0.05, 0.1, 0.25)
HEAT = ("#FFF7EC", "#FEE0B6", "#FDBF77", "#F59A45", "#E0701A")
_HEAT_DARK = ("#2B2622", "#46301D", "#663D18", "#874A10", "#A85708")
_HEAT_GREY = ("#FAFAFA", "#E2E2E2", "#C8C8C8", "#AAAAAA", "#8A8A8A")

# S stands for the drawing, so that no rule touches the rest of a page.
_COLOURS = """\
S { background: $paper; color: $ink; }
S text { fill: $ink; }
S .shape { fill: $operation; stroke: $line; }
S .input .shape, S .rest .shape { fill: $input; }
S .parameter .shape { fill: $parameter; stroke: $border; }
S .output .shape { fill: $output; }
S .failed .shape { fill: $failed; stroke: $ink; }
S .head { fill: $head; }
S .frame .shape { fill: $frame; stroke: $border; }
S .label { fill: $line; }
S .forward { stroke: $line; }
S .arrow { fill: $line; }
S path.gradient, S .vee { stroke: $back; }
S .rule, S .adds { fill: $backtext; }
S rect.gradient { fill: $band; stroke: $back; }
S text.gradient { fill: $bandtext; }
"""
_SHAPES = """\
S { max-width: 100%; height: auto; font: 11px system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif; }
S text { white-space: pre; }
S .box text, S .frame text { text-anchor: middle; }
S .frame text { text-anchor: start; font-size: 15px; }
S .box .title { font-size: 13px; font-weight: bold; }
S .warning, S .adds, S .name { font-weight: bold; }
S .label, S .rule, S .adds { font-size: 12px; }
S .note { font-style: italic; }
S .forward, S path.gradient, S .vee { fill: none; }
S path.gradient { stroke-dasharray: 6 4; }
S rect.gradient { stroke-width: 0.6; }
S .parameter .shape { stroke-width: 2.5; }
S .failed .shape { stroke-width: 3; stroke-dasharray: 8 5; }
S .rest .shape { stroke-dasharray: 2 3; }
"""


def _css(template: str, palette: dict[str, str], indent: str = "") -> str:
    text = Template(template).substitute(palette).replace("S ", "svg.tinygrad-edu ")
    return textwrap.indent(text, indent)


#: The style sheet of every drawing; a page with several needs it only once.
STYLE = (
    _css(_SHAPES + _COLOURS, _LIGHT)
    + f"@media (prefers-color-scheme: dark) {{\n{_css(_COLOURS, _DARK, '  ')}}}\n"
    + f"@media print {{\n{_css(_COLOURS, _GREY, '  ')}}}\n"
)


def _heat_css(shades: Sequence[str], indent: str = "") -> str:
    rules = (
        f"S .shade{i} .shape {{ fill: {shade}; }}\n" for i, shade in enumerate(shades)
    )
    return _css("".join(rules), {}, indent)


#: More of it, for a drawing whose boxes are shaded by their share of the time.
_HEAT_STYLE = (
    _css("S .shaded .head { fill: none; }\n", {})
    + _heat_css(HEAT)
    + f"@media (prefers-color-scheme: dark) {{\n{_heat_css(_HEAT_DARK, '  ')}}}\n"
    + f"@media print {{\n{_heat_css(_HEAT_GREY, '  ')}}}\n"
)


def shade(share: float) -> int:
    """Return the number of the shade for a share of the time, 0 to 4."""
    return sum(share >= start for start in _SHADES_FROM)


def to_svg(
    graph: Graph,
    *,
    direction: str = "TB",
    prefix: str = "g0",
    style: bool = True,
    legend: bool = False,
) -> str:
    """Return the graph as the text of an SVG picture.

    Boxes, edges and frames are groups with the classes ``box``, ``edge`` and ``frame``
    and their number in the graph as ``data-box``, ``data-edge`` and ``data-frame``.

    Parameters
    ----------
    graph : Graph
        What to draw.
    direction : {"TB", "LR"}
        From top to bottom, or from left to right.
    prefix : str
        What all ids in the picture start with; give two pictures on one page two.
    style : bool
        Whether to include :data:`STYLE`.
    legend : bool
        Whether to explain the shapes and lines below the drawing.

    Returns
    -------
    str

    Examples
    --------
    >>> boxes = (Box("input", "x"), Box("operation", "y", "exp(x)"))
    >>> graph = Graph("y: 1 operation", "op", boxes, (Edge(0, 1),), (), 1)
    >>> picture = to_svg(graph, style=False)
    >>> picture.splitlines()[1]
    '<title id="g0-title">y: 1 operation</title>'
    """
    return "\n".join(_Picture(graph, direction, prefix).lines(style, legend))


class _Picture:
    """What is drawn where: the texts, then their sizes, then the layout."""

    def __init__(self, graph: Graph, direction: str, prefix: str) -> None:
        self.graph, self.prefix = graph, escape(prefix)
        self.is_turned = direction == "LR"
        self.is_shaded = any(box.share is not None for box in graph.boxes)
        self.texts = [self._box_texts(box) for box in graph.boxes]
        self.titles = [_line(frame.title) for frame in graph.frames]
        lines = Counter(edge.source for edge in graph.edges)
        lines |= Counter(edge.target for edge in graph.edges)
        self.layout = layout(
            graph,
            [_box_size(texts, lines[i]) for i, texts in enumerate(self.texts)],
            [_block_size(self._edge_texts(edge)) for edge in graph.edges],
            [(_width(title, 15, bold=True), 20.0) for title in self.titles],
            direction=direction,
        )

    def lines(self, style: bool, legend: bool) -> Iterator[str]:
        graph, found = self.graph, self.layout
        notes = [
            line
            for note in graph.notes
            for line in textwrap.wrap(_clean(note), _SHOWN + 10)
        ]
        key = [*(self._legend() if legend else ()), *self._shades()]
        top = _MARGIN + len(notes) * _LINE + (_LINE / 2 if notes else 0)
        wide = [_width(note, 11) for note in notes] + [found.width, 230 if key else 0]
        width = max(wide) + 2 * _MARGIN
        height = top + found.height + _MARGIN + len(key) * 22 + (14 if key else 0)
        size = f'width="{_number(width)}" height="{_number(height)}"'
        yield (
            '<svg xmlns="http://www.w3.org/2000/svg" class="tinygrad-edu" role="img" '
            f'aria-labelledby="{self.prefix}-title {self.prefix}-desc" direction="ltr" '
            f'viewBox="0 0 {_number(width)} {_number(height)}" {size}>'
        )
        yield f'<title id="{self.prefix}-title">{_escaped(graph.title)}</title>'
        yield f'<desc id="{self.prefix}-desc">{_escaped(self._description())}</desc>'
        if style:
            more = _HEAT_STYLE if self.is_shaded else ""
            yield f"<style>\n{STYLE}{more}</style>"
        yield (
            f'<defs><marker id="{self.prefix}-arrow" markerUnits="userSpaceOnUse" '
            'markerWidth="11" markerHeight="9" refX="10" refY="4.5" orient="auto">'
            '<path class="arrow" d="M0 0L11 4.5L0 9z"/></marker>'
            f'<marker id="{self.prefix}-vee" markerUnits="userSpaceOnUse" '
            'markerWidth="13" markerHeight="14" refX="1" refY="7" orient="auto">'
            '<path class="vee" stroke-width="2" d="M12 1.5L1 7L12 12.5"/></marker>'
            "</defs>"
        )
        for i, note in enumerate(notes):
            y = _MARGIN + _LINE * (i + 0.7)
            yield _text("note", _MARGIN, y, note)
        yield f'<g transform="translate({_number(_MARGIN)} {_number(top)})">'
        for i in range(len(graph.frames)):
            yield from self._frame(i)
        for i in range(len(graph.edges)):
            yield from self._edge(i)
        for i in range(len(graph.boxes)):
            yield from self._box(i)
        yield "</g>"
        if key:
            yield '<g class="legend">'
            for i, (picture, words) in enumerate(key):
                y = top + found.height + 14 + 22 * i
                yield f'<g transform="translate({_number(_MARGIN)} {_number(y)})">'
                yield picture + _text("label", 46.0, 12.0, words) + "</g>"
            yield "</g>"
        yield "</svg>"

    # ------------------------------------------------------------------------- texts

    def _box_texts(self, box: Box) -> list[tuple[str, str]]:
        """Return class and text of each line."""
        texts = [("title", box.title), ("detail", box.detail), ("cost", box.cost)]
        texts += [("parameters", text) for text in box.parameters]
        texts.append(("value", box.value))
        warnings = [*(["failed"] if box.kind == "failed" else []), *box.warnings]
        texts += [("warning", f"⚠ {word}") for word in dict.fromkeys(warnings)]
        if box.gradient:
            texts.append(("gradient", f"gradient {box.gradient}"))
        lines = [(name, _line(text)) for name, text in texts]
        return [(name, text) for name, text in lines if text or name == "title"]

    def _edge_texts(self, edge: Edge) -> list[list[tuple[str, str]]]:
        """Return class and text of what stands on each line."""
        back = []
        if edge.has_gradient:
            back = [("adds", "+=")] if edge.adds else []
            if _line(edge.rule):
                back.append(("rule", _line(edge.rule)))
        ahead = [("label", _line(edge.label))] if _line(edge.label) else []
        return [texts for texts in (ahead, back) if texts]

    def _description(self) -> str:
        names = [_line(box.name) for box in self.graph.boxes]
        users: list[list[str]] = [[] for _ in names]
        for edge in self.graph.edges:
            if names[edge.target] not in users[edge.source]:
                users[edge.source].append(names[edge.target])
        sentences = []
        for texts, used in zip(self.texts, users, strict=True):
            sentence = ", ".join(text for _, text in texts)
            sentences.append(
                sentence + (f"; used by {', '.join(used)}." if used else ".")
            )
        return "\n".join(sentences)

    # ------------------------------------------------------------------------- parts

    def _box(self, i: int) -> Iterator[str]:
        box, place, texts = self.graph.boxes[i], self.layout.boxes[i], self.texts[i]
        is_output = i == self.graph.output
        middle = place.x + place.width / 2
        kind = escape(box.kind) + " output" * is_output
        if box.share is not None:
            kind += f" shaded shade{shade(box.share)}"
        yield f'<g class="box {kind}" data-box="{i}">'
        yield f"<title>{_escaped(_whole(box, texts))}</title>"
        yield _shape(place, box.kind, is_output)
        y = place.y + _TOP
        for name, text in texts:
            if name == "gradient":
                band = Rectangle(
                    place.x + _EDGE,
                    place.y + place.height - _EDGE - _LINE,
                    place.width - 2 * _EDGE,
                    _LINE,
                )
                yield _rectangle("gradient", band, 3)
                y = band.y
            yield _text(name, middle, y + 0.76 * _LINE, text)
            y += _TITLE if name == "title" else _LINE
        yield "</g>"

    def _edge(self, i: int) -> Iterator[str]:
        edge, route = self.graph.edges[i], self.layout.routes[i]
        is_back = edge.has_gradient
        yield f'<g class="edge" data-edge="{i}">'
        if route.points:
            path = self._path(route.points, -_SHIFT if is_back else 0.0)
            end = f"url(#{self.prefix}-arrow)"
            yield f'<path class="forward" d="{path}" marker-end="{end}"/>'
            if is_back:
                # From the source, so that the dashes of those that share a way agree.
                path = self._path(route.points, _SHIFT)
                end = f"url(#{self.prefix}-vee)"
                wide = _number(_thickness(edge.norm))
                yield (
                    f'<path class="gradient" d="{path}" stroke-width="{wide}" '
                    f'marker-start="{end}"/>'
                )
        if route.label is not None:
            y = route.label.y + 0.76 * _LINE
            for texts in self._edge_texts(edge):
                x = route.label.x
                for name, text in texts:
                    yield _text(name, x, y, text)
                    x += _width("+= ", 12, bold=True)
                y += _LINE
        yield "</g>"

    def _frame(self, i: int) -> Iterator[str]:
        place, title = self.layout.frames[i], self.layout.titles[i]
        name, colon, rest = self.titles[i].partition(":")
        text = f'<tspan class="name">{escape(name)}</tspan>{escape(colon + rest)}'
        yield f'<g class="frame" data-frame="{i}">'
        yield _rectangle("shape", place, 12)
        yield _text("title", title.x, title.y + 14, text, is_markup=True)
        yield "</g>"

    def _path(self, points: Sequence[Point], shift: float) -> str:
        """Return a path along the points, but to one side of them."""
        if self.is_turned:
            points = [(y, x) for x, y in points]
        (x, y), *rest = points
        path = [("M", [(x + shift, y)])]
        for to_x, to_y in rest:
            if to_x == x:
                path.append(("L", [(x + shift, to_y)]))
            else:
                bend = (to_y - y) / 2
                # Where it goes sideways, the two lines of an edge keep their distance.
                slope = (to_x - x) / (to_y - y) if to_y != y else 0.0
                lean = -shift * min(max(slope, -1.3), 1.3)
                ends = [(x, y + bend + lean), (to_x, to_y - bend + lean), (to_x, to_y)]
                path.append(("C", [(x + shift, y) for x, y in ends]))
            x, y = to_x, to_y
        if self.is_turned:
            path = [(to, [(y, x) for x, y in points]) for to, points in path]
        return "".join(
            to + " ".join(f"{_number(x)} {_number(y)}" for x, y in points)
            for to, points in path
        )

    def _legend(self) -> Iterator[tuple[str, str]]:
        """Return a small picture and an explanation of all that is in the drawing."""
        place = Rectangle(0, 0, 34, 16)
        for kind, words in _KINDS.items():
            if any(box.kind == kind for box in self.graph.boxes):
                shape = _shape(place, kind, is_output=False)
                yield f'<g class="key {kind}">{shape}</g>', words
        shape = _shape(place, "operation", is_output=True)
        yield f'<g class="key operation output">{shape}</g>', "what is drawn"
        if self.graph.edges:
            line = f'd="M0 8L34 8" marker-end="url(#{self.prefix}-arrow)"'
            yield f'<path class="forward" {line}/>', "forward: is used by"
        if any(e.has_gradient for e in self.graph.edges):
            line = f'd="M0 8L34 8" marker-start="url(#{self.prefix}-vee)"'
            yield (
                f'<path class="gradient" stroke-width="2" {line}/>',
                "backward: hands on a gradient; the thicker, the larger",
            )
            if any(edge.adds for edge in self.graph.edges):
                adds = _text("adds", 8.0, 12.0, "+=")
                yield adds, "several gradients are added up"

    def _shades(self) -> Iterator[tuple[str, str]]:
        """Return the same for the shades, without which they would say nothing."""
        if not self.is_shaded:
            return
        shape = _rectangle("shape", Rectangle(0, 0, 34, 16), 4)
        for i, start in enumerate((0.0, *_SHADES_FROM)):
            words = f"{100 * start:.0f} % of the time or more" if i else "less"
            yield f'<g class="key shaded shade{i}">{shape}</g>', words


_KINDS = {
    "input": "input",
    "parameter": "parameter",
    "operation": "operation and its result",
    "layer": "layer",
    "failed": "operation that failed",
    "rest": "what is not shown",
}
_TOP = 7.0  # from the border of a box to its text
_EDGE = 5.0  # from the border of a box to the band with the gradient
_TITLE = 19.0  # height of the first line


def _shape(place: Rectangle, kind: str, is_output: bool) -> str:
    radius = 0 if kind == "parameter" else 7
    parts = [_rectangle("shape", place, radius)]
    if is_output:  # a double border
        parts.append(_rectangle("shape", _smaller(place, 3), radius and radius - 3))
    if kind == "layer":
        height = min(_TITLE, place.height - 8)
        head = Rectangle(place.x + 4, place.y + 4, place.width - 8, height)
        parts.append(_rectangle("head", head, radius - 4))
    return "".join(parts)


def _smaller(place: Rectangle, by: float) -> Rectangle:
    width, height = place.width - 2 * by, place.height - 2 * by
    return Rectangle(place.x + by, place.y + by, width, height)


def _rectangle(name: str, place: Rectangle, radius: float) -> str:
    sides = {"x": place.x, "y": place.y, "width": place.width, "height": place.height}
    if radius:
        sides["rx"] = radius
    attributes = " ".join(f'{side}="{_number(x)}"' for side, x in sides.items())
    return f'<rect class="{name}" {attributes}/>'


def _text(name: str, x: float, y: float, text: str, *, is_markup: bool = False) -> str:
    text = text if is_markup else escape(text)
    return f'<text class="{name}" x="{_number(x)}" y="{_number(y)}">{text}</text>'


def _box_size(texts: list[tuple[str, str]], lines: int) -> Size:
    """Return room for the texts, and for the arrowheads of that many lines."""
    width = max(
        _width(text, 13, bold=True)
        if name == "title"
        else _width(text, 11, bold=name == "warning")
        for name, text in texts
    )
    has_band = texts[-1][0] == "gradient"
    height = (
        _TOP + _TITLE + _LINE * (len(texts) - 1) + (_EDGE + 2 if has_band else _TOP)
    )
    return max(width + 2 * _SIDE, 12 + 20 * min(lines, 10)), height


def _block_size(lines: list[list[tuple[str, str]]]) -> Size:
    """Return the size of the text at an edge."""
    widths = [
        sum(
            _width("+= " if name == "adds" else text, 12, bold=name == "adds")
            for name, text in texts
        )
        for texts in lines
    ]
    return max(widths, default=0.0), _LINE * len(lines)


def _whole(box: Box, texts: list[tuple[str, str]]) -> str:
    """Return all texts of a box, uncut."""
    lines = [box.title, box.detail, box.cost, *box.parameters, box.value]
    lines += box.warnings
    if any(name == "gradient" for name, _ in texts):
        lines.append(f"gradient {box.gradient}")
    return "\n".join(text for text in map(_clean, lines) if text)


def _thickness(norm: float | None) -> float:
    """Return how thick the line of a gradient of that norm is."""
    if not norm or not math.isfinite(norm):
        return 1.0
    return min(max(2.4 + 0.5 * math.log10(norm), 1.0), 4.0)


# ------------------------------------------------------------------ characters, numbers


def _clean(text: str) -> str:
    """Return ``text`` on one line, without control and direction characters."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def _line(text: str) -> str:
    text = _clean(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _escaped(text: str) -> str:
    return escape("\n".join(map(_clean, text.splitlines())))


def _width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide ``text`` is at most, in pixels."""
    return size * sum(map(_character_width, text)) * (_BOLD if bold else 1.0)


def _character_width(character: str) -> float:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if unicodedata.category(character) in ("Mn", "Me"):  # stands on the one before
        return 0.0
    if character.islower() or character.isdigit():
        return 0.66
    return 0.8 if character.isupper() else 1.0


def _number(x: float) -> str:
    """Return a number of pixels, the same on every machine."""
    text = f"{x + 0.0:.1f}"
    return text.removesuffix(".0")
