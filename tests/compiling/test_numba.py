"""Programs with compiled loops: what NumPy computes, but for rounding."""

from __future__ import annotations

import ast
import copy
import importlib.util
import os
import sys
import threading

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.compiling import kernels, loops
from tinygrad_edu.compiling.loops import Loop

HAS_NUMBA = importlib.util.find_spec("numba") is not None
needs_numba = pytest.mark.skipif(
    not HAS_NUMBA, reason="needs pip install 'tinygrad_edu[fast]'"
)
HEAVY = (np.exp, np.log, np.tanh)
ALONE = (np.negative, np.square, np.absolute, np.sqrt)
ARITHMETIC = (np.add, np.subtract, np.multiply, np.divide)
CHOICES = (np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal)


@pytest.fixture(autouse=True)
def _folder_of_kernels(tmp_path_factory, monkeypatch):
    base = tmp_path_factory.getbasetemp() / "kernels"
    base.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(base))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)


def compiled(f):
    return te.compile(f, backend="numba")


def loops_of(f):
    return [call for call in f.traces[0].program.calls if type(call) is Loop]


def strange(dtype):
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    numbers = [np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -3 * tiny, huge, 1, -1.5, 0.3]
    x = np.array(numbers, dtype)
    return np.repeat(x, len(x)), np.tile(x, len(x))


def assert_same_bits(got, wanted, known=True):
    np.testing.assert_array_equal(got, wanted, strict=True)
    known = known & ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(wanted[known]))


def elementwise(x, y):
    found = [f(x, y) for f in (np.maximum, np.minimum, *ARITHMETIC)]
    found += [f(x) for f in ALONE]
    found += [np.where(f(x, y), x, y) for f in CHOICES]
    found += [np.multiply(x, x > y), np.where(x > 0, 1.5, y), np.add(2, x) - 0.1]
    return tuple(found)


@needs_numba
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementwise_functions_have_numpys_bits(dtype):
    x, y = strange(dtype)
    f = compiled(elementwise)

    with np.errstate(all="ignore"):
        for _ in range(2):
            pairs = list(zip(f(x, y), elementwise(x, y), strict=True))
            for got, wanted in pairs[:2]:  # of two zeros NumPy, too, takes either
                assert_same_bits(got, wanted, (x != 0) | (y != 0))
            for got, wanted in pairs[2:]:
                assert_same_bits(got, wanted)
    assert len(loops_of(f)) == 1
    known = {*ARITHMETIC, *ALONE, *CHOICES, *HEAVY, np.maximum, np.minimum, np.where}
    assert known | {np.dot} == loops._FORMS.keys()


@needs_numba
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_the_library_differ_in_the_last_digits(dtype):
    x, _ = strange(dtype)
    f = compiled(lambda x: tuple(g(x) for g in HEAVY))

    with np.errstate(all="ignore"):
        for got, g in zip(f(x), HEAVY, strict=True):
            np.testing.assert_array_max_ulp(got[~np.isnan(g(x))], g(x)[~np.isnan(g(x))])
            np.testing.assert_array_equal(np.isnan(got), np.isnan(g(x)))


@needs_numba
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F", "strided", "reversed", "read-only"])
def test_memory_order_makes_no_difference(dtype, order):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 8)).astype(dtype), rng.random(8).astype(dtype)
    if order == "read-only":
        x.flags.writeable = False
    elif order == "F":
        x = np.asfortranarray(x)
    elif order != "C":
        x = np.repeat(x, 2, axis=1)[:, ::2] if order == "strided" else x[::-1, ::-1]

    def f(x, w):
        y = (x * w + 1.0).T
        return np.where(y > 1, y, 0.0) * 2 - y

    run = compiled(f)
    for _ in range(2):
        got, wanted = run(x, w), f(x, w)
        np.testing.assert_array_equal(got, wanted, strict=True)
        assert got.strides == wanted.strides


@needs_numba
@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 3, 256])
def test_sums_of_rows_and_of_columns(width):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((5, 7, width)).astype(np.float32) for _ in range(2))
    w = rng.random(width).astype(np.float32)

    def f(x, w, g):
        return te.sum(te.standardize(x, eps=1e-5) * w * g) + te.sum(te.softmax(x) * g)

    wanted = te.grad(f, argnums=(0, 1))(x, w, g)
    run = compiled(te.grad(f, argnums=(0, 1)))
    for _ in range(2):
        for a, b in zip(run(x, w, g), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


NETWORKS = {
    "dense": lambda d: [te.nn.Linear(4, 3, dtype=d, rng=1)],
    "norms": lambda d: [
        te.nn.LayerNorm(4, dtype=d),
        te.nn.Linear(4, 6, dtype=d, rng=1),
        te.nn.BatchNorm1d(6, dtype=d),
        te.nn.GELU(),
        te.nn.Dropout(0.2, rng=3),
        te.nn.Linear(6, 3, dtype=d, rng=2),
    ],
    "sequence": lambda d: [Sequence(d)],
    "picture": lambda d: [
        Picture(),
        te.nn.Conv2d(1, 3, 2, dtype=d, rng=0),
        te.nn.ReLU(),
        te.nn.Flatten(),
        te.nn.Linear(3, 3, dtype=d, rng=1),
    ],
    "layers": lambda d: [
        te.nn.Linear(4, 6, dtype=d, rng=1),
        te.nn.GELU(),
        te.nn.LayerNorm(6, dtype=d),
        te.nn.Linear(6, 3, dtype=d, rng=2),
    ],
}
OPTIMIZERS = {
    "sgd": lambda p: te.optim.SGD(p, lr=0.1),
    "nesterov": lambda p: te.optim.SGD(
        p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "adamw": lambda p: te.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: te.optim.RMSProp(p, lr=0.01, momentum=0.5),
}


class Sequence(te.nn.Layer):
    """An LSTM over the four numbers of a row."""

    def __init__(self, dtype):
        super().__init__()
        self.cells = te.nn.LSTM(1, 5, dtype=dtype, rng=0)
        self.last = te.nn.Linear(5, 3, dtype=dtype, rng=1)

    def forward(self, x):
        return self.last(self.cells(te.reshape(x, (-1, 4, 1)))[:, -1])


class Picture(te.nn.Layer):
    def forward(self, x):
        return te.reshape(x, (-1, 1, 2, 2))


def network(name, dtype=np.float64):
    return te.nn.Sequential(*NETWORKS[name](dtype))


def batches(n, dtype=np.float64, rows=6):
    rng = np.random.default_rng(7)
    for _ in range(n):
        yield rng.standard_normal((rows, 4)).astype(dtype), rng.integers(0, 3, rows)


def eager(model, optimizer, X, y):
    loss = te.nn.softmax_cross_entropy(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@needs_numba
@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("name", "dtype", "digits"),
    [(name, np.float64, 1e-9) for name in NETWORKS] + [("layers", np.float32, 1e-3)],
)
def test_fifty_steps_are_the_engines(name, dtype, digits, optimizer):
    model = network(name, dtype)
    other = copy.deepcopy(model)
    theirs = OPTIMIZERS[optimizer](other.parameters())
    step = te.compile(
        model,
        te.nn.softmax_cross_entropy,
        OPTIMIZERS[optimizer](model.parameters()),
        backend="numba",
    )

    for X, y in batches(50, dtype):
        assert step(X, y) == pytest.approx(eager(other, theirs, X, y), rel=digits)

    wanted = other.state_dict()
    for key, x in model.state_dict().items():
        np.testing.assert_allclose(x, wanted[key], rtol=digits, atol=digits)
    assert len(step.traces) == 1 and loops_of(step)


@needs_numba
@pytest.mark.slow
def test_loops_of_one_form_are_compiled_once():
    def f(x):
        for _ in range(20):
            x = np.matmul(x, x)
            x = (x * 0.25 - 1) * x
        return x

    run = compiled(f)
    run(np.full((3, 3), 0.1))
    assert len(loops_of(run)) == 20
    assert len({id(loop.function) for loop in loops_of(run)}) <= 2  # one hands it out


@needs_numba
@pytest.mark.slow
def test_a_kernel_is_made_of_numbered_names_loops_and_arithmetic():
    model = network("norms")
    optimizer = te.optim.Adam(model.parameters())
    step = te.compile(model, te.nn.softmax_cross_entropy, optimizer, backend="numba")
    step(*next(batches(1)))
    allowed = ast.Module | ast.FunctionDef | ast.arguments | ast.arg | ast.For
    allowed |= ast.Assign | ast.Name | ast.Load | ast.Store | ast.Constant | ast.Call
    allowed |= ast.Subscript | ast.BinOp | ast.operator | ast.UnaryOp | ast.unaryop
    allowed |= ast.Compare | ast.cmpop | ast.IfExp
    functions = {"range", "empty", "f4", "f8", "b1", "exp", "log", "tanh", "sqrt"}
    functions |= {"abs", "plus", "most", "least", "inf", "nan"}

    assert loops_of(step)
    for loop in loops_of(step):
        for node in ast.walk(ast.parse(loop.text)):
            assert isinstance(node, allowed), ast.dump(node)
            if isinstance(node, ast.Name) and node.id not in functions:
                assert node.id[0] in "anvrshi" and node.id[1:].isdigit(), node.id


@needs_numba
@pytest.mark.slow
def test_a_wrong_kernel_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setitem(loops._FORMS, np.multiply, "({} * {} * f8(1.0000001))")
    f = compiled(lambda x, y: np.multiply(x, y) - 0.25)

    with pytest.raises(AssertionError, match=r"another subtract .* than NumPy"):
        f(np.ones(3), np.full(3, 2.0))
    assert not f.traces


@needs_numba
@pytest.mark.slow
def test_an_error_of_the_engine_is_one_and_changes_nothing():
    model = network("dense")
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    step = te.compile(model, te.nn.softmax_cross_entropy, optimizer, backend="numba")
    (X, y), *_ = batches(1)
    step(X, y)
    before = copy.deepcopy(model.state_dict())

    with pytest.raises(ValueError, match="label"):
        step(X, y + 3)
    for key, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[key])


@needs_numba
@pytest.mark.slow
def test_threads_may_compile_and_run_at_once():
    x = np.linspace(-1, 1, 1000)
    failed = []

    def work(i):
        f = compiled(lambda x: (x * x + 1.0) / (x - 3.0 - i % 2))
        for _ in range(200):
            if not np.array_equal(f(x), (x * x + 1.0) / (x - 3.0 - i % 2)):
                failed.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@needs_numba
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
@pytest.mark.parametrize("who", ["group", "others"])
def test_a_folder_that_others_write_into_is_refused(tmp_path, monkeypatch, who):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mask = os.umask(0o002)
    try:
        place = kernels.folder()
    finally:
        os.umask(mask)
    assert place.stat().st_mode & 0o777 == 0o700
    place.parent.chmod(0o770 if who == "group" else 0o707)

    with pytest.raises(
        PermissionError, match=r"others than you can write into .* chmod go-w"
    ):
        kernels.folder()


@needs_numba
@pytest.mark.slow
def test_a_kernel_that_was_kept_is_written_again_if_its_text_is_another():
    f = lambda x: (x + 0.125) * x  # noqa: E731
    compiled(f)(np.ones(2))
    files = sorted(kernels.folder().glob("loop_*.py"))
    texts = {path: path.read_text() for path in files}
    for path in files:
        path.write_text("raise SystemExit")
    kernels._kernels.clear()

    assert compiled(f)(np.ones(2)).tolist() == [1.125, 1.125]
    assert any(path.read_text() == text for path, text in texts.items())


def test_an_unknown_backend_and_a_missing_one_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="one of numpy, numba, jax, got 'fortran'"):
        te.compile(np.sin, backend="fortran")
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad_edu\[fast\]'"):
        te.compile(np.sin, backend="numba")


@needs_numba
def test_it_is_a_decorator():
    @te.compile(backend="numba")
    def doubled(x):
        return x + x

    assert doubled(np.ones(2)).tolist() == [2.0, 2.0]
