"""Layers, losses and initialisers."""

from tinygrad_edu.nn import initializers
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.nn.layers import Linear, ReLU, Sequential, Sigmoid, Softmax, Tanh
from tinygrad_edu.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    mse_loss,
    softmax_cross_entropy,
)

__all__ = [
    "Layer",
    "Linear",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "initializers",
    "mse_loss",
    "softmax_cross_entropy",
]
