"""NumPy's functions and argument order: which operation answers, what is refused."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.keywords import call_ufunc, check_where, refused
from tinygrad_edu.engine.refusals import REFUSED, Refusal

__all__ = [
    "FROM_METHOD",
    "FROM_NUMPY",
    "FROM_REDUCE",
    "FROM_SCIPY",
    "as_written",
    "dispatch",
    "numpy_order",
    "of_method",
    "plain",
    "unsupported",
    "with_keywords",
]

#: NumPy function -> what answers in its place when it is handed a Tensor.
FROM_NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}
#: What answers for a method of ufuncs, by its name; it is told which ufunc.
FROM_METHOD: dict[str, Callable[..., Any]] = {}
#: For ``ufunc.reduce``, of those that have an operation for it.
FROM_REDUCE: dict[Callable[..., Any], Callable[..., Any]] = {}
#: The same for the ufuncs of scipy.special, by name: it takes long to import.
FROM_SCIPY: dict[str, Callable[..., Any]] = {}
#: Those among the answers that are no operation.
_ANSWERS_PLAINLY: set[Callable[..., Any]] = set()

_NO_VALUE = np._NoValue  #: NumPy's own default of some keywords
Adapter = Callable[..., tuple[Sequence[Any], dict[str, Any]]]


def dispatch(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call what answers for a NumPy function."""
    call = FROM_NUMPY.get(function) or _from_scipy(function)
    if call is None:
        raise unsupported(function)
    if kwargs.get("out") is not None:
        raise _cannot_receive(function)
    return call(*args, **kwargs)


def with_keywords(ufunc: np.ufunc, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call what answers for a ufunc that is given keywords."""
    call = FROM_NUMPY.get(ufunc) or _from_scipy(ufunc)
    if call is not None:
        check_where(ufunc, kwargs.get("where", True))
    if call is None or call in _ANSWERS_PLAINLY or kwargs.get("out") is not None:
        return dispatch(ufunc, args, kwargs)
    return call_ufunc(ufunc, call, args, kwargs)


def of_method(ufunc: np.ufunc, method: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call what answers for a method of a ufunc, such as ``np.subtract.outer``."""
    call = FROM_NUMPY.get(ufunc)
    if call is None or call in _ANSWERS_PLAINLY:
        raise unsupported(ufunc, f".{method}")
    if kwargs.get("out") is not None:
        raise _cannot_receive(ufunc, f".{method}")
    if method not in FROM_METHOD:
        instead = _INSTEAD[method].format(_full_name(ufunc))
        raise TypeError(f"{_full_name(ufunc)}.{method} is not supported. {instead}")
    return FROM_METHOD[method](ufunc, *args, **kwargs)


_INSTEAD = {
    "at": "A tensor is never written into, nor into an array: y = t.at[indices].set("
    "{0}(t[indices], b)), for repeated indices t.at[indices].add(b)",
    "reduceat": "Write te.stack([{0}.reduce(x[i:j]) for i, j in zip(starts, ends)])",
}


def _cannot_receive(function: Callable[..., Any], method: str = "") -> TypeError:
    return TypeError(
        f"{_full_name(function)}{method}: out= (or an in-place operator such as += on "
        "an array) cannot receive a Tensor; write array = array + tensor"
    )


def _from_scipy(function: Callable[..., Any]) -> Callable[..., Any] | None:
    name = function.__name__
    special = sys.modules.get("scipy.special")  # if not there, it is none of its
    return FROM_SCIPY.get(name) if getattr(special, name, None) is function else None


def unsupported(function: Callable[..., Any], method: str = "") -> TypeError:
    """Return the error for a NumPy function that has no operation behind it."""
    name = _full_name(function)
    refusal = REFUSED.get(name.removeprefix("numpy."), _UNKNOWN)
    if method:
        refusal, name = _UNKNOWN, name + method
    plainly = f"{name}(t.detach().numpy())"
    if not refusal.smooth:
        write = f"Write {refusal.instead}. " if refusal.instead else ""
        return TypeError(f"{name} {refusal.why}. {write}For plain numbers: {plainly}")
    example = f", for example {refusal.instead}," if refusal.instead else ""
    return TypeError(
        f"{name} {refusal.why}, so it cannot be differentiated. For gradients write "
        f"its formula with the operations in te.OPS{example} or declare one of your "
        "own with @te.op: docs/adding-an-operation.md. For the plain numbers alone: "
        f"{plainly}"
    )


_UNKNOWN = Refusal("has no operation behind it", "", smooth=True)


def _full_name(function: Callable[..., Any]) -> str:
    """Return "numpy.linalg.norm"; a ufunc of another package has its name alone."""
    name = function.__name__
    if getattr(np, name, None) is function:
        return f"numpy.{name}"
    module = getattr(function, "__module__", None)
    return f"{module}.{name}" if module else name


def plain(*functions: Callable[..., Any]) -> None:
    """Let NumPy functions without derivative take Tensors and return plain arrays."""
    for function in functions:
        FROM_NUMPY[function] = _on_plain_arrays(function)
        _ANSWERS_PLAINLY.add(FROM_NUMPY[function])


def _on_plain_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    place = _place_of_out(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > place and args[place] is not None:
            raise _cannot_receive(function)
        kwargs = {name: getattr(x, "_numbers", x) for name, x in kwargs.items()}
        return function(*(getattr(x, "_numbers", x) for x in args), **kwargs)

    return call


def _place_of_out(function: Callable[..., Any]) -> int:
    """Return the position of ``out``: of a ufunc it arrives by name in any case."""
    names = (
        []
        if isinstance(function, np.ufunc)
        else [*inspect.signature(function).parameters]
    )
    return names.index("out") if "out" in names else sys.maxsize


def as_written(
    name: str, arguments: Sequence[str], metadata: Mapping[str, Any]
) -> Adapter:
    """Return the adapter of a variadic operation: arrays, and metadata by name.

    What stands before the starred argument, the last, may be given by its name, too.
    """
    *first, starred = arguments
    takes = ", ".join([*first, f"*{starred}", *metadata])

    def adapter(*args: Any, **kwargs: Any) -> tuple[Sequence[Any], dict[str, Any]]:
        named = [kwargs.pop(key) for key in first if key in kwargs]
        if named and args:
            raise TypeError(f"{name}: got two values for {first[0]}; it takes {takes}")
        for key in kwargs:
            if key not in metadata:
                raise refused(name, key, takes)
        return (*named, *args), kwargs

    return adapter


def numpy_order(
    name: str,
    defaults: Mapping[str, Any],
    metadata: Mapping[str, Any],
    numpy: Callable[..., Any] | None,
) -> Adapter:
    """Return the adapter that sorts a call into arrays and metadata.

    It accepts positions and names as in the NumPy function's signature, or without
    one as in the operation's own: ``x.sum(0)``, ``np.sum(a=x, axis=0)``. ``defaults``
    are those of the arrays; one without has ``inspect.Parameter.empty``.
    """
    arguments = tuple(defaults)
    order = [*arguments, *metadata]
    theirs: Mapping[str, inspect.Parameter] = {}
    if numpy is not None and not isinstance(numpy, np.ufunc):
        theirs = inspect.signature(numpy).parameters
        order = [*arguments, *list(theirs)[len(arguments) :]]
    renamed = dict(zip(theirs, arguments, strict=False))
    known, empty = frozenset(metadata), inspect.Parameter.empty
    takes = ", ".join([*arguments, *metadata])

    def adapter(*args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
        if len(args) > len(order):
            raise TypeError(f"{name}: got {len(args)} arguments; it takes {takes}")
        given = dict(zip(order, args, strict=False))
        for key, value in kwargs.items():
            key = renamed.get(key, key)
            if key in given:
                raise TypeError(f"{name}: got two values for {key}")
            if value is not _NO_VALUE or key not in known:
                given[key] = value
        arrays = [given.pop(key, default) for key, default in defaults.items()]
        if not known.issuperset(given):
            for key in given.keys() - known:
                if key not in theirs or given.pop(key) is not theirs[key].default:
                    raise refused(name, key, takes)
        for x in arrays:
            if x is empty:
                named = zip(arguments, arrays, strict=True)
                missing = ", ".join(key for key, x in named if x is empty)
                raise TypeError(f"{name}: missing {missing}; it takes {takes}")
        return arrays, given

    return adapter
