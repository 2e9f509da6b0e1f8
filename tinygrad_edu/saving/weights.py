"""save and load: the weights and buffers of a model as a safetensors file.

The file holds names, shapes and numbers, and nothing that could be run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.files import written_atomically
from tinygrad_edu.nn import Layer
from tinygrad_edu.saving.architecture import built, described
from tinygrad_edu.saving.pytorch import from_pytorch, to_pytorch

__all__ = [
    "DTYPES",
    "FORMAT",
    "VERSION",
    "checked_path",
    "checksum",
    "load",
    "rebuilt",
    "save",
]

FORMAT = "tinygrad_edu"  #: in the file's metadata, as "format"
VERSION = "1"  #: of what the metadata mean, as "version"
_SUFFIX = ".safetensors"

#: The dtypes of NumPy that a safetensors file has, too.
DTYPES = {
    *("bool", "float16", "float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}

AnyLayer = TypeVar("AnyLayer", bound=Layer)


def save(model: Layer, path: str | os.PathLike[str]) -> Path:
    """Write the parameters and buffers of a model into a safetensors file.

    Parameters
    ----------
    model : Layer
    path : str or path
        Ends in ``.safetensors``. Whatever stands there is replaced, once the new file
        is whole; folders on the way are made.

    Returns
    -------
    Path

    Raises
    ------
    TypeError
        If the model is no Layer, or a buffer is of a dtype that such files do not have.
    ValueError
        If the path has another suffix, or a name has half a character (a lone
        surrogate).
    OSError
        If the file cannot be written.

    Notes
    -----
    To load, build the model anew. The file names and arranges the numbers as PyTorch
    does, so that a model of the same layers there takes them. Of a model that is made
    of this library's layers alone, the header describes them, for ``tinygrad-edu
    predict`` and ``export``. :func:`load` compares a checksum that it
    holds. How far an optimiser had come is not saved; ``te.fit(...,
    checkpoint=folder)`` keeps that.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Linear(3, 2, rng=0)
    >>> path = te.save(model, getfixture("tmp_path") / "model.safetensors")
    >>> other = te.load(te.nn.Linear(3, 2), path)
    >>> bool((other.weight.data == model.weight.data).all())
    True
    """
    from safetensors.numpy import save as encoded  # here, so that te imports quickly

    _check_model("save", model)
    path = checked_path("save", path)
    state = model.state_dict()
    if halves := [n for n in state if not _is_text(n)]:
        raise ValueError(
            f"save: the name {halves[0]!a} has half a character, which no file can hold"
        )
    strange = [
        f"{n} is {x.dtype}" for n, x in state.items() if x.dtype.name not in DTYPES
    ]
    if strange:
        raise TypeError(f"save: no safetensors file holds such: {'; '.join(strange)}")
    metadata = {"format": FORMAT, "version": VERSION}
    if (layers := described(model)) is not None:
        metadata["layers"] = layers
    arrays = to_pytorch(model, state)
    metadata["sha256"] = checksum(_text_of(metadata), arrays)
    with written_atomically(path) as file:
        file.write(encoded(arrays, metadata))
    return path


def load(model: AnyLayer, path: str | os.PathLike[str]) -> AnyLayer:
    """Read the parameters and buffers of a model from a safetensors file.

    Parameters
    ----------
    model : Layer
        Built as the one that was saved. Its numbers are replaced.
    path : str or path
        Written by :func:`save`, or by any other program that writes such files, with
        our names or PyTorch's.

    Returns
    -------
    Layer
        The same model.

    Raises
    ------
    TypeError
        If the model is no Layer.
    ValueError
        If names are missing or unexpected, shapes differ, or numbers are of another
        kind, all of which are listed; if the file is damaged, or no safetensors file;
        if it has a checksum, and not that of its numbers. Then nothing is changed.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> path = getfixture("tmp_path") / "model.safetensors"
    >>> model = te.nn.Linear(3, 2, rng=0)
    >>> _ = te.save(model, path)
    >>> again = te.load(te.nn.Linear(3, 2), path)
    >>> bool((again.weight.data == model.weight.data).all())
    True
    """
    _check_model("load", model)
    path = _no_folder("load", path)
    _, state = _read(path)
    try:
        model.load_state_dict(from_pytorch(model, state))
    except ValueError as error:
        told = str(error).partition(".load_state_dict: ")[2] or error
        raise ValueError(
            f"load: {path.name} does not fit the {type(model).__name__}: {told}"
        ) from None
    return model


def rebuilt(path: str | os.PathLike[str]) -> Layer:
    """Return the model that was saved into a file, layers and all.

    Parameters
    ----------
    path : str or path
        Written by :func:`save`.

    Returns
    -------
    Layer

    Raises
    ------
    ValueError
        If the file does not describe the layers, or as for :func:`load`.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from tinygrad_edu import nn
    >>> rebuilt(save(nn.Linear(3, 2), getfixture("tmp_path") / "model.safetensors"))
    Linear(3 -> 2)
    """
    path = _no_folder("load", path)
    metadata, _ = _read(path)
    if metadata.get("format") != FORMAT or "layers" not in metadata:
        raise ValueError(
            f"load: {path.name} holds weights, and not what layers they belong to: it "
            "is of another program, or of layers that are not of this library"
        )
    try:
        model = built(metadata["layers"])
    except ValueError as error:
        raise ValueError(f"load: {path.name}: {error}") from None
    return load(model, path)


def checked_path(who: str, path: str | os.PathLike[str]) -> Path:
    """Return the path of a file to write weights into, if it can be one."""
    path = _no_folder(who, path)
    if path.suffix != _SUFFIX:
        raise ValueError(
            f"{who}: the name of a file of weights must end in {_SUFFIX}, got "
            f"{path.name!r}"
        )
    return path


def _no_folder(who: str, path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{who}: {path} is a folder; name a file in it, such as "
            f"{path / f'model{_SUFFIX}'}"
        )
    return path


def _check_model(who: str, model: object) -> None:
    if not isinstance(model, Layer):
        raise TypeError(
            f"{who}: the model must be a Layer, got {type(model).__name__}; write "
            f"te.{who}(model, path)"
        )


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return the metadata of a file, and its arrays by name."""
    import safetensors  # here, so that te imports quickly

    with open(path, "rb"):  # to say of a missing file what Python says
        pass
    try:
        # It compares the sizes in the header with that of the file before all else.
        with safetensors.safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            version = metadata.get("version")
            if metadata.get("format") == FORMAT and version != VERSION:
                raise ValueError(
                    f"load: {path.name} is of version {version}, but this is made for "
                    f"version {VERSION}; a newer tinygrad_edu reads it"
                )
            arrays = {name: _array(file, name, path) for name in file.keys()}
    except safetensors.SafetensorError as error:
        hint = "" if path.suffix == _SUFFIX else f" (its name ends in {path.suffix!r})"
        raise ValueError(
            f"load: {path.name} is damaged, or no safetensors file{hint}: {error}"
        ) from None
    if metadata.get("format") == FORMAT and "sha256" in metadata:
        if checksum(_text_of(metadata), arrays) != metadata["sha256"]:
            raise ValueError(
                f"load: {path.name} is damaged: its checksum is not that of the "
                "numbers and names in it. Take another copy, or save the model again"
            )
    return metadata, arrays


def _text_of(metadata: Mapping[str, str]) -> str:
    """Return what the checksum of a file covers besides its arrays."""
    return json.dumps({n: x for n, x in sorted(metadata.items()) if n != "sha256"})


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a text and of all arrays with their names."""
    digest = hashlib.sha256(text.encode())
    for name, x in sorted(arrays.items()):
        little = np.asarray(x, x.dtype.newbyteorder("<"), order="C")
        digest.update(f"\n{name} {little.dtype.str} {x.shape}\n".encode())
        digest.update(little.data)
    return digest.hexdigest()


def _array(file: Any, name: str, path: Path) -> np.ndarray:
    """Return one array, if NumPy has its dtype."""
    try:
        array: np.ndarray = file.get_tensor(name)
        return array
    except (TypeError, AttributeError, KeyError, ImportError):
        dtype = file.get_slice(name).get_dtype()
        raise ValueError(
            f"load: {path.name} holds {name} as {dtype}, which NumPy has not; save it "
            "as float32"
        ) from None
