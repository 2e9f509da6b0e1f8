"""Estimators for scikit-learn, around a model trained by ``fit``.

Their code begins in ``base``, which the classifier and the regressor build on.
"""

from tinygrad_edu.estimators.classifier import NeuralNetClassifier
from tinygrad_edu.estimators.regressor import NeuralNetRegressor

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor"]
