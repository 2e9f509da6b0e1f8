"""Each keyword of each NumPy function that answers to Tensors: taken, or refused.

The walk is over NumPy's own signatures: what it is given tomorrow is found, too.
"""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.dispatch import _ANSWERS_PLAINLY, FROM_NUMPY

X = np.array([[0.5, 0.9, 0.3], [0.2, 0.7, 0.6]])
M = np.array([[2.0, 0.3], [0.1, 3.0]])  # a matrix whose triangles differ
MASK = np.array([[True, False, True], [False, True, True]])
WEIGHTS = np.array([[1, 2, 3], [0, 1, 4]])  # of which there is no derivative
QUANTILES = ("quantile", "percentile")
PRODUCTS = ("matmul", "matvec", "vecmat", "vecdot")
FOUR = (np.arange(16.0) ** 2 % 7 + 9 * np.eye(4).ravel()).reshape(2, 2, 2, 2)

#: What a function is called with, by its name: one array unless it is here.
ARGUMENTS = {
    **dict.fromkeys(("dot", "inner", "kron", "vdot"), (X[0], X[1])),
    **dict.fromkeys(("inv", "det", "slogdet", "eigh", "eigvalsh", "cholesky"), (M,)),
    **dict.fromkeys(("pinv", "svd", "svdvals", "qr"), (M,)),
    **dict.fromkeys(("concatenate", "stack", "hstack", "vstack"), ([X, X],)),
    **dict.fromkeys(("dstack", "column_stack"), ([X, X],)),
    **dict.fromkeys(("split", "array_split"), (X[:, :2], 2)),
    **dict.fromkeys(("trace", "diagonal"), (np.stack([M, 2 * M]),)),
    **dict.fromkeys(("cond", "matrix_rank"), (M,)),
    **dict.fromkeys(("convolve", "correlate"), (X[0], X[1, :2])),
    **dict.fromkeys(("quantile", "nanquantile"), (X, 0.3)),
    **dict.fromkeys(("percentile", "nanpercentile"), (X, 30.0)),
    **dict.fromkeys(("linspace", "logspace", "geomspace"), (X[0], X[1])),
    **dict.fromkeys(("hsplit", "vsplit"), (M, 2)),
    **dict.fromkeys(("cumulative_sum", "cumulative_prod", "vander"), (X[0],)),
    "append": (X, X),
    "apply_along_axis": (np.cumsum, 1, X),
    "apply_over_axes": (np.sum, X, (0,)),
    "arccosh": (X + 1,),
    "array_equal": (X, X),
    "all": (np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]),),
    "allclose": (X, X + 0.05),
    "any": (np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),),
    "bincount": (np.array([0, 2, 2]),),
    "broadcast_to": (X, (2, 2, 3)),
    "choose": (np.array([0, 1, 1]), [X[0], X[1]]),
    "clip": (X, 0.4, 0.8),
    "compress": ([True, False, True], X[0]),
    "cross": (np.vander(X[0]), np.vander(X[1])),
    "delete": (X, 1),
    "digitize": (X, np.array([0.1, 0.4, 0.9])),
    "dsplit": (np.stack([M, 2 * M], 2), 2),
    "einsum": ("ij,kj", X, X),
    "expand_dims": (X, 1),
    "extract": (MASK, X),
    "full_like": (X, 7.0),
    "insert": (X, 1, 5.0),
    "interp": (np.array([-0.3, 0.6, 1.4]), np.array([0.0, 0.5, 1.0]), X[0]),
    "isclose": (X, X + 0.05),
    "lstsq": (X.T, X[0]),
    "matmul": (X, X.T),
    "matvec": (X, X[0]),
    "meshgrid": (X[0], X[1]),
    "matrix_power": (M, 2),
    "moveaxis": (X, 0, 1),
    "multi_dot": ([X, X.T, X],),
    "nan_to_num": (np.array([0.5, np.nan, np.inf, -np.inf]),),
    "outer": (X[0], X[1]),
    "pad": (X, 1),
    "partition": (X, 1),
    "piecewise": (X, [X > 0.5], [np.sin]),
    "ldexp": (X, np.array([[1, -2, 0]])),
    "poly": (X[0],),
    "polyder": (X[0],),
    "polyfit": (X[0], X[1], 1),
    "polyint": (X[0],),
    "polyval": (X[0], X[1]),
    **dict.fromkeys(("polyadd", "polymul", "polysub"), (X[0], X[1])),
    "repeat": (X, 2),
    "reshape": (X, (3, 2)),
    "resize": (X, (2, 2)),
    "roll": (X, 1),
    "rollaxis": (X, 1),
    "searchsorted": (np.array([0.1, 0.4, 0.9]), X),
    "select": ([MASK, ~MASK[::-1]], [X, -X]),
    "solve": (M, M),
    "swapaxes": (X, 0, 1),
    "take": (X, [0, 1]),
    "take_along_axis": (X, np.array([[1, 0, 1]]), 0),
    "tensordot": (X, X),
    "tensorinv": (FOUR,),
    "tensorsolve": (FOUR, M),
    "tile": (X, 2),
    "unwrap": (np.array([[0.1, 3.0, -0.5], [2.5, -2.0, 5.0]]),),
    "vecdot": (X, X[::-1]),
    "vecmat": (X[0], X.T),
    "where": (MASK, X, -X),
}
#: For a keyword, or a function and a keyword: a value that is none of the defaults.
VALUES = {
    "N": 2,
    "UPLO": "U",
    "append": 1.0,
    "aweights": X[0],
    "axes": (1, 0),
    "axis": 0,
    "axis1": 1,
    "axis2": 2,
    "axisa": 0,
    "axisb": 0,
    "axisc": 0,
    "base": 2.0,
    "bias": True,
    "bins": 3,
    "casting": "unsafe",
    "compute_uv": False,
    "constant_values": 3.0,
    "copy": True,
    "correction": 1,
    "ddof": 1,
    "decimals": 1,
    "default": 2.0,
    "density": True,
    "device": "cpu",
    "discont": 4.0,
    "dtype": np.float32,
    "dx": 0.5,
    "edge_order": 2,
    "end_values": 1.0,
    "endpoint": False,
    "equal_nan": True,
    "full_matrices": False,
    "fweights": np.array([1, 3, 2]),
    "hermitian": True,
    "include_initial": True,
    "increasing": True,
    "ind": 1,
    "indexing": "ij",
    "initial": 0.55,
    "k": 1,
    "keepdims": True,
    "kind": "stable",
    "left": 2.0,
    "max": 0.8,
    "mean": np.array([[0.6]]),
    "method": "hazen",
    "min": 0.4,
    "minlength": 5,
    "mode": "wrap",
    "n": 2,
    "nan": 1.0,
    "neginf": 0.0,
    "num": 3,
    "offset": 1,
    "optimize": True,
    "ord": 1,
    "order": "F",
    "overwrite_input": False,
    "p": 1,
    "period": 0.8,
    "posinf": 1.0,
    "prepend": 1.0,
    "range": (0.0, 1.0),
    "rcond": 0.9,
    "reflect_type": "odd",
    "retstep": True,
    "returned": True,
    "right": True,
    "rowvar": False,
    "rtol": 0.9,
    "atol": 0.1,
    "shape": (2, 2),
    "side": "right",
    "signature": "d->d",
    "sorter": [0, 1, 2],
    "sparse": True,
    "stable": True,
    "start": 2,
    "stat_length": 1,
    "subok": True,
    "to_begin": X[0],
    "to_end": 7.0,
    "tol": 2.5,
    "upper": True,
    "weights": X[::-1],
    "where": MASK,
    "x": X + np.arange(3.0),
    "y": X[::-1],
    ("concatenate", "axis"): 1,
    ("stack", "axis"): 1,
    ("split", "axis"): 1,
    ("unstack", "axis"): 1,
    **{(f"{n}{q}", "weights"): WEIGHTS for n in ("", "nan") for q in QUANTILES},
    **{(f"{name}space", "axis"): 1 for name in ("lin", "log", "geom")},
    ("bincount", "weights"): X[0],
    ("array_split", "axis"): 1,
    ("append", "axis"): 1,
    ("diagonal", "axis1"): 2,
    ("matmul", "axes"): [(1, 0), (1, 0), (0, 1)],
    **{(name, "signature"): "dd->d" for name in PRODUCTS},
    ("matvec", "axes"): [(1, 0), 0, 0],
    ("vecmat", "axes"): [0, (1, 0), 0],
    ("vecdot", "axes"): [0, 0, ()],
    ("qr", "mode"): "r",
    ("choose", "mode"): "clip",
    **{(name, "mode"): "same" for name in ("convolve", "correlate")},
    ("unwrap", "period"): 4.0,
    ("cov", "ddof"): 0,
    ("angle", "deg"): True,
    ("polyder", "m"): 2,
    ("polyint", "m"): 2,
    ("polyfit", "rcond"): 1e-9,
    ("polyfit", "full"): True,
    ("polyfit", "w"): X[1],
    ("polyfit", "cov"): "unscaled",
    ("interp", "right"): 3.0,
    ("pad", "mode"): "edge",
    ("rot90", "axes"): (1, 0),
    ("tensordot", "axes"): 1,
    ("sort", "order"): "name",
    ("argsort", "order"): "name",
    ("trace", "axis1"): 2,
    ("empty_like", "shape"): (0, 2),
    **dict.fromkeys([("max", "initial"), ("nanmax", "initial")], 2.0),
    **dict.fromkeys([("min", "initial"), ("nanmin", "initial")], 0.1),
    ("rot90", "k"): 2,
    ("transpose", "axes"): (0, 1),
}
#: What is no parameter of its own in NumPy's signature.
HIDDEN = {
    "clip": ("dtype", "casting", "where", "order", "subok", "signature"),
    "einsum": ("dtype", "casting", "order"),
    "pad": ("constant_values", "stat_length", "end_values", "reflect_type"),
    **dict.fromkeys(("sum", "prod"), ("keepdims", "initial", "where")),
    **dict.fromkeys(("max", "min"), ("keepdims", "initial", "where")),
    **dict.fromkeys(("mean", "var", "std"), ("keepdims", "where")),
}
#: What makes no difference to the numbers, in memory alone or not at all.
SAYS_NOTHING = {
    *("casting", "copy", "device", "equal_nan", "kind", "optimize", "order", "out"),
    *("overwrite_input", "signature", "sorter", "stable", "subok", "side"),
    "svd.full_matrices",  # of a square one
    # of one axis
    *("cumulative_sum.axis", "cumulative_prod.axis", "compress.axis"),
    *("matrix_rank.hermitian", "histogram_bin_edges.weights", "polyfit.rcond"),
    *("real_if_close.tol", "angle.deg", "angle.z"),  # of real numbers above 0
}
#: All that is refused: always, of ufuncs, or of one function.
REFUSED = {
    *("out", "ufunc.where", "matmul.axis", "matmul.keepdims", "clip.where"),
    *("clip.signature", "pad.stat_length", "pad.end_values", "pad.reflect_type"),
    *("sort.order", "linspace.device"),
}


def leaf(x):
    """The same argument, with Tensors for its arrays."""
    if isinstance(x, list) and all(isinstance(part, np.ndarray) for part in x):
        return [leaf(part) for part in x]
    if isinstance(x, np.ndarray) and x.dtype == float:
        return te.tensor(x, requires_grad=True)
    return x


def arguments(f):
    name = f.__name__
    if name in ("outer", "trace", "diagonal", "matmul", "cross") and f in LINALG:
        return (M,) if name in ("trace", "diagonal") else ARGUMENTS[name]
    if name in ARGUMENTS:
        return ARGUMENTS[name]
    return (X, X[::-1]) if isinstance(f, np.ufunc) and f.nin == 2 else (X,)


LINALG = [f for f in vars(np.linalg).values() if callable(f)]


def keywords(f, given):
    """The keywords that a call with so many positional arguments leaves."""
    parameters = [*inspect.signature(f).parameters.values()]
    names = [
        p.name
        for i, p in enumerate(parameters)
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        if i >= given or p.kind is p.KEYWORD_ONLY
    ]
    hidden = HIDDEN.get(f.__name__, ()) if not isinstance(f, np.ufunc) else ()
    return [*names, *(key for key in hidden if key not in names)]


def value(f, key):
    name = f.__name__.removeprefix("a") if f in (np.amax, np.amin) else f.__name__
    if key == "signature" and isinstance(f, np.ufunc):
        kinds = "d" * f.nin + "->" + "d" * f.nout
        return next(t for t in [kinds, f.types[-1], *f.types] if "d" in t)
    if key == "dtype" and isinstance(f, np.ufunc) and f in PLAIN:
        return np.bool if f.types[0].endswith("?") else np.float64
    if key == "out":
        y = f(*arguments(f))
        return tuple(map(np.array, y)) if isinstance(y, tuple) else np.array(y)
    return VALUES.get((name, key), VALUES.get(key))


PLAIN = [f for f, call in FROM_NUMPY.items() if call in _ANSWERS_PLAINLY]


def needs(name, key):
    """What must be given along with a keyword: NumPy says so."""
    if key == "where" and name in ("max", "min", "amax", "amin", "nanmax", "nanmin"):
        return {"initial": 0.1 if "max" in name else 0.9}
    if key == "weights" and name.endswith(QUANTILES):
        return {"method": "inverted_cdf"}
    if key == "casting" and name in ("einsum", "concatenate", "stack"):
        return {"dtype": np.float32}
    return (
        {
            "mode": {"stat_length": "mean", "end_values": "linear_ramp"}.get(
                key, "reflect"
            )
        }
        if key in ("stat_length", "end_values", "reflect_type")
        else {}
    )


def numbers(y):
    if isinstance(y, te.Tensor):
        return y.detach().numpy()
    if isinstance(y, tuple | list):
        return [numbers(part) for part in y]
    return np.asarray(y)


def compare(actual, expected, what):
    actual, expected = numbers(actual), numbers(expected)
    pairs = zip(actual, expected, strict=True) if isinstance(actual, list) else None
    for a, b in pairs or [(actual, expected)]:
        assert a.dtype == b.dtype, what
        assert a.shape == b.shape, what
        digits = 1e-6 if b.dtype == np.float32 else 1e-11
        np.testing.assert_allclose(a, b, rtol=digits, atol=digits, err_msg=what)


def differ(y, other):
    if isinstance(other, Exception) or type(y) is not type(other):
        return True
    try:
        compare(y, other, "")
    except AssertionError:
        return True
    return False


def outcome(f, args, named):
    try:
        with warnings.catch_warnings():  # of where= without out=
            warnings.simplefilter("ignore", UserWarning)
            return f(*args, **named)
    except (TypeError, ValueError, IndexError) as error:
        return error


def check(f, on_tensors, args, key, given, plain):
    """Let a call be as NumPy's, or an error that names the keyword and the way."""
    name = f.__name__
    if key == "mode" and name in ("take", "choose"):
        args = {"take": (X, [7, -8]), "choose": (np.array([3, 0, -1]), [X, -X])}[name]
    named = {key: given, **needs(name, key)}
    what = f"{name}(..., {key}={given!r})"
    expected = outcome(plain, args, named)
    recorded = {k: x if k == "out" else leaf(x) for k, x in named.items()}
    actual = outcome(on_tensors, [leaf(x) for x in args], recorded)
    if isinstance(expected, Exception):
        assert isinstance(actual, Exception) or given is None, what
        return
    kind = "ufunc" if isinstance(f, np.ufunc) else name
    listed = {key, f"{kind}.{key}", f"{name}.{key}"} & REFUSED
    is_sample = given is VALUES.get((name, key), VALUES.get(key))
    if is_sample and not listed and not {key, f"{name}.{key}"} & SAYS_NOTHING:
        before = outcome(plain, args, needs(name, key))
        assert differ(expected, before), f"{what} must change what NumPy gives"
    if not isinstance(actual, Exception):
        assert key != "out" or np.all(np.equal(given, None)), what
        if name != "empty_like":
            compare(actual, expected, what)
        return
    message = str(actual)
    assert listed, f"{what}: {message}"
    assert key in message, what
    assert name.removeprefix("a") in message, what  # amax is max
    assert len(message.split()) > 8, f"{what}: {message}"  # it says what to write


FUNCTIONS = [
    pytest.param(f, id=f"{'linalg.' * (f in LINALG)}{f.__name__}")
    for f in FROM_NUMPY
    if getattr(np, f.__name__, None) is f or f in LINALG
]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_each_keyword_of_a_function_is_taken_or_refused_by_name(f):
    args = arguments(f)
    for key in keywords(f, len(args)):
        given = value(f, key)
        assert given is not None, f"give {f.__name__}, {key} a value in VALUES"

        check(f, f, args, key, given, f)
        parameter = inspect.signature(f).parameters.get(key)
        if parameter is not None:  # the default, written out
            check(f, f, args, key, parameter.default, f)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_the_arrays_may_be_given_by_their_names(f):
    args = arguments(f)
    parameters = [*inspect.signature(f).parameters.values()][: len(args)]
    named = {
        p.name: x
        for p, x in zip(parameters, args, strict=False)
        if p.kind is p.POSITIONAL_OR_KEYWORD
    }
    if len(named) == len(args) and f is not np.empty_like:
        compare(f(**{k: leaf(x) for k, x in named.items()}), f(**named), f.__name__)


OPERATIONS = [op for op in te.OPS.values() if op.numpy and op.name != "logsumexp"]


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_each_keyword_is_taken_by_the_operation_too(op):
    f = op.numpy
    args = arguments(f)
    for key in keywords(f, len(args)):
        given = value(f, key)
        if (op.name, key) == ("svd", "compute_uv"):  # it has one kind of results
            continue
        check(f, op, args, key, given, f)


METHODS = [
    name
    for name in dir(np.ndarray)
    if not name.startswith("_")
    and callable(getattr(np.ndarray, name))
    and hasattr(te.Tensor, name)
    and name not in ("item", "put")  # no function of the whole; another operation
]


@pytest.mark.parametrize("name", METHODS)
def test_each_keyword_of_an_arrays_method_is_taken_or_refused_by_name(name):
    method, ours = getattr(np.ndarray, name), getattr(te.Tensor, name)
    if name == "sort":  # NumPy's writes into the array, and returns nothing
        method = np.sort
    args = ARGUMENTS.get(name, (X,))
    args = {"astype": (X, np.float64), "transpose": (X,)}.get(name, args)
    for key in keywords(method, len(args)):
        given = np.array(method(*args)) if key == "out" else value(method, key)
        assert given is not None, f"give {name}, {key} a value in VALUES"

        check(method, ours, args, key, given, method)


#: Numbers that have no derivative, and are refused where they would need one.
WITHOUT = {
    *("constant_values", "discont", "end_values", "nan", "neginf", "period"),
    *("posinf", "q", "rcond", "rtol", "tol"),
}
#: By these there is a derivative, and what NumPy gives are numbers all the same.
PLAIN_RESULTS = {"histogram.a", "histogram_bin_edges.a", "empty_like.prototype"}


def numbers_given(f):
    """Yield what a call is given of real numbers: its name, and the call of others."""
    args = [leaf(x) for x in arguments(f)]
    names = [*inspect.signature(f).parameters]
    for i, x in enumerate(arguments(f)):
        if isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype == float):
            yield names[i], x, lambda v, i=i: f(*args[:i], v, *args[i + 1 :])
    for key in keywords(f, len(args)):
        x = value(f, key)
        more = needs(f.__name__, key)
        both = {key: x, **more}
        if isinstance(x, float) and not isinstance(outcome(f, args, both), Exception):
            yield key, x, lambda v, key=key, more=more: f(*args, **{key: v}, **more)


def weighted(y):
    """Return one number of all that a function gives."""
    total = 0.0
    for i, part in enumerate(y if isinstance(y, tuple | list) else [y]):
        if getattr(part, "dtype", None) == np.float64:
            weights = np.cos(i + np.arange(np.size(part))).reshape(np.shape(part))
            total = total + te.sum(np.clip(part, -99, 99) * weights)
    return total


@pytest.mark.parametrize("f", FUNCTIONS)
def test_no_number_given_as_a_tensor_loses_its_derivative(f):
    for name, x, call in numbers_given(f):
        x = np.asarray(x) + 0.0137  # off the steps, and off what ties
        what = f"{f.__name__}.{name}"
        t = te.tensor(x, requires_grad=True)
        y = outcome(call, (t,), {})
        if isinstance(y, Exception):
            assert name in WITHOUT, what
            assert any(n in str(y) for n in WITHOUT), what  # rtol is rcond
            continue
        y = weighted(y)
        if what in PLAIN_RESULTS:
            continue
        along = np.sin(1.0 + np.arange(x.size)).reshape(x.shape)
        recorded = isinstance(y, te.Tensor) and y.requires_grad
        grads = te.gradients(y, [t]) if recorded else [np.zeros(x.shape)]
        step = 1e-6 * along
        with te.no_grad():
            ends = [float(weighted(call(te.tensor(x + s)))) for s in (step, -step)]
        slope = (ends[0] - ends[1]) / 2e-6
        assert np.sum(grads[0] * along) == pytest.approx(slope, rel=1e-5, abs=1e-6), (
            what
        )


def test_the_walk_finds_what_it_should():
    ids = {param.id for param in FUNCTIONS}

    assert {"sum", "exp", "linalg.eigh", "concatenate", "round", "einsum"} <= ids
    assert {"sum", "dot", "ravel", "astype", "clip", "argmax"} <= {*METHODS}
    assert {"dtype", "where", "initial"} <= {*keywords(np.sum, 1)}
    assert {"dtype", "where", "casting", "signature"} <= {*keywords(np.exp, 1)}
    assert {"UPLO"} == {*keywords(np.linalg.eigh, 1)}
