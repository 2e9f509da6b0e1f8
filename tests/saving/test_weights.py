"""Weights in files: what survives, what other programs read, what is refused."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.saving.weights import rebuilt


class Holder(nn.Layer):
    """Parameters and buffers of one's own."""

    def __init__(self, **held):
        for name, value in held.items():
            setattr(self, name, value)


def network(seed=0, dtype=np.float64):
    return nn.Sequential(
        nn.Linear(3, 4, rng=seed, dtype=dtype),
        nn.BatchNorm1d(4, dtype=dtype),
        nn.Residual(nn.Sequential(nn.Linear(4, 4, rng=seed + 1, dtype=dtype))),
    )


def assert_same_state(model, expected):
    state = model.state_dict()
    assert state.keys() == expected.keys()
    for name, array in expected.items():
        assert state[name].dtype == array.dtype, name
        np.testing.assert_array_equal(state[name], array, err_msg=name)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# -------------------------------------------------------------------- back and forth


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_all_parameters_and_buffers_come_back_bit_by_bit(path, rng, dtype):
    model, other = network(0, dtype), network(5, dtype)
    model(rng.standard_normal((8, 3)).astype(dtype))  # moves the running means

    returned = te.save(model, path)
    loaded = te.load(other, path)

    assert returned == path
    assert loaded is other
    assert_same_state(other, model.state_dict())


@pytest.mark.parametrize(
    "dtype", ["bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))]
)
def test_buffers_of_every_kind_come_back(path, dtype):
    array = np.array([[0, 1, 3], [1, 0, 100]]).astype(dtype)
    other = Holder(mask=np.zeros_like(array))

    te.save(Holder(mask=array), path)
    te.load(other, path)

    assert_same_state(other, {"mask": array})


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(10.0)[::-2],
        np.array(2.5),
        np.zeros((0, 3)),
        np.arange(3, dtype=">f8"),
        np.array([np.nan, np.inf, -0.0, 5e-324]),
    ],
    ids=["Fortran", "transposed", "backward", "0-d", "empty", "big-endian", "odd"],
)
@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_numbers_come_back_however_they_lie_in_memory(path, array, kind):
    def model(x):
        return Holder(x=te.tensor(x, requires_grad=True) if kind == "parameter" else x)

    other = model(np.full_like(array, 7.0))

    te.save(model(array), path)
    te.load(other, path)

    np.testing.assert_array_equal(other.state_dict()["x"], array)
    (found,) = safetensors.numpy.load_file(path).values()
    np.testing.assert_array_equal(found, array)


def test_a_parameter_stays_the_same_tensor_and_lies_as_before(path):
    model = nn.Linear(3, 2, rng=0)
    weight, fortran = model.weight, model.weight.data.flags.fnc

    te.load(model, te.save(nn.Linear(3, 2, rng=1), path))

    assert model.weight is weight
    assert model.weight.data.flags.fnc == fortran


def test_a_loaded_model_predicts_and_trains_as_the_saved_one(path, rng):
    X, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 4))
    model, other = network(0), network(5)

    te.load(other, te.save(model, path))
    for one in (model, other):
        optimizer = te.optim.SGD(one.parameters(), lr=0.1)
        nn.mse_loss(one(X), y).backward()
        optimizer.step()

    assert_same_state(other, model.state_dict())


def test_a_model_without_numbers_has_a_file_too(path):
    te.load(nn.ReLU(), te.save(nn.ReLU(), path))

    assert safetensors.numpy.load_file(path) == {}


# -------------------------------------------------------------------- other programs


def test_other_readers_see_names_shapes_and_metadata(path):
    model = network(0, np.float32)

    te.save(model, path)

    with safetensors.safe_open(str(path), framework="numpy") as file:
        metadata = file.metadata()
        assert json.loads(metadata.pop("layers"))["layer"] == "Sequential"
        assert len(metadata.pop("sha256")) == 64
        assert metadata == {"format": "tinygrad_edu", "version": "1"}
        assert set(file.keys()) == model.state_dict().keys()
        found = file.get_tensor("2.inner.0.weight")
    np.testing.assert_array_equal(found, model[2].inner[0].weight.data)


def test_a_file_of_another_program_is_read(path):
    model = nn.Linear(3, 2)
    arrays = {"weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)}
    safetensors.numpy.save_file(arrays, path, metadata={"format": "pt"})

    te.load(model, path)

    np.testing.assert_array_equal(model.weight.data, np.ones((2, 3)))
    assert model.weight.dtype == np.float64


def test_nothing_is_pickled(path):
    te.save(network(), path)

    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])

    sizes = [e["data_offsets"][1] for n, e in header.items() if n != "__metadata__"]
    assert 8 + length + max(sizes) == len(data)


# ----------------------------------------------------------------- what does not fit


def test_all_that_does_not_fit_is_listed_and_nothing_is_changed(path):
    saved = Holder(
        a=te.tensor(np.ones(2)),
        b=te.tensor(np.ones((2, 3))),
        d=np.ones(3),
        e=np.array([0.5]),
    )
    model = Holder(
        a=te.tensor(np.zeros(2)),
        b=te.tensor(np.zeros((3, 2))),
        c=te.tensor(np.zeros(1)),
        e=np.array([1]),
    )
    before = model.state_dict()
    te.save(saved, path)

    with pytest.raises(ValueError, match="does not fit the Holder") as caught:
        te.load(model, path)

    told = str(caught.value)
    assert told.startswith("load: model.safetensors does not fit the Holder: missing c")
    assert "unexpected d" in told
    assert "b must have shape (3, 2), got (2, 3)" in told
    assert "e must fit into int64, got float64" in told
    assert "; a " not in told
    assert_same_state(model, before)


def test_a_file_of_a_newer_version_is_refused(path):
    safetensors.numpy.save_file(
        {"weight": np.ones(1)}, path, {"format": "tinygrad_edu", "version": "2"}
    )

    with pytest.raises(ValueError, match=r"is of version 2, .*for version 1"):
        te.load(Holder(weight=np.ones(1)), path)


def raw(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape, end):
    return {"weight": {"dtype": "F64", "shape": shape, "data_offsets": [0, end]}}


DAMAGED = {
    "empty": b"",
    "short": b"abc",
    "text": b"epoch,loss\n1,0.5\n" * 100,
    "zip": b"PK\x03\x04" + bytes(200),
    "endless header": struct.pack("<Q", 2**63) + b"{}",
    "header longer than the file": struct.pack("<Q", 1000) + b"{}",
    "cut off": raw(entry([2], 16), bytes(15)),
    "too long": raw(entry([2], 16), bytes(17)),
    "huge array": raw(entry([10**12], 8 * 10**12), bytes(16)),
    "huge shape": raw(entry([10**12], 16), bytes(16)),
    "shape that overflows": raw(entry([2**62, 4], 16), bytes(16)),
}


def test_such_a_file_is_read_if_nothing_is_wrong_with_it(path):
    path.write_bytes(raw(entry([2], 16), np.array([1.0, 2.0]).tobytes()))

    model = te.load(Holder(weight=np.zeros(2)), path)

    np.testing.assert_array_equal(model.weight, [1.0, 2.0])


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_refused_and_no_memory_taken_for_what_it_claims(path, data):
    model = Holder(weight=np.zeros(2))
    path.write_bytes(data)

    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"model.safetensors is damaged, or"):
            te.load(model, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10_000_000
    np.testing.assert_array_equal(model.weight, [0.0, 0.0])


def test_a_file_that_is_named_otherwise_is_told_so(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, weight=np.ones(2))

    with pytest.raises(ValueError, match=r"no safetensors file \(its name .*'.npz'\)"):
        te.load(Holder(weight=np.ones(2)), path)


def test_numbers_that_numpy_does_not_have_are_named(path):
    header = {"weight": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    path.write_bytes(raw(header, bytes(4)))

    with pytest.raises(ValueError, match="holds weight as BF16, which NumPy has not"):
        te.load(Holder(weight=np.ones(2)), path)


# ------------------------------------------------------------------ paths and models


@pytest.mark.parametrize("name", ["model.pt", "model.npz", "model", "model.safetensor"])
def test_only_one_suffix_is_written(tmp_path, name):
    with pytest.raises(ValueError, match=rf"must end in .safetensors, got '{name}'"):
        te.save(nn.ReLU(), tmp_path / name)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", [te.save, te.load])
def test_a_folder_is_no_file(tmp_path, function, monkeypatch):
    monkeypatch.chdir(tmp_path)

    for folder in (tmp_path, Path()):
        with pytest.raises(IsADirectoryError, match="is a folder") as caught:
            function(nn.ReLU(), folder)
        told = str(caught.value).partition("name a file in it, such as ")[2]
        assert Path(told) == folder / "model.safetensors"


@pytest.mark.parametrize("function", [te.save, te.load])
def test_only_a_layer_has_weights(path, function):
    with pytest.raises(TypeError, match=r"must be a Layer, got dict; write te\."):
        function({"weight": np.ones(1)}, path)


def test_a_missing_file_is_missing(path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        te.load(nn.ReLU(), path)


def test_folders_on_the_way_are_made_and_text_is_a_path(tmp_path):
    path = te.save(nn.Linear(1, 1), str(tmp_path / "a" / "b" / "model.safetensors"))

    te.load(nn.Linear(1, 1), str(path))

    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    "buffer", [np.array(["a"]), np.array([None]), np.ones(1, np.complex128)]
)
def test_a_buffer_that_no_file_can_hold_is_named_and_the_old_file_stays(path, buffer):
    te.save(Holder(a=np.ones(1)), path)
    before = path.read_bytes()

    with pytest.raises(TypeError, match=rf"holds such: b is {buffer.dtype}"):
        te.save(Holder(a=np.zeros(1), b=buffer), path)

    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_what_stood_there_stays_until_the_new_file_is_whole(path, monkeypatch):
    te.save(Holder(a=np.ones(1)), path)
    before = path.read_bytes()

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        te.save(Holder(a=np.zeros(1)), path)

    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


# --------------------------------------------------------------------------- checksum


def test_one_bit_turned_over_is_noticed_and_nothing_is_changed(path):
    te.save(network(0), path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    model = network(5)
    before = model.state_dict()

    with pytest.raises(ValueError, match=r"model.safetensors is damaged: its checksum"):
        te.load(model, path)

    assert_same_state(model, before)


def test_layers_that_were_written_over_are_noticed(path):
    te.save(nn.Linear(2, 1, rng=0), path)
    path.write_bytes(path.read_bytes().replace(b"Linear", b"Conv2d"))

    with pytest.raises(ValueError, match="checksum"):
        rebuilt(path)


def test_a_file_of_ours_without_a_checksum_is_read(path):
    model = network(0)
    metadata = {"format": "tinygrad_edu", "version": "1"}
    arrays = safetensors.numpy.load(safetensors.numpy.save(model.state_dict()))
    safetensors.numpy.save_file(arrays, path, metadata=metadata)

    assert_same_state(te.load(network(5), path), model.state_dict())


def test_a_name_with_half_a_character_is_refused(path):
    with pytest.raises(ValueError, match=r"the name 'a.\\ud800' has half a character"):
        te.save(Holder(a={"\ud800": np.ones(2)}), path)

    assert not path.exists()
