"""Shapes: NumPy's names, what is refused, and values that the user may change later."""

from __future__ import annotations

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


@pytest.fixture
def x(rng):
    return leaf(rng.standard_normal((2, 3)))


def adjoint_error(f, x, rng):
    """⟨f(x), g⟩ - ⟨x, d⟩: 0 for every linear f, if d is the gradient of the first."""
    y = f(x)
    g = rng.standard_normal(y.shape)
    (d,) = te.gradients(y, [x], gradient=g)
    return abs(np.sum(y.data * g) - np.sum(x.data * d))


CALLS = {
    "np.ravel": (np.ravel, te.ravel),
    "np.ravel, defaults": (lambda x: np.ravel(x, order="C"), te.ravel),
    "np.ravel by name": (lambda x: np.ravel(a=x), te.ravel),
    "np.squeeze": (lambda x: np.squeeze(x[:1], 0), te.squeeze),
    "np.squeeze by name": (lambda x: np.squeeze(a=x[:1], axis=(0,)), te.squeeze),
    "np.expand_dims": (lambda x: np.expand_dims(x, (0, -1)), te.expand_dims),
    "np.transpose by name": (lambda x: np.transpose(a=x, axes=(1, 0)), te.transpose),
    "np.permute_dims": (lambda x: np.permute_dims(x, (1, 0)), te.transpose),
    "np.matrix_transpose": (np.matrix_transpose, te.swapaxes),
    "np.linalg.matrix_transpose": (np.linalg.matrix_transpose, te.swapaxes),
    "np.swapaxes": (lambda x: np.swapaxes(x, 0, -1), te.swapaxes),
    "np.moveaxis": (lambda x: np.moveaxis(x, [0, 1], [1, 0]), te.moveaxis),
    "np.atleast_1d": (np.atleast_1d, te.atleast_1d),
    "np.atleast_2d": (np.atleast_2d, te.atleast_2d),
    "np.atleast_3d": (np.atleast_3d, te.atleast_3d),
    "np.roll": (lambda x: np.roll(x, [1, -1], axis=(0, 1)), te.roll),
    "np.flip": (lambda x: np.flip(m=x, axis=1), te.flip),
    "np.flipud": (np.flipud, te.flip),
    "np.fliplr": (np.fliplr, te.flip),
    "np.rot90": (lambda x: np.rot90(x, k=3, axes=(1, 0)), te.rot90),
    "np.tile": (lambda x: np.tile(A=x, reps=[2, 2]), te.tile),
    "np.repeat": (lambda x: np.repeat(x, [1, 2], 0), te.repeat),
    "np.pad": (lambda x: np.pad(x, 1), te.pad),
    "np.pad, mode": (lambda x: np.pad(array=x, pad_width=1, mode="edge"), te.pad),
    "np.pad, constant": (lambda x: np.pad(x, 1, constant_values=2), te.pad),
    "np.concatenate, defaults": (
        lambda x: np.concatenate([x, x], axis=1, out=None, dtype=None),
        te.concatenate,
    ),
    "np.concatenate, flat": (lambda x: np.concatenate([x, x], None), te.concatenate),
    "np.append": (lambda x: np.append(x, [1.0, 2.0]), te.concatenate),
    "np.append, axis": (lambda x: np.append(x, x, axis=0), te.concatenate),
    "np.stack": (lambda x: np.stack([x, np.ones((2, 3))], 1), te.stack),
    "np.stack by name": (lambda x: np.stack(arrays=(x, x), axis=-1), te.stack),
    "np.hstack": (lambda x: np.hstack([x, x]), te.hstack),
    "np.hstack by name": (lambda x: np.hstack(tup=[x[0], 2.0]), te.hstack),
    "np.vstack": (lambda x: np.vstack((x, x[0])), te.vstack),
    "np.vstack of rows": (np.vstack, te.vstack),
    "np.dstack": (lambda x: np.dstack([x, x]), te.dstack),
    "np.column_stack": (lambda x: np.column_stack([x[:, 0], x]), te.column_stack),
    "np.tril": (lambda x: np.tril(x, -1), te.tril),
    "np.triu": (lambda x: np.triu(m=x, k=1), te.triu),
    "np.diag": (lambda x: np.diag(x[0], 1), te.diag),
    "np.diag of a matrix": (lambda x: np.diag(v=x, k=1), te.diag),
    "np.diagonal": (lambda x: np.diagonal(x, 1), te.diagonal),
    "x.ravel()": (lambda x: x.ravel(), te.ravel),
    "x.flatten()": (lambda x: x.flatten(), te.flatten),
    "x.squeeze()": (lambda x: x.squeeze(), te.squeeze),
    "x.swapaxes(0, 1)": (lambda x: x.swapaxes(0, 1), te.swapaxes),
    "x.repeat(2)": (lambda x: x.repeat(2), te.repeat),
    "x.repeat([1, 2], axis=0)": (lambda x: x.repeat([1, 2], axis=0), te.repeat),
    "x.diagonal(1)": (lambda x: x.diagonal(1), te.diagonal),
}


@pytest.mark.parametrize(("f", "op"), CALLS.values(), ids=CALLS)
def test_numpys_names_and_methods_record(f, op, x, rng):
    y = f(x)

    assert y.op is op
    np.testing.assert_array_equal(y.data, f(x.data), strict=True)
    if not np.array_equal(f(0 * x.data), f(0 * x.data) * 0):
        return  # constants were added: not linear
    assert adjoint_error(f, x, rng) < 1e-13


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: te.vstack([x], axis=0), "vstack: argument 'axis'"),
        (lambda x: te.stack(), "stack: missing arrays; it takes arrays, axis"),
        (lambda x: te.stack([x], 0, axis=1), "stack: got two values for axis"),
        (lambda x: te.dstack([x], 1), "dstack: got 2 arguments"),
        (lambda x: te.transpose(), "transpose: missing x"),
        (
            lambda x: np.pad(x, 1, "reflect", reflect_type="odd"),
            "pad: argument 'reflect_type'",
        ),
        (lambda x: np.pad(x, 1, "mean", stat_length=2), "pad: argument 'stat_length'"),
        (lambda x: te.pad(x, 1.0), "pad: pad_width must be integers, got 1.0"),
        (lambda x: te.pad(x, {0: 1.5}), "pad: pad_width must be integers"),
    ],
)
def test_what_has_no_meaning_here_is_refused_by_name(f, told, x):
    with pytest.raises(TypeError, match=told):
        f(x)


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: np.pad(x, 1, "linear_ramp"), "pad: mode 'linear_ramp' is not supp"),
        (lambda x: np.pad(x, 1, "empty"), "pad: mode 'empty' .* constant, edge"),
        (
            lambda x: np.pad(x, 1, "edge", constant_values=1),
            "pad: constant_values .* mode is 'edge'",
        ),
        (lambda x: np.concatenate([]), "need at least one array"),
        (lambda x: te.hstack([]), "hstack: need at least one array"),
        (lambda x: np.squeeze(x, 0), r"squeeze: .*\(x is \(2, 3\)\)"),
        (lambda x: np.matrix_transpose(x[0]), r"matrix_transpose: x is \(3,\)"),
        (lambda x: te.split(x, 2, axis=1), "equal division"),
        (lambda x: te.split(x, 2, axis=2), r"split: x of shape \(2, 3\) has no axis 2"),
        (lambda x: np.diag(x[None]), "diag: "),
        (lambda x: te.pad(x, (0, -1)), r"pad: pad_width .* negative, got \(0, -1\)"),
    ],
)
def test_what_does_not_fit_is_refused(f, told, x):
    with pytest.raises(ValueError, match=told):
        f(x)


# ------------------------------------------------------------------------------- pieces

CUTS = {
    "np.split": lambda x: np.split(x, 3, axis=1),
    "np.split, places": lambda x: np.split(x, [1, 1, 5], axis=-1),
    "np.split by name": lambda x: np.split(ary=x, indices_or_sections=[1]),
    "np.array_split": lambda x: np.array_split(x, 2, 1),
    "np.array_split, empty": lambda x: np.array_split(x, 4),
}


@pytest.mark.parametrize(
    "width",
    [1, (1, 2), ((1,), (2,)), ((1, 0), (0, 2)), [1, 2], {-1: (1, 2)}, np.array([2, 0])],
)
@pytest.mark.parametrize("value", [0, -0.0, 1.5, np.float32(2), (1, 2)])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_pads_as_numpy_does(width, value, layout, x):
    x = layout(x.data)

    padded = te.pad(x, width, constant_values=value)

    expected = np.pad(x, width, constant_values=value)
    np.testing.assert_array_equal(padded, expected, strict=True)
    np.testing.assert_array_equal(np.signbit(padded), np.signbit(expected))
    assert padded.strides == expected.strides


@pytest.mark.parametrize("f", CUTS.values(), ids=CUTS)
def test_pieces_are_lists_of_recorded_tensors(f, x):
    pieces = f(x)

    assert type(pieces) is list
    for piece, right in zip(pieces, f(x.data), strict=True):
        assert piece.op is te.getitem
        np.testing.assert_array_equal(piece.data, right, strict=True)
    total = sum((i + 1) * piece.sum() for i, piece in enumerate(pieces))
    (d,) = te.gradients(total, [x])
    expected = [np.full(p.shape, i + 1.0) for i, p in enumerate(pieces)]
    np.testing.assert_array_equal(np.sort(d.ravel()), np.concatenate(expected, None))


def test_split_of_an_array_gives_arrays():
    pieces = te.split(np.arange(4.0), 2)

    assert [p.tolist() for p in pieces] == [[0.0, 1.0], [2.0, 3.0]]
    assert all(type(p) is np.ndarray for p in pieces)


def test_several_arrays_are_given_axes_at_once(x):
    a, b = np.atleast_2d(x[0], 3.0)

    assert a.shape == (1, 3)
    assert a.op is te.atleast_2d
    assert b.shape == (1, 1)


# --------------------------------------------------------------- margins, copies, moves


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("width", [(0, 0), (1, 0), (0, 3), (7, 4)], ids=str)
def test_margins_give_their_gradient_back(mode, n, width, rng):
    x = leaf(rng.standard_normal((n, 2)))

    error = adjoint_error(lambda x: te.pad(x, (width, (1, 2)), mode), x, rng)

    assert error < 1e-12


@pytest.mark.parametrize(
    "f",
    [
        lambda x: te.tile(x, 0),
        lambda x: te.repeat(x, 0),
        lambda x: te.repeat(x, [0, 0], axis=0),
        lambda x: te.roll(x, 1000),
        lambda x: te.roll(x, -7, axis=-1),
        lambda x: te.rot90(x, -5),
        lambda x: te.diagonal(x, 3),
        lambda x: te.trace(x, -2),
        lambda x: te.diag(x, -2),
        lambda x: te.moveaxis(x, -1, 0),
        lambda x: te.tril(x[0]),
        lambda x: te.expand_dims(x, axis=-3),
    ],
)
def test_linear_operations_have_their_adjoint(f, x, rng):
    assert adjoint_error(f, x, rng) < 1e-13


@pytest.mark.parametrize(
    "f",
    [
        te.ravel,
        te.flip,
        te.cumsum,
        lambda x: te.tile(x, 2),
        lambda x: te.stack([x, x]),
        lambda x: te.concatenate([x, x], 1),
        lambda x: te.array_split(x, 2)[1],
        lambda x: te.roll(x, 1),
        lambda x: te.repeat(x, 2, axis=0),
        lambda x: te.pad(x, 1),
        lambda x: te.tril(x),
    ],
)
@pytest.mark.parametrize("shape", [(0, 3), (2, 0)], ids=str)
def test_empty_arrays_have_empty_gradients(f, shape):
    x = leaf(np.ones(shape))
    y = f(x)

    (d,) = te.gradients(y, [x], gradient=np.ones(y.shape))

    assert d.shape == shape


@pytest.mark.parametrize(
    ("f", "argument"),
    [
        (lambda x, a: te.repeat(x, repeats=a, axis=0), np.array([1, 2])),
        (lambda x, a: te.repeat(x, a, 0), [1, 2]),
        (lambda x, a: te.tile(x, a), [2, 1]),
        (lambda x, a: te.roll(x, shift=a, axis=(0, 1)), [1, 2]),
        (lambda x, a: te.moveaxis(x, a, [1, 0]), [0, 1]),
        (lambda x, a: te.pad(x, a, "wrap"), [[1, 0], [0, 1]]),
    ],
)
def test_changing_an_argument_afterwards_changes_no_gradient(f, argument, x, rng):
    y = f(x, argument)
    g = rng.standard_normal(y.shape)
    (expected,) = te.gradients(y, [x], gradient=g)

    argument[:] = argument[::-1]

    (actual,) = te.gradients(y, [x], gradient=g)
    np.testing.assert_array_equal(actual, expected)


def test_memory_order_does_not_matter(rng):
    data = rng.standard_normal((4, 6))
    for x in (data.T, data[::2, ::-3], np.asfortranarray(data)):
        t = leaf(x)
        t.data = x

        for f in (te.ravel, te.flatten, lambda t: te.reshape(t, -1)):
            np.testing.assert_array_equal(f(t).data, x.ravel())
            assert adjoint_error(f, t, rng) < 1e-12


def test_flatten_is_a_copy():
    x = np.ones((2, 3))

    te.flatten(x)[0] = 5.0

    assert x[0, 0] == 1.0


def test_a_second_derivative_passes_through_a_chain_of_moves(x, rng):
    def f(x):
        y = te.roll(te.flip(te.swapaxes(x, 0, 1), 0), 1)
        return te.pad(te.repeat(te.tile(y, 2), 2, axis=0), 1, "reflect")

    (d,) = te.gradients((f(x) ** 3).sum(), [x], create_graph=True)
    (second,) = te.gradients(d.sum(), [x])

    counts = te.gradients(f(x).sum(), [x])[0]
    assert_near(second, 6 * x.data * counts, 1e-13, "chain")
