"""How backpropagation is computed: differences, broadcasting, the order, a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.course.exercises.exercise import (
    Answer,
    Exercise,
    Part,
    Wrong,
    hinting,
)
from tinygrad_edu.course.exercises.expectations import expect, expect_value
from tinygrad_edu.engine.core import Op

__all__ = ["EXERCISES", "Node"]

_CHAPTER = "How backpropagation is computed"


def _generator() -> np.random.Generator:
    return np.random.default_rng(22)


# ------------------------------------------------------------------- gradient check

# Functions of arrays, each with its gradient.
_FUNCTIONS: tuple[tuple[str, Any, Any], ...] = (
    ("the sum of x * x", lambda x: np.sum(x * x), lambda x: 2 * x),
    ("the sum of sin(x)", lambda x: np.sum(np.sin(x)), np.cos),
    ("the mean of exp(x)", lambda x: np.mean(np.exp(x)), lambda x: np.exp(x) / x.size),
    ("the product of all x", np.prod, lambda x: np.prod(x) / x),
)

_NOT_NEAR_ENOUGH = (
    "That is near, and not near enough. A difference to one side is off by a multiple "
    "of h, one to both sides by a multiple of h * h; and with a tiny h rounding takes "
    "over"
)


class _Function:
    """A function that hints call f."""

    def __init__(self, f: Any) -> None:
        self.f = f

    def __call__(self, x: Any) -> Any:
        return self.f(np.asarray(x, float))

    def __repr__(self) -> str:
        return "f"


def _numerical(answer: Answer, shapes: Sequence[tuple[int, ...]]) -> None:
    rng = _generator()
    for shape in shapes:
        for name, f, gradient in _FUNCTIONS:
            x = np.asarray(rng.uniform(0.5, 1.5, shape))
            right = gradient(x)
            came = answer.array("numerical_gradient", {"f": _Function(f), "x": x})
            what = f"numerical_gradient(f, x), f is {name}, x of shape {shape}"
            near = came.shape == np.shape(right) and np.allclose(came, right, 1e-3)
            slips = {
                f"this is {text} what was expected: x - h and x + h are 2 h apart": came
                for text, factor in (("twice", 2), ("half of", 0.5))
                if came.shape == np.shape(right)
                and np.allclose(came, factor * right, 1e-3)
            }
            with hinting(_NOT_NEAR_ENOUGH if near else ""):
                expect_value(what, came, right, slips=slips, rtol=1e-7)


def _agree(answer: Answer, faults: Sequence[tuple[str, Any]]) -> None:
    rng = _generator()
    for shape in ((3,), (2, 3)):
        for name, f, gradient in _FUNCTIONS:
            x = rng.uniform(0.5, 1.5, shape)
            right = gradient(x)
            _says(answer, f, right, x, True, f"the right gradient of {name}")
            for fault, spoil in faults:
                text = f"a gradient of {name} in which {fault}"
                _says(answer, f, spoil(right), x, False, text)


def _says(answer: Answer, f: Any, g: Any, x: Any, right: bool, what: str) -> None:
    args = {"f": _Function(f), "gradient": g, "x": x}
    came = answer.call("agrees", args)
    if not isinstance(came, bool | np.bool_):
        raise Wrong(f"agrees must return True or False, came {type(came).__name__}")
    if bool(came) is not right:
        raise Wrong(
            f"agrees(f, gradient, x), x of shape {x.shape}, is handed {what}: came "
            f"{bool(came)}, expected {right}"
        )


def _with_one_wrong(g: Any) -> Any:
    spoiled = np.array(g)
    spoiled.flat[-1] *= 1.001
    return spoiled


_COARSE = (
    ("the sign is wrong", lambda g: -g),
    ("all is twice too large", lambda g: 2 * g),
    ("all is zero", np.zeros_like),
)
_FINE = (
    ("the last entry alone is off by a thousandth", _with_one_wrong),
    ("two entries changed places", lambda g: np.roll(g, 1)),
)

# ---------------------------------------------------------------- undo broadcasting


def _summed(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    lead = g.ndim - len(shape)
    ones = tuple(lead + i for i, n in enumerate(shape) if n == 1)
    total: np.ndarray = np.sum(g, axis=(*range(lead), *ones), keepdims=True)
    return total.reshape(shape)


def _sum_to(
    answer: Answer, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    rng = _generator()
    for wide, shape in pairs:
        g = np.asarray(rng.normal(size=wide))
        right = _summed(g, shape)
        lost = [axis for axis, n in enumerate(wide) if n > 1]
        slips: dict[str, Any] = {
            "an input that was used several times gets the sum of what flows back, not "
            "the mean": right * right.size / g.size
        }
        if g.ndim > right.ndim > 0:
            slips["the last axes were summed; broadcasting puts axes in front"] = g.sum(
                axis=tuple(range(right.ndim, g.ndim))
            )
        if right.ndim:
            slips["the axes of length 1 are lost: the shape is the input's"] = (
                right.squeeze()
            )
        if lost and shape != wide:
            slips["the sum over an axis is missing"] = g
            slips["the entries are to be summed; this is one of them"] = g.flat[
                : max(right.size, 1)
            ].reshape(shape)
        expect(answer, "sum_to", {"g": g, "shape": shape}, right, slips=slips)


_IN_FRONT = (((2, 3), (3,)), ((4, 2, 3), (3,)), ((5,), ()), ((4, 2, 3), (2, 3)))
_ONES = (((2, 3), (2, 1)), ((2, 3), (1, 3)), ((2, 3), (1, 1)), ((4, 2, 3), (4, 1, 3)))
_BOTH = (((4, 2, 3), (1, 3)), ((4, 2, 3), (2, 1)), ((4, 3, 2, 5), (3, 1, 5)))


def _mixed(answer: Answer) -> None:
    _sum_to(answer, (*_BOTH, ((2, 3), (2, 3)), ((), ()), ((2, 1), (2, 1))))


# --------------------------------------------------------------------- a mini engine


class Node:
    """A number in a graph: what it was computed from, and how it depends on it.

    Attributes
    ----------
    inputs : tuple of Node
    slopes : tuple of float
        The derivative of this number by each of its inputs, dimensionless.

    Examples
    --------
    >>> x = Node("x")
    >>> y = Node("y", [(x, 2.0), (x, 3.0)])
    >>> y.inputs, y.slopes
    ((x, x), (2.0, 3.0))
    """

    limit = 200_000  # so that a walk along every path comes to an end
    visits = 0

    def __init__(self, name: str, edges: Sequence[tuple[Node, float]] = ()) -> None:
        self.name = name
        self._inputs = tuple(node for node, _ in edges)
        self.slopes = tuple(slope for _, slope in edges)

    def __deepcopy__(self, memo: Any) -> Node:
        return self  # nodes are told apart by identity

    @property
    def inputs(self) -> tuple[Node, ...]:
        Node.visits += 1
        if Node.visits > Node.limit:
            raise RuntimeError(
                "the inputs of nodes were looked at 200,000 times. Go through each "
                "node once, not along every path"
            )
        return self._inputs

    def __repr__(self) -> str:
        return self.name


def _chain(length: int) -> list[Node]:
    nodes = [Node("x0")]
    for i in range(1, length):
        nodes.append(Node(f"x{i}", [(nodes[-1], 1.0 + (i % 3 - 1) / length)]))
    return nodes


def _diamonds(count: int) -> list[Node]:
    """Return x, then pairs of branches that meet again: 2 ** count paths."""
    nodes = [Node("x0")]
    for i in range(1, count + 1):
        left = Node(f"left{i}", [(nodes[-1], 0.25)])
        right = Node(f"right{i}", [(nodes[-1], 0.75 + 0.01 * i)])
        both = Node(f"x{i}", [(left, 1.0), (right, 1.0)])
        nodes += [left, right, both]
    return nodes


def _crossing() -> list[Node]:
    """Return a graph in which a short way and a long way lead to the same node."""
    a = Node("a")
    b = Node("b", [(a, 2.0)])
    c = Node("c", [(b, 3.0), (a, 5.0)])
    d = Node("d", [(a, 7.0), (c, 11.0)])
    return [a, b, c, d, Node("e", [(b, 13.0), (d, 17.0), (c, 19.0)])]


def _twice() -> list[Node]:
    x = Node("x")
    return [x, Node("x*x", [(x, 3.0), (x, 3.0)])]


def _random(rng: np.random.Generator) -> list[Node]:
    nodes = [Node("n0"), Node("n1")]
    for i in range(2, 30):
        chosen = rng.integers(max(0, i - 6), i, 2)
        slopes = rng.uniform(-1, 1, 2)
        edges = [(nodes[j], float(s)) for j, s in zip(chosen, slopes, strict=True)]
        nodes.append(Node(f"n{i}", [*edges, (nodes[i - 1], 0.5)]))
    return nodes


def _by_name(nodes: Sequence[Node]) -> dict[str, float]:
    """Return the derivatives of the last node by all, which stand in a right order."""
    flow = dict.fromkeys(nodes, 0.0)
    flow[nodes[-1]] = 1.0
    for node in reversed(nodes):
        for x, slope in zip(node._inputs, node.slopes, strict=True):
            flow[x] += flow[node] * slope
    return {node.name: value for node, value in flow.items()}


def _ordered(answer: Answer, graphs: Sequence[Sequence[Node]]) -> None:
    for nodes in graphs:
        Node.visits = 0
        came = answer.call("order", {"output": nodes[-1]})
        if not isinstance(came, list | tuple) or not all(
            isinstance(x, Node) for x in came
        ):
            raise Wrong("order must return a list of nodes")
        text = f"came {list(came)}" if len(came) < 16 else f"in {len(nodes)} nodes"
        more = [node for node, count in Counter(came).items() if count > 1]
        if more:
            raise Wrong(f"{more[0]} stands there more than once: {text}")
        if left := [node for node in nodes if node not in set(came)]:
            raise Wrong(f"{left[0]} is left out: {text}")
        place = {node: i for i, node in enumerate(came)}
        for node in came:
            for x in node._inputs:
                if place[x] > place[node]:
                    raise Wrong(
                        f"{node} is computed from {x}, and stands before it: {text}"
                    )


def _walked(answer: Answer, graphs: Sequence[Sequence[Node]]) -> None:
    for nodes in graphs:
        Node.visits = 0
        came = answer.call("backward", {"output": nodes[-1]})
        if not isinstance(came, dict):
            raise Wrong(
                f"backward must return a dict from node to derivative, came "
                f"{type(came).__name__}"
            )
        right = _by_name(nodes)
        edges = ", ".join(
            f"{node} from {' and '.join(map(str, node._inputs))}"
            for node in nodes
            if node._inputs
        )
        where = f", where {edges}" if len(nodes) < 8 else f" ({len(nodes)} nodes)"
        for node in reversed(nodes):
            if node not in came:
                raise Wrong(f"backward has nothing for {node}{where}")
            d = f"the derivative of {nodes[-1]} by {node}{where}"
            slips = {
                f"what flows to {node} on several ways has to be added": term
                for term in _single_ways(nodes, right, node)
            }
            expect_value(d, came[node], right[node.name], slips=slips, rtol=1e-9)


def _single_ways(
    nodes: Sequence[Node], right: dict[str, float], node: Node
) -> list[float]:
    """Return what comes to a node from each of its users, if there are several."""
    if len(nodes) > 100:
        return []
    terms = [
        right[user.name] * slope
        for user in nodes
        for x, slope in zip(user._inputs, user.slopes, strict=True)
        if x is node
    ]
    return terms if len(terms) > 1 else []


# ------------------------------------------------------------ an operation of one's own


def _logistic(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _operation(answer: Answer) -> Op:
    found = answer.get("logistic")
    if not isinstance(found, Op):
        answer.call("logistic", {"x": np.array([0.5])})
        raise Wrong(
            "logistic is a function so far. Declare it as an operation: @te.op(...) "
            "above it, with cases to check it in, and its rule by logistic.vjp(...) "
            "below it"
        )
    return found


def _values(answer: Answer) -> None:
    rng = _generator()
    for shape in ((), (4,), (2, 3)):
        x = rng.uniform(-4, 4, shape)
        slips = {"this is the tangens hyperbolicus": np.tanh(x)}
        expect(answer, "logistic", {"x": x}, _logistic(x), slips=slips)


def _rule(answer: Answer) -> None:
    op = _operation(answer)
    rng = _generator()
    for shape in ((4,), (2, 3), ()):
        x = np.asarray(rng.uniform(-2, 2, shape))
        _checked(lambda x=x: checks.gradcheck(op, x))


def _whole(answer: Answer, **how: Any) -> None:
    op = _operation(answer)
    _values(answer)
    _checked(lambda: checks.check_op(op, **how))


def _checked(check: Any) -> None:
    """Run a check of the library, and hand on the beginning of what it finds."""
    try:
        check()
    except checks.GradientCheckError as error:
        if isinstance(error.__cause__, NotImplementedError):
            raise Wrong("the rule of logistic is not written yet") from None
        lines = str(error).splitlines()
        causes = [x for x in lines if x.startswith(("likely cause", "culprit"))]
        raise Wrong("\n".join(dict.fromkeys([*lines[:4], *causes[:1]]))) from error
    except (Exception, SystemExit) as error:  # of the operation, whatever it does
        raise Wrong(f"{type(error).__name__}: {error}") from error


EXERCISES = (
    Exercise(
        "gradient_check",
        "a gradient check of your own, by differences",
        _CHAPTER,
        (
            Part("of numbers and vectors", lambda a: _numerical(a, ((), (1,), (3,)))),
            Part("of matrices", lambda a: _numerical(a, ((2, 3), (3, 3)))),
            Part("coarse faults are found", lambda a: _agree(a, _COARSE)),
            Part("fine faults are found", lambda a: _agree(a, _FINE)),
        ),
    ),
    Exercise(
        "sum_to",
        "undo broadcasting",
        _CHAPTER,
        (
            Part("axes in front", lambda answer: _sum_to(answer, _IN_FRONT)),
            Part("axes of length 1", lambda answer: _sum_to(answer, _ONES)),
            Part("both, and none", _mixed),
        ),
    ),
    Exercise(
        "engine",
        "the order and the backward walk of a small engine",
        _CHAPTER,
        (
            Part("an order", lambda a: _ordered(a, [_twice(), _chain(4), _crossing()])),
            Part(
                "an order of any graph",
                lambda a: _ordered(
                    a, [_diamonds(3), _random(_generator()), _diamonds(60)]
                ),
            ),
            Part(
                "backward along a chain", lambda a: _walked(a, [_chain(2), _chain(6)])
            ),
            Part(
                "backward where ways meet",
                lambda a: _walked(
                    a, [_twice(), _diamonds(1), _crossing(), _random(_generator())]
                ),
            ),
            Part(
                "a chain of 5,000 nodes, and 60 diamonds in a row",
                lambda a: _walked(a, [_chain(5_000), _diamonds(60)]),
            ),
        ),
    ),
    Exercise(
        "own_operation",
        "the sigmoid as an operation of your own",
        _CHAPTER,
        (
            Part("its values", _values),
            Part("its rule", _rule),
            Part(
                "all that check_op asks for, but second derivatives",
                lambda a: _whole(a, order=1),
            ),
            Part("second derivatives, too", _whole),
        ),
    ),
)
