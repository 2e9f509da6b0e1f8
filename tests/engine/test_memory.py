"""Large arrays begin with a cache line; freed memory is kept; who holds an array."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_edu.engine.memory import empty_like, is_held_once


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_array_begins_with_a_cache_line(order, dtype):
    made = [empty_like(np.ones((64, 30), dtype, order)) for _ in range(8)]

    assert {x.__array_interface__["data"][0] % 64 for x in made} == {0}
    assert all(x.shape == (64, 30) and x.dtype == dtype for x in made)
    assert all(x.flags[f"{order}_CONTIGUOUS"] for x in made)


@pytest.mark.parametrize("x", [np.ones(3), np.ones((99, 99))[::2, ::2], np.ones(())])
def test_any_other_array_is_numpys(x):
    made = empty_like(x)

    assert (made.shape, made.dtype, made.base) == (x.shape, x.dtype, None)


FAULTS = """
import resource

import numpy as np
{imported}

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():  # two at a time, so that what is freed lies at the end of the heap
    a = np.ones(500_000)
    b = a + a

for _ in range(3):
    step()
before = faults()
for _ in range(20):
    step()
print(faults() - before)
"""


def faults(imported, settings):
    run = subprocess.run(
        [sys.executable, "-c", FAULTS.format(imported=imported)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | settings,
    )
    return int(run.stdout)


PAGES = 20 * 2 * 500_000 * 8 // 4096
IMPORT = "import tinygrad_edu as te"
OPTIMISER = f"{IMPORT}; te.optim.SGD([te.tensor(1.0, requires_grad=True)], lr=0.1)"
PROFILE = f"{IMPORT}; te.profile(te.nn.Linear(2, 2), np.ones((2, 2)), seconds=1e-9)"
LARGE = f"{IMPORT}; te.tensor(np.ones(2**14))"
BORROWED = f"{IMPORT}; te.tensor(1.0, requires_grad=True) * np.ones(2**14)"
SMALL = f"{IMPORT}; te.tensor(np.ones(2**13), requires_grad=True) * np.ones(2**13)"
only_glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="only glibc hands memory back so soon",
)


@only_glibc
@pytest.mark.parametrize("beginning", [OPTIMISER, PROFILE])
@pytest.mark.parametrize("settings", [{}, {"MALLOC_TRIM_THRESHOLD_": "65536"}])
def test_where_training_begins_freed_memory_is_not_fetched_again(settings, beginning):
    """Dask starts its workers with the setting."""
    assert faults(beginning, settings) < 0.1 * PAGES


@only_glibc
@pytest.mark.parametrize("beginning", [LARGE, BORROWED])
def test_from_the_first_large_array_of_a_graph_on_freed_memory_is_kept(beginning):
    assert faults(beginning, {}) < 0.1 * PAGES


@only_glibc
def test_an_import_and_small_arrays_change_nothing_of_the_process():
    assert faults(SMALL, {}) > 0.5 * PAGES
    assert faults("", {}) > 0.5 * PAGES  # else there is no need for it


@only_glibc
@pytest.mark.parametrize(
    "settings",
    [
        {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"},
    ],
)
def test_what_the_user_has_set_stays(settings):
    assert faults(OPTIMISER, settings) > 0.5 * PAGES


# ------------------------------------------------------------------ who holds an array


def test_an_array_that_only_a_dict_holds_is_told_from_others():
    kept = np.ones(3)
    found = {1: np.ones(3), 2: kept, 3: np.ones((2, 3)).T, 4: np.ones((2, 3))[:1]}
    found[5] = np.float64(1)

    told = {name: is_held_once(g) for name, g in found.items()}

    assert told == {1: True, 2: False, 3: True, 4: False, 5: False}


def test_a_transpose_whose_array_is_held_elsewhere_is_not_held_once():
    kept = np.ones((2, 3))
    found = {1: kept.T}

    assert [is_held_once(g) for _, g in found.items()] == [False]
