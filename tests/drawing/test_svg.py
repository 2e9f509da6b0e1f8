"""The SVG picture: well-formed, safe, readable, with the classes a page relies on."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tinygrad_edu.drawing import svg
from tinygrad_edu.drawing.graph import Box, Edge, Frame, Graph
from tinygrad_edu.drawing.svg import STYLE, to_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"

HOSTILE = [
    "<script>alert('1')</script>",
    'quo"te\\ & </title></desc></style>]]>',
    "new\nline\ttab\x00\x1b[31m\x85\ud800\ufffe",
    "\u202eright to left\u202c \u2066שלום\u2069",
    "x" * 10_000,
    "{|} %s $paper url(#a) javascript:alert(1)",
    "",
]


GOLDEN = """\
<svg xmlns="http://www.w3.org/2000/svg" class="tinygrad-edu" role="img" aria-labelledby="p-title p-desc" direction="ltr" viewBox="0 0 121.6 187" width="121.6" height="187">
<title id="p-title">y: 1 operation</title>
<desc id="p-desc">w, 2, gradient 3; used by y.
y = w².</desc>
<defs><marker id="p-arrow" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="9" refX="10" refY="4.5" orient="auto"><path class="arrow" d="M0 0L11 4.5L0 9z"/></marker><marker id="p-vee" markerUnits="userSpaceOnUse" markerWidth="13" markerHeight="14" refX="1" refY="7" orient="auto"><path class="vee" stroke-width="2" d="M12 1.5L1 7L12 12.5"/></marker></defs>
<g transform="translate(16 16)">
<g class="edge" data-edge="0">
<path class="forward" d="M37.2 63L37.2 122" marker-end="url(#p-arrow)"/>
<path class="gradient" d="M47.2 63L47.2 122" stroke-width="1" marker-start="url(#p-vee)"/>
<text class="rule" x="55.2" y="96.4">2 w ȳ</text>
</g>
<g class="box parameter" data-box="0">
<title>w
2
gradient 3</title>
<rect class="shape" x="0" y="0" width="84.5" height="63"/>
<text class="title" x="42.2" y="18.4">w</text>
<text class="value" x="42.2" y="37.4">2</text>
<rect class="gradient" x="5" y="43" width="74.5" height="15" rx="3"/>
<text class="gradient" x="42.2" y="54.4">gradient 3</text>
</g>
<g class="box operation output" data-box="1">
<title>y = w²</title>
<rect class="shape" x="2.4" y="122" width="79.8" height="33" rx="7"/><rect class="shape" x="5.4" y="125" width="73.8" height="27" rx="4"/>
<text class="title" x="42.2" y="140.4">y = w²</text>
</g>
</g>
</svg>
"""  # noqa: E501


def layer():
    """x -> [W, b: z, a] -> h, with rules, a sum and a warning."""
    boxes = (
        Box("input", "x", detail="(2, 3) float64"),
        Box("parameter", "W", gradient="norm 0.5", frame=0),
        Box("parameter", "b", gradient="norm 100", frame=0),
        Box("operation", "z", "x · W", "matmul", gradient="norm 1e-05", frame=0),
        Box("operation", "a", "z + b", "add", gradient="[1, 2]", frame=0),
        Box("operation", "h", "σ(a)", "sigmoid", warnings=("saturated 93 %",)),
    )
    edges = (
        Edge(0, 3),
        Edge(1, 3, rule="xᵀ · z̄", has_gradient=True, norm=0.5),
        Edge(3, 4, rule="ā", has_gradient=True, adds=True, norm=1e-5),
        Edge(2, 4, "repeated", "Σ over axis 0 of ā", has_gradient=True, norm=100.0),
        Edge(4, 5, rule="h̄ ⊙ h(1 - h)", has_gradient=True),
    )
    frames = (Frame("fc1: Linear"),)
    return Graph("h: 3 operations", "op", boxes, edges, frames, 5, (), ("a note",))


def every_kind():
    kinds = ("input", "parameter", "operation", "layer", "failed", "rest", "operation")
    boxes = tuple(Box(kind, f"t{i}", gradient="1") for i, kind in enumerate(kinds))
    edges = tuple(
        Edge(i, i + 1, rule="r", has_gradient=True, adds=True) for i in range(6)
    )
    return Graph("", "layer", boxes, edges, (), 6)


def hostile():
    boxes = tuple(Box("operation", t, t, t, (t,), t, t, (t,)) for t in HOSTILE)
    edges = tuple(
        Edge(i, i + 1, t, t, has_gradient=True, adds=True)
        for i, t in enumerate(HOSTILE[1:])
    )
    frames = tuple(map(Frame, HOSTILE))
    return Graph(
        " ".join(HOSTILE[:4]), "op", boxes, edges, frames, 2, (), tuple(HOSTILE)
    )


def drawn(graph, **options):
    return ElementTree.fromstring(to_svg(graph, **options))


def found(root, tag, name=None):
    """The elements of that tag, and with that class."""
    return [
        element
        for element in root.iter(NAMESPACE + tag)
        if name is None or name in element.get("class", "").split()
    ]


def words(root, name):
    return ["".join(text.itertext()) for text in found(root, "text", name)]


def curve(path):
    """Points along a path of lines and cubic Bézier curves."""
    points = []
    for command, numbers in re.findall(r"([MLC])([^MLC]+)", path.get("d")):
        flat = list(map(float, numbers.split()))
        ends = list(zip(flat[::2], flat[1::2], strict=True))
        if command == "C":
            a, (b, c, d) = points[-1], ends
            for i in range(1, 50):
                t, u = i / 50, 1 - i / 50
                weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
                points.append(
                    tuple(
                        sum(
                            w * p[k] for w, p in zip(weights, (a, b, c, d), strict=True)
                        )
                        for k in (0, 1)
                    )
                )
        points.append(ends[-1])
    return points


def test_the_picture_of_a_small_graph():
    boxes = (
        Box("parameter", "w", value="2", gradient="3"),
        Box("operation", "y", "w²"),
    )
    edges = (Edge(0, 1, "", "2 w ȳ", has_gradient=True),)
    graph = Graph("y: 1 operation", "op", boxes, edges, (), 1)

    picture = to_svg(graph, prefix="p", style=False)

    assert f"{picture}\n" == GOLDEN


def test_the_root_says_what_it_is():
    root = drawn(layer(), prefix="figure")

    assert root.tag == f"{NAMESPACE}svg"
    assert root.get("class") == "tinygrad-edu"
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "figure-title figure-desc"
    title, desc = root[0], root[1]
    assert (title.get("id"), title.text) == ("figure-title", "h: 3 operations")
    assert desc.get("id") == "figure-desc"
    assert "z = x · W, matmul, gradient norm 1e-05; used by a." in desc.text


def test_the_description_names_each_user_once():
    boxes = (Box("input", "x"), Box("operation", "y", "x · x"))
    graph = Graph("", "op", boxes, (Edge(0, 1), Edge(0, 1)), (), 1)

    assert drawn(graph)[1].text == "x; used by y.\ny = x · x."


def test_every_box_edge_and_frame_is_a_group_with_its_number():
    graph = layer()

    root = drawn(graph)

    for name, things in (
        ("box", graph.boxes),
        ("edge", graph.edges),
        ("frame", graph.frames),
    ):
        groups = found(root, "g", name)
        assert [group.get(f"data-{name}") for group in groups] == [
            str(i) for i in range(len(things))
        ]
    kinds = [group.get("class").split()[1] for group in found(root, "g", "box")]
    assert kinds == [box.kind for box in graph.boxes]


def test_the_box_that_is_drawn_is_marked_and_has_a_double_border():
    boxes = found(drawn(layer()), "g", "box")

    outputs = [i for i, box in enumerate(boxes) if "output" in box.get("class").split()]
    borders = [len(found(box, "rect", "shape")) for box in boxes]
    assert outputs == [5]
    assert borders == [1, 1, 1, 1, 1, 2]


def test_an_edge_has_a_line_forward_and_where_gradients_flow_a_line_back():
    edges = found(drawn(layer()), "g", "edge")

    parts = [[part.get("class") for part in edge] for edge in edges]
    assert parts == [
        ["forward"],
        ["forward", "gradient", "rule"],
        ["forward", "gradient", "adds", "rule"],
        ["forward", "gradient", "label", "rule"],
        ["forward", "gradient", "rule"],
    ]
    assert words(edges[2], "adds") == ["+="]
    assert words(edges[3], "rule") == ["Σ over axis 0 of ā"]


@pytest.mark.parametrize(
    ("backward", "lines", "rules", "adds", "bands"),
    [("rules", 4, 4, 1, 4), ("edges", 4, 0, 1, 4), ("off", 0, 0, 0, 0)],
)
def test_backward_says_how_much_of_the_gradients_is_drawn(
    backward, lines, rules, adds, bands
):
    root = drawn(layer().showing(backward))

    assert len(found(root, "path", "gradient")) == lines
    assert len(words(root, "rule")) == rules
    assert len(words(root, "adds")) == adds
    assert len(words(root, "gradient")) == bands
    assert len(found(root, "rect", "gradient")) == bands
    assert len(words(root, "label")) == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"direction": "BT"}, "direction is 'BT'"),
    ],
)
def test_an_unknown_option_is_refused(option, message):
    with pytest.raises(ValueError, match=message):
        to_svg(layer(), **option)


def test_the_text_of_a_box_is_all_there():
    box = found(drawn(layer()), "g", "box")[3]

    assert words(box, "title") == ["z = x · W"]
    assert words(box, "detail") == ["matmul"]
    assert words(box, "gradient") == ["gradient norm 1e-05"]
    assert box[0].text == "z = x · W\nmatmul\ngradient norm 1e-05"


def test_warnings_have_a_sign_and_a_failed_operation_says_so():
    texts = words(drawn(layer()), "warning") + words(drawn(every_kind()), "warning")

    assert texts == ["⚠ saturated 93 %", "⚠ failed"]


def test_the_first_part_of_a_frame_title_is_bold():
    frame = found(drawn(layer()), "g", "frame")[0]

    assert words(frame, "title") == ["fc1: Linear"]
    assert [span.text for span in found(frame, "tspan", "name")] == ["fc1"]


def test_parameters_alone_have_sharp_corners():
    boxes = found(drawn(every_kind()), "g", "box")

    sharp = [found(box, "rect", "shape")[0].get("rx") is None for box in boxes]
    assert sharp == [False, True, False, False, False, False, False]


def test_a_layer_has_a_head_behind_its_name():
    box = found(drawn(every_kind()), "g", "box")[3]

    head, shape = (found(box, "rect", name)[0] for name in ("head", "shape"))
    name = float(found(box, "text", "title")[0].get("y"))
    top, height = float(head.get("y")), float(head.get("height"))
    assert float(shape.get("y")) < top < name < top + height
    assert top + height < float(shape.get("y")) + float(shape.get("height"))


def test_the_line_of_a_larger_gradient_is_thicker():
    edges = found(drawn(layer()), "g", "edge")

    small, middle, large = (
        float(found(edges[i], "path", "gradient")[0].get("stroke-width"))
        for i in (2, 1, 3)
    )
    assert small < middle < large


@pytest.mark.parametrize("norm", [None, 0.0, float("nan"), float("inf"), 1e300, 1e-300])
def test_no_gradient_is_too_large_or_too_small_to_draw(norm):
    boxes = (Box("parameter", "w"), Box("operation", "y"))
    graph = Graph("", "op", boxes, (Edge(0, 1, has_gradient=True, norm=norm),), (), 1)

    line = found(drawn(graph), "path", "gradient")[0]

    assert 0.5 <= float(line.get("stroke-width")) <= 5


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_the_two_lines_of_an_edge_run_side_by_side(direction):
    root = drawn(layer(), direction=direction)

    box = found(found(root, "g", "box")[4], "rect", "shape")[0]
    edge = found(root, "g", "edge")[4]
    x, y = curve(found(edge, "path", "forward")[0])[0]
    back_x, back_y = curve(found(edge, "path", "gradient")[0])[0]
    left, top, width, height = (
        float(box.get(name)) for name in ("x", "y", "width", "height")
    )
    if direction == "TB":
        assert (back_x - x, back_y - y) == (10, 0)
        assert y == pytest.approx(top + height, abs=0.2)
    else:
        assert (back_x - x, back_y - y) == (0, 10)
        assert x == pytest.approx(left + width, abs=0.2)


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_the_two_lines_keep_their_distance_where_they_bend(direction):
    boxes = tuple(Box("parameter", f"w{i}") for i in range(9))
    edges = tuple(Edge(i, 9, has_gradient=True) for i in range(9))
    graph = Graph("", "op", (*boxes, Box("operation", "y")), edges, (), 9)

    first = found(drawn(graph, direction=direction), "g", "edge")[0]

    ahead, back = (curve(path) for path in found(first, "path"))
    gaps = [min(math.dist(p, q) for q in back) for p in ahead]
    assert 7 < min(gaps) < max(gaps) < 13


def test_notes_stand_above_the_drawing():
    root = drawn(layer())

    note = found(root, "text", "note")[0]
    drawing = next(iter(g for g in root if g.tag == f"{NAMESPACE}g"))
    top = float(drawing.get("transform").split()[1].rstrip(")"))
    assert note.text == "a note"
    assert float(root.get("width")) > 200  # of the drawing, which is wider
    assert 0 < float(note.get("y")) < top


def test_long_notes_go_on_in_the_next_line():
    graph = Graph("", "op", (Box("input", "x"),), (), (), 0, (), ("word " * 40,))

    root = drawn(graph)

    lines = words(root, "note")
    assert len(lines) == 3
    assert float(root.get("width")) > svg._width(lines[0], 11)
    assert " ".join(lines).split() == ["word"] * 40


def test_the_legend_explains_what_is_there_and_nothing_else():
    plain = drawn(layer())
    pictures = {
        name: found(drawn(graph, legend=True), "g", "legend")[0]
        for name, graph in (("layer", layer()), ("every", every_kind()))
    }

    assert found(plain, "g", "legend") == []
    assert words(pictures["layer"], "label") == [
        "input",
        "parameter",
        "operation and its result",
        "what is drawn",
        "forward: is used by",
        "backward: hands on a gradient; the thicker, the larger",
        "several gradients are added up",
    ]
    assert len(words(pictures["every"], "label")) == 10


def test_the_legend_is_inside_the_picture():
    small, large = drawn(layer()), drawn(layer(), legend=True)

    lowest = found(large, "g", "legend")[0][-1].get("transform").split()[1]
    _, _, _, before = map(float, small.get("viewBox").split())
    _, _, _, height = map(float, large.get("viewBox").split())
    assert before < float(lowest.rstrip(")")) < height - 15


def test_ids_start_with_the_prefix_and_references_too():
    picture = to_svg(layer(), prefix="second", legend=True)

    ids = re.findall(r'\bid="([^"]*)"', picture)
    used = re.findall(r"url\(#([^)]*)\)", picture)
    assert len(ids) == len(set(ids)) == 4
    assert all(name.startswith("second-") for name in ids)
    assert set(used) <= set(ids)
    assert used != []


def test_the_style_is_inside_on_request_and_touches_nothing_else():
    with_style, without = to_svg(layer()), to_svg(layer(), style=False)

    assert STYLE in with_style
    assert "<style" not in without
    selectors = re.findall(r"([^{};@]+)\{[^{}]*\}", re.sub(r"@media[^{]*\{", "", STYLE))
    parts = [part for selector in selectors for part in selector.split(",")]
    assert len(parts) > 30
    assert [
        p for p in parts if not p.strip("} \n").startswith("svg.tinygrad-edu")
    ] == []


@pytest.mark.parametrize("options", [{}, {"direction": "LR"}, {"legend": True}])
def test_what_users_type_stays_text(options):
    root = drawn(hostile(), **options)

    tags = {element.tag.removeprefix(NAMESPACE) for element in root.iter()}
    assert tags == {
        *("svg", "title", "desc", "style", "defs", "marker", "path", "g", "rect"),
        *("text", "tspan"),
    }
    names = {name for element in root.iter() for name in element.attrib}
    assert [n for n in names if n.startswith("on") or "href" in n] == []
    assert "<script>alert('1')</script>" in words(root, "detail")


def test_what_users_type_is_printable_and_short():
    root = drawn(hostile())

    shown = ["".join(text.itertext()) for text in root.iter(NAMESPACE + "text")]
    assert max(map(len, words(root, "detail"))) == 60
    assert max(map(len, shown)) <= 70
    controls = {c for text in shown for c in text if not c.isprintable()}
    assert controls == set()


def test_a_tooltip_has_the_whole_text():
    box = found(drawn(hostile()), "g", "box")[4]

    assert "x" * 10_000 in box[0].text


def test_combining_marks_take_no_room():
    plain, barred = (
        drawn(Graph("", "op", (Box("input", name),), (), (), 0))
        for name in ("zzzzzzzzzzzzzzzzzzzz", "z\u0304" * 20)
    )

    assert plain.get("width") == barred.get("width")


@pytest.mark.parametrize(
    ("text", "least"),  # in DejaVu Sans, the widest of the common fonts
    [("mmmm", 3.9), ("WWWW", 3.95), ("iiii", 1.1), ("x · W1ᵀ", 3.56), ("日本", 2.0)],
)
def test_text_is_given_the_room_that_it_takes(text, least):
    assert least <= svg._width(text, 1) <= 1.3 * least


def test_a_box_is_as_wide_as_its_text_and_its_lines_need():
    one, ten = (
        Graph(
            "",
            "op",
            (Box("input", "x"), Box("operation", "y")),
            (Edge(0, 1),) * count,
            (),
            1,
        )
        for count in (1, 10)
    )

    widths = [
        float(found(drawn(graph), "rect", "shape")[0].get("width"))
        for graph in (one, ten)
    ]
    assert widths[1] >= 200 > widths[0]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    """As the Web Content Accessibility Guidelines 2.2 define it."""
    dark, light = sorted(map(luminance, (a, b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [svg._LIGHT, svg._DARK, svg._GREY])
def test_text_and_lines_stand_out(palette):
    inside = ("input", "parameter", "operation", "head", "output", "failed", "frame")
    around = ("paper", "frame")
    texts = [("ink", place) for place in (*inside, "paper")] + [("bandtext", "band")]
    texts += [(text, place) for text in ("backtext", "line") for place in around]
    lines = [(line, place) for line in ("line", "back", "border") for place in around]

    ratios = {pair: contrast(*map(palette.get, pair)) for pair in texts + lines}

    assert [pair for pair in texts if ratios[pair] < 4.5] == []
    assert [pair for pair in lines if ratios[pair] < 3] == []


def test_the_print_is_grey():
    assert all(len({c[1:3], c[3:5], c[5:]}) == 1 for c in svg._GREY.values())


def test_without_colours_dashes_tell_gradients_from_the_way_forward():
    rules = re.findall(r"svg\.tinygrad-edu ([^{]*) \{([^}]*)\}", STYLE)

    dashed = {name for name, rule in rules if "stroke-dasharray" in rule}
    assert dashed == {"path.gradient", ".failed .shape", ".rest .shape"}


def test_numbers_are_short():
    picture = to_svg(layer(), direction="LR", style=False)

    assert re.findall(r"\d+\.\d\d", re.sub(r"<(text|title|desc).*", "", picture)) == []


def test_a_graph_of_one_box_has_a_picture():
    graph = Graph("x: no operation", "op", (Box("input", "x"),), (), (), 0)

    root = drawn(graph, legend=True)

    assert words(root, "title") == ["x"]


def test_the_picture_is_the_same_in_every_process():
    code = "import test_svg as t; print(ascii(t.to_svg(t.layer(), legend=True)))"
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

    assert printed == {f"{to_svg(layer(), legend=True)!a}\n"}
