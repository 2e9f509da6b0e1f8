"""Windows, convolution and pooling: ties, padding, errors, and the adjoint pair."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.ops import convolution, grids


@pytest.fixture(params=["picked", "place by place"], autouse=True)
def way(request, monkeypatch):
    """What windows see: all picked at once if small, or gone through, as if large."""
    if request.param == "place by place":
        monkeypatch.setattr(grids, "_FEW", 0)
        for name in ("_layout_of_result", "_layout_of_input", "_layout_of_weight"):
            remembered = getattr(convolution, name)
            monkeypatch.setattr(convolution, name, remembered.__wrapped__)


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["place by place"], indirect=True)
@pytest.mark.parametrize("name", convolution.__all__)
def test_derivatives_of_large_inputs_are_right(name, way):
    te.check_op(te.OPS[name])


# -------------------------------------------------------------------- the adjoint pair


@pytest.mark.parametrize(
    ("shape", "kernel_size", "how"),
    [
        ((2, 7), 3, {}),
        ((2, 7), 3, {"stride": 2, "padding": 1}),
        ((3, 6, 7), (2, 3), {"stride": (2, 1), "dilation": (1, 2)}),
        ((3, 6, 7), (3, 2), {"padding": (2, 1), "stride": 3}),
        ((4, 5, 6), (2, 2, 2), {"stride": 2}),
    ],
)
def test_windows_and_fold_are_adjoint(shape, kernel_size, how, rng):
    x = rng.standard_normal(shape)
    seen = te.windows(x, kernel_size=kernel_size, **how)
    y = rng.standard_normal(seen.shape)
    axes = len(kernel_size) if isinstance(kernel_size, tuple) else 1

    back = te.fold(y, shape=shape[-axes:], **how)

    np.testing.assert_allclose(np.sum(seen * y), np.sum(x * back))


HOW = [
    {},
    {"padding": (2, 1)},
    {"dilation": (1, 2), "padding": 1},
    {"stride": 2},
    {"stride": (1, 3), "padding": (0, 2)},
]


@pytest.mark.parametrize("how", HOW)
def test_the_three_operations_of_a_convolution_are_adjoint(how, rng):
    x, w = rng.standard_normal((5, 2, 8, 7)), rng.standard_normal((3, 2, 3, 2))
    right = te.conv2d(x, w, **how)
    y = rng.standard_normal(right.shape)

    back = te.conv_input(y, w, shape=(8, 7), **how)
    kernel = te.conv_weight(y, x, kernel_size=(3, 2), **how)

    np.testing.assert_allclose(np.sum(x * back), np.sum(right * y))
    np.testing.assert_allclose(np.sum(w * kernel), np.sum(right * y))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("entries", [1, 400])
def test_a_batch_cut_into_blocks_gives_the_same(entries, how, rng, monkeypatch):
    data = [rng.standard_normal(s) for s in ((5, 2, 8, 7), (3, 2, 3, 2), (3,))]

    def step():
        leaves = [leaf(x) for x in data]
        y = te.conv2d(*leaves, **how)
        return [y.data, *te.gradients(te.sum(y * np.cos(y)), leaves)]

    at_once = step()
    monkeypatch.setattr("tinygrad_edu.ops.convolution._BUFFER", entries)
    in_blocks = step()

    for a, b in zip(in_blocks, at_once, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_windows_are_numpys_sliding_view(rng):
    x = rng.standard_normal((3, 6, 7))

    seen = te.windows(x, (2, 3))

    expected = np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(1, 2))
    np.testing.assert_array_equal(seen, expected, strict=True)


def test_windows_cannot_be_written():
    seen = te.windows(np.arange(4.0), 2)

    with pytest.raises(ValueError, match="read-only"):
        seen[0, 0] = 5.0


# ------------------------------------------------------------------------- conventions


@pytest.mark.parametrize(
    ("x", "how", "expected"),
    [
        ([1.0, 1.0, 2.0, 2.0], {"kernel_size": 2}, [0.5, 0.5, 0.5, 0.5]),
        ([1.0, 1.0, 1.0], {"kernel_size": 3}, [1 / 3] * 3),
        ([1.0, 1.0, 1.0], {"kernel_size": 2, "stride": 1}, [0.5, 1.0, 0.5]),
        ([0.0, 0.0, 0.0], {"kernel_size": 2, "padding": 1}, [1.0, 0.5, 0.5]),
        ([-1.0, -2.0, -3.0], {"kernel_size": 3, "padding": 1}, [1.0, 0.0, 0.0]),
    ],
)
def test_ties_of_a_maximum_share_and_padding_never_wins(x, how, expected):
    x = leaf(x)

    y = te.max_pool1d(x, **how)
    y.backward(np.ones(y.shape))

    np.testing.assert_allclose(x.grad, expected)


def test_ties_in_images_share():
    x = leaf(np.zeros((1, 1, 2, 2)))

    te.max_pool2d(x, 2).backward(np.full((1, 1, 1, 1), 4.0))

    np.testing.assert_array_equal(x.grad, np.ones((1, 1, 2, 2)))


@pytest.mark.parametrize(
    ("others", "shares"), [([2.0, 3.0], [0.0, 1.0]), ([3.0, 3.0], [0.5, 0.5])]
)
def test_nan_is_the_largest(others, shares):
    x = leaf([1.0, np.nan, *others])

    y = te.max_pool1d(x, 2)
    y.backward(np.ones(2))  # warns of nothing

    np.testing.assert_array_equal(y.data, [np.nan, 3.0])
    np.testing.assert_array_equal(x.grad, [np.nan, np.nan, *shares])


def test_zeros_of_the_padding_count_in_a_mean():
    y = te.avg_pool1d([2.0, 4.0, 6.0], 2, stride=1, padding=1)

    np.testing.assert_array_equal(y, [1.0, 3.0, 5.0, 3.0])


def test_what_the_stride_leaves_over_has_no_gradient():
    x = leaf(np.arange(5.0))

    te.sum(te.avg_pool1d(x, 2)).backward()

    np.testing.assert_array_equal(x.grad, [0.5, 0.5, 0.5, 0.5, 0.0])


def test_convolution_does_not_turn_the_kernel_around():
    y = te.conv1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, 10.0]]]))

    np.testing.assert_array_equal(y, [[[21.0, 42.0]]])


@pytest.mark.parametrize("pool", [te.max_pool1d, te.avg_pool1d])
def test_integers_are_pooled(pool):
    y = pool(np.array([1, 3, 2, 6]), 2, padding=1)

    expected = {te.max_pool1d: [1, 3, 6], te.avg_pool1d: [0.5, 2.5, 3.0]}[pool]
    np.testing.assert_array_equal(y, expected)


# ------------------------------------------------------------------------- edge cases


@pytest.mark.parametrize(
    "f",
    [
        lambda x: te.conv2d(x, np.ones((3, 2, 2, 2)), np.ones(3), padding=1),
        lambda x: te.max_pool2d(x, 2),
        lambda x: te.avg_pool2d(x, 2),
    ],
)
def test_an_empty_batch_has_an_empty_gradient(f):
    x = leaf(np.ones((0, 2, 4, 4)))

    y = f(x)
    y.backward(np.ones(y.shape))

    assert y.shape[0] == 0
    assert x.grad.shape == (0, 2, 4, 4)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: x[::-1, ::-1]])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: te.conv2d(x, np.ones((1, 3, 2, 2)), padding=1),
        lambda x: te.max_pool2d(x, 2, stride=1),
        lambda x: te.avg_pool2d(x, 2, padding=1),
        lambda x: te.fold(te.windows(x, (2, 2)) ** 2, shape=(5, 4)),
    ],
)
def test_order_in_memory_changes_nothing(f, layout, rng):
    x = layout(rng.standard_normal((2, 3, 5, 4)))

    gradients, values = [], []
    for data in (x, np.ascontiguousarray(x)):
        t = leaf(1.0)
        y = f(t * data)
        values.append(y.data)
        gradients += te.gradients(y, [t], gradient=np.ones(y.shape))

    np.testing.assert_allclose(values[0], values[1], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-13)


def test_the_input_of_a_convolution_may_be_data():
    weight = leaf(np.ones((1, 1, 2)))

    te.sum(te.conv1d(np.array([[[1.0, 2.0, 4.0]]]), weight)).backward()

    np.testing.assert_array_equal(weight.grad, [[[3.0, 6.0]]])


def test_float32_weights_keep_float32(rng):
    x, w, b = (
        leaf(rng.standard_normal(shape), dtype=np.float32)
        for shape in ((2, 2, 4, 4), (3, 2, 2, 2), (3,))
    )

    y = te.max_pool2d(te.conv2d(x, w, b), 2)
    y.backward(np.ones(y.shape, np.float32))

    assert {t.dtype for t in (y, x.grad, w.grad, b.grad)} == {np.dtype(np.float32)}


# ------------------------------------------------------------------- what is refused

IMAGES = np.ones((2, 3, 5, 6))
KERNEL = np.ones((4, 3, 2, 2))


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (
            lambda x: te.conv2d(x, np.ones((4, 2, 2, 2))),
            r"conv2d: x has 3 channels, \(2, 3, 5, 6\), but weight is for 2",
        ),
        (lambda x: te.conv2d(x[0], KERNEL), r"conv2d: x must be \(N, C, H, W\), got"),
        (
            lambda x: te.conv2d(x, KERNEL[0]),
            r"conv2d: weight must be \(out, C, kh, kw\)",
        ),
        (lambda x: te.conv1d(x, KERNEL), r"conv1d: x must be \(N, C, L\), got"),
        (
            lambda x: te.conv2d(x, KERNEL, np.ones(3)),
            r"conv2d: bias must be \(4,\), got \(3,\)",
        ),
        (
            lambda x: te.conv2d(x, np.ones((1, 3, 7, 2))),
            "conv2d: the kernel spans 7 x 2, more than the input, which is 5 x 6",
        ),
        (
            lambda x: te.conv2d(x, KERNEL, dilation=(3, 6), padding=(1, 0)),
            "conv2d: the kernel spans 4 x 7, .* 7 x 6 with padding",
        ),
        (lambda x: te.conv2d(x, KERNEL, stride=0), "conv2d: stride must be at least 1"),
        (
            lambda x: te.conv2d(x, KERNEL, padding=(0, -1)),
            r"conv2d: padding must be at least 0, got \(0, -1\)",
        ),
        (
            lambda x: te.conv_input(x, np.ones((3, 1, 2, 2)), shape=(7, 7)),
            r"conv_input: y is \(2, 3, 5, 6\), but .* would give \(2, 3, 6, 6\)",
        ),
        (
            lambda x: te.conv_weight(x, x, kernel_size=(2, 2)),
            r"conv_weight: y is .*, but the convolution would give \(2, 3, 4, 5\)",
        ),
        (
            lambda x: te.conv_input(x, KERNEL, 7),
            r"conv_input: y must be \(N, out, L'\)",
        ),
        (lambda x: te.max_pool2d(x, 0), "max_pool2d: kernel_size must be at least 1"),
        (lambda x: te.max_pool2d(x, 6), "max_pool2d: the kernel spans 6 x 6"),
        (
            lambda x: te.max_pool2d(x, 2, padding=2),
            "max_pool2d: padding must be at most half of kernel_size",
        ),
        (
            lambda x: te.avg_pool1d(x, 3, padding=2),
            "avg_pool1d: padding must be at most",
        ),
        (
            lambda x: te.avg_pool2d(x[0, 0, 0], 2),
            r"avg_pool2d: x is \(6,\); it needs 2",
        ),
        (lambda x: te.windows(x, 7), "windows: the kernel spans 7, more than"),
        (lambda x: te.fold(x, 7), r"fold: x is .*; 2 windows of 6 lie in 7, not 5"),
        (
            lambda x: te.fold(x[0, 0, 0], 7),
            r"fold: x is \(6,\); 2 axes hold the windows",
        ),
    ],
)
def test_what_does_not_fit_is_said(f, told):
    with pytest.raises(ValueError, match=told):
        f(leaf(IMAGES))


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (
            lambda x: te.conv2d(x, KERNEL, padding="same"),
            "conv2d: padding must be an int or a tuple of 2, got 'same'",
        ),
        (
            lambda x: te.conv2d(x, KERNEL, stride=[1, 2]),
            r"conv2d: stride must be an int or a tuple of 2, got \[1, 2\]",
        ),
        (lambda x: te.max_pool2d(x, (2,)), "max_pool2d: kernel_size must be an int or"),
        (
            lambda x: te.max_pool1d(x, 2.0),
            "max_pool1d: kernel_size must be an int, got",
        ),
        (lambda x: te.conv2d(x, KERNEL, groups=1), "conv2d: argument 'groups'"),
        (
            lambda x: te.max_pool2d(x, 2, ceil_mode=True),
            "max_pool2d: argument 'ceil_mode'",
        ),
        (lambda x: te.max_pool2d(x), "max_pool2d: missing kernel_size"),
    ],
)
def test_what_is_not_supported_is_refused(f, told):
    with pytest.raises(TypeError, match=told):
        f(leaf(IMAGES))


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("size", [(1, 4), (4, 1), (2, 2), (1, 1)])
def test_axes_of_length_one_are_convolved_like_others(images, size, rng):
    x = rng.standard_normal((images, 1, *size))
    weight = np.ones((1, 1, 1, 1))

    y = te.conv2d(x, weight)

    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("f", [te.max_unpool, te.max_gather])
def test_the_largest_must_be_one_for_each_window(f):
    x = np.ones((2, 4))
    y = np.ones((2, 2)) if f is te.max_unpool else x

    with pytest.raises(ValueError, match=r"largest must be \(2, 2\), got \(2, 1\)"):
        f(y, x, np.ones((2, 1)), kernel_size=2)
