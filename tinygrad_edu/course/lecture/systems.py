"""The lecture's networks, as data: what they are, and what they are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.nn.initializers import standard_normal
from tinygrad_edu.training import predict

HIDDEN = 64
SEED = 1


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
        output = predict(model, as_input(model, X))
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


def as_input(model: nn.Layer, X: np.ndarray) -> np.ndarray:
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


def class_names(system: System) -> list[str]:
    """Return what the classes of a system are called, in their order."""
    return ["other", "zero"] if system.zeros_only else [str(i) for i in range(10)]


def expect_known(names: Iterable[str]) -> None:
    for name in names:
        if name not in SYSTEMS:
            raise ValueError(
                f"there is no system {name!r}; one of {', '.join(SYSTEMS)}"
            )


def drawn(rows: int, features: int) -> dict[str, tuple[nn.Sequential, np.ndarray]]:
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
