"""nudge: move one entry of a parameter a little, and see what the loss does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np

from tinygrad_edu.checks.leaving import left_as_found
from tinygrad_edu.engine.core import Tensor, gradients

__all__ = ["Nudge", "nudge"]


@dataclass(frozen=True, slots=True)
class Nudge:
    """What :func:`tinygrad_edu.nudge` found; print it.

    Attributes
    ----------
    gradient : float
        The derivative of the loss by the entry, in the loss's unit by the entry's.
    eps : float
        How far the entry was moved, in its own unit; of a coarse dtype the step that it
        could take.
    predicted : float
        gradient x eps, in the loss's unit.
    measured : float
        The loss after the step, less the loss before, in the loss's unit.
    entry : str
        Which one it is: ``"w[0, 1]"``.
    reason : str
        Why the two differ, or that they do not.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([3.0, 5.0], requires_grad=True, name="w")
    >>> found = te.nudge(lambda: te.sum(w * w), w, 0, eps=0.01)
    >>> found.entry, found.gradient, round(found.measured, 6)
    ('w[0]', 6.0, 0.0601)
    >>> round(found.relative_difference, 4)
    0.0017
    """

    gradient: float
    eps: float
    predicted: float
    measured: float
    entry: str
    reason: str

    @property
    def relative_difference(self) -> float:
        """The difference divided by the larger of the two; dimensionless."""
        largest = max(abs(self.predicted), abs(self.measured))
        return abs(self.measured - self.predicted) / largest if largest else 0.0

    def __str__(self) -> str:
        return (
            f"{self.entry} moved by {self.eps:.6g}, gradient {self.gradient:.6g}\n"
            f"  predicted, gradient x eps     {self.predicted: .6g}\n"
            f"  measured change of the loss   {self.measured: .6g}\n"
            f"  relative difference           {self.relative_difference: .2g}\n"
            f"{fill(self.reason, 80)}"
        )

    __repr__ = __str__


def nudge(
    loss_fn: Callable[[], Tensor],
    parameter: Tensor,
    index: int | tuple[int, ...] = (),
    eps: float = 1e-3,
) -> Nudge:
    """Compare what a gradient predicts with what the loss does.

    Parameters
    ----------
    loss_fn : callable
        Is called without arguments, several times, and computes the loss anew: a single
        number, as a Tensor.
    parameter : Tensor
        A leaf that ``loss_fn`` uses, of any shape. One entry of it is moved, and put
        back.
    index : int or tuple of int, default ()
        Which entry; () for a single number.
    eps : float, default 1e-3
        How far to move it, in its own unit.

    Returns
    -------
    Nudge

    Raises
    ------
    TypeError
        If ``parameter`` is no Tensor, or the loss none.
    ValueError
        If ``parameter`` is no leaf that requires gradients, ``index`` names no single
        entry, ``eps`` is 0 or too small, or ``loss_fn`` gives no single number, or
        different ones for the same parameter.
    IndexError
        If ``index`` lies outside of the parameter.

    Notes
    -----
    L(w + ε) - L(w) = L'(w) ε + L''(w) ε² / 2 + ...: the gradient predicts the first
    term. The rest is the gap, and a quarter as large for half of ε. Buffers, modes and
    random generators of the layers that ``loss_fn`` holds are left as they were.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([3.0, 5.0], requires_grad=True, name="w")
    >>> te.nudge(lambda: te.sum(w * w), w, 0, eps=0.01)
    w[0] moved by 0.01, gradient 6
      predicted, gradient x eps      0.06
      measured change of the loss    0.0601
      relative difference            0.0017
    They differ because the loss is curved: half of eps leaves a quarter of the gap.
    """
    entry = _entry(parameter, index)
    with left_as_found(loss_fn):
        return _nudged(loss_fn, parameter, index, eps, entry)


def _nudged(
    loss_fn: Callable[[], Tensor], parameter: Tensor, index: Any, eps: float, entry: str
) -> Nudge:
    before = parameter._numbers
    step = _step(before, index, eps)

    def loss_at(moved: float) -> float:
        parameter._numbers = np.array(before)
        parameter._numbers[index] += moved
        try:
            with np.errstate(all="ignore"):  # it is not the caller's step
                return float(_loss(loss_fn()).item())
        finally:
            parameter._numbers = before

    loss = _loss(loss_fn())
    start = float(loss.item())
    (gradient,) = gradients(loss, [parameter])
    slope = float(gradient[index])
    if not math.isclose(again := loss_at(0.0), start, rel_tol=1e-12):
        if not math.isnan(start):
            raise ValueError(
                f"nudge: loss_fn is random: two calls give {start:.6g} and "
                f"{again:.6g}, so a difference means nothing. Seed a generator inside, "
                "or call model.eval()"
            )
    changes = [loss_at(step / part) - start for part in (1, 2, 4, -1)]
    noise = 8 * float(np.finfo(loss.dtype).eps) * max(abs(start), abs(changes[0]))
    reason = _reason(slope * step, slope, step, changes, noise)
    return Nudge(slope, step, slope * step, changes[0], entry, reason)


def _entry(x: Any, index: Any) -> str:
    """Return what the entry is called, if the parameter has it."""
    if not isinstance(x, Tensor):
        raise TypeError(f"nudge: parameter must be a Tensor, got {type(x).__name__}")
    if not x.is_leaf:
        raise ValueError(
            f"nudge: parameter was computed by {x.op.name}, and loss_fn would compute "
            "it again. Nudge a leaf, made by te.tensor(..., requires_grad=True)"
        )
    if not x.requires_grad:
        hint = ", which integers cannot" if x.dtype.kind != "f" else ""
        raise ValueError(
            f"nudge: parameter of dtype {x.dtype} must require gradients{hint}"
        )
    numbers = index if isinstance(index, tuple) else (index,)
    if len(numbers) != x.ndim or not all(
        isinstance(i, int | np.integer) and not isinstance(i, bool) for i in numbers
    ):
        raise ValueError(
            f"nudge: index must name one entry of shape {x.shape}, by {x.ndim} "
            f"{'integer' if x.ndim == 1 else 'integers'}; got {index!r}"
        )
    for i, size in zip(numbers, x.shape, strict=True):
        if not -size <= i < size:
            raise IndexError(f"nudge: index {index!r} lies outside of shape {x.shape}")
    place = f"[{', '.join(str(int(i)) for i in numbers)}]" if numbers else ""
    return f"{x.name or 'parameter'}{place}"


def _step(data: np.ndarray, index: Any, eps: float) -> float:
    """Return the step that an entry can take."""
    if not math.isfinite(eps) or eps == 0:
        raise ValueError(
            f"nudge: eps must be a finite number other than 0, got {eps!r}"
        )
    value = data[index]
    step = float(data.dtype.type(value + eps)) - float(value)
    if step == 0:
        raise ValueError(
            f"nudge: eps={eps:g} is too small: {value} + eps is {value} again in "
            f"{data.dtype}"
        )
    return float(eps) if math.isclose(step, eps, rel_tol=1e-9) else step


def _loss(y: Any) -> Tensor:
    if not isinstance(y, Tensor):
        raise TypeError(
            f"nudge: loss_fn must return a Tensor, got {type(y).__name__}; float(), "
            ".data and .item() leave the graph"
        )
    if y.size != 1:
        raise ValueError(
            f"nudge: loss_fn must return a single number, got shape {y.shape}. Sum it"
        )
    return y


def _reason(
    predicted: float, slope: float, step: float, changes: list[float], noise: float
) -> str:
    """Say why the measured changes are not what the slope predicts.

    ``changes`` are those for the step, half of it, a quarter, and the step back.
    """
    if not all(map(math.isfinite, [slope, *changes[:3]])):
        return (
            "The loss or its gradient is nan or infinite: te.explain(loss) says where."
        )
    whole, half, quarter = (
        change - slope * step / part
        for change, part in zip(changes, (1, 2, 4), strict=False)
    )
    if abs(whole) <= noise:
        if predicted and max(abs(predicted), abs(changes[0])) <= noise:
            return "The change is lost in rounding: take a larger eps."
        return "They agree, as far as rounding lets one see."
    first, second = half / whole, quarter / half if abs(half) > noise else 0.0
    if 0.2 <= first <= 0.3 and (0.2 <= second <= 0.3 or abs(whole) <= 160 * noise):
        return (
            "They differ because the loss is curved: half of eps leaves a quarter of "
            "the gap."
        )
    if 0.02 <= first <= 0.2 and 0.02 <= second <= 0.2:
        return (
            "They differ because the loss is curved: half of eps leaves "
            f"{first:.2g} of the gap."
        )
    if 0.45 <= first <= 0.55 and 0.4 <= second <= 0.6:
        if not abs(changes[0] + changes[3]) <= 0.1 * abs(whole):  # nan: no way back
            return (
                "They differ because the loss has a kink at this very point: its slope "
                "is another one before it than after it."
            )
        return (
            "They differ by a part that no smaller eps takes away: the gradient is "
            "wrong, or part of the loss left the graph. te.explain(parameter, loss) "
            "and te.gradcheck say more."
        )
    return (
        "They differ because between the two points the loss has a kink or a jump, or "
        "bends very strongly: take a smaller eps."
    )
