"""Indexing, choosing, sorting: conventions, and what may not reach a gradient."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.scattered import add_at


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


@pytest.fixture
def x(rng):
    return leaf(rng.standard_normal((3, 4)))


# ----------------------------------------------------------------- all kinds of indices

INDICES = {
    "int": 1,
    "negative": -1,
    "numpy int": np.int64(2),
    "slice": slice(None, None, -2),
    "ellipsis": (..., 1),
    "new axis": (None, 1, ..., None),
    "list": [0, 2, 2, 0],
    "nested list": [[0, 1], [2, 2]],
    "array": np.array([2, 2, 1]),
    "0-d array": np.array(1),
    "tuple within": ((0, 0, 1),),
    "tuples within": ((0, 0, 2), (1, 1, 3)),
    "range": (slice(None), range(3)),
    "grid": np.ix_([0, 2, 2], [1, 1]),
    "array and slice": (np.array([1, 1]), slice(1, 3)),
    "slice and array": (slice(1, 3), np.array([0, 0, 3])),
    "arrays apart": (np.array([0, 0]), None, np.array([1, 1])),
    "mask": np.arange(12).reshape(3, 4) % 3 == 0,
    "mask of rows": np.array([True, False, True]),
    "mask and array": (np.array([True, False, True]), np.array([3, 3])),
    "one of a mask, array": (np.array([False, True, False]), np.array([3, 3, 0])),
    "two masks": (np.array([True, False, True]), np.array([0, 1, 1, 0], bool)),
    "list of bool": [True, False, True],
    "True": True,
    "no rows": [],
    "empty slice": slice(0, 0),
}
every_index = pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)


def picked(index):
    """The flat places that an index picks, in the shape that it gives."""
    return np.arange(12).reshape(3, 4)[index]


@every_index
def test_a_gradient_is_added_up_at_every_kind_of_index(index, x, rng):
    y = x[index]
    g = rng.standard_normal(y.shape)

    (d,) = te.gradients(y, [x], gradient=g)

    expected = np.zeros(12)
    for place, value in np.broadcast(picked(index), g):
        expected[place] += value
    np.testing.assert_array_equal(y.data, x.data[index])
    np.testing.assert_allclose(d.ravel(), expected, rtol=1e-14)


@every_index
def test_at_sets_at_every_kind_of_index(index, x, rng):
    value = leaf(rng.standard_normal(picked(index).shape))

    y = x.at[index].set(value)

    expected = x.data.copy()
    expected[index] = value.data
    np.testing.assert_array_equal(y.data, expected)
    g = rng.standard_normal((3, 4))
    of_x, of_value = te.gradients(y, [x, value], gradient=g)
    kept = np.ones((3, 4))
    kept[index] = 0
    np.testing.assert_array_equal(of_x, g * kept)
    last = {place: i for i, place in enumerate(picked(index).ravel().tolist())}
    for i, place in enumerate(picked(index).ravel().tolist()):
        assert of_value.flat[i] == (g.flat[place] if last[place] == i else 0.0)


@every_index
def test_at_adds_at_every_kind_of_index(index, x, rng):
    value = leaf(rng.standard_normal(picked(index).shape))

    y = x.at[index].add(value)

    expected = x.data.copy()
    np.add.at(expected, index, value.data)
    np.testing.assert_allclose(y.data, expected, rtol=1e-14)
    g = rng.standard_normal((3, 4))
    of_x, of_value = te.gradients(y, [x, value], gradient=g)
    np.testing.assert_array_equal(of_x, g)
    np.testing.assert_array_equal(of_value, g[index])


@pytest.mark.parametrize("index", [[0, 1], [[0, 1], [1, 2]], np.array([0, 1])], ids=str)
def test_changing_an_index_afterwards_changes_no_gradient(index, x):
    y = x[index].sum()
    (expected,) = te.gradients(y, [x])

    if isinstance(index[0], list):
        index[0][0] = 2
    index[1] = 2 if np.ndim(index[1]) == 0 else [0, 0]

    (actual,) = te.gradients(y, [x])
    np.testing.assert_array_equal(actual, expected)


# --------------------------------------------------------------------------------- take

CALLS = {
    "np.take": (lambda x: np.take(x, [0, 5, 5]), te.take),
    "np.take, axis": (lambda x: np.take(x, [[0], [-1]], 1), te.take),
    "np.take by name": (lambda x: np.take(a=x, indices=2, axis=0), te.take),
    "np.take, default": (lambda x: np.take(x, [1], mode="raise"), te.take),
    "np.take_along_axis": (
        lambda x: np.take_along_axis(x, np.array([[0, 0, 3, 1]]), axis=0 - 1),
        te.take_along_axis,
    ),
    "np.where": (lambda x: np.where(np.ones((3, 4), bool), x, 0.0), te.where),
    "np.sort": (lambda x: np.sort(x, 0), te.sort),
    "np.sort by name": (lambda x: np.sort(a=x, axis=None), te.sort),
    "x.take([1, 1], axis=1)": (lambda x: x.take([1, 1], axis=1), te.take),
}


@pytest.mark.parametrize(("f", "op"), CALLS.values(), ids=CALLS)
def test_numpys_names_and_methods_record(f, op, x):
    y = f(x)

    assert y.op is op
    np.testing.assert_array_equal(y.data, f(x.data), strict=True)
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (3, 4)


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: np.where(x > 0, x), "where: either both or neither"),
    ],
)
def test_what_has_no_meaning_here_is_refused_by_name(f, told, x):
    with pytest.raises(TypeError, match=told):
        f(x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.take([12]),
        lambda x: x.take([-5], axis=1),
        lambda x: x[3],
        lambda x: x.at[3].set(0.0),
        lambda x: np.take_along_axis(x, np.array([[7]]), 1),
        lambda x: np.take_along_axis(x[0], np.array([True] * 4), 0),
    ],
)
def test_an_index_outside_or_of_no_numbers_is_an_error(f, x):
    with pytest.raises(IndexError):
        f(x)


def test_indices_may_be_tensors_without_gradients(x):
    places = te.tensor([0, 2])

    y = te.take(x, places, axis=0)
    (d,) = te.gradients((y * y).sum(), [x], create_graph=True)

    (second,) = te.gradients(d.sum(), [x])
    np.testing.assert_array_equal(second, np.repeat([[2.0], [0.0], [2.0]], 4, axis=1))


# -------------------------------------------------------------------------------- where


def test_a_nan_in_the_branch_not_taken_reaches_the_gradient():
    x = leaf([-1.0, 4.0])
    with np.errstate(invalid="ignore"):
        y = te.where(x < 0, x, te.sqrt(x))

        (d,) = te.gradients(y.sum(), [x])

    np.testing.assert_array_equal(d, [np.nan, 0.25])


def test_an_infinite_gradient_stays_in_its_own_branch():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])

    y = te.where([True, False], a, b)
    of_a, of_b = te.gradients(y, [a, b], gradient=[np.inf, np.nan])

    np.testing.assert_array_equal(of_a, [np.inf, 0.0])
    np.testing.assert_array_equal(of_b, [0.0, np.nan])


def test_where_with_a_condition_alone_finds_places():
    x = leaf([[0.0, 1.0], [2.0, 0.0]])

    rows, columns = np.where(x)

    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [1, 0]


def test_a_condition_has_no_derivative():
    c = leaf([0.0, 1.0])

    y = te.where(c, 1.0, c)

    with pytest.raises(TypeError, match="where: condition has no derivative"):
        te.gradients(y.sum(), [c])


def test_where_keeps_float32():
    x = leaf(np.ones(3, np.float32))

    y = te.where([True, False, True], x, 0.5)

    assert y.dtype == np.float32
    assert te.gradients(y.sum(), [x])[0].dtype == np.float32


# ---------------------------------------------------------------------------- piecewise


def test_piecewise_is_right_where_where_gives_nan():
    x = leaf([-1.0, 0.0, 4.0])

    y = te.piecewise(x, [x < 0, x > 0], [lambda x: x, te.sqrt])
    (d,) = te.gradients(y.sum(), [x], create_graph=True)
    (second,) = te.gradients(d.sum(), [x])

    np.testing.assert_array_equal(y.data, [-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(d.data, [1.0, 0.0, 0.25])
    np.testing.assert_allclose(second, [0.0, 0.0, -1 / 32])


def test_the_example_of_the_guide_has_derivative_one():
    x = leaf([-1.0])

    y = te.piecewise(x, [x < 0], [lambda x: x, te.sqrt])

    np.testing.assert_array_equal(te.gradients(y.sum(), [x])[0], [1.0])


def test_the_last_condition_that_holds_counts():
    """And nobody computes the square root of -1 for the first."""
    x = leaf([-1.0, 4.0])
    f = [np.sqrt, lambda x: 3 * x]

    y = np.piecewise(x, [x < 9, x < 0], f)

    np.testing.assert_array_equal(y.data, [-3.0, 2.0])
    np.testing.assert_array_equal(te.gradients(y.sum(), [x])[0], [3.0, 0.25])


PIECES = {
    "scalars": lambda x: ([x < 0, x >= 0], [-1, 1]),
    "default": lambda x: ([x > 1], [lambda x: x * 2, lambda x: x / 2]),
    "default scalar": lambda x: ([x > 1], [lambda x: x * 2, 7.0]),
    "a bare condition": lambda x: (x > 0, [lambda x: x * 2, 5]),
    "a list of bools": lambda x: ([True, False, True, False], [lambda x: x * 2, 5]),
    "two lists of bools": lambda x: (
        [[True, False, True, False], [False, True, True, False]],
        [2.0, lambda x: x],
    ),
    "one array of two": lambda x: (np.array([x < 0, x > 1]), [0.5, lambda x: x, 3.0]),
    "nothing holds": lambda x: ([x > 99], [lambda x: 1 / 0]),
}


@pytest.mark.parametrize("f", PIECES.values(), ids=PIECES)
def test_piecewise_gives_what_numpy_gives(f):
    x = leaf([-2.0, 0.5, 1.5, 3.0])

    conditions, functions = f(x.data)

    right = np.piecewise(x.data, conditions, functions)
    np.testing.assert_array_equal(te.piecewise(x.data, conditions, functions), right)
    y = np.piecewise(x, conditions, functions)
    np.testing.assert_array_equal(getattr(y, "data", y), right)


def test_piecewise_takes_numbers_and_further_arguments():
    x = leaf(2.0)

    y = te.piecewise(x, [x > 1], [lambda x, a, b: a * x**b], 3.0, b=2)

    assert y.shape == ()
    assert float(y.data) == 12.0
    assert float(te.gradients(y, [x])[0]) == 12.0


def test_piecewise_records_what_its_functions_use():
    w = leaf(3.0)

    y = te.piecewise(np.array([1.0, -2.0]), [[True, False]], [lambda x: w * x, 0.0])

    assert float(te.gradients(y.sum(), [w])[0]) == 1.0


def test_piecewise_keeps_float32():
    x = leaf(np.array([1.0, -2.0], np.float32))

    y = te.piecewise(x, [x > 0], [lambda x: x * np.float64(2), 0.25])

    assert y.dtype == np.float32
    assert te.gradients(y.sum(), [x])[0].dtype == np.float32


@pytest.mark.parametrize(
    ("conditions", "functions", "told"),
    [
        ([[True, False]], [1, 2, 3], "1 conditions take 1 functions, or 2 with a def"),
        ([[True, False], [True, True]], [1], "2 conditions take 2 functions"),
        ([[True, False, True]], [1], r"a condition has shape \(3,\), but x \(2,\)"),
    ],
)
def test_piecewise_says_what_does_not_fit(conditions, functions, told):
    with pytest.raises(ValueError, match=f"piecewise: {told}"):
        te.piecewise(leaf([1.0, 2.0]), conditions, functions)


# ------------------------------------------------------------------------------ sorting


def test_equal_numbers_keep_their_order_when_sorted():
    x = leaf([2.0, 1.0, 2.0, 1.0])

    (d,) = te.gradients(x.sort(), [x], gradient=[10.0, 20.0, 30.0, 40.0])

    np.testing.assert_array_equal(d, [30.0, 10.0, 40.0, 20.0])


def test_sort_as_a_method_leaves_the_tensor_as_it_is():
    x = leaf([2.0, 1.0])

    y = x.sort()

    assert x.data.tolist() == [2.0, 1.0]
    assert y.data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: te.argsort(x),
        lambda x: te.argmax(x, 0),
        lambda x: te.argmin(x, axis=1, keepdims=True),
        lambda x: x.argmax(),
        lambda x: x.argsort(axis=0),
        lambda x: x.argsort(None, kind="stable"),
        lambda x: x.argmin(-1),
        lambda x: np.argsort(x, axis=None),
        lambda x: np.count_nonzero(x),
        lambda x: np.argwhere(x),
    ],
)
def test_places_are_plain_numbers(f, x):
    actual = f(x)

    right = f(x.data)
    assert type(actual) is type(right)
    np.testing.assert_array_equal(actual, right)


def test_sorting_by_places_is_sorting(x):
    order = te.argsort(x, axis=1)

    y = te.take_along_axis(x, order, axis=1)

    np.testing.assert_array_equal(y.data, te.sort(x, axis=1).data)


# ------------------------------------------------------------------------------ one-hot


@pytest.mark.parametrize("labels", [2, [0, 2, 1], [[0], [2]], [], np.uint8([1, 2])])
def test_one_hot_has_a_one_at_each_label(labels):
    labels = np.asarray(labels, dtype=None if np.size(labels) else int)

    rows = te.one_hot(labels, 3)

    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, np.eye(3)[labels])


def test_one_hot_takes_tensors_and_gives_the_dtype_asked_for():
    rows = te.one_hot(te.tensor([1]), 2, dtype=np.float32)

    assert type(rows) is np.ndarray
    assert rows.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0, 3], "labels must lie in 0..2, got 3"),
        ([-1], "labels must lie in 0..2, got -1"),
        ([0.5], "labels must be integers, got float64"),
    ],
)
def test_labels_outside_the_classes_are_refused(labels, told):
    with pytest.raises(ValueError, match=told):
        te.one_hot(labels, 3)


@pytest.mark.parametrize(
    "index",
    [2, (slice(None), 1), np.array([1, 1, 4]), np.arange(5) % 2 == 0, (0, np.int64(1))],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_parts_that_are_read_again_and_again_add_up_in_place(index, dtype, rng):
    """What is 0 but for a part is added without its zeros, from the third on."""
    x = te.tensor(rng.random((5, 3)), requires_grad=True, dtype=dtype)
    factors = rng.integers(1, 9, 7).astype(dtype)

    sum(f * x[index].sum() for f in factors).backward()

    expected = np.zeros((5, 3))
    np.add.at(expected, index, float(factors.sum()))
    assert x.grad.dtype == dtype
    assert (x.grad == expected).all()


def test_parts_of_a_number_add_up_too():
    x = te.tensor(3.0, requires_grad=True)

    (x[()] + x[None].sum() + x[...] + 2 * x[None, None].sum()).backward()

    assert x.grad == 5


def test_a_loop_over_the_rows_of_a_table_makes_no_table_for_each(rng, monkeypatch):
    put, made = te.OPS["put"], []
    forward = put.forward
    monkeypatch.setattr(
        put, "forward", lambda *args, **named: made.append(1) or forward(*args, **named)
    )
    table = te.tensor(rng.random((400, 4)), requires_grad=True)

    sum(table[i].sum() for i in range(300)).backward()

    assert len(made) <= 2
    assert (table.grad[:300] == 1).all()
    assert not table.grad[300:].any()


@pytest.mark.parametrize(
    "index",
    [
        np.array([3, 0, -1, 3]),
        np.array([2, 0, 1]),
        np.array([2, 0, 2]),
        (np.array([[3, 0], [-1, 3]]),),
        (slice(None), np.array([2, 2, -3])),
        (np.array([0, 3])[:, None], np.array([2, 2, 1, 0])),
        (np.array([1, 1]), slice(None), np.array([0, -1])),
        ([0, 0], Ellipsis, slice(None, None, -1)),
        (np.array([True, False, True, True]), np.array([0, 2, 2])),
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_many_numbers_are_added_at_an_index_as_few_are(index, layout, rng):
    sums, few = (layout(np.zeros((4, 3, 200))) for _ in range(2))
    x = rng.standard_normal(sums[index].shape)

    add_at(sums, index, x)
    add_at(sums, index, x[..., :1])

    np.add.at(few, index, x)
    np.add.at(few, index, x[..., :1])
    np.testing.assert_array_equal(sums, few)


@pytest.mark.parametrize("index", [[4, 0], [0, -5]])
def test_a_row_outside_of_a_large_table_is_an_error(index):
    with pytest.raises(IndexError):
        te.put(np.ones((2, 3, 200)), index=np.array(index), shape=(4, 3, 200))


@pytest.mark.parametrize(
    "index",
    [(slice(None), None), (None, ...), slice(None), (), (..., None, slice(None))],
    ids=str,
)
def test_an_index_that_picks_everything_puts_nothing_into_zeros(
    index, rng, monkeypatch
):
    monkeypatch.delattr(te.OPS["put"], "forward")
    x = te.tensor(rng.random((3, 2)), requires_grad=True)
    w = rng.random(x[index].shape)

    te.sum(x[index] * w).backward()

    assert (x.grad == w.reshape(3, 2)).all()


def test_an_index_that_runs_backwards_is_put_back_backwards(rng):
    x = te.tensor(rng.random(4), requires_grad=True)

    te.sum(x[::-1] * np.arange(4.0)).backward()

    assert (x.grad == [3, 2, 1, 0]).all()
