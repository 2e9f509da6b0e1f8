# tinygrad-edu exercise: own_operation
import numpy as np

import tinygrad_edu as te


@te.op(elementwise=True, cases=[te.Case((2, 3)), te.Case(())])
def logistic(x):
    """1 / (1 + exp(-x))."""
    return 0.5 * (1 + np.tanh(0.5 * x))


logistic.vjp(x=lambda g, out, x: g * out * (1 - out))
