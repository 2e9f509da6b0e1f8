"""What all optimisers share: groups of parameters, what is kept for each, saving."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from collections.abc import Set as AnySet
from itertools import chain, starmap
from math import inf
from numbers import Integral
from operator import call, setitem
from threading import RLock
from typing import Any, Self

import numpy as np

from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.creation import next_index
from tinygrad_edu.engine.interrupts import at_once
from tinygrad_edu.engine.memory import keep_freed_memory
from tinygrad_edu.optim.options import number

__all__ = ["Call", "Group", "Optimizer", "State"]

Group = dict[str, Any]  #: "params", a list, and the options that hold for them
State = dict[str, Any]  #: of one parameter: "step", "scratch" and the arrays kept
Call = tuple[Any, ...]  #: a function in C and its arguments
_NEW: State = {}


class _OptionsByName:
    """Says of an option without its name how to write it.

    A base of its own, so that signatures are those of ``__init__``.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        if len(args) > 1:
            for p in [*inspect.signature(cls.__init__).parameters.values()][2:3]:
                if p.kind is p.KEYWORD_ONLY:
                    raise TypeError(
                        f"{cls.__name__}: only params come without a name; write "
                        f"{p.name}={args[1]!r}"
                    )
        return super().__new__(cls)


class Optimizer(_OptionsByName):
    """Base of the optimisers. One's own needs only an :meth:`update`.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train: ``model.parameters()``. Or groups: dicts with ``"params"`` and
        the options that differ from those of the other groups.
    lr : float
        Learning rate, positive: the unit of a parameter by that of its gradient.
    **options
        Further numbers that :meth:`update` reads, each the default of all groups.

    Attributes
    ----------
    param_groups : list of dict
        The groups, with every option filled in. A number may be changed between steps.
    state : dict
        By parameter, from its first step on: ``"step"``, how often it has moved, and
        the arrays that :meth:`keeps` names.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or a number is out of range.
    TypeError
        If a parameter is not a leaf Tensor, or a group has an unknown option.

    Notes
    -----
    A step moves every parameter that requires gradients and has one; the others,
    frozen ones among them, stay as they are, and so does what is kept for them.

    Parameters are changed in place and marked as newer than every graph that used
    them, as ``p.data -= ...`` does. ``p.data`` may be assigned between steps, also by
    ``model.load_state_dict``: the next step starts from there.

    A step is made or is not made: whatever an error or an interrupt (Ctrl-C) comes
    into, parameters and what is kept for them are all as before or all as after. What
    can be computed first is, and all of them change in one call, into which no
    interrupt comes. An overflow there, where NumPy is told to raise an error for one,
    is raised when all have changed. Of two threads, one waits for the other's step.

    Examples
    --------
    An optimiser of one's own, whose steps are all of one size:

    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> class SignDescent(te.optim.Optimizer):
    ...     def update(self, x, gradient, state, group):
    ...         return group["lr"] * np.sign(gradient)
    >>> w = te.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = SignDescent([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([ 2.5, -1.5])
    >>> optimizer.zero_grad()
    >>> optimizer.lr = 0.25
    >>> optimizer.lr, w.grad, optimizer.has_gradients()
    (0.25, None, False)

    One that remembers, and checks its options; what it remembers is saved:

    >>> class Heavy(te.optim.Optimizer):
    ...     def check(self, group):
    ...         self.check_number(group, "mass", below=1)
    ...         if group["mass"] == 0:
    ...             raise self.error(ValueError, "mass must not be 0")
    ...
    ...     def keeps(self, group):
    ...         return ("velocity",)
    ...
    ...     def update(self, x, gradient, state, group):
    ...         state["velocity"] *= group["mass"]
    ...         state["velocity"] += gradient
    ...         return group["lr"] * state["velocity"]
    >>> optimizer = Heavy([w], lr=0.5, mass=0.9)
    >>> w.grad = np.array([1.0, 1.0])
    >>> optimizer.step()
    >>> saved = optimizer.state_dict()
    >>> saved["state"], saved["steps"]
    ({'0.velocity': array([1., 1.])}, [1])
    >>> Heavy([w], lr=0.1, mass=0.5).load_state_dict(saved)
    >>> Heavy([w], lr=0.1, mass=0.0)
    Traceback (most recent call last):
    ValueError: Heavy: mass must not be 0
    """

    def __init__(self, params: Iterable[Any], *, lr: float, **options: Any) -> None:
        keep_freed_memory()
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        self._alone = RLock()  # held while a step is made
        options = {"lr": lr, **options}
        seen: dict[Tensor, int] = {}
        for given in self._as_groups(params):
            if unknown := given.keys() - options.keys() - {"params"}:
                raise self.error(
                    TypeError,
                    f"a group has the unknown option {min(unknown, key=str)!r}; "
                    f"there are {', '.join(options)}",
                )
            members = self._as_list(given["params"])
            for p in members:
                self._check_parameter(p, len(seen))
                if p in seen:
                    raise self.error(
                        ValueError,
                        f"a parameter is listed twice: {len(seen)} is {seen[p]} again",
                    )
                seen[p] = len(seen)
            self.param_groups.append({**options, **given, "params": members})
        if not seen:
            raise self.error(
                ValueError,
                "no parameters; pass model.parameters(). In a layer of your own they "
                "are te.tensor(array, requires_grad=True)",
            )
        for group in self.param_groups:
            self.check_number(group, "lr", positive=True)
            self.check(group)

    # -- what a subclass writes
    def update(
        self, x: np.ndarray, gradient: np.ndarray, state: State, group: Group
    ) -> Any:
        """Return what is to be subtracted from a parameter; every subclass writes it.

        What it is handed are copies: parameter and state take the numbers over when all
        parameters have been updated.

        Parameters
        ----------
        x : ndarray, of the parameter's shape
            A copy of the parameter's numbers.
        gradient : ndarray, of the same shape
            Its gradient; not to be changed.
        state : dict
            ``"step"``, 1 at the first; copies of the arrays that :meth:`keeps` names,
            to be changed in place; and ``"scratch"``, an array for what is in between.
        group : dict
            The options.

        Returns
        -------
        ndarray
            Of the parameter's shape.

        Raises
        ------
        NotImplementedError
            If a subclass has none.
        """
        before = {**state, "step": state["step"] - 1}
        at_once(starmap(call, self._calls(x, gradient, before, group)))
        return state["scratch"]

    def _calls(
        self, x: np.ndarray, gradient: np.ndarray, state: State, group: Group
    ) -> list[Call]:
        """Return the calls that put into scratch what is to be subtracted from ``x``.

        And the arrays that are kept a step on. They are made later, all at once; so our
        optimisers have these in place of an :meth:`update`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define update(self, x, gradient, state, group)"
        )

    def _calls_of_update(
        self,
        p: Tensor,
        x: np.ndarray,
        gradient: np.ndarray,
        state: State,
        group: Group,
    ) -> list[Call]:
        """Return the calls that take over what :meth:`update` makes of copies."""
        copies = {name: state[name].copy(order="K") for name in self.keeps(group)}
        after = {**state, **copies, "step": state["step"] + 1}
        change, scratch = self.update(x, gradient, after, group), state["scratch"]
        if change is not scratch:  # maybe an array of its own for all parameters
            try:
                np.copyto(scratch, change)
            except (TypeError, ValueError) as error:
                raise self._wrong_change(p, change) from error
        return [(dict.update, state, after)]

    def keeps(self, group: Group) -> tuple[str, ...]:
        """Return the names of the arrays kept for each parameter, at first zeros.

        Parameters
        ----------
        group : dict
            The options.

        Returns
        -------
        tuple of str
        """
        return ()

    def check(self, group: Group) -> None:
        """Raise an error for an option that is out of range.

        Parameters
        ----------
        group : dict
            The options.

        Raises
        ------
        ValueError, TypeError
            As the subclass sees fit.
        """

    # -- what everybody calls
    def step(self) -> None:
        """Move every parameter that requires gradients and has one.

        Raises
        ------
        ValueError
            If a parameter cannot be written to. Then none is moved.

        Warns
        -----
        UserWarning
            If no parameter at all has a gradient.
        """
        for group in self.param_groups:
            lr = group["lr"]
            if type(lr) is not float or not 0 <= lr < inf:
                self.check_number(group, "lr")
        by_update = type(self).update is not Optimizer.update
        subtract, calls_of = np.subtract, self._calls
        with self._alone:
            calls: list[Call] = []
            for group in self.param_groups:
                names = ("scratch", *self.keeps(group))
                lacks = frozenset(names).difference
                for p in group["params"]:
                    gradient = p._grad  # of a leaf; the attribute asks if it is one
                    if gradient is None or not p._tracked:
                        continue
                    state = self.state.get(p, _NEW)
                    if lacks(state):
                        state = self._state_of(p, names)
                    x = numbers = p._numbers
                    if p._prints is not None and not x.flags.writeable:  # it was lent
                        raise self._not_writeable(p)
                    if x.dtype.char == "e":  # eps = 1e-8 is 0 in float16; 1e-4² too
                        x, gradient = x.astype(np.float32), gradient.astype(np.float32)
                    if by_update:
                        x = x.copy(order="K")
                        calls += self._calls_of_update(p, x, gradient, state, group)
                    else:
                        calls += calls_of(x, gradient, state, group)
                    calls += (
                        (subtract, x, state["scratch"], numbers),
                        (setitem, state, "step", state["step"] + 1),
                    )
                    # from here on newer than every graph that used it
                    p._index = p._changed = next_index()
            at_once(starmap(call, calls))
        if not calls and not self.has_gradients():
            warnings.warn(
                f"{type(self).__name__}.step: no parameter has a gradient; call "
                "loss.backward() first",
                stacklevel=2,
            )

    def has_gradients(self) -> bool:
        """Return whether any of the parameters has a gradient.

        Returns
        -------
        bool
        """
        return any(
            p._grad is not None for group in self.param_groups for p in group["params"]
        )

    def zero_grad(self) -> None:
        """Forget the gradient of every parameter."""
        for group in self.param_groups:
            for p in group["params"]:
                p._grad = None

    @property
    def lr(self) -> float:
        """The learning rate, where all groups have the same; may be assigned.

        Raises
        ------
        ValueError
            If the groups have different ones.
        """
        first, *others = (group["lr"] for group in self.param_groups)
        if any(other != first for other in others):
            raise self.error(
                ValueError,
                f"the groups have the learning rates {[first, *others]}; "
                'read or write param_groups[i]["lr"]',
            )
        return float(first)

    @lr.setter
    def lr(self, value: float) -> None:
        _ = self.lr  # one for all?
        value = number(type(self).__name__, "lr", value)
        for group in self.param_groups:
            group["lr"] = value

    # -- saving and loading
    def state_dict(self) -> dict[str, Any]:
        """Return copies of all that the next steps depend on, but the parameters.

        Returns
        -------
        dict
            ``"state"``: the arrays kept, by the parameter's position and their name,
            ``"0.velocity"``; ``"steps"``: how often each parameter has moved;
            ``"param_groups"``: the options, with positions for parameters. The first is
            ready for a safetensors file, the others for JSON.
        """
        arrays: dict[str, np.ndarray] = {}
        steps: list[int] = []
        groups: list[Group] = []
        for group in self.param_groups:
            first, names = len(steps), self.keeps(group)
            for p in group["params"]:
                state = self._state_of(p, names) if p in self.state else {"step": 0}
                for name in names if state["step"] else ():
                    arrays[f"{len(steps)}.{name}"] = np.array(state[name], order="C")
                steps.append(state["step"])
            options = {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in group.items()
            }
            groups.append(options | {"params": list(range(first, len(steps)))})
        return {"state": arrays, "steps": steps, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, for parameters of these shapes.

        Training then goes on bit by bit as it would have.

        Parameters
        ----------
        state : mapping
            As :meth:`state_dict` returns it.

        Raises
        ------
        ValueError
            If something is missing, unexpected, misshapen or out of range.

        Notes
        -----
        All is taken over or, whatever an error or an interrupt (Ctrl-C) comes into,
        nothing.
        """
        wrong = _differences(
            "", {"state": {}, "steps": [], "param_groups": []}, state
        ) or self._wrong_layout(state["param_groups"], state["steps"])
        if not wrong:
            groups, wrong = self._loaded_groups(state["param_groups"])
        if not wrong:
            kept, wrong = self._loaded_state(groups, state["steps"], state["state"])
        if wrong:
            raise self.error(ValueError, "; ".join(wrong), ".load_state_dict")
        at_once(
            chain(
                map(dict.update, self.param_groups, groups),
                map(dict.update, [vars(self)], [{"state": kept}]),
            )
        )

    def _wrong_layout(self, groups: Any, steps: Any) -> list[str]:
        """Say where the groups do not hold as many parameters as those here."""
        wrong = []
        own = [len(group["params"]) for group in self.param_groups]
        got = [len(group.get("params", ())) for group in groups]
        if got != own:
            wrong.append(f"the groups must hold {own} parameters, got {got}")
        counts = [n for n in steps if isinstance(n, Integral) and int(n) >= 0]
        if len(counts) != len(steps) or len(steps) != sum(own):
            wrong.append(f"steps must be {sum(own)} counts, got {steps}")
        return wrong

    def _loaded_groups(self, saved: Any) -> tuple[list[Group], list[str]]:
        """Return the groups with the options of those saved, and what is wrong."""
        groups: list[Group] = []
        wrong: list[str] = []
        for position, (own, got) in enumerate(
            zip(self.param_groups, saved, strict=True)
        ):
            wrong += _differences(f" in group {position}", own, got)
            group = {**own, **got, "params": own["params"]}
            try:
                self.check_number(group, "lr")
                self.check(group)
            except (TypeError, ValueError) as error:
                wrong.append(f"group {position}: {error}")
            groups.append(group)
        return groups, wrong

    def _loaded_state(
        self, groups: list[Group], steps: Any, arrays: Mapping[str, Any]
    ) -> tuple[dict[Tensor, State], list[str]]:
        """Return the state of every parameter that has moved, and what is wrong."""
        found: dict[Tensor, State] = {}
        expected: dict[str, tuple[Tensor, str]] = {}
        moved = iter(steps)
        position = 0
        for group in groups:
            for p in group["params"]:
                if count := int(next(moved)):
                    found[p] = {"step": count}
                    for name in self.keeps(group):
                        expected[f"{position}.{name}"] = p, name
                position += 1
        wrong = _differences("", expected, arrays)
        for key in expected.keys() & arrays.keys():
            p, name = expected[key]
            array = np.asarray(arrays[key])
            if array.shape != p.shape:
                wrong.append(f"{key} must have shape {p.shape}, got {array.shape}")
            elif not np.can_cast(array.dtype, p.dtype, "same_kind"):
                wrong.append(f"{key} must fit into {p.dtype}, got {array.dtype}")
            else:
                found[p][name] = _zeros(p)
                np.copyto(found[p][name], array, casting="same_kind")
        return found, wrong

    # -- helpers
    def check_number(
        self, group: Group, name: str, *, below: float = inf, positive: bool = False
    ) -> None:
        """Make an option a float, if it is a number in range.

        Parameters
        ----------
        group : dict
            The options, of which this one is replaced.
        name : str
            Of the option.
        below : float, default inf
            The number must be less, in its own unit.
        positive : bool, default False
            Refuse 0, too; what is negative is always refused.

        Raises
        ------
        TypeError
            If it is no number.
        ValueError
            If it is out of range.
        """
        group[name] = number(
            type(self).__name__, name, group[name], below=below, positive=positive
        )

    def _state_of(self, p: Tensor, names: tuple[str, ...]) -> State:
        """Return what is kept for a parameter, with zeros for what is not yet there.

        The scratch array is kept, too: of fresh ones the C library hands the memory
        back, which took 100 us of a step of 450 (784-64-10, batch 64).
        """
        state = self.state.get(p)
        if state is None:
            self._check_memory(p)
            state = self.state[p] = {"step": 0}
        for name in names:
            if name not in state:
                state[name] = _zeros(p)
        return state

    def _as_groups(self, params: Any) -> list[Any]:
        listed = self._as_list(params)
        if not listed or not isinstance(listed[0], Mapping):
            return [{"params": listed}]
        for position, group in enumerate(listed):
            if not isinstance(group, Mapping) or "params" not in group:
                raise self.error(
                    TypeError, f'group {position} must be a dict with "params"'
                )
        return listed

    def _wrong_change(self, p: Tensor, change: Any) -> Exception:
        what = type(change).__name__
        if isinstance(change, np.ndarray):
            what = f"an array of shape {change.shape}, {change.dtype}"
        name = "a parameter" if p.name is None else f"the parameter {p.name!r}"
        return self.error(
            TypeError,
            f"update must return an array of shape {p.shape}, {p.dtype}, for {name}; "
            f"got {what}",
        )

    def _not_writeable(self, p: Tensor) -> Exception:
        name = "a parameter" if p.name is None else f"the parameter {p.name!r}"
        return self.error(
            ValueError,
            f"{name} of shape {p.shape} cannot be written to: its data have "
            "flags.writeable False. No parameter was moved",
            ".step",
        )

    def _as_list(self, params: Any) -> list[Any]:
        if isinstance(params, Tensor):
            raise self.error(
                TypeError, "params must be a list of Tensors, got one; write [tensor]"
            )
        if not isinstance(params, Iterable) or isinstance(params, Mapping | AnySet):
            raise self.error(
                TypeError,
                f"params must be a list of Tensors, got {type(params).__name__}; "
                "pass model.parameters()",
            )
        return list(params)

    def _check_parameter(self, p: Any, position: int) -> None:
        if not isinstance(p, Tensor) or not p.is_leaf:
            what = "a computed one" if isinstance(p, Tensor) else type(p).__name__
            hint = ""
            if isinstance(p, tuple) and any(isinstance(part, Tensor) for part in p):
                what = "a pair of name and Tensor"
            if what.startswith("a pair") or hasattr(p, "parameters"):
                hint = "; pass model.parameters()"
            raise self.error(
                TypeError,
                f"parameter {position} must be a leaf Tensor, got {what}{hint}",
            )
        if p.requires_grad:
            self._check_memory(p)

    def _check_memory(self, p: Tensor) -> None:
        """Refuse a leaf whose memory is not its own: a step would change another one.

        What ``te.tensor`` and ``p.data = ...`` make is a copy, of which the base is
        nothing, or the bytes in which it begins with a cache line.
        """
        x = p._numbers
        own = (
            type(x) is np.ndarray
            and x.flags.writeable  # which a detached one is not
            and (x.base is None or (p._cut is None and x.base.dtype == np.uint8))
        )
        if not own:
            what = "a parameter" if p.name is None else f"the parameter {p.name!r}"
            raise self.error(
                ValueError,
                f"{what} of shape {p.shape} was detached, or computed without "
                "recording, and has no memory of its own. "
                "Write te.tensor(x.data, requires_grad=True)",
            )

    def __getstate__(self) -> dict[str, Any]:  # copies and pickles need no scratch
        kept = {
            p: {name: value for name, value in state.items() if name != "scratch"}
            for p, state in self.state.items()
        }
        own = {**vars(self), "state": kept}
        del own["_alone"]
        return own

    def __setstate__(self, own: dict[str, Any]) -> None:
        vars(self).update(own, _alone=RLock())

    def error(self, kind: type[Exception], text: str, where: str = "") -> Exception:
        """Return an error whose text begins with the optimiser's name.

        Parameters
        ----------
        kind : type
            Of the error.
        text : str
            What is wrong.
        where : str, default ""
            Follows the name: ``".load_state_dict"``.

        Returns
        -------
        Exception
        """
        return kind(f"{type(self).__name__}{where}: {text}")

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            options = [f"{k}={v!r}" for k, v in group.items() if k != "params"]
            count = len(group["params"])
            noun = "parameter" if count == 1 else "parameters"
            lines.append(", ".join([f"{count} {noun}", *options]))
        name = type(self).__name__
        between = ";\n" + " " * (len(name) + 1)
        return f"{name}({between.join(lines)})"


def _zeros(p: Tensor) -> Any:
    """Return zeros that lie in memory as the parameter does, from a cache line on.

    For float16 they are float32, in which a step is computed.
    """
    dtype = np.promote_types(p.dtype, np.float32)
    return tensor(np.zeros_like(p._numbers, dtype)).data


def _differences(where: str, own: Mapping[str, Any], got: Any) -> list[str]:
    """Say which names are missing in ``got``, and which unexpected."""
    wrong = [f"missing {name}{where}" for name in own if name not in got]
    return wrong + [f"unexpected {name}{where}" for name in got if name not in own]
