"""What the estimators refuse, and how they say so."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from small_estimators import blobs, quick, unconverged

import tinygrad_edu as te
from tinygrad_edu import nn


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"activation": "sine"}, "activation must be one of 'identity', 'logistic', "),
        ({"solver": "newton"}, "solver must be one of 'lbfgs', 'sgd', 'adam', got"),
        ({"alpha": -1}, "alpha must be a number of 0 or more, got -1"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be whole numbers ab"),
        ({"batch_size": 0}, "batch_size must be a whole number above 0 or 'auto', got"),
        ({"max_iter": 2.5}, "max_iter must be a whole number above 0, got 2.5"),
        ({"momentum": 1.0}, "momentum must be a number from 0 to below 1, got 1.0"),
        ({"shuffle": "no"}, "shuffle must be True or False, got 'no'"),
        ({"learning_rate": 0.1}, "learning_rate must be one of 'constant', "),
        ({"loss": "hinge"}, "loss must be 'log_loss', or a function of outputs and t"),
        ({"model": 3}, "model must be a Layer, or a function of n_features and n_out"),
        ({"model": nn.Linear(4, 7)}, r"returns rows of shape \(7,\) for 3 classes: it"),
        (
            {"model": nn.Linear(4, 3), "loss": nn.binary_cross_entropy_with_logits},
            "use te.nn.softmax_cross_entropy for more than 2 classes",
        ),
        ({"solver": "lbfgs", "callbacks": [print]}, "callbacks are for the solvers ad"),
        (
            {"solver": "lbfgs", "compile": True},
            "compile is for the solvers adam and sgd",
        ),
        (
            {"early_stopping": True, "validation_fraction": 0.01},
            r"validation_fraction=0\.01 of 60 rows leaves 1 to validate with",
        ),
        (
            {"early_stopping": True, "validation_fraction": 0},
            "needs rows to validate with, got validation_fraction=0",
        ),
        ({"max_iter": 0}, "max_iter must be a whole number above 0, got 0"),
        ({"callbacks": print}, "callbacks must be a list or tuple of functions, got"),
        ({"callbacks": None}, "callbacks must be a list or tuple of functions, got No"),
        ({"model": nn.Tanh(), "hidden_layer_sizes": "8"}, "must be whole numbers abov"),
        ({"model": lambda i, o: nn.Linear(i, o + 1)}, "3 classes: it must have 3 colu"),
        ({"random_state": "a"}, "'a' cannot be used to seed"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_fit(rng, options, text):
    estimator = quick(**options)

    with pytest.raises(ValueError, match=text):
        estimator.fit(*blobs(rng))
    assert not hasattr(estimator, "model_") or "validation" in text


@pytest.mark.parametrize("kind", [te.NeuralNetClassifier, te.NeuralNetRegressor])
@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("hidden", " Did you mean hidden_layer_sizes? It takes hidden_layer_sizes, a"),
        ("batchsize", " Did you mean batch_size? It takes "),
        ("epochs", " It takes hidden_layer_sizes, activation, solver, "),
    ],
)
def test_an_unknown_parameter_is_refused_by_the_class_with_the_nearest(
    kind, given, near
):
    with pytest.raises(TypeError) as caught:
        kind(alpha=0.1, **{given: 3})

    told = f"{kind.__name__}: got an unexpected keyword argument {given!r}.{near}"
    assert str(caught.value).startswith(told)
    assert str(caught.value).endswith(", model, loss, callbacks, compile")


def test_too_many_positions_are_refused_by_the_class():
    with pytest.raises(TypeError, match=r"^NeuralNetRegressor: too many positional "):
        te.NeuralNetRegressor((3,), "relu", "adam")


def test_a_subclass_is_named_itself():
    class Mine(te.NeuralNetClassifier):
        pass

    with pytest.raises(TypeError, match=r"^Mine: got an unexpected .* 'hidden'"):
        Mine(hidden=3)


def test_a_model_function_must_return_a_layer(rng):
    with pytest.raises(TypeError, match="model= must return a Layer, got dict"):
        quick(model=lambda i, o: {}).fit(*blobs(rng))


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.zeros(6, int), "at least 2 classes in y .*, got 1 class: "),
        (np.linspace(0, 1, 6), "Unknown label type: continuous"),
        (np.array([[0, 2]] * 3 + [[1, 0]] * 3), "each must hold 0 and 1, for a la"),
        (np.array([[-1, 1], [1, -1]] * 3), r"each must hold 0 and 1.*got \[-1  1\]"),
        (np.array(["a", None, "b"] * 2, object), "one kind, .* got NoneType and str"),
        (np.array(["a", 1, "b"] * 2, object), "one kind, .* got int and str"),
        (np.array([0, 1, np.nan] * 2), "Input y contains NaN"),
    ],
)
def test_targets_that_are_no_classes_are_refused(y, text):
    with pytest.raises(ValueError, match=text):
        quick().fit(np.eye(6), y)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([1.0, 2.0], r"sample_weight must have shape \(60,\)"),
        (np.full(60, -1.0), "sample_weight must not be negative, got -1"),
        (np.zeros(60), "every sample_weight is zero"),
        (np.full(60, np.nan), "sample_weight contains NaN"),
    ],
)
def test_weights_that_do_not_fit_are_refused(rng, weights, text):
    with pytest.raises(ValueError, match=text):
        quick().fit(*blobs(rng), sample_weight=weights)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda X: X[:, 0], "Expected 2D array, got 1D array instead"),
        (lambda X: X[:, :, np.newaxis], "Found array with dim 3"),
        (lambda X: X[:-1], r"inconsistent numbers of samples: \[59, 60\]"),
        (lambda X: np.where(X > 3, np.nan, X), "Input X contains NaN"),
        (lambda X: np.where(X > 3, np.inf, X), "Input X contains infinity"),
        (lambda X: X.astype(str).astype(object) + "x", "could not convert string"),
        (lambda X: X[:, :0], r"Found array with 0 feature"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rng, change, text):
    X, y = blobs(rng)

    with pytest.raises(ValueError, match=text):
        quick().fit(change(X), y)


def test_other_features_than_those_of_the_fit_are_refused(rng):
    X, y = blobs(rng)
    fitted = quick().fit(X, y)

    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 4"):
        fitted.predict(X[:, :2])


def test_a_model_for_other_features_is_refused_with_what_it_was_given(rng):
    with pytest.raises(ValueError, match="its last axis must be 5") as caught:
        quick(model=nn.Linear(5, 3)).fit(*blobs(rng))

    assert "in the model, given a row of X as shape (1, 4)" in caught.value.__notes__


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_model_without_parameters_is_refused(rng, solver):
    frozen = nn.Linear(4, 3, rng=0)
    for p in frozen.parameters():
        p.requires_grad = False

    with pytest.raises(ValueError, match="the model has no parameters to train"):
        quick(model=frozen, solver=solver).fit(*blobs(rng))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("loss", "got"),
    [
        (lambda output, y: 1.0, "float"),
        (lambda output, y: output * output, r"Tensor of shape \(60, 3\)"),
    ],
)
def test_a_loss_that_is_no_number_of_the_graph_is_refused(rng, solver, loss, got):
    """Though with the penalty, its sum is one."""
    with pytest.raises(TypeError, match=f"a Tensor of a single number, .* got {got}"):
        quick(loss=loss, solver=solver).fit(*blobs(rng))


@pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.nll_loss])
def test_a_loss_of_one_class_in_each_row_is_not_for_several_labels(rng, loss):
    """Its probabilities would add up to 1."""
    X, y = blobs(rng)

    with pytest.raises(ValueError, match="for one class in each row, but y has 3 labe"):
        quick(loss=partial(loss, reduction="mean")).fit(X, np.eye(3)[y])


@pytest.mark.parametrize(
    "other", [np.arange(60) % 3, np.eye(4, dtype=int)[np.arange(60) % 4]]
)
def test_a_warm_start_with_targets_of_another_kind_is_refused(rng, other):
    X, y = blobs(rng)
    estimator = quick(warm_start=True).fit(X, np.eye(3)[y])

    with pytest.raises(ValueError, match="it was of another kind in the fit before"):
        estimator.fit(X, other)


def test_a_regressor_goes_on_with_as_many_targets_as_before(rng):
    X, y = blobs(rng)
    estimator = unconverged(te.NeuralNetRegressor(max_iter=2, warm_start=True), X, y)

    with pytest.raises(
        ValueError, match=r"rows of shape \(2,\), in the fit before \(\)"
    ):
        estimator.fit(X, np.stack([y, y], axis=1))


def test_a_regressors_model_needs_an_output_for_each_target(rng):
    X, y = blobs(rng)
    estimator = te.NeuralNetRegressor(model=nn.Linear(4, 2))

    with pytest.raises(ValueError, match=r"rows of shape \(2,\), but y has 1 column$"):
        estimator.fit(X, y)


@pytest.mark.parametrize(
    "changed",
    [
        {"hidden_layer_sizes": (3,)},
        {"activation": "tanh"},
        {"model": nn.Linear(4, 3)},
    ],
)
def test_a_warm_start_with_another_architecture_is_refused(rng, changed):
    X, y = blobs(rng)
    estimator = quick(warm_start=True).fit(X, y)

    with pytest.raises(ValueError, match="there is a model of other hidden layers"):
        estimator.set_params(**changed).fit(X, y)
    assert estimator.set_params(warm_start=False).fit(X, y).score(X, y) > 0.9


def test_weights_need_a_loss_that_heeds_reduction(rng):
    """Else they would count for nothing, in silence."""

    def loss(output, y, reduction="mean"):
        return nn.softmax_cross_entropy(output, y)

    with pytest.raises(ValueError, match=r"of 60 rows it made a result of shape \(\)"):
        quick(loss=loss).fit(*blobs(rng), sample_weight=np.ones(60))


def test_weights_need_a_loss_of_each_row(rng):
    def loss(output, y):
        return nn.softmax_cross_entropy(output, y)

    with pytest.raises(ValueError, match="loss= must take reduction='none'"):
        quick(loss=loss).fit(*blobs(rng), sample_weight=np.ones(60))


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:lbfgs:sklearn.exceptions.ConvergenceWarning")
def test_a_training_that_explodes_is_a_value_error(rng, solver):
    X = rng.standard_normal((20, 2)) * 1e200
    estimator = te.NeuralNetRegressor((3,), solver=solver, random_state=0)

    with pytest.raises(ValueError, match=r"not finite|inf|nan"):
        estimator.fit(X, X[:, 0])


def test_after_a_failure_one_can_go_on(rng):
    X, y = rng.standard_normal((20, 2)), rng.standard_normal(20)

    def failing(run):
        raise RuntimeError("of the callback")

    estimator = te.NeuralNetRegressor((3,), warm_start=True, max_iter=2)
    estimator.set_params(callbacks=[failing])
    with pytest.raises(RuntimeError, match="of the callback"):
        estimator.fit(X, y)

    unconverged(estimator.set_params(callbacks=()), X, y)

    assert estimator.history_.epochs == [1, 2]


def test_more_rows_in_a_batch_than_there_are_is_a_warning(rng):
    text = "batch_size=100 is more than the 60 rows"
    with pytest.warns(UserWarning, match=text) as caught:
        quick(batch_size=100).fit(*blobs(rng))

    assert caught[0].filename == __file__  # whose line called fit


def test_early_stopping_is_not_for_partial_fit(rng):
    with pytest.raises(ValueError, match=r"sets no rows aside: .* early_stopping="):
        quick(early_stopping=True).partial_fit(*blobs(rng), classes=[0, 1, 2])
