"""Keyword arguments of NumPy's functions: the same numbers, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te

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
