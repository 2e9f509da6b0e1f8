"""RMSProp: every parameter's step is measured by its recent gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import add, divide, multiply, sqrt

from tinygrad_edu.optim.optimizer import Call, Group, Optimizer, State

__all__ = ["RMSProp"]


class RMSProp(Optimizer):
    """Gradients divided by a running average of their recent magnitude.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train: ``model.parameters()``; or groups, as for :class:`Optimizer`.
    lr : float, default 0.01
        Learning rate: about the size of a step, in the parameter's unit.
    alpha : float, default 0.99
        Share of the running average that stays at each step, 0 to below 1,
        dimensionless.
    eps : float, default 1e-8
        Added to the divisor, positive, in the gradient's unit.
    weight_decay : float, default 0
        λ ≥ 0: as if the loss had the further term λ/2 ‖p‖², in its unit.
    momentum : float, default 0
        Share of the last step that goes on, 0 to below 1, dimensionless.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or a number is out of range.
    TypeError
        If a parameter is not a leaf Tensor.

    Notes
    -----
    g ← g + λ p; s ← α s + (1 - α) g²; v ← μ v + g / (√s + ε); p ← p - η v. Source:
    T. Tieleman and G. Hinton, "Lecture 6.5, rmsprop: divide the gradient by a running
    average of its recent magnitude", Neural networks for machine learning, Coursera,
    2012. The lecture has α = 0.9 and neither ε nor μ; these, the order of arguments and
    their defaults are PyTorch's.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True)
    >>> optimizer = te.optim.RMSProp([w], lr=0.1, alpha=0.75)
    >>> (w * w).backward()
    >>> optimizer.step()  # the gradient is 6, its running average √(6² / 4)
    >>> round(float(w), 6)
    2.8
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
        )

    def check(self, group: Group) -> None:
        """Raise an error for an option that is out of range."""
        self.check_number(group, "alpha", below=1)
        self.check_number(group, "eps", positive=True)
        self.check_number(group, "weight_decay")
        self.check_number(group, "momentum", below=1)

    def keeps(self, group: Group) -> tuple[str, ...]:
        """Return ``("mean_square",)``, and ``"velocity"`` if there is momentum."""
        return ("mean_square", "velocity") if group["momentum"] else ("mean_square",)

    def _calls(
        self, x: np.ndarray, gradient: np.ndarray, state: State, group: Group
    ) -> list[Call]:
        """Put η v into scratch."""
        alpha, scratch, s = group["alpha"], state["scratch"], state["mean_square"]
        if decay := group["weight_decay"]:
            gradient = gradient + decay * x
        calls = [
            (multiply, gradient, gradient, scratch),
            (multiply, scratch, 1 - alpha, scratch),
            (multiply, s, alpha, s),
            (add, s, scratch, s),
            (sqrt, s, scratch),
            (add, scratch, group["eps"], scratch),
            (divide, gradient, scratch, scratch),
        ]
        v = scratch
        if momentum := group["momentum"]:
            v = state["velocity"]
            calls += [(multiply, v, momentum, v), (add, v, scratch, v)]
        return [*calls, (multiply, v, group["lr"], scratch)]
