"""tinygrad_edu: a computational graph in pure NumPy, for learning backpropagation."""

from typing import TYPE_CHECKING, Any

from tinygrad_edu import data, nn, ops, optim, plots, training
from tinygrad_edu.diagnosis.explanations import explain
from tinygrad_edu.drawing import draw
from tinygrad_edu.engine.core import OPS, Case, Op, Tensor, gradients, op, tensor
from tinygrad_edu.engine.recording import no_grad
from tinygrad_edu.ops import *  # noqa: F403
from tinygrad_edu.profiling import profile
from tinygrad_edu.training import History, evaluate, fit, load, predict, save
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
    "History",
    "NeuralNetClassifier",
    "NeuralNetRegressor",
    "Op",
    "Tensor",
    "check_derivation",
    "check_gradient",
    "check_op",
    "compile",
    "data",
    "draw",
    "evaluate",
    "explain",
    "export_onnx",
    "fit",
    "grad",
    "gradcheck",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "load",
    "nn",
    "no_grad",
    "nudge",
    "op",
    "ops",
    "optim",
    "plots",
    "predict",
    "profile",
    "save",
    "tensor",
    "training",
    "value_and_grad",
    "vjp",
]
__all__ += ops.__all__

if TYPE_CHECKING:
    from tinygrad_edu.checks import (
        GradientCheckError,
        check_derivation,
        check_gradient,
        check_op,
        gradcheck,
        nudge,
    )
    from tinygrad_edu.compiling import compile
    from tinygrad_edu.estimators import NeuralNetClassifier, NeuralNetRegressor
    from tinygrad_edu.saving.onnx_file import export_onnx

    __version__: str
else:
    _OF_CHECKS = frozenset({"GradientCheckError", "gradcheck", "nudge"})
    _OF_CHECKS |= {"check_derivation", "check_gradient", "check_op"}

    def __getattr__(name: str) -> Any:
        """Import what is not always needed, such as scikit-learn, when asked for."""
        if name in ("NeuralNetClassifier", "NeuralNetRegressor"):
            from tinygrad_edu import estimators

            return getattr(estimators, name)
        if name in _OF_CHECKS or name == "checks":
            import tinygrad_edu.checks as checks  # "from" would ask here again

            return checks if name == "checks" else getattr(checks, name)
        if name == "compile":
            from tinygrad_edu import compiling

            return compiling.compile
        if name == "export_onnx":
            from tinygrad_edu.saving import onnx_file

            return onnx_file.export_onnx
        if name == "__version__":
            from importlib import metadata

            try:
                return metadata.version(__name__)
            except metadata.PackageNotFoundError:
                pass  # a checkout that was not installed has none
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
