"""The functional namespace: every operation, one declaration each."""

from tinygrad_edu.core import astype, broadcast_to, sum_to
from tinygrad_edu.ops.arithmetic import (
    add,
    divide,
    maximum,
    multiply,
    negative,
    power,
    subtract,
)
from tinygrad_edu.ops.elementwise import exp, log, relu, sigmoid, softplus, sqrt, tanh
from tinygrad_edu.ops.indexing import getitem, put, set_at
from tinygrad_edu.ops.linalg import dot, inv, linear, matmul, slogdet
from tinygrad_edu.ops.reductions import logsumexp, max, mean, sum
from tinygrad_edu.ops.shape import concatenate, reshape, transpose
from tinygrad_edu.ops.softmaxes import log_softmax, softmax, softmax_cross_entropy

__all__ = [
    "add",
    "astype",
    "broadcast_to",
    "concatenate",
    "divide",
    "dot",
    "exp",
    "getitem",
    "inv",
    "linear",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "multiply",
    "negative",
    "power",
    "put",
    "relu",
    "reshape",
    "set_at",
    "sigmoid",
    "slogdet",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "subtract",
    "sum",
    "sum_to",
    "tanh",
    "transpose",
]
