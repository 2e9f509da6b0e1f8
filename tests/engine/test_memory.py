"""Large arrays begin with a cache line, and freed memory is kept for the next."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_edu.engine.memory import empty_like


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


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="only glibc hands memory back so soon",
)
@pytest.mark.parametrize("settings", [{}, {"MALLOC_TRIM_THRESHOLD_": "65536"}])
def test_memory_of_freed_arrays_is_not_fetched_from_the_system_again(settings):
    pages = 20 * 2 * 500_000 * 8 // 4096

    assert faults("import tinygrad_edu", settings) < 0.1 * pages
    assert faults("", settings) > 0.5 * pages  # else there is no need for it
