"""Files that are either whole or not there, and the text of some."""

from __future__ import annotations

import csv
import errno
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["csv_text", "held_alone", "written_atomically"]

_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\n")  #: in the cells of spreadsheets


@contextmanager
def written_atomically(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name only once it is written whole.

    Parameters
    ----------
    path : str or path
        Whatever stands there is replaced; folders on the way are made.

    Yields
    ------
    binary file
        In the same folder under another name, removed if writing fails. On leaving,
        both the file and its name are on the disk, also after a power cut.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> with written_atomically(folder / "a.txt") as file:
    ...     _ = file.write(b"whole")
    >>> [entry.name for entry in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # what an ordinary new file gets
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Let the disk remember the new name, too: else a power cut may take it back."""
    if os.name == "nt":  # where a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # such file systems exist
            raise
    finally:
        os.close(handle)


@contextmanager
def held_alone(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a file that only one holds at a time, of whatever process and thread.

    Parameters
    ----------
    path : str or path
        Holds the number of the process; it is removed in the end. What a killed process
        left there is in nobody's way: the system gives its hold up.

    Yields
    ------
    None

    Raises
    ------
    BlockingIOError
        If somebody holds it; its message is the number of that process. Where the
        system or the disk has no such locks (Windows has others), nobody is refused.

    Examples
    --------
    >>> import os
    >>> path = getfixture("tmp_path") / ".lock"
    >>> with held_alone(path):
    ...     print(path.read_text() == str(os.getpid()))
    True
    >>> path.exists()
    False
    """
    path, handle = Path(path), -1
    try:
        handle = _locked(path)
    except BlockingIOError:
        raise BlockingIOError(path.read_text(errors="replace")) from None
    except (OSError, ImportError):  # no such locks here
        pass
    try:
        yield
    finally:
        if handle >= 0:
            path.unlink(missing_ok=True)  # before another can hold it
            os.close(handle)


def _locked(path: Path) -> int:
    """Open and lock a file that holds our number."""
    import fcntl

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # removed by its holder since we opened it


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as the text of a CSV file; numbers keep all their digits.

    A text that a spreadsheet would take for a formula is written behind an apostrophe,
    and half a character, which no file can hold, as what it is called.
    """
    file = io.StringIO()
    harmless = ([_harmless(cell) for cell in row] for row in rows)
    csv.writer(file, lineterminator="\n").writerows(harmless)
    return file.getvalue()


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    cell = cell.encode("utf-8", "backslashreplace").decode("utf-8")
    cell = cell.replace("\r", "\n")  # which is put into quotes: no new row begins
    return (
        f"'{cell}"
        if cell.startswith(_BEGIN_FORMULAS) and not _is_number(cell)
        else cell
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
