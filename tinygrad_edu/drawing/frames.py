"""The frames of layers around boxes, and those around what repeats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from tinygrad_edu.drawing import labels
from tinygrad_edu.drawing.graph import Frame
from tinygrad_edu.drawing.levels import Plan
from tinygrad_edu.engine.recording import Scope

__all__ = ["Frames"]


class _Around(NamedTuple):
    key: Hashable
    title: str


class Frames:
    """Makes a frame when it is first needed; the one around it comes earlier.

    Parameters
    ----------
    chosen : Plan

    Attributes
    ----------
    found : list of Frame
    """

    def __init__(self, chosen: Plan) -> None:
        self.found: list[Frame] = []
        self._number: dict[Hashable, int] = {}
        calls: dict[Hashable, list[int]] = defaultdict(list)  # layer -> scopes, by id
        for unit in chosen.units:
            for scope in unit.scopes:
                if id(scope) not in calls[_layer(scope)]:
                    calls[_layer(scope)].append(id(scope))
        self._paths: dict[int, list[_Around]] = {-1: []}
        for i in chosen.shown:
            self._paths[i] = [
                _Around(id(s), _title(s, calls[_layer(s)]))
                for s in chosen.units[i].scopes
            ]
        for start, period, times in chosen.folds:
            self._fold(chosen, start, period, times)

    def _fold(self, chosen: Plan, start: int, period: int, times: int) -> None:
        """Put a frame around what stands for equal blocks."""
        end = start + period * times
        last = [i for i in range(end - period, end) if i in self._paths]
        common = _common([self._paths[i] for i in last])
        inside = {i for i, path in self._paths.items() if path[: len(common)] == common}
        if common and inside == set(last):  # a layer, in each of the blocks
            first = chosen.units[start].scopes
            depth = len(common) - 1
            one, other = labels.frame(first[depth]), common[-1].title
            title = f"{one.partition(': ')[0]} to {other} ×{times:,}"
            if one == other:
                title = f"{other} ×{times:,}"
            new = _Around(common[-1].key, title)
            for i in last:
                self._paths[i][depth] = new
        else:
            new = _Around(("fold", start), f"×{times:,}")
            for i in last:
                self._paths[i].insert(len(common), new)

    def around(self, units: Sequence[int]) -> int | None:
        """Return the number of the innermost frame around all of ``units``."""
        number: int | None = None
        for key, title in _common([self._paths[i] for i in units]):
            if key not in self._number:
                self._number[key] = len(self.found)
                self.found.append(Frame(title, number))
            number = self._number[key]
        return number


def _common(paths: Sequence[list[_Around]]) -> list[_Around]:
    """Return what all paths begin with."""
    found: list[_Around] = []
    for layer in zip(*paths, strict=False):
        if any(around != layer[0] for around in layer):
            break
        found.append(layer[0])
    return found


def _layer(scope: Scope) -> Hashable:
    """Return what is the same in all calls of a layer."""
    outer = scope
    while outer.parent is not None:
        outer = outer.parent
    return scope.path, id(outer)


def _title(scope: Scope, calls: list[int]) -> str:
    """Return "0: Linear", and the number of the call if there are several."""
    text = labels.frame(scope)
    return text if len(calls) == 1 else f"{text}, call {calls.index(id(scope)) + 1}"
