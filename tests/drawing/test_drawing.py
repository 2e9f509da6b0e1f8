"""te.draw and what it returns: the options, the files, the notebook, hostile names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.drawing import dot

needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")


def neuron():
    """The logistic neuron y = σ(w·x + b)."""
    w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
    b = te.tensor(1.0, requires_grad=True, name="b")
    x = te.tensor([2.0, 3.0], name="x")
    y = te.sigmoid(w @ x - b)
    y.name = "y"
    return y


def network():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    return nn.softmax_cross_entropy(model(np.ones((5, 3))), [0, 1, 0, 1, 1])


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


# ------------------------------------------------------------------------- the forms


def test_neuron_as_text():
    assert te.draw(neuron()).text() == (
        "y: 3 operations\n"
        "y = σ(t2): sigmoid, () float64; 0.881; gradient 1\n"
        "t2 = t1 − b: subtract, () float64; 2; gradient 0.105\n"
        "    gradient = y · (1 − y)\n"
        "  t1 = w · x: matmul, () float64; 3; gradient 0.105\n"
        "      gradient = t̄2\n"
        "    w: parameter, (2,) float64; [0, 1]; gradient [0.21, 0.315]\n"
        "        gradient = t̄1 · x\n"
        "    x: input, (2,) float64; [2, 3]\n"
        "  b: parameter, () float64; 1; gradient -0.105\n"
        "      gradient = −t̄2"
    )


def test_neuron_as_dot():
    lines = te.draw(neuron(), show="shape").source.splitlines()

    structure = [re.sub(r" \[.*", "", line.strip()) for line in lines]
    assert [line for line in structure if re.match(r"n\d", line)] == [
        *(f"n{i}" for i in range(6)),
        *("n0 -> n3", "n3 -> n0", "n2 -> n3", "n3 -> n4", "n4 -> n3"),
        *("n1 -> n4", "n4 -> n1", "n4 -> n5", "n5 -> n4"),
    ]


def test_neuron_as_data():
    found = json.loads(json.dumps(te.draw(neuron()).to_dict()))

    assert found["title"] == "y: 3 operations"
    assert found["boxes"][3] == {
        "kind": "operation",
        "name": "t1",
        "formula": "w · x",
        "detail": "matmul, () float64",
        "parameters": [],
        "value": "3",
        "gradient": "0.105",
        "warnings": [],
        "frame": None,
        "norm": pytest.approx(0.10499, rel=1e-4),
        "cost": "",
        "share": None,
    }
    assert [step["box"] for step in found["steps"]] == [5, 4, 3]


def test_gradients_are_dashed_edges_that_do_not_disturb_the_layout():
    (line,) = re.findall(r"n5 -> n4 (.*)", te.draw(neuron()).source)

    assert "style=dashed" in line and "constraint=false" in line
    assert "y · (1 − y)" in line


@pytest.mark.parametrize(
    ("backward", "dashed", "rules"),
    [("off", False, False), ("edges", True, False), ("rules", True, True)],
)
def test_backward_chooses_what_is_drawn_of_gradients(backward, dashed, rules):
    drawing = te.draw(neuron(), backward=backward)

    assert ("style=dashed" in drawing.source) is dashed
    assert ("(1 − y)" in drawing.source) is rules
    assert ("(1 − y)" in drawing.text()) is rules
    assert ("(1 − y)" in drawing.svg().partition("</desc>")[2]) is rules


def test_kinds_differ_in_more_than_colour():
    found = re.findall(r"^\tn\d \[.*", te.draw(neuron()).source, flags=re.MULTILINE)
    parameter, _, data, product, *_, output = found

    assert "penwidth=2.5" in parameter and "rounded" not in parameter
    assert all("rounded" in line and "penwidth" not in line for line in (data, product))
    assert "peripheries=2" in output
    assert "peripheries" not in parameter + data + product


def test_thicker_is_a_larger_gradient():
    x = te.tensor([1.0, 1e-6], requires_grad=True, name="x")
    widths = re.findall(
        r"penwidth=([\d.]+) style=dashed", te.draw((x * 1e-9).sum()).source
    )

    assert len(widths) == 2
    assert float(widths[0]) < float(widths[1])


def test_direction_is_that_of_the_layout():
    assert "rankdir=LR" in te.draw(neuron(), direction="LR").source

    def box(svg):
        return [float(x) for x in svg.split('viewBox="')[1].split('"')[0].split()]

    *_, w1, h1 = box(te.draw(neuron()).svg())
    *_, w2, h2 = box(te.draw(neuron(), direction="LR").svg())
    assert h1 / w1 > h2 / w2


def test_legend_is_there_on_request():
    for form in ("source", "svg"):
        plain, explained = te.draw(neuron()), te.draw(neuron(), legend=True)
        texts = [getattr(d, form) for d in (plain, explained)]
        texts = [text() if callable(text) else text for text in texts]

        assert ["parameter" in text for text in texts] == [True, True]
        assert len(texts[1]) > len(texts[0])


def test_frames_are_clusters_with_their_boxes():
    source = te.draw(network()).source

    inside = source.partition("subgraph cluster_0")[2].partition("}")[0]
    assert "<b>0: Linear</b>" in inside
    assert inside.count("[label") == 3  # the operation, the weight and the bias


# ------------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.dot", b"digraph {"),
        ("a.svg", b"<svg"),
        ("A.SVG", b"<svg"),
        ("a.html", b"<!DOCTYPE html>"),
    ],
)
@pytest.mark.usefixtures("no_dot")
def test_files_without_dot(name, start, tmp_path):
    path = te.draw(neuron()).save(tmp_path / "new folder" / name)

    assert path.read_bytes().startswith(start)


@needs_dot
@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_files_with_dot(name, start, tmp_path):
    path = te.draw(network()).save(tmp_path / name)

    assert path.read_bytes().startswith(start)


@pytest.mark.usefixtures("no_dot")
def test_png_without_dot_says_how_to_get_it_and_what_works_without(tmp_path):
    with pytest.raises(RuntimeError, match=r"apt install graphviz.*\.html.*\.dot"):
        te.draw(neuron()).save(tmp_path / "a.png")

    assert list(tmp_path.iterdir()) == []


def test_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one of \.dot, .*got 'a\.gif'"):
        te.draw(neuron()).save(tmp_path / "a.gif")


def fake_dot(folder, script, monkeypatch):
    program = folder / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_dot_is_handed_the_text_on_standard_input(tmp_path, monkeypatch):
    fake_dot(tmp_path, 'echo "$@"; cat', monkeypatch)
    drawing = te.draw(neuron())

    assert dot.run_dot(drawing.source, "png").decode() == f"-Tpng\n{drawing.source}"


def test_dot_that_does_not_end_is_stopped(tmp_path, monkeypatch):
    fake_dot(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(dot, "_SECONDS", 0.2)

    with pytest.raises(RuntimeError, match="did not come to an end"):
        dot.run_dot("digraph {}", "png")


def test_what_dot_says_is_handed_on(tmp_path, monkeypatch):
    fake_dot(tmp_path, "echo 'syntax error in line 3' >&2; exit 1", monkeypatch)

    with pytest.raises(RuntimeError, match="dot failed: syntax error in line 3"):
        dot.run_dot("nonsense", "pdf")


# --------------------------------------------------------------------------- notebook


@pytest.mark.usefixtures("no_dot")
def test_notebook_gets_text_and_svg():
    drawing = te.draw(neuron())
    bundle = drawing._repr_mimebundle_()

    assert bundle["text/plain"] == drawing.text()
    assert bundle["image/svg+xml"] == drawing.svg()


def test_notebook_gets_text_whatever_happens(monkeypatch):
    drawing = te.draw(neuron())
    monkeypatch.setattr(type(drawing), "svg", lambda self: 1 / 0)

    (text,) = drawing._repr_mimebundle_().values()

    assert text.startswith("y: 3 operations")
    assert "division by zero" in text


def test_repr_is_one_line():
    assert repr(te.draw(neuron())) == (
        "<Drawing of y: 3 operations; .text(), .show() or .save(...)>"
    )


def test_interactive_figures_have_prefixes_of_their_own():
    drawing = te.draw(neuron())
    pages = [drawing.interactive()._repr_html_() for _ in range(2)]

    ids = [set(re.findall(r'\bid="([^"]+)"', page)) for page in pages]
    assert ids[0] and ids[1]
    assert not ids[0] & ids[1]


def test_show_opens_a_page(monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or True)
    te.draw(neuron()).show()

    assert opened[0].startswith("file://") and opened[0].endswith("drawing.html")


def test_show_without_a_browser_prints_the_text(monkeypatch, capsys):
    monkeypatch.setattr("webbrowser.open", lambda uri: False)
    te.draw(neuron()).show()

    said = capsys.readouterr().out
    assert said.startswith("y: 3 operations")
    assert "drawing.html" in said


# --------------------------------------------------------------------------- a layer


def test_layer_is_drawn_as_it_runs():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Sigmoid())
    x = np.ones((4, 3))

    assert te.draw(model, x).text() == model.draw(x).text()
    assert [box.name for box in model.draw(x).graph.boxes] == [
        *("weight", "bias", "x", "t1", "t2")
    ]


def test_drawing_a_layer_leaves_its_buffers_and_generators_alone():
    class Counting(nn.Layer):
        def __init__(self):
            self.calls = np.zeros(())
            self.rng = np.random.default_rng(0)
            self.weight = te.tensor(1.0, requires_grad=True)

        def forward(self, x):
            self.calls += 1
            return x * self.weight * self.rng.random()

    layer = Counting()
    layer.draw(np.ones(3))

    assert layer.calls == 0
    assert layer.rng.random() == np.random.default_rng(0).random()


def test_layer_without_an_input_says_what_it_needs():
    with pytest.raises(TypeError, match=r"needs an input: te\.draw\(layer, x\)"):
        te.draw(nn.Linear(3, 2))


# --------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "deep"}, "level must be one of auto, model.*got 'deep'"),
        ({"backward": True}, "backward must be one of off, edges, rules, got True"),
        ({"direction": "up"}, "direction must be one of TB, LR, got 'up'"),
        ({"show": "colour"}, "show must be one of shape, value.*got 'colour'"),
        ({"show": ("shape", "x")}, "show must be .*got 'x'"),
        ({"max_nodes": 0}, "max_nodes must be 1 or more, got 0"),
        ({"max_nodes": True}, "max_nodes must be 1 or more, got True"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        te.draw(neuron(), **options)


def test_what_has_no_graph_is_refused():
    with pytest.raises(TypeError, match=r"got ndarray.*te\.draw\(loss\)"):
        te.draw(np.ones(3))
    with pytest.raises(TypeError, match="inputs are for a layer, got Tensor"):
        te.draw(neuron(), np.ones(3))
    with pytest.raises(TypeError, match="inputs are for a layer, got type"):
        te.draw(nn.Tanh, np.ones(3))


def test_names_that_are_no_mapping_are_refused():
    with pytest.raises(TypeError, match=r"names must be a mapping.*got \['y'\]"):
        te.draw(neuron(), names=["y"])


def test_layer_that_returns_more_than_a_tensor_says_what_to_draw():
    class Pair(nn.Layer):
        def forward(self, x):
            return te.exp(x), x

    with pytest.raises(TypeError, match=r"draw: Pair returned tuple.*one Tensor"):
        te.draw(Pair(), np.ones(3))


# --------------------------------------------------------------------- hostile texts

HOSTILE = [
    "<b>x</b>",
    "<>",
    'say "x"',
    r"\"",
    "\\",
    r"C:\new\N\G\l",
    "{a|b}",
    "</script><script>alert(1)</script>",
    "]]><!--",
    "a:b:c",
    "&lt; &amp; &#65; &alpha;",
    "javascript:alert(1)",
    "n0 -> n1; //",
    "%s $HOME ]",
    "ω̂ 权重 🦊",
]


class Named(nn.Layer):
    """A layer whose attributes, and whose kind, have the name."""

    def __init__(self, name):
        vars(self)[name] = nn.Linear(1, 1, rng=0)
        self.parts = {name: nn.Linear(1, 1, rng=0)}

    def forward(self, x):
        return next(iter(vars(self).values()))(x)


def hostile(name):
    x = te.tensor([[1.0]], requires_grad=True, name=name)
    y = te.sum(Named(name)(x) * x)
    y.name = name
    return y


@pytest.mark.parametrize("name", HOSTILE)
def test_svg_and_page_show_a_name_as_it_is(name):
    drawing = te.draw(hostile(name))

    svg = ElementTree.fromstring(drawing.svg())
    assert any((element.text or "").startswith(name[:5]) for element in svg.iter())
    assert not any("href" in key for element in svg.iter() for key in element.attrib)
    page = drawing._written(".html").decode()
    assert page.count("<script") == page.count("</script>") == te_scripts()


def te_scripts():
    return te.draw(neuron())._written(".html").decode().count("<script")


@needs_dot
@pytest.mark.parametrize("name", HOSTILE)
def test_graphviz_shows_a_name_as_it_is(name):
    page = ElementTree.fromstring(dot.run_dot(te.draw(hostile(name)).source, "svg"))

    texts = [e.text for e in page.iter("{http://www.w3.org/2000/svg}text")]
    assert name in texts
    assert f"{name}: Linear" in texts


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
    drawing = te.draw(te.tensor(1.0, name=name))

    assert drawing.graph.boxes[0].title == shown
    ElementTree.fromstring(drawing.svg())
    assert drawing.source.encode()


def test_every_line_is_short():
    y = te.tensor([1.0], requires_grad=True, name="x" * 10_000)[(None,) * 25]
    y = Named("p" * 10_000)(te.sum(y).reshape((1, 1)))
    y.name = "y" * 10_000
    graph = te.draw(y).graph

    lines = [t for b in graph.boxes for t in (b.name, b.formula, b.detail, b.value)]
    lines += [frame.title for frame in graph.frames]
    assert max(map(len, lines)) <= 60


# ------------------------------------------------------------ always the same, quickly

PROGRAM = """
import numpy as np, sys
import tinygrad_edu as te
te.tensor([1.0]) + len(sys.argv)  # other addresses, other counters
model = te.nn.Sequential(*[te.nn.Linear(2, 2, rng=i) for i in range(9)], te.nn.Tanh())
shared = te.tensor([3.0, 4.0], requires_grad=True)
y = te.mean((model(np.ones((3, 2))) * shared + shared) ** 2)
drawing = te.draw(y)
print(drawing.source, drawing.text(), drawing.svg(), drawing.to_dict(), drawing.steps())
print(drawing._written(".html").decode())
"""


def test_every_process_draws_the_same():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, *["x"] * int(seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(outputs) == 1
    assert not re.search(rb"0x[0-9a-f]{6}", outputs.pop())


def test_importing_leaves_graphviz_alone():
    program = "import sys, tinygrad_edu.drawing; sys.exit('graphviz' in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
@needs_dot
def test_tangle_is_drawn_in_time():
    rng = np.random.default_rng(0)
    found = [te.tensor(1.0, requires_grad=True) for _ in range(30)]
    for _ in range(200):
        found.append(found[rng.integers(len(found))] * found[rng.integers(len(found))])
    y = found[0]
    for x in found[1:]:
        y = y + x

    assert dot.run_dot(te.draw(y, fold=False).source, "png")
