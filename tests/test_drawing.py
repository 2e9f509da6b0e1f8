"""Drawings show the graph that was recorded, always the same way, or say why not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.drawing import draw
from tinygrad_edu.drawing.graph import Arrow, Box, Frame, Graph, capture
from tinygrad_edu.recording import RUN, Run, Scope, current_scope

needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")


def neuron():
    """The logistic neuron σ(w·x + b)."""
    w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
    b = te.tensor(4.0, requires_grad=True, name="b")
    x = te.tensor([2.0, 3.0], name="x")
    return te.sigmoid((w * x).sum() + b)


def parameter(shape=(2,), name=None):
    return te.tensor(np.ones(shape), requires_grad=True, name=name)


@contextmanager
def layer(path, kind):
    token = RUN.set(Run(Scope(path, kind, current_scope())))
    yield
    RUN.reset(token)


def titles(tensor):
    return [box.title for box in capture(tensor).boxes]


def labels(tensor):
    """What is written at the arrows, in the order of the arguments."""
    return [arrow.label for arrow in capture(tensor).arrows]


def where(graph):
    """The title of each box with those of the frames around it, the innermost first."""
    found = []
    for box in graph.boxes:
        around, frame = [], box.frame
        while frame is not None:
            around.append(graph.frames[frame].title)
            frame = graph.frames[frame].parent
        found.append((box.title, *around))
    return found


def structure(drawing):
    """The statements about boxes and arrows, without colours and the like."""
    style = r' (?:color|fillcolor|penwidth|peripheries|style)=(?:"[^"]*"|[\w.]+)'
    lines = re.sub(style, "", drawing.source).splitlines()
    return [line.strip() for line in lines if re.match(r"\s*n\d", line)]


# ------------------------------------------------------------------------ the boxes


def test_neuron_as_data():
    assert capture(neuron()) == Graph(
        boxes=(
            Box("parameter", "w", "parameter: (2,) float64", "[0, 1]", None),
            Box("parameter", "b", "parameter: () float64", "4", None),
            Box("input", "x", "input: (2,) float64", "[2, 3]", None),
            Box("operation", "w · x", "multiply: (2,) float64", "[0, 3]", None),
            Box("operation", "Σ", "sum: () float64", "3", None),
            Box("operation", "… + b", "add: () float64", "7", None),
            Box("operation", "σ", "sigmoid: () float64", "0.999", None),
        ),
        arrows=(
            Arrow(0, 3, ""),
            Arrow(2, 3, ""),
            Arrow(3, 4, ""),
            Arrow(4, 5, ""),
            Arrow(1, 5, ""),
            Arrow(5, 6, ""),
        ),
        frames=(),
        output=6,
    )


def test_neuron_as_dot():
    assert structure(draw(neuron())) == [
        r'n0 [label="w\nparameter: (2,) float64\n[0, 1]"]',
        r'n1 [label="b\nparameter: () float64\n4"]',
        r'n2 [label="x\ninput: (2,) float64\n[2, 3]"]',
        r'n3 [label="w · x\nmultiply: (2,) float64\n[0, 3]"]',
        r'n4 [label="Σ\nsum: () float64\n3"]',
        r'n5 [label="… + b\nadd: () float64\n7"]',
        r'n6 [label="σ\nsigmoid: () float64\n0.999"]',
        "n0 -> n3",
        "n2 -> n3",
        "n3 -> n4",
        "n4 -> n5",
        "n1 -> n5",
        "n5 -> n6",
    ]


def test_kinds_differ_in_more_than_colour():
    parameter, _, data, product, *_, output = (
        line
        for line in draw(neuron()).source.splitlines()
        if re.match(r"\tn\d+ \[", line)
    )

    assert "penwidth=2.5" in parameter
    assert "rounded" not in parameter
    assert all("rounded" in line and "penwidth" not in line for line in (data, product))
    assert "peripheries=2" in output
    assert "peripheries" not in parameter + data + product


def test_result_with_a_name_carries_it():
    y = parameter(name="w") * 2.0
    y.name = "y"

    assert titles(y) == ["w", "y = w · 2"]


def test_used_twice_by_one_operation_gives_two_arrows():
    x = te.tensor(3.0, requires_grad=True, name="x")

    assert capture(x + x).arrows == (Arrow(0, 1, ""), Arrow(0, 1, ""))


def test_array_used_twice_is_one_box_just_before_its_first_use():
    x = np.ones(2)
    w = parameter()

    assert titles(w * x + x) == ["parameter", "input", "parameter · input", "… + input"]


W = parameter((2, 2), "w")


@pytest.mark.parametrize(
    ("result", "title"),
    [
        (W - 2, "w − 2"),
        (2 - W, "2 − w"),
        (W * np.float64(0.1), "w · 0.1"),
        (W * te.tensor(60000.0), "w · 60000"),
        (W**2 / W, "… / w"),
        (-W, "−"),
        (te.maximum(W, 0.0), "max(w, 0)"),
        (W.sum(axis=0), "Σ axis=0"),
        (W.sum(axis=(0, 1), keepdims=True), "Σ axis=(0, 1) keepdims=True"),
        (te.softmax(W), "softmax axis=-1"),
        (W.reshape((4,)), "reshape shape=(4,)"),
        (W[0], "w[0]"),
        (W[:, 1:], "w[:, 1:]"),
        (W[..., None, ::2], "w[…, None, ::2]"),
        (W[[0, 1]], "w[[0, 1]]"),
        (W[np.array([0, 1])], "w[array (2,)]"),
        (te.astype(W, dtype=np.float32), "astype dtype=float32"),
        (te.linear(W, W, None), "x Wᵀ + b"),
    ],
)
def test_title_is_the_formula(result, title):
    assert capture(result).boxes[-1].title == title


def test_metadata_without_a_text_of_its_own_is_named_by_its_type():
    @te.op
    def draw_test_noise(x, *, source, how):
        return x

    node = draw_test_noise(W, source=object(), how=len)
    del te.OPS["draw_test_noise"], te.Tensor.draw_test_noise

    assert capture(node).boxes[-1].title == "draw_test_noise source=object how=len"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (2 / 3, "0.667"),
        (-0.0, "0"),
        ([1e-9, 123456.0], "[1e-09, 1.23e+05]"),
        ([np.nan, -np.inf], "[nan, -inf]"),
        ([[1, 2], [3, 4]], "[[1, 2], [3, 4]]"),
        ([12345], "[12345]"),
        ([True, False], "[True, False]"),
        (np.zeros(6), "[0, 0, 0, 0, 0, 0]"),
        (np.zeros(7), ""),
        (np.zeros((2, 0)), "[[], []]"),
    ],
)
def test_few_numbers_are_shown_with_three_digits(data, text):
    (box,) = capture(te.tensor(data, name="x")).boxes

    assert box.value == text


def test_several_results_are_one_box_and_one_for_each_result_used():
    sign, logabsdet = te.slogdet(te.tensor(np.eye(3), requires_grad=True, name="A"))

    assert [(box.title, box.detail) for box in capture(sign * logabsdet).boxes] == [
        ("A", "parameter: (3, 3) float64"),
        ("log|det|", "slogdet: sign (), logabsdet ()"),
        ("slogdet.sign", "() float64"),
        ("slogdet.logabsdet", "() float64"),
        ("… · …", "multiply: () float64"),
    ]
    assert titles(logabsdet) == ["A", "log|det|", "slogdet.logabsdet"]


def test_leaf_is_one_box():
    assert titles(te.tensor(2.0)) == ["input"]
    assert titles(parameter()) == ["parameter"]


def test_nothing_is_drawn_behind_what_was_not_recorded():
    with te.no_grad():
        y = parameter() * 2.0

    assert titles(y) == ["input"]


def test_picture_keeps_the_values_of_its_time():
    w = parameter(name="w")
    picture = draw(w * 2.0)
    before = picture.source
    w.data -= 1.0

    assert picture.source == before


def test_value_assigned_after_use_is_not_passed_off_as_the_one_used():
    w = parameter(name="w")
    y = w * 2.0
    w.data -= 1.0

    assert [box.value for box in capture(y).boxes] == ["[2, 2]", "assigned since"]


# ----------------------------------------------------------------------- the arrows


def test_arrows_into_a_formula_need_no_label():
    a, b = parameter(name="a"), parameter(name="b")

    assert labels(a - b) == ["", ""]


def test_arrows_say_which_side_where_the_formula_does_not():
    a, b = parameter(), parameter()

    assert labels(a - b) == ["left", "right"]
    assert labels(a + b) == ["", ""]  # the same either way
    assert labels(a - a) == ["", ""]


def test_arrows_carry_the_names_of_arguments():
    x, weight = parameter((2, 3)), parameter((4, 3), name="weight")

    assert labels(te.linear(x, weight, parameter((4,)))) == ["x", "", "bias"]


def test_arrows_into_a_concatenation_are_numbered():
    y = te.concatenate([parameter((1, 2)), np.ones((2, 2)), parameter((3, 2))])

    assert labels(y) == ["0", "1", "2"]
    assert titles(y)[-1] == "concatenate axis=0"


# ----------------------------------------------------------------------- the frames


def test_layers_are_nested_frames_around_operations_and_their_own_parameters():
    w, b, shared = parameter(name="w"), parameter(name="b"), parameter(name="s")
    with layer("", "Sequential"):
        with layer("body", "Sequential"), layer("body.0", "Linear"):
            h = np.ones(2) * w + shared
        with layer("1", "Tanh"):
            h = te.tanh(h * shared)
    graph = capture(h + b)

    assert graph.frames == (
        Frame("Sequential", None),
        Frame("body: Sequential", 0),
        Frame("0: Linear", 1),
        Frame("1: Tanh", 0),
    )
    assert where(graph) == [
        ("w", "0: Linear", "body: Sequential", "Sequential"),
        ("b",),
        ("s", "Sequential"),
        ("input",),
        ("input · w", "0: Linear", "body: Sequential", "Sequential"),
        ("… + s", "0: Linear", "body: Sequential", "Sequential"),
        ("… · s", "1: Tanh", "Sequential"),
        ("tanh", "1: Tanh", "Sequential"),
        ("… + b",),
    ]


def test_parameter_used_outside_too_stands_outside():
    w = parameter(name="w")
    with layer("", "Linear"):
        h = w * 2.0

    assert where(capture(h * w)) == [("w",), ("w · 2", "Linear"), ("… · w",)]


def test_layers_that_look_the_same_have_a_frame_each():
    h = parameter()
    for _ in range(2):
        with layer("", "Tanh"):
            h = te.tanh(h)

    assert capture(h).frames == (Frame("Tanh", None), Frame("Tanh", None))


def test_frames_are_clusters_inside_each_other():
    with layer("", "Sequential"), layer("0", "Tanh"):
        y = te.tanh(parameter())
    lines = [
        line for line in draw(y).source.splitlines() if re.search(r"[{}]|n1 ", line)
    ]

    assert [line.partition(" [")[0] for line in lines] == [
        "digraph {",
        "\tsubgraph cluster_0 {",
        "\t\tsubgraph cluster_1 {",
        "\t\t\tn1",
        "\t\t}",
        "\t}",
        "}",
    ]
    assert 'label="0: Tanh"' in draw(y).source


# --------------------------------------------------------------------- hostile texts

HOSTILE = [
    "<b>x</b>",
    "<>",
    'say "x"',
    r"\"",
    "\\",
    r"C:\new\N\G\l",
    "{a|b}",
    "</script><script>",
    "a:b:c",
    "&lt; &amp; &#65; &alpha;",
    "node",
    "n0 -> n1; //",
    "%s $HOME ]",
    "ω̂ 权重 🦊",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_name_is_quoted(name):
    source = draw(te.tensor(1.0, name=name)).source

    quoted = name.replace("\\", r"\\").replace('"', r"\"").replace("&", "&amp;")
    assert rf'label="{quoted}\ninput: () float64\n1"' in source


@needs_dot
@pytest.mark.parametrize("name", HOSTILE)
def test_graphviz_shows_the_name_as_it_is(name):
    from xml.etree import ElementTree

    with layer(name, name):
        y = te.tanh(parameter(name=name))
    page = ElementTree.fromstring(draw(y).pipe(format="svg"))

    texts = [element.text for element in page.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:2] == [f"{name}: {name}", name]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines\tand more", "two lines and more"),
        ("a\x00\x1b[31mb\x7f", "a[31mb"),
        ("safe\u202egnp.exe\u200f", "safegnp.exe"),
        ("half\ud800", "half"),
        ("\n", "input"),
        ("x" * 10_000, "x" * 59 + "…"),
    ],
)
def test_what_cannot_be_shown_on_a_line_is_left_out(name, shown):
    assert titles(te.tensor(1.0, name=name)) == [shown]


def test_every_line_is_short():
    y = parameter(name="x" * 10_000)[(None,) * 25]
    with layer("p" * 10_000, "K" * 10_000):
        y = y * np.ones(2)
    y.name = "y" * 10_000
    graph = capture(y)

    lines = [line for b in graph.boxes for line in (b.title, b.detail, b.value)]
    lines += [frame.title for frame in graph.frames]
    assert max(map(len, lines)) == 60


# ------------------------------------------------------------ always the same, quickly

PROGRAM = """
import tinygrad_edu as te
from tinygrad_edu.drawing import draw
from tinygrad_edu.recording import RUN, Run, Scope, current_scope
weights = [te.tensor([float(i)], requires_grad=True, name=f"w{i}") for i in range(9)]
y = te.tensor([1.0])
for i, w in enumerate(weights):
    RUN.set(Run(Scope(str(i), "Layer")))
    y = te.tanh(w * y + weights[-1])
print(draw(y).source)
"""


def test_every_process_draws_the_same():
    sources = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(sources) == 1
    assert b"0x" not in sources.pop()


def test_importing_leaves_graphviz_alone():
    program = "import sys, tinygrad_edu.drawing; sys.exit('graphviz' in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)


def test_chain_of_100_000_operations_is_captured():
    y = te.tensor(1.0, requires_grad=True)
    for _ in range(100_000):
        y = -y

    assert len(capture(y).boxes) == 100_001


def test_each_box_of_a_60_level_diamond_is_visited_once():
    y = te.tensor(1.0, requires_grad=True)
    for _ in range(60):
        y = y + y
    graph = capture(y)

    assert (len(graph.boxes), len(graph.arrows)) == (61, 120)


# ----------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize("depth", [499, 500])
def test_more_than_500_boxes_are_refused(depth):
    y = te.tensor(1.0, requires_grad=True)
    for _ in range(depth):
        y = -y

    if depth == 499:
        assert draw(y).source.count("label=") == 500
        return
    with pytest.raises(
        ValueError, match=r"501 boxes and 500 arrows.*nearer to the inp"
    ):
        draw(y)


def test_more_than_1000_arrows_are_refused():
    with pytest.raises(ValueError, match="2 boxes and 1,001 arrows"):
        draw(te.concatenate([parameter()] * 1001))


@needs_dot
def test_tangle_is_drawn_in_time():
    rng = np.random.default_rng(0)
    found = [te.tensor(1.0, requires_grad=True) for _ in range(30)]
    for _ in range(200):
        found.append(found[rng.integers(len(found))] * found[rng.integers(len(found))])
    y = found[0]
    for x in found[1:]:
        y = y + x
    picture = draw(y)

    dot = [shutil.which("dot"), "-Tsvg"]
    subprocess.run(
        dot,
        input=picture.source.encode(),
        timeout=50,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def test_freed_graph_says_when_to_draw():
    y = neuron()
    y.backward()

    with pytest.raises(
        RuntimeError, match=r"freed by an earlier backward.*retain_graph"
    ):
        draw(y)


def test_retained_graph_can_be_drawn_after_backward():
    y = neuron()
    y.backward(retain_graph=True)

    assert titles(y)[-1] == "σ"


@pytest.mark.parametrize("what", [np.ones(2), 3.0, te.tanh, None])
def test_only_tensors_can_be_drawn(what):
    with pytest.raises(
        TypeError, match=r"expected a Tensor, got \w+\..*te.draw\(model\(x"
    ):
        draw(what)


def test_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="'TB' or 'LR', got 'up'"):
        draw(neuron(), direction="up")


def test_direction_reaches_the_drawing():
    assert "rankdir=LR" in draw(neuron(), direction="LR").source


# ------------------------------------------------------------------------ in a notebook


def test_notebook_without_graphviz_shows_the_source(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = draw(neuron())

    bundle = picture._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].startswith("To see the picture, install Graphviz")
    assert bundle["text/plain"].endswith(picture.source)


@needs_dot
def test_notebook_shows_a_picture():
    assert "<svg" in draw(neuron())._repr_mimebundle_()["image/svg+xml"]
