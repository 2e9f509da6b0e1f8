"""The lecture's networks, as data, and a function that trains and judges them.

Three are the lecture's own, with its random draws, learning rate and order of the
examples. The fourth is its ten-digit network again, of the same size, trained well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import data, nn, ops, optim, plots
from tinygrad_edu.drawing import Drawing, draw
from tinygrad_edu.engine.core import Tensor, nodes_of, tensor
from tinygrad_edu.nn.initializers import standard_normal
from tinygrad_edu.training import Training, fit, predict

__all__ = [
    "SYSTEMS",
    "Result",
    "System",
    "drawing",
    "load",
    "run",
    "save_pictures",
]

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
HIDDEN = 64
SEED = 1
_BATCH = 32  # rows in a drawing


@dataclass(frozen=True)
class System:
    """A network of the lecture and how it is trained.

    Attributes
    ----------
    name : str
    title : str
    model : callable
        ``model(features, rng)`` draws the weights and returns the layers.
    zeros_only : bool
        Whether it tells zeros from the rest, or all ten digits apart.
    epochs : int
    learning_rate : float
        Dimensionless, as are inputs and weights here.
    momentum : float
        Share of the last step that is taken again, dimensionless.
    batch_size : int, optional
        Rows in a mini-batch; all of them at once unless given.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_edu.course import lecture
    >>> system = lecture.SYSTEMS["neuron"]
    >>> digits = np.array([0, 7])
    >>> system.targets(digits).tolist(), system.classes(digits).tolist()
    ([[1.0], [0.0]], [True, False])
    >>> model = system.model(64, 0)
    >>> X = np.zeros((2, 64))  # a bias of 0: a probability of 1/2
    >>> float(system.loss(model(X), system.targets(digits)))
    0.6931
    >>> system.predict(model, X).tolist()
    [False, False]
    """

    name: str
    title: str
    model: Callable[[int, Any], nn.Sequential]
    zeros_only: bool
    epochs: int
    learning_rate: float = 1.0
    momentum: float = 0.0
    batch_size: int | None = None

    def targets(self, digits: np.ndarray) -> np.ndarray:
        """Return what the network shall give for examples of these digits.

        Parameters
        ----------
        digits : ndarray of int, shape (n,)

        Returns
        -------
        ndarray, shape (n, 1) or (n,)
            1 for a zero, else 0; of all ten digits the digits themselves.
        """
        return (digits == 0).astype(float)[:, None] if self.zeros_only else digits

    @property
    def loss(self) -> Callable[[Any, Any], Tensor]:
        """The mean cross-entropy of outputs and targets, in nats."""
        return nn.binary_cross_entropy if self.zeros_only else nn.softmax_cross_entropy

    def predict(self, model: nn.Layer, X: np.ndarray) -> Any:
        """Return the predicted class of every row: is it a zero, or which digit.

        Parameters
        ----------
        model : Layer
        X : ndarray, shape (n, features)

        Returns
        -------
        ndarray, shape (n,)
        """
        output = predict(model, _as_input(model, X))
        return output[:, 0] > 0.5 if self.zeros_only else output.argmax(axis=1)

    def classes(self, digits: np.ndarray) -> Any:
        """Return the true class of examples of these digits.

        Parameters
        ----------
        digits : ndarray of int, shape (n,)

        Returns
        -------
        ndarray, shape (n,)
            Whether it is a zero, or the digit itself.
        """
        return digits == 0 if self.zeros_only else digits


def _as_input(model: nn.Layer, X: np.ndarray) -> np.ndarray:
    """Return the examples in the precision that the model computes in."""
    parameters = model.parameters()
    return X.astype(parameters[0].dtype if parameters else X.dtype, copy=False)


def _neuron(features: int, rng: Any) -> nn.Sequential:
    def small(shape: tuple[int, ...], rng: Any) -> np.ndarray:
        return 0.01 * standard_normal(shape, rng)

    return nn.Sequential(nn.Linear(features, 1, init=small, rng=rng), nn.Sigmoid())


def _hidden(features: int, rng: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, HIDDEN, init="standard_normal", rng=rng),
        nn.Sigmoid(),
        nn.Linear(HIDDEN, 1, init="standard_normal", rng=rng),
        nn.Sigmoid(),
    )


def _digits(features: int, rng: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, HIDDEN, init="standard_normal", rng=rng),
        nn.Sigmoid(),
        nn.Linear(HIDDEN, 10, init="standard_normal", rng=rng),
    )


def _digits_trained_well(features: int, rng: Any) -> nn.Sequential:
    dtype = np.float32  # half the time, and as good a recogniser
    return nn.Sequential(
        nn.Linear(features, HIDDEN, init="glorot_uniform", rng=rng, dtype=dtype),
        nn.Sigmoid(),
        nn.Linear(HIDDEN, 10, init="glorot_uniform", rng=rng, dtype=dtype),
    )


#: The four networks, by name.
SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        System("neuron", "a single neuron that knows a zero", _neuron, True, 100),
        System("hidden", "one hidden layer, still a zero", _hidden, True, 100),
        System("digits", "all ten digits", _digits, False, 200),
        System(
            "digits-trained-well",
            "the same network: sound initialisation, mini-batches, momentum",
            _digits_trained_well,
            False,
            epochs=20,
            learning_rate=0.1,
            momentum=0.9,
            batch_size=32,
        ),
    )
}


@dataclass
class Result:
    """What came of training one system.

    Attributes
    ----------
    system : System
    model : Sequential
        With the trained weights.
    losses : list of (int, float)
        Epoch and loss, every tenth and the last; before that epoch's update, or with
        mini-batches the mean over the epoch; in nats.
    curve : list of float
        The loss of every epoch, in nats.
    confusion_matrix : ndarray of int, shape (classes, classes)
        On the test set; rows are predicted classes, columns actual ones.
    report : str
        scikit-learn's classification report, with predictions in the first place, as
        the lecture prints it.
    test_accuracy : float
        Share of the test set that is right, dimensionless.
    seconds : float
        Of training, in s.

    Examples
    --------
    >>> from tinygrad_edu.course import lecture
    >>> split = lecture.load("digits")
    >>> (result,) = lecture.run(["neuron"], split, say=lambda line: None)
    >>> result.confusion_matrix.shape, result.test_accuracy > 0.98
    ((2, 2), True)
    >>> [epoch for epoch, _ in result.losses][-2:]
    [90, 99]
    """

    system: System
    model: nn.Sequential
    curve: list[float] = field(default_factory=list)
    confusion_matrix: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), int))
    report: str = ""
    test_accuracy: float = float("nan")
    seconds: float = float("nan")

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Epoch and loss, of every tenth epoch and the last."""
        epochs = sorted({*range(0, len(self.curve), 10), len(self.curve) - 1})
        return [(epoch, self.curve[epoch]) for epoch in epochs]


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


def _drawn(rows: int, features: int) -> dict[str, tuple[nn.Sequential, np.ndarray]]:
    """Return the starting weights and the order of examples of every system.

    The lecture seeds once and draws for one network after the other; so all are drawn,
    whichever are trained.
    """
    rng = np.random.RandomState(SEED)
    order = rng.permutation(rows)
    neuron = SYSTEMS["neuron"].model(features, rng)
    hidden = SYSTEMS["hidden"].model(features, rng)
    order_of_digits = rng.permutation(rows)
    digits = SYSTEMS["digits"].model(features, rng)
    well = SYSTEMS["digits-trained-well"].model(features, np.random.default_rng(SEED))
    return {
        "neuron": (neuron, order),
        "hidden": (hidden, order),
        "digits": (digits, order_of_digits),
        "digits-trained-well": (well, np.arange(rows)),
    }


def run(
    names: Iterable[str],
    split: Split,
    *,
    epochs: int | None = None,
    say: Callable[[str], None] = print,
    progress: bool = True,
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
    _check_names(names)
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    X, y, X_test, y_test = split
    drawn = _drawn(*X.shape)
    results = []
    for name in names:
        model, order = drawn[name]
        result = Result(SYSTEMS[name], model)
        sizes = [
            X.shape[1],
            *(x.weight.shape[0] for x in model if isinstance(x, nn.Linear)),
        ]
        say(f"\n{name}: {result.system.title} ({'-'.join(map(str, sizes))})")
        _train(result, X[order], y[order], epochs, say, progress)
        _judge(result, X_test, y_test, say)
        results.append(result)
    return results


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name not in SYSTEMS:
            raise ValueError(
                f"there is no system {name!r}; one of {', '.join(SYSTEMS)}"
            )


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
        _as_input(model, X),
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


def _judge(
    result: Result, X: np.ndarray, digits: np.ndarray, say: Callable[[str], None]
) -> None:
    from sklearn import metrics  # here, because importing the package must stay cheap

    predicted = result.system.predict(result.model, X)
    actual = result.system.classes(digits)
    result.confusion_matrix = metrics.confusion_matrix(predicted, actual)
    result.report = metrics.classification_report(predicted, actual, zero_division=0)
    result.test_accuracy = float((predicted == actual).mean())
    say("\nConfusion matrix of the test set: rows are predicted, columns are actual")
    say(str(result.confusion_matrix))
    say(f"\n{result.report}")
    say(f"Trained in {result.seconds:.1f} s, test accuracy {result.test_accuracy:.2%}")


def save_pictures(
    results: Iterable[Result], split: Split, folder: str | Path
) -> list[Path]:
    """Write the lecture's pictures, and each network's graph, into a folder.

    Parameters
    ----------
    results : iterable of Result
    split : tuple of ndarray
        The data that they were trained on.
    folder : path
        Is made if it is not there.

    Returns
    -------
    list of Path
        What was written: as .png the sigmoid, all loss curves, and for each system a
        sheet of test digits with predictions and the confusion matrix; its graph as
        .svg, as .html, in which one walks through the backward pass, and as .dot.

    Examples
    --------
    >>> split = load("digits")
    >>> results = run(["neuron"], split, epochs=2, say=lambda line: None)
    >>> written = save_pictures(results, split, getfixture("tmp_path"))
    >>> [path.name for path in written][:2]
    ['sigmoid.png', 'neuron-samples.png']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    X, y, X_test, y_test = split
    written = [
        plots.save(
            plots.activation(ops.sigmoid, title="Sigmoid"), folder / "sigmoid.png"
        )
    ]
    curves = None
    for result in results:
        system, name = result.system, result.system.name
        curves = plots.loss_curve(
            np.arange(len(result.curve)), result.curve, ax=curves, label=name, log=True
        )
        predicted = system.predict(result.model, X_test)
        actual = system.classes(y_test)
        words = np.array(["other", "zero"]) if system.zeros_only else np.arange(10)
        pictures = {
            "samples": plots.digit_samples(
                X_test[:32],
                words[actual[:32].astype(int)],
                words[predicted[:32].astype(int)],
            ),
            "confusion-matrix": plots.confusion_matrix(
                result.confusion_matrix, class_names=[str(word) for word in words]
            ),
        }
        for kind, picture in pictures.items():
            written.append(plots.save(picture, folder / f"{name}-{kind}.png"))
        graph = draw(_loss_of(system, result.model, X, y))
        for form in ("svg", "html", "dot"):
            written.append(graph.save(folder / f"{name}-graph.{form}"))
    if curves is not None:
        written.append(plots.save(curves, folder / "loss-curves.png"))
    return written


def drawing(name: str, split: Split, **options: Any) -> Drawing:
    """Draw the graph of a system's loss on 32 examples, before training.

    Parameters
    ----------
    name : str
        Of one of :data:`SYSTEMS`.
    split : tuple of ndarray
        ``X_train, y_train, X_test, y_test``, of digits.
    **options
        As for :func:`tinygrad_edu.draw`.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no system of that name.

    Examples
    --------
    >>> drawing("neuron", load("digits")).graph.title
    'L: 12 operations'
    """
    _check_names([name])
    X, y, *_ = split
    model, order = _drawn(*X.shape)[name]
    first = order[:_BATCH]
    return draw(_loss_of(SYSTEMS[name], model, X[first], y[first]), **options)


def _loss_of(system: System, model: nn.Sequential, X: Any, y: Any) -> Tensor:
    """Return the loss on the first rows, with the lecture's names for a drawing."""
    batch = tensor(_as_input(model, X[:_BATCH]), name="X")
    target = tensor(system.targets(y[:_BATCH]), name="Y")
    loss: Tensor = system.loss(model(batch), target)
    dense = [layer for layer in model if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(dense, 1):
        layer.weight.name = f"W{number}"
        if layer.bias is not None:
            layer.bias.name = f"b{number}"
    results: dict[str, list[Tensor]] = {"linear": [], "sigmoid": []}
    for node in nodes_of([loss]):
        results.get(node.op.name, []).append(node)
    for letter, nodes in zip("ZA", results.values(), strict=True):
        for number, node in enumerate(nodes, 1):
            node.name = f"{letter}{number}"
    loss.name = "L"
    return loss
