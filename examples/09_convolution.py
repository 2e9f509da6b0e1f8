"""A convolutional network beside a dense one of the same size, on handwritten digits.

A dense layer learns about every pixel by itself. A convolution looks for the same
small pattern everywhere: what it has learned at one place it knows at all others. So it
needs fewer examples, and stands it better if a digit is not where it was in training.

With the folder of MNIST in TINYGRAD_EDU_DATA the same is done with its larger images.

python examples/09_convolution.py
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_edu as te

# Chosen by training images kept aside, the last 300 digits and 2,000 of MNIST, from
# 0.001, 0.003 and 0.01: the best of them, or as good as the best, for both networks.
LEARNING_RATE = 0.01


def convolutional(side, rng, dtype):
    """Two convolutions, each followed by the largest of every 2 x 2 places."""
    shared = {"padding": "same", "init": "he_normal", "rng": rng, "dtype": dtype}
    return te.nn.Sequential(
        te.nn.Conv2d(1, 16, 3, **shared),  # (N, 1, side, side) -> (N, 16, side, side)
        te.nn.ReLU(),
        te.nn.MaxPool2d(2),  # -> (N, 16, side / 2, side / 2)
        te.nn.Conv2d(16, 32, 3, **shared),
        te.nn.ReLU(),
        te.nn.MaxPool2d(2),
        te.nn.Flatten(),
        te.nn.Linear(32 * (side // 4) ** 2, 10, rng=rng, dtype=dtype),
    )


def dense(side, hidden, rng, dtype):
    return te.nn.Sequential(
        te.nn.Flatten(),
        te.nn.Linear(side * side, hidden, init="he_normal", rng=rng, dtype=dtype),
        te.nn.ReLU(),
        te.nn.Linear(hidden, 10, rng=rng, dtype=dtype),
    )


def train(model, images, labels, epochs):
    optimizer = te.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for X, y in te.data.batches(images, labels, 32, rng=rng):
            loss = te.nn.softmax_cross_entropy(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def share_right(model, images, labels):
    return np.mean(te.predict(model, images).argmax(axis=1) == labels)


def moved(images, down, right):
    """Return the images moved by a pixel, with paper where nothing was."""
    side = images.shape[-1]
    wide = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return wide[..., 1 - down : 1 - down + side, 1 - right : 1 - right + side]


def compare(name, data, hidden, epochs):
    """Train both, print how they do, and return the convolutional one."""
    X, y, X_test, y_test = data
    side = round(X.shape[1] ** 0.5)
    X, X_test = (images.reshape(-1, 1, side, side) for images in (X, X_test))
    models = {
        "convolutional": convolutional(side, np.random.default_rng(0), X.dtype),
        "dense": dense(side, hidden, np.random.default_rng(0), X.dtype),
    }
    print(models["convolutional"].summary((1, side, side)))
    for kind, model in models.items():
        train(model, X, y, epochs)
        right = share_right(model, X_test, y_test)
        aside = [
            share_right(model, moved(X_test, *way), y_test)
            for way in ((-1, 0), (1, 0), (0, -1), (0, 1))
        ]
        print(
            f"{name}, {kind}, {sum(p.size for p in model.parameters()):,} parameters: "
            f"{right:.1%} right, {np.mean(aside):.1%} with the images moved by a pixel"
        )
    return models["convolutional"]


digits = te.data.load_digits()
model = compare("digits", digits, hidden=81, epochs=10)

# What the 16 filters of the first layer look for, and where they find it in a digit.
image, digit = digits[2][3], digits[3][3]
seen = model[:2](image.reshape(1, 1, 8, 8))
figure = Figure(figsize=(7.6, 5.2), layout="constrained")
above, below = figure.subplots(2, 1)
te.plots.first_layer_weights(
    model[0].weight.data.reshape(16, 9), ax=above, title="16 filters of 3 x 3"
)
te.plots.digit_samples(
    seen.detach().numpy()[0],
    labels=range(16),
    ax=below,
    title=f"Where they find it in a {digit}: black is much",
)
picture = te.plots.save(above, Path(tempfile.gettempdir()) / "09_convolution.png")
print("picture:", picture)

if os.environ.get("TINYGRAD_EDU_DATA"):
    X, y, X_test, y_test = te.data.load_mnist(dtype=np.float32)  # half the time
    mnist = X[:10_000], y[:10_000], X_test, y_test
    compare("MNIST", mnist, hidden=25, epochs=1)
