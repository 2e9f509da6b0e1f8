"""The formulas in drawings: they read well, and what they say is true.

Every formula that is one is computed: translated to Python, its names bound to arrays,
and the result compared with the operation, or with what its rule gives.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numeric import assert_near
from scipy import special

import tinygrad_edu as te
from tinygrad_edu.drawing.rules import (
    bar,
    broadcast_text,
    forward_text,
    rule_text,
    rule_texts,
)
from tinygrad_edu.engine.names import is_inline, literal

# ------------------------------------------------------------------- reading formulas


class Value:
    """An array with the operators that formulas have: ⊙ is *, · is @, ⊗ is //."""

    def __init__(self, x: Any) -> None:
        self.x = np.asarray(x)

    def __getattr__(self, gate: str) -> Value:
        """Return the sums of a gate: i, f, g and o stand side by side."""
        if gate not in ("i", "f", "g", "o"):
            raise AttributeError(gate)
        return Value(np.split(self.x, 4, axis=-1)["ifgo".index(gate)])

    def __add__(self, y: Any) -> Value:
        return Value(self.x + value(y).x)

    def __sub__(self, y: Any) -> Value:
        return Value(self.x - value(y).x)

    def __mul__(self, y: Any) -> Value:
        return Value(self.x * value(y).x)

    def __truediv__(self, y: Any) -> Value:
        return Value(self.x / value(y).x)

    def __mod__(self, y: Any) -> Value:
        return Value(self.x % value(y).x)

    def __pow__(self, y: Any) -> Value:
        return Value(self.x ** value(y).x)

    def __matmul__(self, y: Any) -> Value:
        a, b = self.x, value(y).x
        return Value(a * b if min(a.ndim, b.ndim) == 0 else a @ b)

    def __floordiv__(self, y: Any) -> Value:
        return Value(np.tensordot(self.x, value(y).x, axes=0))

    def __radd__(self, a: Any) -> Value:
        return value(a) + self

    def __rsub__(self, a: Any) -> Value:
        return value(a) - self

    def __rmul__(self, a: Any) -> Value:
        return value(a) * self

    def __rtruediv__(self, a: Any) -> Value:
        return value(a) / self

    def __rpow__(self, a: Any) -> Value:
        return value(a) ** self

    def __rmatmul__(self, a: Any) -> Value:
        return value(a) @ self

    def __rfloordiv__(self, a: Any) -> Value:
        return value(a) // self

    def __rshift__(self, y: Any) -> Value:
        return Value(np.cross(self.x, value(y).x))

    def __pos__(self) -> Value:
        return self

    def __neg__(self) -> Value:
        return Value(-self.x)

    def __getitem__(self, index: Any) -> Value:
        return Value(self.x[index])

    @property
    def t(self) -> Value:
        return Value(np.swapaxes(self.x, -1, -2) if self.x.ndim > 1 else self.x)

    @property
    def inverse(self) -> Value:
        return Value(np.linalg.inv(self.x))


def value(x: Any) -> Value:
    return x if isinstance(x, Value) else Value(x)


def _function(op: te.Op) -> Callable[..., Value]:
    def call(*args: Any, **named: Any) -> Value:
        if named.get("axis") is not None and "keepdims" in op.metadata:
            named["keepdims"] = True
        arrays = [x.x if isinstance(x, Value) else x for x in args]
        if op.name == "concatenate" or op.adapter.__qualname__.startswith("_sequence"):
            arrays = [arrays]
        return Value(op(*arrays, **named))

    return call


def _one_where(*conditions: Any) -> Value:
    return Value(np.prod(np.broadcast_arrays(*conditions), axis=0))


def _einsum(subscripts: str, *arrays: Any) -> Value:
    if not all(isinstance(x, Value) for x in arrays):
        raise SyntaxError("a 1 stands for ones of the right length")
    return Value(np.einsum(subscripts, *(x.x for x in arrays)))


COMPARED = {
    "<": np.less,
    ">": np.greater,
    "≤": np.less_equal,
    "=": lambda a, b: np.isclose(a, b, rtol=1e-14),
}
FUNCTIONS: dict[str, Any] = {
    re.sub(r"\W", "_", op.symbol): _function(op)
    for op in te.OPS.values()
    if re.fullmatch(r"[^\W\d][\w ]*", op.symbol)
    and op.name not in ("fold", "windows")  # whose metadata the text does not tell
}
FUNCTIONS |= {
    "Σ": _function(te.OPS["sum"]),
    "norm": _function(te.OPS["norm"]),
    "rows": lambda x: Value(x.x.reshape(-1, x.x.shape[-1])),
    "sqrt_": lambda x: Value(np.sqrt(value(x).x)),
    "cbrt_": lambda x: Value(np.cbrt(x.x)),
    "floor_": lambda x: Value(np.floor(x.x)),
    "trunc": lambda x: Value(np.trunc(x.x)),
    "abs_": lambda x: Value(np.abs(x.x)),
    "norm_": lambda x: Value(np.linalg.norm(x.x.ravel())),
    "log2_": lambda x: Value(np.log2(x.x)),
    "log10_": lambda x: Value(np.log10(x.x)),
    "log": lambda x: Value(np.log(value(x).x)),
    "cos": lambda x: Value(np.cos(value(x).x)),
    "einsum": _einsum,
    "diag": lambda x: Value(x.x[..., None] * np.eye(x.x.shape[-1])),
    "sym": lambda x: Value((x.x + np.swapaxes(x.x, -1, -2)) / 2),
    "onehot": lambda y: Value(te.one_hot(y.x.astype(int), 4)),
    "Φ": lambda x: Value(special.ndtr(x.x)),
    "φ": lambda x: Value(np.exp(-(x.x**2) / 2) / math.sqrt(2 * math.pi)),
    "π": math.pi,
    "λ": 1.0507009873554805,
    "α": 1.6732632423543772,
    "one_where": _one_where,
    **{f"compare_{i}": f for i, f in enumerate(COMPARED.values())},
    "is_finite": np.isfinite,
    "is_not": np.logical_not,
}


def _iverson(match: re.Match[str]) -> str:
    """Translate [a ≤ x ≤ b]."""
    parts = re.split(r" ([<>≤=]) ", match[1])
    if parts[0].endswith(" finite"):
        return f"one_where(is_finite(value({parts[0][:-7]}).x))"
    if parts[0].startswith("not "):
        return f"one_where(is_not(value({parts[0][4:]}).x))"
    tests = [
        f"compare_{list(COMPARED).index(sign)}(value({a}).x, value({b}).x)"
        for a, sign, b in zip(parts[::2], parts[1::2], parts[2::2], strict=False)
    ]
    return f"one_where({', '.join(tests or [f'value({parts[0]}).x != 0'])})"


SIGNS = {
    "⁻ᵀ": ".inverse.t",
    **{"−": "-", "⊙": "*", " · ": " @ ", "⊗": "//", "ᵀ": ".t", "²": "**2", "³": "**3"},
    **{"×": ">>", "⁻¹": ".inverse", "^": "**", "log₂(": "log2_(", "log₁₀(": "log10_("},
}


_SUM_OF_POWERS = re.compile(r"(−?)Σₖ \((\w+)(⁻?)ᵀ\)\^k · (\w+) · .*\^\((\d+) − k\)")


def computed(text: str, names: dict[str, Any]) -> np.ndarray:
    """Compute a formula; a SyntaxError or NameError if it is words."""
    text = text.removesuffix(", ties share")
    if match := re.fullmatch(r"(.*), (\w+) = ([^()\[\]]*)", text):
        return computed(match[1], {**names, match[2]: computed(match[3], names)})
    if match := _SUM_OF_POWERS.fullmatch(text):
        minus, x, inverse, g, last = match.groups()
        turned = np.swapaxes(names[x], -1, -2)
        turned = np.linalg.inv(turned) if inverse else turned
        power, first = np.linalg.matrix_power, len(inverse)
        total = sum(
            power(turned, k) @ names[g] @ power(turned, int(last) - k)
            for k in range(first, int(last) - first + 1)
        )
        return -total if minus else total
    if match := re.fullmatch(r"(.*) repeated to (\(.*\))", text):
        return np.broadcast_to(computed(match[1], names), eval(match[2]))
    if match := re.fullmatch(r"(.*) reshaped to (\(.*\))", text):
        return computed(match[1], names).reshape(eval(match[2]))
    if match := re.fullmatch(r"([\w ]+) over ax[ie]s ([\d, ]+) of (.*)", text):
        text = f"{match[1]}({match[3]}, axis=({match[2]},))"
    code = re.sub(
        r"\b(leaky|hard|avg|max|log) (relu|tanh|pool|softmax)\(", r"\1_\2(", text
    )
    code = re.sub(r"\|([^|\[\]]+)\|", r"abs_(\1)", code)
    code = re.sub(r"‖([^‖]+)‖", r"norm_(\1)", code)
    code = re.sub(r"⌊([^⌋]+)⌋", r"floor_(\1)", code)
    code = re.sub(r"√(\w+)", r"sqrt_(\1)", code).replace("√(", "sqrt_(")
    code = re.sub(r"∛(\w+)", r"cbrt_(\1)", code)
    code = re.sub(r"(?<![\w\])=,\[])\[(\w+|[^\[\],]* [^\[\],]*)\]", _iverson, code)
    for sign, translation in SIGNS.items():
        code = code.replace(sign, translation)
    code = re.sub(r"(?<![\w.])(λ|α|\d[\d.]*(?:e-\d+)?) (?=[\w(])", r"\1 * ", code)
    space = {**FUNCTIONS, "value": value, "__builtins__": {}}
    space |= {k: x if callable(x) else Value(x) for k, x in names.items()}
    space = {unicodedata.normalize("NFKC", k): x for k, x in space.items()}
    return value(eval(code, space)).x


# ---------------------------------------------------------------- operations to write

CASES = [
    pytest.param(op, case, id=f"{op.name}-{i}")
    for op in te.OPS.values()
    for i, case in enumerate(op.cases)
    if op.forward.__module__.startswith("tinygrad_edu.")
]


class Applied:
    """An operation in one of its cases: node, inputs, names."""

    def __init__(self, op: te.Op, case: te.Case) -> None:
        self.op = op
        self.inputs = [
            x if x is None else te.tensor(x, requires_grad=x.dtype.kind == "f")
            for x in case.sample(0)
        ]
        sequence = op.variadic and op.name != "einsum"
        arrays = [self.inputs] if sequence else self.inputs
        self.result = op(*arrays, **case.kwargs)
        self.node = self.result[0].inputs[0] if op.results else self.result

    def name(self, x: Any) -> str:
        """Return "o" for the node, and for an input the argument's name."""
        if x is self.node:
            return "o"
        if is_inline(x):
            return literal(getattr(x, "data", x))
        at = next(i for i, own in enumerate(self.node.inputs) if own is x)
        return f"p{at}" if self.op.variadic else self.op.arguments[at]

    def positions(self) -> list[int]:
        """Return the positions that have a derivative."""
        return [
            i
            for i, x in enumerate(self.node.inputs)
            if isinstance(x, te.Tensor)
            and x.requires_grad
            and self.op.argument(i) not in self.op.constant
        ]

    def values(self) -> dict[str, Any]:
        inputs = [x for x in self.node.inputs if x is not None and not is_inline(x)]
        return {self.name(x): x.data for x in inputs}


@pytest.mark.parametrize(("op", "case"), CASES)
def test_every_rule_has_a_text_without_nameless_constants(op, case):
    applied = Applied(op, case)

    for i in applied.positions():
        text = rule_text(applied.node, i, applied.name)
        short = rule_text(applied.node, i, lambda x: "x")
        assert "∂" not in text, "the rule could not be read off: declare texts="
        assert not re.search(r"\bconst\b|(?<!\[)\bmask\b", text), f"{text}: texts="
        assert not short.endswith("…"), f"{text} is too long: declare texts="
        assert "{" not in text and "}" not in text and text.isprintable()


@pytest.mark.parametrize(("op", "case"), CASES)
def test_rules_that_are_read_together_read_as_each_alone(op, case):
    applied = Applied(op, case)
    positions = applied.positions()

    texts = list(rule_texts(applied.node, positions, applied.name))

    assert texts == [rule_text(applied.node, i, applied.name) for i in positions]


@pytest.mark.parametrize(("op", "case"), CASES)
def test_every_operation_has_a_formula_that_names_its_inputs(op, case):
    applied = Applied(op, case)

    text = forward_text(applied.node, applied.name)

    assert "{" not in text and "}" not in text and text.isprintable()
    assert len(text) <= 48
    assert all(name in text for name in applied.values())


# --------------------------------------------------------------- what they say is true

#: What is said in words, or of matrices that are written nowhere.
IN_WORDS = set(
    """
    avg_pool1d.x avg_pool2d.x conv1d.weight conv1d.x conv2d.weight conv2d.x
    conv_input.weight conv_input.y conv_weight.x conv_weight.y cumprod.x cumsum.x
    diagonal.x expm.x fold.x getitem.x kron.a kron.b lstm_memory.z lstm_output.z
    max_gather.z max_pool1d.x max_pool2d.x max_unpool.y median.x pinv.x prod.x
    repeat.x set_at.x sort.x standardize.x svd.x take.x take_along_axis.x tile.x
    trace.x windows.x
    """.split()
)


def matrices_of(
    op: te.Op, x: np.ndarray, kwargs: Any, gradients: Any
) -> dict[str, Any]:
    """Return what the letters of a decomposition stand for."""
    half = np.tri(*x.shape[-2:]) - np.eye(*x.shape[-2:]) / 2 if x.ndim > 1 else 0
    if op.name in ("eigh", "eigvalsh"):
        values, v = np.linalg.eigh(x, kwargs["UPLO"])
        gaps = values[..., None, :] - values[..., :, None]
        with np.errstate(divide="ignore"):
            f = np.where(gaps == 0, 0, 1 / gaps)
        names = {"V": v, "F": f, "Φ": lambda m: Value(m.x * half)}
        if op.name == "eigh":
            names |= {"λ̄": gradients[0], "V̄": gradients[1]}
        return names
    if op.name == "svdvals":
        u, _, vh = np.linalg.svd(x, full_matrices=False)
        return {"U": u, "V": np.swapaxes(vh, -1, -2)}
    if op.name == "qr":
        q, r = np.linalg.qr(x)
        return {
            **{"Q": q, "R": r, "Q̄": gradients[0], "R̄": gradients[1]},
            "C": lambda m: Value(np.tril(m.x) + np.swapaxes(np.tril(m.x, -1), -1, -2)),
        }
    if op.name == "cholesky":
        return {"Φ": lambda m: Value(m.x * half)}
    return {}


def of_text_and_rule(applied: Applied, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the text of a rule comes to, and what the rule gives."""
    op, node = applied.op, applied.node
    rng = np.random.default_rng(1)
    results = applied.result if op.results else [applied.result]
    gradients = [rng.standard_normal(y.shape) for y in results]
    loss = sum(te.sum(y * g) for y, g in zip(results, gradients, strict=True))
    (expected,) = te.gradients(loss, [node.inputs[i]])
    g, out = gradients[-1], results[-1].data
    if node.kwargs.get("axis") is not None and "keepdims" in op.metadata:
        kept = op(applied.inputs[0], **{**node.kwargs, "keepdims": True}).shape
        g, out = g.reshape(kept), out.reshape(kept)
    if is_number := op.name in ("det", "slogdet"):  # for each matrix of a stack
        g, out = g[..., None, None], out[..., None, None]
    if node.kwargs.get("reduction") == "none":  # and for each row
        g = g[..., None]
    text = rule_text(node, i, applied.name)
    text = text.replace(f"{bar('o')}.logabsdet", "g_").replace(bar("o"), "g_")
    text = text.replace(" · ", " ⊙ ") if is_number else text
    x = node.inputs[i].data
    letters = matrices_of(op, x, node.kwargs, gradients)
    if op.name == "gelu" and node.kwargs["approximate"] == "tanh":
        letters = {"Φ": lambda x: Value(_tanh_gate(x.x)), "Φ1": _tanh_slope}
        text = text.replace("Φ′", "Φ1").removesuffix(", Φ by tanh")
    values = {  # NumPy's log of a small integer is as small
        k: v.astype(float) if getattr(v, "dtype", None) == np.int8 else v
        for k, v in applied.values().items()
    }
    names = {**values, "g_": g, "o": out, **letters}
    with np.errstate(divide="ignore", invalid="ignore"):  # where a formula has a limit
        found = computed(text, names)
    if found.size == x.size:  # axes of length 1 are not told
        found = found.reshape(x.shape)
    elif text == "0":
        found = np.zeros(x.shape)
    limit = np.isnan(found)
    assert limit.sum() <= max(x.size // 3, 1)
    return np.where(limit, expected, found), expected


def _tanh_gate(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _tanh_slope(x: Value) -> Value:
    h = 1e-5
    return Value((_tanh_gate(x.x + h) - _tanh_gate(x.x - h)) / (2 * h))


#: Parts of texts that are expressions in other cases of the same operation.
WORDS = re.compile(
    r"\[mask\]|over axes that|copies in|copied from|on the diagonal|cofactors|…|, 1|I\)"
    r"|in the (largest|smallest) sum|singular value|· U · Vᵀ|the last counts|their axes"
)


CASES_OF_TEXTS = [
    *CASES,
    (te.OPS["matrix_power"], te.Case((3, 3), n=5)),
    (te.OPS["matrix_power"], te.Case((3, 3), n=-3)),
    (te.OPS["elu"], te.Case((4,), alpha=-0.5)),
    (te.OPS["clip"], te.Case((4,), None, None)),
    (te.OPS["power"], te.Case([0.5, 1.5], -2)),
    (te.OPS["power"], te.Case(2.0, (3,))),
]


@pytest.mark.parametrize(("op", "case"), CASES_OF_TEXTS)
def test_what_a_rule_s_text_comes_to_is_what_the_rule_gives(op, case):
    applied = Applied(op, case)

    for i in applied.positions():
        what = f"{op.name}.{op.argument(i)}"
        try:
            found, expected = of_text_and_rule(applied, i)
        except (SyntaxError, NameError):
            text = rule_text(applied.node, i, applied.name)
            assert what in IN_WORDS or WORDS.search(text), text
            continue
        assert what not in IN_WORDS
        assert_near(found, expected, 1e-8, what)


SIGNS_OF_TWO = "add subtract multiply divide power matmul dot multi_dot tensordot"
SHAPES = "transpose swapaxes reshape broadcast_to sum_to einsum negative"
FORMULAS = [
    case
    for case in CASES
    if case.values[0].formula
    or case.values[0].name in f"{SIGNS_OF_TWO} {SHAPES}".split()
]


@pytest.mark.parametrize(("op", "case"), FORMULAS)
def test_what_a_formula_comes_to_is_the_result(op, case):
    applied = Applied(op, case)
    text = forward_text(applied.node, applied.name)
    try:
        found = computed(text, applied.values())
    except (SyntaxError, NameError):
        assert FORMULA_WORDS.search(text), text
        return

    assert found.size == applied.node.size
    found = found.reshape(applied.node.shape)  # a sum over an axis keeps it here
    assert_near(found, applied.node.data, 1e-9, op.name)


FORMULA_WORDS = re.compile(r" at \[|\[mask\]|⋆|convᵀ|cross_entropy|clip|⁺|, \w+=")


def random_expression(rng: np.random.Generator, leaves: list[Any], depth: int) -> Any:
    """Return an expression of matrices; equal generators give equal ones."""
    if depth == 0 or rng.random() < 0.1:
        return leaves[rng.integers(len(leaves))]
    x = random_expression(rng, leaves, depth - 1)
    kind = rng.integers(12)
    if kind < 5:
        y = random_expression(rng, leaves, depth - 1)
        return [x + y, x - y, x * y, x / y, np.matmul(x, y)][kind]
    return [
        lambda: -x,
        lambda: x.T,
        lambda: x**2,
        lambda: 2 - x,
        lambda: 0.5 * x,
        lambda: x / 3,
        lambda: np.sum(x, axis=0, keepdims=True) * x,
    ][kind - 5]()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_random_rules_are_written_as_they_compute(rng, depth):
    written = 0
    for seed in rng.integers(1 << 30, size=100):

        @te.op
        def product(x, y):
            return x * y

        def rule(g, out, x, y, seed=seed):
            return random_expression(np.random.default_rng(seed), [g, out, x, y], depth)

        product.vjp(x=rule, y=rule)
        x, y, g = (rng.uniform(0.5, 2.0, (3, 3)) for _ in range(3))
        node = product(te.tensor(x, requires_grad=True), y)
        names = {"g_": g, "o": x * y, "x": x, "y": y}

        text = rule_text(
            node,
            0,
            lambda t, y=y, node=node: "o" if t is node else "y" if t is y else "x",
        )

        if "∂" in text or text == "0":
            continue
        with np.errstate(all="ignore"):
            found = computed(text.replace(bar("o"), "g_"), names)
            expected = rule(g, x * y, x, y)
        if np.isfinite(expected).all():
            assert_near(np.broadcast_to(found, (3, 3)), expected, 1e-9, text)
            written += 1
    assert written > 30


# ------------------------------------------------------------------------ as one reads


def parameters(**shapes: tuple[int, ...]) -> dict[str, te.Tensor]:
    return {
        name: te.tensor(np.ones(shape), requires_grad=True, name=name)
        for name, shape in shapes.items()
    }


def name(x: Any) -> str:
    if is_inline(x):
        return literal(getattr(x, "data", x))
    return x.name or "z1"


@pytest.mark.parametrize(
    ("shapes", "f", "formula", "rules"),
    [
        (
            {"x": (32, 784), "W1": (784, 64)},
            lambda x, W1: x @ W1,
            "x · W1",
            ["z̄1 · W1ᵀ", "xᵀ · z̄1"],
        ),
        (
            {"x": (32, 784), "W1": (64, 784), "b1": (64,)},
            te.linear,
            "x · W1ᵀ + b1",
            ["z̄1 · W1", "z̄1ᵀ · x", "Σ over axis 0 of z̄1"],
        ),
        (
            {"x": (8, 32, 5), "W1": (64, 5), "b1": (64,)},
            te.linear,
            "x · W1ᵀ + b1",
            ["z̄1 · W1", "rows(z̄1)ᵀ · rows(x)", "Σ over axes 0, 1 of z̄1"],
        ),
        (
            {"x": (5,), "W1": (64, 5), "b1": (64,)},
            te.linear,
            "x · W1ᵀ + b1",
            ["z̄1 · W1", "z̄1 ⊗ x", "z̄1"],
        ),
        (
            {"h": (32, 64), "b1": (64,)},
            te.add,
            "h + b1",
            ["z̄1", "Σ over axis 0 of z̄1"],
        ),
        ({"a1": (3, 4)}, te.sigmoid, "σ(a1)", ["z̄1 ⊙ z1 ⊙ (1 − z1)"]),
        ({"a1": ()}, te.sigmoid, "σ(a1)", ["z̄1 · z1 · (1 − z1)"]),
        ({"a1": (3, 4)}, te.tanh, "tanh(a1)", ["z̄1 ⊙ (1 − z1²)"]),
        ({"a1": (3, 4)}, te.relu, "relu(a1)", ["z̄1 ⊙ [a1 > 0]"]),
        ({"a": (3,), "b": (3,)}, te.multiply, "a ⊙ b", ["z̄1 ⊙ b", "z̄1 ⊙ a"]),
        ({"a": (), "b": ()}, te.multiply, "a · b", ["z̄1 · b", "z̄1 · a"]),
        ({"x": (3,)}, lambda x: 2.0 * x, "2 x", [None, "2 z̄1"]),
        ({"x": (3,)}, lambda x: x * -2.0, "−2 x", ["−2 z̄1"]),
        ({"x": (3,)}, lambda x: x**3, "x³", ["3 z̄1 ⊙ x²"]),
        ({"x": (3,)}, lambda x: x**-0.5, "x^(−0.5)", ["−z̄1 ⊙ x^(−1.5) / 2"]),
        ({"x": (3,)}, lambda x: 1 - x, "1 − x", [None, "−z̄1"]),
        ({"x": (3,)}, lambda x: x - -1.0, "x + 1", ["z̄1"]),
        ({"x": (3,)}, lambda x: np.maximum(x, -1), "max(x, −1)", None),
        ({"x": (3, 2)}, lambda x: te.sum(x), "Σ(x)", ["z̄1 repeated to (3, 2)"]),
        (
            {"x": (3, 2)},
            lambda x: te.mean(x, axis=0),
            "mean over axis 0 of x",
            ["z̄1 / 3 repeated to (3, 2)"],
        ),
        ({"x": (3, 2)}, lambda x: x[0], "x[0]", ["z̄1 put back at [0]"]),
        ({"x": (3, 2)}, lambda x: x[:2, None], "x[:2, None]", None),
        ({"x": (3, 2)}, lambda x: x.T, "xᵀ", ["z̄1ᵀ"]),
        (
            {"x": (3, 2)},
            lambda x: x.reshape(2, 3),
            "x reshaped to (2, 3)",
            ["z̄1 reshaped to (3, 2)"],
        ),
        (
            {"x": (3, 2)},
            te.softmax,
            "softmax(x)",
            ["z1 ⊙ (z̄1 − Σ(z̄1 ⊙ z1, axis=1))"],
        ),
    ],
)
def test_formulas_read_as_in_a_textbook(shapes, f, formula, rules):
    node = f(*parameters(**shapes).values())

    assert forward_text(node, name) == formula
    for i, rule in enumerate(rules or []):
        if rule is not None:
            assert rule_text(node, i, name) == rule


def test_the_rule_of_softmax_cross_entropy_is_the_difference_of_the_lecture():
    a2 = te.tensor(np.ones((32, 10)), requires_grad=True, name="a2")
    y = te.tensor(np.arange(32) % 10, name="y")
    of_weights = te.tensor(np.full((32, 10), 0.2), name="w")

    loss = te.softmax_cross_entropy(a2, y)

    name = lambda x: x.name or "L"  # noqa: E731
    assert rule_text(loss, 0, name) == "L̄ · (softmax(a2) − onehot(y)) / 32"
    assert rule_text(loss, 0, name, seed=True) == "(softmax(a2) − onehot(y)) / 32"
    hot = te.softmax_cross_entropy(a2, te.one_hot(y, 10))
    assert rule_text(hot, 0, name_of_arrays, seed=True) == "(softmax(a2) − y) / 32"
    weighted = te.softmax_cross_entropy(a2, of_weights)
    text = rule_text(weighted, 0, name, seed=True)
    assert text == "(softmax(a2) ⊙ Σ(w, axis=1) − w) / 32"


def name_of_arrays(x: Any) -> str:
    return getattr(x, "name", None) or "y"


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: te.mean(x), "1 / 3 repeated to (3,)"),
        (lambda x: te.sum(x), "1 repeated to (3,)"),
        (lambda x: te.norm(x), "x / z1"),
        (lambda x: te.var(x), "2 (x − mean(x)) / 3"),
        (lambda x: te.dot(x, np.ones(3)), "z1"),
    ],
)
def test_a_gradient_of_1_is_not_shown_as_a_factor(f, text):
    x = te.tensor([1.0, 2.0, 4.0], requires_grad=True, name="x")

    node = f(x)

    assert (
        rule_text(node, 0, lambda t: getattr(t, "name", "") or "z1", seed=True) == text
    )


def test_a_gradient_of_1_keeps_the_brackets_that_are_needed():
    x = te.tensor(2.0, requires_grad=True, name="x")

    assert rule_text(te.tanh(x), 0, name, seed=True) == "1 − z1²"
    assert rule_text(te.sigmoid(x), 0, name, seed=True) == "z1 · (1 − z1)"
    assert rule_text(-x, 0, name, seed=True) == "−1"
    assert rule_text(2.0 * x, 1, name, seed=True) == "2"
    assert rule_text(1.0 / x, 1, name, seed=True) == "−z1 / x"
    assert rule_text(te.sum(2.0 * x / 3.0), 0, name, seed=True) == "1"


def test_broadcasting_is_said_forward_and_its_sum_backward():
    b = te.tensor(np.ones(64), requires_grad=True, name="b")
    s = te.tensor(1.0, requires_grad=True, name="s")

    added, scaled = np.ones((32, 64)) + b, s * np.ones((32, 64))

    assert broadcast_text(added, 1) == ("repeated to (32, 64)", "Σ over axis 0")
    assert broadcast_text(added, 0) == ("", "")
    assert broadcast_text(scaled, 0) == ("repeated to (32, 64)", "Σ over all")
    assert broadcast_text(te.sum(b), 0) == ("", "")


@pytest.mark.parametrize(
    ("plain", "barred"),
    [
        ("z1", "z\u03041"),
        ("weight", "w\u0304eight"),
        ("_h", "_h\u0304"),
        ("7", "7\u0304"),
        ("e\u0301x", "e\u0301\u0304x"),  # an accent of its own
    ],
)
def test_the_bar_stands_over_the_first_letter(plain, barred):
    assert bar(plain) == barred


def test_names_are_put_in_so_that_nothing_is_ambiguous():
    x = te.tensor(np.ones((3, 2)), requires_grad=True)
    node = x @ np.ones((2, 4))

    text = rule_text(node, 0, lambda t: "z" if t is node else "input 1")

    assert text == "z̄ · (input 1)ᵀ"


def test_a_text_that_long_names_make_too_long_is_cut():
    x = te.tensor(np.ones(3), requires_grad=True)

    text = rule_text(te.tanh(x), 0, lambda t: "n" * 100)

    assert len(text) == 48
    assert text.endswith("…")


# ---------------------------------------------------- operations that others declared


@pytest.fixture
def declared():
    """Return a function that declares an operation with a rule."""

    def declare(rule: Callable[..., Any], **declaration: Any) -> te.Op:
        @te.op(**declaration)
        def own(x):
            return 1.0 * x

        own.vjp(x=rule)
        return own

    return declare


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (lambda g, out, x: g * (x > 0), "z̄1 ⊙ mask"),
        (lambda g, out, x: g * np.where(x > 0, 1.0, 0.5), "z̄1 ⊙ const"),
        (lambda g, out, x: g * 1.0, "z̄1"),
        (lambda g, out, x: 0.0 * g, "0"),
        (lambda g, out, x: np.zeros_like(x), "0"),
        (lambda g, out, x: g / (x * x) / x, "z̄1 / x³"),
        (lambda g, out, x: g / (2 * x), "z̄1 / (2 x)"),
        (lambda g, out, x: g * (1 / x), "z̄1 / x"),
        (lambda g, out, x: g / (1 / x), "z̄1 / (1 / x)"),
        (lambda g, out, x: -(g - x), "−(z̄1 − x)"),
        (lambda g, out, x: g - (x - out), "z̄1 − (x − z1)"),
        (lambda g, out, x: g * 1e-9, "1e-09 z̄1"),
        (lambda g, out, x: g * math.pi, "π z̄1"),
        (lambda g, out, x: g * 12345.678, "12345.7 z̄1"),
        (lambda g, out, x: g * (x > 0) * (x < 2), "z̄1 ⊙ mask ⊙ mask"),
        (lambda g, out, x: np.reshape(g * x, (1, 2)), "z̄1 ⊙ x"),
        (lambda g, out, x: te.astype(g * x, dtype="f4"), "z̄1 ⊙ x"),
        (lambda g, out, x: g * np.exp(-(x**2)), "z̄1 ⊙ exp(−x²)"),
        (lambda g, out, x: g * (x**2) ** 3, "z̄1 ⊙ (x²)³"),
        (lambda g, out, x: g * np.sqrt(x + 1), "z̄1 ⊙ √(x + 1)"),
        (lambda g, out, x: g * np.abs(x - 1), "z̄1 ⊙ |x − 1|"),
    ],
)
def test_rules_of_all_kinds_are_read_off(declared, rule, text):
    node = declared(rule)(te.tensor([1.0, 2.0], requires_grad=True, name="x"))

    assert rule_text(node, 0, name) == text


def doubled(x: Any, times: int) -> Any:
    for _ in range(times):
        x = np.tanh(x) + np.sin(x)
    return x


def squared(x: Any, times: int) -> Any:
    for _ in range(times):
        x = x * x
    return x


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, out, x: g * x.data[7],
        lambda g, out, x: {}["key"],
        lambda g, out, x: doubled(g * x, 60),
        lambda g, out, x: g * squared(x, 60),
        lambda g, out, x: (
            g * np.exp(np.sin(x) + np.cos(x) * np.tanh(x) - np.log(1 + x))
        ),
    ],
    ids=["index", "key", "a diamond", "a tower", "too long"],
)
def test_a_rule_that_cannot_be_written_gets_the_name_of_the_derivative(declared, rule):
    node = declared(rule)(te.tensor([1.0, 2.0], requires_grad=True, name="x"))

    assert rule_text(node, 0, name) == "(∂z1/∂x)ᵀ z̄1"


def test_a_rule_declared_anew_is_read_anew(declared):
    own = declared(lambda g, out, x: 2 * g)
    node = own(te.tensor([1.0, 2.0], requires_grad=True, name="x"))
    before = rule_text(node, 0, name)

    own.vjp(x=lambda g, out, x: 3 * g)

    assert (before, rule_text(node, 0, name)) == ("2 z̄1", "3 z̄1")


@pytest.mark.parametrize(("data", "text"), [(1.0, "2 z̄1"), (-1.0, "z̄1 · x")])
def test_a_rule_with_branches_is_written_as_it_is_taken(declared, data, text):
    own = declared(lambda g, out, x: 2 * g if x > 0 else g * x)
    nodes = [
        own(te.tensor(number, requires_grad=True, name="x")) for number in (-data, data)
    ]

    assert [rule_text(node, 0, name) for node in nodes][1] == text


def test_texts_do_not_depend_on_masks(declared):
    own = declared(lambda g, out, x: g * (x > 0) + (x == 0))

    texts = {
        rule_text(own(te.tensor(data, requires_grad=True, name="x")), 0, name)
        for data in (1.0, 0.0, -1.0)
    }

    assert texts == {"z̄1 · mask + mask"}


def test_reading_a_rule_leaves_recording_as_it_was(declared):
    own = declared(lambda g, out, x: g * x)
    node = own(te.tensor([1.0, 2.0], requires_grad=True, name="x"))

    with te.no_grad():
        text = rule_text(node, 0, name)
        still_off = not (te.tensor(1.0, requires_grad=True) * 2).requires_grad

    assert text == "z̄1 ⊙ x"
    assert still_off


def test_a_declared_text_takes_the_place_of_the_rule_s_own(declared):
    own = declared(
        lambda g, out, x: g * (x > 0),
        symbol="⟨{x}⟩ + {x}",
        texts={"x": "{g} ⊙ [{x} > 0] of {out}"},
    )
    node = own(te.tensor([1.0, 2.0], requires_grad=True, name="x"))

    assert own.symbol == "⟨x⟩ + x"
    assert forward_text(node, name) == "⟨x⟩ + x"
    assert rule_text(node, 0, name) == "z̄1 ⊙ [x > 0] of z1"


def test_a_declared_text_may_depend_on_inputs_and_metadata():
    @te.op(texts={"x": lambda x, *, n: "{g}, all {n}" if n > x.ndim else None})
    def own(x, *, n):
        return n * x

    own.vjp(x=lambda g, out, x, *, n: n * g)
    x = te.tensor([1.0, 2.0], requires_grad=True, name="x")

    assert rule_text(own(x, n=2), 0, name) == "z̄1, all 2"
    assert rule_text(own(x, n=1), 0, name) == "z̄1"


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ({"texts": {"y": "{g}"}}, r"own: texts has 'y', .* arguments: x"),
        ({"texts": {"x": "{g} {y}"}}, r"\{y\} in braces; known are g, out, x"),
        ({"symbol": "{y}²"}, r"\{y\} in braces"),
    ],
)
def test_texts_of_what_is_not_there_are_refused(declared, declaration, message):
    with pytest.raises((TypeError, ValueError), match=message):
        declared(lambda g, out, x: g, **declaration)
