"""Pictures of a training run, drawn with matplotlib from plain arrays.

Every function draws on the Axes that it is given, or on those of a figure of its own,
and returns them. A figure of its own is never shown and belongs to no window, so all
of this works without a display; :func:`save` writes it to a file. In a notebook, where
pyplot is at work, ``fig, ax = plt.subplots()`` and ``ax=ax`` show it.

Differences are marked by dashes, frames and words besides their colours.
"""

from tinygrad_edu.plots.curves import activation, learning_curves, loss_curve
from tinygrad_edu.plots.gradients import gradient_flow, loss_along_gradient
from tinygrad_edu.plots.images import (
    digit_samples,
    first_layer_weights,
    worst_mistakes,
)
from tinygrad_edu.plots.matrices import confusion_matrix, gradient_error
from tinygrad_edu.plots.models import activation_saturation, decision_regions
from tinygrad_edu.plots.saving import save
from tinygrad_edu.plots.times import step_times

__all__ = [
    "activation",
    "activation_saturation",
    "confusion_matrix",
    "decision_regions",
    "digit_samples",
    "first_layer_weights",
    "gradient_error",
    "gradient_flow",
    "learning_curves",
    "loss_along_gradient",
    "loss_curve",
    "save",
    "step_times",
    "worst_mistakes",
]
