"""The regressor: a network that learns numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from tinygrad_edu import nn
from tinygrad_edu.estimators.base import NeuralNet, solver_has_steps

__all__ = ["NeuralNetRegressor"]


class NeuralNetRegressor(RegressorMixin, NeuralNet):
    """A neural network that learns numbers, as an estimator of scikit-learn.

    Can stand where ``sklearn.neural_network.MLPRegressor`` stands.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, \
learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, \
warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, \
beta_1, beta_2, epsilon, n_iter_no_change, max_fun, callbacks, compile
        As for :class:`NeuralNetClassifier`.
    model : Layer or callable, optional
        As for :class:`NeuralNetClassifier`. It returns a column for each target.
    loss : callable, optional
        ``loss(outputs, targets)`` of equal shapes, such as ``te.nn.huber_loss``. By
        default half the squared error, summed over the targets of a row.

    Attributes
    ----------
    model_, history_, n_features_in_, feature_names_in_, n_outputs_, n_iter_, t_, \
loss_, loss_curve_, best_loss_, validation_scores_, best_validation_score_, coefs_, \
intercepts_, n_layers_
        As for :class:`NeuralNetClassifier`; the score is R².

    See Also
    --------
    NeuralNetClassifier

    Notes
    -----
    Targets of large numbers are slow to learn: scale them, as with
    ``sklearn.compose.TransformedTargetRegressor``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> x = np.linspace(-2, 2, 100)[:, np.newaxis]
    >>> regressor = te.NeuralNetRegressor((20,), activation="tanh", solver="lbfgs",
    ...                                   random_state=0)
    >>> regressor.fit(x, np.sin(2 * x[:, 0])).score(x, np.sin(2 * x[:, 0]))
    1.0
    >>> regressor.predict([[0.0]]).shape
    (1,)
    >>> [W.shape for W in regressor.coefs_], [b.shape for b in regressor.intercepts_]
    ([(1, 20), (20, 1)], [(20,), (1,)])
    """

    _losses = ("squared_error",)

    def _targets(self, y: Any, *, first: bool, classes: Any) -> np.ndarray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if first:
            self._shape = y.shape[1:]
        elif y.shape[1:] != self._shape:
            raise ValueError(
                f"y has rows of shape {y.shape[1:]}, in the fit before {self._shape}"
            )
        return np.asarray(y)

    def _columns(self) -> int:
        return math.prod(self._shape)

    def _loss_of(self, form: tuple[int, ...]) -> tuple[Callable[..., Any], float]:
        columns = self._columns()
        if math.prod(form) != columns:
            raise ValueError(
                f"the model returns rows of shape {form}, but y has {columns} "
                f"column{'s' * (columns != 1)}"
            )
        if callable(self.loss):
            return self.loss, 1.0
        return nn.mse_loss, columns / 2

    def _for_loss(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        return y.reshape(len(y), *self._form).astype(dtype)

    def _score_of(self, output: Any, y: Any) -> float:
        y, weights = y if isinstance(y, tuple) else (y, None)
        return float(r2_score(y, output, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """Return what the model makes of each row.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)

        Returns
        -------
        ndarray, shape (n,) or (n, outputs)
            As ``y`` was.
        """
        output = self._outputs(X)
        return output.reshape(len(output), *self._shape)

    @available_if(solver_has_steps)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> NeuralNetRegressor:
        """Go through these data once, going on from the last call.

        The optimiser goes on, too: a solver or learning rate that was set since counts
        from the next :meth:`fit` on.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.

        Returns
        -------
        self
        """
        self._learn(X, y, sample_weight, partial=True)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
