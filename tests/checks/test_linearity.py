"""A rule must be linear in g: what is not is wrong, whatever it gives for ones."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.checks.linearity import bent_by, kept


def square(bend):
    """Declare x², with a rule that bends the gradient that arrives."""

    @te.op(elementwise=True, cases=[te.Case((2, 3))])
    def bent(x):
        """The square."""
        return x * x

    bent.vjp(x=lambda g, out, x: bend(g) * 2 * x)
    return bent


BENT = {
    "abs": np.abs,
    "relu": te.relu,
    "square": lambda g: g**2,
    "cube": lambda g: g**3,
    "sign": np.sign,
    "clip": lambda g: np.clip(g, -1, 1),
    "0 where large": lambda g: np.where(np.abs(g) > 3, 0.0, g),
    "0 where small": lambda g: np.where(np.abs(g) > 1e-2, g, 0.0),
    "a constant added": lambda g: g + 0.5,
    "a large threshold": lambda g: np.clip(g, -50, 50),
    "leaky": lambda g: np.where(g > 0, g, 0.5 * g),
}
bends = pytest.mark.parametrize("bend", BENT.values(), ids=BENT)


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(te.engine.declaration, "OPS", dict(te.OPS))


@bends
@pytest.mark.parametrize("inner", [lambda y: y, te.sum, lambda y: 3 * te.mean(y)])
def test_gradcheck_names_a_rule_that_is_not_linear_in_g(bend, inner):
    f = square(bend)

    with pytest.raises(te.GradientCheckError) as caught:
        te.gradcheck(lambda x: inner(f(x)), np.array([0.3, -1.7, 2.1]))

    assert "not-linear-in-g" in caught.value.causes
    assert [c.op for c in caught.value.culprits] == ["bent"]
    assert "not linear in g" in str(caught.value)


@bends
@pytest.mark.parametrize("shape", [(1500,), (40,)])
def test_with_many_outputs_or_entries_too(bend, shape):
    f = square(bend)

    with pytest.raises(te.GradientCheckError) as caught:
        te.gradcheck(f, np.random.default_rng(0).standard_normal(shape))

    assert "not-linear-in-g" in caught.value.causes


@bends
def test_check_op_names_it(bend):
    with pytest.raises(te.GradientCheckError) as caught:
        te.check_op(square(bend), order=1)

    assert "not-linear-in-g" in caught.value.causes


def test_a_rule_that_is_linear_but_wrong_is_called_what_it_is():
    with pytest.raises(te.GradientCheckError) as caught:
        te.gradcheck(square(lambda g: 2 * g), np.array([0.3, -1.7]))

    assert caught.value.causes == ("factor",)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_right_rules_pass_in_every_precision(dtype):
    def f(x):
        return te.sum(te.tanh(x.astype(dtype)) * 1e-3)

    problem = te.checks.problems.Problem(
        lambda: [f(x)], [x := te.tensor([0.3, 0.7, -1.2], requires_grad=True)], ["x"]
    )

    assert bent_by(problem, problem.record()) == [None]


def test_linear_is_judged_within_rounding_where_terms_cancel():
    x = np.array([0.3, 0.7])

    te.gradcheck(lambda x: te.sum((1e8 + te.exp(x)) - 1e8), x, rtol=1e-3)
    te.gradcheck(lambda x: 1e8 * x[:1] - 1e8 * x[:1] + te.exp(x), x, rtol=1e-3)


KEPT = []


def keeps(g, out, x):
    KEPT.append(g)
    return g * 2 * x


def keeps_in_closure():
    last = {}

    def rule(g, out, x):
        last["g"] = g[...] if isinstance(g, np.ndarray) else g
        return g * 2 * x

    return rule


@pytest.mark.parametrize("rule", [keeps, keeps_in_closure()])
def test_check_op_names_a_rule_that_keeps_its_g(rule):
    @te.op(elementwise=True, cases=[te.Case((2, 3))])
    def keeping(x):
        """The square."""
        return x * x

    keeping.vjp(x=rule)
    with pytest.raises(te.GradientCheckError, match="the rule of x keeps g"):
        te.check_op(keeping)
    KEPT.clear()


def test_what_hands_g_on_does_not_keep_it():
    assert not kept(lambda g: g, (2, 3))
    assert not kept(lambda g: g.reshape(-1), (2, 3))
    assert not kept(lambda g: 2 * g, ())
    assert kept(KEPT.append, ())
    KEPT.clear()
