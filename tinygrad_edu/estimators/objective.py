"""What an estimator makes small: a loss by weight, and a penalty for large weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu import nn, ops
from tinygrad_edu.engine.core import Tensor

__all__ = ["Objective"]


class Objective:
    """The loss of a batch: the mean over its rows, by weight, and the penalty.

    Parameters
    ----------
    loss : callable
        ``loss(output, y)``, a mean over rows; for batches with weights, also
        ``loss(output, y, reduction="none")``.
    factor : float
        Of the loss, dimensionless.
    alpha : float
        Of the penalty, alpha/2 ‖w‖² / rows, over parameters with two axes or more.
    model : Layer
        Whose parameters these are.
    """

    def __init__(
        self, loss: Callable[..., Any], factor: float, alpha: float, model: nn.Layer
    ) -> None:
        self.loss, self.factor, self.alpha = loss, factor, alpha
        self.penalized = [
            p for p in model.parameters() if alpha and p.requires_grad and p.ndim > 1
        ]

    def __call__(self, output: Any, y: Any) -> Any:
        if isinstance(y, tuple):
            y, weights = y
            count = weights.sum()
            loss = ops.sum(self._of_rows(output, y) * weights) / count
        else:
            count = len(y)
            loss = self.loss(output, y)
        if not isinstance(output, Tensor):  # it is measured, not learned from
            return loss * self.factor
        if not (isinstance(loss, Tensor) and loss.size == 1):
            shape = f" of shape {loss.shape}" if isinstance(loss, Tensor) else ""
            raise TypeError(
                "loss= must return a Tensor of a single number, computed from the "
                "outputs by te's or NumPy's functions, got "
                f"{type(loss).__name__}{shape}"
            )
        if self.factor != 1:
            loss = loss * self.factor
        for p in self.penalized:
            loss = loss + (0.5 * self.alpha / count) * ops.sum(p * p)
        return loss

    def _of_rows(self, output: Any, y: Any) -> Any:
        """Return a loss for each row."""
        losses = self.loss(output, y, reduction="none")
        shape = getattr(losses, "shape", ())
        if shape[:1] != (len(y),):
            raise ValueError(
                "loss= must return a loss for each row with reduction='none': of "
                f"{len(y)} rows it made a result of shape {shape}"
            )
        if len(shape) == 1:
            return losses
        return ops.mean(losses, axis=tuple(range(1, len(shape))))
