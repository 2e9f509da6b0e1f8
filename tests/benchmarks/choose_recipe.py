"""How ``digits-trained-well`` got its recipe: on rows held back from the training set.

    python tests/benchmarks/choose_recipe.py [FOLDER OF MNIST]

Trains the lecture's 784-64-10 network on the first 50,000 training images with each
candidate, and prints the accuracy on the other 10,000 after some epochs: the mean over
seeds. The test set is not looked at.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

import tinygrad_edu as te

RATES = (0.05, 0.1, 0.2)
BATCHES = (32, 64)
SEEDS = (0, 1)
EPOCHS = (5, 10, 15, 20)
TRAIN = 50_000


def accuracies(
    X: np.ndarray, y: np.ndarray, lr: float, size: int, seed: int
) -> list[float]:
    rng = np.random.default_rng(seed)
    model = te.nn.Sequential(
        te.nn.Linear(X.shape[1], 64, rng=rng, dtype=X.dtype),
        te.nn.Sigmoid(),
        te.nn.Linear(64, 10, rng=rng, dtype=X.dtype),
    )
    optimizer = te.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    reached = []
    for epoch in range(1, max(EPOCHS) + 1):
        for batch, labels in te.data.batches(X[:TRAIN], y[:TRAIN], size, rng=rng):
            loss = te.nn.softmax_cross_entropy(model(batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch in EPOCHS:
            with te.no_grad():
                predicted = model(te.tensor(X[TRAIN:])).numpy().argmax(axis=1)
            reached.append(float((predicted == y[TRAIN:]).mean()))
    return reached


def main() -> None:
    X, y, _, _ = te.data.load_mnist(*sys.argv[1:], dtype=np.float32)
    print("rate  batch  " + "  ".join(f"{epoch:2d} epochs" for epoch in EPOCHS))
    for lr, size in itertools.product(RATES, BATCHES):
        runs = [accuracies(X, y, lr, size, seed) for seed in SEEDS]
        means = "  ".join(f"{share:9.2%}" for share in np.mean(runs, axis=0))
        print(f"{lr:<4}  {size:5d}  {means}", flush=True)


if __name__ == "__main__":
    main()
