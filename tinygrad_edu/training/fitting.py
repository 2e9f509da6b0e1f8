"""fit: a model, data, a loss and an optimiser, epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

from tinygrad_edu import nn, optim
from tinygrad_edu.engine.memory import keep_freed_memory
from tinygrad_edu.nn.borrowing import in_training_mode
from tinygrad_edu.randomness import RandomSource
from tinygrad_edu.training.history import History
from tinygrad_edu.training.moments import Training
from tinygrad_edu.training.run import Run, interruptible
from tinygrad_edu.training.steps import step_for

__all__ = ["fit"]


def fit(
    model: nn.Layer,
    X: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any],
    optimizer: optim.Optimizer,
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool = True,
    validation: Any = None,
    metrics: Any = (),
    callbacks: Iterable[Any] = (),
    progress: bool | str = True,
    checkpoint: str | os.PathLike[str] | None = None,
    rng: RandomSource = None,
    client: Any = None,
    compile: bool | Literal["numba"] = False,
) -> History:
    """Train a model.

    Parameters
    ----------
    model : Layer
        Is in training mode while it learns, in evaluation mode for the validation, and
        afterwards in the mode in which it was.
    X : ndarray, shape (n, ...), tuple of ndarray, iterable or callable
        One example in each row; a memory map, of which only the rows of a batch are
        read, or anything with a length that an integer array can index, will do. A
        tuple holds the inputs of a model that takes several.

        Or, without ``y``, the batches of an epoch as pairs (X_batch, y_batch): a list,
        another iterable that can be gone through again, or a function that is given a
        generator and returns them: ``lambda rng: te.data.batches(X, y, 64, rng=rng,
        augment=shifted)``.
    y : ndarray, shape (n, ...), optional
        The labels or targets.
    loss : callable
        ``loss(output, y_batch)`` returns a Tensor of a single number, such as
        ``te.nn.mse_loss``.
    optimizer : Optimizer
        Made with the model's parameters.
    epochs : int
        How often to go through the data, in total: also over several calls with one
        ``checkpoint``.
    batch_size : int, optional
        Rows in a mini-batch, each of which is a step. Without it, all rows are one
        step: gradient descent on the full batch. If the model's rows are independent
        and the loss is a mean over rows (see Notes), it is computed from 1,000 rows at
        a time: the same step to rounding, in the memory of a small one.
    shuffle : bool, default True
        Whether mini-batches are drawn in a new order in each epoch.
    validation : pair (X, y) or float, optional
        Data to measure on after each epoch, or the share of the rows, between 0 and 1,
        that is drawn for it before training begins.
    metrics : str, callable, or a list or dict of them
        As for :func:`tinygrad_edu.evaluate`; ``"accuracy"``.
    callbacks : iterable
        Each is called as ``callback(training)`` after each epoch, in their order; see
        :class:`.Training` for what it is given. A ``te.optim.schedules.Schedule``, or
        anything else with a ``step``, is stepped instead. :class:`.EveryBatch` and
        :class:`.BeforeStep` call one more often. ``OneCycle()`` and
        ``CosineAnnealing()`` without a number of steps last as long as the training.
    progress : bool or "bar", default True
        Whether to show a bar, in a terminal or notebook, and a line for each epoch
        where the output is piped; "bar" shows no lines.
    checkpoint : path, optional
        A folder in which the state of the run is kept: at the end of each epoch, and
        inside a long one each minute. If it holds a run already, that one goes on.
    rng : int, Generator, RandomState or None
        Where orders and the rows for validation are drawn from. The seed is a part of
        the run: a checkpoint of a run with another one is refused.
    client : dask.distributed.Client, optional
        Of a cluster on whose workers the rows lie and the gradients are computed; see
        Notes. It takes ``pip install 'tinygrad_edu[distributed]'``.
    compile : bool or "numba", default False
        Compute loss and gradients by a program, as :func:`tinygrad_edu.compile` makes
        one: with the same bits, in less time. What no program can hold is an error
        before the first step. "numba" compiles loops, too: the same but for rounding,
        and so a run of its own for checkpoints.

    Returns
    -------
    History
        "loss" and the metrics are means over the batches as they were learned from,
        before each step; those of ``"validation_..."`` are measured at the epoch's end.
        A metric that is no mean over rows is computed from all outputs of the epoch.
        "learning_rate" is that of the epoch's last step, of the first group; "seconds"
        is how long learning took, without validation, so that runs can be compared.

    Raises
    ------
    NonFiniteError
        If the loss, a gradient or a parameter becomes nan or infinite. It says where
        from, and what usually helps; ``error.history`` has the epochs before. The model
        is as after the last step, and no checkpoint is written of it.
    TypeError, ValueError
        If the data do not fit together or the checkpoint belongs to another run: then
        training has not begun.
    RuntimeError
        If another run writes into ``checkpoint`` at the moment: then training has not
        begun.
    OSError
        If nothing can be written into ``checkpoint``: then training has not begun. A
        ``ConnectionError`` if the scheduler of ``client`` is lost.

    Warns
    -----
    UserWarning
        Of common mistakes, once, as of a schedule whose number of steps is not that of
        the training, or of columns of X that are large; of a loss whose mean over an
        epoch is more than 100 times that of the first batch; of a damaged checkpoint,
        which is passed over.
    RuntimeWarning
        If a checkpoint cannot be written, since the disk is full. Training goes on, and
        tries again with the next one: its result is in the model in any case.

    Notes
    -----
    Ctrl-C ends training after the current step, with the history of the epochs so far
    and, if there is a folder, a checkpoint; ``history.stopped`` is then "interrupted".
    A second Ctrl-C raises ``KeyboardInterrupt`` at once; then, too, parameters and
    optimiser are as after a whole step, and modes and recording as before.

    **Full batches.** A layer says by ``independent_rows`` that no row of its output
    depends on another row, and a loss by ``loss.mean_over_rows = True`` that it is a
    plain mean: those of ``te.nn`` do. A lambda does not, and runs as one graph.

    **On a cluster**, arrays are sent to the workers once; dask arrays stay there; of
    memory maps, and of other objects that pickle can send, each worker reads its rows
    itself. In each step the workers add up the gradients of their rows, in an order
    that depends on the number of rows and the batch size alone: whatever the number of
    workers, the run has the same bits, and that without ``client`` the same numbers to
    rounding. The optimiser, callbacks and the validation run here. Layers and losses
    must be as for full batches above; others are refused. A worker that is lost costs
    the time to send its rows to the others.

    **Checkpoints** hold all that the rest of the run depends on, so that a run that was
    killed at any moment ends, on the same machine, with the same bits: weights and
    buffers, the optimiser, callbacks that have ``state_dict`` and ``load_state_dict``,
    the history, the position in the epoch, and random generators: that of ``rng`` and
    those in attributes of layers, of the optimiser and of the loss. What draws from
    elsewhere, such as NumPy's global generator, is not covered. The last three are
    kept. If the newest is damaged, a warning names it, and the one before is used. A
    folder whose run has had all its epochs, or was stopped by a callback, gives the
    final weights back at once; with more ``epochs`` it goes on. A run whose schedule
    lasts as long as the training does not: with other ``epochs`` from the first, it
    would have had other learning rates.

    If ``rng`` is given, it must be what the run began with, as when a script is started
    again, or what it has come to: ``fit`` leaves a generator as it is in the last
    checkpoint, also after an error, so that the same call goes on. Without ``rng``, the
    checkpoint's is taken.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> X, y, X_test, y_test = te.data.load_digits()
    >>> model = te.nn.Sequential(
    ...     te.nn.Linear(64, 32, rng=0), te.nn.ReLU(), te.nn.Linear(32, 10, rng=1)
    ... )
    >>> history = te.fit(
    ...     model, X, y, loss=te.nn.softmax_cross_entropy, metrics="accuracy",
    ...     optimizer=te.optim.Adam(model.parameters(), lr=0.01), epochs=10,
    ...     batch_size=50, validation=0.1, progress=False, rng=0,
    ... )
    >>> history["validation_accuracy"][-1] > 0.95
    True
    """
    given: Any = model
    if not isinstance(given, nn.Layer):
        raise TypeError(f"fit: model must be a Layer, got {type(given).__name__}")
    given = optimizer
    if not isinstance(given, optim.Optimizer):
        kind = type(optimizer).__name__
        hint = "; write te.optim.SGD(model.parameters(), lr=...)"
        raise TypeError(f"fit: optimizer must be an Optimizer, got {kind}{hint}")
    given = epochs
    if not isinstance(given, int | np.integer) or isinstance(given, bool):
        raise TypeError(f"fit: epochs must be an int, got {given!r}")
    if epochs < 1:
        raise ValueError(f"fit: epochs must be at least 1, got {epochs}")
    given = checkpoint
    if given is not None and not isinstance(given, str | os.PathLike):
        kind = type(given).__name__
        raise TypeError(f"fit: checkpoint must be the path of a folder, got {kind}")
    if not isinstance(progress, bool) and progress != "bar":
        raise ValueError(
            f'fit: progress must be True, False or "bar", got {progress!r}'
        )
    keep_freed_memory()
    training = Training(model, optimizer, loss, int(epochs))
    if not isinstance(compile, bool) and compile != "numba":
        raise TypeError(
            f'fit: compile must be True or False or "numba", got {compile!r}'
        )
    step = step_for(training, client, compile)
    with interruptible() as interrupt, in_training_mode(model), step.surroundings():
        run = Run(
            training,
            step,
            interrupt,
            metrics=metrics,
            callbacks=callbacks,
            progress=progress,
            checkpoint=checkpoint,
            rng=rng,
        )
        return run.train(X, y, batch_size, shuffle, validation)
