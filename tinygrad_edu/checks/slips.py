"""Formulas that are taken for others: what they make of a gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks.causes import Cause

__all__ = ["of_functions", "of_labels"]

_Slip = tuple[np.ndarray, Cause]


def of_functions(
    a: np.ndarray, z: np.ndarray, g: np.ndarray, names: tuple[str, str]
) -> Iterator[_Slip]:
    """Yield g times a derivative that is not that of ``a`` by ``z``, with the cause.

    ``a`` and ``z`` are called ``names``.
    """
    said, by = names
    if not (a.size and np.all(np.isfinite(z))):
        return
    sigmoid = ops.sigmoid(z)
    if np.allclose(a, np.tanh(z), 1e-12):
        what, right = "tanh", "1 - A**2"
        wrong = {
            "1 - A": 1 - a,
            "σ' = σ (1 - σ), that of the sigmoid,": sigmoid * (1 - sigmoid),
            "A (1 - A), that of the sigmoid,": a * (1 - a),
        }
    elif np.allclose(a, sigmoid, 1e-12):
        what, right = "sigmoid", "A (1 - A)"
        wrong = {
            "1 - A**2, that of tanh,": 1 - a * a,
            "1 - tanh(Z)**2, that of tanh,": 1 - np.tanh(z) ** 2,
        }
    else:
        wrong = {}
    for text, slope in wrong.items():
        yield (
            g * slope,
            Cause(
                "wrong-derivative",
                f"{text} was taken for the derivative of the {what} ({said}) by {by}; "
                f"with A = {what}(Z) that is {right}",
            ),
        )
    if z.ndim and any(
        np.allclose(a, ops.softmax(z, axis=axis), 1e-12) for axis in range(z.ndim)
    ):
        text = (
            f"of the softmax ({said}) by {by} only the diagonal is there, A (1 - A): "
            "each output depends on every input, by -A_i A_j"
        )
        yield g * a * (1 - a), Cause("missing-cross-terms", text)


def of_labels(
    z: np.ndarray, g: np.ndarray, constants: Sequence[Any], name: str
) -> Iterator[_Slip]:
    """Yield c P where the gradient by ``z`` is c (P - Y), with P of ``z``, for some Y.

    P is the softmax along an axis or the sigmoid, Y is one of the ``constants``.
    """
    labels = [y for x in constants for y in _as_labels(x, z.shape)]
    if not (labels and z.size and np.all(np.isfinite(z)) and np.any(g)):
        return
    chances = [("the sigmoid", ops.sigmoid(z))]
    chances += [("the softmax", ops.softmax(z, axis=axis)) for axis in range(z.ndim)]
    for what, p in chances:
        for y in labels:
            off = p - y
            size = float(np.vdot(off, off))
            c = float(np.vdot(off, g)) / size if size else 0.0
            if c and np.allclose(g, c * off, 1e-9, 1e-12 * np.max(np.abs(g))):
                text = (
                    f"the labels are not subtracted: dL/d({name}) goes as P - Y, with "
                    f"P {what} of it, and not as P"
                )
                yield c * p, Cause("missing-labels", text)


def _as_labels(x: Any, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield what may be labels of this shape: as they are, or numbers of classes."""
    x = np.asarray(x)
    if x.shape == shape and x.dtype.kind in "fiub":
        yield x.astype(float)
    if x.dtype.kind in "iu" and x.shape == shape[:-1] and shape:
        if np.all((x >= 0) & (x < shape[-1])):
            yield np.eye(shape[-1])[x]
