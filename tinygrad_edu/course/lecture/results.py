"""What came of training a network of the lecture, and how good it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.course.lecture.systems import System


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


def judge(
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
