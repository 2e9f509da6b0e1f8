"""A tiny language model: a transformer that writes Python's documentation on.

It reads docstrings of the standard library, and learns to say which character comes
next. Every tenth docstring is kept aside: on these it is measured in the end.

python examples/08_language_model.py
"""

import builtins
import inspect
import math
import os
import random
import statistics
import tempfile
import textwrap
from pathlib import Path

import numpy as np

import tinygrad_edu as te

# Chosen by the training loss; what was kept aside is only looked at in the end.
WIDTH, HEADS, BLOCKS, CONTEXT = 48, 4, 2, 48
ROWS, STEPS, LEARNING_RATE = 24, 800, 0.01
FLOAT = np.float32  # half the time

modules = [builtins, math, os, random, statistics, textwrap]
documented = [x for module in modules for x in vars(module).values() if callable(x)]
texts = sorted({inspect.getdoc(x) or "" for x in documented})
alphabet = sorted(set("".join(texts)))
numbers = {character: number for number, character in enumerate(alphabet)}


def encoded(text):
    return np.array([numbers[character] for character in text])


kept = encoded("\n\n".join(texts[::10]))
known = encoded("\n\n".join(text for i, text in enumerate(texts) if i % 10))
print(f"{len(known):,} characters to learn from, {len(alphabet)} different ones")


def block(drawn):
    """Look at what came before, then think about it, each with a way around it."""
    look = te.nn.Sequential(
        te.nn.LayerNorm(WIDTH, dtype=FLOAT),
        te.nn.MultiHeadAttention(WIDTH, HEADS, causal=True, **drawn),
    )
    think = te.nn.Sequential(
        te.nn.LayerNorm(WIDTH, dtype=FLOAT),
        te.nn.Linear(WIDTH, 4 * WIDTH, init="he_normal", **drawn),
        te.nn.ReLU(),
        te.nn.Linear(4 * WIDTH, WIDTH, **drawn),
    )
    return te.nn.Sequential(te.nn.Residual(look), te.nn.Residual(think))


class LanguageModel(te.nn.Layer):
    """From characters (N, T) to logits of the next one at each place."""

    def __init__(self, rng):
        drawn = {"rng": rng, "dtype": FLOAT}
        self.character = te.nn.Embedding(len(alphabet), WIDTH, **drawn)
        # A place starts as a small change of the character that stands there.
        self.place = te.nn.Embedding(CONTEXT, WIDTH, init="glorot_normal", **drawn)
        self.blocks = te.nn.Sequential(*[block(drawn) for _ in range(BLOCKS)])
        self.norm = te.nn.LayerNorm(WIDTH, dtype=FLOAT)
        self.read = te.nn.Linear(WIDTH, len(alphabet), **drawn)

    def forward(self, x):
        h = self.character(x) + self.place(np.arange(x.shape[1]))
        return self.read(self.norm(self.blocks(h)))


rng = np.random.default_rng(0)
model = LanguageModel(rng)
print(f"{sum(p.size for p in model.parameters()):,} parameters")

optimizer = te.optim.Adam(model.parameters(), lr=LEARNING_RATE)
rise_and_fall = te.optim.schedules.OneCycle(STEPS, pct_start=0.1)
schedule = te.optim.schedules.Schedule(optimizer, rise_and_fall)
losses = []
for step in range(STEPS):
    places = rng.integers(len(known) - CONTEXT, size=(ROWS, 1)) + np.arange(CONTEXT)
    loss = te.nn.softmax_cross_entropy(model(known[places]), known[places + 1])
    optimizer.zero_grad()
    loss.backward()
    te.optim.clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if step % 100 == 99:
        print(f"step {step + 1}: training loss {np.mean(losses[-50:]):.3f}")

length = (len(kept) - 1) // CONTEXT * CONTEXT
x, y = (kept[i:][:length].reshape(-1, CONTEXT) for i in (0, 1))
with te.no_grad():
    loss = te.nn.softmax_cross_entropy(model(x), y).item()
counts = np.bincount(known, minlength=len(alphabet)) + 1
by_frequency = -np.mean(np.log(counts / counts.sum())[kept])
print(f"on the text kept aside {loss:.3f}, by frequencies alone {by_frequency:.3f}")

# It writes: one character after the other is drawn from those that it expects.
text = list(encoded("Return "))
with te.no_grad():
    for _ in range(300):
        logits = model(np.array([text[-CONTEXT:]]))[0, -1]
        expected = te.softmax(logits).numpy().astype(float)
        text.append(rng.choice(len(alphabet), p=expected / expected.sum()))
print("".join(alphabet[number] for number in text))

steps, means = np.arange(10, STEPS + 1, 10), np.reshape(losses, (-1, 10)).mean(axis=1)
ax = te.plots.loss_curve(steps, means, label="model")
ax.plot(STEPS, loss, "ko", label=f"on the text kept aside, {loss:.3f}")
ax.axhline(by_frequency, color="0.4", linestyle=":", label="frequencies alone")
ax.set(xlabel="step", ylabel="nats for a character", title="Learning to write")
ax.legend()
picture = te.plots.save(ax, Path(tempfile.gettempdir()) / "08_language_model.png")
print("picture:", picture)
