"""A tiny language model: a transformer that writes Python's documentation on.

It reads docstrings of the standard library character by character, and learns to say
which character comes next. Every tenth docstring is kept aside: on these it is measured
when it is finished.

python examples/08_language_model.py
"""

import inspect
import random
import statistics
import tempfile
import textwrap
import turtle
from pathlib import Path

import numpy as np

import tinygrad_edu as te

# Chosen by the training loss; what was kept aside is only looked at in the end.
WIDTH, HEADS, BLOCKS, CONTEXT = 48, 4, 2, 48
ROWS, STEPS, LEARNING_RATE = 24, 800, 0.01
FLOAT = np.float32  # half the time

modules = [random, statistics, textwrap, turtle]
documented = [value for module in modules for value in vars(module).values()]
texts = sorted({inspect.getdoc(x) or "" for x in documented if callable(x)})
alphabet = sorted(set("".join(texts)))
numbers = {character: number for number, character in enumerate(alphabet)}


def encoded(text):
    return np.array([numbers[character] for character in text])


kept = encoded("\n\n".join(texts[::10]))
known = encoded("\n\n".join(text for i, text in enumerate(texts) if i % 10))
print(f"{len(known):,} characters to learn from, {len(alphabet)} different ones")


def block(rng):
    """Look at what came before, then think about it, each with a way around it."""
    attention = te.nn.MultiHeadAttention(
        WIDTH, HEADS, causal=True, rng=rng, dtype=FLOAT
    )
    look = te.nn.Sequential(te.nn.LayerNorm(WIDTH, dtype=FLOAT), attention)
    think = te.nn.Sequential(
        te.nn.LayerNorm(WIDTH, dtype=FLOAT),
        te.nn.Linear(WIDTH, 4 * WIDTH, init="he_normal", rng=rng, dtype=FLOAT),
        te.nn.ReLU(),
        te.nn.Linear(4 * WIDTH, WIDTH, rng=rng, dtype=FLOAT),
    )
    return te.nn.Sequential(te.nn.Residual(look), te.nn.Residual(think))


class LanguageModel(te.nn.Layer):
    """From characters (N, T) to logits of the next one at each place."""

    def __init__(self, rng):
        self.character = te.nn.Embedding(len(alphabet), WIDTH, rng=rng, dtype=FLOAT)
        # A place starts as a small change of the character that stands there.
        self.place = te.nn.Embedding(
            CONTEXT, WIDTH, init="glorot_normal", rng=rng, dtype=FLOAT
        )
        self.blocks = te.nn.Sequential(*[block(rng) for _ in range(BLOCKS)])
        self.norm = te.nn.LayerNorm(WIDTH, dtype=FLOAT)
        self.read = te.nn.Linear(WIDTH, len(alphabet), rng=rng, dtype=FLOAT)

    def forward(self, x):
        places = np.arange(x.shape[1])
        h = self.blocks(self.character(x) + self.place(places))
        return self.read(self.norm(h))


def loss_on_kept():
    """Return the mean loss for a character of the text that was kept aside, in nats."""
    length = (len(kept) - 1) // CONTEXT * CONTEXT
    x, y = (kept[i : i + length].reshape(-1, CONTEXT) for i in (0, 1))
    with te.no_grad():
        return te.nn.softmax_cross_entropy(model(x), y).item()


def written(beginning, count, rng):
    """Draw one character after the other, each from what the model expects."""
    text = list(encoded(beginning))
    with te.no_grad():
        for _ in range(count):
            logits = model(np.array([text[-CONTEXT:]]))[0, -1]
            expected = te.softmax(logits).numpy().astype(float)
            text.append(rng.choice(len(alphabet), p=expected / expected.sum()))
    return "".join(alphabet[number] for number in text)


rng = np.random.default_rng(0)
model = LanguageModel(rng)
print(f"{sum(p.size for p in model.parameters()):,} parameters")
print(f"loss before training: {loss_on_kept():.3f} nats for a character")

optimizer = te.optim.Adam(model.parameters(), lr=LEARNING_RATE)
rise_and_fall = te.optim.schedules.OneCycle(STEPS, pct_start=0.1)
schedule = te.optim.schedules.Schedule(optimizer, rise_and_fall)
losses = []
for step in range(STEPS):
    starts = rng.integers(0, len(known) - CONTEXT, ROWS)
    places = starts[:, None] + np.arange(CONTEXT)
    loss = te.nn.softmax_cross_entropy(model(known[places]), known[places + 1])
    optimizer.zero_grad()
    loss.backward()
    te.optim.clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if step % 100 == 99:
        print(f"step {step + 1}: training loss {np.mean(losses[-50:]):.3f}")

counts = np.bincount(known, minlength=len(alphabet)) + 1
by_frequency = -np.mean(np.log(counts / counts.sum())[kept])
after = loss_on_kept()
print(f"loss after training: {after:.3f}")
print(f"loss of how frequent each character is: {by_frequency:.3f}")
print("-" * 60)
print(written("Return ", 300, rng))
print("-" * 60)

steps = np.arange(10, STEPS + 1, 10)
ax = te.plots.loss_curve(
    steps, np.reshape(losses, (-1, 10)).mean(axis=1), label="model"
)
ax.plot(STEPS, after, "ko", label=f"on the text kept aside, {after:.3f}")
ax.axhline(by_frequency, color="0.4", linestyle=":", label="frequencies alone")
ax.set(xlabel="step", ylabel="nats for a character", title="Learning to write")
ax.legend()
picture = te.plots.save(ax, Path(tempfile.gettempdir()) / "08_language_model.png")
print("picture:", picture)
