"""Each pass alone: what it leaves out, what it must not, and that no bit changes."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.compiling import passes
from tinygrad_edu.compiling.printer import LIMIT, Printed
from tinygrad_edu.compiling.program import Call, Program, Ref, Value
from tinygrad_edu.compiling.tape import Tape

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)


def traced(f, x=X, captured=()):
    """Return the program of a function of one array, and some that it sees."""
    tape = Tape()
    given = tape.begin(x, "input", "x")
    seen = [tape.begin(c, "captured", "c") for c in captured]
    results = f(given, *seen)
    for array, where, before in tape.before:
        array[where] = before
    return tape.finish(list(results) if isinstance(results, tuple) else [results])


def names(program):
    return [call.name for call in program.calls]


def run(program, x=X, captured=()):
    return Printed(program).bind(list(captured))(x)


def assert_right(program, f, x=X):
    wanted = f(x)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for a, b in zip(run(program, x), wanted, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def test_calls_that_nobody_reads_from_are_left_out():
    def f(x):
        np.exp(x)
        return np.tanh(x) + 1

    program = traced(f)
    passes.dead(program)

    assert names(program) == ["tanh", "add"]
    assert_right(program, f)


def test_a_write_into_a_captured_array_is_an_effect():
    total = np.zeros(3)

    def f(x, total):
        total += np.sum(x, axis=0)
        return x * 2

    program = traced(f, captured=[total])
    passes.dead(program)
    assert names(program) == ["add.reduce", "add", "multiply"]
    assert total.tolist() == [0, 0, 0]  # a trace changes nothing

    run(program, captured=[total])
    np.testing.assert_array_equal(total, X.sum(axis=0))


def test_a_write_into_an_array_that_is_read_stays():
    def f(x):
        z = np.zeros_like(x)
        z[0] = x[1]
        return z.sum(axis=0)

    program = traced(f)
    passes.dead(program)

    assert names(program) == ["zeros_like", "getitem", "setitem", "add.reduce"]
    assert_right(program, f)


def test_what_is_computed_twice_is_computed_once():
    def f(x):
        return np.exp(x.T) * np.exp(x.T) + np.exp(x.T).sum(axis=0)

    program = traced(f)
    passes.common(program)

    assert names(program) == ["transpose", "exp", "multiply", "add.reduce", "add"]
    assert_right(program, f)


def test_views_of_what_is_left_out_keep_the_other_alive():
    def f(x):
        a, b = np.tanh(x), np.tanh(x)
        row, s = b[0], a.sum(axis=0)
        t = np.exp(x) * 2
        return (row + t) * s

    program = traced(f)
    passes.common(program)
    (wanted,) = run(program)
    (got,) = Printed(program, poisoned=True).bind([])(X)

    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(got, f(X))


def test_it_is_not_the_same_if_something_was_written_between():
    def f(x):
        z = np.zeros_like(x)
        before = np.exp(z).sum(axis=0)
        z[0] = x[0]
        return before + np.exp(z).sum(axis=0)

    program = traced(f)
    passes.common(program)

    assert names(program).count("exp") == 2
    assert_right(program, f)


def test_two_arrays_to_be_written_into_are_two():
    def f(x):
        a, b = np.zeros_like(x), np.zeros_like(x)
        a[0] = x[0]
        b[1] = x[1]
        return a * 1.5 - b

    program = traced(f)
    passes.common(program)

    assert_right(program, f)


def test_two_results_stay_two_arrays():
    def f(x):
        return np.exp(x), np.exp(x)

    program = traced(f)
    passes.common(program)
    one, other = run(program)

    assert not np.shares_memory(one, other)


def test_numbers_that_are_equal_but_not_the_same_are_two():
    def f(x):
        return x * 0.0, x * -0.0, x.astype(int) * 1, x.astype(int) * 1.0

    program = traced(f)
    passes.common(program)

    for a, b in zip(run(program), f(X), strict=True):
        assert a.tobytes() == b.tobytes()
        assert a.dtype == b.dtype


def test_a_guard_asks_once():
    program = traced(np.exp)
    for _ in range(2):
        args = (True, bool, program.outputs[0])
        program.calls.append(
            Call(passes.check_guard, "guard", args, {}, is_effect=True)
        )
    passes.common(program)

    assert names(program) == ["exp", "guard"]


def test_a_copy_that_nobody_writes_into_is_left_out():
    def f(x):
        y = np.exp(x).copy()
        return y.sum(axis=0) + np.copy(y)[0]

    program = traced(f)
    passes.copies(program)

    assert names(program) == ["exp", "add.reduce", "getitem", "add"]
    assert_right(program, f)


@pytest.mark.parametrize("which", ["source", "copy"])
def test_a_copy_stays_if_one_of_the_two_is_written_into(which):
    def f(x):
        source = np.exp(x)
        view = source[:1]
        copy = source.copy()
        if which == "source":
            view[0] = 9.0
        else:
            copy[0] = 9.0
        return source * 2 + copy

    program = traced(f)
    passes.copies(program)

    assert "copy" in names(program)
    assert_right(program, f)


def test_a_copy_of_an_input_that_is_handed_out_stays():
    program = traced(np.copy)
    passes.copies(program)
    (y,) = run(program)

    assert not np.shares_memory(y, X)


def test_a_copy_in_another_memory_order_stays():
    def f(x):
        return x.T.copy(order="C").sum(axis=0)

    program = traced(f)
    passes.copies(program)

    assert "copy" in names(program)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8"])
def test_literals_change_no_bit(dtype):
    def f(x):
        return x * 3 + 0.1, 1 - x, x / 7

    x = (X * 5).astype(dtype)
    program = traced(f, x)
    passes.literals(program)

    assert_right(program, f, x)


def test_in_place_operators_are_new_versions_of_an_array():
    def f(x):
        y = x * 2
        y += 1
        y *= y
        return y.sum(axis=0)

    program = traced(f)
    assert all(call.target is None for call in program.calls)
    assert Printed(program).plan.nbytes == X.nbytes  # one buffer for all three
    assert_right(program, f)


def test_a_result_in_another_order_keeps_it():
    def f(x):
        y = np.empty_like(x)
        np.add(x.T, 1, out=y.T)
        return np.add(x, y, out=y), y.sum()

    assert_right(traced(f), f)


def test_buffers_are_used_again():
    def f(x):
        for _ in range(50):
            x = np.tanh(x) * 2 - np.exp(x)
        return x.sum(axis=0)

    program = traced(f)

    assert Printed(program).plan.nbytes <= 4 * X.nbytes
    assert_right(program, f)


def test_too_many_calls_are_refused_with_the_count():
    program = Program()
    program.inputs.append(program.add(Value("input", (), np.dtype(float))))
    call = Call(np.exp, "exp", (Ref(0),), {}, Ref(0))
    program.calls = [call] * (LIMIT + 1)

    with pytest.raises(ValueError, match="50,001 calls"):
        Printed(program)
