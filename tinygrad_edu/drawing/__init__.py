"""Pictures of the graph.

``graph`` captures as plain data what is to be seen, ``labels`` is the text in it, and
``dot`` writes it for Graphviz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_edu.core import Tensor
from tinygrad_edu.drawing.graph import capture

if TYPE_CHECKING:
    import graphviz

__all__ = ["draw"]

_MOST_BOXES = 500  # nobody reads more, and Graphviz may need minutes for them
_MOST_ARROWS = 1000


def draw(tensor: Tensor, *, direction: str = "TB") -> graphviz.Digraph:
    """Draw the graph behind a tensor.

    A box with round corners is an operation with its result, or an input; one with
    sharp corners and a thick border is a parameter: a leaf that requires gradients.
    The tensor drawn has a double border. Arrows lead from what was used to what was
    computed from it. Operations recorded in a layer stand in a frame.

    Parameters
    ----------
    tensor : Tensor
        The result of a computation, such as the loss; before ``backward``, which frees
        the graph.
    direction : {"TB", "LR"}, default "TB"
        Where the arrows lead: from top to bottom, or from left to right.

    Returns
    -------
    graphviz.Digraph
        Shows itself in a notebook; ``.render("net", format="pdf")`` writes a file. Both
        need the program ``dot`` of Graphviz; ``.source``, the text, does not.

    Raises
    ------
    TypeError
        If ``tensor`` is no Tensor: a layer has no graph, only what it returns.
    ValueError
        If there are more than 500 boxes or 1000 arrows, or there is no such direction.
    RuntimeError
        If an earlier backward freed the graph.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
    >>> picture = te.draw((w * [2.0, 3.0]).sum())
    >>> "w · input" in picture.source
    True
    >>> picture.render("neuron", format="pdf")  # doctest: +SKIP
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"draw: expected a Tensor, got {type(tensor).__name__}. A graph belongs to "
            "what was computed; for a layer, draw its output: te.draw(model(x))"
        )
    if direction not in ("TB", "LR"):
        raise ValueError(f"draw: direction must be 'TB' or 'LR', got {direction!r}")
    graph = capture(tensor)
    boxes, arrows = len(graph.boxes), len(graph.arrows)
    if boxes > _MOST_BOXES or arrows > _MOST_ARROWS:
        raise ValueError(
            f"draw: the graph has {boxes:,} boxes and {arrows:,} arrows; more than "
            f"{_MOST_BOXES} or {_MOST_ARROWS} make no picture to read. Draw a tensor "
            "nearer to the inputs, or the same computation with fewer layers or steps"
        )
    from tinygrad_edu.drawing.dot import to_dot  # graphviz takes 50 ms to import

    return to_dot(graph, direction)
