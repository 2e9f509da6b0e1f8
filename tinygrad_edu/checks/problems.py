"""What is checked: a function at given inputs, recorded once, evaluated many times."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Op, Tensor, gradients, tensor
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.randomness import Random
from tinygrad_edu.transforms import pulled

__all__ = ["Problem", "as_called", "has_rules", "is_tracked", "of_operation"]


class Problem:
    """Outputs as a function of leaves, and their gradients by the graph.

    Parameters
    ----------
    record : callable
        Computes the outputs from the leaves, as Tensors.
    leaves : sequence of Tensor
        What the derivatives are taken by; moved in place.
    names : sequence of str
        Of the leaves.
    evaluate : callable, optional
        Computes the outputs as arrays, where that is cheaper than to record.
    """

    def __init__(
        self,
        record: Callable[[], Sequence[Any]],
        leaves: Sequence[Tensor],
        names: Sequence[str],
        evaluate: Callable[[], Sequence[Any]] | None = None,
    ) -> None:
        self.record = record
        self.leaves = list(leaves)
        self.names = list(names)
        self.evaluate = evaluate or (
            lambda: [y.data if isinstance(y, Tensor) else y for y in record()]
        )

    def values(self) -> np.ndarray:
        """Return all outputs in one flat array, which is no view of the leaves."""
        return np.concatenate([np.ravel(y) for y in self.evaluate()])

    def gradients(self, outputs: Sequence[Any], weights: np.ndarray) -> list[Any]:
        """Return the gradients of Σ weights · outputs by each leaf, by the graph."""
        pairs = zip(outputs, _cut(weights, outputs), strict=True)
        used = [(y, w.astype(y.dtype)) for y, w in pairs if is_tracked(y) and np.any(w)]
        found = pulled([y for y, _ in used], [w for _, w in used], self.leaves, False)
        return [np.asarray(g, np.float64) for g in found]

    def rounding(
        self, outputs: Sequence[Any], weights: np.ndarray
    ) -> tuple[float, float]:
        """Return how far rounding may move Σ weights · outputs.

        Every recorded number is off by its rounding, and the gradient by it tells how
        much of that arrives. This sees what the outputs do not show: in (10¹⁰ + x) -
        10¹⁰ all digits but six are lost on the way.

        Returns
        -------
        noise : float
            In the precision in which it was computed.
        least : float
            As if all of it had been computed in float64.
        """
        nodes = [node for node in nodes_of(outputs) if not isinstance(node.data, tuple)]
        noise = reach = 0.0
        for y, w in zip(outputs, _cut(weights, outputs), strict=True):
            reach += float(np.sum(np.abs(w * (y.data if isinstance(y, Tensor) else y))))
            if not is_tracked(y) or not np.any(w):
                continue
            found = gradients(y, nodes, gradient=w.astype(y.dtype)) if nodes else []
            for node, g in zip(nodes, found, strict=True):
                moved = np.abs(np.multiply(g, node.data, dtype=np.float64))
                moved = float(np.sum(moved[np.isfinite(moved)]))
                noise += float(np.finfo(node.dtype).eps) * moved
                reach += moved
        return noise, float(np.finfo(np.float64).eps) * reach

    def differentiated(self, rng: Random) -> Problem:
        """Return the problem whose outputs are the gradients of a random projection.

        Its leaves are these leaves and the weights of the projection.
        """
        weights = [
            tensor(rng.standard_normal(y.shape), requires_grad=True, dtype=y.dtype)
            for y in self.record()
            if is_tracked(y)
        ]

        def first(create_graph: bool) -> list[Any]:
            # From 0 on: the sums are recorded, and their rounding counts as noise, too.
            total: list[Any] = [0.0 for _ in self.leaves]
            tracked = [y for y in self.record() if is_tracked(y)]
            for y, w in zip(tracked, weights, strict=True):
                seed = w if create_graph else w.data
                found = gradients(
                    y, self.leaves, gradient=seed, create_graph=create_graph
                )
                total = [
                    t if _nothing(g) else t + g
                    for t, g in zip(total, found, strict=True)
                ]
            return [
                np.zeros(x.shape, x.dtype) if type(t) is float else t
                for t, x in zip(total, self.leaves, strict=True)
            ]

        names = [f"upstream gradient {i}" for i in range(len(weights))]
        return Problem(
            lambda: first(True),
            [*self.leaves, *weights],
            [*self.names, *names],
            lambda: first(False),
        )


def _nothing(g: Any) -> bool:
    return isinstance(g, Tensor) and not g.requires_grad and not np.any(g.data)


def is_tracked(y: Any) -> bool:
    """Whether it is a Tensor that gradients flow to."""
    return isinstance(y, Tensor) and y.requires_grad


def _cut(flat: np.ndarray, outputs: Sequence[Any]) -> list[np.ndarray]:
    """Cut a flat array into the shapes of ``outputs``."""
    sizes = np.cumsum(
        [np.size(y.data if isinstance(y, Tensor) else y) for y in outputs]
    )
    parts = np.split(flat, sizes[:-1])
    return [p.reshape(np.shape(y)) for p, y in zip(parts, outputs, strict=True)]


def has_rules(op: Op) -> bool:
    """Whether its rules were declared."""
    try:
        iter(op.rules)
    except TypeError:
        return False
    return True


def as_called(op: Op, inputs: Sequence[Any], kwargs: Any) -> list[Any]:
    """Return the positional arguments of a call of ``op`` with ``inputs``.

    Of a variadic operation in NumPy's order it is one sequence: concatenate([a, b]).
    """
    given = list(inputs)
    if op.variadic:
        with contextlib.suppress(Exception):  # as by what an adapter is not made for
            arrays, _ = op.adapter(given, **kwargs)
            if list(map(id, arrays)) == list(map(id, given)):
                return [given]
    return given


def of_operation(
    op: Op,
    inputs: Sequence[Any],
    kwargs: Any,
    positions: Collection[int] | None = None,
) -> Problem:
    """Return the problem of one operation at given inputs, by those with a derivative.

    Parameters
    ----------
    op : Op
    inputs : sequence of ndarray, Tensor or None
    kwargs : mapping
        All of its metadata.
    positions : collection of int, optional
        Of the inputs by which derivatives are taken; all, unless given.
    """
    values = [x.data if isinstance(x, Tensor) else x for x in inputs]
    args: list[Any] = []
    leaves: list[Tensor] = []
    names: list[str] = []
    for i, x in enumerate(values):
        name = op.argument(i)
        real = x is not None and np.asarray(x).dtype.kind == "f"
        real = real and (positions is None or i in positions)
        if real and not isinstance(x, tuple) and name not in op.constant:
            args.append(tensor(x, requires_grad=True, dtype=np.float64))
            leaves.append(args[-1])
            names.append(f"{name}[{i}]" if op.variadic else name)
        else:
            args.append(x)

    def evaluate() -> list[Any]:
        moved = [x.data if isinstance(x, Tensor) else x for x in args]
        y, _ = op.compute(moved, kwargs)
        return list(y) if op.results else [y]

    def record() -> list[Any]:
        y = op.call(*as_called(op, args, kwargs), **kwargs)
        return list(y) if op.results else [y]

    return Problem(record, leaves, names, evaluate)
