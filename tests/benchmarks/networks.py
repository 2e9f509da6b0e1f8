"""A step of the lecture's 784-64-10 network: mini-batches, and all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from measuring import Burst, Workload

RATE = 0.1
FULL = 60_000


def data(rows: int, dtype: type) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights of the network, and rows of the size of MNIST's."""
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, ...]] = [(64, 784), (64,), (10, 64), (10,)]
    weights = [(0.05 * rng.standard_normal(s)).astype(dtype) for s in shapes]
    X = rng.random((rows, 784), dtype=dtype)
    return weights, X, rng.integers(0, 10, rows)


# -------------------------------------------------------------------- ours


def _our_network(weights, dtype):
    import tinygrad_edu as te

    model = te.nn.Sequential(
        te.nn.Linear(784, 64, dtype=dtype),
        te.nn.Sigmoid(),
        te.nn.Linear(64, 10, dtype=dtype),
    )
    for p, w in zip(model.parameters(), weights, strict=True):
        p.data = w
    return model, te.optim.SGD(model.parameters(), lr=RATE)


def ours(steps: int, dtype: type, rows: int) -> Burst:
    import tinygrad_edu as te

    weights, X, y = data(rows, dtype)
    model, optimizer = _our_network(weights, dtype)

    def burst() -> None:
        for _ in range(steps):
            loss = te.nn.softmax_cross_entropy(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return burst


def compiled(steps: int, dtype: type, rows: int) -> Burst:
    """A step as a program, with the update in it."""
    import tinygrad_edu as te

    weights, X, y = data(rows, dtype)
    model, optimizer = _our_network(weights, dtype)
    step = te.compile(model, te.nn.softmax_cross_entropy, optimizer)

    def burst() -> None:
        for _ in range(steps):
            step(X, y)

    return burst


def ours_by_fit(
    steps: int, dtype: type, rows: int, batch_size: int | None = None
) -> Burst:
    """Through te.fit, which takes a full batch a thousand rows at a time."""
    import tinygrad_edu as te

    weights, X, y = data(rows, dtype)
    model, optimizer = _our_network(weights, dtype)

    def burst() -> None:
        te.fit(
            model,
            X,
            y,
            loss=te.nn.softmax_cross_entropy,
            optimizer=optimizer,
            epochs=steps,
            batch_size=batch_size,
            shuffle=False,
            progress=False,
        )

    return burst


# ----------------------------------------------------------------- by hand


def gradients_by_hand(W1, b1, W2, b2, X, y, rows, share):
    """The lecture's derivation, written well: in place wherever it can be."""
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
    loss = (np.log(total[:, 0]) - Z2[rows, y]).sum() * share
    P /= total
    P[rows, y] -= 1
    P *= share
    dW2 = P.T.dot(A1)
    db2 = P.sum(axis=0)
    dZ1 = P.dot(W2)
    dZ1 *= A1
    np.subtract(1, A1, out=A1)
    dZ1 *= A1
    return loss, dZ1.T.dot(X), dZ1.sum(axis=0), dW2, db2


def hand(steps: int, dtype: type, rows: int) -> Burst:
    weights, X, y = data(rows, dtype)
    numbers, share = np.arange(rows), dtype(1 / rows)

    def burst() -> None:
        for _ in range(steps):
            loss, *gradients = gradients_by_hand(*weights, X, y, numbers, share)
            for p, g in zip(weights, gradients, strict=True):
                p -= RATE * g
        assert np.isfinite(loss)

    return burst


def hand_in_chunks(steps: int, dtype: type, rows: int) -> Burst:
    """What code by hand can do, too: a thousand rows at a time, gradients added up."""
    weights, X, y = data(rows, dtype)
    share = dtype(1 / rows)

    def burst() -> None:
        for _ in range(steps):
            loss = 0.0
            sums = [np.zeros_like(p) for p in weights]
            for start in range(0, rows, 1000):
                part, labels = X[start : start + 1000], y[start : start + 1000]
                numbers = np.arange(len(part))
                value, *gradients = gradients_by_hand(
                    *weights, part, labels, numbers, share
                )
                loss += value
                for total, g in zip(sums, gradients, strict=True):
                    total += g
            for p, g in zip(weights, sums, strict=True):
                p -= RATE * g
        assert np.isfinite(loss)

    return burst


def bare_products(steps: int, dtype: type, rows: int) -> Burst:
    """The five matrix products of a step, and nothing else."""
    (W1, _, W2, _), X, _ = data(rows, dtype)
    A1, P = np.ones((rows, 64), dtype), np.ones((rows, 10), dtype)

    def burst() -> None:
        for _ in range(steps):
            X.dot(W1.T)
            A1.dot(W2.T)
            P.T.dot(A1)
            P.dot(W2)
            A1.T.dot(X)

    return burst


# ------------------------------------------------------------------- peers


def torch(steps: int, dtype: type, rows: int) -> Burst:
    import torch

    torch.set_num_threads(2)
    weights, X, y = data(rows, dtype)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 64), torch.nn.Sigmoid(), torch.nn.Linear(64, 10)
    ).to(torch.from_numpy(X).dtype)
    with torch.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(torch.from_numpy(w))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    Xt, yt = torch.from_numpy(X), torch.from_numpy(y)

    def burst() -> None:
        for _ in range(steps):
            loss = torch.nn.functional.cross_entropy(model(Xt), yt)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return burst


def jax(steps: int, dtype: type, rows: int) -> Burst:
    """Compiled, with parameters that it may overwrite."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", dtype is np.float64)
    weights, X, y = data(rows, dtype)
    parameters = [jnp.array(w) for w in weights]
    Xj, yj = jnp.array(X), jnp.array(y)

    def loss(parameters, X, y):
        W1, b1, W2, b2 = parameters
        logits = jax.nn.sigmoid(X @ W1.T + b1) @ W2.T + b2
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -chosen.mean()

    def step(parameters, X, y):
        gradients = jax.grad(loss)(parameters, X, y)
        return [p - RATE * g for p, g in zip(parameters, gradients, strict=True)]

    compiled = jax.jit(step, donate_argnums=0)

    def burst() -> None:
        nonlocal parameters
        for _ in range(steps):
            parameters = compiled(parameters, Xj, yj)
        jax.block_until_ready(parameters)

    return burst


def autograd(steps: int, dtype: type, rows: int) -> Burst:
    import autograd
    import autograd.numpy as anp
    from autograd.scipy.special import logsumexp

    weights, X, y = data(rows, dtype)
    numbers = np.arange(rows)

    def loss(parameters):
        W1, b1, W2, b2 = parameters
        hidden = 1 / (1 + anp.exp(-(anp.dot(X, W1.T) + b1)))
        logits = anp.dot(hidden, W2.T) + b2
        return anp.mean(logsumexp(logits, axis=1) - logits[numbers, y])

    gradient = autograd.grad(loss)

    def burst() -> None:
        for _ in range(steps):
            for p, g in zip(weights, gradient(weights), strict=True):
                p -= RATE * g

    return burst


def mygrad(steps: int, dtype: type, rows: int) -> Burst:
    import mygrad
    from mygrad.nnet.activations import sigmoid
    from mygrad.nnet.losses import softmax_crossentropy

    weights, X, y = data(rows, dtype)
    W1, b1, W2, b2 = parameters = [mygrad.tensor(w) for w in weights]

    def burst() -> None:
        for _ in range(steps):
            logits = mygrad.matmul(sigmoid(mygrad.matmul(X, W1.T) + b1), W2.T) + b2
            softmax_crossentropy(logits, y).backward()
            for p in parameters:
                p.data -= RATE * p.grad

    return burst


def scikit_learn(steps: int, dtype: type, rows: int) -> Burst:
    from sklearn.neural_network import MLPClassifier

    _, X, y = data(rows, dtype)
    network = MLPClassifier(
        64,
        activation="logistic",
        solver="sgd",
        alpha=0.0,
        batch_size=rows,
        learning_rate_init=RATE,
        momentum=0.0,
        shuffle=False,
    )
    network.partial_fit(X, y, classes=range(10))

    def burst() -> None:
        for _ in range(steps):
            network.partial_fit(X, y)

    return burst


PEERS: dict[str, Callable[..., Burst]] = {
    "torch": torch,
    "jax": jax,
    "autograd": autograd,
    "mygrad": mygrad,
    "scikit-learn": scikit_learn,
}


def mini_batch(rows: int, **bars: float) -> Workload:
    candidates = {"ours": ours, "hand": hand, "bare products": bare_products, **PEERS}
    steps = 200 if rows < 1000 else 20
    return Workload(
        f"784-64-10, float32, batch of {rows:,}",
        {name: partial(make, steps, np.float32) for name, make in candidates.items()},
        count=steps,
        per="step",
        bars=bars,
        rows=rows,
    )


def program(rows: int, **bars: float) -> Workload:
    candidates = {"ours": compiled, "hand": hand, "the graph": ours}
    return Workload(
        f"784-64-10, float32, batch of {rows:,}, compiled",
        {name: partial(make, 200, np.float32) for name, make in candidates.items()},
        count=200,
        per="step",
        bars=bars,
        rows=rows,
    )


def full_batch(
    dtype: type, bars: dict[str, float], megabytes: float | None = None
) -> Workload:
    candidates = {
        "ours": ours_by_fit,
        "hand": hand,
        "hand in chunks": hand_in_chunks,
        "bare products": bare_products,
        **PEERS,
    }
    return Workload(
        f"784-64-10, {dtype.__name__}, all {FULL:,} rows by te.fit",
        {name: partial(make, 1, dtype) for name, make in candidates.items()},
        count=1,
        per="step",
        bars=bars,
        rows=FULL,
        megabytes=megabytes,
    )


def by_rows() -> Workload:
    """Whether a row costs more in a large batch: 60,000 rows, so many at a time."""
    made = partial(ours_by_fit, 1, np.float32)
    candidates = {"ours": made}
    for size in (64, 1000, 8000):
        candidates[f"batches of {size:,}"] = partial(made, batch_size=size)
    return Workload(
        f"784-64-10, float32, all {FULL:,} rows by te.fit, against mini-batches",
        candidates,
        count=FULL,
        per="row",
        bars={"batches of 64": 1.0},
        rows=FULL,
    )


WORKLOADS = [
    mini_batch(1, hand=1.5, torch=0.5),
    mini_batch(64, hand=1.25, torch=0.68, mygrad=0.68),
    mini_batch(128, hand=1.10),
    program(1, hand=0.8),
    program(64, hand=0.98),
    full_batch(
        np.float64, {"hand": 0.88, "bare products": 1.0, "torch": 0.8}, megabytes=25
    ),
    full_batch(np.float32, {"hand": 0.88}),
    by_rows(),
]
