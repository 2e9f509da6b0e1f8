"""predict and evaluate: batch by batch, in evaluation mode, without recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.operands import is_masked, unmasked
from tinygrad_edu.metrics import Meter, plain
from tinygrad_edu.nn.borrowing import evaluating

__all__ = ["evaluate", "predict"]


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


# ------------------------------------------------------------------ rows and batches


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
        x = unmasked(
            x, f"{who}: {name}"
        )  # iloc: a table of pandas, which [] takes columns from
    if is_masked(x):
        raise errors.masked(f"{who}: {name}")
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
    return plain(parts if several else parts[0])


def _output_of(model: Any, inputs: list[Any], several: bool, rows: slice) -> Any:
    batch = _cut(inputs, several, rows)
    output = model(*batch) if isinstance(batch, tuple) else model(batch)
    return plain(tuple(output) if isinstance(output, list) else output)


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
