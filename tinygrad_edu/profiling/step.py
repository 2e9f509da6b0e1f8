"""A step of training under the clock: whole, and operation by operation."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.declaration import NOTHING
from tinygrad_edu.engine.interrupts import undone
from tinygrad_edu.engine.memory import keep_freed_memory
from tinygrad_edu.engine.observation import observe, shares_of
from tinygrad_edu.engine.traversal import leading_to, nodes_of
from tinygrad_edu.nn.borrowing import frozen_among, left_as_it_is
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.profiling.costs import kept_memory, parts_of

__all__ = ["Measured", "Step", "measure"]

_LEAST, _MOST = 3, 200  # rounds

#: Calls a function with arguments and metadata; returns the result and what it cost.
_Meter = Callable[[Any, Sequence[Any], Mapping[str, Any]], tuple[Any, float]]


@dataclass(frozen=True)
class Measured:
    """What was measured, of each operation and of the whole step.

    Times are in seconds, forward and backward; memory is in bytes.
    """

    output: Tensor  # with the graph behind it
    nodes: list[Tensor]  # the operations, oldest first
    times: np.ndarray  # (operations, 2), the shortest of all rounds
    kept: np.ndarray  # (operations,), until backward
    temporary: np.ndarray  # (operations,), at the most, forward or backward
    steps: np.ndarray  # (rounds, 2)
    peak: int  # of a whole step


@dataclass
class Step:
    """What a step of training computes, without the optimiser."""

    model: Layer
    inputs: tuple[Any, ...]  # arrays and Tensors
    targets: Any
    loss: Callable[[Any, Any], Any] | None

    @property
    def layers(self) -> list[Layer]:
        """The model, and the loss, if it is a layer."""
        return [x for x in (self.model, self.loss) if isinstance(x, Layer)]

    def forward(self) -> Tensor:
        """Return the loss, or the sum of all outputs."""
        output = self.model(*self.inputs)
        if self.loss is not None:
            total = self.loss(output, self.targets)
        else:
            parts = [x for x in parts_of(output) if isinstance(x, Tensor)]
            sums = [x.sum() for x in parts if x.requires_grad]
            total = sum(sums[1:], sums[0]) if sums else None
        if not isinstance(total, Tensor) or not total.requires_grad:
            raise ValueError(
                "profile: nothing was recorded: no parameter that requires gradients "
                "leads to the loss. Give the model parameters, unfreeze some, or leave "
                "te.no_grad()"
            )
        if total.size != 1:
            raise ValueError(
                "profile: the loss must return a single number, got a Tensor of shape "
                f"{total.shape}. Take its mean or its sum"
            )
        return total

    def forward_unfrozen(self, frozen: Sequence[Tensor]) -> Tensor:
        """The same, in which operations on frozen parameters are recorded, too."""
        with left_as_it_is(self.model, frozen):
            return self.forward()


def measure(step: Step, seconds: float) -> Measured:
    """Measure a step, and each operation in it, over and over.

    Parameters
    ----------
    step : Step
    seconds : float
        How long to go on, at least.

    Returns
    -------
    Measured
    """
    keep_freed_memory()  # as training does
    with ExitStack() as stack:
        stack.enter_context(np.errstate(all="ignore"))  # nan takes its time, too
        for layer in step.layers:
            stack.enter_context(left_as_it_is(layer))
        output = step.forward()
        trained = _tracked_leaves(output)
        parameters = [p for layer in step.layers for p in layer.parameters()]
        stack.enter_context(_set_aside([*parameters, *trained]))
        frozen = frozen_among(parameters)
        if frozen:
            output = step.forward_unfrozen(frozen)
        nodes = nodes_of([output])
        wanted = leading_to(trained, nodes) if frozen else None

        kept = dict(kept_memory(nodes, _given(step, trained), frozen))
        steps, rounds = _timed(step, nodes, wanted, trained, seconds)
        peak, temporary = _traced(step, nodes, wanted, trained)
        _forward(nodes, _seconds)  # the numbers are there again, for drawings
    overhead = min(_seconds(_nothing, (), {})[1] for _ in range(1000))
    return Measured(
        output,
        nodes,
        np.maximum(np.min(rounds, axis=0) - overhead, 0.0),
        np.array([kept.get(node, 0) for node in nodes]),
        temporary,
        np.array(steps),
        peak,
    )


def _tracked_leaves(output: Tensor) -> list[Tensor]:
    inputs = (x for node in nodes_of([output]) for x in node.inputs)
    leaves = (x for x in inputs if type(x) is Tensor and x.op is None)
    return list(dict.fromkeys(x for x in leaves if x.requires_grad))


def _given(step: Step, trained: Sequence[Tensor]) -> list[Any]:
    """Return all arrays that were there before the step."""
    parts = parts_of([step.inputs, step.targets, *trained])
    return [x.data if isinstance(x, Tensor) else x for x in parts]


def _set_aside(leaves: Sequence[Tensor]) -> undone[None]:
    """Take away every ``.grad``, and put it back."""
    before = map(setattr, leaves, repeat("_grad"), [x._grad for x in leaves])
    return undone(lambda: _forget(leaves), before)


def _forget(leaves: Sequence[Tensor]) -> None:
    for x in leaves:
        x._grad = None


# ------------------------------------------------------------------------ the rounds


def _timed(
    step: Step, nodes: Sequence[Tensor], wanted: Any, leaves: Sequence[Tensor], s: float
) -> tuple[list[Any], list[np.ndarray]]:
    """Return the seconds of each round: of the step, and of the operations."""
    steps: list[Any] = []
    rounds: list[np.ndarray] = []
    start = perf_counter()
    while len(steps) < _LEAST + 1 or (  # the first is to warm up
        len(steps) < _MOST + 1 and perf_counter() - start < s
    ):
        steps.append(_whole(step, leaves))
        rounds.append(_by_operation(nodes, wanted, _seconds))
        if len(steps) == 1:
            start = perf_counter()
    return steps[1:], rounds[1:]


def _traced(
    step: Step, nodes: Sequence[Tensor], wanted: Any, leaves: Sequence[Tensor]
) -> tuple[int, np.ndarray]:
    """Return bytes: the peak of a step, and what each operation needs temporarily."""
    was_on = tracemalloc.is_tracing()
    if not was_on:
        tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        _whole(step, leaves)
        peak = tracemalloc.get_traced_memory()[1] - before
        temporary = _by_operation(nodes, wanted, _bytes).max(axis=1)
    finally:
        if not was_on:
            tracemalloc.stop()
    return peak, temporary.astype(int)


def _whole(step: Step, leaves: Sequence[Tensor]) -> tuple[float, float]:
    """Run a step as it is in training; return the seconds forward and backward."""
    start = perf_counter()
    output = step.forward()
    middle = perf_counter()
    output.backward()
    end = perf_counter()
    _forget(leaves)
    return middle - start, end - middle


# ------------------------------------------------------------- operation by operation


def _by_operation(nodes: Sequence[Tensor], wanted: Any, meter: _Meter) -> np.ndarray:
    """Return what each operation costs, forward and backward: (operations, 2)."""
    ahead = _forward(nodes, meter)
    return np.array([ahead, _backward(nodes, wanted, meter)]).T


def _forward(nodes: Sequence[Tensor], meter: _Meter) -> list[float]:
    """Compute all results anew, from those computed anew before them."""
    costs = []
    for node in nodes:
        values = [x._numbers if type(x) is Tensor else x for x in node.inputs]
        (data, residuals), cost = meter(node.op.compute, (values, node.kwargs), {})
        node._numbers, node._residuals = data, residuals
        costs.append(cost)
    return costs


def _backward(nodes: Sequence[Tensor], wanted: Any, meter: _Meter) -> list[float]:
    """Walk from the last node back, and let go of the results on the way, as a step."""
    costs = dict.fromkeys(nodes, 0.0)

    def metered(node: Tensor, g: Any) -> Any:
        shares, costs[node] = meter(shares_of, (node, g, wanted), {})
        return shares

    def let_go(node: Tensor, *_: Any) -> None:
        node._numbers, node._residuals = None, NOTHING

    observe(nodes[-1], let_go, metered)
    for node in nodes:  # also of those that lead to nothing that is trained
        let_go(node)
    return list(costs.values())


def _seconds(f: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    start = perf_counter()
    result = f(*args, **kwargs)
    return result, perf_counter() - start


def _bytes(f: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What it takes at the most, beside what it returns."""
    tracemalloc.reset_peak()
    result = f(*args, **kwargs)
    now, peak = tracemalloc.get_traced_memory()
    return result, peak - now


def _nothing() -> None:
    pass
