"""The layers of a model as text, and a model built of that text.

Only the layers of this library are described: whoever reads the text runs no code but
theirs.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu import nn

__all__ = ["built", "described"]

#: By name, every layer that can be described.
_LAYERS: Mapping[str, type[nn.Layer]] = {
    name: layer
    for name, layer in vars(nn).items()
    if isinstance(layer, type)
    and issubclass(layer, nn.Layer)
    and layer not in (nn.Layer, nn.Activation)
}

#: Arguments that say how the numbers were drawn.
_DRAWN = {"init", "rng"}


def _of_window(layer: Any) -> dict[str, Any]:
    out_channels, in_channels, *_ = layer.weight.shape
    padding = "same" if any(layer.more) else layer.padding
    return {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "padding": padding,
        "bias": layer.bias is not None,
    }


def _of_recurrent(layer: Any) -> dict[str, Any]:
    return {"input_size": layer.weight_ih.shape[1]}


def _of_batches(layer: Any) -> dict[str, Any]:
    return {
        "num_features": len(layer.running_mean),
        "affine": layer.weight is not None,
        "dtype": layer.running_mean.dtype.name,
    }


#: The arguments that no attribute of the same name holds.
_ARGUMENTS: Mapping[type[nn.Layer], Callable[[Any], dict[str, Any]]] = {
    nn.BatchNorm1d: _of_batches,
    nn.BatchNorm2d: _of_batches,
    nn.Conv1d: _of_window,
    nn.Conv2d: _of_window,
    nn.Embedding: lambda layer: {
        "num_embeddings": layer.weight.shape[0],
        "embedding_dim": layer.weight.shape[1],
    },
    nn.LSTM: _of_recurrent,
    nn.LayerNorm: lambda layer: {"elementwise_affine": layer.weight is not None},
    nn.Linear: lambda layer: {
        "in_features": layer.weight.shape[1],
        "out_features": layer.weight.shape[0],
        "bias": layer.bias is not None,
    },
    nn.RNN: _of_recurrent,
}


def described(model: nn.Layer) -> str | None:
    """Return the layers of a model as JSON; None if one is not of this library.

    Parameters
    ----------
    model : Layer

    Returns
    -------
    str or None
        None, too, if a layer occurs twice.

    Examples
    --------
    >>> print(described(nn.Sequential(nn.Linear(3, 2), nn.LeakyReLU(0.1))))
    ... # doctest: +NORMALIZE_WHITESPACE
    {"layer": "Sequential", "layers":
     [{"layer": "Linear", "in_features": 3, "out_features": 2, "bias": true,
       "dtype": "float64"},
      {"layer": "LeakyReLU", "negative_slope": 0.1}]}
    """
    seen: set[int] = set()

    def told(layer: Any) -> dict[str, Any]:
        kind = type(layer).__name__
        if _LAYERS.get(kind) is not type(layer) or id(layer) in seen:
            raise LookupError
        seen.add(id(layer))
        found: dict[str, Any] = {"layer": kind}
        if isinstance(layer, nn.Sequential):
            if [name for name, _ in _inside(layer)] != [*map(str, range(len(layer)))]:
                raise LookupError
            return found | {"layers": [told(x) for x in layer]}
        if isinstance(layer, nn.Residual):
            return found | {"inner": told(layer.inner)}
        more = _ARGUMENTS.get(type(layer), lambda layer: {})(layer)
        for name in inspect.signature(type(layer)).parameters:
            if name == "dtype":
                parameters = layer.parameters()
                default = parameters[0].dtype.name if parameters else "float64"
                found[name] = more.get(name, default)
            elif name not in _DRAWN:
                found[name] = more[name] if name in more else getattr(layer, name)
        return found

    try:
        return json.dumps(told(model), default=int)  # NumPy's integers, too
    except (LookupError, TypeError):
        return None


def _inside(layer: nn.Layer) -> list[tuple[str, nn.Layer]]:
    return [(name, x) for name, x in vars(layer).items() if isinstance(x, nn.Layer)]


def _zeros(shape: tuple[int, ...], rng: Any) -> np.ndarray:
    return np.zeros(shape)


def built(text: str) -> nn.Layer:
    """Return a model of the layers that a text describes; its weights are 0.

    Parameters
    ----------
    text : str
        As :func:`described` returns it.

    Returns
    -------
    Layer

    Raises
    ------
    ValueError
        If it is no such text, or names layers that are not known here.

    Examples
    --------
    >>> built('{"layer": "Sequential", "layers": [{"layer": "Softmax", "axis": 1}]}')
    Sequential(
      0: Softmax(axis=1)
    )
    """

    def made(given: Any) -> nn.Layer:
        arguments = dict(given)
        layer = _LAYERS[arguments.pop("layer")]
        if layer is nn.Sequential:
            return nn.Sequential(*map(made, arguments["layers"]))
        if layer is nn.Residual:
            return nn.Residual(made(arguments["inner"]))
        for name, value in arguments.items():
            if isinstance(value, list):
                arguments[name] = tuple(value)
        if "init" in inspect.signature(layer).parameters:
            arguments["init"] = _zeros
        return layer(**arguments)

    try:
        return made(json.loads(text))
    except (LookupError, TypeError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(
            f"the layers are not described as here: {type(error).__name__}: {error}"
        ) from None
