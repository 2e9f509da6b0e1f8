"""A classifier and a regressor for scikit-learn, around a model trained by ``fit``."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from tinygrad_edu import nn, ops, optim, training
from tinygrad_edu.core import Tensor
from tinygrad_edu.training.feed import Selected

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor"]

_ACTIVATIONS: dict[str, type[nn.Layer] | None] = {
    "identity": None,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
_FLOATS = (np.float64, np.float32)
_LEAST_RATE = 1e-6  # an adaptive rate is made no smaller


class _NeuralNet(BaseEstimator):
    """What the classifier and the regressor share."""

    _losses: tuple[Any, ...]  # what loss= may be, besides a function

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
        callbacks: Iterable[Any] = (),
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

    # -- what a subclass says
    def _targets(self, y: Any, *, first: bool, classes: Any) -> Any:
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

    # -- learning
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train a new model; with ``warm_start``, go on with the one there is.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)
            Of sparse ones, only a batch at a time is made dense. With ``model=``, also
            arrays of more axes.
        y : array_like, shape (n,) or (n, outputs)
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

        Warns
        -----
        ConvergenceWarning
            If the loss still improves after ``max_iter`` epochs.
        """
        return self._learn(X, y, sample_weight, partial=False)

    def _learn(
        self, X: Any, y: Any, sample_weight: Any, *, partial: bool, classes: Any = None
    ) -> Any:
        self._check_parameters()
        if partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "model_") or not (partial or self.warm_start)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=_FLOATS,
            multi_output=True,
            allow_nd=self.model is not None,
            reset=first,
        )
        weights = None
        if sample_weight is not None:
            weights = _checked_weights(sample_weight, X.shape[0], X.dtype)
            counted = weights > 0
            if not counted.all():
                X, y, weights = X[counted], y[counted], weights[counted]
        y = self._targets(y, first=first, classes=classes)
        if first or not partial:
            self._random = check_random_state(self.random_state)
        rows = _rows(X)
        if first:
            self._begin(rows, X.dtype)
        loss, factor = self._loss_of(self._form)
        if weights is not None and not _takes(loss, "reduction"):
            raise ValueError(
                "sample_weight needs a loss for each row: loss= must take "
                "reduction='none', as those of tinygrad_edu.nn do"
            )
        objective = _Objective(loss, factor, float(self.alpha), self.model_)
        data = _Data(rows, self._for_loss(y, X.dtype), weights)
        try:
            if self.solver == "lbfgs":
                history = self._run_lbfgs(objective, data)
            else:
                history = self._run(objective, data, y, partial=partial)
        except training.NonFiniteError as error:
            raise ValueError(str(error)) from error
        self._keep(history)
        return self

    def _begin(self, rows: Any, dtype: Any) -> None:
        """Make the model, and look at what it returns."""
        model = self._made(dtype)
        output = training.predict(model, rows[:1])
        if not isinstance(output, np.ndarray) or output.ndim > 2:
            shape = output.shape if isinstance(output, np.ndarray) else "several"
            raise ValueError(
                f"the model must return an output of shape (n, columns), got {shape} "
                f"for 1 row"
            )
        self._form = output.shape[1:]
        self.n_outputs_ = math.prod(self._form)
        self._loss_of(self._form)  # says what does not fit
        self.model_ = model
        self.history_ = training.History()
        self._follow: _Convergence | None = None
        self._optimizer: optim.Optimizer | None = None
        self.t_ = 0

    def _made(self, dtype: Any) -> nn.Layer:
        """Return a new model; one that was given is copied."""
        if isinstance(self.model, nn.Layer):
            return copy.deepcopy(self.model)
        if self.model is None:
            sizes = [self.n_features_in_, *self._hidden_sizes(), self._columns()]
            return _network(sizes, self.activation, self._random, dtype)
        known = {"rng": self._random, "dtype": dtype}
        options = {name: x for name, x in known.items() if _takes(self.model, name)}
        model = self.model(self.n_features_in_, self._columns(), **options)
        if not isinstance(model, nn.Layer):
            kind = type(model).__name__
            raise TypeError(f"model= must return a Layer, got {kind}")
        return model

    def _run(
        self, objective: _Objective, data: _Data, y: np.ndarray, *, partial: bool
    ) -> training.History:
        """Train with the solver "adam" or "sgd"."""
        if not partial or self._optimizer is None:
            self._optimizer = self._made_optimizer()
        options: dict[str, Any] = {}
        if self.early_stopping:
            data, options["validation"] = self._split(data, y)
            options["metrics"] = {"score": self._score_of}
        n = len(data.y)
        size = min(200, n) if self.batch_size == "auto" else int(self.batch_size)
        if size > n:
            warnings.warn(
                f"batch_size={size} is more than the {n} rows; each epoch is one batch",
                UserWarning,
                stacklevel=4,
            )
        if self._follow is None or self._follow.by_score != self.early_stopping:
            self._follow = _Convergence(self.early_stopping)
        follow = self._follow
        follow.begin(self, n, partial=partial)
        try:
            history = training.fit(
                self.model_,
                data.X,
                data.both(),
                loss=objective,
                optimizer=self._optimizer,
                epochs=1 if partial else int(self.max_iter),
                batch_size=min(size, n),
                shuffle=bool(self.shuffle),
                callbacks=[follow, *self.callbacks],
                progress=bool(self.verbose),
                rng=self._random,
                **options,
            )
        finally:
            self.t_ = follow.seen
        if follow.best_weights:
            self.model_.load_state_dict(follow.best_weights)
            follow.best_weights = {}
        if history.stopped == "interrupted":
            warnings.warn("Training interrupted by user.", UserWarning, stacklevel=4)
        elif history.stopped == "epochs" and not partial:
            warnings.warn(
                f"{self.solver}: the {follow.name} has not converged after "
                f"max_iter={self.max_iter} epochs",
                ConvergenceWarning,
                stacklevel=4,
            )
        return history

    def _made_optimizer(self) -> optim.Optimizer:
        lr, parameters = float(self.learning_rate_init), self.model_.parameters()
        if self.solver == "adam":
            betas = (float(self.beta_1), float(self.beta_2))
            eps = float(self.epsilon)
            return optim.Adam(parameters, lr=lr, betas=betas, eps=eps)
        momentum = float(self.momentum)
        nesterov = bool(self.nesterovs_momentum) and momentum > 0
        return optim.SGD(parameters, lr=lr, momentum=momentum, nesterov=nesterov)

    def _split(self, data: _Data, y: np.ndarray) -> tuple[_Data, tuple[Any, Any]]:
        """Draw rows to validate with; two classes keep their shares."""
        two = y.ndim == 1 and len(getattr(self, "classes_", ())) == 2
        ours, theirs = train_test_split(
            np.arange(len(y)),
            test_size=self.validation_fraction,
            random_state=self._random,
            stratify=y if two else None,
        )
        if len(theirs) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or "
                "the size of your dataset."
            )
        validation = data.part(theirs)
        return data.part(ours), (validation.X, validation.both())

    def _run_lbfgs(self, objective: _Objective, data: _Data) -> training.History:
        """Train with SciPy's L-BFGS-B, on all parameters as one vector."""
        parameters = [p for p in self.model_.parameters() if p.requires_grad]
        ends = np.cumsum([p.size for p in parameters])
        X, y = data.X[:], data.both()
        history = training.History()

        def assign(vector: np.ndarray) -> None:
            for p, part in zip(parameters, np.split(vector, ends[:-1]), strict=True):
                p.data = part.reshape(p.shape)

        def loss_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
            assign(vector)
            for p in parameters:
                p.zero_grad()
            loss = objective(self.model_(X), y)
            loss.backward()
            gradients = [0 * p.data if p.grad is None else p.grad for p in parameters]
            return loss.item(), _joined(gradients)

        def note(intermediate_result: OptimizeResult) -> None:
            loss = float(intermediate_result.fun)
            history.append(len(history.epochs) + 1, {"loss": loss})

        self.model_.train()
        result = minimize(
            loss_and_gradient,
            _joined([p.data for p in parameters]),
            jac=True,
            method="L-BFGS-B",
            callback=note,
            options={
                "maxfun": int(self.max_fun),
                "maxiter": int(self.max_iter),
                "gtol": float(self.tol),
            },
        )
        assign(result.x)
        if not np.isfinite(result.x).all() or not math.isfinite(result.fun):
            raise ValueError(
                "lbfgs came to weights or a loss that are not finite. X may hold large "
                "numbers: scale it first"
            )
        if not history.epochs:  # it has been at a minimum already
            history.append(1, {"loss": float(result.fun)})
        history.stopped = str(result.message)
        if result.status != 0:
            warnings.warn(
                f"lbfgs has not converged after {result.nit} iterations: "
                f"{result.message}",
                ConvergenceWarning,
                stacklevel=4,
            )
        return history

    def _keep(self, history: training.History) -> None:
        """Put what training has left into attributes."""
        self.n_iter_ = len(history.epochs)
        last = len(self.history_.epochs)
        for i, epoch in enumerate(history.epochs):
            figures = {name: x[i] for name, x in history.values.items()}
            self.history_.append(last + epoch, figures)
        self.history_.stopped = history.stopped
        self.loss_curve_ = list(self.history_["loss"]) if self.history_.epochs else []
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.best_loss_ = self.best_validation_score_ = self.validation_scores_ = None
        if self.solver != "lbfgs" and self.early_stopping:
            scores = self.history_.values.get("validation_score", [])
            self.validation_scores_ = list(scores)
            self.best_validation_score_ = max(scores, default=math.nan)
        elif self.loss_curve_:
            self.best_loss_ = min(self.loss_curve_)

    # -- predicting
    def _outputs(self, X: Any) -> np.ndarray:
        """Return the model's outputs, of shape (n, columns)."""
        check_is_fitted(self)
        X = validate_data(
            self,
            X,
            accept_sparse="csr",
            dtype=_FLOATS,
            allow_nd=self.model is not None,
            reset=False,
        )
        output = training.predict(self.model_, _rows(X))
        return np.asarray(output).reshape(X.shape[0], -1)

    # -- parameters and attributes
    def _hidden_sizes(self) -> list[Any]:
        sizes = self.hidden_layer_sizes
        return list(sizes) if isinstance(sizes, Iterable) else [sizes]

    def _check_parameters(self) -> None:
        """Refuse what is out of range; scikit-learn wants that in ``fit``."""
        for name, (fits, must) in _PARAMETERS.items():
            value = getattr(self, name)
            if not fits(value):
                raise ValueError(f"{name} must be {must}, got {value!r}")
        sizes = self._hidden_sizes()
        if not all(_whole(size) and size > 0 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be whole numbers above 0, got {sizes!r}"
            )
        if not (callable(self.loss) or self.loss in self._losses):
            names = " or ".join(repr(name) for name in self._losses if name)
            raise ValueError(
                f"loss must be {names}, or a function of outputs and targets such as "
                f"te.nn.huber_loss, got {self.loss!r}"
            )
        if self.solver == "lbfgs" and list(self.callbacks):
            raise ValueError("callbacks are for the solvers adam and sgd, not lbfgs")

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _solver_has_steps(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit is for the solvers adam and sgd, not lbfgs")
    return True


class NeuralNetClassifier(ClassifierMixin, _NeuralNet):
    """A neural network that learns classes, as an estimator of scikit-learn.

    Can stand where ``sklearn.neural_network.MLPClassifier`` stands: parameters of the
    same names mean the same and have the same defaults.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Units in each hidden layer. Not used with ``model=``.
    activation : {"identity", "logistic", "tanh", "relu"}, default "relu"
        Of the hidden layers. Not used with ``model=``.
    solver : {"lbfgs", "sgd", "adam"}, default "adam"
        "lbfgs" is SciPy's, and takes all rows at once: good for small data.
    alpha : float, default 0.0001
        α ≥ 0: the loss of a batch has the further term α/2 ‖w‖² / rows, over the
        parameters with two axes or more; biases are free.
    batch_size : int or "auto", default "auto"
        Rows in a mini-batch; "auto" is 200, or all if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Of the solver "sgd": as it is; after t rows, divided by (t + 1) to the power of
        ``power_t``; or divided by 5 whenever training would stop, until it is 1e-6.
    learning_rate_init : float, default 0.001
        The learning rate, or where it begins.
    power_t : float, default 0.5
        For "invscaling".
    max_iter : int, default 200
        Epochs at most; of "lbfgs", iterations.
    shuffle : bool, default True
        Whether mini-batches are drawn in a new order in each epoch.
    random_state : int, RandomState or None
        Where the weights, the orders and the rows for validation are drawn from. With
        an int, each fit gives the same weights.
    tol : float, default 1e-4
        What loss or score must gain to count as an improvement; of "lbfgs", how small
        the gradient must be.
    verbose : bool or int, default False
        Whether to show progress.
    warm_start : bool, default False
        Whether ``fit`` goes on from the weights of the last one.
    momentum : float, default 0.9
        Of "sgd", 0 to below 1.
    nesterovs_momentum : bool, default True
        Of "sgd".
    early_stopping : bool, default False
        Whether to set rows aside, stop when the score on them improves no more, and
        keep the weights that had the best one.
    validation_fraction : float, default 0.1
        The share of the rows for that, between 0 and 1. Of two classes, each gives that
        share.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Of "adam"; see :class:`tinygrad_edu.optim.Adam`.
    n_iter_no_change : int or inf, default 10
        Training stops when more epochs than that, one after the other, were none with
        an improvement.
    max_fun : int, default 15000
        Of "lbfgs": computations of the loss at most.
    model : Layer or callable, optional
        The network to train instead of one with hidden layers. A Layer is copied, and
        each fit starts from the weights that it has. A function (or a class of layers)
        is called as ``model(n_features, n_outputs)`` and returns a Layer. If it has
        parameters ``rng`` or ``dtype``, it is given the generator made from
        ``random_state``, and the dtype of ``X``.

        The model returns logits of shape (n, classes); one column for two classes is
        enough, and is what ``n_outputs`` then says, unless ``loss`` wants two.
    loss : callable, optional
        ``loss(outputs, labels)``, where the labels are numbers from 0 on: those of
        ``classes_``. By default the log-loss: ``te.nn.softmax_cross_entropy``, or
        ``binary_cross_entropy_with_logits`` for one column or several labels; these,
        ``nll_loss`` and ``binary_cross_entropy`` say what outputs mean, after any other
        loss they are logits. Weighted samples need one that takes ``reduction="none"``.
    callbacks : sequence, default ()
        As for :func:`tinygrad_edu.fit`, in each fit. They are not copied.

    Attributes
    ----------
    classes_ : ndarray
        The class labels, sorted; of several labels in a row, their column numbers.
    model_ : Layer
        What was trained.
    history_ : History
        Of all epochs since the weights were drawn.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If ``X`` was a table with such names.
    n_outputs_ : int
        Columns that the model returns.
    n_iter_ : int
        Epochs of the last fit.
    t_ : int
        Rows that were learned from, each as often as it was.
    loss_ : float
        In the last epoch, with the term of ``alpha``.
    loss_curve_ : list of float
        The same of all epochs.
    best_loss_ : float or None
    validation_scores_ : list of float or None
    best_validation_score_ : float or None
        These two with ``early_stopping``; else the one before.
    coefs_, intercepts_ : list of ndarray, shapes (in, out) and (out,)
        The weights and biases by layer; not with ``model=``.

    See Also
    --------
    NeuralNetRegressor

    Notes
    -----
    With the same ``random_state``, the weights start from the same numbers as those of
    ``MLPClassifier``, X. Glorot's and Y. Bengio's uniform distribution (of factor 2
    instead of 6 for "logistic"). Later mini-batches are drawn in another order. Of
    several labels in a row, and of several outputs, the losses add up.

    float32 stays float32. Sparse matrices are made dense batch by batch.

    In a grid search with several processes, ``model`` and ``loss`` are pickled: they
    must be defined with a name in a module, or be layers.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> X, y, X_test, y_test = te.data.load_digits()
    >>> classifier = te.NeuralNetClassifier((32,), learning_rate_init=0.01, tol=0.01,
    ...                                     random_state=0)
    >>> classifier.fit(X, y).score(X_test, y_test) > 0.9
    True

    A model of one's own:

    >>> def two_layers(n_features, n_outputs, rng):
    ...     return te.nn.Sequential(
    ...         te.nn.Linear(n_features, 32, rng=rng), te.nn.GELU(),
    ...         te.nn.Dropout(0.1, rng=rng), te.nn.Linear(32, n_outputs, rng=rng),
    ...     )
    >>> classifier = te.NeuralNetClassifier(
    ...     model=two_layers, learning_rate_init=0.01, tol=0.02, random_state=0
    ... )
    >>> classifier.fit(X, y).model_[1]
    GELU()
    """

    _losses = (None, "log_loss")

    def _targets(self, y: Any, *, first: bool, classes: Any) -> Any:
        y = y.toarray() if issparse(y) else np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns with several classes each: only columns of 0 "
                "and 1 can be learned together"
            )
        multilabel = kind == "multilabel-indicator"
        if first:
            self._multilabel = multilabel
            if multilabel:
                self.classes_ = np.arange(y.shape[1])
            else:
                self.classes_ = np.unique(y if classes is None else classes)
            if not multilabel and len(self.classes_) < 2:
                raise ValueError(
                    "there must be at least 2 classes in y (of rows with a weight above"
                    f" 0), got 1 class: {self.classes_[0]!r}"
                )
        elif classes is not None and {*classes} != {*self.classes_}:
            raise ValueError(
                f"classes={classes!r} are not those of the fit before, {self.classes_}"
            )
        if multilabel != self._multilabel or (
            multilabel and y.shape[1] != len(self.classes_)
        ):
            raise ValueError(
                f"y is {kind} of shape {y.shape}; it was of another kind in the fit "
                "before"
            )
        if multilabel:
            return y
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(
                f"y has classes that are not in classes_: {unknown}. There are "
                f"{self.classes_}"
            )
        return np.searchsorted(self.classes_, y)

    def _kind(self) -> str | None:
        """Return what the outputs are by the loss; None if it says nothing."""
        loss = self.loss
        while isinstance(loss, partial):
            loss = loss.func
        return _KINDS.get(loss) if callable(loss) else None

    def _columns(self) -> int:
        yes_or_no = self.loss in self._losses or self._kind() in _YES_OR_NO
        if len(self.classes_) == 2 and yes_or_no and not self._multilabel:
            return 1
        return len(self.classes_)

    def _loss_of(self, form: tuple[int, ...]) -> tuple[Callable[..., Any], float]:
        columns = math.prod(form)
        single = not self._multilabel and columns == 1
        self._outputs_are = self._kind() or (
            "logits" if single or self._multilabel else "scores"
        )
        of_labels = self._multilabel or self._outputs_are in _YES_OR_NO
        classes = len(self.classes_)
        wanted = {classes} if self._multilabel or not of_labels else {1}
        if columns not in wanted or (of_labels and single and classes != 2):
            if of_labels and classes > 2 and not self._multilabel:
                hint = "use te.nn.softmax_cross_entropy for more than 2 classes"
            else:
                hint = f"it must have {min(wanted)} column(s)"
            raise ValueError(
                f"the model returns rows of shape {form} for {classes} classes: {hint}"
            )
        if callable(self.loss):
            return self.loss, 1.0
        if of_labels:
            return nn.binary_cross_entropy_with_logits, float(columns)
        return nn.softmax_cross_entropy, 1.0

    def _for_loss(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        if not self._multilabel and self._outputs_are not in _YES_OR_NO:
            return y
        return y.reshape(len(y), *self._form).astype(dtype)

    def _score_of(self, output: Any, y: Any) -> float:
        y, weights = y if isinstance(y, tuple) else (y, None)
        found = self._codes(np.asarray(output).reshape(len(y), -1))
        right = np.asarray(y).reshape(found.shape)
        return float(accuracy_score(right, found, sample_weight=weights))

    def _codes(self, output: np.ndarray) -> np.ndarray:
        """Return the numbers of classes, or 0 and 1 for each of several labels."""
        if not self._multilabel and output.shape[1] > 1:
            return np.asarray(output.argmax(axis=1))
        least = 0.0 if self._outputs_are == "logits" else 0.5
        codes: np.ndarray = (output > least).astype(int)
        return codes if self._multilabel else codes[:, 0]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)

        Returns
        -------
        ndarray, shape (n,) or (n, labels)
            Of several labels, 1 where the probability is above 1/2, else 0.
        """
        codes = self._codes(self._outputs(X))
        return codes if self._multilabel else np.asarray(self.classes_[codes])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)

        Returns
        -------
        ndarray, shape (n, classes)
            In the order of ``classes_``.
        """
        z = self._outputs(X)
        probabilities = np.asarray(_PROBABILITIES[self._outputs_are](z))
        if self._multilabel or z.shape[1] > 1:
            return probabilities
        no = ops.sigmoid(-z) if self._outputs_are == "logits" else 1 - probabilities
        return np.hstack([no, probabilities])

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)

        Returns
        -------
        ndarray, shape (n, classes)
            Finite where logits are, also where the probability rounds to 0.
        """
        z = self._outputs(X)
        if self._outputs_are == "logits":
            yes = np.asarray(-ops.softplus(-z))
            return yes if self._multilabel else np.hstack([-ops.softplus(z), yes])
        if self._outputs_are == "scores":
            return np.asarray(ops.log_softmax(z))
        if self._outputs_are == "log-probabilities":
            return z
        with np.errstate(divide="ignore"):
            yes = np.log(z)
            return yes if self._multilabel else np.hstack([np.log1p(-z), yes])

    @available_if(_solver_has_steps)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> NeuralNetClassifier:
        """Go through these data once, going on from the last call.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array_like, optional
            All that there will be; needed on the first call, unless ``y`` has columns
            of several labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``classes`` are missing or others than before; also as for :meth:`fit`.
        """
        if not hasattr(self, "model_") and classes is None:
            if not type_of_target(y).startswith("multilabel"):
                raise ValueError(
                    "classes must be passed on the first call to partial_fit."
                )
        self._learn(X, y, sample_weight, partial=True, classes=classes)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NeuralNetRegressor(RegressorMixin, _NeuralNet):
    """A neural network that learns numbers, as an estimator of scikit-learn.

    Can stand where ``sklearn.neural_network.MLPRegressor`` stands.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, \
learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, \
warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, \
beta_1, beta_2, epsilon, n_iter_no_change, max_fun, callbacks
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
intercepts_
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
    """

    _losses = (None, "squared_error")

    def _targets(self, y: Any, *, first: bool, classes: Any) -> Any:
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if first:
            self._shape = y.shape[1:]
        elif y.shape[1:] != self._shape:
            raise ValueError(
                f"y has rows of shape {y.shape[1:]}, in the fit before {self._shape}"
            )
        return y

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

    @available_if(_solver_has_steps)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> NeuralNetRegressor:
        """Go through these data once, going on from the last call.

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


# --------------------------------------------------------------- what outputs are

_KINDS: dict[Any, str] = {
    nn.softmax_cross_entropy: "scores",
    nn.nll_loss: "log-probabilities",
    nn.binary_cross_entropy_with_logits: "logits",
    nn.binary_cross_entropy: "probabilities",
}
_YES_OR_NO = {"logits", "probabilities"}  # each column by itself
_PROBABILITIES: dict[str, Callable[[Any], Any]] = {
    "scores": ops.softmax,
    "log-probabilities": np.exp,
    "logits": ops.sigmoid,
    "probabilities": lambda z: z,
}


# ------------------------------------------------------------- while it learns


class _Objective:
    """The loss of a batch: the mean over its rows, by weight, and the penalty."""

    def __init__(
        self, loss: Callable[..., Any], factor: float, alpha: float, model: nn.Layer
    ) -> None:
        self.loss, self.factor, self.alpha = loss, factor, alpha
        self.penalized = [
            p for p in model.parameters() if alpha and p.requires_grad and p.ndim > 1
        ]

    def __call__(self, output: Any, y: Any) -> Any:
        if isinstance(y, tuple):
            y, weights = y
            count = float(weights.sum())
            losses = self.loss(output, y, reduction="none")
            if losses.ndim > 1:
                losses = ops.mean(losses, axis=tuple(range(1, losses.ndim)))
            loss = ops.sum(losses * weights) / count
        else:
            count = float(len(y))
            loss = self.loss(output, y)
        if self.factor != 1:
            loss = loss * self.factor
        if not isinstance(output, Tensor):  # it is measured, not learned from
            return loss
        for p in self.penalized:
            loss = loss + (0.5 * self.alpha / count) * ops.sum(p * p)
        return loss


class _Convergence:
    """Ends training when the loss, or the score, improves no more: a callback."""

    def __init__(self, by_score: bool) -> None:
        self.by_score = by_score
        self.name = "validation score" if by_score else "training loss"
        self.best = math.inf  # the loss, or minus the score
        self.best_weights: dict[str, np.ndarray] = {}
        self.waited = 0  # epochs without an improvement
        self.seen = 0  # rows, over all fits

    def begin(self, estimator: _NeuralNet, rows: int, *, partial: bool) -> None:
        """Take on the estimator's parameters as they are now."""
        self.tol, self.patience = estimator.tol, estimator.n_iter_no_change
        self.plan = estimator.learning_rate if estimator.solver == "sgd" else "constant"
        self.rate, self.power = estimator.learning_rate_init, estimator.power_t
        self.rows = rows
        if not partial:
            self.waited = 0
        if self.by_score and self.best < math.inf:
            self.best_weights = estimator.model_.state_dict()

    def __call__(self, run: training.Training) -> None:
        self.seen += self.rows
        if self.by_score:
            value = -run.history["validation_score"][-1]
        else:
            value = run.history["loss"][-1]
        self.waited = 0 if value <= self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best = value
            if self.by_score:
                self.best_weights = run.model.state_dict()
        if self.plan == "invscaling":
            run.optimizer.lr = self.rate / (self.seen + 1) ** self.power
        if self.waited <= self.patience:
            return
        if self.plan == "adaptive" and run.optimizer.lr > _LEAST_RATE:
            run.optimizer.lr /= 5
            self.waited = 0
        else:
            run.stop(
                f"the {self.name} did not improve by more than tol={self.tol} in "
                f"{self.waited} epochs"
            )


class _Data:
    """Rows to learn from, with targets and maybe weights."""

    def __init__(self, X: Any, y: np.ndarray, weights: np.ndarray | None) -> None:
        self.X, self.y, self.weights = X, y, weights

    def both(self) -> Any:
        """Return what the loss takes besides the output."""
        return self.y if self.weights is None else (self.y, self.weights)

    def part(self, rows: np.ndarray) -> _Data:
        """Return some of the rows; those of X are read when they are asked for."""
        weights = None if self.weights is None else self.weights[rows]
        return _Data(Selected(self.X, rows), self.y[rows], weights)


class _SparseRows:
    """The rows of a sparse matrix, made dense when they are asked for."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self.matrix[rows].toarray())


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    """Return all numbers in one vector, as SciPy wants them."""
    return np.concatenate([array.ravel() for array in arrays], dtype=np.float64)


def _rows(X: Any) -> Any:
    return _SparseRows(X) if issparse(X) else X


def _network(
    sizes: list[int], activation: str, random: np.random.RandomState, dtype: Any
) -> nn.Layer:
    """Return a network with weights drawn in the order of ``MLPClassifier``."""
    model = nn.Sequential()
    hidden = _ACTIVATIONS[activation]
    factor = 2 if activation == "logistic" else 6
    for n_in, n_out in pairwise(sizes):
        if len(model) and hidden is not None:
            model.append(hidden())
        bound = math.sqrt(factor / (n_in + n_out))
        weights = random.uniform(-bound, bound, (n_in, n_out)).T
        bias = random.uniform(-bound, bound, n_out)
        layer = nn.Linear(
            int(n_in), int(n_out), init=lambda *_, w=weights: w, dtype=dtype
        )
        assert layer.bias is not None
        layer.bias.data = bias.astype(dtype)
        model.append(layer)
    return model


# -------------------------------------------------------- what fits, and what not


def _checked_weights(weights: Any, n: int, dtype: Any) -> np.ndarray:
    """Return a weight for each row, none of them negative and not all 0."""
    if isinstance(weights, Real):
        weights = np.full(n, weights)
    weights = check_array(
        weights, ensure_2d=False, dtype=dtype, input_name="sample_weight"
    )
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must have shape ({n},), one weight for each row, got "
            f"{weights.shape}"
        )
    if (weights < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weights.min():g}")
    if not weights.any():
        raise ValueError("every sample_weight is zero: there is nothing to learn from")
    return np.asarray(weights)


def _takes(function: Any, name: str) -> bool:
    """Whether a function has a parameter of that name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some written in C have none
        return False
    return name in parameters


def _whole(x: Any) -> bool:
    return isinstance(x, Integral) and not isinstance(x, bool)


def _number(x: Any) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool | np.bool_)


def _one_of(*names: str) -> tuple[Callable[[Any], bool], str]:
    text = ", ".join(map(repr, names))
    return lambda x: isinstance(x, str) and x in names, f"one of {text}"


_POSITIVE = (lambda x: _number(x) and 0 < x < math.inf, "a number above 0")
_NOT_NEGATIVE = (lambda x: _number(x) and 0 <= x < math.inf, "a number of 0 or more")
_SHARE = (lambda x: _number(x) and 0 <= x < 1, "a number from 0 to below 1")
_COUNT = (lambda x: _whole(x) and x >= 1, "a whole number above 0")
_FLAG = (lambda x: isinstance(x, bool | np.bool_), "True or False")

#: What a parameter must be, and how to say so.
_PARAMETERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "activation": _one_of(*_ACTIVATIONS),
    "solver": _one_of("lbfgs", "sgd", "adam"),
    "alpha": _NOT_NEGATIVE,
    "batch_size": (
        lambda x: (_whole(x) and x >= 1) or (isinstance(x, str) and x == "auto"),
        "a whole number above 0 or 'auto'",
    ),
    "learning_rate": _one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": _POSITIVE,
    "power_t": _NOT_NEGATIVE,
    "max_iter": _COUNT,
    "shuffle": _FLAG,
    "tol": _NOT_NEGATIVE,
    "verbose": (
        lambda x: isinstance(x, bool | np.bool_) or (_whole(x) and x >= 0),
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
        lambda x: (_whole(x) and x >= 1) or x == math.inf,
        "a whole number above 0 or infinity",
    ),
    "max_fun": _COUNT,
    "model": (
        lambda x: x is None or callable(x),
        "a Layer, or a function of n_features and n_outputs that returns one",
    ),
}
