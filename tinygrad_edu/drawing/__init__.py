"""Pictures of the graph, in which one sees backpropagation happen.

``levels`` chooses what gets a box, ``capture`` copies what is to be seen of it into the
plain data of ``graph``; ``dot``, ``text``, ``svg`` and ``page`` write that down.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinygrad_edu.drawing.graph import Graph, Step
from tinygrad_edu.drawing.layers import output_of
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.recording import Failed
from tinygrad_edu.files import written_atomically
from tinygrad_edu.nn.layer import VIEWS as OF_LAYERS
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.profiling.report import VIEWS as OF_PROFILES

__all__ = ["Drawing", "Steps", "draw"]

_LEVELS = ("auto", "model", "layer", "op", "scalar")
_BACKWARD = ("off", "edges", "rules")
_SHOW = ("shape", "value", "gradient")
_DIRECTIONS = ("TB", "LR")
_FORMATS = (".dot", ".svg", ".png", ".pdf", ".html")
_figure = itertools.count(1)


def draw(
    what: Any,
    *inputs: Any,
    level: str = "auto",
    backward: str = "rules",
    show: Collection[str] = _SHOW,
    names: Mapping[str, Any] | None = None,
    fold: bool = True,
    direction: str = "TB",
    max_nodes: int = 150,
    legend: bool = False,
) -> Drawing:
    """Draw the graph behind a tensor: what was computed, and how the gradient flows.

    A box is an operation with its result, its numbers and its gradient; parameters have
    sharp corners and a thick border, the tensor drawn has a double one. Solid edges
    lead from what was used to what was computed from it; the dashed ones lead back, and
    on each stands the rule that carried the gradient. Operations recorded in a layer
    stand in its frame. A bar over a name is the gradient of the output by it.

    Parameters
    ----------
    what : Tensor, Layer or Exception
        The result of a computation, of any shape, such as the loss; a layer, which is
        then run on ``inputs``; or the error of an operation that failed, for the graph
        up to there.
    *inputs : array_like
        What the layer is run on, of the shapes that it takes; nothing for a tensor.
    level : {"auto", "model", "layer", "op", "scalar"}
        One box for each part of a model, each layer, each operation, or each number
        (of at most 60); "auto" is "op" up to 40 operations, then "layer".
    backward : {"rules", "edges", "off"}
        Draw the edges of the gradients with the rule on each, without, or nothing of
        gradients at all.
    show : collection of {"shape", "value", "gradient"}
        What is written into the boxes.
    names : mapping of str to Tensor or array, optional
        Names for tensors without one: ``names=locals()``.
    fold : bool, default True
        Of more than 40 boxes, draw equal blocks that follow one another once.
    direction : {"TB", "LR"}
        Where the edges lead: from top to bottom, or from left to right.
    max_nodes : int, default 150
        Of more boxes than these, the oldest are gathered in one.
    legend : bool, default False
        Explain the picture's signs beside it.

    Returns
    -------
    Drawing
        ``.svg()``, ``.text()``, ``.source``, ``.steps()``, ``.save("a.html")``, ...;
        shows itself in a notebook.

    Raises
    ------
    TypeError
        If ``what`` is none of these, or a layer without inputs.
    ValueError
        If an option is none of those above; for level "scalar", if there are more than
        60 numbers.

    Notes
    -----
    The gradients are computed for the drawing, of all that is in it: ``backward`` need
    not be called, and no ``.grad`` is touched. All is copied: what happens to the
    tensors later changes no drawing.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
    >>> y = te.sigmoid(w @ te.tensor([2.0, 3.0], name="x"))
    >>> y.name = "y"
    >>> print(te.draw(y).text())
    y: 2 operations
    y = σ(t1): sigmoid, () float64; 0.953; gradient 1
    t1 = w · x: matmul, () float64; 3; gradient 0.0452
        gradient = y · (1 − y)
      w: parameter, (2,) float64; [0, 1]; gradient [0.0904, 0.136]
          gradient = t̄1 · x
      x: input, (2,) float64; [2, 3]
    >>> te.draw(y).save("neuron.html")  # doctest: +SKIP
    """
    _check("level", level, _LEVELS)
    _check("backward", backward, _BACKWARD)
    _check("direction", direction, _DIRECTIONS)
    show = {show} if isinstance(show, str) else set(show)
    for part in show:
        _check("show", part, _SHOW)
    if backward == "off":
        show -= {"gradient"}
    if not isinstance(names, Mapping | None):
        raise TypeError(
            f"draw: names must be a mapping, such as locals(), got {names!r}"
        )
    if isinstance(max_nodes, bool) or not isinstance(max_nodes, int) or max_nodes < 1:
        raise ValueError(f"draw: max_nodes must be 1 or more, got {max_nodes!r}")
    options: dict[str, Any] = {
        "level": level,
        "backward": backward,
        "show": show,
        "names": names,
        "fold": fold,
        "direction": direction,
        "max_nodes": max_nodes,
        "legend": legend,
    }
    if isinstance(what, Layer):
        drawing: Drawing = what.draw(*inputs, **options)
        return drawing
    if inputs:
        raise TypeError(f"draw: inputs are for a layer, got {type(what).__name__}")
    if isinstance(what, Exception):
        if not isinstance(failed := getattr(what, "failed", None), Failed):
            raise TypeError(
                f"draw: this {type(what).__name__} keeps no graph: only the error of "
                "an operation on results that were recorded does"
            ) from what
        what = failed
    if not isinstance(what, Tensor | Failed):
        raise TypeError(
            "draw: expected a Tensor, a layer with its inputs, or the error of an "
            f"operation that failed, got {type(what).__name__}. A graph belongs to "
            "what was computed: te.draw(loss), te.draw(model, x)"
        )
    if level == "scalar":
        from tinygrad_edu.drawing.scalars import capture_scalars

        graph = capture_scalars(what, names=names)
    else:
        from tinygrad_edu.drawing.capture import capture

        graph = capture(
            what, level=level, show=show, names=names, fold=fold, max_nodes=max_nodes
        )
    return Drawing(graph.showing(backward), direction=direction, legend=legend)


def _draw_layer(
    layer: Layer, inputs: Sequence[Any], options: dict[str, Any]
) -> Drawing:
    output, names = output_of(layer, inputs, options.pop("names", None))
    return draw(output, names=names, **options)


def _draw_costs(
    loss: Tensor, *, costs: Callable[..., Any], note: str, level: str, direction: str
) -> Drawing:
    from tinygrad_edu.drawing.capture import capture

    names = {"loss": loss}
    graph = capture(loss, level=level, show={"shape"}, names=names, costs=costs)
    graph = replace(graph, notes=(note, *graph.notes))
    return Drawing(graph, direction=direction, legend=False)


OF_LAYERS["draw"] = _draw_layer
OF_PROFILES["draw"] = _draw_costs


def _check(option: str, given: Any, allowed: Collection[str]) -> None:
    if given not in allowed:
        raise ValueError(
            f"draw: {option} must be one of {', '.join(allowed)}, got {given!r}"
        )


class Steps(tuple[Step, ...]):
    """The walk backward: one ``Step`` for each operation; its text when printed.

    Parameters
    ----------
    graph : Graph
        Of a drawing.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True, name="w")
    >>> steps = te.draw(w * w).steps()
    >>> len(steps), len(steps[0].shares)
    (1, 2)
    >>> steps
    Step 1 of 1: t1 = w · w
      is given  t̄1: (), 1
      hands on  w̄ = w    () → (); 3; 1 of 2: more to come
      hands on  w̄ += w    () → (); 3; 2 of 2: complete
    """

    graph: Graph

    def __new__(cls, graph: Graph) -> Steps:
        self = super().__new__(cls, graph.steps)
        self.graph = graph
        return self

    def __repr__(self) -> str:
        from tinygrad_edu.drawing.text import steps_text

        return steps_text(self.graph)


class Drawing:
    """A graph as a picture, in many forms; made by :func:`tinygrad_edu.draw`.

    Parameters
    ----------
    graph : Graph
        What is to be seen, as plain data.
    direction : {"TB", "LR"}
        Where the edges lead: from top to bottom, or from left to right.
    legend : bool
        Whether the picture's signs are explained beside it.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor(3.0, requires_grad=True, name="w")
    >>> drawing = te.draw(w * w)
    >>> print(drawing.text())
    t1: 1 operation
    t1 = w · w: multiply, () float64; 9; gradient 1
      w: parameter, () float64; 3; gradient 6 [left]
          gradient += w
      w (above) [right]
          gradient += w
    >>> len(drawing.steps())
    1
    >>> drawing.source[:7], drawing.svg()[:4], drawing.to_dict()["title"]
    ('digraph', '<svg', 't1: 1 operation')
    >>> drawing.show()  # doctest: +SKIP
    >>> drawing.interactive()  # in a notebook  # doctest: +SKIP
    """

    def __init__(self, graph: Graph, *, direction: str, legend: bool) -> None:
        self.graph = graph
        self._direction, self._legend = direction, legend

    @property
    def source(self) -> str:
        """The drawing in the DOT language, for Graphviz."""
        from tinygrad_edu.drawing.dot import to_dot  # graphviz takes 50 ms to import

        return to_dot(self.graph, direction=self._direction, legend=self._legend)

    def text(self) -> str:
        """Return the drawing as a tree of text."""
        from tinygrad_edu.drawing.text import to_text

        return to_text(self.graph)

    def steps(self) -> Steps:
        """Return the walk backward: data to iterate over, text when printed."""
        return Steps(self.graph)

    def to_dict(self) -> dict[str, Any]:
        """Return what is to be seen as dicts, lists, texts and numbers, for JSON."""
        return self.graph.to_dict()

    def svg(self) -> str:
        """Return the drawing as SVG, which needs no other program."""
        from tinygrad_edu.drawing.svg import to_svg

        return to_svg(self.graph, direction=self._direction, legend=self._legend)

    def interactive(self) -> Interactive:
        """Return the walk backward step by step, to be shown in a notebook."""
        return Interactive(self.graph, self._direction)

    def save(self, path: str | Path) -> Path:
        """Write the drawing to a file.

        Parameters
        ----------
        path : path
            The ending tells the format: .dot, .svg, .png, .pdf, or .html, a page that
            walks through the backward pass step by step.

        Returns
        -------
        Path

        Raises
        ------
        ValueError
            If the ending is none of these.
        RuntimeError
            For .png and .pdf, if the program ``dot`` of Graphviz is not installed.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> w = te.tensor(2.0, requires_grad=True, name="w")
        >>> te.draw(w * w).save("square.svg")  # doctest: +SKIP
        """
        path = Path(path)
        form = path.suffix.lower()
        if form not in _FORMATS:
            raise ValueError(
                f"save: the ending must be one of {', '.join(_FORMATS)}, "
                f"got {path.name!r}"
            )
        data = self._written(form)
        with written_atomically(path) as file:
            file.write(data)
        return path

    def _written(self, form: str) -> bytes:
        if form == ".dot":
            return self.source.encode()
        if form == ".svg":
            return self.svg().encode()
        if form == ".html":
            from tinygrad_edu.drawing.page import to_page

            return to_page(self.graph, direction=self._direction).encode()
        from tinygrad_edu.drawing.dot import run_dot

        return run_dot(self.source, form[1:])

    def show(self) -> None:
        """Show it: in a notebook below the cell, elsewhere in the web browser."""
        if "IPython" in sys.modules:
            from IPython import get_ipython
            from IPython.display import display

            if getattr(get_ipython(), "kernel", None) is not None:
                display(self)
                return
        import webbrowser  # here: importing the package must stay cheap

        folder = Path(tempfile.mkdtemp(prefix="tinygrad-edu-"))
        page = self.save(folder / "drawing.html")
        if not webbrowser.open(page.as_uri()):
            print(self.text())
            print(f"No web browser was found; the page is {page}")

    def __repr__(self) -> str:
        return f"<Drawing of {self.graph.title}; .text(), .show() or .save(...)>"

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> dict[str, str]:
        bundle = {"text/plain": self.text()}
        try:
            bundle["image/svg+xml"] = self.svg()
        except Exception as error:  # a cell must show something, whatever happens
            bundle["text/plain"] += f"\n(no picture: {error})"
        return bundle


class Interactive:
    """The walk backward through a drawing, step by step, in a notebook."""

    def __init__(self, graph: Graph, direction: str) -> None:
        self.graph, self._direction = graph, direction
        self._prefix = f"figure{next(_figure)}"

    def _repr_html_(self) -> str:
        from tinygrad_edu.drawing.page import to_fragment

        return to_fragment(self.graph, prefix=self._prefix, direction=self._direction)
