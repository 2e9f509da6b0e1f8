"""The methods that declarations add to Tensor: written by tools/method_stub.py."""

from typing import Any, Protocol, Self, TypeVar

T_co = TypeVar("T_co", covariant=True)

class At(Protocol[T_co]):
    def __getitem__(self, index: Any) -> At[T_co]: ...
    def set(self, value: Any) -> T_co:
        """Return a copy with ``value`` at the index, the last one where it repeats."""
    def add(self, value: Any) -> T_co:
        """Return a copy with ``value`` added at the index, as often as it is listed."""

class Methods:
    __slots__ = ()
    @property
    def at(self) -> At[Self]: ...
    def argmax(self, axis: Any = None, *, keepdims: bool = False) -> Any: ...
    def argmin(self, axis: Any = None, *, keepdims: bool = False) -> Any: ...
    def argsort(self, axis: Any = -1, kind: Any = None, order: Any = None) -> Any: ...
    def __eq__(self, other: object) -> Any: ...
    def __ne__(self, other: object) -> Any: ...
    def __lt__(self, other: Any) -> Any: ...
    def __le__(self, other: Any) -> Any: ...
    def __gt__(self, other: Any) -> Any: ...
    def __ge__(self, other: Any) -> Any: ...
    def absolute(self) -> Self:
        """The number without its sign, elementwise; written ``abs(x)``."""
    def __abs__(self) -> Self: ...
    def add(self, b: Any) -> Self:
        """Sum, elementwise with broadcasting."""
    def __add__(self, other: Any) -> Self: ...
    def __radd__(self, other: Any) -> Self: ...
    def arccos(self) -> Self:
        """The inverse of the cosine, elementwise: angles from 0 to π."""
    def arccosh(self) -> Self:
        """The inverse of the hyperbolic cosine, elementwise."""
    def arcsin(self) -> Self:
        """The inverse of the sine, elementwise: angles from -π/2 to π/2."""
    def arcsinh(self) -> Self:
        """The inverse of the hyperbolic sine, elementwise."""
    def arctan(self) -> Self:
        """The inverse of the tangent, elementwise: angles from -π/2 to π/2."""
    def arctan2(self, x: Any) -> Self:
        """The angle of the point (x, y), elementwise with broadcasting: from -π to
        π."""
    def arctanh(self) -> Self:
        """The inverse of the hyperbolic tangent, elementwise."""
    def astype(
        self,
        dtype: Any,
        order: Any = "K",
        casting: Any = "unsafe",
        subok: Any = True,
        copy: Any = True,
    ) -> Self:
        """Convert to another floating-point type."""
    def atleast_1d(self) -> Self:
        """The same numbers with one axis at least: a number becomes a vector."""
    def atleast_2d(self) -> Self:
        """The same numbers with two axes at least: a vector becomes a row."""
    def atleast_3d(self) -> Self:
        """The same numbers with three axes at least: (n,) becomes (1, n, 1)."""
    def avg_pool1d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0
    ) -> Self:
        """The mean of each window along the last axis."""
    def avg_pool2d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0
    ) -> Self:
        """The mean of each window of images."""
    def bessel_i(self, order: Any) -> Self:
        """The modified Bessel function of the first kind, elementwise."""
    def broadcast_to(self, shape: Any, subok: Any = False) -> Self:
        """Repeat ``x`` along new axes and axes of length 1 until it has ``shape``."""
    def cbrt(self) -> Self:
        """The cube root, elementwise; of negative numbers, too."""
    def cholesky(self, upper: Any = False) -> Self:
        """Cholesky factor of a positive definite matrix, or of each in a stack."""
    def clip(
        self,
        a_min: Any = None,
        a_max: Any = None,
        dtype: Any = None,
        casting: Any = "same_kind",
        where: Any = True,
        order: Any = "K",
        subok: Any = True,
        signature: Any = None,
    ) -> Self:
        """The number, or the bound that it lies beyond, elementwise with
        broadcasting."""
    def conv1d(
        self,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Self:
        """Convolution along one axis: a kernel slides over it, and sums up what it
        sees."""
    def conv2d(
        self,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Self:
        """Convolution of images: a kernel slides over them, and sums up what it
        sees."""
    def conv_input(
        self,
        weight: Any,
        shape: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Self:
        """Convolution the other way, from its result to its input: the transposed
        one."""
    def conv_weight(
        self,
        x: Any,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Self:
        """What a kernel sees, weighted by a result of the convolution, and summed
        up."""
    def copy(self, order: Any = "K", subok: Any = False) -> Self:
        """The same numbers in memory of their own."""
    def copysign(self, b: Any) -> Self:
        """``a`` with the sign of ``b``, elementwise with broadcasting."""
    def cos(self) -> Self:
        """The cosine, elementwise."""
    def cosh(self) -> Self:
        """The hyperbolic cosine, elementwise."""
    def cross(
        self,
        b: Any,
        axisa: Any = -1,
        axisb: Any = -1,
        axisc: Any = -1,
        axis: Any = None,
    ) -> Self:
        """Cross product of vectors in space; the other axes broadcast."""
    def csch(self) -> Self:
        """The hyperbolic cosecant, elementwise: one over the hyperbolic sine."""
    def cumprod(self, axis: Any = None, dtype: Any = None) -> Self:
        """Products so far: of each number and all before it."""
    def cumsum(self, axis: Any = None, dtype: Any = None) -> Self:
        """Sums so far: of each number and all before it."""
    def deg2rad(self) -> Self:
        """Degrees to radians, elementwise."""
    def det(self) -> Self:
        """Determinant of a square matrix, or of each in a stack."""
    def diag(self, k: Any = 0) -> Self:
        """A matrix with a vector on its diagonal; of a matrix, its diagonal."""
    def diagonal(self, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Self:
        """The diagonal of a matrix, or of each in a stack."""
    def divide(self, b: Any) -> Self:
        """Quotient, elementwise with broadcasting."""
    def __truediv__(self, other: Any) -> Self: ...
    def __rtruediv__(self, other: Any) -> Self: ...
    def dot(self, b: Any) -> Self:
        """Sum of products over the last axis of a and the last but one of b."""
    def eigh(self, UPLO: Any = "L") -> Any:
        """Eigenvalues and eigenvectors of a symmetric matrix, or of each in a stack."""
    def eigvalsh(self, UPLO: Any = "L") -> Self:
        """Eigenvalues of a symmetric matrix, or of each in a stack."""
    def elu(self, alpha: Any = 1.0) -> Self:
        """The exponential linear unit, elementwise: -alpha for very negative
        numbers."""
    def erf(self) -> Self:
        """The error function, elementwise."""
    def erfc(self) -> Self:
        """1 less the error function, elementwise: exact where that is near 1."""
    def exp(self) -> Self:
        """The exponential function, elementwise."""
    def exp2(self) -> Self:
        """2 to the power of the number, elementwise."""
    def expand_dims(self, axis: Any) -> Self:
        """The same numbers with further axes of length 1."""
    def expm(self) -> Self:
        """Exponential of a square matrix, or of each in a stack."""
    def expm1(self) -> Self:
        """The exponential function less 1, elementwise: exact near 0."""
    def flatten(self, order: Any = "C") -> Self:
        """The same numbers on a single axis, row by row; always a copy."""
    def flip(self, axis: Any = None) -> Self:
        """The same numbers in reverse order, along an axis, several, or all."""
    def fmax(self, b: Any) -> Self:
        """The larger of two numbers, or the one that is not nan, elementwise."""
    def fmin(self, b: Any) -> Self:
        """The smaller of two numbers, or the one that is not nan, elementwise."""
    def fmod(self, b: Any) -> Self:
        """What is left of ``a`` after taking away whole ``b``, with the sign of
        ``a``."""
    def fold(
        self, shape: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
    ) -> Self:
        """Add windows up where they came from: entries in several windows are sums."""
    def gelu(self, approximate: Any = "none") -> Self:
        """The Gaussian error linear unit, elementwise: x times P(N(0, 1) < x)."""
    def getitem(self, index: Any) -> Self:
        """A part of ``x``: basic, integer-array and boolean indexing as in NumPy."""
    def __getitem__(self, index: Any) -> Self: ...
    def hard_tanh(self, min_val: Any = -1.0, max_val: Any = 1.0) -> Self:
        """The number, but not below ``min_val`` nor above ``max_val``, elementwise."""
    def hypot(self, b: Any) -> Self:
        """Length of a vector of two components, elementwise with broadcasting."""
    def inner(self, b: Any) -> Self:
        """Sum of products over the last axis of both."""
    def inv(self) -> Self:
        """Inverse of a square matrix, or of each in a stack."""
    def kron(self, b: Any) -> Self:
        """Kronecker product: b, as often as a has entries, multiplied with each of
        them."""
    def ldexp(self, n: Any) -> Self:
        """The number times a power of two, elementwise with broadcasting."""
    def leaky_relu(self, negative_slope: Any = 0.01) -> Self:
        """The rectifier with a small slope for negative numbers, elementwise."""
    def linear(self, weight: Any, bias: Any = None) -> Self:
        """Weighted sums of the last axis, plus a bias: what a dense layer computes."""
    def log(self) -> Self:
        """The natural logarithm, elementwise."""
    def log10(self) -> Self:
        """The logarithm to base 10, elementwise."""
    def log1p(self) -> Self:
        """The natural logarithm of 1 + x, elementwise: exact near 0."""
    def log2(self) -> Self:
        """The logarithm to base 2, elementwise."""
    def log_softmax(self, axis: Any = -1) -> Self:
        """The logarithm of the softmax, without ever taking the logarithm of 0."""
    def logaddexp(self, b: Any) -> Self:
        """Logarithm of a sum of exponentials, elementwise with broadcasting."""
    def logaddexp2(self, b: Any) -> Self:
        """Logarithm to base 2 of a sum of powers of 2, elementwise with
        broadcasting."""
    def logit(self) -> Self:
        """The inverse of the logistic function, elementwise: log-odds of a
        probability."""
    def logsumexp(self, axis: Any = None, keepdims: Any = False) -> Self:
        """Logarithm of the sum of exponentials along an axis, several, or all."""
    def lstm_memory(self, c: Any) -> Self:
        """The memory of a long short-term memory after a step."""
    def lstm_output(self, c: Any) -> Self:
        """What a long short-term memory shows of its memory after a step."""
    def matmul(self, b: Any) -> Self:
        """Matrix product, over the last two axes; leading axes broadcast."""
    def __matmul__(self, other: Any) -> Self: ...
    def __rmatmul__(self, other: Any) -> Self: ...
    def matrix_power(self, n: Any) -> Self:
        """A square matrix, or each in a stack, multiplied with itself."""
    def max(
        self,
        axis: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Self:
        """The largest number along an axis, several, or all."""
    def max_gather(
        self,
        x: Any,
        largest: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Self:
        """Pick the number of ``z`` that lies where ``x`` is the largest in its
        window."""
    def max_pool1d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> Self:
        """The largest number in each window along the last axis."""
    def max_pool2d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> Self:
        """The largest number in each window of images."""
    def max_unpool(
        self,
        x: Any,
        largest: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Self:
        """Put numbers where ``x`` is the largest in its window: the way back of a max
        pool."""
    def maximum(self, b: Any) -> Self:
        """The larger of two numbers, elementwise with broadcasting."""
    def mean(
        self,
        axis: Any = None,
        keepdims: Any = False,
        dtype: Any = None,
        where: Any = True,
    ) -> Self:
        """Arithmetic mean along an axis, several, or all."""
    def median(
        self, axis: Any = None, keepdims: Any = False, overwrite_input: Any = False
    ) -> Self:
        """The number in the middle of the sorted ones, along an axis, several, or
        all."""
    def min(
        self,
        axis: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Self:
        """The smallest number along an axis, several, or all."""
    def minimum(self, b: Any) -> Self:
        """The smaller of two numbers, elementwise with broadcasting."""
    def mish(self) -> Self:
        """x times the hyperbolic tangent of softplus(x), elementwise."""
    def moveaxis(self, source: Any, destination: Any) -> Self:
        """The same numbers with some axes moved to other places."""
    def multiply(self, b: Any) -> Self:
        """Product, elementwise with broadcasting."""
    def __mul__(self, other: Any) -> Self: ...
    def __rmul__(self, other: Any) -> Self: ...
    def nan_to_num(
        self, nan: Any = 0.0, posinf: Any = None, neginf: Any = None, copy: Any = True
    ) -> Self:
        """The number, with another one in place of nan and of infinities,
        elementwise."""
    def negative(self) -> Self:
        """The number with its sign changed, elementwise."""
    def __neg__(self) -> Self: ...
    def norm(self, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Self:
        """Norm of a vector or a matrix, or of each along an axis or two."""
    def outer(self, b: Any) -> Self:
        """Product of every entry of a with every entry of b."""
    def pad(
        self,
        pad_width: Any,
        mode: Any = "constant",
        constant_values: Any = 0,
        reflect_type: Any = "even",
    ) -> Self:
        """The array with a margin around it."""
    def pinv(
        self, rcond: Any = None, hermitian: Any = False, rtol: Any = "default"
    ) -> Self:
        """Pseudo-inverse of a matrix, or of each in a stack (Moore-Penrose)."""
    def positive(self) -> Self:
        """The number itself, elementwise: a copy."""
    def __pos__(self) -> Self: ...
    def power(self, b: Any) -> Self:
        """``a`` to the power ``b``, elementwise with broadcasting."""
    def __pow__(self, other: Any) -> Self: ...
    def __rpow__(self, other: Any) -> Self: ...
    def prod(
        self,
        axis: Any = None,
        keepdims: Any = False,
        dtype: Any = None,
        initial: Any = None,
        where: Any = True,
    ) -> Self:
        """Product along an axis, several, or all."""
    def put(self, index: Any, shape: Any) -> Self:
        """Zeros of ``shape``, with ``x`` added at ``index``."""
    def qr(self, mode: Any = "reduced") -> Any:
        """Orthogonal and triangular factor of a matrix, or of each in a stack."""
    def rad2deg(self) -> Self:
        """Radians to degrees, elementwise."""
    def ravel(self, order: Any = "C") -> Self:
        """The same numbers on a single axis, row by row."""
    def reciprocal(self) -> Self:
        """1 divided by the number, elementwise."""
    def relu(self) -> Self:
        """The rectified linear unit, elementwise: x where it is positive, else 0."""
    def remainder(self, b: Any) -> Self:
        """What is left of ``a`` after taking away whole ``b``; written ``a % b``."""
    def __mod__(self, other: Any) -> Self: ...
    def __rmod__(self, other: Any) -> Self: ...
    def repeat(self, repeats: Any, axis: Any = None) -> Self:
        """Each entry several times in a row."""
    def reshape(self, *shape: Any) -> Self:
        """The same numbers, in the same order, in another shape."""
    def roll(self, shift: Any, axis: Any = None) -> Self:
        """The same numbers moved along an axis; what leaves at the end enters at the
        front."""
    def rot90(self, k: Any = 1, axes: Any = (0, 1)) -> Self:
        """A matrix, or each in a stack, turned by 90 degrees."""
    def sech(self) -> Self:
        """The hyperbolic secant, elementwise: one over the hyperbolic cosine."""
    def selu(self) -> Self:
        """The self-normalizing exponential linear unit, elementwise."""
    def set_at(self, value: Any, index: Any) -> Self:
        """A copy with ``value`` at ``index``; written ``x.at[index].set(value)``."""
    def sigmoid(self) -> Self:
        """The logistic function, elementwise: any number to one between 0 and 1."""
    def sign(self) -> Self:
        """1 for positive numbers, -1 for negative ones, 0 for 0, elementwise."""
    def silu(self) -> Self:
        """The sigmoid linear unit, elementwise: x times σ(x). Also known as swish."""
    def sin(self) -> Self:
        """The sine, elementwise."""
    def sinc(self) -> Self:
        """The sine divided by its angle, elementwise; as in NumPy, of π x."""
    def sinh(self) -> Self:
        """The hyperbolic sine, elementwise."""
    def slogdet(self) -> Any:
        """Sign and logarithm of the absolute value of each determinant."""
    def softmax(self, axis: Any = -1) -> Self:
        """Exponentials divided by their sum: positive numbers that add up to 1."""
    def softmax_cross_entropy(self, labels: Any, reduction: Any = "mean") -> Self:
        """Cross-entropy between labels and the softmax of ``logits``."""
    def softplus(self) -> Self:
        """A smooth ramp, elementwise: near 0 for negative x, near x for positive."""
    def softsign(self) -> Self:
        """The number divided by 1 more than its size, elementwise."""
    def solve(self, b: Any) -> Self:
        """Solution x of the equations a x = b; stacks of them broadcast."""
    def sort(
        self, axis: Any = -1, kind: Any = None, order: Any = None, stable: Any = None
    ) -> Self:
        """The numbers in ascending order, along an axis."""
    def sqrt(self) -> Self:
        """The square root, elementwise."""
    def square(self) -> Self:
        """The number times itself, elementwise."""
    def squeeze(self, axis: Any = None) -> Self:
        """The same numbers without axes of length 1."""
    def standardize(self, axis: Any = -1, eps: Any = 0.0) -> Self:
        """Numbers shifted and scaled to mean 0 and variance 1 along axes."""
    def std(
        self,
        axis: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        dtype: Any = None,
        where: Any = True,
        mean: Any = None,
        correction: Any = None,
    ) -> Self:
        """Standard deviation along an axis, several, or all."""
    def subtract(self, b: Any) -> Self:
        """Difference, elementwise with broadcasting."""
    def __sub__(self, other: Any) -> Self: ...
    def __rsub__(self, other: Any) -> Self: ...
    def sum(
        self,
        axis: Any = None,
        keepdims: Any = False,
        dtype: Any = None,
        initial: Any = None,
        where: Any = True,
    ) -> Self:
        """Sum along an axis, several, or all."""
    def sum_to(self, shape: Any) -> Self:
        """Sum over the axes along which ``shape`` broadcasts to ``x``'s shape."""
    def svd(
        self, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False
    ) -> Any:
        """Singular values and singular vectors of a matrix, or of each in a stack."""
    def svdvals(self) -> Self:
        """Singular values of a matrix, or of each in a stack."""
    def swapaxes(self, axis1: Any, axis2: Any) -> Self:
        """The same numbers with two axes exchanged."""
    def take(self, indices: Any, axis: Any = None, mode: Any = "raise") -> Self:
        """Entries, or whole rows, picked by their numbers."""
    def take_along_axis(self, indices: Any, axis: Any = -1) -> Self:
        """Entries picked along an axis, in each row by numbers of its own."""
    def tan(self) -> Self:
        """The tangent, elementwise."""
    def tanh(self) -> Self:
        """The hyperbolic tangent, elementwise."""
    def tensordot(self, b: Any, axes: Any = 2) -> Self:
        """Sum of products over chosen axes of both."""
    def tile(self, reps: Any) -> Self:
        """The whole array several times over, along each axis."""
    def trace(
        self, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None
    ) -> Self:
        """The sum of the diagonal of a matrix, or of each in a stack."""
    def transpose(self, *axes: Any) -> Self:
        """The same numbers with the axes in another order."""
    def tril(self, k: Any = 0) -> Self:
        """The lower triangle of a matrix, or of each in a stack, with zeros above
        it."""
    def triu(self, k: Any = 0) -> Self:
        """The upper triangle of a matrix, or of each in a stack, with zeros below
        it."""
    def var(
        self,
        axis: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        dtype: Any = None,
        where: Any = True,
        mean: Any = None,
        correction: Any = None,
    ) -> Self:
        """Variance along an axis, several, or all."""
    def vdot(self, b: Any) -> Self:
        """Sum of the products of all entries, in order."""
    def where(self, x: Any, y: Any) -> Self:
        """One of two numbers, elementwise with broadcasting, as a condition says."""
    def windows(
        self,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        fill: Any = 0.0,
    ) -> Self:
        """All windows of a size over the last axes: what a kernel sees as it slides."""
