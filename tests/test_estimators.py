"""The estimators: scikit-learn's own checks, and MLPClassifier as the oracle."""

from __future__ import annotations

import inspect
import io
import warnings

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import tinygrad_edu as te
from tinygrad_edu import nn

BOTH = [te.NeuralNetClassifier, te.NeuralNetRegressor]


@pytest.fixture(scope="module")
def digits():
    X, y, X_test, y_test = te.data.load_digits()
    return X[:400], y[:400], X_test, y_test


def quick(**options):
    """A classifier that ends without a warning."""
    given = {"hidden_layer_sizes": (8,), "max_iter": 300, "tol": 0.02}
    return te.NeuralNetClassifier(
        **(given | {"learning_rate_init": 0.1, "random_state": 0} | options)
    )


def blobs(rng, n=60, classes=3):
    y = np.arange(n) % classes
    return rng.standard_normal((n, 4)) + 3 * np.eye(4)[y], y


def unconverged(estimator, *data, **options):
    """Fit for the few epochs that a test needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "scipy.optimize", DeprecationWarning)  # MLP's
        return estimator.fit(*data, **options)


# ------------------------------------------------------------ as scikit-learn's


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
        {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "early_stopping": True, "validation_fraction": 0.3},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_solver_and_learning_rate_are_those_of_the_mlp(digits, options):
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


# ------------------------------------------------------------ when training stops


def test_training_stops_when_the_loss_has_not_improved_by_tol(rng):
    fitted = quick(n_iter_no_change=4).fit(*blobs(rng))

    best = np.minimum.accumulate(fitted.loss_curve_)
    gained = np.array(fitted.loss_curve_[1:]) <= best[:-1] - 0.02
    assert not gained[-5:].any()
    assert gained[-6]
    assert "the training loss did not improve" in fitted.history_.stopped
    assert fitted.best_loss_ == min(fitted.loss_curve_)
    assert fitted.best_validation_score_ is None


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_warning_says_that_max_iter_came_first(rng, solver):
    estimator = quick(max_iter=2, solver=solver, tol=1e-9)

    with pytest.warns(ConvergenceWarning, match=f"{solver}.* has not converged after "):
        estimator.fit(*blobs(rng))

    assert estimator.n_iter_ == 2
    assert len(estimator.loss_curve_) == 2


@pytest.mark.parametrize("kind", BOTH)
def test_early_stopping_keeps_the_weights_of_the_best_score(rng, kind):
    X = rng.standard_normal((80, 3))
    y = X[:, 0] + rng.standard_normal(80)
    y = y if kind is te.NeuralNetRegressor else y > 0
    weights = []
    estimator = kind((20,), early_stopping=True, n_iter_no_change=3, random_state=3,
                     learning_rate_init=0.05, max_iter=400)  # fmt: skip
    estimator.set_params(
        callbacks=[lambda run: weights.append(run.model.state_dict()["0.weight"])]
    )

    estimator.fit(X, y)

    scores = estimator.validation_scores_
    best = int(np.argmax(scores))
    assert estimator.best_validation_score_ == scores[best]
    assert estimator.n_iter_ == len(scores) > best + 3
    np.testing.assert_array_equal(estimator.coefs_[0].T, weights[best])
    X_val, y_val = validation_of(estimator, X, y)
    assert len(y_val) == 8
    assert estimator.score(X_val, y_val) == pytest.approx(scores[best])


def validation_of(estimator, X, y):
    """Fit again, and look which rows are validated with."""
    seen = []

    def spy(run):
        if not seen:
            seen.append(run._validation)

    unconverged(clone(estimator).set_params(callbacks=[spy], max_iter=1), X, y)
    rows = seen[0][0].rows
    return X[rows], y[rows]


def test_callbacks_see_each_epoch_and_may_stop(rng):
    epochs = []

    def third(run):
        epochs.append(run.epoch)
        if run.epoch == 3:
            run.stop("enough")

    fitted = quick(callbacks=[third]).fit(*blobs(rng))

    assert epochs == [1, 2, 3]
    assert (fitted.n_iter_, fitted.history_.stopped) == (3, "enough")


def test_an_interruption_keeps_what_there_is(rng):
    def interrupt(run):
        if run.epoch == 2:
            raise KeyboardInterrupt

    estimator = quick(callbacks=[interrupt])
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(*blobs(rng))

    assert estimator.n_iter_ == 2
    assert estimator.predict(np.zeros((1, 4))).shape == (1,)


# ------------------------------------------------------------ in scikit-learn's company


def test_a_pipeline_and_a_grid_search_in_two_processes(rng):
    X, y = blobs(rng, 90)
    pipeline = make_pipeline(StandardScaler(), quick())
    grid = {"neuralnetclassifier__hidden_layer_sizes": [(1,), (8,)]}

    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(100 * X, y)

    assert search.best_params_ == {"neuralnetclassifier__hidden_layer_sizes": (8,)}
    assert search.best_score_ > 0.9


def test_cross_validation(rng):
    scores = cross_val_score(quick(), *blobs(rng, 90), cv=3)

    assert scores.shape == (3,)
    assert scores.min() > 0.9


@pytest.mark.parametrize("kind", BOTH)
def test_a_fitted_estimator_pickles(rng, kind):
    X, y = blobs(rng)
    estimator = unconverged(kind((5,), max_iter=3, random_state=0), X, y)
    file = io.BytesIO()

    joblib.dump(estimator, file)
    file.seek(0)
    loaded = joblib.load(file)

    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    for one in (loaded, estimator):  # with the optimiser's state
        one.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.coefs_[0], estimator.coefs_[0])


def test_a_clone_is_not_fitted_and_has_layers_of_its_own(rng):
    X, y = blobs(rng)
    layer = nn.Linear(4, 3, rng=0)
    estimator = quick(model=layer, loss=nn.softmax_cross_entropy).fit(X, y)

    copied = clone(estimator)

    with pytest.raises(NotFittedError, match="not fitted yet"):
        copied.predict(X)
    assert copied.model is not layer
    assert copied.get_params()["loss"] is nn.softmax_cross_entropy


def test_names_of_columns_are_learned(rng):
    pandas = pytest.importorskip("pandas")
    X, y = blobs(rng)
    table = pandas.DataFrame(X, columns=["a", "b", "c", "d"])

    fitted = quick().fit(table, pandas.Series(y))

    assert [*fitted.feature_names_in_] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(table[["b", "a", "c", "d"]])


# ------------------------------------------------------------ data of all kinds


def test_classes_may_be_strings(rng):
    X, y = blobs(rng)
    names = np.array(["low", "middle", "high"])[y]

    fitted = quick().fit(X, names)

    assert [*fitted.classes_] == ["high", "low", "middle"]
    assert np.mean(fitted.predict(X) == names) > 0.9
    assert (
        fitted.classes_[fitted.predict_proba(X).argmax(axis=1)] == names
    ).mean() > 0.9


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_add_up_to_1_and_have_finite_logarithms(rng, classes):
    X, y = blobs(rng, classes=classes)
    fitted = quick().fit(X, y)
    far = 1e4 * X

    for rows in (X, far):
        np.testing.assert_allclose(fitted.predict_proba(rows).sum(axis=1), 1)
        assert np.isfinite(fitted.predict_log_proba(rows)).all()
    assert (fitted.predict_proba(far) == 0).any()
    np.testing.assert_allclose(
        np.exp(fitted.predict_log_proba(X)), fitted.predict_proba(X)
    )


def test_several_labels_in_a_row(rng):
    X = rng.standard_normal((80, 3))
    Y = (X[:, :2] > 0).astype(int)

    fitted = quick().fit(X, Y)

    assert fitted.predict(X).shape == fitted.predict_proba(X).shape == (80, 2)
    assert (fitted.predict(X) == Y).mean() > 0.9
    np.testing.assert_allclose(
        np.exp(fitted.predict_log_proba(X)), fitted.predict_proba(X)
    )
    again = quick().fit(X, csr_array(Y), sample_weight=np.ones(80))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_several_targets_in_a_row(rng):
    X = rng.standard_normal((80, 3))
    Y = np.stack([X[:, 0], X[:, 1] - X[:, 2]], axis=1)

    fitted = te.NeuralNetRegressor(solver="lbfgs", random_state=0).fit(X, Y)

    assert fitted.predict(X).shape == (80, 2)
    assert fitted.score(X, Y) > 0.99


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_float32_stays_float32(rng, kind, solver):
    X, y = blobs(rng)
    X = X.astype(np.float32)

    fitted = unconverged(kind((5,), solver=solver, max_iter=3), X, y, np.ones(60))

    assert {p.dtype for p in fitted.model_.parameters()} == {np.dtype(np.float32)}
    name = "predict" if kind is te.NeuralNetRegressor else "predict_proba"
    assert getattr(fitted, name)(X).dtype == np.float32


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_sparse_rows_give_what_dense_ones_give(digits, options):
    X, y = digits[0][:150], digits[1][:150]
    estimator = te.NeuralNetClassifier((5,), max_iter=5, random_state=0, **options)

    dense = unconverged(clone(estimator), X, y)
    sparse = unconverged(clone(estimator), csr_array(X), y)

    assert sparse.loss_curve_ == dense.loss_curve_
    np.testing.assert_array_equal(sparse.predict(csr_array(X)), dense.predict(X))


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_of_samples_count_like_repetitions(rng, kind, solver):
    X, y = blobs(rng, 40)
    weights = rng.integers(0, 4, 40)
    estimator = kind(
        (5,), "tanh", solver=solver, alpha=0.3, max_iter=20, random_state=0
    )

    weighted = unconverged(clone(estimator), X, y, sample_weight=weights)
    repeated = unconverged(clone(estimator), X.repeat(weights, 0), y.repeat(weights))

    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-6)


def test_rows_of_weight_0_count_for_nothing(rng):
    X, y = blobs(rng)

    fitted = unconverged(quick(max_iter=2), X, y, sample_weight=y < 2)

    assert [*fitted.classes_] == [0, 1]
    assert fitted.t_ == 2 * 40


def test_two_classes_give_the_same_share_to_the_validation(rng):
    X, y = rng.standard_normal((40, 2)), np.arange(40) % 10 == 0
    estimator = quick(early_stopping=True, validation_fraction=0.5)

    shares = [
        validation_of(estimator.set_params(random_state=seed), X, y)[1].sum()
        for seed in range(5)
    ]

    assert shares == [2] * 5


def test_weights_count_in_the_validation_score(rng):
    X = rng.standard_normal((40, 2))
    y = np.arange(40) % 4 == 0
    given = {"early_stopping": True, "max_iter": 1, "validation_fraction": 0.5}
    estimator = quick(**given)
    X_val, y_val = validation_of(estimator, X, y)
    weights = np.where((X[:, None] == X_val).all(axis=-1).any(axis=1), y + 0.5, 1.0)

    unconverged(estimator, X, y, sample_weight=weights)

    expected = estimator.score(X_val, y_val, sample_weight=y_val + 0.5)
    assert estimator.best_validation_score_ == pytest.approx(expected)
    assert expected != estimator.score(X_val, y_val)


# ------------------------------------------------------------ again, and going on


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_same_random_state_gives_the_same_weights(rng, kind, early_stopping):
    X, y = blobs(rng, 250)
    estimator = kind((5,), max_iter=3, random_state=4, early_stopping=early_stopping)

    first = unconverged(estimator, X, y).coefs_
    second = unconverged(estimator, X, y).coefs_
    other = unconverged(clone(estimator).set_params(random_state=5), X, y).coefs_

    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def test_warm_start_goes_on_from_the_weights(rng):
    X, y = blobs(rng)
    estimator = quick(max_iter=3, warm_start=True)

    first = unconverged(estimator, X, y).loss_curve_
    second = unconverged(estimator, X, y)

    assert len(second.loss_curve_) == 6
    assert second.loss_curve_[:3] == first
    assert second.loss_curve_[3] < first[-1]
    assert (second.n_iter_, second.history_.epochs) == (3, [*range(1, 7)])
    with pytest.raises(ValueError, match="classes that are not in classes_: "):
        estimator.fit(X, y + 1)


def test_a_warm_start_after_convergence_waits_anew(rng):
    X, y = blobs(rng)
    estimator = quick(warm_start=True, n_iter_no_change=5, tol=0.1).fit(X, y)

    estimator.fit(X, y)

    assert estimator.n_iter_ == 6


def test_partial_fit_goes_on_as_one_fit_does(rng):
    X, y = blobs(rng, 30)
    whole = unconverged(quick(max_iter=4), X, y)
    estimator = quick()

    estimator.partial_fit(X, y, classes=[0, 1, 2])
    for _ in range(3):
        estimator.partial_fit(X, y)

    np.testing.assert_allclose(estimator.coefs_[0], whole.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(estimator.loss_curve_, whole.loss_curve_)
    assert estimator.t_ == whole.t_ == 120
    assert estimator.n_iter_ == 1


def test_partial_fit_needs_the_classes_once(rng):
    X, y = blobs(rng)
    estimator = quick()

    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        estimator.partial_fit(X, y)
    estimator.partial_fit(X[y == 1], y[y == 1], classes=[0, 1, 2])

    assert estimator.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match=r"are not those of the fit before, \[0 1 2\]"):
        estimator.partial_fit(X, y, classes=[0, 1])


def test_partial_fit_is_for_solvers_that_make_steps():
    assert not hasattr(te.NeuralNetClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(te.NeuralNetRegressor(solver="sgd"), "partial_fit")


# ------------------------------------------------------------ a model of one's own


def own(n_features, n_outputs, rng, dtype):
    return nn.Sequential(
        nn.Linear(n_features, 6, rng=rng, dtype=dtype),
        nn.GELU(),
        nn.Dropout(0.1, rng=rng),
        nn.Linear(6, n_outputs, rng=rng, dtype=dtype),
    )


class TwoColumns(nn.Layer):
    """As a class, without rng."""

    def __init__(self, n_features, n_outputs):
        self.inner = nn.Linear(n_features, 2 if n_outputs == 1 else n_outputs, rng=0)

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", [own, TwoColumns])
def test_a_function_or_class_builds_the_model(rng, classes, model):
    X, y = blobs(rng, classes=classes)

    fitted = quick(model=model, max_iter=500).fit(X, y)

    assert fitted.score(X, y) > 0.9
    assert fitted.n_outputs_ == (1 if model is own and classes == 2 else classes)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_array_equal(
        quick(model=model).fit(X, y).predict(X), fitted.predict(X)
    )


def test_a_builder_is_given_the_dtype(rng):
    X, y = blobs(rng)

    fitted = quick(model=own).fit(X.astype(np.float32), y)

    assert fitted.predict_proba(X.astype(np.float32)).dtype == np.float32


def test_a_layer_is_copied_and_each_fit_starts_from_its_weights(rng):
    X, y = blobs(rng)
    layer = nn.Linear(4, 3, rng=0)
    before = layer.state_dict()
    estimator = quick(model=layer)

    first, second = (estimator.fit(X, y).model_.weight.data for _ in range(2))

    np.testing.assert_array_equal(layer.weight.data, before["weight"])
    np.testing.assert_array_equal(first, second)
    assert estimator.model is layer
    assert np.any(first != before["weight"])
    with pytest.raises(AttributeError, match=r"model_\.named_parameters"):
        _ = estimator.coefs_


def test_images_go_into_a_model_that_takes_them(rng):
    X = rng.standard_normal((60, 1, 4, 4))
    y = X[:, 0, :2].mean(axis=(1, 2)) > 0
    model = nn.Sequential(nn.Conv2d(1, 4, 2, rng=0), nn.ReLU(), nn.Flatten(),
                          nn.Linear(36, 1, rng=0))  # fmt: skip

    assert quick(model=model).fit(X, y).score(X, y) > 0.9


LOSSES = {
    nn.softmax_cross_entropy: [nn.Linear(4, 2, rng=0)],
    nn.nll_loss: [nn.Linear(4, 2, rng=0), nn.LogSoftmax()],
    nn.binary_cross_entropy_with_logits: [nn.Linear(4, 1, rng=0)],
    nn.binary_cross_entropy: [nn.Linear(4, 1, rng=0), nn.Sigmoid()],
}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_outputs_mean_what_the_loss_takes_them_for(rng, loss):
    """The four are one model."""
    X, y = blobs(rng, classes=2)
    X = X[:, :4]

    fitted = quick(model=nn.Sequential(*LOSSES[loss]), loss=loss, solver="lbfgs",
                   alpha=0.1, tol=1e-6).fit(X, y)  # fmt: skip

    p = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.predict(X), p.argmax(axis=1))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), p, rtol=1e-12)
    right = np.mean(np.log(p[np.arange(60), y]))
    weights = sum(np.sum(w.data**2) for w in fitted.model_.parameters() if w.ndim > 1)
    np.testing.assert_allclose(fitted.loss_, -right + 0.05 * weights / 60, rtol=1e-6)


def test_a_loss_of_ones_own_trains_the_regressor(rng):
    X = rng.standard_normal((50, 1))
    y = 2 * X[:, 0]
    y[0] = 1e3  # far off

    def absolute(output, y, reduction="mean"):
        return nn.l1_loss(output, y, reduction=reduction)

    fitted = te.NeuralNetRegressor((), loss=absolute, learning_rate_init=0.05, alpha=0,
                                   tol=1e-3, max_iter=500, random_state=0)  # fmt: skip
    fitted.fit(X, y, sample_weight=np.full(50, 2.0))

    np.testing.assert_allclose(fitted.coefs_[0], 2.0, atol=0.1)


# ------------------------------------------------------------ what is wrong


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
            {"early_stopping": True, "validation_fraction": 0.01},
            "validation set is too small|should be greater or equal",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_fit(rng, options, text):
    estimator = quick(**options)

    with pytest.raises(ValueError, match=text):
        estimator.fit(*blobs(rng))
    assert not hasattr(estimator, "model_") or "validation" in text


def test_a_model_function_must_return_a_layer(rng):
    with pytest.raises(TypeError, match="model= must return a Layer, got dict"):
        quick(model=lambda i, o: {}).fit(*blobs(rng))


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.zeros(6, int), "at least 2 classes in y .*, got 1 class: "),
        (np.linspace(0, 1, 6), "Unknown label type: continuous"),
        (np.array([[0, 2]] * 3 + [[1, 0]] * 3), "several columns with several classes"),
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
    with pytest.warns(UserWarning, match="batch_size=100 is more than the 60 rows"):
        quick(batch_size=100).fit(*blobs(rng))


def test_early_stopping_is_not_for_partial_fit(rng):
    with pytest.raises(ValueError, match="does not support early_stopping"):
        quick(early_stopping=True).partial_fit(*blobs(rng), classes=[0, 1, 2])


def test_the_estimators_are_public_names_reached_late():
    assert {"NeuralNetClassifier", "NeuralNetRegressor"} <= {*te.__all__} & {*dir(te)}
    with pytest.raises(AttributeError, match="has no attribute 'NeuralNet'"):
        _ = te.NeuralNet
