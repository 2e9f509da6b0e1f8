"""How operations, their rules and losses are written in a program to be read.

Each is one line of NumPy. In braces stand an argument of the operation, its result
``out``, the upstream gradient ``g``, or a number: ``n`` rows or entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.engine.core import Tensor

__all__ = ["DRAWN", "FORMULAS", "HELPERS", "LOSSES", "Formula", "Loss"]


@dataclass(frozen=True)
class Formula:
    """How one operation is written.

    Attributes
    ----------
    forward : str or callable
        A text, or a function of the node that returns one.
    rules : dict of str to (str or callable)
        For each argument, its gradient.
    fits : callable
        Whether it holds for a node.
    """

    forward: Any
    rules: Mapping[str, Any] = field(default_factory=dict)
    fits: Callable[[Any], bool] = lambda node: True


@dataclass(frozen=True)
class Loss:
    """How a loss of a network's output z and labels Y is written: value and gradient.

    Attributes
    ----------
    lines : tuple of (str, str)
        A name and its formula, before the gradient; L is the loss.
    gradient : str
        By the output.
    labels : callable
        Draws labels for an output, with a generator.
    after : str or None
        The operation that the output must come from; then z is its argument, and the
        gradient is by that.
    """

    lines: tuple[tuple[str, str], ...]
    gradient: str
    labels: Callable[[Any, Any], Any]
    after: str | None = None


#: Small functions that a reader knows.
HELPERS = {
    "sigmoid": (
        "def sigmoid(z):\n"
        "    e = np.exp(-np.abs(z))\n"
        "    return np.where(z >= 0, 1, e) / (1 + e)\n"
    ),
    "log_softmax": (
        "def log_softmax(z):\n"
        "    z = z - z.max(axis=-1, keepdims=True)\n"
        "    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))\n"
    ),
    "softmax": (
        "def softmax(z):\n"
        "    e = np.exp(z - z.max(axis=-1, keepdims=True))\n"
        "    return e / e.sum(axis=-1, keepdims=True)\n"
    ),
    "onehot": "def onehot(y, classes):\n    return np.eye(classes)[y]\n",
}


def _are_matrices(node: Any) -> bool:
    return all(np.ndim(x) == 2 for x in node.inputs[:2])


def _has_fixed_exponent(node: Any) -> bool:
    return type(node.inputs[1]) is not Tensor and np.ndim(node.inputs[1]) == 0


def _linear(node: Any) -> str:
    return "{x} @ {weight}.T" + " + {bias}" * (node.inputs[2] is not None)


def _along(node: Any) -> str:
    """Return the arguments of a reduction: ``axis=1, keepdims=True``."""
    axis, keepdims = node.kwargs["axis"], node.kwargs["keepdims"]
    parts = [f"axis={axis}"] * (axis is not None) + ["keepdims=True"] * bool(keepdims)
    return ", ".join(parts)


def _spread(node: Any) -> str:
    """Return the gradient of a sum: the same for all that was added up."""
    axis, shape = node.kwargs["axis"], node.inputs[0].shape
    g = "{g}"
    if axis is not None and not node.kwargs["keepdims"]:
        g = f"np.expand_dims({{g}}, {axis})"
    return f"np.broadcast_to({g}, {shape})"


def _count(node: Any) -> int:
    return int(node.inputs[0].size // max(node.size, 1))


def _is_last(node: Any) -> bool:
    return bool(node.kwargs.get("axis", -1) in (-1, node.ndim - 1))


_BY_ONE: Callable[[Any], bool] = lambda node: node.kwargs.get("axes") is None  # noqa: E731

FORMULAS: dict[str, Formula] = {
    "linear": Formula(
        _linear,
        {"x": "{g} @ {weight}", "weight": "{g}.T @ {x}", "bias": "{g}.sum(axis=0)"},
        _are_matrices,
    ),
    "matmul": Formula(
        "{a} @ {b}", {"a": "{g} @ {b}.T", "b": "{a}.T @ {g}"}, _are_matrices
    ),
    "add": Formula("{a} + {b}", {"a": "{g}", "b": "{g}"}),
    "subtract": Formula("{a} - {b}", {"a": "{g}", "b": "-{g}"}),
    "multiply": Formula("{a} * {b}", {"a": "{g} * {b}", "b": "{g} * {a}"}),
    "divide": Formula("{a} / {b}", {"a": "{g} / {b}", "b": "-{g} * {out} / {b}"}),
    "negative": Formula("-{x}", {"x": "-{g}"}),
    "power": Formula(
        "{a} ** {b}", {"a": "{g} * {b} * {a} ** ({b} - 1)"}, _has_fixed_exponent
    ),
    "square": Formula("{x} ** 2", {"x": "{g} * 2 * {x}"}),
    "sqrt": Formula("np.sqrt({x})", {"x": "{g} / (2 * {out})"}),
    "exp": Formula("np.exp({x})", {"x": "{g} * {out}"}),
    "log": Formula("np.log({x})", {"x": "{g} / {x}"}),
    "sin": Formula("np.sin({x})", {"x": "{g} * np.cos({x})"}),
    "cos": Formula("np.cos({x})", {"x": "-{g} * np.sin({x})"}),
    "tanh": Formula("np.tanh({x})", {"x": "{g} * (1 - {out} ** 2)"}),
    "sigmoid": Formula("sigmoid({x})", {"x": "{g} * {out} * (1 - {out})"}),
    "relu": Formula("np.maximum({x}, 0)", {"x": "{g} * ({x} > 0)"}),
    "softplus": Formula("np.logaddexp(0, {x})", {"x": "{g} * sigmoid({x})"}),
    "silu": Formula(
        "{x} * sigmoid({x})", {"x": "{g} * (sigmoid({x}) * (1 + {x} - {out}))"}
    ),
    "absolute": Formula("np.abs({x})", {"x": "{g} * np.sign({x})"}),
    "softmax": Formula(
        "softmax({x})",
        {"x": "{out} * ({g} - ({g} * {out}).sum(axis=-1, keepdims=True))"},
        _is_last,
    ),
    "log_softmax": Formula(
        "log_softmax({x})",
        {"x": "{g} - np.exp({out}) * {g}.sum(axis=-1, keepdims=True)"},
        _is_last,
    ),
    "sum": Formula(lambda node: f"{{x}}.sum({_along(node)})", {"x": _spread}),
    "mean": Formula(
        lambda node: f"{{x}}.mean({_along(node)})",
        {"x": lambda node: f"{_spread(node)} / {_count(node)}"},
    ),
    "reshape": Formula(
        lambda node: f"{{x}}.reshape({node.shape})",
        {"x": lambda node: f"{{g}}.reshape({node.inputs[0].shape})"},
    ),
    "flatten": Formula(
        lambda node: f"{{x}}.reshape({node.shape})",
        {"x": lambda node: f"{{g}}.reshape({node.inputs[0].shape})"},
    ),
    "transpose": Formula("{x}.T", {"x": "{g}.T"}, _BY_ONE),
}


def _classes(z: Any, rng: Any) -> Any:
    return rng.integers(0, z.shape[-1], z.shape[:-1])


def _onehot(z: Any, rng: Any) -> Any:
    return np.eye(z.shape[-1])[_classes(z, rng)]


def _yes_or_no(z: Any, rng: Any) -> Any:
    return rng.integers(0, 2, z.shape).astype(float)


def _numbers(z: Any, rng: Any) -> Any:
    return rng.standard_normal(z.shape)


#: How the module itself draws them, to check its gradients.
DRAWN: dict[Any, str] = {
    _classes: "rng.integers(0, {classes}, {shape})",
    _onehot: "np.eye({classes})[rng.integers(0, {classes}, {rows})]",
    _yes_or_no: "rng.integers(0, 2, {shape}).astype(float)",
    _numbers: "rng.standard_normal({shape})",
}

_LOGISTIC = "np.mean(np.logaddexp(0, {z}) - {Y} * {z})"

#: By the function; of several the first that fits the labels' axes and the output.
LOSSES: dict[Any, tuple[Loss, ...]] = {
    nn.softmax_cross_entropy: (
        Loss(
            (
                ("P", "softmax({z})"),
                ("L", "-np.mean(log_softmax({z})[np.arange({n}), {Y}])"),
            ),
            "(P - onehot({Y}, {classes})) / {n}",
            _classes,
        ),
        Loss(
            (
                ("P", "softmax({z})"),
                ("L", "-np.sum({Y} * log_softmax({z})) / {n}"),
            ),
            "(P - {Y}) / {n}",
            _onehot,
        ),
    ),
    nn.binary_cross_entropy_with_logits: (
        Loss((("L", _LOGISTIC),), "(sigmoid({z}) - {Y}) / {size}", _yes_or_no),
    ),
    nn.binary_cross_entropy: (
        Loss((("L", _LOGISTIC),), "({out} - {Y}) / {size}", _yes_or_no, "sigmoid"),
    ),
    nn.mse_loss: (
        Loss(
            (("L", "np.mean(({z} - {Y}) ** 2)"),), "2 * ({z} - {Y}) / {size}", _numbers
        ),
    ),
}
