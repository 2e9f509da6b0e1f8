"""Losses: composites of operations, with no rules of their own.

Each is a mean unless ``reduction`` says otherwise, and refuses predictions and targets
whose shapes would only fit by broadcasting.

``mean_over_rows`` is True of a function whose value, called with predictions and
targets alone, is a plain mean over the rows: then the loss of n rows is the sum of
``loss(part) * len(part) / n`` over the parts of the batch. It is so of each function
here; a function of your own may say it, too. What ``functools.partial`` or ``lambda``
makes of one does not say it: options such as class weights break it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.operands import unmasked
from tinygrad_edu.ops.conversion import narrow, wide
from tinygrad_edu.ops.softmaxes import meant_labels

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "hinge_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "softmax_cross_entropy",
]

Loss = TypeVar("Loss", bound=Callable[..., Any])


def _mean_over_rows(loss: Loss) -> Loss:
    """Say of a loss that, without options, it is a plain mean over the rows."""
    loss.mean_over_rows = True  # type: ignore[attr-defined]
    return loss


def _reduced(loss: Any, reduction: str) -> Any:
    if reduction == "mean":
        return ops.mean(loss)
    if reduction == "sum":
        return ops.sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f"reduction must be mean, sum or none, got {reduction!r}")


def _floats(x: Any, what: str) -> Any:
    """Return a Tensor or array of floating-point numbers."""
    x = x if isinstance(x, Tensor) else unmasked(x, what)
    return x if x.dtype.kind == "f" else ops.astype(x, np.float64)


# ------------------------------------------------- a prediction and a target in pairs


def _paired(name: str, predictions: Any, targets: Any) -> tuple[Any, Any]:
    """Return both as floating-point numbers; refuse shapes that would broadcast."""
    a = _floats(predictions, f"{name}: predictions")
    b = (
        targets
        if isinstance(targets, Tensor)
        else unmasked(targets, f"{name}: targets")
    )
    if a.shape != b.shape:
        hint = ""
        if a.size == b.size:
            hint = f". Write targets.reshape{a.shape} if they stand for the same rows"
        raise ValueError(
            f"{name}: predictions have shape {a.shape}, targets {b.shape}{hint}"
        )
    if a.size == 0:
        raise ValueError(f"{name}: no entries in predictions of shape {a.shape}")
    if b.dtype.kind != "f":  # integers would make float64 of float32, and 3 - 5 = 254
        b = ops.astype(b, a.dtype)
    return a, b


#: gradcheck moves targets a little, also those of 0 and 1.
_NEAR = 0.01


def _refuse_where(wrong: Any, x: Any, must: str) -> None:
    """Raise an error that shows the first entry of ``x`` where ``wrong`` is True."""
    if np.any(wrong):
        i = tuple(map(int, np.argwhere(wrong)[0]))
        where = f" at {list(i)}" if i else ""
        raise ValueError(f"{must}, got {float(x[i]):g}{where}")


@_mean_over_rows
def mse_loss(predictions: Any, targets: Any, *, reduction: str = "mean") -> Any:
    """Mean squared error.

    Parameters
    ----------
    predictions, targets : Tensor or array_like, any shape
        Of equal shapes.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        A number, or with "none" one for each entry, of the shape of the targets.
        In the square of the targets' unit.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast.

    Notes
    -----
    mean (ŷ - y)²; its derivative is 2 (ŷ - y) / n.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.mse_loss([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    predictions, targets = _paired("mse_loss", predictions, targets)
    difference = predictions - targets
    off = wide(difference)
    loss = _reduced(off * off, reduction)
    return loss if off is difference else narrow(loss, difference)


@_mean_over_rows
def l1_loss(predictions: Any, targets: Any, *, reduction: str = "mean") -> Any:
    """Mean absolute error: a target far off counts for less than in the squared one.

    Parameters
    ----------
    predictions, targets : Tensor or array_like, any shape
        Of equal shapes.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        A number, or with "none" one for each entry, of the shape of the targets.
        In the targets' unit.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast.

    Notes
    -----
    ``mean |ŷ - y|``; its derivative is sign(ŷ - y) / n, which is 0 at the kink, ŷ = y.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.l1_loss([1.0, 2.0], [1.0, 4.0]))
    1.0
    """
    predictions, targets = _paired("l1_loss", predictions, targets)
    return _reduced(ops.absolute(predictions - targets), reduction)


@_mean_over_rows
def huber_loss(
    predictions: Any, targets: Any, *, delta: float = 1.0, reduction: str = "mean"
) -> Any:
    """Half the squared error, but a straight line where the error exceeds ``delta``.

    Parameters
    ----------
    predictions, targets : Tensor or array_like, any shape
        Of equal shapes.
    delta : float, default 1.0
        Where the line begins, in the targets' unit; positive.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        A number, or with "none" one for each entry, of the shape of the targets.
        In the square of the targets' unit.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast, or ``delta`` is not
        positive.

    Notes
    -----
    mean c (d - c/2) with d = ŷ - y and c = min(max(d, -δ), δ), which is d²/2 up to δ
    and ``δ (|d| - δ/2)`` beyond; its derivative is c / n.

    Source: P. J. Huber, "Robust Estimation of a Location Parameter", The Annals of
    Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.huber_loss([0.5, 3.0], [0.0, 0.0], reduction="none")
    array([0.125, 2.5  ])
    """
    predictions, targets = _paired("huber_loss", predictions, targets)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta!r}")
    delta = float(delta)  # NumPy's would make float64 of float32
    difference = predictions - targets
    off = wide(difference)
    near = ops.clip(off, -delta, delta)
    return narrow(_reduced(near * (off - 0.5 * near), reduction), difference)


@_mean_over_rows
def hinge_loss(scores: Any, targets: Any, *, reduction: str = "mean") -> Any:
    """Nothing for a score on the right side by 1 or more, else what is missing to that.

    Parameters
    ----------
    scores : Tensor or array_like, any shape
        Positive for a yes, negative for a no.
    targets : Tensor or array_like
        1 for a yes, -1 for a no; of the same shape.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        A number, or with "none" one for each entry, of the shape of the targets.
        Dimensionless.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast, or the targets are others
        than -1 and 1.

    Notes
    -----
    mean max(0, 1 - y s); its derivative is -y / n where y s < 1, else 0 (also at the
    kink, y s = 1). It is the loss of support vector machines: L. Rosasco and others,
    "Are Loss Functions All the Same?", Neural Computation 16 (2004).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.hinge_loss([3.0, 0.5, 0.5], [1, 1, -1], reduction="none")
    array([0. , 0.5, 1.5])
    """
    s, y = _paired("hinge_loss", scores, targets)
    _refuse_where(
        np.abs(np.abs(_numbers(y)) - 1) > _NEAR,
        y,
        "hinge_loss: targets must be -1 or 1 (of 0 and 1, write 2 * targets - 1)",
    )
    return _reduced(ops.relu(1 - y * s), reduction)


def _numbers(x: Any) -> Any:
    """Return the numbers in ``x``, only to look at them."""
    return x.data if isinstance(x, Tensor) else x


@_mean_over_rows
def binary_cross_entropy(
    probabilities: Any, targets: Any, *, reduction: str = "mean"
) -> Any:
    """Cross-entropy between targets and probabilities of a yes.

    Parameters
    ----------
    probabilities : Tensor or array_like, any shape
        Between 0 and 1. Where there are logits, use
        :func:`binary_cross_entropy_with_logits`: it loses nothing at either end.
    targets : Tensor or array_like
        0 or 1, or a probability; of the same shape.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        A number, or with "none" one for each entry, of the shape of the targets.
        In nats. A certain wrong answer, that is a probability of 0 or below the
        smallest normal number, costs 100 (87 in float32) instead of infinity, and has
        the derivative 0; any other has its true price.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast, or a probability or
        target lies outside 0..1.

    Notes
    -----
    -mean (y log p + (1 - y) log(1 - p)); dL/dp = (p - y) / (p (1 - p)) / n. The price
    of 100 is PyTorch's: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.binary_cross_entropy([0.5], [1.0]))
    0.6931471805599453
    """
    p, y = _paired("binary_cross_entropy", probabilities, targets)
    _refuse_where(
        (p < 0) | (p > 1),
        p,
        "binary_cross_entropy: probabilities must lie between 0 and 1 (of logits, use "
        "binary_cross_entropy_with_logits)",
    )
    _refuse_no_probabilities("binary_cross_entropy", y)
    loss = y * _bounded_log(p) + (1 - y) * _bounded_log(1 - p)
    return _reduced(-loss, reduction)


def _refuse_no_probabilities(name: str, targets: Any) -> None:
    _refuse_where(
        (targets < -_NEAR) | (targets > 1 + _NEAR),
        targets,
        f"{name}: targets must lie between 0 and 1",
    )


def _bounded_log(p: Any) -> Any:
    """Return log p, but a finite price where p is 0.

    So where p is no normal number: 1 / p, in the derivative, could overflow.
    """
    tiny = float(np.finfo(p.dtype).tiny)
    none = _numbers(p) < tiny
    if none.any():
        p = ops.where.call(none, max(math.exp(-100), tiny), p)
    return ops.log(p)


@_mean_over_rows
def binary_cross_entropy_with_logits(
    logits: Any, targets: Any, *, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    """Cross-entropy between targets and the sigmoid of ``logits``.

    Parameters
    ----------
    logits : Tensor or array_like, any shape
    targets : Tensor or array_like
        0 or 1, or a probability; of the same shape.
    pos_weight : float or array_like, shape (columns,), optional
        How many times a yes counts, dimensionless, for all or for each entry of the
        last axis: where yes is rare, the number of noes for each yes balances them.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all entries.

    Returns
    -------
    Tensor or ndarray
        A number, or with "none" one for each entry, of the shape of the targets.
        In nats; finite and right for any finite logits.

    Raises
    ------
    ValueError
        If the shapes differ, also where they would broadcast, a target lies outside
        0..1, or a weight is negative.

    Notes
    -----
    mean (w y softplus(-z) + (1 - y) softplus(z)), with w = 1 unless ``pos_weight`` says
    otherwise; dL/dz = (σ(z) - y) / n for w = 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.binary_cross_entropy_with_logits([-1e4], [1.0]))
    10000.0
    """
    name = "binary_cross_entropy_with_logits"
    z, y = _paired(name, logits, targets)
    _refuse_no_probabilities(name, y)
    yes, no = y, 1 - y
    if pos_weight is not None:
        shape = z.shape[-1:] if z.ndim > 1 and np.ndim(pos_weight) else ()
        yes = y * _weights(f"{name}: pos_weight", pos_weight, shape, z.dtype)
    return _reduced(_cost(yes, -z) + _cost(no, z), reduction)


def _cost(weight: Any, z: Any) -> Any:
    """Return weight softplus(z), but 0 where the weight is, also at an infinite z."""
    sure = np.isinf(_numbers(z))
    if np.any(sure):
        z = ops.where.call(sure & (_numbers(weight) == 0), 0.0, z)
    return weight * ops.softplus(z)


# ------------------------------------------------------------- one class of several


def _weights(who: str, weights: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return weights of ``shape`` in ``dtype``, none of them negative."""
    weights = np.asarray(unmasked(weights, who), dtype)
    if weights.shape != shape:
        raise ValueError(f"{who} must have shape {shape}, got {weights.shape}")
    if not np.all((weights >= 0) & (weights < np.inf)):
        raise ValueError(f"{who} must be finite and not negative, got {weights}")
    return weights


def _classes(name: str, labels: Any, scores: Any, ignored: int | None) -> Any:
    """Return the numbers of classes, one for each row of ``scores``, checked."""
    *rows, classes = scores.shape if scores.ndim else (1, 0)
    if scores.size == 0:
        raise ValueError(f"{name}: no rows in scores of shape {scores.shape}")
    labels = unmasked(_numbers(labels), f"{name}: labels")
    if labels.shape != tuple(rows) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: labels must be integers of shape {tuple(rows)} for scores of "
            f"shape {scores.shape}, got {labels.dtype} of shape {labels.shape}"
            f"{meant_labels(labels, (*rows, classes))}"
        )
    wrong = (labels < 0) | (labels >= classes)
    if ignored is not None:
        wrong &= labels != operator.index(ignored)
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        raise ValueError(
            f"{name}: labels must lie in 0..{classes - 1}, got {labels.ravel()[row]} "
            f"in row {row}; to leave such rows out, pass it as ignore_index="
        )
    return labels


def _of_the_others(
    loss: Callable[..., Any],
    scores: Any,
    labels: np.ndarray,
    ignored: int,
    reduction: str,
    **options: Any,
) -> Any:
    """Return the loss of the rows whose label is not ``ignored``.

    The others never enter, so that a nan in one does no harm. Each has the loss 0.
    """
    counted = labels != ignored
    if counted.all():
        return loss(scores, labels, reduction=reduction, **options)
    if not counted.any():
        raise ValueError(
            f"{loss.__name__}: every label is {ignored}, the ignore_index: there is no "
            "row to average over. Leave such a batch out"
        )
    part = loss(scores[counted], labels[counted], reduction=reduction, **options)
    if reduction == "none":
        return ops.put(part, index=counted, shape=labels.shape)
    return part


def _weighted(name: str, losses: Any, weights: Any, reduction: str) -> Any:
    """Reduce losses of rows that were multiplied by ``weights``."""
    if reduction != "mean":
        return _reduced(losses, reduction)
    total = np.sum(weights)
    if total == 0:
        raise ValueError(
            f"{name}: every label has the weight 0: there is no row to average over. "
            "Leave such a batch out"
        )
    return ops.sum(losses) / total


@_mean_over_rows
def softmax_cross_entropy(
    logits: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Any:
    """Cross-entropy between labels and the softmax of ``logits``.

    Parameters
    ----------
    logits : Tensor or array_like, shape (..., classes)
    labels : Tensor or array_like
        Integers, shape (...), or one-hot or other probabilities of the classes, shape
        (..., classes). They have no derivative.
    weight : array_like, shape (classes,), optional
        How much each class counts.
    ignore_index : int, optional
        Rows with this integer label count for nothing: for padding, or where nobody
        knows the class. It may lie outside the classes. PyTorch ignores -100 without
        being told; here each label is a class unless told.
    label_smoothing : float, default 0.0
        Between 0 and 1, dimensionless: this part of each label is spread evenly over
        all classes.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over the rows.

    Returns
    -------
    Tensor or ndarray
        A number in nats, or with "none" one for each row, of shape (...), 0 where it is
        ignored. Finite for finite logits.

    Raises
    ------
    ValueError
        If the labels have another shape, lie outside the classes, or are probabilities
        that do not add up to 1 in each row; if there are no rows, or all are ignored or
        of weight 0; if an option makes no sense.

    Notes
    -----
    -Σ w y log softmax(z) for each row, with the smoothed label y (1 - ε) + ε / classes
    for y. The mean over integer labels divides by the sum of the weights of the labels,
    not by the number of rows, which makes it a weighted mean; over probabilities it
    divides by the number of rows. So does PyTorch:
    https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss

    dL/dz = (softmax(z) - y) / n without options. The operation
    ``te.softmax_cross_entropy`` takes any weights of the classes as labels, also such
    that do not add up to 1.

    Source of the smoothing: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna,
    "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.nn.softmax_cross_entropy([[1e4, 0.0]], [1]))
    10000.0
    >>> float(te.nn.softmax_cross_entropy([[1e4, 0.0]], [1], label_smoothing=0.5))
    7500.0
    """
    name, entropy = "softmax_cross_entropy", ops.softmax_cross_entropy.call
    try:
        of_classes = labels.ndim < logits.ndim
    except AttributeError:
        of_classes = np.ndim(labels) < np.ndim(logits)
    plain = weight is None and ignore_index is None and not label_smoothing
    if plain and of_classes:
        # What everybody calls, 16 us for 64 rows of 10; np.ndim and reduction=, given
        # where it need not be, made it 1.7 us longer.
        if reduction == "mean":
            return entropy(logits, labels)
        return entropy(logits, labels, reduction=reduction)

    z = _floats(logits, f"{name}: logits")
    if z.dtype.char == "e":
        loss = softmax_cross_entropy(
            wide(z),
            labels,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )
        return narrow(loss, z)
    label_smoothing = float(label_smoothing)  # NumPy's would make float64 of float32
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"{name}: label_smoothing must lie between 0 and 1, got {label_smoothing!r}"
        )
    options = {"weight": weight, "label_smoothing": label_smoothing}
    if of_classes:
        labels = _classes(name, labels, z, ignore_index)
        if ignore_index is not None:
            return _of_the_others(
                softmax_cross_entropy, z, labels, ignore_index, reduction, **options
            )
    else:
        if ignore_index is not None:
            raise ValueError(f"{name}: ignore_index needs integer labels")
        labels = _distributions(name, labels, z)

    classes, y = z.shape[-1], labels
    if label_smoothing:
        hot = ops.one_hot(labels, classes, dtype=z.dtype) if of_classes else labels
        y = (1 - label_smoothing) * hot + label_smoothing / classes
    if weight is None:
        return entropy(z, y, reduction=reduction)
    weight = _weights(f"{name}: weight", weight, (classes,), z.dtype)
    if not of_classes:
        return entropy(z, y * weight, reduction=reduction)
    rows = weight[labels]
    if label_smoothing:
        losses = entropy(z, y * weight, reduction="none")
    else:
        losses = entropy(z, labels, reduction="none") * rows
    return _weighted(name, losses, rows, reduction)


def _distributions(name: str, labels: Any, logits: Any) -> Any:
    """Return one-hot labels, or other probabilities, in the precision of the logits."""
    labels = (
        labels if isinstance(labels, Tensor) else unmasked(labels, f"{name}: labels")
    )
    if labels.shape != logits.shape:
        raise ValueError(
            f"{name}: labels must be integers of shape {logits.shape[:-1]}, or one-hot "
            f"of shape {logits.shape}, got {labels.dtype} of shape {labels.shape}"
            f"{meant_labels(labels, logits.shape)}"
        )
    hint = "of several yeses in a row, use binary_cross_entropy_with_logits"
    tracked = [getattr(x, "requires_grad", False) for x in (logits, labels)]
    if tracked == [False, True]:
        hint = "are the arguments swapped? Labels come second"
    if labels.dtype != logits.dtype:
        labels = ops.astype(labels, logits.dtype)
    numbers = _numbers(labels)
    totals = np.sum(numbers, axis=-1)
    _refuse_where(
        np.abs(totals - 1) > 1e-3,  # the rounding of many classes
        totals,
        f"{name}: each row of labels must add up to 1 ({hint})",
    )
    _refuse_where(numbers < 0, numbers, f"{name}: labels must not be negative")
    return labels


@_mean_over_rows
def nll_loss(
    log_probabilities: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """Minus the logarithm of the probability that was given to the right class.

    Parameters
    ----------
    log_probabilities : Tensor or array_like, shape (..., classes)
        As from ``te.log_softmax``. Where there are logits,
        :func:`softmax_cross_entropy` does both at once.
    labels : Tensor or array_like, shape (...)
        Integers. They have no derivative.
    weight : array_like, shape (classes,), optional
        How much each class counts.
    ignore_index : int, optional
        Rows with this label count for nothing.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over the rows.

    Returns
    -------
    Tensor or ndarray
        A number in nats, or with "none" one for each row, of shape (...), 0 where it is
        ignored.

    Raises
    ------
    ValueError
        If the labels have another shape or lie outside the classes; if a logarithm is
        positive at its label; if there are no rows, or all are ignored or of weight 0.

    Notes
    -----
    Σ w (-l) / Σ w over the rows, where l and w belong to the row's label; dL/dl is
    -w / Σ w there, and 0 elsewhere. The mean and ``ignore_index`` are those of
    :func:`softmax_cross_entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> float(te.nn.nll_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 0]))
    1.0397207708399179
    """
    name = "nll_loss"
    scores = _floats(log_probabilities, f"{name}: log_probabilities")
    if scores.dtype.char == "e":
        options = {"weight": weight, "ignore_index": ignore_index}
        loss = nll_loss(wide(scores), labels, reduction=reduction, **options)
        return narrow(loss, scores)
    labels = _classes(name, labels, scores, ignore_index)
    if ignore_index is not None:
        return _of_the_others(
            nll_loss, scores, labels, ignore_index, reduction, weight=weight
        )
    right = ops.take_along_axis(scores, labels[..., None], axis=-1)
    _refuse_where(
        right > 1e-3,  # what rounding leaves of log 1
        right,
        f"{name}: log-probabilities must not be positive (of probabilities, pass their "
        "logarithm; of logits, use softmax_cross_entropy)",
    )
    losses = -ops.reshape(right, labels.shape)
    if weight is None:
        return _reduced(losses, reduction)
    w = _weights(f"{name}: weight", weight, scores.shape[-1:], scores.dtype)
    rows = w[labels]
    return _weighted(name, losses * rows, rows, reduction)
