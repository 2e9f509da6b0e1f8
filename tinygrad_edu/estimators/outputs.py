"""What the outputs of a classifier mean: that follows from its loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import nn, ops
from tinygrad_edu.metrics import bare_function

__all__ = ["MEANINGS", "Meaning", "meaning_by_loss"]


class Meaning(NamedTuple):
    """How to make probabilities and their logarithms of outputs.

    Attributes
    ----------
    yes, log_yes : callable
        Of the class of each column.
    no, log_no : callable or None
        Of the opposite, where each column stands by itself.
    least : float
        There, an output above this is a yes.
    """

    yes: Callable[[Any], Any]
    log_yes: Callable[[Any], Any]
    no: Callable[[Any], Any] | None = None
    log_no: Callable[[Any], Any] | None = None
    least: float = 0.0

    @property
    def by_column(self) -> bool:
        """Whether each column is a yes or no by itself."""
        return self.no is not None


#: By name, since estimators are pickled, and functions such as these are not.
MEANINGS = {
    "scores": Meaning(ops.softmax, ops.log_softmax),
    "log-probabilities": Meaning(np.exp, lambda z: z),
    "logits": Meaning(
        ops.sigmoid,
        lambda z: -ops.softplus(-z),
        lambda z: ops.sigmoid(-z),
        lambda z: -ops.softplus(z),
    ),
    "probabilities": Meaning(
        lambda z: z, np.log, lambda z: 1 - z, lambda z: np.log1p(-z), least=0.5
    ),
}

_BY_LOSS: dict[Any, str] = {
    nn.softmax_cross_entropy: "scores",
    nn.nll_loss: "log-probabilities",
    nn.binary_cross_entropy_with_logits: "logits",
    nn.binary_cross_entropy: "probabilities",
}


def meaning_by_loss(loss: Any) -> str | None:
    """Return the name of what a loss takes outputs for; None if nobody knows.

    Examples
    --------
    >>> from functools import partial
    >>> meaning_by_loss(partial(nn.binary_cross_entropy, reduction="mean"))
    'probabilities'
    """
    return _BY_LOSS.get(bare_function(loss)) if callable(loss) else None
