"""The command line: ``tinygrad-edu`` and ``python -m tinygrad_edu``."""

from tinygrad_edu.cli.program import main

__all__ = ["main"]
