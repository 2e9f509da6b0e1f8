"""Models and losses of the user's own in the estimators."""

from __future__ import annotations

import numpy as np
import pytest
from small_estimators import blobs, quick, unconverged

import tinygrad_edu as te
from tinygrad_edu import nn


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


@pytest.mark.parametrize(
    ("given", "expected"), [(np.float32, np.float32), (np.int64, np.float64)]
)
def test_a_builder_is_given_the_dtype(rng, given, expected):
    X, y = blobs(rng)
    X = (10 * X).astype(given)

    fitted = unconverged(quick(model=own, max_iter=2), X, y)

    assert {p.dtype for p in fitted.model_.parameters()} == {np.dtype(expected)}
    assert fitted.predict_proba(X).dtype == expected


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


def test_integers_stay_integers_for_a_model_that_begins_with_an_embedding(rng):
    X = rng.integers(0, 5, (60, 2))
    y = X[:, 0] == X[:, 1]
    model = nn.Sequential(
        nn.Embedding(5, 4, rng=0), nn.Flatten(), nn.Linear(8, 16, rng=1), nn.ReLU(),
        nn.Linear(16, 1, rng=2),
    )  # fmt: skip

    fitted = quick(model=model, tol=1e-3).fit(X, y, sample_weight=np.ones(60))

    assert fitted.score(X, y) > 0.9


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
