"""Every operation that PyTorch has too, forward and backward, beside PyTorch's.

    python tests/benchmarks/operations.py [--only softmax] [--shape 4] [--rounds 21]

One thread each, in processes of their own that take turns, a few milliseconds at a
time. What counts is the median of the ratios of the rounds, in the processor's time.
Values and gradients are compared before the clock starts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

import numpy as np
from page import duration
from tqdm import tqdm

SMALL, LARGE = 4, 256
BAR, GOAL = 1.0, 0.7  # of PyTorch's time, for the small arrays
BURST = 0.003  # s
LONGEST = 1.0  # s for all the bursts of a side, but at least 5 of them


@dataclass(frozen=True)
class Operation:
    """One call, as one writes it with either package.

    ``call`` is the operation's name, and in brackets what it is about; ``inputs`` are
    names of :func:`arrays`. Without ``torchs`` both packages are called alike. Where x
    is ``symmetric``, its gradient may lie in either half: both are added up.
    """

    call: str
    inputs: str
    ours: Callable[..., Any]
    torchs: Callable[..., Any] | None = None
    symmetric: bool = False

    @property
    def name(self) -> str:
        """As it stands in ``te.OPS``."""
        return self.call.partition("(")[0]


#: Operations that PyTorch has not, or not as one function that does the same.
NOT_IN_PYTORCH = {
    "cbrt": "PyTorch has none; `x ** (1 / 3)` is nan where x is negative",
    "csch": "PyTorch has none",
    "lstm_memory": "PyTorch has the whole cell; the LSTM is timed as a layer",
    "lstm_output": "PyTorch has the whole cell; the LSTM is timed as a layer",
    "fold": "the derivative of windows; PyTorch's takes them in another order",
    "item": "one of several results, part of every operation that has several",
    "max_gather": "the derivative of max_unpool, which PyTorch has inside of it",
    "max_unpool": "the derivative of a max pool; PyTorch's takes indices instead",
    "put": "the derivative of indexing, which PyTorch has inside of it",
    "sech": "PyTorch has none",
}


def arrays(n: int) -> dict[str, np.ndarray]:
    """What operations take, by a short name; of numbers that suit what they do."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, n, n))
    near_identity = np.eye(n) + 0.1 * x / np.sqrt(n)
    return {
        "x": x,
        "y": y,
        "v": rng.standard_normal(n),
        "w": rng.standard_normal(n),
        "column": rng.standard_normal((n, 1)),
        "number": np.array(1.5),
        "inside": rng.uniform(-0.9, 0.9, (n, n)),
        "positive": rng.uniform(0.5, 1.5, (n, n)),
        "above": rng.uniform(1.1, 2.0, (n, n)),
        "share": rng.uniform(0.1, 0.9, (n, n)),
        "ones": 1 + 0.01 * y,
        "a": near_identity,
        "b": near_identity.T + 0.01 * y,
        "definite": near_identity @ near_identity.T,
        "points": rng.standard_normal((n, 3)),
        "others": rng.standard_normal((n, 3)),
        "small": rng.standard_normal((2, 2)),
        "signal": rng.standard_normal((1, 2, n)),
        "filters": rng.standard_normal((3, 2, 3)),
        "image": rng.standard_normal((1, 1, n, n)),
        "output": rng.standard_normal((1, 1, n - 2, n - 2)),
        "kernel": rng.standard_normal((1, 1, 3, 3)),
        "bias": rng.standard_normal(1),
        "mask": x > 0,
        "order": rng.permutation(n),
        "ranks": np.argsort(y, axis=1),
        "labels": rng.integers(0, n, n),
        # PyTorch's derivative of ldexp is 0 where the exponent is a negative integer.
        "exponents": rng.integers(0, 3, (n, n)),
    }


def operations(m: Any, n: int) -> list[Operation]:
    """The list, for arrays of n x n. ``m`` is the package that is called."""
    F: Any = m.nn.functional if m.__name__ == "torch" else None
    op = Operation
    return [
        # ------------------------------------------------------------ arithmetic
        op("absolute", "x", lambda x: abs(x)),
        op("add", "x y", lambda x, y: x + y),
        op("add(number)", "x", lambda x: x + 2.0),
        op("add(row)", "x v", lambda x, v: x + v),
        op("clip", "x", lambda x: m.clip(x, -1, 1)),
        op("copy", "x", lambda x: x.copy(), lambda x: x.clone()),
        op("copysign", "x y", lambda x, y: m.copysign(x, y)),
        op("divide", "x above", lambda x, y: x / y),
        op("divide(number)", "x", lambda x: x / 3.0),
        op("fmax", "x y", lambda x, y: m.fmax(x, y)),
        op("fmin", "x y", lambda x, y: m.fmin(x, y)),
        op("fmod", "x above", lambda x, y: m.fmod(x, y)),
        op("hypot", "x y", lambda x, y: m.hypot(x, y)),
        op("ldexp", "x exponents", lambda x, k: m.ldexp(x, k)),
        op("maximum", "x y", lambda x, y: m.maximum(x, y)),
        op("minimum", "x y", lambda x, y: m.minimum(x, y)),
        op("multiply", "x y", lambda x, y: x * y),
        op("multiply(number)", "x", lambda x: x * 2.0),
        op("multiply(column)", "x column", lambda x, c: x * c),
        op("nan_to_num", "x", lambda x: m.nan_to_num(x)),
        op("negative", "x", lambda x: -x),
        op("positive", "x", lambda x: +x),
        op("power", "positive y", lambda x, y: x**y),
        op("power(3)", "x", lambda x: x**3),
        op("power(2)", "x", lambda x: x**2),
        op("power(0.5)", "positive", lambda x: x**0.5),
        op("reciprocal", "above", lambda x: m.reciprocal(x)),
        op("remainder", "x above", lambda x, y: x % y),
        op("sign", "x", lambda x: m.sign(x)),
        op("sqrt", "positive", lambda x: m.sqrt(x)),
        op("square", "x", lambda x: m.square(x)),
        op("subtract", "x y", lambda x, y: x - y),
        # ---------------------------------------------------------- exponentials
        op("erf", "x", lambda x: m.erf(x)),
        op("erfc", "x", lambda x: m.erfc(x)),
        op("exp", "x", lambda x: m.exp(x)),
        op("exp2", "x", lambda x: m.exp2(x)),
        op("expm1", "x", lambda x: m.expm1(x)),
        op("log", "positive", lambda x: m.log(x)),
        op("log10", "positive", lambda x: m.log10(x)),
        op("log1p", "positive", lambda x: m.log1p(x)),
        op("log2", "positive", lambda x: m.log2(x)),
        op("logaddexp", "x y", lambda x, y: m.logaddexp(x, y)),
        op("logaddexp2", "x y", lambda x, y: m.logaddexp2(x, y)),
        op("logit", "share", lambda x: m.logit(x)),
        op("sigmoid", "x", lambda x: m.sigmoid(x)),
        op("softplus", "x", lambda x: m.softplus(x), lambda x: F.softplus(x)),
        op(
            "bessel_i(0)",
            "x",
            lambda x: m.bessel_i(x, order=0),
            lambda x: m.special.i0(x),
        ),
        op(
            "bessel_i(1)",
            "x",
            lambda x: m.bessel_i(x, order=1),
            lambda x: m.special.i1(x),
        ),
        # ---------------------------------------------------------- trigonometry
        op("arccos", "inside", lambda x: m.arccos(x), lambda x: m.acos(x)),
        op("arccosh", "above", lambda x: m.arccosh(x), lambda x: m.acosh(x)),
        op("arcsin", "inside", lambda x: m.arcsin(x), lambda x: m.asin(x)),
        op("arcsinh", "x", lambda x: m.arcsinh(x), lambda x: m.asinh(x)),
        op("arctan", "x", lambda x: m.arctan(x), lambda x: m.atan(x)),
        op("arctan2", "y x", lambda y, x: m.arctan2(y, x), lambda y, x: m.atan2(y, x)),
        op("arctanh", "inside", lambda x: m.arctanh(x), lambda x: m.atanh(x)),
        op("cos", "x", lambda x: m.cos(x)),
        op("cosh", "x", lambda x: m.cosh(x)),
        op("deg2rad", "x", lambda x: m.deg2rad(x)),
        op("rad2deg", "x", lambda x: m.rad2deg(x)),
        op("sin", "x", lambda x: m.sin(x)),
        op("sinc", "x", lambda x: m.sinc(x)),
        op("sinh", "x", lambda x: m.sinh(x)),
        op("tan", "inside", lambda x: m.tan(x)),
        op("tanh", "x", lambda x: m.tanh(x)),
        # ----------------------------------------------------------- activations
        op("elu", "x", lambda x: m.elu(x), lambda x: F.elu(x)),
        op("gelu", "x", lambda x: m.gelu(x), lambda x: F.gelu(x)),
        op(
            "gelu(tanh)",
            "x",
            lambda x: m.gelu(x, approximate="tanh"),
            lambda x: F.gelu(x, approximate="tanh"),
        ),
        op("hard_tanh", "x", lambda x: m.hard_tanh(x), lambda x: F.hardtanh(x)),
        op("leaky_relu", "x", lambda x: m.leaky_relu(x), lambda x: F.leaky_relu(x)),
        op("mish", "x", lambda x: m.mish(x), lambda x: F.mish(x)),
        op("relu", "x", lambda x: m.relu(x)),
        op("selu", "x", lambda x: m.selu(x)),
        op("silu", "x", lambda x: m.silu(x), lambda x: F.silu(x)),
        op("softsign", "x", lambda x: m.softsign(x), lambda x: F.softsign(x)),
        # ------------------------------------------------------------ reductions
        op("max", "x", lambda x: x.max()),
        op("max(axis)", "x", lambda x: x.max(axis=1), lambda x: x.amax(1)),
        op("mean", "x", lambda x: x.mean()),
        op("mean(axis)", "x", lambda x: x.mean(axis=1)),
        op("min", "x", lambda x: x.min()),
        op("min(axis)", "x", lambda x: x.min(axis=1), lambda x: x.amin(1)),
        op("prod", "ones", lambda x: x.prod()),
        op("prod(axis)", "ones", lambda x: x.prod(axis=1)),
        op("std", "x", lambda x: x.std(), lambda x: x.std(correction=0)),
        op("std(axis)", "x", lambda x: x.std(axis=1), lambda x: x.std(1, correction=0)),
        op("sum", "x", lambda x: x.sum()),
        op("sum(axis)", "x", lambda x: x.sum(axis=1)),
        op(
            "sum_to",
            "x",
            lambda x: m.sum_to(x, (1, n)),
            lambda x: x.sum_to_size((1, n)),
        ),
        op("var", "x", lambda x: x.var(), lambda x: x.var(correction=0)),
        op("var(axis)", "x", lambda x: x.var(axis=1), lambda x: x.var(1, correction=0)),
        op(
            "logsumexp", "x", lambda x: m.logsumexp(x), lambda x: m.logsumexp(x, (0, 1))
        ),
        op(
            "logsumexp(axis)",
            "x",
            lambda x: m.logsumexp(x, axis=1),
            lambda x: m.logsumexp(x, 1),
        ),
        op("norm", "x", lambda x: m.norm(x), lambda x: m.linalg.norm(x)),
        op(
            "norm(axis)",
            "x",
            lambda x: m.norm(x, axis=1),
            lambda x: m.linalg.norm(x, dim=1),
        ),
        op(
            "norm(1, axis)",
            "x",
            lambda x: m.norm(x, 1, axis=1),
            lambda x: m.linalg.norm(x, 1, dim=1),
        ),
        # -------------------------------------------- accumulations and ordering
        op("cumprod", "ones", lambda x: x.cumprod(axis=1)),
        op("cumsum", "x", lambda x: x.cumsum(axis=1)),
        op("median", "x", lambda x: m.median(x), lambda x: m.quantile(x, 0.5)),
        op(
            "median(axis)",
            "x",
            lambda x: m.median(x, axis=1),
            lambda x: m.quantile(x, 0.5, dim=1),
        ),
        op("sort", "x", lambda x: m.sort(x, axis=1), lambda x: m.sort(x, dim=1).values),
        # -------------------------------------------------------------- softmaxes
        op(
            "log_softmax",
            "x",
            lambda x: m.log_softmax(x),
            lambda x: m.log_softmax(x, -1),
        ),
        op("softmax", "x", lambda x: m.softmax(x), lambda x: m.softmax(x, -1)),
        op(
            "softmax(axis)",
            "x",
            lambda x: m.softmax(x, axis=0),
            lambda x: m.softmax(x, 0),
        ),
        op(
            "softmax_cross_entropy",
            "x labels",
            lambda x, labels: m.softmax_cross_entropy(x, labels),
            lambda x, labels: F.cross_entropy(x, labels),
        ),
        op(
            "standardize",
            "x",
            lambda x: m.standardize(x, eps=1e-5),
            lambda x: F.layer_norm(x, (n,), eps=1e-5),
        ),
        # ---------------------------------------------------------------- shapes
        op("astype", "x", lambda x: x.astype(np.float32), lambda x: x.to(m.float32)),
        op("atleast_1d", "number", lambda x: m.atleast_1d(x)),
        op("atleast_2d", "v", lambda x: m.atleast_2d(x)),
        op("atleast_3d", "x", lambda x: m.atleast_3d(x)),
        op("broadcast_to", "v", lambda x: m.broadcast_to(x, (n, n))),
        op(
            "expand_dims",
            "x",
            lambda x: m.expand_dims(x, 1),
            lambda x: m.unsqueeze(x, 1),
        ),
        op("flatten", "x", lambda x: x.flatten()),
        op("moveaxis", "x", lambda x: m.moveaxis(x, 0, 1)),
        op("ravel", "x", lambda x: x.ravel()),
        op("reshape", "x", lambda x: x.reshape(-1)),
        op("squeeze", "column", lambda x: x.squeeze()),
        op("swapaxes", "x", lambda x: x.swapaxes(0, 1)),
        op("transpose", "x", lambda x: x.T),
        # ------------------------------------------------------------ rearranging
        op("flip", "x", lambda x: m.flip(x, 0), lambda x: m.flip(x, (0,))),
        op("pad", "x", lambda x: m.pad(x, 1), lambda x: F.pad(x, (1, 1, 1, 1))),
        op(
            "repeat",
            "x",
            lambda x: m.repeat(x, 2, axis=0),
            lambda x: m.repeat_interleave(x, 2, 0),
        ),
        op("roll", "x", lambda x: m.roll(x, 1, 0)),
        op("rot90", "x", lambda x: m.rot90(x)),
        op("tile", "x", lambda x: m.tile(x, (2, 1))),
        op("diag", "v", lambda x: m.diag(x)),
        op("diag(of a matrix)", "x", lambda x: m.diag(x)),
        op("diagonal", "x", lambda x: x.diagonal()),
        op("trace", "x", lambda x: x.trace()),
        op("tril", "x", lambda x: m.tril(x)),
        op("triu", "x", lambda x: m.triu(x)),
        # -------------------------------------------------------------- indexing
        op("getitem(row)", "x", lambda x: x[1]),
        op("getitem(column)", "x", lambda x: x[:, 1]),
        op("getitem(slice)", "x", lambda x: x[:, 1:]),
        op("getitem(new axis)", "x", lambda x: x[:, None]),
        op("getitem(indices)", "x order", lambda x, i: x[i]),
        op("getitem(mask)", "x mask", lambda x, mask: x[mask]),
        op("getitem(number)", "x", lambda x: x[1, 2]),
        op(
            "set_at",
            "x v",
            lambda x, v: x.at[1].set(v),
            lambda x, v: m.select_scatter(x, v, 0, 1),
        ),
        op(
            "take",
            "x order",
            lambda x, i: m.take(x, i, axis=0),
            lambda x, i: m.index_select(x, 0, i),
        ),
        op(
            "take_along_axis",
            "x ranks",
            lambda x, i: m.take_along_axis(x, i, axis=1),
            lambda x, i: m.take_along_dim(x, i, 1),
        ),
        op("where", "mask x y", lambda mask, x, y: m.where(mask, x, y)),
        # --------------------------------------------------------------- joining
        op("column_stack", "v w", lambda v, w: m.column_stack((v, w))),
        op(
            "concatenate",
            "x y",
            lambda x, y: m.concatenate((x, y)),
            lambda x, y: m.cat((x, y)),
        ),
        op("dstack", "x y", lambda x, y: m.dstack((x, y))),
        op("hstack", "x y", lambda x, y: m.hstack((x, y))),
        op("stack", "x y", lambda x, y: m.stack((x, y))),
        op("vstack", "x y", lambda x, y: m.vstack((x, y))),
        # -------------------------------------------------------------- products
        op(
            "cross",
            "points others",
            lambda x, y: m.cross(x, y),
            lambda x, y: m.linalg.cross(x, y),
        ),
        op("dot", "v w", lambda v, w: m.dot(v, w)),
        op("einsum(ij,jk->ik)", "x y", lambda x, y: m.einsum("ij,jk->ik", x, y)),
        op("einsum(ij,ij->i)", "x y", lambda x, y: m.einsum("ij,ij->i", x, y)),
        op("einsum(i,ij,j->)", "v x w", lambda v, x, w: m.einsum("i,ij,j->", v, x, w)),
        op("einsum(ij->j)", "x", lambda x: m.einsum("ij->j", x)),
        op("inner", "x y", lambda x, y: m.inner(x, y)),
        op("kron", "x small", lambda x, y: m.kron(x, y)),
        op(
            "linear",
            "x y v",
            lambda x, w, b: m.linear(x, w, b),
            lambda x, w, b: F.linear(x, w, b),
        ),
        op("matmul", "x y", lambda x, y: x @ y),
        op("matmul(vector)", "x v", lambda x, v: x @ v),
        op("outer", "v w", lambda v, w: m.outer(v, w)),
        op("tensordot", "x y", lambda x, y: m.tensordot(x, y, 1)),
        op("vdot", "v w", lambda v, w: m.vdot(v, w)),
        # -------------------------------------------------------- linear algebra
        op(
            "cholesky",
            "definite",
            lambda x: m.cholesky(x),
            lambda x: m.linalg.cholesky(x),
            symmetric=True,
        ),
        op("det", "a", lambda x: m.det(x), lambda x: m.linalg.det(x)),
        op(
            "eigh(values)",
            "definite",
            lambda x: m.eigh(x)[0],
            lambda x: m.linalg.eigh(x)[0],
            symmetric=True,
        ),
        op(
            "eigh(squares of the vectors)",
            "definite",
            lambda x: m.eigh(x)[1] ** 2,
            lambda x: m.linalg.eigh(x)[1] ** 2,
            symmetric=True,
        ),
        op(
            "eigvalsh",
            "definite",
            lambda x: m.eigvalsh(x),
            lambda x: m.linalg.eigvalsh(x),
            symmetric=True,
        ),
        op("expm", "a", lambda x: m.expm(x), lambda x: m.matrix_exp(x)),
        op("inv", "a", lambda x: m.inv(x), lambda x: m.linalg.inv(x)),
        op(
            "matrix_power",
            "a",
            lambda x: m.matrix_power(x, 3),
            lambda x: m.linalg.matrix_power(x, 3),
        ),
        op(
            "multi_dot",
            "a b definite",
            lambda x, y, z: m.multi_dot((x, y, z)),
            lambda x, y, z: m.linalg.multi_dot((x, y, z)),
        ),
        op("pinv", "a", lambda x: m.pinv(x), lambda x: m.linalg.pinv(x)),
        op("qr", "a", lambda x: m.qr(x)[0], lambda x: m.linalg.qr(x)[0]),
        op("slogdet", "a", lambda x: m.slogdet(x)[1], lambda x: m.linalg.slogdet(x)[1]),
        op(
            "solve",
            "a y",
            lambda a, y: m.solve(a, y),
            lambda a, y: m.linalg.solve(a, y),
        ),
        op(
            "svd(squares of the vectors)",
            "a",
            lambda x: m.svd(x)[0] ** 2,
            lambda x: m.linalg.svd(x)[0] ** 2,
        ),
        op("svdvals", "a", lambda x: m.svdvals(x), lambda x: m.linalg.svdvals(x)),
        # ---------------------------------------------- convolutions and pooling
        op(
            "avg_pool1d",
            "signal",
            lambda x: m.avg_pool1d(x, 2),
            lambda x: F.avg_pool1d(x, 2),
        ),
        op(
            "avg_pool2d",
            "image",
            lambda x: m.avg_pool2d(x, 2),
            lambda x: F.avg_pool2d(x, 2),
        ),
        op(
            "conv1d",
            "signal filters",
            lambda x, w: m.conv1d(x, w),
            lambda x, w: F.conv1d(x, w),
        ),
        op(
            "conv2d",
            "image kernel bias",
            lambda x, w, b: m.conv2d(x, w, b),
            lambda x, w, b: F.conv2d(x, w, b),
        ),
        op(
            "conv_input",
            "image kernel",
            lambda x, w: m.conv_input(x, w, shape=(n + 2, n + 2)),
            lambda x, w: F.conv_transpose2d(x, w),
        ),
        op(
            "conv_weight",
            "output image",
            lambda y, x: m.conv_weight(y, x, kernel_size=(3, 3)),
            lambda y, x: m.nn.grad.conv2d_weight(x, (1, 1, 3, 3), y),
        ),
        op(
            "max_pool1d",
            "signal",
            lambda x: m.max_pool1d(x, 2),
            lambda x: F.max_pool1d(x, 2),
        ),
        op(
            "max_pool2d",
            "image",
            lambda x: m.max_pool2d(x, 2),
            lambda x: F.max_pool2d(x, 2),
        ),
        op("windows", "x", lambda x: m.windows(x, 3), lambda x: x.unfold(1, 3, 1)),
    ]


# ---------------------------------------------------------------------- one side


class Side:
    """One package: its arrays, and its bursts."""

    def __init__(self, package: str, n: int) -> None:
        self.arrays = arrays(n)
        if package == "ours":
            import tinygrad_edu as te

            self._array, self._tensor = np.asarray, te.tensor
            self.calls = {o.call: (o, o.ours) for o in operations(te, n)}
        else:
            import torch

            torch.set_num_threads(1)
            self._array = self._tensor = torch.tensor
            self.calls = {o.call: (o, o.torchs or o.ours) for o in operations(torch, n)}

    def answer(self, call: str) -> dict[str, np.ndarray]:
        """Take up an operation; return its value and the gradients of its inputs."""
        operation, self.function = self.calls[call]
        self.inputs, self.leaves = [], {}
        for name in operation.inputs.split():
            array = self.arrays[name]
            if array.dtype == np.float64:
                self.leaves[name] = self._tensor(array, requires_grad=True)
            self.inputs.append(self.leaves.get(name, self._array(array)))
        value = self.function(*self.inputs).detach().numpy()
        g = np.cos(np.arange(value.size, dtype=value.dtype)).reshape(value.shape)
        self.g = self._array(g)
        self.run(1)
        gradients = {name: np.asarray(x.grad) for name, x in self.leaves.items()}
        if operation.symmetric:
            gradients = {name: dx + dx.T for name, dx in gradients.items()}
        return {"its value": value, **gradients}

    def run(self, count: int) -> None:
        """Call it so many times, forward and backward."""
        function, inputs, g = self.function, self.inputs, self.g
        leaves = list(self.leaves.values())
        for _ in range(count):
            for x in leaves:
                x.grad = None
            function(*inputs).backward(g)

    def seconds(self, count: int) -> float:
        """How long a call takes, of so many, after a few that warm the caches."""
        self.run(count // 8)
        start = time.process_time()
        self.run(count)
        return (time.process_time() - start) / count

    def count(self) -> int:
        """How many calls fill a burst."""
        count = 1
        while (each := self.seconds(count)) * count < BURST / 2:
            count *= 2
        return max(1, round(BURST / each))


def serve(package: str, n: int, pipe: Connection) -> None:
    """Call the methods of a side, as they are asked for."""
    side = Side(package, n)
    while request := pipe.recv():
        method, *arguments = request
        pipe.send(getattr(side, method)(*arguments))


# -------------------------------------------------------------------- both sides


@dataclass(frozen=True)
class Times:
    """Our time over PyTorch's, and our own in seconds."""

    ratio: float
    seconds: float


class Sides:
    """Both packages at work on arrays of n x n, each in a process of its own."""

    def __init__(self, n: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes: dict[str, Connection] = {}
        for package in ("ours", "torch"):
            self.pipes[package], theirs = context.Pipe()
            arguments = (package, n, theirs)
            process = context.Process(target=serve, args=arguments, daemon=True)
            with patch.dict(os.environ, OPENBLAS_NUM_THREADS="1"):
                process.start()
            theirs.close()

    def ask(self, package: str, method: str, *arguments: Any) -> Any:
        self.pipes[package].send((method, *arguments))
        return self.pipes[package].recv()

    def end(self) -> None:
        for pipe in self.pipes.values():
            pipe.send(None)

    def compare(self, call: str) -> None:
        """Take up an operation; refuse it where the two do not compute the same."""
        mine, theirs = (self.ask(package, "answer", call) for package in self.pipes)
        for name, right in theirs.items():
            tolerance = 1e-6 if right.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(
                mine[name],
                right,
                rtol=tolerance,
                atol=tolerance * np.abs(right).max(initial=1.0),
                strict=True,
                err_msg=f"{call}: PyTorch does not say the same of {name}",
            )

    def measure(self, call: str, rounds: int) -> Times:
        """Take up an operation, and let the two do it in turn."""
        self.compare(call)
        counts = {package: self.ask(package, "count") for package in self.pipes}
        taken: dict[str, list[float]] = {package: [] for package in self.pipes}
        begin = time.perf_counter()
        for done in range(rounds):
            if done >= 5 and time.perf_counter() - begin > 2 * LONGEST:
                break
            for package in random.sample(list(counts), 2):
                taken[package].append(self.ask(package, "seconds", counts[package]))
        ratios = [a / b for a, b in zip(taken["ours"], taken["torch"], strict=True)]
        return Times(statistics.median(ratios), statistics.median(taken["ours"]))


def measured(n: int, rounds: int, only: str = "") -> dict[str, Times]:
    """Time the operations whose call holds ``only``; the worst comes first."""
    import tinygrad_edu as te

    calls = [o.call for o in operations(te, n) if only in o.call]
    sides = Sides(n)
    for call in calls:  # what is wrong shows before anything is timed
        sides.compare(call)
    times = {
        call: sides.measure(call, rounds)
        for call in tqdm(calls, desc=f"{n} x {n}", unit="operation", leave=False)
    }
    sides.end()
    return dict(sorted(times.items(), key=lambda pair: -pair[1].ratio))


def table(small: dict[str, Times], large: dict[str, Times]) -> str:
    """Both sizes as a table in Markdown, with what it shows in a sentence."""
    ratios = [times.ratio for times in small.values()]
    over, far = (sum(ratio > most for ratio in ratios) for most in (BAR, GOAL))
    lines = [
        f"Of {len(ratios)} calls with arrays of {SMALL} x {SMALL}, {over} take more "
        f"than {BAR:.1f} of PyTorch's time, and {far} more than {GOAL}; the median is "
        f"{statistics.median(ratios):.2f}.",
        "",
        f"| | {SMALL} x {SMALL} | ours takes | {LARGE} x {LARGE} | ours takes |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for call, times in small.items():
        lines.append(
            f"| `{call}` "
            f"| {duration(times.seconds)} | {times.ratio:.2f}"
            f"{' missed' if times.ratio > BAR else ''} "
            f"| {duration(large[call].seconds)} | {large[call].ratio:.2f} |"
        )
    absent = "; ".join(f"`{name}`: {why}" for name, why in NOT_IN_PYTORCH.items())
    return "\n".join([*lines, "", f"Not in the table: {absent}."])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="operations whose name holds this")
    parser.add_argument("--shape", type=int, default=SMALL, help="arrays of n x n")
    parser.add_argument("--rounds", type=int, default=21)
    given = parser.parse_args()
    result = measured(given.shape, given.rounds, given.only)
    for call, times in result.items():
        print(f"{times.ratio:6.2f} {duration(times.seconds):>8}  {call}")
    over = sum(times.ratio > BAR for times in result.values())
    print(f"{over} of {len(result)} take more than {BAR:.1f} of PyTorch's time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
