"""Files of weights, PyTorch's among them, and of ONNX for other runtimes."""
