"""The estimators: scikit-learn's own checks, and MLPClassifier as the oracle."""

from __future__ import annotations

import inspect
import io

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from small_estimators import BOTH, blobs, quick, unconverged

import tinygrad_edu as te
from tinygrad_edu import nn


@pytest.fixture(scope="module")
def digits():
    X, y, X_test, y_test = te.data.load_digits()
    return X[:400], y[:400], X_test, y_test


def checks(marks=(), **options):
    """What parametrize_with_checks gives, with marks; none may fail."""
    return [
        pytest.param(
            one, check, id=f"{kind.__name__}-{check.func.__name__}", marks=marks
        )
        for kind in BOTH
        for one, check in estimator_checks_generator(kind(**options), mark=None)
    ]


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks bring their own
@pytest.mark.parametrize(
    ("estimator", "check"),
    checks(max_iter=30, learning_rate_init=0.02) + checks(pytest.mark.slow),
)
def test_scikit_learns_checks_pass(estimator, check):
    """With fewer epochs always; with the defaults among the slow tests."""
    check(estimator)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(BOTH[0], MLPClassifier), (BOTH[1], MLPRegressor)]
)
def test_each_parameter_of_the_mlp_is_there_with_its_default(ours, theirs):
    mine = inspect.signature(ours).parameters
    others = inspect.signature(theirs).parameters

    missing = {
        name: parameter.default
        for name, parameter in others.items()
        if name not in mine or mine[name].default != parameter.default
    }
    assert missing.keys() <= {"loss"}  # here None, or the same name


def test_loss_may_be_named_as_in_the_mlp():
    X, y = np.eye(4), np.arange(4.0)

    named = unconverged(
        te.NeuralNetRegressor(loss="squared_error", max_iter=2, random_state=0), X, y
    )
    default = unconverged(te.NeuralNetRegressor(max_iter=2, random_state=0), X, y)

    assert named.loss_curve_ == default.loss_curve_


TARGETS = {
    "two classes": lambda y: np.where(y > 4, "many", "few"),
    "ten classes": lambda y: y,
    "three labels": lambda y: np.stack([y > 4, y % 2, y % 3 == 0], axis=1).astype(int),
    "a number": lambda y: 0.3 * y,
    "two numbers": lambda y: np.stack([0.1 * y, np.sin(y)], axis=1),
}


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("target", TARGETS)
def test_weights_are_those_of_the_mlp(digits, activation, target):
    """Rows in order: with shuffle=True, both draw their own."""
    X, y = digits[0], TARGETS[target](digits[1])
    regression = "number" in target
    ours, theirs = (
        unconverged(
            kind((9, 7), activation, batch_size=64, alpha=0.5, max_iter=3,
                 solver="sgd", shuffle=False, random_state=1), X, y,
        )
        for kind in (
            (te.NeuralNetRegressor, MLPRegressor_)
            if regression
            else (te.NeuralNetClassifier, MLPClassifier)
        )
    )  # fmt: skip

    for mine, its in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)
    assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_)
    assert ours.n_layers_ == theirs.n_layers_
    if target != "two numbers":  # whose losses it averages, but adds the gradients
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(
        np.asarray(ours.predict(X[:50]) == theirs.predict(X[:50]))
        if not regression
        else ours.predict(X[:50]) - theirs.predict(X[:50]),
        0.0 if regression else True,
        atol=1e-9,
    )


def MLPRegressor_(hidden, activation, **options):
    """Of which the first parameter is another one from version 1.7 on."""
    return MLPRegressor(hidden_layer_sizes=hidden, activation=activation, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "lbfgs"},
        {"solver": "sgd", "learning_rate": "adaptive", "momentum": 0.0, "tol": 0.5},
        {"solver": "sgd", "learning_rate": "adaptive", "momentum": 0.0, "tol": 9.0},
        {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "early_stopping": True, "validation_fraction": 0.3},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_solver_and_learning_rate_are_those_of_the_mlp(digits, options):
    """A rate that changes is tested without momentum, which gathers steps otherwise."""
    X, y = digits[0][:100], digits[1][:100]  # in one batch, the order is nothing
    given = {"max_iter": 40, "random_state": 2, "n_iter_no_change": 3} | options

    ours = unconverged(te.NeuralNetClassifier((9,), "tanh", **given), X, y)
    theirs = unconverged(MLPClassifier((9,), "tanh", **given), X, y)

    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-7)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-5, atol=1e-8)


def test_adam_comes_to_the_mlps_accuracy_on_the_digits(digits):
    X, y, X_test, y_test = digits
    given = {"learning_rate_init": 0.01, "tol": 0.01, "random_state": 0}

    ours = te.NeuralNetClassifier((30,), **given).fit(X, y)
    theirs = MLPClassifier((30,), **given).fit(X, y)

    assert abs(ours.score(X_test, y_test) - theirs.score(X_test, y_test)) < 0.05
    assert ours.score(X_test, y_test) > 0.8
    assert abs(ours.n_iter_ - theirs.n_iter_) < 15


# ------------------------------------------------------------ in scikit-learn's company


def test_a_pipeline_and_a_grid_search_in_two_processes(rng):
    X, y = blobs(rng, 90)
    pipeline = make_pipeline(StandardScaler(), quick())
    grid = {"neuralnetclassifier__hidden_layer_sizes": [(1,), (8,)]}

    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(100 * X, y)

    assert search.best_params_ == {"neuralnetclassifier__hidden_layer_sizes": (8,)}
    assert search.best_score_ > 0.9


def test_a_grid_search_over_models_in_two_processes(rng):
    """With a function that has no name in a module, as in a notebook."""
    estimator = quick(callbacks=[lambda run: None])
    deep = nn.Sequential(nn.Linear(4, 8, rng=0), nn.Tanh(), nn.Linear(8, 3, rng=1))
    grid = {"model": [deep, nn.Linear(4, 3, rng=0)]}

    search = GridSearchCV(estimator, grid, cv=2, n_jobs=2).fit(*blobs(rng))

    assert search.cv_results_["mean_test_score"].min() > 0.9


def test_cross_validation(rng):
    scores = cross_val_score(quick(), *blobs(rng, 90), cv=3)

    assert scores.shape == (3,)
    assert scores.min() > 0.9


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("own", [False, True])
def test_a_fitted_estimator_pickles(rng, kind, own):
    X, y = blobs(rng)
    classes = kind is te.NeuralNetClassifier
    estimator = kind((5,), max_iter=3, random_state=0)
    if own:
        estimator.set_params(
            model=nn.Linear(4, 3 if classes else 1, rng=0),
            loss=nn.softmax_cross_entropy if classes else nn.huber_loss,
            callbacks=[te.training.EarlyStopping("loss", patience=100)],
        )
    unconverged(estimator, X, y)
    file = io.BytesIO()

    joblib.dump(estimator, file)
    file.seek(0)
    loaded = joblib.load(file)

    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    for one in (loaded, estimator):  # with the optimiser's state
        one.partial_fit(X, y)
    assert len(loaded.loss_curve_) == 4
    assert loaded.loss_curve_ == estimator.loss_curve_
    assert loaded.get_params().keys() == estimator.get_params().keys()


def test_a_clone_is_not_fitted_and_has_layers_of_its_own(rng):
    X, y = blobs(rng)
    layer = nn.Linear(4, 3, rng=0)
    estimator = quick(model=layer, loss=nn.softmax_cross_entropy).fit(X, y)

    copied = clone(estimator)

    with pytest.raises(NotFittedError, match="not fitted yet"):
        copied.predict(X)
    assert copied.model is not layer
    assert copied.get_params()["loss"] is nn.softmax_cross_entropy


def test_the_estimators_are_public_names_reached_late():
    assert {"NeuralNetClassifier", "NeuralNetRegressor"} <= {*te.__all__} & {*dir(te)}
    with pytest.raises(AttributeError, match="has no attribute 'NeuralNet'"):
        _ = te.NeuralNet
