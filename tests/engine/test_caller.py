"""Whether a caller stores a number into an array, for each way to write it."""

from __future__ import annotations

import sys
import threading
from types import FunctionType

import numpy as np
import pytest

from tinygrad_edu.engine.caller import of_scipy, stores_into_an_array


class Number:
    """Notes where it is asked for its number."""

    stored: bool | None = None

    def __float__(self) -> float:
        self.stored = stores_into_an_array(sys._getframe(1))
        return 1.0


def by_index(a, x):
    a[0] = x


def by_slice(a, x):
    a[:1] = x


def by_several(a, x):
    a[0], b = x, 2
    return b


def by_a_long_index(a, x):
    a[tuple(int(i) for i in "0")] = x


def in_a_loop(a, x):
    for i in range(3):  # after two turns the interpreter has specialised the code
        a[i] = x


def in_a_comprehension(a, x):
    return [a.__setitem__(i, float(x)) for i in range(2)]


def by_float(a, x):
    return float(x)


def by_float_first(a, x):
    a[0] = float(x)


def by_array(a, x):
    return np.array([float(x)])


def by_format(a, x):
    return f"{float(x):.1f}"


@pytest.mark.parametrize(
    "store", [by_index, by_slice, by_several, by_a_long_index, in_a_loop]
)
@pytest.mark.parametrize("times", [1, 100])
def test_a_statement_that_stores_is_seen(store, times):
    for _ in range(times):
        x = Number()
        store(np.zeros(3), x)

        assert x.stored is True


@pytest.mark.parametrize(
    "take", [by_float, by_float_first, by_array, by_format, in_a_comprehension]
)
@pytest.mark.parametrize("times", [1, 100])
def test_a_number_that_is_taken_out_is_no_store(take, times):
    for _ in range(times):
        x = Number()
        take(np.zeros(3), x)

        assert x.stored is False


def test_a_traced_statement_is_seen_too():
    """As under a debugger or a coverage tool, which exchange the instructions."""
    x, before = Number(), sys.gettrace()
    sys.settrace(lambda *_: lambda *_: None)
    try:
        by_index(np.zeros(3), x)
    finally:
        sys.settrace(before)

    assert x.stored is True


def test_where_nobody_called_nothing_is_stored():
    assert stores_into_an_array(None) is False
    x = Number()
    thread = threading.Thread(target=x.__float__)
    thread.start()
    thread.join()
    assert x.stored is False


def inside(library, name, f):
    """A function of that name and library, which calls ``f``."""
    code = compile("f()", "", "eval").replace(co_name=name)
    return FunctionType(code, {"__name__": library, "f": f})


def asked():
    return of_scipy(sys._getframe(1))


def test_the_functions_of_scipy_are_named_from_outside():
    inner = inside("scipy._lib", "_asarray", inside("numpy.lib", "checked", asked))

    assert inside("scipy.special", "softmax", inner)() == ["softmax", "_asarray"]


@pytest.mark.parametrize("library", ["numpy.lib", "scipyish", "mine"])
def test_another_library_is_not_scipy(library):
    assert inside(library, "softmax", asked)() == []


def test_what_scipy_calls_back_is_not_scipy():
    assert inside("scipy.optimize", "minimize", inside("mine", "loss", asked))() == []


def test_where_nobody_called_it_was_not_scipy():
    assert of_scipy(None) == []
