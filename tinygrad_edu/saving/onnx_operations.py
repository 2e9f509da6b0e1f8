"""What each operation is in ONNX: one entry in a table, mostly a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import EllipsisType
from typing import Any, Protocol

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Op

__all__ = ["OPERATIONS", "Call"]

_LAST = np.iinfo(np.int64).max  # as the end of a slice: to the end


class Call(Protocol):
    """An operation to be written, and what it is written with."""

    kwargs: Mapping[str, Any]
    count: int  # of inputs

    def x(self, position: int = 0) -> str:
        """Return the name of an input, as real numbers or as True and False."""

    def indices(self, position: int) -> str:
        """Return the name of an input that holds integers."""

    def given(self, position: int) -> bool:
        """Whether that input is not None."""

    def sizes(self, position: int | None = None) -> list[int | None]:
        """Return the sizes of an input, or of the result; None follows the batch."""

    def result_sizes(self) -> str:
        """Return the name of the sizes of the result, as integers."""

    def number(self, value: float) -> str:
        """Return the name of a number."""

    def integer(self, value: int) -> str:
        """Return the name of an integer."""

    def integers(self, *values: int) -> str:
        """Return the name of a list of integers."""

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its result."""

    def refuse(self, how: str = "") -> Exception:
        """Return the error for what ONNX has not."""


Writer = Callable[[Call], str]


def _each(value: Any, axes: int) -> list[int]:
    return list(value) if isinstance(value, tuple | list) else [value] * axes


# ------------------------------------------------------------------ one node by itself


def _named(kind: str, *attributes: str) -> Writer:
    """A node of the same inputs; its attributes are metadata of the same names."""

    def write(call: Call) -> str:
        inputs = [call.x(i) for i in range(call.count)]
        return call.add(
            kind, *inputs, **{name: call.kwargs[name] for name in attributes}
        )

    return write


def _leaky_relu(call: Call) -> str:
    return call.add("LeakyRelu", call.x(), alpha=float(call.kwargs["negative_slope"]))


def _elu(call: Call) -> str:
    return call.add("Elu", call.x(), alpha=float(call.kwargs["alpha"]))


def _hard_tanh(call: Call) -> str:
    bounds = (call.number(call.kwargs[name]) for name in ("min_val", "max_val"))
    return call.add("Clip", call.x(), *bounds)


def _clip(call: Call) -> str:
    result = call.x()
    for position, kind in ((1, "Max"), (2, "Min")):
        if call.given(position):
            result = call.add(kind, result, call.x(position))
    return result if result != call.x() else call.add("Identity", result)


def _square(call: Call) -> str:
    return call.add("Mul", call.x(), call.x())


def _silu(call: Call) -> str:
    return call.add("Mul", call.x(), call.add("Sigmoid", call.x()))


def _mish(call: Call) -> str:
    inner = call.add("Tanh", call.add("Softplus", call.x()))
    return call.add("Mul", call.x(), inner)


# -------------------------------------------------------------------------- reductions


def _axes(call: Call) -> list[str]:
    """Return the input that holds the axes; none means all."""
    axis = call.kwargs["axis"]
    if axis is None:
        return []
    return [call.integers(*(axis if isinstance(axis, tuple) else (axis,)))]


def _reduction(kind: str) -> Writer:
    def write(call: Call) -> str:
        keepdims = int(call.kwargs["keepdims"])
        return call.add(kind, call.x(), *_axes(call), keepdims=keepdims)

    return write


def _centred(call: Call) -> str:
    mean = call.add("ReduceMean", call.x(), *_axes(call), keepdims=1)
    return call.add("Sub", call.x(), mean)


def _variance(call: Call, centred: str, keepdims: int) -> str:
    square = call.add("Mul", centred, centred)
    return call.add("ReduceMean", square, *_axes(call), keepdims=keepdims)


def _var(call: Call) -> str:
    if call.kwargs["ddof"]:
        raise call.refuse(f"ddof={call.kwargs['ddof']}")
    return _variance(call, _centred(call), int(call.kwargs["keepdims"]))


def _std(call: Call) -> str:
    return call.add("Sqrt", _var(call))


def _standardize(call: Call) -> str:
    centred = _centred(call)
    variance = _variance(call, centred, 1)
    shifted = call.add("Add", variance, call.number(call.kwargs["eps"]))
    return call.add("Div", centred, call.add("Sqrt", shifted))


# ------------------------------------------------------------------------------ shapes


def _reshape(call: Call) -> str:
    """Whatever only writes the same numbers in another shape."""
    wanted = call.sizes()
    if wanted.count(None) > 1:
        return call.add("Reshape", call.x(), call.result_sizes())
    known = (-1 if size is None else size for size in wanted)
    return call.add("Reshape", call.x(), call.integers(*known))


def _broadcast_to(call: Call) -> str:
    return call.add("Expand", call.x(), call.result_sizes())


def _permutation(op: Op) -> Writer:
    def write(call: Call) -> str:
        # Axis i of the probe has i + 1 places: the result's sizes are the permutation.
        probe = np.empty(range(1, len(call.sizes(0)) + 1))
        order = [size - 1 for size in op.forward(probe, **call.kwargs).shape]
        return call.add("Transpose", call.x(), perm=order)

    return write


def _concatenate(call: Call) -> str:
    if call.kwargs["axis"] is None:
        raise call.refuse("axis=None")
    arrays = [call.x(i) for i in range(call.count)]
    return call.add("Concat", *arrays, axis=call.kwargs["axis"])


def _stack(call: Call) -> str:
    axis = call.kwargs["axis"] % len(call.sizes())
    where = call.integers(axis)
    arrays = [call.add("Unsqueeze", call.x(i), where) for i in range(call.count)]
    return call.add("Concat", *arrays, axis=axis)


def _pad(call: Call) -> str:
    if call.kwargs["mode"] != "constant":
        raise call.refuse(f"mode={call.kwargs['mode']!r}")
    wide = np.broadcast_to(call.kwargs["pad_width"], (len(call.sizes(0)), 2))
    value = call.kwargs["constant_values"]
    if np.ndim(value):
        raise call.refuse(f"constant_values={value!r}")
    where = call.integers(*map(int, wide.T.ravel()))
    return call.add("Pad", call.x(), where, call.number(value))


# ---------------------------------------------------------------------------- indexing


def _getitem(call: Call) -> str:
    """Slices first, all at once; then what removes or adds an axis, from the last."""
    index = call.kwargs["index"]
    parts = list(index) if isinstance(index, tuple) else [index]
    axes = sum(part is not None and not _is_rest(part) for part in parts)
    rest = [slice(None)] * (len(call.sizes(0)) - axes)
    for place, part in enumerate(parts):
        if _is_rest(part):
            parts[place : place + 1] = rest
            break
    slices: list[tuple[int, int, int, int]] = []
    picks: list[tuple[int, int]] = []  # axis, which of its places
    new: list[int] = []  # axes of the result
    axis = left = 0  # of the input, and of the result
    for part in parts:
        if part is None:
            new.append(left)
            left += 1
            continue
        if isinstance(part, slice):
            if part != slice(None):
                slices.append((*_ends(part), axis))
            left += 1
        elif isinstance(part, int | np.integer) and not isinstance(part, bool):
            picks.append((axis, int(part)))
        else:
            raise call.refuse(
                f"an index of {type(part).__name__}; te.take picks by an array"
            )
        axis += 1
    result = call.x()
    if slices:
        starts, ends, steps, along = zip(*slices, strict=True)
        lists = (call.integers(*values) for values in (starts, ends, along, steps))
        result = call.add("Slice", result, *lists)
    for axis, place in picks[::-1]:
        result = call.add("Gather", result, call.integer(place), axis=axis)
    if new:
        result = call.add("Unsqueeze", result, call.integers(*new))
    return result if result != call.x() else call.add("Identity", result)


def _is_rest(part: Any) -> bool:
    return isinstance(part, EllipsisType)


def _ends(part: slice) -> tuple[int, int, int]:
    """Return start, end and step of a slice; ONNX clips them as NumPy does."""
    step = 1 if part.step is None else int(part.step)
    first, last = (0, _LAST) if step > 0 else (_LAST, -_LAST)
    start = first if part.start is None else int(part.start)
    return start, last if part.stop is None else int(part.stop), step


def _take(call: Call) -> str:
    if call.kwargs["axis"] is None:
        raise call.refuse("axis=None")
    return call.add("Gather", call.x(), call.indices(1), axis=call.kwargs["axis"])


# ---------------------------------------------------------------------------- products


def _linear(call: Call) -> str:
    rest = [call.x(2)] if call.given(2) else []
    if len(call.sizes(0)) == 2:
        return call.add("Gemm", call.x(), call.x(1), *rest, transB=1)
    turned = call.add("Transpose", call.x(1), perm=[1, 0])
    product = call.add("MatMul", call.x(), turned)
    return call.add("Add", product, *rest) if rest else product


def _dot(call: Call) -> str:
    if any(not 1 <= len(call.sizes(i)) <= 2 for i in (0, 1)):
        raise call.refuse("arrays that are no vectors and no matrices; use te.matmul")
    return call.add("MatMul", call.x(0), call.x(1))


def _einsum(call: Call) -> str:
    arrays = [call.x(i) for i in range(call.count)]
    return call.add("Einsum", *arrays, equation=call.kwargs["subscripts"])


# --------------------------------------------------------------------------- recurrent


def _gates(call: Call, *numbers: int) -> Iterator[str]:
    """Yield the sums of gates, by their numbers: i, f, g and o stand side by side."""
    last = len(call.sizes(0)) - 1
    size = call.sizes(1)[-1] or 0  # of the layer, and so never None
    for k in numbers:
        parts = map(call.integers, (k * size, (k + 1) * size, last))
        yield call.add("Slice", call.x(), *parts)


def _lstm_memory(call: Call) -> str:
    i, f, g = _gates(call, 0, 1, 2)
    kept = call.add("Mul", call.add("Sigmoid", f), call.x(1))
    written = call.add("Mul", call.add("Sigmoid", i), call.add("Tanh", g))
    return call.add("Add", kept, written)


def _lstm_output(call: Call) -> str:
    (o,) = _gates(call, 3)
    return call.add("Mul", call.add("Sigmoid", o), call.add("Tanh", call.x(1)))


# ----------------------------------------------------------------------------- windows


def _window(call: Call, *names: str) -> dict[str, list[int]]:
    """Return the attributes of a sliding window, one number for each axis."""
    axes = len(call.sizes(0)) - 2
    padding = _each(call.kwargs["padding"], axes)
    found = {"pads": [*padding, *padding]}
    stride = call.kwargs["stride"]
    stride = call.kwargs["kernel_size"] if stride is None else stride
    found["strides"] = _each(stride, axes)
    if "kernel_size" in call.kwargs:
        found["kernel_shape"] = _each(call.kwargs["kernel_size"], axes)
    if "dilation" in call.kwargs:
        found["dilations"] = _each(call.kwargs["dilation"], axes)
    return found


def _convolution(call: Call) -> str:
    inputs = [call.x(i) for i in range(call.count) if call.given(i)]
    return call.add("Conv", *inputs, **_window(call))


def _max_pool(call: Call) -> str:
    return call.add("MaxPool", call.x(), **_window(call))


def _avg_pool(call: Call) -> str:
    return call.add("AveragePool", call.x(), **_window(call), count_include_pad=1)


#: What writes an operation. One that is not here is refused.
OPERATIONS: Mapping[Op, Writer] = {
    ops.absolute: _named("Abs"),
    ops.add: _named("Add"),
    ops.arccos: _named("Acos"),
    ops.arccosh: _named("Acosh"),
    ops.arcsin: _named("Asin"),
    ops.arcsinh: _named("Asinh"),
    ops.arctan: _named("Atan"),
    ops.arctanh: _named("Atanh"),
    ops.astype: _named("Identity"),  # all real numbers are float32
    ops.avg_pool1d: _avg_pool,
    ops.avg_pool2d: _avg_pool,
    ops.broadcast_to: _broadcast_to,
    ops.clip: _clip,
    ops.concatenate: _concatenate,
    ops.conv1d: _convolution,
    ops.conv2d: _convolution,
    ops.copy: _named("Identity"),
    ops.cos: _named("Cos"),
    ops.cosh: _named("Cosh"),
    ops.divide: _named("Div"),
    ops.dot: _dot,
    ops.einsum: _einsum,
    ops.elu: _elu,
    ops.erf: _named("Erf"),
    ops.exp: _named("Exp"),
    ops.expand_dims: _reshape,
    ops.flatten: _reshape,
    ops.gelu: _named("Gelu", "approximate"),
    ops.getitem: _getitem,
    ops.hard_tanh: _hard_tanh,
    ops.leaky_relu: _leaky_relu,
    ops.linear: _linear,
    ops.log: _named("Log"),
    ops.log_softmax: _named("LogSoftmax", "axis"),
    ops.logsumexp: _reduction("ReduceLogSumExp"),
    ops.lstm_memory: _lstm_memory,
    ops.lstm_output: _lstm_output,
    ops.matmul: _named("MatMul"),
    ops.max: _reduction("ReduceMax"),
    ops.max_pool1d: _max_pool,
    ops.max_pool2d: _max_pool,
    ops.maximum: _named("Max"),
    ops.mean: _reduction("ReduceMean"),
    ops.min: _reduction("ReduceMin"),
    ops.minimum: _named("Min"),
    ops.mish: _mish,
    ops.moveaxis: _permutation(ops.moveaxis),
    ops.multiply: _named("Mul"),
    ops.negative: _named("Neg"),
    ops.pad: _pad,
    ops.positive: _named("Identity"),
    ops.power: _named("Pow"),
    ops.prod: _reduction("ReduceProd"),
    ops.ravel: _reshape,
    ops.reciprocal: _named("Reciprocal"),
    ops.relu: _named("Relu"),
    ops.reshape: _reshape,
    ops.selu: _named("Selu"),
    ops.sigmoid: _named("Sigmoid"),
    ops.sign: _named("Sign"),
    ops.silu: _silu,
    ops.sin: _named("Sin"),
    ops.sinh: _named("Sinh"),
    ops.softmax: _named("Softmax", "axis"),
    ops.softplus: _named("Softplus"),
    ops.softsign: _named("Softsign"),
    ops.sqrt: _named("Sqrt"),
    ops.square: _square,
    ops.squeeze: _reshape,
    ops.stack: _stack,
    ops.standardize: _standardize,
    ops.std: _std,
    ops.subtract: _named("Sub"),
    ops.sum: _reduction("ReduceSum"),
    ops.swapaxes: _permutation(ops.swapaxes),
    ops.take: _take,
    ops.tan: _named("Tan"),
    ops.tanh: _named("Tanh"),
    ops.transpose: _permutation(ops.transpose),
    ops.var: _var,
    ops.where: _named("Where"),
}
