"""What the core says when something is wrong: expected, came, what to do.

Each function returns the exception for the core to raise, so that the core reads
without the prose. ``x`` is a Tensor throughout.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from tinygrad_edu.engine.recording import Failed, current_scope

# For the reader: this file stands below the one that makes them.
Tensor: TypeAlias = Any
Op: TypeAlias = Any
Shape: TypeAlias = tuple[int, ...]
_Make = TypeVar("_Make", bound=Callable[..., Exception])

_PLAIN = "np.{0}(t), which gives plain numbers"
_DETACHED = "t.detach().numpy().{0}"
_NOT_NEEDED = "t: every tensor lies in the computer's memory, as NumPy's arrays do"
_REAL = "t: all its numbers are real"

#: What a Tensor has not, though an array or PyTorch's tensor has: what to write for it.
INSTEAD: dict[str, str] = {
    **dict.fromkeys(("all", "any", "nonzero", "round", "searchsorted"), _PLAIN),
    **dict.fromkeys(("flags", "itemsize", "nbytes", "strides"), _DETACHED),
    **dict.fromkeys(("dumps", "tobytes", "tolist"), f"{_DETACHED}()"),
    **dict.fromkeys(("argpartition", "dump", "tofile"), f"{_DETACHED}(...)"),
    **dict.fromkeys(("conj", "conjugate", "real"), _REAL),
    **dict.fromkeys(("contiguous", "cpu", "cuda", "device", "to"), _NOT_NEEDED),
    "abs": "abs(t)",
    "add_": "t = t + other",
    "choose": "te.where(condition, x, y)",
    "clone": "t.copy()",
    "compress": "t[mask]",
    "dim": "t.ndim",
    "double": "t.astype(np.float64)",
    "expand": "te.broadcast_to(t, shape)",
    "fill": "te.tensor(np.full(t.shape, value))",
    "flat": "t.ravel()",
    "gather": "te.take_along_axis(t, indices, axis)",
    "half": "t.astype(np.float16)",
    "imag": "np.zeros(t.shape): complex numbers are not supported",
    "mT": "te.swapaxes(t, -1, -2)",
    "masked_fill": "te.where(mask, value, t)",
    "mm": "t @ other",
    "mul_": "t = t * other",
    "numel": "t.size",
    "permute": "t.transpose(axes)",
    "pow": "t ** p",
    "register_hook": "te.draw(loss) or te.explain(loss), which show every gradient",
    "requires_grad_": "t.requires_grad = True",
    "resize": "t.reshape(shape)",
    "retain_grad": "te.gradients(loss, [t])",
    "t": "t.T",
    "unsqueeze": "te.expand_dims(t, axis)",
    "view": "t.reshape(shape)",
}


def called(x: Any) -> str:
    """How messages speak of a tensor."""
    where = f" in layer {x.scope}" if x.scope else ""
    return (
        f"tensor {x.name!r}{where}" if x.name else f"a tensor of shape {x.shape}{where}"
    )


def _names_its_operation(make: _Make) -> _Make:
    """Mark what the walk itself raises, so that :func:`rule_failed` adds nothing."""

    @wraps(make)
    def marked(*args: Any) -> Exception:
        error = make(*args)
        error.names_its_operation = True  # type: ignore[attr-defined]
        return error

    return cast("_Make", marked)


def not_real(data: Any, who: str) -> TypeError:
    dtype = np.asarray(data).dtype
    is_array = dtype.kind != "O" or isinstance(data, np.ndarray)
    what = f"dtype {dtype}" if is_array else type(data).__name__
    hint = " (complex numbers are not supported)" if dtype.kind == "c" else ""
    if is_array and dtype.kind in "OUS":
        hint = (
            ". Numbers that were read as text: x.astype(float). Words: "
            "names, x = np.unique(x, return_inverse=True) numbers them"
        )
    return TypeError(
        f"{who} must be a Tensor, an array of real numbers or a number, "
        f"got {what}{hint}"
    )


def masked(who: str) -> TypeError:
    return TypeError(
        f"{who} is a masked array, and its mask would be lost. Write x.filled(0.0) for "
        "what shall count as 0, x.compressed() to leave entries out, or x.data for all"
    )


def not_a_leaf(x: Tensor, attribute: str) -> RuntimeError:
    return RuntimeError(
        f"{called(x)} was computed by {x.op.name if x.op else None}; {attribute} "
        "can be set on leaves only. Use .detach() to cut it off, or te.tensor(array) "
        "for a new leaf"
    )


def misfit(x: Tensor, attribute: str, shape: Shape) -> ValueError:
    return ValueError(
        f"{called(x)} has shape {x.shape}, the new {attribute} has {shape}"
    )


def not_floating(dtype: np.dtype[Any]) -> TypeError:
    return TypeError(
        f"a tensor of dtype {dtype} cannot require gradients; only real floating-point "
        "numbers can. Write 3.0 for 3, x.astype(float) for an array"
    )


def leaves_the_graph(x: Any) -> TypeError:
    return TypeError(
        f"{called(x)} requires gradients, and a plain array would leave the graph "
        "without notice. For an array made of tensors write np.stack([...]) or "
        "te.array([...]) in place of np.array([...]), np.concatenate in place of "
        "np.r_, and te.full in place of np.full; for the numbers alone, "
        ".detach().numpy()"
    )


def scipy_asks_nobody(x: Any, alike: str = "") -> TypeError:
    same = "te's or NumPy's function of that name"
    if alike:  # softmax differs in its axis, a distribution's mean altogether
        same = f"te.{alike}, if help(te.{alike}) tells of what SciPy's {alike} does"
    return TypeError(
        f"{called(x)} requires gradients, and SciPy's function would make a plain "
        "array of it, which would leave the graph without notice. For gradients write "
        f"{same}, or else its formula; for the numbers alone, .detach().numpy()"
    )


def stored_in_array(x: Any) -> TypeError:
    return TypeError(
        f"{called(x)} requires gradients, and an array that it is written into holds "
        "its number alone, without the graph. For gradients append to a list, and "
        "te.stack the list; or z = te.tensor(array), then z = z.at[i].set(x). For the "
        "number alone: array[i] = float(x)"
    )


def taken_out(x: Any, by: str) -> TypeError:
    return TypeError(
        f"{by}(x) takes the number of {called(x)} out of the graph, so that the "
        "derivative would miss it; math's functions do so, too. Use te's or NumPy's: "
        "np.exp for math.exp, x.astype for float. For the number alone: x.item(), or "
        f"{by}(x) inside with te.no_grad():"
    )


def no_attribute(name: str) -> AttributeError:
    return AttributeError(f"a Tensor has no {name}; write {INSTEAD[name].format(name)}")


def no_format(x: Any, spec: str) -> ValueError:
    return ValueError(
        f"format {spec!r}: a tensor of shape {x.shape} is no single number. Format its "
        "entries, or write np.array2string(t.detach().numpy(), precision=3)"
    )


def item_assignment() -> TypeError:
    return TypeError(
        "tensors do not support item assignment, which would change a recorded graph. "
        "Write t = t.at[i].set(v), or .add(v), which return a new tensor; to fill an "
        "array in a loop, append to a list, and te.stack the list"
    )


def grad_of_no_leaf(x: Tensor) -> str:
    return (
        f"only leaves collect .grad, and {called(x)} was computed by "
        f"{x.op.name if x.op else None}. Use te.gradients(output, [tensor]) instead. "
        "To update a parameter: w.data -= lr * w.grad"
    )


def wrong_rules(op: Op, given: Iterable[str]) -> TypeError:
    given, hint = list(given), ""
    if given and set(given) < set(op.arguments):
        others = [n for n in op.arguments if n not in given]
        parameters = inspect.signature(op.forward).parameters
        options = [str(p) for name, p in parameters.items() if name not in given]
        what = "are options, put them"
        if len(others) == 1:
            what = "is an option, not an array, put it"
        hint = (
            f". If {' and '.join(others)} {what} behind a *: "
            f"def {op.name}({', '.join([*given, '*', *options])})"
        )
    return TypeError(
        f"{op.name}.vjp: expected a rule (or None) for each of "
        f"{', '.join(op.arguments)}, got {', '.join(given) or 'none'}{hint}"
    )


def wrong_rule(op: Op, name: str, told: Iterable[str], cause: Exception) -> TypeError:
    named = sorted(told)
    takes = ", ".join(["g", "out", *op.arguments, *(["*", *named] if named else [])])
    return TypeError(f"{op.name}.vjp: the rule for {name} must take ({takes}): {cause}")


@_names_its_operation
def no_rules(name: str) -> TypeError:
    return TypeError(f"{name} has no rules; declare them with {name}.vjp(...)")


@_names_its_operation
def no_derivative(op: Op, name: str) -> TypeError:
    return TypeError(
        f"{op.name}: {name} has no derivative, but a tensor that requires gradients "
        "was given for it; pass it with .detach()"
    )


def declared_twice(name: str, module: str) -> ValueError:
    return ValueError(
        f"an operation {name!r} is declared in {module} already; choose another name"
    )


def tensor_as_metadata(op: Op, name: str) -> TypeError:
    return TypeError(
        f"{op.name}: {name} has no derivative and must not be a Tensor; pass an array "
        "or a number"
    )


def forward_failed(op: Op, error: Exception, inputs: Sequence[Any]) -> Exception:
    """Return the error of a forward with the operation, the shapes and the layer."""
    text = str(error)
    if op.elementwise and "could not be broadcast" in text:
        text = f"{op.name}: {_do_not_broadcast(op.arguments, inputs)}"
    elif not text.startswith(f"{op.name}: "):
        shapes = _shapes(op, inputs)
        text = f"{op.name}: {text}" + (f" ({shapes})" if shapes else "")
    scope = current_scope()
    if scope is not None:
        text = f"{text}, in layer {scope}"
    told: Exception
    if isinstance(error, AttributeError):  # a number has no .shape
        told = TypeError(text)
    else:
        try:
            told = type(error)(text)
        except TypeError:  # an exception that is not made from a text
            told = (ValueError if isinstance(error, ValueError) else TypeError)(text)
    return drawable(told, op.name, [x for x in inputs if _has_shape(x)])


def _shapes(op: Op, inputs: Sequence[Any]) -> str:
    names = op.arguments if not op.variadic else map(str, range(len(inputs)))
    given = zip(names, inputs, strict=False)
    return ", ".join(f"{n} is {np.shape(x)}" for n, x in given if _has_shape(x))


def _has_shape(x: Any) -> bool:
    return not isinstance(x, list | tuple)  # of which a composite may take any


def rule_failed(node: Tensor, error: Exception) -> None:
    """Note on the error of a rule whose it is, unless it says so itself."""
    if getattr(error, "names_its_operation", False):
        return
    where = f" in layer {node.scope}" if node.scope else ""
    error.add_note(
        f"in a rule of {node.op.name}{where}, on the way back: "
        f"{_shapes(node.op, node.inputs)}"
    )


def _do_not_broadcast(names: Sequence[str], inputs: Sequence[Any]) -> str:
    """Say which shapes do not fit, and what was likely meant."""
    shapes = {n: np.shape(x) for n, x in zip(names, inputs, strict=False)}
    text = "the shapes do not broadcast: "
    text += ", ".join(f"{n} is {shape}" for n, shape in shapes.items())
    short, long = sorted(shapes, key=lambda n: len(shapes[n]))[:: len(shapes) - 1]
    a, b = shapes[short], shapes[long]
    if len(a) == 1 and len(b) == 2 and a[0] == b[0]:
        return f"{text}. Did you mean {short}[:, None]?"
    if len(a) == len(b) == 2 and a == b[::-1]:
        return f"{text}. Did you mean {long}.T?"
    return text


def drawable(error: Exception, name: str, inputs: Sequence[Any]) -> Exception:
    """Return ``error`` with what te.draw(error) needs to draw the graph up to here."""
    if any(getattr(x, "op", None) is not None for x in inputs):
        failed = Failed(name, tuple(inputs), current_scope(), str(error))
        error.failed = failed  # type: ignore[attr-defined]
        error.add_note("te.draw(error) draws the graph up to here")
    return error


def no_input_requires_grad(x: Tensor, who: str) -> RuntimeError:
    return RuntimeError(
        f"{who}: nothing was recorded for {called(x)}: no input required gradients, or "
        "it was computed under te.no_grad() or detached"
    )


def not_a_scalar(x: Tensor, who: str) -> RuntimeError:
    return RuntimeError(
        f"{who}: the tensor has shape {x.shape}; only a scalar starts {who} by itself. "
        f"Sum it, or pass gradient= of shape {x.shape}"
    )


def wrong_gradient(x: Tensor, who: str, shape: Shape) -> ValueError:
    return ValueError(f"{who}: gradient= must have the shape {x.shape}, got {shape}")


def no_tensor(who: str, expected: str, got: Any) -> TypeError:
    return TypeError(
        f"{who}: f must return {expected}, got {type(got).__name__}. Use te's or "
        "NumPy's functions on the Tensors that f is given; float(), .data, .item(), "
        ".detach().numpy() and writing into an array (a[i] = x) leave the graph"
    )


def input_without_grad(x: Any, position: int) -> RuntimeError:
    what = called(x) if hasattr(x, "requires_grad") else type(x).__name__
    return RuntimeError(
        f"gradients: input {position} ({what}) does not require gradients; make it "
        "with te.tensor(..., requires_grad=True) before it is used"
    )


def freed() -> RuntimeError:
    return RuntimeError(
        "the graph was freed by an earlier backward. Compute the loss again, inside "
        "the loop; or, to walk through the same graph again, call the earlier one as "
        "backward(retain_graph=True)"
    )


@_names_its_operation
def assigned_since(x: Tensor, op: Op) -> RuntimeError:
    return RuntimeError(
        f"the data of {called(x)} was assigned after {op.name} had used it, so a "
        "gradient would be wrong. Call backward before assigning, or compute the "
        "output again"
    )


@_names_its_operation
def written_since(x: Any, node: Tensor) -> RuntimeError:
    op = node.op
    names = op.arguments if not op.variadic else map(str, range(len(node.inputs)))
    which = " and ".join(n for n, y in zip(names, node.inputs, strict=False) if y is x)
    if isinstance(x, np.ndarray):
        what, copy = f"the array of shape {x.shape} given for {which}", "array.copy()"
    else:
        what, copy = f"the data of {called(x)}, its {which},", "x.copy()"
    where = f" in layer {node.scope}" if node.scope else ""
    return RuntimeError(
        f"{op.name}{where}: {what} was written into after it had been used, so a "
        "gradient would be wrong. Call backward before writing, or hand over a copy: "
        f"{copy}"
    )


@_names_its_operation
def wrong_rule_shape(node: Tensor, x: Tensor, shape: Shape) -> RuntimeError:
    op = node.op
    names = op.arguments if not op.variadic else map(str, range(len(node.inputs)))
    which = [n for n, y in zip(names, node.inputs, strict=False) if y is x]
    what = f"{called(x)} of shape {x.shape}" if x.name else called(x)
    return RuntimeError(
        f"{op.name}: a rule returned shape {shape} for {' or '.join(which)}, {what}; "
        "let it end in te.sum_to(..., shape)"
    )


@_names_its_operation
def wrong_rule_result(op: Op, x: Tensor, result: Any) -> TypeError:
    if np.asarray(result).dtype.kind == "c":
        return TypeError(
            f"{op.name}: the gradient of {called(x)} is complex; complex numbers are "
            "not supported. Keep real and imaginary parts in arrays of their own"
        )
    return TypeError(
        f"{op.name}: a rule returned {result!r} for {called(x)}; it must return an "
        "array of real numbers"
    )


def text_of_no_argument(op: Op, name: str) -> TypeError:
    return TypeError(
        f"{op.name}: texts has {name!r}, which is none of its arguments: "
        f"{', '.join(op.arguments)}"
    )


def keywords_without(op: Op, name: str) -> TypeError:
    return TypeError(
        f"@op {op.name}: keywords= must take the metadata, too; it lacks {name!r}"
    )


def unknown_braces(op: Op, name: str) -> ValueError:
    known = ", ".join(["g", "out", *op.arguments, *op.metadata])
    return ValueError(
        f"{op.name}: its symbol or texts have {{{name}}} in braces; known are {known}"
    )


def mixed_variadic(op: Op) -> TypeError:
    return TypeError(
        f"{op.name}: one rule serves all positions of a starred argument, so it must "
        f"be the only one in front, got {', '.join(op.arguments)}"
    )
