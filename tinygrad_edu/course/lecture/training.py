"""The lecture's data, and its networks trained on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tinygrad_edu import data, nn, optim
from tinygrad_edu.course.lecture.results import Result, judge, judgement
from tinygrad_edu.course.lecture.systems import (
    SEED,
    SYSTEMS,
    as_input,
    drawn,
    expect_known,
)
from tinygrad_edu.training import Training, fit

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_DIFFERENCE = (
    "The lecture prints rows and columns, precision and recall exchanged "
    "(--as-the-lecture)."
)


def load(name: str, folder: str | Path | None = None) -> Split:
    """Return the data of that name, ``"digits"`` or ``"mnist"``.

    Parameters
    ----------
    name : {"digits", "mnist"}
    folder : path, optional
        Where MNIST's files lie, as for :func:`tinygrad_edu.data.load_mnist`.

    Returns
    -------
    X_train, X_test : ndarray, shape (n, 64) or (n, 784)
    y_train, y_test : ndarray of int, shape (n,)

    Raises
    ------
    ValueError
        If there is no data set of that name; also as for ``load_mnist``.

    Examples
    --------
    >>> load("digits")[0].shape
    (1500, 64)
    """
    if name not in ("digits", "mnist"):
        raise ValueError(f"there is no data set {name!r}; one of digits, mnist")
    return data.load_digits() if name == "digits" else data.load_mnist(folder)


def run(
    names: Iterable[str],
    split: Split,
    *,
    epochs: int | None = None,
    say: Callable[[str], None] = print,
    progress: bool = True,
    as_the_lecture: bool = False,
) -> list[Result]:
    """Train systems of the lecture one after the other, and judge them on the test set.

    Parameters
    ----------
    names : iterable of str
        Of :data:`SYSTEMS`.
    split : tuple of ndarray
        ``X_train, y_train, X_test, y_test``, of digits.
    epochs : int, optional
        Stop after so many; each system's own number unless given.
    say : callable
        Is handed every line of text.
    progress : bool, default True
        Show a progress bar, in a terminal.
    as_the_lecture : bool, default False
        Say the confusion matrix and the report as the lecture prints them. It hands
        scikit-learn the predictions for targets: rows and columns, precision and recall
        are exchanged. What is returned is the same.

    Returns
    -------
    list of Result

    Raises
    ------
    ValueError
        If there is no system of a name, or ``epochs`` is less than 1.

    Examples
    --------
    >>> (result,) = run(["neuron"], load("digits"), say=lambda line: None)
    >>> round(result.losses[0][1], 3), round(result.losses[-1][1], 3)
    (0.696, 0.032)
    """
    names = list(names)
    expect_known(names)
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    X, y, X_test, y_test = split
    starts = drawn(*X.shape)
    results = []
    for name in names:
        model, order = starts[name]
        result = Result(SYSTEMS[name], model)
        sizes = [
            X.shape[1],
            *(x.weight.shape[0] for x in model if isinstance(x, nn.Linear)),
        ]
        say(f"\n{name}: {result.system.title} ({'-'.join(map(str, sizes))})")
        _train(result, X[order], y[order], epochs, say, progress)
        judge(result, X_test, y_test)
        for line in judgement(result, as_the_lecture=as_the_lecture):
            say(line)
        results.append(result)
    if results and not as_the_lecture:
        say(f"\n{_DIFFERENCE}")
    return results


def _train(
    result: Result,
    X: np.ndarray,
    y: np.ndarray,
    epochs: int | None,
    say: Callable[[str], None],
    progress: bool,
) -> None:
    from tqdm import tqdm  # here, because importing the package must stay cheap

    def every_tenth(training: Training) -> None:
        epoch = training.epoch - 1  # the lecture counts from 0
        if epoch % 10 == 0:
            with tqdm.external_write_mode():
                say(f"Epoch {epoch:3d} loss: {training.history['loss'][-1]}")

    system, model = result.system, result.model
    start = time.perf_counter()
    history = fit(
        model,
        as_input(model, X),
        system.targets(y),
        loss=system.loss,
        optimizer=optim.SGD(
            model.parameters(), lr=system.learning_rate, momentum=system.momentum
        ),
        epochs=system.epochs if epochs is None else min(epochs, system.epochs),
        batch_size=system.batch_size,
        callbacks=[every_tenth],
        progress="bar" if progress else False,
        rng=SEED,
    )
    if history.stopped == "interrupted":
        raise KeyboardInterrupt
    result.curve = history["loss"]
    say(f"Final loss: {result.curve[-1]}")
    result.seconds = time.perf_counter() - start
