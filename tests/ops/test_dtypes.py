"""Every operation, with constants of every real dtype: as exact as its result's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.checks.problems import as_called

OPS = [o for o in te.OPS.values() if o.forward.__module__.startswith("tinygrad_edu.")]
#: Of a pool's own derivatives: what they look up must be the pool's very numbers.
LOOK_UP = {"max_gather", "max_unpool"}
OF_SEVERAL = [
    o for o in OPS if o.name not in LOOK_UP and (o.variadic or len(o.arguments) > 1)
]

#: Every real dtype, and numbers of it at which a product, a difference or a root in
#: the dtype itself goes wrong: 60 · 60 and -(-128) overflow int8, 1 - 2 unsigned ones.
LARGE: dict[type[np.generic], list[float]] = {
    np.bool_: [True, False, True],
    np.int8: [60, -128, 3, 100, -7],
    np.int16: [300, -32768, 5, 7, -2],
    np.int32: [70_000, -3, 2, -(2**31), 11],
    np.int64: [70_000, -3, 2, 3_000_000, 11],
    np.uint8: [200, 3, 17, 255, 60],
    np.uint16: [300, 2, 65_535, 5, 7],
    np.uint32: [70_000, 3, 2, 2**32 - 1, 11],
    np.uint64: [70_000, 3, 2, 3_000_000, 11],
    np.float16: [300, -2.5, 0.5, 60_000, 7],
    np.float32: [300, -2.5, 0.5, 70_000, 7],
    np.float64: [300, -2.5, 0.5, 70_000, 7],
    np.longdouble: [300, -2.5, 0.5, 70_000, 7],
}
#: What results may differ by, relative to the largest: some roundings of their dtype.
PRECISION = {np.float16: 1e-2, np.float32: 1e-4, np.float64: 1e-11}

every_dtype = pytest.mark.parametrize("dtype", LARGE, ids=lambda d: d.__name__)


def small(x: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Numbers as in the case, which the dtype holds exactly."""
    if np.dtype(dtype).kind == "f":
        return (np.rint(x * 8) / 8).astype(dtype)
    x = np.where(x == 0, 0, np.sign(x) * np.ceil(np.abs(x)))
    return (x if np.dtype(dtype).kind == "i" else np.abs(x)).astype(dtype)


def large(x: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """The numbers above, in the shape of the case's."""
    return np.resize(np.array(LARGE[dtype], dtype), x.shape)


def call(op: te.Op, arrays: list[Any], case: te.Case) -> Any:
    return op(*([list(arrays)] if op.variadic else arrays), **case.kwargs)


def parts_of(out: Any) -> tuple[Any, ...]:
    return tuple(out) if isinstance(out, tuple | list) else (out,)


def found(
    op: te.Op, arrays: list[Any], leaf: int, case: te.Case, dtype: Any = np.float64
) -> list[np.ndarray]:
    """The values, the gradient by one array, and that of its product with a seed."""
    args = list(arrays)
    args[leaf] = x = te.tensor(arrays[leaf], requires_grad=True, dtype=dtype)
    out = [y for y in parts_of(call(op, args, case)) if y.requires_grad]
    values = [y.data for y in out]
    rng = np.random.default_rng(0)
    first = [
        te.gradients(y, [x], gradient=rng.uniform(1, 2, y.shape), create_graph=True)[0]
        for y in out
    ]
    total = sum(first[1:], first[0]) if first else te.tensor(np.zeros(x.shape))
    seed = rng.uniform(1, 2, x.shape)
    second = (
        te.gradients(total, [x], gradient=seed)[0]
        if total.requires_grad
        else np.zeros(x.shape)
    )
    plain = [
        te.gradients(y, [x], gradient=w)[0]
        for rng in [np.random.default_rng(0)]
        for y, w in [(y, rng.uniform(1, 2, y.shape)) for y in out]
    ]
    return [*values, *plain, total.data, second]


def dtype_of(op: te.Op, arrays: list[Any], case: te.Case) -> np.dtype[Any]:
    """The dtype that NumPy gives the result."""
    if op.numpy in (None, np.einsum):  # which is called in a way of its own
        given = [
            x
            for x, sample in zip(arrays, case.sample(0), strict=True)
            if sample is not None and sample.dtype.kind == "f"
        ]
        return np.result_type(*given)
    named = {**op.metadata, **case.kwargs}
    out = op.numpy(*as_called(op, arrays, case.kwargs), **named)
    return np.asarray(parts_of(out)[0]).dtype


def differences(
    got: list[np.ndarray], right: list[np.ndarray], precision: float
) -> Iterator[str]:
    """Say which differ by more than that, relative to the largest number, or 1."""
    for i, (y, expected) in enumerate(zip(got, right, strict=True)):
        assert y.shape == expected.shape
        with np.errstate(over="ignore"):
            bound = np.asarray(expected, np.float64).astype(y.dtype).astype(np.float64)
        y = np.asarray(y, np.float64)
        finite = np.isfinite(bound)
        largest = np.max(np.abs(bound), initial=1.0, where=finite)
        same = (y == bound) | (np.isnan(y) & np.isnan(bound))
        with np.errstate(invalid="ignore"):
            close = np.abs(y - bound) <= precision * largest
        if not np.all(same | close):
            yield f"{i}: {y.tolist()}, but in float64 {bound.tolist()}"


def findings(
    op: te.Op, dtype: type[np.generic], draw: Callable[..., np.ndarray]
) -> Iterator[str]:
    for case in op.cases:
        inputs = case.sample(0)
        which = [
            i for i, x in enumerate(inputs) if x is not None and x.dtype.kind == "f"
        ]
        for leaf in which:
            if op.argument(leaf) in op.constant:
                continue
            given = [
                draw(x, dtype) if i in which and i != leaf else x
                for i, x in enumerate(inputs)
            ]
            for of_leaf in (np.float64, np.float32):
                given[leaf] = inputs[leaf].astype(of_leaf)
                as_floats = [
                    x.astype(np.float64) if i in which else x
                    for i, x in enumerate(given)
                ]
                try:
                    expected = dtype_of(op, given, case)
                    right = found(op, as_floats, leaf, case)
                except np.linalg.LinAlgError:  # it is singular
                    continue
                except TypeError as error:  # LAPACK has no float16
                    if "unsupported in linalg" in str(error):
                        continue
                    raise
                where = f"{case!r}, {op.argument(leaf)} in {of_leaf.__name__}: "
                got = found(op, given, leaf, case, of_leaf)
                for text in differences(got, right, PRECISION[of_leaf]):
                    yield where + text
                if got[0].dtype != expected:
                    yield where + f"its value is {got[0].dtype}, not {expected}"


@every_dtype
@pytest.mark.parametrize("draw", [small, large], ids=lambda f: f.__name__)
@pytest.mark.parametrize("op", OF_SEVERAL, ids=lambda o: o.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gives_with_constants_of_any_dtype_what_it_gives_in_float64(op, draw, dtype):
    assert not list(findings(op, dtype, draw))


#: Without a NumPy function of their own; what NumPy's do with integers is NumPy's.
OWN = [
    o for o in OPS if o.numpy is None and o.name not in {*LOOK_UP, "item", "windows"}
]
SMALL_INTEGERS = [np.bool_, np.int8, np.uint8, np.int16]


@pytest.mark.parametrize("dtype", SMALL_INTEGERS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("op", OWN, ids=lambda o: o.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_of_integers_give_what_they_give_of_these_numbers_as_floats(
    op, dtype
):
    for case in op.cases:
        inputs = case.sample(0)
        is_float = [x is not None and x.dtype.kind == "f" for x in inputs]
        given = [
            large(x, dtype) if varies else x
            for x, varies in zip(inputs, is_float, strict=True)
        ]
        as_floats = [
            x.astype(np.float64) if varies else x
            for x, varies in zip(given, is_float, strict=True)
        ]

        got = [np.asarray(y) for y in parts_of(call(op, given, case))]

        if all(y.dtype.kind == "f" for y in got):
            right = [np.asarray(y) for y in parts_of(call(op, as_floats, case))]
            assert not list(differences(got, right, PRECISION[got[0].dtype.type]))


def test_a_product_of_several_does_not_multiply_small_integers_in_their_dtype():
    x = te.tensor(np.ones((2, 3)), requires_grad=True)
    b, c = np.full((3, 2), 60, np.int8), np.full((2, 3), 60, np.int8)

    y = np.linalg.multi_dot([x, b, c])
    y.sum().backward()

    assert np.all(y.data == 21600)
    assert np.all(x.grad == 21600)


def test_a_power_does_not_take_1_off_in_the_dtype_of_a_small_exponent():
    x = te.tensor([20.0, 3.0], requires_grad=True)
    (x[:, None] ** np.arange(3, dtype=np.uint8)).sum().backward()
    z = te.tensor([1.3], requires_grad=True)
    (z ** np.array([-128], np.int8)).sum().backward()

    assert x.grad.tolist() == [41, 7]
    np.testing.assert_allclose(z.grad, -128 * 1.3**-129.0, rtol=1e-13)


def test_the_gradient_by_an_exponent_takes_no_logarithm_in_float16():
    base, x = np.array([2, 3], np.uint8), te.tensor([1.5, 2.5], requires_grad=True)
    np.power(base, x).sum().backward()

    right = [2**1.5 * np.log(2), 3**2.5 * np.log(3)]
    np.testing.assert_allclose(x.grad, right, rtol=1e-15)


# --------------------------------------------------------------------- float16


def half_and_double(f: Callable[[te.Tensor], te.Tensor], x: Any) -> list[Any]:
    """The value and gradient of a function with a leaf in float16, then in float64."""
    found = []
    for dtype in (np.float16, np.float64):
        leaf = te.tensor(np.asarray(x, np.float16), requires_grad=True, dtype=dtype)
        y = f(leaf)
        assert y.dtype == dtype
        te.sum(y).backward()
        found.append((y.data.astype(float), leaf.grad.astype(float)))
    return found


COUNT = 70_000  # infinite in float16
OF_MANY: dict[str, Callable[[Any], Any]] = {
    "mean": te.mean,
    "var": te.var,
    "std": te.std,
    "mse": lambda x: te.nn.mse_loss(x, np.zeros(COUNT, np.float16)),
    "cross-entropy": lambda x: te.softmax_cross_entropy(
        te.reshape(x, (-1, 1)) * np.array([0, 1], np.float16), np.ones(COUNT, int)
    ),
    "avg_pool": lambda x: te.avg_pool2d(te.reshape(x, (1, 1, 280, 250)), (280, 250)),
}


@pytest.mark.parametrize("f", OF_MANY.values(), ids=OF_MANY)
def test_float16_counts_beyond_its_largest_number(f):
    x = np.random.default_rng(0).uniform(1, 2, COUNT)

    (y, gradient), (right, right_gradient) = half_and_double(f, x)

    np.testing.assert_allclose(y, right, rtol=2e-3)
    np.testing.assert_allclose(  # 6e-8 is the smallest number
        gradient, right_gradient, rtol=5e-3, atol=1.2e-7
    )


def cubed(layer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: te.mean(layer(x) ** 3)


NEAR_300: dict[str, Callable[[Any], Any]] = {
    "standardize": cubed(te.standardize),
    "standardize along two": cubed(lambda x: te.standardize(x, axis=(0, 1))),
    "LayerNorm": cubed(lambda x: te.nn.LayerNorm(5, dtype=x.dtype)(x)),
    "BatchNorm1d": cubed(lambda x: te.nn.BatchNorm1d(5, dtype=x.dtype)(x)),
    "var": te.var,
    "std": te.std,
}


@pytest.mark.parametrize("spread", [2.0, 100.0])
@pytest.mark.parametrize("f", NEAR_300.values(), ids=NEAR_300)
def test_float16_normalises_numbers_whose_squares_it_cannot_hold(f, spread):
    x = 300 + spread * np.random.default_rng(0).standard_normal((4, 5))

    (y, gradient), (right, right_gradient) = half_and_double(f, x)

    np.testing.assert_allclose(y, right, rtol=2e-3, atol=2e-3)
    largest = np.max(np.abs(right_gradient))
    np.testing.assert_allclose(gradient, right_gradient, atol=1e-2 * largest)


def test_batch_norm_of_float16_follows_a_variance_that_float16_cannot_hold():
    layer = te.nn.BatchNorm1d(1, momentum=1.0, dtype=np.float16)
    x = np.array([[-300], [300], [-400], [400]], np.float16)

    assert layer(x).dtype == np.float16
    layer.eval()

    assert layer.running_var == pytest.approx(500_000 / 3, rel=1e-6)
    right = x / np.sqrt(500_000 / 3)
    np.testing.assert_allclose(layer(x).data.astype(float), right, rtol=2e-3)
    assert layer(x).dtype == np.float16
