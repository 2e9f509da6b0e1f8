"""Formulas: of an operation, and of what flows back through it.

Both are read off: the formula of a rule is written from the graph that the rule records
when it is run on stand-ins for ``g``, the output and the inputs. What an operation
declares instead (``symbol=``, ``texts=``) are such formulas with names in braces,
``"{g} ⊙ [{x} > 0]"``, and so is what is read off: names are filled in last.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.core import Tensor, tensor
from tinygrad_edu.engine.names import is_inline, literal
from tinygrad_edu.engine.recording import recording
from tinygrad_edu.engine.traversal import nodes_of

__all__ = ["bar", "broadcast_text", "forward_text", "rule_text", "rule_texts"]

Name = Callable[[Any], str]

_WIDTH = 48  # characters; a longer text is cut
_MACRON = "\u0304"

# ----------------------------------------------------------------------- what is asked


def forward_text(node: Tensor, name: Name) -> str:
    """Return the formula of a node: "x · W1ᵀ".

    Parameters
    ----------
    node : Tensor
        Made by an operation.
    name : callable
        Returns the name of a Tensor or array, or a number as text.

    Returns
    -------
    str

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> forward_text(te.sum(x * x), lambda x: x.name or "y")
    'Σ(y)'
    """
    if node.op.name == "item":
        several = node.inputs[0]
        field = several._numbers._fields[node.kwargs["index"]]
        return _cut(f"{name(several)}.{field}")
    leaves = [_input(x, i) for i, x in enumerate(node.inputs)]
    return _filled(_written(node, leaves, top=True).text, node, name)


def rule_text(node: Tensor, position: int, name: Name, *, seed: bool = False) -> str:
    """Return what flows back from a node to one of its inputs: "xᵀ · z̄1".

    Parameters
    ----------
    node : Tensor
        Made by an operation.
    position : int
        Which of its inputs.
    name : callable
        Returns the name of a Tensor or array, or a number as text.
    seed : bool, default False
        Whether what flows into the node is 1, which a product need not show.

    Returns
    -------
    str
        With the sum that undoes broadcasting: "Σ over axis 0 of ā1".

    Examples
    --------
    >>> import tinygrad_edu as te
    >>> x = te.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> rule_text(te.exp(x), 0, lambda x: x.name or "y")
    'ȳ ⊙ y'
    """
    return next(rule_texts(node, [position], name, seed=seed))


def rule_texts(
    node: Tensor, positions: Iterable[int], name: Name, *, seed: bool = False
) -> Iterator[str]:
    """Yield what :func:`rule_text` returns, for several of the inputs.

    Of a node with thousands of them, what they share is read once.
    """
    rules = _Rules(node)
    for position in positions:
        text = _rule_text(node, position, rules)
        yield _filled(_without_seed(text) if seed else text, node, name)


def _rule_text(node: Tensor, position: int, rules: _Rules) -> str:
    op, x = node.op, node.inputs[position]
    text: Any = op.texts.get(op.argument(position))
    if callable(text):
        arrays = [_number(x) if is_inline(x) else _raw(x) for x in node.inputs]
        text = text(*arrays, **node.kwargs)
    if text is None:
        text = rules.read_off(position)
    if text is None:  # the derivative itself, by its name
        text = f"(∂{{out}}/∂{{{position}}})ᵀ {{g}}"
    elif op.elementwise and text != "0":
        remark = _REMARK.search(text)
        end = remark.start() if remark else len(text)
        text = _summed(text[:end], node.shape, np.shape(_raw(x))) + text[end:]
    if not op.results and node.ndim == 0:
        old = "⊙" if op.elementwise else "{g} ⊙"  # numbers
        text = text.replace(old, old.replace("⊙", "·"))
    return str(text)


def broadcast_text(node: Tensor, position: int) -> tuple[str, str]:
    """Return what an elementwise operation does to a smaller input, and what undoes it.

    Parameters
    ----------
    node : Tensor
        Made by an operation.
    position : int
        Which of its inputs.

    Returns
    -------
    tuple of str
        "repeated to (32, 64)" and "Σ over axis 0"; empty where nothing is repeated.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as te
    >>> b = te.tensor([1.0, 2.0], requires_grad=True)
    >>> broadcast_text(np.ones((3, 2)) + b, 1)
    ('repeated to (3, 2)', 'Σ over axis 0')
    """
    if not node.op.elementwise:
        return "", ""
    shape = np.shape(_raw(node.inputs[position]))
    if shape == node.shape:
        return "", ""
    return f"repeated to {literal(node.shape)}", _summed("", node.shape, shape)


def bar(name: str) -> str:
    """Return the name of a gradient: a macron over the first letter of ``name``.

    Of a parameter with the path of its layer, it is the parameter's.

    Examples
    --------
    >>> bar("z1"), bar("encoder.0.bias")
    ('z̄1', 'encoder.0.b̄ias')
    """
    own = name.rfind(".") + 1
    letters = [i for i, letter in enumerate(name) if letter.isalpha()]
    first = next((i for i in letters if i >= own), letters[0] if letters else 0)
    end = first + 1
    while end < len(name) and unicodedata.combining(name[end]):
        end += 1  # behind what else stands over the letter
    return f"{name[:end]}{_MACRON}{name[end:]}"


# --------------------------------------------------------------------- filling names in

_REMARK = re.compile(r", [^()\[\]]*$")  # "ḡ ⊙ [a > b], ties share"
_BEHIND = tuple("ᵀ²³^⁻⁺[")
_NAMELESS = re.compile(r"\b(mask|const)\b")
_BRACES = re.compile(r"\{(\w+)(\.\w+)?\}")


def _filled(text: str, node: Tensor, name: Name) -> str:
    """Put names in the place of {g}, {out}, {0}, {x}, and metadata of {axis}."""
    op, inputs = node.op, node.inputs

    def value(match: re.Match[str]) -> str:
        key, field = match[1], match[2] or ""
        before = text[max(match.start() - 2, 0) : match.start()]
        if key == "g":
            return bar(name(node)) + field
        if key == "out":
            return name(node) + field
        if key in node.kwargs:
            return _given(node.kwargs[key], before)
        x = inputs[int(key) if key.isdigit() else op.arguments.index(key)]
        shown = name(x)
        after = text[match.end() : match.end() + 2]
        is_negative = is_inline(x) and shown.startswith("-")
        is_negative = is_negative and not _is_argument(before, after)
        is_apart = " " in shown and after[:1] in _BEHIND
        return f"({shown})" if is_negative or is_apart else shown

    return _cut(_BRACES.sub(value, text))


def _given(x: Any, before: str) -> str:
    """Return metadata for its place in a formula."""
    text = _metadata(x, in_brackets=before.endswith("["))
    return f"({text})" if text.startswith("-") and before.endswith("^") else text


def _metadata(x: Any, *, in_brackets: bool = False) -> str:
    """Return metadata as Python has it; an index as it stands between brackets."""
    if isinstance(x, np.ndarray | list):
        array = np.asarray(x)
        if array.dtype == bool and array.ndim:
            return "mask"
        return literal(array.tolist()) if array.size <= 6 else "indices"
    if in_brackets and isinstance(x, tuple):
        return ", ".join(_metadata(part) for part in x) or "()"
    return "..." if x is ... else literal(x)


def _without_seed(text: str) -> str:
    """Leave {g} out where it is a factor, and write 1 where it is not."""
    text = re.sub(r"\{g\}ᵀ? [·⊙⊗] | [·⊙⊗] \{g\}|(?<=[\dπ]) \{g\}(?! [·⊙⊗])", "", text)
    text = text.replace("{g}", "1")
    inner = text[1:-1]
    is_in_brackets = text[:1] == "(" and text[-1:] == ")" and _is_balanced(inner)
    return inner if is_in_brackets else text


def _is_balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0


def _summed(text: str, shape: Sequence[int], to: Sequence[int]) -> str:
    """Write the sum that takes ``shape`` back to the shape ``to``."""
    if tuple(shape) == tuple(to):
        return text
    if math.prod(to) == 1:
        return f"Σ({text})" if text else "Σ over all"
    over = f"Σ over {_axes(_lost(shape, to))}"
    return f"{over} of {text}" if text else over


def _lost(shape: Sequence[int], to: Sequence[int]) -> list[int]:
    """Return the axes that are summed over."""
    lead = len(shape) - len(to)
    return [
        i for i, n in enumerate(shape) if i < lead or (n != 1 and to[i - lead] == 1)
    ]


def _axes(axes: Sequence[int]) -> str:
    return f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _raw(x: Any) -> Any:
    return x._numbers if isinstance(x, Tensor) else x


# ----------------------------------------------------------------- reading off the rule


class _Rules:
    """The rules of a node, run on stand-ins, to write the graphs that they record.

    The stand-ins have the inputs' own data, so that every branch is taken that is taken
    in the real graph, and no memory; the price is one more rule than a walk backward
    runs.
    """

    def __init__(self, node: Tensor) -> None:
        self.node = node
        self.forms: dict[int, _Form] = {}  # of the stand-ins, by id
        self.given: tuple[Any, ...] = ()  # g, the output and the inputs, once prepared
        self.named: dict[str, Any] = {}
        self.at: Callable[[int], Any] | None = None  # of a variadic operation

    def read_off(self, position: int) -> str | None:
        """Write one; return None where there is nothing to write."""
        op = self.node.op
        try:
            with recording(True), np.errstate(all="ignore"):
                if not self.given:
                    self._prepare()
                if op.variadic:
                    if self.at is None:
                        self.at = op.rules.given(*self.given, **self.named)
                    d = self.at(position)
                else:
                    d = op.rules[position](*self.given, **self.named)
                return _formula(d, self.forms)
        except Exception:  # a rule of a user's own may do anything
            return None

    def _prepare(self) -> None:
        node, op = self.node, self.node.op
        inputs = [
            x
            if x is None
            else _number(x)
            if is_inline(x)
            else self._stand_in(_raw(x), f"{{{i}}}")
            for i, x in enumerate(node.inputs)
        ]
        named = {key: f(*inputs, **node.kwargs) for key, f in op.residuals.items()}
        self.named = {**node.kwargs, **named}
        self.given = (self._of_results("g"), self._of_results("out"), *inputs)

    def _stand_in(self, data: Any, text: str) -> Tensor:
        stand_in = tensor(0.0)
        stand_in._numbers = data
        stand_in._tracked = data.dtype.kind == "f"
        self.forms[id(stand_in)] = _Form(text, ndim=data.ndim)
        return stand_in

    def _of_results(self, key: str) -> Any:
        node, op = self.node, self.node.op
        if not op.results:
            return self._stand_in(np.asarray(node._numbers), f"{{{key}}}")
        fields = zip(op.results._fields, node._numbers, strict=True)
        return op.results(
            *(self._stand_in(x, f"{{{key}.{field}}}") for field, x in fields)
        )


def _formula(d: Any, stand_ins: dict[int, _Form]) -> str | None:
    """Write what a rule returned, given the forms of the stand-ins."""
    forms: ChainMap[int, _Form] = ChainMap({}, stand_ins)  # what is recorded may die
    if not isinstance(d, Tensor) or not d.requires_grad:
        return "0"  # a rule is linear in g, and here is none
    while d.op is not None and _changes_little(d) and d.inputs[0].op is not None:
        d = d.inputs[0]
    for step in nodes_of([d]):
        operands = [_operand(x, forms) for x in step.inputs]
        form = forms[id(step)] = _written(step, operands, top=step is d)
        factors = form.product.over + form.product.under if form.product else ()
        if len(form.text) > 10 * _WIDTH or len(factors) > _WIDTH:
            return None  # what is shared would be written again and again
    text = forms[id(d)].text
    return text if len(_BRACES.sub("x1", text)) <= _WIDTH else None


def _changes_little(step: Tensor) -> bool:
    """Whether a step changes the type alone, or axes of length 1."""
    if step.op.name == "astype":
        return True
    return step.op.name == "reshape" and _is_as_long(step.shape, step.inputs[0].shape)


# -------------------------------------------------------------------- parts of formulas

_WORDS, _SUM, _PRODUCT, _POSTFIX, _ATOM = range(5)  # what holds together, ever tighter


@dataclass(frozen=True)
class _Form:
    """A formula, and what must be known to make it part of a larger one."""

    text: str
    level: int = _ATOM
    ndim: int = 0  # number of axes
    product: _Product | None = None
    matrices: tuple[_Form, ...] = ()  # of a matrix or outer product
    transposed: _Form | None = None
    bare: _Form | None = None  # before axes of length 1 were put in
    stack: _Form | None = None  # before all axes but the last became one

    def inside(self, level: int) -> str:
        """Return the text, in brackets unless it holds together as tightly."""
        return self.text if self.level >= level else f"({self.text})"


class _Product(NamedTuple):
    """times · over / (by · under)"""

    times: float
    by: float
    over: tuple[_Form, ...]
    under: tuple[_Form, ...]


def _number(x: Any) -> Any:
    return np.asarray(_raw(x)).item()


def _input(x: Any, i: int) -> _Form:
    """Return the form of a node's own input."""
    if x is None:
        return _Form("")
    if is_inline(x):
        return _form_of(_Product(_number(x), 1, (), ()))
    return _Form(f"{{{i}}}", ndim=np.ndim(_raw(x)))


def _operand(x: Any, forms: Mapping[int, _Form]) -> _Form:
    """Return the form of what a recorded step was called with."""
    if x is None or id(x) in forms:
        return forms.get(id(x), _Form(""))
    if type(x) in (int, float):
        return _form_of(_Product(x, 1, (), ()))
    data = np.asarray(_raw(x))  # computed by the rule, perhaps from the data
    return _Form("mask" if data.dtype == bool else "const", ndim=data.ndim)


def _digits(x: float) -> str:
    """Return the number without its sign."""
    if isinstance(x, bool):
        return str(x)
    return "π" if abs(x) == math.pi else literal(abs(x))


def _product_of(form: _Form) -> _Product:
    form = form.bare or form  # what is smaller is repeated, as everybody knows
    return form.product or _Product(1, 1, (form,), ())


def _form_of(product: _Product) -> _Form:
    """Write a product: the number, the factors, the divisors."""
    times, by, over, under = product
    if times == 0 and times is not False:
        return _Form("0", product=_Product(0, 1, (), ()))
    if abs(times) == 0.5:
        times, by = 2 * times, 2 * by
    if (times, by, len(over), under) == (1, 1, 1, ()):
        return over[0]
    over = tuple(sorted(over, key=lambda form: form.text != "{g}"))
    front = "" if abs(times) == 1 and over else _digits(times)
    text = _joined(front, over)
    if under or by != 1:
        text += f" / {_joined('' if by == 1 else _digits(by), under, below=True)}"
    is_one = not under and by == 1 and not over
    level = _ATOM if is_one and times >= 0 else _PRODUCT
    ndim = max((form.ndim for form in over + under), default=0)
    return _Form("−" * (times < 0) + text, level, ndim, product=product)


def _joined(front: str, factors: Sequence[_Form], *, below: bool = False) -> str:
    """Write a number and factors side by side; equal ones as a power."""
    equal: dict[str, list[_Form]] = {}
    for i, form in enumerate(factors):  # constants may differ, though called alike
        key = f"{form.text} {i}" if _NAMELESS.search(form.text) else form.text
        equal.setdefault(key, []).append(form)
    parts = [(forms[0], len(forms)) for forms in equal.values()]
    alone = len(parts) == 1 and not below
    text, arrays = front, False
    for form, n in parts:
        part = (
            form.inside(_PRODUCT if alone else _POSTFIX) if n == 1 else _power(form, n)
        )
        if arrays and form.ndim:
            text += " ⊙ "
        elif text:
            text += " · " if text != front or part[0].isdigit() else " "
        text, arrays = text + part, arrays or form.ndim > 0
    return f"({text})" if below and len(parts) + bool(front) > 1 else text


def _power(base: _Form, exponent: Any) -> str:
    text = base.inside(_ATOM)
    if exponent in (2, 3):
        return text + " ²³"[int(exponent) - 1]
    return (
        f"{text}^{_digits(exponent)}"
        if exponent >= 0
        else f"{text}^(−{_digits(exponent)})"
    )


def _sum(a: _Form, b: _Form, sign: str) -> _Form:
    a, b = a.bare or a, b.bare or b
    product = _product_of(b)
    if product.times < 0:
        sign = "−" if sign == "+" else "+"
        b = _form_of(product._replace(times=-product.times))
    right = b.inside(_SUM if sign == "+" else _PRODUCT)
    return _Form(f"{a.inside(_SUM)} {sign} {right}", _SUM, max(a.ndim, b.ndim))


def _chain(parts: Sequence[_Form], ndim: int, sign: str = "·") -> _Form:
    """Write a product of matrices, or with ⊗ of vectors."""
    text = f" {sign} ".join(part.inside(_POSTFIX) for part in parts)
    return _Form(text, _PRODUCT, ndim, matrices=tuple(parts))


def _turned(form: _Form) -> _Form:
    """Write the transpose of a matrix, or of each in a stack."""
    if form.transposed is not None:
        return form.transposed
    if form.ndim < 2:
        return form
    if form.matrices:
        parts = [_turned(part) for part in reversed(form.matrices)]
        return _chain(parts, form.ndim, "⊗" if " ⊗ " in form.text else "·")
    product = _product_of(form)
    if form.product and len(product.over) == 1 and not product.under:
        return _form_of(product._replace(over=(_turned(product.over[0]),)))
    return _Form(f"{form.inside(_ATOM)}ᵀ", _POSTFIX, form.ndim, transposed=form)


def _with_new_axes(form: _Form, node: Tensor, text: str) -> _Form:
    """Write axes of length 1 put in: not at all for a vector, which may be either."""
    if form.ndim <= 1:
        return replace(form, bare=form)
    return _Form(text, ndim=node.ndim, bare=form)


# --------------------------------------------------------------- operations as formulas


def _written(node: Tensor, operands: list[_Form], *, top: bool) -> _Form:
    """Write an operation on operands; at the top of a formula words may be used."""
    write = _WRITERS.get(node.op.name)
    form = write(node, operands, top) if write else None
    if form is not None:
        return form
    if "axis" in node.op.metadata and "keepdims" in node.op.metadata:
        return _reduction(node, operands, top)
    return _by_symbol(node, operands, top)


def _by_symbol(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    """Write an operation as it declares: a formula, or a function."""
    op = node.op
    formula: str = op.formula or ""
    if not formula:
        inside = [form.inside(_SUM) for form in operands if form.text]
        inside += _said(node)
        return _Form(f"{op.symbol}({', '.join(inside)})", ndim=_ndim(node))
    for argument, form in zip(op.arguments, operands, strict=False):
        if not form.text:
            formula = formula.replace(f" + {{{argument}}}", "")

    def value(match: re.Match[str]) -> str:
        before, after = formula[: match.start()], formula[match.end() :]
        if match[1] in node.kwargs:
            return _given(node.kwargs[match[1]], before)
        form: _Form = operands[op.arguments.index(match[1])]
        if not form.text:
            return "None"
        if _is_argument(before, after):
            return form.inside(_SUM)
        if before[-1:] in _OPEN and after[:1] in _CLOSE:
            return form.text if before or after else form.inside(_WORDS)
        apart = before[-1:] in (" ", *_OPEN) and after[:1] in (" ", *_CLOSE)
        return form.inside(_POSTFIX if apart else _ATOM)

    used = {match[1] for match in _BRACES.finditer(formula)}
    text = ", ".join([_BRACES.sub(value, formula), *(_said(node, used) if top else [])])
    return _Form(text, _level(formula), _ndim(node))


def _is_argument(before: str, after: str) -> bool:
    """Whether what stands between is one argument of a function."""
    return before.endswith(("(", ", ")) and after.startswith((", ", ")"))


_OPEN, _CLOSE = ("", "(", "|", "‖", "⌊", "["), ("", ")", "|", "‖", "⌋", "]", ",")


def _level(formula: str) -> int:
    """Return how tightly a declared formula holds together."""
    flat = re.sub(r"\([^()]*\)|\[[^\[\]]*\]|\|[^|]*\||‖[^‖]*‖", "()", formula)
    if re.search(r" [^\W\d_]+ ", flat):
        return _WORDS
    if " + " in flat or " − " in flat:
        return _SUM
    if " " in flat or flat[:1] in "−+":
        return _PRODUCT
    return _ATOM if re.fullmatch(r"(\w|\{|\})*(\(\))?", flat) else _POSTFIX


def _said(node: Tensor, besides: Iterable[str] = ()) -> list[str]:
    """Return the metadata that says something: "axis=1"."""
    op = node.op
    told = {
        key: _metadata(x)
        for key, x in node.kwargs.items()
        if key not in besides and key != "keepdims"
    }
    said = [
        f"{key}={text}"
        for key, text in told.items()
        if key in op.needed or text != _metadata(op.metadata[key])
    ]
    return said if len(", ".join(said)) <= 30 else ["…"]


def _ndim(node: Tensor) -> int:
    return np.ndim(node._numbers) if not node.op.results else 0


def _reduction(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    """Write a sum, a mean, ... over axes."""
    x, kwargs = _raw(node.inputs[0]), node.kwargs
    axis = kwargs["axis"]
    given = (
        range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    )
    return _over(node, operands[0], sorted(a % x.ndim for a in given if x.ndim), top)


def _over(node: Tensor, form: _Form, axes: Sequence[int], top: bool) -> _Form:
    op, x = node.op, _raw(node.inputs[0])
    if op.symbol == "Σ" and form.bare and x.size == node.size:
        return form.bare
    is_whole = len(axes) == x.ndim
    if (stack := form.stack) is not None and list(axes) == [0]:
        form, axes = stack, range(stack.ndim - 1)
    said = _said(node, ("axis", "shape"))
    symbol = op.name if op.formula else op.symbol
    if is_whole:
        if op.formula and not (said and not top):
            return _by_symbol(node, [form], top)
        return _Form(f"{symbol}({', '.join([form.text, *said])})")
    if top:
        text = f"{symbol} over {_axes(axes)} of {form.inside(_PRODUCT)}"
        return _Form(", ".join([text, *said]), _WORDS, node.ndim)
    shown = literal(axes[0] if len(axes) == 1 else tuple(axes))
    inside = [form.text, f"axis={shown}", *said]
    return _Form(f"{symbol}({', '.join(inside)})", ndim=node.ndim)


def _sum_to(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    shape, to = node.inputs[0].shape, node.shape
    if shape == to:
        return operands[0]
    return _over(node, operands[0], _lost(shape, to), top)


def _multiply(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    a, b = map(_product_of, operands)
    product = _Product(
        a.times * b.times, a.by * b.by, a.over + b.over, a.under + b.under
    )
    return _form_of(product)


def _divide(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    a, b = map(_product_of, operands)
    if b.under or b.times < 0:
        b = _Product(1, 1, (operands[1],), ())
    product = _Product(a.times * b.by, a.by * b.times, a.over, a.under + b.over)
    return _form_of(product)


def _negative(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    product = _product_of(operands[0])
    return _form_of(product._replace(times=-product.times))


def _raised(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    base, exponent = operands
    ndim = max(base.ndim, exponent.ndim)
    if exponent.product is None or exponent.product.over or exponent.product.under:
        return _Form(f"{base.inside(_ATOM)}^{exponent.inside(_ATOM)}", _POSTFIX, ndim)
    number = exponent.product.times / exponent.product.by
    return base if number == 1 else _Form(_power(base, number), _POSTFIX, ndim)


def _matmul(node: Tensor, operands: list[_Form], top: bool) -> _Form | None:
    a, b = operands
    shape = np.shape(_raw(node.inputs[0]))
    left, right = a.bare or a, b.bare or b
    if left.ndim == 0 or right.ndim == 0:
        return _multiply(node, [left, right], top)
    if node.op.name == "dot" and max(left.ndim, right.ndim) > 2:
        return None
    if (a.bare or b.bare) and shape[-1] == 1 and right.ndim == 1:
        return _chain([left, right], node.ndim, "⊗")
    if max(left.ndim if a.bare else 0, right.ndim if b.bare else 0) > 1:
        operands = [  # a vector with a stack of vectors
            _Form(f"{form.text}[{'None' if n != 1 else ':, None'}]", _POSTFIX)
            if form.bare and form.bare.ndim == 1
            else form
            for form, n in zip(operands, (shape[-1], 1), strict=True)
        ]
    parts: list[_Form] = []
    for form in operands:
        is_chain = form.matrices and " ⊗ " not in form.text
        parts += form.matrices if is_chain else (form,)
    return _chain(parts, node.ndim)


def _tensordot(node: Tensor, operands: list[_Form], top: bool) -> _Form | None:
    """Write a product of matrices or vectors as such."""
    a, b = operands
    axes = node.kwargs["axes"]
    if axes == 1:
        axes = ((a.ndim - 1,), (0,))
    if isinstance(axes, int) or max(a.ndim, b.ndim) > 2 or len(axes[0]) > 1:
        return None
    if not axes[0]:
        together = a.ndim + b.ndim
        sign = _multiply(node, operands, top) if min(a.ndim, b.ndim) == 0 else None
        return sign or (_chain(operands, 2, "⊗") if together == 2 else None)
    if axes[0][0] % a.ndim != a.ndim - 1:
        a = _turned(a)
    if axes[1][0] % b.ndim != 0:
        b = _turned(b)
    return _chain([a, b], node.ndim)


def _multi_dot(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    return _chain(operands, node.ndim)


def _transposed(node: Tensor, operands: list[_Form], top: bool) -> _Form | None:
    form, n = operands[0], _raw(node.inputs[0]).ndim
    order = list(range(n))
    if node.op.name == "swapaxes":
        i, j = node.kwargs["axis1"] % n, node.kwargs["axis2"] % n
        order[i], order[j] = j, i
    else:
        axes = node.kwargs["axes"]
        order = order[::-1] if axes is None else [int(a) % n for a in axes]
    if order == sorted(order):
        return form
    if form.bare and form.bare.ndim <= 1:
        return form
    return _turned(form) if order == [*range(n - 2), n - 1, n - 2] else None


def _reshaped(node: Tensor, operands: list[_Form], top: bool) -> _Form | None:
    form, shape = operands[0], _raw(node.inputs[0]).shape
    if shape == node.shape:
        return form
    if top and _BRACES.fullmatch(form.text):
        text = f"{form.text} reshaped to {literal(node.shape)}"
        return _Form(text, _WORDS, node.ndim)
    bare = form.bare or form
    if _is_as_long(shape, node.shape):
        if node.ndim <= bare.ndim:
            return replace(bare, ndim=node.ndim)
        return _with_new_axes(
            bare, node, f"reshape({form.text}, {literal(node.shape)})"
        )
    if node.shape == (math.prod(shape[:-1]), *shape[-1:]):
        return _Form(f"rows({form.text})", ndim=2, stack=form)
    return _Form(f"reshape({form.text}, {literal(node.shape)})", ndim=node.ndim)


def _is_as_long(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two shapes differ in axes of length 1 alone."""
    return [n for n in a if n != 1] == [n for n in b if n != 1]


def _repeated(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    form = operands[0].bare or operands[0]
    is_same = math.prod(node.shape) == math.prod(node.inputs[0].shape)
    if is_same or not top:  # in a product or sum, which repeat what is smaller
        return form
    text = f"{form.inside(_PRODUCT)} repeated to {literal(node.shape)}"
    return _Form(text, _WORDS, node.ndim)


def _picked(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    form, index = operands[0], node.kwargs["index"]
    parts = index if isinstance(index, tuple) else (index,)
    text = f"{form.inside(_ATOM)}[{_metadata(index, in_brackets=True)}]"
    whole = (type(None), type(...), slice)
    if all(isinstance(i, whole) and i in (None, ..., slice(None)) for i in parts):
        return _with_new_axes(form, node, text)
    return _Form(text, ndim=node.ndim)


def _result(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    field = node.inputs[0]._numbers._fields[node.kwargs["index"]]
    return _Form(f"{operands[0].inside(_ATOM)}.{field}", ndim=node.ndim)


def _as_it_is(node: Tensor, operands: list[_Form], top: bool) -> _Form | None:
    return None if top else operands[0]


def _ones(x: np.ndarray) -> str:
    """Name the constants of einsum's rule: 1 repeats, I puts on a diagonal."""
    if x.ndim == 2 and np.array_equal(x, np.eye(len(x))):
        return "I"
    return "1" if x.ndim == 1 and (x == 1).all() else "const"


def _einsum(node: Tensor, operands: list[_Form], top: bool) -> _Form:
    subscripts = node.kwargs["subscripts"].replace(" ", "")
    inside = [
        _ones(x) if form.text == "const" else form.text
        for x, form in zip(node.inputs, operands, strict=True)
    ]
    inside.insert(0, f'"{subscripts}"')
    return _Form(f"einsum({', '.join(inside)})", ndim=node.ndim)


_WRITERS: dict[str, Callable[[Tensor, list[_Form], bool], _Form | None]] = {
    "add": lambda node, operands, top: _sum(operands[0], operands[1], "+"),
    "astype": _as_it_is,
    "broadcast_to": _repeated,
    "copy": _as_it_is,
    "divide": _divide,
    "einsum": _einsum,
    "getitem": _picked,
    "item": _result,
    "matmul": _matmul,
    "dot": _matmul,
    "multi_dot": _multi_dot,
    "multiply": _multiply,
    "negative": _negative,
    "positive": _as_it_is,
    "power": _raised,
    "reshape": _reshaped,
    "subtract": lambda node, operands, top: _sum(operands[0], operands[1], "−"),
    "sum_to": _sum_to,
    "swapaxes": _transposed,
    "tensordot": _tensordot,
    "transpose": _transposed,
}
