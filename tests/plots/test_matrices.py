"""A matrix as a picture: every number in its place, and legible there."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from pictures import captions, luminance

from tinygrad_edu import plots

# The lecture's first and third systems on its test set.
ZERO_OR_NOT = np.array([[8973, 42], [47, 938]])
TEN_DIGITS = np.array(
    [
        [896, 0, 26, 8, 8, 22, 30, 4, 14, 10],
        [0, 1076, 15, 6, 2, 7, 3, 6, 14, 2],
        [14, 13, 815, 30, 10, 13, 23, 33, 24, 13],
        [10, 12, 47, 820, 4, 60, 5, 18, 40, 17],
        [0, 1, 17, 0, 790, 22, 30, 17, 14, 106],
        [27, 4, 7, 56, 5, 669, 23, 6, 58, 16],
        [13, 5, 30, 7, 23, 28, 822, 0, 21, 1],
        [6, 2, 18, 25, 12, 10, 3, 866, 18, 37],
        [12, 22, 47, 42, 19, 44, 16, 15, 739, 28],
        [2, 0, 10, 16, 109, 17, 3, 63, 32, 779],
    ]
)


class TestConfusionMatrix:
    def test_writes_the_counts_row_by_row(self):
        ax = plots.confusion_matrix(TEN_DIGITS)

        assert captions(ax) == [str(count) for count in TEN_DIGITS.flat]

    def test_rows_are_predicted_and_columns_actual(self):
        ax = plots.confusion_matrix(ZERO_OR_NOT, class_names=["not zero", "zero"])

        (cell,) = [text for text in ax.texts if text.get_text().startswith("42\n")]
        column, row = cell.get_position()
        assert ax.get_xlabel() == "actual"
        assert ax.get_xticklabels()[int(column)].get_text() == "zero"
        assert ax.get_ylabel() == "predicted"
        assert ax.get_yticklabels()[int(row)].get_text() == "not zero"
        assert ax.yaxis_inverted()  # row 0 on top, as it is printed

    def test_a_small_matrix_gives_the_share_of_the_column_too(self):
        ax = plots.confusion_matrix(ZERO_OR_NOT)

        assert captions(ax) == ["8973\n99.5%", "42\n4.3%", "47\n0.5%", "938\n95.7%"]

    def test_shades_are_shares_of_the_column(self):
        ax = plots.confusion_matrix(TEN_DIGITS)

        shares = np.asarray(ax.images[0].get_array())
        np.testing.assert_allclose(shares.sum(axis=0), 1)
        np.testing.assert_allclose(shares[9, 4], 109 / TEN_DIGITS[:, 4].sum())

    def test_one_per_cent_is_told_from_nothing(self):
        ax = plots.confusion_matrix([[99, 0], [1, 100]])

        image = ax.images[0]
        nothing, little = image.cmap(image.norm([0.0, 0.01]))
        assert np.abs(nothing - little)[:3].max() > 0.05

    @pytest.mark.parametrize("share", np.linspace(0, 1, 11))
    def test_numbers_contrast_with_their_cells(self, share):
        """At least 4.5 : 1, the least that WCAG 2 asks of text."""
        count = round(1000 * share)
        ax = plots.confusion_matrix([[count, 0], [1000 - count, 1]])

        image = ax.images[0]
        ground = luminance(image.cmap(image.norm(share)))
        ink = luminance(mpl.colors.to_rgb(ax.texts[0].get_color()))
        dark, light = sorted([ground, ink])
        assert (light + 0.05) / (dark + 0.05) >= 4.5

    @pytest.mark.parametrize("matrix", [ZERO_OR_NOT, TEN_DIGITS], ids=["2x2", "10x10"])
    def test_numbers_stay_inside_their_cells(self, matrix):
        ax = plots.confusion_matrix(matrix)

        ax.get_figure().draw_without_rendering()
        cell = ax.transData.transform([[0, 1], [1, 0]])
        width, height = np.abs(cell[1] - cell[0])
        for text in ax.texts:
            box = text.get_window_extent()
            assert box.width < width
            assert box.height < height

    def test_many_long_class_names_are_slanted(self):
        names = ["T-shirt", "trousers", "pullover", "dress", "coat", "sandal"]
        ax = plots.confusion_matrix(np.eye(6, dtype=int), class_names=names)

        labels = ax.get_xticklabels()
        assert [label.get_text() for label in labels] == names
        assert {label.get_rotation() for label in labels} == {45}

    def test_a_class_that_never_occurs_leaves_an_empty_column(self):
        ax = plots.confusion_matrix([[3, 0], [1, 0]])

        assert captions(ax) == ["3\n75.0%", "0\n0.0%", "1\n25.0%", "0\n0.0%"]

    def test_has_a_key_to_its_shades(self):
        ax = plots.confusion_matrix(ZERO_OR_NOT)

        (key,) = ax.child_axes
        ax.get_figure().draw_without_rendering()
        assert key.get_ylabel() == "share of the actual class"
        ticks = [label.get_text() for label in key.get_yticklabels()]
        assert ticks == ["0%", "1%", "5%", "20%", "50%", "100%"]

    @pytest.mark.parametrize("shape", [(4,), (2, 3), (0, 0), (2, 2, 2)])
    def test_refuses_what_is_not_square(self, shape):
        with pytest.raises(ValueError, match=r"must have shape \(k, k\), got \("):
            plots.confusion_matrix(np.zeros(shape, dtype=int))

    @pytest.mark.parametrize("entry", [0.5, -1, np.nan, np.inf])
    def test_refuses_what_is_no_count(self, entry):
        with pytest.raises(ValueError, match=rf"must be counts .* got {entry}"):
            plots.confusion_matrix([[1, entry], [0, 1]])

    def test_refuses_a_wrong_number_of_names(self):
        with pytest.raises(ValueError, match=r"3 class names for 2 classes"):
            plots.confusion_matrix(ZERO_OR_NOT, class_names=["a", "b", "c"])


class TestGradientError:
    def test_each_cell_is_claimed_minus_right(self, rng):
        claimed, right = rng.standard_normal((2, 3, 5))

        ax = plots.gradient_error(claimed, right)

        (image,) = ax.images
        np.testing.assert_array_equal(image.get_array(), claimed - right)
        assert list(image.get_extent()) == [-0.5, 4.5, 2.5, -0.5]
        assert (ax.get_ylabel(), ax.get_xlabel().split("\n")[0]) == ("axis 0", "axis 1")

    def test_no_error_has_the_middle_colour_and_the_scale_is_symmetric(self):
        ax = plots.gradient_error([[1.0, 5.0]], [[1.0, 2.0]])

        (image,) = ax.images
        assert image.get_clim() == (-3, 3)
        assert np.all(np.array(image.cmap(image.norm(0.0)))[:3] > 0.9)

    def test_the_largest_error_is_framed_and_named(self, rng):
        right = rng.standard_normal((4, 6))
        claimed = right.copy()
        claimed[1, 2] += 0.25
        claimed[3, 4] -= 1.5

        ax = plots.gradient_error(claimed, right)

        (frame,) = ax.patches
        assert frame.get_bbox().bounds == (3.5, 2.5, 1, 1)
        assert ax.get_xlabel() == "axis 1\nlargest error: -1.5 at [3, 4], framed"

    def test_one_wrong_entry_among_fifty_thousand_is_seen(self, rng):
        right = rng.standard_normal((64, 784))
        claimed = right.copy()
        claimed[40, 700] += 3

        ax = plots.gradient_error(claimed, right)

        (image,) = ax.images
        shown = np.asarray(image.get_array())
        left, end, bottom, top = image.get_extent()
        assert shown.shape[1] <= 120
        (row, column) = np.argwhere(shown)[0]
        assert np.count_nonzero(shown) == 1
        assert shown[row, column] == pytest.approx(3)
        across = left + np.array([column, column + 1]) * (end - left) / shown.shape[1]
        down = top + np.array([row, row + 1]) * (bottom - top) / shown.shape[0]
        assert across[0] < 700 < across[1]
        assert down[0] < 40 < down[1]
        assert "at [40, 700]" in ax.get_xlabel()
        assert ax.get_xlim() == (-0.5, 783.5)
        (frame,) = ax.patches
        assert frame.get_bbox().contains(700, 40)

    @pytest.mark.parametrize(
        ("shape", "across", "down"),
        [((5,), "axis 0", ""), ((2, 3, 4), "axis 2", "axis 0, axis 1"), ((), "", "")],
        ids=str,
    )
    def test_draws_every_number_of_axes(self, shape, across, down):
        claimed = np.arange(np.prod(shape, dtype=int)).reshape(shape) + 1.0

        ax = plots.gradient_error(claimed, np.zeros(shape))

        (image,) = ax.images
        np.testing.assert_array_equal(np.ravel(image.get_array()), claimed.ravel())
        lines = ax.get_xlabel().split("\n")
        assert (ax.get_ylabel(), lines[0] if across else "") == (down, across)
        assert lines[-1].startswith("largest error" if shape else "error: 1")

    def test_an_index_of_three_axes_is_given_in_full(self):
        claimed = np.zeros((2, 3, 4))
        claimed[1, 0, 3] = 7

        ax = plots.gradient_error(claimed, np.zeros((2, 3, 4)))

        assert "largest error: 7 at [1, 0, 3]" in ax.get_xlabel()
        assert ax.patches[0].get_bbox().contains(3, 3)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_entries_that_are_not_finite_are_black_and_counted(self, bad):
        ax = plots.gradient_error([[bad, 1.0], [0.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]])

        (image,) = ax.images
        assert image.cmap(image.norm(image.get_array()))[0, 0].tolist() == [0, 0, 0, 1]
        assert image.get_clim() == (-2, 2)
        assert ax.get_xlabel().endswith("1 of 4 nan or infinite, black")

    def test_one_that_is_not_finite_is_seen_among_many(self):
        claimed = np.zeros((64, 784))
        claimed[3, 500] = np.nan

        ax = plots.gradient_error(claimed, np.zeros((64, 784)))

        assert np.isnan(ax.images[0].get_array().filled(np.nan)).sum() == 1

    def test_no_error_is_said(self):
        ax = plots.gradient_error(np.ones((2, 2)), np.ones((2, 2)))

        assert ax.get_xlabel().endswith("no error")
        assert list(ax.patches) == []

    @pytest.mark.parametrize("shape", [(), (1,), (1, 5), (5, 1), (4, 9)], ids=str)
    def test_ticks_stand_at_whole_indices_that_exist(self, shape):
        ax = plots.gradient_error(np.ones(shape), np.zeros(shape))

        ax.get_figure().draw_without_rendering()
        rows, columns = ax.images[0].get_array().shape
        for ticks, count in ((ax.get_xticks(), columns), (ax.get_yticks(), rows)):
            inside = ticks[(ticks > -0.5) & (ticks < count - 0.5)]
            assert np.isin(inside, np.arange(count)).all()

    @pytest.mark.parametrize(
        ("claimed", "right"), [((3, 2), (2, 3)), ((3,), (3, 1)), ((0,), (0,))]
    )
    def test_refuses_two_shapes_or_no_entries(self, claimed, right):
        with pytest.raises(ValueError, match=r"one shape and some entries, got \("):
            plots.gradient_error(np.zeros(claimed), np.zeros(right))
