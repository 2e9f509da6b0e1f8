"""What is done at once is done whole, and what a block undoes is undone."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import chain

import numpy as np
import pytest

from tinygrad_edu.engine.interrupts import at_once, in_c, undone


def raising(error):
    raise error


def test_the_rest_follows_an_error_and_the_first_is_raised():
    xs = np.full((4, 2), 1e308)

    with np.errstate(over="raise"), pytest.raises(FloatingPointError) as caught:
        at_once(map(np.multiply, xs, [10.0, 10.0, 10.0, 0.5], xs))

    np.testing.assert_array_equal(xs[:, 0], [np.inf, np.inf, np.inf, 5e307])
    assert caught.value.__context__ is None


def test_of_several_errors_an_interrupt_is_raised():
    done = []
    errors = [ValueError("a"), KeyboardInterrupt(), ValueError("b")]

    with pytest.raises(KeyboardInterrupt):
        at_once(chain(map(raising, errors), map(done.append, "x")))

    assert done == ["x"]


def test_a_function_in_c_takes_anything_and_returns_none():
    done = []
    end = in_c(map(done.append, (1, 2)))

    assert end(ValueError, ValueError(), np.ones(2)) is None
    assert end(None, None, None) is None
    assert done == [1, 2]


def fails_inside(block):
    with block as begun:
        assert begun == "begun"
        raise ZeroDivisionError


def fails_inside_a_stack(block):
    with ExitStack() as stack:
        assert stack.enter_context(block) == "begun"
        raise ZeroDivisionError


@pytest.mark.parametrize("fails", [fails_inside, fails_inside_a_stack])
def test_a_block_is_undone_after_an_error_which_goes_on(fails):
    done = []

    with pytest.raises(ZeroDivisionError):
        fails(undone(lambda: "begun", map(done.append, (1,))))

    assert done == [1]


def test_a_block_whose_begin_fails_is_undone():
    done = []

    with pytest.raises(ZeroDivisionError):
        with undone(lambda: 1 / 0, map(done.append, (1,))):
            done.append("never")

    assert done == [1]
