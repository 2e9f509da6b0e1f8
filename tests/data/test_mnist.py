"""MNIST: IDX files, the download, its copy on disk, and what they refuse."""

import gc
import gzip
import hashlib
import os
import struct
import tracemalloc
import zlib
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets

from tinygrad_edu.data import load_mnist, mnist
from tinygrad_edu.data.mnist import read_idx

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
N_TRAIN, N_TEST = 30, 10
REAL = os.environ.get("TINYGRAD_EDU_DATA")


def idx(array):
    """The bytes of an IDX file that holds ``array``."""
    code = IDX_CODES[array.dtype.str[1:]]
    header = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def as_named(name, content):
    return gzip.compress(content, 1) if name.endswith(".gz") else content


@pytest.fixture(autouse=True)
def sandbox(monkeypatch, tmp_path):
    """No test downloads, writes to a home folder, or sees the user's MNIST."""

    def refuse(*args, **kwargs):
        raise AssertionError("the test reached for the network")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", refuse)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)


@pytest.fixture
def small(monkeypatch, rng):
    """MNIST shrunk to 30 + 10 random images: its four arrays by file name."""
    arrays = {}
    for part, n in ("train", N_TRAIN), ("t10k", N_TEST):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}-images-idx3-ubyte"] = images
        labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = labels
    files = tuple(
        mnist._File(name, array.shape, hashlib.md5(idx(array)).hexdigest())
        for name, array in arrays.items()
    )
    monkeypatch.setattr(mnist, "_FILES", files)
    return arrays


@pytest.fixture
def folder(tmp_path, small):
    """A folder with the four files of the small MNIST."""
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, array in small.items():
        (folder / name).write_bytes(idx(array))
    return folder


@pytest.fixture
def openml(monkeypatch, small):
    """What OpenML answers, for a test to spoil; ``calls`` is what it was asked."""
    images = [array for array in small.values() if array.ndim == 3]
    labels = [array for array in small.values() if array.ndim == 1]
    answer = SimpleNamespace(
        data=np.concatenate(images).reshape(-1, 784).astype(np.float64),
        target=np.concatenate(labels).astype(str).astype(object),
        calls=[],
    )

    def fetch(name, **kwargs):
        answer.calls.append((name, kwargs))
        return answer

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    return answer


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "home" / "tinygrad_edu" / "mnist.npz"


def assert_is_small(loaded, small):
    train_images, train_labels, test_images, test_labels = small.values()
    X_train, y_train, X_test, y_test = loaded
    np.testing.assert_array_equal(X_train, train_images.reshape(-1, 784) / 255)
    np.testing.assert_array_equal(X_test, test_images.reshape(-1, 784) / 255)
    np.testing.assert_array_equal(y_train, train_labels)
    np.testing.assert_array_equal(y_test, test_labels)
    assert X_train.dtype == X_test.dtype == np.float64
    assert y_train.dtype == y_test.dtype == np.int64


# --- read_idx ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numbers", "numbers.gz"])
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4), (0, 3), ()])
@pytest.mark.parametrize("dtype", IDX_CODES)
def test_read_idx_returns_what_was_written(tmp_path, rng, dtype, shape, name):
    array = rng.integers(0, 100, shape).astype(dtype)
    (tmp_path / name).write_bytes(as_named(name, idx(array)))

    read = read_idx(tmp_path / name)

    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype and read.dtype.isnative
    assert read.shape == shape
    assert read.flags.writeable


def test_read_idx_goes_by_content_not_by_name(tmp_path):
    """Browsers unpack a .gz file and leave its name."""
    array = np.arange(6, dtype=np.uint8)
    (tmp_path / "plain.gz").write_bytes(idx(array))
    (tmp_path / "packed").write_bytes(gzip.compress(idx(array)))

    np.testing.assert_array_equal(read_idx(str(tmp_path / "plain.gz")), array)
    np.testing.assert_array_equal(read_idx(str(tmp_path / "packed")), array)


IDX = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
GZIP = gzip.compress(IDX, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "found an empty file", id="empty"),
        pytest.param(IDX[:3], "not an IDX file.*found 00 00 08$", id="three bytes"),
        pytest.param(b"\x89PNG" + IDX, "found 89 50 4e 47", id="another format"),
        pytest.param(b"\1" + IDX[1:], "found 01 00 08 03", id="first magic byte"),
        pytest.param(b"\0\1" + IDX[2:], "found 00 01 08 03", id="second magic byte"),
        pytest.param(b"\0\0\x0a" + IDX[3:], "found 00 00 0a 03", id="unknown type"),
        pytest.param(IDX[:15], "header of 16 bytes for 3.*found 15", id="header cut"),
        pytest.param(IDX[:-1], r"40 bytes for uint8 of.*\(2, 3, 4\).*39", id="cut off"),
        pytest.param(IDX[:16], "cut off.*found 16", id="no data"),
        pytest.param(IDX + b"\0", "too long: expected 40.*found 41", id="trailing"),
        pytest.param(
            b"\0\0\x08\3" + b"\xff" * 12 + bytes(8),
            "cut off: expected 79228162458924105385300197391 bytes.*found 24",
            id="claims more than there is memory",
        ),
        pytest.param(
            b"\0\0\x08\4" + bytes(4) + b"\xff" * 12, "is no array", id="0 times huge"
        ),
        pytest.param(
            b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "is no array", id="255 axes"
        ),
        pytest.param(
            gzip.compress(IDX + bytes(10)), "too long: .*found more", id="gzipped"
        ),
        pytest.param(GZIP[:-9], "expected a whole gzip file", id="gzip cut in data"),
        pytest.param(GZIP[:-3], "expected a whole gzip file", id="gzip cut in sum"),
        pytest.param(GZIP[:5], "expected a whole gzip file", id="gzip cut in header"),
        pytest.param(
            GZIP[:-8] + b"\0\0\0\0" + GZIP[-4:], "CRC check failed", id="gzip check sum"
        ),
        pytest.param(
            GZIP[:10] + b"\xff" * 9 + GZIP[19:], "invalid block type", id="gzip stream"
        ),
        pytest.param(GZIP + b"more", "Not a gzipped file", id="gzip trailing"),
    ],
)
def test_read_idx_refuses_a_broken_file(tmp_path, content, message):
    path = tmp_path / "broken-idx3-ubyte"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=rf"(?s)read_idx: .*{path.name}.*{message}"):
        read_idx(path)


def test_read_idx_names_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


# --- load_mnist from a folder -----------------------------------------------------


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_under_each_usual_name(tmp_path, small, suffix, dot):
    for name, array in small.items():
        name = (name.replace("-idx", ".idx") if dot else name) + suffix
        (tmp_path / name).write_bytes(as_named(name, idx(array)))

    assert_is_small(load_mnist(tmp_path), small)


def test_a_folder_that_has_a_files_name_is_passed_over(folder, small):
    """One popular archive unpacks each file into a folder of the same name."""
    name = "train-images-idx3-ubyte"
    (folder / name).rename(folder / "train-images.idx3-ubyte")
    (folder / name).mkdir()

    assert_is_small(load_mnist(folder), small)


def test_the_environment_variable_names_the_folder(folder, small, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))

    assert_is_small(load_mnist(), small)


def test_path_comes_before_the_environment_variable(folder, small, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder / "nowhere"))

    assert_is_small(load_mnist(str(folder)), small)


def test_a_folder_comes_before_the_cache(folder, small, cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"not looked at")

    assert_is_small(load_mnist(folder), small)


def test_a_tilde_is_the_home_folder(folder, small, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))

    assert_is_small(load_mnist(Path("~", folder.name)), small)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_the_division_is_done_in_the_type_asked_for(folder, small, dtype):
    X_train, y_train, X_test, _ = load_mnist(folder, dtype=dtype)

    pixels = small["train-images-idx3-ubyte"].reshape(-1, 784).astype(dtype)
    assert X_train.dtype == X_test.dtype == dtype
    np.testing.assert_array_equal(X_train, pixels / dtype(255))
    assert y_train.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, complex])
def test_a_type_without_fractions_is_refused_before_anything_is_read(dtype):
    with pytest.raises(TypeError, match=r"load_mnist: dtype must be a floating type"):
        load_mnist(dtype=dtype)


@pytest.mark.parametrize("by_path", [True, False])
def test_a_missing_folder_is_named_and_nothing_is_downloaded(
    tmp_path, monkeypatch, by_path
):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "nowhere"))
    origin = "path" if by_path else "the variable TINYGRAD_EDU_DATA"

    with pytest.raises(FileNotFoundError, match=rf"nowhere, which {origin} names"):
        load_mnist(tmp_path / "nowhere" if by_path else None)


def test_a_file_in_place_of_the_folder_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"no folder .*train-labels"):
        load_mnist(folder / "train-labels-idx1-ubyte")


@pytest.mark.parametrize("by_path", [True, False])
@pytest.mark.parametrize("index", range(4))
def test_a_missing_file_is_named_and_nothing_is_downloaded(
    folder, small, monkeypatch, index, by_path
):
    missing = list(small)[index]
    (folder / missing).unlink()
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))

    with pytest.raises(FileNotFoundError, match=rf"lacks {missing}, with or") as error:
        load_mnist(folder if by_path else None)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("train-images-idx3-ubyte", lambda a: a[:-1], r"\(30, 28.*\(29, 28, 28\)"),
        ("t10k-images-idx3-ubyte", lambda a: a[:, :-1], r"\(10, 28.*\(10, 27, 28\)"),
        ("t10k-images-idx3-ubyte", lambda a: a.reshape(10, 784), r"\(10, 784\)"),
        ("train-labels-idx1-ubyte", lambda a: a[:-1], r"\(30,\), found .* \(29,\)"),
        ("t10k-labels-idx1-ubyte", lambda a: a[:, None], r"\(10,\), found .* \(10, 1"),
        ("t10k-labels-idx1-ubyte", lambda a: a.astype("i4"), "uint8 of.*found int32"),
        ("train-labels-idx1-ubyte", lambda a: a + (a == 9), "outside 0..9: found 10"),
    ],
)
def test_a_file_of_another_data_set_is_refused(folder, small, name, spoil, message):
    (folder / name).write_bytes(idx(spoil(small[name])))

    with pytest.raises(ValueError, match=rf"load_mnist: .*{name}.*{message}"):
        load_mnist(folder)


def test_a_wrong_label_is_named_by_its_row(folder, small):
    labels = small["train-labels-idx1-ubyte"].copy()
    labels[17] = 255
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(labels))

    with pytest.raises(ValueError, match=r"found 255 in row 17"):
        load_mnist(folder)


def test_train_and_test_files_that_are_swapped_are_refused(folder):
    a, b = folder / "train-images-idx3-ubyte", folder / "t10k-images-idx3-ubyte"
    a.rename(folder / "c")
    b.rename(a)
    (folder / "c").rename(b)

    with pytest.raises(ValueError, match=r"\(30, 28, 28\), found .* \(10, 28, 28\)"):
        load_mnist(folder)


def test_a_damaged_file_is_refused(folder):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte is cut off"):
        load_mnist(folder)


def test_local_files_of_full_size_are_checked_by_structure_only(tmp_path):
    for file in mnist._FILES:
        content = idx(np.zeros(file.shape, np.uint8))
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(content, 1))

    X_train, y_train, X_test, y_test = load_mnist(tmp_path, dtype=np.float16)

    assert X_train.shape == (60_000, 784) and X_test.shape == (10_000, 784)
    assert y_train.shape == (60_000,) and y_test.shape == (10_000,)


# --- load_mnist by download ---------------------------------------------------


def test_a_download_asks_openml_without_pandas_and_with_few_retries(openml, small):
    assert_is_small(load_mnist(), small)

    [(name, kwargs)] = openml.calls
    assert name == "mnist_784"
    assert kwargs == {
        "version": 1,
        "as_frame": False,
        "parser": "liac-arff",
        "n_retries": 1,
    }


def test_a_download_says_on_stderr_what_comes_how_large_and_where_to(
    openml, cache, capsys
):
    load_mnist()

    out, err = capsys.readouterr()
    assert out == ""
    assert "MNIST" in err and "MB" in err and str(cache) in err


def test_an_empty_environment_variable_counts_as_unset(openml, small, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", "")

    assert_is_small(load_mnist(), small)


def test_the_second_load_reads_the_cache_and_says_nothing(openml, small, capsys):
    load_mnist()
    capsys.readouterr()

    loaded = load_mnist()

    assert len(openml.calls) == 1
    assert_is_small(loaded, small)
    assert capsys.readouterr() == ("", "")


def test_the_cache_lies_beside_scikit_learns_data_as_bytes(openml, small, cache):
    load_mnist()

    assert cache.parents[1] == Path(sklearn.datasets.get_data_home())
    assert list(cache.parent.iterdir()) == [cache]
    with np.load(cache, allow_pickle=False) as archive:
        assert archive.files == list(small)
        assert all(archive[name].dtype == np.uint8 for name in small)


@pytest.mark.parametrize("variable", ["~/data", None])
def test_the_cache_follows_scikit_learns_default_folder(
    monkeypatch, tmp_path, openml, variable
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("SCIKIT_LEARN_DATA")
    if variable:
        monkeypatch.setenv("SCIKIT_LEARN_DATA", variable)

    load_mnist()

    home = Path(sklearn.datasets.get_data_home())
    assert tmp_path in home.parents
    assert (home / "tinygrad_edu" / "mnist.npz").is_file()


def spoiled(data=None, target=None):
    """Put one value into the answer: ``(index, value)``."""

    def spoil(answer):
        if data is not None:
            answer.data[data[0]] = data[1]
        if target is not None:
            answer.target[target[0]] = target[1]

    return spoil


def fewer_rows(answer):
    answer.data, answer.target = answer.data[:-1], answer.target[:-1]


def fewer_columns(answer):
    answer.data = answer.data[:, :-1]


def fewer_labels(answer):
    answer.target = answer.target[:-1]


def another_order(answer):
    answer.data, answer.target = answer.data[::-1], answer.target[::-1]


def one_grey_level(answer):
    answer.data[3, 5] = (answer.data[3, 5] + 1) % 256


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (fewer_rows, r"wrong size: expected pixels \(40, 784\).*found \(39, 784\)"),
        (fewer_columns, r"wrong size: .*found \(40, 783\)"),
        (fewer_labels, r"wrong size: .*labels \(40,\), found .* and \(39,\)"),
        (spoiled(data=((0, 0), 256)), r"integers in 0\.\.255: found 256"),
        (spoiled(data=((0, 0), -1)), r"integers in 0\.\.255: found -1"),
        (spoiled(data=((0, 0), 0.5)), r"integers in 0\.\.255: found 0\.5"),
        (spoiled(data=((0, 0), np.nan)), r"integers in 0\.\.255: found nan"),
        (spoiled(data=((0, 0), np.inf)), r"integers in 0\.\.255: found inf"),
        (spoiled(target=(3, "10")), r"labels other than '0' to '9': found \['10'\]"),
        (spoiled(target=(3, "x")), r"labels other than '0' to '9': found \['x'\]"),
        (spoiled(target=(3, None)), r"labels other than '0' to '9': found \['None'\]"),
        (another_order, r"expected train-images-idx3-ubyte with md5 [0-9a-f]{32}, fou"),
        (one_grey_level, r"expected train-images-idx3-ubyte with md5"),
        (spoiled(target=(slice(30, 32), "0")), r"expected t10k-labels-idx1-ubyte with"),
    ],
)
def test_a_wrong_download_is_refused_and_not_kept(openml, cache, spoil, message):
    spoil(openml)

    with pytest.raises(ValueError, match=rf"load_mnist: .*openml\.org.*{message}") as e:
        load_mnist()
    assert str(cache.parents[1] / "openml") in str(e.value)  # what to delete
    assert not cache.exists()


@pytest.mark.parametrize(
    "cause",
    [
        URLError("Name or service not known"),
        TimeoutError("timed out"),
        OSError("no route"),
        ValueError("md5 checksum"),  # scikit-learn's word for a spoiled transfer
    ],
)
def test_offline_the_error_tells_both_ways_to_get_the_data(
    monkeypatch, small, cache, cause
):
    def fail(*args, **kwargs):
        raise cause

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fail)

    with pytest.raises(ConnectionError, match="could not be downloaded") as error:
        load_mnist()

    message = str(error.value)
    assert type(cause).__name__ in message and str(cause) in message
    assert all(name in message for name in small)
    assert "TINYGRAD_EDU_DATA" in message and "load_mnist(path=...)" in message
    assert "with an internet connection" in message and str(cache) in message
    assert error.value.__cause__ is cause
    assert not cache.exists()


# --- the cache -----------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["np.savez", "os.fsync", "os.replace"])
def test_an_interrupted_write_leaves_neither_cache_nor_temporary_file(
    monkeypatch, openml, small, cache, step, error
):
    there_meanwhile = []

    def fail(*args, **kwargs):
        if step == "np.savez":
            args[0].write(b"half a file")
        there_meanwhile.extend(cache.parent.iterdir())
        raise error

    with monkeypatch.context() as patch:
        patch.setattr({"np": np, "os": os}[step[:2]], step[3:], fail)
        with pytest.raises(type(error)):
            load_mnist()

    assert len(there_meanwhile) == 1 and cache not in there_meanwhile
    assert list(cache.parent.iterdir()) == []
    assert_is_small(load_mnist(), small)


def test_the_cache_is_on_the_disk_before_it_gets_its_name(monkeypatch, openml, cache):
    steps, fsync, replace = [], os.fsync, os.replace

    def recording_fsync(descriptor):
        steps.append(("fsync", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def recording_replace(source, target):
        steps.append(("replace", Path(source).parent, Path(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)

    load_mnist()

    size = cache.stat().st_size
    assert steps[:2] == [("fsync", size), ("replace", cache.parent, cache)]
    assert [step for step, *_ in steps[2:]] == ["fsync"]  # the folder's, for the name


def resave(**changes):
    """Write the cache again, whole and readable, with some arrays changed."""

    def spoil(cache):
        with np.load(cache) as archive:
            arrays = {name: archive[name] for name in archive.files}
        for name, change in changes.items():
            name = name.replace("_", "-")
            arrays[name] = change(arrays[name]) if name in arrays else change
        np.savez(cache, **{k: v for k, v in arrays.items() if v is not None})

    return spoil


def flip_bit_in_the_middle(cache):
    content = bytearray(cache.read_bytes())
    content[len(content) // 3] ^= 1
    cache.write_bytes(content)


def damage(signature, offset):
    """Flip a bit ``offset`` bytes into the last zip record of this kind."""

    def spoil(cache):
        content = bytearray(cache.read_bytes())
        content[content.rindex(signature) + offset] ^= 16
        cache.write_bytes(content)

    return spoil


def as_npy(cache):
    with open(cache, "wb") as stream:
        np.save(stream, np.zeros(3))


def brighter(array):
    array[0, 14, 14] ^= 1
    return array


class Trap:
    """Unpickling this would end the test run."""

    def __reduce__(self):
        return (os._exit, (3,))


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda c: c.write_bytes(b""), "not a zip archive"),
        (lambda c: c.write_bytes(c.read_bytes()[:-30]), "not a zip archive"),
        (lambda c: c.write_bytes(c.read_bytes()[:20_000]), "not a zip archive"),
        (lambda c: c.write_bytes(c.read_bytes()[20_000:]), "found: "),
        (lambda c: c.write_text("<html>404</html>"), "not a zip archive"),
        (as_npy, "not a zip archive"),
        (flip_bit_in_the_middle, "Bad CRC-32"),
        (damage(b"PK\1\2", 0), "BadZipFile"),  # np.load leaves the file open
        (damage(b"PK\5\6", 19), "found: "),  # an OSError: a negative seek
        (lambda c: np.savez(c, x=np.zeros(3)), "it holds"),
        (
            lambda c: np.savez_compressed(c, x=np.zeros(10**8, np.uint8)),
            "x.npy of 100,000,128 bytes",
        ),
        (resave(t10k_labels_idx1_ubyte=lambda a: None), "it holds"),
        (resave(extra=np.zeros(1)), "it holds"),
        (resave(train_images_idx3_ubyte=brighter), "train-images.*with md5"),
        (resave(t10k_labels_idx1_ubyte=np.flip), "t10k-labels.* with md5"),
        (
            resave(train_labels_idx1_ubyte=lambda a: a[1:]),
            r"\(30,\), found uint8 of shape \(29,\)",
        ),
        (
            resave(train_labels_idx1_ubyte=lambda a: a.astype(np.int8)),
            "found int8 of shape",
        ),
        (
            resave(train_labels_idx1_ubyte=lambda a: np.array([Trap()] * len(a))),
            "allow_pickle=False",
        ),
    ],
    ids=lambda value: None if callable(value) else value.strip(": "),
)
def test_a_cache_that_is_not_what_was_written_is_refused(openml, cache, spoil, found):
    load_mnist()
    spoil(cache)

    with pytest.raises(ValueError, match=rf"(?s)mnist\.npz .*expected.*{found}") as e:
        load_mnist()
    assert str(cache) in str(e.value)
    assert "Delete the file" in str(e.value)
    assert len(openml.calls) == 1  # refused, not silently replaced
    del e
    gc.collect()  # a file left open now warns


def test_a_refused_cache_is_downloaded_again_once_it_is_deleted(openml, small, cache):
    load_mnist()
    cache.write_bytes(b"spoiled")
    with pytest.raises(ValueError, match="Delete the file"):
        load_mnist()

    cache.unlink()

    assert_is_small(load_mnist(), small)
    assert len(openml.calls) == 2


# --- the real data ----------------------------------------------------------------

needs_mnist = pytest.mark.skipif(
    not REAL, reason="TINYGRAD_EDU_DATA names no folder with the IDX files of MNIST"
)


@pytest.fixture(scope="module")
def real():
    return load_mnist(REAL, dtype=np.float32)


@needs_mnist
def test_real_mnist_has_its_well_known_numbers(real):
    X_train, y_train, X_test, y_test = real

    assert X_train.shape == (60_000, 784) and X_test.shape == (10_000, 784)
    assert y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(y_test).tolist() == counts
    assert X_train.min() == X_test.min() == 0.0
    assert X_train.max() == X_test.max() == 1.0
    assert X_train.mean() == pytest.approx(0.1307, abs=5e-5)


@needs_mnist
@pytest.mark.parametrize("file", mnist._FILES, ids=lambda file: file.name)
def test_real_mnist_has_the_md5_sums_that_downloads_are_held_to(file):
    content = mnist._find(Path(REAL), file.name).read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)

    assert hashlib.md5(content).hexdigest() == file.md5


@pytest.mark.slow
@needs_mnist
def test_real_mnist_passes_as_download_and_as_cache(monkeypatch, real):
    X_train, y_train, X_test, y_test = real
    answer = SimpleNamespace(
        data=np.rint(np.concatenate([X_train, X_test]) * 255),
        target=np.concatenate([y_train, y_test]).astype(str).astype(object),
    )
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *a, **k: answer)

    downloaded = load_mnist(dtype=np.float32)
    answer.data = None
    cached = load_mnist(dtype=np.float32)

    for expected, first, second in zip(real, downloaded, cached, strict=True):
        np.testing.assert_array_equal(first, expected)
        np.testing.assert_array_equal(second, expected)


def bomb(content, size=400 << 20):
    """Return a small gzip file of ``content`` and very many zeros."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(content)]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def most_memory(function, *given):
    """Return how many bytes a call that raises has held at most."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"too long|not the file of MNIST|bytes"):
            function(*given)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_small_file_that_unpacks_to_very_much_takes_no_memory(tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(bomb(IDX))

    assert most_memory(read_idx, path) < 10e6


def test_a_file_of_mnist_of_another_shape_is_not_unpacked(folder):
    header = b"\0\0\x08\3" + np.array([1, 400, 1 << 20], ">u4").tobytes()
    (folder / "t10k-images-idx3-ubyte").write_bytes(bomb(header))

    assert most_memory(load_mnist, folder) < 10e6
