"""The likely cause: each usual slip, named from the two arrays alone."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.checks.causes import NO_RELATION, Cause, likely_cause

RIGHT = np.random.default_rng(0).standard_normal((4, 3))


# --------------------------------------------------------------------- constant factors


@pytest.mark.parametrize(
    ("factor", "spelled"),
    [
        (2, "2"),
        (0.5, "1/2"),
        (1 / 32, "1/32"),
        (2 / 3, "2/3"),
        (1.01, "1.01"),
        (1.0005, "1.0005"),
        (-3, "-3"),
        (np.pi, "3.14159"),
        (1e-6, "1e-06"),
        (784, "784"),
        (2e5, "200000"),
    ],
)
def test_a_constant_factor_is_spelled_as_one_would_write_it(factor, spelled):
    cause = likely_cause(factor * RIGHT, RIGHT)

    assert cause == Cause("factor", f"analytic is {spelled} x numeric")


def test_a_sign():
    assert likely_cause(-RIGHT, RIGHT) == Cause(
        "sign", "analytic is -1 x numeric: the sign is wrong"
    )


def test_a_factor_that_is_a_length_is_a_forgotten_mean():
    sizes = {32: "the length of axis 0 of X"}

    cause = likely_cause(32 * RIGHT, RIGHT, sizes=sizes)

    assert cause.name == "missing-mean"
    assert cause.text == (
        "analytic is 32 x numeric: a division by 32, the length of axis 0 of X, "
        "is missing"
    )


def test_a_forgotten_mean_with_the_wrong_sign_tells_of_both():
    cause = likely_cause(-32 * RIGHT, RIGHT, sizes={32: "the size of X"})

    assert cause.name == "missing-mean"
    assert cause.text.endswith("is missing, and the sign is wrong")


def test_a_mean_taken_twice():
    cause = likely_cause(RIGHT / 32, RIGHT, sizes={32: "the size of X"})

    assert cause.name == "factor"
    assert "divided by 32, the size of X, once too often" in cause.text


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (2, "2 x numeric: a constant factor (is a 1/2 or a 2 lost?); 2 is also that"),
        (1 / 2, "1/2 x numeric: a constant factor (is a 1/2 or a 2 lost?); 2 is also"),
        (-2, "-2 x numeric: a constant factor (is a 1/2 or a 2 lost?); 2 is also that"),
        (7, "7 x numeric; 7 is also this"),
        (1 / 7, "1/7 x numeric; 7 is also this"),
        (2 / 7, "2/7 x numeric"),
        (3, "3 x numeric"),
    ],
)
def test_a_factor_that_is_a_length_of_no_mean_is_a_factor_and_the_length_told(
    factor, text
):
    cause = likely_cause(factor * RIGHT, RIGHT, lengths={2: "that", 7: "this"})

    assert cause.name == "factor"
    assert cause.text.startswith(f"analytic is {text}")
    assert ("also" in cause.text) is ("also" in text)


def test_the_two_arrays_are_called_as_the_user_calls_them():
    cause = likely_cause(2 * RIGHT, RIGHT, said=("dW", "the gradient"))

    assert cause.text == "dW is 2 x the gradient"


def test_a_factor_shows_through_the_error_of_differences(rng):
    noisy = RIGHT * (1 + 1e-8 * rng.standard_normal(RIGHT.shape))

    assert likely_cause(2 * RIGHT, noisy).name == "factor"


def test_entries_that_are_not_known_are_left_out():
    known = np.full(RIGHT.shape, np.nan)
    known[1, 2], known[3, 0] = RIGHT[1, 2], RIGHT[3, 0]

    assert likely_cause(2 * RIGHT, known).text == "analytic is 2 x numeric"


# ---------------------------------------------------------------------- other relations


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (2, 3, 4)])
def test_a_transposition(shape, rng):
    right = rng.standard_normal(shape)

    cause = likely_cause(right.T, right)

    assert cause == Cause("transpose", "analytic is the transpose of numeric")


def test_a_transposition_with_a_factor(rng):
    right = rng.standard_normal((3, 3))

    cause = likely_cause(2 * right.T, right)

    assert cause.name == "transpose"
    assert cause.text.endswith("(and analytic is 2 x that)")


def test_a_symmetric_matrix_is_not_called_transposed(rng):
    half = rng.standard_normal((3, 3))
    right = half + half.T

    assert likely_cause(2 * right, right).name == "factor"


@pytest.mark.parametrize(
    ("shape", "axes"), [((3,), "0"), ((1, 3), "0"), ((4, 1), "1"), ((), "0, 1")]
)
def test_a_missing_sum_over_broadcast_axes(shape, axes):
    right = RIGHT.sum(axis=tuple(map(int, axes.split(", ")))).reshape(shape)

    cause = likely_cause(RIGHT, right)

    assert cause == Cause("missing-sum", f"a sum over axis {axes} of (4, 3) is missing")


def test_a_sum_over_the_wrong_axis(rng):
    square = rng.standard_normal((3, 3))

    cause = likely_cause(square.sum(axis=0), square.sum(axis=1), sums_of={"g": square})

    assert cause == Cause("wrong-axis", "g was summed over axis 0 instead of 1")


def test_an_axis_of_length_1_too_many():
    cause = likely_cause(RIGHT[:, None], RIGHT)

    assert cause.name == "shape"
    assert "(4, 1, 3)" in cause.text


def test_a_missing_factor(rng):
    factor = rng.standard_normal((4, 3))

    cause = likely_cause(RIGHT, RIGHT * factor, factors={"σ'(z)": factor})

    assert cause == Cause("missing-derivative", "the factor σ'(z) is missing")


def test_a_missing_factor_and_a_constant_one(rng):
    factor = rng.standard_normal((4, 3))

    cause = likely_cause(2 * RIGHT, RIGHT * factor, factors={"σ'(z)": factor})

    assert cause.text == "the factor σ'(z) is missing (and analytic is 2 x that)"


def test_a_factor_too_many(rng):
    factor = rng.standard_normal((4, 3))

    cause = likely_cause(RIGHT * factor, RIGHT, factors={"x": factor})

    assert cause == Cause("extra-factor", "the factor x is there once too often")


def test_the_factor_that_fits_is_named_among_others(rng):
    factors = {name: rng.standard_normal((4, 3)) for name in "abcd"}

    cause = likely_cause(RIGHT, RIGHT * factors["c"], factors=factors)

    assert cause.text == "the factor c is missing"


def test_a_factor_of_another_shape_is_passed_over(rng):
    factors = {"w": rng.standard_normal((7, 5)), "b": rng.standard_normal(3)}

    cause = likely_cause(RIGHT, RIGHT * factors["b"], factors=factors)

    assert cause.text == "the factor b is missing"


def test_zeros_everywhere_are_detached():
    cause = likely_cause(np.zeros((4, 3)), RIGHT)

    assert cause.name == "detached"
    assert ".detach()" in cause.text


def test_variants_are_named_the_one_without_a_further_factor_first(rng):
    slip = rng.standard_normal((4, 3))
    double, plain = Cause("double", "twice"), Cause("plain", "just so")

    cause = likely_cause(slip, RIGHT, variants=[(double, slip / 2), (plain, slip)])

    assert cause == plain


def test_a_variant_that_makes_no_difference_is_no_slip():
    same = Cause("same", "nothing")

    cause = likely_cause(2 * RIGHT, 2 * RIGHT + 1, variants=[(same, 2 * RIGHT + 1)])

    assert cause == NO_RELATION


# ------------------------------------------------------------------------- one number


@pytest.mark.parametrize("known", [np.array(0.3), np.array([np.nan, 0.3, np.nan])])
@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (2, "analytic is 2 x numeric"),
        (1 / 32, "analytic is 1/32 x numeric"),
        (-2 / 3, NO_RELATION.text),
        (-1, "analytic is -1 x numeric: the sign is wrong"),
        (8.44195, NO_RELATION.text),
        (1.01, NO_RELATION.text),
        (-np.pi, NO_RELATION.text),
        (1 / 12_345.6, NO_RELATION.text),
    ],
)
def test_of_one_number_only_a_whole_number_or_its_inverse_is_believed(
    factor, text, known
):
    claimed = np.full(known.shape, factor * 0.3)

    assert likely_cause(claimed, known).text == text


@pytest.mark.parametrize("claimed", [1e-310, 1e300, -5e-324])
def test_of_one_number_none_is_too_small_or_large(claimed):
    assert likely_cause(claimed, 2.0) == NO_RELATION
    assert likely_cause(2.0, claimed) == NO_RELATION


def test_of_one_number_a_size_is_believed():
    sizes = {60_000: "the length of axis 0 of X"}

    assert likely_cause(6e4, 1.0, sizes=sizes).name == "missing-mean"
    assert "too often" in likely_cause(1 / 6e4, 1.0, sizes=sizes).text


@pytest.mark.parametrize(("factor", "name"), [(1, "slip"), (2, "unknown")])
def test_of_one_number_a_variant_has_to_fit_exactly(factor, name):
    variants = [(Cause("slip", "so"), np.array(0.123))]

    assert likely_cause(factor * 0.123, 0.7, variants=variants).name == name


@pytest.mark.parametrize(
    ("claimed", "name"),
    [
        (0.7 / 0.123, "missing-derivative"),
        (0.7 * 0.123, "extra-factor"),
        (2 * 0.7 / 0.123, "unknown"),
        (2 * 0.7 * 0.123, "unknown"),
    ],
)
def test_of_one_number_a_missing_factor_has_to_fit_exactly(claimed, name):
    cause = likely_cause(claimed, 0.7, factors={"x": np.array(0.123)})

    assert cause.name == name


def test_a_sum_that_is_off_by_some_factor_is_not_a_missing_sum():
    right = np.array([[RIGHT.sum()]])

    assert likely_cause(RIGHT / 3, right).name == "missing-sum"
    assert likely_cause(RIGHT / np.pi, right) == NO_RELATION


def test_a_ratio_beside_a_slip_is_told_only_if_it_is_a_short_fraction(rng):
    factors = {"x": rng.standard_normal((4, 3))}
    claims = [c * RIGHT / factors["x"] for c in (2, 2.07701)]

    texts = [likely_cause(claim, RIGHT, factors=factors).text for claim in claims]

    assert texts == [
        "the factor x is missing (and analytic is 2 x that)",
        "the factor x is missing",
    ]


def test_a_variant_times_any_number_is_no_slip(rng):
    array = rng.standard_normal((4, 3))
    slip = Cause("slip", "so")

    assert likely_cause(2 * array, RIGHT, variants=[(slip, array)]).name == "slip"
    assert likely_cause(2.07 * array, RIGHT, variants=[(slip, array)]) == NO_RELATION


# -------------------------------------------------------------------------- no relation


@pytest.mark.parametrize(
    "claimed",
    [
        RIGHT + 1,
        RIGHT**2,
        RIGHT[::-1],
        np.where(np.arange(12).reshape(4, 3) == 5, 2 * RIGHT, RIGHT),
        np.full((4, 3), np.nan),
        np.full((4, 3), np.inf),
        np.ones((2, 2)),
        np.ones((4, 3, 2)),
        np.ones(()),
    ],
    ids=["shifted", "square", "reversed", "entry", "nan", "inf", "2x2", "3d", "0d"],
)
def test_where_there_is_none_it_says_so(claimed):
    assert likely_cause(claimed, RIGHT, factors={"x": RIGHT + 2}) == NO_RELATION


def test_nothing_known_has_no_relation():
    assert likely_cause(RIGHT, np.full((4, 3), np.nan)) == NO_RELATION


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_no_entries_have_no_relation(shape):
    assert likely_cause(np.ones(shape), np.ones(shape)) == NO_RELATION


def test_what_is_right_has_no_cause():
    assert likely_cause(RIGHT, RIGHT) == NO_RELATION


def test_the_text_of_no_relation():
    assert NO_RELATION.text == "no simple relation found"
