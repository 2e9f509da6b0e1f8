"""The methods that declarations add to Tensor: written by tools/method_stub.py."""

from typing import Any

from tinygrad_edu.engine.core import Tensor
from tinygrad_edu.ops.indexing import At

class Methods:
    __slots__ = ()
    @property
    def at(self) -> At: ...
    def argmax(self, axis: Any = None, *, keepdims: bool = False) -> Any: ...
    def argmin(self, axis: Any = None, *, keepdims: bool = False) -> Any: ...
    def argsort(self, axis: Any = -1, kind: Any = None, order: Any = None) -> Any: ...
    def __eq__(self, other: object) -> Any: ...
    def __ne__(self, other: object) -> Any: ...
    def __lt__(self, other: Any) -> Any: ...
    def __le__(self, other: Any) -> Any: ...
    def __gt__(self, other: Any) -> Any: ...
    def __ge__(self, other: Any) -> Any: ...
    def absolute(self) -> Tensor:
        """The number without its sign, elementwise; written ``abs(x)``."""
    def __abs__(self) -> Tensor: ...
    def add(self, b: Any) -> Tensor:
        """Sum, elementwise with broadcasting."""
    def __add__(self, other: Any) -> Tensor: ...
    def __radd__(self, other: Any) -> Tensor: ...
    def arccos(self) -> Tensor:
        """The inverse of the cosine, elementwise: angles from 0 to π."""
    def arccosh(self) -> Tensor:
        """The inverse of the hyperbolic cosine, elementwise."""
    def arcsin(self) -> Tensor:
        """The inverse of the sine, elementwise: angles from -π/2 to π/2."""
    def arcsinh(self) -> Tensor:
        """The inverse of the hyperbolic sine, elementwise."""
    def arctan(self) -> Tensor:
        """The inverse of the tangent, elementwise: angles from -π/2 to π/2."""
    def arctan2(self, x: Any) -> Tensor:
        """The angle of the point (x, y), elementwise with broadcasting: from -π to
        π."""
    def arctanh(self) -> Tensor:
        """The inverse of the hyperbolic tangent, elementwise."""
    def astype(self, dtype: Any) -> Tensor:
        """Convert to another floating-point type."""
    def atleast_1d(self) -> Tensor:
        """The same numbers with one axis at least: a number becomes a vector."""
    def atleast_2d(self) -> Tensor:
        """The same numbers with two axes at least: a vector becomes a row."""
    def atleast_3d(self) -> Tensor:
        """The same numbers with three axes at least: (n,) becomes (1, n, 1)."""
    def avg_pool1d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0
    ) -> Tensor:
        """The mean of each window along the last axis."""
    def avg_pool2d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0
    ) -> Tensor:
        """The mean of each window of images."""
    def broadcast_to(self, shape: Any) -> Tensor:
        """Repeat ``x`` along new axes and axes of length 1 until it has ``shape``."""
    def cbrt(self) -> Tensor:
        """The cube root, elementwise; of negative numbers, too."""
    def cholesky(self, upper: Any = False) -> Tensor:
        """Cholesky factor of a positive definite matrix, or of each in a stack."""
    def clip(self, a_min: Any = None, a_max: Any = None) -> Tensor:
        """The number, or the bound that it lies beyond, elementwise with
        broadcasting."""
    def conv1d(
        self,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Tensor:
        """Convolution along one axis: a kernel slides over it, and sums up what it
        sees."""
    def conv2d(
        self,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Tensor:
        """Convolution of images: a kernel slides over them, and sums up what it
        sees."""
    def conv_input(
        self,
        weight: Any,
        shape: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Tensor:
        """Convolution the other way, from its result to its input: the transposed
        one."""
    def conv_weight(
        self,
        x: Any,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Tensor:
        """What a kernel sees, weighted by a result of the convolution, and summed
        up."""
    def copy(self) -> Tensor:
        """The same numbers in memory of their own."""
    def copysign(self, b: Any) -> Tensor:
        """``a`` with the sign of ``b``, elementwise with broadcasting."""
    def cos(self) -> Tensor:
        """The cosine, elementwise."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine, elementwise."""
    def cross(
        self,
        b: Any,
        axisa: Any = -1,
        axisb: Any = -1,
        axisc: Any = -1,
        axis: Any = None,
    ) -> Tensor:
        """Cross product of vectors in space; the other axes broadcast."""
    def cumprod(self, axis: Any = None) -> Tensor:
        """Products so far: of each number and all before it."""
    def cumsum(self, axis: Any = None) -> Tensor:
        """Sums so far: of each number and all before it."""
    def deg2rad(self) -> Tensor:
        """Degrees to radians, elementwise."""
    def det(self) -> Tensor:
        """Determinant of a square matrix, or of each in a stack."""
    def diag(self, k: Any = 0) -> Tensor:
        """A matrix with a vector on its diagonal; of a matrix, its diagonal."""
    def diagonal(self, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Tensor:
        """The diagonal of a matrix, or of each in a stack."""
    def divide(self, b: Any) -> Tensor:
        """Quotient, elementwise with broadcasting."""
    def __truediv__(self, other: Any) -> Tensor: ...
    def __rtruediv__(self, other: Any) -> Tensor: ...
    def dot(self, b: Any) -> Tensor:
        """Sum of products over the last axis of a and the last but one of b."""
    def eigh(self) -> Any:
        """Eigenvalues and eigenvectors of a symmetric matrix, or of each in a stack."""
    def eigvalsh(self) -> Tensor:
        """Eigenvalues of a symmetric matrix, or of each in a stack."""
    def elu(self, alpha: Any = 1.0) -> Tensor:
        """The exponential linear unit, elementwise: -alpha for very negative
        numbers."""
    def erf(self) -> Tensor:
        """The error function, elementwise."""
    def erfc(self) -> Tensor:
        """1 less the error function, elementwise: exact where that is near 1."""
    def exp(self) -> Tensor:
        """The exponential function, elementwise."""
    def exp2(self) -> Tensor:
        """2 to the power of the number, elementwise."""
    def expand_dims(self, axis: Any) -> Tensor:
        """The same numbers with further axes of length 1."""
    def expm1(self) -> Tensor:
        """The exponential function less 1, elementwise: exact near 0."""
    def flatten(self) -> Tensor:
        """The same numbers on a single axis, row by row; always a copy."""
    def flip(self, axis: Any = None) -> Tensor:
        """The same numbers in reverse order, along an axis, several, or all."""
    def fmax(self, b: Any) -> Tensor:
        """The larger of two numbers, or the one that is not nan, elementwise."""
    def fmin(self, b: Any) -> Tensor:
        """The smaller of two numbers, or the one that is not nan, elementwise."""
    def fold(
        self, shape: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
    ) -> Tensor:
        """Add windows up where they came from: entries in several windows are sums."""
    def gelu(self, approximate: Any = "none") -> Tensor:
        """The Gaussian error linear unit, elementwise: x times P(N(0, 1) < x)."""
    def getitem(self, index: Any) -> Tensor:
        """A part of ``x``: basic, integer-array and boolean indexing as in NumPy."""
    def __getitem__(self, index: Any) -> Tensor: ...
    def hard_tanh(self, min_val: Any = -1.0, max_val: Any = 1.0) -> Tensor:
        """The number, but not below ``min_val`` nor above ``max_val``, elementwise."""
    def hypot(self, b: Any) -> Tensor:
        """Length of a vector of two components, elementwise with broadcasting."""
    def inner(self, b: Any) -> Tensor:
        """Sum of products over the last axis of both."""
    def inv(self) -> Tensor:
        """Inverse of a square matrix, or of each in a stack."""
    def kron(self, b: Any) -> Tensor:
        """Kronecker product: b, as often as a has entries, multiplied with each of
        them."""
    def leaky_relu(self, negative_slope: Any = 0.01) -> Tensor:
        """The rectifier with a small slope for negative numbers, elementwise."""
    def linear(self, weight: Any, bias: Any = None) -> Tensor:
        """Weighted sums of the last axis, plus a bias: what a dense layer computes."""
    def log(self) -> Tensor:
        """The natural logarithm, elementwise."""
    def log10(self) -> Tensor:
        """The logarithm to base 10, elementwise."""
    def log1p(self) -> Tensor:
        """The natural logarithm of 1 + x, elementwise: exact near 0."""
    def log2(self) -> Tensor:
        """The logarithm to base 2, elementwise."""
    def log_softmax(self, axis: Any = -1) -> Tensor:
        """The logarithm of the softmax, without ever taking the logarithm of 0."""
    def logaddexp(self, b: Any) -> Tensor:
        """Logarithm of a sum of exponentials, elementwise with broadcasting."""
    def logaddexp2(self, b: Any) -> Tensor:
        """Logarithm to base 2 of a sum of powers of 2, elementwise with
        broadcasting."""
    def logit(self) -> Tensor:
        """The inverse of the logistic function, elementwise: log-odds of a
        probability."""
    def logsumexp(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Logarithm of the sum of exponentials along an axis, several, or all."""
    def matmul(self, b: Any) -> Tensor:
        """Matrix product, over the last two axes; leading axes broadcast."""
    def __matmul__(self, other: Any) -> Tensor: ...
    def __rmatmul__(self, other: Any) -> Tensor: ...
    def matrix_power(self, n: Any) -> Tensor:
        """A square matrix, or each in a stack, multiplied with itself."""
    def max(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """The largest number along an axis, several, or all."""
    def max_gather(
        self,
        x: Any,
        largest: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Tensor:
        """Pick the number of ``z`` that lies where ``x`` is the largest in its
        window."""
    def max_pool1d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> Tensor:
        """The largest number in each window along the last axis."""
    def max_pool2d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> Tensor:
        """The largest number in each window of images."""
    def max_unpool(
        self,
        x: Any,
        largest: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Tensor:
        """Put numbers where ``x`` is the largest in its window: the way back of a max
        pool."""
    def maximum(self, b: Any) -> Tensor:
        """The larger of two numbers, elementwise with broadcasting."""
    def mean(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Arithmetic mean along an axis, several, or all."""
    def median(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """The number in the middle of the sorted ones, along an axis, several, or
        all."""
    def min(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """The smallest number along an axis, several, or all."""
    def minimum(self, b: Any) -> Tensor:
        """The smaller of two numbers, elementwise with broadcasting."""
    def mish(self) -> Tensor:
        """x times the hyperbolic tangent of softplus(x), elementwise."""
    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """The same numbers with some axes moved to other places."""
    def multiply(self, b: Any) -> Tensor:
        """Product, elementwise with broadcasting."""
    def __mul__(self, other: Any) -> Tensor: ...
    def __rmul__(self, other: Any) -> Tensor: ...
    def nan_to_num(
        self, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
    ) -> Tensor:
        """The number, with another one in place of nan and of infinities,
        elementwise."""
    def negative(self) -> Tensor:
        """The number with its sign changed, elementwise."""
    def __neg__(self) -> Tensor: ...
    def norm(self, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Norm of a vector or a matrix, or of each along an axis or two."""
    def outer(self, b: Any) -> Tensor:
        """Product of every entry of a with every entry of b."""
    def pad(
        self, pad_width: Any, mode: Any = "constant", constant_values: Any = 0
    ) -> Tensor:
        """The array with a margin around it."""
    def pinv(self, rcond: Any = None) -> Tensor:
        """Pseudo-inverse of a matrix, or of each in a stack (Moore-Penrose)."""
    def positive(self) -> Tensor:
        """The number itself, elementwise: a copy."""
    def __pos__(self) -> Tensor: ...
    def power(self, b: Any) -> Tensor:
        """``a`` to the power ``b``, elementwise with broadcasting."""
    def __pow__(self, other: Any) -> Tensor: ...
    def __rpow__(self, other: Any) -> Tensor: ...
    def prod(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Product along an axis, several, or all."""
    def put(self, index: Any, shape: Any) -> Tensor:
        """Zeros of ``shape``, with ``x`` added at ``index``."""
    def qr(self) -> Any:
        """Orthogonal and triangular factor of a matrix, or of each in a stack."""
    def rad2deg(self) -> Tensor:
        """Radians to degrees, elementwise."""
    def ravel(self) -> Tensor:
        """The same numbers on a single axis, row by row."""
    def reciprocal(self) -> Tensor:
        """1 divided by the number, elementwise."""
    def relu(self) -> Tensor:
        """The rectified linear unit, elementwise: x where it is positive, else 0."""
    def remainder(self, b: Any) -> Tensor:
        """What is left of ``a`` after taking away whole ``b``; written ``a % b``."""
    def __mod__(self, other: Any) -> Tensor: ...
    def __rmod__(self, other: Any) -> Tensor: ...
    def repeat(self, repeats: Any, axis: Any = None) -> Tensor:
        """Each entry several times in a row."""
    def reshape(self, *shape: Any) -> Tensor:
        """The same numbers, in the same order, in another shape."""
    def roll(self, shift: Any, axis: Any = None) -> Tensor:
        """The same numbers moved along an axis; what leaves at the end enters at the
        front."""
    def rot90(self, k: Any = 1, axes: Any = (0, 1)) -> Tensor:
        """A matrix, or each in a stack, turned by 90 degrees."""
    def selu(self) -> Tensor:
        """The self-normalizing exponential linear unit, elementwise."""
    def set_at(self, value: Any, index: Any) -> Tensor:
        """A copy with ``value`` at ``index``; written ``x.at[index].set(value)``."""
    def sigmoid(self) -> Tensor:
        """The logistic function, elementwise: any number to one between 0 and 1."""
    def sign(self) -> Tensor:
        """1 for positive numbers, -1 for negative ones, 0 for 0, elementwise."""
    def silu(self) -> Tensor:
        """The sigmoid linear unit, elementwise: x times σ(x). Also known as swish."""
    def sin(self) -> Tensor:
        """The sine, elementwise."""
    def sinc(self) -> Tensor:
        """The sine divided by its angle, elementwise; as in NumPy, of π x."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine, elementwise."""
    def slogdet(self) -> Any:
        """Sign and logarithm of the absolute value of each determinant."""
    def softmax(self, axis: Any = -1) -> Tensor:
        """Exponentials divided by their sum: positive numbers that add up to 1."""
    def softmax_cross_entropy(self, labels: Any, reduction: Any = "mean") -> Tensor:
        """Cross-entropy between labels and the softmax of ``logits``."""
    def softplus(self) -> Tensor:
        """A smooth ramp, elementwise: near 0 for negative x, near x for positive."""
    def softsign(self) -> Tensor:
        """The number divided by 1 more than its size, elementwise."""
    def solve(self, b: Any) -> Tensor:
        """Solution x of the equations a x = b; stacks of them broadcast."""
    def sort(self, axis: Any = -1) -> Tensor:
        """The numbers in ascending order, along an axis."""
    def sqrt(self) -> Tensor:
        """The square root, elementwise."""
    def square(self) -> Tensor:
        """The number times itself, elementwise."""
    def squeeze(self, axis: Any = None) -> Tensor:
        """The same numbers without axes of length 1."""
    def standardize(self, axis: Any = -1, eps: Any = 0.0) -> Tensor:
        """Numbers shifted and scaled to mean 0 and variance 1 along axes."""
    def std(self, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Tensor:
        """Standard deviation along an axis, several, or all."""
    def subtract(self, b: Any) -> Tensor:
        """Difference, elementwise with broadcasting."""
    def __sub__(self, other: Any) -> Tensor: ...
    def __rsub__(self, other: Any) -> Tensor: ...
    def sum(self, axis: Any = None, keepdims: Any = False) -> Tensor:
        """Sum along an axis, several, or all."""
    def sum_to(self, shape: Any) -> Tensor:
        """Sum over the axes along which ``shape`` broadcasts to ``x``'s shape."""
    def svd(self, full_matrices: Any = True, compute_uv: Any = True) -> Any:
        """Singular values and singular vectors of a matrix, or of each in a stack."""
    def svdvals(self) -> Tensor:
        """Singular values of a matrix, or of each in a stack."""
    def swapaxes(self, axis1: Any, axis2: Any) -> Tensor:
        """The same numbers with two axes exchanged."""
    def take(self, indices: Any, axis: Any = None) -> Tensor:
        """Entries, or whole rows, picked by their numbers."""
    def take_along_axis(self, indices: Any, axis: Any = -1) -> Tensor:
        """Entries picked along an axis, in each row by numbers of its own."""
    def tan(self) -> Tensor:
        """The tangent, elementwise."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent, elementwise."""
    def tensordot(self, b: Any, axes: Any = 2) -> Tensor:
        """Sum of products over chosen axes of both."""
    def tile(self, reps: Any) -> Tensor:
        """The whole array several times over, along each axis."""
    def trace(self, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Tensor:
        """The sum of the diagonal of a matrix, or of each in a stack."""
    def transpose(self, *axes: Any) -> Tensor:
        """The same numbers with the axes in another order."""
    def tril(self, k: Any = 0) -> Tensor:
        """The lower triangle of a matrix, or of each in a stack, with zeros above
        it."""
    def triu(self, k: Any = 0) -> Tensor:
        """The upper triangle of a matrix, or of each in a stack, with zeros below
        it."""
    def var(self, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Tensor:
        """Variance along an axis, several, or all."""
    def vdot(self, b: Any) -> Tensor:
        """Sum of the products of all entries, in order."""
    def where(self, x: Any, y: Any) -> Tensor:
        """One of two numbers, elementwise with broadcasting, as a condition says."""
    def windows(
        self,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        fill: Any = 0.0,
    ) -> Tensor:
        """All windows of a size over the last axes: what a kernel sees as it slides."""
