"""Nan and infinity are traced to the operation where they begin."""

from __future__ import annotations

import numpy as np
import pytest
from explained import leaf, said

import tinygrad_edu as te

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # nan is meant here


def test_nan_from_the_derivative_of_a_square_root_at_zero():
    x = leaf([0.0, 4.0], "x")
    loss = te.sum(te.sqrt(x))

    found = te.explain(x, loss)

    assert (found.cause, found.where) == ("nan-from", "t1")
    assert "The loss is finite, but its gradient becomes infinite" in said(found)
    assert "There x is 0, and the derivative is infinite" in said(found)
    assert "0 times infinity" not in said(found)
    assert te.explain(loss).cause == "nan-from"


@pytest.mark.parametrize("safe", [False, True])
def test_a_branch_that_where_does_not_take_makes_nan(safe):
    x = leaf([-1.0, 0.0, 4.0], "x")
    if safe:
        y = te.piecewise(x, [x.data > 0], [te.sqrt])
    else:
        y = te.where(x.data > 0, te.sqrt(te.clip(x, 0.0, None)), 0.0)

    found = te.explain(x, te.sum(y))

    assert found.cause == ("backward-not-called" if safe else "nan-branch")
    assert safe or found.where == "t2"
    assert safe or "t3 (where) does not take" in said(found)
    assert safe or "te.piecewise" in said(found)
    assert "np.isnan" not in said(found)


def test_nan_in_data_that_a_mean_leaves_out_makes_nan_in_what_was_squared():
    data = np.array([1.0, np.nan, 4.0])
    w = leaf(2.0, "w")

    found = te.explain(w, np.nanmean((data - w) ** 2))

    assert found.cause == "nan-branch"
    assert "data[~np.isnan(data)]" in said(found)


@pytest.mark.parametrize(
    ("f", "where", "words"),
    [
        (lambda x: te.mean(te.log(x * 2)), "t2", "of 0 it is -inf"),
        (lambda x: te.sum(1 / x), "t1", "of 1 and 0 it is inf"),
        (lambda x: te.sum(te.exp(x * 1e4)), "t2", "of 1e+04 it is inf"),
        (lambda x: te.sum(te.sqrt(x - 1)), "t2", "of -1 it is nan"),
        (lambda x: te.sum(x * [1.0, np.inf, 1.0]), "t1", "holds it already: 1 of 3"),
        (lambda x: te.tanh(te.sum(te.log(x))) * np.nan, "t4", "An array that goes"),
    ],
)
def test_a_loss_that_is_not_finite_is_traced_to_its_first_operation(f, where, words):
    x = leaf([0.0, 1.0, 2.0], "x")

    found = te.explain(f(x))

    assert (found.cause, found.where) == ("nan-from", where)
    assert words in said(found)


def test_infinity_that_is_not_taken_is_not_blamed_for_nan():
    x = leaf([0.0, 1.0], "x")
    y = te.where([True, False], te.sqrt(x - 1), 1 / te.log(x))

    found = te.explain(te.sum(y))

    assert found.where == "t2"
    assert "t2 (sqrt)" in said(found)


def test_a_derivative_that_is_infinite_where_the_input_was_broadcast():
    x = leaf([[0.0], [1.0]], "x")

    found = te.explain(x, te.sum(x ** np.full((2, 3), 0.5)))

    assert (found.cause, found.where) == ("nan-from", "t1")
    assert "in 1 of 2 entries" in said(found)


def test_a_parameter_that_holds_nan():
    x = leaf([1.0, np.nan], "x")

    found = te.explain(x, te.mean(x * 2))

    assert found.cause == "nan-from"
    assert "x that goes into t1 (multiply) holds it already: 1 of 2" in said(found)


def test_finite_gradients_whose_sum_overflows():
    x = leaf(np.float32([0.0]), "x")
    much = np.float32(3e38)

    z = te.tanh(x)
    found = te.explain(x, te.sum(z * much + z * much))

    assert (found.cause, found.where) == ("nan-from", "")
    assert "The gradient of x overflows where it is added up" in said(found)
