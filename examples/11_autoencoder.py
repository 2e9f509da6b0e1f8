"""An autoencoder: squeeze a digit of 64 pixels through a few numbers and draw it again.

Nobody says what the numbers should stand for: the network has to find out itself what
makes one digit different from another. Beside it stands the best that linear layers can
do: the principal components of the images.

python examples/11_autoencoder.py
"""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_edu as te

# Chosen by the error on the last 300 of the training images.
SIZES, LEARNING_RATE, EPOCHS = (64, 128, 64), 0.003, 60

X, _, X_test, y_test = te.data.load_digits()


def dense(sizes, rng):
    """Linear layers of these sizes, with a ReLU between two of them."""
    layers = []
    for before, after in pairwise(sizes):
        linear = te.nn.Linear(before, after, init="he_normal", rng=rng)
        layers += [linear, te.nn.ReLU()]
    return te.nn.Sequential(*layers[:-1])


class Autoencoder(te.nn.Layer):
    """From images (N, 64) to codes (N, size), and back to images."""

    def __init__(self, size, rng):
        self.encoder = dense([*SIZES, size], rng)
        self.decoder = dense([size, *SIZES[::-1]], rng)

    def forward(self, x):
        return te.sigmoid(self.decoder(self.encoder(x)))


def train(model):
    optimizer = te.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for images, target in te.data.batches(X, X, 32, rng=rng):
            loss = te.nn.mse_loss(model(images), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def error(drawn):
    return np.mean((drawn - X_test) ** 2)


mean = X.mean(axis=0)
components = np.linalg.svd(X - mean, full_matrices=False)[2]

figure = Figure(figsize=(12, 7), layout="constrained")
sheets = figure.add_gridspec(3, 2, width_ratios=(2, 3))
shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
te.plots.digit_samples(
    X_test[shown],
    columns=5,
    ax=figure.add_subplot(sheets[0, 0]),
    title="Digits of the test set",
)
for row, size in ((1, 8), (2, 2)):
    model = Autoencoder(size, np.random.default_rng(0))
    train(model)
    with te.no_grad():
        drawn = model(X_test).numpy()
        codes = model.encoder(X_test).numpy()
    V = components[:size]
    linear = error(mean + (X_test - mean) @ V.T @ V)
    print(
        f"{size} numbers: mean squared error {error(drawn):.4f}, "
        f"with principal components {linear:.4f}"
    )
    te.plots.digit_samples(
        drawn[shown],
        columns=5,
        ax=figure.add_subplot(sheets[row, 0]),
        title=f"Drawn again from {size} numbers, error {error(drawn):.4f}",
    )

# Codes of two numbers are places in a plane. Those of one digit should lie together,
# though nobody told the network which digit is which.
distances = np.linalg.norm(codes[:, None] - codes, axis=-1)
np.fill_diagonal(distances, np.inf)
alike = np.mean(y_test[distances.argmin(axis=1)] == y_test)
print(f"the nearest code is that of the same digit: {alike:.1%}")

ax = figure.add_subplot(sheets[:, 1])
for digit in range(10):
    ax.plot(*codes[y_test == digit].T, linestyle="", marker=f"${digit}$", markersize=7)
ax.set(xlabel="first number of the code", ylabel="second number")
ax.set_title("The test set as codes of 2 numbers")
picture = te.plots.save(ax, Path(tempfile.gettempdir()) / "11_autoencoder.png")
print("picture:", picture)
