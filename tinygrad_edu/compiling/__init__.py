"""A step as a program: to read, to take away, and to run without the interpreter.

Forwards and rules are plain NumPy. So the engine's own code, run on stand-ins for its
arrays, writes down all that it computes; that is a program. In the order in which to
read them:

- ``program``: what a program is, plain data: values, and calls of NumPy's functions;
- ``standins``, ``tape``, ``door``: how a function is run on stand-ins. They answer to
  NumPy's dispatch, and the tape computes and writes down. What makes arrays of anything
  (``np.asarray``, ``np.zeros``) asks nobody: so the engine's modules see another ``np``
  while a function is traced. What is not traced pays nothing for all this;
- ``seen``: what the function sees besides its arguments (closure, globals, attributes);
  numbers and flags by value, arrays by reference. It is looked at before each call;
- ``tracing``: one trace, after which everything is as it was before; and what differs
  between two;
- ``passes``: dead calls, common ones, copies; every bit stays as it was;
- ``buffers``: which results lie in memory that is kept, and which share it;
- ``printer``: Python over these buffers: numbered names, assignments and calls;
- ``jitted``: the program under ``jax.jit``, in its place;
- ``forms``, ``steps``: ``te.compile`` of functions and of training steps: traces by
  what the arguments are, the comparison with the engine at the first call;
- ``loops``, ``kernels``: with numba, which calls become one loop, its text, where it is
  kept, and how it is compared with NumPy;
- ``formulas``, ``reading``: the other program, to be read, from the recorded graph.

A call that depends on numbers has one of three forms. A *guard* asks in the program
what the engine asked in the trace, and where the answer is another one, the function
is traced again, in which the engine also raises its own errors. What fixes up a few
entries is *one call* of the engine's own function. A value that the user's code would
take out of the trace, and a shape that depends on numbers, is *refused*:
``Untraceable`` says where.

With NumPy a pass decides where results lie, never what is computed: the operands, their
order, their layout in memory. A quicker order of sums goes into the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, overload

from tinygrad_edu.compiling.forms import Compiled, Trace
from tinygrad_edu.compiling.steps import CompiledStep
from tinygrad_edu.compiling.tape import Untraceable

__all__ = ["Compiled", "CompiledStep", "Trace", "Untraceable", "compile"]


Backend = Literal["numpy", "numba", "jax"]


@overload
def compile(f: Callable[..., Any], /, *, backend: Backend = ...) -> Compiled: ...
@overload
def compile(
    model: Any, loss: Any, optimizer: Any, /, *, backend: Backend = ...
) -> CompiledStep: ...
@overload
def compile(*, backend: Backend) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(*what: Any, backend: str = "numpy") -> Any:
    """Make a function, or a whole training step, run as a program of NumPy's calls.

    Parameters
    ----------
    *what
        A function of arrays: also a layer, or ``te.grad(f)``, ``te.value_and_grad(f)``
        and their like. Or three: a model, its loss and an optimiser. None: what takes
        the function is returned, to be a decorator.
    backend : {"numpy", "numba", "jax"}
        With numba (``pip install 'tinygrad_edu[fast]'``) chains of elementwise calls
        and sums of short rows are compiled loops; products and all else stay with
        NumPy. With JAX (``pip install 'tinygrad_edu[jax]'``) all runs under
        ``jax.jit``, on the device that JAX takes.

    Returns
    -------
    Compiled or CompiledStep
        Of a function one that takes and returns arrays, numbers and trees of them. Of
        a model ``step(X, y)``: forward pass, loss, backward pass and update; it returns
        the loss before the update, and keeps no gradients.

    Raises
    ------
    TypeError
        If it is neither; when called, if an argument is a Tensor or the like.
    ValueError, ImportError
        If there is no such backend, or it is not installed.
    Untraceable
        When called: if the function does what no program can hold. It says what, in
        which line, and what to do.

    Notes
    -----
    At the first call for arguments of a kind (shapes, dtypes, memory order) a function
    runs up to four times: on stand-ins, which writes the program down; on others with
    other numbers, which must give the same program; and in the engine, with which the
    program's results are compared, bit by bit. Parameters, buffers and generators are
    put back each time. What else a function does, such as printing, happens then, and
    never again. Four programs are kept.

    Numbers, flags and arrays that the function sees are looked at before each call.
    Rates, betas and step counts are read anew; layers draw their random numbers from
    the same generators. An error leaves parameters, buffers and optimiser as they were.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> slope = te.compile(te.grad(lambda x: te.sum(x**3)))
    >>> slope(np.array([1.0, 2.0]))
    array([ 3., 12.])

    A training step:

    >>> model = te.nn.Linear(2, 1, rng=0)
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.01)
    >>> step = te.compile(model, te.nn.mse_loss, optimizer)
    >>> X, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [2.0]])
    >>> losses = [step(X, y) for _ in range(100)]
    >>> losses[-1] < losses[0]
    np.True_
    >>> step.explain().endswith("bytes of buffers: the first call")
    True
    >>> print(step.source.split("# backward")[1].split("return")[0])
    <BLANKLINE>
        dZ = 2 * (Z - Y) / 2           # (2, 1)
        dW = dZ.T @ X                  # (1, 2)
        db = dZ.sum(axis=0)            # (1,)
    <BLANKLINE>
    """
    if not what and backend != "numpy":
        return partial(compile, backend=backend)
    if len(what) == 1:
        if not callable(what[0]):
            raise TypeError(
                f"te.compile: expected a function, got a {type(what[0]).__name__}"
            )
        return Compiled(what[0], backend)
    if len(what) != 3:
        raise TypeError(
            "te.compile takes a function, te.compile(f), or a model, its loss and an "
            f"optimizer, te.compile(model, loss, optimizer); got {len(what)} arguments"
        )
    return CompiledStep(*what, backend)
