"""A Tensor by itself: what it is made of, reads like, refuses, and how it is copied."""

from __future__ import annotations

import _thread
import copy
import math
import operator
import pickle
import time

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine import errors
from tinygrad_edu.engine.traversal import nodes_of


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


# ------------------------------------------------------------------------------- making


def test_tensor_copies_its_data():
    data = np.array([1.0, 2.0])

    t = te.tensor(data)
    data[0] = 99.0

    np.testing.assert_array_equal(t.data, [1.0, 2.0])


def test_tensor_of_a_tensor_copies_too():
    first = te.tensor([1.0, 2.0], name="first")

    second = te.tensor(first, requires_grad=True)

    assert not np.shares_memory(first.data, second.data)
    assert second.name is None
    assert second.requires_grad
    assert not first.requires_grad


def test_tensor_of_a_recorded_tensor_would_leave_the_graph():
    y = leaf([1.0, 2.0]) * 2

    with pytest.raises(TypeError, match=r"\.detach\(\)\.numpy\(\)"):
        te.tensor(y)
    with pytest.raises(TypeError, match=r"np\.stack\(\[\.\.\.\]\) or te\.array"):
        te.tensor([y, y])


@pytest.mark.parametrize(
    "data",
    [["1", "2"], np.array(["iris"]), np.array(["a", "b"], dtype=object)],
    ids=str,
)
def test_text_is_refused_with_the_ways_to_make_numbers_of_it(data):
    with pytest.raises(TypeError, match=r"dtype .*x\.astype\(float\).*np\.unique\(x"):
        te.tensor(data)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ((3, 4), (3,), "a is (3, 4), b is (3,). Did you mean b[:, None]?"),
        ((3,), (3, 4), "a is (3,), b is (3, 4). Did you mean a[:, None]?"),
        ((3, 4), (4, 3), "a is (3, 4), b is (4, 3). Did you mean b.T?"),
        ((3, 4), (5,), "a is (3, 4), b is (5,)"),
        ((2, 3), (4, 5), "a is (2, 3), b is (4, 5)"),
    ],
)
def test_shapes_that_do_not_broadcast_are_told_with_what_was_meant(a, b, told):
    with pytest.raises(ValueError, match="add") as caught:
        leaf(np.ones(a)) + np.ones(b)

    assert str(caught.value) == f"add: the shapes do not broadcast: {told}"


@pytest.mark.parametrize(
    ("data", "dtype", "expected"),
    [
        (1.0, None, np.float64),
        ([1, 2], None, np.int64),
        ([True], None, np.bool_),
        (np.float32(1), None, np.float32),
        ([1, 2], np.float32, np.float32),
        (np.ones(2, np.float16), None, np.float16),
    ],
)
def test_tensor_has_the_dtype_that_numpy_gives(data, dtype, expected):
    assert te.tensor(data, dtype=dtype).dtype == expected


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (1j, "complex numbers are not supported"),
        (np.ones(2, np.complex64), "complex64"),
        ("text", "<U4"),
        (None, "NoneType"),
        ([object()], "list"),
        (np.array(["2024-01-19"], "datetime64[D]"), "datetime64"),
    ],
)
def test_only_real_numbers_make_a_tensor(data, told):
    with pytest.raises(TypeError, match=r"te.tensor: data must be") as error:
        te.tensor(data)

    assert told in str(error.value)


@pytest.mark.parametrize("data", [1, [1, 2], True, np.ones(2, np.uint8)])
def test_integers_and_booleans_cannot_require_gradients(data):
    with pytest.raises(
        TypeError, match=r"cannot require gradients.*3\.0 for 3"
    ) as error:
        te.tensor(data, requires_grad=True)

    assert str(np.asarray(data).dtype) in str(error.value)


def test_requires_grad_can_be_switched_on_leaves_alone():
    x = te.tensor(2.0)
    x.requires_grad = True
    y = x * x

    assert y.requires_grad
    with pytest.raises(
        RuntimeError, match="computed by multiply; requires_grad can be"
    ):
        y.requires_grad = False
    with pytest.raises(TypeError, match="int64 cannot require gradients"):
        te.tensor(1).requires_grad = True


def test_an_array_handed_to_an_operation_is_borrowed():
    """It is not copied, so it must not be written before backward."""
    x, array = leaf([1.0, 2.0]), np.array([3.0, 4.0])

    y = x * array

    assert y.inputs[1] is array


def test_the_class_is_not_the_way_to_make_one():
    with pytest.raises(TypeError, match=r"te\.tensor\("):
        te.Tensor([1.0])


def test_a_recorded_tensor_knows_where_it_comes_from():
    x = leaf([[1.0, 2.0]], name="x")

    y = te.sum(x, axis=1)

    assert y.op is te.sum
    assert y.inputs == (x,)
    assert y.kwargs == {"axis": 1, "keepdims": False}
    assert (x.op, x.inputs, dict(x.kwargs)) == (None, (), {})
    assert (x.is_leaf, y.is_leaf) == (True, False)


def test_nothing_is_recorded_of_what_requires_no_gradient():
    y = te.tensor(2.0) * 3

    assert (y.op, y.inputs, y.requires_grad, y.is_leaf) == (None, (), False, True)


# --------------------------------------------------------------------- reading like one


def test_shape_and_the_like_are_those_of_the_data():
    t = te.tensor(np.ones((2, 3), np.float32))

    assert (t.shape, t.ndim, t.size, t.dtype, len(t)) == ((2, 3), 2, 6, np.float32, 2)
    assert t.T.shape == (3, 2)


def test_numbers_come_out_of_one_element_tensors():
    t = leaf([[2.0]])

    assert (t.item(), float(t), int(t), bool(t)) == (2.0, 2.0, 2, True)
    assert f"{t:.3f}" == "2.000"
    assert [10, 20, 30][te.tensor(1)] == 20
    with pytest.raises(ValueError, match=r"item: a tensor of shape \(2,\)"):
        te.tensor([1.0, 2.0]).item()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(te.tensor([1.0, 2.0]))
    with pytest.raises(TypeError):
        [10, 20][te.tensor(1.0)]


def test_a_format_of_more_than_one_number_is_refused_by_name():
    with pytest.raises(ValueError, match=r"format '\.3f'.* of shape \(2,\)") as caught:
        f"{te.tensor([1.0, 2.0]):.3f}"

    assert "np.array2string(t.detach().numpy(), precision=3)" in str(caught.value)
    assert f"{te.tensor([1.0, 2.0])}" == "tensor([1., 2.])"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tolist", "a Tensor has no tolist; write t.detach().numpy().tolist()"),
        ("nbytes", "write t.detach().numpy().nbytes"),
        ("round", r"write np.round(t), which gives plain numbers"),
        ("real", "write t: all its numbers are real"),
        ("view", "write t.reshape(shape)"),
        ("clone", "write t.copy()"),
        ("cuda", "write t: every tensor lies in"),
    ],
)
def test_what_arrays_have_and_tensors_have_not_says_what_to_write(name, told):
    t = te.tensor([1.0, 2.0])

    with pytest.raises(AttributeError) as caught:
        getattr(t, name)

    assert told in str(caught.value)
    assert not hasattr(t, name)
    assert not hasattr(te.Tensor, name)
    assert name not in dir(t)
    assert "reshape" in dir(t)


@pytest.mark.parametrize("name", ["__array_interface__", "_data_", "no_such_thing"])
def test_other_names_that_are_not_there_are_python_s_to_refuse(name):
    with pytest.raises(AttributeError) as caught:
        getattr(te.tensor(1.0), name)

    assert str(caught.value) == f"'Tensor' object has no attribute {name!r}"


#: Of an array's names, those of its memory, which nobody looks for in a Tensor.
OF_MEMORY = """
    base byteswap ctypes getfield partition setfield setflags to_device
""".split()


def test_of_an_array_s_public_names_none_is_forgotten():
    t = te.tensor(np.ones((2, 2)))
    missing = {n for n in dir(np.ndarray) if not n.startswith("_")} - {*dir(t)}

    assert missing - errors.INSTEAD.keys() - {*OF_MEMORY} == set()
    assert [name for name in errors.INSTEAD if hasattr(t, name)] == []


INSTEAD = {
    name: told
    for name, told in errors.INSTEAD.items()
    if not any(word in told for word in (" = ", "...", "loss", "{", ", which", ": "))
}


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_told_to_be_written_runs(name):
    t = te.tensor([[1.0, 2.0], [3.0, 4.0]])
    known = {
        **{
            "t": t,
            "te": te,
            "np": np,
            "other": t,
            "p": 2,
            "x": t,
            "y": t,
            "value": 0.0,
        },
        **{
            "axis": 1,
            "axes": (1, 0),
            "shape": (2, 2),
            "indices": np.zeros((2, 1), int),
        },
        **{"mask": t > 1, "condition": t > 1},
    }

    assert eval(INSTEAD[name].format(name), known) is not None


def test_an_operation_of_ones_own_may_have_such_a_name():
    @te.op
    def cuda(x):
        return x * 1.0

    y = te.tensor(2.0).cuda()

    assert y.data == 2.0


@pytest.mark.parametrize(
    "made",
    [
        lambda x: x[0],
        lambda x: x[:1],
        lambda x: x[0] ** 2 + 1,
        lambda x: np.zeros(3)[0] + x[0],  # as z[0] += x[0] computes
        lambda x: leaf(2.0),
    ],
    ids=["entry", "one-element", "computed", "added", "leaf"],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_array_cannot_be_given_a_number_that_is_recorded(made, dtype):
    """NumPy takes the number out silently: its gradient would be 0."""
    x, z = leaf([1.0, 2.0]), np.zeros((2, 3), dtype)
    value = made(x)

    with pytest.raises(ValueError, match="setting an array element") as caught:
        z[1, 2] = value
    with pytest.raises(TypeError, match="leave the graph"):
        z[1, :1] = value  # NumPy asks for an array

    cause = caught.value.__cause__
    assert isinstance(cause, TypeError)
    assert str(cause).index("z = z.at[i].set(x)") < str(cause).index("float(x)")
    assert not z.any()


def test_a_function_that_fills_an_array_has_no_silently_wrong_gradient():
    def filled(x):
        z = np.zeros(3)
        z[0] = 2 * x[0]
        return te.sum(z * x)  # depends on x in another way, too

    with pytest.raises(ValueError, match="array element") as caught:
        te.grad(filled)(np.ones(3))

    assert "requires gradients" in str(caught.value.__cause__)


def test_numbers_that_were_asked_for_may_be_kept():
    x = leaf([1.0, 2.0])
    loss = te.sum(x * x)
    z, ones, objects = np.zeros(7), [], np.zeros(1, object)

    z[0] = float(loss)
    z[1] = loss.item()
    z[2] = loss.detach()
    z[float(x[1]) == 2.0 and 3] = math.sqrt(loss)
    z[4] = te.tensor(5.0)
    with te.no_grad():
        z[5] = te.sum(x * x)
        z[6] = leaf(7.0)
    ones.append(float(loss))
    objects[0] = loss  # which stays a tensor

    np.testing.assert_array_equal(z, [5, 5, 5, 5**0.5, 5, 5, 7])
    assert (ones, f"{loss:.1f}") == ([5.0], "5.0")
    assert objects[0] is loss


def test_a_number_can_be_asked_for_where_there_is_no_statement():
    numbers = []
    asking = map(float, [te.sum(leaf([1.0, 2.0]))])

    _thread.start_new_thread(numbers.extend, (asking,))  # with no frame of its own
    ends = time.monotonic() + 30
    while not numbers and time.monotonic() < ends:
        time.sleep(0.001)

    assert numbers == [3.0]


def test_iteration_gives_recorded_rows():
    t = leaf([[1.0, 2.0], [3.0, 4.0]])

    first, second = t
    te.sum(first * second).backward()

    np.testing.assert_array_equal(t.grad, [[3.0, 4.0], [1.0, 2.0]])
    with pytest.raises(TypeError, match="0-d"):
        list(te.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        len(te.tensor(1.0))


@pytest.mark.parametrize("n", [1, 16, 17, 40, 257, 300])
def test_many_rows_are_those_of_the_array(n, rng):
    data, weights = rng.standard_normal((2, n, 3))
    t = leaf(data)

    rows = list(t)
    pairs = zip(weights, rows, strict=True)
    loss = sum(te.sum(w * row**3) for w, row in pairs)
    (first,) = te.gradients(loss, [t], create_graph=True)
    (second,) = te.gradients(te.sum(first), [t])

    assert all(row.requires_grad and row.shape == (3,) for row in rows)
    np.testing.assert_array_equal([row.data for row in rows], list(data))
    np.testing.assert_allclose(first.data, 3 * weights * data**2)
    np.testing.assert_allclose(second, 6 * weights * data)


def test_rows_are_taken_when_they_are_due():
    t = leaf(np.ones((4096, 2)))

    rows = iter(t)
    first = next(rows)

    assert [node.shape for node in nodes_of([first])] == [(256, 2), (16, 2), (2,)]
    few = leaf(np.ones((16, 2)))
    assert all(row.inputs == (few,) for row in few)
    assert all(row.is_leaf for row in te.tensor(np.ones((40, 2))))
    assert list(leaf(np.ones((0, 2)))) == []


def test_membership_compares_the_numbers():
    assert 2.0 in te.tensor([1.0, 2.0])
    assert 5.0 not in te.tensor([1.0, 2.0])


@pytest.mark.parametrize(
    ("t", "text"),
    [
        (te.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (te.tensor(2.0), "tensor(2.)"),
        (te.tensor(np.float32(2)), "tensor(2., dtype=float32)"),
        (leaf([1.0], name="w"), "tensor([1.], name='w', requires_grad=True)"),
        (leaf([1.0]) * 2, "tensor([2.], op=multiply)"),
        (te.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    ],
)
def test_repr_shows_what_matters(t, text):
    assert repr(t) == str(t) == text


def test_repr_of_the_node_of_several_results_works():
    sign, _ = te.slogdet(leaf(np.eye(2)))

    node = sign.inputs[0]

    assert "slogdet" in repr(node)


def test_tensors_are_told_apart_by_identity():
    a, b = te.tensor([1.0, 2.0]), te.tensor([1.0, 2.0])

    assert len({a, b, a}) == 2
    assert {a: "a", b: "b"}[b] == "b"


@pytest.mark.parametrize(
    "compare",
    [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge],
)
@pytest.mark.parametrize("other", [2.0, np.array([1.0, 2.0, 4.0]), [3, 2, 1]])
def test_comparisons_give_plain_arrays(compare, other):
    data = np.array([1.0, 2.0, 3.0])

    left, right = compare(leaf(data), other), compare(np.asarray(other), leaf(data))

    assert type(left) is type(right) is np.ndarray
    np.testing.assert_array_equal(left, compare(data, np.asarray(other)), strict=True)
    np.testing.assert_array_equal(right, compare(np.asarray(other), data), strict=True)


# ---------------------------------------------------------------------------- operators

LEFT = np.array([[1.0, 2.0], [3.0, 4.0]])
OPERATORS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "matmul": operator.matmul,
}
OTHERS = {
    "array": np.array([[0.5, 2.0], [1.5, 1.0]]),
    "list": [[0.5, 2.0], [1.5, 1.0]],
    "tuple": ((0.5, 2.0), (1.5, 1.0)),
    "float": 1.5,
    "int": 2,
    "bool": True,
    "float64": np.float64(1.5),
    "float32": np.float32(1.5),
    "int64": np.int64(2),
    "0-d array": np.array(1.5),
    "integers": np.array([1, 2]),
    "Tensor": te.tensor([[0.5, 2.0], [1.5, 1.0]]),
}
BOTH = [
    pytest.param(name, f, other, id=f"{name}-{kind}")
    for name, f in OPERATORS.items()
    for kind, other in OTHERS.items()
    if name != "matmul" or np.ndim(getattr(other, "data", other)) > 0
]


@pytest.mark.parametrize(("name", "f", "other"), BOTH)
def test_operators_record_whatever_stands_on_the_other_side(name, f, other):
    plain = np.asarray(other) if np.ndim(getattr(other, "data", other)) else other
    plain = getattr(other, "data", plain) if isinstance(other, te.Tensor) else plain

    for t, left, right in (
        (f(leaf(LEFT), other), LEFT, plain),
        (f(other, leaf(LEFT)), plain, LEFT),
    ):
        assert t.op is te.OPS[name]
        np.testing.assert_array_equal(t.data, f(left, right), strict=True)
        t.backward(np.ones(t.shape))


def test_minus_and_at_signs_have_their_operations():
    t = leaf(LEFT)

    assert (-t).op is te.negative
    assert (t @ t).op is te.matmul
    assert t[0].op is te.getitem
    assert t.T.op is te.transpose


@pytest.mark.parametrize("assign", ["+=", "-=", "*=", "/=", "**=", "@="])
def test_in_place_operators_make_a_new_tensor(assign):
    t = leaf(LEFT)
    scope = {"t": t}

    exec(f"t {assign} t", scope)

    assert scope["t"] is not t
    assert scope["t"].requires_grad
    np.testing.assert_array_equal(t.data, LEFT)


@pytest.mark.parametrize("other", ["text", None, object(), 1j, {}, ["a"]])
@pytest.mark.parametrize("f", [operator.add, operator.mul, operator.matmul])
def test_operators_refuse_what_is_no_number(f, other):
    with pytest.raises(TypeError, match="must be a Tensor, an array of real numbers"):
        f(leaf([1.0]), other)


# ------------------------------------------------------------------- dtypes as in NumPy

DTYPES = {
    "float64": np.ones(2),
    "float32": np.ones(2, np.float32),
    "float16": np.ones(2, np.float16),
    "int64": np.ones(2, np.int64),
    "uint8": np.ones(2, np.uint8),
    "float": 1.0,
    "int": 2,
    "np.float64": np.float64(1),
    "np.float32": np.float32(1),
    "np.int64": np.int64(1),
}


@pytest.mark.parametrize("left", [n for n in DTYPES if n[0] != "n"][:5])
@pytest.mark.parametrize("right", DTYPES)
@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "divide", "power", "maximum"]
)
def test_dtypes_are_promoted_as_numpy_does(name, left, right):
    a, b = DTYPES[left], DTYPES[right]
    op = te.OPS[name]

    ours, ours_turned = op(te.tensor(a), b), op(b, te.tensor(a))

    assert ours.dtype == op.numpy(a, b).dtype
    assert ours_turned.dtype == op.numpy(b, a).dtype
    if isinstance(b, np.ndarray):
        assert op(te.tensor(a), te.tensor(b)).dtype == op.numpy(a, b).dtype


@pytest.mark.parametrize(
    "f",
    [
        te.exp,
        te.sigmoid,
        te.softplus,
        te.relu,
        te.softmax,
        te.log_softmax,
        te.logsumexp,
    ],
    ids=lambda op: op.name,
)
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8]
)
def test_functions_of_one_array_keep_floats_and_turn_integers_into_some(f, dtype):
    x = np.array([1, 2], dtype)

    y = f(te.tensor(x))

    if np.dtype(dtype).kind == "f" or f is te.relu:
        assert y.dtype == dtype
    assert f is te.relu or y.dtype.kind == "f"
    np.testing.assert_allclose(y.data, f(x.astype(float)), rtol=2e-3)


# ------------------------------------------------------------------------ data and grad


def test_assigned_data_is_copied_in_the_tensors_dtype():
    t = leaf(np.zeros(2, np.float32))
    new = np.array([1.0, 2.0])

    t.data = new
    new[0] = 99.0

    assert t.dtype == np.float32
    np.testing.assert_array_equal(t.data, [1.0, 2.0])


def test_assigned_data_of_another_tensor_is_not_shared():
    a, b = leaf([1.0, 2.0]), leaf([0.0, 0.0])

    b.data = a.data
    b.data -= 1

    np.testing.assert_array_equal(a.data, [1.0, 2.0])


def test_data_changes_in_place():
    t = leaf([1.0, 2.0])
    before = t.data

    t.data -= [0.5, 0.5]

    assert t.data is before
    np.testing.assert_array_equal(before, [0.5, 1.5])


def test_a_single_numbers_data_stays_an_array():
    t = leaf(2.0)

    t.data -= 0.5
    t.data = t.data * 2

    assert type(t.data) is np.ndarray
    assert t.item() == 3.0


@pytest.mark.parametrize("attribute", ["data", "grad"])
def test_assigned_arrays_must_fit(attribute):
    t = leaf(np.ones((2, 3)), name="w")

    message = rf"tensor 'w' has shape \(2, 3\), the new {attribute} has \(3, 2\)"
    with pytest.raises(ValueError, match=message):
        setattr(t, attribute, np.ones((3, 2)))
    with pytest.raises(TypeError, match="real numbers"):
        setattr(t, attribute, np.ones((2, 3), complex))
    with pytest.raises(TypeError, match=r"detach\(\)"):
        setattr(t, attribute, t * 2)


def test_integers_take_no_fractions():
    with pytest.raises(TypeError, match="int64"):
        te.tensor([1, 2]).data = [0.5, 0.5]


def test_data_of_a_computed_tensor_cannot_be_set():
    y = leaf([1.0, 2.0]) * 2

    with pytest.raises(RuntimeError, match=r"computed by multiply; data can be set on"):
        y.data = np.zeros(2)


def test_assigned_grad_is_copied():
    t = leaf([1.0, 2.0])
    new = np.ones(2)

    t.grad = new
    new[0] = 99.0

    np.testing.assert_array_equal(t.grad, [1.0, 1.0])
    t.grad *= 0.5
    np.testing.assert_array_equal(t.grad, [0.5, 0.5])
    t.grad = None
    assert t.grad is None


def test_unknown_attributes_are_refused():
    with pytest.raises(AttributeError):
        leaf(1.0).requires_gradient = True


# ------------------------------------------------------------- item assignment and .at


@pytest.mark.parametrize(
    "statement", ["t[0] = 5.0", "t[0] += 1", "t[:] = 0", "t[t > 1] = 0"]
)
def test_item_assignment_names_the_way_that_works(statement):
    t = leaf([1.0, 2.0])

    with pytest.raises(TypeError, match=r"t\.at\[i\]\.set\(v\), or \.add\(v\)"):
        exec(statement, {"t": t})

    np.testing.assert_array_equal(t.data, [1.0, 2.0])


INDICES = [
    0,
    -1,
    slice(1, None),
    (slice(None), 1),
    (..., None, 0),
    [0, 1],
    np.array([1, 0]),
    (np.array([0, 1]), np.array([1, 1])),
    np.array([[True, False, True], [False, False, True]]),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_at_set_returns_a_copy_with_the_value_put_in(index, rng):
    x = leaf(rng.standard_normal((2, 3)))
    value = leaf(rng.standard_normal(x.data[index].shape))

    y = x.at[index].set(value)
    upstream = rng.standard_normal(y.shape)
    y.backward(upstream)

    expected = x.data.copy()
    expected[index] = value.data
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_array_equal(value.grad, upstream[index])
    upstream[index] = 0
    np.testing.assert_array_equal(x.grad, upstream)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_at_add_returns_a_copy_with_the_value_added(index, rng):
    x = leaf(rng.standard_normal((2, 3)))
    value = leaf(rng.standard_normal(x.data[index].shape))

    y = x.at[index].add(value)
    upstream = rng.standard_normal(y.shape)
    y.backward(upstream)

    expected = x.data.copy()
    expected[index] += value.data
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_array_equal(value.grad, upstream[index])
    np.testing.assert_array_equal(x.grad, upstream)


def test_at_add_adds_as_often_as_an_entry_is_listed():
    x, value = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0, 30.0])

    y = x.at[[0, 0, 2]].add(value)
    y.backward([1.0, 2.0, 3.0])

    np.testing.assert_array_equal(y.data, [31.0, 2.0, 33.0])
    np.testing.assert_array_equal(x.grad, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(value.grad, [1.0, 1.0, 3.0])


def test_at_set_keeps_the_last_where_an_entry_is_listed_often():
    x, value = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0, 30.0])

    y = x.at[[0, 0, 2]].set(value)
    y.backward([1.0, 2.0, 3.0])

    np.testing.assert_array_equal(y.data, [20.0, 2.0, 30.0])
    np.testing.assert_array_equal(x.grad, [0.0, 2.0, 0.0])
    np.testing.assert_array_equal(value.grad, [0.0, 1.0, 3.0])


@pytest.mark.parametrize("value", [5.0, 5, np.float32(5), te.tensor(np.float32(5))])
def test_at_takes_numbers_and_broadcasts(value):
    x = leaf(np.ones((2, 3), np.float32))

    put, added = x.at[0].set(value), x.at[:, 1].add(value)

    np.testing.assert_array_equal(put.data, [[5, 5, 5], [1, 1, 1]])
    np.testing.assert_array_equal(added.data, [[1, 6, 1], [1, 6, 1]])
    assert put.dtype == added.dtype == np.float32
    added.backward(np.ones((2, 3)))
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))


def test_a_broadcast_value_gets_the_sum():
    x, value = te.tensor(np.zeros((2, 3))), leaf(2.0)

    te.sum(x.at[0].set(value) + x.at[:, 1].add(value)).backward()

    assert value.grad == 3.0 + 2.0


def test_an_index_may_be_a_tensor():
    x = leaf([1.0, 2.0, 3.0])

    te.sum(x[te.tensor([0, 0])]).backward()
    te.sum(x[x > 2]).backward()

    np.testing.assert_array_equal(x.grad, [2.0, 0.0, 1.0])


def test_an_index_array_is_not_borrowed():
    x, index = leaf([1.0, 2.0, 3.0]), np.array([0, 1])
    picked = te.sum(x[index])

    index[:] = 2
    picked.backward()

    np.testing.assert_array_equal(x.grad, [1.0, 1.0, 0.0])


def test_an_index_outside_is_an_index_error_with_shapes():
    with pytest.raises(IndexError, match=r"getitem: .*size 3 \(x is \(3,\)\)"):
        te.tensor([1.0, 2.0, 3.0])[3]


# ---------------------------------------------------------------------------- copying

COPIES = {
    "pickle": lambda t: pickle.loads(pickle.dumps(t)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
copies = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@copies
def test_a_copied_tensor_keeps_data_flag_and_name(copied):
    t = leaf(np.array([1.0, 2.0], np.float32), name="weight")
    te.sum(t * t).backward()

    twin = copied(t)

    assert (twin.name, twin.requires_grad, twin.dtype) == ("weight", True, np.float32)
    np.testing.assert_array_equal(twin.data, t.data)
    assert not np.shares_memory(twin.data, t.data)
    assert twin.grad is None


@copies
def test_a_copied_tensor_leaves_its_graph_behind(copied):
    y = te.exp(leaf([1.0, 2.0]))

    twin = copied(y)

    assert twin.is_leaf
    assert twin.inputs == ()
    assert twin.requires_grad
    np.testing.assert_array_equal(twin.data, y.data)


@copies
@pytest.mark.parametrize("data", [[1, 2], True, 2.0, np.float16(1), np.ones((2, 0))])
def test_tensors_that_require_nothing_are_copied_as_well(copied, data):
    twin = copied(te.tensor(data))

    np.testing.assert_array_equal(twin.data, np.asarray(data), strict=True)
    assert not twin.requires_grad


def test_a_deep_copy_shares_what_was_shared():
    t = leaf([1.0])

    a, b = copy.deepcopy([t, t])

    assert a is b is not t


@copies
def test_an_op_is_copied_by_name(copied):
    assert copied(te.exp) is te.exp
    assert copied([te.sum, te.matmul]) == [te.sum, te.matmul]


def test_a_pickled_op_is_small():
    assert len(pickle.dumps(te.exp)) < 200


# -------------------------------------------------------------------- leaving the graph


@pytest.mark.parametrize(
    "leave",
    [
        np.asarray,
        np.array,
        lambda t: np.array([t, t]),
        lambda t: t.numpy(),
        lambda t: np.zeros(2).__iadd__(np.asarray(t)),
    ],
)
def test_arrays_of_recorded_tensors_say_detach(leave):
    t = leaf([1.0, 2.0], name="w")

    with pytest.raises(TypeError, match=r"tensor 'w' .*\.detach\(\)\.numpy\(\)"):
        leave(t)
    with pytest.raises(TypeError, match=r"\.detach\(\)\.numpy\(\)"):
        leave(t * 2)


def test_detached_numbers_come_out_as_a_copy():
    t = leaf([1.0, 2.0])

    plain = t.detach().numpy()
    plain[0] = 99.0

    assert type(plain) is np.ndarray
    np.testing.assert_array_equal(t.data, [1.0, 2.0])


def test_what_requires_no_gradient_converts_freely():
    t = te.tensor([1.0, 2.0])

    np.testing.assert_array_equal(np.asarray(t), [1.0, 2.0])
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.array([t, t]), [[1.0, 2.0], [1.0, 2.0]])
    assert type((te.tensor(1.0) * 2).numpy()) is np.ndarray


def test_a_step_does_not_reach_what_was_detached_from_a_leaf():
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = te.sum(w.detach() * x)
    w.data -= 1.0

    y.backward()

    np.testing.assert_array_equal(x.grad, [1.0, 2.0])


def test_detaching_does_not_change_the_tensor():
    t = leaf([1.0, 2.0])

    d = (t * 2).detach()

    assert (d.requires_grad, d.is_leaf, t.requires_grad) == (False, True, True)
