"""A picture is written whole or not at all, and twice the same."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinygrad_edu import plots

# How a file of each format begins.
MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


class TestSave:
    @pytest.mark.parametrize("suffix", MAGIC)
    def test_writes_the_format_that_the_suffix_names(self, tmp_path, suffix):
        path = plots.save(plots.activation(np.tanh), tmp_path / f"tanh{suffix}")

        assert path == tmp_path / f"tanh{suffix}"
        assert path.read_bytes().startswith(MAGIC[suffix])

    @pytest.mark.parametrize("suffix", MAGIC)
    def test_the_same_picture_gives_the_same_bytes(self, tmp_path, suffix, monkeypatch):
        first = plots.save(plots.activation(np.tanh), tmp_path / f"1{suffix}")
        # matplotlib takes the present from here: another day, if it is asked at all.
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
        second = plots.save(plots.activation(np.tanh), tmp_path / f"2{suffix}")

        assert first.read_bytes() == second.read_bytes()

    def test_replaces_a_file(self, tmp_path):
        path = tmp_path / "tanh.png"
        path.write_bytes(b"old")

        plots.save(plots.activation(np.tanh), path)

        assert path.read_bytes().startswith(b"\x89PNG")

    def test_a_failure_leaves_the_old_file_and_no_other(self, tmp_path, monkeypatch):
        path = tmp_path / "tanh.png"
        path.write_bytes(b"old")

        def savefig(self, part, **keywords):
            part.write(b"half a pict")
            raise OSError("disk full")

        monkeypatch.setattr(Figure, "savefig", savefig)
        with pytest.raises(OSError, match="disk full"):
            plots.save(plots.activation(np.tanh), path)

        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["tanh", "tanh.html"])
    def test_refuses_another_suffix(self, tmp_path, name):
        with pytest.raises(ValueError, match=r"must end in one of \.png, \.svg, \.pdf"):
            plots.save(plots.activation(np.tanh), tmp_path / name)

        assert list(tmp_path.iterdir()) == []
