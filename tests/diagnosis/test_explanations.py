"""te.explain calls fine what is fine, and leaves everything as it was."""

from __future__ import annotations

import numpy as np
import pytest
from explained import leaf, loss_of, said, with_grad

import tinygrad_edu as te


def weights(rng):
    return leaf(rng.standard_normal((3, 2)), "W")


FINE = [
    lambda x, W: te.sum(te.tanh(x @ W)),
    lambda x, W: te.softmax_cross_entropy(x @ W, np.array([0, 1, 1, 0])),
    lambda x, W: te.nn.mse_loss(te.relu(x @ W), np.ones((4, 2))),
    lambda x, W: te.sum(te.where(x.data > 0, x, 0.1 * x)) + te.sum(W),
    lambda x, W: te.sum(te.where(x.data > -9, te.exp(x), 0.0) @ W),
    lambda x, W: te.sum(te.concatenate([x @ W, x], axis=1) ** 2),
    lambda x, W: te.slogdet(x[:2, :2] @ W.T @ W).logabsdet,
    lambda x, W: x @ W + 1,
    lambda x, W: te.gradients(te.sum(te.tanh(x @ W)), [x], create_graph=True)[0],
    lambda x, W: te.sum(te.sigmoid(x @ W) + te.where([True, False], 1.0, -np.inf)[0]),
    lambda x, W: te.sum((x @ W)[0] * 1e-9),
    lambda x, W: te.sum(te.max(x @ W, axis=0)),
]


@pytest.mark.parametrize("f", FINE)
def test_what_is_fine_is_called_fine(f, rng):
    x, W = leaf(rng.standard_normal((4, 3)), "x"), weights(rng)
    loss = f(x, W)

    found = te.explain(loss)

    assert found.cause == "fine"
    assert [p.name for p in found.parameters] == ["x", "W"]
    expected = te.gradients(loss, [x, W], gradient=np.ones(loss.shape))
    norms = [np.linalg.norm(g) for g in expected]
    np.testing.assert_allclose([p.norm for p in found.parameters], norms)
    assert te.explain(W, loss).cause == "backward-not-called"


def test_a_loss_lists_its_parameters_by_layer(model, rng):
    found = te.explain(loss_of(model, rng))

    lines = str(found).splitlines()
    assert lines[0] == "The loss t4 (4 operations) reaches 4 parameters:"
    assert [line.split()[0] for line in lines[1:5]] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    assert lines[5:] == ["Nothing goes wrong on the way."]
    assert found.parameters[0][:2] == ("0.weight", (3, 4))


def test_many_parameters_are_cut_short_and_said_so():
    found = te.explain(sum(leaf(1.0) for _ in range(50)) + leaf(1.0))

    assert "... and 31 more" in str(found)
    assert len(found.parameters) == 51


def test_a_parameter_after_backward_with_a_kept_graph(model, rng):
    loss = loss_of(model, rng)
    loss.backward(retain_graph=True)

    found = te.explain(model[0].weight, loss)

    assert found.cause == "fine"
    assert "t4 → t3 → t2 → t1 → 0.weight" in said(found)


def backwards(loss_of_now, times):
    """Call backward without zero_grad; return the loss after the last."""
    for _ in range(times):
        loss_of_now().backward()
    return loss_of_now()


@pytest.mark.parametrize("times", [1, 3])
def test_what_earlier_backwards_have_left_is_told_of_a_loss(times):
    w, v = leaf([3.0, 4.0], "w"), leaf(1.0, "v")

    found = te.explain(backwards(lambda: te.sum(w * w) + v, times))

    assert found.cause == "fine"
    assert found.parameters[0].norm == 10
    assert said(found).endswith(
        f"Nothing goes wrong on the way. w.grad holds what earlier backwards have left "
        f"(norm {10 * times}), as does 1 more: the next one adds to it, unless "
        "optimizer.zero_grad() comes first."
    )


def test_what_earlier_backwards_have_left_is_told_of_a_parameter():
    w = leaf([3.0, 4.0], "w")

    loss = backwards(lambda: te.sum(w * w), 2)

    assert "norm 10. w.grad holds what earlier backwards have left (norm 20): the" in (
        said(te.explain(w, loss))
    )


def test_a_grad_with_nan_from_before_is_told_from_the_gradient():
    w = with_grad([np.nan, 1.0])

    found = te.explain(w, te.sum(w * 2))

    assert found.cause == "nan"
    assert "zero_grad() first" in said(found)


def test_after_zero_grad_nothing_is_left():
    w = leaf([3.0, 4.0], "w")
    loss = backwards(lambda: te.sum(w * w), 2)

    w.zero_grad()

    assert "earlier backwards" not in said(te.explain(loss))


def test_a_tensor_on_the_way_keeps_no_grad():
    h = te.tanh(leaf([1.0, 2.0]))

    found = te.explain(h, te.sum(h))

    assert found.cause == "fine"
    assert "Only leaves keep a .grad" in said(found)


def test_explaining_changes_nothing(model, rng):
    loss = loss_of(model, rng)
    expected = te.gradients(loss, model.parameters())

    te.explain(loss)
    te.explain(model[2].bias, loss)
    grads = [p.grad for p in model.parameters()]
    loss.backward()

    assert grads == [None] * 4
    for p, g in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(p.grad, g)


def test_several_numbers_are_explained_as_their_sum():
    assert "gradients of its sum" in said(te.explain(leaf([1.0, 2.0]) * 2))


def test_names_are_cut_and_cleaned():
    w = leaf([1.0], "a\nb\x1b[31m" + "x" * 10_000)

    text = str(te.explain(w, te.sum(w * 2)))

    assert "\x1b" not in text
    assert len(text) < 500


@pytest.mark.parametrize(
    "arguments", [(np.ones(2),), (1.0,), (None,), (leaf(1.0), 2.0), (te.nn.Tanh(),)]
)
def test_only_tensors_are_explained(arguments):
    with pytest.raises(
        TypeError, match=r"explain: (tensor|loss) must be a Tensor, got"
    ):
        te.explain(*arguments)


def test_a_long_chain_and_a_deep_diamond():
    x = leaf(np.ones((2, 2)), "x")
    y = x
    for _ in range(20_000):
        y = te.tanh(y)
    z = x
    for _ in range(60):
        z = z + z

    assert te.explain(x, te.sum(y)).cause == "backward-not-called"
    assert "(20,001 operations)" in str(te.explain(te.sum(y)))
    assert te.explain(te.sum(z)).parameters[0].norm == 2.0**61
