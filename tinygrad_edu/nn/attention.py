"""Attention: each place of a sequence takes from those that matter to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.operands import unmasked
from tinygrad_edu.nn.initializers import Initializer
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.nn.linear import Linear
from tinygrad_edu.nn.parameters import positive
from tinygrad_edu.randomness import RandomSource, generator

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Layer):
    """Every place looks at all others, in several ways at once.

    Parameters
    ----------
    embed_dim : int
        Length E of the vectors that come in and go out.
    num_heads : int
        In how many ways to look; each has E / num_heads numbers of its own.
    causal : bool, default False
        Whether a place may look only at itself and at those before it.
    init : str or callable, default "glorot_uniform"
        For the weights, as in :class:`Linear`.
    rng : int, Generator, RandomState or None
        Where the weights are drawn from.
    dtype : dtype, default float64

    Attributes
    ----------
    query, key, value : Linear
        What a place looks for, what it is found by, and what it gives.
    output : Linear
        Puts what the heads found together.

    Raises
    ------
    ValueError
        If a size is not positive, or E is no multiple of num_heads; when called, if
        shapes do not fit.
    TypeError
        When called, if the mask is none of True and False.

    Notes
    -----
    softmax(Q Kᵀ / √d) V for each head, where Q, K and V are its d = E / num_heads
    columns of query(x), key(x) and value(x); the derivatives are those of the
    operations. Source: A. Vaswani and others, "Attention is all you need", NIPS 2017,
    sections 3.2.1 and 3.2.2.

    In a mask True means that the place may be looked at, as in Keras and in PyTorch's
    ``scaled_dot_product_attention``; PyTorch's ``MultiheadAttention`` has it the other
    way round. A query that may look nowhere takes nothing: all its weights are 0. A nan
    or infinity has no effect where none may look; in a sequence that looks at itself,
    such a place counts as 0, as a query, too.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.MultiHeadAttention(8, 2, causal=True, rng=0)
    >>> x = np.random.default_rng(0).standard_normal((4, 5, 8))
    >>> layer(x).shape
    (4, 5, 8)
    >>> layer.weights(x)[0, 0, 0].data  # the first place sees only itself
    array([1., 0., 0., 0., 0.])
    """

    independent_rows = True

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        causal: bool = False,
        init: str | Initializer = "glorot_uniform",
        rng: RandomSource = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        sizes = positive(self, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(
                "MultiHeadAttention: embed_dim must be a multiple of num_heads, got "
                f"{embed_dim} and {num_heads}"
            )
        self.embed_dim, self.num_heads = sizes
        self.causal = causal
        rng = generator(rng)  # one source: the four must not be alike

        def linear() -> Linear:
            return Linear(embed_dim, embed_dim, init=init, rng=rng, dtype=dtype)

        self.query, self.key, self.value = linear(), linear(), linear()
        self.output = linear()

    def forward(
        self, query: Any, key: Any = None, value: Any = None, *, mask: Any = None
    ) -> Any:
        """Return what each query takes from the values.

        Parameters
        ----------
        query : Tensor or array_like, shape (N, T, E)
        key : Tensor or array_like, shape (N, S, E), optional
            Where to look; at the queries themselves unless given.
        value : Tensor or array_like, shape (N, S, E), optional
            What to take from there; the keys unless given.
        mask : array_like of bool, optional
            True where a query may look at a key. Its shape broadcasts to (N, T, S):
            (T, S), or (N, 1, S) to leave out the padding of each sequence.

        Returns
        -------
        Tensor, shape (N, T, E)
        """
        query, key, value, allowed = self._seen(query, key, value, mask)
        weights = self._weights(query, key, allowed)  # (N, heads, T, S)
        v = self._heads(self.value(value), (0, 2, 1, 3))  # (N, heads, S, d)
        taken = _taken(weights, v, allowed)  # (N, heads, T, d)
        taken = ops.transpose.call(taken, (0, 2, 1, 3))  # (N, T, heads, d)
        return self.output(ops.reshape.call(taken, np.shape(query)))

    def weights(self, query: Any, key: Any = None, *, mask: Any = None) -> Any:
        """Return how much each query takes from each place, for each head.

        Parameters
        ----------
        query, key, mask
            As in :meth:`forward`.

        Returns
        -------
        Tensor, shape (N, heads, T, S)
            Positive numbers that add up to 1 along the last axis, or zeros for a query
            that may look nowhere.
        """
        query, key, _, allowed = self._seen(query, key, None, mask)
        return self._weights(query, key, allowed)

    def _seen(self, query: Any, key: Any, value: Any, mask: Any) -> Any:
        """Return all three, checked, and where to look.

        What nobody may look at is 0 where it holds nan or infinity: 0 times those would
        be nan, in the results and in every gradient.
        """
        key = query if key is None else key
        value = key if value is None else value
        self._check("query", query, query)
        self._check("key", key, query)
        shape = (*np.shape(query)[:2], np.shape(key)[1])
        allowed = self._allowed(mask, query, shape)
        self._check("value", value, query, shape[2])
        if allowed is None:
            return query, key, value, None
        hidden = ~np.any(allowed, axis=-2).reshape(-1, shape[2])  # (N, S) or (1, S)
        seen = _without(hidden, key)
        value = seen if value is key else _without(hidden, value)
        return seen if query is key else query, seen, value, allowed

    def _weights(self, query: Any, key: Any, allowed: Any) -> Any:
        scale = 1 / math.sqrt(self.embed_dim // self.num_heads)
        q = self._heads(self.query(query) * scale, (0, 2, 1, 3))  # (N, heads, T, d)
        k = self._heads(self.key(key), (0, 2, 3, 1))  # (N, heads, d, S)
        if allowed is None:
            return ops.softmax.call(q @ k)
        k, wrong = _finite(k)
        scores = q @ k
        if wrong is not None:
            scores = scores + _nan_where(wrong.any(axis=2, keepdims=True), scores)
        nowhere = ~np.any(allowed, axis=-1, keepdims=True)
        scores = ops.where.call(allowed | nowhere, scores, -np.inf)
        weights = ops.softmax.call(scores)
        return ops.where.call(nowhere, 0.0, weights) if nowhere.any() else weights

    def _heads(self, x: Any, axes: tuple[int, ...]) -> Any:
        """Split (N, T, E) into (N, T, heads, d), and put the axes in this order."""
        split = ops.reshape.call(x, (*x.shape[:2], self.num_heads, -1))
        return ops.transpose.call(split, axes)

    def _allowed(self, mask: Any, x: Any, shape: tuple[int, ...]) -> Any:
        """Return where a query may look, with an axis for the heads; None for all."""
        allowed = None
        if mask is not None:
            mask = mask.data if isinstance(mask, Tensor) else mask
            mask = unmasked(mask, "MultiHeadAttention: mask")
            if mask.dtype.kind != "b":
                raise TypeError(
                    "MultiHeadAttention: mask must hold True (may look) and False, got "
                    f"{mask.dtype}"
                )
            try:
                allowed = np.broadcast_to(mask, shape)[:, None]
            except ValueError:
                self.refuse(x, f"the mask, {mask.shape}, must broadcast to {shape}")
        if self.causal:
            if shape[1] != shape[2]:
                self.refuse(x, f"causal, so it needs as many keys, not {shape[2]}")
            before = np.tri(shape[1], dtype=bool)
            allowed = before if allowed is None else allowed & before
        return allowed

    def _check(self, name: str, x: Any, query: Any, places: Any = "places") -> None:
        """Refuse what is not (N, places, E), with the N of the queries."""
        shape, size = np.shape(x), self.embed_dim
        rows = "N" if x is query else np.shape(query)[0]
        wanted = (rows, places, size)
        if len(shape) != 3 or any(
            isinstance(n, int) and n != m for n, m in zip(wanted, shape, strict=True)
        ):
            self.refuse(x, f"the {name} must be ({rows}, {places}, {size})")

    def extra_repr(self) -> str:
        """Return the sizes: ``8, 2 heads``."""
        return f"{self.embed_dim}, {self.num_heads} heads" + ", causal" * self.causal


def _without(hidden: np.ndarray, x: Any) -> Any:
    """Return ``x``, but 0 at the hidden places that hold nan or infinity."""
    if not hidden.any():
        return x
    wrong = hidden & ~np.isfinite(_numbers(x)).all(axis=-1)
    return ops.where.call(wrong[..., None], 0.0, x) if wrong.any() else x


def _finite(x: Any) -> tuple[Any, Any]:
    """Return ``x`` with 0 in place of nan and infinity, and where; None for nowhere."""
    wrong = ~np.isfinite(_numbers(x))
    return (ops.where.call(wrong, 0.0, x), wrong) if wrong.any() else (x, None)


def _taken(weights: Any, v: Any, allowed: Any) -> Any:
    """Return weights @ v; nan reaches only those that may look at one."""
    if allowed is None:
        return weights @ v
    v, wrong = _finite(v)
    if wrong is None:
        return weights @ v
    looking = np.broadcast_to(allowed, weights.shape).astype(v.dtype)
    return weights @ v + _nan_where(looking @ wrong.astype(v.dtype) > 0, v)


def _nan_where(mask: np.ndarray, like: Any) -> np.ndarray:
    """Return nan where the mask is True, else 0, in the precision of ``like``."""
    return np.where(mask, np.nan, 0.0).astype(like.dtype)


def _numbers(x: Any) -> Any:
    """Return the numbers in ``x``, only to look at them."""
    return np.asarray(x.data if isinstance(x, Tensor) else x)
