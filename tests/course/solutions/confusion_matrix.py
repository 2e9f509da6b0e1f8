# tinygrad-edu exercise: confusion_matrix
import numpy as np


def confusion_matrix(predicted, actual, classes):
    M = np.zeros((classes, classes), int)
    for row, column in zip(predicted, actual, strict=True):
        M[row, column] += 1
    return M


def accuracy(M):
    return np.trace(M) / np.sum(M)


def precision(M, k):
    return M[k, k] / np.sum(M[k])


def recall(M, k):
    return M[k, k] / np.sum(M[:, k])
