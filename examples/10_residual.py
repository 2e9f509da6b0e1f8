"""Why a way around each layer helps: a deep network with residual connections.

Two networks of 20 blocks, alike but for one thing: in one of them every block adds to
what it gets, x + f(x), in the other it replaces it by f(x). A gradient on its way back
is multiplied by the slope of every block. Of f with a sigmoid that is well below 1, and
20 such factors leave nothing for the first layers; of x + f(x) it is near 1.

Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image
Recognition", arXiv:1512.03385, 2015.

python examples/10_residual.py
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_edu as te

# Chosen by the last 300 of the training images, from 0.001, 0.003 and 0.01. The
# network without residual connections learns with none of them.
LEARNING_RATE = 0.001
WIDTH, EPOCHS = 32, 15

X, y, X_test, y_test = te.data.load_digits()


def network(blocks, residual):
    rng = np.random.default_rng(0)
    model = te.nn.Sequential(te.nn.Linear(64, WIDTH, rng=rng))
    for _ in range(blocks):
        block = te.nn.Sequential(te.nn.Sigmoid(), te.nn.Linear(WIDTH, WIDTH, rng=rng))
        model.append(te.nn.Residual(block) if residual else block)
    return model.append(te.nn.Linear(WIDTH, 10, rng=rng))


def weights(model):
    """Name the weight matrices by their depth: the first has the number 0."""
    matrices = [p for name, p in model.named_parameters() if name.endswith("weight")]
    return [(f"weight {depth}", matrix) for depth, matrix in enumerate(matrices)]


def train(model):
    """Return the mean loss of every epoch."""
    optimizer = te.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(EPOCHS):
        total = 0.0
        for X_batch, y_batch in te.data.batches(X, y, 32, rng=rng):
            loss = te.nn.softmax_cross_entropy(model(X_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y_batch)
        losses.append(total / len(y))
    return losses


figure = Figure(figsize=(9.5, 8.5), layout="constrained")
axes = figure.subplot_mosaic("ll;pr", height_ratios=(3, 5))
for name, blocks, residual in (
    ("20 blocks", 20, False),
    ("20 residual blocks", 20, True),
    ("1 block", 1, False),
):
    model = network(blocks, residual)
    te.nn.softmax_cross_entropy(model(X), y).backward()  # before any training
    first, *_, last = (np.abs(w.grad).mean() for _, w in weights(model))
    print(name)
    print(f"  mean |gradient| of the first weights {first:.1e}, of the last {last:.1e}")
    if blocks > 1:
        ax = axes["r" if residual else "p"]
        te.plots.gradient_flow(weights(model), ax=ax, title=f"Before training, {name}")
        ax.set_xlim(1e-18, 10)
    losses = train(model)
    te.plots.loss_curve(range(1, EPOCHS + 1), losses, label=name, ax=axes["l"])
    with te.no_grad():
        right = np.mean(np.argmax(model(X_test), axis=1) == y_test)
    print(f"  trained: loss {losses[-1]:.3f}, {right:.1%} of the test set right")

print(f"by always saying the same digit: loss {np.log(10):.3f}")
picture = te.plots.save(ax, Path(tempfile.gettempdir()) / "10_residual.png")
print("picture:", picture)
