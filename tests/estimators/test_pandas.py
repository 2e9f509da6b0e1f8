"""Tables of pandas in the estimators."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from small_estimators import BOTH, blobs, quick, unconverged


@pytest.fixture
def table(rng):
    X, y = blobs(rng)
    return pd.DataFrame(X, columns=["a", "b", "c", "d"]), pd.Series(y)


def test_names_of_columns_are_learned(table):
    X, y = table

    fitted = quick().fit(X, y)

    assert [*fitted.feature_names_in_] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(fitted.predict(X.to_numpy()), fitted.predict(X))


@pytest.mark.parametrize("kind", BOTH)
def test_a_table_gives_what_its_numbers_give(table, kind):
    """Rows go by their place, not by their index."""
    X, y = table[0].iloc[::-1], table[1].iloc[::-1].reset_index(drop=True)
    weights = pd.Series(np.arange(60.0))
    estimator = kind((5,), max_iter=3, random_state=0)

    of_tables = unconverged(estimator, X, y, weights).coefs_
    of_arrays = unconverged(
        estimator, X.to_numpy(), y.to_numpy(), weights.to_numpy()
    ).coefs_

    np.testing.assert_array_equal(of_tables[0], of_arrays[0])


@pytest.mark.parametrize("dtype", ["str", object, "category"])
def test_labels_in_a_series_may_be_strings(table, dtype):
    X, y = table
    names = y.map({0: "low", 1: "middle", 2: "high"}).astype(dtype)

    fitted = quick().fit(X, names)

    assert [*fitted.classes_] == ["high", "low", "middle"]
    assert fitted.score(X, names) > 0.9


def test_a_missing_label_is_refused(table):
    X, y = table
    names = y.map({0: "low", 1: "middle"})

    with pytest.raises(ValueError, match="contains NaN"):
        quick().fit(X, names)


def test_partial_fit_takes_tables(table):
    X, y = table
    estimator = quick()

    for _ in range(2):
        estimator.partial_fit(X, y, classes=y.unique())

    assert [*estimator.feature_names_in_] == ["a", "b", "c", "d"]
    assert estimator.t_ == 120


def test_a_pipeline_chooses_columns_by_their_names(table):
    X, y = table
    X = X.assign(word=y.map({0: "low", 1: "middle", 2: "high"}))
    words = make_column_transformer((OneHotEncoder(), ["word"]))

    pipeline = make_pipeline(words, quick()).fit(X, y)

    assert pipeline.score(X, y) == 1.0
