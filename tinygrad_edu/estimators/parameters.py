"""What the parameters of an estimator must be, and how to say so."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from numbers import Integral, Real
from typing import Any

import numpy as np

from tinygrad_edu.estimators.networks import ACTIVATIONS

__all__ = ["check_parameters", "hidden_sizes", "naming_its_class", "takes"]

#: Whether a value fits, and what it must be.
Rule = tuple[Callable[[Any], bool], str]


def naming_its_class(init: Callable[..., None]) -> Callable[..., None]:
    """Let an ``__init__`` refuse what it does not take in the name of its class.

    Python would name the base class. The signature, from which scikit-learn reads the
    parameters, stays as it is.
    """
    signature = inspect.signature(init)
    _, *known = signature.parameters

    @wraps(init)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            unknown = next((name for name in kwargs if name not in known), "")
            near = [name for name in known if unknown and unknown in name]
            near = near or get_close_matches(unknown, known)
            hint = f". Did you mean {near[0]}?" if near else "."
            raise TypeError(
                f"{type(self).__name__}: {error}{hint} It takes {', '.join(known)}"
            ) from None
        init(self, *args, **kwargs)

    return call


def check_parameters(estimator: Any, losses: tuple[str, ...]) -> None:
    """Refuse what is out of range; scikit-learn wants that in ``fit``.

    Parameters
    ----------
    estimator : NeuralNet
    losses : tuple of str
        What ``loss`` may be, besides None and a function.

    Raises
    ------
    ValueError
        If a parameter is no such value, or two do not go together.
    """
    for name, (fits, must) in _RULES.items():
        value = getattr(estimator, name)
        if not fits(value):
            raise ValueError(f"{name} must be {must}, got {value!r}")
    loss = estimator.loss
    if not (loss is None or callable(loss) or loss in losses):
        names = " or ".join(map(repr, losses))
        raise ValueError(
            f"loss must be {names}, or a function of outputs and targets such as "
            f"te.nn.huber_loss, got {loss!r}"
        )
    if estimator.solver == "lbfgs" and len(estimator.callbacks):
        raise ValueError("callbacks are for the solvers adam and sgd, not lbfgs")
    if estimator.solver == "lbfgs" and estimator.compile:
        raise ValueError("compile is for the solvers adam and sgd, not lbfgs")
    if estimator.early_stopping and not estimator.validation_fraction:
        raise ValueError(
            "early_stopping=True needs rows to validate with, got validation_fraction="
            f"{estimator.validation_fraction}"
        )


def hidden_sizes(sizes: Any) -> list[Any]:
    """Return ``hidden_layer_sizes``, which may be a single number, as a list."""
    return list(sizes) if isinstance(sizes, Iterable) else [sizes]


def takes(function: Any, name: str) -> bool:
    """Whether a function has a parameter of that name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some written in C have none
        return False
    return name in parameters


def _is_whole(x: Any) -> bool:
    return isinstance(x, Integral) and not isinstance(x, bool)


def _is_number(x: Any) -> bool:
    return isinstance(x, Real) and not _is_flag(x)


def _is_flag(x: Any) -> bool:
    return isinstance(x, bool | np.bool_)


def _one_of(*names: str) -> Rule:
    text = ", ".join(map(repr, names))
    return lambda x: isinstance(x, str) and x in names, f"one of {text}"


_POSITIVE: Rule = (lambda x: _is_number(x) and 0 < x < math.inf, "a number above 0")
_NOT_NEGATIVE: Rule = (
    lambda x: _is_number(x) and 0 <= x < math.inf,
    "a number of 0 or more",
)
_SHARE: Rule = (lambda x: _is_number(x) and 0 <= x < 1, "a number from 0 to below 1")
_COUNT: Rule = (lambda x: _is_whole(x) and x >= 1, "a whole number above 0")
_FLAG: Rule = (_is_flag, "True or False")

_RULES: dict[str, Rule] = {
    "hidden_layer_sizes": (
        lambda x: all(map(_COUNT[0], hidden_sizes(x))),
        "whole numbers above 0",
    ),
    "activation": _one_of(*ACTIVATIONS),
    "solver": _one_of("lbfgs", "sgd", "adam"),
    "alpha": _NOT_NEGATIVE,
    "batch_size": (
        lambda x: _COUNT[0](x) or (isinstance(x, str) and x == "auto"),
        "a whole number above 0 or 'auto'",
    ),
    "learning_rate": _one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": _POSITIVE,
    "power_t": _NOT_NEGATIVE,
    "max_iter": _COUNT,
    "shuffle": _FLAG,
    "tol": _NOT_NEGATIVE,
    "verbose": (
        lambda x: _is_flag(x) or (_is_whole(x) and x >= 0),
        "True, False or a whole number",
    ),
    "warm_start": _FLAG,
    "momentum": _SHARE,
    "nesterovs_momentum": _FLAG,
    "early_stopping": _FLAG,
    "validation_fraction": _SHARE,
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "epsilon": _POSITIVE,
    "n_iter_no_change": (
        lambda x: _COUNT[0](x) or x == math.inf,
        "a whole number above 0 or infinity",
    ),
    "max_fun": _COUNT,
    "model": (
        lambda x: x is None or callable(x),
        "a Layer, or a function of n_features and n_outputs that returns one",
    ),
    "callbacks": (
        lambda x: isinstance(x, list | tuple),
        "a list or tuple of functions",
    ),
}
