"""The embedded digits: sizes, values and the split."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.datasets

from tinygrad_edu.data import load_digits


def test_sizes_and_types_of_the_split():
    X_train, y_train, X_test, y_test = load_digits()

    assert X_train.shape == (1500, 64) and X_test.shape == (297, 64)
    assert y_train.shape == (1500,) and y_test.shape == (297,)
    assert X_train.dtype == X_test.dtype == np.float64
    assert y_train.dtype == y_test.dtype == np.int64


def test_train_and_test_are_scikit_learns_rows_in_order():
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)

    X_train, y_train, X_test, y_test = load_digits()

    np.testing.assert_array_equal(np.concatenate([X_train, X_test]) * 16, pixels)
    np.testing.assert_array_equal(np.concatenate([y_train, y_test]), labels)


def test_pixels_fill_the_unit_interval():
    X_train, _, X_test, _ = load_digits()

    assert X_train.min() == X_test.min() == 0.0
    assert X_train.max() == X_test.max() == 1.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, "float64"])
def test_every_floating_type_holds_the_sixteenths_exactly(dtype):
    X_train, _, X_test, _ = load_digits(dtype=dtype)

    assert X_train.dtype == X_test.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(X_train, load_digits()[0])


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, complex])
def test_a_type_without_fractions_is_refused(dtype):
    with pytest.raises(TypeError, match=r"load_digits: dtype must be a floating type"):
        load_digits(dtype=dtype)


def test_calls_do_not_share_memory():
    """A student who normalises in place must not change the next load."""
    load_digits()[0][:] = -1.0

    assert load_digits()[0].min() == 0.0


def test_importing_the_package_does_not_import_scikit_learn():
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import tinygrad_edu.data; "
        "print('sklearn' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"
