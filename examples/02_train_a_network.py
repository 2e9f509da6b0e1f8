"""Build a network of layers, train it on handwritten digits, and see how well it does.

python examples/02_train_a_network.py
"""

import numpy as np

import tinygrad_edu as te

X_train, y_train, X_test, y_test = te.data.load_digits()

model = te.nn.Sequential(
    te.nn.Linear(64, 32, rng=0),
    te.nn.Sigmoid(),
    te.nn.Linear(32, 10, rng=1),
)
print(model.summary((64,)))

optimizer = te.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
for epoch in range(20):
    for X, y in te.data.batches(X_train, y_train, 32, rng=epoch):
        loss = te.nn.softmax_cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch:2d}: the last mini-batch's loss is {loss:.4f}")

with te.no_grad():
    predicted = np.argmax(model(X_test), axis=1)
print(f"right on the test set: {np.mean(predicted == y_test):.1%}")
