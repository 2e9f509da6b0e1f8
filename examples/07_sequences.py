"""Remember a symbol until the next one counts: an LSTM can, and a plain RNN forgets.

Symbols come in one after the other, and only now and then one with a mark on it. At
every time the network has to say which symbol was the last with a mark, however long
ago that was. Both are trained by the same recipe.

python examples/07_sequences.py
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_edu as te

SYMBOLS, HIDDEN = 8, 32


def sequences(rows, times, chance, rng):
    """Return inputs (N, T, F), what to say (N, T), and how long ago it came (N, T)."""
    symbols = rng.integers(0, SYMBOLS, (rows, times))
    marked = rng.random((rows, times)) < chance
    marked[:, 0] = True
    x = np.concatenate([te.one_hot(symbols, SYMBOLS), marked[..., None]], axis=-1)
    last = np.maximum.accumulate(np.where(marked, np.arange(times), 0), axis=1)
    return x, np.take_along_axis(symbols, last, axis=1), np.arange(times) - last


def train(model):
    optimizer = te.optim.Adam(model.parameters(), lr=0.01)
    rng = np.random.default_rng(0)
    for _ in range(300):
        x, y, _ = sequences(32, 30, 0.1, rng)
        loss = te.nn.softmax_cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        te.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()


x, y, ages = sequences(1000, 60, 0.05, np.random.default_rng(1))
ax = Figure(figsize=(6.4, 4), layout="constrained").add_subplot()
for kind, dashes in ((te.nn.RNN, "--"), (te.nn.LSTM, "-")):
    model = te.nn.Sequential(
        kind(SYMBOLS + 1, HIDDEN, rng=0), te.nn.Linear(HIDDEN, SYMBOLS, rng=1)
    )
    train(model)
    with te.no_grad():
        right = np.argmax(model(x), axis=-1) == y
    by_age = [right[ages == age].mean() for age in range(41)]
    print(f"{kind.__name__}: {right.mean():.1%} right")
    for age in (0, 5, 10, 20, 40):
        print(f"  {age:2} times after the mark: {by_age[age]:.1%}")
    ax.plot(by_age, dashes, label=kind.__name__)
print(f"by guessing: {1 / SYMBOLS:.1%}")

ax.axhline(1 / SYMBOLS, color="0.5", linestyle=":", label="guessing")
ax.set(xlabel="times since the mark", ylabel="share of right answers", ylim=(0, 1.05))
ax.set_title("What is remembered")
ax.legend()
ax.grid(True, color="0.88")
picture = te.plots.save(ax, Path(tempfile.gettempdir()) / "07_sequences.png")
print("picture:", picture)
