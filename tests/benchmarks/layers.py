"""Forward and backward of convolutions, of what Transformers use, and Adam's step."""

from __future__ import annotations

import numpy as np
from measuring import Burst, Workload

STEPS = 10


# ----------------------------------------------------- a convolutional network

# conv 1 -> 8, 5 x 5; relu; pool 2; conv 8 -> 16, 5 x 5; relu; pool 2; linear


def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((64, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, 64)


def our_cnn() -> Burst:
    import tinygrad_edu as te

    X, y = images()
    how = {"rng": 0, "dtype": np.float32}
    model = te.nn.Sequential(
        te.nn.Conv2d(1, 8, 5, **how),
        te.nn.ReLU(),
        te.nn.MaxPool2d(2),
        te.nn.Conv2d(8, 16, 5, **how),
        te.nn.ReLU(),
        te.nn.MaxPool2d(2),
        te.nn.Flatten(),
        te.nn.Linear(256, 10, **how),
    )

    parameters = model.parameters()

    def burst() -> None:
        for _ in range(STEPS):
            for p in parameters:
                p.zero_grad()
            te.nn.softmax_cross_entropy(model(X), y).backward()

    return burst


def torch_cnn() -> Burst:
    import torch

    torch.set_num_threads(2)
    X, y = map(torch.from_numpy, images())
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(256, 10),
    )

    parameters = list(model.parameters())

    def burst() -> None:
        for _ in range(STEPS):
            for p in parameters:
                p.grad = None
            torch.nn.functional.cross_entropy(model(X), y).backward()

    return burst


def jax_cnn() -> Burst:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    X, y = map(jnp.array, images())
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, ...]] = [(8, 1, 5, 5), (8,), (16, 8, 5, 5), (16,)]
    shapes += [(10, 256), (10,)]
    weights = [jnp.array(0.1 * rng.random(s, dtype=np.float32)) for s in shapes]

    def block(x, W, b):
        x = jax.lax.conv(x, W, (1, 1), "VALID") + b[:, None, None]
        return jax.lax.reduce_window(
            jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
        )

    def loss(weights, X, y):
        W1, b1, W2, b2, W3, b3 = weights
        x = block(block(X, W1, b1), W2, b2)
        logits = x.reshape(len(x), -1) @ W3.T + b3
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -chosen.mean()

    gradient = jax.jit(jax.grad(loss))

    def burst() -> None:
        for _ in range(STEPS):
            jax.block_until_ready(gradient(weights, X, y))

    return burst


# ------------------------------------------------- normalisation and attention

ROWS, WIDTH, HEADS, TOKENS = 2048, 256, 4, 64


def our_steps(layer, x) -> Burst:
    """Forward, and backward to the input and the parameters."""

    def burst() -> None:
        for _ in range(STEPS):
            x.zero_grad()
            layer.zero_grad()
            y = layer(x)
            y.backward(gradient=np.ones_like(y.data))

    return burst


def our_layer_norm() -> Burst:
    import tinygrad_edu as te

    layer = te.nn.LayerNorm(WIDTH, dtype=np.float32)
    return our_steps(layer, te.tensor(rows(), requires_grad=True))


def torch_layer_norm() -> Burst:
    import torch

    torch.set_num_threads(2)
    layer = torch.nn.LayerNorm(WIDTH)
    x = torch.from_numpy(rows()).requires_grad_()

    def burst() -> None:
        for _ in range(STEPS):
            x.grad = None
            layer.zero_grad()
            y = layer(x)
            y.backward(torch.ones_like(y))

    return burst


def rows() -> np.ndarray:
    return np.random.default_rng(0).random((ROWS, WIDTH), dtype=np.float32)


def our_attention() -> Burst:
    import tinygrad_edu as te

    layer = te.nn.MultiHeadAttention(WIDTH, HEADS, rng=0, dtype=np.float32)
    x = te.tensor(rows().reshape(-1, TOKENS, WIDTH), requires_grad=True)
    return our_steps(layer, x)


def torch_attention() -> Burst:
    import torch

    torch.set_num_threads(2)
    layer = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    x = torch.from_numpy(rows().reshape(-1, TOKENS, WIDTH)).requires_grad_()

    def burst() -> None:
        for _ in range(STEPS):
            x.grad = None
            layer.zero_grad()
            y, _ = layer(x, x, x, need_weights=False)
            y.backward(torch.ones_like(y))

    return burst


# ------------------------------------------------------------------------ Adam

SHAPES = [(64, 784), (64,), (10, 64), (10,)]  # 50,890 parameters


def our_adam() -> Burst:
    import tinygrad_edu as te

    rng = np.random.default_rng(0)
    ps = [te.tensor(rng.random(s, np.float32), requires_grad=True) for s in SHAPES]
    for p in ps:
        p.grad = rng.random(p.shape, np.float32)
    optimizer = te.optim.Adam(ps)

    def burst() -> None:
        for _ in range(300):
            optimizer.step()

    return burst


def torch_adam() -> Burst:
    import torch

    torch.set_num_threads(2)
    ps = [torch.rand(s, requires_grad=True) for s in SHAPES]
    for p in ps:
        p.grad = torch.rand(p.shape)
    optimizer = torch.optim.Adam(ps)

    def burst() -> None:
        for _ in range(300):
            optimizer.step()

    return burst


WORKLOADS = [
    Workload(
        "small CNN, float32, 64 images, forward and backward",
        {"ours": our_cnn, "torch": torch_cnn, "jax": jax_cnn},
        count=STEPS,
        per="step",
        bars={"torch": 1.3},
    ),
    Workload(
        f"LayerNorm of {ROWS:,} x {WIDTH}, forward and backward",
        {"ours": our_layer_norm, "torch": torch_layer_norm},
        count=STEPS,
        per="step",
        bars={"torch": 4.5},
    ),
    Workload(
        f"attention, {ROWS // TOKENS} x {TOKENS} tokens of {WIDTH}, {HEADS} heads",
        {"ours": our_attention, "torch": torch_attention},
        count=STEPS,
        per="step",
        bars={"torch": 1.4},
    ),
    Workload(
        "Adam's update of 50,890 parameters in four arrays",
        {"ours": our_adam, "torch": torch_adam},
        count=300,
        per="step",
        bars={"torch": 0.5},
    ),
]
