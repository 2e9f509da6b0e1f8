"""Wide bars on ratios, so that a loss of half the speed is noticed.

The measurements are in ``tests/benchmarks``; these are a few milliseconds each, the
shortest of several runs in turn, against code that a slow machine slows as much. It is
the processor's time: while others have their turn, ours stands still.
"""

import time

import chains
import networks
import numpy as np
import pytest

import tinygrad_edu as te

ROUNDS = 15


def shortest(*bursts):
    """Return the least seconds of the processor for each, run in turn."""
    seconds = [[] for _ in bursts]
    for _ in range(ROUNDS):
        for burst, taken in zip(bursts, seconds, strict=True):
            start = time.process_time()
            burst()
            taken.append(time.process_time() - start)
    return [min(taken) for taken in seconds]


def products(length):
    """The products of a chain alone, without a graph."""
    c = np.full((4, 4), 1.000001)

    def burst():
        x = np.full((4, 4), 1.5)
        for _ in range(length):
            x = x * c

    return burst


def test_an_operation_with_its_gradient_costs_little_beside_numpys():
    ours, numpys = shortest(chains.ours((4, 4), 2000), products(2000))

    assert ours < 15 * numpys  # 8 to 10


def test_an_operation_costs_no_more_in_a_longer_graph():
    long, short = shortest(chains.ours((), 20_000), chains.ours((), 1000))

    assert long < 20 * 2 * short  # 1.1


@pytest.mark.parametrize(("rows", "bar"), [(64, 2.0), (512, 1.8)])
def test_a_step_costs_little_more_than_derived_by_hand(rows, bar):
    ours, hand = shortest(
        networks.ours(10, np.float32, rows), networks.hand(10, np.float32, rows)
    )

    assert ours < bar * hand  # 1.15, 1.0


def test_a_full_batch_costs_little_more_than_derived_by_hand():
    ours, hand = shortest(
        networks.ours_by_fit(2, np.float32, 10_000),
        networks.hand(2, np.float32, 10_000),
    )

    assert ours < 1.8 * hand  # 1.0


def test_a_convolution_costs_little_more_than_its_matrix_product():
    rng = np.random.default_rng(0)
    x = rng.random((32, 8, 16, 16), dtype=np.float32)
    weight = rng.random((16, 8, 5, 5), dtype=np.float32)
    columns = rng.random((32 * 12 * 12, 200), dtype=np.float32)
    matrix = rng.random((200, 16), dtype=np.float32)

    ours, bare = shortest(lambda: te.conv2d(x, weight), lambda: columns @ matrix)

    assert ours < 5 * bare  # 2
