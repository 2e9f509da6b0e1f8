"""What the classifier and the regressor share: learning, and a model's outputs."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tinygrad_edu import nn, optim, training
from tinygrad_edu.estimators.convergence import Convergence
from tinygrad_edu.estimators.examples import Examples, checked_weights, dense_rows
from tinygrad_edu.estimators.lbfgs import minimized
from tinygrad_edu.estimators.networks import network
from tinygrad_edu.estimators.objective import Objective
from tinygrad_edu.estimators.parameters import (
    check_parameters,
    hidden_sizes,
    naming_its_class,
    takes,
)

__all__ = ["NeuralNet", "solver_has_steps"]

_FLOATS = (np.float64, np.float32)
_NUMBERS = (*_FLOATS, np.int64, np.int32)  # a model of one's own may begin by an index


class NeuralNet(BaseEstimator):
    """What the classifier and the regressor share."""

    _losses: tuple[str, ...]  # what loss= may be, besides None and a function

    @naming_its_class
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        model: Any = None,
        loss: Any = None,
        callbacks: Sequence[Any] = (),
        compile: Any = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.model = model
        self.loss = loss
        self.callbacks = callbacks
        self.compile = compile

    # -- what a subclass says
    def _targets(self, y: Any, *, first: bool, classes: Any) -> np.ndarray:
        """Return the targets as numbers; learn from the first what there is."""
        raise NotImplementedError

    def _columns(self) -> int:
        """Return how many outputs a model that is yet to be made shall have."""
        raise NotImplementedError

    def _loss_of(self, form: tuple[int, ...]) -> tuple[Callable[..., Any], float]:
        """Return the loss for rows of outputs of a shape, and its factor."""
        raise NotImplementedError

    def _for_loss(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        """Return targets as the loss takes them."""
        raise NotImplementedError

    def _score_of(self, output: Any, y: Any) -> float:
        """Return the score of outputs; ``y`` may hold weights, too."""
        raise NotImplementedError

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the classes that keep their shares in the validation."""
        return None

    # -- learning
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train a new model; with ``warm_start``, go on with the one there is.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)
            Of sparse ones, only a batch at a time is made dense. With ``model=``, also
            arrays of more axes, and integers stay integers.
        y : array_like or sparse matrix, shape (n,) or (n, outputs)
            Class labels, or a column of 0 and 1 for each of several labels; for the
            regressor numbers.
        sample_weight : array_like, shape (n,), optional
            How much each row counts. A row of weight 0 is left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range, the data do not fit, or training came to a
            nan or infinity.
        TypeError
            If ``model`` returns no Layer, or ``loss`` no Tensor of a single number.

        Warns
        -----
        ConvergenceWarning
            If the loss still improves after ``max_iter`` epochs.
        """
        return self._learn(X, y, sample_weight)

    def _learn(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        partial: bool = False,
        classes: Any = None,
    ) -> Any:
        check_parameters(self, self._losses)
        if partial and self.early_stopping:
            raise ValueError(
                "partial_fit sets no rows aside: it is for early_stopping=False"
            )
        first = not hasattr(self, "model_") or not (partial or self.warm_start)
        if not first and self._architecture != self._architecture_now():
            raise ValueError(
                "there is a model of other hidden layers, activation or model= to go "
                "on with. Set warm_start=False, or fit a clone"
            )
        X, y = validate_data(
            self, X, y, multi_output=True, reset=first, **self._reading()
        )
        y = y.toarray() if issparse(y) else np.asarray(y)
        dtype = X.dtype if X.dtype in _FLOATS else np.dtype(np.float64)
        rows = weights = None
        if sample_weight is not None:
            weights = checked_weights(sample_weight, X.shape[0], dtype)
            if not weights.all():
                rows = np.flatnonzero(weights)
                y, weights = y[rows], weights[rows]
        y = self._targets(y, first=first, classes=classes)
        if first or not partial:
            self._random = check_random_state(self.random_state)
        if first:
            self._begin(dense_rows(X[:1]), dtype)
        loss, factor = self._loss_of(self._form)
        if weights is not None and not takes(loss, "reduction"):
            raise ValueError(
                "sample_weight needs a loss for each row: loss= must take "
                "reduction='none', as those of tinygrad_edu.nn do"
            )
        objective = Objective(loss, factor, float(self.alpha), self.model_)
        examples = Examples(dense_rows(X), self._for_loss(y, dtype), weights, rows)
        try:
            if self.solver == "lbfgs":
                history, open_end = self._by_lbfgs(objective, examples)
            else:
                history, open_end = self._by_steps(objective, examples, y, partial)
        except training.NonFiniteError as error:
            raise ValueError(str(error)) from error
        self._keep(history)
        if history.stopped == "interrupted":
            warnings.warn(
                f"training was interrupted, after n_iter_={self.n_iter_} epochs",
                UserWarning,
                stacklevel=3,
            )
        elif open_end and not partial:
            warnings.warn(
                f"{self.solver} has not converged after {self.n_iter_} iterations "
                f"(max_iter={self.max_iter}): {open_end}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _reading(self) -> dict[str, Any]:
        """Return how scikit-learn shall look at X."""
        own = self.model is not None
        return {
            "accept_sparse": "csr",
            "dtype": _NUMBERS if own else _FLOATS,
            "allow_nd": own,
        }

    def _begin(self, row: Any, dtype: Any) -> None:
        """Make the model, and look at what it returns for a row."""
        model = self._made(dtype)
        try:
            output = training.predict(model, row)
        except Exception as error:
            error.add_note(f"in the model, given a row of X as shape {row[:].shape}")
            raise
        if not isinstance(output, np.ndarray) or output.ndim > 2:
            shape = output.shape if isinstance(output, np.ndarray) else "several"
            raise ValueError(
                f"the model must return an output of shape (n, columns), got {shape} "
                f"for 1 row"
            )
        if not any(p.requires_grad for p in model.parameters()):
            raise ValueError("the model has no parameters to train")
        self._form = output.shape[1:]
        self._loss_of(self._form)  # says what does not fit
        self.n_outputs_ = math.prod(self._form)
        self.model_ = model
        self._architecture = self._architecture_now()
        self.history_ = training.History()
        self._follow: Convergence | None = None
        self._optimizer: optim.Optimizer | None = None
        self.t_ = 0

    def _architecture_now(self) -> Any:
        """Return what a model is made by."""
        if self.model is not None:
            return self.model
        return hidden_sizes(self.hidden_layer_sizes), self.activation

    def _made(self, dtype: Any) -> nn.Layer:
        """Return a new model; one that was given is copied."""
        if isinstance(self.model, nn.Layer):
            return copy.deepcopy(self.model)
        features, outputs = self.n_features_in_, self._columns()
        if self.model is None:
            sizes = [features, *hidden_sizes(self.hidden_layer_sizes), outputs]
            return network(sizes, self.activation, self._random, dtype)
        known = {"rng": self._random, "dtype": dtype}
        options = {name: x for name, x in known.items() if takes(self.model, name)}
        model = self.model(features, outputs, **options)
        if not isinstance(model, nn.Layer):
            kind = type(model).__name__
            raise TypeError(f"model= must return a Layer, got {kind}")
        return model

    # -- the solvers "adam" and "sgd"
    def _by_steps(
        self, objective: Objective, examples: Examples, y: np.ndarray, partial: bool
    ) -> tuple[training.History, str]:
        """Return the history, and why this is not the end; empty if it is."""
        if not partial or self._optimizer is None:
            self._optimizer = self._made_optimizer()
        options: dict[str, Any] = {}
        if self.early_stopping:
            examples, held_out = self._split(examples, y)
            options["validation"] = (held_out.X, held_out.for_loss())
            options["metrics"] = {"score": self._score_of}
        n = len(examples)
        size = min(200, n) if self.batch_size == "auto" else int(self.batch_size)
        if size > n:
            warnings.warn(
                f"batch_size={size} is more than the {n} rows; each epoch is one batch",
                UserWarning,
                stacklevel=4,
            )
        if self._follow is None or self._follow.by_score != self.early_stopping:
            self._follow = Convergence(self.early_stopping)
        follow = self._follow
        follow.begin(self, n, anew=not partial)
        try:
            history = training.fit(
                self.model_,
                examples.X,
                examples.for_loss(),
                loss=objective,
                optimizer=self._optimizer,
                epochs=1 if partial else int(self.max_iter),
                batch_size=min(size, n),
                shuffle=bool(self.shuffle),
                callbacks=[follow, *self.callbacks],
                progress=bool(self.verbose),
                rng=self._random,
                compile=self.compile,
                **options,
            )
        finally:
            self.t_ = follow.seen
        if follow.best_weights:
            self.model_.load_state_dict(follow.best_weights)
            follow.best_weights = {}
        is_open = history.stopped == "epochs"
        return history, f"the {follow.name} still improves" if is_open else ""

    def _made_optimizer(self) -> optim.Optimizer:
        lr, parameters = float(self.learning_rate_init), self.model_.parameters()
        if self.solver == "adam":
            betas = (float(self.beta_1), float(self.beta_2))
            eps = float(self.epsilon)
            return optim.Adam(parameters, lr=lr, betas=betas, eps=eps)
        momentum = float(self.momentum)
        nesterov = bool(self.nesterovs_momentum) and momentum > 0
        return optim.SGD(parameters, lr=lr, momentum=momentum, nesterov=nesterov)

    def _split(self, examples: Examples, y: np.ndarray) -> tuple[Examples, Examples]:
        """Draw rows to validate with."""
        ours, theirs = train_test_split(
            np.arange(len(y)),
            test_size=self.validation_fraction,
            random_state=self._random,
            stratify=self._strata(y),
        )
        if len(theirs) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(y)} rows "
                "leaves 1 to validate with; at least 2 are needed"
            )
        return examples.part(ours), examples.part(theirs)

    # -- the solver "lbfgs"
    def _by_lbfgs(
        self, objective: Objective, examples: Examples
    ) -> tuple[training.History, str]:
        """Return the history, and why this is not the end; empty if it is."""
        return minimized(
            self.model_,
            examples.X[:],
            examples.for_loss(),
            objective,
            max_iter=int(self.max_iter),
            max_fun=int(self.max_fun),
            tol=float(self.tol),
        )

    # -- what training has left
    def _keep(self, history: training.History) -> None:
        """Put the figures into attributes."""
        self.n_iter_ = len(history.epochs)
        last = len(self.history_.epochs)
        for i, epoch in enumerate(history.epochs):
            figures = {name: x[i] for name, x in history.values.items()}
            self.history_.append(last + epoch, figures)
        self.history_.stopped = history.stopped
        self.loss_curve_ = list(self.history_.values.get("loss", []))
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.best_loss_ = self.best_validation_score_ = self.validation_scores_ = None
        if self.solver != "lbfgs" and self.early_stopping:
            scores = self.history_.values.get("validation_score", [])
            self.validation_scores_ = list(scores)
            self.best_validation_score_ = max(scores, default=math.nan)
        else:
            self.best_loss_ = min(self.loss_curve_, default=None)

    def _linear(self) -> list[nn.Linear]:
        """Return the layers of a network that was not given."""
        check_is_fitted(self)
        if self.model is not None:
            raise AttributeError(
                "coefs_ and intercepts_ are those of hidden_layer_sizes; with model=, "
                "there is model_.named_parameters()"
            )
        layers = (layer for _, layer in self.model_.named_layers())
        return [layer for layer in layers if isinstance(layer, nn.Linear)]

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer, of shape (in, out)."""
        return [layer.weight.data.T for layer in self._linear()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer."""
        biases = [layer.bias for layer in self._linear()]
        return [bias.data for bias in biases if bias is not None]

    @property
    def n_layers_(self) -> int:
        """Layers of units, the input and the output among them.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> network = te.NeuralNetRegressor((8, 4), solver="lbfgs", random_state=0)
        >>> network.fit([[0.0], [1.0]], [0.0, 1.0]).n_layers_
        4
        """
        return len(self._linear()) + 1

    # -- predicting
    def _outputs(self, X: Any) -> np.ndarray:
        """Return the model's outputs, of shape (n, columns)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, **self._reading())
        output = training.predict(self.model_, dense_rows(X))
        return np.asarray(output).reshape(X.shape[0], -1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def solver_has_steps(estimator: Any) -> bool:
    """Whether there is ``partial_fit``: else an error says why."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit is for the solvers adam and sgd, not lbfgs")
    return True
