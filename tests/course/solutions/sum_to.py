# tinygrad-edu exercise: sum_to
import numpy as np


def sum_to(g, shape):
    while np.ndim(g) > len(shape):
        g = np.sum(g, axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            g = np.sum(g, axis=axis, keepdims=True)
    return g
