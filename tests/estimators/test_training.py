"""How the estimators learn: when they stop, and how they go on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from small_estimators import BOTH, blobs, quick, unconverged, validation_of

import tinygrad_edu as te
from tinygrad_edu import nn

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

    text = rf"{solver} has not converged after 2 iterations \(max_iter=2\): "
    with pytest.warns(ConvergenceWarning, match=text) as caught:
        estimator.fit(*blobs(rng))

    assert caught[0].filename == __file__  # whose line called fit
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
    with pytest.warns(UserWarning, match="training was interrupted, after n_iter_=2"):
        estimator.fit(*blobs(rng))

    assert estimator.n_iter_ == 2
    assert estimator.predict(np.zeros((1, 4))).shape == (1,)


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


def test_a_warm_start_keeps_the_best_weights_of_the_fit_before(rng):
    X = rng.standard_normal((80, 3))
    estimator = te.NeuralNetRegressor(
        (), early_stopping=True, warm_start=True, random_state=0, max_iter=100
    ).set_params(learning_rate_init=0.1)
    before = unconverged(estimator, X, X[:, 0]).coefs_[0].copy()
    estimator.set_params(learning_rate_init=1e3, max_iter=2)  # far away

    with pytest.warns(UserWarning, match="the loss grew from"):
        after = unconverged(estimator, X, X[:, 0]).coefs_[0]

    assert max(estimator.validation_scores_[-2:]) < 0 < estimator.best_validation_score_
    np.testing.assert_array_equal(after, before)


def test_lbfgs_at_the_minimum_stays_there(rng):
    X = rng.standard_normal((20, 3))
    layer = nn.Linear(3, 1, rng=0)
    y = te.predict(layer, X)[:, 0]

    fitted = te.NeuralNetRegressor(model=layer, solver="lbfgs", alpha=0).fit(X, y)

    assert fitted.loss_curve_ == [0.0]
    np.testing.assert_array_equal(fitted.model_.weight.data, layer.weight.data)


def test_lbfgs_leaves_the_model_in_the_mode_in_which_it_was(rng):
    X, y = blobs(rng)
    network = nn.Sequential(nn.Linear(X.shape[1], 4, rng=0), nn.Linear(4, 3, rng=1))
    network.eval()

    fitted = quick(model=network, solver="lbfgs", max_iter=2000).fit(X, y)

    assert not any(layer.training for layer in (fitted.model_, *fitted.model_))


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

    with pytest.raises(ValueError, match="the first partial_fit needs classes="):
        estimator.partial_fit(X, y)
    estimator.partial_fit(X[y == 1], y[y == 1], classes=[0, 1, 2])

    assert estimator.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match=r"are not those of the fit before, \[0 1 2\]"):
        estimator.partial_fit(X, y, classes=[0, 1])


def test_partial_fit_is_for_solvers_that_make_steps():
    assert not hasattr(te.NeuralNetClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(te.NeuralNetRegressor(solver="sgd"), "partial_fit")


def test_partial_fit_goes_on_with_its_solver_until_the_next_fit(rng):
    X, y = blobs(rng)
    estimators = [
        quick(max_iter=2).partial_fit(X, y, classes=[0, 1, 2]) for _ in range(2)
    ]

    estimators[0].set_params(solver="sgd")
    weights = [one.partial_fit(X, y).coefs_[0] for one in estimators]
    again = [unconverged(one, X, y).coefs_[0] for one in estimators]

    np.testing.assert_array_equal(*weights)
    assert np.any(again[0] != again[1])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", BOTH)
def test_compiled_it_learns_the_same_bits(rng, kind, weighted):
    X, y = blobs(rng)
    weights = rng.random(len(y)) if weighted else None
    options = {"max_iter": 5, "random_state": 0, "alpha": 0.01}

    plain = unconverged(kind((8,), **options), X, y, sample_weight=weights)
    compiled = unconverged(
        kind((8,), **options, compile=True), X, y, sample_weight=weights
    )

    for a, b in zip(plain.coefs_, compiled.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert plain.loss_curve_ == compiled.loss_curve_
