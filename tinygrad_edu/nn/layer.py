"""Layer: parameters, their names, and the path that it leaves on what it records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, repeat
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.interrupts import at_once
from tinygrad_edu.engine.lending import assigned
from tinygrad_edu.engine.operands import like, unmasked
from tinygrad_edu.engine.recording import RUN, Run, Scope

__all__ = ["VIEWS", "Layer"]

Self = TypeVar("Self", bound="Layer")

#: How a layer is looked at, by its methods' names: drawing and profiling fill it in.
VIEWS: dict[str, Callable[..., Any]] = {}


class Layer:
    """A part of a model: a function with parameters, made of further layers.

    Subclass it, assign parameters (``te.tensor(..., requires_grad=True)``), buffers
    (plain arrays) and layers to attributes, also in lists, tuples and dicts, and write
    ``forward``. Parameters are named by the path of attributes: ``"encoder.0.weight"``.
    A tensor that requires no gradient is one, too, and stays as it is.

    Attributes
    ----------
    training : bool
        True until :meth:`eval` is called.
    independent_rows : bool
        Whether row i of the output depends on row i of the input alone, and a call
        changes nothing in the layer: then a batch may be cut up. False unless a
        subclass says so; what its layers say is for it to ask.

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
    >>> model.parameters()
    [tensor(2., requires_grad=True)]
    >>> [name for name, _ in model.named_layers()], model.named_buffers()
    (['0', '1'], [])

    Training mode and evaluation mode, gradients, saving:

    >>> model.training, model.eval().training, model.train().training
    (True, False, True)
    >>> model(3.0).backward()
    >>> model.zero_grad()
    >>> state = model.state_dict()
    >>> model.load_state_dict({"0.factor": 5.0})
    >>> model.parameters()[0].item(), state
    (5.0, {'0.factor': array(2.)})

    A layer that says its size in its repr and checks its input:

    >>> class Shift(te.nn.Layer):
    ...     def __init__(self, size):
    ...         self.offset = te.tensor([0.0] * size, requires_grad=True)
    ...
    ...     def extra_repr(self):
    ...         return str(len(self.offset))
    ...
    ...     def forward(self, x):
    ...         if x.shape[-1] != len(self.offset):
    ...             self.refuse(x, f"its last axis must be {len(self.offset)}")
    ...         return x + self.offset
    >>> Shift(4)
    Shift(4)
    >>> Shift(4)(te.tensor([1.0, 2.0]))
    Traceback (most recent call last):
    ValueError: Shift (4) got (2,): its last axis must be 4
    """

    training: bool = True
    independent_rows: bool = False
    _ran_in: Scope | None = None  # where it ran last, and
    _ran_as: str = ""  # the attribute of the layer around it that held it then

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output; every subclass writes its own.

        Parameters
        ----------
        *inputs
            What the layer is called with.
        **options
            The same by name.

        Returns
        -------
        Tensor
            Of any shape; or a tuple, list or dict of Tensors.

        Raises
        ------
        NotImplementedError
            If a subclass has none.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, x)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run :meth:`forward`, and leave this layer's path on the nodes it records."""
        run = RUN.get()
        if run is None:
            return self._run(inputs, options)
        parent, outer, scope = run.layer, run.scope, self._ran_in
        if (
            scope is None
            or scope.parent is not outer
            or parent is None
            or parent.__dict__.get(self._ran_as) is not self
        ):  # else it runs where it ran last
            scope = self._find_scope(parent, outer)
        if id(scope) in run.trail:  # a second call is told from the first
            scope = Scope(*scope)
        run.layer, run.scope = self, scope
        try:
            output = (
                self.forward(*inputs, **options) if options else self.forward(*inputs)
            )
        finally:
            run.layer, run.scope = parent, outer
        try:
            shape = output.shape
        except AttributeError:
            if output is None:
                raise _without_output(scope) from None
            shape = _shapes(output)
        run.trail[id(scope)] = self, scope, shape
        return output

    def _run(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run :meth:`forward` of the outermost layer."""
        run = Run()
        run.layer, run.scope = self, self._find_scope(None, None)
        try:
            RUN.set(run)  # in here: an interrupt may come as soon as it is set
            output = self.forward(*inputs, **options)
        finally:
            RUN.set(None)
        if output is None:
            raise _without_output(run.scope)
        return output

    def _find_scope(self, parent: Layer | None, outer: Scope | None) -> Scope:
        """Return the scope of the last call, if it is this one's too, or a new one."""
        last, name = self._ran_in, self._ran_as
        if last is not None and last.parent is outer:
            if not last.path if parent is None else _at(name, parent) is self:
                return last
        self._name_parameters()
        self._ran_in = scope = self._new_scope(parent, outer)
        return scope  # not self._ran_in: another thread may have written another one

    def _new_scope(self, parent: Layer | None, outer: Scope | None) -> Scope:
        kind = type(self).__name__
        if parent is None:
            return Scope("", kind, outer)
        name = self._name_in(parent) or kind
        self._ran_as = name  # another thread may write another one
        prefix = f"{outer.path}." if outer is not None and outer.path else ""
        return Scope(prefix + name, kind, outer)

    def _name_in(self, parent: Layer) -> str | None:
        """Return the path to this layer; a run looks for those in a layer once."""
        run = RUN.get() or Run()
        name = run.names.get(id(parent), {}).get(id(self))
        if name is None or _at(name, parent) is not self:  # or it was put there since
            names = {id(layer): name for name, layer in parent.named_layers()}
            run.names[id(parent)] = names
            name = names.get(id(self))
        return name

    def _name_parameters(self) -> None:
        """Name the parameters that have no name by the attributes that hold them."""
        inner = None  # the path of the layer that holds what comes next
        for name, held in self._named():
            if inner is not None and name.startswith(inner):
                continue
            if isinstance(held, Layer):
                inner = f"{name}."
            elif isinstance(held, Tensor) and held.is_leaf and held.name is None:
                held.name = name

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
        """Switch this layer and all inside it to training mode; return the layer.

        Parameters
        ----------
        mode : bool, default True
            False for evaluation mode.

        Returns
        -------
        Layer
            This one.
        """
        layers = [self, *(layer for _, layer in self.named_layers())]
        at_once(map(setattr, layers, repeat("training"), repeat(mode)))
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

        Parameters
        ----------
        state : mapping of str to array_like
            As :meth:`state_dict` returns it.

        Raises
        ------
        TypeError
            If ``state`` is no mapping, such as the name of a file.
        ValueError
            If names are missing or unexpected, shapes differ, or numbers are of another
            kind; or if a buffer cannot be written to.

        Notes
        -----
        All are copied or, whatever an error or an interrupt (Ctrl-C) comes into, none.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"{type(self).__name__}.load_state_dict: state must be a mapping of "
                f"names to arrays, got {type(state).__name__}. Of a file: "
                "te.load(model, path)"
            )
        own: dict[str, Any] = dict(self.named_parameters()) | dict(self.named_buffers())
        who = type(self).__name__
        arrays = {
            name: unmasked(value, f"{who}.load_state_dict: {name}")
            for name, value in state.items()
        }
        wrong = [f"missing {name}" for name in own if name not in arrays]
        for name, got in arrays.items():
            want = own.get(name)
            if want is None:
                wrong.append(f"unexpected {name}")
            elif want.shape != got.shape:
                wrong.append(f"{name} must have shape {want.shape}, got {got.shape}")
            elif not np.can_cast(got.dtype, want.dtype, "same_kind"):
                wrong.append(f"{name} must fit into {want.dtype}, got {got.dtype}")
            elif isinstance(want, np.ndarray) and not want.flags.writeable:
                wrong.append(f"{name} cannot be written to: flags.writeable is False")
        if wrong:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: {'; '.join(wrong)}"
            )
        leaves = {n: x for n, x in own.items() if isinstance(x, Tensor)}
        buffers = {n: x for n, x in own.items() if n not in leaves}
        numbers = [like(x, arrays[n], "data") for n, x in leaves.items()]
        kept = [np.array(arrays[n], x.dtype) for n, x in buffers.items()]
        at_once(
            chain(
                assigned([*leaves.values()], numbers),
                map(np.ndarray.__setitem__, buffers.values(), repeat(...), kept),
            )
        )

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

    def summary(self, *input_shapes: Any, dtype: DTypeLike | None = None) -> str:
        """Return a table of the layers, and of what a row of the batch costs.

        Parameters
        ----------
        *input_shapes : tuple of int
            Of one example, without the batch axis: ``(784,)``. One for each input.
        dtype : dtype, optional
            Of the inputs, such as ``int`` for the numbers of words; that of the
            parameters, unless given.

        Returns
        -------
        str
            A line for each call of a layer, and one for a layer around others if it
            computes something itself; a last one says how many parameters are not
            trained, because they require no gradient, if there are any:

            output shape
                With n for the number of rows.
            parameters
                How many numbers; those of a layer that is called again count once.
            multiply-adds
                For a row, forward: of recorded matmul, linear, dot, einsum, convolution
                and the like, by their shapes. Elementwise operations do not count.
            bytes kept
                For a row, until backward: the results of the recorded operations, what
                else went into them (such as the mask of a dropout), and what they keep
                aside for their rules. Memory that several share counts once, where it
                comes first; the inputs and the parameters do not count, nor do copies
                by which it is noticed that somebody has written into an array.

        Raises
        ------
        TypeError
            If a shape is no tuple of ints.
        ValueError
            If the shape does not fit.

        Notes
        -----
        The layer runs twice, with zeros, in the mode in which it is: in training more
        is kept than in evaluation. Parameters, buffers and random generators are
        afterwards what they were. What does not reach the output, or does not grow with
        the number of rows, does not count.

        Examples
        --------
        >>> import tinygrad_edu as te
        >>> model = te.nn.Sequential(te.nn.Linear(784, 64), te.nn.Sigmoid())
        >>> print(model.summary((784,)))
        layer      output shape  parameters  multiply-adds  bytes kept
        0 Linear   (n, 64)           50,240         50,176         512
        1 Sigmoid  (n, 64)                0              0         512
        total                        50,240         50,176       1,024
        """
        text: str = VIEWS["summary"](self, input_shapes, dtype)
        return text

    def draw(self, *inputs: Any, **options: Any) -> Any:
        """Run the layer and draw what it recorded.

        Parameters
        ----------
        *inputs : array_like
            What :meth:`forward` takes, of the shapes that it takes.
        **options
            As for :func:`tinygrad_edu.draw`.

        Returns
        -------
        Drawing

        Raises
        ------
        TypeError
            If there are no inputs.

        Notes
        -----
        Buffers, such as running means, and random generators are afterwards what they
        were.

        Examples
        --------
        >>> import numpy as np
        >>> import tinygrad_edu as te
        >>> layer = te.nn.Linear(3, 2)
        >>> print(layer.draw(np.ones((4, 3)), show="shape").text())
        t1: 1 operation
        (no gradients: (4, 2) is no single number; draw the loss to see them)
        t1 = x · weightᵀ + bias: linear, (4, 2) float64; in Linear
          x: input, (4, 3) float64
          weight: parameter, (2, 3) float64; in Linear
          bias: parameter, (2,) float64; in Linear
        """
        return VIEWS["draw"](self, inputs, options)

    def refuse(self, x: Any, must: str) -> NoReturn:
        """Raise the error for an input ``x`` that does not fit, naming the layers.

        Parameters
        ----------
        x : Tensor or ndarray
            Of any shape.
        must : str
            What it must be, such as ``"its last axis must be 64"``.

        Raises
        ------
        ValueError
            Always.
        """
        run = RUN.get() or Run()
        sizes = self.extra_repr()
        who = f"{run.scope or type(self).__name__}{f' ({sizes})' if sizes else ''}"
        shape, before = np.shape(x), ""
        ran = _leaves([*run.trail.values()])
        while ran and not _gave(ran[-1][2], shape):
            ran.pop()
        while ran[1:] and _gave(ran[-2][2], shape) and not ran[-1][0].parameters():
            ran.pop()  # an activation only hands on the shape that it got
        if ran:
            before = f"; the layer before it, {ran[-1][1]}, gave {shape}"
        error = ValueError(f"{who} got {shape}: {must}{before}")
        raise errors.drawable(error, type(self).__name__, [x])


def _without_output(scope: Scope | None) -> TypeError:
    return TypeError(f"{scope}: its forward returned None; let it end in return")


def _leaves(trail: list[Any]) -> list[Any]:
    """Leave out of what ran the layers in which others ran: they come after these."""
    return [
        t for i, t in enumerate(trail) if i == 0 or trail[i - 1][1].parent is not t[1]
    ]


def _shapes(output: Any) -> list[tuple[int, ...]] | None:
    """Return the shapes of all arrays in a tuple, list or dict; None for others."""
    if isinstance(output, dict):
        output = tuple(output.values())
    if not isinstance(output, tuple | list):
        return None
    found: list[tuple[int, ...]] = []
    for part in output:
        found += [part.shape] if hasattr(part, "shape") else _shapes(part) or []
    return found


def _gave(given: Any, shape: tuple[int, ...]) -> bool:
    """Whether a layer gave an array of that shape, maybe as one of several."""
    return shape in given if isinstance(given, list) else bool(given == shape)


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
