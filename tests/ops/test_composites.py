"""Every function made of operations: NumPy's in value, and right in every derivative.

The walk goes over ``COMPOSITES``, with the cases that stand beside each declaration.
"""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from composites import (
    COMPOSITES,
    Composite,
    called,
    laid_out,
    numbers,
    own,
    recorded,
    weighted,
)
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu.engine.dispatch import FROM_NUMPY

ALL = [*COMPOSITES.values()]
every_composite = pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
every_case = pytest.mark.parametrize(
    ("made", "case"),
    [
        pytest.param(made, case, id=f"{made.name}-{i}")
        for made in ALL
        for i, case in enumerate(made.cases)
    ],
)
#: The first cases of each; then, where there is time, the others.
closely = pytest.mark.parametrize(
    "cases",
    [slice(2), pytest.param(slice(2, None), marks=pytest.mark.slow)],
    ids=["few", "others"],
)


@every_case
def test_gives_numpys_values(made, case, rng):
    f, arrays = called(made, case, rng)

    with np.errstate(all="ignore"):
        out = numbers(f(*(te.tensor(x, requires_grad=True) for x in arrays)))
        right = numbers(f(*arrays)) if made.numpy else out

    assert len(out) == len(right)
    for y, expected in zip(out, right, strict=True):
        assert y.dtype == np.asarray(expected).dtype
        assert_near(y, expected, 1e-13, f"{made.name} {case}")


@every_case
def test_has_right_derivatives(made, case, rng):
    f, arrays = called(made, case, rng)
    order = 2 if case is made.cases[0] else 1

    te.gradcheck(lambda *inputs: recorded(f(*inputs)), *arrays, order=order)


@every_composite
def test_forward_mode_agrees_with_reverse_mode(made, rng):
    f, arrays = called(made, made.cases[0], rng)
    along = [rng.standard_normal(x.shape) for x in arrays]
    leaves = [te.tensor(x, requires_grad=True) for x in arrays]

    _, tangent = te.jvp(lambda *xs: weighted(f(*xs)), tuple(arrays), tuple(along))

    gradients = te.gradients(weighted(f(*leaves)), leaves)
    right = sum(np.sum(d * v) for d, v in zip(gradients, along, strict=True))
    assert_near(tangent, right, 1e-12, made.name)


@pytest.mark.slow
@every_case
def test_has_right_second_derivatives(made, case, rng):
    f, arrays = called(made, case, rng)

    te.gradcheck(lambda *inputs: recorded(f(*inputs)), *arrays, order=2)


@closely
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@every_composite
def test_keeps_the_dtype_that_numpy_gives(made, dtype, cases, rng):
    for case in made.cases[cases]:
        f, arrays = called(made, case, rng, dtype)
        leaves = [te.tensor(x, requires_grad=True) for x in arrays]
        try:
            with np.errstate(all="ignore"):
                right = numbers(f(*arrays)) if made.numpy else None
        except TypeError:  # LAPACK has no float16
            continue

        out = f(*leaves)
        gradients = te.gradients(weighted(out), leaves)

        wider = [te.tensor(x, requires_grad=True, dtype=float) for x in arrays]
        wide = te.gradients(weighted(f(*wider)), wider)
        for y, expected in zip(numbers(out), right or (), strict=False):
            assert y.dtype == np.asarray(expected).dtype, case
        for x, d, exact in zip(leaves, gradients, wide, strict=True):
            assert d.dtype == x.dtype
            near = {np.float32: 1e-4, np.float16: 3e-2}[dtype]
            assert_near(d.astype(float), exact, near, f"{made.name} {case}")


@closely
@every_composite
def test_the_layout_in_memory_makes_no_difference(made, cases, rng):
    for case in made.cases[cases]:
        f, arrays = called(made, case, rng)
        found = []
        for how in ("as usual", "Fortran", "every other one", "backwards"):
            leaves = [te.tensor(x, requires_grad=True) for x in arrays]
            for leaf, x in zip(leaves, arrays, strict=True):
                leaf._numbers = laid_out(x, how)  # as it is in memory
            out = f(*leaves)
            found.append([*numbers(out), *te.gradients(weighted(out), leaves)])

        for others in found[1:]:
            for y, right in zip(others, found[0], strict=True):
                assert_near(y, right, 1e-12, f"{made.name} {case}")


def outcome(f: Callable[..., Any], *arrays: Any) -> Any:
    """The shapes of what a function gives, or which error it raises."""
    try:
        with np.errstate(all="ignore"):
            return [np.shape(y) for y in numbers(f(*arrays))]
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        return error


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (2, 0)], ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@every_composite
def test_numbers_and_empty_arrays_are_taken_or_refused_as_in_numpy(made, shape):
    for case in made.cases if made.numpy else ():
        f, arrays = called(made, case, 0)
        arrays[0] = np.full(shape, arrays[0].flat[0])
        leaf = te.tensor(arrays[0], requires_grad=True)
        right = outcome(f, *arrays)
        f, _ = called(made, case, 0, ours=True)

        got = outcome(f, leaf, *arrays[1:])

        if isinstance(right, Exception):
            assert isinstance(got, Exception), f"{case}: NumPy says {right}"
            assert str(got).startswith(f"{made.name}: ")
        else:
            assert got == right, case
            total = weighted(f(leaf, *arrays[1:]))
            if isinstance(total, te.Tensor):  # else nothing came out
                assert te.gradients(total, [leaf])[0].shape == shape


@every_composite
def test_of_plain_numbers_it_gives_plain_numbers_and_of_tensors_tensors(made, rng):
    f, arrays = called(made, made.cases[0], rng)

    plain = numbers(f(*arrays), raw=False)
    tensors = numbers(f(*map(te.tensor, arrays)), raw=False)

    assert not any(isinstance(y, te.Tensor) for y in plain)
    assert all(isinstance(y, te.Tensor) and not y.requires_grad for y in tensors)
    for y, right in zip(tensors, plain, strict=True):
        np.testing.assert_array_equal(y.data, right)


@every_composite
def test_a_masked_array_and_an_unknown_argument_are_refused_by_name(made, rng):
    f, arrays = called(made, made.cases[0], rng, ours=True)
    leaf = te.tensor(arrays[0], requires_grad=True)

    with pytest.raises(TypeError, match=rf"^{made.name}: .*masked"):
        f(np.ma.masked_array(arrays[0]), *arrays[1:])
    with pytest.raises(TypeError, match=rf"^{made.name}: argument 'nonsense'"):
        own(made)(leaf, *arrays[1:], nonsense=1)


def further(made: Composite) -> list[str]:
    """Return the arguments of NumPy's function that may be left out."""
    if made.numpy is None or isinstance(made.numpy, np.ufunc):
        return []
    parameters = inspect.signature(made.numpy).parameters.values()
    return [p.name for p in parameters if p.default is not p.empty]


@every_composite
def test_each_keyword_of_numpys_is_differentiated_in_a_case_or_refused(made, rng):
    f, arrays = called(made, made.cases[0], rng, ours=True)
    leaf = te.tensor(arrays[0], requires_grad=True)
    untried = []
    for name in further(made):
        if name in made.defaults:
            if not any(name in case.kwargs for case in made.cases):
                untried.append(name)
            continue
        with pytest.raises(TypeError, match=rf"^{made.name}: argument '{name}'"):
            f(leaf, *arrays[1:], **{name: "anything"})

    assert set(untried) <= HARMLESS


#: What has one value alone, or no effect on tensors; for dtype see test_keywords.py.
HARMLESS = {"copy", "dtype", "kind"}


@every_composite
def test_has_a_case_a_docstring_and_answers_for_numpys(made):
    function = own(made)
    text = inspect.cleandoc(function.__doc__)
    parts = doctest.DocTestParser().get_doctest(text, {}, made.name, None, None)

    done = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(parts)

    assert made.cases
    assert function.__wrapped__ is made.function
    assert made.numpy is None or FROM_NUMPY[made.numpy] is function
    if made.name != "linspace":  # te.linspace makes Tensors, of numbers, too
        assert made.name not in te.__all__ or getattr(te, made.name) is function
    assert done.attempted > 0
    assert done.failed == 0
    assert not hasattr(te.Tensor, made.name) or hasattr(np.ndarray, made.name)
