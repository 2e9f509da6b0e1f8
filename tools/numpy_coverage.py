"""Write ``docs/numpy.md``: which of NumPy's functions have a derivative here.

    python tools/numpy_coverage.py               # writes the page
    python tools/numpy_coverage.py --print       # what is missing, one a line
    python tools/numpy_coverage.py --peer jax    # measures another package, as JSON

Each function that has a derivative for real arrays is called as NumPy is, once plainly
and once for each keyword argument; a call counts if the gradient of its results agrees
with finite differences. Another package is measured by the Python that has it, with
NumPy, but without this one: ``PYTHONPATH= venv/bin/python tools/numpy_coverage.py``.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PATH = Path(__file__).parents[1] / "docs" / "numpy.md"

#: Measured with ``--peer``, see MEASURED.
_OF = {"of": 234, "of_keywords": 347}
PEERS: dict[str, dict[str, int]] = {
    "autograd 1.9.1": {"functions": 134, "keywords": 104, **_OF},
    "MyGrad 2.5.0": {"functions": 68, "keywords": 67, **_OF},
    "JAX 0.10.2": {"functions": 230, "keywords": 277, **_OF},
}
MEASURED = """
The others were measured on 1 December 2026, with NumPy 2.4.6: of autograd and JAX what
stands in their own `numpy`, of MyGrad NumPy's functions on its tensors, and its own.
Complex results count, and only here are they refused.
"""

_SYMMETRIC = np.array([[2.1, 0.3, -0.4], [0.3, 1.6, 0.2], [-0.4, 0.2, 1.2]])
#: What is called with. Arrays of floats are what derivatives are taken by.
VARIABLES: dict[str, Any] = {
    "x": np.array([0.6, 1.7, 1.1, 2.3]),
    "y": np.array([1.4, 0.9, 2.1, 0.5]),
    "u": np.array([0.2, -0.4, 0.7, 0.1]),
    "w": np.array([0.5, -1.2, 0.8]),
    "s": np.array([0.1, 0.9, 2.0, 3.1]),  # sorted
    "xp": np.array([0.1, 0.9, 2.0, 3.1]),
    "fp": np.array([1.4, 0.9, 2.1, 0.5]),
    "h": np.array([0.6, np.nan, 1.1, 2.3]),
    "p": np.array([0.5, 4.1, 8.6, 9.2]),
    "c": np.array([[0.3], [0.8], [-0.7]]),
    "A": np.array([[0.9, 0.2, -0.5], [0.4, 1.3, 0.7], [-0.8, 0.6, 1.9]]),
    "S": _SYMMETRIC,
    "B": np.array([[0.7, 1.2], [-0.3, 0.4]]),
    "b": np.array([0.3, -1.1, 0.9]),
    "T": np.linspace(-1, 2, 16).reshape(2, 2, 2, 2) ** 2
    + np.eye(4).reshape(2, 2, 2, 2),
    "mask": np.array([True, False, True, True]),
    "k": np.array([0, 2, 1]),
    "f": None,  # a function, see below
}


def _ways(*names: str, of: str = "x") -> dict[str, str]:
    return {name: f"np.{name}({of})" for name in names}


#: The functions that have a derivative for real arrays, each with a call.
CALLS: dict[str, str] = {
    **_ways(
        *"absolute negative positive sqrt cbrt square reciprocal sign fabs".split()
    ),
    **_ways(*"exp exp2 expm1 log log2 log10 log1p sinc nan_to_num".split()),
    **_ways(*"sin cos tan sinh cosh tanh arctan arcsinh i0 modf".split()),
    **_ways(*"deg2rad rad2deg degrees radians conjugate real real_if_close".split()),
    **_ways("arcsin", "arccos", "arctanh", of="u"),
    "arccosh": "np.arccosh(x + 1)",
    **_ways(*"add subtract multiply divide power remainder fmod".split(), of="x, y"),
    **_ways(*"maximum minimum fmax fmin hypot arctan2 copysign".split(), of="x, y"),
    **_ways("logaddexp", "logaddexp2", "float_power", "divmod", of="x, y"),
    "ldexp": "np.ldexp(x[:3], k)",
    "clip": "np.clip(x, 0.7, 2.0)",
    "where": "np.where(mask, x, y)",
    "unwrap": "np.unwrap(p)",
    # reductions
    **_ways(*"sum mean prod max min amax amin ptp std var median cumsum".split()),
    **_ways(*"cumprod cumulative_sum cumulative_prod average".split()),
    **_ways(*"nansum nanmean nanprod nanmax nanmin nanstd nanvar".split(), of="h"),
    **_ways("nanmedian", "nancumsum", "nancumprod", of="h"),
    "quantile": "np.quantile(x, 0.3)",
    "percentile": "np.percentile(x, 30)",
    "nanquantile": "np.nanquantile(h, 0.3)",
    "nanpercentile": "np.nanpercentile(h, 30)",
    "cov": "np.cov(x, y)",
    "corrcoef": "np.corrcoef(x, y)",
    "diff": "np.diff(x)",
    "ediff1d": "np.ediff1d(x)",
    "gradient": "np.gradient(x)",
    "trapezoid": "np.trapezoid(x)",
    "apply_along_axis": "np.apply_along_axis(f, 1, A)",
    "apply_over_axes": "np.apply_over_axes(np.sum, A, [0, 1])",
    "bincount": "np.bincount(k, w)",
    "interp": "np.interp(x, xp, fp)",
    "convolve": "np.convolve(x, w)",
    "correlate": "np.correlate(x, w)",
    # products and linear algebra
    **_ways("dot", "matmul", "inner", "vdot", "tensordot", of="A, S"),
    "outer": "np.outer(x, w)",
    "kron": "np.kron(B, w)",
    "cross": "np.cross(w, b)",
    "einsum": "np.einsum('ij,j->i', A, b)",
    "vecdot": "np.vecdot(x, y)",
    "matvec": "np.matvec(A, b)",
    "vecmat": "np.vecmat(b, A)",
    "trace": "np.trace(A)",
    **_ways(
        *"linalg.det linalg.inv linalg.slogdet linalg.qr linalg.svd".split(), of="A"
    ),
    **_ways(*"linalg.svdvals linalg.pinv linalg.cond linalg.norm".split(), of="A"),
    **_ways("linalg.cholesky", "linalg.eigh", "linalg.eigvalsh", of="S"),
    **_ways("linalg.eig", "linalg.eigvals", of="S"),
    "linalg.matrix_norm": "np.linalg.matrix_norm(A)",
    "linalg.vector_norm": "np.linalg.vector_norm(x)",
    "linalg.solve": "np.linalg.solve(A, b)",
    "linalg.lstsq": "np.linalg.lstsq(A, b)[0]",
    "linalg.tensorinv": "np.linalg.tensorinv(T)",
    "linalg.tensorsolve": "np.linalg.tensorsolve(T, B)",
    "linalg.matrix_power": "np.linalg.matrix_power(A, 3)",
    "linalg.multi_dot": "np.linalg.multi_dot([A, S, b])",
    "linalg.vecdot": "np.linalg.vecdot(x, y)",
    "linalg.matmul": "np.linalg.matmul(A, S)",
    "linalg.outer": "np.linalg.outer(x, w)",
    "linalg.cross": "np.linalg.cross(w, b)",
    "linalg.trace": "np.linalg.trace(A)",
    "linalg.diagonal": "np.linalg.diagonal(A)",
    "linalg.matrix_transpose": "np.linalg.matrix_transpose(A)",
    "linalg.tensordot": "np.linalg.tensordot(A, S)",
    # shapes
    **_ways(*"transpose matrix_transpose ravel squeeze copy diag".split(), of="A"),
    **_ways(*"diagonal tril triu rot90 flip fliplr flipud diagflat".split(), of="A"),
    **_ways(*"atleast_1d atleast_2d atleast_3d sort".split()),
    "sort_complex": "np.sort_complex(x)",
    "partition": "np.partition(x, (0, 1, 2, 3))",
    "reshape": "np.reshape(x, (2, 2))",
    "resize": "np.resize(x, (2, 3))",
    "expand_dims": "np.expand_dims(x, 0)",
    "swapaxes": "np.swapaxes(A, 0, 1)",
    "moveaxis": "np.moveaxis(T, 0, 2)",
    "rollaxis": "np.rollaxis(T, 2)",
    "broadcast_to": "np.broadcast_to(c, (3, 4))",
    "broadcast_arrays": "np.broadcast_arrays(x, c)",
    "meshgrid": "np.meshgrid(x, y)",
    "roll": "np.roll(x, 1)",
    "repeat": "np.repeat(x, 2)",
    "tile": "np.tile(x, 2)",
    "pad": "np.pad(x, 1)",
    "astype": "np.astype(x, float)",
    # several made one, one made several
    **_ways("stack", "concatenate", "hstack", "vstack", "dstack", of="[x, y]"),
    "column_stack": "np.column_stack([x, y])",
    "append": "np.append(x, y)",
    "block": "np.block([[A, c], [b, 1.0]])",
    "insert": "np.insert(x, 1, y[0])",
    "delete": "np.delete(x, 1)",
    "split": "np.split(x, 2)",
    "array_split": "np.array_split(x, 3)",
    "hsplit": "np.hsplit(A, 3)",
    "vsplit": "np.vsplit(A, 3)",
    "dsplit": "np.dsplit(T, 2)",
    "unstack": "np.unstack(A)",
    # indices
    "take": "np.take(x, k)",
    "take_along_axis": "np.take_along_axis(x, k, 0)",
    "compress": "np.compress(mask, x)",
    "extract": "np.extract(mask, x)",
    "choose": "np.choose(mask.astype(int), [x, y])",
    "select": "np.select([x < 1, x < 1.5], [x, y])",
    "piecewise": "np.piecewise(x, [x < 1], [f, 0.0])",
    "trim_zeros": "np.trim_zeros(x)",
    # ranges
    "linspace": "np.linspace(x[0], x[1], 5)",
    "logspace": "np.logspace(x[0], x[1], 5)",
    "geomspace": "np.geomspace(x[0], x[1], 5)",
    # polynomials
    **_ways("polyadd", "polysub", "polymul", of="x, w"),
    "polydiv": "np.polydiv(x, w)",
    "polyval": "np.polyval(w, x)",
    "polyder": "np.polyder(x)",
    "polyint": "np.polyint(x)",
    "polyfit": "np.polyfit(x, y, 2)",
    "poly": "np.poly(x)",
    "roots": "np.roots(x)",
    "vander": "np.vander(x)",
    # Fourier transforms
    **_ways(*"fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft".split()),
    **_ways("fft.fftshift", "fft.ifftshift"),
    **_ways(*"fft.fft2 fft.ifft2 fft.fftn fft.ifftn".split(), of="A"),
    **_ways(*"fft.rfft2 fft.irfft2 fft.rfftn fft.irfftn".split(), of="A"),
}

#: A value other than the default for each keyword argument, by function where needed.
VALUES: dict[str, str] = {
    "axis": "0",
    "axis1": "1",
    "axis2": "0",
    "keepdims": "True",
    "dtype": "float",
    "where": "mask",
    "initial": "2.0",
    "ddof": "1",
    "correction": "1",
    "mean": "np.mean(x)",
    "weights": "y",
    "aweights": "s",
    "fweights": "np.array([1, 2, 1, 3])",
    "returned": "True",
    "rowvar": "False",
    "bias": "True",
    "include_initial": "True",
    "method": "'lower'",
    "n": "2",
    "m": "2",
    "prepend": "y[:1]",
    "append": "y[:1]",
    "to_begin": "y[:1]",
    "to_end": "y[:1]",
    "dx": "0.5",
    "x": "s",
    "k": "1",
    "offset": "1",
    "order": "'F'",
    "copy": "False",
    "period": "3.5",
    "discont": "4.0",
    "edge_order": "2",
    "left": "0.5",
    "right": "0.5",
    "mode": "'wrap'",
    "minlength": "5",
    "casting": "'same_kind'",
    "nan": "1.0",
    "posinf": "1.0",
    "neginf": "1.0",
    "indexing": "'ij'",
    "sparse": "True",
    "shift": "1",
    "axes": "(1, 0)",
    "kind": "'stable'",
    "stable": "True",
    "descending": "True",
    "endpoint": "False",
    "base": "3.0",
    "increasing": "True",
    "N": "3",
    "deg": "True",
    "default": "0.5",
    "trim": "'f'",
    "norm": "'ortho'",
    "ord": "1",
    "p": "1",
    "rcond": "0.1",
    "rtol": "0.1",
    "hermitian": "True",
    "compute_uv": "False",
    "full_matrices": "False",
    "UPLO": "'U'",
    "upper": "True",
    "optimize": "True",
    "repeats": "2",
    "start": "0",
    "total_repeat_length": "4",
    "min": "0.7",
    "max": "2.0",
    "axisa": "0",
    "axisb": "0",
    "axisc": "0",
    "retstep": "True",
    "full": "True",
    "cov": "True",
    "s": "(2, 2)",
    "tol": "10",
}
OF_FUNCTION: dict[tuple[str, str], str] = {
    ("linalg.qr", "mode"): "'r'",
    ("pad", "mode"): "'edge'",
    ("convolve", "mode"): "'same'",
    ("correlate", "mode"): "'same'",
    ("tensordot", "axes"): "1",
    ("linalg.tensordot", "axes"): "1",
    ("rot90", "axes"): "(1, 0)",
    ("linalg.tensorsolve", "axes"): "(0, 1)",
    ("linalg.tensorinv", "ind"): "1",
    ("flip", "axis"): "0",
    ("trapezoid", "axis"): "-1",
    ("squeeze", "axis"): "()",
    ("polyint", "m"): "2",
    ("polyint", "k"): "0.5",
    ("polyder", "m"): "2",
    ("polyfit", "w"): "s",
    ("diff", "n"): "2",
    ("percentile", "weights"): "",
    ("apply_along_axis", "axis"): "",
    ("broadcast_to", "shape"): "",
    ("nanmax", "where"): "mask, initial=0.1",
    ("max", "where"): "mask, initial=0.1",
    ("min", "where"): "mask, initial=9.0",
    ("amax", "where"): "mask, initial=0.1",
    ("amin", "where"): "mask, initial=9.0",
    ("nanmin", "where"): "mask, initial=9.0",
    ("quantile", "weights"): "",
    ("linalg.svd", "hermitian"): "",  # A is not symmetric
    ("linalg.pinv", "hermitian"): "",
    ("nan_to_num", "copy"): "",  # False writes into the array
}
#: Arguments that mean nothing for derivatives.
_NO_MATTER = {"out", "subok", "like", "device", "overwrite_input", "interpolation"}


class Call(NamedTuple):
    """A call of a function, written out."""

    name: str
    keyword: str  # empty for the plain one
    code: str


def calls() -> list[Call]:
    """Return every call that NumPy can do, and of which it gives numbers."""
    found = []
    for name, code in CALLS.items():
        found.append(Call(name, "", code))
        for keyword in _keywords(name):
            value = OF_FUNCTION.get((name, keyword), VALUES.get(keyword))
            if value is None:
                print(f"no value for {keyword} of {name}", file=sys.stderr)
            if value:
                more = f"{code[: code.rindex(')')]}, {keyword}={value})"
                call = Call(name, keyword, more + code[code.rindex(")") + 1 :])
                if _runs(call):
                    found.append(call)
    return found


def _keywords(name: str) -> list[str]:
    """Return the arguments of a function that may be left out, but for the array."""
    function = of_numpy(name)
    if isinstance(function, np.ufunc):
        return ["dtype"]
    written = ast.parse(CALLS[name], mode="eval")
    (call,) = [
        node
        for node in ast.walk(written)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"np.{name}"
    ]
    parameters = inspect.signature(function).parameters.values()
    return [
        p.name
        for p in list(parameters)[len(call.args) :]
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and p.default is not p.empty
        and p.name not in _NO_MATTER
    ]


def of_numpy(name: str) -> Callable[..., Any]:
    """Return NumPy's function of a name such as ``linalg.det``."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def _runs(call: Call) -> bool:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return all(np.all(np.isfinite(y)) for y in results(call.code, np, {}))
    except Exception:
        return False


# ---------------------------------------------------------------- derivatives of a call


def results(code: str, numpy: Any, arrays: dict[str, Any]) -> list[Any]:
    """Return what a call gives, array by array."""
    names = VARIABLES | {"f": lambda v: v * v} | arrays
    *before, last = ast.parse(code).body
    exec(
        compile(ast.Module(before, []), "<call>", "exec"), names | {"np": numpy}, names
    )
    assert isinstance(last, ast.Expr)
    value = eval(
        compile(ast.Expression(last.value), "<call>", "eval"), {**names, "np": numpy}
    )
    return _flat(value)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple) or type(value).__name__ == "SequenceBox":
        return [y for i in range(len(value)) for y in _flat(value[i])]
    return [value]


def taken_by(code: str) -> dict[str, np.ndarray]:
    """Return the arrays by which a call has derivatives."""
    used = {n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)}
    floats = {
        name: x
        for name, x in VARIABLES.items()
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and name in used
    }
    return floats


def weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return by how much each result counts: a gradient is that of one number."""
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


def differences(code: str) -> dict[str, np.ndarray]:
    """Return the gradient by finite differences."""

    def number(arrays: dict[str, np.ndarray]) -> float:
        total = 0.0
        for i, y in enumerate(results(code, np, arrays)):
            total += np.sum(np.real(y) * weights(np.shape(y), i))
            total += np.sum(np.imag(y) * weights(np.shape(y), i + 100))
        return float(total)

    found = {}
    for name, x in taken_by(code).items():
        found[name] = g = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            if np.isfinite(x[index]):
                both = []
                for step in (1e-5, -1e-5):
                    moved = x.copy()
                    moved[index] += step
                    if "S" == name:  # stays symmetric
                        moved = (moved + moved.T) / 2
                    both.append(number({name: moved}))
                g[index] = (both[0] - both[1]) / 2e-5
    return found


def is_right(call: Call, gradient: Callable[[str], dict[str, Any]]) -> bool:
    """Whether a package's gradient of a call is that by differences."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            expected = differences(call.code)
            found = gradient(call.code)
    except Exception:
        return False
    if found.keys() != expected.keys():
        return False
    scale = max(float(np.max(np.abs(g), initial=0.0)) for g in expected.values())
    for name, g in expected.items():
        mine = np.asarray(found[name], float)
        if name == "S":
            mine = (mine + mine.T) / 2
        if mine.shape != g.shape or not np.allclose(mine, g, 1e-5, 1e-6 * (1 + scale)):
            return False
    return True


def _ours(code: str) -> dict[str, Any]:
    import tinygrad_edu as te

    leaves = {n: te.tensor(x, requires_grad=True) for n, x in taken_by(code).items()}
    total: Any = 0.0
    for i, y in enumerate(results(code, np, leaves | {"te": te})):
        if isinstance(y, te.Tensor) and y.requires_grad:
            total = total + te.sum(y * weights(y.shape, i))
    found = te.gradients(total, list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def _autograd(code: str) -> dict[str, Any]:
    import autograd
    import autograd.numpy as anp

    return _by_grad(code, anp, lambda f: autograd.grad(f))


def _jax(code: str) -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    return _by_grad(code, jax.numpy, lambda f: jax.grad(f))


def _by_grad(code: str, numpy: Any, grad: Any) -> dict[str, Any]:
    def number(arrays: Any) -> Any:
        total = 0.0
        arrays = {name: arrays[name] for name in taken_by(code)}
        for i, y in enumerate(results(code, numpy, arrays)):
            total = total + numpy.sum(numpy.real(y) * weights(numpy.shape(y), i))
            if numpy.iscomplexobj(y):
                part = numpy.imag(y) * weights(numpy.shape(y), i + 100)
                total = total + numpy.sum(part)
        return total

    return dict(grad(number)({n: numpy.array(x) for n, x in taken_by(code).items()}))


def _mygrad(code: str) -> dict[str, Any]:
    import mygrad

    error: Exception | None = None
    for numpy in (np, mygrad):  # NumPy's own functions where they record, else its own
        leaves = {n: mygrad.tensor(x) for n, x in taken_by(code).items()}
        try:
            total: Any = 0.0
            for i, y in enumerate(results(code, numpy, leaves)):
                if isinstance(y, mygrad.Tensor):
                    total = total + mygrad.sum(y * weights(y.shape, i))
            total.backward()
            return {
                n: np.zeros(x.shape) if x.grad is None else x.grad
                for n, x in leaves.items()
            }
        except Exception as failed:
            error = failed
    raise error or AssertionError


PACKAGES = {"ours": _ours, "autograd": _autograd, "mygrad": _mygrad, "jax": _jax}


def measured(package: str) -> dict[Call, bool]:
    """Return for every call whether a package differentiates it rightly."""
    return {call: is_right(call, PACKAGES[package]) for call in calls()}


def summary(found: dict[Call, bool]) -> dict[str, int]:
    """Count functions, and keyword arguments of all functions."""
    plain = [right for call, right in found.items() if not call.keyword]
    keywords = [right for call, right in found.items() if call.keyword]
    return {
        "functions": sum(plain),
        "of": len(plain),
        "keywords": sum(keywords),
        "of_keywords": len(keywords),
    }


# ---------------------------------------------------------------------------- the page

HEAD = """\
# NumPy's functions

Written by `tools/numpy_coverage.py`. NumPy's functions record when they are handed a
Tensor; for those without an operation behind them the error says what to write.

## How many have a derivative

Every function of `numpy`, `numpy.linalg` and `numpy.fft` that has a derivative for real
arrays is called, and once more for each keyword argument but `out=` and its like. A
call counts where the gradient of its results is that by finite differences.

| | functions | keyword arguments |
| --- | --- | --- |
"""
REFUSED_HEAD = """
## What is refused, and what to write

In place of the call on the left, code with the same results and derivatives, for these
shapes. `te.svdvals` and the like are [operations](operations.md).

| call | write |
| --- | --- |
"""
NO_DERIVATIVE = """
## What has no derivative

Functions that give plain numbers, such as comparisons, `np.argmax` and `np.round`, take
Tensors. These do not; for their plain numbers hand them `t.detach().numpy()`.

| | |
| --- | --- |
"""
SHAPES = """
`x`, `y`, `xp`, `fp`, `h` (with a nan) and `p` are vectors of 4 numbers, `w` and `b` of
3, `A` and `S` matrices of 3 × 3, `B` of 2 × 2, `T` is of shape (2, 2, 2, 2), `c` a
column of 3, `mask` a vector of booleans, `k` of 3 indices.
"""


def page() -> str:
    """Return the page, as it is to be."""
    lines = [HEAD, _row("here", summary(measured("ours")))]
    lines += [_row(name, found) for name, found in PEERS.items()]
    return "".join([*lines, MEASURED, refused()])


def refused() -> str:
    """Return the tables of what is refused."""
    from tinygrad_edu.engine.refusals import REFUSED

    lines, without = [REFUSED_HEAD], []
    for name, refusal in sorted(REFUSED.items()):
        if refusal.smooth and refusal.instead:
            lines.append(f"| `{CALLS[name]}` | `{refusal.instead}` |\n")
        elif refusal.smooth:
            without.append(f"`{name}`")
    lines.append(SHAPES)
    lines.append(f"\nWithout a short way: {', '.join(without)}.\n")
    lines.append(NO_DERIVATIVE)
    for why in dict.fromkeys(r.why for r in REFUSED.values() if not r.smooth):
        names = (
            f"`{name}` (`{r.instead}`)" if r.instead else f"`{name}`"
            for name, r in sorted(REFUSED.items())
            if r.why == why
        )
        lines.append(f"| {why} | {', '.join(names)} |\n")
    return "".join(lines)


def _row(name: str, found: dict[str, int]) -> str:
    return (
        f"| {name} | {_share(found['functions'], found['of'])} | "
        f"{_share(found['keywords'], found['of_keywords'])} |\n"
    )


def _share(count: int, of: int) -> str:
    return f"{count} of {of}, {count / of:.0%}"


def main() -> None:
    """Write the page, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--print", action="store_true", help="what is missing")
    parser.add_argument("--peer", choices=PACKAGES, help="measure another package")
    options = parser.parse_args()
    if options.print or options.peer:
        found = measured(options.peer or "ours")
        if options.print:
            print(*(call.code for call, right in found.items() if not right), sep="\n")
        print(json.dumps(summary(found)))
        return
    from tinygrad_edu.files import written_atomically

    with written_atomically(PATH) as file:
        file.write(page().encode())


if __name__ == "__main__":
    main()
