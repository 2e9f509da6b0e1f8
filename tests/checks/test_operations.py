"""check_op: what is right passes, and each planted fault is found and named."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import special

import tinygrad_edu as te
from tinygrad_edu import GradientCheckError, check_op


def failure(op: te.Op, **how: object) -> GradientCheckError:
    """Return the error that check_op raises for a faulty operation."""
    with pytest.raises(GradientCheckError) as caught:
        check_op(op, **how)
    return caught.value


# ---------------------------------------------------------------- right operations


def hypotenuse():
    """Elementwise, of two arguments, with NumPy's function."""

    @te.op(
        numpy=np.hypot, elementwise=True, cases=[te.Case((2, 3), (3,)), te.Case((), 4)]
    )
    def length(a, b):
        """Length of the hypotenuse."""
        return np.hypot(a, b)

    length.vjp(a=lambda g, out, a, b: g * a / out, b=lambda g, out, a, b: g * b / out)
    return length


def power_sum():
    """A reduction: metadata with a default, and some that every call must give."""

    @te.op(cases=[te.Case((2, 3), exponent=2), te.Case((2, 3, 4), exponent=3, axis=1)])
    def power_sum(x, *, exponent, axis=0):
        """Sum of powers along an axis."""
        return np.sum(x**exponent, axis=axis)

    def rule(g, out, x, *, exponent, axis):
        kept = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        return te.reshape(g, kept) * exponent * x ** (exponent - 1)

    power_sum.vjp(x=rule)
    return power_sum


def total():
    """Variadic."""

    @te.op(cases=[te.Case((2, 3), (2, 3)), te.Case((3,), (3,), (3,))])
    def total(*arrays):
        """Sum of arrays, the later ones counting more."""
        return sum((i + 1) * x for i, x in enumerate(arrays))

    total.vjp(arrays=lambda g, out, *arrays, position: (position + 1) * g)
    return total


def polar():
    """Several results."""

    @te.op(results=("radius", "angle"), elementwise=True, cases=[te.Case((3,), (3,))])
    def polar(x, y):
        """Polar coordinates."""
        return np.hypot(x, y), np.arctan2(y, x)

    polar.vjp(
        x=lambda g, out, x, y: g[0] * x / out[0] - g[1] * y / out[0] ** 2,
        y=lambda g, out, x, y: g[0] * y / out[0] + g[1] * x / out[0] ** 2,
    )
    return polar


def swish():
    """A residual that the rule reads."""

    @te.op(
        elementwise=True,
        residuals={"gate": lambda x: te.sigmoid(x)},
        cases=[te.Case((2, 3)), te.Case([-30.0, 30.0])],
    )
    def swish(x):
        """x times the sigmoid of x."""
        gate = special.expit(x)
        return x * gate, gate

    swish.vjp(x=lambda g, out, x, *, gate: g * (gate + out * (1 - gate)))
    return swish


def picked():
    """An argument without derivative, and one that may be left out."""

    @te.op(
        cases=[
            te.Case((3, 4), np.array([0, 3, 1]), (3,)),
            te.Case((3, 4), np.array([0, 3, 1]), None),
        ]
    )
    def picked(x, labels, weight=None):
        """One number of each row."""
        chosen = x[np.arange(len(x)), labels]
        return chosen if weight is None else chosen * weight

    def by_x(g, out, x, labels, weight):
        index = (np.arange(len(labels)), labels)
        return te.put(g if weight is None else g * weight, index=index, shape=x.shape)

    def by_weight(g, out, x, labels, weight):
        return g * x[np.arange(len(labels)), labels]

    picked.vjp(x=by_x, labels=None, weight=by_weight)
    return picked


def turned():
    """Its result is a view of the input."""

    @te.op(numpy=np.flip, cases=[te.Case((2, 3)), te.Case((2, 3), axis=1)])
    def turned(m, *, axis=None):
        """The other way round."""
        return np.flip(m, axis)

    turned.vjp(m=lambda g, out, m, *, axis: turned(g, axis=axis))
    return turned


def joined():
    """Variadic, called with a sequence as NumPy's function is."""

    @te.op(
        numpy=np.concatenate,
        adapter=lambda arrays, axis=0: (list(arrays), {"axis": axis}),
        cases=[te.Case((2, 3), (1, 3)), te.Case((2, 1), (2, 3), (2, 2), axis=-1)],
    )
    def joined(*arrays, axis=0):
        """One behind the other."""
        return np.concatenate(arrays, axis=axis)

    def rule(g, out, *arrays, axis, position):
        start = sum(x.shape[axis] for x in arrays[:position])
        part = slice(start, start + arrays[position].shape[axis])
        return g[part] if axis == 0 else g[..., part]

    joined.vjp(arrays=rule)
    return joined


RIGHT = [hypotenuse, power_sum, total, joined, polar, swish, picked, turned]


@pytest.mark.parametrize("declare", RIGHT, ids=lambda f: f.__name__)
def test_a_right_operation_passes(declare):
    op = declare()

    report = check_op(op)

    assert report.op == op.name
    assert report.compared > 0
    assert report.worst < 1e-6


def test_the_report_says_what_was_compared():
    op = polar()  # 3 + 3 numbers by 3 + 3, which the first and second derivatives have

    report = check_op(op, order=1)

    of_declared = 6 * 6
    of_added = 6 * (1 + 3) * 2  # x, then y, with one entry instead of three
    assert report.cases == 3
    assert report.compared == of_declared + of_added
    assert str(report).startswith("check_op: polar is right in 3 cases; 84 derivatives")


def test_the_report_of_one_case_and_one_derivative_is_in_the_singular():
    report = check_op(square(cases=[te.Case(2.0)]), order=1)

    assert str(report).startswith("check_op: squared is right in 1 case; 1 derivative ")


@pytest.mark.parametrize("name", ["add", "concatenate", "softmax"])
def test_the_same_seed_gives_the_same_report(name):
    assert check_op(te.OPS[name], rng=5) == check_op(te.OPS[name], rng=5)


def test_another_seed_draws_other_inputs():
    assert check_op(te.sin, rng=5).worst != check_op(te.sin, rng=6).worst


def test_a_reference_is_called_as_the_operation_is_with_all_metadata():
    calls = []

    def concatenated(arrays, **named):
        calls.append((len(arrays), named))
        return np.concatenate(arrays, **named)

    def summed(*arrays):
        calls.append(len(arrays))
        return sum((i + 1) * x for i, x in enumerate(arrays))

    check_op(joined(), reference=concatenated)
    check_op(total(), reference=summed)

    assert calls == [(2, {"axis": 0}), (3, {"axis": -1}), 2, 3]


def test_a_case_may_leave_out_arguments_with_defaults():
    @te.op(cases=[te.Case((2, 3)), te.Case((2, 3), (2, 3))])
    def shifted(x, by=None):
        """x, and what is added to it."""
        return x + 0.0 if by is None else x + by

    shifted.vjp(x=lambda g, out, x, by: g, by=lambda g, out, x, by: g)

    report = check_op(shifted, order=1)

    assert report.compared == 36 + 72


# -------------------------------------------------------------------- planted faults


def square(**changes):
    """Declare x², or what ``changes`` make of it."""
    how = {
        "forward": lambda x: x * x,
        "rule": lambda g, out, x: g * 2.0 * x,
        "doc": "Square.",
        "cases": [te.Case((2, 3))],
        "elementwise": True,
        **changes,
    }
    forward, rule, doc = (how.pop(name) for name in ("forward", "rule", "doc"))

    def squared(x):
        return forward(x)

    squared.__doc__ = doc
    op = te.op(squared, **how) if not how else te.op(**how)(squared)
    if rule is not None:
        op.vjp(x=rule)
    return op


def product(**changes):
    """Declare a · b, or what ``changes`` make of it."""
    how = {
        "forward": lambda a, b: a * b,
        "a": lambda g, out, a, b: g * b,
        "b": lambda g, out, a, b: g * a,
        "elementwise": True,
        "cases": [te.Case((2, 3), (2, 3))],
        **changes,
    }
    forward, rules = how.pop("forward"), {name: how.pop(name) for name in "ab"}

    def product(a, b):
        """Product."""
        return forward(a, b)

    op = te.op(**how)(product)
    op.vjp(**rules)
    return op


def test_the_operations_that_faults_are_planted_in_are_right():
    check_op(square(), reference=np.square)
    check_op(product(), reference=np.multiply)


def written(x):
    x *= x
    return x


def once_written_and_put_back(x):
    x += 1.0
    result = (x - 1.0) ** 2
    x -= 1.0
    return result


def rule_that_writes(what):
    def rule(g, out, x):
        array = {"g": g, "out": out, "x": x}[what]
        result = g * 2.0 * x
        if isinstance(array, np.ndarray):
            array *= 1.0
        return result

    return rule


BUFFER = np.zeros((2, 3))


def into_the_buffer(x, y):
    return np.multiply(x, y, out=BUFFER) if np.shape(x) == (2, 3) else x * y


def random_square(x, rng=np.random.default_rng(0)):  # noqa: B008
    return x * x + rng.standard_normal()


def detached(g, out, x):
    return g * 2.0 * np.asarray(getattr(x, "data", x))


IN_UNARY = {
    "value": (
        {"forward": lambda x: x * x * (1 + 1e-12)},
        {"reference": np.square},
        r"Case\(\(2, 3\)\): \S+ at \[\d, \d\], but the reference is ",
    ),
    "value of its NumPy function": (
        {"forward": lambda x: x * x * (1 + 1e-12), "numpy": np.square},
        {},
        r"Case\(\(2, 3\)\): \S+ at \[\d, \d\], but the reference is ",
    ),
    "shape": (
        {"forward": lambda x: (x * x).T},
        {"reference": np.square},
        r"shape \(3, 2\), but the reference has \(2, 3\)",
    ),
    "number of results": (
        {},
        {"reference": lambda x: (x * x, x)},
        r"1 results, but the reference has 2",
    ),
    "shape of an elementwise operation": (
        {"forward": lambda x: (x * x)[:1]},
        {},
        r"shape \(1, 3\), but the inputs broadcast to \(2, 3\)",
    ),
    "value on tensors": (
        {"forward": random_square},
        {},
        r"on Tensors \(is it random\?\): \S+ at .* but the value on arrays is ",
    ),
    "tensor from arrays": (
        {"forward": lambda x: te.tensor(x * x)},
        {},
        "on arrays it returns a Tensor",
    ),
    "rule wrong by 0.05 %": (
        {"rule": lambda g, out, x: g * 2.001 * x},
        {},
        r"Case\(\(2, 3\)\): derivative by x: analytic is 1\.0005 x numeric",
    ),
    "rule without a factor": (
        {"rule": lambda g, out, x: g * 2.0},
        {},
        "derivative by x: .* the derivative of the operation is missing",
    ),
    "rule without g, whose ratio is chance": (
        {"rule": lambda g, out, x: 2.0 * x},
        {},
        r"derivative by x: the factor g \(the upstream gradient\) is missing\n",
    ),
    "rule wrong by 0.05 % when differentiated": (
        {"rule": lambda g, out, x: 0.9995 * g * 2.0 * x + 0.0005 * detached(g, out, x)},
        {},
        r"order-2 derivative by x: analytic is 0\.9995 x numeric",
    ),
    "rule that is a constant when differentiated": (
        {"rule": detached},
        {},
        "order-2 derivative by x: analytic is 0 everywhere",
    ),
    "float64 from float32": (
        {"forward": lambda x: np.float64(1) * x * x},
        {},
        "float32 inputs give float64",
    ),
    "value in float32": (
        {"forward": lambda x: x * x + (x.dtype == np.float32)},
        {},
        r"\S+ at .*, but the value in float64 is ",
    ),
    "gradient in float32": (
        {"rule": lambda g, out, x: g * 2.0 * x * (1 + 0.01 * (x.dtype.itemsize == 4))},
        {},
        r"gradient in float32: \S+ at .*, but that in float64 is ",
    ),
    "forward that writes": ({"forward": written}, {}, "it writes to its input x"),
    "forward that writes and puts back": (
        {"forward": once_written_and_put_back},
        {},
        "it writes to its input x",
    ),
    "rule that writes to g": (
        {"rule": rule_that_writes("g")},
        {"order": 1},
        "the rule of x writes to g",
    ),
    "rule that writes to out": (
        {"rule": rule_that_writes("out")},
        {"order": 1},
        "the rule of x writes to out",
    ),
    "rule that writes to its input": (
        {"rule": rule_that_writes("x")},
        {"order": 1},
        "the rule of x writes to its input x",
    ),
    "result in the same memory": (
        {"forward": lambda x: into_the_buffer(x, x)},
        {},
        "every call returns out in the same memory",
    ),
    "gradient in the same memory": (
        {"rule": lambda g, out, x: into_the_buffer(g, 2.0 * x)},
        {"order": 1},
        "every call of the rule of x returns the same memory",
    ),
    "empty label": ({"symbol": " "}, {}, "its label is empty: declare symbol="),
    "no docstring": ({"doc": None}, {}, "it has no docstring"),
    "empty docstring": ({"doc": "\n  "}, {}, "it has no docstring"),
    "no cases": ({"cases": []}, {}, "it has no cases: declare cases="),
    "no rules": (
        {"rule": None},
        {},
        r"it has no rules: declare them with squared\.vjp\(\.\.\.\)",
    ),
    "no case with floating-point numbers": (
        {"cases": [te.Case(np.array([1, 2]))]},
        {},
        "the rule of x is used in no case",
    ),
    "numbers that no difference resolves": (
        {
            "forward": lambda x: np.tanh(x) + 1e14,
            "rule": lambda g, out, x: g * (1.0 - np.tanh(x) ** 2),
        },
        {"order": 1},
        "derivative by x: differences resolve only .* of it",
    ),
}


@pytest.mark.parametrize(("changes", "how", "says"), IN_UNARY.values(), ids=IN_UNARY)
def test_a_fault_is_found_and_named(changes, how, says):
    error = failure(square(**changes), **how)

    assert str(error).startswith("check_op: squared fails (inputs drawn with rng=0)\n")
    assert re.search(says, str(error)), str(error)


WHERE = "^Case\\(\\(2, 3\\), \\(2, 3\\)\\): "
IN_BINARY = {
    "rule of b wrong by 0.05 %": (
        {"b": lambda g, out, a, b: g * a * 0.9995},
        WHERE + r"derivative by b: analytic is 0\.9995 x numeric",
    ),
    "rules exchanged": (
        {"a": lambda g, out, a, b: g * a, "b": lambda g, out, a, b: g * b},
        WHERE + r"derivative by a: ",
    ),
    "second derivative": (
        {"a": lambda g, out, a, b: g * getattr(b, "detach", lambda: b)()},
        WHERE + r"order-2 derivative by b: analytic is 0 everywhere",
    ),
    "shape of a": (
        {"forward": lambda a, b: np.resize(a * b, a.shape)},
        r"^Case\(\(1, 3\), \(2, 3\)\): shape \(1, 3\), but .* to \(2, 3\)",
    ),
    "shape of b": (
        {"forward": lambda a, b: np.resize(a * b, b.shape)},
        r"^Case\(\(2, 3\), \(1, 3\)\): shape \(1, 3\), but .* to \(2, 3\)",
    ),
    "no broadcasting, where the cases are arrays": (
        {
            "forward": lambda a, b: a * b if a.shape == b.shape else a * b * 2.0,
            "cases": [te.Case([1.0, 2.0], lambda rng: rng.uniform(1, 2, 2))],
        },
        r"^Case\(array\(\[1\.\]\), f\(rng\)\): derivative by a: .* 1/2 x numeric",
    ),
    "not said to be elementwise": (
        {"elementwise": False, "cases": [te.Case((2, 3), (3,))]},
        r"^Case\(\(2, 3\), \(3,\)\): raises RuntimeError: product: .*\(2, 3\) for b, ",
    ),
    "rule of b that writes to a": (
        {"b": lambda g, out, a, b: np.multiply(g, a, out=a) if a is not out else a},
        WHERE + "the rule of b writes to its input a",
    ),
}


@pytest.mark.parametrize(("changes", "says"), IN_BINARY.values(), ids=IN_BINARY)
def test_a_fault_of_one_argument_is_found_and_named(changes, says):
    error = failure(product(**changes))

    assert re.search(says, str(error), re.MULTILINE), str(error)


def test_broadcasting_is_not_added_where_a_case_has_it():
    cases = [te.Case((2, 1), (2, 3)), te.Case((2, 3), (3,))]

    assert check_op(product(), order=1).cases == 3
    assert check_op(product(cases=cases), order=1).cases == 2
    assert check_op(product(cases=cases[1:]), order=1).cases == 1


@pytest.mark.parametrize("shape", [(3,), (1,), (1, 3), (2, 3, 4)])
def test_each_argument_is_broadcast_whatever_its_shape(shape):
    report = check_op(product(cases=[te.Case(shape, shape)]), order=1)

    assert report.cases == 3


def test_broadcasting_is_added_with_the_metadata_of_the_case():
    @te.op(elementwise=True, cases=[te.Case((2, 3), (2, 3), power=2)])
    def weighted(a, b, *, power):
        """a times a power of b."""
        return a * b**power

    weighted.vjp(
        a=lambda g, out, a, b, *, power: g * b**power,
        b=lambda g, out, a, b, *, power: g * a * power * b ** (power - 1),
    )

    assert check_op(weighted).cases == 3


def test_a_residual_that_differs_from_its_expression_is_named():
    op = swish()
    op.residuals["gate"] = lambda x: te.sigmoid(x * 1.001)

    error = failure(op)

    assert re.search(
        r"residual gate: \S+ at \[.*\], but its expression is ", str(error)
    )


def test_a_residual_that_is_a_constant_when_differentiated_is_found():
    op = swish()
    op.residuals["gate"] = lambda x: special.expit(getattr(x, "data", x))

    error = failure(op)

    assert "residual" not in str(error)
    assert "order-2 derivative by x" in str(error)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda g, out, x: g * (1 - out * out), ["float32", "float64"]),
        (lambda g, out, x: g * np.cosh(x) ** -2, []),
    ],
)
def test_a_rule_that_loses_its_digits_in_a_tail_is_found(monkeypatch, rule, says):
    monkeypatch.setattr(te.tanh, "rules", [rule])

    text = str(failure(te.tanh)) if says else str(check_op(te.tanh))

    assert ("the rule of x loses digits" in text) == bool(says)
    assert all(f"in {dtype}, " in text for dtype in says)


def test_a_rule_that_is_another_one_when_recorded_is_found(monkeypatch):
    def rule(g, out, x):
        e = te.exp(-te.absolute(x))
        exact = g * 4 * (e / (1 + e * e)) ** 2
        return exact + 1e-9 * g if isinstance(g + x, te.Tensor) else exact

    monkeypatch.setattr(te.tanh, "rules", [rule])

    assert "another one where it is recorded" in str(failure(te.tanh))


def test_a_residual_in_the_same_memory_is_found():
    buffer = np.zeros((2, 3))

    @te.op(residuals={"twice": lambda x: x * 2.0}, cases=[te.Case((2, 3))])
    def doubled(x):
        """Twice x, squared."""
        twice = np.multiply(x, 2.0, out=buffer if x.dtype == float else None)
        return twice**2, twice

    doubled.vjp(x=lambda g, out, x, *, twice: g * 4.0 * twice)

    error = failure(doubled)

    assert str(error).splitlines()[1:] == [
        "Case((2, 3)): every call returns twice in the same memory"
    ]


def test_a_read_only_array_may_be_returned_again_and_again():
    """It cannot be overwritten."""
    zeros = np.zeros((2, 3))
    zeros.flags.writeable = False

    def rule(g, out, x):
        return zeros

    op = square(forward=lambda x: (x > 0.0).astype(x.dtype), rule=rule)

    assert check_op(op, order=1).cases == 1


def test_a_fault_in_one_of_several_results_is_found():
    op = polar()
    op.vjp(
        x=lambda g, out, x, y: g[0] * x / out[0] - g[1] * y / out[0] ** 2,
        y=lambda g, out, x, y: g[0] * y / out[0] + g[1] * x / out[0],
    )

    lines = str(failure(op, order=1)).splitlines()

    assert [line for line in lines if "derivative by" in line]
    assert not [line for line in lines if "derivative by x" in line]


def test_a_variadic_argument_is_named_by_its_position():
    op = total()
    op.vjp(arrays=lambda g, out, *arrays, position: g)

    error = failure(op)

    assert "derivative by arrays[1]: analytic is 1/2 x numeric" in str(error)
    assert "derivative by arrays[2]: analytic is 1/3 x numeric" in str(error)
    assert "arrays[0]" not in str(error)


def test_metadata_that_a_rule_forgets_is_found():
    op = turned()
    op.vjp(m=lambda g, out, m, *, axis: op(g))

    error = failure(op)

    assert "Case((2, 3), axis=1): derivative by m" in str(error)
    assert "Case((2, 3)): " not in str(error)


# ------------------------------------------------------------------- the whole message


def test_of_a_wrong_derivative_the_derivatives_are_not_listed():
    error = failure(square(rule=lambda g, out, x: 1.5 * detached(g, out, x)))

    assert "derivative by x" in str(error)
    assert "order-2" not in str(error)


def test_what_raises_in_one_case_leaves_the_others_checked():
    cases = [te.Case((2, 3)), te.Case((4,)), te.Case(lambda rng: 1 / 0)]

    def forward(x):
        if x.ndim == 1:
            raise RuntimeError("no vectors, please")
        return x * x

    op = square(forward=forward, cases=cases, rule=lambda g, out, x: g * 3.0 * x)

    lines = str(failure(op)).splitlines()

    assert "Case((2, 3)): derivative by x: analytic is 3/2 x numeric" in lines
    assert lines.count("Case((4,)): raises RuntimeError: no vectors, please") == 1
    assert lines.count("Case(f(rng)): raises ZeroDivisionError: division by zero") == 1


def test_what_raises_in_a_rule_leaves_the_values_checked():
    def rule(g, out, x):
        raise KeyError("lost")

    text = str(failure(square(forward=lambda x: x**3, rule=rule), reference=np.square))

    assert "but the reference is" in text
    assert "Case((2, 3)): squared: the rule for x stopped: KeyError: 'lost'" in text


def test_a_rule_that_stops_is_named_with_its_argument():
    op = product(elementwise=False, b=lambda g, out, a, b: g @ a)

    lines = str(failure(op)).splitlines()

    stopped = [line for line in lines if "stopped" in line]
    start = "Case((2, 3), (2, 3)): product: the rule for b stopped: ValueError: matmul"
    assert len(stopped) == 1
    assert stopped[0].startswith(start)
    assert not [line for line in lines if "raises" in line]


def test_a_rule_that_stops_when_it_is_differentiated_is_named():
    def rule(g, out, x):
        if isinstance(x, te.Tensor):
            raise LookupError("arrays only")
        return g * 2.0 * x

    text = str(failure(square(rule=rule)))

    assert "squared: the rule for x stopped: LookupError: arrays only" in text


@pytest.mark.parametrize("declare", [joined, polar, picked], ids=lambda f: f.__name__)
def test_of_every_kind_of_operation_the_rule_that_stops_is_named(declare):
    op = declare()
    name = op.arguments[0]

    def rule(*_, **__):
        raise LookupError("lost")

    op.vjp(**{n: rule if n == name else None for n in op.arguments})
    text = str(failure(op))

    named = f"{name}[0]" if op.variadic else name
    assert f"{op.name}: the rule for {named} stopped: LookupError: lost" in text


def test_an_error_elsewhere_is_not_taken_for_that_of_a_rule():
    def rule(g, out, x):
        raise KeyError("lost")

    text = str(failure(square(rule=rule), reference=lambda x: 1 / 0))

    assert "raises ZeroDivisionError: division by zero" in text
    assert "stopped: KeyError" in text


def test_what_is_found_before_an_error_is_kept():
    op = square(forward=lambda x: (x * x)[:1])

    lines = str(failure(op, reference=lambda x: 1 / 0)).splitlines()

    assert lines[1:3] == [
        "Case((2, 3)): shape (1, 3), but the inputs broadcast to (2, 3)",
        "Case((2, 3)): raises ZeroDivisionError: division by zero",
    ]


def test_metadata_that_a_case_forgets_is_named():
    op = power_sum()
    op.cases.append(te.Case((2, 3)))

    error = failure(op)

    assert "Case((2, 3)): raises TypeError: power_sum: missing exponent" in str(error)


def test_all_faults_are_listed_at_once():
    op = square(
        forward=lambda x: np.float64(1.5) * x * x,
        symbol=" ",
        doc=None,
        cases=[te.Case((2, 3)), te.Case((4,))],
        rule=rule_that_writes("g"),
    )

    error = failure(op, reference=np.square)

    for line in ("its label is empty", "it has no docstring"):
        assert f"\n{line}" in str(error)
    for case in op.cases:
        for text in (
            r"\S+ at \[.*\], but the reference is ",
            "float32 inputs give float64",
            "the rule of x writes to g",
            "squared: the rule for x stopped: ValueError: output array is read-only",
        ):
            assert re.search(f"\n{re.escape(repr(case))}: {text}", str(error)), text
    assert error.causes == ()  # it stopped before it could be compared
    assert error.report.op == "squared"


def test_the_message_says_how_to_draw_the_same_inputs():
    assert "(inputs drawn with rng=7)" in str(failure(square(symbol=" "), rng=7))


@pytest.mark.parametrize("function", [np.tanh, lambda x: x, te.nn.ReLU(), "tanh"])
def test_only_operations_are_taken(function):
    with pytest.raises(TypeError, match=r"expected an operation, got .* te\.gradcheck"):
        check_op(function)


@pytest.mark.parametrize("order", [0, -1, 1.5])
def test_the_order_is_a_number_from_1_on(order):
    with pytest.raises(ValueError, match=rf"check_op: order must be .*, got {order}"):
        check_op(te.tanh, order=order)
