"""Optimisers: from gradients to new parameters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinygrad_edu.core import Tensor

__all__ = ["SGD"]


class SGD:
    """(Stochastic) gradient descent, with momentum if wanted.

    Parameters
    ----------
    params : iterable of Tensor
        What to train: ``model.parameters()``.
    lr : float
        Learning rate, in the parameter's unit per unit of its gradient.
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
    v ← μ v + g, then p ← p - η v. Source: I. Sutskever, J. Martens, G. Dahl and
    G. Hinton, "On the importance of initialization and momentum in deep learning", ICML
    2013, with the learning rate taken out of the velocity, as PyTorch does.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True)
    >>> optimizer = te.optim.SGD([w], lr=0.5)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> float(w)
    0.0
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, momentum: float = 0.0):
        if isinstance(params, Tensor):
            raise TypeError(
                "SGD: params must be a list of Tensors, got one; write [tensor]"
            )
        self.params = list(params)
        if not self.params:
            raise ValueError("SGD: no parameters; pass model.parameters()")
        for position, p in enumerate(self.params):
            if not isinstance(p, Tensor) or not p.is_leaf:
                what = "a computed one" if isinstance(p, Tensor) else type(p).__name__
                raise TypeError(
                    f"SGD: parameter {position} must be a leaf Tensor, got {what}"
                )
        if len(set(self.params)) < len(self.params):
            raise ValueError("SGD: a parameter is listed twice")
        if not (np.isfinite(lr) and lr > 0):
            raise ValueError(f"SGD: lr must be positive, got {lr}")
        if not 0 <= momentum < 1:
            raise ValueError(
                f"SGD: momentum must lie in 0 <= momentum < 1, got {momentum}"
            )
        self.lr = lr
        self.momentum = momentum
        self._velocity: dict[Tensor, np.ndarray] = {}
        # Buffers that stay: of fresh ones the C library hands the memory back, which
        # took 100 us of a step of 450 (784-64-10, batch 64).
        self._scaled = [np.empty_like(p.data) for p in self.params]

    def step(self) -> None:
        """Move every parameter that has a gradient against it."""
        lr, momentum = self.lr, self.momentum
        for p, scaled in zip(self.params, self._scaled, strict=True):
            step = p._grad  # of a leaf; the attribute asks first whether it is one
            if step is None:
                continue
            if momentum:
                velocity = self._velocity.get(p)
                if velocity is None:
                    velocity = self._velocity[p] = np.zeros_like(step)
                velocity *= momentum
                velocity += step
                step = velocity
            p.data -= np.multiply(step, lr, out=scaled)

    def zero_grad(self) -> None:
        """Forget the gradient of every parameter."""
        for p in self.params:
            p._grad = None
