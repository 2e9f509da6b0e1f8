"""A pytest plugin: the ``gradcheck`` fixture and ``--gradcheck-order``.

Installed with the package; pytest finds it by its entry point.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

if TYPE_CHECKING:
    import numpy as np

    from tinygrad_edu.checks.functions import GradcheckReport

__all__ = ["GradcheckFixture", "gradcheck", "pytest_addoption"]


class GradcheckFixture:
    """:func:`tinygrad_edu.gradcheck` with a generator that is seeded for the test.

    Attributes
    ----------
    rng : numpy.random.Generator
        Seeded with the file and name of the test: the same numbers in every run.
    order : int
        That of ``--gradcheck-order``.
    """

    def __init__(self, rng: np.random.Generator, order: int) -> None:
        self.rng = rng
        self.order = order

    def __call__(self, f: Any, *inputs: Any, **options: Any) -> GradcheckReport:
        """Check ``f`` at ``inputs``; the options are those of ``te.gradcheck``."""
        __tracebackhide__ = True
        from tinygrad_edu.checks import functions

        options = {"order": self.order, "rng": self.rng, **options}
        return functions.gradcheck(f, *inputs, **options)


def _order(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be 1, 2, ..., got {text!r}")
    return int(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--gradcheck-order``."""
    parser.getgroup("tinygrad_edu").addoption(
        "--gradcheck-order",
        type=_order,
        default=1,
        metavar="N",
        help="up to which order the gradcheck fixture checks derivatives (default: 1)",
    )


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> GradcheckFixture:
    """Return te.gradcheck with a generator seeded for this test."""
    import numpy as np

    # Without the folders: what they are called depends on where pytest is started.
    test = request.node.nodeid.partition("::")
    name = "::".join([request.node.path.name, test[2]])
    order = request.config.getoption("--gradcheck-order")
    return GradcheckFixture(np.random.default_rng(crc32(name.encode())), order)
