"""Linear algebra: singular and degenerate matrices, conventions, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as te


def leaf(data, **kwargs):
    return te.tensor(data, requires_grad=True, **kwargs)


def symmetric(rng, values):
    q, _ = np.linalg.qr(rng.standard_normal((len(values),) * 2))
    return (q * values) @ q.T


# -------------------------------------------------------------------- NumPy's functions

CALLS = {
    "inv": (np.linalg.inv, te.inv),
    "pinv": (np.linalg.pinv, te.pinv),
    "pinv, rcond": (lambda x: np.linalg.pinv(x, 1e-10), te.pinv),
    "det": (np.linalg.det, te.det),
    "det by name": (lambda x: np.linalg.det(a=x), te.det),
    "solve": (lambda x: np.linalg.solve(x, [1.0, 2.0, 3.0]), te.solve),
    "solve, an array first": (lambda x: np.linalg.solve(np.eye(3), x), te.solve),
    "cholesky": (np.linalg.cholesky, te.cholesky),
    "cholesky, upper": (lambda x: np.linalg.cholesky(x, upper=True), te.cholesky),
    "matrix_power": (lambda x: np.linalg.matrix_power(x, 3), te.matrix_power),
    "multi_dot": (lambda x: np.linalg.multi_dot([x, np.eye(3), x]), te.multi_dot),
    "eigvalsh": (np.linalg.eigvalsh, te.eigvalsh),
    "svdvals": (np.linalg.svdvals, te.svdvals),
    "svd without vectors": (lambda x: np.linalg.svd(x, compute_uv=False), te.svdvals),
}


@pytest.mark.parametrize(("f", "op"), CALLS.values(), ids=CALLS)
def test_numpys_functions_record_what_they_compute(f, op, rng):
    x = leaf(symmetric(rng, [1.0, 2.0, 4.0]))

    y = f(x)

    assert y.op is op
    np.testing.assert_allclose(y.data, f(x.data), rtol=1e-12, atol=1e-12)
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (3, 3)


@pytest.mark.parametrize(
    ("f", "names"),
    [
        (np.linalg.eigh, ("eigenvalues", "eigenvectors")),
        (np.linalg.svd, ("U", "S", "Vh")),
        (lambda x: np.linalg.svd(x, False), ("U", "S", "Vh")),
        (np.linalg.qr, ("Q", "R")),
        (lambda x: np.linalg.qr(x, mode="reduced"), ("Q", "R")),
    ],
)
def test_several_results_have_numpys_names(f, names, rng):
    x = leaf(symmetric(rng, [1.0, 2.0, 4.0]))

    results, expected = f(x), f(x.data)

    assert results._fields == names
    for name in names:
        actual = getattr(results, name).data
        np.testing.assert_allclose(actual, getattr(expected, name), atol=1e-12)


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: te.multi_dot([x, x], dtype=float), "multi_dot: argument 'dtype'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(f, told):
    with pytest.raises(TypeError, match=told):
        f(leaf(np.eye(3)))


@pytest.mark.parametrize(
    ("f", "error", "told"),
    [
        (lambda x: te.svd(x), ValueError, r"svd: x is \(2, 3\).*full_matrices=False"),
        (lambda x: te.svd(x, compute_uv=False), ValueError, "svd: .* call svdvals"),
        (te.qr, ValueError, r"qr: x is \(2, 3\); it must have at least as many rows"),
        (te.cholesky, np.linalg.LinAlgError, "cholesky: matrices must be square"),
        (te.eigh, np.linalg.LinAlgError, r"eigh: matrices must be square.*\(2, 3\)"),
        (te.eigvalsh, np.linalg.LinAlgError, "eigvalsh: matrices must be square"),
        (te.inv, np.linalg.LinAlgError, "inv: .*square"),
        (te.det, np.linalg.LinAlgError, "det: .*square"),
        (lambda x: te.cholesky(x[:, :1] @ np.ones((1, 2))), None, "positive definite"),
        (lambda x: te.eigh(x[:, :1]), np.linalg.LinAlgError, "eigh: .*square"),
        (
            lambda x: te.solve(np.eye(2), x.T),
            ValueError,
            r"solve: a is \(2, 2\), so b must.*got \(3, 2\)",
        ),
        (lambda x: te.solve(x, x[:, 0]), np.linalg.LinAlgError, "solve: .*square"),
        (lambda x: te.matrix_power(x, 2), np.linalg.LinAlgError, "matrix_power: .*"),
        (lambda x: te.multi_dot([x]), ValueError, "multi_dot: .*at least two"),
    ],
)
def test_what_does_not_fit_names_the_operation(f, error, told):
    with pytest.raises(error or np.linalg.LinAlgError, match=told):
        f(leaf(-np.ones((2, 3))))


# ------------------------------------------------------------------------ determinants


def cofactors(x):
    """Entry by entry, from the smaller determinants."""
    result = np.empty_like(x)
    for i, k in np.ndindex(x.shape):
        minor = np.delete(np.delete(x, i, 0), k, 1)
        result[i, k] = (-1) ** (i + k) * np.linalg.det(minor)
    return result


@pytest.mark.parametrize("n", [2, 5, 32, 33, 40])
def test_derivative_of_det_is_right_at_matrices_of_rank_one_less(n, rng):
    x = leaf(symmetric(rng, [0.0, *np.linspace(0.5, 1.5, n - 1)]))

    te.det(x).backward()

    expected = cofactors(x.data)
    np.testing.assert_allclose(x.grad, expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("n", [3, 34])
def test_derivative_of_det_is_zero_at_matrices_of_lower_rank(n):
    x = leaf(np.diag([0.0, 0.0, *np.ones(n - 2)]))

    te.det(x).backward()

    np.testing.assert_allclose(x.grad, np.zeros((n, n)), atol=1e-15)


def test_derivative_of_det_of_a_large_regular_matrix(rng):
    x = leaf(rng.standard_normal((60, 60)) / 8)

    y = te.det(x)
    y.backward()

    np.testing.assert_allclose(x.grad, y.data * np.linalg.inv(x.data).T, rtol=1e-9)


def test_a_singular_matrix_in_a_stack_leaves_the_others_right(rng):
    x = leaf(np.stack([np.diag([1.0, 2.0, 0.0]), 2 * np.eye(3), np.zeros((3, 3))]))

    te.sum(te.det(x)).backward()

    expected = [np.diag([0.0, 0.0, 2.0]), 4 * np.eye(3), np.zeros((3, 3))]
    np.testing.assert_allclose(x.grad, expected, atol=1e-15)


def test_second_derivative_of_det_at_zero():
    x = leaf(np.zeros((2, 2)))  # det = a d - b c

    (first,) = te.gradients(te.det(x), [x], create_graph=True)
    (second,) = te.gradients(first[0, 0], [x])

    np.testing.assert_array_equal(second, [[0.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
@pytest.mark.parametrize("f", [te.det, lambda x: te.slogdet(x)[1], te.inv])
def test_empty_matrices_have_gradients_of_their_shape(f, shape):
    x = leaf(np.ones(shape))

    y = f(x)
    y.backward(np.ones(y.shape))

    assert x.grad.shape == shape


def test_slogdet_is_finite_where_det_overflows():
    x = leaf(np.eye(400) * 10.0)

    _, logabsdet = te.slogdet(x)
    logabsdet.backward()

    np.testing.assert_allclose(logabsdet.data, 400 * np.log(10.0))
    np.testing.assert_allclose(x.grad, np.eye(400) / 10)


# ---------------------------------------------------------------- inverses and systems


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_derivative_of_pinv_where_the_rank_stays_two(shape, rng):
    m, n = shape
    left, right = rng.standard_normal((m, 2)), rng.standard_normal((2, n))

    report = te.gradcheck(lambda a, b: te.pinv(a @ b), left, right, order=2)

    assert report is not None


def test_solve_takes_a_vector_only_with_one_axis(rng):
    a = leaf(rng.standard_normal((3, 3, 3)) + 4 * np.eye(3))
    b = rng.standard_normal((3, 3))

    y = te.solve(a, b)  # a matrix: the same for each

    np.testing.assert_allclose(a.data @ y.data, np.broadcast_to(b, (3, 3, 3)))


def test_solve_is_that_of_the_inverse(rng):
    data = rng.standard_normal((2, 3, 3)) + 4 * np.eye(3)
    weights = rng.standard_normal((2, 3))
    b = rng.standard_normal(3)

    a = leaf(data)
    te.sum(te.solve(a, b) * weights).backward()
    again = leaf(data)
    te.sum((te.inv(again) @ b) * weights).backward()

    np.testing.assert_allclose(a.grad, again.grad, rtol=1e-10)


def test_matrix_power_zero_passes_no_gradient_on():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])

    te.sum(te.matrix_power(x, 0)).backward()

    np.testing.assert_array_equal(x.grad, np.zeros((2, 2)))


# -------------------------------------------------------------------- decompositions


#: NumPy's functions of a symmetric matrix, and the triangle that each reads.
OF_A_TRIANGLE = {
    "eigvalsh": (np.linalg.eigvalsh, np.tril),
    "eigvalsh, L": (lambda x: np.linalg.eigvalsh(x, "L"), np.tril),
    "eigvalsh, u": (lambda x: np.linalg.eigvalsh(x, UPLO="u"), np.triu),
    "eigh": (lambda x: np.linalg.eigh(x)[0], np.tril),
    "eigh, U": (lambda x: np.linalg.eigh(x, "U")[0], np.triu),
    "vectors": (lambda x: np.linalg.eigh(x)[1] ** 2, np.tril),
    "vectors, U": (lambda x: np.linalg.eigh(x, UPLO="U")[1] ** 2, np.triu),
    "cholesky": (np.linalg.cholesky, np.tril),
    "cholesky, upper": (lambda x: np.linalg.cholesky(x, upper=True), np.triu),
}


@pytest.mark.parametrize(("f", "part"), OF_A_TRIANGLE.values(), ids=OF_A_TRIANGLE)
def test_the_triangle_that_numpy_reads_is_read_and_the_other_has_no_gradient(
    f, part, rng
):
    x = part(symmetric(rng, [1.0, 2.0, 4.0])) + (1 - part(np.ones((3, 3)))) * 9.0
    weights = rng.standard_normal(f(x).shape)

    def loss(a):
        return np.sum(f(a) * weights)

    y = f(leaf(x))
    gradient = te.grad(loss)(x)

    np.testing.assert_array_equal(y.data, f(x), strict=True)
    np.testing.assert_array_equal(gradient, part(gradient))
    te.gradcheck(loss, x, order=2)


def test_a_matrix_that_is_not_symmetric_has_the_eigenvalues_that_numpy_finds():
    x = te.tensor([[2.0, 0.0], [1.0, 3.0]])

    np.testing.assert_allclose(np.linalg.eigvalsh(x).data, [1.381966, 3.618034])
    np.testing.assert_allclose(np.linalg.eigvalsh(x, UPLO="U").data, [2.0, 3.0])
    with pytest.raises(ValueError, match="UPLO"):
        np.linalg.eigvalsh(x, UPLO="X")


@pytest.mark.parametrize("f", [te.cholesky, te.eigvalsh, lambda x: te.eigh(x)[0]])
def test_a_symmetric_matrix_that_is_made_gets_a_symmetric_gradient(f, rng):
    b = leaf(rng.standard_normal((3, 3)) + 4 * np.eye(3))
    c = te.tensor(b.data, requires_grad=True)

    for t, upper in ((b, False), (c, True)):
        x = (t + t.T) / 2  # read from either side, it is the same
        y = f(x.T if upper else x)
        y.backward(np.ones(y.shape))

    np.testing.assert_allclose(b.grad, b.grad.T, atol=1e-14)
    np.testing.assert_allclose(b.grad, c.grad, atol=1e-12)


def test_both_triangles_of_equal_eigenvalues_are_told_apart():
    def of_both(a):  # two matrices, whose entries beside the diagonal are not the same
        lower, upper = np.linalg.eigvalsh(a), np.linalg.eigvalsh(a, UPLO="U")
        return np.sum(lower**2) * np.sum(upper**2)

    with pytest.raises(ValueError, match="two values are equal"):
        te.hvp(of_both, np.eye(3), np.ones((3, 3)))


def test_logarithm_of_the_determinant_by_cholesky_is_that_of_slogdet(rng):
    a = leaf(symmetric(rng, [1.0, 2.0, 4.0]))

    factor = te.cholesky((a + a.T) / 2)
    te.sum(2 * np.log(te.einsum("ii->i", factor))).backward()

    np.testing.assert_allclose(a.grad, np.linalg.inv(a.data), rtol=1e-12)


EQUAL = {
    "eigh": (lambda x: te.eigh(x), 0, 1),
    "svd": (lambda x: te.svd(x), 1, 0),
    "svd, right": (lambda x: te.svd(x), 1, 2),
}


@pytest.mark.parametrize(("f", "values", "vectors"), EQUAL.values(), ids=EQUAL)
@pytest.mark.parametrize("data", [np.eye(3), np.diag([2.0, 1.0, 1.0 + 1e-15])])
def test_equal_values_have_gradients_but_their_vectors_raise(f, values, vectors, data):
    x = leaf(data)

    (total,) = te.gradients(te.sum(f(x)[values]), [x])

    np.testing.assert_allclose(total, np.eye(3), atol=1e-14)
    with pytest.raises(ValueError, match="two values are equal, so their vectors have"):
        te.gradients(te.sum(f(x)[vectors] * np.arange(9.0).reshape(3, 3)), [x])


@pytest.mark.parametrize("op", [te.eigvalsh, te.svdvals])
def test_second_derivatives_at_equal_values_are_the_limit(op):
    x = leaf(np.eye(3))

    (first,) = te.gradients(te.sum(op(x) ** 2), [x], create_graph=True)

    np.testing.assert_allclose(first.data, 2 * np.eye(3), atol=1e-14)
    (second,) = te.gradients(te.sum(first * first), [x])
    np.testing.assert_allclose(second, 8 * np.eye(3), atol=1e-14)


def test_eigenvector_of_a_single_value_has_a_gradient_beside_equal_ones(rng):
    def projected(x):
        return te.eigh(x).eigenvectors[:, 2] ** 2

    x = symmetric(rng, [1.0, 1.0, 3.0])
    direction = rng.standard_normal((3, 3))
    a = leaf(x)

    te.sum(projected(a) * np.array([1.0, 2.0, 3.0])).backward()

    h = 1e-5
    moved = [projected(x + s * h * direction) for s in (1, -1)]
    slope = np.dot((moved[0] - moved[1]) / (2 * h), [1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.sum(a.grad * direction), slope, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4)])
def test_svd_puts_its_matrix_together_again(shape, rng):
    x = leaf(rng.standard_normal(shape))
    weights = rng.standard_normal(shape)

    u, s, vh = te.svd(x, full_matrices=False)
    te.sum(((u * s) @ vh) * weights).backward()

    np.testing.assert_allclose(x.grad, weights, atol=1e-10)


def test_svd_with_a_singular_value_of_zero():
    x = leaf(np.diag([2.0, 1.0, 0.0]))

    u, s, _ = te.svd(x)

    (of_value,) = te.gradients(s[0], [x])
    (of_vector,) = te.gradients(u[0, 0] * u[1, 0], [x])  # turns by dx10/s0 + ...
    np.testing.assert_allclose(of_value, np.diag([1.0, 0.0, 0.0]), atol=1e-15)
    expected = np.zeros((3, 3))
    expected[1, 0], expected[0, 1] = 2 / 3, 1 / 3  # s0 / (s0² - s1²), s1 / (s0² - s1²)
    np.testing.assert_allclose(of_vector, expected, atol=1e-14)


def test_svd_of_a_tall_matrix_refuses_the_vector_of_a_value_of_zero():
    x = leaf([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])

    u, s, _ = te.svd(x, full_matrices=False)

    (of_value,) = te.gradients(s[0], [x])
    np.testing.assert_array_equal(of_value, [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="svd: a singular value is 0"):
        te.gradients(te.sum(u * np.arange(6.0).reshape(3, 2)), [x])


def test_qr_puts_its_matrix_together_again(rng):
    x = leaf(rng.standard_normal((4, 3)))
    weights = rng.standard_normal((4, 3))

    q, r = te.qr(x)
    te.sum((q @ r) * weights).backward()

    np.testing.assert_allclose(x.grad, weights, atol=1e-12)


def test_qr_of_dependent_columns_raises_on_the_way_back():
    x = leaf(np.zeros((3, 2)))

    q, _ = te.qr(x)

    with pytest.raises(np.linalg.LinAlgError):
        te.sum(q).backward()


@pytest.mark.parametrize(
    "f",
    [
        te.inv,
        te.pinv,
        te.cholesky,
        lambda x: te.eigh(x)[1],
        lambda x: te.svd(x)[0],
        lambda x: te.qr(x)[0],
        te.det,
        lambda x: te.solve(x, np.ones(3, np.float32)),
    ],
)
def test_order_in_memory_changes_nothing(f, rng):
    x = symmetric(rng, [1.0, 2.0, 4.0]).astype(np.float32)

    gradients = []
    for data in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        t = leaf(1.0, dtype=np.float32)
        y = f(t * data)
        gradients += te.gradients(y, [t], gradient=np.ones(y.shape, np.float32))

    np.testing.assert_allclose(gradients, gradients[0], rtol=1e-4, atol=1e-5)
