"""One door for everything that draws: what ``rng=`` may be."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.randomness import generator, set_state, state_of


@pytest.mark.parametrize("seed", [0, 7, 2**70, np.int64(7), np.uint8(7)])
def test_a_seed_gives_numpys_generator_of_that_seed(seed):
    np.testing.assert_array_equal(
        generator(seed).standard_normal(5),
        np.random.default_rng(seed).standard_normal(5),
    )


def test_a_seed_gives_a_new_generator_every_time():
    first, second = generator(0), generator(0)

    assert first is not second
    assert first.standard_normal() == second.standard_normal()


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_itself_and_goes_on_drawing(make):
    rng, same = make(0), make(0)

    assert generator(rng) is rng
    drawn = [generator(rng).standard_normal(), generator(rng).standard_normal()]
    assert drawn == [same.standard_normal(), same.standard_normal()]


def test_none_gives_a_generator_that_differs_every_time():
    first, second = generator(None), generator(None)

    assert isinstance(first, np.random.Generator)
    assert first.standard_normal() != second.standard_normal()


def test_none_does_not_touch_numpys_global_generator():
    before = np.random.get_state()[1].copy()

    generator(None).standard_normal(5)

    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "seed", [0, np.random.default_rng(0), np.random.RandomState(0)]
)
@pytest.mark.parametrize("draw", ["standard_normal", "uniform", "permutation"])
def test_whatever_is_returned_can_draw_what_the_project_draws(seed, draw):
    size = {"permutation": (4,), "uniform": (-1.0, 1.0, (2, 2))}.get(draw, ((2, 2),))

    drawn = getattr(generator(seed), draw)(*size)

    assert drawn.size == 4


@pytest.mark.parametrize(
    "rng",
    [
        True,
        False,
        np.True_,
        1.0,
        np.float64(1),
        "1",
        [1],
        np.array(1),
        np.random,
        np.random.SeedSequence(1),
        np.random.PCG64(1),
        object,
    ],
    ids=lambda x: type(x).__name__,
)
def test_anything_else_is_refused_with_its_type(rng):
    with pytest.raises(TypeError, match=r"rng must be a seed .* got ") as caught:
        generator(rng)

    assert str(caught.value).endswith(f"got {type(rng).__name__}")


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        generator(-1)


@pytest.mark.parametrize(
    "draws",
    [
        lambda rng: te.nn.Linear(3, 2, rng=rng).weight.data,
        lambda rng: te.nn.initializers.he_normal((2, 3), rng),
        lambda rng: te.Case((2, 3)).sample(rng)[0],
        lambda rng: next(te.data.batches(np.arange(50), np.arange(50), 50, rng=rng))[0],
    ],
    ids=["Linear", "initializers", "Case", "batches"],
)
@pytest.mark.parametrize(
    "source",
    [lambda: 7, lambda: np.random.default_rng(7), lambda: np.random.RandomState(7)],
    ids=["seed", "Generator", "RandomState"],
)
def test_everything_that_draws_does_so_again_from_the_same_source(draws, source):
    np.testing.assert_array_equal(draws(source()), draws(source()))
    assert np.any(draws(source()) != draws(8))


BIT_GENERATORS = [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]


@pytest.mark.parametrize("wrap", [np.random.Generator, np.random.RandomState])
@pytest.mark.parametrize("bits", BIT_GENERATORS)
def test_a_generator_draws_on_from_a_state(bits, wrap):
    rng, other = wrap(bits(1)), wrap(bits(2))
    rng.standard_normal(3)

    state = state_of(rng)
    expected = rng.standard_normal(5)  # the state is a copy
    set_state(other, state)

    np.testing.assert_array_equal(other.standard_normal(5), expected)


@pytest.mark.parametrize("wrap", [np.random.Generator, np.random.RandomState])
def test_a_state_of_another_kind_is_refused(wrap):
    state = state_of(wrap(np.random.Philox(1)))

    with pytest.raises(
        ValueError, match=r"state must be for a PCG64|set_state can only"
    ):
        set_state(wrap(np.random.PCG64(1)), state)
