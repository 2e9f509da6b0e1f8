# tinygrad-edu exercise: softmax_cross_entropy
import numpy as np


def log_softmax(Z):
    shifted = Z - Z.max(axis=0)
    return shifted - np.log(np.sum(np.exp(shifted), axis=0))


def loss(Z, Y):
    return -np.sum(Y * log_softmax(Z)) / Y.shape[1]


def gradient(Z, Y):
    return (np.exp(log_softmax(Z)) - Y) / Y.shape[1]
