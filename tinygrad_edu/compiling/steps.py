"""``te.compile(model, loss, optimizer)``: a whole training step as one program."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat
from math import inf
from operator import itemgetter, setitem
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from tinygrad_edu.compiling.forms import Compiled, Trace
from tinygrad_edu.compiling.reading import Source, derived
from tinygrad_edu.compiling.seen import Seen
from tinygrad_edu.compiling.tape import Untraceable
from tinygrad_edu.compiling.tracing import Number, State
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.creation import INDICES
from tinygrad_edu.files import written_atomically
from tinygrad_edu.optim.optimizer import Optimizer

__all__ = ["CompiledGradients", "CompiledStep"]

_SEEN_TO = frozenset({"param_groups", "state", "_alone"})  #: of an optimiser, here


class CompiledStep(Compiled):
    """A training step that runs as a program of NumPy's calls.

    Made by :func:`tinygrad_edu.compile`.

    Parameters
    ----------
    model : callable
        As a rule a layer.
    loss : callable
        ``loss(model(X), y)`` is a Tensor of a single number.
    optimizer : Optimizer
        Of the model's parameters.
    backend : {"numpy", "numba", "jax"}

    Attributes
    ----------
    model, loss, optimizer

    Raises
    ------
    Untraceable
        When called: if one of them does what no program can hold.
    TypeError
        When called: without labels, or if the loss returns something else.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> model = te.nn.Linear(1, 1, rng=0)
    >>> model.weight.data = [[1.0]]
    >>> optimizer = te.optim.SGD(model.parameters(), lr=0.25)
    >>> step = te.compile(model, te.nn.mse_loss, optimizer)
    >>> step(np.array([[1.0]]), np.array([[3.0]]))
    np.float64(4.0)
    >>> model.weight.data, model.bias.data
    (array([[2.]]), array([1.]))
    >>> len(step.source.splitlines())
    59
    >>> path = step.save("/tmp/step.py")  # doctest: +SKIP
    """

    def __init__(
        self, model: Any, loss: Any, optimizer: Optimizer, backend: str = "numpy"
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer

        def step(*batch: Any) -> Any:
            *inputs, labels = batch
            value = loss(model(*inputs), labels)
            if type(value) is not Tensor or value.size != 1:
                raise TypeError(
                    "te.compile: the loss must return a Tensor of a single number, "
                    f"computed from the model's output, got {type(value).__name__}"
                )
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            return value

        super().__init__(step, backend)
        self._parameters = None
        self._sources: WeakKeyDictionary[Trace, Source] = WeakKeyDictionary()
        self._ready: Any = None  # the function of a trace, for which the lists hold
        self._moved: list[Tensor] = []
        self._states: list[Any] = []
        self._numbers: list[Number] = []

    def __reduce__(self) -> Any:
        return type(self), (self.model, self.loss, self.optimizer)

    def __call__(self, *batch: Any) -> Any:
        """Make a step; return the loss before it, as one of NumPy's numbers."""
        with self._lock, self.optimizer._alone:
            return self._call(batch, {})

    # -- to read
    @property
    def source(self) -> Source:
        """The module of loss and gradients, to be read: it needs NumPy alone.

        Raises
        ------
        RuntimeError
            Before the first call.
        Untraceable
            If there is no readable form of an operation or of the loss.
        """
        if not self._traces:
            raise RuntimeError(
                "te.compile: there is no source before the shapes are known; call the "
                "step once, or step.trace(X, y)"
            )
        trace = self._traces[0]
        if trace not in self._sources:
            values = [trace.program.values[ref] for ref in trace.program.inputs]
            if len(values) != 2:
                raise Untraceable("te.compile: the source is of one input and labels")
            shapes, labels = values[0].shape, len(values[1].shape)
            self._sources[trace] = derived(self.model, self.loss, shapes, labels)
        return self._sources[trace]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write :attr:`source` to a file.

        Parameters
        ----------
        path : str or path
            Such as ``"step.py"``.

        Returns
        -------
        Path
        """
        path = Path(path)
        with written_atomically(path) as file:
            file.write(self.source.encode())
        return path

    # -- a call
    def _run(self, trace: Trace, leaves: Sequence[Any]) -> Any:
        if trace._run is not self._ready:
            self._prepare(trace)
        optimizer, states = self.optimizer, self._states
        for group in optimizer.param_groups:
            lr = group["lr"]
            if type(lr) is not float or not 0 <= lr < inf:
                optimizer.check_number(group, "lr")
        for p in self._moved:
            if p._prints is not None and not p._numbers.flags.writeable:  # it was lent
                raise optimizer._not_writeable(p)
        moved = self._moved
        then = chain(
            map(setitem, states, repeat("step"), [s["step"] + 1 for s in states]),
            map(setattr, self._parameters_of_all, repeat("_grad"), repeat(None)),
            # newer than every graph that used them
            map(setattr, moved, repeat("_index"), INDICES),
            map(setattr, moved, repeat("_changed"), INDICES),
        )
        numbers = [read(owner) for owner, read in self._reads]
        return trace._execute([*leaves, *numbers], then)

    def _prepare(self, trace: Trace) -> None:
        """List what is read before, and written after, the calls of a trace."""
        state = self._state()
        numbers = [state.numbers[i] for i in trace.reads]
        self._reads = [(n.owner, _reader(n)) for n in numbers]
        self._parameters_of_all = [
            p for group in self.optimizer.param_groups for p in group["params"]
        ]
        written = {id(trace.captured[i]) for i in trace.written}
        self._moved = [p for p in self._parameters_of_all if id(p._numbers) in written]
        self._states = [self.optimizer.state[p] for p in self._moved]
        self._ready = trace._run

    def _made(self, leaves: Any, forms: Any, key: Any, why: str) -> Trace:
        if type(forms) is not int or forms < 2:
            raise TypeError(
                "te.compile: a step takes arrays, the inputs and the labels: step(X, y)"
            )
        return super()._made(leaves, forms, key, why)

    # -- the optimiser
    def _seen(self) -> Seen:
        seen = Seen([("model", self.model), ("loss", self.loss)])
        seen.watch(vars(self.optimizer), "param_groups", "the optimizer's groups")
        seen.watch_entries(self.optimizer.param_groups, "the optimizer's groups")
        for i, group in enumerate(self.optimizer.param_groups):
            seen.watch(group, "params", f"the parameters of group {i}")
            seen.add("the parameters", group["params"])
            for name, x in group.items():
                if name != "params" and type(x) is not float:
                    seen.add_place(group, name, f"{name} of group {i}")
        held = vars(self.optimizer)
        for name in sorted(held.keys() - _SEEN_TO):
            seen.add_place(held, name, f"optimizer.{name}")
        seen.add("the optimizer", type(self.optimizer))
        seen.note()
        return seen

    def _state(self) -> State:
        found, optimizer = State(), self.optimizer
        found.places.append((vars(optimizer), "state"))
        for i, group in enumerate(optimizer.param_groups):
            for name, x in group.items():
                if type(x) is float:
                    found.numbers.append(
                        Number(group, name, None, f"{name} of group {i}")
                    )
                elif isinstance(x, tuple) and all(type(y) is float for y in x):
                    found.numbers += [
                        Number(group, name, j, f"{name}[{j}] of group {i}")
                        for j in range(len(x))
                    ]
            names = optimizer.keeps(group)
            for p in group["params"]:
                if not p._tracked:
                    continue
                state = optimizer._state_of(p, ("scratch", *names))
                found.scratch.append((state, "scratch"))
                found.places.append((optimizer.state, p))
                found.places += [(state, name) for name in names]
                of = p.name or "a parameter"
                found.arrays += [(state, name, f"{name} of {of}") for name in names]
                found.numbers.append(Number(state, "step", None, f"the steps of {of}"))
        check = partial(_unchecked, optimizer)
        found.silenced.append((optimizer, "check_number", check))
        return found

    def _undo(self) -> Callable[[], None]:
        undo = super()._undo()
        before = [(s, dict(s)) for s in self.optimizer.state.values()]
        held = {k: x for k, x in vars(self.optimizer).items() if k not in _SEEN_TO}

        def undo_all() -> None:
            undo()
            for state, past in before:
                state.update(past)
            now = {k: x for k, x in vars(self.optimizer).items() if k not in _SEEN_TO}
            for name in now.keys() | held.keys():
                if now.get(name) is not held.get(name):
                    raise Untraceable(
                        f"te.compile: the optimizer assigns self.{name} in a step, "
                        "which a program does not; keep it in state[...], an array"
                    )

        return undo_all

    def _left(self) -> list[Any]:
        return [s["step"] for s in self.optimizer.state.values()]

    def __repr__(self) -> str:
        names = [type(x).__name__ for x in (self.model, self.loss, self.optimizer)]
        names[1] = getattr(self.loss, "__name__", names[1])
        return f"<compiled step of {', '.join(names)}>"


class CompiledGradients(Compiled):
    """Loss, output and gradients of a batch as a program; the update is not in it.

    Parameters
    ----------
    model : callable
    loss : callable
    parameters : list of Tensor
        Whose gradients are wanted.
    backend : {"numpy", "numba", "jax"}
    """

    def __init__(
        self,
        model: Any,
        loss: Any,
        parameters: Sequence[Tensor],
        backend: str = "numpy",
    ) -> None:
        self._roots = [("model", model), ("loss", loss), ("parameters", parameters)]

        def gradients(X: Any, y: Any, share: float) -> Any:
            """Return loss, output and gradients; of a part of all rows, its share."""
            for p in parameters:
                p._grad = None
            output = model(*X) if type(X) is tuple else model(X)
            value = loss(output, y)
            if share != 1:
                value = value * share
            if type(value) is not Tensor or value.size != 1:
                raise TypeError(
                    "fit: the loss must return a Tensor of a single number, computed "
                    f"from the output by te's or NumPy's functions, got "
                    f"{type(value).__name__}"
                )
            value.backward()
            found = [p._grad for p in parameters]
            for p in parameters:
                p._grad = None
            return value, output, found

        super().__init__(gradients, backend)

    def _seen(self) -> Seen:
        return Seen(self._roots)


def _reader(number: Number) -> Callable[[Any], Any]:
    if number.index is None:
        return itemgetter(number.key)
    key, index = number.key, number.index
    return lambda owner: owner[key][index]


def _unchecked(optimizer: Any, group: Any, name: str, **_: Any) -> None:
    """Stand for the check of options that are stand-ins; each call checks them."""
