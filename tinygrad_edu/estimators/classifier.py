"""The classifier: a network that learns classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from tinygrad_edu import nn
from tinygrad_edu.estimators.base import NeuralNet, solver_has_steps
from tinygrad_edu.estimators.outputs import MEANINGS, Meaning, meaning_by_loss

__all__ = ["NeuralNetClassifier"]


class NeuralNetClassifier(ClassifierMixin, NeuralNet):
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
        α ≥ 0: the loss of a batch has the further term α/2 ‖w‖² / rows, in its unit,
        over the parameters with two axes or more; biases are free.
    batch_size : int or "auto", default "auto"
        Rows in a mini-batch; "auto" is 200, or all if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Of the solver "sgd": as it is; after t rows, divided by (t + 1) to the power of
        ``power_t``; or divided by 5 whenever training would stop, until it is 1e-6.
    learning_rate_init : float, default 0.001
        The learning rate, or where it begins: the unit of a parameter by that of its
        gradient.
    power_t : float, default 0.5
        For "invscaling", dimensionless.
    max_iter : int, default 200
        Epochs at most; of "lbfgs", iterations.
    shuffle : bool, default True
        Whether mini-batches are drawn in a new order in each epoch.
    random_state : int, RandomState or None
        Where the weights, the orders and the rows for validation are drawn from. With
        an int, each fit gives the same weights.
    tol : float, default 1e-4
        What loss or score must gain to count as an improvement, in its unit; of
        "lbfgs", how small the gradient must be.
    verbose : bool or int, default False
        Whether to show progress.
    warm_start : bool, default False
        Whether ``fit`` goes on from the weights of the last one.
    momentum : float, default 0.9
        Of "sgd", 0 to below 1, dimensionless.
    nesterovs_momentum : bool, default True
        Of "sgd".
    early_stopping : bool, default False
        Of "adam" and "sgd": whether to set rows aside, stop when the score on them
        improves no more, and keep the weights that had the best one.
    validation_fraction : float, default 0.1
        The share of the rows for that, between 0 and 1. Of two classes, each gives that
        share.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Of "adam", dimensionless; see :class:`tinygrad_edu.optim.Adam`.
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
    compile : bool or "numba", default False
        As for :func:`tinygrad_edu.fit`: compute by a program, with the same bits; or by
        compiled loops, the same but for rounding.

    Attributes
    ----------
    classes_ : ndarray, shape (classes,)
        The class labels, sorted; of several labels in a row, their column numbers.
    model_ : Layer
        What was trained.
    history_ : History
        Of all epochs since the weights were drawn.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, shape (features,)
        If ``X`` was a table with such names.
    n_outputs_ : int
        Columns that the model returns.
    n_iter_ : int
        Epochs of the last fit.
    t_ : int
        Rows that were learned from, each as often as it was.
    loss_ : float
        In the last epoch, with the term of ``alpha``, in the loss's unit.
    loss_curve_ : list of float
        The same of all epochs, in the same unit.
    best_loss_ : float or None
        The least of them, in the same unit; None with ``early_stopping``.
    validation_scores_ : list of float or None
        Of all epochs, with ``early_stopping``, dimensionless.
    best_validation_score_ : float or None
        The largest of them, dimensionless.
    coefs_, intercepts_ : list of ndarray, shapes (in, out) and (out,)
        The weights and biases by layer; not with ``model=``.
    n_layers_ : int
        Layers of units, the input and the output among them; not with ``model=``.

    See Also
    --------
    NeuralNetRegressor

    Notes
    -----
    With the same ``random_state``, the weights start from the same numbers as those of
    ``MLPClassifier``, X. Glorot's and Y. Bengio's uniform distribution (of factor 2
    instead of 6 for "logistic"). Later mini-batches are drawn in another order, and a
    rate that changes counts for all of the momentum, also what was gathered before. Of
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
    >>> classifier.predict(X_test[:3]).shape, classifier.predict_proba(X_test[:3]).shape
    ((3,), (3, 10))
    >>> bool(classifier.predict_log_proba(X_test[:3]).max() <= 0)
    True
    >>> [W.shape for W in classifier.coefs_], [b.shape for b in classifier.intercepts_]
    ([(64, 32), (32, 10)], [(32,), (10,)])

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

    _losses = ("log_loss",)

    # -- the classes
    def _targets(self, y: Any, *, first: bool, classes: Any) -> np.ndarray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        found = _distinct(y)
        check_classification_targets(y)
        kind = type_of_target(y)
        multilabel = kind == "multilabel-indicator"
        if kind == "multiclass-multioutput" or (
            multilabel and not np.isin(found, (0, 1)).all()
        ):
            raise ValueError(
                "y has several columns: each must hold 0 and 1, for a label of its own,"
                f" got {found}"
            )
        classes = None if classes is None else np.unique(classes)
        if first:
            self._multilabel = multilabel
            self.classes_ = found if classes is None else classes
            if multilabel:
                self.classes_ = np.arange(y.shape[1])
            elif len(self.classes_) < 2:
                raise ValueError(
                    "there must be at least 2 classes in y (of rows with a weight above"
                    f" 0), got 1 class: {self.classes_[0]}"
                )
        elif classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes={classes} are not those of the fit before, {self.classes_}"
            )
        if multilabel != self._multilabel or (
            multilabel and y.shape[1] != len(self.classes_)
        ):
            raise ValueError(
                f"y is {kind} of shape {y.shape}; it was of another kind in the fit "
                "before"
            )
        if multilabel:
            return np.asarray(y)
        unknown = np.setdiff1d(found, self.classes_)
        if unknown.size:
            raise ValueError(
                f"y has classes that are not in classes_: {unknown}. There are "
                f"{self.classes_}"
            )
        return np.asarray(np.searchsorted(self.classes_, y))

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return y if len(self.classes_) == 2 and not self._multilabel else None

    # -- what the outputs mean
    def _columns(self) -> int:
        known = meaning_by_loss(self.loss)
        by_column = not callable(self.loss) or (
            known is not None and MEANINGS[known].by_column
        )
        if len(self.classes_) == 2 and by_column and not self._multilabel:
            return 1
        return len(self.classes_)

    def _loss_of(self, form: tuple[int, ...]) -> tuple[Callable[..., Any], float]:
        columns = math.prod(form)
        by_column = self._multilabel or columns == 1
        self._outputs_are = meaning_by_loss(self.loss) or (
            "logits" if by_column else "scores"
        )
        self._check_columns(form)
        if callable(self.loss):
            return self.loss, 1.0
        if by_column:
            return nn.binary_cross_entropy_with_logits, float(columns)
        return nn.softmax_cross_entropy, 1.0

    def _check_columns(self, form: tuple[int, ...]) -> None:
        """Refuse a model whose outputs do not fit the classes and the loss."""
        columns, classes = math.prod(form), len(self.classes_)
        by_column = self._meaning.by_column
        if self._multilabel and not by_column:
            raise ValueError(
                f"the loss is for one class in each row, but y has {classes} labels: "
                "use te.nn.binary_cross_entropy_with_logits"
            )
        if by_column and not self._multilabel and classes > 2:
            hint = "use te.nn.softmax_cross_entropy for more than 2 classes"
        else:
            wanted = 1 if by_column and not self._multilabel else classes
            if columns == wanted:
                return
            hint = f"it must have {wanted} column{'s' * (wanted != 1)}"
        raise ValueError(
            f"the model returns rows of shape {form} for {classes} classes: {hint}"
        )

    @property
    def _meaning(self) -> Meaning:
        return MEANINGS[self._outputs_are]

    def _for_loss(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        if not self._meaning.by_column:
            return y
        return y.reshape(len(y), *self._form).astype(dtype)

    def _score_of(self, output: Any, y: Any) -> float:
        y, weights = y if isinstance(y, tuple) else (y, None)
        found = self._codes(np.asarray(output).reshape(len(y), -1))
        right = np.asarray(y).reshape(found.shape)
        return float(accuracy_score(right, found, sample_weight=weights))

    def _codes(self, output: np.ndarray) -> np.ndarray:
        """Return the numbers of classes, or 0 and 1 for each of several labels."""
        if not self._meaning.by_column:
            return np.asarray(output.argmax(axis=1))
        codes: np.ndarray = (output > self._meaning.least).astype(int)
        return codes if self._multilabel else codes[:, 0]

    # -- predicting
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
        outputs = self._outputs(X)
        return self._by_class(outputs, self._meaning.yes, self._meaning.no)

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
        outputs = self._outputs(X)
        with np.errstate(divide="ignore"):  # of a probability that is 0
            return self._by_class(outputs, self._meaning.log_yes, self._meaning.log_no)

    def _by_class(
        self, outputs: np.ndarray, yes: Callable[[Any], Any], no: Any
    ) -> np.ndarray:
        """Return a column for each class: of a single output, first that of a no."""
        if self._multilabel or no is None:
            return np.asarray(yes(outputs))
        return np.hstack([no(outputs), yes(outputs)])

    @available_if(solver_has_steps)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, *, classes: Any = None, sample_weight: Any = None
    ) -> NeuralNetClassifier:
        """Go through these data once, going on from the last call.

        The optimiser goes on, too: a solver or learning rate that was set since counts
        from the next :meth:`fit` on.

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
        several = np.ndim(y) == 2 and np.shape(y)[1] > 1
        if classes is None and not several and not hasattr(self, "model_"):
            raise ValueError(
                "the first partial_fit needs classes=, with all that there will be"
            )
        self._learn(X, y, sample_weight, partial=True, classes=classes)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _distinct(y: np.ndarray) -> np.ndarray:
    """Return the classes, sorted."""
    try:
        return np.unique(y)
    except TypeError:
        kinds = sorted({type(x).__name__ for x in y.ravel()})
        raise ValueError(
            "y must hold classes of one kind, all numbers or all strings, got "
            f"{' and '.join(kinds)}. Leave rows without a class out"
        ) from None
