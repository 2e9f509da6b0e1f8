"""What layers put out and models decide, in shapes, hatches and words."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import captions, legend
from sklearn.linear_model import LogisticRegression

import tinygrad_edu as te
from tinygrad_edu import plots


class TestActivationSaturation:
    def test_a_row_for_each_layer_the_first_on_top(self):
        layers = {"1 Tanh": np.zeros((2, 2)), "3 Tanh": np.ones((2, 2))}

        ax = plots.activation_saturation(layers, "tanh")

        assert [text.get_text() for text in ax.get_yticklabels()] == [
            "1 Tanh",
            "3 Tanh",
        ]
        assert ax.yaxis_inverted()
        assert captions(ax) == ["saturated 0%", "saturated 100%"]

    @pytest.mark.parametrize(
        ("kind", "edge"),
        [
            ("tanh", np.sqrt(0.99)),  # 1 - a² = 0.01
            ("sigmoid", (1 + np.sqrt(0.99)) / 2),  # 4 a (1 - a) = 0.01
        ],
    )
    def test_saturated_is_a_derivative_below_one_per_cent(self, kind, edge):
        mirrored = -edge if kind == "tanh" else 1 - edge
        out = np.array([[edge + 1e-6, edge - 1e-6], [mirrored - 1e-6, mirrored + 1e-6]])

        ax = plots.activation_saturation({"layer": out}, kind)

        assert captions(ax) == ["saturated 50%"]

    def test_dead_is_a_unit_that_is_0_for_every_example(self):
        out = [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]

        ax = plots.activation_saturation({"layer": out}, "relu")

        assert captions(ax) == ["dead 2 of 4 units"]

    def test_units_may_have_several_axes(self):
        out = np.zeros((5, 2, 3, 3))
        out[4, 1] = 1

        ax = plots.activation_saturation({"layer": out}, "relu")

        assert captions(ax) == ["dead 9 of 18 units"]

    def test_much_of_it_is_said_in_bold(self):
        layers = {
            str(count): np.r_[np.ones(count), np.zeros(100 - count)][None]
            for count in (9, 10)
        }

        ax = plots.activation_saturation(layers, "tanh")

        assert captions(ax) == ["saturated 9%", "saturated 10%"]
        assert [text.get_fontweight() for text in ax.texts] == ["normal", "bold"]

    def test_the_histogram_counts_and_hatches_what_is_saturated(self):
        out = np.array([[-0.5, 0.5, 0.51, 1.0]])

        ax = plots.activation_saturation({"layer": out}, "tanh")

        every, bad = ax.patches
        edges = every.get_data().edges
        assert (edges[0], edges[-1]) == (-1, 1)
        heights = 0.4 - every.get_data().values  # y grows downwards from the row's line
        counts = np.histogram(out, edges)[0]
        np.testing.assert_allclose(heights, 0.8 * counts / counts.max(), atol=1e-12)
        hatched = 0.4 - bad.get_data().values
        np.testing.assert_allclose(hatched, [0.0] * 59 + [heights[-1]], atol=1e-12)
        assert bad.get_hatch()
        assert not every.get_hatch()

    def test_each_layer_may_have_a_kind_of_its_own_or_none(self):
        layers = {"a": np.zeros((2, 2)), "b": np.ones((2, 2)), "c": np.full((2, 2), 7)}

        ax = plots.activation_saturation(layers, {"a": "relu", "b": "sigmoid"})

        assert captions(ax) == ["dead 2 of 2 units", "saturated 100%"]
        assert [text.get_position()[1] for text in ax.texts] == [0, 1]
        low, high = ax.get_xlim()
        assert low < 0
        assert high > 7
        assert ax.get_xlabel().endswith("hatched: dead units or saturated")

    @pytest.mark.parametrize(
        ("out", "words"),
        [
            ([[np.nan, 1.0], [0.0, 0.5]], "saturated 25%, 25% nan or infinite"),
            ([[np.nan, np.nan]], "100% nan or infinite"),
        ],
    )
    def test_what_is_not_finite_is_counted(self, out, words):
        ax = plots.activation_saturation({"layer": out}, "tanh")

        ax.get_figure().draw_without_rendering()
        assert captions(ax) == [words]
        assert ax.texts[0].get_fontweight() == "bold"

    def test_takes_what_the_layers_of_a_model_put_out(self):
        layer, x = te.nn.Tanh(), te.tensor([[9.0, 0.0]], requires_grad=True)

        ax = plots.activation_saturation({"0 Tanh": layer(x)}, "tanh")

        assert captions(ax) == ["saturated 50%"]

    @pytest.mark.parametrize(
        ("layers", "kind", "message"),
        [
            ({}, "tanh", r"no layers; pass \{name: activations\}"),
            ({"a": np.ones(3)}, "tanh", r"'a' must have shape \(n, \.\.\.\) .* \(3,\)"),
            ({"a": np.ones((0, 3))}, "tanh", r"got \(0, 3\)"),
            (
                {"a": np.ones((1, 3))},
                "gelu",
                r"kind 'gelu'; known are sigmoid, tanh, r",
            ),
            ({"a": np.ones((1, 3))}, {"b": "tanh"}, r"names 'b', but .* are \['a'\]"),
            ({"a": [[1.5]]}, "sigmoid", r"'a' holds 1.5, which no sigmoid puts out"),
            ({"a": [[-2.0]]}, "relu", r"-2, .* pass what comes out of the layer"),
        ],
    )
    def test_refuses_what_does_not_fit(self, layers, kind, message):
        with pytest.raises(ValueError, match=message):
            plots.activation_saturation(layers, kind)


class TestDecisionRegions:
    X = np.array([[-2.0, 0.0], [-1.0, 1.0], [1.0, 3.0], [2.0, 4.0]])
    Y = (0, 0, 1, 1)

    @staticmethod
    def region_of(ax, i, point):
        """Whether the i-th region holds a point."""
        regions = [c for c in ax.collections if getattr(c, "filled", False)]
        return any(path.contains_point(point) for path in regions[i].get_paths())

    @staticmethod
    def points_of(ax):
        return {
            c.get_label(): c.get_offsets().tolist()
            for c in ax.collections
            if not c.get_label().startswith("_")
        }

    @staticmethod
    def lines_of(ax):
        """The contour lines, each as its points."""
        return [
            c.get_paths()[0].vertices
            for c in ax.collections
            if getattr(c, "filled", True) is False
        ]

    def test_a_region_is_where_its_class_is_predicted(self):
        ax = plots.decision_regions(
            lambda X: (X[:, 0] > 0.5).astype(int), self.X, self.Y
        )

        for point in ([-1.5, 3.0], [0.4, 0.0]):
            assert self.region_of(ax, 0, point)
            assert not self.region_of(ax, 1, point)
        for point in ([0.6, 3.0], [1.9, 0.1]):
            assert self.region_of(ax, 1, point)

    def test_the_boundary_is_where_the_class_changes(self):
        ax = plots.decision_regions(
            lambda X: X[:, 0] > 0.5, self.X, [False] * 2 + [True] * 2
        )

        cell = 1.2 * 4 / 199  # between two points of the grid
        (boundary,) = self.lines_of(ax)[:1]
        np.testing.assert_allclose(boundary[:, 0], 0.5, atol=cell)
        assert legend(ax) == ["False", "True", "boundary"]

    def test_every_example_is_drawn_and_seen(self):
        ax = plots.decision_regions(lambda X: X[:, 0] > 0, self.X, self.Y)

        points = {"0": self.X[:2].tolist(), "1": self.X[2:].tolist()}
        assert self.points_of(ax) == points
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        assert left < -2 < 2 < right
        assert low < 0 < 4 < high

    def test_classes_differ_by_marker_and_hatch(self):
        y = np.arange(10)
        X = np.stack([y, y % 3], axis=1)

        ax = plots.decision_regions(lambda X: np.clip(X[:, 0].round(), 0, 9), X, y)

        dots = [c for c in ax.collections if not c.get_label().startswith("_")]
        regions = [c for c in ax.collections if getattr(c, "filled", False)]
        assert len({c.get_paths()[0].vertices.tobytes() for c in dots}) == 10
        assert len({tuple(c.hatches) for c in regions}) == 10

    @pytest.mark.parametrize("form", ["columns", "column", "vector", "tensor"])
    def test_probabilities_show_where_the_model_is_sure(self, form):
        def predict(X):
            """Of class 1: 0.5 at x = 0, 0.9 at x = 0.5."""
            p = 1 / (1 + 9 ** (-2 * X[:, :1]))
            return {
                "columns": np.concatenate([1 - p, p], axis=1),
                "column": p,
                "vector": p[:, 0],
                "tensor": te.tensor(p, requires_grad=True),
            }[form]

        ax = plots.decision_regions(predict, self.X, self.Y)

        boundary, sure = self.lines_of(ax)
        np.testing.assert_allclose(boundary[:, 0], 0, atol=1e-3)
        np.testing.assert_allclose(np.abs(sure[:, 0]), 0.5, atol=1e-3)
        assert legend(ax) == ["0", "1", "boundary", "90% sure"]
        assert self.region_of(ax, 0, [-1.0, 2.0])
        assert self.region_of(ax, 1, [1.0, 2.0])

    def test_scores_that_are_no_probabilities_are_never_sure(self):
        ax = plots.decision_regions(
            lambda X: np.stack([X[:, 0], 2 * X[:, 0]], axis=1), self.X, self.Y
        )

        assert legend(ax) == ["0", "1", "boundary"]
        assert self.region_of(ax, 0, [-1.0, 2.0])
        assert self.region_of(ax, 1, [1.0, 2.0])

    def test_takes_an_estimator_of_scikit_learn_and_words(self):
        words = np.array(["left", "left", "right", "right"])
        model = LogisticRegression().fit(self.X, words)

        ax = plots.decision_regions(model.predict, self.X, words)

        assert legend(ax) == ["left", "right", "boundary"]
        assert self.region_of(ax, 0, [-1.5, 1.0])

    def test_a_class_that_no_example_has_gets_a_region_too(self):
        ax = plots.decision_regions(
            lambda X: np.digitize(X[:, 0], [-0.5, 0.5]), self.X, [0, 0, 2, 2]
        )

        assert legend(ax) == ["0", "1", "2", "boundary"]
        assert self.region_of(ax, 1, [0.0, 2.0])

    def test_columns_without_an_example_are_counted_from_0(self):
        ax = plots.decision_regions(
            lambda X: np.tile([0.1, 0.7, 0.2], (len(X), 1)), self.X, [0, 0, 2, 2]
        )

        assert legend(ax) == ["0", "1", "2"]

    def test_one_class_has_no_boundary(self):
        ax = plots.decision_regions(lambda X: np.zeros(len(X)), self.X, [0] * 4)

        ax.get_figure().draw_without_rendering()
        assert legend(ax) == ["0"]
        assert self.region_of(ax, 0, [0.0, 2.0])

    def test_draws_a_single_point(self):
        ax = plots.decision_regions(lambda X: np.zeros(len(X), int), [[5.0, 7.0]], [0])

        assert ax.get_xlim() == (4, 6)
        assert ax.get_ylim() == (6, 8)

    @pytest.mark.parametrize(
        ("X", "y", "message"),
        [
            (np.ones((4, 3)), [0] * 4, r"\(n, 2\) .* got \(4, 3\). Train on two feat"),
            (np.ones((0, 2)), [], r"with n > 0, got \(0, 2\)"),
            (np.ones(2), [0], r"got \(2,\)"),
            (np.ones((4, 2)), [0] * 3, r"y must have shape \(4,\), .* got \(3,\)"),
            (np.ones((4, 2)), np.eye(4), r"One-hot rows: pass .argmax\(axis=1\)"),
            (np.full((1, 2), np.nan), [0], r"X holds nan or infinity"),
        ],
    )
    def test_refuses_examples_that_do_not_fit(self, X, y, message):
        with pytest.raises(ValueError, match=message):
            plots.decision_regions(lambda X: np.zeros(len(X)), X, y)

    @pytest.mark.parametrize(
        ("predict", "message"),
        [
            (np.sum, r"input of shape \(40000, 2\) and returned one of shape \(\)"),
            (lambda X: X[:5], r"returned one of shape \(5, 2\); it must return one"),
            (lambda X: np.nan * X, r"predict returned nan or infinity"),
            (lambda X: 9 * X[:, 0], r"numbers from -21.6 to 21.6: neither classes nor"),
            (lambda X: np.full(len(X), "a"), r"'a'.* but y holds .*0.*both must be"),
            (
                lambda X: np.c_[X, X] * 0 + 0.25,
                r"4 columns, .* 2 classes: \['a', 'b'\]",
            ),
            (lambda X: np.arange(len(X)), r"40000 classes; at most 10 can be told ap"),
        ],
    )
    def test_refuses_answers_that_are_no_classes(self, predict, message):
        y = ["a", "a", "b", "b"] if "'a', 'b'" in message else self.Y
        with pytest.raises(ValueError, match=message):
            plots.decision_regions(predict, self.X, y)
