"""NumPy's functions: all are known, what is refused says what to write, and rightly."""

from __future__ import annotations

import functools

import numpy as np
import numpy_coverage
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.dispatch import FROM_NUMPY, unsupported
from tinygrad_edu.engine.refusals import REFUSED

PAGE = numpy_coverage.PATH.read_text(encoding="utf-8")
WRITTEN = [name for name, r in REFUSED.items() if r.smooth and r.instead]
#: But for eigenvectors, which have any sign, and here another order.
COMPARED = [name for name in WRITTEN if name != "linalg.eig"]
#: These give complex numbers, or the same in another order.
APART = {
    "fft.fft": lambda y: [y[0].real, y[0].imag],
    "fft.rfft": lambda y: [y[0].real, y[0].imag],
    "linalg.eigvals": lambda y: [np.sort(y[0])],
}


def of_numpy():
    """Every public function of NumPy that asks its arguments what to do, by name."""
    rooms = {"": np, "linalg.": np.linalg, "fft.": np.fft}
    for room, module in rooms.items():
        for name in dir(module):
            function = getattr(module, name)
            asks = type(function) is type(np.sum) or isinstance(function, np.ufunc)
            if asks and getattr(np, function.__name__, None) is not function:
                yield room + function.__name__, function
            elif asks:
                yield function.__name__, function


FUNCTIONS = dict(of_numpy())


def test_every_function_has_an_operation_or_says_why_not():
    unknown = {n for n, f in FUNCTIONS.items() if f not in FROM_NUMPY} - REFUSED.keys()

    assert unknown == set(), "give them a line in engine/refusals.py"


def test_no_refusal_is_left_of_what_has_an_operation():
    answered = {name for name in REFUSED if FUNCTIONS[name] in FROM_NUMPY}

    assert answered == set(), "take them out of engine/refusals.py"


def test_what_has_a_derivative_is_measured():
    smooth = {name for name, refusal in REFUSED.items() if refusal.smooth}

    assert smooth <= numpy_coverage.CALLS.keys()
    assert numpy_coverage.CALLS.keys() <= FUNCTIONS.keys()


def test_the_page_lists_what_is_refused():
    assert numpy_coverage.refused() in PAGE, "python tools/numpy_coverage.py"


@pytest.mark.slow
def test_the_page_is_what_is_measured():
    assert numpy_coverage.page() == PAGE, "python tools/numpy_coverage.py"


@pytest.mark.parametrize("name", COMPARED)
def test_what_is_to_be_written_has_the_results_and_the_derivatives(name):
    code, instead = numpy_coverage.CALLS[name], REFUSED[name].instead
    names = {"te": te, "functools": functools}
    arrays = numpy_coverage.taken_by(code)
    in_order = APART.get(name, lambda y: y)

    def written(**given):
        found = numpy_coverage.results(instead, np, given | names)
        return [y if isinstance(y, te.Tensor) else te.tensor(y) for y in found]

    mine = written(**{n: te.tensor(x) for n, x in arrays.items()})
    theirs = in_order(numpy_coverage.results(code, np, {}))
    assert [y.shape for y in mine] == [np.shape(y) for y in theirs]
    for y, expected in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)
    if "h" not in arrays:  # no differences by a nan
        te.gradcheck(
            lambda *given: written(**dict(zip(arrays, given, strict=True))),
            *arrays.values(),
        )


@pytest.mark.parametrize("name", WRITTEN)
def test_the_error_says_what_to_write(name):
    text = str(unsupported(FUNCTIONS[name]))

    assert f"for example {REFUSED[name].instead}, or declare" in text


def test_a_gradient_that_is_lost_or_wrong_does_not_count():
    call = numpy_coverage.Call("exp", "", "np.exp(x)")
    right = np.exp(numpy_coverage.VARIABLES["x"])
    n = np.arange(4)
    weighted = right * numpy_coverage.weights((4,), 0)

    assert numpy_coverage.is_right(call, lambda code: {"x": weighted})
    assert not numpy_coverage.is_right(call, lambda code: {"x": weighted + 1e-3 * n})
    assert not numpy_coverage.is_right(call, lambda code: {})
    assert not numpy_coverage.is_right(call, lambda code: {"x": weighted[:1]})
