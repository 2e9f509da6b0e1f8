"""What a question about a gradient is answered, and the words that answers share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.diagnosis.entries import largest
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.names import line, numbers
from tinygrad_edu.engine.recording import Scope

__all__ = [
    "FEW",
    "Answer",
    "in_layer",
    "listed",
    "number",
    "share",
    "some",
    "speak_of",
    "text",
    "word",
]

FEW = 4  # of whatever is listed
_WIDTH = 80  # characters of a line


class Answer(NamedTuple):
    """Why a gradient is what it is."""

    cause: str  # one word
    told: list[str]  # paragraphs
    at: Tensor | None = None  # what is to blame
    certain: bool = True


def text(*paragraphs: str) -> str:
    """Fill all paragraphs, but for what stands in columns."""
    sentences = (f"T{p[1:]}" if p.startswith("the ") else p for p in paragraphs if p)
    return "\n".join(
        p
        if p.startswith("  ")
        else fill(p, _WIDTH, break_on_hyphens=False, break_long_words=False)
        for p in sentences
    )


def listed(names: Sequence[str]) -> str:
    """Return "a, b and c", or "a, b, c, d and 7 more"."""
    if len(names) > FEW + 1:
        names = [*names[:FEW], f"{len(names) - FEW:,} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def some(names: Sequence[str]) -> str:
    """Return "a, b, c", or "a, b, c, d and 7 more"."""
    more = f" and {len(names) - FEW:,} more" * (len(names) > FEW)
    return f"{', '.join(names[:FEW])}{more}"


def speak_of(x: Tensor) -> str:
    """Name a tensor outside of any graph."""
    if x.name:
        return line(x.name)
    if x.op is not None:
        return f"the result of {x.op.name} {x.shape}{in_layer(x.scope)}"
    return f"the tensor of shape {x.shape}"


def in_layer(scope: Scope | None) -> str:
    """Return " in layer Linear '0'"; empty outside of all."""
    return "" if scope is None else f" in layer {line(str(scope))}"


def share(mask: Any) -> str:
    """Return "3 of 10 entries"."""
    return f"{np.count_nonzero(mask):,} of {np.size(mask):,} entries"


def number(x: Any) -> str:
    """Write one number."""
    return numbers(float(x))


def word(x: Any) -> str:
    """Say what is not finite in it."""
    return "nan" if math.isnan(largest(x)) else "infinite"
