"""The lecture and its exercises."""
