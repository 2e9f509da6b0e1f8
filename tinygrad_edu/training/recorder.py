"""What checkpoints hold of a run, when they are written, and whose run they are of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from tinygrad_edu import nn, optim
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.nn.borrowing import generators_in
from tinygrad_edu.optim.schedules import Schedule
from tinygrad_edu.randomness import Random, set_state, state_of
from tinygrad_edu.training.checkpoints import Checkpoints, Found, encode
from tinygrad_edu.training.faults import trained
from tinygrad_edu.training.moments import Training, inner
from tinygrad_edu.training.progress import warn

__all__ = ["Parts", "Recorder", "name_of", "others"]

SECONDS_BETWEEN = 60.0  # from one checkpoint to the next inside an epoch


class Recorder:
    """Keeps a run in a folder, and takes it up from there.

    Parameters
    ----------
    folder : path
    parts : Parts
        Of the run.
    """

    def __init__(self, folder: str | os.PathLike[str], parts: Parts) -> None:
        self._parts, self._checkpoints = parts, Checkpoints(folder)
        self._written_at = time.perf_counter()
        self._failed: OSError | None = None  # why the last one was not written
        self._kept: dict[str, Any] | None = None  # fit's generator in the last one

    def alone(self) -> AbstractContextManager[None]:
        """Keep other runs out of the folder; raise if one is there."""
        return self._checkpoints.alone()

    # -- before the first batch
    def newest(self, facts: Mapping[str, Any], epochs: int) -> Found | None:
        """Return the checkpoint to go on from, if there is one; refuse another run's.

        ``facts`` are what can be said of the run, besides its parts.
        """
        self._parts.describe(facts)
        found = self._checkpoints.newest()
        if found is not None:
            self._parts.check(found, epochs)
        return found

    def begin(self, found: Found | None) -> None:
        """Let fit's generator draw from where the run began, and remember that."""
        self._parts.begin(found)

    def check(self, state: dict[str, Any]) -> None:
        """Say now what no checkpoint could hold."""
        encode(self._parts.state_dict() | state)

    def load(self, found: Found) -> None:
        """Give the parts of the run the state that they had."""
        self._parts.load_state_dict(found.state)

    def load_generators(self, found: Found) -> None:
        """Let all generators draw on as they would have, when nothing else draws."""
        self._parts.load_generators(found.state)
        self._kept = found.state["generators"]["fit"]

    # -- while it goes on
    @property
    def is_due(self) -> bool:
        """Whether, inside an epoch, it is time for another one."""
        return time.perf_counter() - self._written_at >= SECONDS_BETWEEN

    def write(self, state_of_run: Callable[[], dict[str, Any]]) -> float:
        """Write a checkpoint; return how long it took, in s."""
        begun = time.perf_counter()
        try:
            state = self._parts.state_dict() | state_of_run()
            self._checkpoints.write(state["done"], state["batch"], state)
            self._kept = state["generators"]["fit"]
            self._failed = None
        except OSError as error:
            self._failed = error
            warn(
                f"fit: no checkpoint could be written into {self._checkpoints.folder} "
                f"({error}). Those written before are whole. Training goes on, and "
                "tries again with the next one",
                RuntimeWarning,
            )
        self._written_at = time.perf_counter()
        return self._written_at - begun

    # -- at the end
    def leave(self) -> None:
        """Leave fit's generator as in the last one, so that the same call goes on."""
        if self._kept is not None:
            set_state(self._parts.rng, self._kept)

    def say_what_is_missing(self) -> None:
        """Warn if the end of the run is in no checkpoint."""
        if self._failed is not None:
            warn(
                "fit: the end of the training is in no checkpoint "
                f"({self._failed}). The result is in the model: te.save(model, path) "
                "keeps it elsewhere",
                RuntimeWarning,
            )


class Parts:
    """Model, optimiser, loss, callbacks and random generators of a run.

    Parameters
    ----------
    training : Training
    callbacks : list
    rng : Generator or RandomState
        That of ``fit``. Those in attributes of the others are found.
    is_seeded : bool
        Whether it came from the user, and must be that of a checkpoint.
    """

    def __init__(
        self, training: Training, callbacks: list[Any], rng: Random, is_seeded: bool
    ) -> None:
        self.model, self.optimizer = training.model, training.optimizer
        self.loss, self.callbacks, self.rng = training.loss, callbacks, rng
        self._given = state_of(rng) if is_seeded else None
        self._begun: dict[str, Any] = {}  # the state of rng as the run began
        self._facts: dict[str, Any] = {}
        held = generators_in(self.model, self.optimizer, self.loss)
        self._generators = [("fit", rng), *(x for x in held if x[1] is not rng)]
        self._stateful = [
            c
            for c in map(inner, callbacks)
            if hasattr(c, "state_dict") and hasattr(c, "load_state_dict")
        ]

    # -- as text
    def describe(self, more: Mapping[str, Any]) -> None:
        """Gather what tells this run from others: all that is known here, and more."""
        self._facts = {
            "model": _model_facts(self.model),
            "optimizer": _optimizer_facts(self.optimizer, self.callbacks),
            "loss": name_of(self.loss),
            "generators": {name: _kind_of(rng) for name, rng in self._generators},
            **more,
        }

    def check(self, found: Found, epochs: int) -> None:
        """Refuse a checkpoint of another run.

        Raises
        ------
        ValueError
        """
        wrong = self._differences(found.state)
        if not found.has_ended(epochs):
            wrong += self._other_lengths(found.state["epochs"], epochs)
        if wrong:
            lines = "\n  ".join(wrong)
            raise ValueError(
                f"fit: the checkpoint {found.path} belongs to another run:\n  {lines}\n"
                "Pass another folder as checkpoint=, or what that run was made with"
            )

    def _differences(self, state: Mapping[str, Any]) -> list[str]:
        """Say in what the run of a checkpoint differs from this one, in lines."""
        run, facts = state["run"], self._facts
        if facts["optimizer"] == state["optimizer_now"]:  # it has been trained with
            run = run | {"optimizer": facts["optimizer"]}
        wrong = differences(run, facts)
        waiting = [type(callback).__name__ for callback in self._stateful]
        for kept in state["callbacks"]:
            kind = kept["class"]
            if kind in waiting:
                waiting.remove(kind)
            else:
                wrong.append(f"callbacks: {kind} in the checkpoint, not here")
        given = self._given
        same_kind = run["generators"]["fit"] == facts["generators"]["fit"]
        known = state["begun"], state["generators"]["fit"]
        if given is not None and same_kind and not any(_equal(given, x) for x in known):
            wrong.append(
                "rng: another seed, or a generator that has drawn other numbers before;"
                " without rng=, the checkpoint's is taken"
            )
        return wrong

    def _other_lengths(self, before: int, epochs: int) -> list[str]:
        """Say which schedules would have lasted for so many epochs, not for these."""
        return [
            f"epochs: {before} in the checkpoint, {epochs} here, but "
            f"{type(c.factor).__name__}, whose number of steps was left out, ends with "
            "the first"
            for c in self._stateful
            if isinstance(c, Schedule) and c.is_open and before != epochs
        ]

    # -- in checkpoints
    def begin(self, found: Found | None) -> None:
        """Let fit's generator draw from where the run began, and remember that."""
        if found is not None:
            set_state(self.rng, found.state["begun"])
        self._begun = state_of(self.rng)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        return {
            "model": self.model.state_dict(),
            "requires_grad": [p.requires_grad for p in self.model.parameters()],
            "others": [p.data for p in others(self.model, self.optimizer)],
            "optimizer": self.optimizer.state_dict(),
            "optimizer_now": _optimizer_facts(self.optimizer, self.callbacks),
            "callbacks": [
                {"class": type(callback).__name__, "state": callback.state_dict()}
                for callback in self._stateful
            ],
            "generators": {name: state_of(rng) for name, rng in self._generators},
            "run": self._facts,
            "begun": self._begun,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; :meth:`load_generators` comes later."""
        self.model.load_state_dict(state["model"])
        for p, value in zip(
            self.model.parameters(), state["requires_grad"], strict=True
        ):
            p.requires_grad = value
        beside = others(self.model, self.optimizer)
        for p, data in zip(beside, state["others"], strict=True):
            p.data = data
        self.optimizer.load_state_dict(state["optimizer"])
        waiting = list(self._stateful)
        for kept in state["callbacks"]:
            callback = next(c for c in waiting if type(c).__name__ == kept["class"])
            waiting.remove(callback)
            callback.load_state_dict(kept["state"])

    def load_generators(self, state: Mapping[str, Any]) -> None:
        """Let all generators draw on as they would have."""
        for name, rng in self._generators:
            set_state(rng, state["generators"][name])


def others(model: nn.Layer, optimizer: optim.Optimizer) -> list[Tensor]:
    """Return what an optimiser moves, but the model does not hold."""
    own = {id(p) for p in model.parameters()}
    return [p for _, p in trained(model, optimizer) if id(p) not in own]


# ------------------------------------------------------------------------- as text


def _model_facts(model: nn.Layer) -> dict[str, Any]:
    layers = {name: type(layer).__name__ for name, layer in model.named_layers()}
    arrays: dict[str, Any] = dict(model.named_parameters())
    arrays |= dict(model.named_buffers())
    return {
        "class": type(model).__name__,
        "layers": layers,
        **{name: f"{x.dtype} of shape {x.shape}" for name, x in arrays.items()},
    }


def _optimizer_facts(
    optimizer: optim.Optimizer, callbacks: list[Any]
) -> dict[str, Any]:
    """Return the class and the options; not the learning rate if schedules set it."""
    set_by_schedules = {"lr" for c in map(inner, callbacks) if hasattr(c, "step")}
    groups = {
        str(number): {
            name: repr(value)
            for name, value in group.items()
            if name not in {"params", *set_by_schedules}
        }
        | {"parameters": len(group["params"])}
        for number, group in enumerate(optimizer.param_groups)
    }
    return {"class": type(optimizer).__name__, "group": groups}


def name_of(function: Any) -> str:
    """Return what a function is called, and what one of ``functools.partial`` is of."""
    inner_function = getattr(function, "func", None)  # of functools.partial
    if inner_function is not None:
        return f"partial of {name_of(inner_function)}"
    return str(getattr(function, "__qualname__", type(function).__name__))


# ------------------------------------------------------------------ random generators


def _kind_of(rng: Random) -> str:
    return f"{type(rng).__name__}({state_of(rng)['bit_generator']})"


def _equal(a: Any, b: Any) -> bool:
    """Whether two states of a generator are the same; they may hold arrays."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    return np.array_equal(a, b)


# --------------------------------------------------------- whose checkpoint is it?


def differences(saved: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Say where two descriptions of a run differ, a line for each fact.

    Parameters
    ----------
    saved, own : mapping
        Of what may stand in JSON; nested ones are compared fact by fact.

    Returns
    -------
    list of str

    Examples
    --------
    >>> differences({"model": {"w": "(2,)"}}, {"model": {"w": "(3,)"}})
    ['model.w: (2,) in the checkpoint, (3,) here']
    """
    facts, others = dict(_flat(saved, "")), dict(_flat(own, ""))
    lines = []
    for name in {**facts, **others}:
        in_file = f"{facts[name]} in the checkpoint" if name in facts else ""
        here = f"{others[name]} here" if name in others else "not here"
        if facts.get(name, _NONE) != others.get(name, _NONE):
            lines.append(f"{name}: {in_file or 'not in the checkpoint'}, {here}")
    return lines


_NONE = object()


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else name)
    else:
        yield path, value
