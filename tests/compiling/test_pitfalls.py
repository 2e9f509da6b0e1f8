"""What people trip over in tracing compilers, looked for in every corner.

``test_functions`` and ``test_steps`` hold what is plain. Here is what one would not
think of: each finds either the engine's numbers, or an error that names the reason.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te

X = np.linspace(-1.0, 2.0, 6).reshape(2, 3)


# ------------------------------------------------------------------- in training steps


def network(middle=(), dtype=np.float64):
    first = te.nn.Linear(4, 6, dtype=dtype, rng=0), te.nn.Sigmoid()
    return te.nn.Sequential(*first, *middle, te.nn.Linear(6, 3, dtype=dtype, rng=1))


def batches(n, dtype=np.float64):
    rng = np.random.default_rng(7)
    for _ in range(n):
        yield rng.standard_normal((5, 4)).astype(dtype), rng.integers(0, 3, 5)


def assert_steps_agree(make, change, *, at=(3,), n=6, middle=tuple, dtype=np.float64):
    """Compile one of two equal runs, and change both in between."""
    models = [network(middle(), dtype) for _ in range(2)]
    optimizers = [make(m.parameters()) for m in models]
    loss = te.nn.softmax_cross_entropy
    step = te.compile(models[0], loss, optimizers[0])
    for k, (x, y) in enumerate(batches(n, dtype)):
        if k in at:
            for model, optimizer in zip(models, optimizers, strict=True):
                change(model, optimizer, k)
        value = loss(models[1](x), y)
        optimizers[1].zero_grad()
        value.backward()
        optimizers[1].step()
        assert step(x, y) == value.item(), k

    one, other = (m.state_dict() for m in models)
    for name, x in other.items():
        np.testing.assert_array_equal(one[name], x, strict=True)
    one, other = (o.state_dict() for o in optimizers)
    assert one["steps"] == other["steps"]
    assert repr(one["param_groups"]) == repr(other["param_groups"])
    for name, x in other["state"].items():
        np.testing.assert_array_equal(one["state"][name], x, strict=True)
    return step


def sgd(params):
    return te.optim.SGD(params, lr=0.1)


def momentum(params):
    return te.optim.SGD(params, lr=0.1, momentum=0.9)


def adam(params):
    return te.optim.Adam(params, lr=0.01)


def halved(optimizer):
    state = optimizer.state_dict()
    state["state"] = {name: x * 0.5 for name, x in state["state"].items()}
    return state


@pytest.mark.parametrize("make", [momentum, adam])
@pytest.mark.parametrize(
    "change",
    [
        lambda o: o.load_state_dict(halved(o)),
        lambda o: o.state.clear(),
        lambda o: [s.update(step=9) for s in o.state.values()],
        lambda o: setattr(o, "state", {}),
    ],
    ids=["load", "clear", "count", "assign"],
)
def test_an_optimizers_state_may_be_another(make, change):
    step = assert_steps_agree(make, lambda m, o, k: change(o))

    assert len(step.traces) == 1


def test_a_moment_that_is_replaced_is_read():
    def change(model, optimizer, k):
        for state in optimizer.state.values():
            state.update({n: x * 0.5 for n, x in state.items() if n in ("m", "v")})

    assert_steps_agree(adam, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda g, p: g.append({**g[0], "params": p[2:3], "lr": 0.05}),
        lambda g, p: g.pop(),
        lambda g, p: g.reverse(),
        lambda g, p: g[0]["params"].pop(),
        lambda g, p: g[0].update(params=g[0]["params"][:1]),
        lambda g, p: g[1].update(lr=1),
        lambda g, p: g[1].update(lr=np.float64(0.25)),
    ],
    ids=["append", "pop", "reverse", "fewer", "others", "int", "numpy"],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_groups_of_parameters_may_change(change, dtype):
    def two(p):
        return te.optim.Adam([{"params": p[:2]}, {"params": p[3:], "lr": 0.05}], lr=0.1)

    assert_steps_agree(
        two, lambda m, o, k: change(o.param_groups, m.parameters()), dtype=dtype
    )


def test_parameters_are_frozen_and_melted():
    def change(model, optimizer, k):
        for i, p in enumerate(model.parameters()):
            p.requires_grad = (i + k) % 2 == 0

    step = assert_steps_agree(adam, change, n=8, at=range(1, 8))
    assert len(step.traces) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m[0].weight, "data", np.asfortranarray(m[0].weight.data)),
        lambda m: [setattr(p, "data", p.data.astype("f4")) for p in m.parameters()],
        lambda m: setattr(
            m[0], "weight", te.tensor(np.ones((6, 4)), requires_grad=True)
        ),
        lambda m: m.__setitem__(1, te.nn.Tanh()),
    ],
    ids=["order", "dtype", "parameter", "layer"],
)
def test_a_model_may_be_changed_between_steps(change):
    assert_steps_agree(momentum, lambda m, o, k: change(m))


DROPPED = [
    lambda d, k: setattr(d, "p", 0.1 * k),
    lambda d, k: setattr(d, "p", (0.0, 0.5)[k % 2]),
    lambda d, k: setattr(d, "rng", np.random.default_rng(k)),
    lambda d, k: d.train() if k % 2 else d.eval(),
    lambda d, k: d.rng.random(3),
]


@pytest.mark.parametrize("change", DROPPED, ids=["p", "none", "rng", "mode", "drawn"])
def test_dropout_may_change_between_steps(change):
    assert_steps_agree(
        adam,
        lambda m, o, k: change(m[2], k),
        n=7,
        at=range(1, 7),
        middle=lambda: [te.nn.Dropout(0.3, rng=np.random.default_rng(3))],
    )


def test_two_layers_share_a_generator():
    def middle():
        rng = np.random.default_rng(3)
        return te.nn.Dropout(0.3, rng=rng), te.nn.Dropout(0.5, rng=rng)

    assert_steps_agree(adam, lambda *_: None, middle=middle)


NORMED = [
    lambda b, k: setattr(b, "momentum", 0.3),
    lambda b, k: setattr(b, "running_mean", np.zeros(6)),
    lambda b, k: b.running_var.fill(2.0),
    lambda b, k: b.train() if k % 2 else b.eval(),
]


@pytest.mark.parametrize("change", NORMED, ids=["momentum", "mean", "fill", "mode"])
def test_batch_normalisation_may_change_between_steps(change):
    assert_steps_agree(
        adam,
        lambda m, o, k: change(m[2], k),
        n=6,
        at=range(1, 6),
        middle=lambda: [te.nn.BatchNorm1d(6)],
    )
