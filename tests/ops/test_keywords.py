"""Keyword arguments of NumPy's functions: the same numbers, and their derivatives."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.engine.traversal import nodes_of

MASK = np.array([[True, False, True], [False, True, True]])
ROW = np.array([True, False, True])
NOWHERE = np.array([[True, False, True], [False, False, False]])


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


@pytest.fixture
def x(rng):
    return rng.uniform(0.5, 2.0, (2, 3))


def numbers(y):
    return y.detach().numpy() if isinstance(y, te.Tensor) else np.asarray(y)


def check(f, x, order=2):
    """Compare values with NumPy's, and derivatives with finite differences."""
    expected = f(x)
    actual = f(leaf(x))
    assert isinstance(actual, te.Tensor)
    assert actual.requires_grad
    assert actual.dtype == expected.dtype
    assert actual.shape == np.shape(expected)
    digits = 1e-6 if np.asarray(expected).dtype == np.float32 else 1e-12
    np.testing.assert_allclose(numbers(actual), expected, rtol=digits, atol=digits)
    np.testing.assert_array_equal(f(te.tensor(x)).data, numbers(actual))  # no graph
    if np.asarray(expected).dtype == np.float64:
        weights = np.cos(np.arange(np.size(expected))).reshape(np.shape(expected))
        te.gradcheck(lambda a: np.sum(f(a) * weights), x, order=order)


# ------------------------------------------------------------------------- reductions

REDUCTIONS = {
    "sum, where": lambda x: np.sum(x, where=MASK),
    "sum, where along an axis": lambda x: np.sum(x, axis=1, where=MASK, keepdims=True),
    "sum, where broadcasts": lambda x: np.sum(x, 0, where=ROW),
    "sum, where is a list": lambda x: np.sum(x, where=[True, False, True]),
    "sum, initial": lambda x: np.sum(x, initial=2.5),
    "sum, all": lambda x: np.sum(x, 0, None, None, True, 2.0, MASK),
    "sum, method": lambda x: x.sum(1, where=MASK, initial=2),
    "sum of none": lambda x: np.sum(x, where=False),
    "prod, where": lambda x: np.prod(x, axis=0, where=MASK, initial=3.0),
    "prod, method": lambda x: x.prod(where=ROW),
    "mean, where": lambda x: np.mean(x, axis=1, where=MASK),
    "mean, where, all": lambda x: x.mean(where=MASK, keepdims=True),
    "max, where": lambda x: np.max(x, axis=0, where=NOWHERE, initial=-1.0),
    "max, initial": lambda x: np.max(x, axis=1, initial=1.2),
    "max, method": lambda x: x.max(initial=0.0, where=ROW, keepdims=True),
    "amax": lambda x: np.amax(x, initial=0.0),
    "min, where": lambda x: np.min(x, axis=0, where=NOWHERE, initial=9.0),
    "min, method": lambda x: x.min(1, initial=1.2),
    "amin": lambda x: np.amin(x, where=MASK, initial=3.0),
    "var, where": lambda x: np.var(x, where=MASK),
    "var, where along an axis": lambda x: np.var(x, axis=1, where=MASK, ddof=0.5),
    "var, correction": lambda x: np.var(x, axis=0, correction=1),
    "var, mean": lambda x: np.var(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)),
    "var, another mean": lambda x: np.var(x, mean=np.array([[0.7]]), ddof=1),
    "var, a number as mean": lambda x: np.var(x, mean=0.5),
    "var, mean and where": lambda x: x.var(
        mean=np.mean(x, where=MASK, keepdims=True), where=MASK, keepdims=True
    ),
    "std, where": lambda x: np.std(x, where=MASK),
    "std, two axes": lambda x: np.std(x, axis=(0, 1), where=ROW, keepdims=True),
    "std, correction": lambda x: np.std(x, axis=1, correction=1),
    "std, mean": lambda x: np.std(x, 1, mean=np.mean(x, axis=1, keepdims=True)),
    "std, where along an axis": lambda x: np.std(x, axis=1, where=MASK),
    "trace, dtype": lambda x: np.trace(x, dtype=np.float64),
    "linalg.trace": lambda x: np.linalg.trace(x, dtype=np.float64),
    "cumsum, dtype": lambda x: np.cumsum(x, 1, np.float64),
    "cumprod, dtype": lambda x: np.cumprod(x, axis=0, dtype="f8", out=None),
}


@pytest.mark.parametrize("f", REDUCTIONS.values(), ids=REDUCTIONS)
def test_of_reductions(f, x):
    check(f, x)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "cumsum"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("to", [np.float64, np.float32])
def test_a_dtype_is_that_of_the_result_and_the_gradient_has_the_leafs(
    name, dtype, to, x
):
    t = leaf(x.astype(dtype))

    results = [getattr(np, name)(t, axis=0, dtype=to), getattr(t, name)(0, dtype=to)]

    expected = getattr(np, name)(t.data, axis=0, dtype=to)
    for y in results:
        assert y.dtype == to
        np.testing.assert_allclose(y.data, expected, rtol=100 * np.finfo(to).eps)
    np.sum(results[0]).backward()
    assert t.grad.dtype == dtype
    wide = leaf(x.astype(dtype).astype(np.float64))
    np.sum(getattr(np, name)(wide, axis=0)).backward()
    np.testing.assert_allclose(t.grad, wide.grad, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std"])
def test_a_mask_keeps_a_small_dtype(name, dtype, x):
    x = x.astype(dtype)

    y = getattr(np, name)(leaf(x), axis=1, where=MASK)

    expected = getattr(np, name)(x, axis=1, where=MASK)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.data, expected, rtol=4 * np.finfo(dtype).eps)


def test_a_number_as_mean_takes_the_dtype(x):
    assert np.var(leaf(x.astype("f4")), mean=0.5).dtype == np.float32


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std"])
def test_what_a_mask_hides_has_no_effect(name):
    hidden = np.array([[1.0, np.nan, 2.0], [np.inf, 3.0, 5.0]])
    more = {"initial": 0.0} if name in ("max", "min") else {}

    t = leaf(hidden)
    y = getattr(np, name)(t, where=MASK, **more)
    y.backward()

    assert np.isfinite(y.data)
    assert np.isfinite(t.grad).all()
    np.testing.assert_array_equal(t.grad[~MASK], 0.0)


def test_of_integers_and_booleans_too(x):
    for data in (np.arange(6).reshape(2, 3), MASK, np.int8([[1, 2, 3], [4, 5, 6]])):
        t = te.tensor(data)
        for f in (
            lambda a: np.sum(a, where=ROW, initial=1),
            lambda a: np.prod(a, where=ROW),
            lambda a: np.mean(a, where=MASK),
            lambda a: np.max(a, where=MASK, initial=0),
            lambda a: np.min(a, axis=0, where=MASK, initial=1),
            lambda a: np.sum(a, dtype=np.float32),
            lambda a: np.var(a, where=MASK),
        ):
            y = f(t)
            np.testing.assert_allclose(y.data, f(data))
            assert y.dtype == f(data).dtype


@pytest.mark.parametrize("shape", [(), (0,), (2, 0)])
def test_of_a_single_number_and_of_nothing(shape):
    x = np.full(shape, 1.5)
    where = np.ones(shape, bool)
    for f in (
        lambda a: np.sum(a, where=where, initial=2.0),
        lambda a: np.prod(a, where=where, initial=2.0),
        lambda a: np.max(a, where=where, initial=2.0),
        lambda a: np.min(a, axis=-1, initial=2.0, keepdims=len(shape) > 0),
        lambda a: np.sum(a, axis=-1, initial=3.0) if shape else np.sum(a, initial=3.0),
        lambda a: np.sum(a, dtype=np.float32),
    ):
        t = leaf(x)
        y = f(t)
        np.testing.assert_array_equal(y.data, f(x), strict=False)
        assert y.dtype == f(x).dtype
        y.backward(np.ones(y.shape, y.dtype))
        assert t.grad.shape == shape


def test_initial_may_be_a_tensor_and_gets_its_gradient(x):
    start = leaf(2.0)

    (np.sum(leaf(x), initial=start) * np.prod(leaf(x), initial=start)).backward()

    assert start.grad == pytest.approx(np.prod(x) * (np.sum(x) + 2 * 2.0))


def test_a_standard_deviation_of_equal_numbers_has_derivative_0_there():
    t = leaf(np.full((2, 3), 2.0))

    np.std(t, where=MASK).backward()

    np.testing.assert_array_equal(t.grad, 0.0)


def test_the_mean_that_is_given_gets_its_own_gradient(x):
    mean = leaf(np.mean(x, keepdims=True) + 0.5)

    np.var(leaf(x), mean=mean).backward()

    np.testing.assert_allclose(mean.grad, [[-2 * np.mean(x - mean.data)]])


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.sum(x, where=[1, 0, 1]), TypeError, "sum: where must be .* bool"),
        (lambda x: np.sum(x, where=[True]), None, ""),
        (lambda x: np.sum(x, where=MASK[:, :2]), ValueError, "sum: where of shape"),
        (lambda x: np.sum(x[0], where=MASK), ValueError, "sum: where of shape"),
        (lambda x: np.sum(x, initial=[1.0, 2.0]), ValueError, "sum: initial must be a"),
        (lambda x: np.max(x, where=MASK), ValueError, "max: with where=, initial="),
        (lambda x: x.min(where=MASK), ValueError, "min: with where=, initial="),
        (lambda x: np.sum(x, dtype=int), TypeError, "sum: dtype must be .*int64"),
        (lambda x: np.prod(x, dtype=complex), TypeError, "prod: dtype .*complex128"),
        (lambda x: np.var(x, ddof=1, correction=1), ValueError, "ddof and correction"),
        (lambda x: np.std(x, axis=1, mean=np.ones((3, 2, 3))), ValueError, "std: mean"),
        (lambda x: np.sum(x, axis=[0, 1]), TypeError, "list"),  # as in NumPy
    ],
)
def test_of_reductions_what_is_wrong_is_told(f, error, told, x):
    if error is None:
        assert f(leaf(x)).data == pytest.approx(f(x))
        return
    with pytest.raises(error, match=told):
        f(leaf(x))


def test_a_mask_that_is_written_to_afterwards_is_noticed(x):
    mask = MASK.copy()
    y = np.sum(leaf(x), where=mask)
    mask[...] = True

    with pytest.raises(RuntimeError, match="where"):
        y.backward()


# ----------------------------------------------------------------------------- ufuncs

UFUNCS = {
    "exp, dtype": lambda x: np.exp(x, dtype=np.float64),
    "exp, float32": lambda x: np.exp(x, dtype="f4"),
    "exp, signature": lambda x: np.exp(x, signature="d->d"),
    "log, all": lambda x: np.log(
        x, None, where=True, casting="safe", order="C", dtype=None, subok=False
    ),
    "add, a number": lambda x: np.add(x, 1, dtype=np.float32),
    "add, an array": lambda x: np.add(np.float32([1, 2, 3]), x, dtype=np.float64),
    "multiply, casting": lambda x: np.multiply(x, x, casting="no"),
    "power": lambda x: np.power(x, 2, dtype=np.float32, casting="unsafe"),
    "divide a list": lambda x: np.divide([1.0, 2.0, 3.0], x, order="F"),
    "fabs": lambda x: np.fabs(x, dtype=np.float32),
    "matmul": lambda x: np.matmul(x, x.T, dtype=np.float32),
    "matmul, axes": lambda x: np.matmul(x, x, axes=[(1, 0), (0, 1), (1, 0)]),
    "matmul, axes of a vector": lambda x: np.matmul(x, x[0], axes=[(0, 1), (0,), (0,)]),
    "matmul, axes of a stack": lambda x: np.matmul(
        np.stack([x, 2 * x], 2), x, axes=[(0, 1), (1, 0), (2, 0)]
    ),
}


@pytest.mark.parametrize("f", UFUNCS.values(), ids=UFUNCS)
def test_of_ufuncs(f, x):
    check(f, x)


def test_of_operations_as_of_numpys_functions(x):
    for f in (
        lambda a: te.exp(a, dtype="f4"),
        lambda a: te.add(a, 1, dtype="f4", where=True, out=None),
        lambda a: te.sum(a, dtype="f4", where=MASK),
        lambda a: te.arctan2(a, [1.0, 2.0, 3.0], casting="no"),
    ):
        name = f.__code__.co_names[1]
        assert f(leaf(x)).op is te.OPS[name]
        np.testing.assert_allclose(f(leaf(x)).data, f(x))
        assert f(x).dtype == f(leaf(x)).dtype


def test_a_dtype_of_a_ufunc_gives_the_leaf_a_gradient_of_its_own(x):
    t = leaf(x)

    np.sum(np.exp(t, dtype=np.float32)).backward()

    assert t.grad.dtype == np.float64
    np.testing.assert_allclose(t.grad, np.exp(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.exp(x, where=MASK), TypeError, r"'where'.*np\.where\(mask, exp"),
        (lambda x: te.log(x, where=MASK), TypeError, r"'where'.*te\.piecewise\(x"),
        (lambda x: np.exp(x, out=np.ones(6)), TypeError, "out="),
        (lambda x: te.exp(x, out=np.ones(6)), TypeError, "'out'.*y = exp"),
        (lambda x: np.exp(x, order="X"), ValueError, "order must be one of"),
        (lambda x: np.add(x, 1, dtype=int), TypeError, "Cannot cast"),
        (lambda x: np.add(x, 1, dtype=int, casting="unsafe"), TypeError, "add: dtype"),
        (lambda x: np.exp(x, dtype="f4", signature="d->d"), TypeError, "both"),
        (lambda x: np.exp(x, dtype="f4", casting="safe"), TypeError, "casting rule"),
        (lambda x: np.exp(x, axis=0), TypeError, r"exp\(\) got an unexpected.*'axis'"),
        (lambda x: te.exp(x, axis=0), TypeError, "exp: argument 'axis'.*moveaxis"),
        (lambda x: np.matmul(x, x.T, keepdims=True), TypeError, "'keepdims'"),
        (lambda x: np.matmul(x, x.T, axes=[0]), ValueError, "axes should be a list"),
        (lambda x: te.exp(x, foo=1), TypeError, "exp: argument 'foo'.*it takes x, out"),
        (lambda x: x.exp(foo=1), TypeError, r"exp\(\) got an unexpected.*'foo'"),
    ],
)
def test_of_ufuncs_what_is_not_taken_is_told(f, error, told, x):
    with pytest.raises(error, match=told):
        f(leaf(x))


# ---------------------------------------------------------------------------- joining

JOINING = {
    "concatenate": lambda x: np.concatenate([x, x], 1, dtype=np.float32),
    "concatenate, casting": lambda x: np.concatenate(
        [x, [[1, 2, 3]]], axis=0, out=None, dtype="f8", casting="safe"
    ),
    "stack": lambda x: np.stack([x, x], axis=-1, dtype="f4", casting="unsafe"),
    "hstack": lambda x: np.hstack([x, np.float32([[1], [2]])], casting="same_kind"),
    "vstack": lambda x: np.vstack((x, x), dtype=np.float64),
}


@pytest.mark.parametrize("f", JOINING.values(), ids=JOINING)
def test_of_joining(f, x):
    check(f, x)


@pytest.mark.parametrize("f", [np.concatenate, np.stack, np.hstack, np.vstack])
def test_a_cast_that_is_not_allowed_is_refused_in_joining(f, x):
    with pytest.raises(TypeError, match="cannot cast float64 to float32"):
        f([leaf(x), x], dtype=np.float32, casting="safe")
    with pytest.raises(TypeError, match="dtype"):
        f([leaf(x), x], dtype=int, casting="unsafe")


# -------------------------------------------------------- shapes, places, conversions

OTHERS = {
    "reshape by column": lambda x: np.reshape(x, (3, 2), order="F"),
    "reshape, position": lambda x: np.reshape(x, (3, -1), "F"),
    "reshape to one axis": lambda x: np.reshape(x, -1, order="F"),
    "reshape, method": lambda x: x.reshape(3, 2, order="F"),
    "reshape, C": lambda x: x.reshape((3, 2), order="C", copy=True),
    "reshape, a view": lambda x: np.reshape(x, (3, 2), copy=False),
    "ravel": lambda x: np.ravel(x, "F"),
    "ravel, method": lambda x: x.ravel(order="F"),
    "ravel, C": lambda x: x.ravel("C"),
    "flatten": lambda x: x.flatten("F"),
    "flatten, name": lambda x: x.flatten(order="F"),
    "copy": lambda x: np.copy(x, "F", False),
    "copy, method": lambda x: x.copy(order="A"),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3), subok=True),
    "astype": lambda x: x.astype(np.float64, order="F", casting="no", copy=False),
    "astype, position": lambda x: x.astype("f4", "K", "same_kind", True, True),
    "clip": lambda x: np.clip(x, 0.8, None, dtype=np.float64, casting="safe"),
    "clip, dtype": lambda x: np.clip(x, [0.8, 0.9, 1.0], 1.5, dtype=np.float32),
    "clip, method": lambda x: x.clip(min=0.8, max=1.2, out=None, order="C"),
    "nan_to_num": lambda x: np.nan_to_num(x, True, 1.0),
    "take, wrap": lambda x: np.take(x, [-7, 8, 0, 3], mode="wrap"),
    "take, clip": lambda x: np.take(x, [[-7, 8], [0, 1]], 1, None, "clip"),
    "take, method": lambda x: x.take([5, 1], axis=0, mode="wrap"),
    "piecewise": lambda x: np.piecewise(x, condlist=[x > 1], funclist=[np.sin, np.cos]),
    "sort": lambda x: np.sort(x, axis=0, kind="stable", order=None),
    "sort, stable": lambda x: np.sort(x, stable=True),
    "median": lambda x: np.median(x.copy(), 0, None, False, True),
    "median, axes in a list": lambda x: np.median(
        x, axis=[0, 1], overwrite_input=False
    ),
    "flip, axes in a list": lambda x: np.flip(x, [0, 1]),
    "expand_dims, axes in a list": lambda x: np.expand_dims(x, [0, 2]),
    "roll, axes in a list": lambda x: np.roll(x, [1, 1], [0, 1]),
    "einsum": lambda x: np.einsum(
        "ij,j", x, [1, 2, 3], dtype="f8", order="C", out=None
    ),
    "einsum, casting": lambda x: np.einsum(
        "ij->j", x, dtype="f4", casting="same_kind", optimize=True
    ),
    "dot": lambda x: np.dot(x, x.T, None),
    "dot, method": lambda x: x.dot(x.T, out=None),
    "outer": lambda x: np.outer(x, x[0], out=None),
    "linalg.outer": lambda x: np.linalg.outer(x[0], x[1]),
    "pad": lambda x: np.pad(x, 1, mode="reflect", reflect_type="even"),
    "pinv, rtol": lambda x: np.linalg.pinv(x, rtol=None),
    "pinv, hermitian": lambda x: np.linalg.pinv(x.T @ x + np.eye(3), hermitian=True),
    "pinv, lower triangle": lambda x: np.linalg.pinv(x[:, :2], None, True),
    "qr, r": lambda x: np.linalg.qr(x[:, :2], "r"),
    "qr, complete": lambda x: np.linalg.qr(x[:, :2], mode="complete").R,
    "svd, hermitian": lambda x: np.linalg.svd(x[:, :2], hermitian=True)[1],
    "svd, hermitian, U": lambda x: np.linalg.svd(x[:, :2], hermitian=True)[0],
    "svd, hermitian, Vh": lambda x: np.linalg.svd(x[:, :2], False, True, True).Vh,
    "svd, hermitian, alone": lambda x: np.linalg.svd(
        x[:, :2], compute_uv=False, hermitian=True
    ),
    "norm": lambda x: np.linalg.norm(x, None, 1, True),
}


@pytest.mark.parametrize("f", OTHERS.values(), ids=OTHERS)
def test_of_other_functions(f, x):
    check(f, x)


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.ravel(x, "K"), ValueError, "ravel: order must be 'C'.*promises"),
        (lambda x: x.flatten("A"), ValueError, "flatten: order must be 'C'"),
        (lambda x: x.reshape(6, order="A"), ValueError, "reshape: order must be 'C'"),
        (lambda x: np.reshape(x.T, 6, copy=False), ValueError, "reshape|copy"),
        (lambda x: x.copy("X"), ValueError, "copy: order must be one of"),
        (lambda x: x.astype("f4", casting="safe"), TypeError, "astype: cannot cast"),
        (lambda x: np.clip(x, 0, 1, where=MASK), TypeError, "clip: argument 'where'"),
        (lambda x: x.clip(0, 1, signature="ddd->d"), TypeError, "clip: .*'signature'"),
        (lambda x: np.clip(x, 0, 1, dtype="f4", casting="no"), TypeError, "clip: cann"),
        (lambda x: np.nan_to_num(x, copy=False), TypeError, "'copy'.*y = nan_to_num"),
        (lambda x: np.take(x, [9]), IndexError, "take"),
        (lambda x: x.take([0], mode="other"), ValueError, "take: mode must be"),
        (lambda x: np.sort(x, order="name"), TypeError, "sort: argument 'order'"),
        (lambda x: np.sort(x, kind="other"), ValueError, "kind"),
        (lambda x: np.einsum("ij->j", x, dtype="f4"), TypeError, "einsum: cannot cast"),
        (lambda x: np.einsum("ij->j", x, foo=1), TypeError, "einsum: argument 'foo'"),
        (lambda x: np.outer(x, x, out=x), TypeError, "out="),
        (lambda x: x.dot(x.T, x), TypeError, "dot: argument 'out'.* y = dot"),
        (lambda x: np.linalg.outer(x, x), ValueError, "linalg.outer: .*vectors"),
        (
            lambda x: np.pad(x, 1, "reflect", reflect_type="odd"),
            TypeError,
            "pad: .*edge",
        ),
        (lambda x: np.pad(x, 1, "edge", reflect_type="even"), ValueError, "mode is"),
        (lambda x: np.pad(x, 1, "mean", stat_length=1), TypeError, "'stat_length'"),
        (lambda x: np.linalg.pinv(x, 0.1, rtol=0.1), ValueError, "rcond and rtol"),
        (lambda x: np.linalg.qr(x.T, "complete"), TypeError, "'mode'.*mode='reduced'"),
        (lambda x: np.linalg.qr(x.T, "raw"), TypeError, "qr: argument 'mode'"),
        (lambda x: np.linalg.qr(x.T, "other"), ValueError, "qr: mode must be"),
        (lambda x: te.argmax(x, 0, x), TypeError, "argmax: argument 'out'"),
        (lambda x: np.round(x, 1, x), TypeError, "out="),
        (lambda x: np.any(x, None, np.array(True)), TypeError, "out="),
    ],
)
def test_of_other_functions_what_is_not_taken_is_told(f, error, told, x):
    with pytest.raises(error, match=told):
        f(leaf(x))


def test_places_and_answers_without_derivative_take_numpys_keywords(x):
    t = leaf(x)

    for f in (
        lambda a: a.argmax(0, None, keepdims=True),
        lambda a: np.argmin(a, axis=1, out=None, keepdims=True),
        lambda a: np.any(a, where=MASK, axis=0),
        lambda a: np.greater(a, 1.0, where=True, dtype=bool),
        lambda a: np.zeros_like(a, dtype="f4", order="F", shape=(2, 2)),
    ):
        np.testing.assert_array_equal(f(t), f(x), strict=True)


def test_python_numbers_beside_a_small_dtype_keep_it(x):
    y = np.clip(leaf(x.astype("f4")), 0.8, 1.2, casting="same_kind")

    assert y.dtype == np.float32


# -------------------------------------------------------------- the methods of ufuncs

#: Every ufunc of two real numbers that has a rule; ldexp takes a whole one, too.
OF_TWO = [
    *(np.add, np.subtract, np.multiply, np.divide, np.power, np.remainder),
    *(np.maximum, np.minimum, np.fmax, np.fmin, np.hypot, np.copysign),
    *(np.arctan2, np.logaddexp, np.logaddexp2, np.fmod),
]
every_ufunc = pytest.mark.parametrize("ufunc", OF_TWO, ids=lambda f: f.__name__)


def test_these_are_all_ufuncs_of_two_numbers_that_have_a_rule():
    found = {
        f
        for f, call in FROM_NUMPY.items()
        if isinstance(f, np.ufunc) and f.nin == 2 and f.nout == 1 and not f.signature
        if getattr(call, "__wrapped__", None) in [op.forward for op in te.OPS.values()]
    }

    assert found == {*OF_TWO, np.ldexp}


class Defined:
    """A ufunc whose reduce is what NumPy says that it is: one number after another.

    On processors with AVX-512, NumPy 2.4 gives the first and the last alone where
    these reduce what lies side by side in memory: np.power.reduce([2, 3, 2]) is 4.
    """

    def __init__(self, ufunc):
        self.ufunc = ufunc

    def reduce(self, a, axis=0, *nothing, keepdims=False, initial=None):
        if isinstance(a, te.Tensor):
            further = {} if initial is None else {"initial": initial}
            return self.ufunc.reduce(a, axis, *nothing, keepdims=keepdims, **further)
        rows = [*np.moveaxis(a, axis or 0, 0)]
        rows = rows if initial is None else [np.full_like(rows[0], initial), *rows]
        y = functools.reduce(self.ufunc, rows)
        return np.expand_dims(y, axis) if keepdims else y


@every_ufunc
def test_reduce(ufunc, x):
    x = np.concatenate([x, x * 0.7, x[:1] + 0.3])  # (5, 3)
    of = Defined(ufunc) if ufunc in (np.power, np.arctan2) else ufunc
    for f in (
        of.reduce,
        lambda a: of.reduce(a, 1, None, None, keepdims=True),
        lambda a: of.reduce(a, axis=-1, keepdims=True, initial=1.7),
        lambda a: of.reduce(a[:1]),
        lambda a: of.reduce(a[0], axis=None),
    ):
        check(f, x, order=2 if f == of.reduce else 1)


@every_ufunc
def test_accumulate(ufunc, x):
    x = np.concatenate([x, x * 0.7, x[:1] + 0.3])
    check(ufunc.accumulate, x)
    check(lambda a: ufunc.accumulate(a, axis=1, out=None), x, order=1)
    check(lambda a: ufunc.accumulate(a[:, :1], -1), x, order=1)


@every_ufunc
def test_outer(ufunc, x):
    check(lambda a: ufunc.outer(a, [0.5, 1.5]), x)
    check(lambda a: ufunc.outer(np.array([0.5, 1.5]), a, casting="no"), x, order=1)
    check(lambda a: ufunc.outer(2.5, a[0]), x, order=1)
    check(lambda a: ufunc.outer(a, a, dtype=np.float32), x)


@every_ufunc
def test_methods_keep_the_dtype_and_take_another(ufunc, x):
    t = leaf(x.astype(np.float32))

    for f in (ufunc.reduce, ufunc.accumulate, lambda a, **k: ufunc.outer(a, a[0], **k)):
        assert f(t).dtype == np.float32
        y = f(t, dtype=np.float64)
        assert y.dtype == np.float64
        np.testing.assert_allclose(y.data, f(t.data, dtype=np.float64), rtol=1e-6)
    assert ufunc.outer(t, 1.0).dtype == ufunc.outer(t.data, 1.0).dtype  # as NumPy


@every_ufunc
def test_methods_of_nothing_and_of_a_single_number(ufunc):
    nothing, number = np.ones((0, 2)), np.array(1.5)

    assert ufunc.accumulate(leaf(nothing)).shape == (0, 2)
    assert ufunc.outer(leaf(nothing), leaf(nothing)).shape == (0, 2, 0, 2)
    assert ufunc.reduce(leaf(number)).data == ufunc.reduce(number)
    with pytest.raises(TypeError, match="accumulate"):
        ufunc.accumulate(leaf(number))
    if ufunc.identity is None:
        with pytest.raises(ValueError, match=r"empty|zero-size"):
            ufunc.reduce(leaf(nothing))
    else:
        np.testing.assert_array_equal(
            ufunc.reduce(leaf(nothing)).data, ufunc.reduce(nothing)
        )
    y = ufunc.reduce(leaf(nothing), initial=2.0)
    np.testing.assert_array_equal(y.data, ufunc.reduce(nothing, initial=2.0))


@pytest.mark.parametrize("ufunc", [np.hypot, np.fmax, np.logaddexp, np.logaddexp2])
def test_those_in_which_the_order_is_free_reduce_several_axes(ufunc, x):
    check(lambda a: ufunc.reduce(a, axis=None), x)
    check(lambda a: ufunc.reduce(a[..., None] * [1.0, 2.0], axis=(0, -1)), x)


@pytest.mark.parametrize(
    "ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp]
)
def test_those_that_are_reductions_take_a_mask(ufunc, x):
    check(lambda a: ufunc.reduce(a, axis=1, where=MASK, initial=0.5), x)


def test_divmod_has_an_outer_product(x):
    quotient, rest = np.divmod.outer(leaf(x), [0.7, 0.9])

    np.testing.assert_array_equal(quotient, np.divmod.outer(x, [0.7, 0.9])[0])
    np.testing.assert_array_equal(rest.data, np.divmod.outer(x, [0.7, 0.9])[1])


def test_accumulate_takes_few_nodes_where_the_order_is_free(x):
    y = np.maximum.accumulate(leaf(np.arange(1000.0)))

    assert len(nodes_of([y])) < 60


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: np.subtract.reduce(x, axis=None), ValueError, "at most one axis"),
        (lambda x: np.divide.reduce(x, axis=2), ValueError, "axis 2 is out of bounds"),
        (
            lambda x: np.fmax.reduce(x, where=MASK),
            TypeError,
            r"fmax\.reduce: .*'where'",
        ),
        (lambda x: np.add.reduce(x, out=np.ones(3)), TypeError, r"add\.reduce: out="),
        (lambda x: np.add.reduce(x, dtype=int), TypeError, "add.reduce: dtype must be"),
        (lambda x: np.add.accumulate(x, axis=None), ValueError, "axis must be an int"),
        (lambda x: np.subtract.outer(x, x, where=MASK), TypeError, "'where'"),
        (lambda x: np.matmul.outer(x, x), (TypeError, ValueError), "matmul|outer"),
        (lambda x: np.divmod.reduce(x), ValueError, "reduce"),
        (lambda x: np.exp.reduce(x), ValueError, "reduce"),
        (
            lambda x: np.add.at(np.ones(3), [0], x[0, 0]),
            TypeError,
            r"numpy\.add\.at is not supported.*t\.at\[indices\]\.add\(b\)",
        ),
        (
            lambda x: np.add.reduceat(x, [0, 1]),
            TypeError,
            r"numpy\.add\.reduceat is not supported.*numpy\.add\.reduce\(x\[i:j\]\)",
        ),
    ],
)
def test_of_methods_what_is_not_taken_is_told(f, error, told, x):
    with pytest.raises(error, match=told):
        f(leaf(x))


def test_what_stands_before_a_starred_argument_has_a_name():
    x = te.tensor([1.0, 4.0, 9.0], requires_grad=True)

    np.testing.assert_array_equal(np.gradient(f=x).data, [3.0, 4.0, 5.0])
    with pytest.raises(TypeError, match="gradient: got two values for f; it takes f, "):
        te.ops.gradient(2.0, f=x)
    with pytest.raises(TypeError, match=r"argument .h. .* takes f, \*varargs"):
        te.ops.gradient(x, h=2.0)


def test_a_quotient_where_it_is_one_is_written_as_the_error_says():
    a, b = np.array([1.0, 2.0]), np.array([0.0, 4.0])
    mask, other = b != 0, np.zeros(2)
    text = r"where.* np\.where\(mask, divide\(a, np\.where\(mask, b, 1\)\), other\)"

    for more in ({}, {"out": other}):
        with pytest.raises(TypeError, match=text):
            np.divide(a, leaf(b), where=mask, **more)
    x = leaf(b)
    y = np.where(mask, np.divide(a, np.where(mask, x, 1)), other)
    np.testing.assert_array_equal(y.data, [0.0, 0.5])
    np.testing.assert_array_equal(te.gradients(te.sum(y), [x])[0], [0.0, -0.125])
