"""Gradients by size and in words; a step along them leaves no trace."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import legend, overlapping

import tinygrad_edu as te
from tinygrad_edu import plots


def parameter(data, grad):
    return SimpleNamespace(
        data=np.array(data, dtype=float),
        grad=None if grad is None else np.array(grad, dtype=float),
    )


def words_of_rows(ax):
    """What stands beside the rows, by the row's name."""
    last = ax.get_figure().axes[-1]
    names = [text.get_text() for text in ax.get_yticklabels()]
    return {names[int(text.get_position()[1])]: text.get_text() for text in last.texts}


class TestGradientFlow:
    def test_a_row_for_each_parameter_the_first_on_top(self):
        model = te.nn.Sequential(te.nn.Linear(2, 3, rng=0), te.nn.Linear(3, 1, rng=1))
        (model(np.ones((4, 2))) ** 2).mean().backward()

        ax = plots.gradient_flow(model.named_parameters())

        names = [text.get_text() for text in ax.get_yticklabels()]
        assert names == ["0.weight", "0.bias", "1.weight", "1.bias"]
        assert ax.yaxis_inverted()
        means = [np.abs(p.grad).mean() for p in model.parameters()]
        np.testing.assert_allclose(ax.lines[0].get_xdata(), means)
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), range(4))

    def test_the_bar_goes_from_5_to_95_per_cent_on_a_logarithmic_scale(self):
        grad = -np.arange(1.0, 102)  # its quantiles are whole numbers

        ax = plots.gradient_flow([("w", parameter(np.ones(101), grad))])

        (bars,) = ax.collections
        assert ax.get_xscale() == "log"
        np.testing.assert_allclose(bars.get_segments(), [[[6, 0], [96, 0]]])

    @pytest.mark.parametrize(
        ("grad", "words"),
        [
            (None, "no gradient"),
            ([0.0, 0.0, 0.0, 0.0], "all 0"),
            ([1.0, 0.0, 0.0, 0.0], "75% are 0"),
            ([1.0, np.nan, np.inf, 2.0], "2 of 4 nan or infinite"),
            ([np.nan] * 4, "4 of 4 nan or infinite"),
            ([np.nan, 0.0, 2.0, 2.0], "1 of 4 nan or infinite, 25% are 0"),
        ],
    )
    def test_what_is_no_size_stands_in_words(self, grad, words):
        pairs = [("a", parameter([1.0], [0.1])), ("b", parameter(np.ones(4), grad))]

        ax = plots.gradient_flow(pairs)

        ax.get_figure().draw_without_rendering()
        assert words_of_rows(ax) == {"b": words}

    def test_alarming_words_are_bold(self):
        pairs = [
            ("a", parameter([1.0], None)),
            ("b", parameter([1.0, 1.0], [0.0, 1.0])),
        ]

        ax = plots.gradient_flow(pairs)

        assert [text.get_fontweight() for text in ax.texts] == ["bold", "normal"]

    def test_zeros_count_in_the_mean_but_not_in_the_bar(self):
        ax = plots.gradient_flow([("w", parameter(np.ones(4), [0, 0, 2, 2]))])

        assert ax.lines[0].get_xdata() == [1]
        np.testing.assert_allclose(ax.collections[0].get_segments()[0][:, 0], 2)

    def test_the_ratio_of_step_and_parameter_has_a_guide_at_a_thousandth(self):
        pairs = [
            ("a", parameter([3.0, 4.0], [0.0, 0.5])),
            ("b", parameter([2.0], [1.0])),
        ]

        ax = plots.gradient_flow(pairs, learning_rate=0.1)

        _, panel = ax.get_figure().axes
        guide, ratios = panel.lines
        assert list(guide.get_xdata()) == [1e-3, 1e-3]
        np.testing.assert_allclose(ratios.get_xdata(), [0.1 * 0.5 / 5, 0.1 * 1 / 2])
        assert panel.get_xscale() == "log"
        assert panel.get_xlabel().startswith("0.1 · ‖gradient‖ / ‖parameter‖")
        assert panel.get_ylim() == ax.get_ylim()

    def test_a_ratio_to_nothing_stands_in_words(self):
        pairs = [("a", parameter([0.0], [1.0])), ("b", parameter([0.0], None))]

        ax = plots.gradient_flow(pairs, learning_rate=0.1)

        words = {"a": "parameter is 0", "b": "no gradient; parameter is 0"}
        assert words_of_rows(ax) == words

    @pytest.mark.parametrize("grad", [1.0, 3e-7, None])
    def test_numbers_do_not_crowd_where_little_is_drawn(self, grad):
        ax = plots.gradient_flow([("w", parameter(1.0, grad))], learning_rate=1)

        ax.get_figure().draw_without_rendering()
        for panel in ax.get_figure().axes:
            numbers = panel.get_xticklabels() + panel.get_xticklabels(minor=True)
            assert overlapping(numbers) == []

    @pytest.mark.parametrize("own_figure", [True, False])
    def test_two_hundred_long_names_do_not_overlap(self, own_figure):
        pairs = [
            (f"encoder.blocks.{i}.attention.weight", parameter([1.0], [10.0**-i]))
            for i in range(200)
        ]
        ax = None if own_figure else Figure(figsize=(9, 20)).add_subplot()

        ax = plots.gradient_flow(pairs, learning_rate=0.1, ax=ax)

        ax.get_figure().draw_without_rendering()
        assert overlapping(ax.get_yticklabels()) == []

    def test_a_name_is_cut_in_the_middle_and_is_no_formula(self):
        name = "first" + 10_000 * "x" + "\n\u202e$\\frac$last"

        ax = plots.gradient_flow([(name, parameter([1.0], [1.0]))])

        ax.get_figure().draw_without_rendering()
        (label,) = ax.get_yticklabels()
        assert label.get_text().startswith("firstxxx")
        assert label.get_text().endswith("xx  \\$\\frac\\$last")
        assert "…" in label.get_text()
        assert len(label.get_text()) == 60 + 2  # two backslashes are not drawn

    @pytest.mark.parametrize(
        "wrong",
        [
            [parameter([1.0], [1.0])],
            {"w": parameter([1.0], [1.0])},
            [("w", np.ones(3))],
            parameter([1.0], [1.0]),
        ],
        ids=["parameters", "mapping", "arrays", "one"],
    )
    def test_refuses_what_are_no_pairs(self, wrong):
        with pytest.raises(TypeError, match=r"pass layer.named_parameters\(\), pairs"):
            plots.gradient_flow(wrong)

    @pytest.mark.parametrize("count", [0, 501])
    def test_refuses_none_and_too_many(self, count):
        with pytest.raises(ValueError, match=f"draws 1 to 500 parameters, got {count}"):
            plots.gradient_flow([("w", parameter([1.0], [1.0]))] * count)

    @pytest.mark.parametrize("rate", [0, -0.1, np.nan, np.inf])
    def test_refuses_a_learning_rate_that_is_not_positive(self, rate):
        with pytest.raises(ValueError, match=f"positive and finite, got {rate}"):
            plots.gradient_flow([("w", parameter([1.0], [1.0]))], rate)


class TestLossAlongGradient:
    def test_draws_the_loss_where_the_steps_lead_and_the_tangent(self):
        """Of L = w², so that L(w - s g) = (w - 2 s w)²."""
        w = parameter([3.0], [6.0])

        ax = plots.loss_along_gradient(lambda: w.data**2, [w], 0.25, reach=2)

        loss, tangent = ax.lines[:2]
        steps = loss.get_xdata()
        assert (steps[0], steps[-1]) == (-1, 2)
        np.testing.assert_allclose(loss.get_ydata(), (3 - 0.25 * steps * 6) ** 2)
        np.testing.assert_allclose(tangent.get_ydata(), 9 - 36 * 0.25 * steps)
        assert loss.get_linestyle() != tangent.get_linestyle()

    def test_marks_the_learning_rate_with_what_it_does_and_what_was_predicted(self):
        w = parameter([3.0], [6.0])

        ax = plots.loss_along_gradient(lambda: w.data**2, [w], 0.25)

        assert legend(ax)[2:] == ["learning rate 0.25: loss 9 → 2.25", "predicted: 0"]
        here, there, predicted = (dot.get_offsets().tolist() for dot in ax.collections)
        assert (here, there, predicted) == ([[0, 9]], [[1, 2.25]], [[1, 0]])

    def test_adds_up_over_parameters(self):
        a, b = parameter([[1.0, 2.0]], [[1.0, 0.0]]), parameter(3.0, -2.0)

        ax = plots.loss_along_gradient(
            lambda: a.data.sum() + 10 * b.data, [a, b], learning_rate=0.5
        )

        loss, tangent = ax.lines[:2]
        steps = loss.get_xdata()
        np.testing.assert_allclose(loss.get_ydata(), 33 - 0.5 * steps * (1 - 20))
        np.testing.assert_allclose(tangent.get_ydata(), 33 - 0.5 * steps * (1 + 4))

    def test_takes_gradients_in_place_of_those_left_behind(self):
        w = parameter([3.0], None)

        ax = plots.loss_along_gradient(lambda: w.data[0], [w], 1, gradients=[[2.0]])

        np.testing.assert_allclose(
            ax.lines[1].get_ydata(), 3 - 4 * ax.lines[1].get_xdata()
        )

    def test_a_model_is_as_it_was_and_its_graph_still_good(self, rng):
        """Bit for bit, and a graph recorded before can still be walked."""
        model = te.nn.Sequential(te.nn.Linear(3, 4, rng=0), te.nn.Tanh())
        x = rng.standard_normal((5, 3))
        model.parameters()[1].data[:2] = [-0.0, 1e-310]

        def loss_fn():
            return (model(x) ** 2).mean()

        loss = loss_fn()
        loss.backward(retain_graph=True)
        before = [(p.data, p.data.tobytes()) for p in model.parameters()]
        left = [p.grad.copy() for p in model.parameters()]

        ax = plots.loss_along_gradient(loss_fn, model.parameters(), 0.3)

        assert ax.collections[0].get_offsets()[0, 1] == pytest.approx(loss.item())
        for p, (array, numbers), grad in zip(
            model.parameters(), before, left, strict=True
        ):
            assert p.data is array
            assert p.data.tobytes() == numbers
            np.testing.assert_array_equal(p.grad, grad)
        loss.backward()
        np.testing.assert_allclose(model.parameters()[0].grad, 2 * left[0])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_failure_leaves_the_parameters_as_they_were(self, dtype):
        w = SimpleNamespace(data=np.array([0.1, 0.3], dtype), grad=np.ones(2, dtype))
        numbers = w.data.tobytes()

        def loss_fn():
            if w.data[0] < 0.05:
                raise KeyboardInterrupt
            return float(w.data.sum())

        with pytest.raises(KeyboardInterrupt):
            plots.loss_along_gradient(loss_fn, [w], 0.1)

        assert w.data.tobytes() == numbers
        assert w.data.dtype == dtype

    def test_records_nothing(self):
        w = te.tensor([2.0], requires_grad=True)
        recorded = []

        def loss_fn():
            loss = (w * w).sum()
            recorded.append(loss.requires_grad)
            return loss

        plots.loss_along_gradient(loss_fn, [w], 0.1, gradients=[[4.0]])

        assert not any(recorded)

    def test_a_loss_that_overflows_leaves_a_gap_and_is_counted(self):
        w = parameter([1.0], [-1000.0])

        ax = plots.loss_along_gradient(lambda: np.exp(w.data[0]), [w], 0.5)

        lost = np.count_nonzero(~np.isfinite(ax.lines[0].get_ydata()))
        assert lost > 10
        assert f"not finite at {lost} of 81 steps" in legend(ax)

    def test_the_view_is_as_high_as_the_loss(self):
        """The tangent falls to -2,391 here."""
        w = parameter([3.0], [6.0])

        ax = plots.loss_along_gradient(lambda: np.abs(w.data), [w], 0.5, reach=100)

        low, high = ax.get_ylim()
        largest = ax.lines[0].get_ydata().max()
        assert high >= largest
        assert -0.2 * largest < low <= 0

    def test_draws_a_gradient_of_zero(self):
        w = parameter([3.0], [0.0])

        ax = plots.loss_along_gradient(lambda: w.data[0], [w], 0.5)

        ax.get_figure().draw_without_rendering()
        assert set(ax.lines[0].get_ydata()) == set(ax.lines[1].get_ydata()) == {3}

    @pytest.mark.parametrize(
        ("parameters", "keywords", "message"),
        [
            ([], {}, r"no parameters; pass layer.parameters\(\)"),
            ([parameter(1.0, None)], {}, r"parameter 0 has no gradient; call loss.bac"),
            ([parameter([1.0], [np.nan])], {}, r"gradient 0 holds nan or infinity"),
            ([parameter([1.0], 1.0)], {}, r"parameter 0 has shape \(1,\), its gradi"),
            ([parameter(1.0, 1.0)] * 2, {}, r"parameter 1 is listed twice"),
            ([parameter(1.0, 1.0)], {"gradients": []}, r"0 gradients for 1 parameters"),
            (
                [parameter(1.0, 1.0)],
                {"learning_rate": 0},
                r"positive and finite, got 0",
            ),
            ([parameter(1.0, 1.0)], {"reach": -1}, r"reach must be positive .* got -1"),
        ],
    )
    def test_refuses_what_does_not_fit(self, parameters, keywords, message):
        with pytest.raises(ValueError, match=message):
            plots.loss_along_gradient(
                lambda: 1.0, parameters, **{"learning_rate": 0.1, **keywords}
            )

    @pytest.mark.parametrize(
        ("loss", "message"),
        [
            (np.ones(2), r"loss_fn must return one number, got shape \(2,\)"),
            (np.nan, r"the loss at the present parameters is nan"),
        ],
    )
    def test_refuses_a_loss_that_is_no_number(self, loss, message):
        with pytest.raises(ValueError, match=message):
            plots.loss_along_gradient(lambda: loss, [parameter(1.0, 1.0)], 0.1)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            (parameter(1.0, 1.0), r"must be a list, got one SimpleNamespace"),
            (
                [("w", parameter(1.0, 1.0))],
                r"parameter 0 has no array .data .* a tuple",
            ),
            ([SimpleNamespace(data=1.0, grad=1.0)], r"has no array .data that can be"),
        ],
    )
    def test_refuses_what_are_no_parameters(self, parameters, message):
        with pytest.raises(TypeError, match=message):
            plots.loss_along_gradient(lambda: 1.0, parameters, 0.1)
