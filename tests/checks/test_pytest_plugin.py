"""The pytest plugin, seen from test-suites that use it."""

from __future__ import annotations

import configparser
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_edu.checks import pytest_plugin

pytest_plugins = ["pytester"]

ROOT = Path(pytest_plugin.__file__).parents[2]
HEAD = """
import numpy as np
import pytest
import tinygrad_edu as te

@te.op(cases=[te.Case((2, 3))])
def wrong(x):
    '''2 x, with a rule that gives twice the derivative.'''
    return 2.0 * x

wrong.vjp(x=lambda g, out, x: 4.0 * g)

@te.op(cases=[te.Case((2, 3))])
def wrong_again(x):
    '''x squared, with a rule that is a constant when differentiated.'''
    return x * x

wrong_again.vjp(x=lambda g, out, x: 2.0 * g * getattr(x, "data", x))

"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Run pytest on a test file, with the plugin, be the package installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(text, *arguments):
        path = pytester.path / "test_it.py"
        path.write_text(HEAD + text, "utf-8")
        return pytester.runpytest_inprocess("-p", pytest_plugin.__name__, *arguments)

    return run


def test_the_entry_point_is_the_plugin():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")

    (line,) = settings["options.entry_points"]["pytest11"].split("\n")[1:]

    assert importlib.import_module(line.partition(" = ")[2]) is pytest_plugin


#: What takes long to import, and pytest loads the plugin whenever it starts.
OTHERS = {"scipy", "matplotlib", "sklearn", "dask", "onnx", "graphviz", "pandas"}


def test_importing_the_plugin_adds_the_checks_alone_to_importing_the_package():
    """And what of NumPy and Python they need."""
    code = (
        "import sys, argparse, pytest, tinygrad_edu\n"
        "before = set(sys.modules)\n"
        f"import {pytest_plugin.__name__}\n"
        "print(*(set(sys.modules) - before))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )

    assert done.stderr == ""
    added = done.stdout.split()
    assert pytest_plugin.__name__ in added
    others = {name.partition(".")[0] for name in added} & OTHERS
    ours = [name for name in added if name.startswith("tinygrad_edu")]
    assert not others
    assert all(name.startswith("tinygrad_edu.checks") for name in ours)


def test_the_fixture_checks_gradients(suite):
    result = suite(
        """
def test_tanh(gradcheck):
    report = gradcheck(te.tanh, gradcheck.rng.standard_normal(3))
    assert (report.order, report.compared) == (1, 9)

def test_wrong(gradcheck):
    with pytest.raises(te.GradientCheckError, match="culprit: wrong, argument x"):
        gradcheck(wrong, np.ones(3))
"""
    )

    result.assert_outcomes(passed=2)


def test_the_options_are_those_of_gradcheck(suite):
    result = suite(
        """
def test_options(gradcheck):
    gradcheck(wrong, np.ones(3), rtol=1.0)
    assert gradcheck(te.tanh, np.ones(3), order=2).order == 2
    gradcheck(te.tanh, np.ones((3, 1)), np.zeros((3, 1)), loss=te.nn.mse_loss)

def test_rng(gradcheck):
    rng = np.random.default_rng(0)
    gradcheck(te.tanh, np.ones(3), rng=rng)
    assert rng.random() != np.random.default_rng(0).random()
    assert gradcheck.rng.bit_generator.state == np.random.default_rng(
        gradcheck.rng.bit_generator.seed_seq
    ).bit_generator.state
"""
    )

    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ([], "passed"),
        (["--gradcheck-order=1"], "passed"),
        (["--gradcheck-order=2"], "failed"),
    ],
)
def test_the_order_on_the_command_line_reaches_the_check(suite, arguments, outcome):
    result = suite(
        """
def test_wrong_at_order_2(gradcheck):
    gradcheck(wrong_again, np.array([1.0, 2.0]))

def test_order_of_its_own(gradcheck):
    assert gradcheck(te.tanh, np.ones(3), order=3).order == 3
""",
        *arguments,
    )

    expected = {"passed": 1, "failed": 0}
    expected[outcome] += 1
    result.assert_outcomes(**expected)


@pytest.mark.parametrize("order", ["0", "two"])
def test_an_order_that_is_none_ends_pytest_at_once(suite, order):
    result = suite("def test(): pass", f"--gradcheck-order={order}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = f"*--gradcheck-order: must be 1, 2, ..., got {order!r}"
    result.stderr.fnmatch_lines([said])


def test_help_shows_the_option(suite):
    result = suite("", "--help")

    result.stdout.fnmatch_lines(
        ["tinygrad_edu:", "*--gradcheck-order=N *order the gradcheck fixture checks*"]
    )


def test_fixtures_are_listed_with_what_they_are(suite):
    result = suite("", "--fixtures")

    result.stdout.fnmatch_lines(
        ["gradcheck -- *", "*te.gradcheck with a generator seeded for this test*"]
    )


# ---------------------------------------------------------------------- its generator


@pytest.fixture
def drawn(suite, pytester):
    """Run tests that draw a number; return it for each of them."""

    def numbers(*arguments):
        result = suite(
            """
@pytest.mark.parametrize("size", [1, 2])
def test_first(gradcheck, size):
    print("drawn", f"first[{size}]", gradcheck.rng.random())

def test_second(gradcheck):
    print("drawn", "second", gradcheck.rng.random())
""",
            "-s",
            *arguments,
        )
        lines = [line.split() for line in result.outlines if "drawn" in line]
        return {test: number for *_, test, number in lines}

    return numbers


def test_the_numbers_are_the_same_in_every_run(drawn, pytester):
    everything = drawn()

    assert len(everything) == 3
    assert drawn() == everything
    assert drawn("-k", "second") == {"second": everything["second"]}
    assert drawn(f"--rootdir={pytester.path.parent}") == everything


def test_other_tests_have_other_numbers(drawn):
    assert len(set(drawn().values())) == 3


# ------------------------------------------------------------------ how failures look


@pytest.mark.parametrize(
    ("style", "call", "message"),
    [
        (
            "auto",
            "gradcheck(f, np.ones((2, 3)))",
            [
                "gradcheck failed",
                "the gradient by x (2, 3) is wrong in *",
                "*index*analytic*numeric*relative error",
                "culprit: wrong, argument x: analytic is 2 x numeric",
            ],
        ),
        (
            "short",
            "gradcheck(f, np.ones((2, 3)))",
            ["gradcheck failed", "culprit: wrong, argument x: *"],
        ),
        (
            "auto",
            "te.gradcheck(f, np.ones((2, 3)))",
            ["gradcheck failed", "culprit: wrong, argument x: *"],
        ),
        (
            "auto",
            "te.check_op(wrong)",
            ["check_op: wrong fails *", "*derivative by x: analytic is 2 x numeric"],
        ),
    ],
    ids=["fixture", "fixture-short", "te.gradcheck", "te.check_op"],
)
def test_a_failure_is_shown_in_full_and_ends_in_the_test(suite, style, call, message):
    result = suite(
        f"""
def f(x):
    return te.sum(te.tanh(wrong(x)))

def test_gradient(gradcheck):
    {call}
""",
        f"--tb={style}",
    )

    result.assert_outcomes(failed=1)
    first, *others = (f"E  *{line}" for line in message)
    result.stdout.fnmatch_lines([f"*{call}", first, *others])
    frames = [line for line in result.outlines if re.match(r"\S+\.py:\d+: ", line)]
    assert len(frames) == 1
    assert frames[0].startswith("test_it.py:")
