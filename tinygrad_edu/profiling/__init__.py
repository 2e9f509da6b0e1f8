"""What a step of training costs: time and memory, by layer and by operation.

``step`` runs the model and its recorded operations with a clock, ``report`` holds what
came of it; ``costs`` counts by shapes alone, and ``summary`` makes the table of a model
of that. Nothing here is hooked into the engine, which is as fast as ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.names import line
from tinygrad_edu.nn.layer import VIEWS, Layer
from tinygrad_edu.profiling.report import Cost, Profile
from tinygrad_edu.profiling.step import Step, measure
from tinygrad_edu.profiling.summary import summary_of

__all__ = ["Cost", "Profile", "profile"]

VIEWS["summary"] = summary_of


def profile(
    model: Layer,
    X: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    seconds: float = 1.0,
) -> Profile:
    """Measure where the time and the memory of a step of training go.

    Parameters
    ----------
    model : Layer
        Runs in the mode in which it is, and is afterwards what it was: so are
        parameters, their ``.grad``, buffers and the random generators of layers.
    X : array_like, shape (n, ...), or tuple of them
        One batch, of the size that you train with: small arrays cost their calls,
        large ones the arithmetic. A tuple holds the inputs of a model with several.
    y : array_like, shape (n, ...), or tuple of them, optional
        The labels or targets; then ``loss`` is needed, too.
    loss : callable, optional
        ``loss(output, y)`` returns a Tensor of a single number. Without it, what is
        walked back from is the sum of all that the model returns.
    seconds : float, default 1.0
        For how long to repeat the step, in seconds; 3 times at the least, 200 times at
        the most. Two runs to warm up and two for the memory come on top.

    Returns
    -------
    Profile
        To be printed. ``.layers`` and ``.operations`` are its rows, ``.draw()`` and
        ``.plot()`` its pictures.

    Raises
    ------
    TypeError
        If the model is no layer, or the loss not callable.
    ValueError
        If one of ``y`` and ``loss`` is missing; if nothing was recorded, as no
        parameter requires gradients; if the loss is no single number.

    Notes
    -----
    In each round, a step is timed whole (forward with the loss, then backward), as
    training runs it but for the optimiser. Then the operations that it recorded are
    computed anew, one by one in their order, and their rules backward, each with a
    clock around it: the array functions alone, on memory that is taken and freed in
    the same order as in a step. Every time is the shortest of all rounds: what else the
    computer does makes it longer, and a whole step more often than a short operation.

    What the step takes on top stands in a row of its own, "outside operations": the
    engine (recording, walking, adding up gradients), the Python of the layers, and all
    that NumPy computes unrecorded, such as the masks of dropout, or from X before the
    first parameter comes in. As a difference of two measurements it may be negative.

    A clock reads about 0.1 microseconds of its own, which are subtracted; a single
    operation is not known better than to that. Bytes are counted on a run of their
    own, by ``tracemalloc``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(64, 32, rng=0), te.nn.Tanh())
    >>> X, y = np.ones((100, 64)), np.zeros((100, 32))
    >>> found = te.profile(model, X, y, loss=te.nn.mse_loss, seconds=0.1)
    >>> sorted(cost.name for cost in found.layers)
    ['0 Linear', '1 Tanh', 'loss']
    >>> kept = {cost.name: cost.kept for cost in found.layers}
    >>> kept["0 Linear"]  # bytes: 100 x 32 numbers of 8
    25600
    """
    inputs = tuple(map(_array, X if type(X) is tuple else (X,)))
    targets = tuple(map(_array, y)) if type(y) is tuple else _array(y)
    _check(model, y, loss, seconds)
    step = Step(model, inputs, targets, loss)
    return Profile(_title(model, inputs, loss), measure(step, seconds))


def _array(x: Any) -> Any:
    return x if x is None or isinstance(x, Tensor) else np.asarray(x)


def _check(model: Any, y: Any, loss: Any, seconds: Any) -> None:
    if not isinstance(model, Layer):
        raise TypeError(
            f"profile: model must be a Layer, got {type(model).__name__}. Write "
            "te.profile(model, X, y, loss=...)"
        )
    if loss is None and y is not None:
        raise ValueError(
            "profile: y came without a loss; pass loss=te.nn.mse_loss, or whatever "
            "compares the output with y"
        )
    if loss is not None and y is None:
        raise ValueError(
            "profile: loss came without y; pass te.profile(model, X, y, loss=...), or "
            "leave both out"
        )
    if loss is not None and not callable(loss):
        raise TypeError(
            f"profile: loss must be callable, got {type(loss).__name__}. Pass the "
            "function itself, such as te.nn.mse_loss"
        )
    if not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
        raise ValueError(
            f"profile: seconds must be positive and finite, got {seconds!r}"
        )


def _title(model: Layer, inputs: tuple[Any, ...], loss: Any) -> str:
    shapes = ", ".join(f"{x.shape} {x.dtype}" for x in inputs)
    name = line(getattr(loss, "__name__", type(loss).__name__))
    end = "the sum" if loss is None else name
    return f"{line(type(model).__name__)} on {shapes}, with {end} as the loss"
