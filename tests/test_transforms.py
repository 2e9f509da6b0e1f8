"""grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp: values, nesting, refusals."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import optimize

import tinygrad_edu as te
from tinygrad_edu.engine.recording import NESTING
from tinygrad_edu.engine.trees import flatten

X = np.ones(2)


@pytest.fixture
def A(rng):
    return rng.standard_normal((4, 3))


@pytest.fixture
def x(rng):
    return rng.standard_normal(3)


def rosenbrock(x):
    return te.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_hessian(x):
    n = len(x)
    H = np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    H[range(n - 1), range(n - 1)] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    H[range(1, n), range(1, n)] += 200
    return H


# ------------------------------------------------------------------------- closed forms


def test_gradient_is_the_closed_form(A, x):
    g = te.grad(lambda x: te.sum(np.exp(A @ x)))(x)

    assert type(g) is np.ndarray
    np.testing.assert_allclose(g, A.T @ np.exp(A @ x), rtol=1e-13)


def test_value_and_gradient_come_together(A, x):
    value, g = te.value_and_grad(lambda x: te.sum(np.exp(A @ x)))(x)

    np.testing.assert_allclose(value, np.sum(np.exp(A @ x)), rtol=1e-14)
    np.testing.assert_allclose(g, A.T @ np.exp(A @ x), rtol=1e-13)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
def test_jacobian_is_the_closed_form_by_rows_and_by_columns(rows, rng, x):
    B = rng.standard_normal((rows, 3))

    J = te.jacobian(lambda x: np.exp(B @ x))(x)

    np.testing.assert_allclose(J, np.exp(B @ x)[:, None] * B, rtol=1e-13)


def test_jacobian_has_the_axes_of_output_and_input(rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))

    by_a, by_b = te.jacobian(np.matmul, (0, 1))(a, b)

    assert by_a.shape == (2, 4, 2, 3)
    assert by_b.shape == (2, 4, 3, 4)
    np.testing.assert_allclose(by_a, np.einsum("ik,lj->ijkl", np.eye(2), b))
    np.testing.assert_allclose(by_b, np.einsum("jl,ik->ijkl", np.eye(4), a))


def test_hessian_is_the_closed_form(rng):
    x = rng.standard_normal(5)

    H = te.hessian(rosenbrock)(x)

    np.testing.assert_allclose(H, rosenbrock_hessian(x), atol=1e-10)


def test_hessian_by_two_arguments_has_four_blocks(rng):
    a, b = rng.standard_normal(2), rng.standard_normal(3)
    C = rng.standard_normal((2, 3))

    H = te.hessian(lambda a, b: (a @ C) @ (b * b), (0, 1))(a, b)

    np.testing.assert_allclose(H[0][0], np.zeros((2, 2)))
    np.testing.assert_allclose(H[0][1], 2 * C * b)
    np.testing.assert_allclose(H[1][0], (2 * C * b).T)
    np.testing.assert_allclose(H[1][1], np.diag(2 * (a @ C)))


def test_hvp_is_the_hessian_times_the_vector(rng):
    x, v = rng.standard_normal((2, 5))

    product = te.hvp(rosenbrock, x, v)

    assert type(product) is np.ndarray
    np.testing.assert_allclose(product, rosenbrock_hessian(x) @ v, atol=1e-9)


def test_hvp_of_a_tuple_is_a_tuple(rng):
    (a, b), (u, v) = rng.standard_normal((2, 2, 3))

    by_a, by_b = te.hvp(lambda a, b: te.sum(a * a * b), (a, b), (u, v))

    np.testing.assert_allclose(by_a, 2 * b * u + 2 * a * v)
    np.testing.assert_allclose(by_b, 2 * a * u)


def test_vjp_pulls_many_gradients_back(A, x, rng):
    y, back = te.vjp(lambda x: np.exp(A @ x), x)

    np.testing.assert_allclose(y, np.exp(A @ x))
    for g in rng.standard_normal((3, 4)):
        (pulled,) = back(g)
        np.testing.assert_allclose(pulled, A.T @ (np.exp(A @ x) * g), rtol=1e-12)


def test_jvp_pushes_a_direction_forward(A, x, rng):
    v = rng.standard_normal(3)

    y, tangent = te.jvp(lambda x: np.exp(A @ x), x, v)

    np.testing.assert_allclose(y, np.exp(A @ x))
    np.testing.assert_allclose(tangent, np.exp(A @ x) * (A @ v), rtol=1e-12)


def test_several_arguments_and_several_results():
    def f(a, b):
        return a * b, a + b

    ys, back = te.vjp(f, 2.0, 3.0)
    same, tangents = te.jvp(f, (2.0, 3.0), (1.0, 10.0))

    assert ys == same == (6.0, 5.0)
    assert back((1.0, 0.0)) == (3.0, 2.0)
    assert back((0.0, 1.0)) == (1.0, 1.0)
    assert tangents == (23.0, 11.0)


# ------------------------------------------------------------------------------ nesting


def test_nested_gradients_do_not_mix_their_variables():
    assert te.grad(lambda x: te.grad(lambda y: x * y**2)(3.0))(2.0) == 6.0
    assert te.grad(lambda x: x * te.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert te.grad(lambda x: te.grad(lambda y: y * x)(x))(3.0) == 1.0
    assert te.grad(lambda x: te.grad(lambda y: x * y * y)(x))(3.0) == 12.0


@pytest.mark.parametrize(("order", "value"), [(1, 32.0), (2, 48.0), (3, 48.0)])
def test_gradients_nest_to_any_order(order, value):
    f = lambda x: x**4  # noqa: E731
    for _ in range(order):
        f = te.grad(f)

    assert f(2.0) == value


def test_a_fourth_and_a_vanishing_derivative():
    assert te.grad(te.grad(te.grad(te.grad(np.sin))))(0.5) == pytest.approx(np.sin(0.5))
    assert te.grad(te.grad(lambda x: 3 * x))(1.0) == 0.0


@pytest.mark.parametrize("outer", ["grad", "jacobian", "jvp", "vjp", "hvp"])
@pytest.mark.parametrize("inner", ["grad", "jvp", "vjp", "jacobian"])
def test_every_transform_nests_in_every_other(outer, inner):
    """The inner one gives 3 x², the derivative of x³ at a number."""
    derivative = {
        "grad": te.grad(lambda x: x**3),
        "jacobian": te.jacobian(lambda x: x**3),
        "jvp": lambda x: te.jvp(lambda x: x**3, x, 1.0)[1],
        "vjp": lambda x: te.vjp(lambda x: x**3, x)[1](1.0)[0],
    }[inner]
    second = {
        "grad": lambda: te.grad(derivative)(2.0),
        "jacobian": lambda: te.jacobian(derivative)(2.0),
        "jvp": lambda: te.jvp(derivative, 2.0, 1.0)[1],
        "vjp": lambda: te.vjp(derivative, 2.0)[1](1.0)[0],
        "hvp": lambda: te.hvp(lambda x: derivative(x) * x, 2.0, 1.0) / 3,
    }[outer]()

    assert not isinstance(second, te.Tensor)
    assert second == pytest.approx(12.0)


def test_a_gradient_penalty_trains(rng):
    """The norm of the gradient by the input, in a loss differentiated by weights."""
    w, x = rng.standard_normal(3), rng.standard_normal(3)

    def penalty(w):
        return te.sum(te.grad(lambda x: np.tanh(w @ x))(te.tensor(x)) ** 2)

    te.gradcheck(penalty, w, order=2)


def test_a_parameter_outside_gets_the_gradient_of_a_gradient():
    w = te.tensor(3.0, requires_grad=True)

    slope = te.grad(lambda x: w * x**2)(te.tensor(2.0))
    slope.backward()

    assert slope.requires_grad
    assert w.grad == 4.0


# --------------------------------------------------------------- what they are returned


def test_arrays_give_arrays_and_tensors_give_tensors(x):
    f = lambda x: te.sum(x * x)  # noqa: E731

    assert type(te.grad(f)(x)) is np.ndarray
    assert type(te.grad(f)(list(x))) is np.ndarray
    assert isinstance(te.grad(f)(2.0), float)
    assert type(te.grad(f)(te.tensor(x))) is te.Tensor
    assert te.grad(f)(te.tensor(x, requires_grad=True)).requires_grad


def test_inside_no_grad_they_work_and_leave_no_graph(x):
    f = lambda x: te.sum(x**3)  # noqa: E731
    t = te.tensor(x, requires_grad=True)

    with te.no_grad():
        of_array, of_tensor = te.grad(f)(x), te.grad(f)(t)
        still_off = not (t * t).requires_grad

    np.testing.assert_allclose(of_array, 3 * x**2)
    np.testing.assert_allclose(of_tensor.data, 3 * x**2)
    assert not of_tensor.requires_grad
    assert still_off


def test_aux_is_handed_through_as_plain_numbers():
    def f(x):
        return x * x, {"twice": [2 * x], "note": "as it is"}

    gradient, aux = te.grad(f, has_aux=True)(3.0)
    (value, again), same = te.value_and_grad(f, has_aux=True)(3.0)

    assert gradient == same == 6.0
    assert value == 9.0
    assert aux == again == {"twice": [6.0], "note": "as it is"}
    assert not isinstance(aux["twice"][0], te.Tensor)


@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "hessian"])
@pytest.mark.parametrize("x", [3.0, np.ones(2), (0, 1.0), "x"], ids=str)
def test_the_point_in_place_of_argnums_is_refused_at_once(transform, x):
    with pytest.raises(TypeError, match=r"argnums must be .*te\.\w+\(f\)\(x\)"):
        getattr(te, transform)(te.sum, x)


def test_argnums_choose_the_arguments():
    f = lambda a, b, scale=1.0: scale * a * b**2  # noqa: E731

    assert te.grad(f)(2.0, 3.0) == 9.0
    assert te.grad(f, 1)(2.0, 3.0) == 12.0
    assert te.grad(f, -1)(2.0, 3.0) == 12.0
    assert te.grad(f, (1, 0))(2.0, 3.0, scale=2.0) == (24.0, 18.0)


def test_float32_stays_float32():
    x = np.ones(3, np.float32)
    f = lambda x: te.sum(np.exp(x))  # noqa: E731

    assert te.grad(f)(x).dtype == np.float32
    assert te.hvp(f, x, x).dtype == np.float32
    assert te.jvp(np.exp, x, x)[1].dtype == np.float32


def test_what_does_not_depend_on_an_argument_has_zeros():
    f = lambda a, b: te.sum(a)  # noqa: E731
    a, b = np.ones(2), np.ones((2, 2))

    np.testing.assert_array_equal(te.grad(f, (0, 1))(a, b)[1], np.zeros((2, 2)))
    np.testing.assert_array_equal(te.jacobian(f, (0, 1))(a, b)[1], np.zeros((2, 2)))
    assert te.jvp(lambda a: te.tensor(1.0), 2.0, 1.0)[1] == 0.0


def test_no_argument_is_written_and_no_grad_is_left(x):
    t, before = te.tensor(x, requires_grad=True), x.copy()
    te.hessian(lambda x: te.sum(x**3))(t)
    te.grad(lambda x: te.sum(x**3))(x)

    assert t.grad is None
    np.testing.assert_array_equal(x, before)


def test_returned_arrays_share_nothing(x):
    y, back = te.vjp(lambda x: x.reshape(3, 1), x)

    assert not np.shares_memory(y, x)
    y[:] = 99.0
    first, again = back(np.ones((3, 1)))[0], back(np.ones((3, 1)))[0]
    assert not np.shares_memory(first, again)
    np.testing.assert_array_equal(first, np.ones(3))


# -------------------------------------------------------------------------- other tools


def test_scipy_minimises_with_our_gradient():
    found = optimize.minimize(
        lambda x: rosenbrock(x), np.zeros(4), jac=te.grad(rosenbrock), tol=1e-10
    )

    assert found.success
    np.testing.assert_allclose(found.x, np.ones(4), atol=1e-6)


def test_scipy_minimises_with_our_hessian_products():
    found = optimize.minimize(
        rosenbrock,
        np.zeros(4),
        jac=te.grad(rosenbrock),
        hessp=lambda x, v: te.hvp(rosenbrock, x, v),
        method="trust-ncg",
        tol=1e-8,
    )

    np.testing.assert_allclose(found.x, np.ones(4), atol=1e-6)


# ----------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: te.grad(np.exp)(np.ones(3)), ValueError, "single number.*jacobian"),
        (lambda: te.grad(lambda x: 3.0)(2.0), TypeError, "must return a Tensor"),
        (lambda: te.grad(np.sin)(3), TypeError, "Write 3.0 for 3"),
        (lambda: te.grad(np.sin)(1j), TypeError, "complex"),
        (lambda: te.grad(np.sin, 1)(1.0), ValueError, "argnums 1 do not fit 1"),
        (lambda: te.grad(np.multiply, (0, -2))(1.0, 2.0), ValueError, "twice"),
        (lambda: te.grad(np.sin, has_aux=True)(1.0), TypeError, "two things"),
        (lambda: te.jvp(np.sin, 1.0, np.ones(2)), ValueError, r"shape \(\), got"),
        (lambda: te.jvp(te.sin, 1.0, None), ValueError, r"for x must .* got None"),
        (lambda: te.hvp(te.sin, (1.0,), ()), ValueError, "each of 1 arguments, got 0"),
        (lambda: te.hvp(np.sin, np.ones(2), np.ones(2)), ValueError, "single number"),
        (lambda: te.vjp(np.sin, 1.0)[1](np.ones(2)), ValueError, r"shape \(\)"),
        (lambda: te.vjp(lambda x: (x, x), 1.0)[1]((1.0,)), ValueError, "tuple of 2"),
        (lambda: te.vjp(np.sin, 1.0)[1](None), ValueError, "got None"),
        (
            lambda: te.vjp(lambda x: float(x.detach()), 1.0),
            TypeError,
            "leave the graph",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()

    assert NESTING.get() == 0


def test_threads_do_not_see_each_others_transforms():
    inside, seen = threading.Event(), []

    def slow(x):
        inside.set()
        assert done.wait(5)
        return x * x

    def outer():
        te.grad(slow)(1.0)

    done = threading.Event()
    thread = threading.Thread(target=outer)
    thread.start()
    assert inside.wait(5)
    seen.append(type(te.grad(lambda x: te.sum(x * x))(np.ones(2))))
    done.set()
    thread.join()

    assert seen == [np.ndarray]


# ------------------------------------------------- tensors from outside of the function


def slopes(w):
    """Each transform of a function of x that uses ``w``, as a number of its own."""

    def f(x):
        return np.sum(np.sin(w * x) * w)

    at = np.array([0.3, 0.7])
    v = np.array([1.0, -2.0])
    yield "grad", lambda: te.sum(te.grad(f)(at) ** 2)
    yield "value_and_grad", lambda: te.sum(te.value_and_grad(f)(at)[1] ** 2)
    yield "its value", lambda: te.value_and_grad(f)(at)[0] ** 2
    yield "vjp", lambda: te.sum(te.vjp(f, at)[1](2.0)[0] ** 2)
    yield "jvp", lambda: te.jvp(f, at, v)[1] ** 2
    yield "jacobian", lambda: te.sum(te.jacobian(lambda x: w * x**2)(at) ** 2)
    yield (
        "its columns",
        lambda: te.sum(
            te.jacobian(lambda x: te.concatenate([w * x, x**2 * w]))(at) ** 2
        ),
    )
    yield "hessian", lambda: te.sum(te.hessian(f)(at) ** 2)
    yield "hvp", lambda: te.sum(te.hvp(f, at, v) ** 2)
    yield "of a constant", lambda: te.sum(te.grad(lambda x: np.sum(x))(at)) * w


@pytest.mark.parametrize("name", [name for name, _ in slopes(None)])
def test_a_penalty_on_a_slope_trains_what_the_function_used(name):
    w = te.tensor(1.3, requires_grad=True)

    loss = dict(slopes(w))[name]()
    loss.backward()

    h = 1e-6
    ahead, behind = (dict(slopes(1.3 + s))[name]() for s in (h, -h))
    slope = (float(ahead) - float(behind)) / (2 * h)
    np.testing.assert_allclose(w.grad, slope, rtol=1e-7)


def test_the_derivative_by_what_was_captured_is_not_lost():
    x = te.tensor(1.0, requires_grad=True)

    loss = x * te.grad(lambda y: x * y)(2.0)
    loss.backward()

    assert x.grad == 2


def test_what_a_layer_holds_is_captured():
    layer = te.nn.Linear(2, 1, rng=0)

    slope = te.grad(lambda x: te.sum(layer(x) ** 2))(np.ones((3, 2)))
    te.sum(slope**2).backward()

    assert isinstance(slope, te.Tensor)
    assert all(p.grad is not None for p in layer.parameters())


def test_without_record_around_it_arrays_come_back():
    w = te.tensor(2.0, requires_grad=True)

    with te.no_grad():
        slope = te.grad(lambda x: w * x)(3.0)

    assert slope == 2
    assert not isinstance(slope, te.Tensor)


def test_a_captured_constant_changes_nothing():
    w = te.tensor(2.0)

    assert not isinstance(te.grad(lambda x: w * x)(3.0), te.Tensor)


def test_a_function_that_gives_back_what_it_captured():
    w = te.tensor(2.0, requires_grad=True)

    value, slope = te.value_and_grad(lambda x: w)(3.0)

    assert slope.item() == 0
    (value * 5).backward()
    assert w.grad == 5


# ----------------------------------------------------------- numbers that are taken out


TAKEN = {
    "float": lambda x: x**2 + float(x),
    "int": lambda x: x**2 + int(x),
    "math": lambda x: x**2 + math.exp(x),
    "floor": lambda x: x**2 + math.floor(x),
    "numpy's type": lambda x: x**2 + np.float64(x),
    "an array": lambda x: x**2 + np.array(x),
    "a list in an array": lambda x: x**2 + np.array([x, x]).sum(),
    "complex": lambda x: x**2 + complex(x).real,
}


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize(
    "transform",
    [
        lambda f: te.grad(f)(0.5),
        lambda f: te.jvp(f, 0.5, 1.0),
        lambda f: te.vjp(f, 0.5),
        lambda f: te.hessian(f)(0.5),
        lambda f: te.hvp(f, 0.5, 1.0),
        lambda f: te.jacobian(f)(0.5),
    ],
)
def test_a_number_taken_out_inside_a_transform_is_an_error(taken, transform):
    with pytest.raises(TypeError, match="graph"):
        transform(TAKEN[taken])


def test_the_error_names_the_ways():
    with pytest.raises(TypeError) as e:
        te.grad(lambda x: math.exp(x) * x)(0.5)

    for way in ("x.item()", "te.no_grad()", "np.exp for math.exp", "derivative would"):
        assert way in str(e.value)


def test_item_and_no_grad_are_the_ways():
    def f(x):
        with te.no_grad():
            scale = float(x) * 2
        return x**2 * scale / (x.item() * 2)

    assert te.grad(f)(3.0) == 6


def test_what_carries_no_gradient_may_be_taken_out():
    c = te.tensor(2.0)

    assert te.grad(lambda x: x * float(c) + int(c))(3.0) == 2


def test_outside_of_transforms_numbers_are_there_to_be_read():
    x = te.tensor(0.5, requires_grad=True)

    assert float(x * 2) == 1 and int(x * 2) == 1 and math.exp(x) == math.exp(0.5)


# -------------------------------------------------------------------------------- trees


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Model:
    weight: Any
    bias: Any = 0.0

    def __post_init__(self):
        self.weight = np.asarray(self.weight)  # would take a Tensor out of the graph


def energy(tree):
    """Σ a² b over the leaves a, b of a tree of two."""
    leaves, _ = flatten(tree)
    a, b = leaves
    return te.sum(a * a * b)


def trees(a, b):
    yield {"a": a, "b": b}
    yield [a, {"b": b}]
    yield (a, [b])
    yield Pair(a, b)
    yield Model(a, b)


TREES = [type(tree).__name__ for tree in trees(1.0, 2.0)]


@pytest.mark.parametrize("which", range(len(TREES)), ids=TREES)
def test_gradients_mirror_the_tree(which, rng):
    a, b, u, v = rng.standard_normal((4, 3))
    tree, along = (list(trees(*pair))[which] for pair in ((a, b), (u, v)))

    value, gradient = te.value_and_grad(energy)(tree)
    (product,) = te.hvp(energy, (tree,), (along,))
    _, back = te.vjp(energy, tree)
    y, tangent = te.jvp(energy, (tree,), (along,))

    assert type(gradient) is type(back(2.0)[0]) is type(tree)
    for found, expected in (
        (gradient, [2 * a * b, a * a]),
        (back(2.0)[0], [4 * a * b, 2 * a * a]),
        (flatten(product)[0], [2 * b * u + 2 * a * v, 2 * a * u]),
    ):
        for mine, right in zip(flatten(found)[0], expected, strict=True):
            assert type(mine) is np.ndarray
            np.testing.assert_allclose(mine, right, rtol=1e-12)
    np.testing.assert_allclose(value, y)
    np.testing.assert_allclose(tangent, (2 * a * b) @ u + (a * a) @ v)


def test_a_jacobian_nests_the_outputs_over_the_inputs(rng):
    A, x = rng.standard_normal((2, 3)), rng.standard_normal(3)

    def f(p, s):
        return {"y": p["A"] @ p["x"] * s, "n": [te.sum(p["x"] ** 2)]}

    J = te.jacobian(f)({"A": A, "x": x}, 2.0)
    by_both = te.jacobian(f, (0, 1))({"A": A, "x": x}, 2.0)

    np.testing.assert_allclose(J["y"]["x"], 2 * A)
    np.testing.assert_allclose(J["y"]["A"], 2 * np.einsum("ij,k->ijk", np.eye(2), x))
    np.testing.assert_allclose(J["n"][0]["x"], 2 * x)
    np.testing.assert_array_equal(J["n"][0]["A"], np.zeros((2, 3)))
    np.testing.assert_allclose(by_both["y"][0]["x"], 2 * A)
    np.testing.assert_allclose(by_both["y"][1], A @ x)


def test_a_hessian_nests_the_inputs_over_the_inputs(rng):
    a, b = rng.standard_normal((2, 3))

    H = te.hessian(energy)({"a": a, "b": b})

    np.testing.assert_allclose(H["a"]["a"], np.diag(2 * b), atol=1e-12)
    np.testing.assert_allclose(H["a"]["b"], np.diag(2 * a), atol=1e-12)
    np.testing.assert_allclose(H["b"]["a"], np.diag(2 * a), atol=1e-12)
    np.testing.assert_array_equal(H["b"]["b"], np.zeros((3, 3)))


def test_outputs_may_be_trees():
    def f(x):
        return {"square": x * x, "both": Pair(x, (2 * x,))}

    y, back = te.vjp(f, 3.0)
    same, tangent = te.jvp(f, 3.0, 1.0)

    assert y == same == {"square": 9.0, "both": Pair(3.0, (6.0,))}
    assert tangent == {"square": 6.0, "both": Pair(1.0, (2.0,))}
    assert back({"both": Pair(10.0, (100.0,)), "square": 1.0}) == (216.0,)


def test_tensors_in_a_tree_give_tensors_that_go_on():
    w = te.tensor(2.0, requires_grad=True)

    slopes = te.grad(lambda p: p["w"] ** 3 * p["x"])({"w": w, "x": 5.0})
    (slopes["w"] * 1.0).backward()

    assert slopes["x"].item() == 8
    assert w.grad == 60


def test_a_tensor_anywhere_in_the_arguments_asks_for_tensors():
    slopes = te.grad(lambda p: p["w"] * p["x"])({"w": te.tensor(2.0), "x": 5.0})

    assert type(slopes["w"]) is type(slopes["x"]) is te.Tensor


def test_a_tree_of_tensors_inside_a_transform():
    second = te.grad(
        lambda x: te.grad(lambda p: p["u"] ** 2 * p["x"])({"u": x, "x": x})["u"]
    )

    assert second(3.0) == 12  # of 2 x²


def test_a_tree_is_left_as_it_was():
    tree = {"w": np.ones(2), "more": [np.ones(1)]}

    te.grad(lambda p: te.sum(p["w"]) * p["more"][0][0])(tree)

    assert type(tree["w"]) is type(tree["more"][0]) is np.ndarray


def test_aux_may_be_any_tree():
    _, aux = te.grad(lambda x: (x * x, Model(1.0, Pair(x, None))), has_aux=True)(3.0)

    assert type(aux) is Model
    assert aux.bias == Pair(3.0, None)


W = {"W1": np.ones((2, 3)), "b": [np.ones(2)]}


def norm(params):
    return te.sum(params["W1"] ** 2) + te.sum(params["b"][0])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: te.grad(norm)({"W1": 3}), TypeError, r"params\['W1'\]: .*3.0 for 3"),
        (lambda: te.grad(norm)([X, None]), TypeError, r"params\[1\]: .*got NoneType"),
        (lambda: te.grad(norm)({"W1": "a"}), TypeError, r"params\['W1'\]: .*<U1"),
        (lambda: te.grad(norm)([[X, [X, {2}]]]), TypeError, r"params\[0\]\[1\]\[1\]"),
        (lambda: te.grad(norm)([Model(1j)]), TypeError, r"params\[0\].weight.*complex"),
        (lambda: te.grad(norm)({}), ValueError, "params is an empty dict"),
        (lambda: te.grad(norm)([X, {}]), ValueError, r"params\[1\] is an empty dict"),
        (
            lambda: te.jvp(norm, W, W | {"b": [np.ones(3)]}),
            ValueError,
            r"for params\['b'\]\[0\] must have the shape \(2,\), got \(3,\)",
        ),
        (
            lambda: te.hvp(norm, W, W | {"b": [None]}),
            ValueError,
            r"for params\['b'\]\[0\] must have the shape \(2,\), got None",
        ),
        (
            lambda: te.hvp(norm, W, {"W1": np.ones((2, 3))}),
            ValueError,
            "the direction for params must be a dict of 'W1', 'b', got a dict of 'W1'",
        ),
        (
            lambda: te.vjp(lambda x: {"y": x}, 1.0)[1](1.0),
            ValueError,
            "vjp: the gradient must be a dict of 'y', got float",
        ),
        (
            lambda: te.vjp(lambda x: {"y": x}, 1.0)[1]({"y": X}),
            ValueError,
            r"vjp: the gradient\['y'\] must have the shape \(\), got \(2,\)",
        ),
        (lambda: te.vjp(lambda x: {"y": 1}, 1.0), TypeError, r"at \['y'\], got int"),
        (lambda: te.vjp(lambda x: {}, 1.0), TypeError, "got dict"),
        (lambda: te.grad(lambda x: {"y": x})(1.0), TypeError, "a Tensor, got dict"),
    ],
)
def test_what_does_not_fit_in_a_tree_is_refused_with_its_path(call, error, says):
    with pytest.raises(error, match=says):
        call()

    assert NESTING.get() == 0


def test_a_tree_that_holds_itself_is_refused():
    circle = {"w": X}
    circle["again"] = circle

    with pytest.raises(ValueError, match="grad: argument 0: a dict holds itself"):
        te.grad(norm)(circle)


def test_a_deep_tree_is_differentiated():
    deep = X
    for _ in range(3_000):
        deep = (deep,)

    def f(deep):
        while type(deep) in (list, tuple):
            (deep,) = deep
        return te.sum(deep**2)

    gradient = te.grad(f)([deep])

    (found,) = flatten(gradient)[0]
    np.testing.assert_array_equal(found, 2 * X)
