"""The MNIST handwritten digits: read from IDX files, or downloaded once."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_edu.data.scaling import TrainTest, float_dtype, scaled
from tinygrad_edu.files import written_atomically

__all__ = ["load_mnist", "read_idx"]

_FOLDER_VARIABLE = "TINYGRAD_EDU_DATA"


class _File(NamedTuple):
    """One of the four files that make up MNIST."""

    name: str
    shape: tuple[int, ...]
    md5: str  # of the uncompressed file


_FILES = (
    _File(
        "train-images-idx3-ubyte", (60_000, 28, 28), "6bbc9ace898e44ae57da46a324031adb"
    ),
    _File("train-labels-idx1-ubyte", (60_000,), "a25bea736e30d166cdddb491f175f624"),
    _File(
        "t10k-images-idx3-ubyte", (10_000, 28, 28), "2646ac647ad5339dbf082846283269ea"
    ),
    _File("t10k-labels-idx1-ubyte", (10_000,), "27ae3e4e09519cfbb04c329615203637"),
)

_LARGEST = math.prod(_FILES[0].shape) + 4096  #: bytes of an array with its header

# The third byte of an IDX file -> the type of its numbers, all big-endian.
_IDX_DTYPES = {
    0x08: ">u1",
    0x09: ">i1",
    0x0B: ">i2",
    0x0C: ">i4",
    0x0D: ">f4",
    0x0E: ">f8",
}
_IDX_UNSIGNED_BYTE = 0x08


def load_mnist(
    path: str | os.PathLike[str] | None = None, *, dtype: npt.DTypeLike = np.float64
) -> TrainTest:
    """Load MNIST: 70,000 handwritten digits of 28 x 28 pixels.

    Parameters
    ----------
    path : path-like or None
        A folder with the four IDX files of MNIST, each gzipped or not:
        ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte`` (or with a dot:
        ``train-images.idx3-ubyte``). None takes the folder that the environment
        variable ``TINYGRAD_EDU_DATA`` names. Where that is unset or empty as
        well, MNIST is downloaded once (16 MB) and kept beside scikit-learn's
        data, as ``tinygrad_edu/mnist.npz`` in `sklearn.datasets.get_data_home`.
    dtype : dtype-like
        The floating type of the images. All of them take 439 MB in float64, half
        of it in float32.

    Returns
    -------
    X_train : ndarray, shape (60000, 784)
        Images, one flat image per row, from 0 (paper) to 1 (ink), dimensionless.
    y_train : ndarray of int64, shape (60000,)
        The digits shown, 0 to 9.
    X_test : ndarray, shape (10000, 784)
        The images left for testing.
    y_test : ndarray of int64, shape (10000,)
        Their digits.

    Raises
    ------
    FileNotFoundError
        If ``path`` or the environment variable is given and its folder, or one
        of the four files in it, does not exist. Nothing is downloaded then.
    ValueError
        If a file, the download or its copy on disk is truncated, corrupted or
        not MNIST.
    ConnectionError
        If the download fails.
    TypeError
        If ``dtype`` is not a floating type.

    See Also
    --------
    load_digits : a small data set of the same kind that needs no download.

    Notes
    -----
    ``X = pixels / 255`` with pixels in 0..255, in the order of the original files
    [1]_. Local files are checked by their structure, so that other data of
    MNIST's form can take its place; the download and its copy on disk are checked
    against the md5 sums of the original files.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of
       handwritten digits", http://yann.lecun.com/exdb/mnist/

    Examples
    --------
    >>> X_train, y_train, X_test, y_test = load_mnist()  # doctest: +SKIP
    >>> X_train.shape, X_test.shape  # doctest: +SKIP
    ((60000, 784), (10000, 784))
    >>> y_train[:10]  # doctest: +SKIP
    array([5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    """
    floating = float_dtype(dtype, "load_mnist")
    arrays = _load_bytes(path)
    train_images, train_labels, test_images, test_labels = arrays
    return (
        scaled(train_images, 255, floating),
        train_labels.astype(np.int64),
        scaled(test_images, 255, floating),
        test_labels.astype(np.int64),
    )


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an array from an IDX file, gzipped or not.

    Parameters
    ----------
    path : path-like
        The file. Whether it is gzipped shows in its first bytes, not its name.

    Returns
    -------
    ndarray
        Shape and type as the file says, in the byte order of this machine.

    Raises
    ------
    ValueError
        If the file is not an IDX file, is damaged, or is shorter or longer than
        its header says.
    OSError
        If it cannot be opened.

    Notes
    -----
    The file is two zero bytes, a byte for the type of the numbers, a byte for the
    number of dimensions, the length of each dimension (four bytes, big-endian)
    and then the numbers (big-endian), the last index running fastest [1]_.

    References
    ----------
    .. [1] "IDX file format", the Praat manual,
       https://www.fon.hum.uva.nl/praat/manual/IDX_file_format.html

    Examples
    --------
    >>> import tempfile
    >>> header = bytes([0, 0, 0x08, 2, 0, 0, 0, 2, 0, 0, 0, 3])  # uint8, (2, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "example-idx2-ubyte")
    ...     _ = path.write_bytes(header + bytes([1, 2, 3, 4, 5, 6]))
    ...     read_idx(path)
    array([[1, 2, 3],
           [4, 5, 6]], dtype=uint8)
    """
    return _read_idx(Path(path), lambda dtype, shape: None)


def _read_idx(
    path: Path, check: Callable[[np.dtype[Any], tuple[int, ...]], None]
) -> npt.NDArray[Any]:
    """Read an IDX file whose header ``check`` has seen before any numbers are read.

    What a header or a gzip file claims takes no memory: only what is there does, and no
    more than the header says.
    """
    with open(path, "rb") as file:
        is_gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if is_gzipped else file
        try:
            dtype, shape, start = _idx_header(stream, path)
            check(dtype.newbyteorder("="), shape)
            length = math.prod(shape) * dtype.itemsize
            content = _read_at_most(stream, length + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"read_idx: {path} is damaged: expected a whole gzip file, found: "
                f"{error}. Get the file anew."
            ) from error
        found = str(start + len(content))
        if len(content) > length:
            size = os.fstat(file.fileno()).st_size
            found = "more" if is_gzipped else str(size)
    if len(content) != length:
        raise ValueError(
            f"read_idx: {path} is "
            f"{'cut off' if len(content) < length else 'too long'}: "
            f"expected {start + length} bytes for {dtype.name} of shape {shape}, "
            f"found {found}. Get the file anew."
        )
    try:
        numbers: npt.NDArray[Any] = np.ndarray(shape, dtype, content)
    except ValueError as error:  # of more axes than NumPy has, or of 0 times too many
        raise ValueError(
            f"read_idx: {path} is no array: its header says shape {shape} ({error})"
        ) from None
    return numbers.astype(dtype.newbyteorder("="))


def _idx_header(stream: Any, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return the type and shape that an IDX file says, and where the numbers begin."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_DTYPES:
        codes = ", ".join(f"{code:02x}" for code in _IDX_DTYPES)
        raise ValueError(
            f"read_idx: {path} is not an IDX file: expected it to begin with 00 00, a "
            f"type ({codes}) and the number of dimensions, "
            f"found {magic.hex(' ') or 'an empty file'}"
        )
    start = 4 + 4 * magic[3]
    lengths = stream.read(start - 4)
    if len(lengths) < start - 4:
        raise ValueError(
            f"read_idx: {path} is cut off: expected a header of {start} bytes for "
            f"{magic[3]} dimensions, found {4 + len(lengths)} bytes. Get the file anew."
        )
    shape = struct.unpack(f">{magic[3]}I", lengths)
    return np.dtype(_IDX_DTYPES[magic[2]]), shape, start


def _read_at_most(stream: Any, size: int) -> bytearray:
    """Read so many bytes, or what there is, as it comes."""
    content = bytearray()
    while part := stream.read(min(size - len(content), 1 << 20)):
        content += part
    return content


def _load_bytes(path: str | os.PathLike[str] | None) -> list[npt.NDArray[np.uint8]]:
    """Return the arrays of the four files from the first source that is given."""
    if path is not None:
        return _read_folder(Path(path), "path")
    folder = os.environ.get(_FOLDER_VARIABLE)
    if folder:
        return _read_folder(Path(folder), f"the variable {_FOLDER_VARIABLE}")
    cache = _cache_path()
    if cache.exists():
        return _read_cache(cache)
    arrays = _download(cache)
    _write_cache(cache, arrays)
    return arrays


def _read_folder(folder: Path, origin: str) -> list[npt.NDArray[np.uint8]]:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"load_mnist: there is no folder {folder}, which {origin} names. "
            "Name the folder with the four IDX files of MNIST, or none to have it "
            "downloaded."
        )
    paths = {file: _find(folder, file.name) for file in _FILES}
    missing = [file.name for file, path in paths.items() if path is None]
    if missing:
        raise FileNotFoundError(
            f"load_mnist: the folder {folder}, which {origin} names, lacks "
            f"{', '.join(missing)}, with or without .gz. Put all four IDX files "
            "of MNIST there, or name no folder to have it downloaded."
        )
    return [_read_file(path, file) for file, path in paths.items() if path is not None]


def _find(folder: Path, name: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")
    candidates = (name, f"{name}.gz", dotted, f"{dotted}.gz")
    # is_file, not exists: some archives unpack into folders of the same names.
    return next((folder / c for c in candidates if (folder / c).is_file()), None)


def _read_file(path: Path, file: _File) -> npt.NDArray[np.uint8]:
    def check(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if dtype != np.uint8 or shape != file.shape:
            raise ValueError(
                f"load_mnist: {path} is not the file of MNIST of this name: expected "
                f"uint8 of shape {file.shape}, found {dtype} of shape {shape}. Get the "
                "file anew."
            )

    array = _read_idx(path, check)
    if array.ndim == 1 and array.max() > 9:
        row = int(array.argmax())
        raise ValueError(
            f"load_mnist: {path} has a label outside 0..9: found {array[row]} in row "
            f"{row}. Get the file anew."
        )
    return array


def _cache_path() -> Path:
    # The folder of sklearn.datasets.get_data_home, without the most of a second
    # that importing scikit-learn takes: a second load has no other use for it.
    home = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")
    return Path(home).expanduser() / "tinygrad_edu" / "mnist.npz"


def _download(cache: Path) -> list[npt.NDArray[np.uint8]]:
    from sklearn import datasets

    print(
        "load_mnist: downloading MNIST from openml.org (16 MB) and converting it; this "
        f"may take a minute, but only once: it will be kept in {cache}",
        file=sys.stderr,
    )
    try:
        # liac-arff is the parser that does not need pandas. One retry instead of
        # three: who is offline should not wait to be told so.
        bunch = datasets.fetch_openml(
            "mnist_784", version=1, as_frame=False, parser="liac-arff", n_retries=1
        )
    except Exception as error:  # from the network, the server or the answer's form
        raise ConnectionError(
            "load_mnist: MNIST could not be downloaded from openml.org "
            f"({type(error).__name__}: {error}). There are two ways to get it: put its "
            f"IDX files ({', '.join(file.name for file in _FILES)}; gzipped or not) "
            f"into a folder and name that in the environment variable "
            f"{_FOLDER_VARIABLE} or by load_mnist(path=...); or call load_mnist() once "
            f"with an internet connection, after which it is kept in {cache}."
        ) from error

    origin = "the MNIST downloaded from openml.org"
    advice = (
        f"Nothing was kept. Delete scikit-learn's copy, {cache.parents[1] / 'openml'}, "
        f"and try again, or name a folder with the IDX files in {_FOLDER_VARIABLE}."
    )
    arrays = _as_files(bunch.data, bunch.target, origin, advice)
    _check_md5(arrays, origin, advice)
    return arrays


def _as_files(
    data: npt.NDArray[Any], target: npt.NDArray[Any], origin: str, advice: str
) -> list[npt.NDArray[np.uint8]]:
    """Cut what OpenML sends into the arrays of the four files."""
    n_train, n_test = (file.shape[0] for file in _FILES[::2])
    shape = (n_train + n_test, math.prod(_FILES[0].shape[1:]))
    if data.shape != shape or target.shape != shape[:1]:
        raise ValueError(
            f"load_mnist: {origin} has the wrong size: expected pixels {shape} and "
            f"labels {shape[:1]}, found {data.shape} and {target.shape}. {advice}"
        )
    # Before the cast, which is undefined for what does not fit. NaN is not in range.
    wrong = data[~((data >= 0) & (data <= 255))]
    if wrong.size == 0:
        wrong = data[data % 1 != 0]
    if wrong.size > 0:
        raise ValueError(
            f"load_mnist: {origin} has pixels other than integers in 0..255: "
            f"found {wrong[0]}. {advice}"
        )
    labels = np.asarray(target, dtype=str)
    digits = list("0123456789")
    if not np.isin(labels, digits).all():
        raise ValueError(
            f"load_mnist: {origin} has labels other than '0' to '9': "
            f"found {np.setdiff1d(labels, digits)[:5].tolist()}. {advice}"
        )
    pixels = data.astype(np.uint8).reshape(-1, *_FILES[0].shape[1:])
    y = labels.astype(np.uint8)
    return [pixels[:n_train], y[:n_train], pixels[n_train:], y[n_train:]]


def _check_md5(
    arrays: Sequence[npt.NDArray[np.uint8]], origin: str, advice: str
) -> None:
    """Compare each array, written as an IDX file, with the original file."""
    for file, array in zip(_FILES, arrays, strict=True):
        header = struct.pack(
            f">4B{array.ndim}I", 0, 0, _IDX_UNSIGNED_BYTE, array.ndim, *array.shape
        )
        md5 = hashlib.md5(header, usedforsecurity=False)
        md5.update(np.ascontiguousarray(array).data)
        if md5.hexdigest() != file.md5:
            raise ValueError(
                f"load_mnist: {origin} differs from the original: expected "
                f"{file.name} with md5 {file.md5}, found {md5.hexdigest()}. {advice}"
            )


def _read_cache(cache: Path) -> list[npt.NDArray[np.uint8]]:
    import zipfile  # here: importing the package must stay cheap

    advice = "Delete the file; the next call downloads MNIST again."
    names = [file.name for file in _FILES]
    # Opened here: from a damaged zip file np.load does not close what it opens.
    with open(cache, "rb") as stream:
        try:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is not a zip archive, or its end is missing")
            with zipfile.ZipFile(stream) as packed:
                for entry in packed.infolist():
                    if entry.file_size > _LARGEST:
                        raise ValueError(
                            f"{entry.filename} of {entry.file_size:,} bytes"
                        )
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                if sorted(archive.files) != sorted(names):
                    raise ValueError(f"it holds {archive.files}")
                arrays = [archive[name] for name in names]
        except Exception as error:  # damage has many forms: zip, zlib, npy, seek
            raise ValueError(
                f"load_mnist: {cache} is damaged or not a copy of MNIST: expected an "
                f".npz file of {', '.join(names)}, found: {error!r}. {advice}"
            ) from error

    for file, array in zip(_FILES, arrays, strict=True):
        if array.dtype != np.uint8 or array.shape != file.shape:
            raise ValueError(
                f"load_mnist: {cache} is not a copy of MNIST: expected {file.name} as "
                f"uint8 of shape {file.shape}, found {array.dtype} of shape "
                f"{array.shape}. {advice}"
            )
    _check_md5(arrays, str(cache), advice)
    return arrays


def _write_cache(cache: Path, arrays: Sequence[npt.NDArray[np.uint8]]) -> None:
    """Write the cache, so that at every moment it is either whole or not there."""
    names = [file.name for file in _FILES]
    named: dict[str, Any] = dict(zip(names, arrays, strict=True))
    with written_atomically(cache) as stream:
        # Not compressed: 55 MB instead of 11, but read in 0.03 s instead of 0.15.
        np.savez(stream, **named)
