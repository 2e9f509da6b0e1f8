"""What a check calls is afterwards as it was: buffers, modes, recording."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import chain, starmap
from operator import call
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.interrupts import undone
from tinygrad_edu.engine.recording import RECORDING
from tinygrad_edu.randomness import setter, state_of

__all__ = ["layers_used_by", "left_as_found"]

_VISITS = 10_000  # objects that are looked at in search of layers
_PLAIN = (bool, int, float, np.ndarray)
_RANDOM = (np.random.Generator, np.random.RandomState)
_CLOSED = (Tensor, np.ndarray, ModuleType, type, str, bytes, int, float)


def left_as_found(*functions: Any) -> undone[Any]:
    """Record, whatever surrounds it; then put back what the layers in use hold.

    That is the arrays and numbers among their attributes, such as running means and
    modes, and their random generators. Parameters are Tensors, and none of these.
    """
    held, arrays, states = [], {}, {}
    for layer in layers_used_by(*functions):
        for name, x in vars(layer).items():
            if isinstance(x, _PLAIN):
                held.append((layer, name, x))
            if isinstance(x, _RANDOM):
                states[id(x)] = setter(x), state_of(x)
        for _, x in layer.named_buffers():  # in lists, too
            if x.flags.writeable:
                arrays[id(x)] = x, ..., x.copy()
    before = (
        starmap(setattr, held),
        starmap(np.ndarray.__setitem__, arrays.values()),
        starmap(call, states.values()),
        map(RECORDING.set, (RECORDING.get(),)),
    )
    return undone(partial(RECORDING.set, True), chain(*before))


def layers_used_by(*functions: Any) -> list[Any]:
    """Return the layers that functions hold, in closures, globals, attributes or lists.

    A layer is what has ``named_buffers`` and ``named_layers``.
    """
    found: dict[int, Any] = {}
    seen: set[int] = set()
    todo = list(functions)
    while todo and len(seen) < _VISITS:
        x = todo.pop()
        if id(x) in seen or isinstance(x, _CLOSED):
            continue
        seen.add(id(x))
        if hasattr(x, "named_buffers") and hasattr(x, "named_layers"):
            for layer in (x, *(inner for _, inner in x.named_layers())):
                found[id(layer)] = layer
        else:
            todo += _held_by(x)
    return list(found.values())


def _held_by(x: Any) -> list[Any]:
    """Return what an object that is no layer holds."""
    if isinstance(x, partial):
        return [x.func, *x.args, *x.keywords.values()]
    if isinstance(x, MethodType):
        return [x.__self__, x.__func__]
    if isinstance(x, FunctionType):
        held = [*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
        for cell in x.__closure__ or ():
            try:
                held.append(cell.cell_contents)
            except ValueError:  # not yet assigned
                continue
        names = _names_in(x.__code__)
        return held + [x.__globals__[name] for name in names if name in x.__globals__]
    if isinstance(x, Mapping):
        return list(x.values())
    if isinstance(x, list | tuple | set):
        return list(x)
    return list(getattr(x, "__dict__", {}).values())


def _names_in(code: CodeType) -> set[str]:
    """Return the global names that code may read, and that of functions inside it."""
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*map(_names_in, inner))
