"""Make the pictures of the documentation: run by hand, after a change of the drawings.

    python docs/pictures/make.py              # ours
    python docs/pictures/make.py --compare    # also those of torchviz and torchview

The second needs PyTorch, torchviz, torchview and Graphviz, which the project does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as te
from tinygrad_edu import lecture

HERE = Path(__file__).parent
ROWS, FEATURES, HIDDEN, CLASSES = 32, 784, 64, 10


def neuron() -> te.Tensor:
    """The neuron of the README."""
    w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
    b = te.tensor(4.0, requires_grad=True, name="b")
    x = te.tensor([2.0, 3.0], name="x")
    y = te.sigmoid(w @ x + b)
    y.name = "y"
    return y


def ours() -> None:
    """The neuron, and the lecture's three networks at two levels."""
    te.draw(neuron()).save(HERE / "neuron.svg")
    te.draw(neuron(), level="scalar").save(HERE / "neuron-numbers.svg")
    te.draw(neuron(), legend=True).save(HERE / "legend.svg")
    digits = lecture.load("digits")
    for name in ("neuron", "hidden", "digits"):
        for level in ("op", "layer"):
            drawing = lecture.drawing(name, digits, level=level)
            drawing.save(HERE / f"lecture-{name}-{level}.svg")
    lecture.drawing("digits", digits).save(HERE / "lecture-digits.html")
    w = te.tensor([1.0, 2.0], requires_grad=True, name="w")
    (gradient,) = te.gradients(te.sum(te.sigmoid(w)), [w], create_graph=True)
    gradient.name = "gradient"
    te.draw(gradient).save(HERE / "gradient.svg")


def compared() -> None:
    """The same network drawn by us, torchviz and torchview."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    labels = rng.integers(0, CLASSES, ROWS)
    model = te.nn.Sequential(
        te.nn.Linear(FEATURES, HIDDEN, rng=0, dtype=np.float32),
        te.nn.Sigmoid(),
        te.nn.Linear(HIDDEN, CLASSES, rng=1, dtype=np.float32),
    )
    loss = te.nn.softmax_cross_entropy(model(te.tensor(x, name="x")), labels)
    loss.name = "loss"
    te.draw(loss).save(HERE / "compare-tinygrad-edu.svg")

    import torch
    import torchview
    import torchviz

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(FEATURES, HIDDEN),
                torch.nn.Sigmoid(),
                torch.nn.Linear(HIDDEN, CLASSES),
            )

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(self.layers(x), labels)

    network = Network()
    inputs = torch.from_numpy(x), torch.from_numpy(labels)
    parameters = dict(network.named_parameters())
    graph = torchviz.make_dot(network(*inputs), params=parameters)
    _written(graph, "compare-torchviz.svg")
    graph = torchview.draw_graph(network, input_data=inputs, expand_nested=True)
    _written(graph.visual_graph, "compare-torchview.svg")


def _written(graph: object, name: str) -> None:
    (HERE / name).write_bytes(graph.pipe(format="svg"))  # type: ignore[attr-defined]


if __name__ == "__main__":
    ours()
    if "--compare" in sys.argv:
        compared()
