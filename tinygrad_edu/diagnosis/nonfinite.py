"""What is not finite, and where it came from: the first operation that made one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.diagnosis.absence import unwalkable
from tinygrad_edu.diagnosis.answers import share, some, text
from tinygrad_edu.diagnosis.entries import (
    arrays_not_finite,
    first_not_finite,
    is_finite,
)
from tinygrad_edu.diagnosis.graph import Graph
from tinygrad_edu.diagnosis.origins import not_finite
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.nn import Layer
from tinygrad_edu.nn.borrowing import left_as_it_is

__all__ = ["NonFiniteError", "explain_nonfinite"]

_SMALLER_STEPS = (
    "smaller steps, as with a tenth of the learning rate or te.optim.clip_grad_norm; "
    "inputs scaled to about -1..1."
)
_LOG = (
    "this is the logarithm of 0, or of a negative number. Of a softmax or sigmoid, let "
    "the loss take the logits: te.nn.softmax_cross_entropy, "
    "te.nn.binary_cross_entropy_with_logits. Else write te.log(te.maximum(x, 1e-12))."
)
_EXP = (
    "this is the exponential of a large number. te.softmax, te.logsumexp and "
    "te.softplus are right for any."
)
_DIVIDE = "this divides by 0 or nearly so. Keep the divisor away from 0."
_SLOPE = (
    "at 0 the slope is infinite, and below there is no value. Add a small number: "
    "te.sqrt(x + 1e-12)."
)

#: What usually helps, by the operation that is the first to give nan or infinity.
_HELP = {
    **dict.fromkeys(("log", "log2", "log10", "log1p"), _LOG),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), _EXP),
    **dict.fromkeys(("divide", "reciprocal"), _DIVIDE),
    **dict.fromkeys(("sqrt", "power"), _SLOPE),
}


class NonFiniteError(FloatingPointError):
    """Training came to a nan or an infinity.

    Attributes
    ----------
    history : History
        Of the epochs before.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Linear(1, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=1e200)
    >>> with np.errstate(all="ignore"):
    ...     try:
    ...         te.fit(model, np.ones((4, 1)), np.zeros((4, 1)), loss=te.nn.mse_loss,
    ...                optimizer=optimizer, epochs=9, progress=False)
    ...     except te.training.NonFiniteError as error:
    ...         print(len(error.history.epochs) < 9)
    True
    """

    history: Any


# ------------------------------------------------------------- what is not finite


def watched(parameters: list[Tensor]) -> list[Tensor]:
    """Return those whose gradients are looked at in each step.

    A nan on the way back reaches every bias that it passes. To look at the weights,
    too, took 7 us of a step of 170 (784-64-10, float32, batch 64), at biases 1 us.
    """
    usable = [p for p in parameters if p.dtype in (np.float32, np.float64)]
    return [p for p in usable if p.ndim == 1] or usable


def gradient_not_finite(named: Iterable[tuple[str, Tensor]]) -> str:
    """Say which gradient is not finite; empty if all are."""
    for name, p in named:
        value = first_not_finite(p._grad)
        if value is not None:
            return f"the gradient of {name} is {value}"
    return ""


def parameter_not_finite(named: Iterable[tuple[str, Tensor]]) -> tuple[str, str]:
    """Say which parameter is not finite, and why; empty if all are."""
    for name, p in named:
        value = first_not_finite(p._numbers) if p._tracked else None
        if value is None:
            continue
        told = "Its gradient is finite: the step was too large"
        if first_not_finite(p._grad) is not None:
            told = "Its gradient in the last step is not finite"
        return f"the parameter {name} is {value}", (
            f"{told}.\nWhat usually helps: a smaller learning rate, or "
            "te.optim.clip_grad_norm in te.training.BeforeStep."
        )
    return "", ""


# ------------------------------------------------------------- where it came from


def explain_nonfinite(
    model: Callable[..., Any], loss: Callable[..., Any], batch_X: Any, batch_y: Any
) -> str:
    """Say where the nan or infinity of a training step came from first.

    Parameters
    ----------
    model : Layer or callable
    loss : callable
        Takes the model's output and ``batch_y``.
    batch_X : array_like, or tuple of array_like, shape (rows, ...)
        The inputs of the step; a tuple for a model that takes several.
    batch_y : array_like, shape (rows, ...)

    Returns
    -------
    str
        The data or parameter that held it already; or else the first operation, with
        its layer, whose result is not finite, or to whose inputs it hands a gradient
        that is not; and what usually helps.

    Notes
    -----
    The step runs again in the mode in which the model is, up to the gradients.
    Parameters, their ``.grad``, buffers and random generators are afterwards what they
    were.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(2, 1, rng=0), te.nn.ReLU())
    >>> def loss(output, y):
    ...     return -te.mean(y * te.log(output))
    >>> print(explain_nonfinite(model, loss, np.array([[0.0, 0.0]]), np.ones((1, 1))))
    The loss is infinite.
    It begins at t3 (log): 1 of 1 entries of its result are not finite, though all
    that goes in is. For instance, of 0 it is -inf.
    What usually helps: this is the logarithm of 0, or of a negative number. Of a
    softmax or sigmoid, let the loss take the logits: te.nn.softmax_cross_entropy,
    te.nn.binary_cross_entropy_with_logits. Else write te.log(te.maximum(x, 1e-12)).
    """
    try:
        with np.errstate(all="ignore"), left_as_it_is(model):
            inputs = batch_X if isinstance(batch_X, tuple) else (batch_X,)
            result = loss(model(*inputs), batch_y)
            return _explained(model, result, batch_X, batch_y)
    except Exception as error:  # the training has ended, and its reason must be told
        kind = type(error).__name__
        return text(f"The step could not be run again: {kind}: {error}")


def _explained(model: Any, result: Any, X: Any, y: Any) -> str:
    held = [*_in_data(X, y), *_in_parameters(model)]
    if not isinstance(result, Tensor) or result.op is None:
        told = f"The loss, {np.asarray(result)}, does not depend on any parameter."
        return text(told, *held)
    result.name = result.name or "loss"  # t8 would say nothing: it was never drawn
    graph = Graph(result)
    found = None
    if not unwalkable(graph):
        graph.walk()
        found = not_finite(graph, graph.reached)
    if found is None:
        told = (
            "Run again on the same batch, the loss and all gradients are finite: it "
            "depends on random numbers, or the optimizer's step is what overflows."
        )
        return text(told, *held, f"What usually helps: {_SMALLER_STEPS}")
    helps = _SMALLER_STEPS
    if found.at is not None and all(map(is_finite, found.at.inputs)):
        helps = _HELP.get(found.at.op.name, _SMALLER_STEPS)
        if found.cause == "nan-branch":
            helps = ""  # it has been told
    elif any(told.startswith(("X", "y")) for told in held):
        helps = "leave such rows out, or fill in what is missing."
    helps = f"What usually helps: {helps}" * bool(helps)
    return text(*graph.summed, *found.told, *held, helps)


def _in_data(X: Any, y: Any) -> Iterator[str]:
    """Say where data hold nan or infinity."""
    for called, array in arrays_not_finite(X, y):
        wrong = ~np.isfinite(array)
        first = tuple(map(int, np.argwhere(wrong)[0]))
        yield (
            f"{called}, the data of the batch, holds {array[first]} at "
            f"{list(first)}, and is not finite in {share(wrong)}."
        )


def _in_parameters(model: Any) -> Iterator[str]:
    named = model.named_parameters() if isinstance(model, Layer) else []
    wrong = [name for name, p in named if not is_finite(p)]
    if wrong:
        yield (
            "Parameters hold nan or infinity already, from an earlier step: "
            f"{some(wrong)}."
        )
