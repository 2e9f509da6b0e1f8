"""The observed walk: it sees every operation, and leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.observation import observe, shares_of
from tinygrad_edu.engine.traversal import nodes_of


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


def nobody(*_):
    pass


@pytest.fixture
def seen():
    """What the observer was called with: append is the observer."""

    class Seen(list):
        def __call__(self, *what):
            self.append(what)

    return Seen()


# --------------------------------------------------------------------- a single node


def test_a_node_hands_each_input_its_share():
    x, b = leaf([1.0, 2.0]), leaf(3.0)

    shares = shares_of(x * b, np.array([1.0, 10.0]))

    assert [who for who, _ in shares] == [x, b]
    assert [share.tolist() for _, share in shares] == [[3.0, 30.0], 21.0]


def test_a_node_hands_an_input_that_is_used_twice_two_shares():
    x = leaf([1.0, 2.0])

    shares = shares_of(x * x, np.ones(2))

    assert [share.tolist() for _, share in shares] == [[1.0, 2.0]] * 2


def test_of_a_node_only_what_is_wanted_can_be_asked_for():
    x, b = leaf([1.0, 2.0]), leaf(3.0)

    assert [who for who, _ in shares_of(x * b, np.ones(2), {b})] == [b]


def test_a_node_that_was_freed_has_nothing_to_hand_on():
    y = te.sum(leaf([1.0, 2.0]))
    y.backward()

    with pytest.raises(RuntimeError, match="freed"):
        shares_of(y, 1.0)


# ------------------------------------------------------------------------- the walk


def test_every_operation_is_seen_once_the_newest_first(seen):
    w, x = leaf([1.0, 2.0]), te.tensor([3.0, 4.0])
    h = x * w
    y = te.exp(h) + h
    loss = te.sum(y)

    observe(loss, seen)

    assert [node for node, _, _ in seen] == nodes_of([loss])[::-1]


def test_it_sees_gradient_position_input_and_share(seen):
    w, x = leaf([1.0, 2.0]), te.tensor([3.0, 4.0])
    loss = te.sum(x * w)

    found = observe(loss, seen)

    (total, one, [(place, product, ones)]), (again, g, [(last, to, share)]) = seen
    assert (total, one, place, product) == (loss, 1.0, 0, again)
    np.testing.assert_array_equal(ones, [1.0, 1.0])
    np.testing.assert_array_equal(g, [1.0, 1.0])
    assert (last, to) == (1, w)  # x requires no gradients
    np.testing.assert_array_equal(share, [3.0, 4.0])
    assert found.keys() == {w}


def test_an_input_that_is_used_twice_stands_at_both_places(seen):
    x = leaf(3.0)

    observe(x * x, seen)

    [(_, _, shares)] = seen
    assert [(i, y, float(d)) for i, y, d in shares] == [(0, x, 3.0), (1, x, 3.0)]


def test_broadcasting_is_undone_in_what_is_seen(seen):
    x, b = leaf([1.0, 2.0]), leaf(3.0, dtype=np.float32)

    observe(te.sum(x * b), seen)

    share = seen[1][2][1][2]
    assert (float(share), share.dtype) == (3.0, np.float32)


def networks(rng):
    w, v = leaf(rng.standard_normal((3, 2))), leaf(rng.standard_normal(2))
    h = te.tanh(rng.standard_normal((4, 3)) @ w + v)
    values, vectors = te.eigh(te.transpose(h) @ h)
    diamond = h
    for _ in range(60):
        diamond = (diamond + diamond) / 2.0
    return [w, v], [te.softmax(h), values @ vectors, diamond, h[[0, 0, 1]]]


@pytest.mark.parametrize("which", range(4))
def test_what_arrives_at_the_leaves_is_what_backward_finds(which, rng):
    leaves, outputs = networks(rng)
    output = outputs[which]
    one = np.ones(output.shape)

    found = observe(output, nobody)

    for x, g in zip(leaves, te.gradients(output, leaves, gradient=one), strict=True):
        np.testing.assert_array_equal(found[x], g)


def test_a_leaf_by_itself_is_given_ones():
    x = leaf([1.0, 2.0])

    found = observe(x, nobody)

    np.testing.assert_array_equal(found[x], [1.0, 1.0])


def test_nothing_is_left_behind(rng):
    leaves, outputs = networks(rng)
    loss = te.sum(outputs[0])
    kept = np.full(2, 7.0)
    leaves[1].grad = kept
    links = [(node.inputs, node._residuals) for node in nodes_of([loss])]

    observe(loss, nobody)

    assert leaves[0].grad is None
    np.testing.assert_array_equal(leaves[1].grad, kept)
    for node, (inputs, saved) in zip(nodes_of([loss]), links, strict=True):
        assert node.inputs is inputs
        assert node._residuals is saved
    loss.backward()  # it was not freed


def test_what_an_observer_was_handed_is_never_written_to_later():
    """Sums are taken in place, but only where the walk itself has made the array."""
    x = leaf(np.arange(3.0))
    y = x * 1.0
    summands = [y + y, y * 2.0, te.exp(y), y, y - 1.0]
    loss = te.sum(sum(summands[1:], summands[0]) + y)
    held = []

    def hold(node, g, shares):
        held.extend((a, np.array(a)) for a in (g, *(d for _, _, d in shares)))

    found = observe(loss, hold)

    for array, then in held:
        np.testing.assert_array_equal(array, then)
    np.testing.assert_allclose(found[x], 2 + 2 + np.exp(x.data) + 1 + 1 + 1)


def test_what_is_not_finite_is_no_warning():
    x = leaf([0.0, 1.0])
    with np.errstate(all="ignore"):
        y = te.sum(te.log(x))

    assert np.isinf(observe(y, nobody)[x][0])


def test_the_error_of_a_rule_comes_through(seen):
    @te.op(elementwise=True)
    def awkward(x):
        return x * 1.0

    awkward.vjp(x=lambda g, out, x: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        observe(te.sum(awkward(leaf([1.0]))), seen)
    assert len(seen) == 1


def test_a_chain_of_20_000_operations(seen):
    y = x = leaf(1.0)
    for _ in range(20_000):
        y = y + 0.0

    assert observe(y, seen)[x] == 1.0
    assert len(seen) == 20_000
