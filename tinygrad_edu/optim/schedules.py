"""Schedules: learning rates that change from step to step.

A schedule is a function of the number of steps made so far, 0 at first, that returns
the share of the learning rate to use: ``StepDecay(30)``, or any function of one's own.
:class:`Schedule` applies one to an optimiser. So each can be printed, plotted and
checked without an optimiser, they compose as functions do, and the learning rates of
groups keep their ratios.

:class:`CosineAnnealing` and :class:`OneCycle` have an end. Their number of steps may be
left out: then they last as long as the ``te.fit`` whose callback the schedule is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import index
from typing import Any

from tinygrad_edu.engine.interrupts import at_once
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.options import count, number

__all__ = [
    "CosineAnnealing",
    "ExponentialDecay",
    "LinearWarmup",
    "OneCycle",
    "Schedule",
    "StepDecay",
]


_rate = partial(number, "Schedule", "initial_lr")


class Schedule:
    """Sets the learning rates of an optimiser, step by step.

    Parameters
    ----------
    optimizer : Optimizer
        The learning rate that each of its groups has now is the one that ``factor``
        is a share of. It is set for the first step at once.
    factor : callable
        Takes the number of steps made so far, 0 at first, and returns a number that is
        not negative: the share, dimensionless. If its number of steps was left out,
        :meth:`begin` sets it.

    Attributes
    ----------
    t : int
        Steps made so far.
    is_open : bool
        Whether ``factor`` was given without its number of steps.

    Raises
    ------
    TypeError
        If the optimiser or the function is none, or returns no number.
    ValueError
        If the function returns a number that is negative or not finite, or is asked for
        one without its number of steps.

    Notes
    -----
    An optimiser has one schedule; to have two, multiply or chain their functions. A
    "step" is what the caller makes one: a mini-batch or an epoch.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> from tinygrad_edu.optim.schedules import Schedule, StepDecay
    >>> w = te.tensor(3.0, requires_grad=True)
    >>> optimizer = te.optim.SGD([w], lr=0.5)
    >>> schedule = Schedule(optimizer, StepDecay(2, gamma=0.1))
    >>> for _ in range(4):
    ...     optimizer.zero_grad()
    ...     (w * w).backward()
    ...     optimizer.step()
    ...     print(optimizer.lr)
    ...     schedule.step()
    0.5
    0.5
    0.05
    0.05
    >>> schedule.length, schedule.state_dict()
    (inf, {'t': 4, 'initial_lr': [0.5]})
    >>> schedule.load_state_dict({"t": 0, "initial_lr": [0.5]})
    >>> optimizer.lr
    0.5
    """

    def __init__(self, optimizer: Any, factor: Any) -> None:
        if not isinstance(optimizer, Optimizer):
            kind = type(optimizer).__name__
            raise TypeError(f"Schedule: optimizer must be an optimiser, got {kind}")
        if not callable(factor):
            kind = type(factor).__name__
            raise TypeError(f"Schedule: factor must be a function, got {kind}")
        self.optimizer = optimizer
        self.factor = factor
        self.t = 0
        self.initial_lr = [group["lr"] for group in optimizer.param_groups]
        self.is_open = _length(factor) is None
        if not self.is_open:
            self._set(0, self.initial_lr)

    @property
    def length(self) -> float | None:
        """How many steps there are to the end; infinity if there is none.

        None if it was left out, and :meth:`begin` has not set it.
        """
        return _length(self.factor)

    def begin(self, steps: int) -> None:
        """Begin with the first of so many steps, if their number was left out.

        ``te.fit`` does so for its callbacks. Learning rates are shares of those that
        the optimiser had when the schedule was made.

        Parameters
        ----------
        steps : int
            Positive.

        Raises
        ------
        ValueError
            If nothing is left of them after a warm-up.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> optimizer = te.optim.SGD([te.tensor(3.0, requires_grad=True)], lr=1.0)
        >>> schedule = Schedule(optimizer, CosineAnnealing())
        >>> schedule.begin(4)
        >>> schedule.factor
        CosineAnnealing(steps=4, minimum=0.0)
        """
        if self.is_open:
            factor = _lasting(self.factor, count("Schedule", "steps", steps))
            self._set(0, self.initial_lr, factor)

    def step(self) -> None:
        """Set the learning rates of the next step, after ``optimizer.step()``."""
        self._set(self.t + 1, self.initial_lr)

    def _set(self, t: int, initial_lr: list[float], factor: Any = None) -> None:
        """Take over a step and what it makes of the learning rates, all at once."""
        factor = self.factor if factor is None else factor
        share = number("Schedule", f"factor({t})", factor(t))
        own = {"t": t, "initial_lr": initial_lr, "factor": factor}
        groups = self.optimizer.param_groups
        rates = [{"lr": lr * share} for _, lr in zip(groups, initial_lr, strict=True)]
        at_once(map(dict.update, [vars(self), *groups], [own, *rates]))

    def state_dict(self) -> dict[str, Any]:
        """Return the steps made so far and the learning rates at first, for JSON.

        And the number of steps, if :meth:`begin` has set it.
        """
        state = {"t": self.t, "initial_lr": list(self.initial_lr)}
        return state | ({"steps": self.length} if self.is_open and self.length else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called, and set the learning rates.

        Parameters
        ----------
        state : mapping
            As :meth:`state_dict` returns it.

        Raises
        ------
        ValueError
            If the state is of another form. Then nothing is changed.
        """
        factor = self.factor
        try:
            t, rates = index(state["t"]), list(map(_rate, state["initial_lr"]))
            if self.is_open and "steps" in state:
                factor = _lasting(factor, count("Schedule", "steps", state["steps"]))
        except (KeyError, TypeError, ValueError):
            t, rates = -1, []
        if t < 0 or len(rates) != len(self.initial_lr):
            raise ValueError(
                "Schedule.load_state_dict: expected t, a count, and initial_lr, a list "
                f"of {len(self.initial_lr)} learning rates, got {state!r}"
            )
        self._set(t, rates, factor)

    def __repr__(self) -> str:
        return f"Schedule({self.factor!r}, t={self.t}, initial_lr={self.initial_lr})"


@dataclass(frozen=True)
class StepDecay:
    """γ^⌊t / step_size⌋: a fall by the factor γ every ``step_size`` steps.

    Parameters
    ----------
    step_size : int
        In steps, positive.
    gamma : float, default 0.1
        γ ≥ 0, dimensionless.

    Examples
    --------
    >>> [StepDecay(2, gamma=0.5)(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        count("StepDecay", "step_size", self.step_size)
        number("StepDecay", "gamma", self.gamma)

    def __call__(self, t: int) -> float:
        return float(self.gamma ** (t // self.step_size))


@dataclass(frozen=True)
class ExponentialDecay:
    """γᵗ: a fall by the factor γ at every step.

    Parameters
    ----------
    gamma : float
        γ ≥ 0, dimensionless.

    Examples
    --------
    >>> [ExponentialDecay(0.5)(t) for t in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    gamma: float

    def __post_init__(self) -> None:
        number("ExponentialDecay", "gamma", self.gamma)

    def __call__(self, t: int) -> float:
        return float(self.gamma**t)


@dataclass(frozen=True)
class CosineAnnealing:
    """From 1 to a minimum along half a cosine; then it stays there.

    Parameters
    ----------
    steps : int, optional
        How long the fall takes, positive. Without it, as long as the ``te.fit`` whose
        callback the :class:`Schedule` is: in epochs, or in batches if it is wrapped in
        ``te.training.EveryBatch``.
    minimum : float, default 0
        Where it ends: a share of the learning rate, 0 to 1.

    Notes
    -----
    min + (1 - min) (1 + cos(π t / steps)) / 2. Source: I. Loshchilov and F. Hutter,
    "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, for one
    run without restarts.

    Examples
    --------
    >>> [round(CosineAnnealing(4)(t), 3) for t in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    steps: int | None = None
    minimum: float = 0.0

    def __post_init__(self) -> None:
        if self.steps is not None:
            count("CosineAnnealing", "steps", self.steps)
        number("CosineAnnealing", "minimum", self.minimum, below=1)

    def __call__(self, t: int) -> float:
        if self.steps is None:
            raise _without_length(self, "steps")
        return _cosine(1, self.minimum, min(t / self.steps, 1))


@dataclass(frozen=True)
class LinearWarmup:
    """In equal steps up to 1; then 1, or what another schedule says.

    Parameters
    ----------
    steps : int
        How long the rise takes, positive. The first of them uses the share 1 / steps,
        the last 1.
    then : callable, optional
        The schedule that follows, and begins with its step 0. If its number of steps
        was left out, it gets what this one leaves.

    Notes
    -----
    (t + 1) / steps while t < steps, then ``then(t - steps)``. Source: P. Goyal et al.,
    "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677,
    2017: gradual warm-up.

    Examples
    --------
    >>> warm = LinearWarmup(4, then=ExponentialDecay(0.5))
    >>> [warm(t) for t in range(7)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.25]
    """

    steps: int
    then: Callable[[int], float] | None = None

    def __post_init__(self) -> None:
        count("LinearWarmup", "steps", self.steps)
        if self.then is not None and not callable(self.then):
            raise TypeError(f"LinearWarmup: then must be a function, got {self.then!r}")

    def __call__(self, t: int) -> float:
        if t < self.steps:
            return (t + 1) / self.steps
        return 1.0 if self.then is None else self.then(t - self.steps)


@dataclass(frozen=True)
class OneCycle:
    """Up to 1 and down again, far below the start, each along half a cosine.

    Parameters
    ----------
    total_steps : int, optional
        How long all of it takes, positive. Without it, as long as the ``te.fit`` whose
        callback the :class:`Schedule` is: in epochs, or in batches if it is wrapped in
        ``te.training.EveryBatch``.
    pct_start : float, default 0.3
        Share of the steps in which it rises, 0 to 1.
    div_factor : float, default 25
        It starts at 1 / div_factor, positive, dimensionless.
    final_div_factor : float, default 1e4
        It ends at 1 / (div_factor · final_div_factor), positive, and stays there;
        dimensionless.

    Notes
    -----
    With the peak at r = pct_start · total_steps - 1: from the start to 1 while t < r,
    by (1 - cos(π t / r)) / 2 of the way, then to the end, which it reaches at the last
    step. Source: L. N. Smith and N. Topin, "Super-convergence: very fast training of
    neural networks using large learning rates", arXiv:1708.07120, 2017; two phases, the
    cosine and the defaults are PyTorch's, whose ``max_lr`` is here the learning rate
    that the optimiser was made with. Momentum stays as it is.

    Examples
    --------
    >>> cycle = OneCycle(10, pct_start=0.5, div_factor=10, final_div_factor=10)
    >>> [round(cycle(t), 3) for t in (0, 2, 4, 9, 10)]
    [0.1, 0.55, 1.0, 0.01, 0.01]

    Over a training of 2 epochs of 5 batches, without a word about their number:

    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Linear(2, 1, rng=0)
    >>> optimizer = te.optim.Adam(model.parameters(), lr=0.1)
    >>> schedule = Schedule(optimizer, OneCycle())
    >>> history = te.fit(
    ...     model, np.ones((10, 2)), np.ones((10, 1)), loss=te.nn.mse_loss,
    ...     optimizer=optimizer, epochs=2, batch_size=2, progress=False,
    ...     callbacks=[te.training.EveryBatch(schedule)],
    ... )
    >>> schedule.length
    10
    """

    total_steps: int | None = None
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        if self.total_steps is not None:
            count("OneCycle", "total_steps", self.total_steps)
        number("OneCycle", "pct_start", self.pct_start, below=1)
        for name in ("div_factor", "final_div_factor"):
            number("OneCycle", name, getattr(self, name), positive=True)

    def __call__(self, t: int) -> float:
        if self.total_steps is None:
            raise _without_length(self, "total_steps")
        start = 1 / self.div_factor
        peak, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if t < peak:
            return _cosine(start, 1, t / peak)
        share = 1.0 if t >= last else (t - peak) / (last - peak)
        return _cosine(1, start / self.final_div_factor, share)


def _cosine(start: float, end: float, share: float) -> float:
    """Go a share of the way from ``start`` to ``end``, along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


# --------------------------------------------------------------- how long it lasts


def _length(factor: Any) -> float | None:
    """Return the steps to the end: infinity without one, None if left out."""
    if isinstance(factor, LinearWarmup):
        rest = _length(factor.then)
        return None if rest is None else factor.steps + rest
    if isinstance(factor, CosineAnnealing):
        return factor.steps
    return factor.total_steps if isinstance(factor, OneCycle) else math.inf


def _lasting(factor: Any, steps: int) -> Any:
    """Return a factor whose number of steps was left out with this one."""
    if isinstance(factor, LinearWarmup):
        if steps <= factor.steps:
            raise ValueError(
                f"Schedule: of {steps} steps, a warm-up of {factor.steps} leaves none "
                f"for {type(factor.then).__name__}"
            )
        return replace(factor, then=_lasting(factor.then, steps - factor.steps))
    name = "steps" if isinstance(factor, CosineAnnealing) else "total_steps"
    return replace(factor, **{name: steps})


def _without_length(factor: Any, name: str) -> ValueError:
    kind = type(factor).__name__
    return ValueError(
        f"{kind}: without {name} it lasts as long as the te.fit whose callback its "
        f"Schedule is; elsewhere write {kind}({name}=...)"
    )
