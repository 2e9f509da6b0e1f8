"""te.profile: rows that add up, in the right direction, and nothing left behind.

Nothing is asserted of a time but where one operation was made to sleep.
"""

from __future__ import annotations

import csv
import io
import re
import time
import tracemalloc
from itertools import pairwise
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import legend

import tinygrad_edu as te
from tinygrad_edu.drawing import svg
from tinygrad_edu.engine import observation
from tinygrad_edu.profiling import step as steps

NAP = 0.02  # s; the others take some microseconds
QUICK = 1e-9  # s: the fewest rounds


@pytest.fixture
def data(rng):
    return SimpleNamespace(X=rng.normal(size=(20, 6)), y=rng.integers(0, 3, 20))


def network(*more):
    return te.nn.Sequential(
        te.nn.Linear(6, 5, rng=0), te.nn.Tanh(), *more, te.nn.Linear(5, 3, rng=1)
    )


def profiled(model, data, **options):
    loss = te.nn.softmax_cross_entropy
    return te.profile(model, data.X, data.y, loss=loss, seconds=QUICK, **options)


def named(costs):
    return {cost.name: cost for cost in costs}


class Function(te.nn.Layer):
    """A layer of one parameter that computes what it is told to."""

    def __init__(self, function):
        self.function = function
        self.scale = te.tensor(2.0, requires_grad=True)

    def forward(self, x):
        return self.function(x * self.scale)


# ------------------------------------------------------------------------------ times


@pytest.mark.parametrize("rows", ["layers", "operations"])
def test_the_rows_add_up_to_the_whole_step(rows, data):
    found = profiled(network(), data)

    parts = [*getattr(found, rows), found.outside]
    for what in ("forward", "backward", "time", "share", "kept"):
        total = sum(getattr(cost, what) for cost in parts)
        assert total == pytest.approx(getattr(found.step, what), rel=1e-9)
    assert max(c.temporary for c in parts) == found.step.temporary
    assert found.step.share == 1
    assert [c.time for c in parts[:-1]] == sorted(
        (c.time for c in parts[:-1]), reverse=True
    )


@pytest.mark.parametrize("slow", ["forward", "backward"])
def test_the_slow_operation_comes_first_and_in_its_direction(slow, data):
    @te.op(elementwise=True)
    def drowsy(x):
        if slow == "forward":
            time.sleep(NAP)
        return np.array(x)

    def rule(g, out, x):
        if slow == "backward":
            time.sleep(NAP)
        return g * 1.0

    drowsy.vjp(x=rule)

    found = profiled(network(Function(drowsy)), data)

    other = {"forward": "backward", "backward": "forward"}[slow]
    for first in (found.operations[0], found.layers[0], found.step):
        assert first.name in ("drowsy", "2 Function", "whole step")
        assert getattr(first, slow) >= NAP
    assert found.operations[0].name == "drowsy"
    assert found.layers[0].name == "2 Function"
    assert getattr(found.operations[0], other) < NAP / 10


def test_a_delay_that_is_not_there_in_every_round_does_not_count(data):
    calls = []

    @te.op(elementwise=True)
    def disturbed(x):
        calls.append(1)
        if len(calls) < 6:  # the runs to record and to warm up, and the first round
            time.sleep(NAP)
        return np.array(x)

    disturbed.vjp(x=lambda g, out, x: g * 1.0)

    found = profiled(network(Function(disturbed)), data)

    assert len(calls) > 9
    assert found.step.time < NAP / 2
    assert named(found.operations)["disturbed"].time < NAP / 2


def test_undoing_a_broadcast_belongs_to_the_operation_that_did_it(monkeypatch, data):
    def slowly(d, x, node):
        time.sleep(NAP)
        return fitted(d, x, node)

    fitted = observation.fitted
    monkeypatch.setattr(observation, "fitted", slowly)

    found = named(profiled(network(Function(te.exp)), data).operations)

    assert found["multiply"].backward >= NAP  # by a scalar
    assert found["linear"].backward < NAP / 2


def test_what_is_computed_unrecorded_is_outside_the_operations(data):
    def with_a_nap(x):
        time.sleep(NAP)
        return te.exp(x)

    found = profiled(network(Function(with_a_nap)), data)

    assert found.outside.forward >= NAP / 2
    assert found.outside.backward < NAP / 2
    assert found.layers[0].time < NAP / 2


def test_the_frozen_part_is_timed_forward_and_not_backward(data):
    model = network()
    for p in model[0].parameters():
        p.requires_grad = False

    found = profiled(model, data)

    layers = named(found.layers)
    for name in ("0 Linear", "1 Tanh"):
        assert layers[name].forward > 0
        assert layers[name].backward == 0
        assert layers[name].kept == 0
    assert layers["2 Linear"].backward > 0
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]


def test_it_measures_for_as_long_as_it_is_told(data):
    found = te.profile(network(), data.X, seconds=30)

    assert found.rounds == 200  # the most, long before
    assert profiled(network(), data).rounds == 3


# ----------------------------------------------------------------------------- memory


def test_the_memory_of_a_network_is_what_one_counts_by_hand(rng):
    n, wide = 500, 300
    model = te.nn.Sequential(te.nn.Linear(100, wide, rng=0), te.nn.Flatten())
    X = rng.normal(size=(n, 100))

    found = te.profile(model, X, seconds=QUICK)

    layers, result = named(found.layers), 8 * n * wide
    assert layers["0 Linear"].kept == result
    assert layers["1 Flatten"].kept == 0  # a view
    gradients = 8 * (100 + 1) * wide
    assert result + gradients <= found.peak <= 3 * result + gradients


def test_temporary_memory_is_what_is_needed_beside_the_result():
    def rule(g, out, x):
        wasted = np.zeros(3_000_000)
        return g * wasted[0]

    @te.op(elementwise=True)
    def wasteful(x):
        wasted = np.zeros(1_000_000)
        return x + wasted[0]

    wasteful.vjp(x=rule)
    model = te.nn.Sequential(Function(wasteful), te.nn.Tanh())

    found = te.profile(model, np.ones(1000), seconds=QUICK)

    costs = named(found.operations)
    assert costs["wasteful"].temporary == pytest.approx(24_000_000, rel=0.01)
    assert costs["tanh"].temporary < 100_000
    assert found.step.temporary == costs["wasteful"].temporary
    assert found.peak == pytest.approx(24_000_000, rel=0.01)


def test_memory_that_is_traced_already_is_traced_on(data):
    tracemalloc.start()
    try:
        profiled(network(), data)

        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- nothing left behind


def test_the_model_is_left_as_it_was(data):
    noisy = te.nn.Dropout(0.5, rng=7)
    model = network(te.nn.BatchNorm1d(5), noisy)
    model(data.X).sum().backward()
    tensors = model.parameters()
    before = model.state_dict()
    grads = [(p.grad, p.grad.copy()) for p in tensors]
    state = noisy.rng.bit_generator.state

    profiled(model, data)

    assert before.keys() == model.state_dict().keys()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    for p, (grad, copy) in zip(tensors, grads, strict=True):
        assert p.grad is grad
        np.testing.assert_array_equal(grad, copy)
    assert noisy.rng.bit_generator.state == state
    assert all(layer.training for _, layer in model.named_layers())
    assert not tracemalloc.is_tracing()


def test_it_is_left_as_it_was_by_an_error_too(data, monkeypatch):
    model = network(te.nn.BatchNorm1d(5))
    model(data.X).sum().backward()
    before = model.state_dict()
    grads = [p.grad for p in model.parameters()]
    monkeypatch.setattr(steps, "_bytes", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        profiled(model, data)

    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert all(a.grad is b for a, b in zip(model.parameters(), grads, strict=True))
    assert not tracemalloc.is_tracing()


def test_the_gradient_of_a_tensor_that_comes_in_is_left_alone(data):
    X = te.tensor(data.X, requires_grad=True)

    te.profile(network(), X, seconds=QUICK)

    assert X.grad is None


def test_the_operations_computed_anew_give_the_same_numbers(data):
    model = network(
        te.nn.Dropout(0.5, rng=7), Function(lambda x: te.softmax(x * te.exp(x)))
    )
    step = steps.Step(model, (data.X,), None, None)
    output = step.forward()
    nodes = te.engine.traversal.nodes_of([output])
    trained = steps._tracked_leaves(output)
    want = [np.array(node.data) for node in nodes]
    gradients = dict(zip(trained, te.gradients(output, trained), strict=True))
    got = {}

    def collected(f, args, kwargs):
        result = f(*args, **kwargs)
        if f is observation.shares_of:
            for x, d in result:
                got[x] = got.get(x, 0) + d
        return result, 0.0

    steps._by_operation(nodes, None, collected)
    steps._forward(nodes, collected)

    for node, data_ in zip(nodes, want, strict=True):
        np.testing.assert_array_equal(node.data, data_)
    for x, g in gradients.items():
        np.testing.assert_allclose(got[x], g, rtol=1e-14, atol=0)


# ------------------------------------------------------------------- what is in a row


def test_layers_have_the_paths_of_the_summary(data):
    shared = te.nn.Linear(6, 6, rng=0)
    inner = te.nn.Sequential(shared, te.nn.Tanh(), shared)
    model = te.nn.Sequential(inner, te.nn.Linear(6, 3, rng=1))

    found = profiled(model, data)

    calls = {cost.name: cost.calls for cost in found.layers}
    assert calls == {"0.0 Linear": 2, "0.1 Tanh": 1, "1 Linear": 1, "loss": 1}
    assert calls.keys() - {"loss"} <= {
        line[:10].strip() for line in model.summary((6,)).splitlines()
    }
    assert named(found.operations)["linear"].calls == 3


def test_what_a_layer_computes_beside_its_layers_is_its_own():
    class Residual(te.nn.Layer):
        def __init__(self):
            self.inner = te.nn.Linear(4, 4, rng=0)

        def forward(self, x):
            return te.exp(self.inner(x)) * 2.0

    found = te.profile(Residual(), np.ones((2, 4)), seconds=QUICK)

    calls = {cost.name: cost.calls for cost in found.layers}
    assert calls == {"Residual": 1, "inner Linear": 1, "loss": 1}
    assert named(found.operations).keys() == {"linear", "exp", "multiply", "sum"}


@pytest.mark.parametrize("make", [tuple, list, lambda x: {"a": x[0], "b": x[1:]}])
def test_several_outputs_are_added_up(make, data):
    class Heads(te.nn.Layer):
        def __init__(self):
            self.first = te.nn.Linear(6, 2, rng=0)
            self.second = te.nn.Linear(6, 3, rng=1)

        def forward(self, x):
            return make([self.first(x), self.second(x), x])

    found = te.profile(Heads(), data.X, seconds=QUICK)

    assert {c.name: c.calls for c in found.operations} == {
        "linear": 2,
        "sum": 2,
        "add": 1,
    }
    assert all(cost.backward > 0 for cost in found.layers if cost.name != "loss")


def test_operations_with_several_results_and_residuals(rng):
    def f(x):
        values, vectors = te.eigh(x @ te.transpose(x))
        return te.softmax(values) @ vectors

    found = te.profile(Function(f), rng.normal(size=(4, 4)), seconds=QUICK)

    assert named(found.operations)["item"].calls == 2
    assert all(cost.backward > 0 for cost in found.operations)


def test_several_inputs_and_targets(data):
    class Both(te.nn.Layer):
        def __init__(self):
            self.inner = te.nn.Linear(6, 1, rng=0)

        def forward(self, a, b):
            return self.inner(a), self.inner(b)

    def loss(output, targets):
        return sum(te.nn.mse_loss(o, t) for o, t in zip(output, targets, strict=True))

    y = np.ones((20, 1))

    found = te.profile(Both(), (data.X, data.X), (y, y), loss=loss, seconds=QUICK)

    assert "(20, 6) float64, (20, 6) float64, with loss" in str(found)
    assert named(found.layers)["inner Linear"].calls == 2


def test_a_loss_may_be_a_layer_with_parameters_of_its_own(data):
    class Loss(te.nn.Layer):
        def __init__(self):
            self.temperature = te.tensor(1.0, requires_grad=True)

        def forward(self, output, y):
            return te.nn.softmax_cross_entropy(output / self.temperature, y)

    loss = Loss()

    found = te.profile(network(), data.X, data.y, loss=loss, seconds=QUICK)

    assert "Loss" in named(found.layers)
    assert loss.temperature.grad is None


def test_nan_is_no_obstacle(data):
    data.X[0] = np.nan

    found = profiled(network(Function(te.log)), data)

    assert found.step.time > 0


@pytest.mark.slow
def test_a_chain_of_20_000_operations_is_profiled():
    def chain(x):
        for _ in range(20_000):
            x = x + 1.0
        return x

    found = te.profile(Function(chain), np.ones(3), seconds=QUICK)

    assert named(found.operations)["add"].calls == 20_000
    assert re.search(r"all (20,000|19,999) together", found.draw(level="op").text())


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"model": len}, TypeError, "must be a Layer, got builtin_function_or_method"),
        ({"y": None}, ValueError, "loss came without y"),
        ({"loss": None}, ValueError, "y came without a loss"),
        ({"loss": "mse"}, TypeError, "loss must be callable, got str"),
        ({"seconds": 0}, ValueError, "seconds must be positive and finite, got 0"),
        ({"seconds": "1"}, ValueError, "seconds must be positive and finite, got '1'"),
        ({"model": te.nn.Tanh()}, ValueError, "nothing was recorded: no parameter"),
        ({"loss": lambda o, y: 1.0}, ValueError, "nothing was recorded: no parameter"),
        ({"loss": lambda o, y: o * y}, ValueError, r"a Tensor of shape \(2, 3\)"),
    ],
)
def test_an_error_says_what_to_do(arguments, error, told):
    model, X, y = te.nn.Linear(3, 3), np.ones((2, 3)), np.ones((2, 3))
    given = {"model": model, "X": X, "y": y, "loss": te.nn.mse_loss} | arguments

    with pytest.raises(error, match=told):
        te.profile(**given)


def test_nothing_is_recorded_under_no_grad(data):
    with te.no_grad(), pytest.raises(ValueError, match=r"leave te\.no_grad\(\)"):
        te.profile(network(), data.X)


# ----------------------------------------------------------------- tables and pictures


def test_the_table_is_aligned_and_gathers_what_is_short(data):
    layers = [te.nn.Linear(6, 6, rng=i) for i in range(14)]
    found = te.profile(te.nn.Sequential(*layers), data.X, seconds=QUICK)

    by_layer = str(found).split("\n\n")[1].splitlines()

    assert [line[:20].strip() for line in by_layer[11:]] == [
        "5 others",
        "outside operations",
        "whole step",
    ]
    assert len({len(line) for line in by_layer if "outside" not in line}) == 1
    assert "others" not in found.table(top=14)
    with pytest.raises(ValueError, match="top must be 1 or more, got 0"):
        found.table(top=0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.50 s"), (0.0123, "12.3 ms"), (1e-4, "100 µs"), (2e-8, "0.02 µs")],
)
def test_times_are_written_with_a_unit_that_suits_them(seconds, text):
    assert te.profiling.report._time(seconds) == text


def test_the_csv_holds_every_row(data, tmp_path):
    found = profiled(network(), data)

    path = found.to_csv(tmp_path / "deep" / "profile.csv")

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    costs = [*found.layers, *found.operations, found.outside, found.step]
    assert [row["name"] for row in rows] == [cost.name for cost in costs]
    assert [float(row["backward_seconds"]) for row in rows] == [
        cost.backward for cost in costs
    ]
    assert [int(row["bytes_kept"]) for row in rows] == [cost.kept for cost in costs]
    kinds = [row["kind"] for row in rows]
    assert kinds == ["layer"] * 4 + ["operation"] * 3 + ["step"] * 2


def test_a_hostile_name_is_text_everywhere(data, tmp_path):
    name = '<script>alert("1")</script>,\n=1'

    class Holder(te.nn.Layer):
        def __init__(self):
            self.parts = {name: te.nn.Linear(6, 3, rng=0)}

        def forward(self, x):
            return self.parts[name](x)

    Holder.__name__ = "<img src=x>\n"

    found = te.profile(Holder(), data.X, seconds=QUICK)

    page = found._repr_html_()
    tags = set(re.findall(r"<(\w+)", page))
    assert tags == {"p", "b", "br", "table", "tr", "th", "td"}
    assert ElementTree.fromstring(f"<div>{page.replace('<br>', '')}</div>") is not None
    assert len(str(found).splitlines()) == 3 + 2 * (1 + 1 + 2 + 2)
    assert "\n" not in repr(found)
    assert "<script" not in found.draw().svg()
    with found.to_csv(tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        text = file.read()
    assert any(f"parts.{name} Linear" in row for row in csv.reader(io.StringIO(text)))
    assert "\r" not in text
    found.plot().figure.draw_without_rendering()


def test_the_drawing_shades_boxes_by_their_share_and_says_the_times(data):
    drawing = profiled(network(), data).draw()

    boxes = [box for box in drawing.graph.boxes if box.share is not None]
    assert len(boxes) == 4
    assert all(box.kind in ("layer", "operation") for box in boxes)
    assert all(re.search(r"s \(.*\): forward .*, backward", box.cost) for box in boxes)
    picture = drawing.svg()
    for i, box in enumerate(drawing.graph.boxes):
        shaded = rf'class="box {box.kind}( output)? shaded shade\d" data-box="{i}"'
        assert bool(re.search(shaded, picture)) is (box.share is not None)
    assert "25 % of the time or more" in picture
    for text in (drawing.text(), drawing.source):
        assert all(box.cost in text for box in boxes)
    assert all(box.gradient == "" for box in drawing.graph.boxes)
    assert not any(edge.has_gradient for edge in drawing.graph.edges)


@pytest.mark.parametrize("level", ["layer", "model", "op"])
def test_the_boxes_add_up_to_all_operations_also_where_blocks_are_folded(level, data):
    block = [
        part for i in range(50) for part in (te.nn.Linear(6, 6, rng=i), te.nn.ReLU())
    ]
    found = te.profile(te.nn.Sequential(*block), data.X, seconds=QUICK)

    boxes = found.draw(level=level).graph.boxes

    assert len(boxes) < 50
    assert any("all 49 together" in box.cost or "all 50" in box.cost for box in boxes)
    assert sum(box.share or 0 for box in boxes) == pytest.approx(
        1 - found.outside.share, rel=1e-9
    )


def test_the_box_for_what_is_not_shown_has_its_share_too(rng):
    functions = [(te.tanh, te.sin, te.exp)[i] for i in rng.integers(0, 3, 300)]

    def unlike(x):
        for function in functions:
            x = function(-x)
        return x

    found = te.profile(Function(unlike), np.ones(3), seconds=QUICK)

    boxes = found.draw(level="op").graph.boxes
    assert boxes[0].kind == "rest"
    assert boxes[0].cost
    assert sum(box.share or 0 for box in boxes) == pytest.approx(
        1 - found.outside.share, rel=1e-9
    )


def test_a_drawing_can_be_made_after_the_next_step_of_training(data):
    model = network()
    found = profiled(model, data)
    for p in model.parameters():
        p.data -= 0.1

    drawing = found.draw(level="op", direction="LR")

    assert len(drawing.graph.notes) == 1  # of the whole step; none on lost gradients
    assert "shaded" in drawing.svg()


@pytest.mark.parametrize("wrong", [{"level": "scalar"}, {"direction": "up"}])
def test_a_drawing_refuses_unknown_options(wrong, data):
    (name, value) = next(iter(wrong.items()))

    with pytest.raises(ValueError, match=f"draw: {name} must be one of .*{value}"):
        profiled(network(), data).draw(**wrong)


@pytest.mark.parametrize(
    ("share", "number"),
    [(-0.1, 0), (0.019, 0), (0.02, 1), (0.07, 2), (0.1, 3), (0.25, 4), (1.2, 4)],
)
def test_a_larger_share_has_a_darker_shade(share, number):
    assert svg.shade(share) == number


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize(
    ("shades", "ink"),
    [
        (svg.HEAT, svg._LIGHT["ink"]),
        (svg._HEAT_DARK, svg._DARK["ink"]),
        (svg._HEAT_GREY, svg._GREY["ink"]),
    ],
)
def test_text_is_legible_on_every_shade_and_shades_are_told_apart_in_grey(shades, ink):
    lights = [luminance(shade) for shade in shades]

    for light in lights:  # the contrast of WCAG 2
        dark, bright = sorted([light, luminance(ink)])
        assert (bright + 0.05) / (dark + 0.05) >= 4.5
    ratios = [(max(a, b) + 0.05) / (min(a, b) + 0.05) for a, b in pairwise(lights)]
    assert min(ratios) >= 1.15
    assert len({a > b for a, b in pairwise(lights)}) == 1


def test_drawings_without_costs_have_no_shades():
    w = te.tensor(2.0, requires_grad=True, name="w")

    drawing = te.draw(w * w, legend=True)

    assert "shade" not in drawing.svg() + drawing.source


def test_the_plot_has_a_bar_forward_and_backward_for_each_layer(data):
    found = profiled(network(), data)

    ax = found.plot()

    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [*(cost.name for cost in found.layers), "outside operations"]
    assert legend(ax) == ["forward", "backward"]
    bars = ax.containers
    widths = [
        bar.get_width() + back.get_width() for bar, back in zip(*bars, strict=True)
    ]
    scale = {"µs": 1e6, "ms": 1e3}[ax.get_xlabel()]
    assert widths[:-1] == pytest.approx([scale * cost.time for cost in found.layers])
    assert all(back.get_x() == bar.get_width() for bar, back in zip(*bars, strict=True))


def test_the_plot_takes_axes_and_gathers_what_is_short(data):
    layers = [te.nn.Linear(6, 6, rng=i) for i in range(30)]
    found = te.profile(te.nn.Sequential(*layers), data.X, seconds=QUICK)
    ax = Figure().add_subplot()

    assert found.plot(ax=ax) is ax

    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(names) == 22
    assert names[-2:] == ["11 others", "outside operations"]
