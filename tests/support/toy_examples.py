"""The examples at toy size: they do the same, only for a moment."""

from __future__ import annotations

from pathlib import Path

import tinygrad_edu as te

EXAMPLES = sorted((Path(te.__file__).parents[1] / "examples").glob("*.py"))

#: What stands in a script that takes its time, and what stands there at toy size.
SMALLER = {
    "07_sequences": ("range(300)", "range(2)"),
    "08_language_model": (
        "STEPS, LEARNING_RATE = 24, 800",
        "STEPS, LEARNING_RATE = 2, 10",
    ),
    "09_convolution": ("epochs=10", "epochs=1"),
    "10_residual": ("EPOCHS = 32, 15", "EPOCHS = 32, 1"),
    "11_autoencoder": ("0.003, 60", "0.003, 1"),
    "12_damped_oscillator": ("0.05, 1000", "0.05, 10"),
    "14_mnist": ("epochs *= 1 if len(X) > 10_000 else 4", "epochs = 1"),
    "16_grid_search": ("SIZES, RATES = (4, 16, 64)", "SIZES, RATES = (4,)"),
    "17_search": ("ROUNDS = 2, 6, 18", "ROUNDS = 1, 2"),
}


def toy(script: Path) -> str:
    """Return the source of an example at toy size."""
    source = script.read_text(encoding="utf-8")
    before, after = SMALLER.get(script.stem, ("", ""))
    assert not before or source.count(before) == 1, f"{script}: where is {before!r}?"
    return source.replace(before, after) if before else source
