"""Numbers that were taken out are told where they can matter, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from explained import leaf, said

import tinygrad_edu as te

TOLD = "took its number out of the graph"


def norm_beside(w):
    return te.sum(w) * math.sqrt(te.sum(w * w))


def kept(w):
    n = te.sum(w * w)
    scale = float(n)
    return te.sum(w) * scale, n


def rows(w):
    a, b = w
    return te.sum(w * np.array([math.exp(a), math.exp(b)])), a, b


def made_a_tensor(w):
    first = w[0]
    return te.sum(w * te.tensor(math.exp(first))), first


def of_a_number_on_the_way(w):
    h = te.sum(w * 2)
    return h + math.exp(h * 3)


@pytest.mark.parametrize(
    "f", [norm_beside, kept, rows, made_a_tensor, of_a_number_on_the_way]
)
def test_a_number_that_came_back_as_a_constant_is_told(f):
    w = leaf([1.0, 2.0], "w")
    result = f(w)
    loss = result[0] if isinstance(result, tuple) else result

    whole, by_w = te.explain(loss), te.explain(w, loss)

    for found in (whole, by_w):
        assert TOLD in said(found) and f"{__file__}:" in said(found)
        assert "np.exp for math.exp" in said(found) and "x.item()" in said(found)
        assert not found.certain
    assert whole.cause == "fine" and "Nothing goes wrong" not in said(whole)


@pytest.mark.parametrize("f", [lambda x: x**2 + math.exp(x), lambda x: math.exp(x) * x])
def test_the_number_of_a_leaf_is_told_by_its_name(f):
    x = leaf(0.5, "x")

    assert "float() of x at " in said(te.explain(f(x)))


def test_a_leaf_without_a_path_is_told_the_place():
    w, v = leaf([1.0, 2.0], "w"), leaf(1.0, "v")

    found = te.explain(w, te.sum(v * float(te.sum(w))))

    assert (found.cause, found.certain) == ("no-path", False)
    assert f"float() of the result of sum at {__file__}:" in said(found)


def test_of_another_leaf_nothing_is_told_where_none_is_missing():
    w, v = leaf([1.0, 2.0], "w"), leaf(1.0, "v")
    loss = te.sum(w * v) * math.exp(v)

    assert TOLD in said(te.explain(loss)) and TOLD in said(te.explain(v, loss))
    assert TOLD not in said(te.explain(w, loss))


def logged(n, step):
    w, log = leaf([1.0, 2.0], "w"), []
    for _ in range(n):
        loss = te.sum(0.5 * w * w)
        log.append(float(loss))
        step(w, loss)
    loss = te.sum(0.5 * w * w)
    log.append(float(loss))
    return loss


def sgd(w, loss):
    (g,) = te.gradients(loss, [w])
    w.data -= 0.1 * g


def test_a_loop_that_logs_its_loss_is_told_nothing():
    for found in (
        te.explain(logged(10_000, lambda w, loss: None)),
        te.explain(logged(10, sgd)),
        te.explain(logged(10, lambda w, loss: loss.backward())),
    ):
        assert TOLD not in said(found) and found.certain


def test_a_loop_that_keeps_its_losses_and_learns_is_told_nothing():
    kept = []

    loss = logged(10, lambda w, loss: (kept.append(loss), sgd(w, loss)))

    assert TOLD not in said(te.explain(loss))


def test_a_number_taken_on_the_way_or_after_the_loss_is_not_told():
    w = leaf([1.0, 2.0], "w")
    h = w * 2.0
    total = te.sum(h)
    assert float(total) == 6
    loss = total * 0.5
    assert float(loss) + float(te.sum(w)) == 6

    assert TOLD not in said(te.explain(loss))


def test_where_no_constant_came_in_since_nothing_is_told():
    w, x = leaf([1.0, 2.0], "w"), np.ones((100, 2))
    h, n = x @ w, te.sum(w)
    assert float(n) == 3

    assert TOLD not in said(te.explain(te.sum(h * h)))
    assert TOLD not in said(te.explain(te.sum(x @ w)))  # too many to be numbers taken


def test_an_integer_that_came_back_is_told():
    w = leaf([1.0, 2.0], "w")

    found = te.explain(te.sum(w) * int(te.sum(w)))

    assert "int() of the result of sum" in said(found)


def test_of_a_tensor_that_is_gone_nothing_is_told_before_the_graph_began():
    """It might as well have been an earlier loss, for a log; gradcheck tells it."""
    w = leaf([1.0, 2.0], "w")

    loss = te.sum(w * math.exp(te.sum(w)))

    assert TOLD not in said(te.explain(loss))


def test_one_line_is_told_once_and_many_are_counted():
    w = leaf([1.0, 2.0], "w")
    loss = te.sum(w)
    for _ in range(3):
        loss = loss + math.exp(te.sum(w))

    assert said(te.explain(loss)).count(TOLD) == 1

    terms = [
        math.exp(te.sum(w)),
        math.exp(te.sum(w)),
        math.exp(te.sum(w)),
        math.exp(te.sum(w)),
        math.exp(te.sum(w)),
        math.exp(te.sum(w)),
    ]
    found = said(te.explain(loss + sum(terms)))
    assert found.count(TOLD) == 4
    assert "The same holds at 3 other places" in found
