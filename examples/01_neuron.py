"""A neuron of two inputs: its output, its graph, and its gradients.

python examples/01_neuron.py
"""

import tinygrad_edu as te

w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
b = te.tensor(4.0, requires_grad=True, name="b")
x = te.tensor([2.0, 3.0], name="x")

y = te.sigmoid(w @ x + b)
y.name = "y"
print(f"y = σ(w · x + b) = {y:.3f}")

# The drawing is text in Graphviz's language; with Graphviz installed, a picture too.
picture = te.draw(y)
print(picture.source)

# The chain rule by hand: dy/dw = y (1 - y) x, dy/db = y (1 - y).
y.backward()
slope = y.item() * (1 - y.item())
print(f"dy/dw = {w.grad}, by hand {slope * x.numpy()}")
print(f"dy/db = {b.grad:.6f}, by hand {slope:.6f}")
