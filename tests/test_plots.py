"""The pictures say what they should, stay off the screen and refuse wrong shapes."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

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

# How a file of each format begins.
MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}

PICTURES = {
    "loss_curve": lambda **kw: plots.loss_curve([0, 1, 2], [0.9, 0.4, 0.3], **kw),
    "activation": lambda **kw: plots.activation(np.tanh, **kw),
    "digit_samples": lambda **kw: plots.digit_samples(np.eye(8)[None], [1], [7], **kw),
    "confusion_matrix": lambda **kw: plots.confusion_matrix(
        ZERO_OR_NOT, class_names=["not zero", "zero"], **kw
    ),
    "gradient_error": lambda **kw: plots.gradient_error(np.eye(3), -np.eye(3), **kw),
}


@pytest.fixture(params=PICTURES)
def picture(request):
    """Each picture, as a function of its keyword arguments."""
    return PICTURES[request.param]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def captions(ax):
    return [text.get_text() for text in ax.texts]


def overlapping(texts):
    """Pairs of non-empty texts whose boxes on the page meet."""
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts]
    boxes = [(word, box) for word, box in boxes if word]
    return [
        (a, b)
        for i, (a, first) in enumerate(boxes)
        for b, second in boxes[:i]
        if first.overlaps(second)
    ]


def luminance(rgb):
    """Relative luminance of an sRGB colour, by the formula of WCAG 2."""
    rgb = np.asarray(rgb[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


class TestEveryPicture:
    def test_draws_on_the_axes_it_is_given(self, picture):
        ax = Figure().add_subplot()

        assert picture(ax=ax) is ax

    def test_makes_one_axes_of_its_own(self, picture):
        ax = picture()

        assert ax.get_figure().axes == [ax]

    def test_carries_the_title_it_is_given(self, picture):
        assert picture(title="A picture").get_title() == "A picture"

    def test_refuses_a_figure_in_place_of_axes(self, picture):
        with pytest.raises(TypeError, match=r"ax must be one matplotlib Axes, got Fig"):
            picture(ax=Figure())

    def test_fits_into_its_own_figure(self, picture):
        figure = picture().get_figure()

        figure.draw_without_rendering()
        page, ink = (
            figure.bbox,
            figure.get_tightbbox().transformed(figure.dpi_scale_trans),
        )

        assert ink.x0 >= page.x0 - 1
        assert ink.y0 >= page.y0 - 1
        assert ink.x1 <= page.x1 + 1
        assert ink.y1 <= page.y1 + 1


def test_neither_import_nor_drawing_touches_pyplot(tmp_path):
    """In a fresh process, since another test may have imported pyplot."""
    script = (
        "import sys\n"
        "from tinygrad_edu import plots\n"
        "assert 'matplotlib' not in sys.modules, 'imported with the package'\n"
        "plots.save(plots.activation(lambda x: x), sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules, 'drawn with pyplot'\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "line.png")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


class TestLossCurve:
    def test_draws_losses_against_epochs(self):
        ax = plots.loss_curve([0, 10, 20], [0.7, 0.2, 0.1])

        np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 10, 20])
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0.7, 0.2, 0.1])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")

    def test_gives_the_last_loss_to_four_digits(self):
        ax = plots.loss_curve([0, 99], [0.7471125, 0.0413329211])

        assert legend(ax) == ["last 0.04133"]

    def test_tells_two_curves_apart_by_their_dashes(self):
        ax = plots.loss_curve([0, 1], [2, 1], label="training")
        plots.loss_curve([0, 1], [3, 2], label="validation", ax=ax)

        assert legend(ax) == ["training, last 1", "validation, last 2"]
        assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]

    def test_shows_zero_loss_on_a_linear_scale(self):
        ax = plots.loss_curve([0, 1], [2.0, 1.9])

        assert ax.get_ylim()[0] <= 0

    def test_ticks_whole_epochs_only(self):
        ax = plots.loss_curve([0, 1, 2], [3.0, 2.0, 1.0])

        assert all(tick == round(tick) for tick in ax.get_xticks())

    def test_a_logarithmic_scale_is_named(self):
        ax = plots.loss_curve([0, 1], [1.0, 0.1], log=True)

        assert ax.get_yscale() == "log"
        assert ax.get_ylabel() == "loss (log scale)"

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_marks_the_epoch_at_which_the_loss_blows_up(self, bad):
        ax = plots.loss_curve([0, 1, 2, 3], [1.0, 50.0, bad, bad])

        assert legend(ax) == ["last 50", "not finite at epoch 2"]
        assert ax.get_xlim()[1] >= 3

    def test_says_so_when_no_loss_is_finite(self):
        ax = plots.loss_curve([0], [np.nan])

        assert legend(ax) == ["no finite loss", "not finite at epoch 0"]

    @pytest.mark.parametrize(
        ("epochs", "losses", "message"),
        [
            ([0, 1], [1.0], r"2 epochs but 1 losses"),
            ([], [], r"epochs must have shape \(n,\) with n > 0, got \(0,\)"),
            ([0], [[1.0]], r"losses must have shape .* got \(1, 1\)"),
        ],
    )
    def test_refuses_wrong_shapes(self, epochs, losses, message):
        with pytest.raises(ValueError, match=message):
            plots.loss_curve(epochs, losses)

    def test_refuses_a_logarithm_of_zero(self):
        with pytest.raises(ValueError, match=r"epoch 7 is 0; .* Leave out log=True"):
            plots.loss_curve([6, 7], [1.0, 0.0], log=True)


class TestActivation:
    def test_draws_the_function_between_the_ends(self):
        ax = plots.activation(np.tanh, low=-2, high=3, points=11)

        x, y = ax.lines[0].get_data()
        np.testing.assert_array_equal(x, np.linspace(-2, 3, 11))
        np.testing.assert_array_equal(y, np.tanh(x))

    def test_names_the_axes_and_draws_a_grid(self):
        ax = plots.activation(np.tanh)

        assert (ax.get_xlabel(), ax.get_ylabel()) == ("input", "output")
        assert all(line.get_visible() for line in ax.get_xgridlines())

    def test_takes_a_function_that_returns_a_tensor(self):
        class Tensor:
            def __init__(self, values):
                self.values = values

            def numpy(self):
                return self.values

        ax = plots.activation(lambda x: Tensor(2 * x), points=3)

        np.testing.assert_array_equal(ax.lines[0].get_ydata(), [-10, 0, 10])

    @pytest.mark.parametrize(
        ("keywords", "message"),
        [
            ({"low": 2, "high": 1}, r"low must be below high, got 2 and 1"),
            ({"high": np.inf}, r"low must be below high, got -5.0 and inf"),
            ({"points": 1}, r"needs 2 points or more, got 1"),
        ],
    )
    def test_refuses_an_empty_interval(self, keywords, message):
        with pytest.raises(ValueError, match=message):
            plots.activation(np.tanh, **keywords)

    def test_refuses_a_function_that_is_not_elementwise(self):
        with pytest.raises(ValueError, match=r"shape \(501,\) and returned one of sha"):
            plots.activation(np.sum)


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


class TestSave:
    @pytest.mark.parametrize("suffix", MAGIC)
    def test_writes_the_format_that_the_suffix_names(self, tmp_path, suffix):
        path = plots.save(plots.activation(np.tanh), tmp_path / f"tanh{suffix}")

        assert path == tmp_path / f"tanh{suffix}"
        assert path.read_bytes().startswith(MAGIC[suffix])

    @pytest.mark.parametrize("suffix", MAGIC)
    def test_the_same_picture_gives_the_same_bytes(self, tmp_path, suffix, monkeypatch):
        first = plots.save(plots.activation(np.tanh), tmp_path / f"1{suffix}")
        # matplotlib takes the present from here: another day, if it is asked at all.
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
        second = plots.save(plots.activation(np.tanh), tmp_path / f"2{suffix}")

        assert first.read_bytes() == second.read_bytes()

    def test_replaces_a_file(self, tmp_path):
        path = tmp_path / "tanh.png"
        path.write_bytes(b"old")

        plots.save(plots.activation(np.tanh), path)

        assert path.read_bytes().startswith(b"\x89PNG")

    def test_a_failure_leaves_the_old_file_and_no_other(self, tmp_path, monkeypatch):
        path = tmp_path / "tanh.png"
        path.write_bytes(b"old")

        def savefig(self, part, **keywords):
            part.write(b"half a pict")
            raise OSError("disk full")

        monkeypatch.setattr(Figure, "savefig", savefig)
        with pytest.raises(OSError, match="disk full"):
            plots.save(plots.activation(np.tanh), path)

        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["tanh", "tanh.html"])
    def test_refuses_another_suffix(self, tmp_path, name):
        with pytest.raises(ValueError, match=r"must end in one of \.png, \.svg, \.pdf"):
            plots.save(plots.activation(np.tanh), tmp_path / name)

        assert list(tmp_path.iterdir()) == []
