"""The lecture's networks: the hidden layer, ten digits with softmax, a planted bug."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.course.exercises.exercise import (
    Answer,
    Exercise,
    Part,
    hinting,
    shown,
)
from tinygrad_edu.course.exercises.expectations import (
    expect,
    expect_gradient,
    expect_value,
)
from tinygrad_edu.engine.core import Tensor

__all__ = ["EXERCISES"]

_HIDDEN, _DIGITS = "Hidden layers", "Ten digits"
# inputs, hidden units, examples: where no two are equal, shapes tell transpositions;
# where all are, only numbers do.
_SIZES = ((2, 4, 3), (3, 3, 3), (5, 2, 7))


def _generator() -> np.random.Generator:
    return np.random.default_rng(21)


def _one_hot(rng: np.random.Generator, classes: int, m: int) -> Any:
    return np.eye(classes)[:, rng.integers(0, classes, m)]


def _network(
    rng: np.random.Generator, n: int, hidden: int, m: int, outputs: int
) -> dict[str, np.ndarray]:
    """Return a small network and its examples, in columns."""
    Y = rng.integers(0, 2, (1, m)).astype(float)
    return {
        "X": rng.uniform(0.1, 1, (n, m)),
        "Y": Y if outputs == 1 else _one_hot(rng, outputs, m),
        "W1": rng.normal(size=(hidden, n)),
        "b1": rng.normal(size=(hidden, 1)),
        "W2": rng.normal(size=(outputs, hidden)),
        "b2": rng.normal(size=(outputs, 1)),
    }


def _loss_of(X: Any, Y: Any) -> Any:
    """Return the loss of the two-layer network as a function of its parameters."""

    def loss(W1: Any, b1: Any, W2: Any, b2: Any) -> Tensor:
        Z1 = ops.matmul(W1, X) + b1
        A1 = ops.sigmoid(Z1)
        Z2 = ops.matmul(W2, A1) + b2
        A2 = ops.sigmoid(Z2) if len(Y) == 1 else ops.softmax(Z2, axis=0)
        for node, name in ((Z1, "Z1"), (A1, "A1"), (Z2, "Z2"), (A2, "A2")):
            node.name = name
        terms = Y * ops.log(A2)
        if len(Y) == 1:
            terms = terms + (1 - Y) * ops.log(1 - A2)
        found: Tensor = -ops.sum(terms) / Y.shape[1]
        return found

    return loss


def _slips(args: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return the gradients that slips in the hidden layer's own line lead to."""
    X, Y, m = args["X"], args["Y"], args["X"].shape[1]
    A1 = np.asarray(ops.sigmoid(args["W1"] @ X + args["b1"]))
    Z2 = args["W2"] @ A1 + args["b2"]
    A2 = np.asarray(ops.sigmoid(Z2) if len(Y) == 1 else ops.softmax(Z2, axis=0))
    again = np.asarray(ops.sigmoid(A1))
    dZ1 = args["W2"].T @ (A2 - Y) * again * (1 - again) / m
    text = (
        "the slope of the hidden layer's sigmoid was taken at another place than the "
        "one that the forward pass went through"
    )
    return {"W1": {text: dZ1 @ X.T}, "b1": {text: dZ1.sum(axis=1, keepdims=True)}}


def _backward(answer: Answer, part: str, outputs: int) -> None:
    rng = _generator()
    names = ("W1", "b1", "W2", "b2")
    for n, hidden, m in _SIZES:
        args = _network(rng, n, hidden, m, outputs)
        grads = answer.several("backward", args, "dW1, db1, dW2, db2")
        expect_gradient(
            _loss_of(args["X"], args["Y"]),
            {name: args[name] for name in names},
            {part: dict(zip(names, grads, strict=True))[part]},
            slips=_slips(args),
            point=f" ({n} inputs, {hidden} hidden units, {m} examples)",
        )


def _by(part: str, outputs: int) -> Part:
    return Part(f"by {part}", lambda a: _backward(a, part, outputs))


# -------------------------------------------------------------------------- softmax


def _softmax(Z: Any) -> Any:
    powers = np.exp(Z - Z.max(axis=0))
    return powers / powers.sum(axis=0)


def _expect_softmax(answer: Answer, Z: np.ndarray, *, loud: bool = False) -> None:
    came = answer.array("softmax", {"Z": Z}, loud=loud).astype(float)
    slips: dict[str, Any] = {}
    if came.shape == Z.shape:
        if np.allclose(came.sum(axis=1), 1):
            slips["the rows sum to 1; the classes of an example are a column"] = came
        elif np.allclose(came.sum(), 1):
            slips["all numbers together sum to 1; each column has to"] = came
    if not loud:
        slips["the division by the sum is missing"] = np.exp(Z)
        slips["the exponentials are missing"] = Z / Z.sum(axis=0)
        slips["this is the sigmoid of each number by itself"] = ops.sigmoid(Z)
    expect_value(f"softmax(Z) with Z = {shown(Z)}", came, _softmax(Z), slips=slips)


def _one_column(answer: Answer) -> None:
    rng = _generator()
    for classes in (2, 3, 10):
        _expect_softmax(answer, rng.normal(size=(classes, 1)))


def _columns(answer: Answer) -> None:
    rng = _generator()
    for shape in ((2, 3), (3, 3), (10, 6)):
        _expect_softmax(answer, rng.normal(size=shape))


def _large(answer: Answer) -> None:
    rng = _generator()
    with hinting(
        "Adding the same number to all z of an example changes nothing "
        "in the result. Choose it such that no exponential overflows"
    ):
        for top in (1000.0, 1e5):
            _expect_softmax(answer, np.array([[top], [top + 1]]), loud=True)
        _expect_softmax(answer, 1000 + rng.normal(size=(3, 2)), loud=True)


def _far_apart(answer: Answer) -> None:
    with hinting(
        "What is subtracted must be chosen for each example by itself, "
        "and not only where z is large: else all exponentials round to 0"
    ):
        _expect_softmax(answer, np.array([[-1000.0], [-1001.0]]), loud=True)
        _expect_softmax(answer, np.array([[1000.0, -1000.0], [1001.0, -1001.0]]))


# ------------------------------------------------------------ softmax cross-entropy


def _cross_entropy(Z: Any, Y: Any) -> Any:
    top = Z.max(axis=0)
    return float(np.mean(np.log(np.exp(Z - top).sum(axis=0)) + top - (Z * Y).sum(0)))


def _expect_cross_entropy(
    answer: Answer, Z: Any, Y: Any, *, loud: bool = False
) -> None:
    classes, m = Z.shape
    right = _cross_entropy(Z, Y)
    slips = {
        "the sign is wrong: the logarithm of a probability is negative": -right,
        f"the mean over {m} examples is meant, not over all entries": right / classes,
    }
    sizes = {m: "the number of examples"} if m > 1 else {}
    args = {"Z": Z, "Y": Y}
    expect(answer, "loss", args, right, slips=slips, sizes=sizes, loud=loud)


def _losses(answer: Answer) -> None:
    rng = _generator()
    for classes, m in ((2, 1), (3, 1), (3, 2), (10, 7)):
        Z = rng.normal(size=(classes, m))
        _expect_cross_entropy(answer, Z, _one_hot(rng, classes, m))


def _loss_of_large(answer: Answer) -> None:
    Y = np.array([[1.0], [0.0]])
    with hinting(
        "A probability may round to 0, and its logarithm is lost. Take "
        "the logarithm of the softmax on paper first, and simplify"
    ):
        for a, b in ((900.0, 0.0), (0.0, 900.0), (-900.0, -901.0)):
            _expect_cross_entropy(answer, np.array([[a], [b]]), Y, loud=True)


def _gradient(answer: Answer, counts: tuple[int, ...]) -> None:
    rng = _generator()
    for m in counts:
        for classes in (2, 3, 10):
            Z, Y = rng.normal(size=(classes, m)), _one_hot(rng, classes, m)
            came = answer.array("gradient", {"Z": Z, "Y": Y})

            def loss(Z: Any, Y: Any = Y) -> Tensor:
                A = ops.softmax(Z, axis=0)
                A.name = "A"
                found: Tensor = -ops.sum(Y * ops.log(A)) / Y.shape[1]
                return found

            slips = {
                "only the probability of the right class was differentiated": (
                    (_softmax(Z) - 1) * Y / m
                ),
                "the label is missing: the right class has to be pulled up": (
                    _softmax(Z) / m
                ),
                f"a division by {m}, the number of examples, is missing": (
                    _softmax(Z) - Y
                ),
            }
            point = f" ({classes} classes, {m} example{'s' if m > 1 else ''})"
            expect_gradient(
                loss, {"Z": Z}, {"Z": came}, slips={"Z": slips}, point=point
            )


EXERCISES = (
    Exercise(
        "hidden_layer",
        "the hidden layer's backward pass",
        _HIDDEN,
        tuple(_by(name, 1) for name in ("W2", "b2", "W1", "b1")),
    ),
    Exercise(
        "softmax",
        "the softmax, stable at any input",
        _DIGITS,
        (
            Part("one example", _one_column),
            Part("several examples, in columns", _columns),
            Part("large numbers, without overflow", _large),
            Part("very negative numbers, without 0 / 0", _far_apart),
        ),
    ),
    Exercise(
        "softmax_cross_entropy",
        "derive the gradient of softmax and cross-entropy",
        _DIGITS,
        (
            Part("the loss", _losses),
            Part("the gradient of one example", lambda a: _gradient(a, (1,))),
            Part("the gradient of several", lambda a: _gradient(a, (2, 5))),
            Part("the loss of numbers of any size", _loss_of_large),
        ),
    ),
    Exercise(
        "planted_bug",
        "find what is wrong in a backward pass of the ten-digit network",
        _DIGITS,
        tuple(_by(name, 10) for name in ("W2", "b2", "W1", "b1")),
    ),
)
