"""RNN and LSTM: values against a loop over time, and what a state carries on."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.engine.traversal import nodes_of
from tinygrad_edu.nn import initializers


def rnn_by_hand(x, state, w_ih, w_hh, b):
    """Every hidden state, and the last, one row and one time after the other."""
    rows, times, _ = x.shape
    hidden = np.zeros((rows, times, len(w_hh)))
    for n in range(rows):
        h = state[n]
        for t in range(times):
            h = np.tanh(w_ih @ x[n, t] + w_hh @ h + b)
            hidden[n, t] = h
    return hidden, hidden[:, -1]


def lstm_by_hand(x, state, w_ih, w_hh, b):
    """Likewise; the state is a pair."""
    rows, times, _ = x.shape
    size = w_hh.shape[1]
    hidden, memory = np.zeros((rows, times, size)), np.zeros((rows, size))
    for n in range(rows):
        h, c = state[0][n], state[1][n]
        for t in range(times):
            sums = w_ih @ x[n, t] + w_hh @ h + b
            i, f, o = (1 / (1 + np.exp(-sums[k * size :][:size])) for k in (0, 1, 3))
            c = f * c + i * np.tanh(sums[2 * size : 3 * size])
            h = o * np.tanh(c)
            hidden[n, t] = h
        memory[n] = c
    return hidden, (hidden[:, -1], memory)


BY_HAND = {nn.RNN: rnn_by_hand, nn.LSTM: lstm_by_hand}
every_kind = pytest.mark.parametrize("kind", BY_HAND, ids=lambda kind: kind.__name__)


def randomised(kind, rng, dtype=np.float64):
    """A layer of 3 -> 4 with parameters none of which is zero."""
    layer = kind(3, 4, rng=rng, dtype=dtype)
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    return layer


def random_state(kind, rng, rows):
    """A state of 4 numbers, or two of them."""
    parts = rng.standard_normal((2, rows, 4))
    return tuple(parts) if kind is nn.LSTM else parts[0]


def parts_of(state):
    return list(state) if isinstance(state, tuple) else [state]


def arrays_of(layer):
    return [p.data for p in layer.parameters()]


# ------------------------------------------------------------------------ what it does


@every_kind
@pytest.mark.parametrize("times", [1, 2, 7, 8, 9, 16, 33])
def test_hidden_states_are_those_of_a_loop_over_time(kind, times, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, times, 3))
    state = random_state(kind, rng, 2)

    output, last = layer(x, state, return_state=True)

    expected, expected_last = BY_HAND[kind](x, state, *arrays_of(layer))
    assert_near(output.data, expected, 1e-14, "hidden states")
    for got, want in zip(parts_of(last), parts_of(expected_last), strict=True):
        assert_near(got.data, want, 1e-14, "last state")


@every_kind
def test_without_a_state_it_starts_from_zeros(kind, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, 5, 3))
    zeros = np.zeros((2, 4))

    output = layer(x)

    state = (zeros, zeros) if kind is nn.LSTM else zeros
    expected, _ = BY_HAND[kind](x, state, *arrays_of(layer))
    assert_near(output.data, expected, 1e-14, "hidden states")


@every_kind
def test_a_sequence_in_two_parts_is_the_whole_with_its_gradients(kind, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, 7, 3))
    upstream = rng.standard_normal((2, 7, 4))
    whole = te.gradients(te.sum(layer(x) * upstream), layer.parameters())

    first, state = layer(x[:, :3], return_state=True)
    second = layer(x[:, 3:], state)
    both = te.concatenate([first, second], axis=1)
    parts = te.gradients(te.sum(both * upstream), layer.parameters())

    np.testing.assert_allclose(both.data, layer(x).data, rtol=1e-14)
    for got, want, p in zip(parts, whole, layer.parameters(), strict=True):
        assert_near(got, want, 1e-13, p.name)


@every_kind
@pytest.mark.parametrize("order", [1, 2])
def test_gradcheck_by_input_state_and_parameters(kind, order, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((1, 2, 3))
    state = parts_of(random_state(kind, rng, 1))

    class Both(nn.Layer):
        def __init__(self):
            self.layer = layer

        def forward(self, x, *state):
            state = state if kind is nn.LSTM else state[0]
            output, last = self.layer(x, state, return_state=True)
            return (output, *parts_of(last))

    te.gradcheck(Both(), x, *state, order=order)


@every_kind
def test_gradcheck_where_the_times_are_cut_into_blocks(kind, rng):
    te.gradcheck(randomised(kind, rng), rng.standard_normal((1, 9, 3)))


@every_kind
def test_arrays_lists_and_tensors_are_taken_alike(kind, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, 5, 3))
    state = random_state(kind, rng, 2)
    before = x.copy()

    outputs = [layer(made(x), state) for made in (np.asarray, np.ndarray.tolist)]
    outputs.append(layer(te.tensor(x, requires_grad=True), state))

    for output in outputs[1:]:
        np.testing.assert_array_equal(output.data, outputs[0].data)
    np.testing.assert_array_equal(x, before)


@every_kind
def test_the_rows_of_a_batch_do_not_touch_each_other(kind, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((3, 5, 3))

    together = layer(x)

    alone = np.concatenate([layer(row[None]).data for row in x])
    assert layer.independent_rows
    np.testing.assert_allclose(together.data, alone, rtol=1e-13)


@every_kind
def test_no_output_knows_what_comes_later(kind, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, 6, 3))
    later = x.copy()
    later[:, 4:] = rng.standard_normal((2, 2, 3))

    first, second = layer(x), layer(later)

    np.testing.assert_array_equal(first.data[:, :4], second.data[:, :4])
    assert np.all(first.data[:, 4:] != second.data[:, 4:])


@every_kind
def test_float32_stays_float32_through_gradients_of_both_orders(kind, rng):
    layer = randomised(kind, rng, np.float32)
    x = te.tensor(rng.standard_normal((2, 5, 3)), requires_grad=True, dtype=np.float32)
    leaves = [x, *layer.parameters()]

    output, last = layer(x, return_state=True)
    first = te.gradients(te.sum(output * output), leaves, create_graph=True)
    second = te.gradients(sum(te.sum(g * g) for g in first), leaves)

    made = [output, *parts_of(last), *first, *second]
    assert {part.dtype for part in made} == {np.dtype(np.float32)}


@every_kind
def test_it_stands_in_a_sequence_and_trains_there(kind, rng):
    model = nn.Sequential(kind(3, 4, rng=0), kind(4, 5, rng=1), nn.Linear(5, 1, rng=2))
    x, y = rng.standard_normal((8, 6, 3)), rng.standard_normal((8, 6, 1))
    optimizer = te.optim.SGD(model.parameters(), lr=0.1)
    losses = []

    for _ in range(20):
        loss = nn.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < losses[0]
    assert model.independent_rows
    assert all(p.grad is not None for p in model.parameters())


@every_kind
def test_a_step_records_few_operations(kind):
    """One product for all times, cuts into 4 and 16 blocks, and the steps."""
    layer, x = kind(3, 4, rng=0), np.ones((2, 100, 3))

    names = [node.op.name for node in nodes_of([layer(x)])]

    assert names.count("linear") == 101
    assert names.count("getitem") == 4 + 16 + 100
    assert len(names) == 22 + (3 if kind is nn.RNN else 4) * 100


# ------------------------------------------------------------------------ what it holds


@every_kind
def test_weights_are_laid_out_gate_by_gate(kind):
    layer = kind(3, 4, rng=0)
    gates = 4 if kind is nn.LSTM else 1

    shapes = {name: p.shape for name, p in layer.named_parameters()}

    rows = gates * 4
    assert shapes == {"weight_ih": (rows, 3), "weight_hh": (rows, 4), "bias": (rows,)}
    rng = np.random.default_rng(0)
    for weight in (layer.weight_ih, layer.weight_hh):
        for k in range(gates):
            drawn = initializers.glorot_uniform((4, weight.shape[1]), rng)
            np.testing.assert_array_equal(weight.data[4 * k : 4 * k + 4], drawn)


def test_the_bias_starts_at_one_for_the_forget_gate_alone():
    bias = nn.LSTM(3, 2).bias.data

    assert bias.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert not nn.RNN(3, 2).bias.data.any()


def test_an_lstm_that_only_remembers_hands_its_memory_on():
    """Forget gate open, input gate shut: c stays, whatever comes in."""
    layer = nn.LSTM(1, 1)
    shut, opened = -1e3, 1e3
    layer.load_state_dict(
        {
            "weight_ih": np.ones((4, 1)),
            "weight_hh": np.ones((4, 1)),
            "bias": [shut, opened, 0.0, opened],
        }
    )

    output, (h, c) = layer(
        np.random.default_rng(0).standard_normal((1, 50, 1)),
        ([[0.0]], [[0.75]]),
        return_state=True,
    )

    assert c.item() == 0.75
    assert np.all(output.data == np.tanh(0.75))
    assert h.item() == np.tanh(0.75)


@every_kind
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_a_copy_after_a_call_computes_the_same_and_shares_nothing(kind, copied, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, 5, 3))
    layer(x).sum().backward()

    twin = copied(layer)

    np.testing.assert_array_equal(twin(x).data, layer(x).data)
    for p, q in zip(layer.parameters(), twin.parameters(), strict=True):
        assert not np.shares_memory(p.data, q.data)


@every_kind
def test_a_state_dict_carries_it_over(kind, rng):
    layer, other = randomised(kind, rng), kind(3, 4, rng=1)
    x = rng.standard_normal((2, 5, 3))

    other.load_state_dict(layer.state_dict())

    np.testing.assert_array_equal(other(x).data, layer(x).data)


@every_kind
def test_evaluation_computes_the_same_and_nothing_is_recorded_without_grad(kind, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, 5, 3))
    training = layer(x)

    with te.no_grad():
        evaluated = layer.eval()(x)

    np.testing.assert_array_equal(evaluated.data, training.data)
    assert not evaluated.requires_grad


@every_kind
def test_frozen_weights_get_no_gradient(kind, rng):
    layer, x = randomised(kind, rng), rng.standard_normal((2, 5, 3))
    layer.weight_hh.requires_grad = False

    layer(x).sum().backward()

    assert layer.weight_hh.grad is None
    assert layer.weight_ih.grad is not None


# ---------------------------------------------------------------------- what it refuses


@every_kind
@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 4), (2, 0, 3), (3,), (1, 2, 5, 3)])
def test_an_input_that_does_not_fit_is_answered_with_the_shape_it_must_have(
    kind, shape
):
    name = kind.__name__
    message = rf"{name} \(3 -> 4\) got \(.*\): it must be \(N, T, 3\), with one time"

    with pytest.raises(ValueError, match=message):
        kind(3, 4)(np.zeros(shape))


@every_kind
def test_the_layer_before_is_named_too(kind):
    model = nn.Sequential(nn.Linear(3, 5), kind(3, 4))

    with pytest.raises(
        ValueError, match=rf"{kind.__name__} '1' .* the layer before it, Linear '0'"
    ):
        model(np.zeros((2, 6, 3)))


@pytest.mark.parametrize(
    ("kind", "state", "message"),
    [
        (nn.RNN, np.zeros((1, 4)), r"its state must be \(2, 4\), not \(1, 4\)"),
        (nn.RNN, (np.zeros((2, 4)),) * 2, r"must be \(2, 4\), not \(2, 2, 4\)"),
        (nn.LSTM, np.zeros((2, 4)), r"its state must be a pair \(h, c\)"),
        (nn.LSTM, (np.zeros((2, 4)),), r"its state must be a pair \(h, c\)"),
        (nn.LSTM, (np.zeros((2, 4)), np.zeros((2, 3))), r"\(2, 4\), not \(2, 3\)"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(kind, state, message):
    with pytest.raises(ValueError, match=rf"{kind.__name__} \(3 -> 4\) .*{message}"):
        kind(3, 4)(np.zeros((2, 5, 3)), state)


@every_kind
@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (2.0, 1), ("3", 2)])
def test_sizes_must_be_positive_integers(kind, sizes):
    with pytest.raises(
        ValueError, match=f"{kind.__name__}: .*positive integers, got {sizes[0]!r}"
    ):
        kind(*sizes)


@every_kind
def test_an_initialiser_that_returns_another_shape_is_refused(kind):
    with pytest.raises(ValueError, match=r"init returned shape \(3, 4\), not \(4, 3\)"):
        kind(3, 4, init=lambda shape, rng: np.ones(shape).T)
