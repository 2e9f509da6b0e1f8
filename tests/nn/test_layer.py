"""Layers: the names of what they hold, saving, how they read, the paths they leave."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.engine.recording import current_scope


class Scale(nn.Layer):
    """Multiplies by a parameter; counts its calls in a buffer."""

    def __init__(self, factor=2.0):
        self.factor = te.tensor(factor, requires_grad=True)
        self.calls = np.zeros(1, np.int64)

    def forward(self, x):
        self.calls += 1
        return x * self.factor


class Tree(nn.Layer):
    """Holds layers in every way: an attribute, a list, a tuple, dicts, nested ones."""

    def __init__(self):
        self.first = Scale()
        self.blocks = [Scale(), nn.Sequential(nn.Tanh(), Scale())]
        self.pair = (Scale(), {"left": Scale(), 7: [Scale()]})
        self.shift = te.tensor([1.0], requires_grad=True)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        x = self.pair[0](x)
        return self.pair[1][7][0](self.pair[1]["left"](x)) + self.shift


class Residual(nn.Layer):
    """Adds what ``inner`` makes of x to x."""

    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Together(nn.Layer):
    """Calls the layers of a list one after the other."""

    def __init__(self, *layers):
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Fails(nn.Layer):
    def forward(self, x):
        raise ArithmeticError("on purpose")


class Turned(nn.Layer):
    """Holds a buffer whose first axis runs fastest in memory."""

    def __init__(self):
        self.table = np.arange(6.0).reshape(2, 3).T


TREE = [
    "first.factor",
    "blocks.0.factor",
    "blocks.1.1.factor",
    "pair.0.factor",
    "pair.1.left.factor",
    "pair.1.7.0.factor",
    "shift",
]


def small_model(dtype=np.float64):
    return nn.Sequential(
        nn.Linear(3, 4, rng=0, dtype=dtype),
        nn.Sigmoid(),
        nn.Linear(4, 2, rng=1, dtype=dtype),
    )


def numbers(model):
    """Copies of all that a model holds, by another way than ``state_dict``."""
    return {name: np.array(p.data) for name, p in model.named_parameters()} | {
        name: np.array(b) for name, b in model.named_buffers()
    }


def assert_same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, err_msg=name)
        assert actual[name].dtype == array.dtype, name


def recorded(output):
    """Every recorded node behind ``output``, inputs before what uses them."""
    found = {}

    def visit(x):
        if isinstance(x, te.Tensor) and x.op is not None and x not in found:
            for part in x.inputs:
                visit(part)
            found[x] = None

    visit(output)
    return list(found)


def where(output):
    """The operation and the layer of every recorded node, inputs first."""
    return [(node.op.name, str(node.scope)) for node in recorded(output)]


def x_of(*shape):
    """An input that records also where a layer has no parameters."""
    return te.tensor(np.full(shape, 0.5), requires_grad=True)


# ------------------------------------------------------------ parameters and buffers


def test_parameters_are_named_by_the_path_of_attributes():
    model = Tree()

    names = [name for name, _ in model.named_parameters()]

    assert names == TREE
    by_hand = [
        model.first.factor,
        model.blocks[0].factor,
        model.blocks[1][1].factor,
        model.pair[0].factor,
        model.pair[1]["left"].factor,
        model.pair[1][7][0].factor,
        model.shift,
    ]
    assert all(p is q for p, q in zip(model.parameters(), by_hand, strict=True))


def test_parameters_of_a_sequence_are_numbered():
    names = [name for name, _ in small_model().named_parameters()]

    assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_parameters_come_in_the_order_of_attributes():
    class Backwards(nn.Layer):
        def __init__(self):
            self.z = te.tensor(1.0, requires_grad=True)
            self.inner = Scale()
            self.a = te.tensor(2.0, requires_grad=True)

    names = [name for name, _ in Backwards().named_parameters()]

    assert names == ["z", "inner.factor", "a"]


def test_a_shared_layer_is_named_once_by_its_first_place():
    shared = Scale()
    model = nn.Sequential(shared, nn.Tanh(), shared, Residual(shared))

    assert [name for name, _ in model.named_layers()] == ["0", "1", "3"]
    assert [name for name, _ in model.named_parameters()] == ["0.factor"]
    assert [name for name, _ in model.named_buffers()] == ["0.calls"]
    assert len(model.parameters()) == 1


def test_a_parameter_shared_by_two_layers_is_named_once():
    first, second = Scale(), Scale()
    second.factor = first.factor

    names = [name for name, _ in nn.Sequential(first, second).named_parameters()]

    assert names == ["0.factor"]


def test_a_frozen_parameter_is_still_a_parameter():
    model = small_model()
    model[0].weight.requires_grad = False

    assert len(model.parameters()) == 4
    assert "0.weight" in model.state_dict()


def test_a_frozen_parameter_gets_no_gradient_and_keeps_its_numbers():
    model = small_model()
    model[0].weight.requires_grad = False
    before = numbers(model)
    optimizer = te.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

    model(np.ones((5, 3))).sum().backward()
    optimizer.step()

    assert model[0].weight.grad is None
    np.testing.assert_array_equal(model[0].weight.data, before["0.weight"])
    assert np.all(model[0].bias.data != before["0.bias"])


def test_a_computed_tensor_is_no_parameter():
    layer = Scale()
    layer.output = layer(te.tensor([1.0]))

    assert [name for name, _ in layer.named_parameters()] == ["factor"]


def test_buffers_are_the_plain_arrays():
    model = nn.Sequential(nn.Tanh(), Scale())

    ((name, array),) = model.named_buffers()

    assert name == "1.calls"
    assert array is model[1].calls


def test_what_is_neither_array_nor_tensor_nor_layer_is_passed_over():
    layer = Scale()
    layer.note, layer.rate, layer.nothing, layer.names = "text", 0.5, None, {"a", "b"}
    layer.scalar = np.float64(1.0)

    assert list(layer.state_dict()) == ["factor", "calls"]


def test_containers_and_layers_that_hold_themselves_are_walked_once():
    outer, inner = Residual(Scale()), Scale()
    outer.inner.owner = outer
    outer.ring = [inner]
    outer.ring.append(outer.ring)
    outer.table = {"again": outer.ring}
    outer.table["self"] = outer.table

    names = [name for name, _ in outer.named_parameters()]

    assert names == ["inner.factor", "ring.0.factor"]


def test_a_model_ten_thousand_layers_deep_is_walked():
    model = Scale()
    for _ in range(10_000):
        model = Residual(model)

    ((name, parameter),) = model.named_parameters()

    assert name == "inner." * 10_000 + "factor"
    assert parameter.item() == 2.0


def test_zero_grad_forgets_every_gradient():
    model = Tree()
    model(te.tensor([1.0])).sum().backward()
    assert all(p.grad is not None for p in model.parameters())

    model.zero_grad()

    assert all(p.grad is None for p in model.parameters())


# --------------------------------------------------------------- train and evaluation


def test_layers_start_in_training_mode():
    model = Tree()

    assert model.training
    assert all(layer.training for _, layer in model.named_layers())


def test_eval_and_train_switch_every_layer_and_return_the_model():
    model = Tree()

    assert model.eval() is model
    assert not model.training
    assert not any(layer.training for _, layer in model.named_layers())

    assert model.train() is model
    assert model.training
    assert all(layer.training for _, layer in model.named_layers())


def test_switching_a_part_leaves_the_rest():
    model = small_model()

    model[0].eval()

    assert not model[0].training
    assert model.training
    assert model[2].training


def test_switching_modes_changes_no_other_model_of_the_kind():
    first, second = Scale(), Scale()

    first.eval()

    assert second.training
    assert nn.Layer.training


# --------------------------------------------------------------- saving and loading


def test_state_dict_holds_parameters_and_buffers_by_name():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), Scale())

    state = model.state_dict()

    assert list(state) == ["0.weight", "0.bias", "1.factor", "1.calls"]
    assert all(type(array) is np.ndarray for array in state.values())
    np.testing.assert_array_equal(state["0.weight"], model[0].weight.data)


def test_state_dict_is_a_copy_in_both_directions():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), Scale())
    before = numbers(model)
    state = model.state_dict()

    for array in state.values():
        array[...] = 7
    assert_same(numbers(model), before)

    state = model.state_dict()
    for parameter in model.parameters():
        parameter.data -= 1.0
    model[1].calls += 1
    assert_same(state, before)


def test_a_state_passes_unchanged_through_a_safetensors_file():
    # which writes the memory of an array as it lies, whatever the order of its axes
    state = small_model().state_dict() | {"turned": Turned().state_dict()["table"]}

    loaded = safetensors.numpy.load(safetensors.numpy.save(state))

    assert all(array.flags.c_contiguous for array in state.values())
    assert loaded.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_loading_a_state_gives_the_model_that_it_was_taken_from():
    source, target = Tree(), Tree()
    for i, parameter in enumerate(source.parameters()):
        parameter.data = np.full(parameter.shape, float(i))
    source.first.calls += 5

    target.load_state_dict(source.state_dict())

    assert_same(numbers(target), numbers(source))
    x = te.tensor([0.3])
    np.testing.assert_array_equal(target(x).data, source(x).data)


def test_loading_copies_the_state():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), Scale())
    state = model.state_dict()
    model.load_state_dict(state)

    for array in state.values():
        array[...] = 7
    for parameter in model.parameters():
        assert 7 not in parameter.data
    assert 7 not in model[1].calls


def test_loading_writes_into_the_buffers_that_are_there():
    layer = Scale()
    calls = layer.calls

    layer.load_state_dict({"factor": 3.0, "calls": [4]})

    assert layer.calls is calls
    assert calls[0] == 4
    assert layer.factor.item() == 3.0


def test_loading_keeps_the_parameters_dtype():
    model = small_model(np.float32)

    model.load_state_dict(small_model().state_dict())

    assert all(p.dtype == np.float32 for p in model.parameters())
    expected = small_model()[0].weight.data.astype(np.float32)
    np.testing.assert_array_equal(model[0].weight.data, expected)


WRONG_STATES = {
    "missing": (lambda s: s.pop("2.bias"), "missing 2.bias"),
    "unexpected": (lambda s: s.update(extra=np.ones(2)), "unexpected extra"),
    "misshapen": (
        lambda s: s.update({"2.bias": np.ones((1, 2))}),
        r"2.bias must have shape \(2,\), got \(1, 2\)",
    ),
    "a number for an array": (
        lambda s: s.update({"2.bias": 1.0}),
        r"2.bias must have shape \(2,\), got \(\)",
    ),
    "complex": (
        lambda s: s.update({"2.bias": np.ones(2) * 1j}),
        "2.bias must fit into float64, got complex128",
    ),
    "text": (
        lambda s: s.update({"2.bias": np.array(["a", "b"])}),
        "2.bias must fit into float64, got <U1",
    ),
    "fractions for a buffer of integers": (
        lambda s: s.update({"3.calls": np.array([0.5])}),
        "3.calls must fit into int64, got float64",
    ),
    "of another model": (lambda s: s.clear(), "missing 0.weight; missing 0.bias"),
}


@pytest.mark.parametrize("kind", WRONG_STATES)
def test_loading_a_state_that_does_not_fit_says_so_and_changes_nothing(kind):
    model = nn.Sequential(*small_model(), Scale())
    before = numbers(model)
    state = {name: array + 1 for name, array in model.state_dict().items()}
    spoil, message = WRONG_STATES[kind]
    spoil(state)

    with pytest.raises(ValueError, match=rf"^Sequential.load_state_dict: {message}"):
        model.load_state_dict(state)

    assert_same(numbers(model), before)


def test_loading_the_name_of_a_file_says_te_load():
    with pytest.raises(TypeError) as caught:
        nn.ReLU().load_state_dict("model.safetensors")

    assert str(caught.value) == (
        "ReLU.load_state_dict: state must be a mapping of names to arrays, got str. Of "
        "a file: te.load(model, path)"
    )


def test_loading_names_everything_that_is_wrong_at_once():
    model = small_model()
    state = model.state_dict()
    state["3.weight"] = state.pop("2.weight")
    state["0.bias"] = np.ones(3)

    with pytest.raises(ValueError, match=r"2\.weight") as caught:
        model.load_state_dict(state)

    for part in ("missing 2.weight", "unexpected 3.weight", "0.bias must have shape"):
        assert part in str(caught.value)


def test_loading_between_forward_and_backward_makes_backward_refuse():
    model = small_model()
    loss = model(np.ones((1, 3))).sum()

    model.load_state_dict(model.state_dict())

    with pytest.raises(RuntimeError, match="was assigned after"):
        loss.backward()


# --------------------------------------------------------------------- how they read


def test_repr_of_nested_layers_is_indented():
    model = nn.Sequential(
        nn.Linear(784, 64), nn.Sequential(nn.Sigmoid(), nn.Softmax(axis=0)), Scale()
    )

    assert repr(model) == (
        "Sequential(\n"
        "  0: Linear(784 -> 64)\n"
        "  1: Sequential(\n"
        "    0: Sigmoid()\n"
        "    1: Softmax(axis=0)\n"
        "  )\n"
        "  2: Scale()\n"
        ")"
    )


def test_repr_names_layers_in_containers_by_their_path():
    assert repr(Tree()) == (
        "Tree(\n"
        "  first: Scale()\n"
        "  blocks.0: Scale()\n"
        "  blocks.1: Sequential(\n"
        "    0: Tanh()\n"
        "    1: Scale()\n"
        "  )\n"
        "  pair.0: Scale()\n"
        "  pair.1.left: Scale()\n"
        "  pair.1.7.0: Scale()\n"
        ")"
    )


def test_repr_shows_a_shared_layer_wherever_it_stands():
    shared = nn.ReLU()
    model = nn.Sequential(shared, nn.Tanh(), shared)

    assert repr(model) == "Sequential(\n  0: ReLU()\n  1: Tanh()\n  2: ReLU()\n)"


def test_repr_works_whatever_the_keys_of_a_dict():
    layer = nn.Layer()
    layer.table = {"a.b": nn.Tanh(), (1, 2): nn.ReLU(), None: nn.Sigmoid()}

    assert repr(layer) == (
        "Layer(\n"
        "  table.a.b: Tanh()\n"
        "  table.(1, 2): ReLU()\n"
        "  table.None: Sigmoid()\n"
        ")"
    )


def test_repr_of_a_layer_without_parts_is_one_line():
    assert repr(nn.Linear(3, 2)) == "Linear(3 -> 2)"
    assert repr(nn.Linear(3, 2, bias=False)) == "Linear(3 -> 2, bias=False)"
    assert repr(nn.Sequential()) == "Sequential()"
    assert repr(Scale()) == "Scale()"


def test_a_layer_without_forward_says_that_it_needs_one():
    class Idle(nn.Layer):
        pass

    with pytest.raises(
        NotImplementedError, match=r"Idle must define forward\(self, x\)"
    ):
        Idle()(1.0)


def test_a_forward_that_returns_nothing_is_told_so_with_its_place():
    class Forgetful(nn.Layer):
        def forward(self, x):
            self.calls = 1

    model = nn.Sequential(nn.Linear(3, 2), Forgetful(), nn.Linear(2, 1))

    with pytest.raises(TypeError) as inside:
        model(np.ones((4, 3)))
    with pytest.raises(TypeError) as alone:
        Forgetful()(np.ones((4, 3)))

    words = "its forward returned None; let it end in return"
    assert str(inside.value) == f"Forgetful '1': {words}"
    assert str(alone.value) == f"Forgetful: {words}"
    assert inside.value.__cause__ is None


def test_call_hands_on_several_inputs_and_options():
    class Blend(nn.Layer):
        def forward(self, x, y, *, share=0.5):
            return x * share + y * (1 - share)

    assert Blend()(1.0, 3.0) == 2.0
    assert Blend()(1.0, 3.0, share=0.25) == 2.5
    assert nn.ReLU()(x=np.array([-1.0, 1.0])).tolist() == [0.0, 1.0]


# ------------------------------------------------------- the path on recorded nodes


def test_every_node_carries_the_path_of_its_layer():
    output = small_model()(np.ones((1, 3)))

    assert where(output) == [
        ("linear", "Linear '0'"),
        ("sigmoid", "Sigmoid '1'"),
        ("linear", "Linear '2'"),
    ]


def test_a_single_layer_has_no_path():
    assert where(nn.Linear(3, 2)(np.ones((1, 3)))) == [("linear", "Linear")]


def test_nodes_of_a_layers_own_carry_its_path():
    model = nn.Sequential(Residual(Scale()))

    assert where(model(x_of(1))) == [
        ("multiply", "Scale '0.inner'"),
        ("add", "Residual '0'"),
    ]


def test_paths_run_through_lists_tuples_and_dicts():
    assert where(Tree()(x_of(1))) == [
        ("multiply", "Scale 'first'"),
        ("multiply", "Scale 'blocks.0'"),
        ("tanh", "Tanh 'blocks.1.0'"),
        ("multiply", "Scale 'blocks.1.1'"),
        ("multiply", "Scale 'pair.0'"),
        ("multiply", "Scale 'pair.1.left'"),
        ("multiply", "Scale 'pair.1.7.0'"),
        ("add", "Tree"),
    ]


def test_a_scope_knows_the_layers_around_it():
    output = nn.Sequential(nn.Sequential(nn.Tanh()))(x_of(1))

    scope, around = output.scope, []
    while scope is not None:
        around.append((scope.path, scope.kind))
        scope = scope.parent

    assert around == [("0.0", "Tanh"), ("0", "Sequential"), ("", "Sequential")]


def test_nodes_outside_any_layer_have_no_scope_before_and_after_a_call():
    x = x_of(1)
    before = x * 2.0
    inside = nn.Tanh()(before)
    after = inside * 2.0

    assert before.scope is None
    assert str(inside.scope) == "Tanh"
    assert after.scope is None


def test_a_shared_layer_leaves_its_first_path_at_every_use():
    shared = nn.Tanh()
    model = nn.Sequential(shared, nn.Sigmoid(), shared)

    first, _, last = recorded(model(x_of(1)))

    assert str(first.scope) == str(last.scope) == "Tanh '0'"
    assert first.scope is not last.scope  # two calls, and two frames in a drawing


def test_a_layer_shared_by_two_others_carries_the_path_of_the_caller():
    shared = nn.Tanh()
    model = nn.Sequential(Residual(shared), Residual(shared))

    for _ in range(2):
        assert where(model(x_of(1))) == [
            ("tanh", "Tanh '0.inner'"),
            ("add", "Residual '0'"),
            ("tanh", "Tanh '1.inner'"),
            ("add", "Residual '1'"),
        ]


@pytest.mark.parametrize("make", [nn.Sequential, Together])
def test_two_calls_leave_the_very_same_scopes(make):
    model = make(Scale(), nn.Sequential(Scale()))

    first, second = (recorded(model(x_of(1))) for _ in range(2))

    assert first[0].scope is second[0].scope
    assert first[1].scope is second[1].scope


def test_layers_exchanged_between_two_calls_get_their_new_paths():
    model = nn.Sequential(nn.Tanh(), nn.Sigmoid())
    model(x_of(1))

    first, second = model
    setattr(model, "0", second)
    setattr(model, "1", first)

    assert where(model(x_of(1))) == [("sigmoid", "Sigmoid '0'"), ("tanh", "Tanh '1'")]


def test_layers_that_move_along_a_list_get_their_new_paths():
    model = Together(nn.Tanh(), nn.Sigmoid())
    model(x_of(1))

    model.layers.insert(0, nn.ReLU())

    assert where(model(x_of(1))) == [
        ("relu", "ReLU 'layers.0'"),
        ("tanh", "Tanh 'layers.1'"),
        ("sigmoid", "Sigmoid 'layers.2'"),
    ]


@pytest.mark.parametrize(
    ("container", "path"),
    [
        (lambda x: {"a": x}, "layers.a"),
        (lambda x: {0: x}, "layers.0"),
        (lambda x: [[], x], "layers.1"),
        (lambda x: (x,), "layers.0"),
        (lambda x: x, "layers"),
    ],
    ids=["dict", "dict of numbers", "list", "tuple", "attribute"],
)
def test_a_layer_put_into_another_container_gets_its_new_path(container, path):
    class Holds(nn.Layer):
        def __init__(self, layer):
            self.layers, self.hidden = [None, [layer]], (lambda: layer,)

        def forward(self, x):
            return self.hidden[0]()(x)

    layer = nn.Tanh()
    model = Holds(layer)
    assert where(model(x_of(1))) == [("tanh", "Tanh 'layers.1.0'")]

    model.layers = container(layer)

    assert where(model(x_of(1))) == [("tanh", f"Tanh '{path}'")]


def test_a_layer_moved_into_another_gets_the_path_through_it():
    moved = nn.Tanh()
    model = nn.Sequential(Residual(moved), Residual(nn.Sigmoid()))
    model(x_of(1))

    model[1].inner = moved
    model[0].inner = nn.ReLU()

    assert where(model(x_of(1)))[0] == ("relu", "ReLU '0.inner'")
    assert where(model(x_of(1)))[2] == ("tanh", "Tanh '1.inner'")


def test_a_block_that_moves_takes_the_paths_inside_along():
    block = nn.Sequential(nn.Tanh())
    model = nn.Sequential(block, nn.Sigmoid())
    model(x_of(1))

    setattr(model, "0", nn.ReLU())
    setattr(model, "1", block)

    assert where(model(x_of(1))) == [("relu", "ReLU '0'"), ("tanh", "Tanh '1.0'")]


def test_a_layer_called_by_itself_after_its_model_has_no_path_and_back_again():
    model = nn.Sequential(nn.Tanh())

    paths = [where(layer(x_of(1))) for layer in (model, model[0], model, model[0])]

    assert paths == [[("tanh", "Tanh '0'")], [("tanh", "Tanh")]] * 2


def test_a_layer_called_through_a_helper_belongs_to_the_layer_whose_forward_runs():
    def twice(layer, x):
        return layer(layer(x) * 3.0)

    class Uses(nn.Layer):
        def __init__(self):
            self.part = nn.Tanh()

        def forward(self, x):
            return twice(self.part, x)

    model = nn.Sequential(Uses())

    assert where(model(x_of(1))) == [
        ("tanh", "Tanh '0.part'"),
        ("multiply", "Uses '0'"),
        ("tanh", "Tanh '0.part'"),
    ]


def test_a_layer_reached_past_the_one_that_holds_it_has_its_whole_path():
    class Reaches(nn.Layer):
        def __init__(self):
            self.block = nn.Sequential(nn.Tanh(), nn.Sigmoid())

        def forward(self, x):
            return self.block[1](x)

    model = Reaches()

    for _ in range(2):
        assert where(model(x_of(1))) == [("sigmoid", "Sigmoid 'block.1'")]


def test_a_layer_that_no_attribute_holds_is_named_by_its_kind():
    stray = nn.Tanh()

    class Borrows(nn.Layer):
        def forward(self, x):
            return stray(x)

    model = nn.Sequential(Borrows())

    for _ in range(2):
        assert where(model(x_of(1))) == [("tanh", "Tanh '0.Tanh'")]


def test_a_layer_may_call_itself():
    class Countdown(nn.Layer):
        def forward(self, x, times):
            return x if times == 0 else self(x * 2.0, times - 1)

    output = Countdown()(x_of(1), 3)

    assert output.item() == 4.0
    assert len(recorded(output)) == 3


def test_after_an_exception_no_layer_is_left_open():
    model = nn.Sequential(nn.Tanh(), nn.Sequential(Fails()))

    with pytest.raises(ArithmeticError, match="on purpose"):
        model(x_of(1))

    assert current_scope() is None
    assert (x_of(1) * 2.0).scope is None
    assert where(model[0](x_of(1))) == [("tanh", "Tanh")]


def test_a_forward_that_survives_an_exception_goes_on_in_its_own_layer():
    class Tries(nn.Layer):
        def __init__(self):
            self.fails, self.works = nn.Sequential(Fails()), nn.Tanh()

        def forward(self, x):
            try:
                return self.fails(x)
            except ArithmeticError:
                return self.works(x * 2.0)

    model = nn.Sequential(Tries(), nn.Sigmoid())

    assert where(model(x_of(1))) == [
        ("multiply", "Tries '0'"),
        ("tanh", "Tanh '0.works'"),
        ("sigmoid", "Sigmoid '1'"),
    ]


def test_nothing_holds_on_to_a_model_or_its_input_after_a_call():
    class Big(nn.Layer):
        def forward(self, x):
            return x * 2.0

    gc.disable()
    try:
        model = nn.Sequential(Big(), nn.Tanh())
        x = x_of(2)
        output = model(x)
        watched = weakref.ref(model[0]), weakref.ref(x)
        del model
        assert watched[0]() is None  # the nodes hold its path, not the layer
        del output, x
        assert watched[1]() is None
    finally:
        gc.enable()


@pytest.fixture
def hasty_threads():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(count, function):
    """Run ``function(i)`` in threads that start together; return what each gave."""
    barrier, results = threading.Barrier(count), [None] * count

    def work(i):
        barrier.wait()
        try:
            results[i] = function(i)
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.usefixtures("hasty_threads")
def test_threads_that_call_one_model_do_not_mix_up_their_paths():
    model = nn.Sequential(*[nn.Sequential(nn.Tanh(), Scale()) for _ in range(5)])
    expected = [
        (op, f"{kind} '{i}.{j}'")
        for i in range(5)
        for j, (op, kind) in enumerate([("tanh", "Tanh"), ("multiply", "Scale")])
    ]

    results = in_threads(8, lambda i: [where(model(x_of(1))) for _ in range(20)])

    assert all(found == [expected] * 20 for found in results), results


def test_a_layer_of_two_models_has_its_path_in_each_whenever_threads_take_turns():
    class Interrupted(nn.Layer):
        """After every attribute that is written, another thread has its turn."""

        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if threading.current_thread() is threading.main_thread():
                turns.append(in_threads(1, lambda _: where(other(x_of(1)))))

        def forward(self, x):
            return te.tanh(x)

    turns = []
    shared = Interrupted()
    model, other = Residual(shared), Together(shared)

    output = model(x_of(1))

    assert where(output)[0] == ("tanh", "Interrupted 'inner'")
    assert turns
    assert all(found == [[("tanh", "Interrupted 'layers.0'")]] for found in turns)


def test_a_sequence_may_get_attributes_while_it_runs():
    # as from model.eval() in another thread, which adds one to every layer
    class Notes(nn.Layer):
        def __init__(self):
            self.owner = None

        def forward(self, x):
            self.owner.seen = x.shape
            return x

    model = nn.Sequential(Notes(), nn.Tanh())
    model[0].owner = model

    model(x_of(2))

    assert model.seen == (2,)


# ------------------------------------------------------------------- copies of models


def copies():
    return pytest.mark.parametrize(
        "copied",
        [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
        ids=["deepcopy", "pickle"],
    )


@copies()
@pytest.mark.parametrize("called", [False, True], ids=["fresh", "called"])
def test_a_copy_computes_the_same_and_shares_nothing(copied, called):
    model = Tree()
    if called:
        model(x_of(1)).sum().backward()
    model.pair[1]["left"].eval()

    twin = copied(model)

    assert_same(numbers(twin), numbers(model))
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert not np.shares_memory(ours.data, theirs.data)
        assert theirs.requires_grad
        assert theirs.name == ours.name
    assert not twin.pair[1]["left"].training
    np.testing.assert_array_equal(twin(x_of(1)).data, model(x_of(1)).data)


@copies()
def test_a_copy_of_a_called_model_leaves_the_same_paths(copied):
    model = Tree()
    model(x_of(1))

    twin = copied(model)

    assert where(twin(x_of(1))) == where(model(x_of(1)))


@copies()
def test_a_copy_of_a_part_is_a_model_of_its_own(copied):
    model = nn.Sequential(Residual(nn.Tanh()))
    model(x_of(1))

    part = copied(model[0])

    assert where(part(x_of(1))) == [("tanh", "Tanh 'inner'"), ("add", "Residual")]


@copies()
def test_training_a_copy_leaves_the_original(copied):
    model = small_model()
    model(np.ones((1, 3)))
    before = numbers(model)

    twin = copied(model)
    twin(np.ones((1, 3))).sum().backward()
    te.optim.SGD(twin.parameters(), lr=0.1).step()

    assert_same(numbers(model), before)
    assert all(p.grad is None for p in model.parameters())
    assert np.all(twin[2].bias.data != before["2.bias"])


@copies()
def test_a_copy_keeps_shared_layers_shared(copied):
    shared = Scale()
    model = nn.Sequential(shared, nn.Tanh(), shared)

    twin = copied(model)

    assert twin[0] is twin[2]
    assert len(twin.parameters()) == 1


# ----------------------------------------------------------- shapes that do not fit


def refused(model, x):
    with pytest.raises(ValueError, match="got") as caught:
        model(x)
    return str(caught.value)


@pytest.mark.parametrize(
    "x",
    [np.ones((32, 784)), te.tensor(np.ones((32, 784)), requires_grad=True)],
    ids=type,
)
def test_a_shape_that_does_not_fit_names_the_layer_and_the_one_before(x):
    model = nn.Sequential(nn.Linear(784, 100), nn.Sigmoid(), nn.Linear(64, 10))

    assert refused(model, x) == (
        "Linear '2' (64 -> 10) got (32, 100): its last axis must be 64; "
        "the layer before it, Linear '0', gave (32, 100)"
    )


def test_the_layer_before_is_named_across_nested_models():
    model = nn.Sequential(
        nn.Sequential(nn.Linear(784, 100), nn.Sigmoid()),
        nn.Tanh(),
        nn.Sequential(nn.Linear(64, 10)),
    )

    assert refused(model, np.ones((32, 784))) == (
        "Linear '2.0' (64 -> 10) got (32, 100): its last axis must be 64; "
        "the layer before it, Linear '0.0', gave (32, 100)"
    )


def test_the_layer_before_is_named_in_layers_of_ones_own():
    class Encoder(nn.Layer):
        def __init__(self):
            self.widen, self.parts = nn.Linear(2, 5), [nn.Linear(4, 1)]

        def forward(self, x):
            return self.parts[0](te.tanh(self.widen(x)))

    assert refused(nn.Sequential(Encoder()), np.ones((3, 2))) == (
        "Linear '0.parts.0' (4 -> 1) got (3, 5): its last axis must be 4; "
        "the layer before it, Linear '0.widen', gave (3, 5)"
    )


@pytest.mark.parametrize("size", [3, 5])
def test_of_two_layers_that_gave_the_shape_the_last_is_named(size):
    model = nn.Sequential(
        nn.Linear(size, 5), nn.Linear(5, 5), nn.Tanh(), nn.Linear(4, 1)
    )

    assert refused(model, np.ones((2, size))) == (
        "Linear '3' (4 -> 1) got (2, 5): its last axis must be 4; "
        "the layer before it, Linear '1', gave (2, 5)"
    )


def test_a_layer_that_gave_several_arrays_is_named_for_each():
    class Splits(nn.Layer):
        def forward(self, x):
            return x[:, :2], {"rest": [x[:, 2:]]}

    class Uses(nn.Layer):
        def __init__(self):
            self.widen, self.splits = nn.Linear(2, 5), Splits()
            self.last = nn.Linear(4, 1)

        def forward(self, x):
            return self.last(self.splits(self.widen(x))[1]["rest"][0])

    assert refused(Uses(), np.ones((7, 2))) == (
        "Linear 'last' (4 -> 1) got (7, 3): its last axis must be 4; "
        "the layer before it, Splits 'splits', gave (7, 3)"
    )


def test_a_layer_without_parameters_is_named_where_it_made_the_shape():
    class Halves(nn.Layer):
        def forward(self, x):
            return x[:, ::2]

    model = nn.Sequential(
        nn.Linear(3, 5), nn.Linear(5, 10), Halves(), nn.Tanh(), nn.Linear(4, 1)
    )

    assert refused(model, np.ones((2, 3))) == (
        "Linear '4' (4 -> 1) got (2, 5): its last axis must be 4; "
        "the layer before it, Halves '2', gave (2, 5)"
    )


def test_an_activation_is_named_where_no_other_layer_gave_the_shape():
    model = nn.Sequential(nn.Tanh(), nn.Linear(4, 1))

    assert refused(model, np.ones((2, 5))) == (
        "Linear '1' (4 -> 1) got (2, 5): its last axis must be 4; "
        "the layer before it, Tanh '0', gave (2, 5)"
    )


def test_the_first_layer_has_none_before_it():
    assert refused(small_model(), np.ones((32, 100))) == (
        "Linear '0' (3 -> 4) got (32, 100): its last axis must be 3"
    )


def test_a_single_layer_says_what_it_needs():
    assert refused(nn.Linear(64, 10), np.ones((32, 100))) == (
        "Linear (64 -> 10) got (32, 100): its last axis must be 64"
    )


def test_an_earlier_call_is_not_the_layer_before():
    first, second = nn.Linear(3, 100), nn.Linear(64, 10)
    first(np.ones((32, 3)))

    assert refused(second, np.ones((32, 100))).endswith("its last axis must be 64")


def test_a_shape_that_no_layer_gave_names_none():
    class Flattens(nn.Layer):
        def __init__(self):
            self.first, self.second = nn.Linear(2, 3), nn.Linear(5, 1)

        def forward(self, x):
            return self.second(te.reshape(self.first(x), (-1,)))

    assert refused(Flattens(), np.ones((4, 2))) == (
        "Linear 'second' (5 -> 1) got (12,): its last axis must be 5"
    )


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (np.ones((2, 7, 4)), "(2, 7, 4)"),
        (np.ones(4), "(4,)"),
        (np.ones((3, 4)).T, "(4, 3)"),
        (np.ones((0, 4)), "(0, 4)"),
        (np.array(2.0), "()"),
        (2.0, "()"),
        (te.tensor(2.0), "()"),
        (None, "()"),
        ([[1.0, 2.0]], "(1, 2)"),
    ],
    ids=str,
)
def test_whatever_does_not_fit_is_refused_with_its_shape(x, shape):
    size = 3 if shape != "(4, 3)" else 4
    message = refused(nn.Linear(size, 2), x)

    told = f"Linear ({size} -> 2) got {shape}: its last axis must be {size}"
    assert message.removesuffix(". Examples are rows: did you mean x.T?") == told


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((64, 32), ". Examples are rows: did you mean x.T?"),
        ((32, 8, 8), ". Put te.nn.Flatten() before it"),
        ((64, 8, 9), ""),
        ((65, 32), ""),
        ((64, 32, 3), ""),
    ],
)
def test_an_input_on_its_side_or_not_yet_flat_gets_a_hint(shape, hint):
    message = refused(nn.Linear(64, 10), np.ones(shape))

    assert message == f"Linear (64 -> 10) got {shape}: its last axis must be 64{hint}"


def test_a_layer_of_ones_own_refuses_in_the_same_words():
    class Pairs(nn.Layer):
        def extra_repr(self):
            return "in twos"

        def forward(self, x):
            if x.shape[-1] % 2:
                self.refuse(x, "its last axis must be even")
            return te.reshape(x, (*x.shape[:-1], -1, 2))

    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), Pairs())

    assert refused(model, np.ones((4, 2))) == (
        "Pairs '2' (in twos) got (4, 3): its last axis must be even; "
        "the layer before it, Linear '0', gave (4, 3)"
    )
    assert refused(Pairs(), np.ones((4, 3))).startswith("Pairs (in twos) got (4, 3): ")


def test_a_layer_without_sizes_refuses_without_brackets():
    class Refuses(nn.Layer):
        def forward(self, x):
            self.refuse(x, "it must be another")

    assert refused(Refuses(), np.ones(3)) == "Refuses got (3,): it must be another"


def test_an_operation_that_fails_names_the_layer():
    class Multiplies(nn.Layer):
        def __init__(self):
            self.w = te.tensor(np.ones((3, 2)), requires_grad=True)

        def forward(self, x):
            return x @ self.w

    model = nn.Sequential(nn.Tanh(), Multiplies())

    with pytest.raises(ValueError, match=r"matmul: .*, in layer Multiplies '1'"):
        model(np.ones((5, 4)))


def test_after_a_refusal_the_model_works_as_before():
    model = small_model()
    expected = model(np.ones((1, 3))).data

    refused(model, np.ones((1, 4)))

    np.testing.assert_array_equal(model(np.ones((1, 3))).data, expected)
    assert current_scope() is None


def test_attributes_of_a_subclass_may_be_called_name_and_scope():
    class Own(nn.Layer):
        def __init__(self):
            self._name, self._scope = "encoder", "x"
            self.inner = nn.Tanh()

        def forward(self, x):
            return self.inner(x)

    own = Own()
    for _ in range(2):
        nn.Sequential(own)(x_of(1))

    assert (own._name, own._scope) == ("encoder", "x")
