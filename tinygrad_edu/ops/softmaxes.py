"""Softmax, its logarithm, and the cross-entropy of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.conversion import are_rows, narrow, wide
from tinygrad_edu.ops.kinks import are_finite, lies_between, numbers
from tinygrad_edu.ops.plans import kept_up_to
from tinygrad_edu.ops.reductions import floating

__all__ = ["log_softmax", "softmax", "softmax_cross_entropy"]

_AXES = [Case((2, 3)), Case((2, 3), axis=0), Case((2, 3, 2), axis=1), Case((3,))]


#: The exponentials of numbers of at most this size stay far from the ends of single
#: precision, and so do their sums: the largest of each row need not be found, which
#: would take half of the time of a softmax of rows of 64.
_NEAR = 30.0


def _sum_product(a: Any, b: Any, axis: int) -> Any:
    """Return Σ a b; along rows in memory without an array of the products.

    For 8192 x 64 numbers in 0.14 ms instead of 0.39.
    """
    if axis == -1 and are_rows(a, b):
        return np.vecdot(a, b)[..., None]
    return np.sum(a * b, axis=axis, keepdims=True)


@op(symbol="softmax", cases=_AXES)
def softmax(x: Any, *, axis: int = -1) -> Any:
    """Exponentials divided by their sum: positive numbers that add up to 1.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int, default -1
        The axis along which the sum is taken.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, finite for any finite numbers.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    s = eˣ / Σ eˣ; dL/dx = s (g - Σ g s). In a row whose largest is ±inf, the numbers
    that equal it share the 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.softmax([1e4, 1e4, 0.0])
    array([0.5, 0.5, 0. ])
    """
    x = floating(x)
    z = wide(x)
    if not lies_between(z, -_NEAR, _NEAR):
        z = _less_largest(z, axis)
    e = np.exp(z)
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return narrow(e, x)


def _less_largest(x: Any, axis: int) -> Any:
    """Return ``x`` less the largest of each row, but 0 where that is the same ±inf."""
    largest = np.maximum.reduce(x, axis=axis, keepdims=True)
    if are_finite(largest):
        return x - largest
    with np.errstate(invalid="ignore"):  # inf - inf
        return np.where((x == largest) & np.isinf(x), x.dtype.type(0), x - largest)


def _is_above(p: Any, bound: float) -> bool:
    """Whether one of the numbers is larger: it leaves little to others of its row."""
    p = p.ravel(order="K")
    return bool(p.size and p.item(p.argmax()) > bound)


def _softmax_rule(g: Any, out: Any, x: Any, *, axis: int) -> Any:
    g, out = wide(g), wide(out)
    p = numbers(out)
    if _is_above(p, 15 / 16):  # the same number off all of g keeps digits of the rest
        g = g - np.sum(g * (p > 15 / 16), axis=axis, keepdims=True)
    return out * (g - _sum_product(g, out, axis))


softmax.vjp(x=_softmax_rule)


def _log_softmax_text(x: Any, *, axis: int) -> str:
    return f"{{g}} − exp({{out}}) ⊙ Σ({{g}}, axis={axis % x.ndim})"


@op(
    symbol="log softmax",
    texts={"x": _log_softmax_text},
    cases=[*_AXES, Case([[7.0, 0.0, 1.0], [0.3, -0.2, 0.9]])],
)
def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """The logarithm of the softmax, without ever taking the logarithm of 0.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int, default -1
        The axis along which the sum is taken.

    Returns
    -------
    Tensor or ndarray
        Of ``x``'s shape, finite for any finite numbers.

    Raises
    ------
    ValueError
        If ``x`` has no such axis.

    Notes
    -----
    l = x - log Σ eˣ; dL/dx = g - eˡ Σ g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.log_softmax([1e4, 0.0])
    array([     0., -10000.])
    """
    x = floating(x)
    z = _less_largest(wide(x), axis)
    z -= np.log(np.add.reduce(np.exp(z), axis=axis, keepdims=True))
    return narrow(z, x)


def _log_softmax_rule(g: Any, out: Any, x: Any, *, axis: int) -> Any:
    g, out = wide(g), wide(out)
    p = np.exp(out)
    if not _is_above(numbers(out), math.log(15 / 16)):
        p *= np.sum(g, axis=axis, keepdims=True)
        return g - p
    near = numbers(p) > 15 / 16
    # There, g - p Σ g is the difference of like numbers: g Σ p - p Σ g over the others.
    others_g = np.sum(g * ~near, axis=axis, keepdims=True)
    others_p = np.sum(p * ~near, axis=axis, keepdims=True)
    total = np.sum(g, axis=axis, keepdims=True)
    return (g * others_p - p * others_g) * near + (g - p * total) * ~near


log_softmax.vjp(x=_log_softmax_rule)


def _checked_labels(labels: Any, shape: tuple[int, ...]) -> Any:
    """Return ``labels`` as an array: indices of shape (...) or weights of ``shape``."""
    labels = np.asarray(labels)
    if labels.shape == shape:
        return labels
    if labels.shape != shape[:-1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"softmax_cross_entropy: labels must be integers of shape {shape[:-1]}, or "
            f"one-hot of shape {shape}, got {labels.dtype} of shape {labels.shape}"
            f"{meant_labels(labels, shape)}"
        )
    return labels


def meant_labels(labels: Any, shape: tuple[int, ...]) -> str:
    """Say what was likely meant by ``labels`` of scores of ``shape``, or nothing."""
    rows = shape[:-1]
    if labels.ndim > 1 and labels.shape[:-1] == shape:
        return ". Are the arguments swapped? Labels come second"
    if labels.size != math.prod(rows):
        return ""
    if labels.dtype.kind == "f":
        numbers = np.ravel(np.asarray(getattr(labels, "data", labels)))
        for row in np.flatnonzero(~np.isfinite(numbers))[:1]:
            return f". The labels hold {numbers[row]} in row {row}: leave such rows out"
        for row in np.flatnonzero(numbers != np.rint(numbers))[:1]:
            return (
                f". The labels hold {numbers[row]:g} in row {row}, which is no number "
                "of a class: they count from 0, in whole steps"
            )
    steps = f".reshape{rows}" if labels.shape != rows else ""
    steps += ".astype(int)" if labels.dtype.kind not in "iu" else ""
    return f". Write labels{steps} if they are numbers of classes"


@kept_up_to(2**12)
def _numbered(rows: int, dtype: Any) -> Any:
    return np.arange(rows, dtype=dtype)


def _places(labels: Any, classes: int) -> Any:
    """Return the flat place of each row's label in an array (classes, rows)."""
    rows = labels.size
    try:
        return np.ravel_multi_index((labels, _numbered(rows, np.intp)), (classes, rows))
    except ValueError:
        row = np.flatnonzero((labels < 0) | (labels >= classes))[0]
        raise ValueError(
            f"softmax_cross_entropy: labels must lie in 0..{classes - 1}, "
            f"got {labels[row]} in row {row}"
        ) from None


def _product(y: Any, z: Any) -> Any:
    """Return y z, but 0 where y is: an impossible class costs nothing then."""
    with np.errstate(invalid="ignore"):  # 0 times infinity
        product = y * z
    return product if np.isfinite(product).all() else np.where(y == 0, 0.0, product)


def _error(logits: Any, labels: Any, *, reduction: str) -> Any:
    """softmax(z) Σ y - y: the derivative by the logits, before it is averaged."""
    y = np.asarray(labels)  # a Tensor, where the rule records
    if y.shape != logits.shape:
        y = np.eye(logits.shape[-1], dtype=logits.dtype)[y]
    p = softmax(logits)
    y = _weights(y, p)
    return p * y.sum(axis=-1, keepdims=True) - y


def _weights(labels: np.ndarray, z: Any) -> np.ndarray:
    """Return one-hot labels in the dtype of their result with ``z``."""
    return labels.astype(np.result_type(labels.dtype, z.dtype), copy=False)


def _text(logits: Any, labels: Any, *, reduction: str) -> str:
    p, y = "softmax({logits})", "onehot({labels})"
    if labels.shape == logits.shape:
        y, weights = "{labels}", np.sum(labels, axis=-1)
        if not np.allclose(weights, 1):
            p += f" ⊙ Σ({{labels}}, axis={logits.ndim - 1})"
    if reduction == "none":
        return f"{{g}} ⊙ ({p} − {y})"
    n = logits.size // logits.shape[-1] if reduction == "mean" else 1
    return f"{{g}} · ({p} − {y})" + f" / {n}" * (n > 1)


def _of_indices(z: Any, labels: Any) -> tuple[Any, Any]:
    """Return losses and softmax(z) - y of (classes, rows), which are overwritten."""
    places = _places(labels, len(z))
    chosen = z.take(places)
    p = np.exp(z, out=z)
    flat = p.reshape(-1)
    flat[places] = 0.0
    others = np.add.reduce(p)
    total = np.exp(chosen)
    total += others
    p /= total
    others /= total
    flat[places] = -others  # p - 1 with all its digits, also where p is nearly 1
    return np.log(total) - chosen, p


def _of_weights(z: Any, labels: Any) -> tuple[Any, Any]:
    """Return losses and softmax(z) Σ y - y for labels (..., classes)."""
    y = _weights(labels, z).reshape(-1, len(z)).T
    weight = np.add.reduce(y)
    p = np.exp(z)
    total = np.add.reduce(p)
    p /= total
    return np.log(total) * weight - np.add.reduce(_product(y, z)), p * weight - y


@op(
    symbol="cross_entropy(softmax({logits}), {labels})",
    residuals={"error": _error},
    texts={"logits": _text},
    cases=[
        Case((3, 4), np.array([0, 3, 1])),
        Case((2, 3, 4), np.array([[0, 3, 1], [2, 2, 0]]), reduction="sum"),
        Case((3, 4), np.array([0, 3, 1]), reduction="none"),
        Case((2, 4), np.array([[0.0, 0.0, 1.0, 0.0], [0.5, 2.0, 0.0, 0.3]])),
    ],
)
def softmax_cross_entropy(logits: Any, labels: Any, *, reduction: str = "mean") -> Any:
    """Cross-entropy between labels and the softmax of ``logits``.

    Parameters
    ----------
    logits : Tensor or array_like, shape (..., classes)
    labels : Tensor or array_like
        Integers, shape (...), or one-hot (any weights of the classes), shape
        (..., classes). They have no derivative.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over the rows.

    Returns
    -------
    Tensor or ndarray
        A number in nats, or with "none" one for each row. Finite for finite logits.

    Raises
    ------
    ValueError
        If the labels have another shape, lie outside the classes, or there are none.

    Notes
    -----
    -Σ y log softmax(z); dL/dz = g (softmax(z) Σ y - y), which is softmax(z) - y for
    one-hot labels; divided by the number of rows for the mean.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.softmax_cross_entropy([[1e4, 0.0]], [1]))
    10000.0
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be mean, sum or none, got {reduction!r}")
    if logits.size == 0:
        raise ValueError(f"softmax_cross_entropy: no rows in logits of {logits.shape}")
    labels = _checked_labels(labels, logits.shape)
    # Classes first and contiguous: reductions over ten columns of 60,000 rows take
    # 0.3 ms instead of 6.4.
    classes = logits.shape[-1]
    z = wide(floating(logits)).reshape(-1, classes).T.copy()
    largest = np.maximum.reduce(z)
    if are_finite(largest):
        z -= largest
    else:
        z = _less_largest(z, 0)
    is_index = labels.shape != logits.shape
    if is_index:
        loss, error = _of_indices(z, labels.ravel())
    else:
        loss, error = _of_weights(z, labels)
    if reduction == "none":
        loss = loss.reshape(logits.shape[:-1])
    else:
        loss = np.add.reduce(loss) / (loss.size if reduction == "mean" else 1)
    if logits.dtype.char == "e":  # it was computed in float32
        loss = loss.astype(logits.dtype if is_index else np.result_type(logits, labels))
    return loss, error.T.reshape(logits.shape)


def _softmax_cross_entropy_rule(
    g: Any, out: Any, logits: Any, labels: Any, *, reduction: str, error: Any
) -> Any:
    if reduction == "mean":
        g = wide(g) / (logits.size // logits.shape[-1])
    elif reduction == "none":
        g = g[..., None]
    return error * g


softmax_cross_entropy.vjp(logits=_softmax_cross_entropy_rule, labels=None)
