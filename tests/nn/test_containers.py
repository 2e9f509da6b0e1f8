"""Layers made of layers: Sequential and Residual."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn


def test_a_sequence_reads_like_one():
    layers = [nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1)]
    model = nn.Sequential(*layers)

    assert len(model) == 3
    assert list(model) == layers
    assert model[0] is layers[0]
    assert model[-1] is layers[2]
    with pytest.raises(IndexError):
        model[3]


def test_a_layer_of_a_sequence_can_be_replaced():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())

    setattr(model, "1", nn.ReLU())

    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU]
    assert (model(np.ones((4, 3))).data >= 0).all()


@pytest.mark.parametrize("position", [1, -2])
def test_a_layer_is_replaced_by_its_position(position):
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    first, _, last = model

    model[position] = nn.ReLU()

    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert (model[0], model[2]) == (first, last)
    with pytest.raises(IndexError):
        model[3] = nn.ReLU()


def test_a_slice_is_a_sequence_of_the_same_layers(rng):
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Linear(2, 1, rng=1))
    x = rng.standard_normal((4, 3))

    start, rest = model[:2], model[2:]

    assert type(start) is nn.Sequential
    assert [*start, *rest] == list(model)
    np.testing.assert_array_equal(rest(start(x)).data, model(x).data)
    # parameters have the name of their place in the slice, there and only there
    assert [name for name, _ in rest.named_parameters()] == ["0.weight", "0.bias"]
    assert [name for name, _ in model.named_parameters()][2:] == ["2.weight", "2.bias"]


def test_appended_layers_come_last_and_append_can_be_chained():
    model = nn.Sequential()

    same = model.append(nn.Linear(3, 2)).append(nn.Tanh())

    assert same is model
    assert [type(layer) for layer in model] == [nn.Linear, nn.Tanh]
    assert model(np.ones((4, 3))).shape == (4, 2)


def test_append_replaces_no_layer_after_one_was_deleted():
    model = nn.Sequential(nn.Tanh(), nn.Sigmoid(), nn.ReLU())

    del model.__dict__["0"]
    model.append(nn.Softmax())

    assert [type(layer) for layer in model] == [nn.Sigmoid, nn.ReLU, nn.Softmax]


def test_sequences_nest():
    flat = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Sigmoid())
    nested = nn.Sequential(
        nn.Linear(3, 2, rng=0), nn.Sequential(nn.Tanh(), nn.Sigmoid())
    )
    x = np.ones((4, 3))

    np.testing.assert_array_equal(nested(x).data, flat(x).data)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([[nn.Tanh()]], r"argument 0 .* got list; write Sequential\(\*layers\) for"),
        ([(nn.Tanh(),)], r"argument 0 .* got tuple; write Sequential\(\*layers\) for"),
        ([nn.Tanh(), nn.ReLU], r"argument 1 .* got type; write ReLU\(\)$"),
        ([iter([nn.Tanh()])], r"got list_iterator; write Sequential\(\*layers\) for"),
        ([{"a": nn.Tanh()}], r"got dict; write Sequential\(\*layers.values\(\)\) for"),
        ([np.tanh], r"got ufunc; write a Layer whose forward\(self, x\) calls it$"),
        ([te.tanh], r"got Op; write a Layer whose forward\(self, x\) calls it$"),
        ([np.ones(3)], "argument 0 must be a Layer, got ndarray$"),
        ([None], "argument 0 must be a Layer, got NoneType$"),
    ],
)
def test_what_is_no_layer_is_refused_with_what_to_write(layers, message):
    with pytest.raises(TypeError, match=message):
        nn.Sequential(*layers)


@pytest.mark.parametrize("put", ["append", "__setitem__"])
def test_what_is_no_layer_cannot_be_put_into_a_sequence(put):
    model = nn.Sequential(nn.Tanh())
    place = [0] if put == "__setitem__" else []

    with pytest.raises(TypeError, match=r"^Sequential.* must be a Layer, got type;"):
        getattr(model, put)(*place, nn.ReLU)

    assert [type(layer) for layer in model] == [nn.Tanh]


# ------------------------------------------------------------------------- residual


def test_the_gradient_of_a_residual_has_a_way_around(rng):
    layer = nn.Residual(nn.Linear(3, 3, rng=0))
    x = te.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    g = rng.standard_normal((2, 3))

    te.sum(layer(x) * g).backward()

    np.testing.assert_allclose(x.grad, g + g @ layer.inner.weight.data, rtol=1e-14)


def test_a_residual_names_what_it_holds():
    model = nn.Sequential(nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.Tanh())))

    assert [name for name, _ in model.named_parameters()] == [
        "0.inner.0.weight",
        "0.inner.0.bias",
    ]


def test_an_inner_layer_that_changes_the_shape_is_refused():
    model = nn.Sequential(
        nn.Linear(4, 3), nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 5)))
    )

    with pytest.raises(ValueError, match="keep the shape") as caught:
        model(np.ones((2, 4)))

    assert str(caught.value) == (
        "Residual '1': its inner layer, Sequential, was given (2, 3) and gave (2, 5); "
        "to be added to its input it must keep the shape"
    )


def test_a_residual_does_not_broadcast():
    class FirstColumn(nn.Layer):
        def forward(self, x):
            return x[:, :1]

    with pytest.raises(ValueError, match=r"given \(2, 3\) and gave \(2, 1\)"):
        nn.Residual(FirstColumn())(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (nn.Tanh, r"^Residual: inner must be a Layer, got type; write Tanh\(\)$"),
        (
            [nn.Tanh()],
            r"^Residual: inner must be a Layer, got list; write Sequential\(\*layers\)",
        ),
        (np.tanh, "^Residual: inner must be a Layer, got ufunc; write a Layer whose"),
        (None, "^Residual: inner must be a Layer, got NoneType$"),
    ],
)
def test_what_is_no_layer_is_refused_inside_a_residual(inner, message):
    with pytest.raises(TypeError, match=message):
        nn.Residual(inner)
