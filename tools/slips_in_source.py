"""Slips in source: what a function becomes with + for -, < for >, or 2 for 1."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

from tinygrad_edu.engine.declaration import InTwoSteps

__all__ = ["changes", "helpers"]

_OTHER: dict[type[Any], Sequence[type[Any]]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}


def alternatives(node: Any) -> Iterator[ast.AST]:
    """Yield what may stand for a piece of source by a slip."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node, ast.operator | ast.cmpop | ast.boolop):
        yield from (other() for other in _OTHER.get(type(node), ()))
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp | ast.If):
        changed = type(node)(**dict(ast.iter_fields(node)))
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield changed
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.BinOp):  # a term or a factor is forgotten
        yield from (node.left, node.right)


def places(node: ast.AST) -> Iterator[tuple[Any, str, int | None, ast.AST]]:
    """Yield (parent, field, index, child) of all that lies below ``node``."""
    for field, value in ast.iter_fields(node):
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise):
                if field not in ("args", "returns", "annotation", "decorator_list") or (
                    isinstance(node, ast.Call)
                ):
                    yield node, field, i if isinstance(value, list) else None, child
                    yield from places(child)


@cache
def parsed(path: str) -> tuple[ast.Module, list[types.CodeType]]:
    """Return a file's syntax tree, and all code in it."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    return tree, codes(compile(tree, path, "exec", dont_inherit=True))


def codes(code: types.CodeType) -> list[types.CodeType]:
    """Return a code object, and those in it."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [code, *(c for part in inner for c in codes(part))]


def node_of(function: Any) -> ast.AST:
    """Return the piece of source that a function was made from."""
    tree, _ = parsed(function.__code__.co_filename)
    spans = [
        p for p in function.__code__.co_positions() if None not in p and p[2:] != (0, 0)
    ]
    first = min((p[0], p[2]) for p in spans)
    last = max((p[1], p[3]) for p in spans)
    around = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Lambda | ast.FunctionDef)
        and (n.lineno, n.col_offset) <= first
        and last <= (n.end_lineno, n.end_col_offset)
    ]
    return max(around, key=lambda n: (n.lineno, n.col_offset))


Make = Callable[[], types.CodeType | None]


def changes(function: Any) -> Iterator[tuple[str, Make]]:
    """Yield each change to the source of a function, as text and the code it makes."""
    for parent, field, index, child in places(node_of(function)):
        for other in alternatives(child):
            line = getattr(child, "lineno", getattr(parent, "lineno", 0))
            old, new = (_text(n, parent, child, other) for n in (False, True))
            text = f"line {line}: {new} for {old}"
            yield text, partial(_changed, function, parent, field, index, other)


def _text(new: bool, parent: Any, child: Any, other: Any) -> str:
    shown = other if new else child
    if isinstance(shown, ast.operator | ast.cmpop | ast.boolop):
        return type(shown).__name__
    return " ".join(ast.unparse(ast.fix_missing_locations(shown)).split())[:40]


def _changed(function: Any, parent: Any, field: str, index: Any, new: Any) -> Any:
    """Return the code of a function with one piece of its source replaced."""
    path = function.__code__.co_filename
    tree, before = parsed(path)
    old = getattr(parent, field) if index is None else getattr(parent, field)[index]

    def put(piece: Any) -> None:
        if index is None:
            setattr(parent, field, piece)
        else:
            getattr(parent, field)[index] = piece

    ast.copy_location(new, old if hasattr(old, "lineno") else parent)
    put(new)
    try:
        code = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
    finally:
        put(old)
    after = codes(code)
    made = after[before.index(function.__code__)] if len(after) == len(before) else None
    same = made and made.co_freevars == function.__code__.co_freevars
    return made if same else None


def helpers(function: Any) -> list[Any]:
    """Return a function of the operations and those that it calls, each once."""
    found: list[Any] = []
    todo = [function]
    while todo:
        f = todo.pop()
        f = f.rule if isinstance(f, InTwoSteps) else f
        if not isinstance(f, types.FunctionType) or f in found:
            continue
        if not f.__module__.startswith("tinygrad_edu.ops"):
            continue
        found.append(f)
        cells = inspect.getclosurevars(f)
        todo += [*cells.globals.values(), *cells.nonlocals.values()]
    return found
