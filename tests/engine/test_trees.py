"""Trees are taken apart and put together: order, types, paths, depth, circles."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.trees import flatten, holds_a_tensor

Point = namedtuple("Point", "x y")


@dataclass(frozen=True)
class Layer:
    weight: object
    bias: object
    calls: list = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self):
        self.calls.append("made")


X = np.ones(2)


@pytest.mark.parametrize(
    ("tree", "paths"),
    [
        (X, ["p"]),
        ({"b": X, "a": X}, ["p['b']", "p['a']"]),  # in the order of the dict
        ({1: X, (2, "c"): X}, ["p[1]", "p[(2, 'c')]"]),
        ([X, (X, {"a": X})], ["p[0]", "p[1][0]", "p[1][1]['a']"]),
        (Point(1.0, Point(X, [X])), ["p.x", "p.y.x", "p.y.y[0]"]),
        ([1.0, X], ["p[0]", "p[1]"]),
        ([[1.0, 2.0], [3.0, X]], ["p[0]", "p[1][0]", "p[1][1]"]),
        ({"a": {}, "b": X}, ["p['b']"]),
    ],
)
def test_the_leaves_depth_first_and_back(tree, paths):
    leaves, form = flatten(tree)

    assert form.paths("p") == paths
    assert form.count == len(leaves)
    assert repr(form.filled(leaves)) == repr(tree)
    assert repr(form.leaves_of(tree, "f", "p")) == repr(leaves)


@pytest.mark.parametrize(
    "array",
    [[1.0, 2], (1, np.float32(2)), [[1.0, 2.0], (3.0, 4.0)], [[[1.0]]], [], [[], []]],
)
def test_nested_numbers_are_one_array(array):
    leaves, form = flatten({"w": array})

    assert leaves == [array]
    assert form.paths("") == ["['w']"]


@pytest.mark.parametrize(
    "tree", [OrderedDict(b=X, a=X), defaultdict(list, b=X), Point(X, X), [X], (X,)]
)
def test_the_types_are_kept(tree):
    leaves, form = flatten(tree)
    back = form.filled(leaves)

    assert type(back) is type(tree)
    assert repr(back) == repr(tree)


def test_a_dataclass_keeps_its_type_and_is_not_made_anew():
    tree = Layer(1.0, X)

    leaves, form = flatten(tree)
    back = form.filled([2.0, *leaves[1:2], []])

    assert form.paths("m") == ["m.weight", "m.bias", "m.calls[0]"]
    assert type(back) is Layer
    assert (back.weight, back.bias) == (2.0, X) or back.bias is X
    assert tree.weight == 1.0
    assert tree.calls == ["made"]


def test_a_dict_is_matched_by_its_keys():
    _, form = flatten({"a": 1.0, "b": 2.0})

    assert form.leaves_of({"b": 20.0, "a": 10.0}, "f", "p") == [10.0, 20.0]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"a": X}, r"f: p must be a dict of 'a', 'b', got a dict of 'a'"),
        ({"a": X, "c": [X, X]}, "p must be a dict of 'a', 'b', got a dict of 'a', 'c'"),
        ({"a": X, "b": X}, r"p\['b'\] must be a list of 2, got ndarray"),
        ({"a": X, "b": [X, X, X]}, r"p\['b'\] must be a list of 2, got a list of 3"),
        ({"a": X, "b": [X, {"c": X}]}, r"p\['b'\]\[1\] must be an array, got a dict"),
        ({"a": [X], "b": [X, X]}, r"p\['a'\] must be an array, got a list of 1"),
        (X, r"p must be a dict of 'a', 'b', got ndarray"),
    ],
)
def test_another_form_is_refused_with_the_place(other, says):
    _, form = flatten({"a": X, "b": [X, X]})

    with pytest.raises(ValueError, match=says):
        form.leaves_of(other, "f", "p")


def test_depth_is_no_matter():
    deep = X
    for i in range(5_000):
        deep = {"next": deep} if i % 2 else [deep]

    leaves, form = flatten(deep)

    assert len(leaves) == 1
    assert form.leaves_of(form.filled(leaves), "f", "p")[0] is X
    assert not holds_a_tensor(deep)
    assert len(form.paths("p")[0]) == 2_500 * len("['next'][0]") + 1


def test_what_holds_itself_is_refused_and_what_comes_twice_is_not():
    row = [X]
    circle = {"a": X}
    circle["b"] = [circle]

    assert len(flatten([row, row, {"a": row}])[0]) == 3
    assert not holds_a_tensor(circle)
    with pytest.raises(ValueError, match="f: a dict holds itself"):
        flatten(circle, "f")


def test_a_tensor_is_found_wherever_it_is():
    assert holds_a_tensor({"a": [1.0, Point(te.tensor(1.0), None)]})
    assert holds_a_tensor(te.tensor(1.0))
    assert not holds_a_tensor([1.0, "te", None, {"a": X}])
