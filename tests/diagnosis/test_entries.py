"""What is read off the entries of tensors and arrays."""

from __future__ import annotations

import numpy as np
import pytest
from explained import leaf

import tinygrad_edu as te
from tinygrad_edu.diagnosis.entries import (
    arrays_not_finite,
    first_not_finite,
    is_finite,
    largest,
    norm,
)


@pytest.mark.parametrize(
    ("x", "finite"),
    [
        (1.0, True),
        (np.inf, False),
        (np.array([1.0, np.nan]), False),
        (np.array([1, 2]), True),
        (leaf([1.0, -np.inf]), False),
        (te.slogdet(np.eye(2)), True),
        ((np.ones(2), np.float64(np.nan)), False),
        (np.ones((0, 3)), True),
        (None, True),
        ("a word", True),
    ],
)
def test_whether_all_entries_are_finite(x, finite):
    assert is_finite(x) is finite


def test_the_first_entry_that_is_not_finite():
    assert first_not_finite(np.array([1.0, -np.inf, np.nan])) == -np.inf
    assert first_not_finite(np.ones(3)) is None
    assert first_not_finite(None) is None


@pytest.mark.parametrize(
    ("x", "size"), [([-3.0, 2.0], 3), ([], 0), (-4.0, 4), ([np.inf, np.nan], np.nan)]
)
def test_the_largest_absolute_value(x, size):
    np.testing.assert_equal(largest(np.array(x)), size)
    np.testing.assert_equal(largest((np.array(x), np.zeros(2))), size)


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_a_norm_neither_overflows_nor_vanishes(scale):
    assert norm(np.array([[3.0], [4.0]]) * scale) == pytest.approx(5 * scale, rel=1e-15)
    assert norm((3.0 * scale, 4.0 * scale)) == pytest.approx(5 * scale, rel=1e-15)


def test_arrays_of_a_batch_are_named():
    good, bad = np.ones(2), np.array([1.0, np.nan])

    assert [name for name, _ in arrays_not_finite((good, bad), good)] == ["X[1]"]
    assert [name for name, _ in arrays_not_finite(bad, leaf(bad))] == ["X", "y"]
    assert list(arrays_not_finite(np.array([1, 2]), good)) == []
