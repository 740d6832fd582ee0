"""Promises of decoding: samples of more than eight bits."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.files_by_hand import RAMP, pixels, png, read, tiff, written

from app.errors import UnsupportedImage


@pytest.mark.parametrize("big_endian", [False, True])
def test_16_bit_grey_tiff_is_scaled_and_rounded_not_clipped(big_endian: bool) -> None:
    picture = read(tiff(RAMP, big_endian=big_endian))

    assert np.array_equal(pixels(picture)[..., 2], np.floor(RAMP * (255 / 65535) + 0.5))
    assert picture.warnings == ("16-bit samples were scaled to 8 bits",)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_16_bit_grey_as_pillow_writes_it(compression: str | None, big_endian: bool) -> None:
    data = written(Image.fromarray(RAMP), "TIFF", compression=compression, big_endian=big_endian)

    assert np.array_equal(pixels(read(data))[..., 0], np.floor(RAMP * (255 / 65535) + 0.5))


def test_16_bit_grey_png_is_scaled_and_rounded() -> None:
    picture = read(written(Image.fromarray(RAMP), "PNG"))

    assert np.array_equal(pixels(picture)[..., 0], np.floor(RAMP * (255 / 65535) + 0.5))
    assert "16-bit" in picture.warnings[0]


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_declared_depth_in_a_16_bit_container_is_honoured(bits: int) -> None:
    samples = np.array([[0, 100], [2 ** (bits - 1), 2**bits - 1]], np.uint16)

    picture = read(tiff(samples, tags={281: (3, 2**bits - 1)}))

    assert np.array_equal(pixels(picture)[..., 0], np.floor(samples * (255 / (2**bits - 1)) + 0.5))


def test_a_maximum_that_is_only_a_statistic_does_not_stretch_the_contrast() -> None:
    samples = np.array([[0, 20000], [30000, 40000]], np.uint16)

    assert pixels(read(tiff(samples, tags={281: (3, 40000)}))).max() == round(40000 / 257)


def test_a_declared_depth_that_the_samples_exceed_is_not_believed() -> None:
    samples = np.array([[0, 4095], [30000, 65535]], np.uint16)

    assert pixels(read(tiff(samples, tags={281: (3, 4095)})))[0, 1, 0] == 16


def colour_tiff(samples: np.ndarray[Any, Any], declared: int) -> bytes:
    """(H, W, 3) uint16, chunky; bits of each channel stand behind the directory."""
    height, width, _ = samples.shape
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 146), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 152),
        (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, samples.nbytes), (281, 3, 1, declared), (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", 11) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = b"II" + struct.pack("<HI", 42, 8)
    return header + directory + bytes(4) + struct.pack("<3H", 16, 16, 16) + samples.astype("<u2").tobytes()


def test_colours_of_a_declared_depth_are_refused_and_not_read_as_black() -> None:
    """Pillow keeps the upper byte of each sample: white of 12 bits would be 15 of 255."""
    full = np.full((4, 6, 3), 65535, np.uint16)

    assert pixels(read(colour_tiff(full, 65535))).min() == 255
    with pytest.raises(UnsupportedImage, match="16-bit colours count to 4095 only"):
        read(colour_tiff(full // 16, 4095))


def test_16_bit_grey_that_counts_from_white_is_turned_round() -> None:
    picture = read(tiff(RAMP, tags={262: (3, 0)}))

    assert np.array_equal(pixels(picture)[..., 0], 255 - np.floor(RAMP * (255 / 65535) + 0.5))


@pytest.mark.parametrize(("color", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_and_alpha_png_are_within_one_of_the_scaled_value(color: int, channels: int) -> None:
    """Pillow keeps the upper byte of each sample: at most one level below the rounded value."""
    samples = np.linspace(0, 65535, 4 * 3 * channels).astype(np.uint16).reshape(3, 4, channels)
    if color in (4, 6):
        samples[..., -1] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    picture = read(png(4, 3, depth=16, color=color, rows=rows))

    grey_or_rgb = samples[..., : 1 if color == 4 else 3]
    assert np.abs(pixels(picture) - grey_or_rgb * (255 / 65535)).max() <= 1
    assert picture.warnings == ("16-bit samples were scaled to 8 bits",)


def test_a_16_bit_colour_key_does_not_break_the_picture() -> None:
    key = b"\0\0\0\x06tRNS" + b"\xff" * 6
    key += struct.pack(">I", zlib.crc32(key[4:]))
    rows = (b"\0" + b"\x80" * 24) * 3

    assert read(png(4, 3, depth=16, color=2, rows=rows, extra=key)).image.size == (4, 3)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_samples_whose_white_nobody_knows_are_refused_with_a_way_out(dtype: Any) -> None:
    data = written(Image.fromarray(np.ones((4, 4), dtype)), "TIFF")

    with pytest.raises(UnsupportedImage, match="convert the picture to 8 or 16 bits"):
        read(data)
