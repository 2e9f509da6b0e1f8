"""Write ``engine/_methods.pyi``: what IDEs and type-checkers see of the methods.

python tools/method_stub.py
"""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

import tinygrad_edu as te
from tinygrad_edu.files import written_atomically

PATH = Path(te.__file__).with_name("engine") / "_methods.pyi"

HEAD = '''\
"""The methods that declarations add to Tensor: written by tools/method_stub.py."""

from typing import Any, Protocol, Self, TypeVar

T_co = TypeVar("T_co", covariant=True)

class At(Protocol[T_co]):
    def __getitem__(self, index: Any) -> At[T_co]: ...
    def set(self, value: Any) -> T_co:
        """Return a copy with ``value`` at the index, the last one where it repeats."""
    def add(self, value: Any) -> T_co:
        """Return a copy with ``value`` added at the index, as often as it is listed."""

class Methods:
    __slots__ = ()
    @property
    def at(self) -> At[Self]: ...
    def argmax(self, axis: Any = None, *, keepdims: bool = False) -> Any: ...
    def argmin(self, axis: Any = None, *, keepdims: bool = False) -> Any: ...
    def argsort(self, axis: Any = -1, kind: Any = None, order: Any = None) -> Any: ...
'''

COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
WIDTH = 84  # of a line, without the indentation of a class
NOT_METHODS = {"item"}  # Tensor's own method of that name is another


def stub() -> str:
    """Return the text of the stub file, from the registry."""
    lines = []
    for name in COMPARISONS:
        other = "object" if name in ("eq", "ne") else "Any"
        lines.append(f"def __{name}__(self, other: {other}) -> Any: ...")
    for name, op in sorted(te.OPS.items()):
        if op.forward.__module__.startswith("tinygrad_edu") and name not in NOT_METHODS:
            lines += methods(op)
    return HEAD + "".join(f"    {line}\n" for line in lines)


def methods(op: te.Op) -> list[str]:
    """Return the lines of an operation: its method, and its operators."""
    _, *rest = inspect.signature(op).parameters.values()
    listed = [
        f"{p.name}: Any" + ("" if p.default is p.empty else f" = {written(p.default)}")
        for p in rest
    ]
    if op.name in ("reshape", "transpose"):  # x.reshape(2, 3), x.reshape((2, 3))
        listed = [f"*{listed[0].split(' =')[0]}"]
    if op.variadic:  # te.concatenate([a, b]): of little use as a method
        return []
    result = "Any" if op.results else "Self"
    doc = inspect.cleandoc(op.__doc__ or "").splitlines()[0]
    arguments = ", ".join(["self", *listed])
    lines = [f"def {op.name}({arguments}) -> {result}:"]
    if len(lines[0]) > WIDTH:
        lines = [f"def {op.name}(", f"    {arguments}", f") -> {result}:"]
        if len(lines[1]) > WIDTH:
            lines[1:2] = [f"    {part}," for part in arguments.split(", ")]
    lines += [f"    {line}" for line in textwrap.wrap(f'"""{doc}"""', WIDTH - 4)]
    if op.operator is not None:
        operands = ["self", *(["other: Any"] if len(op.arguments) == 2 else [])]
        if op.name == "getitem":
            operands = ["self", "index: Any"]
        names = [op.operator] + ([f"r{op.operator}"] if len(op.arguments) == 2 else [])
        lines += [f"def __{n}__({', '.join(operands)}) -> Self: ..." for n in names]
    return lines


def written(default: object) -> str:
    """Return a default as source: strings in double quotes, as the formatter does."""
    return f'"{default}"' if isinstance(default, str) else repr(default)


if __name__ == "__main__":
    with written_atomically(PATH) as file:
        file.write(stub().encode())
