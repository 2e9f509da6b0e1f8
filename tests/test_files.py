"""Files that are either whole or not there, and the text of some."""

from __future__ import annotations

import csv
import errno
import io
import os
import stat
from pathlib import Path

import pytest

from tinygrad_edu.files import csv_text, written_atomically


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_what_was_written_under_the_name_and_nothing_else(tmp_path):
    with written_atomically(tmp_path / "a.bin") as file:
        file.write(b"one ")
        file.write(b"two")

    assert (tmp_path / "a.bin").read_bytes() == b"one two"
    assert names(tmp_path) == ["a.bin"]


def test_takes_a_path_as_text(tmp_path):
    with written_atomically(str(tmp_path / "a.txt")) as file:
        file.write(b"text")

    assert (tmp_path / "a.txt").read_bytes() == b"text"


def test_takes_a_name_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with written_atomically("a.txt") as file:
        file.write(b"text")

    assert names(tmp_path) == ["a.txt"]


def test_the_name_is_free_until_the_file_is_whole(tmp_path):
    path = tmp_path / "a.txt"

    with written_atomically(path) as file:
        file.write(b"x" * 100_000)
        file.flush()
        assert not path.exists()
        (partial,) = tmp_path.iterdir()  # on the same disk, so that renaming is atomic
        assert partial.name.startswith(".a.txt.")

    assert path.stat().st_size == 100_000


def test_replaces_what_is_there_only_once_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    with written_atomically(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    assert path.read_bytes() == b"new"


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old and long")

    with open(path, "rb") as reader:
        with written_atomically(path) as file:
            file.write(b"new")

        assert reader.read() == b"old and long"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail():
        with written_atomically(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failure_where_nothing_was_leaves_nothing(tmp_path):
    with (
        pytest.raises(ValueError, match="on purpose"),
        written_atomically(tmp_path / "a"),
    ):
        raise ValueError("on purpose")

    assert names(tmp_path) == []


def test_the_writers_file_is_closed_after_a_failure(tmp_path):
    with pytest.raises(ValueError, match="on purpose"):
        with written_atomically(tmp_path / "a") as file:
            raise ValueError("on purpose")

    assert file.closed


def test_makes_the_folders_on_the_way(tmp_path):
    with written_atomically(tmp_path / "b" / "c" / "a.txt") as file:
        file.write(b"text")

    assert (tmp_path / "b" / "c" / "a.txt").read_bytes() == b"text"


def test_the_name_of_a_folder_is_refused_and_the_folder_kept(tmp_path):
    (tmp_path / "folder").mkdir()

    with (
        pytest.raises(OSError, match="folder"),
        written_atomically(tmp_path / "folder"),
    ):
        pass

    assert names(tmp_path) == ["folder"]
    assert (tmp_path / "folder").is_dir()


def test_a_folder_that_is_a_file_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    computed = False

    with pytest.raises(OSError, match="file"):
        with written_atomically(tmp_path / "file" / "a.txt"):
            computed = True

    assert not computed
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_an_ordinary_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        with written_atomically(tmp_path / "a.txt") as file:
            file.write(b"text")
        (tmp_path / "ordinary.txt").write_bytes(b"text")
        after = os.umask(mask)
    finally:
        os.umask(before)

    assert after == mask
    modes = [
        stat.S_IMODE(Path(tmp_path, name).stat().st_mode) for name in names(tmp_path)
    ]
    assert modes == [0o666 & ~mask] * 2


@pytest.fixture
def synced(monkeypatch):
    """What was brought to the disk: the inodes of files and folders, in order."""
    found, usual = [], os.fsync

    def noting(handle):
        found.append(os.fstat(handle).st_ino)
        usual(handle)

    monkeypatch.setattr(os, "fsync", noting)
    return found


def test_the_file_and_then_its_folder_are_brought_to_the_disk(tmp_path, synced):
    with written_atomically(tmp_path / "a.txt") as file:
        file.write(b"text")

    folder = tmp_path.stat().st_ino
    assert synced == [(tmp_path / "a.txt").stat().st_ino, folder]


def test_a_file_system_that_cannot_sync_folders_will_do(tmp_path, monkeypatch):
    def no_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", no_folders)

    with written_atomically(tmp_path / "a.txt") as file:
        file.write(b"text")

    assert (tmp_path / "a.txt").read_bytes() == b"text"


def test_a_folder_that_cannot_reach_the_disk_is_an_error(tmp_path, monkeypatch):
    def broken(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)

    with pytest.raises(OSError, match="Input/output"):
        with written_atomically(tmp_path / "a.txt"):
            pass


# -------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\n=1"])
def test_what_a_spreadsheet_would_compute_is_written_as_text(text):
    (row,) = csv.reader(io.StringIO(csv_text([[text, "loss"]]), newline=""))

    assert row == ["'" + text, "loss"]


def test_no_row_begins_inside_a_cell():
    (row,) = csv.reader(io.StringIO(csv_text([["a\r=1", "b"]]), newline=""))

    assert row == ["a\n=1", "b"]


def test_numbers_are_written_as_they_are():
    assert csv_text([[-1.5, -3, "-1.5", "+2", "-inf", ""]]) == "-1.5,-3,-1.5,+2,-inf,\n"


def test_half_a_character_in_a_cell_is_named():
    assert csv_text([["a\ud800b"]]).encode() == b"a\\ud800b\n"
