"""What is written out for each operation: it is taken, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
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
        assert (op.pull is core.pull) == op.variadic, op.name


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


FIXED = [op for op in te.OPS.values() if op.cases and not op.variadic]


def both_ways(op, args, kwargs):
    """Return what both ways compute and hand on, as lists of arrays."""
    got = []
    for call, pull in ((op.call, op.pull), (core._call_of(op), core.pull)):
        made = call(*args, **kwargs)
        shares = []
        for node in made if op.results else [made]:
            node = node.inputs[0] if op.results else node
            g = node._numbers
            pull(node, g, None, lambda x, d, shares=shares: shares.append(d))
        parts = made if op.results else [made]
        got.append([*(t.data for t in parts), *(node._residuals.values()), *shares])
    return got


@pytest.mark.parametrize("op", FIXED, ids=lambda op: op.name)
def test_both_ways_give_the_same_bits(op, rng):
    case = op.cases[0]
    args = [
        te.tensor(x, requires_grad=True)
        if x is not None and x.dtype.kind == "f" and name not in op.constant
        else x
        for name, x in zip(op.arguments, case.sample(rng), strict=True)
    ]

    short, long = both_ways(op, args, case.kwargs)

    assert len(short) == len(long)
    assert len(short) > len(op.results._fields if op.results else [1])
    for a, b in zip(short, long, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("metadata", [{}, {"times": 3.0}])
def test_an_adapter_is_asked_at_each_call(metadata):
    def swapped(a, b, **named):
        return (b, a), named

    if metadata:

        def forward(a, b, *, times=1.0):
            return times * (a - b)

        def keywords(a, b, *, times=1.0, more=0.0):
            return forward(a, b, times=times) + more
    else:
        keywords = None

        def forward(a, b):
            return a - b

    op = te.op(forward, adapter=swapped, keywords=keywords)
    te.OPS.pop("forward")
    delattr(te.Tensor, "forward")
    x = te.tensor(5.0, requires_grad=True)

    assert (
        op.call(x, 3.0, **metadata).item()
        == core._call_of(op)(x, 3.0, **metadata).item()
    )
    assert op.call(x, 3.0).item() == -2


def test_arguments_have_the_names_of_the_declaration():
    t = te.tensor([1.0, 2.0], requires_grad=True)

    assert (t.add(b=2.0).data == [3, 4]).all()
    assert (t.maximum(b=1.5).data == [1.5, 2]).all()
    with pytest.raises(TypeError, match=r"add\(\) missing 1 .* argument: 'b'"):
        te.OPS["add"].call(t)


def test_a_traceback_shows_the_line(capsys):
    try:
        te.tensor([1.0, 2.0]) + np.ones(3)
    except ValueError:
        traceback.print_exc()

    assert "data = forward(x0, x1)" in capsys.readouterr().err
