"""When the solvers "adam" and "sgd" are done, and how the learning rate goes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu import training

__all__ = ["Convergence"]

_LEAST_RATE = 1e-6  # an adaptive rate is made no smaller


class Convergence:
    """Ends training when the loss, or the score, improves no more: a callback.

    Parameters
    ----------
    by_score : bool
        Whether the score of the validation counts, not the loss of the training.

    Attributes
    ----------
    name : str
        Of what counts.
    best_weights : dict of str to ndarray
        Those of the best score; empty without one.
    seen : int
        Rows that were learned from, over all fits, each as often as it was.
    """

    def __init__(self, by_score: bool) -> None:
        self.by_score = by_score
        self.name = "validation score" if by_score else "training loss"
        self.best_weights: dict[str, np.ndarray] = {}
        self.seen = 0
        self._best = math.inf  # the loss, or minus the score
        self._waited = 0  # epochs without an improvement

    def begin(self, estimator: Any, rows: int, *, anew: bool) -> None:
        """Take on an estimator's parameters as they are now.

        Parameters
        ----------
        estimator : NeuralNet
        rows : int
            In an epoch.
        anew : bool
            Whether to forget the epochs without an improvement before.
        """
        self._tol, self._patience = estimator.tol, estimator.n_iter_no_change
        self._plan = (
            estimator.learning_rate if estimator.solver == "sgd" else "constant"
        )
        self._rate, self._power = estimator.learning_rate_init, estimator.power_t
        self._rows = rows
        if anew:
            self._waited = 0
        if self.by_score and self._best < math.inf:
            self.best_weights = estimator.model_.state_dict()

    def __call__(self, run: training.Training) -> None:
        """Look at the epoch that has ended."""
        self.seen += self._rows
        if self.by_score:
            value = -run.history["validation_score"][-1]
        else:
            value = run.history["loss"][-1]
        self._waited = 0 if value <= self._best - self._tol else self._waited + 1
        if value < self._best:
            self._best = value
            if self.by_score:
                self.best_weights = run.model.state_dict()
        if self._plan == "invscaling":
            run.optimizer.lr = self._rate / (self.seen + 1) ** self._power
        if self._waited <= self._patience:
            return
        if self._plan == "adaptive" and run.optimizer.lr > _LEAST_RATE:
            run.optimizer.lr /= 5
            self._waited = 0
        else:
            run.stop(
                f"the {self.name} did not improve by more than tol={self._tol} in "
                f"{self._waited} epochs"
            )
