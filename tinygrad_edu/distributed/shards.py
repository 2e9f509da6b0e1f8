"""What a worker does in a step: the gradients of its rows, leaf by leaf, added up.

All rows are cut into leaves, by their number alone. The sums of neighbouring leaves are
added two by two, like the matches of a tournament: who adds which of them, on how many
workers, has no influence on a single bit.

Nothing here knows of Dask.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.engine.memory import keep_freed_memory

__all__ = ["Learned", "Mapped", "Node", "Part", "joined", "learn", "packed", "total"]


class Node(NamedTuple):
    """The sum of the gradients of leaves ``number * 2**level`` and those after it."""

    level: int
    number: int
    gradient: np.ndarray


def joined(nodes: Iterable[Node]) -> list[Node]:
    """Add up each pair of neighbours that has a place in the tree, in place.

    Parameters
    ----------
    nodes : iterable of Node
        In the order of the rows.

    Returns
    -------
    list of Node
        As few as possible.

    Examples
    --------
    >>> leaves = [Node(0, i, np.array([10.0**i])) for i in range(5)]
    >>> for level, number, gradient in joined(leaves):
    ...     print(level, number, gradient)
    2 0 [1111.]
    0 4 [10000.]
    """
    found: list[Node] = []
    for node in nodes:
        while (
            found and node.number % 2 and found[-1][:2] == (node.level, node.number - 1)
        ):
            gradient = _sum(found.pop().gradient, node.gradient)
            node = Node(node.level + 1, node.number // 2, gradient)
        found.append(node)
    return found


def total(nodes: Iterable[Node]) -> np.ndarray:
    """Return the sum of all leaves; those that have no neighbour come last.

    Examples
    --------
    >>> total(Node(0, i, np.array([10.0**i])) for i in range(5))
    array([11111.])
    """
    *others, last = joined(nodes)
    gradient = last.gradient
    for node in reversed(others):
        gradient = _sum(node.gradient, gradient)
    return gradient


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # what came over the net must not be written to
    whole: np.ndarray = np.add(a, b, out=a if a.flags.writeable else None)
    return whole


# ------------------------------------------------------------------- where rows lie


class Mapped:
    """A memory map that travels by the name of its file, and is read where it arrives.

    Parameters
    ----------
    array : numpy.memmap
        Of any layout that lies in the file.
    """

    def __init__(self, array: np.memmap) -> None:
        root: Any = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        self.path, self.dtype = str(array.filename), array.dtype
        self.shape, self.strides = array.shape, array.strides
        address = array.__array_interface__["data"][0]
        # the root's memory begins at its own offset in the file
        begins = root.__array_interface__["data"][0] - root.offset
        self.offset = address - begins
        self._opened: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        if self._opened is None:
            whole = np.memmap(self.path, np.uint8, "r")
            self._opened = np.ndarray(
                self.shape, self.dtype, whole, self.offset, self.strides
            )
        return np.asarray(self._opened[rows])


class Part(NamedTuple):
    """Rows that a worker holds, and what of them is in the batch."""

    start: int  # the number of the first row
    held: list[Any]  # X and y, or the parts of them; None for what it reads itself
    leaves: list[tuple[int, Any]]  # number of a leaf, and which of all rows


# --------------------------------------------------------------------------- one step


class Learned(NamedTuple):
    """What a worker answers."""

    parts: list[int]  # the first rows of them
    nodes: list[Node]
    leaves: list[tuple[int, float, dict[str, Any], bool]]  # number, loss, meter, finite
    used: list[bool]  # which of the parameters have a gradient
    seconds: float


class _Copy:
    """A thread's own copy of the model: gradients gather in its parameters."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        try:
            made = pickle.loads(payload)
        except ImportError as error:
            error.add_note(
                "on a worker: it needs the modules that define model, loss and "
                "metrics; client.upload_file(path) sends one"
            )
            raise
        self.model, self.loss, self.meter, self.parameters = made[:4]
        self.buffers: list[np.ndarray] = [x for _, x in self.model.named_buffers()]
        self.sources, self.tuples = made[4:]


_copies = threading.local()


def _copy_of(payload: bytes) -> _Copy:
    last: _Copy | None = getattr(_copies, "last", None)
    if last is None or (last.payload is not payload and last.payload != payload):
        last = _copies.last = _Copy(payload)
    return last


def packed(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return arrays as one flat buffer of bytes.

    Examples
    --------
    >>> packed([np.zeros((2, 3)), np.ones(4, np.float32)]).shape
    (64,)
    """
    flat = [np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in arrays]
    return np.concatenate(flat) if flat else np.zeros(0, np.uint8)


def _unpack(buffer: np.ndarray, targets: Iterable[Tensor | np.ndarray]) -> None:
    """Write a buffer into parameters and arrays."""
    start = 0
    for target in targets:
        array: np.ndarray = target.data if isinstance(target, Tensor) else target
        stop = start + array.nbytes
        values = buffer[start:stop].view(array.dtype).reshape(array.shape)
        if isinstance(target, Tensor):
            target.data = values
        else:
            target[...] = values
        start = stop


def learn(
    payload: bytes, state: np.ndarray, tracked: Sequence[bool], rows: int, *parts: Any
) -> Learned:
    """Return the gradient of the batch's mean loss, as far as it comes from these rows.

    Parameters
    ----------
    payload : bytes
        Model, loss, meter, parameters, what is read here, and whether X and y are
        tuples; pickled once.
    state : ndarray of uint8
        The numbers of parameters and buffers, as :func:`packed` returns them.
    tracked : sequence of bool
        ``requires_grad`` of the parameters.
    rows : int
        How many the whole batch has.
    *parts : Part
        In the order of their rows.

    Returns
    -------
    Learned
    """
    keep_freed_memory()
    begun = time.perf_counter()
    own = _copy_of(payload)
    _unpack(np.asarray(state), [*own.parameters, *own.buffers])
    for p, flag in zip(own.parameters, tracked, strict=True):
        p.requires_grad = flag
    used = [False] * len(own.parameters)
    nodes: list[Node] = []
    leaves = []
    for part in map(Part._make, parts):
        for leaf, numbers in part.leaves:
            X, y = _rows(own, part, numbers)
            value, meter, gradient = _gradient(own, X, y, rows, used)
            finite = bool(np.isfinite(gradient).all())
            leaves.append((leaf, value, meter, finite))
            nodes = joined([*nodes, Node(0, leaf, gradient)])
    seconds = time.perf_counter() - begun
    return Learned([part[0] for part in parts], nodes, leaves, used, seconds)


def _rows(own: _Copy, part: Part, numbers: Any) -> tuple[Any, Any]:
    """Return X and y of some rows."""
    if isinstance(numbers, slice):
        local: Any = slice(numbers.start - part.start, numbers.stop - part.start)
    else:
        local = numbers - part.start
    columns = [
        np.asarray(source[numbers] if source is not None else held[local])
        for source, held in zip(own.sources, part.held, strict=True)
    ]
    inputs, several_X, several_y = own.tuples
    X, y = tuple(columns[:inputs]), tuple(columns[inputs:])
    return X if several_X else X[0], y if several_y else y[0]


def _gradient(
    own: _Copy, X: Any, y: Any, rows: int, used: list[bool]
) -> tuple[float, dict[str, Any], np.ndarray]:
    """Return the share of the loss, what was measured, and the flat gradient."""
    count = len(y[0] if type(y) is tuple else y)
    for p in own.parameters:
        p.grad = None
    output = own.model(*X) if type(X) is tuple else own.model(X)
    loss = own.loss(output, y)
    value = float(loss.item())
    (loss * (count / rows)).backward()
    own.meter.clear()
    own.meter.add(output, y, value)
    flat = []
    for i, p in enumerate(own.parameters):
        used[i] = used[i] or p.grad is not None
        flat.append(np.zeros(p.size) if p.grad is None else p.grad.reshape(-1))
    return value, own.meter.state_dict(), _flat(flat, own.parameters)


def _flat(gradients: list[np.ndarray], parameters: Sequence[Tensor]) -> np.ndarray:
    dtype = np.result_type(*(p.dtype for p in parameters))
    return np.concatenate(gradients, dtype=dtype, casting="same_kind")
