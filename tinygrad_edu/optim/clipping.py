"""Clipping: gradients kept from growing too large, between backward and step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.optim.options import number

__all__ = ["clip_grad_norm", "clip_grad_value"]


def clip_grad_value(parameters: Iterable[Any], value: float) -> None:
    """Bring every entry of every gradient into -value..value, in place.

    Parameters
    ----------
    parameters : iterable of Tensor
        ``model.parameters()``. Those without gradient, and frozen ones, are left out.
    value : float
        The bound, positive, in the gradients' unit.

    Raises
    ------
    ValueError
        If the bound is not positive, or a gradient holds nan; then none is changed.
        Infinity is brought to the bound.
    TypeError
        If a parameter is not a Tensor.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([3.0, 0.1], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> te.optim.clip_grad_value([w], 1.0)
    >>> w.grad
    array([1. , 0.2])
    """
    value = number("clip_grad_value", "value", value, positive=True)
    found = _gradients("clip_grad_value", parameters)
    for name, g in found:
        if np.isnan(g).any():
            raise ValueError(f"clip_grad_value: the gradient of {name} holds nan")
    for _, g in found:
        np.clip(g, -value, value, out=g)


def clip_grad_norm(parameters: Iterable[Any], max_norm: float) -> float:
    """Shrink all gradients by one factor, so that their norm is at most ``max_norm``.

    Parameters
    ----------
    parameters : iterable of Tensor
        ``model.parameters()``. Those without gradient, and frozen ones, are left out.
    max_norm : float
        The bound, positive, in the gradients' unit; infinity only measures.

    Returns
    -------
    float
        The Euclidean norm of all gradients together, as it was before, in their unit.

    Raises
    ------
    ValueError
        If the bound is not positive, or a gradient holds nan or infinity, of which no
        direction is left; then none is changed.
    TypeError
        If a parameter is not a Tensor.

    Notes
    -----
    g ← g · max_norm / ‖g‖ if ‖g‖ > max_norm, with ‖g‖² = Σ gᵢ² over all parameters. It
    is computed from g / max|gᵢ|, whose squares do not overflow. Source: R. Pascanu,
    T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([3.0, 4.0], requires_grad=True)
    >>> (0.5 * w * w).sum().backward()
    >>> te.optim.clip_grad_norm([w], 1.0)
    5.0
    >>> w.grad
    array([0.6, 0.8])
    """
    if max_norm != math.inf:
        max_norm = number("clip_grad_norm", "max_norm", max_norm, positive=True)
    found = _gradients("clip_grad_norm", parameters)
    largest = 0.0
    for name, g in found:
        entry = np.max(np.abs(g), initial=0).item()
        if not math.isfinite(entry):
            raise ValueError(f"clip_grad_norm: the gradient of {name} holds {entry}")
        largest = max(largest, entry)
    if largest == 0:
        return 0.0
    # in units of the largest entry
    norm = math.sqrt(
        sum(np.sum(np.square(g / largest), dtype=float).item() for _, g in found)
    )
    if largest * norm > max_norm:
        for _, g in found:
            g /= largest  # two steps: the one factor may be too small for its type
            g *= max_norm / norm
    return largest * norm


def _gradients(who: str, parameters: Iterable[Any]) -> list[tuple[str, np.ndarray]]:
    """Return the gradients that a step would use, each once, with a name for errors."""
    if isinstance(parameters, Tensor):
        raise TypeError(f"{who}: expected a list of Tensors, got one; write [tensor]")
    listed = list(parameters)
    for i, p in enumerate(listed):
        if not isinstance(p, Tensor):
            kind = type(p).__name__
            raise TypeError(f"{who}: parameter {i} must be a Tensor, got {kind}")
    return [
        (f"parameter {i}" if p.name is None else f"parameter {i}, {p.name!r},", p.grad)
        for i, p in enumerate(dict.fromkeys(listed))
        if p.requires_grad and p.grad is not None
    ]
