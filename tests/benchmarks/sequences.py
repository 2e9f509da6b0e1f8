"""One step of time after the other: a hidden Markov model, and an LSTM."""

from __future__ import annotations

import numpy as np
from layers import STEPS, our_steps
from measuring import Burst, Workload

# --------------------------------------------------------- a hidden Markov model

LENGTH, STATES, SYMBOLS = 400, 20, 10


def tables() -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Logarithms of the transitions' and emissions' probabilities, and what is seen."""
    rng = np.random.default_rng(0)
    transition = np.log(rng.dirichlet(np.ones(STATES), STATES))
    emission = np.log(rng.dirichlet(np.ones(SYMBOLS), STATES))
    return transition, emission, rng.integers(0, SYMBOLS, LENGTH).tolist()


def our_markov() -> Burst:
    import tinygrad_edu as te

    transition, emission, seen = tables()
    log_transition = te.tensor(transition, requires_grad=True)
    log_emission = te.tensor(emission, requires_grad=True)

    def burst() -> None:
        """The forward algorithm: the logarithm of what was seen's probability."""
        log_transition.grad = log_emission.grad = None
        log_alpha = log_emission[:, seen[0]]
        for symbol in seen[1:]:
            moved = te.logsumexp(log_alpha[:, None] + log_transition, axis=0)
            log_alpha = moved + log_emission[:, symbol]
        te.logsumexp(log_alpha).backward()

    return burst


def torch_markov() -> Burst:
    import torch

    torch.set_num_threads(1)  # two are slower for so little, on a busy machine a lot
    transition, emission, seen = tables()
    log_transition = torch.tensor(transition, requires_grad=True)
    log_emission = torch.tensor(emission, requires_grad=True)

    def burst() -> None:
        log_transition.grad = log_emission.grad = None
        log_alpha = log_emission[:, seen[0]]
        for symbol in seen[1:]:
            moved = torch.logsumexp(log_alpha[:, None] + log_transition, dim=0)
            log_alpha = moved + log_emission[:, symbol]
        torch.logsumexp(log_alpha, dim=0).backward()

    return burst


# ------------------------------------------------------------------------ an LSTM

BATCH, TIMES, UNITS = 32, 32, 64


def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((BATCH, TIMES, UNITS), dtype=np.float32)


def our_lstm() -> Burst:
    import tinygrad_edu as te

    layer = te.nn.LSTM(UNITS, UNITS, rng=0, dtype=np.float32)
    return our_steps(layer, te.tensor(vectors(), requires_grad=True))


def torch_lstm() -> Burst:
    import torch

    torch.set_num_threads(2)
    layer = torch.nn.LSTM(UNITS, UNITS, batch_first=True)
    x = torch.from_numpy(vectors()).requires_grad_()

    def burst() -> None:
        for _ in range(STEPS):
            x.grad = None
            layer.zero_grad()
            y, _ = layer(x)
            y.backward(torch.ones_like(y))

    return burst


WORKLOADS = [
    Workload(
        f"hidden Markov loop of {LENGTH} steps, {STATES} states",
        {"ours": our_markov, "torch": torch_markov},
        count=LENGTH,
        per="step",
        bars={"torch": 1.0},
    ),
    Workload(
        f"LSTM, {TIMES} steps, batch {BATCH}, {UNITS} units",
        {"ours": our_lstm, "torch": torch_lstm},
        count=STEPS,
        per="forward and backward",
        bars={"torch": 3.0},
    ),
]
