"""What is written out for each operation: it is taken, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu as te
from tinygrad_edu.engine import core, fast

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORE = [HERE / name for name in ("test_backward.py", "test_declaration.py")]
CORE += [HERE / "test_tensor.py", HERE / "test_random_expressions.py"]


def python(*arguments, **options):
    support = str(HERE.parent / "support")
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{support}"},
        **options,
    )


def test_all_operations_of_a_fixed_number_of_arrays_take_them():
    for op in te.OPS.values():
        before = op.variadic or op is core.item  # declared before they are there
        assert (op.pull is core.pull) == before, op.name


def test_the_text_holds_no_word_of_a_declaration():
    @te.op(residuals={"half": lambda x, *, power: x / 2})
    def strange(x, *, power=2):
        return x**power, x / 2

    te.OPS.pop("strange")
    delattr(te.Tensor, "strange")

    text = fast.text_of_call(strange) + fast.text_of_pull(strange)

    assert "strange" not in text
    assert "power" not in text
    assert "half" not in text


def test_without_them_every_operation_takes_the_long_way():
    code = (
        "import without_fast, tinygrad_edu as te;"
        "from tinygrad_edu.engine.core import pull;"
        "print({op.pull is pull for op in te.OPS.values()})"
    )

    done = python("-c", code)

    assert done.stdout == "{True}\n", done.stderr


@pytest.mark.slow
def test_the_tests_of_the_core_pass_without_them():
    done = python("-m", "pytest", "-q", "-p", "without_fast", "-x", *map(str, CORE))

    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_they_are_taken_away_before_the_package_is_there_or_not_at_all():
    done = python("-c", "import tinygrad_edu, without_fast")

    assert done.returncode == 1
    assert "comes too late" in done.stderr


@pytest.mark.parametrize("name", ["exp", "multiply", "sum", "softmax", "clip"])
def test_both_ways_give_the_same_bits(name, rng):
    op = te.OPS[name]
    args = [te.tensor(rng.random((3, 4)), requires_grad=True) for _ in op.arguments]
    long_call = core._call_of(op)

    short, long = op.call(*args), long_call(*args)
    got = []
    for node, pull in ((short, op.pull), (long, core.pull)):
        shares = []
        pull(node, node.data, None, lambda x, d, shares=shares: shares.append(d))
        got.append([node.data, *shares])

    assert all((a == b).all() for a, b in zip(*got, strict=True))
    assert len(got[0]) == 1 + len(args)
