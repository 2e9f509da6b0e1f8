"""An operation of your own: declared once, then drawn, checked and used like any other.

python examples/05_an_operation_of_your_own.py
"""

import numpy as np

import tinygrad_edu as te


@te.op(
    symbol="bump",
    elementwise=True,
    cases=[te.Case((2, 3)), te.Case((), center=1.0), te.Case((4,), center=-0.5)],
)
def bump(x, *, center=0.0):
    """A smooth hill: exp(-(x - c)²)."""
    return np.exp(-((x - center) ** 2))


# Arrays come in, or Tensors: the same line computes the gradient, or records it.
bump.vjp(x=lambda g, out, x, *, center: -2 * g * out * (x - center))

print(te.check_op(bump, reference=lambda x, center: np.exp(-((x - center) ** 2))))

x = te.tensor([0.0, 0.5, 2.0], requires_grad=True, name="x")
height = te.sum(bump(x, center=0.5))
print("the graph:", len(te.draw(height).source.splitlines()), "lines of DOT")

height.backward()
print("dheight/dx:", x.grad)
print("second derivative at 0.5:", te.grad(te.grad(lambda x: bump(x, center=0.5)))(0.5))

# What happens when the rule is wrong: a forgotten factor.
bump.vjp(x=lambda g, out, x, *, center: g * out * (x - center))
try:
    te.check_op(bump)
except te.GradientCheckError as error:
    print("\n".join(str(error).splitlines()[:2]))
