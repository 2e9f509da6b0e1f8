# tinygrad-edu exercise: hidden_layer
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def backward(X, Y, W1, b1, W2, b2):
    m = X.shape[1]
    A1 = sigmoid(W1 @ X + b1)
    A2 = sigmoid(W2 @ A1 + b2)
    dZ2 = (A2 - Y) / m
    dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
    dW1, dW2 = dZ1 @ X.T, dZ2 @ A1.T
    db1, db2 = (dZ.sum(axis=1, keepdims=True) for dZ in (dZ1, dZ2))
    return dW1, db1, dW2, db2
