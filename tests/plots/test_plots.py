"""What holds for every picture: on the Axes it is given, off the screen, legible."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinygrad_edu import plots

PARAMETERS = [
    ("0.weight", SimpleNamespace(data=np.ones((2, 3)), grad=np.full((2, 3), 0.1))),
    ("0.bias", SimpleNamespace(data=np.zeros(2), grad=None)),
]
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def loss_along_gradient(**keywords):
    w = SimpleNamespace(data=np.array([3.0]), grad=np.array([6.0]))
    return plots.loss_along_gradient(lambda: w.data**2, [w], 0.1, **keywords)


PICTURES = {
    "loss_curve": lambda **kw: plots.loss_curve([0, 1, 2], [0.9, 0.4, 0.3], **kw),
    "learning_curves": lambda **kw: plots.learning_curves(
        {"training": [0.9, 0.4, 0.3], "validation": [0.9, 0.5, 0.6]}, **kw
    ),
    "activation": lambda **kw: plots.activation(np.tanh, **kw),
    "digit_samples": lambda **kw: plots.digit_samples(np.eye(8)[None], [1], [7], **kw),
    "worst_mistakes": lambda **kw: plots.worst_mistakes(
        np.eye(8)[None], [1], [[0.9, 0.1]], **kw
    ),
    "no_mistakes": lambda **kw: plots.worst_mistakes(
        np.eye(8)[None], [0], [[0.9, 0.1]], **kw
    ),
    "first_layer_weights": lambda **kw: plots.first_layer_weights(
        np.linspace(-1, 1, 10 * 60).reshape(10, 60), (5, 12), **kw
    ),
    "confusion_matrix": lambda **kw: plots.confusion_matrix(
        [[8973, 42], [47, 938]], class_names=["not zero", "zero"], **kw
    ),
    "gradient_error": lambda **kw: plots.gradient_error(np.eye(3), -np.eye(3), **kw),
    "gradient_flow": lambda **kw: plots.gradient_flow(PARAMETERS, **kw),
    "loss_along_gradient": loss_along_gradient,
    "activation_saturation": lambda **kw: plots.activation_saturation(
        {"1 Tanh": np.array([[-1.0, 0.2], [0.9, 1.0]])}, "tanh", **kw
    ),
    "decision_regions": lambda **kw: plots.decision_regions(
        lambda X: X[:, 0] > 0.5, CORNERS, [0, 0, 1, 1], **kw
    ),
    "step_times": lambda **kw: plots.step_times(
        {"encoder.0 Linear": (0.2, 0.3), "outside operations": (0.1, 0.0)}, **kw
    ),
}

# Those that a second panel stands next to.
PAIRS = {
    "metrics": lambda **kw: plots.learning_curves(
        [0.9, 0.4], metrics={"accuracy": [0.6, 0.8]}, **kw
    ),
    "ratios": lambda **kw: plots.gradient_flow(PARAMETERS, 0.1, **kw),
}


@pytest.fixture(params=PICTURES)
def picture(request):
    """Each picture, as a function of its keyword arguments."""
    return PICTURES[request.param]


@pytest.fixture(params=PAIRS)
def pair(request):
    """Each picture of two panels, as a function of its keyword arguments."""
    return PAIRS[request.param]


def assert_fits(figure):
    """Nothing drawn is outside the page."""
    figure.draw_without_rendering()
    page = figure.bbox
    ink = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert ink.x0 >= page.x0 - 1
    assert ink.y0 >= page.y0 - 1
    assert ink.x1 <= page.x1 + 1
    assert ink.y1 <= page.y1 + 1


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
        assert_fits(picture().get_figure())


class TestTwoPanels:
    def test_fit_into_their_own_figure(self, pair):
        figure = pair().get_figure()

        assert len(figure.axes) == 2
        assert_fits(figure)

    @pytest.mark.parametrize("by_hand", [False, True])
    def test_share_the_place_of_the_axes_that_they_are_given(self, pair, by_hand):
        figure = Figure(figsize=(12, 8))
        ax = figure.add_axes((0.2, 0.3, 0.5, 0.6)) if by_hand else figure.subplots()
        place = ax.get_position()

        pair(ax=ax)

        figure.draw_without_rendering()
        first, second = (panel.get_position() for panel in figure.axes)
        assert not first.overlaps(second)
        for panel in (first, second):
            assert place.x0 - 1e-9 <= panel.x0 < panel.x1 <= place.x1 + 1e-9
            assert place.y0 - 1e-9 <= panel.y0 < panel.y1 <= place.y1 + 1e-9


def test_neither_import_nor_drawing_touches_pyplot(tmp_path):
    """In a fresh process, since another test may have imported pyplot."""
    script = (
        "import sys\n"
        "import tinygrad_edu as te\n"
        "assert 'matplotlib' not in sys.modules, 'imported with the package'\n"
        "te.plots.save(te.plots.activation(lambda x: x), sys.argv[1])\n"
        "te.plots.decision_regions(lambda X: X[:, 0] > 0, [[-1, 0], [1, 0]], [0, 1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules, 'drawn with pyplot'\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "line.png")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_every_picture_is_tested_here():
    assert {*plots.__all__} - {"save"} <= {*PICTURES}
