"""The walk backward: what reaches .grad, what te.gradients returns, what is refused."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from numeric import assert_near, finite_differences

import tinygrad_edu as te
from tinygrad_edu.engine import core


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


# --------------------------------------------------------------------------- backward


def test_backward_leaves_the_gradient_in_the_leaves():
    w, x = leaf([1.0, 2.0]), te.tensor([3.0, 4.0])

    te.sum(w * w * x).backward()

    np.testing.assert_array_equal(w.grad, [6.0, 16.0])
    assert x.grad is None


def test_backward_adds_to_what_is_there():
    w = leaf([1.0, 2.0])

    te.sum(3 * w).backward()
    te.sum(w * w).backward()

    np.testing.assert_array_equal(w.grad, [5.0, 7.0])


def test_zero_grad_starts_anew():
    w = leaf(2.0)
    (w * w).backward()

    w.zero_grad()

    assert w.grad is None
    (3 * w).backward()
    assert w.grad == 3.0


def test_a_leaf_is_its_own_gradient_source():
    w = leaf(2.0)

    w.backward()

    assert w.grad == 1.0


def test_a_tensor_used_many_times_adds_up_all_its_gradients():
    w = leaf([1.0, 2.0, 3.0])
    y = w * 2

    te.sum(y * y + y + w - y * w + y).backward()

    # d/dw (4w² + 2w + w - 2w² + 2w) = 4w + 5
    np.testing.assert_array_equal(w.grad, [9.0, 13.0, 17.0])


def test_only_leaves_collect_grad_and_others_warn_that_they_do_not():
    w = leaf(2.0)
    y = w * w
    y.backward()

    with pytest.warns(
        UserWarning, match=r"only leaves .* computed by multiply"
    ) as seen:
        assert y.grad is None

    assert "te.gradients(output, [tensor])" in str(seen[0].message)
    assert "To update a parameter: w.data -= lr * w.grad" in str(seen[0].message)
    assert seen[0].filename == __file__


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_number_of_any_shape_starts_backward(shape):
    w = leaf(np.full(shape, 3.0))

    (w * w).backward()

    np.testing.assert_array_equal(w.grad, np.full(shape, 6.0), strict=True)


def test_several_numbers_ask_for_a_gradient():
    y = leaf(np.ones((32, 10))) * 2

    with pytest.raises(RuntimeError) as error:
        y.backward()

    assert str(error.value) == (
        "backward: the tensor has shape (32, 10); only a scalar starts backward by "
        "itself. Sum it, or pass gradient= of shape (32, 10)"
    )


def test_backward_starts_from_a_given_gradient():
    w = leaf([1.0, 2.0])

    (w * w).backward([1.0, -1.0])

    np.testing.assert_array_equal(w.grad, [2.0, -4.0])


@pytest.mark.parametrize("gradient", [1.0, [1.0], [[1.0, 1.0]], [1.0, 1.0, 1.0]])
def test_a_given_gradient_must_have_the_shape(gradient):
    y = leaf([1.0, 2.0]) * 2

    with pytest.raises(ValueError, match=r"must have the shape \(2,\), got"):
        y.backward(gradient)


@pytest.mark.parametrize("gradient", [1j, "one", None, [None, None]])
def test_a_given_gradient_must_be_real_numbers(gradient):
    y = leaf([1.0, 2.0]) * 2

    with pytest.raises((TypeError, RuntimeError), match="gradient"):
        y.backward(gradient)


def test_backward_says_when_nothing_was_recorded():
    y = te.tensor(2.0, name="x") * 3

    with pytest.raises(
        RuntimeError, match=r"nothing was recorded .* no input required"
    ):
        y.backward()


def test_backward_of_a_detached_tensor_says_so():
    y = (leaf(2.0) * 3).detach()

    with pytest.raises(RuntimeError, match="detached"):
        y.backward()


def test_detaching_cuts_one_way_only():
    w = leaf(3.0)
    y = w * w

    (y.detach() * y).backward()

    assert w.grad == 9.0 * 6.0


# -------------------------------------------------------------------- freeing the graph


def test_a_second_walk_through_a_freed_graph_says_to_compute_it_again():
    w = leaf(2.0)
    y = w * w
    y.backward()

    told = (
        r"freed .*\. Compute the loss again, inside the loop; or, .*\(retain_graph=True"
    )
    with pytest.raises(RuntimeError, match=told):
        y.backward()
    with pytest.raises(RuntimeError, match="freed"):
        (y + w).backward()
    with pytest.raises(RuntimeError, match="freed"):
        te.gradients(y, [w])
    assert w.grad == 4.0


def test_a_retained_graph_can_be_walked_again():
    w = leaf(2.0)
    y = w * w

    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()

    assert w.grad == 12.0
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()


def test_a_refused_walk_changes_nothing():
    a, b = leaf(2.0), leaf(3.0)
    shared = a * a
    (shared * 2).backward()
    loss = b * b + shared

    with pytest.raises(RuntimeError, match="freed"):
        loss.backward()

    assert b.grad is None
    assert a.grad == 8.0


def test_freeing_lets_go_of_inputs_and_by_products():
    w = leaf(np.ones((2, 3)))
    loss = te.softmax_cross_entropy(w, np.array([0, 1]))

    loss.backward()

    assert loss.inputs == ()
    assert loss.item() == pytest.approx(np.log(3))
    assert loss.op is te.softmax_cross_entropy
    assert not loss.is_leaf


def test_only_what_lies_behind_the_output_is_freed():
    w = leaf(2.0)
    shared = w * 3
    left, right = shared * shared, leaf(1.0) * 2

    left.backward()

    right.backward()  # a graph of its own
    assert w.grad == 36.0


# --------------------------------------------------------- .grad: a buffer of its own

GRAPHS = {
    "sums with themselves": lambda x, y: (x + x) + (y + y),
    "sum": lambda x, y: x + y,
    "difference": lambda x, y: x - y,
    "sum with a constant": lambda x, y: x + 1.0 + (y - 1.0),
    "thrice": lambda x, y: x + x + x + y,
    "the second time as itself": lambda x, y: x * y + x,
    "the first time as itself": lambda x, y: x + x * y,
    "reshape": lambda x, y: te.reshape(te.reshape(x, (6,)), (2, 3)) + y,
    "transpose": lambda x, y: x.T.T + y.T.T,
    "broadcast": lambda x, y: te.broadcast_to(x, (2, 3)) + te.broadcast_to(y, (2, 3)),
    "an index": lambda x, y: x[:] + y[...],
    "joined": lambda x, y: te.concatenate([x, y])[:2] + te.concatenate([x, y])[2:],
    "product": lambda x, y: x * y,
    "a product of one number": lambda x, y: x * x + y * y,
    "maximum": lambda x, y: te.maximum(x, y) + te.maximum(y, x),
    "linear": lambda x, y: te.linear(x, y) @ np.ones((2, 3)) + x,
    "sum to": lambda x, y: te.sum_to(x, (2, 3)) + te.sum_to(y, (2, 3)),
    "its own type": lambda x, y: te.astype(x, float) + te.astype(y, float),
    "two ways": lambda x, y: (x + y) + (x - y) + (x + y),
}


@pytest.mark.parametrize("f", GRAPHS.values(), ids=GRAPHS)
def test_grad_shares_its_memory_with_nothing(f, rng):
    data = rng.standard_normal((2, 2, 3))
    given = rng.standard_normal((2, 3))
    x, y = leaf(data[0]), leaf(data[1])

    out = f(x, y)
    out.backward(given, retain_graph=True)

    buffers = [x.grad, y.grad, x.data, y.data, given, out.data, data]
    for i, a in enumerate(buffers):
        for b in buffers[i + 1 :]:
            assert not np.shares_memory(a, b) or a is out.data or b is out.data
    assert not np.shares_memory(x.grad, out.data)
    assert not np.shares_memory(y.grad, out.data)
    for t in (x, y):
        assert t.grad.flags.writeable
        assert t.grad.base is None or t.grad.base.size == t.grad.size
        assert t.grad.shape == t.shape


@pytest.mark.parametrize("f", GRAPHS.values(), ids=GRAPHS)
def test_writing_into_a_grad_or_the_given_gradient_changes_no_other_number(f, rng):
    """The way that sharing shows: a second backward, after all was overwritten."""
    data = rng.standard_normal((2, 2, 3))
    given = rng.standard_normal((2, 3))
    x, y = leaf(data[0]), leaf(data[1])
    out = f(x, y)
    value = out.data.copy()

    out.backward(given, retain_graph=True)
    once = [x.grad.copy(), y.grad.copy()]
    x.grad[...] = np.nan
    np.testing.assert_array_equal(y.grad, once[1])
    y.grad[...] = np.nan
    x.zero_grad()
    y.zero_grad()
    same = given.copy()
    out.backward(same, retain_graph=True)
    same[...] = np.nan

    np.testing.assert_array_equal(x.grad, once[0])
    np.testing.assert_array_equal(y.grad, once[1])
    np.testing.assert_array_equal(out.data, value)
    assert np.isfinite(given).all()


@pytest.mark.parametrize("f", GRAPHS.values(), ids=GRAPHS)
def test_two_walks_through_a_retained_graph_give_twice_the_gradient(f, rng):
    data = rng.standard_normal((2, 2, 3))
    given = rng.standard_normal((2, 3))
    x, y = leaf(data[0]), leaf(data[1])
    out = f(x, y)

    out.backward(given, retain_graph=True)
    once = [x.grad.copy(), y.grad.copy()]
    out.backward(given)

    np.testing.assert_array_equal(x.grad, 2 * once[0])
    np.testing.assert_array_equal(y.grad, 2 * once[1])
    for t, position in ((x, 0), (y, 1)):
        expected = finite_differences(
            lambda *a: np.asarray(f(*map(leaf, a)).data), data, 2 * given, position
        )
        assert_near(t.grad, expected, 1e-8, f"input {position}")


@pytest.mark.parametrize("f", GRAPHS.values(), ids=GRAPHS)
def test_gradients_returns_arrays_that_nothing_else_holds(f, rng):
    data = rng.standard_normal((2, 2, 3))
    given = rng.standard_normal((2, 3))
    x, y = leaf(data[0]), leaf(data[1])
    out = f(x, y)

    results = te.gradients(out, [x, y, x, out, y], gradient=given)
    expected = [g.copy() for g in results]
    for g in results:
        assert g.flags.owndata
        g[...] = np.nan
    again = te.gradients(out, [x, y, x, out, y], gradient=given)

    for a, b in zip(again, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert x.grad is None
    assert y.grad is None


def test_a_single_numbers_grad_is_an_array_too():
    x = leaf(2.0)

    (x + x).backward()

    assert type(x.grad) is np.ndarray
    assert x.grad.shape == ()
    x.grad *= 2
    assert x.grad == 4.0


def random_graph(x, y, z, choices):
    """Combine what is there at random; nearly everything is used more than once."""
    there = [x, y, z]
    for kind, i, j in choices:
        a, b = there[i % len(there)], there[j % len(there)]
        made = (
            lambda a, b: a + b,
            lambda a, b: a - 0.5 * b,
            lambda a, b: te.tanh(a) * b,
            lambda a, b: a + te.sum(b, axis=0),
            lambda a, b: te.reshape(te.broadcast_to(te.mean(a), (6,)), (2, 3)) + b,
            lambda a, b: te.concatenate([a, b])[1:3],
            lambda a, b: te.softmax(a) * te.sigmoid(b),
            lambda a, b: a[:, [0, 0, 2]] + b,
            lambda a, b: te.linear(a, b)[:, :1] * te.broadcast_to(a[:1], (2, 3)),
        )[kind](a, b)
        there.append(made)
    total = there[-1]
    for part in there[3:-1]:
        total = total + part * 0.1
    return total


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_have_the_gradient_of_finite_differences(seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((2, 3)) for _ in range(3)]
    choices = rng.integers(0, [9, 100, 100], (12, 3))
    given = rng.standard_normal((2, 3))
    leaves = [leaf(a) for a in arrays]

    out = random_graph(*leaves, choices)
    first = te.gradients(out, leaves, gradient=given)
    recorded = te.gradients(out, leaves, gradient=given, create_graph=True)
    out.backward(given, retain_graph=True)
    out.backward(given)

    for i, t in enumerate(leaves):
        expected = finite_differences(
            lambda *a: random_graph(*map(te.tensor, a), choices).data, arrays, given, i
        )
        assert_near(first[i], expected, 1e-7, f"seed {seed}, input {i}")
        assert_near(recorded[i].data, first[i], 1e-12, f"seed {seed}, input {i}")
        assert_near(t.grad, 2 * first[i], 1e-14, f"seed {seed}, input {i}")


# -------------------------------------------------------------------------- gradients


def test_gradients_is_a_list_in_the_order_of_the_inputs():
    a, b = leaf(2.0), leaf(5.0)

    assert te.gradients(a * a * b, [b, a]) == [4.0, 20.0]
    assert te.gradients(a * b, []) == []


def test_gradients_touches_no_grad_and_frees_nothing():
    a = leaf(2.0)
    y = a * a

    te.gradients(y, [a])
    te.gradients(y, [a], create_graph=True)

    assert a.grad is None
    y.backward()
    assert a.grad == 4.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_are_zero_for_an_input_that_was_not_used(create_graph):
    a, unused = leaf(2.0), leaf(np.ones((2, 3), np.float32))

    g = te.gradients(a * a, [unused, a], create_graph=create_graph)[0]

    assert type(g) is (te.Tensor if create_graph else np.ndarray)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(getattr(g, "data", g), np.zeros((2, 3)))


def test_gradients_are_zero_for_an_input_that_comes_later():
    a = leaf(2.0)
    y = a * a

    assert te.gradients(y, [y * 3]) == [0.0]


def test_gradients_by_tensors_on_the_way():
    a = leaf([1.0, 2.0])
    middle = a * a
    out = te.sum(middle * middle)

    by_middle, by_leaf, by_out = te.gradients(out, [middle, a, out])

    np.testing.assert_array_equal(by_middle, [2.0, 8.0])
    np.testing.assert_array_equal(by_leaf, [4.0, 32.0])
    assert by_out == 1.0


def test_gradients_of_an_input_that_feeds_another():
    """Both are walked through and both are kept."""
    a = leaf(3.0)
    b = a * a
    c = b * a

    assert te.gradients(c + b, [c, b, a]) == [1.0, 4.0, 33.0]


def test_the_same_input_listed_twice_gets_two_arrays():
    a = leaf([1.0, 2.0])

    first, second = te.gradients(te.sum(a * a), [a, a])

    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)


def test_gradients_with_create_graph_can_be_differentiated_again():
    x = leaf(2.0)

    (first,) = te.gradients(x**4, [x], create_graph=True)
    (second,) = te.gradients(first, [x], create_graph=True)
    (third,) = te.gradients(second, [x])

    assert [first.item(), second.item(), float(third)] == [32.0, 48.0, 48.0]
    assert type(first) is te.Tensor
    assert type(third) is np.ndarray


def test_backward_through_recorded_gradients_reaches_the_leaves():
    x = leaf([1.0, 2.0])

    (g,) = te.gradients(te.sum(x * x * x), [x], create_graph=True)
    te.sum(g * g).backward()

    np.testing.assert_allclose(x.grad, 36 * np.array([1.0, 8.0]))


def test_gradients_without_create_graph_record_nothing():
    x = leaf(2.0)

    (g,) = te.gradients(x * x, [x])

    assert type(g) is np.ndarray


def test_create_graph_records_inside_no_grad():
    x = leaf(2.0)
    y = x * x * x

    with te.no_grad():
        (first,) = te.gradients(y, [x], create_graph=True)
        assert not (x * x).requires_grad

    assert te.gradients(first, [x]) == [12.0]


def test_a_failing_walk_puts_recording_back():
    @te.op
    def faulty(x):
        return x * 1.0

    def rule(g, out, x):
        raise ZeroDivisionError

    faulty.vjp(x=rule)
    x = leaf(1.0)

    with pytest.raises(ZeroDivisionError):
        te.gradients(faulty(x), [x])

    assert (x * x).requires_grad


def test_gradients_start_from_a_given_gradient():
    x = leaf([1.0, 2.0])

    (g,) = te.gradients(x * x, [x], gradient=[1.0, -1.0])

    np.testing.assert_array_equal(g, [2.0, -4.0])


def test_a_recorded_gradient_to_start_from_is_differentiated_too():
    """The product of the Jacobian with a vector, by differentiating the other one."""
    x, u = leaf([1.0, 2.0]), leaf([0.0, 0.0])

    (g,) = te.gradients(x * x, [x], gradient=u, create_graph=True)
    (jvp,) = te.gradients(g, [u], gradient=[1.0, 10.0])

    np.testing.assert_array_equal(jvp, [2.0, 40.0])


def test_gradients_ask_for_a_gradient_of_several_numbers():
    x = leaf(np.ones((2, 3)))

    with pytest.raises(
        RuntimeError, match=r"gradients: .* gradient= of shape \(2, 3\)"
    ):
        te.gradients(x * 2, [x])


@pytest.mark.parametrize("x", [te.tensor(1.0, name="x"), np.ones(2), 3.0])
def test_gradients_by_what_requires_none_say_so(x):
    a = leaf(1.0)

    with pytest.raises(RuntimeError, match=r"input 1 .* does not require gradients"):
        te.gradients(a * 2, [a, x])


def test_gradients_of_an_array_are_refused():
    with pytest.raises(TypeError, match="gradients: expected a Tensor, got ndarray"):
        te.gradients(np.ones(()), [leaf(1.0)])


def test_gradients_by_a_lone_tensor_are_refused_not_taken_row_by_row():
    x = leaf([1.0, 2.0])

    with pytest.raises(TypeError, match=r"list .*\[x\]"):
        te.gradients(te.sum(x * x), x)


def test_gradients_take_any_iterable_of_inputs():
    x, y = leaf(2.0), leaf(3.0)

    assert te.gradients(x * y, (t for t in (x, y))) == [3.0, 2.0]
    assert te.gradients(x * y, {"x": x}.values()) == [3.0]


# -------------------------------------------------------- what nobody needs is not done


@pytest.fixture
def counted():
    """A product of two, and the list of the rules that ran."""
    ran = []

    @te.op(elementwise=True)
    def product(a, b):
        return a * b

    def rule(name, other):
        def run(g, out, a, b):
            ran.append(name)
            return g * (a, b)[other]

        return run

    product.vjp(a=rule("a", 1), b=rule("b", 0))
    return product, ran


def test_no_rule_runs_for_an_input_that_requires_no_gradient(counted):
    product, ran = counted

    product(te.tensor(2.0), leaf(3.0)).backward()
    product(leaf(3.0), 4.0).backward()

    assert ran == ["b", "a"]


def test_no_rule_runs_on_ways_that_lead_to_no_input_asked_for(counted):
    product, ran = counted
    a, b = leaf(2.0), leaf(3.0)
    out = product(product(a, 1.0), product(1.0, b))

    te.gradients(out, [b])
    te.gradients(out, [b], create_graph=True)

    assert ran == ["b", "b"] * 2


def test_no_rule_runs_behind_an_interior_input(counted):
    product, ran = counted
    middle = product(leaf(2.0), 1.0)

    te.gradients(product(middle, 1.0), [middle])

    assert ran == ["a"]


def test_each_rule_runs_once_however_often_its_result_was_used(counted):
    product, ran = counted
    x = leaf(2.0)
    y = product(x, 1.0)

    (y * y + y + te.exp(y)).backward()

    assert ran == ["a"]


def test_an_input_switched_off_later_costs_nothing(counted):
    product, ran = counted
    a, b = leaf(2.0), leaf(3.0)
    out = product(a, b)
    a.requires_grad = False

    out.backward()

    assert ran == ["b"]
    assert a.grad is None


def test_the_first_layer_computes_no_gradient_of_the_images(monkeypatch):
    ran = []

    def not_wanted(*_, **__):
        ran.append("x")

    monkeypatch.setattr(te.linear, "rules", [not_wanted, *te.linear.rules[1:]])
    images, w, b = te.tensor(np.ones((5, 3))), leaf(np.ones((2, 3))), leaf(np.ones(2))

    te.sum(te.linear(images, w, b)).backward()

    assert ran == []
    np.testing.assert_array_equal(b.grad, [5.0, 5.0])


# ------------------------------------------------------------- data assigned in between


@pytest.mark.parametrize(
    "assign",
    [
        lambda p: setattr(p, "data", np.zeros(2)),
        lambda p: setattr(p, "data", p.data),
        lambda p: exec("p.data -= 0.5", {"p": p}),
        lambda p: exec("p.data *= 2", {"p": p}),
    ],
    ids=["=", "itself", "-=", "*="],
)
def test_an_older_graph_refuses_and_names_the_tensor(assign):
    p = leaf([1.0, 2.0], name="weight")
    loss = te.sum(p * p)

    assign(p)

    message = "data of tensor 'weight' was assigned after multiply had used it"
    with pytest.raises(RuntimeError, match=message):
        te.gradients(loss, [p])
    with pytest.raises(RuntimeError, match=message):
        loss.backward()
    assert p.grad is None


def test_an_assigned_constant_is_noticed_too():
    x, w = te.tensor([1.0, 2.0], name="images"), leaf([3.0, 4.0])
    loss = te.sum(w * x)

    x.data = np.zeros(2)

    with pytest.raises(RuntimeError, match="'images'"):
        loss.backward()


def test_a_nameless_assigned_tensor_is_told_by_its_shape():
    w = leaf(np.ones((2, 3)))
    loss = te.sum(w * w)

    w.data = w.data + 1

    with pytest.raises(RuntimeError, match=r"a tensor of shape \(2, 3\)"):
        loss.backward()


def test_a_graph_made_after_the_assignment_works():
    p = leaf(2.0)
    p * p  # an older graph that nobody walks
    p.data -= 1.5

    (p * p).backward()

    assert p.grad == 1.0


def test_a_graph_with_older_and_newer_uses_refuses():
    p = leaf(2.0)
    old = p * p
    p.data = 3.0
    mixed = old + p * p

    with pytest.raises(RuntimeError, match="assigned after multiply had used it"):
        mixed.backward()


def test_training_by_hand_needs_nothing_else():
    w = leaf([5.0, -3.0])
    for _ in range(200):
        te.sum(w * w).backward()
        w.data -= 0.1 * w.grad
        w.zero_grad()

    np.testing.assert_allclose(w.data, 0, atol=1e-12)


# ------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "f",
    [
        te.add,
        te.subtract,
        te.multiply,
        te.divide,
        te.maximum,
        te.matmul,
        lambda a, b: te.linear(a, b.T),
        lambda a, b: te.concatenate([a, b]),
        lambda a, b: a.at[0].set(b[1]),
        lambda a, b: te.softmax_cross_entropy(a, np.array([0, 1])) * b,
        lambda a, b: te.exp(a) + te.sum(b),
        lambda a, b: te.astype(a, np.float64) * te.astype(b, np.float16),
    ],
)
def test_a_gradient_has_its_inputs_dtype(f, create_graph, rng):
    a = leaf(rng.uniform(1, 2, (2, 2)).astype(np.float32))
    b = leaf(rng.uniform(1, 2, (2, 2)))

    ga, gb = te.gradients(te.sum(f(a, b)), [a, b], create_graph=create_graph)
    te.sum(f(a, b)).backward()

    assert (ga.dtype, gb.dtype) == (np.float32, np.float64)
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_a_given_gradient_takes_the_outputs_dtype():
    x = leaf(np.ones(2, np.float32))
    y = x * 2

    by_y, by_x = te.gradients(y, [y, x], gradient=np.ones(2))
    y.backward([1, 2])
    x.backward(np.ones(2))

    assert by_y.dtype == by_x.dtype == x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [3.0, 5.0])


def test_a_recorded_gradient_takes_the_outputs_dtype():
    x, u = leaf(np.ones(2, np.float32)), leaf(np.ones(2))
    y = x * 2

    by_y, by_x = te.gradients(y, [y, x], gradient=u, create_graph=True)

    assert by_y.dtype == by_x.dtype == np.float32


def test_a_recorded_gradient_must_have_the_shape():
    y = leaf([1.0, 2.0]) * 2

    with pytest.raises(ValueError, match=r"must have the shape \(2,\), got \(\)"):
        te.gradients(y, [y], gradient=leaf(1.0), create_graph=True)


@pytest.mark.parametrize("factor", [np.array([1j, 2.0]), 1j, np.complex64(1)])
def test_complex_numbers_are_refused(factor):
    x = leaf([1.0, 2.0], name="x")

    for call in (lambda: x * factor, lambda: np.add(factor, x), lambda: te.sum(factor)):
        with pytest.raises(TypeError, match=r"(multiply|add|sum): [abx] .* complex"):
            call()


def test_a_rule_that_gives_complex_numbers_is_refused():
    @te.op
    def turned(x):
        return 2 * x

    turned.vjp(x=lambda g, out, x: g * 1j)
    x = leaf([1.0, 2.0], name="x")

    with pytest.raises(TypeError, match=r"turned: .*'x'.* complex"):
        te.sum(turned(x)).backward()


def test_integers_pass_gradients_on_but_get_none():
    x, n = leaf([1.0, 2.0]), te.tensor([3, 4])

    te.sum(x * n).backward()

    np.testing.assert_array_equal(x.grad, [3.0, 4.0])
    assert n.grad is None


# -------------------------------------------------------------------------------- depth


def run_python(code):
    """In a process of its own: a stack that overflows kills it without a word."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_a_million_operations_record_walk_back_and_die():
    out = run_python(
        """
import gc
import tinygrad_edu as te

gc.disable()

def chain(n):
    y = x
    for _ in range(n):
        y = y + x
    return y

x = te.tensor(1.0, requires_grad=True)
y = chain(1_000_000)
y.backward()
print(y.item(), x.grad)
del y
y = chain(1_000_000)
del y  # without a backward
print("alive")
"""
    )

    assert out.split() == ["1000001.0", "1000001.0", "alive"]


def test_a_deep_graph_is_differentiated_twice_copied_and_shown():
    out = run_python(
        """
import copy, pickle
import tinygrad_edu as te

x = te.tensor(1.0, requires_grad=True)
y = x
for _ in range(50_000):
    y = y * x
(first,) = te.gradients(y, [x], create_graph=True)
(second,) = te.gradients(first, [x])
print(float(first), float(second))
copy.deepcopy(first), pickle.dumps(first), repr(first)
del y, first
print("alive")
"""
    )

    n = 50_001
    assert out.split() == [f"{n}.0", f"{n * (n - 1)}.0", "alive"]


def test_a_diamond_of_60_levels_is_quick():
    x = leaf(1.0)
    start = time.perf_counter()

    y = x
    for _ in range(60):
        y = y + y
    y.backward(retain_graph=True)
    (g,) = te.gradients(y, [x], create_graph=True)

    assert x.grad == g.item() == 2.0**60
    assert time.perf_counter() - start < 1.0


def test_a_dropped_graph_is_freed_by_counting_references_alone():
    gc.collect()
    gc.disable()
    try:
        w = leaf(np.ones((3, 3)))
        sign, logabsdet = te.slogdet(w @ w + 4 * np.eye(3))
        parts = te.concatenate([te.exp(w), w[0:2]])
        loss = te.softmax_cross_entropy(parts, np.zeros(5, int)) + logabsdet * sign
        nodes = [weakref.ref(t) for t in (sign, logabsdet, parts, loss)]
        (g,) = te.gradients(loss, [w], create_graph=True)
        (te.sum(g * g) + loss).backward(retain_graph=True)
        nodes += [weakref.ref(g), weakref.ref(loss.inputs[0])]

        del sign, logabsdet, parts, loss, g

        assert [ref() for ref in nodes] == [None] * len(nodes)
    finally:
        gc.enable()


def test_backward_frees_as_it_goes_even_when_the_output_is_kept():
    gc.collect()
    gc.disable()
    try:
        w = leaf(np.ones(3))
        middle = te.exp(w)
        inner = weakref.ref(middle)
        loss = te.sum(middle * middle)
        del middle
        assert inner() is not None

        loss.backward()

        assert inner() is None
    finally:
        gc.enable()


def test_a_failed_operation_keeps_nothing_alive():
    gc.collect()
    gc.disable()
    try:
        w = leaf(np.ones((2, 3)))
        y = te.exp(w)
        ref = weakref.ref(y)
        with pytest.raises(ValueError, match="Did you mean"):
            y @ y
        with pytest.raises(RuntimeError, match="only a scalar"):
            y.backward()

        del y

        assert ref() is None
    finally:
        gc.enable()


def test_results_under_no_grad_keep_their_inputs_not_alive():
    gc.disable()
    try:
        w = leaf(np.ones(3))
        with te.no_grad():
            middle = te.exp(w)
            ref = weakref.ref(middle)
            out = te.sum(middle)
        del middle

        assert ref() is None
        assert out.inputs == ()
    finally:
        gc.enable()


# ----------------------------------------------------------------------- kinks and ties

KINKS = [
    ("relu'(0) = 0", te.relu, [-1.0, 0.0, 2.0], [0.0, 0.0, 1.0]),
    ("of maximum, shared", lambda x: te.maximum(x, 1.0), [0.0, 1.0, 2.0], [0, 0.5, 1]),
    ("of maximum with itself", lambda x: te.maximum(x, x), [0.0, 3.0], [1.0, 1.0]),
    ("of max, two share", te.max, [3.0, 1.0, 3.0], [0.5, 0.0, 0.5]),
    ("of max, all share", te.max, [2.0, 2.0, 2.0, 2.0], [0.25] * 4),
    ("of max of one number", te.max, 5.0, 1.0),
    (
        "of max along rows",
        lambda x: te.max(x, axis=1),
        [[1.0, 1.0], [2.0, 3.0]],
        [[0.5, 0.5], [0.0, 1.0]],
    ),
    ("0²", lambda x: x**2, [0.0, -0.0], [0.0, 0.0]),
    ("0¹", lambda x: x**1, [0.0], [1.0]),
    ("0⁰", lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
    ("0⁰ of an array", lambda x: x ** np.zeros(2), [0.0, 2.0], [0.0, 0.0]),
    ("powers of 0", lambda b: te.power(0.0, b), [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
]


@pytest.mark.parametrize(
    ("f", "x", "expected"), [k[1:] for k in KINKS], ids=[k[0] for k in KINKS]
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_kinks_and_ties_have_the_gradient_promised(f, x, expected, create_graph):
    x = leaf(x)

    (g,) = te.gradients(te.sum(f(x)), [x], create_graph=create_graph)

    np.testing.assert_array_equal(getattr(g, "data", g), np.array(expected, float))


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("labels", [np.array, te.tensor], ids=["array", "Tensor"])
def test_cross_entropy_of_weights_that_do_not_add_up_to_one(labels, create_graph):
    logits, weights = leaf([[0.3, -0.2, 0.7]]), np.array([[1.0, 2.0, 0.5]])

    loss = te.softmax_cross_entropy(logits, labels(weights))
    (g,) = te.gradients(loss, [logits], create_graph=create_graph)

    p = te.softmax(logits.data)
    np.testing.assert_allclose(getattr(g, "data", g), p * 3.5 - weights, rtol=1e-14)


# ---------------------------------------------------------------------------- threads


def test_threads_that_add_to_one_leaf_lose_nothing(monkeypatch):
    def slowly(g, held_once=core.is_held_once):
        time.sleep(0.02)  # between looking for a gradient and putting one there
        return held_once(g)

    monkeypatch.setattr(core, "is_held_once", slowly)
    w = te.tensor([1.0, 2.0], requires_grad=True)
    losses = [(w * 3.0).sum() for _ in range(4)]
    threads = [threading.Thread(target=loss.backward) for loss in losses]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    np.testing.assert_array_equal(w.grad, [12.0, 12.0])


def test_a_sum_that_has_become_a_tensor_is_not_written_to():
    """A rule of one's own gives plain arrays, also where gradients are recorded."""

    @te.op
    def doubled(x):
        return 2 * x

    doubled.vjp(x=lambda g, out, x: np.full(x.shape, 2.0))
    te.OPS.pop("doubled")
    delattr(te.Tensor, "doubled")
    x = te.tensor([1.0, 2.0], requires_grad=True)

    # on the way back: two arrays, a Tensor, then arrays again
    y = doubled(x) + doubled(x)
    y = y + x * x
    y = y + doubled(x) + doubled(x)
    (g,) = te.gradients(te.sum(y), [x], create_graph=True)

    assert (g.data == [10, 12]).all()
