"""The solver "lbfgs": SciPy's L-BFGS-B, on all parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from tinygrad_edu import nn, training
from tinygrad_edu.engine.memory import keep_freed_memory
from tinygrad_edu.nn.borrowing import in_training_mode

__all__ = ["minimized"]


def minimized(
    model: nn.Layer,
    X: np.ndarray,
    y: Any,
    objective: Callable[[Any, Any], Any],
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
) -> tuple[training.History, str]:
    """Bring the parameters of a model to a minimum, with all rows at once.

    Parameters
    ----------
    model : Layer
    X : ndarray, shape (n, ...)
    y : Any
        What the objective takes besides the output.
    objective : callable
        Returns a Tensor of a single number.
    max_iter, max_fun : int
        Iterations, and computations of the objective, at most.
    tol : float
        How small the largest entry of the gradient must be.

    Returns
    -------
    history : History
        The loss after each iteration; ``stopped`` is SciPy's word.
    open_end : str
        Why this is not the minimum; empty if it is.

    Raises
    ------
    ValueError
        If it came to a nan or infinity.
    """
    keep_freed_memory()
    parameters = [p for p in model.parameters() if p.requires_grad]
    ends = np.cumsum([p.size for p in parameters])
    history = training.History()

    def assign(vector: np.ndarray) -> None:
        for p, part in zip(parameters, np.split(vector, ends[:-1]), strict=True):
            p.data = part.reshape(p.shape)

    def loss_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
        assign(vector)
        for p in parameters:
            p.zero_grad()
        loss = objective(model(X), y)
        loss.backward()
        gradients = [0 * p.data if p.grad is None else p.grad for p in parameters]
        return loss.item(), _joined(gradients)

    def note(intermediate_result: OptimizeResult) -> None:
        loss = float(intermediate_result.fun)
        history.append(len(history.epochs) + 1, {"loss": loss})

    with in_training_mode(model):
        result = minimize(
            loss_and_gradient,
            _joined([p.data for p in parameters]),
            jac=True,
            method="L-BFGS-B",
            callback=note,
            options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
        )
    assign(result.x)
    if not np.isfinite(result.x).all() or not math.isfinite(result.fun):
        raise ValueError(
            "lbfgs came to weights or a loss that are not finite. X may hold large "
            "numbers: scale it first"
        )
    if not history.epochs:  # it has been at a minimum already
        history.append(1, {"loss": float(result.fun)})
    history.stopped = str(result.message)
    return history, history.stopped if result.status else ""


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    """Return all numbers in one vector, as SciPy wants them."""
    return np.concatenate([array.ravel() for array in arrays], dtype=np.float64)
