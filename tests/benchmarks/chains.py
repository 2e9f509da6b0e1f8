"""What one operation costs: long chains of products of small arrays."""

from __future__ import annotations

from functools import partial

import numpy as np
from measuring import Burst, Workload

LENGTH = 10_000


def ours(shape: tuple[int, ...], length: int = LENGTH, times: int = 1) -> Burst:
    import tinygrad_edu as te

    x = te.tensor(np.full(shape, 1.5), requires_grad=True)
    c = te.tensor(np.full(shape, 1.000001))

    def burst() -> None:
        for _ in range(times):
            y = x
            for _ in range(length):
                y = y * c
            x.zero_grad()
            y.sum().backward()

    return burst


def torch(shape: tuple[int, ...]) -> Burst:
    import torch

    torch.set_num_threads(2)
    x = torch.full(shape, 1.5, dtype=torch.float64, requires_grad=True)
    c = torch.full(shape, 1.000001, dtype=torch.float64)

    def burst() -> None:
        y = x
        for _ in range(LENGTH):
            y = y * c
        x.grad = None
        y.sum().backward()

    return burst


def autograd(shape: tuple[int, ...]) -> Burst:
    import autograd
    import autograd.numpy as anp

    c = np.full(shape, 1.000001)

    def chain(x):
        for _ in range(LENGTH):
            x = x * c
        return anp.sum(x)

    gradient = autograd.grad(chain)
    return lambda: gradient(np.full(shape, 1.5))


def mygrad(shape: tuple[int, ...]) -> Burst:
    import mygrad

    x = mygrad.tensor(np.full(shape, 1.5))
    c = np.full(shape, 1.000001)

    def burst() -> None:
        y = x
        for _ in range(LENGTH):
            y = y * c
        y.sum().backward()

    return burst


def workload(title: str, shape: tuple[int, ...], bar: float) -> Workload:
    made = {"torch": torch, "autograd": autograd, "mygrad": mygrad}
    return Workload(
        f"chain of 10,000 products of {title}",
        {name: partial(make, shape) for name, make in {"ours": ours, **made}.items()},
        count=LENGTH,
        per="operation",
        bars={"torch": bar},
    )


WORKLOADS = [
    workload("4 x 4 arrays", (4, 4), 0.70),
    workload("numbers", (), 0.62),
    Workload(
        "1,000,000 operations in one graph",
        {
            "ours": partial(ours, (), 1_000_000),
            "in 100 graphs": partial(ours, (), LENGTH, 100),
        },
        count=1_000_000,
        per="operation",
        bars={"in 100 graphs": 2.0},
        most=5,
    ),
]
