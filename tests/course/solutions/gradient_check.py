# tinygrad-edu exercise: gradient_check
import numpy as np


def numerical_gradient(f, x):
    h = 1e-5
    found = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        nudge = np.zeros(x.shape)
        nudge[index] = h
        found[index] = (f(x + nudge) - f(x - nudge)) / (2 * h)
    return found


def agrees(f, gradient, x):
    return np.allclose(gradient, numerical_gradient(f, x), rtol=1e-6)
