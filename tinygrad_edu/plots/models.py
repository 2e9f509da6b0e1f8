"""Pictures of a model at work: what its layers put out, and what it decides where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.plots.axes import (
    WRONG_COLOUR,
    array_of,
    axes_for,
    plain,
    readable,
    rows_for,
    say_beside_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = ["activation_saturation", "decision_regions"]

# The range of what each kind of activation puts out.
RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, np.inf)}

# One look for each class: marker, colour (after Okabe and Ito), hatch of its region.
LOOKS = [
    ("o", "#0072B2", ""),
    ("^", "#E69F00", "//"),
    ("s", "#009E73", ".."),
    ("D", "#CC79A7", "\\\\"),
    ("v", "#56B4E9", "--"),
    ("P", "#D55E00", "||"),
    ("X", "#F0E442", "xx"),
    ("*", "#999999", "++"),
    ("<", "#332288", "oo"),
    (">", "#882255", "**"),
]

# A model is asked at so many points along each feature.
GRID = 200


def activation_saturation(
    activations: Mapping[str, ArrayLike],
    kind: str | Mapping[str, str],
    *,
    ax: Axes | None = None,
    title: str = "Activations by layer",
) -> Axes:
    """Draw a histogram of each layer's activations, with what is saturated or dead.

    Through a saturated sigmoid or tanh next to no gradient passes: its derivative is
    below 1 % of its largest. A dead unit of a relu is 0 for every example, and then
    its weights get no gradient at all.

    Parameters
    ----------
    activations : mapping of str to array_like, shape (n, ...)
        What each layer put out for the same n examples, by the layer's name.
    kind : str or mapping of str to str
        "sigmoid", "tanh" or "relu": that of all layers, or of each by its name. A layer
        that is left out gets a histogram only.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with a row for each layer; its ``texts`` are the words beside them.

    Raises
    ------
    ValueError
        If there are no layers or no activations, if a kind is unknown or a layer
        not there, or if an activation is outside the range of its kind.

    Notes
    -----
    By their outputs a, the derivatives are a (1 - a) for the sigmoid, at most 1/4, and
    1 - a² for tanh, at most 1.

    Examples
    --------
    The layers of a :class:`~tinygrad_edu.nn.Sequential`, called one after the other:

    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(64, 32, rng=0), te.nn.Tanh())
    >>> x, activations = 20 * te.data.load_digits()[0][:100], {}
    >>> for i, layer in enumerate(model):
    ...     x = layer(x)
    ...     if isinstance(layer, te.nn.Tanh):
    ...         activations[f"{i} Tanh"] = x
    >>> ax = activation_saturation(activations, "tanh")
    >>> print(ax.texts[0].get_text())
    saturated 82%
    """
    who = "activation_saturation"
    layers = {
        name: array_of(values).astype(np.float64)
        for name, values in activations.items()
    }
    if not layers:
        raise ValueError(f"{who}: no layers; pass {{name: activations}} with some")
    kinds = dict.fromkeys(layers, kind) if isinstance(kind, str) else dict(kind)
    if unknown := [name for name in kinds if name not in layers]:
        raise ValueError(
            f"{who}: kind names {unknown[0]!r}, but the layers are {list(layers)}"
        )
    for name, values in layers.items():
        _check_activations(name, values, kinds.get(name))

    ax, fontsize = rows_for(who, ax, list(layers), width=6.5)
    ranges = [_range_of(values, kinds.get(name)) for name, values in layers.items()]
    low, high = min(np.ravel(ranges)), max(np.ravel(ranges))
    words, wrong = [], []
    for row, (name, values) in enumerate(layers.items()):
        bad, word, share = _unhealthy(values, kinds.get(name))
        finite = np.isfinite(values)
        if not finite.all():
            lost = f"{np.mean(~finite):.0%} nan or infinite"
            word = f"{word}, {lost}" if word and finite.any() else lost
            share = 1.0
        words.append(word)
        wrong.append(share >= 0.1)
        # Its own bins, as wide as those of the others but with its own ends.
        start, end = ranges[row]
        bins = max(round(60 * (end - start) / (high - low)), 10)
        edges = np.linspace(start, end, bins + 1)
        heights = np.histogram(values[finite], edges)[0]
        scale = 0.8 / max(heights.max(), 1)
        base = row + 0.4  # y grows downwards: a row stands on the line below its name
        ax.stairs(base - scale * heights, edges, baseline=base, fill=True, color="0.75")
        ax.stairs(
            base - scale * np.histogram(values[bad], edges)[0],
            edges,
            baseline=base,
            fill=True,
            facecolor=WRONG_COLOUR,
            edgecolor="white",
            hatch="////",
        )
    margin = 0.02 * (high - low)
    ax.set_xlim(low - margin, high + margin)
    meanings = {
        "dead units" if kind == "relu" else "saturated" for kind in kinds.values()
    }
    hatched = f"\nhatched: {' or '.join(sorted(meanings))}" if meanings else ""
    ax.set(xlabel=f"activation{hatched}", title=readable(title))
    say_beside_rows(ax, words, wrong, fontsize)
    return ax


def decision_regions(
    predict: Callable[[NDArray[np.float64]], Any],
    X: ArrayLike,
    y: ArrayLike,
    *,
    ax: Axes | None = None,
    title: str = "Decision regions",
) -> Axes:
    """Draw what a classifier of two features decides where, and the examples.

    Parameters
    ----------
    predict : callable
        Takes an array of shape (m, 2) and returns the m predicted classes, as the
        method ``predict`` of scikit-learn's classifiers; or their probabilities, of
        shape (m, k) with a column for each class, or of shape (m,) or (m, 1) for
        the second of two classes. What it returns may also be a tensor.
    X : array_like, shape (n, 2)
        The examples.
    y : array_like, shape (n,)
        Their classes, numbers or words. The columns of probabilities are the classes
        in ascending order, or 0, ..., k - 1 if there are more columns than classes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    title : str
        The title of the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. With probabilities, a dashed line shows where the model is 90 % sure.

    Raises
    ------
    ValueError
        If X has not two features, if anything is nan or infinite, if there are more
        than ten classes, or if predict does not return one answer per row.

    Notes
    -----
    ``sklearn.inspection.DecisionBoundaryDisplay`` draws those of scikit-learn's
    estimators, told apart by colour alone.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [0.2, 0.9], [0.8, 0.1], [1.0, 1.0]])
    >>> ax = decision_regions(lambda x: x.sum(axis=1) > 1.5, X, X.sum(axis=1) > 1.5)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['False', 'True', 'boundary']
    """
    who = "decision_regions"
    points, actual = _examples(X, y)
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = 0.6 * np.ptp(points, axis=0)  # to each side: a tenth more than the points
    reach[reach == 0] = 1.0
    steps = np.linspace(-1, 1, GRID)
    across, up = centre[:, None] + reach[:, None] * steps
    grid = np.stack(np.meshgrid(across, up), axis=-1)  # (GRID, GRID, 2)
    asked = grid.reshape(-1, 2)
    classes, scores, sure = _class_scores(array_of(predict(asked)), actual, len(asked))
    scores = scores.reshape(GRID, GRID, -1)

    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    ax = axes_for(who, ax, figsize=(6.4, 4.4))
    boundary = False
    words = [f"{c:g}" if classes.dtype.kind == "f" else str(c) for c in classes]
    for i, (word, (marker, colour, hatch)) in enumerate(
        zip(words, LOOKS, strict=False)
    ):
        others = np.delete(scores, i, axis=-1).max(axis=-1, initial=-np.inf)
        # More than 0 where class i is predicted.
        lead = np.clip(scores[..., i] - others, -1, 1)
        if (lead > 0).any():
            light = tuple(1 - 0.3 * (1 - part) for part in to_rgb(colour))
            region = ax.contourf(
                across, up, lead, levels=[0, 2], colors=[light], hatches=[hatch]
            )
            region.set_edgecolor("0.75")
            region.set_linewidth(0)
            # The last class has no boundary that is not another's too.
            if (lead < 0).any() and i < len(classes) - 1:
                boundary = True
                ax.contour(across, up, lead, levels=[0], colors="black", linewidths=1.2)
        mine = points[actual == classes[i]]
        ax.scatter(
            mine[:, 0],
            mine[:, 1],
            marker=marker,
            s=30,
            c=colour,
            edgecolors="black",
            linewidths=0.7,
            label=plain(word),
            zorder=2,
        )
    handles = ax.get_legend_handles_labels()[0]
    if boundary:
        handles.append(Line2D([], [], color="black", linewidth=1.2, label="boundary"))
    top = scores.max(axis=-1)
    if sure and top.min() < 0.9 < top.max():
        line = ax.contour(across, up, top, levels=[0.9], colors="0.25", linewidths=1)
        line.set_linestyle("--")
        handles.append(Line2D([], [], ls="--", color="0.25", lw=1, label="90% sure"))
    # Beside the picture: nowhere in it is there room for certain.
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    ax.set(xlabel="feature 1", ylabel="feature 2", title=readable(title))
    return ax


def _check_activations(
    name: str, values: NDArray[np.float64], kind: str | None
) -> None:
    who = f"activation_saturation: {name!r}"
    if values.ndim < 2 or values.size == 0:
        raise ValueError(
            f"{who} must have shape (n, ...) with n examples and some units,"
            f" got {values.shape}"
        )
    if kind is None:
        return
    if kind not in RANGES:
        raise ValueError(f"{who} has kind {kind!r}; known are {', '.join(RANGES)}")
    low, high = RANGES[kind]
    outside = values[(values < low) | (values > high)]
    if outside.size:
        raise ValueError(
            f"{who} holds {outside[0]:.4g}, which no {kind} puts out; pass what comes"
            " out of the layer, not what goes in"
        )


def _range_of(values: NDArray[np.float64], kind: str | None) -> tuple[float, float]:
    """From the least to the largest that such a layer can put out, or did."""
    finite = values[np.isfinite(values)]
    low, high = RANGES.get(kind or "", (np.inf, np.inf))
    low = low if np.isfinite(low) else finite.min(initial=np.inf)
    high = high if np.isfinite(high) else finite.max(initial=-np.inf)
    if not low < high:  # one value, or none that is finite
        low = low if np.isfinite(low) else 0.0
        low, high = low - 0.5, low + 0.5
    return float(low), float(high)


def _unhealthy(
    values: NDArray[np.float64], kind: str | None
) -> tuple[NDArray[np.bool_], str, float]:
    """Which activations are saturated, or of a dead unit; in words; their share."""
    if kind is None:
        return np.zeros(values.shape, dtype=bool), "", 0.0
    if kind == "relu":
        dead = (values == 0).all(axis=0)
        words = f"dead {np.count_nonzero(dead)} of {dead.size} units"
        return np.broadcast_to(dead, values.shape), words, float(dead.mean())
    with np.errstate(invalid="ignore"):  # nan is not saturated
        slope = 4 * values * (1 - values) if kind == "sigmoid" else 1 - values**2
        bad = slope < 0.01
    return bad, f"saturated {bad.mean():.0%}", float(bad.mean())


def _examples(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[Any]]:
    points, actual = array_of(X).astype(np.float64), array_of(y)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        hint = ""
        if points.ndim == 2 and points.shape[1] > 2:
            hint = ". Train on two features: X[:, [0, 1]]"
        raise ValueError(
            "decision_regions: X must have shape (n, 2) with n > 0, got"
            f" {points.shape}{hint}"
        )
    if actual.shape != (len(points),):
        hint = ". One-hot rows: pass .argmax(axis=1)" if actual.ndim == 2 else ""
        raise ValueError(
            f"decision_regions: y must have shape ({len(points)},), one class per row"
            f" of X, got {actual.shape}{hint}"
        )
    if not np.isfinite(points).all():
        raise ValueError("decision_regions: X holds nan or infinity")
    return points, actual


def _class_scores(
    answer: NDArray[Any], actual: NDArray[Any], count: int
) -> tuple[NDArray[Any], NDArray[np.float64], bool]:
    """Return the classes, a score for each at each point, and if it is a probability.

    Without probabilities the score is 1 for the predicted class and 0 for the others.
    """
    if answer.ndim not in (1, 2) or len(answer) != count or answer.size == 0:
        raise ValueError(
            f"decision_regions: predict got an input of shape ({count}, 2) and returned"
            f" one of shape {answer.shape}; it must return one answer per row"
        )
    if answer.dtype.kind == "f" and not np.isfinite(answer).all():
        raise ValueError("decision_regions: predict returned nan or infinity")
    classes, scores = np.unique(actual), answer
    if answer.ndim == 2 and answer.shape[1] == 1:
        answer = answer[:, 0]
    if answer.ndim == 1 and answer.dtype.kind == "f" and (answer % 1 != 0).any():
        if answer.min() < 0 or answer.max() > 1:
            raise ValueError(
                "decision_regions: predict returned numbers from"
                f" {answer.min():.4g} to {answer.max():.4g}: neither classes nor"
                " probabilities"
            )
        scores = np.stack([1 - answer, answer], axis=1)
    elif answer.ndim == 1:
        if (answer.dtype.kind in "OSU") != (classes.dtype.kind in "OSU"):
            raise ValueError(
                f"decision_regions: predict returned {answer[0]!r} and the like, but y"
                f" holds {classes[0]!r}; both must be numbers, or both words"
            )
        classes = _few(np.union1d(classes, answer))
        return classes, np.equal.outer(answer, classes).astype(np.float64), False
    if scores.shape[1] > len(classes) and classes.dtype.kind in "bui":
        classes = np.union1d(classes, np.arange(scores.shape[1]))
    if scores.shape[1] != len(classes):
        raise ValueError(
            f"decision_regions: predict returned {scores.shape[1]} columns, but there"
            f" are {len(classes)} classes: {classes.tolist()}"
        )
    is_probability = scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-4)
    return _few(classes), scores, bool(is_probability)


def _few(classes: NDArray[Any]) -> NDArray[Any]:
    if len(classes) > len(LOOKS):
        raise ValueError(
            f"decision_regions: {len(classes)} classes; at most {len(LOOKS)} can be"
            " told apart. Does predict return numbers that are no classes?"
        )
    return classes
