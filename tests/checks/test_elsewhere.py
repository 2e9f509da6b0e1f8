"""check_op looks at tails, at both sides of kinks, and at each entry."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(te.engine.declaration, "OPS", dict(te.OPS))


def numbers(x):
    return x.data if isinstance(x, te.Tensor) else x


UNARY = {
    "wrong below -1.5": lambda g, out, x: g * 2 * x * np.where(numbers(x) < -1.5, 2, 1),
    "wrong above 3": lambda g, out, x: g * 2 * x * np.where(numbers(x) > 3, 2, 1),
    "wrong below -4": lambda g, out, x: g * 2 * x * np.where(numbers(x) < -4, 2, 1),
}


@pytest.mark.parametrize("rule", UNARY.values(), ids=UNARY)
def test_a_rule_that_is_wrong_in_a_tail_is_found(rule):
    @te.op(elementwise=True, cases=[te.Case((2, 3))])
    def squared(x):
        """The square."""
        return x * x

    squared.vjp(x=rule)
    with pytest.raises(te.GradientCheckError, match="derivative by x"):
        te.check_op(squared, order=1)


@pytest.mark.parametrize("wrong", ["a", "b"])
def test_a_rule_that_is_wrong_in_the_last_entry_is_found(wrong):
    @te.op(elementwise=True, cases=[te.Case((2, 3), (2, 3))])
    def larger(a, b):
        """The larger of two."""
        return np.maximum(a, b)

    def rule(which):
        def of(g, out, a, b):
            first = numbers(a) > numbers(b)
            d = g * (first if which == "a" else ~first)
            factor = np.ones((2, 3))
            factor[-1, -1] = 2.0 if which == wrong else 1.0
            return d * factor if d.shape == factor.shape else d

        return of

    larger.vjp(a=rule("a"), b=rule("b"))
    with pytest.raises(te.GradientCheckError, match=f"derivative by {wrong}"):
        te.check_op(larger, order=1)
