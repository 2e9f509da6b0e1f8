"""te.explain names causes that are real, and calls fine what is fine."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.diagnosis.health import findings_of, warnings_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # nan is meant here


def leaf(data, name=None, **kwargs):
    return te.tensor(data, requires_grad=True, name=name, **kwargs)


def said(explanation):
    """The text without line breaks."""
    return " ".join(str(explanation).split())


@pytest.fixture
def model():
    return te.nn.Sequential(
        te.nn.Linear(4, 3, rng=0), te.nn.Sigmoid(), te.nn.Linear(3, 2, rng=1)
    )


def loss_of(model, rng):
    rows = rng.standard_normal((5, 4))
    return te.nn.softmax_cross_entropy(model(rows), np.array([0, 1, 0, 1, 1]))


# ------------------------------------------------------------------- a leaf by itself


def switched_off():
    w = leaf([1.0, 2.0], "w")
    w.requires_grad = False
    return w


def with_grad(*grads):
    w = leaf([1.0, 2.0], "w")
    for g in grads:
        te.sum(w * np.array(g)).backward()
    return w


def under_no_grad():
    with te.no_grad():
        return te.tanh(leaf([1.0]))


@pytest.mark.parametrize(
    ("make", "cause", "words"),
    [
        (lambda: te.tensor([1.0]), "frozen", "requires_grad=False"),
        (switched_off, "frozen", "w has requires_grad=False"),
        (lambda: te.tensor([1], name="k"), "integer", "k has dtype int64"),
        (lambda: te.tensor([True]), "integer", "dtype bool"),
        (lambda: leaf(1.0, "w"), "backward-not-called", "te.explain(w, loss) says"),
        (lambda: leaf(1.0, "my w"), "backward-not-called", "te.explain(tensor, loss)"),
        (lambda: with_grad([1.0, 0.0]), "fine", "a .grad of norm 1, the sum of all"),
        (lambda: with_grad([0.0, 0.0]), "zero", "zeros only"),
        (lambda: with_grad([0.0, np.nan], [1.0, 1.0]), "nan", "in 1 of 2 entries"),
        (lambda: leaf(1.0, "w").detach(), "detached", "it is w after .detach()"),
        (lambda: (leaf(1.0, "w") * 2).detach() + 1, "detached", "result of multiply"),
        (under_no_grad, "under-no-grad", "nothing is recorded (as tanh)"),
    ],
)
def test_a_leaf_alone(make, cause, words):
    found = te.explain(make())

    assert found.cause == cause
    assert words in said(found)
    assert repr(found) == str(found)


# ---------------------------------------------------------- no path, and where it ends


def test_a_path_cut_by_detach_is_proven_where_the_tensor_still_lives():
    w = leaf([1.0, 2.0], "w")
    h = w * 3
    h.name = "h"

    loss = te.sum(te.tanh(leaf(2.0)) * h.detach())
    found = te.explain(w, loss)

    assert (found.cause, found.where, found.certain) == ("detached", "t2", True)
    assert "At t2 (multiply)" in said(found)
    assert "it is h after .detach()" in said(found)
    assert te.explain(h, loss).cause == "detached"


def test_what_is_detached_from_the_same_graph_is_called_as_in_its_drawing():
    h = te.tanh(leaf(2.0, "v")) * 3

    found = te.explain(h * h.detach())

    assert found.cause == "fine"
    assert "t3 (multiply): a tensor of shape () is t2 (multiply) after" in said(found)


def test_a_path_cut_by_detach_inline_is_likely_but_not_certain():
    """The graph that led there is gone, so nobody can know."""
    w = leaf([1.0, 2.0], "w")

    found = te.explain(w, te.sum(leaf(2.0) * (w * 3).detach()))

    assert (found.cause, found.where, found.certain) == ("detached", "t1", False)
    assert "If w was used to compute that, the path ends there." in said(found)


def test_a_detached_tensor_that_the_parameter_did_not_make_is_not_blamed():
    w, target = leaf([1.0, 2.0], "w"), leaf([1.0, 1.0], "target")

    found = te.explain(w, te.sum(leaf(2.0) * target.detach()))

    assert found.cause == "no-path"
    assert "target" not in said(found)


def test_a_path_is_followed_through_two_cuts():
    w = leaf([1.0, 2.0], "w")
    h = w * 3
    k = leaf(1.0) * h.detach()

    found = te.explain(w, te.sum(leaf(2.0) * k.detach()))

    assert (found.cause, found.certain) == ("detached", True)


def test_what_is_computed_from_a_detached_tensor_remembers_the_cut():
    w = leaf([1.0, 2.0], "w")
    h = w * 3

    target = te.mean(te.exp(h.detach() / 2), axis=0) + 1

    assert te.explain(w, leaf(2.0) * target).cause == "detached"


@pytest.mark.parametrize("name", ["h", None])
def test_a_part_computed_under_no_grad(model, rng, name):
    with te.no_grad():
        h = model(rng.standard_normal((5, 4)))
    h.name = name

    found = te.explain(model[0].weight, te.sum(h * leaf(2.0)))

    assert (found.cause, found.where) == ("under-no-grad", "t1")
    assert "linear in layer Linear '2'" in said(found)
    assert ("At t1 (multiply), h comes in" in said(found)) == (name == "h")


def test_of_what_was_computed_under_no_grad_not_everything_is_known():
    other = leaf(1.0)
    with te.no_grad():
        h = te.tanh(other)

    found = te.explain(leaf(2.0, "w"), h * leaf(1.0))

    assert (found.cause, found.certain) == ("under-no-grad", False)


def test_what_is_detached_twice_is_told_once():
    h = leaf([1.0, 2.0]) * 2

    assert "result of multiply" in said(te.explain(h.detach().detach()))
    assert te.explain(te.tensor(1.0).detach()).cause == "frozen"


def test_a_loss_computed_under_no_grad(model, rng):
    with te.no_grad():
        loss = loss_of(model, rng)

    found = te.explain(model[0].weight, loss)

    assert found.cause == te.explain(loss).cause == "under-no-grad"
    assert "No gradient flows to weight" in said(found)


def test_results_of_several_under_no_grad_remember_too():
    with te.no_grad():
        sign, _ = te.slogdet(leaf(np.eye(2)))

    assert te.explain(sign).cause == "under-no-grad"


def test_a_recorded_loss_that_was_detached():
    w = leaf([1.0, 2.0], "w")

    assert te.explain(w, te.sum(w).detach()).cause == "detached"


@pytest.mark.parametrize(
    "leak",
    [
        lambda w, v: v * w.data,
        lambda w, v: v * w.detach().numpy(),
        lambda w, v: v * te.tensor(w.data * 2),
        lambda w, v: v * float(te.sum(w)),
        lambda w, v: v * te.sum(w).item(),
    ],
)
def test_numbers_taken_out_cannot_be_known_and_are_listed(leak):
    w = leaf([1.0, 2.0], "w")

    found = te.explain(w, te.sum(leak(w, leaf(1.0, "v"))))

    assert (found.cause, found.certain) == ("no-path", False)
    assert "came in as a constant: b" in said(found)
    assert "of t1 (multiply)" in said(found)
    assert "float()" in said(found)


def test_a_loss_computed_without_the_parameter():
    found = te.explain(leaf(1.0, "w"), te.sum(leaf(2.0, "v") * 3))

    assert (found.cause, found.certain) == ("no-path", True)
    assert "computed without it" in said(found)


def test_a_parameter_made_anew_has_a_namesake_in_the_loss():
    w = leaf([1.0, 2.0], "w")
    loss = te.sum(w * 2)
    w = leaf([3.0, 4.0], "w")

    assert "another tensor of the name w" in said(te.explain(w, loss))


def test_swapped_arguments_are_noticed():
    h = leaf([1.0, 2.0], "w") * 2

    assert "the other way round" in said(te.explain(te.sum(h), h))
    assert te.explain(te.sum(h), leaf(1.0)).cause == "no-path"


def test_a_frozen_tensor_is_told_with_a_loss_too():
    w, v = te.tensor([1.0, 2.0], name="w"), leaf(1.0)

    assert te.explain(w, te.sum(v * w)).cause == "frozen"
    assert te.explain(te.tensor([1, 2]), te.sum(v * w)).cause == "integer"


# ------------------------------------------------------- a graph that cannot be walked


def test_a_freed_graph(model, rng):
    loss = loss_of(model, rng)
    loss.backward()

    found = te.explain(model[0].weight, loss)

    assert (found.cause, found.where) == ("freed", "t1")
    assert "weight has a .grad of norm" in said(found)
    assert "that backward did not reach it" in said(te.explain(leaf(1.0), loss))
    assert te.explain(loss).cause == "freed"


def test_a_graph_of_which_an_earlier_backward_freed_a_part():
    w = leaf([1.0, 2.0])
    h = te.tanh(w)
    first, second = te.sum(h), te.mean(h)
    first.backward()

    found = te.explain(w, second)

    assert (found.cause, found.where) == ("freed", "t1")
    with pytest.raises(RuntimeError, match="freed"):
        second.backward()


def test_a_parameter_assigned_since():
    w = leaf([1.0, 2.0], "w")
    loss = te.sum(w * w)
    w.data = [3.0, 4.0]

    found = te.explain(w, loss)

    assert (found.cause, found.where) == ("assigned-since", "t1")
    assert te.explain(loss).cause == "assigned-since"
    with pytest.raises(RuntimeError, match="assigned"):
        loss.backward()


def test_an_argument_without_derivative():
    targets = leaf([[0.5, 0.5]], "targets")
    loss = te.softmax_cross_entropy(leaf([[1.0, 2.0]]), targets)

    found = te.explain(targets, loss)

    assert (found.cause, found.where) == ("no-derivative", "t1")
    assert "targets is the argument labels of t1" in said(found)
    with pytest.raises(TypeError, match="no derivative"):
        loss.backward()


# ------------------------------------------------------------------- zero, or nearly so


NONE = np.zeros((3, 2))
ZERO = [
    ("dead", lambda x: te.relu(-te.exp(x)), "t3", "dead: 2 of 2 units are 0 for every"),
    ("dead", lambda x: np.maximum(x - 9, 0), "t2", "t2 (maximum) is dead"),
    ("dead", lambda x: te.relu(x - 9)[0, :1], "t2", "2 of 2 units"),
    ("dead", lambda x: te.relu(x * [-1, 1])[:, 0], "t2", "0, and flat, wherever a gr"),
    ("saturated", lambda x: te.tanh(1e3 * x), "t2", "t2 (tanh) is saturated 100 %"),
    ("saturated", lambda x: te.sigmoid(1e4 * x), "t2", "saturated 100 %"),
    ("saturated", lambda x: te.hard_tanh(x + 9), "t2", "saturated 100 %"),
    ("zero-factor", lambda x: x * np.zeros(2), "t1", "its argument b, which is 0"),
    ("zero-factor", lambda x: x @ te.tensor(np.zeros((2, 3)), name="W"), "t1", "by W,"),
    ("zero-factor", lambda x: te.linear(x, NONE, NONE[:, 0]), "t1", "t weight, which"),
    ("zero-factor", lambda x: (x * [0, 1])[:, :1], "t1", "is 0 wherever"),
    ("not-taken", lambda x: te.where(x.data > 99, x, 0.0), "t1", "takes something"),
    ("not-taken", lambda x: te.clip(x, 50.0, 60.0), "t1", "t1 (clip) takes"),
    ("not-taken", lambda x: te.where([1, 0], x, 0.0) * [0, 1], "t1", "wherever a gr"),
    ("cancelled", lambda x: x - x, "x", "Several gradients arrive at x"),
    ("zero-upstream", lambda x: te.absolute(x - x.data), "t2", "its derivative"),
]


@pytest.mark.parametrize(("cause", "f", "where", "words"), ZERO)
def test_why_a_gradient_is_zero(cause, f, where, words):
    x = leaf([[1.0, 2.0], [3.0, 4.0]], "x")
    loss = te.sum(f(x))

    found = te.explain(x, loss)

    assert not np.any(te.gradients(loss, [x])[0])
    assert (found.cause, found.where) == (cause, where)
    assert "The gradient of x is 0." in said(found)
    assert words in said(found)
    assert (te.explain(loss).cause, te.explain(loss).where) == (cause, where)


def test_a_gradient_that_underflows_is_called_vanishing():
    x = leaf([0.5], "x", dtype=np.float32)
    y = x
    for _ in range(30):
        y = y * np.float32(0.01)

    found = te.explain(x, te.sum(y))

    assert found.cause == "vanishing"
    assert "shrinks from step to step" in said(found)
    assert "float32 can go no lower" in said(found)


@pytest.mark.parametrize(
    ("f", "cause", "word"),
    [
        (lambda x: te.sigmoid(x * 9), "saturated", "saturated 100 %"),
        (lambda x: te.tanh(x * 9) * leaf(1.0), "saturated", "saturated 100 %"),
        (lambda x: te.softmax(x * 99) * [1.0, 2.0], "saturated", "t2 (softmax)"),
    ],
)
def test_what_lets_almost_nothing_through(f, cause, word):
    x = leaf([[1.0, 2.0], [3.0, -4.0]], "x")
    loss = te.sum(f(x))

    found = te.explain(x, loss)

    assert (found.cause, found.where) == (cause, "t2")
    assert word in said(found)
    assert "Behind it: x." in said(found)
    assert te.explain(loss).cause == cause


def test_a_way_around_what_is_saturated_keeps_a_gradient_fine():
    x = leaf([9.0, -9.0], "x")

    found = te.explain(te.sum(x + te.sigmoid(x)))

    assert found.cause == "fine"
    assert "t1 (sigmoid): saturated 100 %" in str(found)


def test_gradients_that_vanish_or_explode_from_layer_to_layer():
    def chain(factor):
        y = x = leaf(1.0, "x")
        for _ in range(12):
            y = te.tanh(y * factor) if factor < 1 else y * factor
        return x, y + leaf(1.0, "last")

    for factor, cause in ((0.1, "vanishing"), (10.0, "exploding")):
        x, loss = chain(factor)

        found = te.explain(x, loss)

        assert (found.cause, te.explain(loss).cause) == (cause, cause)
        assert f"On the way the gradient is {cause}" in said(found)
        assert "for last, next to the loss" in said(found)


def test_some_dead_units_are_a_remark_and_their_share_of_the_gradient_is_told(rng):
    model = te.nn.Sequential(te.nn.Linear(4, 5, rng=0), te.nn.ReLU())
    model[0].bias.data = [0.0, 0.0, -50.0, -50.0, 0.0]
    loss = te.sum(model(rng.standard_normal((20, 4))))

    found = te.explain(model[0].bias, loss)

    assert found.cause == "backward-not-called"
    assert "2 of 5 entries are 0" in said(found)
    assert "t2 (relu in layer ReLU '1'): dead 40 %" in str(found)


# -------------------------------------------------------------------- nan and infinity


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


def test_a_grad_with_nan_from_before_is_told_from_the_gradient():
    w = with_grad([np.nan, 1.0])

    found = te.explain(w, te.sum(w * 2))

    assert found.cause == "nan"
    assert "zero_grad() first" in said(found)


# ------------------------------------------------------------------------ what is fine


def weights(rng):
    return leaf(rng.standard_normal((3, 2)), "W")


FINE = [
    lambda x, W: te.sum(te.tanh(x @ W)),
    lambda x, W: te.softmax_cross_entropy(x @ W, np.array([0, 1, 1, 0])),
    lambda x, W: te.nn.mse_loss(te.relu(x @ W), np.ones((4, 2))),
    lambda x, W: te.sum(te.where(x.data > 0, x, 0.1 * x)) + te.sum(W),
    lambda x, W: te.sum(te.where(x.data > -9, te.exp(x), 0.0) @ W),
    lambda x, W: te.sum(te.concatenate([x @ W, x], axis=1) ** 2),
    lambda x, W: te.slogdet(x[:2, :2] @ W.T @ W).logabsdet,
    lambda x, W: x @ W + 1,
    lambda x, W: te.gradients(te.sum(te.tanh(x @ W)), [x], create_graph=True)[0],
    lambda x, W: te.sum(te.sigmoid(x @ W) + te.where([True, False], 1.0, -np.inf)[0]),
    lambda x, W: te.sum((x @ W)[0] * 1e-9),
    lambda x, W: te.sum(te.max(x @ W, axis=0)),
]


@pytest.mark.parametrize("f", FINE)
def test_what_is_fine_is_called_fine(f, rng):
    x, W = leaf(rng.standard_normal((4, 3)), "x"), weights(rng)
    loss = f(x, W)

    found = te.explain(loss)

    assert found.cause == "fine"
    assert [p.name for p in found.parameters] == ["x", "W"]
    expected = te.gradients(loss, [x, W], gradient=np.ones(loss.shape))
    norms = [np.linalg.norm(g) for g in expected]
    np.testing.assert_allclose([p.norm for p in found.parameters], norms)
    assert te.explain(W, loss).cause == "backward-not-called"


def test_a_loss_lists_its_parameters_by_layer(model, rng):
    found = te.explain(loss_of(model, rng))

    lines = str(found).splitlines()
    assert lines[0] == "The loss t4 (4 operations) reaches 4 parameters:"
    assert [line.split()[0] for line in lines[1:5]] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    assert lines[5:] == ["Nothing goes wrong on the way."]
    assert found.parameters[0][:2] == ("0.weight", (3, 4))


def test_many_parameters_are_cut_short_and_said_so():
    found = te.explain(sum(leaf(1.0) for _ in range(50)) + leaf(1.0))

    assert "... and 31 more" in str(found)
    assert len(found.parameters) == 51


def test_a_parameter_after_backward_with_a_kept_graph(model, rng):
    loss = loss_of(model, rng)
    loss.backward(retain_graph=True)

    found = te.explain(model[0].weight, loss)

    assert found.cause == "fine"
    assert "t4 → t3 → t2 → t1 → 0.weight" in said(found)


def backwards(loss_of_now, times):
    """Call backward without zero_grad; return the loss after the last."""
    for _ in range(times):
        loss_of_now().backward()
    return loss_of_now()


@pytest.mark.parametrize("times", [1, 3])
def test_what_earlier_backwards_have_left_is_told_of_a_loss(times):
    w, v = leaf([3.0, 4.0], "w"), leaf(1.0, "v")

    found = te.explain(backwards(lambda: te.sum(w * w) + v, times))

    assert found.cause == "fine"
    assert found.parameters[0].norm == 10
    assert said(found).endswith(
        f"Nothing goes wrong on the way. w.grad holds what earlier backwards have left "
        f"(norm {10 * times}), as does 1 more: the next one adds to it, unless "
        "optimizer.zero_grad() comes first."
    )


def test_what_earlier_backwards_have_left_is_told_of_a_parameter():
    w = leaf([3.0, 4.0], "w")

    loss = backwards(lambda: te.sum(w * w), 2)

    assert "norm 10. w.grad holds what earlier backwards have left (norm 20): the" in (
        said(te.explain(w, loss))
    )


def test_after_zero_grad_nothing_is_left():
    w = leaf([3.0, 4.0], "w")
    loss = backwards(lambda: te.sum(w * w), 2)

    w.zero_grad()

    assert "earlier backwards" not in said(te.explain(loss))


def test_a_tensor_on_the_way_keeps_no_grad():
    h = te.tanh(leaf([1.0, 2.0]))

    found = te.explain(h, te.sum(h))

    assert found.cause == "fine"
    assert "Only leaves keep a .grad" in said(found)


def test_explaining_changes_nothing(model, rng):
    loss = loss_of(model, rng)
    expected = te.gradients(loss, model.parameters())

    te.explain(loss)
    te.explain(model[2].bias, loss)
    grads = [p.grad for p in model.parameters()]
    loss.backward()

    assert grads == [None] * 4
    for p, g in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(p.grad, g)


def test_several_numbers_are_explained_as_their_sum():
    assert "gradients of its sum" in said(te.explain(leaf([1.0, 2.0]) * 2))


def test_names_are_cut_and_cleaned():
    w = leaf([1.0], "a\nb\x1b[31m" + "x" * 10_000)

    text = str(te.explain(w, te.sum(w * 2)))

    assert "\x1b" not in text
    assert len(text) < 500


@pytest.mark.parametrize(
    "arguments", [(np.ones(2),), (1.0,), (None,), (leaf(1.0), 2.0), (te.nn.Tanh(),)]
)
def test_only_tensors_are_explained(arguments):
    with pytest.raises(
        TypeError, match=r"explain: (tensor|loss) must be a Tensor, got"
    ):
        te.explain(*arguments)


def test_a_long_chain_and_a_deep_diamond():
    x = leaf(np.ones((2, 2)), "x")
    y = x
    for _ in range(20_000):
        y = te.tanh(y)
    z = x
    for _ in range(60):
        z = z + z

    assert te.explain(x, te.sum(y)).cause == "backward-not-called"
    assert "(20,001 operations)" in str(te.explain(te.sum(y)))
    assert te.explain(te.sum(z)).parameters[0].norm == 2.0**61


# ----------------------------------------------------------- what a cut leaf remembers


@pytest.mark.parametrize("cut", ["detach", "no_grad"])
def test_a_cut_leaf_keeps_nothing_alive(cut):
    h = leaf(np.ones(3)) * 2
    if cut == "detach":
        kept = h.detach()
    else:
        with te.no_grad():
            kept = te.tanh(h)
    gone = weakref.ref(h)
    gc.disable()
    try:
        del h

        assert gone() is None
        assert te.explain(kept).cause in ("detached", "under-no-grad")
    finally:
        gc.enable()


def test_a_loop_under_no_grad_remembers_no_more_and_more():
    h = leaf(1.0)
    with te.no_grad():
        y = te.tensor(1.0)
        for _ in range(100):
            y = y * h

    assert len(y._cut.behind) == 8


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_a_cut_leaf_is_a_leaf_like_any(copied):
    w = leaf([1.0, 2.0], "w")

    assert te.explain(copied((w * 2).detach())).cause == "frozen"


def test_new_data_are_not_what_was_detached():
    h = (leaf([1.0, 2.0]) * 2).detach()
    h.data = [3.0, 4.0]

    assert te.explain(h).cause == "frozen"


# ------------------------------------------------------------------------------ health


def column(*values):
    return leaf(np.array(values)[:, None])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: te.sigmoid(leaf([9.0, 0, 0, 0])), ("saturated 25 %",)),
        (lambda: te.sigmoid(leaf([9.0] + [0] * 9)), ("saturated 10 %",)),
        (lambda: te.sigmoid(leaf([9.0] + [0] * 10)), ()),
        (lambda: te.sigmoid(leaf([9.0] * 999 + [0])), ("saturated 99 %",)),
        (lambda: te.sigmoid(leaf([5.99])), ("saturated 100 %",)),
        (lambda: te.sigmoid(leaf([5.97])), ()),
        (lambda: te.tanh(leaf([3.0, -3.0, 1.0])), ("saturated 66 %",)),
        (lambda: te.hard_tanh(leaf([-2.0, 0.5])), ("saturated 50 %",)),
        (lambda: te.hard_tanh(leaf([2.0, 0.5]), max_val=3.0), ()),
        (lambda: te.softsign(leaf([-10.0, 1.0])), ("saturated 50 %",)),
        (
            lambda: te.softmax(leaf([[0.0] * 1000, [99.0] + [0] * 999])),
            ("saturated 50 %",),
        ),
        (lambda: te.softmax(leaf([[9.0, 0], [0, 0]]), axis=0), ("saturated 50 %",)),
        (lambda: te.relu(leaf([[1.0, -1, -1], [1, -1, 1]])), ("dead 33 %",)),
        (lambda: np.maximum(leaf([[1.0, -1], [1, -1]]), 0), ("dead 50 %",)),
        (lambda: np.maximum(leaf([[1.0, -1], [1, -1]]), -1), ()),
        (lambda: te.leaky_relu(leaf([[-1.0], [-1.0]])), ()),
        (lambda: te.relu(leaf([[1.0, -1, -1]])), ()),
        (lambda: te.relu(leaf([1.0, -1, -1])), ()),
        (lambda: te.relu(leaf([-1.0, -1])), ("dead 100 %",)),
        (lambda: te.relu(leaf(-1.0)), ("dead 100 %",)),
        (
            lambda: te.relu(leaf(np.ones((1, 2, 3, 3)) * [[[[1]], [[-1]]]])),
            ("dead 50 %",),
        ),
        (lambda: te.relu(leaf(np.ones((0, 3)))), ()),
        (lambda: te.exp(leaf([1e4, 0.0])), ("infinite",)),
        (lambda: te.log(leaf([-1.0, 0.0])), ("NaN", "infinite")),
        (lambda: te.relu(leaf([[np.nan, -1], [-1, -1]])), ("NaN", "dead 50 %")),
        (lambda: te.slogdet(leaf(np.eye(2))).sign, ()),
        (lambda: leaf([np.nan]), ("NaN",)),
        (lambda: np.array([np.inf, 1]), ("infinite",)),
        (lambda: np.array([1, 2]), ()),
        (lambda: 3.5, ()),
    ],
)
def test_words_for_health(make, words):
    assert warnings_of(make()) == words


def test_findings_have_their_numbers():
    (found,) = findings_of(te.relu(leaf([[1.0, -1, -1], [1, -1, 1]])))

    assert (found.what, found.count, found.total, found.of) == ("dead", 1, 3, "units")
