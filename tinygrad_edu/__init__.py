"""tinygrad_edu: a computational graph in pure NumPy, for learning backpropagation."""

from tinygrad_edu import data, nn, ops, optim, plots
from tinygrad_edu.checks import (
    GradientCheckError,
    check_derivation,
    check_op,
    gradcheck,
    nudge,
)
from tinygrad_edu.core import OPS, Case, Op, Tensor, gradients, op, tensor
from tinygrad_edu.drawing import draw
from tinygrad_edu.explanations import explain
from tinygrad_edu.ops import *  # noqa: F403
from tinygrad_edu.recording import no_grad
from tinygrad_edu.transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

__all__ = [
    "OPS",
    "Case",
    "GradientCheckError",
    "Op",
    "Tensor",
    "check_derivation",
    "check_op",
    "data",
    "draw",
    "explain",
    "grad",
    "gradcheck",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "nn",
    "no_grad",
    "nudge",
    "op",
    "ops",
    "optim",
    "plots",
    "tensor",
    "value_and_grad",
    "vjp",
]
__all__ += ops.__all__
