"""The names and the arrangement that PyTorch's layers give to their weights.

Most are the same here. The recurrent layers and attention differ, and PyTorch's batch
normalisation counts its batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.nn import (
    LSTM,
    RNN,
    BatchNorm1d,
    BatchNorm2d,
    Layer,
    MultiHeadAttention,
)

__all__ = ["from_pytorch", "to_pytorch"]

State = dict[str, np.ndarray]

_PARTS = ("query", "key", "value")


def to_pytorch(model: Layer, state: Mapping[str, np.ndarray]) -> State:
    """Return the numbers of a model as PyTorch's layers would hold them.

    Parameters
    ----------
    model : Layer
    state : mapping of str to ndarray
        As from :meth:`Layer.state_dict`.

    Returns
    -------
    dict of str to ndarray

    Notes
    -----
    PyTorch's recurrent layers have two biases, of which only the sum counts: the second
    becomes 0. Its attention holds the weights of query, key and value as one matrix.

    Examples
    --------
    >>> from tinygrad_edu import nn
    >>> model = nn.RNN(3, 4)
    >>> [*to_pytorch(model, model.state_dict())]
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    found = dict(state)
    for prefix, layer in _layers(model):
        ours, theirs = _names(prefix, layer)
        if not found.keys() >= {*ours}:  # a weight is shared, or not there
            continue
        arrays = [found.pop(name) for name in ours]
        if isinstance(layer, LSTM | RNN):
            arrays.append(np.zeros_like(arrays[-1]))
        elif isinstance(layer, MultiHeadAttention):
            weights, biases = arrays[:3], arrays[3:6]
            arrays[:6] = [np.concatenate(weights), np.concatenate(biases)]
        found.update(zip(theirs, arrays, strict=True))
    return found


def from_pytorch(model: Layer, state: Mapping[str, np.ndarray]) -> State:
    """Return the numbers of PyTorch's layers as the model's would hold them.

    Parameters
    ----------
    model : Layer
    state : mapping of str to ndarray
        With PyTorch's names, or with those of :meth:`Layer.state_dict`, which stay.

    Returns
    -------
    dict of str to ndarray

    Examples
    --------
    >>> from tinygrad_edu import nn
    >>> model = nn.RNN(3, 4)
    >>> state = to_pytorch(model, model.state_dict())
    >>> [*from_pytorch(model, state)]
    ['weight_ih', 'weight_hh', 'bias']
    """
    found = dict(state)
    for prefix, layer in _layers(model):
        if isinstance(layer, BatchNorm1d | BatchNorm2d):
            found.pop(f"{prefix}num_batches_tracked", None)
        ours, theirs = _names(prefix, layer)
        if not found.keys() >= {*theirs}:
            continue
        arrays = [found.pop(name) for name in theirs]
        if isinstance(layer, LSTM | RNN):
            arrays[-2:] = [arrays[-2] + arrays[-1]]
        elif isinstance(layer, MultiHeadAttention):
            thirds = (third for x in arrays[:2] for third in np.array_split(x, 3))
            arrays[:2] = [*thirds]
        found.update(zip(ours, arrays, strict=True))
    return found


def _layers(model: Layer) -> Iterator[tuple[str, Any]]:
    """Yield every layer with what stands before the names of its weights."""
    yield "", model
    for name, layer in model.named_layers():
        yield f"{name}.", layer


def _names(prefix: str, layer: Layer) -> tuple[list[str], list[str]]:
    """Return our names and PyTorch's, where they differ."""
    if isinstance(layer, LSTM | RNN):
        ours = ["weight_ih", "weight_hh", "bias"]
        theirs = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    elif isinstance(layer, MultiHeadAttention):
        kinds = ("weight", "bias")
        ours = [f"{part}.{kind}" for kind in kinds for part in _PARTS]
        ours += [f"output.{kind}" for kind in kinds]
        theirs = [f"in_proj_{kind}" for kind in kinds]
        theirs += [f"out_proj.{kind}" for kind in kinds]
    else:
        return [], []
    return [prefix + name for name in ours], [prefix + name for name in theirs]
