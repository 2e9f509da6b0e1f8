"""check_op looks at tails, kinks, ties and round numbers, and at each entry."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(te.engine.declaration, "OPS", dict(te.OPS))


def numbers(x):
    return x.data if isinstance(x, te.Tensor) else x


def repeated(x):
    found, count = np.unique(numbers(x), return_counts=True)
    return np.isin(numbers(x), found[count > 1])


UNARY = {
    "wrong below -1.5": lambda g, out, x: g * 2 * x * np.where(numbers(x) < -1.5, 2, 1),
    "wrong above 3": lambda g, out, x: g * 2 * x * np.where(numbers(x) > 3, 2, 1),
    "wrong below -4": lambda g, out, x: g * 2 * x * np.where(numbers(x) < -4, 2, 1),
    "wrong at 1": lambda g, out, x: g * 2 * x * np.where(numbers(x) == 1, 2, 1),
    "wrong at -1": lambda g, out, x: g * 2 * x * np.where(numbers(x) == -1, 2, 1),
    "wrong where repeated": lambda g, out, x: g * 2 * x * np.where(repeated(x), 2, 1),
}


@pytest.mark.parametrize("rule", UNARY.values(), ids=UNARY)
def test_a_rule_that_is_wrong_at_some_numbers_only_is_found(rule):
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


@pytest.mark.parametrize("draw", [lambda rng: rng.uniform(0.5, 2.0, (2, 3)), [0.5, 3]])
@pytest.mark.parametrize("wrong", [lambda x: x == 1, repeated])
def test_round_and_repeated_numbers_are_tried_where_inputs_are_given(draw, wrong):
    draw = draw if callable(draw) else [*draw, 0.8]

    @te.op(elementwise=True, cases=[te.Case(draw)])
    def inverse(x):
        """1 over x."""
        return 1 / x

    inverse.vjp(x=lambda g, out, x: -g * out * out * np.where(wrong(numbers(x)), 2, 1))
    with pytest.raises(te.GradientCheckError, match="derivative by x"):
        te.check_op(inverse, order=1)


def test_a_rule_whose_derivative_is_wrong_at_0_alone_is_found():
    @te.op(elementwise=True, cases=[te.Case((2, 3))])
    def squared(x):
        """The square."""
        return x * x

    squared.vjp(x=lambda g, out, x: g * 2 * x * np.where(numbers(x) == 0, 2, 1))
    with pytest.raises(te.GradientCheckError, match="order-2 derivative by x"):
        te.check_op(squared)


def larger(of_a, of_b):
    """Declare a maximum that gives these parts of g where both are equal."""

    @te.op(elementwise=True, cases=[te.Case((2, 3), (2, 3)), te.Case((3,), (2, 3))])
    def larger(a, b):
        """The larger of two."""
        return np.maximum(a, b)

    def share(x, y, part):
        return (numbers(x) > numbers(y)) + part * (numbers(x) == numbers(y))

    larger.vjp(
        a=lambda g, out, a, b: g * share(a, b, of_a),
        b=lambda g, out, a, b: g * share(b, a, of_b),
    )
    return larger


@pytest.mark.parametrize("parts", [(0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (0.25, 0.75)])
def test_what_ties_may_share_as_it_likes(parts):
    assert te.check_op(larger(*parts)).compared > 0


@pytest.mark.parametrize("parts", [(0.0, 0.0), (1.0, 1.0), (0.5, 0.0)])
def test_shares_that_do_not_add_up_are_found(parts):
    with pytest.raises(te.GradientCheckError) as caught:
        te.check_op(larger(*parts))

    assert caught.value.causes == ("ties",)
    assert "where numbers are equal, " in str(caught.value)
    assert "what ties has to share" in str(caught.value)


def test_a_gradient_beyond_the_slopes_on_both_sides_of_a_kink_is_found():
    with pytest.raises(te.GradientCheckError, match="derivative by a"):
        te.check_op(larger(1.5, -0.5))


def declared(forward, rule, case):
    @te.op(cases=[case])
    def f(x):
        """Of one array."""
        return forward(x)

    f.vjp(x=rule)
    return f


def only_the_first(g, out, x):
    """Give all of g to the first of the largest: not shared, and right."""
    flat = np.zeros(x.size)
    flat[np.argmax(numbers(x))] = 1.0
    return g * flat.reshape(x.shape)


def middle(x):
    """The median of an odd number: no kink along any line, and no derivative."""
    return np.sort(x)[len(x) // 2]


RIGHT = {
    "a largest number": (np.max, only_the_first, te.Case((2, 3))),
    "a middle": (
        middle,
        lambda g, out, x: g * (n := numbers(x) == numbers(out)) / n.sum(),
        te.Case((17,)),
    ),
    "1 at the kink of relu": (
        lambda x: x * (x > 0),
        lambda g, out, x: g * (numbers(x) >= 0),
        te.Case((5,)),
    ),
    "nan at a kink": (
        np.abs,
        lambda g, out, x: g * x / out,
        te.Case((5,)),
    ),
    "0 at a jump": (np.sign, lambda g, out, x: g * 0.0 * x, te.Case((5,))),
    "infinite at 0": (
        np.cbrt,
        lambda g, out, x: g / (3 * out**2),
        te.Case([-1.0, 0.3, 2.0]),
    ),
    "nan beyond 0": (
        np.sqrt,
        lambda g, out, x: g * 0.5 / out,
        te.Case(lambda rng: rng.uniform(0.1, 2.0, 5)),
    ),
}


@pytest.mark.parametrize("how", RIGHT.values(), ids=RIGHT)
def test_conventions_at_kinks_jumps_and_edges_are_left_to_the_rule(how):
    assert te.check_op(declared(*how)).compared > 0


def test_inputs_that_an_operation_refuses_are_left_out():
    def positive(x):
        if np.any(x <= 0):
            raise ValueError("positive numbers only")
        return np.log(x)

    case = te.Case(lambda rng: rng.uniform(0.1, 2.0, 5))

    assert te.check_op(declared(positive, lambda g, out, x: g / x, case)).compared > 0


def test_arguments_without_derivative_are_not_moved():
    seen = []

    @te.op(cases=[te.Case((3,), (3,))])
    def scaled(x, by):
        """x times what belongs to it."""
        seen.append(by.copy())
        return x * by

    scaled.vjp(x=lambda g, out, x, by: g * by, by=None)
    te.check_op(scaled)

    assert not any(np.any(by == 1.0) for by in seen)


def test_a_rule_that_is_wrong_for_pythons_own_numbers_is_found():
    @te.op(elementwise=True, cases=[te.Case((3,), 2.5)])
    def scaled(x, by):
        """x times a number."""
        return x * by

    scaled.vjp(
        x=lambda g, out, x, by: g * (by + 1 if type(by) is float else by),
        by=lambda g, out, x, by: g * x,
    )
    with pytest.raises(te.GradientCheckError, match="gradient beside a Python number"):
        te.check_op(scaled)
