"""Declaring operations: one of each kind, what follows from it, and what is refused."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from numeric import assert_near, finite_differences

import tinygrad_edu as te


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


# ---------------------------------------------------------- what follows from declaring


def declare_cube():
    @te.op(symbol="x³", elementwise=True, cases=[te.Case((2, 3))])
    def cube(x):
        """The third power."""
        return x**3

    cube.vjp(x=lambda g, out, x: g * 3 * x**2)
    return cube


def test_a_declared_operation_computes_records_and_differentiates():
    cube = declare_cube()
    x = leaf([1.0, 2.0])

    y = cube(x)
    (first,) = te.gradients(te.sum(y), [x], create_graph=True)
    (second,) = te.gradients(te.sum(first), [x])

    assert y.op is cube
    np.testing.assert_array_equal(y.data, [1.0, 8.0])
    np.testing.assert_array_equal(first.data, [3.0, 12.0])
    np.testing.assert_array_equal(second, [6.0, 12.0])


def test_a_declared_operation_is_registered_and_a_method():
    cube = declare_cube()

    assert te.OPS["cube"] is cube
    assert leaf(2.0).cube().item() == 8.0
    assert cube.__doc__ == "The third power."
    assert cube.__name__ == cube.name == "cube"
    assert (cube.symbol, cube.arguments, cube.metadata) == ("x³", ("x",), {})
    assert repr(cube) == "<op cube(x)>"
    assert str(inspect.signature(cube)) == "(x)"


def test_handed_arrays_an_operation_is_plain_numpy():
    cube = declare_cube()

    assert type(cube(np.array([2.0]))) is np.ndarray
    np.testing.assert_array_equal(cube([1, 2]), [1, 8])
    assert cube(2) == 8


def test_the_label_is_the_name_unless_given():
    @te.op
    def twice(x):
        return 2 * x

    assert twice.symbol == "twice"


def test_an_operator_works_from_both_sides():
    @te.op(operator="lshift")
    def doubled(a, b):
        return np.ldexp(a, int(b))

    doubled.vjp(a=lambda g, out, a, b: g * 2**b, b=None)

    assert (leaf(7.0) << 2).item() == 28.0
    assert (7.0 << leaf(2.0)).op is doubled


def test_numpys_function_records_what_declares_it():
    @te.op(numpy=np.nextafter, elementwise=True)
    def nextafter(a, b):
        return np.nextafter(a, b)

    nextafter.vjp(a=lambda g, out, a, b: g, b=None)
    x = leaf(3.0)

    y = np.nextafter(x, 2.0)
    y.backward()

    assert y.op is nextafter
    assert x.grad == 1.0


def test_arguments_may_be_given_by_name():
    @te.op(elementwise=True)
    def weighted(left, right):
        return 2 * left + right

    @te.op
    def plus_one(value):
        return value + 1

    weighted.vjp(left=lambda g, out, left, right: 2 * g, right=lambda g, *_: g)
    a, b = leaf(1.0), leaf(5.0)

    assert weighted(right=b, left=a).item() == 7.0
    assert weighted(a, right=b).item() == 7.0
    assert plus_one(value=a).item() == 2.0


# ----------------------------------------------------------------------------- metadata


def declare_scale():
    @te.op
    def scale(x, *, factor, shift=0.0):
        return factor * x + shift

    scale.vjp(x=lambda g, out, x, *, factor, shift: factor * g)
    return scale


def test_metadata_is_kept_by_name_with_defaults_and_handed_to_the_rule():
    scale = declare_scale()
    x = leaf([1.0, 2.0])

    y = scale(x, factor=3.0)
    kwargs = y.kwargs
    te.sum(y).backward()

    assert kwargs == {"factor": 3.0, "shift": 0.0}
    np.testing.assert_array_equal(x.grad, [3.0, 3.0])


def test_metadata_may_follow_the_arrays():
    y = declare_scale()(leaf([1.0]), 3.0, 1.0)

    assert y.kwargs == {"factor": 3.0, "shift": 1.0}
    np.testing.assert_array_equal(y.data, [4.0])


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        ((), {}, "factor"),
        ((), {"factor": 1.0, "speed": 2}, "speed"),
        ((1.0, 2.0, 3.0), {}, "4 arguments"),
        ((1.0,), {"factor": 2.0}, "factor"),
        ((), {"x": 1.0, "factor": 2.0}, "x"),
        ((), {"factor": te.tensor(2.0)}, "factor .*must not be a Tensor"),
    ],
)
@pytest.mark.parametrize("x", [leaf([1.0]), np.ones(1)], ids=["Tensor", "array"])
def test_a_call_that_does_not_fit_names_the_operation_and_what_is_wrong(
    x, args, kwargs, told
):
    with pytest.raises(TypeError, match=f"scale.*{told}"):
        declare_scale()(x, *args, **kwargs)


def test_an_argument_left_out_is_none_and_its_rule_does_not_run():
    @te.op
    def affine(x, bias=None):
        return x if bias is None else x + bias

    affine.vjp(x=lambda g, out, x, bias: g, bias=lambda g, out, x, bias: g)
    x, b = leaf([1.0]), leaf([2.0])

    te.sum(affine(x) + affine(x, b) + affine(x, bias=b) + affine(x, None)).backward()

    np.testing.assert_array_equal(x.grad, [4.0])
    np.testing.assert_array_equal(b.grad, [2.0])
    with pytest.raises(TypeError, match=r"affine.*x"):
        affine()


def test_an_adapter_takes_any_order():
    @te.op(adapter=lambda power, x: ([x], {"power": power}))
    def powered(x, *, power):
        return x**power

    powered.vjp(x=lambda g, out, x, *, power: g * power * x ** (power - 1))
    x = leaf(3.0)

    y = powered(2, x)

    assert y.kwargs == {"power": 2}
    y.backward()
    assert x.grad == 6.0


# ----------------------------------------------------------------------------- variadic


def declare_total():
    @te.op
    def total(*terms, scale=1.0):
        return scale * sum(terms[1:], terms[0])

    total.vjp(terms=lambda g, out, *terms, scale, position: g * scale * (position + 1))
    return total


def test_a_variadic_operation_has_one_rule_that_is_told_the_position():
    total = declare_total()
    a, b, c = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([5.0, 6.0])

    y = total(a, b, np.ones(2), c, scale=2.0)

    np.testing.assert_array_equal(y.data, [20.0, 26.0])
    assert (len(y.inputs), y.kwargs) == (4, {"scale": 2.0})
    te.sum(y).backward()
    assert [t.grad[0] for t in (a, b, c)] == [2.0, 4.0, 8.0]


def test_a_variadic_operation_takes_arrays_and_refuses_unknown_metadata():
    total = declare_total()

    assert type(total([1.0], [2.0])) is np.ndarray
    with pytest.raises(TypeError, match=r"total.*speed"):
        total(leaf([1.0]), speed=2)


def test_a_variadic_rule_is_differentiable_again(rng):
    x, y = rng.standard_normal((2, 2, 3))
    v = rng.standard_normal((2, 3))

    def first(a, b):
        a, b = leaf(a), leaf(b)
        joined = te.concatenate([a, b * b])
        return te.gradients(te.sum(joined * joined), [b], create_graph=True), b

    g, b = first(x, y)
    (second,) = te.gradients(te.sum(g[0] * v), [b])

    expected = finite_differences(lambda a, b: first(a, b)[0][0].data, [x, y], v, 1)
    assert_near(second, expected, 1e-8, "concatenate")


# ---------------------------------------------------------------------- several results


def declare_polar():
    @te.op(results=("radius", "angle"))
    def polar(x, y):
        return np.sqrt(x * x + y * y), np.arctan2(y, x)

    polar.vjp(
        x=lambda g, out, x, y: (
            g[0] * x / out.radius - g[1] * y / (out.radius * out.radius)
        ),
        y=lambda g, out, x, y: (
            g[0] * y / out.radius + g[1] * x / (out.radius * out.radius)
        ),
    )
    return polar


def test_several_results_come_out_by_name():
    out = declare_polar()(leaf([3.0]), leaf([4.0]))

    radius, angle = out
    assert out.radius is radius
    assert [t.op.name for t in out] == ["item", "item"]
    assert radius.inputs[0] is angle.inputs[0]
    np.testing.assert_allclose(radius.data, [5.0])


@pytest.mark.parametrize("use", ["radius", "angle", "both", "twice"])
def test_results_that_nobody_used_count_as_zero(use, rng):
    polar = declare_polar()
    inputs = rng.uniform(1, 2, (2, 3))
    weights = rng.standard_normal(3)

    def f(x, y):
        radius, angle = polar(x, y)
        return {
            "radius": lambda: radius * 2,
            "angle": lambda: angle * 2,
            "both": lambda: radius * angle,
            "twice": lambda: radius * angle + radius + angle * angle,
        }[use]()

    x, y = map(leaf, inputs)
    (gx, gy) = te.gradients(te.sum(f(x, y) * weights), [x, y])
    recorded = te.gradients(te.sum(f(x, y) * weights), [x, y], create_graph=True)
    (second,) = te.gradients(te.sum(recorded[0] * weights), [y])

    for g, r, i in ((gx, recorded[0], 0), (gy, recorded[1], 1)):
        expected = finite_differences(
            lambda *a: f(*map(te.tensor, a)).data, inputs, weights, i
        )
        assert_near(g, expected, 1e-8, f"by input {i}")
        assert_near(r.data, g, 1e-14, f"recorded, by input {i}")

    def first(*a):
        x, y = map(leaf, a)
        return te.gradients(te.sum(f(x, y) * weights), [x])[0]

    expected = finite_differences(first, inputs, weights, 1)
    assert_near(second, expected, 1e-8, "d²/dxdy")


def test_several_results_of_arrays_are_arrays():
    out = declare_polar()(np.array([3.0]), np.array([4.0]))

    assert type(out.radius) is type(out.angle) is np.ndarray
    with te.no_grad():
        out = declare_polar()(leaf([3.0]), leaf([4.0]))
    assert type(out.radius) is te.Tensor
    assert not out.radius.requires_grad


# ---------------------------------------------------------------------------- residuals


def declare_tanh_with_residual(ran):
    def expression(x):
        ran.append("expression")
        return te.tanh(x)

    @te.op(elementwise=True, residuals={"t": expression})
    def squashed(x):
        t = np.tanh(x)
        return t * t, t

    squashed.vjp(x=lambda g, out, x, t: g * 2 * t * (1 - t * t))
    return squashed


def test_a_residual_hands_the_rule_what_forward_had_computed():
    ran = []
    squashed = declare_tanh_with_residual(ran)
    x = leaf([0.5, -1.0])

    y = squashed(x)
    te.sum(y).backward()

    t = np.tanh(x.data)
    np.testing.assert_allclose(y.data, t * t)
    np.testing.assert_allclose(x.grad, 2 * t * (1 - t * t))
    assert ran == []


def test_a_residual_is_computed_again_where_the_rule_is_differentiated(rng):
    ran = []
    squashed = declare_tanh_with_residual(ran)
    data, v = rng.standard_normal((2, 3))
    x = leaf(data)

    (first,) = te.gradients(te.sum(squashed(x)), [x], create_graph=True)
    (second,) = te.gradients(te.sum(first * v), [x])

    assert ran == ["expression"]
    expected = finite_differences(
        lambda a: te.gradients(te.sum(squashed(t := leaf(a))), [t])[0], [data], v, 0
    )
    assert_near(second, expected, 1e-8, "second derivative")


# ------------------------------------------------------------------- wrong declarations


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({}, r"product\.vjp: expected a rule \(or None\) for each of a, b, got none"),
        ({"a": None}, "for each of a, b, got a"),
        ({"a": None, "b": None, "c": None}, "got a, b, c$"),
        ({"a": None, "c": None}, "got a, c$"),
        (
            {"a": None, "b": lambda g, out, a: g},
            r"rule for b must take \(g, out, a, b\)",
        ),
        ({"a": lambda g: g, "b": None}, r"rule for a must take \(g, out, a, b\)"),
    ],
)
def test_rules_are_checked_against_the_signature(rules, told):
    @te.op
    def product(a, b):
        return a * b

    with pytest.raises(TypeError, match=told):
        product.vjp(**rules)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            "xp",
            "If q is an option, not an array, put it behind a *: def scaled(x, p, *,",
        ),
        (
            "x",
            "If p and q are options, put them behind a *: def scaled(x, *, p=2, q=3,",
        ),
    ],
)
def test_options_that_were_declared_as_arrays_are_told_where_to_stand(rules, told):
    @te.op
    def scaled(x, p=2, q=3, *, r=4):
        return x**p * q + r

    with pytest.raises(TypeError, match="expected a rule") as caught:
        scaled.vjp(**dict.fromkeys(rules))

    assert told in str(caught.value)
    assert str(caught.value).endswith(", r=4)")


@pytest.fixture
def product_with_a_wrong_rule():
    @te.op
    def mm(a, b):
        return a @ b

    mm.vjp(a=lambda g, out, a, b: g @ b, b=lambda g, out, a, b: a.T @ g)  # not b.T
    return mm


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_error_in_a_rule_says_of_which_operation(
    create_graph, product_with_a_wrong_rule
):
    a = leaf(np.ones((2, 3)))
    y = te.sum(product_with_a_wrong_rule(a, np.ones((3, 4))))

    with pytest.raises(ValueError, match="matmul") as caught:
        te.gradients(y, [a], create_graph=create_graph)

    assert caught.value.__notes__ == [
        "in a rule of mm, on the way back: a is (2, 3), b is (3, 4)"
    ]


def test_an_error_in_a_rule_says_in_which_layer(product_with_a_wrong_rule):
    class Product(te.nn.Layer):
        def __init__(self):
            self.weight = leaf(np.ones((3, 4)))

        def forward(self, x):
            return product_with_a_wrong_rule(x, self.weight)

    loss = te.sum(te.nn.Sequential(te.nn.Linear(5, 3), Product())(np.ones((2, 5))))

    with pytest.raises(ValueError, match="matmul") as caught:
        loss.backward()

    (note,) = caught.value.__notes__
    assert note.startswith("in a rule of mm in layer Product '1', on the way back: ")


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, out, x: np.ones(7),  # of a wrong shape
        lambda g, out, x: "text",
        None,
    ],
)
def test_the_engine_s_own_errors_name_the_operation_once(rule):
    @te.op
    def own(x):
        return x * 1.0

    own.vjp(x=rule)

    with pytest.raises((RuntimeError, TypeError), match="own: ") as caught:
        te.sum(own(leaf(np.ones(3)))).backward()

    assert not hasattr(caught.value, "__notes__")


def test_a_rule_must_take_the_metadata_and_the_residuals():
    @te.op(residuals={"t": lambda x, *, axis: x})
    def reduced(x, *, axis):
        return np.sum(x, axis), x

    with pytest.raises(TypeError, match=r"must take \(g, out, x, \*, axis, t\)"):
        reduced.vjp(x=lambda g, out, x: g)
    reduced.vjp(x=lambda g, out, x, *, axis, t: g)
    reduced.vjp(x=lambda g, out, x, **_: g)


def test_a_variadic_rule_must_take_the_position():
    @te.op
    def total(*terms):
        return sum(terms)

    with pytest.raises(TypeError, match=r"rule for terms must take .*position"):
        total.vjp(terms=lambda g, out, *terms: g)


def test_a_starred_argument_behind_others_is_refused():
    """One rule serves every position of a variadic operation."""
    with pytest.raises(TypeError, match=r"mixed.*first, rest"):

        @te.op
        def mixed(first, *rest):
            return first + sum(rest)


def test_an_operation_without_rules_computes_and_says_so_on_the_way_back():
    @te.op
    def ruleless(x):
        return x * 2

    y = ruleless(leaf(1.0))

    assert y.item() == 2.0
    with pytest.raises(TypeError, match=r"ruleless has no rules.*ruleless\.vjp"):
        y.backward()


def test_an_argument_without_derivative_says_so():
    @te.op
    def picked(x, labels):
        return x * labels

    picked.vjp(x=lambda g, out, x, labels: g * labels, labels=None)
    x, labels = leaf(2.0), leaf(3.0)

    picked(x, labels.detach()).backward()
    assert x.grad == 3.0
    with pytest.raises(TypeError, match=r"picked: labels has no derivative.*detach"):
        picked(x, labels).backward()
    assert te.gradients(picked(x, labels), [x]) == [3.0]


def test_cross_entropys_labels_have_no_derivative():
    loss = te.softmax_cross_entropy(leaf(np.ones((1, 2))), leaf([[0.0, 1.0]]))

    with pytest.raises(
        TypeError, match="softmax_cross_entropy: labels has no derivative"
    ):
        loss.backward()


@pytest.mark.parametrize("elementwise", [False, True])
def test_a_rule_that_returns_a_wrong_shape_is_named(elementwise):
    @te.op(elementwise=elementwise)
    def bent(x, weight):
        return x * weight

    bent.vjp(
        x=lambda g, out, x, weight: g * weight,
        weight=lambda g, out, x, weight: np.ones(5),
    )
    weight = leaf([1.0, 2.0], name="w")

    with pytest.raises(RuntimeError) as error:
        te.sum(bent(leaf([1.0, 2.0]), weight)).backward()

    for part in ("bent", "weight", "'w'", "(5,)", "(2,)"):
        assert part in str(error.value), error.value


def test_only_elementwise_operations_are_unbroadcast_by_the_engine():
    def scaled(x, factor):
        return x * factor

    rules = {
        "x": lambda g, out, x, factor: g * factor,
        "factor": lambda g, out, x, factor: g * x,
    }
    x, factor = leaf([1.0, 2.0]), leaf(3.0)

    op = te.op(scaled)
    op.vjp(**rules)
    with pytest.raises(RuntimeError, match=r"scaled.*factor.*sum_to"):
        te.sum(op(x, factor)).backward()
    op = te.op(scaled, elementwise=True)
    op.vjp(**rules)
    te.sum(op(x, factor)).backward()

    assert factor.grad == 3.0


@pytest.mark.parametrize("x", [1.0, [1.0, 2.0]])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("returned", [None, "g", 1j])
def test_a_rule_that_returns_no_number_is_named(x, create_graph, returned):
    @te.op(elementwise=True)
    def forgetful(x):
        return x * 2

    forgetful.vjp(x=lambda g, out, x: returned)
    x = leaf(x)

    with pytest.raises((TypeError, RuntimeError), match="forgetful"):
        te.gradients(te.sum(forgetful(x)), [x], create_graph=create_graph)


def test_a_rule_may_return_a_plain_number_or_a_list():
    @te.op
    def unusual(x):
        return np.sum(x)

    unusual.vjp(x=lambda g, out, x: [2.0] * len(x.data if hasattr(x, "op") else x))
    x = leaf([1.0, 2.0])

    (g,) = te.gradients(unusual(x), [x])

    np.testing.assert_array_equal(g, [2.0, 2.0])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("order", ["cxx", "xcx", "xxc", "xccx", "xxcc", "ccxx"])
def test_a_rule_may_return_a_constant_where_others_record(create_graph, order):
    @te.op(elementwise=True)
    def stairs(x):
        return np.floor(x)

    stairs.vjp(x=lambda g, out, x: np.zeros_like(x))
    x = leaf([1.5, 2.5])

    parts = [stairs(x) if kind == "c" else x * x for kind in order]
    (g,) = te.gradients(te.sum(sum(parts)), [x], create_graph=create_graph)

    np.testing.assert_array_equal(getattr(g, "data", g), [6.0, 10.0])


@pytest.mark.parametrize(
    "returned", ["g", "g[:]", "x", "x[...]", "weight", "out", "residual", "metadata"]
)
def test_what_a_rule_was_given_is_never_added_to_in_place(returned):
    """It may hand it back; the engine adds gradients up in arrays of its own only."""
    weight, metadata, by_product = np.ones((3, 2))

    @te.op(elementwise=True, residuals={"residual": lambda x, weight, *, metadata: x})
    def identity(x, weight, *, metadata):
        return x * 1.0, by_product

    def rule(g, out, x, weight, *, metadata, residual):
        return eval(returned)  # ones, all of them

    identity.vjp(x=rule, weight=None)
    x = leaf([1.0, 1.0])
    a, b, c = (identity(x, weight, metadata=metadata) for _ in range(3))

    for _ in range(2):
        (a + b + c).backward([1.0, 1.0], retain_graph=True)

    np.testing.assert_array_equal(x.grad, [6.0, 6.0])
    for given in (weight, metadata, by_product, x.data, a.data):
        np.testing.assert_array_equal(given, [1.0, 1.0])
        assert not np.shares_memory(x.grad, given)


def test_a_constant_that_a_rule_returns_is_copied_too():
    constant = np.ones(2)

    @te.op
    def odd(x):
        return x * 1.0

    odd.vjp(x=lambda g, out, x: constant)
    x = leaf([1.0, 1.0])

    for _ in range(2):
        (odd(x) + odd(x) + odd(x)).backward([1.0, 1.0])

    np.testing.assert_array_equal(x.grad, [6.0, 6.0])
    np.testing.assert_array_equal(constant, [1.0, 1.0])


def test_forward_may_return_its_input():
    @te.op(elementwise=True)
    def identity(x):
        return x

    identity.vjp(x=lambda g, out, x: g)
    x = leaf([1.0, 2.0])

    y = identity(x)
    (y * y).backward([1.0, 1.0])

    np.testing.assert_array_equal(x.grad, [2.0, 4.0])
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    assert not np.shares_memory(x.grad, x.data)


# --------------------------------------------------------------------- names that clash


@pytest.mark.parametrize("name", ["exp", "sum", "item", "matmul"])
def test_a_name_that_the_package_has_is_refused(name):
    def function(x):
        return x

    function.__name__ = name
    before = te.OPS[name]

    message = rf"operation '{name}' is declared in tinygrad_edu\..* already"
    with pytest.raises(ValueError, match=message):
        te.op(function)
    assert te.OPS[name] is before


def test_a_module_may_declare_its_operation_again():
    """As when the cell of a notebook runs twice."""
    declare_cube()

    cube = declare_cube()

    assert te.OPS["cube"] is cube
    assert leaf(2.0).cube().op is cube


@pytest.mark.parametrize("name", ["size", "data", "numpy", "backward", "T", "__len__"])
def test_what_a_tensor_has_of_its_own_is_never_replaced(name):
    before = inspect.getattr_static(te.Tensor, name)

    def function(x):
        return x

    function.__name__ = name
    for _ in range(2):
        declared = te.op(function)

    assert inspect.getattr_static(te.Tensor, name) is before
    assert declared(leaf(2.0)).op is declared


# ------------------------------------------------------------------------------- errors


class ShapeError(ValueError):
    def __init__(self, shape, wanted):
        super().__init__(f"{shape} instead of {wanted}")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("too long"), ValueError),
        (TypeError("too wide"), TypeError),
        (ShapeError((1,), (2,)), ValueError),
        (np.linalg.LinAlgError("Singular matrix"), np.linalg.LinAlgError),
    ],
)
def test_an_error_of_forward_gains_operation_and_shapes(error, expected):
    @te.op
    def failing(x, weight):
        raise error

    with pytest.raises(expected) as seen:
        failing(leaf(np.ones((2, 3))), np.ones(4))

    text = str(seen.value)
    assert text == f"failing: {error} (x is (2, 3), weight is (4,))"
    assert seen.value.__cause__ is error


def test_lists_and_numbers_that_are_no_arrays_are_named():
    with pytest.raises(
        TypeError, match=r"add: b must be a Tensor, an array .* got dtype <U3"
    ):
        te.add(leaf(1.0), ["one"])
    with pytest.raises(TypeError, match=r"exp: x must be .* got NoneType"):
        te.exp(None)
    with pytest.raises(
        TypeError, match=r"concatenate: arrays must be .* got dtype <U4"
    ):
        te.concatenate([leaf([1.0]), "text"])
    with pytest.raises(TypeError, match="linear: weight must be"):
        te.linear(leaf([1.0]), "text", None)


@pytest.mark.parametrize(
    "call",
    [
        lambda: te.linear(leaf([1.0]), 2.0),
        lambda: te.matmul(leaf([1.0]), 2.0),
        lambda: te.matmul(2.0, leaf([1.0])),
        lambda: te.softmax_cross_entropy(leaf([1.0, 2.0]), 2),
        lambda: te.softmax_cross_entropy(leaf(np.ones((3, 2))), [[1], [0], [1]]),
        lambda: te.linear(leaf(2.0), np.ones((4, 3))),
        lambda: te.linear(leaf(np.ones((2, 3))), np.ones(3)),
        lambda: te.linear(leaf(np.ones((2, 3))), np.ones((4, 2))),
        lambda: te.linear(leaf(np.ones((2, 3))), np.ones((4, 3)), np.ones(3)),
        lambda: te.sum_to(leaf([1.0, 2.0]), (3,)),
        lambda: te.sum_to(leaf(np.ones((2, 3))), (2,)),
        lambda: te.broadcast_to(leaf([1.0, 2.0]), (3,)),
        lambda: te.reshape(leaf([1.0, 2.0]), (3,)),
        lambda: te.concatenate([]),
        lambda: te.sum(leaf([1.0]), axis=1),
        lambda: te.transpose(leaf([1.0]), (0, 1)),
        lambda: te.reshape(leaf([1.0])),
        lambda: te.max(leaf(np.ones((0, 2))), axis=0),
    ],
)
def test_misfits_raise_a_standard_error_that_names_the_operation(call):
    with pytest.raises((ValueError, TypeError), match=r"^[a-z_]+: "):
        call()


# -------------------------------------------------------------------------------- cases


def test_a_case_draws_shapes_and_calls_functions():
    case = te.Case(
        (2, 3), [1.0, 2.0], lambda rng: rng.uniform(5, 6, 4), None, 3, axis=1
    )

    a, b, c, d, e = case.sample(0)

    np.testing.assert_array_equal(a, np.random.default_rng(0).standard_normal((2, 3)))
    np.testing.assert_array_equal(b, [1.0, 2.0])
    assert c.shape == (4,)
    assert 5 <= c.min() <= c.max() <= 6
    assert d is None
    assert e.shape == ()
    assert case.kwargs == {"axis": 1}


def test_a_case_hands_out_copies():
    data = np.ones(2)
    case = te.Case(data)

    case.sample(0)[0][:] = 9

    np.testing.assert_array_equal(data, [1.0, 1.0])


def test_a_case_reads_as_it_was_written():
    assert repr(te.Case((2, 3), 1.0, axis=1)) == "Case((2, 3), 1.0, axis=1)"
    assert repr(te.Case(lambda rng: None)) == "Case(f(rng))"


@pytest.mark.parametrize("rng", [0, np.int64(3), np.random.default_rng(1), None])
def test_a_case_takes_any_source_of_random_numbers(rng):
    assert te.Case((2,)).sample(rng)[0].shape == (2,)
    assert te.Case((2,)).sample(np.random.RandomState(0))[0].shape == (2,)
    with pytest.raises(TypeError, match="rng must be a seed"):
        te.Case((2,)).sample("seed")


def test_further_keywords_call_a_function_of_operations():
    def with_factor(x, *, axis=None, factor=1.0):
        return factor * total(x, axis=axis)

    @te.op(keywords=with_factor)
    def total(x, *, axis=None):
        return np.sum(x, axis=axis)

    total.vjp(x=lambda g, out, x, *, axis: te.broadcast_to(g, x.shape))
    x = te.tensor([1.0, 2.0], requires_grad=True)

    assert total(x).op is total
    assert x.total(axis=0).op is total
    y = x.total(factor=3.0)
    assert (y.data, y.op) == (9.0, te.multiply)
    assert te.gradients(y, [x])[0].tolist() == [3.0, 3.0]
    assert total([1.0, 2.0], 0, factor=2) == 6.0
    assert str(inspect.signature(total)) == "(x, *, axis=None, factor=1.0)"
    with pytest.raises(TypeError, match="'foo' is not supported; it takes x, axis, fa"):
        total(x, foo=1)


def test_a_function_for_further_keywords_must_take_the_metadata():
    with pytest.raises(TypeError, match=r"total: keywords= must take .*lacks 'axis'"):

        @te.op(keywords=lambda x, *, factor=1.0: x)
        def total(x, *, axis=None):
            return np.sum(x, axis=axis)


def test_kwargs_that_all_plain_nodes_share_cannot_be_written_to():
    x = te.tensor([1.0, 2.0], requires_grad=True)

    with pytest.raises(TypeError, match="does not support item assignment"):
        (x * x).kwargs["axis"] = 0

    assert dict((x + x).kwargs) == {}
