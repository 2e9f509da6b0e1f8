"""Layer: parameters, their names, and the path that it leaves on what it records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import numpy as np

from tinygrad_edu.core import Tensor
from tinygrad_edu.recording import RUN, Run, Scope, no_grad

__all__ = ["Layer"]

Self = TypeVar("Self", bound="Layer")


class Layer:
    """A part of a model: a function with parameters, made of further layers.

    Subclass it, assign parameters (``te.tensor(..., requires_grad=True)``), buffers
    (plain arrays) and layers to attributes, also in lists, tuples and dicts, and write
    ``forward``. Parameters are named by the path of attributes: ``"encoder.0.weight"``.

    Attributes
    ----------
    training : bool
        True until :meth:`eval` is called.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> class Scale(te.nn.Layer):
    ...     def __init__(self):
    ...         self.factor = te.tensor(2.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> model = te.nn.Sequential(Scale(), te.nn.Tanh())
    >>> [name for name, _ in model.named_parameters()]
    ['0.factor']
    """

    training: bool = True
    _scope: Scope | None = None  # where it ran last, and
    _name: str = ""  # the attribute of the layer around it that held it then

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, x)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run :meth:`forward`, and leave this layer's path on the nodes it records."""
        run = RUN.get()
        if run is None:
            return self._run(inputs, options)
        parent, outer, scope = run.layer, run.scope, self._scope
        if (
            scope is None
            or scope.parent is not outer
            or parent is None
            or parent.__dict__.get(self._name) is not self
        ):  # else it runs where it ran last
            scope = self._find_scope(parent, outer)
        run.layer, run.scope = self, scope
        try:
            output = (
                self.forward(*inputs, **options) if options else self.forward(*inputs)
            )
        finally:
            run.layer, run.scope = parent, outer
        run.trail.append((self, scope, getattr(output, "shape", None)))
        return output

    def _run(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run :meth:`forward` of the outermost layer."""
        run = Run()
        run.layer, run.scope = self, self._find_scope(None, None)
        RUN.set(run)
        try:
            return self.forward(*inputs, **options)
        finally:
            RUN.set(None)

    def _find_scope(self, parent: Layer | None, outer: Scope | None) -> Scope:
        """Return the scope of the last call, if it is this one's too, or a new one."""
        last, name = self._scope, self._name
        if last is not None and last.parent is outer:
            if not last.path if parent is None else _at(name, parent) is self:
                return last
        self._scope = scope = self._new_scope(parent, outer)
        return scope  # not self._scope: another thread may have written another one

    def _new_scope(self, parent: Layer | None, outer: Scope | None) -> Scope:
        kind = type(self).__name__
        if parent is None:
            return Scope("", kind, outer)
        names = (name for name, layer in parent.named_layers() if layer is self)
        self._name = name = next(names, kind)  # another thread may write another one
        prefix = f"{outer.path}." if outer is not None and outer.path else ""
        return Scope(prefix + name, kind, outer)

    # -- what it is made of
    def _named(self) -> list[tuple[str, Any]]:
        """Every parameter, buffer and layer in it, once each, in attribute order."""
        found: list[tuple[str, Any]] = []
        seen: set[int] = {id(self)}
        todo = _inside("", self)[::-1]
        while todo:
            path, value = todo.pop()
            if id(value) in seen or not isinstance(value, _WALKED):
                continue
            seen.add(id(value))
            if isinstance(value, Layer | Tensor | np.ndarray):
                found.append((path, value))
            todo += _inside(f"{path}.", value)[::-1]
        return found

    def named_layers(self) -> list[tuple[str, Layer]]:
        """Return every layer inside this one, with its path."""
        return [(name, x) for name, x in self._named() if isinstance(x, Layer)]

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """Return every parameter with its name, each once, in order of attributes."""
        return [
            (name, x)
            for name, x in self._named()
            if isinstance(x, Tensor) and x.is_leaf
        ]

    def parameters(self) -> list[Tensor]:
        """Return every parameter, each once, in order of attributes."""
        return [x for _, x in self.named_parameters()]

    def named_buffers(self) -> list[tuple[str, np.ndarray]]:
        """Return every plain array with its name: what is kept but not trained."""
        return [(name, x) for name, x in self._named() if isinstance(x, np.ndarray)]

    def zero_grad(self) -> None:
        """Forget the gradient of every parameter."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self: Self, mode: bool = True) -> Self:
        """Switch this layer and all inside it to training mode; return the layer."""
        self.training = mode
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self: Self) -> Self:
        """Switch this layer and all inside it to evaluation mode; return the layer."""
        return self.train(False)

    # -- saving and loading
    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters and buffers, by name."""
        # in C order: a safetensors file holds the memory of an array as it lies
        state = {n: np.array(p.data, order="C") for n, p in self.named_parameters()}
        return state | {name: array.copy() for name, array in self.named_buffers()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the numbers of ``state`` into the parameters and buffers of those names.

        Raises
        ------
        ValueError
            If names are missing or unexpected, shapes differ, or numbers are of another
            kind. Then nothing is changed.
        """
        own: dict[str, Any] = dict(self.named_parameters()) | dict(self.named_buffers())
        arrays = {name: np.asarray(value) for name, value in state.items()}
        wrong = [f"missing {name}" for name in own if name not in arrays]
        for name, got in arrays.items():
            want = own.get(name)
            if want is None:
                wrong.append(f"unexpected {name}")
            elif want.shape != got.shape:
                wrong.append(f"{name} must have shape {want.shape}, got {got.shape}")
            elif not np.can_cast(got.dtype, want.dtype, "same_kind"):
                wrong.append(f"{name} must fit into {want.dtype}, got {got.dtype}")
        if wrong:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: {'; '.join(wrong)}"
            )
        for name, target in own.items():
            if isinstance(target, Tensor):
                target.data = arrays[name]
            else:
                target[...] = arrays[name]

    # -- how it reads
    def extra_repr(self) -> str:
        """Return what stands in the brackets of the repr, such as ``64 -> 10``."""
        return ""

    def __repr__(self) -> str:
        children = _children(self)
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"{name}: {layer!r}".replace("\n", "\n  ") for name, layer in children]
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"

    def summary(self, input_shape: tuple[int, ...]) -> str:
        """Return a table of the layers: output shape and number of parameters.

        Parameters
        ----------
        input_shape : tuple of int
            Of one example, without the batch axis: ``(784,)``.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If the shape does not fit.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> model = te.nn.Sequential(te.nn.Linear(784, 64), te.nn.Sigmoid())
        >>> print(model.summary((784,)))
        layer      output shape  parameters
        0 Linear   (n, 64)           50,240
        1 Sigmoid  (n, 64)                0
        total                        50,240
        """
        parameters = self.parameters()
        dtype = parameters[0].dtype if parameters else np.dtype(float)
        modes = [
            (layer, layer.training) for _, layer in [("", self), *self.named_layers()]
        ]
        run = Run()
        RUN.set(run)
        try:
            with no_grad():
                self.eval()(np.zeros((1, *input_shape), dtype))
        finally:
            RUN.set(None)
            for layer, mode in modes:
                layer.training = mode
        rows = [("layer", "output shape", "parameters")]
        counted: set[int] = set()
        for layer, scope, shape in _leaves(run.trail):
            new = [p for p in layer.parameters() if id(p) not in counted]
            counted.update(map(id, new))
            inner = ", ".join(["n", *map(str, shape[1:])]) if shape else "?"
            count = sum(p.size for p in new)
            rows.append(
                (f"{scope.path} {scope.kind}".strip(), f"({inner})", f"{count:,}")
            )
        others = sum(p.size for p in parameters if id(p) not in counted)
        if others:
            rows.append(("others", "", f"{others:,}"))
        rows.append(("total", "", f"{sum(p.size for p in parameters):,}"))
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            f"{a:{wide[0]}}  {b:{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows
        )

    def refuse(self, x: Any, must: str) -> NoReturn:
        """Raise the error for an input ``x`` that does not fit, naming the layers.

        Parameters
        ----------
        x : Tensor or ndarray
        must : str
            What it must be, such as ``"its last axis must be 64"``.
        """
        run = RUN.get() or Run()
        who = f"{run.scope or type(self).__name__} ({self.extra_repr()})"
        shape, before = np.shape(x), ""
        ran = _leaves(run.trail)
        while ran and ran[-1][2] != shape:
            ran.pop()
        while ran[1:] and ran[-2][2] == shape and not ran[-1][0].parameters():
            ran.pop()  # an activation only hands on the shape that it got
        if ran:
            before = f"; the layer before it, {ran[-1][1]}, gave {shape}"
        raise ValueError(f"{who} got {shape}: {must}{before}")


def _leaves(trail: list[Any]) -> list[Any]:
    """Leave out of what ran the layers in which others ran: they come after these."""
    return [
        t for i, t in enumerate(trail) if i == 0 or trail[i - 1][1].parent is not t[1]
    ]


def _inside(prefix: str, whole: Any) -> list[tuple[str, Any]]:
    """What a layer or container holds, with names; empty for anything else."""
    if isinstance(whole, Layer):
        held: Any = tuple(vars(whole).items())
    elif isinstance(whole, dict):
        held = whole.items()
    elif isinstance(whole, list | tuple) and type(whole) is not Scope:
        held = enumerate(whole)
    else:
        return []
    return [(f"{prefix}{name}", part) for name, part in held]


#: What is looked at on the walk through attributes.
_WALKED = (Layer, Tensor, np.ndarray, dict, list, tuple)


def _at(path: str, whole: Any) -> Any:
    """Return what stands at ``path`` in ``whole``, or None."""
    for name in path.split("."):
        if isinstance(whole, Layer):
            whole = vars(whole).get(name)
        elif isinstance(whole, dict):
            whole = whole.get(name)
        elif (
            isinstance(whole, list | tuple)
            and name.isdigit()
            and int(name) < len(whole)
        ):
            whole = whole[int(name)]
        else:
            return None
    return whole


def _children(layer: Layer) -> list[tuple[str, Layer]]:
    """Return the layers that no other layer stands between, each as often as held."""
    found: list[tuple[str, Layer]] = []
    seen: set[int] = set()
    todo = _inside("", layer)[::-1]
    while todo:
        path, value = todo.pop()
        if isinstance(value, Layer):
            found.append((path, value))
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            todo += _inside(f"{path}.", value)[::-1]
    return found
