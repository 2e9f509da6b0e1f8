"""Words of others in pictures: titles, labels, names that Matplotlib cannot set."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import plots

X = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
MODEL = te.nn.Linear(2, 2, rng=0)
PIXELS = np.zeros((2, 16))

DRAWN = {
    "loss_curve, label": lambda w: plots.loss_curve([0, 1], [2.0, 1.0], label=w),
    "loss_curve": lambda w: plots.loss_curve([0, 1], [2.0, 1.0], title=w),
    "learning_curves": lambda w: plots.learning_curves({"loss": [1.0]}, title=w),
    "learning_curves, name": lambda w: plots.learning_curves({w: [1.0, 0.5]}),
    "activation": lambda w: plots.activation(np.tanh, title=w),
    "activation, label": lambda w: plots.activation(np.tanh, label=w),
    "digit_samples": lambda w: plots.digit_samples(PIXELS, title=w),
    "digit_samples, labels": lambda w: plots.digit_samples(PIXELS, labels=[w, w]),
    "confusion_matrix": lambda w: plots.confusion_matrix(np.eye(2, dtype=int), title=w),
    "confusion_matrix, names": lambda w: plots.confusion_matrix(
        np.eye(2, dtype=int), class_names=[w, "b"]
    ),
    "gradient_error": lambda w: plots.gradient_error(
        np.eye(2), np.ones((2, 2)), title=w
    ),
    "decision_regions": lambda w: plots.decision_regions(
        MODEL, X, [0, 1, 0, 1], title=w
    ),
    "step_times": lambda w: plots.step_times({w: (1.0, 2.0)}, title=w),
}


@pytest.mark.parametrize(
    "words", ["$\\frac$ of 3", "cost in $ and $\\nothing{", "a\ud800b"]
)
@pytest.mark.parametrize("name", sorted(DRAWN))
def test_any_words_can_be_drawn(name, words, tmp_path):
    ax = DRAWN[name](words)

    plots.save(ax, tmp_path / "picture.png")


def test_a_formula_in_a_title_stays_one():
    ax = plots.activation(np.tanh, title="$\\tanh(x)$")

    assert ax.get_title() == "$\\tanh(x)$"
