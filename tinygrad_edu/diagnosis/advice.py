"""Common mistakes, spoken out: what the first batch, or an epoch, gives away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu import nn, ops
from tinygrad_edu.diagnosis.answers import some
from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.names import data_of
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.metrics import bare_function
from tinygrad_edu.nn.borrowing import all_layers

__all__ = ["advise", "growth"]

_PIXELS = 16  # inputs of an example, from which on they may be a picture
_LARGE = 30.0  # the root mean square of a column
_ROWS = 1000  # that are looked at
_GROWN = 100.0  # times the first loss, or times 1 if that is nearer to 0

#: Operations that only arrange numbers anew.
_ARRANGING = {
    *("reshape", "ravel", "flatten", "squeeze", "expand_dims", "transpose", "swapaxes"),
    *("moveaxis", "getitem", "astype", "broadcast_to"),
}

#: Operations in which inputs meet weights.
_PRODUCTS = {
    *("linear", "matmul", "dot", "inner", "tensordot", "einsum"),
    *("conv1d", "conv2d"),
}

_SOFTMAX_LOSSES = (nn.softmax_cross_entropy, ops.softmax_cross_entropy)
_SIGMOID_LOSSES = (nn.binary_cross_entropy_with_logits,)


def advise(
    model: Any, loss: Any, optimizer: Any, X: Any, y: Any, prediction: Any
) -> list[str]:
    """Return a sentence for each common mistake that the first batch gives away.

    Parameters
    ----------
    model : Layer
    loss : callable
        Takes the prediction and ``y``.
    optimizer : Optimizer
    X, y : array_like, or tuple of array_like, shape (rows, ...)
        The batch.
    prediction : Tensor or ndarray, shape (rows, ...)
        What the model made of it, recorded. Ask before ``backward``, which frees the
        graph, and after ``zero_grad``: then no parameter should have a gradient.

    Returns
    -------
    list of str
        Empty if nothing is suspicious.

    Notes
    -----
    A loss of te.nn checks the shape of its targets itself. Of one's own it cannot be
    seen what it does: if the shapes are suspicious, or the model ends in a softmax, it
    is called once more on the same numbers, and what it recorded is looked at.

    A column of X is called large if the root mean square of its numbers is above 30 and
    it meets weights as it is; the first 1,000 rows are looked at. Columns of mean 0 and
    deviation 1, numbers in 0..1 and grey levels in 0..16 are far below. With a mean of
    30 and a deviation of 12 in one of five columns, SGD at a rate of 0.1 learned
    nothing any more, and Adam at 0.01 was right in 79 %, not 93 % (16 hidden units, two
    classes). A column without deviation is left alone.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(3, 2, rng=0), te.nn.Softmax())
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    >>> X, y = np.ones((4, 3)), np.array([0, 1, 1, 0])
    >>> print(*advise(model, te.nn.softmax_cross_entropy, optimizer, X, y, model(X)))
    the model ends in softmax, but softmax_cross_entropy takes the softmax itself: ...
    """
    if not isinstance(prediction, Tensor):
        prediction = tensor(0.0)
    found = [
        *_twice_squashed(loss, prediction, y),
        *_broadcast(loss, prediction, y),
        *_unscaled(X, prediction),
        *_doubled(model, X, prediction),
        *_not_held(model, optimizer),
        *_never_trained(model, optimizer),
        *_not_zeroed(optimizer),
    ]
    return list(dict.fromkeys(found))


# --------------------------------------------------------- the prediction and the loss


def _twice_squashed(loss: Any, prediction: Tensor, y: Any) -> Iterator[str]:
    """Say that a softmax or sigmoid is followed by a loss that has its own."""
    last = _arranged(prediction)
    name = "" if last.op is None else last.op.name
    if name not in ("softmax", "sigmoid"):
        return
    bare = bare_function(loss)
    if bare in _SOFTMAX_LOSSES or _takes_softmax(loss, prediction, y):
        yield (
            f"the model ends in {name}, but softmax_cross_entropy takes the softmax "
            "itself: training is slow, and stays far from certain. Leave the last "
            "layer out; te.softmax(output) gives probabilities"
        )
    if bare in _SIGMOID_LOSSES:
        yield (
            f"the model ends in {name}, but binary_cross_entropy_with_logits takes the "
            "sigmoid itself. Leave the last layer out, or use "
            "te.nn.binary_cross_entropy"
        )


def _takes_softmax(loss: Any, prediction: Tensor, y: Any) -> bool:
    """Whether a loss of one's own hands the prediction to softmax cross-entropy."""
    given, nodes = _recorded(loss, prediction, y)
    return any(
        node.op is ops.softmax_cross_entropy and _arranged(node.inputs[0]) is given
        for node in nodes
    )


def _broadcast(loss: Any, prediction: Tensor, y: Any) -> Iterator[str]:
    """Say that a loss of one's own compares every prediction with every target."""
    hint = as_the_output(prediction, y)
    rows = prediction.shape[0] if prediction.ndim else 0
    shapes = {(rows,), (rows, 1)}
    if rows < 2 or not hint or prediction.shape not in shapes:
        return
    _, nodes = _recorded(loss, prediction, y)
    for node in nodes:
        if (
            node.op.elementwise
            and {np.shape(x) for x in node.inputs if x is not None} == shapes
        ):
            yield (
                f"{hint}. As it is, the loss computes with ({rows}, {rows}) numbers, "
                "every row's output with every row's target"
            )
            return


def as_the_output(output: Any, y: Any) -> str:
    """Say how y would have one number, or label, for each row of the output.

    Parameters
    ----------
    output : Tensor or ndarray, shape (N, K)
    y : ndarray, shape (N,) or (N, 1)

    Returns
    -------
    str
        Empty if the shapes give no reason to think so.

    Examples
    --------
    >>> as_the_output(np.ones((4, 1)), np.ones(4))
    "the model's output has shape (4, 1), y (4,): pass y[:, None]"
    """
    shape, given = np.shape(output), () if isinstance(y, tuple) else np.shape(y)
    index = ""
    if len(shape) == 2 and shape[1] == 1 and given == shape[:1]:
        index = "[:, None]"
    elif shape and given == (shape[0], 1):
        labels = len(shape) == 2 and shape[1] > 1 and np.asarray(y).dtype.kind in "iu"
        index = "[:, 0]" if labels or len(shape) == 1 else ""
    if not index:
        return ""
    return f"the model's output has shape {shape}, y {given}: pass y{index}"


def _recorded(loss: Any, prediction: Tensor, y: Any) -> tuple[Tensor, list[Tensor]]:
    """Call the loss again; return the leaf it was given, and the nodes recorded."""
    given = tensor(prediction.data, requires_grad=prediction.dtype.kind == "f")
    try:
        with np.errstate(all="ignore"):
            result = loss(given, y)
    except Exception:  # the training raises it again
        return given, []
    return given, nodes_of([result])


def _arranged(x: Any) -> Any:
    """Return what a tensor was before it was only arranged anew."""
    while (
        isinstance(x, Tensor)
        and x.op is not None
        and x.op.name in _ARRANGING
        and x.inputs
        and isinstance(x.inputs[0], Tensor)
    ):
        x = x.inputs[0]
    return x


# ----------------------------------------------------------------------------- the data


def _unscaled(X: Any, prediction: Tensor) -> Iterator[str]:
    """Say that large numbers meet weights: those of a picture, or a column of X."""
    for node in nodes_of([prediction]):
        if node.op.name not in _PRODUCTS:
            continue
        for x in node.inputs:
            if isinstance(x, Tensor) and (x.requires_grad or not x.is_leaf):
                continue
            array = np.asarray(data_of(x))
            if _look_like_pixels(array):
                yield (
                    f"the inputs are whole numbers from {array.min():g} to "
                    f"{array.max():g}, as pixels are. Networks learn better from small "
                    "ones: train on X / 255"
                )
                return
            told = _of_large_columns(array)
            if told and array.shape == getattr(X, "shape", ()):
                yield told
                return


def _look_like_pixels(x: np.ndarray) -> bool:
    return (
        x.dtype.kind in "iuf"
        and x.ndim > 1
        and x.size >= _PIXELS * len(x) > 0
        and bool(x.min() >= 0)
        and bool(128 <= x.max() <= 255)
        and (x.dtype.kind != "f" or bool((x == np.round(x)).all()))
    )


def _of_large_columns(x: np.ndarray) -> str:
    """Say which column of a table is the largest; empty if none is large."""
    if x.dtype.kind not in "iuf" or x.ndim != 2:
        return ""
    rows = x[:_ROWS].astype(np.float64)
    with np.errstate(all="ignore"):
        means, deviations = rows.mean(axis=0), rows.std(axis=0)
        sizes = np.hypot(means, deviations)
        usable = (deviations > 0) & np.isfinite(sizes)  # to divide by
        large = np.flatnonzero(usable & (sizes > _LARGE))
    if not large.size:
        return ""
    worst = large[sizes[large].argmax()]
    more = ""
    if large.size > 1:
        more = (
            f", and {large.size - 1:,} more {'are' if large.size > 2 else 'is'} large"
        )
    return (
        f"in the first batch, column {worst} of X has mean {means[worst]:.4g} and "
        f"deviation {deviations[worst]:.4g}{more}. Networks learn better from small "
        "numbers: train on (X - X.mean(axis=0)) / X.std(axis=0)"
    )


def _doubled(model: Any, X: Any, prediction: Tensor) -> Iterator[str]:
    """Say that X makes float64 of what the parameters would compute in float32."""
    if not isinstance(model, nn.Layer) or prediction.dtype != np.float64:
        return
    parts = X if isinstance(X, tuple) else (X,)
    given = [getattr(part, "dtype", None) for part in parts]
    own = [p.dtype for p in model.parameters() if p.dtype.kind == "f"]
    if np.float64 in given and own and all(t == np.float32 for t in own):
        yield (
            "the parameters are float32 and X is float64, so that all is computed in "
            "float64, as NumPy does. X.astype(np.float32) takes about half the time"
        )


# ------------------------------------------------------------------------ the optimiser


def _not_held(model: Any, optimizer: Any) -> Iterator[str]:
    """Say which parameters of the model the optimiser does not move."""
    held = _held_by(optimizer)
    if not held or not isinstance(model, nn.Layer):
        return
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    missing = [name for name, p in named if p not in held]
    if not missing:
        return
    if len(missing) == len(named):
        yield (
            "the optimizer holds none of the model's parameters: was the model made "
            "anew after it? Pass model.parameters() of this model"
        )
        return
    yield (
        f"the optimizer does not hold {some(missing)} of the model, so that they "
        "stay as they are. If that is meant, set their requires_grad = False; else "
        "pass model.parameters()"
    )


def _never_trained(model: Any, optimizer: Any) -> Iterator[str]:
    """Say which tensors of layers of one's own are to be moved, but cannot be.

    The layers of te.nn make all of theirs so that they are trained: if one is not, it
    was frozen.
    """
    if not isinstance(model, nn.Layer):
        return
    known = [
        x for x in all_layers(model) if getattr(nn, type(x).__name__, None) is type(x)
    ]
    frozen = {id(part) for layer in known for part in vars(layer).values()}
    held = _held_by(optimizer)
    constant = [
        name
        for name, p in model.named_parameters()
        if p in held and p.dtype.kind == "f" and not p.requires_grad
        if id(p) not in frozen
    ]
    if constant:
        yield (
            f"the optimizer holds {some(constant)} of the model, but what requires "
            "no gradient stays as it is. To train it, make it with te.tensor(..., "
            "requires_grad=True). If it is to stay, leave it out of the optimizer; a "
            "constant may be a plain array"
        )


def _not_zeroed(optimizer: Any) -> Iterator[str]:
    """Say that gradients of an earlier backward are still there."""
    if any(p.grad is not None for p in _held_by(optimizer) if p.requires_grad):
        yield (
            "parameters still have the gradients of an earlier backward, and the next "
            "one adds to them: zero_grad() was not called before it, or leaves them"
        )


def _held_by(optimizer: Any) -> set[Tensor]:
    groups = getattr(optimizer, "param_groups", [])
    return {p for group in groups for p in group["params"]}


# ---------------------------------------------------------------------------- the epoch


def growth(first: float, mean: float) -> str:
    """Say that the loss has grown beyond what chance and a small loss explain.

    Parameters
    ----------
    first : float
        The loss that training began with, in the loss's unit.
    mean : float
        The mean loss of an epoch, in the same unit.

    Returns
    -------
    str
        Empty unless ``mean`` is more than 100 times ``first`` (of a negative one, its
        absolute value), and more than 100: a loss near 0 may grow a thousandfold.

    Examples
    --------
    >>> growth(2.3, 8993.0)
    'the loss grew from 2.3 to 8993: try a tenth of the learning rate'
    >>> growth(1e-9, 0.5)
    ''
    """
    if not mean > _GROWN * max(abs(first), 1.0):
        return ""
    grew = f"the loss grew from {first:.4g} to {mean:.4g}"
    return f"{grew}: try a tenth of the learning rate"
