"""A neuron in plain NumPy, trained without a derivative written down.

The forward pass is what one writes in NumPy anyway. Because ``W`` and ``b`` are
tensors, NumPy's functions record, and ``loss.backward()`` takes the place of the
derivation.

python examples/03_only_the_backward_pass_deleted.py
"""

import numpy as np

import tinygrad_edu as te

images, digits, *_ = te.data.load_digits()
X = images.T  # examples in columns, as in the formulas: (64, m)
Y = (digits == 0).astype(float).reshape(1, -1)
m = X.shape[1]

W = te.tensor(np.zeros((64, 1)), requires_grad=True)
b = te.tensor(np.zeros((1, 1)), requires_grad=True)

for epoch in range(101):
    Z = np.matmul(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    loss = -np.sum(np.multiply(np.log(A), Y) + np.multiply(np.log(1 - A), 1 - Y)) / m

    loss.backward()
    if epoch == 0:  # the gradients that one derives by hand
        dZ = A.detach().numpy() - Y
        print("dW as derived:", np.allclose(W.grad, X @ dZ.T / m))
        print("db as derived:", np.allclose(b.grad, dZ.mean()))
    if epoch % 20 == 0:
        print(f"epoch {epoch:3d}: loss {loss:.4f}")

    for p in (W, b):
        p.data -= 1.0 * p.grad
        p.zero_grad()
