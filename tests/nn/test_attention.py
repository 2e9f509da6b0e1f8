"""MultiHeadAttention: values against loops, masks, and that nobody looks ahead."""

from __future__ import annotations

import copy
import pickle
import re
from itertools import product

import numpy as np
import pytest
from numeric import assert_near

import tinygrad_edu as te
from tinygrad_edu import nn


def by_hand(layer, query, key, value, mask):
    """One row, head and query after the other; also the weights."""
    heads, size = layer.num_heads, layer.embed_dim // layer.num_heads

    def dense(part, x):
        return x @ part.weight.data.T + part.bias.data

    q, k, v = (
        dense(part, x)
        for part, x in (
            (layer.query, query),
            (layer.key, key),
            (layer.value, value),
        )
    )
    rows, times, places = *query.shape[:2], key.shape[1]
    taken, weights = np.zeros(query.shape), np.zeros((rows, heads, times, places))
    for n, head, t in product(range(rows), range(heads), range(times)):
        own = slice(head * size, head * size + size)
        seen = [s for s in range(places) if mask[n, t, s]]
        scores = [np.dot(q[n, t, own], k[n, s, own]) / np.sqrt(size) for s in seen]
        total = sum(np.exp(score) for score in scores)
        for s, score in zip(seen, scores, strict=True):
            weights[n, head, t, s] = np.exp(score) / total
            taken[n, t, own] += weights[n, head, t, s] * v[n, s, own]
    return dense(layer.output, taken), weights


def randomised(rng, *, heads=2, causal=False, dtype=np.float64):
    """A layer of 4 with parameters none of which is zero."""
    layer = nn.MultiHeadAttention(4, heads, causal=causal, rng=rng, dtype=dtype)
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    return layer


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_self_attention_is_that_of_loops(heads, rng):
    layer, x = randomised(rng, heads=heads), rng.standard_normal((2, 3, 4))

    output, weights = layer(x), layer.weights(x)

    expected = by_hand(layer, x, x, x, np.ones((2, 3, 3), bool))
    assert_near(output.data, expected[0], 1e-14, "output")
    assert_near(weights.data, expected[1], 1e-14, "weights")


@pytest.mark.parametrize("heads", [1, 2])
def test_cross_attention_is_that_of_loops(heads, rng):
    layer = randomised(rng, heads=heads)
    query, key = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4))
    value, every = rng.standard_normal((2, 5, 4)), np.ones((2, 3, 5), bool)

    three, two = layer(query, key, value), layer(query, key)

    expected, _ = by_hand(layer, query, key, value, every)
    assert_near(three.data, expected, 1e-14, "with values")
    expected, _ = by_hand(layer, query, key, key, every)
    assert_near(two.data, expected, 1e-14, "the keys are the values")


def test_values_may_differ_from_the_queries_that_are_the_keys(rng):
    layer, x = randomised(rng), rng.standard_normal((2, 3, 4))
    value = rng.standard_normal((2, 3, 4))

    output = layer(x, value=value)

    expected, _ = by_hand(layer, x, x, value, np.ones((2, 3, 3), bool))
    assert_near(output.data, expected, 1e-14, "output")


MASKS = {
    "of places": np.array([[1, 0, 1, 1, 0], [0, 0, 0, 1, 0], [1, 1, 1, 1, 1]], bool),
    "of padding": np.array([[[1, 1, 1, 1, 1]], [[1, 1, 0, 0, 0]]], bool),
    "of everything": np.random.default_rng(3).random((2, 3, 5)) < 0.6,
    "of one key": np.array([True, True, False, True, True]),
    "that forbids nothing": np.array(True),
    "that leaves a query nothing": np.array([[1] * 5, [0] * 5, [0, 1, 1, 0, 0]], bool),
    "that forbids all": np.zeros((3, 5), bool),
}
every_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


@every_mask
def test_with_a_mask_it_is_that_of_loops_over_what_may_be_seen(mask, rng):
    layer = randomised(rng)
    query, key = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4))

    output, weights = layer(query, key, mask=mask), layer.weights(query, key, mask=mask)

    full = np.broadcast_to(mask, (2, 3, 5))
    expected = by_hand(layer, query, key, key, full)
    assert_near(output.data, expected[0], 1e-14, "output")
    assert_near(weights.data, expected[1], 1e-14, "weights")
    assert not weights.data[~np.broadcast_to(full[:, None], weights.shape)].any()


@pytest.mark.parametrize("made", [np.ndarray.tolist, te.tensor], ids=["list", "tensor"])
def test_a_mask_may_be_a_list_or_a_tensor(made, rng):
    layer, x = randomised(rng), rng.standard_normal((2, 3, 4))
    mask = np.tri(3, dtype=bool)

    output = layer(x, mask=made(mask))

    np.testing.assert_array_equal(output.data, layer(x, mask=mask).data)


def test_a_query_that_may_look_nowhere_takes_nothing_and_has_no_gradient(rng):
    layer, mask = randomised(rng), np.array([[True] * 3, [False] * 3, [True] * 3])
    x = te.tensor(rng.standard_normal((1, 3, 4)), requires_grad=True)

    output = layer(x, rng.standard_normal((1, 3, 4)), mask=mask)
    output.sum().backward()

    np.testing.assert_array_equal(output.data[0, 1], layer.output.bias.data)
    assert not x.grad[0, 1].any()
    assert x.grad[0, [0, 2]].all()
    assert all(np.isfinite(p.grad).all() for p in layer.parameters())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_right_and_silent_where_scores_are_huge(dtype, rng):
    layer = nn.MultiHeadAttention(2, 1, causal=True, rng=0, dtype=dtype)
    for part in (layer.query, layer.key):
        part.weight.data = np.eye(2)
    x = te.tensor([[[1e4, 0.0], [-1e4, 0.0]]], requires_grad=True, dtype=dtype)

    weights = layer.weights(x)
    layer(x).sum().backward()

    assert weights.data.tolist() == [[[[1.0, 0.0], [0.0, 1.0]]]]
    assert np.isfinite(x.grad).all()


# ------------------------------------------------------------------------ causal


def test_causal_attention_is_that_of_loops_over_what_came_before(rng):
    layer, x = randomised(rng, causal=True), rng.standard_normal((2, 5, 4))

    output = layer(x)

    before = np.broadcast_to(np.tri(5, dtype=bool), (2, 5, 5))
    assert_near(output.data, by_hand(layer, x, x, x, before)[0], 1e-14, "output")


def test_a_mask_forbids_more_than_causal_does_and_never_less(rng):
    layer, x = randomised(rng, causal=True), rng.standard_normal((2, 5, 4))
    mask = rng.random((2, 5, 5)) < 0.5

    output, everywhere = layer(x, mask=mask), layer(x, mask=np.ones((5, 5), bool))

    expected, _ = by_hand(layer, x, x, x, mask & np.tri(5, dtype=bool))
    assert_near(output.data, expected, 1e-14, "output")
    np.testing.assert_array_equal(everywhere.data, layer(x).data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("now", range(7))
def test_what_comes_later_changes_not_one_bit(now, dtype, rng):
    layer = randomised(rng, causal=True, dtype=dtype)
    x = rng.standard_normal((3, 7, 4)).astype(dtype)
    later = x.copy()
    later[:, now + 1 :] = 1e3 * rng.standard_normal((3, 6 - now, 4))

    first, second = layer(x).data, layer(later).data

    assert first[:, : now + 1].tobytes() == second[:, : now + 1].tobytes()
    assert np.all(first[:, now + 1 :] != second[:, now + 1 :])


@pytest.mark.parametrize("now", range(7))
def test_the_gradient_by_what_comes_later_is_exactly_zero(now, rng):
    layer = randomised(rng, causal=True)
    x = te.tensor(rng.standard_normal((3, 7, 4)), requires_grad=True)

    (gradient,) = te.gradients(
        te.sum(layer(x)[:, now] * rng.standard_normal((3, 4))), [x]
    )

    assert not gradient[:, now + 1 :].any()
    assert gradient[:, now].all()
    assert gradient[:, : now + 1].any(axis=-1).all()


def test_a_transformer_of_several_causal_layers_does_not_look_ahead_either(rng):
    layers = [nn.MultiHeadAttention(4, 2, causal=True, rng=k) for k in range(3)]
    model, x = nn.Sequential(*layers), rng.standard_normal((2, 6, 4))
    later = x.copy()
    later[:, 4:] += 1

    first, second = model(x).data, model(later).data

    np.testing.assert_array_equal(first[:, :4], second[:, :4])


def test_a_beginning_alone_gives_what_it_gives_in_the_whole(rng):
    layer, x = randomised(rng, causal=True), rng.standard_normal((2, 7, 4))

    beginning, whole = layer(x[:, :3]), layer(x)

    np.testing.assert_allclose(beginning.data, whole.data[:, :3], rtol=1e-12)


# ------------------------------------------------------------------------ derivatives


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_gradcheck_of_self_attention(order, causal, rng):
    layer = randomised(rng, causal=causal)

    te.gradcheck(layer, rng.standard_normal((1, 3, 4)), order=order)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("mask", ["of padding", "that leaves a query nothing"])
def test_gradcheck_of_masked_cross_attention(order, mask, rng):
    layer, few = randomised(rng), np.broadcast_to(MASKS[mask], (2, 3, 5))[1:, :2, :3]

    class Masked(nn.Layer):
        def __init__(self):
            self.attention = layer

        def forward(self, query, key, value):
            return self.attention(query, key, value, mask=few)

    inputs = [rng.standard_normal((1, places, 4)) for places in (2, 3, 3)]
    te.gradcheck(Masked(), *inputs, order=order)


def test_float32_stays_float32_through_gradients_of_both_orders(rng):
    layer = randomised(rng, causal=True, dtype=np.float32)
    x = te.tensor(rng.standard_normal((2, 3, 4)), requires_grad=True, dtype=np.float32)
    leaves = [x, *layer.parameters()]

    output = layer(x, mask=MASKS["that leaves a query nothing"][:, :3])
    first = te.gradients(te.sum(output * output), leaves, create_graph=True)
    second = te.gradients(sum(te.sum(g * g) for g in first), leaves)

    made = [output, *first, *second]
    assert {part.dtype for part in made} == {np.dtype(np.float32)}


# ------------------------------------------------------------------------ as a layer


def test_its_weights_are_drawn_one_after_the_other_from_one_source():
    layer = nn.MultiHeadAttention(4, 2, rng=0)
    rng = np.random.default_rng(0)

    names = [name for name, _ in layer.named_parameters()]

    parts = ["query", "key", "value", "output"]
    assert names == [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    for part in parts:
        expected = nn.Linear(4, 4, rng=rng).weight.data
        np.testing.assert_array_equal(getattr(layer, part).weight.data, expected)


def test_the_rows_of_a_batch_do_not_touch_each_other(rng):
    layer, x = randomised(rng), rng.standard_normal((3, 5, 4))

    together = layer(x)

    alone = np.concatenate([layer(row[None]).data for row in x])
    assert layer.independent_rows
    np.testing.assert_allclose(together.data, alone, rtol=1e-12)


def test_lists_and_tensors_are_taken_as_arrays_are(rng):
    layer, x = randomised(rng), rng.standard_normal((2, 3, 4))
    before = x.copy()

    outputs = [layer(made(x)) for made in (np.asarray, np.ndarray.tolist, te.tensor)]

    for output in outputs[1:]:
        np.testing.assert_array_equal(output.data, outputs[0].data)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_a_copy_after_a_call_computes_the_same_and_shares_nothing(copied, rng):
    layer, x = randomised(rng, causal=True), rng.standard_normal((2, 3, 4))
    layer(x).sum().backward()

    twin = copied(layer)

    np.testing.assert_array_equal(twin(x).data, layer(x).data)
    for p, q in zip(layer.parameters(), twin.parameters(), strict=True):
        assert not np.shares_memory(p.data, q.data)


def test_a_state_dict_carries_it_over(rng):
    layer, other = randomised(rng), nn.MultiHeadAttention(4, 2)
    x = rng.standard_normal((2, 3, 4))

    other.load_state_dict(layer.state_dict())

    np.testing.assert_array_equal(other(x).data, layer(x).data)


def test_evaluation_and_freezing_change_no_number(rng):
    layer, x = randomised(rng), rng.standard_normal((2, 3, 4))
    training = layer(x)
    for p in layer.parameters():
        p.requires_grad = False

    output = layer.eval()(x)

    np.testing.assert_array_equal(output.data, training.data)
    assert not layer.output.training
    assert not output.requires_grad


# ---------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3, 4)], "(3, 4): the query must be (N, places, 4)"),
        ([(2, 3, 5)], "(2, 3, 5): the query must be (N, places, 4)"),
        ([(2, 3, 4), (1, 3, 4)], "(1, 3, 4): the key must be (2, places, 4)"),
        ([(2, 3, 4), (2, 5, 3)], "(2, 5, 3): the key must be (2, places, 4)"),
        ([(2, 3, 4), (2, 5, 4), (5, 4)], "(5, 4): the value must be (2, 5, 4)"),
        ([(2, 3, 4), (2, 5, 4), (2, 6, 4)], "(2, 6, 4): the value must be (2, 5, 4)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_by_name(shapes, message):
    layer = nn.MultiHeadAttention(4, 2)

    said = f"MultiHeadAttention (4, 2 heads) got {message}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        layer(*map(np.zeros, shapes))


def test_the_layer_before_is_named_too():
    model = nn.Sequential(nn.Linear(3, 5), nn.MultiHeadAttention(4, 2))

    with pytest.raises(
        ValueError, match=r"MultiHeadAttention '1' .* the layer before it, Linear '0'"
    ):
        model(np.zeros((2, 6, 3)))


def test_a_causal_layer_needs_a_key_for_each_query():
    layer = nn.MultiHeadAttention(4, 2, causal=True)

    with pytest.raises(ValueError, match=r"2 heads, causal\).* as many keys, not 5"):
        layer(np.zeros((2, 3, 4)), np.zeros((2, 5, 4)))


@pytest.mark.parametrize("mask", [np.ones((3, 3)), np.ones((3, 3), int), [[0.0]]])
def test_a_mask_of_numbers_is_refused_as_ambiguous(mask):
    with pytest.raises(TypeError, match=r"mask must hold True \(may look\) and False"):
        nn.MultiHeadAttention(4, 2)(np.zeros((2, 3, 4)), mask=mask)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3, 3), (2, 2, 3, 3)])
def test_a_mask_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"the mask, .* must broadcast to \(2, 3, 3\)"):
        nn.MultiHeadAttention(4, 2)(np.zeros((2, 3, 4)), mask=np.ones(shape, bool))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 1), "positive integers, got 0 and 1"),
        ((4, 0), "positive integers, got 4 and 0"),
        ((4.0, 2), "positive integers, got 4.0 and 2"),
        ((4, 3), "embed_dim must be a multiple of num_heads, got 4 and 3"),
    ],
)
def test_sizes_must_be_positive_integers_that_divide(sizes, message):
    with pytest.raises(ValueError, match=f"MultiHeadAttention: .*{message}"):
        nn.MultiHeadAttention(*sizes)
