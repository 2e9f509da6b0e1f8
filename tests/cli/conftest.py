"""What the tests of several commands ask for."""

from __future__ import annotations

import pytest

import tinygrad_edu as te


@pytest.fixture
def no_dot(tmp_path, monkeypatch):
    """A machine without Graphviz."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


@pytest.fixture
def reader(tmp_path):
    """A network for digits of 8x8 that has learned a little, and its file."""
    X, y, _, _ = te.data.load_digits()
    model = te.nn.Sequential(te.nn.Linear(64, 10, rng=0))
    te.fit(
        model,
        X,
        y,
        loss=te.nn.softmax_cross_entropy,
        optimizer=te.optim.Adam(model.parameters(), lr=0.01),
        epochs=5,
        batch_size=32,
        progress=False,
        rng=0,
    )
    return te.save(model, tmp_path / "reader.safetensors")
