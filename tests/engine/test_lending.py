"""Writing into an array before backward: an error that names it."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.lending import WHOLE, print_of


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


WRITES = {
    "an entry": lambda a: a.__setitem__(0, 100.0),
    "all entries": lambda a: a.__setitem__(..., 100.0),
    "fill": lambda a: a.fill(100.0),
    "copyto": lambda a: np.copyto(a, 100.0),
    "out=": lambda a: np.multiply(a, 2.0, out=a),
    "clip": lambda a: np.clip(a, 0.0, 0.5, out=a),
    "a view": lambda a: a[:1].__imul__(2),
    "the transpose": lambda a: a.T.__imul__(2),
    "sort": lambda a: a[::-1].sort(),
    "a swap": lambda a: a.__setitem__([0, 1], a[[1, 0]]),
    "put": lambda a: np.put(a, [1], 7.0),
    "the last entry": lambda a: a.__setitem__(-1, 100.0),
}


@pytest.mark.parametrize("write", WRITES)
def test_writing_into_a_leaf_after_it_was_used(write):
    w, x = leaf([1.0, 2.0], name="w"), leaf([3.0, 4.0])
    y = te.sum(w * x)

    WRITES[write](w.data)

    with pytest.raises(RuntimeError, match="multiply: the data of tensor 'w', its a"):
        y.backward()
    assert x.grad is None


@pytest.mark.parametrize("write", WRITES)
def test_writing_through_a_view_that_was_taken_before(write):
    w, x = leaf([1.0, 2.0], name="w"), leaf([3.0, 4.0])
    held = w.data
    y = te.sum(x * w)

    WRITES[write](held)

    with pytest.raises(RuntimeError, match=r"tensor 'w', its b, was written into"):
        y.backward()


@pytest.mark.parametrize("write", WRITES)
def test_writing_into_an_array_that_was_handed_over(write):
    x, a = leaf([3.0, 4.0]), np.array([1.0, 2.0])
    y = te.sum(x * a)

    WRITES[write](a)

    with pytest.raises(RuntimeError, match=r"array of shape \(2,\) given for b"):
        y.backward()


def test_the_message_says_what_to_do():
    x, a = leaf([3.0, 4.0]), np.array([1.0, 2.0])
    y = te.sum(x * a)
    a[0] = 9

    with pytest.raises(RuntimeError) as e:
        y.backward()

    assert str(e.value) == (
        "multiply: the array of shape (2,) given for b was written into after it had "
        "been used, so a gradient would be wrong. Call backward before writing, or "
        "hand over a copy: array.copy()"
    )
    assert not hasattr(e.value, "__notes__")


def test_users_arrays_are_never_locked():
    x, a = leaf([3.0, 4.0]), np.array([1.0, 2.0])
    y = te.sum(x * a)
    y.backward()

    a[0] = 9

    assert a.tolist() == [9, 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x * 2,
        lambda x: x.reshape(2, 1),
        lambda x: x.T,
        lambda x: x[:1],
        lambda x: te.softmax(x),
        lambda x: te.linear(x, np.ones((2, 2)), None),
        lambda x: x.detach(),
    ],
)
def test_results_are_handed_out_for_reading(make):
    x = leaf([1.0, 2.0])
    y = make(x)

    with pytest.raises(ValueError, match="read-only"):
        y.data[...] = 50
    assert x.data.tolist() == [1.0, 2.0]


def test_a_result_without_record_that_lies_in_a_leaf_is_for_reading():
    x = leaf([1.0, 2.0])
    with te.no_grad():
        y = x.reshape(2, 1)

    with pytest.raises(ValueError, match="read-only"):
        y.data[0] = 50
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(y)[0] = 50


def test_a_view_of_a_constant_is_watched_too():
    c, w = te.tensor([1.0, 2.0]), leaf([3.0, 4.0])
    y = te.sum(w * c.reshape(2, 1).reshape(2))

    c.data[0] = 9

    with pytest.raises(RuntimeError, match="was written into"):
        y.backward()


def test_a_constant_read_by_numpy_is_lent():
    c, w = te.tensor([1.0, 2.0], name="c"), leaf([3.0, 4.0])
    y = te.sum(w * c)

    np.asarray(c)[0] = 9

    with pytest.raises(RuntimeError, match="tensor 'c', its b"):
        y.backward()


def test_a_reused_buffer():
    W, buffer, total = leaf(np.ones((3, 2))), np.zeros(3), 0.0
    for i in range(3):
        buffer[:] = i + 1
        total = total + np.sum(buffer @ W)

    with pytest.raises(RuntimeError, match="matmul: the array"):
        total.backward()


def test_copies_of_a_reused_buffer():
    W, buffer, total = leaf(np.ones((3, 2))), np.zeros(3), 0.0
    for i in range(3):
        buffer[:] = i + 1
        total = total + np.sum(buffer.copy() @ W)
    total.backward()

    assert W.grad.tolist() == [[6.0, 6.0]] * 3


@pytest.mark.parametrize("walk", ["backward", "gradients", "other way", "second order"])
def test_every_walk_looks(walk):
    w, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = te.sum(w.reshape(2) * v)

    w.data[0] = 100.0

    walks = {
        "backward": lambda: y.backward(retain_graph=True),
        "gradients": lambda: te.gradients(y, [w]),
        "other way": lambda: te.gradients(y, [v]),
        "second order": lambda: te.gradients(y, [v], create_graph=True),
    }
    with pytest.raises(RuntimeError, match="was written into"):
        walks[walk]()


def test_a_second_walk_looks_again():
    w, a = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    y = te.sum(w * a)
    y.backward(retain_graph=True)

    a[0] = 9

    with pytest.raises(RuntimeError, match="was written into"):
        y.backward()


def test_only_reading_changes_nothing():
    w, a = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    y = te.sum(w * w * a)
    read = w.data, w.detach().numpy(), np.asarray(w.detach()), w.data[:1], a.sum()
    assert len(read) == 5

    y.backward()

    assert w.grad.tolist() == [6.0, 16.0]


def test_written_before_it_is_used_is_all_right():
    w = leaf([1.0, 2.0])
    held = w.data
    for value in (3.0, 4.0):
        held[0] = value
        w.zero_grad()
        te.sum(w * w).backward()

        assert w.grad.tolist() == [2 * value, 4.0]


def test_a_loop_of_gradient_descent_by_hand():
    w = leaf([1.0, 2.0])
    for _ in range(3):
        w.zero_grad()
        te.sum(w * w).backward()
        w.data -= 0.1 * w.grad

    np.testing.assert_allclose(w.data, [0.512, 1.024])


def test_assigned_after_use_is_told_as_assigned():
    w = leaf([1.0, 2.0], name="w")
    y = te.sum(w * w)
    w.data -= 1

    with pytest.raises(RuntimeError, match="was assigned after multiply had used it"):
        y.backward()


def test_a_new_array_is_not_lent():
    w = leaf([1.0, 2.0])
    held = w.data
    w.data = [3.0, 4.0]
    y = te.sum(w * w)
    held[0] = 9

    y.backward()

    assert w.grad.tolist() == [6.0, 8.0]


def test_a_leaf_that_nobody_asked_for_leaves_no_print():
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])

    y = w * x
    assert y._prints is None

    assert w.data is not None
    assert (w * x)._prints is not None


@pytest.mark.parametrize("op", [*te.OPS.values()], ids=lambda op: op.name)
def test_every_operation_looks_at_its_arrays(op):
    """One is a leaf, so that it records; another is written into before backward."""
    for case in op.cases:
        args = case.sample(0)
        floats = [
            i for i, x in enumerate(args) if x is not None and x.dtype.kind == "f"
        ]
        floats = [
            i for i in floats if op.argument(i) not in op.constant and args[i].size
        ]
        if len(floats) < 2:
            continue
        mine, theirs = floats[:2]
        args[mine] = leaf(args[mine])
        if op.variadic:
            arrays, kwargs = list(args), dict(case.kwargs)
            try:
                y = op.call(arrays, **kwargs)
            except (TypeError, ValueError):
                y = op.call(*arrays, **kwargs)
        else:
            y = op.call(*args, **case.kwargs)
        y = y[0] if op.results else y

        args[theirs][...] += 1

        with pytest.raises(RuntimeError, match="was written into"):
            te.sum(y).backward()


# ---------------------------------------------------------------------- a user's rules


def doubling(rule):
    @te.op(elementwise=True)
    def doubled_by_a_user(x):
        return 2 * x

    doubled_by_a_user.vjp(x=rule)
    return doubled_by_a_user


def in_place(g, out, x):
    g *= 2
    return g


def by_out(g, out, x):
    return np.multiply(g, 2, out=g)


@pytest.mark.parametrize("rule", [in_place, by_out])
def test_a_rule_that_writes_into_its_gradient_is_stopped_and_named(rule):
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])

    with pytest.raises(ValueError, match="read-only") as e:
        te.sum(doubling(rule)(x) + y).backward()

    assert "in a rule of doubled_by_a_user, on the way back" in e.value.__notes__[0]
    assert y.grad is None


def test_a_rule_may_hand_its_gradient_on():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])

    te.sum(doubling(lambda g, out, x: g)(x) + y).backward()
    x.grad *= 3

    assert x.grad.tolist() == [3.0, 3.0]
    assert y.grad.tolist() == [1.0, 1.0]


# ------------------------------------------------------------------------------ prints


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (1,), (7, 5), (WHOLE // 8,), (300, 500)])
def test_equal_arrays_have_the_same_print(shape, order, rng):
    a = np.asarray(rng.standard_normal(shape), order=order)

    assert print_of(a) == print_of(a.copy(order="K"))


@pytest.mark.parametrize("shape", [(1,), (7, 5), (WHOLE // 8,)])
def test_up_to_64_kb_every_entry_counts(shape, rng):
    a = rng.standard_normal(shape)
    before = print_of(a)
    for i in range(0, a.size, max(1, a.size // 50)):
        a.flat[i] += 1

        assert print_of(a) != before
        a.flat[i] -= 1
        a.flat[i] = np.float64(a.flat[i])
        before = print_of(a)


@pytest.mark.parametrize("layout", ["C", "F", "every other", "transposed, strided"])
def test_of_a_large_array_some_thousand_entries_and_the_last_count(layout, rng):
    a = rng.standard_normal((1000, 600))
    if layout == "F":
        a = np.asfortranarray(a)
    elif layout == "every other":
        a = a[::2, ::2]
    elif layout == "transposed, strided":
        a = a.T[::2]
    before = print_of(a)

    assert 1000 * 8 < len(before) < 10_000 * 8
    for change in (lambda: a.fill(0), lambda: a.__imul__(2), lambda: a[::-1].sort(0)):
        kept = a.copy()
        change()
        assert print_of(a) != before
        a[...] = kept
    a[-1, -1] += 1
    assert print_of(a) != before


def test_numbers_of_numpy_need_none():
    assert print_of(np.float64(3)) == b""
