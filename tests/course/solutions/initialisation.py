# tinygrad-edu exercise: initialisation
import numpy as np


def initialise(n_out, n_in, rng):
    return rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)
