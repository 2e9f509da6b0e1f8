"""Which width, rate and activation? A search by successive halving, plotted.

The lecture's network has 64 sigmoids and takes steps of rate 1. Here 27 others compete:
all learn for two epochs, the better third goes on to six, the best of these to
eighteen. Nobody begins anew: `partial_fit` goes on from where a network has come to. A
score is that of three-fold cross-validation, for which a candidate is three networks.
The test set is asked once, about the winner.

python examples/17_search.py                       one candidate after another
python examples/17_search.py tcp://127.0.0.1:8786  on the workers of a Dask scheduler

The second takes pip install 'tinygrad_edu[distributed]'; "dask scheduler", and "dask
worker tcp://127.0.0.1:8786 --nthreads 1" in a terminal for each worker, start a small
cluster.
"""

import sys
import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import joblib
import numpy as np
from matplotlib.figure import Figure
from sklearn.model_selection import StratifiedKFold

import tinygrad_edu as te

ACTIVATIONS = {"logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
RATES = 0.01, 0.1, 1.0
WIDTHS = 8, 32, 128  # of the hidden layer
ROUNDS = 2, 6, 18  # epochs at the end of each


def network(activation, rate, width):
    return te.NeuralNetClassifier(
        (width,),
        activation=activation,
        solver="sgd",
        momentum=0.0,
        learning_rate_init=rate,
        alpha=0.0,
        batch_size=64,
        random_state=0,
    )


def learned(networks, epochs, folds):
    """Return a candidate's networks after so many further epochs, and their score."""
    scores = []
    for each, (train, validation) in zip(networks, folds, strict=True):
        for _ in range(epochs):
            each.partial_fit(*train, classes=np.arange(10))
        scores.append(each.score(*validation))
    return networks, np.mean(scores)


def search(X, y):
    """Return the last score of each candidate, and its epochs until then."""
    folds = [
        ((X[ours], y[ours]), (X[others], y[others]))
        for ours, others in StratifiedKFold(3).split(X, y)
    ]
    running = {
        candidate: [network(*candidate) for _ in folds]
        for candidate in product(ACTIVATIONS, RATES, WIDTHS)
    }
    scores, epochs = {}, dict.fromkeys(running, 0)
    for until in ROUNDS:
        answers = joblib.Parallel(n_jobs=-1 if len(sys.argv) > 1 else 1)(
            joblib.delayed(learned)(networks, until - epochs[candidate], folds)
            for candidate, networks in running.items()
        )
        print(f"{len(running):2} candidates, {until:2} epochs")
        for candidate, (networks, score) in zip(running, answers, strict=True):
            running[candidate] = networks
            scores[candidate], epochs[candidate] = score, until
        best = sorted(running, key=scores.get, reverse=True)[: -(-len(running) // 3)]
        running = {candidate: running[candidate] for candidate in best}
    return scores, epochs


X, y, X_test, y_test = te.data.load_digits()
with ExitStack() as stack:
    if len(sys.argv) > 1:
        from dask.distributed import Client

        stack.enter_context(Client(sys.argv[1]))
        stack.enter_context(joblib.parallel_config(backend="dask"))
    scores, epochs = search(X, y)

best = max(scores, key=lambda candidate: (epochs[candidate], scores[candidate]))
activation, rate, width = best
print(f"best: {width} units of {ACTIVATIONS[activation]}, learning rate {rate}")
_, right = learned([network(*best)], ROUNDS[-1], [((X, y), (X_test, y_test))])
print(f"cross-validation {scores[best]:.1%}, test {right:.1%}")

figure = Figure(figsize=(10, 3.6), layout="constrained")
panels = figure.subplots(1, len(ACTIVATIONS), sharey=True)
for ax, activation in zip(panels, ACTIVATIONS, strict=True):
    part = [[scores[activation, rate, width] for width in WIDTHS] for rate in RATES]
    image = ax.imshow(100 * np.array(part), vmin=0, vmax=100, aspect="auto")
    for (row, column), score in np.ndenumerate(part):
        count = epochs[activation, RATES[row], WIDTHS[column]]
        text = f"{score:.0%}\n{count} epochs"
        colour = "white" if score < 0.6 else "black"
        ax.text(column, row, text, ha="center", va="center", color=colour)
    ax.set_xticks(range(len(WIDTHS)), list(map(str, WIDTHS)))
    ax.set_yticks(range(len(RATES)), list(map(str, RATES)))
    ax.set(title=ACTIVATIONS[activation], xlabel="hidden units")
panels[0].set_ylabel("learning rate")
figure.colorbar(image, ax=panels, label="right in cross-validation [%]")
picture = te.plots.save(panels[0], Path(tempfile.gettempdir()) / "17_search.png")
print("picture:", picture)
