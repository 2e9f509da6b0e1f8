"""What is checked: a function at given inputs, recorded once, evaluated many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import Op, Tensor, gradients, tensor
from tinygrad_edu.randomness import Random

__all__ = ["Problem", "of_operation"]


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
        total = [np.zeros(x.shape) for x in self.leaves]
        for y, w in zip(outputs, _cut(weights, outputs), strict=True):
            if isinstance(y, Tensor) and y.requires_grad and np.any(w):
                w = w.astype(y.dtype)
                for t, g in zip(
                    total, gradients(y, self.leaves, gradient=w), strict=True
                ):
                    t += g
        return total

    def differentiated(self, rng: Random) -> Problem:
        """Return the problem whose outputs are the gradients of a random projection.

        Its leaves are these leaves and the weights of the projection.
        """
        weights = [
            tensor(rng.standard_normal(y.shape), requires_grad=True, dtype=y.dtype)
            for y in self.record()
            if isinstance(y, Tensor) and y.requires_grad
        ]

        def first(create_graph: bool) -> list[Any]:
            total: list[Any] = [0.0 for _ in self.leaves]
            outputs = [y for y in self.record() if isinstance(y, Tensor)]
            tracked = [y for y in outputs if y.requires_grad]
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


def _cut(flat: np.ndarray, outputs: Sequence[Any]) -> list[np.ndarray]:
    """Cut a flat array into the shapes of ``outputs``."""
    sizes = np.cumsum(
        [np.size(y.data if isinstance(y, Tensor) else y) for y in outputs]
    )
    parts = np.split(flat, sizes[:-1])
    return [p.reshape(np.shape(y)) for p, y in zip(parts, outputs, strict=True)]


def of_operation(op: Op, inputs: Sequence[Any], kwargs: Any) -> Problem:
    """Return the problem of one operation at given inputs, by those with a derivative.

    Parameters
    ----------
    op : Op
    inputs : sequence of ndarray, Tensor or None
    kwargs : mapping
        All of its metadata.
    """
    values = [x.data if isinstance(x, Tensor) else x for x in inputs]
    args: list[Any] = []
    leaves: list[Tensor] = []
    names: list[str] = []
    for i, x in enumerate(values):
        name = op.argument(i)
        real = x is not None and np.asarray(x).dtype.kind == "f"
        if real and not isinstance(x, tuple) and name not in op.constant:
            args.append(tensor(x, requires_grad=True, dtype=np.float64))
            leaves.append(args[-1])
            names.append(f"{name}[{i}]" if op.variadic else name)
        else:
            args.append(x)

    def evaluate() -> list[Any]:
        moved = [x.data if isinstance(x, Tensor) else x for x in args]
        y = op.forward(*moved, **kwargs)
        y = y[0] if op.residuals else y
        return list(y) if op.results else [y]

    def record() -> list[Any]:
        y = op.call(args, **kwargs) if op.variadic else op.call(*args, **kwargs)
        return list(y) if op.results else [y]

    return Problem(record, leaves, names, evaluate)
