"""The lecture's pictures, and the graphs of its networks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import nn, ops, plots
from tinygrad_edu.course.lecture.results import Result
from tinygrad_edu.course.lecture.systems import (
    SYSTEMS,
    System,
    as_input,
    class_names,
    drawn,
    expect_known,
)
from tinygrad_edu.course.lecture.training import Split
from tinygrad_edu.drawing import Drawing, draw
from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.traversal import nodes_of

_BATCH = 32  # rows in a drawing


def save_pictures(
    results: Iterable[Result], split: Split, folder: str | Path
) -> list[Path]:
    """Write the lecture's pictures, and each network's graph, into a folder.

    Parameters
    ----------
    results : iterable of Result
    split : tuple of ndarray
        The data that they were trained on.
    folder : path
        Is made if it is not there.

    Returns
    -------
    list of Path
        What was written: as .png the sigmoid, all loss curves, and for each system a
        sheet of test digits with predictions and the confusion matrix; its graph as
        .svg, as .html, in which one walks through the backward pass, and as .dot.

    Examples
    --------
    >>> from tinygrad_edu.course import lecture
    >>> split = lecture.load("digits")
    >>> results = lecture.run(["neuron"], split, epochs=2, say=lambda line: None)
    >>> written = lecture.save_pictures(results, split, getfixture("tmp_path"))
    >>> [path.name for path in written][:2]
    ['sigmoid.png', 'neuron-samples.png']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    X, y, X_test, y_test = split
    written = [
        plots.save(
            plots.activation(ops.sigmoid, title="Sigmoid"), folder / "sigmoid.png"
        )
    ]
    curves = None
    for result in results:
        system, name = result.system, result.system.name
        curves = plots.loss_curve(
            np.arange(len(result.curve)), result.curve, ax=curves, label=name, log=True
        )
        predicted = system.predict(result.model, X_test)
        actual = system.classes(y_test)
        words = np.array(class_names(system))
        pictures = {
            "samples": plots.digit_samples(
                X_test[:32],
                words[actual[:32].astype(int)],
                words[predicted[:32].astype(int)],
            ),
            "confusion-matrix": plots.confusion_matrix(
                result.confusion_matrix, class_names=class_names(system)
            ),
        }
        for kind, picture in pictures.items():
            written.append(plots.save(picture, folder / f"{name}-{kind}.png"))
        graph = draw(_loss_of(system, result.model, X, y))
        for form in ("svg", "html", "dot"):
            written.append(graph.save(folder / f"{name}-graph.{form}"))
    if curves is not None:
        written.append(plots.save(curves, folder / "loss-curves.png"))
    return written


def drawing(name: str, split: Split, **options: Any) -> Drawing:
    """Draw the graph of a system's loss on 32 examples, before training.

    Parameters
    ----------
    name : str
        Of one of :data:`SYSTEMS`.
    split : tuple of ndarray
        ``X_train, y_train, X_test, y_test``, of digits.
    **options
        As for :func:`tinygrad_edu.draw`.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no system of that name.

    Examples
    --------
    >>> from tinygrad_edu.course import lecture
    >>> lecture.drawing("neuron", lecture.load("digits")).graph.title
    'L: 10 operations'
    """
    expect_known([name])
    X, y, *_ = split
    model, order = drawn(*X.shape)[name]
    first = order[:_BATCH]
    return draw(_loss_of(SYSTEMS[name], model, X[first], y[first]), **options)


def _loss_of(system: System, model: nn.Sequential, X: Any, y: Any) -> Tensor:
    """Return the loss on the first rows, with the lecture's names for a drawing."""
    batch = tensor(as_input(model, X[:_BATCH]), name="X")
    target = tensor(system.targets(y[:_BATCH]), name="Y")
    loss: Tensor = system.loss(model(batch), target)
    dense = [layer for layer in model if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(dense, 1):
        layer.weight.name = f"W{number}"
        if layer.bias is not None:
            layer.bias.name = f"b{number}"
    results: dict[str, list[Tensor]] = {"linear": [], "sigmoid": []}
    for node in nodes_of([loss]):
        results.get(node.op.name, []).append(node)
    for letter, nodes in zip("ZA", results.values(), strict=True):
        for number, node in enumerate(nodes, 1):
            node.name = f"{letter}{number}"
    loss.name = "L"
    return loss
