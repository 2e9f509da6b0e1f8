"""Borrowing a model: it runs for a drawing, a table or a check, and is then as it was.

Of what is no layer, such as a function in a model's place, nothing is to put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from operator import call
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.interrupts import undone
from tinygrad_edu.engine.recording import RECORDING, RUN, Run
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.randomness import Random, setter, state_of

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


def _modes(model: Any) -> Iterator[None]:
    """Put each layer back into the mode in which it is now."""
    layers = all_layers(model)
    before = [layer.training for layer in layers]
    return map(setattr, layers, repeat("training"), before)


def modes_kept(model: Any) -> undone[None]:
    """Put each layer back into the mode in which it was."""
    return undone(lambda: None, _modes(model))


def in_training_mode(model: Layer) -> undone[Layer]:
    """Put all layers into training mode, and each back afterwards."""
    return undone(model.train, _modes(model))


def evaluating(model: Any) -> undone[None]:
    """Put a model into evaluation mode and stop recording; put both back afterwards.

    Each layer goes back into the mode in which it was, also after an error.

    Parameters
    ----------
    model : Layer or callable
        Of what is no Layer, only recording is stopped.

    Returns
    -------
    undone
        The block.

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

    def begin() -> None:
        if isinstance(model, Layer):
            model.eval()
        RECORDING.set(False)

    before = map(RECORDING.set, (RECORDING.get(),))
    return undone(begin, chain(_modes(model), before))


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


def left_as_it_is(model: Any, frozen: Sequence[Tensor] = ()) -> undone[None]:
    """Unfreeze what is frozen; put that, buffers and random generators back."""
    layers = all_layers(model)
    named = model.named_buffers() if layers else []
    buffers = [x for _, x in named if x.flags.writeable]
    generators = [x for _, x in generators_in(*layers[:1])]

    def begin() -> None:
        for p in frozen:  # so that what is computed with it is recorded, too
            p.requires_grad = True

    before = (
        map(setattr, frozen, repeat("_tracked"), repeat(False)),
        map(np.ndarray.__setitem__, buffers, repeat(...), [x.copy() for x in buffers]),
        map(call, [*map(setter, generators)], [*map(state_of, generators)]),
    )
    return undone(begin, chain(*before))


def recorded(run: Run | None = None) -> undone[None]:
    """Record what runs on an example that it is not made for, whatever surrounds it.

    Parameters
    ----------
    run : Run, optional
        What notes the layers; without it, each outermost layer makes one.
    """

    def begin() -> None:
        RUN.set(run)
        RECORDING.set(True)

    before = map(RUN.set, (RUN.get(),)), map(RECORDING.set, (RECORDING.get(),))
    return undone(begin, chain(*before))
