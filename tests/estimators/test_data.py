"""What the estimators learn from: data of all kinds, and weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from small_estimators import BOTH, blobs, quick, unconverged, validation_of

import tinygrad_edu as te


@pytest.fixture(scope="module")
def digits():
    X, y, X_test, y_test = te.data.load_digits()
    return X[:400], y[:400], X_test, y_test


def test_classes_may_be_strings(rng):
    X, y = blobs(rng)
    names = np.array(["low", "middle", "high"])[y]

    fitted = quick().fit(X, names)

    assert [*fitted.classes_] == ["high", "low", "middle"]
    assert np.mean(fitted.predict(X) == names) > 0.9
    assert (
        fitted.classes_[fitted.predict_proba(X).argmax(axis=1)] == names
    ).mean() > 0.9


@pytest.mark.parametrize("kind", [float, bool, np.uint8])
def test_predictions_are_of_the_kind_of_the_labels(rng, kind):
    X, y = blobs(rng, classes=2)

    fitted = quick().fit(X, y.astype(kind))

    assert fitted.predict(X).dtype == fitted.classes_.dtype == np.dtype(kind)
    assert np.mean(fitted.predict(X) == y) > 0.9


@pytest.mark.parametrize("kind", BOTH)
def test_a_column_of_targets_is_taken_with_a_warning(rng, kind):
    X, y = blobs(rng)
    estimator = kind((5,), max_iter=2, random_state=0)

    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        column = unconverged(clone(estimator), X, y[:, np.newaxis])

    np.testing.assert_array_equal(
        column.predict(X), unconverged(clone(estimator), X, y).predict(X)
    )


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
    again = te.NeuralNetRegressor(solver="lbfgs", random_state=0).fit(X, csr_array(Y))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


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


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_leaving_rows_out_is_the_same_as_weight_0(rng, kind, early_stopping):
    X, y = blobs(rng)
    weights = rng.integers(0, 3, 60)
    some = weights > 0
    estimator = quick(max_iter=3, early_stopping=early_stopping)

    whole = unconverged(clone(estimator), kind(X), y, sample_weight=weights)
    part = unconverged(clone(estimator), kind(X[some]), y[some], weights[some])

    assert whole.loss_curve_ == part.loss_curve_
    np.testing.assert_array_equal(whole.coefs_[0], part.coefs_[0])


def test_a_memory_map_is_not_copied(rng, tmp_path, monkeypatch):
    X, y = blobs(rng)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    given, fit = [], te.training.fit
    monkeypatch.setattr(
        te.training,
        "fit",
        lambda model, X, *a, **k: given.append(X) or fit(model, X, *a, **k),
    )

    of_map, of_array = (unconverged(quick(max_iter=2), x, y) for x in (mapped, X))

    assert np.shares_memory(given[0], mapped)
    np.testing.assert_array_equal(of_map.coefs_[0], of_array.coefs_[0])


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
