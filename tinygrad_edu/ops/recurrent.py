"""What a step of a long short-term memory computes from the sums of its gates.

The sums stand side by side, (..., 4 H): those of the gates i, f, g and o. Rules of the
functions in it, σ and tanh, are asked where they are declared: their digits are, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, op
from tinygrad_edu.ops.conversion import cast
from tinygrad_edu.ops.exponentials import sigmoid
from tinygrad_edu.ops.trigonometry import tanh

__all__ = ["lstm_memory", "lstm_output"]

_CASES = [Case((2, 12), (2, 3)), Case((4,), (1,)), Case((2, 1, 8), (2, 1, 2))]


def _sigmoid_rule(g: Any, out: Any, x: Any) -> Any:
    return sigmoid.rules[0](g, out, x)


def _tanh_rule(g: Any, out: Any, x: Any) -> Any:
    return tanh.rules[0](g, out, x)


def _alike(z: Any, c: Any) -> tuple[Any, Any]:
    """Return both in the dtype of their result, which is floating-point."""
    if z.dtype is c.dtype and z.dtype.kind == "f":
        return z, c
    dtype = np.result_type(z.dtype, c.dtype)
    dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
    return cast(z, dtype), cast(c, dtype)


def _check(name: str, z: Any, c: Any) -> None:
    if c.ndim == 0 or z.shape != (*c.shape[:-1], 4 * c.shape[-1]):
        raise ValueError(
            f"{name}: z is {z.shape}, c is {c.shape}: z must have four numbers for "
            "each of c, side by side, and the same axes before"
        )


def _opened(z: Any, c: Any) -> Any:
    """σ(i) and σ(f), side by side."""
    return sigmoid.call(_alike(z, c)[0][..., : 2 * c.shape[-1]])


def _written(z: Any, c: Any) -> Any:
    """tanh(g)."""
    size = c.shape[-1]
    return np.tanh(_alike(z, c)[0][..., 2 * size : 3 * size])


@op(
    symbol="σ({z}.f) ⊙ {c} + σ({z}.i) ⊙ tanh({z}.g)",
    residuals={"opened": _opened, "written": _written},
    texts={
        "z": "{g} ⊙ (tanh(g) σ'(i), {c} σ'(f), σ(i) tanh'(g), 0)",
        "c": "{g} ⊙ σ({z}.f)",
    },
    cases=_CASES,
)
def lstm_memory(z: Any, c: Any) -> Any:
    """The memory of a long short-term memory after a step.

    Parameters
    ----------
    z : Tensor or array_like, shape (..., 4 H)
        The sums of the gates i, f, g and o, side by side; o is not used.
    c : Tensor or array_like, shape (..., H)
        The memory before.

    Returns
    -------
    Tensor or ndarray, shape (..., H)

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    σ(f) c + σ(i) tanh(g): what is kept, and what is written. dL/dc = g σ(f), and dL/dz
    is, side by side, the gradient times tanh(g) σ'(i), c σ'(f), σ(i) tanh'(g) and 0.
    Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural
    Computation 9, 1997, with the forget gate of F. A. Gers, J. Schmidhuber and
    F. Cummins, "Learning to forget: continual prediction with LSTM", Neural
    Computation 12, 2000.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> shut, opened = -1e3, 1e3
    >>> te.lstm_memory([shut, opened, 0.0, 0.0], [0.75])  # it only remembers
    array([0.75])
    """
    _check("lstm_memory", z, c)
    z, c = _alike(z, c)
    size = c.shape[-1]
    opened, written = _opened(z, c), _written(z, c)
    memory = opened[..., size:] * c
    memory += opened[..., :size] * written
    return memory, opened, written


def _memory_rule(g: Any, out: Any, z: Any, c: Any, *, opened: Any, written: Any) -> Any:
    z, c = _alike(z, c)
    size = c.shape[-1]
    of_opened = np.concatenate([g * written, g * c], axis=-1)
    parts = [
        _sigmoid_rule(of_opened, opened, z[..., : 2 * size]),
        _tanh_rule(g * opened[..., :size], written, z[..., 2 * size : 3 * size]),
        np.zeros(c.shape, z.dtype),
    ]
    return np.concatenate(parts, axis=-1)


lstm_memory.vjp(
    z=_memory_rule,
    c=lambda g, out, z, c, *, opened, written: g * opened[..., c.shape[-1] :],
)


def _gate(z: Any, c: Any) -> Any:
    """σ(o)."""
    return sigmoid.call(_alike(z, c)[0][..., 3 * c.shape[-1] :])


def _squashed(z: Any, c: Any) -> Any:
    """tanh(c)."""
    return np.tanh(_alike(z, c)[1])


@op(
    symbol="σ({z}.o) ⊙ tanh({c})",
    residuals={"gate": _gate, "squashed": _squashed},
    texts={
        "z": "{g} ⊙ (0, 0, 0, tanh({c}) σ'(o))",
        "c": "{g} ⊙ σ({z}.o) ⊙ (1 − tanh({c})²)",
    },
    cases=_CASES,
)
def lstm_output(z: Any, c: Any) -> Any:
    """What a long short-term memory shows of its memory after a step.

    Parameters
    ----------
    z : Tensor or array_like, shape (..., 4 H)
        The sums of the gates i, f, g and o, side by side; only o is used.
    c : Tensor or array_like, shape (..., H)
        The memory, as :func:`lstm_memory` returns it.

    Returns
    -------
    Tensor or ndarray, shape (..., H)

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    σ(o) tanh(c); dL/dc = g σ(o) (1 - tanh² c), and dL/dz is, side by side, three times
    0 and g tanh(c) σ'(o).

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.lstm_output([0.0, 0.0, 0.0, 0.0], [1000.0])
    array([0.5])
    """
    _check("lstm_output", z, c)
    gate, squashed = _gate(z, c), _squashed(z, c)
    return gate * squashed, gate, squashed


def _output_rule(g: Any, out: Any, z: Any, c: Any, *, gate: Any, squashed: Any) -> Any:
    z, c = _alike(z, c)
    size = 3 * c.shape[-1]
    before = np.zeros((*c.shape[:-1], size), z.dtype)
    d = _sigmoid_rule(g * squashed, gate, z[..., size:])
    return np.concatenate([before, d], axis=-1)


lstm_output.vjp(
    z=_output_rule,
    c=lambda g, out, z, c, *, gate, squashed: _tanh_rule(
        g * gate, squashed, _alike(z, c)[1]
    ),
)
