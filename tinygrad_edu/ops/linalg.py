"""Linear algebra: inverses, determinants, systems of equations, decompositions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.core import Case, Tensor, op
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.engine.keywords import refused
from tinygrad_edu.ops.broadcasting import sum_to
from tinygrad_edu.ops.conversion import cast, promoted, wide
from tinygrad_edu.ops.kinks import lies_between
from tinygrad_edu.ops.plans import kept_up_to
from tinygrad_edu.ops.products import matmul, product, transposed
from tinygrad_edu.ops.reductions import floating
from tinygrad_edu.ops.spectra import (
    are_apart,
    equal_pairs,
    of_values_alone,
    undefined,
    vanishing,
)

__all__ = [
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "expm",
    "inv",
    "matrix_power",
    "multi_dot",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
]

# NumPy's stubs want a literal for the triangle.
_eigh: Any = np.linalg.eigh
_eigvalsh: Any = np.linalg.eigvalsh

#: Up to this size, the cofactors of a singular matrix are determinants: n² of them.
_FEW_COFACTORS = 32
#: Up to this size, matrices that a rule multiplies with are kept.
_SMALL = 64


def _well_conditioned(rng: Any) -> Any:
    return rng.standard_normal((2, 3, 3)) + 4 * np.eye(3)


def _of_rank(rank: int, n: int) -> Any:
    def draw(rng: Any) -> Any:
        return rng.standard_normal((n, rank)) @ rng.standard_normal((rank, n))

    return draw


def _positive_definite(rng: Any) -> Any:
    x = rng.standard_normal((2, 3, 3))
    return x @ np.swapaxes(x, -1, -2) + np.eye(3)


def _symmetric(rng: Any) -> Any:
    """With eigenvalues that are far apart."""
    q, _ = np.linalg.qr(rng.standard_normal((2, 3, 3)))
    return (q * [-2.0, 0.5, 4.0]) @ np.swapaxes(q, -1, -2)


def _with_singular_values(*shape: int) -> Any:
    """With singular values 1, 2, ...: far apart."""
    *lead, m, n = shape
    k = min(m, n)

    def draw(rng: Any) -> Any:
        u, _ = np.linalg.qr(rng.standard_normal((*lead, m, k)))
        v, _ = np.linalg.qr(rng.standard_normal((*lead, n, k)))
        return (u * (1.0 + np.arange(k))) @ np.swapaxes(v, -1, -2)

    return draw


@kept_up_to(_SMALL)
def _eye(n: int, dtype: np.dtype[Any]) -> np.ndarray:
    return np.eye(n, dtype=dtype)


@kept_up_to(_SMALL)
def _half(n: int, dtype: np.dtype[Any]) -> np.ndarray:
    """1 below the diagonal, 1/2 on it: with its transpose a matrix of ones."""
    i = np.arange(n)
    rows = i[:, None]
    return np.add(rows >= i, rows > i, dtype=dtype) / 2


def _numbers(x: Any) -> Any:
    """Return the plain numbers, to decide by: constants in every derivative."""
    return x.detach().numpy() if type(x) is Tensor else x


def _check_square(x: Any, op: str, name: str = "x") -> None:
    shape = np.shape(x)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError(
            f"{op}: matrices must be square, got {name} of {shape}"
        )


def _mirrored(x: Any, uplo: str) -> Any:
    """Return the symmetric matrix of which a triangle of x is read, the other not."""
    if uplo.upper() == "U":
        return np.triu(x) + transposed(np.triu(x, 1))
    return np.tril(x) + transposed(np.tril(x, -1))


def _onto_triangle(d: Any, uplo: str) -> Any:
    """Return the derivative by x, given that by the matrix mirrored from a triangle.

    Each entry that is read stands for two, but for the diagonal.
    """
    half = _half(d.shape[-1], d.dtype)
    return d * 2 * (half.T if uplo.upper() == "U" else half)


def _pinv_with(
    x: Any, *, rcond: Any = None, hermitian: Any = False, rtol: Any = "default"
) -> Any:
    if not isinstance(rtol, str):
        if rcond is not None:
            raise ValueError("pinv: got rcond and rtol, which mean the same")
        rcond = rtol
        if rtol is None:
            rcond = max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    return pinv.call(_mirrored(x, "L") if hermitian else x, rcond=rcond)


@op(
    numpy=np.linalg.inv,
    symbol="{x}⁻¹",
    cases=[Case(_well_conditioned), Case([[1.0, 0.5], [-1.0, 1.0]])],
)
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


inv.vjp(x=lambda g, out, x: -product(product(transposed(out), g), transposed(out)))


@op(
    numpy=np.linalg.pinv,
    symbol="{x}⁺",
    keywords=_pinv_with,
    texts={"x": "−{out}ᵀ · {g} · {out}ᵀ + null space terms"},
    cases=[
        Case((3, 2)),
        Case(_with_singular_values(2, 2, 3)),
        Case(_well_conditioned),
    ],
)
def pinv(x: Any, *, rcond: Any = None) -> Any:
    """Pseudo-inverse of a matrix, or of each in a stack (Moore-Penrose).

    Parameters
    ----------
    x : Tensor or array_like, shape (..., m, n)
    rcond : float or array_like, optional
        Singular values below ``rcond`` times the largest count as 0, dimensionless;
        NumPy's own default unless given.
    hermitian : bool, default False
        x is symmetric: its lower triangle is read, and the other not.
    rtol : float or array_like, optional
        Another name of ``rcond``; None for max(m, n) times the rounding of its dtype.

    Returns
    -------
    Tensor or ndarray, shape (..., n, m)

    Raises
    ------
    numpy.linalg.LinAlgError
        If the singular values are not found.

    Notes
    -----
    P = X⁺; dL/dX = -Pᵀ g Pᵀ + (1 - X P) gᵀ P Pᵀ + Pᵀ P gᵀ (1 - P X). This holds among
    matrices of the same rank, where X has full rank or not; where the rank changes, the
    pseudo-inverse jumps. Source: G. H. Golub and V. Pereyra, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate", SIAM
    Journal on Numerical Analysis 10, 1973, equation 4.12.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.pinv([[2.0], [0.0]])
    array([[0.5, 0. ]])
    """
    return np.linalg.pinv(x) if rcond is None else np.linalg.pinv(x, rcond)


def _pinv_rule(g: Any, out: Any, x: Any, *, rcond: Any) -> Any:
    turned, back = transposed(g), transposed(out)
    left = turned - product(x, product(out, turned))
    right = turned - product(product(turned, out), x)
    d = product(product(left, out), back) + product(back, product(out, right))
    return d - product(product(back, g), back)


pinv.vjp(x=_pinv_rule)


@op(
    symbol="expm",
    texts={"x": "the change of expm({x}ᵀ) along {g}"},
    cases=[Case((2, 3, 3)), Case(np.eye(2)), Case([[0.5]])],
)
def expm(x: Any) -> Any:
    """Exponential of a square matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, n)

    Returns
    -------
    Tensor or ndarray, shape (..., n, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square.

    Notes
    -----
    1 + X + X²/2! + X³/3! + ...; dL/dX = the upper right block of expm([[Xᵀ, g],
    [0, Xᵀ]]). It holds whatever the eigenvalues are, equal ones, too, where a gradient
    through the vectors of :func:`eigh` is refused. Source: N. J. Higham, "Functions of
    Matrices: Theory and Computation", SIAM 2008, equation 3.16.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.expm([[0.0, -np.pi / 2], [np.pi / 2, 0.0]]).round(6) + 0.0  # a quarter turn
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    from scipy.linalg import expm as function

    _check_square(x, "expm")
    x = floating(x)
    return function(wide(x)).astype(x.dtype)


def _expm_rule(g: Any, out: Any, x: Any) -> Any:
    g, turned, n = wide(g), transposed(wide(x)), x.shape[-1]
    # It is linear in g; a large one would cost the other blocks their digits.
    size = np.max(np.abs(_numbers(g)), axis=(-2, -1), keepdims=True, initial=0.0)
    size = np.where((size > 0) & (size < np.inf), size, 1).astype(g.dtype)
    above = np.concatenate([turned, g / size], axis=-1)
    below = np.concatenate([np.zeros(x.shape, g.dtype), turned], axis=-1)
    return expm(np.concatenate([above, below], axis=-2))[..., :n, n:] * size


expm.vjp(x=_expm_rule)


@op(
    numpy=np.linalg.solve,
    symbol="solve",
    cases=[
        Case(_well_conditioned, (2, 3, 2)),
        Case(_well_conditioned, (3,)),
        Case(_well_conditioned, (3, 1)),
        Case(lambda rng: _well_conditioned(rng)[0], (3,)),
        Case(lambda rng: _well_conditioned(rng)[0], (4, 3, 2)),
        Case(lambda rng: _well_conditioned(rng)[:1], (4, 3, 3)),
    ],
)
def solve(a: Any, b: Any) -> Any:
    """Solution x of the equations a x = b; stacks of them broadcast.

    Parameters
    ----------
    a : Tensor or array_like, shape (..., n, n)
    b : Tensor or array_like, shape (n,) or (..., n, k)
        A vector only if it has one axis; else a matrix, or a stack of them.

    Returns
    -------
    Tensor or ndarray, shape (..., n) or (..., n, k)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is singular or not square.
    ValueError
        If the sizes do not fit.

    Notes
    -----
    x = A⁻¹ b; dL/db = A⁻ᵀ g, dL/dA = -(A⁻ᵀ g) xᵀ. Source: M. B. Giles, "Collected
    matrix derivative results for forward and reverse mode algorithmic differentiation",
    Advances in Automatic Differentiation, Springer 2008, section 2.2.3.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    array([1. , 0.5])
    """
    _check_square(a, "solve", "a")
    n = np.shape(a)[-1]
    if np.ndim(b) == 0 or np.shape(b)[-min(np.ndim(b), 2)] != n:
        raise ValueError(
            f"solve: a is {np.shape(a)}, so b must have {n} rows, ({n},) or "
            f"(..., {n}, k); got {np.shape(b)}"
        )
    return np.linalg.solve(a, b)


def _solve_back(g: Any, a: Any, b: Any) -> Any:
    """Return A⁻ᵀ g, shape (..., n, k)."""
    return solve(transposed(a), g[..., None] if b.ndim == 1 else g)


solve.vjp(
    a=lambda g, out, a, b: sum_to(
        -product(
            _solve_back(g, a, b),
            transposed(out[..., None] if b.ndim == 1 else out),
        ),
        shape=a.shape,
    ),
    b=lambda g, out, a, b: np.reshape(
        sum_to(_solve_back(g, a, b), shape=(*b.shape, 1) if b.ndim == 1 else b.shape),
        b.shape,
    ),
)


def _det_text(x: Any) -> str:
    if np.all(np.linalg.det(x)):
        return "{g} · {out} · ({x}⁻¹)ᵀ"
    return "{g} · cofactors({x})"


@op(
    numpy=np.linalg.det,
    symbol="det",
    texts={"x": _det_text},
    cases=[
        Case(_well_conditioned),
        Case((4, 4)),
        Case(_of_rank(3, 4)),
        Case(np.diag([2.0, 0.0, 0.0])),
        Case(np.zeros((2, 2))),
        Case((1, 1)),
    ],
)
def det(x: Any) -> Any:
    """Determinant of a square matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, n)

    Returns
    -------
    Tensor or ndarray, shape (...)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square.

    Notes
    -----
    det X; dL/dX = g det(X) X⁻ᵀ. Source: M. B. Giles, "Collected matrix derivative
    results for forward and reverse mode algorithmic differentiation", Advances in
    Automatic Differentiation, Springer 2008, section 2.2.4. Where X is nearly singular,
    its cofactors, which is what det(X) X⁻ᵀ is, are computed without the inverse: for
    n up to 32 as determinants, right in every derivative; for larger ones from the
    singular values, whose further derivatives need distinct ones.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)  # singular
    >>> te.det(x).backward()
    >>> x.grad
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    return np.linalg.det(x)


def _cofactors(x: Any, out: Any) -> Any:
    """Return the derivative of det by each entry of x."""
    numbers, n = _numbers(x), x.shape[-1]
    small = n <= _FEW_COFACTORS
    # The second derivative subtracts products of two inverses: rounding grows with
    # the square of the condition.
    limit = float(np.finfo(x.dtype).eps) ** (-0.25 if small else -0.5)
    if _condition(numbers) <= limit:
        return out[..., None, None] * transposed(inv(x))
    if small:
        others = np.array([[k for k in range(n) if k != i] for i in range(n)], int)
        others = others.reshape(n, n - 1)
        minors = x[..., others[:, None, :, None], others[None, :, None, :]]
        return det(minors) * (1 - 2 * (np.indices((n, n)).sum(0) % 2)).astype(x.dtype)
    u, s, vh = svd(x)
    sign = np.sign(np.linalg.det(_numbers(u)) * np.linalg.det(_numbers(vh)))
    eye = _eye(x.shape[-1], x.dtype)
    without = np.prod(s[..., None, :] * (1 - eye) + eye, axis=-1)
    return product(_columns_times(u, without * sign[..., None]), vh)


def _condition(x: Any) -> float:
    """Return the largest condition number in the stack, infinity if one is singular."""
    try:
        both = np.abs(x), np.abs(np.linalg.inv(x))
    except np.linalg.LinAlgError:
        return np.inf
    a, b = (np.max(np.sum(part, axis=-2), axis=-1, initial=0.0) for part in both)
    with np.errstate(over="ignore", invalid="ignore"):
        worst = float(np.max(a * b, initial=0.0))
    return worst if worst == worst else np.inf


def _columns_times(x: Any, factors: Any) -> Any:
    """Return x diag(factors)."""
    return x * factors[..., None, :]


det.vjp(x=lambda g, out, x: g[..., None, None] * _cofactors(x, out))


@op(
    numpy=np.linalg.slogdet,
    symbol="slogdet",
    results=("sign", "logabsdet"),
    texts={"x": "{g.logabsdet} · ({x}⁻¹)ᵀ"},
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
        If a matrix is not square; on the way back, if it is singular and the logarithm
        was used.

    Notes
    -----
    ``log |det X|``; dL/dX = g X⁻ᵀ. Source: M. B. Giles, "Collected matrix derivative
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


def _slogdet_rule(g: Any, out: Any, x: Any) -> Any:
    of_log = g[1]
    if isinstance(of_log, np.ndarray | np.floating):  # of the sign alone: 0
        unused = np.asarray(of_log == 0)[..., None, None]
        if unused.all():
            return np.zeros_like(x)
        if unused.any():
            x = np.where(unused, _eye(x.shape[-1], x.dtype), x)
    return of_log[..., None, None] * transposed(inv(x))


slogdet.vjp(x=_slogdet_rule)


def _matrix_power_text(x: Any, *, n: int) -> str | None:
    if -1 <= n <= 3:
        return None
    if n > 0:
        return f"Σₖ ({{x}}ᵀ)^k · {{g}} · ({{x}}ᵀ)^({n - 1} − k)"
    return f"−Σₖ ({{x}}⁻ᵀ)^k · {{g}} · ({{x}}⁻ᵀ)^({1 - n} − k)"


@op(
    numpy=np.linalg.matrix_power,
    texts={"x": _matrix_power_text},
    cases=[
        Case(_well_conditioned, n=3),
        Case(_well_conditioned, n=-2),
        Case((3, 3), n=1),
        Case((2, 2), n=0),
    ],
)
def matrix_power(x: Any, *, n: int) -> Any:
    """A square matrix, or each in a stack, multiplied with itself.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., k, k)
    n : int
        How many factors; those of the inverse where it is negative.

    Returns
    -------
    Tensor or ndarray, shape (..., k, k)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square; for negative n, if it is singular.

    Notes
    -----
    Xⁿ; dL/dX = Σ (Xᵀ)ᵏ g (Xᵀ)ⁿ⁻¹⁻ᵏ for k from 0 to n - 1.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.matrix_power([[1.0, 1.0], [0.0, 1.0]], 3)
    array([[1., 3.],
           [0., 1.]])
    """
    return np.linalg.matrix_power(x, n)


def _matrix_power_rule(g: Any, out: Any, x: Any, *, n: int) -> Any:
    if n < 0:
        inverse = inv(x)
        d = transposed(_matrix_power_rule(g, out, inverse, n=-n))
        return -transposed(product(inverse, product(d, inverse)))
    if n == 0:
        return g * 0.0
    turned = transposed(x)
    d, right = g, g
    for _ in range(n - 1):
        right = product(right, turned)
        d = product(turned, d) + right
    return d


matrix_power.vjp(x=_matrix_power_rule)


def _sequence_of_arrays(
    arrays: Any, **others: Any
) -> tuple[Sequence[Any], dict[str, Any]]:
    if others.get("out", 0) is None:
        del others["out"]
    if others:
        raise refused("multi_dot", min(others), "arrays")
    return list(arrays), {}


@op(
    numpy=np.linalg.multi_dot,
    symbol="·",
    adapter=_sequence_of_arrays,
    cases=[
        Case((2, 3), (3, 4), (4, 2), (2, 3)),
        Case((3,), (3, 4), (4,)),
        Case((2, 3), (3,)),
    ],
)
def multi_dot(*arrays: Any) -> Any:
    """Product of several matrices, multiplied in the order that takes least work.

    Parameters
    ----------
    arrays : sequence of Tensor or array_like
        Matrices; the first and the last may be vectors.

    Returns
    -------
    Tensor or ndarray

    Raises
    ------
    ValueError
        If there are fewer than two, or the sizes do not fit.
    numpy.linalg.LinAlgError
        If one in between is no matrix.

    Notes
    -----
    a b c ...; dL/db = aᵀ g (c ...)ᵀ, and likewise for the others.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.multi_dot([[1.0, 2.0], [[3.0, 0.0], [0.0, 4.0]], [5.0, 6.0]]))
    63.0
    """
    return np.linalg.multi_dot(promoted(arrays))


def _multi_dot_rule(g: Any, out: Any, *arrays: Any, position: int) -> Any:
    arrays = tuple(cast(x, out.dtype) for x in arrays)
    x = arrays[position]
    after, before = _product(arrays[position + 1 :]), _product(arrays[:position])
    with_after = x if after is None else product(x, after)
    if before is not None:
        g = matmul.rules[1](g, out, before, with_after)
    return g if after is None else matmul.rules[0](g, out, x, after)


def _product(arrays: Sequence[Any]) -> Any:
    if len(arrays) < 2:
        return arrays[0] if arrays else None
    return multi_dot(arrays)


multi_dot.vjp(arrays=_multi_dot_rule)


# ------------------------------------------------------------------ decompositions


def _cholesky_text(x: Any, *, upper: bool) -> str:
    turn = "ᵀ" if upper else ""
    return f"2 Φ(sym(L⁻ᵀ · Φ(Lᵀ · {{g}}{turn}) · L⁻¹)){turn}, L = {{out}}{turn}"


@op(
    numpy=np.linalg.cholesky,
    symbol="chol",
    texts={"x": _cholesky_text},
    cases=[
        Case(_positive_definite),
        Case(lambda rng: _positive_definite(rng)[0], upper=True),
        Case([[4.0, 7.0], [2.0, 5.0]]),
        Case([[4.0, 2.0], [7.0, 5.0]], upper=True),
        Case([[4.0]]),
    ],
)
def cholesky(x: Any, *, upper: bool = False) -> Any:
    """Cholesky factor of a positive definite matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, n)
        Symmetric: one triangle is read, as in NumPy, and the other may hold anything.
    upper : bool, default False
        Read the upper triangle, and return the transpose of L.

    Returns
    -------
    Tensor or ndarray, shape (..., n, n)
        L, lower triangular with a positive diagonal, such that L Lᵀ is x.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite, or not square.

    Notes
    -----
    L Lᵀ = X; dL/dX = 2 Φ(S), where S is the symmetric part of L⁻ᵀ Φ(Lᵀ g) L⁻¹ and Φ
    takes the lower triangle and half the diagonal; its transpose for the upper one. The
    triangle that is not read has derivative 0, and an entry of the other stands for two
    of the symmetric matrix. Of (x + xᵀ) / 2 instead of x it is symmetric. Source:
    I. Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, 2016,
    section 3.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.cholesky([[4.0, 2.0], [2.0, 5.0]])
    array([[2., 0.],
           [1., 2.]])
    """
    _check_square(x, "cholesky")
    return np.linalg.cholesky(x, upper=upper)


def _cholesky_rule(g: Any, out: Any, x: Any, *, upper: bool) -> Any:
    if upper:
        g, out = transposed(g), transposed(out)
    back, half = transposed(out), _half(x.shape[-1], x.dtype)
    d = np.linalg.solve(back, product(back, g) * half)  # L⁻ᵀ Φ
    d = np.linalg.solve(back, transposed(d))  # the transpose of L⁻ᵀ Φ L⁻¹
    return (d + transposed(d)) * (half.T if upper else half)


cholesky.vjp(x=_cholesky_rule)


def _refuse_equal(equal: Any, *gradients: Any, what: str) -> None:
    """Raise if a gradient reaches vectors that belong to equal values.

    They may turn among themselves as they like; only the values have a derivative.
    """
    reached = [np.any(_numbers(g) != 0, axis=-2, keepdims=True) for g in gradients]
    if np.any([equal & columns for columns in reached]):
        raise ValueError(
            f"{what}: two values are equal, so their vectors have no derivative; a "
            "gradient reaches them. The values alone can be differentiated here; write "
            "a function of the whole matrix without its vectors, as te.expm is"
        )


def _is_unused(g: Any) -> bool:
    """Whether nobody used this result: what the graph hands on then is plain zeros."""
    return isinstance(g, np.ndarray) and not g.any()


def _onto_text(of_whole: str) -> Any:
    """Return how drawings write a rule whose derivative goes onto a triangle."""

    def text(x: Any, *, UPLO: str) -> str:
        return f"2 Φ({of_whole}){'ᵀ' if UPLO.upper() == 'U' else ''}"

    return text


_EIGH_CASES = [
    Case(_symmetric),
    Case([[2.0, 1.0], [7.0, -1.0]]),
    Case([[2.0, 1.0], [7.0, -1.0]], UPLO="U"),
    Case([[3.0]]),
]


@op(
    numpy=np.linalg.eigh,
    symbol="eigh",
    results=("eigenvalues", "eigenvectors"),
    texts={"x": _onto_text("sym(V · (diag(λ̄) + F ⊙ (Vᵀ · V̄)) · Vᵀ)")},
    cases=_EIGH_CASES,
)
def eigh(x: Any, *, UPLO: str = "L") -> Any:
    """Eigenvalues and eigenvectors of a symmetric matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, n)
        Symmetric: one triangle is read, as in NumPy, and the other may hold anything.
    UPLO : {"L", "U"}, default "L"
        Which one: the lower or the upper.

    Returns
    -------
    eigenvalues : Tensor or ndarray, shape (..., n)
        In ascending order.
    eigenvectors : Tensor or ndarray, shape (..., n, n)
        Of length 1, in the columns. Their signs are arbitrary.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square.
    ValueError
        On the way back, if a gradient reaches the eigenvectors of equal eigenvalues,
        which have no derivative. A function f(X) = V f(λ) Vᵀ may have one all the same,
        but nothing that reaches the rule tells it: see the notes.

    Notes
    -----
    X = V diag(λ) Vᵀ; dL/dX = 2 Φ(S), where S is the symmetric part of
    V (diag(gλ) + F ∘ Vᵀ gV) Vᵀ, Fᵢⱼ = 1 / (λⱼ - λᵢ), 0 on the diagonal, and Φ takes the
    triangle that is read and half the diagonal. The triangle that is not read has
    derivative 0, and an entry of the other stands for two of the symmetric matrix. Of
    (x + xᵀ) / 2 instead of x it is symmetric. Source: M. B. Giles, "Collected matrix
    derivative results for forward and reverse mode algorithmic differentiation",
    Advances in Automatic Differentiation, Springer 2008, section 3.1.

    At equal eigenvalues λ, the part of dL/dX between their vectors is f'(λ) times that
    of dL/df(X). But 1 and e^(X - λ), as V f(λ) Vᵀ, have the same f(λ) there, so that
    both hand the rule the same V, λ and gV; and the same gλ, 0, if L is made of the
    products of two different ones of these vectors alone. Their derivatives differ: 0
    and 1 times that. So it is refused. Write such a function without eigenvectors:
    :func:`expm`, :func:`inv`, :func:`matrix_power`, :func:`solve`, or, of the values
    alone, :func:`eigvalsh`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.eigh([[2.0, 0.0], [0.0, 1.0]]).eigenvalues
    array([1., 2.])
    """
    _check_square(x, "eigh")
    return _eigh(x, UPLO)


def _eigh_rule(g: Any, out: Any, x: Any, *, UPLO: str) -> Any:
    return _onto_triangle(_by_whole(g, out, x, UPLO), UPLO)


def _by_whole(g: Any, out: Any, x: Any, uplo: str) -> Any:
    """Return the derivative by the symmetric matrix of which x holds a triangle."""
    (of_values, of_vectors), (values, v) = g, out
    along = _by_values(of_values, x, v, values, uplo)
    if _is_unused(of_vectors):
        return along
    equal = None if are_apart(values) else equal_pairs(values)
    if equal is not None:
        _refuse_equal(equal, of_vectors, what="eigh")
        if type(x) is Tensor and np.any(equal):
            d = _turned_alone(of_vectors, _mirrored(x, uplo), v, values, equal)
            return along + (d + transposed(d)) / 2
    turned = product(transposed(v), of_vectors)
    gap = values[..., None, :] - values[..., :, None]
    middle = _over_gaps((turned - transposed(turned)) / 2, gap, equal)
    return along + product(product(v, middle), transposed(v))


def _over_gaps(turned: Any, gap: Any, equal: Any) -> Any:
    """Return an antisymmetric matrix over the gaps between values, 0 between equals."""
    closed = _eye(gap.shape[-1], gap.dtype)
    if equal is not None:
        closed = (equal | (closed > 0)).astype(gap.dtype)
        turned = turned * (1 - closed)
    return turned / (gap + closed)


def _by_values(g: Any, x: Any, v: Any, values: Any, uplo: str) -> Any:
    """Return V diag(g) Vᵀ: the derivative of a function of the eigenvalues alone."""
    whole = _mirrored(x, uplo) if type(x) is Tensor else x
    return of_values_alone(
        "eigh", g, x, v, values, transposed(v), whole=whole, triangle=uplo
    )


def _turned_alone(g: Any, x: Any, v: Any, values: Any, equal: Any) -> Any:
    """Return (λ - X)⁺ g vᵀ, summed over the vectors v of values that equal no other.

    Unlike the formula with all gaps in it, this one can be differentiated beside values
    that are equal. Where a gradient of their vectors is 0, its derivative is none.
    """
    among = np.any(equal, axis=-1)[..., None, :]
    none = undefined.call(g, where=among)
    # Others are not in the sum at all, rather than times 0, which nan may meet.
    some = np.flatnonzero(~np.all(among, axis=tuple(range(among.ndim - 1))))
    g, v, values, among = (
        g[..., some],
        v[..., some],
        values[..., some],
        among[..., some],
    )
    away = values[..., :, None, None] * _eye(x.shape[-1], x.dtype) - x[..., None, :, :]
    rcond = 10 * x.shape[-1] * float(np.finfo(x.dtype).eps)
    columns = transposed(g * ~among)[..., None]
    moved = transposed(np.squeeze(product(pinv(away, rcond=rcond), columns), axis=-1))
    return product(moved * ~among, transposed(v)) + none


eigh.vjp(x=_eigh_rule)


@op(
    numpy=np.linalg.eigvalsh,
    symbol="λ",
    texts={"x": _onto_text("V · diag({g}) · Vᵀ")},
    cases=_EIGH_CASES,
)
def eigvalsh(x: Any, *, UPLO: str = "L") -> Any:
    """Eigenvalues of a symmetric matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., n, n)
        Symmetric: one triangle is read, as in NumPy, and the other may hold anything.
    UPLO : {"L", "U"}, default "L"
        Which one: the lower or the upper.

    Returns
    -------
    Tensor or ndarray, shape (..., n)
        In ascending order.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square.

    Notes
    -----
    X = V diag(λ) Vᵀ; dL/dX = 2 Φ(V diag(g) Vᵀ), where Φ takes the triangle that is read
    and half the diagonal, as of :func:`eigh`, where the source is. At equal
    eigenvalues, second derivatives are those of functions that do not tell them apart;
    of others they are refused.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.eigvalsh([[2.0, 0.0], [0.0, 1.0]])
    array([1., 2.])
    """
    _check_square(x, "eigvalsh")
    return _eigvalsh(x, UPLO)


def _eigvalsh_rule(g: Any, out: Any, x: Any, *, UPLO: str) -> Any:
    v = _eigh(x, UPLO).eigenvectors
    return _onto_triangle(_by_values(g, x, v, out, UPLO), UPLO)


eigvalsh.vjp(x=_eigvalsh_rule)


def _svd_with(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: Any = False,
) -> Any:
    if not hermitian or not compute_uv:
        return svd.call(x, full_matrices=full_matrices, compute_uv=compute_uv)
    values, v = eigh(x)
    order = np.argsort(np.abs(_numbers(values)), axis=-1)[..., ::-1]
    values = np.take_along_axis(values, order, axis=-1)
    u = np.take_along_axis(v, order[..., None, :], axis=-1)
    vh = transposed(u * np.sign(_numbers(values))[..., None, :])
    named: Any = svd.results
    return named(u, np.abs(values), vh)


@op(
    numpy=np.linalg.svd,
    keywords=_svd_with,
    symbol="svd",
    results=("U", "S", "Vh"),
    texts={"x": "U · diag(S̄) · Vᵀ + terms of Ū and V̄"},
    cases=[
        Case(_with_singular_values(2, 3, 3)),
        Case(_with_singular_values(4, 2), full_matrices=False),
        Case(_with_singular_values(2, 3), full_matrices=False),
        Case([[2.0]]),
    ],
)
def svd(x: Any, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values and singular vectors of a matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., m, n)
    full_matrices : bool, default True
        Return m left and n right vectors, where only k = min(m, n) are determined:
        only for square matrices. Others need False.
    compute_uv : bool, default True
        Must be so: the singular values alone are :func:`svdvals`, to which
        ``np.linalg.svd(x, compute_uv=False)`` leads.
    hermitian : bool, default False
        x is symmetric, and taken apart by :func:`eigh`, which reads its lower triangle.

    Returns
    -------
    U : Tensor or ndarray, shape (..., m, k)
        With the left vectors in the columns. Their signs are arbitrary.
    S : Tensor or ndarray, shape (..., k)
        The singular values, in descending order.
    Vh : Tensor or ndarray, shape (..., k, n)
        With the right vectors in the rows.

    Raises
    ------
    ValueError
        If full matrices of one that is not square are asked for; on the way back, if a
        gradient reaches the vectors of equal singular values, or in a matrix that is
        not square that of a singular value 0: these have no derivative.

    Notes
    -----
    U diag(s) Vᵀ = X; dL/dX = U (diag(gs) + (K + L) / 2(sⱼ - sᵢ) + (K - L) / 2(sⱼ + sᵢ))
    Vᵀ, where K = Uᵀ gU - gUᵀ U and L is the same of V. If there are more rows than
    columns, (1 - U Uᵀ) gU diag(1/s) Vᵀ is added, if more columns its like of V. A
    singular value has a kink at 0. Source: M. B. Giles, "Collected matrix derivative
    results for forward and reverse mode algorithmic differentiation", Advances in
    Automatic Differentiation, Springer 2008, section 3.2, for the values; H.-J. Liao,
    J.-G. Liu, L. Wang and T. Xiang, "Differentiable programming tensor networks",
    Physical Review X 9, 2019, for the vectors.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.svd([[0.0, 2.0], [1.0, 0.0]]).S
    array([2., 1.])
    """
    if not compute_uv:
        raise ValueError("svd: for the singular values alone, call svdvals")
    shape = np.shape(x)
    if full_matrices and len(shape) >= 2 and shape[-1] != shape[-2]:
        raise ValueError(
            f"svd: x is {shape}: of full matrices, the columns beyond the "
            "shorter axis are arbitrary and have no derivative; pass "
            "full_matrices=False"
        )
    return np.linalg.svd(x, full_matrices=False)


def _svd_rule(g: Any, out: Any, x: Any, **_: Any) -> Any:
    (of_u, of_s, of_vh), (u, s, vh) = g, out
    along = of_values_alone("svd", of_s, x, u, s, vh)
    if _is_unused(of_u) and _is_unused(of_vh):
        return along
    of_v, v = transposed(of_vh), transposed(vh)
    equal, k = None if are_apart(s) else equal_pairs(s), s.shape[-1]
    if equal is not None:
        _refuse_equal(equal, of_u, of_v, what="svd")
        if type(x) is Tensor and np.any(equal):
            return along + _both_turned_alone(of_u, of_v, x, out, equal)
    left, right = product(transposed(u), of_u), product(vh, of_v)
    left, right = left - transposed(left), right - transposed(right)
    difference = s[..., None, :] - s[..., :, None]
    total = s[..., None, :] + s[..., :, None]
    middle = _over_gaps(left + right, difference, equal)
    middle = (middle + _over_gaps(left - right, total, equal)) / 2
    d = along + product(product(u, middle), vh)
    m, n = x.shape[-2:]
    if m > k:
        outside = of_u - product(u, product(transposed(u), of_u))
        d = d + product(_columns_over(outside, s), vh)
    if n > k:
        outside = of_v - product(v, product(vh, of_v))
        d = d + product(u, transposed(_columns_over(outside, s)))
    return d


def _both_turned_alone(of_u: Any, of_v: Any, x: Any, out: Any, equal: Any) -> Any:
    """Do as ``_turned_alone``: (u, v) is an eigenvector of [[0, X], [Xᵀ, 0]]."""
    u, s, vh = out
    m, n = x.shape[-2:]
    lead = x.shape[:-2]
    among = equal
    if m != n and np.any(zero := vanishing(s)):
        _columns_over(_numbers(of_u), s), _columns_over(_numbers(of_v), s)
        among = equal | zero[..., None]
    above = np.concatenate([np.zeros((*lead, m, m), x.dtype), x], axis=-1)
    below = np.concatenate([transposed(x), np.zeros((*lead, n, n), x.dtype)], axis=-1)
    d = _turned_alone(
        np.concatenate([of_u, of_v], axis=-2),
        np.concatenate([above, below], axis=-2),
        np.concatenate([u, transposed(vh)], axis=-2),
        s,
        among,
    )
    return d[..., :m, m:] + transposed(d[..., m:, :m])


def _columns_over(x: Any, s: Any) -> Any:
    """Return x diag(1/s); refuse it where s is 0."""
    numbers = _numbers(s)
    rounding = 10 * float(np.finfo(numbers.dtype).eps) * numbers[..., :1]
    if np.any((numbers <= rounding) & np.any(_numbers(x) != 0, axis=-2)):
        raise ValueError(
            "svd: a singular value is 0, so its vectors have no derivative in a matrix "
            "that is not square; a gradient reaches them"
        )
    return _columns_times(x, 1 / (s + (numbers <= rounding)))


svd.vjp(x=_svd_rule)


@op(
    numpy=np.linalg.svdvals,
    texts={"x": "U · diag({g}) · Vᵀ"},
    cases=[
        Case(_with_singular_values(2, 3, 3)),
        Case(_with_singular_values(4, 2)),
        Case(_with_singular_values(2, 3)),
    ],
)
def svdvals(x: Any) -> Any:
    """Singular values of a matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., m, n)

    Returns
    -------
    Tensor or ndarray, shape (..., min(m, n))
        In descending order.

    Raises
    ------
    numpy.linalg.LinAlgError
        If x has fewer than two axes.

    Notes
    -----
    U diag(s) Vᵀ = X; dL/dX = U diag(g) Vᵀ. A singular value has a kink at 0. The source
    is that of :func:`svd`. At equal ones and at 0, second derivatives are those of
    functions that are smooth there; of others they are refused.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> te.svdvals([[0.0, 2.0], [1.0, 0.0]])
    array([2., 1.])
    """
    return np.linalg.svd(x, compute_uv=False)


def _svdvals_rule(g: Any, out: Any, x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return of_values_alone("svd", g, x, u, s, vh)


svdvals.vjp(x=_svdvals_rule)


def _numpys_svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Answer for ``np.linalg.svd``, which has two kinds of results."""
    if compute_uv:
        return svd.call(a, full_matrices=full_matrices, hermitian=hermitian)
    if hermitian:
        return np.flip(np.sort(np.abs(eigvalsh(a)), axis=-1), axis=-1)
    return svdvals.call(a)


FROM_NUMPY[np.linalg.svd] = _numpys_svd


def _qr_with(x: Any, *, mode: Any = "reduced") -> Any:
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    if mode == "raw" or (mode == "complete" and x.shape[-2] != x.shape[-1]):
        way = "The further columns of Q have no derivative: {0}(x, mode='reduced')"
        raise refused("qr", "mode", "'reduced' and 'r', 'complete' if square", way)
    return qr.call(x).R if mode == "r" else qr.call(x)


@op(
    numpy=np.linalg.qr,
    keywords=_qr_with,
    symbol="qr",
    results=("Q", "R"),
    texts={"x": "(Q̄ + Q · C(R · R̄ᵀ − Q̄ᵀ · Q)) · R⁻ᵀ"},
    cases=[Case((3, 3)), Case((2, 4, 2)), Case((3, 1))],
)
def qr(x: Any) -> Any:
    """Orthogonal and triangular factor of a matrix, or of each in a stack.

    Parameters
    ----------
    x : Tensor or array_like, shape (..., m, n)
        With at least as many rows as columns.
    mode : {"reduced", "r"}, default "reduced"
        Both factors, or R alone; "complete" for square matrices, where it is the same.

    Returns
    -------
    Q : Tensor or ndarray, shape (..., m, n)
        With orthonormal columns.
    R : Tensor or ndarray, shape (..., n, n)
        Upper triangular. The signs of its rows are arbitrary.

    Raises
    ------
    ValueError
        If a matrix has more columns than rows.
    numpy.linalg.LinAlgError
        On the way back, if the columns are linearly dependent, but for rounding.

    Notes
    -----
    Q R = X; dL/dX = (gQ + Q C(R gRᵀ - gQᵀ Q)) R⁻ᵀ, where C puts the lower triangle in
    the place of the upper one, too. Source: H.-J. Liao, J.-G. Liu, L. Wang and
    T. Xiang, "Differentiable programming tensor networks", Physical Review X 9, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> q, r = te.qr([[3.0], [4.0]])
    >>> float(np.abs(r[0, 0]))
    5.0
    """
    shape = np.shape(x)
    if len(shape) >= 2 and shape[-1] > shape[-2]:
        raise ValueError(
            f"qr: x is {shape}; it must have at least as many rows as columns"
        )
    return np.linalg.qr(x)


def _qr_rule(g: Any, out: Any, x: Any) -> Any:
    (of_q, of_r), (q, r) = g, out
    _refuse_dependent(_numbers(r), x.shape[-2])
    lower = product(r, transposed(of_r)) - product(transposed(of_q), q)
    lower = lower * _half(r.shape[-1], r.dtype)
    d = of_q + product(q, lower + transposed(lower))
    return transposed(np.linalg.solve(r, transposed(d)))


def _refuse_dependent(r: Any, rows: int) -> None:
    """Raise if a column of QR lies in the span of those before it, but for rounding."""
    size = np.abs(r)
    rounding = 10 * rows * float(np.finfo(r.dtype).eps)
    own = size.diagonal(axis1=-2, axis2=-1)
    if not own.size or lies_between(own, rounding * size.item(size.argmax()), np.inf):
        return
    if (own <= rounding * size.max(axis=-2)).any():
        raise np.linalg.LinAlgError(
            "qr: the columns are linearly dependent, but for rounding: the factors "
            "have no derivative"
        )


qr.vjp(x=_qr_rule)
