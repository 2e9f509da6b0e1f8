"""Derivatives of functions, also of trees: grad, vjp, jvp, jacobian, hessian, hvp.

All of them call the function on leaves of their own, and then :func:`gradients`. What
they return can be differentiated again wherever that could be wanted: inside another
transform, if a Tensor is among the arguments, or if the function used a tensor from
outside that requires gradients. Else it is plain arrays.
"""

from __future__ import annotations

import itertools
import operator as operators
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine import errors
from tinygrad_edu.engine.core import Tensor, gradients, tensor
from tinygrad_edu.engine.interrupts import undone
from tinygrad_edu.engine.names import argument_names
from tinygrad_edu.engine.recording import NESTING, RECORDING
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.engine.trees import Form, flatten, holds_a_tensor, inner_of

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Argnums = int | tuple[int, ...]


def grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """Return the function that computes the gradient of ``f``.

    Parameters
    ----------
    f : callable
        Returns a single number; with ``has_aux``, that and anything else.
    argnums : int or tuple of int, default 0
        The arguments to differentiate by: arrays, or trees of them.
    has_aux : bool, default False
        ``f`` returns ``(number, aux)``; then the result is ``(gradient, aux)``.

    Returns
    -------
    callable
        Takes the arguments of ``f``; returns an array of the argument's shape, or a
        tree like it, or a tuple of those for a tuple of ``argnums``. Tensors, that can
        be differentiated again, inside of another transform, if an argument is a
        Tensor, or if ``f`` uses one from outside that requires gradients.

    Raises
    ------
    TypeError
        When called: if ``f`` does not return a Tensor, or an argument to differentiate
        by is no array of floating-point numbers, or a tree that holds something else,
        named by its path: ``params['W']``.
    ValueError
        When called: if ``f`` does not return a single number, ``argnums`` do not fit
        the arguments, or a tree is empty or holds itself.

    Notes
    -----
    A tree is a dict, list, tuple, named tuple or dataclass that holds arrays or trees;
    a list or tuple of nothing but numbers, also nested, is one array. ``f`` is handed a
    tree of the same types with Tensors in it, and the gradient is one with arrays. A
    dataclass is copied, not made anew: ``__post_init__`` is not called.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> float(te.grad(lambda x: x**3)(2.0))
    12.0
    >>> float(te.grad(lambda x: te.grad(lambda y: x * y**2)(3.0))(2.0))
    6.0
    >>> params = {"w": [1.0, 2.0], "b": [3.0]}
    >>> te.grad(lambda p: te.sum(p["w"] ** 2) + te.sum(p["b"]))(params)
    {'w': array([2., 4.]), 'b': array([1.])}
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return _named(gradient, "grad", f)


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """Return the function that computes the value and the gradient of ``f``.

    Parameters
    ----------
    f : callable
        Returns a single number; with ``has_aux``, that and anything else.
    argnums : int or tuple of int, default 0
        The arguments to differentiate by: arrays, or trees of them.
    has_aux : bool, default False
        ``f`` returns ``(number, aux)``; then the result is
        ``((number, aux), gradient)``.

    Returns
    -------
    callable
        Takes the arguments of ``f``; returns ``(value, gradient)``, the gradient as
        :func:`grad` does.

    Raises
    ------
    TypeError, ValueError
        As :func:`grad`.

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> value, gradient = te.value_and_grad(lambda x: te.sum(x * x))([1.0, 2.0])
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    """

    _check_argnums("grad", argnums)

    def both(*args: Any, **kwargs: Any) -> Any:
        with _transform(args, kwargs) as mode:
            moved, xs, forms = _with_leaves("grad", f, args, argnums)
            result = f(*moved, **kwargs)
            aux = None
            if has_aux:
                if not isinstance(result, tuple | list) or len(result) != 2:
                    raise TypeError("grad: with has_aux=True, f must return two things")
                result, aux = result
            y = _tensor_from(result, "grad")
            if y.size != 1:
                raise ValueError(
                    f"grad: f must return a single number, got shape {y.shape}. Sum "
                    "it, or use te.jacobian"
                )
            mode = mode.after([y], xs)
            seed = np.ones(y.shape, y.dtype)
            found = pulled([y], [seed], xs, mode.linked)
            value = _given(y, mode)
            if has_aux:
                parts, form = flatten(aux, "grad: aux")
                value = value, form.filled(_given(part, mode) for part in parts)
            return value, _put_together(found, forms, mode, argnums)

    return _named(both, "value_and_grad", f)


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[..., Any]]:
    """Compute ``f(*xs)``, and the function that pulls a gradient back through it.

    Parameters
    ----------
    f : callable
        Returns a Tensor, or a tree of them, such as a tuple.
    *xs : array_like or Tensor, or trees of them
        The arguments of ``f``, of any shapes; trees as for :func:`grad`.

    Returns
    -------
    y : ndarray or Tensor, or a tree of them
        What ``f`` returns, of any shape.
    back : callable
        ``back(g)``, for ``g`` of the shape of ``y`` (a tree if that is one), returns
        the tuple of Jᵀ g, one for each of ``xs`` and like it. May be called many times.

    Raises
    ------
    TypeError
        If ``f`` does not return Tensors, or one of ``xs`` is not of floating-point
        numbers.
    ValueError
        If ``g`` has another shape than ``y``, or is another tree.

    Notes
    -----
    Reverse mode: the product of a vector and the Jacobian, at the cost of a few calls
    of ``f``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> y, back = te.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> y, back(np.array([1.0, 10.0]))
    (array([1., 4.]), (array([ 2., 40.]),))
    >>> y, back = te.vjp(lambda p: {"y": p["a"] * p["b"]}, {"a": [2.0], "b": [3.0]})
    >>> back({"y": np.ones(1)})
    ({'a': array([3.]), 'b': array([2.])},)
    """
    with _transform(xs, {}) as mode:
        all_of_them = tuple(range(len(xs)))
        args, leaves, forms = _with_leaves("vjp", f, xs, all_of_them)
        ys, results = _tensors_from(f(*args), "vjp")
        mode = mode.after(ys, leaves)

    def back(g: Any) -> tuple[Any, ...]:
        seeds = _along("vjp", lambda: "the gradient", results, ys, g)
        with _transform(seeds, {}) as again:
            both = _Mode(*(a or b for a, b in zip(mode, again, strict=True)))
            found = pulled(ys, seeds, leaves, both.linked)
            gradient: tuple[Any, ...] = _put_together(found, forms, both, all_of_them)
            return gradient

    return results.filled(_given(y, mode) for y in ys), back


def jvp(f: Callable[..., Any], xs: Any, vs: Any) -> tuple[Any, Any]:
    """Compute ``f`` and its derivative along a direction.

    Parameters
    ----------
    f : callable
        Returns a Tensor, or a tree of them, such as a tuple.
    xs : array_like or Tensor, or a tree of them, or a tuple of such
        The argument of ``f``, or a tuple of its arguments; trees as for :func:`grad`.
    vs : the same
        The direction, of the forms and shapes of ``xs``.

    Returns
    -------
    y : ndarray or Tensor, or a tree of them
        What ``f`` returns, of any shape.
    tangent : the same
        J v: how ``y`` changes as ``xs`` move along ``vs``.

    Raises
    ------
    TypeError
        If ``f`` does not return Tensors, or one of ``xs`` is not of floating-point
        numbers.
    ValueError
        If the shapes of ``vs`` are not those of ``xs``, or the trees differ.

    Notes
    -----
    Forward mode, from the same rules: Jᵀ u is linear in u, and its derivative by u,
    pulled back from v, is J v. Source: J. Townsend, "A new trick for calculating
    Jacobian vector products", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.jvp(lambda x: x * x, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    >>> x, v = {"a": [2.0], "b": [3.0]}, {"a": [1.0], "b": [0.0]}
    >>> te.jvp(lambda p: {"y": p["a"] * p["b"]}, x, v)
    ({'y': array([6.])}, {'y': array([3.])})
    """
    xs, vs = _tuple(xs), _tuple(vs)
    with _transform((*xs, *vs), {}) as mode:
        args, leaves, forms = _with_leaves("jvp", f, xs, tuple(range(len(xs))))
        along = _directions("jvp", f, forms, leaves, vs)
        ys, results = _tensors_from(f(*args), "jvp")
        mode = mode.after(ys, leaves)
        tangents = _pushed(ys, leaves, along, mode.linked)
        value = results.filled(_given(y, mode) for y in ys)
        return value, results.filled(_given(t, mode) for t in tangents)


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Return the function that computes all derivatives of all outputs of ``f``.

    Parameters
    ----------
    f : callable
        Returns a Tensor of any shape, or a tree of them.
    argnums : int or tuple of int, default 0
        The arguments to differentiate by: arrays, or trees of them.

    Returns
    -------
    callable
        Takes the arguments of ``f``; returns an array of shape ``y.shape + x.shape``,
        or a tuple of them: entry [i, j] is dyᵢ/dxⱼ. Of trees it is a tree like that of
        the results, with a tree like that of the arguments in place of each array.
        Tensors where :func:`grad` returns Tensors.

    Raises
    ------
    TypeError, ValueError
        As :func:`grad`; ``f`` may return any shape, and trees.

    Notes
    -----
    Row by row in reverse mode, or column by column in forward mode, whichever are
    fewer.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.jacobian(lambda x: x[0] * x)(np.array([2.0, 3.0]))
    array([[4., 0.],
           [3., 2.]])
    >>> te.jacobian(lambda p: {"y": p["a"] * p["b"]})({"a": [2.0], "b": [3.0]})
    {'y': {'a': array([[3.]]), 'b': array([[2.]])}}
    """

    _check_argnums("jacobian", argnums)

    def whole(*args: Any, **kwargs: Any) -> Any:
        with _transform(args, kwargs) as mode:
            moved, xs, forms = _with_leaves("jacobian", f, args, argnums)
            ys, results = _tensors_from(f(*moved, **kwargs), "jacobian")
            mode = mode.after(ys, xs)
            columns = sum(x.size for x in xs)
            blocks = []
            for y in ys:
                build = _by_rows if y.size <= columns else _by_columns
                found = build(y, xs, mode.linked)
                blocks.append(_put_together(found, forms, mode, argnums))
            return blocks[0] if results is LEAF else results.filled(blocks)

    return _named(whole, "jacobian", f)


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Return the function that computes the second derivatives of ``f``.

    Parameters
    ----------
    f : callable
        Returns a single number.
    argnums : int or tuple of int, default 0
        The arguments to differentiate by: arrays, or trees of them.

    Returns
    -------
    callable
        Takes the arguments of ``f``; returns an array of shape ``x.shape + x.shape``;
        for a tuple of ``argnums`` a tuple of tuples, ``[i][j]`` of shape
        ``x_i.shape + x_j.shape``, and for a tree a tree of trees. Tensors where
        :func:`grad` returns Tensors.

    Raises
    ------
    TypeError, ValueError
        As :func:`grad`.

    Notes
    -----
    The Jacobian of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    >>> H = te.hessian(lambda p: p["a"][0] ** 2 * p["b"])({"a": [1.0], "b": 3.0})
    >>> H["a"]
    {'a': array([[6.]]), 'b': array([2.])}
    """
    _check_argnums("hessian", argnums)
    return _named(jacobian(grad(f, argnums), argnums), "hessian", f)


def hvp(f: Callable[..., Any], xs: Any, vs: Any) -> Any:
    """Compute the product of the Hessian of ``f`` and a vector, without the Hessian.

    Parameters
    ----------
    f : callable
        Returns a single number.
    xs : array_like or Tensor, or a tree of them, or a tuple of such
        The argument of ``f``, or a tuple of its arguments; trees as for :func:`grad`.
    vs : the same
        The vector, of the forms and shapes of ``xs``.

    Returns
    -------
    ndarray or Tensor, or a tree of them
        H v, of the forms and shapes of ``xs``; a tuple if ``xs`` is one.

    Raises
    ------
    TypeError
        If ``f`` does not return a Tensor, or one of ``xs`` is not of floating-point
        numbers.
    ValueError
        If ``f`` does not return a single number, the shapes of ``vs`` are not those of
        ``xs``, or the trees differ.

    Notes
    -----
    H v = d(gᵀ v)/dx, where g is the gradient. Source: B. A. Pearlmutter, "Fast exact
    multiplication by the Hessian", Neural Computation 6 (1994).

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> te.hvp(lambda x: te.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    >>> x, v = {"a": [1.0], "b": [3.0]}, {"a": [1.0], "b": [1.0]}
    >>> te.hvp(lambda p: te.sum(p["a"] ** 2 * p["b"]), x, v)
    {'a': array([8.]), 'b': array([2.])}
    """
    alone = not _is_arguments(xs)
    xs, vs = _tuple(xs), _tuple(vs)
    with _transform((*xs, *vs), {}) as mode:
        argnums = 0 if alone else tuple(range(len(xs)))
        args, leaves, forms = _with_leaves("hvp", f, xs, argnums)
        along = _directions("hvp", f, forms, leaves, vs)
        y = _tensor_from(f(*args), "hvp")
        if y.size != 1:
            raise ValueError(f"hvp: f must return a single number, got shape {y.shape}")
        mode = mode.after([y], leaves)
        first = pulled([y], [np.ones(y.shape, y.dtype)], leaves, True)
        found = pulled(first, along, leaves, mode.linked)
        return _put_together(found, forms, mode, argnums)


# ---------------------------------------------------------------- what they are made of


class _Mode(NamedTuple):
    """How results are handed out."""

    tensors: bool  # as Tensors
    linked: bool  # and those recorded, to be differentiated again
    recording: bool  # whether what is around records

    def after(self, ys: Sequence[Tensor], leaves: Sequence[Tensor]) -> _Mode:
        """Return how it is for a function that gave ``ys`` for ``leaves``.

        If it used a tensor from outside that requires gradients, its derivative by
        that is wanted, too: a penalty on a slope is to train the parameters.
        """
        if self.linked or not self.recording or not _captured(ys, leaves):
            return self
        return self._replace(tensors=True, linked=True)


def _transform(args: Sequence[Any], kwargs: dict[str, Any]) -> undone[_Mode]:
    """Record, also inside ``no_grad``; tell how the results are to be handed out."""
    around, recording = NESTING.get(), RECORDING.get()
    handed = any(holds_a_tensor(x) for x in (*args, *kwargs.values()))
    tensors = around > 0 or handed

    def begin() -> _Mode:
        NESTING.set(around + 1)
        RECORDING.set(True)
        return _Mode(tensors, tensors and bool(recording), bool(recording))

    before = map(NESTING.set, (around,)), map(RECORDING.set, (recording,))
    return undone(begin, itertools.chain(*before))


def _captured(ys: Sequence[Tensor], leaves: Sequence[Tensor]) -> bool:
    """Whether a leaf that requires gradients, and is none of ``leaves``, was used."""
    own = set(leaves)
    used = (x for node in nodes_of(ys) for x in node.inputs if type(x) is Tensor)
    return any(
        x.op is None and x.requires_grad and x not in own
        for x in itertools.chain(ys, used)
    )


def _check_argnums(who: str, argnums: Any) -> None:
    """Refuse what is no position, such as the argument itself."""
    positions = argnums if isinstance(argnums, tuple | list) else (argnums,)
    if not all(isinstance(n, int | np.integer) for n in positions):
        kind = type(argnums).__name__
        raise TypeError(
            f"{who}: argnums must be an int or a tuple of ints, got {kind}. "
            f"{who}(f) is a function: write te.{who}(f)(x)"
        )


def _with_leaves(
    who: str, f: Callable[..., Any], args: Sequence[Any], argnums: Argnums
) -> tuple[list[Any], list[Tensor], list[Form]]:
    """Put tensors of our own in the places to differentiate by.

    Returns all arguments, and of those at ``argnums`` the leaves and the forms.
    """
    positions = (argnums,) if isinstance(argnums, int) else argnums
    args, leaves, forms = list(args), list[Tensor](), list[Form]()
    taken: list[int] = []
    for n in positions:
        place = operators.index(n)
        if not -len(args) <= place < len(args):
            raise ValueError(
                f"{who}: argnums {argnums} do not fit {len(args)} positional arguments"
            )
        if place % len(args) in taken:
            raise ValueError(f"{who}: argnums {argnums} name an argument twice")
        taken.append(place % len(args))
        x = args[place]
        if inner_of(x) is None:
            parts, form = [x], LEAF
        else:
            parts, form = flatten(x, f"{who}: argument {n}")
        own: list[Tensor] = []
        try:
            for part in parts:
                own.append(_leaf(part))
        except (TypeError, ValueError) as error:
            name = f"argument {n}"
            if not form.is_leaf:
                name = form.paths(_name_of(f, args, place))[len(own)]
            raise type(error)(f"{who}: {name}: {error}") from None
        if form is not LEAF:
            form.check_full(who, _name_of(f, args, place))
        args[place] = form.filled(own) if form is not LEAF else own[0]
        leaves += own
        forms.append(form)
    return args, leaves, forms


#: The form of an argument that is one array.
LEAF = Form([None])


def _name_of(f: Callable[..., Any], args: Sequence[Any], place: int) -> str:
    return argument_names(f, len(args))[place]


def _leaf(x: Any) -> Tensor:
    """Return a tensor through which alone ``x`` enters the function.

    Of a tensor that requires gradients it is a copy in the graph: the outer derivative
    goes on through it, and what else uses ``x`` is not counted here.
    """
    if isinstance(x, Tensor) and x.requires_grad:
        return x.astype(x.dtype)
    data = x._numbers if isinstance(x, Tensor) else x
    return tensor(data, requires_grad=True, name=getattr(x, "name", None))


def _tensor_from(result: Any, who: str) -> Tensor:
    if not isinstance(result, Tensor):
        raise errors.no_tensor(who, "a Tensor", result)
    return result


def _tensors_from(result: Any, who: str) -> tuple[list[Tensor], Form]:
    """Return the Tensors in what a function returned, and its form."""
    if isinstance(result, Tensor):
        return [result], LEAF
    ys, form = flatten(result, f"{who}: what f returns")
    for y, path in zip(ys, form.paths(""), strict=True):
        if not isinstance(y, Tensor):
            at = f" at {path}" if path else ""
            raise errors.no_tensor(who, f"a Tensor{at}", y)
    if not ys:
        raise errors.no_tensor(who, "a Tensor", result)
    return ys, form


def _is_arguments(xs: Any) -> bool:
    """Whether it is the tuple of a function's arguments: a named one is a tree."""
    return isinstance(xs, tuple) and not hasattr(xs, "_fields")


def _tuple(what: Any) -> tuple[Any, ...]:
    """Return the arguments of a function as a tuple: a list is one of them."""
    return what if _is_arguments(what) else (what,)


def _directions(
    who: str,
    f: Callable[..., Any],
    forms: Sequence[Form],
    leaves: Sequence[Tensor],
    vs: Sequence[Any],
) -> list[Any]:
    """Return the arrays of a direction in which the arguments may move."""
    if len(vs) != len(forms):
        raise ValueError(
            f"{who}: expected a direction for each of {len(forms)} arguments, "
            f"got {len(vs)}"
        )
    found: list[Any] = []
    for i, (form, v) in enumerate(zip(forms, vs, strict=True)):

        def name(i: int = i) -> str:
            return f"the direction for {argument_names(f, len(vs))[i]}"

        own = leaves[len(found) : len(found) + form.count]
        found += _along(who, name, form, own, v)
    return found


def _along(
    who: str, name: Callable[[], str], form: Form, leaves: Sequence[Tensor], v: Any
) -> list[Any]:
    """Return the arrays in ``v``, a tree of the form and shapes of ``leaves``."""
    if form is LEAF and isinstance(v, (Tensor, np.ndarray, float)):
        if getattr(v, "shape", ()) == leaves[0].shape:
            return [v]
    found = form.leaves_of(v, who, name())
    for i, (x, part) in enumerate(zip(leaves, found, strict=True)):
        shape = np.shape(part)
        if shape != x.shape or part is None:
            path, got = form.paths(name())[i], None if part is None else shape
            raise ValueError(f"{who}: {path} must have the shape {x.shape}, got {got}")
    return found


def pulled(
    ys: Sequence[Tensor], seeds: Sequence[Any], xs: Sequence[Tensor], linked: bool
) -> list[Any]:
    """Return Σ over ``ys`` of the gradients by each of ``xs``, from ``seeds``."""
    total: list[Any] = [None for _ in xs]
    for y, seed in zip(ys, seeds, strict=True):
        if not y.requires_grad:
            continue
        found = gradients(y, xs, gradient=seed, create_graph=linked)
        total = [g if t is None else t + g for t, g in zip(total, found, strict=True)]
    return [
        np.zeros(x.shape, x.dtype) if t is None else t
        for t, x in zip(total, xs, strict=True)
    ]


def _pushed(
    ys: Sequence[Tensor], xs: Sequence[Tensor], vs: Sequence[Any], linked: bool
) -> list[Any]:
    """Return the derivative of each of ``ys`` as ``xs`` move along ``vs``."""
    tangents = []
    for y in ys:
        u, back = _transposed(y, xs)
        tangents.append(pulled(back, vs, [u], linked)[0])
    return tangents


def _transposed(y: Tensor, xs: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return u and Jᵀ u, recorded as a function of u."""
    u = tensor(np.ones(y.shape), requires_grad=True, dtype=y.dtype)
    if not y.requires_grad:
        return u, [tensor(np.zeros(x.shape), dtype=x.dtype) for x in xs]
    return u, gradients(y, xs, gradient=u, create_graph=True)


def _by_rows(y: Tensor, xs: Sequence[Tensor], linked: bool) -> list[Any]:
    seeds = _units(y)
    rows = [pulled([y], [seed], xs, linked) for seed in seeds]
    return [
        _stacked(row).reshape((*y.shape, *x.shape))
        if row
        else np.zeros((*y.shape, *x.shape), x.dtype)
        for row, x in zip(
            zip(*rows, strict=True) if rows else [()] * len(xs), xs, strict=True
        )
    ]


def _by_columns(y: Tensor, xs: Sequence[Tensor], linked: bool) -> list[Any]:
    u, back = _transposed(y, xs)
    found = []
    for x, g in zip(xs, back, strict=True):
        columns = [pulled([g], [unit], [u], linked)[0] for unit in _units(x)]
        if not columns:
            found.append(np.zeros((*y.shape, *x.shape), y.dtype))
            continue
        together = _stacked(columns).reshape((x.size, y.size))
        found.append(together.transpose().reshape((*y.shape, *x.shape)))
    return found


def _units(x: Tensor) -> list[np.ndarray]:
    return list(np.eye(x.size, dtype=x.dtype).reshape((x.size, *x.shape)))


def _stacked(rows: Sequence[Any]) -> Any:
    """Join arrays, or tensors, along a new first axis."""
    return np.concatenate([r.reshape((1, *r.shape)) for r in rows])


def _put_together(
    found: Iterable[Any], forms: Sequence[Form], mode: _Mode, argnums: Argnums
) -> Any:
    """Return one result for each leaf, in the trees that the arguments are."""
    following = iter([_given(x, mode) for x in found])
    trees = [
        next(following) if form is LEAF else form.filled(following) for form in forms
    ]
    return trees[0] if isinstance(argnums, int) else tuple(trees)


def _given(what: Any, mode: _Mode) -> Any:
    """Return a result as the user gets it."""
    if mode.linked and isinstance(what, Tensor):
        return what
    data = np.array(what.data) if isinstance(what, Tensor) else what
    if mode.tensors and isinstance(data, np.ndarray):
        return tensor(data)
    return _plain(data)


def _plain(what: Any) -> Any:
    return what[()] if isinstance(what, np.ndarray) else what


def _named(
    function: Callable[..., Any], what: str, f: Callable[..., Any]
) -> Callable[..., Any]:
    """Name a function after the one that it was made of."""
    function.__name__ = f"{what}({getattr(f, '__name__', type(f).__name__)})"
    function.__qualname__ = function.__name__
    return function
