"""A gradient derived by hand, with a slip in it, and what is said about it.

The lecture's network with one hidden layer, in columns. Of the backward pass one line
is wrong: the derivative of the hidden layer's sigmoid was forgotten.

python examples/04_check_a_derivation.py
"""

import numpy as np

import tinygrad_edu as te

images, digits, *_ = te.data.load_digits()
X, Y = images[:50].T, (digits[:50] == 0).astype(float).reshape(1, -1)
m = X.shape[1]

rng = np.random.default_rng(1)
W1, b1 = rng.standard_normal((4, 64)), np.zeros((4, 1))
W2, b2 = rng.standard_normal((1, 4)), np.zeros((1, 1))
inputs = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}


def loss(W1, b1, W2, b2):
    Z1 = np.matmul(W1, X) + b1
    A1 = te.sigmoid(Z1)
    Z1.name, A1.name = "Z1", "A1"
    A2 = te.sigmoid(np.matmul(W2, A1) + b2)
    return -np.sum(np.log(A2) * Y + np.log(1 - A2) * (1 - Y)) / m


A1 = te.sigmoid(W1 @ X + b1)
dZ2 = te.sigmoid(W2 @ A1 + b2) - Y
dA1 = W2.T @ dZ2
for dZ1 in (dA1, dA1 * A1 * (1 - A1)):  # forgotten; as it should be
    claimed = {"W1": dZ1 @ X.T / m, "b1": dZ1.sum(axis=1, keepdims=True) / m}
    report = te.check_derivation(loss, inputs, claimed)
    print(f"correct: {report.correct} {' '.join(report.causes)}\n{report}\n")
