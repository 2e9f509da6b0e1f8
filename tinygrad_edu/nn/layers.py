"""The layers: dense, activations, and layers in sequence. Layers take rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.core import Tensor, tensor
from tinygrad_edu.nn.initializers import Initializer, named
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.randomness import RandomSource

__all__ = ["Linear", "ReLU", "Sequential", "Sigmoid", "Softmax", "Tanh"]


class Linear(Layer):
    """A dense layer: every output is a weighted sum of all inputs, plus a bias.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis, before and after.
    bias : bool, default True
        Whether to add a bias; it starts at 0.
    init : str or callable, default "glorot_uniform"
        A name from :mod:`tinygrad_edu.nn.initializers`, or a function of a shape and a
        random generator that returns an array.
    rng : int, Generator, RandomState or None
        Where the weights are drawn from.
    dtype : dtype, default float64

    Attributes
    ----------
    weight : Tensor, shape (out_features, in_features)
    bias : Tensor, shape (out_features,), or None

    Raises
    ------
    ValueError
        If a size is not positive; when called, if the last axis does not fit.

    Notes
    -----
    x Wᵀ + b; the derivatives are those of :func:`tinygrad_edu.linear`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.Linear(3, 2, rng=0)
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        init: str | Initializer = "glorot_uniform",
        rng: RandomSource = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        for size in (in_features, out_features):
            if not isinstance(size, int | np.integer) or size < 1:
                raise ValueError(
                    "Linear: in_features and out_features must be positive integers, "
                    f"got {in_features!r} and {out_features!r}"
                )
        shape = (int(out_features), int(in_features))
        weights = named(init)(shape, rng)
        if np.shape(weights) != shape:
            raise ValueError(
                f"Linear: init returned shape {np.shape(weights)}, not {shape}"
            )
        # Column by column in memory, as the products want it: at batch 64 the forward
        # one of 784-64 takes 49 us instead of 57, the gradient's 42 instead of 45.
        weights = np.asfortranarray(weights)
        self.weight = tensor(weights, requires_grad=True, name="weight", dtype=dtype)
        self.bias: Tensor | None = None
        if bias:
            zeros = np.zeros(shape[0])
            self.bias = tensor(zeros, requires_grad=True, name="bias", dtype=dtype)

    def forward(self, x: Any) -> Any:
        """Return x Wᵀ + b for ``x`` of shape (..., in_features)."""
        try:
            return ops.linear.call(x, self.weight, self.bias)
        except (ValueError, TypeError):
            size = self.weight.shape[1]
            if np.ndim(x) and np.shape(x)[-1] == size:
                raise
            self.refuse(x, f"its last axis must be {size}")

    def extra_repr(self) -> str:
        """Return the sizes: ``64 -> 10``."""
        out_features, in_features = self.weight.shape
        without = "" if self.bias is not None else ", bias=False"
        return f"{in_features} -> {out_features}{without}"


class Sigmoid(Layer):
    """The logistic function 1 / (1 + e⁻ˣ), elementwise.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Sigmoid()([0.0])
    array([0.5])
    """

    def forward(self, x: Any) -> Any:
        """Return σ(x), of ``x``'s shape."""
        return ops.sigmoid.call(x)


class Tanh(Layer):
    """The hyperbolic tangent, elementwise.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Tanh()([0.0])
    array([0.])
    """

    def forward(self, x: Any) -> Any:
        """Return tanh x, of ``x``'s shape."""
        return ops.tanh.call(x)


class ReLU(Layer):
    """The rectified linear unit max(x, 0), elementwise.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.ReLU()([-1.0, 2.0])
    array([0., 2.])
    """

    def forward(self, x: Any) -> Any:
        """Return max(x, 0), of ``x``'s shape."""
        return ops.relu.call(x)


class Softmax(Layer):
    """Exponentials divided by their sum along an axis.

    Its output is for looking at: :func:`softmax_cross_entropy` takes what goes in.

    Parameters
    ----------
    axis : int, default -1

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Softmax()([0.0, 0.0])
    array([0.5, 0.5])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """Return softmax x, of ``x``'s shape."""
        return ops.softmax(x, axis=self.axis)

    def extra_repr(self) -> str:
        """Return the axis, unless it is the last."""
        return "" if self.axis == -1 else f"axis={self.axis}"


class Sequential(Layer):
    """Layers one after the other; their names are ``0``, ``1``, ...

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
            if not isinstance(layer, Layer):
                hint = ""
                if isinstance(layer, list | tuple):
                    hint = "; write Sequential(*layers) for a list of layers"
                elif isinstance(layer, type):
                    hint = f"; write {layer.__name__}()"
                raise TypeError(
                    f"Sequential: argument {position} must be a Layer, got "
                    f"{type(layer).__name__}{hint}"
                )
            setattr(self, str(position), layer)

    def __iter__(self) -> Iterator[Layer]:
        return iter([x for x in tuple(vars(self).values()) if isinstance(x, Layer)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, position: int) -> Layer:
        return list(self)[position]

    def forward(self, x: Any) -> Any:
        """Return the output of the last layer."""
        for layer in list(vars(self).values()):
            if isinstance(layer, Layer):
                x = layer(x)
        return x
