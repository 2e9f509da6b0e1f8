"""Losses: composites of operations, with no rules of their own.

``softmax_cross_entropy`` is the operation itself, whose labels say all it needs. Each
is the mean over the rows unless ``reduction`` says otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.core import Tensor
from tinygrad_edu.ops import softmax_cross_entropy

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "mse_loss",
    "softmax_cross_entropy",
]


def _paired(name: str, predictions: Any, targets: Any) -> tuple[Any, Any]:
    """Return both as arrays or Tensors; refuse shapes that would broadcast silently."""
    a = predictions if isinstance(predictions, Tensor) else np.asarray(predictions)
    b = targets if isinstance(targets, Tensor) else np.asarray(targets)
    if a.shape != b.shape:
        hint = ""
        if a.size == b.size:
            hint = f". Write targets.reshape{a.shape} if they stand for the same rows"
        raise ValueError(
            f"{name}: predictions have shape {a.shape}, targets {b.shape}{hint}"
        )
    if a.size == 0:
        raise ValueError(f"{name}: no entries in predictions of shape {a.shape}")
    return a, b


def _reduced(loss: Any, reduction: str) -> Any:
    if reduction == "mean":
        return ops.mean(loss)
    if reduction == "sum":
        return ops.sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f"reduction must be mean, sum or none, got {reduction!r}")


def mse_loss(predictions: Any, targets: Any, *, reduction: str = "mean") -> Any:
    """Mean squared error.

    Parameters
    ----------
    predictions, targets : Tensor or array_like
        Of equal shapes.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        In the square of the targets' unit.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast.

    Notes
    -----
    mean (ŷ - y)²; its derivative is 2 (ŷ - y) / n.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.mse_loss([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    predictions, targets = _paired("mse_loss", predictions, targets)
    difference = predictions - targets
    return _reduced(difference * difference, reduction)


def binary_cross_entropy(
    probabilities: Any, targets: Any, *, reduction: str = "mean"
) -> Any:
    """Cross-entropy between targets and probabilities of a yes.

    Parameters
    ----------
    probabilities : Tensor or array_like
        Between 0 and 1. Where there are logits, use
        :func:`binary_cross_entropy_with_logits`: it loses nothing at either end.
    targets : Tensor or array_like
        0 or 1, or a probability; of the same shape.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        In nats. Each logarithm is at least -100 (-87 in float32, that of its smallest
        normal number), so that a certain wrong answer costs 100 instead of infinity.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast, or a probability lies
        outside 0..1.

    Notes
    -----
    -mean (y log p + (1 - y) log(1 - p)); dL/dp = (p - y) / (p (1 - p)) / n. The bound
    of -100 is PyTorch's: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.binary_cross_entropy([0.5], [1.0]))
    0.6931471805599453
    """
    p, y = _paired("binary_cross_entropy", probabilities, targets)
    if not np.all((p >= 0) & (p <= 1)) and not np.any(np.isnan(p)):
        raise ValueError(
            "binary_cross_entropy: probabilities must lie between 0 and 1; for logits "
            "use binary_cross_entropy_with_logits"
        )
    loss = y * _bounded_log(p) + (1 - y) * _bounded_log(1 - p)
    return _reduced(-loss, reduction)


def _bounded_log(p: Any) -> Any:
    """Return log p, but -100 where p is smaller than e⁻¹⁰⁰, 0 included.

    In float32 the bound is higher: 1 / e⁻¹⁰⁰, in the derivative, would overflow.
    """
    least = max(math.exp(-100), float(np.finfo(np.result_type(p.dtype, 0.0)).tiny))
    return ops.log(ops.maximum(p, least))


def binary_cross_entropy_with_logits(
    logits: Any, targets: Any, *, reduction: str = "mean"
) -> Any:
    """Cross-entropy between targets and the sigmoid of ``logits``.

    Parameters
    ----------
    logits : Tensor or array_like
    targets : Tensor or array_like
        0 or 1, or a probability; of the same shape.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        In nats; finite and right for any finite logits.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast.

    Notes
    -----
    mean (y softplus(-z) + (1 - y) softplus(z)); dL/dz = (σ(z) - y) / n.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.binary_cross_entropy_with_logits([-1e4], [1.0]))
    10000.0
    """
    z, y = _paired("binary_cross_entropy_with_logits", logits, targets)
    return _reduced(y * ops.softplus(-z) + (1 - y) * ops.softplus(z), reduction)
