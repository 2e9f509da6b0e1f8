"""The benchmark of operations takes all of them, and calls what it says."""

import numpy as np
import operations
import pytest

import tinygrad_edu as te

N = 4
CALLS = operations.operations(te, N)
ARRAYS = operations.arrays(N)
#: Operations of the package, without those that tests declare.
NAMES = {
    name
    for name, op in te.OPS.items()
    if op.forward.__module__.startswith("tinygrad_edu.")
}


def recorded(y):
    """Return the names of the operations behind a tensor."""
    names, waiting = set(), [y]
    while waiting:
        t = waiting.pop()
        if isinstance(t, te.Tensor) and t.op is not None:
            names.add(t.op.name)
            waiting += t.inputs
    return names


def test_every_operation_is_timed_or_not_in_pytorch():
    timed = {operation.name for operation in CALLS}

    assert not timed & set(operations.NOT_IN_PYTORCH)
    assert timed | set(operations.NOT_IN_PYTORCH) == NAMES


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.call)
def test_a_call_records_the_operation_that_it_is_named_after(operation):
    arrays = [ARRAYS[name] for name in operation.inputs.split()]
    inputs = [
        te.tensor(a, requires_grad=True) if a.dtype == np.float64 else a for a in arrays
    ]

    assert operation.name in recorded(operation.ours(*inputs))


def test_calls_have_names_of_their_own():
    calls = [operation.call for operation in CALLS]

    assert len(set(calls)) == len(calls)
