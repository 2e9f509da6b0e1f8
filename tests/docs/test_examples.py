"""The examples run, and keep what they promise: of another's table, and of MNIST."""

from __future__ import annotations

import os
import re
import tempfile

import numpy as np
import pytest
from toy_examples import EXAMPLES, SMALLER, toy

FOLDER = EXAMPLES[0].parent
MNIST = os.environ.get("TINYGRAD_EDU_DATA")


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run an example with arguments, in a temporary folder; return what it prints."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(name, *arguments):
        script = FOLDER / name
        monkeypatch.setattr("sys.argv", [str(script), *map(str, arguments)])
        exec(compile(script.read_text(encoding="utf-8"), script, "exec"), {})
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_each_runs_at_toy_size(script, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)  # with it, one takes longer
    monkeypatch.setattr("sys.argv", [str(script)])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    exec(compile(toy(script), script, "exec"), {})

    assert capsys.readouterr().out.count("\n") > 3


@pytest.mark.slow
@pytest.mark.parametrize("script", SMALLER)
def test_what_is_smaller_in_tests_runs_at_its_full_size(run, script, monkeypatch):
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)

    assert run(f"{script}.py").count("\n") > 3


def test_each_fits_on_two_screens():
    lengths = {path.name: path.read_text("utf-8").count("\n") for path in EXAMPLES}

    assert {name: n for name, n in lengths.items() if n > 120} == {}


@pytest.fixture
def flowers(tmp_path):
    """A table of 60 flowers, whose species shows in one of two measurements."""
    rng = np.random.default_rng(0)
    species = np.arange(60) % 2
    lengths, widths = 4 * species + rng.standard_normal(60), rng.standard_normal(60)
    rows = [
        [f"{length:.3f}", f"{width:.3f}", ("daisy", "rose")[kind], f"no {number}"]
        for number, (length, width, kind) in enumerate(
            zip(lengths, widths, species, strict=True)
        )
    ]
    rows[3][2] = ""
    rows[8][1] = "NA"
    path = tmp_path / "flowers.csv"
    lines = ["length;width;species;name", *map(";".join, rows)]
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return path


def test_words_in_the_target_are_classes(run, flowers):
    out = run("13_your_own_csv.py", flowers, "species")

    wrong = [float(x) for x in re.findall(r": ([\d.]+)% ± [\d.]+% wrong", out)]
    assert len(wrong) == 3
    assert wrong[0] >= 25  # always the same class
    assert max(wrong[1:]) <= 10


def test_numbers_in_the_target_are_predicted_from_words_too(run, flowers):
    out = run("13_your_own_csv.py", flowers, "length")

    assert "features: width, species=daisy, species=rose\n" in out
    errors = [float(x) for x in re.findall(r": ([\d.]+) ± [\d.]+", out)]
    assert errors[0] > 1.8  # of the mean: half the distance of the kinds, and more
    assert max(errors[1:]) < 1.5  # near 1, the spread within a kind


def test_what_is_missing_or_left_out_is_told_with_its_place(run, flowers):
    out = run("13_your_own_csv.py", flowers, "length")

    assert "width: 1 missing, in line 10\n" in out
    assert "species: 1 missing, in line 5\n" in out
    assert "name: left out, 60 different words like no 0\n" in out


@pytest.mark.parametrize(
    ("text", "target", "told"),
    [
        ("a,b\n1,2\n3\n", "a", "line 3: 1 columns, not 2"),
        ("a,b\n1,2\n", "c", "there is no column 'c', but a, b"),
        ("a,b\n1,2\n", "a", "1 examples with a a are too few"),
        ("a,b\n" + "1,2\n" * 30, "a", "no column to predict from"),
        ("a,a\n1,2\n", "a", "must name the columns, each differently"),
        ("", "a", "must name the columns, each differently"),
    ],
)
def test_a_table_that_will_not_do_is_refused(run, tmp_path, text, target, told):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SystemExit, match=re.escape(told)):
        run("13_your_own_csv.py", path, target)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 0, "the column to predict"),
        (["{there}"], 2, "pass a file that is there, and the column to predict"),
        (["nowhere.csv", "a"], 2, "pass a file that is there"),
    ],
)
def test_a_wrong_call_is_answered_with_how_it_goes(
    run, flowers, capsys, arguments, code, told
):
    arguments = [x.format(there=flowers) for x in arguments]

    with pytest.raises(SystemExit) as ended:
        run("13_your_own_csv.py", *arguments)

    said = "".join(capsys.readouterr())
    assert ended.value.code == code
    assert said.startswith("usage: 13_your_own_csv.py [-h] [file] [target]\n")
    assert told in said


def test_the_oscillator_is_fitted_as_by_scipy(run):
    out = run("12_damped_oscillator.py")

    told = re.search(r"values by (\S+) of an uncertainty", out)
    assert told is not None
    assert float(told[1]) < 1e-3
    pairs = re.findall(r"± (\S+)   by curve_fit +\S+ ± (\S+)", out)
    assert len(pairs) == 5
    for ours, theirs in pairs:  # whose second derivatives are not all there
        assert float(ours) == pytest.approx(float(theirs), rel=0.02)


@pytest.mark.slow
@pytest.mark.skipif(not MNIST, reason="MNIST is in no folder")
@pytest.mark.parametrize(("network", "least"), [("small", 97), ("mlp", 98)])
def test_mnist_is_read_as_well_as_promised(run, tmp_path, network, least):
    out = run("14_mnist.py", network, "--checkpoint", tmp_path / "runs")

    right = re.search(r"([\d.]+)% of 10,000 right", out)
    assert right is not None
    assert float(right[1]) > least
    again = run("14_mnist.py", network, "--checkpoint", tmp_path / "runs")
    assert right[0] in again  # by the weights of the checkpoint
    assert "epoch 1/" not in again
