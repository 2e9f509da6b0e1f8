"""Dropout: what it drops, how often, and from which generator."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_entries_become_0_with_probability_p_and_the_others_make_up_for_it(p):
    out = nn.Dropout(p, rng=0)(np.ones(100_000))

    dropped = np.mean(out == 0)
    assert abs(dropped - p) < 5 * np.sqrt(p * (1 - p) / out.size)
    np.testing.assert_array_equal(out[out != 0], 1 / (1 - p))


def test_the_gradient_passes_where_the_entry_passed():
    x = te.tensor(np.arange(1.0, 21.0), requires_grad=True)

    out = nn.Dropout(0.4, rng=0)(x)
    out.sum().backward()

    assert 0 < np.count_nonzero(out.data) < 20
    np.testing.assert_allclose(x.grad, out.data / x.data, rtol=1e-15)


def test_with_a_seed_in_the_function_gradcheck_passes_at_second_order(rng):
    def f(x):
        return te.sin(nn.Dropout(0.5, rng=0)(te.sin(x)))

    te.gradcheck(f, rng.standard_normal((3, 4)), order=2)


def test_each_call_draws_a_new_mask():
    layer = nn.Dropout(0.5, rng=0)

    assert np.any(layer(np.ones(50)) != layer(np.ones(50)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probability_0_is_the_identity_and_draws_nothing(dtype):
    rng = np.random.default_rng(0)
    x = te.tensor([1.0, np.inf], requires_grad=True, dtype=dtype)

    out = nn.Dropout(0.0, rng=rng)(x)

    assert out is x
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probability_1_gives_zeros_and_no_gradient(dtype):
    x = te.tensor([1.0, -2.0], requires_grad=True, dtype=dtype)

    out = nn.Dropout(1.0)(x)
    out.sum().backward()

    np.testing.assert_array_equal(out.data, [0.0, 0.0])
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])
    assert out.dtype == x.grad.dtype == dtype


def test_evaluation_is_the_identity_and_draws_nothing():
    model = nn.Sequential(nn.Dropout(0.5, rng=0)).eval()
    x = np.ones(50)

    assert model(x) is x
    assert np.any(model.train()(x) == 0)
    np.testing.assert_array_equal(model(x), second_mask())


def second_mask():
    layer = nn.Dropout(0.5, rng=0)
    layer(np.ones(50))
    return layer(np.ones(50))


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_masks_come_from_the_source(kind):
    layer = nn.Dropout(0.3, rng=kind(7))

    kept = [layer(np.ones((4, 5))) != 0 for _ in range(2)]

    np.testing.assert_array_equal(kept, kind(7).uniform(size=(2, 4, 5)) >= 0.3)


def test_the_same_seed_gives_the_same_masks():
    x = np.ones(50)

    first, again, other = (nn.Dropout(0.5, rng=seed)(x) for seed in (3, 3, 4))

    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_has_a_generator_of_its_own(copied):
    layer = nn.Dropout(0.5, rng=0)
    x = np.ones(50)

    twin = copied(layer)
    ours = [layer(x), layer(x)]

    # drawing from the one left the other where it was
    np.testing.assert_array_equal(np.array([twin(x), twin(x)]), ours)


def test_integers_become_floating_point_numbers():
    out = nn.Dropout(0.5, rng=0)(np.ones(20, np.int64))

    assert out.dtype == np.float64
    assert set(out) == {0.0, 2.0}


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_probability_out_of_range_is_refused(p):
    with pytest.raises(ValueError, match=r"Dropout: p must lie in 0\.\.1, got"):
        nn.Dropout(p)


def test_it_reads_with_its_probability():
    assert repr(nn.Dropout(0.2)) == "Dropout(p=0.2)"
