"""A digit from a picture: as MNIST has it, whatever the picture is like."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import tinygrad_edu as te
from tinygrad_edu.data.pictures import in_characters, read_digit

MNIST = os.environ.get("TINYGRAD_EDU_DATA")


@pytest.fixture
def saved(tmp_path):
    """Save an array from 0, black, to 1, white, as a picture; return the path."""

    def saved(grey, name="digit.png", mode="L"):
        picture = Image.fromarray(np.rint(255 * np.asarray(grey)).astype(np.uint8))
        picture.convert(mode).save(tmp_path / name)
        return tmp_path / name

    return saved


def seven(height=40, width=40, paper=0.0, ink=1.0):
    """Return a picture of a thick 7, 20 by 14, light on dark unless told otherwise."""
    page = np.full((height, width), paper)
    top, left = height // 3, width // 3
    page[top : top + 4, left : left + 14] = ink
    page[top : top + 20, left + 10 : left + 14] = ink
    return page


def test_the_centre_of_mass_comes_into_the_middle(saved):
    digit = read_digit(saved(seven(60, 90)), 28)

    rows, columns = np.indices(digit.shape)
    assert abs((rows * digit).sum() / digit.sum() - 14) <= 0.5
    assert abs((columns * digit).sum() / digit.sum() - 14) <= 0.5
    assert (digit.any(axis=1).sum(), digit.any(axis=0).sum()) == (20, 14)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
@pytest.mark.parametrize(("paper", "ink"), [(0.0, 1.0), (1.0, 0.0)])
def test_dark_on_light_and_light_on_dark_are_alike_in_any_mode(saved, paper, ink, mode):
    expected = read_digit(saved(seven()), 28)

    digit = read_digit(saved(seven(60, 50, paper, ink), mode=mode), 28)

    np.testing.assert_array_equal(digit, expected)


@pytest.mark.parametrize(("paper", "ink"), [(0.8, 0.5), (0.3, 0.6)])
def test_pale_ink_becomes_as_strong_as_any(saved, paper, ink):
    digit = read_digit(saved(seven(paper=paper, ink=ink)), 28)

    np.testing.assert_allclose(digit, read_digit(saved(seven()), 28), atol=1e-12)


@pytest.mark.parametrize(
    ("times", "name"), [(3, "digit.png"), (10, "digit.png"), (10, "digit.jpg")]
)
def test_size_and_format_do_not_matter(saved, times, name):
    large = np.kron(seven(paper=0.9, ink=0.2), np.ones((times, times)))

    digit = read_digit(saved(large, name), 28)

    expected = read_digit(saved(seven()), 28)
    assert np.abs(digit - expected).mean() < 0.02


def test_for_eight_by_eight_the_digit_fills_the_height(saved):
    digit = read_digit(saved(seven(60, 50, 1.0, 0.0)), 8)

    assert digit.any(axis=1).all()
    assert digit.any(axis=0).tolist() == [False] + 6 * [True] + [False]


def test_what_is_transparent_is_paper(tmp_path):
    page = np.zeros((40, 40, 4), np.uint8)
    page[..., 3] = 255 * seven(40, 40)  # black where it is not transparent
    Image.fromarray(page).save(tmp_path / "digit.png")

    digit = read_digit(tmp_path / "digit.png", 28)

    assert digit.sum() == seven().sum()


def test_sixteen_bits_are_read(tmp_path, saved):
    page = (40_000 * seven()).astype(np.uint16)
    Image.fromarray(page).save(tmp_path / "deep.png")

    digit = read_digit(tmp_path / "deep.png", 28)

    np.testing.assert_array_equal(digit, read_digit(saved(seven()), 28))


@pytest.mark.skipif(not MNIST, reason="MNIST is in no folder")
def test_mnist_comes_back_as_it_is(saved):
    """All of it but what is very pale: so it is made as MNIST is."""
    _, _, images, _ = te.data.load_mnist()

    for image in images[:40].reshape(-1, 28, 28):
        page = np.ones((90, 70))
        page[40:68, 10:38] -= image
        digit = read_digit(saved(page), 28)
        assert np.abs(digit - image).mean() < 0.01


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_an_empty_page_is_refused(saved, level):
    path = saved(np.full((20, 20), level))

    with pytest.raises(ValueError, match=r"digit\.png shows no digit: nothing in it"):
        read_digit(path, 28)


def test_what_is_no_picture_is_refused(tmp_path):
    path = tmp_path / "digit.png"
    path.write_text("a seven")

    with pytest.raises(ValueError, match=r"digit\.png is no picture"):
        read_digit(path, 28)


def test_a_large_picture_has_two_rows_in_a_line():
    picture = np.zeros((28, 28))
    picture[:2, 0] = 1.0
    picture[3, 1] = 1.0

    lines = in_characters(picture).split("\n")

    assert lines == ["█", " ▒", *12 * [""]]


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(tmp_path, lost):
    page = seven().astype(np.float32)
    page[0, 3] = lost
    path = tmp_path / "digit.tiff"
    Image.fromarray(page).save(path)

    with pytest.raises(ValueError, match=r"digit.tiff has pixels that are nan or inf"):
        read_digit(path, 28)


@pytest.mark.parametrize("side", [8_000, 12_000, 20_000])
def test_a_picture_that_unpacks_to_very_much_is_refused_by_its_size(tmp_path, side):
    def chunk(kind, body):
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    path = tmp_path / "digit.png"
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)

    with pytest.raises(ValueError, match=r"digit.png is too large for a picture"):
        read_digit(path, 28)
