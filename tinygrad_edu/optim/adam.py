"""Adam and AdamW: steps from running averages of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import add, divide, multiply, sqrt

from tinygrad_edu.optim.optimizer import Call, Group, Optimizer, State

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam: the running average of the gradient over the root of that of its square.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train: ``model.parameters()``; or groups, as for :class:`Optimizer`.
    lr : float, default 0.001
        Learning rate: about the size of a step, in the parameter's unit.
    betas : pair of float, default (0.9, 0.999)
        Shares of the two running averages that stay at each step, 0 to below 1,
        dimensionless.
    eps : float, default 1e-8
        Added to the divisor, positive, in the gradient's unit.
    weight_decay : float, default 0
        λ ≥ 0: as if the loss had the further term λ/2 ‖p‖², in its unit. It goes
        through the running averages; :class:`AdamW` keeps it out of them.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or a number is out of range.
    TypeError
        If a parameter is not a leaf Tensor.

    Notes
    -----
    g ← g + λ p; m ← β₁ m + (1 - β₁) g; v ← β₂ v + (1 - β₂) g²;
    p ← p - η m̂ / (√v̂ + ε), where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) take out
    that both began with 0, and t counts the parameter's own steps. Source: D. P. Kingma
    and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True)
    >>> optimizer = te.optim.Adam([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()  # the first is of size lr, however large the gradient
    >>> round(float(w), 6)
    2.9
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def check(self, group: Group) -> None:
        """Raise an error for an option that is out of range."""
        betas = group["betas"]
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise self.error(TypeError, f"betas must be a pair, got {betas!r}")
        pair = {"betas[0]": betas[0], "betas[1]": betas[1]}
        for name in pair:
            self.check_number(pair, name, below=1)
        group["betas"] = tuple(pair.values())
        self.check_number(group, "eps", positive=True)
        self.check_number(group, "weight_decay")

    def keeps(self, group: Group) -> tuple[str, ...]:
        """Return ``("first_moment", "second_moment")``, the paper's m and v."""
        return ("first_moment", "second_moment")

    def _calls(
        self, x: np.ndarray, gradient: np.ndarray, state: State, group: Group
    ) -> list[Call]:
        """Put η m̂ / (√v̂ + ε) into scratch."""
        if decay := group["weight_decay"]:
            gradient = gradient + decay * x
        return _from_moments(gradient, state, group)


class AdamW(Adam):
    """Adam with weight decay that goes straight to the parameters.

    Parameters
    ----------
    params, lr, betas, eps
        As for :class:`Adam`.
    weight_decay : float, default 0.01
        λ ≥ 0: every step shrinks the parameter by the share η λ of itself.

    Raises
    ------
    ValueError, TypeError
        As for :class:`Adam`.

    Notes
    -----
    p ← p - η (m̂ / (√v̂ + ε) + λ p), with m̂ and v̂ as in :class:`Adam`, of the gradient
    alone. Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization",
    ICLR 2019, where η here is the product of schedule and step size for both
    terms, as PyTorch has it.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True)
    >>> optimizer = te.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).backward()
    >>> optimizer.step()  # 3 - 0.1 · (1 + 0.5 · 3)
    >>> round(float(w), 6)
    2.75
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _calls(
        self, x: np.ndarray, gradient: np.ndarray, state: State, group: Group
    ) -> list[Call]:
        """Shrink the parameter, and put η m̂ / (√v̂ + ε) into scratch."""
        share = 1 - group["lr"] * group["weight_decay"]
        return [(multiply, x, share, x), *_from_moments(gradient, state, group)]


def _from_moments(gradient: np.ndarray, state: State, group: Group) -> list[Call]:
    """Take the gradient into both moments; put η m̂ / (√v̂ + ε) into scratch."""
    (beta1, beta2), t, s = group["betas"], state["step"] + 1, state["scratch"]
    m, v = state["first_moment"], state["second_moment"]
    # η m̂ / (√v̂ + ε) = η root / (1 - β₁ᵗ) · m / (√v + ε root): one division fewer
    root = math.sqrt(1 - beta2**t)
    return [
        (multiply, gradient, 1 - beta1, s),
        (multiply, m, beta1, m),
        (add, m, s, m),
        (multiply, gradient, gradient, s),
        (multiply, s, 1 - beta2, s),
        (multiply, v, beta2, v),
        (add, v, s, v),
        (sqrt, v, s),
        (add, s, group["eps"] * root, s),
        (divide, m, s, s),
        (multiply, s, group["lr"] * root / (1 - beta1**t), s),
    ]
