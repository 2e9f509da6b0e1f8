"""Curves say which epoch was best, where they end, and where a loss blew up."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest
from pictures import legend

from tinygrad_edu import plots


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


class TestLearningCurves:
    LOSSES = MappingProxyType(
        {"training": [0.9, 0.5, 0.3, 0.2], "validation": [1.0, 0.6, 0.7, 0.9]}
    )

    def test_draws_each_loss_per_epoch_with_dashes_of_its_own(self):
        ax = plots.learning_curves(self.LOSSES)

        for line, losses in zip(ax.lines, self.LOSSES.values(), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
            np.testing.assert_array_equal(line.get_ydata(), losses)
        assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")

    def test_marks_and_names_the_epoch_of_the_lowest_validation_loss(self):
        ax = plots.learning_curves(self.LOSSES)

        assert legend(ax)[2] == "best validation: 0.6 at epoch 2"
        upright, ring = ax.collections
        assert ring.get_offsets().tolist() == [[2, 0.6]]
        assert upright.get_segments()[0][:, 0].tolist() == [2, 2]

    def test_the_first_of_equal_epochs_is_best(self):
        ax = plots.learning_curves([0.5, 0.3, 0.3])

        assert legend(ax) == ["loss, last 0.3", "best loss: 0.3 at epoch 2"]

    def test_takes_the_epochs_it_is_given(self):
        ax = plots.learning_curves(self.LOSSES, epochs=[0, 10, 20, 30])

        assert "best validation: 0.6 at epoch 10" in legend(ax)

    def test_one_epoch_is_a_point(self):
        ax = plots.learning_curves([0.5])

        ax.get_figure().draw_without_rendering()
        assert ax.lines[0].get_marker() == "o"
        assert 1 in ax.get_xticks()

    def test_metrics_stand_below_with_their_value_at_the_best_epoch(self):
        metrics = {"accuracy": [0.5, 0.75, 0.8, 0.7]}

        ax = plots.learning_curves(self.LOSSES, metrics=metrics)

        _, panel = ax.get_figure().axes
        ax.get_figure().draw_without_rendering()
        assert legend(panel) == ["accuracy, 0.75 at epoch 2"]
        assert (panel.get_xlabel(), panel.get_ylabel()) == ("epoch", "accuracy")
        np.testing.assert_array_equal(panel.lines[0].get_ydata(), metrics["accuracy"])
        assert panel.get_position().y1 < ax.get_position().y0
        panel.set_xlim(1, 2)
        assert ax.get_xlim() == (1, 2)

    def test_several_metrics_differ_by_their_dashes(self):
        metrics = {"accuracy": [0.5, 0.7], "recall": [0.4, 0.6]}

        ax = plots.learning_curves([0.9, 0.8], metrics=metrics)

        _, panel = ax.get_figure().axes
        assert panel.get_ylabel() == "metric"
        assert [line.get_linestyle() for line in panel.lines] == ["-", "--"]

    def test_a_loss_that_is_not_finite_is_not_the_best(self):
        losses = {"training": [1.0, 2.0, np.inf], "validation": [np.nan, 5.0, -np.inf]}

        ax = plots.learning_curves(losses)

        assert legend(ax) == [
            "training, last 2",
            "validation, last 5",
            "best validation: 5 at epoch 2",
            "training not finite at epoch 3",
            "validation not finite at epoch 1",
        ]

    def test_without_a_finite_loss_no_epoch_is_best(self):
        ax = plots.learning_curves([np.nan, np.nan], metrics={"accuracy": [0.1, 0.2]})

        assert legend(ax) == ["loss, no finite loss", "loss not finite at epoch 1"]
        _, panel = ax.get_figure().axes
        assert list(panel.collections) == []
        assert legend(panel) == ["accuracy"]

    def test_names_are_no_formulas_and_none_is_lost(self):
        ax = plots.learning_curves({"_a $\\frac$ b": [1.0]})

        ax.get_figure().draw_without_rendering()
        assert legend(ax)[0] == " _a \\$\\frac\\$ b, last 1"

    def test_draws_on_a_logarithmic_scale(self):
        ax = plots.learning_curves(self.LOSSES, log=True)

        assert ax.get_yscale() == "log"

    @pytest.mark.parametrize(
        ("losses", "keywords", "message"),
        [
            ({}, {}, r"no losses; pass \{name: values\}"),
            ([], {}, r"'loss' must have shape \(n,\) with n > 0, got \(0,\)"),
            (
                {"a": [1.0], "b": [1.0, 2.0]},
                {},
                r"2 epochs but 1 values of 'a'; pass one value per epoch",
            ),
            ([1.0], {"metrics": {"m": [1.0, 2.0]}}, r"1 epochs but 2 values of 'm'"),
            ([1.0], {"epochs": [1, 2]}, r"2 epochs but 1 values of 'loss'"),
            ([1.0], {"metrics": {"loss": [1.0]}}, r"have the same name"),
            ([1.0, 0.0], {"log": True}, r"the 'loss' at epoch 2 is 0; a logarithmic"),
        ],
    )
    def test_refuses_what_does_not_fit(self, losses, keywords, message):
        with pytest.raises(ValueError, match=message):
            plots.learning_curves(losses, **keywords)
