"""Gradient descent, with momentum if wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import add, multiply

from tinygrad_edu.optim.optimizer import Call, Group, Optimizer, State

__all__ = ["SGD"]


class SGD(Optimizer):
    """(Stochastic) gradient descent, with momentum if wanted.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train: ``model.parameters()``; or groups, as for :class:`Optimizer`.
    lr : float
        Learning rate, in the parameter's unit per unit of its gradient.
    momentum : float, default 0
        Share of the last step that goes on, 0 to below 1, dimensionless.
    nesterov : bool, default False
        Whether to look ahead along the velocity.
    weight_decay : float, default 0
        λ ≥ 0: as if the loss had the further term λ/2 ‖p‖², in its unit.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or a number is out of range.
    TypeError
        If a parameter is not a leaf Tensor.

    Notes
    -----
    g ← g + λ p; v ← μ v + g; then p ← p - η v, or p ← p - η (g + μ v) with Nesterov's
    look ahead. Momentum is B. T. Polyak's: "Some methods of speeding up the convergence
    of iteration methods", USSR Computational Mathematics and Mathematical Physics 4(5),
    1964. Both forms are those of I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On
    the importance of initialization and momentum in deep learning", ICML 2013, with the
    learning rate taken out of the velocity, as PyTorch does. There the gradient of
    Nesterov's method is that at θ + μ v; what is called p here is that point.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True)
    >>> optimizer = te.optim.SGD([w], lr=0.5)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> float(w)
    0.0

    Two groups, of which one moves slowly:

    >>> b = te.tensor(1.0, requires_grad=True)
    >>> te.optim.SGD([{"params": [w], "lr": 0.01}, {"params": [b]}], lr=0.1)
    SGD(1 parameter, lr=0.01, momentum=0.0, nesterov=False, weight_decay=0.0;
        1 parameter, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
        )

    def check(self, group: Group) -> None:
        """Raise an error for an option that is out of range."""
        self.check_number(group, "momentum", below=1)
        self.check_number(group, "weight_decay")
        if not isinstance(group["nesterov"], bool):
            raise self.error(
                TypeError, f"nesterov must be True or False, got {group['nesterov']!r}"
            )
        if group["nesterov"] and not group["momentum"]:
            raise self.error(ValueError, "nesterov needs a momentum above 0")

    def keeps(self, group: Group) -> tuple[str, ...]:
        """Return ``("velocity",)`` if there is momentum."""
        return ("velocity",) if group["momentum"] else ()

    def _calls(
        self, x: np.ndarray, gradient: np.ndarray, state: State, group: Group
    ) -> list[Call]:
        """Put η v into scratch, or η (g + μ v)."""
        lr, momentum, scratch = group["lr"], group["momentum"], state["scratch"]
        if decay := group["weight_decay"]:
            gradient = gradient + decay * x
        if not momentum:
            return [(multiply, gradient, lr, scratch)]
        v = state["velocity"]
        calls = [(multiply, v, momentum, v), (add, v, gradient, v)]
        if not group["nesterov"]:
            return [*calls, (multiply, v, lr, scratch)]
        return [
            *calls,
            (multiply, v, momentum, scratch),
            (add, scratch, gradient, scratch),
            (multiply, scratch, lr, scratch),
        ]
