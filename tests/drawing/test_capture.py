"""What is copied into a drawing: names, numbers, gradients, edges and frames."""

from __future__ import annotations

import json
import weakref

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.drawing.graph import Edge, Frame


def parameter(data=(1.0, 2.0), name=None, **kwargs):
    return te.tensor(data, requires_grad=True, name=name, **kwargs)


def graph_of(y, **options):
    return te.draw(y, level=options.pop("level", "op"), **options).graph


def titles(y, **options):
    return [box.title for box in graph_of(y, **options).boxes]


def box_of(graph, name):
    (box,) = (box for box in graph.boxes if box.name == name)
    return box


# -------------------------------------------------------------------------- the names


def test_names_are_own_then_given_then_numbered():
    w, x, b = parameter(name="w"), parameter(), parameter()
    h = w * x
    y = h + b

    assert titles(y, names={"x": x, "w2": w, "h": h, "n": 3}) == [
        *("w", "x", "parameter", "h = w ⊙ x", "t2 = h + parameter")
    ]


def test_names_with_an_underscore_are_a_notebooks_own():
    x = parameter()
    y = te.exp(x)

    assert titles(y, names={"_": y, "_7": x, "y": y}) == ["x", "y = exp(x)"]


def test_operations_are_numbered_in_the_order_in_which_they_were_made():
    a = parameter(name="a")
    first = te.exp(a)
    second = te.sin(a)

    assert titles(second * first) == [
        *("a", "t1 = exp(a)", "t2 = sin(a)", "t3 = t2 ⊙ t1")
    ]


def test_parameters_without_a_name_take_the_layers_attribute():
    class Scale(nn.Layer):
        def __init__(self):
            self.factor = te.tensor(2.0, requires_grad=True)
            self.shifts = [te.tensor(1.0, requires_grad=True, name="own")]
            self.more = [te.tensor(1.0, requires_grad=True)]

        def forward(self, x):
            return x * self.factor + self.shifts[0] + self.more[0]

    y = nn.Sequential(Scale(), nn.Linear(2, 2))(np.ones((3, 2)))

    names = [box.name for box in graph_of(y).boxes if box.kind == "parameter"]
    assert names == ["factor", "own", "more.0", "weight", "bias"]


def test_arrays_are_named_by_the_first_operation_that_takes_them():
    logits = te.linear(np.ones((2, 3)), parameter(np.ones((4, 3)), "W"), None)
    loss = te.softmax_cross_entropy(logits, np.array([0, 1]))

    names = [box.name for box in graph_of(loss).boxes if box.kind == "input"]
    assert names == ["x", "labels"]


def test_equal_roles_are_numbered():
    w = parameter(name="w")

    assert titles(w * np.ones(2) + np.ones(2))[1:3] == ["input 1", "t1 = w ⊙ input 1"]


def test_a_number_stands_in_the_formula():
    w = parameter(name="w")
    y = w * te.tensor(60000.0) - 2

    assert titles(y) == ["w", "t1 = 60000 w", "t2 = t1 − 2"]


def test_names_may_be_everything_around():
    w = parameter()
    y = te.sin(w)

    assert titles(y, names=locals()) == ["w", "y = sin(w)"]


# ------------------------------------------------------------------------ the numbers


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (2 / 3, "0.667"),
        (-0.0, "0"),
        ([1e-9, 123456.0], "[1e-09, 1.23e+05]"),
        ([np.nan, -np.inf], "[nan, -inf]"),
        ([[1, 2], [3, 4]], "[[1, 2], [3, 4]]"),
        ([True, False], "[True, False]"),
        (np.zeros(6), "[0, 0, 0, 0, 0, 0]"),
        (np.arange(7.0), "mean 3, spread 2"),
        (np.arange(7), "0 to 6"),
        (np.zeros((2, 0)), ""),
        (np.full(7, 1e38, np.float32), "mean 1e+38, spread 0"),
        ([np.inf] * 7, "mean inf, spread nan"),
        (np.full(7, 300.0, np.float16) * [1, 1, 1, 1, 1, 1, 8], "mean 600, spread 735"),
        (
            np.r_[np.full(150_000, 1e6), np.full(50_000, 1e6 + 4)],
            "mean 1e+06, spread 1.73",
        ),
    ],
)
def test_few_numbers_are_written_and_of_more_mean_and_spread(data, text):
    (box,) = graph_of(te.tensor(data, name="x")).boxes

    assert box.value == text


def test_gradients_are_those_of_te_gradients_for_everything(rng):
    x = parameter(rng.standard_normal((3, 4)), "x")
    w = parameter(rng.standard_normal((4, 2)), "w")
    h = te.tanh(x @ w)
    y = te.sum(h * h)
    h.name = "h"
    graph = graph_of(y)
    expected = te.gradients(y, [x, w, h])

    found = [box_of(graph, name).norm for name in ("x", "w", "h")]

    np.testing.assert_allclose(found, [np.linalg.norm(g) for g in expected], rtol=1e-12)


def test_gradients_of_few_numbers_are_written():
    w = parameter([3.0, 4.0], "w")

    assert box_of(graph_of(te.sum(w * w)), "w").gradient == "[6, 8]"
    assert graph_of(te.sum(w * w)).boxes[-1].gradient == "1"


def test_norm_neither_overflows_nor_vanishes():
    for size in (1e200, 1e-200):
        w = parameter(np.ones(9), "w")
        graph = graph_of(te.sum(w * size))

        assert box_of(graph, "w").norm == pytest.approx(3 * size)


def test_drawing_touches_no_grad_and_frees_nothing():
    w = parameter(name="w")
    y = te.sum(w * w)
    te.draw(y)

    assert w.grad is None
    y.backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_drawing_keeps_the_numbers_of_its_time():
    w = parameter(name="w")
    y = te.sum(w * w)
    drawing = te.draw(y)
    before = drawing.text(), drawing.source, drawing.svg(), str(drawing.steps())
    y.backward()
    w.data -= 1.0

    assert (
        drawing.text(),
        drawing.source,
        drawing.svg(),
        str(drawing.steps()),
    ) == before


@pytest.mark.parametrize(
    ("show", "filled"),
    [
        (("shape", "value", "gradient"), {"(2,)", "[1, 2]", "[2, 4]"}),
        (("shape",), {"(2,)"}),
        (("value",), {"[1, 2]"}),
        (("gradient",), {"[2, 4]"}),
        ("gradient", {"[2, 4]"}),
        ((), set()),
    ],
)
def test_show_chooses_what_is_written(show, filled):
    w = parameter(name="w")
    box = box_of(graph_of(te.sum(w * w), show=show), "w")
    everything = {"(2,)", "[1, 2]", "[2, 4]"}

    text = f"{box.detail} {box.value} {box.gradient}"

    assert {part for part in everything if part in text} == filled


def test_what_is_wrong_is_said_in_words():
    x = parameter(np.r_[np.full(8, 50.0), np.zeros(2)], "x")
    with np.errstate(all="ignore"):
        y = te.sum(te.sigmoid(x) + te.sqrt(x - 50.0))
    graph = graph_of(y)
    words = {box.detail.partition(",")[0]: box.warnings for box in graph.boxes}

    assert words["sigmoid"] == ("saturated 80 %",)
    assert words["sqrt"] == ("NaN",)


def test_what_was_cut_off_from_its_graph_says_that_it_has_no_gradient():
    w = parameter(name="w")
    with te.no_grad():
        constant = w * 3.0
    graph = graph_of(te.sum(w * (w * 2).detach() * constant))

    assert {box.warnings for box in graph.boxes if box.kind == "input"} == {
        ("no gradient: under no_grad",),
        ("no gradient: detached",),
    }
    assert box_of(graph, "w").warnings == ()


def test_a_rule_that_raises_leaves_the_drawing_without_any_gradients():
    @te.op
    def broken(x):
        return 2.0 * x

    broken.vjp(x=lambda g, out, x: {}["key"])
    del te.OPS["broken"]
    graph = graph_of(te.sum(broken(parameter())))

    assert graph.notes == ("no gradients: KeyError: 'key'",)
    assert not any(box.gradient for box in graph.boxes)
    assert not any(edge.has_gradient for edge in graph.edges)
    assert graph.steps == ()


# -------------------------------------------------------------------------- the edges


def test_an_edge_carries_the_rule_and_the_norm_of_what_flows_back():
    x = te.tensor([[3.0, 4.0]], name="x")
    w = parameter([[1.0], [1.0]], "w")
    y = te.sum(x @ w)
    y.name = "y"

    assert graph_of(y).edges == (
        Edge(0, 2),
        Edge(1, 2, rule="xᵀ · t̄1", has_gradient=True, norm=5.0),
        Edge(2, 3, rule="1", has_gradient=True, norm=1.0),
    )


def test_a_value_used_twice_adds_its_gradients():
    x = parameter(3.0, "x")
    edges = graph_of(x * x).edges

    assert [(e.source, e.target, e.label, e.adds, e.norm) for e in edges] == [
        (0, 1, "left", True, 3.0),
        (0, 1, "right", True, 3.0),
    ]


def test_a_value_used_once_does_not_add():
    x = parameter(3.0, "x")

    assert [edge.adds for edge in graph_of(te.exp(x) * 2.0).edges] == [False, False]


def test_broadcasting_is_explained_both_ways():
    x = parameter(np.ones((3, 2)), "x")
    b = parameter([1.0, 2.0], "b")
    (edge,) = (e for e in graph_of(te.sum(x + b)).edges if e.label)

    assert edge.label == "repeated to (3, 2)"
    assert edge.rule == "Σ over axis 0 of t̄1"


def test_no_gradient_flows_to_what_does_not_require_one():
    x = te.tensor([1.0, 2.0], name="x")
    w = parameter(name="w")
    flows = {e.source: e.has_gradient for e in graph_of(te.sum(x * w)).edges}

    assert flows == {0: False, 1: True, 2: True}


# ------------------------------------------------------------------------- the frames


def test_layers_are_frames_around_operations_and_their_own_parameters():
    inner = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Tanh())
    graph = graph_of(nn.Sequential(inner, nn.Tanh())(np.ones((1, 2))))

    assert graph.frames == (Frame("0: Sequential"), Frame("0: Linear", 0))
    assert [(box.name, box.frame) for box in graph.boxes] == [
        *[("weight", 1), ("bias", 1), ("x", None)],
        *[("t1", 1), ("t2", 0), ("t3", None)],
    ]


def test_parameter_used_outside_too_stands_outside():
    layer = nn.Linear(2, 2, rng=0)
    y = te.sum(nn.Sequential(layer)(np.ones((1, 2)))) + te.sum(layer.weight)

    assert box_of(graph_of(y), "weight").frame is None


# ---------------------------------------------------------------- the walk backward


@pytest.mark.parametrize("level", ["op", "layer"])
def test_an_input_with_a_gradient_is_none_of_the_layers_parameters(level):
    image = parameter(np.ones((2, 3)), "image")
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())

    graph = graph_of(te.sum(model(image)), level=level)

    assert box_of(graph, "image").frame is None
    assert not any("image" in text for box in graph.boxes for text in box.parameters)


def test_steps_are_the_walk_backward():
    w, x = parameter(3.0, "w"), te.tensor(2.0, name="x")
    z = w * x
    z.name = "z"
    loss = z * z + z
    loss.name = "loss"
    steps = te.draw(loss).steps()

    assert str(steps).splitlines() == [
        "Step 1 of 3: loss = t2 + z",
        "  is given  l̄oss: (), 1",
        "  hands on  t̄2 = 1    () → (); 1",
        "  hands on  z̄ = 1    () → (); 1; 1 of 3: more to come",
        "Step 2 of 3: t2 = z · z",
        "  is given  t̄2: (), 1",
        "  hands on  z̄ += t̄2 · z    () → (); 6; 2 of 3: more to come",
        "  hands on  z̄ += t̄2 · z    () → (); 6; 3 of 3: complete",
        "Step 3 of 3: z = w · x",
        "  is given  z̄: (), 13",
        "  hands on  w̄ = z̄ · x    () → (); 26",
    ]
    assert [step.box for step in steps] == [4, 3, 2]


def test_shares_of_a_step_add_up_to_the_gradients(rng):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    loss = nn.softmax_cross_entropy(model(rng.standard_normal((5, 3))), [0, 1, 0, 1, 1])
    graph = graph_of(loss)

    handed = {
        graph.edges[s.edge].source: s.value for st in graph.steps for s in st.shares
    }

    assert len(handed) == 7
    for i, text in handed.items():
        assert graph.boxes[i].gradient == text


def test_steps_of_layers_tell_of_the_parameters_inside():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh()))
    graph = graph_of(te.mean(model(np.ones((5, 3)))), level="model")
    inside = [
        share for step in graph.steps for share in step.shares if share.edge is None
    ]

    assert [share.formula for share in inside] == [
        "0.w̄eight = (∂t2/∂weight)ᵀ t̄2",
        "0.b̄ias = (∂t2/∂bias)ᵀ t̄2",
    ]


# ----------------------------------------------------- where there are no gradients


def test_leaf_alone():
    graph = graph_of(te.tensor(2.0, name="x"))

    assert [box.kind for box in graph.boxes] == ["input"]
    assert (graph.edges, graph.output) == ((), 0)


def test_result_of_many_numbers_has_no_gradients_and_says_so():
    graph = graph_of(parameter() * 2.0)

    assert graph.notes == (
        "no gradients: (2,) is no single number; draw the loss to see them",
    )
    assert not any(edge.has_gradient or edge.rule for edge in graph.edges)
    assert graph.steps == ()


def test_without_gradients_nothing_is_said_of_them():
    layer = te.nn.Linear(2, 2, rng=0)
    several = te.draw(layer, np.ones((3, 2)), backward="off", level="layer")
    one = te.draw(te.sum(layer(np.ones((3, 2)))), backward="off", level="layer")
    with te.no_grad():
        unrecorded = te.draw(te.sum(layer(np.ones((3, 2)))), backward="off")

    drawings = (several, one, unrecorded, te.draw(parameter() * 2.0, backward="off"))
    assert [d.graph.notes for d in drawings] == [()] * 4
    assert not any("gradient" in d.text() for d in drawings)


def test_without_gradients_a_freed_graph_still_says_so():
    y = te.sum(parameter() * 2.0)
    y.backward()

    assert "freed by an earlier backward" in graph_of(y, backward="off").notes[0]


def test_freed_graph_says_so_and_how_to_keep_it():
    w = parameter(name="w")
    y = te.sum(w * w)
    y.backward()
    graph = graph_of(y)

    assert "freed by an earlier backward" in graph.notes[0]
    assert "retain_graph=True" in graph.notes[0]
    assert [box.kind for box in graph.boxes] == ["operation"]


def test_partly_freed_graph_is_drawn_as_far_as_it_is_there():
    w = parameter(name="w")
    h = w * w
    te.sum(h).backward()
    graph = graph_of(te.sum(te.exp(h)))

    assert len(graph.boxes) == 3
    assert "freed" in graph.notes[0]


def test_what_was_not_recorded_says_so():
    with te.no_grad():
        y = te.sum(parameter() * 2.0)

    assert "nothing was recorded" in graph_of(y).notes[0]


def test_value_assigned_after_use_is_not_passed_off_as_the_one_used():
    w = parameter(name="w")
    y = te.sum(w * 2.0)
    w.data -= 1.0
    graph = graph_of(y)

    assert box_of(graph, "w").value == "assigned since"
    assert "was assigned after multiply had used it" in graph.notes[0]


def test_operation_that_failed_is_drawn_with_the_graph_up_to_it():
    x = parameter(np.ones((2, 3)), "x")
    with pytest.raises(ValueError, match="inner sizes differ") as caught:
        te.exp(x) @ np.ones((2, 3))
    graph = te.draw(caught.value).graph

    assert caught.value.__notes__ == ["te.draw(error) draws the graph up to here"]
    *_, failed = graph.boxes
    assert failed.kind == "failed"
    assert failed.name == "matmul failed"
    assert [box.title for box in graph.boxes[:2]] == ["x", "t1 = exp(x)"]
    assert [(e.source, e.target) for e in graph.edges] == [(0, 1), (1, 3), (2, 3)]
    assert graph.output == 3


def test_layer_that_refused_its_input_is_drawn_with_the_layers_before():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(3, 2))
    with pytest.raises(ValueError, match="last axis must be 3") as caught:
        model(np.ones((5, 3)))
    graph = te.draw(caught.value).graph

    assert graph.boxes[-1].name == "Linear failed"
    assert [box.kind for box in graph.boxes].count("operation") == 2


def test_error_without_a_graph_says_so():
    with pytest.raises(TypeError, match="this ValueError keeps no graph"):
        te.draw(ValueError("no"))


# ----------------------------------------------------------------------- other graphs


def test_several_results_are_one_box_and_one_for_each_result_used():
    sign, logabsdet = te.slogdet(parameter(np.eye(3), "A"))
    graph = graph_of(sign * logabsdet)

    assert [box.detail for box in graph.boxes[:2]] == [
        "parameter, (3, 3) float64",
        "slogdet, sign (), logabsdet ()",
    ]
    assert [box.title for box in graph.boxes[2:4]] == [
        "t2 = t1.sign",
        "t3 = t1.logabsdet",
    ]


def test_gradients_go_back_through_an_operation_of_several_results(rng):
    a = parameter(rng.standard_normal((3, 3)), "A")
    u, s, _ = te.svd(a)
    y = te.sum(u * u * s)
    graph = graph_of(y)
    (expected,) = te.gradients(y, [a])

    assert graph.boxes[graph.steps[-1].box].name == "t1"
    assert graph.steps[-1].incoming.startswith("t̄1: U (3, 3), S (3,), Vh (3, 3), norm")
    assert graph.steps[-1].shares[0].shapes == "U (3, 3), S (3,), Vh (3, 3) → (3, 3)"
    assert box_of(graph, "A").norm == pytest.approx(np.linalg.norm(expected))


def test_a_drawing_keeps_no_tensor_and_no_array_alive():
    y = te.sum(te.exp(parameter(np.ones(9))))
    kept = [weakref.ref(x) for x in (y, y.inputs[0], y.inputs[0].inputs[0])]
    drawing = te.draw(y)
    del y

    assert [x() for x in kept] == [None] * 3
    assert drawing.graph.boxes


def test_gradient_that_was_recorded_draws_like_any_graph():
    w = parameter(3.0, "w")
    (gradient,) = te.gradients(w * w * w, [w], create_graph=True)
    graph = graph_of(gradient)

    assert graph.boxes[-1].value == "27"
    assert box_of(graph, "w").gradient == "18"  # the second derivative


def test_graph_is_data_that_json_can_hold():
    w = parameter([1.0, np.nan], "w")
    graph = graph_of(te.sum(w * w))

    text = json.dumps(graph.to_dict(), allow_nan=False)

    assert json.loads(text)["boxes"][0]["name"] == "w"
    assert json.loads(text)["boxes"][0]["norm"] == pytest.approx(2.0) or "nan" in text
