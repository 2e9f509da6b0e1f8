"""The graph and the walk backward through it, and what they lean on."""

from tinygrad_edu.engine import fast  # noqa: F401 (short paths, before any declaration)
