"""What a function sees, apart from its arguments: closure, globals, attributes, lists.

A program holds for what was seen when it was traced. So all of it is found once, by a
walk, and looked at before each call: numbers, strings and flags by value, arrays and
parameters by reference. Looking takes some 30 ns for each place, in C.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections import namedtuple
from collections.abc import Hashable, Iterable, Iterator
from functools import cached_property, lru_cache, partial
from itertools import chain
from operator import attrgetter, getitem, is_, setitem
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from tinygrad_edu.compiling.tape import Untraceable
from tinygrad_edu.engine.core import Op, Tensor
from tinygrad_edu.nn.layer import Layer

__all__ = ["Inlined", "Seen", "putting"]

_PACKAGE = __name__.split(".")[0]
_PLAIN: tuple[Any, ...] = (
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type(Ellipsis),
    np.generic,
)
_PLAIN += (np.dtype, range)
_NO_STATE: tuple[Any, ...] = (BuiltinFunctionType, np.ufunc, property, staticmethod)
_NO_STATE += (type(vars(namedtuple("_", "x"))["x"]),)
_NO_STATE += (classmethod, type(list.append), type(object.__init__), type(int.real))
_BY_ITEM: Any = dict | list | MappingProxyType
#: Of a class: they compute nothing.
_ABOUT_CLASSES = frozenset(
    {"__repr__", "__str__", "__reduce__", "__reduce_ex__", "__getstate__", "__del__"}
    | {"__setstate__", "__copy__", "__deepcopy__", "__init_subclass__", "__weakref__"}
    | {"__dict__", "__doc__", "__module__", "__qualname__", "__annotations__"}
    | {"__dataclass_fields__", "__dataclass_params__", "__abstractmethods__"}
)
_RANDOM = ("Generator", "RandomState")
_MEMOS = ("_ran_in", "_ran_as")  #: Attributes of a layer that are about its last call.


_NUMBERS, _TRACKED = attrgetter("_numbers"), attrgetter("_tracked")
_LAYOUT = attrgetter("shape", "strides", "dtype")


class Inlined:
    """The base of what is, in a trace, the function that it holds."""

    _function: Any


class Seen:
    """What the functions and objects in ``roots`` see.

    Parameters
    ----------
    roots : iterable of (str, object)
        With names, for errors.

    Attributes
    ----------
    places : list
        ``(owner, key, name)`` of each place that holds something: an entry of a dict
        or list, or an attribute.
    arrays : dict
        The arrays, each once, with a name.
    tensors : dict
        The leaves, likewise.
    generators : list
        Of random numbers.
    signature : tuple
        Equal for what is alike, but for the entries of arrays.

    Raises
    ------
    Untraceable
        If something cannot be looked into.
    """

    def __init__(self, roots: Iterable[tuple[str, Any]]) -> None:
        self.places: list[tuple[Any, Any, str]] = []
        self.arrays: dict[int, tuple[np.ndarray, str]] = {}
        self.tensors: dict[int, tuple[Tensor, str]] = {}
        self.generators: list[Any] = []
        self._sized: list[Any] = []
        self._of_sized: list[str] = []  # their names
        self._class_dicts: list[Any] = []
        self._ordered: list[Any] = []  # dicts whose order may matter
        self._classes: dict[int, type] = {}  # by the id of what holds their names
        self._named: set[str] = set()  # what code looks up in modules and functions
        self._spaces: list[tuple[Any, str]] = []  # where it does
        self._signature: list[Hashable] = []
        self._met: dict[int, int] = {}  # by id: when, for what is held twice
        self._keep: list[Any] = []
        self._todo: list[tuple[str, Any]] = [*roots][::-1]
        self._walk()

    def add(self, name: str, x: Any) -> None:
        """Look at one more root."""
        self._todo.append((name, x))
        self._walk()

    def add_place(self, owner: Any, key: Any, name: str) -> None:
        """Look at one more place: an entry of a dict or list, or an attribute."""
        self._place(owner, key, name)
        self._walk()

    def watch(self, owner: Any, key: Any, name: str) -> None:
        """Notice if a place holds another object; do not look into this one."""
        self.places.append((owner, key, name))

    def watch_entries(self, entries: list[Any], name: str) -> None:
        """Notice if a list has others, or more."""
        self._sized.append(entries)
        self._of_sized.append(name)
        for i in range(len(entries)):
            self.watch(entries, i, f"{name}[{i}]")

    def _walk(self) -> None:
        looked: set[tuple[int, str]] = set()
        while self._todo:
            name, x = self._todo.pop()
            self._look_at(name, x)
            if not self._todo:
                for held, of in self._spaces:
                    for key in sorted(self._named & held.keys()):
                        if (id(held), key) not in looked:
                            looked.add((id(held), key))
                            self._place(held, key, f"{of}.{key}")
        self.signature: tuple[Hashable, ...] = tuple(self._signature)
        self.note()

    # -- is it all as it was?
    def note(self) -> None:
        """Take what is there now for what was seen."""
        items = [p for p in self.places if isinstance(p[0], _BY_ITEM)]
        others = [p for p in self.places if not isinstance(p[0], _BY_ITEM)]
        self._items = [p[0] for p in items], [p[1] for p in items]
        self._others = [p[0] for p in others], [p[1] for p in others]
        leaves = [t for t, _ in self.tensors.values()]
        self._leaves, self._numbers = leaves, [t._numbers for t in leaves]
        self._tracked = [t._tracked for t in leaves]
        self._values = [*self._now()]
        self._given = [x for x, _ in self.arrays.values()]
        self._layouts = [*map(_LAYOUT, self._given)]
        self._counted = [*self._sized, *self._class_dicts]  # one more may be in them
        self._size = sum(map(len, self._counted))
        self._order = [*chain.from_iterable(self._ordered)]
        self._contents = [
            (x, x.copy(), of) for x, of in zip(self._sized, self._of_sized, strict=True)
        ]

    def _now(self) -> Iterator[Any]:
        return chain(
            map(getitem, *self._items),
            map(getattr, *self._others),
            map(_NUMBERS, self._leaves),
            map(_TRACKED, self._leaves),
        )

    def is_unchanged(self) -> bool:
        """Whether every place still holds what it held."""
        try:
            same = all(map(is_, self._now(), self._values))
        except (LookupError, AttributeError, ValueError):
            return False
        if not same or sum(map(len, self._counted)) != self._size:
            return False
        if [*map(_LAYOUT, self._given)] != self._layouts:  # x.shape = ..., in place
            return False
        return not self._order or all(
            map(is_, chain.from_iterable(self._ordered), self._order)
        )

    def changed_places(self) -> list[str]:
        """Return the names of the places that hold something else now."""
        found = []
        for (owner, key, name), before in zip(
            self.places, self.values_in_order(), strict=True
        ):
            try:
                if _held(owner, key) is not before:
                    found.append(name)
            except (LookupError, AttributeError, ValueError):
                found.append(name)
        for x, before, name in self._contents:
            if len(x) > len(before):
                new = (
                    [str(k) for k in x if k not in before]
                    if isinstance(x, dict)
                    else []
                )
                found.append(f"{name} (which gets {', '.join(new) or 'longer'})")
        for (x, name), before in zip(self.arrays.values(), self._layouts, strict=True):
            if _LAYOUT(x) != before:
                found.append(f"the shape or dtype of {name}")
        if not found and self._order != [*chain.from_iterable(self._ordered)]:
            found.append("the order of a dict")
        return found

    def restore(self) -> list[str]:
        """Put back what places held; return the names of those that had changed."""
        changed = self.changed_places()
        if changed:
            for x, before, _ in self._contents:
                if isinstance(x, dict):
                    x.clear()
                    x.update(before)
                else:
                    x[:] = before
            held = self.values_in_order()
            for (owner, key, _), before in zip(self.places, held, strict=True):
                if not isinstance(owner, MappingProxyType):
                    _put(owner, key, before)
                elif _held(owner, key) is not before:
                    setattr(self._classes[id(owner)], key, before)
        return changed

    def values_in_order(self) -> list[Any]:
        """Return what was held, in the order of ``places``."""
        items = iter(self._values)
        of_items = [next(items) for _ in self._items[0]]
        of_others = [next(items) for _ in self._others[0]]
        one, other = iter(of_items), iter(of_others)
        return [
            next(one if isinstance(o, _BY_ITEM) else other) for o, _, _ in self.places
        ]

    # -- stand-ins in place of arrays
    def replaced_by(
        self, standing_for: dict[int, Any], undo: list[Any]
    ) -> list[tuple[Any, Any, Any, str]]:
        """Put stand-ins into all places that hold arrays.

        Parameters
        ----------
        standing_for : dict
            By the id of the array.
        undo : list
            Gets the calls that undo it, before it is done.

        Returns
        -------
        list
            ``(owner, key, stand-in, name)`` of each place.
        """
        found = []
        for owner, key, name in self.places:
            before = _held(owner, key)
            after = _exchanged(before, standing_for)
            if after is not before:
                undo.append(putting(owner, key, before))
                found.append((owner, key, after, name))
                _put(owner, key, after)
        return found

    @staticmethod
    def assigned(replaced: Iterable[tuple[Any, Any, Any, str]]) -> list[str]:
        """Return the names of places that hold no longer what was put there."""
        found = []
        for owner, key, after, name in replaced:
            try:
                if _held(owner, key) is not after:
                    found.append(name)
            except (LookupError, AttributeError, ValueError):
                found.append(name)
        return found

    # -- the walk
    def _look_at(self, name: str, x: Any) -> None:
        sign = self._signature.append
        if isinstance(x, CodeType):
            return None
        if isinstance(x, _PLAIN):
            return sign((type(x).__name__, repr(x)))
        if isinstance(x, tuple | frozenset):
            sign((type(x).__name__, len(x)))
            parts = x if isinstance(x, tuple) else sorted(x, key=repr)
            self._todo += [(f"{name}[{i}]", y) for i, y in enumerate(parts)][::-1]
            return self._look_at_subclass(name, x)
        if isinstance(x, slice):
            sign("slice")
            self._todo += [(name, y) for y in (x.step, x.stop, x.start)]
            return None
        if id(x) in self._met:
            return sign(("again", self._met[id(x)]))
        self._met[id(x)] = len(self._met)
        self._keep.append(x)
        if isinstance(x, np.ndarray):
            if type(x) is not np.ndarray or x.dtype.hasobject:
                raise _cannot_look(name, x)
            self.arrays[id(x)] = x, name
            return sign(("array", x.shape, x.dtype.str, x.strides))
        if isinstance(x, Tensor):
            return self._look_at_tensor(name, x)
        if isinstance(x, FunctionType):
            return self._look_at_function(name, x)
        if isinstance(x, Inlined):
            if hasattr(x, "optimizer"):
                raise Untraceable(
                    f"te.compile: {name} is a compiled training step; call it outside "
                    "of a compiled function"
                )
            self._todo.append((name, x._function))
            return sign("inlined")
        if isinstance(x, MethodType):
            self._todo += [(name, x.__func__), (name, x.__self__)]
            return sign("method")
        if isinstance(x, partial):  # its arguments cannot be exchanged
            for part in chain(x.args, x.keywords.values()):
                if _holds_an_array(part):
                    raise _cannot_look(f"an array in {name}", x)
            self._todo += [(name, x.func), (name, x.args), (name, x.keywords)]
            return sign("partial")
        if isinstance(x, CellType):
            return self._place(x, "cell_contents", name)
        if isinstance(x, dict):
            sign(("dict", len(x)))
            self._sized.append(x)
            self._of_sized.append(name)
            for key in x:
                if not isinstance(key, _PLAIN):
                    raise _cannot_look(f"a key of {name}", key)
                sign(repr(key))
            for key in reversed(x):
                self._place(x, key, f"{name}[{key!r}]")
            if len(x) > 1:
                self._ordered.append(x)
            return self._look_at_subclass(name, x)
        if isinstance(x, list):
            sign(("list", len(x)))
            self._sized.append(x)
            self._of_sized.append(name)
            for i in reversed(range(len(x))):
                self._place(x, i, f"{name}[{i}]")
            return self._look_at_subclass(name, x)
        if isinstance(x, type):
            sign(("class", id(x)))
            return self._look_at_class(x)
        if type(x).__name__ in _RANDOM and type(x).__module__.startswith("numpy."):
            self.generators.append(x)
            return sign(("generator", id(x)))
        if isinstance(x, ModuleType) and not _is_known(x):
            self._spaces.append((vars(x), name))
        if isinstance(x, ModuleType) or _is_without_state(x):
            return sign(id(x))
        if isinstance(x, Op):  # of the user's
            sign(id(x))
            rules = [x.forward, *vars(x).get("rules", ())]
            self._todo += [(name, f) for f in rules if isinstance(f, FunctionType)]
            return None
        if isinstance(x, set | threading.local):
            raise _cannot_look(name, x)
        return self._look_at_object(name, x)

    def _look_at_tensor(self, name: str, x: Tensor) -> None:
        if x.op is not None:
            raise Untraceable(
                f"te.compile: {name} is a tensor that was computed before, with a "
                "graph behind it; hand over its .detach().numpy(), or compute it inside"
            )
        self.tensors[id(x)] = x, x.name or name
        data = x._numbers
        strides = data.strides if isinstance(data, np.ndarray) else None
        self._signature.append(("tensor", x.shape, x.dtype.str, strides, x._tracked))

    def _look_at_function(self, name: str, f: FunctionType) -> None:
        code = f.__code__
        self._signature.append(("function", id(code)))
        self._keep.append(code)
        top = (f.__module__ or "").split(".")[0]
        if top in ("numpy", "scipy") or top in sys.stdlib_module_names - {"__main__"}:
            if not f.__closure__:
                return
        if top != _PACKAGE:
            self._place(f, "__code__", f"the code of {name}")
            self._place(f, "__defaults__", f"the defaults of {name}")
            self._place(f, "__kwdefaults__", f"the defaults of {name}")
            if vars(f):
                self._spaces.append((vars(f), name))
            names, (asked, attributes) = f.__globals__, _names_in(code)
            self._named |= attributes
            for key in sorted(asked):
                if key in names:
                    self._place(names, key, f"the global {key}")
                elif isinstance(imported := sys.modules.get(key), ModuleType):
                    self._todo.append((key, imported))
        for cell, variable in zip(f.__closure__ or (), code.co_freevars, strict=True):
            try:
                cell.cell_contents  # noqa: B018 (is there any?)
            except ValueError:
                continue
            self._place(cell, "cell_contents", variable)

    def _look_at_class(self, kind: type) -> None:
        """Look at the functions and values of a class that the user wrote."""
        for base in kind.__mro__:
            if _is_known(base):
                continue
            held = vars(base)
            self._classes[id(held)] = base
            self._keep.append(held)
            self._class_dicts.append(held)
            for key, x in held.items():
                if key in _ABOUT_CLASSES:
                    continue
                name = f"{base.__name__}.{key}"
                if isinstance(x, FunctionType):
                    if x.__code__.co_filename != "<string>":  # nor a dataclass's own
                        self._place(held, key, name)
                elif isinstance(x, property | classmethod | staticmethod):
                    self.watch(held, key, name)
                    inner = getattr(x, "fget", None) or getattr(x, "__func__", None)
                    self._todo.append((name, inner))
                elif isinstance(x, cached_property):
                    self.watch(held, key, name)
                    self._todo.append((name, x.func))
                elif isinstance(x, _NO_STATE) or hasattr(x, "__objclass__"):
                    continue
                elif hasattr(type(x), "__get__"):
                    self._place(held, key, name)
                elif not key.startswith("__"):
                    self._place(base, key, name)

    def _look_at_subclass(self, name: str, x: Any) -> None:
        """Look at what a dict, list or tuple has besides its entries."""
        if not _is_known(type(x)):
            self._todo.append((type(x).__name__, type(x)))
            if hasattr(x, "__dict__"):
                self._todo.append((name, vars(x)))

    def _look_at_object(self, name: str, x: Any) -> None:
        held = getattr(x, "__dict__", None)
        if not isinstance(held, dict) or _has_slots(type(x)):
            raise _cannot_look(name, x)
        if isinstance(x, Layer):
            for key in _MEMOS:  # at a layer's first call they would be new
                held.setdefault(key, getattr(type(x), key))
        self._signature.append(("object", id(type(x)), len(held)))
        self._keep.append(type(x))
        self._sized.append(held)
        self._of_sized.append(name)
        if not type(x).__module__.startswith(_PACKAGE):
            self._ordered.append(held)
        for key in held:
            self._signature.append(key)
        for key in reversed(held):
            if key not in _MEMOS:
                self._place(held, key, f"{name}.{key}")
        self._todo.append((type(x).__name__, type(x)))

    def _place(self, owner: Any, key: Any, name: str) -> None:
        self.places.append((owner, key, name))
        self._todo.append((name, _held(owner, key)))


def _held(owner: Any, key: Any) -> Any:
    return owner[key] if isinstance(owner, _BY_ITEM) else getattr(owner, key)


def _put(owner: Any, key: Any, x: Any) -> None:
    function, *args = putting(owner, key, x)
    function(*args)


def putting(owner: Any, key: Any, x: Any) -> tuple[Any, ...]:
    """Return the call of a function in C that puts something into a place."""
    return setitem if isinstance(owner, dict | list) else setattr, owner, key, x


def _exchanged(x: Any, standing_for: dict[int, Any]) -> Any:
    """Return what is to stand in a place: a stand-in, or a tuple with some in it."""
    if isinstance(x, np.ndarray):
        return standing_for.get(id(x), x)
    if isinstance(x, tuple):
        parts = [_exchanged(y, standing_for) for y in x]
        if any(a is not b for a, b in zip(parts, x, strict=True)):
            return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return x


def _holds_an_array(x: Any) -> bool:
    """Whether x is an array, or a tuple that holds one somewhere."""
    todo = [x]
    while todo:
        x = todo.pop()
        if isinstance(x, np.ndarray):
            return True
        todo += x if isinstance(x, tuple) else ()
    return False


@lru_cache(1024)
def _names_in(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Return what a function's code, and that inside of it, may look up.

    Returns
    -------
    frozenset
        As a global, or in an import.
    frozenset
        As an attribute, or by a text.
    """
    found: set[str] = set()
    attributes: set[str] = set()
    todo = [code]
    while todo:
        code = todo.pop()
        for line in dis.get_instructions(code):
            name = line.argval
            if line.opname in _OF_GLOBALS:
                found.add(name)
            elif line.opname in _OF_ATTRIBUTES:
                attributes.add(name)
        texts = [x for x in code.co_consts if type(x) is str and x.isidentifier()]
        if "globals" in found:
            found.update(texts)
        attributes.update(texts)
        todo += [x for x in code.co_consts if isinstance(x, CodeType)]
    return frozenset(found), frozenset(attributes)


_OF_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"})
_OF_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"})
_OF_ATTRIBUTES |= {"LOAD_SUPER_ATTR"}


def _is_known(x: Any) -> bool:
    """Whether a class or module is Python's, NumPy's or this project's: they stay."""
    name = x.__module__ if isinstance(x, type) else x.__name__
    top = str(name).split(".")[0]
    if top == "__main__":
        return False
    return top in (_PACKAGE, "numpy", "scipy", "builtins") or (
        top in sys.stdlib_module_names
    )


def _is_without_state(x: Any) -> bool:
    if isinstance(x, Op):
        return str(x.forward.__module__).split(".")[0] == _PACKAGE
    if isinstance(x, _NO_STATE):
        of = getattr(x, "__self__", None)
        return of is None or isinstance(of, (ModuleType, type, np.ufunc, *_PLAIN))
    return isinstance(x, np.ufunc) or type(x).__module__ in ("pathlib", "re", "enum")


def _has_slots(kind: type) -> bool:
    return any(vars(base).get("__slots__") for base in kind.__mro__)


def _cannot_look(name: str, x: Any) -> Untraceable:
    return Untraceable(
        f"te.compile: cannot look into {name}, of type {type(x).__name__}: a program "
        "holds as long as what it was made from is the same. Hand over what the "
        "function needs of it as an argument"
    )
