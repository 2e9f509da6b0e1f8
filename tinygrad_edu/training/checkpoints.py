"""Checkpoints: all that the rest of a run depends on, in files that are whole.

A Recorder knows when they are written, Checkpoints the folder. A file holds arrays as
safetensors does, and everything else as one JSON text in its metadata, with a checksum
over both. It takes its name only when it is on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.files import written_atomically
from tinygrad_edu.randomness import Random, set_state
from tinygrad_edu.saving.weights import DTYPES
from tinygrad_edu.training.progress import warn

__all__ = ["Checkpoints", "Found", "Recorder", "decode", "differences", "encode"]

SECONDS_BETWEEN = 60.0  # from one checkpoint to the next inside an epoch
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


class Recorder:
    """When checkpoints of a run are written, and what became of the last one.

    Parameters
    ----------
    folder : path or None
        Without one, none is ever written.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._checkpoints = None if folder is None else Checkpoints(folder)
        self._written_at = time.perf_counter()
        self._failed: OSError | None = None  # why the last one was not written
        self._kept: dict[str, Any] | None = None  # fit's generator in the last one

    def newest(self) -> Found | None:
        """Return the checkpoint to go on from, if there is one."""
        return None if self._checkpoints is None else self._checkpoints.newest()

    def resume(self, found: Found) -> None:
        """Take note of the checkpoint that the run goes on from."""
        self._kept = found.state["generators"]["fit"]

    @property
    def is_on(self) -> bool:
        """Whether there is a folder."""
        return self._checkpoints is not None

    @property
    def is_due(self) -> bool:
        """Whether, inside an epoch, it is time for another one."""
        return self.is_on and time.perf_counter() - self._written_at >= SECONDS_BETWEEN

    def write(self, state_of_run: Callable[[], Mapping[str, Any]]) -> float:
        """Write a checkpoint; return how long it took, in s."""
        assert self._checkpoints is not None
        begun = time.perf_counter()
        try:
            state = state_of_run()
            self._checkpoints.write(state["done"], state["batch"], state)
            self._kept = state["generators"]["fit"]
            self._failed = None
        except OSError as error:
            self._failed = error
            warn(
                f"fit: no checkpoint could be written into {self._checkpoints.folder} "
                f"({error}). Those written before are whole. Training goes on, and "
                "tries again with the next one",
                RuntimeWarning,
            )
        self._written_at = time.perf_counter()
        return self._written_at - begun

    def leave(self, rng: Random) -> None:
        """Leave fit's generator as in the last one, so that the same call goes on."""
        if self._kept is not None:
            set_state(rng, self._kept)

    def say_what_is_missing(self) -> None:
        """Warn if the end of the run is in no checkpoint."""
        if self._failed is not None:
            warn(
                "fit: the end of the training is in no checkpoint "
                f"({self._failed}). The result is in the model: te.save(model, path) "
                "keeps it elsewhere",
                RuntimeWarning,
            )


# ------------------------------------------------------------------------ the folder


class Checkpoints:
    """The checkpoints of one run, in a folder.

    They are called ``checkpoint-<epochs ended>-<batches of the next>.safetensors``.
    Other files in the folder are left alone.

    Parameters
    ----------
    folder : path
        Is made if it is not there. What a killed run left half written is removed.

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
        for path in self.folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                _remove(path)

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
    told = {"format": _FORMAT, "state": text, "sha256": _checksum(text, arrays)}
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
    if _checksum(told["state"], arrays) != told["sha256"]:
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


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of the JSON text and of all arrays with their names."""
    digest = hashlib.sha256(text.encode())
    for name, x in sorted(arrays.items()):
        kind = x.dtype.newbyteorder("<").str
        digest.update(f"\n{name} {kind} {x.shape}\n".encode())
        digest.update(np.asarray(x, order="C").data)
    return digest.hexdigest()


# --------------------------------------------------------- whose checkpoint is it?


def differences(saved: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Say where two descriptions of a run differ, a line for each fact.

    Parameters
    ----------
    saved, own : mapping
        Of what may stand in JSON; nested ones are compared fact by fact.

    Returns
    -------
    list of str

    Examples
    --------
    >>> differences({"model": {"w": "(2,)"}}, {"model": {"w": "(3,)"}})
    ['model.w: (2,) in the checkpoint, (3,) here']
    """
    facts, others = dict(_flat(saved, "")), dict(_flat(own, ""))
    lines = []
    for name in {**facts, **others}:
        in_file = f"{facts[name]} in the checkpoint" if name in facts else ""
        here = f"{others[name]} here" if name in others else "not here"
        if facts.get(name, _NONE) != others.get(name, _NONE):
            lines.append(f"{name}: {in_file or 'not in the checkpoint'}, {here}")
    return lines


_NONE = object()


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else name)
    else:
        yield path, value
