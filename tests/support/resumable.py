"""A training with every kind of state in it, to be killed and resumed.

As a program: ``python resumable.py FOLDER [WHERE COUNT]`` trains, and prints a digest
of the result. With ``WHERE COUNT`` it kills itself in the COUNT-th call of
``os.fsync`` or ``os.replace``.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time

import numpy as np

import tinygrad_edu as te
from tinygrad_edu.training import feed, recorder

EPOCHS = 5
STEPS = 6  # in each


class Jitter(te.nn.Layer):
    """Noise from a legacy generator, which is held in a list."""

    def __init__(self, seed):
        self.sources = [np.random.RandomState(seed)]

    def forward(self, x):
        if not self.training:
            return x
        return x + 0.01 * self.sources[0].standard_normal(x.shape)


def network():
    return te.nn.Sequential(
        te.nn.Linear(4, 8, rng=0),
        te.nn.BatchNorm1d(8),
        te.nn.ReLU(),
        Jitter(1),
        te.nn.Dropout(0.3, rng=2),
        te.nn.Linear(8, 3, rng=3),
    )


def spread(output, y):
    """A metric that is no mean over rows."""
    return float(np.std(output))


def train(folder=None, epochs=EPOCHS, callbacks=(), model=None, **options):
    """Train with mini-batches; return model, optimiser and history."""
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((40, 4)), rng.integers(0, 3, 40)
    model = network() if model is None else model
    optimizer = te.optim.Adam(model.parameters(), lr=0.01)
    fading = te.optim.schedules.Schedule(optimizer, lambda t: 0.99**t)
    options = {
        "batch_size": 5,
        "validation": 0.25,
        "metrics": ["accuracy", spread],
        "rng": 5,
    } | options
    history = te.fit(
        model,
        X,
        y,
        loss=te.nn.softmax_cross_entropy,
        optimizer=optimizer,
        epochs=epochs,
        callbacks=[
            te.training.EveryBatch(fading),
            te.training.EarlyStopping(patience=100, restore_best=False),
            *callbacks,
        ],
        progress=False,
        checkpoint=folder,
        **options,
    )
    return model, optimizer, history


def train_on_all(folder=None, epochs=EPOCHS, callbacks=()):
    """Train with full batches, each computed from several parts."""
    rng = np.random.default_rng(6)
    X = rng.standard_normal((20, 4))
    model = te.nn.Sequential(te.nn.Linear(4, 3, rng=0), te.nn.Tanh())
    optimizer = te.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    history = te.fit(
        model,
        X,
        np.tanh(X[:, :3]),
        loss=te.nn.mse_loss,
        optimizer=optimizer,
        epochs=epochs,
        callbacks=callbacks,
        progress=False,
        checkpoint=folder,
    )
    return model, optimizer, history


def digest(model, optimizer, history):
    """Return what two runs share only if they ended with the same bits."""
    total = hashlib.sha256()
    for name, array in model.state_dict().items():
        total.update(name.encode() + array.tobytes())
    for name, array in optimizer.state_dict()["state"].items():
        total.update(name.encode() + array.tobytes())
    values = {name: x for name, x in history.values.items() if name != "seconds"}
    total.update(repr((history.epochs, values, history.stopped)).encode())
    return total.hexdigest()


def killing(function, count):
    def counting(*args):
        nonlocal count
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)

    return counting


def main(folder, where="", count="0"):
    if where:
        setattr(os, where, killing(getattr(os, where), int(count)))
    recorder.SECONDS_BETWEEN = 0.0  # a checkpoint after every batch
    feed.CHUNK = 5
    slowly = te.training.EveryBatch(lambda training: time.sleep(0.004))
    print("ready", flush=True)
    results = [
        digest(*train(os.path.join(folder, "batches"), callbacks=[slowly])),
        digest(*train_on_all(os.path.join(folder, "all"), callbacks=[slowly])),
    ]
    print(*results, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
