"""Models for other runtimes: a recorded graph becomes a file of ONNX."""

from tinygrad_edu.saving.onnx_file import export_onnx

__all__ = ["export_onnx"]
