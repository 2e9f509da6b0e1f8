"""Optimisers: from gradients to new parameters; schedules and clipping for them."""

from tinygrad_edu.optim import schedules
from tinygrad_edu.optim.adam import Adam, AdamW
from tinygrad_edu.optim.clipping import clip_grad_norm, clip_grad_value
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.rmsprop import RMSProp
from tinygrad_edu.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSProp",
    "clip_grad_norm",
    "clip_grad_value",
    "schedules",
]
