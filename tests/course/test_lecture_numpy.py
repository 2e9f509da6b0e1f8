"""The lecture's three networks in plain NumPy: its forward pass on Tensors, unchanged.

Its formulas for dW and db, derived by hand, are the oracle for what backward leaves.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te

EPOCHS, M, N_X, N_H, DIGITS = 5, 20, 6, 4, 3


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def compute_loss(Y, Y_hat):
    m = Y.shape[1]
    return -(1.0 / m) * (
        np.sum(np.multiply(np.log(Y_hat), Y))
        + np.sum(np.multiply(np.log(1 - Y_hat), (1 - Y)))
    )


def compute_multiclass_loss(Y, Y_hat):
    m = Y.shape[1]
    return -(1 / m) * np.sum(np.multiply(Y, np.log(Y_hat)))


# Forward passes, which take arrays and Tensors alike.


def neuron(p, X):
    Z = np.matmul(p["W"].T, X) + p["b"]
    return {"A": sigmoid(Z)}


def hidden_layer(p, X):
    Z1 = np.matmul(p["W1"], X) + p["b1"]
    A1 = sigmoid(Z1)
    Z2 = np.matmul(p["W2"], A1) + p["b2"]
    return {"A1": A1, "A": sigmoid(Z2)}


def ten_digits(p, X):
    Z1 = np.matmul(p["W1"], X) + p["b1"]
    A1 = sigmoid(Z1)
    Z2 = np.matmul(p["W2"], A1) + p["b2"]
    A2 = np.exp(Z2) / np.sum(np.exp(Z2), axis=0)
    return {"A1": A1, "A": A2}


# The derivatives that the lecture finds by hand.


def neuron_by_hand(p, X, Y, out):
    dZ = out["A"] - Y
    return {
        "W": (1 / M) * np.matmul(X, dZ.T),
        "b": (1 / M) * np.sum(dZ, axis=1, keepdims=True),
    }


def two_layers_by_hand(p, X, Y, out):
    dZ2 = out["A"] - Y
    dZ1 = np.matmul(p["W2"].T, dZ2) * out["A1"] * (1 - out["A1"])
    return {
        "W2": (1 / M) * np.matmul(dZ2, out["A1"].T),
        "b2": (1 / M) * np.sum(dZ2, axis=1, keepdims=True),
        "W1": (1 / M) * np.matmul(dZ1, X.T),
        "b1": (1 / M) * np.sum(dZ1, axis=1, keepdims=True),
    }


def two_layers(rng, outputs):
    return {
        "W1": rng.standard_normal((N_H, N_X)),
        "b1": np.zeros((N_H, 1)),
        "W2": rng.standard_normal((outputs, N_H)),
        "b2": np.zeros((outputs, 1)),
    }


def zeros_and_ones(rng):
    return rng.integers(0, 2, (1, M)).astype(float)


SYSTEMS = {
    "neuron": (
        lambda rng: {"W": rng.standard_normal((N_X, 1)) * 0.01, "b": np.zeros((1, 1))},
        zeros_and_ones,
        neuron,
        compute_loss,
        neuron_by_hand,
    ),
    "hidden layer": (
        lambda rng: two_layers(rng, 1),
        zeros_and_ones,
        hidden_layer,
        compute_loss,
        two_layers_by_hand,
    ),
    "digits": (
        lambda rng: two_layers(rng, DIGITS),
        lambda rng: np.eye(DIGITS)[rng.integers(0, DIGITS, M)].T,
        ten_digits,
        compute_multiclass_loss,
        two_layers_by_hand,
    ),
}


@pytest.mark.parametrize(
    ("start", "labels", "forward", "loss_of", "by_hand"), SYSTEMS.values(), ids=SYSTEMS
)
@pytest.mark.parametrize("update", ["W = W - lr dW", "W -= lr dW"])
def test_backward_finds_what_the_lecture_derives(
    start, labels, forward, loss_of, by_hand, update, rng
):
    X, Y, learning_rate = rng.uniform(0, 1, (N_X, M)), labels(rng), 1.0
    hand = start(rng)
    ours = {name: te.tensor(w, requires_grad=True) for name, w in hand.items()}
    losses = []

    for epoch in range(EPOCHS):
        out = forward(hand, X)
        derived = by_hand(hand, X, Y, out)
        loss = loss_of(Y, forward(ours, X)["A"])
        loss.backward()

        assert loss.item() == pytest.approx(loss_of(Y, out["A"]), rel=1e-14)
        losses.append(loss.item())
        for name, w in ours.items():
            error = np.abs(w.grad - derived[name]).max() / np.abs(derived[name]).max()
            assert error < 1e-12, f"epoch {epoch}, d{name}"
            hand[name] = hand[name] - learning_rate * derived[name]
            if update == "W -= lr dW":
                w.data -= learning_rate * w.grad
            else:
                w.data = w.data - learning_rate * w.grad
            w.zero_grad()
            np.testing.assert_allclose(w.data, hand[name], rtol=1e-12, atol=1e-13)

    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_the_lectures_line_of_the_loss_runs_as_it_stands(rng):
    m = M
    W, b = te.tensor(rng.standard_normal((N_X, 1)), requires_grad=True), 0.5
    X, Y = rng.uniform(0, 1, (N_X, m)), zeros_and_ones(rng)

    Z = np.matmul(W.T, X) + b
    A = 1/(1 + np.exp(-Z))  # fmt: skip
    L = -(1./m)*(np.sum(np.multiply(np.log(A), Y)) + np.sum(np.multiply(np.log(1 - A), (1 - Y))))  # fmt: skip  # noqa: E501
    L.backward()

    dW = (1 / m) * np.matmul(X, (A.data - Y).T)
    np.testing.assert_allclose(W.grad, dW, rtol=1e-12, atol=1e-15)


def test_the_lectures_two_input_neuron_fires():
    """w = [0, 1], b = 4, x = [2, 3]: σ(7)."""
    w, b, x = te.tensor([0.0, 1.0], requires_grad=True), 4.0, np.array([2.0, 3.0])

    y = sigmoid(np.matmul(w, x) + b)
    y.backward()

    assert f"{y:.3f}" == "0.999"
    np.testing.assert_allclose(w.grad, y.item() * (1 - y.item()) * x, rtol=1e-12)


def test_the_chain_rule_step_by_step():
    """dL/dŷ = (ŷ - y) / (ŷ (1 - ŷ)), dŷ/dz = ŷ (1 - ŷ), and so dL/dz = ŷ - y."""
    z, y = te.tensor([-2.0, 0.3, 1.5], requires_grad=True), np.array([0.0, 1.0, 1.0])
    y_hat = sigmoid(z)
    L = np.sum(-y * np.log(y_hat) - (1 - y) * np.log(1 - y_hat))

    by_y_hat, by_z = te.gradients(L, [y_hat, z])
    (inner,) = te.gradients(np.sum(y_hat), [z])

    a = y_hat.data
    np.testing.assert_allclose(by_y_hat, (a - y) / (a * (1 - a)), rtol=1e-12)
    np.testing.assert_allclose(inner, a * (1 - a), rtol=1e-12)
    np.testing.assert_allclose(by_z, a - y, rtol=1e-12)


def test_predictions_are_plain_numbers():
    A = te.softmax(te.tensor([[0.0, 3.0], [1.0, 0.0]], requires_grad=True), axis=0)

    np.testing.assert_array_equal(np.argmax(A, axis=0), [1, 0])
    np.testing.assert_array_equal((A > 0.5)[0, :], [False, True])
