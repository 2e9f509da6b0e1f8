"""Activation functions as layers: one declaration each, around an operation."""

from __future__ import annotations

from typing import Any

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Op
from tinygrad_edu.nn.layer import Layer

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Hardtanh",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]


class Activation(Layer):
    """A layer that applies an operation of one array: a subclass says which.

    The formula and the derivatives are those of the operation. Where it takes numbers
    besides the array, attributes of the same names hold them.

    Attributes
    ----------
    operation : Op

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> class Square(te.nn.Activation):
    ...     operation = te.square
    >>> Square()([1.0, -3.0])
    array([1., 9.])
    """

    operation: Op
    independent_rows = True

    def forward(self, x: Any) -> Any:
        """Return what the operation makes of ``x``, of its shape."""
        return self.operation.call(x)


class _Adjustable(Activation):
    """One whose operation takes numbers, too: attributes named like its metadata."""

    def forward(self, x: Any) -> Any:
        """Return what the operation makes of ``x``, of its shape."""
        names = self.operation.metadata
        return self.operation.call(x, **{name: getattr(self, name) for name in names})

    def extra_repr(self) -> str:
        """Return what is not as the operation has it by default."""
        return ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name, default in self.operation.metadata.items()
            if getattr(self, name) != default
        )


class Sigmoid(Activation):
    """The logistic function 1 / (1 + e⁻ˣ), elementwise.

    From 0 to 1: a probability, as the last layer for a yes or no, or a gate. Inside a
    network its slope, at most 1/4, makes gradients smaller with each layer.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Sigmoid()([0.0])
    array([0.5])
    """

    operation = ops.sigmoid


class Tanh(Activation):
    """The hyperbolic tangent, elementwise.

    From -1 to 1, with slope 1 at 0: a sigmoid whose outputs are centred.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Tanh()([0.0])
    array([0.])
    """

    operation = ops.tanh


class ReLU(Activation):
    """The rectified linear unit max(x, 0), elementwise.

    It keeps the gradient where it is active, and stops it elsewhere: a unit that is
    never active learns nothing more, unlike with :class:`LeakyReLU`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.ReLU()([-1.0, 2.0])
    array([0., 2.])
    """

    operation = ops.relu


class LeakyReLU(_Adjustable):
    """x where it is positive, else a fraction of it, so that no unit dies.

    Parameters
    ----------
    negative_slope : float, default 0.01
        The slope for negative numbers, dimensionless.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.LeakyReLU(0.1)([-1.0, 2.0])
    array([-0.1,  2. ])
    """

    operation = ops.leaky_relu

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope


class ELU(_Adjustable):
    """x where it is positive, else alpha (eˣ - 1), which levels off at -alpha.

    Negative outputs bring the mean of a layer's outputs nearer to 0 than those of
    :class:`ReLU`.

    Parameters
    ----------
    alpha : float, default 1.0
        Minus the limit for very negative numbers, dimensionless; at 1 there is no kink.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.ELU()([-100.0, 2.0])
    array([-1.,  2.])
    """

    operation = ops.elu

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class SELU(Activation):
    """An :class:`ELU` scaled such that mean 0 and variance 1 are kept.

    That holds from layer to layer for weights of mean 0 and variance 1 / in, without
    any normalisation.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.SELU()([-100.0, 1.0])
    array([-1.75809934,  1.05070099])
    """

    operation = ops.selu


class GELU(_Adjustable):
    """x times the probability that a standard normal number is smaller than x.

    Smooth, and near x or 0 away from the origin: the usual choice in transformers.

    Parameters
    ----------
    approximate : {"none", "tanh"}, default "none"
        Whether to take the exact probability, or a formula with a hyperbolic tangent.

    Raises
    ------
    ValueError
        If ``approximate`` is neither.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.GELU()([0.0, 1.0])
    array([0.        , 0.84134475])
    """

    operation = ops.gelu

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate
        self.forward(0.0)  # the operation refuses what it does not know


class SiLU(Activation):
    """x times its sigmoid, also known as swish: smooth, with a shallow minimum.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.SiLU()([-1.0, 0.0, 2.0])
    array([-0.26894142,  0.        ,  1.76159416])
    """

    operation = ops.silu


class Mish(Activation):
    """x times tanh(softplus(x)): much like :class:`SiLU`, a little steeper.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Mish()([-1.0, 0.0, 2.0])
    array([-0.30340146,  0.        ,  1.94395896])
    """

    operation = ops.mish


class Hardtanh(_Adjustable):
    """The number, but not below ``min_val`` nor above ``max_val``.

    Parameters
    ----------
    min_val, max_val : float, default -1.0 and 1.0
        The bounds, dimensionless; 0 and 6 make what is known as ReLU6.

    Raises
    ------
    ValueError
        If ``min_val`` exceeds ``max_val``.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Hardtanh()([-3.0, 0.5])
    array([-1. ,  0.5])
    """

    operation = ops.hard_tanh

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        self.min_val, self.max_val = min_val, max_val
        self.forward(0.0)  # the operation refuses bounds in the wrong order


class Softplus(Activation):
    """log(1 + eˣ), a smooth :class:`ReLU`: its slope is the sigmoid.

    Always positive, as a scale or a variance must be.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Softplus()([-100.0, 100.0]).round(3)
    array([  0., 100.])
    """

    operation = ops.softplus


class Softsign(Activation):
    """``x / (1 + |x|)``: from -1 to 1 like :class:`Tanh`, but slow to get there.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.Softsign()([-1.0, 3.0])
    array([-0.5 ,  0.75])
    """

    operation = ops.softsign


class _AlongAxis(_Adjustable):
    """One that mixes the numbers along an axis."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    @property
    def independent_rows(self) -> bool:  # type: ignore[override]
        """Whether the axis is none that the rows could lie along."""
        return self.axis == -1 or self.axis > 0


class Softmax(_AlongAxis):
    """Exponentials divided by their sum along an axis: probabilities.

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

    operation = ops.softmax


class LogSoftmax(_AlongAxis):
    """The logarithm of :class:`Softmax`, never of 0: what :func:`nll_loss` takes.

    Parameters
    ----------
    axis : int, default -1

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.nn.LogSoftmax()([0.0, 1000.0])
    array([-1000.,     0.])
    """

    operation = ops.log_softmax
