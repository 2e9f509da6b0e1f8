"""What the tests of the estimators share: quick ones, small data."""

import warnings
from unittest import mock

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import tinygrad_edu as te
from tinygrad_edu.training import run

BOTH = [te.NeuralNetClassifier, te.NeuralNetRegressor]


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


def validation_of(estimator, X, y):
    """Fit again, and look which rows are validated with."""
    with mock.patch.object(run, "evaluate", wraps=run.evaluate) as evaluate:
        unconverged(clone(estimator).set_params(max_iter=1), X, y)
    rows = evaluate.call_args.args[1].rows
    return X[rows], y[rows]
