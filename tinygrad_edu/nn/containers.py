"""Layers made of layers: one after the other, or one with a way around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

import numpy as np

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.operands import unmasked
from tinygrad_edu.engine.recording import current_scope
from tinygrad_edu.nn.layer import Layer

__all__ = ["Residual", "Sequential"]


def _check_layer(layer: Any, who: str) -> None:
    if isinstance(layer, Layer):
        return
    hint = ""
    if isinstance(layer, type):
        hint = f"; write {layer.__name__}()"
    elif isinstance(layer, Mapping):
        hint = "; write Sequential(*layers.values()) for a dict of layers"
    elif isinstance(layer, Iterable) and not isinstance(layer, Tensor | np.ndarray):
        hint = "; write Sequential(*layers) for a list of layers"
    elif callable(layer):
        hint = "; write a Layer whose forward(self, x) calls it"
    raise TypeError(f"{who} must be a Layer, got {type(layer).__name__}{hint}")


class Sequential(Layer):
    """Layers one after the other; their names are ``0``, ``1``, ...

    It reads like a list: iteration, ``len(model)``, ``model[0]``, and a slice, which
    is a Sequential of the same layers. ``model[2] = layer`` replaces a layer.

    Parameters
    ----------
    *layers : Layer

    Raises
    ------
    TypeError
        If one of them is no Layer.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Sequential(te.nn.Linear(784, 64), te.nn.Sigmoid(), te.nn.Linear(64, 10))
    Sequential(
      0: Linear(784 -> 64)
      1: Sigmoid()
      2: Linear(64 -> 10)
    )
    """

    def __init__(self, *layers: Any) -> None:
        for position, layer in enumerate(layers):
            _check_layer(layer, f"Sequential: argument {position}")
            setattr(self, str(position), layer)

    @property
    def independent_rows(self) -> bool:  # type: ignore[override]
        """Whether it is so of every layer in it."""
        return all(layer.independent_rows for layer in self)

    def __iter__(self) -> Iterator[Layer]:
        return iter([x for x in tuple(vars(self).values()) if isinstance(x, Layer)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, position: int) -> Layer: ...

    @overload
    def __getitem__(self, position: slice) -> Sequential: ...

    def __getitem__(self, position: int | slice) -> Layer:
        layers = list(self)
        if isinstance(position, slice):
            return Sequential(*layers[position])
        return layers[position]

    def __setitem__(self, position: int, layer: Layer) -> None:
        _check_layer(layer, f"Sequential: layer {position}")
        names = [name for name, x in vars(self).items() if isinstance(x, Layer)]
        setattr(self, names[position], layer)

    def append(self, layer: Layer) -> Sequential:
        """Put a layer at the end; return the Sequential.

        Parameters
        ----------
        layer : Layer

        Returns
        -------
        Sequential
            This one.

        Raises
        ------
        TypeError
            If it is no Layer.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> model = te.nn.Sequential()
        >>> for size in (3, 2):
        ...     model = model.append(te.nn.Linear(4, size))
        >>> model
        Sequential(
          0: Linear(4 -> 3)
          1: Linear(4 -> 2)
        )
        """
        _check_layer(layer, "Sequential.append: layer")
        position = len(self)
        while str(position) in vars(self):  # an attribute before it was deleted
            position += 1
        setattr(self, str(position), layer)
        return self

    def forward(self, x: Any) -> Any:
        """Return the output of the last layer."""
        for layer in list(vars(self).values()):
            if isinstance(layer, Layer):
                x = layer(x)
        return x


class Residual(Layer):
    """A layer with a way around it: x + inner(x).

    The layer need only learn what to change about x, and the gradient has a way back
    on which nothing makes it smaller.

    Parameters
    ----------
    inner : Layer
        Returns an array of the shape that it is given; a :class:`Sequential` for
        several layers.

    Raises
    ------
    TypeError
        If ``inner`` is no Layer.
    ValueError
        When called, if ``inner`` returns another shape.

    Notes
    -----
    y = x + f(x); dL/dx = g + what f hands back. Source: K. He, X. Zhang, S. Ren and
    J. Sun, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.nn.Residual(te.nn.ReLU())(np.array([[-1.0, 2.0]]))
    array([[-1.,  4.]])
    """

    def __init__(self, inner: Layer) -> None:
        _check_layer(inner, "Residual: inner")
        self.inner = inner

    @property
    def independent_rows(self) -> bool:  # type: ignore[override]
        """Whether it is so of the layer inside."""
        return self.inner.independent_rows

    def forward(self, x: Any) -> Any:
        """Return x + inner(x), of ``x``'s shape."""
        x = x if isinstance(x, Tensor) else unmasked(x, type(self).__name__)
        y = self.inner(x)
        if np.shape(y) != x.shape:
            kind = type(self.inner).__name__
            error = ValueError(
                f"{current_scope()}: its inner layer, {kind}, was given {x.shape} and "
                f"gave {np.shape(y)}; to be added to its input it must keep the shape"
            )
            raise errors.drawable(error, "Residual", [y])
        return x + y
