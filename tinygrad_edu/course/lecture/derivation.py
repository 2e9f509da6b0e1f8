"""The lecture's networks written out: what a student derives on paper, as code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.course.lecture.systems import SEED, SYSTEMS, expect_known

if TYPE_CHECKING:
    from tinygrad_edu.compiling.reading import Source

__all__ = ["derived"]


def derived(name: str, *, rows: int = 64, features: int = 784) -> Source:
    """Return the forward and backward pass of one of the lecture's networks as code.

    Parameters
    ----------
    name : str
        Of one of the ``SYSTEMS``.
    rows : int, default 64
        How many examples.
    features : int, default 784
        How many pixels each has.

    Returns
    -------
    str
        A module that needs NumPy alone. Its function ``step`` is the ``step`` of the
        text, too.

    Raises
    ------
    ValueError
        If there is no system of that name.

    Examples
    --------
    >>> from tinygrad_edu.course import lecture
    >>> for line in lecture.derived("neuron").splitlines()[19:27]:
    ...     print(line.strip())
    Z = X @ W.T + b                          # (64, 1)
    A = sigmoid(Z)                           # (64, 1)
    L = np.mean(np.logaddexp(0, Z) - Y * Z)
    # backward
    dZ = (A - Y) / 64                        # (64, 1)
    dW = dZ.T @ X                            # (1, 784)
    db = dZ.sum(axis=0)                      # (1,)
    return L, dW, db
    """
    from tinygrad_edu.compiling import reading  # late: no other command needs it

    expect_known([name])
    system = SYSTEMS[name]
    model = system.model(features, np.random.RandomState(SEED))
    labels = np.ndim(system.targets(np.zeros(rows, int)))
    return reading.derived(model, system.loss, (rows, features), labels)
