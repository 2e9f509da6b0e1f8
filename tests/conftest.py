"""What every test may ask for, and what none may leave behind."""

from __future__ import annotations

import signal
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from tinygrad_edu.engine.core import OPS, Tensor
from tinygrad_edu.engine.dispatch import FROM_NUMPY
from tinygrad_edu.engine.recording import RECORDING, RUN

collect_ignore = ["support/without_fast.py"]  # it must come before the package does


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator of random numbers, seeded by the test's name.

    Not by its file's: a test that moves keeps its numbers.
    """
    seed = zlib.crc32(request.node.name.encode())
    print(f"rng = np.random.default_rng({seed})")  # pytest shows it with a failure
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_interrupts() -> None:
    """Have Ctrl-C interrupt, also where a shell runs the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_left_switched() -> Iterator[None]:
    """Fail a test that leaves recording switched off, or a layer open."""
    yield
    recording, run = bool(RECORDING.get()), RUN.get()
    RECORDING.set(True)  # the tests to come are not to blame
    RUN.set(None)
    assert recording, "the test left recording switched off"
    assert run is None, f"the test left the layer {run.scope} open"


class Everywhere:
    """What holds for the examples in docstrings, too, which lie in another folder."""

    @pytest.fixture(autouse=True)
    def declared_operations_forgotten(self) -> Iterator[None]:
        """Forget the operations that a test or an example declares."""
        tables = (OPS, FROM_NUMPY)
        before = [dict(table) for table in tables]
        attributes = dict(vars(Tensor))
        yield
        for table, entries in zip(tables, before, strict=True):
            table.clear()
            table.update(entries)
        for name, value in dict(vars(Tensor)).items():
            if name not in attributes:
                delattr(Tensor, name)
            elif value is not attributes[name]:
                setattr(Tensor, name, attributes[name])


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Everywhere())
