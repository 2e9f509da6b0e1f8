"""Second derivatives: Newton's method, Hessian products, a penalty on a gradient.

python examples/06_second_derivatives.py
"""

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

import tinygrad_edu as te


def valley(x):
    """Rosenbrock's function, whose minimum of 0 lies at (1, 1, ...)."""
    return te.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


print("Newton's method, with the whole Hessian")
x = np.array([0.8, 0.6, 0.4])
for step in range(11):
    value, slope = te.value_and_grad(valley)(x)
    print(f"  step {step}: {value:.3e}")
    x = x - np.linalg.solve(te.hessian(valley)(x), slope)

print("The same step by conjugate gradients, with Hessian-vector products alone")
start = np.full(50, 0.9)
curvature = LinearOperator((50, 50), matvec=lambda v: te.hvp(valley, start, v))
newton, _ = cg(curvature, -te.grad(valley)(start), rtol=1e-10)
print(f"  {float(valley(start)):.3f} -> {float(valley(start + newton)):.3f}")

found = minimize(valley, np.zeros(5), jac=te.grad(valley))
print("scipy.optimize with our gradient:", np.round(found.x, 4))

print("A penalty on the slope of a model at its inputs, in the loss that trains it")
rng = np.random.default_rng(0)
X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
model = te.nn.Sequential(
    te.nn.Linear(2, 16, rng=0), te.nn.Tanh(), te.nn.Linear(16, 1, rng=1)
)
optimizer = te.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(101):
    inputs = te.tensor(X, requires_grad=True)
    output = te.reshape(model(inputs), (-1,))
    (slopes,) = te.gradients(te.sum(output), [inputs], create_graph=True)
    loss = te.nn.mse_loss(output, y) + 0.1 * te.mean(slopes**2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 50 == 0:
        steepness = float(np.sqrt(np.mean(slopes.detach().numpy() ** 2)))
        print(f"  epoch {epoch:3d}: loss {float(loss):.3f}, slope {steepness:.3f}")
