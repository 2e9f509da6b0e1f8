"""export_onnx: the recorded operations of a model, written as a file of ONNX."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.files import written_atomically
from tinygrad_edu.nn import Layer
from tinygrad_edu.saving.onnx_operations import OPERATIONS
from tinygrad_edu.saving.onnx_trace import (
    TWO,
    Pair,
    Trace,
    is_same,
    sizes,
    trace,
    where,
)

__all__ = ["export_onnx"]

#: The version of the operators: the first in which Gelu is one of them.
_OPSET = 20
_SUFFIX = ".onnx"


def export_onnx(
    model: Layer,
    path: str | os.PathLike[str],
    input_shape: int | tuple[int, ...],
    *,
    dtype: DTypeLike = np.float32,
) -> Path:
    """Write a model as a file of ONNX, which other runtimes read.

    Needs the package ``onnx``: ``pip install 'tinygrad_edu[onnx]'``.

    Parameters
    ----------
    model : Layer
        Takes one array, with a row for each example, and returns one.
    path : str or path
        Ends in ``.onnx``. Whatever stands there is replaced, once the new file is
        whole; folders on the way are made.
    input_shape : int or tuple of int
        Of one example, without the batch axis: ``(784,)`` or ``(1, 28, 28)``.
    dtype : dtype, default float32
        What the input holds: real numbers, float32 in the file, or integers, int64 in
        the file, such as the numbers of words for an :class:`nn.Embedding`.

    Returns
    -------
    Path

    Raises
    ------
    TypeError
        If the model is no Layer or does not return one Tensor, or an argument is of
        the wrong type.
    ValueError
        If the path has another suffix; if a layer computes an operation that has no
        counterpart in ONNX, or numbers outside of the operations: the message names
        the layer.
    ImportError
        If ``onnx`` is not installed.
    OSError
        If the file cannot be written.

    Notes
    -----
    The model runs twice, in evaluation mode, on 2 rows and on 3, and is afterwards what
    it was. The operations that it records are written one by one: so a layer of your
    own can be exported, too. The file is for any number of rows, the first axis being
    ``batch``; the other axes are as in ``input_shape``, and so a recurrent layer is
    written out, time by time. The numbers are float32, whatever the model's are.

    A node is called by the path and the kind of its layer, ``encoder.0/Linear/Gemm``,
    and the weights as in :meth:`nn.Layer.state_dict`; the input is ``input``, the
    output ``output``. Source: the operators of ONNX, version 20,
    https://onnx.ai/onnx/operators/.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> model = te.nn.Sequential(te.nn.Linear(64, 10), te.nn.Softmax())
    >>> te.export_onnx(model, "model.onnx", (64,))  # doctest: +SKIP
    PosixPath('model.onnx')
    """
    onnx = _imported()
    if not isinstance(model, Layer):
        raise TypeError(
            f"export_onnx: the model must be a Layer, got {type(model).__name__}; "
            "write te.export_onnx(model, path, input_shape)"
        )
    path = Path(path)
    if path.suffix != _SUFFIX:
        raise ValueError(
            f"export_onnx: the name of the file must end in {_SUFFIX}, got "
            f"{path.name!r}"
        )
    shape, integers = _shape(input_shape), _is_integer(dtype)
    traced = trace(model, shape, integers=integers)
    proto = _Graph(onnx, traced, integers).proto(model)
    onnx.checker.check_model(proto, full_check=True)
    with written_atomically(path) as file:
        file.write(proto.SerializeToString())
    return path


def _imported() -> Any:
    try:
        import onnx  # here, because nothing else needs it
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(
            "export_onnx needs the package onnx: pip install 'tinygrad_edu[onnx]'"
        ) from error
    return onnx


def _shape(given: Any) -> tuple[int, ...]:
    shape = given if isinstance(given, tuple | list) else (given,)
    if not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
        raise TypeError(
            "export_onnx: input_shape must be that of one example, without the batch "
            f"axis, such as (784,) or (1, 28, 28); got {given!r}"
        )
    return tuple(map(int, shape))


def _is_integer(dtype: Any) -> bool:
    kind: str = np.dtype(dtype).kind
    if kind not in "fiu":
        raise TypeError(
            "export_onnx: dtype must be one of real numbers or of integers, got "
            f"{np.dtype(dtype)}"
        )
    return kind != "f"


def _label(node: Tensor) -> str:
    """Return the layer of a node as a name: ``encoder.0/Linear``."""
    if node.scope is None:
        return "model"
    return f"{node.scope.path}/{node.scope.kind}".lstrip("/")


class _Graph:
    """The nodes and constants of the file, as they come."""

    def __init__(self, onnx: Any, traced: Trace, integers: bool) -> None:
        self.onnx, self.traced, self.is_integer = onnx, traced, integers
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.used = {"input", "output"}
        self.called = {id(traced.input.two): "input"}  # by id in the first recording
        self.integers: dict[str, str] = {}  # names by what is in them

    def proto(self, model: Layer) -> Any:
        """Return the whole as onnx's ModelProto."""
        helper, types = self.onnx.helper, self.onnx.TensorProto
        for pair in self.traced.nodes:
            self.called[id(pair.two)] = self.written(pair)
        self._name_output(self.called[id(self.traced.output.two)])
        graph = helper.make_graph(
            self.nodes,
            type(model).__name__,
            [self._value("input", types.INT64 if self.is_integer else types.FLOAT)],
            [self._value("output", types.FLOAT)],
            [
                self.onnx.numpy_helper.from_array(array, name)
                for name, array in self.constants.items()
            ],
        )
        versions = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(
            graph,
            opset_imports=versions,
            # The oldest that has these operators: older runtimes read it, too.
            ir_version=helper.find_min_ir_version_for(versions),
            producer_name="tinygrad_edu",
            doc_string=repr(model),
        )

    def _value(self, name: str, kind: int) -> Any:
        pair = self.traced.input if name == "input" else self.traced.output
        shape = sizes("the model", np.shape(pair.two), np.shape(pair.three))
        rows = [
            "batch" if size is None and actual == TWO else size
            for size, actual in zip(shape, np.shape(pair.two), strict=True)
        ]
        return self.onnx.helper.make_tensor_value_info(name, kind, rows)

    def _name_output(self, name: str) -> None:
        if name == "input":
            name = self.add("Identity", ["input"], "model", {})
        for node in self.nodes:
            for names in (node.input, node.output):
                for place, other in enumerate(names):
                    if other == name:
                        names[place] = "output"

    def written(self, pair: Pair) -> str:
        """Add the nodes of an operation; return the name of its result."""
        call = _Call(self, pair)
        write = OPERATIONS.get(pair.two.op)
        if write is None:
            raise call.refuse()
        call.check()
        return write(call)

    def add(
        self, kind: str, inputs: list[str], label: str, attributes: Mapping[str, Any]
    ) -> str:
        """Add a node; return its name, which is that of its result, too."""
        name = self._unique(f"{label}/{kind}")
        node = self.onnx.helper.make_node(kind, inputs, [name], name, **attributes)
        self.nodes.append(node)
        return name

    def constant(self, array: np.ndarray, wanted: str) -> str:
        """Add an array; return its name."""
        name = self._unique(wanted)
        self.constants[name] = np.array(array, order="C")
        return name

    def integer(self, value: int | tuple[int, ...]) -> str:
        """Return the name of an integer, or of a list of them, which is there once."""
        text = str(value)
        if text not in self.integers:
            self.integers[text] = self.constant(np.array(value, np.int64), text)
        return self.integers[text]

    def rows(self) -> str:
        """Return the name of the number of rows: a list of one integer."""
        if "rows" not in self.used:
            self.used.add("rows")
            node = self.onnx.helper.make_node(
                "Shape", ["input"], ["rows"], "rows", start=0, end=1
            )
            self.nodes.append(node)
        return "rows"

    def _unique(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self.used:
            name, count = f"{wanted}_{count}", count + 1
        self.used.add(name)
        return name


class _Call:
    """One operation, as the table sees it: see :class:`operations.Call`."""

    def __init__(self, graph: _Graph, pair: Pair) -> None:
        self.graph, self.pair = graph, pair
        self.kwargs: Mapping[str, Any] = pair.two.kwargs
        self.count = len(pair.two.inputs)
        self.label = _label(pair.two)

    def check(self) -> None:
        """Refuse metadata that the batch decides, but for the shape of the result."""
        for name, value in self.kwargs.items():
            if name != "shape" and not is_same(value, self.pair.three.kwargs[name]):
                raise self._changes(f"{name}={value!r}")

    def refuse(self, how: str = "") -> ValueError:
        """Return the error for what ONNX has not."""
        return ValueError(
            f"{self._computes(how)}, which has no counterpart in ONNX; compose it of "
            "other operations"
        )

    def _changes(self, what: str) -> ValueError:
        """Return the error for what was not computed by operations."""
        return ValueError(
            f"{self._computes(what)}, for {TWO} rows, which changes with the input or "
            "the number of rows, but was not computed by operations on Tensors"
        )

    def _computes(self, how: str) -> str:
        name = f"{self.pair.two.op.name} with {how}" if how else self.pair.two.op.name
        return f"export_onnx: {where(self.pair.two)} computes {name}"

    # -- what goes in
    def x(self, position: int = 0) -> str:
        """Return the name of an input, as real numbers or as True and False."""
        name = self._known(position)
        if name == "input" and self.graph.is_integer:
            return self.add("Cast", name, to=self.graph.onnx.TensorProto.FLOAT)
        is_condition = self.pair.two.op is ops.where and position == 0
        return name or self._constant(position, bool if is_condition else np.float32)

    def indices(self, position: int) -> str:
        """Return the name of an input that holds integers."""
        return self._known(position) or self._constant(position, np.int64)

    def given(self, position: int) -> bool:
        """Whether that input is not None."""
        return position < self.count and self.pair.two.inputs[position] is not None

    def _known(self, position: int) -> str:
        return self.graph.called.get(id(self.pair.two.inputs[position]), "")

    def _constant(self, position: int, dtype: DTypeLike) -> str:
        """Add what does not depend on the input."""
        x = self.pair.two.inputs[position]
        two, three = (
            np.asarray(y.data if isinstance(y, Tensor) else y)
            for y in (x, self.pair.three.inputs[position])
        )
        wanted = self.graph.traced.parameters.get(id(x))
        wanted = wanted or f"{self.label}/{self.pair.two.op.argument(position)}"
        wide = sizes(where(self.pair.two), two.shape, three.shape)
        one = tuple(slice(1 if size is None else None) for size in wide)
        if not is_same(two[one], three[one]) or not all(
            np.array_equal(np.broadcast_to(y[one], y.shape), y, equal_nan=True)
            for y in (two, three)
        ):
            raise self._changes(
                f"an array of shape {two.shape}" if two.ndim else f"the number {two}"
            )
        with np.errstate(over="ignore"):  # too large for float32: infinite there
            name = self.graph.constant(two[one].astype(dtype), wanted)
        if None in wide:  # the same for every row
            name = self.add("Expand", name, self._sizes_of(two.shape, wide))
        if isinstance(x, Tensor):
            self.graph.called[id(x)] = name
        return name

    # -- what comes out
    def sizes(self, position: int | None = None) -> list[int | None]:
        """Return the sizes of an input, or of the result; None follows the batch."""
        shapes = (
            np.shape(x if position is None else x.inputs[position]) for x in self.pair
        )
        return sizes(where(self.pair.two), *shapes)

    def result_sizes(self) -> str:
        """Return the name of the sizes of the result, as integers."""
        return self._sizes_of(self.pair.two.shape, self.sizes())

    def _sizes_of(self, two: tuple[int, ...], wide: list[int | None]) -> str:
        if None not in wide:
            return self.integers(*two)
        parts = []
        for actual, size in zip(two, wide, strict=True):
            if size is not None:
                parts.append(self.integers(size))
                continue
            rows = self.graph.rows()
            each = actual // TWO  # of these for one row
            parts.append(
                rows if each == 1 else self.add("Mul", rows, self.integers(each))
            )
        return self.add("Concat", *parts, axis=0)

    def number(self, value: float) -> str:
        """Return the name of a number."""
        name = f"{self.label}/{value}"
        return self.graph.constant(np.array(value, np.float32), name)

    def integer(self, value: int) -> str:
        """Return the name of an integer."""
        return self.graph.integer(value)

    def integers(self, *values: int) -> str:
        """Return the name of a list of integers."""
        return self.graph.integer(values)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its result."""
        return self.graph.add(kind, list(inputs), self.label, attributes)
