"""``tinygrad-edu export``: a saved model as a file of ONNX."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tinygrad_edu as te
from tinygrad_edu.cli import main


def test_export_without_onnx_says_how_to_get_it(reader, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(SystemExit) as caught:
        main(["export", str(reader), str(tmp_path / "m.onnx")])

    assert caught.value.code == 1
    assert "pip install 'tinygrad_edu[onnx]'" in capsys.readouterr().err


@pytest.mark.slow  # as all that needs onnx
@pytest.mark.parametrize(
    ("layer", "arguments", "told"),
    [
        (te.nn.Linear(64, 10), [], "(64,)"),
        (te.nn.Conv2d(1, 4, 5), [], "(1, 28, 28)"),
        (te.nn.Linear(3, 2), ["--shape", "(5, 3)"], "(5, 3)"),
        (te.nn.Embedding(7, 2), ["--shape", "(4,)", "--integers"], "(4,)"),
    ],
)
def test_export_writes_a_model_for_rows_of_a_shape(
    tmp_path, capsys, layer, arguments, told
):
    onnx = pytest.importorskip("onnx")
    path = te.save(te.nn.Sequential(layer), tmp_path / "m.safetensors")
    out = tmp_path / "m.onnx"

    assert main(["export", str(path), str(out), *arguments]) == 0

    assert capsys.readouterr().out == f"Written: {out}, for rows of shape {told}\n"
    node, *_ = onnx.load(out).graph.node
    assert node.name.startswith(f"0/{type(layer).__name__}/")


def test_export_asks_for_a_shape_that_it_cannot_know(tmp_path, capsys):
    path = te.save(te.nn.Linear(3, 2), tmp_path / "m.safetensors")

    with pytest.raises(SystemExit) as caught:
        main(["export", str(path), str(tmp_path / "m.onnx")])

    assert caught.value.code == 2
    assert "the model takes no digit: give --shape" in capsys.readouterr().err


@pytest.mark.slow
def test_export_refuses_a_model_of_two_inputs(tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    Path("two_inputs.py").write_text(
        "import tinygrad_edu as te\n"
        "class Sum(te.nn.Linear):\n"
        "    def forward(self, a, b): return super().forward(a) + b\n"
        "def build(): return Sum(3, 2, rng=0)\n"
    )
    te.save(te.nn.Linear(3, 2, rng=0), "sum.safetensors")
    names = ["--model", "two_inputs:build", "--shape", "(3,)"]

    with pytest.raises(SystemExit) as caught:
        main(["export", "sum.safetensors", "sum.onnx", *names])

    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert "sum.safetensors: " in said
    assert "missing 1 required positional argument" in said
    assert said.count("\n") == 1
