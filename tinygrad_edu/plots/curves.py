"""Curves: losses and metrics epoch by epoch, and functions of one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.plots.axes import (
    WRONG_COLOUR,
    array_of,
    axes_for,
    draw_line,
    panel_next_to,
    plain,
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = ["activation", "learning_curves", "loss_curve"]


def loss_curve(
    epochs: ArrayLike,
    losses: ArrayLike,
    *,
    ax: Axes | None = None,
    label: str | None = None,
    title: str = "Loss during training",
    log: bool = False,
) -> Axes:
    """Draw the loss against the epoch, with the last loss in the legend.

    Parameters
    ----------
    epochs : array_like, shape (n,)
        The epochs at which the loss was measured.
    losses : array_like, shape (n,)
        The losses, dimensionless. One that is not finite leaves a gap; the first
        such epoch is marked.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. A second curve on the same Axes
        gets other dashes.
    label : str, optional
        The curve's name in the legend, such as "training"; the last loss follows.
    title : str
        The title of the picture.
    log : bool
        Draw the losses on a logarithmic scale. They must then be positive.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the curve.

    Raises
    ------
    ValueError
        If the two are not of the same shape (n,) with n > 0, or if a loss
        is not positive on a logarithmic scale.

    Examples
    --------
    >>> ax = loss_curve([0, 10, 20], [0.747, 0.073, 0.061], label="training")
    >>> ax = loss_curve([0, 10, 20], [0.752, 0.08, 0.07], label="validation", ax=ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['training, last 0.061', 'validation, last 0.07']
    """
    x = _vector("loss_curve", "epochs", epochs)
    y = _vector("loss_curve", "losses", losses)
    if x.shape != y.shape:
        raise ValueError(
            f"loss_curve: {x.size} epochs but {y.size} losses; pass one loss per epoch"
        )
    if log:
        _check_positive("loss_curve", "loss", x, y)

    ax = axes_for("loss_curve", ax, figsize=(6.4, 4.0))
    _draw_losses(ax, x, y, label, log=log)
    ax.set_title(readable(title))
    if not np.isfinite(y).all():
        _rule_off(ax, x, y)
    return ax


def learning_curves(
    losses: Mapping[str, ArrayLike] | ArrayLike,
    *,
    metrics: Mapping[str, ArrayLike] | None = None,
    epochs: ArrayLike | None = None,
    ax: Axes | None = None,
    title: str = "Learning curves",
    log: bool = False,
) -> Axes:
    """Draw the losses of a training run epoch by epoch, and mark the best epoch.

    The best epoch is that of the lowest loss of the last curve: with training and
    validation losses, in this order, the epoch at which one would have stopped.

    Parameters
    ----------
    losses : mapping of str to array_like, or array_like, shape (n,)
        The losses by name, such as "training" and "validation"; or those of one curve.
        One that is not finite leaves a gap; the first such epoch is marked.
    metrics : mapping of str to array_like, shape (n,), optional
        What else was measured, such as the accuracy; drawn in a panel below.
    epochs : array_like, shape (n,), optional
        The epochs at which all this was measured; 1, 2, ... by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str
        The title of the picture.
    log : bool
        Draw the losses on a logarithmic scale. They must then be positive.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the losses. Those with the metrics are the last of its figure.

    Raises
    ------
    ValueError
        If there are no losses, if anything has not one value per epoch, or if a loss
        is not positive on a logarithmic scale.

    Examples
    --------
    >>> losses = {"training": [0.7, 0.3, 0.1], "validation": [0.7, 0.4, 0.5]}
    >>> ax = learning_curves(losses, metrics={"accuracy": [0.6, 0.92, 0.9]})
    >>> for text in ax.get_legend().get_texts():
    ...     print(text.get_text())
    training, last 0.1
    validation, last 0.5
    best validation: 0.4 at epoch 2
    >>> ax.get_figure().axes[-1].get_legend().get_texts()[0].get_text()
    'accuracy, 0.92 at epoch 2'
    """
    who = "learning_curves"
    losses = losses if isinstance(losses, Mapping) else {"loss": losses}
    metrics = metrics or {}
    curves = {
        name: _vector(who, repr(name), values)
        for name, values in [*losses.items(), *metrics.items()]
    }
    if not losses:
        raise ValueError(f"{who}: no losses; pass {{name: values}} with one or more")
    if len(curves) < len(losses) + len(metrics):
        raise ValueError(f"{who}: a metric and a loss have the same name")
    last = list(losses)[-1]
    x = (
        np.arange(1.0, curves[last].size + 1)
        if epochs is None
        else _vector(who, "epochs", epochs)
    )
    for name, y in curves.items():
        if y.shape != x.shape:
            raise ValueError(
                f"{who}: {x.size} epochs but {y.size} values of {name!r};"
                " pass one value per epoch"
            )
        if log and name in losses:
            _check_positive(who, repr(name), x, y)

    ax = axes_for(who, ax, figsize=(6.4, 5.6 if metrics else 4.0))
    for name in losses:
        _draw_losses(ax, x, curves[name], plain(name), log=log)
    ax.set_title(readable(title))
    best = None
    if np.isfinite(curves[last]).any():
        best = int(np.argmin(np.where(np.isfinite(curves[last]), curves[last], np.inf)))
        label = f"best {plain(last)}: {curves[last][best]:.4g} at epoch {x[best]:g}"
        _mark(ax, x[best], curves[last][best], label)
    for name in losses:
        if not np.isfinite(curves[name]).all():
            _rule_off(ax, x, curves[name], plain(name))
    if metrics:
        panel = panel_next_to(ax, below=True)
        for name in metrics:
            label = plain(name)
            if best is not None:
                label += f", {curves[name][best]:.4g} at epoch {x[best]:g}"
            draw_line(panel, x, curves[name], label)
            if best is not None:
                _mark(panel, x[best], curves[name][best])
        (only,) = metrics if len(metrics) == 1 else ["metric"]
        panel.set(xlabel="epoch", ylabel=plain(only))
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    return ax


def activation(
    function: Callable[[NDArray[np.float64]], ArrayLike],
    *,
    low: float = -5.0,
    high: float = 5.0,
    points: int = 501,
    ax: Axes | None = None,
    label: str | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a function of one number, such as the sigmoid, over an interval.

    Parameters
    ----------
    function : callable
        Takes an array of shape (points,) and returns one of the same shape; what
        it returns may also be a tensor with a method ``numpy()``.
    low, high : float
        The ends of the interval, both included, dimensionless.
    points : int
        How many inputs the function is evaluated at, evenly spaced.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. A second curve on the same Axes
        gets other dashes.
    label : str, optional
        The curve's name in the legend.
    title : str, optional
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the curve.

    Raises
    ------
    ValueError
        If low is not below high, if there are fewer than two points, or if the
        function does not return one output per input.

    Examples
    --------
    >>> ax = activation(np.tanh, label="tanh")
    >>> ax = activation(lambda x: 1 - np.tanh(x) ** 2, label="its derivative", ax=ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['tanh', 'its derivative']
    """
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"activation: low must be below high, got {low} and {high}")
    if points < 2:
        raise ValueError(f"activation: a curve needs 2 points or more, got {points}")
    x = np.linspace(low, high, points)
    y = array_of(function(x))
    if y.shape != x.shape:
        raise ValueError(
            f"activation: the function got an input of shape {x.shape} and returned"
            f" one of shape {y.shape}; it must return one output per input"
        )

    ax = axes_for("activation", ax, figsize=(5.0, 3.4))
    draw_line(ax, x, y, label, markers=False)
    ax.set(xlabel="input", ylabel="output")
    if title is not None:
        ax.set_title(readable(title))
    return ax


def _draw_losses(
    ax: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    label: str | None,
    *,
    log: bool,
) -> None:
    from matplotlib.ticker import MaxNLocator

    finite = np.isfinite(y)
    last = f"last {y[finite][-1]:.4g}" if finite.any() else "no finite loss"
    draw_line(ax, x, y, last if label is None else f"{label}, {last}")
    # The view shows epochs without a finite loss too, and begins at loss 0.
    ax.update_datalim([(x.min(), 0), (x.max(), 0)], updatey=not log)
    if log:
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(
        MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    ax.set(xlabel="epoch", ylabel="loss (log scale)" if log else "loss")


def _mark(ax: Axes, x: float, y: float, label: str | None = None) -> None:
    """Draw a ring around a point, and a line through its epoch."""
    _draw_upright(ax, x, colors="0.5", linestyles="--", linewidth=1, zorder=1)
    ax.scatter(
        [x],
        [y],
        s=110,
        facecolors="none",
        edgecolors="black",
        linewidths=1.5,
        zorder=3,
        label=label,
    )
    ax.legend()


def _rule_off(
    ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], name: str = ""
) -> None:
    """Mark, over the whole height, the first epoch at which a loss is not finite."""
    epoch = x[np.flatnonzero(~np.isfinite(y))[0]]
    label = f"{name}{' ' * bool(name)}not finite at epoch {epoch:g}"
    _draw_upright(ax, epoch, colors=WRONG_COLOUR, linestyles=":", label=label)
    ax.legend()


def _draw_upright(ax: Axes, x: float, **look: Any) -> None:
    """Draw a line over the whole height; none of ax.lines, which are the curves."""
    transform = ax.get_xaxis_transform()  # x in data, y in Axes units
    ax.vlines(x, 0, 1, transform=transform, **look)


def _check_positive(
    caller: str, name: str, x: NDArray[np.float64], y: NDArray[np.float64]
) -> None:
    wrong = np.flatnonzero(np.isfinite(y) & (y <= 0))
    if wrong.size:
        raise ValueError(
            f"{caller}: the {name} at epoch {x[wrong[0]]:g} is {y[wrong[0]]:g}; a"
            " logarithmic scale needs positive losses. Leave out log=True."
        )


def _vector(caller: str, name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{caller}: {name} must have shape (n,) with n > 0, got {array.shape}"
        )
    return array
