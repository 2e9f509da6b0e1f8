"""Trees: dicts, lists, tuples, named tuples and dataclasses that hold arrays.

:func:`flatten` takes one apart, into its leaves and the form that is left without
them; :meth:`Form.filled` puts it together again. Neither is recursive.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.behaviour import ArrayBehaviour

__all__ = ["Form", "Inner", "flatten", "holds_a_tensor", "inner_of"]

_NUMBERS = (int, float, complex, np.generic)
#: Most leaves are of these types; what is none of them is looked at.
_LEAVES = frozenset({np.ndarray, float, int, bool, np.float64, np.float32, str})


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Inner:
    """A dict, list, tuple, named tuple or dataclass, without what is in it."""

    kind: type
    keys: tuple[Any, ...] | None  # of a dict, or the names of the fields
    count: int
    example: Any  # a dict or dataclass: what to copy, where the keys do not say all

    def step(self, i: int) -> str:
        """Return how one writes the way to part ``i``."""
        if self.keys is None:
            return f"[{i}]"
        of_dict = issubclass(self.kind, dict)
        return f"[{self.keys[i]!r}]" if of_dict else f".{self.keys[i]}"

    def parts_of(self, x: Any) -> list[Any] | None:
        """Return the parts of another one, in this order; None if it is unlike."""
        other = inner_of(x)
        if other is None or other.kind is not self.kind or other.count != self.count:
            return None
        if self.keys is None or not issubclass(self.kind, dict):
            return _parts(x)
        return [x[k] for k in self.keys] if all(k in x for k in self.keys) else None

    def made_of(self, parts: list[Any]) -> Any:
        """Put one together."""
        kind: Any = self.kind
        if self.keys is None:
            return kind(parts)
        if issubclass(kind, tuple):
            return kind._make(parts)
        if kind is dict:
            return dict(zip(self.keys, parts, strict=True))
        made = copy.copy(self.example)  # __init__ may refuse a Tensor, or ask for more
        if issubclass(kind, dict):
            made.clear()
            made.update(zip(self.keys, parts, strict=True))
            return made
        for key, part in zip(self.keys, parts, strict=True):
            object.__setattr__(made, key, part)  # of a frozen one, too
        return made

    def __str__(self) -> str:
        what = f"a {self.kind.__name__}"
        if self.keys is None or not self.count:
            return f"{what} of {self.count}"
        return f"{what} of {', '.join(map(repr, self.keys))}"


class Form:
    """A tree without its leaves.

    Attributes
    ----------
    order : list of Inner or None
        Its inner nodes and its leaves, as None, each behind what is in it: to walk
        through them takes no more than a stack.
    count : int
        How many leaves it has.
    """

    def __init__(self, order: list[Inner | None]) -> None:
        self.order = order
        self.count = order.count(None)

    @property
    def is_leaf(self) -> bool:
        """Whether the tree is a leaf alone."""
        return self.order == [None]

    def filled(self, leaves: Iterable[Any]) -> Any:
        """Return the tree with these leaves."""
        following = iter(leaves)
        made: list[Any] = []
        for inner in self.order:
            if inner is None:
                made.append(next(following))
                continue
            start = len(made) - inner.count
            made[start:] = [inner.made_of(made[start:])]
        return made[0]

    def leaves_of(self, tree: Any, who: str, name: str) -> list[Any]:
        """Return the leaves of a tree of this form, in this order.

        A dict may have its keys in another order.

        Raises
        ------
        ValueError
            If it has another form; says where, from a tree of this name.
        """
        found, todo = [], [tree]
        for place in reversed(range(len(self.order))):
            inner, x = self.order[place], todo.pop()
            parts = None if inner is None else inner.parts_of(x)
            if parts is not None:
                todo += parts
            elif inner is None and (inner_of(x) is None or flatten(x)[1].is_leaf):
                found.append(x)
            else:
                where = name + self._ways()[place]
                wanted, got = inner or "an array", inner_of(x) or type(x).__name__
                raise ValueError(f"{who}: {where} must be {wanted}, got {got}")
        return found[::-1]

    def paths(self, name: str) -> list[str]:
        """Return how one writes the way to each leaf: ``params['W1'][0]``."""
        ways = self._ways()
        return [name + way for i, way in ways.items() if self.order[i] is None]

    def check_full(self, who: str, name: str) -> None:
        """Refuse a tree with an empty part, of which there is nothing to compute."""
        for place, inner in enumerate(self.order):
            if inner is not None and not inner.count:
                raise ValueError(
                    f"{who}: {name}{self._ways()[place]} is an empty "
                    f"{inner.kind.__name__}, so there is nothing to differentiate by; "
                    "leave it out"
                )

    def _ways(self) -> dict[int, str]:
        """Return how one writes the way to each place in the order."""
        open_ = [""]
        ways: dict[int, str] = {}
        for place in reversed(range(len(self.order))):
            inner, ways[place] = self.order[place], open_.pop()
            if inner is not None:
                open_ += [ways[place] + inner.step(i) for i in range(inner.count)]
        return dict(reversed(ways.items()))


def flatten(tree: Any, who: str = "", *, rows: bool = True) -> tuple[list[Any], Form]:
    """Return the leaves of a tree, depth first, and its form.

    A list or tuple of nothing but numbers, also nested, is one array: a leaf. Without
    ``rows`` it is a tree of numbers.

    Raises
    ------
    ValueError
        If a part of it holds itself.
    """
    leaves: list[Any] = []
    order: list[Inner | None] = []
    around: set[int] = set()  # by id: what holds the part that is looked at
    todo: list[tuple[Any, tuple[Inner, int, int] | None]] = [(tree, None)]
    while todo:
        x, left = todo.pop()
        inner = left[0] if left else inner_of(x)
        if inner is None or (
            rows and left is None and inner.keys is None and _is_row(x)
        ):
            leaves.append(x)
            order.append(None)
        elif left is None:
            if id(x) in around:
                raise ValueError(
                    f"{who}: a {inner.kind.__name__} holds itself, so this is no tree"
                )
            around.add(id(x))
            todo.append((x, (inner, len(leaves), len(order))))
            todo.extend((part, None) for part in reversed(_parts(x)))
        else:
            _, first, start = left
            around.remove(id(x))
            shallow = inner.keys is None and len(order) - start == inner.count
            if (
                rows
                and shallow
                and not any(order[start:])
                and _is_table(leaves[first:])
            ):
                leaves[first:] = [x]
                order[start:] = [None]
            else:
                order.append(inner)
    return leaves, Form(order)


def holds_a_tensor(tree: Any) -> bool:
    """Whether a Tensor is in it, whatever else is: it may hold itself."""
    if type(tree) in _LEAVES:
        return False
    seen: set[int] = set()
    todo = [tree]
    while todo:
        x = todo.pop()
        if isinstance(x, ArrayBehaviour):
            return True
        inner = inner_of(x)
        if inner is not None and id(x) not in seen:
            seen.add(id(x))
            todo += [] if inner.keys is None and _is_row(x) else _parts(x)
    return False


def inner_of(x: Any) -> Inner | None:
    """Return what ``x`` is without its parts; None for a leaf."""
    kind = type(x)
    if kind in _LEAVES:
        return None
    if isinstance(x, dict):
        return Inner(kind, tuple(x), len(x), x)
    if isinstance(x, list | tuple):
        return Inner(kind, getattr(x, "_fields", None), len(x), None)
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        names = tuple(field.name for field in dataclasses.fields(x))
        return Inner(kind, names, len(names), x)
    return None


def _parts(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return list(x.values())
    if isinstance(x, list | tuple):
        return list(x)
    return [getattr(x, field.name) for field in dataclasses.fields(x)]


def _is_row(x: Sequence[Any]) -> bool:
    """Whether it holds nothing but numbers."""
    return all(issubclass(kind, _NUMBERS) for kind in set(map(type, x)))


def _is_table(leaves: Sequence[Any]) -> bool:
    """Whether each is a number, or a row or table of numbers."""
    return all(isinstance(x, (*_NUMBERS, list, tuple)) for x in leaves)
