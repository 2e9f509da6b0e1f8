"""The program to read: forward and backward pass of a model as a student writes them.

It is made from the recorded graph, one line for each operation and each gradient, and
checked against the engine before it is handed out.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.compiling.formulas import DRAWN, FORMULAS, HELPERS, LOSSES, Loss
from tinygrad_edu.compiling.tape import Untraceable
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.traversal import nodes_of

__all__ = ["Source", "derived", "identifier"]

_TEMPLATE = '''\
"""Loss and gradients of {what}.

X is {X}, Y is {Y}. Needs NumPy alone; run it to check its gradients.
"""

import numpy as np

SHAPES = dict({shapes})


{helpers}def step(X, Y, {names}):
    """Return the loss, and its gradient by each parameter."""
    if X.shape != {X}:
        raise ValueError(f"this was derived for X of shape {X}, got {{X.shape}}")
{body}
    return L, {gradients}


def train(X, Y, parameters, lr, steps):
    """Gradient descent: move the parameters, in place; return the losses."""
    losses = []
    for _ in range(steps):
        L, *gradients = step(X, Y, *parameters)
        losses.append(L)
        for p, g in zip(parameters, gradients):
            p -= lr * g
    return losses


def check(seed=0, h=1e-6):
    """Compare some entries of each gradient with differences of the loss."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal({X})
    Y = {drawn}
    parameters = [0.1 * rng.standard_normal(shape) for shape in SHAPES.values()]
    _, *gradients = step(X, Y, *parameters)
    worst = 0.0
    for p, g in zip(parameters, gradients):
        assert p.shape == g.shape
        for i in rng.integers(0, p.size, 5):
            at = np.unravel_index(i, p.shape)
            old = p[at]
            p[at] = old + h
            above = step(X, Y, *parameters)[0]
            p[at] = old - h
            below = step(X, Y, *parameters)[0]
            p[at] = old
            slope = (above - below) / (2 * h)
            worst = max(worst, abs(slope - g[at]) / (abs(slope) + 1e-4))
    return worst


if __name__ == "__main__":
    print(f"largest relative difference to finite differences: {{check():.1e}}")
'''

_TOLERANCE = 1e-12  # relative, in float64


class Source(str):
    """The text of a module, with what it was made for.

    Attributes
    ----------
    step : callable
        The function ``step`` of the module.
    """

    __slots__ = ("step",)
    step: Callable[..., Any]


def identifier(name: str, fallback: str = "p") -> str:
    """Return a name as Python and a reader can take it: letters that look alike none.

    Examples
    --------
    >>> identifier("encoder.0.weight"), identifier("lambda"), identifier("1st")
    ('encoder_0_weight', 'lambda_', 'p_1st')
    """
    plain = unicodedata.normalize("NFKC", name)
    kept = "".join(
        c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in plain
    )
    kept = kept.strip("_") or fallback
    if kept[0].isdigit():
        kept = f"{fallback}_{kept}"
    reserved = keyword.iskeyword(kept) or keyword.issoftkeyword(kept)
    return f"{kept}_" if reserved or kept in _TAKEN else kept


_TAKEN = {"np", "X", "Y", "L", "P", "step", *HELPERS}


class _Writer:
    """Writes a graph down, line by line."""

    def __init__(self, output: Tensor, model: Any) -> None:
        self.output, self.nodes = output, nodes_of([output])
        self.names: dict[int, str] = {}
        self.lines: list[tuple[str, str, str]] = []  # name, formula, comment
        self.used: set[str] = set()
        self.parameters: list[Tensor] = []
        dense = [n for n in self.nodes if n.op.name == "linear"]
        #: What stands behind W, b and Z: nothing if there is one layer.
        self.number = {id(n): str(k) for k, n in enumerate(dense, 1)}
        if len(dense) == 1:
            self.number = {id(dense[0]): ""}
        self._name_parameters(model)

    # -- names, as in the drawings
    def _name_parameters(self, model: Any) -> None:
        known = {id(p): name for name, p in model.named_parameters()}
        for node in self.nodes:
            for x in node.inputs:
                if type(x) is Tensor and x.op is None and id(x) not in self.names:
                    if id(x) not in known:
                        raise _unreadable("a tensor that is no parameter of the model")
                    name = identifier(known[id(x)].split(".")[-1])
                    if node.op.name == "linear" and x is not node.inputs[0]:
                        letter = "W" if x is node.inputs[1] else "b"
                        name = f"{letter}{self.number[id(node)]}"
                    self._call(x, name)
                    self.parameters.append(x)

    def _call(self, x: Any, name: str) -> None:
        taken, k = set(self.names.values()), 1
        own = name
        while own in taken:
            k += 1
            own = f"{name}_{k}"
        self.names[id(x)] = own

    def name_nodes(self, X: Any) -> None:
        """Name the results of operations, after the input."""
        self.names[id(X)] = "X"
        others = 0
        for node in self.nodes:
            before = self.names.get(id(node.inputs[0]), "")
            if node.op.name == "linear":
                name = f"Z{self.number[id(node)]}"
            elif before.startswith("Z") and len(node.op.arguments) == 1:
                name = f"A{before[1:]}"
            else:
                others += 1
                name = f"H{others}"
            self._call(node, name)

    def name_of(self, x: Any) -> str:
        """Return what an input is called; a number as it is."""
        if id(x) in self.names:
            return self.names[id(x)]
        if np.ndim(x) == 0:
            number = float(x)
            return repr(int(number)) if number == int(number) else repr(number)
        raise _unreadable("an array that is neither input nor parameter")

    # -- lines
    def write(self, name: str, formula: str, comment: str = "") -> None:
        """Write a line down."""
        words = set(re.findall(r"\w+", formula))
        self.used |= words & HELPERS.keys()
        self.lines.append((name, formula, comment))

    def formula(self, node: Tensor, which: str | None, g: str = "") -> str:
        """Return the forward formula of a node, or that of the gradient of an input."""
        known = FORMULAS.get(node.op.name)
        if known is None or not known.fits(node):
            raise _unreadable(f"the operation {node.op.name} of shape {node.shape}")
        text = known.forward if which is None else known.rules.get(which)
        if text is None:
            raise _unreadable(f"the gradient of {node.op.name} by {which}")
        text = text if isinstance(text, str) else text(node)
        names = {
            a: self.name_of(x)
            for a, x in zip(node.op.arguments, node.inputs, strict=True)
            if x is not None
        }
        return str(text).format(out=self.names[id(node)], g=g, **names)

    def forward(self) -> None:
        """Write the forward pass."""
        for node in self.nodes:
            comment = str(node.shape) if node.shape else ""
            self.write(self.names[id(node)], self.formula(node, None), comment)

    def backward(self, first: Tensor, start: str) -> None:
        """Write the backward pass, from the gradient by one of the nodes."""
        found = {id(first): f"d{self.names[id(first)]}"}
        self.write(found[id(first)], start, _shape(first))
        for node in reversed(self.nodes):
            if id(node) not in found:
                continue
            inputs = zip(node.op.arguments, node.inputs, strict=True)
            wanted = [
                (a, x) for a, x in inputs if type(x) is Tensor and x.requires_grad
            ]
            for a, x in sorted(wanted, key=lambda pair: pair[1].op is not None):
                text = self.formula(node, a, found[id(node)])
                if node.op.elementwise:
                    text = _summed(text, node.shape, x.shape)
                name = f"d{self.names[id(x)]}"
                if id(x) in found:
                    text = f"{name} + {_in_brackets(text)}"
                found[id(x)] = name
                self.write(name, text, _shape(x))
        for p in self.parameters:
            if id(p) not in found:
                raise _unreadable("a parameter that the loss does not depend on")


def derived(model: Any, loss: Any, shapes: Any, labels_ndim: int) -> Source:
    """Return the source of loss and gradients of a model, checked against the engine.

    Parameters
    ----------
    model : Layer
    loss : callable
        One of ``te.nn``.
    shapes : tuple of int
        Of the input.
    labels_ndim : int
        Number of axes of the labels.

    Raises
    ------
    Untraceable
        If there is no readable form of something in it.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shapes)
    output = model(X)
    if type(output) is not Tensor or not output.requires_grad:
        raise _unreadable("a model without parameters that require gradients")
    node, form = _form_of(loss, output, labels_ndim)
    writer = _Writer(output, model)
    writer.name_nodes(X)
    Y = form.labels(output, rng)
    writer.names[id(Y)] = "Y"
    writer.forward()
    given = {
        "z": writer.name_of(node),
        "out": writer.name_of(output),
        "Y": "Y",
        "n": output.shape[0],
        "classes": output.shape[-1],
        "size": output.size,
    }
    for name, text in form.lines:
        writer.write(name, text.format(**given), _shape(output) if name != "L" else "")
    split = len(writer.lines)
    writer.backward(node, form.gradient.format(**given))
    drawn = DRAWN[form.labels].format(
        classes=output.shape[-1] if output.shape else 1,
        shape=Y.shape,
        rows=Y.shape[:-1],
    )
    source = Source(_module(writer, split, model, loss, X, Y, drawn))
    names: dict[str, Any] = {"__name__": "derived"}
    exec(compile(source, "<derived>", "exec"), names)  # the text written here
    source.step = names["step"]
    _check(source, writer, loss, model, X, Y)
    return source


def _form_of(loss: Any, output: Tensor, labels_ndim: int) -> tuple[Tensor, Loss]:
    """Return the form of a loss, and the node whose gradient it begins with."""
    for form in LOSSES.get(loss, ()):
        if (
            form.labels is not None
            and np.ndim(form.labels(output, np.random.default_rng(0))) != labels_ndim
        ):
            continue
        if form.after is None:
            return output, form
        if output.op is not None and output.op.name == form.after:
            (z,) = output.inputs
            if type(z) is Tensor and z.op is not None:
                return z, form
    name = getattr(loss, "__name__", type(loss).__name__)
    raise _unreadable(f"the loss {name} of this output and these labels")


def _unreadable(what: str) -> Untraceable:
    return Untraceable(
        f"te.compile: there is no readable form of {what}; step.traces[0].program "
        "holds the calls that are made"
    )


def _shape(x: Any) -> str:
    return str(x.shape) if x.shape else ""


def _in_brackets(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def _summed(text: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Undo broadcasting."""
    if shape == wanted:
        return text
    lead = len(shape) - len(wanted)
    kept = tuple(
        lead + i for i, n in enumerate(wanted) if n == 1 and shape[lead + i] != 1
    )
    text = _in_brackets(text)
    if lead:
        axes = tuple(range(lead))
        text = f"{text}.sum(axis={axes[0] if len(axes) == 1 else axes})"
    if kept:
        axes = tuple(i - lead for i in kept)
        text = f"{text}.sum(axis={axes}, keepdims=True)"
    return text


def _module(
    writer: _Writer, split: int, model: Any, loss: Any, X: Any, Y: Any, drawn: str
) -> str:
    names = [writer.names[id(p)] for p in writer.parameters]
    lines = [f"{name} = {formula}" for name, formula, _ in writer.lines]
    width = max(map(len, lines)) + 2
    body = []
    for i, (line, (_, _, comment)) in enumerate(zip(lines, writer.lines, strict=True)):
        if i == split:
            body.append("    # backward")
        body.append(f"    {line:{width}}# {comment}" if comment else f"    {line}")
    layers = [type(x).__name__ for _, x in model.named_layers()] or [
        type(model).__name__
    ]
    what = ", ".join(identifier(name) for name in layers)
    of = identifier(getattr(loss, "__name__", "loss"))
    helpers = "\n\n".join(text for f, text in HELPERS.items() if f in writer.used)
    parameters = ", ".join(
        f"{n}={p.shape}" for n, p in zip(names, writer.parameters, strict=True)
    )
    comma = ", "
    return _TEMPLATE.format(
        what=f"{what}, {of}",
        X=X.shape,
        Y=Y.shape,
        shapes=parameters,
        helpers=helpers + "\n\n" * bool(helpers),
        names=comma.join(names),
        body="\n".join(body),
        gradients=comma.join(f"d{n}" for n in names),
        drawn=drawn,
    )


def _check(
    source: Source, writer: _Writer, loss: Any, model: Any, X: Any, Y: Any
) -> None:
    """Compare what the source computes with the engine, at weights of moderate size."""
    rng, parameters = np.random.default_rng(1), writer.parameters
    before = [(p, p._numbers, p._grad, p._prints) for p in parameters]
    arrays = []
    for p in parameters:
        drawn = rng.standard_normal(p.shape) / max(p.shape[-1:] or (1,)) ** 0.5
        arrays.append(drawn.astype(p.dtype))
    try:
        for p, x in zip(parameters, arrays, strict=True):
            p._numbers, p._grad, p._prints = x, None, None
        wanted = loss(model(X), Y)
        wanted.backward()
        wants = [wanted.item(), *(p._grad for p in parameters)]
    finally:
        for p, numbers, grad, prints in before:
            p._numbers, p._grad, p._prints = numbers, grad, prints
    found = source.step(X, Y, *(x.astype(float) for x in arrays))
    pairs = zip(found, wants, strict=True)
    rounding = max(float(np.finfo(a.dtype).eps) for a in arrays) / np.finfo(float).eps
    for got, want in pairs:
        size = max(float(np.max(np.abs(want))), 1e-300)
        if np.shape(got) != np.shape(want) or not np.all(
            np.abs(got - want) <= _TOLERANCE * rounding * size
        ):
            raise AssertionError(
                f"te.compile: the source differs from the engine; please report it:\n"
                f"{source}"
            )
