"""Borrowing a model: it runs for a drawing, a table or a check, and is then as it was.

Of what is no layer, such as a function in a model's place, nothing is to put back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.recording import RUN, Run, recording
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.randomness import Random, set_state, state_of

__all__ = [
    "all_layers",
    "evaluating",
    "frozen_among",
    "generators_in",
    "in_training_mode",
    "left_as_it_is",
    "modes_kept",
    "recorded",
]


def all_layers(model: Any) -> list[Layer]:
    """Return a model and the layers inside it."""
    if not isinstance(model, Layer):
        return []
    return [model, *(layer for _, layer in model.named_layers())]


# ----------------------------------------------------------------------------- modes


@contextmanager
def modes_kept(model: Any) -> Iterator[None]:
    """Put each layer back into the mode in which it was."""
    layers = all_layers(model)
    before = [layer.training for layer in layers]
    back = map(setattr, layers, repeat("training"), before)
    try:
        yield
    finally:
        deque(back, maxlen=0)  # one call, into which no interrupt comes


@contextmanager
def in_training_mode(model: Layer) -> Iterator[None]:
    """Put all layers into training mode, and each back afterwards."""
    with modes_kept(model):
        model.train()
        yield


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Put a model into evaluation mode and stop recording; put both back afterwards.

    Each layer goes back into the mode in which it was, also after an error.

    Parameters
    ----------
    model : Layer or callable
        Of what is no Layer, only recording is stopped.

    Yields
    ------
    None

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Dropout()
    >>> with evaluating(model):
    ...     print(model.training)
    False
    >>> model.training
    True
    """
    with modes_kept(model):
        if isinstance(model, Layer):
            model.eval()
        with recording(False):
            yield


# ------------------------------------------------------------- numbers and recording


def frozen_among(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Return those that could be trained, but are not to be."""
    return [p for p in parameters if not p.requires_grad and p.dtype.kind == "f"]


def generators_in(*wholes: Any) -> list[tuple[str, Random]]:
    """Return every random generator in attributes of these, each once, with its path.

    Those in the layers of a model, too, and in lists, tuples and dicts.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Dropout(rng=0), te.nn.Dropout(rng=1))
    >>> [path for path, _ in generators_in(model)]
    ['0.rng', '1.rng']
    """
    found: dict[int, tuple[str, Random]] = {}
    for whole in wholes:
        prefix = "model" if isinstance(whole, Layer) else type(whole).__name__
        layers = whole.named_layers() if isinstance(whole, Layer) else []
        todo: list[tuple[str, Any]] = [
            (f"{path}.{name}", value)
            for path, holder in [(prefix, whole), *layers]
            for name, value in getattr(holder, "__dict__", {}).items()
        ][::-1]
        seen: set[int] = set()
        while todo:
            path, value = todo.pop()
            if isinstance(value, np.random.Generator | np.random.RandomState):
                found.setdefault(id(value), (path, value))
            elif isinstance(value, list | tuple | dict) and id(value) not in seen:
                seen.add(id(value))
                parts = value.items() if isinstance(value, dict) else enumerate(value)
                todo += [
                    # by its place, not as the text of a parameter's numbers
                    (f"{path}.{name if isinstance(name, str) else place}", part)
                    for place, (name, part) in enumerate(parts)
                ][::-1]
    return list(found.values())


@contextmanager
def left_as_it_is(model: Any, frozen: Sequence[Tensor] = ()) -> Iterator[None]:
    """Unfreeze what is frozen; put that, buffers and random generators back."""
    layers = all_layers(model)
    named = model.named_buffers() if layers else []
    buffers = [(x, x.copy()) for _, x in named if x.flags.writeable]
    states = [(x, state_of(x)) for _, x in generators_in(*layers[:1])]
    for p in frozen:  # so that what is computed with it is recorded, too
        p.requires_grad = True
    try:
        yield
    finally:
        for p in frozen:
            p.requires_grad = False
        for buffer, before in buffers:
            buffer[...] = before
        for x, state in states:
            set_state(x, state)


@contextmanager
def recorded(run: Run | None = None) -> Iterator[None]:
    """Record what runs on an example that it is not made for, whatever surrounds it.

    Parameters
    ----------
    run : Run, optional
        What notes the layers; without it, each outermost layer makes one.
    """
    running = RUN.get()
    try:
        RUN.set(run)
        with recording(True), np.errstate(all="ignore"):
            yield
    finally:
        RUN.set(running)
