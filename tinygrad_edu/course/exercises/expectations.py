"""What an answer gives against what it should give, and why it may differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.checks import check_derivation
from tinygrad_edu.checks.causes import NO_RELATION, Cause, likely_cause
from tinygrad_edu.course.exercises.exercise import Answer, Wrong, called, real, shown
from tinygrad_edu.engine.core import Tensor

__all__ = ["Slips", "expect", "expect_gradient", "expect_value"]

#: Values that usual slips lead to, by what to say about them.
Slips = Mapping[str, Any]
_SAID = ("what came", "what was expected")
# "the claim is -2.69652 x the gradient" says nothing: with a single example every claim
# for dL/dz leads to some multiple.
_ANY_FACTOR = re.compile(r"the claim is -?\d+\.\d+ x the gradient$")


def expect(
    answer: Answer,
    name: str,
    args: Mapping[str, Any],
    expected: Any,
    *,
    slips: Slips | None = None,
    sizes: Mapping[int, str] | None = None,
    rtol: float = 1e-9,
    loud: bool = False,
) -> None:
    """Call a function of the answer and compare what it returns.

    Parameters
    ----------
    answer : Answer
    name : str
    args : mapping of str to object
    expected : array_like
        In the shape that is asked for.
    slips : mapping of str to array_like, optional
    sizes : mapping of int to str, optional
        What a forgotten factor may be, such as the number of examples.
    rtol : float, default 1e-9
        Relative error that is allowed in each entry, dimensionless.
    loud : bool, default False
        Whether an overflow is wrong in itself.

    Raises
    ------
    Wrong
    """
    came = answer.array(name, args, loud=loud)
    what = called(name, args)
    expect_value(what, came, expected, slips=slips, sizes=sizes, rtol=rtol)


def expect_value(
    what: str,
    came: Any,
    expected: Any,
    *,
    slips: Slips | None = None,
    sizes: Mapping[int, str] | None = None,
    rtol: float = 1e-9,
) -> None:
    """Compare a value with the one that was expected.

    Parameters
    ----------
    what : str
        What it is the value of.
    came, expected : array_like
    slips, sizes, rtol
        As for :func:`expect`.

    Raises
    ------
    Wrong
    """
    came, expected = real(came, what), np.asarray(expected)
    if came.shape == expected.shape and _close(came, expected, rtol):
        return
    cause = _cause(came.astype(float), expected.astype(float), slips or {}, sizes or {})
    if came.shape != expected.shape:
        differs = f"came shape {came.shape}, expected shape {expected.shape}"
    elif expected.size <= 12:
        differs = f"came {shown(came)}, expected {shown(expected)}"
    else:
        error = np.nan_to_num(np.abs(came - expected), nan=np.inf)
        worst = np.unravel_index(int(error.argmax()), error.shape)
        index = ", ".join(map(str, worst))
        differs = (
            f"at [{index}] came {float(came[worst]):.10g}, expected "
            f"{float(expected[worst]):.10g}"
        )
    raise Wrong(f"{what}: {differs}{cause}")


def _close(came: np.ndarray, expected: np.ndarray, rtol: float) -> bool:
    error = np.abs(came - expected) <= rtol * np.abs(expected) + 1e-300
    return bool(np.all(error & np.isfinite(came)))


def _cause(
    came: np.ndarray, expected: np.ndarray, slips: Slips, sizes: Mapping[int, str]
) -> str:
    """Return the likely cause as a line of its own, if there is one."""
    for text, value in slips.items():
        value = np.asarray(value, float)
        same = value.shape == came.shape and np.allclose(came, value, 1e-9, 1e-15)
        if same and not (
            value.shape == expected.shape and _close(value, expected, 1e-9)
        ):
            return f"\nlikely cause: {text}"
    if not np.all(np.isfinite(came)):
        return ""
    cause = likely_cause(came, expected, sizes=sizes, said=_SAID)
    if cause == NO_RELATION or cause.name == "detached" or _is_chance(cause, came):
        return ""
    return f"\nlikely cause: {cause.text}"


def _is_chance(cause: Cause, came: np.ndarray) -> bool:
    """Whether a factor means nothing: of two numbers one is always a multiple."""
    return came.size == 1 and cause.name == "factor" and "too often" not in cause.text


def expect_gradient(
    loss: Callable[..., Tensor],
    inputs: Mapping[str, Any],
    claimed: Mapping[str, Any],
    *,
    called: str = "d{}",
    slips: Mapping[str, Slips] | None = None,
    point: str = "",
) -> None:
    """Compare gradients that were derived by hand with those of the graph.

    Parameters
    ----------
    loss : callable
        Of Tensors, with the names of ``inputs``.
    inputs : mapping of str to ndarray
        Where.
    claimed : mapping of str to array_like
        By some of the inputs.
    called : str
        What a gradient is called in hints.
    slips : mapping of str to Slips, optional
        For each input.
    point : str, default ""
        Says where, in hints.

    Raises
    ------
    Wrong
        With the cause that :func:`tinygrad_edu.check_derivation` names.
    """
    for name, claim in claimed.items():
        real(claim, called.format(name))
    report = check_derivation(loss, inputs, claimed)
    for verdict in report.claims:
        if verdict.correct:
            continue
        lines = verdict.text.splitlines()
        table = [line for line in lines[1:] if not line.startswith("likely cause")]
        causes = [line for line in lines[1:] if line.startswith("likely cause")]
        causes = [line for line in causes if not _ANY_FACTOR.search(line)]
        known = (slips or {}).get(verdict.name, {})
        for text, value in known.items():
            claim = np.asarray(verdict.claimed, float)
            if claim.shape == np.shape(value) and np.allclose(claim, value, 1e-9):
                causes = [f"likely cause: {text}"]
        title = lines[0].replace(verdict.name, called.format(verdict.name), 1)
        raise Wrong("\n".join([title + point, *table[:2], *causes]))
