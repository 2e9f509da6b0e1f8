"""The view with a box for each number: what depends on what, and the chain rule."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


def graph_of(y):
    return te.draw(y, level="scalar").graph


def parameter(data, name):
    return te.tensor(data, requires_grad=True, name=name)


def arrows(graph):
    """From and to, by name."""
    names = [box.name for box in graph.boxes]
    return {(names[edge.source], names[edge.target]) for edge in graph.edges}


def test_each_number_is_a_box_with_its_value_and_gradient():
    w = parameter([3.0, -1.0], "w")
    x = te.tensor([2.0, 5.0], name="x")
    y = te.sum(w * x)
    y.name = "y"
    boxes = graph_of(y).boxes

    assert [(b.title, b.value, b.gradient) for b in boxes] == [
        ("w[0]", "3", "2"),
        ("w[1]", "-1", "5"),
        ("x[0]", "2", ""),
        ("x[1]", "5", ""),
        ("t1[0] = w[0] · x[0]", "6", "1"),
        ("t1[1] = w[1] · x[1]", "-5", "1"),
        ("y = Σ(t1)", "1", "1"),
    ]


def test_each_edge_says_incoming_times_local_is_contribution():
    a, b = parameter(2.0, "a"), parameter(-3.0, "b")
    rules = [edge.rule for edge in graph_of(a * b * 4.0).edges]

    assert rules == ["4 × -3 = -12", "4 × 2 = 8", "1 × 4 = 4"]


def test_dead_relu_lets_nothing_through_and_is_drawn():
    x = parameter(-2.0, "x")
    (edge,) = graph_of(te.relu(x)).edges

    assert edge.rule == "1 × 0 = 0"
    assert edge.has_gradient


def test_number_used_several_times_collects_its_contributions():
    a = parameter(3.0, "a")
    graph = graph_of(a * a + a)
    into = [edge for edge in graph.edges if edge.source == 0]

    assert [edge.adds for edge in into] == [True] * 3
    assert sum(float(edge.rule.partition("= ")[2]) for edge in into) == 7.0
    assert graph.boxes[0].gradient == "7"


def test_contributions_add_up_to_the_gradient_everywhere(rng):
    x = parameter(rng.standard_normal((2, 3)), "x")
    w = parameter(rng.standard_normal((3, 2)), "w")
    h = te.softmax(te.tanh(x @ w), axis=1)
    y = te.sum(te.concatenate([h, x[:, :2]]) ** 2)
    graph = graph_of(y)
    total = np.zeros(len(graph.boxes))
    for edge in graph.edges:
        total[edge.source] += float(edge.rule.partition("= ")[2] or 0)

    for i, box in enumerate(graph.boxes[:-1]):
        assert total[i] == pytest.approx(float(box.gradient), abs=0.02)


def test_only_what_a_number_depends_on_has_an_edge_to_it():
    x = parameter([[1.0, 2.0], [3.0, 4.0]], "x")
    w = parameter([0.0, 1.0], "w")
    y = x @ w
    y.name = "y"

    assert arrows(graph_of(te.sum(y))) >= {
        *[("x[0, 0]", "y[0]"), ("x[0, 1]", "y[0]"), ("w[0]", "y[0]"), ("w[1]", "y[0]")],
        *[("x[1, 0]", "y[1]"), ("x[1, 1]", "y[1]"), ("w[0]", "y[1]"), ("w[1]", "y[1]")],
    }
    assert ("x[1, 0]", "y[0]") not in arrows(graph_of(te.sum(y)))


def test_a_number_that_is_picked_is_the_only_one():
    x = parameter([1.0, 2.0, 3.0], "x")
    y = x[1]
    y.name = "y"

    assert arrows(graph_of(y)) == {("x[1]", "y")}


def test_broadcast_number_is_used_by_all():
    x, b = parameter([1.0, 2.0], "x"), parameter([[5.0]], "b")
    y = te.sum(x + b)

    assert {("b[0, 0]", "t1[0, 0]"), ("b[0, 0]", "t1[0, 1]")} < arrows(graph_of(y))


def test_labels_are_one_box():
    logits = parameter([[1.0, 2.0]], "z")
    loss = te.softmax_cross_entropy(logits, np.array([1]))
    loss.name = "loss"

    assert arrows(graph_of(loss)) == {
        *[("z[0, 0]", "loss"), ("z[0, 1]", "loss"), ("labels", "loss")]
    }


def test_steps_go_from_the_output_to_each_number():
    a = parameter(3.0, "a")
    steps = te.draw(a * a, level="scalar").steps()

    assert str(steps).splitlines() == [
        "Step 1 of 1: t1 = a · a",
        "  is given  t̄1: 1",
        "  hands on  ā = 1 × 3    3; 1 of 2: more to come",
        "  hands on  ā += 1 × 3    3; 2 of 2: complete",
    ]


def test_layers_are_frames():
    model = te.nn.Sequential(te.nn.Linear(2, 1, rng=0), te.nn.Tanh())
    graph = graph_of(te.sum(model(np.ones((1, 2)))))

    assert [frame.title for frame in graph.frames] == ["0: Linear"]


def test_result_of_many_numbers_has_boxes_but_no_gradients():
    graph = graph_of(parameter([1.0, 2.0], "x") * 2.0)

    assert len(graph.boxes) == 4
    assert not any(edge.has_gradient for edge in graph.edges)
    assert "no single number" in graph.notes[0]


def test_of_a_freed_operation_no_formula_is_known():
    h = te.sin(parameter(2.0, "x"))
    y = te.exp(h)
    (h * h).backward()

    assert [box.title for box in graph_of(y).boxes] == ["t1", "t2 = exp(t1)"]


@pytest.mark.parametrize(("size", "fits"), [(29, True), (30, False)])
def test_more_than_sixty_numbers_are_refused(size, fits):
    y = te.sum(te.exp(parameter(np.zeros(size), "x")))  # and 1 for the sum

    if fits:
        assert len(graph_of(y).boxes) == 2 * size + 1
        return
    with pytest.raises(
        ValueError, match=r'at most 60 numbers, .*has 61; use level="op"'
    ):
        graph_of(y)


def test_operation_with_several_results_is_refused():
    sign, _ = te.slogdet(parameter(np.eye(2), "A"))

    with pytest.raises(ValueError, match="several results"):
        graph_of(sign)
