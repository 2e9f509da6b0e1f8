"""NumPy's own functions on Tensors: what records, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tinygrad_edu as te
from tinygrad_edu.engine.refusals import REFUSED


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


@pytest.fixture
def x(rng):
    return leaf(rng.uniform(1, 2, (2, 3)), name="x")


# ------------------------------------------------------------------------ what records

CALLS = {
    "np.add": (lambda x: np.add(x, 1.0), te.add),
    "array + tensor": (lambda x: np.ones(3) + x, te.add),
    "np.subtract": (lambda x: np.subtract([1.0, 2.0, 3.0], x), te.subtract),
    "np.multiply": (lambda x: np.multiply(x, x), te.multiply),
    "np.divide": (lambda x: np.divide(1, x), te.divide),
    "np.true_divide": (lambda x: np.true_divide(x, 2), te.divide),
    "np.power": (lambda x: np.power(x, 2), te.power),
    "np.negative": (np.negative, te.negative),
    "np.maximum": (lambda x: np.maximum(x, 1.5), te.maximum),
    "np.exp": (np.exp, te.exp),
    "np.log": (np.log, te.log),
    "np.sqrt": (np.sqrt, te.sqrt),
    "np.tanh": (np.tanh, te.tanh),
    "np.matmul": (lambda x: np.matmul(np.ones((4, 2)), x), te.matmul),
    "array @ tensor": (lambda x: np.ones((4, 2)) @ x, te.matmul),
    "np.sum": (np.sum, te.sum),
    "np.sum by position": (lambda x: np.sum(x, 0), te.sum),
    "np.sum by name": (lambda x: np.sum(a=x, axis=1, keepdims=True), te.sum),
    "np.sum, two axes": (lambda x: np.sum(x, axis=(0, 1)), te.sum),
    "np.add.reduce": (np.add.reduce, te.sum),  # along axis 0, unlike np.sum
    "np.add.reduce, all": (lambda x: np.add.reduce(x, axis=None), te.sum),
    "np.maximum.reduce": (lambda x: np.maximum.reduce(x, 1, keepdims=True), te.max),
    "np.mean": (lambda x: np.mean(x, axis=-1), te.mean),
    "np.max": (lambda x: np.max(x, axis=0), te.max),
    "np.reshape": (lambda x: np.reshape(x, (3, 2)), te.reshape),
    "np.reshape by name": (lambda x: np.reshape(x, shape=-1), te.reshape),
    "np.transpose": (np.transpose, te.transpose),
    "np.transpose, axes": (lambda x: np.transpose(x, (1, 0)), te.transpose),
    "np.broadcast_to": (lambda x: np.broadcast_to(x, (4, 2, 3)), te.broadcast_to),
    "np.concatenate": (lambda x: np.concatenate([x, x]), te.concatenate),
    "np.concatenate, mixed": (
        lambda x: np.concatenate((np.ones((2, 1)), x), axis=1),
        te.concatenate,
    ),
    "np.concatenate, by position": (
        lambda x: np.concatenate([x, np.ones((2, 1))], 1),
        te.concatenate,
    ),
    "np.copy": (np.copy, te.copy),
    "np.linalg.inv": (lambda x: np.linalg.inv(np.matmul(x, x.T) + np.eye(2)), te.inv),
}


@pytest.mark.parametrize(("f", "op"), CALLS.values(), ids=CALLS)
def test_numpys_functions_record_what_they_compute(f, op, x):
    y = f(x)

    assert isinstance(y, te.Tensor)
    assert y.op is op
    np.testing.assert_array_equal(y.data, f(x.data), strict=True)
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (2, 3)


def test_several_results_are_recorded(x):
    _, logabsdet = np.linalg.slogdet(x @ x.T)

    assert logabsdet.inputs[0].op is te.slogdet
    assert np.linalg.slogdet(x @ x.T).logabsdet.op.name == "item"


def test_a_tensor_that_requires_nothing_gives_a_tensor_that_is_not_recorded():
    y = np.exp(te.tensor([1.0, 2.0]))

    assert isinstance(y, te.Tensor)
    assert y.is_leaf


METHODS = {
    "sum(0)": lambda t: t.sum(0),
    "sum(axis, keepdims)": lambda t: t.sum(1, keepdims=True),
    "mean()": lambda t: t.mean(),
    "max(axis=1)": lambda t: t.max(axis=1),
    "reshape(3, 2)": lambda t: t.reshape(3, 2),
    "reshape((3, 2))": lambda t: t.reshape((3, 2)),
    "reshape([3, -1])": lambda t: t.reshape([3, -1]),
    "reshape(-1)": lambda t: t.reshape(-1),
    "transpose()": lambda t: t.transpose(),
    "transpose(1, 0)": lambda t: t.transpose(1, 0),
    "transpose((1, 0))": lambda t: t.transpose((1, 0)),
    "transpose(-1, 0)": lambda t: t.transpose(-1, 0),
    "T": lambda t: t.T,
    "copy()": lambda t: t.copy(),
    "astype": lambda t: t.astype(np.float32),
    "astype by name": lambda t: t.astype(dtype="float16"),
}


@pytest.mark.parametrize("f", METHODS.values(), ids=METHODS)
def test_methods_take_what_an_arrays_methods_take(f, x):
    y = f(x)

    np.testing.assert_array_equal(y.data, f(x.data), strict=True)
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (2, 3)


# --------------------------------------------------------- plain numbers, no derivative

PLAIN = {
    "np.floor": np.floor,
    "np.isnan": np.isnan,
    "np.isfinite": np.isfinite,
    "np.argmax": lambda x: np.argmax(x, axis=0),
    "np.argmin": np.argmin,
    "np.round": lambda x: np.round(x, 1),
    "np.any": lambda x: np.any(np.greater(x, 1.5)),
    "np.equal": lambda x: np.equal(x, 1.0),
    "np.allclose": lambda x: np.allclose(x, 1.0),
    "np.array_equal": lambda x: np.array_equal(x, x),
    "np.zeros_like": np.zeros_like,
    "np.ones_like": lambda x: np.ones_like(x, dtype=np.float32),
    "np.full_like": lambda x: np.full_like(x, 7.0),
    "np.shape": np.shape,
    "np.ndim": np.ndim,
    "np.size": np.size,
    "np.result_type": lambda x: np.result_type(x, np.float32),
}


@pytest.mark.parametrize("f", PLAIN.values(), ids=PLAIN)
def test_functions_without_derivative_give_plain_numbers(f, x):
    actual = f(x)

    expected = f(x.data)
    assert type(actual) is type(expected)
    np.testing.assert_array_equal(actual, expected)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda x: np.bitwise_xor.reduce(x), "numpy.bitwise_xor.reduce"),
        (lambda x: np.equal.outer(x, x), "numpy.equal.outer"),
        (lambda x: special.exp10(x), "exp10"),
    ],
)
def test_of_an_unknown_function_is_told_what_to_do(f, name, x):
    with pytest.raises(TypeError) as error:
        f(x)

    assert str(error.value) == (
        f"{name} has no operation behind it, so it cannot be differentiated. For "
        "gradients write its formula with the operations in te.OPS or declare one of "
        "your own with @te.op: docs/adding-an-operation.md. For the plain numbers "
        f"alone: {name}(t.detach().numpy())"
    )


def test_a_refusal_says_why_and_what_to_write(x):
    refusal = REFUSED["linalg.eig"]

    with pytest.raises(TypeError) as error:
        np.linalg.eig(x)
    assert str(error.value).startswith(
        "numpy.linalg.eig gives complex numbers, which are not supported, so it cannot "
        "be differentiated. For gradients write its formula with the operations in "
        "te.OPS, for example "
        f"{refusal.instead}, or declare"
    )
    with pytest.raises(TypeError) as error:
        np.unique(x)
    assert str(error.value) == (
        "numpy.unique gives which values occur, or how often, which has no derivative. "
        "For plain numbers: numpy.unique(t.detach().numpy())"
    )
    with pytest.raises(TypeError, match=r"writes into an array.* Write x\.at\[mask\]"):
        np.copyto(np.ones((2, 3)), x)


def test_a_copy_has_memory_of_its_own(x):
    for y in (x.copy(), np.copy(x), te.copy(x.data)):
        numbers = y.data if isinstance(y, te.Tensor) else y
        assert not np.shares_memory(numbers, x.data)


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: np.exp(x, where=np.ones((2, 3), bool)), "exp.*'where'"),
        (lambda x: te.sum(x, dim=0), "sum: argument 'dim'.* It is called axis"),
        (lambda x: te.sum(x, out=x), "sum: argument 'out'.* y = sum"),
        (lambda x: te.sum(x, foo=1), "'foo' is not supported; it takes x, axis, keep"),
        (lambda x: x.sum(0, False, 1, 2, 3, 4, 5, 6), "sum: got 9 arguments"),
        (lambda x: x.sum(0, axis=1), "sum: got two values for axis"),
        (
            lambda x: x.transpose(1, 0, axes=(0, 1)),
            "transpose: got two values for axes",
        ),
        (lambda x: x.reshape(3, 2, shape=(3, 2)), "reshape: got two values for shape"),
        (lambda x: te.sum(), "sum: missing x"),
        (lambda x: te.sum(axis=0), "sum: missing x"),
        (lambda x: x.sum(axis=te.tensor(0)), "sum: axis .* must not be a Tensor"),
    ],
)
def test_arguments_that_have_no_meaning_here_are_refused_by_name(f, told, x):
    with pytest.raises(TypeError, match=told):
        f(x)


def test_numpys_defaults_may_be_written_out(x):
    y = np.sum(x, axis=None, dtype=None, out=None, keepdims=False)

    assert y.op is te.sum
    assert y.kwargs == {"axis": None, "keepdims": False}


@pytest.mark.parametrize(
    "f",
    [
        lambda a, x: np.add(a, x, out=a),
        lambda a, x: np.exp(x, out=a),
        lambda a, x: np.sum(x, axis=0, out=a[0]),
        lambda a, x: np.matmul(x, np.ones((3, 3)), out=a),
        lambda a, x: np.concatenate([x[:1], x[1:]], out=a),
        lambda a, x: exec("a += x", {"a": a, "x": x}),
        lambda a, x: exec("a *= x", {"a": a, "x": x}),
        lambda a, x: exec("a @= x[:, :2] @ x[:2]", {"a": a[:, :2], "x": x}),
        lambda a, x: np.argmax(x, axis=0, out=a[0]),
    ],
)
def test_no_tensor_is_written_into_an_array(f, x):
    a = np.ones((2, 3))

    with pytest.raises((TypeError, ValueError)) as error:
        f(a, x)

    if isinstance(error.value, TypeError):
        assert "out=" in str(error.value)
    np.testing.assert_array_equal(a, 1.0)


def test_an_in_place_operator_on_an_array_says_what_to_write(x):
    a = np.ones((2, 3))

    with pytest.raises(TypeError) as error:
        a += x

    assert str(error.value) == (
        "numpy.add: out= (or an in-place operator such as += on an array) cannot "
        "receive a Tensor; write array = array + tensor"
    )


@pytest.mark.parametrize("x", [te.tensor([1.0, 2.0]), leaf([1.0, 2.0])])
def test_a_tensor_cannot_be_the_receiver_either(x):
    with pytest.raises(TypeError, match="out="):
        np.add(np.ones(2), np.ones(2), out=x)


def test_writing_a_recorded_tensor_into_an_array_says_detach(x):
    a = np.ones((2, 3))

    with pytest.raises(TypeError, match=r"\.detach\(\)\.numpy\(\)"):
        a[...] = x
    with pytest.raises(TypeError, match=r"\.detach\(\)\.numpy\(\)"):
        a[0] = x[0]
    a[...] = x.detach()

    np.testing.assert_array_equal(a, x.data)


# -------------------------------------------------------------------- matrices misfit


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ((32, 784), (10, 784), "a is (32, 784), b is (10, 784). Did you mean b.T?"),
        ((784, 32), (784, 10), "a is (784, 32), b is (784, 10). Did you mean a.T?"),
        ((2, 3), (4, 5), "inner sizes differ: a is (2, 3), b is (4, 5)"),
        ((3,), (2,), "inner sizes differ: a is (3,), b is (2,)"),
        ((3, 2), (3,), "Did you mean a.T?"),
        ((2,), (3, 2), "Did you mean b.T?"),
        ((2, 3, 4), (2, 3, 4), "inner sizes differ: a is (2, 3, 4), b is (2, 3, 4)"),
        ((2, 3, 4), (3, 4, 5), "leading axes do not broadcast"),
        ((), (3,), "a number has no axes"),
        ((3,), (), "a number has no axes"),
    ],
)
@pytest.mark.parametrize(
    "f", [np.matmul, te.matmul, lambda a, b: a @ b], ids=["np", "te", "@"]
)
def test_matrices_that_do_not_fit_say_what_may_have_been_meant(f, a, b, told):
    with pytest.raises(ValueError, match=r"^matmul: ") as error:
        f(leaf(np.ones(a)), np.ones(b))

    assert told in str(error.value)
    with pytest.raises(ValueError, match=r"^matmul: "):
        f(np.ones(a), leaf(np.ones(b)))


def test_the_whole_message_of_a_misfit():
    with pytest.raises(ValueError, match="inner") as error:
        leaf(np.ones((32, 784))) @ leaf(np.ones((10, 784)))

    assert str(error.value) == (
        "matmul: inner sizes differ: a is (32, 784), b is (10, 784). Did you mean b.T?"
    )
