"""Kernels: the loops of a program, compiled by numba, kept in a folder, and checked.

A kernel is a file of Python with one loop, named by a hash of its text and of what
compiles it; numba keeps the machine code beside it. Both are run when they are found
there again: so the folder must be one that nobody else can write into. There are no
loops in parallel: any number of threads may call a kernel.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.compiling.loops import COPYING, Loop
from tinygrad_edu.compiling.printer import writes_arguments
from tinygrad_edu.compiling.program import Program, Ref, replaced
from tinygrad_edu.files import written_atomically

__all__ = ["check_numba", "compiled", "one_by_one"]

_HEADER = '''"""A loop of a compiled program; what lies in this folder is run."""
from numba import njit
from numpy import empty, exp, inf, log, nan, sqrt, tanh
from numpy import bool_ as b1, float32 as f4, float64 as f8


@njit(error_model="numpy", fastmath={"reassoc"})
def plus(a, b):  # in any order: several numbers at once
    return a + b


@njit(error_model="numpy")
def most(a, b):
    return a if a >= b or a != a else b


@njit(error_model="numpy")
def least(a, b):
    return a if a <= b or a != a else b


'''
_kernels: dict[str, Any] = {}  #: by their text
_lock = threading.Lock()


def check_numba() -> None:
    """Raise an error if numba is not installed."""
    if find_spec("numba") is None:
        raise ImportError(
            "te.compile: backend='numba' needs numba, which is not installed: "
            "pip install 'tinygrad_edu[fast]'"
        )


def compiled(loops: Sequence[Loop]) -> None:
    """Give each loop its function, those of one text the same; show how long it takes.

    Raises
    ------
    PermissionError
        If others can write into the folder of the kernels.
    """
    texts = dict.fromkeys(_module(loop) for loop in loops)
    with _lock:
        new = [text for text in texts if text not in _kernels]
        if new:
            from numba import __version__  # takes a third of a second
            from tqdm.auto import tqdm

            versions = (__version__, np.__version__, platform.python_version())
            place = folder()
            bar = tqdm(
                new, "compiling", unit="loop", delay=1, disable=None, leave=False
            )
            for text in bar:
                key = hashlib.sha256("\n".join([text, *versions]).encode()).hexdigest()
                _kernels[text] = _loaded(text, place / f"loop_{key[:32]}.py")
    for loop in loops:
        loop.function = _kernels[_module(loop)]


def _module(loop: Loop) -> str:
    types = ", ".join(loop.types)
    return (
        f'{_HEADER}@njit("void({types})", error_model="numpy", cache=True)\n{loop.text}'
    )


def folder() -> Path:
    """Return the folder of the kernels, which nobody else can write into.

    It is ``tinygrad_edu/kernels`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    path = Path(root).absolute() / "tinygrad_edu" / "kernels"
    for place in (*reversed(path.parents), path):
        if not place.exists():  # not by parents=True, which takes the umask's mode
            place.mkdir(mode=0o700, exist_ok=True)
    check_folder(path)
    own = os.environ.get("NUMBA_CACHE_DIR")  # numba's own choice for machine code
    if own and Path(own).exists():
        check_folder(Path(own).absolute())
    return path


def check_folder(path: Path) -> None:
    """Raise an error if others than the user can change what is in a folder."""
    if os.name == "nt":  # a user's folders are the user's, there
        return
    path = path.resolve()
    for place in (path, *path.parents):
        found = place.stat()
        others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        kept = place != path and found.st_mode & stat.S_ISVTX  # as in /tmp
        if found.st_uid not in (0, os.getuid()) or (others and not kept):
            raise PermissionError(
                f"te.compile: kernels are kept in {path}, and run from there; but "
                f"others than you can write into {place}. chmod go-w takes that right "
                "away; or name another folder by the variable XDG_CACHE_HOME"
            )


def _loaded(text: str, path: Path) -> Any:
    """Return the kernel of a text, from the file if it is there."""
    if not path.exists() or path.read_text() != text:
        with written_atomically(path) as file:
            file.write(text.encode())
    name = f"tinygrad_edu_kernel_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # where numba looks for it
    spec.loader.exec_module(module)
    return module.loop


# --------------------------------------------------------------------------- the check


def one_by_one(
    program: Program, captured: Sequence[np.ndarray], check: bool, *inputs: Any
) -> tuple[Any, ...]:
    """Run a program call by call, each result in memory of its own.

    Parameters
    ----------
    program : Program
    captured : sequence of ndarray
        Which it writes into.
    check : bool
        Have NumPy compute what the loops stand for, and go on with its results;
        compare those of the loops with them.
    *inputs
        As of the program.

    Returns
    -------
    tuple
        Its outputs.

    Raises
    ------
    AssertionError
        If a loop computes something else than NumPy. What rounding may do is allowed:
        16 units in the last place of the largest number in the loop, and four times the
        error that NumPy itself makes there, told by computing it with more digits.
    """
    env: dict[int, Any] = dict(zip(program.captured, captured, strict=True))
    env |= zip([*program.inputs, *program.numbers], inputs, strict=True)
    for i, value in enumerate(program.values):
        if value.kind == "constant":
            given = value.given
            env[i] = given.copy(order="K") if isinstance(given, np.ndarray) else given

    def known(x: Any) -> Any:
        return env[x] if type(x) is Ref else x

    for call in program.calls:
        args = replaced(call.args, known)
        if type(call) is not Loop:
            _run(call, args, env, program)
        elif not check:
            call.function(*args)
        else:
            before = [(env[w], env[w].copy()) for w in call.stored.values()]
            call.function(*args)
            got = {ref: env[ref].copy(order="K") for ref in call.stored}
            for x, y in before:
                x[...] = y
            exact = _Exact(env)
            for inner in call.body:
                exact.take(inner)
                made = env.get(inner.result) if inner.result is not None else None
                _run(inner, replaced(inner.args, known), env, program)
                if made is not None:
                    assert inner.result is not None
                    made[...] = env[inner.result]
                    env[inner.result] = made
            for ref, x in got.items():
                if not _agrees(x, env[ref], exact.of[ref], exact.scale):
                    raise AssertionError(
                        "te.compile: a compiled loop, of the calls from "
                        f"{call.body[0].name} ({call.body[0].origin}), computes "
                        f"another {_maker(call, ref)} than NumPy; nothing was changed. "
                        f"Please report it, with this kernel:\n{call.text}"
                    )
    return tuple(known(x) for x in program.outputs)


def _maker(loop: Loop, ref: Ref) -> str:
    made = [c for c in loop.body if ref in (c.result, c.target)]
    return f"{made[-1].name} ({made[-1].origin})"


def _run(call: Any, args: Any, env: dict[int, Any], program: Program) -> None:
    named = replaced(call.kwargs, lambda x: env[x] if type(x) is Ref else x)
    if call.target is not None and not writes_arguments(call):
        named["out"] = env[call.target]
    elif call.given_out and program.values[call.result].shape:
        value = program.values[call.result]
        named["out"] = np.ndarray(value.shape, value.dtype, None, 0, value.strides)
    with np.errstate(**call.quiet) if call.quiet is not None else nullcontext():
        found = call.function(*args, **named)
    if call.result is not None:
        env[call.result] = found
        if call.function is np.empty and found.dtype.kind == "f":
            found.fill(np.nan)  # what nobody computes must not be right by chance


class _Exact:
    """What a loop's calls compute with more digits, and the largest number in them."""

    def __init__(self, env: dict[int, Any]) -> None:
        self.env, self.scale = env, 0.0
        self.of: dict[Ref, Any] = {}

    def take(self, call: Any) -> None:
        """Compute a call, before NumPy does."""
        args = [self._wide(x) for x in call.args]
        ref = call.result if call.target is None else call.target
        with np.errstate(all="ignore"):
            if call.function not in COPYING:
                self.of[ref] = call.function(*args, **call.kwargs)
            elif call.target is None:
                self.of[ref] = args[0]
            else:
                self.of[ref] = np.broadcast_to(args[1], self.env[ref].shape)
            if call.name in ("add.reduce", "dot", "vecdot"):
                self._see(call.function(*map(np.abs, args), **call.kwargs))
        for x in (*args, self.of[ref]):
            self._see(x)

    def _see(self, x: Any) -> None:
        if getattr(x, "dtype", None) in (np.float64, np.longdouble):
            finite = np.abs(np.ravel(x))[np.isfinite(np.ravel(x))]
            self.scale = max(self.scale, float(finite.max(initial=0)))

    def _wide(self, x: Any) -> Any:
        return self.of.get(x, _wider(self.env.get(x))) if type(x) is Ref else x


def _wider(x: Any) -> Any:
    dtype = getattr(x, "dtype", None)
    if dtype == np.float32:
        return x.astype(np.float64)
    return x.astype(np.longdouble) if dtype == np.float64 else x


def _agrees(x: np.ndarray, wanted: np.ndarray, exact: Any, scale: float) -> bool:
    if x.dtype == np.bool_:  # where two numbers are nearly the same
        return int(np.count_nonzero(x != wanted)) <= 1 + x.size // 10_000
    finite = np.isfinite(wanted)
    if not np.array_equal(x[~finite], wanted[~finite], equal_nan=True):
        return False
    x, wanted, exact = (np.asarray(y)[finite] for y in (x, wanted, exact))
    if not x.size:
        return True
    own = np.abs(wanted - exact).max()
    return bool(np.abs(x - exact).max() <= 4 * own + 16 * np.finfo(x.dtype).eps * scale)
