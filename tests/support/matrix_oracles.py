"""What products, linear algebra, convolution and pooling are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import permutations, product
from typing import Any

import numpy as np
from scipy import linalg, signal

# ------------------------------------------------------------------------- products


def einstein(arrays: Sequence[np.ndarray], *, subscripts: str, **_: Any) -> np.ndarray:
    """Sum entry by entry, over every combination of indices."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:
        letters = sorted(set(inputs) - set(",."))
        output = "..." + "".join(c for c in letters if inputs.count(c) == 1)
    further = [x.ndim - len(t) + 3 for t, x in zip(terms, arrays, strict=True)]
    digits = "0123"[
        : max([n for t, n in zip(terms, further, strict=True) if "." in t], default=0)
    ]
    terms = [
        t.replace("...", digits[len(digits) - n :])
        for t, n in zip(terms, further, strict=True)
    ]
    output = output.replace("...", digits)
    sizes: dict[str, int] = {}
    for t, x in zip(terms, arrays, strict=True):
        for c, n in zip(t, x.shape, strict=True):
            sizes[c] = max(n, sizes.get(c, 1))
    result = np.zeros([sizes[c] for c in output])
    for place in product(*map(range, sizes.values())):
        at = dict(zip(sizes, place, strict=True))
        factors = [
            x[tuple(at[c] if n > 1 else 0 for c, n in zip(t, x.shape, strict=True))]
            for t, x in zip(terms, arrays, strict=True)
        ]
        result[tuple(at[c] for c in output)] += math.prod(factors)
    return result


def _matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left, right = "...ij" if a.ndim > 1 else "j", "...jk" if b.ndim > 1 else "j"
    result = "..." + "i" * (a.ndim > 1) + "k" * (b.ndim > 1)
    return einstein([a, b], subscripts=f"{left},{right}->{result}")


def _contracted(a: np.ndarray, b: np.ndarray, pairs: Sequence[tuple[int, int]]) -> Any:
    of_a, of_b = list("abcdefg"[: a.ndim]), list("stuvwxyz"[: b.ndim])
    for i, k in pairs:
        of_b[k] = of_a[i]
    kept = [c for c in of_a if c not in of_b] + [c for c in of_b if c not in of_a]
    text = f"{''.join(of_a)},{''.join(of_b)}->{''.join(kept)}"
    return einstein([a, b], subscripts=text)


def _tensordot(a: np.ndarray, b: np.ndarray, *, axes: Any) -> Any:
    if isinstance(axes, int):
        return _contracted(a, b, [(i - axes, i) for i in range(axes)])
    return _contracted(a, b, list(zip(*axes, strict=True)))


def _dot(a: np.ndarray, b: np.ndarray) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return _contracted(a, b, [(-1, -2 if b.ndim > 1 else 0)])


def _inner(a: np.ndarray, b: np.ndarray) -> Any:
    return a * b if a.ndim == 0 or b.ndim == 0 else _contracted(a, b, [(-1, -1)])


def _cross(
    a: np.ndarray, b: np.ndarray, *, axisa: int, axisb: int, axisc: int, axis: Any
) -> np.ndarray:
    if axis is not None:
        axisa = axisb = axisc = axis
    (a0, a1, a2), (b0, b1, b2) = np.moveaxis(a, axisa, 0), np.moveaxis(b, axisb, 0)
    parts = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    return np.stack(parts, axisc)


# ------------------------------------------------------------------- linear algebra


def _each(f: Callable[..., Any]) -> Callable[..., Any]:
    """Apply a function of one matrix to each in a stack."""

    def oracle(x: np.ndarray, **named: Any) -> Any:
        if x.ndim == 2:
            return f(x, **named)
        parts = [oracle(m, **named) for m in x]
        if isinstance(parts[0], tuple):
            return tuple(map(np.array, zip(*parts, strict=True)))
        return np.array(parts)

    return oracle


def _leibniz(x: np.ndarray) -> float:
    n = len(x)
    total = []
    for p in permutations(range(n)):
        swaps = sum(p[i] > p[k] for i in range(n) for k in range(i + 1, n))
        total.append((-1) ** swaps * math.prod(x[i, p[i]] for i in range(n)))
    return math.fsum(total)


def _inverse(x: np.ndarray) -> np.ndarray:
    """By Cramer's rule."""
    result = np.empty_like(x)
    for i, k in np.ndindex(x.shape):
        minor = np.delete(np.delete(x, i, 0), k, 1)
        result[k, i] = (-1) ** (i + k) * _leibniz(minor) / _leibniz(x)
    return result


def _power(x: np.ndarray, *, n: int) -> np.ndarray:
    factors = [_inverse(x) if n < 0 else x] * abs(n)
    return reduce(np.matmul, factors, np.eye(len(x)))


def _cholesky(x: np.ndarray, *, upper: bool) -> np.ndarray:
    x = x.T if upper else x
    result = np.zeros_like(x)
    for i in range(len(x)):
        for k in range(i + 1):
            rest = x[i, k] - math.fsum(result[i, :k] * result[k, :k])
            result[i, k] = math.sqrt(rest) if i == k else rest / result[k, k]
    return result.T if upper else result


def _like(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which columns must change their sign to be those of the others."""
    return np.sign(np.sum(vectors * others, axis=0))


def _eigh(x: np.ndarray, *, UPLO: str) -> tuple[np.ndarray, np.ndarray]:
    values, v = linalg.eigh(x, lower=UPLO == "L", driver="evx")
    return values, v * _like(v, np.linalg.eigh(x, UPLO).eigenvectors)


def _svd(x: np.ndarray, **_: Any) -> tuple[np.ndarray, ...]:
    u, s, vh = linalg.svd(x, full_matrices=False, lapack_driver="gesvd")
    signs = _like(u, np.linalg.svd(x, full_matrices=False).U)
    return u * signs, s, vh * signs[:, None]


def _gram_schmidt(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q = np.zeros_like(x)
    for k, column in enumerate(x.T):
        for _ in range(2):  # once more, for the rounding
            column = column - q @ (q.T @ column)
        q[:, k] = column / np.linalg.norm(column)
    q = q * _like(q, np.linalg.qr(x).Q)
    return q, q.T @ x


# ----------------------------------------------------------- convolution and pooling


def _tuple(sizes: Any, axes: int) -> tuple[int, ...]:
    return sizes if isinstance(sizes, tuple) else (sizes,) * axes


def _pad(x: np.ndarray, padding: Any, axes: int, fill: float = 0.0) -> np.ndarray:
    widths = [(0, 0)] * (x.ndim - axes) + [(p, p) for p in _tuple(padding, axes)]
    return np.pad(x, widths, constant_values=fill)


def _windows(
    x: np.ndarray,
    *,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    fill: float = 0.0,
) -> np.ndarray:
    axes = len(kernel_size) if isinstance(kernel_size, tuple) else 1
    x = _pad(x, padding, axes, fill)
    lead = x.ndim - axes
    for axis in range(axes):
        k, s, d = (_tuple(n, axes)[axis] for n in (kernel_size, stride, dilation))
        starts = range(0, x.shape[lead + axis] - d * (k - 1), s)
        seen = [x.take(range(i, i + d * (k - 1) + 1, d), lead + axis) for i in starts]
        # the windows' axis in the place of the one cut up, that within them last
        x = np.moveaxis(np.stack(seen, lead + axis), lead + axis + 1, -1)
    return x


def _fold(x: np.ndarray, *, shape: Any, **named: Any) -> np.ndarray:
    shape = _tuple(shape, 1)
    axes = len(shape)
    lead, kernel = x.shape[: -2 * axes], x.shape[-axes:]
    size = math.prod(lead + shape)
    places = np.arange(1.0, size + 1).reshape(lead + shape)
    result = np.zeros(size + 1)  # the first collects what lies in the padding
    for place, value in np.broadcast(_windows(places, kernel_size=kernel, **named), x):
        result[int(place)] += value
    return result[1:].reshape(lead + shape)


def _convolution(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    *,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> np.ndarray:
    axes = weight.ndim - 2
    x = _pad(x, padding, axes)
    steps = tuple(slice(None, None, s) for s in _tuple(stride, axes))
    gaps = _tuple(dilation, axes)
    sizes = [d * (k - 1) + 1 for d, k in zip(gaps, weight.shape[2:], strict=True)]
    kernels = np.zeros((*weight.shape[:2], *sizes))
    kernels[(..., *(slice(None, None, d) for d in gaps))] = weight
    result = [
        [
            signal.correlate(image, kernel, "valid", "direct")[0][steps]
            for kernel in kernels
        ]
        for image in x
    ]
    return np.array(result) + (0 if bias is None else bias.reshape(-1, *(1,) * axes))


def _conv_input(y: np.ndarray, weight: np.ndarray, *, shape: Any, **how: Any) -> Any:
    axes = weight.ndim - 2
    d = np.tensordot(y, weight, (1, 0))  # (N, *places, C, *kernel)
    shape = _tuple(shape, axes)
    return _fold(np.moveaxis(d, 1 + axes, 1), shape=shape, **how)


def _conv_weight(y: np.ndarray, x: np.ndarray, *, kernel_size: Any, **how: Any) -> Any:
    axes = x.ndim - 2
    seen = _windows(x, kernel_size=_tuple(kernel_size, axes), **how)
    places = tuple(range(2, 2 + axes))
    return np.tensordot(y, seen, ((0, *places), (0, *places)))


def _pooling(
    f: Callable[..., Any], axes: int, fill: float
) -> Callable[..., np.ndarray]:
    def oracle(
        x: np.ndarray, *, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1
    ) -> np.ndarray:
        kernel = _tuple(kernel_size, axes)
        seen = _windows(
            x,
            kernel_size=kernel,
            stride=kernel if stride is None else stride,
            padding=_tuple(padding, axes),
            dilation=_tuple(dilation, axes),
            fill=fill,
        )
        rows = seen.reshape(*seen.shape[:-axes], -1)
        return np.array(
            [f(row.tolist()) for row in rows.reshape(-1, rows.shape[-1])]
        ).reshape(rows.shape[:-1])

    return oracle


def _largest_places(
    x: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> list[list[int]]:
    """Where each window's largest numbers are, window by window, of the last axes."""
    axes = len(kernel) if isinstance(kernel, tuple) else 1
    kernel = _tuple(kernel, axes)
    numbers = np.arange(1.0, x.size + 1).reshape(x.shape)
    how = {
        "kernel_size": kernel,
        "stride": kernel if stride is None else _tuple(stride, axes),
        "padding": _tuple(padding, axes),
        "dilation": _tuple(dilation, axes),
    }
    values = _windows(x, fill=-math.inf, **how)
    where = _windows(numbers, fill=0.0, **how)
    rows = zip(
        values.reshape(-1, math.prod(kernel)).tolist(),
        where.reshape(-1, math.prod(kernel)).tolist(),
        strict=True,
    )
    return [
        [int(n) - 1 for v, n in zip(row, at, strict=True) if n and v == max(row)]
        for row, at in rows
    ]


def _max_unpool(
    y: np.ndarray,
    x: np.ndarray,
    largest: Any,
    *,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> np.ndarray:
    result = [0.0] * x.size
    windows = _largest_places(x, kernel_size, stride, padding, dilation)
    for value, places in zip(y.flat, windows, strict=True):
        for place in places:
            result[place] += value / len(places)
    return np.array(result).reshape(x.shape)


def _max_gather(
    z: np.ndarray,
    x: np.ndarray,
    largest: Any,
    *,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> np.ndarray:
    windows = _largest_places(x, kernel_size, stride, padding, dilation)
    picked = [_mean([z.flat[place] for place in places]) for places in windows]
    pooled = _pooling(max, len(kernel_size) if isinstance(kernel_size, tuple) else 1, 0)
    like = pooled(
        x, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
    )
    return np.array(picked).reshape(like.shape)


def _mean(row: list[float]) -> float:
    return math.fsum(row) / len(row)


#: What an operation without NumPy function, or that merely calls it, is compared with.
def _exponential_series(x):
    term = total = np.eye(len(x))
    for k in range(1, 80):
        term = term @ x / k
        total = total + term
    return total


ORACLES: dict[str, Callable[..., Any]] = {
    "avg_pool1d": _pooling(_mean, 1, 0.0),
    "avg_pool2d": _pooling(_mean, 2, 0.0),
    "cholesky": _each(_cholesky),
    "conv1d": _convolution,
    "conv2d": _convolution,
    "conv_input": _conv_input,
    "conv_weight": _conv_weight,
    "cross": _cross,
    "det": _each(_leibniz),
    "dot": _dot,
    "eigh": _each(_eigh),
    "eigvalsh": _each(lambda x, UPLO: linalg.eigvalsh(x, lower=UPLO == "L")),
    "einsum": einstein,
    "expm": _each(_exponential_series),
    "fold": _fold,
    "inner": _inner,
    "inv": _each(_inverse),
    "matmul": _matmul,
    "matrix_power": _each(_power),
    "max_gather": _max_gather,
    "max_pool1d": _pooling(max, 1, -math.inf),
    "max_pool2d": _pooling(max, 2, -math.inf),
    "max_unpool": _max_unpool,
    "multi_dot": lambda arrays: reduce(np.matmul, arrays),
    "outer": lambda a, b: np.array([[x * y for y in b.flat] for x in a.flat]),
    "pinv": _each(lambda x, rcond: linalg.pinv(x)),
    "qr": _each(_gram_schmidt),
    "slogdet": _each(lambda x: (np.sign(_leibniz(x)), math.log(abs(_leibniz(x))))),
    "solve": lambda a, b: _matmul(_each(_inverse)(a), b),
    "svd": _each(_svd),
    "svdvals": _each(linalg.svdvals),
    "tensordot": _tensordot,
    "vdot": lambda a, b: math.fsum(x * y for x, y in zip(a.flat, b.flat, strict=True)),
    "windows": _windows,
}
