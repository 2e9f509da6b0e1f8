"""Masked arrays are refused at every door: their mask would be lost unseen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as te

MASKED = np.ma.array([1.0, 1e9, 2.0], mask=[False, True, False])


def leaf(data):
    return te.tensor(data, requires_grad=True)


def test_numpy_looks_for_no_slot_of_a_tensor():
    """``numpy.ma`` reads any attribute called ``_data``."""
    root = Path(np.__file__).parent
    sources = [p for p in root.rglob("*.py") if "tests" not in p.parts]
    asked = {
        name
        for path in sources
        for name in re.findall(
            r"""attr\(\w+, *['"](_\w+)['"]""", path.read_text("utf-8")
        )
    }
    masked = (root / "ma" / "core.py").read_text("utf-8")
    asked |= set(re.findall(r"\.(_[a-z]\w*)\b", masked))

    assert {"_data", "_mask"} <= asked
    assert asked & set(te.Tensor.__slots__) == {"__weakref__"} & asked


DOORS = {
    "a leaf": lambda x: te.tensor(MASKED),
    "a list of them": lambda x: te.tensor([MASKED, MASKED]),
    "an operand on the right": lambda x: x * MASKED,
    "an operand on the left": lambda x: MASKED * x,
    "an operand of numpy's": lambda x: np.multiply(MASKED, x),
    "an operand of an operation": lambda x: te.multiply(x, MASKED),
    "an operand with metadata": lambda x: te.concatenate([x, MASKED]),
    "an operation without tensors": lambda x: te.exp(MASKED),
    "a sum without tensors": lambda x: te.sum(MASKED),
    "a condition": lambda x: te.where(MASKED > 1, x, 0.0),
    "a function of numpy.ma": lambda x: np.ma.exp(x),
    "the data that numpy.ma looks for": lambda x: np.ma.getdata(x),
    "a masked array of it": lambda x: np.ma.array(x, mask=[0, 1, 0]),
    "new data": lambda x: setattr(x, "data", MASKED),
    "a gradient": lambda x: setattr(x, "grad", MASKED),
    "the gradient to begin with": lambda x: (x * 2).backward(MASKED),
    "that of gradients": lambda x: te.gradients(x * 2, [x], gradient=MASKED),
    "an argument of a transform": lambda x: te.grad(te.sum)(MASKED),
    "a loss": lambda x: te.nn.mse_loss(x, MASKED),
    "labels": lambda x: te.nn.softmax_cross_entropy(
        te.stack([x, x, x]), np.ma.array([0, 1, 2], mask=[0, 1, 0])
    ),
    "a layer": lambda x: te.nn.Linear(3, 2)(MASKED[None]),
    "an index": lambda x: x[np.ma.array([0, 1], mask=[0, 1])],
    "a value at an index": lambda x: x.at[0].set(MASKED[1]),
    "metadata": lambda x: te.sum(x, axis=np.ma.array(0)),
}


def trained(X, y):
    model = te.nn.Linear(1, 1, rng=0)
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    options = {"loss": te.nn.mse_loss, "optimizer": optimizer, "epochs": 1}
    batch_size = None if y is None else 2
    return te.fit(model, X, y, progress=False, batch_size=batch_size, **options)


LOSSES = (
    *(te.nn.l1_loss, te.nn.mse_loss, te.nn.huber_loss, te.nn.hinge_loss),
    *(te.nn.binary_cross_entropy, te.nn.binary_cross_entropy_with_logits),
)
COLUMN = MASKED[:, None]
PLAIN = np.ones((3, 1))
DOORS |= {
    "fit: X": lambda x: trained(COLUMN, PLAIN),
    "fit: y": lambda x: trained(PLAIN, COLUMN),
    "fit: batches": lambda x: trained([(COLUMN, PLAIN)], None),
    "batches": lambda x: te.data.batches(COLUMN, PLAIN, 2),
    "predict": lambda x: te.predict(te.nn.ReLU(), COLUMN),
    "evaluate": lambda x: te.evaluate(te.nn.ReLU(), PLAIN, COLUMN, loss=te.nn.l1_loss),
    "a metric": lambda x: te.training.binary_accuracy(0.5)(COLUMN, PLAIN),
    "weights": lambda x: te.nn.Linear(1, 1).load_state_dict(
        {"weight": COLUMN[:1], "bias": [0.0]}
    ),
    "gradcheck": lambda x: te.gradcheck(te.sum, MASKED),
    "a mask of attention": lambda x: te.nn.MultiHeadAttention(2, 1, rng=0)(
        np.ones((1, 2, 2)), mask=np.ma.array(np.ones((2, 2), bool), mask=False)
    ),
    **{
        f"layer {layer}": lambda x, layer=layer: layer(COLUMN)
        for layer in (
            te.nn.Residual(te.nn.ReLU()),
            te.nn.Dropout(rng=0),
            te.nn.BatchNorm1d(1),
            te.nn.LayerNorm(1),
            te.nn.Embedding(3, 1, rng=0),
            te.nn.ReLU(),
        )
    },
    **{
        f"loss {loss.__name__}": lambda x, loss=loss: loss(COLUMN, PLAIN)
        for loss in LOSSES
    },
}


@pytest.mark.parametrize("door", DOORS)
def test_a_masked_array_is_refused(door):
    x = leaf([3.0, 3.0, 3.0])

    with pytest.raises(TypeError, match=r"mask|plain array"):
        DOORS[door](x)

    assert x.data.tolist() == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("op", [*te.OPS.values()], ids=lambda op: op.name)
def test_every_operation_refuses_it(op):
    """Whether Tensors are among the others or not."""
    for position in range(1 if op.variadic else len(op.arguments)):
        args = [np.ma.array([1.0, 2.0], mask=[0, 1])] * len(op.arguments)
        for i in range(len(args)):
            if i != position:
                args[i] = te.tensor([1.0, 2.0])
        named = dict.fromkeys(op.needed, 0)

        with pytest.raises(TypeError, match="mask"):
            op.call(args, **named) if op.variadic else op.call(*args, **named)
