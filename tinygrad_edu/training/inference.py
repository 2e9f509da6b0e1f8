"""predict and evaluate: batch by batch, in evaluation mode, without recording.

What is measured is a :class:`Meter`, which training uses, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.recording import no_grad
from tinygrad_edu.nn.borrowing import evaluating

__all__ = ["Meter", "accuracy", "binary_accuracy", "evaluate", "predict"]


# ------------------------------------------------------------------ the public doors


def predict(model: Any, X: Any, batch_size: int | None = 1024) -> Any:
    """Return the model's output for every row of ``X``.

    Parameters
    ----------
    model : Layer or callable
        Is put into evaluation mode, and back afterwards. Nothing is recorded.
    X : array_like, shape (n, ...), or tuple of array_like
        One example in each row. Of a ``numpy.memmap``, or anything with a length that
        slices cut, only one batch is read at a time. A tuple holds the inputs of a
        model that takes several.
    batch_size : int or None, default 1024
        Rows that go through the model together; None for all at once. That is needed
        by a layer of your own whose rows depend on each other in evaluation, too.

    Returns
    -------
    ndarray, shape (n, ...)
        Written to by nobody else. A tuple of them if the model returns a tuple or list.

    Raises
    ------
    TypeError
        If ``X`` has no rows to cut, or the batch size is no int.
    ValueError
        If the batch size is less than 1, if inputs differ in length, or if the model
        returns something else than one row for each row, all of one shape.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(3, 2, rng=0), te.nn.Softmax())
    >>> te.predict(model, np.ones((5, 3))).shape
    (5, 2)
    """
    inputs, several = _inputs("predict", "X", X)
    n = _same_length("predict", inputs)
    whole: Any = None
    with evaluating(model):
        for rows in _slices("predict", n, batch_size):
            output = _output_of(model, inputs, several, rows)
            whole = _written("predict", whole, output, rows, n)
    return whole


def evaluate(
    model: Any,
    X: Any,
    y: Any,
    *,
    loss: Callable[..., Any] | None = None,
    metrics: Any = (),
    batch_size: int | None = 1024,
) -> dict[str, float]:
    """Return the loss and the metrics of a model on data.

    Parameters
    ----------
    model : Layer or callable
        Is put into evaluation mode, and back afterwards. Nothing is recorded.
    X : array_like, shape (n, ...), or tuple of array_like
        As for :func:`predict`.
    y : array_like, shape (n, ...), or tuple of array_like
        Labels or targets, one row for each example.
    loss : callable, optional
        Takes the model's output and ``y``, and returns a number: one of ``te.nn``'s, or
        your own.
    metrics : str, callable, or a list or dict of them
        By name there is "accuracy", the share of rows that are right. A function takes
        the output and ``y`` as a loss does, and returns a number; one whose first
        parameter is called ``y_true``, like those of ``sklearn.metrics`` and Keras, is
        given ``y`` first. Its name is the key in the result, unless a dict has another.
    batch_size : int or None, default 1024
        As for :func:`predict`.

    Returns
    -------
    dict of str to float
        "loss", if there is one, and each metric.

    Raises
    ------
    TypeError, ValueError
        If there are no rows, lengths differ, a metric is unknown or two have the same
        name, or a loss or metric returns no single number; also as for
        :func:`predict`.

    Notes
    -----
    A function that says ``mean_over_rows``, as te's losses and accuracies do, is called
    with each batch, and the results are averaged, weighted by their rows. Any other is
    called once, with all outputs: of R² or F1, the mean over batches is another number.

    Of a single output the accuracy needs to know what counts as a yes: above 1/2 for
    ``binary_cross_entropy``, above 0 for ``binary_cross_entropy_with_logits`` and
    ``hinge_loss``. Without one of these, use :func:`.binary_accuracy`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Tanh()
    >>> X, y = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0, 1, 1])
    >>> loss = te.nn.softmax_cross_entropy
    >>> te.evaluate(model, X, y, loss=loss, metrics="accuracy")
    {'loss': 0.6170, 'accuracy': 0.6667}

    Metrics of scikit-learn that want classes need a word of their own:

    >>> from sklearn.metrics import f1_score
    >>> def f1(output, y):
    ...     return f1_score(y, output.argmax(axis=1))
    >>> te.evaluate(model, X, y, metrics=f1)
    {'f1': 0.6667}
    """
    inputs, several = _inputs("evaluate", "X", X)
    targets, several_targets = _inputs("evaluate", "y", y)
    n = _same_length("evaluate", [*inputs, *targets])
    if n == 0:
        raise ValueError("evaluate: X has no rows")
    meter = Meter(metrics, loss, who="evaluate")
    with evaluating(model):
        for rows in _slices("evaluate", n, batch_size):
            output = _output_of(model, inputs, several, rows)
            meter.add(output, _cut(targets, several_targets, rows))
        return meter.result()


# ------------------------------------------------------------------------- metrics


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
    output, y = _plain(output), _plain(y)
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
        output, y = _plain(output), _plain(y)
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
        output, y = _plain(output), _plain(y)
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
        figure = _plain(figure)
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


# ------------------------------------------------------------------ rows and batches


def _plain(x: Any) -> Any:
    """Return arrays for Tensors and array_likes, also in a tuple."""
    if isinstance(x, tuple):
        return tuple(map(_plain, x))
    return x.data if isinstance(x, Tensor) else np.asarray(x)


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


def _inputs(who: str, name: str, given: Any) -> tuple[list[Any], bool]:
    """Return a list of what can be cut into rows, and whether it was a tuple."""
    several = isinstance(given, tuple)
    if several and not given:
        raise ValueError(f"{who}: {name} is an empty tuple")
    return [_rows_of(who, name, x) for x in (given if several else (given,))], several


def _rows_of(who: str, name: str, x: Any) -> Any:
    """Return something with a length that slices cut into rows."""
    if isinstance(x, Tensor):
        x = x.data
    elif isinstance(x, list) or hasattr(x, "iloc") or not hasattr(x, "__getitem__"):
        x = np.asarray(x)  # iloc: a table of pandas, which [] takes columns from
    try:
        len(x)
    except TypeError as error:
        raise TypeError(
            f"{who}: {name} must be an array with one row for each example, got "
            f"{type(x).__name__}: {error}"
        ) from error
    return x


def _same_length(who: str, arrays: list[Any]) -> int:
    lengths = [len(x) for x in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{who}: all must have one row for each example, got "
            f"{' and '.join(map(str, lengths))} rows"
        )
    return lengths[0]


def _slices(who: str, n: int, batch_size: int | None) -> Iterator[slice]:
    """Return the slices of the batches; one, if there are no rows."""
    if batch_size is None:
        batch_size = max(n, 1)
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool):
        raise TypeError(f"{who}: batch_size must be an int or None, got {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"{who}: batch_size must be at least 1, got {batch_size}")
    size = int(batch_size)
    return (slice(i, min(i + size, n)) for i in range(0, max(n, 1), size))


def _cut(arrays: list[Any], several: bool, rows: slice) -> Any:
    """Return a batch; of a memory map an array, so that layers see nothing special."""
    parts = tuple(x[rows] for x in arrays)
    return _plain(parts if several else parts[0])


def _output_of(model: Any, inputs: list[Any], several: bool, rows: slice) -> Any:
    batch = _cut(inputs, several, rows)
    output = model(*batch) if isinstance(batch, tuple) else model(batch)
    return _plain(tuple(output) if isinstance(output, list) else output)


def _written(who: str, whole: Any, output: Any, rows: slice, n: int) -> Any:
    """Write a batch's output into the whole, which is made with the first batch."""
    if isinstance(output, tuple):
        parts = whole or (None,) * len(output)
        return tuple(
            _written(who, part, out, rows, n)
            for part, out in zip(parts, output, strict=True)
        )
    count = rows.stop - rows.start
    if np.ndim(output) == 0 or len(output) != count:
        raise ValueError(
            f"{who}: the model must return one row for each row; of {count} rows it "
            f"made an output of shape {np.shape(output)}"
        )
    if whole is None:
        whole = np.empty((n, *output.shape[1:]), output.dtype)
    if whole.shape[1:] != output.shape[1:]:
        raise ValueError(
            f"{who}: rows {rows.start} to {rows.stop - 1} gave an output of shape "
            f"{output.shape}, those before {(rows.start, *whole.shape[1:])}; pass "
            "batch_size=None if the model's rows depend on each other"
        )
    whole[rows] = output
    return whole
