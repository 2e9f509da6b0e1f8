"""What is measured of outputs: the accuracies, and a meter that adds up batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.operands import unmasked
from tinygrad_edu.engine.recording import no_grad

__all__ = ["Meter", "accuracy", "bare_function", "binary_accuracy", "plain"]


def accuracy(output: Any, y: Any) -> float:
    """Return the share of rows whose largest output is that of the right class.

    Parameters
    ----------
    output : array_like, shape (..., classes)
        Logits, probabilities or any other scores.
    y : array_like, shape (...) or (..., classes)
        Numbers of classes, or one-hot.

    Returns
    -------
    float
        From 0 to 1, dimensionless.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is but one output for each row.

    Examples
    --------
    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    output, y = plain(output), plain(y)
    if output.ndim < 2 or output.shape[-1] == 1:
        raise ValueError(
            f"accuracy: of one output for each row, shape {output.shape}, it needs to "
            "know what counts as a yes. Pass loss=te.nn.binary_cross_entropy (or the "
            "one with logits); or the metric te.training.binary_accuracy(0.5) for "
            "probabilities, binary_accuracy(0.0) for logits"
        )
    if y.dtype.kind not in "iubf":
        raise ValueError(f"accuracy: labels must be numbers of classes, got {y.dtype}")
    if y.shape == output.shape:
        if np.any(np.abs(y.sum(axis=-1) - 1) > 1e-3):
            raise ValueError(
                "accuracy: each row of one-hot labels must add up to 1. Of several "
                "yeses in a row, use te.training.binary_accuracy"
            )
        y = y.argmax(axis=-1)
    if y.shape != output.shape[:-1]:
        hint = ""
        if y.size == output[..., 0].size:
            hint = f". Write y.reshape{output.shape[:-1]} if they are the same rows"
        raise ValueError(
            f"accuracy: for outputs of shape {output.shape}, labels must have shape "
            f"{output.shape[:-1]}, or {output.shape} as one-hot, got {y.shape}{hint}"
        )
    return float(np.mean(output.argmax(axis=-1) == y))


def binary_accuracy(threshold: float) -> Callable[[Any, Any], float]:
    """Return the metric that takes outputs above a threshold for a yes.

    Parameters
    ----------
    threshold : float
        0.5 for probabilities, as from a sigmoid; 0.0 for logits; dimensionless.

    Returns
    -------
    callable
        Takes outputs and targets of equal shapes; a target of 1 is a yes, of 0 or -1 a
        no. Returns the share of entries that are right, from 0 to 1.

    Raises
    ------
    ValueError
        By the metric, if the shapes differ, or a target is none of these.

    Examples
    --------
    >>> metric = binary_accuracy(0.5)
    >>> metric([[0.9], [0.2], [0.7]], [[1], [0], [0]])
    0.6667
    """

    def binary_accuracy(output: Any, y: Any) -> float:
        output, y = plain(output), plain(y)
        if output.shape != y.shape:
            raise ValueError(
                f"binary_accuracy: outputs have shape {output.shape}, targets {y.shape}"
            )
        if not np.isin(y, (-1, 0, 1)).all():
            raise ValueError("binary_accuracy: targets must be 0 or 1, or -1 or 1")
        return float(np.mean((output > threshold) == (y > 0)))

    binary_accuracy.mean_over_rows = True  # type: ignore[attr-defined]
    return binary_accuracy


accuracy.mean_over_rows = True  # type: ignore[attr-defined]


# ------------------------------------------------------------------------- the meter


#: What counts as a yes, by the loss for which an output was made.
_THRESHOLDS: dict[Any, float] = {
    nn.binary_cross_entropy: 0.5,
    nn.binary_cross_entropy_with_logits: 0.0,
    nn.hinge_loss: 0.0,
}

#: First parameters of functions that take the targets first.
_TARGETS = {"y_true", "labels_true", "y", "target", "targets", "label", "labels"}

#: What a history holds besides the metrics.
_TAKEN = {"loss", "epoch", "learning_rate", "seconds"}


class Meter:
    """Adds up the loss and the metrics of batches.

    Parameters
    ----------
    metrics : str, callable, or a list or dict of them
        As for :func:`tinygrad_edu.evaluate`.
    loss : callable, optional
        What the outputs were made for.
    who : str
        Whom error messages name.

    Raises
    ------
    TypeError, ValueError
        If a metric is unknown, or two have the same name.

    Examples
    --------
    >>> meter = Meter("accuracy")
    >>> meter.add([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    >>> meter.add([[0.1, 0.9]], [1])
    >>> meter.result()
    {'accuracy': 0.6667}
    >>> other = Meter("accuracy")
    >>> other.load_state_dict(meter.state_dict())
    >>> meter.clear()
    >>> meter.result(), other.result()
    ({}, {'accuracy': 0.6667})
    >>> other.join(other.state_dict())  # as if all had come twice
    >>> other.result()
    {'accuracy': 0.6667}
    """

    def __init__(
        self, metrics: Any = (), loss: Callable[..., Any] | None = None, who: str = ""
    ) -> None:
        self.who = who or "fit"
        self.functions: dict[str, Callable[..., Any]] = {}
        if loss is not None:
            if not callable(loss):
                raise TypeError(
                    f"{self.who}: loss must be a function such as te.nn.mse_loss, got "
                    f"{loss!r}"
                )
            self.functions["loss"] = loss
        for name, metric in _named(self.who, metrics):
            if name in self.functions or name in _TAKEN:
                raise ValueError(
                    f"{self.who}: there is a {name!r} already; name the metric in a "
                    'dict: metrics={"other name": function}'
                )
            self.functions[name] = _function(self.who, metric, loss)
        self.clear()

    def clear(self) -> None:
        """Forget what was added."""
        self._rows = 0
        self._sums: dict[str, float] = {}
        self._kept: list[tuple[Any, Any]] = []

    def add(self, output: Any, y: Any, loss: float | None = None) -> None:
        """Add the output for a batch, its targets, and the loss if it is known.

        Parameters
        ----------
        output : array_like, shape (rows, ...)
        y : array_like, shape (rows, ...), or a tuple of them
        loss : float, optional
            Of the batch, in its own unit; computed unless given.
        """
        output, y = plain(output), plain(y)
        rows = len(y[0] if isinstance(y, tuple) else y)
        self._rows += rows
        whole = False
        for name, function in self.functions.items():
            if name == "loss" and loss is not None:
                figure = float(loss)
            elif getattr(function, "mean_over_rows", False):
                figure = self._figure(name, output, y)
            else:
                whole = True
                continue
            self._sums[name] = self._sums.get(name, 0.0) + figure * rows
        if whole:
            self._kept.append((output, y))

    def result(self) -> dict[str, float]:
        """Return the figures of all that was added; empty if that was nothing."""
        if not self._rows:
            return {}
        figures = {name: total / self._rows for name, total in self._sums.items()}
        if self._kept:
            output, y = map(_joined, zip(*self._kept, strict=True))
        return {
            name: figures[name] if name in figures else self._figure(name, output, y)
            for name in self.functions
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what was added so far, for a checkpoint."""
        return {"rows": self._rows, "sums": dict(self._sums), "kept": list(self._kept)}

    def join(self, state: Mapping[str, Any]) -> None:
        """Add what another meter's :meth:`state_dict` returned.

        Parameters
        ----------
        state : mapping
        """
        self._rows += state["rows"]
        for name, figure in state["sums"].items():
            self._sums[name] = self._sums.get(name, 0.0) + figure
        self._kept += state["kept"]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on adding to what :meth:`state_dict` returned.

        Parameters
        ----------
        state : mapping
        """
        self._rows, self._sums = int(state["rows"]), dict(state["sums"])
        self._kept = [tuple(map(_again, pair)) for pair in state["kept"]]

    def _figure(self, name: str, output: Any, y: Any) -> float:
        try:
            with no_grad():
                figure = self.functions[name](output, y)
        except Exception as error:
            error.add_note(
                f"in {self.who}, {'the loss' if name == 'loss' else f'metric {name}'}: "
                f"called with {_told(output)} and {_told(y)}. A function that wants "
                "classes gets them by "
                "lambda output, y: function(y, output.argmax(axis=1))"
            )
            raise
        figure = plain(figure)
        if np.size(figure) != 1 or np.asarray(figure).dtype.kind not in "fiub":
            what = "the loss" if name == "loss" else f"metric {name}"
            raise TypeError(
                f"{self.who}: {what} must return one number, got {_told(figure)}"
            )
        return float(np.asarray(figure).reshape(()))


def _named(who: str, metrics: Any) -> Iterable[tuple[str, Any]]:
    """Yield every metric with its name."""
    if isinstance(metrics, Mapping):
        yield from metrics.items()
        return
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise TypeError(f"{who}: metrics must be a list, got {type(metrics).__name__}")
    for metric in metrics:
        if isinstance(metric, str):
            yield metric, metric
            continue
        bare = bare_function(metric)
        name = getattr(bare, "__name__", type(bare).__name__)
        yield name.strip("<>"), metric


def bare_function(function: Any) -> Any:
    """Return what ``functools.partial`` was made of; any other function itself."""
    while isinstance(function, partial):
        function = function.func
    return function


def _function(who: str, metric: Any, loss: Any) -> Callable[..., Any]:
    """Return a metric as a function of the output and the targets."""
    if metric == "accuracy":
        threshold = _THRESHOLDS.get(bare_function(loss))
        return accuracy if threshold is None else binary_accuracy(threshold)
    if not callable(metric):
        raise ValueError(
            f'{who}: there is no metric {metric!r}; by name there is "accuracy", '
            "others are functions, such as sklearn.metrics.r2_score"
        )
    return _targets_first(metric) if _first_name(metric) in _TARGETS else metric


def _first_name(function: Callable[..., Any]) -> str:
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some written in C have none
        return ""
    return names[0] if names else ""


def _targets_first(function: Callable[..., Any]) -> Callable[..., Any]:
    def swapped(output: Any, y: Any) -> Any:
        return function(y, output)

    swapped.mean_over_rows = getattr(  # type: ignore[attr-defined]
        function, "mean_over_rows", False
    )
    return swapped


# ---------------------------------------------------------------------------- arrays


def plain(x: Any) -> Any:
    """Return arrays for Tensors and array_likes, also in a tuple."""
    if isinstance(x, tuple):
        return tuple(map(plain, x))
    return x.data if isinstance(x, Tensor) else unmasked(x, "a metric's argument")


def _told(x: Any) -> str:
    if isinstance(x, tuple):
        return f"({', '.join(map(_told, x))})"
    return f"{np.asarray(x).dtype} of shape {np.shape(x)}"


def _again(x: Any) -> Any:
    """Return the tuple that has become a list in a checkpoint, or the array."""
    return tuple(map(_again, x)) if isinstance(x, list) else x


def _joined(parts: tuple[Any, ...]) -> Any:
    """Concatenate arrays, or tuples of them position by position."""
    if isinstance(parts[0], tuple):
        return tuple(map(_joined, zip(*parts, strict=True)))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
