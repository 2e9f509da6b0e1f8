# tinygrad-edu exercise: neuron
import numpy as np


def neuron(x, w, b):
    return 1 / (1 + np.exp(-(np.dot(w, x) + b)))


def neurons(X, w, b):
    return 1 / (1 + np.exp(-(X.T @ w + b)))
