"""Initialisers: from which distribution, and from which source."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tinygrad_edu.nn import initializers

OUT, IN = 300, 500

#: What each draws for a shape (OUT, IN), from the papers.
DISTRIBUTIONS = {
    "standard_normal": stats.norm(0, 1),
    "glorot_normal": stats.norm(0, np.sqrt(2 / (IN + OUT))),
    "glorot_uniform": stats.uniform(
        -np.sqrt(6 / (IN + OUT)), 2 * np.sqrt(6 / (IN + OUT))
    ),
    "he_normal": stats.norm(0, np.sqrt(2 / IN)),
    "he_uniform": stats.uniform(-np.sqrt(6 / IN), 2 * np.sqrt(6 / IN)),
    "lecun_normal": stats.norm(0, np.sqrt(1 / IN)),
    "lecun_uniform": stats.uniform(-np.sqrt(3 / IN), 2 * np.sqrt(3 / IN)),
}
BOUNDS = {
    "glorot_uniform": np.sqrt(6 / (IN + OUT)),
    "he_uniform": np.sqrt(6 / IN),
    "lecun_uniform": np.sqrt(3 / IN),
}

every_initializer = pytest.mark.parametrize("name", DISTRIBUTIONS)
every_source = pytest.mark.parametrize(
    "source",
    [np.random.default_rng, np.random.RandomState],
    ids=["Generator", "RandomState"],
)


def draw(name, shape, rng):
    return getattr(initializers, name)(shape, rng)


def test_every_initializer_is_tested_here():
    assert sorted([*DISTRIBUTIONS, "named"]) == sorted(initializers.__all__)


@every_initializer
@every_source
def test_numbers_are_of_the_distribution(name, source):
    drawn = draw(name, (OUT, IN), source(0))

    # 150,000 draws: a scale wrong by 2 % gives p < 1e-6
    assert stats.kstest(drawn.ravel(), DISTRIBUTIONS[name].cdf).pvalue > 1e-3


@every_initializer
def test_mean_and_variance_are_those_of_the_formula(name):
    drawn = draw(name, (OUT, IN), 0)

    variance = DISTRIBUTIONS[name].var()
    assert abs(drawn.mean()) < 5 * np.sqrt(variance / drawn.size)
    # the variance of a sample variance is at most 2 / n of its square
    assert abs(drawn.var() / variance - 1) < 5 * np.sqrt(2 / drawn.size)


@pytest.mark.parametrize("name", BOUNDS)
def test_uniform_numbers_fill_their_bounds(name):
    drawn = draw(name, (OUT, IN), 0)

    assert drawn.max() <= BOUNDS[name]
    assert drawn.min() >= -BOUNDS[name]
    assert drawn.max() > 0.999 * BOUNDS[name]
    assert drawn.min() < -0.999 * BOUNDS[name]


@every_initializer
def test_a_shape_is_out_then_in(name):
    wide, tall = draw(name, (2, 50_000), 0), draw(name, (50_000, 2), 0)

    assert wide.shape == (2, 50_000)
    # He's and LeCun's scales tell inputs from outputs
    ratio = np.sqrt(50_000 / 2) if name.startswith(("he", "lecun")) else 1.0
    assert abs(tall.std() / wide.std() / ratio - 1) < 0.02


@every_initializer
def test_a_kernel_counts_with_all_its_places(name):
    kernels = draw(name, (OUT // 6, IN // 6, 2, 3), 0)

    matrix = draw(name, (OUT // 6 * 6, IN // 6 * 6), 0)
    assert kernels.shape == (OUT // 6, IN // 6, 2, 3)
    # the same numbers are drawn, with the same scale
    np.testing.assert_array_equal(kernels.ravel(), matrix.ravel()[: kernels.size])


@every_initializer
@every_source
def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(name, source):
    first, again, other = (draw(name, (4, 5), source(seed)) for seed in (0, 0, 1))

    np.testing.assert_array_equal(first, again)
    assert np.all(first != other)


@every_initializer
def test_a_seed_stands_for_a_generator_of_that_seed(name):
    np.testing.assert_array_equal(
        draw(name, (4, 5), 3), draw(name, (4, 5), np.random.default_rng(3))
    )


@every_initializer
def test_without_a_source_numbers_differ_every_time(name):
    function = getattr(initializers, name)

    assert np.all(function((4, 5)) != function((4, 5)))


@pytest.fixture
def legacy():
    """NumPy's global generator, which is put back afterwards."""
    before = np.random.get_state()
    yield np.random
    np.random.set_state(before)


def test_draws_from_a_random_state_are_those_of_the_legacy_functions(legacy):
    legacy.seed(1)
    expected = [legacy.randn(4, 5), legacy.permutation(10), legacy.randn(3, 4)]

    rng = np.random.RandomState(1)
    first = initializers.standard_normal((4, 5), rng)
    order = rng.permutation(10)
    second = initializers.standard_normal((3, 4), rng)

    np.testing.assert_array_equal(first, expected[0])
    np.testing.assert_array_equal(order, expected[1])
    np.testing.assert_array_equal(second, expected[2])


@every_initializer
def test_the_global_generator_is_left_alone(name, legacy):
    before = legacy.get_state()[1].copy()

    draw(name, (4, 5), None)
    draw(name, (4, 5), 0)

    np.testing.assert_array_equal(legacy.get_state()[1], before)


@every_initializer
def test_numbers_are_float64_in_an_array_of_their_own(name):
    drawn = draw(name, (4, 5), 0)

    assert type(drawn) is np.ndarray
    assert drawn.dtype == np.float64
    assert drawn.flags.writeable


@pytest.mark.parametrize("name", [n for n in DISTRIBUTIONS if n != "standard_normal"])
@pytest.mark.parametrize("shape", [(), (5,)])
def test_a_scale_by_inputs_and_outputs_needs_a_matrix(name, shape):
    with pytest.raises(ValueError, match=r"the shape must be \(out, in\), got \("):
        draw(name, shape, 0)


def test_named_finds_every_initializer():
    for name in DISTRIBUTIONS:
        assert initializers.named(name) is getattr(initializers, name)
    assert initializers.named(np.ones) is np.ones


@pytest.mark.parametrize("name", ["xavier", "", None, ["he_normal"]])
def test_named_answers_an_unknown_name_with_the_known_ones(name):
    with pytest.raises(ValueError, match="init must be one of ") as caught:
        initializers.named(name)

    message = str(caught.value)
    assert all(known in message for known in DISTRIBUTIONS)
    assert message.endswith(f"got {name!r}")
