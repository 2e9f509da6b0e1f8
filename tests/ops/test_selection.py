"""What is put in, left out, chosen, cut up and put together: beside NumPy's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from composites import weighted
from numeric import assert_near

import tinygrad_edu as te


def leaf(data):
    return te.tensor(data, requires_grad=True)


X = np.arange(6.0).reshape(2, 3) - 2.5

#: Calls with sequences, of an array that has a derivative.
CALLS: dict[str, Any] = {
    "block": lambda x: np.block([[x, np.ones((2, 1))], [7.0, x[0]]]),
    "block of a row": lambda x: np.block([x, x[:, :1]]),
    "block of numbers": lambda x: np.block([x[0, 0], 2.0, x[1, 2]]),
    "block, three deep": lambda x: np.block([[[x], [x]]]),
    "select": lambda x: np.select([x < -1, x < 1], [x**2, x * 3.0], 0.5 * x),
    "select of numbers": lambda x: np.select([x < 0], [x], default=9.0),
    "choose": lambda x: np.choose([[0, 1, 0], [1, 1, 0]], [x, -2.0 * x[0]]),
    "insert at a slice": lambda x: np.insert(x, slice(0, 2), x[0, 0], axis=1),
    "insert at a mask": lambda x: np.insert(x, X[0] > -2, x[:, :2], axis=1),
    "delete a slice": lambda x: np.delete(x, slice(None, None, 2), axis=1),
    "apply to rows": lambda x: np.apply_along_axis(lambda v: v[::-1] * v[0], 1, x),
    "apply to columns": lambda x: np.apply_along_axis(np.sum, 0, x),
    "apply, a matrix each": lambda x: np.apply_along_axis(np.outer, 0, x, [1.0, 2.0]),
    "apply over axes": lambda x: np.apply_over_axes(np.sum, x * x, [0, 1]),
    "broadcast": lambda x: np.broadcast_arrays(x, np.ones((4, 1, 1)))[0],
    "sums in bins": lambda x: np.histogram(X, 4, weights=x)[0],
    "density": lambda x: np.histogram(X, [-3, 0, 1, 2.5], density=True, weights=x**2)[
        0
    ],
}


@pytest.mark.parametrize("f", CALLS.values(), ids=CALLS)
def test_gives_numpys_values_and_has_right_derivatives(f):
    y, right = f(leaf(X)), f(X)

    assert type(y) is te.Tensor
    assert_near(y.data, right, 1e-14, "value")
    te.gradcheck(f, X, order=2)


def test_many_rows_are_taken_apart_without_a_square():
    x = leaf(np.ones((1500, 3)))

    y = np.apply_along_axis(lambda row: row.sum() ** 2, 1, x)
    (d,) = te.gradients(y.sum(), [x])

    assert np.all(d == 6.0)


def test_the_rows_of_many_are_unstacked_as_they_are():
    x = leaf(np.arange(80.0).reshape(40, 2))

    rows = np.unstack(x)

    assert len(rows) == 40
    np.testing.assert_array_equal(np.stack(rows).data, x.data)
    (d,) = te.gradients(weighted(rows[7]), [x])
    assert np.flatnonzero(d.any(axis=1)).tolist() == [7]


def test_a_partition_puts_numbers_where_numpy_puts_them(rng):
    x = rng.integers(0, 9, (3, 50)).astype(float)
    x[1, 7] = np.nan

    y = np.partition(leaf(x), [4, 20], axis=1)

    np.testing.assert_array_equal(y.data, np.partition(x, [4, 20], axis=1))


def test_a_histogram_of_tensors_counts_plainly():
    counts, edges = np.histogram(leaf([0.5, 1.5, 1.6]), bins=2, range=(0.0, 2.0))

    assert type(counts) is np.ndarray
    assert (counts.tolist(), edges.tolist()) == ([1, 2], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("bins", [5, [-1.0, 0.0, 0.5, 2.0]])
def test_what_lies_on_an_edge_is_counted_in_numpys_bin(bins, rng):
    x = np.round(rng.standard_normal(60), 1)
    w = rng.uniform(1, 2, 60)

    sums = np.histogram(x, bins, weights=leaf(w))[0]

    np.testing.assert_allclose(sums.data, np.histogram(x, bins, weights=w)[0])


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.delete(x, 7, axis=1), IndexError, "delete: index 7 is out"),
        (lambda x: np.insert(x, 9, 1.0), IndexError, "insert: index 9 is out"),
        (lambda x: np.insert(x, 1, x[:, :2]), ValueError, "insert: "),
        (lambda x: np.select([x > 0], [x, x]), ValueError, "select: got 1 condition"),
        (lambda x: np.select([X], [x]), TypeError, "select: conditions must be bool"),
        (lambda x: np.choose([5, 0, 0], [x, x]), ValueError, r"choose: .*0\.\.1"),
        (lambda x: np.compress([[True]], x), ValueError, "compress: condition must"),
        (lambda x: np.compress([0, 0, 0, 1], x, axis=1), IndexError, "compress: "),
        (lambda x: np.partition(x, 5), ValueError, "partition: kth"),
        (lambda x: np.block([[x, x[:1]]]), ValueError, "block: "),
        (lambda x: np.block([[x], x]), ValueError, "block: .*depth"),
        (lambda x: np.vsplit(x[0], 1), ValueError, r"vsplit: x is \(3,\)"),
        (lambda x: np.dsplit(x, 1), ValueError, r"dsplit: x is \(2, 3\)"),
        (lambda x: np.rollaxis(x, 0, 5), ValueError, "rollaxis: start must lie"),
        (lambda x: np.broadcast_arrays(x, X.T), ValueError, "broadcast_arrays: "),
        (
            lambda x: np.apply_along_axis(sum, 3, x),
            ValueError,
            "apply_along_axis: axis",
        ),
        (lambda x: np.bincount([0, -1], x[0, :2]), ValueError, "bincount: "),
        (lambda x: np.bincount([0, 1], x[0]), ValueError, "bincount: "),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_function(f, error, told):
    with pytest.raises(error, match=told):
        f(leaf(X))


def test_an_error_names_the_shapes_of_what_has_one():
    x = te.tensor([1.0, 2.0, 3.0], requires_grad=True)

    with pytest.raises(IndexError, match=r"size 3 \(x is \(3,\)\)$"):
        np.compress([True] * 9, x)
    with pytest.raises(ValueError, match=r"bincount: .* negative elements$"):
        np.bincount([-1, 2, 0], x)
