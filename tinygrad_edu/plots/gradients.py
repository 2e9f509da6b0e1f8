"""Pictures of gradients: how large they are, and what a step along them does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.recording import no_grad
from tinygrad_edu.plots.axes import (
    WRONG_COLOUR,
    array_of,
    axes_for,
    panel_next_to,
    readable,
    rows_for,
    rule_rows,
    say_beside_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = ["gradient_flow", "loss_along_gradient"]

# A network of more parameters is too much for one picture.
MOST_ROWS = 500


def gradient_flow(
    named_parameters: Iterable[tuple[str, Any]],
    learning_rate: float | None = None,
    *,
    ax: Axes | None = None,
    title: str = "Gradients by parameter",
) -> Axes:
    """Draw how large the gradient of each parameter is, from the first layer on.

    Gradients that get smaller from row to row towards the first layer vanish; those
    that get larger explode. What is not a size stands in words beside the row.

    Parameters
    ----------
    named_parameters : iterable of (str, parameter)
        As ``layer.named_parameters()`` returns them, after ``backward``. A parameter
        is anything with arrays ``data`` and ``grad``.
    learning_rate : float, optional
        Draw in a second panel how large the step of plain gradient descent is beside
        the parameter: learning rate · ‖gradient‖ / ‖parameter‖, dimensionless.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the gradients. Those with the ratios are the last of its figure.

    Raises
    ------
    TypeError
        If these are no pairs of a name and a parameter.
    ValueError
        If there are none or more than 500, or the learning rate is not positive.

    Notes
    -----
    A ratio of about 0.001 is usual where training goes well; this rule of thumb is that
    of the course CS231n (Stanford), notes "Neural Networks Part 3", on the ratio of
    weights and updates.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(2, 3, rng=0), te.nn.Linear(3, 1, rng=1))
    >>> (model(np.ones((4, 2))) ** 2).mean().backward()
    >>> ax = gradient_flow(model.named_parameters(), learning_rate=0.1)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """
    who = "gradient_flow"
    pairs = _pairs(named_parameters)
    if learning_rate is not None:
        _check_learning_rate(who, learning_rate)

    names = [name for name, _ in pairs]
    width = 6.5 if learning_rate is None else 9.0
    ax, fontsize = rows_for(who, ax, names, width=width)
    sizes = [_sizes(parameter.grad) for _, parameter in pairs]
    rows = range(len(pairs))
    bars = [(row, *bar) for row, (_, bar, _, _) in enumerate(sizes) if bar is not None]
    if bars:
        places, lows, highs = np.transpose(bars)
        ax.hlines(places, lows, highs, colors="0.72", linewidth=0.7 * fontsize)
    means = [mean for mean, _, _, _ in sizes]
    ax.plot(means, rows, linestyle="", marker="D", color="black", markersize=5)
    ax.set_title(readable(title))
    _set_log_scale(ax, [*means, *np.ravel([bar[1:] for bar in bars])])
    ax.set_xlabel(
        "|gradient| (log scale)\ndiamond: mean; bar: 5% to 95%, without zeros"
    )
    words = [word for _, _, word, _ in sizes]
    last = ax
    if learning_rate is not None:
        last = panel_next_to(ax, below=False)
        ratios, zero = _ratios([p for _, p in pairs], learning_rate)
        words = [
            "; ".join(filter(None, [word, "parameter is 0" * none]))
            for word, none in zip(words, zero, strict=True)
        ]
        last.axvline(1e-3, color="black", linestyle="--", linewidth=1.2)
        last.plot(ratios, rows, linestyle="", marker="s", color="black", markersize=5)
        _set_log_scale(last, [*ratios, 1e-3])
        last.set_xlabel(
            f"{learning_rate:g} · ‖gradient‖ / ‖parameter‖\n"
            "dashed: 0.001, a usual ratio"
        )
        last.tick_params(axis="y", labelleft=False)
        rule_rows(last, len(pairs))
    say_beside_rows(last, words, [bad for _, _, _, bad in sizes], fontsize)
    return ax


def loss_along_gradient(
    loss_fn: Callable[[], Any],
    parameters: Iterable[Any],
    learning_rate: float,
    *,
    gradients: Sequence[ArrayLike] | None = None,
    reach: float = 4.0,
    ax: Axes | None = None,
    title: str = "Loss along the gradient",
) -> Axes:
    """Draw the loss on the way that gradient descent takes, and what it predicts.

    The parameters p go to p - s g, with g their gradient; s = 0 is where they are and
    s = learning rate where the next step leads. They are put back as they were, bit
    for bit, whatever happens.

    Parameters
    ----------
    loss_fn : callable
        Takes nothing and returns the loss at the present parameters, a number or a
        tensor of one; called 81 times or so. It must be the same loss every time: the
        same examples, no random numbers, a model in evaluation mode.
    parameters : iterable
        ``layer.parameters()``: anything with arrays ``data`` and ``grad``.
    learning_rate : float
        The step that is marked; the unit of the horizontal axis.
    gradients : sequence of array_like, optional
        A gradient for each parameter; what ``backward`` left in ``grad`` by default.
    reach : float
        How many learning rates to go, dimensionless; one of them is gone in the other
        direction.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes; its ``lines`` are the loss and the tangent.

    Raises
    ------
    TypeError
        If a parameter has no array ``data`` that can be written to.
    ValueError
        If there are no parameters, one is listed twice, a gradient is missing, not
        finite or of another shape, or a number is not positive.

    Notes
    -----
    L(p - s g) = L(p) - s ‖g‖² + O(s²): the first two terms are the tangent.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([3.0], requires_grad=True)
    >>> def loss():
    ...     return (w * w).sum()
    >>> loss().backward()
    >>> ax = loss_along_gradient(loss, [w], learning_rate=0.25)
    >>> for text in ax.get_legend().get_texts():
    ...     print(text.get_text())
    loss
    tangent: what the gradient predicts
    learning rate 0.25: loss 9 → 2.25
    predicted: 0
    """
    who = "loss_along_gradient"
    _check_learning_rate(who, learning_rate)
    if not (np.isfinite(reach) and reach > 0):
        raise ValueError(f"{who}: reach must be positive and finite, got {reach}")
    parameters = _written_to(parameters)
    directions = _directions(parameters, gradients)
    slope = -sum(float(np.vdot(g, g)) for g in directions)

    # The step of 0 and of one learning rate are among them.
    steps = np.unique(np.r_[np.linspace(-1, reach, 81), 0.0, 1.0])
    losses = _losses_along(loss_fn, parameters, directions, learning_rate * steps)
    here, there = (float(losses[steps == step][0]) for step in (0.0, 1.0))
    if not np.isfinite(here):
        raise ValueError(f"{who}: the loss at the present parameters is {here}")
    predicted = here + slope * learning_rate

    ax = axes_for(who, ax, figsize=(6.4, 5.2))
    ax.plot(steps, losses, color="black", linewidth=2, label="loss")
    ax.plot(
        steps,
        here + slope * learning_rate * steps,
        color="0.4",
        linestyle="--",
        linewidth=1.5,
        label="tangent: what the gradient predicts",
    )
    ax.scatter([0], [here], s=45, color="black", zorder=3)
    ax.axvline(1, color=WRONG_COLOUR, linestyle=":", linewidth=1.5)
    ax.scatter(
        [1],
        [there],
        s=60,
        marker="D",
        facecolors="white",
        edgecolors=WRONG_COLOUR,
        linewidths=1.8,
        zorder=3,
        label=f"learning rate {learning_rate:g}: loss {here:.4g} → {there:.4g}",
    )
    ax.scatter(
        [1],
        [predicted],
        s=60,
        marker="x",
        color=WRONG_COLOUR,
        linewidths=1.8,
        zorder=3,
        label=f"predicted: {predicted:.4g}",
    )
    finite = losses[np.isfinite(losses)]
    if lost := losses.size - finite.size:
        words = f"not finite at {lost} of {losses.size} steps"
        ax.plot([], [], linestyle="", label=words)
    # As high as the loss; the tangent may leave the picture.
    low, high = float(finite.min()), float(finite.max())
    span = (high - low) or abs(here) or 1.0
    low = min(low, max(predicted, low - span))
    ax.set_ylim(low - 0.06 * span, high + 0.06 * span)
    ax.set(
        xlabel=f"step against the gradient, in learning rates of {learning_rate:g}",
        ylabel="loss",
        title=readable(title),
    )
    ax.grid(True, color="0.88")
    ax.set_axisbelow(True)
    # Below the picture: the tangent may cross any corner of it.
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.16), frameon=False)
    return ax


def _pairs(named_parameters: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    hint = "gradient_flow: pass layer.named_parameters(), pairs (name, parameter)"
    if not hasattr(named_parameters, "__iter__"):
        raise TypeError(f"{hint}; got {type(named_parameters).__name__}")
    pairs = list(named_parameters)
    for pair in pairs:
        if (
            not isinstance(pair, tuple)
            or len(pair) != 2
            or not (hasattr(pair[1], "data") and hasattr(pair[1], "grad"))
        ):
            raise TypeError(f"{hint}; got {type(pair).__name__} among them")
    if not 0 < len(pairs) <= MOST_ROWS:
        raise ValueError(
            f"gradient_flow: draws 1 to {MOST_ROWS} parameters, got {len(pairs)}."
            f" Pass some: named_parameters()[:{MOST_ROWS}]"
        )
    return pairs


def _sizes(
    grad: ArrayLike | None,
) -> tuple[float, tuple[float, float] | None, str, bool]:
    """The mean of |gradient|, the bar of its spread, words, and if they alarm."""
    if grad is None:
        return np.nan, None, "no gradient", True
    size = np.abs(np.asarray(grad, dtype=np.float64)).ravel()
    finite = size[np.isfinite(size)]
    some = finite[finite > 0]
    lost, zero = size.size - finite.size, finite.size - some.size
    words = []
    if lost:
        words.append(f"{lost} of {size.size} nan or infinite")
    if zero:
        words.append("all 0" if zero == size.size else f"{zero / size.size:.0%} are 0")
    if not some.size:
        return np.nan, None, ", ".join(words), True
    low, high = np.quantile(some, [0.05, 0.95])
    return float(finite.mean()), (low, high), ", ".join(words), lost > 0


def _set_log_scale(ax: Axes, values: Sequence[float]) -> None:
    """Show all positive values, and two decades at least: of less the ticks crowd."""
    powers = np.log10([v for v in values if v > 0] or [1e-3])
    low, high = powers.min(), powers.max()
    margin = max(0.05 * (high - low), (2 - (high - low)) / 2)
    ax.set_xlim(*10.0 ** np.clip([low - margin, high + margin], -307, 308))
    ax.set_xscale("log")


def _ratios(
    parameters: Sequence[Any], learning_rate: float
) -> tuple[list[float], list[bool]]:
    """Size of the step beside that of each parameter, and which parameters are 0."""
    ratios, zero = [], []
    for p in parameters:
        size = float(np.linalg.norm(np.asarray(p.data, dtype=np.float64)))
        step = 0.0
        if p.grad is not None:
            step = learning_rate * float(
                np.linalg.norm(np.asarray(p.grad, dtype=np.float64))
            )
        usable = np.isfinite(step) and step > 0 and np.isfinite(size) and size > 0
        ratios.append(step / size if usable else np.nan)
        zero.append(size == 0)
    return ratios, zero


def _check_learning_rate(caller: str, learning_rate: float) -> None:
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(
            f"{caller}: learning_rate must be positive and finite, got {learning_rate}"
        )


def _written_to(parameters: Iterable[Any]) -> list[Any]:
    """The parameters as a list, each with an array that steps can be written into."""
    who = "loss_along_gradient"
    if not hasattr(parameters, "__iter__") or hasattr(parameters, "data"):
        raise TypeError(
            f"{who}: parameters must be a list, got one {type(parameters).__name__};"
            " write [parameter], or layer.parameters()"
        )
    found = list(parameters)
    if not found:
        raise ValueError(f"{who}: no parameters; pass layer.parameters()")
    for position, p in enumerate(found):
        data = getattr(p, "data", None)
        if not isinstance(data, np.ndarray) or not data.flags.writeable:
            raise TypeError(
                f"{who}: parameter {position} has no array .data that can be written"
                f" to; it is a {type(p).__name__}. Pass layer.parameters()"
            )
        if any(p is other for other in found[:position]):
            raise ValueError(f"{who}: parameter {position} is listed twice")
    return found


def _directions(
    parameters: Sequence[Any], gradients: Sequence[ArrayLike] | None
) -> list[NDArray[np.float64]]:
    who = "loss_along_gradient"
    if gradients is None:
        gradients = [p.grad for p in parameters]
        if missing := [i for i, g in enumerate(gradients) if g is None]:
            raise ValueError(
                f"{who}: parameter {missing[0]} has no gradient; call loss.backward()"
                " first, or pass gradients="
            )
    if len(gradients) != len(parameters):
        raise ValueError(
            f"{who}: {len(gradients)} gradients for {len(parameters)} parameters"
        )
    directions = [np.asarray(g, dtype=np.float64) for g in gradients]
    for i, (p, g) in enumerate(zip(parameters, directions, strict=True)):
        if g.shape != p.data.shape:
            raise ValueError(
                f"{who}: parameter {i} has shape {p.data.shape}, its gradient {g.shape}"
            )
        if not np.isfinite(g).all():
            raise ValueError(f"{who}: gradient {i} holds nan or infinity")
    return directions


def _losses_along(
    loss_fn: Callable[[], Any],
    parameters: Sequence[Any],
    directions: Sequence[NDArray[np.float64]],
    steps: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The loss after each step. Afterwards the parameters are as they were."""
    # Written in place: to assign data would make a tensor newer than the graphs that
    # used it, and a backward through one of those, which is still right, would raise.
    before = [p.data.copy() for p in parameters]
    losses = []
    try:
        with no_grad(), np.errstate(all="ignore"):  # far steps may overflow
            for step in steps:
                for p, start, g in zip(parameters, before, directions, strict=True):
                    p.data[...] = start - step * g
                losses.append(_one_number(loss_fn()))
    finally:
        for p, start in zip(parameters, before, strict=True):
            p.data[...] = start
    return np.array(losses)


def _one_number(loss: Any) -> float:
    number = array_of(loss)
    if number.size != 1:
        raise ValueError(
            "loss_along_gradient: loss_fn must return one number, got shape"
            f" {number.shape}"
        )
    return float(number.item())
