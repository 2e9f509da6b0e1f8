"""Products: what the declared cases do not show."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.ops import contraction


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


# -------------------------------------------------------------------- NumPy's functions

CALLS = {
    "np.dot": (lambda a, b: np.dot(a, b.T), te.dot),
    "np.dot, an array first": (lambda a, b: np.dot(np.ones((4, 2)), a), te.dot),
    "np.dot by name": (lambda a, b: np.dot(a=a, b=b.T), te.dot),
    "np.inner": (np.inner, te.inner),
    "np.outer": (np.outer, te.outer),
    "np.outer, out=None": (lambda a, b: np.outer(a, b, out=None), te.outer),
    "np.outer by name": (lambda a, b: np.outer(b=b, a=a), te.outer),
    "np.linalg.outer": (lambda a, b: np.linalg.outer(a[0], b[0]), te.outer),
    "np.vdot": (np.vdot, te.vdot),
    "np.tensordot": (np.tensordot, te.tensordot),
    "np.tensordot, axes": (lambda a, b: np.tensordot(a, b, (-1, 1)), te.tensordot),
    "np.tensordot, lists": (
        lambda a, b: np.tensordot(a, b, axes=[[0, 1], [0, 1]]),
        te.tensordot,
    ),
    "np.tensordot, NumPy's own integer": (
        lambda a, b: np.tensordot(a, b, np.int64(2)),
        te.tensordot,
    ),
    "np.linalg.tensordot": (
        lambda a, b: np.linalg.tensordot(a, b, axes=2),
        te.tensordot,
    ),
    "np.linalg.matmul": (lambda a, b: np.linalg.matmul(a, b.T), te.matmul),
    "np.einsum": (lambda a, b: np.einsum("ij,kj->ik", a, b), te.einsum),
    "np.einsum, a method's array": (
        lambda a, b: np.einsum("ij,kj", a, np.ones((2, 3))),
        te.einsum,
    ),
    "np.einsum, optimize": (
        lambda a, b: np.einsum("ij,kj,k", a, b, np.ones(2), optimize="greedy"),
        te.einsum,
    ),
    "np.kron": (np.kron, te.kron),
    "np.cross": (np.cross, te.cross),
    "np.cross by position": (lambda a, b: np.cross(a.T, b, 0, 1, 0), te.cross),
    "np.linalg.cross": (lambda a, b: np.linalg.cross(a, b, axis=-1), te.cross),
}


@pytest.mark.parametrize(("f", "op"), CALLS.values(), ids=CALLS)
def test_numpys_functions_record_what_they_compute(f, op, rng):
    a, b = leaf(rng.standard_normal((2, 3))), leaf(rng.standard_normal((2, 3)))

    y = f(a, b)

    assert y.op is op
    np.testing.assert_array_equal(y.data, f(a.data, b.data), strict=True)
    y.backward(np.ones(y.shape))
    assert a.grad.shape == (2, 3)


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (
            lambda x: np.einsum(x, [0, 1.5], [1, 0]),
            "einsum: the first argument must be",
        ),
        (lambda x: x.einsum("ij->ji"), "einsum: the first argument must be"),
        (lambda x: np.dot(x, x.T, out=np.ones((2, 2))), "dot: out="),
        (lambda x: te.tensordot(x, x, axes=None), "tensordot: axes must be an int or"),
        (lambda x: te.tensordot(x, x, axes={1}), "tensordot: axes must be an int or"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(f, told):
    with pytest.raises(TypeError, match=told):
        f(leaf(np.ones((2, 3))))


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: te.dot(x, x), r"dot: .*\(2,3\) and \(2,3\).*a is \(2, 3\)"),
        (lambda x: te.inner(x, x.T), "inner: .*shapes"),
        (lambda x: te.vdot(x, x[0]), "vdot: .*"),
        (lambda x: te.tensordot(x, x, axes=1), "tensordot: shape-mismatch"),
        (
            lambda x: te.tensordot(x, x, ((0, 0), (0, 0))),
            "tensordot: axis listed twice",
        ),
        (
            lambda x: te.tensordot(x, x, ((0, -2), (0, 1))),
            "tensordot: axis listed twice",
        ),
        (
            lambda x: te.tensordot(x, x, (0, 1, 0)),
            "tensordot: axes must be an int or two",
        ),
        (lambda x: te.einsum("ij,jk", x, x), "einsum: operands could not be broadcast"),
        (lambda x: te.einsum("ijk", x), "einsum: .*too many subscripts"),
        (lambda x: te.cross(x.T, x.T), r"cross: vectors must have 3 entries; a has"),
        (lambda x: te.cross(x, x[:, :2]), r"cross: vectors must have 3 entries; b has"),
        (lambda x: te.cross(x, np.ones((4, 3))), "cross: .*broadcast"),
    ],
)
def test_what_does_not_fit_names_the_operation(f, told):
    with pytest.raises(ValueError, match=told):
        f(leaf(np.ones((2, 3))))


def test_axes_in_a_list_may_be_changed_afterwards(rng):
    a, b = leaf(rng.standard_normal((2, 3))), rng.standard_normal((3, 2))
    axes = [[1, 0], [0, 1]]

    y = te.tensordot(a, b, axes)
    axes[0].reverse()
    y.backward()

    np.testing.assert_allclose(a.grad, b.T)


# -------------------------------------------------------------------- edge cases


@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (te.matmul, [(2, 0), (0, 3)]),
        (te.dot, [(0,), (0,)]),
        (te.inner, [(2, 0), (3, 0)]),
        (te.outer, [(0,), (3,)]),
        (te.vdot, [(0, 3), (0, 3)]),
        (te.tensordot, [(2, 0, 3), (0, 3, 4)]),
        (lambda a, b: te.einsum("ij,jk->ik", a, b), [(2, 0), (0, 3)]),
        (lambda a, b: te.einsum("ij,k->i", a, b), [(2, 0), (3,)]),
        (lambda a, b: te.einsum("ii,k->i", a, b), [(0, 0), (1,)]),
        (lambda a, b: te.einsum("i,i->", a, b), [(0,), (1,)]),
        (te.kron, [(0, 2), (3, 1)]),
        (te.cross, [(0, 3), (3,)]),
    ],
)
def test_empty_arrays_have_gradients_of_their_shapes(f, shapes):
    leaves = [leaf(np.ones(shape)) for shape in shapes]

    y = f(*leaves)
    y.backward(np.ones(y.shape))

    assert [x.grad.shape for x in leaves] == shapes
    assert not any(x.grad.any() for x in leaves)


def in_fortran_order(x):
    return np.asfortranarray(x)


def with_gaps(x):
    return np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2]


@pytest.mark.parametrize("layout", [in_fortran_order, with_gaps])
@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: te.matmul(a, b.T),
        te.inner,
        te.outer,
        te.vdot,
        te.tensordot,
        te.kron,
        te.cross,
        lambda a, b: te.einsum("ij,kj->ki", a, b),
    ],
)
def test_order_in_memory_changes_nothing(f, layout, rng):
    a, b = rng.standard_normal((2, 2, 3))

    def gradients(a, b):
        x = te.tensor(1.0, requires_grad=True)
        y = f(x * a, b)
        return te.gradients(y, [x], gradient=np.ones(y.shape)), y.data

    (straight,), value = gradients(a, b)
    (other,), same = gradients(layout(a), layout(b))

    np.testing.assert_allclose(other, straight, rtol=1e-13)
    np.testing.assert_allclose(same, value, rtol=1e-13)


@pytest.mark.parametrize(
    "f", [te.dot, te.inner, te.outer, te.kron, lambda a, b: te.einsum(",i->i", a, b)]
)
def test_a_python_number_is_taken_for_an_array(f):
    x = leaf([1.0, 2.0])

    y = f(3.0, x)
    y.backward(np.ones(y.shape))

    np.testing.assert_array_equal(np.ravel(y.data), [3.0, 6.0])
    np.testing.assert_array_equal(x.grad, [3.0, 3.0])


def test_einsum_of_integers_is_numpys():
    x = np.arange(6).reshape(2, 3)

    y = te.einsum("ij->j", x)

    np.testing.assert_array_equal(y, [3, 5, 7], strict=True)


def test_einsum_gives_its_gradient_to_the_diagonal_it_read():
    x = leaf(np.ones((3, 3)))

    te.einsum("ii->i", x).backward(np.array([1.0, 2.0, 3.0]))

    np.testing.assert_array_equal(x.grad, np.diag([1.0, 2.0, 3.0]))


def test_einsum_repeats_its_gradient_along_an_axis_summed_over_alone():
    x, y = leaf(np.ones((2, 3))), leaf(np.ones(4))

    te.einsum("ij,k->i", x, y).backward(np.array([1.0, 2.0]))

    np.testing.assert_array_equal(x.grad, [[4.0] * 3, [8.0] * 3])
    np.testing.assert_array_equal(y.grad, [9.0] * 4)


def test_einsum_takes_a_path_and_finds_its_own_for_the_gradient(rng):
    a, b, c = (leaf(rng.standard_normal((3, 3))) for _ in range(3))
    path = np.einsum_path("ij,jk,kl", a.data, b.data, c.data)[0]

    te.sum(te.einsum("ij,jk,kl", a, b, c, optimize=path)).backward()

    np.testing.assert_allclose(b.grad, np.outer(a.data.sum(0), c.data.sum(1)))


def test_dot_of_stacks_pairs_all_with_all(rng):
    a, b = leaf(rng.standard_normal((2, 2, 3))), leaf(rng.standard_normal((4, 3, 2)))

    y = te.dot(a, b)

    assert y.shape == (2, 2, 4, 2)
    np.testing.assert_allclose(y.data[:, :, 1], a.data @ b.data[1])


# ------------------------------------------------------------- linear, and its bias


@pytest.mark.parametrize("lead", [(), (4,), (2, 5), (0,), (2, 0, 3)])
def test_a_bias_for_each_row_is_added_as_plus_adds_it(lead, rng):
    x, w = leaf(rng.standard_normal((*lead, 3))), leaf(rng.standard_normal((2, 3)))
    b, g = leaf(rng.standard_normal((*lead, 2))), rng.standard_normal((*lead, 2))

    fused, apart = te.linear(x, w, b), te.linear(x, w) + b

    np.testing.assert_array_equal(fused.data, apart.data)
    for one, other in zip(
        te.gradients(fused, [x, w, b], gradient=g),
        te.gradients(apart, [x, w, b], gradient=g),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("turned", [False, True])
def test_rows_behind_several_axes_are_one_product(dtype, turned, rng):
    x, w = (rng.standard_normal(s).astype(dtype) for s in [(3, 4, 5), (2, 5)])
    x = np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0) if turned else x
    x, w = leaf(x), leaf(w)

    y = te.linear(x, w)
    d_x, _ = te.gradients(y, [x, w], gradient=np.ones(y.shape))

    rows = x.data.reshape(12, 5)
    np.testing.assert_array_equal(y.data.reshape(12, 2), rows @ w.data.T)
    close = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        d_x, np.ones((3, 4, 2), dtype) @ w.data, rtol=close, atol=close
    )
    assert y.dtype == d_x.dtype == dtype


@pytest.mark.parametrize(
    ("x", "bias", "told"),
    [
        ((4, 3), (4,), r"bias must be \(2,\) or \(4, 2\), got \(4,\)"),
        ((4, 3), (1, 2), r"bias must be \(2,\) or \(4, 2\), got \(1, 2\)"),
        ((3,), (3,), r"bias must be \(2,\), got \(3,\)"),
    ],
)
def test_another_bias_is_refused(x, bias, told):
    with pytest.raises(ValueError, match=f"linear: {told}"):
        te.linear(np.ones(x), np.ones((2, 3)), np.ones(bias))


LARGE = [
    ("ij,jk->ik", (3, 4), (4, 2)),
    ("ij,jk", (3, 4), (4, 2)),
    ("ji,kj->ki", (3, 4), (2, 3)),
    ("ij,j->i", (3, 4), (4,)),
    ("i,i->", (3,), (3,)),
    ("ij,ij->", (3, 4), (3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("ibj,jkb->kib", (3, 2, 4), (4, 5, 2)),
    ("...ij,kj->k...i", (2, 2, 3, 4), (5, 4)),
    ("bi,bi->b", (2, 3), (2, 3)),
    ("ij,jk->ik", (3, 1), (4, 2)),
    ("ij,kl->ik", (3, 4), (2, 2)),
    ("ii,ij->j", (3, 3), (3, 2)),
    ("ij,ij->ij", (3, 4), (3, 4)),
    ("ij,jk->ik", (3, 0), (0, 2)),
    ("ij,jk,kl->li", (3, 4), (4, 2), (2, 5)),
    ("i,ij,j->", (3,), (3, 4), (4,)),
    ("ij,ik,i->jk", (3, 4), (3, 2), (3,)),
    ("ij,jk,jl->", (3, 4), (1, 2), (4, 2)),
    ("ij,jk,kl,lm->im", (3, 4), (4, 2), (2, 5), (5, 3)),
]


@pytest.mark.parametrize("optimize", [False, True, "optimal"])
@pytest.mark.parametrize(("subscripts", "shapes"), [(s, n) for s, *n in LARGE])
def test_einsum_of_large_arrays_is_numpys(
    subscripts, shapes, optimize, rng, monkeypatch
):
    monkeypatch.setattr(contraction, "_MANY", 0)
    monkeypatch.setattr(contraction, "_steps", contraction._steps.__wrapped__)
    arrays = [rng.standard_normal(shape) for shape in shapes]

    y = te.einsum(subscripts, *arrays, optimize=optimize)

    expected = np.einsum(subscripts, *arrays)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13, strict=True)
