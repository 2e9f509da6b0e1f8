"""Mini-batches: every row once, in pairs, and errors at the call."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tinygrad_edu.data import batches


@pytest.fixture
def data():
    """Ten rows; row i of X is (10 i, 10 i + 1), and its label is i."""
    return 10 * np.arange(10)[:, None] + np.arange(2), np.arange(10)


def labels(*args, **kwargs):
    """The labels of all batches, in the order in which they come."""
    return np.concatenate([y for _, y in batches(*args, **kwargs)])


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 11, np.uint8(4)])
def test_every_row_comes_once_and_with_its_label(data, batch_size, shuffle):
    X, y = data

    parts = list(batches(X, y, batch_size, shuffle=shuffle, rng=0))

    for X_batch, y_batch in parts:
        np.testing.assert_array_equal(X_batch, X[y_batch])
    assert sorted(np.concatenate([y_batch for _, y_batch in parts])) == list(range(10))


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [
        (4, False, [4, 4, 2]),
        (4, True, [4, 4]),
        (5, False, [5, 5]),
        (5, True, [5, 5]),
        (11, False, [10]),
        (11, True, []),
    ],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_sizes_of_the_batches(data, batch_size, drop_last, sizes, shuffle):
    parts = batches(*data, batch_size, shuffle=shuffle, drop_last=drop_last)

    assert [(len(X), len(y)) for X, y in parts] == [(n, n) for n in sizes]


def test_a_small_numpy_int_as_batch_size_does_not_limit_the_rows():
    """300 does not fit in the uint8 that holds the batch size."""
    X = np.arange(300)

    sizes = [len(a) for a, _ in batches(X, X, np.uint8(200), drop_last=True)]

    assert sizes == [200]


def test_without_shuffle_rows_keep_their_order_and_batches_are_views(data):
    X, y = data

    parts = list(batches(X, y, 4, shuffle=False))

    np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), y)
    assert all(np.shares_memory(X, a) and np.shares_memory(y, b) for a, b in parts)


def test_shuffled_batches_are_copies(data):
    X, y = data

    parts = list(batches(X, y, 4, rng=0))

    assert not any(np.shares_memory(X, a) or np.shares_memory(y, b) for a, b in parts)


def test_shuffled_by_default(data):
    assert any(list(labels(*data, 4)) != list(range(10)) for _ in range(20))


def test_the_same_seed_gives_the_same_order(data):
    np.testing.assert_array_equal(labels(*data, 3, rng=7), labels(*data, 3, rng=7))
    assert list(labels(*data, 3, rng=7)) != list(labels(*data, 3, rng=8))


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_gives_each_epoch_a_new_order_and_repeats_from_its_seed(data, make):
    rng, again = make(0), make(0)

    first, second = labels(*data, 3, rng=rng), labels(*data, 3, rng=rng)

    assert list(first) != list(second)
    np.testing.assert_array_equal(labels(*data, 3, rng=again), first)
    np.testing.assert_array_equal(labels(*data, 3, rng=again), second)


def test_the_generator_is_drawn_from_once_and_at_the_call(data):
    rng, expected = np.random.default_rng(0), np.random.default_rng(0)

    epoch = batches(*data, 3, rng=rng)

    expected.permutation(10)
    assert rng.bit_generator.state == expected.bit_generator.state
    list(epoch)
    assert rng.bit_generator.state == expected.bit_generator.state


def test_without_shuffle_the_generator_is_left_alone(data):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state

    list(batches(*data, 3, shuffle=False, rng=rng))

    assert rng.bit_generator.state == before


def test_the_result_is_an_iterator(data):
    X_batch, y_batch = next(batches(*data, 4))

    assert X_batch.shape == (4, 2) and y_batch.shape == (4,)


def test_a_memory_mapped_file_will_do(tmp_path, data):
    X, y = data
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    for X_batch, y_batch in batches(mapped, y, 4, rng=0):
        np.testing.assert_array_equal(X_batch, X[y_batch])


@pytest.mark.parametrize("shuffle", [True, False])
def test_of_a_memory_map_only_the_rows_of_the_batch_are_read(tmp_path, shuffle):
    """The file is a hole of 100 GB: read whole, it would fit nowhere."""
    mapped = np.memmap(tmp_path / "X", np.uint8, "w+", shape=(100_000, 1_000_000))

    X_batch, _ = next(batches(mapped, np.arange(100_000), 3, shuffle, rng=0))

    assert X_batch.shape == (3, 1_000_000)
    assert not X_batch.any()


class NumberedRows:
    """What `batches` asks for, and no more: a length and rows by their numbers."""

    def __len__(self):
        return 10

    def __getitem__(self, rows):
        return 100 + np.arange(10)[rows]


@pytest.mark.parametrize("shuffle", [True, False])
def test_anything_with_a_length_that_an_array_indexes_will_do(data, shuffle):
    for X_batch, y_batch in batches(NumberedRows(), data[1], 4, shuffle=shuffle):
        np.testing.assert_array_equal(X_batch, 100 + y_batch)


# Never iterated: each of these must fail at the call.
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": np.arange(9)}, ValueError, "got 10 rows of X and 9 of y"),
        ({"X": np.ones((0, 2)), "y": np.ones(0)}, ValueError, "are empty"),
        ({"batch_size": 0}, ValueError, "at least 1, got 0"),
        ({"batch_size": -3}, ValueError, "at least 1, got -3"),
        ({"batch_size": 2.0}, TypeError, r"must be an int, got 2\.0 \(float\)"),
        ({"batch_size": True}, TypeError, r"must be an int, got True \(bool\)"),
        ({"batch_size": "2"}, TypeError, r"must be an int, got '2' \(str\)"),
        ({"batch_size": None}, TypeError, r"must be an int, got None"),
        ({"X": [1] * 10}, TypeError, r"got a list\. Did you mean np\.asarray\(X\)\?"),
        ({"y": (1,) * 10}, TypeError, r"got a tuple\. Did you mean np\.asarray\(y\)\?"),
        ({"y": np.float64(1.0)}, TypeError, "y must be an array with one row per"),
        ({"X": np.array(1.0)}, TypeError, "X must be an array with one row per sample"),
        ({"X": csr_array(np.eye(10))}, TypeError, "X must be .* got csr_array: sparse"),
        ({"X": iter([])}, TypeError, "X must be .* got list_iterator: .* has no len"),
        ({"rng": "seed"}, TypeError, "rng must be a seed"),
    ],
)
def test_a_wrong_argument_is_refused_at_the_call(data, arguments, error, message):
    X, y = data

    with pytest.raises(error, match=message):
        batches(**{"X": X, "y": y, "batch_size": 4} | arguments)


def noisy(X, y, rng):
    return X + rng.standard_normal(X.shape), y + 100


@pytest.mark.parametrize("shuffle", [True, False])
def test_augmentation_changes_each_batch_and_draws_from_the_same_generator(
    data, shuffle
):
    X, y = data
    rng = np.random.default_rng(3)
    order = rng.permutation(10) if shuffle else np.arange(10)

    parts = list(batches(X, y, 4, shuffle, rng=3, augment=noisy))

    for rows, (X_batch, y_batch) in zip(
        (order[:4], order[4:8], order[8:]), parts, strict=True
    ):
        noise = rng.standard_normal((len(rows), 2))
        np.testing.assert_array_equal(X_batch, X[rows] + noise)
        np.testing.assert_array_equal(y_batch, y[rows] + 100)
    assert y.max() == 9


@pytest.mark.parametrize("augment", [None, noisy])
def test_skipped_batches_leave_the_others_as_they_were(data, augment):
    whole = list(batches(*data, 3, rng=1, augment=augment))

    rest = batches(*data, 3, rng=1, augment=augment)
    rest.skip(2)

    for got, expected in zip(rest, whole[2:], strict=True):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_skipped_batches_are_not_read(data):
    class Unread(NumberedRows):
        def __getitem__(self, rows):
            raise AssertionError

    batches(Unread(), data[1], 4).skip(3)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_tells_which_rows_it_consists_of(data, shuffle):
    parts = batches(*data, 4, shuffle)

    for _, y_batch in parts:
        np.testing.assert_array_equal(np.arange(10)[parts.rows], y_batch)


@pytest.mark.parametrize(
    ("returned", "error", "text"),
    [
        (lambda X, y: X, TypeError, r"the pair .*, got ndarray of shape \(2, 2\)$"),
        (lambda X, y: (X, y, y), TypeError, "the pair .*, got a tuple of 3"),
        (lambda X, y: None, TypeError, "the pair .*, got NoneType"),
        (lambda X, y: (X[:1], y), ValueError, r"shape \(1, 2\) and .* shape \(2,\)"),
        (lambda X, y: (X.sum(), y), ValueError, r"shape \(\) and .* shape \(2,\)"),
        (lambda X, y: (0.0, 1), ValueError, "got float and int"),
        (lambda X, y: (X, (y[:1], y)), ValueError, r"\(2, 2\) and a tuple of 2"),
    ],
)
def test_augmentation_that_returns_no_pair_of_rows_is_refused(
    data, returned, error, text
):
    """Of a batch of two rows, X alone would unpack into a wrong X and y."""
    parts = batches(*data, 2, augment=lambda X, y, rng: returned(X, y))

    with pytest.raises(error, match=f"augment must return .*{text}"):
        next(parts)


def test_augmentation_may_return_several_targets(data):
    """As the two labels of a mixture."""
    parts = batches(*data, 4, augment=lambda X, y, rng: (X, (y, y[::-1])))

    _, (ones, others) = next(parts)

    np.testing.assert_array_equal(others, ones[::-1])


def test_augmentation_that_is_no_function_is_refused(data):
    with pytest.raises(TypeError, match=r"augment must be a function .* got str"):
        batches(*data, 4, augment="flip")


def test_a_table_of_pandas_is_refused_with_what_to_write(data):
    class Table:
        iloc = None

        def __len__(self):
            return 10

    with pytest.raises(TypeError, match=r"got a Table\. Did you mean X\.to_numpy\(\)"):
        batches(Table(), data[1], 4)
