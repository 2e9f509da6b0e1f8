"""Make the pictures of the documentation: run by hand, after a change of the drawings.

    python tools/docs_pictures.py              # ours, and those of the three programs
    python tools/docs_pictures.py --training   # also those of training, half a minute
    python tools/docs_pictures.py --compare    # also those of torchviz and torchview

The last needs PyTorch, torchviz, torchview and Graphviz, which the project does not.
"""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

import tinygrad_edu as te
from tinygrad_edu.course import lecture

HERE = Path(__file__).parents[1] / "docs" / "pictures"
ROWS, FEATURES, HIDDEN, CLASSES = 32, 784, 64, 10
EPOCHS, SEEDS, RATES, SHOWN = 20, range(10), (0.003, 0.01, 0.03, 0.1), 0.03


def neuron() -> te.Tensor:
    """The neuron of the README."""
    w = te.tensor([0.0, 1.0], requires_grad=True, name="w")
    b = te.tensor(4.0, requires_grad=True, name="b")
    x = te.tensor([2.0, 3.0], name="x")
    y = te.sigmoid(w @ x + b)
    y.name = "y"
    return y


def ours() -> None:
    """The neuron, and the lecture's three networks at two levels."""
    te.draw(neuron()).save(HERE / "neuron.svg")
    te.draw(neuron(), level="scalar").save(HERE / "neuron-numbers.svg")
    te.draw(neuron(), legend=True).save(HERE / "legend.svg")
    digits = lecture.load("digits")
    for name in ("neuron", "hidden", "digits"):
        for level in ("op", "layer"):
            drawing = lecture.drawing(name, digits, level=level)
            drawing.save(HERE / f"lecture-{name}-{level}.svg")
    lecture.drawing("digits", digits).save(HERE / "lecture-digits.html")
    w = te.tensor([1.0, 2.0], requires_grad=True, name="w")
    (gradient,) = te.gradients(te.sum(te.sigmoid(w)), [w], create_graph=True)
    gradient.name = "gradient"
    te.draw(gradient).save(HERE / "gradient.svg")


def programs() -> None:
    """The three programs in the guide to derivatives, as they stand there."""
    guide = (HERE.parent / "guides" / "derivatives.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()):
        for code in re.findall(
            r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE
        ):
            exec(code, names)

    ax = Figure(figsize=(6.4, 3.2), layout="constrained").add_subplot()
    *before, last = names["flights"]
    for i, flight in enumerate(before):
        ax.plot(*flight[:, :2].T, "--", color="black", linewidth=0.8)
        if np.linalg.norm(flight[-1, :2] - names["target"]) > 0.1:  # the others hide it
            ax.annotate(f"throw {i + 1}", flight[-1, :2], (-8, -4), **_BESIDE)
    ax.plot(*last[:, :2].T, color="black", label=f"throw {len(before) + 1}")
    ax.plot(*names["target"], "o", color=_COLOUR, label="target")
    ax.set(xlabel="metres forward", ylabel="metres up")
    ax.legend()
    te.plots.save(ax, HERE / "programs-flight.svg")

    ax = Figure(figsize=(6.4, 3.2), layout="constrained").add_subplot()
    fine, band = names["fine"], names["band"]
    curve = names["decay"](names["best"], fine)
    ax.fill_between(fine, curve - 2 * band, curve + 2 * band, color="0.8")
    ax.plot(fine, curve, color="black", label="fit, ± two errors")
    ax.plot(names["t"], names["measured"], ".", color=_COLOUR, label="measured")
    ax.set(xlabel="time", ylim=0)
    ax.legend()
    te.plots.save(ax, HERE / "programs-fit.svg")

    axes = Figure(figsize=(6.4, 2.4), layout="constrained").subplots(1, 3)
    for ax, name in zip(axes, ("sharp", "seen", "restored"), strict=True):
        ax.imshow(names[name], cmap="gray", vmin=0, vmax=1)
        ax.set(title=name, xticks=(), yticks=())
    te.plots.save(axes[0], HERE / "programs-image.svg")


_COLOUR = "#b84a00"
_BESIDE: Any = {
    "textcoords": "offset points",
    "fontsize": 8,
    "horizontalalignment": "right",
}


def trained(lr: float, *, one_cycle: bool, seed: int, epochs: int) -> te.History:
    """Train 64-64-10 on the digits, 300 of them drawn to validate with."""
    X, y, *_ = te.data.load_digits()
    rng = np.random.default_rng(seed)
    model = te.nn.Sequential(
        te.nn.Linear(64, 64, init="he_normal", rng=rng),
        te.nn.ReLU(),
        te.nn.Linear(64, 10, rng=rng),
    )
    optimizer = te.optim.Adam(model.parameters(), lr=lr)
    callbacks = []
    if one_cycle:
        cycle = te.optim.schedules.OneCycle()  # as long as the training
        schedule = te.optim.schedules.Schedule(optimizer, cycle)
        callbacks = [te.training.EveryBatch(schedule)]
    return te.fit(
        model,
        X,
        y,
        loss=te.nn.softmax_cross_entropy,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=ROWS,
        validation=0.2,
        metrics="accuracy",
        callbacks=callbacks,
        progress=False,
        rng=rng,
    )


def learning_curves() -> None:
    """The history of one run."""
    history = trained(0.01, one_cycle=False, seed=0, epochs=2 * EPOCHS)
    te.plots.save(history.plot(), HERE / "training-history.svg")


def schedules() -> None:
    """A constant learning rate against one-cycle, in ten runs for each rate."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    rate, during, after = figure.subplots(1, 3)
    epochs = range(1, EPOCHS + 1)
    for one_cycle, dashes, colour in ((False, "--", "#b84a00"), (True, "-", "black")):
        name = "one-cycle" if one_cycle else "constant"
        runs = {
            lr: [
                trained(lr, one_cycle=one_cycle, seed=seed, epochs=EPOCHS)
                for seed in SEEDS
            ]
            for lr in RATES
        }
        losses = np.array([run["validation_loss"] for run in runs[SHOWN]])
        ends = [[run["validation_loss"][-1] for run in runs[lr]] for lr in RATES]
        last = np.array(ends)
        steps = runs[SHOWN][0]["learning_rate"]
        for panel, x, y, marker in (
            (rate, epochs, steps, ""),
            (during, epochs, losses.mean(axis=0), ""),
            (after, RATES, last.mean(axis=1), "o"),
        ):
            panel.plot(x, y, dashes, color=colour, marker=marker, label=name)
        thin = {"color": colour, "alpha": 0.4}
        during.plot(epochs, losses.T, dashes, **thin, linewidth=0.6)
        aside = np.array(RATES)[:, np.newaxis] * (1.06 if one_cycle else 0.94)
        after.plot(aside.repeat(len(SEEDS), axis=1), last, ".", **thin, markersize=4)
    rate.legend()
    rate.set(title="learning rate", ylim=0)
    during.set(title=f"validation loss, rate {SHOWN}", yscale="log")
    for panel in (rate, during):
        panel.set(xlabel="epoch", xticks=range(0, EPOCHS + 1, 5))
    after.set(title=f"validation loss after {EPOCHS} epochs", yscale="log")
    after.set(xlabel="highest learning rate", xscale="log")
    after.set_xticks(RATES, [str(x) for x in RATES])
    after.xaxis.set_minor_locator(NullLocator())
    for panel in (during, after):
        panel.set_yticks((0.05, 0.1, 0.2, 0.5, 1.0), ("0.05", "0.1", "0.2", "0.5", "1"))
        panel.yaxis.set_minor_locator(NullLocator())
    te.plots.save(rate, HERE / "training-schedules.svg")


def compared() -> None:
    """The same network drawn by us, torchviz and torchview."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    labels = rng.integers(0, CLASSES, ROWS)
    model = te.nn.Sequential(
        te.nn.Linear(FEATURES, HIDDEN, rng=0, dtype=np.float32),
        te.nn.Sigmoid(),
        te.nn.Linear(HIDDEN, CLASSES, rng=1, dtype=np.float32),
    )
    loss = te.nn.softmax_cross_entropy(model(te.tensor(x, name="x")), labels)
    loss.name = "loss"
    te.draw(loss).save(HERE / "compare-tinygrad-edu.svg")

    import torch
    import torchview
    import torchviz

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(FEATURES, HIDDEN),
                torch.nn.Sigmoid(),
                torch.nn.Linear(HIDDEN, CLASSES),
            )

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(self.layers(x), labels)

    network = Network()
    inputs = torch.from_numpy(x), torch.from_numpy(labels)
    parameters = dict(network.named_parameters())
    graph = torchviz.make_dot(network(*inputs), params=parameters)
    _written(graph, "compare-torchviz.svg")
    graph = torchview.draw_graph(network, input_data=inputs, expand_nested=True)
    _written(graph.visual_graph, "compare-torchview.svg")


def _written(graph: object, name: str) -> None:
    (HERE / name).write_bytes(graph.pipe(format="svg"))  # type: ignore[attr-defined]


if __name__ == "__main__":
    ours()
    programs()
    if "--training" in sys.argv:
        learning_curves()
        schedules()
    if "--compare" in sys.argv:
        compared()
