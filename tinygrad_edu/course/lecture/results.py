"""What came of training a network of the lecture, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.course.lecture.systems import System, class_names


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
        On the test set; rows are predicted classes, columns actual ones, as in the
        lecture and for :func:`tinygrad_edu.plots.confusion_matrix`.
    report : str
        scikit-learn's classification report of the test set.
    test_accuracy : float
        Share of the test set that is right, dimensionless.
    seconds : float
        Of training, in s.
    lecture_report : str
        The report as the lecture prints it, which hands scikit-learn the predictions
        for targets: precision and recall are exchanged, and support counts predictions.

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
    lecture_report: str = ""

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Epoch and loss, of every tenth epoch and the last."""
        epochs = sorted({*range(0, len(self.curve), 10), len(self.curve) - 1})
        return [(epoch, self.curve[epoch]) for epoch in epochs]


def judge(result: Result, X: np.ndarray, digits: np.ndarray) -> None:
    """Count on the test set what is right, and what was taken for what."""
    from sklearn import metrics  # here, because importing the package must stay cheap

    system = result.system
    predicted = system.predict(result.model, X)
    actual = system.classes(digits)
    classes = np.unique(system.classes(np.arange(10)))
    result.confusion_matrix = metrics.confusion_matrix(
        predicted, actual, labels=classes
    )
    result.report = metrics.classification_report(
        actual,
        predicted,
        labels=classes,
        target_names=class_names(system),
        zero_division=0,
    )
    result.lecture_report = metrics.classification_report(
        predicted, actual, zero_division=0
    )
    result.test_accuracy = float((predicted == actual).mean())


def judgement(result: Result, *, as_the_lecture: bool) -> list[str]:
    """Return the lines that say how good a network is."""
    if as_the_lecture:
        heading = "rows are predicted, columns are actual"
        matrix, report = str(result.confusion_matrix), result.lecture_report
    else:
        heading = "rows are what it is, columns what the network says"
        names = class_names(result.system)
        matrix, report = _with_names(result.confusion_matrix.T, names), result.report
    return [
        f"\nConfusion matrix of the test set: {heading}",
        matrix,
        f"\n{report}",
        f"Trained in {result.seconds:.1f} s, test accuracy {result.test_accuracy:.2%}",
    ]


def _with_names(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Return the matrix, its rows named by what it is, its columns by what is said."""
    rows, columns = ([f"{verb} {name}" for name in names] for verb in ("is", "says"))
    left, wide = max(map(len, rows)), max(*map(len, columns), len(str(matrix.max())))
    lines = [" ".join([" " * left, *(f"{column:>{wide}}" for column in columns)])]
    for row, counts in zip(rows, matrix, strict=True):
        lines.append(" ".join([f"{row:{left}}", *(f"{n:{wide}}" for n in counts)]))
    return "\n".join(lines)
