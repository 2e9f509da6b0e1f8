"""Drawings of what was computed, and of the gradient on its way back.

A drawing is made of any result: of a neuron, of a network's loss, of a gradient, of an
error. It needs no program besides Python, and the gradients in it need no backward.

python examples/15_drawing.py
"""

import tempfile
from pathlib import Path

import numpy as np

import tinygrad_edu as te

FOLDER = Path(tempfile.gettempdir())

# A neuron. By operation, each box has its numbers, each dashed edge the rule by which
# the gradient goes back.
w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
b = te.tensor(-1.0, requires_grad=True, name="b")
x = te.tensor([2.0, 3.0], name="x")
y = te.sigmoid(w @ x + b)
y.name = "y"
neuron = te.draw(y)
print(neuron.text())

# The same as a page to step through, and the steps as text.
page = neuron.save(FOLDER / "15_drawing.html")
print(neuron.steps())

# By number, the chain rule stands on the edges: what arrives times the local slope.
numbers = te.draw(y, level="scalar").save(FOLDER / "15_drawing_numbers.svg")

# A network on 32 digits: a box for each operation, or for each layer.
X, labels, *_ = te.data.load_digits()
model = te.nn.Sequential(
    te.nn.Linear(64, 32, init="he_normal", rng=0),
    te.nn.ReLU(),
    te.nn.Linear(32, 10, rng=1),
)
loss = te.nn.softmax_cross_entropy(model(X[:32]), labels[:32])
for level in ("op", "layer"):
    drawing = te.draw(loss, level=level)
    print(f"the network by {level}: {len(drawing.to_dict()['boxes'])} boxes")

# A loop of a thousand operations: what repeats is drawn once and counted.
h = te.tensor(0.5, requires_grad=True, name="h")
for _ in range(1000):
    h = te.sin(h)
print("a long chain:", te.draw(h).text().splitlines()[1])

# An operation that fails keeps the graph that led to it.
try:
    te.relu(model[0](X[:32])) @ np.ones((31, 10))
except ValueError as error:
    print(te.draw(error, show="shape").text())

# A gradient is computed by arithmetic, so it has a graph as well.
v = te.tensor(0.5, requires_grad=True, name="v")
(slope,) = te.gradients(te.tanh(v), [v], create_graph=True)
print(te.draw(slope, backward="off", show=()).text())

picture = te.draw(loss, legend=True).save(FOLDER / "15_drawing.svg")
print("pictures:", picture, numbers, page)
