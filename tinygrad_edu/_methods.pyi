"""The methods that declarations add to Tensor: written by tests/method_stub.py."""

from typing import Any

from tinygrad_edu.core import Tensor
from tinygrad_edu.ops.indexing import At

class Methods:
    __slots__ = ()
    @property
    def at(self) -> At: ...
    def __eq__(self, other: object) -> Any: ...
    def __ne__(self, other: object) -> Any: ...
    def __lt__(self, other: Any) -> Any: ...
    def __le__(self, other: Any) -> Any: ...
    def __gt__(self, other: Any) -> Any: ...
    def __ge__(self, other: Any) -> Any: ...
    def add(self, b: Any) -> Tensor:
        """Sum, elementwise with broadcasting."""
    def __add__(self, other: Any) -> Tensor: ...
    def __radd__(self, other: Any) -> Tensor: ...
    def astype(self, dtype: Any) -> Tensor:
        """Convert to another floating-point type."""
    def broadcast_to(self, shape: Any) -> Tensor:
        """Repeat ``x`` along new axes and axes of length 1 until it has ``shape``."""
    def divide(self, b: Any) -> Tensor:
        """Quotient, elementwise with broadcasting."""
    def __truediv__(self, other: Any) -> Tensor: ...
    def __rtruediv__(self, other: Any) -> Tensor: ...
    def dot(self, b: Any) -> Tensor:
        """Product of vectors and matrices."""
    def exp(self) -> Tensor:
        """The exponential function, elementwise."""
    def getitem(self, index: Any) -> Tensor:
        """A part of ``x``: basic, integer-array and boolean indexing as in NumPy."""
    def __getitem__(self, index: Any) -> Tensor: ...
    def inv(self) -> Tensor:
        """Inverse of a square matrix, or of each in a stack."""
    def linear(self, weight: Any, bias: Any = None) -> Tensor:
        """Weighted sums of the last axis, plus a bias: what a dense layer computes."""
    def log(self) -> Tensor:
        """The natural logarithm, elementwise."""
    def log_softmax(self, axis: Any = -1) -> Tensor:
        """The logarithm of the softmax, without ever taking the logarithm of 0."""
    def logsumexp(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Logarithm of the sum of exponentials along an axis, several, or all."""
    def matmul(self, b: Any) -> Tensor:
        """Matrix product, over the last two axes; leading axes broadcast."""
    def __matmul__(self, other: Any) -> Tensor: ...
    def __rmatmul__(self, other: Any) -> Tensor: ...
    def max(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """The largest number along an axis, several, or all."""
    def maximum(self, b: Any) -> Tensor:
        """The larger of two numbers, elementwise with broadcasting."""
    def mean(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Arithmetic mean along an axis, several, or all."""
    def multiply(self, b: Any) -> Tensor:
        """Product, elementwise with broadcasting."""
    def __mul__(self, other: Any) -> Tensor: ...
    def __rmul__(self, other: Any) -> Tensor: ...
    def negative(self) -> Tensor:
        """The number with its sign changed, elementwise."""
    def __neg__(self) -> Tensor: ...
    def power(self, b: Any) -> Tensor:
        """``a`` to the power ``b``, elementwise with broadcasting."""
    def __pow__(self, other: Any) -> Tensor: ...
    def __rpow__(self, other: Any) -> Tensor: ...
    def put(self, index: Any, shape: Any) -> Tensor:
        """Zeros of ``shape``, with ``x`` added at ``index``."""
    def relu(self) -> Tensor:
        """The rectified linear unit, elementwise: x where it is positive, else 0."""
    def reshape(self, *shape: Any) -> Tensor:
        """The same numbers, in the same order, in another shape."""
    def set_at(self, value: Any, index: Any) -> Tensor:
        """A copy with ``value`` at ``index``; written ``x.at[index].set(value)``."""
    def sigmoid(self) -> Tensor:
        """The logistic function, elementwise: any number to one between 0 and 1."""
    def slogdet(self) -> Any:
        """Sign and logarithm of the absolute value of each determinant."""
    def softmax(self, axis: Any = -1) -> Tensor:
        """Exponentials divided by their sum: positive numbers that add up to 1."""
    def softmax_cross_entropy(self, labels: Any, reduction: Any = "mean") -> Tensor:
        """Cross-entropy between labels and the softmax of ``logits``."""
    def softplus(self) -> Tensor:
        """A smooth ramp, elementwise: near 0 for negative x, near x for positive."""
    def sqrt(self) -> Tensor:
        """The square root, elementwise."""
    def subtract(self, b: Any) -> Tensor:
        """Difference, elementwise with broadcasting."""
    def __sub__(self, other: Any) -> Tensor: ...
    def __rsub__(self, other: Any) -> Tensor: ...
    def sum(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Sum along an axis, several, or all."""
    def sum_to(self, shape: Any) -> Tensor:
        """Sum over the axes along which ``shape`` broadcasts to ``x``'s shape."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent, elementwise."""
    def transpose(self, *axes: Any) -> Tensor:
        """The same numbers with the axes in another order."""
