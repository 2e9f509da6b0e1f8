# tinygrad-edu exercise: gradient_descent
import numpy as np


def train(X, Y, steps, learning_rate):
    n, m = X.shape
    w, b, losses = np.zeros((n, 1)), np.zeros((1, 1)), []
    for _ in range(steps):
        A = 1 / (1 + np.exp(-(w.T @ X + b)))
        losses.append(-np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)))
        w -= learning_rate * X @ (A - Y).T / m
        b -= learning_rate * np.mean(A - Y)
    return w, b, losses
