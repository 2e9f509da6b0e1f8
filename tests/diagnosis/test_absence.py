"""Why there is no gradient: a leaf by itself, a cut path, a graph that is gone."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from explained import leaf, loss_of, said, with_grad

import tinygrad_edu as te

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # nan is meant here

# ------------------------------------------------------------------- a leaf by itself


def switched_off():
    w = leaf([1.0, 2.0], "w")
    w.requires_grad = False
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
