"""``tinygrad-edu predict``: the digit in a picture, and models that read none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

import tinygrad_edu as te
from tinygrad_edu.cli import main


@pytest.fixture
def zero(tmp_path):
    """A picture of a zero of the test set, dark on light, twenty times as large."""
    _, _, X, y = te.data.load_digits()
    digit = np.kron(X[np.argmax(y == 0)].reshape(8, 8), np.ones((20, 20)))
    image.imsave(tmp_path / "zero.png", 1 - np.pad(digit, 30), cmap="gray")
    return tmp_path / "zero.png"


def test_predict_shows_the_picture_the_probabilities_and_the_digit(
    reader, zero, capsys
):
    assert main(["predict", str(reader), str(zero)]) == 0

    *picture, blank, last = capsys.readouterr().out.splitlines()
    picture, bars = picture[:8], [*picture[8:], blank]
    assert last == "It is a 0."
    assert {*"".join(picture)} <= {*" ░▒▓█"}
    assert max(map(len, picture)) <= 16
    assert [line.split()[0] for line in bars] == [*"0123456789"]
    shares = [float(line.split()[1].strip("%")) for line in bars]
    assert sum(shares) == pytest.approx(100, abs=0.1)
    assert max(shares) == shares[0]
    assert bars[0].count("█") == round(0.4 * shares[0])


@pytest.mark.parametrize("end", [te.nn.Softmax(), te.nn.LogSoftmax()])
def test_predict_takes_logits_and_probabilities(reader, zero, tmp_path, capsys, end):
    model = te.load(te.nn.Sequential(te.nn.Linear(64, 10)), reader)
    path = te.save(model.append(end), tmp_path / "ends.safetensors")

    main(["predict", str(reader), str(zero)])
    expected = capsys.readouterr().out
    main(["predict", str(path), str(zero)])

    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("layers", "side"),
    [
        ([te.nn.Linear(784, 10, rng=0)], 28),
        ([te.nn.Conv2d(1, 10, 28, rng=0), te.nn.Flatten()], 28),
        ([te.nn.Flatten(), te.nn.Linear(64, 10, rng=0)], 8),
    ],
)
def test_predict_makes_the_picture_as_the_model_takes_it(
    zero, tmp_path, capsys, layers, side
):
    path = te.save(te.nn.Sequential(*layers), tmp_path / "m.safetensors")

    assert main(["predict", str(path), str(zero)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11 + {28: 14, 8: 8}[side]


def test_predict_asks_for_the_model_where_the_file_does_not_tell_it(
    zero, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("my_network.py").write_text(
        "import tinygrad_edu as te\n"
        "class Mine(te.nn.Linear): pass\n"
        "def build(): return Mine(64, 10, rng=0)\n"
        "def wrong(): return 3\n"
        "def fails(): return te.nn.Linear(0, 3)\n"
    )
    path = te.save(type("Mine", (te.nn.Linear,), {})(64, 10), "mine.safetensors")
    arguments = ["predict", str(path), str(zero)]

    def complaint(*more):
        with pytest.raises(SystemExit) as caught:
            main([*arguments, *more])
        return caught.value.code, capsys.readouterr().err

    code, said = complaint()
    assert (code, said.count("\n")) == (1, 1)
    assert "mine.safetensors holds weights, and not what layers" in said
    assert "--model names what builds the model" in said
    assert main([*arguments, "--model", "my_network:build"]) == 0
    code, said = complaint("--model", "my_network:wrong")
    assert (code, "returned int, not a Layer" in said) == (2, True)
    code, said = complaint("--model", "my_network:fails")
    assert (code, "must be positive integers" in said) == (1, True)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([te.nn.Linear(3, 10)], "the model takes no digit: it must take rows"),
        ([te.nn.Linear(64, 1)], "must return ten numbers for a picture"),
    ],
)
def test_predict_refuses_a_model_that_reads_no_digits(
    zero, tmp_path, capsys, layers, told
):
    path = te.save(te.nn.Sequential(*layers), tmp_path / "m.safetensors")

    with pytest.raises(SystemExit) as caught:
        main(["predict", str(path), str(zero)])

    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["nowhere.png", "reader.safetensors"])
def test_predict_refuses_what_is_no_picture(reader, capsys, name):
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(reader), str(reader.parent / name)])

    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
