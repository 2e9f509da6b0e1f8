"""Checkpoints: all that the rest of a run depends on, in files that are whole.

A file holds arrays as safetensors does, and everything else as one JSON text in its
metadata, with a checksum over both. It takes its name only when it is on the disk.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.files import held_alone, written_atomically
from tinygrad_edu.saving.weights import DTYPES, checksum
from tinygrad_edu.training.progress import warn

__all__ = ["Checkpoints", "Found", "decode", "encode"]

KEPT = 3  # files
_FORMAT = "tinygrad_edu checkpoint 1"
_NAME = re.compile(r"checkpoint-(\d+)-(\d+)\.safetensors")
_TEMPORARY = re.compile(rf"\.{_NAME.pattern}\..+")
_ARRAY = "$array"  # {"$array": name} stands for an array in the JSON text


class Found(NamedTuple):
    """A checkpoint that was read and is whole."""

    path: Path
    state: dict[str, Any]

    def has_ended(self, epochs: int) -> bool:
        """Whether nothing is left to do, if there shall be so many epochs."""
        stopped = bool(self.state["reason"]) and self.state["epochs"] >= epochs
        return stopped or bool(self.state["done"] >= epochs)


class Checkpoints:
    """The checkpoints of one run, in a folder.

    They are called ``checkpoint-<epochs ended>-<batches of the next>.safetensors``.
    Other files in the folder are left alone.

    Parameters
    ----------
    folder : path
        Is made if it is not there.

    Raises
    ------
    OSError
        If nothing can be written there.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._damaged: set[Path] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise type(error)(
                error.errno,
                f"checkpoint={str(folder)!r}: no file can be written there "
                f"({error.strerror}). Training has not begun",
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of the folder, and clear up after one that was killed.

        Raises
        ------
        RuntimeError
            If another run writes there at the moment.
        """
        with ExitStack() as held:
            try:
                held.enter_context(held_alone(self.folder / ".lock"))
            except BlockingIOError as error:
                raise RuntimeError(
                    f"fit: another run, of process {error}, writes checkpoints into "
                    f"{self.folder} at the moment. Wait until it has ended, or pass "
                    "another folder as checkpoint="
                ) from None
            for path in self.folder.iterdir():
                if _TEMPORARY.fullmatch(path.name):
                    _remove(path)
            yield

    def newest(self) -> Found | None:
        """Return the newest whole checkpoint; name damaged ones in a warning."""
        paths = self._paths()
        for path in reversed(paths):
            try:
                return Found(path, decode(path.read_bytes()))
            except Exception as error:  # whatever a damaged file may lead to
                self._damaged.add(path)
                others = len(paths) > len(self._damaged)
                then = (
                    "the one before it is used"
                    if others
                    else "no other is left: training begins again"
                )
                warn(
                    f"fit: the checkpoint {path} is damaged ({error}); {then}",
                    UserWarning,
                )
        return None

    def write(self, epoch: int, batch: int, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, then remove all but the last few.

        Raises
        ------
        OSError
            If it could not be written. Then those before it are all there.
        """
        path = self.folder / f"checkpoint-{epoch:06d}-{batch:06d}.safetensors"
        with written_atomically(path) as file:
            file.write(encode(state))
        self._damaged.discard(path)
        before = [p for p in self._paths() if p not in self._damaged and p != path]
        for old in (*self._damaged, *before[: len(before) + 1 - KEPT]):
            _remove(old)
        self._damaged.clear()
        return path

    def _paths(self) -> list[Path]:
        """Return the files of ours, oldest first."""
        found = [(_NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        places = [((int(m[1]), int(m[2])), path) for m, path in found if m]
        return [path for _, path in sorted(places)]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass  # an old file too many does no harm


# ------------------------------------------------------------------ one file as bytes


def encode(state: Mapping[str, Any]) -> bytes:
    """Return a state as the bytes of a safetensors file.

    Parameters
    ----------
    state : mapping
        Arrays, numbers, strings, None, and lists and dicts of them. Arrays are called
        by the path that leads to them: ``"model.0.weight"``.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        If there is something else in it.
    """
    from safetensors.numpy import save  # here: importing the package must stay cheap

    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_plain(dict(state), "", arrays))
    told = {"format": _FORMAT, "state": text, "sha256": checksum(text, arrays)}
    return bytes(save(arrays, metadata=told))


def decode(data: bytes) -> dict[str, Any]:
    """Return the state that :func:`encode` was given; tuples have become lists.

    Raises
    ------
    ValueError
        If it is not whole, or no checkpoint.
    """
    from safetensors.numpy import load

    length = int.from_bytes(data[:8], "little")
    if not data or length > len(data) - 8:
        raise ValueError("the file ends too early")
    told = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    if told.get("format") != _FORMAT:
        raise ValueError(
            f"expected the format {_FORMAT!r}, got {told.get('format', 'none')!r}"
        )
    arrays = load(data)
    if checksum(told["state"], arrays) != told["sha256"]:
        raise ValueError("the checksum is wrong")
    state: dict[str, Any] = _with_arrays(json.loads(told["state"]), arrays)
    return state


def _plain(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return ``value`` for JSON, and put the arrays in it into ``arrays``."""
    if isinstance(value, np.ndarray):
        if value.dtype.name not in DTYPES:
            raise TypeError(
                f"a checkpoint cannot hold {path}, an array of dtype {value.dtype}; "
                "it can hold real numbers and booleans of up to 64 bits"
            )
        while path in arrays:  # {"a.b": x, "a": {"b": y}}
            path += "_"
        arrays[path] = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
        return {_ARRAY: path}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float):  # bool is an int
        return value
    prefix = f"{path}." if path else ""
    if isinstance(value, list | tuple):
        return [_plain(x, f"{prefix}{i}", arrays) for i, x in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(x, prefix + name, arrays) for name, x in value.items()}
    raise TypeError(
        f"a checkpoint cannot hold {path}, a {type(value).__name__}; a state_dict may "
        "consist of arrays, numbers, strings, None, and lists and dicts (with names) "
        "of them"
    )


def _with_arrays(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(x, arrays) for x in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_ARRAY}:
        return arrays[value[_ARRAY]]
    return {name: _with_arrays(x, arrays) for name, x in value.items()}
