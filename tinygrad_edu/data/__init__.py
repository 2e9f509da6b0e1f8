"""Data sets, and the mini-batches to train on."""

from tinygrad_edu.data.batching import batches
from tinygrad_edu.data.digits import load_digits
from tinygrad_edu.data.mnist import load_mnist

__all__ = ["batches", "load_digits", "load_mnist"]
