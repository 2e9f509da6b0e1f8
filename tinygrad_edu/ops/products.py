"""Products of vectors, matrices and arrays of any number of axes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from functools import update_wrapper
from operator import mul
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY, numpy_order
from tinygrad_edu.engine.keywords import refused
from tinygrad_edu.ops.broadcasting import sum_of_rows, sum_to
from tinygrad_edu.ops.contraction import (
    LETTERS,
    Axes,
    einsum_letters,
    einsum_of_arrays,
    multiplied,
    summed_axes,
    tensordot_matrices,
)
from tinygrad_edu.ops.conversion import promoted, wide
from tinygrad_edu.ops.keywords import check_layout, in_dtypes
from tinygrad_edu.ops.plans import remembered

__all__ = [
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "linear",
    "matmul",
    "outer",
    "product",
    "tensordot",
    "transposed",
    "vdot",
]


def transposed(x: Any) -> Any:
    """Swap the last two axes."""
    n = x.ndim
    return x.T if n == 2 else np.transpose(x, (*range(n - 2), n - 1, n - 2))


def _as_rows(x: Any) -> Any:
    """(..., K) -> (N, K)."""
    if x.ndim == 2:
        return x
    rows = math.prod(x.shape[:-1])  # -1 would stand for none if there are no columns
    return np.reshape(x, (rows, x.shape[-1]))


@op(
    numpy=np.matmul,
    symbol="·",
    operator="matmul",
    cases=[
        Case((2, 3), (3, 4)),
        Case((3,), (3,)),
        Case((3,), (3, 2)),
        Case((2, 3), (3,)),
        Case((4, 2, 3), (3, 2)),
        Case((2, 3), (4, 3, 2)),
        Case((2, 1, 2, 3), (4, 3, 1)),
        Case((3,), (2, 3, 2)),
    ],
)
def matmul(a: Any, b: Any) -> Any:
    """Matrix product, over the last two axes; leading axes broadcast.

    Parameters
    ----------
    a : Tensor or array_like, shape (..., n, k) or (k,)
    b : Tensor or array_like, shape (..., k, m) or (k,)

    Returns
    -------
    Tensor or ndarray, shape (..., n, m)
        Without the axis that a vector does not have.

    Raises
    ------
    ValueError
        If the inner sizes differ.

    Notes
    -----
    a b; dL/da = g bᵀ, dL/db = aᵀ g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.matmul([[1.0, 2.0]], [[3.0], [4.0]])
    array([[11.]])
    """
    try:
        # 0.3 us instead of 0.7 for small ones, and BLAS for one-wide ones
        return a.dot(b) if 0 < a.ndim <= 2 and 0 < b.ndim <= 2 else np.matmul(a, b)
    except (ValueError, AttributeError):
        raise ValueError(_misfit(np.shape(a), np.shape(b))) from None


def _misfit(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    if not a or not b:
        return (
            f"matmul: a is {a}, b is {b}; a number has no axes to multiply over. Use *"
        )
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] == inner:
        return f"matmul: the leading axes do not broadcast: a is {a}, b is {b}"
    hint = ""
    if len(b) == 2 and b[-1] == a[-1]:
        hint = ". Did you mean b.T?"
    elif len(a) == 2 and a[0] == inner:
        hint = ". Did you mean a.T?"
    return f"matmul: inner sizes differ: a is {a}, b is {b}{hint}"


def _as_matrices(g: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Give vectors, and the gradient of their product, the axis they lack."""
    if a.ndim == 1:
        g = g[..., None] if b.ndim == 1 else g[..., None, :]
    if b.ndim == 1:
        g = g[..., None]
    return g, a[None, :] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b


def _matmul_rule_a(g: Any, out: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:
        return g.dot(b.T)
    g, a2, b2 = _as_matrices(g, a, b)
    return np.reshape(sum_to(matmul(g, transposed(b2)), a2.shape), a.shape)


def _matmul_rule_b(g: Any, out: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:
        return _dot(a.T, g)
    g, a2, b2 = _as_matrices(g, a, b)
    return np.reshape(sum_to(matmul(transposed(a2), g), b2.shape), b.shape)


matmul.vjp(a=_matmul_rule_a, b=_matmul_rule_b)


def product(a: Any, b: Any) -> Any:
    """Return a b, of matrices that fit: for rules, in 0.3 us instead of 0.8."""
    if type(a) is type(b) is np.ndarray and a.ndim == b.ndim == 2:
        return a.dot(b)
    return matmul(a, b)


@op(
    symbol="{x} · {weight}ᵀ + {bias}",
    texts={"x": "{g} · {weight}"},
    cases=[
        Case((2, 3), (4, 3), (4,)),
        Case((2, 5, 3), (4, 3), (4,)),
        Case((3,), (4, 3), (4,)),
        Case((2, 3), (4, 3), None),
        Case((2, 3), (4, 3), (2, 4)),
    ],
)
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Weighted sums of the last axis, plus a bias: what a dense layer computes.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., in)
    weight : Tensor or array_like, shape (out, in)
    bias : Tensor or array_like, shape (out,) or (..., out), optional
        For every row, or one for each.

    Returns
    -------
    Tensor or ndarray, shape (..., out)

    Raises
    ------
    ValueError
        If the sizes do not fit.

    Notes
    -----
    x Wᵀ + b; dL/dx = g W, dL/dW = gᵀ x, dL/db = Σ g over all axes that b lacks.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.linear([[2.0, 3.0]], [[0.0, 1.0]], [4.0])
    array([[7.]])
    """
    try:
        if x.ndim == 0 or weight.ndim != 2:
            raise ValueError
        y = _weighted(x, weight)
    except ValueError:
        raise ValueError(
            f"linear: x is {x.shape}, weight is {weight.shape}: the last axis of both "
            "must have one size, and weight two axes"
        ) from None
    if bias is None:
        return y
    if bias.shape != y.shape[-1:] and bias.shape != y.shape:
        either = " or ".join(map(str, dict.fromkeys([y.shape[-1:], y.shape])))
        raise ValueError(f"linear: bias must be {either}, got {bias.shape}")
    if y.dtype is not bias.dtype:
        x, weight, bias = promoted([x, weight, bias])  # the product is not to overflow
        return _weighted(x, weight) + bias
    y += bias
    return y


def _weighted(x: Any, weight: Any) -> Any:
    """Return x Wᵀ: one product for all rows, not one for each leading axis.

    For 32 x 64 rows of 256 with two threads, 0.9 ms instead of 1.2.
    """
    if x.ndim <= 2:
        return x.dot(weight.T)
    y = np.empty((*x.shape[:-1], len(weight)), np.result_type(x, weight))
    np.dot(_as_rows(x), weight.T, out=_as_rows(y))
    return y


def _linear_rule_x(g: Any, out: Any, x: Any, weight: Any, bias: Any) -> Any:
    if g.ndim <= 2:
        return g.dot(weight)
    return np.reshape(_as_rows(g).dot(weight), x.shape)


#: Rows from which on gᵀ x is a fifth faster than (xᵀ g)ᵀ; the update likes that one.
_MANY = 500


def _linear_rule_weight(g: Any, out: Any, x: Any, weight: Any, bias: Any) -> Any:
    if x.ndim != 2:
        x, g = _as_rows(x), _as_rows(g)
    if len(x) < _MANY:
        return _dot(x.T, g).T  # lies in memory as the weight does
    return _dot(g.T, x)


def _dot(a: Any, b: Any) -> Any:
    """Return the product: not ``a.dot(b)``, which a plain ``a`` would not record."""
    return a.dot(b) if type(a) is type(b) is np.ndarray else dot.call(a, b)


def _linear_rule_bias(g: Any, out: Any, x: Any, weight: Any, bias: Any) -> Any:
    if bias.shape == g.shape:
        return g
    return sum_of_rows(wide(_as_rows(g)))


linear.vjp(x=_linear_rule_x, weight=_linear_rule_weight, bias=_linear_rule_bias)


def _product_to(g: Any, other: Any, shape: tuple[int, ...]) -> Any:
    """Return the gradient by a factor of ``factor * other``, of which one is 0-d."""
    return sum_to(g * other, shape=shape)


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    """Return the permutation that undoes ``order``."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


@remembered
def _back_to_a(a: int, b: int, axes: Axes) -> tuple[Axes, tuple[int, ...]]:
    """Return over which axes g and b are summed, and the order of a's axes in that."""
    of_a, of_b, kept_a, kept_b = summed_axes(a, b, axes)
    last = tuple(range(len(kept_a), len(kept_a) + len(kept_b)))
    # its axes: those kept of a, then those summed over, in the order that b has them
    order = kept_a + [of_a[i] for i in _inverse(of_b)]
    return (last, tuple(kept_b)), _inverse(order)


@remembered
def _back_to_b(a: int, b: int, axes: Axes) -> tuple[Axes, tuple[int, ...]]:
    """Return over which axes a and g are summed, and the order of b's axes in that."""
    of_a, of_b, kept_a, kept_b = summed_axes(a, b, axes)
    order = [of_b[i] for i in _inverse(of_a)] + kept_b
    return (tuple(kept_a), tuple(range(len(kept_a)))), _inverse(order)


def _tensordot_rule_a(g: Any, out: Any, a: Any, b: Any, *, axes: Axes) -> Any:
    summed, order = _back_to_a(np.ndim(a), np.ndim(b), axes)
    return tensordot.of_array(g, b, axes=summed).transpose(order)


def _tensordot_rule_b(g: Any, out: Any, a: Any, b: Any, *, axes: Axes) -> Any:
    summed, order = _back_to_b(np.ndim(a), np.ndim(b), axes)
    return tensordot.of_array(a, g, axes=summed).transpose(order)


def _sum_text(other: str, own: str) -> Callable[..., str | None]:
    def text(a: Any, b: Any, **_: Any) -> str | None:
        axes = np.ndim(a), np.ndim(b)
        if min(axes) == 0 or max(axes) <= 2:  # a product of numbers or matrices
            return None
        return f"Σ of {{g}} · {{{other}}} over axes that {{{own}}} lacks"

    return text


_DOT_TEXTS = {"a": _sum_text("b", "a"), "b": _sum_text("a", "b")}


@op(
    numpy=np.dot,
    symbol="dot",
    texts=_DOT_TEXTS,
    cases=[
        Case((2, 3), (3, 4)),
        Case((3,), (3,)),
        Case((3,), (3, 2)),
        Case((2, 3), (3,)),
        Case((2, 4, 3), (3,)),
        Case((2, 3), (2, 3, 4)),
        Case((3,), (2, 3, 4)),
        Case((), (2, 3)),
        Case((2,), ()),
        Case((), ()),
    ],
)
def dot(a: Any, b: Any) -> Any:
    """Sum of products over the last axis of a and the last but one of b.

    Parameters
    ----------
    a : Tensor or array_like, shape (..., k)
    b : Tensor or array_like, shape (..., k, m) or (k,)

    Returns
    -------
    Tensor or ndarray, shape ``(*a.shape[:-1], *b.shape[:-2], m)``
        Without the axes that a vector does not have; the product where one is a number.

    Raises
    ------
    ValueError
        If the inner sizes differ.

    Notes
    -----
    a b; dL/da = g bᵀ, dL/db = aᵀ g. For stacks of matrices, all with all, which is
    rarely wanted: :func:`matmul` pairs them.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    return np.dot(a, b)


def _dot_rule_a(g: Any, out: Any, a: Any, b: Any) -> Any:
    axes = np.ndim(a), np.ndim(b)
    if min(axes) == 0:
        return _product_to(g, b, np.shape(a))
    if max(axes) <= 2:
        return _matmul_rule_a(g, out, a, b)
    return _tensordot_rule_a(g, out, a, b, axes=_dot_axes(axes[1]))


def _dot_rule_b(g: Any, out: Any, a: Any, b: Any) -> Any:
    axes = np.ndim(a), np.ndim(b)
    if min(axes) == 0:
        return _product_to(g, a, np.shape(b))
    if max(axes) <= 2:
        return _matmul_rule_b(g, out, a, b)
    return _tensordot_rule_b(g, out, a, b, axes=_dot_axes(axes[1]))


def _dot_axes(b: int) -> Axes:
    return (-1,), (-2 if b > 1 else 0,)


dot.vjp(a=_dot_rule_a, b=_dot_rule_b)


def _with_out(operation: Any) -> Any:
    """Return how NumPy's function is called, that may write into an array."""
    call = operation.call

    def function(a: Any, b: Any, out: None = None) -> Any:
        if out is not None:
            raise refused(operation.name, "out", "a, b")
        return call(a, b)

    return update_wrapper(function, operation.forward)


FROM_NUMPY[np.dot] = Tensor.dot = _with_out(dot)  # type: ignore[method-assign]


@op(
    numpy=np.inner,
    symbol="inner",
    texts=_DOT_TEXTS,
    cases=[
        Case((3,), (3,)),
        Case((2, 3), (4, 3)),
        Case((2, 3), (3,)),
        Case((3,), (2, 4, 3)),
        Case((2, 2, 3), (4, 3)),
        Case((), (2, 3)),
        Case((2,), ()),
    ],
)
def inner(a: Any, b: Any) -> Any:
    """Sum of products over the last axis of both.

    Parameters
    ----------
    a : Tensor or array_like, shape (..., k)
    b : Tensor or array_like, shape (..., k)

    Returns
    -------
    Tensor or ndarray, shape ``(*a.shape[:-1], *b.shape[:-1])``
        The product where one is a number.

    Raises
    ------
    ValueError
        If the last axes differ in length.

    Notes
    -----
    a bᵀ; dL/da = g b, dL/db = gᵀ a.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.inner([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    array([21., 43.])
    """
    return np.inner(a, b)


_LAST: Axes = ((-1,), (-1,))

inner.vjp(
    a=lambda g, out, a, b: (
        _tensordot_rule_a(g, out, a, b, axes=_LAST)
        if np.ndim(a) and np.ndim(b)
        else _product_to(g, b, np.shape(a))
    ),
    b=lambda g, out, a, b: (
        _tensordot_rule_b(g, out, a, b, axes=_LAST)
        if np.ndim(a) and np.ndim(b)
        else _product_to(g, a, np.shape(b))
    ),
)


@op(
    numpy=np.outer,
    symbol="{a} ⊗ {b}",
    cases=[Case((2,), (3,)), Case((2, 2), (3,)), Case((), (3,)), Case((1,), (2, 2))],
)
def outer(a: Any, b: Any) -> Any:
    """Product of every entry of a with every entry of b.

    Parameters
    ----------
    a : Tensor or array_like
        With n entries; flattened.
    b : Tensor or array_like
        With m entries; flattened.

    Returns
    -------
    Tensor or ndarray, shape (n, m)

    Notes
    -----
    a bᵀ; dL/da = g b, dL/db = gᵀ a.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.outer([1.0, 2.0], [3.0, 4.0])
    array([[3., 4.],
           [6., 8.]])
    """
    return np.outer(a, b)


outer.vjp(
    a=lambda g, out, a, b: np.reshape(g.dot(np.reshape(b, -1)), np.shape(a)),
    b=lambda g, out, a, b: np.reshape(_dot(np.reshape(a, -1), g), np.shape(b)),
)


FROM_NUMPY[np.outer] = _with_out(outer)


@op(
    numpy=np.vdot,
    symbol="vdot",
    cases=[Case((3,), (3,)), Case((2, 3), (2, 3)), Case((2, 3), (3, 2)), Case((), ())],
)
def vdot(a: Any, b: Any) -> Any:
    """Sum of the products of all entries, in order.

    Parameters
    ----------
    a, b : Tensor or array_like
        With the same number of entries; flattened.

    Returns
    -------
    Tensor or ndarray, shape ()

    Raises
    ------
    ValueError
        If the numbers of entries differ.

    Notes
    -----
    Σ a b; dL/da = g b, dL/db = g a.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.vdot([[1.0, 2.0]], [[3.0], [4.0]]))
    11.0
    """
    return np.vdot(a, b)


vdot.vjp(
    a=lambda g, out, a, b: g * np.reshape(b, np.shape(a)),
    b=lambda g, out, a, b: g * np.reshape(a, np.shape(b)),
)


_tensordot_order = numpy_order(
    "tensordot",
    dict.fromkeys(("a", "b"), inspect.Parameter.empty),
    {"axes": 2},
    np.tensordot,
)


def _axes_as_tuples(*args: Any, **named: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """Write the axes as a number, or two tuples: lists may be changed afterwards."""
    arrays, metadata = _tensordot_order(*args, **named)
    axes = metadata.get("axes", 2)
    if not isinstance(axes, int | np.integer | Sequence | np.ndarray):
        raise TypeError(f"tensordot: axes must be an int or two sequences, got {axes}")
    if isinstance(axes, int | np.integer):
        return arrays, {"axes": int(axes)}
    if len(axes) != 2:
        raise ValueError(
            f"tensordot: axes must be an int or two sequences, one for each; got {axes}"
        )
    axes = tuple((own,) if np.ndim(own) == 0 else tuple(own) for own in axes)
    return arrays, {"axes": tuple(tuple(map(int, own)) for own in axes)}


@op(
    numpy=np.tensordot,
    symbol="tensordot",
    adapter=_axes_as_tuples,
    texts=_DOT_TEXTS,
    cases=[
        Case((2, 3, 4), (3, 4, 2)),
        Case((2, 3), (3, 2), axes=1),
        Case((2,), (3, 2), axes=0),
        Case((2, 3, 4), (4, 5, 3), axes=((1, 2), (2, 0))),
        Case((2, 3, 4), (4, 5, 3), axes=((-1, -2), (0, -1))),
        Case((2, 3, 2), (4, 3), axes=((1,), (1,))),
        Case((2, 3), (2, 3), axes=((0, 1), (0, 1))),
        Case((1, 3), (3, 1), axes=((0,), (1,))),
    ],
)
def tensordot(a: Any, b: Any, *, axes: Axes = 2) -> Any:
    """Sum of products over chosen axes of both.

    Parameters
    ----------
    a, b : Tensor or array_like
    axes : int or pair of sequences of int, default 2
        The axes of a and those of b that are multiplied and summed over, in pairs; an
        int takes so many of the last of a and of the first of b.

    Returns
    -------
    Tensor or ndarray
        With the other axes of a, then the other axes of b.

    Raises
    ------
    ValueError
        If the lengths of two paired axes differ, or an axis is listed twice.

    Notes
    -----
    Σ a b; dL/da = g b, summed over the axes of b that are in g, dL/db = g a likewise.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.tensordot([[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]], axes=1)
    array([[13., 16.]])
    """
    how = tensordot_matrices(np.shape(a), np.shape(b), axes)
    return multiplied(how, np.asarray(a), np.asarray(b))


tensordot.vjp(a=_tensordot_rule_a, b=_tensordot_rule_b)


@op(
    numpy=np.kron,
    symbol="kron",
    texts={
        "a": "Σ within each block of {g} ⊙ {b}",
        "b": "Σ over all blocks of {g} ⊙ {a}",
    },
    cases=[
        Case((2, 3), (3, 2)),
        Case((2,), (3,)),
        Case((2, 1, 2), (3, 2)),
        Case((2,), (2, 3)),
        Case((), (2, 3)),
        Case((2,), ()),
        Case((), ()),
    ],
)
def kron(a: Any, b: Any) -> Any:
    """Kronecker product: b, as often as a has entries, multiplied with each of them.

    Parameters
    ----------
    a, b : Tensor or array_like
        The one with fewer axes gets axes of length 1 in front.

    Returns
    -------
    Tensor or ndarray
        Every axis as long as those of a and b multiplied.

    Notes
    -----
    a ⊗ b; dL/da = Σ g b over each block, dL/db = Σ g a over all blocks.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.kron([1.0, 10.0], [1.0, 2.0])
    array([ 1.,  2., 10., 20.])
    """
    of_a, of_b, _, _, shape = _blocks(np.shape(a), np.shape(b))
    return (np.reshape(a, of_a) * np.reshape(b, of_b)).reshape(shape)[()]


@remembered
def _blocks(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes in which a times b has axes (a0, b0, a1, b1, ...), and theirs.

    The blocks of the product are its entries with the same indices of a. Also the
    shapes of a and b with equally many axes, and that of the product.
    """
    axes = max(len(a), len(b))
    a, b = ((1,) * (axes - len(shape)) + shape for shape in (a, b))
    pairs = list(zip(a, b, strict=True))
    return (
        tuple(n for i, _ in pairs for n in (i, 1)),
        tuple(n for _, k in pairs for n in (1, k)),
        a,
        b,
        tuple(i * k for i, k in pairs),
    )


def _kron_rule(g: Any, a: Any, b: Any, *, by_a: bool) -> Any:
    of_a, of_b, all_a, all_b, _ = _blocks(np.shape(a), np.shape(b))
    g = g.reshape(tuple(map(mul, of_a, of_b)))
    every = tuple(range(len(all_a)))
    if by_a:
        axes = tuple(range(1, g.ndim, 2)), every
        d = tensordot.of_array(g, np.reshape(b, all_b), axes=axes)
        return d.reshape(np.shape(a))
    axes = every, tuple(range(0, g.ndim, 2))
    d = tensordot.of_array(np.reshape(a, all_a), g, axes=axes)
    return d.reshape(np.shape(b))


kron.vjp(
    a=lambda g, out, a, b: _kron_rule(g, a, b, by_a=True),
    b=lambda g, out, a, b: _kron_rule(g, a, b, by_a=False),
)


def _cross_text(formula: str) -> Callable[..., str | None]:
    def text(a: Any, b: Any, *, axis: int | None, **axes: int) -> str | None:
        is_along_the_last = axis is None and set(axes.values()) == {-1}
        return None if is_along_the_last else f"{formula}, along their axes"

    return text


@op(
    numpy=np.cross,
    symbol="{a} × {b}",
    texts={"a": _cross_text("{b} × {g}"), "b": _cross_text("{g} × {a}")},
    cases=[
        Case((3,), (3,)),
        Case((4, 3), (3,)),
        Case((2, 1, 3), (4, 3)),
        Case((3, 2), (2, 3), axisa=0),
        Case((3, 2), (3,), axisa=0, axisc=0),
        Case((2, 3, 2), (2, 2, 3), axisa=1, axisb=-1, axisc=0),
        Case((3, 1, 2), (3, 4, 1), axis=0),
        Case((2, 3, 2), (3, 2), axis=-2),
    ],
)
def cross(
    a: Any,
    b: Any,
    *,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Any:
    """Cross product of vectors in space; the other axes broadcast.

    Parameters
    ----------
    a, b : Tensor or array_like
        With an axis of length 3, along which the vectors lie.
    axisa, axisb, axisc : int, default -1
        That axis of a, of b, and of the result.
    axis : int, optional
        Stands for all three.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If the vectors do not have three entries, or the other axes do not broadcast.

    Notes
    -----
    a × b; dL/da = b × g, dL/db = g × a.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    array([0., 0., 1.])
    """
    shapes = np.shape(a), np.shape(b)
    order_a, order_b, order = _vectors_last(*shapes, axisa, axisb, axisc, axis)
    a, b = np.asarray(a).transpose(order_a), np.asarray(b).transpose(order_b)
    d = a.take(_NEXT, -1) * b.take(_BEFORE, -1)
    d -= a.take(_BEFORE, -1) * b.take(_NEXT, -1)
    return d.transpose(order)


_NEXT, _BEFORE = np.array([1, 2, 0]), np.array([2, 0, 1])


@remembered
def _vectors_last(
    a: tuple[int, ...],
    b: tuple[int, ...],
    axisa: int,
    axisb: int,
    axisc: int,
    axis: int | None,
) -> tuple[tuple[int, ...], ...]:
    """Return the orders of axes of a and b in which vectors lie along the last.

    Also that which puts the axis of the result in its place.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    orders = []
    for name, shape, own in (("a", a, axisa), ("b", b, axisb)):
        if not shape or shape[own] != 3:
            raise ValueError(
                f"cross: vectors must have 3 entries; {name} has shape {shape} "
                f"and its vectors lie along axis {own}"
            )
        own %= len(shape)
        orders.append((*(i for i in range(len(shape)) if i != own), own))
    n = max(len(a), len(b))
    place = normalize_axis_index(axisc, n)
    return *orders, (*range(place), n - 1, *range(place, n - 1))


def _cross_rule(
    left: Any, right: Any, left_axis: int, right_axis: int, x: Any, axis: int
) -> Any:
    """Return the cross product, summed to the shape of x, whose vectors lie along axis.

    One of the factors is the gradient.
    """
    d = cross.of_array(left, right, axisa=left_axis, axisb=right_axis)
    shape, order = _vectors_back(x.shape, axis)
    return (d if d.shape == shape else sum_to(d, shape)).transpose(order)


@remembered
def _vectors_back(
    shape: tuple[int, ...], axis: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape with vectors along the last axis, and the order back."""
    n = len(shape)
    axis %= n
    others = shape[:axis] + shape[axis + 1 :]
    return (*others, 3), (*range(axis), n - 1, *range(axis, n - 1))


def _cross_rule_a(
    g: Any,
    out: Any,
    a: Any,
    b: Any,
    *,
    axisa: int,
    axisb: int,
    axisc: int,
    axis: int | None,
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    return _cross_rule(b, g, axisb, axisc, a, axisa)


def _cross_rule_b(
    g: Any,
    out: Any,
    a: Any,
    b: Any,
    *,
    axisa: int,
    axisb: int,
    axisc: int,
    axis: int | None,
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    return _cross_rule(g, a, axisc, axisa, b, axisb)


cross.vjp(a=_cross_rule_a, b=_cross_rule_b)


# -------------------------------------------------------------------------- einsum

_IN_ORDER = "".join(sorted(LETTERS))  # as letters are put in a result without "->"


_OF_EINSUM = ("optimize", "dtype", "casting", "order")


def _einsum_with(
    *arrays: Any,
    subscripts: str,
    optimize: Any = False,
    dtype: Any = None,
    casting: Any = "safe",
    order: Any = "K",
) -> Any:
    check_layout(order, "einsum")
    arrays = tuple(in_dtypes(arrays, dtype, casting, "einsum", default="safe"))
    return einsum.call(subscripts, *arrays, optimize=optimize)


def _subscripts_first(
    *args: Any, **metadata: Any
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Accept ``einsum("ij,jk->ik", a, b)``, and the arrays as one sequence.

    Also ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, with numbers for letters.
    """
    if "subscripts" not in metadata:
        if args and not isinstance(args[0], str):
            args = _lettered(*args)
        if not args:
            raise TypeError(
                "einsum: the first argument must be the subscripts, such as "
                "'ij,jk->ik', or an array, and a list of numbers behind each"
            )
        metadata["subscripts"], *args = args  # type: ignore[assignment]
    if metadata.get("out", 0) is None:
        del metadata["out"]
    if unknown := metadata.keys() - {"subscripts", *_OF_EINSUM}:
        takes = ", ".join(["subscripts", "*arrays", *_OF_EINSUM])
        raise refused("einsum", min(unknown), takes)
    if len(args) == 1 and isinstance(args[0], list | tuple):
        if any(isinstance(x, Tensor | np.ndarray) for x in args[0]):
            args = tuple(args[0])
    return args, metadata


def _lettered(*args: Any) -> tuple[Any, ...]:
    """Return subscripts, then arrays, of what has a list of numbers for each array."""
    lists = [*args[1::2], *(args[-1:] if len(args) % 2 else ())]
    arrays = args[: len(args) - len(args) % 2 : 2]
    terms = []
    for numbers in lists:
        if not isinstance(numbers, list | tuple) or not all(
            x is ... or (isinstance(x, int | np.integer) and 0 <= x < len(LETTERS))
            for x in numbers
        ):
            raise TypeError(
                "einsum: the first argument must be the subscripts, such as "
                "'ij,jk->ik'; or behind each array stands a list of numbers from 0 to "
                f"{len(LETTERS) - 1}, such as a, [0, 1], b, [1, 2], [0, 2]; got "
                f"{numbers!r:.80}"
            )
        terms.append("".join("..." if x is ... else _IN_ORDER[x] for x in numbers))
    ends = "->" + terms.pop() if len(args) % 2 else ""
    return (",".join(terms) + ends, *arrays)


@op(
    numpy=np.einsum,
    symbol="Σ",
    adapter=_subscripts_first,
    keywords=_einsum_with,
    cases=[
        Case((2, 3), (3, 4), subscripts="ij,jk->ik"),
        Case((2, 3), (3, 4), subscripts="ij,jk"),
        Case((2, 3), subscripts="ba"),
        Case((2, 3), subscripts="ij->"),
        Case((2, 3), subscripts="ij->j"),
        Case((3, 3), subscripts="ii"),
        Case((3, 3), subscripts="ii->i"),
        Case((2, 3, 2), (2,), subscripts="iji,i->j"),
        Case((2, 2, 2), subscripts="iii->i"),
        Case((3,), (3,), (3,), subscripts="i,i,i->"),
        Case((2, 3), (2, 4), (4, 3), subscripts="ij,ik,kj->j"),
        Case((2, 3), (4,), subscripts="ij,k->i"),
        Case((2, 3), (2, 3), subscripts="ij,ij->ij"),
        Case((2, 1), (2, 3), subscripts="ij,ij->ij"),
        Case((1,), (3,), subscripts="i,i->"),
        Case((2, 5, 3), (3, 4), subscripts="...j,jk->...k"),
        Case((2, 1, 2, 3), (4, 3, 2), subscripts="...ij,...jk->...ik"),
        Case((3, 2, 2), subscripts="...ii->...i"),
        Case((2, 3), (3,), subscripts="...,..."),
        Case((2, 3), (3, 3), subscripts="i...,jj->j..."),
        Case((), (3,), subscripts=",i->i"),
        Case((2, 3), (3, 4), (4, 2), subscripts="ij,jk,kl->il", optimize=True),
        Case((2, 3), (3, 2), subscripts=" i j , j i -> ", optimize="greedy"),
    ],
)
def einsum(*arrays: Any, subscripts: str, optimize: Any = False) -> Any:
    """Sum of products over named axes: Einstein's notation.

    Parameters
    ----------
    arrays : Tensor or array_like
        After the subscripts: ``te.einsum("ij,jk->ik", a, b)``. Or first, with lists of
        numbers for the letters: ``te.einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    subscripts : str
        A letter for each axis of each array, commas between; after "->" those of the
        result. Letters that the result lacks are summed over. Without "->", the result
        has the letters that occur once, in alphabetical order. "..." stands for any
        further axes, which broadcast.
    optimize : bool, str or sequence, default False
        Whether to look for a better order than all at once, and which, as in NumPy.
        True is faster for large arrays.
    dtype : dtype, optional
        In which it is computed; the common one of the arrays unless given.
    casting, order
        As in NumPy: which casts to it are allowed; the order in memory makes no
        difference here.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If the subscripts do not fit the arrays.

    Notes
    -----
    Σ a b ...; dL/da = Σ g b ..., the einsum in which a and the result change places.
    Where a letter stands twice in an array, its gradient lies on that diagonal.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    array([21., 43.])
    >>> float(te.einsum("ii", np.eye(3)))
    3.0
    """
    if optimize is not False:  # else two at a time, which is not to overflow
        arrays = tuple(promoted(arrays))
    dtype = np.result_type(*arrays)
    if dtype.char == "e":  # its sums stop at 2048
        arrays = tuple(np.asarray(x, np.float32) for x in arrays)
    out = einsum_of_arrays(subscripts, [*map(np.asarray, arrays)], optimize)
    return (out.astype(dtype) if dtype.char == "e" else out)[()]


def _einsum_rule(
    g: Any, out: Any, *arrays: Any, subscripts: str, optimize: Any, position: int
) -> Any:
    shapes = [*map(np.shape, arrays)]
    rule, further, shape = _einsum_back(subscripts, position, np.shape(out), *shapes)
    others = [g, *arrays[:position], *arrays[position + 1 :]]
    for n, make in further:
        others.append(make(n, dtype=arrays[position].dtype))
    how = not isinstance(optimize, bool) or optimize
    d = einsum.of_array(*others, subscripts=rule, optimize=how)
    return d if d.shape == shape else np.reshape(d, shape)


@remembered
def _einsum_back(
    subscripts: str, position: int, out: tuple[int, ...], *shapes: tuple[int, ...]
) -> tuple[str, list[tuple[int, Callable[..., Any]]], tuple[int, ...]]:
    """Return the einsum of g and the other arrays that gives the gradient of one.

    Also the sizes of identities, or ones, that it takes after those, and its shape.
    """
    terms, output = einsum_letters(subscripts, list(map(len, shapes)))
    own, shape = terms.pop(position), shapes[position]
    others = [(output, out)]
    others += zip(terms, shapes[:position] + shapes[position + 1 :], strict=True)
    sizes: dict[str, int] = {}  # of the letters in the others; axes of 1 broadcast
    for term, lengths in others:
        for letter, n in zip(term, lengths, strict=True):
            sizes[letter] = n if n != 1 else sizes.get(letter, 1)
    rules, target = [term for term, _ in others], ""
    further: list[tuple[int, Callable[..., Any]]] = []
    free = (c for c in LETTERS if c not in own and c not in "".join(rules))
    for i, (letter, n) in enumerate(zip(own, shape, strict=True)):
        if letter in own[:i]:  # a diagonal: zero off it
            target += (twin := next(free))
            rules.append(letter + twin)
            further.append((n, np.eye))
        elif n == 1 and sizes.get(letter, 1) != 1:  # it was broadcast: summed over
            continue
        else:
            if sizes.get(letter) != n:  # it was summed over in x alone: repeated
                rules.append(letter)
                further.append((n, np.ones))
            target += letter
    return ",".join(rules) + "->" + target, further, shape


einsum.vjp(arrays=_einsum_rule)


def _outer_of_vectors(x1: Any, x2: Any) -> Any:
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(
            "linalg.outer: both must be vectors, got shapes "
            f"{np.shape(x1)} and {np.shape(x2)}; np.outer flattens them"
        )
    return outer.call(x1, x2)


FROM_NUMPY[np.linalg.outer] = _outer_of_vectors
for _name, _operation in (
    ("matmul", matmul),
    ("tensordot", tensordot),
    ("cross", cross),
):  # NumPy 2 has them in this namespace, too
    FROM_NUMPY[getattr(np.linalg, _name)] = _operation.call
