"""The lecture's first chapters: one neuron, its loss, its gradient, its training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import data, ops
from tinygrad_edu.course.exercises.exercise import (
    Answer,
    Exercise,
    Part,
    Wrong,
    hinting,
    real,
)
from tinygrad_edu.course.exercises.expectations import (
    expect,
    expect_gradient,
    expect_value,
)
from tinygrad_edu.engine.core import Tensor

__all__ = ["EXERCISES"]

_NEURON, _LOSS = "A single neuron", "The loss"
_CHAIN_RULE, _TRAINING = "The chain rule", "Training"


def _sigmoid(z: Any) -> Any:
    return ops.sigmoid(np.asarray(z, float))


def _generator() -> np.random.Generator:
    return np.random.default_rng(20)


# --------------------------------------------------------------------------- neuron


def _one_neuron(answer: Answer, x: Any, w: Any, b: float) -> None:
    slips = {
        "the sigmoid is missing": w @ x + b,
        "the bias is missing": _sigmoid(w @ x),
        "the bias is to be added to the weighted inputs": _sigmoid(w @ x - b),
        "the bias is added once, to the sum": _sigmoid(np.sum(w * x + b)),
        "the products are to be summed": _sigmoid(w * x + b),
        "the exponent has the wrong sign": _sigmoid(-(w @ x + b)),
    }
    expect(answer, "neuron", {"x": x, "w": w, "b": b}, _sigmoid(w @ x + b), slips=slips)


def _two_inputs(answer: Answer) -> None:
    rng = _generator()
    _one_neuron(answer, np.array([2.0, 3.0]), np.array([0.0, 1.0]), 4.0)
    for _ in range(3):
        _one_neuron(answer, rng.normal(size=2), rng.normal(size=2), rng.normal())


def _any_number_of_inputs(answer: Answer) -> None:
    rng = _generator()
    for n in (1, 5, 64):
        _one_neuron(answer, rng.normal(size=n), rng.normal(size=n) / n, rng.normal())


def _many_examples(answer: Answer) -> None:
    rng = _generator()
    for n, m in ((2, 3), (3, 3), (5, 1), (64, 20)):
        X, w, b = rng.normal(size=(n, m)), rng.normal(size=n) / n, rng.normal()
        slips: dict[str, Any] = {
            "the sigmoid is missing": w @ X + b,
            "the bias is missing": _sigmoid(w @ X),
        }
        if n == m:
            slips["the examples stand in the columns of X"] = _sigmoid(X @ w + b)
        args = {"X": X, "w": w, "b": b}
        expect(answer, "neurons", args, _sigmoid(w @ X + b), slips=slips)


# -------------------------------------------------------------------------- sigmoid


def _expect_sigmoid(answer: Answer, z: Any, *, loud: bool = False) -> None:
    z = np.asarray(z, float)
    with np.errstate(all="ignore"):
        slips = {
            "the exponent has the wrong sign": _sigmoid(-z),
            "this is the tangens hyperbolicus, from -1 to 1": np.tanh(z),
            "this is the exponential function": np.exp(z),
        }
    expect(answer, "sigmoid", {"z": z}, _sigmoid(z), slips=slips, rtol=1e-12, loud=loud)


def _moderate(answer: Answer) -> None:
    rng = _generator()
    for z in (0.0, 1.0, -2.5, *rng.uniform(-5, 5, 4)):
        _expect_sigmoid(answer, z)


def _any_shape(answer: Answer) -> None:
    rng = _generator()
    for shape in ((1,), (4,), (2, 3), (2, 1, 3)):
        _expect_sigmoid(answer, rng.uniform(-5, 5, shape))


def _without_overflow(answer: Answer) -> None:
    with hinting(
        "The exponential of a large number overflows. That of a negative "
        "one never does: compute with those only, whatever the sign of z"
    ):
        for z in (-750.0, 750.0, -1e6, 1e6, np.array([-1000.0, 0.0, 1000.0])):
            _expect_sigmoid(answer, z, loud=True)


def _digits_kept(answer: Answer) -> None:
    with hinting(
        "The result is small, and all its digits are asked for. They get "
        "lost where two nearly equal numbers are subtracted, such as 1 - 0.999"
    ):
        for z in (-10.0, -40.0, -300.0, np.array([-50.0, 2.0])):
            _expect_sigmoid(answer, z)


# ------------------------------------------------------------- binary cross-entropy


def _cross_entropy(Y: Any, A: Any) -> Any:
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def _expect_loss(answer: Answer, Y: np.ndarray, A: np.ndarray) -> None:
    m = Y.size
    slips = {
        "the part of the examples with y = 0 is missing": -np.mean(Y * np.log(A)),
        "the part of the examples with y = 1 is missing": -np.mean(
            (1 - Y) * np.log(1 - A)
        ),
        "this is the mean squared error": np.mean((Y - A) ** 2),
        "the natural logarithm is meant": _cross_entropy(Y, A) / np.log(2),
        "a loss for each example; the mean of them is asked for": -(
            Y * np.log(A) + (1 - Y) * np.log(1 - A)
        ),
        "the second part has the wrong sign": -np.mean(
            Y * np.log(A) - (1 - Y) * np.log(1 - A)
        ),
    }
    sizes = {m: "the number of examples"} if m > 1 else {}
    expected = _cross_entropy(Y, A)
    args = {"Y": Y, "A": A}
    expect(answer, "binary_cross_entropy", args, expected, slips=slips, sizes=sizes)


def _one_example(answer: Answer) -> None:
    for y, a in ((1.0, 0.9), (0.0, 0.3), (1.0, 0.02), (0.0, 0.85)):
        _expect_loss(answer, np.array([[y]]), np.array([[a]]))


def _mean_over_examples(answer: Answer) -> None:
    rng = _generator()
    for m in (2, 5, 40):
        Y = (np.arange(m)[None] % 2).astype(float)
        _expect_loss(answer, Y, rng.uniform(0.05, 0.95, (1, m)))


def _expect_loss_of_z(answer: Answer, Y: Any, Z: Any, *, loud: bool = False) -> None:
    expected = np.mean(np.logaddexp(0, Z) - Z * Y)
    slips = {"Z was taken for A": _cross_entropy(Y, Z)} if not loud else {}
    sizes = {Y.size: "the number of examples"} if Y.size > 1 else {}
    args = {"Y": Y, "Z": Z}
    expect(answer, "loss_of_z", args, expected, slips=slips, sizes=sizes, loud=loud)


def _from_z(answer: Answer) -> None:
    rng = _generator()
    for m in (1, 2, 6):
        Y = (np.arange(m)[None] % 2).astype(float)
        _expect_loss_of_z(answer, Y, rng.normal(size=(1, m)))


def _from_any_z(answer: Answer) -> None:
    with hinting(
        "Where the sigmoid rounds to 0 or 1, its logarithm is lost. Put "
        "sigma(z) into the formula and simplify, until no sigmoid is left and "
        "every exponential is of a negative number"
    ):
        for y, z in ((0.0, 40.0), (1.0, -40.0), (1.0, -800.0), (0.0, 800.0)):
            _expect_loss_of_z(answer, np.array([[y]]), np.array([[z]]), loud=True)


# ------------------------------------------------------------- the neuron's gradient


def _slips_in_z(A: Any, Y: Any) -> dict[str, Any]:
    """Return what is taken for dL/dZ of an example, by what to say about it."""
    return {
        "dL/da was carried on as if a were z: the slope of the sigmoid is missing": (
            (A - Y) / (A * (1 - A))
        ),
        "the slope of the sigmoid is there, but dL/da is that of a squared error": (
            (A - Y) * A * (1 - A)
        ),
        "this is the slope of the sigmoid; dL/da is missing": A * (1 - A),
        "the label is missing": A,
        "the label has the wrong sign": A + Y,
        "the difference was taken of z, not of the output a": np.log(A / (1 - A)) - Y,
    }


def _expect_gradients(answer: Answer, part: str, sizes: list[tuple[int, int]]) -> None:
    rng = _generator()
    for n, m in sizes:
        X, Y = rng.uniform(0.1, 1, (n, m)), rng.integers(0, 2, (1, m)).astype(float)
        w, b = rng.normal(size=(n, 1)), rng.normal(size=(1, 1))
        args = {"X": X, "Y": Y, "w": w, "b": b}
        dw, db = answer.several("gradients", args, "dw, db")
        claimed = {"w": dw} if part == "w" else {"b": db}
        slips: dict[str, dict[str, Any]] = {"w": {}, "b": {}}
        for text, dZ in _slips_in_z(_sigmoid(w.T @ X + b), Y).items():
            slips["w"][text] = X @ dZ.T / m
            slips["b"][text] = dZ.mean(axis=1, keepdims=True)

        def loss(w: Any, b: Any, X: Any = X, Y: Any = Y) -> Tensor:
            Z = ops.matmul(w.T, X) + b
            A = ops.sigmoid(Z)
            Z.name, A.name = "Z", "A"
            found: Tensor = -ops.mean(Y * ops.log(A) + (1 - Y) * ops.log(1 - A))
            return found

        point = f" ({n} inputs, {m} example{'s' if m > 1 else ''})"
        inputs = {"w": w, "b": b}
        expect_gradient(loss, inputs, claimed, slips=slips, point=point)


_ONE = [(2, 1), (3, 1)]
_MANY = [(2, 3), (3, 3), (5, 8)]

# ----------------------------------------------------------------- gradient descent


def _descent(
    X: Any, Y: Any, steps: int, rate: float, *, sign: float = 1.0, bias: bool = True
) -> tuple[Any, Any, list[float]]:
    """Return w, b and the losses, one more than there are steps."""
    w, b, losses = np.zeros((len(X), 1)), np.zeros((1, 1)), []
    for step in range(steps + 1):
        Z = w.T @ X + b
        losses.append(float(np.mean(np.logaddexp(0, Z) - Z * Y)))
        if step < steps:
            dZ = (_sigmoid(Z) - Y) / Y.size
            w = w - sign * rate * X @ dZ.T
            b = b - sign * rate * bias * dZ.sum(axis=1, keepdims=True)
    return w, b, losses


def _train(
    answer: Answer, X: Any, Y: Any, steps: int, rate: float
) -> tuple[Any, Any, Any]:
    args = {"X": X, "Y": Y, "steps": steps, "learning_rate": rate}
    w, b, losses = answer.several("train", args, "w, b, losses")
    what = f"the {{}} of train after {steps} steps with learning rate {rate:g}"
    return real(w, what.format("w")), real(b, what.format("b")), losses


def _some(rng: np.random.Generator, n: int, m: int) -> tuple[Any, Any]:
    Y = (np.arange(m)[None] % 3 == 0).astype(float)
    return rng.uniform(0, 1, (n, m)), Y


def _steps(answer: Answer, counts: list[int]) -> None:
    rng = _generator()
    for steps in counts:
        for (n, m), rate in (((2, 3), 1.0), ((3, 7), 0.25)):
            X, Y = _some(rng, n, m)
            w, b, _ = _train(answer, X, Y, steps, rate)
            right = _descent(X, Y, steps, rate)
            uphill = _descent(X, Y, steps, rate, sign=-1)
            slow = _descent(X, Y, steps, 1.0)
            summed = _descent(X, Y, steps, rate * m)
            frozen = _descent(X, Y, steps, rate, bias=False)
            late = _descent(X, Y, steps + 1, rate)
            early = _descent(X, Y, steps - 1, rate)
            for i, name, came in ((0, "w", w), (1, "b", b)):
                slips = {
                    "the sign is wrong: this step goes uphill": uphill[i],
                    f"a division by {m}, the number of examples, is missing": summed[i],
                    "there is a step too many": late[i],
                    "there is a step too few": early[i],
                }
                if rate != 1:
                    slips["the learning rate is not used"] = slow[i]
                if i == 1 or steps > 1:
                    slips = {"the bias is not trained": frozen[i], **slips}
                count = "1 step" if steps == 1 else f"{steps} steps"
                what = f"{name} after {count} with learning rate {rate:g}"
                what += f" ({n} inputs, {m} examples)"
                expect_value(what, came, right[i], slips=slips)


def _losses(answer: Answer) -> None:
    rng = _generator()
    for steps in (1, 4):
        X, Y = _some(rng, 3, 5)
        _, _, losses = _train(answer, X, Y, steps, 0.5)
        right = _descent(X, Y, steps, 0.5)[2]
        slips = {
            "these are the losses after each step; before it is asked for": right[1:],
            "there is one loss too many": right,
        }
        what = f"losses of {steps} steps"
        expect_value(what, losses, np.array(right[:-1]), slips=slips, rtol=1e-7)


def _knows_a_zero(answer: Answer) -> None:
    X, y, X_test, y_test = data.load_digits()
    Y = (y == 0).astype(float)[None]
    w, b, _ = _train(answer, X.T, Y, 300, 1.0)
    if w.shape != (64, 1):
        raise Wrong(f"w has shape {w.shape}, expected (64, 1)")
    predicted = (w.T @ X_test.T + b > 0).ravel()
    found = float(np.mean(predicted == (y_test == 0)))
    if found < 0.98 or not predicted.any():
        raise Wrong(
            f"after 300 steps {found:.1%} of the test images are told right, and "
            f"{int(predicted.sum())} are said to be zeros; expected 98 % at least. Do "
            "the losses fall from step to step?"
        )


# ----------------------------------------------------------------- confusion matrix

_LECTURE = np.array([[8973, 42], [47, 938]])  # predicted in rows, actual in columns


def _matrices() -> list[np.ndarray]:
    rng = _generator()
    return [_LECTURE, *(rng.integers(1, 50, (n, n)) for n in (2, 3, 10))]


def _counts(answer: Answer) -> None:
    rng = _generator()
    for classes, n in ((2, 5), (3, 12), (10, 300)):
        actual = rng.integers(0, classes, n)
        predicted = np.where(rng.random(n) < 0.6, actual, rng.integers(0, classes, n))
        right = np.zeros((classes, classes), int)
        np.add.at(right, (predicted, actual), 1)
        args = {"predicted": predicted, "actual": actual, "classes": classes}
        slips = {"predicted classes stand in the rows, actual in the columns": right.T}
        expect(answer, "confusion_matrix", args, right, slips=slips)


def _accuracy(answer: Answer) -> None:
    for M in _matrices():
        slips = {
            "this is the share that is wrong": 1 - np.trace(M) / M.sum(),
            "this is the number that is right; divide by that of all": np.trace(M),
        }
        right = np.trace(M) / M.sum()
        expect(answer, "accuracy", {"M": M}, right, slips=slips)


def _share(answer: Answer, name: str) -> None:
    for M in _matrices():
        for k in range(min(len(M), 3)):
            precision, recall = M[k, k] / M[k].sum(), M[k, k] / M[:, k].sum()
            right, other = precision, recall
            says = (
                "this is the recall: of all that are k. Of all that were said to be k, "
                "a row, is asked for"
            )
            if name == "recall":
                right, other = recall, precision
                says = (
                    "this is the precision: of all that were said to be k. Of all that "
                    "are k, a column, is asked for"
                )
            slips = {says: other, "this divides by all examples": M[k, k] / M.sum()}
            expect(answer, name, {"M": M, "k": k}, right, slips=slips)


EXERCISES = (
    Exercise(
        "neuron",
        "a neuron's forward pass",
        _NEURON,
        (
            Part("two inputs, the lecture's among them", _two_inputs),
            Part("any number of inputs", _any_number_of_inputs),
            Part("many examples at once", _many_examples),
        ),
    ),
    Exercise(
        "sigmoid",
        "the sigmoid, stable at any input",
        _NEURON,
        (
            Part("moderate numbers", _moderate),
            Part("arrays of any shape", _any_shape),
            Part("large numbers, without overflow", _without_overflow),
            Part("small results with all their digits", _digits_kept),
        ),
    ),
    Exercise(
        "binary_cross_entropy",
        "the loss of a yes-or-no answer",
        _LOSS,
        (
            Part("one example", _one_example),
            Part("the mean over examples", _mean_over_examples),
            Part("the same from z", _from_z),
            Part("from z of any size", _from_any_z),
        ),
    ),
    Exercise(
        "neuron_gradient",
        "the neuron's gradient, derived by hand",
        _CHAIN_RULE,
        (
            Part("one example, by w", lambda a: _expect_gradients(a, "w", _ONE)),
            Part("one example, by b", lambda a: _expect_gradients(a, "b", _ONE)),
            Part("many examples, by w", lambda a: _expect_gradients(a, "w", _MANY)),
            Part("many examples, by b", lambda a: _expect_gradients(a, "b", _MANY)),
        ),
    ),
    Exercise(
        "gradient_descent",
        "train the neuron until it knows the digits' zero",
        _TRAINING,
        (
            Part("one step", lambda answer: _steps(answer, [1])),
            Part("several steps", lambda answer: _steps(answer, [2, 10])),
            Part("the losses", _losses),
            Part("98 % of the digits' test images", _knows_a_zero),
        ),
    ),
    Exercise(
        "confusion_matrix",
        "a confusion matrix, read line by line",
        _TRAINING,
        (
            Part("count", _counts),
            Part("accuracy", _accuracy),
            Part("precision", lambda answer: _share(answer, "precision")),
            Part("recall", lambda answer: _share(answer, "recall")),
        ),
    ),
)
