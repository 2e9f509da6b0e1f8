"""Arrays made of Tensors, and constants to begin with."""

from __future__ import annotations

import time

import numpy as np
import pytest

import tinygrad_edu as te


@pytest.fixture
def x():
    return te.tensor([1.5, -2.0], requires_grad=True)


NESTED = {
    "a row": lambda x: [x[1], -3 * x[0]],
    "a table": lambda x: [[x[0], 1.0], (2, x[1]), [0.5, x[0] * x[1]]],
    "rows": lambda x: [x, 2 * x],
    "rows of tensors and of numbers": lambda x: [x, [1.0, 2.0], np.ones(2)],
    "an axis more": lambda x: [[[x[0]], [True]]],
    "matrices": lambda x: (np.ones((2, 2)), te.outer(x, x)),
    "itself": lambda x: x,
    "nothing of it": lambda x: [[x[:0]], [np.ones(0)]],
}


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
def test_it_is_numpys_array_and_recorded(nested, x):
    made = te.array(nested(x))

    with te.no_grad():
        expected = np.array(nested(te.tensor(x.data)))
    assert made.requires_grad
    np.testing.assert_array_equal(made.data, expected, strict=True)


@pytest.mark.parametrize("nested", list(NESTED.values())[:-1], ids=list(NESTED)[:-1])
def test_derivatives_go_through_to_second_order(nested):
    te.gradcheck(lambda x: te.array(nested(x)) ** 2, np.array([1.5, -2.0]), order=2)


@pytest.mark.parametrize(
    "data", [3, [1, 2.5], [[1, 2], [3, 4]], [], [[], []], [np.ones(2)], np.eye(2)]
)
@pytest.mark.parametrize("dtype", [None, "float32", int])
def test_without_tensors_it_is_a_constant(data, dtype):
    made = te.array(data, dtype=dtype)

    assert type(made) is te.Tensor and not made.requires_grad
    expected = np.array(data, dtype=dtype)
    np.testing.assert_array_equal(made.data, expected, strict=True)


def test_of_constant_tensors_it_is_one_and_dtypes_are_numpys():
    half = te.tensor(np.float16(0.5))

    assert not te.array([half, 1.0]).requires_grad
    assert te.array([half, half]).dtype == np.float16
    assert te.array([half, np.float32(1)]).dtype == np.float32
    assert te.array([half, 1.0], dtype="float32").dtype == np.float32
    assert te.array([te.tensor(2.0), 1], dtype=int).dtype == int


def test_a_dtype_goes_through(x):
    made = te.array([x[0], 1.0], dtype=np.float32)

    te.sum(made).backward()
    assert made.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [1.0, 0.0])
    with pytest.raises(TypeError, match="must be floating-point, got int64"):
        te.array([x[0], 1.0], dtype=int)


@pytest.mark.parametrize(
    ("nested", "error", "says"),
    [
        (lambda x: [x[0], None], TypeError, r"data\[1\] must be .* got NoneType"),
        (lambda x: [[x[0], 1.0], [1.0, "a"]], TypeError, r"data\[1\]\[1\] .*<U1"),
        (lambda x: [x[0], 1j], TypeError, r"data\[1\] .*complex"),
        (lambda x: [{x}], TypeError, r"data\[0\] .* got set"),
        (lambda x: [[x[0]], [x[0], 1]], ValueError, r"data\[1\] has length 2, but"),
        (
            lambda x: [[[1.0], [2]], [[1], x]],
            ValueError,
            r"data\[1\]\[1\] has length 2",
        ),
        (
            lambda x: [x[0], [1.0]],
            ValueError,
            r"data\[1\] has length 1, but data\[0\] is",
        ),
        (
            lambda x: [[1.0], 2.0],
            ValueError,
            r"data\[1\] is no sequence, but data\[0\]",
        ),
        (lambda x: [x[0], x], ValueError, r"data\[1\] has shape \(2,\), but data\[0\]"),
    ],
)
def test_what_makes_no_array_is_refused_with_its_place(nested, error, says, x):
    with pytest.raises(error, match=says):
        te.array(nested(x))


def test_what_holds_itself_is_refused():
    data = []
    data += [data, data]

    with pytest.raises(ValueError, match="more than 64 deep"):
        te.array(data)


def seconds(n):
    x = te.tensor(np.ones(n), requires_grad=True)
    parts = list(x)
    start = time.perf_counter()
    te.sum(te.array([parts, parts])).backward()
    return time.perf_counter() - start


def test_the_time_is_proportional_to_the_number_of_entries():
    few, many = (min(seconds(n) for _ in range(3)) for n in (500, 4_000))

    assert many < 30 * few  # 8 times as many; 64 if every entry looked at all


# ---------------------------------------------------------------------------- constants


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("zeros", (3,), {}),
        ("zeros", ((2, 3),), {"dtype": int}),
        ("ones", ((),), {}),
        ("ones", ((2, 0), "float32"), {}),
        ("full", ((2, 2), 7), {}),
        ("full", (3, 0.5), {"dtype": np.float32}),
        ("full", ((2, 3), [1.0, 2.0, 3.0]), {}),
        ("eye", (3,), {}),
        ("eye", (2, 3), {"k": 1, "dtype": bool}),
        ("arange", (3,), {}),
        ("arange", (1.0, 2.0, 0.25), {}),
        ("arange", (5, 1, -2), {"dtype": float}),
        ("linspace", (0, 1), {}),
        ("linspace", (0, [1.0, 2.0], 4), {"endpoint": False}),
    ],
)
def test_constants_are_numpys(name, args, kwargs):
    made = getattr(te, name)(*args, **kwargs)

    assert type(made) is te.Tensor and not made.requires_grad
    expected = getattr(np, name)(*args, **kwargs)
    np.testing.assert_array_equal(made.data, expected, strict=True)


def test_full_of_a_tensor_is_recorded(x):
    te.sum(te.full((3, 2), x) * te.arange(3.0)[:, None]).backward()

    np.testing.assert_array_equal(x.grad, [3.0, 3.0])


# -------------------------------------------------- where NumPy does not see a tensor


@pytest.mark.parametrize(
    "asked",
    [
        lambda y: np.array([y[1], -y[0]]),
        lambda y: np.array([[y[0], 1.0], [2.0, y[1]]]),
        lambda y: np.r_[y[0], y[1]],
        lambda y: np.c_[y, y],
        lambda y: np.mean([y[0], y[1]]),
        lambda y: np.ones(2) * [y[0], y[1]],
        lambda y: y * [y[0], y[1]],
        lambda y: te.sum([y[0], y[1]]),
        lambda y: te.tensor([y[0], y[1]]),
    ],
)
def test_the_error_says_what_to_write(asked, x):
    with pytest.raises(TypeError, match=r"np\.stack\(\[\.\.\.\]\) or te\.array\(\["):
        asked(x)


def test_filling_an_array_says_stack(x):
    path = te.zeros((2, 2))
    with pytest.raises(TypeError, match=r"t\.at\[i\]\.set\(v\).* te\.stack the list"):
        path[0] = x
    with pytest.raises(ValueError, match="setting an array element") as error:
        np.zeros(2)[0] = x[0]
    assert "te.stack the list" in str(error.value.__cause__)


@pytest.mark.parametrize("like", [np.ones(2), te.tensor([1.0, 2.0])], ids=type)
def test_full_like_of_a_tensor_is_recorded_or_refused(like):
    c = te.tensor(3.0, requires_grad=True)

    if isinstance(like, np.ndarray):  # of which NumPy does not ask Tensors
        with pytest.raises(TypeError, match=r"for full_like np\.broadcast_to"):
            np.full_like(like, c)
        return
    y = np.full_like(like, c * c, dtype=np.float32, shape=(2, 3))
    assert (y.shape, y.dtype) == ((2, 3), np.float32)
    np.testing.assert_array_equal(te.gradients(te.sum(y), [c])[0], 36.0)
    with pytest.raises(TypeError, match="full_like: dtype must be one of real float"):
        np.full_like(like, c, dtype=int)
    assert type(np.full_like(like, 7.0)) is np.ndarray
