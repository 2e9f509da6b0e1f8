"""What gets a box: at each level, folded where blocks repeat, cut at too many."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn


class Block(nn.Layer):
    """A residual block: x + W₂ tanh(W₁ x)."""

    def __init__(self, size):
        self.inner = nn.Sequential(
            nn.Linear(size, size, rng=0), nn.Tanh(), nn.Linear(size, size, rng=1)
        )

    def forward(self, x):
        return x + self.inner(x)


class Network(nn.Layer):
    def __init__(self, blocks, scale=2.0):
        self.first = nn.Linear(3, 4, rng=2)
        self.blocks = [Block(4) for _ in range(blocks)]
        self.scale = te.tensor(scale, requires_grad=True)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x * self.scale


class Recurrent(nn.Layer):
    def __init__(self):
        self.cell = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Tanh())

    def forward(self, x):
        h = x
        for _ in range(20):
            h = self.cell(h) + 1.0
        return h


def graph_of(y, **options):
    return te.draw(y, **options).graph


def details(graph):
    """The second lines of all operations and layers: what they are."""
    return [b.detail.partition(", (")[0] for b in graph.boxes if b.formula]


def around(graph, box):
    found, frame = [], graph.boxes[box].frame
    while frame is not None:
        found.append(graph.frames[frame].title)
        frame = graph.frames[frame].parent
    return found


def loss(model, rows=5, features=3):
    return te.mean(model(np.ones((rows, features))) ** 2)


def chain(length, x=0.5):
    y = te.tensor(x, requires_grad=True, name="x")
    for _ in range(length):
        y = te.sin(y)
    return y


def random_chain(length):
    """A chain in which nothing repeats."""
    rng = np.random.default_rng(0)
    y = te.tensor(0.5, requires_grad=True, name="x")
    for i in rng.integers(0, 3, length):
        y = (te.sin, te.tanh, te.negative)[i](y)
    return y


# ------------------------------------------------------------------------- the levels


def test_op_has_a_box_for_each_operation():
    graph = graph_of(loss(Network(1)), level="op")

    assert graph.level == "op"
    assert details(graph) == [
        *("linear", "linear", "tanh", "linear", "add", "multiply", "power", "mean")
    ]


def test_layer_has_a_box_for_each_layer_and_for_operations_between_layers():
    graph = graph_of(loss(Network(1)), level="layer")

    assert details(graph) == [
        *("first: Linear", "0: Linear", "1: Tanh", "2: Linear"),
        *("add", "multiply", "power", "mean"),
    ]
    assert [frame.title for frame in graph.frames] == [
        "blocks.0: Block",
        "inner: Sequential",
    ]


def test_model_has_a_box_for_each_part_of_the_model():
    graph = graph_of(loss(Network(2)), level="model")

    assert details(graph) == [
        *("first: Linear", "blocks.0: Block", "blocks.1: Block"),
        *("multiply", "power", "mean"),
    ]
    assert graph.frames == ()


def test_box_of_a_layer_lists_its_parameters_with_their_paths():
    graph = graph_of(loss(Network(1)), level="model")
    block = next(box for box in graph.boxes if "Block" in box.detail)

    names = [text.partition(" ")[0] for text in block.parameters]

    prefixes = ("inner.0.", "inner.2.")
    assert names == [p + name for p in prefixes for name in ("weight", "bias")]
    assert all(
        "gradient norm" in text or "gradient [" in text for text in block.parameters
    )


def test_many_parameters_of_a_layer_are_one_line():
    model = nn.Sequential(nn.Sequential(*[nn.Linear(3, 3, rng=i) for i in range(4)]))
    graph = graph_of(loss(model), level="model")

    (text,) = next(box for box in graph.boxes if box.kind == "layer").parameters
    assert text.startswith("48 parameters in 8 arrays, gradient norm ")


def test_parameter_that_two_layers_share_has_a_box_of_its_own():
    model = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1))
    model[1].weight = model[0].weight
    graph = graph_of(loss(model), level="layer")

    shared = [i for i, box in enumerate(graph.boxes) if box.name == "weight"]
    assert len(shared) == 1
    assert [edge.adds for edge in graph.edges if edge.source == shared[0]] == [True] * 2


@pytest.mark.parametrize(
    ("blocks", "level"), [(1, "op"), (9, "op"), (10, "layer"), (40, "layer")]
)
def test_auto_is_op_up_to_forty_operations(blocks, level):
    y = loss(Network(blocks))  # 4 operations, and 4 for each block

    assert graph_of(y).level == level


def test_auto_without_layers_is_op():
    assert graph_of(random_chain(60)).level == "op"


def test_a_single_model_has_no_frame_around_all_and_two_have():
    one, two = nn.Sequential(nn.Linear(3, 3)), nn.Sequential(nn.Linear(3, 3))
    x = np.ones((2, 3))

    assert [f.title for f in graph_of(one(x)).frames] == ["0: Linear"]
    assert [f.title for f in graph_of(two(one(x))).frames] == [
        *("Sequential", "0: Linear"),
        *("Sequential", "0: Linear"),
    ]
    assert [f.title for f in graph_of(one(np.exp(one(x)))).frames] == [
        *("Sequential, call 1", "0: Linear, call 1"),
        *("Sequential, call 2", "0: Linear, call 2"),
    ]


def test_layer_called_twice_is_two_boxes():
    layer = nn.Sequential(nn.Linear(3, 3))
    model = nn.Sequential(layer, nn.Tanh(), layer)
    graph = graph_of(loss(model), level="layer")

    assert details(graph) == [
        *("0: Linear", "1: Tanh", "0: Linear", "power", "mean"),
    ]


def test_parameters_of_one_name_have_the_path_of_their_layer_before_it():
    block = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Tanh())
    model = nn.Sequential(nn.Residual(block), nn.Linear(3, 1, bias=False, rng=1))

    graph = graph_of(te.sum(model(np.ones((2, 3)))), level="op")

    names = [box.name for box in graph.boxes if box.kind == "parameter"]
    assert sorted(names) == ["0.inner.0.weight", "1.weight", "bias"]
    assert any("· 1.weight" in edge.rule for edge in graph.edges)


def test_calls_of_an_outermost_layer_are_told_apart():
    judge = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Linear(2, 1, rng=1))
    real, fake = np.ones((4, 3)), np.zeros((4, 3))

    graph = graph_of(te.sum(judge(real) - judge(fake)), level="layer")

    assert [box.title for box in graph.boxes if box.kind == "layer"] == [
        "t1 = x 1 · 0.weightᵀ + 0.bias",
        "t2 = tanh(t1)",
        "t3 = t2 · 2.weightᵀ + 2.bias",
        "t4 = x 2 · 0.weightᵀ + 0.bias",
        "t5 = tanh(t4)",
        "t6 = t5 · 2.weightᵀ + 2.bias",
    ]
    assert [frame.title for frame in graph.frames] == [
        "Sequential, call 1",
        "Sequential, call 2",
    ]


@pytest.mark.parametrize("between", [lambda y: y, te.tanh])
def test_calls_of_a_layer_without_layers_inside_are_told_apart(between):
    layer = nn.Linear(3, 2, rng=0)
    one, two = (between(layer(np.ones((4, 3)) * i)) for i in (1, 2))

    graph = graph_of(te.sum(one - two), level="layer")

    assert sum(box.kind == "layer" for box in graph.boxes) == 2
    assert {e.adds for e in graph.edges if "weight" in graph.boxes[e.source].name} == {
        True
    }


class Split(nn.Layer):
    """One layer with two results: tanh and its square, of four columns."""

    def __init__(self):
        self.weight = te.tensor(np.ones((3, 4)), requires_grad=True)

    def forward(self, x):
        h = te.tanh(x @ self.weight)
        return h, h * h


def test_of_several_results_the_rule_of_a_layer_says_that_there_are_more():
    one, two = Split()(te.tensor(np.ones((2, 3)), requires_grad=True, name="x"))

    graph = graph_of(te.sum(one) + te.sum(two), level="layer")

    step = next(s for s in graph.steps if graph.boxes[s.box].kind == "layer")
    assert step.incoming.endswith("; and those of 1 other result")
    assert {share.formula.partition("ᵀ ")[2] for share in step.shares} == {"t̄3 + …"}
    (other,) = (
        share for s in graph.steps for share in s.shares if "t̄2" in share.formula
    )
    assert other.note == "1 of 3, of which 2 are not shown; " + (
        "the box of t3 stands for t2, too"
    )


def test_shapes_of_a_layers_step_are_those_of_its_result():
    class Narrowing(nn.Layer):
        def __init__(self):
            self.inner = te.tensor(np.ones((3, 7)), requires_grad=True)
            self.outer = te.tensor(np.ones((7, 2)), requires_grad=True)

        def forward(self, x):
            return te.tanh(x @ self.inner) @ self.outer

    graph = graph_of(te.sum(Narrowing()(np.ones((5, 3)))), level="layer")

    assert [share.shapes for share in graph.steps[-1].shares] == [
        "(5, 2) → (3, 7)",
        "(5, 2) → (7, 2)",
    ]


def test_no_edge_leads_back_at_any_level():
    y = loss(Recurrent(), features=2)

    for level in ("op", "layer", "model"):
        for fold in (True, False):
            graph = graph_of(y, level=level, fold=fold)
            assert graph.edges
            assert all(edge.source < edge.target for edge in graph.edges)


# ------------------------------------------------------------------------ the folding


def test_equal_blocks_fold_and_say_so():
    graph = graph_of(loss(Network(12)))

    assert [frame.title for frame in graph.frames] == [
        "blocks.0 to blocks.11: Block ×12",
        "inner: Sequential",
    ]
    assert details(graph) == [
        *("first: Linear", "0: Linear", "1: Tanh", "2: Linear", "add"),
        *("multiply", "power", "mean"),
    ]
    assert graph.notes == (
        'showing 8 boxes for 52 operations; level="op", fold=False shows all',
    )


def test_folded_graph_is_connected_from_input_to_output():
    graph = graph_of(loss(Network(12)))

    reached = {graph.output}
    for edge in sorted(graph.edges, key=lambda e: -e.target):
        if edge.target in reached:
            reached.add(edge.source)
    assert reached == set(range(len(graph.boxes)))


def test_the_last_of_equal_blocks_is_shown():
    y = chain(60)
    *_, shown = graph_of(y).boxes

    assert shown.value == f"{y.item():.3g}"


def test_folding_can_be_switched_off():
    graph = graph_of(chain(60), fold=False)

    assert len(graph.boxes) == 61
    assert graph.notes == ()


def test_few_boxes_are_not_folded():
    graph = graph_of(chain(40))

    assert len(graph.boxes) == 41
    assert graph.frames == ()


def test_blocks_that_differ_are_not_folded():
    graph = graph_of(random_chain(60))

    assert not any("×2" in frame.title for frame in graph.frames)
    assert len(graph.boxes) > 40


def test_blocks_of_other_shapes_are_not_folded():
    y = te.tensor([1.0], requires_grad=True)
    for _ in range(45):
        y = te.concatenate([y, [1.0]])

    assert len(graph_of(y).boxes) == 2 * 45 + 1


@pytest.mark.parametrize(
    "step",
    [
        lambda y, i: 1 - y if i % 4 else y - 1,
        lambda y, i: y * (2.0 + i % 4 // 3),
        lambda y, i: y * te.tensor([1.0, 2.0], requires_grad=i % 4 > 0),
    ],
    ids=["the other way round", "another number", "frozen"],
)
def test_operations_that_differ_are_not_folded_as_if_they_were_equal(step):
    y = te.tensor([1.0, 2.0], requires_grad=True)
    for i in range(60):
        y = step(y, i)

    graph = graph_of(te.sum(y), level="op")

    assert graph.frames[0].title == "×14"
    assert sum(box.frame == 0 and bool(box.formula) for box in graph.boxes) == 4


def test_layers_that_are_wired_otherwise_inside_are_not_folded():
    class Twist(nn.Layer):
        def __init__(self, is_odd):
            self.is_odd = is_odd

        def forward(self, x):
            one = te.sin(x)
            two = te.cos(one)
            return te.tanh(one if self.is_odd else two) + two

    y = te.tensor([1.0, 2.0], requires_grad=True)
    for i in range(90):
        y = Twist(i % 2)(y)

    graph = graph_of(te.sum(y), level="layer")

    assert [frame.title for frame in graph.frames] == ["×44"]
    assert sum(box.kind == "layer" and box.frame == 0 for box in graph.boxes) == 2


@pytest.mark.parametrize(
    ("options", "hidden"), [({}, 48), ({"fold": False, "max_nodes": 5}, 49)]
)
def test_shares_that_are_not_shown_are_counted(options, hidden):
    w = te.tensor([1.0, 2.0], requires_grad=True, name="w")
    y = te.tensor([1.0, 2.0])
    for _ in range(50):
        y = te.tanh(y * w)

    graph = graph_of(te.sum(y), level="op", **options)

    weight = next(i for i, box in enumerate(graph.boxes) if box.name == "w")
    edges = [i for i, edge in enumerate(graph.edges) if edge.source == weight]
    shares = [s for step in graph.steps for s in step.shares if s.edge in edges]
    assert all(graph.edges[i].adds for i in edges)
    assert [share.formula[:5] for share in shares] == ["w̄ +="] * len(edges)
    assert [share.note for share in shares] == [
        f"{n} of 50, of which {50 - len(edges)} are not shown"
        for n in range(1, len(edges) + 1)
    ]
    assert 50 - len(edges) == hidden


def test_a_block_that_stands_for_others_says_whose_gradient_it_hands_on():
    blocks = nn.Sequential(nn.Linear(3, 4, rng=2), *(Block(4) for _ in range(50)))

    graph = graph_of(loss(blocks), level="model")

    names = [box.name for box in graph.boxes]
    (first,) = (
        share
        for step in graph.steps
        for share in step.shares
        if share.edge is not None
        and graph.edges[share.edge].source == names.index("t1")
    )
    assert first.formula == "t̄1 = (∂t5/∂t1)ᵀ t̄5"
    assert first.note == "the box of t201 stands for t5, too"
    assert "t201 = Block(t197)" in [box.title for box in graph.boxes]


def test_a_fold_that_is_cut_keeps_its_frame_and_no_edge_leads_back():
    graph = graph_of(loss(Network(12)), level="layer", max_nodes=6)

    assert any("×12" in frame.title for frame in graph.frames)
    assert all(
        edge.source < edge.target or graph.boxes[edge.target].kind == "rest"
        for edge in graph.edges
    )


def test_recurrent_cell_folds_from_call_to_call():
    graph = graph_of(loss(Recurrent(), features=2), level="layer")
    titles = [frame.title for frame in graph.frames]

    assert any("×19" in title for title in titles)
    weights = [box for box in graph.boxes if box.name == "weight"]
    assert len(weights) == 1  # shared by all calls


def test_chain_of_100_000_operations_folds():
    graph = graph_of(chain(100_000))

    assert len(graph.boxes) == 3
    assert graph.frames[0].title == "×99,999"
    assert graph.notes == ("showing 2 of 100,000 operations; fold=False shows all",)


def test_diamond_of_60_levels_folds():
    y = te.tensor(1.0, requires_grad=True)
    for _ in range(60):
        y = y + y
    graph = graph_of(y)

    assert len(graph.boxes) == 3
    assert graph.boxes[0].gradient == f"{2.0**60:.3g}"


def test_diamond_of_60_levels_unfolded_has_each_box_once():
    y = te.tensor(1.0, requires_grad=True)
    for _ in range(60):
        y = y + y
    graph = graph_of(y, fold=False)

    assert (len(graph.boxes), len(graph.edges)) == (61, 120)


# ------------------------------------------------------------------------ the cutting


def test_of_too_many_boxes_the_oldest_are_gathered_in_one_and_it_is_said():
    graph = graph_of(random_chain(500), fold=False, max_nodes=20)

    rest, *shown = graph.boxes
    assert rest.kind == "rest"
    assert rest.name == "481 earlier operations"
    assert len(shown) == 19
    assert graph.notes == ("showing 19 of 500 operations; max_nodes=1000 shows all",)
    assert graph.edges[0].source == 0


def test_max_nodes_as_announced_shows_all():
    graph = graph_of(random_chain(500), fold=False, max_nodes=1000)

    assert len(graph.boxes) == 501
    assert graph.notes == ()


@pytest.mark.parametrize("most", [1, 2, 5, 30, 150])
def test_there_are_never_more_boxes_than_max_nodes_but_for_the_output(most):
    y = te.tensor(1.0, requires_grad=True)
    for i in range(100):
        y = te.sin(y) * te.tensor(float(i), requires_grad=True)

    assert len(graph_of(y, max_nodes=most).boxes) <= max(most, 3)
