"""What a call need not find out anew, where it was found out before."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

__all__ = ["remembered"]


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of shapes and other metadata remember its last 256 answers.

    Nobody may write to an answer. What is in a list or a dict is found out each time.
    """
    answers = lru_cache(maxsize=256, typed=True)(function)

    @wraps(function)
    def answer(*args: Any) -> Any:
        try:
            return answers(*args)
        except TypeError:  # no hash; or it is the function's own error
            return function(*args)

    return answer
