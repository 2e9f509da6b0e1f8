"""What a call need not find out anew, where it was found out before."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

__all__ = ["kept_up_to", "remembered"]


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


def kept_up_to(most: int) -> Callable[..., Any]:
    """Let a function of a size and a dtype keep the arrays that it makes up to a size.

    They are to be read only. Larger ones are made anew, and take up no memory.
    """

    def keeping(make: Callable[..., Any]) -> Callable[..., Any]:
        @lru_cache
        def kept(size: int, dtype: Any) -> Any:
            array = make(size, dtype)
            array.flags.writeable = False
            return array

        @wraps(make)
        def fitting(size: int, dtype: Any) -> Any:
            return kept(size, dtype) if size <= most else make(size, dtype)

        return fitting

    return keeping
