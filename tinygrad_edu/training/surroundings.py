"""What holds while a model is trained: the mode of its layers, and what Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.nn import Layer
from tinygrad_edu.nn.borrowing import all_layers

__all__ = ["in_training_mode", "interruptible", "modes_kept"]


@contextmanager
def modes_kept(model: Layer) -> Iterator[None]:
    """Put each layer back into the mode in which it was."""
    layers = all_layers(model)
    before = [layer.training for layer in layers]
    try:
        yield
    finally:
        for layer, mode in zip(layers, before, strict=True):
            layer.training = mode


@contextmanager
def in_training_mode(model: Layer) -> Iterator[None]:
    """Put all layers into training mode, and each back afterwards."""
    with modes_kept(model):
        model.train()
        yield


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Have the first Ctrl-C call ``interrupt``, so that no step is left half made."""
    usual = signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not usual
    ):
        yield
        return

    def first(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, usual)
        interrupt()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
