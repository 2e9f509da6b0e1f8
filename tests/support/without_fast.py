"""For ``pytest -p without_fast``: the engine without its short paths.

An empty module takes the place of ``fast`` before the package is imported.
"""

from __future__ import annotations

import sys
from types import ModuleType

NAME = "tinygrad_edu.engine.fast"

if "tinygrad_edu" in sys.modules:
    raise RuntimeError("without_fast comes too late: tinygrad_edu is imported already")
sys.modules[NAME] = ModuleType(NAME)
