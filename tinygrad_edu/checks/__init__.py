"""Gradient checks: of functions, of operations, of derivations by hand."""

from tinygrad_edu.checks.derivations import DerivationReport, check_derivation
from tinygrad_edu.checks.functions import (
    GradcheckReport,
    GradientCheckError,
    gradcheck,
)
from tinygrad_edu.checks.gradients import check_gradient
from tinygrad_edu.checks.nudging import Nudge, nudge
from tinygrad_edu.checks.operations import OperationReport, check_op

__all__ = [
    "DerivationReport",
    "GradcheckReport",
    "GradientCheckError",
    "Nudge",
    "OperationReport",
    "check_derivation",
    "check_gradient",
    "check_op",
    "gradcheck",
    "nudge",
]
