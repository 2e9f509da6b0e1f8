"""Sheets of images show each one in order, with what belongs to it."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import captions, luminance, overlapping

import tinygrad_edu as te
from tinygrad_edu import plots


class TestDigitSamples:
    IMAGES = np.arange(6 * 16.0).reshape(6, 4, 4)
    LABELS = (0, 1, 2, 3, 4, 5)
    PREDICTIONS = (0, 1, 8, 3, 4, 6)

    def test_draws_every_image_in_order(self):
        ax = plots.digit_samples(self.IMAGES, columns=4)

        drawn = [np.asarray(image.get_array()) for image in ax.images]
        np.testing.assert_array_equal(drawn, self.IMAGES)

    def test_lays_them_out_in_rows(self):
        ax = plots.digit_samples(self.IMAGES, columns=4)

        left, _, bottom, top = np.transpose([img.get_extent() for img in ax.images])
        np.testing.assert_array_equal(left[:2], left[4:])
        assert (top[:4] == top[0]).all()
        assert (top[4:] > bottom[0]).all()
        assert ax.yaxis_inverted()  # y grows downwards
        assert (bottom > top).all()  # and the images stand upright

    def test_flat_and_square_images_look_the_same(self):
        square = plots.digit_samples(self.IMAGES)
        flat = plots.digit_samples(self.IMAGES.reshape(6, 16))

        for a, b in zip(square.images, flat.images, strict=True):
            np.testing.assert_array_equal(a.get_array(), b.get_array())

    def test_all_images_share_one_scale_of_grey(self):
        ax = plots.digit_samples(self.IMAGES)

        assert {image.get_clim() for image in ax.images} == {(0.0, 95.0)}

    def test_marks_the_wrong_ones_with_a_cross_a_frame_and_bold_type(self):
        ax = plots.digit_samples(self.IMAGES, self.LABELS, self.PREDICTIONS)

        assert captions(ax) == [
            "0 → 0",
            "1 → 1",
            "2 → 8 ×",
            "3 → 3",
            "4 → 4",
            "5 → 6 ×",
        ]
        wrong = [False, False, True, False, False, True]
        assert [frame.get_linewidth() > 1 for frame in ax.patches] == wrong
        assert [text.get_fontweight() == "bold" for text in ax.texts] == wrong

    def test_the_title_explains_the_captions_and_counts_the_wrong_ones(self):
        ax = plots.digit_samples(self.IMAGES, self.LABELS, self.PREDICTIONS)

        assert ax.get_title() == "label → prediction (2 of 6 wrong, framed)"

    @pytest.mark.parametrize("name", ["label", "prediction"])
    def test_labels_or_predictions_alone_mark_nothing(self, name):
        ax = plots.digit_samples(self.IMAGES, **{name + "s": self.LABELS})

        assert ax.get_title() == name
        assert captions(ax) == ["0", "1", "2", "3", "4", "5"]
        assert all(frame.get_linewidth() < 1 for frame in ax.patches)

    def test_equal_labels_of_different_types_are_equal(self):
        texts, floats = np.array(["7"]), np.array([7.0])

        ax = plots.digit_samples(self.IMAGES[:1], texts, floats)

        assert captions(ax) == ["7 → 7"]

    def test_draws_a_constant_image(self):
        ax = plots.digit_samples(np.ones((1, 3, 3)))

        ax.get_figure().draw_without_rendering()

    @pytest.mark.parametrize("columns", [1, 8, 20])
    @pytest.mark.parametrize("own_figure", [True, False])
    def test_captions_do_not_overlap(self, columns, own_figure):
        images, labels = np.ones((40, 2, 2)), np.full(40, "sneaker")
        ax = None if own_figure else Figure(figsize=(16, 40)).add_subplot()

        ax = plots.digit_samples(images, labels, labels, columns=columns, ax=ax)
        ax.get_figure().draw_without_rendering()

        assert overlapping(ax.texts) == []

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((784,), r"got \(784,\)\. A single image: images\[None\]"),
            ((5, 12), r"images must have shape \(n, side \* side\) .* got \(5, 12\)"),
            ((5, 4, 3), r"got \(5, 4, 3\)"),
            ((0, 64), r"1 to 500 images, got 0 of 8 x 8 pixels"),
            ((501, 4), r"1 to 500 images, got 501 .* images\[:40\]"),
        ],
    )
    def test_refuses_images_of_wrong_shape(self, shape, message):
        with pytest.raises(ValueError, match=message):
            plots.digit_samples(np.zeros(shape))

    def test_refuses_images_that_are_not_finite(self):
        with pytest.raises(ValueError, match="nan or infinity"):
            plots.digit_samples(np.full((1, 4), np.nan))

    @pytest.mark.parametrize("name", ["labels", "predictions"])
    def test_refuses_one_hot_rows(self, name):
        with pytest.raises(
            ValueError,
            match=rf"{name} must have shape \(6,\), .* got \(6, 10\).*argmax",
        ):
            plots.digit_samples(self.IMAGES, **{name: np.zeros((6, 10))})

    def test_refuses_no_columns(self):
        with pytest.raises(ValueError, match="columns must be 1 or more, got 0"):
            plots.digit_samples(self.IMAGES, columns=0)


class TestWorstMistakes:
    IMAGES = np.arange(5 * 4.0).reshape(5, 2, 2)
    LABELS = (0, 1, 2, 1, 0)
    PROBABILITIES = (
        (0.9, 0.1, 0.0),  # right
        (0.6, 0.3, 0.1),
        (0.0, 0.8, 0.2),
        (0.8, 0.0, 0.2),  # as sure, and the label seemed less likely
        (0.4, 0.5, 0.1),
    )

    def test_the_surest_stands_first_with_its_probability(self):
        ax = plots.worst_mistakes(self.IMAGES, self.LABELS, self.PROBABILITIES)

        assert captions(ax) == [
            "1 → 0, 80.0%",
            "2 → 1, 80.0%",
            "1 → 0, 60.0%",
            "0 → 1, 50.0%",
        ]
        drawn = [np.asarray(image.get_array()) for image in ax.images]
        np.testing.assert_array_equal(drawn, self.IMAGES[[3, 2, 1, 4]])

    def test_draws_at_most_count_and_says_how_many_are_wrong(self):
        ax = plots.worst_mistakes(self.IMAGES, self.LABELS, self.PROBABILITIES, count=3)

        assert len(ax.images) == 3
        assert ax.get_title().endswith("4 of 5 wrong, the 3 surest shown")

    def test_says_so_when_nothing_is_wrong(self):
        ax = plots.worst_mistakes(self.IMAGES[:2], [0, 1], np.eye(2))

        assert list(ax.images) == []
        assert ax.get_title().endswith("0 of 2 wrong")

    def test_takes_tensors_of_a_graph(self):
        x = te.tensor(np.zeros((1, 2)), requires_grad=True)

        ax = plots.worst_mistakes(self.IMAGES[:1], [1], te.softmax(x))

        assert captions(ax) == ["1 → 0, 50.0%"]

    def test_finds_them_among_more_images_than_a_sheet_holds(self):
        labels = np.zeros(600, dtype=int)
        labels[599] = 1

        ax = plots.worst_mistakes(np.ones((600, 4)), labels, [[0.9, 0.1]] * 600)

        assert captions(ax) == ["1 → 0, 90.0%"]

    @pytest.mark.parametrize(
        ("labels", "probabilities", "message"),
        [
            ([0, 1], [0.2, 0.8], r"shape \(n, k\), .* got \(2,\)\. Of two classes"),
            ([0, 1], [[2.0, -1.0], [0.5, 0.5]], r"0 or more, .* Pass the softmax"),
            ([0, 1], [[3.0, 1.0], [0.5, 0.5]], r"1 in sum over a row"),
            ([0, 1], [[np.nan, 1.0], [0.5, 0.5]], "nan or infinity"),
            ([0, 2], np.eye(2), r"whole numbers from 0 to 1"),
            ([0, -1], np.eye(2), r"whole numbers from 0 to 1"),
            ([0.0, 1.0], np.eye(2), r"whole numbers from 0 to 1"),
            (np.eye(2, dtype=int), np.eye(2), r"\(2,\), .* One-hot rows: pass .argmax"),
            ([0], [[1.0, 0.0]], r"2 images for 1 labels"),
        ],
    )
    def test_refuses_what_does_not_fit(self, labels, probabilities, message):
        with pytest.raises(ValueError, match=message):
            plots.worst_mistakes(self.IMAGES[:2], labels, probabilities)

    @pytest.mark.parametrize("name", ["count", "columns"])
    def test_refuses_none_of_them(self, name):
        with pytest.raises(ValueError, match=f"{name} must be 1 or more, got 0"):
            plots.worst_mistakes(self.IMAGES[:2], [0, 1], np.eye(2), **{name: 0})


class TestFirstLayerWeights:
    def test_each_row_is_an_image_in_order(self, rng):
        weight = rng.standard_normal((6, 9))

        ax = plots.first_layer_weights(weight)

        drawn = [np.asarray(image.get_array()) for image in ax.images]
        np.testing.assert_array_equal(drawn, weight.reshape(6, 3, 3))
        assert captions(ax) == ["0", "1", "2", "3", "4", "5"]
        assert ax.get_title() == "First-layer weights: 6 of 6 units"

    def test_takes_the_weight_of_a_layer(self):
        layer = te.nn.Linear(4, 2, rng=0)

        ax = plots.first_layer_weights(layer.weight)

        np.testing.assert_array_equal(
            np.ravel(ax.images[1].get_array()), layer.weight.data[1]
        )

    def test_zero_is_white_and_all_share_one_symmetric_scale(self):
        ax = plots.first_layer_weights([[0.0, 1.0, -3.0, 0.5], [0.0, 0.0, 0.0, 2.0]])

        assert {image.get_clim() for image in ax.images} == {(-3, 3)}
        image = ax.images[0]
        zero, high, low = image.cmap(image.norm([0.0, 3.0, -3.0]))
        assert zero.tolist() == [1, 1, 1, 1]
        assert np.abs(high - low).max() > 0.3
        (key,) = ax.child_axes
        assert key.get_ylim() == (-3, 3)

    def test_negative_weights_are_marked_without_colour_too(self):
        ax = plots.first_layer_weights([[0.0, 1.0, -3.0, -2.0], [-1.0, 0.0, 0.0, 2.0]])

        (dashes,) = ax.collections
        middles = [path.vertices[:4].mean(axis=0) for path in dashes.get_paths()]
        left, top = ax.images[1].get_extent()[0], ax.images[1].get_extent()[3]
        expected = [[0.5, 1.5], [1.5, 1.5], [left + 0.5, top + 0.5]]
        np.testing.assert_allclose(middles, expected)

    def test_a_dash_contrasts_with_its_cell(self):
        weight = -np.linspace(0.11, 1, 100)
        ax = plots.first_layer_weights(weight[None])

        (dashes,) = ax.collections
        image = ax.images[0]
        cells = [luminance(rgb) for rgb in image.cmap(image.norm(weight))]
        lines = [luminance(rgb) for rgb in dashes.get_facecolor()]
        for dark, light in map(sorted, zip(cells, lines, strict=True)):
            assert (light + 0.05) / (dark + 0.05) >= 3

    def test_says_how_many_are_not_shown(self):
        ax = plots.first_layer_weights(np.arange(40.0).reshape(10, 4), count=3)

        shown = [np.asarray(image.get_array()).ravel() for image in ax.images]
        np.testing.assert_array_equal(shown, np.arange(12.0).reshape(3, 4))
        assert ax.get_title() == "First-layer weights: 3 of 10 units, 7 not shown"

    def test_an_image_need_not_be_square(self):
        weight = np.arange(6.0)[None]

        ax = plots.first_layer_weights(weight, (2, 3))

        np.testing.assert_array_equal(ax.images[0].get_array(), weight.reshape(2, 3))
        left, right, bottom, top = ax.images[0].get_extent()
        assert (right - left, bottom - top) == (3, 2)

    def test_weights_that_are_not_finite_are_black_and_counted(self):
        ax = plots.first_layer_weights([[np.nan, 1.0, np.inf, -2.0]])

        image = ax.images[0]
        colours = image.cmap(image.norm(image.get_array())).reshape(4, 4)
        assert colours[0].tolist() == colours[2].tolist() == [0, 0, 0, 1]
        assert image.get_clim() == (-2, 2)
        assert ax.get_title().endswith("\n2 of 4 weights nan or infinite, black")

    def test_draws_weights_that_are_all_zero(self):
        ax = plots.first_layer_weights(np.zeros((2, 4)))

        ax.get_figure().draw_without_rendering()
        assert ax.images[0].get_clim() == (-1, 1)

    @pytest.mark.parametrize(
        ("shape", "keywords", "message"),
        [
            ((4,), {}, r"must have shape \(units, pixels\), got \(4,\)"),
            ((0, 4), {}, r"got \(0, 4\)"),
            ((2, 5), {}, r"5 weights .* 2 x 2 pixels. Pass image_shape=\(rows, col"),
            ((2, 6), {"image_shape": (3, 3)}, r"6 weights .* 3 x 3 pixels"),
            ((2, 4), {"count": 0}, r"count must be 1 to 500, got 0"),
            ((2, 4), {"columns": 0}, r"columns must be 1 or more, got 0"),
        ],
    )
    def test_refuses_what_does_not_fit(self, shape, keywords, message):
        with pytest.raises(ValueError, match=message):
            plots.first_layer_weights(np.ones(shape), **keywords)
