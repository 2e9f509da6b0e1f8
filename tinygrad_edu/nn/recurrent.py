"""Recurrent layers: they walk through a sequence and carry a state along."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.nn.initializers import Initializer
from tinygrad_edu.nn.layer import Layer
from tinygrad_edu.nn.parameters import drawn, positive
from tinygrad_edu.randomness import RandomSource, generator

__all__ = ["LSTM", "RNN"]


class _Recurrent(Layer):
    """What both have in common: the weights, the input's part, and the checks."""

    independent_rows = True
    bias_starts: tuple[float, ...] = (0.0,)  # for each weighted sum that a step takes

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        init: str | Initializer = "glorot_uniform",
        rng: RandomSource = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        size, hidden = positive(self, input_size=input_size, hidden_size=hidden_size)
        self.hidden_size = hidden
        rng = generator(rng)

        def weight(name: str, size: int) -> Tensor:
            # One matrix for each sum: the initialiser looks at the sizes.
            shape = (hidden, size)
            rows = np.concatenate(
                [drawn(self, init, shape, rng) for _ in self.bias_starts]
            )
            return tensor(rows, requires_grad=True, name=name, dtype=dtype)

        self.weight_ih = weight("weight_ih", size)
        self.weight_hh = weight("weight_hh", hidden)
        bias = np.repeat(self.bias_starts, hidden)
        self.bias = tensor(bias, requires_grad=True, name="bias", dtype=dtype)

    def _from_input(self, x: Any) -> list[Any]:
        """Return the input's part of the weighted sums, (N, K) for each time."""
        size = self.weight_ih.shape[1]
        if np.ndim(x) != 3 or np.shape(x)[1] == 0 or np.shape(x)[2] != size:
            self.refuse(x, f"it must be (N, T, {size}), with one time at least")
        x = ops.swapaxes.call(x, axis1=0, axis2=1)  # each time lies together in memory
        return _times(ops.linear.call(x, self.weight_ih, self.bias))

    def _state(self, state: Any, x: Any) -> Any:
        """Return the state to start from: what was given, or zeros."""
        shape = (np.shape(x)[0], self.hidden_size)
        if state is None:
            return np.zeros(shape, self.weight_hh.dtype)
        if np.shape(state) != shape:
            self.refuse(x, f"its state must be {shape}, not {np.shape(state)}")
        return state

    def extra_repr(self) -> str:
        """Return the sizes: ``8 -> 16``."""
        return f"{self.weight_ih.shape[1]} -> {self.hidden_size}"


def _times(x: Any) -> list[Any]:
    """Cut (T, N, K) into T pieces (N, K), by way of quarters of quarters.

    The gradient of a cut is as large as what was cut. One by one, they would add up to
    T² N K numbers instead of some T log T N K: of an LSTM of 64, 32 rows and 200 times,
    backward took 320 ms instead of 60.
    """
    if len(x) <= 8:
        return [x[t] for t in range(len(x))]
    size = math.ceil(len(x) / 4)
    quarters = [x[start : start + size] for start in range(0, len(x), size)]
    return [piece for quarter in quarters for piece in _times(quarter)]


class RNN(_Recurrent):
    """A recurrent layer: its output at each time goes back in at the next.

    Parameters
    ----------
    input_size : int
        Length F of the vector that comes in at each time.
    hidden_size : int
        Length H of the vector that goes out.
    init : str or callable, default "glorot_uniform"
        A name from :mod:`tinygrad_edu.nn.initializers`, or a function of a shape and a
        random generator that returns an array.
    rng : int, Generator, RandomState or None
        Where the weights are drawn from.
    dtype : dtype, default float64

    Attributes
    ----------
    weight_ih : Tensor, shape (H, F)
        From the input to the hidden state.
    weight_hh : Tensor, shape (H, H)
        From the hidden state before.
    bias : Tensor, shape (H,)
        It starts at 0. PyTorch has two, of which only the sum counts.

    Raises
    ------
    ValueError
        If a size is not positive; when called, if a shape does not fit.

    Notes
    -----
    hₜ = tanh(W_ih xₜ + b + W_hh hₜ₋₁); the derivatives are those of its operations,
    which :func:`tinygrad_edu.gradients` follows back through time. Source: J. L. Elman,
    "Finding structure in time", Cognitive Science 14, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.RNN(3, 4, rng=0)
    >>> layer(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def forward(self, x: Any, state: Any = None, *, return_state: bool = False) -> Any:
        """Return the hidden states, and the last one where it is asked for.

        Parameters
        ----------
        x : Tensor or array_like, shape (N, T, F)
        state : Tensor or array_like, shape (N, H), optional
            h at the time before the first; zeros unless given.
        return_state : bool, default False

        Returns
        -------
        Tensor, shape (N, T, H)
            Or a pair of it and the last hidden state, shape (N, H), from which another
            call goes on.
        """
        h = self._state(state, x)
        hidden = []
        for z in self._from_input(x):
            h = ops.tanh.call(ops.linear.call(h, self.weight_hh, z))
            hidden.append(h)
        output = ops.stack.call(hidden, axis=1)
        return (output, h) if return_state else output


class LSTM(_Recurrent):
    """Long short-term memory: a recurrent layer whose gates say what is remembered.

    Parameters
    ----------
    input_size : int
        Length F of the vector that comes in at each time.
    hidden_size : int
        Length H of the vector that goes out, and of the memory.
    init : str or callable, default "glorot_uniform"
        A name from :mod:`tinygrad_edu.nn.initializers`, or a function of a shape and a
        random generator that returns an array; asked for each gate by itself.
    rng : int, Generator, RandomState or None
        Where the weights are drawn from.
    dtype : dtype, default float64

    Attributes
    ----------
    weight_ih : Tensor, shape (4 H, F)
        From the input; the rows are those of i, f, g and o, in this order.
    weight_hh : Tensor, shape (4 H, H)
        From the hidden state before, likewise.
    bias : Tensor, shape (4 H,)
        It starts at 1 for f, so that the memory lasts from the beginning, else at 0.
        PyTorch has two, of which only the sum counts.

    Raises
    ------
    ValueError
        If a size is not positive; when called, if a shape does not fit.

    Notes
    -----
    (i, f, g, o) = W_ih xₜ + b + W_hh hₜ₋₁, then cₜ = σ(f) cₜ₋₁ + σ(i) tanh(g) and
    hₜ = σ(o) tanh(cₜ); the derivatives are those of its operations. Sources:
    S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9,
    1997; for the forget gate f, F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to
    forget: continual prediction with LSTM", Neural Computation 12, 2000; for its bias
    of 1, R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of
    recurrent network architectures", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> layer = te.nn.LSTM(3, 4, rng=0)
    >>> first, state = layer(np.ones((2, 5, 3)), return_state=True)
    >>> layer(np.ones((2, 7, 3)), state).shape  # goes on where the first one ended
    (2, 7, 4)
    """

    bias_starts = (0.0, 1.0, 0.0, 0.0)  # i, f, g, o

    def forward(self, x: Any, state: Any = None, *, return_state: bool = False) -> Any:
        """Return the hidden states, and the last state where it is asked for.

        Parameters
        ----------
        x : Tensor or array_like, shape (N, T, F)
        state : pair of Tensor or array_like, shape (N, H), optional
            h and c at the time before the first; zeros unless given.
        return_state : bool, default False

        Returns
        -------
        Tensor, shape (N, T, H)
            Or a pair of it and the last state, (h, c), from which another call goes on.
        """
        if state is None:
            state = (None, None)
        elif not isinstance(state, tuple | list) or len(state) != 2:
            self.refuse(x, "its state must be a pair (h, c)")
        h, c = (self._state(part, x) for part in state)
        hidden = []
        for z in self._from_input(x):
            z = ops.linear.call(h, self.weight_hh, z)  # (N, 4 H)
            c = ops.lstm_memory.call(z, c)
            h = ops.lstm_output.call(z, c)
            hidden.append(h)
        output = ops.stack.call(hidden, axis=1)
        return (output, (h, c)) if return_state else output
