"""Sums of products of two arrays or more, each computed as a product of matrices.

What ``einsum`` and ``tensordot`` mean for some shapes is found out once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.ops.plans import remembered

__all__ = [
    "LETTERS",
    "Axes",
    "einsum_letters",
    "einsum_of_arrays",
    "multiplied",
    "summed_axes",
    "tensordot_matrices",
]

Shape = tuple[int, ...]
Axes = int | tuple[tuple[int, ...], tuple[int, ...]]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_KNOWN = frozenset(LETTERS)

#: Multiplications from which on a product of matrices is faster than NumPy's einsum.
_MANY = 2**9


class Matrices(NamedTuple):
    """How two arrays become matrices, or stacks of them, and their product an array."""

    order_a: Shape
    shape_a: Shape
    order_b: Shape
    shape_b: Shape
    shape: Shape
    order: Shape


def multiplied(how: Matrices, a: Any, b: Any) -> Any:
    """Return the sums of products of two arrays."""
    a = a.transpose(how.order_a).reshape(how.shape_a)
    b = b.transpose(how.order_b).reshape(how.shape_b)
    y = a.dot(b) if len(how.shape_a) == 2 else np.matmul(a, b)
    return y.reshape(how.shape).transpose(how.order)


# ----------------------------------------------------------------------- tensordot


def summed_axes(a: int, b: int, axes: Axes) -> tuple[list[int], ...]:
    """Return the axes of a and b that are summed over, and those that are kept.

    ``a`` and ``b`` are numbers of axes.
    """
    if isinstance(axes, int | np.integer):
        if axes > min(a, b):
            raise ValueError(f"axes={axes}, but a has {a} axes and b {b}")
        of_a, of_b = list(range(a - axes, a)), list(range(axes))
    else:
        of_a = [normalize_axis_index(i, a) for i in axes[0]]
        of_b = [normalize_axis_index(i, b) for i in axes[1]]
        if len({*of_a}) < len(of_a) or len({*of_b}) < len(of_b):
            raise ValueError(f"axis listed twice: axes={axes}")
    kept_a = [i for i in range(a) if i not in of_a]
    return of_a, of_b, kept_a, [i for i in range(b) if i not in of_b]


@remembered
def tensordot_matrices(a: Shape, b: Shape, axes: Axes) -> Matrices:
    """Return how arrays of two shapes are multiplied and summed over some axes."""
    of_a, of_b, kept_a, kept_b = summed_axes(len(a), len(b), axes)
    if [a[i] for i in of_a] != [b[i] for i in of_b]:
        raise ValueError(f"shape-mismatch: a is {a}, b is {b}, axes={axes}")
    shape_a, shape_b = [a[i] for i in kept_a], [b[i] for i in kept_b]
    sums = math.prod(a[i] for i in of_a)
    return Matrices(
        (*kept_a, *of_a),
        (math.prod(shape_a), sums),
        (*of_b, *kept_b),
        (sums, math.prod(shape_b)),
        (*shape_a, *shape_b),
        tuple(range(len(shape_a) + len(shape_b))),
    )


# -------------------------------------------------------------------------- einsum


def einsum_letters(subscripts: str, axes: Sequence[int]) -> tuple[list[str], str]:
    """Return the letters of each array and of the result, "..." written out too.

    ``axes`` are the arrays' numbers of axes.
    """
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    free = [letter for letter in LETTERS if letter not in subscripts]
    dots = [n - len(t.replace("...", "")) for t, n in zip(terms, axes, strict=True)]
    dots = [n if "..." in t else 0 for t, n in zip(terms, dots, strict=True)]
    further = "".join(free[: max(dots)])
    if not arrow:
        once = [x for x in sorted(set(inputs) - set(",.")) if inputs.count(x) == 1]
        output = "..." + "".join(once)
    terms = [
        t.replace("...", further[len(further) - n :])
        for t, n in zip(terms, dots, strict=True)
    ]
    return terms, output.replace("...", further)


def einsum_of_arrays(subscripts: str, arrays: Sequence[Any], optimize: Any) -> Any:
    """Return what ``np.einsum`` does, two arrays at a time if ``optimize`` says so."""
    shapes = [x.shape for x in arrays]
    for places, rule, how in _steps(subscripts, optimize, *shapes):
        parts = [arrays[i] for i in places]
        y = multiplied(how, *parts) if how else np.einsum(rule, *parts)
        if len(parts) == len(arrays):
            return y
        arrays = [*(x for i, x in enumerate(arrays) if i not in places), y]
    return arrays[0]


@remembered
def _steps(
    subscripts: str, optimize: Any, *shapes: Shape
) -> list[tuple[tuple[int, ...], str, Matrices | None]]:
    """Return which arrays to take from the list, in turn, and how; the result is last.

    The rule of a step is computed by matrices, or as it is, by NumPy.
    """
    whole = tuple(range(len(shapes)))
    if optimize is False or len(shapes) <= 2:
        return [(whole, subscripts, _as_matrices(subscripts, shapes))]
    like = [np.broadcast_to(0.0, shape) for shape in shapes]
    path = np.einsum_path(subscripts, *like, optimize=optimize)[0][1:]
    terms, output = einsum_letters(subscripts, list(map(len, shapes)))
    sizes = list(shapes)
    steps = []
    for places in path:
        taken = [terms[i] for i in places]
        terms = [t for i, t in enumerate(terms) if i not in places]
        wanted = output if not terms else "".join(terms) + output
        made = "".join(dict.fromkeys(c for c in "".join(taken) if c in wanted))
        made = made if terms else output
        given = [sizes[i] for i in places]
        longest: dict[str, int] = {}  # axes of 1 broadcast
        for term, shape in zip(taken, given, strict=True):
            for letter, n in zip(term, shape, strict=True):
                longest[letter] = n if n != 1 else longest.get(letter, 1)
        rule = ",".join(taken) + "->" + made
        steps.append((tuple(places), rule, _as_matrices(rule, given)))
        sizes = [s for i, s in enumerate(sizes) if i not in places]
        sizes.append(tuple(longest[c] for c in made))
        terms.append(made)
    return steps


def _as_matrices(subscripts: str, shapes: Sequence[Shape]) -> Matrices | None:
    """Return how two arrays are multiplied as matrices, if they can be.

    Not of a few numbers, where NumPy is as fast; nor where nothing is summed over, or a
    letter stands twice in an array, or in one array alone and not in the result, or for
    an axis that broadcasts. That, and all that does not fit, is left to NumPy.
    """
    if subscripts.count(",") != 1 or len(shapes) != 2:
        return None
    (of_a, of_b), output = einsum_letters(subscripts, list(map(len, shapes)))
    a, b, made = set(of_a), set(of_b), set(output)
    sizes = [*zip(of_a, shapes[0], strict=False), *zip(of_b, shapes[1], strict=False)]
    size = dict(sizes)
    if (
        [len(a), len(b), len(made)] != [len(of_a), len(of_b), len(output)]
        or (len(of_a), len(of_b)) != tuple(map(len, shapes))
        or not (a | b).issuperset(made)
        or not _KNOWN.issuperset(a | b)
        or any(size[c] != n for c, n in sizes)
        or (a ^ b) - made
        or not (a & b) - made
    ):
        return None
    stacked = [c for c in output if c in a & b]
    rows, columns = ([c for c in output if c in own] for own in (a - b, b - a))
    sums = [c for c in of_a if c in b - made]
    if stacked and not (rows and columns):  # vectors: NumPy is as fast
        return None
    n, m, k = (math.prod(size[c] for c in letters) for letters in (rows, columns, sums))
    if math.prod(size.values()) < _MANY:
        return None
    lead = [math.prod(size[c] for c in stacked)] if stacked else []
    result = [*stacked, *rows, *columns]
    return Matrices(
        tuple(of_a.index(c) for c in (*stacked, *rows, *sums)),
        (*lead, n, k),
        tuple(of_b.index(c) for c in (*stacked, *sums, *columns)),
        (*lead, k, m),
        tuple(size[c] for c in result),
        tuple(result.index(c) for c in output),
    )
