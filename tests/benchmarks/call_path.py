"""How dear is one operation? The call path against hand-derived NumPy and PyTorch.

    python tests/benchmarks/call_path.py [--rounds 15]

Every candidate runs in a process of its own. Each round takes them in a fresh random
order, with a pause before each burst (BLAS threads spin for a while after their last
job); what counts is the median of the per-round ratios. PyTorch is left out where it is
not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

LENGTH = 10_000  # operations in a chain
STEPS = 1000  # training steps in a burst
RATE = 0.1

Burst = Callable[[], None]


def mlp_data(batch: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights of a 784-64-10 network in float32, and one mini-batch."""
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, ...]] = [(64, 784), (64,), (10, 64), (10,)]
    weights = [(0.05 * rng.standard_normal(s)).astype(np.float32) for s in shapes]
    X = rng.uniform(0, 1, (batch, 784)).astype(np.float32)
    return weights, X, rng.integers(0, 10, batch)


def ours_mlp(batch: int) -> Burst:
    import tinygrad_edu as te

    weights, X, y = mlp_data(batch)
    model = te.nn.Sequential(
        te.nn.Linear(784, 64, dtype=np.float32),
        te.nn.Sigmoid(),
        te.nn.Linear(64, 10, dtype=np.float32),
    )
    for p, w in zip(model.parameters(), weights, strict=True):
        p.data = w
    optimizer = te.optim.SGD(model.parameters(), lr=RATE)

    def burst() -> None:
        for _ in range(STEPS):
            loss = te.nn.softmax_cross_entropy(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return burst


def hand_mlp(batch: int) -> Burst:
    """The lecture's derivation, written well: in place wherever it can be."""
    (W1, b1, W2, b2), X, y = mlp_data(batch)
    rows = np.arange(batch)

    def burst() -> None:
        nonlocal W1, b1, W2, b2
        for _ in range(STEPS):
            A1 = X.dot(W1.T)
            A1 += b1
            np.negative(A1, out=A1)
            np.exp(A1, out=A1)
            A1 += 1
            np.reciprocal(A1, out=A1)
            Z2 = A1.dot(W2.T)
            Z2 += b2
            Z2 -= Z2.max(axis=1, keepdims=True)
            P = np.exp(Z2)
            total = P.sum(axis=1, keepdims=True)
            loss = (np.log(total[:, 0]) - Z2[rows, y]).mean()
            P /= total
            P[rows, y] -= 1
            P /= batch
            dW2 = P.T.dot(A1)
            db2 = P.sum(axis=0)
            dZ1 = P.dot(W2)
            dZ1 *= A1
            dZ1 *= 1 - A1
            dW1 = dZ1.T.dot(X)
            db1 = dZ1.sum(axis=0)
            W1 -= RATE * dW1
            b1 -= RATE * db1
            W2 -= RATE * dW2
            b2 -= RATE * db2
        assert np.isfinite(loss)

    return burst


def torch_mlp(batch: int) -> Burst:
    import torch

    torch.set_num_threads(2)
    weights, X, y = mlp_data(batch)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 64), torch.nn.Sigmoid(), torch.nn.Linear(64, 10)
    )
    with torch.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(torch.from_numpy(w))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    Xt, yt = torch.from_numpy(X), torch.from_numpy(y)

    def burst() -> None:
        for _ in range(STEPS):
            loss = torch.nn.functional.cross_entropy(model(Xt), yt)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return burst


def ours_chain(shape: tuple[int, ...]) -> Burst:
    import tinygrad_edu as te

    x = te.tensor(np.full(shape, 1.5), requires_grad=True)
    c = te.tensor(np.full(shape, 1.0001))

    def burst() -> None:
        y = x
        for _ in range(LENGTH):
            y = y * c
        x.zero_grad()
        y.sum().backward()

    return burst


def torch_chain(shape: tuple[int, ...]) -> Burst:
    import torch

    torch.set_num_threads(2)
    x = torch.full(shape, 1.5, dtype=torch.float64, requires_grad=True)
    c = torch.full(shape, 1.0001, dtype=torch.float64)

    def burst() -> None:
        y = x
        for _ in range(LENGTH):
            y = y * c
        x.grad = None
        y.sum().backward()

    return burst


#: workload -> (candidate -> what makes its burst), bars of ours against the others
WORKLOADS: dict[str, tuple[dict[str, Callable[[], Burst]], dict[str, float]]] = {
    "chain of 10,000 on 4x4": (
        {"ours": lambda: ours_chain((4, 4)), "torch": lambda: torch_chain((4, 4))},
        {"torch": 0.70},
    ),
    "chain of 10,000 scalars": (
        {"ours": lambda: ours_chain(()), "torch": lambda: torch_chain(())},
        {"torch": 0.62},
    ),
    "MLP 784-64-10, batch 64": (
        {
            "ours": lambda: ours_mlp(64),
            "hand": lambda: hand_mlp(64),
            "torch": lambda: torch_mlp(64),
        },
        {"hand": 1.12, "torch": 0.68},
    ),
    "MLP 784-64-10, batch 128": (
        {"ours": lambda: ours_mlp(128), "hand": lambda: hand_mlp(128)},
        {"hand": 1.10},
    ),
}


def serve(workload: str, candidate: str, pipe: Connection) -> None:
    """Answer each request with the seconds of one burst."""
    burst = WORKLOADS[workload][0][candidate]()
    burst()
    while pipe.recv():
        time.sleep(0.1)
        start = time.perf_counter()
        burst()
        pipe.send(time.perf_counter() - start)


def measure(workload: str, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every round, by candidate."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for candidate in WORKLOADS[workload][0]:
        if candidate == "torch" and importlib.util.find_spec("torch") is None:
            continue
        pipes[candidate], theirs = context.Pipe()
        context.Process(
            target=serve, args=(workload, candidate, theirs), daemon=True
        ).start()
    seconds: dict[str, list[float]] = {candidate: [] for candidate in pipes}
    for _ in range(rounds):
        for candidate in random.sample(list(pipes), len(pipes)):
            pipes[candidate].send(True)
            seconds[candidate].append(pipes[candidate].recv())
    for pipe in pipes.values():
        pipe.send(False)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="workloads whose name holds this")
    options = parser.parse_args()
    print(
        f"{'workload':26}{'against':>8}{'ratio':>8}{'bar':>8}{'ours':>12}{'theirs':>12}"
    )
    for workload, (_, bars) in WORKLOADS.items():
        if options.only not in workload:
            continue
        seconds = measure(workload, options.rounds)
        per = LENGTH if "chain" in workload else STEPS
        for other, bar in bars.items():
            if other not in seconds:
                continue
            pairs = list(zip(seconds["ours"], seconds[other], strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            ours, theirs = (
                statistics.median(s) / per * 1e6 for s in zip(*pairs, strict=True)
            )
            verdict = "" if ratio <= bar else "  MISSED"
            print(
                f"{workload:26}{other:>8}{ratio:8.2f}{bar:8.2f}{ours:9.1f} us"
                f"{theirs:9.1f} us{verdict}"
            )


if __name__ == "__main__":
    main()
