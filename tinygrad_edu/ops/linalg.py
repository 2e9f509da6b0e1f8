"""Products of matrices, inverses and determinants."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core import Case, op, sum_to

__all__ = ["dot", "inv", "linear", "matmul", "slogdet"]


def _well_conditioned(rng: Any) -> Any:
    return rng.standard_normal((2, 3, 3)) + 4 * np.eye(3)


def _transposed(x: Any) -> Any:
    """Swap the last two axes."""
    n = x.ndim
    return x.T if n == 2 else np.transpose(x, (*range(n - 2), n - 1, n - 2))


def _as_rows(x: Any) -> Any:
    """(..., K) -> (N, K)."""
    return x if x.ndim == 2 else np.reshape(x, (-1, x.shape[-1]))


@op(
    numpy=np.matmul,
    symbol="@",
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
    return np.reshape(sum_to(matmul(g, _transposed(b2)), a2.shape), a.shape)


def _matmul_rule_b(g: Any, out: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:
        return a.T.dot(g)
    g, a2, b2 = _as_matrices(g, a, b)
    return np.reshape(sum_to(matmul(_transposed(a2), g), b2.shape), b.shape)


matmul.vjp(a=_matmul_rule_a, b=_matmul_rule_b)


@op(
    numpy=np.dot,
    symbol="·",
    cases=[
        Case((2, 3), (3, 4)),
        Case((3,), (3,)),
        Case((3,), (3, 2)),
        Case((2, 3), (3,)),
    ],
)
def dot(a: Any, b: Any) -> Any:
    """Product of vectors and matrices.

    Parameters
    ----------
    a : Tensor or array_like, shape (n, k) or (k,)
    b : Tensor or array_like, shape (k, m) or (k,)

    Returns
    -------
    Tensor or ndarray, shape (n, m)
        Without the axis that a vector does not have.

    Raises
    ------
    ValueError
        If the inner sizes differ, or there are not one or two axes: for numbers there
        is ``*``, for stacks of matrices ``matmul``.

    Notes
    -----
    a b; dL/da = g bᵀ, dL/db = aᵀ g.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    axes = np.ndim(a), np.ndim(b)
    if min(axes) < 1 or max(axes) > 2:
        raise ValueError(
            f"dot: a is {np.shape(a)}, b is {np.shape(b)}; only vectors and matrices "
            "have a dot product here. Use * for numbers, matmul for stacks of matrices"
        )
    return a.dot(b)


dot.vjp(a=_matmul_rule_a, b=_matmul_rule_b)


@op(
    symbol="x Wᵀ + b",
    cases=[
        Case((2, 3), (4, 3), (4,)),
        Case((2, 5, 3), (4, 3), (4,)),
        Case((3,), (4, 3), (4,)),
        Case((2, 3), (4, 3), None),
    ],
)
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Weighted sums of the last axis, plus a bias: what a dense layer computes.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., in)
    weight : Tensor or array_like, shape (out, in)
    bias : Tensor or array_like, shape (out,), optional

    Returns
    -------
    Tensor or ndarray, shape (..., out)

    Raises
    ------
    ValueError
        If the sizes do not fit.

    Notes
    -----
    x Wᵀ + b; dL/dx = g W, dL/dW = gᵀ x, dL/db = Σ g over all axes but the last.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.linear([[2.0, 3.0]], [[0.0, 1.0]], [4.0])
    array([[7.]])
    """
    try:
        if x.ndim == 0 or weight.ndim != 2:
            raise ValueError
        y = x.dot(weight.T) if x.ndim <= 2 else np.matmul(x, weight.T)
    except ValueError:
        raise ValueError(
            f"linear: x is {x.shape}, weight is {weight.shape}: the last axis of both "
            "must have one size, and weight two axes"
        ) from None
    if bias is None:
        return y
    if bias.shape != y.shape[-1:]:
        raise ValueError(f"linear: bias must be ({len(weight)},), got {bias.shape}")
    if y.dtype is not bias.dtype:
        return y + bias
    y += bias
    return y


linear.vjp(
    x=lambda g, out, x, weight, bias: g.dot(weight) if g.ndim <= 2 else g @ weight,
    weight=lambda g, out, x, weight, bias: (
        x.T.dot(g).T if x.ndim == 2 else _as_rows(x).T.dot(_as_rows(g)).T
    ),
    bias=lambda g, out, x, weight, bias: np.add.reduce(_as_rows(g), axis=0),
)


@op(numpy=np.linalg.inv, symbol="⁻¹", cases=[Case(_well_conditioned)])
def inv(x: Any) -> Any:
    """Inverse of a square matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, n)

    Returns
    -------
    Tensor or ndarray, shape (..., n, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is singular or not square.

    Notes
    -----
    X⁻¹; dL/dX = -X⁻ᵀ g X⁻ᵀ. Source: M. B. Giles, "Collected matrix derivative results
    for forward and reverse mode algorithmic differentiation", Advances in Automatic
    Differentiation, Springer 2008, section 2.2.3.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.inv([[2.0, 0.0], [0.0, 4.0]])
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return np.linalg.inv(x)


inv.vjp(x=lambda g, out, x: -matmul(matmul(_transposed(out), g), _transposed(out)))


@op(
    numpy=np.linalg.slogdet,
    symbol="log|det|",
    results=("sign", "logabsdet"),
    cases=[Case(_well_conditioned), Case([[1.0, 2.0], [3.0, 4.0]])],
)
def slogdet(x: Any) -> Any:
    """Sign and logarithm of the absolute value of each determinant.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, n)

    Returns
    -------
    sign : Tensor or ndarray, shape (...)
        -1, 0 or 1; its derivative is 0.
    logabsdet : Tensor or ndarray, shape (...)
        Does not overflow where the determinant would.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square; on the way back, if it is singular.

    Notes
    -----
    log |det X|; dL/dX = g X⁻ᵀ. Source: M. B. Giles, "Collected matrix derivative
    results for forward and reverse mode algorithmic differentiation", Advances in
    Automatic Differentiation, Springer 2008, section 2.2.4.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> sign, logabsdet = te.slogdet([[0.0, 1.0], [1.0, 0.0]])
    >>> float(sign), float(logabsdet)
    (-1.0, 0.0)
    """
    return np.linalg.slogdet(x)


slogdet.vjp(x=lambda g, out, x: g[1][..., None, None] * _transposed(inv(x)))
