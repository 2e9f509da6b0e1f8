"""The keywords that all of NumPy's ufuncs take: what they mean of a Tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["OF_UFUNCS", "call_ufunc", "check_where", "of_ufunc", "refused", "resolved"]

#: Each with the value that says nothing.
OF_UFUNCS: dict[str, Any] = {
    "out": None,
    "where": True,
    "casting": "same_kind",
    "order": "K",
    "dtype": None,
    "subok": True,
    "signature": None,
}

#: What to write instead, by the keyword; {0} is the function.
INSTEAD: dict[str, str] = {
    "out": "A tensor is never written into: y = {0}(...)",
    "where": "Write {0}(np.where(mask, x, other)), where other counts for nothing",
    "dtype": "Write {0}(x.astype(dtype))",
    "device": "Leave it out: numbers are in this computer's memory",
    "dim": "It is called axis, or axes",
    "keepdim": "It is called keepdims",
    "input": "It is called x",
    "stat_length": "Write te.concatenate([te.mean(x, 0, keepdims=True), x]), and so on",
    "end_values": "Write te.concatenate of x and of what shall stand in the margin",
    "inplace": "A tensor is never written into: y = {0}(...)",
    "order": "Write {0}(x.T) for another order of the numbers",
    "axes": "Write {0}(te.moveaxis(x, ...))",
    "axis": "Write {0}(te.moveaxis(x, ...))",
    "keepdims": "Write te.expand_dims({0}(x), axis)",
}


def refused(name: str, key: str, takes: str, instead: str = "") -> TypeError:
    """Return the error for a keyword that is not taken: its name, what is, the way."""
    instead = instead or INSTEAD.get(key, "")
    way = f". {instead.format(name)}" if instead else ""
    return TypeError(
        f"{name}: argument {key!r} is not supported; it takes {takes}{way}"
    )


def of_ufunc(ufunc: np.ufunc, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return what answers for an operation that is called with these keywords."""

    def answer(*arrays: Any, **keywords: Any) -> Any:
        return call_ufunc(ufunc, call, arrays, keywords)

    return answer


def call_ufunc(
    ufunc: np.ufunc,
    call: Callable[..., Any],
    arrays: Sequence[Any],
    keywords: dict[str, Any],
) -> Any:
    """Call what answers for a ufunc, as its keywords say.

    ``dtype`` and ``signature`` choose, with ``casting``, the types that it computes
    with, and NumPy knows which these are. ``order``, an order in memory, and ``subok``
    say nothing of a Tensor. ``where`` would leave numbers undefined.
    """
    name = ufunc.__name__
    if "sig" in keywords:
        keywords["signature"] = keywords.pop("sig")
    given = OF_UFUNCS | keywords
    takes = ", ".join(OF_UFUNCS)
    check_where(ufunc, given["where"])
    if any(x is not None for x in _each(given["out"])):
        raise refused(name, "out", "out=None alone")
    if given["order"] not in tuple("KACF"):
        raise ValueError(f"{name}: order must be one of C, F, A, K: {given['order']!r}")
    axis: Any = -1
    keepdims = False
    if ufunc.signature == _OF_VECTORS and "axes" not in given:
        axis, keepdims = given.pop("axis", -1), given.pop("keepdims", False)
    for key in given.keys() - OF_UFUNCS.keys():
        if key != "axes" or ufunc.signature is None:
            raise refused(name, key, takes)
    if any(given[key] != OF_UFUNCS[key] for key in ("dtype", "casting", "signature")):
        arrays = resolved(ufunc, arrays, *map(given.get, _TYPES))
    if axis != -1:
        given["axes"] = [axis, axis, ()]
    if given.get("axes") is not None:
        y = _along_axes(call, arrays, given["axes"])
    else:
        y = call(*arrays)
    return np.expand_dims(y, axis) if keepdims else y


#: The signature of what takes an axis of each operand, and leaves none.
_OF_VECTORS = "(n),(n)->()"


def check_where(ufunc: np.ufunc, where: Any) -> None:
    """Refuse a mask: without ``out``, numbers outside of it would be undefined."""
    if where is not True and not (isinstance(where, np.bool) and where):
        instead = _OF_WHERE[min(ufunc.nin, 2)]
        raise refused(ufunc.__name__, "where", "where=True alone", instead)


#: By the number of operands; ``other`` is what stands in ``out``, if that is given.
_OF_WHERE = {
    1: "Write np.where(mask, {0}(x), other); where x outside of the mask is nothing "
    "that {0} should see: te.piecewise(x, [mask], [{0}])",
    2: "Write np.where(mask, {0}(a, b), other); where b outside of the mask is nothing "
    "that {0} should see: np.where(mask, {0}(a, np.where(mask, b, 1)), other)",
}


def _each(out: Any) -> Sequence[Any]:
    return out if isinstance(out, tuple) else (out,)


_TYPES = ("dtype", "signature", "casting")


def resolved(
    ufunc: np.ufunc,
    arrays: Sequence[Any],
    dtype: Any = None,
    signature: Any = None,
    casting: Any = "same_kind",
) -> list[Any]:
    """Return the arrays in the types that a ufunc computes with; errors are NumPy's."""
    if dtype is not None and signature is not None:
        raise TypeError("cannot specify both 'signature' and 'dtype'")
    if dtype is not None:
        signature = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    # Python's own numbers take the type of the others
    arrays = [
        x if type(x) in (int, float) or hasattr(x, "dtype") else np.asarray(x)
        for x in arrays
    ]
    known = [type(x) if type(x) in (int, float) else x.dtype for x in arrays]
    chosen = {} if signature is None else {"signature": signature}
    types = ufunc.resolve_dtypes(
        (*known, *(None,) * ufunc.nout), casting=casting, **chosen
    )
    return [
        x if own is to or type(own) is type else _cast(ufunc.__name__, x, to)
        for x, own, to in zip(arrays, known, types, strict=False)
    ]


def _cast(name: str, x: Any, dtype: np.dtype[Any]) -> Any:
    if x.dtype == dtype:
        return x
    if dtype.kind != "f":
        raise TypeError(
            f"{name}: dtype must be one of real floating-point numbers, got {dtype}. "
            f"For others: np.{name}(t.detach().numpy(), ...)"
        )
    return x.astype(dtype)


def _along_axes(call: Callable[..., Any], arrays: Sequence[Any], axes: Any) -> Any:
    """Call a product with the axes of each operand last, and put those of the result.

    They stand in a list, for each operand and for the result a tuple, or a number.
    """
    if not isinstance(axes, list):
        raise TypeError(f"axes should be a list, got {type(axes).__name__}")
    moved = [(a,) if isinstance(a, int) else tuple(a) for a in axes]
    if len(moved) == len(arrays):  # what has no axes of its own may be left out
        moved.append(())
    if len(moved) != len(arrays) + 1:
        raise ValueError(
            "axes should be a list with an entry for all inputs and the output; "
            f"got {len(axes)}"
        )
    *of_arrays, of_result = moved
    inputs = [
        np.moveaxis(x, own, range(-len(own), 0))
        for x, own in zip(arrays, of_arrays, strict=True)
    ]
    y = call(*inputs)
    return np.moveaxis(y, range(-len(of_result), 0), of_result)
